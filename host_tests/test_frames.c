/* The extent table against a naive model: owner, state and zone of every frame (or 2 MiB) of a small machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/frames.h"
#include "host_tests/support/random.h"

#define UNITS        3000
#define MAX_PIECES   6
#define MAX_CAPACITY 4096
#define OWNERS       4 /* the hypervisor and three partitions */

struct unit {
    owner_t owner;
    enum frame_state state;
    uint16_t zone;
};

/* Everything about one random run; the unit is the grain in which the model sees memory. */
struct world {
    struct random random;
    uint64_t unit_bytes;
    uint64_t base; /* of unit 0 */
    struct memmap map;
    struct frame_table table;
    struct frame_extent *memory; /* of exactly the table's capacity, so that ASan sees an overrun */
    struct unit units[UNITS];
};

static struct world world;

static owner_t random_owner(struct world *w)
{
    uint64_t n = random_below(&w->random, OWNERS);
    return n == 0 ? OWNER_HYPERVISOR : (owner_t)(OWNER_PARTITION_FIRST + n - 1);
}

static struct unit unit_of_range(const struct memmap_range *range, uint64_t address)
{
    struct unit unit = {OWNER_NONE, FRAME_FREE, range->zone};
    switch (range->kind) {
    case MEMMAP_FREE:
        if (address < MIB)
            unit = (struct unit){OWNER_FIRMWARE, FRAME_FIRMWARE, range->zone};
        break;
    case MEMMAP_HYPERVISOR:
        unit = (struct unit){OWNER_HYPERVISOR, FRAME_OWNED, range->zone};
        break;
    case MEMMAP_BAD:
        unit.state = FRAME_BAD;
        break;
    case MEMMAP_MMIO:
        unit.state = FRAME_ABSENT;
        break;
    default:
        unit = (struct unit){OWNER_FIRMWARE, FRAME_FIRMWARE, range->zone};
    }
    return unit;
}

static void model_from_map(struct world *w)
{
    for (size_t i = 0; i < UNITS; i++) {
        uint64_t address = w->base + i * w->unit_bytes;
        w->units[i] = (struct unit){OWNER_NONE, FRAME_ABSENT, 0};
        for (uint32_t r = 0; r < w->map.count; r++)
            if (w->map.ranges[r].start <= address && address < w->map.ranges[r].end)
                w->units[i] = unit_of_range(&w->map.ranges[r], address);
        if (w->units[i].state == FRAME_ABSENT)
            w->units[i].zone = 0;
    }
}

static bool unit_alike(struct unit a, struct unit b)
{
    return a.owner == b.owner && a.state == b.state && a.zone == b.zone;
}

/* How many entries a joined table of the model has. */
static uint32_t model_entries(const struct unit *units)
{
    uint32_t entries = 0;
    for (size_t i = 0; i < UNITS; i++)
        if (units[i].state != FRAME_ABSENT && (i == 0 || !unit_alike(units[i], units[i - 1])))
            entries++;
    return entries;
}

static void assert_table_is_model(const struct world *w)
{
    assert_true(frames_consistent(&w->table));
    assert_int_equal(w->table.count, model_entries(w->units));
    uint32_t next = 0;
    for (size_t i = 0; i < UNITS; i++) {
        uint64_t address = w->base + i * w->unit_bytes;
        if (w->units[i].state == FRAME_ABSENT)
            continue;
        while (next < w->table.count && w->table.extents[next].end <= address)
            next++;
        assert_true(next < w->table.count);
        const struct frame_extent *entry = &w->table.extents[next];
        assert_true(entry->start <= address && address + w->unit_bytes <= entry->end);
        assert_int_equal(entry->owner, w->units[i].owner);
        assert_int_equal(entry->state, w->units[i].state);
        assert_int_equal(entry->zone, w->units[i].zone);
    }
}

