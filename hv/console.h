/*
 * COM1 and the screen for people, COM2 for programs. Lines are queued and leave as fast as the UART takes
 * them. Only the boot core writes; panic excepted.
 */
#ifndef FREEHOLD_HV_CONSOLE_H
#define FREEHOLD_HV_CONSOLE_H

#include "hv/events.h"
#include "hv/handoff.h"

/* Opens what the hand-over names. */
void console_init(const struct handoff *handoff);

/* One line; the line end is added. */
void console_line(const char *text);
void console_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text without a line end: the echo of what the operator types. */
void console_printf_raw(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether what a guest says may be queued now, on either UART. The hypervisor's own words never wait for
 * this. */
bool console_has_room(void);

/* The same, in the form the printers of lines call. The context is not used. */
void console_line_to(void *context, const char *text);

/* COM2, for hv/events.h; memory where there is none. */
struct event_sink console_event_sink(void);

/* The events that memory holds for want of a COM2. */
void console_show_events(void);

/* The stream of events: a panic ends its open line and goes on with its numbers. */
void console_use_stream(const struct event_stream *stream);

/* Moves queued bytes to the UARTs as far as they take them now; true while something is left. */
bool console_poll(void);

/* Waits until all has left. A UART that takes nothing for long is given up. */
void console_flush(void);

/* A character from COM1, or -1. */
int console_input(void);

/* The hypervisor's last words: past the queues, from any core. */
void console_panic(const char *message);

#endif
