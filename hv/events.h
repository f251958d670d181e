/*
 * The event stream on COM2: one JSON object a line, described for readers in docs/events.md and, exactly, in
 * docs/events.schema.json. Pure: encodes plain data into a callback. Every string may hold any bytes.
 *
 * Called by the control loop alone (the panic path excepted). Times are values of the host's TSC.
 */
#ifndef FREEHOLD_HV_EVENTS_H
#define FREEHOLD_HV_EVENTS_H

#include "hv/machine.h"
#include "hv/report.h"

#define EVENT_VERSION 1

/* Takes the next n bytes (1 to JSON_CHUNK_BYTES) of a line; a line comes in many pieces, the last ends in \n.
 */
struct event_sink {
    void (*write)(void *context, const char *bytes, size_t n);
    void *context;
};

struct event_stream {
    struct event_sink sink;
    uint64_t origin_tsc; /* of efi_main: "t" counts from here */
    uint64_t next_seq;
    bool line_open; /* a line has begun and not ended */
};

void event_stream_start(struct event_stream *stream, struct event_sink sink, uint64_t origin_tsc);

/* What the machine is, the first event. */
struct event_boot {
    const char *region;
    const char *config_source; /* where the configuration came from */
    const struct machine *machine;
    const char *const *vmx_features; /* names, for people and programs */
    uint32_t vmx_feature_count;
    /* The hypervisor's own memory. */
    uint64_t image_bytes; /* its program, as loaded */
    uint64_t pool_bytes;  /* set aside for what follows */
    uint64_t used_bytes;  /* of the pool */
    uint64_t cores_bytes; /* of those, for all cores */
};

void event_boot(struct event_stream *stream, uint64_t tsc, const struct event_boot *boot);

/* Who gets what: all partitions of the view. */
void event_plan(struct event_stream *stream, uint64_t tsc, const struct region_view *view);

struct event_state {
    const char *partition;
    enum partition_state from;
    enum partition_state to;
    uint32_t incarnation; /* 0 at first, counts restarts */
    uint32_t exit_code;   /* told when to is PARTITION_EXITED */
};

void event_state(struct event_stream *stream, uint64_t tsc, const struct event_state *change);

/* A partition was contained. Carries the progress of all partitions, as witnesses. */
void event_fault(struct event_stream *stream, uint64_t tsc, const struct region_view *view,
                 uint32_t partition, const struct crash_capsule *capsule, bool restarts);

/* What a guest says of itself; text and name are `bytes` long and hostile. */
void event_verdict(struct event_stream *stream, uint64_t tsc, const char *partition, uint32_t vcpu, bool pass,
                   const char *text, size_t bytes);
void event_metric(struct event_stream *stream, uint64_t tsc, const char *partition, const char *name,
                  size_t bytes, uint64_t value);

void event_audit(struct event_stream *stream, uint64_t tsc, const struct audit_result *result);

/* The end of the hypervisor by its own fault. Ends a line that was being written when it happened. */
void event_panic(struct event_stream *stream, uint64_t tsc, uint32_t core, const char *message);

/* The last event: the account of every partition. */
void event_report(struct event_stream *stream, uint64_t tsc, const struct region_view *view);

/* How many partitions are in which state, and how many met their expectation: the report's counts. */
struct region_counts {
    uint32_t partitions;
    uint32_t exited;
    uint32_t faulted;
    uint32_t running; /* every other state */
    uint32_t met;
};

struct region_counts region_count(const struct region_view *view);

/* Number of violations the audit found. */
uint64_t audit_violations(const struct audit_result *result);

#endif
