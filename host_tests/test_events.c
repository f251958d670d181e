/*
 * The event stream: every event with data at its edges is written to a file that tools/validate_events.py
 * must find good; damaged copies of it must be refused, or the validator checks nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/capsule.h"
#include "hv/events.h"
#include "hv/fmt.h"
#include "hv/json.h"

/* Far above the report of a full machine; a reader needs to know the order of magnitude. */
#define LONGEST_LINE (400 * 1024)

static char text[8 << 20];
static struct json_buffer buffer;
static struct event_stream stream;

static struct machine machine;
static struct config config;
static struct plan plan;
static struct partition_account accounts[CONFIG_MAX_PARTITIONS];
static struct region_view view;
static struct crash_capsule capsule;

static void write_pieces(void *context, const char *bytes, size_t n)
{
    assert_true(n >= 1 && n <= JSON_CHUNK_BYTES);
    json_buffer_write(context, bytes, n);
}

static void start(void)
{
    buffer = (struct json_buffer){.bytes = text, .capacity = sizeof(text) - 1};
    event_stream_start(&stream, (struct event_sink){write_pieces, &buffer}, 1000);
}

static const char *written(void)
{
    assert_false(json_buffer_overflowed(&buffer));
    text[buffer.length] = '\0';
    return text;
}

static void assert_written(const char *expect)
{
    assert_string_equal(written(), expect);
    buffer.length = 0;
}

/* ------------------------------------------------------------ exact lines */

static void test_frame(void **state)
{
    (void)state;
    start();
    event_verdict(&stream, 1500, "a", 3, true, "said \"so\"\n", 10);
    assert_written(
        "{\"v\":1,\"type\":\"verdict\",\"seq\":0,\"t\":500,\"partition\":\"a\",\"vcpu\":3,\"pass\":true,"
        "\"text\":\"said \\\"so\\\"\\n\"}\n");
    event_metric(&stream, 999, "a", "x\xff", 2, UINT64_MAX); /* before the hand-over: t is 0, not huge */
    assert_written("{\"v\":1,\"type\":\"metric\",\"seq\":1,\"t\":0,\"partition\":\"a\",\"name\":\"x\\ufffd\","
                   "\"value\":18446744073709551615}\n");
    struct event_state change = {"b", PARTITION_RUNNING, PARTITION_EXITED, 2, 255};
    event_state(&stream, 1000, &change);
    assert_written("{\"v\":1,\"type\":\"state\",\"seq\":2,\"t\":0,\"partition\":\"b\",\"from\":\"running\","
                   "\"to\":\"exited\",\"incarnation\":2,\"exit_code\":255}\n");
    change.to = PARTITION_FAULTED;
    event_state(&stream, 1000, &change);
    assert_written("{\"v\":1,\"type\":\"state\",\"seq\":3,\"t\":0,\"partition\":\"b\",\"from\":\"running\","
                   "\"to\":\"faulted\",\"incarnation\":2,\"exit_code\":null}\n");
    struct audit_result audit = {10, 1, 20, 2, 3, 4, "here"};
    event_audit(&stream, 1001, &audit);
    assert_written("{\"v\":1,\"type\":\"audit\",\"seq\":4,\"t\":1,\"violations\":10,\"pages_checked\":10,"
                   "\"writable_executable\":1,\"frames_checked\":20,\"frames_shared\":2,\"frames_foreign\":3,"
                   "\"tables_foreign\":4,\"first\":\"here\"}\n");
}

static struct event_stream *interrupted;

/* Fails in the middle of a line, as a page fault in the encoder would. */
static void panicking_write(void *context, const char *bytes, size_t n)
{
    json_buffer_write(context, bytes, n);
    if (interrupted == NULL)
        return;
    struct event_stream *victim = interrupted;
    interrupted = NULL;
    event_panic(victim, 1007, 5, "broken");
    victim->line_open = false;
}

