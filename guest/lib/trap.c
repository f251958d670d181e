/*
 * IDT, TSSs, dispatch of exceptions and interrupts. All vCPUs share one IDT and one GDT; each has its own
 * TSS, whose selector tells vcpu_index() who it is without leaving the guest.
 */
#include "guest/lib/trap.h"

#include "guest/abi.h"
#include "guest/lib/call.h"
#include "guest/lib/layout.h"
#include "guest/lib/print.h"

#define STUB_BYTES 8
#define IST_DF     1
#define IST_NMI    2 /* and #MC */

#define DESCRIPTOR_CODE64      UINT64_C(0x00AF9B000000FFFF)
#define DESCRIPTOR_CODE32      UINT64_C(0x00CF9B000000FFFF)
#define DESCRIPTOR_DATA        UINT64_C(0x00CF93000000FFFF)
#define DESCRIPTOR_USER_CODE64 UINT64_C(0x00AFFB000000FFFF)
#define DESCRIPTOR_USER_DATA   UINT64_C(0x00CFF3000000FFFF)
#define DESCRIPTOR_TSS         UINT64_C(0x0000890000000000)

struct probe {
    uint64_t rsp;
    struct probe *outer;
    struct probe_result result;
};
_Static_assert(offsetof(struct probe, rsp) == PROBE_RSP, "layout.h");

extern const uint8_t trap_stubs[], probe_resume[];
extern uint8_t stacks[GUEST_MAX_VCPUS][STACK_BYTES];
void probe_enter(struct probe *probe, void (*function)(void *), void *argument);
void trap_dispatch(struct trap_frame *frame);

static uint64_t gdt[SELECTOR_TSS_FIRST / 8 + 2 * GUEST_MAX_VCPUS] = {
    [SELECTOR_CODE / 8] = DESCRIPTOR_CODE64,         [SELECTOR_DATA / 8] = DESCRIPTOR_DATA,
    [SELECTOR_USER_DATA / 8] = DESCRIPTOR_USER_DATA, [SELECTOR_USER_CODE / 8] = DESCRIPTOR_USER_CODE64,
    [SELECTOR_CODE32 / 8] = DESCRIPTOR_CODE32,
};
extern const struct table_register gdt_register;
const struct table_register gdt_register = {sizeof gdt - 1, (uint64_t)(uintptr_t)gdt};

static struct gate idt[256];
static struct tss tss[GUEST_MAX_VCPUS];
static uint8_t fault_stacks[GUEST_MAX_VCPUS][2][FAULT_STACK_BYTES] __attribute__((aligned(16)));
static struct probe *probes[GUEST_MAX_VCPUS]; /* innermost of each vCPU */
static trap_hook hooks[VECTOR_EXCEPTIONS];
static interrupt_handler handlers[256];

unsigned vcpu_index(void)
{
    return (read_tr() - SELECTOR_TSS_FIRST) / 16u;
}

struct tss *trap_tss(void)
{
    return &tss[vcpu_index()];
}

struct gate *trap_gate(unsigned vector)
{
    return &idt[vector];
}

struct table_register trap_idt(void)
{
    return (struct table_register){sizeof idt - 1, (uint64_t)(uintptr_t)idt};
}

void trap_hook_set(unsigned vector, trap_hook hook)
{
    hooks[vector] = hook;
}

void interrupt_set(uint8_t vector, interrupt_handler handler)
{
    handlers[vector] = handler;
}

static void gate_set(unsigned vector, uint8_t ist, uint8_t type)
{
    uint64_t stub = (uint64_t)(uintptr_t)trap_stubs + (uint64_t)vector * STUB_BYTES;
    idt[vector] = (struct gate){
        .offset_low = (uint16_t)stub,
        .selector = SELECTOR_CODE,
        .ist = ist,
        .type = type,
        .offset_middle = (uint16_t)(stub >> 16),
        .offset_high = (uint32_t)(stub >> 32),
    };
}

static void idt_fill(void)
{
    for (unsigned vector = 0; vector < 256; vector++)
        gate_set(vector, 0, GATE_INTERRUPT);
    gate_set(VECTOR_DF, IST_DF, GATE_INTERRUPT);
    gate_set(VECTOR_NMI, IST_NMI, GATE_INTERRUPT);
    gate_set(VECTOR_MC, IST_NMI, GATE_INTERRUPT);
    gate_set(VECTOR_USER_EXIT, 0, GATE_INTERRUPT_USER);
}

