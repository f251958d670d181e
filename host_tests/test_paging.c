/* The hypervisor's own tables against a list of what was mapped and a walker that knows only the manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host_tests/support/fake_frames.h"
#include "host_tests/support/random.h"
#include "hv/paging.h"

#define UPPER      UINT64_C(0xffff800000000000)
#define LOWER_END  UINT64_C(0x0000800000000000)
#define MAX_PIECES 64

struct piece {
    uint64_t va;
    uint64_t hpa;
    uint64_t bytes;
    uint32_t flags;
};

static struct fake_frames fake;
static hpa_t root;
static struct piece pieces[MAX_PIECES];
static size_t piece_count;

static void begin(void)
{
    fake_frames_init(&fake);
    assert_true(fake.source.take(fake.source.context, &root));
    piece_count = 0;
}

static enum paging_status map(uint64_t va, uint64_t to, uint64_t bytes, uint32_t flags)
{
    return paging_map(root, &fake.source, va, hpa(to), bytes, flags);
}

static enum paging_status unmap(uint64_t va, uint64_t bytes)
{
    return paging_unmap(root, &fake.source, va, bytes);
}

static const struct piece *find(uint64_t va)
{
    for (size_t i = 0; i < piece_count; i++)
        if (va - pieces[i].va < pieces[i].bytes)
            return &pieces[i];
    return NULL;
}

/* The leaf entry for an address and the size of its page; 0 when not present. Supervisor, never global, and
 * nothing reserved anywhere on the way. */
static uint64_t walk(uint64_t va, uint64_t *page_bytes)
{
    uint64_t table = root.value;
    for (int shift = 39;; shift -= 9) {
        const uint64_t *words = fake_frames_at(&fake, table);
        assert_non_null(words);
        uint64_t entry = words[va >> shift & 511];
        if ((entry & 1) == 0)
            return 0;
        assert_int_equal(entry >> 2 & 1, 0); /* user */
        assert_int_equal(entry >> 8 & 1, 0); /* global */
        assert_int_equal(entry >> 52 & 0x7ff, 0);
        if (shift == 12 || (entry >> 7 & 1) != 0) {
            assert_true(shift < 39);
            assert_int_equal(entry >> 7 & 1, shift > 12); /* in a page table it would choose from the PAT */
            *page_bytes = UINT64_C(1) << shift;
            assert_int_equal((entry & UINT64_C(0xffffffffff000)) % *page_bytes, 0); /* PAT bit included */
            return entry;
        }
        assert_int_equal(entry & 0xfff, 3);
        assert_int_equal(entry >> 63, 0);
        table = entry & UINT64_C(0xffffffffff000);
    }
}

static void check_address(uint64_t va)
{
    uint64_t page_bytes = 1, entry = walk(va, &page_bytes);
    const struct piece *piece = find(va);
    struct paging_leaf leaf;
    assert_int_equal(entry != 0, piece != NULL);
    assert_int_equal(paging_walk(root, &fake.source, va, &leaf), piece != NULL);
    if (piece == NULL)
        return;
    bool write = (piece->flags & PAGE_WRITE) != 0, execute = (piece->flags & PAGE_EXECUTE) != 0;
    uint64_t base = entry & UINT64_C(0xffffffffff000);
    assert_int_equal(base + va % page_bytes, piece->hpa + (va - piece->va));
    assert_int_equal(entry >> 1 & 1, write);
    assert_int_equal(entry >> 63, !execute);
    unsigned type = (piece->flags & PAGE_UNCACHED) != 0 ? 3 : (piece->flags & PAGE_WRITE_COMBINING) != 0;
    assert_int_equal(entry >> 3 & 3, type);
    assert_int_equal(leaf.va, va / page_bytes * page_bytes);
    assert_int_equal(leaf.hpa.value, base);
    assert_int_equal(leaf.bytes, page_bytes);
    assert_int_equal(leaf.entry, entry);
    assert_true(leaf.writable == write && leaf.executable == execute && !leaf.user);
}

