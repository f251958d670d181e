/* Guest images: a good file, the same file with each field spoilt, and random hostile ones. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/image_promise.h"
#include "host_tests/support/random.h"
#include "hv/image.h"

#define LOW_MEMORY (64 * MIB)
#define FILE_BYTES 4096u
#define MAX_PHDRS  24

static struct {
    Elf64_Ehdr header;
    Elf64_Phdr programs[MAX_PHDRS];
    uint64_t bytes; /* of the file */
} good;

static struct image_layout layout;

static Elf64_Phdr load(uint64_t offset, uint64_t file_bytes, uint64_t gpa, uint64_t memory_bytes)
{
    return (Elf64_Phdr){.p_type = PT_LOAD,
                        .p_offset = offset,
                        .p_vaddr = gpa,
                        .p_paddr = gpa,
                        .p_filesz = file_bytes,
                        .p_memsz = memory_bytes};
}

/* Two segments, a note and an empty segment. */
static void begin(void)
{
    memset(&good, 0, sizeof(good));
    memcpy(good.header.e_ident, ELFMAG, SELFMAG);
    good.header.e_ident[EI_CLASS] = ELFCLASS64;
    good.header.e_ident[EI_DATA] = ELFDATA2LSB;
    good.header.e_ident[EI_VERSION] = EV_CURRENT;
    good.header.e_type = ET_EXEC;
    good.header.e_machine = EM_X86_64;
    good.header.e_entry = 0x100010;
    good.header.e_phoff = sizeof(Elf64_Ehdr);
    good.header.e_phentsize = sizeof(Elf64_Phdr);
    good.header.e_phnum = 4;
    good.programs[0] = load(0x800, 0x400, 0x100000, 0x400);
    good.programs[1] = (Elf64_Phdr){.p_type = PT_NOTE, .p_paddr = 3, .p_filesz = 99};
    good.programs[2] = load(UINT64_MAX, 0, 0, 0);
    good.programs[3] = load(0xc00, 0x400, 0x200000, 0x10000);
    good.bytes = FILE_BYTES;
}

/* Checks a copy of exactly the file's size, at an odd address, so that ASan sees any byte read beyond it. */
static enum image_status check_as(bool flat, uint64_t low_memory)
{
    uint8_t whole[FILE_BYTES] = {0};
    memcpy(whole, &good.header, sizeof(good.header));
    memcpy(whole + sizeof(good.header), good.programs, sizeof(good.programs));
    uint8_t *block = malloc(good.bytes + 1), *file = block + 1;
    memcpy(file, whole, good.bytes);
    memset(&layout, 0xee, sizeof(layout));
    enum image_status status = image_check(file, good.bytes, flat, low_memory, &layout);
    free(block);
    if (status == IMAGE_OK)
        image_promise(&layout, good.bytes, flat, low_memory);
    else
        for (size_t i = 0; i < sizeof(layout); i++)
            assert_int_equal(((const uint8_t *)&layout)[i], 0xee);
    return status;
}

static enum image_status check(void)
{
    return check_as(false, LOW_MEMORY);
}

static void a_good_file_becomes_its_segments(void **state)
{
    (void)state;
    begin();
    assert_int_equal(check(), IMAGE_OK);
    assert_int_equal(layout.segment_count, 2);
    assert_int_equal(layout.entry, 0x100010);
    assert_int_equal(layout.segments[0].file_offset, 0x800);
    assert_int_equal(layout.segments[0].gpa, 0x100000);
    assert_int_equal(layout.segments[1].file_bytes, 0x400);
    assert_int_equal(layout.segments[1].memory_bytes, 0x10000);
    good.header.e_type = ET_DYN;
    assert_int_equal(check(), IMAGE_OK);
}

static void the_entry_is_translated(void **state)
{
    (void)state;
    begin();
    good.programs[0].p_vaddr = UINT64_C(0xffffffff80000000);
    good.header.e_entry = UINT64_C(0xffffffff80000123);
    assert_int_equal(check(), IMAGE_OK);
    assert_int_equal(layout.entry, 0x100123);
    good.header.e_entry = 0x100123; /* already physical, as kernels have it */
    assert_int_equal(check(), IMAGE_OK);
    assert_int_equal(layout.entry, 0x100123);
    good.programs[3].p_vaddr = 0x100000; /* a virtual address goes before a physical one */
    assert_int_equal(check(), IMAGE_OK);
    assert_int_equal(layout.entry, 0x200123);
    good.programs[0].p_vaddr = 0x100100; /* and the first segment before the second */
    assert_int_equal(check(), IMAGE_OK);
    assert_int_equal(layout.entry, 0x100023);

    begin();
    good.header.e_entry = 0x100000 + 0x3ff;
    assert_int_equal(check(), IMAGE_OK);
    good.header.e_entry = 0x100000 + 0x400;
    assert_int_equal(check(), IMAGE_E_ENTRY);
    good.header.e_entry = 0xfffff;
    assert_int_equal(check(), IMAGE_E_ENTRY);
    good.header.e_entry = 0;
    assert_int_equal(check(), IMAGE_E_ENTRY);
}

