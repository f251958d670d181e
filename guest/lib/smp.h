/*
 * The other vCPUs of a partition: starting them by INIT and SIPI, giving them work, inter-processor
 * interrupts through the x2APIC's interrupt command register.
 */
#ifndef FREEHOLD_GUEST_LIB_SMP_H
#define FREEHOLD_GUEST_LIB_SMP_H

#include "guest/lib/cpu.h"

/* Bits of the interrupt command register; the destination is its upper half. */
#define ICR_FIXED      UINT64_C(0x0)
#define ICR_NMI        UINT64_C(0x400)
#define ICR_INIT       UINT64_C(0x500)
#define ICR_SIPI       UINT64_C(0x600)
#define ICR_LOGICAL    UINT64_C(0x800)
#define ICR_ASSERT     UINT64_C(0x4000)
#define ICR_LEVEL      UINT64_C(0x8000)
#define ICR_TO_SELF    UINT64_C(0x40000)
#define ICR_TO_ALL     UINT64_C(0x80000)
#define ICR_TO_OTHERS  UINT64_C(0xC0000)
#define APIC_BROADCAST 0xFFFFFFFFu
#define VECTOR_WAKE    0xF0 /* taken by the library */

/* Writes the interrupt command register: destination APIC id, the rest as above with the vector. */
void ipi_send(uint32_t destination, uint64_t command);

/* How many vCPUs the partition has, by its boot information (at most GUEST_MAX_VCPUS). */
unsigned vcpu_count(void);

/*
 * Starts vCPU `index` (not 0, not running): trampoline, INIT, SIPI. False when it has not come up within
 * about 2^28 ticks.
 */
bool vcpu_start(unsigned index);

/* Starts all of them; the number running afterwards, this one included. */
unsigned vcpu_start_all(void);

/* Gives a started, idle vCPU a function to run. Once only until vcpu_wait. */
void vcpu_run(unsigned index, void (*function)(void *), void *argument);

/* Waits until vCPU `index` is idle again, at most `ticks` (0: for ever); false when it is not. */
bool vcpu_wait(unsigned index, uint64_t ticks);

/* Forgets that vCPU `index` ever started: for tests that throw it back into INIT. */
void vcpu_forget(unsigned index);

/* Where the library's start ends on every vCPU; calls guest_main on vCPU 0, serves vcpu_run on the others. */
void vcpu_main(unsigned index) __attribute__((noreturn));

/* What each guest is: its exit code. */
int guest_main(void);

#endif
