/*
 * What cores tell the control loop through their rings: a record type and a payload each. Plain data.
 */
#ifndef FREEHOLD_HV_RECORDS_H
#define FREEHOLD_HV_RECORDS_H

#include "hv/report.h"

#define RECORD_TEXT_BYTES 512

enum record_type {
    RECORD_OUTPUT,  /* struct record_text: bytes a guest wrote to its console */
    RECORD_VERDICT, /* struct record_text: value is 1 for pass */
    RECORD_METRIC,  /* struct record_text: the text is the name */
    RECORD_STATE,   /* struct record_state */
    RECORD_FAULT,   /* struct record_fault */
    RECORD_AUDIT,   /* struct audit_result */
};

/* Pushed without the unused end of the text. */
struct record_text {
    uint32_t partition;
    uint32_t vcpu;
    uint64_t value;
    uint32_t bytes;
    char text[RECORD_TEXT_BYTES];
};

struct record_state {
    uint32_t partition;
    uint32_t from; /* enum partition_state */
    uint32_t to;
    uint32_t incarnation;
    uint32_t exit_code;
    uint64_t tsc;
    uint64_t decided_tsc;  /* of the latest start: when it was decided ... */
    uint64_t scrubbed_tsc; /* ... and when memory was zero */
};

struct record_fault {
    uint32_t partition;
    bool restarts;
    struct crash_capsule capsule;
};

#endif
