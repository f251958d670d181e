/* hv/exit_decode.c: qualifications from the manual's tables, and sentences about any exit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "hv/exit_decode.h"
#include "hv/x86.h"

static void io_decodes(void **state)
{
    struct exit_io io = exit_decode_io(0x03F80000); /* out dx, al */

    (void)state;
    assert_true(io.port == 0x3F8 && io.bytes == 1 && !io.in && !io.string && !io.rep && !io.immediate);
    io = exit_decode_io(0x00F40048); /* in al, 0xf4 */
    assert_true(io.port == 0xF4 && io.bytes == 1 && io.in && io.immediate);
    io = exit_decode_io(0xFFFF003B); /* rep insd */
    assert_true(io.port == 0xFFFF && io.bytes == 4 && io.in && io.string && io.rep);
    io = exit_decode_io(0x00600011); /* outsw */
    assert_true(io.port == 0x60 && io.bytes == 2 && !io.in && io.string && !io.rep);
    for (uint64_t q = 0; q < 0x80; q++) {
        uint8_t bytes = exit_decode_io(q).bytes;
        assert_true(bytes == 1 || bytes == 2 || bytes == 4);
    }
}

static void control_register_accesses_decode(void **state)
{
    struct exit_cr_access a = exit_decode_cr_access(0x0304); /* mov cr4, rbx */

    (void)state;
    assert_true(a.cr == 4 && a.gpr == RBX && a.type == CR_ACCESS_MOV_TO);
    a = exit_decode_cr_access(0x0F18); /* mov r15, cr8 */
    assert_true(a.cr == 8 && a.gpr == R15 && a.type == CR_ACCESS_MOV_FROM);
    a = exit_decode_cr_access(0x20);
    assert_true(a.cr == 0 && a.type == CR_ACCESS_CLTS);
    a = exit_decode_cr_access(0x12340070);
    assert_true(a.type == CR_ACCESS_LMSW && a.lmsw_memory && a.lmsw_value == 0x1234);
    struct exit_mov_dr d = exit_decode_mov_dr(0x0917);
    assert_true(d.dr == 7 && d.gpr == R9 && d.from);
    d = exit_decode_mov_dr(0x0206);
    assert_true(d.dr == 6 && d.gpr == RDX && !d.from);
}

static void ept_violations_decode(void **state)
{
    struct exit_ept_violation v = exit_decode_ept_violation(0x181);

    (void)state;
    assert_true(v.access == EPT_ACCESS_READ && !v.mapped && v.linear_valid && !v.page_walk);
    v = exit_decode_ept_violation(0x182 | 8 | 0x1000);
    assert_true(v.access == EPT_ACCESS_WRITE && v.mapped && v.nmi_unblocked);
    v = exit_decode_ept_violation(0x183); /* read-modify-write */
    assert_true(v.access == EPT_ACCESS_WRITE);
    v = exit_decode_ept_violation(0x084);
    assert_true(v.access == EPT_ACCESS_FETCH && v.page_walk);
    v = exit_decode_ept_violation(0x001);
    assert_true(!v.linear_valid && !v.page_walk);
}

static void events_decode(void **state)
{
    struct exit_event e = exit_decode_event(0x80000B0E);

    (void)state;
    assert_true(e.valid && e.vector == 14 && e.type == INTERRUPTION_HARDWARE_EXCEPTION && e.has_error_code);
    e = exit_decode_event(0x800000F0);
    assert_true(e.valid && e.vector == 0xF0 && e.type == INTERRUPTION_EXTERNAL && !e.has_error_code);
    e = exit_decode_event(0x80001202);
    assert_true(e.type == INTERRUPTION_NMI && e.nmi_unblocked);
    assert_false(exit_decode_event(0x7FFFFFFF).valid);
    struct exit_task_switch t = exit_decode_task_switch(0xC0000028);
    assert_true(t.selector == 0x28 && t.source == TASK_SWITCH_GATE);
    struct exit_debug d = exit_decode_debug(0x6005);
    assert_true(d.breakpoints == 5 && d.register_access && d.single_step && !d.bus_lock && !d.transaction);
    d = exit_decode_debug(0x10800);
    assert_true(d.breakpoints == 0 && d.bus_lock && d.transaction && !d.single_step);
}

