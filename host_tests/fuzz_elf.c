/* Any bytes at all as a guest image, ELF and flat: a layout that is accepted keeps every promise. */
#include <string.h>

#include "host_tests/support/image_promise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t low_memories[] = {0, 4 * MIB, 64 * MIB, 3 * GIB, UINT64_MAX};
    if (size == 0)
        return 0;
    uint64_t low_memory = low_memories[data[0] % ARRAY_SIZE(low_memories)];
    for (int flat = 0; flat <= 1; flat++) {
        struct image_layout layout;
        if (image_check(data + 1, size - 1, flat, low_memory, &layout) == IMAGE_OK)
            image_promise(&layout, size - 1, flat, low_memory);
    }
    return 0;
}