static void test_panic_ends_an_open_line(void **state)
{
    (void)state;
    start();
    stream.sink.write = panicking_write;
    interrupted = &stream;
    char words[2 * JSON_CHUNK_BYTES]; /* longer than a piece, so that the panic comes in the middle */
    memset(words, 'w', sizeof(words));
    event_verdict(&stream, 1000, "a", 0, true, words, sizeof(words));
    const char *panic =
        "\n{\"v\":1,\"type\":\"panic\",\"seq\":1,\"t\":7,\"core\":5,\"message\":\"broken\"}\n";
    assert_non_null(strstr(written(), panic));
    start();
    event_panic(&stream, 1007, 5, "broken");
    assert_written("{\"v\":1,\"type\":\"panic\",\"seq\":0,\"t\":7,\"core\":5,\"message\":\"broken\"}\n");
}

/* ------------------------------------------------------------ every event, at the edges */

static const char hostile[] = "\x1b[2J \"quoted\" \\ \xff\xfe\xc3\xa9 \r\n\t end";

static void make_machine(uint32_t cores)
{
    memset(&machine, 0, sizeof(machine));
    machine.core_count = cores;
    machine.package_count = 2;
    machine.tsc_hz = UINT64_MAX;
    memset(machine.cpu_name, 'C', sizeof(machine.cpu_name)); /* not terminated */
    for (uint32_t i = 0; i < cores; i++)
        machine.cores[i] = (struct core_desc){UINT32_MAX - i, (uint16_t)(i & 1), UINT16_MAX, UINT16_MAX,
                                              i % 3 == 0 ? ZONE_UNKNOWN : (uint16_t)i};
    machine.map.count = 3;
    machine.map.ranges[0] = (struct memmap_range){0, 0x100000, MEMMAP_FIRMWARE, 0, 0};
    machine.map.ranges[1] = (struct memmap_range){0x100000, 0x200000, MEMMAP_HYPERVISOR, 0, 0};
    machine.map.ranges[2] = (struct memmap_range){0x200000, UINT64_C(1) << 52, MEMMAP_FREE, 0, 0};
}

static void make_partition(uint32_t i, uint32_t vcpus, uint32_t extents)
{
    static const struct expectation expects[] = {
        {EXPECT_EXIT_CODE, 255, FAULT_NONE}, {EXPECT_EXIT_ANY, 0, FAULT_NONE},
        {EXPECT_FAULT_ANY, 0, FAULT_NONE},   {EXPECT_FAULT, 0, FAULT_EPT_VIOLATION},
        {EXPECT_RUNNING, 0, FAULT_NONE},
    };
    struct partition_config *c = &config.partitions[i];
    struct plan_partition *p = &plan.partitions[i];
    fmt_snprintf(c->name, sizeof(c->name), "partition-%u_with.a.long.name", i);
    fmt_snprintf(c->tenant, sizeof(c->tenant), "tenant %u", i / 2);
    memset(c->image, 'i', sizeof(c->image)); /* not terminated */
    c->image_builtin = i % 2 == 0;
    memcpy(c->cmdline, hostile, sizeof(hostile));
    c->vcpus = p->vcpu_count = vcpus;
    c->memory_bytes = UINT64_MAX;
    c->on_fault = i % 2 == 0 ? ON_FAULT_STOP : ON_FAULT_RESTART;
    c->restart_limit = UINT32_MAX;
    c->expect = expects[i % ARRAY_SIZE(expects)];
    c->time_limit_seconds = UINT64_MAX;
    for (uint32_t k = 0; k < CONFIG_MAX_VCPUS; k++)
        p->cores[k] = 255;
    p->extent_count = extents;
    for (uint32_t k = 0; k < PLAN_MAX_EXTENTS; k++)
        p->extents[k] = (struct extent){UINT64_MAX - PAGE_2M * (k + 2), UINT64_MAX - PAGE_2M * (k + 1)};
}

static void make_account(uint32_t i)
{
    struct partition_account *a = &accounts[i];
    memset(a, 0xFF, sizeof(*a));
    a->state = (enum partition_state)(i % PARTITION_STATE_COUNT);
    a->exit_code = i % 2 == 0 ? 255 : 0;
    a->fault = a->state == PARTITION_FAULTED ? FAULT_TRIPLE_FAULT + i % (FAULT_REASON_COUNT - 1) : FAULT_NONE;
    a->verdicts_failed = i % 3 == 0;
    if (i % 4 == 1)
        memset(a->exits, 0, sizeof(a->exits));
    /* Sums of reasons that share a key must not wrap here. */
    for (uint32_t k = 0; k < EXIT_REASON_LIMIT && i % 4 != 1; k++)
        a->exits[k] = (struct exit_count){UINT64_MAX / 128, UINT64_MAX / 128};
}

