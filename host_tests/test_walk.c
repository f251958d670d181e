/*
 * Guest page walks against a naive walker written mode by mode from the manual, over random hostile tables,
 * and each fault by example.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/random.h"
#include "hv/walk.h"
#include "hv/x86.h"

#define PAGES 16 /* of guest RAM, from 0 */

static _Alignas(8) uint8_t ram[PAGES * FRAME_BYTES];
static unsigned reads;

static bool read_ram(void *context, gpa_t from, void *to, uint64_t bytes)
{
    assert_ptr_equal(context, ram);
    assert_true(bytes == 4 || bytes == 8);
    assert_true(is_aligned(from.value, bytes));
    assert_true(reads < 4);
    reads++;
    if (from.value >= sizeof(ram) || bytes > sizeof(ram) - from.value)
        return false;
    memcpy(to, ram + from.value, bytes);
    return true;
}

static uint64_t word(uint64_t at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, ram + at, bytes);
    return value;
}

/* ---------------------------------------------------------------------------------------- the naive model */

struct outcome {
    enum walk_status status;
    uint64_t gpa;
    uint64_t page_bytes;
    uint32_t error_code;
};

struct way {
    bool user, write, execute;
};

static bool naive_permits(const struct walk_state *s, struct walk_access a, struct way w)
{
    bool wp = (s->cr0 & CR0_WP) != 0, smep = (s->cr4 & CR4_SMEP) != 0, smap = (s->cr4 & CR4_SMAP) != 0;
    bool ac = (s->rflags & RFLAGS_AC) != 0;
    if (a.user) {
        switch (a.kind) {
        case WALK_READ:
            return w.user;
        case WALK_WRITE:
            return w.user && w.write;
        case WALK_FETCH:
            return w.user && w.execute;
        }
    }
    if (!w.user) {
        switch (a.kind) {
        case WALK_READ:
            return true;
        case WALK_WRITE:
            return !wp || w.write;
        case WALK_FETCH:
            return w.execute;
        }
    }
    bool may_touch = !smap || (ac && !a.implicit);
    switch (a.kind) {
    case WALK_READ:
        return may_touch;
    case WALK_WRITE:
        return may_touch && (!wp || w.write);
    case WALK_FETCH:
        return !smep && w.execute;
    }
    return false;
}

static struct outcome page_fault(const struct walk_state *s, struct walk_access a, bool present,
                                 bool reserved)
{
    bool fetch_bit = a.kind == WALK_FETCH &&
                     ((s->cr4 & CR4_SMEP) != 0 || ((s->cr4 & CR4_PAE) != 0 && (s->efer & EFER_NXE) != 0));
    return (struct outcome){.status = WALK_PAGE_FAULT,
                            .error_code = (uint32_t)present | (a.kind == WALK_WRITE ? 2u : 0) |
                                          (a.user ? 4u : 0) | (reserved ? 8u : 0) | (fetch_bit ? 16u : 0)};
}

static struct outcome finish(const struct walk_state *s, struct walk_access a, struct way w, uint64_t base,
                             uint64_t page_bytes, uint64_t address)
{
    if (!naive_permits(s, a, w))
        return page_fault(s, a, true, false);
    return (struct outcome){WALK_OK, base + address % page_bytes, page_bytes, 0};
}

static struct outcome naive_32(const struct walk_state *s, uint64_t address, struct walk_access a)
{
    uint64_t at = (s->cr3 & 0xfffff000) + (address >> 22) * 4;
    if (at >= sizeof(ram))
        return (struct outcome){.status = WALK_UNREACHABLE, .gpa = at};
    uint64_t pde = word(at, 4);
    if ((pde & 1) == 0)
        return page_fault(s, a, false, false);
    struct way w = {(pde & 4) != 0, (pde & 2) != 0, true};
    if ((pde & 0x80) != 0 && (s->cr4 & CR4_PSE) != 0) {
        unsigned m = s->physical_bits < 40 ? s->physical_bits : 40;
        for (unsigned bit = 21; bit >= m - 19; bit--)
            if ((pde >> bit & 1) != 0)
                return page_fault(s, a, true, true);
        return finish(s, a, w, (pde & 0xffc00000) + ((pde >> 13 & 0xff) << 32), 0x400000, address);
    }
    at = (pde & 0xfffff000) + (address >> 12 & 1023) * 4;
    if (at >= sizeof(ram))
        return (struct outcome){.status = WALK_UNREACHABLE, .gpa = at};
    uint64_t pte = word(at, 4);
    if ((pte & 1) == 0)
        return page_fault(s, a, false, false);
    w.user = w.user && (pte & 4) != 0;
    w.write = w.write && (pte & 2) != 0;
    return finish(s, a, w, pte & 0xfffff000, 0x1000, address);
}

