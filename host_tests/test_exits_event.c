/*
 * Events: what is injected and how, what an exit interrupted, the windows in which a guest can take its own,
 * debug exceptions with their registers, interrupts of the machine, the timer.
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
#include "hv/traps.h"
#include "hv/vmx/absent.h"

#define EVENT(vector, type) (INTERRUPTION_VALID | (uint32_t)(type) << INTERRUPTION_TYPE_SHIFT | (vector))
#define STI_ETC             (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)

static bool exception(struct vcpu *vcpu, uint32_t info, uint64_t qualification, uint32_t vectoring)
{
    rig_exits_with(EXIT_REASON_EXCEPTION_OR_NMI, qualification);
    fake_set(VMCS_EXIT_INTERRUPTION_INFO, info);
    fake_set(VMCS_IDT_VECTORING_INFO, vectoring);
    if ((info & INTERRUPTION_DELIVER_ERROR) != 0)
        fake_set(VMCS_EXIT_INTERRUPTION_ERROR_CODE, 0x5a);
    if ((info >> INTERRUPTION_TYPE_SHIFT & 7) >= INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION)
        fake_set(VMCS_EXIT_INSTRUCTION_LENGTH, 1);
    bool stays = vmx_exit(vcpu);
    if (stays)
        rig_expect_defined();
    return stays;
}

static uint32_t injected(void)
{
    return (uint32_t)fake_get(VMCS_ENTRY_INTERRUPTION_INFO);
}

/* ---- injection */

static void error_codes_by_vector_and_mode(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    static const uint8_t with_error[] = {8, 10, 11, 12, 13, 14, 17};
    (void)vcpu;
    for (uint32_t real = 0; real < 2; real++) {
        fake_set(VMCS_GUEST_CR0, real ? CR0_NE : CR0_NE | CR0_PE);
        for (uint32_t vector = 0; vector < 21; vector++) {
            bool has = false;
            for (uint32_t i = 0; i < ARRAY_SIZE(with_error); i++)
                has |= with_error[i] == vector;
            fake_set(VMCS_ENTRY_EXCEPTION_ERROR_CODE, 0xdead);
            vmx_inject_exception((uint8_t)vector, 0x18);
            rig_expect_exception((uint8_t)vector, has && !real, 0x18);
        }
    }
}

/* ---- exceptions that exit */

static void alignment_check_goes_to_the_guest(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    for (uint32_t i = 0; i < 100; i++) { /* an endless loop of them leaves the hypervisor every time */
        uint32_t info = EVENT(VECTOR_AC, INTERRUPTION_HARDWARE_EXCEPTION) | INTERRUPTION_DELIVER_ERROR;
        assert_true(exception(vcpu, info, 0, 0));
        rig_expect_exception(VECTOR_AC, true, 0x5a);
        rig_expect_resume();
    }
    assert_int_equal(vcpu->exits[EXIT_REASON_EXCEPTION_OR_NMI].count, 100);
}

/* Not one instruction retired between them: the preemption timer is no help, the clock is. */
static void an_endless_chain_meets_the_time_limit(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    uint32_t info = EVENT(VECTOR_AC, INTERRUPTION_HARDWARE_EXCEPTION) | INTERRUPTION_DELIVER_ERROR;
    rig.handoff.config.partitions[0].time_limit_seconds = 1;
    vcpu->run_mark_tsc = fake_cpu.tsc;
    uint32_t lives = 0;
    while (lives < 1000 && exception(vcpu, info, 0, info)) {
        fake_cpu.tsc += FAKE_TSC_HZ / 100;
        lives++;
    }
    assert_in_range(lives, 90, 110);
    rig_expect_contained(vcpu->partition, FAULT_TIME_LIMIT, "vCPU 0 ran for its time_limit of 1 s");
}

static void machine_check_contains(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_false(exception(vcpu, EVENT(VECTOR_MC, INTERRUPTION_HARDWARE_EXCEPTION), 0, 0));
    rig_expect_contained(vcpu->partition, FAULT_MACHINE_CHECK, "while vCPU 0 ran");
}

