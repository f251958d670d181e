/*
 * Filling a VMCS: controls, host state, and the guest states a vCPU can start from. Everything here is
 * VMWRITEs in tables.
 */
#include "guest/abi.h"
#include "hv/control.h"
#include "hv/memory.h"
#include "hv/string.h"
#include "hv/traps.h"
#include "hv/vmx/absent.h"
#include "hv/vmx/access.h"
#include "hv/vmx/vmx.h"
#include "hv/x86.h"

#define SLICES_PER_SECOND      100
#define EXCEPTIONS_INTERCEPTED ((1u << VECTOR_DB) | (1u << VECTOR_AC) | (1u << VECTOR_MC))
#define NO_LINK_POINTER        UINT64_MAX

/* CR0 after reset: caches off as the guest reads it. What the processor runs with is fitted to VMX operation.
 */
#define CR0_AFTER_RESET (CR0_ET | CR0_NW | CR0_CD)
/* A guest may not choose these: NE must be 1, caches stay on whatever it says; what is reserved faults. */
#define CR0_OWNED   (CR0_NE | CR0_NW | CR0_CD)
#define MXCSR_RESET 0x1f80
#define FCW_RESET   0x37f

extern const char vmx_exit_entry[]; /* run.S */

struct field_value {
    enum vmcs_field field;
    uint64_t value;
};

static void write_fields(const struct field_value *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        vmwrite(fields[i].field, fields[i].value);
}

#define WRITE_FIELDS(...)                                   \
    do {                                                    \
        const struct field_value fields_[] = {__VA_ARGS__}; \
        write_fields(fields_, ARRAY_SIZE(fields_));         \
    } while (0)

static uint16_t vpid_of(const struct vcpu *vcpu)
{
    /* A core runs one vCPU for good, so its number is as good a tag as any; 0 is the hypervisor's. */
    return (uint16_t)(vcpu->core + 1);
}

static void write_controls(struct vcpu *vcpu)
{
    const struct partition *partition = vcpu->partition;
    vcpu->primary_controls = vmx_caps.controls.primary;
    WRITE_FIELDS(
        {VMCS_PIN_CONTROLS, vmx_caps.controls.pin}, {VMCS_PRIMARY_CONTROLS, vcpu->primary_controls},
        {VMCS_SECONDARY_CONTROLS, vmx_caps.controls.secondary}, {VMCS_EXIT_CONTROLS, vmx_caps.controls.exit},
        {VMCS_EXCEPTION_BITMAP, EXCEPTIONS_INTERCEPTED}, {VMCS_PAGE_FAULT_ERROR_CODE_MASK, 0},
        {VMCS_PAGE_FAULT_ERROR_CODE_MATCH, 0}, {VMCS_CR3_TARGET_COUNT, 0}, {VMCS_EXIT_MSR_STORE_COUNT, 0},
        {VMCS_EXIT_MSR_LOAD_COUNT, 0}, {VMCS_ENTRY_MSR_LOAD_COUNT, 0},
        {VMCS_MSR_BITMAP, partition->msr_bitmap.value}, {VMCS_IO_BITMAP_A, partition->io_bitmap_a.value},
        {VMCS_IO_BITMAP_B, partition->io_bitmap_b.value}, {VMCS_EPT_POINTER, partition->ept_pointer},
        {VMCS_LINK_POINTER, NO_LINK_POINTER}, {VMCS_TSC_OFFSET, 0 - partition->decided_tsc});
    if (vmx_caps.vpid)
        vmwrite(VMCS_VPID, vpid_of(vcpu));
    vcpu->slice_ticks = vmx_timer_value(&vmx_caps, control_tsc_hz() / VCPU_SLICES_PER_SECOND);
    vmwrite(VMCS_PREEMPTION_TIMER_VALUE, vcpu->slice_ticks);
}

