/*
 * Guest-physical memory: what lies outside the slice ends the partition in words, and the device hole: one
 * instruction at a time finds ones there, leaves no trace, and gets its trap flag back.
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
#include "hv/exit_decode.h"
#include "hv/vmx/absent.h"

#define LINEAR (EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATED)
#define HOLE   (FH_HOLE_START + 0x7000)

static bool violation(struct vcpu *vcpu, uint64_t address, uint64_t qualification)
{
    rig_exits_with(EXIT_REASON_EPT_VIOLATION, qualification);
    fake_set(VMCS_GUEST_PHYSICAL_ADDRESS, address);
    fake_set(VMCS_GUEST_LINEAR_ADDRESS, address);
    bool stays = vmx_exit(vcpu);
    rig_expect_resume();
    if (stays) {
        rig_expect_defined(); /* the instruction length above all: undefined after a violation */
        rig_expect_enterable(vcpu);
    }
    return stays;
}

static bool debug_exception(struct vcpu *vcpu, uint64_t causes)
{
    rig_exits_with(EXIT_REASON_EXCEPTION_OR_NMI, causes);
    fake_set(VMCS_EXIT_INTERRUPTION_INFO,
             INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION << INTERRUPTION_TYPE_SHIFT | VECTOR_DB);
    bool stays = vmx_exit(vcpu);
    rig_expect_resume();
    return stays;
}

/* ---- outside the slice */

static void outside_the_slice(void **state)
{
    (void)state;
    static const struct {
        uint64_t address, qualification;
        const char *says;
    } cases[] = {
        {4 * MIB, EPT_VIOLATION_READ | LINEAR,
         "read of guest-physical 400000, outside its memory, by rip 123456"},
        {0x3fffffff8, EPT_VIOLATION_WRITE | LINEAR, "write of guest-physical 3fffffff8, outside its memory"},
        {FH_HOLE_START - 1, EPT_VIOLATION_READ | EPT_VIOLATION_WRITE | LINEAR,
         "write of guest-physical bfffffff"},
        {FH_HOLE_END, EPT_VIOLATION_FETCH | LINEAR, "fetch of guest-physical 100000000, outside its memory"},
        {0x50000000, EPT_VIOLATION_READ | EPT_VIOLATION_LINEAR_VALID, "page walk of guest-physical 50000000"},
        {HOLE, EPT_VIOLATION_FETCH | LINEAR, "in the device hole, which holds no code"},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *vcpu = rig_one();
        fake_set(VMCS_GUEST_RIP, 0x123456);
        assert_false(violation(vcpu, cases[i].address, cases[i].qualification));
        rig_expect_contained(vcpu->partition, FAULT_EPT_VIOLATION, cases[i].says);
        assert_int_equal(vcpu->partition->capsule.guest_physical, cases[i].address);
        assert_int_equal(vcpu->absent_accesses, 0);
    }
}

static void misconfiguration(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    rig_exits(EXIT_REASON_EPT_MISCONFIGURATION);
    fake_set(VMCS_GUEST_PHYSICAL_ADDRESS, 0x123000);
    assert_false(vmx_exit(vcpu));
    rig_expect_contained(vcpu->partition, FAULT_EPT_MISCONFIG, "guest-physical 123000 is malformed");
}

/* ---- the hole */

/* What the guest can reach at a hole address now; false: nothing. */
static bool reach(const struct partition *partition, uint64_t address, struct ept_leaf *leaf)
{
    bool found = ept_walk(&partition->ept, gpa(address), leaf);
    if (found) {
        assert_int_equal(leaf->hpa.value, partition->hole.scratch_frame.value);
        assert_int_equal(leaf->bytes, FRAME_BYTES);
    }
    return found;
}

static void expect_all_closed(const struct partition *partition)
{
    struct ept_leaf leaf;
    for (uint32_t i = 0; i < 512; i++)
        assert_int_equal(partition->hole.table[i], 0);
    for (uint64_t at = FH_HOLE_START; at < FH_HOLE_END; at += 37 * MIB + FRAME_BYTES)
        assert_false(reach(partition, at, &leaf));
    for (uint32_t i = 0; i < FRAME_BYTES; i++)
        assert_int_equal(partition->hole.scratch[i], 0xff);
}

