/* Cores: contradictions are refused, hyper-threads recognised, numbering is dense, the boot core is first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/topology.h"

static const struct topology_bits flat = {0, 0};
static struct machine machine;
static char why[256];

static bool build(const struct firmware_core *cores, uint32_t count, struct topology_bits bits,
                  const struct acpi_info *acpi)
{
    memset(&machine, 0, sizeof(machine));
    memset(why, 0, sizeof(why));
    return topology_build(&machine, cores, count, bits, acpi, why, sizeof(why));
}

static void boot_core_first_then_by_apic_id(void **state)
{
    (void)state;
    const struct firmware_core cores[] = {{9, false}, {4, true}, {1, false}, {300, false}};
    assert_true(build(cores, 4, flat, NULL));
    assert_int_equal(machine.core_count, 4);
    assert_int_equal(machine.package_count, 4);
    const uint32_t ids[] = {4, 1, 9, 300};
    const uint16_t packages[] = {1, 0, 2, 3};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(machine.cores[i].apic_id, ids[i]);
        assert_int_equal(machine.cores[i].package, packages[i]);
        assert_int_equal(machine.cores[i].zone, ZONE_UNKNOWN);
    }
}

static void threads_share_a_core(void **state)
{
    (void)state;
    /* Two packages of two cores of two threads; the second package is numbered far away. */
    const struct firmware_core cores[] = {{0, true},   {1, false},  {2, false},  {3, false},
                                          {64, false}, {65, false}, {66, false}, {67, false}};
    assert_true(build(cores, 8, (struct topology_bits){1, 5}, NULL));
    assert_int_equal(machine.package_count, 2);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(machine.cores[i].package, i / 4);
        assert_int_equal(machine.cores[i].core, i / 2 % 2);
        assert_int_equal(machine.cores[i].thread, i % 2);
    }
}

static void count_must_fit(void **state)
{
    (void)state;
    struct firmware_core *cores = calloc(MACHINE_MAX_CORES + 1, sizeof(*cores));
    for (uint32_t i = 0; i <= MACHINE_MAX_CORES; i++)
        cores[i] = (struct firmware_core){i, i == MACHINE_MAX_CORES - 1};
    assert_false(build(cores, 0, flat, NULL));
    assert_non_null(strstr(why, "no usable processor"));
    assert_true(build(cores, MACHINE_MAX_CORES, (struct topology_bits){1, 4}, NULL));
    assert_int_equal(machine.package_count, MACHINE_MAX_CORES / 16);
    assert_int_equal(machine.cores[0].apic_id, MACHINE_MAX_CORES - 1);
    assert_false(build(cores, MACHINE_MAX_CORES + 1, flat, NULL));
    assert_non_null(strstr(why, "257"));
    assert_non_null(strstr(why, "256"));
    free(cores);
}

static void firmware_nonsense_is_refused(void **state)
{
    (void)state;
    const struct firmware_core twice[] = {{0, true}, {7, false}, {7, false}};
    assert_false(build(twice, 3, flat, NULL));
    assert_non_null(strstr(why, "APIC id 7"));
    const struct firmware_core none[] = {{0, false}, {1, false}};
    assert_false(build(none, 2, flat, NULL));
    const struct firmware_core both[] = {{0, true}, {1, true}};
    assert_false(build(both, 2, flat, NULL));
    assert_non_null(strstr(why, "2 boot processors"));
}

static void madt_must_agree(void **state)
{
    (void)state;
    const struct firmware_core cores[] = {{0, true}, {2, false}};
    struct acpi_info *acpi = calloc(1, sizeof(*acpi));
    assert_true(build(cores, 2, flat, acpi)); /* ACPI without a MADT has no say */

    acpi->has_madt = true;
    acpi->core_count = 2;
    acpi->apic_ids[0] = 2;
    acpi->apic_ids[1] = 0;
    assert_true(build(cores, 2, flat, acpi));
    acpi->apic_ids[0] = 3;
    assert_false(build(cores, 2, flat, acpi));
    assert_non_null(strstr(why, "APIC id 2"));
    acpi->apic_ids[0] = 2;
    acpi->core_count = 3;
    assert_false(build(cores, 2, flat, acpi));
    acpi->core_count = 1000; /* more than the array holds */
    assert_false(build(cores, 2, flat, acpi));
    assert_non_null(strstr(why, "1000"));
    free(acpi);
}

static void zones_come_from_the_srat(void **state)
{
    (void)state;
    const struct firmware_core cores[] = {{0, true}, {1, false}, {2, false}};
    struct acpi_info *acpi = calloc(1, sizeof(*acpi));
    acpi->zone_count = 2;
    acpi->domains[0] = 5;
    acpi->domains[1] = 70000;
    acpi->core_node_count = 2;
    acpi->core_nodes[0] = (struct acpi_core_node){.apic_id = 1, .domain = 70000};
    acpi->core_nodes[1] = (struct acpi_core_node){.apic_id = 0, .domain = 5};
    assert_true(build(cores, 3, flat, acpi));
    assert_int_equal(machine.cores[0].zone, 0);
    assert_int_equal(machine.cores[1].zone, 1);
    assert_int_equal(machine.cores[2].zone, ZONE_UNKNOWN);
    free(acpi);
}

/* ---------------------------------------------------------------- CPUID of several machines */

struct fake_leaf {
    uint32_t leaf, subleaf;
    struct topology_leaf value;
};

struct fake_cpu {
    const char *name;
    struct topology_bits expected;
    struct fake_leaf leaves[8];
};

