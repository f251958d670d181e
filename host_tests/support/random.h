/* A small deterministic random source (splitmix64), so that a failing round can be repeated from its seed. */
#ifndef FREEHOLD_HOST_RANDOM_H
#define FREEHOLD_HOST_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_u64(struct random *random)
{
    uint64_t value = random->state += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* 0 to limit - 1. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_u64(random) % limit;
}

static inline bool random_one_in(struct random *random, uint64_t n)
{
    return random_below(random, n) == 0;
}

#endif