static bool trap_flag(void)
{
    return (fake_get(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0;
}

static void one_read(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct ept_leaf leaf;
    expect_all_closed(vcpu->partition);
    assert_true(violation(vcpu, HOLE + 0x123, EPT_VIOLATION_READ | LINEAR));
    assert_true(reach(vcpu->partition, HOLE, &leaf));
    assert_int_equal(leaf.permissions, EPT_READ); /* nothing to make good afterwards */
    assert_int_equal(leaf.type, EPT_UC);
    assert_false(reach(vcpu->partition, HOLE + FRAME_BYTES, &leaf));
    assert_true(trap_flag());
    assert_int_equal(vcpu->absent_accesses, 1);
    assert_true(debug_exception(vcpu, DR6_BS));
    rig_expect_nothing_injected();
    rig_expect_enterable(vcpu);
    assert_false(trap_flag());
    assert_int_equal(fake_vmcs[fake_core].invepts, 1);
    assert_int_equal(fake_vmcs[fake_core].invept_pointer, vcpu->partition->ept_pointer);
    assert_int_equal(fake_cpu.dr6, DR6_RESET); /* the guest sees nothing of it */
    expect_all_closed(vcpu->partition);
}

static void one_write(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct ept_leaf leaf;
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_WRITE | EPT_VIOLATION_READ | LINEAR));
    assert_true(reach(vcpu->partition, HOLE, &leaf));
    assert_int_equal(leaf.permissions, EPT_READ | EPT_WRITE);
    memset(vcpu->partition->hole.scratch + 0x10, 0x42, 0x100); /* what the instruction does */
    assert_true(debug_exception(vcpu, DR6_BS));
    expect_all_closed(vcpu->partition);
}

/* A guest that single-steps itself: its own #DB comes, and its flag stays. */
static void its_own_trap_flag(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_TF);
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_READ | LINEAR));
    assert_true(violation(vcpu, HOLE + 0x3000, EPT_VIOLATION_WRITE | LINEAR)); /* its other operand */
    assert_true(debug_exception(vcpu, DR6_BS));
    rig_expect_exception(VECTOR_DB, false, 0);
    assert_true(trap_flag());
    assert_int_equal(fake_cpu.dr6, DR6_RESET | DR6_BS);
    expect_all_closed(vcpu->partition);
}

/* A breakpoint of the guest on the very access: that is told, our step is not. */
static void its_own_breakpoint(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_WRITE | LINEAR));
    assert_true(debug_exception(vcpu, DR6_BS | 4));
    rig_expect_exception(VECTOR_DB, false, 0);
    assert_int_equal(fake_cpu.dr6, DR6_RESET | 4);
    assert_false(trap_flag());
    expect_all_closed(vcpu->partition);
}

/* A #DB that is not the step leaves it under way. */
static void another_debug_exception_first(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct ept_leaf leaf;
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_READ | LINEAR));
    assert_true(debug_exception(vcpu, 1));
    rig_expect_exception(VECTOR_DB, false, 0);
    assert_true(reach(vcpu->partition, HOLE, &leaf));
    assert_int_equal(vcpu->step, STEP_BY_TRAP);
}

/* One instruction over many pages, more than are remembered one by one. */
static void many_pages(void **state)
{
    (void)state;
    for (uint32_t pages = 1; pages < 10; pages++) {
        struct vcpu *vcpu = rig_one();
        struct ept_leaf leaf;
        for (uint32_t i = 0; i < pages; i++)
            assert_true(
                violation(vcpu, FH_HOLE_START + (uint64_t)i * 0x203000, EPT_VIOLATION_WRITE | LINEAR));
        for (uint32_t i = 0; i < pages; i++) {
            assert_true(reach(vcpu->partition, FH_HOLE_START + (uint64_t)i * 0x203000, &leaf));
            assert_int_equal(leaf.permissions, EPT_READ | EPT_WRITE);
        }
        memset(vcpu->partition->hole.scratch, 0, FRAME_BYTES);
        assert_true(debug_exception(vcpu, DR6_BS));
        assert_false(trap_flag());
        assert_int_equal(vcpu->absent_accesses, pages);
        expect_all_closed(vcpu->partition);
    }
}

