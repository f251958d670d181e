/*
 * Judges the VMX capability MSRs. Must never touch an MSR or the VMCS itself.
 */
#include "hv/vmx_caps.h"

#define BASIC_REVISION_MASK     UINT64_C(0x7FFFFFFF)
#define BASIC_SIZE_SHIFT        32
#define BASIC_SIZE_MASK         UINT64_C(0x1FFF)
#define BASIC_32_BIT_ADDRESSES  (UINT64_C(1) << 48)
#define BASIC_MEMORY_TYPE_SHIFT 50
#define BASIC_MEMORY_TYPE_MASK  UINT64_C(0xF)
#define BASIC_TRUE_CONTROLS     (UINT64_C(1) << 55)
#define BASIC_ANY_ERROR_CODE    (UINT64_C(1) << 56)

#define MISC_TIMER_SHIFT_MASK UINT64_C(0x1F)
#define MISC_EXIT_STORES_LMA  (UINT64_C(1) << 5)
#define MISC_ACTIVITY_HLT     (UINT64_C(1) << 6)
#define MISC_ACTIVITY_SIPI    (UINT64_C(1) << 8)
#define MISC_MSR_LIST_SHIFT   25
#define MISC_MSR_LIST_MASK    UINT64_C(7)
#define MISC_MSR_LIST_UNIT    512u

#define EPT_EXECUTE_ONLY    (UINT64_C(1) << 0)
#define EPT_WALK_4          (UINT64_C(1) << 6)
#define EPT_WRITE_BACK      (UINT64_C(1) << 14)
#define EPT_2MIB            (UINT64_C(1) << 16)
#define EPT_1GIB            (UINT64_C(1) << 17)
#define EPT_INVEPT          (UINT64_C(1) << 20)
#define EPT_ACCESSED_DIRTY  (UINT64_C(1) << 21)
#define EPT_INVEPT_SINGLE   (UINT64_C(1) << 25)
#define EPT_INVEPT_ALL      (UINT64_C(1) << 26)
#define VPID_INVVPID        (UINT64_C(1) << 32)
#define VPID_ADDRESS        (UINT64_C(1) << 40)
#define VPID_SINGLE         (UINT64_C(1) << 41)
#define VPID_ALL            (UINT64_C(1) << 42)
#define VPID_RETAIN_GLOBALS (UINT64_C(1) << 43)

#define HIGH_HALF(msr) ((uint32_t)((msr) >> 32))

void vmx_msrs_read(struct vmx_msrs *msrs, vmx_read_msr_fn read, void *context)
{
    *msrs = (struct vmx_msrs){
        .basic = read(context, MSR_VMX_BASIC),
        .pin = read(context, MSR_VMX_PINBASED_CTLS),
        .primary = read(context, MSR_VMX_PROCBASED_CTLS),
        .exit = read(context, MSR_VMX_EXIT_CTLS),
        .entry = read(context, MSR_VMX_ENTRY_CTLS),
        .misc = read(context, MSR_VMX_MISC),
        .cr0_fixed0 = read(context, MSR_VMX_CR0_FIXED0),
        .cr0_fixed1 = read(context, MSR_VMX_CR0_FIXED1),
        .cr4_fixed0 = read(context, MSR_VMX_CR4_FIXED0),
        .cr4_fixed1 = read(context, MSR_VMX_CR4_FIXED1),
    };
    if (msrs->basic & BASIC_TRUE_CONTROLS) {
        msrs->true_pin = read(context, MSR_VMX_TRUE_PINBASED_CTLS);
        msrs->true_primary = read(context, MSR_VMX_TRUE_PROCBASED_CTLS);
        msrs->true_exit = read(context, MSR_VMX_TRUE_EXIT_CTLS);
        msrs->true_entry = read(context, MSR_VMX_TRUE_ENTRY_CTLS);
    }
    if (HIGH_HALF(msrs->primary) & PRIMARY_SECONDARY_CONTROLS)
        msrs->secondary = read(context, MSR_VMX_PROCBASED_CTLS2);
    if (HIGH_HALF(msrs->secondary) & (SECONDARY_EPT | SECONDARY_VPID))
        msrs->ept_vpid_cap = read(context, MSR_VMX_EPT_VPID_CAP);
    if (HIGH_HALF(msrs->secondary) & SECONDARY_VM_FUNCTIONS)
        msrs->vmfunc = read(context, MSR_VMX_VMFUNC);
}

