/*
 * Guests' output made fit for the operator's console: cut into lines, each with the partition's name before
 * it, and nothing in it that a terminal would obey. Pure. One assembler for each partition, fed by the
 * control loop alone.
 */
#ifndef FREEHOLD_HV_LINE_H
#define FREEHOLD_HV_LINE_H

#include "alloc/base.h"

#define LINE_TEXT_BYTES   160 /* of one line, the name not counted; a longer one is broken */
#define LINE_NAME_BYTES   32  /* with the terminating NUL */
#define LINE_BYTES        (LINE_NAME_BYTES + 4 + LINE_TEXT_BYTES + 1) /* "[name]+ text" and NUL: an upper bound */
#define LINE_TAB_COLUMNS  8
#define LINE_ESCAPE_BYTES 32 /* a longer control sequence is none */

/* Takes one whole line, NUL-terminated, printable ASCII only, without a newline. */
typedef void (*line_fn)(void *context, const char *text);

enum line_escape { LINE_PLAIN, LINE_ESC_SEEN, LINE_IN_SEQUENCE };

struct line_buffer {
    char name[LINE_NAME_BYTES];
    char text[LINE_TEXT_BYTES + 1];
    uint32_t length;
    bool continued; /* the line began before text: it was broken */
    bool return_seen;
    enum line_escape escape;
    uint32_t escape_bytes; /* taken since ESC [ */
};

/* `name` is shown before every line; it is cut and made printable where needed. */
void line_init(struct line_buffer *line, const char *name);

/*
 * Takes any bytes. LF, CR LF and CR end a line; a tab fills with spaces; ANSI control sequences (ESC [ ...
 * letter: colours, cursor) are left out; any other byte that is not printable ASCII is shown as \xHH. A line
 * without text is shown as
 * "[name]"; one longer than LINE_TEXT_BYTES goes on as "[name]+ ...".
 */
void line_add(struct line_buffer *line, const void *bytes, size_t length, line_fn emit, void *context);

/* Shows what has come of a line that has not ended; nothing when there is none. */
void line_flush(struct line_buffer *line, line_fn emit, void *context);

#endif
