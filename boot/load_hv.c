/*
 * Makes the hypervisor's region: its image, the handoff, and a pool of zeroed frames for everything it will
 * ever need. One extent, so that what is the hypervisor's can be told by two comparisons.
 */
#include "boot/blobs.h"
#include "boot/boot.h"
#include "boot/console.h"
#include "boot/unpack.h"
#include "hv/budget.h"

#define REGION_LIMIT (4 * GIB) /* starting cores load CR3 with 32 bits */

static uint64_t guest_image_bytes(const struct handoff *handoff)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < handoff->config.partition_count; i++)
        if (image_is_first_use(handoff, i))
            bytes += align_up(handoff->images[i].bytes, FRAME_BYTES);
    return bytes;
}

static uint64_t region_bytes(const struct boot *boot)
{
    const struct handoff *handoff = boot->handoff;
    struct hv_budget_input input = {
        .config = &handoff->config,
        .core_count = handoff->machine.core_count,
        .image_bytes = boot->hv.image_bytes,
        .handoff_bytes = sizeof(*handoff),
        .frame_table_bytes = boot->frame_table_bytes,
        .guest_image_bytes = guest_image_bytes(handoff),
        .screen_bytes = handoff->screen.bytes,
    };
    struct hv_budget budget;
    hv_budget(&input, &budget);
    return budget.total_bytes;
}

/* The region itself is zero already. */
static void copy_segments(const struct hv_elf *hv, const uint8_t *file, uint8_t *image)
{
    for (uint32_t i = 0; i < hv->segment_count; i++) {
        const struct hv_segment *segment = &hv->segments[i];
        __builtin_memcpy(image + segment->image_offset, file + segment->file_offset, segment->file_bytes);
    }
}

/* The draft moves to its final place behind the image; the pool begins behind it. */
static void move_handoff(struct boot *boot, uint64_t region, uint64_t bytes)
{
    uint64_t place = region + boot->hv.image_bytes;
    struct handoff *handoff = (struct handoff *)place;
    *handoff = *boot->handoff;
    boot->handoff = handoff;
    boot->pool_next = place + align_up(sizeof(*handoff), FRAME_BYTES);

    handoff->region_base = region;
    handoff->region_bytes = bytes;
    handoff->image_base = region;
    handoff->image_bytes = boot->hv.image_bytes;
}

bool make_region(struct boot *boot)
{
    struct blob blob = blob_hypervisor();
    uint64_t elf_bytes = unpack_bytes(blob.bytes, blob.length);
    uint8_t *elf = boot_take(boot, elf_bytes, EfiLoaderData, ANYWHERE);
    if (elf == NULL)
        return boot_refuse_memory(boot, "unpacking the hypervisor", elf_bytes);
    const char *wrong = "damaged contents";
    if (unpack(blob.bytes, blob.length, elf))
        wrong = hv_elf_read(elf, elf_bytes, &boot->hv);
    if (wrong != NULL)
        return boot_refuse(boot, REFUSED_FIRMWARE, EFI_LOAD_ERROR,
                           "the embedded hypervisor has %s; this file was built or copied wrongly", wrong);

    uint64_t bytes = region_bytes(boot);
    /* The firmware aligns to 4 KiB; a large page more than needed always holds an aligned start. */
    void *taken = boot_take(boot, bytes + PAGE_2M, EfiLoaderData, REGION_LIMIT - 1);
    if (taken == NULL)
        return boot_refuse_memory(boot, "the hypervisor below 4 GiB", bytes + PAGE_2M);
    uint64_t region = align_up((uint64_t)taken, PAGE_2M);
    copy_segments(&boot->hv, elf, (uint8_t *)region);
    move_handoff(boot, region, bytes);
    return true;
}
