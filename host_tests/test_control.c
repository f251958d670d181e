/*
 * The control loop with everything real but the console, COM2 and the power switch: what cores report is said
 * and told, the operator is obeyed, silent cores are called and given up, and the region closes when it
 * should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/abi.h"
#include "host_tests/fakes/fake_console.h"
#include "host_tests/fakes/rig.h"
#include "hv/control.h"

#define RING_BYTES (16 * KIB)

static void begin(uint32_t count, uint32_t vcpus)
{
    rig_begin(count, vcpus, 4 * MIB);
    memset(&fake_console, 0, sizeof(fake_console));
    for (uint32_t i = 0; i < count; i++)
        rig.handoff.config.partitions[i].expect.kind = EXPECT_EXIT_ANY;
}

static void finish(void)
{
    rig_finish();
    for (uint32_t i = 0; i < FAKE_CORES; i++)
        ring_init(&cores[i]->ring, memory_need(RING_BYTES), RING_BYTES);
    hpa_t root = memory_frame(memory_need(FRAME_BYTES));
    fake_set_root(root);
    control_init(&rig.handoff, &rig.plan);
    rig.handoff.entry_tsc = fake_cpu.tsc;
}

/* Rounds of the loop on the boot core; true when the region has closed. */
static bool rounds(uint32_t count)
{
    fake_run_on(0);
    if (setjmp(fake_console.off) != 0)
        return true;
    for (uint32_t i = 0; i < count; i++)
        control_poll();
    return false;
}

static bool said(const char *text)
{
    return strstr(fake_console.said, text) != NULL;
}

static bool told(const char *text)
{
    return strstr(fake_console.events, text) != NULL;
}

static void forget(void)
{
    fake_console.said_bytes = fake_console.event_bytes = 0;
    fake_console.said[0] = fake_console.events[0] = '\0';
}

static void expect_said(const char *text)
{
    if (!said(text))
        fail_msg("\"%s\" was not said, but:\n%s", text, fake_console.said);
}

static void expect_told(const char *text)
{
    if (!told(text))
        fail_msg("\"%s\" was not told, but:\n%s", text, fake_console.events);
}

static bool typed(const char *text)
{
    fake_console.typed = text;
    return rounds((uint32_t)strlen(text));
}

static bool guest_exits_with_7(struct vcpu *vcpu)
{
    vcpu->gpr[RAX] = FH_CALL_EXIT;
    vcpu->gpr[RDI] = 7;
    rig_exit(vcpu, EXIT_REASON_VMCALL);
    return true;
}

static bool guest_triple_faults(struct vcpu *vcpu)
{
    rig_exit(vcpu, EXIT_REASON_TRIPLE_FAULT);
    return true;
}

static void run(struct partition *partition, bool (*guest)(struct vcpu *vcpu))
{
    fakes.guest = guest;
    for (uint32_t i = 0; i < partition->vcpu_count; i++) {
        rig_on(partition->vcpus[i]);
        assert_true(partition_step(partition->vcpus[i]));
    }
}

/* ---- what cores report */

static void a_life_is_told(void **state)
{
    (void)state;
    begin(2, 1);
    finish();
    expect_told("\"boot\"");
    expect_told("\"plan\"");
    rig_start(partitions[0]);
    assert_true(fakes.kicks[0] > 0); /* the control core is called */
    assert_false(rounds(3));
    expect_said("partition p0: running");
    expect_told("start.from_efi_main");
    run(partitions[0], guest_exits_with_7);
    assert_false(rounds(3)); /* the other one is still awaited */
    expect_said("partition p0: exited with code 7");
    rig_start(partitions[1]);
    run(partitions[1], guest_triple_faults);
    forget();
    assert_true(rounds(10));
    expect_said("triple-fault");
    expect_told("\"fault\"");
    expect_told("\"report\"");
}

static void guests_lines(void **state)
{
    (void)state;
    begin(1, 2);
    finish();
    rig_start(partitions[0]);
    assert_false(rounds(3));
    struct partition *partition = partitions[0];
    const struct {
        uint32_t vcpu;
        const char *text;
    } pieces[] = {{0, "one "}, {1, "two\n"}, {0, "line\nrest"}};
    for (uint32_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct record_text record = {.vcpu = pieces[i].vcpu, .bytes = (uint32_t)strlen(pieces[i].text)};
        memcpy(record.text, pieces[i].text, record.bytes);
        rig_on(partition->vcpus[record.vcpu]);
        control_post(RECORD_OUTPUT, &record, (uint32_t)offsetof(struct record_text, text) + record.bytes);
    }
    fake_console.full = true; /* guests wait for the console */
    assert_false(rounds(3));
    assert_false(said("one"));
    fake_console.full = false;
    assert_false(rounds(3));
    expect_said("[p0] one line\n"); /* a vCPU's pieces join, and only its own */
    expect_said("[p0] two\n");
    assert_false(said("rest"));
    run(partition, guest_exits_with_7);
    assert_true(rounds(5));
    expect_said("[p0] rest");
    assert_true(strstr(fake_console.said, "[p0] rest") < strstr(fake_console.said, "exited with code"));
}

