/*
 * Every hypercall with good arguments and with every kind of bad one: lengths, buffers at every edge of the
 * partition's memory, no room on the way to the console, user mode, numbers that are none.
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
#include "hv/paging.h"

static int64_t call(struct vcpu *vcpu, uint64_t number, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
    vcpu->gpr[RAX] = number;
    vcpu->gpr[RDI] = rdi;
    vcpu->gpr[RSI] = rsi;
    vcpu->gpr[RDX] = rdx;
    vcpu->gpr[RBX] = 0xb0b;
    assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL));
    rig_expect_next();
    rig_expect_nothing_injected();
    rig_expect_defined();
    rig_expect_running(vcpu->partition);
    /* All but RAX is as it was. */
    assert_int_equal(vcpu->gpr[RDI], rdi);
    assert_int_equal(vcpu->gpr[RSI], rsi);
    assert_int_equal(vcpu->gpr[RDX], rdx);
    assert_int_equal(vcpu->gpr[RBX], 0xb0b);
    return (int64_t)vcpu->gpr[RAX];
}

static const struct record_text *last_text(enum record_type type, uint32_t bytes)
{
    const struct fake_record *record = &fakes.records[fakes.record_count - 1];
    assert_true(fakes.record_count > 0);
    assert_int_equal(record->type, type);
    assert_int_equal(record->payload.text.bytes, bytes);
    assert_int_equal(record->bytes,
                     offsetof(struct record_text, text) + bytes); /* and not a byte of our stack more */
    return &record->payload.text;
}

static void numbers(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_int_equal(call(vcpu, FH_CALL_NOP, 1, 2, 3), 0);
    static const uint64_t none[] = {8, 9, 255, 0x80000000, UINT64_C(1) << 32, UINT64_MAX, INT64_MAX};
    for (uint32_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_int_equal(call(vcpu, none[i], 0, 0, 0), FH_E_CALL);
    assert_int_equal(vcpu->hypercalls, 1 + ARRAY_SIZE(none));
    assert_int_equal(fakes.record_count, 0);
}

static void not_for_user_mode(void **state)
{
    (void)state;
    static const uint32_t rights[] = {0xc0b3, 0xc0d3, 0xc0f3};
    struct vcpu *vcpu = rig_one();
    for (uint32_t i = 0; i < ARRAY_SIZE(rights); i++) {
        fake_set(VMCS_GUEST_SS_ACCESS_RIGHTS, rights[i]);
        vcpu->gpr[RAX] = FH_CALL_EXIT;
        assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL));
        rig_expect_exception(VECTOR_UD, false, 0);
        rig_expect_resume();
        rig_expect_running(vcpu->partition);
    }
    assert_int_equal(vcpu->hypercalls, 0);
}

/* ---- buffers, for each call that takes one */

enum buffer_call { CONSOLE, VERDICT, METRIC };

static int64_t with_buffer(struct vcpu *vcpu, enum buffer_call which, uint64_t buffer, uint64_t bytes)
{
    switch (which) {
    case CONSOLE:
        return call(vcpu, FH_CALL_CONSOLE_WRITE, buffer, bytes, 0);
    case VERDICT:
        return call(vcpu, FH_CALL_VERDICT, 1, buffer, bytes);
    default:
        return call(vcpu, FH_CALL_METRIC, buffer, bytes, 0x1122334455667788);
    }
}

static const enum record_type record_of[] = {RECORD_OUTPUT, RECORD_VERDICT, RECORD_METRIC};

static void buffers_arrive(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    static const uint64_t at[] = {0, 0x30001, 2 * MIB - 100,
                                  4 * MIB - FH_BUFFER_MAX}; /* over 2 MiB; up to the end */
    static const uint32_t sizes[] = {1, 7, 100, 101, FH_BUFFER_MAX};
    for (enum buffer_call which = CONSOLE; which <= METRIC; which++) {
        for (uint32_t i = 0; i < ARRAY_SIZE(at); i++) {
            uint8_t *ram = rig_guest(vcpu->partition, at[i]);
            for (uint32_t n = 0; n < FH_BUFFER_MAX; n++)
                ram[n] = (uint8_t)(n * 3 + i + which);
            for (uint32_t s = 0; s < ARRAY_SIZE(sizes); s++) {
                fakes.record_count = 0;
                int64_t result = with_buffer(vcpu, which, at[i], sizes[s]);
                assert_int_equal(result, which == CONSOLE ? sizes[s] : 0);
                const struct record_text *text = last_text(record_of[which], sizes[s]);
                assert_memory_equal(text->text, ram, sizes[s]);
                assert_int_equal(text->partition, 0);
                assert_int_equal(text->vcpu, 0);
                assert_int_equal(text->value, which == METRIC    ? 0x1122334455667788
                                              : which == VERDICT ? 1
                                                                 : 0);
            }
        }
    }
}

