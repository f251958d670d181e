/*
 * The extent table: who owns which frame.
 *
 * The table is canonical: neighbours that touch and are alike are one entry, so the entries are a function of
 * the owner and state of each frame alone. Therefore a step taken back leaves the very table there was before
 * it, and taking steps back in reverse order can never lack room.
 * Must never lose or double a frame, and never leave a change half done.
 */
#include "alloc/frames.h"

#define LOW_MEMORY_END (1 * MIB)
/* Entries one owner may cost: 16 extents carved out of the middle of free ones, and as many partly returned.
 */
#define ENTRIES_PER_OWNER 64

/* ------------------------------------------------------------------------------------- the table itself */

static bool extent_valid(struct extent what)
{
    return what.start < what.end && what.end <= PHYSICAL_LIMIT && is_aligned(what.start, FRAME_BYTES) &&
           is_aligned(what.end, FRAME_BYTES);
}

static bool owner_may_own(owner_t owner)
{
    return owner == OWNER_HYPERVISOR || owner >= OWNER_PARTITION_FIRST;
}

static bool alike(const struct frame_extent *a, const struct frame_extent *b)
{
    return a->owner == b->owner && a->state == b->state && a->zone == b->zone;
}

/* A few entries in order, joined where they touch and are alike. */
struct splice {
    uint32_t count;
    struct frame_extent entries[5];
};

static void splice_add(struct splice *splice, struct frame_extent entry)
{
    if (entry.start == entry.end)
        return;
    struct frame_extent *last = splice->count > 0 ? &splice->entries[splice->count - 1] : NULL;
    if (last != NULL && last->end == entry.start && alike(last, &entry))
        last->end = entry.end;
    else
        splice->entries[splice->count++] = entry;
}

