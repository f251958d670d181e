/* What image_check promises of a layout it accepts, in wide arithmetic; for tests and the fuzzer. */
#ifndef FREEHOLD_HOST_IMAGE_PROMISE_H
#define FREEHOLD_HOST_IMAGE_PROMISE_H

#include "hv/image.h"

static inline void image_promise(const struct image_layout *layout, uint64_t file_bytes, bool flat,
                                 uint64_t low_memory_bytes)
{
    typedef unsigned __int128 wide;
    bool entry_inside = false;
    CHECK(layout->segment_count >= 1 && layout->segment_count <= IMAGE_MAX_SEGMENTS);
    CHECK(!flat || (layout->segment_count == 1 && layout->entry == IMAGE_FLAT_BASE));
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        const struct image_segment *s = &layout->segments[i];
        CHECK((wide)s->file_offset + s->file_bytes <= file_bytes);
        CHECK(s->file_bytes <= s->memory_bytes && s->memory_bytes > 0);
        CHECK(s->gpa >= IMAGE_LOW_LIMIT && (wide)s->gpa + s->memory_bytes <= low_memory_bytes);
        entry_inside = entry_inside || (layout->entry >= s->gpa && layout->entry < s->gpa + s->memory_bytes);
        for (uint32_t j = 0; j < i; j++) {
            const struct image_segment *other = &layout->segments[j];
            CHECK(s->gpa + s->memory_bytes <= other->gpa || other->gpa + other->memory_bytes <= s->gpa);
        }
    }
    CHECK(entry_inside);
}

#endif
