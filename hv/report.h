/*
 * What the hypervisor says about itself and its partitions: plain data, filled by the cores, encoded by
 * hv/events.c, printed by the console. Pure.
 */
#ifndef FREEHOLD_HV_REPORT_H
#define FREEHOLD_HV_REPORT_H

#include "hv/config.h"
#include "hv/plan.h"

#define EXIT_REASON_LIMIT  80 /* basic exit reasons are below this; the last slot collects any other */
#define CAPSULE_LAST_EXITS 8

enum partition_state {
    PARTITION_READY, /* planned, not started */
    PARTITION_RUNNING,
    PARTITION_STOPPING,   /* some of its cores are still in the guest */
    PARTITION_RESTARTING, /* its memory is being made as new */
    PARTITION_EXITED,     /* ended by itself, with an exit code */
    PARTITION_FAULTED,    /* contained */
    PARTITION_STATE_COUNT
};

struct exit_count {
    uint64_t count;
    uint64_t ticks; /* TSC ticks in the hypervisor, from exit to entry */
};

struct last_exit {
    uint16_t reason;
    uint64_t rip;
    uint64_t tsc; /* of the host */
};

/* General registers in the order of their encoding. */
enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPR_COUNT };

/* What is known of the vCPU that ended a partition. */
struct crash_capsule {
    enum fault_reason reason;
    uint32_t vcpu;
    uint32_t core;
    uint32_t exit_reason; /* raw, with its upper bits */
    uint64_t qualification;
    uint64_t guest_physical;
    uint64_t guest_linear;
    uint32_t interruption_info; /* of the exit */
    uint32_t idt_vectoring_info;
    uint64_t gpr[GPR_COUNT];
    uint64_t rip, rflags, cr0, cr2, cr3, cr4, efer;
    uint16_t cs, ss, ds, es, tr;
    uint64_t tsc; /* of the host */
    uint32_t last_count;
    struct last_exit last[CAPSULE_LAST_EXITS]; /* oldest first */
    char detail[160];                          /* the decoded reason, a sentence */
};

/* What a partition takes of the hypervisor's own memory, as counted when it was made. */
struct partition_footprint {
    uint64_t table_bytes; /* second-stage page tables */
    uint64_t vcpu_bytes;  /* all its vCPUs, their VMCSs included */
    uint64_t other_bytes;
};

/* One partition's account, as the report shows it. */
struct partition_account {
    enum partition_state state;
    uint32_t exit_code; /* PARTITION_EXITED */
    enum fault_reason fault;
    uint32_t restarts;
    uint64_t progress[CONFIG_MAX_VCPUS]; /* by vCPU */
    uint64_t ticks_run;                  /* TSC ticks inside the guest, all vCPUs */
    uint64_t ticks_serviced;             /* TSC ticks in the hypervisor for it */
    uint64_t absent_accesses;            /* to hardware that is not there */
    uint64_t refused_msrs;               /* #GP given for an MSR */
    uint64_t hypercalls;
    uint32_t verdicts_passed;
    uint32_t verdicts_failed;
    struct partition_footprint footprint;
    struct exit_count exits[EXIT_REASON_LIMIT];
};

/* A whole region's account: what the report, the fault events and the closing table show. Nothing is owned.
 */
struct region_view {
    const struct config *config;
    const struct plan *plan; /* partition i is partition i of config */
    const struct partition_account *accounts[CONFIG_MAX_PARTITIONS];
    uint64_t dropped_records; /* records of the cores that found no room on their way to the control loop */
};

/* Result of the audit: counts of violations, and where the first was. */
struct audit_result {
    uint64_t pages_checked; /* of the hypervisor's own tables */
    uint64_t writable_executable;
    uint64_t frames_checked; /* reachable from partitions, in 4 KiB */
    uint64_t frames_shared;  /* reachable from two partitions */
    uint64_t frames_foreign; /* reachable, but not owned by that partition */
    uint64_t tables_foreign; /* table frames that are not the hypervisor's */
    char first[120];         /* the first violation, or empty */
};

/* Whether the account is what the configuration expects; a failed verdict never is. */
bool expectation_met(const struct expectation *expect, const struct partition_account *account);

/* "running", "exited", ...; "CPUID", "EPT violation", ... by the manual's names; never NULL. */
const char *partition_state_name(enum partition_state state);
const char *exit_reason_name(uint32_t basic_reason);
/* Short names for programs, like "cpuid", "ept-violation". */
const char *exit_reason_key(uint32_t basic_reason);

#endif
