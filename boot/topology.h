/*
 * The machine's cores as Freehold numbers them, from what the firmware's sources say of them. Pure. Never
 * guesses: where two sources contradict each other the machine is refused, because a wrong core map would
 * let two tenants share a physical core.
 */
#ifndef FREEHOLD_BOOT_TOPOLOGY_H
#define FREEHOLD_BOOT_TOPOLOGY_H

#include "boot/acpi_parse.h"

/* One logical processor as the firmware describes it: any value. */
struct firmware_core {
    uint32_t apic_id;
    uint32_t package;
    uint32_t core; /* inside the package */
    uint32_t thread;
    bool boot; /* it runs this program */
};

/*
 * Fills machine's cores from `count` usable processors: the boot processor first, the others by APIC id,
 * packages numbered from 0 without holes, zones from the SRAT. acpi: the tables' view, or NULL when there are
 * none; with a MADT it must list exactly the same processors. False with the reason, a sentence, in `why`.
 */
MUST_USE bool topology_build(struct machine *machine, const struct firmware_core *cores, uint32_t count,
                             const struct acpi_info *acpi, char *why, size_t why_bytes);

/*
 * Where an APIC id says its processor is, for machines without MP Services. thread_bits, package_bits: widths
 * in the id, as CPUID leaf 0BH gives them in EAX[4:0] of its sub-leaves (package_bits >= thread_bits).
 */
struct firmware_core topology_from_apic_id(uint32_t apic_id, uint32_t thread_bits, uint32_t package_bits);

#endif
