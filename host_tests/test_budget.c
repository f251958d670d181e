/* The budget against what tables really take, for random machines and configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/fake_frames.h"
#include "host_tests/support/random.h"
#include "hv/budget.h"
#include "hv/paging.h"

static struct config config;
static struct fake_frames fake;

static struct hv_budget budget_of(const struct hv_budget_input *input)
{
    struct hv_budget budget;
    hv_budget(input, &budget);
    return budget;
}

static struct hv_budget_input one_partition(uint64_t memory_bytes, uint32_t vcpus)
{
    memset(&config, 0, sizeof(config));
    config.partition_count = 1;
    config.partitions[0].memory_bytes = memory_bytes;
    config.partitions[0].vcpus = vcpus;
    return (struct hv_budget_input){
        .config = &config,
        .core_count = 2,
        .image_bytes = 100000,
        .handoff_bytes = sizeof(struct handoff),
        .frame_table_bytes = 5000,
        .guest_image_bytes = 40960,
    };
}

static void items_are_frames_and_sum_up(void **state)
{
    (void)state;
    struct hv_budget_input input = one_partition(64 * MIB, 3);
    struct hv_budget b = budget_of(&input);
    assert_int_equal(b.image_bytes, 25 * FRAME_BYTES);
    assert_int_equal(b.frame_table_bytes, 2 * FRAME_BYTES);
    assert_int_equal(b.cores_bytes, 2 * BUDGET_CORE_BYTES);
    assert_int_equal(b.partitions_bytes, BUDGET_PARTITION_BYTES + 3 * BUDGET_VCPU_BYTES);
    assert_int_equal(b.slack_bytes, BUDGET_SLACK_BYTES);
    uint64_t sum = b.image_bytes + b.handoff_bytes + b.frame_table_bytes + b.page_table_bytes +
                   b.cores_bytes + b.partitions_bytes + b.ept_bytes + b.console_bytes + b.slack_bytes;
    assert_true(is_aligned(sum, FRAME_BYTES));
    assert_int_equal(b.total_bytes, align_up(sum, PAGE_2M));
}

/* A small machine must not pay for a large one. */
static void small_machines_stay_small(void **state)
{
    (void)state;
    struct hv_budget_input input = one_partition(64 * MIB, 1);
    assert_int_equal(budget_of(&input).total_bytes, PAGE_2M);
}

static void more_of_anything_never_takes_less(void **state)
{
    (void)state;
    struct random random = {5};
    for (uint32_t i = 0; i < 2000; i++) {
        struct hv_budget_input a = one_partition(PAGE_2M * (1 + random_below(&random, 4000)), 1);
        a.core_count = 1 + (uint32_t)random_below(&random, 200);
        uint64_t before = budget_of(&a).total_bytes;
        switch (random_below(&random, 6)) {
        case 0:
            a.core_count += 20;
            break;
        case 1:
            a.image_bytes += random_below(&random, 8 * MIB);
            break;
        case 2:
            a.guest_image_bytes += random_below(&random, GIB);
            break;
        case 3:
            a.screen_bytes += random_below(&random, 64 * MIB);
            break;
        case 4:
            config.partitions[0].memory_bytes += PAGE_2M * random_below(&random, 100000);
            break;
        default:
            config.partition_count = 2;
            config.partitions[1].memory_bytes = 4 * MIB;
            config.partitions[1].vcpus = 1;
        }
        assert_true(budget_of(&a).total_bytes >= before);
    }
}

/* ---------------------------------------------------------------- against real tables */

static uint64_t random_frame(struct random *random, uint64_t below)
{
    return random_below(random, below / FRAME_BYTES) * FRAME_BYTES;
}

static void map(hpa_t root, uint64_t va, uint64_t base, uint64_t bytes, uint32_t flags)
{
    if (bytes > 0)
        assert_int_equal(paging_map(root, &fake.source, va, hpa(base), align_up(bytes, FRAME_BYTES), flags),
                         PAGING_OK);
}

/*
 * What boot/tables.c maps, with everything as scattered as can be: guest images far apart and right below the
 * boundaries of tables, where one more table is needed.
 */
