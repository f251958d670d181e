/*
 * Second-stage page tables (EPT): built, walked, audited. Pure: reaches table memory only through a frame
 * source. Source: Intel SDM volume 3C, chapter "VMX Support for Address Translation" (order number 325384).
 */
#ifndef FREEHOLD_ALLOC_EPT_H
#define FREEHOLD_ALLOC_EPT_H

#include "alloc/radix.h"

#define EPT_READ    1u
#define EPT_WRITE   2u
#define EPT_EXECUTE 4u
#define EPT_RWX     7u

enum ept_memory_type { EPT_UC = 0, EPT_WC = 1, EPT_WT = 4, EPT_WP = 5, EPT_WB = 6 };

enum ept_status {
    EPT_OK = RADIX_OK,
    EPT_E_ARGUMENT = RADIX_E_ARGUMENT, /* misaligned, empty, beyond 48 (guest) or 52 bits (host), permissions
                       or type that the processor would call a misconfiguration */
    EPT_E_MAPPED = RADIX_E_MAPPED,     /* some of it is mapped already */
    EPT_E_NO_FRAME = RADIX_E_NO_FRAME, /* the source ran dry */
    EPT_E_UNMAPPED = RADIX_E_UNMAPPED, /* some of it is not mapped */
};

struct ept {
    hpa_t root; /* PML4 table */
    const struct frame_source *source;
    bool pages_2m; /* what the processor offers */
    bool pages_1g;
    uint32_t table_count; /* frames taken, the root included */
};

struct ept_mapping {
    gpa_t gpa;
    hpa_t hpa;
    uint64_t bytes;
    uint32_t permissions; /* EPT_READ | ... */
    enum ept_memory_type type;
};

/* Takes the root. */
MUST_USE enum ept_status ept_init(struct ept *ept, const struct frame_source *source, bool pages_2m,
                                  bool pages_1g);

/*
 * Maps with the largest pages both sides allow, smaller ones where a table stands already (tables are never
 * taken out of a live structure). Prepare then commit: on an error no translation has changed (after
 * EPT_E_NO_FRAME tables prepared may stay, empty). Each intermediate state is a valid table. Execute-only is
 * for processors that offer it: the caller knows. One caller at a time; processors may walk meanwhile.
 */
MUST_USE enum ept_status ept_map(struct ept *ept, struct ept_mapping mapping);

/*
 * Removes 4 KiB leaves or whole large pages inside [start, start + bytes); splits no large page
 * (EPT_E_ARGUMENT). On an error no translation has changed. The caller invalidates before the memory behind
 * serves another.
 */
MUST_USE enum ept_status ept_unmap(struct ept *ept, gpa_t start, uint64_t bytes);

struct ept_leaf {
    gpa_t gpa; /* of the page's start */
    hpa_t hpa;
    uint64_t bytes; /* 4 KiB, 2 MiB or 1 GiB */
    uint32_t permissions;
    enum ept_memory_type type;
};

/* Translates one address; false when nothing is mapped there. Permissions are those of the whole path. */
bool ept_walk(const struct ept *ept, gpa_t address, struct ept_leaf *leaf);

/*
 * Calls visit for every leaf in address order; stops early when it returns false. No recursion. Where
 * neighbouring entries lead to one lowest table (absent hardware does that), its leaves are visited once.
 */
void ept_each(const struct ept *ept, bool (*visit)(void *context, const struct ept_leaf *leaf),
              void *context);

/* Calls visit for every frame that holds a table, the root first. */
void ept_each_table(const struct ept *ept, bool (*visit)(void *context, hpa_t table), void *context);

/* Gives all tables back (nothing, when the source takes none back); no processor may use them any more. */
void ept_destroy(struct ept *ept);

/* The most tables, the root included, that mapping `bytes` in `pieces` 2 MiB-aligned pieces, wherever they
 * lie, can take on a processor with 2 MiB pages. */
uint32_t ept_tables_bound(uint64_t bytes, uint32_t pieces);

/* The EPT pointer for the VMCS: write-back walks of length 4; accessed/dirty flags when asked for. Source:
 * Intel SDM volume 3C, section "Extended-Page-Table Pointer (EPTP)". */
uint64_t ept_pointer(const struct ept *ept, bool accessed_dirty);

#endif
