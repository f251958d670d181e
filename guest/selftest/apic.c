/*
 * Group `apic`: interrupts a vCPU sends itself, and the halt they end. Intel SDM volume 3, "Advanced
 * Programmable Interrupt Controller (APIC)" (order number 325462, June 2024).
 */
#include "guest/selftest/check.h"

#include "guest/lib/smp.h"

#define VECTOR_FIRST  0x51
#define VECTOR_SECOND 0x52

static volatile unsigned seen[256];

static void count(uint8_t vector)
{
    seen[vector]++;
}

/* Lets pending interrupts in for a moment. */
static void open_window(void)
{
    interrupts_on();
    for (unsigned i = 0; i < 4; i++)
        cpu_pause();
    interrupts_off();
}

static void check_self_ipi(const char *what, uint32_t destination, uint64_t command)
{
    seen[VECTOR_FIRST] = 0;
    ipi_send(destination, command | ICR_ASSERT | VECTOR_FIRST);
    check(seen[VECTOR_FIRST] == 0, "%s came with interrupts off", what);
    open_window();
    check(seen[VECTOR_FIRST] == 1, "%s came %u times", what, seen[VECTOR_FIRST]);
}

/* Two vectors pending stay two; one pending twice is one. */
static void check_pending(void)
{
    seen[VECTOR_FIRST] = seen[VECTOR_SECOND] = 0;
    ipi_send(0, ICR_FIXED | ICR_ASSERT | VECTOR_FIRST);
    ipi_send(0, ICR_FIXED | ICR_ASSERT | VECTOR_SECOND);
    ipi_send(0, ICR_FIXED | ICR_ASSERT | VECTOR_FIRST);
    open_window();
    check_equal(seen[VECTOR_FIRST], 1, "deliveries of a vector pending twice");
    check_equal(seen[VECTOR_SECOND], 1, "deliveries of another vector");
}

static void check_halt(void)
{
    for (unsigned round = 0; round < 3; round++) {
        seen[VECTOR_FIRST] = 0;
        interrupts_off();
        ipi_send(0, ICR_FIXED | ICR_ASSERT | VECTOR_FIRST);
        wait_for_interrupt();
        interrupts_off();
        check_equal(seen[VECTOR_FIRST], 1, "interrupts that ended HLT");
    }
}

static void do_bad_icr(void *command)
{
    wrmsr(FH_MSR_X2APIC_ICR, *(const uint64_t *)command);
}

static void do_self_msr(void *unused)
{
    (void)unused;
    wrmsr(MSR_X2APIC_SELF, VECTOR_FIRST);
}

void group_apic(void)
{
    interrupts_off();
    interrupt_set(VECTOR_FIRST, count);
    interrupt_set(VECTOR_SECOND, count);
    check_self_ipi("an IPI to the own id", 0, ICR_FIXED);
    check_self_ipi("an IPI to self by shorthand", 0, ICR_TO_SELF);
    if (probe(do_self_msr, NULL).vector == PROBE_NO_EXCEPTION)
        open_window();
    check_pending();
    check_halt();
    uint64_t reserved = UINT64_C(1) << 20 | VECTOR_FIRST;
    check_raises(VECTOR_GP, "a reserved bit of the interrupt command register", do_bad_icr, &reserved);
    interrupt_set(VECTOR_FIRST, NULL);
    interrupt_set(VECTOR_SECOND, NULL);
}
