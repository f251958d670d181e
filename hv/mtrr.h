/*
 * What the memory type range registers say. Pure: works on values that somebody read. EPT leaves carry this
 * type, because a processor in VMX non-root operation with EPT does not look at the MTRRs itself.
 * Source: Intel SDM volume 3A, chapter "Memory Cache Control", section "Memory Type Range Registers (MTRRs)"
 * with "MTRR Precedences" (order number 325384, 2023).
 */
#ifndef FREEHOLD_HV_MTRR_H
#define FREEHOLD_HV_MTRR_H

#include "alloc/ept.h"

#define MTRR_MAX_VARIABLE 16
#define MTRR_FIXED_COUNT  11
#define MTRR_FIXED_END    MIB /* fixed ranges reach from 0 to here */

#define MTRR_CAPABILITY_COUNT UINT64_C(0xff)     /* of variable ranges */
#define MTRR_CAPABILITY_FIXED (UINT64_C(1) << 8) /* there are fixed ranges */
#define MTRR_DEFAULT_TYPE     UINT64_C(0xff)
#define MTRR_DEFAULT_FIXED    (UINT64_C(1) << 10) /* fixed ranges are enabled */
#define MTRR_DEFAULT_ENABLE   (UINT64_C(1) << 11) /* all MTRRs are */
#define MTRR_BASE_TYPE        UINT64_C(0xff)
#define MTRR_MASK_VALID       (UINT64_C(1) << 11)

/* Register values as they stand. */
struct mtrr_state {
    uint64_t capability;              /* IA32_MTRRCAP */
    uint64_t default_type;            /* IA32_MTRR_DEF_TYPE */
    uint64_t fixed[MTRR_FIXED_COUNT]; /* from FIX64K_00000 over FIX16K_... to FIX4K_F8000 */
    struct {
        uint64_t base; /* IA32_MTRR_PHYSBASEn */
        uint64_t mask; /* IA32_MTRR_PHYSMASKn */
    } variable[MTRR_MAX_VARIABLE];
};

/* Fills the state from the registers that the processor has. */
void mtrr_read(struct mtrr_state *state, uint64_t (*read_msr)(void *context, uint32_t msr), void *context);

/* The type of one address. Where the manual leaves it undefined: uncached, which is always correct. */
enum ept_memory_type mtrr_type(const struct mtrr_state *state, uint64_t address);

/*
 * The type at `start` (below PHYSICAL_LIMIT), and for how many bytes from there, at most to `end`, it is the
 * same: a multiple of FRAME_BYTES when both ends are. At least one frame when start < end, else 0. May stop
 * short of a change where masks have holes, so that its time is bounded: who wants the whole run asks again.
 */
uint64_t mtrr_uniform(const struct mtrr_state *state, uint64_t start, uint64_t end,
                      enum ept_memory_type *type);

#endif
