/*
 * What this processor's VT-x can do, and the control words Freehold runs its guests with. Read once from the
 * capability MSRs, judged here as a whole, so that the EFI application can refuse a machine in words before
 * it leaves the firmware and the hypervisor never meets a missing feature. Pure: MSRs come through a
 * callback.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, order number 325384-083US,
 * March 2024: appendix "VMX Capability Reporting Facility".
 */
#ifndef FREEHOLD_HV_VMX_CAPS_H
#define FREEHOLD_HV_VMX_CAPS_H

#include "alloc/base.h"
#include "hv/vmcs.h"
#include "hv/x86.h"

/* Raw values. An MSR that the processor does not have is 0. */
struct vmx_msrs {
    uint64_t basic;
    uint64_t pin, primary, exit, entry;
    uint64_t true_pin, true_primary, true_exit, true_entry;
    uint64_t secondary;
    uint64_t misc;
    uint64_t cr0_fixed0, cr0_fixed1;
    uint64_t cr4_fixed0, cr4_fixed1;
    uint64_t ept_vpid_cap;
    uint64_t vmfunc;
};

/* The five control words, ready for VMWRITE. */
struct vmx_controls {
    uint32_t pin;
    uint32_t primary;
    uint32_t secondary;
    uint32_t exit;
    uint32_t entry; /* for a guest in IA-32e mode; without ENTRY_IA32E_GUEST for any other */
};

struct vmx_caps {
    uint32_t revision_id;            /* first word of the VMXON region and of every VMCS */
    uint32_t region_bytes;           /* of a VMXON region or VMCS, 1 to 4096 */
    enum memory_type vmcs_memory;    /* how VMCSs and what they point to are best mapped */
    uint32_t timer_shift;            /* the preemption timer counts once in 2^timer_shift TSC ticks */
    uint32_t msr_list_limit;         /* MSRs that a load or store list may hold */
    uint64_t cr0_fixed0, cr0_fixed1; /* bits that must be 1; bits that may be 1 */
    uint64_t cr4_fixed0, cr4_fixed1;

    /* What not every machine has, and we use where it is. */
    bool vpid; /* with a way to flush one */
    bool invvpid_address, invvpid_single_context, invvpid_all_contexts, invvpid_retain_globals;
    bool virtual_nmis;
    bool rdtscp;
    bool invpcid;
    bool ept_1gib;
    bool ept_execute_only;
    bool ept_accessed_dirty;
    bool activity_hlt;
    bool activity_wait_for_sipi;
    bool any_vector_error_code; /* VM entry delivers any exception with or without an error code */

    struct vmx_controls controls;
};

/* What the machine lacks, each a phrase that a person can look up. */
#define VMX_MISSING_LIMIT 96 /* more than there are checks */
struct vmx_missing {
    uint32_t count;
    const char *what[VMX_MISSING_LIMIT];
};

/* Reads one MSR that exists. */
typedef uint64_t (*vmx_read_msr_fn)(void *context, uint32_t msr);

/*
 * Reads every VMX capability MSR there is, and no other: each is asked for only where an earlier one promises
 * it, since RDMSR of an absent one raises #GP. Only where CPUID shows VMX.
 */
void vmx_msrs_read(struct vmx_msrs *msrs, vmx_read_msr_fn read, void *context);

/*
 * Judges the machine. True: *caps is complete and missing->count is 0. False: every required feature that is
 * missing is named, *caps must not be used.
 */
MUST_USE bool vmx_caps_check(const struct vmx_msrs *msrs, struct vmx_caps *caps, struct vmx_missing *missing);

/* Whether IA32_FEATURE_CONTROL lets VMXON work outside SMX. */
enum vmx_lock {
    VMX_LOCK_ENABLED,   /* nothing to do */
    VMX_LOCK_UNLOCKED,  /* set FEATURE_CONTROL_VMX_OUTSIDE and FEATURE_CONTROL_LOCK first, on every core */
    VMX_LOCK_FORBIDDEN, /* the firmware locked it off: only its setup can change that */
};
enum vmx_lock vmx_lock_state(uint64_t feature_control);

/* CR0 and CR4 made fit for VMX operation of the host: forced bits set, forbidden bits cleared. */
uint64_t vmx_cr0_fit(const struct vmx_caps *caps, uint64_t cr0);
uint64_t vmx_cr4_fit(const struct vmx_caps *caps, uint64_t cr4);

/* The same for an unrestricted guest, which may clear CR0.PE and CR0.PG. */
uint64_t vmx_guest_cr0_fit(const struct vmx_caps *caps, uint64_t cr0);

/* Bits a guest may not choose: those that VM entry wants in one state whatever the guest likes. */
uint64_t vmx_guest_cr0_owned(const struct vmx_caps *caps);
uint64_t vmx_cr4_owned(const struct vmx_caps *caps);

/* The preemption timer's value for at least tsc_ticks TSC ticks, cut at its 32 bits. */
uint32_t vmx_timer_value(const struct vmx_caps *caps, uint64_t tsc_ticks);

/* How long that value lasts, in TSC ticks. */
uint64_t vmx_timer_ticks(const struct vmx_caps *caps, uint32_t timer_value);

#endif
