/*
 * A ring of records between one producer and one consumer, without locks: each core tells the control loop
 * what happened. Pure. The producer never waits: a record that finds no room is counted and dropped.
 */
#ifndef FREEHOLD_HV_RING_H
#define FREEHOLD_HV_RING_H

#include "alloc/base.h"

#define RING_MAX_PAYLOAD  1024 /* bytes of one record */
#define RING_HEADER_BYTES 8
#define RING_MIN_CAPACITY 64
#define RING_MAX_CAPACITY (UINT32_C(1) << 30)
#define RING_LINE_BYTES   64 /* a cache line: the two sides do not disturb each other */

/* head and tail run freely and wrap at 2^32; their difference is what is filled. */
struct ring {
    uint8_t *bytes;
    uint32_t capacity; /* a power of two */
    struct {
        uint32_t head; /* written by the producer alone */
        uint64_t dropped;
    } producer __attribute__((aligned(RING_LINE_BYTES)));
    struct {
        uint32_t tail; /* written by the consumer alone */
    } consumer __attribute__((aligned(RING_LINE_BYTES)));
};

/* What a record is, before its payload is taken. */
struct ring_record {
    uint16_t type;   /* the two sides agree on it; any value */
    uint32_t length; /* of the payload, 0 to RING_MAX_PAYLOAD */
};

/*
 * `memory` has `capacity` bytes: a power of two, RING_MIN_CAPACITY to RING_MAX_CAPACITY (else CHECK). Before
 * the other side knows of the ring.
 */
void ring_init(struct ring *ring, void *memory, uint32_t capacity);

/*
 * Producer: appends the whole record, or nothing. False, and counted, when there is no room or length is
 * above RING_MAX_PAYLOAD. payload may be NULL when length is 0.
 */
bool ring_push(struct ring *ring, uint16_t type, const void *payload, uint32_t length);

/*
 * Producer: whether a record of this length would fit now; it still will when the producer pushes next. A
 * length above RING_MAX_PAYLOAD asks for room beyond one record: for a record with a reserve left behind it.
 */
bool ring_has_room(const struct ring *ring, uint32_t length);

/* Consumer: the oldest record without taking it; false when the ring is empty. */
MUST_USE bool ring_peek(const struct ring *ring, struct ring_record *record);

/*
 * Consumer: takes the oldest record; its payload goes to `payload` (room for payload_bytes; RING_MAX_PAYLOAD
 * is always enough). False, and nothing taken, when the ring is empty or the payload does not fit.
 */
MUST_USE bool ring_pop(struct ring *ring, struct ring_record *record, void *payload, uint32_t payload_bytes);

/* Any core: records dropped so far. */
uint64_t ring_dropped(const struct ring *ring);

#endif
