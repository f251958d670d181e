/*
 * Group `exception`: each vector raises as it should, with its error code. Intel SDM volume 3, "Interrupt and
 * Exception Handling" (order number 325462, June 2024).
 */
#include "guest/selftest/check.h"

#include "guest/lib/memory.h"

#define BAD_SELECTOR   0x7FF8 /* beyond the GDT */
#define ERROR_IDT      0x2    /* the error code's index is an IDT entry */
#define NOT_CANONICAL  UINT64_C(0x0000800000000000)
#define MXCSR_UNMASKED 0x1F80u & ~0x200u /* divide by zero raises */
#define FCW_UNMASKED   0x37Bu            /* likewise in the x87 */

static void do_divide(void *unused)
{
    (void)unused;
    __asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0) : "cc");
}

static void do_breakpoint(void *unused)
{
    (void)unused;
    __asm__ volatile("int3");
}

static void do_undefined(void *unused)
{
    (void)unused;
    __asm__ volatile("ud2");
}

static void do_bad_selector(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %0, %%ds" : : "r"(BAD_SELECTOR) : "memory");
}

static void do_not_canonical(void *unused)
{
    (void)unused;
    __asm__ volatile("movb $0, (%0)" : : "r"(NOT_CANONICAL) : "memory");
}

static void do_stack_not_canonical(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %%rbp, %%rax; mov %0, %%rbp; movb $0, (%%rbp)"
                     :
                     : "r"(NOT_CANONICAL)
                     : "rax", "memory");
}

static void do_sse(void *unused)
{
    (void)unused;
    __asm__ volatile("xorps %%xmm0, %%xmm0" : : : "memory");
}

static void do_sse_divide(void *unused)
{
    (void)unused;
    static const float zero = 0;
    static const uint32_t unmasked = MXCSR_UNMASKED, normal = 0x1F80;
    __asm__ volatile("ldmxcsr %1; movss %0, %%xmm0; movss %2, %%xmm1; divss %%xmm0, %%xmm1; ldmxcsr %2"
                     :
                     : "m"(zero), "m"(unmasked), "m"(normal)
                     : "memory");
}

static void do_x87_divide(void *unused)
{
    (void)unused;
    static const uint16_t unmasked = FCW_UNMASKED;
    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp %%st, %%st(1); fwait"
                     :
                     : "m"(unmasked)
                     : "memory");
}

static void do_software_interrupt(void *unused)
{
    (void)unused;
    __asm__ volatile("int $0x70");
}

static void do_missing_page(void *unused)
{
    (void)unused;
    __asm__ volatile("movb $0, (%0)" : : "r"(PAGING_WINDOW) : "memory");
}

static void check_plain(void)
{
    check_raises(VECTOR_DE, "division by zero", do_divide, NULL);
    struct probe_result r = check_raises(VECTOR_BP, "INT3", do_breakpoint, NULL);
    check(*(const uint8_t *)(r.rip - 1) == 0xCC, "#BP does not point behind INT3");
    r = check_raises(VECTOR_UD, "UD2", do_undefined, NULL);
    check(*(const uint8_t *)r.rip == 0x0F, "#UD does not point at UD2");
}

static void check_protection(void)
{
    struct probe_result r = check_raises(VECTOR_GP, "a selector beyond the GDT", do_bad_selector, NULL);
    check_equal(r.error, BAD_SELECTOR, "#GP's error code");
    r = check_raises(VECTOR_GP, "a non-canonical address", do_not_canonical, NULL);
    check_equal(r.error, 0, "#GP's error code");
    r = check_raises(VECTOR_SS, "a non-canonical stack address", do_stack_not_canonical, NULL);
    check_equal(r.error, 0, "#SS's error code");

    struct gate *gate = trap_gate(0x70);
    struct gate old = *gate;
    gate->type &= 0x7F; /* not present */
    r = check_raises(VECTOR_NP, "INT to a gate that is not present", do_software_interrupt, NULL);
    check_equal(r.error, 0x70 * 8 | ERROR_IDT, "#NP's error code");
    gate->type = 0; /* no gate at all */
    r = check_raises(VECTOR_GP, "INT to no gate", do_software_interrupt, NULL);
    check_equal(r.error, 0x70 * 8 | ERROR_IDT, "#GP's error code");
    *gate = old;
}