static void others_were_not_asked_for(void **state)
{
    (void)state;
    static const uint32_t vectors[] = {0, 3, 6, 8, 13, 14, 31};
    for (uint32_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        struct vcpu *vcpu = rig_one();
        assert_false(exception(vcpu, EVENT(vectors[i], INTERRUPTION_HARDWARE_EXCEPTION), 0, 0));
        assert_int_equal(vcpu->partition->fault, FAULT_UNHANDLED_EXIT);
    }
}

static void nmi_is_the_machines(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(exception(vcpu, EVENT(VECTOR_NMI, INTERRUPTION_NMI), 0, 0));
    assert_int_equal(fake_cpu.nmis_taken, 1);
    rig_expect_nothing_injected();
    rig_expect_resume();
}

static void interrupts_are_the_machines(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    rig_exits(EXIT_REASON_EXTERNAL_INTERRUPT);
    fake_set(VMCS_EXIT_INTERRUPTION_INFO, EVENT(VECTOR_KICK, INTERRUPTION_EXTERNAL));
    assert_true(vmx_exit(vcpu));
    assert_int_equal(fakes.interrupts[VECTOR_KICK], 1);
    rig_expect_nothing_injected();
    rig_expect_resume();
    rig_expect_defined();
}

/* A guest that only exits hardly runs, so that the preemption timer hardly counts: a long service ends its
 * slice. */
static void long_services_end_the_slice(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    vcpu->slice_tsc = fake_cpu.tsc;
    vcpu->gpr[RAX] = FH_CALL_NOP;
    fake_cpu.tsc_step = 10; /* a short one does not even look */
    fake_cpu.tsc += FAKE_TSC_HZ;
    assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL));
    assert_int_equal(cores[vcpu->core]->heartbeat, 0);
    fake_cpu.tsc_step = VCPU_LONG_SERVICE_TICKS + 1;
    assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL));
    assert_int_equal(cores[vcpu->core]->heartbeat, 1);
    assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL)); /* the new slice has hardly begun */
    assert_int_equal(cores[vcpu->core]->heartbeat, 1);
}

static void triple_fault(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set(VMCS_GUEST_RIP, 0xabc123);
    assert_false(rig_exit(vcpu, EXIT_REASON_TRIPLE_FAULT));
    rig_expect_contained(vcpu->partition, FAULT_TRIPLE_FAULT, "rip abc123");
}

/* ---- what the exception interrupted */

static void interrupted_interrupt_goes_back(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
    vcpu->vapic.spurious = 0x1ff;
    vcpu->vapic.request[1] = 1 << 3; /* vector 0x43 */
    vcpu->attention = 1;
    assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
    assert_int_equal(injected(), EVENT(0x43, INTERRUPTION_EXTERNAL));
    assert_int_equal(vcpu->vapic.service[1], 1 << 3);
    /* Its delivery raises #AC: the exception goes in, the interrupt waits behind it for its window. */
    uint32_t info = EVENT(VECTOR_AC, INTERRUPTION_HARDWARE_EXCEPTION) | INTERRUPTION_DELIVER_ERROR;
    assert_true(exception(vcpu, info, 0, EVENT(0x43, INTERRUPTION_EXTERNAL)));
    rig_expect_exception(VECTOR_AC, true, 0x5a);
    assert_int_equal(vcpu->vapic.service[1], 0);
    assert_int_equal(vcpu->vapic.request[1], 1 << 3);
    assert_true((fake_get(VMCS_PRIMARY_CONTROLS) & PRIMARY_INTERRUPT_WINDOW_EXITING) != 0);
    assert_true(rig_exit(vcpu, EXIT_REASON_INTERRUPT_WINDOW));
    assert_int_equal(injected(), EVENT(0x43, INTERRUPTION_EXTERNAL));
    assert_int_equal(fake_get(VMCS_PRIMARY_CONTROLS) & PRIMARY_INTERRUPT_WINDOW_EXITING, 0);
}

