/*
 * Group `cpuid`: what CPUID shows is what the partition can have, and what it hides is not there. Bits: Intel
 * SDM volume 2, "CPUID-CPU Identification" (order number 325462, June 2024).
 */
#include "guest/selftest/check.h"

#include "guest/lib/memory.h"
#include "guest/lib/smp.h"

#define LEAF_FEATURES   1u
#define LEAF_EXTENDED   7u
#define LEAF_PERFMON    0xAu
#define LEAF_TOPOLOGY   0xBu
#define LEAF_XSAVE      0xDu
#define LEAF_SGX        0x12u
#define LEAF_PT         0x14u
#define LEAF_AMD_BASE   0x80000000u
#define LEAF_AMD        0x80000001u
#define LEAF_NOWHERE    0x3FFFFFFFu
#define TOPOLOGY_LEVELS 8 /* more than any processor has */

#define BIT(n) (1u << (n))
/* Leaf 1 ECX. */
#define ECX_MONITOR      BIT(3)
#define ECX_VMX          BIT(5)
#define ECX_SMX          BIT(6)
#define ECX_PCID         BIT(17)
#define ECX_X2APIC       BIT(21)
#define ECX_TSC_DEADLINE BIT(24)
#define ECX_XSAVE        BIT(26)
#define ECX_OSXSAVE      BIT(27)
#define ECX_HYPERVISOR   BIT(31)
/* Leaf 7 EBX, ECX. */
#define EBX7_FSGSBASE BIT(0)
#define EBX7_SGX      BIT(2)
#define EBX7_SMEP     BIT(7)
#define EBX7_INVPCID  BIT(10)
#define EBX7_SMAP     BIT(20)
#define ECX7_UMIP     BIT(2)
#define ECX7_PKU      BIT(3)
/* Leaf 0x80000001 EDX, leaf 0xD subleaf 1 EAX. */
#define AMD_EDX_RDTSCP   BIT(27)
#define AMD_EDX_LM       BIT(29)
#define XSAVE_EAX_XSAVES BIT(3)

static struct cpuid leaf_or_zero(uint32_t leaf, uint32_t subleaf)
{
    uint32_t highest = cpuid(leaf & LEAF_AMD_BASE, 0).eax;
    return leaf <= highest ? cpuid(leaf, subleaf) : (struct cpuid){0};
}

static bool is_zero(struct cpuid r)
{
    return (r.eax | r.ebx | r.ecx | r.edx) == 0;
}

/* Intel's processors answer a leaf beyond every range like the highest basic one; nothing is as good. */
static bool beyond_shows_nothing_new(void)
{
    struct cpuid beyond = cpuid(LEAF_NOWHERE, 0), highest = cpuid(cpuid(0, 0).eax, 0);
    return is_zero(beyond) || __builtin_memcmp(&beyond, &highest, sizeof beyond) == 0;
}

static void check_hidden(void)
{
    uint32_t ecx = cpuid(LEAF_FEATURES, 0).ecx;
    check((ecx & ECX_VMX) == 0, "CPUID shows VMX");
    check((ecx & ECX_SMX) == 0, "CPUID shows SMX");
    check((ecx & ECX_TSC_DEADLINE) == 0, "CPUID shows a TSC-deadline timer, which there is none of");
    check((ecx & ECX_HYPERVISOR) != 0, "CPUID hides that there is a hypervisor");
    check((ecx & ECX_X2APIC) != 0, "CPUID hides the x2APIC");
    check((cpuid(LEAF_AMD, 0).edx & AMD_EDX_LM) != 0, "CPUID hides 64-bit mode");
    check((leaf_or_zero(LEAF_EXTENDED, 0).ebx & EBX7_SGX) == 0, "CPUID shows SGX");
    check(is_zero(leaf_or_zero(LEAF_PERFMON, 0)), "CPUID shows performance counters");
    check(is_zero(leaf_or_zero(LEAF_SGX, 0)), "CPUID shows SGX resources");
    check(is_zero(leaf_or_zero(LEAF_PT, 0)), "CPUID shows processor trace");
    check(beyond_shows_nothing_new(), "CPUID leaf 0x%x, beyond every range, shows something", LEAF_NOWHERE);
}

static void check_signature(void)
{
    struct cpuid r = cpuid(FH_CPUID_BASE, 0);
    uint32_t text[3] = {r.ebx, r.ecx, r.edx};
    check(__builtin_memcmp(text, FH_CPUID_SIGNATURE, sizeof text) == 0,
          "hypervisor leaf 0x%x has another signature", FH_CPUID_BASE);
    check(r.eax >= FH_CPUID_BASE && r.eax < FH_CPUID_BASE + 0x100, "highest hypervisor leaf is 0x%x", r.eax);
}

/* All four registers come back with their upper halves zero, whatever was in them. */
static void check_upper_halves(uint32_t leaf)
{
    uint64_t rax = ~UINT64_C(0) << 32 | leaf, rbx = ~UINT64_C(0), rcx = ~UINT64_C(0) << 32,
             rdx = ~UINT64_C(0);
    __asm__ volatile("cpuid" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx));
    check(((rax | rbx | rcx | rdx) >> 32) == 0, "CPUID leaf 0x%x leaves upper halves set", leaf);
}

