/*
 * The TOML reader: what it accepts and makes of it, what it refuses and exactly where, and that no text
 * whatever makes it read too far, disagree with itself or point outside the text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/toml.h"
#include "host_tests/support/marked.h"
#include "host_tests/support/random.h"

#define OUT_BYTES 65536

static struct toml toml;
static struct diag diag;

/* --------------------------------------------------------------------------------- a text as its statements
 */

struct out {
    char text[OUT_BYTES];
    size_t used;
};

static void __attribute__((format(printf, 2, 3))) add(struct out *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(out->text + out->used, sizeof(out->text) - out->used, format, args);
    va_end(args);
    assert_true(bytes >= 0 && (size_t)bytes < sizeof(out->text) - out->used);
    out->used += (size_t)bytes;
}

static void add_quoted(struct out *out, const char *text, size_t bytes)
{
    add(out, "\"");
    for (size_t i = 0; i < bytes; i++)
        if (text[i] >= ' ' && text[i] <= '~' && text[i] != '"' && text[i] != '\\')
            add(out, "%c", text[i]);
        else
            add(out, "\\%02x", (unsigned)(uint8_t)text[i]);
    add(out, "\"");
}

static void add_value(struct out *out, const struct toml_value *value)
{
    static char text[OUT_BYTES / 4];
    switch (value->type) {
    case TOML_STRING: {
        size_t bytes = toml_string(&toml.scan, value, text, sizeof(text));
        assert_true(bytes < sizeof(text));
        add_quoted(out, text, bytes);
        return;
    }
    case TOML_INTEGER:
        add(out, "%lld", (long long)value->integer);
        return;
    case TOML_BOOLEAN:
        add(out, value->boolean ? "true" : "false");
        return;
    case TOML_FLOAT:
    case TOML_DATE_TIME:
        add(out, "%s", toml_type_name(value->type));
        return;
    case TOML_ARRAY:
        return; /* its elements follow */
    }
}

static void add_array(struct out *out, const struct toml_value *array)
{
    struct toml_walk walk;
    struct toml_value element;
    add(out, "[");
    toml_walk_open(&walk, &toml.scan, array);
    for (unsigned i = 0; toml_walk_next(&walk, &element); i++) {
        add(out, i > 0 ? ", " : "");
        add_value(out, &element);
    }
    add(out, "]");
}

/* "[a.b]; [[c]]; d.e = 5; ", or the error's message with *pos set. */
static bool statements(const char *text, size_t length, struct out *out, struct source_pos *pos)
{
    struct toml_item item;
    out->used = 0;
    out->text[0] = '\0';
    toml_open(&toml, text, length, &diag);
    for (;;) {
        enum toml_event event = toml_next(&toml, &item);
        *pos = event == TOML_EVENT_ERROR ? diag.pos : item.pos;
        if (event == TOML_EVENT_END || event == TOML_EVENT_ERROR)
            return event == TOML_EVENT_END;
        add(out, event == TOML_EVENT_VALUE ? "" : event == TOML_EVENT_TABLE ? "[" : "[[");
        for (uint32_t i = 0; i < item.key_count; i++)
            add(out, "%s%s", i > 0 ? "." : "", item.keys[i].name);
        add(out, event == TOML_EVENT_VALUE ? " = " : event == TOML_EVENT_TABLE ? "]" : "]]");
        if (event == TOML_EVENT_VALUE && item.value.type == TOML_ARRAY)
            add_array(out, &item.value);
        else if (event == TOML_EVENT_VALUE)
            add_value(out, &item.value);
        add(out, "; ");
    }
}

struct accepted {
    const char *text;
    const char *statements;
};

static void expect_accepted(const struct accepted *cases, size_t count)
{
    static struct out out;
    struct source_pos pos;
    for (size_t i = 0; i < count; i++) {
        struct marked marked = marked_open(cases[i].text);
        if (!statements(marked.text, marked.length, &out, &pos))
            fail_msg("refused: %s\n%u:%u: %s", cases[i].text, pos.line, pos.column, diag.message);
        assert_string_equal(out.text, cases[i].statements);
        marked_close(&marked);
    }
}

struct refused {
    const char *text; /* with a ` where the error is */
    const char *message;
};

static void expect_refused_text(const struct marked *marked, const char *shown, const char *message)
{
    static struct out out;
    struct source_pos pos;
    if (statements(marked->text, marked->length, &out, &pos))
        fail_msg("accepted: %s", shown);
    if (pos.line != marked->pos.line || pos.column != marked->pos.column ||
        strstr(diag.message, message) == NULL)
        fail_msg("%s\nexpected %u:%u: %s\ngot %u:%u: %s", shown, marked->pos.line, marked->pos.column,
                 message, pos.line, pos.column, diag.message);
}

