/*
 * A partition's life on several cores: each state and who causes it, the first fault, restarts, exits, stops
 * from outside, cores that are lost, and when nothing is left that could wake anyone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest/abi.h"
#include "host_tests/fakes/rig.h"
#include "host_tests/support/random.h"

/* ---- what a guest does: one exit after the other, until it is left */

static uint64_t exit_code;

static bool guest_exits(struct vcpu *vcpu)
{
    vcpu->gpr[RAX] = FH_CALL_EXIT;
    vcpu->gpr[RDI] = exit_code;
    assert_false(rig_exit(vcpu, EXIT_REASON_VMCALL));
    return true;
}

static bool guest_triple_faults(struct vcpu *vcpu)
{
    assert_false(rig_exit(vcpu, EXIT_REASON_TRIPLE_FAULT));
    return true;
}

static bool guest_halts(struct vcpu *vcpu)
{
    assert_false(rig_exit(vcpu, EXIT_REASON_HLT));
    return true;
}

static bool guest_cannot_be_entered(struct vcpu *vcpu)
{
    (void)vcpu;
    fake_vmcs_exit(0);
    fake_set(VMCS_INSTRUCTION_ERROR, 7);
    return false;
}

static void expect_states(const enum partition_state *states, uint32_t count)
{
    assert_int_equal(fake_record_count(RECORD_STATE), count - 1);
    uint64_t before = 0;
    for (uint32_t i = 1; i < count; i++) {
        const struct record_state *record = &fake_record(RECORD_STATE, i - 1)->payload.state;
        assert_int_equal(record->from, states[i - 1]);
        assert_int_equal(record->to, states[i]);
        assert_true(record->tsc > before);
        before = record->tsc;
    }
}

static void step_all(struct partition *partition)
{
    bool busy = true;
    for (uint32_t rounds = 0; busy; rounds++) {
        assert_true(rounds < 100);
        busy = false;
        for (uint32_t i = 0; i < partition->vcpu_count; i++) {
            rig_on(partition->vcpus[i]);
            busy |= partition_step(partition->vcpus[i]);
        }
    }
}

static struct partition *one(enum on_fault on_fault, uint32_t limit)
{
    rig_begin(1, 1, 4 * MIB);
    rig.handoff.config.partitions[0].on_fault = on_fault;
    rig.handoff.config.partitions[0].restart_limit = limit;
    rig_finish();
    return partitions[0];
}

/* ---- from READY to its end */

static void exits_by_itself(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_RESTART, 5);
    assert_int_equal(partition->state, PARTITION_READY);
    rig_on(partition->vcpus[0]);
    assert_false(partition_step(partition->vcpus[0])); /* nobody has started it */
    fake_run_on(0);
    partition_start(partition);
    assert_int_equal(fakes.kicks[partition->vcpus[0]->core], 1);
    assert_false(partition_ended(partition));
    exit_code = 42;
    fakes.guest = guest_exits;
    step_all(partition);
    assert_true(partition_ended(partition));
    assert_int_equal(partition->exit_code, 42);
    assert_int_equal(partition->restarts, 0);
    const enum partition_state states[] = {PARTITION_READY, PARTITION_RESTARTING, PARTITION_RUNNING,
                                           PARTITION_STOPPING, PARTITION_EXITED};
    expect_states(states, ARRAY_SIZE(states));
    assert_int_equal(fake_record(RECORD_STATE, 3)->payload.state.exit_code, 42);
    assert_int_equal(fake_record_count(RECORD_FAULT), 0);
    assert_int_equal(fake_windows_open(partition->vcpus[0]->core), 0);
    assert_int_equal(fake_vmcs[partition->vcpus[0]->core].loaded, 0);
}

