/*
 * freehold.toml: what every setting means, what it means when left out, and every refusal with its exact
 * place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/marked.h"
#include "host_tests/support/random.h"
#include "hv/builtins.h"
#include "hv/machine.h"

static struct config config;
static struct diag diag;

/* What every partition needs; tests add to it. */
#define REQUIRED "name = \"p\"\nmemory = \"4M\"\nimage = \"i\"\n"

static void parse(const char *text)
{
    struct marked marked = marked_open(text);
    if (!config_parse(marked.text, marked.length, &config, &diag))
        fail_msg("refused: %s\n%u:%u: %s", text, diag.pos.line, diag.pos.column, diag.message);
    marked_close(&marked);
}

/* `text` has a ` where the error is; the message contains `message`. */
static void refuse(const char *text, const char *message)
{
    struct marked marked = marked_open(text);
    if (config_parse(marked.text, marked.length, &config, &diag))
        fail_msg("accepted: %s", text);
    if (diag.pos.line != marked.pos.line || diag.pos.column != marked.pos.column ||
        strstr(diag.message, message) == NULL)
        fail_msg("%s\nexpected %u:%u: %s\ngot %u:%u: %s", text, marked.pos.line, marked.pos.column, message,
                 diag.pos.line, diag.pos.column, diag.message);
    marked_close(&marked);
}

struct refused {
    const char *text;
    const char *message;
};

#define REFUSE_ALL(cases)                                  \
    do {                                                   \
        for (size_t i_ = 0; i_ < ARRAY_SIZE(cases); i_++)  \
            refuse((cases)[i_].text, (cases)[i_].message); \
    } while (0)

/* A partition with one more line. */
static void parse_line(const char *line)
{
    char text[1024];
    snprintf(text, sizeof(text), "[[partition]]\n" REQUIRED "%s\n", line);
    parse(text);
}

static void refuse_line(const char *line, const char *message)
{
    char text[1024];
    snprintf(text, sizeof(text), "[[partition]]\n" REQUIRED "%s\n", line);
    refuse(text, message);
}

/* ------------------------------------------------------------------------------------------------ meanings
 */

static void assert_pos(struct source_pos pos, uint32_t line, uint32_t column)
{
    assert_int_equal(pos.line, line);
    assert_int_equal(pos.column, column);
}

static void every_setting_arrives(void **state)
{
    (void)state;
    parse("region = \"eu.north-1_a\"\n"
          "\n"
          "  [[partition]]\n"
          "name = \"web\"\n"
          "tenant = \"acme\"\n"
          "vcpus = 2\n"
          "memory = \"3G\"\n"
          "image = \"vm/sub/linux.elf\"\n"
          "cmdline = \"console=ttyS0 quiet\"\n"
          "on_fault = \"restart\"\n"
          "restart_limit = 7\n"
          "cores = [4, 0x2]\n"
          "expect = \"exit:42\"\n"
          "time_limit = 90\n");
    assert_string_equal(config.region, "eu.north-1_a");
    assert_int_equal(config.partition_count, 1);
    const struct partition_config *p = &config.partitions[0];
    assert_string_equal(p->name, "web");
    assert_string_equal(p->tenant, "acme");
    assert_int_equal(p->vcpus, 2);
    assert_true(p->memory_bytes == 3 * GIB);
    assert_string_equal(p->image, "vm\\sub\\linux.elf");
    assert_false(p->image_builtin);
    assert_false(p->image_flat);
    assert_string_equal(p->cmdline, "console=ttyS0 quiet");
    assert_int_equal(p->on_fault, ON_FAULT_RESTART);
    assert_int_equal(p->restart_limit, 7);
    assert_int_equal(p->core_count, 2);
    assert_int_equal(p->cores[0], 4);
    assert_int_equal(p->cores[1], 2);
    assert_int_equal(p->expect.kind, EXPECT_EXIT_CODE);
    assert_int_equal(p->expect.exit_code, 42);
    assert_true(p->time_limit_seconds == 90);
    assert_pos(p->at, 3, 3);
    assert_pos(p->at_vcpus, 6, 9);
    assert_pos(p->at_memory, 7, 10);
    assert_pos(p->at_image, 8, 9);
    assert_pos(p->at_cores, 12, 9);
}

