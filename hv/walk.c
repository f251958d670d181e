/*
 * The processor's walk of a guest's page tables, redone in software.
 * Must never trust an entry twice, nor loop by what an entry says.
 */
#include "hv/walk.h"

#include "hv/x86.h"

#define ENTRY_PRESENT (UINT64_C(1) << 0)
#define ENTRY_WRITE   (UINT64_C(1) << 1)
#define ENTRY_USER    (UINT64_C(1) << 2)
#define ENTRY_LARGE   (UINT64_C(1) << 7)
#define ENTRY_XD      (UINT64_C(1) << 63)

/* A 4 MiB entry of 32-bit paging holds address bits 39:32 in bits 20:13. */
#define PSE36_LOW     13
#define PSE36_BITS    8
#define PSE36_ADDRESS 40

#define CR4_HIDDEN (CR4_LA57 | CR4_PKE | CR4_PKS | CR4_CET)

/* How a paging mode lays out its tables. */
struct mode {
    unsigned top_level;  /* of the table that the walk begins with */
    unsigned index_bits; /* per level */
    unsigned entry_bytes;
    bool long_mode;
};

static const struct mode mode_32 = {.top_level = 2, .index_bits = 10, .entry_bytes = 4};
static const struct mode mode_pae = {.top_level = 2, .index_bits = 9, .entry_bytes = 8};
static const struct mode mode_long = {.top_level = 4, .index_bits = 9, .entry_bytes = 8, .long_mode = true};

/* Bits [low, high). */
static uint64_t bits(unsigned low, unsigned high)
{
    return low < high ? (UINT64_C(1) << high) - (UINT64_C(1) << low) : 0;
}

static unsigned shift_of(const struct mode *mode, unsigned level)
{
    return FRAME_SHIFT + mode->index_bits * (level - 1);
}

/* May an entry at this level be a leaf by its large bit? Elsewhere that bit is ignored or reserved. */
static bool large_allowed(const struct walk_state *state, const struct mode *mode, unsigned level)
{
    if (level == 2)
        return mode->entry_bytes == 8 || (state->cr4 & CR4_PSE) != 0;
    return level == 3 && state->pages_1g;
}

static bool is_leaf(const struct walk_state *state, const struct mode *mode, unsigned level, uint64_t entry)
{
    return level == 1 || ((entry & ENTRY_LARGE) != 0 && large_allowed(state, mode, level));
}

/* The bits that must be zero in a present entry. */
static uint64_t reserved_bits(const struct walk_state *state, const struct mode *mode, unsigned level,
                              bool leaf)
{
    bool large = leaf && level > 1;
    if (mode->entry_bytes == 4) {
        unsigned address_bits = state->physical_bits < PSE36_ADDRESS ? state->physical_bits : PSE36_ADDRESS;
        return large ? bits(PSE36_LOW + address_bits - 32, shift_of(mode, 2)) : 0;
    }
    uint64_t reserved = bits(state->physical_bits, mode->long_mode ? 52 : 63);
    if ((state->efer & EFER_NXE) == 0)
        reserved |= ENTRY_XD;
    if (level > 2 && !large)
        reserved |= ENTRY_LARGE;
    if (large)
        reserved |= bits(FRAME_SHIFT + 1, shift_of(mode, level)); /* bit 12 chooses from the PAT */
    return reserved;
}

/* The memory that a leaf stands for, or the table that another entry leads to. */
static uint64_t entry_address(const struct mode *mode, unsigned level, uint64_t entry, bool leaf)
{
    uint64_t address = entry & bits(leaf ? shift_of(mode, level) : FRAME_SHIFT, 52);
    if (mode->entry_bytes == 4 && leaf && level == 2)
        address |= (entry & bits(PSE36_LOW, PSE36_LOW + PSE36_BITS)) << (32 - PSE36_LOW);
    return address;
}

/* The error code that every fault of this access has. */
static uint32_t access_error(const struct walk_state *state, struct walk_access access)
{
    bool nx_matters = (state->cr4 & CR4_PAE) != 0 && (state->efer & EFER_NXE) != 0;
    uint32_t error = access.user ? WALK_ERROR_USER : 0;
    if (access.kind == WALK_WRITE)
        error |= WALK_ERROR_WRITE;
    if (access.kind == WALK_FETCH && (nx_matters || (state->cr4 & CR4_SMEP) != 0))
        error |= WALK_ERROR_FETCH;
    return error;
}

