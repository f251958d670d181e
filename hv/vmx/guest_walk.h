/*
 * Guest memory by linear address, as an instruction of the guest would reach it: through the guest's own
 * tables, with its own faults. For string I/O.
 */
#ifndef FREEHOLD_HV_VMX_GUEST_WALK_H
#define FREEHOLD_HV_VMX_GUEST_WALK_H

#include "hv/vcpu.h"

/* The last page translated for one access kind; good for as long as the guest does not run. Starts as all
 * zero. */
struct guest_page {
    bool valid;
    uint64_t linear; /* page-aligned */
    gpa_t gpa;
};

/*
 * Each: true when all bytes (1 to 8) were reached. False: the fault the guest earns is pending (#PF, with
 * CR2, or #GP), or the address leads outside its memory and the partition is contained. *page is for one of
 * reading and writing.
 */
bool guest_walk_read(struct vcpu *vcpu, struct guest_page *page, uint64_t linear, void *to, uint32_t bytes);
bool guest_walk_write(struct vcpu *vcpu, struct guest_page *page, uint64_t linear, const void *from,
                      uint32_t bytes);
bool guest_walk_can_write(struct vcpu *vcpu, struct guest_page *page, uint64_t linear, uint32_t bytes);

#endif
