/*
 * Address types. Guest-physical and host-physical addresses are distinct one-member structs, so that mixing
 * them up does not compile; host virtual addresses are pointers.
 */
#ifndef FREEHOLD_ALLOC_ADDR_H
#define FREEHOLD_ALLOC_ADDR_H

#include "alloc/base.h"

#define FRAME_BYTES UINT64_C(4096)
#define FRAME_SHIFT 12
#define PAGE_2M     (UINT64_C(2) << 20)
#define PAGE_1G     (UINT64_C(1) << 30)

/* No physical address at or above this is believed: the architecture's limit of 52 bits. */
#define PHYSICAL_LIMIT (UINT64_C(1) << 52)

/* A host-physical address, in bytes. */
typedef struct {
    uint64_t value;
} hpa_t;

/* A guest-physical address, in bytes. */
typedef struct {
    uint64_t value;
} gpa_t;

static inline hpa_t hpa(uint64_t value)
{
    return (hpa_t){value};
}

static inline gpa_t gpa(uint64_t value)
{
    return (gpa_t){value};
}

/* A run of host-physical memory; both ends in bytes, multiples of FRAME_BYTES unless said. */
struct extent {
    uint64_t start; /* inclusive */
    uint64_t end;   /* exclusive */
};

static inline uint64_t extent_bytes(struct extent e)
{
    return e.end - e.start;
}

static inline bool extents_overlap(struct extent a, struct extent b)
{
    return a.start < b.end && b.start < a.end;
}

#endif
