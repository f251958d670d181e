/*
 * The hypervisor's own page tables (first stage, four levels, long mode). boot/ builds them while the
 * firmware's are still in use, hv/ adds to them and audits them. Pure: reaches tables through a frame source,
 * executes no INVLPG: who changes a translation that a core may hold flushes it. No page is both writable and
 * executable, none is global, none belongs to user mode. Source: Intel SDM volume 3A, section "4-Level Paging
 * and 5-Level Paging" (order number 325384, 2023).
 */
#ifndef FREEHOLD_HV_PAGING_H
#define FREEHOLD_HV_PAGING_H

#include "alloc/radix.h"

/* What a mapping permits. Neither of the first two: read only. */
#define PAGE_WRITE           (1u << 0)
#define PAGE_EXECUTE         (1u << 1)
#define PAGE_WRITE_COMBINING (1u << 2) /* PAT entry 1; hv/ loads IA32_PAT so that it is write-combining */
#define PAGE_UNCACHED        (1u << 3) /* PAT entry 3 */
#define PAGE_ALLOW_1G        (1u << 4) /* the processor has 1 GiB pages: use them where aligned */

/* Bits of an entry. */
#define PAGING_ENTRY_PRESENT  (UINT64_C(1) << 0)
#define PAGING_ENTRY_WRITE    (UINT64_C(1) << 1)
#define PAGING_ENTRY_USER     (UINT64_C(1) << 2)
#define PAGING_ENTRY_PWT      (UINT64_C(1) << 3)
#define PAGING_ENTRY_PCD      (UINT64_C(1) << 4)
#define PAGING_ENTRY_ACCESSED (UINT64_C(1) << 5)
#define PAGING_ENTRY_DIRTY    (UINT64_C(1) << 6)
#define PAGING_ENTRY_LARGE    RADIX_LARGE
#define PAGING_ENTRY_GLOBAL   (UINT64_C(1) << 8)
#define PAGING_ENTRY_NX       (UINT64_C(1) << 63)

/* Tables by what an entry of theirs stands for: 4 KiB, 2 MiB, 1 GiB, 512 GiB. */
#define PAGING_LEVEL_PT   1u
#define PAGING_LEVEL_PD   2u
#define PAGING_LEVEL_PDPT 3u
#define PAGING_LEVEL_PML4 4u

enum paging_status {
    PAGING_OK = RADIX_OK,
    PAGING_E_ARGUMENT = RADIX_E_ARGUMENT, /* misaligned, empty, not canonical throughout, writable and
                                             executable, two memory types, an unknown flag; unmapping: a part
                                             of a large page */
    PAGING_E_MAPPED = RADIX_E_MAPPED,     /* some of it is mapped already */
    PAGING_E_NO_FRAME = RADIX_E_NO_FRAME, /* the source ran dry */
    PAGING_E_UNMAPPED = RADIX_E_UNMAPPED, /* some of it is not mapped */
};

/*
 * Maps [va, va + bytes) to the memory from `hpa` on, with the largest pages that both sides allow. The root
 * is a zeroed frame that `source` reaches. On an error no translation has changed. Table entries permit
 * everything: permissions stand in the leaves.
 */
MUST_USE enum paging_status paging_map(hpa_t root, const struct frame_source *source, uint64_t va, hpa_t hpa,
                                       uint64_t bytes, uint32_t flags);

/* Removes 4 KiB pages and whole large ones. On an error nothing has changed. Tables stay. */
MUST_USE enum paging_status paging_unmap(hpa_t root, const struct frame_source *source, uint64_t va,
                                         uint64_t bytes);

struct paging_leaf {
    uint64_t va;
    hpa_t hpa;
    uint64_t bytes; /* 4 KiB, 2 MiB or 1 GiB */
    uint64_t entry; /* as it stands, for whoever looks at more of it */
    bool writable;  /* permissions are those of the whole path */
    bool executable;
    bool user;
};

/* Translates one address; false when it is not canonical or nothing is mapped there. */
bool paging_walk(hpa_t root, const struct frame_source *source, uint64_t va, struct paging_leaf *leaf);

/*
 * Calls visit for every leaf, in the order of the lower then the upper half of the address space; stops early
 * when it returns false.
 */
void paging_each(hpa_t root, const struct frame_source *source,
                 bool (*visit)(void *context, const struct paging_leaf *leaf), void *context);

/*
 * The live entry for an address in a table of `level` (PAGING_LEVEL_...), present or not; NULL when there is
 * no such table. For windows: who writes it keeps the rules of this header and flushes.
 */
uint64_t *paging_entry(hpa_t root, const struct frame_source *source, uint64_t va, unsigned level);

#endif
