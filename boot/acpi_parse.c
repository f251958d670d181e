/*
 * ACPI tables, read from physical memory that may say anything. Must never read a byte that `reach` did not
 * grant, nor loop on a length of zero.
 */
#include "boot/acpi_parse.h"

/* Offsets into the tables, by the specification's field names. */
enum {
    RSDP_V1_BYTES = 20,
    RSDP_V2_BYTES = 36,
    RSDP_MAX_BYTES = 4096,
    RSDP_REVISION = 15,
    RSDP_RSDT_ADDRESS = 16,
    RSDP_LENGTH = 20,
    RSDP_XSDT_ADDRESS = 24,

    HEADER_BYTES = 36,
    HEADER_LENGTH = 4,

    MADT_ENTRIES = 44,
    SRAT_ENTRIES = 48,

    FADT_MIN_BYTES = 116,
    FADT_DSDT = 40,
    FADT_PM1A_CNT_BLK = 64,
    FADT_PM1B_CNT_BLK = 68,
    FADT_FLAGS = 112,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_CNT_BLK = 172,
    FADT_X_PM1B_CNT_BLK = 184,

    GAS_BYTES = 12,
    GAS_ADDRESS = 4,
    GAS_SPACE_IO = 1,
};

#define FADT_FLAG_HW_REDUCED (UINT32_C(1) << 20)
#define ENTRY_ENABLED        UINT32_C(1) /* in the flags of MADT and SRAT entries */

enum { MADT_LOCAL_APIC = 0, MADT_LOCAL_X2APIC = 9 };
enum { SRAT_LOCAL_APIC = 0, SRAT_MEMORY = 1, SRAT_LOCAL_X2APIC = 2 };

/* PM1 control register. */
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_EN        (1u << 13)

/* AML bytes around \_S5_. */
enum {
    AML_ZERO = 0x00,
    AML_ONE = 0x01,
    AML_NAME = 0x08,
    AML_BYTE = 0x0A,
    AML_WORD = 0x0B,
    AML_DWORD = 0x0C,
    AML_PACKAGE = 0x12,
    AML_ROOT = 0x5C,
    AML_ONES = 0xFF
};

/* Bytes that may be read. */
struct view {
    const uint8_t *bytes;
    uint64_t length;
};

/* What the tables yield besides *info; SSDTs are kept for a second look. */
struct reading {
    const struct acpi_memory *memory;
    struct acpi_info *info;
    struct view fadt;
    bool s5_found;
    uint8_t s5_type_a;
    uint8_t s5_type_b;
};

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    __builtin_memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    __builtin_memcpy(&value, at, sizeof(value));
    return value;
}