static void expect_refused(const struct refused *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct marked marked = marked_open(cases[i].text);
        expect_refused_text(&marked, cases[i].text, cases[i].message);
        marked_close(&marked);
    }
}

#define EXPECT_ACCEPTED(cases) expect_accepted(cases, ARRAY_SIZE(cases))
#define EXPECT_REFUSED(cases)  expect_refused(cases, ARRAY_SIZE(cases))

/* -------------------------------------------------------------------------------------------- statements */

static void statements_are_read(void **state)
{
    (void)state;
    static const struct accepted cases[] = {
        {"", ""},
        {"\n\n  \t\r\n# only a comment", ""},
        {"\xEF\xBB\xBF"
         "a = 1",
         "a = 1; "},
        {"a = 1", "a = 1; "},
        {"a=1 # behind it\r\nb\t=\t2\r\n", "a = 1; b = 2; "},
        {"bare-KEY_9 = 1\n1234 = 2", "bare-KEY_9 = 1; 1234 = 2; "},
        {"\"quoted = \\\"key\\\"\" = 1\n'lit\\eral' = 2\n\"\" = 3",
         "quoted = \"key\" = 1; lit\\eral = 2;  = 3; "},
        {"a.b = 1\na . \"c\" .d= 2", "a.b = 1; a.c.d = 2; "},
        {"[t]\na = 1\n[ t . u ] # sub\na = 2", "[t]; a = 1; [t.u]; a = 2; "},
        {"[[p]]\na = 1\n[[p]]\na = 2\n[p.q]\n[[p]]\n[p.q]",
         "[[p]]; a = 1; [[p]]; a = 2; [p.q]; [[p]]; [p.q]; "},
        {"[a.b.c]\n[a]\nd = 1\n[a.b]\n", "[a.b.c]; [a]; d = 1; [a.b]; "},
        {"[f]\na.c = 1\na.t.s = 2\n[f.a.x]\n", "[f]; a.c = 1; a.t.s = 2; [f.a.x]; "},
        {"[[a.b]]\n[[a.b]]\n[a.b.c]\n[a]\n", "[[a.b]]; [[a.b]]; [a.b.c]; [a]; "},
        {"# \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\n", ""},
    };
    EXPECT_ACCEPTED(cases);
}

static void malformed_statements_are_refused_in_place(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"a = 1\n`= 2\n", "expected a key (letters, digits, _ and -, or a \"quoted key\"), but found '='"},
        {"a `1\n", "expected = after the key, but found '1'"},
        {"name`: \"x\"\n", "expected = after the key, but found ':'"},
        {"a`", "expected = after the key, but the file ends here"},
        {"a`\n", "expected = after the key, but the line ends here"},
        {"a = `", "expected a value (\"text\", a number, true, false or a [list]), but the file ends here"},
        {"a =   `\nb = 1", "but the line ends here"},
        {"a = `# nothing", "but found '#'"},
        {"a = 1 `b = 2\n", "expected the end of the line or a # comment, but found 'b'"},
        {"a = \"x\" `\"y\"\n", "expected the end of the line or a # comment, but found '\"'"},
        {"a = 1`\r", "expected the end of the line or a # comment, but found the byte 0x0d"},
        {"[t] `x\n", "expected the end of the line or a # comment, but found 'x'"},
        {"[t`\n", "expected ] after the name of the table, but the line ends here"},
        {"[t `u]\n", "expected ] after the name of the table, but found 'u'"},
        {"[[t]` ]\n", "expected ]] after the name of the table, but found ' '"},
        {"[`]\n", "expected a key"},
        {"[[`]]\n", "expected a key"},
        {"[ `[t]]\n", "expected a key"},
        {"[a.`]\n", "expected a key"},
        {"a.`= 1\n", "expected a key"},
        {"`.a = 1\n", "expected a key"},
        {"`\xC3\xA9 = 1\n", "but found the byte 0xc3"},
        {"`\"\"\"k\"\"\" = 1\n", "a key is quoted with one"},
        {"`'''k''' = 1\n", "a key is quoted with one"},
        {"a.`\"k = 1\n", "this string is never closed"},
        {"`\"a\\u0000b\" = 1\n", "this key holds a NUL"},
        {"a.b.c.d.e.f.g.h.`i = 1\n", "more than 8 parts in one key"},
        {"`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1", "longer than 63 bytes"},
    };
    EXPECT_REFUSED(cases);
}

