/*
 * The freestanding printf against the host's: whatever hv/fmt.h promises to format comes out as the C library
 * has it, and nothing is ever written beyond the room given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/base.h"
#include "host_tests/support/random.h"
#include "hv/fmt.h"

#define ROOM 256

/* Both formatters on the same arguments, in full and in `room` bytes that lie at the end of their block. */
static void __attribute__((format(printf, 2, 3))) agree(size_t room, const char *format, ...)
{
    char wanted[ROOM], got[ROOM];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(wanted, sizeof(wanted), format, args);
    va_end(args);
    assert_in_range(length, 0, ROOM - 1);

    va_start(args, format);
    assert_int_equal(fmt_vsnprintf(got, sizeof(got), format, args), length);
    va_end(args);
    assert_string_equal(got, wanted);

    char *exact = malloc(room > 0 ? room : 1);
    assert_non_null(exact);
    va_start(args, format);
    assert_int_equal(fmt_vsnprintf(exact, room, format, args), length);
    va_end(args);
    if (room > 0) {
        size_t kept = (size_t)length < room ? (size_t)length : room - 1;
        assert_memory_equal(exact, wanted, kept);
        assert_int_equal(exact[kept], '\0');
    }
    free(exact);
}

static void what_is_promised_is_what_libc_prints(void **state)
{
    (void)state;
    for (size_t room = 0; room < 40; room++) {
        agree(room, "plain");
        agree(room, "%%");
        agree(room, "%c|%5c|%-5c|", 'x', 'y', 'z');
        agree(room, "%s|%8s|%-8s|%.2s|%8.3s|%.*s|%.0s", "abc", "abc", "abc", "abc", "abcdef", 2, "xyz", "q");
        agree(room, "%d %i %u %x %X", -5, 6, 7u, 0xabcu, 0xABCu);
        agree(room, "%ld %li %lu %lx", -5L, 6L, 7UL, 0xabcUL);
        agree(room, "%lld %lli %llu %llX", -5LL, 6LL, 7ULL, 0xabcULL);
        agree(room, "%zu %zx", (size_t)5, (size_t)255);
        agree(room, "%5d|%-5d|%05d|%05d|", 42, 42, 42, -42);
        agree(room, "%*d|%-*d|%0*d|%*s", 6, 42, 6, 42, 6, -42, 4, "x");
        agree(room, "%*d|%-*d|%*s|%0*d|", -6, 42, -6, 42, -4, "x", -6, 42);
        agree(room, "%.*s|%.*s|%.*s|", 0, "xyz", 1, "xyz", -1, "xyz");
        agree(room, "%08x|%016llx|%2d", 0xbeefu, 0xbeefULL, 12345);
        agree(room, "%p", (void *)(uintptr_t)0xdeadbeef);
    }
}

static void extreme_numbers_come_out_whole(void **state)
{
    (void)state;
    static const long long numbers[] = {0,         1,         -1,         9,         10,       -10,
                                        INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        long long n = numbers[i];
        agree(30, "%lld|%llu|%llx|%llX", n, (unsigned long long)n, (unsigned long long)n,
              (unsigned long long)n);
        agree(30, "%d|%u|%x", (int)n, (unsigned)n, (unsigned)n);
        agree(30, "%25lld|%-25lld|%025lld", n, n, n);
        agree(30, "%40lld|%-40lld|%040lld", n, n, n);
    }
}

