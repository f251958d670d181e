/*
 * Guest images: every field of a file is hostile until it has been compared with what it must fit into.
 * Must never read beyond the file, nor accept a segment outside the partition's memory.
 */
#include "hv/image.h"

#define ELF_MAGIC       "\177ELF"
#define ELF_CLASS_64    2
#define ELF_DATA_LITTLE 1
#define ELF_VERSION     1
#define ELF_TYPE_EXEC   2
#define ELF_TYPE_DYN    3
#define ELF_MACHINE_X64 62
#define ELF_PT_LOAD     1u
#define ELF_PT_INTERP   3u

struct elf_header {
    uint8_t magic[4];
    uint8_t class;
    uint8_t data;
    uint8_t ident_version;
    uint8_t ident_rest[9];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t program_offset;
    uint64_t section_offset;
    uint32_t flags;
    uint16_t header_bytes;
    uint16_t program_entry_bytes;
    uint16_t program_count;
    uint16_t section_entry_bytes;
    uint16_t section_count;
    uint16_t section_names;
};
_Static_assert(sizeof(struct elf_header) == 64, "as the format says");

struct elf_program {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t virtual;
    uint64_t physical;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    uint64_t align;
};
_Static_assert(sizeof(struct elf_program) == 56, "as the format says");

struct file {
    const uint8_t *start;
    uint64_t bytes;
};

/* Is [offset, offset + bytes) inside [0, limit)? */
static bool inside(uint64_t offset, uint64_t bytes, uint64_t limit)
{
    return bytes <= limit && offset <= limit - bytes;
}

/* Headers are copied out: they may lie at odd offsets. */
static bool read(struct file file, uint64_t offset, void *to, uint64_t bytes)
{
    if (!inside(offset, bytes, file.bytes))
        return false;
    __builtin_memcpy(to, file.start + offset, bytes);
    return true;
}

static enum image_status check_header(struct file file, struct elf_header *header)
{
    if (!read(file, 0, header->magic, sizeof(header->magic)) ||
        __builtin_memcmp(header->magic, ELF_MAGIC, sizeof(header->magic)) != 0)
        return IMAGE_E_NOT_ELF;
    if (!read(file, 0, header, sizeof(*header)))
        return IMAGE_E_TRUNCATED;
    if (header->class != ELF_CLASS_64 || header->data != ELF_DATA_LITTLE ||
        header->ident_version != ELF_VERSION || header->machine != ELF_MACHINE_X64)
        return IMAGE_E_CLASS;
    if (header->type != ELF_TYPE_EXEC && header->type != ELF_TYPE_DYN)
        return IMAGE_E_TYPE;
    if (header->program_entry_bytes != sizeof(struct elf_program))
        return IMAGE_E_HEADERS;
    return inside(header->program_offset, (uint64_t)header->program_count * sizeof(struct elf_program),
                  file.bytes)
               ? IMAGE_OK
               : IMAGE_E_TRUNCATED;
}

/* The place in memory: above the boot information, inside low memory, beside all segments so far. */
static enum image_status check_place(const struct image_layout *layout, uint64_t gpa, uint64_t bytes,
                                     uint64_t low_memory_bytes)
{
    if (gpa < IMAGE_LOW_LIMIT || !inside(gpa, bytes, low_memory_bytes))
        return IMAGE_E_ADDRESS;
    struct extent place = {gpa, gpa + bytes};
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        const struct image_segment *other = &layout->segments[i];
        if (extents_overlap(place, (struct extent){other->gpa, other->gpa + other->memory_bytes}))
            return IMAGE_E_OVERLAP;
    }
    return IMAGE_OK;
}

static enum image_status add_segment(struct image_layout *layout, struct file file,
                                     const struct elf_program *program, uint64_t low_memory_bytes)
{
    if (program->file_bytes > program->memory_bytes)
        return IMAGE_E_HEADERS;
    if (program->memory_bytes == 0)
        return IMAGE_OK;
    if (program->file_bytes > 0 && !inside(program->offset, program->file_bytes, file.bytes))
        return IMAGE_E_TRUNCATED;
    enum image_status status =
        check_place(layout, program->physical, program->memory_bytes, low_memory_bytes);
    if (status != IMAGE_OK)
        return status;
    if (layout->segment_count == IMAGE_MAX_SEGMENTS)
        return IMAGE_E_SEGMENTS;
    layout->segments[layout->segment_count++] = (struct image_segment){
        /* Without bytes in the file the offset means nothing and may be anything. */
        .file_offset = program->file_bytes > 0 ? program->offset : 0,
        .file_bytes = program->file_bytes,
        .gpa = program->physical,
        .memory_bytes = program->memory_bytes,
    };
    return IMAGE_OK;
}