static void verdicts_and_metrics(void **state)
{
    (void)state;
    begin(1, 1);
    finish();
    rig_start(partitions[0]);
    struct record_text record = {.value = 1, .bytes = 4};
    memcpy(record.text, "good", 4);
    control_post(RECORD_VERDICT, &record, (uint32_t)offsetof(struct record_text, text) + 4);
    record.value = 0;
    memcpy(record.text, "evil", 4);
    control_post(RECORD_VERDICT, &record, (uint32_t)offsetof(struct record_text, text) + 4);
    record.value = 987654321;
    memcpy(record.text, "size", 4);
    control_post(RECORD_METRIC, &record, (uint32_t)offsetof(struct record_text, text) + 4);
    assert_false(rounds(3));
    expect_told("good");
    expect_told("evil");
    expect_told("987654321");
    rig_on(partitions[0]->vcpus[0]);
    vmx_vcpu_start(partitions[0]->vcpus[0]);
    partitions[0]->vcpus[0]->gpr[RAX] = FH_CALL_AUDIT;
    partitions[0]->vcpus[0]->attention = 0;
    assert_false(told("\"audit\""));
    assert_true(rig_exit(partitions[0]->vcpus[0], EXIT_REASON_VMCALL));
    assert_false(rounds(3));
    expect_told("\"audit\"");
}

/* A round takes some of each core: nobody starves the others, or the loop. */
static void rounds_are_bounded(void **state)
{
    (void)state;
    begin(2, 1);
    finish();
    rig_start(partitions[0]);
    rig_start(partitions[1]);
    assert_false(rounds(5));
    forget();
    for (uint32_t p = 0; p < 2; p++) {
        rig_on(partitions[p]->vcpus[0]);
        for (uint32_t i = 0; i < 100; i++) {
            struct record_text record = {.partition = p, .bytes = 2, .text = {p == 0 ? 'a' : 'b', '\n'}};
            control_post(RECORD_OUTPUT, &record, (uint32_t)offsetof(struct record_text, text) + 2);
        }
    }
    assert_false(rounds(1));
    uint32_t lines[2] = {0, 0};
    for (const char *at = fake_console.said; *at != '\0'; at++) {
        lines[0] += strncmp(at, "] a\n", 4) == 0;
        lines[1] += strncmp(at, "] b\n", 4) == 0;
    }
    assert_in_range(lines[0], 1, 16);
    assert_int_equal(lines[0], lines[1]);
}

/* Guests fill the ring up to a reserve, which holds what must not be lost. */
static void guests_leave_a_reserve(void **state)
{
    (void)state;
    begin(1, 1);
    finish();
    rig_start(partitions[0]);
    struct vcpu *vcpu = partitions[0]->vcpus[0];
    vmx_vcpu_start(vcpu);
    vcpu->attention = 0;
    uint32_t taken = 0;
    for (;; taken++) {
        vcpu->gpr[RAX] = FH_CALL_METRIC;
        vcpu->gpr[RDI] = 0x30000;
        vcpu->gpr[RSI] = FH_BUFFER_MAX;
        assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL));
        if ((int64_t)vcpu->gpr[RAX] == FH_E_AGAIN)
            break;
        assert_int_equal(vcpu->gpr[RAX], 0);
        assert_true(taken < 1000);
    }
    assert_true(taken > 4);
    assert_false(rig_exit(vcpu, EXIT_REASON_TRIPLE_FAULT)); /* its end finds room */
    assert_int_equal(ring_dropped(&cores[vcpu->core]->ring), 0);
    assert_int_equal(fake_cpu.pauses, 0);
    assert_false(rounds(50));
    assert_true(told("stopping"));
}

static void drain_in_the_pause(void)
{
    uint32_t core = fake_core;
    assert_int_not_equal(core, 0);
    assert_false(rounds(1));
    fake_run_on(core);
}

