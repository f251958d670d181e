/* Memory types against a naive evaluator that looks at one address and collects all types that apply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/random.h"
#include "hv/mtrr.h"

#define UNIVERSE (8 * MIB)
#define MASK_TOP (PHYSICAL_LIMIT - UNIVERSE) /* mask bits above the universe */

static bool legal(uint64_t type)
{
    return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

static enum ept_memory_type or_uncached(uint64_t type)
{
    return legal(type) ? (enum ept_memory_type)type : EPT_UC;
}

/* The fixed type of an address below 1 MiB, by the table in the manual. */
static uint64_t naive_fixed(const struct mtrr_state *state, uint64_t address)
{
    static const struct {
        uint64_t start, each;
    } registers[] = {
        {0x00000, 0x10000}, {0x80000, 0x4000}, {0xa0000, 0x4000}, {0xc0000, 0x1000},
        {0xc8000, 0x1000},  {0xd0000, 0x1000}, {0xd8000, 0x1000}, {0xe0000, 0x1000},
        {0xe8000, 0x1000},  {0xf0000, 0x1000}, {0xf8000, 0x1000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
        for (uint64_t byte = 0; byte < 8; byte++) {
            uint64_t start = registers[i].start + byte * registers[i].each;
            if (address >= start && address < start + registers[i].each)
                return ((const uint8_t *)&state->fixed[i])[byte];
        }
    fail();
    return 0;
}

static enum ept_memory_type naive(const struct mtrr_state *state, uint64_t address)
{
    bool seen[256] = {false};
    unsigned kinds = 0, last = 0;
    if ((state->default_type & 0x800) == 0)
        return EPT_UC;
    if (address < 0x100000 && (state->default_type & 0x400) != 0 && (state->capability & 0x100) != 0)
        return or_uncached(naive_fixed(state, address));
    for (unsigned i = 0; i < (state->capability & 0xff) && i < 16; i++) {
        bool match = true;
        for (int bit = 12; bit < 52; bit++)
            if ((state->variable[i].mask >> bit & 1) != 0)
                match = match && (state->variable[i].base >> bit & 1) == (address >> bit & 1);
        if (!match || (state->variable[i].mask >> 11 & 1) == 0)
            continue;
        last = or_uncached(state->variable[i].base & 0xff);
        kinds += !seen[last];
        seen[last] = true;
    }
    if (kinds == 0)
        return or_uncached(state->default_type & 0xff);
    if (kinds == 1)
        return (enum ept_memory_type)last;
    return kinds == 2 && seen[EPT_WT] && seen[EPT_WB] ? EPT_WT : EPT_UC;
}

static uint64_t random_type(struct random *random)
{
    static const uint8_t types[] = {0, 1, 4, 4, 5, 6, 6, 6, 2, 7, 255};
    return types[random_below(random, ARRAY_SIZE(types))];
}

static struct mtrr_state random_state(struct random *random, bool holes)
{
    struct mtrr_state state = {
        .capability = random_below(random, 20) | random_below(random, 2) << 8,
        .default_type =
            random_type(random) | random_below(random, 2) << 10 | (uint64_t)!random_one_in(random, 10) << 11,
    };
    for (int i = 0; i < MTRR_FIXED_COUNT; i++)
        for (int byte = 0; byte < 8; byte++)
            state.fixed[i] |= random_type(random) << byte * 8;
    for (int i = 0; i < MTRR_MAX_VARIABLE; i++) {
        uint64_t size = FRAME_BYTES << random_below(random, 12);
        uint64_t mask = ~(size - 1) & (PHYSICAL_LIMIT - 1);
        if (holes)
            /* Two different numbers: few bits set. NOLINTNEXTLINE(misc-redundant-expression) */
            mask = MASK_TOP | (random_u64(random) & random_u64(random) & (UNIVERSE - 1) & ~UINT64_C(0xfff));
        state.variable[i].base =
            random_below(random, UNIVERSE / FRAME_BYTES) * FRAME_BYTES + random_type(random);
        if (random_one_in(random, 12))
            mask |= UINT64_C(0xfff) << 52; /* reserved bits that no processor would hold */
        state.variable[i].mask = mask | (uint64_t)!random_one_in(random, 4) << 11;
    }
    return state;
}

static void check_run(const struct mtrr_state *state, uint64_t start, uint64_t end, bool exact)
{
    enum ept_memory_type type;
    uint64_t bytes = mtrr_uniform(state, start, end, &type);
    assert_true(bytes >= FRAME_BYTES && bytes <= end - start && is_aligned(bytes, FRAME_BYTES));
    for (uint64_t address = start; address < start + bytes; address += FRAME_BYTES)
        assert_int_equal(naive(state, address), type);
    if (exact && start + bytes < end)
        assert_int_not_equal(naive(state, start + bytes), type);
}

static void runs(bool holes, uint64_t seeds)
{
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct random random = {seed};
        struct mtrr_state state = random_state(&random, holes);
        for (int i = 0; i < 6; i++) {
            uint64_t start = FRAME_BYTES * random_below(&random, UNIVERSE / FRAME_BYTES);
            if (random_one_in(&random, 3))
                start = FRAME_BYTES * random_below(&random, MIB / FRAME_BYTES);
            uint64_t end =
                start + FRAME_BYTES * (1 + random_below(&random, (UNIVERSE - start) / FRAME_BYTES));
            assert_int_equal(mtrr_type(&state, start + random_below(&random, FRAME_BYTES)),
                             naive(&state, start));
            check_run(&state, start, end, !holes);
        }
    }
}

static void types_and_runs_agree_with_the_naive_evaluator(void **state)
{
    (void)state;
    runs(false, 600);
}

static void masks_with_holes_agree_too(void **state)
{
    (void)state;
    runs(true, 600);
}

/* 6 GiB in one machine: RAM to 3 GiB and from 4 GiB on, devices between, as firmware sets it up. */
static const struct mtrr_state usual = {
    .capability = 10 | MTRR_CAPABILITY_FIXED,
    .default_type = EPT_WB | MTRR_DEFAULT_ENABLE | MTRR_DEFAULT_FIXED,
    .fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505,
              0x0505050505050505, 0x0505050505050505, 0x0505050505050505, 0x0505050505050505,
              0x0505050505050505, 0x0505050505050505},
    .variable = {{0xc0000000 | EPT_UC, 0xfffffc0000000 | MTRR_MASK_VALID},
                 {0xd0000000 | EPT_WC, 0xffffff0000000 | MTRR_MASK_VALID}},
};

static void a_usual_machine_reads_as_expected(void **state)
{
    (void)state;
    static const struct {
        uint64_t start, bytes;
        enum ept_memory_type type;
    } expected[] = {
        {0, 0xa0000, EPT_WB},
        {0xa0000, 0x20000, EPT_UC},
        {0xc0000, 0x40000, EPT_WP},
        {MIB, 3 * GIB - MIB, EPT_WB},
        {3 * GIB, GIB, EPT_UC}, /* write-combining inside uncached stays uncached */
        {4 * GIB, PHYSICAL_LIMIT - 4 * GIB, EPT_WB},
    };
    enum ept_memory_type type;
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_int_equal(mtrr_uniform(&usual, expected[i].start, PHYSICAL_LIMIT, &type), expected[i].bytes);
        assert_int_equal(type, expected[i].type);
    }
    assert_int_equal(mtrr_uniform(&usual, MIB, MIB, &type), 0);
    assert_int_equal(mtrr_uniform(&usual, MIB, MIB + FRAME_BYTES, &type), FRAME_BYTES);
}

