/*
 * The attacks, as tables: each names what it tries, and what a landlord worth the name makes of it. An attack
 * that is to be survived says what it saw by saw(); one that is to be contained never comes back.
 */
#ifndef FREEHOLD_GUEST_ATTACKER_ATTACK_H
#define FREEHOLD_GUEST_ATTACKER_ATTACK_H

#include "guest/lib/call.h"
#include "guest/lib/entry.h"
#include "guest/lib/memory.h"
#include "guest/lib/print.h"
#include "guest/lib/smp.h"
#include "guest/lib/trap.h"

struct attack {
    const char *name;    /* the word on the command line */
    const char *expects; /* as freehold.toml writes it: "exit:0", "fault:REASON" */
    const char *what;    /* a clause */
    void (*run)(void);
};

struct attack_table {
    const struct attack *attacks;
    unsigned count;
};
#define ATTACK_TABLE(rows)                     \
    {                                          \
        (rows), sizeof(rows) / sizeof(rows)[0] \
    }

extern const struct attack_table memory_attacks;    /* memory.c: beyond, above and beside the slice */
extern const struct attack_table hole_attacks;      /* hole.c: absent memory-mapped hardware */
extern const struct attack_table paging_attacks;    /* paging.c: page tables that bite */
extern const struct attack_table msr_attacks;       /* msr.c */
extern const struct attack_table port_attacks;      /* port.c */
extern const struct attack_table control_attacks;   /* control.c: control registers, XCR0, instructions */
extern const struct attack_table interrupt_attacks; /* interrupt.c: IPIs, INIT, NMI */
extern const struct attack_table stuck_attacks;     /* stuck.c: loops, halts, shutdowns */
extern const struct attack_table call_attacks;      /* call.c: hypercalls, CPUID */

/* A verdict with the running attack's name before it; returns as_expected. */
bool saw(bool as_expected, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Deterministic random numbers (xorshift): the same every run. */
uint64_t random_next(void);

/* Probes `function(argument)` and counts what it did by outcome. */
struct tally {
    unsigned quiet; /* no exception */
    unsigned gp;
    unsigned ud;
    unsigned other;
};
int tally_probe(struct tally *tally, void (*function)(void *), void *argument);

/* The address of the first byte above the partition's RAM that is neither RAM nor hole. */
uint64_t first_outside(void);

/* An MSR access for probes; wide enough to be reused by several files. */
struct msr_access {
    uint32_t msr;
    uint64_t value;
};
void msr_read(void *access);
void msr_write(void *access);

#endif
