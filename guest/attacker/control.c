/*
 * Attacks through control registers, XCR0 and privileged instructions: what is hidden raises an exception,
 * what is ours only changes ourselves.
 */
#include "guest/attacker/attack.h"

#define ECX_XSAVE    (1u << 26)
#define LEAF_XSAVE   0xDu
#define STORM_ROUNDS 2000u

/* Bits that stay as they are: clearing or setting them pulls the ground from under this very code. */
#define CR0_LEFT_ALONE ((uint64_t)(CR0_PE | CR0_PG))
#define CR4_LEFT_ALONE ((uint64_t)(CR4_PAE | CR4_SMEP | CR4_SMAP | CR4_LA57))
#define CR4_HIDDEN     ((uint64_t)(CR4_VMXE | CR4_SMXE))

static void do_cr0(void *value)
{
    write_cr0(*(const uint64_t *)value);
}

static void do_cr4(void *value)
{
    write_cr4(*(const uint64_t *)value);
}

static int try_cr0(uint64_t value)
{
    uint64_t old = read_cr0();
    int vector = probe(do_cr0, &value).vector;
    write_cr0(old);
    return vector;
}

static int try_cr4(uint64_t value)
{
    uint64_t old = read_cr4();
    int vector = probe(do_cr4, &value).vector;
    write_cr4(old);
    return vector;
}

static void cr0(void)
{
    uint64_t old = read_cr0();
    unsigned refused = 0;
    for (unsigned bit = 32; bit < 64; bit++)
        refused += try_cr0(old | UINT64_C(1) << bit) == VECTOR_GP;
    saw(refused == 32, "%u of 32 upper bits of CR0 raised #GP", refused);
    unsigned quiet = 0;
    for (unsigned bit = 0; bit < 32; bit++) {
        if ((CR0_LEFT_ALONE >> bit & 1) == 0)
            quiet += try_cr0(old ^ UINT64_C(1) << bit) != VECTOR_UD;
    }
    saw(quiet == 30 && read_cr0() == old, "flipping each lower bit of CR0 left it at 0x%lx", read_cr0());
    saw(try_cr0(old & ~(uint64_t)CR0_PG) == VECTOR_GP, "CR0.PG off in 64-bit mode raised #GP");
    saw(try_cr0(old & ~(uint64_t)CR0_PE) == VECTOR_GP, "CR0.PE off with paging raised #GP");
    saw(try_cr0((old | CR0_NW) & ~(uint64_t)CR0_CD) == VECTOR_GP, "CR0.NW without CR0.CD raised #GP");
    int vector = try_cr0(old | CR0_CD | CR0_NW);
    saw(vector == PROBE_NO_EXCEPTION, "caches off for ourselves: vector %d", vector);
}

static void cr4(void)
{
    uint64_t old = read_cr4();
    unsigned refused = 0;
    for (unsigned bit = 25; bit < 64; bit++)
        refused += try_cr4(old | UINT64_C(1) << bit) == VECTOR_GP;
    saw(refused == 39, "%u of 39 upper bits of CR4 raised #GP", refused);
    for (unsigned bit = 0; bit < 25; bit++) {
        if ((CR4_LEFT_ALONE >> bit & 1) == 0)
            (void)try_cr4(old ^ UINT64_C(1) << bit);
    }
    saw(read_cr4() == old, "flipping each lower bit of CR4 left it at 0x%lx", read_cr4());
    saw(try_cr4(old | CR4_VMXE) == VECTOR_GP, "CR4.VMXE raised #GP");
    saw(try_cr4(old | CR4_SMXE) == VECTOR_GP, "CR4.SMXE raised #GP");
    saw((old & CR4_HIDDEN) == 0, "CR4 shows 0x%lx", old);
    saw(try_cr4(old & ~(uint64_t)CR4_PAE) == VECTOR_GP, "CR4.PAE off in 64-bit mode raised #GP");
    saw(try_cr4(old ^ CR4_LA57) == VECTOR_GP, "CR4.LA57 in 64-bit mode raised #GP");
}

static void efer(void)
{
    uint64_t old = rdmsr(MSR_EFER);
    unsigned refused = 0, count = 0;
    for (unsigned bit = 1; bit < 64; bit++) {
        uint64_t mask = UINT64_C(1) << bit;
        if ((mask & (EFER_NXE | EFER_LMA)) != 0)
            continue; /* one is ours, the other ignored on writing */
        struct msr_access access = {MSR_EFER, old ^ mask};
        refused += probe(msr_write, &access).vector == VECTOR_GP;
        count++;
    }
    wrmsr(MSR_EFER, old);
    saw(refused == count, "%u of %u bits of EFER raised #GP", refused, count);
    wrmsr(MSR_EFER, old & ~(uint64_t)EFER_LMA);
    saw(rdmsr(MSR_EFER) == old, "EFER is 0x%lx after clearing LMA", rdmsr(MSR_EFER));
    for (unsigned i = 0; i < STORM_ROUNDS; i++)
        wrmsr(MSR_EFER, old ^ (i % 2 ? EFER_SCE : 0));
    wrmsr(MSR_EFER, old);
}