static void faults_and_stays(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_STOP, 5);
    fakes.guest = guest_triple_faults;
    fake_run_on(0);
    partition_start(partition);
    step_all(partition);
    assert_true(partition_ended(partition));
    const enum partition_state states[] = {PARTITION_READY, PARTITION_RESTARTING, PARTITION_RUNNING,
                                           PARTITION_STOPPING, PARTITION_FAULTED};
    expect_states(states, ARRAY_SIZE(states));
    const struct record_fault *fault = &fake_record(RECORD_FAULT, 0)->payload.fault;
    assert_int_equal(fake_record_count(RECORD_FAULT), 1);
    assert_int_equal(fault->capsule.reason, FAULT_TRIPLE_FAULT);
    assert_false(fault->restarts);
    assert_non_null(strstr(fault->capsule.detail, "vCPU 0 triple-faulted at rip 100000"));
    assert_int_equal(fault->capsule.core, partition->vcpus[0]->core);
    assert_int_equal(fault->capsule.rip, IMAGE_FLAT_BASE);
    assert_int_equal(fault->capsule.cs, FH_SELECTOR_CODE);
    assert_int_equal(fault->capsule.last_count, 1);
    assert_int_equal(fault->capsule.last[0].reason, EXIT_REASON_TRIPLE_FAULT);
}

static bool guest_dirties_and_faults(struct vcpu *vcpu)
{
    const struct fh_boot_info *info = rig_guest(vcpu->partition, FH_BOOT_INFO);
    uint8_t *anywhere = rig_guest(vcpu->partition, 3 * MIB + 5);
    assert_int_equal(info->incarnation, vcpu->partition->restarts);
    assert_int_equal(*anywhere, 0);
    assert_memory_equal(rig_guest(vcpu->partition, IMAGE_FLAT_BASE), rig.image, RIG_IMAGE_BYTES);
    *anywhere = 0x77;
    memset(rig_guest(vcpu->partition, IMAGE_FLAT_BASE), 0xee, RIG_IMAGE_BYTES);
    fake_cpu.breakpoints = 0x1234;
    fake_cpu.cr2 = 0x5678;
    fake_cpu.vectors_dirty = true;
    fake_msr(MSR_KERNEL_GS_BASE)->value = 0x99;
    vcpu->gpr[R15] = 0x4242;
    vcpu->progress = 17;
    return guest_triple_faults(vcpu);
}

static void restarts_up_to_the_limit(void **state)
{
    (void)state;
    for (uint32_t limit = 0; limit < 4; limit++) {
        struct partition *partition = one(ON_FAULT_RESTART, limit);
        fakes.guest = guest_dirties_and_faults;
        fake_run_on(0);
        partition_start(partition);
        step_all(partition);
        assert_int_equal(partition->restarts, limit);
        assert_int_equal(fakes.entries, limit + 1);
        assert_int_equal(partition->state, PARTITION_FAULTED);
        assert_true(partition_ended(partition));
        assert_int_equal(fake_record_count(RECORD_FAULT), limit + 1);
        for (uint32_t i = 0; i <= limit; i++)
            assert_int_equal(fake_record(RECORD_FAULT, i)->payload.fault.restarts, i < limit);
        assert_int_equal(partition->vcpus[0]->exits[EXIT_REASON_TRIPLE_FAULT].count, limit + 1);
        /* Nothing of the guest is left in the core. */
        assert_int_equal(fake_cpu.breakpoints | fake_cpu.cr2 | fake_msr(MSR_KERNEL_GS_BASE)->value, 0);
        assert_false(fake_cpu.vectors_dirty);
    }
}

static struct cpu_leaf leaf_without_xsave(uint32_t leaf, uint32_t subleaf)
{
    struct cpu_leaf answer = fake_skylake_leaf(leaf, subleaf);
    if (leaf == 1)
        answer.ecx &= ~CPUID_1_ECX_XSAVE;
    return answer;
}

