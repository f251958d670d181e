/* The memory map against a naive model: the kind and zone of every frame of a small universe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/memmap.h"
#include "host_tests/support/random.h"

#define NO_KIND (-1)
#define FRAMES  160

struct model {
    uint64_t base; /* of the universe, in bytes */
    int kind[FRAMES];
    int zone[FRAMES];
};

static struct memmap map;

/* Builds with a scratch of exactly the documented size, so that ASan sees an overrun. */
static enum memmap_status build(const struct memmap_input *inputs, size_t count)
{
    uint64_t *scratch = malloc((2 * count + 2) * sizeof(*scratch));
    struct memmap_input *copy = malloc((count + 1) * sizeof(*copy));
    if (count > 0)
        memcpy(copy, inputs, count * sizeof(*copy));
    enum memmap_status status = memmap_build(&map, copy, count, scratch);
    free(copy);
    free(scratch);
    return status;
}

static void assert_normal(void)
{
    for (uint32_t i = 0; i < map.count; i++) {
        const struct memmap_range *range = &map.ranges[i];
        assert_true(range->start < range->end && range->end <= PHYSICAL_LIMIT);
        assert_true(is_aligned(range->start, FRAME_BYTES) && is_aligned(range->end, FRAME_BYTES));
        assert_true(range->kind <= MEMMAP_BAD);
        if (i == 0)
            continue;
        assert_true(range[-1].end <= range->start);
        assert_false(range[-1].end == range->start && range[-1].kind == range->kind &&
                     range[-1].zone == range->zone);
    }
}

static void model_clear(struct model *model, uint64_t base)
{
    model->base = base;
    for (int i = 0; i < FRAMES; i++) {
        model->kind[i] = NO_KIND;
        model->zone[i] = ZONE_UNKNOWN;
    }
}

/* Frame by frame, by the words of the header. */
static bool model_add(struct model *model, const struct memmap_input *input)
{
    bool any = false;
    unsigned __int128 start = input->start, end = start + (unsigned __int128)input->frame_count * FRAME_BYTES;
    int kind = (unsigned)input->kind > MEMMAP_BAD ? MEMMAP_FIRMWARE : (int)input->kind;
    if (input->frame_count == 0 || end >> 64 != 0 || start >= PHYSICAL_LIMIT)
        return false;
    if (kind == MEMMAP_FREE && end > PHYSICAL_LIMIT)
        return false;
    for (int i = 0; i < FRAMES; i++) {
        uint64_t low = model->base + (uint64_t)i * FRAME_BYTES, high = low + FRAME_BYTES;
        bool inside = kind == MEMMAP_FREE ? start <= low && high <= end : start < high && low < end;
        any = any || inside;
        if (inside && kind > model->kind[i])
            model->kind[i] = kind;
    }
    return any;
}

static void assert_equals_model(const struct model *model)
{
    uint32_t next = 0;
    assert_normal();
    for (int i = 0; i < FRAMES; i++) {
        uint64_t address = model->base + (uint64_t)i * FRAME_BYTES;
        while (next < map.count && map.ranges[next].end <= address)
            next++;
        bool present = next < map.count && map.ranges[next].start <= address;
        assert_int_equal(present ? map.ranges[next].kind : NO_KIND, model->kind[i]);
        if (present)
            assert_int_equal(map.ranges[next].zone, model->zone[i]);
    }
}

static uint64_t model_bytes(const struct model *model, int kind)
{
    uint64_t frames = 0;
    for (int i = 0; i < FRAMES; i++)
        frames += model->kind[i] == kind;
    return frames * FRAME_BYTES;
}

static struct memmap_input random_input(struct random *random, uint64_t base)
{
    uint64_t first = random_below(random, FRAMES);
    struct memmap_input input = {
        .start = base + first * FRAME_BYTES,
        .frame_count = random_below(random, min_u64(FRAMES - first, 24) + 1),
        .kind = (enum memmap_kind)random_below(random, MEMMAP_BAD + 1),
    };
    if (random_one_in(random, 4) && input.frame_count > 0 && first + input.frame_count < FRAMES)
        input.start += random_below(random, FRAME_BYTES);
    if (random_one_in(random, 20))
        input.frame_count = UINT64_MAX - random_below(random, 1000);
    if (random_one_in(random, 40))
        input.kind = (enum memmap_kind)(6 + random_below(random, 3));
    if (random_one_in(random, 3))
        input.kind = MEMMAP_FREE;
    return input;
}