static void what_is_left_out_has_a_default(void **state)
{
    (void)state;
    memset(&config, 0xA5, sizeof(config));
    parse("[[partition]]\nimage = 'builtin:worker'\nname = 'p'\nmemory = '4M'");
    assert_string_equal(config.region, "local");
    const struct partition_config *p = &config.partitions[0];
    assert_string_equal(p->tenant, "default");
    assert_int_equal(p->vcpus, 1);
    assert_true(p->memory_bytes == 4 * MIB);
    assert_string_equal(p->image, "worker");
    assert_true(p->image_builtin);
    assert_false(p->image_flat);
    assert_string_equal(p->cmdline, "");
    assert_int_equal(p->on_fault, ON_FAULT_STOP);
    assert_int_equal(p->restart_limit, CONFIG_DEFAULT_RESTART);
    assert_int_equal(p->core_count, 0);
    assert_int_equal(p->expect.kind, EXPECT_EXIT_CODE);
    assert_int_equal(p->expect.exit_code, 0);
    assert_true(p->time_limit_seconds == 0);
    assert_pos(p->at_vcpus, 1, 1);
    assert_pos(p->at_cores, 1, 1);
}

static void cores_without_vcpus_give_their_number(void **state)
{
    (void)state;
    parse_line("cores = [1, 3, 5]");
    assert_int_equal(config.partitions[0].vcpus, 3);
    parse_line("cores = [1, 3, 5]\nvcpus = 2"); /* the planner's to refuse */
    assert_int_equal(config.partitions[0].vcpus, 2);
}

static void a_partition_inherits_nothing_from_the_one_before(void **state)
{
    (void)state;
    parse("[[partition]]\n" REQUIRED "tenant = 'a'\nvcpus = 4\ncores = [1,2,3,4]\ncmdline = 'x'\n"
          "on_fault = 'restart'\nexpect = 'running'\ntime_limit = 5\n"
          "[[partition]]\nname = 'q'\nmemory = '6M'\nimage = 'j.bin'\n");
    assert_int_equal(config.partition_count, 2);
    const struct partition_config *q = &config.partitions[1];
    assert_string_equal(q->tenant, "default");
    assert_int_equal(q->vcpus, 1);
    assert_int_equal(q->core_count, 0);
    assert_string_equal(q->cmdline, "");
    assert_int_equal(q->on_fault, ON_FAULT_STOP);
    assert_int_equal(q->expect.kind, EXPECT_EXIT_CODE);
    assert_true(q->time_limit_seconds == 0);
    assert_true(q->image_flat);
    assert_pos(q->at, 12, 1);
}

static void memory_is_read_in_mega_and_gigabytes(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint64_t bytes;
    } cases[] = {
        {"memory = \"4M\"", 4 * MIB},
        {"memory = \"0004M\"", 4 * MIB},
        {"memory = \"256M\"", 256 * MIB},
        {"memory = \"1G\"", GIB},
        {"memory = \"4194303G\"", 4194303 * GIB},
        {"memory = \"4294967294M\"", 4294967294 * MIB},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "[[partition]]\nname = 'p'\nimage = 'i'\n%s", cases[i].line);
        parse(text);
        assert_true(config.partitions[0].memory_bytes == cases[i].bytes);
    }
}

static void refuse_memory(const char *value, const char *message)
{
    char text[256];
    snprintf(text, sizeof(text), "[[partition]]\nname = 'p'\nimage = 'i'\nmemory = `%s", value);
    refuse(text, message);
}

static void other_memory_is_refused(void **state)
{
    (void)state;
    refuse_memory("256M", "256M is no number; text goes in quotes: \"256M\"");
    refuse_memory("256", "\"memory\" must be a string, not an integer: like memory = \"256M\"");
    refuse_memory("'256'", "\"memory\" is \"256\": write a whole number and M or G");
    refuse_memory("'M'", "write a whole number and M or G");
    refuse_memory("'1.5G'", "write a whole number and M or G");
    refuse_memory("'-4M'", "write a whole number and M or G");
    refuse_memory("'4 M'", "write a whole number and M or G");
    refuse_memory("'4MB'", "write a whole number and M or G");
    refuse_memory("'256m'", "write a whole number and M or G");
    refuse_memory("'256K'", "write a whole number and M or G");
    refuse_memory("'0M'", "a partition needs at least 4M");
    refuse_memory("'2M'", "a partition needs at least 4M");
    refuse_memory("'3M'", "a partition needs at least 4M");
    refuse_memory("'5M'", "\"memory\" is \"5M\": it must be a multiple of 2M, like 4M or 6M");
    refuse_memory("'257M'", "it must be a multiple of 2M, like 256M or 258M");
    refuse_memory("'4194304G'", "no processor addresses that much");
    refuse_memory("'4294967296M'", "no processor addresses that much");
    refuse_memory("'99999999999999999999999999999999G'", "no processor addresses that much");
    refuse_memory("'18446744073709551617G'", "no processor addresses that much"); /* 2^64 + 1 */
    refuse_memory("'17592186044417M'", "no processor addresses that much");       /* 2^44 + 1 */
    refuse_memory("'000000000000000000000000000000000000000000000000'",
                  "\"memory\" is 48 bytes long: at most 47");
}

