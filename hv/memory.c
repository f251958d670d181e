/*
 * The hypervisor's own memory. The pool is a bump allocator: start-up takes, nothing is given back, and
 * hv/budget.h computed its size from the configuration before the firmware was left.
 */
#include "hv/memory.h"

#include "hv/core.h"
#include "hv/paging.h"
#include "hv/spinlock.h"

/* Own areas of the address space, each a PML4 slot of its own. */
#define STACK_AREA  UINT64_C(0xffffff0000000000)
#define WINDOW_AREA UINT64_C(0xfffffe0000000000)
#define DEVICE_AREA UINT64_C(0xfffffd0000000000)

static struct {
    struct spinlock lock;
    hpa_t root;
    uint64_t next; /* host-physical */
    uint64_t end;
    uint64_t start;
    uint64_t stack_next; /* virtual */
    uint64_t device_next;
    uint64_t region_start; /* what windows must never open on */
    uint64_t region_end;
} pool;

static uint64_t *window_entries[MACHINE_MAX_CORES]; /* the page-directory entries of each core's windows */

static bool source_take(void *context, hpa_t *frame)
{
    (void)context;
    void *memory = memory_take(FRAME_BYTES);
    if (memory == NULL)
        return false;
    *frame = memory_frame(memory);
    return true;
}

static void *source_reach(void *context, hpa_t frame)
{
    (void)context;
    return memory_reach(frame);
}

const struct frame_source memory_frames = {.take = source_take, .reach = source_reach};

void memory_init(const struct handoff *handoff)
{
    pool.root = hpa(handoff->page_table_root);
    pool.start = pool.next = handoff->pool_base;
    pool.end = handoff->pool_base + handoff->pool_bytes;
    pool.stack_next = STACK_AREA;
    pool.device_next = DEVICE_AREA;
    pool.region_start = handoff->region_base;
    pool.region_end = handoff->region_base + handoff->region_bytes;
}

void *memory_take(uint64_t bytes)
{
    bytes = align_up(bytes, FRAME_BYTES);
    spin_lock(&pool.lock);
    uint64_t start = pool.next;
    bool enough = bytes <= pool.end - start;
    if (enough)
        pool.next = start + bytes;
    spin_unlock(&pool.lock);
    return enough ? memory_reach(hpa(start)) : NULL;
}

void *memory_need(uint64_t bytes)
{
    void *memory = memory_take(bytes);
    CHECK(memory != NULL);
    return memory;
}

void *memory_reach(hpa_t frame)
{
    return (void *)(HV_DIRECT_BASE + frame.value);
}

hpa_t memory_frame(const void *pointer)
{
    return hpa((uintptr_t)pointer - HV_DIRECT_BASE);
}

uint64_t memory_pool_bytes(void)
{
    return pool.end - pool.start;
}

uint64_t memory_pool_used(void)
{
    return pool.next - pool.start;
}

hpa_t memory_root(void)
{
    return pool.root;
}

static void map_or_die(uint64_t va, hpa_t frame, uint64_t bytes, uint32_t flags)
{
    CHECK(paging_map(pool.root, &memory_frames, va, frame, bytes, flags) == PAGING_OK);
}

void *memory_stack(uint64_t bytes)
{
    hpa_t frames = memory_frame(memory_need(bytes));
    uint64_t bottom = pool.stack_next + FRAME_BYTES; /* the page below stays unmapped: the guard */
    map_or_die(bottom, frames, bytes, PAGE_WRITE);
    pool.stack_next = bottom + bytes;
    return (void *)(bottom + bytes);
}

void memory_unmap_page(uint64_t va)
{
    CHECK(paging_unmap(pool.root, &memory_frames, va, FRAME_BYTES) == PAGING_OK);
    cpu_invlpg((const void *)va);
}

void *memory_map_device(hpa_t page)
{
    uint64_t va = pool.device_next;
    pool.device_next += FRAME_BYTES;
    map_or_die(va, page, FRAME_BYTES, PAGE_WRITE | PAGE_UNCACHED);
    return (void *)va;
}

static uint64_t window_va(uint32_t core, uint32_t slot)
{
    return WINDOW_AREA + ((uint64_t)core * WINDOW_SLOTS + slot) * PAGE_2M;
}

void memory_window_init(uint32_t core)
{
    /* Mapping and unmapping a large page once leaves the tables above it in place, so that opening never
     * allocates. */
    uint64_t va = window_va(core, 0);
    for (uint32_t slot = 0; slot < WINDOW_SLOTS; slot++) {
        map_or_die(window_va(core, slot), hpa(align_down(pool.region_start, PAGE_2M)), PAGE_2M, 0);
        *paging_entry(pool.root, &memory_frames, window_va(core, slot), PAGING_LEVEL_PD) = 0;
        cpu_invlpg((const void *)window_va(core, slot));
    }
    window_entries[core] = paging_entry(pool.root, &memory_frames, va, PAGING_LEVEL_PD);
}

void *memory_window(uint32_t slot, hpa_t address)
{
    uint32_t core = this_core()->index;
    uint64_t page = align_down(address.value, PAGE_2M);
    CHECK(page + PAGE_2M <= pool.region_start || page >= pool.region_end);
    uint64_t va = window_va(core, slot);
    uint64_t entry = page | PAGING_ENTRY_PRESENT | PAGING_ENTRY_WRITE | PAGING_ENTRY_LARGE | PAGING_ENTRY_NX;
    uint64_t *place = window_entries[core] + slot;
    /* The processor sets accessed and dirty bits in the entry by itself. */
    if ((*place & ~(PAGING_ENTRY_ACCESSED | PAGING_ENTRY_DIRTY)) != entry) {
        __atomic_store_n(place, entry, __ATOMIC_RELAXED);
        cpu_invlpg((const void *)va);
    }
    return (void *)(va + (address.value - page));
}

void memory_window_close(void)
{
    uint32_t core = this_core()->index;
    for (uint32_t slot = 0; slot < WINDOW_SLOTS; slot++) {
        __atomic_store_n(window_entries[core] + slot, 0, __ATOMIC_RELAXED);
        cpu_invlpg((const void *)window_va(core, slot));
    }
}
