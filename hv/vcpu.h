/*
 * One virtual core: what the processor needs to run it and what is counted about it. It belongs to one core
 * for good.
 */
#ifndef FREEHOLD_HV_VCPU_H
#define FREEHOLD_HV_VCPU_H

#include "hv/core.h"
#include "hv/cpuid.h"
#include "hv/report.h"
#include "hv/vapic.h"

struct partition;

#define VCPU_OUTPUT_BYTES 128

enum vcpu_activity {
    VCPU_WAITS_FOR_STARTUP, /* for INIT and SIPI from another vCPU */
    VCPU_RUNS,
    VCPU_HALTED, /* in HLT, until an interrupt it can take */
};

/* An access to absent hardware under way, and what ends it. */
enum vcpu_step { STEP_NONE, STEP_BY_TRAP, STEP_BY_TIMER };
#define STEP_PAGES 4

/* What every VM exit notes; further fields are read by the handler that needs them. */
struct exit_record {
    uint64_t rip;
    uint64_t reason;  /* raw; of a reason with upper bits, its slot in exits[] once it is serviced */
    uint32_t tsc_low; /* of the host, when its service began; in halves, as the processor gives it */
    uint32_t tsc_high;
    uint64_t unused;
};

/* The ring of the last exits is aligned to its size, so that an address tells its end. */
#define EXIT_RING_BYTES 256
_Static_assert(EXIT_RING_BYTES == CAPSULE_LAST_EXITS * sizeof(struct exit_record),
               "the ring fills its alignment");

#define VCPU_SLICES_PER_SECOND 100
/* A service of more ticks than this looks at the clock. */
#define VCPU_LONG_SERVICE_TICKS 1024

struct vcpu {
    uint64_t gpr[GPR_COUNT]; /* first, and host_rsp next: hv/vmx/run.S pushes and pops them */
    uint64_t host_rsp;
    bool launched;

    uint32_t attention;         /* set by any core: something waits for this vCPU; cleared by its own core */
    struct exit_record *exit;   /* of the current or last exit */
    uint64_t slice_tsc;         /* when the current time slice began */
    uint64_t run_mark_tsc;      /* ticks_run is accounted up to here ... */
    uint64_t run_mark_serviced; /* ... with this sum of exits[].ticks */
    uint64_t ticks_run;         /* inside the guest, over all incarnations */
    uint64_t limit_base_ticks;  /* ticks run and serviced when this incarnation began: the time limit counts
                                   from here */
    struct partition *partition;
    struct cpuid_table cpuid;

    uint32_t index; /* in its partition; also its APIC id */
    uint32_t core;
    uint32_t generation; /* of its partition: the one it ran last */
    enum vcpu_activity activity;
    struct vapic vapic;
    bool interrupt_window; /* the processor exits as soon as the guest can take an interrupt */
    bool nmi_window;
    bool nmi_pending;               /* an NMI from another vCPU waits for delivery */
    enum vcpu_step step;            /* through absent hardware, hv/vmx/absent.c */
    bool step_had_trap_flag;        /* RFLAGS.TF as the guest had it */
    uint16_t step_page[STEP_PAGES]; /* open for it, by number modulo 512 */
    uint32_t step_pages;            /* may exceed STEP_PAGES: then more are open than remembered */
    bool step_wrote;                /* the page of ones may not be all ones any more */
    uint32_t primary_controls;
    uint64_t slice_ticks; /* of the preemption timer, in its own units */
    uint64_t cr4_hidden;  /* CR4 bits the processor needs and the guest must not see */
    uint64_t xcr0;        /* as the guest set it */
    void *vmcs;

    uint32_t output_bytes; /* written to the UART and not yet on its way */
    char output[VCPU_OUTPUT_BYTES];

    uint64_t progress;
    uint64_t absent_accesses;
    uint64_t refused_msrs;
    uint64_t hypercalls;
    uint32_t verdicts_passed;
    uint32_t verdicts_failed;
    struct exit_count exits[EXIT_REASON_LIMIT];
    struct exit_record ring[CAPSULE_LAST_EXITS] __attribute__((aligned(EXIT_RING_BYTES)));
};

/* Brings ticks_run up to date. On the vCPU's own core, while it runs or has just left. */
void vcpu_account_run(struct vcpu *vcpu);

/*
 * Runs the vCPU on this core, from its reset state, until its partition is no longer running. Nothing of the
 * guest is left in the core's registers afterwards.
 */
void vcpu_run(struct vcpu *vcpu);

/* Makes the core of `vcpu` look at what waits for it. Any core may call it. */
void vcpu_kick(struct vcpu *vcpu);

/* Services what other cores asked of this vCPU. False when it has to leave the guest. On its own core,
 * between exit and entry. */
bool vcpu_attend(struct vcpu *vcpu);

/* One time slice is over: heartbeat, time limit, the control loop where this core carries it. */
void vcpu_slice(struct vcpu *vcpu);

/* The same, if the current slice has lasted its time by the clock. */
void vcpu_slice_if_due(struct vcpu *vcpu);

#endif