/* Where execution begins: the entry as a virtual address of a segment, else as a physical one. */
struct entry {
    uint64_t address; /* as the header says */
    uint64_t gpa;
    bool by_virtual;
    bool by_physical;
};

static bool holds(uint64_t start, uint64_t bytes, uint64_t address)
{
    return address >= start && address - start < bytes;
}

static void find_entry(struct entry *entry, const struct elf_program *program)
{
    if (entry->by_virtual)
        return;
    if (holds(program->virtual, program->memory_bytes, entry->address)) {
        entry->by_virtual = true;
        entry->gpa = program->physical + (entry->address - program->virtual);
    } else if (holds(program->physical, program->memory_bytes, entry->address)) {
        entry->by_physical = true;
        entry->gpa = entry->address;
    }
}

static enum image_status check_elf(struct file file, uint64_t low_memory_bytes, struct image_layout *layout)
{
    struct elf_header header;
    enum image_status status = check_header(file, &header);
    struct entry entry = {.address = header.entry};
    for (uint32_t i = 0; status == IMAGE_OK && i < header.program_count; i++) {
        struct elf_program program;
        bool there = read(file, header.program_offset + i * sizeof(program), &program, sizeof(program));
        CHECK(there);
        if (program.type == ELF_PT_INTERP)
            return IMAGE_E_TYPE;
        if (program.type != ELF_PT_LOAD)
            continue;
        status = add_segment(layout, file, &program, low_memory_bytes);
        find_entry(&entry, &program);
    }
    if (status != IMAGE_OK)
        return status;
    if (layout->segment_count == 0)
        return IMAGE_E_SEGMENTS;
    layout->entry = entry.gpa;
    return entry.by_virtual || entry.by_physical ? IMAGE_OK : IMAGE_E_ENTRY;
}

static enum image_status check_flat(struct file file, uint64_t low_memory_bytes, struct image_layout *layout)
{
    enum image_status status = check_place(layout, IMAGE_FLAT_BASE, file.bytes, low_memory_bytes);
    if (status != IMAGE_OK)
        return status;
    layout->entry = IMAGE_FLAT_BASE;
    layout->segments[layout->segment_count++] = (struct image_segment){
        .file_offset = 0,
        .file_bytes = file.bytes,
        .gpa = IMAGE_FLAT_BASE,
        .memory_bytes = file.bytes,
    };
    return IMAGE_OK;
}

enum image_status image_check(const void *image, uint64_t bytes, bool flat, uint64_t low_memory_bytes,
                              struct image_layout *layout)
{
    if (bytes == 0)
        return IMAGE_E_EMPTY;
    struct file file = {image, bytes};
    struct image_layout found = {.segment_count = 0};
    enum image_status status =
        flat ? check_flat(file, low_memory_bytes, &found) : check_elf(file, low_memory_bytes, &found);
    if (status == IMAGE_OK)
        *layout = found;
    return status;
}

const char *image_status_text(enum image_status status)
{
    static const char *const texts[] = {
        [IMAGE_OK] = "is fine",
        [IMAGE_E_EMPTY] = "is empty: give the file of a guest",
        [IMAGE_E_NOT_ELF] = "is no ELF file; a flat 64-bit binary needs a name that ends in .bin",
        [IMAGE_E_TRUNCATED] = "is cut short: a header or segment reaches beyond its end; copy it again",
        [IMAGE_E_HEADERS] = "has malformed program headers; link it again",
        [IMAGE_E_CLASS] = "is not for this processor: link it as 64-bit little-endian x86-64",
        [IMAGE_E_TYPE] = "is no stand-alone executable; link it with -static and without -pie",
        [IMAGE_E_SEGMENTS] = "has no segment to load, or more than 16; link it with 1 to 16",
        [IMAGE_E_OVERLAP] = "has segments that overlap in memory; link them apart",
        [IMAGE_E_ADDRESS] =
            "has a segment below 64 KiB or beyond the partition's low memory; move it or give more memory",
        [IMAGE_E_ENTRY] = "has an entry point outside its segments; name a symbol of it with ENTRY or -e",
    };
    return (unsigned)status < ARRAY_SIZE(texts) ? texts[status] : "is not acceptable";
}
