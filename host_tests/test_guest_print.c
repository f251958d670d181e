/* The guests' own formatter, compared with libc's on everything they use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "guest/lib/format.c"

#define SAME(...)                                                                  \
    do {                                                                           \
        char ours_[64], theirs_[64];                                               \
        size_t length_ = format(ours_, sizeof ours_, __VA_ARGS__);                 \
        assert_int_equal(length_, snprintf(theirs_, sizeof theirs_, __VA_ARGS__)); \
        assert_string_equal(ours_, theirs_);                                       \
    } while (0)

static void formats_as_libc_does(void **state)
{
    (void)state;
    SAME("plain, 100%%");
    SAME("%s|%10s|%-10s|%s", "text", "right", "left", "");
    SAME("%c%c", 'a', 'b');
    SAME("%d %d %d %d", 0, 7, -7, INT32_MIN);
    SAME("%ld %ld", (long)INT64_MIN, (long)INT64_MAX);
    SAME("%u %x %u", 0u, 0xDEADBEEFu, UINT32_MAX);
    SAME("%lu %lx %llx", (unsigned long)UINT64_MAX, (unsigned long)UINT64_MAX, 0x123456789ABCDEFull);
    SAME("%8lu|%-8lu|%08lx|%2u", 42ul, 42ul, 0x42ul, 12345u);
    SAME("%zu", (size_t)77);
}

static void cuts_and_tells_the_whole_length(void **state)
{
    (void)state;
    char text[8];
    for (size_t bytes = 1; bytes <= sizeof text; bytes++) {
        memset(text, 'x', sizeof text);
        assert_int_equal(format(text, bytes, "%s-%u", "abcdef", 123u), 10);
        assert_int_equal(strlen(text), bytes - 1);
        assert_memory_equal(text, "abcdef-123", bytes - 1);
    }
    char untouched = 'x';
    assert_int_equal(format(&untouched, 0, "%s", "abc"), 3);
    assert_int_equal(untouched, 'x');
}

static void survives_broken_formats(void **state)
{
    (void)state;
    char text[32];
    const char *volatile cut = "end %";
    const char *volatile unknown = "a %y b";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    assert_int_equal(format(text, sizeof text, cut), 4);
    assert_int_equal(format(text, sizeof text, unknown), 5);
#pragma GCC diagnostic pop
    assert_string_equal(text, "a y b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_as_libc_does),
        cmocka_unit_test(cuts_and_tells_the_whole_length),
        cmocka_unit_test(survives_broken_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
