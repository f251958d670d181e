/*
 * Unpacking: every form by hand, random streams against a model that builds stream and contents together, and
 * damage of every kind. Buffers are exactly as large as promised, so that the sanitizer sees a byte too many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "boot/unpack.h"
#include "host_tests/support/random.h"

#define STREAM_MAX 8192
#define PLAIN_MAX  65536

struct stream {
    uint8_t bytes[STREAM_MAX];
    size_t length;
    uint8_t plain[PLAIN_MAX];
    size_t plain_length;
};

static struct stream stream;

static void put_size(uint32_t size)
{
    for (uint32_t i = 0; i < 4; i++)
        stream.bytes[i] = (uint8_t)(size >> 8 * i);
}

static void start(void)
{
    stream.length = 4;
    stream.plain_length = 0;
    put_size(0);
}

static void put_literals(struct random *random, uint32_t count)
{
    stream.bytes[stream.length++] = (uint8_t)(count - 1);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)random_u64(random);
        stream.bytes[stream.length++] = byte;
        stream.plain[stream.plain_length++] = byte;
    }
    put_size((uint32_t)stream.plain_length);
}

static void put_match(uint32_t count, uint32_t distance)
{
    stream.bytes[stream.length++] = (uint8_t)(0x80 | (count - 4));
    stream.bytes[stream.length++] = (uint8_t)distance;
    stream.bytes[stream.length++] = (uint8_t)(distance >> 8);
    for (uint32_t i = 0; i < count; i++, stream.plain_length++)
        stream.plain[stream.plain_length] = stream.plain[stream.plain_length - distance];
    put_size((uint32_t)stream.plain_length);
}

/* Unpacks the first `length` bytes between exact borders; the contents go to `to` when asked for. */
static bool unpacks(size_t length, uint8_t *to)
{
    uint8_t *packed = malloc(length + (length == 0));
    assert_non_null(packed);
    memcpy(packed, stream.bytes, length);
    uint32_t size = unpack_bytes(packed, length);
    if (size > PLAIN_MAX)
        size = 0; /* only damage asks for so much: then `unpack` is not called */
    uint8_t *plain = malloc(size + (size == 0));
    assert_non_null(plain);
    bool done = size == unpack_bytes(packed, length) && unpack(packed, length, plain);
    if (done && to != NULL)
        memcpy(to, plain, size);
    free(plain);
    free(packed);
    return done;
}

static void assert_round_trip(void)
{
    static uint8_t plain[PLAIN_MAX];
    assert_int_equal(unpack_bytes(stream.bytes, stream.length), stream.plain_length);
    assert_true(unpacks(stream.length, plain));
    assert_memory_equal(plain, stream.plain, stream.plain_length);
}

static void test_every_form(void **state)
{
    (void)state;
    struct random random = {1};
    start();
    assert_round_trip(); /* nothing at all */
    put_literals(&random, 1);
    assert_round_trip();
    put_match(4, 1); /* overlaps itself: a run of one byte */
    assert_round_trip();
    put_literals(&random, 128);
    put_match(131, 133); /* the longest, from the very first byte */
    assert_round_trip();
    put_match(131, 2);
    assert_round_trip();
    while (stream.plain_length < 65535)
        put_match((uint32_t)(65535 - stream.plain_length > 135 ? 131 : 65535 - stream.plain_length), 100);
    assert_int_equal(stream.plain_length, 65535);
    assert_round_trip();
}

static void test_farthest_match(void **state)
{
    (void)state;
    struct random random = {2};
    start();
    put_literals(&random, 100);
    while (stream.plain_length < 65531)
        put_match((uint32_t)(65531 - stream.plain_length > 135 ? 131 : 65531 - stream.plain_length), 77);
    put_match(4, 65531);
    assert_round_trip();
}

static void random_stream(struct random *random)
{
    start();
    put_literals(random, 1 + (uint32_t)random_below(random, 128));
    for (uint64_t tokens = random_below(random, 40); tokens > 0; tokens--)
        if (random_one_in(random, 2))
            put_literals(random, 1 + (uint32_t)random_below(random, 128));
        else
            put_match(4 + (uint32_t)random_below(random, 128),
                      1 + (uint32_t)random_below(random, stream.plain_length));
}

static void test_random_streams(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct random random = {seed};
        random_stream(&random);
        assert_round_trip();
    }
}

/* A stream that is cut is never taken for a whole one. */
static void test_every_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct random random = {seed};
        random_stream(&random);
        for (size_t length = 0; length < stream.length; length++)
            assert_false(unpacks(length, NULL));
    }
}

static void test_wrong_sizes(void **state)
{
    (void)state;
    struct random random = {3};
    random_stream(&random);
    put_size((uint32_t)stream.plain_length + 1);
    assert_false(unpacks(stream.length, NULL));
    put_size((uint32_t)stream.plain_length - 1);
    assert_false(unpacks(stream.length, NULL));
    put_size((uint32_t)stream.plain_length);
    stream.bytes[stream.length++] = 0; /* one byte more than there should be */
    assert_false(unpacks(stream.length, NULL));
}

static void test_matches_from_nowhere(void **state)
{
    (void)state;
    static const uint16_t distances[] = {0, 6, 7, 256, UINT16_MAX};
    for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        struct random random = {4};
        start();
        put_literals(&random, 5);
        put_match(4, 5);
        assert_round_trip();
        stream.bytes[stream.length - 2] = (uint8_t)distances[i];
        stream.bytes[stream.length - 1] = (uint8_t)(distances[i] >> 8);
        assert_false(unpacks(stream.length, NULL));
    }
}

/* Any damage at all: no border is crossed (the sanitizer watches), whether it is noticed or not. */
static void test_random_damage(void **state)
{
    (void)state;
    uint32_t noticed = 0;
    for (uint64_t seed = 0; seed < 5000; seed++) {
        struct random random = {seed};
        random_stream(&random);
        for (uint64_t flips = 1 + random_below(&random, 3); flips > 0; flips--)
            stream.bytes[random_below(&random, stream.length)] ^= (uint8_t)(1 + random_below(&random, 255));
        noticed += !unpacks(stream.length, NULL);
    }
    assert_true(noticed > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form),     cmocka_unit_test(test_farthest_match),
        cmocka_unit_test(test_random_streams), cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_wrong_sizes),    cmocka_unit_test(test_matches_from_nowhere),
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
