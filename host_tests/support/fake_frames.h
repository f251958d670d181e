/*
 * A frame source for tests: a handful of frames at made-up host-physical addresses. It can run dry after any
 * number of frames, fills a frame given back with a pattern that no walker survives, and calls a hook before
 * each frame it gives out, which sees every state a table builder passes through there.
 */
#ifndef FREEHOLD_HOST_FAKE_FRAMES_H
#define FREEHOLD_HOST_FAKE_FRAMES_H

#include "alloc/ept.h"

#define FAKE_FRAMES 4096
#define FAKE_BASE   UINT64_C(0x7a5000000000)
#define FAKE_WORDS  (FRAME_BYTES / sizeof(uint64_t))

struct fake_frames {
    struct frame_source source;
    uint64_t limit; /* how many frames may be out at once */
    uint64_t taken;
    void (*before_take)(void *context);
    void *hook_context;
    bool used[FAKE_FRAMES];
    _Alignas(4096) uint64_t words[FAKE_FRAMES][FAKE_WORDS];
};

/* Empties it; the limit is all there are, there is no hook. */
void fake_frames_init(struct fake_frames *fake);

/* A frame that is out, for tests that walk tables themselves; NULL for any other address. */
const uint64_t *fake_frames_at(const struct fake_frames *fake, uint64_t address);

#endif
