/*
 * hv/cpuid.c: nothing hidden ever shows, whatever the host reports; what shows hangs together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "guest/abi.h"
#include "hv/cpuid.h"

#define AVX_FEATURES (CPUID_1_ECX_AVX | CPUID_1_ECX_FMA | CPUID_1_ECX_F16C)

static const struct cpuid_features all_features = {.rdtscp = true, .invpcid = true, .tsc_hz = 2900000000};

/* ---------------------------------------------------------------------------------------------------- hosts
 */

static struct cpuid_regs all_ones(void *context, uint32_t leaf, uint32_t subleaf)
{
    (void)context, (void)leaf, (void)subleaf;
    return (struct cpuid_regs){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
}

static struct cpuid_regs all_zeros(void *context, uint32_t leaf, uint32_t subleaf)
{
    (void)context, (void)leaf, (void)subleaf;
    return (struct cpuid_regs){0, 0, 0, 0};
}

/* Everything that an Intel server with AVX-512 has, as far as sizes and counts must make sense. */
static struct cpuid_regs server(void *context, uint32_t leaf, uint32_t subleaf)
{
    static const struct cpuid_regs caches[] = {
        {0x1C004121, 0x01C0003F, 0x3F, 0},
        {0x1C004122, 0x01C0003F, 0x3F, 0},
        {0x1C004143, 0x03C0003F, 0x3FF, 0},
        {0x1C03C163, 0x0280003F, 0x4FFF, 4},
        {0, 0, 0, 0},
    };
    static const struct cpuid_regs states[] = {
        {0x2FF, 0xA88, 0xA88, 0}, {0xF, 0xA08, 0x100, 0}, {0x100, 0x240, 0, 0}, {0x40, 0x3C0, 0, 0},
        {0x40, 0x400, 0, 0},      {0x40, 0x440, 0, 0},    {0x200, 0x480, 0, 0}, {0x400, 0x680, 0, 0},
        {0x80, 0, 1, 0},          {8, 0xA80, 0, 0},
    };
    (void)context;
    switch (leaf) {
    case 0:
        return (struct cpuid_regs){0x16, 0x756E6547, 0x6C65746E, 0x49656E69};
    case 1:
        return (struct cpuid_regs){0x00050654, 0x00200800, 0x7FFEFBFF, 0xBFEBFBFF};
    case 4:
        return subleaf < 5 ? caches[subleaf] : caches[4];
    case 7:
        return subleaf == 0 ? (struct cpuid_regs){1, UINT32_MAX, UINT32_MAX, UINT32_MAX}
                            : (struct cpuid_regs){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    case 0xD:
        return subleaf < 10 ? states[subleaf] : (struct cpuid_regs){0};
    case 0x15:
        return (struct cpuid_regs){2, 232, 25000000, 0};
    case 0x16:
        return (struct cpuid_regs){2900, 4300, 100, 0};
    case 0x80000000:
        return (struct cpuid_regs){0x80000008, 0, 0, 0};
    case 0x80000008:
        return (struct cpuid_regs){0x302E, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    default:
        return (struct cpuid_regs){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    }
}

static uint64_t random_u64(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* A host made of noise, the same each time it is asked. */
static struct cpuid_regs noise(void *context, uint32_t leaf, uint32_t subleaf)
{
    uint64_t seed = *(uint64_t *)context ^ ((uint64_t)leaf << 32 | subleaf) * 0x9E3779B97F4A7C15;
    seed |= 1;
    random_u64(&seed);
    uint64_t a = random_u64(&seed), b = random_u64(&seed);
    struct cpuid_regs r = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32)};
    if (leaf == 0)
        r.eax &= 0x3F;
    if (leaf == 0xD && subleaf >= 2) {
        r.eax &= 0xFFF;
        r.ebx &= 0xFFF;
    }
    if (leaf == 0x80000000)
        r.eax = 0x80000000 | (r.eax & 0xF);
    return r;
}

static struct cpuid_policy policy_of(cpuid_read_fn read, void *context, const struct cpuid_features *features)
{
    struct cpuid_policy policy;
    memset(&policy, 0x5A, sizeof(policy));
    cpuid_policy_init(&policy, read, context, features);
    return policy;
}

static struct cpuid_regs ask(struct cpuid_table *table, uint32_t leaf, uint32_t subleaf)
{
    return *cpuid_lookup(table, leaf, subleaf);
}

static bool is_zero(struct cpuid_regs r)
{
    return (r.eax | r.ebx | r.ecx | r.edx) == 0;
}

/* ------------------------------------------------------------------------------------------ nothing hidden
 * shows */

static void assert_hidden(struct cpuid_table *t)
{
    struct cpuid_regs r = ask(t, 1, 0);
    assert_int_equal(r.ecx & (1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 10 |
                              1u << 11 | 1u << 14 | 1u << 15 | 1u << 16 | 1u << 18 | 1u << 24 | 1u << 27),
                     0);
    assert_int_equal(r.edx & (1u << 7 | 1u << 10 | 1u << 12 | 1u << 14 | 1u << 18 | 1u << 20 | 1u << 21 |
                              1u << 22 | 1u << 29 | 1u << 30 | 1u << 31),
                     0);
    r = ask(t, 7, 0);
    assert_int_equal(r.ebx & (1u << 1 | 1u << 2 | 1u << 4 | 1u << 11 | 1u << 12 | 1u << 14 | 1u << 15 |
                              1u << 22 | 1u << 25 | 1u << 26 | 1u << 27),
                     0);
    assert_int_equal(r.ecx & (1u << 0 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 7 | 1u << 13 | 1u << 15 |
                              0x3Fu << 16 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26 | 1u << 29 | 1u << 30 |
                              1u << 31),
                     0);
    assert_int_equal(r.edx & (3u << 0 | 1u << 5 | 1u << 9 | 1u << 11 | 1u << 13 | 1u << 15 | 1u << 18 |
                              1u << 19 | 1u << 20 | 1u << 22 | 1u << 24 | 1u << 25 | 0x3Fu << 26),
                     0);
    r = ask(t, 7, 1);
    assert_int_equal(r.eax & ~(1u << 4 | 1u << 5 | 7u << 10), 0);
    assert_int_equal(r.ebx | r.ecx | r.edx, 0);
    for (uint32_t leaf = 0; leaf <= t->max_basic; leaf++)
        if (leaf == 3 || leaf == 5 || leaf == 6 || (leaf >= 8 && leaf <= 0xA) || leaf == 0xC ||
            (leaf >= 0xE && leaf <= 0x14))
            assert_true(is_zero(ask(t, leaf, 0)));
    r = ask(t, 0xD, 0);
    assert_int_equal((r.eax & ~0xE7u) | r.edx, 0);
    r = ask(t, 0xD, 1);
    assert_int_equal((r.eax & ~7u) | r.ecx | r.edx, 0);
    for (uint32_t i = 2; i < 64; i++)
        assert_true(is_zero(ask(t, 0xD, i)) || (ask(t, 0xD, 0).eax >> i & 1));
    r = ask(t, 0x80000001, 0);
    assert_int_equal((r.ecx & ~0x121u) | (r.edx & ~0x2C100800u) | r.eax | r.ebx, 0);
    assert_int_equal(ask(t, 0x80000007, 0).edx & ~0x100u, 0);
    r = ask(t, 0x80000008, 0);
    assert_int_equal((r.eax & ~0xFFFFu) | r.ebx | r.ecx | r.edx, 0);
    assert_int_equal(r.eax >> 8, 48);
    assert_true(is_zero(ask(t, 0x80000005, 0)));
}

static void a_host_of_ones_shows_nothing_hidden(void **state)
{
    struct cpuid_policy p = policy_of(all_ones, NULL, &all_features);

    (void)state;
    assert_hidden(&p.table);
    assert_int_equal(p.xcr0_allowed, 3); /* its component sizes are nonsense, so no AVX */
    assert_int_equal(ask(&p.table, 1, 0).ecx & AVX_FEATURES, 0);
    p = policy_of(server, NULL, &all_features);
    assert_hidden(&p.table);
    for (uint32_t i = 0; i < 300; i++) { /* nor in the tables of other vCPUs */
        struct cpuid_table t;
        cpuid_table_init(&t, &p, i % 256, 1 + i % 256 + (i % 2 ? 0 : (255 - i % 256)));
        cpuid_set_xcr0(&t, p.xcr0_allowed);
        assert_hidden(&t);
    }
}

static void noise_shows_only_what_it_has(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 3000; seed++) {
        uint64_t context = seed * 0xD1342543DE82EF95;
        struct cpuid_features features = {.rdtscp = seed & 1, .invpcid = seed & 2, .tsc_hz = seed << 20};
        struct cpuid_policy p = policy_of(noise, &context, &features);
        struct cpuid_policy again = policy_of(noise, &context, &features);
        struct cpuid_table *t = &p.table;

        assert_memory_equal(&p.table, &again.table, sizeof(p.table));
        assert_hidden(t);
        struct cpuid_regs host = noise(&context, 1, 0), guest = ask(t, 1, 0);
        assert_int_equal(guest.ecx & ~host.ecx & ~(CPUID_1_ECX_X2APIC | CPUID_1_ECX_HYPERVISOR), 0);
        assert_int_equal(guest.edx & ~host.edx & ~CPUID_1_EDX_APIC, 0);
        uint32_t max_basic = noise(&context, 0, 0).eax;
        host = max_basic >= 7 ? noise(&context, 7, 0) : (struct cpuid_regs){0};
        guest = ask(t, 7, 0);
        assert_int_equal((guest.ebx & ~host.ebx) | (guest.ecx & ~host.ecx) | (guest.edx & ~host.edx), 0);
        host = (noise(&context, 0x80000000, 0).eax & 0xF) >= 1 ? noise(&context, 0x80000001, 0)
                                                               : (struct cpuid_regs){0};
        guest = ask(t, 0x80000001, 0);
        assert_int_equal((guest.ecx & ~host.ecx) | (guest.edx & ~host.edx), 0);
        assert_true((p.xcr0_allowed & XCR0_AVX512) == 0 || (p.xcr0_allowed & XCR0_AVX512) == XCR0_AVX512);
        assert_true((ask(t, 1, 0).ecx & CPUID_1_ECX_AVX) == 0 || (p.xcr0_allowed & XCR0_AVX));
        assert_true((ask(t, 7, 0).ebx & CPUID_7_EBX_AVX512F) == 0 || (p.xcr0_allowed & XCR0_OPMASK));
        assert_int_equal(
            p.cr4_allowed & (CR4_VMXE | CR4_SMXE | CR4_LA57 | CR4_PKE | CR4_CET | CR4_PKS | CR4_KL), 0);
        assert_int_equal(!!(p.cr4_allowed & CR4_OSXSAVE), p.xcr0_allowed != 0);
    }
}

static void a_poor_host_is_fine(void **state)
{
    struct cpuid_policy p = policy_of(all_zeros, NULL, &all_features);

    (void)state;
    assert_hidden(&p.table);
    assert_int_equal(p.xcr0_allowed, 0);
    assert_true(is_zero(ask(&p.table, 0xD, 0)) && is_zero(ask(&p.table, 0xD, 1)));
    assert_int_equal(ask(&p.table, 0x80000008, 0).eax & 0xFF, 36);
}

/* ------------------------------------------------------------------------------------------------ what does
 * show */

static void a_server_shows_its_strength(void **state)
{
    struct cpuid_policy p = policy_of(server, NULL, &all_features);
    struct cpuid_table *t = &p.table;

    (void)state;
    assert_int_equal(p.signature, 0x50654);
    assert_int_equal(p.xcr0_allowed, 0xE7);
    assert_int_equal(ask(t, 0, 0).eax, 0x16);
    assert_int_equal(ask(t, 0, 0).ebx, 0x756E6547);
    const uint32_t ecx = CPUID_1_ECX_AVX | CPUID_1_ECX_FMA | CPUID_1_ECX_F16C | CPUID_1_ECX_XSAVE |
                         CPUID_1_ECX_X2APIC | CPUID_1_ECX_HYPERVISOR | CPUID_1_ECX_RDRAND | CPUID_1_ECX_PCID |
                         CPUID_1_ECX_SSE3 | CPUID_1_ECX_AESNI | CPUID_1_ECX_CMPXCHG16B;
    assert_int_equal(ask(t, 1, 0).ecx & ecx, ecx);
    const uint32_t edx = CPUID_1_EDX_FPU | CPUID_1_EDX_TSC | CPUID_1_EDX_MSR | CPUID_1_EDX_APIC |
                         CPUID_1_EDX_CMOV | CPUID_1_EDX_PAT | CPUID_1_EDX_FXSR | CPUID_1_EDX_SSE |
                         CPUID_1_EDX_SSE2;
    assert_int_equal(ask(t, 1, 0).edx & edx, edx);
    assert_int_equal(ask(t, 1, 0).ebx, 0x00010800);
    const uint32_t ebx = CPUID_7_EBX_AVX2 | CPUID_7_EBX_AVX512F | CPUID_7_EBX_AVX512VL | CPUID_7_EBX_SMEP |
                         CPUID_7_EBX_SMAP | CPUID_7_EBX_INVPCID | CPUID_7_EBX_FSGSBASE | CPUID_7_EBX_RDSEED;
    assert_int_equal(ask(t, 7, 0).ebx & ebx, ebx);
    assert_true(ask(t, 7, 0).ecx & CPUID_7_ECX_UMIP);
    assert_true(ask(t, 7, 0).ecx & CPUID_7_ECX_RDPID);
    assert_int_equal(ask(t, 0x80000001, 0).edx, CPUID_E1_EDX_SYSCALL | CPUID_E1_EDX_NX | CPUID_E1_EDX_1GIB |
                                                    CPUID_E1_EDX_RDTSCP | CPUID_E1_EDX_LM);
    assert_int_equal(ask(t, 0x80000008, 0).eax, 0x302E);
    assert_int_equal(ask(t, 0x80000007, 0).edx, 0x100);
    assert_int_equal(ask(t, 0x15, 0).ecx, 25000000);
    assert_int_equal(ask(t, 0x16, 0).eax, 2900);
    assert_int_equal(p.cr4_allowed &
                         (CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE),
                     CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE);
}

/* The whitelist once more, as bit numbers from the manual's tables: a slip in one of the two shows. */
static uint32_t bits_of(const uint8_t *list, size_t count)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits |= 1u << list[i];
    return bits;
}

#define BITS(...) bits_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void the_whitelist_is_exact(void **state)
{
    struct cpuid_policy p = policy_of(server, NULL, &all_features);
    struct cpuid_table *t = &p.table;

    (void)state;
    assert_int_equal(ask(t, 1, 0).ecx, BITS(0, 1, 9, 12, 13, 17, 19, 20, 21, 22, 23, 25, 26, 28, 29, 30, 31));
    assert_int_equal(ask(t, 1, 0).edx,
                     BITS(0, 1, 2, 3, 4, 5, 6, 8, 9, 11, 13, 15, 16, 17, 19, 23, 24, 25, 26, 27));
    assert_int_equal(ask(t, 7, 0).ebx,
                     BITS(0, 3, 5, 6, 7, 8, 9, 10, 13, 16, 17, 18, 19, 20, 21, 23, 24, 28, 29, 30, 31));
    assert_int_equal(ask(t, 7, 0).ecx, BITS(1, 2, 6, 8, 9, 10, 11, 12, 14, 22, 27, 28));
    assert_int_equal(ask(t, 7, 0).edx, BITS(4, 8, 10, 14, 23));
    assert_int_equal(ask(t, 7, 0).eax, 1);
    assert_int_equal(ask(t, 7, 1).eax, BITS(4, 5, 10, 11, 12));
    assert_true(is_zero(ask(t, 7, 2)) && is_zero(ask(t, 7, UINT32_MAX)));
    assert_int_equal(ask(t, 0xD, 1).eax, BITS(0, 1, 2));
    assert_int_equal(ask(t, 0x80000000, 0).eax, 0x80000008);
    assert_int_equal(ask(t, 0x80000001, 0).ecx, BITS(0, 5, 8));
    assert_int_equal(ask(t, 0x80000001, 0).edx, BITS(11, 20, 26, 27, 29));
    for (uint32_t leaf = 0x80000002; leaf <= 0x80000004; leaf++) /* the processor's name */
        assert_int_equal(ask(t, leaf, 0).edx, UINT32_MAX);
    assert_int_equal(p.cr4_allowed, BITS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 20, 21));
}

