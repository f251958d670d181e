/*
 * The manual's checks at VM entry, redone over values read back. Each function is one group of rules in the
 * manual's order; REQUIRE leaves at the first broken one. Must never read the VMCS or memory by itself, nor
 * trust a value: all of them may be garbage, that is why we are here.
 */
#include "hv/entry_check.h"

#include "hv/fmt.h"

#define MISC_CR3_TARGETS_SHIFT 16
#define MISC_CR3_TARGETS_MASK  UINT64_C(0x1FF)
#define MISC_ACTIVITY_SHIFT    5 /* bit 5 + state, from HLT (1) */
#define MISC_ZERO_LENGTH       (UINT64_C(1) << 30)
#define BASIC_TRUE_CONTROLS    (UINT64_C(1) << 55)
#define BASIC_ANY_ERROR_CODE   (UINT64_C(1) << 56)
#define EPT_CAP_WALK_4         (UINT64_C(1) << 6)
#define EPT_CAP_WALK_5         (UINT64_C(1) << 7)
#define EPT_CAP_UNCACHED       (UINT64_C(1) << 8)
#define EPT_CAP_WRITE_BACK     (UINT64_C(1) << 14)
#define EPT_CAP_ACCESSED_DIRTY (UINT64_C(1) << 21)

#define SELECTOR_RPL           UINT64_C(3)
#define SELECTOR_TI            UINT64_C(4)
#define DEBUGCTL_RESERVED      (~UINT64_C(0xFFC7))
#define PENDING_DEBUG_RESERVED UINT64_C(0xFFFFFFFFFFFEA7F0)
#define PDPTE_PRESENT          UINT64_C(1)
#define PDPTE_RESERVED         UINT64_C(0x1E6) /* bits 2:1 and 8:5 */
#define V86_LIMIT              0xFFFFu
#define V86_RIGHTS             0xF3u
#define MSR_LIST_ENTRY_BYTES   16u
#define INSTRUCTION_LENGTH_MAX 15u

#define SEGMENT_COUNT 6 /* ES, CS, SS, DS, FS, GS; then LDTR, TR */

struct check {
    const struct entry_state *s;
    struct entry_finding *finding;
};

static const uint32_t fields[ENTRY_FIELD_COUNT] = {
#define ENTRY_ENCODING(name, field, text) [EF_##name] = field,
    ENTRY_FIELDS(ENTRY_ENCODING)
#undef ENTRY_ENCODING
};

static const char *const field_names[ENTRY_FIELD_COUNT] = {
#define ENTRY_NAME(name, field, text) [EF_##name] = text,
    ENTRY_FIELDS(ENTRY_NAME)
#undef ENTRY_NAME
};

enum section {
#define ENTRY_ENUMERATOR(name, text) SECTION_##name,
    ENTRY_SECTIONS(ENTRY_ENUMERATOR)
#undef ENTRY_ENUMERATOR
};

static const char *const section_titles[] = {
#define ENTRY_TITLE(name, text) [SECTION_##name] = text,
    ENTRY_SECTIONS(ENTRY_TITLE)
#undef ENTRY_TITLE
};

static const struct {
    enum section section;
    const char *text;
} rules[ENTRY_RULE_COUNT] = {
#define ENTRY_RULE(rule, in_section, words) [ENTRY_RULE_##rule] = {SECTION_##in_section, words},
    ENTRY_RULES(ENTRY_RULE)
#undef ENTRY_RULE
};

static bool broken(const struct check *c, enum entry_rule rule, enum entry_field field)
{
    *c->finding = (struct entry_finding){
        .rule = rule,
        .section = section_titles[rules[rule].section],
        .text = rules[rule].text,
        .field = field_names[field],
        .value = c->s->value[field],
    };
    return false;
}

/* The value of a field; and a rule about one, that ends the check when it does not hold. */
#define V(name) (c->s->value[EF_##name])
#define LEAVE_UNLESS(holds, rule, field)   \
    do {                                   \
        if (!(holds))                      \
            return broken(c, rule, field); \
    } while (0)
#define REQUIRE_AT(rule, field, holds) LEAVE_UNLESS(holds, ENTRY_RULE_##rule, field)
#define REQUIRE(rule, name, holds)     LEAVE_UNLESS(holds, ENTRY_RULE_##rule, EF_##name)

/* ------------------------------------------------------------------------------------------------- common */

static bool allowed(uint64_t controls, uint64_t capability)
{
    uint32_t word = (uint32_t)controls;
    return (word & ~(uint32_t)(capability >> 32)) == 0 && (~word & (uint32_t)capability) == 0;
}

static bool exact_capabilities(const struct check *c)
{
    return c->s->msrs->basic & BASIC_TRUE_CONTROLS;
}

static bool inside_width(const struct check *c, uint64_t address)
{
    return c->s->physical_bits >= 64 || address >> c->s->physical_bits == 0;
}

static bool good_address(const struct check *c, uint64_t address, uint64_t align)
{
    return is_aligned(address, align) && inside_width(c, address);
}

/* A list of `count` MSR entries; empty ones are not looked at. */
static bool good_msr_list(const struct check *c, uint64_t address, uint64_t count)
{
    uint64_t bytes = (uint32_t)count * UINT64_C(16);
    if (bytes == 0)
        return true;
    return good_address(c, address, MSR_LIST_ENTRY_BYTES) && address + bytes - 1 >= address &&
           inside_width(c, address + bytes - 1);
}

static bool canonical(const struct check *c, uint64_t address)
{
    uint32_t bits = c->s->linear_bits;
    if (bits == 0 || bits >= 64)
        return true;
    uint64_t top = address >> (bits - 1);
    return top == 0 || top == UINT64_MAX >> (bits - 1);
}

