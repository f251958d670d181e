/*
 * Group `debug`: single-stepping stops behind instructions that leave the guest as behind any other,
 * breakpoints work, interrupt shadows hold. Intel SDM volume 3, "Debug, Branch Profile, TSC, and Intel
 * Resource Director Technology" (order number 325462, June 2024).
 */
#include "guest/selftest/check.h"

#include "guest/lib/smp.h"

#define DR6_INITIAL   UINT64_C(0xFFFF0FF0)
#define DR6_B0        UINT64_C(0x1)
#define DR6_BD        UINT64_C(0x2000)
#define DR6_BS        UINT64_C(0x4000)
#define DR7_FIXED     UINT64_C(0x400)
#define DR7_L0        UINT64_C(0x1)
#define DR7_GD        UINT64_C(0x2000)
#define DR7_WRITE_8   UINT64_C(0x90000) /* breakpoint 0: data writes, 8 bytes long */
#define VECTOR_SHADOW 0x50
#define STEPS_MOST    64

/* Where each #DB came from, in order. */
static struct {
    uint64_t rip[STEPS_MOST];
    uint64_t dr6[STEPS_MOST];
    unsigned count;
    uint64_t stop; /* stop stepping here */
} steps;

static bool note_step(struct trap_frame *frame)
{
    if (steps.count < STEPS_MOST) {
        steps.rip[steps.count] = frame->rip;
        steps.dr6[steps.count] = read_dr6();
        steps.count++;
    }
    write_dr6(DR6_INITIAL);
    if (frame->rip == steps.stop || steps.count == STEPS_MOST)
        frame->rflags &= ~RFLAGS_TF;
    return true;
}

/*
 * A piece of code to step through: sets TF, runs its instructions, ends at `NAME_end`. Between them stand
 * local labels whose addresses are in NAME_places, ended by 0: exactly there #DB is due.
 */
#define STEPPED(name, body, places)                                                              \
    void step_##name(void *);                                                                    \
    extern const uint64_t step_##name##_places[];                                                \
    extern const uint8_t step_##name##_end[];                                                    \
    __asm__(".text\nstep_" #name ":\n push %rbx\n pushfq\n orq $0x100, (%rsp)\n"                 \
            " xor %eax, %eax\n xor %ecx, %ecx\n xor %edx, %edx\n popfq\n" body "\nstep_" #name   \
            "_end: nop\n pop %rbx\n ret\n"                                                       \
            ".section .rodata\n .balign 8\nstep_" #name "_places: .quad " places ", step_" #name \
            "_end, 0\n.text\n")

STEPPED(plain, "nop\n70: nop\n71: nop\n", "70b, 71b");
STEPPED(cpuid, "cpuid\n72: nop\n", "72b");
STEPPED(vmcall, "vmcall\n73: nop\n", "73b");
STEPPED(in, "in $0x80, %al\n74: nop\n", "74b");
STEPPED(rdmsr, "mov $0x802, %ecx\n75: rdmsr\n76: nop\n", "75b, 76b");
STEPPED(cr0, "mov %cr0, %rax\n77: mov %rax, %cr0\n78: nop\n", "77b, 78b");
STEPPED(uart, "mov $0x3FD, %edx\n79: in %dx, %al\n80: nop\n", "79b, 80b");

static void check_steps(const char *what, void (*code)(void *), const uint64_t *places, const uint8_t *end)
{
    steps.count = 0;
    steps.stop = (uint64_t)(uintptr_t)end;
    trap_hook_set(VECTOR_DB, note_step);
    check_raises(PROBE_NO_EXCEPTION, what, code, NULL);
    trap_hook_set(VECTOR_DB, NULL);
    unsigned due = 0;
    for (; places[due] != 0; due++) {
        bool there = due < steps.count;
        check(there && steps.rip[due] == places[due], "stepping over %s: #DB %u at 0x%lx, should be at 0x%lx",
              what, due, there ? steps.rip[due] : 0, places[due]);
        check(!there || (steps.dr6[due] & DR6_BS) != 0, "stepping over %s: DR6 is 0x%lx", what,
              steps.dr6[due]);
    }
    check(steps.count == due, "stepping over %s: %u times #DB, should be %u", what, steps.count, due);
}