/* An older processor leaves nothing behind either. */
static void without_xsave_or_single_flushes(void **state)
{
    (void)state;
    rig_begin(1, 1, 4 * MIB);
    fake_cpu.cpuid = leaf_without_xsave;
    fake_msr(MSR_VMX_EPT_VPID_CAP)->value &= ~(UINT64_C(1) << 41); /* INVVPID of a single context */
    rig_finish();
    assert_int_equal(vmx_cpuid_policy.xcr0_allowed, 0);
    assert_true(vmx_caps.vpid && !vmx_caps.invvpid_single_context);
    fakes.guest = guest_dirties_and_faults;
    fake_run_on(0);
    partition_start(partitions[0]);
    step_all(partitions[0]);
    assert_true(partition_ended(partitions[0]));
    assert_false(fake_cpu.vectors_dirty);
    assert_int_equal(fake_cpu.breakpoints | fake_cpu.cr2, 0);
    assert_int_equal(fake_vmcs[partitions[0]->vcpus[0]->core].invvpids, 1); /* since its last exit */
}

static void refused_entry(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_STOP, 0);
    fakes.guest = guest_cannot_be_entered;
    fake_run_on(0);
    partition_start(partition);
    step_all(partition);
    assert_int_equal(partition->fault, FAULT_ENTRY_FAILURE);
    assert_int_equal(partition->state, PARTITION_FAULTED);
    assert_int_equal(fakes.entries, 1);
}

static void core_that_did_not_start(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_RESTART, 3);
    cores[partition->vcpus[0]->core]->online = 0;
    fake_run_on(0);
    partition_start(partition);
    assert_true(partition_ended(partition));
    assert_int_equal(partition->fault, FAULT_WATCHDOG);
    assert_non_null(strstr(fake_record(RECORD_FAULT, 0)->payload.fault.capsule.detail, "did not start"));
    step_all(partition);
    const enum partition_state states[] = {PARTITION_READY, PARTITION_FAULTED};
    expect_states(states, ARRAY_SIZE(states));
}

/* ---- several vCPUs */

static void first_fault_wins(void **state)
{
    (void)state;
    struct partition *partition = rig_running(3, 4 * MIB);
    struct vcpu *first = partition->vcpus[2], *second = partition->vcpus[0];
    rig_on(first);
    assert_false(rig_exit(first, EXIT_REASON_TRIPLE_FAULT));
    assert_int_equal(partition->vcpus[0]->attention, 1);
    assert_int_equal(partition->vcpus[1]->attention, 1);
    assert_int_equal(fakes.kicks[second->core], 1);
    rig_on(second);
    fake_set(VMCS_GUEST_RIP, 0x123456);
    rig_exits_with(EXIT_REASON_EPT_VIOLATION, 2);
    fake_set(VMCS_GUEST_PHYSICAL_ADDRESS, UINT64_C(1) << 40);
    assert_false(vmx_exit(second));
    partition_exit(second, 5);
    assert_int_equal(partition->fault, FAULT_TRIPLE_FAULT);
    assert_int_equal(partition->capsule.reason, FAULT_TRIPLE_FAULT);
    assert_int_equal(partition->capsule.vcpu, 2);
    assert_int_equal(partition->exit_code, 0);
    assert_int_equal(fake_record_count(RECORD_STATE), 1);
}

static void exit_before_fault(void **state)
{
    (void)state;
    struct partition *partition = rig_running(2, 4 * MIB);
    rig_on(partition->vcpus[1]);
    partition->vcpus[1]->gpr[RAX] = FH_CALL_EXIT;
    partition->vcpus[1]->gpr[RDI] = 9;
    assert_false(rig_exit(partition->vcpus[1], EXIT_REASON_VMCALL));
    rig_on(partition->vcpus[0]);
    assert_false(rig_exit(partition->vcpus[0], EXIT_REASON_TRIPLE_FAULT));
    assert_int_equal(partition->fault, FAULT_NONE);
    assert_int_equal(partition->exit_code, 9);
}