static bool good_pat(uint64_t pat)
{
    const uint32_t good_types = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7;
    for (int i = 0; i < 8; i++) {
        uint64_t type = pat >> (8 * i) & 0xFF;
        if (type > 7 || !(good_types >> type & 1))
            return false;
    }
    return true;
}

static uint32_t secondary(const struct check *c)
{
    return V(PRIMARY) & PRIMARY_SECONDARY_CONTROLS ? (uint32_t)V(SECONDARY) : 0;
}

static bool unrestricted(const struct check *c)
{
    return secondary(c) & SECONDARY_UNRESTRICTED_GUEST;
}

static bool long_mode(const struct check *c)
{
    return V(ENTRY) & ENTRY_IA32E_GUEST;
}

/* Whether an event of that type (and any vector) is to be injected. */
static bool injects(const struct check *c, enum interruption_type type)
{
    return V(EVENT) & INTERRUPTION_VALID &&
           (V(EVENT) & INTERRUPTION_TYPE_MASK) >> INTERRUPTION_TYPE_SHIFT == type;
}

static bool injects_exception(const struct check *c, enum exception_vector vector)
{
    return injects(c, INTERRUPTION_HARDWARE_EXCEPTION) && (V(EVENT) & INTERRUPTION_VECTOR_MASK) == vector;
}

/* ------------------------------------------------------------------------------ control fields and host
 * state */

static bool check_eptp(const struct check *c)
{
    uint64_t cap = c->s->msrs->ept_vpid_cap, eptp = V(EPTP);
    uint64_t type = eptp & EPTP_MEMORY_TYPE_MASK;
    uint64_t walk = (eptp & EPTP_WALK_LENGTH_MASK) >> EPTP_WALK_LENGTH_SHIFT;

    REQUIRE(EPTP_MEMORY_TYPE, EPTP,
            (type == MEMORY_TYPE_WB && cap & EPT_CAP_WRITE_BACK) ||
                (type == MEMORY_TYPE_UC && cap & EPT_CAP_UNCACHED));
    REQUIRE(EPTP_WALK, EPTP, (walk == 3 && cap & EPT_CAP_WALK_4) || (walk == 4 && cap & EPT_CAP_WALK_5));
    REQUIRE(EPTP_FLAGS, EPTP, !(eptp & EPTP_ACCESSED_DIRTY) || cap & EPT_CAP_ACCESSED_DIRTY);
    REQUIRE(EPTP_RESERVED, EPTP,
            (eptp & (EPTP_SUPERVISOR_SHADOW | EPTP_RESERVED_LOW)) == 0 && inside_width(c, eptp));
    return true;
}

static bool check_apic_controls(const struct check *c)
{
    uint32_t pin = (uint32_t)V(PIN), second = secondary(c);
    bool shadow = V(PRIMARY) & PRIMARY_TPR_SHADOW;
    bool delivery = second & SECONDARY_VIRTUAL_INTERRUPT_DELIVERY;
    const uint32_t need_shadow = SECONDARY_VIRTUALIZE_X2APIC | SECONDARY_APIC_REGISTER_VIRTUALIZE |
                                 SECONDARY_VIRTUAL_INTERRUPT_DELIVERY;

    REQUIRE(VIRTUAL_APIC, VIRTUAL_APIC, !shadow || good_address(c, V(VIRTUAL_APIC), 4 * KIB));
    REQUIRE(TPR_THRESHOLD, TPR_THRESHOLD, !shadow || delivery || (uint32_t)V(TPR_THRESHOLD) <= 0xF);
    REQUIRE(NMI_EXITING, PIN, pin & PIN_NMI_EXITING || !(pin & PIN_VIRTUAL_NMIS));
    REQUIRE(VIRTUAL_NMIS, PRIMARY, pin & PIN_VIRTUAL_NMIS || !(V(PRIMARY) & PRIMARY_NMI_WINDOW_EXITING));
    REQUIRE(APIC_ACCESS, APIC_ACCESS,
            !(second & SECONDARY_VIRTUALIZE_APIC_ACCESSES) || good_address(c, V(APIC_ACCESS), 4 * KIB));
    REQUIRE(TPR_SHADOW, SECONDARY, shadow || !(second & need_shadow));
    REQUIRE(X2APIC_MODE, SECONDARY,
            !(second & SECONDARY_VIRTUALIZE_X2APIC) || !(second & SECONDARY_VIRTUALIZE_APIC_ACCESSES));
    REQUIRE(INTERRUPT_DELIVERY, PIN, !delivery || pin & PIN_EXTERNAL_INTERRUPT_EXITING);
    if (!(pin & PIN_POSTED_INTERRUPTS))
        return true;
    REQUIRE(POSTED_NEEDS, PIN, delivery && V(EXIT) & EXIT_ACKNOWLEDGE_INTERRUPT);
    REQUIRE(POSTED_VECTOR, POSTED_VECTOR, V(POSTED_VECTOR) <= 0xFF);
    REQUIRE(POSTED_DESCRIPTOR, POSTED_DESCRIPTOR, good_address(c, V(POSTED_DESCRIPTOR), 64));
    return true;
}