static void check_single_step(void)
{
    check_steps("NOP", step_plain, step_plain_places, step_plain_end);
    check_steps("CPUID", step_cpuid, step_cpuid_places, step_cpuid_end);
    check_steps("VMCALL", step_vmcall, step_vmcall_places, step_vmcall_end);
    check_steps("IN", step_in, step_in_places, step_in_end);
    check_steps("IN from the UART", step_uart, step_uart_places, step_uart_end);
    check_steps("RDMSR", step_rdmsr, step_rdmsr_places, step_rdmsr_end);
    check_steps("MOV to CR0", step_cr0, step_cr0_places, step_cr0_end);
}

static volatile uint64_t watched;

static void do_write_watched(void *unused)
{
    (void)unused;
    watched = 1;
}

static void do_read_debug(void *unused)
{
    (void)unused;
    (void)read_dr0();
}

static void do_nothing(void *unused)
{
    (void)unused;
}

/* Emulators may be built without breakpoints: then the registers are only registers. */
static bool breakpoints_fire(void)
{
    write_dr0((uint64_t)(uintptr_t)do_nothing);
    write_dr7(DR7_FIXED | DR7_L0);
    bool fired = probe(do_nothing, NULL).vector == VECTOR_DB;
    write_dr7(DR7_FIXED);
    write_dr0(0);
    write_dr6(DR6_INITIAL);
    return fired;
}

static void check_breakpoints(void)
{
    write_dr6(DR6_INITIAL);
    write_dr0((uint64_t)(uintptr_t)&watched);
    write_dr7(DR7_FIXED | DR7_L0 | DR7_WRITE_8);
    (void)hypercall(FH_CALL_NOP, 0, 0, 0); /* debug registers survive exits */
    check_equal(read_dr0(), (uint64_t)(uintptr_t)&watched, "DR0 after an exit");
    check_equal(read_dr7(), DR7_FIXED | DR7_L0 | DR7_WRITE_8, "DR7 after an exit");
    bool fires = breakpoints_fire();
    if (fires) {
        write_dr0((uint64_t)(uintptr_t)&watched);
        write_dr7(DR7_FIXED | DR7_L0 | DR7_WRITE_8);
        check_raises(VECTOR_DB, "a write to a watched word", do_write_watched, NULL);
        check((read_dr6() & 0xF) == DR6_B0, "DR6 is 0x%lx after a watched write", read_dr6());
    } else {
        print("selftest debug: no breakpoint fires on this processor, bare or not: left out\n");
    }
    write_dr0(0);
    write_dr6(DR6_INITIAL);
    write_dr7(DR7_FIXED | DR7_GD);
    check_raises(VECTOR_DB, "a debug register with DR7.GD", do_read_debug, NULL);
    check((read_dr6() & DR6_BD) != 0, "DR6 is 0x%lx after general detect", read_dr6());
    write_dr7(DR7_FIXED);
    write_dr6(DR6_INITIAL);
}

static volatile unsigned interrupts_seen;
static void count_interrupt(uint8_t vector)
{
    (void)vector;
    interrupts_seen++;
}

/* The instruction behind STI runs before a pending interrupt comes. */
static void check_sti_shadow(void)
{
    interrupt_set(VECTOR_SHADOW, count_interrupt);
    interrupts_seen = 0;
    interrupts_off();
    ipi_send(vcpu_index(), ICR_FIXED | ICR_ASSERT | VECTOR_SHADOW);
    check_equal(interrupts_seen, 0, "interrupts while they are off");
    unsigned in_shadow, behind;
    __asm__ volatile("sti; mov %2, %0; nop; mov %2, %1; cli"
                     : "=&r"(in_shadow), "=&r"(behind)
                     : "m"(interrupts_seen)
                     : "memory");
    check_equal(in_shadow, 0, "interrupts in the shadow of STI");
    check_equal(behind, 1, "interrupts behind the shadow of STI");

    interrupts_seen = 0;
    ipi_send(vcpu_index(), ICR_FIXED | ICR_ASSERT | VECTOR_SHADOW);
    __asm__ volatile("sti; cli" : : : "memory"); /* no room between them */
    check_equal(interrupts_seen, 0, "interrupts between STI and CLI");
    __asm__ volatile("sti; cpuid; cli"
                     :
                     : "a"(0), "c"(0)
                     : "rbx", "rdx", "memory"); /* CPUID's exit ends the shadow */
    interrupts_on();
    cpu_pause();
    interrupts_off();
    check_equal(interrupts_seen, 1, "interrupts after all");
    interrupt_set(VECTOR_SHADOW, NULL);
}

void group_debug(void)
{
    check_single_step();
    check_breakpoints();
    check_sti_shadow();
}