/* vCPU 0 ends the partition while 1 has not come in yet: the last to leave finishes, not the first. */
static void last_one_out_finishes(void **state)
{
    (void)state;
    rig_begin(1, 2, 4 * MIB);
    rig_finish();
    struct partition *partition = partitions[0];
    rig_start(partition);
    fakes.guest = guest_triple_faults;
    rig_on(partition->vcpus[0]);
    assert_true(partition_step(partition->vcpus[0]));
    assert_int_equal(partition->state, PARTITION_STOPPING);
    assert_int_equal(fake_record_count(RECORD_FAULT), 0);
    assert_false(partition_step(partition->vcpus[0])); /* it has been in this generation */
    rig_on(partition->vcpus[1]);
    assert_true(partition_step(partition->vcpus[1]));
    assert_int_equal(fakes.entries, 1);
    assert_int_equal(partition->state, PARTITION_FAULTED);
    assert_int_equal(fake_record_count(RECORD_FAULT), 1);
}

/* ---- stops from outside */

static bool guest_is_stopped(struct vcpu *vcpu)
{
    uint32_t core = fake_core;
    fake_run_on(0);
    partition_stop(vcpu->partition, FAULT_STOPPED);
    fake_run_on(core);
    assert_false(rig_exit_with(vcpu, EXIT_REASON_EXTERNAL_INTERRUPT, 0));
    return true;
}

static void stopped_from_the_console(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_RESTART, 5);
    fakes.guest = guest_is_stopped;
    fake_run_on(0);
    partition_start(partition);
    step_all(partition);
    assert_int_equal(partition->state, PARTITION_FAULTED);
    assert_int_equal(partition->fault, FAULT_STOPPED);
    assert_int_equal(partition->restarts, 0); /* on_fault is for faults */
}

static void stopped_before_it_runs(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_RESTART, 5);
    fake_run_on(0);
    partition_start(partition);
    partition_stop(partition, FAULT_STOPPED);
    step_all(partition);
    assert_int_equal(fakes.entries, 0);
    assert_int_equal(partition->fault, FAULT_STOPPED);
    assert_int_equal(partition->state, PARTITION_FAULTED);
}

static bool guest_faults_while_it_is_stopped(struct vcpu *vcpu)
{
    uint32_t core = fake_core;
    partition_contain(vcpu, FAULT_TRIPLE_FAULT, "first");
    fake_run_on(0);
    partition_stop(vcpu->partition, FAULT_STOPPED);
    fake_run_on(core);
    assert_false(vcpu_attend(vcpu));
    return true;
}

/* The operator's order comes while the partition faults and is about to restart: it is not lost. */
static void stop_is_not_lost_in_a_restart(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_RESTART, 50);
    fakes.guest = guest_faults_while_it_is_stopped;
    fake_run_on(0);
    partition_start(partition);
    step_all(partition);
    assert_int_equal(partition->restarts, 1);
    assert_int_equal(fakes.entries, 1);
    assert_int_equal(partition->fault, FAULT_STOPPED);
}

static void stops_while_it_sleeps_hook(void)
{
    uint32_t core = fake_core;
    fake_run_on(0);
    partition_stop(partitions[0], FAULT_STOPPED);
    fake_run_on(core);
}

/* A halted vCPU (which an interrupt could still wake) notices a stop. */
static void stopped_while_it_sleeps(void **state)
{
    (void)state;
    struct partition *partition = rig_running(2, 4 * MIB);
    fake_cpu.on_sleep = stops_while_it_sleeps_hook;
    partition->vcpus[0]->generation = partition->generation; /* runs somewhere */
    rig_on(partition->vcpus[1]);
    assert_true(partition_step(partition->vcpus[1]));
    assert_int_equal(fake_cpu.sleeps, 1);
    assert_int_equal(partition->fault, FAULT_STOPPED);
}

/* ---- lost cores */

