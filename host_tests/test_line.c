/* Guest output on the operator's console: line ends, breaking, and that nothing but printable ASCII comes
 * out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/line.h"

static char shown[1 << 16];
static size_t shown_lines;
static char prefix[LINE_NAME_BYTES + 2] = "[n]";

static void emit(void *context, const char *text)
{
    assert_ptr_equal(context, shown);
    size_t length = strlen(text);
    assert_true(length < LINE_BYTES);
    assert_int_equal(strncmp(text, prefix, strlen(prefix)), 0);
    for (size_t i = 0; i < length; i++)
        assert_true(text[i] >= ' ' && text[i] <= '~');
    assert_true(strlen(shown) + length + 2 < sizeof(shown));
    strcat(shown, text);
    strcat(shown, "\n");
    shown_lines++;
}

static struct line_buffer line;

static void start(void)
{
    shown[0] = '\0';
    shown_lines = 0;
    strcpy(prefix, "[n]");
    line_init(&line, "n");
}

static void assert_shows(const char *bytes, size_t length, const char *expect)
{
    start();
    line_add(&line, bytes, length, emit, shown);
    line_flush(&line, emit, shown);
    assert_string_equal(shown, expect);
    /* Byte by byte it comes out the same. */
    start();
    for (size_t i = 0; i < length; i++)
        line_add(&line, bytes + i, 1, emit, shown);
    line_flush(&line, emit, shown);
    assert_string_equal(shown, expect);
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *expect;
    } rows[] = {
        {"", ""},
        {"hello\n", "[n] hello\n"},
        {"a\nb\n", "[n] a\n[n] b\n"},
        {"a\r\nb\r\n", "[n] a\n[n] b\n"},
        {"a\r\r\nb\n\rc\n", "[n] a\n[n]\n[n] b\n[n] c\n"},
        {"10%\r20%\r\n", "[n] 10%\n[n] 20%\n"},
        {"a\rb\nc\n", "[n] a\n[n] b\n[n] c\n"},
        {"\n\r\n\n", "[n]\n[n]\n[n]\n"},
        {"no end", "[n] no end\n"},
        {"x\n[other] forged\n", "[n] x\n[n] [other] forged\n"},
        {"\tx\ta\tb\n", "[n]         x       a       b\n"},
        {"\x07\x08\x7f\x01\n", "[n] \\x07\\x08\\x7f\\x01\n"},
        {"\xc2\x9b"
         "2J\xff\n",
         "[n] \\xc2\\x9b2J\\xff\n"},
        {"\x1b[31mred\x1b[0m\n", "[n] red\n"},
        {"\x1b[2J\x1b[1;1H\x1b[?25l\n", "[n]\n"},
        {"\x1b]0;title\x07\n", "[n] \\x1b]0;title\\x07\n"},
        {"\x1b"
         "c\x1b\x1b[1mx\n",
         "[n] \\x1bc\\x1bx\n"},
        {"\x1b[12\nx\n", "[n]\n[n] x\n"}, /* a newline ends what is no sequence */
        {"\x1b[1\x1b[2Ky\n", "[n] y\n"},
        {"a\x1b", "[n] a\n"},
        {"a\x1b[", "[n] a\n"},
        {"a\r\x1b[K\nb", "[n] a\n[n] b\n"},
        {"\x1b[00000000000000000000000000000000m\n", "[n]\n"},     /* 32 bytes: a sequence */
        {"\x1b[000000000000000000000000000000000m\n", "[n] 0m\n"}, /* 33: none any more */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_shows(rows[i].bytes, strlen(rows[i].bytes), rows[i].expect);
    assert_shows("a\0b\n", 4, "[n] a\\x00b\n");
}

static void test_long_lines_are_broken(void **state)
{
    (void)state;
    char bytes[3 * LINE_TEXT_BYTES];
    char expect[4 * LINE_TEXT_BYTES];
    memset(bytes, 'w', sizeof(bytes));
    bytes[2 * LINE_TEXT_BYTES] = '\n';
    char whole[LINE_TEXT_BYTES + 1] = {0};
    memset(whole, 'w', LINE_TEXT_BYTES);
    bytes[2 * LINE_TEXT_BYTES + 1] = 'x';
    snprintf(expect, sizeof(expect), "[n] %s\n[n]+ %s\n[n] x\n", whole, whole);
    assert_shows(bytes, 2 * LINE_TEXT_BYTES + 2, expect);
    /* Exactly full is not broken, and an escaped byte stays in one piece. */
    bytes[LINE_TEXT_BYTES] = '\n';
    snprintf(expect, sizeof(expect), "[n] %s\n", whole);
    assert_shows(bytes, LINE_TEXT_BYTES + 1, expect);
    bytes[LINE_TEXT_BYTES - 1] = '\x01';
    whole[LINE_TEXT_BYTES - 1] = '\0';
    snprintf(expect, sizeof(expect), "[n] %s\n[n]+ \\x01\n", whole);
    assert_shows(bytes, LINE_TEXT_BYTES + 1, expect);
}

static void test_flush(void **state)
{
    (void)state;
    start();
    line_flush(&line, emit, shown);
    assert_int_equal(shown_lines, 0);
    line_add(&line, "login: ", 7, emit, shown);
    assert_int_equal(shown_lines, 0);
    line_flush(&line, emit, shown);
    assert_string_equal(shown, "[n] login: \n");
    line_flush(&line, emit, shown);
    assert_int_equal(shown_lines, 1);
}

static void test_hostile_names(void **state)
{
    (void)state;
    start();
    line_init(&line, "a\x1b[2J\xff");
    strcpy(prefix, "[a?[2J?]");
    line_add(&line, "x\n", 2, emit, shown);
    assert_string_equal(shown, "[a?[2J?] x\n");
    start();
    line_init(&line, "0123456789012345678901234567890123456789");
    strcpy(prefix, "[012345678901234567890123456789");
    line_add(&line, "x\n", 2, emit, shown);
    assert_string_equal(shown, "[0123456789012345678901234567890] x\n");
}

static void test_random_bytes(void **state)
{
    (void)state;
    unsigned seed = 5;
    for (int round = 0; round < 2000; round++) {
        start();
        uint8_t bytes[700];
        size_t length = (size_t)rand_r(&seed) % sizeof(bytes);
        static const uint8_t nasty[] = {0x1b, '[', '\r', '\n', '\t', 'm', ';', '1', 0x9b, 'x', 0x1b, 0};
        for (size_t i = 0; i < length; i++)
            bytes[i] = rand_r(&seed) % 3 == 0 ? (uint8_t)rand_r(&seed)
                                              : nasty[(size_t)rand_r(&seed) % sizeof(nasty)];
        line_add(&line, bytes, length, emit, shown);
        line_flush(&line, emit, shown);
        assert_int_equal(line.length, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_long_lines_are_broken),
        cmocka_unit_test(test_flush),        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