static struct cpuid_regs without_crystal(void *context, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = server(context, leaf, subleaf);
    if (leaf == 0x15)
        r.ecx = 0;
    return r;
}

static struct cpuid_regs without_sse_state(void *context, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = server(context, leaf, subleaf);
    if (leaf == 0xD && subleaf == 0)
        r.eax &= ~(uint32_t)XCR0_SSE;
    return r;
}

static struct cpuid_regs with_far_avx_state(void *context, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = server(context, leaf, subleaf);
    if (leaf == 0xD && subleaf == 2)
        r.ebx = UINT32_MAX - 0x80;
    return r;
}

static struct cpuid_regs with_near_avx_state(void *context, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = server(context, leaf, subleaf);
    if (leaf == 0xD && subleaf == 2)
        r.ebx = 0x200; /* inside the legacy area */
    return r;
}

static void components_at_impossible_places_are_hidden(void **state)
{
    struct cpuid_policy p = policy_of(with_far_avx_state, NULL, &all_features);

    (void)state;
    assert_int_equal(p.xcr0_allowed, XCR0_X87 | XCR0_SSE);
    p = policy_of(with_near_avx_state, NULL, &all_features);
    assert_int_equal(p.xcr0_allowed, XCR0_X87 | XCR0_SSE);
}

