/*
 * What the EFI application carries is packed by tools/pack; here it comes out again. Pure.
 *
 * The format: the unpacked size in 4 bytes, low byte first; then, until that many bytes have come, a control
 * byte c: below 0x80, c + 1 bytes follow as they are; from 0x80 on, (c & 0x7f) + 4 bytes repeat what came
 * `distance` bytes before them, and the distance (1 to 65535) follows in 2 bytes, low byte first. The copy
 * may overlap itself.
 */
#ifndef FREEHOLD_BOOT_UNPACK_H
#define FREEHOLD_BOOT_UNPACK_H

#include "alloc/base.h"

/* How many bytes it unpacks to, as it says; 0 when it is too short to say. */
uint32_t unpack_bytes(const void *packed, uint64_t length);

/*
 * Unpacks into `to`, which has unpack_bytes() bytes. False when the contents are damaged: nothing outside
 * `to` was written then either.
 */
MUST_USE bool unpack(const void *packed, uint64_t length, void *to);

#endif
