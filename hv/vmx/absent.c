/* Absent hardware in the device hole. */
#include "hv/vmx/absent.h"

#include "guest/abi.h"
#include "hv/memory.h"
#include "hv/string.h"
#include "hv/vmx/access.h"
#include "hv/x86.h"

#define ENTRIES        512
#define ENTRY_ADDRESS  UINT64_C(0x000ffffffffff000)
#define ENTRY_UNCACHED ((uint64_t)EPT_UC << 3)
#define HOLE_DIRECTORY (FH_HOLE_START / PAGE_1G) /* its entry in the first page-directory-pointer table */

_Static_assert(FH_HOLE_END - FH_HOLE_START == PAGE_1G && FH_HOLE_START % PAGE_1G == 0,
               "the hole is exactly one page directory");

static void fill(void *page, uint64_t value)
{
    uint64_t count = FRAME_BYTES / sizeof(value);
    __asm__ volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(value) : "memory");
}

void absent_reset(struct partition *partition)
{
    fill(partition->hole.table, 0);
    fill(partition->hole.scratch, UINT64_MAX);
}

void absent_init(struct partition *partition)
{
    struct absent_hole *hole = &partition->hole;
    uint64_t *directory = memory_need(FRAME_BYTES);
    hole->table = memory_need(FRAME_BYTES);
    hole->scratch = memory_need(FRAME_BYTES);
    hole->scratch_frame = memory_frame(hole->scratch);
    absent_reset(partition);
    /* Every 2 MiB of the hole leads to the one table: its entry i stands for page i of each of them. */
    for (uint32_t i = 0; i < ENTRIES; i++)
        directory[i] = memory_frame(hole->table).value | EPT_RWX;
    const uint64_t *root = memory_reach(partition->ept.root);
    uint64_t *pointers = memory_reach(hpa(root[0] & ENTRY_ADDRESS));
    CHECK(pointers[HOLE_DIRECTORY] == 0);
    pointers[HOLE_DIRECTORY] = memory_frame(directory).value | EPT_RWX;
}

bool absent_covers(gpa_t address)
{
    return address.value >= FH_HOLE_START && address.value < FH_HOLE_END;
}

/*
 * Sets the trap flag. No trap is due before the instruction is done, whatever an exit in its middle has left
 * in the field (Bochs 2.7 leaves BS); only where STI or MOV SS blocks does VM entry want the pending debug
 * exceptions to name the step ("Checks on Guest Non-Register State").
 */
static void set_trap(struct vcpu *vcpu)
{
    uint64_t rflags = vmread(VMCS_GUEST_RFLAGS);
    if (vcpu->step == STEP_NONE)
        vcpu->step_had_trap_flag = (rflags & RFLAGS_TF) != 0;
    vmwrite(VMCS_GUEST_RFLAGS, rflags | RFLAGS_TF);
    bool blocked =
        (vmread(VMCS_GUEST_INTERRUPTIBILITY) & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)) != 0;
    vmwrite(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, blocked ? PENDING_DEBUG_BS : 0);
    vcpu->step = STEP_BY_TRAP;
}

void absent_open(struct vcpu *vcpu, gpa_t address, bool write, bool delivering)
{
    struct absent_hole *hole = &vcpu->partition->hole;
    uint32_t page = (uint32_t)(address.value / FRAME_BYTES % ENTRIES);
    /* A read meets a page it cannot change: only a write leaves something to make good. */
    uint64_t permissions = write ? EPT_READ | EPT_WRITE : EPT_READ;
    vcpu->absent_accesses++;
    spin_lock(&hole->lock);
    __atomic_store_n(&hole->table[page],
                     hole->table[page] | hole->scratch_frame.value | ENTRY_UNCACHED | permissions,
                     __ATOMIC_RELAXED);
    spin_unlock(&hole->lock);
    /* An instruction may touch several pages of the hole; they all stay open until it is done. */
    if (vcpu->step_pages < STEP_PAGES)
        vcpu->step_page[vcpu->step_pages] = (uint16_t)page;
    vcpu->step_pages++;
    vcpu->step_wrote |= write;
    if (!delivering) {
        set_trap(vcpu);
        return;
    }
    vcpu->step = STEP_BY_TIMER;
    vmwrite(VMCS_PREEMPTION_TIMER_VALUE, 1);
}

/*
 * Another vCPU of the same partition may be in the middle of its own step: it then takes the violation again.
 * Its stale translations can only reach the partition's own page of ones.
 */
void absent_close(struct vcpu *vcpu)
{
    struct absent_hole *hole = &vcpu->partition->hole;
    spin_lock(&hole->lock);
    for (uint32_t i = 0; i < vcpu->step_pages && i < STEP_PAGES; i++)
        hole->table[vcpu->step_page[i]] = 0;
    if (vcpu->step_pages > STEP_PAGES) /* more than are remembered */
        fill(hole->table, 0);
    if (vcpu->step_wrote)
        fill(hole->scratch, UINT64_MAX);
    spin_unlock(&hole->lock);
    vmx_invept(vcpu->partition->ept_pointer);
    if (vcpu->step == STEP_BY_TRAP && !vcpu->step_had_trap_flag)
        vmwrite(VMCS_GUEST_RFLAGS, vmread(VMCS_GUEST_RFLAGS) & ~RFLAGS_TF);
    vcpu->step = STEP_NONE;
    vcpu->step_pages = 0;
    vcpu->step_wrote = false;
}
