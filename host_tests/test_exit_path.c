/*
 * The way of every exit: counted and charged once, remembered in the ring, RIP advanced by it alone, reasons
 * nobody services, and when the guest is left. Budgets of VMREAD and VMWRITE for the hot exits: under a
 * nested hypervisor each costs about a thousand cycles.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guest/abi.h"
#include "host_tests/fakes/rig.h"
#include "host_tests/support/random.h"

static void counts_and_charges(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_cpu.tsc_step = 100;
    for (uint32_t i = 1; i <= 20; i++) {
        vcpu->gpr[RAX] = FH_CALL_NOP;
        assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL));
        rig_expect_next();
        assert_int_equal(vcpu->exits[EXIT_REASON_VMCALL].count, i);
        assert_int_equal(vcpu->exits[EXIT_REASON_VMCALL].ticks, i * 100);
    }
    rig_expect_defined();
}

/* The TSC's low half wraps in the middle of a service. */
static void charge_across_the_wrap(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_cpu.tsc = (UINT64_C(7) << 32) - 60;
    fake_cpu.tsc_step = 50;
    vcpu->gpr[RAX] = FH_CALL_NOP;
    assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL));
    assert_int_equal(vcpu->exits[EXIT_REASON_VMCALL].ticks, 50);
    assert_int_equal((uint64_t)vcpu->exit->tsc_high << 32 | vcpu->exit->tsc_low, (UINT64_C(7) << 32) - 10);
}

static const uint64_t reasons_seen[] = {EXIT_REASON_CPUID, EXIT_REASON_VMCALL, EXIT_REASON_WBINVD};

/* The capsule's last exits: the newest eight, oldest first, with the RIPs they came from. */
static void ring_of_last_exits(void **state)
{
    (void)state;
    for (uint32_t exits = 1; exits < 30; exits++) {
        struct vcpu *vcpu = rig_one();
        uint64_t rips[64];
        for (uint32_t i = 0; i < exits; i++) {
            rips[i] = 0x100000 + i * 0x10;
            fake_set(VMCS_GUEST_RIP, rips[i]);
            vcpu->gpr[RAX] = 0;
            assert_true(rig_exit(vcpu, reasons_seen[i % 3]));
        }
        struct crash_capsule capsule = {0};
        vmx_capture(vcpu, &capsule);
        uint32_t kept = exits < CAPSULE_LAST_EXITS ? exits : CAPSULE_LAST_EXITS;
        assert_int_equal(capsule.last_count, kept);
        for (uint32_t i = 0; i < kept; i++) {
            uint32_t n = exits - kept + i;
            assert_int_equal(capsule.last[i].rip, rips[n]);
            assert_int_equal(capsule.last[i].reason, reasons_seen[n % 3]);
            assert_true(i == 0 || capsule.last[i].tsc > capsule.last[i - 1].tsc);
        }
    }
}

/* Every reason there is: serviced, or its partition contained; always counted once, in its own slot. */
static void every_reason(void **state)
{
    (void)state;
    for (uint64_t reason = 0; reason < 200; reason++) {
        struct vcpu *vcpu = rig_one();
        /* All exit information as a hostile guest could have it at worst: whatever bits. */
        struct random random = {reason};
        rig_exits(reason);
        for (uint32_t field = VMCS_EXIT_INTERRUPTION_INFO; field <= VMCS_EXIT_INSTRUCTION_INFO; field += 2)
            fake_set((enum vmcs_field)field, random_u64(&random));
        for (uint32_t field = VMCS_EXIT_QUALIFICATION; field <= VMCS_GUEST_LINEAR_ADDRESS; field += 2)
            fake_set((enum vmcs_field)field, random_u64(&random));
        fake_set(VMCS_GUEST_PHYSICAL_ADDRESS, random_u64(&random));
        bool stays = vmx_exit(vcpu);
        uint32_t slot = reason < EXIT_REASON_LIMIT ? (uint32_t)reason : EXIT_REASON_LIMIT - 1;
        for (uint32_t i = 0; i < EXIT_REASON_LIMIT; i++)
            assert_int_equal(vcpu->exits[i].count, i == slot);
        if (vcpu->activity == VCPU_RUNS)
            assert_int_equal(stays, vcpu->partition->state == PARTITION_RUNNING);
    }
}

