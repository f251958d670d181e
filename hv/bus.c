/* The port bus. Never calls a device with an access that reaches beyond its region or above its width. */
#include "hv/bus.h"

void bus_init(struct bus *bus)
{
    bus->count = 0;
}

static uint32_t region_end(const struct bus_region *region)
{
    return region->first + region->ports;
}

/* Index of the first region that ends above `port`; bus->count when there is none. */
static uint32_t find_from(const struct bus *bus, uint32_t port)
{
    uint32_t low = 0;
    uint32_t high = bus->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (region_end(&bus->regions[middle]) > port)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool region_valid(const struct bus_region *region)
{
    bool width = region->width == 1 || region->width == 2 || region->width == 4;
    return width && region->access != NULL && region->ports > 0 && region->ports <= BUS_PORTS - region->first;
}

bool bus_add(struct bus *bus, struct bus_region region)
{
    if (bus->count == BUS_MAX_REGIONS || !region_valid(&region))
        return false;
    uint32_t at = find_from(bus, region.first);
    if (at < bus->count && bus->regions[at].first < region_end(&region))
        return false;
    for (uint32_t i = bus->count; i > at; i--)
        bus->regions[i] = bus->regions[i - 1];
    bus->regions[at] = region;
    bus->count++;
    return true;
}

/* One piece of an access: what goes to one device in one go, or to nobody. */
struct piece {
    const struct bus_region *region; /* NULL: absent hardware */
    uint32_t bytes;
};

/* The largest power of two that is at most `limit`, keeps `port` aligned, and is at most `width`. */
static uint32_t piece_bytes(uint32_t port, uint32_t limit, uint32_t width)
{
    uint32_t bytes = width;
    while (bytes > limit || !is_aligned(port, bytes))
        bytes /= 2;
    return bytes;
}

static struct piece next_piece(const struct bus *bus, uint32_t port, uint32_t bytes)
{
    uint32_t at = find_from(bus, port);
    if (at == bus->count || bus->regions[at].first > port)
        return (struct piece){NULL, 1};
    const struct bus_region *region = &bus->regions[at];
    uint32_t inside = (uint32_t)min_u64(bytes, region_end(region) - port);
    return (struct piece){region, piece_bytes(port, inside, region->width)};
}

static uint32_t low_mask(uint32_t bytes)
{
    return bytes >= 4 ? UINT32_MAX : (UINT32_C(1) << (8 * bytes)) - 1;
}

/* Carries one piece out; *value holds its bytes at the bottom. */
static inline enum bus_result access_piece(const struct piece *piece, uint32_t port, bool write,
                                           uint32_t *value)
{
    if (piece->region == NULL) {
        *value = UINT32_MAX;
        return BUS_UNHANDLED;
    }
    struct bus_access access = {
        .offset = (uint16_t)(port - piece->region->first),
        .bytes = (uint8_t)piece->bytes,
        .write = write,
        .value = write ? *value & low_mask(piece->bytes) : 0,
    };
    enum bus_result result = piece->region->access(piece->region->device, &access);
    *value = result == BUS_HANDLED ? access.value : UINT32_MAX;
    return result;
}

/* Any access but of one byte. Apart, so that those do not pay for it. */
static __attribute__((noinline)) enum bus_result access_wide(const struct bus *bus, uint16_t port,
                                                             uint32_t bytes, bool write, uint32_t *value)
{
    if (bytes != 2 && bytes != 4)
        return BUS_ERROR;
    enum bus_result worst = BUS_HANDLED;
    uint32_t answer = 0;
    for (uint32_t done = 0; done < bytes && worst != BUS_ERROR;) {
        struct piece piece = next_piece(bus, port + done, bytes - done);
        uint32_t part = *value >> (8 * done);
        enum bus_result result = access_piece(&piece, port + done, write, &part);
        answer |= (part & low_mask(piece.bytes)) << (8 * done);
        worst = result > worst ? result : worst;
        done += piece.bytes;
    }
    if (!write)
        *value = worst == BUS_ERROR ? low_mask(bytes) : answer;
    return worst;
}

/* Nearly all accesses are of one byte, and those need no cutting. */
static enum bus_result access_byte(const struct bus *bus, uint16_t port, bool write, uint32_t *value)
{
    uint32_t at = find_from(bus, port);
    bool absent = at == bus->count || bus->regions[at].first > port;
    struct piece piece = {absent ? NULL : &bus->regions[at], 1};
    uint32_t byte = *value;
    enum bus_result result = access_piece(&piece, port, write, &byte);
    if (!write)
        *value = byte & low_mask(1);
    return result;
}

enum bus_result bus_access(struct bus *bus, uint16_t port, uint32_t bytes, bool write, uint32_t *value)
{
    return bytes == 1 ? access_byte(bus, port, write, value) : access_wide(bus, port, bytes, write, value);
}
