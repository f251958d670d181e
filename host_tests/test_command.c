/* The command line: every command, every error, typing, and random input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hv/command.h"

static struct command command;

static bool parse(const char *text)
{
    memset(&command, 0x5A, sizeof(command));
    return command_parse(text, &command);
}

static void test_commands(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum command_kind kind;
        const char *name;
    } rows[] = {
        {"", COMMAND_NONE, ""},
        {" \t ", COMMAND_NONE, ""},
        {"help", COMMAND_HELP, ""},
        {"  status  ", COMMAND_STATUS, ""},
        {"audit\r", COMMAND_AUDIT, ""},
        {"report", COMMAND_REPORT, ""},
        {"events", COMMAND_EVENTS, ""},
        {"stop web", COMMAND_STOP, "web"},
        {"\tstop\t web-1.a_b \n", COMMAND_STOP, "web-1.a_b"},
        {"stop stop", COMMAND_STOP, "stop"},
        {"shutdown", COMMAND_SHUTDOWN, ""},
        {"stop 0123456789012345678901234567890", COMMAND_STOP, "0123456789012345678901234567890"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(parse(rows[i].text));
        assert_int_equal(command.kind, rows[i].kind);
        assert_string_equal(command.argument, rows[i].name);
    }
}

static void test_errors(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"stop", "stop: the name of a partition is missing: stop NAME"},
        {"stop  ", "stop: the name of a partition is missing: stop NAME"},
        {"stop a b", "stop: \"b\" is too much: the command is stop NAME"},
        {"help me", "help: \"me\" is too much: the command is help"},
        {"halt", "there is no command \"halt\": try help"},
        {"Help", "there is no command \"Help\": try help"},
        {"hel", "there is no command \"hel\": try help"},
        {"helpp", "there is no command \"helpp\": try help"},
        {"\x1b[2J\xff\x7f", "there is no command \"?[2J??\": try help"},
        {"stop 01234567890123456789012345678901",
         "stop: no partition has a name as long as \"0123456789012345678901234567890...\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_false(parse(rows[i][0]));
        assert_string_equal(command.error, rows[i][1]);
        assert_int_equal(command.kind, COMMAND_NONE);
    }
}

static uint32_t help_lines;

static void check_help(void *context, const char *text)
{
    assert_ptr_equal(context, &help_lines);
    char usage[13] = "";
    memcpy(usage, text + 2, 12);
    assert_true(parse(usage));
    assert_int_equal(command.kind, COMMAND_HELP + help_lines);
    assert_true(strlen(text) > 16 && strlen(text) < 79);
    help_lines++;
}

static void test_every_command_has_help(void **state)
{
    (void)state;
    help_lines = 0;
    command_help(check_help, &help_lines);
    assert_int_equal(help_lines, COMMAND_SHUTDOWN);
}

/* Types all of text; the last line that came out of it, or NULL. */
static const char *type_text(struct command_line *line, const char *text, char *echo)
{
    const char *result = NULL;
    echo[0] = '\0';
    for (; *text != '\0'; text++) {
        const char *done = command_line_add(line, *text);
        result = done != NULL ? done : result;
        strcat(echo, line->echo);
    }
    return result;
}

static void test_typing(void **state)
{
    (void)state;
    struct command_line line = {0};
    char echo[200];
    assert_null(type_text(&line, "ab\x7f\x08\x08\x1b\xc3help", echo));
    assert_string_equal(echo, "ab\b \b\b \bhelp");
    assert_string_equal(type_text(&line, "\r", echo), "help");
    assert_string_equal(echo, "\r\n");
    assert_null(type_text(&line, "\n", echo)); /* of CR LF */
    assert_string_equal(echo, "");
    assert_string_equal(type_text(&line, "\n", echo), "");
    assert_string_equal(type_text(&line, "x\ny\n", echo), "y");
    assert_string_equal(type_text(&line, "one\x15two\x03three\r\n", echo), "three");
    assert_string_equal(echo, "one\r\ntwo\r\nthree\r\n");
    assert_null(type_text(&line, "\x08", echo)); /* what was handed out cannot be erased any more */
    assert_string_equal(echo, "");
}

static void test_a_full_line_takes_no_more(void **state)
{
    (void)state;
    struct command_line line = {0};
    for (int i = 0; i < 3 * COMMAND_LINE_BYTES; i++) {
        assert_null(command_line_add(&line, 'x'));
        assert_string_equal(line.echo, i < COMMAND_LINE_BYTES - 1 ? "x" : "");
    }
    assert_int_equal(strlen(command_line_add(&line, '\r')), COMMAND_LINE_BYTES - 1);
}

static void test_random(void **state)
{
    (void)state;
    unsigned seed = 12;
    for (int round = 0; round < 20000; round++) {
        static const char *const pieces[] = {"stop", "help", " ",      "\t", "a",
                                             "\x1b", "\xff", "status", "x1", "-"};
        char text[256] = "";
        for (int i = rand_r(&seed) % 12; i > 0; i--)
            strcat(text, pieces[(size_t)rand_r(&seed) % ARRAY_SIZE(pieces)]);
        bool good = parse(text);
        assert_int_equal(good, command.error[0] == '\0');
        assert_true(strlen(command.error) < sizeof(command.error) &&
                    strlen(command.argument) < sizeof(command.argument));
        for (size_t i = 0; command.error[i] != '\0'; i++)
            assert_true(command.error[i] >= ' ' && command.error[i] <= '~');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_every_command_has_help),
        cmocka_unit_test(test_typing),
        cmocka_unit_test(test_a_full_line_takes_no_more),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
