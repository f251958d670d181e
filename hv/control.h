/*
 * The control loop on the boot core: takes what the other cores report, shows it on the console, tells it on
 * COM2, watches the cores, closes the region when everyone has ended.
 */
#ifndef FREEHOLD_HV_CONTROL_H
#define FREEHOLD_HV_CONTROL_H

#include "hv/core.h"
#include "hv/plan.h"
#include "hv/records.h"

/* At start-up, on the boot core: who is who, and the streams opened. */
void control_init(const struct handoff *handoff, const struct plan *plan);

/* One bounded round of the loop. Only on the boot core. Does not return once the region has closed. */
void control_poll(void);

/* Sleeps until the next round is due or a core calls. Only on the boot core. */
void control_sleep(void);

/* The boot core's life after start-up. */
_Noreturn void control_main(void);

/*
 * Puts a record into this core's ring and calls the control core. The ring has room kept for records that
 * must not be lost, see control_has_room. Any core.
 */
void control_post(enum record_type type, const void *record, uint32_t bytes);

/* Whether a guest-made record of that many bytes may be posted now; false asks the guest to try again later.
 */
bool control_has_room(uint32_t bytes);

/* TSC ticks in a second. */
uint64_t control_tsc_hz(void);

#endif
