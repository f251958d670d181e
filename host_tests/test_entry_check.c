/*
 * hv/entry_check.c: valid guests pass, every rule broken once is found and named with its field, garbage
 * never crashes. The table must cover every rule: a rule nobody breaks here fails the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "hv/entry_check.h"

#define HIGH(value) ((uint64_t)(value) << 32)
#define ALL         UINT64_MAX

/* A Skylake-X: see test_vmx_caps.c. */
static const struct vmx_msrs skylake = {
    .basic = 0x00DA040000000004,
    .pin = 0x000000FF00000016,
    .primary = 0xFFF9FFFE0401E172,
    .exit = 0x01FFFFFF00036DFF,
    .entry = 0x0003FFFF000011FF,
    .misc = 0x7004C1E7,
    .cr0_fixed0 = 0x80000021,
    .cr0_fixed1 = 0xFFFFFFFF,
    .cr4_fixed0 = 0x2000,
    .cr4_fixed1 = 0x3727FF,
    .secondary = 0x025D3FFF00000000,
    .ept_vpid_cap = 0x00000F0106734141,
    .true_pin = 0x000000FF00000016,
    .true_primary = 0xFFF9FFFE04006172,
    .true_exit = 0x01FFFFFF00036DFB,
    .true_entry = 0x0003FFFF000011FB,
    .vmfunc = 1,
};

static struct vmx_controls controls(void)
{
    struct vmx_caps caps;
    struct vmx_missing missing;
    assert_true(vmx_caps_check(&skylake, &caps, &missing));
    return caps.controls;
}

/* ------------------------------------------------------------------------------------------ valid states */

#define V(name) s->value[EF_##name]

static void set_segment(struct entry_state *s, uint32_t index, uint64_t selector, uint64_t base,
                        uint64_t limit, uint64_t rights)
{
    s->value[EF_ES_SELECTOR + index] = selector;
    s->value[EF_ES_BASE + index] = base;
    s->value[EF_ES_LIMIT + index] = limit;
    s->value[EF_ES_RIGHTS + index] = rights;
}

static void set_host(struct entry_state *s)
{
    struct vmx_controls c = controls();

    V(PIN) = c.pin;
    V(PRIMARY) = c.primary;
    V(SECONDARY) = c.secondary;
    V(EXIT) = c.exit;
    V(ENTRY) = c.entry;
    V(IO_BITMAP_A) = 0x100000;
    V(IO_BITMAP_B) = 0x101000;
    V(MSR_BITMAP) = 0x102000;
    V(VPID) = 1;
    V(EPTP) = 0x10300000 | 3 << 3 | MEMORY_TYPE_WB;
    V(HOST_CR0) = CR0_PE | CR0_NE | CR0_PG | CR0_WP;
    V(HOST_CR3) = 0x200000;
    V(HOST_CR4) = CR4_PAE | CR4_VMXE;
    V(HOST_PAT) = PAT_RESET;
    V(HOST_EFER) = EFER_LME | EFER_LMA | EFER_NXE;
    V(HOST_CS) = 0x08;
    V(HOST_TR) = 0x18;
    V(HOST_TR_BASE) = V(HOST_GDTR_BASE) = V(HOST_IDTR_BASE) = V(HOST_RIP) = 0xFFFFFFFF80000000;
}

static void set_long_mode(struct entry_state *s)
{
    V(CR0) = CR0_PE | CR0_NE | CR0_PG | CR0_ET;
    V(CR3) = 0x1000;
    V(CR4) = CR4_PAE | CR4_VMXE;
    V(DR7) = DR7_RESET;
    V(PAT) = PAT_RESET;
    V(EFER) = EFER_LME | EFER_LMA;
    set_segment(s, 1, 0x08, 0, 0xFFFFFFFF, 0xA09B);
    for (uint32_t i = 0; i < 6; i++)
        if (i != 1)
            set_segment(s, i, 0x10, 0, 0xFFFFFFFF, 0xC093);
    set_segment(s, 6, 0, 0, 0, ACCESS_RIGHTS_UNUSABLE);
    set_segment(s, 7, 0x18, 0x9000, 0x67, 0x8B);
    V(GDTR_BASE) = 0x8000;
    V(GDTR_LIMIT) = 0x27;
    V(IDTR_LIMIT) = 0xFFF;
    V(RIP) = 0x100000;
    V(RFLAGS) = RFLAGS_FIXED;
    V(LINK_POINTER) = VMCS_LINK_POINTER_NONE;
}

/* After a start-up IPI. */
static void set_real_mode(struct entry_state *s)
{
    V(ENTRY) &= ~(uint64_t)ENTRY_IA32E_GUEST;
    V(CR0) = CR0_NE | CR0_ET;
    V(CR3) = 0;
    V(CR4) = CR4_VMXE;
    V(EFER) = 0;
    set_segment(s, 1, 0x0B00, 0xB000, 0xFFFF, 0x9B);
    for (uint32_t i = 0; i < 6; i++)
        if (i != 1)
            set_segment(s, i, 0, 0, 0xFFFF, 0x93);
    set_segment(s, 6, 0, 0, 0xFFFF, 0x82);
    set_segment(s, 7, 0, 0, 0xFFFF, 0x8B);
    V(RIP) = 0;
}

