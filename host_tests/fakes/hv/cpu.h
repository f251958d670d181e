/*
 * The processor in host tests: takes the place of hv/cpu.h by include path. Registers are variables, MSRs a
 * small table; what a test wants to happen in the middle of a call comes through hooks.
 */
#ifndef FREEHOLD_HV_CPU_H
#define FREEHOLD_HV_CPU_H

#include "alloc/base.h"

#define FAKE_CORES 8
#define FAKE_MSRS  64

struct cpu_leaf {
    uint32_t eax, ebx, ecx, edx;
};

struct fake_msr {
    uint32_t msr;
    uint64_t value;
    uint32_t reads, writes;
};

/* One processor for all cores: nothing of it but the TSC is meant to be looked at across cores. */
struct fake_cpu {
    uint64_t cr0, cr2, cr3, cr4, dr6, xcr0;
    uint64_t breakpoints; /* whatever the guest has left in DR0 to DR3 */
    bool vectors_dirty;   /* FPU and vector registers hold something of a guest */
    uint64_t tsc;
    uint64_t tsc_step; /* the TSC advances by it at each read */
    uint32_t nmis_taken;
    uint32_t sleeps;
    uint32_t pauses;
    void *gs_first; /* the core that executes */
    struct fake_msr msrs[FAKE_MSRS];
    void (*on_sleep)(void); /* an interrupt that ends the sleep; without one, sleeping ends the test */
    void (*on_pause)(void);
    struct cpu_leaf (*cpuid)(uint32_t leaf, uint32_t subleaf);
};
extern struct fake_cpu fake_cpu;

/* The entry of an MSR, made when it is not there yet; a read of one that nobody made fails the test. */
struct fake_msr *fake_msr(uint32_t msr);
uint64_t cpu_rdmsr(uint32_t msr);
void cpu_wrmsr(uint32_t msr, uint64_t value);

void cpu_sleep(void);
void cpu_pause(void);
_Noreturn void cpu_halt(void);

static inline uint64_t cpu_rdtsc(void)
{
    return fake_cpu.tsc += fake_cpu.tsc_step;
}

static inline void cpu_rdtsc_halves(uint32_t *low, uint32_t *high)
{
    uint64_t now = cpu_rdtsc();
    *low = (uint32_t)now;
    *high = (uint32_t)(now >> 32);
}

static inline struct cpu_leaf cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
    return fake_cpu.cpuid(leaf, subleaf);
}

#define FAKE_REGISTER(name)                          \
    static inline uint64_t cpu_read_##name(void)     \
    {                                                \
        return fake_cpu.name;                        \
    }                                                \
    static inline void cpu_write_##name(uint64_t to) \
    {                                                \
        fake_cpu.name = to;                          \
    }
FAKE_REGISTER(cr0)
FAKE_REGISTER(cr2)
FAKE_REGISTER(cr3)
FAKE_REGISTER(cr4)
FAKE_REGISTER(dr6)
#undef FAKE_REGISTER

static inline void cpu_clear_breakpoints(void)
{
    fake_cpu.breakpoints = 0;
}

static inline void cpu_invlpg(const void *address)
{
    (void)address;
}

static inline void cpu_xsetbv(uint64_t xcr0)
{
    fake_cpu.xcr0 = xcr0;
}

static inline uint64_t cpu_xgetbv(void)
{
    return fake_cpu.xcr0;
}

static inline void *cpu_gs_first(void)
{
    return fake_cpu.gs_first;
}

static inline void cpu_take_nmi(void)
{
    fake_cpu.nmis_taken++;
}

void cpu_xrstor(const void *image, uint64_t components);
void cpu_fxrstor(const void *image);

struct __attribute__((packed)) cpu_table_pointer {
    uint16_t limit;
    uint64_t base;
};

#endif
