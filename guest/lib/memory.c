/* Free memory, and the one set of page tables that tests may rearrange. */
#include "guest/lib/memory.h"

#include "guest/lib/entry.h"

#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CPUID_EDX_1GIB_PAGES    (1u << 26)
#define TABLE_ENTRIES           512
#define GIB_TABLES              4

static uint64_t pml4[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t pdpt[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t directories[GIB_TABLES][TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t window_pdpt[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t window_directory[TABLE_ENTRIES] __attribute__((aligned(4096)));
static uint64_t window_table[TABLE_ENTRIES] __attribute__((aligned(4096)));

struct range memory_free(void)
{
    uint64_t start = ((uint64_t)(uintptr_t)image_end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    uint64_t end = boot_info()->low_bytes;
    return (struct range){start, end > start ? end : start};
}

struct range memory_high(void)
{
    bool mapped = (cpuid(CPUID_EXTENDED_FEATURES, 0).edx & CPUID_EDX_1GIB_PAGES) != 0;
    uint64_t bytes = mapped ? boot_info()->high_bytes : 0;
    return (struct range){FH_HOLE_END, FH_HOLE_END + bytes};
}

static uint64_t table_entry(const void *table)
{
    return (uint64_t)(uintptr_t)table | PTE_ALL;
}

uint64_t paging_open(void)
{
    for (unsigned gib = 0; gib < GIB_TABLES; gib++) {
        for (unsigned i = 0; i < TABLE_ENTRIES; i++)
            directories[gib][i] = ((uint64_t)gib << 30 | (uint64_t)i << 21) | PTE_ALL | PTE_LARGE;
        pdpt[gib] = table_entry(directories[gib]);
    }
    __builtin_memset(window_table, 0, sizeof window_table);
    pml4[0] = table_entry(pdpt);
    pml4[1] = table_entry(window_pdpt);
    window_pdpt[0] = table_entry(window_directory);
    window_directory[0] = table_entry(window_table);
    uint64_t old = read_cr3();
    write_cr3((uint64_t)(uintptr_t)pml4);
    return old;
}

uint64_t paging_map(unsigned page, uint64_t entry)
{
    uint64_t address = PAGING_WINDOW + page * PAGE_BYTES;
    __atomic_store_n(&window_table[page], entry, __ATOMIC_RELEASE);
    invlpg(address);
    return address;
}

uint64_t *paging_window_table(unsigned level)
{
    uint64_t *const tables[] = {pml4, window_pdpt, window_directory, window_table};
    return tables[level];
}