static bool check_execution_controls(const struct check *c)
{
    const struct vmx_msrs *m = c->s->msrs;
    bool exact = exact_capabilities(c);
    uint32_t primary = (uint32_t)V(PRIMARY), second = secondary(c);

    REQUIRE(PIN_ALLOWED, PIN, allowed(V(PIN), exact ? m->true_pin : m->pin));
    REQUIRE(PRIMARY_ALLOWED, PRIMARY, allowed(primary, exact ? m->true_primary : m->primary));
    REQUIRE(SECONDARY_ALLOWED, SECONDARY,
            !(primary & PRIMARY_SECONDARY_CONTROLS) || allowed(second, m->secondary));
    REQUIRE(CR3_TARGETS, CR3_TARGET_COUNT,
            V(CR3_TARGET_COUNT) <= (m->misc >> MISC_CR3_TARGETS_SHIFT & MISC_CR3_TARGETS_MASK));
    if (primary & PRIMARY_IO_BITMAPS) {
        REQUIRE(IO_BITMAPS, IO_BITMAP_A, good_address(c, V(IO_BITMAP_A), 4 * KIB));
        REQUIRE(IO_BITMAPS, IO_BITMAP_B, good_address(c, V(IO_BITMAP_B), 4 * KIB));
    }
    REQUIRE(MSR_BITMAP, MSR_BITMAP,
            !(primary & PRIMARY_MSR_BITMAPS) || good_address(c, V(MSR_BITMAP), 4 * KIB));
    if (!check_apic_controls(c))
        return false;
    REQUIRE(VPID_ZERO, VPID, !(second & SECONDARY_VPID) || V(VPID) != 0);
    if (second & SECONDARY_EPT && !check_eptp(c))
        return false;
    REQUIRE(PML_NEEDS, SECONDARY, !(second & SECONDARY_PML) || second & SECONDARY_EPT);
    REQUIRE(PML_ADDRESS, PML, !(second & SECONDARY_PML) || good_address(c, V(PML), 4 * KIB));
    REQUIRE(UNRESTRICTED_NEEDS, SECONDARY, !unrestricted(c) || second & SECONDARY_EPT);
    return true;
}

static bool check_exit_controls(const struct check *c)
{
    const struct vmx_msrs *m = c->s->msrs;

    REQUIRE(EXIT_ALLOWED, EXIT, allowed(V(EXIT), exact_capabilities(c) ? m->true_exit : m->exit));
    REQUIRE(TIMER_NEEDS, EXIT, !(V(EXIT) & EXIT_SAVE_PREEMPTION_TIMER) || V(PIN) & PIN_PREEMPTION_TIMER);
    REQUIRE(EXIT_STORE, EXIT_STORE, good_msr_list(c, V(EXIT_STORE), V(EXIT_STORE_COUNT)));
    REQUIRE(EXIT_LOAD, EXIT_LOAD, good_msr_list(c, V(EXIT_LOAD), V(EXIT_LOAD_COUNT)));
    return true;
}

/* Exceptions whose error code VM entry insists on: those that had one before control protection came. */
#define ENTRY_ERROR_CODE_VECTORS (VECTORS_WITH_ERROR_CODE & ~(1u << VECTOR_CP))

static bool check_event(const struct check *c)
{
    uint32_t info = (uint32_t)V(EVENT), vector = info & INTERRUPTION_VECTOR_MASK;
    bool exception = injects(c, INTERRUPTION_HARDWARE_EXCEPTION);
    bool deliver = info & INTERRUPTION_DELIVER_ERROR, protected_mode = V(CR0) & CR0_PE;
    bool any_vector = c->s->msrs->basic & BASIC_ANY_ERROR_CODE;
    bool has_code = vector < VECTOR_EXCEPTION_LIMIT && ENTRY_ERROR_CODE_VECTORS >> vector & 1;
    bool software = injects(c, INTERRUPTION_SOFTWARE_INTERRUPT) ||
                    injects(c, INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION) ||
                    injects(c, INTERRUPTION_SOFTWARE_EXCEPTION);
    uint32_t length = (uint32_t)V(EVENT_LENGTH);

    if (!(info & INTERRUPTION_VALID))
        return true;
    REQUIRE(EVENT_TYPE, EVENT, !injects(c, INTERRUPTION_RESERVED));
    REQUIRE(EVENT_VECTOR, EVENT,
            (!injects(c, INTERRUPTION_NMI) || vector == VECTOR_NMI) &&
                (!exception || vector < VECTOR_EXCEPTION_LIMIT) &&
                (!injects(c, INTERRUPTION_OTHER_EVENT) || vector == 0));
    REQUIRE(EVENT_NEEDS_ERROR_CODE, EVENT,
            deliver || !(exception && protected_mode && !any_vector && has_code));
    REQUIRE(EVENT_NO_ERROR_CODE, EVENT,
            !deliver || (exception && protected_mode && (any_vector || has_code)));
    REQUIRE(EVENT_RESERVED, EVENT, (info & INTERRUPTION_ENTRY_RESERVED) == 0);
    REQUIRE(EVENT_ERROR_CODE, EVENT_ERROR_CODE, !deliver || (uint32_t)V(EVENT_ERROR_CODE) <= 0xFFFF);
    REQUIRE(EVENT_LENGTH, EVENT_LENGTH,
            !software ||
                (length <= INSTRUCTION_LENGTH_MAX && (length != 0 || c->s->msrs->misc & MISC_ZERO_LENGTH)));
    return true;
}

static bool check_entry_controls(const struct check *c)
{
    const struct vmx_msrs *m = c->s->msrs;

    REQUIRE(ENTRY_ALLOWED, ENTRY, allowed(V(ENTRY), exact_capabilities(c) ? m->true_entry : m->entry));
    if (!check_event(c))
        return false;
    REQUIRE(ENTRY_LOAD, ENTRY_LOAD, good_msr_list(c, V(ENTRY_LOAD), V(ENTRY_LOAD_COUNT)));
    REQUIRE(ENTRY_SMM, ENTRY, !(V(ENTRY) & (ENTRY_TO_SMM | ENTRY_DEACTIVATE_DUAL_MONITOR)));
    return true;
}

