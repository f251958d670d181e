/*
 * The worker's load: right on honest memory of any size, and not to be fooled by memory that lies. A checksum
 * that cannot fail would make every witness of isolation worthless.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "guest/worker/load.c"

#define SEED       42
#define MOST_WORDS 5000

/* Runs to the end of a round in steps of odd sizes. */
static enum load_state finish_round(struct load *load)
{
    enum load_state state;
    uint64_t step = 1;
    do {
        state = load_advance(load, step);
        step = step * 3 + 1;
    } while (state == LOAD_BUSY);
    return state;
}

static void honest_memory_is_right(void **state)
{
    (void)state;
    static uint64_t memory[MOST_WORDS];
    for (uint64_t words = 8; words <= MOST_WORDS; words += words / 7 + 1) {
        struct load load;
        load_init(&load, memory, words * sizeof(uint64_t) + words % 8, SEED + words);
        for (unsigned round = 1; round <= 5; round++) {
            assert_int_equal(finish_round(&load), LOAD_RIGHT);
            assert_int_equal(load.round, round);
        }
    }
}

static void a_round_touches_every_word_once(void **state)
{
    (void)state;
    static uint64_t memory[MOST_WORDS], before[MOST_WORDS];
    struct load load;
    load_init(&load, memory, sizeof memory, SEED);
    for (unsigned i = 0; i < MOST_WORDS; i++)
        before[i] = memory[i];
    assert_int_equal(finish_round(&load), LOAD_RIGHT);
    for (unsigned i = 0; i < MOST_WORDS; i++)
        assert_int_equal(memory[i], before[i] * SCALE + SHIFT);
}

static void the_stride_is_never_the_count(void **state)
{
    (void)state;
    uint64_t bytes = STRIDE * sizeof(uint64_t);
    void *memory = malloc(bytes);
    struct load load;
    load_init(&load, memory, bytes, SEED);
    assert_int_equal(load.count, STRIDE - 1);
    assert_int_equal(finish_round(&load), LOAD_RIGHT);
    free(memory);
}

static void a_changed_bit_is_noticed(void **state)
{
    (void)state;
    static uint64_t memory[512];
    for (unsigned trial = 0; trial < 512; trial++) {
        struct load load;
        load_init(&load, memory, sizeof memory, SEED);
        assert_int_equal(finish_round(&load), LOAD_RIGHT);
        memory[trial] ^= UINT64_C(1) << trial % 64;
        assert_int_equal(finish_round(&load), LOAD_WRONG);
    }
}

static void swapped_words_are_noticed(void **state)
{
    (void)state;
    static uint64_t memory[512];
    for (unsigned trial = 1; trial < 512; trial++) {
        struct load load;
        load_init(&load, memory, sizeof memory, SEED);
        uint64_t first = memory[0];
        memory[0] = memory[trial];
        memory[trial] = first;
        assert_int_equal(finish_round(&load), LOAD_WRONG);
    }
}

static void a_zeroed_page_is_noticed(void **state)
{
    (void)state;
    static uint64_t memory[2048];
    struct load load;
    load_init(&load, memory, sizeof memory, SEED);
    assert_int_equal(finish_round(&load), LOAD_RIGHT);
    for (unsigned i = 512; i < 1024; i++)
        memory[i] = 0;
    assert_int_equal(finish_round(&load), LOAD_WRONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_memory_is_right),        cmocka_unit_test(a_round_touches_every_word_once),
        cmocka_unit_test(the_stride_is_never_the_count), cmocka_unit_test(a_changed_bit_is_noticed),
        cmocka_unit_test(swapped_words_are_noticed),     cmocka_unit_test(a_zeroed_page_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
