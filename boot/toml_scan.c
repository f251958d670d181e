/*
 * TOML's characters, strings, numbers and keys. One pass over the text, no recursion, no allocation. Must
 * never read beyond the text and never accept what TOML 1.0 does not.
 */
#include "boot/toml_scan.h"

#include "boot/toml_word.h"
#include "hv/fmt.h"

#define EXCERPT_BYTES 32

/* -------------------------------------------------------------------------------------------- failures */

bool toml_fail(struct toml_scan *scan, struct source_pos pos, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    scan->diag->pos = pos;
    fmt_vsnprintf(scan->diag->message, sizeof(scan->diag->message), format, args);
    va_end(args);
    return false;
}

void toml_excerpt(char *out, size_t out_bytes, const char *text, size_t bytes)
{
    bool cut = bytes >= out_bytes;
    size_t kept = cut ? out_bytes - sizeof("...") : bytes;
    for (size_t i = 0; i < kept; i++)
        out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    for (size_t i = 0; cut && i < 3; i++)
        out[kept++] = '.';
    out[kept] = '\0';
}

struct source_pos toml_pos(const struct toml_scan *scan)
{
    return (struct source_pos){.line = scan->line, .column = scan->at - scan->line_start + 1};
}

int toml_peek(const struct toml_scan *scan)
{
    return scan->at < scan->length ? (uint8_t)scan->text[scan->at] : TOML_END_OF_TEXT;
}

/* The byte `ahead` of the next one. */
static int peek_ahead(const struct toml_scan *scan, uint32_t ahead)
{
    return scan->length - scan->at > ahead ? (uint8_t)scan->text[scan->at + ahead] : TOML_END_OF_TEXT;
}

static bool at_line_end(const struct toml_scan *scan)
{
    return toml_peek(scan) == '\n' || (toml_peek(scan) == '\r' && peek_ahead(scan, 1) == '\n');
}

bool toml_fail_found(struct toml_scan *scan, const char *expected)
{
    int byte = toml_peek(scan);
    if (byte == TOML_END_OF_TEXT)
        return toml_fail(scan, toml_pos(scan), "%s, but the file ends here", expected);
    if (at_line_end(scan))
        return toml_fail(scan, toml_pos(scan), "%s, but the line ends here", expected);
    if (byte < ' ' || byte > '~')
        return toml_fail(scan, toml_pos(scan), "%s, but found the byte 0x%02x", expected, (unsigned)byte);
    return toml_fail(scan, toml_pos(scan), "%s, but found '%c'", expected, byte);
}

const char *toml_type_name(enum toml_type type)
{
    static const char *const names[] = {
        [TOML_STRING] = "a string",  [TOML_INTEGER] = "an integer",       [TOML_BOOLEAN] = "a boolean",
        [TOML_FLOAT] = "a fraction", [TOML_DATE_TIME] = "a date or time", [TOML_ARRAY] = "a list",
    };
    return names[type];
}

/* ---------------------------------------------------------------------------------- characters and lines */

/* The bytes of the UTF-8 sequence at `p`, of which `left` may be read; 0 when it is malformed, overlong, a
 * surrogate or beyond U+10FFFF. Source: RFC 3629, "Syntax of UTF-8 Byte Sequences". */
