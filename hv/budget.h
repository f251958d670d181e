/*
 * How much memory the hypervisor needs for a given configuration on a given machine. Pure. boot/ sizes the
 * region by it; the hypervisor takes nothing later, so running dry afterwards is a bug of this file.
 */
#ifndef FREEHOLD_HV_BUDGET_H
#define FREEHOLD_HV_BUDGET_H

#include "hv/handoff.h"

/* Allowances. What they hold: hv/core.h (stacks, rings), hv/partition.h and hv/vcpu.h. */
#define BUDGET_CORE_BYTES      (64 * KIB)
#define BUDGET_PARTITION_BYTES (64 * KIB)
#define BUDGET_VCPU_BYTES      (16 * KIB)
#define BUDGET_CONSOLE_BYTES   (320 * KIB) /* queues, event log, shadow of the screen: hv/console.c */
#define BUDGET_SLACK_BYTES     (256 * KIB)

struct hv_budget_input {
    const struct config *config;
    uint32_t core_count;
    uint64_t image_bytes; /* of the hypervisor's ELF, as loaded */
    uint64_t handoff_bytes;
    uint64_t frame_table_bytes; /* frames_table_bytes() of the map, with spare for its last changes */
    uint64_t guest_image_bytes; /* of all guest images, each rounded up to frames */
    uint64_t screen_bytes;      /* of the framebuffer, 0 for none */
};

/* Every item is a multiple of FRAME_BYTES; total_bytes is their sum, rounded up to 2 MiB. */
struct hv_budget {
    uint64_t image_bytes;
    uint64_t handoff_bytes;
    uint64_t frame_table_bytes;
    uint64_t page_table_bytes; /* the hypervisor's own */
    uint64_t console_bytes;
    uint64_t cores_bytes;
    uint64_t partitions_bytes; /* their vCPUs included */
    uint64_t ept_bytes;
    uint64_t slack_bytes;
    uint64_t total_bytes;
};

/* The configuration must be a valid one (config_parse, config_default). Monotonic in every input. */
void hv_budget(const struct hv_budget_input *input, struct hv_budget *budget);

#endif