static void assert_sentence(const struct crash_capsule *capsule, const char *expected)
{
    char text[200];
    size_t length = exit_describe(text, sizeof(text), capsule);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

#define SENTENCE(expected, ...)                        \
    do {                                               \
        struct crash_capsule capsule_ = {__VA_ARGS__}; \
        assert_sentence(&capsule_, expected);          \
    } while (0)

static void exits_read_as_sentences(void **state)
{
    (void)state;
    SENTENCE("EPT violation: write to guest-physical 0x40000000, for linear 0xffff800040000000, which is not "
             "mapped",
             .exit_reason = EXIT_REASON_EPT_VIOLATION, .qualification = 0x182, .guest_physical = 0x40000000,
             .guest_linear = 0xFFFF800040000000);
    SENTENCE("EPT violation: read of guest-physical 0x1000 as a page table, for linear 0x2000, which is not "
             "mapped",
             .exit_reason = EXIT_REASON_EPT_VIOLATION, .qualification = 0x81, .guest_physical = 0x1000,
             .guest_linear = 0x2000);
    SENTENCE(
        "EPT violation: instruction fetch from guest-physical 0x0, which does not allow it, while delivering "
        "exception 14 (#PF)",
        .exit_reason = EXIT_REASON_EPT_VIOLATION, .qualification = 0xC, .idt_vectoring_info = 0x80000B0E);
    SENTENCE("I/O instruction: repeated OUTS of 1 byte, port 0xcf8", .exit_reason = EXIT_REASON_IO,
             .qualification = 0x0CF80030);
    SENTENCE("I/O instruction: IN of 4 bytes, port 0x60", .exit_reason = EXIT_REASON_IO,
             .qualification = 0x0060000B);
    SENTENCE("WRMSR: MSR 0x1a0 = 0x100000002", .exit_reason = EXIT_REASON_WRMSR, .gpr[RCX] = 0x9000001A0,
             .gpr[RAX] = 0xF00000002, .gpr[RDX] = 1);
    SENTENCE("RDMSR: MSR 0x3a", .exit_reason = EXIT_REASON_RDMSR, .gpr[RCX] = 0x3A);
    SENTENCE("Control-register access: CR4 = rbx, 0x2020", .exit_reason = EXIT_REASON_CR_ACCESS,
             .qualification = 0x304, .gpr[RBX] = 0x2020);
    SENTENCE("Control-register access: LMSW of 0x1", .exit_reason = EXIT_REASON_CR_ACCESS,
             .qualification = 0x10030);
    SENTENCE("CPUID: leaf 0xb, sub-leaf 0x1", .exit_reason = EXIT_REASON_CPUID, .gpr[RAX] = 0xB,
             .gpr[RCX] = 1);
    SENTENCE("Exception or NMI: exception 17 (#AC)", .exit_reason = EXIT_REASON_EXCEPTION_OR_NMI,
             .interruption_info = 0x80000B11);
    SENTENCE("Exception or NMI: exception 1 (#DB), breakpoints 1, single step",
             .exit_reason = EXIT_REASON_EXCEPTION_OR_NMI, .interruption_info = 0x80000301,
             .qualification = 0x4001);
    SENTENCE("Exception or NMI: NMI 2", .exit_reason = EXIT_REASON_EXCEPTION_OR_NMI,
             .interruption_info = 0x80000202);
    SENTENCE("XSETBV: XCR0 = 0x7", .exit_reason = EXIT_REASON_XSETBV, .gpr[RAX] = 7);
    SENTENCE("Task switch: by IRET to TSS 0x20", .exit_reason = EXIT_REASON_TASK_SWITCH,
             .qualification = 0x40000020);
    SENTENCE("HLT", .exit_reason = EXIT_REASON_HLT);
    SENTENCE("unknown exit reason", .exit_reason = 0xFFFF);
}

static uint64_t random_u64(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void any_exit_fits_any_buffer(void **state)
{
    uint64_t seed = 0xC0FFEE;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct crash_capsule c;
        char whole[400], cut[64];
        for (size_t j = 0; j < sizeof(c); j++)
            ((uint8_t *)&c)[j] = (uint8_t)random_u64(&seed);
        c.exit_reason = (uint32_t)(i % 2 ? random_u64(&seed) % 90 : random_u64(&seed));
        size_t length = exit_describe(whole, sizeof(whole), &c);
        assert_int_equal(strlen(whole), length);
        size_t room = 1 + random_u64(&seed) % sizeof(cut);
        memset(cut, '?', sizeof(cut));
        assert_int_equal(exit_describe(cut, room, &c), length);
        assert_int_equal(strlen(cut), length < room ? length : room - 1);
        assert_memory_equal(cut, whole, strlen(cut));
        for (size_t j = room; j < sizeof(cut); j++)
            assert_int_equal(cut[j], '?');
    }
}

static void exceptions_have_names(void **state)
{
    (void)state;
    assert_string_equal(exception_name(13), "#GP");
    assert_string_equal(exception_name(9), "exception");
    assert_string_equal(exception_name(32), "interrupt");
    assert_string_equal(exception_name(UINT32_MAX), "interrupt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(io_decodes),
        cmocka_unit_test(control_register_accesses_decode),
        cmocka_unit_test(ept_violations_decode),
        cmocka_unit_test(events_decode),
        cmocka_unit_test(exits_read_as_sentences),
        cmocka_unit_test(any_exit_fits_any_buffer),
        cmocka_unit_test(exceptions_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
