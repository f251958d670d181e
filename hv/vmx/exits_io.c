/*
 * Port I/O. IN and OUT go to the partition's bus; INS and OUTS move between the bus and guest memory, a
 * bounded number of elements an exit: a longer REP is simply not finished and comes back.
 */
#include "hv/devices.h"
#include "hv/exit_decode.h"
#include "hv/guest_memory.h"
#include "hv/partition.h"
#include "hv/vmx/access.h"
#include "hv/vmx/exits.h"
#include "hv/vmx/guest_walk.h"
#include "hv/vmx/vmx.h"
#include "hv/x86.h"

#define ELEMENTS_PER_EXIT 256

/* Address size of a string instruction: bits 9:7 of the instruction information. */
#define ADDRESS_SIZE_SHIFT 7
#define ADDRESS_SIZE_MASK  7u

static uint64_t address_mask(void)
{
    static const uint64_t masks[] = {UINT16_MAX, UINT32_MAX, UINT64_MAX};
    uint32_t size = (uint32_t)vmread(VMCS_EXIT_INSTRUCTION_INFO) >> ADDRESS_SIZE_SHIFT & ADDRESS_SIZE_MASK;
    return masks[size < ARRAY_SIZE(masks) ? size : ARRAY_SIZE(masks) - 1];
}

static void simple(struct vcpu *vcpu, const struct exit_io *io)
{
    if (!io->in) {
        devices_write(vcpu, io->port, io->bytes, (uint32_t)vcpu->gpr[RAX]);
        return;
    }
    uint32_t value = devices_read(vcpu, io->port, io->bytes);
    vcpu->gpr[RAX] = bus_merge_rax(vcpu->gpr[RAX], io->bytes, value);
}

/* Changes the part of a register that the address size covers; 32 bits clear what is above, as the processor
 * does. */
static void move_register(uint64_t *where, uint64_t mask, uint64_t by)
{
    uint64_t moved = (*where + by) & mask;
    *where = mask == UINT16_MAX ? (*where & ~mask) | moved : moved;
}

/* One element between port and memory. False: an exception is pending for the guest instead. */
static bool element(struct vcpu *vcpu, const struct exit_io *io, struct guest_page *page, uint64_t linear)
{
    uint32_t value = 0;
    if (!io->in) {
        if (!guest_walk_read(vcpu, page, linear, &value, io->bytes))
            return false;
        devices_write(vcpu, io->port, io->bytes, value);
        return true;
    }
    /* Whether the memory takes it is settled before the device is asked: a read may have effects. */
    if (!guest_walk_can_write(vcpu, page, linear, io->bytes))
        return false;
    value = devices_read(vcpu, io->port, io->bytes);
    return guest_walk_write(vcpu, page, linear, &value, io->bytes);
}

static bool ended(const struct vcpu *vcpu)
{
    return __atomic_load_n(&vcpu->partition->state, __ATOMIC_RELAXED) != PARTITION_RUNNING;
}

static enum exit_action string(struct vcpu *vcpu, const struct exit_io *io)
{
    uint64_t mask = address_mask();
    uint64_t *pointer = &vcpu->gpr[io->in ? RDI : RSI];
    uint64_t count = io->rep ? vcpu->gpr[RCX] & mask : 1;
    bool down = (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_DF) != 0;
    uint64_t step = down ? 0 - (uint64_t)io->bytes : io->bytes;
    /* The exit gives the linear address of the first element; the others follow by the pointer, which may
     * wrap. */
    uint64_t base = vmread(VMCS_GUEST_LINEAR_ADDRESS) - (*pointer & mask);
    struct guest_page page = {0};
    for (uint32_t i = 0; i < ELEMENTS_PER_EXIT && count > 0; i++, count--) {
        if (!element(vcpu, io, &page, base + (*pointer & mask)))
            return EXIT_RESUME;
        move_register(pointer, mask, step);
        if (io->rep)
            move_register(&vcpu->gpr[RCX], mask, UINT64_MAX);
        if (ended(vcpu))
            return EXIT_RESUME;
    }
    return count == 0 ? EXIT_NEXT : EXIT_RESUME;
}

enum exit_action exit_io(struct vcpu *vcpu)
{
    struct exit_io io = exit_decode_io(vmread(VMCS_EXIT_QUALIFICATION));
    if (io.string)
        return string(vcpu, &io);
    simple(vcpu, &io);
    return EXIT_NEXT;
}
