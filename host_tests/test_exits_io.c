/*
 * Port I/O: IN and OUT of every size, and string I/O through the guest's own page tables, forwards,
 * backwards, with narrow addresses, over page boundaries, into faults and out of the slice, a bounded number
 * of elements an exit.
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
#include "hv/devices.h"

#define ELEMENTS_PER_EXIT 256 /* as hv/vmx/exits_io.c bounds it */
#define NO_PORT           0x300u
#define IO_IN             (1u << 3)
#define IO_STRING         (1u << 4)
#define IO_REP            (1u << 5)

enum { ADDRESS_16, ADDRESS_32, ADDRESS_64 };

static uint32_t qualification(uint32_t port, uint32_t bytes, uint32_t flags)
{
    return (bytes - 1) | flags | port << 16;
}

/* ---- IN and OUT */

static uint64_t in(struct vcpu *vcpu, uint32_t port, uint32_t bytes)
{
    vcpu->gpr[RAX] = UINT64_C(0x1122334455667788);
    assert_true(rig_exit_with(vcpu, EXIT_REASON_IO, qualification(port, bytes, IO_IN)));
    rig_expect_next();
    rig_expect_defined();
    return vcpu->gpr[RAX];
}

static bool out(struct vcpu *vcpu, uint32_t port, uint32_t bytes, uint64_t rax)
{
    vcpu->gpr[RAX] = rax;
    bool stays = rig_exit_with(vcpu, EXIT_REASON_IO, qualification(port, bytes, 0));
    rig_expect_next();
    rig_expect_defined();
    assert_int_equal(vcpu->gpr[RAX], rax);
    return stays;
}

static void absent_ports_read_ones(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    for (uint32_t port = 0; port < 0x10000; port += 0x33) {
        if (port / 8 == FH_PORT_UART / 8 || (port <= FH_PORT_EXIT && port + 4 > FH_PORT_EXIT))
            continue;
        uint64_t before = vcpu->absent_accesses;
        assert_int_equal(in(vcpu, port, 1), 0x11223344556677ff);
        assert_int_equal(in(vcpu, port, 2), 0x112233445566ffff);
        assert_int_equal(in(vcpu, port, 4), 0x00000000ffffffff);
        assert_true(out(vcpu, port, 4, UINT64_MAX));
        assert_int_equal(vcpu->absent_accesses, before + 4);
    }
}

static void uart_lines(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_int_equal(in(vcpu, FH_PORT_UART + UART_LSR, 1), 0x1122334455667760);
    const char *text = "hello\nrest";
    for (uint32_t i = 0; text[i] != 0; i++)
        assert_true(out(vcpu, FH_PORT_UART, 1, (uint8_t)text[i] | 0xff00));
    assert_int_equal(fake_record_count(RECORD_OUTPUT), 1);
    const struct record_text *line = &fake_record(RECORD_OUTPUT, 0)->payload.text;
    assert_int_equal(line->bytes, 6);
    assert_int_equal(fake_record(RECORD_OUTPUT, 0)->bytes, offsetof(struct record_text, text) + 6);
    assert_memory_equal(line->text, "hello\n", 6);
    assert_int_equal(line->partition, 0);
    assert_int_equal(line->vcpu, 0);
    assert_true(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER)); /* a slice sends what has no end yet */
    assert_memory_equal(fake_record(RECORD_OUTPUT, 1)->payload.text.text, "rest", 4);
    assert_int_equal(fake_record(RECORD_OUTPUT, 1)->payload.text.bytes, 4);
    assert_true(rig_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER));
    assert_int_equal(fake_record_count(RECORD_OUTPUT), 2);
}

/* No room on the way to the console: LSR.THRE goes away, nothing is lost, nothing waits in the hypervisor. */
static void uart_without_room(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fakes.no_room = true;
    uint32_t taken = 0;
    while ((in(vcpu, FH_PORT_UART + UART_LSR, 1) & UART_LSR_THRE) != 0) {
        assert_true(out(vcpu, FH_PORT_UART, 1, 'a' + taken % 26));
        assert_true(taken++ < 1000);
    }
    assert_int_equal(taken, VCPU_OUTPUT_BYTES);
    assert_int_equal(fakes.record_count, 0);
    assert_true(out(vcpu, FH_PORT_UART, 1, '!')); /* against the rules: lost, as on a real one */
    fakes.no_room = false;
    assert_true((in(vcpu, FH_PORT_UART + UART_LSR, 1) & UART_LSR_THRE) != 0);
    const struct record_text *text = &fake_record(RECORD_OUTPUT, 0)->payload.text;
    assert_int_equal(text->bytes, VCPU_OUTPUT_BYTES);
    for (uint32_t i = 0; i < VCPU_OUTPUT_BYTES; i++)
        assert_int_equal(text->text[i], 'a' + i % 26);
}