static void check_floating_point(void)
{
    write_cr0(read_cr0() | CR0_TS);
    check_raises(VECTOR_NM, "SSE with CR0.TS", do_sse, NULL);
    write_cr0(read_cr0() & ~(uint64_t)CR0_TS);
    check_raises(VECTOR_XM, "SSE division by zero, unmasked", do_sse_divide, NULL);
    uint32_t mxcsr = 0x1F80;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    write_cr0(read_cr0() | CR0_NE);
    check_raises(VECTOR_MF, "x87 division by zero, unmasked", do_x87_divide, NULL);
    __asm__ volatile("fninit");
    write_cr0(read_cr0() | CR0_EM);
    check_raises(VECTOR_UD, "SSE with CR0.EM", do_sse, NULL);
    write_cr0(read_cr0() & ~(uint64_t)CR0_EM);
}

/* A fault while a fault is delivered: #PF whose gate is gone makes #DF. */
static void check_double_fault(void)
{
    struct gate *gate = trap_gate(VECTOR_PF);
    struct gate old = *gate;
    uint64_t cr3 = paging_open();
    gate->type = 0;
    struct probe_result r = check_raises(VECTOR_DF, "#PF without a gate", do_missing_page, NULL);
    *gate = old;
    check_equal(r.error, 0, "#DF's error code");
    check_equal(read_cr2(), PAGING_WINDOW, "CR2 after #DF");
    write_cr3(cr3);
}

static uint8_t user_stack[1024] __attribute__((aligned(16)));

/* Runs code at CPL 3 until it raises something. */
static void do_user(void *code)
{
    user_enter((uint64_t)(uintptr_t)code, (uint64_t)(uintptr_t)(user_stack + sizeof user_stack),
               RFLAGS_FIXED | RFLAGS_AC);
}

extern uint8_t user_vmcall[], user_hlt[], user_cli[], user_in[], user_cr0[], user_rdmsr[], user_misaligned[],
    user_exit[], user_cpuid[], user_xsetbv[];
__asm__(".section .text.user, \"ax\"\n"
        "user_vmcall: vmcall; int $0x80\n"
        "user_hlt: hlt; int $0x80\n"
        "user_cli: cli; int $0x80\n"
        "user_in: in $0x80, %al; int $0x80\n"
        "user_cr0: mov %cr0, %rax; int $0x80\n"
        "user_rdmsr: rdmsr; int $0x80\n"
        "user_misaligned: mov -7(%rsp), %eax; int $0x80\n"
        "user_cpuid: xor %eax, %eax; cpuid; int $0x80\n"
        "user_xsetbv: xor %ecx, %ecx; xor %edx, %edx; mov $1, %eax; xsetbv; int $0x80\n"
        "user_exit: int $0x80\n"
        ".text\n");

static void check_user_mode(void)
{
    uint64_t cr3 = paging_open();
    uint64_t cr0 = read_cr0();
    struct probe_result r = check_raises(VECTOR_USER_EXIT, "CPL 3", do_user, user_exit);
    check_equal(r.cs, SELECTOR_USER_CODE, "CS of code at CPL 3");
    check_raises(VECTOR_UD, "VMCALL at CPL 3", do_user, user_vmcall);
    check_raises(VECTOR_GP, "HLT at CPL 3", do_user, user_hlt);
    check_raises(VECTOR_GP, "CLI at CPL 3", do_user, user_cli);
    check_raises(VECTOR_GP, "IN at CPL 3", do_user, user_in);
    check_raises(VECTOR_GP, "MOV from CR0 at CPL 3", do_user, user_cr0);
    check_raises(VECTOR_GP, "RDMSR at CPL 3", do_user, user_rdmsr);
    check_raises(VECTOR_USER_EXIT, "CPUID at CPL 3", do_user, user_cpuid);
    check_raises((read_cr4() & CR4_OSXSAVE) != 0 ? VECTOR_GP : VECTOR_UD, "XSETBV at CPL 3", do_user,
                 user_xsetbv);
    write_cr0(cr0 | CR0_AM);
    r = check_raises(VECTOR_AC, "a misaligned read at CPL 3 with CR0.AM and EFLAGS.AC", do_user,
                     user_misaligned);
    check_equal(r.error, 0, "#AC's error code");
    write_cr0(cr0 & ~(uint64_t)CR0_AM);
    check_raises(VECTOR_USER_EXIT, "a misaligned read at CPL 3 without CR0.AM", do_user, user_misaligned);
    write_cr0(cr0);
    write_cr3(cr3);
}

void group_exception(void)
{
    check_plain();
    check_protection();
    check_floating_point();
    check_double_fault();
    check_user_mode();
}