static void lost_core(void **state)
{
    (void)state;
    for (uint32_t stopping = 0; stopping < 2; stopping++) {
        struct partition *partition = rig_running(2, 4 * MIB);
        rig.handoff.config.partitions[0].on_fault = ON_FAULT_RESTART;
        rig.handoff.config.partitions[0].restart_limit = 5;
        rig_on(partition->vcpus[0]);
        if (stopping)
            assert_false(rig_exit(partition->vcpus[0], EXIT_REASON_TRIPLE_FAULT));
        fake_run_on(0);
        partition_abandon(partition, partition->vcpus[1]->core);
        assert_true(partition_ended(partition));
        assert_int_equal(partition->state, PARTITION_FAULTED);
        assert_int_equal(partition->fault, FAULT_WATCHDOG);
        assert_int_equal(fake_record_count(RECORD_FAULT), 1);
        assert_int_equal(fake_record(RECORD_FAULT, 0)->payload.fault.capsule.core, partition->vcpus[1]->core);
        uint32_t states = fake_record_count(RECORD_STATE);
        /* Both cores come back after all: nothing more happens. */
        for (uint32_t i = 0; i < 2; i++) {
            rig_on(partition->vcpus[i]);
            partition->vcpus[i]->generation = partition->generation - 1;
            partition_step(partition->vcpus[i]);
            assert_false(vcpu_attend(partition->vcpus[i]));
        }
        partition_abandon(partition, partition->vcpus[0]->core);
        assert_int_equal(fake_record_count(RECORD_STATE), states);
        assert_int_equal(partition->state, PARTITION_FAULTED);
    }
}

static bool guest_is_given_up(struct vcpu *vcpu)
{
    uint32_t core = fake_core;
    fake_run_on(0);
    partition_abandon(vcpu->partition, core);
    assert_true(partition_ended(vcpu->partition));
    fake_run_on(core);
    vcpu->attention = 1;
    assert_false(rig_exit(vcpu, EXIT_REASON_EXTERNAL_INTERRUPT));
    return true;
}

/* The core was only slow: it leaves as the last one, and finds nothing to finish. */
static void lost_core_comes_back(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_RESTART, 5);
    fakes.guest = guest_is_given_up;
    fake_run_on(0);
    partition_start(partition);
    step_all(partition);
    assert_int_equal(partition->inside, 0);
    assert_int_equal(partition->state, PARTITION_FAULTED);
    assert_int_equal(partition->restarts, 0);
    assert_int_equal(fakes.entries, 1);
    assert_int_equal(fake_record_count(RECORD_FAULT), 1);
}

/* ---- nothing left that could wake anyone */

static void halted_for_good(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_STOP, 0);
    fakes.guest = guest_halts; /* interrupts are off after start */
    fake_run_on(0);
    partition_start(partition);
    step_all(partition);
    assert_int_equal(partition->fault, FAULT_HALTED);
    assert_non_null(strstr(partition->capsule.detail, "all 1 vCPUs halt"));
    assert_int_equal(fake_cpu.sleeps, 0);
}

static void vcpu_0_halts(void)
{
    uint32_t core = fake_core;
    struct vcpu *vcpu = partitions[0]->vcpus[0];
    rig_on(vcpu);
    assert_true(partition_step(vcpu));
    fake_run_on(core);
}

/* The other one waits for its start-up, which now nobody can send. */
static void halted_beside_one_that_never_started(void **state)
{
    (void)state;
    rig_begin(1, 2, 4 * MIB);
    rig_finish();
    struct partition *partition = partitions[0];
    rig_start(partition);
    fakes.guest = guest_halts;
    fake_cpu.on_sleep = vcpu_0_halts;
    rig_on(partition->vcpus[1]);
    assert_true(partition_step(partition->vcpus[1]));
    assert_int_equal(fakes.entries, 1);
    assert_int_equal(partition->fault, FAULT_HALTED);
    assert_int_equal(partition->capsule.vcpu, 0);
    assert_int_equal(partition->state, PARTITION_FAULTED);
}

static void send(struct vcpu *from, uint64_t icr)
{
    uint32_t core = fake_core;
    rig_on(from);
    from->gpr[RCX] = MSR_X2APIC_ICR;
    from->gpr[RAX] = (uint32_t)icr;
    from->gpr[RDX] = icr >> 32;
    assert_true(rig_exit(from, EXIT_REASON_WRMSR));
    rig_expect_next();
    fake_run_on(core);
}

