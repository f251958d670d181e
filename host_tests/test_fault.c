/* The names of faults: one list, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv/config.h"

static void every_fault_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < FAULT_REASON_COUNT; i++) {
        const char *name = fault_name((enum fault_reason)i), *meaning = fault_meaning((enum fault_reason)i);
        /* As the configuration and the events write it. */
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        assert_true(strlen(name) > 0 && strlen(name) < CONFIG_NAME_BYTES && strcmp(name, "unknown") != 0);
        assert_true(strlen(meaning) > 0 && meaning[strlen(meaning) - 1] != '.');
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, fault_name((enum fault_reason)j));
            assert_string_not_equal(meaning, fault_meaning((enum fault_reason)j));
        }
    }
}

static void names_are_found_again(void **state)
{
    (void)state;
    for (int i = FAULT_NONE + 1; i < FAULT_REASON_COUNT; i++) {
        enum fault_reason reason = FAULT_NONE;
        const char *name = fault_name((enum fault_reason)i);
        assert_true(fault_from_name(name, strlen(name), &reason));
        assert_int_equal(reason, i);
        /* Not by a part of it, nor by more than it. */
        assert_false(fault_from_name(name, strlen(name) - 1, &reason));
        assert_false(fault_from_name(name, strlen(name) + 1, &reason));
    }
}

static void other_names_are_no_faults(void **state)
{
    (void)state;
    enum fault_reason reason = FAULT_WATCHDOG;
    assert_false(fault_from_name("none", 4, &reason)); /* nothing to expect */
    assert_false(fault_from_name("", 0, &reason));
    assert_false(fault_from_name("Halted", 6, &reason));
    assert_false(fault_from_name("halted ", 7, &reason));
    assert_int_equal(reason, FAULT_WATCHDOG);
}

static void values_out_of_range_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(fault_name(FAULT_REASON_COUNT), "unknown");
    assert_string_equal(fault_meaning(FAULT_REASON_COUNT), "unknown");
    assert_string_equal(fault_name((enum fault_reason)0x80000000u), "unknown");
    assert_string_equal(fault_meaning((enum fault_reason)0xFFFFFFFFu), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_has_a_name_of_its_own),
        cmocka_unit_test(names_are_found_again),
        cmocka_unit_test(other_names_are_no_faults),
        cmocka_unit_test(values_out_of_range_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