static void interrupted_nmi_goes_back(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(exception(vcpu, EVENT(VECTOR_DB, INTERRUPTION_HARDWARE_EXCEPTION), 1,
                          EVENT(VECTOR_NMI, INTERRUPTION_NMI)));
    rig_expect_exception(VECTOR_DB, false, 0);
    assert_true(vcpu->nmi_pending);
    assert_true((fake_get(VMCS_PRIMARY_CONTROLS) & PRIMARY_NMI_WINDOW_EXITING) != 0);
}

static void interrupted_exception_is_raised_again(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    uint32_t info = EVENT(VECTOR_AC, INTERRUPTION_HARDWARE_EXCEPTION) | INTERRUPTION_DELIVER_ERROR;
    assert_true(exception(vcpu, info, 0, EVENT(VECTOR_PF, INTERRUPTION_HARDWARE_EXCEPTION)));
    rig_expect_exception(VECTOR_AC, true, 0x5a);
    assert_false(vcpu->nmi_pending);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(vcpu->vapic.request[i] | vcpu->vapic.service[i], 0);
}

/* An EPT violation in the hole during a delivery: the same event once more, as it was. */
static void redelivered_as_it_was(void **state)
{
    (void)state;
    static const struct {
        uint32_t info;
        bool length;
    } cases[] = {
        {EVENT(0x43, INTERRUPTION_EXTERNAL), false},
        {EVENT(VECTOR_NMI, INTERRUPTION_NMI), false},
        {EVENT(VECTOR_PF, INTERRUPTION_HARDWARE_EXCEPTION) | INTERRUPTION_DELIVER_ERROR, false},
        {EVENT(VECTOR_UD, INTERRUPTION_HARDWARE_EXCEPTION), false},
        {EVENT(0x80, INTERRUPTION_SOFTWARE_INTERRUPT), true},
        {EVENT(VECTOR_DB, INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION), true},
        {EVENT(VECTOR_BP, INTERRUPTION_SOFTWARE_EXCEPTION), true},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *vcpu = rig_one();
        fake_set(VMCS_GUEST_INTERRUPTIBILITY, cases[i].info == cases[1].info ? INTERRUPTIBILITY_NMI : 0);
        rig_exits_with(EXIT_REASON_EPT_VIOLATION, 2);
        fake_set(VMCS_GUEST_PHYSICAL_ADDRESS, FH_HOLE_START + 0x5000);
        fake_set(VMCS_IDT_VECTORING_INFO,
                 cases[i].info | INTERRUPTION_NMI_UNBLOCKED); /* undefined bit there */
        fake_set(VMCS_IDT_VECTORING_ERROR_CODE, 0x77);
        if (cases[i].length)
            fake_set(VMCS_EXIT_INSTRUCTION_LENGTH, 2);
        assert_true(vmx_exit(vcpu));
        rig_expect_resume();
        rig_expect_defined();
        assert_int_equal(injected(), cases[i].info);
        if ((cases[i].info & INTERRUPTION_DELIVER_ERROR) != 0)
            assert_int_equal(fake_get(VMCS_ENTRY_EXCEPTION_ERROR_CODE), 0x77);
        if (cases[i].length)
            assert_int_equal(fake_get(VMCS_ENTRY_INSTRUCTION_LENGTH), 2);
        assert_int_equal(fake_get(VMCS_GUEST_INTERRUPTIBILITY),
                         0); /* entry wants NMIs unblocked for an NMI */
        assert_int_equal(vcpu->step, STEP_BY_TIMER);
        assert_int_equal(fake_get(VMCS_PREEMPTION_TIMER_VALUE), 1);
        assert_int_equal(fake_get(VMCS_GUEST_RFLAGS) & RFLAGS_TF, 0);
        /* The timer fires before its first instruction: the hole is closed again. */
        assert_true(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
        assert_int_equal(vcpu->step, STEP_NONE);
        assert_int_equal(vcpu->partition->hole.table[5], 0);
        assert_int_equal(fake_get(VMCS_PREEMPTION_TIMER_VALUE), vcpu->slice_ticks);
    }
}

/* ---- windows */

static struct vcpu *with_request(uint32_t vector, uint64_t rflags, uint64_t blocking)
{
    struct vcpu *vcpu = rig_one();
    vcpu->vapic.spurious = 0x1ff;
    vcpu->vapic.request[vector / 64] |= UINT64_C(1) << vector % 64;
    fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | rflags);
    fake_set(VMCS_GUEST_INTERRUPTIBILITY, blocking);
    return vcpu;
}

