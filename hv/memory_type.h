/* The memory types this machine's MTRRs give to physical memory. */
#ifndef FREEHOLD_HV_MEMORY_TYPE_H
#define FREEHOLD_HV_MEMORY_TYPE_H

#include "alloc/ept.h"

/* Reads the boot core's MTRRs. Once. */
void memory_type_init(void);

/* The type at host-physical `start`, and for how many bytes (at most to `end`) it is the same. */
uint64_t memory_type_run(uint64_t start, uint64_t end, enum ept_memory_type *type);

#endif