static void exit_port(void **state)
{
    (void)state;
    static const struct {
        uint32_t port, bytes, value, code;
    } cases[] = {
        {FH_PORT_EXIT, 1, 0x1ab, 0xab}, {FH_PORT_EXIT, 4, 0x12345607, 7}, {FH_PORT_EXIT - 1, 2, 0x0900, 9}};
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *vcpu = rig_one();
        assert_false(out(vcpu, cases[i].port, cases[i].bytes, cases[i].value));
        assert_int_equal(vcpu->partition->state, PARTITION_STOPPING);
        assert_int_equal(vcpu->partition->exit_code, cases[i].code);
        assert_int_equal(vcpu->partition->fault, FAULT_NONE);
    }
    struct vcpu *vcpu = rig_one();
    assert_int_equal(in(vcpu, FH_PORT_EXIT, 1) & 0xff, 0xff);
    assert_int_equal(vcpu->absent_accesses, 1);
    rig_expect_running(vcpu->partition);
}

/* ---- string I/O */

struct string_io {
    uint32_t port, bytes;
    bool in, rep, down;
    uint32_t address_size;
    uint64_t base; /* of the segment */
};

/* One exit of the instruction with the registers as they are. */
static bool string_exit(struct vcpu *vcpu, const struct string_io *io)
{
    static const uint64_t masks[] = {UINT16_MAX, UINT32_MAX, UINT64_MAX};
    uint64_t pointer = vcpu->gpr[io->in ? RDI : RSI] & masks[io->address_size];
    uint64_t flags = IO_STRING | (io->in ? IO_IN : 0) | (io->rep ? IO_REP : 0);
    fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | (io->down ? RFLAGS_DF : 0));
    rig_exits_with(EXIT_REASON_IO, qualification(io->port, io->bytes, (uint32_t)flags));
    fake_set(VMCS_EXIT_INSTRUCTION_LENGTH, RIG_LENGTH);
    fake_set(VMCS_EXIT_INSTRUCTION_INFO, io->address_size << 7);
    fake_set(VMCS_GUEST_LINEAR_ADDRESS, io->base + pointer);
    bool stays = vmx_exit(vcpu);
    if (stays) /* otherwise the capsule has taken all there is */
        rig_expect_defined();
    return stays;
}

/* What the console has been told so far. */
static uint32_t output(char *to, uint32_t room)
{
    uint32_t length = 0;
    for (uint32_t n = 0; fake_record(RECORD_OUTPUT, n) != NULL; n++) {
        const struct record_text *text = &fake_record(RECORD_OUTPUT, n)->payload.text;
        assert_true(length + text->bytes <= room);
        memcpy(to + length, text->text, text->bytes);
        length += text->bytes;
    }
    return length;
}

static void outs_bounded_and_resumed(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    char *ram = rig_guest(vcpu->partition, 0x1ffff0), told[2048];
    for (uint32_t i = 0; i < 1000; i++)
        ram[i] = i % 64 == 63 ? '\n' : (char)('a' + i % 26);
    struct string_io io = {.port = FH_PORT_UART, .bytes = 1, .rep = true, .address_size = ADDRESS_64};
    vcpu->gpr[RSI] = 0x1ffff0; /* crosses a 2 MiB frame */
    vcpu->gpr[RCX] = 704;
    for (uint32_t left = 704; left > 0;) {
        uint32_t step = left > ELEMENTS_PER_EXIT ? ELEMENTS_PER_EXIT : left;
        assert_true(string_exit(vcpu, &io));
        left -= step;
        assert_int_equal(vcpu->gpr[RCX], left);
        assert_int_equal(vcpu->gpr[RSI], 0x1ffff0 + 704 - left);
        if (left > 0)
            rig_expect_resume();
        else
            rig_expect_next();
        assert_int_equal(vcpu->exits[EXIT_REASON_IO].count, (704 - left + 255) / 256);
    }
    assert_int_equal(output(told, sizeof(told)), 704);
    assert_memory_equal(told, ram, 704);
}

