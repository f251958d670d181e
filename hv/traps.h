/*
 * Exceptions and interrupts of the hypervisor itself. An exception here is our own bug and ends in a panic; a
 * machine check or an NMI is the hardware's; interrupts only wake a core up.
 */
#ifndef FREEHOLD_HV_TRAPS_H
#define FREEHOLD_HV_TRAPS_H

#include "hv/report.h"

/* Stacks of their own (index + 1 is the IST number). */
enum { IST_DOUBLE_FAULT, IST_NMI, IST_MACHINE_CHECK, IST_COUNT };

/* Vectors the hypervisor uses for itself. */
#define VECTOR_KICK     0xf0 /* "look at your mailbox" from another core */
#define VECTOR_TIMER    0xf1 /* the local APIC timer of the control core */
#define VECTOR_SPURIOUS 0xff

/* What hv/entry.S leaves on the stack. */
struct trap_frame {
    uint64_t gpr[GPR_COUNT]; /* in the order of enum gpr; RSP's slot is not the interrupted RSP */
    uint64_t vector;
    uint64_t error;
    uint64_t rip;
    uint64_t cs;
    uint64_t rflags;
    uint64_t rsp;
    uint64_t ss;
};

/* Fills the one IDT all cores share. Once. */
void traps_init(void);

/* Loads it on this core. */
void traps_load(void);

/* Base address of the IDT, for the VMCS host state. */
uint64_t traps_idt_base(void);

/* Called by hv/entry.S. */
void trap_dispatch(struct trap_frame *frame);

/* An interrupt was acknowledged by a VM exit or came in while the core slept: finish it. */
void traps_interrupt(uint32_t vector);

/*
 * Our own bug: says it on the console and COM2 without taking any lock that could be held, stops all cores.
 */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
