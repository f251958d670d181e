/* The firmware's memory map: types, attributes, odd descriptor sizes, nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/efi_map.h"

#define WRITE_BACK 0xFu
#define ODD_BYTES  53u /* larger than a descriptor and a multiple of nothing */

static void put(uint8_t *map, size_t index, size_t descriptor_bytes, struct efi_map_descriptor descriptor)
{
    memset(map + index * descriptor_bytes, 0xA5, descriptor_bytes);
    memcpy(map + index * descriptor_bytes, &descriptor, sizeof(descriptor));
}

static enum memmap_kind kind_of(uint32_t type, uint64_t attributes)
{
    struct efi_map_descriptor descriptor = {.type = type, .page_count = 1, .attributes = attributes};
    struct memmap_input input;
    size_t count;
    assert_int_equal(
        efi_map_translate(&descriptor, sizeof(descriptor), sizeof(descriptor), &input, 1, &count),
        EFI_MAP_OK);
    assert_int_equal(count, 1);
    return input.kind;
}

static void types_have_their_kind(void **state)
{
    (void)state;
    static const enum memmap_kind expected[] = {
        [0] = MEMMAP_FIRMWARE,  [1] = MEMMAP_FREE,      [2] = MEMMAP_FREE,      [3] = MEMMAP_FREE,
        [4] = MEMMAP_FREE,      [5] = MEMMAP_FIRMWARE,  [6] = MEMMAP_FIRMWARE,  [7] = MEMMAP_FREE,
        [8] = MEMMAP_BAD,       [9] = MEMMAP_ACPI,      [10] = MEMMAP_FIRMWARE, [11] = MEMMAP_MMIO,
        [12] = MEMMAP_MMIO,     [13] = MEMMAP_FIRMWARE, [14] = MEMMAP_FIRMWARE, [15] = MEMMAP_FIRMWARE,
        [16] = MEMMAP_FIRMWARE,
    };
    for (uint32_t type = 0; type < ARRAY_SIZE(expected); type++)
        assert_int_equal(kind_of(type, WRITE_BACK), expected[type]);
    assert_int_equal(kind_of(0x70000000, WRITE_BACK), MEMMAP_FIRMWARE);
    assert_int_equal(kind_of(0x80000001, WRITE_BACK), MEMMAP_FIRMWARE);
    assert_int_equal(kind_of(UINT32_MAX, WRITE_BACK), MEMMAP_FIRMWARE);
}

static void only_ordinary_ram_is_free(void **state)
{
    (void)state;
    assert_int_equal(kind_of(7, 0x7), MEMMAP_FIRMWARE);                  /* cannot be cached */
    assert_int_equal(kind_of(7, WRITE_BACK | 0x8000), MEMMAP_FIRMWARE);  /* non-volatile */
    assert_int_equal(kind_of(7, WRITE_BACK | 0x40000), MEMMAP_FIRMWARE); /* specific purpose */
    assert_int_equal(kind_of(7, WRITE_BACK | 0x10000), MEMMAP_FREE);     /* more reliable: fine */
}

static void odd_descriptor_size(void **state)
{
    (void)state;
    uint8_t *map = malloc(3 * ODD_BYTES); /* exactly, so that ASan sees a byte too many */
    for (size_t i = 0; i < 3; i++)
        put(map, i, ODD_BYTES,
            (struct efi_map_descriptor){
                .type = 7, .physical_start = 0x1000 * (i + 1), .page_count = i, .attributes = WRITE_BACK});
    struct memmap_input inputs[3];
    size_t count;
    assert_int_equal(efi_map_translate(map, 3 * ODD_BYTES, ODD_BYTES, inputs, 3, &count), EFI_MAP_OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(inputs[i].start, 0x1000 * (i + 1));
        assert_int_equal(inputs[i].frame_count, i); /* zero lengths are passed on: memmap_build judges */
        assert_int_equal(inputs[i].kind, MEMMAP_FREE);
    }
    free(map);
}

static void impossible_shapes(void **state)
{
    (void)state;
    uint8_t map[200] = {0};
    struct memmap_input inputs[5];
    size_t count;
    assert_int_equal(efi_map_translate(map, 200, 39, inputs, 5, &count), EFI_MAP_E_DESCRIPTOR);
    assert_int_equal(efi_map_translate(map, 200, 0, inputs, 5, &count), EFI_MAP_E_DESCRIPTOR);
    assert_int_equal(efi_map_translate(map, 199, 40, inputs, 5, &count), EFI_MAP_E_DESCRIPTOR);
    assert_int_equal(efi_map_translate(map, 200, 40, inputs, 4, &count), EFI_MAP_E_TOO_MANY);
    assert_int_equal(count, 0);
    assert_int_equal(efi_map_translate(map, 0, 40, inputs, 0, &count), EFI_MAP_OK);
    assert_int_equal(count, 0);
    assert_false(efi_map_readable(map, 199, 40, 0, 1));
}

static void readable_means_inside_one_descriptor(void **state)
{
    (void)state;
    struct efi_map_descriptor map[] = {
        {.type = 9, .physical_start = 0x10000, .page_count = 2},
        {.type = 11, .physical_start = 0x20000, .page_count = 1},
        {.type = 7, .physical_start = 0x12000, .page_count = 1},
        {.type = 7, .physical_start = 0xFFFFFFFFFFFFF000, .page_count = 2},
        {.type = 7, .physical_start = 0x40000, .page_count = UINT64_MAX},
    };
#define READABLE(address, bytes) efi_map_readable(map, sizeof(map), sizeof(map[0]), address, bytes)
    assert_true(READABLE(0x10000, 0x2000));
    assert_true(READABLE(0x11FFF, 1));
    assert_false(READABLE(0x10000, 0x2001)); /* reaches into the next one */
    assert_false(READABLE(0xFFFF, 1));
    assert_false(READABLE(0x20000, 1)); /* device registers */
    assert_false(READABLE(0x50000, 1)); /* a length that cannot be */
    assert_false(READABLE(0x11000, UINT64_MAX));
    assert_false(READABLE(UINT64_MAX, 0x2000));
#undef READABLE
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_their_kind),
        cmocka_unit_test(only_ordinary_ram_is_free),
        cmocka_unit_test(odd_descriptor_size),
        cmocka_unit_test(impossible_shapes),
        cmocka_unit_test(readable_means_inside_one_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