static void set_v86(struct entry_state *s)
{
    set_real_mode(s);
    V(CR0) |= CR0_PE | CR0_PG;
    V(RFLAGS) |= RFLAGS_VM;
    for (uint32_t i = 0; i < 6; i++)
        set_segment(s, i, 0x1000 + i, (0x1000 + i) << 4, 0xFFFF, 0xF3);
}

enum base { LONG, REAL, V86 };

static struct entry_state valid_state(enum base base)
{
    struct entry_state state = {.msrs = &skylake, .physical_bits = 39, .linear_bits = 48, .vmcs = 0x300000};

    set_host(&state);
    set_long_mode(&state);
    if (base == REAL)
        set_real_mode(&state);
    if (base == V86)
        set_v86(&state);
    return state;
}

static void valid_states_pass(void **state)
{
    (void)state;
    for (enum base base = LONG; base <= V86; base++) {
        struct entry_state s = valid_state(base);
        struct entry_finding finding;
        bool good = entry_check(&s, &finding);
        if (!good)
            print_message("state %d: %s: %s: %s\n", (int)base, finding.section, finding.field, finding.text);
        assert_true(good);
        assert_int_equal(finding.rule, ENTRY_RULE_NONE);
    }
}

/* States at the edge of a rule, on its good side: a checker that is too strict names the wrong culprit. */
static void edges_of_validity_pass(void **state)
{
    struct entry_finding finding;
    struct entry_state st, *s = &st;

    (void)state;
    st = valid_state(LONG);
    V(RIP) = 0xFFFF000000000000; /* not canonical, but the upper bits are equal to each other */
    V(FS_BASE) = 0xFFFF800000000000;
    V(CR3) = (UINT64_C(1) << 39) - 1;
    V(EVENT) =
        INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION << 8 | INTERRUPTION_DELIVER_ERROR | VECTOR_GP;
    V(EVENT_ERROR_CODE) = 0xFFFF;
    V(EXIT_STORE_COUNT) = 1;
    V(EXIT_STORE) = (UINT64_C(1) << 39) - 16;
    assert_true(entry_check(s, &finding));

    st = valid_state(LONG);
    V(ACTIVITY) = ACTIVITY_HLT;
    V(EVENT) = INTERRUPTION_VALID | 0x40;
    V(RFLAGS) |= RFLAGS_IF;
    V(PENDING_DEBUG) = 0;
    assert_true(entry_check(s, &finding));

    st = valid_state(REAL);
    V(ACTIVITY) = ACTIVITY_WAIT_FOR_SIPI;
    assert_true(entry_check(s, &finding));

    st = valid_state(REAL); /* real mode: a general protection exception has no error code */
    V(EVENT) = INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION << 8 | VECTOR_GP;
    assert_true(entry_check(s, &finding));

    st = valid_state(LONG);
    V(INTERRUPTIBILITY) = INTERRUPTIBILITY_MOV_SS;
    V(RFLAGS) |= RFLAGS_TF;
    V(PENDING_DEBUG) = PENDING_DEBUG_BS;
    assert_true(entry_check(s, &finding));

    st = valid_state(LONG); /* secondary controls count only when they are active */
    V(PRIMARY) &= ~(uint64_t)PRIMARY_SECONDARY_CONTROLS;
    V(SECONDARY) = ALL;
    assert_true(entry_check(s, &finding));
}

/* ------------------------------------------------------------------------------------ each rule, broken once
 */

struct change {
    enum entry_field field;
    uint64_t clear, set;
};

struct breakage {
    enum entry_rule rule;
    enum entry_field field; /* that is named */
    enum base base;
    uint32_t count;
    struct change changes[5];
    void (*machine)(struct vmx_msrs *msrs); /* changes the processor, or NULL */
};

#define IS(name, value)         \
    {                           \
        EF_##name, ALL, (value) \
    }
#define ADD(name, bits)      \
    {                        \
        EF_##name, 0, (bits) \
    }
#define CUT(name, bits)      \
    {                        \
        EF_##name, (bits), 0 \
    }
#define COUNT(...) (sizeof((struct change[]){__VA_ARGS__}) / sizeof(struct change))
#define BREAK(rule, field, base, ...)                                                \
    {                                                                                \
        ENTRY_RULE_##rule, EF_##field, base, COUNT(__VA_ARGS__), {__VA_ARGS__}, NULL \
    }
#define BREAK_ON(machine, rule, field, base, ...)                                       \
    {                                                                                   \
        ENTRY_RULE_##rule, EF_##field, base, COUNT(__VA_ARGS__), {__VA_ARGS__}, machine \
    }

#define NO_UNRESTRICTED      CUT(SECONDARY, SECONDARY_UNRESTRICTED_GUEST)
#define EVENT_OF(type, bits) (INTERRUPTION_VALID | (uint64_t)(type) << INTERRUPTION_TYPE_SHIFT | (bits))

static void no_accessed_dirty(struct vmx_msrs *msrs)
{
    msrs->ept_vpid_cap &= ~(UINT64_C(1) << 21);
}

