/*
 * The planner: what it gives to whom, every refusal with its place, and for random machines and
 * configurations that no core, physical core or frame serves two partitions. And the table that shows a plan
 * to people.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/marked.h"
#include "host_tests/support/plan_promise.h"
#include "host_tests/support/random.h"
#include "hv/plan_table.h"

#define MAX_ENTRIES 8192

static struct config config;
static struct machine machine;
static struct plan plan;
static struct diag diag;
static struct frame_table frames;
static struct frame_extent entries[MAX_ENTRIES];

/* ------------------------------------------------------------------------------------- machines and plans */

/* Logical cores in the order firmware lists them: package by package, threads of a core side by side. */
static void add_package(uint32_t cores, uint32_t threads, uint16_t zone)
{
    for (uint32_t i = 0; i < cores * threads; i++)
        machine.cores[machine.core_count + i] = (struct core_desc){
            .apic_id = machine.core_count + i,
            .package = (uint16_t)machine.package_count,
            .core = (uint16_t)(i / threads),
            .thread = (uint16_t)(i % threads),
            .zone = zone,
        };
    machine.core_count += cores * threads;
    machine.package_count++;
}

static void add_memory(uint64_t start, uint64_t bytes, uint16_t zone)
{
    machine.map.ranges[machine.map.count++] =
        (struct memmap_range){.start = start, .end = start + bytes, .kind = MEMMAP_FREE, .zone = zone};
}

/* A machine without cores and memory. What nobody fills in stays garbage: nobody may look at it. */
static void clear_machine(void)
{
    memset(&machine, 0xA5, sizeof(machine));
    machine.core_count = machine.package_count = machine.map.count = 0;
}

/* One package without zones; memory from 16 MiB on. */
static void make_machine(uint32_t cores, uint32_t threads, uint64_t memory_bytes)
{
    clear_machine();
    add_package(cores, threads, ZONE_UNKNOWN);
    add_memory(16 * MIB, memory_bytes, ZONE_UNKNOWN);
}

static void start_frames(void)
{
    assert_int_equal(frames_init(&frames, entries, sizeof(entries), &machine.map), ALLOC_OK);
}

static void read_config(const struct marked *marked)
{
    memset(&config, 0xA5, sizeof(config));
    if (!config_parse(marked->text, marked->length, &config, &diag))
        fail_msg("%u:%u: %s", diag.pos.line, diag.pos.column, diag.message);
}

/* Settings of a partition beside its name; memory and image are added. */
#define PARTITION(name, settings) \
    "[[partition]]\nname = '" name "'\nimage = 'builtin:hello'\nmemory = '64M'\n" settings "\n"

static void plan_text(const char *text)
{
    struct marked marked = marked_open(text);
    read_config(&marked);
    start_frames();
    if (!plan_make(&config, &machine, &frames, &plan, &diag))
        fail_msg("refused: %u:%u: %s", diag.pos.line, diag.pos.column, diag.message);
    marked_close(&marked);
}

static void refuse_text(const char *text, const char *message)
{
    struct marked marked = marked_open(text);
    read_config(&marked);
    start_frames();
    if (plan_make(&config, &machine, &frames, &plan, &diag))
        fail_msg("planned: %s", text);
    if (diag.pos.line != marked.pos.line || diag.pos.column != marked.pos.column ||
        strcmp(diag.message, message) != 0)
        fail_msg("%s\nexpected %u:%u: %s\ngot %u:%u: %s", text, marked.pos.line, marked.pos.column, message,
                 diag.pos.line, diag.pos.column, diag.message);
    marked_close(&marked);
}