static void limits_are_exact(void **state)
{
    (void)state;
    static const struct accepted fits[] = {
        {"a.b.c.d.e.f.g.h = 1", "a.b.c.d.e.f.g.h = 1; "},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1; "},
    };
    EXPECT_ACCEPTED(fits);

    static char text[TOML_MAX_BYTES + 2];
    static struct out out;
    struct source_pos pos;
    memset(text, ' ', sizeof(text));
    assert_true(statements(text, TOML_MAX_BYTES, &out, &pos));
    assert_false(statements(text, TOML_MAX_BYTES + 1, &out, &pos));
    assert_true(pos.line == 1 && pos.column == 1);
    assert_non_null(strstr(diag.message, "longer than 256 KiB"));

    for (unsigned keys = TOML_MAX_NODES - 2; keys <= TOML_MAX_NODES; keys++) {
        size_t used = 0;
        for (unsigned i = 0; i < keys; i++)
            used += (size_t)sprintf(text + used, "key%u = 1\n", i);
        assert_int_equal(statements(text, used, &out, &pos), keys < TOML_MAX_NODES);
    }
    assert_int_equal(pos.line, TOML_MAX_NODES);
    assert_int_equal(pos.column, 1);
    assert_non_null(strstr(diag.message, "more than 511 keys and tables"));
}

/* Tables and arrays of tables run out of room too, at whatever step they ask for it. */
static void every_kind_of_name_counts_for_the_limit(void **state)
{
    (void)state;
    static const struct {
        const char *statement;
        unsigned names;
    } last[] = {{"x = 1", 1}, {"[x]", 1}, {"[[x]]", 2}, {"[x.y]", 2}, {"x.y = 1", 2}, {"[[x.y]]", 3}};
    static char text[TOML_MAX_NODES * 16];
    static struct out out;
    for (size_t i = 0; i < ARRAY_SIZE(last); i++)
        for (unsigned room = 0; room <= 3; room++) {
            struct source_pos pos;
            size_t used = 0;
            for (unsigned k = 0; k < TOML_MAX_NODES - 1 - room; k++)
                used += (size_t)sprintf(text + used, "key%u = 1\n", k);
            used += (size_t)sprintf(text + used, "%s\n", last[i].statement);
            assert_int_equal(statements(text, used, &out, &pos), last[i].names <= room);
            if (last[i].names > room)
                assert_int_equal(pos.line, TOML_MAX_NODES - room);
        }
}

static void names_are_defined_once(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"a = 1\nb = 2\n`a = 3\n", "\"a\" has a value already (line 1): keep one of the two"},
        {"a = 1\n`\"a\" = 3\n", "\"a\" has a value already (line 1)"},
        {"ab = 1\n`'ab' = 3\n", "\"ab\" has a value already (line 1)"},
        {"a = 1\n`\"\\u0061\" = 3\n", "\"a\" has a value already (line 1)"},
        {"a = 1\n[`a]\n", "\"a\" has a value already (line 1)"},
        {"a = 1\n[[`a]]\n", "\"a\" has a value already (line 1)"},
        {"a = 1\n[`a.b]\n", "\"a\" has a value already (line 1)"},
        {"a = 1\n`a.b = 2\n", "\"a\" has a value already (line 1)"},
        {"a = []\n[[`a]]\n", "\"a\" has a value already (line 1)"},
        {"\n[a]\n[b]\n[`a]\n", "the table [a] is there already (line 2)"},
        {"[a]\n[[`a]]\n", "the table [a] is there already (line 1)"},
        {"[[a]]\n[`a]\n", "\"a\" is a list of tables already (line 1)"},
        {"[[a]]\nb = 1\n`b = 1\n", "\"b\" has a value already (line 2)"},
        {"[a.b]\n[[`a]]\n", "\"a\" is a table already (line 1)"},
        {"a.b = 1\n[`a]\n", "\"a\" is a table already, made by the dotted key in line 1"},
        {"a.b = 1\n[[`a]]\n", "\"a\" is a table already, made by the dotted key in line 1"},
        {"a.b = 1\n`a = 1\n", "\"a\" is a table already, made by the dotted key"},
        {"a.b = 1\na.`b.c = 1\n", "\"b\" has a value already (line 1)"},
        {"a.b.c = 1\na.`b = 1\n", "\"b\" is a table already, made by the dotted key in line 1"},
        {"[a.b]\n[a]\n`b.c = 1\n", "the table [b] is there already (line 1)"},
        {"[a.b]\n[a]\n`b = 1\n", "the table [b] is there already (line 1)"},
        {"[a.b.c]\n[a]\n`b = 1\n", "\"b\" is a table already (line 1)"},
        {"[[a.b]]\n[a]\n`b.c = 1\n", "\"b\" is a list of tables already (line 1)"},
        {"[[a]]\n[a.b]\n[a.`b]\n", "the table [b] is there already (line 2)"},
    };
    EXPECT_REFUSED(cases);
}