static bool check_host_registers(const struct check *c)
{
    const struct vmx_msrs *m = c->s->msrs;
    bool wide = V(EXIT) & EXIT_HOST_64_BIT;
    uint64_t efer = V(HOST_EFER);

    REQUIRE(HOST_CR0_FIXED, HOST_CR0, !(~V(HOST_CR0) & m->cr0_fixed0) && !(V(HOST_CR0) & ~m->cr0_fixed1));
    REQUIRE(HOST_CR4_FIXED, HOST_CR4, !(~V(HOST_CR4) & m->cr4_fixed0) && !(V(HOST_CR4) & ~m->cr4_fixed1));
    REQUIRE(HOST_CR3_WIDTH, HOST_CR3, inside_width(c, V(HOST_CR3)));
    REQUIRE(HOST_SYSENTER, HOST_SYSENTER_ESP, canonical(c, V(HOST_SYSENTER_ESP)));
    REQUIRE(HOST_SYSENTER, HOST_SYSENTER_EIP, canonical(c, V(HOST_SYSENTER_EIP)));
    REQUIRE(HOST_PAT_TYPES, HOST_PAT, !(V(EXIT) & EXIT_LOAD_PAT) || good_pat(V(HOST_PAT)));
    if (V(EXIT) & EXIT_LOAD_EFER) {
        REQUIRE(HOST_EFER_RESERVED, HOST_EFER, (efer & EFER_RESERVED) == 0);
        REQUIRE(HOST_EFER_LONG, HOST_EFER, !!(efer & EFER_LMA) == wide && !!(efer & EFER_LME) == wide);
    }
    return true;
}

static bool check_host_segments(const struct check *c)
{
    static const enum entry_field bases[] = {EF_HOST_FS_BASE, EF_HOST_GS_BASE, EF_HOST_TR_BASE,
                                             EF_HOST_GDTR_BASE, EF_HOST_IDTR_BASE};

    for (enum entry_field f = EF_HOST_ES; f <= EF_HOST_TR; f++)
        REQUIRE_AT(HOST_SELECTOR_BITS, f, !(c->s->value[f] & (SELECTOR_RPL | SELECTOR_TI)));
    REQUIRE(HOST_SELECTOR_NULL, HOST_CS, V(HOST_CS) != 0);
    REQUIRE(HOST_SELECTOR_NULL, HOST_TR, V(HOST_TR) != 0);
    for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
        REQUIRE_AT(HOST_BASE, bases[i], canonical(c, c->s->value[bases[i]]));
    return true;
}

/* Freehold itself always runs in IA-32e mode, so only that half of the section applies. */
static bool check_address_space(const struct check *c)
{
    REQUIRE(HOST_64_BIT, EXIT, V(EXIT) & EXIT_HOST_64_BIT);
    REQUIRE(HOST_PAE, HOST_CR4, V(HOST_CR4) & CR4_PAE);
    REQUIRE(HOST_RIP, HOST_RIP, canonical(c, V(HOST_RIP)));
    return true;
}

/* -------------------------------------------------------------------------------------------- guest
 * registers */

static bool check_guest_control_registers(const struct check *c)
{
    const struct vmx_msrs *m = c->s->msrs;
    uint64_t cr0 = V(CR0), cr4 = V(CR4);
    uint64_t free_bits = unrestricted(c) ? CR0_PE | CR0_PG : 0;

    REQUIRE(CR0_FIXED, CR0, !(~cr0 & m->cr0_fixed0 & ~free_bits) && !(cr0 & ~m->cr0_fixed1));
    REQUIRE(CR0_PAGING, CR0, !(cr0 & CR0_PG) || cr0 & CR0_PE);
    REQUIRE(CR4_FIXED, CR4, !(~cr4 & m->cr4_fixed0) && !(cr4 & ~m->cr4_fixed1));
    REQUIRE(CR4_CET, CR4, !(cr4 & CR4_CET) || cr0 & CR0_WP);
    REQUIRE(DEBUGCTL, DEBUGCTL,
            !(V(ENTRY) & ENTRY_LOAD_DEBUG_CONTROLS) || !(V(DEBUGCTL) & DEBUGCTL_RESERVED));
    REQUIRE(LONG_MODE_PAGING, CR0, !long_mode(c) || cr0 & CR0_PG);
    REQUIRE(LONG_MODE_PAE, CR4, !long_mode(c) || cr4 & CR4_PAE);
    REQUIRE(PCID, CR4, long_mode(c) || !(cr4 & CR4_PCIDE));
    REQUIRE(CR3_WIDTH, CR3, inside_width(c, V(CR3)));
    return true;
}

static bool check_guest_msrs(const struct check *c)
{
    uint64_t efer = V(EFER);
    bool lma = efer & EFER_LMA, lme = efer & EFER_LME;

    REQUIRE(DR7_HIGH, DR7, !(V(ENTRY) & ENTRY_LOAD_DEBUG_CONTROLS) || V(DR7) >> 32 == 0);
    REQUIRE(SYSENTER, SYSENTER_ESP, canonical(c, V(SYSENTER_ESP)));
    REQUIRE(SYSENTER, SYSENTER_EIP, canonical(c, V(SYSENTER_EIP)));
    REQUIRE(PAT_TYPES, PAT, !(V(ENTRY) & ENTRY_LOAD_PAT) || good_pat(V(PAT)));
    if (V(ENTRY) & ENTRY_LOAD_EFER) {
        REQUIRE(EFER_RESERVED, EFER, (efer & EFER_RESERVED) == 0);
        REQUIRE(EFER_LMA, EFER, lma == long_mode(c));
        REQUIRE(EFER_LME, EFER, !(V(CR0) & CR0_PG) || lme == lma);
    }
    return true;
}

