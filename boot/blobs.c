/* Names for the bytes that blobs.S embeds. */
#include "boot/blobs.h"

#include "hv/builtins.h"
#include "hv/fmt.h"

extern const uint8_t blob_hv_start[], blob_hv_end[];
#define DECLARE_BLOB(name) extern const uint8_t blob_guest_##name[], blob_guest_##name##_end[];
BUILTIN_GUESTS(DECLARE_BLOB)

struct blob blob_hypervisor(void)
{
    return (struct blob){blob_hv_start, (uint64_t)(blob_hv_end - blob_hv_start)};
}

struct blob blob_guest(const char *name)
{
#define MATCH_BLOB(guest)        \
    if (fmt_equal(name, #guest)) \
        return (struct blob){blob_guest_##guest, (uint64_t)(blob_guest_##guest##_end - blob_guest_##guest)};
    BUILTIN_GUESTS(MATCH_BLOB)
    return (struct blob){NULL, 0};
}
