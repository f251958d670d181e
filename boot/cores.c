/*
 * Finds every core and makes sure they are all alike. What the firmware says comes from up to two sources, MP
 * Services and the ACPI MADT; boot/topology.c judges them.
 */
#include "boot/boot.h"
#include "boot/console.h"
#include "boot/mp_services.h"
#include "boot/topology.h"
#include "hv/cpu.h"

#define CORE_TIMEOUT_MICROSECONDS 1000000u

struct found_cores {
    uint32_t count;
    struct firmware_core cores[MACHINE_MAX_CORES]; /* more are counted, not described: they are refused */
};

/* What an application processor says of itself. */
struct core_features {
    bool vmx;
    uint64_t feature_control;
    struct vmx_msrs msrs;
};

static uint64_t read_msr(void *context, uint32_t msr)
{
    (void)context;
    return cpu_rdmsr(msr);
}

/* Runs on each processor in turn, on a stack of the firmware's: reads and returns. */
static void EFIAPI read_features(void *argument)
{
    struct core_features *features = argument;
    struct cpu_leaf leaf = cpu_cpuid(CPUID_LEAF_FEATURES, 0);
    features->vmx = (leaf.ecx & CPUID_1_ECX_VMX) != 0;
    if (!features->vmx)
        return;
    features->feature_control = cpu_rdmsr(MSR_FEATURE_CONTROL);
    vmx_msrs_read(&features->msrs, read_msr, NULL);
}

/* Compares one application processor with the boot processor. */
static bool check_alike(struct boot *boot, const struct core_features *features, uint32_t apic_id)
{
    if (!features->vmx)
        return boot_refuse(boot, REFUSED_CORES, EFI_UNSUPPORTED, "the core with APIC id %u has no VT-x",
                           apic_id);
    if (vmx_lock_state(features->feature_control) == VMX_LOCK_FORBIDDEN)
        return boot_refuse(
            boot, REFUSED_VMX_LOCKED, EFI_UNSUPPORTED,
            "VT-x is locked off on the core with APIC id %u; enable it in the firmware's setup", apic_id);
    if (__builtin_memcmp(&features->msrs, &boot->vmx_msrs, sizeof(features->msrs)) != 0)
        return boot_refuse(
            boot, REFUSED_CORES, EFI_UNSUPPORTED,
            "the core with APIC id %u has another VT-x than the boot core; Freehold needs them "
            "alike",
            apic_id);
    return true;
}

static bool ask_core(struct boot *boot, struct mp_services *mp, UINTN number, uint32_t apic_id)
{
    struct core_features features = {0};
    BOOLEAN finished = 0;
    EFI_STATUS status =
        mp->startup_one(mp, read_features, number, NULL, CORE_TIMEOUT_MICROSECONDS, &features, &finished);
    if (EFI_ERROR(status))
        return boot_refuse(boot, REFUSED_CORES, EFI_DEVICE_ERROR,
                           "the core with APIC id %u does not answer (firmware status %u)", apic_id,
                           (uint32_t)(status & UINT32_MAX));
    return check_alike(boot, &features, apic_id);
}

/* The processors that the firmware's MP Services report as enabled, each one asked. */
static bool find_by_mp_services(struct boot *boot, struct mp_services *mp, struct found_cores *found)
{
    UINTN count = 0, enabled = 0;
    if (EFI_ERROR(mp->get_number_of_processors(mp, &count, &enabled)))
        return boot_refuse(boot, REFUSED_FIRMWARE, EFI_DEVICE_ERROR,
                           "the firmware's MP services do not tell the number of processors");
    for (UINTN i = 0; i < count; i++) {
        struct mp_processor processor = {0};
        if (EFI_ERROR(mp->get_processor_info(mp, i, &processor)))
            return boot_refuse(boot, REFUSED_FIRMWARE, EFI_DEVICE_ERROR,
                               "the firmware's MP services do not describe processor %u", (uint32_t)i);
        if ((processor.status & MP_STATUS_ENABLED) == 0 || found->count++ >= MACHINE_MAX_CORES)
            continue;
        struct firmware_core *core = &found->cores[found->count - 1];
        core->apic_id = (uint32_t)processor.id;
        core->boot = (processor.status & MP_STATUS_BOOT_PROCESSOR) != 0;
        if (!core->boot && !ask_core(boot, mp, i, core->apic_id))
            return false;
    }
    return true;
}

static struct topology_leaf read_cpuid(void *context, uint32_t leaf, uint32_t subleaf)
{
    (void)context;
    struct cpu_leaf r = cpu_cpuid(leaf, subleaf);
    return (struct topology_leaf){r.eax, r.ebx, r.ecx, r.edx};
}

static uint32_t own_apic_id(void)
{
    if (cpu_cpuid(CPUID_LEAF_MAX_BASIC, 0).eax >= CPUID_LEAF_TOPOLOGY) {
        struct cpu_leaf leaf = cpu_cpuid(CPUID_LEAF_TOPOLOGY, 0);
        if (leaf.ebx != 0)
            return leaf.edx;
    }
    return cpu_cpuid(CPUID_LEAF_FEATURES, 0).ebx >> 24;
}

/* Without MP Services: what the MADT lists, or this one processor. The hypervisor checks each as it starts.
 */
static void find_by_madt(const struct boot *boot, struct found_cores *found)
{
    uint32_t own = own_apic_id();
    if (boot->acpi == NULL || !boot->acpi->has_madt) {
        found->cores[0] = (struct firmware_core){.apic_id = own, .boot = true};
        found->count = 1;
        return;
    }
    found->count = boot->acpi->core_count;
    for (uint32_t i = 0; i < found->count && i < MACHINE_MAX_CORES; i++) {
        uint32_t id = boot->acpi->apic_ids[i];
        found->cores[i] = (struct firmware_core){.apic_id = id, .boot = id == own};
    }
}

bool find_cores(struct boot *boot)
{
    struct found_cores *found = boot_take(boot, sizeof(*found), EfiLoaderData, ANYWHERE);
    if (found == NULL)
        return boot_refuse_memory(boot, "the list of cores", sizeof(*found));

    EFI_GUID guid = MP_SERVICES_GUID;
    struct mp_services *mp = NULL;
    if (EFI_ERROR(boot->services->LocateProtocol(&guid, NULL, (void **)&mp)) || mp == NULL)
        find_by_madt(boot, found);
    else if (!find_by_mp_services(boot, mp, found))
        return false;

    struct machine *machine = &boot->handoff->machine;
    struct topology_bits bits = topology_read_bits(read_cpuid, NULL);
    char why[MESSAGE_BYTES / 2];
    if (!topology_build(machine, found->cores, found->count, bits, boot->acpi, why, sizeof(why)))
        return boot_refuse(boot, REFUSED_CORES, EFI_UNSUPPORTED, "%s", why);
    say("%s, %u core%s in %u package%s, TSC %llu MHz\n", machine->cpu_name, machine->core_count,
        machine->core_count == 1 ? "" : "s", machine->package_count, machine->package_count == 1 ? "" : "s",
        (unsigned long long)(machine->tsc_hz / 1000000));
    return true;
}
