/*
 * A hostile tenant. The words of its command line name attacks, made one after the other; `list` prints them
 * all, in the form docs/guests.md has. Before each it says what it expects, after it what it saw. It ends
 * with 0 when it survived all that are to be survived and saw what it expected. An attack that is to be
 * contained must never come to an end; with on_fault = "restart" the next life goes on behind it.
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

/* True when every word names an attack; else says which does not. */
static bool words_known(void)
{
    char name[32];
    for (unsigned i = 0; cmdline_word(i, name, sizeof name); i++) {
        if (!find(name)) {
            print("attacker: no attack is called \"%s\"; `list` prints those there are\n", name);
            return false;
        }
    }
    return true;
}

static bool survives(const struct attack *attack)
{
    return text_equal(attack->expects, "exit:0");
}

static void make(const struct attack *attack)
{
    running = attack;
    print("attacker %s: %s; expects %s\n", running->name, running->what, running->expects);
    running->run();
    if (!survives(running))
        saw(false, "still alive, should have been stopped by %s", running->expects);
}

int guest_main(void)
{
    char name[32];
    if (!cmdline_word(0, name, sizeof name) || text_equal(name, "list")) {
        list();
        return EXIT_PASS;
    }
    if (!words_known())
        return EXIT_USAGE;
    unsigned lives =
        boot_info()->incarnation; /* already spent: one for each attack that is to be contained */
    for (unsigned i = 0; cmdline_word(i, name, sizeof name); i++) {
        const struct attack *attack = find(name);
        progress(i + 1);
        if (lives == 0)
            make(attack);
        else if (!survives(attack))
            lives--;
    }
    return verdicts_failed() == 0 ? EXIT_PASS : EXIT_FAIL;
}