static void do_xsetbv(void *argument)
{
    const uint64_t *a = argument;
    xsetbv((uint32_t)a[0], a[1]);
}

static int try_xsetbv(uint32_t index, uint64_t value)
{
    uint64_t argument[2] = {index, value};
    return probe(do_xsetbv, argument).vector;
}

static void xcr0(void)
{
    if ((cpuid(1, 0).ecx & ECX_XSAVE) == 0) {
        saw(try_xsetbv(0, 1) == VECTOR_UD, "XSETBV without XSAVE raised #UD");
        return;
    }
    write_cr4(read_cr4() & ~(uint64_t)CR4_OSXSAVE);
    saw(try_xsetbv(0, 1) == VECTOR_UD, "XSETBV without CR4.OSXSAVE raised #UD");
    write_cr4(read_cr4() | CR4_OSXSAVE);
    struct cpuid leaf = cpuid(LEAF_XSAVE, 0);
    uint64_t all = (uint64_t)leaf.edx << 32 | leaf.eax;
    unsigned refused = 0, count = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t mask = UINT64_C(1) << bit;
        if ((all & mask) == 0 || bit == 0)
            refused += try_xsetbv(0, all ^ mask) == VECTOR_GP, count++;
    }
    saw(refused == count, "%u of %u bits of XCR0 that are not offered raised #GP", refused, count);
    refused = count = 0;
    for (uint32_t index = 1; index != 0; index <<= 1)
        refused += try_xsetbv(index, all) == VECTOR_GP, count++;
    saw(refused == count, "%u of %u other extended control registers raised #GP", refused, count);
    for (unsigned i = 0; i < STORM_ROUNDS; i++)
        (void)try_xsetbv(0, random_next() & all);
    saw(try_xsetbv(0, all) == PROBE_NO_EXCEPTION && xgetbv(0) == all, "after a storm XCR0 is 0x%lx",
        xgetbv(0));
}

/* One instruction each, as machine code where assemblers do not know it. */
#define INSTRUCTION(name, text)                                                            \
    static void i_##name(void *unused)                                                     \
    {                                                                                      \
        (void)unused;                                                                      \
        uint64_t m[8] __attribute__((aligned(64))) = {0};                                  \
        __asm__ volatile(text : "+m"(m) : "a"(0), "c"(0), "d"(0) : "rbx", "cc", "memory"); \
    }

