/* hv/msr_policy.c: deny by default, pass exactly the list, and the rules of XCR0, CR0 and CR4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "hv/msr_policy.h"

/* What may run without an exit, written down a second time: a mistake in the table shows here. */
static const uint32_t passed[] = {
    0x174,      0x175,      0x176,      0x277,      0xC0000080, 0xC0000081, 0xC0000082,
    0xC0000083, 0xC0000084, 0xC0000100, 0xC0000101, 0xC0000102, 0xC0000103,
};

static bool in_list(uint32_t msr)
{
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
        if (passed[i] == msr)
            return true;
    return false;
}

/* "MSR-Bitmap Address", read as the processor does. */
static bool exits(const uint8_t *bitmap, uint32_t msr, bool write)
{
    uint32_t offset = write ? 2048 : 0;
    if (msr >= 0xC0000000 && msr <= 0xC0001FFF)
        offset += 1024;
    else if (msr > 0x1FFF)
        return true;
    msr &= 0x1FFF;
    return bitmap[offset + msr / 8] >> (msr % 8) & 1;
}

static void the_bitmap_passes_the_list_and_nothing_else(void **state)
{
    uint8_t bitmap[MSR_BITMAP_BYTES + 16];
    uint32_t clear = 0;

    (void)state;
    memset(bitmap, 0xA5, sizeof(bitmap));
    msr_policy_fill_bitmap(bitmap);
    for (uint32_t base = 0; base != 0x80000000; base = base == 0 ? 0xC0000000 : 0x80000000) {
        for (uint32_t msr = base; msr < base + 0x2000; msr++) {
            assert_int_equal(exits(bitmap, msr, true), !in_list(msr));
            assert_int_equal(exits(bitmap, msr, false), !(in_list(msr) || msr == 0x10));
            clear += (uint32_t)!exits(bitmap, msr, true) + (uint32_t)!exits(bitmap, msr, false);
        }
    }
    assert_int_equal(clear, 2 * ARRAY_SIZE(passed) + 1);
    for (size_t i = MSR_BITMAP_BYTES; i < sizeof(bitmap); i++)
        assert_int_equal(bitmap[i], 0xA5);
}

static void every_msr_is_found_where_it_is(void **state)
{
    const struct msr_rule *last = NULL;
    uint32_t rules = 0;

    (void)state;
    for (uint32_t base = 0; base != 0x80000000; base = base == 0 ? 0xC0000000 : 0x80000000) {
        for (uint32_t msr = base; msr < base + 0x4000; msr++) {
            const struct msr_rule *rule = msr_policy_find(msr);
            if (rule == NULL)
                continue;
            assert_true(rule->first <= msr && msr <= rule->last);
            assert_true(last == NULL || rule >= last); /* ascending, so the search is right */
            rules += rule != last;
            last = rule;
        }
    }
    assert_int_equal(rules, 20);
}

static void only_constants_can_be_read(void **state)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
    } constants[] = {{0x17, 0}, {0x8B, UINT64_C(1) << 32}, {0x1A0, 0x1801}, {0x1D9, 0}};
    uint64_t value = 0;
    uint32_t readable = 0;

    (void)state;
    for (uint32_t msr = 0; msr < 0x10000; msr++)
        readable +=
            (uint32_t)msr_policy_read(msr, &value) + (uint32_t)msr_policy_read(0xC0000000 + msr, &value);
    assert_int_equal(readable, ARRAY_SIZE(constants));
    for (size_t i = 0; i < ARRAY_SIZE(constants); i++) {
        value = 0x5555;
        assert_true(msr_policy_read(constants[i].msr, &value));
        assert_int_equal(value, constants[i].value);
    }
    value = 0x5555; /* refused: the output stays what it was */
    assert_false(msr_policy_read(MSR_MCG_CAP, &value));
    assert_false(msr_policy_read(0x40000000, &value));
    assert_false(msr_policy_read(UINT32_MAX, &value));
    assert_false(msr_policy_read(MSR_TSC, &value));
    assert_int_equal(value, 0x5555);
}