/* Read, then write of the same page by one instruction. */
static void read_then_write(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct ept_leaf leaf;
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_READ | LINEAR));
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_WRITE | EPT_VIOLATION_READABLE | LINEAR));
    assert_true(reach(vcpu->partition, HOLE, &leaf));
    assert_int_equal(leaf.permissions, EPT_READ | EPT_WRITE);
    vcpu->partition->hole.scratch[9] = 0;
    assert_true(debug_exception(vcpu, DR6_BS));
    expect_all_closed(vcpu->partition);
}

/* Blocking by STI or MOV SS at the same time: entry wants the pending step named. */
static void step_under_blocking(void **state)
{
    (void)state;
    static const uint64_t blocking[] = {0, INTERRUPTIBILITY_STI, INTERRUPTIBILITY_MOV_SS};
    for (uint32_t i = 0; i < ARRAY_SIZE(blocking); i++) {
        struct vcpu *vcpu = rig_one();
        fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
        fake_set(VMCS_GUEST_INTERRUPTIBILITY, blocking[i]);
        assert_true(violation(vcpu, HOLE, EPT_VIOLATION_READ | LINEAR)); /* looks whether it is enterable */
        assert_int_equal(fake_get(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS),
                         blocking[i] != 0 ? PENDING_DEBUG_BS : 0);
    }
}

static void nmi_blocking_of_an_iret(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_READ | EPT_VIOLATION_NMI_UNBLOCKED | LINEAR));
    assert_int_equal(fake_get(VMCS_GUEST_INTERRUPTIBILITY), INTERRUPTIBILITY_NMI);
    vcpu = rig_one();
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_READ | LINEAR));
    assert_int_equal(fake_get(VMCS_GUEST_INTERRUPTIBILITY), 0);
}

/* An interrupt waits until the step is over: its handler would else run, and return, with the flag set. */
static void no_interrupt_in_the_step(void **state)
{
    (void)state;
    for (uint32_t nmi = 0; nmi < 2; nmi++) {
        struct vcpu *vcpu = rig_one();
        fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
        vcpu->vapic.spurious = 0x1ff;
        vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = nmi ? IPI_NMI : IPI_FIXED, .vector = 0x55});
        vcpu->attention = 1;
        assert_true(violation(vcpu, HOLE, EPT_VIOLATION_READ | LINEAR));
        rig_expect_nothing_injected();
        assert_int_equal(fake_get(VMCS_PRIMARY_CONTROLS) &
                             (PRIMARY_INTERRUPT_WINDOW_EXITING | PRIMARY_NMI_WINDOW_EXITING),
                         0); /* a window would open before the instruction */
        assert_true(debug_exception(vcpu, DR6_BS));
        assert_int_equal(fake_get(VMCS_ENTRY_INTERRUPTION_INFO),
                         INTERRUPTION_VALID |
                             (nmi ? INTERRUPTION_NMI << INTERRUPTION_TYPE_SHIFT | VECTOR_NMI : 0x55));
    }
}