/* -------------------------------------------------------------------------------------- names and numbers */

static void names_have_a_small_alphabet(void **state)
{
    (void)state;
    parse_line("tenant = \"Az09-_.\"");
    parse_line("tenant = \"1234567890123456789012345678901\"");
    refuse_line("tenant = `\"12345678901234567890123456789012\"",
                "\"tenant\" is 32 bytes long: at most 31 fit");
    refuse_line("tenant = `\"\"", "\"tenant\" is empty");
    refuse_line("tenant = `\"a b\"", "\"tenant\" is \"a b\": a name has only letters, digits, - _ and .");
    refuse_line("tenant = `\"a/b\"", "a name has only letters");
    refuse_line("tenant = `\"a:b\"", "a name has only letters");
    refuse_line("tenant = `\"\xC3\xA9\"", "\"tenant\" is \"??\": a name has only letters");
    refuse_line("tenant = `\"a\\u0000b\"", "\"tenant\" holds the control character 0x00");
    refuse_line("tenant = `\"a\\n\"", "\"tenant\" holds the control character 0x0a");
    refuse("region = `\"my home\"\n", "\"region\" is \"my home\": a name has only letters");
    refuse("[[partition]]\nname = `\"a,b\"\n", "\"name\" is \"a,b\": a name has only letters");
}

static void names_are_unique(void **state)
{
    (void)state;
    refuse("[[partition]]\n" REQUIRED "\n[[partition]]\nname = 'q'\nmemory = '4M'\nimage = 'i'\n"
           "[[partition]]\nname = `'p'\n",
           "the [[partition]] in line 1 is named \"p\" too: give each a name of its own");
    /* One tenant may own many, and names differ by case. */
    parse("[[partition]]\n" REQUIRED "tenant = 't'\n[[partition]]\nname = 'P'\nmemory = '4M'\nimage = 'i'\n"
          "tenant = 't'\n");
}

static void numbers_have_ranges(void **state)
{
    (void)state;
    parse_line("vcpus = 64\nrestart_limit = 0\ntime_limit = 1");
    parse_line("vcpus = 1\nrestart_limit = 1000000\ntime_limit = 1_000_000_000");
    refuse_line("vcpus = `0", "\"vcpus\" is 0: it may be 1 to 64");
    refuse_line("vcpus = `65", "\"vcpus\" is 65: it may be 1 to 64");
    refuse_line("vcpus = `-1", "\"vcpus\" is -1: it may be 1 to 64");
    refuse_line("vcpus = `4294967297", "\"vcpus\" is 4294967297: it may be 1 to 64");
    refuse_line("vcpus = `18446744073709551617", "this number does not fit 64 bits");
    refuse_line("restart_limit = `-1", "\"restart_limit\" is -1: it may be 0 to 1000000");
    refuse_line("restart_limit = `1000001", "it may be 0 to 1000000");
    refuse_line("time_limit = `0", "\"time_limit\" is 0: it may be 1 to 1000000000");
    refuse_line("time_limit = `1000000001", "it may be 1 to 1000000000");
}

static void cores_are_a_list_of_core_numbers(void **state)
{
    (void)state;
    char text[512] = "cores = [";
    parse_line("cores = [0, 255]");
    refuse_line("cores = `[]", "\"cores\" is empty: list one core for each vCPU, or remove the line");
    refuse_line("cores = [1, `-1]", "\"cores\" is -1: it may be 0 to 255");
    refuse_line("cores = [`256]", "\"cores\" is 256: it may be 0 to 255");
    refuse_line("cores = [1,\n 2, `1]", "core 1 is listed twice");
    refuse_line("cores = [1, `\"2\"]", "\"cores\" lists core numbers, not a string: like cores = [2, 3]");
    refuse_line("cores = [1, `2.5]", "\"cores\" lists core numbers, not a fraction");
    refuse_line("cores = `2", "\"cores\" must be a list, not an integer: like cores = [2, 3]");
    refuse_line("cores = `\"2-3\"", "\"cores\" must be a list, not a string");
    for (int i = 0; i < CONFIG_MAX_VCPUS; i++)
        sprintf(text + strlen(text), "%d, ", i);
    strcat(text, "]");
    parse_line(text);
    strcpy(text + strlen(text) - 1, "`99]");
    refuse_line(text, "\"cores\" lists more than 64 cores");
}

