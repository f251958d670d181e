/*
 * A fair (ticket) lock for what cores share off their own path. Interrupts are always off in the hypervisor
 * but while a core sleeps, so a holder is never interrupted but by NMI and #MC, whose handlers take no lock.
 */
#ifndef FREEHOLD_HV_SPINLOCK_H
#define FREEHOLD_HV_SPINLOCK_H

#include "hv/cpu.h"

struct spinlock {
    uint32_t next;
    uint32_t serving;
};

static inline void spin_lock(struct spinlock *lock)
{
    uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket)
        cpu_pause();
}

static inline void spin_unlock(struct spinlock *lock)
{
    __atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