static void nobody_services(void **state)
{
    (void)state;
    static const uint64_t reasons[] = {EXIT_REASON_INIT,
                                       EXIT_REASON_SIPI,
                                       EXIT_REASON_TASK_SWITCH,
                                       EXIT_REASON_INVLPG,
                                       EXIT_REASON_RDTSC,
                                       EXIT_REASON_RSM,
                                       EXIT_REASON_MOV_DR,
                                       EXIT_REASON_APIC_ACCESS,
                                       EXIT_REASON_PAUSE,
                                       EXIT_REASON_PML_FULL,
                                       35,
                                       EXIT_REASON_RDRAND,
                                       EXIT_REASON_TDCALL,
                                       EXIT_REASON_WRMSRLIST};
    for (uint32_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        struct vcpu *vcpu = rig_one();
        char text[32];
        assert_false(rig_exit(vcpu, reasons[i]));
        rig_expect_resume();
        snprintf(text, sizeof(text), "(reason %u) is not serviced", (unsigned)reasons[i]);
        rig_expect_contained(vcpu->partition, FAULT_UNHANDLED_EXIT, text);
    }
}

/* Upper bits of the reason: the handler is found by the lower ones, the capsule keeps them all. */
static void reasons_with_upper_bits(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(rig_exit(vcpu, EXIT_REASON_CPUID | EXIT_REASON_BUS_LOCK_PENDING));
    rig_expect_next();
    assert_int_equal(vcpu->exits[EXIT_REASON_CPUID].count, 1);

    vcpu = rig_one();
    assert_false(rig_exit_with(vcpu, EXIT_REASON_ENTRY_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE, 0));
    assert_int_equal(vcpu->partition->fault, FAULT_ENTRY_FAILURE);
    assert_int_equal(vcpu->partition->capsule.exit_reason,
                     EXIT_REASON_ENTRY_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE);
    assert_int_equal(vcpu->exits[EXIT_REASON_ENTRY_GUEST_STATE].count, 1);

    vcpu = rig_one();
    assert_false(rig_exit(vcpu, EXIT_REASON_LIMIT + 20));
    rig_expect_contained(vcpu->partition, FAULT_UNHANDLED_EXIT, "not serviced");
    assert_int_equal(vcpu->exits[EXIT_REASON_LIMIT - 1].count, 1);
}

/* Instructions that CPUID does not show. */
static void absent_instructions(void **state)
{
    (void)state;
    static const uint64_t reasons[] = {
        EXIT_REASON_GETSEC,  EXIT_REASON_VMCLEAR, EXIT_REASON_VMLAUNCH, EXIT_REASON_VMPTRLD,
        EXIT_REASON_VMPTRST, EXIT_REASON_VMREAD,  EXIT_REASON_VMRESUME, EXIT_REASON_VMWRITE,
        EXIT_REASON_VMXOFF,  EXIT_REASON_VMXON,   EXIT_REASON_MWAIT,    EXIT_REASON_MONITOR,
        EXIT_REASON_INVEPT,  EXIT_REASON_INVVPID, EXIT_REASON_RDTSCP,   EXIT_REASON_VMFUNC,
        EXIT_REASON_ENCLS,   EXIT_REASON_INVPCID, EXIT_REASON_XSAVES,   EXIT_REASON_XRSTORS};
    struct vcpu *vcpu = rig_one();
    for (uint32_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        assert_true(rig_exit(vcpu, reasons[i]));
        rig_expect_exception(VECTOR_UD, false, 0);
        rig_expect_resume();
        rig_expect_defined();
    }
    assert_true(rig_exit(vcpu, EXIT_REASON_RDPMC));
    rig_expect_exception(VECTOR_GP, true, 0);
    rig_expect_resume();
    rig_expect_running(vcpu->partition);
}

/* STI and MOV SS hold events back for one instruction: the emulated one was it. */
static void blocking_ends_with_the_instruction(void **state)
{
    (void)state;
    static const uint64_t blocking[] = {INTERRUPTIBILITY_STI, INTERRUPTIBILITY_MOV_SS,
                                        INTERRUPTIBILITY_STI | INTERRUPTIBILITY_NMI};
    struct vcpu *vcpu = rig_one();
    for (uint32_t i = 0; i < ARRAY_SIZE(blocking); i++) {
        fake_set(VMCS_GUEST_INTERRUPTIBILITY, blocking[i]);
        assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
        assert_int_equal(fake_get(VMCS_GUEST_INTERRUPTIBILITY), blocking[i] & INTERRUPTIBILITY_NMI);
    }
    /* An instruction that faulted keeps them: it did not take place. */
    fake_set(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI);
    assert_true(rig_exit(vcpu, EXIT_REASON_RDPMC));
    assert_int_equal(fake_get(VMCS_GUEST_INTERRUPTIBILITY), INTERRUPTIBILITY_STI);
}

