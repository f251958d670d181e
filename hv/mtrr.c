/*
 * The memory types of physical memory, by the MTRRs' rules of precedence.
 * Must never call memory cacheable that the registers do not.
 */
#include "hv/mtrr.h"

#include "hv/x86.h"

#define ADDRESS_BITS (PHYSICAL_LIMIT - FRAME_BYTES) /* of base and mask */
#define NEVER        UINT64_MAX

/* Steps after which mtrr_uniform stops looking: more than the fixed and 16 contiguous ranges have edges. */
#define MAX_EDGES 256

/* The first three have names of their own; those of 4 KiB ranges follow one another. */
#define FIXED_4K 3

static uint32_t fixed_msr(uint32_t i)
{
    static const uint32_t larger[FIXED_4K] = {MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX16K_80000,
                                              MSR_MTRR_FIX16K_A0000};
    return i < FIXED_4K ? larger[i] : MSR_MTRR_FIX4K_C0000 + i - FIXED_4K;
}

static uint32_t variable_count(const struct mtrr_state *state)
{
    return (uint32_t)min_u64(state->capability & MTRR_CAPABILITY_COUNT, MTRR_MAX_VARIABLE);
}

void mtrr_read(struct mtrr_state *state, uint64_t (*read_msr)(void *context, uint32_t msr), void *context)
{
    *state = (struct mtrr_state){
        .capability = read_msr(context, MSR_MTRR_CAP),
        .default_type = read_msr(context, MSR_MTRR_DEF_TYPE),
    };
    for (uint32_t i = 0; i < MTRR_FIXED_COUNT && (state->capability & MTRR_CAPABILITY_FIXED) != 0; i++)
        state->fixed[i] = read_msr(context, fixed_msr(i));
    for (uint32_t i = 0; i < variable_count(state); i++) {
        state->variable[i].base = read_msr(context, MSR_MTRR_PHYS_BASE0 + 2 * i);
        state->variable[i].mask = read_msr(context, MSR_MTRR_PHYS_MASK0 + 2 * i);
    }
}

static enum ept_memory_type type_from(uint64_t encoding)
{
    switch (encoding) {
    case EPT_WC:
    case EPT_WT:
    case EPT_WP:
    case EPT_WB:
        return (enum ept_memory_type)encoding;
    default: /* uncached, or reserved */
        return EPT_UC;
    }
}

static bool enabled(const struct mtrr_state *state)
{
    return (state->default_type & MTRR_DEFAULT_ENABLE) != 0;
}

static bool is_fixed(const struct mtrr_state *state, uint64_t address)
{
    return address < MTRR_FIXED_END && (state->capability & MTRR_CAPABILITY_FIXED) != 0 &&
           (state->default_type & MTRR_DEFAULT_FIXED) != 0;
}

/* The fixed range that holds an address: eight per register, of 64, 16, then 4 KiB. */
struct fixed_range {
    uint32_t index; /* counted over all registers */
    uint64_t bytes;
};

static struct fixed_range fixed_range(uint64_t address)
{
    if (address < 512 * KIB)
        return (struct fixed_range){(uint32_t)(address / (64 * KIB)), 64 * KIB};
    if (address < 768 * KIB)
        return (struct fixed_range){8 + (uint32_t)((address - 512 * KIB) / (16 * KIB)), 16 * KIB};
    return (struct fixed_range){24 + (uint32_t)((address - 768 * KIB) / (4 * KIB)), 4 * KIB};
}

static uint64_t variable_mask(const struct mtrr_state *state, uint32_t i)
{
    return state->variable[i].mask & ADDRESS_BITS;
}

static uint64_t variable_value(const struct mtrr_state *state, uint32_t i)
{
    return state->variable[i].base & variable_mask(state, i);
}

static bool variable_valid(const struct mtrr_state *state, uint32_t i)
{
    return (state->variable[i].mask & MTRR_MASK_VALID) != 0;
}

static bool variable_holds(const struct mtrr_state *state, uint32_t i, uint64_t address)
{
    return variable_valid(state, i) && (address & variable_mask(state, i)) == variable_value(state, i);
}

/* Two overlapping ranges: the same type twice; uncached wins; write-through over write-back; else undefined.
 */
static enum ept_memory_type combine(enum ept_memory_type a, enum ept_memory_type b)
{
    if (a == b)
        return a;
    bool through_and_back = (a == EPT_WT && b == EPT_WB) || (a == EPT_WB && b == EPT_WT);
    return through_and_back ? EPT_WT : EPT_UC;
}

enum ept_memory_type mtrr_type(const struct mtrr_state *state, uint64_t address)
{
    if (!enabled(state))
        return EPT_UC;
    if (is_fixed(state, address)) {
        uint32_t index = fixed_range(address).index;
        return type_from(state->fixed[index / 8] >> index % 8 * 8 & 0xff);
    }
    bool found = false;
    enum ept_memory_type type = type_from(state->default_type & MTRR_DEFAULT_TYPE);
    for (uint32_t i = 0; i < variable_count(state); i++) {
        if (!variable_holds(state, i, address))
            continue;
        enum ept_memory_type here = type_from(state->variable[i].base & MTRR_BASE_TYPE);
        type = found ? combine(type, here) : here;
        found = true;
    }
    return type;
}

/*
 * The least address from `from` on whose bits under `mask` are `value`; NEVER when there is none below
 * PHYSICAL_LIMIT.
 */
static uint64_t next_match(uint64_t from, uint64_t mask, uint64_t value)
{
    uint64_t differing = (from & mask) ^ value;
    if (differing == 0)
        return from;
    /* Above the highest bit that differs all is well; there the address must grow, or has grown too far. */
    uint64_t bit = UINT64_C(1) << (63 - __builtin_clzll(differing));
    if ((from & bit) != 0) {
        /* Too far: the lowest bit above that is free to be set is set. */
        uint64_t free = ~mask & ~from & ~(bit | (bit - 1)) & (PHYSICAL_LIMIT - 1);
        if (free == 0)
            return NEVER;
        bit = free & (0 - free);
    }
    return (from & ~(bit | (bit - 1))) | bit | (value & (bit - 1));
}

/* The first address above this one where it begins or ceases to be in a variable range. */
static uint64_t next_edge(const struct mtrr_state *state, uint32_t i, uint64_t address)
{
    uint64_t mask = variable_mask(state, i);
    if (!variable_valid(state, i) || mask == 0)
        return NEVER;
    if (!variable_holds(state, i, address))
        return next_match(address, mask, variable_value(state, i));
    uint64_t lowest = mask & (0 - mask);
    return align_down(address, lowest) + lowest;
}

/* The end of the stretch around an address on which no register changes its mind. */
static uint64_t stretch_end(const struct mtrr_state *state, uint64_t address)
{
    if (!enabled(state))
        return NEVER;
    if (is_fixed(state, address)) {
        uint64_t bytes = fixed_range(address).bytes;
        return align_down(address, bytes) + bytes;
    }
    uint64_t end = NEVER;
    for (uint32_t i = 0; i < variable_count(state); i++)
        end = min_u64(end, next_edge(state, i, address));
    return end;
}

uint64_t mtrr_uniform(const struct mtrr_state *state, uint64_t start, uint64_t end,
                      enum ept_memory_type *type)
{
    *type = mtrr_type(state, start);
    uint64_t at = start;
    for (int edges = 0; at < end && edges < MAX_EDGES && mtrr_type(state, at) == *type; edges++)
        at = min_u64(end, stretch_end(state, at));
    return at - start;
}
