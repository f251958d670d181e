/*
 * Intel VT-x: switching it on, filling a VMCS, entering and leaving a guest. What the rest of the hypervisor
 * needs of it; a second vendor would offer the same calls.
 */
#ifndef FREEHOLD_HV_VMX_VMX_H
#define FREEHOLD_HV_VMX_VMX_H

#include "hv/entry_check.h"
#include "hv/partition.h"
#include "hv/vmx/access.h"
#include "hv/vmx_caps.h"

/* The capabilities, the same on every core. Valid after vmx_init. */
extern struct vmx_caps vmx_caps;
extern struct cpuid_policy vmx_cpuid_policy;

/* Reads and judges the boot core's capabilities; boot/ has done it before, so a missing feature here is a
 * bug. */
void vmx_init(uint64_t tsc_hz);

/* Names of what this machine offers, for people and programs. */
#define VMX_FEATURE_NAMES_MAX 16
uint32_t vmx_feature_names(const char *names[VMX_FEATURE_NAMES_MAX]);

/* VMXON on this core. False when its capabilities differ from the boot core's or the processor refuses. */
MUST_USE bool vmx_core_enable(struct core *core);

/* The partition's bitmaps, EPT leaves aside: MSRs and ports deny by default. At start-up. */
void vmx_partition_init(struct partition *partition);

/*
 * Makes the vCPU's VMCS current on this core and gives the vCPU its reset state: vCPU 0 at the image's entry
 * in 64-bit mode, others waiting for start-up. Wipes what an earlier guest could have left in this core's
 * registers.
 */
void vmx_vcpu_start(struct vcpu *vcpu);

/* Real-mode start at vector << 12, after INIT and SIPI. */
void vmx_vcpu_startup(struct vcpu *vcpu, uint8_t vector);

/* The vCPU goes back to waiting after an INIT. */
void vmx_vcpu_init_reset(struct vcpu *vcpu);

/* Forgets the guest's linear translations on this core, as the processor does when it changes paging bits
 * itself. */
void vmx_flush_linear(const struct vcpu *vcpu);

/* The guest has left this core: nothing of it stays in registers, windows or TLB. */
void vmx_vcpu_stop(struct vcpu *vcpu);

/* Runs the guest until a handler asks to leave. hv/vmx/run.S */
bool vmx_enter(struct vcpu *vcpu);

/* Called by run.S for every exit: true to re-enter. */
bool vmx_exit(struct vcpu *vcpu);

/* VMLAUNCH or VMRESUME failed: contains the partition with the reason in words. */
void vmx_refused(struct vcpu *vcpu);

/* Injects what the vCPU's APIC has for it, or arms the window in which it can. */
void vmx_deliver_interrupts(struct vcpu *vcpu);
/* NMI: the same. False when it has to wait. */
bool vmx_deliver_nmi(struct vcpu *vcpu);

/* A hardware exception for the guest; error code used for vectors that have one. */
void vmx_inject_exception(uint8_t vector, uint32_t error_code);

/* Registers and reason of the last exit into a capsule. */
void vmx_capture(const struct vcpu *vcpu, struct crash_capsule *capsule);

/* Reads an MSR, for vmx_msrs_read. */
uint64_t vmx_read_msr(void *context, uint32_t msr);

/* CR4 bits a guest may set, by what CPUID shows it. */
uint64_t vmx_guest_cr4_allowed(void);

/* The guest's CPL: the descriptor privilege level of SS. */
static inline uint32_t vmx_privilege_level(void)
{
    return ((uint32_t)vmread(VMCS_GUEST_SS_ACCESS_RIGHTS) & ACCESS_RIGHTS_DPL_MASK) >>
           ACCESS_RIGHTS_DPL_SHIFT;
}

/* True while RFLAGS.IF is set: a halted guest can be woken by an interrupt. */
bool vmx_interrupts_enabled(void);

#endif