/* One random conversion after another; widths and flags in all combinations. */
static void random_conversions_agree(void **state)
{
    (void)state;
    struct random random = {1};
    static const char *const sizes[] = {"", "l", "ll"};
    for (int round = 0; round < 20000; round++) {
        char format[32], width[8] = "";
        size_t size = random_below(&random, 3);
        char letter = "diuxX"[random_below(&random, 5)];
        if (random_one_in(&random, 2))
            snprintf(width, sizeof(width), "%u", (unsigned)random_below(&random, 40) + 1);
        snprintf(format, sizeof(format), "<%%%s%s%s%s%c>", random_one_in(&random, 3) ? "-" : "",
                 random_one_in(&random, 3) ? "0" : "", width, sizes[size], letter);
        unsigned long long n = random_u64(&random) >> random_below(&random, 64);
        char wanted[ROOM], got[ROOM];
        size_t room = random_below(&random, ROOM);
        /* The format is the point of the test: it cannot be a literal. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int length = size == 0   ? snprintf(wanted, sizeof(wanted), format, (unsigned)n)
                     : size == 1 ? snprintf(wanted, sizeof(wanted), format, (unsigned long)n)
                                 : snprintf(wanted, sizeof(wanted), format, n);
        size_t ours = size == 0   ? fmt_snprintf(got, room, format, (unsigned)n)
                      : size == 1 ? fmt_snprintf(got, room, format, (unsigned long)n)
                                  : fmt_snprintf(got, room, format, n);
#pragma GCC diagnostic pop
        assert_int_equal(ours, length);
        if (room > (size_t)length)
            assert_string_equal(got, wanted);
        else if (room > 0)
            assert_true(memcmp(got, wanted, room - 1) == 0 && got[room - 1] == '\0');
    }
}

/* A precise %s reads no further than told: what it shows need not end in NUL. */
static void a_precision_bounds_what_is_read(void **state)
{
    (void)state;
    char *text = malloc(3);
    char out[8];
    assert_non_null(text);
    text[0] = 'a', text[1] = 'b', text[2] = 'c';
    assert_int_equal(fmt_snprintf(out, sizeof(out), "%.3s|", text), 4);
    assert_string_equal(out, "abc|");
    assert_int_equal(fmt_snprintf(out, sizeof(out), "%.*s|", 3, text), 4);
    assert_string_equal(out, "abc|");
    free(text);
}

/* Where libc promises nothing, we do. */
static void oddities_are_harmless(void **state)
{
    (void)state;
    char out[32];
    const char *null = NULL;
    const char *volatile formats[] = {"%q!", "50%", "%", "%5", "%-08.3l", "%k%d"};
    static const char *const wanted[] = {"%q!", "50%", "%", "%5", "%-08.3l", "%k7"};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        assert_int_equal(fmt_snprintf(out, sizeof(out), formats[i], 7), strlen(wanted[i]));
        assert_string_equal(out, wanted[i]);
    }
    const char *volatile show = "%s";
    fmt_snprintf(out, sizeof(out), show, null);
    assert_string_equal(out, "(null)");
#pragma GCC diagnostic pop
    assert_int_equal(fmt_snprintf(NULL, 0, "%d", 12345), 5);
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    char *text = malloc(3);
    assert_non_null(text);
    text[0] = 'a', text[1] = 'b', text[2] = 'c';
    assert_int_equal(fmt_length(text, 3), 3);
    assert_int_equal(fmt_length(text, 2), 2);
    assert_int_equal(fmt_length("abc", 9), 3);
    assert_int_equal(fmt_length("", 9), 0);
    assert_int_equal(fmt_length(text, 0), 0);
    free(text);
}

static void texts_are_compared(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "a", "ab", "b", "A", "\xFF"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (size_t j = 0; j < ARRAY_SIZE(texts); j++)
            assert_int_equal(fmt_equal(texts[i], texts[j]), i == j);
}

static void copies_end_in_time(void **state)
{
    (void)state;
    char out[8];
    for (size_t room = 0; room <= sizeof(out); room++) {
        memset(out, 'z', sizeof(out));
        assert_int_equal(fmt_copy(out, room, "abcd"), room >= 5);
        size_t kept = room == 0 ? 0 : room >= 5 ? 4 : room - 1;
        assert_memory_equal(out, "abcd", kept);
        if (room > 0)
            assert_int_equal(out[kept], '\0');
        for (size_t i = room; i < sizeof(out); i++)
            assert_int_equal(out[i], 'z');
    }
    assert_true(fmt_copy(out, 1, ""));
}

static void sizes_are_exact_where_they_can_be(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0K"},
                 {1023, "0K"},
                 {1024, "1K"},
                 {640 * KIB, "640K"},
                 {1023 * KIB, "1023K"},
                 {MIB, "1M"},
                 {MIB + KIB, "1025K"},
                 {MIB + 1, "1M"},
                 {1536 * MIB, "1536M"},
                 {2 * GIB, "2G"},
                 {2048 * GIB, "2048G"},
                 {UINT64_MAX, "18014398509481983K"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[24];
        fmt_size(out, sizeof(out), cases[i].bytes);
        assert_string_equal(out, cases[i].text);
    }
    char tiny[3];
    fmt_size(tiny, sizeof(tiny), 640 * KIB);
    assert_string_equal(tiny, "64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_promised_is_what_libc_prints),
        cmocka_unit_test(extreme_numbers_come_out_whole),
        cmocka_unit_test(random_conversions_agree),
        cmocka_unit_test(a_precision_bounds_what_is_read),
        cmocka_unit_test(oddities_are_harmless),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(texts_are_compared),
        cmocka_unit_test(copies_end_in_time),
        cmocka_unit_test(sizes_are_exact_where_they_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