static void what_cpuid_hides_faults(void **state)
{
    static const uint32_t hidden[] = {
        MSR_FEATURE_CONTROL,
        MSR_TSC_ADJUST,
        MSR_SPEC_CTRL,
        MSR_PRED_CMD,
        MSR_SMBASE,
        MSR_PMC0,
        MSR_UMWAIT_CONTROL,
        MSR_MTRR_CAP,
        MSR_FLUSH_CMD,
        MSR_TSX_CTRL,
        MSR_MCG_CAP,
        MSR_MCG_STATUS,
        MSR_PERFEVTSEL0,
        MSR_PERF_CTL,
        MSR_THERM_STATUS,
        MSR_MTRR_DEF_TYPE,
        MSR_VMX_BASIC,
        MSR_VMX_VMFUNC,
        MSR_RTIT_CTL,
        MSR_DS_AREA,
        MSR_U_CET,
        MSR_S_CET,
        MSR_PKRS,
        MSR_TSC_DEADLINE,
        MSR_PM_ENABLE,
        MSR_XSS,
        MSR_ARCH_CAPABILITIES,
        MSR_MC0_CTL,
        MSR_PERF_GLOBAL_CTRL,
        MSR_MTRR_PHYS_BASE0,
        MSR_SMM_MONITOR_CTL,
    };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
        assert_null(msr_policy_find(hidden[i]));
        assert_false(msr_policy_read(hidden[i], &value));
        assert_false(msr_policy_write(hidden[i], 0));
    }
}

static void writes_are_ignored_or_refused(void **state)
{
    (void)state;
    assert_true(msr_policy_write(MSR_TSC, 12345));
    assert_true(msr_policy_write(MSR_MISC_ENABLE, UINT64_MAX));
    assert_true(msr_policy_write(MSR_BIOS_SIGN_ID, 0));
    assert_false(msr_policy_write(MSR_PLATFORM_ID, 0));
    assert_true(msr_policy_write(MSR_DEBUGCTL, 0));
    for (int bit = 0; bit < 64; bit++)
        assert_false(msr_policy_write(MSR_DEBUGCTL, UINT64_C(1) << bit));
    assert_true(msr_policy_write(MSR_APIC_BASE, 0xFEE00C00));
    assert_true(msr_policy_write(MSR_APIC_BASE, 0xFEE00D00));
    assert_false(msr_policy_write(MSR_APIC_BASE, 0xFEE00800));
    assert_false(msr_policy_write(MSR_APIC_BASE, 0xFEE00000));
    assert_false(msr_policy_write(MSR_APIC_BASE, 0xFED00C00));
    assert_false(msr_policy_write(MSR_EFER, 0)); /* never exits; if it did, nobody would emulate it */
    assert_false(msr_policy_write(MSR_X2APIC_ICR, 0));
    assert_false(msr_policy_write(0x12345678, 0));
}

/* ------------------------------------------------------------------------------------------------------ XCR0
 */

static void xcr0_follows_the_manual(void **state)
{
    const uint64_t avx512 = 0xE7, all = 0xFF | UINT64_C(3) << 17;

    (void)state;
    assert_true(xcr0_valid(1, avx512));
    assert_true(xcr0_valid(3, avx512));
    assert_true(xcr0_valid(7, avx512));
    assert_true(xcr0_valid(0xE7, avx512));
    assert_false(xcr0_valid(0, avx512));
    assert_false(xcr0_valid(2, avx512));
    assert_false(xcr0_valid(5, avx512));    /* AVX without SSE */
    assert_false(xcr0_valid(0xE3, avx512)); /* AVX-512 without AVX */
    assert_false(xcr0_valid(0x27, avx512)); /* a part of AVX-512 */
    assert_false(xcr0_valid(0xC7, avx512));
    assert_false(xcr0_valid(7, 3));
    assert_false(xcr0_valid(1, 0));
    assert_false(xcr0_valid(0x201, avx512));
    assert_false(xcr0_valid(UINT64_C(1) << 63 | 1, avx512));
    assert_true(xcr0_valid(0x1F, all));
    assert_false(xcr0_valid(0x0F, all));
    assert_false(xcr0_valid(0x17, all));
    assert_true(xcr0_valid(0x60003, all));
    assert_false(xcr0_valid(0x20003, all));
    /* Whole domain of the low bits against the rules spelled out bit by bit. */
    for (uint64_t v = 0; v < 512; v++) {
        bool sse = v & 2, avx = v & 4, mpx = (v >> 3 & 3) == 0 || (v >> 3 & 3) == 3;
        bool wide = (v >> 5 & 7) == 7, none = (v >> 5 & 7) == 0;
        bool good = (v & 1) && (!avx || sse) && mpx && (none || (wide && avx)) && !(v & 0x100);
        assert_int_equal(xcr0_valid(v, 0xFF), good);
    }
}