/* ---------------------------------------------------------------------------------- the five control words
 */

enum need {
    REQUIRED, /* without it a guest cannot be contained, or a core not be taken back */
    OPTIONAL, /* on where there is one */
    UNWANTED, /* must be possible to leave off: its exits have no handler, or its state no owner */
};

struct control {
    uint32_t bit;
    enum need need;
    const char *name;
};

static const struct control pin_controls[] = {
    {PIN_EXTERNAL_INTERRUPT_EXITING, REQUIRED, "external-interrupt exiting"},
    {PIN_NMI_EXITING, REQUIRED, "NMI exiting"},
    {PIN_PREEMPTION_TIMER, REQUIRED, "the VMX-preemption timer"},
    {PIN_VIRTUAL_NMIS, OPTIONAL, "virtual NMIs"},
    {PIN_POSTED_INTERRUPTS, UNWANTED, "a choice to leave \"process posted interrupts\" off"},
};

static const struct control primary_controls[] = {
    {PRIMARY_SECONDARY_CONTROLS, REQUIRED, "secondary processor-based controls"},
    {PRIMARY_TSC_OFFSETTING, REQUIRED, "TSC offsetting"},
    {PRIMARY_HLT_EXITING, REQUIRED, "HLT exiting"},
    {PRIMARY_MWAIT_EXITING, REQUIRED, "MWAIT exiting"},
    {PRIMARY_MONITOR_EXITING, REQUIRED, "MONITOR exiting"},
    {PRIMARY_RDPMC_EXITING, REQUIRED, "RDPMC exiting"},
    {PRIMARY_CR8_LOAD_EXITING, REQUIRED, "CR8-load exiting"},
    {PRIMARY_CR8_STORE_EXITING, REQUIRED, "CR8-store exiting"},
    {PRIMARY_IO_BITMAPS, REQUIRED, "I/O bitmaps"},
    {PRIMARY_MSR_BITMAPS, REQUIRED, "MSR bitmaps"},
    {PRIMARY_INTERRUPT_WINDOW_EXITING, UNWANTED, "a choice to leave interrupt-window exiting off"},
    {PRIMARY_INVLPG_EXITING, UNWANTED, "a choice to leave INVLPG exiting off"},
    {PRIMARY_RDTSC_EXITING, UNWANTED, "a choice to leave RDTSC exiting off"},
    {PRIMARY_CR3_LOAD_EXITING, UNWANTED, "a choice to leave CR3-load exiting off"},
    {PRIMARY_CR3_STORE_EXITING, UNWANTED, "a choice to leave CR3-store exiting off"},
    {PRIMARY_TERTIARY_CONTROLS, UNWANTED, "a choice to leave tertiary controls off"},
    {PRIMARY_TPR_SHADOW, UNWANTED, "a choice to leave the TPR shadow off"},
    {PRIMARY_NMI_WINDOW_EXITING, UNWANTED, "a choice to leave NMI-window exiting off"},
    {PRIMARY_MOV_DR_EXITING, UNWANTED, "a choice to leave MOV-DR exiting off"},
    {PRIMARY_UNCONDITIONAL_IO_EXITING, UNWANTED, "a choice to leave unconditional I/O exiting off"},
    {PRIMARY_MONITOR_TRAP_FLAG, UNWANTED, "a choice to leave the monitor trap flag off"},
    {PRIMARY_PAUSE_EXITING, UNWANTED, "a choice to leave PAUSE exiting off"},
};

