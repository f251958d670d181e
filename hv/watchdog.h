/*
 * Whether a core that should be moving does. Pure: the control loop feeds it heartbeats and the time.
 */
#ifndef FREEHOLD_HV_WATCHDOG_H
#define FREEHOLD_HV_WATCHDOG_H

#include "alloc/base.h"

struct watchdog {
    uint64_t heartbeat; /* as seen last */
    uint64_t moved_tsc; /* when it was seen to move */
    bool pinged;
};

enum watchdog_verdict {
    WATCHDOG_ALIVE,
    WATCHDOG_PING, /* silent for `patience`: kick it once. A sleeping core wakes up and beats */
    WATCHDOG_LOST, /* silent for `patience` after the kick, too */
};

/* Starts over: the core begins something now. */
void watchdog_reset(struct watchdog *dog, uint64_t heartbeat, uint64_t now);

/* Looks once. `patience` in TSC ticks. */
enum watchdog_verdict watchdog_look(struct watchdog *dog, uint64_t heartbeat, uint64_t now,
                                    uint64_t patience);

#endif
