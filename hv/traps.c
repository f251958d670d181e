/* Exceptions and interrupts of the hypervisor itself; panic. */
#include "hv/traps.h"

#include "hv/apic.h"
#include "hv/console.h"
#include "hv/core.h"
#include "hv/exit_decode.h"
#include "hv/fmt.h"
#include "hv/x86.h"

struct idt_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t attributes;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

#define GATE_INTERRUPT 0x8e   /* present, ring 0, 64-bit interrupt gate: interrupts stay off */
#define STOP_ROUNDS    100000 /* of waiting for the others to stand still */
#define STUB_BYTES     16     /* hv/entry.S aligns every stub to this */

extern const char trap_stubs[];

static uint32_t panicking; /* set once, by the core whose panic it is */
static struct idt_gate idt[256] __attribute__((aligned(16)));

static void set_gate(uint32_t vector, uint8_t ist)
{
    uint64_t address = (uintptr_t)trap_stubs + (uint64_t)vector * STUB_BYTES;
    idt[vector] = (struct idt_gate){
        .offset_low = (uint16_t)address,
        .selector = SELECTOR_CODE,
        .ist = ist,
        .attributes = GATE_INTERRUPT,
        .offset_middle = (uint16_t)(address >> 16),
        .offset_high = (uint32_t)(address >> 32),
    };
}

void traps_init(void)
{
    for (uint32_t vector = 0; vector < ARRAY_SIZE(idt); vector++)
        set_gate(vector, 0);
    set_gate(VECTOR_DF, IST_DOUBLE_FAULT + 1);
    set_gate(VECTOR_NMI, IST_NMI + 1);
    set_gate(VECTOR_MC, IST_MACHINE_CHECK + 1);
}

void traps_load(void)
{
    struct cpu_table_pointer idtr = {sizeof(idt) - 1, (uintptr_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

uint64_t traps_idt_base(void)
{
    return (uintptr_t)idt;
}

void traps_interrupt(uint32_t vector)
{
    if (vector == VECTOR_SPURIOUS)
        return; /* spurious interrupts have no end-of-interrupt */
    if (vector != VECTOR_KICK && vector != VECTOR_TIMER)
        this_core()->stray_interrupts++;
    apic_eoi();
}

void trap_dispatch(struct trap_frame *frame)
{
    if (frame->vector == VECTOR_NMI) {
        /* A button, a watchdog, a platform error: counted and shown by `status`. Our own come with a panic.
         */
        this_core()->nmi_count++;
        if (__atomic_load_n(&panicking, __ATOMIC_ACQUIRE) != 0)
            cpu_halt(); /* another core panicked and stops everybody */
        return;
    }
    if (frame->vector >= VECTOR_EXCEPTION_LIMIT) {
        traps_interrupt((uint32_t)frame->vector);
        return;
    }
    panic("%s in the hypervisor: error %llx rip %llx rsp %llx cr2 %llx rax %llx rbx %llx rcx %llx rdx %llx",
          exception_name((uint32_t)frame->vector), (unsigned long long)frame->error,
          (unsigned long long)frame->rip, (unsigned long long)frame->rsp, (unsigned long long)cpu_read_cr2(),
          (unsigned long long)frame->gpr[RAX], (unsigned long long)frame->gpr[RBX],
          (unsigned long long)frame->gpr[RCX], (unsigned long long)frame->gpr[RDX]);
}

/* An NMI stops a core wherever it is, in a guest too. */
static void stop_others(void)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(cores); i++)
        if (cores[i] != NULL && cores[i] != this_core() && cores[i]->online != 0)
            apic_send_nmi(cores[i]->apic_id);
    for (uint32_t i = 0; i < STOP_ROUNDS; i++)
        cpu_pause();
}

_Noreturn void panic(const char *format, ...)
{
    char text[400];
    va_list args;
    if (__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL) != 0)
        cpu_halt(); /* another core is already telling, or this one failed while it told */
    stop_others();
    va_start(args, format);
    fmt_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    console_panic(text);
    cpu_halt();
}

_Noreturn void check_failed(const char *file, int line, const char *expression)
{
    panic("CHECK failed at %s:%d: %s", file, line, expression);
}