static void expect_cores(uint32_t partition, uint32_t count, const uint16_t *cores)
{
    assert_int_equal(plan.partitions[partition].vcpu_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(plan.partitions[partition].cores[i], cores[i]);
}

#define EXPECT_CORES(partition, ...)                                              \
    expect_cores(partition, sizeof((uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t), \
                 (const uint16_t[]){__VA_ARGS__})

/* ------------------------------------------------------------------------------------------------- cores */

static void partitions_get_cores_in_order(void **state)
{
    (void)state;
    make_machine(4, 1, GIB);
    plan_text(PARTITION("a", "") PARTITION("b", "vcpus = 2"));
    assert_int_equal(plan.partition_count, 2);
    EXPECT_CORES(0, 1);
    EXPECT_CORES(1, 2, 3);
    assert_false(plan.boot_core_shared);
    assert_int_equal(plan.partitions[0].owner, OWNER_PARTITION_FIRST);
    assert_int_equal(plan.partitions[1].owner, OWNER_PARTITION_FIRST + 1);
}

static void physical_cores_are_given_whole(void **state)
{
    (void)state;
    make_machine(6, 2, GIB);
    plan_text(PARTITION("a", "") PARTITION("b", "vcpus = 2") PARTITION("c", "vcpus = 3") PARTITION("d", ""));
    EXPECT_CORES(0, 2);
    EXPECT_CORES(1, 4, 5);
    EXPECT_CORES(2, 6, 7, 8);
    EXPECT_CORES(3, 10);
    refuse_text(
        PARTITION("a", "") PARTITION("b", "vcpus = 3") PARTITION("c", "vcpus = `5"),
        "partition \"c\" wants 5 vCPUs: of 6 physical cores one is kept for control and 2 are free, with 4 "
        "threads; lower vcpus here or elsewhere, or use a machine with more cores");
}

static void listed_cores_are_obeyed(void **state)
{
    (void)state;
    make_machine(4, 2, GIB);
    plan_text(PARTITION("a", "vcpus = 2") PARTITION("b", "vcpus = 2\ncores = [4, 2]"));
    EXPECT_CORES(0, 6, 7); /* what the list of a later partition leaves */
    EXPECT_CORES(1, 4, 2);
}

static void listed_cores_are_checked(void **state)
{
    (void)state;
    make_machine(4, 2, GIB);
    refuse_text(PARTITION("a", "cores = `[8]"),
                "partition \"a\" lists core 8: this machine has cores 0 to 7");
    refuse_text(PARTITION("a", "cores = `[0]"),
                "partition \"a\" lists core 0, the boot core, which is kept for control: list others");
    refuse_text(
        PARTITION("a", "cores = `[2, 1]"),
        "partition \"a\" lists core 1, a hyper-thread of the boot core, which is kept for control: list "
        "others");
    refuse_text(PARTITION("a", "cores = [2]") PARTITION("b", "cores = `[4, 2]"),
                "partition \"b\" lists core 2, which serves partition \"a\": list a core only once");
    refuse_text(PARTITION("a", "cores = [3]") PARTITION("b", "cores = `[2]"),
                "partition \"b\" lists core 2, a hyper-thread of core 3, which serves partition \"a\": list "
                "whole physical cores");
    refuse_text(PARTITION("a", "cores = [2]") PARTITION("b", "cores = `[3]"),
                "partition \"b\" lists core 3, a hyper-thread of core 2, which serves partition \"a\": list "
                "whole physical cores");
    refuse_text(PARTITION("a", "cores = [3, 6, 5]") PARTITION("b", "cores = `[4]"),
                "partition \"b\" lists core 4, a hyper-thread of core 5, which serves partition \"a\": list "
                "whole physical cores");
    refuse_text(PARTITION("a", "cores = [3, 2]") PARTITION("b", "cores = `[2]"),
                "partition \"b\" lists core 2, which serves partition \"a\": list a core only once");
    refuse_text(PARTITION("a", "vcpus = 3\ncores = `[2, 3]"),
                "partition \"a\" lists 2 cores for 3 vCPUs: list one for each, or remove \"cores\"");
    refuse_text(PARTITION("a", "vcpus = 1\ncores = `[2, 3]"),
                "partition \"a\" lists 2 cores for 1 vCPU: list one for each, or remove \"cores\"");
}

static void cores_can_run_out(void **state)
{
    (void)state;
    make_machine(2, 1, GIB);
    refuse_text(
        PARTITION("a", "") PARTITION("b", "vcpus = `1"),
        "partition \"b\" wants 1 vCPU: of 2 physical cores one is kept for control and 0 are free, with 0 "
        "threads; lower vcpus here or elsewhere, or use a machine with more cores");
    /* A setting that was left out is blamed on its partition. */
    refuse_text(
        PARTITION("a", "") "`" PARTITION("b", ""),
        "partition \"b\" wants 1 vCPU: of 2 physical cores one is kept for control and 0 are free, with 0 "
        "threads; lower vcpus here or elsewhere, or use a machine with more cores");
}

static void one_physical_core_is_shared_with_control(void **state)
{
    (void)state;
    make_machine(1, 1, GIB);
    plan_text(PARTITION("a", ""));
    EXPECT_CORES(0, 0);
    assert_true(plan.boot_core_shared);
    plan_text(PARTITION("a", "cores = [0]"));
    EXPECT_CORES(0, 0);
    assert_true(plan.boot_core_shared);
    refuse_text(
        PARTITION("a", "") "`" PARTITION("b", ""),
        "partition \"b\" wants 1 vCPU: the machine has one physical core with 1 thread, and it serves one "
        "partition; remove the others and lower vcpus, or use a machine with more cores");
    refuse_text(
        PARTITION("a", "vcpus = `2"),
        "partition \"a\" wants 2 vCPUs: the machine has one physical core with 1 thread, and it serves one "
        "partition; remove the others and lower vcpus, or use a machine with more cores");
}

static void one_physical_core_gives_its_other_thread_first(void **state)
{
    (void)state;
    make_machine(1, 2, GIB);
    plan_text(PARTITION("a", ""));
    EXPECT_CORES(0, 1);
    assert_false(plan.boot_core_shared);
    plan_text(PARTITION("a", "vcpus = 2"));
    EXPECT_CORES(0, 0, 1);
    assert_true(plan.boot_core_shared);
    refuse_text(PARTITION("a", "cores = [1]") PARTITION("b", "cores = `[0]"),
                "partition \"b\" lists core 0, a hyper-thread of core 1, which serves partition \"a\": list "
                "whole physical cores");
}

/* The boot core need not be the first thread of its core, nor numbers follow the packages. */
static void the_boot_cores_siblings_are_known_wherever_they_are(void **state)
{
    (void)state;
    make_machine(3, 2, GIB);
    struct core_desc boot = machine.cores[3];
    machine.cores[3] = machine.cores[0];
    machine.cores[0] = boot; /* 0 and 2 are siblings now, 1 and 3, 4 and 5 */
    plan_text(PARTITION("a", "vcpus = 2") PARTITION("b", "vcpus = 2"));
    EXPECT_CORES(0, 1, 3);
    EXPECT_CORES(1, 4, 5);
    refuse_text(
        PARTITION("a", "cores = `[2]"),
        "partition \"a\" lists core 2, a hyper-thread of the boot core, which is kept for control: list "
        "others");
}

static void cores_of_different_size_are_used_up_well(void **state)
{
    (void)state;
    make_machine(4, 2, GIB); /* 0 to 7 with two threads, 8 to 11 with one */
    for (uint16_t i = 0; i < 4; i++)
        machine.cores[machine.core_count++] =
            (struct core_desc){.apic_id = 8u + i, .core = (uint16_t)(4 + i), .zone = ZONE_UNKNOWN};
    plan_text(PARTITION("a", "") PARTITION("b", "vcpus = 3") PARTITION("c", "vcpus = 6"));
    EXPECT_CORES(0, 8);
    EXPECT_CORES(1, 2, 3, 9);
    EXPECT_CORES(2, 4, 5, 6, 7, 10, 11);
}

/* ------------------------------------------------------------------------------------------------ memory */

static void memory_is_carved_in_the_order_of_the_file(void **state)
{
    (void)state;
    make_machine(3, 1, 128 * MIB);
    plan_text(PARTITION("a", "") PARTITION("b", ""));
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(plan.partitions[i].extent_count, 1);
        assert_true(plan.partitions[i].extents[0].start == (16 + 64 * i) * MIB);
        assert_true(plan.partitions[i].extents[0].end == (80 + 64 * i) * MIB);
    }
}

static void memory_can_run_out(void **state)
{
    (void)state;
    make_machine(4, 1, 100 * MIB);
    refuse_text(
        "[[partition]]\nname='a'\nimage='builtin:hello'\nmemory = '64M'\n"
        "[[partition]]\nname='b'\nimage='builtin:hello'\nmemory = `'38M'\n",
        "partition \"b\" wants 38M of memory: 36M is left for it; lower memory here or elsewhere, or use a "
        "machine with more");
    refuse_text(
        "[[partition]]\nname='a'\nimage='builtin:hello'\nmemory = `'1024G'\n",
        "partition \"a\" wants 1024G of memory: 100M is left for it; lower memory here or elsewhere, or use "
        "a machine with more");
}

static void memory_comes_in_a_bounded_number_of_pieces(void **state)
{
    (void)state;
    make_machine(2, 1, 2 * MIB);
    for (uint64_t i = 1; i <= PLAN_MAX_EXTENTS; i++)
        add_memory((16 + 4 * i) * MIB, 2 * MIB, ZONE_UNKNOWN);
    plan_text("[[partition]]\nname='a'\nimage='builtin:hello'\nmemory = '32M'\n");
    assert_int_equal(plan.partitions[0].extent_count, PLAN_MAX_EXTENTS);
    refuse_text(
        "[[partition]]\nname='a'\nimage='builtin:hello'\nmemory = `'34M'\n",
        "partition \"a\" wants 34M of memory in at most 16 pieces: 34M is left, but scattered, the largest "
        "piece has 2M; lower memory here or elsewhere");
}

static void the_frame_table_can_be_full(void **state)
{
    (void)state;
    make_machine(2, 1, GIB);
    struct marked marked = marked_open(PARTITION("a", ""));
    read_config(&marked);
    start_frames();
    frames.capacity = frames.count;
    assert_false(plan_make(&config, &machine, &frames, &plan, &diag));
    assert_string_equal(diag.message,
                        "partition \"a\": the table of memory extents is full (1); use fewer partitions");
    assert_int_equal(diag.pos.line, 4);
    marked_close(&marked);
}

static void cores_and_memory_come_from_one_zone(void **state)
{
    (void)state;
    clear_machine();
    add_package(4, 1, 0); /* 3 of them for partitions */
    add_package(4, 1, 1);
    add_memory(16 * MIB, 200 * MIB, 0);
    add_memory(4 * GIB, 400 * MIB, 1);
    plan_text(PARTITION("a", "vcpus = 2") PARTITION("b", "vcpus = 2") PARTITION("c", ""));
    EXPECT_CORES(0, 1, 2);
    EXPECT_CORES(1, 4, 5); /* one core is left in zone 0, not two */
    EXPECT_CORES(2, 3);
    assert_true(plan.partitions[0].extents[0].end <= GIB);
    assert_true(plan.partitions[1].extents[0].start >= 4 * GIB);
    assert_true(plan.partitions[2].extents[0].end <= GIB);
}

static void a_zone_with_enough_memory_is_preferred(void **state)
{
    (void)state;
    clear_machine();
    add_package(4, 1, 0);
    add_package(4, 1, 1);
    add_memory(16 * MIB, 32 * MIB, 0);
    add_memory(4 * GIB, 400 * MIB, 1);
    plan_text(PARTITION("a", "vcpus = 2"));
    EXPECT_CORES(0, 4, 5);
    assert_true(plan.partitions[0].extents[0].start >= 4 * GIB);
    /* Where no zone has both, cores side by side matter more. */
    machine.map.ranges[1].end = machine.map.ranges[1].start + 40 * MIB;
    plan_text(PARTITION("a", "vcpus = 2"));
    EXPECT_CORES(0, 1, 2);
    /* And where no zone has the cores, any will do. */
    plan_text(PARTITION("a", "vcpus = 6"));
    EXPECT_CORES(0, 1, 2, 3, 4, 5, 6);
    /* Listed cores draw the memory. */
    machine.map.ranges[0].end = machine.map.ranges[0].start + 400 * MIB;
    machine.map.ranges[1].end = machine.map.ranges[1].start + 400 * MIB;
    plan_text(PARTITION("a", "cores = [6]"));
    assert_true(plan.partitions[0].extents[0].start >= 4 * GIB);
}

/* -------------------------------------------------------------------- what no parser and no boot/ lets
 * through */

static void refuse_now(const char *message)
{
    start_frames();
    assert_false(plan_make(&config, &machine, &frames, &plan, &diag));
    assert_string_equal(diag.message, message);
}

static void start_two(void)
{
    make_machine(4, 1, GIB);
    struct marked marked = marked_open(PARTITION("a", "") PARTITION("b", ""));
    read_config(&marked);
    marked_close(&marked);
}

static void a_nonsensical_configuration_is_refused(void **state)
{
    (void)state;
    start_two();
    config.partition_count = 0;
    refuse_now("the configuration has 0 partitions: it may have 1 to 32");
    config.partition_count = CONFIG_MAX_PARTITIONS + 1;
    refuse_now("the configuration has 33 partitions: it may have 1 to 32");
    assert_int_equal(diag.pos.line, 0);
    start_two();
    config.partitions[1].vcpus = 0;
    refuse_now("partition \"b\" wants 0 vCPUs: it may have 1 to 64");
    config.partitions[1].vcpus = 65;
    refuse_now("partition \"b\" wants 65 vCPUs: it may have 1 to 64");
    config.partitions[1].vcpus = 1;
    config.partitions[1].core_count = UINT32_MAX;
    refuse_now("partition \"b\" wants 1 vCPU: it may have 1 to 64");
    start_two();
    config.partitions[0].vcpus = config.partitions[0].core_count = 2;
    config.partitions[0].cores[0] = config.partitions[0].cores[1] = 2;
    refuse_now("partition \"a\" lists core 2 twice: list each core once");
    start_two();
    config.partitions[0].memory_bytes = 5 * MIB;
    refuse_now("partition \"a\": memory must be a positive multiple of 2M, not 5242880 bytes");
    config.partitions[0].memory_bytes = 0;
    refuse_now("partition \"a\": memory must be a positive multiple of 2M, not 0 bytes");
    config.partitions[0].memory_bytes = UINT64_MAX - PAGE_2M + 1;
    refuse_now("partition \"a\" wants 17592186044414M of memory: 1G is left for it; lower memory here or "
               "elsewhere, or "
               "use a machine with more");
}

static void a_nonsensical_machine_is_refused(void **state)
{
    (void)state;
    start_two();
    machine.core_count = 0;
    refuse_now("the machine has 0 cores: Freehold needs 1 to 256");
    machine.core_count = MACHINE_MAX_CORES + 1;
    refuse_now("the machine has 257 cores: Freehold needs 1 to 256");
}

static void the_largest_machine_is_planned(void **state)
{
    (void)state;
    make_machine(MACHINE_MAX_CORES / 2, 2, 64 * GIB);
    static char text[CONFIG_MAX_PARTITIONS * 128];
    size_t used = 0;
    for (int i = 0; i < CONFIG_MAX_PARTITIONS; i++)
        used += (size_t)sprintf(text + used,
                                "[[partition]]\nname='p%d'\nimage='builtin:hello'\nmemory='64M'\nvcpus=%d\n",
                                i, i < 31 ? 8 : 6);
    plan_text(text);
    EXPECT_CORES(31, 250, 251, 252, 253, 254, 255);
    plan_text(PARTITION("a", "vcpus = 64") PARTITION("b", "vcpus = 64"));
    assert_int_equal(plan.partitions[1].cores[CONFIG_MAX_VCPUS - 1], 129);
    used = (size_t)sprintf(text, "[[partition]]\nname='a'\nimage='builtin:hello'\nmemory='64M'\ncores=[");
    for (int i = 0; i < CONFIG_MAX_VCPUS; i++)
        used += (size_t)sprintf(text + used, "%d,", 255 - i);
    strcpy(text + used, "]\n");
    plan_text(text);
    assert_int_equal(plan.partitions[0].vcpu_count, CONFIG_MAX_VCPUS);
}

/* ------------------------------------------------------------------------------------------- the default */

static void expect_default(uint32_t cores, uint32_t threads, uint64_t memory_bytes, uint32_t partitions)
{
    make_machine(cores, threads, memory_bytes);
    config_default(&machine, &config);
    assert_int_equal(config.partition_count, partitions);
    start_frames();
    if (!plan_make(&config, &machine, &frames, &plan, &diag))
        fail_msg("%s", diag.message);
}

static void the_default_fits_the_machine(void **state)
{
    (void)state;
    expect_default(1, 1, GIB, 1);
    assert_true(plan.boot_core_shared);
    expect_default(1, 2, GIB, 1);
    expect_default(2, 1, GIB, 1);
    expect_default(2, 2, GIB, 1);
    expect_default(3, 1, GIB, 2);
    expect_default(4, 2, GIB, 3);
    expect_default(64, 1, GIB, 3);
    expect_default(64, 1, 191 * MIB, 2);
    expect_default(64, 1, 65 * MIB, 1);
    for (uint32_t i = 0; i < config.partition_count; i++) {
        const struct partition_config *p = &config.partitions[i];
        assert_string_equal(p->name, "hello-1");
        assert_string_equal(p->tenant, "default");
        assert_string_equal(p->image, "hello");
        assert_true(p->image_builtin && p->vcpus == 1 && p->memory_bytes == 64 * MIB);
        assert_int_equal(p->expect.kind, EXPECT_EXIT_CODE);
        assert_int_equal(p->restart_limit, CONFIG_DEFAULT_RESTART);
    }
    assert_string_equal(config.region, "local");
    /* Where nothing fits, there is still a configuration, and the planner says what is missing. */
    make_machine(4, 1, 32 * MIB);
    config_default(&machine, &config);
    refuse_now(
        "partition \"hello-1\" wants 64M of memory: 32M is left for it; lower memory here or elsewhere, or "
        "use a machine with more");
    machine.core_count = UINT32_MAX;
    config_default(&machine, &config);
    assert_int_equal(config.partition_count, 1);
}

/* ---------------------------------------------------------------------------------------------- properties
 */

static void random_machine(struct random *random)
{
    clear_machine();
    uint32_t packages = 1 + (uint32_t)random_below(random, 3);
    bool zones = random_one_in(random, 2), hybrid = random_one_in(random, 4);
    uint32_t threads = 1 + (uint32_t)random_below(random, 2);
    for (uint32_t i = 0; i < packages; i++)
        add_package(1 + (uint32_t)random_below(random, 6), threads, zones ? (uint16_t)i : ZONE_UNKNOWN);
    if (hybrid) /* some threads are switched off */
        for (uint32_t i = machine.core_count; i-- > 1;)
            if (random_one_in(random, 4))
                machine.cores[i] = machine.cores[--machine.core_count];
    for (uint32_t i = machine.core_count; i-- > 1;) { /* in whatever order */
        uint64_t j = random_below(random, i + 1);
        struct core_desc core = machine.cores[i];
        machine.cores[i] = machine.cores[j];
        machine.cores[j] = core;
    }
    uint64_t at = 0;
    for (uint64_t i = 1 + random_below(random, 12); i > 0; i--) {
        at += random_below(random, 2048) * FRAME_BYTES;
        uint64_t bytes = (1 + random_below(random, random_one_in(random, 3) ? 200 : 20000)) * FRAME_BYTES;
        add_memory(at, bytes, zones ? (uint16_t)random_below(random, packages) : ZONE_UNKNOWN);
        at += bytes + FRAME_BYTES;
    }
}

static void random_config(struct random *random)
{
    memset(&config, 0, sizeof(config));
    config.partition_count = 1 + (uint32_t)random_below(random, random_one_in(random, 2) ? 3 : 8);
    for (uint32_t i = 0; i < config.partition_count; i++) {
        struct partition_config *p = &config.partitions[i];
        snprintf(p->name, sizeof(p->name), "p%u", i);
        p->vcpus = 1 + (uint32_t)random_below(random, random_one_in(random, 4) ? 8 : 2);
        p->memory_bytes = (1 + random_below(random, 20)) * PAGE_2M;
        if (random_one_in(random, 4)) {
            p->core_count = p->vcpus;
            for (uint32_t j = 0; j < p->core_count; j++)
                p->cores[j] = (uint16_t)random_below(random, machine.core_count + 1);
        }
        uint32_t line = 10 * i + 10;
        p->at = p->at_image = (struct source_pos){line, 1};
        p->at_vcpus = (struct source_pos){line + 1, 1};
        p->at_memory = (struct source_pos){line + 2, 1};
        p->at_cores = (struct source_pos){line + 3, 1};
    }
}

/* A refusal names a partition and points at one of its settings. */
static void check_refusal(void)
{
    uint32_t index = diag.pos.line / 10 - 1;
    char named[64];
    assert_true(index < config.partition_count && diag.pos.line % 10 >= 1 && diag.pos.line % 10 <= 3);
    snprintf(named, sizeof(named), "partition \"%s\"", config.partitions[index].name);
    assert_non_null(strstr(diag.message, named));
    assert_true(strlen(diag.message) + 1 < sizeof(diag.message)); /* nothing was cut off */
}

/* Whether partitions without lists fit a machine of like cores, counted without placing anything. */
static bool cores_suffice(uint32_t threads)
{
    uint32_t needed = 0, physical = physical_cores(&machine);
    for (uint32_t i = 0; i < config.partition_count; i++)
        needed += (config.partitions[i].vcpus + threads - 1) / threads;
    return physical == 1 ? needed == 1 && config.partition_count == 1 : needed <= physical - 1;
}

static void random_plans_keep_everybody_apart(void **state)
{
    (void)state;
    static struct plan again;
    static struct diag diag_again;
    struct random random = {1};
    unsigned planned = 0, rounds = 20000;
    for (unsigned round = 0; round < rounds; round++) {
        random_machine(&random);
        random_config(&random);
        start_frames();
        memset(&plan, 0xA5, sizeof(plan));
        bool fits = plan_make(&config, &machine, &frames, &plan, &diag);
        const char *broken = fits ? plan_promise_broken(&config, &machine, &frames, &plan) : NULL;
        if (broken != NULL)
            fail_msg("round %u: %s", round, broken);
        if (!fits)
            check_refusal();
        planned += fits;

        start_frames();
        memset(&again, 0x5A, sizeof(again));
        assert_int_equal(plan_make(&config, &machine, &frames, &again, &diag_again), fits);
        if (fits)
            assert_memory_equal(&again, &plan, sizeof(plan));
        else
            assert_string_equal(diag.message, diag_again.message);
    }
    assert_in_range(planned, rounds / 20, rounds - rounds / 20); /* else one side is not tested */
}

/* On a machine of like cores the planner finds room whenever there is room. */
static void like_cores_are_never_wasted(void **state)
{
    (void)state;
    struct random random = {2};
    unsigned planned = 0, rounds = 10000;
    for (unsigned round = 0; round < rounds; round++) {
        uint32_t threads = 1 + (uint32_t)random_below(&random, 3);
        clear_machine();
        for (uint64_t i = 1 + random_below(&random, 3); i > 0; i--)
            add_package(1 + (uint32_t)random_below(&random, 5), threads, (uint16_t)(machine.package_count));
        add_memory(16 * MIB, 256 * MIB + random_below(&random, 2) * GIB, 0);
        add_memory(4 * GIB, GIB, 1);
        random_config(&random);
        for (uint32_t i = 0; i < config.partition_count; i++)
            config.partitions[i].core_count = 0;
        start_frames();
        bool fits = plan_make(&config, &machine, &frames, &plan, &diag);
        if (fits != cores_suffice(threads))
            fail_msg("round %u: %s", round, fits ? "planned too much" : diag.message);
        planned += fits;
    }
    assert_in_range(planned, rounds / 20, rounds - rounds / 20);
}

/* ----------------------------------------------------------------------------------------------- the table
 */

#define TABLE_BYTES (256 * 1024)

static void collect(void *context, const char *text)
{
    char *table = context;
    assert_true(strlen(text) < PLAN_TABLE_LINE_BYTES);
    assert_true(strlen(table) + strlen(text) + 2 < TABLE_BYTES);
    strcat(table, text);
    strcat(table, "\n");
}

static char *table_of_plan(void)
{
    static char table[TABLE_BYTES];
    table[0] = '\0';
    plan_table(&config, &machine, &plan, collect, table);
    return table;
}

static void the_table_shows_the_plan(void **state)
{
    (void)state;
    make_machine(6, 2, 256 * MIB);
    plan_text(PARTITION("web", "tenant = 'acme'\ncores = [10, 2, 3, 4]")
                  PARTITION("background", "vcpus = 2"));
    assert_string_equal(table_of_plan(),
                        "partition   tenant   vcpus  cores   memory  extents [start, end)     image\n"
                        "web         acme         4  10,2-4     64M  0x001000000-0x005000000  builtin:hello\n"
                        "background  default      2  6-7        64M  0x005000000-0x009000000  builtin:hello\n"
                        "core 0 runs the control loop; idle cores: 5\n");
}

/* One partition's row of a machine with memory in two pieces. */
static void expect_rows(const char *cores, const char *first, const char *second)
{
    char text[256];
    make_machine(128, 1, 4 * MIB);
    add_memory(4 * GIB, 6 * MIB, ZONE_UNKNOWN);
    snprintf(text, sizeof(text), "[[partition]]\nname='p'\nimage='vm/x.elf'\nmemory='10M'\ncores=[%s]\n",
             cores);
    plan_text(text);
    char *row = strchr(table_of_plan(), '\n') + 1, *end = strchr(row, '\n');
    *end = '\0';
    assert_string_equal(row, first);
    row = end + 1;
    *strchr(row, '\n') = '\0';
    assert_string_equal(row, second);
}

static void long_lists_take_several_lines(void **state)
{
    (void)state;
    expect_rows(
        "63, 10, 20, 30, 32, 34, 36, 38, 40, 41, 42, 44",
        "p          default     12  63,10,20,30,32,34,36,38,     10M  0x100000000-0x100600000  vm\\x.elf",
        "                           40-42,44                          0x001000000-0x001400000");
    /* A column is at most 24 bytes wide, commas included. */
    expect_rows(
        "100, 10, 20, 30, 32, 34, 36, 38, 50",
        "p          default      9  100,10,20,30,32,34,36,     10M  0x100000000-0x100600000  vm\\x.elf",
        "                           38,50                           0x001000000-0x001400000");
    expect_rows(
        "100, 10, 20, 30, 32, 34, 36, 38",
        "p          default      8  100,10,20,30,32,34,36,38     10M  0x100000000-0x100600000  vm\\x.elf",
        "                                                             0x001000000-0x001400000");
}

static void a_shared_core_is_told(void **state)
{
    (void)state;
    make_machine(1, 1, 256 * MIB);
    plan_text(PARTITION("a", ""));
    assert_non_null(
        strstr(table_of_plan(), "core 0 runs the control loop too, in time slices; idle cores: 0\n"));
}

/* The widest cells there can be, in the largest plan. */
static void no_line_is_too_long(void **state)
{
    (void)state;
    make_machine(256, 1, 64 * GIB);
    memset(&config, 0, sizeof(config));
    config.partition_count = CONFIG_MAX_PARTITIONS;
    for (uint32_t i = 0; i < CONFIG_MAX_PARTITIONS; i++) {
        struct partition_config *p = &config.partitions[i];
        memset(p->name, 'n', CONFIG_NAME_BYTES - 1);
        memset(p->tenant, 't', CONFIG_NAME_BYTES - 1);
        memset(p->image, 'i', CONFIG_IMAGE_BYTES - 1);
        p->memory_bytes = UINT64_MAX;
        plan.partitions[i].vcpu_count = CONFIG_MAX_VCPUS;
        plan.partitions[i].extent_count = PLAN_MAX_EXTENTS;
        for (uint32_t j = 0; j < CONFIG_MAX_VCPUS; j++)
            plan.partitions[i].cores[j] = (uint16_t)(255 - 2 * j);
        for (uint32_t j = 0; j < PLAN_MAX_EXTENTS; j++)
            plan.partitions[i].extents[j] = (struct extent){UINT64_MAX - 1, UINT64_MAX};
    }
    plan.partition_count = CONFIG_MAX_PARTITIONS;
    const char *table = table_of_plan();
    unsigned lines = 0;
    for (; *table != '\0'; table++)
        lines += *table == '\n';
    assert_int_equal(lines, 2 + CONFIG_MAX_PARTITIONS * PLAN_MAX_EXTENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_get_cores_in_order),
        cmocka_unit_test(physical_cores_are_given_whole),
        cmocka_unit_test(listed_cores_are_obeyed),
        cmocka_unit_test(listed_cores_are_checked),
        cmocka_unit_test(cores_can_run_out),
        cmocka_unit_test(one_physical_core_is_shared_with_control),
        cmocka_unit_test(one_physical_core_gives_its_other_thread_first),
        cmocka_unit_test(the_boot_cores_siblings_are_known_wherever_they_are),
        cmocka_unit_test(cores_of_different_size_are_used_up_well),
        cmocka_unit_test(memory_is_carved_in_the_order_of_the_file),
        cmocka_unit_test(memory_can_run_out),
        cmocka_unit_test(memory_comes_in_a_bounded_number_of_pieces),
        cmocka_unit_test(the_frame_table_can_be_full),
        cmocka_unit_test(cores_and_memory_come_from_one_zone),
        cmocka_unit_test(a_zone_with_enough_memory_is_preferred),
        cmocka_unit_test(a_nonsensical_configuration_is_refused),
        cmocka_unit_test(a_nonsensical_machine_is_refused),
        cmocka_unit_test(the_largest_machine_is_planned),
        cmocka_unit_test(the_default_fits_the_machine),
        cmocka_unit_test(random_plans_keep_everybody_apart),
        cmocka_unit_test(like_cores_are_never_wasted),
        cmocka_unit_test(the_table_shows_the_plan),
        cmocka_unit_test(long_lists_take_several_lines),
        cmocka_unit_test(a_shared_core_is_told),
        cmocka_unit_test(no_line_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
