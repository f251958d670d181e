/* The hypervisor's own ELF: every way in which it may be wrong is found, and random damage never gets
 * through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/hv_elf.h"
#include "host_tests/support/random.h"

#define FILE_BYTES  0x4000u
#define HEADERS     64u
#define HEADER_SIZE 56u

/* Offsets in the ELF header and in a program header. */
enum { TYPE = 16, MACHINE = 18, ENTRY = 24, PHOFF = 32, PHENTSIZE = 54, PHNUM = 56 };
enum { P_TYPE = 0, P_FLAGS = 4, P_OFFSET = 8, P_VADDR = 16, P_FILESZ = 32, P_MEMSZ = 40 };

static uint8_t *file; /* on the heap and exactly as long as it says, so that ASan sees a byte too many */
static struct hv_elf elf;

static void put(size_t offset, uint64_t value, size_t bytes)
{
    memcpy(file + offset, &value, bytes);
}

static void put_segment(uint32_t index, size_t field, uint64_t value, size_t bytes)
{
    put(HEADERS + index * HEADER_SIZE + field, value, bytes);
}

static void segment(uint32_t index, uint32_t flags, uint64_t vaddr, uint64_t offset, uint64_t file_bytes,
                    uint64_t memory_bytes)
{
    put_segment(index, P_TYPE, 1, 4);
    put_segment(index, P_FLAGS, flags, 4);
    put_segment(index, P_OFFSET, offset, 8);
    put_segment(index, P_VADDR, vaddr, 8);
    put_segment(index, P_FILESZ, file_bytes, 8);
    put_segment(index, P_MEMSZ, memory_bytes, 8);
}

static int sound_file(void **state)
{
    (void)state;
    free(file);
    file = calloc(1, FILE_BYTES);
    memcpy(file, "\177ELF\2\1\1", 7);
    put(TYPE, 2, 2);
    put(MACHINE, 62, 2);
    put(ENTRY, HV_IMAGE_BASE + 0x10, 8);
    put(PHOFF, HEADERS, 8);
    put(PHENTSIZE, HEADER_SIZE, 2);
    put(PHNUM, 4, 2);
    segment(0, 5, HV_IMAGE_BASE, 0x1000, 0x800, 0x800);
    segment(1, 4, HV_IMAGE_BASE + 0x1000, 0x2000, 0x100, 0x100);
    segment(2, 6, HV_IMAGE_BASE + 0x2000, 0x3000, 0x80, 0x2001);
    put_segment(3, P_TYPE, 0x6474e551, 4); /* PT_GNU_STACK: not loaded */
    return 0;
}

static int drop_file(void **state)
{
    (void)state;
    free(file);
    file = NULL;
    return 0;
}

static const char *read_it(void)
{
    return hv_elf_read(file, FILE_BYTES, &elf);
}

static void sound_file_is_read(void **state)
{
    (void)state;
    assert_null(read_it());
    assert_int_equal(elf.segment_count, 3);
    assert_int_equal(elf.entry, HV_IMAGE_BASE + 0x10);
    assert_int_equal(elf.image_bytes, 0x5000);
    assert_true(elf.segments[0].execute && !elf.segments[0].write);
    assert_true(!elf.segments[1].execute && !elf.segments[1].write);
    assert_true(!elf.segments[2].execute && elf.segments[2].write);
    assert_int_equal(elf.segments[2].image_offset, 0x2000);
    assert_int_equal(elf.segments[2].file_offset, 0x3000);
    assert_int_equal(elf.segments[2].memory_bytes, 0x2001);
}

struct damage {
    const char *expected; /* part of what is said */
    bool in_segment;      /* of segment 1, else in the header */
    size_t field;
    uint64_t value;
    size_t bytes;
};

