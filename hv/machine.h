/*
 * The machine as boot/ found it: cores and memory. The planner's and the hypervisor's one description of it.
 */
#ifndef FREEHOLD_HV_MACHINE_H
#define FREEHOLD_HV_MACHINE_H

#include "alloc/memmap.h"

#define MACHINE_MAX_CORES 256

/* One logical processor. Cores are numbered by their index in machine.cores; index 0 is the boot processor.
 */
struct core_desc {
    uint32_t apic_id;
    uint16_t package; /* socket, counted from 0 */
    uint16_t core;    /* physical core inside the package */
    uint16_t thread;  /* hyper-thread inside the core */
    uint16_t zone;    /* NUMA zone, or ZONE_UNKNOWN */
};

struct machine {
    uint32_t core_count;
    uint32_t package_count;
    uint64_t tsc_hz;
    char cpu_name[52];
    struct core_desc cores[MACHINE_MAX_CORES];
    struct memmap map;
};

#endif