/* --------------------------------------------------------------------------------------------- guest
 * segments */

/* One segment register's four fields. `index` as in their encodings: ES, CS, SS, DS, FS, GS, LDTR, TR. */
enum segment {
    SEGMENT_ES,
    SEGMENT_CS,
    SEGMENT_SS,
    SEGMENT_DS,
    SEGMENT_FS,
    SEGMENT_GS,
    SEGMENT_LDTR,
    SEGMENT_TR
};

#define SELECTOR_FIELD(index) ((enum entry_field)(EF_ES_SELECTOR + (index)))
#define BASE_FIELD(index)     ((enum entry_field)(EF_ES_BASE + (index)))
#define LIMIT_FIELD(index)    ((enum entry_field)(EF_ES_LIMIT + (index)))
#define RIGHTS_FIELD(index)   ((enum entry_field)(EF_ES_RIGHTS + (index)))

static uint64_t selector_of(const struct check *c, uint32_t index)
{
    return c->s->value[SELECTOR_FIELD(index)];
}

static uint32_t rights_of(const struct check *c, uint32_t index)
{
    return (uint32_t)c->s->value[RIGHTS_FIELD(index)];
}

static uint32_t type_of(const struct check *c, uint32_t index)
{
    return rights_of(c, index) & ACCESS_RIGHTS_TYPE_MASK;
}

static uint32_t dpl_of(const struct check *c, uint32_t index)
{
    return (rights_of(c, index) & ACCESS_RIGHTS_DPL_MASK) >> ACCESS_RIGHTS_DPL_SHIFT;
}

static bool usable(const struct check *c, uint32_t index)
{
    return !(rights_of(c, index) & ACCESS_RIGHTS_UNUSABLE);
}

static bool check_selectors_and_bases(const struct check *c, bool v86)
{
    REQUIRE(TR_TABLE, TR_SELECTOR, !(V(TR_SELECTOR) & SELECTOR_TI));
    REQUIRE(LDTR_TABLE, LDTR_SELECTOR, !usable(c, SEGMENT_LDTR) || !(V(LDTR_SELECTOR) & SELECTOR_TI));
    REQUIRE(SS_RPL, SS_SELECTOR,
            v86 || unrestricted(c) || (V(SS_SELECTOR) & SELECTOR_RPL) == (V(CS_SELECTOR) & SELECTOR_RPL));
    for (uint32_t i = 0; v86 && i < SEGMENT_COUNT; i++)
        REQUIRE_AT(V86_BASE, BASE_FIELD(i), c->s->value[BASE_FIELD(i)] == (selector_of(c, i) & 0xFFFF) << 4);
    REQUIRE(BASE_CANONICAL, TR_BASE, canonical(c, V(TR_BASE)));
    REQUIRE(BASE_CANONICAL, FS_BASE, canonical(c, V(FS_BASE)));
    REQUIRE(BASE_CANONICAL, GS_BASE, canonical(c, V(GS_BASE)));
    REQUIRE(BASE_CANONICAL, LDTR_BASE, !usable(c, SEGMENT_LDTR) || canonical(c, V(LDTR_BASE)));
    REQUIRE(BASE_HIGH, CS_BASE, V(CS_BASE) >> 32 == 0);
    REQUIRE(BASE_HIGH, SS_BASE, !usable(c, SEGMENT_SS) || V(SS_BASE) >> 32 == 0);
    REQUIRE(BASE_HIGH, DS_BASE, !usable(c, SEGMENT_DS) || V(DS_BASE) >> 32 == 0);
    REQUIRE(BASE_HIGH, ES_BASE, !usable(c, SEGMENT_ES) || V(ES_BASE) >> 32 == 0);
    return true;
}

static bool check_v86_segments(const struct check *c)
{
    for (uint32_t i = 0; i < SEGMENT_COUNT; i++)
        REQUIRE_AT(V86_LIMIT, LIMIT_FIELD(i), (uint32_t)c->s->value[LIMIT_FIELD(i)] == V86_LIMIT);
    for (uint32_t i = 0; i < SEGMENT_COUNT; i++)
        REQUIRE_AT(V86_RIGHTS, RIGHTS_FIELD(i), rights_of(c, i) == V86_RIGHTS);
    return true;
}

static bool check_types(const struct check *c)
{
    uint32_t cs_type = type_of(c, SEGMENT_CS);
    const uint32_t code_types = 1u << 9 | 1u << 11 | 1u << 13 | 1u << 15;

    REQUIRE(CS_TYPE, CS_RIGHTS,
            code_types >> cs_type & 1 || (cs_type == SEGMENT_TYPE_DATA && unrestricted(c)));
    for (uint32_t i = 0; i < SEGMENT_COUNT; i++) {
        uint32_t type = type_of(c, i);
        if (i == SEGMENT_CS || !usable(c, i))
            continue;
        REQUIRE_AT(SS_TYPE, RIGHTS_FIELD(i), i != SEGMENT_SS || type == 3 || type == 7);
        REQUIRE_AT(DATA_TYPE, RIGHTS_FIELD(i),
                   type & ACCESS_RIGHTS_ACCESSED &&
                       (!(type & ACCESS_RIGHTS_CODE) || type & ACCESS_RIGHTS_WRITABLE));
    }
    for (uint32_t i = 0; i < SEGMENT_COUNT; i++)
        REQUIRE_AT(CODE_OR_DATA, RIGHTS_FIELD(i),
                   (i != SEGMENT_CS && !usable(c, i)) || rights_of(c, i) & ACCESS_RIGHTS_NON_SYSTEM);
    return true;
}

