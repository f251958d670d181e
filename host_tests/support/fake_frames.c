#include "host_tests/support/fake_frames.h"

#include <string.h>

static bool fake_take(void *context, hpa_t *frame)
{
    struct fake_frames *fake = context;
    if (fake->before_take != NULL)
        fake->before_take(fake->hook_context);
    if (fake->taken >= fake->limit)
        return false;
    /* Not in order of address, so that no test leans on it. */
    size_t i = fake->taken * 2654435761u % FAKE_FRAMES;
    while (fake->used[i])
        i = (i + 1) % FAKE_FRAMES;
    fake->used[i] = true;
    fake->taken++;
    memset(fake->words[i], 0, FRAME_BYTES);
    *frame = hpa(FAKE_BASE + i * FRAME_BYTES);
    return true;
}

static size_t fake_index(const struct fake_frames *fake, uint64_t address)
{
    uint64_t i = (address - FAKE_BASE) / FRAME_BYTES;
    CHECK(is_aligned(address, FRAME_BYTES) && i < FAKE_FRAMES && fake->used[i]);
    return i;
}

static void fake_give(void *context, hpa_t frame)
{
    struct fake_frames *fake = context;
    size_t i = fake_index(fake, frame.value);
    fake->used[i] = false;
    fake->taken--;
    memset(fake->words[i], 0xff, FRAME_BYTES);
}

static void *fake_reach(void *context, hpa_t frame)
{
    struct fake_frames *fake = context;
    return fake->words[fake_index(fake, frame.value)];
}

void fake_frames_init(struct fake_frames *fake)
{
    fake->source = (struct frame_source){fake_take, fake_give, fake_reach, fake};
    fake->limit = FAKE_FRAMES;
    fake->taken = 0;
    fake->before_take = NULL;
    fake->hook_context = NULL;
    memset(fake->used, 0, sizeof(fake->used));
}

const uint64_t *fake_frames_at(const struct fake_frames *fake, uint64_t address)
{
    uint64_t i = (address - FAKE_BASE) / FRAME_BYTES;
    return is_aligned(address, FRAME_BYTES) && i < FAKE_FRAMES && fake->used[i] ? fake->words[i] : NULL;
}
