/* The port bus: how accesses are cut, who is asked, what absent hardware answers; random accesses against a
 * naive map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hv/bus.h"

/* A device that notes what it is asked and answers with bytes that tell its ports. */
struct probe {
    uint16_t first;
    uint32_t ports;
    uint8_t width;
    uint32_t calls;
    uint8_t last_bytes;
    uint16_t last_offset;
    enum bus_result result;
    uint8_t *stored; /* by absolute port */
};

static struct bus bus;

static uint8_t answer_of(uint32_t port)
{
    return (uint8_t)(port * 37 + 11);
}

static enum bus_result probe_access(void *device, struct bus_access *access)
{
    struct probe *probe = device;
    assert_true(access->bytes == 1 || access->bytes == 2 || access->bytes == 4);
    assert_true(access->bytes <= probe->width);
    assert_true((uint32_t)access->offset + access->bytes <= probe->ports);
    assert_int_equal((probe->first + access->offset) % access->bytes, 0);
    probe->calls++;
    probe->last_bytes = access->bytes;
    probe->last_offset = access->offset;
    if (access->write)
        assert_true(access->bytes == 4 || access->value >> (8 * access->bytes) == 0);
    for (uint32_t i = 0; i < access->bytes; i++) {
        uint32_t port = (uint32_t)probe->first + access->offset + i;
        if (access->write && probe->stored != NULL)
            probe->stored[port] = (uint8_t)(access->value >> (8 * i));
        else if (!access->write)
            access->value |= (uint32_t)answer_of(port) << (8 * i);
    }
    if (!access->write && access->bytes < 4)
        access->value |= UINT32_C(0xDD) << (8 * access->bytes); /* rubbish above: must not show */
    return probe->result;
}

static bool add(struct probe *probe)
{
    return bus_add(&bus, (struct bus_region){.name = "probe",
                                             .first = probe->first,
                                             .ports = probe->ports,
                                             .width = probe->width,
                                             .access = probe_access,
                                             .device = probe});
}

static uint32_t read_port(uint16_t port, uint32_t bytes, enum bus_result expect)
{
    uint32_t value = 0x5A5A5A5A;
    assert_int_equal(bus_access(&bus, port, bytes, false, &value), expect);
    return value;
}

static void test_absent_reads_as_ones(void **state)
{
    (void)state;
    bus_init(&bus);
    assert_int_equal(read_port(0x80, 1, BUS_UNHANDLED), 0xFF);
    assert_int_equal(read_port(0x80, 2, BUS_UNHANDLED), 0xFFFF);
    assert_int_equal(read_port(0x80, 4, BUS_UNHANDLED), 0xFFFFFFFF);
    assert_int_equal(read_port(0xFFFF, 4, BUS_UNHANDLED), 0xFFFFFFFF);
    uint32_t value = 5;
    assert_int_equal(bus_access(&bus, 0x80, 1, true, &value), BUS_UNHANDLED);
    assert_int_equal(value, 5);
}

static void test_sizes(void **state)
{
    (void)state;
    struct probe probe = {.first = 0x100, .ports = 8, .width = 4};
    bus_init(&bus);
    assert_true(add(&probe));
    static const uint32_t bad[] = {0, 3, 5, 8, 255, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint32_t value = 0;
        assert_int_equal(bus_access(&bus, 0x100, bad[i], i % 2 == 0, &value), BUS_ERROR);
    }
    assert_int_equal(probe.calls, 0);
}

static void test_a_wide_device_is_asked_once(void **state)
{
    (void)state;
    struct probe probe = {.first = 0xCF8, .ports = 8, .width = 4};
    bus_init(&bus);
    assert_true(add(&probe));
    uint32_t expect = answer_of(0xCFC) | (uint32_t)answer_of(0xCFD) << 8 | (uint32_t)answer_of(0xCFE) << 16 |
                      (uint32_t)answer_of(0xCFF) << 24;
    assert_int_equal(read_port(0xCFC, 4, BUS_HANDLED), expect);
    assert_int_equal(probe.calls, 1);
    assert_int_equal(probe.last_offset, 4);
    assert_int_equal(read_port(0xCFC, 2, BUS_HANDLED), expect & 0xFFFF); /* no rubbish above */
    assert_int_equal(read_port(0xCFC, 1, BUS_HANDLED), expect & 0xFF);
    assert_int_equal(probe.calls, 3);
    read_port(0xCF9, 4, BUS_HANDLED); /* not aligned: 1 + 2 + 1 */
    assert_int_equal(probe.calls, 6);
}

