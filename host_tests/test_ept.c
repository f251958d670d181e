/*
 * Second-stage tables against a model (a list of what was mapped) and an independent page walker that knows
 * only the manual's format, over memory that can run dry at any point.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/ept.h"
#include "host_tests/support/fake_frames.h"
#include "host_tests/support/random.h"

#define GUEST_LIMIT (UINT64_C(1) << 48)

static struct fake_frames fake;

/* ------------------------------------------------------------------- the walker, by the manual alone */

struct walked {
    bool present;
    uint64_t hpa; /* of the address itself */
    uint64_t page_bytes;
    unsigned permissions;
    unsigned type;
};

/* Fails the test on whatever the processor would call a misconfiguration. */
static struct walked walk(const struct ept *ept, uint64_t address)
{
    uint64_t table = ept->root.value;
    for (int shift = 39;; shift -= 9) {
        const uint64_t *words = fake_frames_at(&fake, table);
        assert_non_null(words);
        uint64_t entry = words[address >> shift & 511];
        if ((entry & 7) == 0)
            return (struct walked){.present = false};
        assert_true((entry & 7) != 2 && (entry & 7) != 6);
        bool leaf = shift == 12 || (entry >> 7 & 1) != 0;
        uint64_t base = entry & UINT64_C(0xffffffffff000);
        assert_int_equal(entry >> 52, 0);
        if (leaf) {
            assert_int_equal(entry >> 7 & 1, shift > 12);
            assert_true(shift < 39);
            uint64_t page = UINT64_C(1) << shift;
            assert_int_equal(base % page, 0);
            assert_int_equal(entry >> 6 & 1, 0);
            return (struct walked){true, base + address % page, page, entry & 7, entry >> 3 & 7};
        }
        assert_int_equal(entry & 7, 7);
        assert_int_equal(entry >> 3 & 0x1f, 0);
        table = base;
    }
}

/* ------------------------------------------------------------------------------- the model: pieces */

#define MAX_PIECES 256

struct model {
    size_t count;
    struct ept_mapping pieces[MAX_PIECES];
};

static const struct ept_mapping *model_find(const struct model *model, uint64_t address)
{
    for (size_t i = 0; i < model->count; i++)
        if (address - model->pieces[i].gpa.value < model->pieces[i].bytes)
            return &model->pieces[i];
    return NULL;
}

static bool model_overlaps(const struct model *model, uint64_t start, uint64_t bytes)
{
    for (size_t i = 0; i < model->count; i++) {
        uint64_t other = model->pieces[i].gpa.value;
        if (start < other + model->pieces[i].bytes && other < start + bytes)
            return true;
    }
    return false;
}

static void model_cut(struct model *model, uint64_t start, uint64_t bytes)
{
    for (size_t i = model->count; i-- > 0;) {
        struct ept_mapping piece = model->pieces[i];
        uint64_t end = piece.gpa.value + piece.bytes;
        if (start + bytes <= piece.gpa.value || end <= start)
            continue;
        model->pieces[i] = model->pieces[--model->count];
        if (piece.gpa.value < start) {
            model->pieces[model->count] = piece;
            model->pieces[model->count++].bytes = start - piece.gpa.value;
        }
        if (start + bytes < end) {
            uint64_t skipped = start + bytes - piece.gpa.value;
            model->pieces[model->count] = piece;
            model->pieces[model->count].gpa.value += skipped;
            model->pieces[model->count].hpa.value += skipped;
            model->pieces[model->count++].bytes = end - (start + bytes);
        }
    }
}

