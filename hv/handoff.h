/*
 * The one contract between boot/ and hv/: everything the hypervisor knows of the machine and its orders.
 * boot/ fills it while the firmware still runs; the hypervisor copies nothing and asks the firmware nothing.
 */
#ifndef FREEHOLD_HV_HANDOFF_H
#define FREEHOLD_HV_HANDOFF_H

#include "hv/config.h"
#include "hv/machine.h"

#define HANDOFF_MAGIC   UINT64_C(0x444c4f4845455246) /* "FREEHOLD" */
#define HANDOFF_VERSION 1u

/* Where the hypervisor's own frames appear: a sparse direct map, present only for frames it owns. */
#define HV_DIRECT_BASE UINT64_C(0xffff800000000000)
/* Where its image is linked (linker.ld agrees). */
#define HV_IMAGE_BASE UINT64_C(0xffffffff80000000)

enum pixel_format { PIXEL_NONE, PIXEL_RGBX, PIXEL_BGRX };

struct handoff_screen {
    uint64_t base; /* host-physical; mapped at HV_DIRECT_BASE + base; 0: no screen */
    uint64_t bytes;
    uint32_t width; /* pixels */
    uint32_t height;
    uint32_t stride; /* pixels from line to line */
    uint32_t format; /* enum pixel_format */
};

struct handoff_image {
    uint64_t base; /* host-physical, frame-aligned; mapped read-only at HV_DIRECT_BASE + base */
    uint64_t bytes;
    bool flat;
};

/* How to switch the machine off; port 0 when not known. */
struct handoff_poweroff {
    uint16_t pm1a_control_port;
    uint16_t pm1b_control_port; /* 0: none */
    uint16_t pm1a_value;        /* SLP_TYP and SLP_EN */
    uint16_t pm1b_value;
};

struct handoff {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes; /* sizeof(struct handoff): both sides were built together */

    uint64_t entry_tsc; /* TSC at efi_main */
    uint64_t rsdp;      /* host-physical, 0 when there is no ACPI */
    uint64_t smbios;    /* host-physical, 0 when there is none */

    uint64_t region_base; /* the hypervisor's own memory: one extent, 2 MiB-aligned, MEMMAP_HYPERVISOR */
    uint64_t region_bytes;
    uint64_t image_base; /* its image inside the region */
    uint64_t image_bytes;
    uint64_t pool_base; /* the rest of the region: free frames, zeroed, mapped read-write in the direct map */
    uint64_t pool_bytes;
    uint64_t page_table_root;
    uint64_t trampoline; /* one frame below 1 MiB, identity-mapped read-execute, for starting cores;
                            MEMMAP_HYPERVISOR */

    uint16_t com1_port; /* 0: no such UART */
    uint16_t com2_port;
    struct handoff_poweroff poweroff;
    struct handoff_screen screen;

    struct machine machine;
    char config_source[64]; /* where the configuration came from, for people */
    struct config config;
    struct handoff_image images[CONFIG_MAX_PARTITIONS]; /* of partition i */
};

#endif