/* ---------------------------------------------------------------------------------------------- strings */

static void strings_are_decoded(void **state)
{
    (void)state;
    static const struct accepted cases[] = {
        {"a = \"\"", "a = \"\"; "},
        {"a = ''", "a = \"\"; "},
        {"a = \"x # y\" # z", "a = \"x # y\"; "},
        {"a = \"\\b\\t\\n\\f\\r\\\"\\\\\"", "a = \"\\08\\09\\0a\\0c\\0d\\22\\5c\"; "},
        {"a = \"\\u0000\\u007f\\u0080\\u07FF\\u0800\\uFFFF\"",
         "a = \"\\00\\7f\\c2\\80\\df\\bf\\e0\\a0\\80\\ef\\bf\\bf\"; "},
        {"a = \"\\U00010000\\U0010FFFF\\uD7FF\\ue000\"",
         "a = \"\\f0\\90\\80\\80\\f4\\8f\\bf\\bf\\ed\\9f\\bf\\ee\\80\\80\"; "},
        {"a = 'C:\\no\\escapes'", "a = \"C:\\5cno\\5cescapes\"; "},
        {"a = \"tab\there\"", "a = \"tab\\09here\"; "},
        {"a = \"\xC3\xA9\xF0\x9F\x98\x80\"", "a = \"\\c3\\a9\\f0\\9f\\98\\80\"; "},
        {"a = \"\"\"\nfirst\r\nsecond\"\"\"", "a = \"first\\0asecond\"; "},
        {"a = \"\"\"\r\none\"\"\"", "a = \"one\"; "},
        {"a = \"\"\"one \\\n   \t\r\n\n  two\\  \n\"\"\"", "a = \"one two\"; "},
        {"a = \"\"\"\"\"\"", "a = \"\"; "},
        {"a = \"\"\"q\"q\"\"q\"\"\"", "a = \"q\\22q\\22\\22q\"; "},
        {"a = \"\"\"q\"\"\"\"", "a = \"q\\22\"; "},
        {"a = \"\"\"q\"\"\"\"\"", "a = \"q\\22\\22\"; "},
        {"a = \"\"\"\\u0041\\\"\"\"\"", "a = \"A\\22\"; "},
        {"a = '''\nit''s 'q' \\\n'''", "a = \"it''s 'q' \\5c\\0a\"; "},
        {"a = '''q'''''", "a = \"q''\"; "},
    };
    EXPECT_ACCEPTED(cases);
}

static void malformed_strings_are_refused_in_place(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"a = `\"x", "this string is never closed: end it with \" on the same line"},
        {"a = `\"x\nb = \"y\"", "this string is never closed: end it with \" on the same line"},
        {"a = `'x\r\n", "this string is never closed: end it with ' on the same line"},
        {"a = `\"x\\\"", "this string is never closed"},
        {"\na = `\"\"\"x\n\n\"\"", "this string is never closed: end it with \"\"\""},
        {"a = `'''x", "this string is never closed: end it with '''"},
        {"a = \"x`\\q\"", "no such escape: for a backslash write \\\\"},
        {"a = \"vm`\\linux.elf\"", "no such escape"},
        {"a = \"x`\\ \n\"", "no such escape"},
        {"a = \"\"\"x`\\ y\"\"\"", "no such escape"},
        {"a = \"x`\\", "no such escape"},
        {"a = \"`\\u12G4\"", "this escape needs 4 hexadecimal digits"},
        {"a = \"`\\U0001234\"", "this escape needs 8 hexadecimal digits"},
        {"a = \"`\\ud800\"", "U+D800 is no character"},
        {"a = \"`\\uDFFF\"", "U+DFFF is no character"},
        {"a = \"`\\U00110000\"", "U+110000 is no character"},
        {"a = \"`\\UFFFFFFFF\"", "U+FFFFFFFF is no character"},
        {"a = \"x`\x01\"", "0x01 cannot stand here: remove it, or in a \"string\" write \\u0001"},
        {"a = \"x`\x7F\"", "the control character 0x7f"},
        {"a = 'x`\x1F'", "the control character 0x1f"},
        {"a = '''x\n`\x02'''", "the control character 0x02"},
        {"a = \"x`\ry\"", "a carriage return without a line feed"},
        {"a = \"\"\"x`\ry\"\"\"", "a carriage return without a line feed"},
        {"# x`\x08", "the control character 0x08"},
        {"# x`\ry", "a carriage return without a line feed"},
        {"a = 1 # `\xFF", "the byte 0xff is not UTF-8"},
        {"a = \"\"\"x\"\"\"\"\"`\"", "expected the end of the line"},
    };
    EXPECT_REFUSED(cases);
    static const char nul[] = "a = \"x`\0\"";
    struct marked marked = marked_open_bytes(nul, sizeof(nul) - 1);
    expect_refused_text(&marked, "a NUL in a string", "the control character 0x00");
    marked_close(&marked);
}

