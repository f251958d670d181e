/*
 * The firmware's memory map, as last read.
 */
#ifndef FREEHOLD_BOOT_MEMORY_MAP_H
#define FREEHOLD_BOOT_MEMORY_MAP_H

#include "alloc/memmap.h"

struct memory_map {
    void *buffer;
    uint64_t capacity; /* bytes */
    uint64_t bytes;    /* in use */
    uint64_t descriptor_bytes;
    uint64_t key; /* for ExitBootServices */

    /* Room to translate it, as large as the buffer demands. */
    struct memmap_input *inputs;
    uint64_t *scratch;
    uint64_t max_inputs;
};

#endif