static void world_begin(uint64_t seed, uint64_t unit_bytes, uint64_t base)
{
    struct world *w = &world;
    free(w->memory);
    *w = (struct world){.random = {seed}, .unit_bytes = unit_bytes, .base = base};
    struct memmap_input inputs[24];
    uint64_t scratch[2 * ARRAY_SIZE(inputs) + 2];
    uint64_t frames_a_unit = unit_bytes / FRAME_BYTES;
    inputs[0] = (struct memmap_input){base, UNITS * frames_a_unit, MEMMAP_FREE};
    size_t count = 1 + random_below(&w->random, ARRAY_SIZE(inputs) - 1);
    for (size_t i = 1; i < count; i++)
        inputs[i] = (struct memmap_input){base + random_below(&w->random, UNITS - 40) * unit_bytes,
                                          random_below(&w->random, 40) * frames_a_unit,
                                          (enum memmap_kind)random_below(&w->random, MEMMAP_BAD + 1)};
    assert_int_equal(memmap_build(&w->map, inputs, count, scratch), MEMMAP_OK);
    for (uint16_t zone = 0; zone < 3 && !random_one_in(&w->random, 4); zone++) {
        uint64_t first = random_below(&w->random, UNITS - 1);
        struct extent what = {base + first * unit_bytes,
                              base + (first + 1 + random_below(&w->random, UNITS - first)) * unit_bytes};
        assert_int_equal(memmap_set_zone(&w->map, what, zone), MEMMAP_OK);
    }
    model_from_map(w);
    uint64_t capacity =
        model_entries(w->units) + (random_one_in(&w->random, 2) ? random_below(&w->random, 12) : 400);
    w->memory = calloc(capacity, sizeof(w->memory[0]));
    assert_int_equal(frames_init(&w->table, w->memory, capacity * sizeof(w->memory[0]), &w->map), ALLOC_OK);
    assert_table_is_model(w);
}

/* ------------------------------------------------------------------------ what a carve must have done */

static uint64_t usable_run_bytes(const struct world *w, size_t first, size_t after,
                                 const struct carve_request *request)
{
    uint64_t start = align_up(w->base + first * w->unit_bytes, request->grain);
    uint64_t end = align_down(min_u64(w->base + after * w->unit_bytes, request->below), request->grain);
    return start < end ? end - start : 0;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The most bytes that `max` extents can hold, in the zone asked for or in any. */
static uint64_t model_best(const struct world *w, const struct carve_request *request, bool any_zone,
                           uint32_t max)
{
    static uint64_t runs[UNITS];
    size_t count = 0;
    for (size_t i = 0, after; i < UNITS; i = after) {
        for (after = i + 1; after < UNITS && unit_alike(w->units[i], w->units[after]); after++)
            ;
        if (w->units[i].state == FRAME_FREE && (any_zone || w->units[i].zone == request->zone))
            runs[count++] = usable_run_bytes(w, i, after, request);
    }
    qsort(runs, count, sizeof(runs[0]), descending);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count && i < max; i++)
        bytes += runs[i];
    return bytes;
}

static void model_set(struct world *w, struct extent what, owner_t owner, enum frame_state state)
{
    for (uint64_t address = what.start; address < what.end; address += w->unit_bytes) {
        struct unit *unit = &w->units[(address - w->base) / w->unit_bytes];
        unit->owner = owner;
        unit->state = state;
    }
}

static void check_carved(struct world *w, const struct carve_request *request, const struct extent *out,
                         uint32_t count, bool zone_suffices)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(out[i].start < out[i].end && out[i].end <= request->below);
        assert_true(is_aligned(out[i].start, request->grain) && is_aligned(out[i].end, request->grain));
        for (uint64_t a = out[i].start; a < out[i].end; a += w->unit_bytes) {
            const struct unit *unit = &w->units[(a - w->base) / w->unit_bytes];
            assert_int_equal(unit->state, FRAME_FREE);
            assert_true(!zone_suffices || unit->zone == request->zone);
        }
        model_set(w, out[i], request->owner, FRAME_OWNED);
        bytes += extent_bytes(out[i]);
    }
    assert_int_equal(bytes, request->bytes);
}

static void step_carve(struct world *w)
{
    static const uint64_t grains[] = {FRAME_BYTES, PAGE_2M, PAGE_1G};
    struct carve_request request = {
        .owner = random_owner(w),
        .grain = max_u64(w->unit_bytes, grains[random_below(&w->random, 3)]),
        .zone = random_one_in(&w->random, 2) ? ZONE_UNKNOWN : (uint16_t)random_below(&w->random, 3),
        .below = random_one_in(&w->random, 3) ? w->base + random_below(&w->random, UNITS * w->unit_bytes)
                                              : UINT64_MAX,
    };
    uint64_t most = UNITS * w->unit_bytes / request.grain / (1 + random_below(&w->random, 12)) + 1;
    request.bytes = request.grain * (1 + random_below(&w->random, most));
    struct extent out[MAX_PIECES];
    uint32_t max = 1 + (uint32_t)random_below(&w->random, MAX_PIECES), count = 99;
    bool zone_suffices = request.zone != ZONE_UNKNOWN && model_best(w, &request, false, max) >= request.bytes;
    uint64_t in_all = model_best(w, &request, true, UNITS), in_max = model_best(w, &request, true, max);
    uint32_t count_before = w->table.count;

    enum alloc_status status = frames_carve(&w->table, &request, out, max, &count);
    if (status == ALLOC_E_TABLE_FULL) {
        assert_true(count_before + 2 * max > w->table.capacity && in_all >= request.bytes);
        assert_int_equal(count, 0);
        return;
    }
    assert_int_equal(status, in_all < request.bytes   ? ALLOC_E_NO_MEMORY
                             : in_max < request.bytes ? ALLOC_E_FRAGMENTED
                                                      : ALLOC_OK);
    assert_true(status == ALLOC_OK ? count >= 1 && count <= max : count == 0);
    bool in_zone = zone_suffices && count_before + 2 * max <= w->table.capacity;
    if (status == ALLOC_OK)
        check_carved(w, &request, out, count, in_zone);
}

