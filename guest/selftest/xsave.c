/*
 * Group `xsave`: extended state belongs to the vCPU. XCR0 takes what CPUID offers and nothing else, XSAVE and
 * XRSTOR agree, and vector registers survive exits. Intel SDM volume 1, "Managing State Using the XSAVE
 * Feature Set" (order number 325462, June 2024).
 */
#include "guest/selftest/check.h"

#define LEAF_XSAVE    0xDu
#define ECX_XSAVE     (1u << 26)
#define EBX7_AVX512F  (1u << 16)
#define XCR0_X87      UINT64_C(0x1)
#define XCR0_SSE      UINT64_C(0x2)
#define XCR0_AVX      UINT64_C(0x4)
#define XCR0_OPMASK   UINT64_C(0x20)
#define LEGACY_BYTES  512
#define HEADER_BYTES  64
#define AREA_BYTES    4096
#define XMM_OFFSET    160 /* of XMM0 in the legacy region */
#define AVX_COMPONENT 2u

static uint8_t area[AREA_BYTES] __attribute__((aligned(64)));
static uint8_t pattern[16][32] __attribute__((aligned(32)));
static uint8_t seen[16][32] __attribute__((aligned(32)));

static void make_pattern(uint8_t salt)
{
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned byte = 0; byte < 32; byte++)
            pattern[i][byte] = (uint8_t)(salt + i * 37 + byte * 5 + 1);
    }
}

#define FOR_16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

static void load_xmm(void)
{
#define LOAD(n) __asm__ volatile("movups %0, %%xmm" #n : : "m"(pattern[n]));
    FOR_16(LOAD)
#undef LOAD
}

static void store_xmm(void)
{
#define STORE(n) __asm__ volatile("movups %%xmm" #n ", %0" : "=m"(seen[n]));
    FOR_16(STORE)
#undef STORE
}

static void load_ymm(void)
{
#define LOAD(n) __asm__ volatile("vmovups %0, %%ymm" #n : : "m"(pattern[n]));
    FOR_16(LOAD)
#undef LOAD
}

static void store_ymm(void)
{
#define STORE(n) __asm__ volatile("vmovups %%ymm" #n ", %0" : "=m"(seen[n]));
    FOR_16(STORE)
#undef STORE
}

/* Exits of every common kind, with the hypervisor's own work in between. */
static void leave_the_guest(void)
{
    (void)cpuid(0, 0);
    (void)hypercall(FH_CALL_NOP, 0, 0, 0);
    (void)in8(FH_PORT_UART + 5);
    (void)rdmsr(FH_MSR_X2APIC_ID);
    progress(1);
}

static void check_survival(const char *registers, unsigned bytes, void (*load)(void), void (*store)(void))
{
    for (uint8_t salt = 0; salt < 3; salt++) {
        make_pattern(salt);
        load();
        leave_the_guest();
        store();
        for (unsigned i = 0; i < 16; i++) {
            bool same = __builtin_memcmp(pattern[i], seen[i], bytes) == 0;
            check(same, "%s%u changed across exits", registers, i);
        }
    }
}

static void do_xsetbv(void *argument)
{
    const uint64_t *index_and_value = argument;
    xsetbv((uint32_t)index_and_value[0], index_and_value[1]);
}

static void check_xsetbv_refuses(uint32_t index, uint64_t value)
{
    uint64_t argument[2] = {index, value};
    struct probe_result r = probe(do_xsetbv, argument);
    check(r.vector == VECTOR_GP, "XSETBV(%u, 0x%lx): vector %d", index, value, r.vector);
}

static uint64_t offered(void)
{
    struct cpuid r = cpuid(LEAF_XSAVE, 0);
    return (uint64_t)r.edx << 32 | r.eax;
}

