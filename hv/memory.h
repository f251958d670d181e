/*
 * The hypervisor's own memory: frames from its region, its page tables, stacks with guard pages, and the
 * windows through which a core reaches guest memory. Tenants' frames are mapped nowhere else.
 */
#ifndef FREEHOLD_HV_MEMORY_H
#define FREEHOLD_HV_MEMORY_H

#include "alloc/ept.h"
#include "hv/handoff.h"

#define HV_STACK_BYTES (16 * KIB)
#define HV_IST_BYTES   (4 * KIB)

/* Takes over the page tables and the pool that boot/ prepared. Once, on the boot core. */
void memory_init(const struct handoff *handoff);

/* `bytes` of zeroed, frame-aligned memory of our own, or NULL when the pool is dry. At start-up; any core. */
MUST_USE void *memory_take(uint64_t bytes);

/* As memory_take, for what the budget (hv/budget.h) has provided for: running dry there is a bug of ours. */
void *memory_need(uint64_t bytes);

/* Between the direct map and physical addresses; only for frames of the hypervisor. */
void *memory_reach(hpa_t frame);
hpa_t memory_frame(const void *pointer);

/* Single zeroed frames from the same pool, for page tables. */
extern const struct frame_source memory_frames;

uint64_t memory_pool_bytes(void);
uint64_t memory_pool_used(void);

/* A mapped stack with an unmapped page below it: its top. */
void *memory_stack(uint64_t bytes);

/* Takes a page out of the hypervisor's tables. No other core may have used it. */
void memory_unmap_page(uint64_t va);

/* Maps one page of device registers, uncached; its address. */
void *memory_map_device(hpa_t page);

/* Prepares the windows of a core; before it uses them. */
void memory_window_init(uint32_t core);

/*
 * Opens window `slot` (0 to WINDOW_SLOTS - 1) of this core on the 2 MiB page that holds `address`, which must
 * lie in an extent of a partition (those are 2 MiB-aligned). The pointer is to the very byte; valid to the
 * end of its 2 MiB, until the same slot is opened elsewhere. Constant time.
 */
#define WINDOW_SLOTS 2
void *memory_window(uint32_t slot, hpa_t address);

/* Closes the windows of this core: nothing of a guest stays mapped. */
void memory_window_close(void);

/* Root of the hypervisor's tables, for the audit. */
hpa_t memory_root(void);

#endif
