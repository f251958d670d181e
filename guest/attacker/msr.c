/*
 * Attacks through model-specific registers: none may show or change the machine. Numbers: Intel SDM volume 4,
 * "Model-Specific Registers (MSRs)" (order number 325462, June 2024).
 */
#include "guest/attacker/attack.h"

#define LOW_END        0x2000u
#define HIGH_START     0xC0000000u
#define HIGH_END       0xC0002000u
#define HYPERVISOR     0x40000000u
#define HYPERVISOR_END 0x40000100u
#define X2APIC_START   0x800u
#define X2APIC_END     0x900u
#define RANDOM_MSRS    2000u

void msr_read(void *access)
{
    struct msr_access *a = access;
    a->value = rdmsr(a->msr);
}

void msr_write(void *access)
{
    const struct msr_access *a = access;
    wrmsr(a->msr, a->value);
}

/* No partition has these, for reading or writing: [first, last]. */
static const struct {
    uint32_t first, last;
    const char *name;
} forbidden[] = {
    {0x3A, 0x3A, "IA32_FEATURE_CONTROL"},
    {0x9B, 0x9B, "IA32_SMM_MONITOR_CTL"},
    {0x9E, 0x9E, "IA32_SMBASE"},
    {0xC1, 0xC8, "IA32_PMC"},
    {0x186, 0x18D, "IA32_PERFEVTSEL"},
    {0x1F2, 0x1F3, "IA32_SMRR"},
    {0x309, 0x30C, "IA32_FIXED_CTR"},
    {0x38D, 0x390, "IA32_PERF_GLOBAL"},
    {0x480, 0x493, "VMX capabilities"},
    {0x560, 0x572, "processor trace"},
    {0x600, 0x600, "IA32_DS_AREA"},
    {0x610, 0x61C, "power limits"},
    {0xC80, 0xC80, "IA32_DEBUG_INTERFACE"},
    {0xC81, 0xC83, "cache allocation"},
    {0xC90, 0xC9F, "cache allocation masks"},
    {0x1B01, 0x1B01, "IA32_UARCH_MISC_CTL"},
    {0x40000000, 0x400000FF, "other hypervisors'"},
    {0xC0010000, 0xC0010200, "another vendor's"},
    {0xC0002000, 0xC0002400, "behind the upper bitmap"},
    {0x2000, 0x2400, "behind the lower bitmap"},
    {0xFFFFFFF0, 0xFFFFFFFF, "the last"},
};
#define FORBIDDEN (sizeof forbidden / sizeof forbidden[0])

static void forbidden_msrs(void)
{
    for (unsigned i = 0; i < FORBIDDEN; i++) {
        struct tally reads = {0}, writes = {0};
        unsigned count = forbidden[i].last - forbidden[i].first + 1;
        for (unsigned k = 0; k < count; k++) {
            struct msr_access access = {forbidden[i].first + k, 0};
            tally_probe(&reads, msr_read, &access);
            access.value = 1;
            tally_probe(&writes, msr_write, &access);
        }
        if (reads.gp != count || writes.gp != count)
            saw(false, "%s MSRs from 0x%x: of %u, %u reads and %u writes raised #GP", forbidden[i].name,
                forbidden[i].first, count, reads.gp, writes.gp);
    }
    saw(true, "went through %lu groups of forbidden MSRs", FORBIDDEN);
}

static void sweep_reads(uint32_t start, uint32_t end, struct tally *tally)
{
    for (uint32_t msr = start; msr < end; msr++) {
        struct msr_access access = {msr, 0};
        tally_probe(tally, msr_read, &access);
    }
}

static void read_all(void)
{
    struct tally tally = {0};
    sweep_reads(0, LOW_END, &tally);
    sweep_reads(HIGH_START, HIGH_END, &tally);
    sweep_reads(HYPERVISOR, HYPERVISOR_END, &tally);
    for (unsigned i = 0; i < RANDOM_MSRS; i++) {
        struct msr_access access = {(uint32_t)random_next(), 0};
        tally_probe(&tally, msr_read, &access);
    }
    saw(tally.other == 0 && tally.ud == 0 && tally.gp > tally.quiet,
        "reading every MSR: %u values, %u #GP, %u others", tally.quiet, tally.gp, tally.ud + tally.other);
}

/* Whether writing garbage there would only hurt ourselves: it is left out, other attacks use it. */
static bool hurts_ourselves(uint32_t msr)
{
    return (msr >= X2APIC_START && msr < X2APIC_END) || msr == MSR_TSC || msr == MSR_EFER ||
           msr == MSR_APIC_BASE;
}

/* Writes the value and, where the MSR can be read, puts the old one back. */
static void write_one(uint32_t msr, uint64_t value, struct tally *tally)
{
    struct msr_access old = {msr, 0};
    bool readable = probe(msr_read, &old).vector == PROBE_NO_EXCEPTION;
    struct msr_access access = {msr, value};
    tally_probe(tally, msr_write, &access);
    if (readable)
        (void)probe(msr_write, &old);
}

static void write_all(void)
{
    static const uint64_t values[] = {0, 1, UINT64_MAX, UINT64_C(0x0000800000000000)};
    struct tally tally = {0};
    for (unsigned v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (uint32_t msr = 0; msr < LOW_END; msr++) {
            if (!hurts_ourselves(msr))
                write_one(msr, values[v], &tally);
        }
        for (uint32_t msr = HIGH_START; msr < HIGH_END; msr++) {
            if (!hurts_ourselves(msr))
                write_one(msr, values[v], &tally);
        }
    }
    saw(tally.other == 0 && tally.ud == 0 && tally.gp > tally.quiet,
        "writing every MSR: %u taken, %u #GP, %u others", tally.quiet, tally.gp, tally.ud + tally.other);
}

/* Garbage into every register of the local APIC but those that send. */
static void write_apic(void)
{
    struct tally tally = {0};
    for (uint32_t msr = X2APIC_START; msr < X2APIC_END; msr++) {
        if (msr == FH_MSR_X2APIC_ICR || msr == MSR_X2APIC_SELF || msr == MSR_X2APIC_SVR)
            continue;
        write_one(msr, UINT64_MAX, &tally);
        write_one(msr, random_next() & UINT32_MAX, &tally);
    }
    wrmsr(MSR_X2APIC_SVR, 0x1FF);
    saw(tally.other == 0 && tally.ud == 0, "garbage into the local APIC: %u taken, %u #GP, %u others",
        tally.quiet, tally.gp, tally.ud + tally.other);
}

static const struct attack rows[] = {
    {"msr-read", "exit:0", "reads every MSR the bitmaps cover and many they do not", read_all},
    {"msr-write", "exit:0", "writes four values to every MSR the bitmaps cover", write_all},
    {"msr-forbidden", "exit:0", "reads and writes MSRs of VMX, SMM, tracing, power and other hypervisors",
     forbidden_msrs},
    {"msr-apic", "exit:0", "writes garbage into every local APIC register", write_apic},
};
const struct attack_table msr_attacks = ATTACK_TABLE(rows);
