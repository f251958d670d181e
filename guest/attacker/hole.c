/*
 * Attacks on the device hole, where no hardware is: whatever instruction touches it, reads are all ones,
 * writes vanish, and no other tenant's byte ever shows.
 */
#include "guest/attacker/attack.h"

#define PLACE       (FH_HOLE_START + UINT64_C(0x01234560))
#define ONES        UINT64_MAX
#define STRIDE      (UINT64_C(3) << 20)
#define SPIN_ROUNDS 2000u

static volatile uint64_t *hole(uint64_t address)
{
    return (volatile uint64_t *)address;
}

/* From end to end, in strides, read, written, read again. */
static void sweep(void)
{
    unsigned right = 0, count = 0;
    for (uint64_t at = FH_HOLE_START; at < FH_HOLE_END; at += STRIDE, count++) {
        bool ones = *hole(at) == ONES;
        *hole(at) = 0;
        right += ones && *hole(at) == ONES;
    }
    saw(right == count, "%u of %u places read as all ones, before and after a write", right, count);
}

/* One instruction of each shape that a decoder of a few MOVs would not know. */
static void instructions(void)
{
    uint64_t rax = 0, rcx, rsi, rdi;
    uint8_t copy[64] __attribute__((aligned(16))) = {0};
    unsigned right = 0, count = 0;

    __asm__ volatile("addq (%1), %0" : "+r"(rax) : "r"(PLACE) : "cc", "memory");
    right += rax == ONES, count++;
    rax = 5;
    __asm__ volatile("xchgq (%1), %0" : "+r"(rax) : "r"(PLACE) : "memory");
    right += rax == ONES, count++;
    rax = 1;
    __asm__ volatile("lock xaddq %0, (%1)" : "+r"(rax) : "r"(PLACE) : "cc", "memory");
    right += rax == ONES, count++;
    rax = 7;
    __asm__ volatile("lock cmpxchgq %2, (%1)" : "+a"(rax) : "r"(PLACE), "r"(UINT64_C(0)) : "cc", "memory");
    right += rax == ONES, count++;
    __asm__ volatile("andq $0, (%0); incq (%0); notq (%0); btsq $3, (%0)" : : "r"(PLACE) : "cc", "memory");
    right += *hole(PLACE) == ONES, count++;
    __asm__ volatile("pushq (%1); popq %0" : "=r"(rax) : "r"(PLACE) : "memory");
    right += rax == ONES, count++;
    rsi = PLACE, rdi = (uint64_t)(uintptr_t)copy, rcx = sizeof copy;
    __asm__ volatile("rep movsb" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
    right += copy[0] == 0xFF && copy[63] == 0xFF && rcx == 0, count++;
    rdi = PLACE, rcx = 64;
    __asm__ volatile("rep stosq" : "+D"(rdi), "+c"(rcx) : "a"(0) : "memory");
    right += rcx == 0 && *hole(PLACE) == ONES, count++;
    rsi = PLACE, rdi = PLACE + 0x5000, rcx = 8;
    __asm__ volatile("rep movsq" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
    right += rcx == 0 && *hole(PLACE + 0x5000) == ONES, count++;
    __asm__ volatile("movups (%1), %%xmm0; movups %%xmm0, %0" : "=m"(copy) : "r"(PLACE) : "memory");
    right += copy[0] == 0xFF && copy[15] == 0xFF, count++;
    __asm__ volatile("xorps %%xmm0, %%xmm0; movups %%xmm0, (%0); fxsave (%0)" : : "r"(PLACE) : "memory");
    right += *hole(PLACE) == ONES, count++;
    saw(right == count, "%u of %u instructions found all ones and left nothing", right, count);
}

/* Eight bytes of which four are RAM and four are the hole, through two neighbouring pages of the window. */
static void straddle(void)
{
    static uint64_t page[PAGE_BYTES / 8] __attribute__((aligned(4096)));
    uint64_t cr3 = paging_open();
    uint64_t at = paging_map(0, (uint64_t)(uintptr_t)page | PTE_ALL) + PAGE_BYTES - 4;
    paging_map(1, FH_HOLE_START | PTE_ALL);
    volatile uint32_t *last = (volatile uint32_t *)&page[PAGE_BYTES / 8 - 1] + 1;
    *last = 0x12345678;
    uint64_t value = *(volatile uint64_t *)at;
    saw(value == (UINT64_C(0xFFFFFFFF) << 32 | 0x12345678), "half RAM, half hole reads as 0x%lx", value);
    *(volatile uint64_t *)at = UINT64_C(0x1111111122222222);
    value = *(volatile uint64_t *)at;
    saw(*last == 0x22222222 && value >> 32 == 0xFFFFFFFF, "half RAM, half hole after a write is 0x%lx",
        value);

    paging_map(0, (FH_HOLE_START + PAGE_BYTES) | PTE_ALL);
    paging_map(1, (uint64_t)(uintptr_t)page | PTE_ALL);
    page[0] = 0x55555555;
    value = *(volatile uint64_t *)at;
    saw(value == UINT64_C(0x55555555FFFFFFFF), "half hole, half RAM reads as 0x%lx", value);
    write_cr3(cr3);
}

/* Page tables that lie in the hole: their entries are all ones, which has reserved bits. */
static void do_read(void *address)
{
    (void)*(volatile uint64_t *)address;
}

static void tables(void)
{
    uint64_t cr3 = paging_open();
    for (unsigned level = 0; level < 3; level++) {
        uint64_t *table = paging_window_table(level);
        unsigned entry = level == 0 ? 1 : 0;
        uint64_t old = table[entry];
        __atomic_store_n(&table[entry], FH_HOLE_START | PTE_ALL, __ATOMIC_RELEASE);
        write_cr3(read_cr3());
        struct probe_result r = probe(do_read, (void *)PAGING_WINDOW);
        saw(r.vector == VECTOR_PF, "a table of level %u in the hole raised vector %d, error 0x%x", level,
            r.vector, r.error);
        __atomic_store_n(&table[entry], old, __ATOMIC_RELEASE);
    }
    write_cr3(cr3);
}

/* RSP in the hole: pushes vanish, pops give ones, and an exception's frame is lost. */
static void stack(void)
{
    uint64_t popped;
    __asm__ volatile("mov %%rsp, %%rbx; mov %1, %%rsp; pushq $0; popq %0; mov %%rbx, %%rsp"
                     : "=&r"(popped)
                     : "r"(PLACE)
                     : "rbx", "memory");
    saw(popped == ONES, "a word pushed into the hole comes back as 0x%lx", popped);
}

/*
 * The frame of the exception vanishes, and so does everything its handler pushes: it returns to ones, which
 * is the next exception. Each takes the stack further down, until it leaves the hole for nothing at all.
 */
static void exception_stack(void)
{
    __asm__ volatile("mov %0, %%rsp; ud2" : : "r"(FH_HOLE_START + UINT64_C(0x400)) : "memory");
}

static void execute(void)
{
    ((void (*)(void))PLACE)();
}

static void descriptor_tables(void)
{
    write_idtr((struct table_register){0xFFF, PLACE});
    __asm__ volatile("ud2");
}

static unsigned rounds_with_other_values;

static void spin_in_hole(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < SPIN_ROUNDS; i++) {
        uint64_t at = PLACE + (i % 7) * PAGE_BYTES;
        uint64_t value = *hole(at);
        /* While another vCPU writes zeros there, zeros and ones may mix; nothing else may show. */
        if (value != ONES && value != 0)
            __atomic_fetch_add(&rounds_with_other_values, 1, __ATOMIC_RELAXED);
        *hole(at) = 0;
    }
}

/* Every vCPU in the hole at once. */
static void together(void)
{
    unsigned running = vcpu_start_all();
    for (unsigned i = 1; i < running; i++)
        vcpu_run(i, spin_in_hole, NULL);
    spin_in_hole(NULL);
    for (unsigned i = 1; i < running; i++)
        vcpu_wait(i, 0);
    saw(rounds_with_other_values == 0, "%u vCPUs in the hole at once: %u reads of something else", running,
        rounds_with_other_values);
    saw(*hole(PLACE) == ONES, "afterwards it reads as 0x%lx", *hole(PLACE));
}

static const struct attack rows[] = {
    {"hole", "exit:0", "reads and writes absent hardware from end to end", sweep},
    {"hole-instructions", "exit:0", "touches absent hardware with every shape of instruction", instructions},
    {"hole-straddle", "exit:0", "touches words that are half RAM and half absent hardware", straddle},
    {"hole-tables", "exit:0", "puts page tables into absent hardware", tables},
    {"hole-stack", "exit:0", "pushes and pops in absent hardware", stack},
    {"hole-together", "exit:0", "lets every vCPU roam absent hardware at once", together},
    {"hole-exception", "fault:ept-violation", "takes exceptions on a stack in absent hardware",
     exception_stack},
    {"hole-execute", "fault:ept-violation", "jumps into absent hardware", execute},
    {"hole-idt", "fault:triple-fault", "puts its interrupt descriptor table into absent hardware",
     descriptor_tables},
};
const struct attack_table hole_attacks = ATTACK_TABLE(rows);
