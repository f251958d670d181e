/*
 * The two lives of `leak`. The first writes a pattern into everything a vCPU keeps, and dies; the second must
 * find none of it. What it looks at is what selftest's entry code saved before it could change anything, and
 * the MSRs.
 */
#include "guest/selftest/check.h"

#include "guest/lib/memory.h"

#define PATTERN        UINT64_C(0x5EC2E75EC2E75EC2)
#define ADDRESS        UINT64_C(0xFFFF8EC2E75EC2E0) /* canonical */
#define PAT_RESET      UINT64_C(0x0007040600070406)
#define PAT_PATTERN    UINT64_C(0x0606060606060606)
#define DR7_PATTERN    UINT64_C(0x400) /* no breakpoint armed: it would fire */
#define AMD_EDX_RDTSCP (1u << 27)
#define ECX_XSAVE      (1u << 26)
#define EFER_CLEAN     (EFER_LME | EFER_LMA)

static const struct {
    uint32_t msr;
    uint64_t pattern;
    uint64_t clean;
} msrs[] = {
    {MSR_STAR, PATTERN, 0},           {MSR_LSTAR, ADDRESS, 0},           {MSR_CSTAR, ADDRESS, 0},
    {MSR_FMASK, 0x40700, 0},          {MSR_FS_BASE, ADDRESS, 0},         {MSR_GS_BASE, ADDRESS, 0},
    {MSR_KERNEL_GS_BASE, ADDRESS, 0}, {MSR_SYSENTER_CS, 0x1234, 0},      {MSR_SYSENTER_ESP, ADDRESS, 0},
    {MSR_SYSENTER_EIP, ADDRESS, 0},   {MSR_PAT, PAT_PATTERN, PAT_RESET},
};
#define MSRS (sizeof msrs / sizeof msrs[0])

static bool has_tsc_aux(void)
{
    return (cpuid(0x80000001u, 0).edx & AMD_EDX_RDTSCP) != 0;
}

void check_registers_clean(void)
{
    for (unsigned i = 0; i < MSRS; i++)
        check(rdmsr(msrs[i].msr) == msrs[i].clean, "MSR 0x%x is 0x%lx", msrs[i].msr, rdmsr(msrs[i].msr));
    if (has_tsc_aux())
        check_equal(rdmsr(MSR_TSC_AUX), 0, "IA32_TSC_AUX");
    check((entry_state.efer & EFER_CLEAN) == EFER_CLEAN && (entry_state.efer & EFER_SCE) == 0,
          "EFER was 0x%lx", entry_state.efer);
    group_entry();
}

static void fill_vector_registers(void)
{
    static const uint64_t pattern[4] = {PATTERN, PATTERN, PATTERN, PATTERN};
#define FILL(n) __asm__ volatile("movups %0, %%xmm" #n : : "m"(pattern))
    FILL(0);
    FILL(1);
    FILL(2);
    FILL(3);
    FILL(4);
    FILL(5);
    FILL(6);
    FILL(7);
    FILL(8);
    FILL(9);
    FILL(10);
    FILL(11);
    FILL(12);
    FILL(13);
    FILL(14);
    FILL(15);
#undef FILL
    uint32_t mxcsr = 0x1F00; /* another exception unmasked */
    uint16_t fcw = 0x27F;
    __asm__ volatile("fldcw %1; fldpi; ldmxcsr %0" : : "m"(mxcsr), "m"(fcw));
    if ((cpuid(1, 0).ecx & ECX_XSAVE) == 0)
        return;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    struct cpuid leaf = cpuid(0xD, 0);
    xsetbv(0, (uint64_t)leaf.edx << 32 | leaf.eax);
}

static void fill_registers(void)
{
    for (unsigned i = 0; i < MSRS; i++)
        wrmsr(msrs[i].msr, msrs[i].pattern);
    if (has_tsc_aux())
        wrmsr(MSR_TSC_AUX, 0x5EC2E75E);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
    write_dr0(ADDRESS);
    write_dr1(ADDRESS + 1);
    write_dr2(ADDRESS + 2);
    write_dr3(ADDRESS + 3);
    write_dr6(0xFFFF0FFF);
    write_dr7(DR7_PATTERN);
    write_cr2(PATTERN);
    write_cr8(5);
    fill_vector_registers();
}

static void fill_memory(uint64_t start, uint64_t end)
{
    uint64_t at = start, words = (end - start) / 8;
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(PATTERN) : "memory");
}

/* An IDT without entries turns the first exception into a triple fault. */
void leak_and_die(void)
{
    print("selftest: leaving patterns in memory and registers, then dying\n");
    struct range low = memory_free(), high = memory_high();
    fill_memory(low.start, low.end);
    fill_memory(high.start, high.end);
    fill_memory(FH_AP_PAGE, FH_AP_PAGE + 0x1000);
    fill_registers();
    write_idtr((struct table_register){0, 0});
    for (;;)
        __asm__ volatile("ud2");
}