static void disabled_registers_mean_uncached(void **state)
{
    (void)state;
    enum ept_memory_type type;
    struct mtrr_state off = usual;
    off.default_type &= ~MTRR_DEFAULT_ENABLE;
    assert_int_equal(mtrr_uniform(&off, 0, PHYSICAL_LIMIT, &type), PHYSICAL_LIMIT);
    assert_int_equal(type, EPT_UC);
    off = usual;
    off.default_type &= ~MTRR_DEFAULT_FIXED;
    assert_int_equal(mtrr_type(&off, 0xa0000), EPT_WB);
    off = usual;
    off.capability &= ~MTRR_CAPABILITY_FIXED;
    assert_int_equal(mtrr_type(&off, 0xa0000), EPT_WB);
    off = usual;
    off.capability = 1 | MTRR_CAPABILITY_FIXED;
    off.variable[0].mask &= ~MTRR_MASK_VALID;
    assert_int_equal(mtrr_type(&off, 0xd0000000), EPT_WB);
}

static void the_time_is_bounded_whatever_the_masks(void **state)
{
    (void)state;
    /* Every other frame of all memory, in the type of the rest: 2^39 edges, no change. */
    struct mtrr_state comb = {
        .capability = 1,
        .default_type = EPT_WB | MTRR_DEFAULT_ENABLE,
        .variable = {{FRAME_BYTES | EPT_WB, FRAME_BYTES | MTRR_MASK_VALID}},
    };
    enum ept_memory_type type;
    uint64_t bytes = mtrr_uniform(&comb, 0, PHYSICAL_LIMIT, &type);
    assert_int_equal(type, EPT_WB);
    assert_in_range(bytes, 100 * FRAME_BYTES, GIB);
    assert_int_equal(mtrr_uniform(&comb, bytes, bytes + 9 * FRAME_BYTES, &type), 9 * FRAME_BYTES);
    comb.variable[0].base = FRAME_BYTES | EPT_UC;
    assert_int_equal(mtrr_uniform(&comb, 0, PHYSICAL_LIMIT, &type), FRAME_BYTES);
    assert_int_equal(mtrr_uniform(&comb, FRAME_BYTES, PHYSICAL_LIMIT, &type), FRAME_BYTES);
    assert_int_equal(type, EPT_UC);
    comb.variable[0].mask = MTRR_MASK_VALID; /* all of memory */
    comb.variable[0].base = EPT_WT;
    assert_int_equal(mtrr_uniform(&comb, 0, PHYSICAL_LIMIT, &type), PHYSICAL_LIMIT);
    assert_int_equal(type, EPT_WT);
}