static void every_setting_has_one_type(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"region = `5", "\"region\" must be a string, not an integer: like region = \"home\""},
        {"[[partition]]\nname = `5", "\"name\" must be a string, not an integer: like name = \"web\""},
        {"[[partition]]\ntenant = `true", "\"tenant\" must be a string, not a boolean"},
        {"[[partition]]\nvcpus = `\"2\"", "\"vcpus\" must be an integer, not a string: like vcpus = 2"},
        {"[[partition]]\nvcpus = `2.0", "\"vcpus\" must be an integer, not a fraction"},
        {"[[partition]]\nimage = `[\"a\"]", "\"image\" must be a string, not a list"},
        {"[[partition]]\ncmdline = `1979-05-27", "\"cmdline\" must be a string, not a date or time"},
        {"[[partition]]\non_fault = `false", "\"on_fault\" must be a string, not a boolean"},
        {"[[partition]]\nrestart_limit = `\"3\"", "\"restart_limit\" must be an integer, not a string"},
        {"[[partition]]\nexpect = `0",
         "\"expect\" must be a string, not an integer: like expect = \"exit:0\""},
        {"[[partition]]\ntime_limit = `0.5", "\"time_limit\" must be an integer, not a fraction"},
    };
    REFUSE_ALL(cases);
}

/* ------------------------------------------------------------------------------------------------- images */

static void image_of(const char *value, const char *wanted)
{
    char text[512];
    snprintf(text, sizeof(text), "[[partition]]\nname = 'p'\nmemory = '4M'\nimage = '%s'", value);
    parse(text);
    assert_string_equal(config.partitions[0].image, wanted);
}

static void refuse_image(const char *value, const char *message)
{
    char text[512];
    snprintf(text, sizeof(text), "[[partition]]\nname = 'p'\nmemory = '4M'\nimage = `'%s'", value);
    refuse(text, message);
}

static void image_paths_are_normalised(void **state)
{
    (void)state;
    char longest[CONFIG_IMAGE_BYTES + 1];
    image_of("linux.elf", "linux.elf");
    image_of("/linux.elf", "linux.elf");
    image_of("\\linux.elf", "linux.elf");
    image_of("a/b\\c", "a\\b\\c");
    image_of("a..b/...c/d e", "a..b\\...c\\d e");
    image_of("freehold.elf", "freehold.elf");
    image_of("a/freehold/b", "a\\freehold\\b");
    image_of("builtins/x", "builtins\\x");
    memset(longest, 'x', sizeof(longest));
    longest[CONFIG_IMAGE_BYTES - 1] = '\0';
    image_of(longest, longest);
    longest[CONFIG_IMAGE_BYTES - 1] = 'x';
    longest[CONFIG_IMAGE_BYTES] = '\0';
    refuse_image(longest, "\"image\" is 128 bytes long: at most 127 fit");
}

