/*
 * The machine's cores as Freehold numbers them, from what the firmware's sources say of them. Pure. Never
 * guesses: where two sources contradict each other the machine is refused, because a wrong core map would
 * let two tenants share a physical core.
 */
#ifndef FREEHOLD_BOOT_TOPOLOGY_H
#define FREEHOLD_BOOT_TOPOLOGY_H

#include "boot/acpi_parse.h"

/* One logical processor as the firmware reports it: any value. */
struct firmware_core {
    uint32_t apic_id;
    bool boot; /* it runs this program */
};

/*
 * Which bits of an APIC id number what: [0, thread) the thread in its core, [thread, package) the core in its
 * package, the rest the package. Each at most 31, thread <= package.
 */
struct topology_bits {
    uint32_t thread;
    uint32_t package;
};

struct topology_leaf {
    uint32_t eax, ebx, ecx, edx;
};

/* CPUID of this processor. */
typedef struct topology_leaf (*topology_cpuid_fn)(void *context, uint32_t leaf, uint32_t subleaf);

/*
 * Reads the widths from CPUID leaf 1FH or 0BH by the type of each level, else from leaves 1 and 4. The
 * firmware's own EFI_CPU_PHYSICAL_LOCATION is not used: EDK II takes the first level for threads whatever its
 * type, and so makes one core of all cores of a processor without hyper-threads.
 * Source: Intel SDM volume 3, order number 325384-083US, March 2024: "Hierarchical Mapping of Shared
 * Resources" and the sections on topology enumeration after it.
 */
struct topology_bits topology_read_bits(topology_cpuid_fn cpuid, void *context);

/*
 * Fills machine's cores from `count` usable processors: the boot processor first, the others by APIC id,
 * packages numbered from 0 without holes, zones from the SRAT. acpi: the tables' view, or NULL when there are
 * none; with a MADT it must list exactly the same processors. False with the reason, a sentence, in `why`.
 */
MUST_USE bool topology_build(struct machine *machine, const struct firmware_core *cores, uint32_t count,
                             struct topology_bits bits, const struct acpi_info *acpi, char *why,
                             size_t why_bytes);

#endif
