/* What console and COM2 were told, what an operator types, and where the machine goes when it is switched
 * off. */
#ifndef FREEHOLD_HOST_FAKE_CONSOLE_H
#define FREEHOLD_HOST_FAKE_CONSOLE_H

#include <setjmp.h>

#include "alloc/base.h"

#define FAKE_TEXT_BYTES (256 * 1024)

struct fake_console {
    char said[FAKE_TEXT_BYTES];
    uint32_t said_bytes;
    char events[FAKE_TEXT_BYTES];
    uint32_t event_bytes;
    const char *typed; /* taken one character at a time */
    bool full;         /* no room for what guests say */
    uint32_t polls;
    jmp_buf off; /* poweroff leaves through it */
};
extern struct fake_console fake_console;

#endif