static const struct fake_cpu cpus[] = {
    {"Xeon with hyper-threads: levels of leaf 0BH",
     {1, 5},
     {{0, 0, {0x16, 0, 0, 0}},
      {1, 0, {0, 0x00200800, 0, 0x10000000}},
      {4, 0, {0x3C004121, 0, 0, 0}},
      {0xB, 0, {1, 2, 0x100, 0}},
      {0xB, 1, {5, 24, 0x201, 0}}}},
    {"leaf 1FH with modules and dies goes first",
     {1, 7},
     {{0, 0, {0x20, 0, 0, 0}},
      {0xB, 0, {1, 2, 0x100, 0}},
      {0xB, 1, {4, 16, 0x201, 0}},
      {0x1F, 0, {1, 2, 0x100, 0}},
      {0x1F, 1, {3, 8, 0x201, 0}},
      {0x1F, 2, {4, 16, 0x302, 0}},
      {0x1F, 3, {7, 64, 0x503, 0}}}},
    {"Bochs count=4: leaf 0BH without a type of level",
     {0, 0},
     {{0, 0, {0x16, 0, 0, 0}}, {1, 0, {0, 0x00010800, 0, 0}}, {0xB, 0, {2, 4, 0, 0}}}},
    {"Bochs count=1:4:1: cores on the first level are no threads",
     {0, 2},
     {{0, 0, {0x16, 0, 0, 0}}, {1, 0, {0, 0x00040800, 0, 0x10000000}}, {0xB, 0, {2, 4, 0x200, 0}}}},
    {"Bochs count=2:2:2: widths not summed up",
     {1, 2},
     {{0, 0, {0x16, 0, 0, 0}},
      {1, 0, {0, 0x00040800, 0, 0x10000000}},
      {0xB, 0, {1, 2, 0x100, 0}},
      {0xB, 1, {1, 2, 0x201, 0}},
      {0xB, 2, {1, 2, 0x002, 0}}}},
    {"Core 2 Quad: leaves 1 and 4",
     {0, 2},
     {{0, 0, {0xA, 0, 0, 0}}, {1, 0, {0, 0x00040800, 0, 0x10000000}}, {4, 0, {3u << 26, 0, 0, 0}}}},
    {"Pentium 4 with hyper-threads: leaf 1 alone",
     {1, 1},
     {{0, 0, {2, 0, 0, 0}}, {1, 0, {0, 0x00020800, 0, 0x10000000}}}},
    {"a lonely processor", {0, 0}, {{0, 0, {1, 0, 0, 0}}, {1, 0, {0, 0x00FF0800, 0, 0}}}},
    {"an absurd width is not believed",
     {0, 0},
     {{0, 0, {0x16, 0, 0, 0}},
      {1, 0, {0, 0, 0, 0}},
      {0xB, 0, {1, 2, 0x100, 0}},
      {0xB, 1, {31, 9, 0x201, 0}}}},
};

static struct topology_leaf fake_cpuid(void *context, uint32_t leaf, uint32_t subleaf)
{
    const struct fake_cpu *cpu = context;
    for (size_t i = 0; i < ARRAY_SIZE(cpu->leaves); i++)
        if (cpu->leaves[i].leaf == leaf && cpu->leaves[i].subleaf == subleaf)
            return cpu->leaves[i].value;
    return (struct topology_leaf){0};
}

static void widths_of_known_processors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
        struct fake_cpu cpu = cpus[i];
        struct topology_bits bits = topology_read_bits(fake_cpuid, &cpu);
        if (bits.thread != cpu.expected.thread || bits.package != cpu.expected.package)
            fail_msg("%s: got %u and %u", cpu.name, bits.thread, bits.package);
    }
}

/* Answers every leaf at random, also with levels that never end. */
static struct topology_leaf random_cpuid(void *context, uint32_t leaf, uint32_t subleaf)
{
    (void)context;
    (void)leaf;
    (void)subleaf;
    return (struct topology_leaf){(uint32_t)rand(), (uint32_t)rand(), (uint32_t)rand(), (uint32_t)rand()};
}

static void widths_stay_in_range(void **state)
{
    (void)state;
    srand(1);
    for (uint32_t i = 0; i < 20000; i++) {
        struct topology_bits bits = topology_read_bits(random_cpuid, NULL);
        assert_true(bits.thread <= bits.package);
        assert_true(bits.package <= 16);
    }
}

/* Places are unique whatever the widths: no two processors may ever look like one. */
static void places_are_unique(void **state)
{
    (void)state;
    srand(2);
    for (uint32_t round = 0; round < 200; round++) {
        struct firmware_core cores[32];
        for (uint32_t i = 0; i < 32; i++)
            cores[i] = (struct firmware_core){(uint32_t)rand() * 32u + i, i == 5};
        uint32_t package = (uint32_t)rand() % 17;
        struct topology_bits bits = {(uint32_t)rand() % (package + 1), package};
        assert_true(build(cores, 32, bits, NULL));
        for (uint32_t i = 0; i < 32; i++)
            for (uint32_t j = 0; j < i; j++) {
                const struct core_desc *a = &machine.cores[i], *b = &machine.cores[j];
                assert_true(a->package != b->package || a->core != b->core || a->thread != b->thread);
                bool same_core = a->apic_id >> bits.thread == b->apic_id >> bits.thread;
                assert_int_equal(same_core, a->package == b->package && a->core == b->core);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boot_core_first_then_by_apic_id),
        cmocka_unit_test(threads_share_a_core),
        cmocka_unit_test(count_must_fit),
        cmocka_unit_test(firmware_nonsense_is_refused),
        cmocka_unit_test(madt_must_agree),
        cmocka_unit_test(zones_come_from_the_srat),
        cmocka_unit_test(widths_of_known_processors),
        cmocka_unit_test(widths_stay_in_range),
        cmocka_unit_test(places_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
