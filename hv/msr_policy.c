/*
 * The policy of MSRs and control registers. Must never pass a register that VM entry and exit, or the change
 * from one tenant to the next, do not make the guest's own.
 */
#include "hv/msr_policy.h"

#define MISC_ENABLE_SHOWN \
    (MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE)
#define MICROCODE_SHOWN (UINT64_C(1) << 32) /* a revision, in the upper half, that is not 0 */
#define APIC_BASE_SHOWN (APIC_DEFAULT_ADDRESS | APIC_BASE_ENABLE | APIC_BASE_X2APIC)

/* One MSR, or a range. */
#define ONE(msr, read, write, value)                        \
    {                                                       \
        msr, msr, MSR_READ_##read, MSR_WRITE_##write, value \
    }
#define SPAN(from, to, read, write, value)                  \
    {                                                       \
        from, to, MSR_READ_##read, MSR_WRITE_##write, value \
    }

/*
 * In ascending order. Passed are only:
 * - what VM entry loads and VM exit saves and replaces: SYSENTER_*, FS_BASE, GS_BASE; PAT and EFER (the
 * controls for both are required). A write of EFER needs no exit: the processor refuses reserved bits and a
 * change of LME under paging by itself, keeps LMA right, and loads the host's value at the next exit.
 * - what the hypervisor itself never uses and wipes before another tenant's vCPU comes to the core: STAR,
 * LSTAR, CSTAR, FMASK, KERNEL_GS_BASE, TSC_AUX.
 * - reading the TSC, to which TSC offsetting applies. Writing it would change the core's own.
 * DEBUGCTL reads 0 and takes only 0: branch tracing writes to memory by itself. MISC_ENABLE and the microcode
 * revision are there because systems read them without asking CPUID. The rest of what CPUID hides (machine
 * checks, MTRRs, speculation control, performance counters, TSC_ADJUST, the TSC deadline, XSS, ...) raises
 * #GP.
 */
static const struct msr_rule rules[] = {
    ONE(MSR_TSC, PASS, IGNORE, 0),
    ONE(MSR_PLATFORM_ID, VALUE, FAULT, 0),
    ONE(MSR_APIC_BASE, EMULATE, SAME, APIC_BASE_SHOWN),
    ONE(MSR_BIOS_SIGN_ID, VALUE, IGNORE, MICROCODE_SHOWN),
    ONE(MSR_SYSENTER_CS, PASS, PASS, 0),
    ONE(MSR_SYSENTER_ESP, PASS, PASS, 0),
    ONE(MSR_SYSENTER_EIP, PASS, PASS, 0),
    ONE(MSR_MISC_ENABLE, VALUE, IGNORE, MISC_ENABLE_SHOWN),
    ONE(MSR_DEBUGCTL, VALUE, SAME, 0),
    ONE(MSR_PAT, PASS, PASS, 0),
    SPAN(MSR_X2APIC_FIRST, MSR_X2APIC_LAST, EMULATE, EMULATE, 0),
    ONE(MSR_EFER, PASS, PASS, 0),
    ONE(MSR_STAR, PASS, PASS, 0),
    ONE(MSR_LSTAR, PASS, PASS, 0),
    ONE(MSR_CSTAR, PASS, PASS, 0),
    ONE(MSR_FMASK, PASS, PASS, 0),
    ONE(MSR_FS_BASE, PASS, PASS, 0),
    ONE(MSR_GS_BASE, PASS, PASS, 0),
    ONE(MSR_KERNEL_GS_BASE, PASS, PASS, 0),
    ONE(MSR_TSC_AUX, PASS, PASS, 0),
};

const struct msr_rule *msr_policy_find(uint32_t msr)
{
    size_t low = 0, high = ARRAY_SIZE(rules);

    while (low < high) { /* at most once for each bit of the table's length */
        size_t middle = (low + high) / 2;
        if (msr > rules[middle].last)
            low = middle + 1;
        else if (msr < rules[middle].first)
            high = middle;
        else
            return &rules[middle];
    }
    return NULL;
}