static bool check_privileges(const struct check *c)
{
    uint32_t cs_type = type_of(c, SEGMENT_CS), cs_dpl = dpl_of(c, SEGMENT_CS), ss_dpl = dpl_of(c, SEGMENT_SS);
    bool conforming = cs_type & ACCESS_RIGHTS_CONFORMING;

    if (cs_type == SEGMENT_TYPE_DATA) {
        REQUIRE(CS_DPL_DATA, CS_RIGHTS, cs_dpl == 0);
    } else if (conforming) {
        REQUIRE(CS_DPL_CONFORMING, CS_RIGHTS, cs_dpl <= ss_dpl);
    } else {
        REQUIRE(CS_DPL, CS_RIGHTS, cs_dpl == ss_dpl);
    }
    REQUIRE(SS_DPL, SS_RIGHTS, unrestricted(c) || ss_dpl == (V(SS_SELECTOR) & SELECTOR_RPL));
    REQUIRE(SS_DPL_REAL, SS_RIGHTS, ss_dpl == 0 || (cs_type != SEGMENT_TYPE_DATA && V(CR0) & CR0_PE));
    for (uint32_t i = 0; i < SEGMENT_COUNT; i++) {
        if (i == SEGMENT_CS || i == SEGMENT_SS || !usable(c, i) || unrestricted(c))
            continue;
        REQUIRE_AT(DATA_DPL, RIGHTS_FIELD(i),
                   type_of(c, i) > 11 || dpl_of(c, i) >= (selector_of(c, i) & SELECTOR_RPL));
    }
    return true;
}

/* What all usable segments have in common: presence, reserved bits, granularity. */
static bool check_rights(const struct check *c, uint32_t index)
{
    uint32_t rights = rights_of(c, index), limit = (uint32_t)c->s->value[LIMIT_FIELD(index)];
    enum entry_field field = RIGHTS_FIELD(index);

    REQUIRE_AT(PRESENT, field, rights & ACCESS_RIGHTS_PRESENT);
    REQUIRE_AT(RIGHTS_RESERVED, field, !(rights & ACCESS_RIGHTS_RESERVED));
    REQUIRE_AT(GRANULARITY_LOW, field, (limit & 0xFFF) == 0xFFF || !(rights & ACCESS_RIGHTS_GRANULAR));
    REQUIRE_AT(GRANULARITY_HIGH, field, limit >> 20 == 0 || rights & ACCESS_RIGHTS_GRANULAR);
    return true;
}

static bool check_code_and_data(const struct check *c)
{
    uint32_t cs = rights_of(c, SEGMENT_CS);

    if (!check_types(c) || !check_privileges(c))
        return false;
    for (uint32_t i = 0; i < SEGMENT_COUNT; i++)
        if ((i == SEGMENT_CS || usable(c, i)) && !check_rights(c, i))
            return false;
    REQUIRE(CS_BIG, CS_RIGHTS, !long_mode(c) || !(cs & ACCESS_RIGHTS_LONG) || !(cs & ACCESS_RIGHTS_BIG));
    return true;
}

static bool check_system_segments(const struct check *c)
{
    uint32_t type = type_of(c, SEGMENT_TR);

    REQUIRE(TR_TYPE, TR_RIGHTS,
            type == SEGMENT_TYPE_TSS_BUSY || (type == SEGMENT_TYPE_TSS16_BUSY && !long_mode(c)));
    REQUIRE(SYSTEM_SEGMENT, TR_RIGHTS, !(V(TR_RIGHTS) & ACCESS_RIGHTS_NON_SYSTEM));
    REQUIRE(TR_USABLE, TR_RIGHTS, usable(c, SEGMENT_TR));
    if (!check_rights(c, SEGMENT_TR))
        return false;
    if (!usable(c, SEGMENT_LDTR))
        return true;
    REQUIRE(LDTR_TYPE, LDTR_RIGHTS, type_of(c, SEGMENT_LDTR) == SEGMENT_TYPE_LDT);
    REQUIRE(SYSTEM_SEGMENT, LDTR_RIGHTS, !(V(LDTR_RIGHTS) & ACCESS_RIGHTS_NON_SYSTEM));
    return check_rights(c, SEGMENT_LDTR);
}

static bool check_segments(const struct check *c)
{
    bool v86 = V(RFLAGS) & RFLAGS_VM;

    return check_selectors_and_bases(c, v86) && (v86 ? check_v86_segments(c) : check_code_and_data(c)) &&
           check_system_segments(c);
}

/* --------------------------------------------------------------------------------------- the rest of the
 * guest */

static bool check_tables(const struct check *c)
{
    REQUIRE(TABLE_BASE, GDTR_BASE, canonical(c, V(GDTR_BASE)));
    REQUIRE(TABLE_BASE, IDTR_BASE, canonical(c, V(IDTR_BASE)));
    REQUIRE(TABLE_LIMIT, GDTR_LIMIT, V(GDTR_LIMIT) <= 0xFFFF);
    REQUIRE(TABLE_LIMIT, IDTR_LIMIT, V(IDTR_LIMIT) <= 0xFFFF);
    return true;
}

