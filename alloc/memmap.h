/*
 * The machine's memory as a sorted list of disjoint ranges, made from whatever the firmware said.
 * Pure: knows nothing of UEFI; boot/ translates descriptors into struct memmap_input first.
 */
#ifndef FREEHOLD_ALLOC_MEMMAP_H
#define FREEHOLD_ALLOC_MEMMAP_H

#include "alloc/addr.h"

/* In order of precedence: where two descriptors overlap, the higher value wins. */
enum memmap_kind {
    MEMMAP_FREE,       /* RAM that is ours once the firmware is left */
    MEMMAP_HYPERVISOR, /* RAM that holds us: image, handoff, tables, guest images */
    MEMMAP_ACPI,       /* ACPI tables: kept */
    MEMMAP_FIRMWARE,   /* runtime services, NVS, persistent, reserved: never touched */
    MEMMAP_MMIO,       /* device memory */
    MEMMAP_BAD,        /* RAM the firmware calls unusable */
};

#define MEMMAP_MAX_RANGES 1024
#define ZONE_UNKNOWN      UINT16_MAX /* no NUMA affinity is known */

/* As a descriptor says it: nothing about it may be believed. */
struct memmap_input {
    uint64_t start;       /* bytes, any value */
    uint64_t frame_count; /* any value: may be zero, may wrap */
    enum memmap_kind kind;
};

struct memmap_range {
    uint64_t start; /* inclusive, frame-aligned */
    uint64_t end;   /* exclusive, frame-aligned */
    uint16_t kind;  /* enum memmap_kind */
    uint16_t zone;  /* NUMA proximity index, or ZONE_UNKNOWN */
    uint32_t reserved;
};

/* Sorted by start, disjoint, no two neighbours that touch and are alike. */
struct memmap {
    uint32_t count;
    uint32_t dropped; /* descriptors refused: nothing left of them, wrapping, or beyond PHYSICAL_LIMIT */
    struct memmap_range ranges[MEMMAP_MAX_RANGES];
};

enum memmap_status {
    MEMMAP_OK,
    MEMMAP_E_TOO_MANY, /* more than MEMMAP_MAX_RANGES ranges would result */
    MEMMAP_E_NO_RAM,   /* not one frame of MEMMAP_FREE */
    MEMMAP_E_RANGE,    /* the extent asked for is empty, misaligned, or not wholly of the kind required */
};

/*
 * Builds `map` out of `count` descriptors in any order, overlapping or not. A start that is no multiple of
 * FRAME_BYTES: usable kinds (FREE) shrink to whole frames, all others grow. One that reaches beyond
 * PHYSICAL_LIMIT: FREE is refused, others are cut there, for a reservation forgotten is the greater harm. A
 * kind that is none counts as MEMMAP_FIRMWARE. All zones are ZONE_UNKNOWN. On MEMMAP_E_TOO_MANY the map is
 * empty. Time O(n log n) worst case; no recursion; no memory but `map` and `scratch` (at least 2 * count + 2
 * entries of uint64_t; may be NULL when count is 0).
 */
MUST_USE enum memmap_status memmap_build(struct memmap *map, const struct memmap_input *inputs, size_t count,
                                         uint64_t *scratch);

/*
 * Turns `what` (wholly MEMMAP_FREE now) into `kind`; zones stay. On an error the map is unchanged;
 * MEMMAP_E_TOO_MANY when there is no room for the ranges it would split, even if some were joined again.
 */
MUST_USE enum memmap_status memmap_reserve(struct memmap *map, struct extent what, enum memmap_kind kind);

/*
 * Marks all memory inside `what` with NUMA zone `zone`, splitting ranges where needed; `what` may cover gaps.
 * Errors as memmap_reserve.
 */
MUST_USE enum memmap_status memmap_set_zone(struct memmap *map, struct extent what, uint16_t zone);

/* Bytes of one kind. */
uint64_t memmap_bytes(const struct memmap *map, enum memmap_kind kind);

/* "free", "hypervisor", ... never NULL. */
const char *memmap_kind_name(enum memmap_kind kind);

#endif
