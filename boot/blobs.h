/*
 * What the EFI application carries inside itself: the hypervisor and the built-in guests, packed
 * (boot/unpack.h).
 */
#ifndef FREEHOLD_BOOT_BLOBS_H
#define FREEHOLD_BOOT_BLOBS_H

#include "alloc/base.h"

struct blob {
    const uint8_t *bytes;
    uint64_t length;
};

/* The hypervisor's ELF. */
struct blob blob_hypervisor(void);

/* The built-in guest of that name; length 0 when there is none. */
struct blob blob_guest(const char *name);

#endif
