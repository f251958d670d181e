/*
 * What a guest sees of the processor: a whitelist per leaf. A bit that is not listed in hv/cpuid.c is hidden,
 * whatever the host reports; what a partition cannot have is not shown. Pure: the host's leaves come through
 * a callback.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, order number 325383-083US,
 * March 2024: instruction "CPUID"; volume 1, order number 253665-083US: "Managing State Using the XSAVE
 * Feature Set".
 */
#ifndef FREEHOLD_HV_CPUID_H
#define FREEHOLD_HV_CPUID_H

#include "alloc/base.h"
#include "hv/x86.h"

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

#define CPUID_BASIC_LEAVES      0x17 /* 0 to 0x16 */
#define CPUID_EXTENDED_LEAVES   9    /* 0x80000000 to 0x80000008 */
#define CPUID_HYPERVISOR_LEAVES 0x11 /* 0x40000000 to 0x40000010 */
#define CPUID_CACHE_SUBLEAVES   8
#define CPUID_FEATURE_SUBLEAVES 2
#define CPUID_LEVEL_SUBLEAVES   2 /* of leaf 0xB: threads of a core, cores of the package */
#define CPUID_XSAVE_SUBLEAVES   8 /* components up to Hi16_ZMM; XCR0_SHOWABLE has none above */

/* Everything one vCPU can see, ready for lookup. Belongs to its core. */
struct cpuid_table {
    struct cpuid_regs basic[CPUID_BASIC_LEAVES]; /* first: the hot path adds only an index */
    uint32_t plain_leaves;                       /* bit n: basic[n] is the answer whatever ECX is */
    uint32_t max_basic;
    struct cpuid_regs extended[CPUID_EXTENDED_LEAVES];
    struct cpuid_regs hypervisor[CPUID_HYPERVISOR_LEAVES];
    struct cpuid_regs cache[CPUID_CACHE_SUBLEAVES];
    struct cpuid_regs features[CPUID_FEATURE_SUBLEAVES];
    struct cpuid_regs levels[CPUID_LEVEL_SUBLEAVES];
    struct cpuid_regs xsave[CPUID_XSAVE_SUBLEAVES];
    struct cpuid_regs echo; /* of a sub-leaf of 0xB beyond its levels */
};

/* What all vCPUs have in common. */
struct cpuid_policy {
    uint32_t signature;       /* leaf 1 EAX: family, model, stepping; RDX of a core after INIT */
    uint64_t xcr0_allowed;    /* bits a guest may set; 0 where XSAVE is not shown */
    uint64_t cr4_allowed;     /* bits a guest may set, as far as CPUID decides: the caller takes what
                                 IA32_VMX_CR4_FIXED1 lacks away */
    struct cpuid_table table; /* of a single vCPU with id 0, after reset */
};

/* What decides besides the host's CPUID. */
struct cpuid_features {
    bool rdtscp;  /* the "enable RDTSCP" control is on */
    bool invpcid; /* the "enable INVPCID" control is on */
    uint64_t tsc_hz;
};

typedef struct cpuid_regs (*cpuid_read_fn)(void *context, uint32_t leaf, uint32_t subleaf);

/* Asks the host for its leaves, all of them hostile, and keeps what guests may see. At start-up, once. */
void cpuid_policy_init(struct cpuid_policy *policy, cpuid_read_fn read, void *context,
                       const struct cpuid_features *features);

/*
 * The view of vCPU `index` of `vcpu_count` (1 to 256): APIC id = index, all vCPUs cores of one package, one
 * thread a core; CR4.OSXSAVE clear, XCR0 as after reset.
 */
void cpuid_table_init(struct cpuid_table *table, const struct cpuid_policy *policy, uint32_t index,
                      uint32_t vcpu_count);

/* Follows the guest's CR4.OSXSAVE. */
void cpuid_set_osxsave(struct cpuid_table *table, bool on);

/* Follows the guest's XCR0, which must be valid. */
void cpuid_set_xcr0(struct cpuid_table *table, uint64_t xcr0);

/* Leaves with sub-leaves, those of other ranges, and those that do not exist. */
const struct cpuid_regs *cpuid_lookup_rare(struct cpuid_table *table, uint32_t leaf, uint32_t subleaf);

/* The answer to a leaf that has no sub-leaves; NULL for others: ask cpuid_lookup_rare. */
static inline const struct cpuid_regs *cpuid_lookup_plain(const struct cpuid_table *table, uint32_t leaf)
{
    bool plain = leaf < CPUID_BASIC_LEAVES && (table->plain_leaves >> leaf & 1) != 0;
    return __builtin_expect(plain, 1) ? &table->basic[leaf] : NULL;
}

/* The answer to CPUID with EAX = leaf and ECX = subleaf, any values. Valid until the next call. */
static inline const struct cpuid_regs *cpuid_lookup(struct cpuid_table *table, uint32_t leaf,
                                                    uint32_t subleaf)
{
    const struct cpuid_regs *plain = cpuid_lookup_plain(table, leaf);
    return plain != NULL ? plain : cpuid_lookup_rare(table, leaf, subleaf);
}

#endif
