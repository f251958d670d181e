/* ACPI tables: what is read of sound ones, and that damaged ones are left out without harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/acpi_parse.h"
#include "host_tests/support/random.h"

/* Made-up physical memory; every grant is a heap copy of its own, so that ASan sees each byte too many. */
#define MEMORY_BASE  UINT64_C(0x7fe00000)
#define MEMORY_BYTES 0x4000u
#define MAX_GRANTS   8192

#define RSDP (MEMORY_BASE + 0x0)
#define XSDT (MEMORY_BASE + 0x100)
#define RSDT (MEMORY_BASE + 0x400)
#define MADT (MEMORY_BASE + 0x800)
#define SRAT (MEMORY_BASE + 0x1000)
#define FADT (MEMORY_BASE + 0x1800)
#define DSDT (MEMORY_BASE + 0x2000)
#define SSDT (MEMORY_BASE + 0x3000)

static uint8_t physical[MEMORY_BYTES];
static void *grants[MAX_GRANTS];
static size_t grant_count;
static struct acpi_info info;

static const void *reach(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
    if (address < MEMORY_BASE || bytes > MEMORY_BYTES || address - MEMORY_BASE > MEMORY_BYTES - bytes ||
        grant_count == MAX_GRANTS)
        return NULL;
    void *grant = malloc(bytes == 0 ? 1 : bytes);
    memcpy(grant, physical + (address - MEMORY_BASE), bytes);
    grants[grant_count++] = grant;
    return grant;
}

static enum acpi_status parse(void)
{
    const struct acpi_memory memory = {.reach = reach};
    enum acpi_status status = acpi_parse(&memory, RSDP, &info);
    while (grant_count > 0)
        free(grants[--grant_count]);
    return status;
}

/* ---------------------------------------------------------------- building tables */

static uint8_t *at(uint64_t address)
{
    return physical + (address - MEMORY_BASE);
}

static void put32(uint64_t address, uint32_t value)
{
    memcpy(at(address), &value, sizeof(value));
}

static void put64(uint64_t address, uint64_t value)
{
    memcpy(at(address), &value, sizeof(value));
}

static void fix_checksum(uint64_t table, uint64_t length, uint64_t checksum)
{
    uint8_t sum = 0;
    *at(table + checksum) = 0;
    for (uint64_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + *at(table + i));
    *at(table + checksum) = (uint8_t)-sum;
}

static uint32_t length_of(uint64_t table)
{
    uint32_t length;
    memcpy(&length, at(table + 4), sizeof(length));
    return length;
}

static void seal(uint64_t table)
{
    fix_checksum(table, length_of(table), 9);
}

static void begin(uint64_t table, const char *signature, uint32_t length)
{
    memset(at(table), 0, length);
    memcpy(at(table), signature, 4);
    put32(table + 4, length);
    seal(table);
}

static void append(uint64_t table, const void *bytes, uint32_t count)
{
    uint32_t length = length_of(table);
    memcpy(at(table + length), bytes, count);
    put32(table + 4, length + count);
    seal(table);
}

static void add_to_root(uint64_t table)
{
    uint32_t low = (uint32_t)table;
    append(XSDT, &table, sizeof(table));
    append(RSDT, &low, sizeof(low));
}

static void seal_rsdp(void)
{
    fix_checksum(RSDP, 20, 8);
    fix_checksum(RSDP, 36, 32);
}

static int empty_machine(void **state)
{
    (void)state;
    memset(physical, 0, sizeof(physical));
    memcpy(at(RSDP), "RSD PTR ", 8);
    *at(RSDP + 15) = 2;
    put32(RSDP + 16, (uint32_t)RSDT);
    put32(RSDP + 20, 36);
    put64(RSDP + 24, XSDT);
    seal_rsdp();
    begin(XSDT, "XSDT", 36);
    begin(RSDT, "RSDT", 36);
    begin(MADT, "APIC", 44);
    begin(SRAT, "SRAT", 48);
    begin(FADT, "FACP", 244);
    begin(DSDT, "DSDT", 36);
    begin(SSDT, "SSDT", 36);
    return 0;
}