static void a_name_in_bin_is_flat(void **state)
{
    (void)state;
    static const struct {
        const char *image;
        bool flat;
    } cases[] = {{"a.bin", true}, {"A.BIN", true}, {"d.bin/a", false}, {"a.bin.elf", false}, {".bin", true},
                 {"bin", false},  {"abin", false}, {"a.Bin", true},    {"a.binx", false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        image_of(cases[i].image, config.partitions[0].image);
        assert_int_equal(config.partitions[0].image_flat, cases[i].flat);
    }
}

static void other_image_paths_are_refused(void **state)
{
    (void)state;
    refuse_image("", "\"image\" is empty");
    refuse_image("/", "it has an empty part");
    refuse_image("a/", "\"image\" is \"a/\": it has an empty part");
    refuse_image("a//b", "it has an empty part");
    refuse_image("//a", "it has an empty part");
    refuse_image("..", "it leads out of its directory");
    refuse_image("../a", "it leads out of its directory");
    refuse_image("a/../b", "it leads out of its directory");
    refuse_image("a\\..", "it leads out of its directory");
    refuse_image("./a", "does not end in a dot or a space");
    refuse_image("a/.../b", "does not end in a dot or a space");
    refuse_image("a./b", "does not end in a dot or a space");
    refuse_image("a ", "does not end in a dot or a space");
    refuse_image("C:/a", "has none of \" * : < > ? |");
    refuse_image("a\"b", "has none of");
    refuse_image("a*", "has none of");
    refuse_image("a?", "has none of");
    refuse_image("?a", "has none of");
    refuse_image("a<b", "has none of");
    refuse_image("a>b", "has none of");
    refuse_image("a|b", "has none of");
    refuse_image("http://a", "has none of");
    refuse_image("\xC3\xA9.elf", "\"image\" is \"??.elf\": file names here are plain ASCII");
    refuse_image("a\tb", "\"image\" holds the control character 0x09");
    refuse_image("/freehold/a", "paths start in \\freehold\\ already");
    refuse_image("FreeHold\\a", "paths start in \\freehold\\ already");
}

static void built_in_images_are_known_by_name(void **state)
{
    (void)state;
#define CHECK_BUILTIN(name)            \
    image_of("builtin:" #name, #name); \
    assert_true(config.partitions[0].image_builtin);
    BUILTIN_GUESTS(CHECK_BUILTIN)
#undef CHECK_BUILTIN
    refuse_image("builtin:helo", "there is no built-in image \"helo\": did you mean \"hello\"?");
    refuse_image("builtin:Worker", "there is no built-in image \"Worker\": did you mean \"worker\"?");
    refuse_image("builtin:",
                 "there is no built-in image \"\": there are hello, worker, attacker, selftest, bench");
    refuse_image("builtin:linux", "there is no built-in image \"linux\": there are hello, worker");
    refuse_image("builtin:../hello", "there is no built-in image");
    refuse_image("Builtin:hello", "has none of");
}

static void command_lines_are_printable(void **state)
{
    (void)state;
    char text[512];
    parse_line("cmdline = ''");
    parse_line("cmdline = 'a \"b\" \xC3\xA9'");
    assert_string_equal(config.partitions[0].cmdline, "a \"b\" \xC3\xA9");
    snprintf(text, sizeof(text), "cmdline = '%0255d'", 0);
    parse_line(text);
    snprintf(text, sizeof(text), "cmdline = `'%0256d'", 0);
    refuse_line(text, "\"cmdline\" is 256 bytes long: at most 255 fit");
    refuse_line("cmdline = `\"a\\nb\"",
                "\"cmdline\" holds the control character 0x0a: use printable text only");
    refuse_line("cmdline = `\"a\\u0000b\"", "control character 0x00");
    refuse_line("cmdline = `\"\\u0000\"", "control character 0x00");
    refuse_line("cmdline = `\"\\u007f\"", "control character 0x7f");
}

/* -------------------------------------------------------------------------------- faults and expectations */

static void on_fault_is_stop_or_restart(void **state)
{
    (void)state;
    parse_line("on_fault = \"stop\"");
    assert_int_equal(config.partitions[0].on_fault, ON_FAULT_STOP);
    parse_line("on_fault = \"restart\"");
    assert_int_equal(config.partitions[0].on_fault, ON_FAULT_RESTART);
    refuse_line("on_fault = `\"reboot\"", "\"on_fault\" is \"reboot\": write \"stop\" or \"restart\"");
    refuse_line("on_fault = `\"Stop\"", "write \"stop\" or \"restart\"");
    refuse_line("on_fault = `restart", "restart is no value; text goes in quotes: \"restart\"");
}

static void expect_round_trip(const char *text)
{
    char line[128], again[64];
    snprintf(line, sizeof(line), "expect = \"%s\"", text);
    parse_line(line);
    expectation_format(&config.partitions[0].expect, again, sizeof(again));
    assert_string_equal(again, text);
}

static void expectations_survive_a_round_trip(void **state)
{
    (void)state;
    char text[64];
    for (int code = 0; code <= 255; code++) {
        snprintf(text, sizeof(text), "exit:%d", code);
        expect_round_trip(text);
        assert_int_equal(config.partitions[0].expect.exit_code, code);
    }
    for (int reason = FAULT_NONE + 1; reason < FAULT_REASON_COUNT; reason++) {
        snprintf(text, sizeof(text), "fault:%s", fault_name((enum fault_reason)reason));
        expect_round_trip(text);
        assert_int_equal(config.partitions[0].expect.reason, reason);
    }
    expect_round_trip("exit:*");
    expect_round_trip("fault");
    expect_round_trip("running");
}

static void other_expectations_are_refused(void **state)
{
    (void)state;
    static const char codes[] = "an exit code is 0 to 255, or * for any";
    refuse_line("expect = `\"exit:256\"", codes);
    refuse_line("expect = `\"exit:4294967296\"", codes);
    refuse_line("expect = `\"exit:-1\"", codes);
    refuse_line("expect = `\"exit:\"", codes);
    refuse_line("expect = `\"exit:00\"", codes);
    refuse_line("expect = `\"exit:1 \"", codes);
    refuse_line("expect = `\"exit:0x1\"", codes);
    refuse_line("expect = `\"exit:**\"", codes);
    refuse_line("expect = `\"exit\"", "\"expect\" is \"exit\": write \"exit:0\", \"exit:*\", \"fault\"");
    refuse_line("expect = `\"Running\"", "write \"exit:0\"");
    refuse_line("expect = `\"faults\"", "write \"exit:0\"");
    refuse_line("expect = `\"\"", "\"expect\" is empty");
    refuse_line("expect = `\"fault:none\"", "there is no fault \"none\"");
    refuse_line("expect = `\"fault:\"", "there is no fault \"\"");
    refuse_line("expect = `\"fault:triple_fault\"", "did you mean \"triple-fault\"?");
    refuse_line("expect = `\"fault:halt\"", "did you mean \"halted\"?");
    refuse_line("expect = `\"fault:zzz\"",
                "there is no fault \"zzz\": there are triple-fault, ept-violation");
}

static void an_expectation_never_overflows_its_text(void **state)
{
    (void)state;
    struct expectation expect = {.kind = EXPECT_FAULT, .reason = FAULT_EPT_MISCONFIG};
    char out[8] = "zzzzzzz";
    expectation_format(&expect, out, 7);
    assert_string_equal(out, "fault:");
    expectation_format(&expect, out, 1);
    assert_string_equal(out, "");
}

/* ------------------------------------------------------------------------------------------ the whole file
 */

static void missing_settings_are_named(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"region = 'r'\n\n `[[partition]]\nmemory = '4M'\nimage = 'i'\n",
         "this [[partition]] has no \"name\": add a line like name = \"web\""},
        {"`[[partition]]\nname = 'p'\nimage = 'i'\n", "has no \"memory\": add a line like memory = \"256M\""},
        {"`[[partition]]\nname = 'p'\nmemory = '4M'\n",
         "has no \"image\": add a line like image = \"builtin:hello\""},
        {"`[[partition]]", "has no \"name\""},
        {"`[[partition]]\n[[partition]]\n", "has no \"name\""},
        {"[[partition]]\n" REQUIRED "`[[partition]]\nname = 'q'\n", "has no \"memory\""},
        {"`", "the file has no [[partition]]: add one, or remove the file to get the default plan"},
        {"region = \"r\"\n# nothing\n`", "the file has no [[partition]]"},
    };
    REFUSE_ALL(cases);
}

