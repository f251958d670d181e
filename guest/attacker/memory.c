/* Attacks on what lies beyond the slice. The first touch must end the partition, so each address is an
 * attack. */
#include "guest/attacker/attack.h"

#define ONE_TIB       (UINT64_C(1) << 40)
#define LEAF_ADDRESS  0x80000008u
#define RET_OPCODE    0xC3
#define MOVABS_OPCODE 0xB8 /* with REX.W: 8 immediate bytes follow */
#define REX_W         0x48
#define RAM_PATTERN   UINT64_C(0x1122334455667788)
#define GIB           (UINT64_C(1) << 30)

/* Maps the page of `physical` into the window; its address there. */
static volatile uint8_t *reach(uint64_t physical)
{
    paging_open();
    uint64_t page = paging_map(0, (physical & ~(PAGE_BYTES - 1)) | PTE_ALL);
    paging_map(1, ((physical & ~(PAGE_BYTES - 1)) + PAGE_BYTES) | PTE_ALL);
    return (volatile uint8_t *)(page + (physical & (PAGE_BYTES - 1)));
}

static uint64_t physical_bits(void)
{
    return cpuid(LEAF_ADDRESS, 0).eax & 0xFF;
}

static void read_at(uint64_t physical)
{
    uint8_t byte = *reach(physical);
    print("attacker: read 0x%x from 0x%lx\n", byte, physical);
}

static void write_at(uint64_t physical)
{
    *reach(physical) = 0x5A;
    print("attacker: wrote to 0x%lx\n", physical);
}

static void read_above(void)
{
    read_at(first_outside());
}

static void write_above(void)
{
    write_at(first_outside());
}

static void read_next_gib(void)
{
    read_at(((FH_HOLE_END + boot_info()->high_bytes) & ~(GIB - 1)) + GIB);
}

static void read_above_hole(void)
{
    read_at(FH_HOLE_END + boot_info()->high_bytes);
}

static void read_tib(void)
{
    read_at(ONE_TIB < UINT64_C(1) << (physical_bits() - 1) ? ONE_TIB : UINT64_C(1) << (physical_bits() - 1));
}

static void read_top(void)
{
    read_at((UINT64_C(1) << physical_bits()) - PAGE_BYTES);
}

static void write_top(void)
{
    write_at((UINT64_C(1) << physical_bits()) - 1);
}

static void read_across_end(void)
{
    volatile uint8_t *last = reach(first_outside() - 4);
    print("attacker: read 0x%lx across the end\n", *(volatile uint64_t *)last);
}

static void locked_across_end(void)
{
    volatile uint64_t *last = (volatile uint64_t *)reach(first_outside() - 4);
    print("attacker: added across the end, 0x%lx before\n", __atomic_fetch_add(last, 1, __ATOMIC_SEQ_CST));
}

static void execute_above(void)
{
    volatile uint8_t *code = reach(first_outside());
    ((void (*)(void))(uintptr_t)code)();
}

/* An instruction of ten bytes whose last six lie outside. */
static void execute_across_end(void)
{
    volatile uint8_t *code = reach(first_outside() - 4);
    code[0] = REX_W;
    code[1] = MOVABS_OPCODE;
    code[2] = code[3] = 0;
    ((void (*)(void))(uintptr_t)code)();
}

static void string_across_end(void)
{
    volatile uint8_t *from = reach(first_outside() - 16);
    uint8_t copy[64];
    uint64_t rsi = (uint64_t)(uintptr_t)from, rdi = (uint64_t)(uintptr_t)copy, rcx = sizeof copy;
    __asm__ volatile("rep movsb" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
}

static void do_read(void *address)
{
    (void)*(volatile uint64_t *)address;
}

/* There is nothing below 0: addresses that wrap or are not canonical never become physical ones. */
static void read_below(void)
{
    static const uint64_t addresses[] = {UINT64_MAX,         UINT64_MAX - 7,     UINT64_MAX - 4096,
                                         0xFFFF800000000000, 0xFFFFFFFF80000000, 0x0000800000000000,
                                         0xFFFF7FFFFFFFFFFF, 0x00007FFFFFFFFFFF, 0x8000000000000000};
    unsigned refused = 0, count = sizeof addresses / sizeof addresses[0];
    for (unsigned i = 0; i < count; i++) {
        int vector = probe(do_read, (void *)addresses[i]).vector;
        refused += vector == VECTOR_PF || vector == VECTOR_GP;
    }
    saw(refused == count, "%u of %u addresses below 0 or not canonical raised #PF or #GP", refused, count);
}

/* Physical address bits the processor does not have raise #PF, before any second stage is asked. */
static void read_reserved_physical(void)
{
    uint64_t cr3 = paging_open();
    unsigned refused = 0, count = 0;
    for (uint64_t bit = physical_bits(); bit < 52; bit++, count++) {
        uint64_t address = paging_map(0, UINT64_C(1) << bit | PTE_ALL);
        struct probe_result r = probe(do_read, (void *)address);
        refused += r.vector == VECTOR_PF && (r.error & 0x8) != 0;
    }
    write_cr3(cr3);
    saw(refused == count, "%u of %u reserved physical address bits raised #PF with RSVD", refused, count);
}

/* All of the slice is ours: its last word keeps what is written, through another mapping too. */
static void use_all(void)
{
    struct range low = memory_free();
    volatile uint64_t *last = (volatile uint64_t *)(low.end - 8);
    *last = RAM_PATTERN;
    uint64_t cr3 = paging_open();
    volatile uint64_t *window = (volatile uint64_t *)reach(low.end - 8);
    bool same = *window == RAM_PATTERN;
    *window = 0;
    write_cr3(cr3);
    saw(same && *last == 0, "the last word of RAM at 0x%lx is ours through two mappings", low.end - 8);
}

/* Code that rewrites itself, and code whose instruction lies on two pages that swap places. */
static uint8_t code_pages[3][PAGE_BYTES] __attribute__((aligned(4096)));

/* MOV EAX, value; RET at the address. */
static void put_function(uint8_t *at, uint32_t value)
{
    at[0] = MOVABS_OPCODE;
    __builtin_memcpy(at + 1, &value, sizeof value);
    at[5] = RET_OPCODE;
    __asm__ volatile("" : : : "memory");
}

static uint32_t call(const void *code)
{
    return ((uint32_t(*)(void))(uintptr_t)code)();
}

static unsigned modify_in_place(void)
{
    unsigned right = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint8_t *at = code_pages[0] + PAGE_BYTES - 1 - i % 8; /* the value straddles the page end */
        put_function(at, i);
        (void)cpuid(0, 0); /* serialises */
        right += call(at) == i;
    }
    return right;
}