static void add_apic(uint8_t id, uint8_t flags)
{
    append(MADT, (const uint8_t[]){0, 8, 1, id, flags, 0, 0, 0}, 8);
}

static void add_x2apic(uint32_t id, uint8_t flags)
{
    uint8_t entry[16] = {9, 16};
    memcpy(entry + 4, &id, sizeof(id));
    entry[8] = flags;
    append(MADT, entry, sizeof(entry));
}

static void add_srat_memory(uint64_t start, uint64_t bytes, uint32_t domain, uint8_t flags)
{
    uint8_t entry[40] = {1, 40};
    memcpy(entry + 2, &domain, sizeof(domain));
    memcpy(entry + 8, &start, sizeof(start));
    memcpy(entry + 16, &bytes, sizeof(bytes));
    entry[28] = flags;
    append(SRAT, entry, sizeof(entry));
}

static void set_fadt(uint32_t dsdt, uint32_t pm1a, uint32_t pm1b)
{
    put32(FADT + 40, dsdt);
    put32(FADT + 64, pm1a);
    put32(FADT + 68, pm1b);
    seal(FADT);
}

/* ---------------------------------------------------------------- the roots */

static void rsdp_is_checked(void **state)
{
    (void)state;
    assert_int_equal(parse(), ACPI_OK);
    *at(RSDP) = 'X';
    seal_rsdp();
    assert_int_equal(parse(), ACPI_E_RSDP);
    empty_machine(NULL);
    *at(RSDP + 8) ^= 1; /* first checksum */
    assert_int_equal(parse(), ACPI_E_RSDP);
    empty_machine(NULL);
    *at(RSDP + 33) ^= 1; /* beyond the first 20 bytes: only the second checksum sees it */
    assert_int_equal(parse(), ACPI_E_RSDP);
    empty_machine(NULL);
    put32(RSDP + 20, 35); /* length */
    seal_rsdp();
    assert_int_equal(parse(), ACPI_E_RSDP);
    put32(RSDP + 20, UINT32_MAX);
    seal_rsdp();
    assert_int_equal(parse(), ACPI_E_RSDP);

    const struct acpi_memory memory = {.reach = reach};
    assert_int_equal(acpi_parse(&memory, 0x1000, &info), ACPI_E_RSDP);
    assert_int_equal(acpi_parse(&memory, MEMORY_BASE + MEMORY_BYTES - 19, &info), ACPI_E_RSDP);
}

static void rsdt_serves_where_there_is_no_xsdt(void **state)
{
    (void)state;
    add_apic(3, 1);
    add_to_root(MADT);
    put64(RSDP + 24, 0);
    seal_rsdp();
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.core_count, 1);

    *at(RSDP + 15) = 0; /* ACPI 1.0 */
    fix_checksum(RSDP, 20, 8);
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.apic_ids[0], 3);

    put32(RSDP + 16, 0);
    fix_checksum(RSDP, 20, 8);
    assert_int_equal(parse(), ACPI_E_ROOT);
    assert_false(info.has_madt);
}

static void damaged_xsdt_falls_back_to_the_rsdt(void **state)
{
    (void)state;
    add_apic(3, 1);
    add_to_root(MADT);
    *at(XSDT + 9) ^= 1;
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.core_count, 1);
    *at(RSDT + 9) ^= 1;
    assert_int_equal(parse(), ACPI_E_ROOT);
}

static void damaged_tables_are_left_out(void **state)
{
    (void)state;
    add_apic(3, 1);
    add_to_root(MADT);
    add_to_root(0);                              /* no table at all */
    add_to_root(MEMORY_BASE + MEMORY_BYTES - 8); /* reaches out of memory */
    *at(MADT + 9) ^= 1;
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.tables_refused, 3);
    assert_false(info.has_madt);

    put32(MADT + 4, 35); /* shorter than a header */
    seal(MADT);
    assert_int_equal(parse(), ACPI_OK);
    assert_false(info.has_madt);
    put32(MADT + 4, UINT32_MAX);
    assert_int_equal(parse(), ACPI_OK);
    assert_false(info.has_madt);
}