/* ------------------------------------------------------------------- returning and scrubbing by the model */

/* Sometimes one run of the model, so that it is often right; otherwise anything. */
static struct extent random_extent(struct world *w)
{
    size_t first = random_below(&w->random, UNITS);
    size_t after = first + random_below(&w->random, min_u64(UNITS - first, 60) + 1);
    if (!random_one_in(&w->random, 3)) {
        while (first > 0 && random_one_in(&w->random, 2) &&
               w->units[first - 1].owner == w->units[first].owner)
            first--;
        for (after = first; after < UNITS && w->units[after].owner == w->units[first].owner &&
                            w->units[after].state == w->units[first].state && !random_one_in(&w->random, 90);)
            after++;
    }
    return (struct extent){w->base + first * w->unit_bytes, w->base + after * w->unit_bytes};
}

static bool model_all(const struct world *w, struct extent what, owner_t owner, enum frame_state state)
{
    for (uint64_t a = what.start; a < what.end; a += w->unit_bytes) {
        const struct unit *unit = &w->units[(a - w->base) / w->unit_bytes];
        if (unit->owner != owner || unit->state != state)
            return false;
    }
    return true;
}

/* A change from one state to another: what the call must have said, and the model's own change. */
static void expect_change(struct world *w, enum alloc_status status, struct extent what, owner_t owner,
                          enum frame_state from, enum frame_state to)
{
    if (what.start == what.end) {
        assert_int_equal(status, ALLOC_E_ARGUMENT);
        return;
    }
    if (!model_all(w, what, owner, from)) {
        assert_int_equal(status, ALLOC_E_NOT_OWNER);
        return;
    }
    static struct unit before[UNITS];
    memcpy(before, w->units, sizeof(before));
    model_set(w, what, OWNER_NONE, to);
    uint32_t entries = model_entries(w->units);
    if (status == ALLOC_E_TABLE_FULL) {
        assert_true(entries + 1 > w->table.capacity);
        memcpy(w->units, before, sizeof(before));
        return;
    }
    assert_int_equal(status, ALLOC_OK);
    assert_true(entries <= w->table.capacity);
}

static void step_return(struct world *w)
{
    struct extent what = random_extent(w);
    const struct unit *unit = &w->units[(what.start - w->base) / w->unit_bytes];
    bool right = unit->state == FRAME_OWNED && !random_one_in(&w->random, 8);
    owner_t owner = right ? unit->owner : random_owner(w);
    assert_int_equal(frames_owned_by(&w->table, what, owner),
                     what.start < what.end && model_all(w, what, owner, FRAME_OWNED));
    expect_change(w, frames_return(&w->table, owner, what), what, owner, FRAME_OWNED, FRAME_SCRUB);
}

static void step_scrub(struct world *w)
{
    struct extent what = random_extent(w);
    uint64_t most = random_below(&w->random, 100) * w->unit_bytes;
    if (random_one_in(&w->random, 2) && frames_next_scrub(&w->table, most, &what)) {
        assert_true(extent_bytes(what) <= most);
        assert_true(model_all(w, what, OWNER_NONE, FRAME_SCRUB));
    }
    expect_change(w, frames_scrubbed(&w->table, what), what, OWNER_NONE, FRAME_SCRUB, FRAME_FREE);
}

static void step_return_all(struct world *w)
{
    owner_t owner = random_owner(w);
    uint64_t owned = frames_bytes(&w->table, FRAME_OWNED, owner), bytes = 0;
    for (size_t i = 0; i < UNITS; i++) {
        if (w->units[i].owner != owner)
            continue;
        w->units[i].owner = OWNER_NONE;
        w->units[i].state = FRAME_SCRUB;
        bytes += w->unit_bytes;
    }
    assert_int_equal(owned, bytes);
    assert_int_equal(frames_return_all(&w->table, owner), bytes);
    assert_int_equal(frames_return_all(&w->table, owner), 0);
}

