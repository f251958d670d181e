/*
 * The hypervisor from hand-over to control loop. hv_main is the table of contents.
 */
#include "hv/apic.h"
#include "hv/audit.h"
#include "hv/banner.h"
#include "hv/console.h"
#include "hv/control.h"
#include "hv/memory.h"
#include "hv/memory_type.h"
#include "hv/ownership.h"
#include "hv/partition.h"
#include "hv/plan_table.h"
#include "hv/smp.h"
#include "hv/traps.h"
#include "hv/vmx/vmx.h"

extern const char boot_stack[], boot_stack_end[]; /* hv/entry.S */

static const struct handoff *handoff;
static struct plan plan;

/* The last thing before work: every table is checked once. A violation here is our own bug. */
static void audit_at_start(void)
{
    struct audit_result result;
    audit_run(&result);
    control_post(RECORD_AUDIT, &result, sizeof(result));
    if (audit_violations(&result) != 0)
        panic("audit at start: %s", result.first);
}

static void create_partitions(void)
{
    partition_count = plan.partition_count;
    for (uint32_t i = 0; i < partition_count; i++) {
        struct partition *partition = partition_create(handoff, &plan, i);
        for (uint32_t v = 0; v < partition->vcpu_count; v++) {
            struct core *core = cores[partition->plan->cores[v]];
            if (core != NULL)
                __atomic_store_n(&core->vcpu, partition->vcpus[v], __ATOMIC_RELEASE);
        }
    }
}

static void tell_features(void)
{
    const char *features[VMX_FEATURE_NAMES_MAX];
    banner_features(features, vmx_feature_names(features), console_line_to, NULL);
}

/* The rest of start-up, on the boot core's own stack. */
static _Noreturn void start(void)
{
    for (const char *page = boot_stack; page < boot_stack_end; page += FRAME_BYTES)
        memory_unmap_page((uintptr_t)page); /* its like is guarded; whoever still used it would fault */
    apic_init(handoff->machine.tsc_hz);     /* IPIs, timer */
    memory_type_init();                     /* MTRRs */
    vmx_init(handoff->machine.tsc_hz);      /* capabilities, CPUID policy */
    banner_machine(&handoff->machine, handoff->config.region, handoff->config_source, console_line_to, NULL);
    tell_features();
    ownership_init(handoff, &plan); /* frames: who owns which; the plan, carved */
    plan_table(&handoff->config, &handoff->machine, &plan, console_line_to, NULL);
    if (!vmx_core_enable(cores[0])) /* VMXON */
        panic("boot core: VMXON was refused");
    cores[0]->online = 1;
    uint32_t online = smp_start(handoff); /* the other cores */
    memory_unmap_page(handoff->trampoline);
    console_printf("%u of %u cores online", online, handoff->machine.core_count);
    create_partitions(); /* EPT, vCPUs, devices */
    control_init(handoff, &plan);
    audit_at_start();
    for (uint32_t i = 0; i < partition_count; i++)
        partition_start(partitions[i]);
    control_main();
}

/* Called by hv/entry.S on the boot core. */
_Noreturn void hv_main(const struct handoff *from_boot);

_Noreturn void call_on_stack(void *stack_top, void (*function)(void));

_Noreturn void hv_main(const struct handoff *from_boot)
{
    handoff = from_boot;
    memory_init(handoff); /* pool, page tables */
    traps_init();         /* IDT */
    struct core *core = core_create(0, handoff->machine.cores[0].apic_id);
    core_load(core); /* GDT, TSS, control registers */
    console_init(handoff);
    CHECK(handoff->magic == HANDOFF_MAGIC && handoff->version == HANDOFF_VERSION &&
          handoff->bytes == sizeof(*handoff));
    call_on_stack(core->stack_top, start);
}
