/*
 * Any bytes at all as a guest image, ELF and flat: a layout that is accepted keeps every promise. The first
 * byte chooses the partition's memory and whether the rest is the file as it stands or a recipe for an ELF
 * file with a right header, so that the fuzzer gets beyond the first checks.
 */
#include <elf.h>
#include <string.h>

#include "host_tests/support/image_promise.h"

#define MAX_PROGRAMS 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct recipe {
    uint8_t type;
    uint8_t offset;
    uint8_t file_bytes;
    uint8_t shift; /* of the four numbers below, by its four quarters: from bytes to beyond 2^48 */
    uint16_t virtual;
    uint16_t physical;
    uint16_t memory_bytes;
};

struct elf_file {
    Elf64_Ehdr header;
    Elf64_Phdr programs[MAX_PROGRAMS];
};

static size_t cook(struct elf_file *file, const uint8_t *data, size_t size)
{
    struct recipe recipe;
    *file = (struct elf_file){.header = {.e_type = ET_EXEC,
                                         .e_machine = EM_X86_64,
                                         .e_phoff = sizeof(Elf64_Ehdr),
                                         .e_phentsize = sizeof(Elf64_Phdr)}};
    memcpy(file->header.e_ident, ELFMAG "\2\1\1", SELFMAG + 3);
    if (size >= 2)
        file->header.e_entry = (uint64_t)data[0] << (data[1] & 63);
    for (size_t at = 2; at + sizeof(recipe) <= size && file->header.e_phnum < MAX_PROGRAMS;
         at += sizeof(recipe)) {
        memcpy(&recipe, data + at, sizeof(recipe));
        file->programs[file->header.e_phnum++] =
            (Elf64_Phdr){.p_type = recipe.type & 3,
                         .p_offset = recipe.offset,
                         .p_vaddr = (uint64_t)recipe.virtual << (recipe.shift & 3) * 16,
                         .p_paddr = (uint64_t)recipe.physical << (recipe.shift >> 2 & 3) * 12,
                         .p_filesz = recipe.file_bytes,
                         .p_memsz = (uint64_t)recipe.memory_bytes << (recipe.shift >> 4 & 3) * 12};
    }
    return sizeof(file->header) + file->header.e_phnum * sizeof(Elf64_Phdr);
}

static void check(const void *file, size_t bytes, uint64_t low_memory)
{
    for (int flat = 0; flat <= 1; flat++) {
        struct image_layout layout;
        if (image_check(file, bytes, flat, low_memory, &layout) == IMAGE_OK)
            image_promise(&layout, bytes, flat, low_memory);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t low_memories[] = {0, 4 * MIB, 64 * MIB, 3 * GIB, UINT64_MAX};
    struct elf_file file;
    if (size == 0)
        return 0;
    uint64_t low_memory = low_memories[(data[0] >> 1) % ARRAY_SIZE(low_memories)];
    if ((data[0] & 1) != 0)
        check(&file, cook(&file, data + 1, size - 1), low_memory);
    else
        check(data + 1, size - 1, low_memory);
    return 0;
}
