/*
 * The tree that both stages of address translation are made of: four levels of 4 KiB tables of 512 entries,
 * with leaves of 4 KiB, 2 MiB and 1 GiB. What the bits of an entry mean is the user's affair (alloc/ept.h for
 * the second stage, hv/paging.h for the hypervisor's own first stage). Pure: reaches table memory only
 * through a frame source. One caller changes a tree at a time; processors may walk it meanwhile.
 */
#ifndef FREEHOLD_ALLOC_RADIX_H
#define FREEHOLD_ALLOC_RADIX_H

#include "alloc/addr.h"

/* Where tables come from and how they are reached. Frames are zeroed by the source. */
struct frame_source {
    bool (*take)(void *context, hpa_t *frame);  /* false: none left */
    void (*give)(void *context, hpa_t frame);   /* a frame taken before; may be NULL when never given back */
    void *(*reach)(void *context, hpa_t frame); /* a pointer to the 4 KiB of a frame taken before */
    void *context;
};

#define RADIX_LEVELS  4 /* level 1: a table of 4 KiB leaves; RADIX_LEVELS: the root */
#define RADIX_ENTRIES 512
#define RADIX_LIMIT   (UINT64_C(1) << 48)            /* what four levels translate */
#define RADIX_LARGE   (UINT64_C(1) << 7)             /* in an entry above level 1: it is a leaf */
#define RADIX_ADDRESS (PHYSICAL_LIMIT - FRAME_BYTES) /* in an entry: of the table or the memory */

enum radix_status {
    RADIX_OK,
    RADIX_E_ARGUMENT,
    RADIX_E_MAPPED,   /* some of it is mapped already */
    RADIX_E_NO_FRAME, /* the source ran dry */
    RADIX_E_UNMAPPED, /* some of it is not mapped */
};

struct radix {
    hpa_t root;
    const struct frame_source *source;
    uint64_t present; /* an entry is present when one of these bits is set */
    uint64_t link;    /* what an entry that leads to a table has set besides the address */
    bool pages_2m;    /* which large leaves may be made */
    bool pages_1g;
    uint32_t table_count; /* frames taken less frames given back */
};

/* Bytes that one entry of a table stands for. */
uint64_t radix_span(unsigned level);

/* Takes the root; the other members are set. */
MUST_USE enum radix_status radix_init(struct radix *radix);

/* Where a walk ended. */
struct radix_place {
    uint64_t *entry;
    uint64_t value; /* of the entry */
    uint64_t all;   /* bits set in each entry of the path */
    uint64_t any;   /* bits set in some entry of the path */
    unsigned level; /* of the table that holds the entry */
};

/*
 * Walks towards the entry for `address` (below RADIX_LIMIT) in a table of `level`, which it reaches unless a
 * leaf or nothing comes before.
 */
struct radix_place radix_walk(const struct radix *radix, uint64_t address, unsigned level);

/* Is there a leaf, or a table, where the walk ended? */
bool radix_is_present(const struct radix *radix, const struct radix_place *place);
bool radix_is_table(const struct radix *radix, const struct radix_place *place);

/* The memory a leaf stands for. */
hpa_t radix_leaf_start(const struct radix_place *place);

/*
 * Maps [address, address + bytes) to `target` with the largest leaves that both sides allow, smaller ones
 * where a table stands already (tables are never taken out of a live tree). A leaf has `leaf_bits` set, and
 * RADIX_LARGE where that applies. Prepare then commit: on an error no translation has changed (after
 * RADIX_E_NO_FRAME tables prepared may stay, empty); each intermediate state is a valid tree.
 * RADIX_E_ARGUMENT: empty, misaligned, beyond RADIX_LIMIT or PHYSICAL_LIMIT.
 */
MUST_USE enum radix_status radix_map(struct radix *radix, uint64_t address, hpa_t target, uint64_t bytes,
                                     uint64_t leaf_bits);

/* Removes the leaves of [start, start + bytes); RADIX_E_ARGUMENT also when a leaf lies only partly inside. On
 * an error nothing has changed. */
MUST_USE enum radix_status radix_unmap(struct radix *radix, uint64_t start, uint64_t bytes);

/* Calls visit for every frame that holds a table, the root first, until it returns false. */
void radix_each_table(const struct radix *radix, bool (*visit)(void *context, hpa_t table), void *context);

/* Gives all tables back; no processor may use them any more. The source must take frames back. */
void radix_destroy(struct radix *radix);

#endif
