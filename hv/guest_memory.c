/* Reaching a partition's memory through windows; what a guest finds in it when it starts. */
#include "hv/guest_memory.h"

#include "guest/abi.h"
#include "hv/fmt.h"
#include "hv/memory.h"
#include "hv/string.h"
#include "hv/x86.h"

#define WINDOW_DATA 0

void guest_memory_layout(struct partition *partition, const struct plan_partition *plan)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < plan->extent_count; i++) {
        struct extent rest = plan->extents[i];
        while (rest.start < rest.end) {
            if (at == FH_HOLE_START)
                at = FH_HOLE_END;
            uint64_t bytes = extent_bytes(rest);
            if (at < FH_HOLE_START)
                bytes = min_u64(bytes, FH_HOLE_START - at);
            CHECK(partition->range_count < ARRAY_SIZE(partition->ranges));
            partition->ranges[partition->range_count++] =
                (struct guest_range){.gpa = at, .bytes = bytes, .hpa = rest.start};
            at += bytes;
            rest.start += bytes;
        }
    }
    partition->low_bytes = min_u64(at, FH_HOLE_START);
    partition->high_bytes = at > FH_HOLE_END ? at - FH_HOLE_END : 0;
}

/*
 * Where a guest-physical address lies; *run is set to the bytes that follow it in the same 2 MiB frame of the
 * same range. False outside RAM.
 */
static bool locate(const struct partition *partition, uint64_t address, hpa_t *where, uint64_t *run)
{
    for (uint32_t i = 0; i < partition->range_count; i++) {
        const struct guest_range *range = &partition->ranges[i];
        if (address < range->gpa || address - range->gpa >= range->bytes)
            continue;
        *where = hpa(range->hpa + (address - range->gpa));
        /* Ranges are 2 MiB-aligned on both sides, so a 2 MiB frame never leaves its range. */
        *run = PAGE_2M - (where->value & (PAGE_2M - 1));
        return true;
    }
    return false;
}

static bool in_ram(const struct partition *partition, uint64_t start, uint64_t bytes)
{
    if (start + bytes < start)
        return false;
    if (start + bytes <= partition->low_bytes)
        return true;
    return start >= FH_HOLE_END && start + bytes <= FH_HOLE_END + partition->high_bytes;
}

/* Calls `copy` for every piece of guest RAM that lies in one window. */
static bool in_pieces(const struct partition *partition, uint64_t start, uint64_t bytes,
                      void (*copy)(void *guest, void *context, uint64_t bytes), void *context)
{
    if (!in_ram(partition, start, bytes))
        return false;
    while (bytes > 0) {
        hpa_t where;
        uint64_t run;
        bool found = locate(partition, start, &where, &run);
        CHECK(found);
        run = min_u64(run, bytes);
        copy(memory_window(WINDOW_DATA, where), context, run);
        start += run;
        bytes -= run;
    }
    return true;
}

static void copy_out(void *guest, void *context, uint64_t bytes)
{
    uint8_t **to = context;
    memcpy(*to, guest, bytes);
    *to += bytes;
}

static void copy_in(void *guest, void *context, uint64_t bytes)
{
    const uint8_t **from = context;
    memcpy(guest, *from, bytes);
    *from += bytes;
}

bool guest_memory_read(const struct partition *partition, gpa_t from, void *to, uint64_t bytes)
{
    uint8_t *cursor = to;
    return in_pieces(partition, from.value, bytes, copy_out, &cursor);
}

bool guest_memory_write(const struct partition *partition, gpa_t to, const void *from, uint64_t bytes)
{
    const uint8_t *cursor = from;
    return in_pieces(partition, to.value, bytes, copy_in, &cursor);
}

void guest_memory_scrub(const struct partition *partition)
{
    for (uint32_t i = 0; i < partition->range_count; i++) {
        const struct guest_range *range = &partition->ranges[i];
        for (uint64_t at = 0; at < range->bytes; at += PAGE_2M) {
            void *to = memory_window(WINDOW_DATA, hpa(range->hpa + at));
            uint64_t count = PAGE_2M / 8;
            __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0) : "memory");
        }
    }
}