static void write_host(struct vcpu *vcpu)
{
    const struct core *core = this_core();
    WRITE_FIELDS({VMCS_HOST_CR0, cpu_read_cr0()}, {VMCS_HOST_CR3, cpu_read_cr3()},
                 {VMCS_HOST_CR4, cpu_read_cr4()}, {VMCS_HOST_CS_SELECTOR, SELECTOR_CODE},
                 {VMCS_HOST_SS_SELECTOR, SELECTOR_DATA}, {VMCS_HOST_DS_SELECTOR, SELECTOR_DATA},
                 {VMCS_HOST_ES_SELECTOR, SELECTOR_DATA}, {VMCS_HOST_FS_SELECTOR, 0},
                 {VMCS_HOST_GS_SELECTOR, 0}, {VMCS_HOST_TR_SELECTOR, SELECTOR_TSS}, {VMCS_HOST_FS_BASE, 0},
                 {VMCS_HOST_GS_BASE, (uintptr_t)core}, {VMCS_HOST_TR_BASE, (uintptr_t)&core->tss},
                 {VMCS_HOST_GDTR_BASE, (uintptr_t)core->gdt}, {VMCS_HOST_IDTR_BASE, traps_idt_base()},
                 {VMCS_HOST_SYSENTER_CS, 0}, {VMCS_HOST_SYSENTER_ESP, 0}, {VMCS_HOST_SYSENTER_EIP, 0},
                 {VMCS_HOST_EFER, cpu_rdmsr(MSR_EFER)}, {VMCS_HOST_PAT, cpu_rdmsr(MSR_PAT)},
                 {VMCS_HOST_RSP, (uintptr_t)&vcpu->gpr[GPR_COUNT]},
                 {VMCS_HOST_RIP, (uintptr_t)vmx_exit_entry});
}

/* CR0 and CR4: what the guest reads, what the processor runs with, and which bits a write of the guest must
 * exit for. */
static void write_control_registers(struct vcpu *vcpu, uint64_t cr0, uint64_t cr4)
{
    uint64_t cr0_owned = CR0_OWNED | vmx_guest_cr0_owned(&vmx_caps);
    uint64_t cr4_allowed = vmx_guest_cr4_allowed();
    vcpu->cr4_hidden = vmx_cr4_fit(&vmx_caps, CR4_VMXE) & ~cr4_allowed;
    WRITE_FIELDS({VMCS_CR0_GUEST_HOST_MASK, cr0_owned}, {VMCS_CR0_READ_SHADOW, cr0},
                 {VMCS_GUEST_CR0, vmx_guest_cr0_fit(&vmx_caps, cr0 & ~(CR0_NW | CR0_CD))},
                 {VMCS_CR4_GUEST_HOST_MASK, ~cr4_allowed | CR4_OSXSAVE | CR4_MCE},
                 {VMCS_CR4_READ_SHADOW, cr4}, {VMCS_GUEST_CR4, cr4 | vcpu->cr4_hidden | CR4_MCE});
}

/* What every start has in common. */
static void write_common_state(void)
{
    WRITE_FIELDS({VMCS_GUEST_DR7, DR7_RESET}, {VMCS_GUEST_DEBUGCTL, 0}, {VMCS_GUEST_PAT, PAT_RESET},
                 {VMCS_GUEST_RFLAGS, RFLAGS_FIXED}, {VMCS_GUEST_CR3, 0}, {VMCS_GUEST_RSP, 0},
                 {VMCS_GUEST_SYSENTER_CS, 0}, {VMCS_GUEST_SYSENTER_ESP, 0}, {VMCS_GUEST_SYSENTER_EIP, 0},
                 {VMCS_GUEST_INTERRUPTIBILITY, 0}, {VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_ACTIVE},
                 {VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0}, {VMCS_ENTRY_INTERRUPTION_INFO, 0},
                 {VMCS_GUEST_PDPTE0, 0}, {VMCS_GUEST_PDPTE1, 0}, {VMCS_GUEST_PDPTE2, 0},
                 {VMCS_GUEST_PDPTE3, 0});
}

struct segment {
    uint16_t selector;
    uint64_t base;
    uint32_t limit;
    uint32_t access_rights;
};

/* The fields of the eight segment registers lie two apart, in this order. */
enum segment_register {
    SEGMENT_ES,
    SEGMENT_CS,
    SEGMENT_SS,
    SEGMENT_DS,
    SEGMENT_FS,
    SEGMENT_GS,
    SEGMENT_LDTR,
    SEGMENT_TR
};

