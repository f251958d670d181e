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
    COMMAND_STOP, /* name */
    COMMAND_SHUTDOWN,
    COMMAND_KIND_COUNT
};

struct command {
    enum command_kind kind;
    char name[CONFIG_NAME_BYTES]; /* of a partition; whether there is such a one is the caller's to say */
    char error[120];              /* what is wrong and what would be right, when command_parse says false */
};

/* Parses `length` bytes, any bytes. False with command->error filled. */
MUST_USE bool command_parse(const char *text, size_t length, struct command *command);

/* One line of help for each command, in order; false behind the last. */
bool command_help(uint32_t index, const char **usage, const char **meaning);

/* A line being typed. */
struct command_input {
    char text[COMMAND_LINE_BYTES];
    uint32_t length;
    bool return_seen;
};

enum command_key {
    COMMAND_KEY_IGNORED,  /* nothing to show */
    COMMAND_KEY_TYPED,    /* show the byte */
    COMMAND_KEY_ERASED,   /* wipe the last character */
    COMMAND_KEY_DROPPED,  /* Ctrl-C or Ctrl-U: the line is forgotten */
    COMMAND_KEY_FINISHED, /* input->text is a whole line, NUL-terminated, of input->length bytes; then
                             command_input_clear */
};

/* Takes one byte from the terminal. Printable ASCII counts; a full line takes no more. */
MUST_USE enum command_key command_input_key(struct command_input *input, uint8_t byte);

void command_input_clear(struct command_input *input);

#endif
