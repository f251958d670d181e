/*
 * Reads the program headers of the hypervisor's ELF. Must never accept a segment that is writable and
 * executable, that leaves the file, or that shares a frame with another.
 * Source: System V ABI, "Object Files" (gABI 4.1) and its AMD64 supplement 1.0.
 */
#include "boot/hv_elf.h"

#define HV_IMAGE_MAX_BYTES (64 * MIB)

struct elf64_header {
    uint8_t ident[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t program_headers;
    uint64_t section_headers;
    uint32_t flags;
    uint16_t header_bytes;
    uint16_t program_header_bytes;
    uint16_t program_header_count;
    uint16_t section_header_bytes;
    uint16_t section_header_count;
    uint16_t section_names;
};

struct elf64_program_header {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t virtual_address;
    uint64_t physical_address;
    uint64_t file_bytes;
    uint64_t memory_bytes;
    uint64_t alignment;
};

_Static_assert(sizeof(struct elf64_header) == 64, "layout of the ELF header");
_Static_assert(sizeof(struct elf64_program_header) == 56, "layout of an ELF program header");

enum { ELF_CLASS_64 = 2, ELF_LITTLE_ENDIAN = 1, ELF_EXECUTABLE = 2, ELF_X86_64 = 62 };
enum { SEGMENT_LOAD = 1 };
enum { SEGMENT_EXECUTE = 1, SEGMENT_WRITE = 2 };

static const char *read_header(const void *file, uint64_t bytes, struct elf64_header *header)
{
    if (bytes < sizeof(*header))
        return "shorter than an ELF header";
    __builtin_memcpy(header, file, sizeof(*header));
    if (__builtin_memcmp(header->ident, "\177ELF", 4) != 0 || header->ident[4] != ELF_CLASS_64 ||
        header->ident[5] != ELF_LITTLE_ENDIAN || header->type != ELF_EXECUTABLE ||
        header->machine != ELF_X86_64)
        return "not an executable for x86-64";
    if (header->program_header_bytes != sizeof(struct elf64_program_header))
        return "program headers of an unknown size";
    uint64_t table_bytes = (uint64_t)header->program_header_count * sizeof(struct elf64_program_header);
    if (header->program_headers > bytes || table_bytes > bytes - header->program_headers)
        return "program headers beyond the end of the file";
    return NULL;
}

/* Appends one PT_LOAD segment; they must come in ascending order. */
static const char *add_segment(struct hv_elf *elf, const struct elf64_program_header *load, uint64_t bytes)
{
    if (elf->segment_count == HV_ELF_MAX_SEGMENTS)
        return "too many segments";
    if (load->offset > bytes || load->file_bytes > bytes - load->offset)
        return "a segment beyond the end of the file";
    if (load->virtual_address < HV_IMAGE_BASE || !is_aligned(load->virtual_address, FRAME_BYTES))
        return "a segment below HV_IMAGE_BASE or not page-aligned";
    uint64_t image_offset = load->virtual_address - HV_IMAGE_BASE;
    if (image_offset > HV_IMAGE_MAX_BYTES || load->memory_bytes > HV_IMAGE_MAX_BYTES - image_offset ||
        load->memory_bytes < load->file_bytes)
        return "a segment too large";
    if (image_offset < elf->image_bytes)
        return "segments that share a page or are out of order";
    bool write = (load->flags & SEGMENT_WRITE) != 0;
    bool execute = (load->flags & SEGMENT_EXECUTE) != 0;
    if (write && execute)
        return "a segment both writable and executable";

    elf->segments[elf->segment_count++] = (struct hv_segment){
        .file_offset = load->offset,
        .file_bytes = load->file_bytes,
        .image_offset = image_offset,
        .memory_bytes = load->memory_bytes,
        .write = write,
        .execute = execute,
    };
    elf->image_bytes = align_up(image_offset + load->memory_bytes, FRAME_BYTES);
    return NULL;
}

static bool entry_is_code(const struct hv_elf *elf)
{
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const struct hv_segment *s = &elf->segments[i];
        uint64_t start = HV_IMAGE_BASE + s->image_offset;
        if (s->execute && elf->entry >= start && elf->entry - start < s->file_bytes)
            return true;
    }
    return false;
}

const char *hv_elf_read(const void *file, uint64_t bytes, struct hv_elf *elf)
{
    *elf = (struct hv_elf){0};
    struct elf64_header header;
    const char *wrong = read_header(file, bytes, &header);
    elf->entry = wrong == NULL ? header.entry : 0;
    for (uint32_t i = 0; wrong == NULL && i < header.program_header_count; i++) {
        struct elf64_program_header load;
        uint64_t at = header.program_headers + i * sizeof(load);
        __builtin_memcpy(&load, (const uint8_t *)file + at, sizeof(load));
        if (load.type == SEGMENT_LOAD && load.memory_bytes > 0)
            wrong = add_segment(elf, &load, bytes);
    }
    if (wrong == NULL && !entry_is_code(elf))
        wrong = "an entry point in no executable segment";
    return wrong;
}
