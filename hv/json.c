/*
 * The JSON writer. One pass, no recursion, constant memory; never emits a byte outside printable ASCII but
 * the final newline, so a line survives any serial cable and any terminal.
 */
#include "hv/json.h"

#include "hv/fmt.h"

#define REPLACEMENT_CHARACTER 0xFFFDu
#define SUPPLEMENTARY_FIRST   0x10000u
#define HIGH_SURROGATE_BASE   0xD800u
#define LOW_SURROGATE_BASE    0xDC00u

static void flush(struct json *json)
{
    if (json->used > 0)
        json->write(json->context, json->chunk, json->used);
    json->used = 0;
}

static void put(struct json *json, char c)
{
    if (json->used == sizeof(json->chunk))
        flush(json);
    json->chunk[json->used++] = c;
}

static void put_all(struct json *json, const char *text)
{
    for (; *text != '\0'; text++)
        put(json, *text);
}

static void put_unit(struct json *json, uint32_t utf16_unit)
{
    static const char digits[] = "0123456789abcdef";
    put_all(json, "\\u");
    for (int shift = 12; shift >= 0; shift -= 4)
        put(json, digits[(utf16_unit >> shift) & 0xF]);
}

static void put_code_point(struct json *json, uint32_t code)
{
    if (code >= SUPPLEMENTARY_FIRST) {
        put_unit(json, HIGH_SURROGATE_BASE + ((code - SUPPLEMENTARY_FIRST) >> 10));
        put_unit(json, LOW_SURROGATE_BASE + ((code - SUPPLEMENTARY_FIRST) & 0x3FF));
    } else if (code == '"' || code == '\\') {
        put(json, '\\');
        put(json, (char)code);
    } else if (code == '\n') {
        put_all(json, "\\n");
    } else if (code == '\t') {
        put_all(json, "\\t");
    } else if (code < ' ' || code >= 0x7F) {
        put_unit(json, code);
    } else {
        put(json, (char)code);
    }
}

/* What the first byte of a UTF-8 sequence promises. length 0: no sequence starts so. */
struct utf8_lead {
    uint32_t length;
    uint32_t bits;      /* of the code point, in the lead byte */
    uint8_t second_min; /* bounds of the second byte: excludes overlong forms, surrogates, above U+10FFFF */
    uint8_t second_max;
};

static struct utf8_lead utf8_lead(uint8_t byte)
{
    if (byte < 0x80)
        return (struct utf8_lead){1, byte, 0, 0};
    if (byte >= 0xC2 && byte <= 0xDF)
        return (struct utf8_lead){2, byte & 0x1Fu, 0x80, 0xBF};
    if (byte >= 0xE0 && byte <= 0xEF)
        return (struct utf8_lead){3, byte & 0x0Fu, byte == 0xE0 ? 0xA0 : 0x80, byte == 0xED ? 0x9F : 0xBF};
    if (byte >= 0xF0 && byte <= 0xF4)
        return (struct utf8_lead){4, byte & 0x07u, byte == 0xF0 ? 0x90 : 0x80, byte == 0xF4 ? 0x8F : 0xBF};
    return (struct utf8_lead){0, 0, 0, 0};
}

/* Takes one code point, or one ill-formed part, off bytes (length > 0); returns how many bytes that was. */
static size_t utf8_next(const char *bytes, size_t length, uint32_t *code)
{
    struct utf8_lead lead = utf8_lead((uint8_t)bytes[0]);
    *code = REPLACEMENT_CHARACTER;
    if (lead.length == 0)
        return 1;
    uint32_t value = lead.bits;
    for (uint32_t i = 1; i < lead.length; i++) {
        uint8_t min = i == 1 ? lead.second_min : 0x80;
        uint8_t max = i == 1 ? lead.second_max : 0xBF;
        if (i >= length || (uint8_t)bytes[i] < min || (uint8_t)bytes[i] > max)
            return i;
        value = value << 6 | ((uint8_t)bytes[i] & 0x3Fu);
    }
    *code = value;
    return lead.length;
}

static void put_string(struct json *json, const char *bytes, size_t length)
{
    put(json, '"');
    for (size_t at = 0; at < length;) {
        uint32_t code;
        at += utf8_next(bytes + at, length - at, &code);
        put_code_point(json, code);
    }
    put(json, '"');
}

/* Comma and key, as the place asks for; every value passes here. */
static void begin_value(struct json *json, const char *key)
{
    CHECK(!json->done);
    if (json->depth == 0) {
        CHECK(key == NULL);
        return;
    }
    bool object = json->open[json->depth - 1].object;
    CHECK(object == (key != NULL));
    if (json->open[json->depth - 1].filled)
        put(json, ',');
    json->open[json->depth - 1].filled = true;
    if (object) {
        put_string(json, key, fmt_length(key, SIZE_MAX));
        put(json, ':');
    }
}

static void end_value(struct json *json)
{
    json->done = json->depth == 0;
}

static void open_value(struct json *json, const char *key, bool object)
{
    begin_value(json, key);
    CHECK(json->depth < JSON_MAX_DEPTH);
    json->open[json->depth].object = object;
    json->open[json->depth].filled = false;
    json->depth++;
    put(json, object ? '{' : '[');
}

/* A value whose text needs no escape. */
static void plain_value(struct json *json, const char *key, const char *text)
{
    begin_value(json, key);
    put_all(json, text);
    end_value(json);
}

void json_start(struct json *json, json_write_fn write, void *context)
{
    json->write = write;
    json->context = context;
    json->depth = 0;
    json->done = false;
    json->used = 0;
}

void json_object(struct json *json, const char *key)
{
    open_value(json, key, true);
}

void json_array(struct json *json, const char *key)
{
    open_value(json, key, false);
}

void json_end(struct json *json)
{
    CHECK(json->depth > 0);
    json->depth--;
    put(json, json->open[json->depth].object ? '}' : ']');
    end_value(json);
}

void json_string(struct json *json, const char *key, const char *bytes, size_t length)
{
    begin_value(json, key);
    put_string(json, bytes, length);
    end_value(json);
}

void json_text(struct json *json, const char *key, const char *text, size_t limit)
{
    json_string(json, key, text, fmt_length(text, limit));
}

void json_literal(struct json *json, const char *key, const char *text)
{
    json_string(json, key, text, fmt_length(text, SIZE_MAX));
}

void json_u64(struct json *json, const char *key, uint64_t value)
{
    char text[24];
    fmt_snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    plain_value(json, key, text);
}

void json_i64(struct json *json, const char *key, int64_t value)
{
    char text[24];
    fmt_snprintf(text, sizeof(text), "%lld", (long long)value);
    plain_value(json, key, text);
}

void json_hex(struct json *json, const char *key, uint64_t value)
{
    char text[24];
    fmt_snprintf(text, sizeof(text), "\"0x%llx\"", (unsigned long long)value);
    plain_value(json, key, text);
}

void json_bool(struct json *json, const char *key, bool value)
{
    plain_value(json, key, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
    plain_value(json, key, "null");
}

void json_finish(struct json *json)
{
    CHECK(json->done);
    put(json, '\n');
    flush(json);
}

void json_buffer_write(void *context, const char *bytes, size_t length)
{
    struct json_buffer *buffer = context;
    for (size_t i = 0; i < length; i++)
        if (buffer->length + i < buffer->capacity)
            buffer->bytes[buffer->length + i] = bytes[i];
    buffer->length += length;
}
