/*
 * Reading the firmware's memory map again, for the last step.
 */
#ifndef FREEHOLD_BOOT_MEMORY_H
#define FREEHOLD_BOOT_MEMORY_H

#include "boot/boot.h"

/* Reads the map and its key into boot->firmware_map; takes no memory. The firmware's status. */
MUST_USE EFI_STATUS refresh_map(struct boot *boot);

#endif