static void make_world(uint32_t partitions, uint32_t vcpus, uint32_t extents)
{
    memset(&config, 0, sizeof(config));
    memset(&plan, 0, sizeof(plan));
    memset(config.region, 'r', sizeof(config.region)); /* not terminated */
    config.partition_count = plan.partition_count = partitions;
    view = (struct region_view){.config = &config, .plan = &plan, .dropped_records = UINT64_MAX};
    for (uint32_t i = 0; i < partitions && i < CONFIG_MAX_PARTITIONS; i++) {
        make_partition(i, vcpus, extents);
        make_account(i);
        view.accounts[i] = &accounts[i];
    }
}

static void make_capsule(uint32_t reason, uint8_t fill, uint32_t last_count)
{
    memset(&capsule, fill, sizeof(capsule));
    capsule.reason = (enum fault_reason)reason;
    capsule.vcpu = 63;
    capsule.core = 255;
    capsule.last_count = last_count;
    memset(capsule.detail, 'd', sizeof(capsule.detail)); /* not terminated */
}

static void emit_boot_and_plan(void)
{
    static const char *const features[] = {"EPT", "VPID", "unrestricted guest"};
    char region[CONFIG_NAME_BYTES] = "eu-north-1";
    struct event_boot boot = {
        .region = region,
        .config_source = "\\freehold\\freehold.toml",
        .machine = &machine,
        .vmx_features = features,
        .vmx_feature_count = ARRAY_SIZE(features),
        .image_bytes = UINT64_MAX,
        .pool_bytes = UINT64_MAX,
        .used_bytes = UINT64_MAX,
        .cores_bytes = UINT64_MAX,
    };
    event_boot(&stream, UINT64_MAX, &boot);
    event_plan(&stream, 1001, &view);
}

static void emit_states(void)
{
    for (unsigned from = 0; from < PARTITION_STATE_COUNT; from++)
        for (unsigned to = 0; to < PARTITION_STATE_COUNT; to++) {
            struct event_state change = {config.partitions[0].name, (enum partition_state)from,
                                         (enum partition_state)to, UINT32_MAX, 255};
            event_state(&stream, 1002, &change);
        }
}

static void emit_faults(void)
{
    for (uint32_t reason = FAULT_NONE + 1; reason < FAULT_REASON_COUNT; reason++) {
        make_capsule(reason, reason % 2 == 0 ? 0xFF : 0, reason); /* counts beyond the array too */
        event_fault(&stream, 1003, &view, reason % config.partition_count, &capsule, reason % 2 == 0);
    }
}

/* Everything once; the most a machine can have when asked for. */
static void emit_all(uint32_t cores, uint32_t partitions, uint32_t vcpus, uint32_t extents)
{
    make_machine(cores);
    make_world(partitions, vcpus, extents);
    start();
    emit_boot_and_plan();
    if (partitions > 0) {
        const char *name = config.partitions[partitions - 1].name;
        emit_states();
        emit_faults();
        event_verdict(&stream, 1004, name, 63, false, hostile, sizeof(hostile));
        event_verdict(&stream, 1004, name, 0, true, "", 0);
        event_metric(&stream, 1004, name, hostile, sizeof(hostile), 0);
    }
    struct audit_result audit = {UINT64_MAX, 0, UINT64_MAX, 0, 0, 0, ""};
    event_audit(&stream, 1005, &audit);
    event_report(&stream, 1006, &view);
}

static char scratch[] = "/tmp/freehold-events-XXXXXX"; /* a directory, for as long as the tests run */
static char complaints[1 << 16];

static int make_scratch(void **state)
{
    (void)state;
    return mkdtemp(scratch) == NULL;
}