static void unknown_and_misplaced_keys_are_refused(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"`regon = 'r'", "unknown key \"regon\": did you mean \"region\"?"},
        {"`foo = 'r'", "unknown key \"foo\": there are region"},
        {"`name = 'p'", "\"name\" belongs below a [[partition]] line"},
        {"`partition = []", "write each partition as [[partition]]"},
        {"`partition.name = 'p'", "write each partition as [[partition]]"},
        {"region.`name = 'p'", "\"region\" has no settings of its own: write region = \"home\""},
        {"[[partition]]\n`memroy = '4M'", "unknown key \"memroy\": did you mean \"memory\"?"},
        {"[[partition]]\n`mem = '4M'", "unknown key \"mem\": did you mean \"memory\"?"},
        {"[[partition]]\n`cpus = 4", "unknown key \"cpus\": did you mean \"vcpus\"?"},
        {"[[partition]]\n`Name = 'p'", "unknown key \"Name\": did you mean \"name\"?"},
        {"[[partition]]\n`on-fault = 'stop'", "unknown key \"on-fault\": did you mean \"on_fault\"?"},
        {"[[partition]]\n`restarts = 1", "unknown key \"restarts\": "},
        {"[[partition]]\n`timeout = 1", "unknown key \"timeout\": "},
        {"[[partition]]\n`xyzzy = 1",
         "unknown key \"xyzzy\": there are name, tenant, vcpus, memory, image, cmdline, "
         "on_fault, restart_limit, cores, expect, time_limit"},
        {"[[partition]]\n`\"\\u001b[2J\" = 1", "unknown key \"?[2J\": "},
        {"[[partition]]\n`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1",
         "unknown key \"aaaaaaaaaaa"},
        {"[[partition]]\n`region = 'r'",
         "\"region\" belongs at the top of the file, above the first [[partition]]"},
        {"[[partition]]\nimage.`path = 'r'", "\"image\" has no settings of its own: write image = "},
        {"`[partition]\nname = 'p'",
         "[partition] makes a single table: write [[partition]], with two brackets"},
        {"`[[partitions]]", "unknown table \"partitions\": did you mean [[partition]]?"},
        {"`[Partition]", "unknown table \"Partition\": did you mean [[partition]]?"},
        {"`[server]", "unknown table \"server\": the only one is [[partition]]"},
        {"`[[a.b]]", "unknown table \"a\": the only one is [[partition]]"},
        {"[[partition]]\n" REQUIRED "`[partition.disk]", "a partition has no tables inside"},
        {"[[partition]]\n" REQUIRED "`[[partition.disk]]", "a partition has no tables inside"},
        {"[[partition]]\n" REQUIRED "`name = 'q'",
         "\"name\" has a value already (line 2): keep one of the two"},
        {"region = 'a'\n`region = 'b'", "\"region\" has a value already (line 1)"},
    };
    REFUSE_ALL(cases);
}