static uint32_t utf8_bytes(const uint8_t *p, uint32_t left)
{
    uint8_t low = 0x80, high = 0xBF; /* the range of the second byte */
    uint32_t bytes;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        bytes = 2;
    else if (p[0] >= 0xE0 && p[0] <= 0xEF)
        bytes = 3;
    else if (p[0] >= 0xF0 && p[0] <= 0xF4)
        bytes = 4;
    else
        return 0;
    if (p[0] == 0xE0)
        low = 0xA0;
    if (p[0] == 0xED)
        high = 0x9F;
    if (p[0] == 0xF0)
        low = 0x90;
    if (p[0] == 0xF4)
        high = 0x8F;
    if (left < bytes || p[1] < low || p[1] > high)
        return 0;
    for (uint32_t i = 2; i < bytes; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return bytes;
}

bool toml_scan_open(struct toml_scan *scan, const char *text, size_t length, struct diag *diag)
{
    *scan = (struct toml_scan){.text = text, .line = 1, .diag = diag};
    struct source_pos start = {.line = 1, .column = 1};
    if (length > TOML_MAX_BYTES)
        return toml_fail(scan, start, "the file is longer than %u KiB: is it a configuration at all?",
                         (unsigned)(TOML_MAX_BYTES / KIB));
    scan->length = (uint32_t)length;
    if (toml_peek(scan) == 0xFF || toml_peek(scan) == 0xFE)
        return toml_fail(scan, start, "the file is UTF-16: save it as UTF-8 text");
    if (toml_peek(scan) == 0xEF && peek_ahead(scan, 1) == 0xBB && peek_ahead(scan, 2) == 0xBF)
        scan->at = scan->line_start = 3;
    return true;
}

bool toml_take(struct toml_scan *scan, char byte)
{
    if (toml_peek(scan) != (uint8_t)byte)
        return false;
    scan->at++;
    return true;
}

void toml_skip_blanks(struct toml_scan *scan)
{
    while (toml_peek(scan) == ' ' || toml_peek(scan) == '\t')
        scan->at++;
}

/* Only at_line_end. */
static void take_line_end(struct toml_scan *scan)
{
    scan->at += toml_peek(scan) == '\r' ? 2 : 1;
    scan->line++;
    scan->line_start = scan->at;
}

/* Steps over one character other than a line end, as strings and comments may hold it. */
static bool take_character(struct toml_scan *scan)
{
    int byte = toml_peek(scan);
    if (byte == '\r')
        return toml_fail(scan, toml_pos(scan),
                         "a carriage return without a line feed: end lines with LF or CRLF");
    if ((byte < ' ' && byte != '\t') || byte == 0x7F)
        return toml_fail(
            scan, toml_pos(scan),
            "the control character 0x%02x cannot stand here: remove it, or in a \"string\" write "
            "\\u%04X",
            (unsigned)byte, (unsigned)byte);
    uint32_t bytes = utf8_bytes((const uint8_t *)scan->text + scan->at, scan->length - scan->at);
    if (bytes == 0)
        return toml_fail(scan, toml_pos(scan), "the byte 0x%02x is not UTF-8: save the file as UTF-8 text",
                         (unsigned)byte);
    scan->at += bytes;
    return true;
}

static bool skip_comment(struct toml_scan *scan)
{
    if (toml_peek(scan) != '#')
        return true;
    while (toml_peek(scan) != TOML_END_OF_TEXT && !at_line_end(scan))
        if (!take_character(scan))
            return false;
    return true;
}

bool toml_skip_lines(struct toml_scan *scan)
{
    for (;;) {
        toml_skip_blanks(scan);
        if (!skip_comment(scan))
            return false;
        if (!at_line_end(scan))
            return true;
        take_line_end(scan);
    }
}

bool toml_finish_line(struct toml_scan *scan)
{
    toml_skip_blanks(scan);
    if (!skip_comment(scan))
        return false;
    if (toml_peek(scan) == TOML_END_OF_TEXT)
        return true;
    if (!at_line_end(scan))
        return toml_fail_found(scan, "expected the end of the line or a # comment");
    take_line_end(scan);
    return true;
}

/* ----------------------------------------------------------------------------------------------- strings */

/* Where a decoded string goes; counts on when it is full. */
struct sink {
    char *out;
    size_t room; /* bytes of out, the terminator included */
    size_t length;
};

static void put(struct sink *sink, char byte)
{
    if (sink->length + 1 < sink->room)
        sink->out[sink->length] = byte;
    sink->length++;
}

static void put_code_point(struct sink *sink, uint32_t code)
{
    if (code < 0x80) {
        put(sink, (char)code);
        return;
    }
    unsigned continuations = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    put(sink, (char)(lead[continuations] | code >> (6 * continuations)));
    while (continuations-- > 0)
        put(sink, (char)(0x80 | (code >> (6 * continuations) & 0x3F)));
}

/* \uXXXX and \UXXXXXXXX, behind the letter. `pos`: of the backslash. */
static bool scan_unicode_escape(struct toml_scan *scan, struct source_pos pos, unsigned digits,
                                struct sink *sink)
{
    uint32_t code = 0;
    for (unsigned i = 0; i < digits; i++) {
        int digit = toml_digit_value(toml_peek(scan));
        if (digit > 15)
            return toml_fail(scan, pos, "this escape needs %u hexadecimal digits, like \\u0041", digits);
        code = code << 4 | (uint32_t)digit;
        scan->at++;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return toml_fail(scan, pos,
                         "U+%X is no character: Unicode ends at U+10FFFF and leaves out "
                         "U+D800 to U+DFFF",
                         code);
    put_code_point(sink, code);
    return true;
}

/* A backslash at the end of a line of a multi-line string: it and all white space behind it vanish. False:
 * this is none, and nothing was read. */
static bool take_line_continuation(struct toml_scan *scan)
{
    struct toml_scan ahead = *scan;
    toml_skip_blanks(&ahead);
    if (!at_line_end(&ahead))
        return false;
    while (at_line_end(&ahead)) {
        take_line_end(&ahead);
        toml_skip_blanks(&ahead);
    }
    *scan = ahead;
    return true;
}

static bool scan_escape(struct toml_scan *scan, bool multi_line, struct sink *sink)
{
    static const struct {
        char letter;
        char meaning;
    } escapes[] = {{'b', '\b'}, {'t', '\t'}, {'n', '\n'}, {'f', '\f'}, {'r', '\r'}, {'"', '"'}, {'\\', '\\'}};

    struct source_pos pos = toml_pos(scan);
    scan->at++;
    if (multi_line && take_line_continuation(scan))
        return true;
    int letter = toml_peek(scan);
    if (letter == 'u' || letter == 'U') {
        scan->at++;
        return scan_unicode_escape(scan, pos, letter == 'u' ? 4 : 8, sink);
    }
    for (size_t i = 0; i < ARRAY_SIZE(escapes); i++) {
        if (letter != escapes[i].letter)
            continue;
        put(sink, escapes[i].meaning);
        scan->at++;
        return true;
    }
    return toml_fail(scan, pos,
                     "no such escape: for a backslash write \\\\, or use 'single quotes', which take "
                     "text as it is");
}

static bool fail_unclosed(struct toml_scan *scan, struct source_pos open, const char *quotes)
{
    return toml_fail(scan, open, "this string is never closed: end it with %s", quotes);
}

/* The quotes ahead, at most `limit`. */
static uint32_t count_quotes(const struct toml_scan *scan, int quote, uint32_t limit)
{
    uint32_t count = 0;
    while (count < limit && peek_ahead(scan, count) == quote)
        count++;
    return count;
}

static bool scan_string_line(struct toml_scan *scan, struct sink *sink)
{
    struct source_pos open = toml_pos(scan);
    int quote = toml_peek(scan);
    scan->at++;
    while (toml_peek(scan) != quote) {
        if (toml_peek(scan) == TOML_END_OF_TEXT || at_line_end(scan))
            return fail_unclosed(scan, open, quote == '"' ? "\" on the same line" : "' on the same line");
        uint32_t start = scan->at;
        if (quote == '"' && toml_peek(scan) == '\\') {
            if (!scan_escape(scan, false, sink))
                return false;
            continue;
        }
        if (!take_character(scan))
            return false;
        for (uint32_t i = start; i < scan->at; i++)
            put(sink, scan->text[i]);
    }
    scan->at++;
    return true;
}

/* One step inside a multi-line string: a line end, an escape or a character. */
static bool scan_multi_line_step(struct toml_scan *scan, int quote, struct sink *sink)
{
    if (at_line_end(scan)) {
        take_line_end(scan);
        put(sink, '\n');
        return true;
    }
    if (quote == '"' && toml_peek(scan) == '\\')
        return scan_escape(scan, true, sink);
    uint32_t start = scan->at;
    if (!take_character(scan))
        return false;
    for (uint32_t i = start; i < scan->at; i++)
        put(sink, scan->text[i]);
    return true;
}

static bool scan_multi_line(struct toml_scan *scan, struct sink *sink)
{
    struct source_pos open = toml_pos(scan);
    int quote = toml_peek(scan);
    scan->at += 3;
    if (at_line_end(scan))
        take_line_end(scan);
    for (;;) {
        if (toml_peek(scan) == TOML_END_OF_TEXT)
            return fail_unclosed(scan, open, quote == '"' ? "\"\"\"" : "'''");
        /* Up to two quotes may stand before the three that close. */
        uint32_t quotes = count_quotes(scan, quote, 5);
        uint32_t text_quotes = quotes >= 3 ? quotes - 3 : quotes;
        for (uint32_t i = 0; i < text_quotes; i++)
            put(sink, (char)quote);
        scan->at += quotes;
        if (quotes >= 3)
            return true;
        if (quotes == 0 && !scan_multi_line_step(scan, quote, sink))
            return false;
    }
}

/* At a quote. */
static bool scan_string(struct toml_scan *scan, struct sink *sink)
{
    if (count_quotes(scan, toml_peek(scan), 3) == 3)
        return scan_multi_line(scan, sink);
    return scan_string_line(scan, sink);
}

/* A scan of its own at the start of a value read before. */
static struct toml_scan scan_again(const struct toml_scan *scan, const struct toml_value *value,
                                   struct diag *diag)
{
    struct toml_scan again = *scan;
    again.at = value->start;
    again.line = value->pos.line;
    again.line_start = value->start + 1 - value->pos.column;
    again.diag = diag;
    return again;
}

size_t toml_string(const struct toml_scan *scan, const struct toml_value *value, char *out, size_t out_bytes)
{
    struct diag unused;
    struct toml_scan again = scan_again(scan, value, &unused);
    struct sink sink = {.out = out, .room = out_bytes};
    bool sound = value->type == TOML_STRING && scan_string(&again, &sink);
    CHECK(sound); /* it was when it was first read */
    if (out_bytes > 0)
        out[sink.length < out_bytes ? sink.length : out_bytes - 1] = '\0';
    return sink.length;
}

/* -------------------------------------------------------------------------------------------------- keys */

static bool is_bare_key_byte(int byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '-';
}

static bool scan_bare_key(struct toml_scan *scan, struct sink *sink)
{
    if (!is_bare_key_byte(toml_peek(scan)))
        return toml_fail_found(scan, "expected a key (letters, digits, _ and -, or a \"quoted key\")");
    for (; is_bare_key_byte(toml_peek(scan)); scan->at++)
        put(sink, scan->text[scan->at]);
    return true;
}

bool toml_scan_key(struct toml_scan *scan, struct toml_key *key)
{
    struct sink sink = {.out = key->name, .room = sizeof(key->name)};
    key->pos = toml_pos(scan);
    key->start = scan->at;
    int first = toml_peek(scan);
    if (first != '"' && first != '\'') {
        if (!scan_bare_key(scan, &sink))
            return false;
    } else {
        if (count_quotes(scan, first, 3) == 3)
            return toml_fail(scan, key->pos, "a key is quoted with one \" or ', not three");
        if (!scan_string_line(scan, &sink))
            return false;
    }
    if (sink.length >= sizeof(key->name))
        return toml_fail(scan, key->pos, "this key is longer than %u bytes: no setting has such a name",
                         TOML_KEY_BYTES - 1u);
    key->name[sink.length] = '\0';
    if (fmt_length(key->name, sizeof(key->name)) != sink.length)
        return toml_fail(scan, key->pos, "this key holds a NUL (\\u0000): no setting has such a name");
    return true;
}

/* ----------------------------------------------------------------------------------- values without quotes
 */

static bool ends_word(int byte)
{
    return byte == TOML_END_OF_TEXT || byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' ||
           byte == ',' || byte == ']' || byte == '}' || byte == '#';
}

static struct toml_word scan_word(struct toml_scan *scan)
{
    uint32_t start = scan->at;
    while (!ends_word(toml_peek(scan)))
        scan->at++;
    struct toml_word word = {scan->text + start, scan->at - start};
    /* A date and a time may be separated by one space. */
    struct toml_word behind = {scan->text + scan->at, scan->length - scan->at};
    if (word.length == sizeof(TOML_DATE_PATTERN) - 1 && toml_word_like(word, TOML_DATE_PATTERN) &&
        toml_word_like(behind, " 99:")) {
        scan->at++;
        while (!ends_word(toml_peek(scan)))
            scan->at++;
        word.length = scan->at - start;
    }
    return word;
}

static bool fail_word(struct toml_scan *scan, struct source_pos pos, struct toml_word word)
{
    char shown[EXCERPT_BYTES];
    toml_excerpt(shown, sizeof(shown), word.text, word.length);
    static const char *const misspelt[] = {"True", "False", "TRUE", "FALSE", "yes", "no", "on", "off"};
    for (size_t i = 0; i < ARRAY_SIZE(misspelt); i++)
        if (toml_word_is(word, misspelt[i]))
            return toml_fail(scan, pos,
                             "%s is no value: booleans are true and false, text goes in quotes: \"%s\"",
                             shown, shown);
    if (toml_word_has_leading_zero(word))
        return toml_fail(scan, pos, "%s starts with 0: leave the leading zeros out (octal is 0o17)", shown);
    if (toml_word_numeric(word))
        return toml_fail(scan, pos, "%s is no number; text goes in quotes: \"%s\"", shown, shown);
    if ((uint8_t)word.text[0] == 0xE2 && word.length > 1 && (uint8_t)word.text[1] == 0x80)
        return toml_fail(scan, pos, "typographic quotes: use the plain \" or '");
    return toml_fail(scan, pos, "%s is no value; text goes in quotes: \"%s\"", shown, shown);
}

static bool scan_plain_value(struct toml_scan *scan, struct toml_value *value)
{
    struct toml_word word = scan_word(scan);
    if (word.length == 0)
        return toml_fail_found(scan, "expected a value (\"text\", a number, true, false or a [list])");
    bool fits = true;
    if (toml_word_is(word, "true") || toml_word_is(word, "false")) {
        value->type = TOML_BOOLEAN;
        value->boolean = word.length == 4;
    } else if (toml_word_integer(word, &value->integer, &fits)) {
        value->type = TOML_INTEGER;
    } else if (toml_word_float(word)) {
        value->type = TOML_FLOAT;
    } else if (toml_word_date_time(word)) {
        value->type = TOML_DATE_TIME;
    } else {
        return fail_word(scan, value->pos, word);
    }
    if (!fits)
        return toml_fail(scan, value->pos,
                         "this number does not fit 64 bits: it may be at most %lld and at "
                         "least -%llu",
                         (long long)INT64_MAX, (unsigned long long)INT64_MAX + 1);
    return true;
}

/* ------------------------------------------------------------------------------------------------ values */

/* Anything but an array. */
static bool scan_simple_value(struct toml_scan *scan, struct toml_value *value)
{
    *value = (struct toml_value){.pos = toml_pos(scan), .start = scan->at};
    struct sink nowhere = {.out = NULL};
    bool sound;
    if (toml_peek(scan) == '"' || toml_peek(scan) == '\'') {
        value->type = TOML_STRING;
        sound = scan_string(scan, &nowhere);
    } else if (toml_peek(scan) == '{') {
        return toml_fail(scan, value->pos,
                         "inline tables { } are not used in this file: write a [table], a "
                         "[[partition]], or one key = value per line");
    } else {
        sound = scan_plain_value(scan, value);
    }
    value->end = scan->at;
    return sound;
}

/* In an array, before an element or the closing bracket. *more: an element was read. */
static bool scan_element(struct toml_scan *scan, struct toml_value *element, bool *more)
{
    *more = false;
    if (!toml_skip_lines(scan))
        return false;
    if (toml_take(scan, ']'))
        return true;
    if (toml_peek(scan) == '[')
        return toml_fail(scan, toml_pos(scan),
                         "a list inside a list is not used in this file: remove the inner [");
    if (!scan_simple_value(scan, element))
        return false;
    if (!toml_skip_lines(scan))
        return false;
    if (!toml_take(scan, ',') && toml_peek(scan) != ']')
        return toml_fail_found(scan, "expected , or ] in the list");
    *more = true;
    return true;
}

bool toml_scan_value(struct toml_scan *scan, struct toml_value *value)
{
    if (toml_peek(scan) != '[')
        return scan_simple_value(scan, value);
    *value = (struct toml_value){.type = TOML_ARRAY, .pos = toml_pos(scan), .start = scan->at};
    scan->at++;
    for (bool more = true; more;) {
        struct toml_value element;
        if (!scan_element(scan, &element, &more))
            return false;
    }
    value->end = scan->at;
    return true;
}

void toml_walk_open(struct toml_walk *walk, const struct toml_scan *scan, const struct toml_value *array)
{
    CHECK(array->type == TOML_ARRAY);
    walk->scan = scan_again(scan, array, &walk->unused);
    walk->scan.at++;
}

bool toml_walk_next(struct toml_walk *walk, struct toml_value *element)
{
    bool more;
    bool sound = scan_element(&walk->scan, element, &more);
    CHECK(sound); /* it was when it was first read */
    return more;
}