/* From a page-directory-pointer or PML4 table down; level 4, or 2 with PAE paging. */
static struct outcome naive_8(const struct walk_state *s, uint64_t table, int level, uint64_t address,
                              struct walk_access a)
{
    struct way w = {true, true, true};
    bool pae = level == 2;
    for (;; level--) {
        int shift = 12 + 9 * (level - 1);
        uint64_t at = table + (address >> shift & 511) * 8;
        if (at >= sizeof(ram))
            return (struct outcome){.status = WALK_UNREACHABLE, .gpa = at};
        uint64_t entry = word(at, 8);
        if ((entry & 1) == 0)
            return page_fault(s, a, false, false);
        bool ps = (entry & 0x80) != 0, wrong = false;
        for (unsigned bit = s->physical_bits; bit < (pae ? 63 : 52); bit++)
            wrong = wrong || (entry >> bit & 1) != 0;
        wrong = wrong || ((entry >> 63) != 0 && (s->efer & EFER_NXE) == 0);
        wrong = wrong || (level == 4 && ps) || (level == 3 && ps && !s->pages_1g);
        wrong = wrong || (level == 3 && ps && (entry & 0x3fffe000) != 0);
        wrong = wrong || (level == 2 && ps && (entry & 0x001fe000) != 0);
        if (wrong)
            return page_fault(s, a, true, true);
        w.user = w.user && (entry & 4) != 0;
        w.write = w.write && (entry & 2) != 0;
        w.execute = w.execute && (entry >> 63) == 0;
        table = entry & UINT64_C(0xffffffffff000);
        if (level == 1 || ps) {
            uint64_t page = UINT64_C(1) << shift;
            return finish(s, a, w, table / page * page, page, address);
        }
    }
}

static struct outcome naive(const struct walk_state *s, uint64_t address, struct walk_access a)
{
    uint64_t hidden = CR4_PKE | CR4_PKS | CR4_CET;
    if ((s->efer & EFER_LMA) != 0) {
        uint64_t top = address >> 47;
        if ((s->cr4 & (hidden | CR4_LA57)) != 0)
            return (struct outcome){.status = WALK_UNSUPPORTED};
        if (top != 0 && top != 0x1ffff)
            return (struct outcome){.status = WALK_NOT_CANONICAL};
        return naive_8(s, s->cr3 & UINT64_C(0xffffffffff000), 4, address, a);
    }
    address &= 0xffffffff;
    if ((s->cr0 & CR0_PG) == 0)
        return (struct outcome){WALK_OK, address, 0x1000, 0};
    if ((s->cr4 & hidden) != 0)
        return (struct outcome){.status = WALK_UNSUPPORTED};
    if ((s->cr4 & CR4_PAE) == 0)
        return naive_32(s, address, a);
    uint64_t pdpte = s->pdpte[address >> 30];
    if ((pdpte & 1) == 0)
        return page_fault(s, a, false, false);
    return naive_8(s, pdpte & UINT64_C(0xffffffffff000), 2, address, a);
}

/* ------------------------------------------------------------------------------------------ random walks */

static enum walk_status translate(const struct walk_state *state, uint64_t address, struct walk_access access,
                                  struct walk_result *result)
{
    reads = 0;
    return walk_translate(state, address, access, result);
}

static enum walk_status check(const struct walk_state *state, uint64_t address, struct walk_access access)
{
    struct walk_result result;
    struct outcome expected = naive(state, address, access);
    enum walk_status status = translate(state, address, access, &result);
    assert_int_equal(status, expected.status);
    if (status == WALK_OK || status == WALK_UNREACHABLE)
        assert_int_equal(result.gpa.value, expected.gpa);
    assert_int_equal(result.page_bytes, expected.page_bytes);
    assert_int_equal(result.error_code, expected.error_code);
    return status;
}

