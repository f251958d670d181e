/*
 * Line assembly. Whatever a guest writes, what comes out is printable ASCII behind the guest's name: no byte
 * of a guest's ever reaches the operator's terminal as a command.
 */
#include "hv/line.h"

#include "hv/fmt.h"

#define ESC 0x1B

static bool printable(uint8_t byte)
{
    return byte >= ' ' && byte <= '~';
}

void line_init(struct line_buffer *line, const char *name)
{
    *line = (struct line_buffer){.length = 0};
    fmt_copy(line->name, sizeof(line->name), name);
    for (size_t i = 0; line->name[i] != '\0'; i++)
        if (!printable((uint8_t)line->name[i]))
            line->name[i] = '?';
}

static void end_line(struct line_buffer *line, line_fn emit, void *context)
{
    char out[LINE_BYTES];
    line->text[line->length] = '\0';
    fmt_snprintf(out, sizeof(out), "[%s]%s%s%s", line->name, line->continued ? "+" : "",
                 line->length > 0 ? " " : "", line->text);
    emit(context, out);
    line->length = 0;
    line->continued = false;
}

/* Appends printable text that belongs together; breaks the line first when it does not fit. */
static void append(struct line_buffer *line, const char *text, size_t length, line_fn emit, void *context)
{
    if (line->length + length > LINE_TEXT_BYTES) {
        end_line(line, emit, context);
        line->continued = true;
    }
    __builtin_memcpy(line->text + line->length, text, length);
    line->length += (uint32_t)length;
}

static void append_tab(struct line_buffer *line, line_fn emit, void *context)
{
    static const char spaces[LINE_TAB_COLUMNS + 1] = "        ";
    append(line, spaces, LINE_TAB_COLUMNS - line->length % LINE_TAB_COLUMNS, emit, context);
}

static void append_escaped(struct line_buffer *line, uint8_t byte, line_fn emit, void *context)
{
    char text[8];
    size_t length = fmt_snprintf(text, sizeof(text), "\\x%02x", byte);
    append(line, text, length, emit, context);
}

/* CR ends a line, and LF behind it nothing more; a CR with no text before it only goes back to where it is.
 */
static void feed_return(struct line_buffer *line, line_fn emit, void *context)
{
    line->return_seen = line->length > 0;
    if (line->length > 0)
        end_line(line, emit, context);
}

/* A byte outside any control sequence. */
static void feed_plain(struct line_buffer *line, uint8_t byte, line_fn emit, void *context)
{
    bool ended = line->return_seen;
    line->return_seen = false;
    if (byte == '\r')
        feed_return(line, emit, context);
    else if (byte == '\n' && !ended)
        end_line(line, emit, context);
    else if (byte == '\t')
        append_tab(line, emit, context);
    else if (printable(byte))
        append(line, (const char *)&byte, 1, emit, context);
    else if (byte != '\n')
        append_escaped(line, byte, emit, context);
}

/* Inside ESC [ : parameter and intermediate bytes, then one final byte (ECMA-48). False: it is none. */
static bool sequence_goes_on(struct line_buffer *line, uint8_t byte)
{
    if (byte >= 0x40 && byte <= 0x7E) {
        line->escape = LINE_PLAIN;
        return true;
    }
    return byte >= 0x20 && byte <= 0x3F && ++line->escape_bytes <= LINE_ESCAPE_BYTES;
}

static void feed_byte(struct line_buffer *line, uint8_t byte, line_fn emit, void *context)
{
    if (line->escape == LINE_IN_SEQUENCE && sequence_goes_on(line, byte))
        return;
    if (line->escape == LINE_ESC_SEEN && byte == '[') {
        line->escape = LINE_IN_SEQUENCE;
        line->escape_bytes = 0;
        return;
    }
    if (line->escape == LINE_ESC_SEEN)
        append_escaped(line, ESC, emit, context);
    line->escape = byte == ESC ? LINE_ESC_SEEN : LINE_PLAIN;
    if (byte != ESC)
        feed_plain(line, byte, emit, context);
}

void line_add(struct line_buffer *line, const void *bytes, size_t length, line_fn emit, void *context)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < length; i++)
        feed_byte(line, at[i], emit, context);
}

void line_flush(struct line_buffer *line, line_fn emit, void *context)
{
    if (line->length > 0)
        end_line(line, emit, context);
}
