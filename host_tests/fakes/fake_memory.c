/*
 * Host-physical memory in host tests: a sparse file, mapped whole for the tests and for the hypervisor's own
 * frames; a tenant's only through windows, with nothing mapped behind them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "host_tests/fakes/fake.h"

#define WINDOW_STRIDE (2 * PAGE_2M) /* a window, and as much that is not mapped */

static struct {
    int file;
    uint8_t *all;                            /* [0, FAKE_RAM_END) */
    uint8_t *windows;                        /* a reservation */
    uint64_t open[FAKE_CORES][WINDOW_SLOTS]; /* page + 1 */
    uint64_t next;
    hpa_t root;
} memory = {.file = -1};

static void set_up(void)
{
    memory.file = memfd_create("host memory", 0);
    assert_true(memory.file >= 0);
    assert_int_equal(ftruncate(memory.file, (off_t)FAKE_RAM_END), 0);
    memory.all = mmap(NULL, FAKE_RAM_END, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory.file, 0);
    assert_true(memory.all != MAP_FAILED);
    uint8_t *area = mmap(NULL, WINDOW_STRIDE * (FAKE_CORES * WINDOW_SLOTS + 1), PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(area != MAP_FAILED);
    memory.windows = area + (PAGE_2M - (uintptr_t)area % PAGE_2M);
}

static void close_window(uint32_t core, uint32_t slot)
{
    if (memory.open[core][slot] == 0)
        return;
    void *va = memory.windows + WINDOW_STRIDE * (core * WINDOW_SLOTS + slot);
    void *mapped =
        mmap(va, PAGE_2M, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    assert_ptr_equal(mapped, va);
    memory.open[core][slot] = 0;
}

void fake_memory_reset(void)
{
    if (memory.file < 0)
        set_up();
    for (uint32_t core = 0; core < FAKE_CORES; core++)
        for (uint32_t slot = 0; slot < WINDOW_SLOTS; slot++)
            close_window(core, slot);
    fake_ram_clear(0, FAKE_RAM_END);
    memory.next = FAKE_POOL_START;
    memory.root = hpa(0);
}

void *fake_ram(uint64_t host_physical)
{
    assert_true(host_physical < FAKE_RAM_END);
    return memory.all + host_physical;
}

void fake_ram_clear(uint64_t host_physical, uint64_t bytes)
{
    int failed = fallocate(memory.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)host_physical,
                           (off_t)bytes);
    assert_int_equal(failed, 0);
}

static bool ours(uint64_t address)
{
    return address >= FAKE_POOL_START && address < FAKE_POOL_END;
}

void *memory_take(uint64_t bytes)
{
    bytes = align_up(bytes, FRAME_BYTES);
    if (bytes > FAKE_POOL_END - memory.next)
        return NULL;
    memory.next += bytes;
    return memory.all + memory.next - bytes;
}

void *memory_need(uint64_t bytes)
{
    void *taken = memory_take(bytes);
    assert_non_null(taken);
    return taken;
}

void *memory_reach(hpa_t frame)
{
    if (!ours(frame.value))
        fail_msg("frame %#llx is not the hypervisor's, so it is mapped nowhere",
                 (unsigned long long)frame.value);
    return memory.all + frame.value;
}

hpa_t memory_frame(const void *pointer)
{
    uint64_t frame = (uint64_t)((const uint8_t *)pointer - memory.all);
    assert_true(ours(frame));
    return hpa(frame);
}

static bool source_take(void *context, hpa_t *frame)
{
    (void)context;
    void *taken = memory_take(FRAME_BYTES);
    if (taken == NULL)
        return false;
    *frame = memory_frame(taken);
    return true;
}

static void *source_reach(void *context, hpa_t frame)
{
    (void)context;
    return memory_reach(frame);
}

const struct frame_source memory_frames = {.take = source_take, .reach = source_reach};

void *memory_window(uint32_t slot, hpa_t address)
{
    uint64_t page = align_down(address.value, PAGE_2M);
    assert_true(slot < WINDOW_SLOTS);
    assert_true(page >= FAKE_RAM_START && page + PAGE_2M <= FAKE_RAM_END);
    uint8_t *va = memory.windows + WINDOW_STRIDE * (fake_core * WINDOW_SLOTS + slot);
    if (memory.open[fake_core][slot] != page + 1) {
        void *mapped = mmap(va, PAGE_2M, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
                            memory.file, (off_t)page);
        assert_ptr_equal(mapped, va);
        memory.open[fake_core][slot] = page + 1;
        fakes.window_opens++;
    }
    return va + (address.value - page);
}

void memory_window_close(void)
{
    fakes.window_closes++;
    for (uint32_t slot = 0; slot < WINDOW_SLOTS; slot++)
        close_window(fake_core, slot);
}

uint32_t fake_windows_open(uint32_t core)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < WINDOW_SLOTS; slot++)
        count += memory.open[core][slot] != 0;
    return count;
}

void fake_set_root(hpa_t root)
{
    memory.root = root;
}

hpa_t memory_root(void)
{
    return memory.root;
}

uint64_t memory_pool_bytes(void)
{
    return FAKE_POOL_END - FAKE_POOL_START;
}

uint64_t memory_pool_used(void)
{
    return memory.next - FAKE_POOL_START;
}
