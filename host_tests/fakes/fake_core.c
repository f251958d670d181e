/* Kicks, interrupts, timers and the guest itself in host tests: what the code under test asks of them, noted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host_tests/fakes/fake.h"
#include "hv/apic.h"
#include "hv/smp.h"
#include "hv/traps.h"

#define IDT_BASE UINT64_C(0xffffffff80100000)

void smp_kick(uint32_t core)
{
    assert_true(core < FAKE_CORES);
    assert_int_not_equal(core, fake_core); /* a core needs no interrupt to look at itself */
    fakes.kicks[core]++;
    if (fakes.on_kick != NULL)
        fakes.on_kick(core);
}

void apic_timer_after(uint64_t ticks)
{
    fakes.timer_armed++;
    fakes.timer_ticks = ticks;
}

void traps_interrupt(uint32_t vector)
{
    assert_in_range(vector, 0, 255);
    fakes.interrupts[vector]++;
}

uint64_t traps_idt_base(void)
{
    return IDT_BASE;
}

bool vmx_enter(struct vcpu *vcpu)
{
    fakes.entries++;
    if (fakes.guest != NULL)
        return fakes.guest(vcpu);
    fail_msg("a guest was entered");
    return false;
}