static void halves_are_not_shown(void **state)
{
    struct cpuid_policy p = policy_of(without_crystal, NULL, &all_features);

    (void)state;
    assert_true(is_zero(ask(&p.table, 0x15, 0)));
    p = policy_of(without_sse_state, NULL, &all_features);
    assert_int_equal(p.xcr0_allowed, 0);
    p = policy_of(all_ones, NULL, &all_features); /* a host that never ends its list of caches */
    assert_false(is_zero(ask(&p.table, 4, CPUID_CACHE_SUBLEAVES - 2)));
    assert_true(is_zero(ask(&p.table, 4, CPUID_CACHE_SUBLEAVES - 1)));
    assert_int_equal(ask(&p.table, 0, 0).eax, 0x16);
}

static void controls_that_are_off_hide_their_instructions(void **state)
{
    struct cpuid_features none = {.tsc_hz = 1};
    struct cpuid_policy p = policy_of(server, NULL, &none);

    (void)state;
    assert_int_equal(ask(&p.table, 0x80000001, 0).edx & CPUID_E1_EDX_RDTSCP, 0);
    assert_int_equal(ask(&p.table, 7, 0).ecx & CPUID_7_ECX_RDPID, 0);
    assert_int_equal(ask(&p.table, 7, 0).ebx & CPUID_7_EBX_INVPCID, 0);
}

