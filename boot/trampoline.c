/*
 * Places the trampoline and goes through it.
 */
#include "boot/trampoline.h"

#include "boot/boot.h"

/* A start-up IPI names a page below 1 MiB; from 0x9F000 up lie the extended BIOS data area and the screen. */
#define TRAMPOLINE_HIGHEST UINT64_C(0x9EFFF)

_Static_assert(offsetof(struct trampoline_parameters, root) == 16, "as boot/trampoline.S has it");
_Static_assert(offsetof(struct trampoline_parameters, gdt) == 32, "as boot/trampoline.S has it");

/* Where a label of trampoline.S comes to lie. */
static uint64_t placed(uint64_t frame, const uint8_t *label)
{
    return frame + (uint64_t)(label - trampoline_start);
}

static void fill_parameters(const struct boot *boot, uint64_t frame)
{
    struct trampoline_parameters parameters = {
        .entry = boot->hv.entry,
        .handoff = HV_DIRECT_BASE + (uint64_t)boot->handoff,
        .root = (uint32_t)boot->handoff->page_table_root,
        .code32 = {(uint32_t)placed(frame, trampoline_code32), TRAMPOLINE_CODE32},
        .code64 = {(uint32_t)placed(frame, trampoline_code64), TRAMPOLINE_CODE64},
        .gdt = {(uint16_t)(trampoline_parameters - trampoline_gdt - 1),
                (uint32_t)placed(frame, trampoline_gdt)},
    };
    __builtin_memcpy((void *)placed(frame, trampoline_parameters), &parameters, sizeof(parameters));
}

/* As loader code, since strict firmware maps data without execute permission and the boot core runs it there.
 */
bool place_trampoline(struct boot *boot)
{
    CHECK((uint64_t)(trampoline_end - trampoline_start) <= FRAME_BYTES);
    void *frame = boot_take(boot, FRAME_BYTES, EfiLoaderCode, TRAMPOLINE_HIGHEST);
    if (frame == NULL)
        return boot_refuse_memory(boot, "starting cores below 640 KiB", FRAME_BYTES);
    boot->handoff->trampoline = (uint64_t)frame;
    return true;
}

_Noreturn void enter_hypervisor(const struct boot *boot)
{
    uint64_t frame = boot->handoff->trampoline;
    uint64_t bytes = (uint64_t)(trampoline_end - trampoline_start);
    __builtin_memcpy((void *)frame, trampoline_start, bytes);
    fill_parameters(boot, frame);
    uint64_t door = placed(frame, trampoline_boot_door);
    __asm__ volatile("cli\n\tjmp *%0" : : "r"(door), "D"(frame) : "memory");
    __builtin_unreachable();
}