/* Two vCPUs in the hole at once, in any order: never a trace, never one's page left open by the other. */
static void two_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct random random = {seed};
        struct partition *partition = rig_running(2, 4 * MIB);
        uint64_t page[2] = {0, 0};
        bool writes[2] = {false, false};
        for (uint32_t i = 0; i < 2; i++) {
            rig_on(partition->vcpus[i]);
            partition->vcpus[i]->activity = VCPU_RUNS;
        }
        for (uint32_t turn = 0; turn < 30; turn++) {
            uint32_t i = (uint32_t)random_below(&random, 2);
            struct vcpu *vcpu = partition->vcpus[i];
            rig_on(vcpu);
            if (page[i] == 0) {
                page[i] = FH_HOLE_START + (1 + random_below(&random, 3)) * FRAME_BYTES;
                writes[i] = random_one_in(&random, 2);
                assert_true(violation(vcpu, page[i],
                                      (writes[i] ? EPT_VIOLATION_WRITE : EPT_VIOLATION_READ) | LINEAR));
                continue;
            }
            struct ept_leaf leaf;
            bool open = reach(partition, page[i], &leaf);
            if (!open ||
                (writes[i] && (leaf.permissions & EPT_WRITE) == 0)) { /* closed by the other: again */
                page[i] = 0;
                continue;
            }
            if (writes[i])
                memset(partition->hole.scratch, (int)seed, 8);
            assert_true(debug_exception(vcpu, DR6_BS));
            page[i] = 0;
        }
        for (uint32_t i = 0; i < 2; i++) {
            rig_on(partition->vcpus[i]);
            if (partition->vcpus[i]->step != STEP_NONE)
                assert_true(debug_exception(partition->vcpus[i], DR6_BS));
            assert_false(trap_flag());
        }
        expect_all_closed(partition);
    }
}

/* An INIT in the middle of the step, and the end of the partition: nothing stays open or written. */
static void init_ends_the_step(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_WRITE | LINEAR));
    vcpu->partition->hole.scratch[3] = 7;
    vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = IPI_INIT});
    vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = IPI_STARTUP, .vector = 9});
    assert_true(vcpu_attend(vcpu));
    assert_int_equal(vcpu->step, STEP_NONE);
    assert_false(trap_flag());
    expect_all_closed(vcpu->partition);
}

static bool leaves_the_hole_open(struct vcpu *vcpu)
{
    expect_all_closed(vcpu->partition);
    assert_true(violation(vcpu, HOLE, EPT_VIOLATION_WRITE | LINEAR));
    vcpu->partition->hole.scratch[3] = 7;
    assert_false(rig_exit(vcpu, EXIT_REASON_TRIPLE_FAULT));
    return true;
}

static void restart_ends_the_step(void **state)
{
    (void)state;
    rig_begin(1, 1, 4 * MIB);
    rig.handoff.config.partitions[0].on_fault = ON_FAULT_RESTART;
    rig.handoff.config.partitions[0].restart_limit = 2;
    rig_finish();
    fakes.guest = leaves_the_hole_open;
    partition_start(partitions[0]);
    rig_on(partitions[0]->vcpus[0]);
    for (uint32_t i = 0; i < 6; i++)
        assert_true(partition_step(partitions[0]->vcpus[0]));
    assert_int_equal(fakes.entries, 3);
    assert_true(partition_ended(partitions[0]));
}

/* However a guest roams the hole, it costs nothing. */
static void roaming_costs_nothing(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct random random = {5};
    uint64_t used = memory_pool_used();
    for (uint32_t i = 0; i < 500; i++) {
        assert_true(violation(vcpu, FH_HOLE_START + random_below(&random, GIB), EPT_VIOLATION_READ | LINEAR));
        assert_true(debug_exception(vcpu, DR6_BS));
    }
    assert_int_equal(memory_pool_used(), used);
    assert_int_equal(vcpu->absent_accesses, 500);
    expect_all_closed(vcpu->partition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outside_the_slice),
        cmocka_unit_test(misconfiguration),
        cmocka_unit_test(one_read),
        cmocka_unit_test(one_write),
        cmocka_unit_test(its_own_trap_flag),
        cmocka_unit_test(its_own_breakpoint),
        cmocka_unit_test(another_debug_exception_first),
        cmocka_unit_test(many_pages),
        cmocka_unit_test(read_then_write),
        cmocka_unit_test(step_under_blocking),
        cmocka_unit_test(nmi_blocking_of_an_iret),
        cmocka_unit_test(no_interrupt_in_the_step),
        cmocka_unit_test(two_at_once),
        cmocka_unit_test(init_ends_the_step),
        cmocka_unit_test(restart_ends_the_step),
        cmocka_unit_test(roaming_costs_nothing),
    };
    return cmocka_run_group_tests_name("exits: memory", tests, NULL, NULL);
}