static uint64_t each_bytes, each_last;
static size_t each_count, each_stop;

static bool each_leaf(void *context, const struct paging_leaf *leaf)
{
    assert_ptr_equal(context, &each_bytes);
    assert_true(each_count == 0 || leaf->va > each_last);
    check_address(leaf->va);
    check_address(leaf->va + leaf->bytes - 1);
    each_last = leaf->va;
    each_bytes += leaf->bytes;
    return ++each_count != each_stop;
}

static void list(size_t stop)
{
    each_bytes = each_last = each_count = 0;
    each_stop = stop;
    paging_each(root, &fake.source, each_leaf, &each_bytes);
}

static void check_all(void)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < piece_count; i++) {
        check_address(pieces[i].va);
        check_address(pieces[i].va + pieces[i].bytes - 1);
        bytes += pieces[i].bytes;
    }
    list(0);
    assert_int_equal(each_bytes, bytes);
}

static struct piece random_piece(struct random *random)
{
    static const uint64_t areas[] = {0, LOWER_END - 4 * GIB, UPPER, UINT64_C(0xfffffffe80000000),
                                     UINT64_C(0xffffffff00000000)};
    static const uint64_t grains[] = {FRAME_BYTES, PAGE_2M, PAGE_1G};
    static const uint32_t rights[] = {0, PAGE_WRITE, PAGE_EXECUTE};
    static const uint32_t types[] = {0, PAGE_WRITE_COMBINING, PAGE_UNCACHED};
    uint64_t grain = grains[random_below(random, 3)];
    uint64_t bytes = grain * (1 + random_below(random, grain == PAGE_1G ? 2 : 600));
    uint64_t offset = align_down(random_below(random, 4 * GIB - bytes + 1), grain);
    uint64_t to = FRAME_BYTES * random_below(random, UINT64_C(1) << 30);
    if (grain > FRAME_BYTES)
        to = align_down(to, random_one_in(random, 2) ? PAGE_2M : PAGE_1G);
    return (struct piece){areas[random_below(random, ARRAY_SIZE(areas))] + offset, to, bytes,
                          rights[random_below(random, 3)] | types[random_below(random, 3)] |
                              (random_one_in(random, 2) ? PAGE_ALLOW_1G : 0)};
}

static bool overlaps(const struct piece *piece)
{
    for (size_t i = 0; i < piece_count; i++)
        if (piece->va < pieces[i].va + pieces[i].bytes && pieces[i].va < piece->va + piece->bytes)
            return true;
    return false;
}

static void random_step(struct random *random)
{
    if (piece_count > 0 && random_one_in(random, 3)) {
        size_t i = random_below(random, piece_count);
        assert_int_equal(unmap(pieces[i].va, pieces[i].bytes), PAGING_OK);
        assert_int_equal(unmap(pieces[i].va, pieces[i].bytes), PAGING_E_UNMAPPED);
        pieces[i] = pieces[--piece_count];
        return;
    }
    struct piece piece = random_piece(random);
    if (piece.va + piece.bytes == 0)
        piece.bytes -= FRAME_BYTES;
    if (piece.bytes == 0)
        return;
    bool dry = random_one_in(random, 4);
    fake.limit = dry ? fake.taken + random_below(random, 3) : FAKE_FRAMES;
    enum paging_status status = map(piece.va, piece.hpa, piece.bytes, piece.flags);
    fake.limit = FAKE_FRAMES;
    if (overlaps(&piece)) {
        assert_int_equal(status, PAGING_E_MAPPED);
    } else if (status != PAGING_OK) {
        assert_true(dry && status == PAGING_E_NO_FRAME);
    } else {
        pieces[piece_count++] = piece;
    }
}

static void random_layouts_agree_with_the_walker(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct random random = {seed};
        begin();
        for (int step = 0; step < 40; step++)
            random_step(&random);
        check_all();
    }
}

