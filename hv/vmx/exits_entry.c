/*
 * When the processor refuses to enter a guest: the manual's checks are redone in software over what the VMCS
 * holds, so that the capsule names the rule that was broken. Also what every capsule shows of a vCPU.
 */
#include "hv/memory.h"
#include "hv/partition.h"
#include "hv/string.h"
#include "hv/vmx/access.h"
#include "hv/vmx/exits.h"
#include "hv/vmx/vmx.h"
#include "hv/x86.h"

#define ADDRESS_BITS_MASK 0xffu
#define LINEAR_BITS_SHIFT 8

static uint64_t read_field(void *context, uint32_t field)
{
    (void)context;
    return vmread_if_present((enum vmcs_field)field);
}

static void contain_refused(struct vcpu *vcpu, uint32_t reason, uint64_t qualification)
{
    static struct spinlock lock; /* the state is too large for a core's stack */
    static struct entry_state state;
    static struct vmx_msrs msrs;
    struct entry_finding finding;
    char text[sizeof(vcpu->partition->capsule.detail)];
    spin_lock(&lock);
    vmx_msrs_read(&msrs, vmx_read_msr, NULL);
    uint32_t sizes = cpu_cpuid(CPUID_LEAF_ADDRESS_SIZES, 0).eax;
    memset(&state, 0, sizeof(state));
    entry_state_read(&state, read_field, NULL);
    state.msrs = &msrs;
    state.physical_bits = sizes & ADDRESS_BITS_MASK;
    state.linear_bits = sizes >> LINEAR_BITS_SHIFT & ADDRESS_BITS_MASK;
    state.vmcs = memory_frame(vcpu->vmcs).value;
    bool nothing_found = entry_check(&state, &finding);
    spin_unlock(&lock);
    entry_failure_describe(text, sizeof(text), reason, qualification, nothing_found ? NULL : &finding);
    partition_contain(vcpu, FAULT_ENTRY_FAILURE, "%s", text);
}

enum exit_action exit_entry_failure(struct vcpu *vcpu)
{
    contain_refused(vcpu, (uint32_t)vcpu->exit->reason & EXIT_REASON_BASIC_MASK,
                    vmread(VMCS_EXIT_QUALIFICATION));
    return EXIT_RESUME;
}

void vmx_refused(struct vcpu *vcpu)
{
    contain_refused(vcpu, 0, vmread(VMCS_INSTRUCTION_ERROR));
}

void vmx_capture(const struct vcpu *vcpu, struct crash_capsule *capsule)
{
    capsule->exit_reason = (uint32_t)vcpu->exit->reason;
    capsule->qualification = vmread(VMCS_EXIT_QUALIFICATION);
    capsule->guest_physical = vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
    capsule->guest_linear = vmread(VMCS_GUEST_LINEAR_ADDRESS);
    capsule->interruption_info = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO);
    capsule->idt_vectoring_info = (uint32_t)vmread(VMCS_IDT_VECTORING_INFO);
    memcpy(capsule->gpr, vcpu->gpr, sizeof(capsule->gpr));
    capsule->gpr[RSP] = vmread(VMCS_GUEST_RSP);
    capsule->rip = vmread(VMCS_GUEST_RIP);
    capsule->rflags = vmread(VMCS_GUEST_RFLAGS);
    capsule->cr0 = vmread(VMCS_GUEST_CR0);
    capsule->cr2 = cpu_read_cr2();
    capsule->cr3 = vmread(VMCS_GUEST_CR3);
    capsule->cr4 = vmread(VMCS_GUEST_CR4);
    capsule->efer = vmread(VMCS_GUEST_EFER);
    capsule->cs = (uint16_t)vmread(VMCS_GUEST_CS_SELECTOR);
    capsule->ss = (uint16_t)vmread(VMCS_GUEST_SS_SELECTOR);
    capsule->ds = (uint16_t)vmread(VMCS_GUEST_DS_SELECTOR);
    capsule->es = (uint16_t)vmread(VMCS_GUEST_ES_SELECTOR);
    capsule->tr = (uint16_t)vmread(VMCS_GUEST_TR_SELECTOR);
    /* Oldest first; a record without a time was never used. */
    for (uint32_t i = 1; i <= CAPSULE_LAST_EXITS; i++) {
        const struct exit_record *record =
            &vcpu->ring[((size_t)(vcpu->exit - vcpu->ring) + i) % CAPSULE_LAST_EXITS];
        uint64_t tsc = (uint64_t)record->tsc_high << 32 | record->tsc_low;
        if (tsc != 0)
            capsule->last[capsule->last_count++] =
                (struct last_exit){.reason = (uint16_t)record->reason, .rip = record->rip, .tsc = tsc};
    }
}