/* One address: the walker, the model and ept_walk agree. */
static void check_address(const struct ept *ept, const struct model *model, uint64_t address)
{
    struct walked walked = walk(ept, address);
    const struct ept_mapping *piece = model_find(model, address);
    struct ept_leaf leaf;
    assert_int_equal(walked.present, piece != NULL);
    assert_int_equal(ept_walk(ept, gpa(address), &leaf), piece != NULL);
    if (piece == NULL)
        return;
    assert_int_equal(walked.hpa, piece->hpa.value + (address - piece->gpa.value));
    assert_int_equal(walked.permissions, piece->permissions);
    assert_int_equal(walked.type, piece->type);
    assert_int_equal(leaf.gpa.value, align_down(address, walked.page_bytes));
    assert_int_equal(leaf.hpa.value, align_down(walked.hpa, walked.page_bytes));
    assert_int_equal(leaf.bytes, walked.page_bytes);
    assert_int_equal(leaf.permissions, walked.permissions);
    assert_int_equal(leaf.type, walked.type);
}

struct listing {
    const struct ept *ept;
    const struct model *model;
    uint64_t last_end;
    uint64_t bytes;
    size_t leaves;
    size_t stop_after;
};

static bool list_leaf(void *context, const struct ept_leaf *leaf)
{
    struct listing *listing = context;
    assert_true(leaf->gpa.value >= listing->last_end);
    check_address(listing->ept, listing->model, leaf->gpa.value + leaf->bytes - 1);
    listing->last_end = leaf->gpa.value + leaf->bytes;
    listing->bytes += leaf->bytes;
    return ++listing->leaves != listing->stop_after;
}

struct table_listing {
    size_t count;
    size_t stop_after;
    uint64_t first;
    bool seen[FAKE_FRAMES];
};

static bool list_table(void *context, hpa_t table)
{
    struct table_listing *listing = context;
    size_t i = (table.value - FAKE_BASE) / FRAME_BYTES;
    assert_non_null(fake_frames_at(&fake, table.value));
    assert_false(listing->seen[i]);
    listing->seen[i] = true;
    if (listing->count == 0)
        listing->first = table.value;
    return ++listing->count != listing->stop_after;
}

/* The whole table: every edge of every piece, every leaf, every table frame. */
static void check_all(const struct ept *ept, const struct model *model)
{
    struct listing listing = {.ept = ept, .model = model};
    uint64_t bytes = 0;
    for (size_t i = 0; i < model->count; i++) {
        uint64_t start = model->pieces[i].gpa.value, end = start + model->pieces[i].bytes;
        check_address(ept, model, start);
        check_address(ept, model, end - 1);
        if (start > 0)
            check_address(ept, model, start - 1);
        if (end < GUEST_LIMIT)
            check_address(ept, model, end);
        bytes += end - start;
    }
    ept_each(ept, list_leaf, &listing);
    assert_int_equal(listing.bytes, bytes);
    struct table_listing tables = {0};
    ept_each_table(ept, list_table, &tables);
    assert_int_equal(tables.count, ept->table_count);
    assert_int_equal(tables.count, fake.taken);
    assert_int_equal(tables.first, ept->root.value);
}

/* ------------------------------------------------------------------------------------ random layouts */

static const uint64_t regions[] = {0, 3 * GIB, 512 * GIB - GIB, GUEST_LIMIT - 4 * GIB};

static uint64_t random_size(struct random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return FRAME_BYTES * (1 + random_below(random, 40));
    case 1:
        return PAGE_2M * (1 + random_below(random, 20));
    case 2:
        return PAGE_2M * random_below(random, 3) + FRAME_BYTES * (1 + random_below(random, 1100));
    default:
        return PAGE_1G * random_below(random, 3) + PAGE_2M * (1 + random_below(random, 40));
    }
}

