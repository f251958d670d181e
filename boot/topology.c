/*
 * Cores: checked against each other and against the MADT, then numbered. Must never drop a processor
 * silently, nor accept two that claim one place.
 */
#include "boot/topology.h"

#include "hv/fmt.h"

static bool check_count(uint32_t count, char *why, size_t why_bytes)
{
    if (count == 0)
        fmt_snprintf(why, why_bytes, "the firmware reports no usable processor");
    else if (count > MACHINE_MAX_CORES)
        fmt_snprintf(why, why_bytes,
                     "this machine has %u logical processors, Freehold runs on at most %u; disable some (or "
                     "hyper-threading) in the firmware's setup",
                     count, MACHINE_MAX_CORES);
    return count > 0 && count <= MACHINE_MAX_CORES;
}

static bool same_place(const struct firmware_core *a, const struct firmware_core *b)
{
    return a->package == b->package && a->core == b->core && a->thread == b->thread;
}

/* One boot processor; no APIC id and no place taken twice. */
static bool check_distinct(const struct firmware_core *cores, uint32_t count, char *why, size_t why_bytes)
{
    uint32_t boot_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        boot_count += cores[i].boot ? 1u : 0u;
        for (uint32_t j = 0; j < i; j++) {
            if (cores[i].apic_id == cores[j].apic_id) {
                fmt_snprintf(why, why_bytes, "the firmware reports two processors with APIC id %u",
                             cores[i].apic_id);
                return false;
            }
            if (same_place(&cores[i], &cores[j])) {
                fmt_snprintf(why, why_bytes,
                             "the firmware puts the processors with APIC ids %u and %u at one place (package "
                             "%u, core %u, thread %u)",
                             cores[j].apic_id, cores[i].apic_id, cores[i].package, cores[i].core,
                             cores[i].thread);
                return false;
            }
        }
    }
    if (boot_count != 1)
        fmt_snprintf(why, why_bytes, "the firmware names %u boot processors instead of one", boot_count);
    return boot_count == 1;
}

/* handoff's fields are 16 bits wide; beyond that the firmware's numbers are nonsense anyway. */
static bool check_ranges(const struct firmware_core *cores, uint32_t count, char *why, size_t why_bytes)
{
    for (uint32_t i = 0; i < count; i++)
        if (cores[i].core > UINT16_MAX || cores[i].thread > UINT16_MAX) {
            fmt_snprintf(why, why_bytes, "the firmware numbers a core %u and its thread %u: out of range",
                         cores[i].core, cores[i].thread);
            return false;
        }
    return true;
}

static bool madt_lists(const struct acpi_info *acpi, uint32_t apic_id)
{
    for (uint32_t i = 0; i < acpi->core_count; i++)
        if (acpi->apic_ids[i] == apic_id)
            return true;
    return false;
}

/* As many on both sides and each of ours among theirs: the sets are equal, since no id occurs twice. */
static bool check_madt(const struct firmware_core *cores, uint32_t count, const struct acpi_info *acpi,
                       char *why, size_t why_bytes)
{
    if (acpi->core_count != count) {
        fmt_snprintf(why, why_bytes,
                     "the firmware contradicts itself: %u processors by its MP services, %u by its ACPI MADT",
                     count, acpi->core_count);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!madt_lists(acpi, cores[i].apic_id)) {
            fmt_snprintf(why, why_bytes,
                         "the firmware contradicts itself: its ACPI MADT does not list the processor with "
                         "APIC id %u",
                         cores[i].apic_id);
            return false;
        }
    return true;
}

static bool comes_before(const struct firmware_core *a, const struct firmware_core *b)
{
    if (a->boot != b->boot)
        return a->boot;
    return a->apic_id < b->apic_id;
}

/* How many of the cores belong before this one. */
static uint32_t rank_of(const struct firmware_core *cores, uint32_t count, uint32_t which)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < count; i++)
        rank += comes_before(&cores[i], &cores[which]) ? 1u : 0u;
    return rank;
}

/* How many distinct packages have a smaller number: the dense number of this one. */
static uint16_t dense_package(const struct firmware_core *cores, uint32_t count, uint32_t package)
{
    uint32_t smaller = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool first = cores[i].package < package;
        for (uint32_t j = 0; first && j < i; j++)
            first = cores[j].package != cores[i].package;
        smaller += first ? 1u : 0u;
    }
    return (uint16_t)smaller;
}

bool topology_build(struct machine *machine, const struct firmware_core *cores, uint32_t count,
                    const struct acpi_info *acpi, char *why, size_t why_bytes)
{
    if (!check_count(count, why, why_bytes) || !check_distinct(cores, count, why, why_bytes) ||
        !check_ranges(cores, count, why, why_bytes))
        return false;
    if (acpi != NULL && acpi->has_madt && !check_madt(cores, count, acpi, why, why_bytes))
        return false;

    machine->core_count = count;
    machine->package_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t package = dense_package(cores, count, cores[i].package);
        machine->cores[rank_of(cores, count, i)] = (struct core_desc){
            .apic_id = cores[i].apic_id,
            .package = package,
            .core = (uint16_t)cores[i].core,
            .thread = (uint16_t)cores[i].thread,
            .zone = acpi == NULL ? ZONE_UNKNOWN : acpi_zone_of_core(acpi, cores[i].apic_id),
        };
        if (package >= machine->package_count)
            machine->package_count = package + 1u;
    }
    return true;
}

struct firmware_core topology_from_apic_id(uint32_t apic_id, uint32_t thread_bits, uint32_t package_bits)
{
    uint64_t id = apic_id; /* the widths may be 31: shifts of 64-bit values stay defined */
    uint64_t package = id >> package_bits;
    uint64_t inside = id - (package << package_bits);
    return (struct firmware_core){
        .apic_id = apic_id,
        .package = (uint32_t)package,
        .core = (uint32_t)(inside >> thread_bits),
        .thread = (uint32_t)(inside & ((UINT64_C(1) << thread_bits) - 1)),
    };
}