/* The first page ends inside an instruction; its rest is on one of two pages, mapped in turn. */
static unsigned modify_by_mapping(void)
{
    unsigned right = 0;
    uint8_t image[6];
    put_function(image, 0);
    __builtin_memcpy(code_pages[0] + PAGE_BYTES - 2, image, 2);
    for (uint8_t page = 1; page <= 2; page++) {
        __builtin_memcpy(code_pages[page], image + 2, 4);
        code_pages[page][0] = page; /* second byte of the value */
    }
    uint64_t cr3 = paging_open();
    uint64_t code = paging_map(0, (uint64_t)(uintptr_t)code_pages[0] | PTE_ALL) + PAGE_BYTES - 2;
    for (unsigned i = 0; i < 1000; i++) {
        unsigned page = 1 + i % 2;
        paging_map(1, (uint64_t)(uintptr_t)code_pages[page] | PTE_ALL);
        /* Rewritten under another address: Bochs 2.7 does not notice that only the second page changed. */
        __builtin_memcpy(code_pages[0] + PAGE_BYTES - 2, image, 2);
        __asm__ volatile("" : : : "memory");
        right += call((const void *)code) == page << 8;
    }
    write_cr3(cr3);
    return right;
}

static void self_modify(void)
{
    unsigned right = modify_in_place();
    saw(right == 1000, "%u of 1000 rewritten functions across a page end did what was written", right);
    right = modify_by_mapping();
    saw(right == 1000, "%u of 1000 remapped functions across a page end did what was mapped", right);
}

static const struct attack rows[] = {
    {"read-above", "fault:ept-violation", "reads the first byte above its memory", read_above},
    {"write-above", "fault:ept-violation", "writes the first byte above its memory", write_above},
    {"read-above-hole", "fault:ept-violation", "reads the first byte above the hole and high memory",
     read_above_hole},
    {"read-next-gib", "fault:ept-violation", "reads at the next GiB boundary above everything",
     read_next_gib},
    {"read-tib", "fault:ept-violation", "reads at 1 TiB", read_tib},
    {"read-top", "fault:ept-violation", "reads the last page of the physical address space", read_top},
    {"write-top", "fault:ept-violation", "writes the last byte of the physical address space", write_top},
    {"read-across-end", "fault:ept-violation", "reads 8 bytes of which 4 lie above its memory",
     read_across_end},
    {"lock-across-end", "fault:ept-violation", "adds, locked, to 8 bytes of which 4 lie above its memory",
     locked_across_end},
    {"copy-across-end", "fault:ept-violation", "copies by REP MOVS from across the end of its memory",
     string_across_end},
    {"execute-above", "fault:ept-violation", "jumps to the first byte above its memory", execute_above},
    {"execute-across-end", "fault:ept-violation",
     "runs an instruction that begins in its memory and ends above", execute_across_end},
    {"read-below", "exit:0", "reads through addresses below 0, wrapping and not canonical", read_below},
    {"read-reserved", "exit:0", "maps every physical address bit the processor does not have",
     read_reserved_physical},
    {"use-all", "exit:0", "uses the last word of its memory", use_all},
    {"self-modify", "exit:0", "rewrites and remaps code across page ends", self_modify},
};
const struct attack_table memory_attacks = ATTACK_TABLE(rows);
