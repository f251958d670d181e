/*
 * The audit over the tables the hypervisor has built: clean as they come, and each kind of rot, planted in a
 * live table, is found, counted and told in words. It changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest/abi.h"
#include "host_tests/fakes/rig.h"
#include "hv/audit.h"
#include "hv/paging.h"
#include "hv/vmx/absent.h"

#define TEXT_VA   UINT64_C(0xffffffff80000000)
#define DATA_VA   UINT64_C(0xffffffff80400000)
#define DIRECT_VA UINT64_C(0xffff800001000000)
#define STACK_VA  UINT64_C(0xffffff0000001000)
#define ENTRY     UINT64_C(0x000ffffffffff000)

static hpa_t root, text, data;

static void map(uint64_t va, hpa_t frame, uint64_t bytes, uint32_t flags)
{
    assert_int_equal(paging_map(root, &memory_frames, va, frame, bytes, flags), PAGING_OK);
}

/* Two partitions, and page tables of the hypervisor like those that boot/ builds. */
static void region(void)
{
    rig_begin(2, 1, 6 * MIB);
    rig_finish();
    root = memory_frame(memory_need(FRAME_BYTES));
    fake_set_root(root);
    text = memory_frame(memory_need(8 * FRAME_BYTES));
    data = memory_frame(memory_need(8 * FRAME_BYTES));
    map(TEXT_VA, text, 8 * FRAME_BYTES, PAGE_EXECUTE);
    map(DATA_VA, data, 8 * FRAME_BYTES, PAGE_WRITE);
    map(DIRECT_VA, data, 8 * FRAME_BYTES, PAGE_WRITE);
    map(DIRECT_VA + MIB, text, 8 * FRAME_BYTES, 0); /* readable elsewhere: no harm */
    map(STACK_VA, data, 4 * FRAME_BYTES, PAGE_WRITE);
}

static struct audit_result run(void)
{
    struct audit_result result;
    memset(&result, 0xa5, sizeof(result));
    audit_run(&result);
    return result;
}

static void expect_clean(void)
{
    struct audit_result result = run();
    assert_string_equal(result.first, "");
    assert_int_equal(audit_violations(&result), 0);
}

static void clean_as_built(void **state)
{
    (void)state;
    region();
    struct audit_result result = run();
    assert_string_equal(result.first, "");
    assert_int_equal(audit_violations(&result), 0);
    assert_int_equal(result.pages_checked, 8 * 4 + 4);
    assert_int_equal(result.frames_checked, 2 * 6 * MIB / FRAME_BYTES);
}

/* It looks, it does not touch. */
static void changes_nothing(void **state)
{
    (void)state;
    region();
    static uint8_t before[FAKE_POOL_END - FAKE_POOL_START];
    memcpy(before, fake_ram(FAKE_POOL_START), sizeof(before));
    run();
    assert_memory_equal(before, fake_ram(FAKE_POOL_START), sizeof(before));
}

static void clean_while_a_hole_is_open(void **state)
{
    (void)state;
    region();
    struct vcpu *vcpu = partitions[1]->vcpus[0];
    rig_on(vcpu);
    vmx_vcpu_start(vcpu);
    absent_open(vcpu, gpa(FH_HOLE_START + 0x3000), true, false);
    expect_clean();
    absent_close(vcpu);
    expect_clean();
}

/* ---- our own tables */

static uint64_t *page_entry(uint64_t va)
{
    uint64_t *entry = paging_entry(root, &memory_frames, va, PAGING_LEVEL_PT);
    assert_non_null(entry);
    return entry;
}

static void writable_and_executable(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        region();
        *page_entry(TEXT_VA + i * FRAME_BYTES) |= PAGING_ENTRY_WRITE;
        struct audit_result result = run();
        assert_true(result.writable_executable >= 1);
        assert_non_null(strstr(result.first, "is writable and executable"));
        region();
        *page_entry(DATA_VA + i * FRAME_BYTES) &= ~PAGING_ENTRY_NX;
        result = run();
        assert_true(result.writable_executable >= 1);
        assert_non_null(strstr(result.first, "is writable and executable"));
        assert_int_equal(result.frames_shared + result.frames_foreign + result.tables_foreign, 0);
    }
}

/* The same text through a second, writable address. */
static void writable_alias_of_text(void **state)
{
    (void)state;
    static const uint64_t at[] = {UINT64_C(0xfffffd0000000000), STACK_VA + 16 * FRAME_BYTES, 0x7000};
    for (uint32_t i = 0; i < ARRAY_SIZE(at); i++) {
        region();
        map(at[i], hpa(text.value + i * 3 * FRAME_BYTES), FRAME_BYTES, PAGE_WRITE);
        struct audit_result result = run();
        assert_int_equal(result.writable_executable, 1);
        assert_non_null(strstr(result.first, "makes executable frame"));
    }
    region(); /* a large page over it, too */
    map(UINT64_C(0xfffffd0000000000), hpa(align_down(text.value, PAGE_2M)), PAGE_2M, PAGE_WRITE);
    assert_int_equal(run().writable_executable, 1);
    assert_non_null(strstr(run().first, "makes executable frame"));
}

static void too_many_executable_extents(void **state)
{
    (void)state;
    region();
    for (uint64_t i = 0; i < 20; i++)
        map(UINT64_C(0xfffffd0000000000) + i * 2 * FRAME_BYTES,
            hpa(memory_frame(memory_need(2 * FRAME_BYTES)).value), FRAME_BYTES, PAGE_EXECUTE);
    struct audit_result result = run();
    assert_int_equal(result.writable_executable, 4 + 8); /* 16 are kept; then the text, page by page */
    assert_non_null(strstr(result.first, "more executable extents"));
}