static struct ept_mapping random_mapping(struct random *random)
{
    static const unsigned permissions[] = {EPT_RWX, EPT_READ, EPT_READ | EPT_WRITE, EPT_READ | EPT_EXECUTE,
                                           EPT_EXECUTE};
    static const enum ept_memory_type types[] = {EPT_UC, EPT_WC, EPT_WT, EPT_WP, EPT_WB};
    static const uint64_t grains[] = {FRAME_BYTES, PAGE_2M, PAGE_1G};
    uint64_t bytes = random_size(random), grain = grains[random_below(random, 3)];
    uint64_t offset = align_down(random_below(random, 4 * GIB - bytes), grain);
    uint64_t host = align_down(random_below(random, UINT64_C(1) << 44), PAGE_1G);
    struct ept_mapping mapping = {
        .gpa = gpa(regions[random_below(random, ARRAY_SIZE(regions))] + offset),
        .bytes = bytes,
        .permissions = permissions[random_below(random, ARRAY_SIZE(permissions))],
        .type = types[random_below(random, ARRAY_SIZE(types))],
    };
    /* Large ones differ from the guest's side by 2 MiB at least, lest they take a million leaves. */
    if (random_one_in(random, 2))
        host += mapping.gpa.value % PAGE_1G;
    else if (bytes > 16 * MIB || random_one_in(random, 2))
        host += mapping.gpa.value % PAGE_2M + PAGE_2M * random_below(random, 512);
    else
        host += FRAME_BYTES * random_below(random, PAGE_1G / FRAME_BYTES);
    mapping.hpa = hpa(host);
    return mapping;
}

/* What unmapping must say, from the walker alone. */
static enum ept_status expected_unmap(const struct ept *ept, uint64_t start, uint64_t bytes)
{
    for (uint64_t address = start; address < start + bytes;) {
        struct walked walked = walk(ept, address);
        if (!walked.present)
            return EPT_E_UNMAPPED;
        if (address % walked.page_bytes != 0 || start + bytes - address < walked.page_bytes)
            return EPT_E_ARGUMENT;
        address += walked.page_bytes;
    }
    return EPT_OK;
}

/* Runs as the builder asks for a frame: whatever it has prepared so far is valid and translates as before. */
struct watch {
    const struct ept *ept;
    const struct model *model;
    struct ept_mapping attempt;
};

static void nothing_has_changed_yet(void *context)
{
    const struct watch *watch = context;
    check_address(watch->ept, watch->model, watch->attempt.gpa.value);
    check_address(watch->ept, watch->model, watch->attempt.gpa.value + watch->attempt.bytes - 1);
    check_address(watch->ept, watch->model, watch->attempt.gpa.value + watch->attempt.bytes / 2);
}

static void random_map(struct random *random, struct ept *ept, struct model *model)
{
    struct watch watch = {ept, model, random_mapping(random)};
    if (!ept->pages_2m || !ept->pages_1g)
        watch.attempt.bytes = min_u64(watch.attempt.bytes, ept->pages_2m ? GIB : 6 * MIB);
    bool overlaps = model_overlaps(model, watch.attempt.gpa.value, watch.attempt.bytes);
    bool dry = random_one_in(random, 4);
    uint32_t tables_before = ept->table_count;
    fake.limit = dry ? fake.taken + random_below(random, 3) : FAKE_FRAMES;
    fake.before_take = nothing_has_changed_yet;
    fake.hook_context = &watch;
    enum ept_status status = ept_map(ept, watch.attempt);
    fake.before_take = NULL;
    fake.limit = FAKE_FRAMES;
    if (overlaps) {
        assert_int_equal(status, EPT_E_MAPPED);
        assert_int_equal(ept->table_count, tables_before);
    } else if (status != EPT_OK) {
        assert_true(dry);
        assert_int_equal(status, EPT_E_NO_FRAME);
    } else {
        model->pieces[model->count++] = watch.attempt;
    }
}

static void random_unmap(struct random *random, struct ept *ept, struct model *model)
{
    if (model->count == 0)
        return;
    struct ept_mapping piece = model->pieces[random_below(random, model->count)];
    uint64_t start = piece.gpa.value, bytes = piece.bytes;
    if (random_one_in(random, 2)) {
        uint64_t skip =
            align_down(random_below(random, bytes), random_one_in(random, 2) ? PAGE_2M : FRAME_BYTES);
        start += skip;
        bytes -= skip;
    }
    if (random_one_in(random, 3))
        bytes = FRAME_BYTES * (1 + random_below(random, bytes / FRAME_BYTES));
    if (random_one_in(random, 6) && start + bytes + FRAME_BYTES <= GUEST_LIMIT)
        bytes += FRAME_BYTES;
    enum ept_status expected = expected_unmap(ept, start, bytes);
    assert_int_equal(ept_unmap(ept, gpa(start), bytes), expected);
    if (expected == EPT_OK)
        model_cut(model, start, bytes);
}

