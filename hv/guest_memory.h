/*
 * Reaching a partition's memory: every guest-physical address is checked here against what the partition
 * owns, and read or written through this core's windows.
 */
#ifndef FREEHOLD_HV_GUEST_MEMORY_H
#define FREEHOLD_HV_GUEST_MEMORY_H

#include "hv/partition.h"

/* Lays the partition's extents out in guest-physical memory: RAM from 0 up to the device hole, the rest from
 * 4 GiB. */
void guest_memory_layout(struct partition *partition, const struct plan_partition *plan);

/* Zeroes all of the partition's memory. */
void guest_memory_scrub(const struct partition *partition);

/* Copies the image and writes what abi.h promises at start: tables, GDT, boot information. */
void guest_memory_load(struct partition *partition, uint64_t tsc_hz);

/* Copies between a buffer of ours and guest RAM; false, nothing copied, when any byte lies outside the
 * partition's RAM. */
MUST_USE bool guest_memory_read(const struct partition *partition, gpa_t from, void *to, uint64_t bytes);
MUST_USE bool guest_memory_write(const struct partition *partition, gpa_t to, const void *from,
                                 uint64_t bytes);

#endif
