/*
 * A partition's memory: laid out around the device hole, reached only inside its bounds and its windows, zero
 * before it is loaded, and loaded as guest/abi.h promises.
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
#include "hv/guest_memory.h"

/* ---- layout */

static struct partition laid_out(const struct extent *extents, uint32_t count)
{
    static struct plan_partition plan;
    struct partition partition;
    memset(&partition, 0, sizeof(partition));
    memset(&plan, 0, sizeof(plan));
    plan.extent_count = count;
    for (uint32_t i = 0; i < count; i++)
        plan.extents[i] = extents[i];
    guest_memory_layout(&partition, &plan);
    return partition;
}

/* Byte `n` of the extents in their order lies at this guest-physical address. */
static uint64_t gpa_of_byte(uint64_t n)
{
    return n < FH_HOLE_START ? n : n + (FH_HOLE_END - FH_HOLE_START);
}

static void expect_layout(const struct partition *p, const struct extent *extents, uint32_t count)
{
    uint64_t total = 0, seen = 0;
    for (uint32_t i = 0; i < count; i++)
        total += extent_bytes(extents[i]);
    assert_int_equal(p->low_bytes + p->high_bytes, total);
    assert_int_equal(p->low_bytes, min_u64(total, FH_HOLE_START));
    uint32_t extent = 0;
    uint64_t inside = 0; /* of that extent, already found */
    for (uint32_t i = 0; i < p->range_count; i++) {
        const struct guest_range *range = &p->ranges[i];
        assert_true(range->bytes > 0);
        assert_int_equal(range->gpa, gpa_of_byte(seen));
        assert_true(range->gpa >= FH_HOLE_END || range->gpa + range->bytes <= FH_HOLE_START);
        if (inside == extent_bytes(extents[extent])) {
            extent++;
            inside = 0;
        }
        assert_int_equal(range->hpa, extents[extent].start + inside);
        inside += range->bytes;
        assert_true(inside <= extent_bytes(extents[extent]));
        seen += range->bytes;
    }
    assert_int_equal(seen, total);
}

static void layouts(void **state)
{
    (void)state;
    static const struct extent cases[][3] = {
        {{GIB, GIB + 4 * MIB}},
        {{GIB, 4 * GIB}},                     /* exactly up to the hole */
        {{GIB, 4 * GIB + 2 * MIB}},           /* one extent on both sides */
        {{GIB, 4 * GIB}, {5 * GIB, 6 * GIB}}, /* the second begins behind it */
        {{8 * GIB, 10 * GIB},
         {GIB, 3 * GIB + 2 * MIB}}, /* the second is split; not in order of the machine */
        {{GIB, 2 * GIB}, {3 * GIB, 4 * GIB}, {5 * GIB, 8 * GIB}},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t count = 0;
        while (count < 3 && cases[i][count].end != 0)
            count++;
        struct partition partition = laid_out(cases[i], count);
        expect_layout(&partition, cases[i], count);
    }
    struct partition split = laid_out(cases[2], 1);
    assert_int_equal(split.range_count, 2);
    assert_int_equal(split.ranges[1].gpa, FH_HOLE_END);
    assert_int_equal(split.ranges[1].hpa, 4 * GIB);
    assert_int_equal(split.high_bytes, 2 * MIB);
}

static void most_extents(void **state)
{
    (void)state;
    struct random random = {2};
    for (uint32_t round = 0; round < 200; round++) {
        struct extent extents[PLAN_MAX_EXTENTS];
        for (uint32_t i = 0; i < PLAN_MAX_EXTENTS; i++) {
            uint64_t start = 16 * GIB * (PLAN_MAX_EXTENTS - i) + PAGE_2M * random_below(&random, 100);
            extents[i] = (struct extent){start, start + PAGE_2M * (1 + random_below(&random, 300))};
        }
        struct partition partition = laid_out(extents, PLAN_MAX_EXTENTS);
        expect_layout(&partition, extents, PLAN_MAX_EXTENTS);
    }
}

/* ---- bounds */

/* Four pieces, scattered and not in order, two of them behind the hole, the last of 4 MiB. */
static struct partition *scattered(void)
{
    static struct partition partition;
    fake_reset();
    fake_run_on(1);
    memset(&partition, 0, sizeof(partition));
    const struct guest_range ranges[] = {
        {FH_HOLE_START - 2 * PAGE_2M, PAGE_2M, FAKE_RAM_START + 8 * PAGE_2M},
        {FH_HOLE_START - PAGE_2M, PAGE_2M, FAKE_RAM_START + 2 * PAGE_2M},
        {FH_HOLE_END, PAGE_2M, FAKE_RAM_START + 6 * PAGE_2M},
        {FH_HOLE_END + PAGE_2M, 2 * PAGE_2M, FAKE_RAM_START},
    };
    memcpy(partition.ranges, ranges, sizeof(ranges));
    partition.range_count = ARRAY_SIZE(ranges);
    partition.low_bytes = FH_HOLE_START;
    partition.high_bytes = 3 * PAGE_2M;
    return &partition;
}

