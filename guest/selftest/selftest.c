/*
 * Asserts about the virtual CPU, as verdicts: one line a group, and a line for every check that fails.
 *
 * Command line: nothing runs every group; the names of groups run those; `scan` looks at every byte of RAM;
 * `leak` needs on_fault = "restart": its first life leaves patterns everywhere and dies, its second looks for
 * them.
 */
#include "guest/selftest/check.h"

#include "guest/lib/cmdline.h"
#include "guest/lib/smp.h"

static struct {
    const char *name;
    unsigned checks;
    unsigned failures;
} group;

bool check(bool holds, const char *fmt, ...)
{
    group.checks++;
    if (holds)
        return true;
    group.failures++;
    char text[200];
    va_list args;
    va_start(args, fmt);
    format_args(text, sizeof text, fmt, args);
    va_end(args);
    print("selftest %s: FAILED: %s\n", group.name, text);
    return false;
}

bool check_equal(uint64_t seen, uint64_t wanted, const char *what)
{
    return check(seen == wanted, "%s is 0x%lx, should be 0x%lx", what, seen, wanted);
}

struct probe_result check_raises(int vector, const char *what, void (*function)(void *), void *argument)
{
    struct probe_result result = probe(function, argument);
    char seen[16], wanted[16];
    check(result.vector == vector, "%s: %s (error 0x%x, cr2 0x%lx), should be %s", what,
          vector_name(result.vector, seen), result.error, result.cr2, vector_name(vector, wanted));
    return result;
}

static const struct {
    const char *name;
    void (*run)(void);
    bool on_request; /* only when named */
} groups[] = {
    {"scan", check_memory_zero, true}, /* first: the others leave traces */
    {"entry", group_entry, false},
    {"cpuid", group_cpuid, false},
    {"msr", group_msr, false},
    {"xsave", group_xsave, false},
    {"exception", group_exception, false},
    {"paging", group_paging, false},
    {"debug", group_debug, false},
    {"port", group_port, false},
    {"uart", group_uart, false},
    {"apic", group_apic, false},
    {"smp", group_smp, false},
    {"abi", group_abi, false},
    {"memory", group_memory, false},
};
#define GROUPS (sizeof groups / sizeof groups[0])

static void run_group(const char *name, void (*run)(void))
{
    group.name = name;
    group.checks = group.failures = 0;
    run();
    verdict(group.failures == 0, "selftest %s: %u of %u checks failed", name, group.failures, group.checks);
    progress(group.checks);
}

static void run_leak(void)
{
    if (boot_info()->incarnation == 0)
        leak_and_die();
    run_group("leak-memory", check_memory_zero);
    run_group("leak-registers", check_registers_clean);
}

int guest_main(void)
{
    bool named = false;
    if (cmdline_has("leak")) {
        run_leak();
        return verdicts_failed() == 0 ? EXIT_PASS : EXIT_FAIL;
    }
    for (unsigned i = 0; i < GROUPS; i++) {
        if (cmdline_has(groups[i].name)) {
            run_group(groups[i].name, groups[i].run);
            named = true;
        }
    }
    for (unsigned i = 0; !named && i < GROUPS; i++) {
        if (!groups[i].on_request)
            run_group(groups[i].name, groups[i].run);
    }
    return verdicts_failed() == 0 ? EXIT_PASS : EXIT_FAIL;
}