static void hypervisor_tables_fit(void **state)
{
    (void)state;
    struct random random = {6};
    for (uint32_t round = 0; round < 60; round++) {
        struct hv_budget_input input = one_partition(4 * MIB, 1);
        config.partition_count = 1 + (uint32_t)random_below(&random, CONFIG_MAX_PARTITIONS);
        uint64_t image_bytes[CONFIG_MAX_PARTITIONS] = {0};
        input.guest_image_bytes = 0;
        for (uint32_t i = 0; i < config.partition_count; i++) {
            config.partitions[i] = (struct partition_config){.memory_bytes = 4 * MIB, .vcpus = 1};
            image_bytes[i] = FRAME_BYTES * (1 + random_below(&random, 1500));
            input.guest_image_bytes += image_bytes[i];
        }
        input.image_bytes = random_below(&random, 4 * MIB) + 1;
        input.screen_bytes = random_below(&random, 32 * MIB);
        input.core_count = 1 + (uint32_t)random_below(&random, MACHINE_MAX_CORES);
        struct hv_budget budget = budget_of(&input);

        fake_frames_init(&fake);
        hpa_t root;
        assert_true(fake.source.take(fake.source.context, &root));
        uint64_t region = align_down(random_frame(&random, 3 * GIB), PAGE_2M);
        map(root, HV_IMAGE_BASE, region, input.image_bytes, PAGE_EXECUTE);
        uint64_t rest = region + align_up(input.image_bytes, FRAME_BYTES);
        map(root, HV_DIRECT_BASE + rest, rest, region + budget.total_bytes - rest, PAGE_WRITE);
        for (uint32_t i = 0; i < config.partition_count; i++) {
            uint64_t base = (4 + 600 * (uint64_t)i) * GIB + random_frame(&random, GIB);
            if (random_one_in(&random, 3))
                base = (4 + 600 * (uint64_t)i) * GIB - FRAME_BYTES;
            map(root, HV_DIRECT_BASE + base, base, image_bytes[i], 0);
        }
        uint64_t screen = 50000 * GIB + random_frame(&random, GIB);
        map(root, HV_DIRECT_BASE + screen, screen, input.screen_bytes, PAGE_WRITE | PAGE_WRITE_COMBINING);
        map(root, 0x9E000, 0x9E000, FRAME_BYTES, PAGE_EXECUTE);
        assert_true(fake.taken * FRAME_BYTES <= budget.page_table_bytes);
    }
}

/* Guest memory in the most pieces a plan may have, of 2 MiB grain, without 1 GiB pages. */
static void second_stage_tables_fit(void **state)
{
    (void)state;
    struct random random = {7};
    for (uint32_t round = 0; round < 60; round++) {
        uint64_t bytes = PAGE_2M * (2 + random_below(&random, 20000));
        struct hv_budget_input input = one_partition(bytes, 1);
        fake_frames_init(&fake);
        struct ept ept;
        assert_int_equal(ept_init(&ept, &fake.source, true, false), EPT_OK);
        uint64_t address = 0, host = 16 * GIB, left = bytes;
        for (uint32_t piece = 0; left > 0; piece++) {
            if (address == 3 * GIB)
                address = 4 * GIB;
            uint64_t length = min_u64(left, PAGE_2M * (1 + random_below(&random, 4000)));
            if (address < 3 * GIB)
                length = min_u64(length, 3 * GIB - address);
            struct ept_mapping mapping = {gpa(address), hpa(host), length, EPT_RWX, EPT_WB};
            assert_int_equal(ept_map(&ept, mapping), EPT_OK);
            address += length;
            host += length + PAGE_2M * (1 + random_below(&random, 9));
            left -= length;
        }
        assert_true(ept.table_count * FRAME_BYTES <= budget_of(&input).ept_bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_frames_and_sum_up),       cmocka_unit_test(small_machines_stay_small),
        cmocka_unit_test(more_of_anything_never_takes_less), cmocka_unit_test(hypervisor_tables_fit),
        cmocka_unit_test(second_stage_tables_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
