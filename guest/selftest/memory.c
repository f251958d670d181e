/*
 * Group `memory`: RAM from its first to its last byte, the device hole that reads as all ones; and the search
 * for bytes that a new partition must not find.
 */
#include "guest/selftest/check.h"

#include "guest/lib/memory.h"

#define IMAGE_BASE  UINT64_C(0x100000)
#define MARK        UINT64_C(0xC0FFEE0000000000)
#define ALL_ONES    UINT64_MAX
#define CHUNK_BYTES (UINT64_C(16) << 20)

uint64_t memory_first_nonzero(uint64_t start, uint64_t end)
{
    uint64_t at = start;
    uint64_t words = (end - start) / 8;
    bool all_zero;
    /* ZF is stale when there is nothing to scan: the comparison of a register with itself sets it. */
    __asm__ volatile("cmp %%eax, %%eax; repe scasq"
                     : "+D"(at), "+c"(words), "=@ccz"(all_zero)
                     : "a"(0)
                     : "memory");
    if (all_zero)
        return end;
    at -= 8;
    while (*(const volatile uint8_t *)at == 0)
        at++;
    return at;
}

/* In pieces, with a sign of life after each. */
static void check_zero(uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end; at += CHUNK_BYTES) {
        uint64_t stop = end - at < CHUNK_BYTES ? end : at + CHUNK_BYTES;
        uint64_t found = memory_first_nonzero(at, stop);
        uint8_t byte = found == stop ? 0 : *(const volatile uint8_t *)found;
        check(found == stop, "memory at 0x%lx is 0x%x, should be 0", found, byte);
        progress(stop >> 12);
    }
}

void check_memory_zero(void)
{
    check_zero(0, FH_PAGE_TABLES);
    check_zero(FH_STACK_TOP - PAGE_BYTES, IMAGE_BASE); /* our stack is elsewhere */
    struct range low = memory_free(), high = memory_high();
    check_zero(low.start, low.end);
    check_zero(high.start, high.end);
}

static void check_place(uint64_t address)
{
    volatile uint64_t *word = (volatile uint64_t *)address;
    uint64_t old = *word; // NOLINT(clang-analyzer-core.NullDereference): address 0 is RAM
    *word = MARK | address;
    check(*word == (MARK | address), "memory at 0x%lx keeps 0x%lx", address, *word);
    *word = old;
}

/* The corners of RAM are there, and are different places. */
static void check_corners(void)
{
    const struct fh_boot_info *info = boot_info();
    struct range high = memory_high();
    check_place(0);
    check_place(info->low_bytes - 8);
    if (high.start == high.end)
        return;
    check_place(high.start);
    check_place(high.end - 8);
    *(volatile uint64_t *)high.start = 1;
    *(volatile uint64_t *)(info->low_bytes - 8) = 2;
    *(volatile uint64_t *)0 = 3;
    check_equal(*(volatile uint64_t *)high.start, 1, "the first word above 4 GiB");
    *(volatile uint64_t *)high.start = *(volatile uint64_t *)(info->low_bytes - 8) = *(volatile uint64_t *)0 =
        0;
}

static void check_hole_reads(uint64_t address)
{
    uint64_t rax;
    check(*(volatile uint64_t *)address == ALL_ONES, "64 bits at 0x%lx in the hole", address);
    check(*(volatile uint32_t *)address == UINT32_MAX, "32 bits at 0x%lx in the hole", address);
    check(*(volatile uint16_t *)address == UINT16_MAX, "16 bits at 0x%lx in the hole", address);
    check(*(volatile uint8_t *)address == UINT8_MAX, "8 bits at 0x%lx in the hole", address);
    rax = MARK;
    __asm__ volatile("movb (%1), %%al" : "+a"(rax) : "r"(address));
    check_equal(rax, MARK | 0xFF, "RAX after an 8-bit load from the hole");
    rax = MARK;
    __asm__ volatile("movw (%1), %%ax" : "+a"(rax) : "r"(address));
    check_equal(rax, MARK | 0xFFFF, "RAX after a 16-bit load from the hole");
    rax = MARK;
    __asm__ volatile("movl (%1), %%eax" : "+a"(rax) : "r"(address));
    check_equal(rax, UINT32_MAX, "RAX after a 32-bit load from the hole");
    __asm__ volatile("movzbl (%1), %%eax" : "=a"(rax) : "r"(address));
    check_equal(rax, 0xFF, "RAX after MOVZX from the hole");
    __asm__ volatile("movsbq (%1), %%rax" : "=a"(rax) : "r"(address));
    check_equal(rax, ALL_ONES, "RAX after MOVSX from the hole");
}

static void check_hole_writes(uint64_t address)
{
    *(volatile uint64_t *)address = 0;
    *(volatile uint32_t *)address = 0;
    *(volatile uint16_t *)address = 0;
    *(volatile uint8_t *)address = 0;
    __asm__ volatile("movb $0, (%0); movw $0, (%0); movl $0, (%0); movq $0, (%0)"
                     :
                     : "r"(address)
                     : "memory");
    check(*(volatile uint64_t *)address == ALL_ONES, "a write to 0x%lx in the hole stayed", address);
}

void group_memory(void)
{
    check_corners();
    static const uint64_t places[] = {FH_HOLE_START, FH_HOLE_START + 0x12345670, 0xFEC00000, 0xFEE00000,
                                      FH_HOLE_END - 8};
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        check_hole_reads(places[i]);
        check_hole_writes(places[i]);
    }
    struct range low = memory_free();
    uint64_t end = low.end - low.start > CHUNK_BYTES ? low.start + CHUNK_BYTES : low.end;
    check_zero(low.start, end);
}