/* ---- the partitions' */

/* The lowest entry for an address in a partition's second-stage tables. */
static uint64_t *ept_entry(const struct partition *partition, uint64_t address)
{
    uint64_t table = partition->ept.root.value;
    for (unsigned shift = 39;; shift -= 9) {
        uint64_t *entry = (uint64_t *)fake_ram(table) + (address >> shift & 511);
        assert_int_not_equal(*entry & 7, 0);
        if (shift == 12 || (*entry & 0x80) != 0)
            return entry;
        table = *entry & ENTRY;
    }
}

static void plant(const struct partition *partition, uint64_t address, uint64_t frame)
{
    uint64_t *entry = ept_entry(partition, address);
    *entry = (*entry & ~ENTRY) | frame;
}

static void another_tenants_frame(void **state)
{
    (void)state;
    region();
    plant(partitions[0], 2 * MIB, partitions[1]->ranges[0].hpa + 2 * MIB);
    struct audit_result result = run();
    assert_int_equal(result.frames_shared, 1);
    assert_int_equal(result.frames_foreign, 0);
    assert_non_null(strstr(result.first, "p0 reaches frame"));
    assert_non_null(strstr(result.first, "at guest-physical 200000"));
}

static void the_hypervisors_frame(void **state)
{
    (void)state;
    region();
    plant(partitions[1], 0, FAKE_POOL_START);
    struct audit_result result = run();
    assert_int_equal(result.frames_foreign, 1);
    assert_int_equal(result.frames_shared, 0);
    assert_non_null(strstr(result.first, "p1 reaches frame 1000000, owned by 1,"));
}

static void nobodys_frame(void **state)
{
    (void)state;
    static const uint64_t frames[] = {8 * GIB, 64 * GIB}; /* free; not even there */
    for (uint32_t i = 0; i < ARRAY_SIZE(frames); i++) {
        region();
        plant(partitions[1], 4 * MIB, frames[i]);
        struct audit_result result = run();
        assert_int_equal(result.frames_foreign, 1);
        assert_non_null(strstr(result.first, "owned by 0,"));
    }
}

/* A large page that begins in its own memory and ends in another's. */
static void page_over_the_edge(void **state)
{
    (void)state;
    region();
    uint64_t *pdpt = fake_ram(*(uint64_t *)fake_ram(partitions[0]->ept.root.value) & ENTRY);
    pdpt[2] = align_down(partitions[0]->ranges[0].hpa, PAGE_1G) | 0x80 | EPT_RWX | EPT_WB << 3;
    struct audit_result result = run();
    assert_int_equal(result.frames_foreign, 1); /* it begins in its own, so nobody else's name is told */
    assert_int_equal(result.frames_shared, 0);
}

/* The page of ones of one partition, in the hole of the other. */
static void anothers_page_of_ones(void **state)
{
    (void)state;
    region();
    partitions[0]->hole.table[9] = partitions[1]->hole.scratch_frame.value | EPT_READ;
    struct audit_result result = run();
    assert_int_equal(result.frames_foreign, 1);
    assert_non_null(strstr(result.first, "p0 reaches frame"));
}

static void table_in_a_tenants_frame(void **state)
{
    (void)state;
    region();
    uint64_t *top = fake_ram(partitions[0]->ept.root.value);
    uint64_t stolen = partitions[0]->ranges[0].hpa + 5 * MIB;
    memcpy(fake_ram(stolen), fake_ram(*top & ENTRY), FRAME_BYTES);
    *top = (*top & ~ENTRY) | stolen;
    struct audit_result result = run();
    assert_int_equal(result.tables_foreign, 1);
    assert_int_equal(result.frames_shared + result.frames_foreign, 0);
    assert_non_null(strstr(result.first, "a table of p0 lies in frame"));
}

/* Everything at once: all are counted, the first is the one that is told. */
static void several(void **state)
{
    (void)state;
    region();
    plant(partitions[0], 2 * MIB, partitions[1]->ranges[0].hpa);
    plant(partitions[0], 4 * MIB, partitions[1]->ranges[0].hpa);
    plant(partitions[1], 0, FAKE_POOL_START);
    *page_entry(DATA_VA) &= ~PAGING_ENTRY_NX;
    struct audit_result result = run();
    assert_int_equal(result.frames_shared, 2);
    assert_int_equal(result.frames_foreign, 1);
    assert_true(result.writable_executable > 0);
    assert_int_equal(audit_violations(&result), 3 + result.writable_executable);
    assert_non_null(strstr(result.first, "is writable and executable"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_as_built),
        cmocka_unit_test(changes_nothing),
        cmocka_unit_test(clean_while_a_hole_is_open),
        cmocka_unit_test(writable_and_executable),
        cmocka_unit_test(writable_alias_of_text),
        cmocka_unit_test(too_many_executable_extents),
        cmocka_unit_test(another_tenants_frame),
        cmocka_unit_test(the_hypervisors_frame),
        cmocka_unit_test(nobodys_frame),
        cmocka_unit_test(page_over_the_edge),
        cmocka_unit_test(anothers_page_of_ones),
        cmocka_unit_test(table_in_a_tenants_frame),
        cmocka_unit_test(several),
    };
    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
