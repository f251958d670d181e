/* The JSON writer: exact texts, every escape, ill-formed UTF-8 against a naive model, misuse, overflow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "host_tests/support/check.h"
#include "hv/json.h"

static char text[1 << 16];
static struct json_buffer buffer;

static void checked_write(void *context, const char *bytes, size_t length)
{
    assert_true(length >= 1 && length <= JSON_CHUNK_BYTES);
    json_buffer_write(context, bytes, length);
}

static struct json begin(void)
{
    struct json json;
    memset(text, 'X', sizeof(text));
    buffer = (struct json_buffer){.bytes = text, .capacity = sizeof(text) - 1};
    json_start(&json, checked_write, &buffer);
    return json;
}

static const char *finish(struct json *json)
{
    json_finish(json);
    assert_false(json_buffer_overflowed(&buffer));
    text[buffer.length] = '\0';
    return text;
}

static void test_nesting_and_commas(void **state)
{
    (void)state;
    struct json json = begin();
    json_object(&json, NULL);
    json_u64(&json, "a", 1);
    json_array(&json, "b");
    json_u64(&json, NULL, 2);
    json_object(&json, NULL);
    json_end(&json);
    json_array(&json, NULL);
    json_end(&json);
    json_null(&json, NULL);
    json_end(&json);
    json_bool(&json, "c", true);
    json_bool(&json, "d", false);
    json_end(&json);
    assert_string_equal(finish(&json), "{\"a\":1,\"b\":[2,{},[],null],\"c\":true,\"d\":false}\n");
}

static void test_numbers(void **state)
{
    (void)state;
    struct json json = begin();
    json_array(&json, NULL);
    json_u64(&json, NULL, 0);
    json_u64(&json, NULL, UINT64_MAX);
    json_i64(&json, NULL, INT64_MIN);
    json_i64(&json, NULL, INT64_MAX);
    json_i64(&json, NULL, -1);
    json_hex(&json, NULL, 0);
    json_hex(&json, NULL, UINT64_MAX);
    json_hex(&json, NULL, 0x1f);
    json_end(&json);
    assert_string_equal(finish(&json), "[0,18446744073709551615,-9223372036854775808,9223372036854775807,-1,"
                                       "\"0x0\",\"0xffffffffffffffff\",\"0x1f\"]\n");
}

static void test_outermost_scalar(void **state)
{
    (void)state;
    struct json json = begin();
    json_literal(&json, NULL, "x");
    assert_string_equal(finish(&json), "\"x\"\n");
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *expect;
    } rows[] = {
        {"", 0, ""},
        {"plain ~", 7, "plain ~"},
        {"q\"b\\s/", 6, "q\\\"b\\\\s/"},
        {"\n\t\r\b\f", 5, "\\n\\t\\u000d\\u0008\\u000c"},
        {"\0\x1f\x7f", 3, "\\u0000\\u001f\\u007f"},
        {"\xc3\xa9", 2, "\\u00e9"},
        {"\xe2\x82\xac", 3, "\\u20ac"},
        {"\xf0\x9f\x98\x80", 4, "\\ud83d\\ude00"},
        {"\xf4\x8f\xbf\xbf", 4, "\\udbff\\udfff"},
        {"\x80", 1, "\\ufffd"},
        {"\xc0\xaf", 2, "\\ufffd\\ufffd"},                       /* overlong */
        {"\xe0\x80\xaf", 3, "\\ufffd\\ufffd\\ufffd"},            /* overlong */
        {"\xed\xa0\x80", 3, "\\ufffd\\ufffd\\ufffd"},            /* a surrogate */
        {"\xf4\x90\x80\x80", 4, "\\ufffd\\ufffd\\ufffd\\ufffd"}, /* above U+10FFFF */
        {"\xf5\xff", 2, "\\ufffd\\ufffd"},                       /* never bytes of UTF-8 */
        {"\xe2\x82", 2, "\\ufffd"},                              /* cut short */
        {"\xe2\x82"
         "A",
         3, "\\ufffdA"},
        {"\xf0\x9f\x98\xc3\xa9", 5, "\\ufffd\\u00e9"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json json = begin();
        json_array(&json, NULL);
        json_string(&json, NULL, rows[i].bytes, rows[i].length);
        json_end(&json);
        const char *result = finish(&json);
        size_t length = strlen(rows[i].expect);
        assert_int_equal(strlen(result), length + 5);
        assert_memory_equal(result + 2, rows[i].expect, length);
    }
}