static void step_find(struct world *w)
{
    for (int i = 0; i < 8; i++) {
        uint64_t address = w->base + random_below(&w->random, UNITS * w->unit_bytes);
        const struct unit *unit = &w->units[(address - w->base) / w->unit_bytes];
        const struct frame_extent *entry = frames_find(&w->table, hpa(address));
        assert_int_equal(entry != NULL, unit->state != FRAME_ABSENT);
        if (entry != NULL)
            assert_true(entry->start <= address && address < entry->end && entry->owner == unit->owner);
    }
}

static void step(struct world *w)
{
    static struct frame_extent before[MAX_CAPACITY];
    static struct unit units_before[UNITS];
    uint32_t count_before = w->table.count;
    memcpy(before, w->memory, count_before * sizeof(before[0]));
    memcpy(units_before, w->units, sizeof(units_before));
    switch (random_below(&w->random, 16)) {
    default:
        step_carve(w);
        break;
    case 6 ... 9:
        step_return(w);
        break;
    case 10 ... 13:
        step_scrub(w);
        break;
    case 14:
        if (random_one_in(&w->random, 4))
            step_return_all(w);
        break;
    case 15:
        step_find(w);
    }
    /* What changed nothing in the model changed nothing in the table. */
    if (memcmp(units_before, w->units, sizeof(units_before)) == 0) {
        assert_int_equal(w->table.count, count_before);
        assert_memory_equal(w->memory, before, count_before * sizeof(before[0]));
    }
    assert_table_is_model(w);
}

/* Everything returned and scrubbed: the machine is as it began, in as few entries. */
static void take_all_back(struct world *w)
{
    struct extent what;
    for (owner_t owner = OWNER_HYPERVISOR; owner < OWNER_PARTITION_FIRST + OWNERS; owner++)
        frames_return_all(&w->table, owner);
    while (frames_next_scrub(&w->table, UINT64_MAX, &what))
        assert_int_equal(frames_scrubbed(&w->table, what), ALLOC_OK);
    model_from_map(w);
    for (size_t i = 0; i < UNITS; i++)
        if (w->units[i].state == FRAME_OWNED)
            w->units[i] = (struct unit){OWNER_NONE, FRAME_FREE, w->units[i].zone};
    assert_table_is_model(w);
}

static void run(uint64_t seed, uint64_t unit_bytes, uint64_t base, int steps)
{
    world_begin(seed, unit_bytes, base);
    for (int i = 0; i < steps; i++)
        step(&world);
}

static void random_operations_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        run(seed, FRAME_BYTES, seed % 2 == 0 ? 0 : 4 * GIB - 5 * MIB, 150);
        take_all_back(&world);
        run(seed, PAGE_2M, seed % 3 == 0 ? PHYSICAL_LIMIT - UNITS * PAGE_2M : 3 * PAGE_2M, 150);
        take_all_back(&world);
    }
}

static void the_same_requests_give_the_same_extents(void **state)
{
    (void)state;
    static struct frame_extent first[MAX_CAPACITY];
    run(77, FRAME_BYTES, 0, 200);
    memcpy(first, world.memory, world.table.count * sizeof(first[0]));
    run(77, FRAME_BYTES, 0, 200);
    assert_memory_equal(first, world.memory, world.table.count * sizeof(first[0]));
}

/* --------------------------------------------------------------------------------------- by example */

static struct frame_extent example_memory[64];

static struct frame_table example(const struct memmap_input *inputs, size_t count)
{
    static struct memmap map;
    uint64_t scratch[64];
    struct frame_table table;
    assert_int_equal(memmap_build(&map, inputs, count, scratch), MEMMAP_OK);
    assert_int_equal(frames_init(&table, example_memory, sizeof(example_memory), &map), ALLOC_OK);
    return table;
}

#define FRAMES_IN(bytes) ((bytes) / FRAME_BYTES)
#define PARTITION        OWNER_PARTITION_FIRST

static struct carve_request wants(uint64_t bytes, uint64_t grain)
{
    return (struct carve_request){PARTITION, bytes, grain, ZONE_UNKNOWN, UINT64_MAX};
}

