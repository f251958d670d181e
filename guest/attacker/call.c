/* Attacks on the hypercalls themselves, and a search through CPUID for anything that should be hidden. */
#include "guest/attacker/attack.h"

#define RANDOM_CALLS    20000u
#define AUDITS          5u
#define FLOOD_METRICS   600u
#define CPUID_LEAVES    0x40u
#define CPUID_SUBLEAVES 0x20u
#define NO_CALL         8
#define ECX_HIDDEN      ((1u << 3) | (1u << 5) | (1u << 6)) /* MONITOR, VMX, SMX */
#define EBX7_HIDDEN     ((1u << 2))                         /* SGX */

/* Numbers that matter at the edges of everything. */
static uint64_t edge(void)
{
    const struct fh_boot_info *info = boot_info();
    const uint64_t edges[] = {0,
                              1,
                              FH_BUFFER_MAX - 1,
                              FH_BUFFER_MAX,
                              FH_BUFFER_MAX + 1,
                              info->low_bytes - 1,
                              info->low_bytes,
                              FH_HOLE_START,
                              FH_HOLE_END - 1,
                              FH_HOLE_END,
                              FH_HOLE_END + info->high_bytes,
                              UINT64_C(1) << 40,
                              UINT64_C(1) << 52,
                              UINT64_C(1) << 63,
                              UINT64_MAX - FH_BUFFER_MAX,
                              UINT64_MAX};
    uint64_t pick = random_next();
    if (pick % 4 == 0)
        return random_next();
    return edges[pick / 4 % (sizeof edges / sizeof edges[0])];
}

/* A number that may do anything but end us: no exit, no broken entry; audits are dear. */
static uint64_t call_number(void)
{
    uint64_t number = random_next() % 3 == 0 ? random_next() : random_next() % NO_CALL;
    bool ends = number == FH_CALL_EXIT || number == FH_CALL_BREAK_ENTRY || number == FH_CALL_AUDIT;
    return ends ? NO_CALL : number;
}

static void abuse(void)
{
    unsigned errors = 0, strange = 0;
    for (unsigned i = 0; i < RANDOM_CALLS; i++) {
        uint64_t number = call_number();
        uint64_t a = edge(), b = edge(), c = edge();
        if (number == FH_CALL_CONSOLE_WRITE && b <= FH_BUFFER_MAX)
            b += FH_BUFFER_MAX + 1; /* our memory on everybody's screen helps nobody */
        if (number == FH_CALL_VERDICT)
            a |= 2; /* a verdict that is none */
        if (number == FH_CALL_METRIC)
            a = FH_HOLE_START;
        int64_t result = hypercall(number, a, b, c);
        errors += result < 0;
        strange += result < FH_E_AGAIN;
    }
    saw(errors > 0 && strange == 0,
        "%u hypercalls with hostile arguments: %u refused, %u with strange results", RANDOM_CALLS, errors,
        strange);
    saw(hypercall(NO_CALL, 0, 0, 0) == FH_E_CALL, "a hypercall there is none of was refused");
    saw(hypercall(FH_CALL_CONSOLE_WRITE, UINT64_MAX - 7, 16, 0) == FH_E_ARGUMENT,
        "a wrapping buffer was refused");
    saw(hypercall(FH_CALL_CONSOLE_WRITE, first_outside() - 8, 16, 0) == FH_E_ARGUMENT,
        "a buffer across the end of memory was refused");
    saw(hypercall(FH_CALL_EXIT, UINT64_MAX, 0, 0) == FH_E_ARGUMENT, "an exit code of 64 bits was refused");
}

static void search_cpuid(void)
{
    static const uint32_t bases[] = {0,          0x40000000, 0x40000100, 0x80000000,
                                     0x8FFFFFF0, 0xC0000000, 0xFFFFFFC0};
    unsigned shown = 0;
    for (unsigned b = 0; b < sizeof bases / sizeof bases[0]; b++) {
        for (uint32_t leaf = bases[b]; leaf - bases[b] < CPUID_LEAVES; leaf++) {
            for (uint32_t subleaf = 0; subleaf < CPUID_SUBLEAVES; subleaf++) {
                struct cpuid r = cpuid(leaf, subleaf);
                shown += (r.eax | r.ebx | r.ecx | r.edx) != 0;
            }
        }
    }
    saw(true, "%u subleaves of CPUID show something", shown);
    saw((cpuid(1, 0).ecx & ECX_HIDDEN) == 0, "CPUID leaf 1 ECX is 0x%x", cpuid(1, 0).ecx);
    saw((cpuid(7, 0).ebx & EBX7_HIDDEN) == 0, "CPUID leaf 7 EBX is 0x%x", cpuid(7, 0).ebx);
    static const uint32_t hidden[] = {0xA, 0xF, 0x10, 0x12, 0x14, 0x18, 0x19, 0x1B, 0x8000000A};
    for (unsigned i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if ((hidden[i] & 0x7FFFFFFF) > cpuid(hidden[i] & 0x80000000, 0).eax % 0x80000000)
            continue;
        struct cpuid r = cpuid(hidden[i], 0);
        if (!((r.eax | r.ebx | r.ecx | r.edx) == 0))
            saw(false, "CPUID leaf 0x%x shows 0x%x 0x%x 0x%x 0x%x", hidden[i], r.eax, r.ebx, r.ecx, r.edx);
    }
}

static void metric_flood(void)
{
    for (unsigned i = 0; i < FLOOD_METRICS; i++) {
        metric("attacker.flood", i);
        progress(i);
    }
    saw(true, "%u figures went out", FLOOD_METRICS);
}

static void audit_storm(void)
{
    int64_t violations = 0;
    for (unsigned i = 0; i < AUDITS; i++)
        violations += hypercall(FH_CALL_AUDIT, 0, 0, 0);
    saw(violations == 0, "%u audits found %ld violations", AUDITS, violations);
}

static void break_entry(void)
{
    (void)hypercall(FH_CALL_BREAK_ENTRY, 0, 0, 0);
}

static const struct attack rows[] = {
    {"hypercall", "exit:0", "makes twenty thousand hypercalls with hostile arguments", abuse},
    {"cpuid", "exit:0", "searches CPUID for what should be hidden", search_cpuid},
    {"metric-flood", "exit:0", "reports more figures than any queue holds", metric_flood},
    {"audit-storm", "exit:0", "has the hypervisor audit itself again and again", audit_storm},
    {"break-entry", "fault:entry-failure", "makes its own next VM entry fail", break_entry},
};
const struct attack_table call_attacks = ATTACK_TABLE(rows);