static void ins_fills_memory(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    for (uint32_t bytes = 1; bytes <= 4; bytes *= 2) {
        for (uint32_t down = 0; down < 2; down++) {
            uint8_t *ram = rig_guest(vcpu->partition, 0x20000);
            memset(ram, 0, 0x4000);
            struct string_io io = {
                .port = NO_PORT, .bytes = bytes, .in = true, .rep = true, .down = down != 0};
            io.address_size = ADDRESS_64;
            vcpu->gpr[RDI] = 0x21ffe;
            vcpu->gpr[RCX] = 9;
            assert_true(string_exit(vcpu, &io));
            rig_expect_next();
            assert_int_equal(vcpu->gpr[RCX], 0);
            assert_int_equal(vcpu->gpr[RDI], down ? 0x21ffe - 9 * bytes : 0x21ffe + 9 * bytes);
            uint32_t first = down ? 0x1ffe - 8 * bytes : 0x1ffe;
            for (uint32_t i = 0; i < 0x4000; i++)
                assert_int_equal(ram[i], i >= first && i < first + 9 * bytes ? 0xff : 0);
        }
    }
}

static void one_element_without_rep(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct string_io io = {.port = NO_PORT, .bytes = 4, .in = true, .address_size = ADDRESS_64};
    vcpu->gpr[RDI] = 0x30000;
    vcpu->gpr[RCX] = 77;
    assert_true(string_exit(vcpu, &io));
    rig_expect_next();
    assert_int_equal(vcpu->gpr[RCX], 77);
    assert_int_equal(vcpu->gpr[RDI], 0x30004);
    assert_int_equal(*(uint32_t *)rig_guest(vcpu->partition, 0x30000), UINT32_MAX);
    assert_int_equal(*(uint32_t *)rig_guest(vcpu->partition, 0x30004), 0);
}

static void rep_of_nothing(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct string_io io = {.port = FH_PORT_EXIT, .bytes = 1, .rep = true, .address_size = ADDRESS_16};
    vcpu->gpr[RSI] = 0x30000;
    vcpu->gpr[RCX] = UINT64_C(0xffffffffffff0000); /* CX is 0 */
    assert_true(string_exit(vcpu, &io));
    rig_expect_next();
    assert_int_equal(vcpu->gpr[RCX], UINT64_C(0xffffffffffff0000));
    rig_expect_running(vcpu->partition);
}

/* Pointers wrap inside their size; 16 bits keep what is above, 32 bits clear it. */
static void addresses_wrap(void **state)
{
    (void)state;
    static const struct {
        uint32_t size;
        uint64_t pointer, count, pointer_after, count_after, base;
        bool down;
    } cases[] = {
        {ADDRESS_16, UINT64_C(0xaaaabbbbccccfffe), UINT64_C(0x1111222233330004), UINT64_C(0xaaaabbbbcccc0002),
         UINT64_C(0x1111222233330000), 0x100000, false},
        {ADDRESS_16, UINT64_C(0xaaaabbbbcccc0001), UINT64_C(0x1111222233330004), UINT64_C(0xaaaabbbbccccfffd),
         UINT64_C(0x1111222233330000), 0x100000, true},
        {ADDRESS_32, UINT64_C(0xaaaabbbb00110000), UINT64_C(0x1111222200000004), 0x110004, 0, 0, false},
        {ADDRESS_32, UINT64_C(0xaaaabbbb00110000), UINT64_C(0x1111222200000004), 0x10fffc, 0, 0x20000, true},
        {ADDRESS_64, 0x110000, 4, 0x110004, 0, 0, false},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vcpu *vcpu = rig_one();
        uint8_t *ram = rig_guest(vcpu->partition, 0x100000);
        memset(ram, 0, 0x40000);
        struct string_io io = {.port = NO_PORT,
                               .bytes = 1,
                               .in = true,
                               .rep = true,
                               .down = cases[i].down,
                               .address_size = cases[i].size,
                               .base = cases[i].base};
        static const uint64_t masks[] = {UINT16_MAX, UINT32_MAX, UINT64_MAX};
        vcpu->gpr[RDI] = cases[i].pointer;
        vcpu->gpr[RCX] = cases[i].count;
        assert_true(string_exit(vcpu, &io));
        rig_expect_next();
        assert_int_equal(vcpu->gpr[RDI], cases[i].pointer_after);
        assert_int_equal(vcpu->gpr[RCX], cases[i].count_after);
        uint32_t written = 0;
        for (uint32_t n = 0; n < 4; n++) {
            uint64_t at = cases[i].base +
                          ((cases[i].pointer + (cases[i].down ? 0 - (uint64_t)n : n)) & masks[cases[i].size]);
            assert_int_equal(ram[at - 0x100000], 0xff);
        }
        for (uint32_t n = 0; n < 0x40000; n++)
            written += ram[n] != 0;
        assert_int_equal(written, 4);
    }
}

/* ---- faults in the middle */