static void test_a_narrow_device_gets_bytes(void **state)
{
    (void)state;
    uint8_t stored[BUS_PORTS] = {0};
    struct probe probe = {.first = 0x3F8, .ports = 8, .width = 1, .stored = stored};
    bus_init(&bus);
    assert_true(add(&probe));
    uint32_t value = 0x44332211;
    assert_int_equal(bus_access(&bus, 0x3F9, 4, true, &value), BUS_HANDLED);
    assert_int_equal(probe.calls, 4);
    assert_int_equal(stored[0x3F9], 0x11);
    assert_int_equal(stored[0x3FC], 0x44);
    assert_int_equal(read_port(0x3F8, 2, BUS_HANDLED), answer_of(0x3F8) | answer_of(0x3F9) << 8);
}

static void test_straddling_regions(void **state)
{
    (void)state;
    struct probe low = {.first = 0x10, .ports = 2, .width = 2};
    struct probe high = {.first = 0x13, .ports = 1, .width = 4};
    bus_init(&bus);
    assert_true(add(&high));
    assert_true(add(&low));
    uint32_t expect =
        answer_of(0x10) | (uint32_t)answer_of(0x11) << 8 | 0xFF0000 | (uint32_t)answer_of(0x13) << 24;
    assert_int_equal(read_port(0x10, 4, BUS_UNHANDLED), expect); /* 0x12 is absent */
    assert_int_equal(low.calls, 1);
    assert_int_equal(high.calls, 1);
    assert_int_equal(high.last_offset, 0);
    assert_int_equal(read_port(0x0F, 2, BUS_UNHANDLED), 0xFF | answer_of(0x10) << 8);
}

static void test_the_top_of_the_port_space(void **state)
{
    (void)state;
    struct probe bottom = {.first = 0, .ports = 4, .width = 4};
    struct probe top = {.first = 0xFFFE, .ports = 2, .width = 2};
    bus_init(&bus);
    assert_true(add(&bottom));
    assert_true(add(&top));
    uint32_t expect = 0xFFFF0000u | answer_of(0xFFFE) | (uint32_t)answer_of(0xFFFF) << 8;
    assert_int_equal(read_port(0xFFFE, 4, BUS_UNHANDLED), expect);
    assert_int_equal(bottom.calls, 0); /* no wrap to port 0 */
    struct probe all = {.first = 0, .ports = BUS_PORTS, .width = 1};
    bus_init(&bus);
    assert_true(add(&all));
    read_port(0xFFFF, 1, BUS_HANDLED);
    assert_int_equal(all.last_offset, 0xFFFF);
}

static void test_device_results(void **state)
{
    (void)state;
    struct probe quiet = {.first = 0x20, .ports = 1, .width = 1, .result = BUS_UNHANDLED};
    struct probe broken = {.first = 0x21, .ports = 1, .width = 1, .result = BUS_ERROR};
    struct probe after = {.first = 0x22, .ports = 2, .width = 2};
    bus_init(&bus);
    assert_true(add(&quiet) && add(&broken) && add(&after));
    assert_int_equal(read_port(0x20, 1, BUS_UNHANDLED), 0xFF);
    assert_int_equal(read_port(0x20, 4, BUS_ERROR), 0xFFFFFFFF);
    assert_int_equal(after.calls, 0);
}