static bool window_armed(void)
{
    return (fake_get(VMCS_PRIMARY_CONTROLS) & PRIMARY_INTERRUPT_WINDOW_EXITING) != 0;
}

static void interrupt_when_it_can(void **state)
{
    (void)state;
    static const struct {
        uint64_t rflags, blocking;
        bool goes;
    } cases[] = {
        {RFLAGS_IF, 0, true},
        {0, 0, false},
        {RFLAGS_IF, INTERRUPTIBILITY_STI, false},
        {RFLAGS_IF, INTERRUPTIBILITY_MOV_SS, false},
        {RFLAGS_IF, INTERRUPTIBILITY_NMI, true},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *vcpu = with_request(0x31, cases[i].rflags, cases[i].blocking);
        vmx_deliver_interrupts(vcpu);
        assert_int_equal(injected(), cases[i].goes ? EVENT(0x31, INTERRUPTION_EXTERNAL) : 0);
        assert_int_equal(window_armed(), !cases[i].goes);
        assert_int_equal(vcpu->vapic.service[0] != 0, cases[i].goes);
        /* Asked again while nothing has changed: the controls are not written twice. */
        uint32_t writes = fake_writes(VMCS_PRIMARY_CONTROLS);
        if (!cases[i].goes)
            vmx_deliver_interrupts(vcpu);
        assert_int_equal(fake_writes(VMCS_PRIMARY_CONTROLS), writes);
    }
}

static void interrupt_behind_another_event(void **state)
{
    (void)state;
    struct vcpu *vcpu = with_request(0x31, RFLAGS_IF, 0);
    vmx_inject_exception(VECTOR_UD, 0);
    vmx_deliver_interrupts(vcpu);
    rig_expect_exception(VECTOR_UD, false, 0);
    assert_true(window_armed());
    assert_int_equal(vcpu->vapic.service[0], 0);
}

static void two_interrupts_in_order(void **state)
{
    (void)state;
    struct vcpu *vcpu = with_request(0x51, RFLAGS_IF, 0);
    vcpu->vapic.request[2] = 1; /* 0x80: higher */
    vmx_deliver_interrupts(vcpu);
    assert_int_equal(injected(), EVENT(0x80, INTERRUPTION_EXTERNAL));
    assert_false(window_armed()); /* 0x51 is of a lower class than what is in service */
    fake_vmcs_exit(EXIT_REASON_WRMSR);
    vcpu->gpr[RCX] = MSR_X2APIC_EOI;
    vcpu->gpr[RAX] = vcpu->gpr[RDX] = 0;
    assert_true(rig_exit(vcpu, EXIT_REASON_WRMSR));
    assert_int_equal(injected(), EVENT(0x51, INTERRUPTION_EXTERNAL));
}

static void nmi_window(void **state)
{
    (void)state;
    static const uint64_t blocks[] = {INTERRUPTIBILITY_NMI, INTERRUPTIBILITY_STI, INTERRUPTIBILITY_MOV_SS};
    for (uint32_t i = 0; i < ARRAY_SIZE(blocks); i++) {
        struct vcpu *vcpu = rig_one();
        vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = IPI_NMI});
        vcpu->attention = 1;
        fake_set(VMCS_GUEST_INTERRUPTIBILITY, blocks[i]);
        assert_true(
            exception(vcpu, EVENT(VECTOR_NMI, INTERRUPTION_NMI), 0, 0)); /* any exit that leaves RIP */
        rig_expect_nothing_injected();
        assert_true(vcpu->nmi_pending);
        assert_true((fake_get(VMCS_PRIMARY_CONTROLS) & PRIMARY_NMI_WINDOW_EXITING) != 0);
        fake_set(VMCS_GUEST_INTERRUPTIBILITY, 0);
        assert_true(rig_exit(vcpu, EXIT_REASON_NMI_WINDOW));
        assert_int_equal(injected(), EVENT(VECTOR_NMI, INTERRUPTION_NMI));
        assert_false(vcpu->nmi_pending);
        assert_int_equal(fake_get(VMCS_PRIMARY_CONTROLS) & PRIMARY_NMI_WINDOW_EXITING, 0);
        rig_expect_resume();
    }
}

