/* Exits for guest-physical memory: outside the slice, in the device hole, and the step over an absent device.
 */
#include "hv/exit_decode.h"
#include "hv/partition.h"
#include "hv/vmx/absent.h"
#include "hv/vmx/access.h"
#include "hv/vmx/exits.h"
#include "hv/vmx/vmx.h"

/* Which NMI-blocking an IRET lifted before it faulted here must hold again when it is repeated. */
static void restore_nmi_blocking(const struct exit_ept_violation *violation)
{
    bool vectoring = exit_decode_event((uint32_t)vmread(VMCS_IDT_VECTORING_INFO)).valid;
    if (!vectoring && violation->nmi_unblocked)
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
}

enum exit_action exit_ept_violation(struct vcpu *vcpu)
{
    gpa_t address = gpa(vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
    struct exit_ept_violation violation = exit_decode_ept_violation(vmread(VMCS_EXIT_QUALIFICATION));
    if (absent_covers(address) && violation.access != EPT_ACCESS_FETCH) {
        restore_nmi_blocking(&violation);
        absent_open(vcpu, address, violation.access == EPT_ACCESS_WRITE, exits_redeliver());
        return EXIT_RESUME;
    }
    static const char *const what[] = {
        [EPT_ACCESS_READ] = "read", [EPT_ACCESS_WRITE] = "write", [EPT_ACCESS_FETCH] = "fetch"};
    partition_contain(
        vcpu, FAULT_EPT_VIOLATION, "%s of guest-physical %llx, %s, by rip %llx",
        violation.page_walk ? "page walk" : what[violation.access], (unsigned long long)address.value,
        absent_covers(address) ? "in the device hole, which holds no code" : "outside its memory",
        (unsigned long long)vcpu->exit->rip);
    return EXIT_RESUME;
}

enum exit_action exit_ept_misconfiguration(struct vcpu *vcpu)
{
    partition_contain(vcpu, FAULT_EPT_MISCONFIG,
                      "the second-stage entry for guest-physical %llx is malformed",
                      (unsigned long long)vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
    return EXIT_RESUME;
}
