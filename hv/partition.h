/*
 * A partition: its memory, its vCPUs, its devices, and its life from start to end. Its state changes by
 * compare-and-swap only, so that whichever core ends it, it ends once.
 *
 *   READY -> RESTARTING -> RUNNING -> STOPPING -> EXITED | FAULTED
 *                 ^                       |
 *                 +----- on_fault --------+
 */
#ifndef FREEHOLD_HV_PARTITION_H
#define FREEHOLD_HV_PARTITION_H

#include "alloc/ept.h"
#include "hv/bus.h"
#include "hv/handoff.h"
#include "hv/image.h"
#include "hv/plan.h"
#include "hv/spinlock.h"
#include "hv/uart.h"
#include "hv/vcpu.h"

/* A run of guest-physical memory and where it lies. */
struct guest_range {
    uint64_t gpa;
    uint64_t bytes;
    uint64_t hpa;
};

/* Absent hardware in the device hole (hv/vmx/absent.c). */
struct absent_hole {
    struct spinlock lock;
    uint64_t *table;  /* the one page table behind every 2 MiB of the hole */
    uint8_t *scratch; /* the page an access meets: all ones */
    hpa_t scratch_frame;
};

struct partition {
    uint32_t index; /* in the configuration */
    owner_t owner;
    const struct partition_config *config;
    const struct plan_partition *plan;
    const struct handoff_image *image;
    struct image_layout layout;

    uint32_t range_count;
    struct guest_range ranges[PLAN_MAX_EXTENTS + 1]; /* one extent may be split by the device hole */
    uint64_t low_bytes;                              /* RAM from 0 */
    uint64_t high_bytes;                             /* RAM from 4 GiB */
    struct ept ept;
    uint64_t ept_pointer;
    hpa_t msr_bitmap;
    hpa_t io_bitmap_a;
    hpa_t io_bitmap_b;
    struct absent_hole hole;

    struct spinlock device_lock; /* bus, UART: shared by the partition's vCPUs */
    struct vcpu *device_user;    /* whose access is being serviced; under device_lock */
    struct bus bus;
    struct uart uart;

    uint32_t state;        /* enum partition_state; atomic */
    bool ended;            /* for good, and told; atomic */
    uint32_t generation;   /* counts starts; atomic */
    uint32_t inside;       /* vCPUs that have not left this generation; atomic */
    uint32_t stop_request; /* enum fault_reason asked for from outside; atomic */
    struct spinlock wake_lock;
    uint32_t awake; /* vCPUs that neither halt nor wait for start-up */

    uint32_t restarts;
    uint32_t exit_code;
    enum fault_reason fault;
    struct crash_capsule capsule;
    uint64_t decided_tsc;  /* when this start was decided */
    uint64_t scrubbed_tsc; /* when its memory was zero */
    struct partition_footprint footprint;

    uint32_t vcpu_count;
    struct vcpu *vcpus[CONFIG_MAX_VCPUS];
};

extern struct partition *partitions[CONFIG_MAX_PARTITIONS];
extern uint32_t partition_count;

/* Builds partition `index` of the plan: tables, vCPUs, devices. At start-up, on the boot core. */
struct partition *partition_create(const struct handoff *handoff, const struct plan *plan, uint32_t index);

/* Asks the core of vCPU 0 to prepare and start a partition that is READY. */
void partition_start(struct partition *partition);

/*
 * Does what this core's vCPU has waiting: prepares its partition's memory, or runs it until it stops. False
 * when there was nothing to do.
 */
bool partition_step(struct vcpu *vcpu);

/*
 * Ends the partition of `vcpu` for its own fault; the first to come decides: false for all others. The vCPU
 * must leave the guest after it. The text is a sentence for people.
 */
bool partition_contain(struct vcpu *vcpu, enum fault_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the partition of `vcpu` with an exit code. */
void partition_exit(struct vcpu *vcpu, uint32_t code);

/* Asks a running partition to end with this reason; one of its vCPUs does it. On the control core. */
void partition_stop(struct partition *partition, enum fault_reason reason);

/* What partition_stop asked for, if anything. On the vCPU's own core. */
void partition_heed_stop(struct vcpu *vcpu);

/* A core that runs it does not answer any more: it ends without it. Only for the watchdog, on the control
 * core. */
void partition_abandon(struct partition *partition, uint32_t core);

/* True when it has ended for good. */
bool partition_ended(const struct partition *partition);

/* Its account, summed over its vCPUs. The counters are read while it runs: each is right, their sum may be a
 * moment old. */
void partition_account(const struct partition *partition, struct partition_account *account);

/* Notes that `vcpu` stops executing (HLT, or waiting for start-up), and that it goes on. */
void partition_sleeps(struct vcpu *vcpu);
void partition_wakes(struct vcpu *vcpu);

/*
 * For a sleeping vCPU: false when all its partition's vCPUs sleep and nothing is on its way to any of them.
 * Nothing can ever wake them then, and the partition is contained.
 */
bool partition_can_wake(struct vcpu *vcpu);

#endif
