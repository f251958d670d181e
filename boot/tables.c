/*
 * The hypervisor's address space, built while the firmware's is still in use. It holds what the hypervisor
 * needs and nothing else of the machine: no firmware, no free memory, no frame twice, and no page both
 * writable and executable.
 */
#include "boot/boot.h"
#include "boot/console.h"
#include "hv/paging.h"

/* Tables come from the start of the pool. */
static bool take_frame(void *context, hpa_t *frame)
{
    struct boot *boot = context;
    const struct handoff *handoff = boot->handoff;
    if (boot->pool_next >= handoff->region_base + handoff->region_bytes)
        return false;
    *frame = hpa(boot->pool_next);
    boot->pool_next += FRAME_BYTES;
    return true;
}

/* The firmware maps all memory one to one. */
static void *reach_frame(void *context, hpa_t frame)
{
    (void)context;
    return (void *)frame.value;
}

struct builder {
    hpa_t root;
    struct frame_source source;
};

static bool map(const struct builder *builder, uint64_t va, uint64_t base, uint64_t bytes, uint32_t flags)
{
    return paging_map(builder->root, &builder->source, va, hpa(base), align_up(bytes, FRAME_BYTES), flags) ==
           PAGING_OK;
}

static bool map_direct(const struct builder *builder, uint64_t base, uint64_t bytes, uint32_t flags)
{
    return bytes == 0 || map(builder, HV_DIRECT_BASE + base, base, bytes, flags);
}

/* Each segment with the permissions that linker.ld gave it. */
static bool map_image(const struct builder *builder, const struct boot *boot)
{
    for (uint32_t i = 0; i < boot->hv.segment_count; i++) {
        const struct hv_segment *segment = &boot->hv.segments[i];
        uint32_t flags = (segment->write ? PAGE_WRITE : 0u) | (segment->execute ? PAGE_EXECUTE : 0u);
        if (!map(builder, HV_IMAGE_BASE + segment->image_offset,
                 boot->handoff->image_base + segment->image_offset, segment->memory_bytes, flags))
            return false;
    }
    return true;
}

/* The region without the image, which would otherwise be writable under a second name. */
static bool map_region(const struct builder *builder, const struct handoff *handoff)
{
    uint64_t start = handoff->image_base + handoff->image_bytes;
    uint64_t end = handoff->region_base + handoff->region_bytes;
    return map_direct(builder, start, end - start, PAGE_WRITE);
}

static bool map_guest_images(const struct builder *builder, const struct handoff *handoff)
{
    for (uint32_t i = 0; i < handoff->config.partition_count; i++)
        if (image_is_first_use(handoff, i) &&
            !map_direct(builder, handoff->images[i].base, handoff->images[i].bytes, 0))
            return false;
    return true;
}

bool build_tables(struct boot *boot)
{
    struct handoff *handoff = boot->handoff;
    struct builder builder = {.source = {.take = take_frame, .reach = reach_frame, .context = boot}};
    bool built = take_frame(boot, &builder.root) && map_image(&builder, boot) &&
                 map_region(&builder, handoff) && map_guest_images(&builder, handoff) &&
                 map_direct(&builder, handoff->screen.base, handoff->screen.bytes,
                            PAGE_WRITE | PAGE_WRITE_COMBINING) &&
                 map(&builder, handoff->trampoline, handoff->trampoline, FRAME_BYTES, PAGE_EXECUTE);
    if (!built)
        return boot_refuse_memory(boot, "the hypervisor's page tables", FRAME_BYTES);

    handoff->page_table_root = builder.root.value;
    handoff->pool_base = boot->pool_next;
    handoff->pool_bytes = handoff->region_base + handoff->region_bytes - boot->pool_next;
    return true;
}