static void check_xcr0(void)
{
    uint64_t all = offered();
    check((all & (XCR0_X87 | XCR0_SSE)) == (XCR0_X87 | XCR0_SSE), "CPUID leaf 0xD offers only 0x%lx", all);
    check((xgetbv(0) & XCR0_X87) != 0 && (xgetbv(0) & ~all) == 0, "XCR0 is 0x%lx at first", xgetbv(0));
    xsetbv(0, XCR0_X87);
    uint32_t least_bytes = cpuid(LEAF_XSAVE, 0).ebx;
    check_equal(least_bytes, LEGACY_BYTES + HEADER_BYTES, "CPUID leaf 0xD EBX with x87 only");
    xsetbv(0, all);
    check_equal(xgetbv(0), all, "XCR0 after setting all that is offered");
    struct cpuid r = cpuid(LEAF_XSAVE, 0);
    check(r.ebx <= r.ecx && r.ebx >= least_bytes, "CPUID leaf 0xD: %u bytes now, %u at most", r.ebx, r.ecx);
    check_equal(r.ebx, r.ecx, "CPUID leaf 0xD EBX with everything on");

    check_xsetbv_refuses(0, 0);
    check_xsetbv_refuses(0, all & ~XCR0_X87);
    check_xsetbv_refuses(0, XCR0_X87 | XCR0_AVX); /* AVX needs SSE */
    check_xsetbv_refuses(0, all | UINT64_C(1) << 63);
    check_xsetbv_refuses(0, all | UINT64_C(1) << 62);
    check_xsetbv_refuses(1, all);
    check_xsetbv_refuses(0xFFFFFFFF, all);
    if ((all & XCR0_OPMASK) != 0)
        check_xsetbv_refuses(0, XCR0_X87 | XCR0_SSE | XCR0_AVX |
                                    XCR0_OPMASK); /* the three AVX-512 bits go together */
    check_equal(xgetbv(0), all, "XCR0 after refused XSETBVs");
}

static void clear_ymm(void)
{
    __builtin_memset(seen, 0, sizeof seen);
    __builtin_memset(pattern, 0, sizeof pattern);
    load_ymm();
}

static void check_round_trip(void)
{
    uint64_t mask = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    make_pattern(77);
    load_ymm();
    __builtin_memset(area, 0, sizeof area);
    __asm__ volatile("xsave64 %0" : "+m"(area) : "a"((uint32_t)mask), "d"(0) : "memory");
    check(__builtin_memcmp(area + XMM_OFFSET, pattern[0], 16) == 0, "XSAVE stored another XMM0");
    uint32_t avx_offset = cpuid(LEAF_XSAVE, AVX_COMPONENT).ebx;
    if (check(avx_offset + 16 <= AREA_BYTES, "CPUID leaf 0xD.2: offset %u", avx_offset))
        check(__builtin_memcmp(area + avx_offset, pattern[0] + 16, 16) == 0,
              "XSAVE stored another upper YMM0");
    clear_ymm();
    leave_the_guest();
    __asm__ volatile("xrstor64 %0" : : "m"(area), "a"((uint32_t)mask), "d"(0) : "memory");
    store_ymm();
    make_pattern(77);
    check(__builtin_memcmp(pattern, seen, sizeof seen) == 0, "XRSTOR brought other YMM registers");
}

static void do_bad_xrstor(void *unused)
{
    (void)unused;
    area[LEGACY_BYTES + 7] = 0x40; /* a state component nobody has */
    __asm__ volatile("xrstor64 %0" : : "m"(area), "a"(~0u), "d"(~0u) : "memory");
}

static void do_avx(void *unused)
{
    (void)unused;
    load_ymm();
}

void group_xsave(void)
{
    check_survival("XMM", 16, load_xmm, store_xmm);
    if ((cpuid(1, 0).ecx & ECX_XSAVE) == 0)
        return;
    uint64_t cr4 = read_cr4();
    write_cr4(cr4 | CR4_OSXSAVE);
    check_xcr0();
    if ((offered() & XCR0_AVX) != 0) {
        check_survival("YMM", 32, load_ymm, store_ymm);
        check_round_trip();
        check_raises(VECTOR_GP, "XRSTOR with a reserved state bit", do_bad_xrstor, NULL);
        xsetbv(0, XCR0_X87 | XCR0_SSE);
        leave_the_guest();
        check_raises(VECTOR_UD, "AVX with XCR0.AVX clear", do_avx, NULL);
        xsetbv(0, offered());
        __asm__ volatile("vzeroall");
    }
    write_cr4(cr4);
}
