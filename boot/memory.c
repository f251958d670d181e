/*
 * The machine's memory: what the firmware says of it, what of it is ours, and whether the plan fits. The
 * functions that the last step repeats (refresh_map, rehearse_plan) call no firmware service but
 * GetMemoryMap.
 */
#include "boot/memory.h"

#include "boot/console.h"
#include "boot/efi_map.h"

_Static_assert(sizeof(EFI_MEMORY_DESCRIPTOR) == sizeof(struct efi_map_descriptor) &&
                   offsetof(EFI_MEMORY_DESCRIPTOR, Type) == offsetof(struct efi_map_descriptor, type) &&
                   offsetof(EFI_MEMORY_DESCRIPTOR, PhysicalStart) ==
                       offsetof(struct efi_map_descriptor, physical_start) &&
                   offsetof(EFI_MEMORY_DESCRIPTOR, NumberOfPages) ==
                       offsetof(struct efi_map_descriptor, page_count) &&
                   offsetof(EFI_MEMORY_DESCRIPTOR, Attribute) ==
                       offsetof(struct efi_map_descriptor, attributes),
               "boot/efi_map.h describes the descriptors of <efi.h>");

/* Every page we take may split a descriptor in three, and so may what the firmware takes meanwhile. */
#define SPARE_DESCRIPTORS 256u
/* Extents that reservations and carving may add to the frame table between rehearsal and the real thing. */
#define SPARE_TABLE_BYTES (16 * KIB)

EFI_STATUS refresh_map(struct boot *boot)
{
    struct memory_map *map = &boot->firmware_map;
    UINTN bytes = map->capacity, key = 0, descriptor_bytes = 0;
    UINT32 version = 0;
    EFI_STATUS status = boot->services->GetMemoryMap(&bytes, map->buffer, &key, &descriptor_bytes, &version);
    map->bytes = EFI_ERROR(status) ? 0 : bytes;
    map->descriptor_bytes = descriptor_bytes;
    map->key = key;
    return status;
}

/* Asks for the size first, then takes room for what the map may still grow by. */
static bool take_map_buffer(struct boot *boot)
{
    struct memory_map *map = &boot->firmware_map;
    UINTN bytes = 0, key = 0, descriptor_bytes = 0;
    UINT32 version = 0;
    EFI_STATUS status = boot->services->GetMemoryMap(&bytes, NULL, &key, &descriptor_bytes, &version);
    if (status != EFI_BUFFER_TOO_SMALL || descriptor_bytes < sizeof(struct efi_map_descriptor))
        return boot_refuse(boot, REFUSED_MEMORY_MAP, EFI_UNSUPPORTED,
                           "the firmware does not describe its memory (descriptors of %u bytes)",
                           (uint32_t)descriptor_bytes);
    map->capacity = align_up(bytes + SPARE_DESCRIPTORS * descriptor_bytes, FRAME_BYTES);
    map->max_inputs = map->capacity / descriptor_bytes;
    map->buffer = boot_take(boot, map->capacity, EfiLoaderData, ANYWHERE);
    map->inputs = boot_take(boot, map->max_inputs * sizeof(*map->inputs), EfiLoaderData, ANYWHERE);
    map->scratch =
        boot_take(boot, (2 * map->max_inputs + 2) * sizeof(*map->scratch), EfiLoaderData, ANYWHERE);
    if (map->buffer == NULL || map->inputs == NULL || map->scratch == NULL)
        return boot_refuse_memory(boot, "the memory map", map->capacity);
    return true;
}

static bool refuse_map(struct boot *boot, const char *why)
{
    return boot_refuse(boot, REFUSED_MEMORY_MAP, EFI_UNSUPPORTED, "the firmware's memory map %s", why);
}

static bool build_map(struct boot *boot)
{
    const struct memory_map *raw = &boot->firmware_map;
    size_t count = 0;
    if (efi_map_translate(raw->buffer, raw->bytes, raw->descriptor_bytes, raw->inputs, raw->max_inputs,
                          &count) != EFI_MAP_OK)
        return refuse_map(boot, "has descriptors of an impossible size");
    switch (memmap_build(&boot->handoff->machine.map, raw->inputs, count, raw->scratch)) {
    case MEMMAP_OK:
        return true;
    case MEMMAP_E_NO_RAM:
        return refuse_map(boot, "shows no usable memory");
    default:
        return refuse_map(boot, "falls into more than 1024 ranges");
    }
}