/* NMI first, the interrupt behind it by its window. */
static void nmi_before_interrupt(void **state)
{
    (void)state;
    struct vcpu *vcpu = with_request(0x31, RFLAGS_IF, 0);
    vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = IPI_NMI});
    assert_true(vcpu_attend(vcpu));
    assert_int_equal(injected(), EVENT(VECTOR_NMI, INTERRUPTION_NMI));
    assert_true(window_armed());
    assert_true((vcpu->vapic.request[0] & UINT64_C(1) << 0x31) != 0);
}

/* Without virtual NMIs there is no such window: the timer tries again. */
static void nmi_without_a_window(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    vmx_caps.virtual_nmis = false;
    vcpu->nmi_pending = true;
    fake_set(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI);
    assert_true(vcpu_attend(vcpu));
    assert_int_equal(fake_get(VMCS_PRIMARY_CONTROLS) & PRIMARY_NMI_WINDOW_EXITING, 0);
    assert_true(vcpu->nmi_pending);
    fake_set(VMCS_GUEST_INTERRUPTIBILITY, 0);
    assert_true(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
    assert_int_equal(injected(), EVENT(VECTOR_NMI, INTERRUPTION_NMI));
}

/* An INIT to a running vCPU takes everything of it away; start-up begins anew. */
static void init_in_the_middle(void **state)
{
    (void)state;
    struct vcpu *vcpu = with_request(0x31, 0, 0);
    vcpu->nmi_pending = true;
    vmx_deliver_interrupts(vcpu);
    assert_true(window_armed());
    vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = IPI_INIT});
    vcpu->attention = 1;
    assert_false(rig_exit(vcpu, EXIT_REASON_CPUID));
    assert_int_equal(vcpu->activity, VCPU_WAITS_FOR_STARTUP);
    assert_false(window_armed());
    assert_false(vcpu->nmi_pending);
    assert_int_equal(vapic_deliverable(&vcpu->vapic), VAPIC_NO_VECTOR);
    vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = IPI_NMI}); /* nothing for one that waits */
    vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = IPI_STARTUP, .vector = 0x12});
    vcpu->attention = 1;
    assert_true(vcpu_attend(vcpu));
    assert_int_equal(vcpu->activity, VCPU_RUNS);
    assert_int_equal(fake_get(VMCS_GUEST_CS_BASE), 0x12000);
    /* A second start-up finds it running. */
    vapic_post(&vcpu->vapic, &(struct vapic_ipi){.mode = IPI_STARTUP, .vector = 0x34});
    assert_true(vcpu_attend(vcpu));
    assert_int_equal(fake_get(VMCS_GUEST_CS_BASE), 0x12000);
}

/* ---- debug exceptions */

static void debug_registers(void **state)
{
    (void)state;
    static const struct {
        uint64_t qualification, dr6_before, dr6_after;
    } cases[] = {
        {1, DR6_RESET, DR6_RESET | 1},
        {0x5, DR6_RESET | 0xa, DR6_RESET | 0x5}, /* breakpoints are of this time, other causes stay */
        {DR6_BS, DR6_RESET | 2, DR6_RESET | DR6_BS},
        {DR6_BD, DR6_RESET | DR6_BS, DR6_RESET | DR6_BD | DR6_BS},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *vcpu = rig_one();
        fake_set(VMCS_GUEST_DR7, DR7_RESET | DR7_GD | 0x303);
        fake_cpu.dr6 = cases[i].dr6_before;
        assert_true(
            exception(vcpu, EVENT(VECTOR_DB, INTERRUPTION_HARDWARE_EXCEPTION), cases[i].qualification, 0));
        rig_expect_exception(VECTOR_DB, false, 0);
        rig_expect_resume();
        assert_int_equal(fake_cpu.dr6, cases[i].dr6_after);
        assert_int_equal(fake_get(VMCS_GUEST_DR7), DR7_RESET | 0x303);
    }
}