static bool sums_to_zero(const uint8_t *bytes, uint64_t length)
{
    uint8_t sum = 0;
    for (uint64_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

static bool has_signature(const uint8_t *bytes, const char *signature)
{
    return __builtin_memcmp(bytes, signature, 4) == 0;
}

/* A whole table with a sound header and checksum; length 0 when there is none. */
static struct view open_table(const struct acpi_memory *memory, uint64_t address)
{
    const struct view none = {NULL, 0};
    const uint8_t *header = address == 0 ? NULL : memory->reach(memory->context, address, HEADER_BYTES);
    if (header == NULL)
        return none;
    uint32_t length = get32(header + HEADER_LENGTH);
    if (length < HEADER_BYTES || length > ACPI_MAX_TABLE_BYTES)
        return none;
    const uint8_t *table = memory->reach(memory->context, address, length);
    if (table == NULL || !sums_to_zero(table, length))
        return none;
    return (struct view){table, length};
}

/* ---------------------------------------------------------------- MADT */

static bool knows_apic_id(const struct acpi_info *info, uint32_t apic_id)
{
    for (uint32_t i = 0; i < info->core_count && i < MACHINE_MAX_CORES; i++)
        if (info->apic_ids[i] == apic_id)
            return true;
    return false;
}

/* A processor may be listed twice, by a Local APIC and a Local x2APIC entry: it counts once. */
static void add_core(struct acpi_info *info, uint32_t apic_id, uint32_t flags)
{
    if ((flags & ENTRY_ENABLED) == 0 || knows_apic_id(info, apic_id))
        return;
    if (info->core_count < MACHINE_MAX_CORES)
        info->apic_ids[info->core_count] = apic_id;
    info->core_count++;
}

static void read_madt_entry(struct acpi_info *info, struct view entry)
{
    const uint8_t *e = entry.bytes;
    if (e[0] == MADT_LOCAL_APIC && entry.length >= 8)
        add_core(info, e[3], get32(e + 4));
    else if (e[0] == MADT_LOCAL_X2APIC && entry.length >= 16)
        add_core(info, get32(e + 4), get32(e + 8));
}

/* ---------------------------------------------------------------- SRAT */

/* Keeps info->domains sorted and without repeats; a domain too many has no zone. */
static void add_domain(struct acpi_info *info, uint32_t domain)
{
    uint32_t at = 0;
    while (at < info->zone_count && info->domains[at] < domain)
        at++;
    if (info->zone_count == ACPI_MAX_ZONES || (at < info->zone_count && info->domains[at] == domain))
        return;
    for (uint32_t i = info->zone_count; i > at; i--)
        info->domains[i] = info->domains[i - 1];
    info->domains[at] = domain;
    info->zone_count++;
}

static void add_core_node(struct acpi_info *info, uint32_t apic_id, uint32_t domain, uint32_t flags)
{
    if ((flags & ENTRY_ENABLED) == 0 || info->core_node_count == ACPI_MAX_CORE_NODES)
        return;
    info->core_nodes[info->core_node_count++] = (struct acpi_core_node){apic_id, domain};
    add_domain(info, domain);
}

static void add_memory_node(struct acpi_info *info, const uint8_t *e)
{
    uint32_t domain = get32(e + 2);
    uint64_t start = get64(e + 8);
    uint64_t bytes = get64(e + 16);
    if ((get32(e + 28) & ENTRY_ENABLED) == 0 || info->memory_node_count == ACPI_MAX_MEMORY_NODES)
        return;
    if (bytes == 0 || start >= PHYSICAL_LIMIT || bytes > PHYSICAL_LIMIT - start)
        return;
    info->memory_nodes[info->memory_node_count++] = (struct acpi_memory_node){start, bytes, domain};
    add_domain(info, domain);
}

static void read_srat_entry(struct acpi_info *info, struct view entry)
{
    const uint8_t *e = entry.bytes;
    if (e[0] == SRAT_LOCAL_APIC && entry.length >= 16)
        add_core_node(info, e[3], e[2] | (get32(e + 8) & UINT32_C(0xffffff00)), get32(e + 4));
    else if (e[0] == SRAT_LOCAL_X2APIC && entry.length >= 24)
        add_core_node(info, get32(e + 8), get32(e + 4), get32(e + 12));
    else if (e[0] == SRAT_MEMORY && entry.length >= 40)
        add_memory_node(info, e);
}

/* Entries of MADT and SRAT: type, length, body. Stops at the first that does not fit. */
static void each_entry(struct view table, uint64_t first, struct acpi_info *info,
                       void (*read)(struct acpi_info *info, struct view entry))
{
    uint64_t offset = first;
    while (offset < table.length && table.length - offset >= 2) {
        uint8_t length = table.bytes[offset + 1];
        if (length < 2 || length > table.length - offset)
            return;
        read(info, (struct view){table.bytes + offset, length});
        offset += length;
    }
}

/* ---------------------------------------------------------------- \_S5_ and FADT */

/* Takes one small integer of a package; false when it is none. */
static bool take_integer(struct view *aml, uint8_t *value)
{
    static const uint8_t operand_bytes[] = {[AML_BYTE] = 1, [AML_WORD] = 2, [AML_DWORD] = 4};
    if (aml->length == 0)
        return false;
    uint8_t op = aml->bytes[0];
    uint8_t operands = op < sizeof(operand_bytes) ? operand_bytes[op] : 0;
    if (aml->length < 1u + operands)
        return false;
    if (operands > 0)
        *value = aml->bytes[1];
    else if (op == AML_ZERO || op == AML_ONE || op == AML_ONES)
        *value = op;
    else
        return false;
    aml->bytes += 1u + operands;
    aml->length -= 1u + operands;
    return true;
}

/* Reads a package of at least two integers: the sleep types for PM1a and PM1b. */
static bool read_sleep_package(struct view aml, uint8_t *type_a, uint8_t *type_b)
{
    if (aml.length < 3 || aml.bytes[0] != AML_PACKAGE)
        return false;
    uint64_t length_bytes = 1u + (aml.bytes[1] >> 6); /* PkgLength: the lead byte counts those that follow */
    uint64_t skip = 1 + length_bytes + 1;             /* PackageOp, PkgLength, NumElements */
    if (aml.length < skip || aml.bytes[skip - 1] < 2)
        return false;
    struct view elements = {aml.bytes + skip, aml.length - skip};
    return take_integer(&elements, type_a) && take_integer(&elements, type_b);
}

/* Looks for Name(_S5_, Package(){...}) or Name(\_S5_, ...) by its bytes. */
static void look_for_s5(struct reading *reading, struct view table)
{
    for (uint64_t i = HEADER_BYTES + 1; !reading->s5_found && i + 4 < table.length; i++) {
        const uint8_t *at = table.bytes + i;
        if (!has_signature(at, "_S5_"))
            continue;
        if (at[-1] != AML_NAME && !(at[-1] == AML_ROOT && at[-2] == AML_NAME))
            continue;
        reading->s5_found = read_sleep_package((struct view){at + 4, table.length - i - 4},
                                               &reading->s5_type_a, &reading->s5_type_b);
    }
}

/* The port of a PM1 control block: the extended field where it is there and used, else the 32-bit one. */
static uint16_t pm1_port(struct view fadt, uint64_t extended, uint64_t plain)
{
    uint64_t port = get32(fadt.bytes + plain);
    if (fadt.length >= extended + GAS_BYTES && fadt.bytes[extended] == GAS_SPACE_IO &&
        get64(fadt.bytes + extended + GAS_ADDRESS) != 0)
        port = get64(fadt.bytes + extended + GAS_ADDRESS);
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static uint16_t sleep_value(uint8_t type)
{
    return (uint16_t)((type & 7u) << PM1_SLP_TYP_SHIFT | PM1_SLP_EN);
}

/* Hardware-reduced machines have no PM1 registers: there only the firmware's ResetSystem() would do. */
static void read_fadt(struct reading *reading)
{
    struct view fadt = reading->fadt;
    if (fadt.length < FADT_MIN_BYTES || (get32(fadt.bytes + FADT_FLAGS) & FADT_FLAG_HW_REDUCED) != 0)
        return;
    uint64_t dsdt = fadt.length >= FADT_X_DSDT + 8 ? get64(fadt.bytes + FADT_X_DSDT) : 0;
    if (dsdt == 0)
        dsdt = get32(fadt.bytes + FADT_DSDT);
    struct view table = open_table(reading->memory, dsdt);
    if (table.length > 0 && has_signature(table.bytes, "DSDT"))
        look_for_s5(reading, table);
    if (!reading->s5_found)
        return;

    uint16_t port_a = pm1_port(fadt, FADT_X_PM1A_CNT_BLK, FADT_PM1A_CNT_BLK);
    if (port_a == 0)
        return;
    reading->info->poweroff = (struct handoff_poweroff){
        .pm1a_control_port = port_a,
        .pm1b_control_port = pm1_port(fadt, FADT_X_PM1B_CNT_BLK, FADT_PM1B_CNT_BLK),
        .pm1a_value = sleep_value(reading->s5_type_a),
        .pm1b_value = sleep_value(reading->s5_type_b),
    };
}

/* ---------------------------------------------------------------- the roots */

static void read_table(struct reading *reading, struct view table)
{
    struct acpi_info *info = reading->info;
    if (has_signature(table.bytes, "APIC")) {
        info->has_madt = true;
        each_entry(table, MADT_ENTRIES, info, read_madt_entry);
    } else if (has_signature(table.bytes, "SRAT")) {
        each_entry(table, SRAT_ENTRIES, info, read_srat_entry);
    } else if (has_signature(table.bytes, "FACP")) {
        reading->fadt = table;
    } else if (has_signature(table.bytes, "SSDT")) {
        look_for_s5(reading, table);
    }
}

/* entry_bytes: 8 in an XSDT, 4 in an RSDT. */
static void read_root(struct reading *reading, struct view root, uint64_t entry_bytes)
{
    uint64_t count = (root.length - HEADER_BYTES) / entry_bytes;
    if (count > ACPI_MAX_TABLES) {
        reading->info->tables_refused += (uint32_t)(count - ACPI_MAX_TABLES);
        count = ACPI_MAX_TABLES;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *entry = root.bytes + HEADER_BYTES + i * entry_bytes;
        uint64_t address = entry_bytes == 8 ? get64(entry) : get32(entry);
        struct view table = open_table(reading->memory, address);
        if (table.length == 0)
            reading->info->tables_refused++;
        else
            read_table(reading, table);
    }
    read_fadt(reading);
}

static const uint8_t *open_rsdp(const struct acpi_memory *memory, uint64_t address, bool *extended)
{
    const uint8_t *rsdp = memory->reach(memory->context, address, RSDP_V1_BYTES);
    if (rsdp == NULL || __builtin_memcmp(rsdp, "RSD PTR ", 8) != 0 || !sums_to_zero(rsdp, RSDP_V1_BYTES))
        return NULL;
    *extended = rsdp[RSDP_REVISION] >= 2;
    if (!*extended)
        return rsdp;
    rsdp = memory->reach(memory->context, address, RSDP_V2_BYTES);
    if (rsdp == NULL)
        return NULL;
    uint32_t length = get32(rsdp + RSDP_LENGTH);
    if (length < RSDP_V2_BYTES || length > RSDP_MAX_BYTES)
        return NULL;
    rsdp = memory->reach(memory->context, address, length);
    if (rsdp == NULL || !sums_to_zero(rsdp, length))
        return NULL;
    return rsdp;
}

enum acpi_status acpi_parse(const struct acpi_memory *memory, uint64_t rsdp_address, struct acpi_info *info)
{
    struct reading reading = {.memory = memory, .info = info};
    __builtin_memset(info, 0, sizeof(*info));

    bool extended = false;
    const uint8_t *rsdp = open_rsdp(memory, rsdp_address, &extended);
    if (rsdp == NULL)
        return ACPI_E_RSDP;

    struct view root = {NULL, 0};
    if (extended)
        root = open_table(memory, get64(rsdp + RSDP_XSDT_ADDRESS));
    if (root.length > 0 && has_signature(root.bytes, "XSDT")) {
        read_root(&reading, root, 8);
        return ACPI_OK;
    }
    root = open_table(memory, get32(rsdp + RSDP_RSDT_ADDRESS));
    if (root.length == 0 || !has_signature(root.bytes, "RSDT"))
        return ACPI_E_ROOT;
    read_root(&reading, root, 4);
    return ACPI_OK;
}

uint16_t acpi_zone_of_domain(const struct acpi_info *info, uint32_t domain)
{
    for (uint32_t i = 0; i < info->zone_count; i++)
        if (info->domains[i] == domain)
            return (uint16_t)i;
    return ZONE_UNKNOWN;
}

uint16_t acpi_zone_of_core(const struct acpi_info *info, uint32_t apic_id)
{
    for (uint32_t i = 0; i < info->core_node_count; i++)
        if (info->core_nodes[i].apic_id == apic_id)
            return acpi_zone_of_domain(info, info->core_nodes[i].domain);
    return ZONE_UNKNOWN;
}
