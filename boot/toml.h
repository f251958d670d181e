/*
 * A reader of TOML 1.0 as a stream of statements: `toml_next` gives the next table header or key = value,
 * with positions, and refuses whatever TOML does: malformed text, duplicate keys and tables, keys inside
 * values. Refused besides, because nothing here needs them: inline tables, arrays in arrays, more than
 * TOML_MAX_NODES keys and tables. Pure, bounded in time and memory, no allocation, no recursion.
 */
#ifndef FREEHOLD_BOOT_TOML_H
#define FREEHOLD_BOOT_TOML_H

#include "boot/toml_scan.h"

#define TOML_MAX_KEYS  8   /* parts of a dotted key or of a header */
#define TOML_MAX_NODES 512 /* keys and tables in one text */

enum toml_event {
    TOML_EVENT_TABLE,       /* [keys] */
    TOML_EVENT_ARRAY_TABLE, /* [[keys]] */
    TOML_EVENT_VALUE,       /* keys = value, inside the table named last */
    TOML_EVENT_END,         /* the text is read; item->pos is its end */
    TOML_EVENT_ERROR,       /* the diag tells; every further call gives this again */
};

struct toml_item {
    struct source_pos pos; /* of the statement */
    uint32_t key_count;
    struct toml_key keys[TOML_MAX_KEYS]; /* as written here; the last is the key itself */
    struct toml_value value;             /* TOML_EVENT_VALUE */
};

/* A name that has been used: what duplicates are found by. */
struct toml_node {
    uint16_t parent; /* index of the table it is in */
    uint16_t last;   /* of an array of tables: the index of its last element */
    uint8_t kind;
    uint32_t line;      /* where it was first written */
    uint32_t key_start; /* offset into the text */
};

/* The reader. Belongs to toml.c, except that `scan` is what toml_string and toml_walk_open ask for. */
struct toml {
    struct toml_scan scan;
    bool failed;
    uint16_t current; /* index of the table that keys go to */
    uint16_t node_count;
    struct toml_node nodes[TOML_MAX_NODES]; /* the first is the root */
};

/* `text` must stay until the last use of the reader. Errors show in the first toml_next. */
void toml_open(struct toml *toml, const char *text, size_t length, struct diag *diag);

enum toml_event toml_next(struct toml *toml, struct toml_item *item);

#endif