static void what_is_no_elf_file_is_said_to_be_none(void **state)
{
    (void)state;
    begin();
    for (good.bytes = 1; good.bytes < FILE_BYTES; good.bytes++)
        assert_int_equal(check(), good.bytes < 4 ? IMAGE_E_NOT_ELF : IMAGE_E_TRUNCATED);
    good.bytes = 0;
    assert_int_equal(check(), IMAGE_E_EMPTY);
    assert_int_equal(check_as(true, LOW_MEMORY), IMAGE_E_EMPTY);
    for (int i = 0; i < 4; i++) {
        begin();
        good.header.e_ident[i] ^= 1;
        assert_int_equal(check(), IMAGE_E_NOT_ELF);
    }
}

#define SPOILS(field, value, expected)                \
    do {                                              \
        begin();                                      \
        good.field = (__typeof__(good.field))(value); \
        assert_int_equal(check(), expected);          \
    } while (0)

static void each_spoilt_field_has_its_error(void **state)
{
    (void)state;
    SPOILS(header.e_ident[EI_CLASS], ELFCLASS32, IMAGE_E_CLASS);
    SPOILS(header.e_ident[EI_DATA], ELFDATA2MSB, IMAGE_E_CLASS);
    SPOILS(header.e_ident[EI_VERSION], 0, IMAGE_E_CLASS);
    SPOILS(header.e_machine, EM_AARCH64, IMAGE_E_CLASS);
    SPOILS(header.e_type, ET_REL, IMAGE_E_TYPE);
    SPOILS(header.e_type, ET_CORE, IMAGE_E_TYPE);
    SPOILS(header.e_phnum, 0, IMAGE_E_SEGMENTS);
    SPOILS(header.e_phnum, 0xffff, IMAGE_E_TRUNCATED);
    SPOILS(header.e_phentsize, 0, IMAGE_E_HEADERS);
    SPOILS(header.e_phentsize, 32, IMAGE_E_HEADERS);
    SPOILS(header.e_phentsize, 57, IMAGE_E_HEADERS);
    SPOILS(header.e_phoff, UINT64_MAX, IMAGE_E_TRUNCATED);
    SPOILS(header.e_phoff, FILE_BYTES - 4 * sizeof(Elf64_Phdr) + 1, IMAGE_E_TRUNCATED);
    SPOILS(header.e_phoff, FILE_BYTES - 4 * sizeof(Elf64_Phdr),
           IMAGE_E_SEGMENTS); /* zeroes: nothing to load */
    SPOILS(programs[1].p_type, PT_INTERP, IMAGE_E_TYPE);
    SPOILS(programs[0].p_filesz, 0x401, IMAGE_E_HEADERS);
    SPOILS(programs[0].p_memsz, 0, IMAGE_E_HEADERS);
    SPOILS(programs[0].p_offset, UINT64_MAX, IMAGE_E_TRUNCATED);
    SPOILS(programs[0].p_offset, FILE_BYTES - 0x400 + 1, IMAGE_E_TRUNCATED);
    SPOILS(programs[0].p_offset, FILE_BYTES - 0x400, IMAGE_OK);
    SPOILS(programs[0].p_paddr, IMAGE_LOW_LIMIT - 1, IMAGE_E_ADDRESS);
    SPOILS(programs[0].p_paddr, IMAGE_LOW_LIMIT, IMAGE_OK);
    SPOILS(programs[0].p_paddr, UINT64_MAX, IMAGE_E_ADDRESS);
    SPOILS(programs[0].p_paddr, LOW_MEMORY - 0x400 + 1, IMAGE_E_ADDRESS);
    SPOILS(programs[0].p_paddr, LOW_MEMORY - 0x400, IMAGE_OK);
    SPOILS(programs[0].p_memsz, UINT64_MAX, IMAGE_E_ADDRESS);
    SPOILS(programs[3].p_memsz, LOW_MEMORY - 0x200000, IMAGE_OK);
    SPOILS(programs[3].p_memsz, LOW_MEMORY - 0x200000 + 1, IMAGE_E_ADDRESS);
    SPOILS(programs[0].p_memsz, 0x100000, IMAGE_OK);
    SPOILS(programs[0].p_memsz, 0x100001, IMAGE_E_OVERLAP);
    SPOILS(programs[3].p_paddr, 0x100000, IMAGE_E_OVERLAP);
    SPOILS(programs[0].p_paddr, 0x20ffff, IMAGE_E_OVERLAP);
}

