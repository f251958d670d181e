/*
 * The groups of checks of `selftest` and how they report: a line for every check that fails, one verdict for
 * every group. A check states what must hold; it never returns early from its group.
 */
#ifndef FREEHOLD_GUEST_SELFTEST_CHECK_H
#define FREEHOLD_GUEST_SELFTEST_CHECK_H

#include "guest/lib/call.h"
#include "guest/lib/entry.h"
#include "guest/lib/print.h"
#include "guest/lib/trap.h"

/* Counts one check of the running group; when `holds` is false, prints the text. Returns holds. */
bool check(bool holds, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Checks that function(argument) raises `vector` (PROBE_NO_EXCEPTION: nothing); its result. */
struct probe_result check_raises(int vector, const char *what, void (*function)(void *), void *argument);

/* Checks two numbers for equality, and says both when they differ. */
bool check_equal(uint64_t seen, uint64_t wanted, const char *what);

/* The groups, each in the file of its name. */
void group_entry(void);
void group_cpuid(void);
void group_msr(void);
void group_xsave(void);
void group_exception(void);
void group_paging(void);
void group_debug(void);
void group_port(void);
void group_uart(void);
void group_apic(void);
void group_smp(void);
void group_abi(void);
void group_memory(void);

/* RAM from `start` to `end`: the address of the first byte that is not zero, or end. */
uint64_t memory_first_nonzero(uint64_t start, uint64_t end);
/* All of RAM that must be zero at a partition's start, every byte of it. */
void check_memory_zero(void);
/* Registers and MSRs that an earlier life could have left something in: all as at power-on. */
void check_registers_clean(void);
/* Leaves a pattern wherever the two checks above look, then shuts down by a triple fault. */
void leak_and_die(void) __attribute__((noreturn));

#endif