static void pages_are_as_large_as_alignment_and_flag_allow(void **state)
{
    (void)state;
    static const struct {
        uint64_t va, to, bytes;
        uint32_t flags;
        size_t leaves;
    } cases[] = {
        {UPPER, 0, 2 * GIB, PAGE_WRITE | PAGE_ALLOW_1G, 2},
        {UPPER, 0, GIB, PAGE_WRITE, 512},
        {UPPER, FRAME_BYTES, PAGE_2M, PAGE_ALLOW_1G, 512},
        {UPPER + PAGE_2M, PAGE_2M, PAGE_1G, PAGE_ALLOW_1G, 512},
        {0 - PAGE_1G, PAGE_1G, PAGE_1G, PAGE_ALLOW_1G, 1}, /* to the very end of the address space */
        {LOWER_END - PAGE_2M, 0, PAGE_2M, PAGE_EXECUTE, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        begin();
        pieces[piece_count++] = (struct piece){cases[i].va, cases[i].to, cases[i].bytes, cases[i].flags};
        assert_int_equal(map(cases[i].va, cases[i].to, cases[i].bytes, cases[i].flags), PAGING_OK);
        check_all();
        assert_int_equal(each_count, cases[i].leaves);
    }
}

static void wrong_mappings_are_refused(void **state)
{
    (void)state;
    static const struct piece wrong[] = {
        {UPPER, 0, FRAME_BYTES, PAGE_WRITE | PAGE_EXECUTE},
        {UPPER, 0, FRAME_BYTES, PAGE_WRITE | PAGE_EXECUTE | PAGE_UNCACHED},
        {UPPER, 0, FRAME_BYTES, PAGE_WRITE_COMBINING | PAGE_UNCACHED},
        {UPPER, 0, FRAME_BYTES, 1u << 5},
        {UPPER, 0, 0, 0},
        {UPPER + 1, 0, FRAME_BYTES, 0},
        {UPPER, 1, FRAME_BYTES, 0},
        {UPPER, 0, FRAME_BYTES - 1, 0},
        {LOWER_END, 0, FRAME_BYTES, 0},
        {UPPER - FRAME_BYTES, 0, 2 * FRAME_BYTES, 0},
        {LOWER_END - FRAME_BYTES, 0, 2 * FRAME_BYTES, 0},
        {0, 0, LOWER_END + FRAME_BYTES, 0},
        {0 - FRAME_BYTES, 0, 2 * FRAME_BYTES, 0},
        {UPPER, PHYSICAL_LIMIT, FRAME_BYTES, 0},
        {0, 0, 0 - FRAME_BYTES, 0},
        {UPPER, 0, 0 - FRAME_BYTES, 0},
    };
    begin();
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(map(wrong[i].va, wrong[i].hpa, wrong[i].bytes, wrong[i].flags), PAGING_E_ARGUMENT);
    assert_int_equal(fake.taken, 1);
    list(0);
    assert_int_equal(each_count, 0);
}

static void wrong_unmappings_change_nothing(void **state)
{
    (void)state;
    struct paging_leaf leaf;
    begin();
    pieces[piece_count++] = (struct piece){UPPER, 0, PAGE_2M + FRAME_BYTES, PAGE_WRITE};
    assert_int_equal(map(UPPER, 0, PAGE_2M + FRAME_BYTES, PAGE_WRITE), PAGING_OK);
    assert_int_equal(unmap(UPPER, FRAME_BYTES), PAGING_E_ARGUMENT);
    assert_int_equal(unmap(UPPER, PAGE_2M + 2 * FRAME_BYTES), PAGING_E_UNMAPPED);
    assert_int_equal(unmap(UPPER - FRAME_BYTES, FRAME_BYTES), PAGING_E_ARGUMENT);
    assert_int_equal(unmap(LOWER_END - FRAME_BYTES, 2 * FRAME_BYTES), PAGING_E_ARGUMENT);
    assert_int_equal(unmap(UPPER, 0), PAGING_E_ARGUMENT);
    assert_false(paging_walk(root, &fake.source, UPPER - 1, &leaf));
    assert_false(paging_walk(root, &fake.source, LOWER_END, &leaf));
    check_all();
}

static void an_entry_is_found_live(void **state)
{
    (void)state;
    begin();
    const uint64_t va = UPPER + GIB, bits = PAGING_ENTRY_PRESENT | PAGING_ENTRY_NX | PAGING_ENTRY_LARGE;
    assert_null(paging_entry(root, &fake.source, va, PAGING_LEVEL_PD));
    assert_non_null(paging_entry(root, &fake.source, va, PAGING_LEVEL_PML4));
    assert_int_equal(map(va, 0, PAGE_2M, 0), PAGING_OK);
    assert_int_equal(unmap(va, PAGE_2M), PAGING_OK);
    assert_null(paging_entry(root, &fake.source, va, PAGING_LEVEL_PT));
    assert_null(paging_entry(root, &fake.source, va, 0));
    assert_null(paging_entry(root, &fake.source, va, 5));
    assert_null(paging_entry(root, &fake.source, LOWER_END, PAGING_LEVEL_PML4));

    uint64_t *entry = paging_entry(root, &fake.source, va + PAGE_2M - 1, PAGING_LEVEL_PD);
    assert_non_null(entry);
    assert_int_equal(*entry, 0);
    *entry = 6 * PAGE_2M | bits;
    pieces[piece_count++] = (struct piece){va, 6 * PAGE_2M, PAGE_2M, 0};
    check_all();
    assert_null(paging_entry(root, &fake.source, va, PAGING_LEVEL_PT)); /* a leaf stands above */
}

/* What the audit relies on: a page that somebody made writable and executable, or the user's, is seen so. */
static void permissions_are_those_of_the_whole_path(void **state)
{
    (void)state;
    struct paging_leaf leaf;
    begin();
    assert_int_equal(map(UPPER, 0, FRAME_BYTES, PAGE_WRITE), PAGING_OK);
    uint64_t *pte = paging_entry(root, &fake.source, UPPER, PAGING_LEVEL_PT);
    uint64_t *pde = paging_entry(root, &fake.source, UPPER, PAGING_LEVEL_PD);
    *pte &= ~PAGING_ENTRY_NX;
    assert_true(paging_walk(root, &fake.source, UPPER, &leaf));
    assert_true(leaf.writable && leaf.executable);
    *pde |= PAGING_ENTRY_NX;
    assert_true(paging_walk(root, &fake.source, UPPER, &leaf));
    assert_false(leaf.executable);
    *pde &= ~PAGING_ENTRY_WRITE;
    *pte |= PAGING_ENTRY_USER;
    assert_true(paging_walk(root, &fake.source, UPPER, &leaf));
    assert_true(!leaf.writable && !leaf.user);
    for (unsigned level = PAGING_LEVEL_PT; level <= PAGING_LEVEL_PML4; level++)
        *paging_entry(root, &fake.source, UPPER, level) |= PAGING_ENTRY_USER;
    assert_true(paging_walk(root, &fake.source, UPPER, &leaf));
    assert_true(leaf.user);
}

static void a_visit_stops_when_told(void **state)
{
    (void)state;
    begin();
    pieces[piece_count++] = (struct piece){UPPER, FRAME_BYTES, 5 * FRAME_BYTES, 0};
    assert_int_equal(map(UPPER, FRAME_BYTES, 5 * FRAME_BYTES, 0), PAGING_OK);
    list(3);
    assert_int_equal(each_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_layouts_agree_with_the_walker),
        cmocka_unit_test(pages_are_as_large_as_alignment_and_flag_allow),
        cmocka_unit_test(wrong_mappings_are_refused),
        cmocka_unit_test(wrong_unmappings_change_nothing),
        cmocka_unit_test(an_entry_is_found_live),
        cmocka_unit_test(permissions_are_those_of_the_whole_path),
        cmocka_unit_test(a_visit_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