static void large_requests_begin_on_a_gib(void **state)
{
    (void)state;
    /* 1.5 to 3 GiB, and 4.25 to 9 GiB. */
    const struct memmap_input inputs[] = {{3 * GIB / 2, FRAMES_IN(3 * GIB / 2), MEMMAP_FREE},
                                          {17 * GIB / 4, FRAMES_IN(19 * GIB / 4), MEMMAP_FREE}};
    struct frame_table table = example(inputs, 2);
    struct extent out[4];
    uint32_t count;

    struct carve_request request = wants(GIB, PAGE_2M);
    assert_int_equal(frames_carve(&table, &request, out, 4, &count), ALLOC_OK);
    assert_int_equal(count, 1);
    assert_int_equal(out[0].start, 2 * GIB); /* the smaller room that holds it */

    request = wants(5 * GIB / 2, PAGE_2M);
    assert_int_equal(frames_carve(&table, &request, out, 4, &count), ALLOC_OK);
    assert_int_equal(count, 1);
    assert_int_equal(out[0].start, 5 * GIB);

    /* 4.25 to 5, 7.5 to 9 and 1.5 to 2 are left: one whole GiB, then the rest from the smallest that holds
     * it. */
    request = wants(3 * GIB / 2, PAGE_2M);
    assert_int_equal(frames_carve(&table, &request, out, 4, &count), ALLOC_OK);
    assert_int_equal(count, 2);
    assert_int_equal(out[0].start, 8 * GIB);
    assert_int_equal(extent_bytes(out[0]), GIB);
    assert_int_equal(out[1].start, 3 * GIB / 2);
}

static void pieces_on_a_gib_yield_to_fewer_pieces(void **state)
{
    (void)state;
    /* Two runs of 2.9 GiB that begin off a GiB: 5.5 GiB take two pieces, or six of which two are a whole GiB.
     */
    const struct memmap_input inputs[] = {{GIB + 100 * MIB, FRAMES_IN(2900 * MIB), MEMMAP_FREE},
                                          {5 * GIB + 100 * MIB, FRAMES_IN(2900 * MIB), MEMMAP_FREE}};
    struct frame_table table = example(inputs, 2);
    struct extent out[6];
    uint32_t count;
    struct carve_request request = wants(5500 * MIB, PAGE_2M);
    assert_int_equal(frames_carve(&table, &request, out, 1, &count), ALLOC_E_FRAGMENTED);
    assert_int_equal(table.count, 2);
    assert_int_equal(frames_carve(&table, &request, out, 5, &count), ALLOC_OK);
    assert_int_equal(count, 2);
    assert_int_equal(frames_return_all(&table, PARTITION), 5500 * MIB);
    while (frames_next_scrub(&table, UINT64_MAX, &out[0]))
        assert_int_equal(frames_scrubbed(&table, out[0]), ALLOC_OK);
    assert_int_equal(frames_carve(&table, &request, out, 6, &count), ALLOC_OK);
    assert_int_equal(count, 6);
    for (int i = 0; i < 2; i++)
        assert_true(is_aligned(out[i].start, GIB) && extent_bytes(out[i]) == GIB);
}

