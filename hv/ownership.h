/*
 * Who owns which frame of this machine: the live frame table behind one lock, and the plan carved from it at
 * start-up.
 */
#ifndef FREEHOLD_HV_OWNERSHIP_H
#define FREEHOLD_HV_OWNERSHIP_H

#include "alloc/frames.h"
#include "hv/handoff.h"
#include "hv/plan.h"

/* Builds the table from the hand-over's map and carries out the plan that boot/ rehearsed on the very same
 * input. */
void ownership_init(const struct handoff *handoff, struct plan *plan);

/* True when every frame of `what` is owned by `owner`. */
bool ownership_holds(struct extent what, owner_t owner);

/* The owner of the frame at `address`, OWNER_NONE for free or absent memory. */
owner_t ownership_of(hpa_t address);

#endif