static void random_layouts_agree_with_the_walker(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct random random = {seed};
        static struct model model;
        struct ept ept;
        model.count = 0;
        fake_frames_init(&fake);
        bool pages_2m = !random_one_in(&random, 5);
        assert_int_equal(ept_init(&ept, &fake.source, pages_2m, pages_2m && !random_one_in(&random, 3)),
                         EPT_OK);
        for (int step = 0; step < 30 && model.count < MAX_PIECES / 2; step++) {
            if (random_one_in(&random, 3))
                random_unmap(&random, &ept, &model);
            else
                random_map(&random, &ept, &model);
            if (step % 8 == 0)
                check_all(&ept, &model);
        }
        check_all(&ept, &model);
        ept_destroy(&ept);
        assert_int_equal(fake.taken, 0);
    }
}

static void running_dry_at_any_point_changes_no_translation(void **state)
{
    (void)state;
    /* 1 GiB leaves, 2 MiB leaves and 4 KiB leaves on both sides of a 512 GiB boundary: seven tables. */
    const struct ept_mapping mapping = {gpa(509 * GIB - 3 * FRAME_BYTES), hpa(9 * GIB - 3 * FRAME_BYTES),
                                        5 * GIB + PAGE_2M + 5 * FRAME_BYTES, EPT_RWX, EPT_WB};
    static struct model nothing = {.count = 0}, mapped;
    mapped.count = 1;
    mapped.pieces[0] = mapping;
    for (uint64_t frames = 0;; frames++) {
        struct ept ept;
        fake_frames_init(&fake);
        fake.limit = frames;
        enum ept_status status = ept_init(&ept, &fake.source, true, true);
        if (frames == 0) {
            assert_int_equal(status, EPT_E_NO_FRAME);
            continue;
        }
        assert_int_equal(status, EPT_OK);
        struct watch watch = {&ept, &nothing, mapping};
        fake.before_take = nothing_has_changed_yet;
        fake.hook_context = &watch;
        status = ept_map(&ept, mapping);
        fake.before_take = NULL;
        check_all(&ept, status == EPT_OK ? &mapped : &nothing);
        if (status == EPT_OK) {
            assert_int_equal(frames, 7);
            return;
        }
        assert_int_equal(status, EPT_E_NO_FRAME);
        /* With frames again, it works after all. */
        fake.limit = FAKE_FRAMES;
        assert_int_equal(ept_map(&ept, mapping), EPT_OK);
        check_all(&ept, &mapped);
        ept_destroy(&ept);
        assert_int_equal(fake.taken, 0);
    }
}

/* -------------------------------------------------------------------------------------- by example */

static size_t leaves_of(bool pages_2m, bool pages_1g, uint64_t guest, uint64_t host, uint64_t bytes)
{
    struct ept ept;
    struct ept_mapping mapping = {gpa(guest), hpa(host), bytes, EPT_RWX, EPT_WB};
    struct model model = {1, {mapping}};
    struct listing listing = {.ept = &ept, .model = &model};
    fake_frames_init(&fake);
    assert_int_equal(ept_init(&ept, &fake.source, pages_2m, pages_1g), EPT_OK);
    assert_int_equal(ept_map(&ept, mapping), EPT_OK);
    ept_each(&ept, list_leaf, &listing);
    assert_int_equal(listing.bytes, bytes);
    ept_destroy(&ept);
    return listing.leaves;
}