/* A core whose ring is full of what must not be lost waits for the control loop. */
static void nothing_important_is_lost(void **state)
{
    (void)state;
    begin(1, 1);
    finish();
    rig_start(partitions[0]);
    rig_on(partitions[0]->vcpus[0]);
    fake_cpu.on_pause = drain_in_the_pause;
    for (uint32_t i = 0; i < 1000; i++) {
        struct record_state record = {
            .from = PARTITION_STOPPING, .to = PARTITION_RESTARTING, .incarnation = i};
        control_post(RECORD_STATE, &record, sizeof(record));
    }
    assert_true(fake_cpu.pauses > 0);
    assert_false(rounds(200));
    uint32_t count = 0;
    for (const char *at = fake_console.events; (at = strstr(at, "\"restarting\"")) != NULL; at++)
        count++;
    assert_true(count >= 1000);
    assert_int_equal(ring_dropped(&cores[partitions[0]->vcpus[0]->core]->ring), 0);
}

static void slow_console_in_the_pause(void)
{
    uint32_t core = fake_core;
    fake_cpu.tsc += FAKE_TSC_HZ;
    fake_console.full = fake_cpu.pauses < 20;
    assert_false(rounds(1));
    fake_run_on(core);
}

/* It may wait long, behind what its guest has written to a slow console: that is no reason to give it up. */
static void waiting_for_room_is_not_silence(void **state)
{
    (void)state;
    begin(1, 1);
    finish();
    rig_start(partitions[0]);
    assert_false(rounds(5));
    rig_on(partitions[0]->vcpus[0]);
    struct record_text text = {.bytes = 100};
    memset(text.text, '.', 100);
    uint32_t size = (uint32_t)offsetof(struct record_text, text) + 100;
    while (control_has_room(size))
        control_post(RECORD_OUTPUT, &text, size);
    fake_cpu.on_pause = slow_console_in_the_pause;
    fake_cpu.tsc_step =
        FAKE_TSC_HZ / 100; /* were the region closed, it would wait for the console by the clock */
    for (uint32_t i = 0; i < 200; i++) {
        struct record_state record = {.from = PARTITION_STOPPING, .to = PARTITION_RESTARTING};
        control_post(RECORD_STATE, &record, sizeof(record));
    }
    assert_true(fake_cpu.pauses >= 20);
    rig_expect_running(partitions[0]);
}

/* The partition has restarted before its first start is told: the figures are those of that start. */
static void figures_of_a_start(void **state)
{
    (void)state;
    begin(1, 1);
    rig.handoff.config.partitions[0].on_fault = ON_FAULT_RESTART;
    rig.handoff.config.partitions[0].restart_limit = 100;
    finish();
    rig_start(partitions[0]);
    fake_cpu.tsc += 50 * FAKE_TSC_HZ;
    run(partitions[0], guest_triple_faults);
    assert_false(rounds(3));
    const char *at = fake_console.events;
    uint32_t figures = 0;
    while ((at = strstr(at, "\"start.")) != NULL) {
        const char *value = strstr(at, "\"value\":");
        assert_non_null(value);
        assert_in_range(strtoull(value + strlen("\"value\":"), NULL, 10), 1, FAKE_TSC_HZ);
        figures++;
        at = value;
    }
    assert_int_equal(figures, 3);
}

/* ---- the operator */

static void commands(void **state)
{
    (void)state;
    begin(2, 1);
    finish();
    rig_start(partitions[0]);
    assert_false(typed("stop nobody\r"));
    expect_said("there is no partition 'nobody'");
    assert_false(typed("status\r"));
    expect_said("p0");
    forget();
    assert_false(typed("help\r"));
    expect_said("shutdown");
    assert_false(typed("audit\r"));
    expect_told("\"audit\"");
    assert_false(typed("events\r"));
    expect_said("(the events)");
    assert_false(typed("nonsense\r"));
    assert_int_equal(partitions[0]->stop_request, FAULT_NONE);
    forget();
    assert_false(typed("report\r"));
    expect_said("p1");
    cores[3]->nmi_count = 2;
    assert_false(typed("status\r"));
    expect_said("core 3: 2 NMIs, 0 stray interrupts");
    assert_false(typed("stop p0\r"));
    assert_int_equal(partitions[0]->stop_request, FAULT_STOPPED);
    assert_int_equal(partitions[0]->vcpus[0]->attention, 1);
    assert_true(fakes.kicks[partitions[0]->vcpus[0]->core] > 0);
    run(partitions[0], guest_exits_with_7);
    assert_int_equal(partitions[0]->fault, FAULT_STOPPED);
    assert_false(typed("stop p0\r"));
    expect_said("p0 has ended already");
    forget();
    assert_true(typed("shutdown\r"));
    expect_told("\"report\"");
}

/* ---- the watchdog */

