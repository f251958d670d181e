/*
 * The registers of a crash capsule as one list of names and values, so that events and console show the same
 * ones. Pure.
 */
#ifndef FREEHOLD_HV_CAPSULE_H
#define FREEHOLD_HV_CAPSULE_H

#include "hv/report.h"

struct capsule_register {
    const char *name; /* lower case, the manual's: "rax", "cr3", "cs" */
    uint64_t value;
    uint32_t bytes; /* 8, or 2 for a selector */
};

/* Register `index`, counted from 0; false behind the last one. */
bool capsule_register(const struct crash_capsule *capsule, uint32_t index, struct capsule_register *out);

/* How many of capsule->last are filled: never more than there are. */
uint32_t capsule_last_exits(const struct crash_capsule *capsule);

#endif
