/*
 * Group `smp`: the other vCPUs start by INIT and SIPI as the manual says, interrupt one another, and start
 * again. Intel SDM volume 3, "Processor Management and Initialization" and "Multiple-Processor Management"
 * (order number 325462, June 2024). With one vCPU there is nothing to check.
 */
#include "guest/selftest/check.h"

#include "guest/lib/smp.h"

#define VECTOR_CROSS   0x53
#define VECTOR_ANSWER  0x54
#define ADDITIONS      1000u
#define CR0_AFTER_INIT 0x60000010u
#define PATIENCE_TICKS (UINT64_C(1) << 28)

static uint32_t crossings, answers, nmis, total;

static void note_cross(uint8_t vector)
{
    (void)vector;
    __atomic_fetch_add(&crossings, 1, __ATOMIC_RELAXED);
}

static void note_answer(uint8_t vector)
{
    (void)vector;
    __atomic_fetch_add(&answers, 1, __ATOMIC_RELAXED);
}

static bool note_nmi(struct trap_frame *frame)
{
    (void)frame;
    __atomic_fetch_add(&nmis, 1, __ATOMIC_RELAXED);
    return true;
}

static bool becomes(const uint32_t *counter, uint32_t value)
{
    uint64_t start = rdtsc();
    while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) != value) {
        if (rdtsc() - start > PATIENCE_TICKS)
            return false;
        cpu_pause();
    }
    return true;
}

/* What the trampoline found; the library starts one vCPU at a time, so this is the last one's. */
static void check_first_state(unsigned vcpu)
{
    const uint8_t *page = (const uint8_t *)FH_AP_PAGE;
    uint32_t cr0, flags, apic_base;
    uint16_t cs;
    __builtin_memcpy(&cr0, page + AP_CR0, sizeof cr0);
    __builtin_memcpy(&flags, page + AP_FLAGS, sizeof flags);
    __builtin_memcpy(&cs, page + AP_CS, sizeof cs);
    __builtin_memcpy(&apic_base, page + AP_APIC_BASE, sizeof apic_base);
    check(cr0 == CR0_AFTER_INIT, "CR0 of vCPU %u after INIT is 0x%x", vcpu, cr0);
    check(flags == RFLAGS_FIXED, "EFLAGS of vCPU %u after INIT are 0x%x", vcpu, flags);
    check(cs == FH_AP_PAGE >> 4, "CS of vCPU %u after SIPI is 0x%x", vcpu, cs);
    check((apic_base & APIC_BASE_X2APIC) != 0, "vCPU %u is not in x2APIC mode", vcpu);
    check((apic_base & APIC_BASE_BSP) == 0, "vCPU %u thinks it is the boot processor", vcpu);
}

static void run_on(unsigned vcpu, void (*function)(void *), void *argument)
{
    vcpu_run(vcpu, function, argument);
    check(vcpu_wait(vcpu, PATIENCE_TICKS), "vCPU %u does not answer", vcpu);
}

static void on_other(void *expected)
{
    unsigned vcpu = *(const unsigned *)expected;
    check_equal(vcpu_index(), vcpu, "index on another vCPU");
    check_equal(rdmsr(FH_MSR_X2APIC_ID), vcpu, "x2APIC id on another vCPU");
    check_equal(cpuid(0xB, 0).edx, vcpu, "CPUID leaf 0xB on another vCPU");
    check_equal(cpuid(1, 0).ebx >> 24, vcpu & 0xFF, "CPUID leaf 1 on another vCPU");
    ipi_send(0, ICR_FIXED | ICR_ASSERT | VECTOR_ANSWER);
}

static void start_one(unsigned vcpu)
{
    if (!check(vcpu_start(vcpu), "vCPU %u does not start", vcpu))
        return;
    check_first_state(vcpu);
    answers = 0;
    run_on(vcpu, on_other, &vcpu);
    check(becomes(&answers, 1), "no interrupt from vCPU %u", vcpu);
}

static void check_cross(unsigned others)
{
    for (unsigned vcpu = 1; vcpu <= others; vcpu++) {
        crossings = nmis = 0;
        ipi_send(vcpu, ICR_FIXED | ICR_ASSERT | VECTOR_CROSS);
        check(becomes(&crossings, 1), "vCPU %u got no IPI", vcpu);
        ipi_send(vcpu, ICR_NMI | ICR_ASSERT);
        check(becomes(&nmis, 1), "vCPU %u got no NMI", vcpu);
    }
    crossings = 0;
    ipi_send(0, ICR_TO_OTHERS | ICR_ASSERT | VECTOR_CROSS);
    check(becomes(&crossings, others), "all but self: %u of %u", crossings, others);
    crossings = 0;
    ipi_send(0, ICR_TO_ALL | ICR_ASSERT | VECTOR_CROSS);
    check(becomes(&crossings, others + 1), "all: %u of %u", crossings, others + 1);
    crossings = 0;
    ipi_send(APIC_BROADCAST, ICR_FIXED | ICR_ASSERT | VECTOR_CROSS);
    check(becomes(&crossings, others + 1), "broadcast id: %u of %u", crossings, others + 1);
}

static void add(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < ADDITIONS; i++)
        __atomic_fetch_add(&total, 1, __ATOMIC_SEQ_CST);
}

static void check_atomics(unsigned others)
{
    total = 0;
    for (unsigned vcpu = 1; vcpu <= others; vcpu++)
        vcpu_run(vcpu, add, NULL);
    add(NULL);
    for (unsigned vcpu = 1; vcpu <= others; vcpu++)
        check(vcpu_wait(vcpu, PATIENCE_TICKS), "vCPU %u does not finish adding", vcpu);
    check_equal(total, (others + 1) * ADDITIONS, "additions of all vCPUs");
}

void group_smp(void)
{
    unsigned others = vcpu_count() - 1;
    if (others == 0)
        return;
    interrupt_set(VECTOR_CROSS, note_cross);
    interrupt_set(VECTOR_ANSWER, note_answer);
    trap_hook_set(VECTOR_NMI, note_nmi);
    interrupts_on();
    for (unsigned vcpu = 1; vcpu <= others; vcpu++)
        start_one(vcpu);
    check_cross(others);
    check_atomics(others);
    vcpu_forget(others); /* INIT to a vCPU that runs, and SIPI again */
    start_one(others);
    check_cross(others);
    interrupts_off();
    trap_hook_set(VECTOR_NMI, NULL);
}