static void misspelt_keys_are_understood(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"ame", "name"},
        {"nam", "name"},
        {"nane", "name"},
        {"nnname", "name"},
        {"NAME", "name"},
        {"xcpus", "vcpus"},
        {"cpu", "vcpus"},
        {"vcpuss", "vcpus"},
        {"emmory", "memory"},
        {"memory_", "memory"},
        {"img", "image"},
        {"imagefile", "image"},
        {"cmd", "cmdline"},
        {"cmd_line", "cmdline"},
        {"onfault", "on_fault"},
        {"expects", "expect"},
        {"restartlimit", "restart_limit"},
        {"time-limit", "time_limit"},
        {"core", "cores"},
        {"xore", "cores"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[128], message[128];
        snprintf(text, sizeof(text), "[[partition]]\n`%s = 1", cases[i][0]);
        snprintf(message, sizeof(message), "unknown key \"%s\": did you mean \"%s\"?", cases[i][0],
                 cases[i][1]);
        refuse(text, message);
    }
    static const char *const far[] = {"a", "ab", "xyz", "size", "disk0", "namexxxx", "network"};
    for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
        char text[128];
        snprintf(text, sizeof(text), "[[partition]]\n`%s = 1", far[i]);
        refuse(text, ": there are name, tenant,");
    }
}

/* All reasons there are, and nothing else. */
static void an_unknown_fault_is_answered_with_the_list(void **state)
{
    (void)state;
    char list[sizeof(diag.message)] = "there is no fault \"zzz\": there are";
    for (int i = FAULT_NONE + 1; i < FAULT_REASON_COUNT; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s %s", i == FAULT_NONE + 1 ? "" : ",",
                 fault_name((enum fault_reason)i));
    assert_true(strlen(list) + 1 < sizeof(list)); /* it fits a message */
    refuse_line("expect = `\"fault:zzz\"", list);
    assert_string_equal(diag.message, list);
}

static void malformed_text_is_refused(void **state)
{
    (void)state;
    refuse("[[partition]]\nname `\"p\"", "expected = after the key");
    refuse("region = `\"r", "this string is never closed");
}

static void there_is_room_for_so_many_partitions(void **state)
{
    (void)state;
    static char text[CONFIG_MAX_PARTITIONS * 320];
    size_t used = 0;
    for (int i = 0; i < CONFIG_MAX_PARTITIONS; i++)
        used += (size_t)sprintf(
            text + used,
            "[[partition]]\nname = 'p%d'\nmemory = '4M'\nimage = 'i'\ntenant = 't'\nvcpus = 1\n"
            "cmdline = 'c'\non_fault = 'stop'\nrestart_limit = 1\ncores = [1]\n"
            "expect = 'exit:0'\ntime_limit = 1\n",
            i);
    parse(text); /* every key of every partition fits the reader's limit, too */
    assert_int_equal(config.partition_count, CONFIG_MAX_PARTITIONS);
    assert_string_equal(config.partitions[CONFIG_MAX_PARTITIONS - 1].name, "p31");
    strcpy(text + used, "`[[partition]]\n");
    refuse(text, "more than 32 partitions");
}

/* ---------------------------------------------------------------------------------------------- properties
 */

static bool text_is(const char *text, size_t room, bool (*allowed)(char c))
{
    for (size_t i = 0; i < room; i++) {
        if (text[i] == '\0')
            return true;
        if (allowed != NULL && !allowed(text[i]))
            return false;
    }
    return false;
}

static bool name_byte(char c)
{
    return strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", c) != NULL;
}