static uint64_t fake_read(void *context, uint32_t msr)
{
    uint64_t capability = *(const uint64_t *)context;
    bool fixed = msr == 0x250 || msr == 0x258 || msr == 0x259 || (msr >= 0x268 && msr <= 0x26f);
    if (msr == 0xfe)
        return capability;
    if (msr == 0x2ff)
        return 0xc06;
    if (fixed)
        assert_true((capability & MTRR_CAPABILITY_FIXED) != 0);
    else
        assert_true(msr >= 0x200 && msr < 0x200 + 2 * (capability & 0xff) && msr < 0x220);
    return msr;
}

static void only_registers_that_exist_are_read(void **state)
{
    (void)state;
    static const uint64_t capabilities[] = {0, 0x100, 0x10a, 10, 0x1ff};
    for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
        struct mtrr_state read;
        uint64_t capability = capabilities[i], count = min_u64(capability & 0xff, MTRR_MAX_VARIABLE);
        memset(&read, 0xee, sizeof(read));
        mtrr_read(&read, fake_read, &capability);
        assert_int_equal(read.capability, capability);
        assert_int_equal(read.default_type, 0xc06);
        assert_int_equal(read.fixed[0], (capability & 0x100) != 0 ? 0x250 : 0);
        assert_int_equal(read.fixed[2], (capability & 0x100) != 0 ? 0x259 : 0);
        assert_int_equal(read.fixed[10], (capability & 0x100) != 0 ? 0x26f : 0);
        for (uint64_t v = 0; v < MTRR_MAX_VARIABLE; v++) {
            assert_int_equal(read.variable[v].base, v < count ? 0x200 + 2 * v : 0);
            assert_int_equal(read.variable[v].mask, v < count ? 0x201 + 2 * v : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_runs_agree_with_the_naive_evaluator),
        cmocka_unit_test(masks_with_holes_agree_too),
        cmocka_unit_test(a_usual_machine_reads_as_expected),
        cmocka_unit_test(disabled_registers_mean_uncached),
        cmocka_unit_test(the_time_is_bounded_whatever_the_masks),
        cmocka_unit_test(only_registers_that_exist_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
