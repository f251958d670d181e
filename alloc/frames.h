/*
 * Who owns which frame. The single truth of ownership: a sorted table of extents, each with a state and an
 * owner. Pure; the caller brings the memory for the table and one lock where several cores call.
 */
#ifndef FREEHOLD_ALLOC_FRAMES_H
#define FREEHOLD_ALLOC_FRAMES_H

#include "alloc/memmap.h"

typedef uint32_t owner_t;
#define OWNER_NONE            0u
#define OWNER_HYPERVISOR      1u
#define OWNER_FIRMWARE        2u
#define OWNER_PARTITION_FIRST 16u /* partition i of the configuration is OWNER_PARTITION_FIRST + i */

enum frame_state {
    FRAME_ABSENT, /* no memory there */
    FRAME_FREE,   /* zeroed or never owned; may be carved */
    FRAME_SCRUB,  /* returned, waits to be zeroed */
    FRAME_OWNED,
    FRAME_FIRMWARE,
    FRAME_BAD,
};

enum alloc_status {
    ALLOC_OK,
    ALLOC_E_NO_MEMORY,  /* not enough free frames of the kind asked for */
    ALLOC_E_FRAGMENTED, /* enough frames, but in more pieces than the caller takes */
    ALLOC_E_TABLE_FULL, /* the extent table has no room for the split */
    ALLOC_E_ARGUMENT,   /* zero, misaligned, overflowing, reserved owner */
    ALLOC_E_NOT_OWNER,  /* some frame of it belongs to somebody else, or to nobody */
};

struct frame_extent {
    uint64_t start; /* inclusive */
    uint64_t end;   /* exclusive */
    owner_t owner;
    uint16_t state; /* enum frame_state */
    uint16_t zone;
};

struct frame_table {
    uint32_t count;
    uint32_t capacity;
    struct frame_extent *extents; /* sorted, disjoint, gaps are FRAME_ABSENT */
};

struct carve_request {
    owner_t owner;
    uint64_t bytes; /* a multiple of grain */
    uint64_t grain; /* FRAME_BYTES, PAGE_2M or PAGE_1G: every extent starts and ends on it */
    uint16_t zone;  /* preferred zone, or ZONE_UNKNOWN; all zones serve when it has not enough */
    uint64_t below; /* every extent ends at or below this; UINT64_MAX for no limit */
};

/* Bytes of table memory for a map: what frames_init asks for at least. */
uint64_t frames_table_bytes(const struct memmap *map, uint32_t owners);

/*
 * Fills the table from the map: FREE becomes FRAME_FREE, except the first MiB, which is kept as
 * FRAME_FIRMWARE; HYPERVISOR is owned by OWNER_HYPERVISOR; ACPI and FIRMWARE are FRAME_FIRMWARE; BAD is
 * FRAME_BAD; device memory has no frames and stays absent. ALLOC_E_ARGUMENT: no or misaligned memory, or a
 * map that is not as memmap_build makes it; ALLOC_E_TABLE_FULL: memory_bytes do not suffice.
 */
MUST_USE enum alloc_status frames_init(struct frame_table *table, void *memory, uint64_t memory_bytes,
                                       const struct memmap *map);

/*
 * Carves all of request->bytes or nothing: at most `max` (at least 1) extents into `out`, in the order in
 * which a guest is to see them, few and large. Preferred: memory of the zone asked for alone, wherever it
 * suffices; then extents that begin on 1 GiB, and but for the last end on it, while a GiB or more is wanted.
 * Owners that may own: OWNER_HYPERVISOR and partitions. Deterministic. O(extents * max). On an error the
 * table is unchanged, *count is 0 and `out` undefined.
 */
MUST_USE enum alloc_status frames_carve(struct frame_table *table, const struct carve_request *request,
                                        struct extent *out, uint32_t max, uint32_t *count);

/* Returns an extent wholly owned by `owner`: it becomes FRAME_SCRUB, of no owner. Otherwise refused, nothing
 * changed. */
MUST_USE enum alloc_status frames_return(struct frame_table *table, owner_t owner, struct extent what);

/* Returns everything `owner` has; gives the bytes returned. */
uint64_t frames_return_all(struct frame_table *table, owner_t owner);

/* The first extent that waits to be scrubbed, at most max_bytes (at least FRAME_BYTES) of it; false when
 * there is none. */
bool frames_next_scrub(const struct frame_table *table, uint64_t max_bytes, struct extent *out);

/* The caller has zeroed `what` (wholly FRAME_SCRUB): it becomes free and merges with its neighbours. */
MUST_USE enum alloc_status frames_scrubbed(struct frame_table *table, struct extent what);

/* The entry that holds an address, or NULL for absent memory. O(log extents). */
const struct frame_extent *frames_find(const struct frame_table *table, hpa_t address);

/* True when every frame of `what` is FRAME_OWNED by `owner`. */
bool frames_owned_by(const struct frame_table *table, struct extent what, owner_t owner);

/* Bytes in a state (and of an owner, unless OWNER_NONE). */
uint64_t frames_bytes(const struct frame_table *table, enum frame_state state, owner_t owner);

/* Sorted, disjoint, joined, inside capacity, owners and states agree: what must hold after every call. */
bool frames_consistent(const struct frame_table *table);

#endif