static const struct control secondary_controls[] = {
    {SECONDARY_EPT, REQUIRED, "extended page tables (EPT)"},
    {SECONDARY_UNRESTRICTED_GUEST, REQUIRED, "unrestricted guest"},
    {SECONDARY_WBINVD_EXITING, REQUIRED, "WBINVD exiting"},
    {SECONDARY_VPID, OPTIONAL, "virtual-processor identifiers (VPID)"},
    {SECONDARY_RDTSCP, OPTIONAL, "RDTSCP for guests"},
    {SECONDARY_INVPCID, OPTIONAL, "INVPCID for guests"},
    {SECONDARY_VIRTUALIZE_APIC_ACCESSES, UNWANTED, "a choice to leave APIC-access virtualization off"},
    {SECONDARY_DESCRIPTOR_TABLE_EXITING, UNWANTED, "a choice to leave descriptor-table exiting off"},
    {SECONDARY_VIRTUALIZE_X2APIC, UNWANTED, "a choice to leave x2APIC virtualization off"},
    {SECONDARY_APIC_REGISTER_VIRTUALIZE, UNWANTED, "a choice to leave APIC-register virtualization off"},
    {SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, UNWANTED, "a choice to leave virtual-interrupt delivery off"},
    {SECONDARY_PAUSE_LOOP_EXITING, UNWANTED, "a choice to leave PAUSE-loop exiting off"},
    {SECONDARY_RDRAND_EXITING, UNWANTED, "a choice to leave RDRAND exiting off"},
    {SECONDARY_RDSEED_EXITING, UNWANTED, "a choice to leave RDSEED exiting off"},
    {SECONDARY_VM_FUNCTIONS, UNWANTED, "a choice to leave VM functions off"},
    {SECONDARY_VMCS_SHADOWING, UNWANTED, "a choice to leave VMCS shadowing off"},
    {SECONDARY_PML, UNWANTED, "a choice to leave page-modification logging off"},
    {SECONDARY_EPT_VIOLATION_VE, UNWANTED, "a choice to leave EPT-violation #VE off"},
    {SECONDARY_XSAVES, UNWANTED, "a choice to leave XSAVES off"},
    {SECONDARY_TSC_SCALING, UNWANTED, "a choice to leave TSC scaling off"},
};

static const struct control exit_controls[] = {
    {EXIT_HOST_64_BIT, REQUIRED, "a 64-bit host (host address-space size)"},
    {EXIT_ACKNOWLEDGE_INTERRUPT, REQUIRED, "acknowledging interrupts on exit"},
    {EXIT_SAVE_DEBUG_CONTROLS, REQUIRED, "saving debug controls on exit"},
    {EXIT_SAVE_PAT, REQUIRED, "saving IA32_PAT on exit"},
    {EXIT_LOAD_PAT, REQUIRED, "loading IA32_PAT on exit"},
    {EXIT_SAVE_EFER, REQUIRED, "saving IA32_EFER on exit"},
    {EXIT_LOAD_EFER, REQUIRED, "loading IA32_EFER on exit"},
    {EXIT_SAVE_PREEMPTION_TIMER, REQUIRED, "saving the VMX-preemption timer on exit"},
    {EXIT_LOAD_PERF_GLOBAL_CTRL, UNWANTED, "a choice not to load IA32_PERF_GLOBAL_CTRL on exit"},
    {EXIT_LOAD_CET, UNWANTED, "a choice not to load CET state on exit"},
    {EXIT_LOAD_PKRS, UNWANTED, "a choice not to load IA32_PKRS on exit"},
    {EXIT_ACTIVATE_SECONDARY, UNWANTED, "a choice to leave secondary VM-exit controls off"},
};

static const struct control entry_controls[] = {
    {ENTRY_LOAD_DEBUG_CONTROLS, REQUIRED, "loading debug controls on entry"},
    {ENTRY_IA32E_GUEST, REQUIRED, "64-bit guests (IA-32e mode guest)"},
    {ENTRY_LOAD_PAT, REQUIRED, "loading IA32_PAT on entry"},
    {ENTRY_LOAD_EFER, REQUIRED, "loading IA32_EFER on entry"},
    {ENTRY_TO_SMM, UNWANTED, "a choice not to enter SMM"},
    {ENTRY_DEACTIVATE_DUAL_MONITOR, UNWANTED, "a choice to leave the dual-monitor treatment alone"},
    {ENTRY_LOAD_PERF_GLOBAL_CTRL, UNWANTED, "a choice not to load IA32_PERF_GLOBAL_CTRL on entry"},
    {ENTRY_LOAD_BNDCFGS, UNWANTED, "a choice not to load IA32_BNDCFGS on entry"},
    {ENTRY_LOAD_RTIT_CTL, UNWANTED, "a choice not to load IA32_RTIT_CTL on entry"},
    {ENTRY_LOAD_CET, UNWANTED, "a choice not to load CET state on entry"},
    {ENTRY_LOAD_PKRS, UNWANTED, "a choice not to load IA32_PKRS on entry"},
};

static void name_missing(struct vmx_missing *missing, const char *what)
{
    CHECK(missing->count < VMX_MISSING_LIMIT);
    missing->what[missing->count++] = what;
}

