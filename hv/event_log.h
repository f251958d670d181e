/*
 * The last events in memory, for a machine without COM2: as many whole lines as fit, the oldest leave first.
 * Pure.
 */
#ifndef FREEHOLD_HV_EVENT_LOG_H
#define FREEHOLD_HV_EVENT_LOG_H

#include "alloc/base.h"

struct event_log {
    char *bytes;
    uint32_t capacity;
    uint32_t first;   /* position of the oldest byte */
    uint32_t used;    /* bytes held */
    uint32_t partial; /* of them, those of a line that has not ended */
    bool skipping;    /* the line being written is longer than the log: the rest of it is left out */
    uint64_t dropped; /* lines that had to leave, or did not fit */
};

/* `memory` has `capacity` bytes, at least 1. */
void event_log_start(struct event_log *log, void *memory, uint32_t capacity);

/* Write callback of a struct event_sink; context is a struct event_log. Never fails, never waits. */
void event_log_write(void *context, const char *bytes, size_t n);

/* Hands all whole lines held to `write`, oldest first, in one or two pieces. */
void event_log_read(const struct event_log *log, void (*write)(void *context, const char *bytes, size_t n),
                    void *context);

#endif