/* Unmaps [0x200000, 0x400000) of the guest's own one-to-one tables. */
static void unmap_second_2m(const struct vcpu *vcpu, uint64_t entry)
{
    uint64_t *directory = rig_guest(vcpu->partition, FH_PAGE_TABLES + 2 * FRAME_BYTES);
    directory[1] = entry;
}

static void page_fault_in_the_middle(void **state)
{
    (void)state;
    for (uint32_t is_in = 0; is_in < 2; is_in++) {
        struct vcpu *vcpu = rig_one();
        unmap_second_2m(vcpu, 0);
        struct string_io io = {
            .port = NO_PORT, .bytes = 2, .in = is_in != 0, .rep = true, .address_size = ADDRESS_64};
        uint64_t *pointer = &vcpu->gpr[is_in ? RDI : RSI];
        *pointer = 0x1ffff8;
        vcpu->gpr[RCX] = 10;
        assert_true(string_exit(vcpu, &io));
        rig_expect_resume();
        rig_expect_exception(VECTOR_PF, true, is_in ? 2 : 0); /* write; not present */
        assert_int_equal(fake_cpu.cr2, 0x200000);
        assert_int_equal(*pointer, 0x200000);
        assert_int_equal(vcpu->gpr[RCX], 6);
        rig_expect_running(vcpu->partition);
        unmap_second_2m(vcpu, 0x200083);
        assert_true(string_exit(vcpu, &io)); /* the guest has mended it: the rest follows */
        rig_expect_next();
        assert_int_equal(vcpu->gpr[RCX], 0);
    }
}

/* An element over the boundary: neither half is moved, and the device is not asked for what memory refuses.
 */
static void element_over_the_boundary(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    unmap_second_2m(vcpu, 0x200081); /* read only, and CR0.WP is set */
    uint8_t *ram = rig_guest(vcpu->partition, 0x1ffffe);
    struct string_io io = {.port = NO_PORT, .bytes = 4, .in = true, .rep = true, .address_size = ADDRESS_64};
    vcpu->gpr[RDI] = 0x1ffffe;
    vcpu->gpr[RCX] = 2;
    assert_true(string_exit(vcpu, &io));
    rig_expect_exception(VECTOR_PF, true, 3); /* write; protection */
    assert_int_equal(fake_cpu.cr2, 0x200000);
    assert_int_equal(vcpu->gpr[RCX], 2);
    assert_int_equal(ram[0] | ram[1] | ram[2], 0);
    assert_int_equal(vcpu->absent_accesses, 0);
    /* Reading is fine there. */
    io.in = false;
    vcpu->gpr[RSI] = 0x1ffffe;
    assert_true(string_exit(vcpu, &io));
    rig_expect_next();
}

static void not_canonical(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct string_io io = {.port = NO_PORT, .bytes = 1, .in = true, .rep = true, .address_size = ADDRESS_64};
    vcpu->gpr[RDI] = UINT64_C(1) << 47;
    vcpu->gpr[RCX] = 2;
    assert_true(string_exit(vcpu, &io));
    rig_expect_exception(VECTOR_GP, true, 0);
    rig_expect_resume();
    assert_int_equal(vcpu->gpr[RCX], 2);
}

static void user_mode_is_checked_as_user(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set(VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc0f3);
    struct string_io io = {.port = NO_PORT, .bytes = 1, .in = true, .address_size = ADDRESS_64};
    vcpu->gpr[RDI] = 0x30000; /* the tables are a supervisor's */
    assert_true(string_exit(vcpu, &io));
    rig_expect_exception(VECTOR_PF, true, 7);
}

/* ---- beyond the slice */

static void outside_the_slice(void **state)
{
    (void)state;
    for (uint32_t is_in = 0; is_in < 2; is_in++) {
        struct vcpu *vcpu = rig_one();
        struct string_io io = {
            .port = NO_PORT, .bytes = 4, .in = is_in != 0, .rep = true, .address_size = ADDRESS_64};
        vcpu->gpr[is_in ? RDI : RSI] = 4 * MIB - 8;
        vcpu->gpr[RCX] = 100;
        assert_false(string_exit(vcpu, &io));
        rig_expect_contained(vcpu->partition, FAULT_EPT_VIOLATION, "string I/O with guest-physical 400000");
        rig_expect_resume();
        assert_int_equal(vcpu->gpr[RCX], 98);
    }
}

static void page_table_outside_the_slice(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set(VMCS_GUEST_CR3, 0x50000000);
    struct string_io io = {.port = NO_PORT, .bytes = 1, .in = true, .address_size = ADDRESS_64};
    vcpu->gpr[RDI] = 0x30000;
    assert_false(string_exit(vcpu, &io));
    rig_expect_contained(vcpu->partition, FAULT_EPT_VIOLATION,
                         "a page table of the guest lies at guest-physical 50000000");
}

