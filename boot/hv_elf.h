/*
 * The hypervisor's own ELF file, as linker.ld lays it out. Pure. It was built together with this program, so
 * a malformed one is a broken build; it is checked all the same, because its permissions become page tables.
 */
#ifndef FREEHOLD_BOOT_HV_ELF_H
#define FREEHOLD_BOOT_HV_ELF_H

#include "hv/handoff.h"

#define HV_ELF_MAX_SEGMENTS 8

struct hv_segment {
    uint64_t file_offset;
    uint64_t file_bytes;
    uint64_t image_offset; /* from HV_IMAGE_BASE, a multiple of FRAME_BYTES */
    uint64_t memory_bytes; /* at least file_bytes; the rest is zero */
    bool write;            /* never both write and execute */
    bool execute;
};

struct hv_elf {
    uint64_t entry;       /* a virtual address, inside an executable segment */
    uint64_t image_bytes; /* from HV_IMAGE_BASE to the end of the last segment, a multiple of FRAME_BYTES */
    uint32_t segment_count;
    struct hv_segment segments[HV_ELF_MAX_SEGMENTS]; /* ascending, no two in one frame */
};

/* NULL when *elf is filled, else what is wrong with the file. */
MUST_USE const char *hv_elf_read(const void *file, uint64_t bytes, struct hv_elf *elf);

#endif