static void int1_keeps_its_type_and_length(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(exception(vcpu, EVENT(VECTOR_DB, INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION), 0, 0));
    assert_int_equal(injected(), EVENT(VECTOR_DB, INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION));
    assert_int_equal(fake_get(VMCS_ENTRY_INSTRUCTION_LENGTH), 1);
}

/* "#DB on the stack of #DB": every round is an exit. */
static void debug_loop_leaves_every_time(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    for (uint32_t i = 0; i < 50; i++)
        assert_true(exception(vcpu, EVENT(VECTOR_DB, INTERRUPTION_HARDWARE_EXCEPTION), 1,
                              EVENT(VECTOR_DB, INTERRUPTION_HARDWARE_EXCEPTION)));
    assert_int_equal(vcpu->exits[EXIT_REASON_EXCEPTION_OR_NMI].count, 50);
    partition_stop(vcpu->partition, FAULT_STOPPED);
    assert_false(exception(vcpu, EVENT(VECTOR_DB, INTERRUPTION_HARDWARE_EXCEPTION), 1, 0));
    assert_int_equal(vcpu->partition->fault, FAULT_STOPPED);
}

/* ---- the timer */

static void timer_slices(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set(VMCS_PREEMPTION_TIMER_VALUE, 0);
    assert_true(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
    rig_expect_resume();
    rig_expect_defined();
    assert_int_equal(fake_get(VMCS_PREEMPTION_TIMER_VALUE), vcpu->slice_ticks);
    assert_in_range(vmx_timer_ticks(&vmx_caps, (uint32_t)vcpu->slice_ticks), FAKE_TSC_HZ / 100,
                    FAKE_TSC_HZ / 99);
    assert_int_equal(cores[vcpu->core]->heartbeat, 1);
    assert_int_equal(fakes.polls, 0);
}

static void timer_on_the_boot_core_polls(void **state)
{
    (void)state;
    rig_begin(1, 1, 4 * MIB);
    rig_finish();
    rig_start(partitions[0]);
    struct vcpu *vcpu = partitions[0]->vcpus[0];
    vcpu->core = 0;
    fake_run_on(0);
    vmx_vcpu_start(vcpu);
    vcpu->attention = 0;
    assert_true(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
    assert_int_equal(fakes.polls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_codes_by_vector_and_mode),
        cmocka_unit_test(alignment_check_goes_to_the_guest),
        cmocka_unit_test(an_endless_chain_meets_the_time_limit),
        cmocka_unit_test(machine_check_contains),
        cmocka_unit_test(others_were_not_asked_for),
        cmocka_unit_test(nmi_is_the_machines),
        cmocka_unit_test(interrupts_are_the_machines),
        cmocka_unit_test(long_services_end_the_slice),
        cmocka_unit_test(triple_fault),
        cmocka_unit_test(interrupted_interrupt_goes_back),
        cmocka_unit_test(interrupted_nmi_goes_back),
        cmocka_unit_test(interrupted_exception_is_raised_again),
        cmocka_unit_test(redelivered_as_it_was),
        cmocka_unit_test(interrupt_when_it_can),
        cmocka_unit_test(interrupt_behind_another_event),
        cmocka_unit_test(two_interrupts_in_order),
        cmocka_unit_test(nmi_window),
        cmocka_unit_test(nmi_before_interrupt),
        cmocka_unit_test(nmi_without_a_window),
        cmocka_unit_test(init_in_the_middle),
        cmocka_unit_test(debug_registers),
        cmocka_unit_test(int1_keeps_its_type_and_length),
        cmocka_unit_test(debug_loop_leaves_every_time),
        cmocka_unit_test(timer_slices),
        cmocka_unit_test(timer_on_the_boot_core_polls),
    };
    return cmocka_run_group_tests_name("exits: events", tests, NULL, NULL);
}
