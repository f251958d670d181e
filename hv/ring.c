/*
 * The ring's protocol: the producer fills bytes, then releases `head`; the consumer, having acquired `head`,
 * reads them, then releases `tail`; the producer, having acquired `tail`, may overwrite. Neither side ever
 * writes the other's counter, and neither waits.
 */
#include "hv/ring.h"

/* As it lies in the ring; every record starts on a multiple of its size, so it never wraps itself. */
struct header {
    uint32_t length;
    uint16_t type;
    uint16_t mark;
};
#define HEADER_MARK 0x5246u /* "FR": a record starts here; anything else is our bug */

_Static_assert(sizeof(struct header) == RING_HEADER_BYTES, "the header is one aligned word");

static uint64_t record_bytes(uint64_t length)
{
    return RING_HEADER_BYTES + align_up(length, RING_HEADER_BYTES);
}

/* Bytes from position `at` to the end of the memory. */
static uint32_t until_end(const struct ring *ring, uint32_t at)
{
    return ring->capacity - (at & (ring->capacity - 1));
}

static void copy_in(struct ring *ring, uint32_t at, const uint8_t *from, uint32_t length)
{
    uint32_t first = (uint32_t)min_u64(length, until_end(ring, at));
    __builtin_memcpy(ring->bytes + (at & (ring->capacity - 1)), from, first);
    if (length > first)
        __builtin_memcpy(ring->bytes, from + first, length - first);
}

static void copy_out(const struct ring *ring, uint32_t at, uint8_t *to, uint32_t length)
{
    uint32_t first = (uint32_t)min_u64(length, until_end(ring, at));
    __builtin_memcpy(to, ring->bytes + (at & (ring->capacity - 1)), first);
    if (length > first)
        __builtin_memcpy(to + first, ring->bytes, length - first);
}

void ring_init(struct ring *ring, void *memory, uint32_t capacity)
{
    CHECK(capacity >= RING_MIN_CAPACITY && capacity <= RING_MAX_CAPACITY);
    CHECK((capacity & (capacity - 1)) == 0);
    *ring = (struct ring){.bytes = memory, .capacity = capacity};
}

bool ring_has_room(const struct ring *ring, uint32_t length)
{
    uint32_t tail = __atomic_load_n(&ring->consumer.tail, __ATOMIC_ACQUIRE);
    return ring->capacity - (ring->producer.head - tail) >= record_bytes(length);
}

bool ring_push(struct ring *ring, uint16_t type, const void *payload, uint32_t length)
{
    if (length > RING_MAX_PAYLOAD || !ring_has_room(ring, length)) {
        __atomic_store_n(&ring->producer.dropped, ring->producer.dropped + 1, __ATOMIC_RELAXED);
        return false;
    }
    uint32_t head = ring->producer.head;
    struct header header = {.length = length, .type = type, .mark = HEADER_MARK};
    copy_in(ring, head, (const uint8_t *)&header, sizeof(header));
    if (length > 0)
        copy_in(ring, head + RING_HEADER_BYTES, payload, length);
    __atomic_store_n(&ring->producer.head, head + (uint32_t)record_bytes(length), __ATOMIC_RELEASE);
    return true;
}

bool ring_peek(const struct ring *ring, struct ring_record *record)
{
    uint32_t tail = ring->consumer.tail;
    uint32_t filled = __atomic_load_n(&ring->producer.head, __ATOMIC_ACQUIRE) - tail;
    if (filled == 0)
        return false;
    struct header header;
    copy_out(ring, tail, (uint8_t *)&header, sizeof(header));
    CHECK(header.mark == HEADER_MARK && header.length <= RING_MAX_PAYLOAD);
    CHECK(record_bytes(header.length) <= filled);
    *record = (struct ring_record){.type = header.type, .length = header.length};
    return true;
}

bool ring_pop(struct ring *ring, struct ring_record *record, void *payload, uint32_t payload_bytes)
{
    if (!ring_peek(ring, record) || record->length > payload_bytes)
        return false;
    uint32_t tail = ring->consumer.tail;
    if (record->length > 0)
        copy_out(ring, tail + RING_HEADER_BYTES, payload, record->length);
    __atomic_store_n(&ring->consumer.tail, tail + (uint32_t)record_bytes(record->length), __ATOMIC_RELEASE);
    return true;
}

uint64_t ring_dropped(const struct ring *ring)
{
    return __atomic_load_n(&ring->producer.dropped, __ATOMIC_RELAXED);
}
