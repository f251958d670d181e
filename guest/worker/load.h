/*
 * The work of `worker`: reads and writes every word of a piece of memory in a scattered order, and knows by a
 * closed form what the words must add up to. Pure C, no guest dependency: the native benchmark links it too.
 */
#ifndef FREEHOLD_GUEST_WORKER_LOAD_H
#define FREEHOLD_GUEST_WORKER_LOAD_H

#include <stdint.h>

/* What the worker does unless its command line says otherwise, and the native benchmark always. */
#define LOAD_ROUNDS     UINT64_C(8)
#define LOAD_BYTES      (UINT64_C(2) << 20)
#define LOAD_STEP_WORDS UINT64_C(32768) /* between two reports of progress */

enum load_state {
    LOAD_BUSY,  /* in the middle of a round */
    LOAD_RIGHT, /* a round has just ended, and its checksum is as computed without memory */
    LOAD_WRONG, /* a round has just ended, and memory or processor has lied */
};

struct load {
    uint64_t *words;
    uint64_t count;
    uint64_t seed;
    uint64_t round;    /* rounds finished */
    uint64_t position; /* words done in this round */
    uint64_t index;    /* of the next word */
    uint64_t sum;      /* of this round, so far */
    uint64_t expected; /* the checksum before this round, by closed form */
    uint64_t weights;  /* sum of all weights */
};

/* Takes `bytes` (at least 64) of 8-byte-aligned memory and fills it from the seed: one write per word. */
void load_init(struct load *load, void *memory, uint64_t bytes, uint64_t seed);

/* Does at most `words` further words of the round: one read and one write each. Stops at the round's end. */
enum load_state load_advance(struct load *load, uint64_t words);

#endif