/* Ill-formed sequences of every kind that RFC 3629 names. */
static void only_utf8_is_text(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"a = \"`\x80\"", "the byte 0x80 is not UTF-8"},
        {"a = \"`\xC0\x80\"", "the byte 0xc0 is not UTF-8"},
        {"a = \"`\xC1\xBF\"", "the byte 0xc1 is not UTF-8"},
        {"a = \"`\xC2\"", "the byte 0xc2 is not UTF-8"},
        {"a = \"`\xC2", "the byte 0xc2 is not UTF-8"},
        {"a = \"`\xE0\x9F\xBF\"", "the byte 0xe0 is not UTF-8"},
        {"a = \"`\xE1\x80\"", "the byte 0xe1 is not UTF-8"},
        {"a = \"`\xE1\x80", "the byte 0xe1 is not UTF-8"},
        {"a = \"`\xED\xA0\x80\"", "the byte 0xed is not UTF-8"},
        {"a = \"`\xF0\x8F\xBF\xBF\"", "the byte 0xf0 is not UTF-8"},
        {"a = \"`\xF1\x80\x80\"", "the byte 0xf1 is not UTF-8"},
        {"a = \"`\xF4\x90\x80\x80\"", "the byte 0xf4 is not UTF-8"},
        {"a = \"`\xF5\x80\x80\x80\"", "the byte 0xf5 is not UTF-8"},
        {"a = \"`\xE9\"", "the byte 0xe9 is not UTF-8"},
        {"`\xFF\xFE", "the file is UTF-16"},
        {"`\xFE\xFF", "the file is UTF-16"},
        {"`\xEF\xBB = 1", "but found the byte 0xef"},
    };
    EXPECT_REFUSED(cases);
}

/* ------------------------------------------------------------------------------------- numbers and others */

static void plain_values_are_read(void **state)
{
    (void)state;
    static const struct accepted cases[] = {
        {"a = true\nb = false", "a = true; b = false; "},
        {"a = 0\nb = -0\nc = +0", "a = 0; b = 0; c = 0; "},
        {"a = 9_223_372_036_854_775_807", "a = 9223372036854775807; "},
        {"a = -9223372036854775808", "a = -9223372036854775808; "},
        {"a = 0x7fffFFFF_ffffffff\nb = 0xdead_BEEF", "a = 9223372036854775807; b = 3735928559; "},
        {"a = 0o17\nb = 0b1010\nc = 0x00f", "a = 15; b = 10; c = 15; "},
        {"a = 1.5\nb = -0.0e-1\nc = 1e5\nd = 6.02_2E+2_3\ne = +inf\nf = -nan\ng = 0.1_2",
         "a = a fraction; b = a fraction; c = a fraction; d = a fraction; e = a fraction; f = a fraction; "
         "g = a fraction; "},
        {"a = 1979-05-27\nb = 07:32:00\nc = 07:32:00.999\nd = 1979-05-27T07:32:00Z\n"
         "e = 1979-05-27 07:32:00.5-07:00\nf = 1979-05-27t00:32:60",
         "a = a date or time; b = a date or time; c = a date or time; d = a date or time; e = a date or "
         "time; "
         "f = a date or time; "},
        {"a = 1979-05-27 # 07:32:00", "a = a date or time; "},
        {"a = 1979-01-01\nb = 1979-12-31\nc = 00:00:00\nd = 23:59:59\ne = 1979-12-31T23:59:59+23:59",
         "a = a date or time; b = a date or time; c = a date or time; d = a date or time; e = a date or "
         "time; "},
        {"a = []\nb = [ 1,2 , 3, ]\nc = [\n 'x', # one\n\r\n \"y\"\n]",
         "a = []; b = [1, 2, 3]; c = [\"x\", \"y\"]; "},
        {"a = [1979-05-27 07:32:00,true]", "a = [a date or time, true]; "},
        {"a = [\"\"\"\n1\n2\"\"\"\n,3]", "a = [\"1\\0a2\", 3]; "},
    };
    EXPECT_ACCEPTED(cases);
}