static void the_hypervisor_names_itself(void **state)
{
    struct cpuid_policy p = policy_of(server, NULL, &all_features);
    struct cpuid_regs r = ask(&p.table, 0x40000000, 0);

    (void)state;
    assert_int_equal(r.eax, 0x40000010);
    assert_memory_equal(&r.ebx, FH_CPUID_SIGNATURE, 12);
    assert_int_equal(ask(&p.table, 0x40000010, 0).eax, 2900000);
    for (uint32_t i = 1; i < 0x10; i++)
        assert_true(is_zero(ask(&p.table, 0x40000000 + i, 0)));
}

static void absent_leaves_answer_like_the_highest_basic_one(void **state)
{
    static const uint32_t absent[] = {0x17,       0x1F,       0x20,       0xFF,       0x3FFFFFFF, 0x40000011,
                                      0x40000100, 0x7FFFFFFF, 0x80000009, 0x8000001E, 0xC0000000, 0xFFFFFFFF};
    struct cpuid_policy p = policy_of(server, NULL, &all_features);
    struct cpuid_policy poor = policy_of(all_zeros, NULL, &all_features);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
        struct cpuid_regs r = ask(&p.table, absent[i], 3), highest = ask(&p.table, 0x16, 3);
        assert_memory_equal(&r, &highest, sizeof(r));
        r = ask(&poor.table, absent[i], 3);
        highest = ask(&poor.table, 0xD, 3);
        assert_memory_equal(&r, &highest, sizeof(r));
    }
}