void trap_init(unsigned vcpu)
{
    if (vcpu == 0)
        idt_fill();
    tss[vcpu] = (struct tss){.io_map_base = sizeof(struct tss)};
    tss[vcpu].rsp[0] = (uint64_t)(uintptr_t)stacks[vcpu] + STACK_BYTES / 2; /* entries from CPL 3 */
    tss[vcpu].ist[IST_DF - 1] = (uint64_t)(uintptr_t)(fault_stacks[vcpu][0] + FAULT_STACK_BYTES);
    tss[vcpu].ist[IST_NMI - 1] = (uint64_t)(uintptr_t)(fault_stacks[vcpu][1] + FAULT_STACK_BYTES);

    uint64_t base = (uint64_t)(uintptr_t)&tss[vcpu];
    uint64_t *descriptor = &gdt[SELECTOR_TSS_FIRST / 8 + 2 * vcpu];
    descriptor[0] =
        DESCRIPTOR_TSS | (sizeof(struct tss) - 1) | (base & 0xFFFFFF) << 16 | (base >> 24 & 0xFF) << 56;
    descriptor[1] = base >> 32;
    __asm__ volatile("ltr %0" : : "r"((uint16_t)(SELECTOR_TSS_FIRST + 16 * vcpu)) : "memory");
    write_idtr(trap_idt());
}

struct probe_result probe(void (*function)(void *), void *argument)
{
    unsigned vcpu = vcpu_index();
    struct probe here = {.outer = probes[vcpu], .result = {.vector = PROBE_NO_EXCEPTION}};
    probes[vcpu] = &here;
    probe_enter(&here, function, argument);
    probes[vcpu] = here.outer;
    return here.result;
}

/* Sends the vCPU back to the end of its innermost probe. */
static void probe_end(struct probe *here, struct trap_frame *frame)
{
    here->result = (struct probe_result){
        .vector = (int)frame->vector,
        .error = (uint32_t)frame->error,
        .cr2 = frame->vector == VECTOR_PF ? read_cr2() : 0,
        .rip = frame->rip,
        .cs = frame->cs,
    };
    frame->rip = (uint64_t)(uintptr_t)probe_resume;
    frame->cs = SELECTOR_CODE;
    frame->ss = SELECTOR_DATA;
    frame->rsp = here->rsp;
    frame->rflags = RFLAGS_FIXED; /* the probe's own RFLAGS are popped at probe_resume */
}

static void unexpected(const struct trap_frame *f) __attribute__((noreturn));
static void unexpected(const struct trap_frame *f)
{
    char name[16];
    print("vCPU %u: unexpected %s, error 0x%lx, rip 0x%lx, cr2 0x%lx, rsp 0x%lx, rflags 0x%lx\n",
          vcpu_index(), vector_name((int)f->vector, name), f->error, f->rip, read_cr2(), f->rsp, f->rflags);
    print("  rax 0x%lx rbx 0x%lx rcx 0x%lx rdx 0x%lx rsi 0x%lx rdi 0x%lx\n", f->rax, f->rbx, f->rcx, f->rdx,
          f->rsi, f->rdi);
    guest_exit(EXIT_UNEXPECTED);
}

void trap_dispatch(struct trap_frame *frame)
{
    unsigned vector = (unsigned)frame->vector;
    struct probe *here = probes[vcpu_index()];
    bool exception = vector < VECTOR_EXCEPTIONS;
    if (exception && hooks[vector] && hooks[vector](frame))
        return;
    if (here && (exception || vector == VECTOR_USER_EXIT)) {
        probe_end(here, frame);
        return;
    }
    if (exception)
        unexpected(frame);
    if (handlers[vector])
        handlers[vector]((uint8_t)vector);
    wrmsr(MSR_X2APIC_EOI, 0);
}

const char *vector_name(int vector, char text[16])
{
    static const char *const names[VECTOR_EXCEPTIONS] = {
        [VECTOR_DE] = "#DE", [VECTOR_DB] = "#DB", [VECTOR_NMI] = "NMI", [VECTOR_BP] = "#BP",
        [VECTOR_OF] = "#OF", [VECTOR_BR] = "#BR", [VECTOR_UD] = "#UD",  [VECTOR_NM] = "#NM",
        [VECTOR_DF] = "#DF", [VECTOR_TS] = "#TS", [VECTOR_NP] = "#NP",  [VECTOR_SS] = "#SS",
        [VECTOR_GP] = "#GP", [VECTOR_PF] = "#PF", [VECTOR_MF] = "#MF",  [VECTOR_AC] = "#AC",
        [VECTOR_MC] = "#MC", [VECTOR_XM] = "#XM",
    };
    if (vector == PROBE_NO_EXCEPTION)
        return "no exception";
    if (vector >= 0 && vector < VECTOR_EXCEPTIONS && names[vector])
        return names[vector];
    format(text, 16, "vector 0x%x", (unsigned)vector);
    return text;
}
