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

#include "host_tests/support/entry_states.h"

#define HIGH(value) ((uint64_t)(value) << 32)
#define ALL         UINT64_MAX
#define V(name)     s->value[EF_##name]

static void valid_states_pass(void **state)
{
    (void)state;
    for (enum entry_base base = ENTRY_LONG; base <= ENTRY_V86; base++) {
        struct entry_state s = entry_valid_state(base);
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
    st = entry_valid_state(ENTRY_LONG);
    V(RIP) = 0xFFFF000000000000; /* not canonical, but the upper bits are equal to each other */
    V(FS_BASE) = 0xFFFF800000000000;
    V(CR3) = (UINT64_C(1) << 39) - 1;
    V(EVENT) =
        INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION << 8 | INTERRUPTION_DELIVER_ERROR | VECTOR_GP;
    V(EVENT_ERROR_CODE) = 0xFFFF;
    V(EXIT_STORE_COUNT) = 1;
    V(EXIT_STORE) = (UINT64_C(1) << 39) - 16;
    assert_true(entry_check(s, &finding));

    st = entry_valid_state(ENTRY_LONG);
    V(ACTIVITY) = ACTIVITY_HLT;
    V(EVENT) = INTERRUPTION_VALID | 0x40;
    V(RFLAGS) |= RFLAGS_IF;
    V(PENDING_DEBUG) = 0;
    assert_true(entry_check(s, &finding));

    st = entry_valid_state(ENTRY_REAL);
    V(ACTIVITY) = ACTIVITY_WAIT_FOR_SIPI;
    assert_true(entry_check(s, &finding));

    st = entry_valid_state(ENTRY_REAL); /* real mode: a general protection exception has no error code */
    V(EVENT) = INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION << 8 | VECTOR_GP;
    assert_true(entry_check(s, &finding));

    st = entry_valid_state(ENTRY_LONG);
    V(INTERRUPTIBILITY) = INTERRUPTIBILITY_MOV_SS;
    V(RFLAGS) |= RFLAGS_TF;
    V(PENDING_DEBUG) = PENDING_DEBUG_BS;
    assert_true(entry_check(s, &finding));

    st = entry_valid_state(ENTRY_LONG); /* the largest values that are still right */
    V(PRIMARY) |= PRIMARY_TPR_SHADOW;
    V(TPR_THRESHOLD) = 0xF;
    V(GDTR_LIMIT) = V(IDTR_LIMIT) = 0xFFFF;
    V(EVENT) = INTERRUPTION_VALID | INTERRUPTION_SOFTWARE_INTERRUPT << 8 | 0x80;
    V(EVENT_LENGTH) = 15;
    assert_true(entry_check(s, &finding));
    V(SECONDARY) |= SECONDARY_VIRTUAL_INTERRUPT_DELIVERY; /* then the threshold does not matter */
    V(TPR_THRESHOLD) = 0x10;
    V(PIN) |= PIN_POSTED_INTERRUPTS;
    V(POSTED_VECTOR) = 0xFF;
    assert_true(entry_check(s, &finding));
    s->linear_bits = 64; /* every address is canonical */
    V(FS_BASE) = UINT64_C(1) << 62;
    assert_true(entry_check(s, &finding));

    st = entry_valid_state(ENTRY_LONG); /* secondary controls count only when they are active */
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
    enum entry_base base;
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
    BREAK(PIN_ALLOWED, PIN, ENTRY_LONG, CUT(PIN, 2)),
    BREAK(PIN_ALLOWED, PIN, ENTRY_LONG, ADD(PIN, 1u << 8)),
    BREAK(PRIMARY_ALLOWED, PRIMARY, ENTRY_LONG, ADD(PRIMARY, 1)),
    BREAK(SECONDARY_ALLOWED, SECONDARY, ENTRY_LONG, ADD(SECONDARY, 1u << 31)),
    BREAK(CR3_TARGETS, CR3_TARGET_COUNT, ENTRY_LONG, IS(CR3_TARGET_COUNT, 5)),
    BREAK(IO_BITMAPS, IO_BITMAP_A, ENTRY_LONG, ADD(IO_BITMAP_A, 0x800)),
    BREAK(IO_BITMAPS, IO_BITMAP_B, ENTRY_LONG, ADD(IO_BITMAP_B, UINT64_C(1) << 39)),
    BREAK(MSR_BITMAP, MSR_BITMAP, ENTRY_LONG, ADD(MSR_BITMAP, 1)),
    BREAK(VIRTUAL_APIC, VIRTUAL_APIC, ENTRY_LONG, ADD(PRIMARY, PRIMARY_TPR_SHADOW), IS(VIRTUAL_APIC, 0x10)),
    BREAK(TPR_THRESHOLD, TPR_THRESHOLD, ENTRY_LONG, ADD(PRIMARY, PRIMARY_TPR_SHADOW),
          IS(TPR_THRESHOLD, 0x10)),
    BREAK(NMI_EXITING, PIN, ENTRY_LONG, CUT(PIN, PIN_NMI_EXITING)),
    BREAK(VIRTUAL_NMIS, PRIMARY, ENTRY_LONG, CUT(PIN, PIN_VIRTUAL_NMIS),
          ADD(PRIMARY, PRIMARY_NMI_WINDOW_EXITING)),
    BREAK(APIC_ACCESS, APIC_ACCESS, ENTRY_LONG, ADD(SECONDARY, SECONDARY_VIRTUALIZE_APIC_ACCESSES),
          IS(APIC_ACCESS, 1)),
    BREAK(TPR_SHADOW, SECONDARY, ENTRY_LONG, ADD(SECONDARY, SECONDARY_VIRTUALIZE_X2APIC)),
    BREAK(X2APIC_MODE, SECONDARY, ENTRY_LONG, ADD(PRIMARY, PRIMARY_TPR_SHADOW),
          ADD(SECONDARY, SECONDARY_VIRTUALIZE_X2APIC | SECONDARY_VIRTUALIZE_APIC_ACCESSES)),
    BREAK(INTERRUPT_DELIVERY, PIN, ENTRY_LONG, ADD(PRIMARY, PRIMARY_TPR_SHADOW),
          ADD(SECONDARY, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY), CUT(PIN, PIN_EXTERNAL_INTERRUPT_EXITING)),
    BREAK(POSTED_NEEDS, PIN, ENTRY_LONG, ADD(PIN, PIN_POSTED_INTERRUPTS)),
    BREAK(POSTED_VECTOR, POSTED_VECTOR, ENTRY_LONG, ADD(PIN, PIN_POSTED_INTERRUPTS),
          ADD(PRIMARY, PRIMARY_TPR_SHADOW), ADD(SECONDARY, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY),
          IS(POSTED_VECTOR, 0x100)),
    BREAK(POSTED_DESCRIPTOR, POSTED_DESCRIPTOR, ENTRY_LONG, ADD(PIN, PIN_POSTED_INTERRUPTS),
          ADD(PRIMARY, PRIMARY_TPR_SHADOW), ADD(SECONDARY, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY),
          IS(POSTED_DESCRIPTOR, 32)),
    BREAK(VPID_ZERO, VPID, ENTRY_LONG, IS(VPID, 0)),
    BREAK(EPTP_MEMORY_TYPE, EPTP, ENTRY_LONG, CUT(EPTP, 7), ADD(EPTP, MEMORY_TYPE_WT)),
    BREAK(EPTP_WALK, EPTP, ENTRY_LONG, CUT(EPTP, 0x38), ADD(EPTP, 4 << 3)),
    BREAK_ON(no_accessed_dirty, EPTP_FLAGS, EPTP, ENTRY_LONG, ADD(EPTP, EPTP_ACCESSED_DIRTY)),
    BREAK(EPTP_RESERVED, EPTP, ENTRY_LONG, ADD(EPTP, 0x800)),
    BREAK(EPTP_RESERVED, EPTP, ENTRY_LONG, ADD(EPTP, UINT64_C(1) << 40)),
    BREAK_ON(with_pml, PML_NEEDS, SECONDARY, ENTRY_LONG, ADD(SECONDARY, SECONDARY_PML),
             CUT(SECONDARY, SECONDARY_EPT)),
    BREAK_ON(with_pml, PML_ADDRESS, PML, ENTRY_LONG, ADD(SECONDARY, SECONDARY_PML), IS(PML, 8)),
    BREAK(UNRESTRICTED_NEEDS, SECONDARY, ENTRY_LONG, CUT(SECONDARY, SECONDARY_EPT)),
    BREAK(EXIT_ALLOWED, EXIT, ENTRY_LONG, CUT(EXIT, 1)),
    BREAK(TIMER_NEEDS, EXIT, ENTRY_LONG, CUT(PIN, PIN_PREEMPTION_TIMER)),
    BREAK(EXIT_STORE, EXIT_STORE, ENTRY_LONG, IS(EXIT_STORE_COUNT, 1), IS(EXIT_STORE, 8)),
    BREAK(EXIT_LOAD, EXIT_LOAD, ENTRY_LONG, IS(EXIT_LOAD_COUNT, 2), IS(EXIT_LOAD, (UINT64_C(1) << 39) - 16)),
    BREAK(ENTRY_ALLOWED, ENTRY, ENTRY_LONG, CUT(ENTRY, 1)),
    BREAK(EVENT_TYPE, EVENT, ENTRY_LONG, IS(EVENT, EVENT_OF(INTERRUPTION_RESERVED, 0))),
    BREAK(EVENT_VECTOR, EVENT, ENTRY_LONG, IS(EVENT, EVENT_OF(INTERRUPTION_NMI, 3))),
    BREAK(EVENT_VECTOR, EVENT, ENTRY_LONG, IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, 32))),
    BREAK(EVENT_VECTOR, EVENT, ENTRY_LONG, IS(EVENT, EVENT_OF(INTERRUPTION_OTHER_EVENT, 1))),
    BREAK(EVENT_NO_ERROR_CODE, EVENT, ENTRY_LONG,
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, INTERRUPTION_DELIVER_ERROR | VECTOR_UD))),
    BREAK(EVENT_NO_ERROR_CODE, EVENT, ENTRY_LONG,
          IS(EVENT, EVENT_OF(INTERRUPTION_EXTERNAL, INTERRUPTION_DELIVER_ERROR | 0x40))),
    BREAK(EVENT_NO_ERROR_CODE, EVENT, ENTRY_REAL,
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, INTERRUPTION_DELIVER_ERROR | VECTOR_GP))),
    BREAK(EVENT_NEEDS_ERROR_CODE, EVENT, ENTRY_LONG,
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, VECTOR_GP))),
    BREAK(EVENT_RESERVED, EVENT, ENTRY_LONG, IS(EVENT, EVENT_OF(INTERRUPTION_EXTERNAL, 1u << 12))),
    BREAK(EVENT_ERROR_CODE, EVENT_ERROR_CODE, ENTRY_LONG,
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, INTERRUPTION_DELIVER_ERROR | VECTOR_GP)),
          IS(EVENT_ERROR_CODE, 0x10000)),
    BREAK(EVENT_LENGTH, EVENT_LENGTH, ENTRY_LONG, IS(EVENT, EVENT_OF(INTERRUPTION_SOFTWARE_INTERRUPT, 0x80)),
          IS(EVENT_LENGTH, 16)),
    BREAK_ON(no_zero_length, EVENT_LENGTH, EVENT_LENGTH, ENTRY_LONG,
             IS(EVENT, EVENT_OF(INTERRUPTION_SOFTWARE_EXCEPTION, VECTOR_BP))),
    BREAK(ENTRY_LOAD, ENTRY_LOAD, ENTRY_LONG, IS(ENTRY_LOAD_COUNT, 0xFFFFFFFF), IS(ENTRY_LOAD, ALL - 15)),
    BREAK(ENTRY_SMM, ENTRY, ENTRY_LONG, ADD(ENTRY, ENTRY_TO_SMM)),
    BREAK(HOST_CR0_FIXED, HOST_CR0, ENTRY_LONG, CUT(HOST_CR0, CR0_NE)),
    BREAK(HOST_CR4_FIXED, HOST_CR4, ENTRY_LONG, ADD(HOST_CR4, CR4_PKE)),
    BREAK(HOST_CR3_WIDTH, HOST_CR3, ENTRY_LONG, ADD(HOST_CR3, UINT64_C(1) << 39)),
    BREAK(HOST_SYSENTER, HOST_SYSENTER_ESP, ENTRY_LONG, IS(HOST_SYSENTER_ESP, UINT64_C(1) << 47)),
    BREAK(HOST_SYSENTER, HOST_SYSENTER_EIP, ENTRY_LONG, IS(HOST_SYSENTER_EIP, UINT64_C(1) << 63)),
    BREAK(HOST_PAT_TYPES, HOST_PAT, ENTRY_LONG, IS(HOST_PAT, 0x0207040600070406)),
    BREAK(HOST_EFER_RESERVED, HOST_EFER, ENTRY_LONG, ADD(HOST_EFER, 2)),
    BREAK(HOST_EFER_LONG, HOST_EFER, ENTRY_LONG, CUT(HOST_EFER, EFER_LME)),
    BREAK(HOST_SELECTOR_BITS, HOST_SS, ENTRY_LONG, IS(HOST_SS, 0x13)),
    BREAK(HOST_SELECTOR_BITS, HOST_TR, ENTRY_LONG, IS(HOST_TR, 0x1C)),
    BREAK(HOST_SELECTOR_NULL, HOST_CS, ENTRY_LONG, IS(HOST_CS, 0)),
    BREAK(HOST_SELECTOR_NULL, HOST_TR, ENTRY_LONG, IS(HOST_TR, 0)),
    BREAK(HOST_BASE, HOST_GS_BASE, ENTRY_LONG, IS(HOST_GS_BASE, 0x800000000000)),
    BREAK(HOST_BASE, HOST_IDTR_BASE, ENTRY_LONG, IS(HOST_IDTR_BASE, 0x800000000000)),
    BREAK(HOST_64_BIT, EXIT, ENTRY_LONG, CUT(EXIT, EXIT_HOST_64_BIT), IS(HOST_EFER, 0)),
    BREAK(HOST_PAE, HOST_CR4, ENTRY_LONG, CUT(HOST_CR4, CR4_PAE)),
    BREAK(HOST_RIP, HOST_RIP, ENTRY_LONG, IS(HOST_RIP, 0x800000000000)),
    BREAK(CR0_FIXED, CR0, ENTRY_LONG, CUT(CR0, CR0_NE)),
    BREAK(CR0_FIXED, CR0, ENTRY_LONG, CUT(CR0, CR0_PG), NO_UNRESTRICTED),
    BREAK(CR0_FIXED, CR0, ENTRY_LONG, ADD(CR0, UINT64_C(1) << 32)),
    BREAK(CR0_PAGING, CR0, ENTRY_REAL, ADD(CR0, CR0_PG)),
    BREAK(CR4_FIXED, CR4, ENTRY_LONG, CUT(CR4, CR4_VMXE)),
    BREAK(CR4_FIXED, CR4, ENTRY_LONG, ADD(CR4, CR4_LA57)),
    BREAK_ON(with_cet, CR4_CET, CR4, ENTRY_LONG, ADD(CR4, CR4_CET)),
    BREAK(DEBUGCTL, DEBUGCTL, ENTRY_LONG, IS(DEBUGCTL, 8)),
    BREAK(LONG_MODE_PAGING, CR0, ENTRY_LONG, CUT(CR0, CR0_PG)),
    BREAK(LONG_MODE_PAE, CR4, ENTRY_LONG, CUT(CR4, CR4_PAE)),
    BREAK(PCID, CR4, ENTRY_REAL, ADD(CR4, CR4_PCIDE)),
    BREAK(CR3_WIDTH, CR3, ENTRY_LONG, ADD(CR3, UINT64_C(1) << 63)),
    BREAK(DR7_HIGH, DR7, ENTRY_LONG, ADD(DR7, UINT64_C(1) << 32)),
    BREAK(SYSENTER, SYSENTER_ESP, ENTRY_LONG, IS(SYSENTER_ESP, 0x800000000000)),
    BREAK(SYSENTER, SYSENTER_EIP, ENTRY_LONG, IS(SYSENTER_EIP, 0x800000000000)),
    BREAK(PAT_TYPES, PAT, ENTRY_LONG, IS(PAT, 0x0007040600070403)),
    BREAK(PAT_TYPES, PAT, ENTRY_LONG, IS(PAT, 0x0007040600070486)),
    BREAK(EFER_RESERVED, EFER, ENTRY_LONG, ADD(EFER, UINT64_C(1) << 12)),
    BREAK(EFER_LMA, EFER, ENTRY_LONG, CUT(EFER, EFER_LMA)),
    BREAK(EFER_LME, EFER, ENTRY_LONG, CUT(EFER, EFER_LME)),
    BREAK(TR_TABLE, TR_SELECTOR, ENTRY_LONG, ADD(TR_SELECTOR, 4)),
    BREAK(LDTR_TABLE, LDTR_SELECTOR, ENTRY_REAL, ADD(LDTR_SELECTOR, 4)),
    BREAK(SS_RPL, SS_SELECTOR, ENTRY_LONG, NO_UNRESTRICTED, ADD(SS_SELECTOR, 3)),
    BREAK(V86_BASE, GS_BASE, ENTRY_V86, ADD(GS_BASE, 1)),
    BREAK(BASE_CANONICAL, TR_BASE, ENTRY_LONG, IS(TR_BASE, 0x800000000000)),
    BREAK(BASE_CANONICAL, FS_BASE, ENTRY_LONG, IS(FS_BASE, 0x800000000000)),
    BREAK(BASE_CANONICAL, GS_BASE, ENTRY_LONG, IS(GS_BASE, 0x800000000000)),
    BREAK(BASE_CANONICAL, LDTR_BASE, ENTRY_REAL, IS(LDTR_BASE, 0x800000000000)),
    BREAK(BASE_HIGH, CS_BASE, ENTRY_LONG, IS(CS_BASE, UINT64_C(1) << 32)),
    BREAK(BASE_HIGH, SS_BASE, ENTRY_LONG, IS(SS_BASE, UINT64_C(1) << 32)),
    BREAK(BASE_HIGH, DS_BASE, ENTRY_LONG, IS(DS_BASE, UINT64_C(1) << 32)),
    BREAK(BASE_HIGH, ES_BASE, ENTRY_LONG, IS(ES_BASE, UINT64_C(1) << 32)),
    BREAK(V86_LIMIT, FS_LIMIT, ENTRY_V86, IS(FS_LIMIT, 0xFFFFF)),
    BREAK(V86_RIGHTS, CS_RIGHTS, ENTRY_V86, IS(CS_RIGHTS, 0xFB)),
    BREAK(CS_TYPE, CS_RIGHTS, ENTRY_LONG, IS(CS_RIGHTS, 0xA09A)),
    BREAK(CS_TYPE, CS_RIGHTS, ENTRY_LONG, NO_UNRESTRICTED, IS(CS_RIGHTS, 0xA093)),
    BREAK(SS_TYPE, SS_RIGHTS, ENTRY_LONG, IS(SS_RIGHTS, 0xC09B)),
    BREAK(DATA_TYPE, ES_RIGHTS, ENTRY_LONG, IS(ES_RIGHTS, 0xC092)),
    BREAK(DATA_TYPE, GS_RIGHTS, ENTRY_LONG, IS(GS_RIGHTS, 0xC099)),
    BREAK(CODE_OR_DATA, CS_RIGHTS, ENTRY_LONG, IS(CS_RIGHTS, 0xA08B)),
    BREAK(CODE_OR_DATA, DS_RIGHTS, ENTRY_LONG, IS(DS_RIGHTS, 0xC083)),
    BREAK(CS_DPL_DATA, CS_RIGHTS, ENTRY_REAL, IS(CS_RIGHTS, 0xB3)),
    BREAK(CS_DPL, CS_RIGHTS, ENTRY_LONG, IS(CS_RIGHTS, 0xA0FB)),
    BREAK(CS_DPL_CONFORMING, CS_RIGHTS, ENTRY_LONG, IS(CS_RIGHTS, 0xA0FF)),
    BREAK(SS_DPL, SS_RIGHTS, ENTRY_LONG, NO_UNRESTRICTED, IS(SS_RIGHTS, 0xC0F3), IS(CS_RIGHTS, 0xA0FB)),
    BREAK(SS_DPL_REAL, SS_RIGHTS, ENTRY_REAL, IS(SS_RIGHTS, 0xF3), IS(CS_RIGHTS, 0xFB)),
    BREAK(SS_DPL_REAL, SS_RIGHTS, ENTRY_LONG, IS(SS_RIGHTS, 0xC0F3), IS(CS_RIGHTS, 0xA093)),
    BREAK(DATA_DPL, FS_RIGHTS, ENTRY_LONG, NO_UNRESTRICTED, IS(FS_SELECTOR, 0x13)),
    BREAK(PRESENT, CS_RIGHTS, ENTRY_LONG, CUT(CS_RIGHTS, 0x80)),
    BREAK(PRESENT, TR_RIGHTS, ENTRY_LONG, CUT(TR_RIGHTS, 0x80)),
    BREAK(PRESENT, LDTR_RIGHTS, ENTRY_REAL, CUT(LDTR_RIGHTS, 0x80)),
    BREAK(RIGHTS_RESERVED, SS_RIGHTS, ENTRY_LONG, ADD(SS_RIGHTS, 0x100)),
    BREAK(RIGHTS_RESERVED, TR_RIGHTS, ENTRY_LONG, ADD(TR_RIGHTS, 0x20000)),
    BREAK(CS_BIG, CS_RIGHTS, ENTRY_LONG, ADD(CS_RIGHTS, 0x4000)),
    BREAK(GRANULARITY_LOW, ES_RIGHTS, ENTRY_LONG, IS(ES_LIMIT, 0xFFFFFFFE)),
    BREAK(GRANULARITY_HIGH, ES_RIGHTS, ENTRY_LONG, CUT(ES_RIGHTS, 0x8000)),
    BREAK(GRANULARITY_LOW, TR_RIGHTS, ENTRY_LONG, ADD(TR_RIGHTS, 0x8000)),
    BREAK(TR_TYPE, TR_RIGHTS, ENTRY_LONG, IS(TR_RIGHTS, 0x83)),
    BREAK(TR_TYPE, TR_RIGHTS, ENTRY_REAL, IS(TR_RIGHTS, 0x89)),
    BREAK(LDTR_TYPE, LDTR_RIGHTS, ENTRY_REAL, IS(LDTR_RIGHTS, 0x83)),
    BREAK(SYSTEM_SEGMENT, TR_RIGHTS, ENTRY_LONG, ADD(TR_RIGHTS, 0x10)),
    BREAK(SYSTEM_SEGMENT, LDTR_RIGHTS, ENTRY_REAL, ADD(LDTR_RIGHTS, 0x10)),
    BREAK(TR_USABLE, TR_RIGHTS, ENTRY_LONG, ADD(TR_RIGHTS, ACCESS_RIGHTS_UNUSABLE)),
    BREAK(TABLE_BASE, GDTR_BASE, ENTRY_LONG, IS(GDTR_BASE, 0x800000000000)),
    BREAK(TABLE_BASE, IDTR_BASE, ENTRY_LONG, IS(IDTR_BASE, 0x800000000000)),
    BREAK(TABLE_LIMIT, GDTR_LIMIT, ENTRY_LONG, IS(GDTR_LIMIT, 0x10000)),
    BREAK(TABLE_LIMIT, IDTR_LIMIT, ENTRY_LONG, IS(IDTR_LIMIT, 0x10000)),
    BREAK(RIP_HIGH, RIP, ENTRY_REAL, IS(RIP, UINT64_C(1) << 32)),
    BREAK(RIP_HIGH, RIP, ENTRY_LONG, IS(CS_RIGHTS, 0xC09B), IS(RIP, UINT64_C(1) << 32)),
    BREAK(RIP_WIDTH, RIP, ENTRY_LONG, IS(RIP, UINT64_C(1) << 48)),
    BREAK(RFLAGS_RESERVED, RFLAGS, ENTRY_LONG, IS(RFLAGS, 0)),
    BREAK(RFLAGS_RESERVED, RFLAGS, ENTRY_LONG, ADD(RFLAGS, 1u << 22)),
    BREAK(RFLAGS_VM, RFLAGS, ENTRY_V86, CUT(CR0, CR0_PE | CR0_PG)),
    BREAK(RFLAGS_IF, RFLAGS, ENTRY_LONG, IS(EVENT, EVENT_OF(INTERRUPTION_EXTERNAL, 0x40))),
    BREAK(ACTIVITY_KNOWN, ACTIVITY, ENTRY_LONG, IS(ACTIVITY, 4)),
    BREAK(ACTIVITY_KNOWN, ACTIVITY, ENTRY_LONG, IS(ACTIVITY, ALL)),
    BREAK_ON(no_hlt_state, ACTIVITY_KNOWN, ACTIVITY, ENTRY_LONG, IS(ACTIVITY, ACTIVITY_HLT)),
    BREAK(ACTIVITY_HLT_DPL, ACTIVITY, ENTRY_LONG, IS(ACTIVITY, ACTIVITY_HLT), IS(SS_RIGHTS, 0xC0F3),
          IS(CS_RIGHTS, 0xA0FB)),
    BREAK(ACTIVITY_BLOCKING, ACTIVITY, ENTRY_LONG, IS(ACTIVITY, ACTIVITY_HLT),
          IS(INTERRUPTIBILITY, INTERRUPTIBILITY_STI), ADD(RFLAGS, RFLAGS_IF)),
    BREAK(ACTIVITY_EVENT, ACTIVITY, ENTRY_LONG, IS(ACTIVITY, ACTIVITY_HLT),
          IS(EVENT, EVENT_OF(INTERRUPTION_HARDWARE_EXCEPTION, VECTOR_UD))),
    BREAK(ACTIVITY_EVENT, ACTIVITY, ENTRY_REAL, IS(ACTIVITY, ACTIVITY_WAIT_FOR_SIPI),
          IS(EVENT, EVENT_OF(INTERRUPTION_NMI, VECTOR_NMI))),
    BREAK(BLOCKING_RESERVED, INTERRUPTIBILITY, ENTRY_LONG, IS(INTERRUPTIBILITY, 0x20)),
    BREAK(BLOCKING_BOTH, INTERRUPTIBILITY, ENTRY_LONG, IS(INTERRUPTIBILITY, 3), ADD(RFLAGS, RFLAGS_IF)),
    BREAK(BLOCKING_STI, INTERRUPTIBILITY, ENTRY_LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_STI)),
    BREAK(BLOCKING_EXTERNAL, INTERRUPTIBILITY, ENTRY_LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_STI),
          ADD(RFLAGS, RFLAGS_IF), IS(EVENT, EVENT_OF(INTERRUPTION_EXTERNAL, 0x40))),
    BREAK(BLOCKING_NMI, INTERRUPTIBILITY, ENTRY_LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_NMI),
          IS(EVENT, EVENT_OF(INTERRUPTION_NMI, VECTOR_NMI))),
    BREAK(BLOCKING_SMI, INTERRUPTIBILITY, ENTRY_LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_SMI)),
    BREAK(BLOCKING_ENCLAVE, INTERRUPTIBILITY, ENTRY_LONG,
          IS(INTERRUPTIBILITY, INTERRUPTIBILITY_ENCLAVE | INTERRUPTIBILITY_MOV_SS)),
    BREAK(DEBUG_RESERVED, PENDING_DEBUG, ENTRY_LONG, IS(PENDING_DEBUG, 0x10)),
    BREAK(DEBUG_STEP, PENDING_DEBUG, ENTRY_LONG, IS(INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS),
          ADD(RFLAGS, RFLAGS_TF)),
    BREAK(DEBUG_STEP, PENDING_DEBUG, ENTRY_LONG, IS(ACTIVITY, ACTIVITY_HLT),
          IS(PENDING_DEBUG, PENDING_DEBUG_BS)),
    BREAK(DEBUG_RTM, PENDING_DEBUG, ENTRY_LONG, IS(PENDING_DEBUG, PENDING_DEBUG_RTM | 1)),
    BREAK(LINK_POINTER, LINK_POINTER, ENTRY_LONG, IS(LINK_POINTER, 0x300000)),
    BREAK(LINK_POINTER, LINK_POINTER, ENTRY_LONG, IS(LINK_POINTER, 0x300008)),
    BREAK(PDPTE_RESERVED, PDPTE2, ENTRY_REAL, ADD(CR0, CR0_PE | CR0_PG), ADD(CR4, CR4_PAE),
          IS(PDPTE2, 0x1003)),
    BREAK(PDPTE_RESERVED, PDPTE0, ENTRY_REAL, ADD(CR0, CR0_PE | CR0_PG), ADD(CR4, CR4_PAE),
          IS(PDPTE0, UINT64_C(1) << 39 | 1)),
};

static bool run_breakage(const struct breakage *b, struct entry_finding *finding)
{
    struct entry_state s = entry_valid_state(b->base);
    struct vmx_msrs msrs = entry_skylake;

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
        struct entry_state s = entry_valid_state((enum entry_base)(i % 3));
        struct vmx_msrs msrs = entry_skylake;
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
    struct entry_state s = entry_valid_state(ENTRY_LONG);

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
    s = entry_valid_state(ENTRY_LONG);
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