static void lookups_stay_inside(void **state)
{
    struct cpuid_policy p = policy_of(server, NULL, &all_features);
    uint64_t seed = 99;
    const char *first = (const char *)&p.table, *behind = (const char *)(&p.table + 1);

    (void)state;
    for (int i = 0; i < 500000; i++) {
        uint32_t leaf = (uint32_t)random_u64(&seed), subleaf = (uint32_t)random_u64(&seed);
        if (i % 2)
            leaf = (leaf & 0xC000001F);
        if (i % 3)
            subleaf &= 0x4F;
        const struct cpuid_regs *r = cpuid_lookup(&p.table, leaf, subleaf);
        bool inside = (const char *)r >= first && (const char *)(r + 1) <= behind;
        assert_true(inside || is_zero(*r));
        const struct cpuid_regs *rare = cpuid_lookup_rare(&p.table, leaf, subleaf);
        assert_ptr_equal(r, rare); /* the short way leads to the same place */
    }
}

/* ----------------------------------------------------------------------------------------------- one vCPU's
 * view */

static void topology_is_one_package_of_single_threads(void **state)
{
    struct cpuid_policy p = policy_of(server, NULL, &all_features);
    static const struct {
        uint32_t count, bits;
    } sizes[] = {{1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {8, 3}, {9, 4}, {64, 6}, {256, 8}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint32_t count = sizes[i].count, ids = 1u << sizes[i].bits;
        for (uint32_t index = 0; index < count; index++) {
            struct cpuid_table t;
            cpuid_table_init(&t, &p, index, count);
            assert_int_equal(ask(&t, 1, 0).ebx >> 24, index);
            assert_int_equal(ask(&t, 1, 0).ebx >> 16 & 0xFF, ids > 255 ? 255 : ids);
            assert_int_equal(!!(ask(&t, 1, 0).edx & CPUID_1_EDX_HTT), count > 1);
            struct cpuid_regs smt = ask(&t, 0xB, 0), core = ask(&t, 0xB, 1);
            assert_true(smt.eax == 0 && smt.ebx == 1 && smt.ecx == 0x100 && smt.edx == index);
            assert_true(core.eax == sizes[i].bits && core.ebx == count && core.ecx == 0x201 &&
                        core.edx == index);
            for (uint32_t sub = 2; sub < 1000; sub += 7) {
                struct cpuid_regs none = ask(&t, 0xB, sub);
                assert_true(none.eax == 0 && none.ebx == 0 && none.ecx == (sub & 0xFF) && none.edx == index);
            }
            assert_int_equal(ask(&t, 4, 0).eax >> 14 & 0xFFF, 0);
            assert_int_equal(ask(&t, 4, 3).eax >> 14 & 0xFFF, ids - 1);
            assert_int_equal(ask(&t, 4, 3).eax >> 26, ids > 64 ? 63 : ids - 1);
            assert_int_equal(ask(&t, 4, 3).ecx, 0x4FFF);
            assert_true(is_zero(ask(&t, 4, 4)) && is_zero(ask(&t, 4, 200)));
        }
    }
}

static void osxsave_follows_the_guest(void **state)
{
    struct cpuid_policy p = policy_of(server, NULL, &all_features);
    struct cpuid_table t;

    (void)state;
    cpuid_table_init(&t, &p, 0, 1);
    uint32_t before = ask(&t, 1, 0).ecx;
    assert_int_equal(before & CPUID_1_ECX_OSXSAVE, 0);
    cpuid_set_osxsave(&t, true);
    assert_int_equal(ask(&t, 1, 0).ecx, before | CPUID_1_ECX_OSXSAVE);
    cpuid_set_osxsave(&t, false);
    assert_int_equal(ask(&t, 1, 0).ecx, before);
}

static void xsave_sizes_follow_xcr0(void **state)
{
    static const struct {
        uint64_t xcr0;
        uint32_t standard, compacted;
    } sizes[] = {{1, 576, 576}, {3, 576, 576}, {7, 832, 832}, {0xE7, 2688, 2432}};
    struct cpuid_policy p = policy_of(server, NULL, &all_features);
    struct cpuid_table t;

    (void)state;
    cpuid_table_init(&t, &p, 0, 1);
    assert_int_equal(ask(&t, 0xD, 0).ecx, 2688);
    assert_int_equal(ask(&t, 0xD, 0).ebx, 576);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        cpuid_set_xcr0(&t, sizes[i].xcr0);
        assert_int_equal(ask(&t, 0xD, 0).eax, 0xE7);
        assert_int_equal(ask(&t, 0xD, 0).ebx, sizes[i].standard);
        assert_int_equal(ask(&t, 0xD, 1).ebx, sizes[i].compacted);
    }
    assert_int_equal(ask(&t, 0xD, 2).eax, 0x100);
    assert_int_equal(ask(&t, 0xD, 2).ebx, 0x240);
    assert_true(is_zero(ask(&t, 0xD, 3)) && is_zero(ask(&t, 0xD, 9)) && is_zero(ask(&t, 0xD, 63)));
}