/* A mode that CPUID does not show and CR4 does not take: ours to notice, were it ever on. */
static void paging_mode_that_is_hidden(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    fake_set(VMCS_GUEST_CR4, fake_get(VMCS_GUEST_CR4) | CR4_LA57);
    struct string_io io = {.port = NO_PORT, .bytes = 1, .in = true, .address_size = ADDRESS_64};
    vcpu->gpr[RDI] = 0x30000;
    assert_false(string_exit(vcpu, &io));
    rig_expect_contained(vcpu->partition, FAULT_UNHANDLED_EXIT, "a paging mode that CPUID does not show");
}

/* The device hole answers with ones, takes everything, and never stops a guest. */
static void the_device_hole(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    char told[16];
    struct string_io io = {.port = NO_PORT, .bytes = 2, .in = true, .rep = true, .address_size = ADDRESS_64};
    vcpu->gpr[RDI] = FH_HOLE_START;
    vcpu->gpr[RCX] = 3;
    assert_true(string_exit(vcpu, &io));
    rig_expect_next();
    assert_int_equal(vcpu->absent_accesses, 6); /* three of the port, three of memory */
    io = (struct string_io){.port = FH_PORT_UART, .bytes = 1, .rep = true, .address_size = ADDRESS_64};
    vcpu->gpr[RSI] = FH_HOLE_END - 2;
    vcpu->gpr[RCX] = 2;
    assert_true(string_exit(vcpu, &io));
    devices_flush_output(vcpu);
    assert_int_equal(output(told, sizeof(told)), 2);
    assert_memory_equal(told, "\xff\xff", 2);
    rig_expect_running(vcpu->partition);
}

/* The exit port in a REP: the first element ends the partition, no other is carried out. */
static void exit_in_a_rep(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    memcpy(rig_guest(vcpu->partition, 0x30000), "\x2a\x07\x08", 3);
    struct string_io io = {.port = FH_PORT_EXIT, .bytes = 1, .rep = true, .address_size = ADDRESS_64};
    vcpu->gpr[RSI] = 0x30000;
    vcpu->gpr[RCX] = 3;
    assert_false(string_exit(vcpu, &io));
    assert_int_equal(vcpu->partition->exit_code, 42);
    assert_int_equal(vcpu->gpr[RCX], 2);
}

/* Whatever the registers hold: bounded, and nothing but a fault, the end of the partition or progress. */
static void hostile_registers(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct random random = {seed};
        struct string_io io = {
            .port = (uint32_t)(random_one_in(&random, 2) ? FH_PORT_UART + random_below(&random, 8)
                                                         : random_below(&random, 0x10000)),
            .bytes = 1u << random_below(&random, 3),
            .in = random_one_in(&random, 2),
            .rep = random_one_in(&random, 2),
            .down = random_one_in(&random, 2),
            .address_size = (uint32_t)random_below(&random, 3),
            .base = random_one_in(&random, 2) ? 0 : random_u64(&random) >> random_below(&random, 64),
        };
        if (io.port == FH_PORT_EXIT)
            continue;
        if (vcpu->partition->state != PARTITION_RUNNING)
            vcpu = rig_one();
        fakes.record_count = 0;
        vcpu->gpr[RSI] = vcpu->gpr[RDI] = random_u64(&random) >> random_below(&random, 64);
        vcpu->gpr[RCX] = random_u64(&random) >> random_below(&random, 64);
        string_exit(vcpu, &io);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_ports_read_ones),
        cmocka_unit_test(uart_lines),
        cmocka_unit_test(uart_without_room),
        cmocka_unit_test(exit_port),
        cmocka_unit_test(outs_bounded_and_resumed),
        cmocka_unit_test(ins_fills_memory),
        cmocka_unit_test(one_element_without_rep),
        cmocka_unit_test(rep_of_nothing),
        cmocka_unit_test(addresses_wrap),
        cmocka_unit_test(page_fault_in_the_middle),
        cmocka_unit_test(element_over_the_boundary),
        cmocka_unit_test(not_canonical),
        cmocka_unit_test(user_mode_is_checked_as_user),
        cmocka_unit_test(outside_the_slice),
        cmocka_unit_test(page_table_outside_the_slice),
        cmocka_unit_test(paging_mode_that_is_hidden),
        cmocka_unit_test(the_device_hole),
        cmocka_unit_test(exit_in_a_rep),
        cmocka_unit_test(hostile_registers),
    };
    return cmocka_run_group_tests_name("exits: ports", tests, NULL, NULL);
}