/* The index of the first entry that ends above the address; table->count when there is none. */
static uint32_t find_index(const struct frame_table *table, uint64_t address)
{
    uint32_t low = 0, high = table->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->extents[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/*
 * Gives `what`, which lies inside one entry, an owner and a state: the entry and its two neighbours are
 * replaced by what they become. False, with nothing changed, when the table has no room.
 */
static bool set_piece(struct frame_table *table, struct extent what, owner_t owner, enum frame_state state)
{
    uint32_t index = find_index(table, what.start);
    CHECK(index < table->count);
    struct frame_extent left = table->extents[index], middle = left, right = left;
    CHECK(left.start <= what.start && what.end <= left.end);
    left.end = middle.start = what.start;
    right.start = middle.end = what.end;
    middle.owner = owner;
    middle.state = (uint16_t)state;

    uint32_t first = index > 0 ? index - 1 : index;
    uint32_t after = index + 1 < table->count ? index + 2 : index + 1;
    struct splice splice = {0};
    if (first < index)
        splice_add(&splice, table->extents[first]);
    splice_add(&splice, left);
    splice_add(&splice, middle);
    splice_add(&splice, right);
    if (after > index + 1)
        splice_add(&splice, table->extents[index + 1]);

    uint32_t count = table->count - (after - first) + splice.count;
    if (count > table->capacity)
        return false;
    __builtin_memmove(&table->extents[first + splice.count], &table->extents[after],
                      (table->count - after) * sizeof(table->extents[0]));
    __builtin_memcpy(&table->extents[first], splice.entries, splice.count * sizeof(splice.entries[0]));
    table->count = count;
    return true;
}

/* True when each frame of `what` has this owner and state. */
static bool all_are(const struct frame_table *table, struct extent what, owner_t owner,
                    enum frame_state state)
{
    uint64_t covered_to = what.start;
    for (uint32_t i = find_index(table, what.start); i < table->count && covered_to < what.end; i++) {
        const struct frame_extent *entry = &table->extents[i];
        if (entry->start > covered_to || entry->owner != owner || entry->state != state)
            return false;
        covered_to = entry->end;
    }
    return covered_to >= what.end;
}

/* The part of `what` that shares one entry with its first (or last) frame. */
static struct extent first_piece(const struct frame_table *table, struct extent what)
{
    uint32_t index = find_index(table, what.start);
    return (struct extent){what.start, min_u64(what.end, table->extents[index].end)};
}

static struct extent last_piece(const struct frame_table *table, struct extent what)
{
    uint32_t index = find_index(table, what.end - 1);
    return (struct extent){max_u64(what.start, table->extents[index].start), what.end};
}

/* Owner and state of `what`, which may span entries that differ in zone, piece by piece; all or nothing. */
static bool set_all(struct frame_table *table, struct extent what, struct frame_extent from,
                    struct frame_extent to)
{
    uint64_t done_to = what.start;
    while (done_to < what.end) {
        struct extent piece = first_piece(table, (struct extent){done_to, what.end});
        if (!set_piece(table, piece, to.owner, (enum frame_state)to.state))
            break;
        done_to = piece.end;
    }
    if (done_to == what.end)
        return true;
    while (done_to > what.start) {
        struct extent piece = last_piece(table, (struct extent){what.start, done_to});
        bool undone = set_piece(table, piece, from.owner, (enum frame_state)from.state);
        CHECK(undone);
        done_to = piece.start;
    }
    return false;
}

/* -------------------------------------------------------------------------------------------- beginning */

uint64_t frames_table_bytes(const struct memmap *map, uint32_t owners)
{
    uint64_t entries = map->count + 1 + (uint64_t)owners * ENTRIES_PER_OWNER;
    return align_up(entries * sizeof(struct frame_extent), FRAME_BYTES);
}

static bool append(struct frame_table *table, struct frame_extent entry)
{
    struct frame_extent *last = table->count > 0 ? &table->extents[table->count - 1] : NULL;
    if (last != NULL && last->end == entry.start && alike(last, &entry)) {
        last->end = entry.end;
        return true;
    }
    if (table->count == table->capacity)
        return false;
    table->extents[table->count++] = entry;
    return true;
}

/* One range of the map; device memory has no frames and stays absent. */
static bool append_range(struct frame_table *table, const struct memmap_range *range)
{
    static const struct {
        owner_t owner;
        uint16_t state;
    } becomes[] = {
        [MEMMAP_FREE] = {OWNER_NONE, FRAME_FREE},
        [MEMMAP_HYPERVISOR] = {OWNER_HYPERVISOR, FRAME_OWNED},
        [MEMMAP_ACPI] = {OWNER_FIRMWARE, FRAME_FIRMWARE},
        [MEMMAP_FIRMWARE] = {OWNER_FIRMWARE, FRAME_FIRMWARE},
        [MEMMAP_MMIO] = {OWNER_NONE, FRAME_ABSENT},
        [MEMMAP_BAD] = {OWNER_NONE, FRAME_BAD},
    };
    CHECK(range->kind < ARRAY_SIZE(becomes));
    struct frame_extent entry = {range->start, range->end, becomes[range->kind].owner,
                                 becomes[range->kind].state, range->zone};
    if (entry.state == FRAME_ABSENT)
        return true;
    if (entry.state == FRAME_FREE && entry.start < LOW_MEMORY_END) {
        struct frame_extent low = entry;
        low.end = entry.start = min_u64(entry.end, LOW_MEMORY_END);
        low.owner = OWNER_FIRMWARE;
        low.state = FRAME_FIRMWARE;
        if (!append(table, low))
            return false;
    }
    return entry.start == entry.end || append(table, entry);
}

enum alloc_status frames_init(struct frame_table *table, void *memory, uint64_t memory_bytes,
                              const struct memmap *map)
{
    if (memory == NULL || !is_aligned((uintptr_t)memory, _Alignof(struct frame_extent)))
        return ALLOC_E_ARGUMENT;
    table->count = 0;
    table->capacity = (uint32_t)min_u64(memory_bytes / sizeof(struct frame_extent), UINT32_MAX);
    table->extents = memory;
    for (uint32_t i = 0; i < map->count; i++)
        if (!append_range(table, &map->ranges[i]))
            return ALLOC_E_TABLE_FULL;
    return frames_consistent(table) ? ALLOC_OK : ALLOC_E_ARGUMENT;
}

/* ---------------------------------------------------------------------------------------------- carving */

/* How one attempt at a request goes about it. */
struct policy {
    bool any_zone;
    bool whole_gib; /* while a GiB or more is wanted, take extents that start on a GiB */
};

/* In the order in which they are tried. */
static const struct policy policies[] = {{false, true}, {false, false}, {true, true}, {true, false}};

/* What of an entry serves the request when extents must begin on `align`; start == end when nothing does. */
static struct extent usable(const struct frame_extent *entry, const struct carve_request *request,
                            uint64_t align)
{
    if (entry->state != FRAME_FREE)
        return (struct extent){0, 0};
    struct extent part = {align_up(entry->start, align),
                          align_down(min_u64(entry->end, request->below), request->grain)};
    part.end = max_u64(part.start, part.end);
    return part;
}

struct candidate {
    struct extent piece; /* start == end: none */
    uint64_t room_bytes; /* of the free extent it comes from */
};

/*
 * Better is: what holds all that is wanted out of the smallest room, which keeps large extents whole; else
 * the largest piece, which keeps the number of extents least. Equals: the first, so that the result is
 * deterministic.
 */
static bool better(const struct candidate *a, const struct candidate *b, uint64_t wanted_bytes)
{
    bool a_holds = extent_bytes(a->piece) == wanted_bytes, b_holds = extent_bytes(b->piece) == wanted_bytes;
    if (a_holds && b_holds)
        return a->room_bytes < b->room_bytes;
    return extent_bytes(a->piece) > extent_bytes(b->piece);
}

/* Chooses the next piece of at most wanted_bytes from one zone (or any), aligned as told. */
static struct extent choose(const struct frame_table *table, const struct carve_request *request,
                            uint64_t wanted_bytes, uint64_t align, bool any_zone)
{
    struct candidate best = {.piece = {0, 0}};
    for (uint32_t i = 0; i < table->count; i++) {
        const struct frame_extent *entry = &table->extents[i];
        if (!any_zone && entry->zone != request->zone)
            continue;
        struct extent room = usable(entry, request, align);
        uint64_t bytes = extent_bytes(room);
        /* A piece that is not the last ends on the alignment too, so that the next can begin on it in the
         * guest's view. */
        bytes = bytes >= wanted_bytes ? wanted_bytes : align_down(bytes, align);
        struct candidate candidate = {{room.start, room.start + bytes}, extent_bytes(room)};
        if (better(&candidate, &best, wanted_bytes))
            best = candidate;
    }
    return best.piece;
}

static struct extent choose_by_policy(const struct frame_table *table, const struct carve_request *request,
                                      uint64_t wanted_bytes, struct policy policy)
{
    struct extent piece = {0, 0};
    if (policy.whole_gib && wanted_bytes >= PAGE_1G)
        piece = choose(table, request, wanted_bytes, PAGE_1G, policy.any_zone);
    if (piece.start == piece.end)
        piece = choose(table, request, wanted_bytes, request->grain, policy.any_zone);
    return piece;
}

/* One attempt: piece by piece, and all of them back when it does not work out. */
static enum alloc_status carve_by_policy(struct frame_table *table, const struct carve_request *request,
                                         struct policy policy, struct extent *out, uint32_t max,
                                         uint32_t *count)
{
    enum alloc_status status = ALLOC_OK;
    uint64_t wanted_bytes = request->bytes;
    uint32_t taken = 0;
    while (wanted_bytes > 0 && status == ALLOC_OK) {
        struct extent piece = choose_by_policy(table, request, wanted_bytes, policy);
        if (taken == max || piece.start == piece.end) {
            status = ALLOC_E_FRAGMENTED;
        } else if (!set_piece(table, piece, request->owner, FRAME_OWNED)) {
            status = ALLOC_E_TABLE_FULL;
        } else {
            out[taken++] = piece;
            wanted_bytes -= extent_bytes(piece);
        }
    }
    *count = status == ALLOC_OK ? taken : 0;
    while (status != ALLOC_OK && taken > 0) {
        bool undone = set_piece(table, out[--taken], OWNER_NONE, FRAME_FREE);
        CHECK(undone);
    }
    return status;
}

static bool request_valid(const struct carve_request *request)
{
    bool grain_valid =
        request->grain == FRAME_BYTES || request->grain == PAGE_2M || request->grain == PAGE_1G;
    return grain_valid && request->bytes > 0 && is_aligned(request->bytes, request->grain) &&
           owner_may_own(request->owner);
}

enum alloc_status frames_carve(struct frame_table *table, const struct carve_request *request,
                               struct extent *out, uint32_t max, uint32_t *count)
{
    *count = 0;
    if (!request_valid(request) || max == 0)
        return ALLOC_E_ARGUMENT;
    uint64_t usable_bytes = 0;
    for (uint32_t i = 0; i < table->count; i++)
        usable_bytes += extent_bytes(usable(&table->extents[i], request, request->grain));
    if (usable_bytes < request->bytes)
        return ALLOC_E_NO_MEMORY;

    enum alloc_status status = ALLOC_E_FRAGMENTED;
    for (size_t i = 0; i < ARRAY_SIZE(policies) && status != ALLOC_OK; i++)
        if (request->zone != ZONE_UNKNOWN || policies[i].any_zone)
            status = carve_by_policy(table, request, policies[i], out, max, count);
    return status;
}

/* -------------------------------------------------------------------------------- returning, scrubbing */

static const struct frame_extent to_scrub = {.owner = OWNER_NONE, .state = FRAME_SCRUB};
static const struct frame_extent to_free = {.owner = OWNER_NONE, .state = FRAME_FREE};

enum alloc_status frames_return(struct frame_table *table, owner_t owner, struct extent what)
{
    if (!extent_valid(what) || !owner_may_own(owner))
        return ALLOC_E_ARGUMENT;
    if (!frames_owned_by(table, what, owner))
        return ALLOC_E_NOT_OWNER;
    struct frame_extent from = {.owner = owner, .state = FRAME_OWNED};
    return set_all(table, what, from, to_scrub) ? ALLOC_OK : ALLOC_E_TABLE_FULL;
}

uint64_t frames_return_all(struct frame_table *table, owner_t owner)
{
    if (!owner_may_own(owner))
        return 0;
    /* Whole entries change and are joined again on the way: the table only shrinks. */
    uint64_t bytes = 0;
    uint32_t count = table->count;
    table->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct frame_extent entry = table->extents[i];
        if (entry.owner == owner) {
            bytes += entry.end - entry.start;
            entry.owner = OWNER_NONE;
            entry.state = FRAME_SCRUB;
        }
        bool appended = append(table, entry);
        CHECK(appended);
    }
    return bytes;
}

bool frames_next_scrub(const struct frame_table *table, uint64_t max_bytes, struct extent *out)
{
    uint64_t most = align_down(max_bytes, FRAME_BYTES);
    for (uint32_t i = 0; i < table->count && most > 0; i++) {
        const struct frame_extent *entry = &table->extents[i];
        if (entry->state != FRAME_SCRUB)
            continue;
        *out = (struct extent){entry->start, entry->start + min_u64(most, entry->end - entry->start)};
        return true;
    }
    return false;
}

enum alloc_status frames_scrubbed(struct frame_table *table, struct extent what)
{
    if (!extent_valid(what))
        return ALLOC_E_ARGUMENT;
    if (!all_are(table, what, OWNER_NONE, FRAME_SCRUB))
        return ALLOC_E_NOT_OWNER;
    return set_all(table, what, to_scrub, to_free) ? ALLOC_OK : ALLOC_E_TABLE_FULL;
}

/* --------------------------------------------------------------------------------------------- questions */

const struct frame_extent *frames_find(const struct frame_table *table, hpa_t address)
{
    uint32_t index = find_index(table, address.value);
    if (index == table->count || address.value < table->extents[index].start)
        return NULL;
    return &table->extents[index];
}

bool frames_owned_by(const struct frame_table *table, struct extent what, owner_t owner)
{
    return extent_valid(what) && all_are(table, what, owner, FRAME_OWNED);
}

uint64_t frames_bytes(const struct frame_table *table, enum frame_state state, owner_t owner)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct frame_extent *entry = &table->extents[i];
        if (entry->state == state && (owner == OWNER_NONE || entry->owner == owner))
            bytes += entry->end - entry->start;
    }
    return bytes;
}

static bool entry_consistent(const struct frame_extent *entry)
{
    if (!extent_valid((struct extent){entry->start, entry->end}))
        return false;
    switch (entry->state) {
    case FRAME_FREE:
    case FRAME_SCRUB:
    case FRAME_BAD:
        return entry->owner == OWNER_NONE;
    case FRAME_OWNED:
        return owner_may_own(entry->owner);
    case FRAME_FIRMWARE:
        return entry->owner == OWNER_FIRMWARE;
    default:
        return false;
    }
}

bool frames_consistent(const struct frame_table *table)
{
    if (table->count > table->capacity)
        return false;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct frame_extent *entry = &table->extents[i];
        if (!entry_consistent(entry))
            return false;
        if (i == 0)
            continue;
        const struct frame_extent *before = entry - 1;
        if (before->end > entry->start || (before->end == entry->start && alike(before, entry)))
            return false;
    }
    return true;
}
