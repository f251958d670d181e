/* A partition's life: built once, started, contained or ended, restarted. */
#include "hv/partition.h"

#include "guest/abi.h"
#include "hv/control.h"
#include "hv/devices.h"
#include "hv/fmt.h"
#include "hv/guest_memory.h"
#include "hv/memory.h"
#include "hv/memory_type.h"
#include "hv/records.h"
#include "hv/string.h"
#include "hv/vmx/absent.h"
#include "hv/vmx/vmx.h"

struct partition *partitions[CONFIG_MAX_PARTITIONS];
uint32_t partition_count;

static void create_vcpus(struct partition *partition)
{
    uint64_t used_before = memory_pool_used();
    for (uint32_t i = 0; i < partition->vcpu_count; i++) {
        struct vcpu *vcpu = memory_need(sizeof(*vcpu));
        vcpu->index = i;
        vcpu->core = partition->plan->cores[i];
        vcpu->partition = partition;
        vcpu->vmcs = memory_need(FRAME_BYTES);
        partition->vcpus[i] = vcpu;
    }
    partition->footprint.vcpu_bytes = memory_pool_used() - used_before;
}

static void map_memory(struct partition *partition)
{
    CHECK(ept_init(&partition->ept, &memory_frames, true, vmx_caps.ept_1gib) == EPT_OK);
    for (uint32_t i = 0; i < partition->range_count; i++) {
        const struct guest_range *range = &partition->ranges[i];
        for (uint64_t at = 0; at < range->bytes;) {
            enum ept_memory_type type;
            uint64_t run = memory_type_run(range->hpa + at, range->hpa + range->bytes, &type);
            struct ept_mapping mapping = {
                .gpa = gpa(range->gpa + at),
                .hpa = hpa(range->hpa + at),
                .bytes = run,
                .permissions = EPT_RWX,
                .type = type,
            };
            CHECK(ept_map(&partition->ept, mapping) == EPT_OK);
            at += run;
        }
    }
}

struct partition *partition_create(const struct handoff *handoff, const struct plan *plan, uint32_t index)
{
    uint64_t used_before = memory_pool_used();
    struct partition *partition = memory_need(sizeof(*partition));
    partition->index = index;
    partition->config = &handoff->config.partitions[index];
    partition->plan = &plan->partitions[index];
    partition->owner = partition->plan->owner;
    partition->image = &handoff->images[index];
    partition->vcpu_count = partition->plan->vcpu_count;
    guest_memory_layout(partition, partition->plan);
    enum image_status status = image_check(memory_reach(hpa(partition->image->base)), partition->image->bytes,
                                           partition->image->flat, partition->low_bytes, &partition->layout);
    CHECK(status == IMAGE_OK); /* boot/ has checked the same bytes */
    map_memory(partition);
    create_vcpus(partition);
    devices_init(partition);
    vmx_partition_init(partition);
    partition->footprint.table_bytes = partition->ept.table_count * FRAME_BYTES;
    partition->footprint.other_bytes =
        memory_pool_used() - used_before - partition->footprint.table_bytes - partition->footprint.vcpu_bytes;
    partitions[index] = partition;
    return partition;
}

