/*
 * Makes the application's own pointers right for where the firmware put it. Runs first: must touch no
 * pointer in static data.
 * Source: System V ABI, AMD64 supplement 1.0, "Relocation".
 */
#include "boot/boot.h"

struct elf_dynamic {
    int64_t tag;
    uint64_t value;
};

struct elf_rela {
    uint64_t offset;
    uint64_t info;
    int64_t addend;
};

enum { TAG_NULL = 0, TAG_RELA = 7, TAG_RELA_BYTES = 8 };
#define RELOCATION_RELATIVE 8u

void boot_relocate(uint64_t image_base, const void *dynamic)
{
    uint64_t table = 0, bytes = 0;
    for (const struct elf_dynamic *entry = dynamic; entry->tag != TAG_NULL; entry++) {
        if (entry->tag == TAG_RELA)
            table = image_base + entry->value;
        else if (entry->tag == TAG_RELA_BYTES)
            bytes = entry->value;
    }
    if (table == 0)
        return;
    const struct elf_rela *rela = (const struct elf_rela *)table;
    for (uint64_t i = 0; i < bytes / sizeof(*rela); i++)
        if ((uint32_t)rela[i].info == RELOCATION_RELATIVE)
            *(uint64_t *)(image_base + rela[i].offset) = image_base + (uint64_t)rela[i].addend;
}