static void too_many_tables(void **state)
{
    (void)state;
    put64(RSDP + 24, MEMORY_BASE + 0x100);
    for (uint32_t i = 0; i < ACPI_MAX_TABLES + 10; i++) {
        uint64_t none = 0;
        append(XSDT, &none, sizeof(none)); /* overwrites the other tables: the XSDT is all there is */
    }
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.tables_refused, ACPI_MAX_TABLES + 10);
}

/* ---------------------------------------------------------------- MADT */

static void madt_lists_enabled_processors_once(void **state)
{
    (void)state;
    add_apic(0, 1);
    add_apic(1, 0);                                                           /* disabled */
    add_apic(2, 2);                                                           /* could be enabled: not now */
    append(MADT, (const uint8_t[]){1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12); /* an I/O APIC */
    add_x2apic(0, 1);                                                         /* the first one again */
    add_x2apic(0x12345, 1);
    add_to_root(MADT);
    assert_int_equal(parse(), ACPI_OK);
    assert_true(info.has_madt);
    assert_int_equal(info.core_count, 2);
    assert_int_equal(info.apic_ids[0], 0);
    assert_int_equal(info.apic_ids[1], 0x12345);
}

static void madt_entries_that_do_not_fit_end_the_list(void **state)
{
    (void)state;
    add_apic(0, 1);
    append(MADT, (const uint8_t[]){0, 0}, 2); /* length 0 would loop for ever */
    add_apic(1, 1);
    add_to_root(MADT);
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.core_count, 1);

    empty_machine(NULL);
    append(MADT, (const uint8_t[]){0, 5, 1, 7, 1}, 5); /* too short for its type: skipped */
    add_apic(1, 1);
    append(MADT, (const uint8_t[]){0, 8, 1, 9, 1, 0, 0}, 7); /* reaches beyond the table */
    add_to_root(MADT);
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.core_count, 1);
    assert_int_equal(info.apic_ids[0], 1);

    put32(MADT + 4, 40); /* not even room for its own fields */
    seal(MADT);
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.core_count, 0);
}

static void more_processors_than_the_array(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MACHINE_MAX_CORES + 44; i++)
        append(MADT,
               (const uint8_t[]){9, 16, 0, 0, (uint8_t)i, (uint8_t)(i >> 8), 0, 0, 1, 0, 0, 0, 0, 0, 0, 0},
               16); /* runs over the other tables: they are not needed */
    append(XSDT, &(uint64_t){MADT}, 8);
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.core_count, MACHINE_MAX_CORES + 44);
    assert_int_equal(info.apic_ids[MACHINE_MAX_CORES - 1], MACHINE_MAX_CORES - 1);
}

/* ---------------------------------------------------------------- SRAT */

static void srat_gives_zones(void **state)
{
    (void)state;
    /* Processor entries: domain in three places; x2APIC; one disabled. */
    append(SRAT, (const uint8_t[]){0, 16, 0x34, 5, 1, 0, 0, 0, 0, 0x12, 0, 0, 0, 0, 0, 0}, 16);
    append(SRAT, (const uint8_t[]){0, 16, 0x77, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 16);
    append(SRAT, (const uint8_t[]){2, 24, 0, 0, 2, 0, 0, 0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
           24);
    add_srat_memory(0, GIB, 0x1234, 1);
    add_srat_memory(GIB, GIB, 2, 1);
    add_srat_memory(2 * GIB, GIB, 3, 0); /* disabled */
    add_to_root(SRAT);
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.zone_count, 2);
    assert_int_equal(acpi_zone_of_domain(&info, 2), 0);
    assert_int_equal(acpi_zone_of_domain(&info, 0x1234), 1);
    assert_int_equal(acpi_zone_of_domain(&info, 3), ZONE_UNKNOWN);
    assert_int_equal(acpi_zone_of_core(&info, 5), 1);
    assert_int_equal(acpi_zone_of_core(&info, 0x109), 0);
    assert_int_equal(acpi_zone_of_core(&info, 6), ZONE_UNKNOWN);
    assert_int_equal(info.memory_node_count, 2);
    assert_int_equal(info.memory_nodes[1].start, GIB);
}

static void srat_memory_that_cannot_be_is_left_out(void **state)
{
    (void)state;
    add_srat_memory(UINT64_MAX - 4095, 8192, 0, 1);
    add_srat_memory(0, 0, 0, 1);
    add_srat_memory(PHYSICAL_LIMIT, 4096, 0, 1);
    add_srat_memory(4096, PHYSICAL_LIMIT, 0, 1);
    add_srat_memory(0, PHYSICAL_LIMIT, 7, 1);
    add_to_root(SRAT);
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.memory_node_count, 1);
    assert_int_equal(info.zone_count, 1);
    assert_int_equal(info.domains[0], 7);
}