bool read_memory_map(struct boot *boot)
{
    if (!take_map_buffer(boot))
        return false;
    if (EFI_ERROR(refresh_map(boot)))
        return refuse_map(boot, "cannot be read");
    if (!build_map(boot))
        return false;
    const struct memmap *map = &boot->handoff->machine.map;
    say("%llu MiB of memory\n", (unsigned long long)(memmap_bytes(map, MEMMAP_FREE) / MIB));
    if (map->dropped > 0)
        say("%u senseless memory descriptors are not used\n", map->dropped);
    return true;
}

/* What the SRAT says of memory; ranges it does not know stay in no zone. */
static bool mark_zones(struct boot *boot)
{
    const struct acpi_info *acpi = boot->acpi;
    for (uint32_t i = 0; acpi != NULL && i < acpi->memory_node_count; i++) {
        const struct acpi_memory_node *node = &acpi->memory_nodes[i];
        struct extent what = {align_up(node->start, FRAME_BYTES),
                              align_down(node->start + node->bytes, FRAME_BYTES)};
        if (what.start >= what.end)
            continue;
        if (memmap_set_zone(&boot->handoff->machine.map, what, acpi_zone_of_domain(acpi, node->domain)) !=
            MEMMAP_OK)
            return refuse_map(boot, "and the ACPI SRAT together fall into more than 1024 ranges");
    }
    return true;
}

static bool reserve(struct boot *boot, uint64_t base, uint64_t bytes)
{
    struct extent what = {base, base + align_up(bytes, FRAME_BYTES)};
    if (bytes == 0 || memmap_reserve(&boot->handoff->machine.map, what, MEMMAP_HYPERVISOR) == MEMMAP_OK)
        return true;
    return refuse_map(boot, "does not show the memory that it gave us as usable");
}

static bool reserve_own(struct boot *boot)
{
    const struct handoff *handoff = boot->handoff;
    if (!reserve(boot, handoff->region_base, handoff->region_bytes) ||
        !reserve(boot, handoff->trampoline, handoff->trampoline == 0 ? 0 : FRAME_BYTES))
        return false;
    for (uint32_t i = 0; i < handoff->config.partition_count; i++)
        if (image_is_first_use(handoff, i) &&
            !reserve(boot, handoff->images[i].base, handoff->images[i].bytes))
            return false;
    return true;
}

bool prepare_rehearsal(struct boot *boot)
{
    const struct handoff *handoff = boot->handoff;
    boot->frame_table_bytes =
        frames_table_bytes(&handoff->machine.map, handoff->config.partition_count) + SPARE_TABLE_BYTES;
    boot->frame_table = boot_take(boot, boot->frame_table_bytes, EfiLoaderData, ANYWHERE);
    boot->plan = boot_take(boot, sizeof(*boot->plan), EfiLoaderData, ANYWHERE);
    if (boot->frame_table == NULL || boot->plan == NULL)
        return boot_refuse_memory(boot, "rehearsing the plan", boot->frame_table_bytes + sizeof(*boot->plan));
    return true;
}

bool rehearse_plan(struct boot *boot)
{
    struct handoff *handoff = boot->handoff;
    if (EFI_ERROR(refresh_map(boot)))
        return refuse_map(boot, "grew too fast to be read");
    if (!build_map(boot) || !reserve_own(boot) || !mark_zones(boot))
        return false;

    struct frame_table frames;
    struct diag diag;
    if (frames_init(&frames, boot->frame_table, boot->frame_table_bytes, &handoff->machine.map) != ALLOC_OK)
        return refuse_map(boot, "fell into many more pieces while it was read");
    if (!plan_make(&handoff->config, &handoff->machine, &frames, boot->plan, &diag))
        return boot_refuse_at(boot, REFUSED_PLAN, EFI_OUT_OF_RESOURCES, diag.pos, "%s", diag.message);
    return true;
}
