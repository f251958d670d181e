/*
 * Cores: checked against each other and against the MADT, then placed by their APIC ids. Must never drop a
 * processor silently, nor take two hyper-threads of one core for two cores.
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

/* One boot processor; no APIC id twice. */
static bool check_distinct(const struct firmware_core *cores, uint32_t count, char *why, size_t why_bytes)
{
    uint32_t boot_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        boot_count += cores[i].boot ? 1u : 0u;
        for (uint32_t j = 0; j < i; j++)
            if (cores[i].apic_id == cores[j].apic_id) {
                fmt_snprintf(why, why_bytes, "the firmware reports two processors with APIC id %u",
                             cores[i].apic_id);
                return false;
            }
    }
    if (boot_count != 1)
        fmt_snprintf(why, why_bytes, "the firmware names %u boot processors instead of one", boot_count);
    return boot_count == 1;
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

static uint64_t low_bits(uint32_t value, uint32_t count)
{
    return value & ((UINT64_C(1) << count) - 1);
}

static uint32_t package_of(uint32_t apic_id, struct topology_bits bits)
{
    return (uint32_t)((uint64_t)apic_id >> bits.package);
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
static uint16_t dense_package(const struct firmware_core *cores, uint32_t count, struct topology_bits bits,
                              uint32_t package)
{
    uint32_t smaller = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool first = package_of(cores[i].apic_id, bits) < package;
        for (uint32_t j = 0; first && j < i; j++)
            first = package_of(cores[j].apic_id, bits) != package_of(cores[i].apic_id, bits);
        smaller += first ? 1u : 0u;
    }
    return (uint16_t)smaller;
}

bool topology_build(struct machine *machine, const struct firmware_core *cores, uint32_t count,
                    struct topology_bits bits, const struct acpi_info *acpi, char *why, size_t why_bytes)
{
    if (!check_count(count, why, why_bytes) || !check_distinct(cores, count, why, why_bytes))
        return false;
    if (acpi != NULL && acpi->has_madt && !check_madt(cores, count, acpi, why, why_bytes))
        return false;

    machine->core_count = count;
    machine->package_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = cores[i].apic_id;
        uint16_t package = dense_package(cores, count, bits, package_of(id, bits));
        machine->cores[rank_of(cores, count, i)] = (struct core_desc){
            .apic_id = id,
            .package = package,
            .core = (uint16_t)(low_bits(id, bits.package) >> bits.thread),
            .thread = (uint16_t)low_bits(id, bits.thread),
            .zone = acpi == NULL ? ZONE_UNKNOWN : acpi_zone_of_core(acpi, id),
        };
        machine->package_count = (uint32_t)max_u64(machine->package_count, package + 1u);
    }
    return true;
}

/* ---------------------------------------------------------------- the widths */

enum {
    LEAF_FEATURES = 0x1,
    LEAF_CACHE = 0x4,
    LEAF_TOPOLOGY = 0xB,
    LEAF_TOPOLOGY_V2 = 0x1F,
};
/* Types of a level, in ECX[15:8] of the topology leaves. */
enum { LEVEL_INVALID = 0, LEVEL_THREAD = 1, LEVEL_LIMIT = 8 };

#define LEVEL_TYPE(ecx)      ((ecx) >> 8 & 0xFFu)
#define LEVEL_SHIFT(eax)     ((eax)&0x1Fu)
#define LEVEL_COUNT(ebx)     ((ebx)&0xFFFFu)
#define FEATURE_EDX_HTT      (UINT32_C(1) << 28) /* EBX[23:16] means something */
#define PACKAGE_THREADS(ebx) ((ebx) >> 16 & 0xFFu)
#define PACKAGE_CORES(eax)   (((eax) >> 26 & 0x3Fu) + 1u)

/* Fields of 16 bits hold what is inside a package: a width beyond is nonsense and treated as none. */
#define WIDEST_PACKAGE 16u

/* Bits that number `count` things. */
static uint32_t bits_for(uint32_t count)
{
    uint32_t bits = 0;
    while ((UINT64_C(1) << bits) < count)
        bits++;
    return bits;
}

/* One of the two topology leaves; false when it tells nothing. */
static bool read_levels(topology_cpuid_fn cpuid, void *context, uint32_t leaf_number,
                        struct topology_bits *bits)
{
    *bits = (struct topology_bits){0, 0};
    uint32_t levels = 0;
    for (; levels < LEVEL_LIMIT; levels++) {
        struct topology_leaf leaf = cpuid(context, leaf_number, levels);
        if (LEVEL_TYPE(leaf.ecx) == LEVEL_INVALID || LEVEL_COUNT(leaf.ebx) == 0)
            break;
        if (LEVEL_TYPE(leaf.ecx) == LEVEL_THREAD)
            bits->thread = LEVEL_SHIFT(leaf.eax);
        bits->package = (uint32_t)max_u64(bits->package, LEVEL_SHIFT(leaf.eax));
    }
    return levels > 0 && bits->package <= WIDEST_PACKAGE;
}

/* How processors told it before there were topology leaves. */
static struct topology_bits read_old_leaves(topology_cpuid_fn cpuid, void *context, uint32_t max_leaf)
{
    struct topology_leaf features = cpuid(context, LEAF_FEATURES, 0);
    uint32_t threads = (features.edx & FEATURE_EDX_HTT) != 0 ? PACKAGE_THREADS(features.ebx) : 1;
    uint32_t cores = max_leaf >= LEAF_CACHE ? PACKAGE_CORES(cpuid(context, LEAF_CACHE, 0).eax) : 1;
    uint32_t package = bits_for(threads);
    uint32_t core = (uint32_t)min_u64(bits_for(cores), package);
    return (struct topology_bits){.thread = package - core, .package = package};
}

struct topology_bits topology_read_bits(topology_cpuid_fn cpuid, void *context)
{
    uint32_t max_leaf = cpuid(context, 0, 0).eax;
    struct topology_bits old = read_old_leaves(cpuid, context, max_leaf), bits;
    bool told = max_leaf >= LEAF_TOPOLOGY_V2 && read_levels(cpuid, context, LEAF_TOPOLOGY_V2, &bits);
    if (!told)
        told = max_leaf >= LEAF_TOPOLOGY && read_levels(cpuid, context, LEAF_TOPOLOGY, &bits);
    if (!told)
        return old;
    /* A core level no wider than its threads: either one core, or (Bochs) widths that are not summed up. */
    if (bits.package == bits.thread && old.package > bits.package)
        bits.package = old.package;
    return bits;
}
