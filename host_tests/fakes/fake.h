/*
 * What stands around the code under test: the hypervisor's memory over a sparse file, windows that end where
 * real ones end, the control loop's rings as a list, kicks as counters. Reset before every test.
 */
#ifndef FREEHOLD_HOST_FAKE_H
#define FREEHOLD_HOST_FAKE_H

#include "hv/core.h"
#include "hv/memory.h"
#include "hv/records.h"
#include "hv/vmx/vmx.h"

/* Host-physical memory: the hypervisor's region, and RAM for tenants. */
#define FAKE_POOL_START   (16 * MIB)
#define FAKE_POOL_END     (48 * MIB)
#define FAKE_RAM_START    GIB
#define FAKE_RAM_END      (9 * GIB)
#define FAKE_TSC_HZ       UINT64_C(1000000000)
#define FAKE_RECORDS      256
#define FAKE_RECORD_BYTES 1024

struct fake_record {
    enum record_type type;
    uint32_t bytes;
    uint32_t core; /* that posted it */
    union {
        uint64_t align;
        uint8_t bytes[FAKE_RECORD_BYTES];
        struct record_text text;
        struct record_state state;
        struct record_fault fault;
        struct audit_result audit;
    } payload;
};

struct fakes {
    uint32_t record_count;
    struct fake_record records[FAKE_RECORDS];
    bool no_room;               /* control_has_room says no */
    uint32_t kicks[FAKE_CORES]; /* interrupts sent to a core */
    void (*on_kick)(uint32_t core);
    uint32_t polls, sleeps; /* of the control loop */
    void (*on_poll)(void);
    void (*on_sleep)(void);
    uint32_t timer_armed; /* the core's own timer */
    uint64_t timer_ticks;
    uint32_t interrupts[256];         /* finished by traps_interrupt */
    bool (*guest)(struct vcpu *vcpu); /* what vmx_enter runs; true: it was entered */
    uint32_t entries;                 /* calls of vmx_enter */
    uint32_t window_opens, window_closes;
};
extern struct fakes fakes;

/* Everything as after power-up: a Skylake-X with MTRRs all write-back, memory zero. */
void fake_reset(void);

/* Its part of fake_memory.c. */
void fake_memory_reset(void);

/* The core that executes from here on. */
void fake_run_on(uint32_t core);

/* Host memory behind an address, whoever owns it; contiguous to the end of RAM. */
void *fake_ram(uint64_t host_physical);

/* Zeroes what lies there and gives it back to the system. */
void fake_ram_clear(uint64_t host_physical, uint64_t bytes);

/* The n-th record of a type, counted from 0; NULL when there are not so many. */
const struct fake_record *fake_record(enum record_type type, uint32_t n);
uint32_t fake_record_count(enum record_type type);

/* How many windows of a core are open. */
uint32_t fake_windows_open(uint32_t core);

/* Makes the hypervisor's page tables' root, for audits. */
void fake_set_root(hpa_t root);

/* The host's CPUID. */
struct cpu_leaf fake_skylake_leaf(uint32_t leaf, uint32_t subleaf);

#endif
