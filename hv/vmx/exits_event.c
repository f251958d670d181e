/*
 * Exits for events: exceptions we intercept, interrupts of this machine, windows in which the guest can take
 * its own, the preemption timer.
 */
#include "hv/exit_decode.h"
#include "hv/partition.h"
#include "hv/traps.h"
#include "hv/vmx/absent.h"
#include "hv/vmx/access.h"
#include "hv/vmx/exits.h"
#include "hv/vmx/vmx.h"
#include "hv/x86.h"

static uint32_t event(uint32_t vector, enum interruption_type type)
{
    return vector | (uint32_t)type << INTERRUPTION_TYPE_SHIFT | INTERRUPTION_VALID;
}

void vmx_inject_exception(uint8_t vector, uint32_t error_code)
{
    uint32_t info = event(vector, INTERRUPTION_HARDWARE_EXCEPTION);
    /* In real mode no exception has an error code. */
    if ((VECTORS_WITH_ERROR_CODE >> vector & 1) != 0 && (vmread(VMCS_GUEST_CR0) & CR0_PE) != 0) {
        info |= INTERRUPTION_DELIVER_ERROR;
        vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE, error_code);
    }
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, info);
}

bool vmx_interrupts_enabled(void)
{
    return (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0;
}

static void set_primary(struct vcpu *vcpu, uint32_t control, bool on)
{
    uint32_t controls = on ? vcpu->primary_controls | control : vcpu->primary_controls & ~control;
    if (controls == vcpu->primary_controls)
        return;
    vcpu->primary_controls = controls;
    vmwrite(VMCS_PRIMARY_CONTROLS, controls);
}

static bool event_pending(void)
{
    return (vmread(VMCS_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID) != 0;
}

/*
 * While the guest is stepped through absent hardware nothing is delivered: the handler would be entered, and
 * returned from, with a trap flag that the guest has not set. The step's end looks again.
 */
static bool stepping(const struct vcpu *vcpu)
{
    return vcpu->step == STEP_BY_TRAP;
}

void vmx_deliver_interrupts(struct vcpu *vcpu)
{
    int vector = vapic_deliverable(&vcpu->vapic);
    if (vector < 0 || stepping(vcpu)) {
        set_primary(vcpu, PRIMARY_INTERRUPT_WINDOW_EXITING, false);
        return;
    }
    uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    if (event_pending() || !vmx_interrupts_enabled() ||
        (blocking & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)) != 0) {
        set_primary(vcpu, PRIMARY_INTERRUPT_WINDOW_EXITING, true);
        return;
    }
    vapic_accept(&vcpu->vapic, (uint32_t)vector);
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, event((uint32_t)vector, INTERRUPTION_EXTERNAL));
    /* Another request may wait behind this one. */
    set_primary(vcpu, PRIMARY_INTERRUPT_WINDOW_EXITING, vapic_deliverable(&vcpu->vapic) >= 0);
}

bool vmx_deliver_nmi(struct vcpu *vcpu)
{
    const uint64_t blocks = INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS;
    if (stepping(vcpu)) {
        set_primary(vcpu, PRIMARY_NMI_WINDOW_EXITING, false);
        return false;
    }
    if (event_pending() || (vmread(VMCS_GUEST_INTERRUPTIBILITY) & blocks) != 0) {
        /* Without virtual NMIs there is no such window: then the next exit, at the latest of the timer, tries
         * again. */
        set_primary(vcpu, PRIMARY_NMI_WINDOW_EXITING, vmx_caps.virtual_nmis);
        return false;
    }
    set_primary(vcpu, PRIMARY_NMI_WINDOW_EXITING, false);
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, event(VECTOR_NMI, INTERRUPTION_NMI));
    return true;
}

enum exit_action exit_interrupt_window(struct vcpu *vcpu)
{
    vmx_deliver_interrupts(vcpu);
    return EXIT_RESUME;
}

enum exit_action exit_nmi_window(struct vcpu *vcpu)
{
    set_primary(vcpu, PRIMARY_NMI_WINDOW_EXITING, false);
    vcpu->attention = 1;
    return EXIT_RESUME;
}

static bool is_software(enum interruption_type type)
{
    return type == INTERRUPTION_SOFTWARE_INTERRUPT || type == INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION ||
           type == INTERRUPTION_SOFTWARE_EXCEPTION;
}

