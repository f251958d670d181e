/* Running a virtual core: its life between reset and the end of its partition, and what other cores ask of
 * it. */
#include "hv/vcpu.h"

#include "hv/control.h"
#include "hv/devices.h"
#include "hv/partition.h"
#include "hv/smp.h"
#include "hv/vmx/vmx.h"

void vcpu_kick(struct vcpu *vcpu)
{
    __atomic_store_n(&vcpu->attention, 1, __ATOMIC_SEQ_CST);
    if (vcpu->core != this_core()->index)
        smp_kick(vcpu->core);
}

static bool partition_runs(const struct partition *partition)
{
    return __atomic_load_n(&partition->state, __ATOMIC_ACQUIRE) == PARTITION_RUNNING;
}

/* INIT, then SIPI, as they were posted together or apart. */
static void take_events(struct vcpu *vcpu, uint32_t events)
{
    if ((events & VAPIC_EVENT_INIT) != 0)
        vmx_vcpu_init_reset(vcpu);
    /* A start-up for a vCPU that does not wait for one is dropped, as the manual has it. */
    if ((events & VAPIC_EVENT_STARTUP) != 0 && vcpu->activity == VCPU_WAITS_FOR_STARTUP) {
        vmx_vcpu_startup(vcpu, (uint8_t)(events >> 8));
        vcpu->activity = VCPU_RUNS;
    }
    if ((events & VAPIC_EVENT_NMI) != 0 && vcpu->activity != VCPU_WAITS_FOR_STARTUP)
        vcpu->nmi_pending = true;
}

bool vcpu_attend(struct vcpu *vcpu)
{
    __atomic_store_n(&vcpu->attention, 0, __ATOMIC_SEQ_CST);
    this_core()->heartbeat++; /* the watchdog's call is answered by looking */
    partition_heed_stop(vcpu);
    if (!partition_runs(vcpu->partition))
        return false;
    take_events(vcpu, vapic_collect(&vcpu->vapic));
    if (vcpu->activity != VCPU_RUNS)
        return false;
    if (vcpu->nmi_pending && vmx_deliver_nmi(vcpu))
        vcpu->nmi_pending = false;
    vmx_deliver_interrupts(vcpu);
    return true;
}

/* Summed here rather than on the way of every exit. */
static uint64_t ticks_serviced(const struct vcpu *vcpu)
{
    uint64_t sum = 0;
    for (uint32_t reason = 0; reason < EXIT_REASON_LIMIT; reason++)
        sum += vcpu->exits[reason].ticks;
    return sum;
}

void vcpu_account_run(struct vcpu *vcpu)
{
    uint64_t now = cpu_rdtsc();
    uint64_t total = ticks_serviced(vcpu);
    uint64_t serviced = total - vcpu->run_mark_serviced;
    uint64_t passed = now - vcpu->run_mark_tsc;
    /* The service under way is not counted yet; it is taken off the next stretch. */
    vcpu->ticks_run += passed - min_u64(serviced, passed);
    vcpu->run_mark_tsc = now;
    vcpu->run_mark_serviced = total;
}

/*
 * The preemption timer counts what the guest runs; a guest whose exits take long hardly runs. So a long
 * service looks at the clock as well. (The core's own timer would not do: Bochs 2.7 decides at VM entry, from
 * RFLAGS.IF and before it counts as entry, whether interrupts are masked, so that a guest with IF clear is
 * not interrupted until it changes IF.)
 */
void vcpu_slice_if_due(struct vcpu *vcpu)
{
    if (cpu_rdtsc() - vcpu->slice_tsc >= control_tsc_hz() / VCPU_SLICES_PER_SECOND)
        vcpu_slice(vcpu);
}

void vcpu_slice(struct vcpu *vcpu)
{
    vcpu->slice_tsc = cpu_rdtsc();
    vcpu_account_run(vcpu);
    struct partition *partition = vcpu->partition;
    struct core *core = this_core();
    core->heartbeat++;
    devices_flush_output(vcpu);
    uint64_t limit = partition->config->time_limit_seconds;
    /* With its service: a guest that does nothing but exit hardly runs, and still has its core. */
    uint64_t used = vcpu->ticks_run + vcpu->run_mark_serviced - vcpu->limit_base_ticks;
    if (limit != 0 && used / control_tsc_hz() >= limit) {
        partition_contain(vcpu, FAULT_TIME_LIMIT, "vCPU %u ran for its time_limit of %llu s", vcpu->index,
                          (unsigned long long)limit);
    }
    if (core->index == 0)
        control_poll();
    if (!partition_runs(partition))
        vcpu->attention = 1;
}

/* A sleeping vCPU's turn: true when it has something to run for. */
static bool wakes(struct vcpu *vcpu)
{
    __atomic_store_n(&vcpu->attention, 0, __ATOMIC_SEQ_CST);
    partition_heed_stop(vcpu);
    take_events(vcpu, vapic_collect(&vcpu->vapic));
    if (vcpu->activity != VCPU_HALTED)
        return vcpu->activity == VCPU_RUNS;
    return vcpu->nmi_pending || (vmx_interrupts_enabled() && vapic_deliverable(&vcpu->vapic) >= 0);
}

/* The core sleeps until it is called; the boot core goes on with the control loop. */
static void sleep_on_core(const struct vcpu *vcpu)
{
    this_core()->heartbeat++;
    if (this_core()->index == 0) {
        control_poll();
        control_sleep();
    } else if (__atomic_load_n(&vcpu->attention, __ATOMIC_SEQ_CST) == 0) {
        cpu_sleep();
    }
}

/*
 * HLT, or waiting for start-up: the core sleeps too. Returns with the vCPU awake, or its partition no longer
 * running. It counts as awake before it looks into its mailbox: what it takes out there is seen by nobody
 * else, and the others must not believe meanwhile that nothing is left to wake anyone.
 */
static void sleep_until_woken(struct vcpu *vcpu)
{
    bool alive = true;
    while (alive && !wakes(vcpu) && partition_runs(vcpu->partition)) {
        partition_sleeps(vcpu);
        alive = partition_can_wake(vcpu);
        if (alive)
            sleep_on_core(vcpu);
        partition_wakes(vcpu);
    }
    if (vcpu->activity == VCPU_HALTED)
        vcpu->activity = VCPU_RUNS;
}

void vcpu_run(struct vcpu *vcpu)
{
    vmx_vcpu_start(vcpu);
    vcpu->slice_tsc = cpu_rdtsc();
    while (partition_runs(vcpu->partition)) {
        if (vcpu->activity != VCPU_RUNS) {
            sleep_until_woken(vcpu);
            continue;
        }
        if (!vcpu_attend(vcpu))
            continue;
        vcpu->run_mark_tsc = cpu_rdtsc();
        vcpu->run_mark_serviced = ticks_serviced(vcpu);
        if (!vmx_enter(vcpu))
            vmx_refused(vcpu);
        vcpu_account_run(vcpu);
    }
    devices_flush_output(vcpu);
    vmx_vcpu_stop(vcpu);
}