/*
 * One control word from what we want and what its capability MSR allows: low half the bits that must be 1,
 * high half those that may be. Bits we have no name for stay at the processor's default.
 */
static uint32_t choose_controls(const struct control *list, size_t count, uint64_t capability,
                                struct vmx_missing *missing)
{
    uint32_t must_be_1 = (uint32_t)capability, may_be_1 = HIGH_HALF(capability);
    uint32_t wanted = 0;

    for (size_t i = 0; i < count; i++) {
        const struct control *c = &list[i];
        if (c->need == UNWANTED ? must_be_1 & c->bit : c->need == REQUIRED && !(may_be_1 & c->bit))
            name_missing(missing, c->name);
        if (c->need != UNWANTED)
            wanted |= c->bit;
    }
    return (wanted | must_be_1) & may_be_1;
}

#define CHOOSE(list, capability, missing) choose_controls(list, ARRAY_SIZE(list), capability, missing)

static struct vmx_controls choose_all(const struct vmx_msrs *m, struct vmx_missing *missing)
{
    bool exact = m->basic & BASIC_TRUE_CONTROLS;
    return (struct vmx_controls){
        .pin = CHOOSE(pin_controls, exact ? m->true_pin : m->pin, missing),
        .primary = CHOOSE(primary_controls, exact ? m->true_primary : m->primary, missing),
        .secondary = CHOOSE(secondary_controls, m->secondary, missing),
        .exit = CHOOSE(exit_controls, exact ? m->true_exit : m->exit, missing),
        .entry = CHOOSE(entry_controls, exact ? m->true_entry : m->entry, missing),
    };
}

/* --------------------------------------------------------------------------------------- everything else */

struct feature {
    uint64_t bits; /* all of them */
    const char *name;
};

static const struct feature ept_features[] = {
    {EPT_WALK_4, "EPT with four levels"},
    {EPT_WRITE_BACK, "EPT structures in write-back memory"},
    {EPT_2MIB, "EPT with 2 MiB pages"},
    {EPT_INVEPT | EPT_INVEPT_SINGLE, "INVEPT of a single context"},
    {EPT_INVEPT | EPT_INVEPT_ALL, "INVEPT of all contexts"},
};

/* Names what the machine lacks besides controls. Without EPT at all its details would only be noise. */
static void check_features(const struct vmx_msrs *m, struct vmx_missing *missing)
{
    uint64_t region_bytes = (m->basic >> BASIC_SIZE_SHIFT) & BASIC_SIZE_MASK;

    if (region_bytes == 0 || region_bytes > 4 * KIB)
        name_missing(missing, "a VMCS size between 1 and 4096 bytes");
    if (m->basic & BASIC_32_BIT_ADDRESSES)
        name_missing(missing, "VMX structures above 4 GiB");
    if (HIGH_HALF(m->secondary) & SECONDARY_UNRESTRICTED_GUEST && !(m->misc & MISC_EXIT_STORES_LMA))
        name_missing(missing, "saving EFER.LMA in the \"IA-32e mode guest\" control on exit");
    if (!(HIGH_HALF(m->secondary) & SECONDARY_EPT))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(ept_features); i++)
        if ((m->ept_vpid_cap & ept_features[i].bits) != ept_features[i].bits)
            name_missing(missing, ept_features[i].name);
}

/* VPIDs serve only who can flush one: a recycled VPID must not bring back its last owner's translations. */
static void choose_vpid(struct vmx_caps *caps, uint64_t ept_vpid_cap)
{
    bool invvpid = ept_vpid_cap & VPID_INVVPID;

    caps->invvpid_address = invvpid && ept_vpid_cap & VPID_ADDRESS;
    caps->invvpid_single_context = invvpid && ept_vpid_cap & VPID_SINGLE;
    caps->invvpid_all_contexts = invvpid && ept_vpid_cap & VPID_ALL;
    caps->invvpid_retain_globals = invvpid && ept_vpid_cap & VPID_RETAIN_GLOBALS;
    caps->vpid = caps->controls.secondary & SECONDARY_VPID &&
                 (caps->invvpid_single_context || caps->invvpid_all_contexts);
    if (!caps->vpid)
        caps->controls.secondary &= ~SECONDARY_VPID;
}

