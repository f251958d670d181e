/*
 * What vCPU 0 found in its registers at its very first instruction, as start.S saved it, and the boot
 * information. Read only.
 */
#ifndef FREEHOLD_GUEST_LIB_ENTRY_H
#define FREEHOLD_GUEST_LIB_ENTRY_H

#include "guest/abi.h"
#include "guest/lib/cpu.h"
#include "guest/lib/layout.h"

/* General registers in the order of their encoding. */
enum entry_gpr { ENTRY_RAX, ENTRY_RCX, ENTRY_RDX, ENTRY_RBX, ENTRY_RSP, ENTRY_RBP, ENTRY_RSI, ENTRY_RDI };

struct entry_state {
    uint64_t gpr[16];
    uint64_t rflags, cr0, cr2, cr3, cr4, cr8, efer;
    uint64_t dr[6]; /* DR0 to DR3, DR6, DR7 */
    struct table_register gdtr;
    uint8_t pad0[6];
    struct table_register idtr;
    uint8_t pad1[6];
    uint16_t cs, ss, ds, es, fs, gs, tr, ldtr;
    uint8_t pad2[8];
    uint8_t xmm[16][16];
    uint16_t fcw;
    uint16_t pad3;
    uint32_t mxcsr;
    uint64_t tsc;
};
_Static_assert(offsetof(struct entry_state, dr) == ENTRY_DR, "layout.h");
_Static_assert(offsetof(struct entry_state, gdtr) == ENTRY_GDTR, "layout.h");
_Static_assert(offsetof(struct entry_state, idtr) == ENTRY_IDTR, "layout.h");
_Static_assert(offsetof(struct entry_state, cs) == ENTRY_SELECT, "layout.h");
_Static_assert(offsetof(struct entry_state, xmm) == ENTRY_XMM, "layout.h");
_Static_assert(offsetof(struct entry_state, mxcsr) == ENTRY_MXCSR, "layout.h");
_Static_assert(sizeof(struct entry_state) == ENTRY_BYTES, "layout.h");

extern const struct entry_state entry_state;

/* The image's own extent, from guest.ld. */
extern const uint8_t image_start[], image_end[];

static inline const struct fh_boot_info *boot_info(void)
{
    return (const struct fh_boot_info *)FH_BOOT_INFO;
}

#endif