static int remove_scratch(void **state)
{
    (void)state;
    char command[128];
    fmt_snprintf(command, sizeof(command), "rm -rf %s", scratch);
    return system(command);
}

static void save(const char *name, const char *lines, size_t bytes)
{
    char path[128];
    fmt_snprintf(path, sizeof(path), "%s/%s", scratch, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(lines, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* Runs the validator on files of the scratch directory; its exit status, and its words in `complaints`. */
static int run_validator(const char *files, const char *options)
{
    char command[256];
    fmt_snprintf(command, sizeof(command), "python3 tools/validate_events.py %s %s/%s 2>&1", options, scratch,
                 files);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(complaints, 1, sizeof(complaints) - 1, pipe);
    complaints[length] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void validate(const char *lines, size_t bytes, const char *options, int expect)
{
    save("events", lines, bytes);
    int status = run_validator("events", options);
    if (status != expect)
        fail_msg("exit status %d instead of %d: %.2000s", status, expect, complaints);
}

static size_t longest_line(const char *lines)
{
    size_t longest = 0;
    for (const char *end; (end = strchr(lines, '\n')) != NULL; lines = end + 1)
        if ((size_t)(end - lines) > longest)
            longest = (size_t)(end - lines);
    return longest;
}

static void test_every_event_matches_the_schema(void **state)
{
    (void)state;
    emit_all(4, 3, 2, 2);
    validate(written(), buffer.length, "", 0);
    emit_all(MACHINE_MAX_CORES, CONFIG_MAX_PARTITIONS, CONFIG_MAX_VCPUS, PLAN_MAX_EXTENTS);
    validate(written(), buffer.length, "", 0);
    assert_true(longest_line(text) < LONGEST_LINE);
    emit_all(1, 0, 0, 0);
    validate(written(), buffer.length, "", 0);
}

static void test_counts_beyond_the_arrays_are_cut(void **state)
{
    (void)state;
    make_machine(4);
    machine.core_count = UINT32_MAX;
    make_world(UINT32_MAX, UINT32_MAX, UINT32_MAX);
    start();
    event_plan(&stream, 1000, &view);
    event_report(&stream, 1000, &view);
    validate(written(), buffer.length, "--partial", 0);
}

/* ------------------------------------------------------------ damaged streams are refused */

/* Replaces the first `from` by `to` in what was written; false when there is none. */
static bool damage(const char *from, const char *to)
{
    char *at = strstr(text, from);
    if (at == NULL)
        return false;
    size_t tail = strlen(at + strlen(from));
    memmove(at + strlen(to), at + strlen(from), tail + 1);
    memcpy(at, to, strlen(to));
    buffer.length = strlen(text);
    return true;
}

static void test_damage_is_found(void **state)
{
    (void)state;
    static const char *const damages[][2] = {
        {"\"seq\":2,", "\"seq\":3,"},
        {"\"seq\":0,", "\"seq\":false,"},
        {"\"v\":1", "\"v\":2"},
        {"\"v\":1", "\"v\":true"},
        {"\"type\":\"audit\"", "\"type\":\"odit\""},
        {"\"type\":\"boot\"", "\"type\":\"plan\""},
        {"\"tsc_hz\":", "\"tsc\":"},
        {"\"tsc_hz\":", "\"tsc_hz\":-"},
        {"\"tsc_hz\":", "\"tsc_hz\":9"},
        {"\"cores\":4", "\"cores\":4.5"},
        {"\"cores\":4", "\"cores\":257"},
        {"\"cores\":4", "\"cores\":4,\"cores\":4"},
        {"\"zone\":null", "\"zone\":\"none\""},
        {"\"boot_core_shared\":false", "\"boot_core_shared\":0"},
        {"\"used\":", "\"used\":-"},
        {"\"tables\":", "\"table\":"},
        {"\"on_fault\":\"stop\"", "\"on_fault\":\"reboot\""},
        {"\"start\":\"0x", "\"start\":\"0X"},
        {"\"to\":\"exited\"", "\"to\":\"gone\""},
        {"\"incarnation\":", "\"incarnation\":0"},
        {"\"partition\":\"partition-0", "\"partition\":\"partition-9"},
        {"\"exit_code\":255", "\"exit_code\":256"},
        {"\"cr4\":\"0x", "\"cr5\":\"0x"},
        {"\"action\":\"stop\"", "\"action\":\"stop\",\"more\":1"},
        {"\"met\":false,\"counts\"", "\"met\":true,\"counts\""},
        {"\"counts\":{\"partitions\":3", "\"counts\":{\"partitions\":2"},
        {"\"passed\":", "\"passed\":NaN,\"x\":"},
        {"\n", "\n\n"},
        {"\n{", "\n "},
        {"\"text\":\"", "\"text\":\"\xc3\xa9"},
    };
    emit_all(4, 3, 2, 2);
    static char good[sizeof(text)];
    char name[32];
    fmt_copy(good, sizeof(good), written());
    for (unsigned i = 0; i < ARRAY_SIZE(damages); i++) {
        fmt_copy(text, sizeof(text), good);
        if (!damage(damages[i][0], damages[i][1]))
            fail_msg("nothing to damage: %s", damages[i][0]);
        fmt_snprintf(name, sizeof(name), "damaged-%02u", i);
        save(name, text, buffer.length);
    }
    assert_int_equal(run_validator("damaged-*", ""), 1);
    for (unsigned i = 0; i < ARRAY_SIZE(damages); i++) {
        fmt_snprintf(name, sizeof(name), "/damaged-%02u:", i);
        if (strstr(complaints, name) == NULL)
            fail_msg("damage %u was not found: %s to %s", i, damages[i][0], damages[i][1]);
    }
}

static void test_cut_streams(void **state)
{
    (void)state;
    emit_all(4, 3, 2, 2);
    const char *second = strchr(written(), '\n') + 1;
    size_t first_bytes = (size_t)(second - text);
    validate(text, first_bytes, "", 1); /* no report */
    validate(text, first_bytes, "--partial", 0);
    validate(second, buffer.length - first_bytes, "", 1); /* no boot */
    validate(second, buffer.length - first_bytes, "--partial", 0);
    validate(text, buffer.length - 1, "", 1); /* no last newline */
    validate(text, 0, "", 1);
    validate(text, 0, "--schema /nonexistent", 2);
    const char refused[] = "{\"v\":1,\"type\":\"refused\",\"reason\":\"config\",\"message\":\"so\"}\n";
    validate(refused, sizeof(refused) - 1, "", 0);
}

/* ------------------------------------------------------------ parts */

static void test_registers_of_a_capsule(void **state)
{
    (void)state;
    make_capsule(FAULT_HALTED, 0, 0);
    capsule.gpr[RSP] = 0x1122334455667788;
    capsule.gpr[R15] = UINT64_MAX;
    capsule.tr = 0xABCD;
    struct capsule_register reg;
    uint32_t count = 0;
    uint32_t seen = 0;
    for (; capsule_register(&capsule, count, &reg); count++) {
        if (strcmp(reg.name, "rsp") == 0)
            seen += reg.value == 0x1122334455667788 && reg.bytes == 8;
        else if (strcmp(reg.name, "r15") == 0)
            seen += reg.value == UINT64_MAX;
        else if (strcmp(reg.name, "tr") == 0)
            seen += reg.value == 0xABCD && reg.bytes == 2;
        else
            assert_int_equal(reg.value, 0);
    }
    assert_int_equal(count, 28);
    assert_int_equal(seen, 3);
    assert_false(capsule_register(&capsule, UINT32_MAX, &reg));
}

static void test_expectations(void **state)
{
    (void)state;
    static const struct {
        struct expectation expect;
        struct partition_account account;
        bool met;
    } rows[] = {
        {{EXPECT_EXIT_CODE, 7, FAULT_NONE}, {.state = PARTITION_EXITED, .exit_code = 7}, true},
        {{EXPECT_EXIT_CODE, 7, FAULT_NONE}, {.state = PARTITION_EXITED, .exit_code = 8}, false},
        {{EXPECT_EXIT_CODE, 0, FAULT_NONE}, {.state = PARTITION_RUNNING}, false},
        {{EXPECT_EXIT_CODE, 0, FAULT_NONE}, {.state = PARTITION_FAULTED, .fault = FAULT_HALTED}, false},
        {{EXPECT_EXIT_ANY, 0, FAULT_NONE}, {.state = PARTITION_EXITED, .exit_code = 9}, true},
        {{EXPECT_EXIT_ANY, 0, FAULT_NONE}, {.state = PARTITION_EXITED, .verdicts_failed = 1}, false},
        {{EXPECT_EXIT_ANY, 0, FAULT_NONE}, {.state = PARTITION_FAULTED, .fault = FAULT_HALTED}, false},
        {{EXPECT_FAULT_ANY, 0, FAULT_NONE}, {.state = PARTITION_FAULTED, .fault = FAULT_HALTED}, true},
        {{EXPECT_FAULT_ANY, 0, FAULT_NONE}, {.state = PARTITION_FAULTED, .fault = FAULT_STOPPED}, false},
        {{EXPECT_FAULT_ANY, 0, FAULT_NONE}, {.state = PARTITION_EXITED, .fault = FAULT_HALTED}, false},
        {{EXPECT_FAULT, 0, FAULT_STOPPED}, {.state = PARTITION_FAULTED, .fault = FAULT_STOPPED}, true},
        {{EXPECT_FAULT, 0, FAULT_HALTED}, {.state = PARTITION_FAULTED, .fault = FAULT_HALTED}, true},
        {{EXPECT_FAULT, 0, FAULT_HALTED}, {.state = PARTITION_FAULTED, .fault = FAULT_WATCHDOG}, false},
        {{EXPECT_RUNNING, 0, FAULT_NONE}, {.state = PARTITION_RUNNING}, true},
        {{EXPECT_RUNNING, 0, FAULT_NONE}, {.state = PARTITION_EXITED}, false},
        {{EXPECT_RUNNING, 0, FAULT_NONE}, {.state = PARTITION_RUNNING, .verdicts_failed = 1}, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (expectation_met(&rows[i].expect, &rows[i].account) != rows[i].met)
            fail_msg("row %zu", i);
}

static void test_region_counts(void **state)
{
    (void)state;
    make_world(3, 1, 1);
    accounts[0] = (struct partition_account){.state = PARTITION_EXITED, .exit_code = 255};
    accounts[1] = (struct partition_account){.state = PARTITION_RUNNING};
    accounts[2] = (struct partition_account){.state = PARTITION_FAULTED, .fault = FAULT_HALTED};
    struct region_counts counts = region_count(&view);
    assert_int_equal(counts.partitions, 3);
    assert_int_equal(counts.exited, 1);
    assert_int_equal(counts.running, 1);
    assert_int_equal(counts.faulted, 1);
    assert_int_equal(counts.met, 2); /* 1 should have exited */
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(partition_state_name(PARTITION_FAULTED), "faulted");
    assert_string_equal(partition_state_name(PARTITION_STATE_COUNT), "unknown");
    assert_string_equal(partition_state_name((enum partition_state) - 1), "unknown");
    assert_string_equal(exit_reason_key(10), "cpuid");
    assert_string_equal(exit_reason_name(48), "EPT violation");
    assert_string_equal(exit_reason_key(UINT32_MAX), "other");
    for (uint32_t i = 0; i < EXIT_REASON_LIMIT; i++) {
        bool unused = i == 35 || i == 38 || i == 42 || i == 71 || i == EXIT_REASON_LIMIT - 1;
        assert_int_equal(strcmp(exit_reason_key(i), "other") == 0, unused);
        assert_int_equal(strcmp(exit_reason_name(i), "unknown exit reason") == 0, unused);
        for (uint32_t k = 0; k < i && !unused; k++)
            assert_string_not_equal(exit_reason_key(i), exit_reason_key(k));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_panic_ends_an_open_line),
        cmocka_unit_test(test_every_event_matches_the_schema),
        cmocka_unit_test(test_counts_beyond_the_arrays_are_cut),
        cmocka_unit_test(test_damage_is_found),
        cmocka_unit_test(test_cut_streams),
        cmocka_unit_test(test_registers_of_a_capsule),
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_region_counts),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