static void with_cet(struct vmx_msrs *msrs)
{
    msrs->cr4_fixed1 |= CR4_CET;
}

static void with_pml(struct vmx_msrs *msrs)
{
    msrs->secondary |= HIGH(SECONDARY_PML);
}

static void no_zero_length(struct vmx_msrs *msrs)
{
    msrs->misc &= ~(UINT64_C(1) << 30);
}

static void no_hlt_state(struct vmx_msrs *msrs)
{
    msrs->misc &= ~(UINT64_C(1) << 6);
}

static const struct breakage breakages[] = {
    BREAK(PIN_ALLOWED, PIN, LONG, CUT(PIN, 2)),
    BREAK(PIN_ALLOWED, PIN, LONG, ADD(PIN, 1u << 8)),
    BREAK(PRIMARY_ALLOWED, PRIMARY, LONG, ADD(PRIMARY, 1)),
    BREAK(SECONDARY_ALLOWED, SECONDARY, LONG, ADD(SECONDARY, 1u << 31)),
    BREAK(CR3_TARGETS, CR3_TARGET_COUNT, LONG, IS(CR3_TARGET_COUNT, 5)),
    BREAK(IO_BITMAPS, IO_BITMAP_A, LONG, ADD(IO_BITMAP_A, 0x800)),
    BREAK(IO_BITMAPS, IO_BITMAP_B, LONG, ADD(IO_BITMAP_B, UINT64_C(1) << 39)),
    BREAK(MSR_BITMAP, MSR_BITMAP, LONG, ADD(MSR_BITMAP, 1)),
    BREAK(VIRTUAL_APIC, VIRTUAL_APIC, LONG, ADD(PRIMARY, PRIMARY_TPR_SHADOW), IS(VIRTUAL_APIC, 0x10)),
    BREAK(TPR_THRESHOLD, TPR_THRESHOLD, LONG, ADD(PRIMARY, PRIMARY_TPR_SHADOW), IS(TPR_THRESHOLD, 0x10)),
    BREAK(NMI_EXITING, PIN, LONG, CUT(PIN, PIN_NMI_EXITING)),
    BREAK(VIRTUAL_NMIS, PRIMARY, LONG, CUT(PIN, PIN_VIRTUAL_NMIS), ADD(PRIMARY, PRIMARY_NMI_WINDOW_EXITING)),
    BREAK(APIC_ACCESS, APIC_ACCESS, LONG, ADD(SECONDARY, SECONDARY_VIRTUALIZE_APIC_ACCESSES),
          IS(APIC_ACCESS, 1)),
    BREAK(TPR_SHADOW, SECONDARY, LONG, ADD(SECONDARY, SECONDARY_VIRTUALIZE_X2APIC)),
    BREAK(X2APIC_MODE, SECONDARY, LONG, ADD(PRIMARY, PRIMARY_TPR_SHADOW),
          ADD(SECONDARY, SECONDARY_VIRTUALIZE_X2APIC | SECONDARY_VIRTUALIZE_APIC_ACCESSES)),
    BREAK(INTERRUPT_DELIVERY, PIN, LONG, ADD(PRIMARY, PRIMARY_TPR_SHADOW),
          ADD(SECONDARY, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY), CUT(PIN, PIN_EXTERNAL_INTERRUPT_EXITING)),
    BREAK(POSTED_NEEDS, PIN, LONG, ADD(PIN, PIN_POSTED_INTERRUPTS)),
    BREAK(POSTED_VECTOR, POSTED_VECTOR, LONG, ADD(PIN, PIN_POSTED_INTERRUPTS),
          ADD(PRIMARY, PRIMARY_TPR_SHADOW), ADD(SECONDARY, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY),
          IS(POSTED_VECTOR, 0x100)),
    BREAK(POSTED_DESCRIPTOR, POSTED_DESCRIPTOR, LONG, ADD(PIN, PIN_POSTED_INTERRUPTS),
          ADD(PRIMARY, PRIMARY_TPR_SHADOW), ADD(SECONDARY, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY),
          IS(POSTED_DESCRIPTOR, 32)),
    BREAK(VPID_ZERO, VPID, LONG, IS(VPID, 0)),
    BREAK(EPTP_MEMORY_TYPE, EPTP, LONG, CUT(EPTP, 7), ADD(EPTP, MEMORY_TYPE_WT)),
    BREAK(EPTP_WALK, EPTP, LONG, CUT(EPTP, 0x38), ADD(EPTP, 4 << 3)),
    BREAK_ON(no_accessed_dirty, EPTP_ACCESSED_DIRTY, EPTP, LONG, ADD(EPTP, EPTP_ACCESSED_DIRTY)),
    BREAK(EPTP_RESERVED, EPTP, LONG, ADD(EPTP, 0x800)),
    BREAK(EPTP_RESERVED, EPTP, LONG, ADD(EPTP, UINT64_C(1) << 40)),
    BREAK_ON(with_pml, PML_NEEDS, SECONDARY, LONG, ADD(SECONDARY, SECONDARY_PML),
             CUT(SECONDARY, SECONDARY_EPT)),
    BREAK_ON(with_pml, PML_ADDRESS, PML, LONG, ADD(SECONDARY, SECONDARY_PML), IS(PML, 8)),
    BREAK(UNRESTRICTED_NEEDS, SECONDARY, LONG, CUT(SECONDARY, SECONDARY_EPT)),
    BREAK(EXIT_ALLOWED, EXIT, LONG, CUT(EXIT, 1)),
    BREAK(TIMER_NEEDS, EXIT, LONG, CUT(PIN, PIN_PREEMPTION_TIMER)),
    BREAK(EXIT_STORE, EXIT_STORE, LONG, IS(EXIT_STORE_COUNT, 1), IS(EXIT_STORE, 8)),
    BREAK(EXIT_LOAD, EXIT_LOAD, LONG, IS(EXIT_LOAD_COUNT, 2), IS(EXIT_LOAD, (UINT64_C(1) << 39) - 16)),
    BREAK(ENTRY_ALLOWED, ENTRY, LONG, CUT(ENTRY, 1)),
    BREAK(EVENT_TYPE, EVENT, LONG, IS(EVENT, EVENT_OF(INTERRUPTION_RESERVED, 0))),
    BREAK(EVENT_VECTOR, EVENT, LONG, IS(EVENT, EVENT_OF(INTERRUPTION_NMI, 3))),
    BREAK(EVENT_VECTOR, EVENT, LONG, IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, 32))),
    BREAK(EVENT_VECTOR, EVENT, LONG, IS(EVENT, EVENT_OF(INTERRUPTION_OTHER_EVENT, 1))),
    BREAK(EVENT_NO_ERROR_CODE, EVENT, LONG,
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, INTERRUPTION_DELIVER_ERROR | VECTOR_UD))),
    BREAK(EVENT_NO_ERROR_CODE, EVENT, LONG,
          IS(EVENT, EVENT_OF(INTERRUPTION_EXTERNAL, INTERRUPTION_DELIVER_ERROR | 0x40))),
    BREAK(EVENT_NO_ERROR_CODE, EVENT, REAL,
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, INTERRUPTION_DELIVER_ERROR | VECTOR_GP))),
    BREAK(EVENT_NEEDS_ERROR_CODE, EVENT, LONG,
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, VECTOR_GP))),
    BREAK(EVENT_RESERVED, EVENT, LONG, IS(EVENT, EVENT_OF(INTERRUPTION_EXTERNAL, 1u << 12))),
    BREAK(EVENT_ERROR_CODE, EVENT_ERROR_CODE, LONG,
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, INTERRUPTION_DELIVER_ERROR | VECTOR_GP)),
          IS(EVENT_ERROR_CODE, 0x10000)),
    BREAK(EVENT_LENGTH, EVENT_LENGTH, LONG, IS(EVENT, EVENT_OF(INTERRUPTION_SOFTWARE_INTERRUPT, 0x80)),
          IS(EVENT_LENGTH, 16)),
    BREAK_ON(no_zero_length, EVENT_LENGTH, EVENT_LENGTH, LONG,
             IS(EVENT, EVENT_OF(INTERRUPTION_SOFTWARE_EXCEPTION, VECTOR_BP))),
    BREAK(ENTRY_LOAD, ENTRY_LOAD, LONG, IS(ENTRY_LOAD_COUNT, 0xFFFFFFFF), IS(ENTRY_LOAD, ALL - 15)),
    BREAK(ENTRY_SMM, ENTRY, LONG, ADD(ENTRY, ENTRY_TO_SMM)),
    BREAK(HOST_CR0_FIXED, HOST_CR0, LONG, CUT(HOST_CR0, CR0_NE)),
    BREAK(HOST_CR4_FIXED, HOST_CR4, LONG, ADD(HOST_CR4, CR4_PKE)),
    BREAK(HOST_CR3_WIDTH, HOST_CR3, LONG, ADD(HOST_CR3, UINT64_C(1) << 39)),
    BREAK(HOST_SYSENTER, HOST_SYSENTER_ESP, LONG, IS(HOST_SYSENTER_ESP, UINT64_C(1) << 47)),
    BREAK(HOST_SYSENTER, HOST_SYSENTER_EIP, LONG, IS(HOST_SYSENTER_EIP, UINT64_C(1) << 63)),
    BREAK(HOST_PAT_TYPES, HOST_PAT, LONG, IS(HOST_PAT, 0x0207040600070406)),
    BREAK(HOST_EFER_RESERVED, HOST_EFER, LONG, ADD(HOST_EFER, 2)),
    BREAK(HOST_EFER_LONG, HOST_EFER, LONG, CUT(HOST_EFER, EFER_LME)),
    BREAK(HOST_SELECTOR_BITS, HOST_SS, LONG, IS(HOST_SS, 0x13)),
    BREAK(HOST_SELECTOR_BITS, HOST_TR, LONG, IS(HOST_TR, 0x1C)),
    BREAK(HOST_SELECTOR_NULL, HOST_CS, LONG, IS(HOST_CS, 0)),
    BREAK(HOST_SELECTOR_NULL, HOST_TR, LONG, IS(HOST_TR, 0)),
    BREAK(HOST_BASE, HOST_GS_BASE, LONG, IS(HOST_GS_BASE, 0x800000000000)),
    BREAK(HOST_BASE, HOST_IDTR_BASE, LONG, IS(HOST_IDTR_BASE, 0x800000000000)),
    BREAK(HOST_64_BIT, EXIT, LONG, CUT(EXIT, EXIT_HOST_64_BIT), IS(HOST_EFER, 0)),
    BREAK(HOST_PAE, HOST_CR4, LONG, CUT(HOST_CR4, CR4_PAE)),
    BREAK(HOST_RIP, HOST_RIP, LONG, IS(HOST_RIP, 0x800000000000)),
    BREAK(CR0_FIXED, CR0, LONG, CUT(CR0, CR0_NE)),
    BREAK(CR0_FIXED, CR0, LONG, CUT(CR0, CR0_PG), NO_UNRESTRICTED),
    BREAK(CR0_FIXED, CR0, LONG, ADD(CR0, UINT64_C(1) << 32)),
    BREAK(CR0_PAGING, CR0, REAL, ADD(CR0, CR0_PG)),
    BREAK(CR4_FIXED, CR4, LONG, CUT(CR4, CR4_VMXE)),
    BREAK(CR4_FIXED, CR4, LONG, ADD(CR4, CR4_LA57)),
    BREAK_ON(with_cet, CR4_CET, CR4, LONG, ADD(CR4, CR4_CET)),
    BREAK(DEBUGCTL, DEBUGCTL, LONG, IS(DEBUGCTL, 8)),
    BREAK(LONG_MODE_PAGING, CR0, LONG, CUT(CR0, CR0_PG)),
    BREAK(LONG_MODE_PAE, CR4, LONG, CUT(CR4, CR4_PAE)),
    BREAK(PCID, CR4, REAL, ADD(CR4, CR4_PCIDE)),
    BREAK(CR3_WIDTH, CR3, LONG, ADD(CR3, UINT64_C(1) << 63)),
    BREAK(DR7_HIGH, DR7, LONG, ADD(DR7, UINT64_C(1) << 32)),
    BREAK(SYSENTER, SYSENTER_ESP, LONG, IS(SYSENTER_ESP, 0x800000000000)),
    BREAK(SYSENTER, SYSENTER_EIP, LONG, IS(SYSENTER_EIP, 0x800000000000)),
    BREAK(PAT_TYPES, PAT, LONG, IS(PAT, 0x0007040600070403)),
    BREAK(PAT_TYPES, PAT, LONG, IS(PAT, 0x0007040600070486)),
    BREAK(EFER_RESERVED, EFER, LONG, ADD(EFER, UINT64_C(1) << 12)),
    BREAK(EFER_LMA, EFER, LONG, CUT(EFER, EFER_LMA)),
    BREAK(EFER_LME, EFER, LONG, CUT(EFER, EFER_LME)),
    BREAK(TR_TABLE, TR_SELECTOR, LONG, ADD(TR_SELECTOR, 4)),
    BREAK(LDTR_TABLE, LDTR_SELECTOR, REAL, ADD(LDTR_SELECTOR, 4)),
    BREAK(SS_RPL, SS_SELECTOR, LONG, NO_UNRESTRICTED, ADD(SS_SELECTOR, 3)),
    BREAK(V86_BASE, GS_BASE, V86, ADD(GS_BASE, 1)),
    BREAK(BASE_CANONICAL, TR_BASE, LONG, IS(TR_BASE, 0x800000000000)),
    BREAK(BASE_CANONICAL, FS_BASE, LONG, IS(FS_BASE, 0x800000000000)),
    BREAK(BASE_CANONICAL, GS_BASE, LONG, IS(GS_BASE, 0x800000000000)),
    BREAK(BASE_CANONICAL, LDTR_BASE, REAL, IS(LDTR_BASE, 0x800000000000)),
    BREAK(BASE_HIGH, CS_BASE, LONG, IS(CS_BASE, UINT64_C(1) << 32)),
    BREAK(BASE_HIGH, SS_BASE, LONG, IS(SS_BASE, UINT64_C(1) << 32)),
    BREAK(BASE_HIGH, DS_BASE, LONG, IS(DS_BASE, UINT64_C(1) << 32)),
    BREAK(BASE_HIGH, ES_BASE, LONG, IS(ES_BASE, UINT64_C(1) << 32)),
    BREAK(V86_LIMIT, FS_LIMIT, V86, IS(FS_LIMIT, 0xFFFFF)),
    BREAK(V86_RIGHTS, CS_RIGHTS, V86, IS(CS_RIGHTS, 0xFB)),
    BREAK(CS_TYPE, CS_RIGHTS, LONG, IS(CS_RIGHTS, 0xA09A)),
    BREAK(CS_TYPE, CS_RIGHTS, LONG, NO_UNRESTRICTED, IS(CS_RIGHTS, 0xA093)),
    BREAK(SS_TYPE, SS_RIGHTS, LONG, IS(SS_RIGHTS, 0xC09B)),
    BREAK(DATA_TYPE, ES_RIGHTS, LONG, IS(ES_RIGHTS, 0xC092)),
    BREAK(DATA_TYPE, GS_RIGHTS, LONG, IS(GS_RIGHTS, 0xC099)),
    BREAK(CODE_OR_DATA, CS_RIGHTS, LONG, IS(CS_RIGHTS, 0xA08B)),
    BREAK(CODE_OR_DATA, DS_RIGHTS, LONG, IS(DS_RIGHTS, 0xC083)),
    BREAK(CS_DPL_DATA, CS_RIGHTS, REAL, IS(CS_RIGHTS, 0xB3)),
    BREAK(CS_DPL, CS_RIGHTS, LONG, IS(CS_RIGHTS, 0xA0FB)),
    BREAK(CS_DPL_CONFORMING, CS_RIGHTS, LONG, IS(CS_RIGHTS, 0xA0FF)),
    BREAK(SS_DPL, SS_RIGHTS, LONG, NO_UNRESTRICTED, IS(SS_RIGHTS, 0xC0F3), IS(CS_RIGHTS, 0xA0FB)),
    BREAK(SS_DPL_REAL, SS_RIGHTS, REAL, IS(SS_RIGHTS, 0xF3), IS(CS_RIGHTS, 0xFB)),
    BREAK(SS_DPL_REAL, SS_RIGHTS, LONG, IS(SS_RIGHTS, 0xC0F3), IS(CS_RIGHTS, 0xA093)),
    BREAK(DATA_DPL, FS_RIGHTS, LONG, NO_UNRESTRICTED, IS(FS_SELECTOR, 0x13)),
    BREAK(PRESENT, CS_RIGHTS, LONG, CUT(CS_RIGHTS, 0x80)),
    BREAK(PRESENT, TR_RIGHTS, LONG, CUT(TR_RIGHTS, 0x80)),
    BREAK(PRESENT, LDTR_RIGHTS, REAL, CUT(LDTR_RIGHTS, 0x80)),
    BREAK(RIGHTS_RESERVED, SS_RIGHTS, LONG, ADD(SS_RIGHTS, 0x100)),
    BREAK(RIGHTS_RESERVED, TR_RIGHTS, LONG, ADD(TR_RIGHTS, 0x20000)),
    BREAK(CS_BIG, CS_RIGHTS, LONG, ADD(CS_RIGHTS, 0x4000)),
    BREAK(GRANULARITY_LOW, ES_RIGHTS, LONG, IS(ES_LIMIT, 0xFFFFFFFE)),
    BREAK(GRANULARITY_HIGH, ES_RIGHTS, LONG, CUT(ES_RIGHTS, 0x8000)),
    BREAK(GRANULARITY_LOW, TR_RIGHTS, LONG, ADD(TR_RIGHTS, 0x8000)),
    BREAK(TR_TYPE, TR_RIGHTS, LONG, IS(TR_RIGHTS, 0x83)),
    BREAK(TR_TYPE, TR_RIGHTS, REAL, IS(TR_RIGHTS, 0x89)),
    BREAK(LDTR_TYPE, LDTR_RIGHTS, REAL, IS(LDTR_RIGHTS, 0x83)),
    BREAK(SYSTEM_SEGMENT, TR_RIGHTS, LONG, ADD(TR_RIGHTS, 0x10)),
    BREAK(SYSTEM_SEGMENT, LDTR_RIGHTS, REAL, ADD(LDTR_RIGHTS, 0x10)),
    BREAK(TR_USABLE, TR_RIGHTS, LONG, ADD(TR_RIGHTS, ACCESS_RIGHTS_UNUSABLE)),
    BREAK(TABLE_BASE, GDTR_BASE, LONG, IS(GDTR_BASE, 0x800000000000)),
    BREAK(TABLE_BASE, IDTR_BASE, LONG, IS(IDTR_BASE, 0x800000000000)),
    BREAK(TABLE_LIMIT, GDTR_LIMIT, LONG, IS(GDTR_LIMIT, 0x10000)),
    BREAK(TABLE_LIMIT, IDTR_LIMIT, LONG, IS(IDTR_LIMIT, 0x10000)),
    BREAK(RIP_HIGH, RIP, REAL, IS(RIP, UINT64_C(1) << 32)),
    BREAK(RIP_HIGH, RIP, LONG, IS(CS_RIGHTS, 0xC09B), IS(RIP, UINT64_C(1) << 32)),
    BREAK(RIP_WIDTH, RIP, LONG, IS(RIP, UINT64_C(1) << 48)),
    BREAK(RFLAGS_RESERVED, RFLAGS, LONG, IS(RFLAGS, 0)),
    BREAK(RFLAGS_RESERVED, RFLAGS, LONG, ADD(RFLAGS, 1u << 22)),
    BREAK(RFLAGS_VM, RFLAGS, V86, CUT(CR0, CR0_PE | CR0_PG)),
    BREAK(RFLAGS_IF, RFLAGS, LONG, IS(EVENT, EVENT_OF(INTERRUPTION_EXTERNAL, 0x40))),
    BREAK(ACTIVITY_KNOWN, ACTIVITY, LONG, IS(ACTIVITY, 4)),
    BREAK(ACTIVITY_KNOWN, ACTIVITY, LONG, IS(ACTIVITY, ALL)),
    BREAK_ON(no_hlt_state, ACTIVITY_KNOWN, ACTIVITY, LONG, IS(ACTIVITY, ACTIVITY_HLT)),
    BREAK(ACTIVITY_HLT_DPL, ACTIVITY, LONG, IS(ACTIVITY, ACTIVITY_HLT), IS(SS_RIGHTS, 0xC0F3),
          IS(CS_RIGHTS, 0xA0FB)),
    BREAK(ACTIVITY_BLOCKING, ACTIVITY, LONG, IS(ACTIVITY, ACTIVITY_HLT),
          IS(INTERRUPTIBILITY, INTERRUPTIBILITY_STI), ADD(RFLAGS, RFLAGS_IF)),
    BREAK(ACTIVITY_EVENT, ACTIVITY, LONG, IS(ACTIVITY, ACTIVITY_HLT),
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, VECTOR_UD))),
    BREAK(ACTIVITY_EVENT, ACTIVITY, REAL, IS(ACTIVITY, ACTIVITY_WAIT_FOR_SIPI),
          IS(EVENT, EVENT_OF(INTERRUPTION_NMI, VECTOR_NMI))),
    BREAK(BLOCKING_RESERVED, INTERRUPTIBILITY, LONG, IS(INTERRUPTIBILITY, 0x20)),
    BREAK(BLOCKING_BOTH, INTERRUPTIBILITY, LONG, IS(INTERRUPTIBILITY, 3), ADD(RFLAGS, RFLAGS_IF)),
    BREAK(BLOCKING_STI, INTERRUPTIBILITY, LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_STI)),
    BREAK(BLOCKING_EXTERNAL, INTERRUPTIBILITY, LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_STI),
          ADD(RFLAGS, RFLAGS_IF), IS(EVENT, EVENT_OF(INTERRUPTION_EXTERNAL, 0x40))),
    BREAK(BLOCKING_NMI, INTERRUPTIBILITY, LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_NMI),
          IS(EVENT, EVENT_OF(INTERRUPTION_NMI, VECTOR_NMI))),
    BREAK(BLOCKING_SMI, INTERRUPTIBILITY, LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_SMI)),
    BREAK(BLOCKING_ENCLAVE, INTERRUPTIBILITY, LONG,
          IS(INTERRUPTIBILITY, INTERRUPTIBILITY_ENCLAVE | INTERRUPTIBILITY_MOV_SS)),
    BREAK(DEBUG_RESERVED, PENDING_DEBUG, LONG, IS(PENDING_DEBUG, 0x10)),
    BREAK(DEBUG_STEP, PENDING_DEBUG, LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS),
          ADD(RFLAGS, RFLAGS_TF)),
    BREAK(DEBUG_STEP, PENDING_DEBUG, LONG, IS(ACTIVITY, ACTIVITY_HLT), IS(PENDING_DEBUG, PENDING_DEBUG_BS)),
    BREAK(DEBUG_RTM, PENDING_DEBUG, LONG, IS(PENDING_DEBUG, PENDING_DEBUG_RTM | 1)),
    BREAK(LINK_POINTER, LINK_POINTER, LONG, IS(LINK_POINTER, 0x300000)),
    BREAK(LINK_POINTER, LINK_POINTER, LONG, IS(LINK_POINTER, 0x300008)),
    BREAK(PDPTE_RESERVED, PDPTE2, REAL, ADD(CR0, CR0_PE | CR0_PG), ADD(CR4, CR4_PAE), IS(PDPTE2, 0x1003)),
    BREAK(PDPTE_RESERVED, PDPTE0, REAL, ADD(CR0, CR0_PE | CR0_PG), ADD(CR4, CR4_PAE),
          IS(PDPTE0, UINT64_C(1) << 39 | 1)),
};