static bool check_rip_and_flags(const struct check *c)
{
    bool code64 = long_mode(c) && rights_of(c, SEGMENT_CS) & ACCESS_RIGHTS_LONG;
    uint32_t bits = c->s->linear_bits;
    uint64_t beyond = bits < 64 ? V(RIP) >> bits : 0;

    REQUIRE(RIP_HIGH, RIP, code64 || V(RIP) >> 32 == 0);
    /* Equal to one another, not to the highest bit inside: that much the processor leaves to the first fetch.
     */
    REQUIRE(RIP_WIDTH, RIP, !code64 || beyond == 0 || beyond == UINT64_MAX >> bits);
    REQUIRE(RFLAGS_RESERVED, RFLAGS, !(V(RFLAGS) & RFLAGS_RESERVED) && V(RFLAGS) & RFLAGS_FIXED);
    REQUIRE(RFLAGS_VM, RFLAGS, !(V(RFLAGS) & RFLAGS_VM) || (!long_mode(c) && V(CR0) & CR0_PE));
    REQUIRE(RFLAGS_IF, RFLAGS, !injects(c, INTERRUPTION_EXTERNAL) || V(RFLAGS) & RFLAGS_IF);
    return true;
}

/* Whether the event to inject is one that can reach a guest in that state. */
static bool event_ends_state(const struct check *c, uint64_t activity)
{
    bool nmi = injects(c, INTERRUPTION_NMI), machine_check = injects_exception(c, VECTOR_MC);

    if (!(V(EVENT) & INTERRUPTION_VALID) || activity == ACTIVITY_ACTIVE)
        return true;
    if (activity == ACTIVITY_HLT)
        return nmi || machine_check || injects(c, INTERRUPTION_EXTERNAL) || injects_exception(c, VECTOR_DB) ||
               injects(c, INTERRUPTION_OTHER_EVENT);
    return activity == ACTIVITY_SHUTDOWN && (nmi || machine_check);
}

static bool check_activity(const struct check *c)
{
    uint64_t activity = V(ACTIVITY);
    bool blocked = V(INTERRUPTIBILITY) & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS);

    REQUIRE(ACTIVITY_KNOWN, ACTIVITY,
            activity == ACTIVITY_ACTIVE || (activity <= ACTIVITY_WAIT_FOR_SIPI &&
                                            c->s->msrs->misc >> (MISC_ACTIVITY_SHIFT + activity) & 1));
    REQUIRE(ACTIVITY_HLT_DPL, ACTIVITY, activity != ACTIVITY_HLT || dpl_of(c, SEGMENT_SS) == 0);
    REQUIRE(ACTIVITY_BLOCKING, ACTIVITY, !blocked || activity == ACTIVITY_ACTIVE);
    REQUIRE(ACTIVITY_EVENT, ACTIVITY, event_ends_state(c, activity));
    return true;
}

static bool check_interruptibility(const struct check *c)
{
    uint64_t blocking = V(INTERRUPTIBILITY);
    bool sti = blocking & INTERRUPTIBILITY_STI, mov_ss = blocking & INTERRUPTIBILITY_MOV_SS;
    bool nmi = injects(c, INTERRUPTION_NMI), nmi_blocked = blocking & INTERRUPTIBILITY_NMI;

    REQUIRE(BLOCKING_RESERVED, INTERRUPTIBILITY, !(blocking & INTERRUPTIBILITY_RESERVED));
    REQUIRE(BLOCKING_BOTH, INTERRUPTIBILITY, !(sti && mov_ss));
    REQUIRE(BLOCKING_STI, INTERRUPTIBILITY, !sti || V(RFLAGS) & RFLAGS_IF);
    REQUIRE(BLOCKING_EXTERNAL, INTERRUPTIBILITY, !(injects(c, INTERRUPTION_EXTERNAL) && (sti || mov_ss)));
    REQUIRE(BLOCKING_NMI, INTERRUPTIBILITY,
            !(nmi && (mov_ss || sti || (nmi_blocked && V(PIN) & PIN_VIRTUAL_NMIS))));
    REQUIRE(BLOCKING_SMI, INTERRUPTIBILITY, !(blocking & INTERRUPTIBILITY_SMI));
    REQUIRE(BLOCKING_ENCLAVE, INTERRUPTIBILITY, !(blocking & INTERRUPTIBILITY_ENCLAVE && mov_ss));
    return true;
}

static bool check_pending_debug(const struct check *c)
{
    uint64_t pending = V(PENDING_DEBUG);
    bool stepping = V(RFLAGS) & RFLAGS_TF && !(V(DEBUGCTL) & DEBUGCTL_BTF);
    bool mov_ss = V(INTERRUPTIBILITY) & INTERRUPTIBILITY_MOV_SS;
    bool delayed = mov_ss || V(INTERRUPTIBILITY) & INTERRUPTIBILITY_STI || V(ACTIVITY) == ACTIVITY_HLT;

    REQUIRE(DEBUG_RESERVED, PENDING_DEBUG, !(pending & PENDING_DEBUG_RESERVED));
    REQUIRE(DEBUG_STEP, PENDING_DEBUG, !delayed || !!(pending & PENDING_DEBUG_BS) == stepping);
    REQUIRE(DEBUG_RTM, PENDING_DEBUG,
            !(pending & PENDING_DEBUG_RTM) ||
                (pending == (PENDING_DEBUG_RTM | PENDING_DEBUG_ENABLED) && !mov_ss));
    return true;
}

static bool check_link_pointer(const struct check *c)
{
    REQUIRE(LINK_POINTER, LINK_POINTER,
            V(LINK_POINTER) == VMCS_LINK_POINTER_NONE ||
                (good_address(c, V(LINK_POINTER), 4 * KIB) && V(LINK_POINTER) != c->s->vmcs));
    return true;
}

