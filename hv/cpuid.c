/* The whitelist of CPUID. Must never pass a bit of the host that is not named here. */
#include "hv/cpuid.h"

#include "guest/abi.h"

/* ------------------------------------------------------------------------------------------- what is shown
 */

/* Each line: bits that need nothing but the host's; then those that also need something of ours. */
#define SHOW_1_ECX                                                                                         \
    (CPUID_1_ECX_SSE3 | CPUID_1_ECX_PCLMULQDQ | CPUID_1_ECX_SSSE3 | CPUID_1_ECX_CMPXCHG16B |               \
     CPUID_1_ECX_PCID | CPUID_1_ECX_SSE4_1 | CPUID_1_ECX_SSE4_2 | CPUID_1_ECX_MOVBE | CPUID_1_ECX_POPCNT | \
     CPUID_1_ECX_AESNI | CPUID_1_ECX_RDRAND)
#define SHOW_1_ECX_AVX (CPUID_1_ECX_AVX | CPUID_1_ECX_FMA | CPUID_1_ECX_F16C)

/*
 * Not MCE and MCA: a machine check stops the partition, its banks are the machine's. Not MTRR: memory types
 * come from EPT until guests have MTRRs of their own. APIC is always there, HTT says how many vCPUs there
 * are.
 */
#define SHOW_1_EDX                                                                                  \
    (CPUID_1_EDX_FPU | CPUID_1_EDX_VME | CPUID_1_EDX_DE | CPUID_1_EDX_PSE | CPUID_1_EDX_TSC |       \
     CPUID_1_EDX_MSR | CPUID_1_EDX_PAE | CPUID_1_EDX_CX8 | CPUID_1_EDX_SEP | CPUID_1_EDX_PGE |      \
     CPUID_1_EDX_CMOV | CPUID_1_EDX_PAT | CPUID_1_EDX_PSE36 | CPUID_1_EDX_CLFSH | CPUID_1_EDX_MMX | \
     CPUID_1_EDX_FXSR | CPUID_1_EDX_SSE | CPUID_1_EDX_SSE2 | CPUID_1_EDX_SS)

/* Not HLE and RTM: transactions of one tenant are a probe into the caches of the others. */
#define SHOW_7_EBX                                                                                      \
    (CPUID_7_EBX_FSGSBASE | CPUID_7_EBX_BMI1 | CPUID_7_EBX_FDP_EXCPTN_ONLY | CPUID_7_EBX_SMEP |         \
     CPUID_7_EBX_BMI2 | CPUID_7_EBX_ERMS | CPUID_7_EBX_FCS_FDS | CPUID_7_EBX_RDSEED | CPUID_7_EBX_ADX | \
     CPUID_7_EBX_SMAP | CPUID_7_EBX_CLFLUSHOPT | CPUID_7_EBX_CLWB | CPUID_7_EBX_SHA)
#define SHOW_7_EBX_AVX CPUID_7_EBX_AVX2
#define SHOW_7_EBX_AVX512                                                                          \
    (CPUID_7_EBX_AVX512F | CPUID_7_EBX_AVX512DQ | CPUID_7_EBX_AVX512_IFMA | CPUID_7_EBX_AVX512CD | \
     CPUID_7_EBX_AVX512BW | CPUID_7_EBX_AVX512VL)

#define SHOW_7_ECX     (CPUID_7_ECX_UMIP | CPUID_7_ECX_GFNI | CPUID_7_ECX_MOVDIRI | CPUID_7_ECX_MOVDIR64B)
#define SHOW_7_ECX_AVX (CPUID_7_ECX_VAES | CPUID_7_ECX_VPCLMULQDQ)
#define SHOW_7_ECX_AVX512                                                           \
    (CPUID_7_ECX_AVX512_VBMI | CPUID_7_ECX_AVX512_VBMI2 | CPUID_7_ECX_AVX512_VNNI | \
     CPUID_7_ECX_AVX512_BITALG | CPUID_7_ECX_AVX512_VPOPCNTDQ)

/* MD_CLEAR only says that VERW overwrites buffers. */
#define SHOW_7_EDX        (CPUID_7_EDX_FSRM | CPUID_7_EDX_MD_CLEAR | CPUID_7_EDX_SERIALIZE)
#define SHOW_7_EDX_AVX512 (CPUID_7_EDX_AVX512_VP2INTERSECT | CPUID_7_EDX_AVX512_FP16)