#define ICR_TO(id)          ((uint64_t)(id) << 32)
#define ICR_INIT            0x4500u
#define ICR_STARTUP(vector) (0x4600u | (vector))
#define ICR_NMI             0x4400u

/*
 * vCPU 0 starts vCPU 1 and halts at once. From the IPI until vCPU 1 runs there must be no moment at which the
 * partition looks dead; here vCPU 0 asks at every single access that vCPU 1's core makes on the way.
 */
static uint32_t asked;

static void vcpu_0_asks(enum vmcs_field field)
{
    (void)field;
    uint32_t core = fake_core;
    struct vcpu *vcpu = partitions[0]->vcpus[0];
    void (*again)(enum vmcs_field) = fake_on_access;
    fake_on_access = NULL;
    rig_on(vcpu);
    partition_sleeps(vcpu);
    asked++;
    assert_true(partition_can_wake(vcpu));
    partition_wakes(vcpu);
    fake_run_on(core);
    fake_on_access = again;
}

static void vcpu_0_starts_vcpu_1(void)
{
    send(partitions[0]->vcpus[0], ICR_TO(1) | ICR_INIT);
    send(partitions[0]->vcpus[0], ICR_TO(1) | ICR_STARTUP(0xb));
    vcpu_0_asks(VMCS_GUEST_RIP);
    fake_on_access = vcpu_0_asks;
}

static bool guest_runs_at_last(struct vcpu *vcpu)
{
    fake_on_access = NULL;
    assert_int_equal(vcpu->index, 1);
    assert_int_equal(fake_get(VMCS_GUEST_CS_BASE), 0xb000);
    assert_int_equal(fake_get(VMCS_GUEST_CS_SELECTOR), 0xb00);
    assert_int_equal(fake_get(VMCS_GUEST_RIP), 0);
    return guest_exits(vcpu);
}

static void not_halted_while_one_wakes_up(void **state)
{
    (void)state;
    rig_begin(1, 2, 4 * MIB);
    rig_finish();
    struct partition *partition = partitions[0];
    rig_start(partition);
    rig_on(partition->vcpus[0]);
    vmx_vcpu_start(partition->vcpus[0]);
    asked = 0;
    fakes.guest = guest_runs_at_last;
    fake_cpu.on_sleep = vcpu_0_starts_vcpu_1;
    rig_on(partition->vcpus[1]);
    assert_true(partition_step(partition->vcpus[1]));
    assert_true(asked > 20);
    assert_int_equal(fakes.entries, 1);
    assert_int_equal(partition->fault, FAULT_NONE);
    assert_int_equal(partition->awake, 2);
}

/* What wakes a halted vCPU: an interrupt when it can take one, an NMI always. */
static uint64_t wake_by;

static void wake_hook(void)
{
    if (fake_cpu.sleeps == 1)
        send(partitions[0]->vcpus[1], ICR_TO(0) | wake_by);
    else
        stops_while_it_sleeps_hook();
}

static bool guest_halts_then_exits(struct vcpu *vcpu)
{
    if (fakes.entries > 1)
        return guest_exits(vcpu);
    if (wake_by == 0x4055)
        fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
    vcpu->vapic.spurious = 0x1ff;
    return guest_halts(vcpu);
}

static void what_wakes(void **state)
{
    (void)state;
    static const uint64_t by[] = {0x4055 /* fixed, interrupts on */, ICR_NMI,
                                  0x4056 /* fixed, interrupts off */};
    for (uint32_t i = 0; i < ARRAY_SIZE(by); i++) {
        rig_begin(1, 2, 4 * MIB);
        rig_finish();
        struct partition *partition = partitions[0];
        rig_start(partition);
        rig_on(partition->vcpus[1]);
        vmx_vcpu_start(partition->vcpus[1]);
        partition->vcpus[1]->activity = VCPU_RUNS;
        partition->vcpus[1]->attention = 0;
        wake_by = by[i];
        exit_code = 0;
        fake_cpu.on_sleep = wake_hook;
        fakes.guest = guest_halts_then_exits;
        rig_on(partition->vcpus[0]);
        assert_true(partition_step(partition->vcpus[0]));
        bool wakes = i < 2;
        assert_int_equal(fakes.entries, wakes ? 2 : 1);
        assert_int_equal(partition->fault, wakes ? FAULT_NONE : FAULT_STOPPED);
    }
}

