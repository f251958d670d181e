/*
 * ACPI tables made of any bytes. A sound RSDP and XSDT lead to a few slots of the input; signatures are put
 * in and checksums made good on the way, since a fuzzer would hardly ever hit one. The first byte of the
 * input chooses whether the RSDP and XSDT themselves come from the input too.
 */
#include <stdlib.h>
#include <string.h>

#include "boot/acpi_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE         UINT64_C(0x1000)
#define MEMORY_BYTES 0x1000u
#define XSDT         0x40u
#define SLOT(i)      (0x100u + 0x100u * (i))
#define SLOTS        6u
#define LENGTH_MASK  0x3FFu /* longer tables only reach out of memory */
#define MAX_GRANTS   64u

struct memory {
    uint8_t bytes[MEMORY_BYTES];
    size_t count;
    void *grants[MAX_GRANTS];
};

static void put(struct memory *memory, size_t offset, uint64_t value, size_t bytes)
{
    memcpy(memory->bytes + offset, &value, bytes);
}

static void build_roots(struct memory *memory)
{
    memcpy(memory->bytes, "RSD PTR ", 8);
    memory->bytes[15] = 2;
    put(memory, 20, 36, 4);
    put(memory, 24, BASE + XSDT, 8);
    memcpy(memory->bytes + XSDT, "XSDT", 4);
    put(memory, XSDT + 4, 36 + 8 * SLOTS, 4);
    for (uint32_t i = 0; i < SLOTS; i++)
        put(memory, XSDT + 36 + 8 * i, BASE + SLOT(i), 8);
}

static void build_slots(struct memory *memory)
{
    static const char signatures[SLOTS][5] = {"APIC", "SRAT", "DSDT", "FACP", "SSDT", "APIC"};
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint32_t length;
        memcpy(&length, memory->bytes + SLOT(i) + 4, sizeof(length));
        put(memory, SLOT(i) + 4, length & LENGTH_MASK, 4);
        memcpy(memory->bytes + SLOT(i), signatures[i], 4);
    }
    put(memory, SLOT(3) + 40, BASE + SLOT(2), 4); /* the FADT leads to the DSDT */
}

/* Each grant is a copy of exactly the bytes asked for, so that ASan sees a byte too many. */
static const void *reach(void *context, uint64_t address, uint64_t bytes)
{
    struct memory *memory = context;
    if (address < BASE || bytes == 0 || bytes > MEMORY_BYTES || address - BASE > MEMORY_BYTES - bytes ||
        memory->count == MAX_GRANTS)
        return NULL;
    uint8_t *grant = malloc(bytes);
    memcpy(grant, memory->bytes + (address - BASE), bytes);
    uint8_t sum = 0;
    for (uint64_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + grant[i]);
    bool rsdp = memcmp(grant, "RSD PTR ", bytes < 8 ? bytes : 8) == 0;
    size_t checksum = !rsdp ? 9 : bytes > 20 ? 32 : 8;
    if (bytes > checksum)
        grant[checksum] = (uint8_t)(grant[checksum] - sum);
    memory->grants[memory->count++] = grant;
    return grant;
}

static void check(const struct acpi_info *info)
{
    if (info->zone_count > ACPI_MAX_ZONES || info->core_node_count > ACPI_MAX_CORE_NODES ||
        info->memory_node_count > ACPI_MAX_MEMORY_NODES)
        abort();
    for (uint32_t i = 0; i < info->memory_node_count; i++) {
        const struct acpi_memory_node *node = &info->memory_nodes[i];
        if (node->bytes == 0 || node->start + node->bytes > PHYSICAL_LIMIT)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct acpi_info info;
    struct memory memory = {0};
    bool hostile_roots = size > 0 && data[0] == 0;
    size_t offset = hostile_roots ? 0 : SLOT(0);
    memcpy(memory.bytes + offset, data, size < MEMORY_BYTES - offset ? size : MEMORY_BYTES - offset);
    if (hostile_roots)
        memcpy(memory.bytes, "RSD PTR ", 8);
    else
        build_roots(&memory);
    build_slots(&memory);

    const struct acpi_memory access = {.reach = reach, .context = &memory};
    (void)acpi_parse(&access, BASE, &info);
    check(&info);
    while (memory.count > 0)
        free(memory.grants[--memory.count]);
    return 0;
}
