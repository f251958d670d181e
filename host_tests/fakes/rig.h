/*
 * A region on the fake machine: configuration, plan, partitions, all built by the hypervisor's own code as
 * hv_main does it, and shorthands to bring a vCPU to an exit.
 */
#ifndef FREEHOLD_HOST_RIG_H
#define FREEHOLD_HOST_RIG_H

#include "host_tests/fakes/fake.h"
#include "hv/partition.h"
#include "hv/vmx/exits.h"
#include "hv/x86.h"

#define RIG_IMAGE_BYTES 8192
#define RIG_LENGTH      3 /* of the instruction that exits, unless a test says otherwise */

struct rig {
    struct handoff handoff; /* a test may change the configuration between rig_begin and rig_finish */
    struct plan plan;
    uint8_t *image;
};
extern struct rig rig;

/* A machine, and `count` partitions of so many vCPUs and so much memory each, as yet only configured. */
void rig_begin(uint32_t count, uint32_t vcpus, uint64_t memory_bytes);

/* Everything that start-up does up to partition_create. */
void rig_finish(void);

/* Both, and vCPU 0 of the first partition in its reset state, running, on its core. */
struct vcpu *rig_one(void);

/* As rig_one for any number of vCPUs, all in the partition, with the others' reset states too. */
struct partition *rig_running(uint32_t vcpus, uint64_t memory_bytes);

/* RESTARTING to RUNNING, as the core of vCPU 0 does it. */
void rig_start(struct partition *partition);

/* The vCPU's core executes from here on, its VMCS is current. */
void rig_on(const struct vcpu *vcpu);

/* The processor leaves the guest of this core for `reason`; with an instruction length. */
void rig_exits(uint64_t reason);
void rig_exits_with(uint64_t reason, uint64_t qualification);

/* rig_exits, then vmx_exit. True: the guest goes on. */
bool rig_exit(struct vcpu *vcpu, uint64_t reason);
bool rig_exit_with(struct vcpu *vcpu, uint64_t reason, uint64_t qualification);

/* What the next entry injects, checked. */
void rig_expect_exception(uint8_t vector, bool has_error, uint32_t error_code);
void rig_expect_nothing_injected(void);

/* RIP has (not) moved behind the instruction since rig_exits. */
void rig_expect_next(void);
void rig_expect_resume(void);

/* The partition goes on; or it has been contained for this reason with this in its capsule's detail. */
void rig_expect_running(const struct partition *partition);
void rig_expect_contained(const struct partition *partition, enum fault_reason reason, const char *part);

/* The handler read nothing that the manual leaves undefined after this exit. */
void rig_expect_defined(void);

/* The processor would enter this guest: the current VMCS passes every check of the manual. */
void rig_expect_enterable(const struct vcpu *vcpu);

/* What the guest finds at a guest-physical address. */
void *rig_guest(const struct partition *partition, uint64_t address);

#endif
