/*
 * Translating a guest's linear address through the guest's own page tables, as the processor would. Pure.
 * Everything in those tables is hostile and may change meanwhile: each entry is read once, the number of
 * reads is at most four, and what comes out is only ever a guest-physical address, to be checked by whoever
 * uses it. Accessed and dirty bits are not set: a guest that relies on them for accesses that the hypervisor
 * makes on its behalf does not see those. Source: Intel SDM volume 3A, chapter "Paging", sections "32-Bit
 * Paging", "PAE Paging", "4-Level Paging and 5-Level Paging", "Access Rights", "Page-Fault Exceptions" (order
 * number 325384, 2023).
 */
#ifndef FREEHOLD_HV_WALK_H
#define FREEHOLD_HV_WALK_H

#include "alloc/addr.h"

/* The guest's registers that rule translation. */
struct walk_state {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t rflags;        /* AC, for SMAP */
    uint64_t pdpte[4];      /* with PAE paging: the page-directory-pointer entries that the processor holds */
    uint32_t physical_bits; /* as the guest's CPUID says: 32 to 52 */
    bool pages_1g;          /* likewise */
    /* Reads guest-physical memory; false when some of it is not RAM. Like guest_memory_read. */
    bool (*read)(void *context, gpa_t from, void *to, uint64_t bytes);
    void *context;
};

enum walk_kind { WALK_READ, WALK_WRITE, WALK_FETCH };

struct walk_access {
    enum walk_kind kind;
    bool user;     /* CPL 3, and not an implicit access */
    bool implicit; /* the processor's own supervisor access (GDT, IDT, TSS): RFLAGS.AC does not help it */
};

enum walk_status {
    WALK_OK,
    WALK_PAGE_FAULT,    /* #PF with error_code, CR2 is the address */
    WALK_NOT_CANONICAL, /* #GP(0), or #SS(0) through SS */
    WALK_UNREACHABLE, /* a table lies where there is no RAM (at gpa): the processor would have left the guest
                       */
    WALK_UNSUPPORTED, /* 5-level paging, protection keys, shadow stacks: hidden from guests, so never on */
};

struct walk_result {
    gpa_t gpa;           /* WALK_OK: of the address itself. WALK_UNREACHABLE: of the entry */
    uint64_t page_bytes; /* WALK_OK: the translation holds to the end of this aligned page */
    uint32_t error_code; /* WALK_PAGE_FAULT */
};

/* Bits of a page fault's error code. */
#define WALK_ERROR_PRESENT  (1u << 0) /* not because of an entry that is not present */
#define WALK_ERROR_WRITE    (1u << 1)
#define WALK_ERROR_USER     (1u << 2)
#define WALK_ERROR_RESERVED (1u << 3)
#define WALK_ERROR_FETCH    (1u << 4)

/* Translates one address. Outside 64-bit mode only its low 32 bits count. */
MUST_USE enum walk_status walk_translate(const struct walk_state *state, uint64_t address,
                                         struct walk_access access, struct walk_result *result);

#endif
