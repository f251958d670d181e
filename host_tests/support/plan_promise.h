/* What plan_make promises of a plan, checked without any of its code. For tests and the fuzzer. */
#ifndef FREEHOLD_HOST_PLAN_PROMISE_H
#define FREEHOLD_HOST_PLAN_PROMISE_H

#include "hv/plan.h"

/* Whether two logical cores are hyper-threads of one physical core. */
bool same_physical_core(const struct machine *machine, uint32_t a, uint32_t b);

uint32_t physical_cores(const struct machine *machine);

/* The first promise that the plan breaks, as a sentence; NULL when it keeps them all. */
const char *plan_promise_broken(const struct config *config, const struct machine *machine,
                                const struct frame_table *frames, const struct plan *plan);

#endif