static void leaves_are_as_few_as_alignment_allows(void **state)
{
    (void)state;
    assert_int_equal(leaves_of(true, true, 0, 0, 4 * GIB), 4);
    assert_int_equal(leaves_of(true, true, 4 * GIB, 7 * GIB, 3 * GIB), 3);
    assert_int_equal(leaves_of(true, true, 0, 0, 1024 * GIB), 1024);
    assert_int_equal(leaves_of(true, false, 0, 0, GIB), 512);
    assert_int_equal(leaves_of(false, false, 0, 0, PAGE_2M), 512);
    assert_int_equal(leaves_of(false, true, 0, 0, GIB + PAGE_2M), 1 + 512);
    assert_int_equal(leaves_of(true, true, 0, PAGE_2M, GIB), 512);
    assert_int_equal(leaves_of(true, true, PAGE_2M, PAGE_2M, 2 * GIB), 511 + 1 + 1);
    assert_int_equal(leaves_of(true, true, 0, FRAME_BYTES, PAGE_2M), 512);
    assert_int_equal(leaves_of(true, true, FRAME_BYTES, FRAME_BYTES, 2 * PAGE_2M), 511 + 1 + 1);
    assert_int_equal(leaves_of(true, true, 0, 0, PAGE_2M - FRAME_BYTES), 511);
    assert_int_equal(leaves_of(true, true, GUEST_LIMIT - GIB, PHYSICAL_LIMIT - GIB, GIB), 1);
}

static void an_empty_table_in_the_way_means_smaller_leaves(void **state)
{
    (void)state;
    struct ept ept;
    struct ept_mapping small = {gpa(GIB), hpa(GIB), FRAME_BYTES, EPT_RWX, EPT_WB};
    struct ept_mapping large = {gpa(GIB), hpa(GIB), GIB, EPT_RWX, EPT_WB};
    fake_frames_init(&fake);
    assert_int_equal(ept_init(&ept, &fake.source, true, true), EPT_OK);
    assert_int_equal(ept_map(&ept, small), EPT_OK);
    assert_int_equal(ept_map(&ept, large), EPT_E_MAPPED);
    assert_int_equal(ept_unmap(&ept, gpa(GIB), FRAME_BYTES), EPT_OK);
    assert_int_equal(ept_map(&ept, large), EPT_OK);
    struct model model = {1, {large}};
    struct listing listing = {.ept = &ept, .model = &model};
    ept_each(&ept, list_leaf, &listing);
    assert_int_equal(listing.leaves, 512 + 511);
    check_all(&ept, &model);
}

static void wrong_mappings_are_refused(void **state)
{
    (void)state;
    const struct ept_mapping wrong[] = {
        {gpa(0), hpa(0), 0, EPT_RWX, EPT_WB},
        {gpa(1), hpa(0), FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(0), hpa(0x800), FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(0), hpa(0), FRAME_BYTES + 1, EPT_RWX, EPT_WB},
        {gpa(GUEST_LIMIT), hpa(0), FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(GUEST_LIMIT - FRAME_BYTES), hpa(0), 2 * FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(0 - FRAME_BYTES), hpa(0), 2 * FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(0), hpa(0), 0 - FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(0), hpa(PHYSICAL_LIMIT), FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(0), hpa(PHYSICAL_LIMIT - FRAME_BYTES), 2 * FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(0), hpa(0 - FRAME_BYTES), FRAME_BYTES, EPT_RWX, EPT_WB},
        {gpa(0), hpa(0), FRAME_BYTES, 0, EPT_WB},
        {gpa(0), hpa(0), FRAME_BYTES, EPT_WRITE, EPT_WB},
        {gpa(0), hpa(0), FRAME_BYTES, EPT_WRITE | EPT_EXECUTE, EPT_WB},
        {gpa(0), hpa(0), FRAME_BYTES, EPT_RWX | 8, EPT_WB},
        {gpa(0), hpa(0), FRAME_BYTES, EPT_RWX, (enum ept_memory_type)2},
        {gpa(0), hpa(0), FRAME_BYTES, EPT_RWX, (enum ept_memory_type)3},
        {gpa(0), hpa(0), FRAME_BYTES, EPT_RWX, (enum ept_memory_type)7},
        {gpa(0), hpa(0), FRAME_BYTES, EPT_RWX, (enum ept_memory_type)8},
    };
    struct ept ept;
    struct model nothing = {0};
    fake_frames_init(&fake);
    assert_int_equal(ept_init(&ept, &fake.source, true, true), EPT_OK);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(ept_map(&ept, wrong[i]), EPT_E_ARGUMENT);
    assert_int_equal(ept.table_count, 1);
    check_all(&ept, &nothing);
}

