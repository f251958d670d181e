/* Console, COM2 and the power switch in host tests: everything said goes into two buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/fakes/fake_console.h"
#include "hv/console.h"
#include "hv/poweroff.h"

struct fake_console fake_console;

static void add(char *to, uint32_t *length, const char *text, size_t bytes)
{
    assert_true(*length + bytes < FAKE_TEXT_BYTES);
    memcpy(to + *length, text, bytes);
    *length += (uint32_t)bytes;
    to[*length] = '\0';
}

static void say(const char *text)
{
    add(fake_console.said, &fake_console.said_bytes, text, strlen(text));
}

void console_line(const char *text)
{
    say(text);
    say("\n");
}

void console_line_to(void *context, const char *text)
{
    (void)context;
    console_line(text);
}

void console_printf(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    console_line(text);
}

void console_printf_raw(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    say(text);
}

bool console_has_room(void)
{
    return !fake_console.full;
}

static void put_event(void *context, const char *bytes, size_t count)
{
    (void)context;
    add(fake_console.events, &fake_console.event_bytes, bytes, count);
}

struct event_sink console_event_sink(void)
{
    return (struct event_sink){.write = put_event};
}

void console_show_events(void)
{
    console_line("(the events)");
}

void console_use_stream(const struct event_stream *stream)
{
    (void)stream;
}

bool console_poll(void)
{
    fake_console.polls++;
    return false;
}

int console_input(void)
{
    if (fake_console.typed == NULL || *fake_console.typed == '\0')
        return -1;
    return (unsigned char)*fake_console.typed++;
}

_Noreturn void poweroff(const struct handoff_poweroff *how)
{
    (void)how;
    longjmp(fake_console.off, 1);
}
