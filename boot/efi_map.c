/*
 * UEFI memory descriptors become memmap inputs, one by one and in the firmware's order. Must never trust a
 * length, an alignment or a type: alloc/memmap.c refuses what wraps, this file only keeps its reads inside
 * the map.
 */
#include "boot/efi_map.h"

/* The types this file knows, by the specification's names. */
enum {
    TYPE_LOADER_CODE = 1,
    TYPE_LOADER_DATA = 2,
    TYPE_BOOT_SERVICES_CODE = 3,
    TYPE_BOOT_SERVICES_DATA = 4,
    TYPE_CONVENTIONAL = 7,
    TYPE_UNUSABLE = 8,
    TYPE_ACPI_RECLAIM = 9,
    TYPE_MEMORY_MAPPED_IO = 11,
    TYPE_MEMORY_MAPPED_IO_PORTS = 12,
    TYPE_UNACCEPTED = 15,
};

#define ATTRIBUTE_WRITE_BACK       UINT64_C(0x8)
#define ATTRIBUTE_NON_VOLATILE     UINT64_C(0x8000)
#define ATTRIBUTE_SPECIFIC_PURPOSE UINT64_C(0x40000)

static bool shape_is_valid(size_t map_bytes, size_t descriptor_bytes)
{
    return descriptor_bytes >= sizeof(struct efi_map_descriptor) && map_bytes % descriptor_bytes == 0;
}

/* Copied out, since nothing promises that a descriptor is aligned. */
static struct efi_map_descriptor descriptor_at(const void *map, size_t offset)
{
    struct efi_map_descriptor descriptor;
    __builtin_memcpy(&descriptor, (const uint8_t *)map + offset, sizeof(descriptor));
    return descriptor;
}

/* Ordinary RAM only: cacheable, lost at power-off, and not set aside for a driver that knows it. */
static bool is_ordinary_ram(uint64_t attributes)
{
    return (attributes & ATTRIBUTE_WRITE_BACK) != 0 &&
           (attributes & (ATTRIBUTE_NON_VOLATILE | ATTRIBUTE_SPECIFIC_PURPOSE)) == 0;
}

static enum memmap_kind kind_of(const struct efi_map_descriptor *descriptor)
{
    switch (descriptor->type) {
    case TYPE_LOADER_CODE:
    case TYPE_LOADER_DATA:
    case TYPE_BOOT_SERVICES_CODE:
    case TYPE_BOOT_SERVICES_DATA:
    case TYPE_CONVENTIONAL:
        return is_ordinary_ram(descriptor->attributes) ? MEMMAP_FREE : MEMMAP_FIRMWARE;
    case TYPE_UNUSABLE:
        return MEMMAP_BAD;
    case TYPE_ACPI_RECLAIM:
        return MEMMAP_ACPI;
    case TYPE_MEMORY_MAPPED_IO:
    case TYPE_MEMORY_MAPPED_IO_PORTS:
        return MEMMAP_MMIO;
    default:
        return MEMMAP_FIRMWARE;
    }
}

enum efi_map_status efi_map_translate(const void *map, size_t map_bytes, size_t descriptor_bytes,
                                      struct memmap_input *inputs, size_t max, size_t *count)
{
    *count = 0;
    if (!shape_is_valid(map_bytes, descriptor_bytes))
        return EFI_MAP_E_DESCRIPTOR;
    if (map_bytes / descriptor_bytes > max)
        return EFI_MAP_E_TOO_MANY;

    for (size_t offset = 0; offset < map_bytes; offset += descriptor_bytes) {
        struct efi_map_descriptor descriptor = descriptor_at(map, offset);
        inputs[(*count)++] = (struct memmap_input){
            .start = descriptor.physical_start,
            .frame_count = descriptor.page_count,
            .kind = kind_of(&descriptor),
        };
    }
    return EFI_MAP_OK;
}

static bool is_mapped_memory(const struct efi_map_descriptor *descriptor)
{
    switch (descriptor->type) {
    case TYPE_UNUSABLE:
    case TYPE_MEMORY_MAPPED_IO:
    case TYPE_MEMORY_MAPPED_IO_PORTS:
    case TYPE_UNACCEPTED:
        return false;
    default:
        return true;
    }
}

static bool holds(const struct efi_map_descriptor *descriptor, uint64_t address, uint64_t bytes)
{
    if (descriptor->page_count > PHYSICAL_LIMIT / FRAME_BYTES || address < descriptor->physical_start)
        return false;
    uint64_t length = descriptor->page_count * FRAME_BYTES;
    uint64_t offset = address - descriptor->physical_start;
    return offset < length && bytes <= length - offset;
}

bool efi_map_readable(const void *map, size_t map_bytes, size_t descriptor_bytes, uint64_t address,
                      uint64_t bytes)
{
    if (!shape_is_valid(map_bytes, descriptor_bytes))
        return false;
    for (size_t offset = 0; offset < map_bytes; offset += descriptor_bytes) {
        struct efi_map_descriptor descriptor = descriptor_at(map, offset);
        if (is_mapped_memory(&descriptor) && holds(&descriptor, address, bytes))
            return true;
    }
    return false;
}