static void silent_core(void **state)
{
    (void)state;
    begin(1, 2);
    finish();
    rig_start(partitions[0]);
    struct partition *partition = partitions[0];
    struct core *silent = cores[partition->vcpus[1]->core], *other = cores[partition->vcpus[0]->core];
    fake_cpu.tsc_step = 1000;
    memset(fakes.kicks, 0, sizeof(fakes.kicks));
    silent->heartbeat++;
    for (uint32_t tenths = 0; tenths < 19; tenths++) {
        other->heartbeat++;
        assert_false(rounds(1));
        fake_cpu.tsc += FAKE_TSC_HZ / 10;
    }
    assert_int_equal(fakes.kicks[silent->index], 0);
    for (uint32_t tenths = 0; tenths < 5; tenths++) {
        other->heartbeat++;
        assert_false(rounds(1));
        fake_cpu.tsc += FAKE_TSC_HZ / 10;
    }
    assert_int_equal(fakes.kicks[silent->index], 1);
    assert_int_equal(partition->state, PARTITION_RUNNING);
    bool closed = false;
    for (uint32_t tenths = 0; tenths < 25 && !closed; tenths++) {
        other->heartbeat++;
        closed = rounds(1);
        fake_cpu.tsc += FAKE_TSC_HZ / 10;
    }
    assert_true(closed);
    assert_int_equal(partition->state, PARTITION_FAULTED);
    assert_int_equal(partition->fault, FAULT_WATCHDOG);
    assert_int_equal(partition->capsule.core, silent->index);
    expect_said("neither left the guest nor answered");
    expect_told("\"report\"");
}

/* One that answers the call, or has nothing to run, is left alone for ever. */
static void patient_with_the_living(void **state)
{
    (void)state;
    begin(2, 1);
    finish();
    rig_start(partitions[0]); /* partition 1 is never started */
    struct core *core = cores[partitions[0]->vcpus[0]->core];
    for (uint32_t seconds = 0; seconds < 100; seconds++) {
        uint32_t kicks = fakes.kicks[core->index];
        assert_false(rounds(1));
        if (fakes.kicks[core->index] != kicks)
            core->heartbeat++; /* it slept, and looked */
        fake_cpu.tsc += FAKE_TSC_HZ;
    }
    assert_int_equal(partitions[0]->state, PARTITION_RUNNING);
    assert_int_equal(partitions[1]->state, PARTITION_READY);
    assert_int_equal(fakes.kicks[partitions[1]->vcpus[0]->core], 0);
}

/* ---- the end */

static void running_is_not_awaited(void **state)
{
    (void)state;
    begin(2, 1);
    rig.handoff.config.partitions[1].expect.kind = EXPECT_RUNNING;
    finish();
    rig_start(partitions[1]);
    rig_start(partitions[0]);
    assert_false(rounds(3));
    run(partitions[0], guest_exits_with_7);
    assert_true(rounds(5));
    assert_int_equal(partitions[1]->state, PARTITION_RUNNING);
    expect_told("\"report\"");
}

/* Where all are expected to run, only the operator closes the region. */
static void all_run_on(void **state)
{
    (void)state;
    begin(1, 1);
    rig.handoff.config.partitions[0].expect.kind = EXPECT_RUNNING;
    finish();
    rig_start(partitions[0]);
    assert_false(rounds(50));
    assert_true(typed("shutdown\r"));
}

/* The loop does not sleep on mail. */
static uint32_t slept;

static void count_sleep(void)
{
    slept++;
}

static void sleeps_only_without_mail(void **state)
{
    (void)state;
    begin(1, 1);
    finish();
    slept = 0;
    fake_cpu.on_sleep = count_sleep;
    rig_start(partitions[0]);
    fake_run_on(0);
    control_sleep();
    assert_int_equal(slept, 0);
    assert_false(rounds(3));
    control_sleep();
    assert_int_equal(slept, 1);
    assert_int_equal(fakes.timer_armed, 1); /* it wakes up by itself */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_is_told),
        cmocka_unit_test(guests_lines),
        cmocka_unit_test(verdicts_and_metrics),
        cmocka_unit_test(rounds_are_bounded),
        cmocka_unit_test(guests_leave_a_reserve),
        cmocka_unit_test(nothing_important_is_lost),
        cmocka_unit_test(waiting_for_room_is_not_silence),
        cmocka_unit_test(figures_of_a_start),
        cmocka_unit_test(commands),
        cmocka_unit_test(silent_core),
        cmocka_unit_test(patient_with_the_living),
        cmocka_unit_test(running_is_not_awaited),
        cmocka_unit_test(all_run_on),
        cmocka_unit_test(sleeps_only_without_mail),
    };
    return cmocka_run_group_tests_name("control loop", tests, NULL, NULL);
}
