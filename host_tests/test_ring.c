/* The ring: bounds, wrap-around (of the memory and of the counters), a random model, two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "host_tests/support/check.h"
#include "hv/ring.h"

#define GUARD 64

static uint8_t memory[GUARD + 8192 + GUARD] __attribute__((aligned(8)));
static struct ring ring;

static void start(uint32_t capacity)
{
    memset(memory, 0xEE, sizeof(memory));
    ring_init(&ring, memory + GUARD, capacity);
}

static void assert_guards(void)
{
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(memory[i], 0xEE);
        assert_int_equal(memory[GUARD + ring.capacity + i], 0xEE);
    }
}

static void test_empty(void **state)
{
    (void)state;
    start(64);
    struct ring_record record;
    uint8_t out[1];
    assert_false(ring_peek(&ring, &record));
    assert_false(ring_pop(&ring, &record, out, sizeof(out)));
    assert_int_equal(ring_dropped(&ring), 0);
}

static void test_push_peek_pop(void **state)
{
    (void)state;
    start(64);
    assert_true(ring_push(&ring, 7, "hello", 5));
    assert_true(ring_push(&ring, 0xFFFF, NULL, 0));
    struct ring_record record;
    char out[8] = "";
    assert_true(ring_peek(&ring, &record));
    assert_int_equal(record.type, 7);
    assert_int_equal(record.length, 5);
    assert_false(ring_pop(&ring, &record, out, 4)); /* too small: nothing taken */
    assert_string_equal(out, "");
    assert_true(ring_pop(&ring, &record, out, 5));
    assert_string_equal(out, "hello");
    assert_true(ring_pop(&ring, &record, NULL, 0));
    assert_int_equal(record.type, 0xFFFF);
    assert_int_equal(record.length, 0);
    assert_false(ring_peek(&ring, &record));
}

static void test_all_or_nothing(void **state)
{
    (void)state;
    start(64);
    uint8_t payload[64] = {1, 2, 3};
    assert_false(ring_push(&ring, 1, payload, 57)); /* 8 + 64 */
    assert_true(ring_has_room(&ring, 56));
    assert_true(ring_push(&ring, 1, payload, 56)); /* exactly full */
    assert_false(ring_has_room(&ring, 0));
    assert_false(ring_push(&ring, 2, NULL, 0));
    assert_int_equal(ring_dropped(&ring), 2);
    struct ring_record record;
    uint8_t out[64];
    assert_true(ring_pop(&ring, &record, out, sizeof(out)));
    assert_int_equal(record.length, 56);
    assert_memory_equal(out, payload, 56);
    assert_true(ring_push(&ring, 2, NULL, 0));
    assert_guards();
}

static void test_payload_limit(void **state)
{
    (void)state;
    static const uint8_t payload[RING_MAX_PAYLOAD + 1] = {9};
    start(8192);
    assert_false(ring_push(&ring, 1, payload, RING_MAX_PAYLOAD + 1));
    assert_false(ring_has_room(&ring, UINT32_MAX));
    assert_false(ring_push(&ring, 1, payload, UINT32_MAX));
    assert_true(ring_has_room(&ring, 8184)); /* a reserve may be asked for */
    assert_false(ring_has_room(&ring, 8185));
    assert_int_equal(ring_dropped(&ring), 2);
    assert_true(ring_push(&ring, 1, payload, RING_MAX_PAYLOAD));
}

static jmp_buf trap;

static void leave(const char *expression)
{
    (void)expression;
    longjmp(trap, 1);
}

static void test_bad_capacity_is_our_bug(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0, 1, 32, 63, 65, 96, 8191, RING_MAX_CAPACITY << 1, UINT32_MAX};
    check_hook = leave;
    for (volatile size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (setjmp(trap) == 0) {
            ring_init(&ring, memory, bad[i]);
            check_hook = NULL;
            fail_msg("capacity %u was taken", bad[i]);
        }
    check_hook = NULL;
}

/* ------------------------------------------------------------ against a naive queue */

struct model_record {
    uint16_t type;
    uint32_t length;
    uint8_t payload[RING_MAX_PAYLOAD];
};

