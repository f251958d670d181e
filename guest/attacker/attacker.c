/*
 * A hostile tenant. The first word of its command line names one attack; `list` prints them all, in the form
 * docs/guests.md has. Before each it says what it expects, after it what it saw. It ends with 0 when it
 * survived an attack that is to be survived and saw what it expected. An attack that is to be contained must
 * never come to an end.
 */
#include "guest/attacker/attack.h"

#include "guest/lib/cmdline.h"

static const struct attack_table *const tables[] = {
    &memory_attacks,  &hole_attacks,      &paging_attacks, &msr_attacks,  &port_attacks,
    &control_attacks, &interrupt_attacks, &stuck_attacks,  &call_attacks,
};
#define TABLES (sizeof tables / sizeof tables[0])

static const struct attack *running;

bool saw(bool as_expected, const char *fmt, ...)
{
    char text[160];
    va_list args;
    va_start(args, fmt);
    format_args(text, sizeof text, fmt, args);
    va_end(args);
    print("attacker %s: %s: %s\n", running->name, as_expected ? "as expected" : "NOT EXPECTED", text);
    return verdict(as_expected, "attacker %s: %s", running->name, text);
}

uint64_t random_next(void)
{
    static uint64_t state = UINT64_C(0x2545F4914F6CDD1D);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int tally_probe(struct tally *tally, void (*function)(void *), void *argument)
{
    int vector = probe(function, argument).vector;
    if (vector == PROBE_NO_EXCEPTION)
        tally->quiet++;
    else if (vector == VECTOR_GP)
        tally->gp++;
    else if (vector == VECTOR_UD)
        tally->ud++;
    else
        tally->other++;
    return vector;
}

uint64_t first_outside(void)
{
    const struct fh_boot_info *info = boot_info();
    return info->low_bytes < FH_HOLE_START ? info->low_bytes : FH_HOLE_END + info->high_bytes;
}

static const struct attack *find(const char *name)
{
    for (unsigned t = 0; t < TABLES; t++) {
        for (unsigned i = 0; i < tables[t]->count; i++) {
            if (text_equal(tables[t]->attacks[i].name, name))
                return &tables[t]->attacks[i];
        }
    }
    return NULL;
}

static void list(void)
{
    for (unsigned t = 0; t < TABLES; t++) {
        for (unsigned i = 0; i < tables[t]->count; i++) {
            const struct attack *attack = &tables[t]->attacks[i];
            print("| `%s` | `%s` | %s |\n", attack->name, attack->expects, attack->what);
        }
    }
}

int guest_main(void)
{
    char name[32];
    if (!cmdline_word(0, name, sizeof name) || text_equal(name, "list")) {
        list();
        return EXIT_PASS;
    }
    running = find(name);
    if (!running) {
        print("attacker: no attack is called \"%s\"; `list` prints those there are\n", name);
        return EXIT_USAGE;
    }
    print("attacker %s: %s; expects %s\n", running->name, running->what, running->expects);
    progress(1);
    running->run();
    progress(2);
    if (!text_equal(running->expects, "exit:0"))
        saw(false, "still alive, should have been stopped by %s", running->expects);
    return verdicts_failed() == 0 ? EXIT_PASS : EXIT_FAIL;
}