static void test_text_ends_at_nul_or_limit(void **state)
{
    (void)state;
    char unterminated[4] = {'a', 'b', 'c', 'd'};
    struct json json = begin();
    json_object(&json, NULL);
    json_text(&json, "whole", unterminated, sizeof(unterminated));
    json_text(&json, "short", "ab\0cd", 5);
    json_text(&json, "k\"", "", 1);
    json_end(&json);
    assert_string_equal(finish(&json), "{\"whole\":\"abcd\",\"short\":\"ab\",\"k\\\"\":\"\"}\n");
}

/* ------------------------------------------------------------ random bytes against a naive model of UTF-8 */

/* Whether the n bytes begin the encoding, of `length` bytes, of some scalar value. */
static bool begins_sequence(const uint8_t *bytes, size_t n, size_t length)
{
    static const uint8_t lead_mask[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const uint8_t lead_value[5] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint32_t largest[5] = {0, 0x7f, 0x7ff, 0xffff, 0x10ffff};
    if ((bytes[0] & (uint8_t)~lead_mask[length]) != lead_value[length])
        return false;
    uint32_t low = bytes[0] & lead_mask[length];
    uint32_t high = low;
    for (size_t i = 1; i < length; i++) {
        if (i < n && (bytes[i] & 0xc0) != 0x80)
            return false;
        low = low << 6 | (i < n ? bytes[i] & 0x3fu : 0);
        high = high << 6 | (i < n ? bytes[i] & 0x3fu : 0x3fu);
    }
    for (uint64_t code = low; code <= high; code += code < 0x10000 ? 1 : 0x3f)
        if (code >= smallest[length] && code <= largest[length] && (code < 0xd800 || code > 0xdfff))
            return true;
    return false;
}

/* Bytes the next code point or ill-formed part has, and the code point. */
static size_t model_next(const uint8_t *bytes, size_t n, uint32_t *code)
{
    *code = 0xfffd;
    size_t best = 1;
    for (size_t length = 1; length <= 4; length++)
        for (size_t have = 1; have <= length && have <= n; have++) {
            if (!begins_sequence(bytes, have, length))
                break;
            if (have > best)
                best = have;
            if (have < length)
                continue;
            *code = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
            for (size_t i = 1; i < length; i++)
                *code = *code << 6 | (bytes[i] & 0x3fu);
            return length;
        }
    return best;
}

/* Reads one character of a JSON string, surrogate pairs joined. */
static uint32_t unescape(const char **at)
{
    const char *p = *at;
    assert_true(*p >= ' ' && *p <= '~');
    if (*p != '\\') {
        *at = p + 1;
        return (uint32_t)*p;
    }
    *at = p + 2;
    if (p[1] != 'u')
        return p[1] == 'n' ? '\n' : p[1] == 't' ? '\t' : (uint32_t)p[1];
    char digits[5] = {p[2], p[3], p[4], p[5], 0};
    char *end;
    uint32_t unit = (uint32_t)strtoul(digits, &end, 16);
    assert_ptr_equal(end, digits + 4);
    *at = p + 6;
    if (unit < 0xd800 || unit > 0xdbff)
        return unit;
    uint32_t low = unescape(at);
    assert_true(low >= 0xdc00 && low <= 0xdfff);
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static uint8_t random_byte(unsigned *seed)
{
    static const uint8_t nasty[] = {0xc2, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0x80, 0x8f,
                                    0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xf5, 0xff, '"',  '\\', 0x00};
    int value = rand_r(seed);
    return value % 4 == 0 ? (uint8_t)(value >> 8) : nasty[(size_t)(value >> 8) % sizeof(nasty)];
}

static void test_random_bytes(void **state)
{
    (void)state;
    unsigned seed = 20260711;
    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[300];
        size_t length = (size_t)rand_r(&seed) % sizeof(bytes);
        for (size_t i = 0; i < length; i++)
            bytes[i] = random_byte(&seed);
        struct json json = begin();
        json_string(&json, NULL, (const char *)bytes, length);
        const char *at = finish(&json);
        assert_int_equal(*at++, '"');
        for (size_t i = 0; i < length;) {
            uint32_t code;
            i += model_next(bytes + i, length - i, &code);
            assert_int_equal(unescape(&at), code);
        }
        assert_string_equal(at, "\"\n");
    }
}

/* ------------------------------------------------------------ misuse and overflow */

static jmp_buf trap;

static void leave(const char *expression)
{
    (void)expression;
    longjmp(trap, 1);
}

static void misuse_missing_key(struct json *json)
{
    json_object(json, NULL);
    json_u64(json, NULL, 1);
}

static void misuse_key_in_array(struct json *json)
{
    json_array(json, NULL);
    json_u64(json, "a", 1);
}

static void misuse_outer_key(struct json *json)
{
    json_object(json, "a");
}

static void misuse_end(struct json *json)
{
    json_end(json);
}

static void misuse_two_values(struct json *json)
{
    json_u64(json, NULL, 1);
    json_u64(json, NULL, 2);
}

static void misuse_unclosed(struct json *json)
{
    json_array(json, NULL);
    json_finish(json);
}

static void misuse_nothing(struct json *json)
{
    json_finish(json);
}

static void misuse_depth(struct json *json)
{
    for (int i = 0; i <= JSON_MAX_DEPTH; i++)
        json_array(json, NULL);
}

static void test_misuse_is_caught(void **state)
{
    (void)state;
    static void (*const misuses[])(struct json *) = {
        misuse_missing_key, misuse_key_in_array, misuse_outer_key, misuse_end,
        misuse_two_values,  misuse_unclosed,     misuse_nothing,   misuse_depth,
    };
    check_hook = leave;
    for (volatile size_t i = 0; i < ARRAY_SIZE(misuses); i++) {
        static struct json json;
        json = begin();
        if (setjmp(trap) == 0) {
            misuses[i](&json);
            check_hook = NULL;
            fail_msg("misuse %zu was not caught", i);
        }
    }
    check_hook = NULL;
}

static void test_full_depth(void **state)
{
    (void)state;
    struct json json = begin();
    for (int i = 0; i < JSON_MAX_DEPTH; i++)
        json_array(&json, NULL);
    for (int i = 0; i < JSON_MAX_DEPTH; i++)
        json_end(&json);
    assert_string_equal(finish(&json), "[[[[[[[[[[[[]]]]]]]]]]]]\n");
}

static void test_overflow_is_told_and_never_written(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 700; capacity += 13) {
        char small[700];
        memset(small, 0x55, sizeof(small));
        struct json_buffer out = {.bytes = small, .capacity = capacity};
        struct json json;
        json_start(&json, json_buffer_write, &out);
        json_array(&json, NULL);
        for (int i = 0; i < 100; i++)
            json_u64(&json, NULL, 12345);
        json_end(&json);
        json_finish(&json);
        assert_int_equal(out.length, 100 * 6 + 2);
        assert_int_equal(json_buffer_overflowed(&out), capacity < out.length);
        for (size_t i = capacity; i < sizeof(small); i++)
            assert_int_equal(small[i], 0x55);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting_and_commas),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_outermost_scalar),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_text_ends_at_nul_or_limit),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_misuse_is_caught),
        cmocka_unit_test(test_full_depth),
        cmocka_unit_test(test_overflow_is_told_and_never_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
