/* Setting up one logical processor: tables, stacks, control registers. */
#include "hv/core.h"

#include "hv/apic.h"
#include "hv/memory.h"
#include "hv/smp.h"
#include "hv/traps.h"
#include "hv/x86.h"

struct core *cores[MACHINE_MAX_CORES];

/* Descriptors for flat 64-bit code and data, present, ring 0, accessed. */
#define DESCRIPTOR_CODE UINT64_C(0x00af9b000000ffff)
#define DESCRIPTOR_DATA UINT64_C(0x00cf93000000ffff)
#define TSS_AVAILABLE   UINT64_C(0x89)

/* PAT: entry 1 is write-combining (for the screen), 3 is uncached; 0, 2 as after reset. The rest repeats. */
#define PAT_VALUE UINT64_C(0x0007010600070106)

static void set_tss_descriptor(struct core *core)
{
    uint64_t base = (uintptr_t)&core->tss;
    uint64_t limit = sizeof(core->tss) - 1;
    core->gdt[3] = limit | (base & 0xffffff) << 16 | TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
    core->gdt[4] = base >> 32;
}

struct core *core_create(uint32_t index, uint32_t apic_id)
{
    uint64_t used_before = memory_pool_used();
    struct core *core = memory_need(sizeof(*core));
    core->self = core;
    core->index = index;
    core->apic_id = apic_id;
    core->stack_top = memory_stack(HV_STACK_BYTES);
    core->gdt[1] = DESCRIPTOR_CODE;
    core->gdt[2] = DESCRIPTOR_DATA;
    for (uint32_t i = 0; i < IST_COUNT; i++)
        core->tss.ist[i] = (uintptr_t)memory_stack(HV_IST_BYTES);
    core->tss.io_map_base = sizeof(core->tss);
    set_tss_descriptor(core);
    core->vmxon = memory_need(FRAME_BYTES);
    ring_init(&core->ring, memory_need(CORE_RING_BYTES), CORE_RING_BYTES);
    memory_window_init(index);
    core->footprint_bytes = memory_pool_used() - used_before;
    cores[index] = core;
    return core;
}

static void load_segments(const struct core *core)
{
    struct cpu_table_pointer gdtr = {sizeof(core->gdt) - 1, (uintptr_t)core->gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "mov %2, %%ds\n\tmov %2, %%es\n\tmov %2, %%ss\n\t"
                     "xorl %%eax, %%eax\n\tmov %%eax, %%fs\n\tmov %%eax, %%gs\n\t"
                     "lldt %%ax\n\t"
                     "ltr %3"
                     :
                     : "m"(gdtr), "i"(SELECTOR_CODE), "r"(SELECTOR_DATA), "r"((uint16_t)SELECTOR_TSS)
                     : "rax", "memory");
}

void core_load(struct core *core)
{
    load_segments(core);
    cpu_wrmsr(MSR_FS_BASE, 0);
    cpu_wrmsr(MSR_GS_BASE, (uintptr_t)core);
    cpu_wrmsr(MSR_PAT, PAT_VALUE);
    traps_load();
    /* No lazy FPU: the unit belongs to the guest, and the hypervisor is built without it. */
    uint64_t cr0 = cpu_read_cr0();
    cpu_write_cr0((cr0 | CR0_WP | CR0_NE | CR0_MP) & ~(CR0_TS | CR0_EM | CR0_CD | CR0_NW | CR0_AM));
    uint64_t cr4 = cpu_read_cr4() | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE;
    if (cpu_cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE)
        cr4 |= CR4_OSXSAVE;
    struct cpu_leaf features = cpu_cpuid(7, 0);
    if (features.ebx & CPUID_7_EBX_SMEP)
        cr4 |= CR4_SMEP;
    cpu_write_cr4(cr4);
}

_Noreturn void core_start(void)
{
    struct core *core = smp_starting_core();
    core_load(core);
    apic_enable();
    smp_core_main(core);
}