/* An entry that often leads on, and is often permissive, so that walks get deep. */
static uint64_t random_entry(struct random *random)
{
    uint64_t entry = FRAME_BYTES * random_below(random, PAGES + (random_one_in(random, 20) ? 4 : 0)) | 7;
    if (random_one_in(random, 6))
        entry |= 0x80;
    if (random_one_in(random, 4))
        entry &= ~(UINT64_C(1) << random_below(random, 3));
    if (random_one_in(random, 5))
        entry |= UINT64_C(1) << 63;
    if (random_one_in(random, 10))
        entry |= UINT64_C(1) << random_below(random, 64);
    if (random_one_in(random, 30))
        entry = random_u64(random);
    return entry;
}

static void fill_ram(struct random *random, unsigned entry_bytes)
{
    for (uint64_t at = 0; at < sizeof(ram); at += entry_bytes) {
        uint64_t entry = random_entry(random);
        memcpy(ram + at, &entry, entry_bytes);
    }
}

static struct walk_state random_state(struct random *random)
{
    static const uint8_t widths[] = {32, 36, 39, 40, 46, 52};
    struct walk_state state = {
        .cr0 = CR0_PE | (random_one_in(random, 2) ? CR0_WP : 0) | (random_one_in(random, 20) ? 0 : CR0_PG),
        .cr3 = FRAME_BYTES * random_below(random, PAGES) | random_below(random, 0x1000),
        .cr4 = (random_one_in(random, 2) ? CR4_SMEP : 0) | (random_one_in(random, 2) ? CR4_SMAP : 0) |
               (random_one_in(random, 2) ? CR4_PSE : 0) | (random_one_in(random, 3) ? 0 : CR4_PAE) |
               (random_one_in(random, 60) ? CR4_PKE : 0) | (random_one_in(random, 60) ? CR4_LA57 : 0),
        .efer = random_one_in(random, 2) ? EFER_NXE : 0,
        .rflags = random_one_in(random, 2) ? RFLAGS_AC : 0,
        .physical_bits = widths[random_below(random, ARRAY_SIZE(widths))],
        .pages_1g = random_one_in(random, 2),
        .read = read_ram,
        .context = ram,
    };
    for (int i = 0; i < 4; i++)
        state.pdpte[i] = FRAME_BYTES * random_below(random, PAGES) | !random_one_in(random, 5);
    if ((state.cr4 & CR4_PAE) != 0 && random_one_in(random, 2)) {
        state.efer |= EFER_LMA | EFER_LME;
        state.cr0 |= CR0_PG;
    }
    return state;
}

static uint64_t random_address(struct random *random)
{
    uint64_t address = random_u64(random);
    if (random_one_in(random, 40))
        return address;
    return (uint64_t)((int64_t)(address << 16) >> 16);
}