#define SHOW_7_1_EAX        (CPUID_7_1_EAX_FZRM | CPUID_7_1_EAX_FSRS | CPUID_7_1_EAX_FSRC)
#define SHOW_7_1_EAX_AVX    CPUID_7_1_EAX_AVX_VNNI
#define SHOW_7_1_EAX_AVX512 CPUID_7_1_EAX_AVX512_BF16

#define SHOW_D_1_EAX (CPUID_D_1_EAX_XSAVEOPT | CPUID_D_1_EAX_XSAVEC | CPUID_D_1_EAX_XGETBV1)

#define SHOW_E1_ECX (CPUID_E1_ECX_LAHF | CPUID_E1_ECX_LZCNT | CPUID_E1_ECX_PREFETCHW)
#define SHOW_E1_EDX (CPUID_E1_EDX_SYSCALL | CPUID_E1_EDX_NX | CPUID_E1_EDX_1GIB | CPUID_E1_EDX_LM)

#define XCR0_SHOWABLE (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

/* CR4 bits that every such processor has; the others follow their CPUID bit. MCE: see hv/msr_policy.c. */
#define CR4_ALWAYS                                                                                         \
    (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR | \
     CR4_OSXMMEXCPT)

/* ------------------------------------------------------------------------------------------ fields of leaves
 */

#define LEAF_1_CLFLUSH_MASK   0xFF00u
#define LEAF_1_COUNT_SHIFT    16
#define LEAF_1_COUNT_MAX      0xFFu
#define LEAF_1_APIC_ID_SHIFT  24
#define LEAF_2_USE_LEAF_4     0xFF01u /* descriptor FFH: ask leaf 4; and "ask once" */
#define LEAF_4_TYPE_MASK      0x1Fu
#define LEAF_4_LEVEL_SHIFT    5
#define LEAF_4_LEVEL_MASK     7u
#define LEAF_4_KEPT_EAX       0x3FFu /* type, level, self-initializing, fully associative */
#define LEAF_4_SHARING_SHIFT  14
#define LEAF_4_SHARING_MAX    0xFFFu
#define LEAF_4_CORES_SHIFT    26
#define LEAF_4_CORES_MAX      0x3Fu
#define LEAF_4_KEPT_EDX       7u
#define LEVEL_TYPE_SHIFT      8
#define LEVEL_TYPE_SMT        1u
#define LEVEL_TYPE_CORE       2u
#define LEVEL_NUMBER_MASK     0xFFu
#define LEAF_16_KEPT          0xFFFFu
#define E6_KEPT_ECX           0xFFFFF0FFu
#define E8_PHYSICAL_MASK      0xFFu
#define E8_PHYSICAL_MAX       52u
#define E8_PHYSICAL_MIN       36u
#define E8_LINEAR_48          (48u << 8) /* LA57 is hidden */
#define FIRST_COMPONENT       2u         /* the first outside the legacy area */
#define COMPONENT_ALIGNED     (1u << 1)
#define COMPONENT_ALIGN_BYTES 64u
#define XSAVE_LEGACY_BYTES    576u /* legacy area and header */
#define XSAVE_BYTES_MAX       4096u

/* ------------------------------------------------------------------------------------------------- the
 * policy */

struct source {
    cpuid_read_fn read;
    void *context;
    uint32_t max_basic;
    uint32_t max_extended;
};

/* A leaf of the host; all 0 where it has none, since the processor would answer with another leaf's data. */
static struct cpuid_regs host(const struct source *s, uint32_t leaf, uint32_t subleaf)
{
    bool extended = leaf >= CPUID_LEAF_MAX_EXTENDED;
    if (leaf > (extended ? s->max_extended : s->max_basic))
        return (struct cpuid_regs){0};
    return s->read(s->context, leaf, subleaf);
}

/* A component's place in the standard format, as far as it makes sense. */
static bool sane_component(const struct cpuid_regs *c)
{
    return c->eax != 0 && c->eax <= XSAVE_BYTES_MAX && c->ebx >= XSAVE_LEGACY_BYTES &&
           c->ebx <= XSAVE_BYTES_MAX && c->eax + c->ebx <= XSAVE_BYTES_MAX;
}

