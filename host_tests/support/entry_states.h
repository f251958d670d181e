#ifndef FREEHOLD_HOST_ENTRY_STATES_H
#define FREEHOLD_HOST_ENTRY_STATES_H

#include "hv/entry_check.h"

enum entry_base {
    ENTRY_LONG, /* 64-bit mode, as a vCPU starts an image */
    ENTRY_REAL, /* real mode, after a start-up IPI */
    ENTRY_V86,  /* virtual-8086 mode */
};

/* Capabilities of a Skylake-X: see host_tests/test_vmx_caps.c. */
extern const struct vmx_msrs entry_skylake;

/* A state that passes every check on that processor. */
struct entry_state entry_valid_state(enum entry_base base);

#endif
