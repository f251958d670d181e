/*
 * Switching the machine off.
 * Source: ACPI specification 6.5, sections "PM1 Control Grouping" and "Transitioning from the Working to the
 * Sleeping State".
 */
#include "hv/poweroff.h"

#include "hv/console.h"
#include "hv/cpu.h"

#define SETTLE_ROUNDS 10000000

_Noreturn void poweroff(const struct handoff_poweroff *how)
{
    console_flush();
    if (how->pm1a_control_port != 0)
        cpu_out16(how->pm1a_control_port, how->pm1a_value);
    if (how->pm1b_control_port != 0)
        cpu_out16(how->pm1b_control_port, how->pm1b_value);
    for (uint32_t i = 0; how->pm1a_control_port != 0 && i < SETTLE_ROUNDS; i++)
        cpu_pause();
    console_printf("This machine does not switch itself off. It is safe to do so now.");
    console_flush();
    cpu_halt();
}
