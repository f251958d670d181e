/*
 * The memory map, normalised: a sweep over the sorted edges of all descriptors.
 * Must never believe a descriptor, recurse, or leave a map half changed when it refuses.
 */
#include "alloc/memmap.h"

#define KIND_COUNT (MEMMAP_BAD + 1)

/*
 * An edge of a descriptor in one word, so that sorting the words sorts by address: frame number from bit 4
 * (PHYSICAL_LIMIT leaves it 41 bits), kind in bits 3:1, bit 0 set where the descriptor ends.
 */
#define EDGE_END         1u
#define EDGE_KIND_SHIFT  1
#define EDGE_KIND_MASK   7u
#define EDGE_FRAME_SHIFT 4

static uint64_t edge_make(uint64_t address, unsigned kind, unsigned end)
{
    return address >> FRAME_SHIFT << EDGE_FRAME_SHIFT | kind << EDGE_KIND_SHIFT | end;
}

static uint64_t edge_address(uint64_t edge)
{
    return edge >> EDGE_FRAME_SHIFT << FRAME_SHIFT;
}

/* Lets edges[root] sink to its place in the heap of `count` words. */
static void heap_sink(uint64_t *edges, size_t count, size_t root)
{
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && edges[child + 1] > edges[child])
            child++;
        if (edges[root] >= edges[child])
            return;
        uint64_t swapped = edges[root];
        edges[root] = edges[child];
        edges[child] = swapped;
        root = child;
    }
}

/* Heap sort: n log n whatever the order, and in place. */
static void sort_edges(uint64_t *edges, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        heap_sink(edges, count, root);
    for (size_t last = count; last-- > 1;) {
        uint64_t greatest = edges[0];
        edges[0] = edges[last];
        edges[last] = greatest;
        heap_sink(edges, last, 0);
    }
}

/*
 * The whole frames a descriptor speaks of; false when it is to be refused. Memory that may be used shrinks to
 * what is surely inside; memory that may not grows, and where it reaches beyond what is addressable it is cut
 * there rather than forgotten.
 */
static bool input_extent(const struct memmap_input *input, struct extent *out)
{
    uint64_t bytes, end;
    if (input->frame_count == 0 || input->start >= PHYSICAL_LIMIT ||
        __builtin_mul_overflow(input->frame_count, FRAME_BYTES, &bytes) ||
        __builtin_add_overflow(input->start, bytes, &end))
        return false;
    if (input->kind == MEMMAP_FREE) {
        *out = (struct extent){align_up(input->start, FRAME_BYTES), align_down(end, FRAME_BYTES)};
        return end <= PHYSICAL_LIMIT && out->start < out->end;
    }
    end = min_u64(end, PHYSICAL_LIMIT);
    *out = (struct extent){align_down(input->start, FRAME_BYTES), align_up(end, FRAME_BYTES)};
    return true;
}

static size_t collect_edges(struct memmap *map, const struct memmap_input *inputs, size_t count,
                            uint64_t *edges)
{
    size_t edge_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct extent what;
        if (!input_extent(&inputs[i], &what)) {
            map->dropped++;
            continue;
        }
        unsigned kind = (unsigned)inputs[i].kind < KIND_COUNT ? inputs[i].kind : MEMMAP_FIRMWARE;
        edges[edge_count++] = edge_make(what.start, kind, 0);
        edges[edge_count++] = edge_make(what.end, kind, EDGE_END);
    }
    return edge_count;
}

/* The kind that wins among the descriptors open here; KIND_COUNT when none is. */
static unsigned winner(const size_t open[KIND_COUNT])
{
    for (unsigned kind = KIND_COUNT; kind-- > 0;)
        if (open[kind] > 0)
            return kind;
    return KIND_COUNT;
}

static bool ranges_join(const struct memmap_range *left, const struct memmap_range *right)
{
    return left->end == right->start && left->kind == right->kind && left->zone == right->zone;
}

/* Appends a range that begins at or above the last one's end; false when there is no room. */
static bool append(struct memmap *map, struct memmap_range range)
{
    struct memmap_range *last = map->count > 0 ? &map->ranges[map->count - 1] : NULL;
    if (last != NULL && ranges_join(last, &range)) {
        last->end = range.end;
        return true;
    }
    if (map->count == MEMMAP_MAX_RANGES)
        return false;
    map->ranges[map->count++] = range;
    return true;
}

static bool sweep(struct memmap *map, const uint64_t *edges, size_t edge_count)
{
    size_t open[KIND_COUNT] = {0};
    for (size_t i = 0; i < edge_count; i++) {
        unsigned kind = edges[i] >> EDGE_KIND_SHIFT & EDGE_KIND_MASK;
        /* At one address and kind, starts sort before ends: a count never falls below zero. */
        if ((edges[i] & EDGE_END) != 0)
            open[kind]--;
        else
            open[kind]++;
        unsigned won = winner(open);
        if (won == KIND_COUNT)
            continue;
        /* Some descriptor is open, so an edge follows. */
        uint64_t start = edge_address(edges[i]);
        uint64_t end = edge_address(edges[i + 1]);
        if (start == end)
            continue;
        struct memmap_range range = {.start = start, .end = end, .kind = (uint16_t)won, .zone = ZONE_UNKNOWN};
        if (!append(map, range))
            return false;
    }
    return true;
}

