/*
 * Exceptions and interrupts of a guest: its IDT, and the means to run something that may raise an exception
 * and look at what came. An exception nobody asked for ends the guest with EXIT_UNEXPECTED.
 */
#ifndef FREEHOLD_GUEST_LIB_TRAP_H
#define FREEHOLD_GUEST_LIB_TRAP_H

#include "guest/lib/cpu.h"

/* As trap_common pushes it. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

#define PROBE_NO_EXCEPTION (-1)

/* What a probed function did. */
struct probe_result {
    int vector;     /* PROBE_NO_EXCEPTION, or the exception's */
    uint32_t error; /* its error code, 0 where it has none */
    uint64_t cr2;   /* for #PF */
    uint64_t rip;   /* pushed by the exception */
    uint64_t cs;    /* likewise: its RPL tells where it came from */
};

/*
 * Runs function(argument) on this vCPU. The first exception in it abandons it (nothing it locked is released,
 * general registers and RFLAGS are as before the call, all else stays as it is) and is described in the
 * result. Probes nest. Code at CPL 3 may leave through INT 0x80, which counts as an exception of that vector.
 */
struct probe_result probe(void (*function)(void *), void *argument);

/* As probe, with a number as argument and result: for one-line probes. */
typedef void (*probe_function)(void *);

#define VECTOR_USER_EXIT 0x80 /* the one gate CPL 3 may call */

/*
 * Called at an exception before any probe: true when it dealt with the frame (perhaps changed it), and the
 * guest goes on there. One per vector, all vCPUs; NULL for none.
 */
typedef bool (*trap_hook)(struct trap_frame *frame);
void trap_hook_set(unsigned vector, trap_hook hook);

/* Called for an interrupt (vector 32 and up), interrupts off; the EOI follows. NULL ignores the vector. */
typedef void (*interrupt_handler)(uint8_t vector);
void interrupt_set(uint8_t vector, interrupt_handler handler);

/* This vCPU's index, from its task register. */
unsigned vcpu_index(void);

/* Puts the IDT and this vCPU's TSS in place; for the library's start and for tests that replaced them. */
void trap_init(unsigned vcpu);

/* The ten bytes for LIDT of the IDT in use. */
struct table_register trap_idt(void);

/* This vCPU's 64-bit TSS. */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));
struct tss *trap_tss(void);

/* An IDT entry. */
struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
#define GATE_INTERRUPT      0x8E
#define GATE_INTERRUPT_USER 0xEE
struct gate *trap_gate(unsigned vector);

/* Goes to CPL 3 for good: only inside a probe, which the next exception ends. */
void user_enter(uint64_t rip, uint64_t rsp, uint64_t rflags) __attribute__((noreturn));

/* "#GP", "#PF", ..., "no exception", "vector 0xNN" as text of at most 16 bytes in a buffer of the caller. */
const char *vector_name(int vector, char text[16]);

#endif