static void test_refused_regions(void **state)
{
    (void)state;
    bus_init(&bus);
    struct probe good = {.first = 0x100, .ports = 0x10, .width = 1};
    assert_true(add(&good));
    static struct probe bad[] = {
        {.first = 0x100, .ports = 0x10, .width = 1},       {.first = 0x10F, .ports = 1, .width = 1},
        {.first = 0xF0, .ports = 0x11, .width = 1},        {.first = 0, .ports = BUS_PORTS, .width = 1},
        {.first = 0x200, .ports = 0, .width = 1},          {.first = 0x200, .ports = 1, .width = 3},
        {.first = 0x200, .ports = 1, .width = 0},          {.first = 0x200, .ports = 1, .width = 8},
        {.first = 0xFFFF, .ports = 2, .width = 1},         {.first = 1, .ports = BUS_PORTS, .width = 1},
        {.first = 0x200, .ports = UINT32_MAX, .width = 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(add(&bad[i]));
    assert_false(bus_add(&bus, (struct bus_region){.first = 0x300, .ports = 1, .width = 1}));
    assert_int_equal(bus.count, 1);
    struct probe neighbours[2] = {{.first = 0xF0, .ports = 0x10, .width = 1},
                                  {.first = 0x110, .ports = 1, .width = 1}};
    assert_true(add(&neighbours[0]) && add(&neighbours[1]));
    static struct probe filler[BUS_MAX_REGIONS];
    for (uint16_t i = 0; bus.count < BUS_MAX_REGIONS; i++) {
        filler[i] = (struct probe){.first = (uint16_t)(0x1000 + i), .ports = 1, .width = 1};
        assert_true(add(&filler[i]));
    }
    struct probe one_more = {.first = 0x2000, .ports = 1, .width = 1};
    assert_false(add(&one_more));
}

static void test_merge_rax(void **state)
{
    (void)state;
    uint64_t rax = UINT64_C(0x1122334455667788);
    assert_true(bus_merge_rax(rax, 1, 0xFFFFFFAA) == UINT64_C(0x11223344556677AA));
    assert_true(bus_merge_rax(rax, 2, 0xFFFFAABB) == UINT64_C(0x112233445566AABB));
    assert_true(bus_merge_rax(rax, 4, 0xAABBCCDD) == UINT64_C(0xAABBCCDD));
}

/* Random regions in a small space, every access compared with a map of single ports. */
static void test_random_against_map(void **state)
{
    (void)state;
    unsigned seed = 99;
    for (int round = 0; round < 300; round++) {
        static struct probe probes[40];
        uint8_t stored[BUS_PORTS];
        bool present[0x60 + 4] = {false};
        memset(stored, 0, sizeof(stored));
        bus_init(&bus);
        for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
            probes[i] = (struct probe){.first = (uint16_t)(rand_r(&seed) % 0x58),
                                       .ports = 1u + (uint32_t)rand_r(&seed) % 8,
                                       .width = (uint8_t)(1u << rand_r(&seed) % 3),
                                       .stored = stored};
            bool overlaps = bus.count == BUS_MAX_REGIONS;
            for (uint32_t p = 0; p < probes[i].ports; p++)
                overlaps |= present[probes[i].first + p];
            assert_int_equal(add(&probes[i]), !overlaps);
            for (uint32_t p = 0; p < probes[i].ports && !overlaps; p++)
                present[probes[i].first + p] = true;
        }
        for (int step = 0; step < 200; step++) {
            uint16_t port = (uint16_t)(rand_r(&seed) % 0x60);
            uint32_t bytes = 1u << rand_r(&seed) % 3;
            bool write = rand_r(&seed) % 2 == 0;
            uint32_t value = (uint32_t)rand_r(&seed);
            uint32_t told = value;
            bool all = true;
            enum bus_result result = bus_access(&bus, port, bytes, write, &told);
            for (uint32_t i = 0; i < bytes; i++) {
                uint8_t byte = (uint8_t)((write ? value : told) >> (8 * i));
                all &= present[port + i];
                if (write && present[port + i])
                    assert_int_equal(stored[port + i], byte);
                if (!write)
                    assert_int_equal(byte, present[port + i] ? answer_of(port + i) : 0xFF);
            }
            assert_int_equal(result, all ? BUS_HANDLED : BUS_UNHANDLED);
            assert_true(write ? told == value : bytes == 4 || told >> (8 * bytes) == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_reads_as_ones),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_a_wide_device_is_asked_once),
        cmocka_unit_test(test_a_narrow_device_gets_bytes),
        cmocka_unit_test(test_straddling_regions),
        cmocka_unit_test(test_the_top_of_the_port_space),
        cmocka_unit_test(test_device_results),
        cmocka_unit_test(test_refused_regions),
        cmocka_unit_test(test_merge_rax),
        cmocka_unit_test(test_random_against_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
