/*
 * This machine's local APIC as the hypervisor uses it: x2APIC where there is one, else its registers in
 * memory. IPIs, the control core's timer, end of interrupt. Guests never reach it; theirs is hv/vapic.h.
 * Source: Intel SDM volume 3A, chapter "Advanced Programmable Interrupt Controller (APIC)" (order number
 * 325462).
 */
#ifndef FREEHOLD_HV_APIC_H
#define FREEHOLD_HV_APIC_H

#include "alloc/base.h"

/* Finds out which mode this machine has and maps the registers where that is needed. Once, on the boot core.
 */
void apic_init(uint64_t tsc_hz);

/* Enables the APIC of this core in the mode chosen: masked local vectors, spurious vector set. */
void apic_enable(void);

/* The id of this core's APIC. */
uint32_t apic_id(void);

/* True in x2APIC mode: ids may exceed 255. */
bool apic_is_x2(void);

void apic_eoi(void);

/* A fixed interrupt to one core. Any core may call it. */
void apic_send(uint32_t to_apic_id, uint8_t vector);

/* A non-maskable interrupt to one core. */
void apic_send_nmi(uint32_t to_apic_id);

void apic_send_init(uint32_t to_apic_id);
/* The core starts in real mode at page << 12. */
void apic_send_startup(uint32_t to_apic_id, uint8_t page);

/* One timer interrupt (VECTOR_TIMER) on this core after `ticks` of the TSC. */
void apic_timer_after(uint64_t ticks);

#endif
