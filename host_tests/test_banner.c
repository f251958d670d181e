/* What people read: exact texts of a small region, hostile and extreme data, and the form every line must
 * have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hv/banner.h"
#include "hv/fmt.h"

static char shown[1 << 18];
static uint32_t shown_lines;

static void collect(void *context, const char *text)
{
    assert_ptr_equal(context, shown);
    size_t length = strlen(text);
    assert_true(length < BANNER_LINE_BYTES);
    for (size_t i = 0; i < length; i++)
        assert_true(text[i] >= ' ' && text[i] <= '~');
    assert_true(length == 0 || text[length - 1] != ' ');
    assert_true(strlen(shown) + length + 2 < sizeof(shown));
    strcat(shown, text);
    strcat(shown, "\n");
    shown_lines++;
}

static void clear(void)
{
    shown[0] = '\0';
    shown_lines = 0;
}

static void assert_shown(const char *expect)
{
    assert_string_equal(shown, expect);
    clear();
}

static void test_counts(void **state)
{
    (void)state;
    static const struct {
        uint64_t count;
        const char *text;
    } rows[] = {
        {0, "0"},
        {99999, "99999"},
        {100000, "100.0k"},
        {999949, "999.9k"},
        {999999, "999.9k"},
        {1000000, "1.0M"},
        {1234567, "1.2M"},
        {999999999, "999.9M"},
        {1000000000, "1.0G"},
        {UINT64_C(1000000000000), "1.0T"},
        {UINT64_C(1000000000000000), "1.0P"},
        {UINT64_C(1000000000000000000), "1.0E"},
        {UINT64_MAX, "18.4E"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[24];
        banner_count(rows[i].count, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

static struct machine machine;

static void test_machine(void **state)
{
    (void)state;
    static const char *const features[] = {"EPT", "VPID", "unrestricted guest"};
    memset(&machine, 0, sizeof(machine));
    machine.core_count = 4;
    machine.package_count = 1;
    machine.tsc_hz = 2999999999;
    strcpy(machine.cpu_name, "Some CPU \x1b[2J");
    for (uint32_t i = 0; i < 4; i++)
        machine.cores[i] = (struct core_desc){i, 0, (uint16_t)(i / 2), (uint16_t)(i % 2), ZONE_UNKNOWN};
    machine.map.count = 3;
    machine.map.ranges[0] = (struct memmap_range){0, 255 * MIB, MEMMAP_FREE, 0, 0};
    machine.map.ranges[1] = (struct memmap_range){255 * MIB, 256 * MIB, MEMMAP_HYPERVISOR, 0, 0};
    machine.map.ranges[2] = (struct memmap_range){GIB, 2 * GIB, MEMMAP_FIRMWARE, 0, 0};
    clear();
    banner_machine(&machine, "north", "built in", collect, shown);
    banner_features(features, ARRAY_SIZE(features), collect, shown);
    assert_shown("Freehold, region north\n"
                 "  processor  Some CPU ?[2J, TSC at 2999 MHz\n"
                 "  cores      4 logical processors, 2 physical cores, 1 package\n"
                 "  memory     256 MiB: 255 MiB free, 1 MiB Freehold\n"
                 "  plan from  built in\n"
                 "  VT-x       EPT, VPID, unrestricted guest\n");
}

static void test_long_feature_lists_are_wrapped(void **state)
{
    (void)state;
    const char *features[40];
    for (size_t i = 0; i < ARRAY_SIZE(features); i++)
        features[i] = "a feature with a name";
    clear();
    banner_features(features, ARRAY_SIZE(features), collect, shown);
    assert_true(shown_lines >= 10);
    for (const char *at = shown; *at != '\0'; at = strchr(at, '\n') + 1)
        assert_true(strchr(at, '\n') - at <= 100);
    clear();
    banner_features(features, 0, collect, shown);
    assert_shown("  VT-x\n");
}

static void test_fault(void **state)
{
    (void)state;
    struct crash_capsule capsule = {
        .reason = FAULT_EPT_VIOLATION,
        .vcpu = 1,
        .core = 3,
        .exit_reason = 48,
        .qualification = 0x181,
        .guest_physical = 0x40000000,
        .guest_linear = 0xffff800040000000,
        .interruption_info = 0,
        .idt_vectoring_info = 0x80000b0e,
        .rip = 0x100200,
        .cs = 8,
        .tsc = 5000,
        .last_count = 2,
        .last = {{10, 0x100100, 3000}, {48, 0x100200, 4990}},
    };
    capsule.gpr[RAX] = 1;
    capsule.gpr[R15] = UINT64_MAX;
    strcpy(capsule.detail, "read of 0x40000000");
    clear();
    banner_fault("a", &capsule, true, collect, shown);
    assert_shown(
        "partition a: contained, ept-violation: the guest touched memory outside its slice; it starts again\n"
        "  read of 0x40000000\n"
        "  vCPU 1 on core 3; last exit: EPT violation: read of guest-physical 0x40000000, for linear "
        "0xffff800040000000, which is not mapped, while delivering exception 14 (#PF)\n"
        "  reason 0x30, qualification 0x181, guest physical 0x40000000, linear 0xffff800040000000; "
        "interruption 0x0, IDT vectoring 0x80000b0e\n"
        "     rax 0000000000000001     rbx 0000000000000000     rcx 0000000000000000     rdx "
        "0000000000000000\n"
        "     rsi 0000000000000000     rdi 0000000000000000     rbp 0000000000000000     rsp "
        "0000000000000000\n"
        "      r8 0000000000000000      r9 0000000000000000     r10 0000000000000000     r11 "
        "0000000000000000\n"
        "     r12 0000000000000000     r13 0000000000000000     r14 0000000000000000     r15 "
        "ffffffffffffffff\n"
        "     rip 0000000000100200  rflags 0000000000000000     cr0 0000000000000000     cr2 "
        "0000000000000000\n"
        "     cr3 0000000000000000     cr4 0000000000000000    efer 0000000000000000      cs 0008\n"
        "      ss 0000      ds 0000      es 0000      tr 0000\n"
        "  last exits, oldest first (ticks before the end):\n"
        "          2000  rip 0000000000100100  CPUID\n"
        "            10  rip 0000000000100200  EPT violation\n");
}

static void test_audit(void **state)
{
    (void)state;
    struct audit_result good = {.pages_checked = 100, .frames_checked = 5};
    struct audit_result bad = {100, 1, 5, 2, 0, 0, "page 0xffff800000001000"};
    clear();
    banner_audit(&good, collect, shown);
    assert_shown(
        "audit: 100 pages of the hypervisor and 5 frames of partitions checked: all as it must be\n");
    banner_audit(&bad, collect, shown);
    assert_shown(
        "audit: 100 pages of the hypervisor and 5 frames of partitions checked: 3 VIOLATIONS\n"
        "audit: writable and executable 1, shared 2, foreign frames 0, foreign tables 0; first: page "
        "0xffff800000001000\n");
}

static struct config config;
static struct plan plan;
static struct partition_account accounts[CONFIG_MAX_PARTITIONS];
static struct region_view view;

static void add_partition(const char *name, struct expectation expect, struct partition_account account)
{
    uint32_t i = config.partition_count++;
    strcpy(config.partitions[i].name, name);
    strcpy(config.partitions[i].tenant, "acme");
    config.partitions[i].expect = expect;
    plan.partitions[i].vcpu_count = 2;
    accounts[i] = account;
    view.accounts[i] = &accounts[i];
}

static void make_region(void)
{
    memset(&config, 0, sizeof(config));
    memset(&plan, 0, sizeof(plan));
    view = (struct region_view){.config = &config, .plan = &plan};
    strcpy(config.region, "north");
    clear();
}

static void make_small_region(void)
{
    make_region();
    add_partition("web", (struct expectation){EXPECT_EXIT_CODE, 0, FAULT_NONE},
                  (struct partition_account){.state = PARTITION_EXITED,
                                             .progress = {3, 4, 100},
                                             .ticks_run = 123456789,
                                             .ticks_serviced = 950,
                                             .verdicts_passed = 2,
                                             .exits = {[10] = {10, 950}, [18] = {3, 600}}});
    add_partition(
        "attacker-1", (struct expectation){EXPECT_FAULT, 0, FAULT_EPT_VIOLATION},
        (struct partition_account){.state = PARTITION_FAULTED, .fault = FAULT_TRIPLE_FAULT, .restarts = 3});
}

static void test_status(void **state)
{
    (void)state;
    make_small_region();
    banner_status(&view, collect, shown);
    assert_shown("  partition   tenant  state                  restarts  progress  ticks run  exits\n"
                 "  web         acme    exited 0                      0         7     123.4M     13\n"
                 "  attacker-1  acme    faulted: triple-fault         3         0          0      0\n");
}

static void test_report(void **state)
{
    (void)state;
    make_small_region();
    view.dropped_records = 1;
    banner_report(&view, collect, shown);
    assert_shown("report of region north\n"
                 "  partition   ended as               expected             met  restarts  progress  passed  "
                 "ticks run  ticks "
                 "served  exits\n"
                 "  web         exited 0               exit:0               yes         0         7     2/2  "
                 "   123.4M "
                 "          950     13\n"
                 "  attacker-1  faulted: triple-fault  fault:ept-violation  NO          3         0     0/0  "
                 "        0 "
                 "            0      0\n"
                 "exits by reason, with the ticks that one took on average:\n"
                 "  web: cpuid 10 x 95, vmcall 3 x 200\n"
                 "  attacker-1: none\n"
                 "1 record of guests got lost on the way\n"
                 "1 of 2 partitions met what was expected: NOT ALL\n");
}

static void test_only_the_most_frequent_exits_are_shown(void **state)
{
    (void)state;
    make_region();
    add_partition("a", (struct expectation){EXPECT_RUNNING, 0, FAULT_NONE},
                  (struct partition_account){.state = PARTITION_RUNNING});
    for (uint32_t i = 0; i < 9; i++)
        accounts[0].exits[10 + i] = (struct exit_count){i + 1, 0};
    banner_report(&view, collect, shown);
    assert_non_null(strstr(
        shown, "  a: vmcall 9 x 0, rsm 8 x 0, rdtsc 7 x 0, rdpmc 6 x 0, invlpg 5 x 0, invd 4 x 0, ...\n"));
    assert_non_null(strstr(shown, "1 of 1 partition met what was expected\n"));
}

static void test_extremes(void **state)
{
    (void)state;
    make_region();
    config.partition_count = UINT32_MAX;
    memset(config.region, 0xFF, sizeof(config.region));
    for (uint32_t i = 0; i < CONFIG_MAX_PARTITIONS; i++) {
        memset(&config.partitions[i], 0xFF, sizeof(config.partitions[i])); /* no string ends */
        memset(&accounts[i], 0xFF, sizeof(accounts[i]));
        config.partitions[i].expect = (struct expectation){EXPECT_FAULT, 0, FAULT_EPT_MISCONFIG};
        accounts[i].state = PARTITION_FAULTED;
        accounts[i].fault = FAULT_EPT_MISCONFIG;
        plan.partitions[i].vcpu_count = UINT32_MAX;
        view.accounts[i] = &accounts[i];
    }
    banner_status(&view, collect, shown);
    banner_report(&view, collect, shown);
    assert_true(shown_lines > 3 * CONFIG_MAX_PARTITIONS);
    static struct crash_capsule capsule;
    memset(&capsule, 0xFF, sizeof(capsule));
    capsule.reason = FAULT_REASON_COUNT;
    clear();
    banner_fault("x", &capsule, false, collect, shown);
    struct audit_result audit;
    memset(&audit, 0xFF, sizeof(audit));
    banner_audit(&audit, collect, shown);
    make_region();
    banner_report(&view, collect, shown);
    assert_non_null(strstr(shown, "0 of 0 partitions met what was expected\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_machine),
        cmocka_unit_test(test_long_feature_lists_are_wrapped),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_audit),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_only_the_most_frequent_exits_are_shown),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
