/*
 * The hypercalls of guest/abi.h as functions, and the ways a guest ends. Callable on every vCPU at CPL 0.
 */
#ifndef FREEHOLD_GUEST_LIB_CALL_H
#define FREEHOLD_GUEST_LIB_CALL_H

#include "guest/abi.h"
#include <stdbool.h>

/* Exit codes of our own guests. */
enum exit_code {
    EXIT_PASS = 0,
    EXIT_FAIL = 1,        /* a verdict failed */
    EXIT_USAGE = 2,       /* the command line asks for something this guest does not have */
    EXIT_UNEXPECTED = 99, /* an exception nobody expected */
};

/* The bare hypercall: number, three arguments, result. */
int64_t hypercall(uint64_t number, uint64_t rdi, uint64_t rsi, uint64_t rdx);

/* Writes all of it, however often the queue is full. */
void console_write(const char *text, uint64_t bytes);

/* This vCPU's progress counter: a number that grows. */
void progress(uint64_t counter);

/* A verdict in the event stream and the report: pass or fail, with a text in printf's manner. Returns pass.
 */
bool verdict(bool pass, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* How many verdicts failed on any vCPU so far. */
unsigned verdicts_failed(void);

/* A figure for `make bench`, under a stable name. */
void metric(const char *name, uint64_t value);

/* Ends the partition with an exit code. */
void guest_exit(enum exit_code code) __attribute__((noreturn));

#endif
