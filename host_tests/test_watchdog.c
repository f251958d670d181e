/* The watchdog: against a model that remembers every look since the heart last beat. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host_tests/support/random.h"
#include "hv/watchdog.h"

#define PATIENCE 1000

static void alive_while_it_beats(void **state)
{
    (void)state;
    struct watchdog dog;
    watchdog_reset(&dog, 5, 0);
    for (uint64_t i = 0; i < 50; i++) /* however long between two looks */
        assert_int_equal(watchdog_look(&dog, 6 + i, i * 10 * PATIENCE, PATIENCE), WATCHDOG_ALIVE);
}

static void one_ping_then_lost(void **state)
{
    (void)state;
    struct watchdog dog;
    watchdog_reset(&dog, 5, 100);
    assert_int_equal(watchdog_look(&dog, 5, 100 + PATIENCE - 1, PATIENCE), WATCHDOG_ALIVE);
    assert_int_equal(watchdog_look(&dog, 5, 100 + PATIENCE, PATIENCE), WATCHDOG_PING);
    /* The core has its whole patience again, from the ping on. */
    assert_int_equal(watchdog_look(&dog, 5, 100 + PATIENCE + 1, PATIENCE), WATCHDOG_ALIVE);
    assert_int_equal(watchdog_look(&dog, 5, 100 + 2 * PATIENCE - 1, PATIENCE), WATCHDOG_ALIVE);
    assert_int_equal(watchdog_look(&dog, 5, 100 + 2 * PATIENCE, PATIENCE), WATCHDOG_LOST);
}

static void a_sign_of_life_starts_over(void **state)
{
    (void)state;
    struct watchdog dog;
    watchdog_reset(&dog, 5, 0);
    assert_int_equal(watchdog_look(&dog, 5, PATIENCE, PATIENCE), WATCHDOG_PING);
    assert_int_equal(watchdog_look(&dog, 6, PATIENCE + 1, PATIENCE), WATCHDOG_ALIVE);
    assert_int_equal(watchdog_look(&dog, 6, 2 * PATIENCE + 1, PATIENCE), WATCHDOG_PING);
    watchdog_reset(&dog, 6, 2 * PATIENCE + 2);
    assert_int_equal(watchdog_look(&dog, 6, 3 * PATIENCE + 2, PATIENCE), WATCHDOG_PING);
    /* A counter that wrapped has moved. */
    watchdog_reset(&dog, UINT64_MAX, 0);
    assert_int_equal(watchdog_look(&dog, 0, PATIENCE, PATIENCE), WATCHDOG_ALIVE);
}

static void against_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random random = {seed};
        struct watchdog dog;
        uint64_t now = random_u64(&random) >> random_below(&random, 64), beat = random_u64(&random);
        uint64_t silent_since = now, pinged_at = 0;
        bool pinged = false;
        watchdog_reset(&dog, beat, now);
        for (uint32_t look = 0; look < 200; look++) {
            now += random_below(&random, PATIENCE);
            enum watchdog_verdict want = WATCHDOG_ALIVE;
            if (random_one_in(&random, 4)) {
                beat += 1 + random_below(&random, 3);
                silent_since = now;
                pinged = false;
            } else if (!pinged && now - silent_since >= PATIENCE) {
                want = WATCHDOG_PING;
                pinged = true;
                pinged_at = now;
            } else if (pinged && now - pinged_at >= PATIENCE) {
                want = WATCHDOG_LOST;
            }
            assert_int_equal(watchdog_look(&dog, beat, now, PATIENCE), want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alive_while_it_beats),
        cmocka_unit_test(one_ping_then_lost),
        cmocka_unit_test(a_sign_of_life_starts_over),
        cmocka_unit_test(against_a_model),
    };
    return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
