/* Attacks by never doing anything useful again: loops nobody can interrupt, halts nobody can end, shutdowns.
 */
#include "guest/attacker/attack.h"

#include "guest/lib/layout.h"

#define DR7_FIXED   UINT64_C(0x400)
#define DR7_L0      UINT64_C(0x1)
#define DR7_WRITE_8 UINT64_C(0x90000) /* breakpoint 0: data writes, 8 bytes long */
#define IST_LOOP    3

void legacy_enter(uint32_t entry) __attribute__((noreturn));
extern const uint8_t legacy_alignment_loop[], legacy_task_switch[], legacy_real_mode[];

static void cli_spin(void)
{
    __asm__ volatile("cli; 1: jmp 1b");
}

static void spin(void)
{
    __asm__ volatile("sti; 1: jmp 1b");
}

static void spin_forever(void *unused)
{
    (void)unused;
    cli_spin();
}

static void cli_spin_all(void)
{
    unsigned running = vcpu_start_all();
    for (unsigned i = 1; i < running; i++)
        vcpu_run(i, spin_forever, NULL);
    cli_spin();
}

static void exit_spin(void)
{
    for (;;)
        (void)cpuid(0, 0);
}

static void hlt_cli(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* Everyone waits for everyone. */
static void hlt_all(void)
{
    (void)vcpu_start_all();
    for (;;)
        __asm__ volatile("sti; hlt");
}

static void triple_fault(void)
{
    write_idtr((struct table_register){0, 0});
    __asm__ volatile("ud2");
}

/* A stack pointer that is not canonical: neither #GP nor #DF can be delivered. */
static void stack_fault(void)
{
    trap_gate(VECTOR_DF)->ist = 0;
    __asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(UINT64_C(0x0000800000000000)) : "memory");
}

static void alignment_loop(void)
{
    legacy_enter((uint32_t)(uintptr_t)legacy_alignment_loop);
}

static void task_switch(void)
{
    legacy_enter((uint32_t)(uintptr_t)legacy_task_switch);
}

static void real_mode(void)
{
    legacy_enter((uint32_t)(uintptr_t)legacy_real_mode);
}

/*
 * #DB whose delivery raises #DB: a breakpoint watches the stack its frame is pushed on. Without a
 * hypervisor's help some processors never leave the loop (CVE-2015-8104). Where breakpoints do not fire, it
 * is a plain endless loop.
 */
static void debug_loop(void)
{
    static uint64_t stack[64] __attribute__((aligned(16)));
    struct gate *gate = trap_gate(VECTOR_DB);
    uint64_t handler;
    __asm__ volatile("lea 1f(%%rip), %0; jmp 2f; 1: jmp 1b; 2:" : "=r"(handler));
    trap_tss()->ist[IST_LOOP - 1] = (uint64_t)(uintptr_t)&stack[64];
    gate->offset_low = (uint16_t)handler;
    gate->offset_middle = (uint16_t)(handler >> 16);
    gate->offset_high = (uint32_t)(handler >> 32);
    gate->ist = IST_LOOP;
    interrupts_off();
    write_dr0((uint64_t)(uintptr_t)&stack[63]); /* SS goes here */
    write_dr7(DR7_FIXED | DR7_L0 | DR7_WRITE_8);
    __atomic_store_n(&stack[63], 1, __ATOMIC_SEQ_CST);
    cli_spin();
}

/* A handler that returns to the instruction that faults: an exception without end. */
static bool fault_again(struct trap_frame *frame)
{
    (void)frame;
    return true;
}

static void fault_loop(void)
{
    trap_hook_set(VECTOR_UD, fault_again);
    __asm__ volatile("ud2");
}

/* An NMI handler that never ends, sent NMIs. */
static bool nmi_again(struct trap_frame *frame)
{
    while (frame->vector == VECTOR_NMI)
        ipi_send(0, ICR_NMI | ICR_ASSERT);
    return true;
}

static void nmi_loop(void)
{
    trap_hook_set(VECTOR_NMI, nmi_again);
    ipi_send(0, ICR_NMI | ICR_ASSERT);
    cli_spin();
}

static const struct attack rows[] = {
    {"cli-spin", "fault:time-limit", "spins with interrupts off (needs a time_limit)", cli_spin},
    {"cli-spin-all", "fault:time-limit", "spins with interrupts off on all vCPUs (needs a time_limit)",
     cli_spin_all},
    {"spin", "fault:time-limit", "spins with interrupts on (needs a time_limit)", spin},
    {"exit-spin", "fault:time-limit", "does nothing but exit (needs a time_limit)", exit_spin},
    {"fault-spin", "fault:time-limit", "raises the same exception for ever (needs a time_limit)", fault_loop},
    {"ac-loop", "fault:time-limit", "raises #AC while #AC is delivered (needs a time_limit)", alignment_loop},
    {"db-loop", "fault:time-limit", "raises #DB while #DB is delivered (needs a time_limit)", debug_loop},
    {"nmi-loop", "fault:time-limit", "sends itself NMIs from its NMI handler (needs a time_limit)", nmi_loop},
    {"hlt-cli", "fault:halted", "halts with interrupts off", hlt_cli},
    {"hlt-all", "fault:halted", "halts every vCPU with nobody left to wake them", hlt_all},
    {"real-mode", "fault:halted", "goes down to real mode, exits in many ways, and halts there", real_mode},
    {"triple-fault", "fault:triple-fault", "raises an exception without an IDT", triple_fault},
    {"stack-fault", "fault:triple-fault", "takes an exception on a stack that is no address", stack_fault},
    {"task-switch", "fault:unhandled-exit", "switches tasks by hardware, in 32-bit mode", task_switch},
};
const struct attack_table stuck_attacks = ATTACK_TABLE(rows);