static void each_damage_is_named(void **state)
{
    (void)state;
    static const struct damage damages[] = {
        {"not an executable", false, 0, 0x7f, 4},
        {"not an executable", false, 4, 1, 1}, /* 32-bit */
        {"not an executable", false, 5, 2, 1}, /* big-endian */
        {"not an executable", false, TYPE, 3, 2},
        {"not an executable", false, MACHINE, 3, 2},
        {"unknown size", false, PHENTSIZE, 55, 2},
        {"program headers beyond", false, PHOFF, FILE_BYTES - 100, 8},
        {"program headers beyond", false, PHOFF, UINT64_MAX, 8},
        {"program headers beyond", false, PHNUM, 0xFFFF, 2},
        {"entry point", false, ENTRY, HV_IMAGE_BASE + 0x800, 8},
        {"entry point", false, ENTRY, HV_IMAGE_BASE + 0x1010, 8},
        {"entry point", false, ENTRY, 0, 8},
        {"entry point", false, PHNUM, 0, 2},
        {"beyond the end", true, P_OFFSET, FILE_BYTES, 8},
        {"beyond the end", true, P_OFFSET, UINT64_MAX, 8},
        {"beyond the end", true, P_FILESZ, UINT64_MAX, 8},
        {"below HV_IMAGE_BASE", true, P_VADDR, HV_IMAGE_BASE - 0x1000, 8},
        {"not page-aligned", true, P_VADDR, HV_IMAGE_BASE + 0x1008, 8},
        {"too large", true, P_VADDR, HV_IMAGE_BASE + 0x10000000, 8},
        {"too large", true, P_MEMSZ, UINT64_MAX, 8},
        {"too large", true, P_MEMSZ, 0x10, 8}, /* smaller than in the file */
        {"share a page", true, P_VADDR, HV_IMAGE_BASE, 8},
        {"share a page", true, P_MEMSZ, 0x1001, 8}, /* reaches into the next */
        {"both writable and executable", true, P_FLAGS, 7, 4},
    };
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        const struct damage *d = &damages[i];
        sound_file(NULL);
        put(d->in_segment ? HEADERS + HEADER_SIZE + d->field : d->field, d->value, d->bytes);
        const char *said = read_it();
        if (said == NULL || strstr(said, d->expected) == NULL)
            fail_msg("damage %zu (%s): said %s", i, d->expected, said == NULL ? "nothing" : said);
    }
}

static void too_many_segments(void **state)
{
    (void)state;
    put(PHNUM, HV_ELF_MAX_SEGMENTS + 1, 2);
    for (uint32_t i = 0; i <= HV_ELF_MAX_SEGMENTS; i++)
        segment(i, 5, HV_IMAGE_BASE + i * 0x1000, 0x1000, 0x800, 0x800);
    assert_non_null(strstr(read_it(), "too many segments"));
}

static void short_files(void **state)
{
    (void)state;
    for (uint64_t bytes = 0; bytes < 0x3080; bytes += 31) {
        uint8_t *cut = malloc(bytes == 0 ? 1 : bytes);
        memcpy(cut, file, bytes);
        assert_non_null(hv_elf_read(cut, bytes, &elf));
        free(cut);
    }
}

/* Whatever is accepted keeps the promises that page tables are built on. */
static void random_damage(void **state)
{
    (void)state;
    struct random random = {3};
    uint32_t accepted = 0;
    for (uint32_t round = 0; round < 50000; round++) {
        sound_file(NULL);
        for (uint32_t i = 0; i < 2; i++)
            file[random_below(&random, HEADERS + 4 * HEADER_SIZE)] = (uint8_t)random_u64(&random);
        if (read_it() != NULL)
            continue;
        accepted++;
        uint64_t end = 0;
        for (uint32_t i = 0; i < elf.segment_count; i++) {
            const struct hv_segment *s = &elf.segments[i];
            assert_false(s->write && s->execute);
            assert_true(s->image_offset >= end && is_aligned(s->image_offset, FRAME_BYTES));
            assert_true(s->file_offset <= FILE_BYTES && s->file_bytes <= FILE_BYTES - s->file_offset);
            assert_true(s->file_bytes <= s->memory_bytes);
            end = align_up(s->image_offset + s->memory_bytes, FRAME_BYTES);
        }
        assert_int_equal(end, elf.image_bytes);
    }
    assert_true(accepted > 100); /* else the test tests nothing */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sound_file, drop_file)
    const struct CMUnitTest tests[] = {
        TEST(sound_file_is_read), TEST(each_damage_is_named), TEST(too_many_segments),
        TEST(short_files),        TEST(random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