static void too_many_domains(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ACPI_MAX_ZONES + 6; i++)
        append(SRAT,
               (const uint8_t[]){0, 16, (uint8_t)(200 - i), (uint8_t)i, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
               16);
    append(XSDT, &(uint64_t){SRAT}, 8);
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.zone_count, ACPI_MAX_ZONES);
    for (uint32_t i = 1; i < ACPI_MAX_ZONES; i++)
        assert_true(info.domains[i - 1] < info.domains[i]);
    assert_int_equal(acpi_zone_of_core(&info, 0), ACPI_MAX_ZONES - 1);
    assert_int_equal(acpi_zone_of_core(&info, ACPI_MAX_ZONES + 5), ZONE_UNKNOWN);
}

/* ---------------------------------------------------------------- power-off */

static void expect_poweroff(uint16_t port_a, uint16_t port_b, uint16_t value_a, uint16_t value_b)
{
    assert_int_equal(parse(), ACPI_OK);
    assert_int_equal(info.poweroff.pm1a_control_port, port_a);
    assert_int_equal(info.poweroff.pm1b_control_port, port_b);
    assert_int_equal(info.poweroff.pm1a_value, value_a);
    assert_int_equal(info.poweroff.pm1b_value, value_b);
}

#define S5_BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static void s5_in_the_dsdt(void **state)
{
    (void)state;
    add_to_root(FADT);
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0x08, 4, 0x0A, 5, 0x0A, 7, 0, 0));
    set_fadt((uint32_t)DSDT, 0x604, 0);
    expect_poweroff(0x604, 0, 5 << 10 | 0x2000, 7 << 10 | 0x2000);
    set_fadt((uint32_t)DSDT, 0x1004, 0x2004);
    expect_poweroff(0x1004, 0x2004, 5 << 10 | 0x2000, 7 << 10 | 0x2000);
}

static void s5_in_other_shapes(void **state)
{
    (void)state;
    add_to_root(FADT);
    set_fadt((uint32_t)DSDT, 0x604, 0);
    /* Below the root, with a two-byte package length, zero and one operators. */
    append(DSDT,
           S5_BYTES('_', 'S', '5', '_', 0x08, '\\', '_', 'S', '5', '_', 0x12, 0x46, 0x00, 4, 0x00, 0x01));
    expect_poweroff(0x604, 0, 0x2000, 1 << 10 | 0x2000);
    empty_machine(NULL);
    add_to_root(FADT);
    set_fadt((uint32_t)DSDT, 0x604, 0);
    /* Words and double words; ones. */
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 10, 2, 0x0C, 3, 0, 0, 0, 0xFF));
    expect_poweroff(0x604, 0, 3 << 10 | 0x2000, 7 << 10 | 0x2000);
}

static void s5_in_an_ssdt(void **state)
{
    (void)state;
    append(SSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0x06, 2, 0x0B, 6, 0, 0x00));
    add_to_root(SSDT);
    add_to_root(FADT);
    set_fadt((uint32_t)DSDT, 0x604, 0);
    expect_poweroff(0x604, 0, 6 << 10 | 0x2000, 0x2000);
}