static void malformed_plain_values_are_refused_in_place(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"a = `9223372036854775808",
         "this number does not fit 64 bits: it may be at most 9223372036854775807 "
         "and at least -9223372036854775808"},
        {"a = `-9223372036854775809", "does not fit 64 bits"},
        {"a = `0x8000000000000000", "does not fit 64 bits"},
        {"a = `0b11111111111111111111111111111111111111111111111111111111111111111", "does not fit 64 bits"},
        {"a = `99999999999999999999999999999999999999", "does not fit 64 bits"},
        {"a = `007", "007 starts with 0: leave the leading zeros out"},
        {"a = `256M", "256M is no number; text goes in quotes: \"256M\""},
        {"a = `1_", "1_ is no number"},
        {"a = `_1", "_1 is no value"},
        {"a = `1__0", "1__0 is no number"},
        {"a = `+", "+ is no number"},
        {"a = `0x", "0x is no number"},
        {"a = `0xfg", "0xfg is no number"},
        {"a = `0X1", "0X1 is no number"},
        {"a = `0o8", "0o8 is no number"},
        {"a = `0b2", "0b2 is no number"},
        {"a = `+0x1", "+0x1 is no number"},
        {"a = `--1", "--1 is no number"},
        {"a = `1.", "1. is no number"},
        {"a = `.5", ".5 is no value"},
        {"a = `1.e5", "1.e5 is no number"},
        {"a = `1e", "1e is no number"},
        {"a = `1e+", "1e+ is no number"},
        {"a = `1e5x", "1e5x is no number"},
        {"a = `1.5x", "1.5x is no number"},
        {"a = `01.5", "01.5 is no number"},
        {"a = `1._5", "1._5 is no number"},
        {"a = `+infx", "+infx is no number"},
        {"a = `1979-13-01", "1979-13-01 is no number"},
        {"a = `1979-00-01", "1979-00-01 is no number"},
        {"a = `1979-01-00", "1979-01-00 is no number"},
        {"a = `1979-01-32", "1979-01-32 is no number"},
        {"a = `1979-01-01X", "1979-01-01X is no number"},
        {"a = `1979-01-01T", "1979-01-01T is no number"},
        {"a = `24:00:00", "24:00:00 is no number"},
        {"a = `23:60:00", "23:60:00 is no number"},
        {"a = `23:59:61", "23:59:61 is no number"},
        {"a = `23:59:59.", "23:59:59. is no number"},
        {"a = `23:59", "23:59 is no number"},
        {"a = `23:59:59Z", "23:59:59Z is no number"},
        {"a = `1979-01-01T01:01:01+24:00", "is no number"},
        {"a = `1979-01-01T01:01:01+1:00", "is no number"},
        {"a = `True", "True is no value: booleans are true and false, text goes in quotes: \"True\""},
        {"a = `yes", "yes is no value: booleans are true and false"},
        {"a = `truex", "truex is no value; text goes in quotes: \"truex\""},
        {"a = `\xE2\x80\x9Cx\xE2\x80\x9D", "typographic quotes"},
        {"a = `\xC3\xA9t\xC3\xA9", "??t?? is no value"},
        {"a = `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaa... is no value"},
        {"a = `{ b = 1 }", "inline tables { } are not used in this file"},
        {"a = [1, `{ b = 1 }]", "inline tables { } are not used in this file"},
        {"a = [1, `[2]]", "a list inside a list is not used in this file"},
        {"a = [`[1]]", "a list inside a list is not used in this file"},
        {"a = [1 `2]", "expected , or ] in the list, but found '2'"},
        {"a = [`, 1]", "expected a value"},
        {"a = [1,`,2]", "expected a value"},
        {"a = [1,\n\n`", "expected a value (\"text\", a number, true, false or a [list]), but the file ends"},
        {"a = [1\n`", "expected , or ] in the list, but the file ends here"},
        {"a = [1, # `\x01\n]", "the control character 0x01"},
        {"a = [1 # `\x01\n]", "the control character 0x01"},
        {"a = [\n 1,\n `x]", "x is no value"},
        {"a = [`\"x]", "this string is never closed"},
        {"a = 1`]", "expected the end of the line"},
    };
    EXPECT_REFUSED(cases);
}

/* --------------------------------------------------------------------------------------------- properties */

