/*
 * The bus of a partition's port devices: which ports belong to whom, and accesses cut so that a device sees
 * only what lies inside it. Pure; knows nothing of VMX, devices know nothing of port numbers. The caller
 * serialises.
 */
#ifndef FREEHOLD_HV_BUS_H
#define FREEHOLD_HV_BUS_H

#include "alloc/base.h"

#define BUS_MAX_REGIONS 16
#define BUS_PORTS       UINT32_C(0x10000)

enum bus_result {
    BUS_HANDLED,
    BUS_UNHANDLED, /* some of it is absent hardware: read as all ones, writes go nowhere; to be counted */
    BUS_ERROR,     /* no such access: a size other than 1, 2, 4; or a device refuses what the guest does */
};

struct bus_access {
    uint16_t offset; /* from the region's first port; offset + bytes lies inside the region */
    uint8_t bytes;   /* 1, 2 or 4, never above the region's width; the port is a multiple of it */
    bool write;
    uint32_t value; /* in the low `bytes`; a read fills it in, what is above is ignored */
};

struct bus_region {
    const char *name;
    uint16_t first;
    uint32_t ports; /* 1 to BUS_PORTS - first */
    uint8_t width;  /* 1, 2 or 4: the widest access the device takes; wider ones come as several */
    enum bus_result (*access)(void *device, struct bus_access *access);
    void *device;
};

struct bus {
    uint32_t count;
    struct bus_region regions[BUS_MAX_REGIONS]; /* sorted by first, disjoint */
};

void bus_init(struct bus *bus);

/* False, and nothing changed, when the bus is full, the region overlaps another or does not fit the port
 * space. */
MUST_USE bool bus_add(struct bus *bus, struct bus_region region);

/*
 * One access by a guest, of 1, 2 or 4 bytes; any value of any argument may be hostile. It is cut where
 * regions end and where a device is narrower or the port is not aligned, lowest port first, as the hardware
 * does. A read leaves the whole answer in *value, bits above the size clear; absent bytes are 0xFF; ports do
 * not wrap at 0xFFFF. The worst result of its pieces is returned; after BUS_ERROR the rest is not carried
 * out.
 */
enum bus_result bus_access(struct bus *bus, uint16_t port, uint32_t bytes, bool write, uint32_t *value);

/* RAX after IN: 8 and 16 bits leave what is above them, 32 bits clear it. */
static inline uint64_t bus_merge_rax(uint64_t rax, uint32_t bytes, uint32_t value)
{
    if (bytes == 1)
        return (rax & ~UINT64_C(0xFF)) | (value & 0xFF);
    if (bytes == 2)
        return (rax & ~UINT64_C(0xFFFF)) | (value & 0xFFFF);
    return value;
}

#endif