static void buffers_refused(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    static const struct {
        uint64_t at, bytes;
    } cases[] = {
        {0x30000, FH_BUFFER_MAX + 1},
        {0x30000, UINT64_MAX},
        {0x30000, UINT64_C(1) << 32},
        {0x30000, UINT64_C(0x100000010)},
        {4 * MIB - 8, 9},
        {4 * MIB, 1},
        {FH_HOLE_START - 4, 8},
        {FH_HOLE_START, 1},
        {FH_HOLE_END - 1, 2},
        {FH_HOLE_END, 1},
        {UINT64_MAX, 1},
        {UINT64_MAX - 15, 16}, /* wraps to 0 exactly */
        {UINT64_MAX - 3, 16},
        {FAKE_RAM_START, 8}, /* where it lies in the machine is not where the guest has it */
        {FAKE_POOL_START, 8},
        {UINT64_C(1) << 63, 1},
    };
    for (enum buffer_call which = CONSOLE; which <= METRIC; which++)
        for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++)
            assert_int_equal(with_buffer(vcpu, which, cases[i].at, cases[i].bytes), FH_E_ARGUMENT);
    assert_int_equal(fakes.record_count, 0);
    assert_int_equal(vcpu->verdicts_passed + vcpu->verdicts_failed, 0);
}

/* Memory on both sides of the device hole: a buffer ends there, another begins behind it. */
static void buffers_at_the_hole(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_running(1, 2 * MIB)->vcpus[0];
    struct partition *partition = vcpu->partition;
    /* As laid out for 3 GiB + 2 MiB, with the same two frames where they matter. */
    uint64_t where = partition->ranges[0].hpa;
    partition->range_count = 2;
    partition->ranges[0] = (struct guest_range){FH_HOLE_START - 2 * MIB, 2 * MIB, where};
    partition->ranges[1] = (struct guest_range){FH_HOLE_END, 2 * MIB, where + 16 * MIB};
    partition->low_bytes = FH_HOLE_START;
    partition->high_bytes = 2 * MIB;
    assert_int_equal(with_buffer(vcpu, VERDICT, FH_HOLE_START - 8, 8), 0);
    assert_int_equal(with_buffer(vcpu, VERDICT, FH_HOLE_START - 8, 9), FH_E_ARGUMENT);
    assert_int_equal(with_buffer(vcpu, VERDICT, FH_HOLE_END - 1, 2), FH_E_ARGUMENT);
    assert_int_equal(with_buffer(vcpu, VERDICT, FH_HOLE_END, 8), 0);
    assert_int_equal(with_buffer(vcpu, VERDICT, FH_HOLE_END + 2 * MIB - 8, 8), 0);
    assert_int_equal(with_buffer(vcpu, VERDICT, FH_HOLE_END + 2 * MIB - 8, 9), FH_E_ARGUMENT);
    assert_int_equal(with_buffer(vcpu, VERDICT, FH_HOLE_START - 8, 0x40000010), FH_E_ARGUMENT);
    /* In a partition so large that it would all be inside. */
    partition->ranges[1].bytes = partition->high_bytes = 5 * GIB;
    for (enum buffer_call which = CONSOLE; which <= METRIC; which++)
        assert_int_equal(with_buffer(vcpu, which, FH_HOLE_END, 4 * GIB + 8), FH_E_ARGUMENT);
}

static void empty_buffers(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_int_equal(with_buffer(vcpu, CONSOLE, 0x30000, 0), 0);
    assert_int_equal(with_buffer(vcpu, CONSOLE, UINT64_MAX, 0), 0);
    assert_int_equal(fakes.record_count, 0);
    assert_int_equal(with_buffer(vcpu, VERDICT, 0x30000, 0), 0); /* a verdict needs no text */
    last_text(RECORD_VERDICT, 0);
}

static void no_room(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fakes.no_room = true;
    assert_int_equal(with_buffer(vcpu, CONSOLE, 0x30000, 8), 0); /* nothing taken, no error */
    assert_int_equal(with_buffer(vcpu, VERDICT, 0x30000, 8), FH_E_AGAIN);
    assert_int_equal(with_buffer(vcpu, METRIC, 0x30000, 8), FH_E_AGAIN);
    assert_int_equal(with_buffer(vcpu, VERDICT, 0x30000, FH_BUFFER_MAX + 1), FH_E_ARGUMENT);
    assert_int_equal(fakes.record_count, 0);
    assert_int_equal(vcpu->verdicts_passed, 0);
    fakes.no_room = false;
    assert_int_equal(with_buffer(vcpu, VERDICT, 0x30000, 8), 0);
    assert_int_equal(vcpu->verdicts_passed, 1);
}

/* ---- the others */