static bool run_breakage(const struct breakage *b, struct entry_finding *finding)
{
    struct entry_state s = valid_state(b->base);
    struct vmx_msrs msrs = skylake;

    if (b->machine != NULL)
        b->machine(&msrs);
    s.msrs = &msrs;
    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t *value = &s.value[b->changes[i].field];
        *value = (*value & ~b->changes[i].clear) | b->changes[i].set;
    }
    return entry_check(&s, finding);
}

static void every_rule_is_found_and_named(void **state)
{
    static const char *const field_names[] = {
#define NAME(name, field, text) text,
        ENTRY_FIELDS(NAME)
#undef NAME
    };
    static const char *const rule_names[] = {"none",
#define NAME(rule, section, text) #rule,
                                             ENTRY_RULES(NAME)
#undef NAME
    };
    bool seen[ENTRY_RULE_COUNT] = {true};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(breakages); i++) {
        const struct breakage *b = &breakages[i];
        struct entry_finding finding;
        bool good = run_breakage(b, &finding);
        if (good || finding.rule != b->rule)
            fail_msg("%s: found %s at %s", rule_names[b->rule], rule_names[finding.rule], finding.field);
        assert_string_equal(finding.field, field_names[b->field]);
        assert_true(strlen(finding.text) > 8 && strncmp(finding.section, "Checks ", 7) == 0);
        seen[b->rule] = true;
    }
    for (size_t i = 0; i < ENTRY_RULE_COUNT; i++)
        if (!seen[i])
            fail_msg("nobody breaks %s", rule_names[i]);
}