/* Which XCR0 bits a guest may have: what the host has, whole groups only. */
static uint64_t allowed_xcr0(const struct source *s)
{
    struct cpuid_regs all = host(s, CPUID_LEAF_XSAVE, 0);
    uint64_t allowed = all.eax & XCR0_SHOWABLE;

    for (uint32_t i = FIRST_COMPONENT; i < CPUID_XSAVE_SUBLEAVES; i++) {
        struct cpuid_regs component = host(s, CPUID_LEAF_XSAVE, i);
        if (!sane_component(&component))
            allowed &= ~(UINT64_C(1) << i);
    }
    if (!(host(s, CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_XSAVE) || (~allowed & (XCR0_X87 | XCR0_SSE)))
        return 0;
    if ((allowed & XCR0_AVX512) != XCR0_AVX512 || !(allowed & XCR0_AVX))
        allowed &= ~XCR0_AVX512;
    return allowed;
}

/* `always` of the host's bits, and more where the guest may have the registers for them. */
static uint32_t show(uint32_t bits, uint64_t xcr0, uint32_t always, uint32_t with_avx, uint32_t with_avx512)
{
    uint32_t shown = always;
    if (xcr0 & XCR0_AVX)
        shown |= with_avx;
    if (xcr0 & XCR0_OPMASK)
        shown |= with_avx512;
    return bits & shown;
}

static void fill_features(struct cpuid_policy *p, const struct source *s,
                          const struct cpuid_features *features)
{
    struct cpuid_regs one = host(s, CPUID_LEAF_FEATURES, 0);
    struct cpuid_regs seven = host(s, CPUID_LEAF_EXTENDED, 0);
    uint64_t xcr0 = p->xcr0_allowed;

    p->signature = one.eax;
    p->table.basic[CPUID_LEAF_FEATURES] = (struct cpuid_regs){
        .eax = one.eax,
        .ebx = one.ebx & LEAF_1_CLFLUSH_MASK,
        .ecx = show(one.ecx, xcr0, SHOW_1_ECX, SHOW_1_ECX_AVX, 0) | (xcr0 ? CPUID_1_ECX_XSAVE : 0) |
               CPUID_1_ECX_X2APIC | CPUID_1_ECX_HYPERVISOR,
        .edx = (one.edx & SHOW_1_EDX) | CPUID_1_EDX_APIC,
    };
    p->table.features[0] = (struct cpuid_regs){
        .eax = seven.eax != 0 ? CPUID_FEATURE_SUBLEAVES - 1 : 0,
        .ebx = show(seven.ebx, xcr0, SHOW_7_EBX | (features->invpcid ? CPUID_7_EBX_INVPCID : 0),
                    SHOW_7_EBX_AVX, SHOW_7_EBX_AVX512),
        .ecx = show(seven.ecx, xcr0, SHOW_7_ECX | (features->rdtscp ? CPUID_7_ECX_RDPID : 0), SHOW_7_ECX_AVX,
                    SHOW_7_ECX_AVX512),
        .edx = show(seven.edx, xcr0, SHOW_7_EDX, 0, SHOW_7_EDX_AVX512),
    };
    if (seven.eax != 0)
        p->table.features[1].eax = show(host(s, CPUID_LEAF_EXTENDED, 1).eax, xcr0, SHOW_7_1_EAX,
                                        SHOW_7_1_EAX_AVX, SHOW_7_1_EAX_AVX512);
}

/* Shape and size of each cache; who shares it is the vCPU's table's to say. */
static void fill_caches(struct cpuid_policy *p, const struct source *s)
{
    p->table.basic[2].eax = LEAF_2_USE_LEAF_4;
    for (uint32_t i = 0; i < CPUID_CACHE_SUBLEAVES - 1; i++) { /* the last stays 0: no more caches */
        struct cpuid_regs cache = host(s, CPUID_LEAF_CACHE, i);
        if ((cache.eax & LEAF_4_TYPE_MASK) == 0)
            break;
        cache.eax &= LEAF_4_KEPT_EAX;
        cache.edx &= LEAF_4_KEPT_EDX;
        p->table.cache[i] = cache;
    }
}

static void fill_xsave(struct cpuid_policy *p, const struct source *s)
{
    struct cpuid_regs *leaf = p->table.xsave;

    if (p->xcr0_allowed == 0)
        return;
    leaf[0].eax = (uint32_t)p->xcr0_allowed;
    leaf[0].ecx = XSAVE_LEGACY_BYTES;
    leaf[1].eax = host(s, CPUID_LEAF_XSAVE, 1).eax & SHOW_D_1_EAX;
    for (uint32_t i = FIRST_COMPONENT; i < CPUID_XSAVE_SUBLEAVES; i++) {
        if (!(p->xcr0_allowed >> i & 1))
            continue;
        struct cpuid_regs component = host(s, CPUID_LEAF_XSAVE, i);
        leaf[i] = (struct cpuid_regs){component.eax, component.ebx, component.ecx & COMPONENT_ALIGNED, 0};
        uint32_t end = component.eax + component.ebx;
        leaf[0].ecx = end > leaf[0].ecx ? end : leaf[0].ecx;
    }
}

/* Frequencies, where the host tells them all. */
static void fill_frequencies(struct cpuid_policy *p, const struct source *s)
{
    struct cpuid_regs tsc = host(s, CPUID_LEAF_TSC, 0), mhz = host(s, CPUID_LEAF_FREQUENCY, 0);

    if (tsc.eax != 0 && tsc.ebx != 0 && tsc.ecx != 0)
        p->table.basic[CPUID_LEAF_TSC] = (struct cpuid_regs){tsc.eax, tsc.ebx, tsc.ecx, 0};
    p->table.basic[CPUID_LEAF_FREQUENCY] =
        (struct cpuid_regs){mhz.eax & LEAF_16_KEPT, mhz.ebx & LEAF_16_KEPT, mhz.ecx & LEAF_16_KEPT, 0};
}

static void fill_extended(struct cpuid_policy *p, const struct source *s,
                          const struct cpuid_features *features)
{
    struct cpuid_regs *leaf = p->table.extended;
    struct cpuid_regs one = host(s, CPUID_LEAF_FEATURES_EXT, 0);
    uint32_t physical_bits = host(s, CPUID_LEAF_ADDRESS_SIZES, 0).eax & E8_PHYSICAL_MASK;

    leaf[0].eax = CPUID_LEAF_MAX_EXTENDED + CPUID_EXTENDED_LEAVES - 1;
    leaf[1].ecx = one.ecx & SHOW_E1_ECX;
    leaf[1].edx = one.edx & (SHOW_E1_EDX | (features->rdtscp ? CPUID_E1_EDX_RDTSCP : 0));
    for (uint32_t i = 2; i <= 4; i++) /* the processor's name */
        leaf[i] = host(s, CPUID_LEAF_MAX_EXTENDED + i, 0);
    leaf[6].ecx = host(s, CPUID_LEAF_MAX_EXTENDED + 6, 0).ecx & E6_KEPT_ECX;
    leaf[7].edx = host(s, CPUID_LEAF_INVARIANT_TSC, 0).edx & CPUID_E7_EDX_INVARIANT_TSC;
    if (physical_bits < E8_PHYSICAL_MIN || physical_bits > E8_PHYSICAL_MAX)
        physical_bits = E8_PHYSICAL_MIN;
    leaf[8].eax = physical_bits | E8_LINEAR_48;
}

static void fill_hypervisor(struct cpuid_policy *p, const struct cpuid_features *features)
{
    struct cpuid_regs *first = &p->table.hypervisor[0];

    first->eax = FH_CPUID_BASE + CPUID_HYPERVISOR_LEAVES - 1;
    __builtin_memcpy(&first->ebx, &FH_CPUID_SIGNATURE[0], 4);
    __builtin_memcpy(&first->ecx, &FH_CPUID_SIGNATURE[4], 4);
    __builtin_memcpy(&first->edx, &FH_CPUID_SIGNATURE[8], 4);
    p->table.hypervisor[FH_CPUID_TSC_KHZ - FH_CPUID_BASE].eax =
        (uint32_t)min_u64(features->tsc_hz / 1000, UINT32_MAX);
}

static uint64_t allowed_cr4(const struct cpuid_table *t)
{
    const struct {
        bool shown;
        uint64_t bit;
    } bits[] = {
        {t->basic[CPUID_LEAF_FEATURES].ecx & CPUID_1_ECX_XSAVE, CR4_OSXSAVE},
        {t->basic[CPUID_LEAF_FEATURES].ecx & CPUID_1_ECX_PCID, CR4_PCIDE},
        {t->features[0].ebx & CPUID_7_EBX_FSGSBASE, CR4_FSGSBASE},
        {t->features[0].ebx & CPUID_7_EBX_SMEP, CR4_SMEP},
        {t->features[0].ebx & CPUID_7_EBX_SMAP, CR4_SMAP},
        {t->features[0].ecx & CPUID_7_ECX_UMIP, CR4_UMIP},
    };
    uint64_t allowed = CR4_ALWAYS;
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        allowed |= bits[i].shown ? bits[i].bit : 0;
    return allowed;
}

/* The highest basic leaf we fill, at most the host's; the vendor's name. */
static void fill_first(struct cpuid_policy *p, const struct source *s)
{
    struct cpuid_table *t = &p->table;
    const uint32_t with_subleaves = 1u << CPUID_LEAF_CACHE | 1u << CPUID_LEAF_EXTENDED |
                                    1u << CPUID_LEAF_TOPOLOGY | 1u << CPUID_LEAF_XSAVE;

    t->max_basic = s->max_basic < CPUID_LEAF_XSAVE ? CPUID_LEAF_XSAVE : s->max_basic;
    if (t->max_basic >= CPUID_BASIC_LEAVES)
        t->max_basic = CPUID_BASIC_LEAVES - 1;
    t->plain_leaves = ((2u << t->max_basic) - 1) & ~with_subleaves;
    t->basic[0] = host(s, CPUID_LEAF_MAX_BASIC, 0);
    t->basic[0].eax = t->max_basic;
}

void cpuid_policy_init(struct cpuid_policy *p, cpuid_read_fn read, void *context,
                       const struct cpuid_features *features)
{
    struct source s = {
        .read = read,
        .context = context,
        .max_basic = read(context, CPUID_LEAF_MAX_BASIC, 0).eax,
        .max_extended = read(context, CPUID_LEAF_MAX_EXTENDED, 0).eax,
    };

    __builtin_memset(p, 0, sizeof(*p));
    p->xcr0_allowed = allowed_xcr0(&s);
    fill_first(p, &s);
    fill_features(p, &s, features);
    fill_caches(p, &s);
    fill_xsave(p, &s);
    fill_frequencies(p, &s);
    fill_extended(p, &s, features);
    fill_hypervisor(p, features);
    p->cr4_allowed = allowed_cr4(&p->table);
    cpuid_table_init(&p->table, p, 0, 1);
}

/* ------------------------------------------------------------------------------------------- one vCPU's
 * table */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Bits that ids 0 to count - 1 need. */
static uint32_t id_bits(uint32_t count)
{
    return count <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(count - 1);
}

/* Who shares what: each vCPU has its first and second level caches, all share the third. */
static void fill_sharing(struct cpuid_table *t, uint32_t ids)
{
    for (uint32_t i = 0; i < CPUID_CACHE_SUBLEAVES; i++) {
        struct cpuid_regs *cache = &t->cache[i];
        uint32_t level = cache->eax >> LEAF_4_LEVEL_SHIFT & LEAF_4_LEVEL_MASK;
        if ((cache->eax & LEAF_4_TYPE_MASK) == 0)
            break;
        cache->eax &= LEAF_4_KEPT_EAX;
        cache->eax |= min_u32(ids - 1, LEAF_4_CORES_MAX) << LEAF_4_CORES_SHIFT;
        if (level >= 3)
            cache->eax |= min_u32(ids - 1, LEAF_4_SHARING_MAX) << LEAF_4_SHARING_SHIFT;
    }
}

void cpuid_table_init(struct cpuid_table *t, const struct cpuid_policy *p, uint32_t index,
                      uint32_t vcpu_count)
{
    struct cpuid_regs *one = &t->basic[CPUID_LEAF_FEATURES];
    uint32_t bits = id_bits(vcpu_count), ids = 1u << bits;

    if (t != &p->table)
        *t = p->table;
    one->ebx = (one->ebx & LEAF_1_CLFLUSH_MASK) | min_u32(ids, LEAF_1_COUNT_MAX) << LEAF_1_COUNT_SHIFT |
               (index & 0xFF) << LEAF_1_APIC_ID_SHIFT;
    if (vcpu_count > 1)
        one->edx |= CPUID_1_EDX_HTT;
    fill_sharing(t, ids);
    t->levels[0] = (struct cpuid_regs){0, 1, LEVEL_TYPE_SMT << LEVEL_TYPE_SHIFT, index};
    t->levels[1] = (struct cpuid_regs){bits, vcpu_count, LEVEL_TYPE_CORE << LEVEL_TYPE_SHIFT | 1, index};
    t->echo = (struct cpuid_regs){0, 0, 0, index};
    cpuid_set_osxsave(t, false);
    cpuid_set_xcr0(t, XCR0_X87);
}

void cpuid_set_osxsave(struct cpuid_table *t, bool on)
{
    uint32_t *ecx = &t->basic[CPUID_LEAF_FEATURES].ecx;
    *ecx = on ? *ecx | CPUID_1_ECX_OSXSAVE : *ecx & ~CPUID_1_ECX_OSXSAVE;
}

/* EBX of sub-leaf 0: the standard format; of sub-leaf 1: the compacted one. */
void cpuid_set_xcr0(struct cpuid_table *t, uint64_t xcr0)
{
    uint32_t standard = XSAVE_LEGACY_BYTES, compacted = XSAVE_LEGACY_BYTES;

    if (t->xsave[0].eax == 0)
        return;
    for (uint32_t i = FIRST_COMPONENT; i < CPUID_XSAVE_SUBLEAVES; i++) {
        const struct cpuid_regs *c = &t->xsave[i];
        if (!(xcr0 >> i & 1) || c->eax == 0)
            continue;
        if (c->eax + c->ebx > standard)
            standard = c->eax + c->ebx;
        if (c->ecx & COMPONENT_ALIGNED)
            compacted = (uint32_t)align_up(compacted, COMPONENT_ALIGN_BYTES);
        compacted += c->eax;
    }
    t->xsave[0].ebx = standard;
    t->xsave[1].ebx = t->xsave[1].eax & CPUID_D_1_EAX_XSAVEC ? compacted : 0;
}

/* ------------------------------------------------------------------------------------------------- rare
 * leaves */

static const struct cpuid_regs nothing;

static const struct cpuid_regs *level_of(struct cpuid_table *t, uint32_t subleaf)
{
    if (subleaf < CPUID_LEVEL_SUBLEAVES)
        return &t->levels[subleaf];
    t->echo.ecx = subleaf & LEVEL_NUMBER_MASK;
    return &t->echo;
}

static const struct cpuid_regs *basic_leaf(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case CPUID_LEAF_CACHE:
        return subleaf < CPUID_CACHE_SUBLEAVES ? &t->cache[subleaf] : &nothing;
    case CPUID_LEAF_EXTENDED:
        return subleaf < CPUID_FEATURE_SUBLEAVES ? &t->features[subleaf] : &nothing;
    case CPUID_LEAF_TOPOLOGY:
        return level_of(t, subleaf);
    case CPUID_LEAF_XSAVE:
        return subleaf < CPUID_XSAVE_SUBLEAVES ? &t->xsave[subleaf] : &nothing;
    default:
        return &t->basic[leaf];
    }
}

const struct cpuid_regs *cpuid_lookup_rare(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf)
{
    uint32_t extended = leaf - CPUID_LEAF_MAX_EXTENDED, hypervisor = leaf - FH_CPUID_BASE;

    if (extended < CPUID_EXTENDED_LEAVES)
        return &t->extended[extended];
    if (hypervisor < CPUID_HYPERVISOR_LEAVES)
        return &t->hypervisor[hypervisor];
    /* What lies outside all ranges gets the data of the highest basic leaf, as Intel's processors do. */
    return basic_leaf(t, leaf <= t->max_basic ? leaf : t->max_basic, subleaf);
}
