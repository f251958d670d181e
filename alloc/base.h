/*
 * What every floor of the house stands on: checks, alignment, array sizes.
 * Freestanding; no dependency but the compiler's own headers. Never grows a dependency on hv/ or boot/.
 */
#ifndef FREEHOLD_ALLOC_BASE_H
#define FREEHOLD_ALLOC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KIB           (UINT64_C(1) << 10)
#define MIB           (UINT64_C(1) << 20)
#define GIB           (UINT64_C(1) << 30)

/* A status that must be looked at. */
#define MUST_USE __attribute__((warn_unused_result))

/*
 * Ends the program: an invariant of ours is broken. Each program that links alloc/ or hv/ provides one:
 * the hypervisor panics, the EFI application reports and halts, host tests fail.
 */
_Noreturn void check_failed(const char *file, int line, const char *expression);

/*
 * Always on. For our own bugs only: never reachable from what a guest, a file or the firmware says.
 */
#define CHECK(condition)                                  \
    do {                                                  \
        if (__builtin_expect(!(condition), 0))            \
            check_failed(__FILE__, __LINE__, #condition); \
    } while (0)

/* align must be a power of two. */
static inline uint64_t align_down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}

/* align must be a power of two; value + align - 1 must not overflow. */
static inline uint64_t align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

static inline bool is_aligned(uint64_t value, uint64_t align)
{
    return (value & (align - 1)) == 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
