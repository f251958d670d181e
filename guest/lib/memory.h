/*
 * Which memory a guest may use, and page tables of its own for tests that need other mappings than the ones
 * it started with.
 */
#ifndef FREEHOLD_GUEST_LIB_MEMORY_H
#define FREEHOLD_GUEST_LIB_MEMORY_H

#include "guest/lib/cpu.h"

/* Guest-physical, [start, end); the same as virtual unless a test says otherwise. Empty: start == end. */
struct range {
    uint64_t start; /* inclusive */
    uint64_t end;   /* exclusive */
};

/* RAM below 4 GiB behind the image, whole pages: nobody else uses it. */
struct range memory_free(void);

/* RAM from 4 GiB up, empty where there is none or it is not mapped (processors without 1 GiB pages). */
struct range memory_high(void);

#define PAGE_BYTES   UINT64_C(4096)
#define PTE_PRESENT  UINT64_C(0x1)
#define PTE_WRITE    UINT64_C(0x2)
#define PTE_USER     UINT64_C(0x4)
#define PTE_ACCESSED UINT64_C(0x20)
#define PTE_DIRTY    UINT64_C(0x40)
#define PTE_LARGE    UINT64_C(0x80)
#define PTE_NX       (UINT64_C(1) << 63)
#define PTE_ALL      (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)

/*
 * Loads page tables of the guest's own (static, one set, this vCPU): the first 4 GiB one to one, open to CPL
 * 3, in 2 MiB pages, and a window of 4 KiB pages at PAGING_WINDOW, empty until paging_map. The old CR3 comes
 * back with write_cr3(paging_open()).
 */
uint64_t paging_open(void);
#define PAGING_WINDOW       (UINT64_C(1) << 39) /* entry 1 of the PML4 */
#define PAGING_WINDOW_PAGES 512

/* Sets the window's page table entry (page below PAGING_WINDOW_PAGES) raw, flushes it; its address. */
uint64_t paging_map(unsigned page, uint64_t entry);

/* The window's own tables, for tests that tie knots: 0 PML4, 1 PDPT, 2 page directory, 3 page table. */
uint64_t *paging_window_table(unsigned level);

#endif
