/*
 * The firmware's memory map, translated into what alloc/memmap.h takes. Pure: has its own picture of a
 * descriptor (boot/memory.c asserts that <efi.h> agrees), so that it runs on the host.
 * Source: UEFI Specification 2.10, "EFI_BOOT_SERVICES.GetMemoryMap()" and "Memory Type Usage after
 * ExitBootServices()".
 */
#ifndef FREEHOLD_BOOT_EFI_MAP_H
#define FREEHOLD_BOOT_EFI_MAP_H

#include "alloc/memmap.h"

/* One descriptor as version 1 of it begins; the firmware's may be longer (descriptor_bytes tells). */
struct efi_map_descriptor {
    uint32_t type;
    uint32_t padding;
    uint64_t physical_start;
    uint64_t virtual_start;
    uint64_t page_count;
    uint64_t attributes;
};

enum efi_map_status {
    EFI_MAP_OK,
    EFI_MAP_E_DESCRIPTOR, /* a descriptor is shorter than version 1, or the map no whole number of them */
    EFI_MAP_E_TOO_MANY,   /* more than `max` descriptors */
};

/*
 * Translates `map_bytes` of descriptors, each descriptor_bytes long and at any alignment, into at most `max`
 * inputs; *count is how many. Types without a meaning here become MEMMAP_FIRMWARE: what is not known is not
 * touched.
 */
MUST_USE enum efi_map_status efi_map_translate(const void *map, size_t map_bytes, size_t descriptor_bytes,
                                               struct memmap_input *inputs, size_t max, size_t *count);

/*
 * Whether [address, address + bytes) lies wholly inside one descriptor of memory (any type but absent and
 * unusable): what the firmware maps, so that reading it cannot fault.
 */
bool efi_map_readable(const void *map, size_t map_bytes, size_t descriptor_bytes, uint64_t address,
                      uint64_t bytes);

#endif