static void write_segment(enum segment_register which, struct segment segment)
{
    unsigned step = (unsigned)which * 2;
    vmwrite((enum vmcs_field)(VMCS_GUEST_ES_SELECTOR + step), segment.selector);
    vmwrite((enum vmcs_field)(VMCS_GUEST_ES_BASE + step), segment.base);
    vmwrite((enum vmcs_field)(VMCS_GUEST_ES_LIMIT + step), segment.limit);
    vmwrite((enum vmcs_field)(VMCS_GUEST_ES_ACCESS_RIGHTS + step), segment.access_rights);
}

#define RIGHTS_CODE_64  0xa09bu
#define RIGHTS_DATA     0xc093u
#define RIGHTS_CODE_16  0x9bu
#define RIGHTS_DATA_16  0x93u
#define RIGHTS_LDT      0x82u
#define RIGHTS_TSS_BUSY 0x8bu
#define RIGHTS_UNUSABLE 0x10000u
#define REAL_MODE_LIMIT 0xffffu
#define TSS_64_LIMIT    0x67u

/* vCPU 0: 64-bit mode as guest/abi.h promises. */
static void write_long_mode(struct vcpu *vcpu)
{
    const struct segment data = {FH_SELECTOR_DATA, 0, UINT32_MAX, RIGHTS_DATA};
    for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
        write_segment((enum segment_register)i, data);
    write_segment(SEGMENT_CS, (struct segment){FH_SELECTOR_CODE, 0, UINT32_MAX, RIGHTS_CODE_64});
    write_segment(SEGMENT_LDTR, (struct segment){0, 0, 0, RIGHTS_UNUSABLE});
    write_segment(SEGMENT_TR, (struct segment){FH_SELECTOR_TSS, 0, TSS_64_LIMIT, RIGHTS_TSS_BUSY});
    write_control_registers(vcpu, CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG, CR4_PAE);
    WRITE_FIELDS({VMCS_GUEST_CR3, FH_PAGE_TABLES}, {VMCS_GUEST_EFER, EFER_LME | EFER_LMA | EFER_NXE},
                 {VMCS_ENTRY_CONTROLS, vmx_caps.controls.entry | ENTRY_IA32E_GUEST},
                 {VMCS_GUEST_RIP, vcpu->partition->layout.entry}, {VMCS_GUEST_RSP, FH_STACK_TOP},
                 {VMCS_GUEST_GDTR_BASE, FH_GDT}, {VMCS_GUEST_GDTR_LIMIT, 5 * 8 - 1},
                 {VMCS_GUEST_IDTR_BASE, 0}, {VMCS_GUEST_IDTR_LIMIT, 0});
    vcpu->gpr[RDI] = FH_BOOT_INFO;
}

void vmx_vcpu_startup(struct vcpu *vcpu, uint8_t vector)
{
    const struct segment data = {0, 0, REAL_MODE_LIMIT, RIGHTS_DATA_16};
    write_common_state();
    for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
        write_segment((enum segment_register)i, data);
    write_segment(SEGMENT_CS, (struct segment){(uint16_t)(vector << 8), (uint64_t)vector << 12,
                                               REAL_MODE_LIMIT, RIGHTS_CODE_16});
    write_segment(SEGMENT_LDTR, (struct segment){0, 0, REAL_MODE_LIMIT, RIGHTS_LDT});
    write_segment(SEGMENT_TR, (struct segment){0, 0, REAL_MODE_LIMIT, RIGHTS_TSS_BUSY});
    write_control_registers(vcpu, CR0_AFTER_RESET, 0);
    WRITE_FIELDS({VMCS_GUEST_EFER, 0}, {VMCS_ENTRY_CONTROLS, vmx_caps.controls.entry & ~ENTRY_IA32E_GUEST},
                 {VMCS_GUEST_RIP, 0}, {VMCS_GUEST_GDTR_BASE, 0}, {VMCS_GUEST_GDTR_LIMIT, REAL_MODE_LIMIT},
                 {VMCS_GUEST_IDTR_BASE, 0}, {VMCS_GUEST_IDTR_LIMIT, REAL_MODE_LIMIT});
    memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
    vcpu->gpr[RDX] = vmx_cpuid_policy.signature; /* "Processor Signature" after INIT */
}

