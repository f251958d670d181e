/*
 * Group `paging`: page faults with their error codes and CR2, accessed and dirty bits, INVLPG and CR3 writes.
 * Intel SDM volume 3, "Paging" (order number 325462, June 2024).
 */
#include "guest/selftest/check.h"

#include "guest/lib/memory.h"

#define ERROR_PRESENT  0x1u
#define ERROR_WRITE    0x2u
#define ERROR_USER     0x4u
#define ERROR_RESERVED 0x8u
#define ERROR_FETCH    0x10u
#define PTE_RESERVED   (UINT64_C(1) << 51)
#define PHYSICAL_LEAF  0x80000008u

static uint64_t pages[2][PAGE_BYTES / 8] __attribute__((aligned(4096)));

static uint64_t frame(unsigned i)
{
    return (uint64_t)(uintptr_t)pages[i];
}

static void do_read(void *address)
{
    (void)*(volatile uint64_t *)address;
}

static void do_write(void *address)
{
    *(volatile uint64_t *)address = 1;
}

static void do_call(void *address)
{
    ((void (*)(void))(uintptr_t)address)();
}

static void do_user_jump(void *address)
{
    user_enter((uint64_t)(uintptr_t)address, 0x1000, RFLAGS_FIXED);
}

static void check_fault(const char *what, void (*function)(void *), uint64_t address, uint32_t error)
{
    struct probe_result r = check_raises(VECTOR_PF, what, function, (void *)address);
    check(r.error == error, "%s: #PF's error code 0x%x, should be 0x%x", what, r.error, error);
    check(r.cr2 == address, "%s: CR2 0x%lx, should be 0x%lx", what, r.cr2, address);
}

static void check_faults(void)
{
    uint64_t a = paging_map(0, 0);
    check_fault("read of no page", do_read, a, 0);
    check_fault("write to no page", do_write, a + 8, ERROR_WRITE);
    check_fault("fetch from no page", do_call, a, (rdmsr(MSR_EFER) & EFER_NXE) != 0 ? ERROR_FETCH : 0);
    paging_map(0, frame(0) | PTE_PRESENT | PTE_USER);
    write_cr0(read_cr0() | CR0_WP);
    check_raises(PROBE_NO_EXCEPTION, "read of a read-only page", do_read, (void *)a);
    check_fault("write to a read-only page", do_write, a, ERROR_PRESENT | ERROR_WRITE);
    write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
    check_raises(PROBE_NO_EXCEPTION, "write to a read-only page without CR0.WP", do_write, (void *)a);
    write_cr0(read_cr0() | CR0_WP);
    paging_map(0, frame(0) | PTE_PRESENT | PTE_WRITE);
    struct probe_result r = check_raises(VECTOR_PF, "CPL 3 in a supervisor page", do_user_jump, (void *)a);
    check_equal(r.error & (ERROR_PRESENT | ERROR_USER), ERROR_PRESENT | ERROR_USER, "#PF's error code");
    if ((cpuid(PHYSICAL_LEAF, 0).eax & 0xFF) < 52) {
        paging_map(0, frame(0) | PTE_ALL | PTE_RESERVED);
        check_fault("read through a reserved bit", do_read, a, ERROR_PRESENT | ERROR_RESERVED);
    }
}

static void check_no_execute(void)
{
    uint64_t efer = rdmsr(MSR_EFER);
    *(uint8_t *)pages[0] = 0xC3; /* RET */
    wrmsr(MSR_EFER, efer | EFER_NXE);
    uint64_t a = paging_map(0, frame(0) | PTE_ALL | PTE_NX);
    check_fault("fetch from a no-execute page", do_call, a, ERROR_PRESENT | ERROR_FETCH);
    paging_map(0, frame(0) | PTE_ALL);
    check_raises(PROBE_NO_EXCEPTION, "fetch from an executable page", do_call, (void *)a);
    wrmsr(MSR_EFER, efer & ~(uint64_t)EFER_NXE);
    paging_map(0, frame(0) | PTE_ALL | PTE_NX);
    check_fault("read through NX without EFER.NXE", do_read, a, ERROR_PRESENT | ERROR_RESERVED);
    wrmsr(MSR_EFER, efer);
}

static void check_accessed_dirty(void)
{
    volatile uint64_t *table = paging_window_table(3);
    uint64_t a = paging_map(1, frame(0) | PTE_PRESENT | PTE_WRITE);
    do_read((void *)a);
    check_equal(table[1] & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED, "accessed and dirty after a read");
    do_write((void *)a);
    check_equal(table[1] & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY,
                "accessed and dirty after a write");
}

/* After INVLPG, and after a write to CR3, the new mapping counts. */
static void check_flushes(void)
{
    pages[0][0] = 0x1111;
    pages[1][0] = 0x2222;
    volatile uint64_t *a = (volatile uint64_t *)paging_map(2, frame(0) | PTE_ALL);
    check_equal(*a, 0x1111, "first page through the window");
    paging_map(2, frame(1) | PTE_ALL);
    check_equal(*a, 0x2222, "second page after INVLPG");
    paging_window_table(3)[2] = frame(0) | PTE_ALL;
    write_cr3(read_cr3());
    check_equal(*a, 0x1111, "first page after a write to CR3");
}

void group_paging(void)
{
    uint64_t cr3 = paging_open();
    uint64_t cr0 = read_cr0();
    check_faults();
    check_no_execute();
    check_accessed_dirty();
    check_flushes();
    write_cr0(cr0);
    write_cr3(cr3);
}