/* A guest that single-steps traps after an emulated instruction as after any other; not when it steps
 * branches. */
static void single_step_is_owed(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_TF);
    assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
    assert_int_equal(fake_get(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS), PENDING_DEBUG_BS);

    fake_set(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 1 | PENDING_DEBUG_ENABLED);
    assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
    assert_int_equal(fake_get(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS),
                     1 | PENDING_DEBUG_ENABLED | PENDING_DEBUG_BS);

    fake_set(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
    fake_set(VMCS_GUEST_DEBUGCTL, DEBUGCTL_BTF);
    assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
    assert_int_equal(fake_get(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS), 0);

    fake_set(VMCS_GUEST_DEBUGCTL, 0);
    fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
    assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
    assert_int_equal(fake_get(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS), 0);
}

/* Another core wants something: looked at once, and the guest goes on or is left. */
static void attention(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    vcpu->attention = 1;
    assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
    assert_int_equal(vcpu->attention, 0);
    rig_expect_next();

    fake_run_on(0);
    partition_stop(vcpu->partition, FAULT_STOPPED);
    assert_int_equal(fakes.kicks[vcpu->core], 1);
    rig_on(vcpu);
    assert_false(rig_exit(vcpu, EXIT_REASON_CPUID));
    rig_expect_contained(vcpu->partition, FAULT_STOPPED, fault_meaning(FAULT_STOPPED));
    assert_int_equal(vcpu->exits[EXIT_REASON_CPUID].count, 2);
}

static void budget(struct vcpu *vcpu, uint64_t reason, uint32_t reads, uint32_t writes)
{
    rig_exits(reason);
    fake_set(VMCS_EXIT_INSTRUCTION_LENGTH, RIG_LENGTH);
    assert_true(vmx_exit(vcpu));
    assert_in_range(fake_vmcs[fake_core].reads, 1, reads);
    assert_in_range(fake_vmcs[fake_core].writes, 1, writes);
    rig_expect_defined();
    rig_expect_next();
}

static void budgets_of_the_hot_exits(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    vcpu->gpr[RAX] = 1;
    budget(vcpu, EXIT_REASON_CPUID, 5, 1);
    vcpu->gpr[RAX] = 0xb;
    budget(vcpu, EXIT_REASON_CPUID, 5, 1);
    vcpu->gpr[RAX] = FH_CALL_NOP;
    budget(vcpu, EXIT_REASON_VMCALL, 6, 1);
    vcpu->gpr[RCX] = FH_MSR_X2APIC_ID;
    budget(vcpu, EXIT_REASON_RDMSR, 5, 1);
    vcpu->gpr[RCX] = MSR_X2APIC_EOI;
    vcpu->gpr[RAX] = vcpu->gpr[RDX] = 0;
    budget(vcpu, EXIT_REASON_WRMSR, 5, 1);
    rig_exits_with(EXIT_REASON_IO, FH_PORT_UART << 16 | 5 << 16 | 1 << 3); /* IN AL from LSR */
    fake_set(VMCS_EXIT_INSTRUCTION_LENGTH, 1);
    assert_true(vmx_exit(vcpu));
    assert_in_range(fake_vmcs[fake_core].reads, 1, 6);
    assert_in_range(fake_vmcs[fake_core].writes, 1, 1);
    rig_expect_defined();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_and_charges),       cmocka_unit_test(charge_across_the_wrap),
        cmocka_unit_test(ring_of_last_exits),       cmocka_unit_test(every_reason),
        cmocka_unit_test(nobody_services),          cmocka_unit_test(reasons_with_upper_bits),
        cmocka_unit_test(absent_instructions),      cmocka_unit_test(blocking_ends_with_the_instruction),
        cmocka_unit_test(single_step_is_owed),      cmocka_unit_test(attention),
        cmocka_unit_test(budgets_of_the_hot_exits),
    };
    return cmocka_run_group_tests_name("exit path", tests, NULL, NULL);
}