/* FPU, vector registers, debug registers, and the MSRs that no VM entry or exit switches. */
static void wipe_registers(void)
{
    static const uint32_t msrs[] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE};
    /* An XSAVE image whose header says that every component is in its initial state. */
    static const struct {
        uint16_t fcw;
        uint8_t unused[22];
        uint32_t mxcsr;
        uint8_t rest[548];
    } initial __attribute__((aligned(64))) = {.fcw = FCW_RESET, .mxcsr = MXCSR_RESET};
    _Static_assert(sizeof(initial) == 576, "legacy area and header");

    uint64_t xcr0 = vmx_cpuid_policy.xcr0_allowed;
    if (xcr0 != 0) {
        cpu_xsetbv(xcr0);
        cpu_xrstor(&initial, xcr0);
        cpu_xsetbv(XCR0_X87);
    } else {
        cpu_fxrstor(&initial);
    }
    for (uint32_t i = 0; i < ARRAY_SIZE(msrs); i++)
        cpu_wrmsr(msrs[i], 0);
    if (vmx_caps.rdtscp)
        cpu_wrmsr(MSR_TSC_AUX, 0);
    cpu_clear_breakpoints();
    cpu_write_dr6(DR6_RESET);
    cpu_write_cr2(0);
}

void vmx_flush_linear(const struct vcpu *vcpu)
{
    if (vmx_caps.invvpid_single_context)
        vmx_invvpid(INVVPID_SINGLE_CONTEXT, vpid_of(vcpu));
    else if (vmx_caps.vpid)
        vmx_invvpid(INVVPID_ALL_CONTEXTS, 0);
}

/* Forgets translations of whoever ran here before. */
static void flush_translations(const struct vcpu *vcpu)
{
    vmx_invept(vcpu->partition->ept_pointer);
    vmx_flush_linear(vcpu);
}

static void reset_counters(struct vcpu *vcpu)
{
    memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
    vcpu->exit = &vcpu->ring[CAPSULE_LAST_EXITS - 1];
    memset(vcpu->ring, 0, sizeof(vcpu->ring));
    vcpu->interrupt_window = vcpu->nmi_window = vcpu->nmi_pending = false;
    vcpu->step = STEP_NONE;
    vcpu->step_pages = 0;
    vcpu->xcr0 = XCR0_X87;
    vcpu->progress = 0;
    vcpu->limit_base_ticks = vcpu->ticks_run + vcpu->run_mark_serviced;
    vapic_reset(&vcpu->vapic);
    cpuid_table_init(&vcpu->cpuid, &vmx_cpuid_policy, vcpu->index, vcpu->partition->vcpu_count);
}

void vmx_vcpu_start(struct vcpu *vcpu)
{
    hpa_t vmcs = memory_frame(vcpu->vmcs);
    reset_counters(vcpu);
    memset(vcpu->vmcs, 0, FRAME_BYTES);
    *(uint32_t *)vcpu->vmcs = vmx_caps.revision_id;
    bool loaded = vmx_clear(vmcs) && vmx_load_pointer(vmcs);
    CHECK(loaded);
    vcpu->launched = false;
    write_controls(vcpu);
    write_host(vcpu);
    write_common_state();
    write_long_mode(vcpu);
    wipe_registers();
    flush_translations(vcpu);
    vcpu->activity = vcpu->index == 0 ? VCPU_RUNS : VCPU_WAITS_FOR_STARTUP;
}

void vmx_vcpu_init_reset(struct vcpu *vcpu)
{
    /* INIT leaves FPU state and MSRs as they are; the rest is written when the start-up comes. */
    if (vcpu->step != STEP_NONE)
        absent_close(vcpu);
    vapic_reset(&vcpu->vapic);
    vcpu->interrupt_window = vcpu->nmi_window = vcpu->nmi_pending = false;
    vcpu->primary_controls = vmx_caps.controls.primary;
    vmwrite(VMCS_PRIMARY_CONTROLS, vcpu->primary_controls);
    vcpu->activity = VCPU_WAITS_FOR_STARTUP;
}

void vmx_vcpu_stop(struct vcpu *vcpu)
{
    bool cleared = vmx_clear(memory_frame(vcpu->vmcs));
    CHECK(cleared);
    wipe_registers();
    flush_translations(vcpu);
    memory_window_close();
}
