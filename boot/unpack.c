/* Unpacking. Must never read or write outside its two buffers, whatever the bytes say. */
#include "boot/unpack.h"

#define SIZE_BYTES     4u
#define DISTANCE_BYTES 2u
#define MATCH          0x80u /* in a control byte; its other bits count */
#define MATCH_MIN      4u

struct unpacking {
    const uint8_t *from;
    uint64_t from_left;
    uint8_t *to; /* the next byte */
    uint64_t done;
    uint64_t to_left;
};

static bool copy_literals(struct unpacking *u, uint32_t count)
{
    if (count > u->from_left || count > u->to_left)
        return false;
    __builtin_memcpy(u->to, u->from, count);
    u->from += count;
    u->from_left -= count;
    return true;
}

static bool copy_match(struct unpacking *u, uint32_t count)
{
    if (u->from_left < DISTANCE_BYTES || count > u->to_left)
        return false;
    uint32_t distance = u->from[0] | (uint32_t)u->from[1] << 8;
    if (distance == 0 || distance > u->done)
        return false;
    u->from += DISTANCE_BYTES;
    u->from_left -= DISTANCE_BYTES;
    for (uint32_t i = 0; i < count;
         i++) /* byte by byte: later ones may repeat earlier ones of the same match */
        u->to[i] = u->to[(int64_t)i - distance];
    return true;
}

uint32_t unpack_bytes(const void *packed, uint64_t length)
{
    const uint8_t *bytes = packed;
    if (length < SIZE_BYTES)
        return 0;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool unpack(const void *packed, uint64_t length, void *to)
{
    if (length < SIZE_BYTES)
        return false;
    struct unpacking u = {
        .from = (const uint8_t *)packed + SIZE_BYTES,
        .from_left = length - SIZE_BYTES,
        .to = to,
        .to_left = unpack_bytes(packed, length),
    };
    while (u.to_left > 0 && u.from_left > 0) {
        uint32_t control = *u.from++;
        u.from_left--;
        bool match = (control & MATCH) != 0;
        uint32_t count = match ? (control & ~MATCH) + MATCH_MIN : control + 1;
        if (!(match ? copy_match(&u, count) : copy_literals(&u, count)))
            return false;
        u.to += count;
        u.done += count;
        u.to_left -= count;
    }
    return u.to_left == 0 && u.from_left == 0;
}