static void check_topology(unsigned vcpu)
{
    uint32_t initial_id = cpuid(LEAF_FEATURES, 0).ebx >> 24;
    check(initial_id == (vcpu & 0xFF), "CPUID leaf 1 on vCPU %u: initial APIC id %u", vcpu, initial_id);
    check(rdmsr(FH_MSR_X2APIC_ID) == vcpu, "x2APIC id MSR on vCPU %u: %lu", vcpu, rdmsr(FH_MSR_X2APIC_ID));
    if (cpuid(0, 0).eax < LEAF_TOPOLOGY)
        return;
    bool ended = false;
    for (uint32_t level = 0; level < TOPOLOGY_LEVELS && !ended; level++) {
        struct cpuid r = cpuid(LEAF_TOPOLOGY, level);
        check(r.edx == vcpu, "CPUID leaf 0xB.%u on vCPU %u: x2APIC id %u", level, vcpu, r.edx);
        check((r.ecx & 0xFF) == level, "CPUID leaf 0xB.%u echoes %u", level, r.ecx & 0xFF);
        ended = (r.ecx >> 8 & 0xFF) == 0;
        if (!ended)
            check(r.ebx >= 1 && r.ebx <= vcpu_count(), "CPUID leaf 0xB.%u counts %u vCPUs", level, r.ebx);
    }
    check(ended, "CPUID leaf 0xB never ends");
}

static void do_rdtscp(void *unused)
{
    (void)unused;
    __asm__ volatile("rdtscp" : : : "rax", "rcx", "rdx");
}

static void do_invpcid(void *unused)
{
    (void)unused;
    uint64_t descriptor[2] = {0, 0};
    __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(UINT64_C(2)) : "memory"); /* all contexts */
}

static void do_xsaves(void *unused)
{
    (void)unused;
    static uint8_t area[1024] __attribute__((aligned(64)));
    __asm__ volatile("xsaves64 %0" : "+m"(area) : "a"(0), "d"(0) : "memory");
}

static void do_monitor(void *unused)
{
    (void)unused;
    uint64_t line = 0;
    __asm__ volatile("monitor" : : "a"(&line), "c"(0), "d"(0) : "memory");
}

/* An instruction whose feature is hidden raises #UD; one whose feature shows works. */
static void check_instruction(bool shown, const char *name, void (*instruction)(void *))
{
    check_raises(shown ? PROBE_NO_EXCEPTION : VECTOR_UD, name, instruction, NULL);
}

static void set_cr4_bit(void *bit)
{
    uint64_t old = read_cr4();
    write_cr4(old | *(const uint64_t *)bit);
    write_cr4(old);
}

static void check_cr4(bool shown, const char *name, uint64_t bit)
{
    check_raises(shown ? PROBE_NO_EXCEPTION : VECTOR_GP, name, set_cr4_bit, &bit);
}

/* SMEP and SMAP would turn on us if our own pages were open to CPL 3. */
static bool own_pages_are_user(void)
{
    return (*(const uint64_t *)FH_PAGE_TABLES & PTE_USER) != 0;
}

static void check_agreement(void)
{
    uint32_t ecx = cpuid(LEAF_FEATURES, 0).ecx;
    struct cpuid seven = leaf_or_zero(LEAF_EXTENDED, 0);
    bool xsaves = (leaf_or_zero(LEAF_XSAVE, 1).eax & XSAVE_EAX_XSAVES) != 0;
    check_instruction((cpuid(LEAF_AMD, 0).edx & AMD_EDX_RDTSCP) != 0, "RDTSCP", do_rdtscp);
    check_instruction((seven.ebx & EBX7_INVPCID) != 0, "INVPCID", do_invpcid);
    check_instruction((ecx & ECX_MONITOR) != 0, "MONITOR", do_monitor);
    if (!xsaves || (read_cr4() & CR4_OSXSAVE) != 0)
        check_instruction(xsaves, "XSAVES", do_xsaves);

    check_cr4(false, "CR4.VMXE", CR4_VMXE);
    check_cr4(false, "CR4.SMXE", CR4_SMXE);
    check_cr4((ecx & ECX_PCID) != 0, "CR4.PCIDE", CR4_PCIDE);
    check_cr4((ecx & ECX_XSAVE) != 0, "CR4.OSXSAVE", CR4_OSXSAVE);
    check_cr4((seven.ebx & EBX7_FSGSBASE) != 0, "CR4.FSGSBASE", CR4_FSGSBASE);
    check_cr4((seven.ecx & ECX7_UMIP) != 0, "CR4.UMIP", CR4_UMIP);
    check_cr4((seven.ecx & ECX7_PKU) != 0, "CR4.PKE", CR4_PKE);
    if (own_pages_are_user())
        return;
    check_cr4((seven.ebx & EBX7_SMEP) != 0, "CR4.SMEP", CR4_SMEP);
    check_cr4((seven.ebx & EBX7_SMAP) != 0, "CR4.SMAP", CR4_SMAP);
}

/* CPUID's OSXSAVE is CR4's, at once. */
static void check_osxsave(void)
{
    if ((cpuid(LEAF_FEATURES, 0).ecx & ECX_XSAVE) == 0)
        return;
    uint64_t old = read_cr4();
    write_cr4(old | CR4_OSXSAVE);
    check((cpuid(LEAF_FEATURES, 0).ecx & ECX_OSXSAVE) != 0, "CPUID.OSXSAVE clear with CR4.OSXSAVE set");
    write_cr4(old & ~(uint64_t)CR4_OSXSAVE);
    check((cpuid(LEAF_FEATURES, 0).ecx & ECX_OSXSAVE) == 0, "CPUID.OSXSAVE set with CR4.OSXSAVE clear");
    write_cr4(old);
}

void group_cpuid(void)
{
    check_hidden();
    check_signature();
    static const uint32_t leaves[] = {0,          1,         4, 7, 0xB, 0xD, LEAF_NOWHERE, FH_CPUID_BASE,
                                      0x80000000, 0x80000008};
    for (unsigned i = 0; i < sizeof leaves / sizeof leaves[0]; i++)
        check_upper_halves(leaves[i]);
    check_topology(0);
    check_agreement();
    check_osxsave();
}