static struct cpuid_regs without_xsave(void *context, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = server(context, leaf, subleaf);
    if (leaf == 1)
        r.ecx &= ~CPUID_1_ECX_XSAVE;
    return r;
}

static struct cpuid_regs without_opmask(void *context, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = server(context, leaf, subleaf);
    if (leaf == 0xD && subleaf == 0)
        r.eax &= ~(uint32_t)XCR0_OPMASK;
    return r;
}

static void vector_features_need_their_registers(void **state)
{
    struct cpuid_policy p = policy_of(without_xsave, NULL, &all_features);

    (void)state;
    assert_int_equal(p.xcr0_allowed, 0);
    assert_int_equal(ask(&p.table, 1, 0).ecx & (CPUID_1_ECX_XSAVE | AVX_FEATURES), 0);
    assert_int_equal(ask(&p.table, 7, 0).ebx & (CPUID_7_EBX_AVX2 | CPUID_7_EBX_AVX512F), 0);
    assert_int_equal(p.cr4_allowed & CR4_OSXSAVE, 0);

    p = policy_of(without_opmask, NULL, &all_features);
    assert_int_equal(p.xcr0_allowed, 7);
    assert_true(ask(&p.table, 7, 0).ebx & CPUID_7_EBX_AVX2);
    assert_int_equal(ask(&p.table, 7, 0).ebx & CPUID_7_EBX_AVX512F, 0);
    assert_int_equal(ask(&p.table, 7, 0).ecx & CPUID_7_ECX_AVX512_VNNI, 0);
    assert_int_equal(ask(&p.table, 7, 1).eax & CPUID_7_1_EAX_AVX512_BF16, 0);
    assert_true(ask(&p.table, 7, 1).eax & CPUID_7_1_EAX_AVX_VNNI);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_of_ones_shows_nothing_hidden),
        cmocka_unit_test(noise_shows_only_what_it_has),
        cmocka_unit_test(a_poor_host_is_fine),
        cmocka_unit_test(a_server_shows_its_strength),
        cmocka_unit_test(the_whitelist_is_exact),
        cmocka_unit_test(components_at_impossible_places_are_hidden),
        cmocka_unit_test(halves_are_not_shown),
        cmocka_unit_test(controls_that_are_off_hide_their_instructions),
        cmocka_unit_test(the_hypervisor_names_itself),
        cmocka_unit_test(absent_leaves_answer_like_the_highest_basic_one),
        cmocka_unit_test(lookups_stay_inside),
        cmocka_unit_test(topology_is_one_package_of_single_threads),
        cmocka_unit_test(osxsave_follows_the_guest),
        cmocka_unit_test(xsave_sizes_follow_xcr0),
        cmocka_unit_test(vector_features_need_their_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