/* -------------------------------------------------------------------------------------------------- garbage
 */

static uint64_t random_u64(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_bit_flips_never_crash(void **state)
{
    uint64_t seed = 0x2545F4914F6CDD1D;
    uint32_t hits[ENTRY_RULE_COUNT] = {0}, different = 0;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        struct entry_state s = valid_state((enum base)(i % 3));
        struct vmx_msrs msrs = skylake;
        struct entry_finding finding;
        if (i % 7 == 0)
            ((uint64_t *)(void *)&msrs)[random_u64(&seed) % (sizeof(msrs) / 8)] = random_u64(&seed);
        if (i % 11 == 0)
            s.physical_bits = (uint32_t)random_u64(&seed) % 70;
        if (i % 13 == 0)
            s.linear_bits = (uint32_t)random_u64(&seed) % 70;
        s.msrs = &msrs;
        for (uint64_t flips = random_u64(&seed) % 5; flips > 0; flips--)
            s.value[random_u64(&seed) % ENTRY_FIELD_COUNT] ^= UINT64_C(1) << random_u64(&seed) % 64;
        bool good = entry_check(&s, &finding);
        assert_int_equal(good, finding.rule == ENTRY_RULE_NONE);
        assert_true(finding.rule < ENTRY_RULE_COUNT);
        different += hits[finding.rule]++ == 0;
    }
    assert_true(different > 60);
}