static bool swap_state(struct partition *partition, enum partition_state from, enum partition_state to)
{
    uint32_t expected = from;
    return __atomic_compare_exchange_n(&partition->state, &expected, (uint32_t)to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static void tell_state(const struct partition *partition, enum partition_state from, enum partition_state to)
{
    struct record_state record = {
        .partition = partition->index,
        .from = from,
        .to = to,
        .incarnation = partition->restarts,
        .exit_code = partition->exit_code,
        .tsc = cpu_rdtsc(),
        .decided_tsc = partition->decided_tsc,
        .scrubbed_tsc = partition->scrubbed_tsc,
    };
    control_post(RECORD_STATE, &record, sizeof(record));
}

static bool change_state(struct partition *partition, enum partition_state from, enum partition_state to)
{
    if (!swap_state(partition, from, to))
        return false;
    tell_state(partition, from, to);
    return true;
}

/* The last change: only when it has been told does the control loop count the partition as ended. */
static void end(struct partition *partition, enum partition_state from, enum partition_state to)
{
    if (change_state(partition, from, to))
        __atomic_store_n(&partition->ended, true, __ATOMIC_RELEASE);
}

static void kick_all(struct partition *partition)
{
    for (uint32_t i = 0; i < partition->vcpu_count; i++)
        vcpu_kick(partition->vcpus[i]);
}

/* Ends the partition because it is lost to a core, and says so. Nothing, when it has just ended by itself. */
static void give_up(struct partition *partition, enum partition_state from, uint32_t core, const char *why)
{
    if (!swap_state(partition, from, PARTITION_FAULTED))
        return;
    memset(&partition->capsule, 0, sizeof(partition->capsule));
    partition->capsule.reason = FAULT_WATCHDOG;
    partition->capsule.core = core;
    partition->capsule.tsc = cpu_rdtsc();
    fmt_snprintf(partition->capsule.detail, sizeof(partition->capsule.detail), "core %u %s", core, why);
    partition->fault = FAULT_WATCHDOG;
    struct record_fault record = {
        .partition = partition->index, .restarts = false, .capsule = partition->capsule};
    control_post(RECORD_FAULT, &record, sizeof(record));
    tell_state(partition, from, PARTITION_FAULTED);
    __atomic_store_n(&partition->ended, true, __ATOMIC_RELEASE);
}

void partition_start(struct partition *partition)
{
    for (uint32_t i = 0; i < partition->vcpu_count; i++) {
        const struct core *core = cores[partition->vcpus[i]->core];
        if (core == NULL || __atomic_load_n(&core->online, __ATOMIC_ACQUIRE) == 0) {
            give_up(partition, PARTITION_READY, partition->vcpus[i]->core, "did not start");
            return;
        }
    }
    partition->decided_tsc = cpu_rdtsc();
    if (change_state(partition, PARTITION_READY, PARTITION_RESTARTING))
        vcpu_kick(partition->vcpus[0]);
}

/* On the core of vCPU 0: memory as new, then everybody in. */
static void prepare(struct partition *partition)
{
    guest_memory_scrub(partition);
    partition->scrubbed_tsc = cpu_rdtsc();
    guest_memory_load(partition, control_tsc_hz());
    memory_window_close();
    devices_init(partition);
    absent_reset(partition);
    for (uint32_t i = 0; i < partition->vcpu_count; i++)
        vapic_power_up(&partition->vcpus[i]->vapic, i);
    partition->awake = partition->vcpu_count;
    __atomic_store_n(&partition->inside, partition->vcpu_count, __ATOMIC_RELAXED);
    __atomic_add_fetch(&partition->generation, 1, __ATOMIC_RELEASE);
    if (change_state(partition, PARTITION_RESTARTING, PARTITION_RUNNING))
        kick_all(partition);
}

static bool may_restart(const struct partition *partition)
{
    return partition->fault != FAULT_NONE && partition->fault != FAULT_STOPPED &&
           partition->config->on_fault == ON_FAULT_RESTART &&
           partition->restarts < partition->config->restart_limit;
}

/* The last vCPU has left: say what happened, and decide how it goes on. */
static void finish(struct partition *partition)
{
    if (__atomic_load_n(&partition->state, __ATOMIC_ACQUIRE) != PARTITION_STOPPING)
        return; /* the watchdog has given it up meanwhile */
    bool restarts = may_restart(partition);
    if (partition->fault != FAULT_NONE) {
        struct record_fault record = {
            .partition = partition->index, .restarts = restarts, .capsule = partition->capsule};
        control_post(RECORD_FAULT, &record, sizeof(record));
    }
    if (!restarts) {
        end(partition, PARTITION_STOPPING,
            partition->fault != FAULT_NONE ? PARTITION_FAULTED : PARTITION_EXITED);
        return;
    }
    partition->restarts++;
    partition->fault = FAULT_NONE;
    partition->decided_tsc = cpu_rdtsc();
    change_state(partition, PARTITION_STOPPING, PARTITION_RESTARTING);
    vcpu_kick(partition->vcpus[0]);
}

bool partition_step(struct vcpu *vcpu)
{
    struct partition *partition = vcpu->partition;
    /*
     * The generation first: it is counted up before the state says running. The other way round, a core that
     * dawdles between the two could take the new generation for the old state and leave it at once.
     */
    uint32_t generation = __atomic_load_n(&partition->generation, __ATOMIC_ACQUIRE);
    uint32_t state = __atomic_load_n(&partition->state, __ATOMIC_ACQUIRE);
    if (state == PARTITION_RESTARTING && vcpu->index == 0) {
        prepare(partition);
        return true;
    }
    if ((state != PARTITION_RUNNING && state != PARTITION_STOPPING) || vcpu->generation == generation)
        return false;
    vcpu->generation = generation;
    vcpu_run(vcpu);
    if (__atomic_sub_fetch(&partition->inside, 1, __ATOMIC_ACQ_REL) == 0)
        finish(partition);
    return true;
}

/* The first to end a running partition owns its fault and capsule until the last vCPU has left. */
static bool claim_end(struct partition *partition)
{
    return change_state(partition, PARTITION_RUNNING, PARTITION_STOPPING);
}

bool partition_contain(struct vcpu *vcpu, enum fault_reason reason, const char *format, ...)
{
    struct partition *partition = vcpu->partition;
    vcpu->attention = 1;
    if (!claim_end(partition))
        return false;
    struct crash_capsule *capsule = &partition->capsule;
    memset(capsule, 0, sizeof(*capsule));
    capsule->reason = reason;
    capsule->vcpu = vcpu->index;
    capsule->core = vcpu->core;
    capsule->tsc = cpu_rdtsc();
    vmx_capture(vcpu, capsule);
    va_list args;
    va_start(args, format);
    fmt_vsnprintf(capsule->detail, sizeof(capsule->detail), format, args);
    va_end(args);
    partition->fault = reason;
    kick_all(partition);
    return true;
}

void partition_exit(struct vcpu *vcpu, uint32_t code)
{
    struct partition *partition = vcpu->partition;
    if (!claim_end(partition))
        return;
    partition->exit_code = code;
    kick_all(partition);
}

void partition_stop(struct partition *partition, enum fault_reason reason)
{
    __atomic_store_n(&partition->stop_request, (uint32_t)reason, __ATOMIC_RELEASE);
    kick_all(partition);
}

void partition_heed_stop(struct vcpu *vcpu)
{
    uint32_t *request = &vcpu->partition->stop_request;
    enum fault_reason reason = (enum fault_reason)__atomic_exchange_n(request, FAULT_NONE, __ATOMIC_ACQUIRE);
    if (reason != FAULT_NONE && !partition_contain(vcpu, reason, "%s", fault_meaning(reason)))
        __atomic_store_n(request, (uint32_t)reason, __ATOMIC_RELEASE); /* a restart must not undo it */
}

void partition_abandon(struct partition *partition, uint32_t core)
{
    claim_end(partition); /* it may be stopping already: the lost core is what keeps it from ending */
    give_up(partition, PARTITION_STOPPING, core,
            "neither left the guest nor answered; it stays out of use until the machine restarts");
}

bool partition_ended(const struct partition *partition)
{
    return __atomic_load_n(&partition->ended, __ATOMIC_ACQUIRE);
}

void partition_account(const struct partition *partition, struct partition_account *account)
{
    memset(account, 0, sizeof(*account));
    account->state = (enum partition_state)__atomic_load_n(&partition->state, __ATOMIC_ACQUIRE);
    account->exit_code = partition->exit_code;
    account->fault = partition->fault;
    account->restarts = partition->restarts;
    account->footprint = partition->footprint;
    for (uint32_t i = 0; i < partition->vcpu_count; i++) {
        const struct vcpu *vcpu = partition->vcpus[i];
        account->progress[i] = vcpu->progress;
        account->ticks_run += vcpu->ticks_run;
        account->absent_accesses += vcpu->absent_accesses;
        account->refused_msrs += vcpu->refused_msrs;
        account->hypercalls += vcpu->hypercalls;
        account->verdicts_passed += vcpu->verdicts_passed;
        account->verdicts_failed += vcpu->verdicts_failed;
        for (uint32_t reason = 0; reason < EXIT_REASON_LIMIT; reason++) {
            account->exits[reason].count += vcpu->exits[reason].count;
            account->exits[reason].ticks += vcpu->exits[reason].ticks;
            account->ticks_serviced += vcpu->exits[reason].ticks;
        }
    }
}

void partition_sleeps(struct vcpu *vcpu)
{
    spin_lock(&vcpu->partition->wake_lock);
    vcpu->partition->awake--;
    spin_unlock(&vcpu->partition->wake_lock);
}

void partition_wakes(struct vcpu *vcpu)
{
    spin_lock(&vcpu->partition->wake_lock);
    vcpu->partition->awake++;
    spin_unlock(&vcpu->partition->wake_lock);
}

/* A vCPU that was kicked and has not looked yet may wake up by it. */
static bool any_attention(const struct partition *partition)
{
    for (uint32_t i = 0; i < partition->vcpu_count; i++)
        if (__atomic_load_n(&partition->vcpus[i]->attention, __ATOMIC_SEQ_CST) != 0)
            return true;
    return false;
}

bool partition_can_wake(struct vcpu *vcpu)
{
    struct partition *partition = vcpu->partition;
    spin_lock(&partition->wake_lock);
    bool dead = partition->awake == 0 && !any_attention(partition);
    spin_unlock(&partition->wake_lock);
    if (dead)
        partition_contain(vcpu, FAULT_HALTED,
                          "all %u vCPUs halt or wait for start-up, and nothing is left that could wake one",
                          partition->vcpu_count);
    return !dead;
}