static const uint64_t bases[] = {0, 4 * GIB - FRAMES / 2 * FRAME_BYTES, PHYSICAL_LIMIT - FRAMES *FRAME_BYTES};

static void random_map(struct random *random, struct model *model)
{
    struct memmap_input inputs[64];
    size_t count = random_below(random, ARRAY_SIZE(inputs) + 1);
    uint32_t refused = 0;
    model_clear(model, bases[random_below(random, ARRAY_SIZE(bases))]);
    for (size_t i = 0; i < count; i++) {
        inputs[i] = random_input(random, model->base);
        refused += !model_add(model, &inputs[i]);
    }
    enum memmap_status status = build(inputs, count);
    assert_int_equal(status, model_bytes(model, MEMMAP_FREE) > 0 ? MEMMAP_OK : MEMMAP_E_NO_RAM);
    assert_int_equal(map.dropped, refused);
}

static void random_descriptors_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6000; seed++) {
        struct random random = {seed};
        struct model model;
        random_map(&random, &model);
        assert_equals_model(&model);
        for (int kind = MEMMAP_FREE; kind <= MEMMAP_BAD; kind++)
            assert_int_equal(memmap_bytes(&map, (enum memmap_kind)kind), model_bytes(&model, kind));
    }
}

static void random_changes_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct random random = {seed};
        struct model model;
        random_map(&random, &model);
        for (int step = 0; step < 12; step++) {
            uint64_t first = random_below(&random, FRAMES);
            uint64_t after = first + random_below(&random, FRAMES - first + 1);
            struct extent what = {model.base + first * FRAME_BYTES, model.base + after * FRAME_BYTES};
            uint16_t zone = (uint16_t)random_below(&random, 3);
            int kind = (int)random_below(&random, MEMMAP_BAD + 1);
            bool reserve = random_one_in(&random, 2), free = true;
            for (uint64_t i = first; i < after; i++)
                free = free && model.kind[i] == MEMMAP_FREE;
            bool valid = first < after && (free || !reserve);
            enum memmap_status status = reserve ? memmap_reserve(&map, what, (enum memmap_kind)kind)
                                                : memmap_set_zone(&map, what, zone);
            assert_int_equal(status, valid ? MEMMAP_OK : MEMMAP_E_RANGE);
            for (uint64_t i = first; valid && i < after; i++) {
                if (reserve)
                    model.kind[i] = kind;
                else if (model.kind[i] != NO_KIND)
                    model.zone[i] = zone;
            }
            assert_equals_model(&model);
        }
    }
}

static void order_does_not_matter(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random random = {seed};
        struct memmap_input inputs[40];
        for (size_t i = 0; i < ARRAY_SIZE(inputs); i++)
            inputs[i] = random_input(&random, 0);
        enum memmap_status first_status = build(inputs, ARRAY_SIZE(inputs));
        static struct memmap first;
        first = map;
        for (size_t i = ARRAY_SIZE(inputs); i-- > 1;) {
            size_t other = random_below(&random, i + 1);
            struct memmap_input swapped = inputs[i];
            inputs[i] = inputs[other];
            inputs[other] = swapped;
        }
        assert_int_equal(build(inputs, ARRAY_SIZE(inputs)), first_status);
        assert_int_equal(map.count, first.count);
        assert_memory_equal(map.ranges, first.ranges, map.count * sizeof(map.ranges[0]));
    }
}

