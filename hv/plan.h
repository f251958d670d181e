/*
 * Who gets which cores and which memory, decided as a whole before anything is carved. Pure and
 * deterministic: the EFI application rehearses it before it leaves the firmware, the hypervisor carries it
 * out on the same input, and `make check-config` shows it on the host.
 */
#ifndef FREEHOLD_HV_PLAN_H
#define FREEHOLD_HV_PLAN_H

#include "alloc/frames.h"
#include "hv/config.h"
#include "hv/machine.h"

#define PLAN_MAX_EXTENTS 16

struct plan_partition {
    owner_t owner; /* OWNER_PARTITION_FIRST + its index in the configuration */
    uint32_t vcpu_count;
    uint16_t cores[CONFIG_MAX_VCPUS]; /* cores[i] runs vCPU i */
    uint32_t extent_count;
    struct extent extents[PLAN_MAX_EXTENTS]; /* 2 MiB-aligned, in guest-physical order */
};

struct plan {
    /* A partition runs on core 0, in time slices with the control loop: only where there is one physical core
     * and its other threads do not suffice, or `cores` names core 0. */
    bool boot_core_shared;
    uint32_t partition_count;
    struct plan_partition partitions[CONFIG_MAX_PARTITIONS];
};

/*
 * Plans every partition and carves its memory from `frames`. Rules: core 0 (the boot core) and its
 * hyper-threads serve no partition, unless the machine has only one physical core: then at most one partition
 * may be planned, and it may use core 0. Whole physical cores go to one partition; two partitions never share
 * one; their unused hyper-threads stay idle. `cores = [...]` is obeyed or refused. Cores of one zone and
 * memory of that zone are preferred. Memory is planned in the order of the configuration. Where all
 * physical cores have as many threads, a plan is found whenever the cores suffice; where they differ, the
 * planner fills large cores first and may miss one. False with *diag
 * (pointing into the configuration) when it does not fit; *frames is then undefined and to be initialised
 * again.
 */
MUST_USE bool plan_make(const struct config *config, const struct machine *machine,
                        struct frame_table *frames, struct plan *plan, struct diag *diag);

/*
 * The configuration used when there is no file: one `hello` partition of one vCPU and 64 MiB for up to three
 * spare physical cores (or for the shared boot core).
 */
void config_default(const struct machine *machine, struct config *config);

#endif