static void segments_are_counted(void **state)
{
    (void)state;
    for (uint16_t count = 1; count <= IMAGE_MAX_SEGMENTS + 1; count++) {
        begin();
        good.header.e_phnum = count;
        for (unsigned i = 0; i < count; i++)
            good.programs[i] = load(0, 0, 0x100000 + i * 0x1000, 0x1000);
        assert_int_equal(check(), count <= IMAGE_MAX_SEGMENTS ? IMAGE_OK : IMAGE_E_SEGMENTS);
    }
}

static void a_flat_file_goes_to_1_mib(void **state)
{
    (void)state;
    begin();
    memset(&good.header, 0x90, sizeof(good.header));
    assert_int_equal(check_as(true, IMAGE_FLAT_BASE + FILE_BYTES), IMAGE_OK);
    assert_int_equal(layout.entry, IMAGE_FLAT_BASE);
    assert_int_equal(layout.segments[0].memory_bytes, FILE_BYTES);
    assert_int_equal(check_as(true, IMAGE_FLAT_BASE + FILE_BYTES - 1), IMAGE_E_ADDRESS);
    assert_int_equal(check_as(true, 0), IMAGE_E_ADDRESS);
    assert_int_equal(check_as(false, LOW_MEMORY), IMAGE_E_NOT_ELF);
}

static uint64_t hostile_number(struct random *random)
{
    static const uint64_t edges[] = {
        0,        1,          0x400,    0x800,      FILE_BYTES,        0x10000,    0x100000,
        0x101000, LOW_MEMORY, 1u << 31, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX, 0 - 0x1000ull};
    uint64_t value = edges[random_below(random, ARRAY_SIZE(edges))];
    return random_one_in(random, 3) ? value + random_below(random, 5) - 2 : value;
}

/* Every answer agrees with arithmetic that cannot overflow. */
static void random_headers_agree_with_wide_arithmetic(void **state)
{
    (void)state;
    typedef unsigned __int128 wide;
    unsigned accepted = 0;
    for (uint64_t seed = 0; seed < 40000; seed++) {
        struct random random = {seed};
        begin();
        for (int spoilt = 0; spoilt < 3; spoilt++) {
            Elf64_Phdr *program = &good.programs[random_one_in(&random, 2) ? 0 : 3];
            uint64_t *const fields[] = {&program->p_offset, &program->p_vaddr, &program->p_paddr,
                                        &program->p_filesz, &program->p_memsz, &good.header.e_entry};
            *fields[random_below(&random, ARRAY_SIZE(fields))] = hostile_number(&random);
        }
        bool fits = true, entry = false;
        const Elf64_Phdr *const both[] = {&good.programs[0], &good.programs[3]};
        for (int i = 0; i < 2; i++) {
            const Elf64_Phdr *p = both[i];
            fits = fits && p->p_filesz <= p->p_memsz;
            if (p->p_memsz == 0)
                continue;
            fits = fits && (p->p_filesz == 0 || (wide)p->p_offset + p->p_filesz <= FILE_BYTES) &&
                   p->p_paddr >= IMAGE_LOW_LIMIT && (wide)p->p_paddr + p->p_memsz <= LOW_MEMORY;
            entry = entry ||
                    (good.header.e_entry >= p->p_vaddr &&
                     (wide)good.header.e_entry < (wide)p->p_vaddr + p->p_memsz) ||
                    (good.header.e_entry >= p->p_paddr &&
                     (wide)good.header.e_entry < (wide)p->p_paddr + p->p_memsz);
        }
        fits = fits && (both[0]->p_memsz > 0 || both[1]->p_memsz > 0);
        bool overlap = fits && both[0]->p_memsz > 0 && both[1]->p_memsz > 0 &&
                       both[0]->p_paddr < both[1]->p_paddr + both[1]->p_memsz &&
                       both[1]->p_paddr < both[0]->p_paddr + both[0]->p_memsz;
        enum image_status status = check();
        assert_int_equal(status == IMAGE_OK, fits && entry && !overlap);
        accepted += status == IMAGE_OK;
    }
    assert_true(accepted > 1000);
}

static void every_status_has_a_text(void **state)
{
    (void)state;
    for (int status = IMAGE_OK; status <= IMAGE_E_ENTRY; status++) {
        const char *text = image_status_text((enum image_status)status);
        assert_true(strlen(text) > 5 && strlen(text) < 110);
        assert_string_not_equal(text, image_status_text((enum image_status)99));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_becomes_its_segments),
        cmocka_unit_test(the_entry_is_translated),
        cmocka_unit_test(what_is_no_elf_file_is_said_to_be_none),
        cmocka_unit_test(each_spoilt_field_has_its_error),
        cmocka_unit_test(segments_are_counted),
        cmocka_unit_test(a_flat_file_goes_to_1_mib),
        cmocka_unit_test(random_headers_agree_with_wide_arithmetic),
        cmocka_unit_test(every_status_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