bool vmx_caps_check(const struct vmx_msrs *m, struct vmx_caps *caps, struct vmx_missing *missing)
{
    missing->count = 0;
    __builtin_memset(caps, 0, sizeof(*caps)); /* padding too: cores are compared by memcmp */
    caps->revision_id = (uint32_t)(m->basic & BASIC_REVISION_MASK);
    caps->region_bytes = (uint32_t)((m->basic >> BASIC_SIZE_SHIFT) & BASIC_SIZE_MASK);
    caps->vmcs_memory = (enum memory_type)((m->basic >> BASIC_MEMORY_TYPE_SHIFT) & BASIC_MEMORY_TYPE_MASK);
    caps->timer_shift = (uint32_t)(m->misc & MISC_TIMER_SHIFT_MASK);
    caps->msr_list_limit =
        MISC_MSR_LIST_UNIT * (1 + (uint32_t)((m->misc >> MISC_MSR_LIST_SHIFT) & MISC_MSR_LIST_MASK));
    caps->cr0_fixed0 = m->cr0_fixed0;
    caps->cr0_fixed1 = m->cr0_fixed1;
    caps->cr4_fixed0 = m->cr4_fixed0;
    caps->cr4_fixed1 = m->cr4_fixed1;
    caps->ept_1gib = m->ept_vpid_cap & EPT_1GIB;
    caps->ept_execute_only = m->ept_vpid_cap & EPT_EXECUTE_ONLY;
    caps->ept_accessed_dirty = m->ept_vpid_cap & EPT_ACCESSED_DIRTY;
    caps->activity_hlt = m->misc & MISC_ACTIVITY_HLT;
    caps->activity_wait_for_sipi = m->misc & MISC_ACTIVITY_SIPI;
    caps->any_vector_error_code = m->basic & BASIC_ANY_ERROR_CODE;
    caps->controls = choose_all(m, missing);
    caps->virtual_nmis = caps->controls.pin & PIN_VIRTUAL_NMIS;
    caps->rdtscp = caps->controls.secondary & SECONDARY_RDTSCP;
    caps->invpcid = caps->controls.secondary & SECONDARY_INVPCID;
    choose_vpid(caps, m->ept_vpid_cap);
    check_features(m, missing);
    return missing->count == 0;
}

/* ------------------------------------------------------------------------------------------------ helpers */

enum vmx_lock vmx_lock_state(uint64_t feature_control)
{
    if (!(feature_control & FEATURE_CONTROL_LOCK))
        return VMX_LOCK_UNLOCKED;
    return feature_control & FEATURE_CONTROL_VMX_OUTSIDE ? VMX_LOCK_ENABLED : VMX_LOCK_FORBIDDEN;
}

uint64_t vmx_cr0_fit(const struct vmx_caps *caps, uint64_t cr0)
{
    return (cr0 | caps->cr0_fixed0) & caps->cr0_fixed1;
}

uint64_t vmx_cr4_fit(const struct vmx_caps *caps, uint64_t cr4)
{
    return (cr4 | caps->cr4_fixed0) & caps->cr4_fixed1;
}

static uint64_t guest_cr0_fixed0(const struct vmx_caps *caps)
{
    return caps->cr0_fixed0 & ~(CR0_PE | CR0_PG);
}

uint64_t vmx_guest_cr0_fit(const struct vmx_caps *caps, uint64_t cr0)
{
    return (cr0 | guest_cr0_fixed0(caps)) & caps->cr0_fixed1;
}

uint64_t vmx_guest_cr0_owned(const struct vmx_caps *caps)
{
    return guest_cr0_fixed0(caps) | ~caps->cr0_fixed1;
}

uint64_t vmx_cr4_owned(const struct vmx_caps *caps)
{
    return caps->cr4_fixed0 | ~caps->cr4_fixed1;
}

uint32_t vmx_timer_value(const struct vmx_caps *caps, uint64_t tsc_ticks)
{
    uint64_t value = tsc_ticks >> caps->timer_shift;

    /* Rounded up, then one more: the count starts anywhere inside a period of the TSC's bit. */
    if (tsc_ticks & ((UINT64_C(1) << caps->timer_shift) - 1))
        value++;
    if (caps->timer_shift)
        value++;
    return (uint32_t)min_u64(value, UINT32_MAX);
}

uint64_t vmx_timer_ticks(const struct vmx_caps *caps, uint32_t timer_value)
{
    return (uint64_t)timer_value << caps->timer_shift;
}