/* What the entries on the way permit. */
struct rights {
    bool user;
    bool write;
    bool execute;
};

static bool permitted(const struct walk_state *state, struct walk_access access, struct rights rights)
{
    if (access.user && !rights.user)
        return false;
    if (access.kind == WALK_FETCH)
        return rights.execute && (access.user || !rights.user || (state->cr4 & CR4_SMEP) == 0);
    bool trusted = (state->rflags & RFLAGS_AC) != 0 && !access.implicit;
    if (!access.user && rights.user && (state->cr4 & CR4_SMAP) != 0 && !trusted)
        return false;
    return access.kind == WALK_READ || rights.write || (!access.user && (state->cr0 & CR0_WP) == 0);
}

static enum walk_status fault(struct walk_result *result, uint32_t error_code)
{
    result->error_code = error_code;
    return WALK_PAGE_FAULT;
}

/* Walks from the table at `table` down. */
static enum walk_status walk(const struct walk_state *state, const struct mode *mode, uint64_t table,
                             uint64_t address, struct walk_access access, struct walk_result *result)
{
    struct rights rights = {true, true, true};
    uint32_t error = access_error(state, access);
    for (unsigned level = mode->top_level;; level--) {
        unsigned shift = shift_of(mode, level);
        uint64_t index = address >> shift & bits(0, mode->index_bits);
        uint64_t entry = 0; /* the processors that this code is for keep the low byte first */
        result->gpa = gpa(table + index * mode->entry_bytes);
        if (!state->read(state->context, result->gpa, &entry, mode->entry_bytes))
            return WALK_UNREACHABLE;
        if ((entry & ENTRY_PRESENT) == 0)
            return fault(result, error);
        bool leaf = is_leaf(state, mode, level, entry);
        if ((entry & reserved_bits(state, mode, level, leaf)) != 0)
            return fault(result, error | WALK_ERROR_PRESENT | WALK_ERROR_RESERVED);
        rights.user = rights.user && (entry & ENTRY_USER) != 0;
        rights.write = rights.write && (entry & ENTRY_WRITE) != 0;
        rights.execute = rights.execute && (entry & ENTRY_XD) == 0;
        table = entry_address(mode, level, entry, leaf);
        if (!leaf)
            continue;
        if (!permitted(state, access, rights))
            return fault(result, error | WALK_ERROR_PRESENT);
        result->gpa = gpa(table + (address & bits(0, shift)));
        result->page_bytes = UINT64_C(1) << shift;
        return WALK_OK;
    }
}

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

enum walk_status walk_translate(const struct walk_state *state, uint64_t address, struct walk_access access,
                                struct walk_result *result)
{
    *result = (struct walk_result){.error_code = 0};
    if ((state->efer & EFER_LMA) != 0) {
        if ((state->cr4 & CR4_HIDDEN) != 0)
            return WALK_UNSUPPORTED;
        if (!is_canonical(address))
            return WALK_NOT_CANONICAL;
        return walk(state, &mode_long, state->cr3 & bits(FRAME_SHIFT, 52), address, access, result);
    }
    address &= UINT32_MAX;
    if ((state->cr0 & CR0_PG) == 0) {
        result->gpa = gpa(address);
        result->page_bytes = FRAME_BYTES;
        return WALK_OK;
    }
    if ((state->cr4 & CR4_HIDDEN & ~CR4_LA57) != 0)
        return WALK_UNSUPPORTED;
    if ((state->cr4 & CR4_PAE) == 0)
        return walk(state, &mode_32, state->cr3 & bits(FRAME_SHIFT, 32), address, access, result);
    /* The processor checked these when CR3 was loaded, and holds them since. */
    uint64_t pdpte = state->pdpte[address >> 30];
    if ((pdpte & ENTRY_PRESENT) == 0)
        return fault(result, access_error(state, access));
    return walk(state, &mode_pae, pdpte & bits(FRAME_SHIFT, 52), address, access, result);
}