INSTRUCTION(vmxon, "vmxon %0")
INSTRUCTION(vmxoff, "vmxoff")
INSTRUCTION(vmclear, "vmclear %0")
INSTRUCTION(vmptrld, "vmptrld %0")
INSTRUCTION(vmptrst, "vmptrst %0")
INSTRUCTION(vmlaunch, "vmlaunch")
INSTRUCTION(vmresume, "vmresume")
INSTRUCTION(vmread, "vmread %%rax, %%rbx")
INSTRUCTION(vmwrite, "vmwrite %%rax, %%rbx")
INSTRUCTION(invept, "invept %0, %%rax")
INSTRUCTION(invvpid, "invvpid %0, %%rax")
INSTRUCTION(vmfunc, "vmfunc")
INSTRUCTION(getsec, "getsec")
INSTRUCTION(rsm, "rsm")
INSTRUCTION(encls, ".byte 0x0F, 0x01, 0xCF")
INSTRUCTION(enclv, ".byte 0x0F, 0x01, 0xC0")
INSTRUCTION(enclu, ".byte 0x0F, 0x01, 0xD7")
INSTRUCTION(pconfig, ".byte 0x0F, 0x01, 0xC5")
INSTRUCTION(vmmcall, "vmmcall")
INSTRUCTION(vmrun, "vmrun")
INSTRUCTION(skinit, "skinit")
INSTRUCTION(clgi, "clgi")
INSTRUCTION(monitor, "monitor")
INSTRUCTION(mwait, "mwait")
INSTRUCTION(wbinvd, "wbinvd")
INSTRUCTION(invd, "invd")
INSTRUCTION(rdpmc, "rdpmc")
INSTRUCTION(rdtscp, "rdtscp")
INSTRUCTION(sgdt, "sgdt %0")
INSTRUCTION(sidt, "sidt %0")
INSTRUCTION(sldt, "sldt %0")
INSTRUCTION(smsw, "smsw %0")
INSTRUCTION(lldt, "lldt %%ax")
INSTRUCTION(clts, "clts")
INSTRUCTION(lmsw, "smsw %%ax; lmsw %%ax")
INSTRUCTION(lmsw_ts, "smsw %%ax; or $8, %%ax; lmsw %%ax; clts")
INSTRUCTION(int1, ".byte 0xF1")
INSTRUCTION(ud0, ".byte 0x0F, 0xFF, 0xC0")
INSTRUCTION(rdrand, ".byte 0x0F, 0xC7, 0xF0")
INSTRUCTION(rdseed, ".byte 0x0F, 0xC7, 0xF8")
INSTRUCTION(xsaves, ".byte 0x0F, 0xC7, 0x2B")
INSTRUCTION(rdpkru, ".byte 0x0F, 0x01, 0xEE")
INSTRUCTION(clac, ".byte 0x0F, 0x01, 0xCA")
INSTRUCTION(swapgs, "swapgs; swapgs")
INSTRUCTION(umwait, ".byte 0xF2, 0x0F, 0xAE, 0xF0")
INSTRUCTION(wbnoinvd, ".byte 0xF3, 0x0F, 0x09")
INSTRUCTION(
    long_prefix,
    ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90")

struct instruction {
    const char *name;
    void (*run)(void *);
};

/* These must look like instructions of a processor that does not have them. */
static const struct instruction undefined[] = {
    {"VMXON", i_vmxon},     {"VMXOFF", i_vmxoff},     {"VMCLEAR", i_vmclear},   {"VMPTRLD", i_vmptrld},
    {"VMPTRST", i_vmptrst}, {"VMLAUNCH", i_vmlaunch}, {"VMRESUME", i_vmresume}, {"VMREAD", i_vmread},
    {"VMWRITE", i_vmwrite}, {"INVEPT", i_invept},     {"INVVPID", i_invvpid},   {"VMFUNC", i_vmfunc},
    {"GETSEC", i_getsec},   {"RSM", i_rsm},           {"ENCLS", i_encls},       {"ENCLV", i_enclv},
    {"ENCLU", i_enclu},     {"PCONFIG", i_pconfig},   {"VMMCALL", i_vmmcall},   {"VMRUN", i_vmrun},
    {"SKINIT", i_skinit},   {"CLGI", i_clgi},         {"MONITOR", i_monitor},   {"MWAIT", i_mwait},
    {"UD0", i_ud0},
};

/* These may do as they like to us: work, or raise an exception. Never anything else. */
static const struct instruction harmless[] = {
    {"WBINVD", i_wbinvd},     {"INVD", i_invd},
    {"RDPMC", i_rdpmc},       {"RDTSCP", i_rdtscp},
    {"SGDT", i_sgdt},         {"SIDT", i_sidt},
    {"SLDT", i_sldt},         {"SMSW", i_smsw},
    {"LLDT", i_lldt},         {"CLTS", i_clts},
    {"LMSW", i_lmsw},         {"LMSW with TS", i_lmsw_ts},
    {"INT1", i_int1},         {"RDRAND", i_rdrand},
    {"RDSEED", i_rdseed},     {"XSAVES", i_xsaves},
    {"RDPKRU", i_rdpkru},     {"CLAC", i_clac},
    {"SWAPGS", i_swapgs},     {"UMWAIT", i_umwait},
    {"WBNOINVD", i_wbnoinvd}, {"16 bytes of prefixes", i_long_prefix},
};

static void vmx(void)
{
    unsigned refused = 0, count = sizeof undefined / sizeof undefined[0];
    for (unsigned i = 0; i < count; i++) {
        struct probe_result r = probe(undefined[i].run, NULL);
        refused += r.vector == VECTOR_UD;
        if (r.vector != VECTOR_UD)
            saw(false, "%s: vector %d", undefined[i].name, r.vector);
    }
    saw(refused == count, "%u of %u instructions of VMX, SMX, SGX, SVM and MWAIT raised #UD", refused, count);
}

static void instructions(void)
{
    struct tally tally = {0};
    for (unsigned i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        tally_probe(&tally, harmless[i].run, NULL);
    saw(tally.quiet > 0, "privileged and rare instructions: %u quiet, %u #GP, %u #UD, %u others", tally.quiet,
        tally.gp, tally.ud, tally.other);
}

/* INVD must not throw away what we, or anyone, has written. */
static void invd(void)
{
    static volatile uint64_t words[4096];
    unsigned kept = 0;
    for (unsigned i = 0; i < 4096; i++)
        words[i] = i;
    for (unsigned i = 0; i < 200; i++) {
        (void)probe(i_invd, NULL);
        (void)probe(i_wbinvd, NULL);
    }
    for (unsigned i = 0; i < 4096; i++)
        kept += words[i] == i;
    saw(kept == 4096, "%u of 4096 words were kept over INVD", kept);
}

static void mwait(void)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < STORM_ROUNDS; i++) {
        refused += probe(i_monitor, NULL).vector == VECTOR_UD;
        refused += probe(i_mwait, NULL).vector == VECTOR_UD;
    }
    saw(refused == 2 * STORM_ROUNDS, "%u of %u MONITORs and MWAITs raised #UD", refused, 2 * STORM_ROUNDS);
}

static const struct attack rows[] = {
    {"cr0", "exit:0", "flips every bit of CR0", cr0},
    {"cr4", "exit:0", "flips every bit of CR4", cr4},
    {"efer", "exit:0", "flips every bit of EFER", efer},
    {"xsetbv", "exit:0", "writes every bad value to every extended control register", xcr0},
    {"vmx", "exit:0", "runs the instructions of VMX, SMX, SGX and SVM", vmx},
    {"instructions", "exit:0", "runs privileged and rare instructions", instructions},
    {"invd", "exit:0", "throws away caches", invd},
    {"mwait", "exit:0", "waits by MONITOR and MWAIT", mwait},
};
const struct attack_table control_attacks = ATTACK_TABLE(rows);
