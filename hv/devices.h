/*
 * The few devices of a partition: a 16550 at 0x3F8 and the exit port at 0xF4. Every other port is absent.
 */
#ifndef FREEHOLD_HV_DEVICES_H
#define FREEHOLD_HV_DEVICES_H

#include "hv/partition.h"

/* Devices as after power-up. Nobody runs the partition meanwhile. */
void devices_init(struct partition *partition);

/* One port access of `vcpu`, of 1, 2 or 4 bytes. Absent ports read as all ones and are counted. */
uint32_t devices_read(struct vcpu *vcpu, uint16_t port, uint32_t bytes);
void devices_write(struct vcpu *vcpu, uint16_t port, uint32_t bytes, uint32_t value);

/* Sends what the vCPU has written without ending its line, if the control loop has room. On the vCPU's own
 * core. */
void devices_flush_output(struct vcpu *vcpu);

#endif
