/*
 * Any descriptors at all, then any changes: the map stays normal, agrees with a naive look-up of the
 * descriptors at the edges of every range, and becomes a consistent frame table.
 */
#include <stdlib.h>
#include <string.h>

#include "alloc/frames.h"

#define MAX_INPUTS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct memmap map;

static void check_normal(void)
{
    for (uint32_t i = 0; i < map.count; i++) {
        const struct memmap_range *range = &map.ranges[i];
        CHECK(range->start < range->end && range->end <= PHYSICAL_LIMIT && range->kind <= MEMMAP_BAD);
        CHECK(is_aligned(range->start | range->end, FRAME_BYTES));
        CHECK(i == 0 || range[-1].end < range->start ||
              (range[-1].end == range->start &&
               (range[-1].kind != range->kind || range[-1].zone != range->zone)));
    }
}

/* The kind of one frame by the descriptors themselves; -1 when nothing is there. */
static int naive_kind(const struct memmap_input *inputs, size_t count, uint64_t frame)
{
    typedef unsigned __int128 wide;
    int kind = -1;
    for (size_t i = 0; i < count; i++) {
        wide start = inputs[i].start, end = start + (wide)inputs[i].frame_count * FRAME_BYTES;
        int this = (unsigned)inputs[i].kind > MEMMAP_BAD ? MEMMAP_FIRMWARE : (int)inputs[i].kind;
        bool inside = this == MEMMAP_FREE ? start <= frame && (wide)frame + FRAME_BYTES <= end
                                          : start < (wide)frame + FRAME_BYTES && frame < end;
        bool refused = inputs[i].frame_count == 0 || start >= PHYSICAL_LIMIT || end >> 64 != 0 ||
                       (this == MEMMAP_FREE && end > PHYSICAL_LIMIT);
        if (inside && !refused && this > kind)
            kind = this;
    }
    return kind;
}

static int kind_in_map(uint64_t frame)
{
    for (uint32_t i = 0; i < map.count; i++)
        if (map.ranges[i].start <= frame && frame < map.ranges[i].end)
            return map.ranges[i].kind;
    return -1;
}

static void check_against_naive(const struct memmap_input *inputs, size_t count)
{
    for (uint32_t i = 0; i < map.count; i++) {
        const uint64_t frames[] = {map.ranges[i].start - FRAME_BYTES, map.ranges[i].start,
                                   map.ranges[i].end - FRAME_BYTES, map.ranges[i].end};
        for (size_t f = 0; f < ARRAY_SIZE(frames); f++)
            CHECK(frames[f] >= PHYSICAL_LIMIT ||
                  kind_in_map(frames[f]) == naive_kind(inputs, count, frames[f]));
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t frame = align_down(inputs[i].start, FRAME_BYTES);
        CHECK(frame >= PHYSICAL_LIMIT || kind_in_map(frame) == naive_kind(inputs, count, frame));
    }
}

struct change {
    uint64_t start;
    uint64_t bytes;
    uint8_t kind;
    uint8_t zone;
    uint8_t which;
} __attribute__((packed));

struct packed_input {
    uint64_t start;
    uint64_t frame_count;
    uint8_t kind;
} __attribute__((packed));

static size_t take_inputs(const uint8_t **data, size_t *size, struct memmap_input *inputs)
{
    size_t count = 0, wanted = *size > 0 ? (*data)[0] % (MAX_INPUTS + 1) : 0;
    struct packed_input packed;
    if (*size > 0) {
        ++*data;
        --*size;
    }
    for (; count < wanted && *size >= sizeof(packed); count++) {
        memcpy(&packed, *data, sizeof(packed));
        *data += sizeof(packed);
        *size -= sizeof(packed);
        inputs[count] =
            (struct memmap_input){packed.start, packed.frame_count, (enum memmap_kind)(packed.kind & 7)};
    }
    return count;
}

static void apply(const struct change *change)
{
    static struct memmap before;
    struct extent what = {change->start, change->start + change->bytes};
    before = map;
    uint64_t free_bytes = memmap_bytes(&map, MEMMAP_FREE);
    enum memmap_kind kind = (enum memmap_kind)(change->kind & 7);
    bool reserve = (change->which & 1) != 0;
    enum memmap_status status =
        reserve ? memmap_reserve(&map, what, kind) : memmap_set_zone(&map, what, change->zone);
    check_normal();
    if (status != MEMMAP_OK)
        CHECK(memcmp(&map, &before, sizeof(map)) == 0);
    else if (reserve && kind != MEMMAP_FREE)
        CHECK(memmap_bytes(&map, MEMMAP_FREE) == free_bytes - change->bytes);
    else
        CHECK(memmap_bytes(&map, MEMMAP_FREE) == free_bytes);
}

static void check_frames(void)
{
    struct frame_table table;
    uint64_t bytes = frames_table_bytes(&map, 0);
    void *memory = malloc(bytes);
    enum alloc_status status = frames_init(&table, memory, bytes, &map);
    CHECK(status == ALLOC_OK && frames_consistent(&table));
    CHECK(frames_bytes(&table, FRAME_FREE, OWNER_NONE) <= memmap_bytes(&map, MEMMAP_FREE));
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memmap_input inputs[MAX_INPUTS];
    size_t count = take_inputs(&data, &size, inputs);
    uint64_t *scratch = malloc((2 * count + 2) * sizeof(*scratch));
    enum memmap_status status = memmap_build(&map, inputs, count, scratch);
    free(scratch);
    check_normal();
    check_against_naive(inputs, count);
    CHECK(status != MEMMAP_OK || memmap_bytes(&map, MEMMAP_FREE) > 0);
    struct change change;
    for (; size >= sizeof(change); data += sizeof(change), size -= sizeof(change)) {
        memcpy(&change, data, sizeof(change));
        apply(&change);
    }
    check_frames();
    return 0;
}
