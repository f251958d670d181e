/*
 * The operator's command line: bytes from COM1 become a line, a line becomes a command. Pure; carries nothing
 * out.
 */
#ifndef FREEHOLD_HV_COMMAND_H
#define FREEHOLD_HV_COMMAND_H

#include "hv/config.h"

#define COMMAND_LINE_BYTES 80 /* with the terminating NUL */

enum command_kind {
    COMMAND_NONE, /* an empty line */
    COMMAND_HELP,
    COMMAND_STATUS,
    COMMAND_AUDIT,
    COMMAND_REPORT,
    COMMAND_EVENTS,
    COMMAND_STOP, /* argument: a partition */
    COMMAND_SHUTDOWN,
};

struct command {
    enum command_kind kind;
    char argument[CONFIG_NAME_BYTES]; /* whether there is such a partition is the caller's to say */
    char error[120]; /* what is wrong and what would be right, when command_parse says false */
};

/* Parses text, which ends in NUL and may hold any bytes. False with command->error filled. */
MUST_USE bool command_parse(const char *text, struct command *command);

/* Calls line for every command with what it does. */
void command_help(void (*line)(void *context, const char *text), void *context);

/* A line being typed; starts as all zero. */
struct command_line {
    char text[COMMAND_LINE_BYTES];
    uint32_t length;
    bool finished; /* text was handed out: the next byte starts a new line */
    bool return_seen;
    char echo[4]; /* what the terminal is to show for the last byte; NUL-terminated, often empty */
};

/*
 * Takes one byte from the terminal: printable ASCII, backspace, Ctrl-U or Ctrl-C to start anew; CR, LF or CR
 * LF end the line, then its text is returned, valid until the next call. Otherwise NULL. A full line takes no
 * more.
 */
const char *command_line_add(struct command_line *line, char byte);

#endif
