/* VT-x on this machine and on this core: capabilities, VMXON, the bitmaps of a partition. */
#include "hv/vmx/vmx.h"

#include "hv/memory.h"
#include "hv/msr_policy.h"
#include "hv/string.h"
#include "hv/vmx/absent.h"
#include "hv/vmx/access.h"
#include "hv/x86.h"

struct vmx_caps vmx_caps;
struct cpuid_policy vmx_cpuid_policy;

uint64_t vmx_read_msr(void *context, uint32_t msr)
{
    (void)context;
    return cpu_rdmsr(msr);
}

static struct vmx_caps read_caps(void)
{
    struct vmx_msrs msrs;
    struct vmx_caps caps;
    struct vmx_missing missing;
    memset(&caps, 0, sizeof(caps));
    vmx_msrs_read(&msrs, vmx_read_msr, NULL);
    if (!vmx_caps_check(&msrs, &caps, &missing))
        memset(&caps, 0, sizeof(caps));
    return caps;
}

static struct cpuid_regs read_leaf(void *context, uint32_t leaf, uint32_t subleaf)
{
    (void)context;
    struct cpu_leaf r = cpu_cpuid(leaf, subleaf);
    return (struct cpuid_regs){r.eax, r.ebx, r.ecx, r.edx};
}

void vmx_init(uint64_t tsc_hz)
{
    vmx_caps = read_caps();
    CHECK(vmx_caps.region_bytes != 0); /* boot/ refuses a machine that lacks anything */
    struct cpuid_features features = {
        .rdtscp = vmx_caps.rdtscp, .invpcid = vmx_caps.invpcid, .tsc_hz = tsc_hz};
    cpuid_policy_init(&vmx_cpuid_policy, read_leaf, NULL, &features);
}

uint32_t vmx_feature_names(const char *names[VMX_FEATURE_NAMES_MAX])
{
    const struct {
        const char *name;
        bool present;
    } features[] = {
        {"ept", true},
        {"unrestricted-guest", true},
        {"preemption-timer", true},
        {"vpid", vmx_caps.vpid},
        {"ept-1gib", vmx_caps.ept_1gib},
        {"ept-execute-only", vmx_caps.ept_execute_only},
        {"ept-accessed-dirty", vmx_caps.ept_accessed_dirty},
        {"virtual-nmis", vmx_caps.virtual_nmis},
        {"rdtscp", vmx_caps.rdtscp},
        {"invpcid", vmx_caps.invpcid},
    };
    uint32_t count = 0;
    for (uint32_t i = 0; i < ARRAY_SIZE(features); i++)
        if (features[i].present)
            names[count++] = features[i].name;
    return count;
}

/* The lock of the firmware: opens VMX outside SMX for good where nobody has decided yet. */
static bool unlock(void)
{
    uint64_t control = cpu_rdmsr(MSR_FEATURE_CONTROL);
    if (vmx_lock_state(control) == VMX_LOCK_UNLOCKED)
        cpu_wrmsr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_VMX_OUTSIDE | FEATURE_CONTROL_LOCK);
    return vmx_lock_state(cpu_rdmsr(MSR_FEATURE_CONTROL)) == VMX_LOCK_ENABLED;
}

bool vmx_core_enable(struct core *core)
{
    struct vmx_caps caps = read_caps();
    /* Both were zeroed, padding too, before they were filled member by member. */
    if (!unlock() ||
        memcmp(&caps, &vmx_caps, sizeof(caps)) != 0) // NOLINT(bugprone-suspicious-memory-comparison)
        return false;
    cpu_write_cr0(vmx_cr0_fit(&vmx_caps, cpu_read_cr0()));
    cpu_write_cr4(vmx_cr4_fit(&vmx_caps, cpu_read_cr4() | CR4_VMXE));
    *(uint32_t *)core->vmxon = vmx_caps.revision_id;
    if (!vmx_on(memory_frame(core->vmxon)))
        return false;
    if (vmx_caps.invvpid_all_contexts)
        vmx_invvpid(INVVPID_ALL_CONTEXTS, 0);
    return true;
}

void vmx_partition_init(struct partition *partition)
{
    uint8_t *msrs = memory_need(FRAME_BYTES);
    msr_policy_fill_bitmap(msrs);
    partition->msr_bitmap = memory_frame(msrs);

    /* Ports deny by default, all of them: the two devices are emulated and the rest is absent. */
    void *ports = memory_need(2 * FRAME_BYTES);
    memset(ports, 0xff, 2 * FRAME_BYTES);
    partition->io_bitmap_a = memory_frame(ports);
    partition->io_bitmap_b = hpa(partition->io_bitmap_a.value + FRAME_BYTES);

    partition->ept_pointer = ept_pointer(&partition->ept, vmx_caps.ept_accessed_dirty);
    absent_init(partition);
}

uint64_t vmx_guest_cr4_allowed(void)
{
    return vmx_cpuid_policy.cr4_allowed & vmx_caps.cr4_fixed1;
}
