/* The event log: whole lines only, oldest first out, against a naive list of lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hv/event_log.h"

static char memory[256 + 16];
static struct event_log event_log;
static char content[sizeof(memory)];
static size_t content_length;

static void start(uint32_t capacity)
{
    memset(memory, 0x55, sizeof(memory));
    event_log_start(&event_log, memory + 8, capacity);
}

static void collect(void *context, const char *bytes, size_t n)
{
    assert_ptr_equal(context, content);
    assert_true(n > 0 && content_length + n < sizeof(content));
    memcpy(content + content_length, bytes, n);
    content_length += n;
}

static void assert_holds(const char *expect)
{
    content_length = 0;
    event_log_read(&event_log, collect, content);
    content[content_length] = '\0';
    assert_string_equal(content, expect);
}

static void write_text(const char *text)
{
    event_log_write(&event_log, text, strlen(text));
}

static void test_lines_leave_whole(void **state)
{
    (void)state;
    start(8);
    assert_holds("");
    write_text("ab\n");
    assert_holds("ab\n");
    write_text("cd");
    assert_holds("ab\n"); /* not ended */
    write_text("\nef");
    assert_holds("ab\ncd\n");
    write_text("\n");
    assert_holds("cd\nef\n");
    assert_int_equal(event_log.dropped, 1);
}

static void test_a_line_longer_than_the_log(void **state)
{
    (void)state;
    start(8);
    write_text("ab\n12345678901234567890");
    assert_holds("");
    write_text("\n");
    assert_holds("");
    assert_int_equal(event_log.dropped, 2);
    write_text("1234567\n");
    assert_holds("1234567\n"); /* just fits */
    write_text("12345678\n");
    assert_holds("");
    write_text("x\n");
    assert_holds("x\n");
}

static void test_random_against_model(void **state)
{
    (void)state;
    unsigned seed = 3;
    for (uint32_t capacity = 1; capacity <= 256; capacity = capacity * 2 + 1) {
        static char lines[4000][64]; /* every line written, the model of what must be at the end of it */
        uint32_t count = 0;
        start(capacity);
        while (count < ARRAY_SIZE(lines)) {
            char *line = lines[count++];
            size_t length = (size_t)rand_r(&seed) % 40;
            memset(line, 'a' + (int)(count % 26), length);
            line[length] = '\n';
            line[length + 1] = '\0';
            size_t cut = (size_t)rand_r(&seed) % (length + 2);
            event_log_write(&event_log, line, cut);
            event_log_write(&event_log, line + cut, length + 1 - cut);
            /* What is held is the longest run of last lines that fits; one too long empties it. */
            uint32_t from = count;
            size_t sum = 0;
            while (from > 0 && sum + strlen(lines[from - 1]) <= capacity)
                sum += strlen(lines[--from]);
            char expect[sizeof(content)] = "";
            for (uint32_t i = from; i < count; i++)
                strcat(expect, lines[i]);
            assert_holds(expect);
        }
        for (size_t i = 0; i < 8; i++)
            assert_true(memory[i] == 0x55 && memory[8 + capacity + i] == 0x55);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_leave_whole),
        cmocka_unit_test(test_a_line_longer_than_the_log),
        cmocka_unit_test(test_random_against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