static void unaligned_ends_are_taken_safely(void **state)
{
    (void)state;
    const struct memmap_input inputs[] = {
        {0x1800, 4, MEMMAP_FREE},     /* 0x1800 to 0x5800: whole frames are 0x2000 to 0x5000 */
        {0x8fff, 1, MEMMAP_FIRMWARE}, /* touches 0x8000 and 0x9000 */
        {0x20001, 1, MEMMAP_FREE},    /* holds no whole frame */
    };
    assert_int_equal(build(inputs, ARRAY_SIZE(inputs)), MEMMAP_OK);
    assert_int_equal(map.count, 2);
    assert_int_equal(map.dropped, 1);
    assert_int_equal(map.ranges[0].start, 0x2000);
    assert_int_equal(map.ranges[0].end, 0x5000);
    assert_int_equal(map.ranges[1].start, 0x8000);
    assert_int_equal(map.ranges[1].end, 0xa000);
}

static void nonsense_is_refused_and_reservations_are_not_forgotten(void **state)
{
    (void)state;
    const struct memmap_input inputs[] = {
        {0x100000, 0x100, MEMMAP_FREE},
        {0x300000, 0, MEMMAP_FIRMWARE},                              /* no frames */
        {UINT64_MAX - 0xfff, 1, MEMMAP_FIRMWARE},                    /* wraps to exactly 0 */
        {0x100000, UINT64_MAX, MEMMAP_BAD},                          /* its size wraps */
        {0x100000, UINT64_C(1) << 52, MEMMAP_BAD},                   /* its size is 0 modulo 2^64 */
        {PHYSICAL_LIMIT, 1, MEMMAP_MMIO},                            /* begins where nothing is addressable */
        {PHYSICAL_LIMIT - FRAME_BYTES, 2, MEMMAP_FREE},              /* RAM beyond it */
        {PHYSICAL_LIMIT - 2 * FRAME_BYTES, 4, MEMMAP_FIRMWARE},      /* cut */
        {PHYSICAL_LIMIT - 3 * FRAME_BYTES, 1, (enum memmap_kind)99}, /* an unknown kind is nobody's to use */
    };
    assert_int_equal(build(inputs, ARRAY_SIZE(inputs)), MEMMAP_OK);
    assert_int_equal(map.dropped, 6);
    assert_int_equal(map.count, 2);
    assert_int_equal(map.ranges[1].kind, MEMMAP_FIRMWARE);
    assert_int_equal(map.ranges[1].start, PHYSICAL_LIMIT - 3 * FRAME_BYTES);
    assert_int_equal(map.ranges[1].end, PHYSICAL_LIMIT);
}

static void without_ram_it_says_so(void **state)
{
    (void)state;
    const struct memmap_input hidden[] = {{0x1000, 4, MEMMAP_FREE}, {0, 16, MEMMAP_ACPI}};
    assert_int_equal(memmap_build(&map, NULL, 0, NULL), MEMMAP_E_NO_RAM);
    assert_int_equal(build(hidden, ARRAY_SIZE(hidden)), MEMMAP_E_NO_RAM);
    assert_int_equal(map.count, 1);
}

/* Every second frame free: `count` ranges. */
static enum memmap_status build_comb(size_t count)
{
    struct memmap_input *inputs = malloc(count * sizeof(*inputs));
    for (size_t i = 0; i < count; i++)
        inputs[i] = (struct memmap_input){(count - i) * 4 * FRAME_BYTES, 3, MEMMAP_FREE};
    enum memmap_status status = build(inputs, count);
    free(inputs);
    return status;
}

static void a_full_map_is_full_and_stays_as_it_was(void **state)
{
    (void)state;
    assert_int_equal(build_comb(MEMMAP_MAX_RANGES + 1), MEMMAP_E_TOO_MANY);
    assert_int_equal(map.count, 0);
    assert_int_equal(build_comb(MEMMAP_MAX_RANGES), MEMMAP_OK);
    assert_int_equal(map.count, MEMMAP_MAX_RANGES);

    static struct memmap before;
    before = map;
    uint64_t tooth = 8 * FRAME_BYTES;
    const struct extent part = {tooth, tooth + FRAME_BYTES};
    const struct extent whole = {tooth, tooth + 3 * FRAME_BYTES};
    assert_int_equal(memmap_reserve(&map, part, MEMMAP_HYPERVISOR), MEMMAP_E_TOO_MANY);
    assert_int_equal(memmap_set_zone(&map, part, 1), MEMMAP_E_TOO_MANY);
    assert_memory_equal(&map, &before, sizeof(map));
    assert_int_equal(memmap_reserve(&map, whole, MEMMAP_HYPERVISOR), MEMMAP_OK);
    assert_int_equal(map.count, MEMMAP_MAX_RANGES);

    assert_int_equal(build_comb(MEMMAP_MAX_RANGES - 1), MEMMAP_OK);
    const struct extent middle = {tooth + FRAME_BYTES, tooth + 2 * FRAME_BYTES};
    assert_int_equal(memmap_reserve(&map, middle, MEMMAP_HYPERVISOR), MEMMAP_E_TOO_MANY);
    assert_int_equal(memmap_reserve(&map, part, MEMMAP_HYPERVISOR), MEMMAP_OK);
    assert_int_equal(map.count, MEMMAP_MAX_RANGES);
}