static void no_poweroff_from_nonsense(void **state)
{
    (void)state;
    add_to_root(FADT);
    set_fadt((uint32_t)DSDT, 0x604, 0);
    expect_poweroff(0, 0, 0, 0);                                                       /* no _S5_ */
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0x06, 1, 0x0A, 5));          /* one element */
    append(DSDT, S5_BYTES(0x5B, '_', 'S', '5', '_', 0x12, 0x06, 2, 0x0A, 5, 0x0A, 5)); /* not a name */
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0x06, 2, 0x70, 5));          /* not an integer */
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x0A, 0x06, 2, 0x0A, 5));          /* not a package */
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0xC6, 0)); /* ends inside the package length */
    expect_poweroff(0, 0, 0, 0);
    append(DSDT,
           S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0x08, 2, 0x0A, 5, 0x0C, 5)); /* ends inside an operand */
    expect_poweroff(0, 0, 0, 0);

    empty_machine(NULL);
    add_to_root(FADT);
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0x06, 2, 0x0A, 5, 0x0A, 5));
    set_fadt((uint32_t)DSDT, 0, 0); /* no register */
    expect_poweroff(0, 0, 0, 0);
    set_fadt((uint32_t)DSDT, 0x12345, 0); /* no port */
    expect_poweroff(0, 0, 0, 0);
    set_fadt((uint32_t)DSDT, 0x604, 0);
    put32(FADT + 112, 1u << 20); /* hardware-reduced */
    seal(FADT);
    expect_poweroff(0, 0, 0, 0);
    put32(FADT + 112, 0);
    put32(FADT + 4, 100); /* too short to have flags */
    seal(FADT);
    expect_poweroff(0, 0, 0, 0);
}

static void extended_fields_go_first(void **state)
{
    (void)state;
    add_to_root(FADT);
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0x06, 2, 0x0A, 5, 0x0A, 5));
    set_fadt(1, 0x604, 0x704);
    put64(FADT + 140, DSDT);
    *at(FADT + 172) = 1; /* system I/O */
    put64(FADT + 176, 0x1804);
    *at(FADT + 184) = 0; /* memory: not used */
    put64(FADT + 188, 0x1904);
    seal(FADT);
    expect_poweroff(0x1804, 0x704, 5 << 10 | 0x2000, 5 << 10 | 0x2000);
}

/* ---------------------------------------------------------------- anything at all */

static void build_full_machine(void)
{
    empty_machine(NULL);
    add_apic(0, 1);
    add_x2apic(900, 1);
    add_srat_memory(0, GIB, 1, 1);
    append(DSDT, S5_BYTES(0x08, '_', 'S', '5', '_', 0x12, 0x06, 2, 0x0A, 5, 0x0A, 5));
    add_to_root(MADT);
    add_to_root(SRAT);
    add_to_root(FADT);
    add_to_root(SSDT);
    set_fadt((uint32_t)DSDT, 0x604, 0);
}

/* Sound tables with a few bytes changed and the checksums made good again: what a hostile firmware would do.
 */
static void random_damage(void **state)
{
    (void)state;
    static const uint64_t tables[] = {XSDT, RSDT, MADT, SRAT, FADT, DSDT, SSDT};
    struct random random = {11};
    for (uint32_t round = 0; round < 3000; round++) {
        build_full_machine();
        for (uint32_t i = 0; i < 4; i++) {
            uint64_t table = tables[random_below(&random, ARRAY_SIZE(tables))];
            *at(table + random_below(&random, 128)) = (uint8_t)random_u64(&random);
            uint32_t length = length_of(table);
            if (length >= 36 && length < 0x800)
                seal(table);
        }
        (void)parse();
        assert_true(info.zone_count <= ACPI_MAX_ZONES);
        assert_true(info.memory_node_count <= ACPI_MAX_MEMORY_NODES);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_machine)
    const struct CMUnitTest tests[] = {
        TEST(rsdp_is_checked),
        TEST(rsdt_serves_where_there_is_no_xsdt),
        TEST(damaged_xsdt_falls_back_to_the_rsdt),
        TEST(damaged_tables_are_left_out),
        TEST(too_many_tables),
        TEST(madt_lists_enabled_processors_once),
        TEST(madt_entries_that_do_not_fit_end_the_list),
        TEST(more_processors_than_the_array),
        TEST(srat_gives_zones),
        TEST(srat_memory_that_cannot_be_is_left_out),
        TEST(too_many_domains),
        TEST(s5_in_the_dsdt),
        TEST(s5_in_other_shapes),
        TEST(s5_in_an_ssdt),
        TEST(no_poweroff_from_nonsense),
        TEST(extended_fields_go_first),
        TEST(random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
