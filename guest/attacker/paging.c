/* Page tables that bite their own tail, storms of flushes: a guest's own translations are its own affair. */
#include "guest/attacker/attack.h"

#define STORM_ROUNDS 100000u

static void do_read(void *address)
{
    (void)*(volatile uint64_t *)address;
}

/* PML4 entry 1 points at the PML4: every address below it is a table read as a page. */
static void self_reference(void)
{
    uint64_t cr3 = paging_open();
    uint64_t *pml4 = paging_window_table(0);
    uint64_t old = pml4[1];
    uint64_t self = ((uint64_t)(uintptr_t)pml4) | PTE_ALL;
    __atomic_store_n(&pml4[1], self, __ATOMIC_RELEASE);
    write_cr3(read_cr3());
    /* Index 1 at every level ends at the PML4 itself. */
    uint64_t mirror = UINT64_C(1) << 39 | UINT64_C(1) << 30 | UINT64_C(1) << 21 | UINT64_C(1) << 12;
    uint64_t seen = *(volatile uint64_t *)(mirror + 8);
    __atomic_store_n(&pml4[1], old, __ATOMIC_RELEASE);
    write_cr3(cr3);
    saw((seen & ~(PTE_ACCESSED | PTE_DIRTY)) == (self & ~(PTE_ACCESSED | PTE_DIRTY)),
        "a table that refers to itself shows its own entry 0x%lx", seen);
}

/* Every level points back at the level above: walks go in circles of four steps and no further. */
static void cycles(void)
{
    uint64_t cr3 = paging_open();
    unsigned quiet = 0;
    for (unsigned from = 1; from < 4; from++) {
        for (unsigned to = 0; to < 4; to++) {
            uint64_t *table = paging_window_table(from);
            uint64_t old = table[0];
            uint64_t entry = ((uint64_t)(uintptr_t)paging_window_table(to)) | PTE_ALL;
            __atomic_store_n(&table[0], entry, __ATOMIC_RELEASE);
            write_cr3(read_cr3());
            int vector = probe(do_read, (void *)PAGING_WINDOW).vector;
            quiet += vector == PROBE_NO_EXCEPTION || vector == VECTOR_PF;
            __atomic_store_n(&table[0], old, __ATOMIC_RELEASE);
        }
    }
    write_cr3(cr3);
    saw(quiet == 12, "%u of 12 knotted tables gave a page or #PF", quiet);
}

static void do_cr3(void *value)
{
    uint64_t old = read_cr3();
    write_cr3(*(const uint64_t *)value);
    write_cr3(old);
}

/* Address bits beyond the processor's in CR3 raise #GP before any walk. */
static void reserved_cr3(void)
{
    uint64_t width = cpuid(0x80000008u, 0).eax & 0xFF;
    unsigned refused = 0, count = 0;
    for (uint64_t bit = width; bit < 63; bit++, count++) {
        uint64_t value = read_cr3() | UINT64_C(1) << bit;
        refused += probe(do_cr3, &value).vector == VECTOR_GP;
    }
    saw(refused == count, "%u of %u reserved bits of CR3 raised #GP", refused, count);
}

static void storm(void)
{
    for (unsigned i = 0; i < STORM_ROUNDS; i++)
        invlpg(random_next());
    saw(true, "%u INVLPGs of random addresses went by", STORM_ROUNDS);
    for (unsigned i = 0; i < STORM_ROUNDS / 10; i++) {
        write_cr3(read_cr3());
        write_cr4(read_cr4() ^ CR4_PGE);
    }
    saw(true, "%u flushes by CR3 and CR4.PGE went by", STORM_ROUNDS / 10);
}

/* CR3 at memory that is not ours. */
static void foreign_tables(void)
{
    write_cr3(first_outside());
    __asm__ volatile("ud2");
}

/* Tables full of zeros: nothing is mapped, not even the handlers. */
static void no_tables(void)
{
    static uint64_t empty[PAGE_BYTES / 8] __attribute__((aligned(4096)));
    write_cr3((uint64_t)(uintptr_t)empty);
}

static const struct attack rows[] = {
    {"tables-self", "exit:0", "lets a page table refer to itself", self_reference},
    {"tables-cycle", "exit:0", "ties page tables into circles", cycles},
    {"tables-reserved", "exit:0", "sets the reserved bits of CR3", reserved_cr3},
    {"flush-storm", "exit:0", "flushes translations a hundred thousand times", storm},
    {"tables-foreign", "fault:ept-violation", "points CR3 above its memory", foreign_tables},
    {"tables-none", "fault:triple-fault", "points CR3 at a page of zeros", no_tables},
};
const struct attack_table paging_attacks = ATTACK_TABLE(rows);
