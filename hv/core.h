/*
 * One logical processor: its tables, stacks and what it runs. Reached through GS, which the hypervisor never
 * changes while it runs and every VM exit restores.
 */
#ifndef FREEHOLD_HV_CORE_H
#define FREEHOLD_HV_CORE_H

#include "hv/cpu.h"
#include "hv/handoff.h"
#include "hv/ring.h"

struct vcpu;

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

#define CORE_RING_BYTES (16 * KIB)

struct __attribute__((packed)) task_state {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
};

struct core {
    struct core *self; /* first: %gs:0 */
    uint32_t index;    /* in machine.cores */
    uint32_t apic_id;
    void *stack_top;
    uint64_t gdt[5];
    struct task_state tss;
    struct vcpu *vcpu;         /* the vCPU this core runs, for good; NULL for none */
    uint32_t online;           /* set once by the core itself */
    uint32_t nmi_count;        /* NMIs taken, in the hypervisor or out of a guest */
    uint32_t stray_interrupts; /* vectors nobody asked for */
    uint64_t heartbeat;        /* counts slices and wake-ups; the watchdog watches it move */
    void *vmxon;               /* the frame given to VMXON */
    uint64_t footprint_bytes;  /* of the hypervisor's memory that it took, tables for its stacks included */
    struct ring ring;          /* records for the control loop; this core is the one producer */
};

static inline struct core *this_core(void)
{
    return cpu_gs_first();
}

/* All cores by index; NULL where not set up. */
extern struct core *cores[MACHINE_MAX_CORES];

/* Takes memory for a core and fills its tables. On the boot core. */
struct core *core_create(uint32_t index, uint32_t apic_id);

/* Loads GDT, TSS, IDT, GS, control registers and PAT of `core` on the processor that executes this. */
void core_load(struct core *core);

/* First C code of an application core, on its own stack (hv/entry.S). */
_Noreturn void core_start(void);

#endif