/* An encoder of UTF-8, apart from the one under test. */
static size_t put_utf8(char *out, uint32_t code)
{
    unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned first[] = {0x00, 0xC0, 0xE0, 0xF0};
    for (unsigned i = more; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(first[more] | code);
    return more + 1;
}

static uint32_t random_code_point(struct random *random)
{
    static const uint32_t limits[] = {0x80, 0x800, 0x10000, 0x110000};
    uint32_t code = (uint32_t)random_below(random, limits[random_below(random, 4)]);
    return code >= 0xD800 && code <= 0xDFFF ? '?' : code;
}

/* Writes a code point as a basic string may hold it: as it is or escaped. */
static size_t put_in_string(struct random *random, char *out, uint32_t code, bool escape)
{
    if ((code < ' ' && code != '\t') || code == 0x7F || code == '"' || code == '\\')
        escape = true;
    if (!escape)
        return put_utf8(out, code);
    if (code > 0xFFFF || random_one_in(random, 2))
        return (size_t)sprintf(out, "\\U%08X", code);
    return (size_t)sprintf(out, "\\u%04x", code);
}

/* Whatever text is written as a string is read back, and a small buffer gets its start. */
static void strings_survive_a_round_trip(void **state)
{
    (void)state;
    struct random random = {1};
    static char text[8192], wanted[1024], got[1024];
    for (int round = 0; round < 3000; round++) {
        bool multi_line = random_one_in(&random, 2);
        size_t used = (size_t)sprintf(text, multi_line ? "k = \"\"\"" : "k = \""), bytes = 0;
        for (uint64_t i = random_below(&random, 40); i > 0; i--) {
            uint32_t code = random_code_point(&random);
            bool continued = multi_line && random_one_in(&random, 8);
            if (continued)
                used += (size_t)sprintf(text + used, "\\  \r\n\t\n ");
            /* A blank behind a line continuation would vanish with it. */
            used += put_in_string(&random, text + used, code, continued || random_one_in(&random, 3));
            bytes += put_utf8(wanted + bytes, code);
        }
        used += (size_t)sprintf(text + used, multi_line ? "\"\"\"" : "\"");

        struct toml_item item;
        toml_open(&toml, text, used, &diag);
        assert_int_equal(toml_next(&toml, &item), TOML_EVENT_VALUE);
        assert_int_equal(item.value.type, TOML_STRING);
        size_t room = random_below(&random, bytes + 2);
        memset(got, 'z', sizeof(got));
        assert_int_equal(toml_string(&toml.scan, &item.value, got, room), bytes);
        size_t kept = room == 0 ? 0 : bytes < room ? bytes : room - 1;
        assert_memory_equal(got, wanted, kept);
        assert_int_equal(got[kept], room == 0 ? 'z' : '\0');
        assert_int_equal(got[kept + 1], 'z');
    }
}

/* Digits of a number in a base, with an underscore here and there. */
static size_t put_digits(struct random *random, char *out, uint64_t value, unsigned base)
{
    char reversed[160];
    size_t count = 0, used = 0;
    do {
        char digit = "0123456789abcdef"[value % base];
        if (count > 0 && random_one_in(random, 4))
            reversed[count++] = '_';
        reversed[count++] = random_one_in(random, 2) && digit >= 'a' ? (char)(digit - 32) : digit;
        value /= base;
    } while (value != 0);
    while (count > 0)
        out[used++] = reversed[--count];
    return used;
}

static void integers_survive_a_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        unsigned base;
    } bases[] = {{"", 10}, {"+", 10}, {"-", 10}, {"0x", 16}, {"0o", 8}, {"0b", 2}};
    struct random random = {2};
    for (int round = 0; round < 5000; round++) {
        char text[256];
        size_t form = random_below(&random, ARRAY_SIZE(bases));
        uint64_t magnitude = random_u64(&random) >> random_below(&random, 64);
        if (random_one_in(&random, 4))
            magnitude = (UINT64_C(1) << 63) - 2 + random_below(&random, 4);
        size_t used = (size_t)sprintf(text, "k = %s", bases[form].prefix);
        used += put_digits(&random, text + used, magnitude, bases[form].base);
        bool negative = bases[form].prefix[0] == '-';

        struct toml_item item;
        toml_open(&toml, text, used, &diag);
        bool fits = magnitude <= (uint64_t)INT64_MAX + negative;
        assert_int_equal(toml_next(&toml, &item), fits ? TOML_EVENT_VALUE : TOML_EVENT_ERROR);
        if (fits)
            assert_true((uint64_t)item.value.integer == (negative ? 0 - magnitude : magnitude));
    }
}

