/*
 * The plan as a table for people: the hypervisor's console, the EFI application and `make check-config` all
 * print this one. Pure.
 */
#ifndef FREEHOLD_HV_PLAN_TABLE_H
#define FREEHOLD_HV_PLAN_TABLE_H

#include "hv/plan.h"

/* Upper bound of a line, its terminator included. */
#define PLAN_TABLE_LINE_BYTES 320

/*
 * Calls `line` for every line of the table, top to bottom: a heading, one row per partition (more where cores
 * or extents do not fit one line), and where the control loop runs. `plan` is plan_make's result for `config`
 * and `machine`. The text has no line end and is valid during the call only.
 */
void plan_table(const struct config *config, const struct machine *machine, const struct plan *plan,
                void (*line)(void *context, const char *text), void *context);

#endif