static void a_wrong_extent_is_refused(void **state)
{
    (void)state;
    const struct memmap_input inputs[] = {{0x100000, 16, MEMMAP_FREE}, {0x120000, 16, MEMMAP_FREE}};
    const struct extent wrong[] = {
        {0x100000, 0x100000}, {0x101000, 0x100000},
        {0x100800, 0x102000}, {0x100000, 0x100800},
        {0x0ff000, 0x101000}, {0x10f000, 0x111000},
        {0x10f000, 0x121000}, {0x200000, 0x201000},
        {0, UINT64_MAX},      {0x100000, PHYSICAL_LIMIT + FRAME_BYTES},
    };
    assert_int_equal(build(inputs, ARRAY_SIZE(inputs)), MEMMAP_OK);
    static struct memmap before;
    before = map;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(memmap_reserve(&map, wrong[i], MEMMAP_HYPERVISOR), MEMMAP_E_RANGE);
    const struct extent right = {0x100000, 0x101000};
    assert_int_equal(memmap_reserve(&map, right, (enum memmap_kind)6), MEMMAP_E_RANGE);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(memmap_set_zone(&map, wrong[i], 0), MEMMAP_E_RANGE);
    assert_memory_equal(&map, &before, sizeof(map));
    assert_int_equal(memmap_set_zone(&map, (struct extent){0, PHYSICAL_LIMIT}, 3), MEMMAP_OK);
    assert_int_equal(map.ranges[0].zone, 3);
    assert_int_equal(map.ranges[1].zone, 3);
}

/* Ten thousand times the edges of a real map, in the orders that hurt quadratic sorts: takes well under a
 * second. */
static void many_descriptors_take_no_long_time(void **state)
{
    (void)state;
    size_t count = 300000;
    struct memmap_input *inputs = malloc(count * sizeof(*inputs));
    for (int order = 0; order < 2; order++) {
        for (size_t i = 0; i < count; i++)
            inputs[i] = (struct memmap_input){(order == 0 ? i : count - i) * FRAME_BYTES, 3, MEMMAP_FREE};
        assert_int_equal(build(inputs, count), MEMMAP_OK);
        assert_int_equal(map.count, 1);
        assert_int_equal(memmap_bytes(&map, MEMMAP_FREE), (count + 2) * FRAME_BYTES);
    }
    free(inputs);
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(memmap_kind_name(MEMMAP_FREE), "free");
    assert_string_equal(memmap_kind_name(MEMMAP_BAD), "bad");
    assert_string_equal(memmap_kind_name((enum memmap_kind)6), "unknown");
    for (int kind = 0; kind <= MEMMAP_BAD; kind++)
        assert_non_null(memmap_kind_name((enum memmap_kind)kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_descriptors_agree_with_the_model),
        cmocka_unit_test(random_changes_agree_with_the_model),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(unaligned_ends_are_taken_safely),
        cmocka_unit_test(nonsense_is_refused_and_reservations_are_not_forgotten),
        cmocka_unit_test(without_ram_it_says_so),
        cmocka_unit_test(a_full_map_is_full_and_stays_as_it_was),
        cmocka_unit_test(a_wrong_extent_is_refused),
        cmocka_unit_test(many_descriptors_take_no_long_time),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
