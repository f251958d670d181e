/*
 * Exit handlers: one function a reason, found through the table in exits.c. A handler reads what its reason
 * needs, acts on the vCPU, and says how the guest goes on. One that ends the partition or puts the vCPU to
 * sleep sets its attention: vcpu_attend then leaves the guest.
 */
#ifndef FREEHOLD_HV_VMX_EXITS_H
#define FREEHOLD_HV_VMX_EXITS_H

#include "hv/vcpu.h"

enum exit_action {
    EXIT_RESUME, /* go on where the guest is: an event is pending, or it tries again */
    EXIT_NEXT,   /* the instruction is done: go on behind it */
};

typedef enum exit_action (*exit_handler)(struct vcpu *vcpu);

/* exits_cpu.c: instructions about the processor itself */
enum exit_action exit_cpuid(struct vcpu *vcpu);
enum exit_action exit_rdmsr(struct vcpu *vcpu);
enum exit_action exit_wrmsr(struct vcpu *vcpu);
enum exit_action exit_cr_access(struct vcpu *vcpu);
enum exit_action exit_xsetbv(struct vcpu *vcpu);
enum exit_action exit_hlt(struct vcpu *vcpu);
enum exit_action exit_cache_control(struct vcpu *vcpu);  /* INVD, WBINVD */
enum exit_action exit_invalid_opcode(struct vcpu *vcpu); /* what CPUID does not show: #UD */
enum exit_action exit_rdpmc(struct vcpu *vcpu);

/* exits_io.c */
enum exit_action exit_io(struct vcpu *vcpu);

/* exits_event.c: exceptions, interrupts, windows, timer */
enum exit_action exit_exception(struct vcpu *vcpu);
enum exit_action exit_external_interrupt(struct vcpu *vcpu);
enum exit_action exit_interrupt_window(struct vcpu *vcpu);
enum exit_action exit_nmi_window(struct vcpu *vcpu);
enum exit_action exit_preemption_timer(struct vcpu *vcpu);
enum exit_action exit_triple_fault(struct vcpu *vcpu);

/* exits_memory.c */
enum exit_action exit_ept_violation(struct vcpu *vcpu);
enum exit_action exit_ept_misconfiguration(struct vcpu *vcpu);

/* exits_entry.c: the processor refused to enter */
enum exit_action exit_entry_failure(struct vcpu *vcpu);

/* hypercall.c */
enum exit_action exit_vmcall(struct vcpu *vcpu);

/* Any reason without a handler: contains the partition. */
enum exit_action exit_unhandled(struct vcpu *vcpu);

/* Sends an IPI of `vcpu` to those vCPUs of its own partition that it reaches. */
void exits_send_ipi(struct vcpu *vcpu, const struct vapic_ipi *ipi);

/* #GP(0) in place of the instruction. */
enum exit_action exits_general_protection(void);

/*
 * The exit came while the processor was delivering an event to the guest, and the guest goes on: deliver it
 * again. For reasons that can interrupt a delivery.
 */
bool exits_redeliver(void);

#endif