static struct model_record model[1024];
static size_t model_first, model_count;
static uint32_t model_filled;
static uint64_t model_dropped;

static uint32_t model_bytes(uint32_t length)
{
    return 8 + (length + 7) / 8 * 8;
}

static void model_push(unsigned *seed)
{
    struct model_record *slot = &model[(model_first + model_count) % ARRAY_SIZE(model)];
    slot->type = (uint16_t)rand_r(seed);
    slot->length = (uint32_t)rand_r(seed) % (rand_r(seed) % 8 == 0 ? RING_MAX_PAYLOAD + 1 : 40);
    for (uint32_t i = 0; i < slot->length; i++)
        slot->payload[i] = (uint8_t)rand_r(seed);
    bool fits = ring.capacity - model_filled >= model_bytes(slot->length);
    assert_int_equal(ring_has_room(&ring, slot->length), fits);
    assert_int_equal(ring_push(&ring, slot->type, slot->payload, slot->length), fits);
    if (fits) {
        model_filled += model_bytes(slot->length);
        model_count++;
    } else {
        model_dropped++;
    }
}

static void model_pop(void)
{
    struct ring_record record;
    uint8_t out[RING_MAX_PAYLOAD];
    bool any = ring_pop(&ring, &record, out, sizeof(out));
    assert_int_equal(any, model_count > 0);
    if (!any)
        return;
    struct model_record *slot = &model[model_first];
    assert_int_equal(record.type, slot->type);
    assert_int_equal(record.length, slot->length);
    assert_memory_equal(out, slot->payload, slot->length);
    model_first = (model_first + 1) % ARRAY_SIZE(model);
    model_count--;
    model_filled -= model_bytes(slot->length);
}

static void test_random_against_model(void **state)
{
    (void)state;
    unsigned seed = 4242;
    for (uint32_t capacity = RING_MIN_CAPACITY; capacity <= 8192; capacity *= 2) {
        start(capacity);
        ring.producer.head = ring.consumer.tail = UINT32_MAX - 2047; /* soon the counters wrap too */
        model_first = model_count = model_filled = 0;
        model_dropped = 0;
        for (int step = 0; step < 20000; step++) {
            if (rand_r(&seed) % 100 < (step / 1000 % 2 == 0 ? 60 : 40))
                model_push(&seed);
            else
                model_pop();
            assert_int_equal(ring_dropped(&ring), model_dropped);
        }
        assert_guards();
    }
}

/* ------------------------------------------------------------ two threads */

#define STRESS_RECORDS 200000u

/* Record i has a length and bytes that follow from i, so a torn or reordered one shows. */
static uint32_t stress_length(uint32_t i)
{
    return 4 + i * 2654435761u % 61;
}

static void *produce(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < STRESS_RECORDS; i++) {
        uint8_t payload[64];
        memset(payload, (int)(i % 251), sizeof(payload));
        memcpy(payload, &i, sizeof(i));
        while (!ring_push(&ring, (uint16_t)i, payload, stress_length(i)))
            sched_yield();
    }
    return NULL;
}

static bool stress_record_is(uint32_t i, const struct ring_record *record, const uint8_t *payload)
{
    uint32_t told;
    memcpy(&told, payload, sizeof(told));
    bool good = told == i && record->type == (uint16_t)i && record->length == stress_length(i);
    for (uint32_t k = 4; good && k < record->length; k++)
        good = payload[k] == i % 251;
    return good;
}

static void test_two_threads(void **state)
{
    (void)state;
    start(256);
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < STRESS_RECORDS; i++) {
        struct ring_record record;
        uint8_t payload[RING_MAX_PAYLOAD];
        while (!ring_pop(&ring, &record, payload, sizeof(payload)))
            sched_yield();
        wrong += !stress_record_is(i, &record, payload);
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(wrong, 0);
    assert_guards();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_push_peek_pop),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_payload_limit),
        cmocka_unit_test(test_bad_capacity_is_our_bug),
        cmocka_unit_test(test_random_against_model),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
