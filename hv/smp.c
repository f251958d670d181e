/* Starting the other cores and sending them to work. */
#include "hv/smp.h"

#include "hv/apic.h"
#include "hv/console.h"
#include "hv/memory.h"
#include "hv/partition.h"
#include "hv/traps.h"
#include "hv/vmx/vmx.h"

/* "MP Initialization": INIT, 10 ms, SIPI, 200 us, SIPI. */
#define INIT_DELAY_US    10000
#define STARTUP_DELAY_US 200
#define ONLINE_LIMIT_US  500000
#define US_PER_SECOND    1000000

void *starting_stack; /* read by hv/entry.S */
static struct core *starting;
static uint64_t tsc_hz;

struct core *smp_starting_core(void)
{
    return starting;
}

static bool is_online(const struct core *core)
{
    return __atomic_load_n(&core->online, __ATOMIC_ACQUIRE) != 0;
}

/* Waits until the core is online, at most `us` microseconds. */
static bool wait_online(const struct core *core, uint64_t us)
{
    uint64_t start = cpu_rdtsc();
    uint64_t limit = tsc_hz / US_PER_SECOND * us;
    while (!is_online(core) && cpu_rdtsc() - start < limit)
        cpu_pause();
    return is_online(core);
}

static bool start_core(struct core *core, uint8_t page)
{
    starting = core;
    starting_stack = core->stack_top;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    apic_send_init(core->apic_id);
    wait_online(core, INIT_DELAY_US);
    apic_send_startup(core->apic_id, page);
    if (wait_online(core, STARTUP_DELAY_US))
        return true;
    apic_send_startup(core->apic_id, page);
    return wait_online(core, ONLINE_LIMIT_US);
}

uint32_t smp_start(const struct handoff *handoff)
{
    uint32_t online = 1;
    tsc_hz = handoff->machine.tsc_hz;
    for (uint32_t i = 1; i < handoff->machine.core_count; i++) {
        struct core *core = core_create(i, handoff->machine.cores[i].apic_id);
        if (start_core(core, (uint8_t)(handoff->trampoline >> FRAME_SHIFT)))
            online++;
        else
            console_printf("core %u (APIC id %u) did not start: it stays unused", i, core->apic_id);
    }
    return online;
}

_Noreturn void smp_core_main(struct core *core)
{
    if (!vmx_core_enable(core))
        panic("core %u: VMX differs from the boot core's, or VMXON was refused", core->index);
    __atomic_store_n(&core->online, 1, __ATOMIC_RELEASE);
    for (;;) {
        struct vcpu *vcpu = __atomic_load_n(&core->vcpu, __ATOMIC_ACQUIRE);
        if (vcpu != NULL && partition_step(vcpu))
            continue;
        core->heartbeat++;
        cpu_sleep();
    }
}

void smp_kick(uint32_t core)
{
    apic_send(cores[core]->apic_id, VECTOR_KICK);
}
