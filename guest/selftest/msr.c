/*
 * Group `msr`: the MSRs a partition has work, the others raise #GP, and bad values never get through. Numbers
 * and reset values: Intel SDM volume 4, "Model-Specific Registers (MSRs)" (order number 325462, June 2024).
 */
#include "guest/selftest/check.h"

#define PAT_RESET       UINT64_C(0x0007040600070406)
#define NOT_CANONICAL   UINT64_C(0x0000800000000000)
#define CANONICAL       UINT64_C(0xFFFF800012345678)
#define APIC_BASE_RESET UINT64_C(0xFEE00000)
#define AMD_EDX_RDTSCP  (1u << 27)

struct msr_access {
    uint32_t msr;
    uint64_t value;
};

static void do_read(void *argument)
{
    struct msr_access *access = argument;
    access->value = rdmsr(access->msr);
}

static void do_write(void *argument)
{
    const struct msr_access *access = argument;
    wrmsr(access->msr, access->value);
}

/* What is written is read back; the old value returns. */
static void check_round_trip(uint32_t msr, uint64_t value)
{
    struct msr_access access = {msr, 0};
    if (!check(probe(do_read, &access).vector == PROBE_NO_EXCEPTION, "reading MSR 0x%x raises an exception",
               msr))
        return;
    struct msr_access changed = {msr, value};
    check(probe(do_write, &changed).vector == PROBE_NO_EXCEPTION,
          "writing 0x%lx to MSR 0x%x raises an exception", value, msr);
    check(rdmsr(msr) == value, "MSR 0x%x is 0x%lx after writing 0x%lx", msr, rdmsr(msr), value);
    wrmsr(msr, access.value);
}

static void check_refuses(uint32_t msr, uint64_t value)
{
    struct msr_access access = {msr, value};
    struct probe_result result = probe(do_write, &access);
    check(result.vector == VECTOR_GP && result.error == 0, "writing 0x%lx to MSR 0x%x: vector %d, error 0x%x",
          value, msr, result.vector, result.error);
}

static void check_absent(uint32_t msr)
{
    struct msr_access access = {msr, 0};
    struct probe_result result = probe(do_read, &access);
    check(result.vector == VECTOR_GP && result.error == 0, "reading MSR 0x%x: vector %d, value 0x%lx", msr,
          result.vector, access.value);
    check_refuses(msr, access.value);
}

static void check_values(void)
{
    uint64_t wanted = APIC_BASE_RESET | APIC_BASE_ENABLE | APIC_BASE_X2APIC | APIC_BASE_BSP;
    check_equal(rdmsr(MSR_APIC_BASE), wanted, "IA32_APIC_BASE");
    check_equal(rdmsr(MSR_PAT), PAT_RESET, "IA32_PAT");
    check((rdmsr(MSR_EFER) & (EFER_LME | EFER_LMA)) == (EFER_LME | EFER_LMA), "EFER is 0x%lx",
          rdmsr(MSR_EFER));
    uint64_t before = rdtsc();
    uint64_t msr = rdmsr(MSR_TSC);
    check(msr >= before && msr - before < UINT64_C(1) << 30, "IA32_TIME_STAMP_COUNTER 0x%lx, RDTSC 0x%lx",
          msr, before);
    check_equal(rdmsr(FH_MSR_X2APIC_ID), 0, "x2APIC id of vCPU 0");
    check((rdmsr(MSR_X2APIC_VERSION) & 0xF0) == 0x10, "x2APIC version 0x%lx", rdmsr(MSR_X2APIC_VERSION));
}

static void check_round_trips(void)
{
    static const uint32_t addresses[] = {MSR_LSTAR,          MSR_CSTAR,        MSR_FS_BASE,     MSR_GS_BASE,
                                         MSR_KERNEL_GS_BASE, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP};
    for (unsigned i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        check_round_trip(addresses[i], CANONICAL);
        check_refuses(addresses[i], NOT_CANONICAL);
    }
    check_round_trip(MSR_STAR, UINT64_C(0x0023001000000000));
    check_round_trip(MSR_FMASK, 0x40600);
    check_round_trip(MSR_SYSENTER_CS, 0x8);
    check_round_trip(MSR_PAT, UINT64_C(0x0606060606060606));
    if (cpuid(0x80000001u, 0).edx & AMD_EDX_RDTSCP)
        check_round_trip(MSR_TSC_AUX, 0x1234);
}

static void check_bad_values(void)
{
    check_refuses(MSR_PAT, 0x2); /* reserved memory type */
    check_refuses(MSR_PAT, UINT64_C(0xFF) << 56);
    uint64_t efer = rdmsr(MSR_EFER);
    check_refuses(MSR_EFER, efer ^ EFER_LME); /* paging is on */
    check_refuses(MSR_EFER, efer | UINT64_C(1) << 1);
    check_refuses(MSR_EFER, efer | UINT64_C(1) << 12); /* SVME is another vendor's */
    check_refuses(MSR_EFER, efer | UINT64_C(1) << 63);
    check_refuses(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | UINT64_C(1) << 9);
    check_refuses(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | UINT64_C(1) << 63);
    check_refuses(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~APIC_BASE_ENABLE); /* x2APIC without APIC */
    check_refuses(FH_MSR_X2APIC_ID, 0);                                     /* read only */
    check_refuses(MSR_X2APIC_EOI, 1);                                       /* zero only */
}

/* Every MSR of VMX, the lock that guards it, SGX, microcode, other hypervisors' and the far ends. */
static void check_absentees(void)
{
    static const uint32_t absent[] = {0x3A,       0x480,      0x48B,      0x491,      0x79,       0x9E,
                                      0x1FFF,     0x2000,     0xFFFFFFFF, 0x40000000, 0x40000001, 0x4B564D00,
                                      0xBFFFFFFF, 0xC0000000, 0xC0001FFF, 0xC0002000, 0xC0010114, 0x80000000};
    for (unsigned i = 0; i < sizeof absent / sizeof absent[0]; i++)
        check_absent(absent[i]);
}

void group_msr(void)
{
    check_values();
    check_round_trips();
    check_bad_values();
    check_absentees();
}
