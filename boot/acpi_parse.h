/*
 * What Freehold wants from the ACPI tables: the processors that are enabled (MADT), which NUMA node each
 * processor and each run of memory belongs to (SRAT), and how to switch off (FADT and \_S5_). Pure; every
 * byte, address and length in a table is hostile. Nothing is interpreted: no AML runs.
 * Source: ACPI Specification 6.5, chapters "ACPI Software Programming Model" and "ACPI Hardware
 * Specification".
 */
#ifndef FREEHOLD_BOOT_ACPI_PARSE_H
#define FREEHOLD_BOOT_ACPI_PARSE_H

#include "hv/handoff.h"

#define ACPI_MAX_TABLES       256
#define ACPI_MAX_TABLE_BYTES  (UINT64_C(16) << 20)
#define ACPI_MAX_CORE_NODES   1024
#define ACPI_MAX_MEMORY_NODES 256
#define ACPI_MAX_ZONES        64

/* How the parser reaches physical memory. */
struct acpi_memory {
    /* A pointer to `bytes` bytes at `address`, or NULL when they may not be read. Never dereferenced beyond.
     */
    const void *(*reach)(void *context, uint64_t address, uint64_t bytes);
    void *context;
};

struct acpi_core_node {
    uint32_t apic_id;
    uint32_t domain; /* proximity domain, as the table says it */
};

struct acpi_memory_node {
    uint64_t start; /* bytes, any alignment */
    uint64_t bytes; /* start + bytes does not wrap and is not beyond PHYSICAL_LIMIT */
    uint32_t domain;
};

struct acpi_info {
    uint32_t tables_refused; /* bad length, bad checksum, unreadable, or too many: ignored */

    bool has_madt;
    uint32_t core_count;                  /* enabled processors, also those beyond the array */
    uint32_t apic_ids[MACHINE_MAX_CORES]; /* of the first ones; no value twice */

    uint32_t core_node_count;
    uint32_t memory_node_count;
    uint32_t zone_count;              /* distinct proximity domains; 0: no SRAT */
    uint32_t domains[ACPI_MAX_ZONES]; /* of zone i, ascending */
    struct acpi_core_node core_nodes[ACPI_MAX_CORE_NODES];
    struct acpi_memory_node memory_nodes[ACPI_MAX_MEMORY_NODES];

    struct handoff_poweroff poweroff; /* port 0 when the tables do not tell */
};

enum acpi_status {
    ACPI_OK,
    ACPI_E_RSDP, /* signature, length or checksum of the root pointer */
    ACPI_E_ROOT, /* neither XSDT nor RSDT can be used */
};

/*
 * Reads the tables that hang off the RSDP at physical address `rsdp`. On an error *info is empty. A table
 * that is damaged is ignored and counted. Time linear in the tables' bytes; no allocation, no recursion.
 */
MUST_USE enum acpi_status acpi_parse(const struct acpi_memory *memory, uint64_t rsdp, struct acpi_info *info);

/* The zone (0 to zone_count - 1) of a proximity domain, or ZONE_UNKNOWN. */
uint16_t acpi_zone_of_domain(const struct acpi_info *info, uint32_t domain);

/* The zone of a processor, or ZONE_UNKNOWN. */
uint16_t acpi_zone_of_core(const struct acpi_info *info, uint32_t apic_id);

#endif