/* Only with EPT: otherwise the entries come from memory. */
static bool check_pdptes(const struct check *c)
{
    bool pae = V(CR0) & CR0_PG && V(CR4) & CR4_PAE && !long_mode(c);

    for (int i = 0; pae && secondary(c) & SECONDARY_EPT && i < 4; i++) {
        enum entry_field field = (enum entry_field)(EF_PDPTE0 + i);
        uint64_t entry = c->s->value[field];
        REQUIRE_AT(PDPTE_RESERVED, field,
                   !(entry & PDPTE_PRESENT) || (!(entry & PDPTE_RESERVED) && inside_width(c, entry)));
    }
    return true;
}

/* --------------------------------------------------------------------------------------------------- public
 */

void entry_state_read(struct entry_state *state, entry_read_fn read, void *context)
{
    for (size_t i = 0; i < ENTRY_FIELD_COUNT; i++)
        state->value[i] = read(context, fields[i]);
}

bool entry_check(const struct entry_state *state, struct entry_finding *finding)
{
    static bool (*const sections[])(const struct check *) = {
        check_execution_controls,
        check_exit_controls,
        check_entry_controls,
        check_host_registers,
        check_host_segments,
        check_address_space,
        check_guest_control_registers,
        check_guest_msrs,
        check_segments,
        check_tables,
        check_rip_and_flags,
        check_activity,
        check_interruptibility,
        check_pending_debug,
        check_link_pointer,
        check_pdptes,
    };
    struct check c = {state, finding};

    *finding = (struct entry_finding){.rule = ENTRY_RULE_NONE, .section = "", .text = "", .field = ""};
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
        if (!sections[i](&c))
            return false;
    return true;
}

/* "VM Instruction Error Numbers". */
static const char *const instruction_errors[] = {
    [1] = "VMCALL executed in VMX root operation",
    [2] = "VMCLEAR with invalid physical address",
    [3] = "VMCLEAR with VMXON pointer",
    [4] = "VMLAUNCH with non-clear VMCS",
    [5] = "VMRESUME with non-launched VMCS",
    [6] = "VMRESUME after VMXOFF",
    [7] = "VM entry with invalid control fields",
    [8] = "VM entry with invalid host-state fields",
    [9] = "VMPTRLD with invalid physical address",
    [10] = "VMPTRLD with VMXON pointer",
    [11] = "VMPTRLD with incorrect VMCS revision identifier",
    [12] = "VMREAD or VMWRITE of an unsupported VMCS component",
    [13] = "VMWRITE to a read-only VMCS component",
    [15] = "VMXON executed in VMX root operation",
    [16] = "VM entry with invalid executive-VMCS pointer",
    [17] = "VM entry with non-launched executive VMCS",
    [18] = "VM entry with executive-VMCS pointer not VMXON pointer",
    [19] = "VMCALL with non-clear VMCS",
    [20] = "VMCALL with invalid VM-exit control fields",
    [22] = "VMCALL with incorrect MSEG revision identifier",
    [23] = "VMXOFF under dual-monitor treatment of SMIs and SMM",
    [24] = "VMCALL with invalid SMM-monitor features",
    [25] = "VM entry with invalid VM-execution control fields in executive VMCS",
    [26] = "VM entry with events blocked by MOV SS",
    [28] = "invalid operand to INVEPT or INVVPID",
};

const char *vm_instruction_error_name(uint32_t number)
{
    if (number >= ARRAY_SIZE(instruction_errors) || instruction_errors[number] == NULL)
        return "unknown error";
    return instruction_errors[number];
}

/* What the qualification of reason 33 adds ("VM-Entry Failures During or After Loading Guest State"). */
static const char *guest_state_hint(uint64_t qualification)
{
    switch (qualification) {
    case 2:
        return ", while loading the PDPTEs";
    case 3:
        return ", an NMI to inject is blocked";
    case 4:
        return ", VMCS link pointer";
    default:
        return "";
    }
}

static size_t describe_cause(char *out, size_t out_bytes, uint32_t basic_reason, uint64_t qualification)
{
    switch (basic_reason) {
    case 0:
        return fmt_snprintf(out, out_bytes, "VM entry failed: error %u, %s", (uint32_t)qualification,
                            vm_instruction_error_name((uint32_t)qualification));
    case EXIT_REASON_ENTRY_GUEST_STATE:
        return fmt_snprintf(out, out_bytes, "VM entry failed: invalid guest state%s",
                            guest_state_hint(qualification));
    case EXIT_REASON_ENTRY_MSR_LOADING:
        return fmt_snprintf(out, out_bytes, "VM entry failed: entry %llu of the MSR-load list was refused",
                            (unsigned long long)qualification);
    case EXIT_REASON_ENTRY_MACHINE_CHECK:
        return fmt_snprintf(out, out_bytes, "VM entry failed: machine check during the entry");
    default:
        return fmt_snprintf(out, out_bytes, "VM entry failed: reason %u", basic_reason);
    }
}

size_t entry_failure_describe(char *out, size_t out_bytes, uint32_t basic_reason, uint64_t qualification,
                              const struct entry_finding *finding)
{
    size_t used = describe_cause(out, out_bytes, basic_reason, qualification);
    bool more = used < out_bytes;
    char *rest = more ? out + used : NULL;
    size_t room = more ? out_bytes - used : 0;

    if (finding == NULL)
        return used;
    if (finding->rule == ENTRY_RULE_NONE)
        return used + fmt_snprintf(rest, room, "; no broken rule found");
    return used + fmt_snprintf(rest, room, "; %s 0x%llx: %s (\"%s\")", finding->field,
                               (unsigned long long)finding->value, finding->text, finding->section);
}