static void random_tables_agree_with_the_naive_walker(void **state)
{
    (void)state;
    unsigned seen[WALK_UNSUPPORTED + 1] = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random random = {seed};
        fill_ram(&random, seed % 3 == 0 ? 4 : 8);
        for (int i = 0; i < 300; i++) {
            struct walk_state walk = random_state(&random);
            struct walk_access access = {(enum walk_kind)random_below(&random, 3), random_one_in(&random, 2),
                                         random_one_in(&random, 8)};
            seen[check(&walk, random_address(&random), access)]++;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
        assert_true(seen[i] > 300);
    assert_true(seen[WALK_OK] > 10000);
}

/* -------------------------------------------------------------------------------------------- by example */

#define P 1u
#define W 2u
#define U 4u
#define L UINT64_C(0x80)
#define X (UINT64_C(1) << 63)

static const struct walk_access reading = {WALK_READ, false, false}, writing = {WALK_WRITE, false, false},
                                fetching = {WALK_FETCH, false, false},
                                user_reading = {WALK_READ, true, false},
                                user_writing = {WALK_WRITE, true, false},
                                user_fetching = {WALK_FETCH, true, false}, gdt = {WALK_READ, false, true};

static void put(uint64_t at, uint64_t entry)
{
    memcpy(ram + at, &entry, sizeof(entry));
}

/* 4-level tables at pages 1 to 4 with one 4 KiB page at 0x7000; the leaf's entry is given. */
static struct walk_state long_mode(uint64_t leaf)
{
    memset(ram, 0, sizeof(ram));
    put(0x1000, 0x2000 | P | W | U);
    put(0x2000, 0x3000 | P | W | U);
    put(0x3000, 0x4000 | P | W | U);
    put(0x4000, leaf);
    return (struct walk_state){.cr0 = CR0_PG | CR0_PE | CR0_WP,
                               .cr3 = 0x1000,
                               .cr4 = CR4_PAE,
                               .efer = EFER_LMA | EFER_NXE,
                               .physical_bits = 46,
                               .pages_1g = true,
                               .read = read_ram,
                               .context = ram};
}

static void expect(const struct walk_state *state, struct walk_access access, bool allowed, uint32_t error)
{
    struct walk_result result;
    enum walk_status status = translate(state, 0x123, access, &result);
    assert_int_equal(status, allowed ? WALK_OK : WALK_PAGE_FAULT);
    if (allowed)
        assert_int_equal(result.gpa.value, 0x7123);
    else
        assert_int_equal(result.error_code, error);
    assert_int_equal(reads, 4);
}

static void each_refusal_has_its_error_code(void **state)
{
    (void)state;
    struct walk_state s = long_mode(0x7000 | W | U); /* not present */
    expect(&s, reading, false, 0);
    expect(&s, writing, false, 2);
    expect(&s, user_reading, false, 4);
    expect(&s, user_fetching, false, 4 | 16);
    s = long_mode(0x7000 | P | W | U | UINT64_C(1) << 46); /* a reserved bit */
    expect(&s, reading, false, 1 | 8);
    expect(&s, user_writing, false, 1 | 2 | 4 | 8);
    s = long_mode(0x7000 | P | W | U | UINT64_C(1) << 45 | UINT64_C(1) << 52); /* none: address and ignored */
    s.physical_bits = 52;
    struct walk_result result;
    assert_int_equal(translate(&s, 0, reading, &result), WALK_OK);

    s = long_mode(0x7000 | P | W | U | X);
    expect(&s, reading, true, 0);
    expect(&s, fetching, false, 1 | 16);
    s.efer &= ~EFER_NXE; /* the bit is reserved then, and no fetch is told apart */
    expect(&s, fetching, false, 1 | 8);
    s.cr4 |= CR4_SMEP;
    expect(&s, fetching, false, 1 | 8 | 16);
}

static void supervisor_and_user_are_told_apart(void **state)
{
    (void)state;
    struct walk_state s = long_mode(0x7000 | P | W); /* the supervisor's */
    expect(&s, writing, true, 0);
    expect(&s, user_reading, false, 1 | 4);
    s = long_mode(0x7000 | P | U); /* the user's, read only */
    expect(&s, user_reading, true, 0);
    expect(&s, user_writing, false, 1 | 2 | 4);
    expect(&s, user_fetching, true, 0);
    expect(&s, reading, true, 0);
    expect(&s, writing, false, 1 | 2);
    s.cr0 &= ~CR0_WP;
    expect(&s, writing, true, 0);
    expect(&s, user_writing, false, 1 | 2 | 4);
    expect(&s, fetching, true, 0);
    s.cr4 |= CR4_SMEP;
    expect(&s, fetching, false, 1 | 16);
    expect(&s, user_fetching, true, 0);
    s.cr4 |= CR4_SMAP;
    expect(&s, reading, false, 1);
    expect(&s, writing, false, 1 | 2);
    expect(&s, user_reading, true, 0);
    s.rflags |= RFLAGS_AC;
    expect(&s, reading, true, 0);
    expect(&s, writing, true, 0);
    expect(&s, gdt, false, 1);
    expect(&s, fetching, false, 1 | 16);
}

static void large_pages_reach_to_their_end(void **state)
{
    (void)state;
    struct walk_result result;
    struct walk_state s = long_mode(0);
    put(0x2000 + 8, 0x80000000 | P | L);
    put(0x3000 + 16, 0x00600000 | P | L | 0x1000); /* the PAT bit is no address bit */
    assert_int_equal(translate(&s, GIB + 0x12345678, reading, &result), WALK_OK);
    assert_int_equal(result.gpa.value, 0x80000000 + 0x12345678);
    assert_int_equal(result.page_bytes, GIB);
    assert_int_equal(reads, 2);
    assert_int_equal(translate(&s, 2 * PAGE_2M + 0x54321, reading, &result), WALK_OK);
    assert_int_equal(result.gpa.value, 0x600000 + 0x54321);
    assert_int_equal(result.page_bytes, PAGE_2M);
    s.pages_1g = false;
    assert_int_equal(translate(&s, GIB, reading, &result), WALK_PAGE_FAULT);
    assert_int_equal(result.error_code, 1 | 8);

    /* 4 MiB, with the address bits above 32 where PSE-36 has them. */
    s = (struct walk_state){.cr0 = CR0_PG | CR0_PE,
                            .cr3 = 0x1000,
                            .cr4 = CR4_PSE,
                            .physical_bits = 36,
                            .read = read_ram,
                            .context = ram};
    put(0x1000, 0x00800000 | 0x5 << 13 | L | P);
    assert_int_equal(translate(&s, 0x3fffff, reading, &result), WALK_OK);
    assert_int_equal(result.gpa.value, 5 * 4 * GIB + 0xbfffff);
    assert_int_equal(result.page_bytes, 4 * MIB);
    put(0x1000, 0x00800000 | 1 << 17 | L | P);
    assert_int_equal(translate(&s, 0, reading, &result), WALK_PAGE_FAULT);
    assert_int_equal(result.error_code, 1 | 8);
}

static void what_cannot_be_walked_is_named(void **state)
{
    (void)state;
    struct walk_result result;
    struct walk_state s = long_mode(0x7000 | P);
    assert_int_equal(translate(&s, UINT64_C(1) << 47, reading, &result), WALK_NOT_CANONICAL);
    assert_int_equal(translate(&s, UINT64_C(0xffff7fffffffffff), reading, &result), WALK_NOT_CANONICAL);
    assert_int_equal(translate(&s, UINT64_C(0xffff800000000000), reading, &result), WALK_PAGE_FAULT);
    assert_int_equal(translate(&s, UINT64_C(0x00007fffffffffff), reading, &result), WALK_PAGE_FAULT);
    put(0x3000, 0xfffff000 | P | W);
    assert_int_equal(translate(&s, 0, reading, &result), WALK_UNREACHABLE);
    assert_int_equal(result.gpa.value, 0xfffff000);
    s.cr4 |= CR4_LA57;
    assert_int_equal(translate(&s, 0, reading, &result), WALK_UNSUPPORTED);
    assert_int_equal(reads, 0);
    s.cr0 = CR0_PE;
    s.efer = 0;
    assert_int_equal(translate(&s, UINT64_C(0x1234567890), writing, &result), WALK_OK);
    assert_int_equal(result.gpa.value, 0x34567890);
}

/* The last entry of a 32-bit table at the end of RAM: four bytes are read, not eight. */
static void the_last_entry_of_ram_can_be_read(void **state)
{
    (void)state;
    struct walk_result result;
    struct walk_state s = {.cr0 = CR0_PG | CR0_PE,
                           .cr3 = sizeof(ram) - FRAME_BYTES,
                           .cr4 = CR4_PSE,
                           .physical_bits = 36,
                           .read = read_ram,
                           .context = ram};
    const uint32_t entry = 0x00400000 | L | P;
    memcpy(ram + sizeof(ram) - 4, &entry, sizeof(entry));
    assert_int_equal(translate(&s, 0xfffffff0, reading, &result), WALK_OK);
    assert_int_equal(result.gpa.value, 0x7ffff0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_tables_agree_with_the_naive_walker),
        cmocka_unit_test(each_refusal_has_its_error_code),
        cmocka_unit_test(supervisor_and_user_are_told_apart),
        cmocka_unit_test(large_pages_reach_to_their_end),
        cmocka_unit_test(what_cannot_be_walked_is_named),
        cmocka_unit_test(the_last_entry_of_ram_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