static uint64_t fake_read(void *context, uint32_t field)
{
    (*(uint32_t *)context)++;
    return field;
}

static void every_field_is_read_once(void **state)
{
    struct entry_state s = {0};
    uint32_t reads = 0;

    (void)state;
    entry_state_read(&s, fake_read, &reads);
    assert_int_equal(reads, ENTRY_FIELD_COUNT);
    assert_int_equal(s.value[EF_CR0], VMCS_GUEST_CR0);
    assert_int_equal(s.value[EF_TR_RIGHTS], VMCS_GUEST_TR_ACCESS_RIGHTS);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(s.value[EF_ES_SELECTOR + i], VMCS_GUEST_ES_SELECTOR + 2 * i);
        assert_int_equal(s.value[EF_ES_BASE + i], VMCS_GUEST_ES_BASE + 2 * i);
        assert_int_equal(s.value[EF_ES_LIMIT + i], VMCS_GUEST_ES_LIMIT + 2 * i);
        assert_int_equal(s.value[EF_ES_RIGHTS + i], VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * i);
    }
}

/* --------------------------------------------------------------------------------------------------
 * sentences */

static void failures_read_as_sentences(void **state)
{
    struct entry_finding finding;
    char text[300], cut[20];
    struct entry_state s = valid_state(LONG);

    (void)state;
    s.value[EF_CS_RIGHTS] |= 0x4000;
    assert_false(entry_check(&s, &finding));
    size_t length = entry_failure_describe(text, sizeof(text), 33, 0, &finding);
    assert_string_equal(
        text, "VM entry failed: invalid guest state; guest CS access rights 0xe09b: D/B must be 0 in a "
              "64-bit code segment (\"Checks on Guest Segment Registers\")");
    assert_int_equal(length, strlen(text));
    assert_int_equal(entry_failure_describe(cut, sizeof(cut), 33, 0, &finding), length);
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
    assert_memory_equal(cut, text, sizeof(cut) - 1);

    entry_failure_describe(text, sizeof(text), 0, 7, NULL);
    assert_string_equal(text, "VM entry failed: error 7, VM entry with invalid control fields");
    entry_failure_describe(text, sizeof(text), 34, 3, NULL);
    assert_string_equal(text, "VM entry failed: entry 3 of the MSR-load list was refused");
    s = valid_state(LONG);
    assert_true(entry_check(&s, &finding));
    entry_failure_describe(text, sizeof(text), 41, 0, &finding);
    assert_string_equal(text, "VM entry failed: machine check during the entry; no broken rule found");
    entry_failure_describe(text, sizeof(text), 33, 4, NULL);
    assert_string_equal(text, "VM entry failed: invalid guest state, VMCS link pointer");
}

static void instruction_errors_have_names(void **state)
{
    uint32_t known = 0;

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        known += strcmp(vm_instruction_error_name(i), "unknown error") != 0;
    assert_int_equal(known, 25);
    assert_string_equal(vm_instruction_error_name(8), "VM entry with invalid host-state fields");
    assert_string_equal(vm_instruction_error_name(28), "invalid operand to INVEPT or INVVPID");
    assert_string_equal(vm_instruction_error_name(14), "unknown error");
    assert_string_equal(vm_instruction_error_name(UINT32_MAX), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_states_pass),
        cmocka_unit_test(edges_of_validity_pass),
        cmocka_unit_test(every_rule_is_found_and_named),
        cmocka_unit_test(random_bit_flips_never_crash),
        cmocka_unit_test(every_field_is_read_once),
        cmocka_unit_test(failures_read_as_sentences),
        cmocka_unit_test(instruction_errors_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
