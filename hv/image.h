/*
 * Guest images: recognised, checked and turned into a list of copies. Pure; every byte of an image is
 * hostile.
 */
#ifndef FREEHOLD_HV_IMAGE_H
#define FREEHOLD_HV_IMAGE_H

#include "alloc/addr.h"

#define IMAGE_MAX_SEGMENTS 16
#define IMAGE_MAX_BYTES    (512 * MIB)        /* a larger file is no guest image */
#define IMAGE_FLAT_BASE    UINT64_C(0x100000) /* where a flat binary is loaded and entered */
#define IMAGE_LOW_LIMIT \
    UINT64_C(0x10000) /* below lie the boot information, first tables and stack: no segment */

struct image_segment {
    uint64_t file_offset; /* file_offset + file_bytes lies inside the file */
    uint64_t file_bytes;
    uint64_t gpa;
    uint64_t memory_bytes; /* at least file_bytes; the rest is zero */
};

struct image_layout {
    uint64_t entry;         /* guest-physical, inside a segment */
    uint32_t segment_count; /* at least 1 */
    struct image_segment
        segments[IMAGE_MAX_SEGMENTS]; /* disjoint, inside low memory, above IMAGE_LOW_LIMIT */
};

enum image_status {
    IMAGE_OK,
    IMAGE_E_EMPTY,
    IMAGE_E_NOT_ELF,   /* and its name does not end in .bin, which would make it a flat binary */
    IMAGE_E_TRUNCATED, /* a header or segment reaches beyond the file */
    IMAGE_E_HEADERS,   /* program headers of an unknown size, or more bytes in the file than in memory */
    IMAGE_E_CLASS,     /* not 64-bit little-endian x86-64 */
    IMAGE_E_TYPE,      /* not an executable (ET_EXEC, or ET_DYN linked at its load address, no interpreter) */
    IMAGE_E_SEGMENTS,  /* none to load, or more than IMAGE_MAX_SEGMENTS */
    IMAGE_E_OVERLAP,   /* two segments overlap */
    IMAGE_E_ADDRESS,   /* a segment lies below IMAGE_LOW_LIMIT or does not fit the partition's low memory */
    IMAGE_E_ENTRY,     /* the entry point lies in no segment */
};

/*
 * Checks `bytes` of image for a partition whose low memory (gpa 0 up to the device hole) has
 * low_memory_bytes. flat: the file's name ends in ".bin". Fills *layout on IMAGE_OK, else leaves it alone.
 * Segments of an ELF file go to their physical addresses; an entry point that is a virtual address of a
 * segment is translated. Source: System V ABI, "ELF-64 Object File Format", chapters on the file and program
 * header.
 */
MUST_USE enum image_status image_check(const void *image, uint64_t bytes, bool flat,
                                       uint64_t low_memory_bytes, struct image_layout *layout);

/* What is wrong and what would be right; a predicate, to follow the image's name. */
const char *image_status_text(enum image_status status);

#endif
