/*
 * Why a partition was contained. One list: the configuration (`expect = "fault:NAME"`), the console, the
 * events and the documents use these names.
 */
#ifndef FREEHOLD_HV_FAULT_H
#define FREEHOLD_HV_FAULT_H

#include "alloc/base.h"

/* X(enumerator, name for people and programs, what it means) */
#define FAULT_REASONS(X)                                                                                   \
    X(FAULT_NONE, "none", "no fault")                                                                      \
    X(FAULT_TRIPLE_FAULT, "triple-fault", "the guest raised an exception it could not deliver, or reset")  \
    X(FAULT_EPT_VIOLATION, "ept-violation", "the guest touched memory outside its slice")                  \
    X(FAULT_EPT_MISCONFIG, "ept-misconfiguration", "a second-stage table entry is malformed")              \
    X(FAULT_UNHANDLED_EXIT, "unhandled-exit", "the processor left the guest for a reason nobody services") \
    X(FAULT_ENTRY_FAILURE, "entry-failure", "the processor refused to enter the guest")                    \
    X(FAULT_TIME_LIMIT, "time-limit", "the guest ran longer than its time_limit")                          \
    X(FAULT_HALTED, "halted", "every virtual core waits for an event that can never come")                 \
    X(FAULT_MACHINE_CHECK, "machine-check", "the hardware reported an error while the guest ran")          \
    X(FAULT_WATCHDOG, "watchdog", "a core stopped answering while it ran the guest")                       \
    X(FAULT_STOPPED, "stopped", "stopped from the console")

enum fault_reason {
#define FAULT_ENUMERATOR(enumerator, name, meaning) enumerator,
    FAULT_REASONS(FAULT_ENUMERATOR)
#undef FAULT_ENUMERATOR
        FAULT_REASON_COUNT
};

/* The name; "unknown" for a value out of range. */
const char *fault_name(enum fault_reason reason);

/* The meaning, as a clause; "unknown" for a value out of range. */
const char *fault_meaning(enum fault_reason reason);

/* True and *reason set when `name` (length bytes) is one of the names, FAULT_NONE excluded. */
bool fault_from_name(const char *name, size_t length, enum fault_reason *reason);

#endif