static const char sample[] =
    "\xEF\xBB\xBF# r\xC3\xA9gion\nregion = \"x\\u0041\" # y\r\n[[p]]\nn.m = 'l'\n\"q k\" = \"\"\"\na\\\n  "
    "b\"\"\"\n"
    "c = [1, 0x2, # z\n 3_0 ]\nd = 1979-05-27 07:32:00Z\ne = -1.5e3\nf = true\n[[p]]\nn = '''x'''''\n[p.t]\n";

/* An error lies inside the text, or at its end; its message is a printable line. */
static void check_error_place(const char *text, size_t length, struct source_pos pos)
{
    uint32_t line = 1;
    size_t start = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (size_t i = start; i < length && line < pos.line; i++)
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    assert_int_equal(line, pos.line);
    assert_in_range(pos.column, 1, length - start + 1);
    assert_null(memchr(text + start, '\n', pos.column - 1));
    assert_true(diag.message[0] != '\0');
    for (const char *c = diag.message; *c != '\0'; c++)
        assert_in_range(*c, ' ', '~');
}

/* Reads it twice, from memory of exactly its size. */
static bool try_text(const char *text, size_t length)
{
    static struct out first, second;
    struct source_pos pos, again;
    char *exact = malloc(length > 0 ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    bool sound = statements(exact, length, &first, &pos);
    if (!sound)
        check_error_place(exact, length, pos);
    assert_int_equal(statements(exact, length, &second, &again), sound);
    assert_true(pos.line == again.line && pos.column == again.column);
    assert_string_equal(first.text, second.text);
    free(exact);
    return sound;
}

static void every_prefix_ends_well(void **state)
{
    (void)state;
    assert_true(try_text(sample, sizeof(sample) - 1));
    for (size_t length = 0; length < sizeof(sample) - 1; length++)
        (void)try_text(sample, length);
}

static void damaged_texts_are_read_or_refused(void **state)
{
    (void)state;
    static const char alphabet[] = "\"\"\"'''[[]]==..##\\\\un10_-+:xTZ \t\r\n\n{},\xEF\xC3\xA9\x80\x01";
    struct random random = {3};
    unsigned refused = 0;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof(sample) + 8];
        size_t length = sizeof(sample) - 1;
        memcpy(text, sample, length);
        for (uint64_t i = 1 + random_below(&random, 3); i > 0; i--) {
            size_t at = random_below(&random, length);
            char byte = alphabet[random_below(&random, sizeof(alphabet))]; /* its NUL too */
            if (random_one_in(&random, 3))
                memmove(text + at, text + at + 1, --length - at);
            else
                text[at] = byte;
        }
        refused += !try_text(text, length);
    }
    assert_in_range(refused, 1000, 19000); /* else the damage is no test */
}

static void an_error_stays_an_error(void **state)
{
    (void)state;
    struct toml_item item;
    toml_open(&toml, "a\nb = 1", 7, &diag);
    for (int i = 0; i < 3; i++)
        assert_int_equal(toml_next(&toml, &item), TOML_EVENT_ERROR);
    toml_open(&toml, "", 0, &diag);
    for (int i = 0; i < 3; i++)
        assert_int_equal(toml_next(&toml, &item), TOML_EVENT_END);
}

static void excerpts_are_printable_and_bounded(void **state)
{
    (void)state;
    char out[9];
    toml_excerpt(out, sizeof(out), "ab\x01\xFF~ c", 7);
    assert_string_equal(out, "ab??~ c");
    toml_excerpt(out, sizeof(out), "12345678", 8);
    assert_string_equal(out, "12345678");
    toml_excerpt(out, sizeof(out), "123456789", 9);
    assert_string_equal(out, "12345...");
    toml_excerpt(out, sizeof(out), "", 0);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_read),
        cmocka_unit_test(malformed_statements_are_refused_in_place),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(every_kind_of_name_counts_for_the_limit),
        cmocka_unit_test(names_are_defined_once),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(malformed_strings_are_refused_in_place),
        cmocka_unit_test(only_utf8_is_text),
        cmocka_unit_test(plain_values_are_read),
        cmocka_unit_test(malformed_plain_values_are_refused_in_place),
        cmocka_unit_test(strings_survive_a_round_trip),
        cmocka_unit_test(integers_survive_a_round_trip),
        cmocka_unit_test(every_prefix_ends_well),
        cmocka_unit_test(damaged_texts_are_read_or_refused),
        cmocka_unit_test(an_error_stays_an_error),
        cmocka_unit_test(excerpts_are_printable_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