static void wrong_unmappings_change_nothing(void **state)
{
    (void)state;
    struct ept ept;
    struct ept_leaf leaf;
    struct ept_mapping mapping = {gpa(0), hpa(0), PAGE_2M + FRAME_BYTES, EPT_RWX, EPT_WB};
    struct model model = {1, {mapping}};
    fake_frames_init(&fake);
    assert_int_equal(ept_init(&ept, &fake.source, true, true), EPT_OK);
    assert_int_equal(ept_map(&ept, mapping), EPT_OK);
    assert_int_equal(ept_unmap(&ept, gpa(0), 0), EPT_E_ARGUMENT);
    assert_int_equal(ept_unmap(&ept, gpa(1), PAGE_2M), EPT_E_ARGUMENT);
    assert_int_equal(ept_unmap(&ept, gpa(0), PAGE_2M + 1), EPT_E_ARGUMENT);
    assert_int_equal(ept_unmap(&ept, gpa(0), PAGE_2M - FRAME_BYTES), EPT_E_ARGUMENT);
    assert_int_equal(ept_unmap(&ept, gpa(FRAME_BYTES), PAGE_2M), EPT_E_ARGUMENT);
    assert_int_equal(ept_unmap(&ept, gpa(0), PAGE_2M + 2 * FRAME_BYTES), EPT_E_UNMAPPED);
    assert_int_equal(ept_unmap(&ept, gpa(GUEST_LIMIT), FRAME_BYTES), EPT_E_ARGUMENT);
    assert_int_equal(ept_unmap(&ept, gpa(GUEST_LIMIT - FRAME_BYTES), 2 * FRAME_BYTES), EPT_E_ARGUMENT);
    assert_int_equal(ept_unmap(&ept, gpa(0), 0 - FRAME_BYTES), EPT_E_ARGUMENT);
    assert_int_equal(ept_unmap(&ept, gpa(GUEST_LIMIT - FRAME_BYTES), FRAME_BYTES), EPT_E_UNMAPPED);
    assert_int_equal(ept_unmap(&ept, gpa(0), GUEST_LIMIT), EPT_E_UNMAPPED);
    assert_false(ept_walk(&ept, gpa(GUEST_LIMIT), &leaf));
    assert_false(ept_walk(&ept, gpa(UINT64_MAX), &leaf));
    check_all(&ept, &model);
}

/* Absent hardware does this: a whole hole leads to one table. */
static void a_table_shared_by_neighbours_is_visited_once(void **state)
{
    (void)state;
    struct ept ept;
    struct ept_mapping mapping = {gpa(0), hpa(0), 2 * FRAME_BYTES, EPT_RWX, EPT_WB};
    struct ept_mapping beyond = {gpa(PAGE_1G), hpa(PAGE_1G), FRAME_BYTES, EPT_RWX, EPT_WB};
    struct model model = {2, {mapping, beyond}};
    fake_frames_init(&fake);
    assert_int_equal(ept_init(&ept, &fake.source, true, true), EPT_OK);
    assert_int_equal(ept_map(&ept, mapping), EPT_OK);
    assert_int_equal(ept_map(&ept, beyond), EPT_OK);
    const struct radix tree = {.root = ept.root, .source = ept.source, .present = EPT_RWX, .link = EPT_RWX};
    uint64_t *directory = radix_walk(&tree, 0, 2).entry;
    for (int i = 1; i < RADIX_ENTRIES; i++)
        directory[i] = directory[0];
    struct listing listing = {.ept = &ept, .model = &model};
    ept_each(&ept, list_leaf, &listing);
    assert_int_equal(listing.leaves, 3);
}

