/*
 * The device hole, gpa 3 to 4 GiB: hardware that is not there. An access is let through, for one instruction,
 * to a page of ones that belongs to the partition alone: reads find all ones, writes vanish, any instruction
 * works. No page is shared with another tenant, and however a guest roams the hole it costs the two tables
 * and the page made here.
 *
 * The one instruction ends by the guest's own trap flag, set behind its back, whose #DB exits. (The monitor
 * trap flag would be less visible, but not every machine has it: Bochs 2.7 does not.) An event whose delivery
 * touches the hole has no instruction to trap after; there the preemption timer closes the page at once.
 */
#ifndef FREEHOLD_HV_VMX_ABSENT_H
#define FREEHOLD_HV_VMX_ABSENT_H

#include "hv/partition.h"

/* Takes the tables and the page. At start-up. */
void absent_init(struct partition *partition);

/* Everything closed and all ones, whatever an earlier incarnation left. Nobody runs the partition meanwhile.
 */
void absent_reset(struct partition *partition);

/* True when the address lies in the hole. */
bool absent_covers(gpa_t address);

/* An access to the hole: opens its page. `delivering`: the processor's own, while it delivered an event. */
void absent_open(struct vcpu *vcpu, gpa_t address, bool write, bool delivering);

/* The access is over: closes the page, which is all ones again, and gives the guest its trap flag back. */
void absent_close(struct vcpu *vcpu);

#endif