static void copies_across_pieces(void **state)
{
    (void)state;
    struct partition *partition = scattered();
    struct random random = {4};
    static uint8_t data[3000], back[3000];
    const uint64_t seams[] = {FH_HOLE_START - PAGE_2M, FH_HOLE_END + PAGE_2M, FH_HOLE_END + 2 * PAGE_2M};
    for (uint32_t round = 0; round < 100; round++) {
        uint64_t at = seams[round % 3] - random_below(&random, 1500);
        uint64_t bytes = random_below(&random, 1500);
        for (uint32_t i = 0; i < sizeof(data); i++)
            data[i] = (uint8_t)random_u64(&random);
        memset(back, 0, sizeof(back));
        assert_true(guest_memory_write(partition, gpa(at), data, bytes));
        for (uint64_t i = 0; i < bytes; i++)
            assert_int_equal(*(uint8_t *)rig_guest(partition, at + i), data[i]);
        assert_true(guest_memory_read(partition, gpa(at), back, bytes));
        assert_memory_equal(back, data, bytes);
        assert_int_equal(back[bytes], 0);
    }
}

static void refuses_what_is_outside(void **state)
{
    (void)state;
    struct partition *partition = scattered();
    static const struct {
        uint64_t at, bytes;
        bool inside;
    } cases[] = {
        {FH_HOLE_START - 8, 8, true},
        {FH_HOLE_START - 8, 9, false},
        {FH_HOLE_START, 1, false},
        {FH_HOLE_START, 0, true}, /* nothing, right behind RAM */
        {FH_HOLE_START + 1, 0, false},
        {FH_HOLE_END - 1, 1, false},
        {FH_HOLE_END - 1, 2, false},
        {FH_HOLE_END, 1, true},
        {FH_HOLE_END + 3 * PAGE_2M - 1, 1, true},
        {FH_HOLE_END + 3 * PAGE_2M - 1, 2, false},
        {FH_HOLE_END + 3 * PAGE_2M, 1, false},
        {FH_HOLE_START - 8, GIB + 16, false}, /* from RAM to RAM over the hole */
        {UINT64_MAX, 1, false},
        {UINT64_MAX, 2, false},
        {1, UINT64_MAX, false},
        {FH_HOLE_END, UINT64_MAX - FH_HOLE_END + 1, false}, /* its end wraps to 0 */
        {FH_HOLE_END, UINT64_MAX - FH_HOLE_END + 2, false},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t buffer[16];
        memset(buffer, 0x5a, sizeof(buffer));
        assert_int_equal(guest_memory_read(partition, gpa(cases[i].at), buffer, cases[i].bytes),
                         cases[i].inside);
        if (!cases[i].inside)
            for (uint32_t n = 0; n < sizeof(buffer); n++)
                assert_int_equal(buffer[n], 0x5a); /* nothing copied */
        uint32_t opens = fakes.window_opens;
        memset(buffer, 0x77, sizeof(buffer));
        assert_int_equal(guest_memory_write(partition, gpa(cases[i].at), buffer, cases[i].bytes),
                         cases[i].inside);
        assert_true(cases[i].inside || fakes.window_opens == opens); /* not even looked at */
    }
}

/* ---- scrub and load */

static void scrub_leaves_nothing_and_touches_nobody(void **state)
{
    (void)state;
    struct partition *partition = scattered();
    uint64_t *machine = fake_ram(FAKE_RAM_START);
    for (uint64_t i = 0; i < 10 * PAGE_2M / 8; i += 64)
        machine[i] = i + 1;
    guest_memory_scrub(partition);
    for (uint64_t i = 0; i < 10 * PAGE_2M / 8; i += 64) {
        uint64_t frame = i * 8 / PAGE_2M;
        bool its_own = frame == 8 || frame == 2 || frame == 6 || frame <= 1;
        assert_int_equal(machine[i], its_own ? 0 : i + 1);
    }
}