bool exits_redeliver(void)
{
    uint32_t info = (uint32_t)vmread(VMCS_IDT_VECTORING_INFO);
    struct exit_event interrupted = exit_decode_event(info);
    if (!interrupted.valid)
        return false;
    if (interrupted.has_error_code)
        vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE, vmread(VMCS_IDT_VECTORING_ERROR_CODE));
    if (is_software(interrupted.type))
        vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH, vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
    if (interrupted.type == INTERRUPTION_NMI) /* its delivery has blocked NMIs already */
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
                vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)INTERRUPTIBILITY_NMI);
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, info & ~INTERRUPTION_ENTRY_RESERVED);
    return true;
}

/*
 * An exception took the place of an event that was being delivered. An interrupt or NMI goes back to where it
 * came from; an exception is dropped, since its instruction will raise it again.
 */
static void withdraw_interrupted_event(struct vcpu *vcpu)
{
    struct exit_event interrupted = exit_decode_event((uint32_t)vmread(VMCS_IDT_VECTORING_INFO));
    if (!interrupted.valid)
        return;
    if (interrupted.type == INTERRUPTION_EXTERNAL)
        vapic_withdraw(&vcpu->vapic, interrupted.vector);
    else if (interrupted.type == INTERRUPTION_NMI)
        vcpu->nmi_pending = true;
    vcpu->attention = 1;
}

/*
 * #DB: the exit has left DR6 and DR7 alone, so what the processor would have done to them is done here.
 * Delivered to the guest; each delivery is an exit, so that an endless chain of them ("#DB on the stack of
 * #DB") cannot hold the core. Source: "Information for VM Exits Due to Vectored Events", qualification for
 * debug exceptions.
 */
static enum exit_action deliver_debug(struct vcpu *vcpu)
{
    uint64_t causes = vmread(VMCS_EXIT_QUALIFICATION);
    if (vcpu->step == STEP_BY_TRAP && exit_decode_debug(causes).single_step) {
        absent_close(vcpu);
        vcpu->attention = 1;
        if (!vcpu->step_had_trap_flag)
            causes &= ~DR6_BS;
        if ((causes & (PENDING_DEBUG_BREAKPOINTS | DR6_BS)) == 0)
            return EXIT_RESUME; /* our own trap, not the guest's */
    }
    cpu_write_dr6((cpu_read_dr6() & ~(uint64_t)PENDING_DEBUG_BREAKPOINTS) |
                  (causes & (PENDING_DEBUG_BREAKPOINTS | DR6_BD | DR6_BS)));
    vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
    withdraw_interrupted_event(vcpu);
    struct exit_event exception = exit_decode_event((uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO));
    if (exception.type == INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION) { /* INT1 */
        vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH, vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
        vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, event(VECTOR_DB, INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION));
    } else {
        vmx_inject_exception(VECTOR_DB, 0);
    }
    return EXIT_RESUME;
}

enum exit_action exit_exception(struct vcpu *vcpu)
{
    struct exit_event exception = exit_decode_event((uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO));
    /* An endless chain of them retires no instruction, so that the preemption timer may never count it. */
    vcpu_slice_if_due(vcpu);
    switch (exception.vector) {
    case VECTOR_NMI: /* this machine's, never the guest's; the exit leaves NMIs blocked until an IRET */
        cpu_take_nmi();
        return EXIT_RESUME;
    case VECTOR_DB:
        return deliver_debug(vcpu);
    case VECTOR_AC:
        withdraw_interrupted_event(vcpu);
        vmx_inject_exception(VECTOR_AC, (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_ERROR_CODE));
        return EXIT_RESUME;
    case VECTOR_MC:
        partition_contain(vcpu, FAULT_MACHINE_CHECK, "the processor raised a machine check while vCPU %u ran",
                          vcpu->index);
        return EXIT_RESUME;
    default:
        return exit_unhandled(vcpu); /* the exception bitmap asks for no other */
    }
}

enum exit_action exit_external_interrupt(struct vcpu *vcpu)
{
    (void)vcpu;
    traps_interrupt(exit_decode_event((uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO)).vector);
    return EXIT_RESUME;
}

enum exit_action exit_preemption_timer(struct vcpu *vcpu)
{
    vmwrite(VMCS_PREEMPTION_TIMER_VALUE, vcpu->slice_ticks);
    if (vcpu->step == STEP_BY_TIMER)
        absent_close(vcpu);
    if (vcpu->nmi_pending)
        vcpu->attention = 1;
    vcpu_slice(vcpu);
    return EXIT_RESUME;
}

enum exit_action exit_triple_fault(struct vcpu *vcpu)
{
    partition_contain(vcpu, FAULT_TRIPLE_FAULT,
                      "vCPU %u triple-faulted at rip %llx, or reset itself that way", vcpu->index,
                      (unsigned long long)vcpu->exit->rip);
    return EXIT_RESUME;
}
