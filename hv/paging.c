/*
 * The hypervisor's own page tables: what the entries of the tree mean to a processor in long mode.
 * Must never make a page that is both writable and executable.
 */
#include "hv/paging.h"

#define ALL_FLAGS (PAGE_WRITE | PAGE_EXECUTE | PAGE_WRITE_COMBINING | PAGE_UNCACHED | PAGE_ALLOW_1G)

/* Where the upper half of the canonical addresses begins, and in 48 bits. */
#define UPPER_HALF    UINT64_C(0xffff800000000000)
#define UPPER_HALF_48 (RADIX_LIMIT / 2)

static struct radix tree_of(hpa_t root, const struct frame_source *source, uint32_t flags)
{
    return (struct radix){
        .root = root,
        .source = source,
        .present = PAGING_ENTRY_PRESENT,
        .link = PAGING_ENTRY_PRESENT | PAGING_ENTRY_WRITE,
        .pages_2m = true,
        .pages_1g = (flags & PAGE_ALLOW_1G) != 0,
    };
}

static bool is_canonical(uint64_t va)
{
    return va < UPPER_HALF_48 || va >= UPPER_HALF;
}

/* The 48 bits of an address that take part in translation, and back. */
static uint64_t to_48(uint64_t va)
{
    return va & (RADIX_LIMIT - 1);
}

static uint64_t from_48(uint64_t address)
{
    return address < UPPER_HALF_48 ? address : address | UPPER_HALF;
}

/* Canonical from the first to the last byte. The upper half ends where the tree does, which looks to that end
 * itself. */
static bool range_canonical(uint64_t va, uint64_t bytes)
{
    return is_canonical(va) && (va >= UPPER_HALF || (bytes <= UPPER_HALF_48 && va <= UPPER_HALF_48 - bytes));
}

static bool flags_valid(uint32_t flags)
{
    uint32_t both = PAGE_WRITE | PAGE_EXECUTE, types = PAGE_WRITE_COMBINING | PAGE_UNCACHED;
    return (flags & ~ALL_FLAGS) == 0 && (flags & both) != both && (flags & types) != types;
}

static uint64_t leaf_bits(uint32_t flags)
{
    uint64_t bits = PAGING_ENTRY_PRESENT;
    if ((flags & PAGE_WRITE) != 0)
        bits |= PAGING_ENTRY_WRITE;
    if ((flags & PAGE_EXECUTE) == 0)
        bits |= PAGING_ENTRY_NX;
    if ((flags & PAGE_WRITE_COMBINING) != 0)
        bits |= PAGING_ENTRY_PWT;
    if ((flags & PAGE_UNCACHED) != 0)
        bits |= PAGING_ENTRY_PWT | PAGING_ENTRY_PCD;
    return bits;
}

enum paging_status paging_map(hpa_t root, const struct frame_source *source, uint64_t va, hpa_t hpa,
                              uint64_t bytes, uint32_t flags)
{
    if (!range_canonical(va, bytes) || !flags_valid(flags))
        return PAGING_E_ARGUMENT;
    struct radix tree = tree_of(root, source, flags);
    return (enum paging_status)radix_map(&tree, to_48(va), hpa, bytes, leaf_bits(flags));
}

enum paging_status paging_unmap(hpa_t root, const struct frame_source *source, uint64_t va, uint64_t bytes)
{
    if (!range_canonical(va, bytes))
        return PAGING_E_ARGUMENT;
    struct radix tree = tree_of(root, source, 0);
    return (enum paging_status)radix_unmap(&tree, to_48(va), bytes);
}

/* The leaf a walk for `address` (48 bits) ended at; false when it ended at nothing. */
static bool leaf_at(const struct radix *tree, const struct radix_place *place, uint64_t address,
                    struct paging_leaf *leaf)
{
    if (!radix_is_present(tree, place))
        return false;
    *leaf = (struct paging_leaf){
        .va = from_48(align_down(address, radix_span(place->level))),
        .hpa = radix_leaf_start(place),
        .bytes = radix_span(place->level),
        .entry = place->value,
        .writable = (place->all & PAGING_ENTRY_WRITE) != 0,
        .executable = (place->any & PAGING_ENTRY_NX) == 0,
        .user = (place->all & PAGING_ENTRY_USER) != 0,
    };
    return true;
}

bool paging_walk(hpa_t root, const struct frame_source *source, uint64_t va, struct paging_leaf *leaf)
{
    if (!is_canonical(va))
        return false;
    struct radix tree = tree_of(root, source, 0);
    struct radix_place place = radix_walk(&tree, to_48(va), PAGING_LEVEL_PT);
    return leaf_at(&tree, &place, to_48(va), leaf);
}

void paging_each(hpa_t root, const struct frame_source *source,
                 bool (*visit)(void *context, const struct paging_leaf *leaf), void *context)
{
    struct radix tree = tree_of(root, source, 0);
    for (uint64_t address = 0; address < RADIX_LIMIT;) {
        struct radix_place place = radix_walk(&tree, address, PAGING_LEVEL_PT);
        struct paging_leaf leaf;
        if (leaf_at(&tree, &place, address, &leaf) && !visit(context, &leaf))
            return;
        address += radix_span(place.level);
    }
}

uint64_t *paging_entry(hpa_t root, const struct frame_source *source, uint64_t va, unsigned level)
{
    if (!is_canonical(va))
        return NULL;
    struct radix tree = tree_of(root, source, 0);
    struct radix_place place = radix_walk(&tree, to_48(va), level);
    return place.level == level ? place.entry : NULL;
}