/* ------------------------------------------------------------------------------------------------- CR0, CR4
 */

#define LONG_MODE                                                                                           \
    {                                                                                                       \
        .cr0 = CR0_PE | CR0_PG, .cr3 = 0x1000, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA, .cs_long = true \
    }

static void cr0_follows_the_manual(void **state)
{
    const struct cr_context long_mode = LONG_MODE;
    struct cr_context c = long_mode;
    const uint64_t on = CR0_PE | CR0_PG;

    (void)state;
    assert_true(cr0_write_check(on, &c));
    assert_true(
        cr0_write_check(on | CR0_WP | CR0_AM | CR0_MP | CR0_TS | CR0_EM | CR0_NE | CR0_CD | CR0_NW, &c));
    assert_true(cr0_write_check(on | 1 << 10, &c)); /* reserved low bits are ignored */
    for (int bit = 32; bit < 64; bit++)
        assert_false(cr0_write_check(on | UINT64_C(1) << bit, &c));
    assert_false(cr0_write_check(on | CR0_NW, &c));
    assert_true(cr0_write_check(on | CR0_CD, &c));
    assert_false(cr0_write_check(CR0_PG, &c));
    assert_false(cr0_write_check(CR0_PE, &c)); /* paging off in 64-bit mode */
    c.cs_long = false;
    assert_true(cr0_write_check(CR0_PE, &c)); /* from compatibility mode */
    c.cr4 |= CR4_PCIDE;
    assert_false(cr0_write_check(CR0_PE, &c));

    c = (struct cr_context){.cr0 = CR0_PE, .cr4 = CR4_PAE, .efer = EFER_LME};
    assert_true(cr0_write_check(on, &c));
    c.cs_long = true;
    assert_false(cr0_write_check(on, &c));
    c.cs_long = false;
    c.cr4 = 0;
    assert_false(cr0_write_check(on, &c));
    c.efer = 0;
    assert_true(cr0_write_check(on, &c)); /* 32-bit paging */
    assert_true(cr0_write_check(0, &c));
}

static void cr4_follows_the_manual(void **state)
{
    const uint64_t allowed = CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP;
    const struct cr_context long_mode = LONG_MODE;
    struct cr_context c = long_mode;

    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        uint64_t value = CR4_PAE | UINT64_C(1) << bit;
        assert_int_equal(cr4_write_check(value, allowed, &c), (value & ~allowed) == 0);
    }
    assert_false(cr4_write_check(CR4_PAE | CR4_VMXE, allowed, &c));
    assert_false(cr4_write_check(CR4_PGE, allowed, &c)); /* PAE off in long mode */
    c.cr3 = 0x1001;
    assert_false(cr4_write_check(CR4_PAE | CR4_PCIDE, allowed, &c)); /* CR3 bits 11:0 not 0 */
    c.cr4 |= CR4_PCIDE;
    assert_true(cr4_write_check(CR4_PAE | CR4_PCIDE, allowed, &c)); /* but it may stay on */
    c = (struct cr_context){.cr0 = CR0_PE};
    assert_false(cr4_write_check(CR4_PAE | CR4_PCIDE, allowed, &c));
    assert_true(cr4_write_check(0, allowed, &c));
    assert_true(cr4_write_check(CR4_PAE, allowed, &c));
}

static void lma_follows_paging(void **state)
{
    (void)state;
    assert_int_equal(efer_after_cr0(EFER_LME | EFER_NXE, CR0_PE | CR0_PG), EFER_LME | EFER_LMA | EFER_NXE);
    assert_int_equal(efer_after_cr0(EFER_LME | EFER_LMA, CR0_PE), EFER_LME);
    assert_int_equal(efer_after_cr0(EFER_SCE, CR0_PE | CR0_PG), EFER_SCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bitmap_passes_the_list_and_nothing_else),
        cmocka_unit_test(every_msr_is_found_where_it_is),
        cmocka_unit_test(only_constants_can_be_read),
        cmocka_unit_test(what_cpuid_hides_faults),
        cmocka_unit_test(writes_are_ignored_or_refused),
        cmocka_unit_test(xcr0_follows_the_manual),
        cmocka_unit_test(cr0_follows_the_manual),
        cmocka_unit_test(cr4_follows_the_manual),
        cmocka_unit_test(lma_follows_paging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
