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
    return command_parse(text, strlen(text), &command);
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
        {"stop web", COMMAND_STOP, "web"},
        {"\tstop\t web-1.a_b \n", COMMAND_STOP, "web-1.a_b"},
        {"stop stop", COMMAND_STOP, "stop"},
        {"shutdown", COMMAND_SHUTDOWN, ""},
        {"stop 0123456789012345678901234567890", COMMAND_STOP, "0123456789012345678901234567890"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(parse(rows[i].text));
        assert_int_equal(command.kind, rows[i].kind);
        assert_string_equal(command.name, rows[i].name);
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

static void test_bytes_behind_the_length_do_not_count(void **state)
{
    (void)state;
    static const char text[] = {'h', 'e', 'l', 'p'};
    assert_true(command_parse(text, 4, &command));
    assert_false(command_parse(text, 3, &command));
    assert_false(command_parse("help\0x", 6, &command)); /* NUL is no blank */
}

static void test_every_command_has_help(void **state)
{
    (void)state;
    const char *usage;
    const char *meaning;
    uint32_t count = 0;
    for (; command_help(count, &usage, &meaning); count++) {
        assert_true(parse(usage));
        assert_int_equal(command.kind, COMMAND_NONE + 1 + count);
        assert_true(strlen(meaning) > 0);
    }
    assert_int_equal(count, COMMAND_KIND_COUNT - 1);
    assert_false(command_help(UINT32_MAX, &usage, &meaning));
}

static void test_typing(void **state)
{
    (void)state;
    struct command_input input = {0};
    assert_int_equal(command_input_key(&input, 'a'), COMMAND_KEY_TYPED);
    assert_int_equal(command_input_key(&input, 'b'), COMMAND_KEY_TYPED);
    assert_int_equal(command_input_key(&input, 0x7F), COMMAND_KEY_ERASED);
    assert_int_equal(command_input_key(&input, 0x08), COMMAND_KEY_ERASED);
    assert_int_equal(command_input_key(&input, 0x08), COMMAND_KEY_IGNORED);
    assert_int_equal(command_input_key(&input, 0x1B), COMMAND_KEY_IGNORED);
    assert_int_equal(command_input_key(&input, 0xC3), COMMAND_KEY_IGNORED);
    assert_int_equal(command_input_key(&input, 'c'), COMMAND_KEY_TYPED);
    assert_string_equal(input.text, "c");
    assert_int_equal(command_input_key(&input, '\r'), COMMAND_KEY_FINISHED);
    assert_string_equal(input.text, "c");
    command_input_clear(&input);
    assert_int_equal(command_input_key(&input, '\n'), COMMAND_KEY_IGNORED); /* of CR LF */
    assert_int_equal(command_input_key(&input, '\n'), COMMAND_KEY_FINISHED);
    assert_int_equal(command_input_key(&input, 'd'), COMMAND_KEY_TYPED);
    assert_int_equal(command_input_key(&input, 0x15), COMMAND_KEY_DROPPED);
    assert_int_equal(input.length, 0);
    assert_int_equal(command_input_key(&input, 0x03), COMMAND_KEY_DROPPED);
}

static void test_a_full_line_takes_no_more(void **state)
{
    (void)state;
    struct command_input input = {0};
    for (int i = 0; i < COMMAND_LINE_BYTES - 1; i++)
        assert_int_equal(command_input_key(&input, 'x'), COMMAND_KEY_TYPED);
    assert_int_equal(command_input_key(&input, 'x'), COMMAND_KEY_IGNORED);
    assert_int_equal(strlen(input.text), COMMAND_LINE_BYTES - 1);
    assert_int_equal(command_input_key(&input, '\r'), COMMAND_KEY_FINISHED);
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
                    strlen(command.name) < sizeof(command.name));
        for (size_t i = 0; command.error[i] != '\0'; i++)
            assert_true(command.error[i] >= ' ' && command.error[i] <= '~');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bytes_behind_the_length_do_not_count),
        cmocka_unit_test(test_every_command_has_help),
        cmocka_unit_test(test_typing),
        cmocka_unit_test(test_a_full_line_takes_no_more),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