static void visits_stop_when_told(void **state)
{
    (void)state;
    struct ept ept;
    struct ept_mapping mapping = {gpa(0), hpa(0), 5 * FRAME_BYTES, EPT_RWX, EPT_WB};
    struct model model = {1, {mapping}};
    fake_frames_init(&fake);
    assert_int_equal(ept_init(&ept, &fake.source, true, true), EPT_OK);
    assert_int_equal(ept_map(&ept, mapping), EPT_OK);
    struct listing listing = {.ept = &ept, .model = &model, .stop_after = 3};
    ept_each(&ept, list_leaf, &listing);
    assert_int_equal(listing.leaves, 3);
    for (size_t stop = 1; stop <= 4; stop++) {
        struct table_listing tables = {.stop_after = stop};
        ept_each_table(&ept, list_table, &tables);
        assert_int_equal(tables.count, stop);
    }
}

static void tables_stay_inside_the_bound(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct random random = {seed};
        struct ept ept;
        uint32_t pieces = 1 + (uint32_t)random_below(&random, 8);
        uint64_t guest = 0, sum = 0;
        fake_frames_init(&fake);
        assert_int_equal(ept_init(&ept, &fake.source, true, random_one_in(&random, 2)), EPT_OK);
        for (uint32_t i = 0; i < pieces; i++) {
            uint64_t bytes = PAGE_2M * (1 + random_below(&random, random_one_in(&random, 2) ? 3 : 3000));
            /* Pieces that straddle a boundary are the costly ones. */
            guest += random_one_in(&random, 2) ? 0 : 510 * GIB - guest % (512 * GIB) % GIB + GIB - PAGE_2M;
            struct ept_mapping mapping = {gpa(guest), hpa(PAGE_2M * random_below(&random, 1 << 20)), bytes,
                                          EPT_RWX, EPT_WB};
            assert_int_equal(ept_map(&ept, mapping), EPT_OK);
            guest += bytes;
            sum += bytes;
        }
        assert_true(ept.table_count <= ept_tables_bound(sum, pieces));
    }
    /* One piece around a 512 GiB boundary takes all that the bound says. */
    struct ept ept;
    struct ept_mapping mapping = {gpa(512 * GIB - PAGE_2M), hpa(0), 2 * PAGE_2M, EPT_RWX, EPT_WB};
    fake_frames_init(&fake);
    assert_int_equal(ept_init(&ept, &fake.source, true, true), EPT_OK);
    assert_int_equal(ept_map(&ept, mapping), EPT_OK);
    assert_int_equal(ept.table_count, ept_tables_bound(2 * PAGE_2M, 1));
    assert_int_equal(ept_tables_bound(UINT64_C(24) << 40, 2), 1 + 48 + 4 + 24576 + 4);
}

static void the_pointer_names_the_walk(void **state)
{
    (void)state;
    struct ept ept;
    fake_frames_init(&fake);
    assert_int_equal(ept_init(&ept, &fake.source, true, true), EPT_OK);
    assert_int_equal(ept_pointer(&ept, false), ept.root.value + 0x1e);
    assert_int_equal(ept_pointer(&ept, true), ept.root.value + 0x5e);
}

static void a_source_that_takes_nothing_back_is_left_alone(void **state)
{
    (void)state;
    struct ept ept;
    fake_frames_init(&fake);
    fake.source.give = NULL;
    assert_int_equal(ept_init(&ept, &fake.source, true, true), EPT_OK);
    ept_destroy(&ept);
    assert_int_equal(fake.taken, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_layouts_agree_with_the_walker),
        cmocka_unit_test(running_dry_at_any_point_changes_no_translation),
        cmocka_unit_test(leaves_are_as_few_as_alignment_allows),
        cmocka_unit_test(an_empty_table_in_the_way_means_smaller_leaves),
        cmocka_unit_test(wrong_mappings_are_refused),
        cmocka_unit_test(wrong_unmappings_change_nothing),
        cmocka_unit_test(a_table_shared_by_neighbours_is_visited_once),
        cmocka_unit_test(visits_stop_when_told),
        cmocka_unit_test(tables_stay_inside_the_bound),
        cmocka_unit_test(the_pointer_names_the_walk),
        cmocka_unit_test(a_source_that_takes_nothing_back_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