static void loads_what_the_abi_promises(void **state)
{
    (void)state;
    rig_begin(2, 3, 8 * MIB);
    memset(rig.handoff.config.partitions[1].cmdline, 'x', CONFIG_CMDLINE_BYTES - 1);
    rig_finish();
    struct partition *partition = partitions[1];
    rig_on(partition->vcpus[0]);
    partition->restarts = 4;
    memset(rig_guest(partition, 0), 0xcc, 8 * MIB);
    guest_memory_scrub(partition);
    guest_memory_load(partition, 123456789);
    const struct fh_boot_info *info = rig_guest(partition, FH_BOOT_INFO);
    assert_int_equal(info->magic, FH_BOOT_MAGIC);
    assert_int_equal(info->version, FH_BOOT_VERSION);
    assert_int_equal(info->vcpus, 3);
    assert_int_equal(info->memory_bytes, 8 * MIB);
    assert_int_equal(info->low_bytes, 8 * MIB);
    assert_int_equal(info->high_bytes, 0);
    assert_int_equal(info->tsc_hz, 123456789);
    assert_int_equal(info->incarnation, 4);
    assert_int_equal(info->reserved, 0);
    assert_string_equal(info->name, "p1");
    assert_int_equal(strlen(info->cmdline), CONFIG_CMDLINE_BYTES - 1);
    assert_memory_equal(rig_guest(partition, IMAGE_FLAT_BASE), rig.image, RIG_IMAGE_BYTES);
    /* All else is zero: below the tables, the rest of the first 64 KiB, around and behind the image. */
    const uint8_t *ram = rig_guest(partition, 0);
    for (uint64_t i = 0; i < 8 * MIB; i++) {
        bool written = (i >= FH_PAGE_TABLES && i < FH_BOOT_INFO + sizeof(*info)) ||
                       (i >= FH_GDT && i < FH_GDT + 40) ||
                       (i >= IMAGE_FLAT_BASE && i < IMAGE_FLAT_BASE + RIG_IMAGE_BYTES);
        if (!written && ram[i] != 0)
            fail_msg("byte %#llx is %#x", (unsigned long long)i, ram[i]);
    }
}

/* The guest's first tables: everything below 4 GiB one to one, in 2 MiB pages. */
static void first_tables(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct partition *partition = vcpu->partition;
    const uint64_t *pml4 = rig_guest(partition, FH_PAGE_TABLES);
    const uint64_t *pdpt = rig_guest(partition, pml4[0] & ~UINT64_C(0xfff));
    assert_int_equal(pml4[0] & 0xfff, 3);
    for (uint32_t i = 1; i < 512; i++)
        assert_int_equal(pml4[i], 0);
    for (uint32_t gib = 0; gib < 512; gib++) {
        if (gib >= 4) {
            assert_int_equal(pdpt[gib], 0);
            continue;
        }
        const uint64_t *directory = rig_guest(partition, pdpt[gib] & ~UINT64_C(0xfff));
        for (uint64_t i = 0; i < 512; i++)
            assert_int_equal(directory[i], (gib * GIB + i * PAGE_2M) | 0x83);
    }
    const uint64_t *gdt = rig_guest(partition, FH_GDT);
    assert_int_equal(gdt[0], 0);
    assert_int_equal(gdt[FH_SELECTOR_CODE / 8], 0x00af9b000000ffff);
    assert_int_equal(gdt[FH_SELECTOR_DATA / 8], 0x00cf93000000ffff);
    assert_int_equal(fake_get(VMCS_GUEST_CR3), FH_PAGE_TABLES);
    assert_int_equal(fake_get(VMCS_GUEST_RIP), IMAGE_FLAT_BASE);
    assert_int_equal(fake_get(VMCS_GUEST_RSP), FH_STACK_TOP);
    assert_int_equal(vcpu->gpr[RDI], FH_BOOT_INFO);
}

/* Above 4 GiB: mapped in 1 GiB pages where the processor has them, and not beyond what there is. */
static void first_tables_above_4g(void **state)
{
    (void)state;
    rig_begin(1, 1, 4 * GIB + 2 * MIB);
    rig_finish();
    struct partition *partition = partitions[0];
    assert_int_equal(partition->low_bytes, FH_HOLE_START);
    assert_int_equal(partition->high_bytes, GIB + 2 * MIB);
    rig_on(partition->vcpus[0]);
    guest_memory_load(partition, 1);
    const uint64_t *pdpt = rig_guest(partition, FH_PAGE_TABLES + FRAME_BYTES);
    for (uint64_t gib = 4; gib < 512; gib++)
        assert_int_equal(pdpt[gib], gib < 6 ? (gib * GIB | 0x83) : 0);
    const struct fh_boot_info *info = rig_guest(partition, FH_BOOT_INFO);
    assert_int_equal(info->memory_bytes, 4 * GIB + 2 * MIB);
    assert_int_equal(info->high_bytes, GIB + 2 * MIB);
    /* The second stage agrees with the layout, byte for byte, and has nothing beside it. */
    struct ept_leaf leaf;
    for (uint64_t at = 0; at < 8 * GIB; at += PAGE_2M) {
        bool ram = at < FH_HOLE_START || (at >= FH_HOLE_END && at < FH_HOLE_END + partition->high_bytes);
        assert_int_equal(ept_walk(&partition->ept, gpa(at), &leaf), ram);
        if (ram)
            assert_ptr_equal(fake_ram(leaf.hpa.value + (at - leaf.gpa.value)), rig_guest(partition, at));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),
        cmocka_unit_test(most_extents),
        cmocka_unit_test(copies_across_pieces),
        cmocka_unit_test(refuses_what_is_outside),
        cmocka_unit_test(scrub_leaves_nothing_and_touches_nobody),
        cmocka_unit_test(loads_what_the_abi_promises),
        cmocka_unit_test(first_tables),
        cmocka_unit_test(first_tables_above_4g),
    };
    return cmocka_run_group_tests_name("guest memory", tests, NULL, NULL);
}
