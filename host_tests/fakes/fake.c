/* The machine that host tests run the hypervisor on: a Skylake-X as far as its MSRs and CPUID go. */
#include "host_tests/fakes/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/entry_states.h"
#include "hv/x86.h"

#define MTRR_ENABLED       (UINT64_C(1) << 11)
#define PAT_OF_HOST        UINT64_C(0x0007010600070106)
#define CPUID_MAX_BASIC    0x16
#define CPUID_MAX_EXTENDED 0x80000008u

struct fakes fakes;
struct core *cores[MACHINE_MAX_CORES];
const char vmx_exit_entry[1]; /* hv/vmx/run.S */
static struct core fake_cores[FAKE_CORES];

struct cpu_leaf fake_skylake_leaf(uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0:
        return (struct cpu_leaf){CPUID_MAX_BASIC, 0x756e6547, 0x6c65746e, 0x49656e69};
    case 1:
        return (struct cpu_leaf){0x00050654, 0x00100800, 0x7ffefbff, 0xbfebfbff};
    case 7:
        return subleaf == 0 ? (struct cpu_leaf){0, 0xd39ffffb, 0, 0} : (struct cpu_leaf){0, 0, 0, 0};
    case 0xd:
        if (subleaf == 0)
            return (struct cpu_leaf){0xe7, 0xa80, 0xa80, 0};
        if (subleaf == 1)
            return (struct cpu_leaf){0xf, 0xa80, 0, 0};
        return subleaf == 2 ? (struct cpu_leaf){0x100, 0x240, 0, 0} : (struct cpu_leaf){0, 0, 0, 0};
    case 0x80000000:
        return (struct cpu_leaf){CPUID_MAX_EXTENDED, 0, 0, 0};
    case 0x80000001:
        return (struct cpu_leaf){0, 0, 0x121, 0x2c100800};
    case 0x80000007:
        return (struct cpu_leaf){0, 0, 0, 0x100};
    case 0x80000008:
        return (struct cpu_leaf){0x3027, 0, 0, 0}; /* 39 bits physical, 48 linear */
    default:
        return (struct cpu_leaf){0, 0, 0, 0};
    }
}

static void fill_msrs(void)
{
    const struct {
        uint32_t msr;
        uint64_t value;
    } msrs[] = {
        {MSR_VMX_BASIC, entry_skylake.basic},
        {MSR_VMX_PINBASED_CTLS, entry_skylake.pin},
        {MSR_VMX_PROCBASED_CTLS, entry_skylake.primary},
        {MSR_VMX_EXIT_CTLS, entry_skylake.exit},
        {MSR_VMX_ENTRY_CTLS, entry_skylake.entry},
        {MSR_VMX_TRUE_PINBASED_CTLS, entry_skylake.true_pin},
        {MSR_VMX_TRUE_PROCBASED_CTLS, entry_skylake.true_primary},
        {MSR_VMX_TRUE_EXIT_CTLS, entry_skylake.true_exit},
        {MSR_VMX_TRUE_ENTRY_CTLS, entry_skylake.true_entry},
        {MSR_VMX_PROCBASED_CTLS2, entry_skylake.secondary},
        {MSR_VMX_MISC, entry_skylake.misc},
        {MSR_VMX_CR0_FIXED0, entry_skylake.cr0_fixed0},
        {MSR_VMX_CR0_FIXED1, entry_skylake.cr0_fixed1},
        {MSR_VMX_CR4_FIXED0, entry_skylake.cr4_fixed0},
        {MSR_VMX_CR4_FIXED1, entry_skylake.cr4_fixed1},
        {MSR_VMX_EPT_VPID_CAP, entry_skylake.ept_vpid_cap},
        {MSR_VMX_VMFUNC, entry_skylake.vmfunc},
        {MSR_FEATURE_CONTROL, 0},
        {MSR_MTRR_CAP, 0},
        {MSR_MTRR_DEF_TYPE, MTRR_ENABLED | MEMORY_TYPE_WB},
        {MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE},
        {MSR_PAT, PAT_OF_HOST},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(msrs); i++)
        fake_msr(msrs[i].msr)->value = msrs[i].value;
}

void fake_reset(void)
{
    memset(&fakes, 0, sizeof(fakes));
    memset(&fake_cpu, 0, sizeof(fake_cpu));
    memset(fake_vmcs, 0, sizeof(fake_vmcs));
    memset(fake_cores, 0, sizeof(fake_cores));
    memset((void *)cores, 0, sizeof(cores));
    fake_on_access = NULL;
    fake_memory_reset();
    fake_cpu.cpuid = fake_skylake_leaf;
    fake_cpu.tsc = GIB;
    fake_cpu.tsc_step = 10;
    fake_cpu.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    fake_cpu.cr3 = 0x1234000;
    fake_cpu.cr4 = CR4_PAE | CR4_VMXE | CR4_OSXSAVE | CR4_MCE;
    fill_msrs();
    for (uint32_t i = 0; i < FAKE_CORES; i++) {
        fake_cores[i].self = &fake_cores[i];
        fake_cores[i].index = i;
        fake_cores[i].apic_id = i * 2;
        fake_cores[i].online = 1;
        cores[i] = &fake_cores[i];
    }
    fake_run_on(0);
}

void fake_run_on(uint32_t core)
{
    assert_true(core < FAKE_CORES);
    fake_core = core;
    fake_cpu.gs_first = &fake_cores[core];
}
