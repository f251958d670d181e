/*
 * The lowest layer of the TOML reader: characters, comments, keys and values of TOML 1.0 ("TOML: English
 * v1.0.0", toml.io). Knows nothing of tables or of Freehold's settings. Pure: no allocation, no recursion, no
 * firmware; every byte of the text is hostile.
 */
#ifndef FREEHOLD_BOOT_TOML_SCAN_H
#define FREEHOLD_BOOT_TOML_SCAN_H

#include "hv/config.h"

#define TOML_MAX_BYTES (256 * KIB) /* a longer text is refused */
#define TOML_KEY_BYTES 64          /* of one part of a key, with the terminating NUL */

#define TOML_END_OF_TEXT (-1)

/* A place in the text. Only toml_scan_open and the functions below move it. */
struct toml_scan {
    const char *text;
    uint32_t length;     /* bytes */
    uint32_t at;         /* the next byte to read */
    uint32_t line;       /* of `at`, from 1 */
    uint32_t line_start; /* the offset of the line's first byte; of line 1: behind a byte order mark */
    struct diag *diag;   /* filled by the first failure */
};

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN, TOML_FLOAT, TOML_DATE_TIME, TOML_ARRAY };

struct toml_key {
    struct source_pos pos;
    uint32_t start;            /* offset into the text, of the quote if there is one */
    char name[TOML_KEY_BYTES]; /* decoded; holds no NUL but the last */
};

/* A value that was read and found sound. */
struct toml_value {
    enum toml_type type;
    struct source_pos pos;
    uint32_t start; /* inclusive, offset into the text: the opening quote or bracket, the first digit */
    uint32_t end;   /* exclusive */
    int64_t integer;
    bool boolean;
};

/* Puts the scan at the start of a text. False when the text is too long or is no UTF-8 text at first sight.
 */
MUST_USE bool toml_scan_open(struct toml_scan *scan, const char *text, size_t length, struct diag *diag);

/* Fills the diag. Always false, to be returned. */
bool toml_fail(struct toml_scan *scan, struct source_pos pos, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fills the diag: `expected`, and what is found here instead. Always false. */
bool toml_fail_found(struct toml_scan *scan, const char *expected);

struct source_pos toml_pos(const struct toml_scan *scan);

/* The next byte, or TOML_END_OF_TEXT. */
int toml_peek(const struct toml_scan *scan);

/* Steps over `byte` when it is next. It must not be a line feed. */
bool toml_take(struct toml_scan *scan, char byte);

/* Steps over spaces and tabs. */
void toml_skip_blanks(struct toml_scan *scan);

/* Steps over spaces, tabs, comments and line ends. False: a comment holds what no text may hold. */
MUST_USE bool toml_skip_lines(struct toml_scan *scan);

/* Steps over what may follow a statement, its line end included. False: something else is there. */
MUST_USE bool toml_finish_line(struct toml_scan *scan);

/* Reads one part of a key, bare or quoted. */
MUST_USE bool toml_scan_key(struct toml_scan *scan, struct toml_key *key);

/* Reads a value. An array is read whole; arrays in arrays and inline tables are refused. */
MUST_USE bool toml_scan_value(struct toml_scan *scan, struct toml_value *value);

/*
 * Decodes a TOML_STRING into out, always terminated when out_bytes > 0; returns the length of the whole
 * string in bytes. The string may hold NULs ("\u0000").
 */
size_t toml_string(const struct toml_scan *scan, const struct toml_value *value, char *out, size_t out_bytes);

/* The elements of a TOML_ARRAY, one by one. */
struct toml_walk {
    struct toml_scan scan;
    struct diag unused; /* the array was found sound when it was read */
};
void toml_walk_open(struct toml_walk *walk, const struct toml_scan *scan, const struct toml_value *array);
/* False when there are no more. */
bool toml_walk_next(struct toml_walk *walk, struct toml_value *element);

/* Copies `bytes` of text for a message: printable ASCII only, cut with "..." when longer than out. */
void toml_excerpt(char *out, size_t out_bytes, const char *text, size_t bytes);

/* "a string", "an integer", ... */
const char *toml_type_name(enum toml_type type);

#endif