bool msr_policy_read(uint32_t msr, uint64_t *value)
{
    const struct msr_rule *rule = msr_policy_find(msr);
    if (rule == NULL || rule->read != MSR_READ_VALUE)
        return false;
    *value = rule->value;
    return true;
}

bool msr_policy_write(uint32_t msr, uint64_t value)
{
    const struct msr_rule *rule = msr_policy_find(msr);
    if (rule == NULL)
        return false;
    if (rule->write == MSR_WRITE_SAME) /* which vCPU is the boot processor is no secret and no choice */
        return (msr == MSR_APIC_BASE ? value & ~(uint64_t)APIC_BASE_BSP : value) == rule->value;
    return rule->write == MSR_WRITE_IGNORE;
}

/* ------------------------------------------------------------------------------------------------ the bitmap
 */

/* "MSR-Bitmap Address": four parts of 1 KiB, one bit for each of 2^13 MSRs; a set bit means an exit. */
#define PART_BYTES      1024u
#define PART_READ_LOW   0u
#define PART_READ_HIGH  1u
#define PART_WRITE_LOW  2u
#define PART_WRITE_HIGH 3u
#define HIGH_MSRS       0xC0000000u

static void pass(uint8_t *bitmap, uint32_t part, uint32_t msr)
{
    uint32_t index = msr & 0x1FFF;
    bitmap[part * PART_BYTES + index / 8] &= (uint8_t) ~(1u << index % 8);
}

void msr_policy_fill_bitmap(uint8_t *bitmap)
{
    __builtin_memset(bitmap, 0xFF, MSR_BITMAP_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        const struct msr_rule *rule = &rules[i];
        bool high = rule->first >= HIGH_MSRS;
        if (rule->read == MSR_READ_PASS)
            pass(bitmap, high ? PART_READ_HIGH : PART_READ_LOW, rule->first);
        if (rule->write == MSR_WRITE_PASS)
            pass(bitmap, high ? PART_WRITE_HIGH : PART_WRITE_LOW, rule->first);
    }
}

/* -------------------------------------------------------------------------------------- XCR0, CR0 and CR4 */

/* A group of XCR0 bits that stand or fall together, and what they need. */
static bool whole(uint64_t value, uint64_t group, uint64_t needs)
{
    uint64_t present = value & group;
    return present == 0 || (present == group && (value & needs) == needs);
}

bool xcr0_valid(uint64_t value, uint64_t allowed)
{
    return (value & XCR0_X87) && (value & ~allowed) == 0 && whole(value, XCR0_AVX, XCR0_SSE) &&
           whole(value, XCR0_AVX512, XCR0_AVX) && whole(value, XCR0_BNDREGS | XCR0_BNDCSR, 0) &&
           whole(value, XCR0_TILECFG | XCR0_TILEDATA, 0);
}

bool cr0_write_check(uint64_t value, const struct cr_context *c)
{
    bool paging = value & CR0_PG, paged = c->cr0 & CR0_PG;

    if (value >> 32 != 0)
        return false;
    if ((value & CR0_NW) && !(value & CR0_CD))
        return false;
    if (paging && !(value & CR0_PE))
        return false;
    if (paging && !paged && (c->efer & EFER_LME)) /* into IA-32e mode */
        return (c->cr4 & CR4_PAE) && !c->cs_long;
    if (!paging && paged) /* out of it only from compatibility mode; not while PCIDs are on */
        return !((c->efer & EFER_LMA) && c->cs_long) && !(c->cr4 & CR4_PCIDE);
    return true;
}

bool cr4_write_check(uint64_t value, uint64_t allowed, const struct cr_context *c)
{
    bool long_mode = c->efer & EFER_LMA;

    if (value & ~allowed)
        return false;
    if (long_mode && !(value & CR4_PAE))
        return false;
    if ((value & CR4_PCIDE) && !(c->cr4 & CR4_PCIDE))
        return long_mode && (c->cr3 & CR3_PCID_MASK) == 0;
    return true;
}

uint64_t efer_after_cr0(uint64_t efer, uint64_t cr0)
{
    bool long_mode = (cr0 & CR0_PG) && (efer & EFER_LME);
    return long_mode ? efer | EFER_LMA : efer & ~EFER_LMA;
}
