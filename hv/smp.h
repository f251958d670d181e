/*
 * Starting the other cores and sending them to work.
 */
#ifndef FREEHOLD_HV_SMP_H
#define FREEHOLD_HV_SMP_H

#include "hv/core.h"

/*
 * Starts every core of the machine but this one by INIT-SIPI-SIPI, one after the other. A core that does not
 * answer within its time is named on the console and left out; returns the number of cores online.
 */
uint32_t smp_start(const struct handoff *handoff);

/* For core_start: the core being started. */
struct core *smp_starting_core(void);

/* What an application core does for ever: wait for its vCPU's partition to start, run it, wait again. */
_Noreturn void smp_core_main(struct core *core);

/* Makes `core` look at its mailbox: leaves its guest, or wakes up. */
void smp_kick(uint32_t core);

#endif