/* On the boot core a sleeping vCPU carries the control loop. */
static void boot_core_polls_while_it_sleeps(void **state)
{
    (void)state;
    rig_begin(1, 2, 4 * MIB);
    rig_finish();
    struct partition *partition = partitions[0];
    rig_start(partition);
    partition->vcpus[1]->core = 0; /* as on a machine with few cores */
    fakes.on_sleep = stops_while_it_sleeps_hook;
    fake_run_on(0);
    assert_true(partition_step(partition->vcpus[1]));
    assert_int_equal(fakes.polls, 1);
    assert_int_equal(fakes.sleeps, 1);
    assert_int_equal(fake_cpu.sleeps, 0);
}

/* ---- accounts, time */

static void account_sums_up(void **state)
{
    (void)state;
    struct partition *partition = rig_running(3, 4 * MIB);
    struct partition_account account;
    for (uint32_t i = 0; i < 3; i++) {
        struct vcpu *vcpu = partition->vcpus[i];
        vcpu->progress = 100 + i;
        vcpu->ticks_run = UINT64_C(1000) << i;
        vcpu->absent_accesses = 1 << i;
        vcpu->refused_msrs = UINT64_C(8) << i;
        vcpu->hypercalls = UINT64_C(64) << i;
        vcpu->verdicts_passed = 3;
        vcpu->verdicts_failed = i;
        vcpu->exits[EXIT_REASON_IO] = (struct exit_count){5, 500};
        vcpu->exits[EXIT_REASON_LIMIT - 1] = (struct exit_count){1, 7};
    }
    partition->restarts = 4;
    partition_account(partition, &account);
    assert_int_equal(account.state, PARTITION_RUNNING);
    assert_int_equal(account.restarts, 4);
    assert_int_equal(account.progress[2], 102);
    assert_int_equal(account.ticks_run, 7000);
    assert_int_equal(account.absent_accesses, 7);
    assert_int_equal(account.refused_msrs, 56);
    assert_int_equal(account.hypercalls, 448);
    assert_int_equal(account.verdicts_passed, 9);
    assert_int_equal(account.verdicts_failed, 3);
    assert_int_equal(account.exits[EXIT_REASON_IO].count, 15);
    assert_int_equal(account.exits[EXIT_REASON_IO].ticks, 1500);
    assert_int_equal(account.ticks_serviced, 1521);
}