/* A write that cannot fail: the address was checked when the image was, or is fixed by abi.h below 64 KiB. */
static void put(const struct partition *partition, uint64_t to, const void *from, uint64_t bytes)
{
    bool inside = guest_memory_write(partition, gpa(to), from, bytes);
    CHECK(inside);
}

static void put_u64(const struct partition *partition, uint64_t to, uint64_t value)
{
    put(partition, to, &value, sizeof(value));
}

#define PTE_PRESENT_WRITE UINT64_C(3)
#define PTE_LARGE         (UINT64_C(1) << 7)
#define ENTRIES           512

/* A page directory of large pages that maps one to one from `start`. */
static void put_directory(const struct partition *partition, uint64_t at, uint64_t start)
{
    uint64_t entries[ENTRIES];
    for (uint64_t i = 0; i < ENTRIES; i++)
        entries[i] = (start + i * PAGE_2M) | PTE_PRESENT_WRITE | PTE_LARGE;
    put(partition, at, entries, sizeof(entries));
}

/*
 * One-to-one tables: the first 4 GiB in 2 MiB pages, what lies above in 1 GiB pages where the processor shows
 * them. Addresses without memory behind them are mapped too: touching them is the guest's own affair.
 */
static void load_page_tables(const struct partition *partition)
{
    uint64_t pdpt = FH_PAGE_TABLES + FRAME_BYTES;
    uint64_t directory = pdpt + FRAME_BYTES;
    put_u64(partition, FH_PAGE_TABLES, pdpt | PTE_PRESENT_WRITE);
    for (uint64_t gib = 0; gib < 4; gib++) {
        put_u64(partition, pdpt + gib * 8, (directory + gib * FRAME_BYTES) | PTE_PRESENT_WRITE);
        put_directory(partition, directory + gib * FRAME_BYTES, gib * GIB);
    }
    bool pages_1g = (cpu_cpuid(CPUID_LEAF_FEATURES_EXT, 0).edx & CPUID_E1_EDX_1GIB) != 0;
    uint64_t top_gib = align_up(FH_HOLE_END + partition->high_bytes, GIB) / GIB;
    for (uint64_t gib = 4; pages_1g && gib < min_u64(top_gib, ENTRIES); gib++)
        put_u64(partition, pdpt + gib * 8, gib * GIB | PTE_PRESENT_WRITE | PTE_LARGE);
}

static void load_gdt(const struct partition *partition)
{
    static const uint64_t gdt[] = {
        0,
        UINT64_C(0x00af9b000000ffff), /* 64-bit code, ring 0 */
        UINT64_C(0x00cf93000000ffff), /* data, ring 0 */
        UINT64_C(0x00008b0000000067), /* busy 64-bit TSS at 0, limit 0x67 */
        0,
    };
    put(partition, FH_GDT, gdt, sizeof(gdt));
}

static void load_boot_info(const struct partition *partition, uint64_t tsc_hz)
{
    struct fh_boot_info info = {
        .magic = FH_BOOT_MAGIC,
        .version = FH_BOOT_VERSION,
        .vcpus = partition->vcpu_count,
        .memory_bytes = partition->low_bytes + partition->high_bytes,
        .low_bytes = partition->low_bytes,
        .high_bytes = partition->high_bytes,
        .tsc_hz = tsc_hz,
        .incarnation = partition->restarts,
    };
    fmt_copy(info.name, sizeof(info.name), partition->config->name);
    fmt_copy(info.cmdline, sizeof(info.cmdline), partition->config->cmdline);
    put(partition, FH_BOOT_INFO, &info, sizeof(info));
}

void guest_memory_load(struct partition *partition, uint64_t tsc_hz)
{
    const uint8_t *image = memory_reach(hpa(partition->image->base));
    for (uint32_t i = 0; i < partition->layout.segment_count; i++) {
        const struct image_segment *segment = &partition->layout.segments[i];
        put(partition, segment->gpa, image + segment->file_offset, segment->file_bytes);
    }
    load_page_tables(partition);
    load_gdt(partition);
    load_boot_info(partition, tsc_hz);
}