enum memmap_status memmap_build(struct memmap *map, const struct memmap_input *inputs, size_t count,
                                uint64_t *scratch)
{
    map->count = 0;
    map->dropped = 0;
    size_t edge_count = collect_edges(map, inputs, count, scratch);
    sort_edges(scratch, edge_count);
    if (!sweep(map, scratch, edge_count)) {
        map->count = 0;
        return MEMMAP_E_TOO_MANY;
    }
    return memmap_bytes(map, MEMMAP_FREE) > 0 ? MEMMAP_OK : MEMMAP_E_NO_RAM;
}

static bool extent_valid(struct extent what)
{
    return what.start < what.end && what.end <= PHYSICAL_LIMIT && is_aligned(what.start, FRAME_BYTES) &&
           is_aligned(what.end, FRAME_BYTES);
}

/* True when an address lies inside a range, not at its edges: making an edge there splits the range. */
static bool splits(const struct memmap *map, uint64_t address)
{
    for (uint32_t i = 0; i < map->count; i++)
        if (map->ranges[i].start < address && address < map->ranges[i].end)
            return true;
    return false;
}

/* Makes an edge at the address; room for one more range has been checked. */
static void split_at(struct memmap *map, uint64_t address)
{
    for (uint32_t i = 0; i < map->count; i++) {
        struct memmap_range *range = &map->ranges[i];
        if (address <= range->start || range->end <= address)
            continue;
        __builtin_memmove(range + 1, range, (map->count - i) * sizeof(*range));
        map->count++;
        range[0].end = address;
        range[1].start = address;
        return;
    }
}

/* Joins neighbours that touch and are alike. */
static void join_all(struct memmap *map)
{
    uint32_t count = map->count;
    map->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* Never runs ahead of i, so there is room and nothing unread is overwritten. */
        bool appended = append(map, map->ranges[i]);
        CHECK(appended);
    }
}

/* Gives what lies inside `what` a kind and a zone; each may be KEEP. */
#define KEEP (-1)
static enum memmap_status change(struct memmap *map, struct extent what, int kind, int zone)
{
    uint32_t growth = (uint32_t)splits(map, what.start) + (uint32_t)splits(map, what.end);
    if (map->count + growth > MEMMAP_MAX_RANGES)
        return MEMMAP_E_TOO_MANY;
    split_at(map, what.start);
    split_at(map, what.end);
    for (uint32_t i = 0; i < map->count; i++) {
        struct memmap_range *range = &map->ranges[i];
        if (range->start < what.start || range->end > what.end)
            continue;
        range->kind = kind == KEEP ? range->kind : (uint16_t)kind;
        range->zone = zone == KEEP ? range->zone : (uint16_t)zone;
    }
    join_all(map);
    return MEMMAP_OK;
}

static bool wholly_free(const struct memmap *map, struct extent what)
{
    uint64_t covered_to = what.start;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct memmap_range *range = &map->ranges[i];
        if (range->end <= covered_to)
            continue;
        if (range->start > covered_to || range->kind != MEMMAP_FREE)
            return false;
        covered_to = range->end;
        if (covered_to >= what.end)
            return true;
    }
    return false;
}

enum memmap_status memmap_reserve(struct memmap *map, struct extent what, enum memmap_kind kind)
{
    if (!extent_valid(what) || (unsigned)kind >= KIND_COUNT || !wholly_free(map, what))
        return MEMMAP_E_RANGE;
    return change(map, what, (int)kind, KEEP);
}

enum memmap_status memmap_set_zone(struct memmap *map, struct extent what, uint16_t zone)
{
    if (!extent_valid(what))
        return MEMMAP_E_RANGE;
    return change(map, what, KEEP, zone);
}

uint64_t memmap_bytes(const struct memmap *map, enum memmap_kind kind)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < map->count; i++)
        if (map->ranges[i].kind == kind)
            bytes += map->ranges[i].end - map->ranges[i].start;
    return bytes;
}

const char *memmap_kind_name(enum memmap_kind kind)
{
    static const char *const names[KIND_COUNT] = {
        [MEMMAP_FREE] = "free", [MEMMAP_HYPERVISOR] = "hypervisor",
        [MEMMAP_ACPI] = "acpi", [MEMMAP_FIRMWARE] = "firmware",
        [MEMMAP_MMIO] = "mmio", [MEMMAP_BAD] = "bad",
    };
    return (unsigned)kind < KIND_COUNT ? names[kind] : "unknown";
}
