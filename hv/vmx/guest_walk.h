/*
 * Guest memory by linear address, as an instruction of the guest would reach it: through the guest's own
 * tables, with its own faults. For string I/O.
 */
#ifndef FREEHOLD_HV_VMX_GUEST_WALK_H
#define FREEHOLD_HV_VMX_GUEST_WALK_H

#include "hv/vcpu.h"

/*
 * Each: true when all bytes (1 to 8) were reached. False: the fault the guest earns is pending (#PF, with
 * CR2, or #GP), or the address leads outside its memory and the partition is contained.
 */
bool guest_walk_read(struct vcpu *vcpu, uint64_t linear, void *to, uint32_t bytes);
bool guest_walk_write(struct vcpu *vcpu, uint64_t linear, const void *from, uint32_t bytes);
bool guest_walk_can_write(struct vcpu *vcpu, uint64_t linear, uint32_t bytes);

#endif
