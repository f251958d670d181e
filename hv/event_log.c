/* A ring of bytes that always begins with the start of a line. */
#include "hv/event_log.h"

void event_log_start(struct event_log *log, void *memory, uint32_t capacity)
{
    CHECK(capacity > 0);
    *log = (struct event_log){.bytes = memory, .capacity = capacity};
}

static char take_oldest(struct event_log *log)
{
    char c = log->bytes[log->first];
    log->first = (log->first + 1) % log->capacity;
    log->used--;
    return c;
}

/* Makes room by the oldest whole line; or, when there is none, gives up the one being written. */
static void drop_line(struct event_log *log)
{
    log->dropped++;
    if (log->used == log->partial) {
        log->used = 0;
        log->partial = 0;
        log->skipping = true;
        return;
    }
    while (take_oldest(log) != '\n')
        ;
}

static void append(struct event_log *log, char c)
{
    if (log->used == log->capacity)
        drop_line(log);
    if (log->skipping) {
        log->skipping = c != '\n';
        return;
    }
    log->bytes[(log->first + log->used) % log->capacity] = c;
    log->used++;
    log->partial = c == '\n' ? 0 : log->partial + 1;
}

void event_log_write(void *context, const char *bytes, size_t n)
{
    struct event_log *log = context;
    for (size_t i = 0; i < n; i++)
        append(log, bytes[i]);
}

void event_log_read(const struct event_log *log, void (*write)(void *context, const char *bytes, size_t n),
                    void *context)
{
    uint32_t whole = log->used - log->partial;
    uint32_t first = (uint32_t)min_u64(whole, log->capacity - log->first);
    if (first > 0)
        write(context, log->bytes + log->first, first);
    if (whole > first)
        write(context, log->bytes, whole - first);
}