static void time_limit(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    rig.handoff.config.partitions[0].time_limit_seconds = 2;
    vcpu->run_mark_tsc = fake_cpu.tsc;
    fake_cpu.tsc += FAKE_TSC_HZ + FAKE_TSC_HZ / 2;
    assert_true(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
    uint64_t heartbeat = cores[vcpu->core]->heartbeat;
    assert_true(heartbeat > 0);
    fake_cpu.tsc += FAKE_TSC_HZ;
    assert_false(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
    rig_expect_contained(vcpu->partition, FAULT_TIME_LIMIT, "vCPU 0 ran for its time_limit of 2 s");
    assert_true(cores[vcpu->core]->heartbeat > heartbeat);
    assert_in_range(vcpu->ticks_run, 5 * FAKE_TSC_HZ / 2, 5 * FAKE_TSC_HZ / 2 + 1000);
}

/* A guest that lives in its exits meets the limit too, in every life anew. */
static void time_limit_counts_service(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    rig.handoff.config.partitions[0].time_limit_seconds = 2;
    vcpu->ticks_run = FAKE_TSC_HZ;
    vcpu->run_mark_serviced = 5 * FAKE_TSC_HZ;
    vcpu->exits[EXIT_REASON_CPUID].ticks = 5 * FAKE_TSC_HZ;
    vcpu->limit_base_ticks = 6 * FAKE_TSC_HZ;
    vcpu->run_mark_tsc = fake_cpu.tsc;
    fake_cpu.tsc += FAKE_TSC_HZ + FAKE_TSC_HZ / 2;
    vcpu->exits[EXIT_REASON_CPUID].ticks += FAKE_TSC_HZ + FAKE_TSC_HZ / 2;
    assert_true(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
    fake_cpu.tsc += FAKE_TSC_HZ;
    vcpu->exits[EXIT_REASON_CPUID].ticks += FAKE_TSC_HZ;
    assert_false(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
    rig_expect_contained(vcpu->partition, FAULT_TIME_LIMIT, "vCPU 0 ran for its time_limit of 2 s");
}

/* Time in the hypervisor is not the guest's. */
static void run_time_leaves_service_out(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_cpu.tsc_step = 0;
    vcpu->run_mark_tsc = fake_cpu.tsc;
    fake_cpu.tsc += 10000;
    vcpu->exits[EXIT_REASON_IO].ticks += 3000;
    vcpu_account_run(vcpu);
    assert_int_equal(vcpu->ticks_run, 7000);
    fake_cpu.tsc += 100;
    vcpu->exits[EXIT_REASON_CPUID].ticks +=
        250; /* the service under way was counted in full after the mark */
    vcpu_account_run(vcpu);
    assert_int_equal(vcpu->ticks_run, 7000);
}

/* A thousand lives: nothing is taken from the pool, nothing stays behind. */
static void a_thousand_lives(void **state)
{
    (void)state;
    struct partition *partition = one(ON_FAULT_RESTART, 999);
    uint64_t used = memory_pool_used();
    fakes.guest = guest_triple_faults;
    fake_run_on(0);
    partition_start(partition);
    for (uint32_t i = 0; i < 1000; i++) {
        fakes.record_count = 0;
        rig_on(partition->vcpus[0]);
        assert_true(partition_step(partition->vcpus[0]));
        assert_true(partition_step(partition->vcpus[0]));
    }
    assert_true(partition_ended(partition));
    assert_int_equal(partition->restarts, 999);
    assert_int_equal(memory_pool_used(), used);
    assert_int_equal(partition->inside, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exits_by_itself),
        cmocka_unit_test(faults_and_stays),
        cmocka_unit_test(restarts_up_to_the_limit),
        cmocka_unit_test(without_xsave_or_single_flushes),
        cmocka_unit_test(refused_entry),
        cmocka_unit_test(core_that_did_not_start),
        cmocka_unit_test(first_fault_wins),
        cmocka_unit_test(exit_before_fault),
        cmocka_unit_test(last_one_out_finishes),
        cmocka_unit_test(stopped_from_the_console),
        cmocka_unit_test(stopped_before_it_runs),
        cmocka_unit_test(stop_is_not_lost_in_a_restart),
        cmocka_unit_test(stopped_while_it_sleeps),
        cmocka_unit_test(lost_core),
        cmocka_unit_test(lost_core_comes_back),
        cmocka_unit_test(halted_for_good),
        cmocka_unit_test(halted_beside_one_that_never_started),
        cmocka_unit_test(not_halted_while_one_wakes_up),
        cmocka_unit_test(what_wakes),
        cmocka_unit_test(boot_core_polls_while_it_sleeps),
        cmocka_unit_test(account_sums_up),
        cmocka_unit_test(time_limit),
        cmocka_unit_test(time_limit_counts_service),
        cmocka_unit_test(run_time_leaves_service_out),
        cmocka_unit_test(a_thousand_lives),
    };
    return cmocka_run_group_tests_name("partition", tests, NULL, NULL);
}