/* What everybody behind the parser relies on. */
static void check_accepted(void)
{
    assert_in_range(config.partition_count, 1, CONFIG_MAX_PARTITIONS);
    assert_true(text_is(config.region, sizeof(config.region), name_byte) && config.region[0] != '\0');
    for (uint32_t i = 0; i < config.partition_count; i++) {
        const struct partition_config *p = &config.partitions[i];
        assert_true(text_is(p->name, sizeof(p->name), name_byte) && p->name[0] != '\0');
        assert_true(text_is(p->tenant, sizeof(p->tenant), name_byte) && p->tenant[0] != '\0');
        assert_true(text_is(p->image, sizeof(p->image), NULL) && p->image[0] != '\0');
        assert_true(text_is(p->cmdline, sizeof(p->cmdline), NULL));
        assert_null(strchr(p->image, '/'));
        assert_true(p->image[0] != '\\' && strstr(p->image, "\\..\\") == NULL);
        assert_in_range(p->vcpus, 1, CONFIG_MAX_VCPUS);
        assert_true(p->memory_bytes >= 4 * MIB && is_aligned(p->memory_bytes, PAGE_2M) &&
                    p->memory_bytes < PHYSICAL_LIMIT);
        assert_true(p->core_count <= CONFIG_MAX_VCPUS);
        for (uint32_t j = 0; j < p->core_count; j++)
            assert_true(p->cores[j] < MACHINE_MAX_CORES);
        for (uint32_t j = 0; j < i; j++)
            assert_string_not_equal(config.partitions[j].name, p->name);
    }
}

static const char sample[] =
    "region = \"r\"\n[[partition]]\nname = \"a\"\ntenant = \"t\"\nvcpus = 2\nmemory = \"64M\"\n"
    "image = \"builtin:hello\"\ncores = [2, 3]\nexpect = \"exit:0\"\n[[partition]]\nname = \"b\"\n"
    "memory = \"1G\"\nimage = \"vm/linux.elf\"\ncmdline = \"x y\"\non_fault = \"restart\"\n"
    "restart_limit = 2\nexpect = \"fault:halted\"\ntime_limit = 10\n";

static void damaged_files_are_read_or_refused(void **state)
{
    (void)state;
    static const char alphabet[] = "\"'[]=.#\\/0123456789_-:*MGabfhnrtuvx \t\n,\xC3\x01";
    struct random random = {1};
    unsigned refused = 0;
    for (int round = 0; round < 20000; round++) {
        size_t length = sizeof(sample) - 1;
        char *text = malloc(length);
        assert_non_null(text);
        memcpy(text, sample, length);
        for (uint64_t i = 1 + random_below(&random, 3); i > 0; i--) {
            size_t at = random_below(&random, length);
            if (random_one_in(&random, 3))
                memmove(text + at, text + at + 1, --length - at);
            else
                text[at] = alphabet[random_below(&random, sizeof(alphabet))];
        }
        memset(&config, 0xA5, sizeof(config));
        memset(&diag, 0, sizeof(diag));
        if (config_parse(text, length, &config, &diag)) {
            check_accepted();
        } else {
            refused++;
            assert_true(diag.pos.line > 0 && diag.pos.column > 0 && diag.message[0] != '\0');
        }
        free(text);
    }
    assert_in_range(refused, 1000, 19500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_arrives),
        cmocka_unit_test(what_is_left_out_has_a_default),
        cmocka_unit_test(cores_without_vcpus_give_their_number),
        cmocka_unit_test(a_partition_inherits_nothing_from_the_one_before),
        cmocka_unit_test(memory_is_read_in_mega_and_gigabytes),
        cmocka_unit_test(other_memory_is_refused),
        cmocka_unit_test(names_have_a_small_alphabet),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(numbers_have_ranges),
        cmocka_unit_test(cores_are_a_list_of_core_numbers),
        cmocka_unit_test(every_setting_has_one_type),
        cmocka_unit_test(image_paths_are_normalised),
        cmocka_unit_test(a_name_in_bin_is_flat),
        cmocka_unit_test(other_image_paths_are_refused),
        cmocka_unit_test(built_in_images_are_known_by_name),
        cmocka_unit_test(command_lines_are_printable),
        cmocka_unit_test(on_fault_is_stop_or_restart),
        cmocka_unit_test(expectations_survive_a_round_trip),
        cmocka_unit_test(other_expectations_are_refused),
        cmocka_unit_test(an_expectation_never_overflows_its_text),
        cmocka_unit_test(missing_settings_are_named),
        cmocka_unit_test(unknown_and_misplaced_keys_are_refused),
        cmocka_unit_test(misspelt_keys_are_understood),
        cmocka_unit_test(an_unknown_fault_is_answered_with_the_list),
        cmocka_unit_test(malformed_text_is_refused),
        cmocka_unit_test(there_is_room_for_so_many_partitions),
        cmocka_unit_test(damaged_files_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