static void verdicts_are_counted(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_int_equal(call(vcpu, FH_CALL_VERDICT, 1, 0x30000, 4), 0);
    assert_int_equal(call(vcpu, FH_CALL_VERDICT, 1, 0x30000, 4), 0);
    assert_int_equal(call(vcpu, FH_CALL_VERDICT, 0, 0x30000, 4), 0);
    assert_int_equal(last_text(RECORD_VERDICT, 4)->value, 0);
    assert_int_equal(call(vcpu, FH_CALL_VERDICT, 2, 0x30000, 4), FH_E_ARGUMENT);
    assert_int_equal(call(vcpu, FH_CALL_VERDICT, UINT64_C(1) << 32, 0x30000, 4), FH_E_ARGUMENT);
    assert_int_equal(vcpu->verdicts_passed, 2);
    assert_int_equal(vcpu->verdicts_failed, 1);
    assert_int_equal(fakes.record_count, 3);
}

static void progress(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_int_equal(call(vcpu, FH_CALL_PROGRESS, UINT64_MAX, 0, 0), 0);
    assert_int_equal(vcpu->progress, UINT64_MAX);
    assert_int_equal(fakes.record_count, 0);
}

static void exit_call(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_int_equal(call(vcpu, FH_CALL_EXIT, 256, 0, 0), FH_E_ARGUMENT);
    assert_int_equal(call(vcpu, FH_CALL_EXIT, UINT64_MAX, 0, 0), FH_E_ARGUMENT);
    assert_int_equal(call(vcpu, FH_CALL_EXIT, UINT64_C(1) << 32, 0, 0), FH_E_ARGUMENT);
    vcpu->gpr[RAX] = FH_CALL_EXIT;
    vcpu->gpr[RDI] = 255;
    assert_false(rig_exit(vcpu, EXIT_REASON_VMCALL));
    rig_expect_resume(); /* does not return */
    assert_int_equal(vcpu->partition->state, PARTITION_STOPPING);
    assert_int_equal(vcpu->partition->exit_code, 255);
}

static void audit_call(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    hpa_t root = memory_frame(memory_need(FRAME_BYTES));
    fake_set_root(root);
    assert_int_equal(call(vcpu, FH_CALL_AUDIT, 0, 0, 0), 0);
    assert_int_equal(fake_record_count(RECORD_AUDIT), 1);
    assert_int_equal(fake_record(RECORD_AUDIT, 0)->bytes, sizeof(struct audit_result));
    /* A page both writable and executable is told to the guest as a number, and in words to the control loop.
     */
    assert_int_equal(paging_map(root, &memory_frames, UINT64_C(0xffffffff80000000), hpa(FAKE_POOL_START),
                                FRAME_BYTES, PAGE_EXECUTE),
                     PAGING_OK);
    *paging_entry(root, &memory_frames, UINT64_C(0xffffffff80000000), PAGING_LEVEL_PT) |= PAGING_ENTRY_WRITE;
    assert_true(call(vcpu, FH_CALL_AUDIT, 0, 0, 0) > 0);
    assert_true(fake_record(RECORD_AUDIT, 1)->payload.audit.writable_executable > 0);
    fakes.no_room = true;
    assert_true(call(vcpu, FH_CALL_AUDIT, 0, 0, 0) > 0);
    assert_int_equal(fake_record_count(RECORD_AUDIT), 2);
}

static void break_entry(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    vcpu->gpr[RAX] = FH_CALL_BREAK_ENTRY;
    assert_true(rig_exit(vcpu, EXIT_REASON_VMCALL));
    assert_int_equal(fake_get(VMCS_GUEST_RFLAGS) & RFLAGS_FIXED, 0);
    /* The processor refuses; the reason is found by our own checks and told in words. */
    assert_false(rig_exit_with(vcpu, EXIT_REASON_ENTRY_GUEST_STATE | EXIT_REASON_ENTRY_FAILURE, 0));
    rig_expect_contained(vcpu->partition, FAULT_ENTRY_FAILURE, "RFLAGS");
}

/* Whatever the four registers hold. */
static void hostile_calls(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set_root(memory_frame(memory_need(FRAME_BYTES)));
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct random random = {seed};
        uint64_t number = random_below(&random, 10);
        if (number == FH_CALL_EXIT || number == FH_CALL_BREAK_ENTRY)
            continue;
        fakes.record_count = 0;
        fakes.no_room = random_one_in(&random, 8);
        uint64_t a[3];
        for (uint32_t i = 0; i < 3; i++)
            a[i] = random_u64(&random) >> random_below(&random, 64);
        int64_t result = call(vcpu, number, a[0], a[1], a[2]);
        assert_in_range(result + 3, 0, 3 + FH_BUFFER_MAX);
        assert_true(result >= 0 || fakes.record_count == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(not_for_user_mode),
        cmocka_unit_test(buffers_arrive),
        cmocka_unit_test(buffers_refused),
        cmocka_unit_test(buffers_at_the_hole),
        cmocka_unit_test(empty_buffers),
        cmocka_unit_test(no_room),
        cmocka_unit_test(verdicts_are_counted),
        cmocka_unit_test(progress),
        cmocka_unit_test(exit_call),
        cmocka_unit_test(audit_call),
        cmocka_unit_test(break_entry),
        cmocka_unit_test(hostile_calls),
    };
    return cmocka_run_group_tests_name("hypercalls", tests, NULL, NULL);
}
