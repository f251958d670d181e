/*
 * A JSON writer without a buffer of its own size: text goes to the caller's callback in small pieces, as pure
 * ASCII. Pure. Source: RFC 8259, "The JavaScript Object Notation (JSON) Data Interchange Format".
 */
#ifndef FREEHOLD_HV_JSON_H
#define FREEHOLD_HV_JSON_H

#include "alloc/base.h"

#define JSON_MAX_DEPTH   12
#define JSON_CHUNK_BYTES 128

/* Takes the next `length` bytes of the text; 1 to JSON_CHUNK_BYTES, not NUL-terminated. */
typedef void (*json_write_fn)(void *context, const char *bytes, size_t length);

/* One text being written. The fields are the writer's own. */
struct json {
    json_write_fn write;
    void *context;
    uint32_t depth; /* objects and arrays open */
    bool done;      /* the outermost value is complete */
    struct {
        bool object; /* else an array */
        bool filled; /* has a member: the next one needs a comma */
    } open[JSON_MAX_DEPTH];
    size_t used; /* bytes of chunk */
    char chunk[JSON_CHUNK_BYTES];
};

/*
 * Starts a text. Every value below takes a key: its name inside an object, NULL inside an array and for the
 * outermost value. A key where none belongs, a missing key, an end without a begin, nesting beyond
 * JSON_MAX_DEPTH or a second outermost value is our bug: CHECK.
 */
void json_start(struct json *json, json_write_fn write, void *context);

void json_object(struct json *json, const char *key); /* opens; json_end closes */
void json_array(struct json *json, const char *key);  /* opens; json_end closes */
void json_end(struct json *json);

/*
 * Any bytes: what is not well-formed UTF-8 becomes U+FFFD (one for each maximal part of a sequence, as the
 * Unicode standard recommends); control characters and everything beyond ASCII are written as \uXXXX.
 */
void json_string(struct json *json, const char *key, const char *bytes, size_t length);
/* The same for text in an array of `limit` bytes that ends at a NUL or, when there is none, at the limit. */
void json_text(struct json *json, const char *key, const char *text, size_t limit);
/* The same for a text known to end in NUL. */
void json_literal(struct json *json, const char *key, const char *text);
void json_u64(struct json *json, const char *key, uint64_t value); /* decimal, exact */
void json_i64(struct json *json, const char *key, int64_t value);
void json_hex(struct json *json, const char *key, uint64_t value); /* the string "0x1f" */
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* Ends the text with a newline and hands over the last piece. Everything must be closed. */
void json_finish(struct json *json);

/* A write callback that fills memory; never beyond capacity. */
struct json_buffer {
    char *bytes;
    size_t capacity;
    size_t length; /* bytes the whole text has so far, also those that did not fit */
};

/* For json_start: context is a struct json_buffer. Cuts at capacity. */
void json_buffer_write(void *context, const char *bytes, size_t length);

/* True when some of the text did not fit. */
static inline bool json_buffer_overflowed(const struct json_buffer *buffer)
{
    return buffer->length > buffer->capacity;
}

#endif
