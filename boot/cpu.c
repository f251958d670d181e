/*
 * Is this processor one for Freehold? Only reads: what has to be written (IA32_FEATURE_CONTROL, CR4.VMXE) the
 * hypervisor writes.
 */
#include "hv/cpu.h"
#include "boot/boot.h"
#include "boot/console.h"
#include "hv/fmt.h"

#define TSC_MEASURE_MICROSECONDS 10000u
#define BRAND_FIRST_LEAF         0x80000002u
#define BRAND_LEAVES             3u

static uint64_t read_msr(void *context, uint32_t msr)
{
    (void)context;
    return cpu_rdmsr(msr);
}

static bool cpu_has_vmx(void)
{
    return cpu_cpuid(CPUID_LEAF_MAX_BASIC, 0).eax >= CPUID_LEAF_FEATURES &&
           (cpu_cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_VMX) != 0;
}

/* What is missing, in one sentence: as many of the names as it has room for, whole. */
static bool refuse_missing(struct boot *boot, const struct vmx_missing *missing)
{
    char list[MESSAGE_BYTES / 2] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < missing->count; i++) {
        const char *separator = i == 0 ? "" : ", ";
        size_t longer =
            used + fmt_snprintf(NULL, 0, "%s%s, and %u more", separator, missing->what[i], missing->count);
        if (longer >= sizeof(list)) {
            fmt_snprintf(list + used, sizeof(list) - used, ", and %u more", missing->count - i);
            break;
        }
        used += fmt_snprintf(list + used, sizeof(list) - used, "%s%s", separator, missing->what[i]);
    }
    return boot_refuse(boot, REFUSED_VMX_FEATURE, EFI_UNSUPPORTED,
                       "this processor's VT-x lacks: %s; Intel processors since 2010 have it all, in a "
                       "virtual machine the host must pass it on",
                       list);
}

static bool check_vmx(struct boot *boot)
{
    if (!cpu_has_vmx())
        return boot_refuse(
            boot, REFUSED_NO_VMX, EFI_UNSUPPORTED,
            "this processor has no VT-x (CPUID shows no VMX); Freehold needs an Intel processor "
            "with VT-x, or in a virtual machine nested virtualization");
    if (vmx_lock_state(cpu_rdmsr(MSR_FEATURE_CONTROL)) == VMX_LOCK_FORBIDDEN)
        return boot_refuse(boot, REFUSED_VMX_LOCKED, EFI_UNSUPPORTED,
                           "VT-x is locked off by the firmware (IA32_FEATURE_CONTROL); enable Intel "
                           "Virtualization Technology in its setup");
    struct vmx_caps caps;
    struct vmx_missing missing;
    vmx_msrs_read(&boot->vmx_msrs, read_msr, NULL);
    if (!vmx_caps_check(&boot->vmx_msrs, &caps, &missing))
        return refuse_missing(boot, &missing);
    return true;
}

/* The hypervisor's page tables are made of what these two promise. */
static bool check_paging(struct boot *boot)
{
    bool known = cpu_cpuid(CPUID_LEAF_MAX_EXTENDED, 0).eax >= CPUID_LEAF_FEATURES_EXT;
    uint32_t features = known ? cpu_cpuid(CPUID_LEAF_FEATURES_EXT, 0).edx : 0;
    if ((features & CPUID_E1_EDX_NX) == 0)
        return boot_refuse(boot, REFUSED_VMX_FEATURE, EFI_UNSUPPORTED,
                           "this processor does not offer no-execute pages (CPUID shows no NX); enable "
                           "\"Execute Disable\" in the firmware's setup");
    return true;
}

/* The brand string without the spaces that some pad it with. */
static void read_cpu_name(char *name, size_t name_bytes)
{
    char brand[BRAND_LEAVES * sizeof(struct cpu_leaf) + 1] = "";
    if (cpu_cpuid(CPUID_LEAF_MAX_EXTENDED, 0).eax >= BRAND_FIRST_LEAF + BRAND_LEAVES - 1)
        for (uint32_t i = 0; i < BRAND_LEAVES; i++) {
            struct cpu_leaf leaf = cpu_cpuid(BRAND_FIRST_LEAF + i, 0);
            __builtin_memcpy(brand + i * sizeof(leaf), &leaf, sizeof(leaf));
        }
    const char *start = brand;
    while (*start == ' ')
        start++;
    (void)fmt_copy(name, name_bytes, *start == 0 ? "unnamed processor" : start);
    for (size_t i = fmt_length(name, name_bytes); i > 0 && name[i - 1] == ' '; i--)
        name[i - 1] = 0;
}

/* The rate CPUID tells, or 0. */
static uint64_t tsc_hz_told(void)
{
    if (cpu_cpuid(CPUID_LEAF_MAX_BASIC, 0).eax < CPUID_LEAF_TSC)
        return 0;
    struct cpu_leaf leaf =
        cpu_cpuid(CPUID_LEAF_TSC, 0); /* EBX/EAX: TSC over crystal, ECX: the crystal's Hz */
    if (leaf.eax == 0 || leaf.ebx == 0 || leaf.ecx == 0)
        return 0;
    return (uint64_t)leaf.ecx * leaf.ebx / leaf.eax;
}

/* At the highest priority level, so that no timer tick of the firmware lengthens the wait. */
static uint64_t tsc_hz_measured(EFI_BOOT_SERVICES *services)
{
    EFI_TPL before = services->RaiseTPL(TPL_HIGH_LEVEL);
    uint64_t start = cpu_rdtsc();
    (void)services->Stall(TSC_MEASURE_MICROSECONDS);
    uint64_t ticks = cpu_rdtsc() - start;
    services->RestoreTPL(before);
    return ticks * (1000000u / TSC_MEASURE_MICROSECONDS);
}

bool check_processor(struct boot *boot)
{
    struct machine *machine = &boot->handoff->machine;
    if (!check_vmx(boot) || !check_paging(boot))
        return false;
    read_cpu_name(machine->cpu_name, sizeof(machine->cpu_name));
    machine->tsc_hz = tsc_hz_told();
    if (machine->tsc_hz == 0)
        machine->tsc_hz = tsc_hz_measured(boot->services);
    if (machine->tsc_hz == 0)
        return boot_refuse(boot, REFUSED_FIRMWARE, EFI_UNSUPPORTED,
                           "the time-stamp counter stands still; Freehold measures and limits time with it");
    return true;
}