static void the_zone_asked_for_comes_first(void **state)
{
    (void)state;
    /* Zone 0: 1.5 to 3 GiB. Zone 1: 4 to 8 GiB. */
    static struct memmap map;
    const struct memmap_input inputs[] = {{3 * GIB / 2, FRAMES_IN(3 * GIB / 2), MEMMAP_FREE},
                                          {4 * GIB, FRAMES_IN(4 * GIB), MEMMAP_FREE}};
    static const struct {
        uint64_t bytes;
        uint16_t zone;
        uint32_t max;
        uint64_t start; /* of the first extent */
        uint32_t count;
    } cases[] = {
        {GIB, 0, 1, 2 * GIB, 1},             /* on a GiB inside the zone */
        {3 * GIB / 2, 0, 2, 2 * GIB, 2},     /* the same, and the rest beside it */
        {3 * GIB / 2, 0, 1, 3 * GIB / 2, 1}, /* the zone is worth more than the GiB */
        {GIB, 1, 1, 4 * GIB, 1},
        {2 * GIB, 0, 2, 4 * GIB, 1}, /* the zone has not enough */
        {5 * GIB, 0, 2, 4 * GIB, 2},
        {GIB, 7, 1, 2 * GIB, 1}, /* no such zone */
        {GIB, ZONE_UNKNOWN, 1, 2 * GIB, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t scratch[8];
        struct frame_table table;
        struct extent out[2];
        uint32_t count;
        assert_int_equal(memmap_build(&map, inputs, 2, scratch), MEMMAP_OK);
        assert_int_equal(memmap_set_zone(&map, (struct extent){0, 4 * GIB}, 0), MEMMAP_OK);
        assert_int_equal(memmap_set_zone(&map, (struct extent){4 * GIB, 8 * GIB}, 1), MEMMAP_OK);
        assert_int_equal(frames_init(&table, example_memory, sizeof(example_memory), &map), ALLOC_OK);
        struct carve_request request = {PARTITION, cases[i].bytes, PAGE_2M, cases[i].zone, UINT64_MAX};
        assert_int_equal(frames_carve(&table, &request, out, cases[i].max, &count), ALLOC_OK);
        assert_int_equal(out[0].start, cases[i].start);
        assert_int_equal(count, cases[i].count);
    }
}

/* Three extents that differ only in zone; the last split finds the table full when the first two have
 * changed. */
static void a_return_that_finds_the_table_full_is_taken_back(void **state)
{
    (void)state;
    struct frame_extent entries[4] = {{0x100000, 0x110000, PARTITION, FRAME_OWNED, 0},
                                      {0x110000, 0x120000, PARTITION, FRAME_OWNED, 1},
                                      {0x120000, 0x130000, PARTITION, FRAME_OWNED, 2}};
    const struct frame_extent before[3] = {entries[0], entries[1], entries[2]};
    struct frame_table table = {3, 4, entries};
    const struct extent what = {0x108000, 0x128000};
    assert_int_equal(frames_return(&table, PARTITION, what), ALLOC_E_TABLE_FULL);
    assert_int_equal(table.count, 3);
    assert_memory_equal(entries, before, sizeof(before));

    table.capacity = 3;
    const struct extent up_to_the_middle = {0x100000, 0x128000};
    assert_int_equal(frames_return(&table, PARTITION, up_to_the_middle), ALLOC_E_TABLE_FULL);
    assert_int_equal(table.count, 3);
    assert_memory_equal(entries, before, sizeof(before));
    assert_int_equal(frames_return(&table, PARTITION, (struct extent){0x100000, 0x130000}), ALLOC_OK);
    assert_int_equal(frames_scrubbed(&table, up_to_the_middle), ALLOC_E_TABLE_FULL);
    assert_int_equal(frames_bytes(&table, FRAME_SCRUB, OWNER_NONE), 0x30000);
}

static void among_equals_the_lowest_is_carved(void **state)
{
    (void)state;
    const struct memmap_input inputs[] = {{4 * MIB, FRAMES_IN(PAGE_2M), MEMMAP_FREE},
                                          {8 * MIB, FRAMES_IN(PAGE_2M), MEMMAP_FREE},
                                          {12 * MIB, FRAMES_IN(PAGE_2M), MEMMAP_FREE}};
    struct frame_table table = example(inputs, 3);
    struct extent out[2];
    uint32_t count;
    struct carve_request request = wants(2 * PAGE_2M, PAGE_2M);
    assert_int_equal(frames_carve(&table, &request, out, 2, &count), ALLOC_OK);
    assert_int_equal(out[0].start, 4 * MIB);
    assert_int_equal(out[1].start, 8 * MIB);
}

static void beyond_the_last_entry_nothing_is_read(void **state)
{
    (void)state;
    /* Of exactly the table's size, so that ASan sees it. */
    struct frame_extent *entry = malloc(sizeof(*entry));
    *entry = (struct frame_extent){0x100000, 0x200000, PARTITION, FRAME_OWNED, 0};
    struct frame_table table = {1, 1, entry};
    const struct extent beyond = {0x200000, 0x201000}, across = {0x1ff000, 0x201000};
    assert_int_equal(frames_return(&table, PARTITION, beyond), ALLOC_E_NOT_OWNER);
    assert_int_equal(frames_return(&table, PARTITION, across), ALLOC_E_NOT_OWNER);
    assert_null(frames_find(&table, hpa(0x200000)));
    free(entry);
}

static void returned_memory_is_not_carved_before_it_is_scrubbed(void **state)
{
    (void)state;
    const struct memmap_input inputs[] = {{MIB, FRAMES_IN(MIB), MEMMAP_FREE}};
    struct frame_table table = example(inputs, 1);
    struct extent out;
    uint32_t count;
    struct carve_request request = wants(MIB, FRAME_BYTES);
    assert_int_equal(frames_carve(&table, &request, &out, 1, &count), ALLOC_OK);
    assert_int_equal(frames_return(&table, PARTITION, out), ALLOC_OK);
    assert_int_equal(frames_return(&table, PARTITION, out), ALLOC_E_NOT_OWNER);
    assert_int_equal(frames_carve(&table, &request, &out, 1, &count), ALLOC_E_NO_MEMORY);
    assert_int_equal(frames_bytes(&table, FRAME_SCRUB, OWNER_NONE), MIB);
    assert_false(frames_next_scrub(&table, FRAME_BYTES - 1, &out));
    assert_true(frames_next_scrub(&table, MIB / 2 + 1, &out));
    assert_int_equal(extent_bytes(out), MIB / 2);
    assert_int_equal(frames_scrubbed(&table, out), ALLOC_OK);
    assert_int_equal(frames_scrubbed(&table, out), ALLOC_E_NOT_OWNER);
    request.bytes = MIB / 2;
    assert_int_equal(frames_carve(&table, &request, &out, 1, &count), ALLOC_OK);
    assert_int_equal(out.start, MIB);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    const struct memmap_input inputs[] = {{MIB, FRAMES_IN(64 * MIB), MEMMAP_FREE}};
    struct frame_table table = example(inputs, 1);
    struct extent out[2];
    uint32_t count;
    const struct carve_request wrong[] = {
        {PARTITION, 0, PAGE_2M, ZONE_UNKNOWN, UINT64_MAX},
        {PARTITION, PAGE_2M, 0, ZONE_UNKNOWN, UINT64_MAX},
        {PARTITION, PAGE_2M, 2 * FRAME_BYTES, ZONE_UNKNOWN, UINT64_MAX},
        {PARTITION, PAGE_2M + FRAME_BYTES, PAGE_2M, ZONE_UNKNOWN, UINT64_MAX},
        {PARTITION, FRAME_BYTES + 1, FRAME_BYTES, ZONE_UNKNOWN, UINT64_MAX},
        {OWNER_NONE, PAGE_2M, PAGE_2M, ZONE_UNKNOWN, UINT64_MAX},
        {OWNER_FIRMWARE, PAGE_2M, PAGE_2M, ZONE_UNKNOWN, UINT64_MAX},
        {OWNER_PARTITION_FIRST - 1, PAGE_2M, PAGE_2M, ZONE_UNKNOWN, UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(frames_carve(&table, &wrong[i], out, 2, &count), ALLOC_E_ARGUMENT);
    struct carve_request request = wants(PAGE_2M, PAGE_2M);
    assert_int_equal(frames_carve(&table, &request, out, 0, &count), ALLOC_E_ARGUMENT);
    request.bytes = UINT64_MAX - PAGE_2M + 1;
    assert_int_equal(frames_carve(&table, &request, out, 2, &count), ALLOC_E_NO_MEMORY);
    request = wants(PAGE_2M, PAGE_2M);
    request.below = PAGE_2M;
    assert_int_equal(frames_carve(&table, &request, out, 2, &count), ALLOC_E_NO_MEMORY);

    request.below = 2 * PAGE_2M;
    assert_int_equal(frames_carve(&table, &request, out, 2, &count), ALLOC_OK);
    const struct extent bad[] = {{PAGE_2M, PAGE_2M},
                                 {PAGE_2M + 1, 2 * PAGE_2M},
                                 {PAGE_2M, PAGE_2M + 1},
                                 {2 * PAGE_2M, PAGE_2M},
                                 {PAGE_2M, UINT64_MAX - 0xfff}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(frames_return(&table, PARTITION, bad[i]), ALLOC_E_ARGUMENT);
        assert_int_equal(frames_scrubbed(&table, bad[i]), ALLOC_E_ARGUMENT);
        assert_false(frames_owned_by(&table, bad[i], PARTITION));
    }
    assert_int_equal(frames_return(&table, OWNER_FIRMWARE, out[0]), ALLOC_E_ARGUMENT);
    assert_int_equal(frames_return(&table, PARTITION + 1, out[0]), ALLOC_E_NOT_OWNER);
    assert_int_equal(frames_return_all(&table, OWNER_NONE), 0);
    assert_int_equal(frames_return_all(&table, OWNER_FIRMWARE), 0);
    assert_int_equal(frames_bytes(&table, FRAME_OWNED, PARTITION), PAGE_2M);
    assert_int_equal(frames_bytes(&table, FRAME_OWNED, OWNER_NONE), PAGE_2M);
}

static void the_first_mib_stays_with_the_firmware(void **state)
{
    (void)state;
    const struct memmap_input inputs[] = {
        {0, FRAMES_IN(2 * MIB), MEMMAP_FREE}, {0x8000, 1, MEMMAP_HYPERVISOR}, {4 * MIB, 1, MEMMAP_FREE}};
    struct frame_table table = example(inputs, 3);
    assert_int_equal(frames_bytes(&table, FRAME_FREE, OWNER_NONE), MIB + FRAME_BYTES);
    assert_int_equal(frames_find(&table, hpa(0x8fff))->owner, OWNER_HYPERVISOR);
    assert_int_equal(frames_find(&table, hpa(0x9000))->owner, OWNER_FIRMWARE);
    assert_int_equal(frames_find(&table, hpa(MIB - 1))->state, FRAME_FIRMWARE);
    assert_int_equal(frames_find(&table, hpa(MIB))->state, FRAME_FREE);
    assert_null(frames_find(&table, hpa(2 * MIB)));
    assert_null(frames_find(&table, hpa(UINT64_MAX)));
}

static void a_table_needs_its_memory(void **state)
{
    (void)state;
    static struct memmap map;
    const struct memmap_input inputs[] = {{0, FRAMES_IN(2 * MIB), MEMMAP_FREE}, {4 * MIB, 16, MEMMAP_FREE}};
    uint64_t scratch[8];
    struct frame_table table;
    assert_int_equal(memmap_build(&map, inputs, 2, scratch), MEMMAP_OK);
    size_t entry = sizeof(struct frame_extent);
    assert_int_equal(frames_init(&table, example_memory, 3 * entry, &map), ALLOC_OK);
    assert_int_equal(frames_init(&table, example_memory, 3 * entry - 1, &map), ALLOC_E_TABLE_FULL);
    assert_int_equal(frames_init(&table, example_memory, entry - 1, &map), ALLOC_E_TABLE_FULL);
    assert_int_equal(frames_init(&table, NULL, 3 * entry, &map), ALLOC_E_ARGUMENT);
    assert_int_equal(frames_init(&table, (char *)example_memory + 1, 3 * entry, &map), ALLOC_E_ARGUMENT);
    assert_true(frames_table_bytes(&map, 0) >= 3 * entry);
    assert_in_range(frames_table_bytes(&map, 32), (3 + 32 * 32) * entry, 16 * FRAME_BYTES);
    /* 512 entries fill whole frames; the one that the first MiB splits off needs another. */
    map.count = 512;
    assert_true(frames_table_bytes(&map, 0) >= 513 * entry);
    map.count = 1;
    map.ranges[0].end = MIB;
    assert_int_equal(frames_init(&table, example_memory, 0, &map), ALLOC_E_TABLE_FULL);
    map.count = 2;
    map.ranges[0].end = 2 * MIB;
    map.ranges[1].start = MIB; /* no longer as memmap_build makes it */
    assert_int_equal(frames_init(&table, example_memory, 4 * entry, &map), ALLOC_E_ARGUMENT);
}

static void consistency_is_not_taken_for_granted(void **state)
{
    (void)state;
    struct frame_extent good[] = {{0x1000, 0x2000, OWNER_NONE, FRAME_FREE, 0},
                                  {0x2000, 0x3000, OWNER_HYPERVISOR, FRAME_OWNED, 0}};
    const struct frame_extent wrong[] = {
        {0x2000, 0x2000, OWNER_NONE, FRAME_SCRUB, 0},          /* empty */
        {0x2000, 0x2800, OWNER_NONE, FRAME_SCRUB, 0},          /* misaligned */
        {0x1000, 0x3000, OWNER_NONE, FRAME_SCRUB, 0},          /* overlaps the first */
        {0x2000, 0x3000, OWNER_NONE, FRAME_FREE, 0},           /* not joined with it */
        {0x2000, 0x3000, OWNER_NONE, FRAME_OWNED, 0},          /* owned by nobody */
        {0x2000, 0x3000, OWNER_FIRMWARE, FRAME_OWNED, 0},      /* owned by who may not */
        {0x2000, 0x3000, OWNER_HYPERVISOR, FRAME_FIRMWARE, 0}, /* firmware of somebody else */
        {0x2000, 0x3000, OWNER_HYPERVISOR, FRAME_SCRUB, 0},    /* waits for the scrub, yet owned */
        {0x2000, 0x3000, OWNER_NONE, FRAME_ABSENT, 0},         /* absent, yet present */
        {0x2000, 0x3000, OWNER_NONE, 77, 0},                   /* no state */
    };
    struct frame_table table = {2, 2, good};
    assert_true(frames_consistent(&table));
    table.capacity = 1;
    assert_false(frames_consistent(&table));
    table.capacity = 2;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        good[1] = wrong[i];
        assert_false(frames_consistent(&table));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_the_model),
        cmocka_unit_test(the_same_requests_give_the_same_extents),
        cmocka_unit_test(large_requests_begin_on_a_gib),
        cmocka_unit_test(pieces_on_a_gib_yield_to_fewer_pieces),
        cmocka_unit_test(the_zone_asked_for_comes_first),
        cmocka_unit_test(a_return_that_finds_the_table_full_is_taken_back),
        cmocka_unit_test(among_equals_the_lowest_is_carved),
        cmocka_unit_test(beyond_the_last_entry_nothing_is_read),
        cmocka_unit_test(returned_memory_is_not_carved_before_it_is_scrubbed),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(the_first_mib_stays_with_the_firmware),
        cmocka_unit_test(a_table_needs_its_memory),
        cmocka_unit_test(consistency_is_not_taken_for_granted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
