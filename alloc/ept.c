/*
 * Second-stage page tables: what the entries of the tree mean to a processor in VMX operation.
 * Must never make an entry that the processor calls a misconfiguration.
 * Source: Intel SDM volume 3C, section "EPT Translation Mechanism" (order number 325384, 2023).
 */
#include "alloc/ept.h"

/* Bit 6 (ignore the guest's PAT) stays 0: the guest's type and ours combine as the manual says. */
#define ENTRY_TYPE_SHIFT 3
#define ENTRY_TYPE_MASK  7u

#define POINTER_WALK_SHIFT     3 /* holds the number of levels less one */
#define POINTER_ACCESSED_DIRTY (UINT64_C(1) << 6)

static struct radix tree_of(const struct ept *ept)
{
    return (struct radix){
        .root = ept->root,
        .source = ept->source,
        .present = EPT_RWX,
        .link = EPT_RWX,
        .pages_2m = ept->pages_2m,
        .pages_1g = ept->pages_1g,
        .table_count = ept->table_count,
    };
}

enum ept_status ept_init(struct ept *ept, const struct frame_source *source, bool pages_2m, bool pages_1g)
{
    *ept = (struct ept){.source = source, .pages_2m = pages_2m, .pages_1g = pages_1g};
    struct radix tree = tree_of(ept);
    enum radix_status status = radix_init(&tree);
    ept->root = tree.root;
    ept->table_count = tree.table_count;
    return (enum ept_status)status;
}

static bool permissions_valid(uint32_t permissions)
{
    switch (permissions) {
    case EPT_READ:
    case EPT_EXECUTE:
    case EPT_READ | EPT_WRITE:
    case EPT_READ | EPT_EXECUTE:
    case EPT_RWX:
        return true;
    default: /* nothing, or writable but not readable */
        return false;
    }
}

static bool type_valid(enum ept_memory_type type)
{
    switch (type) {
    case EPT_UC:
    case EPT_WC:
    case EPT_WT:
    case EPT_WP:
    case EPT_WB:
        return true;
    default:
        return false;
    }
}

enum ept_status ept_map(struct ept *ept, struct ept_mapping mapping)
{
    if (!permissions_valid(mapping.permissions) || !type_valid(mapping.type))
        return EPT_E_ARGUMENT;
    struct radix tree = tree_of(ept);
    enum radix_status status = radix_map(&tree, mapping.gpa.value, mapping.hpa, mapping.bytes,
                                         mapping.permissions | (uint64_t)mapping.type << ENTRY_TYPE_SHIFT);
    ept->table_count = tree.table_count;
    return (enum ept_status)status;
}

enum ept_status ept_unmap(struct ept *ept, gpa_t start, uint64_t bytes)
{
    struct radix tree = tree_of(ept);
    return (enum ept_status)radix_unmap(&tree, start.value, bytes);
}

/* The leaf a walk for `address` ended at; false when it ended at nothing. */
static bool leaf_at(const struct radix *tree, const struct radix_place *place, uint64_t address,
                    struct ept_leaf *leaf)
{
    if (!radix_is_present(tree, place))
        return false;
    *leaf = (struct ept_leaf){
        .gpa = gpa(align_down(address, radix_span(place->level))),
        .hpa = radix_leaf_start(place),
        .bytes = radix_span(place->level),
        .permissions = (uint32_t)place->all & EPT_RWX,
        .type = (enum ept_memory_type)(place->value >> ENTRY_TYPE_SHIFT & ENTRY_TYPE_MASK),
    };
    return true;
}

bool ept_walk(const struct ept *ept, gpa_t address, struct ept_leaf *leaf)
{
    if (address.value >= RADIX_LIMIT)
        return false;
    struct radix tree = tree_of(ept);
    struct radix_place place = radix_walk(&tree, address.value, 1);
    return leaf_at(&tree, &place, address.value, leaf);
}

void ept_each(const struct ept *ept, bool (*visit)(void *context, const struct ept_leaf *leaf), void *context)
{
    struct radix tree = tree_of(ept);
    const uint64_t *last_table = NULL; /* of the lowest level, whose first entry was met last */
    for (uint64_t address = 0; address < RADIX_LIMIT;) {
        struct radix_place place = radix_walk(&tree, address, 1);
        bool new_table = place.level == 1 && is_aligned(address, radix_span(2));
        if (new_table && place.entry == last_table) {
            address += radix_span(2); /* the neighbour leads to the same table: nothing new is reachable */
            continue;
        }
        if (new_table)
            last_table = place.entry;
        struct ept_leaf leaf;
        if (leaf_at(&tree, &place, address, &leaf) && !visit(context, &leaf))
            return;
        address += radix_span(place.level);
    }
}

void ept_each_table(const struct ept *ept, bool (*visit)(void *context, hpa_t table), void *context)
{
    struct radix tree = tree_of(ept);
    radix_each_table(&tree, visit, context);
}

void ept_destroy(struct ept *ept)
{
    if (ept->source->give == NULL)
        return;
    struct radix tree = tree_of(ept);
    radix_destroy(&tree);
    CHECK(tree.table_count == 0);
    ept->table_count = 0;
}

uint32_t ept_tables_bound(uint64_t bytes, uint32_t pieces)
{
    /* A piece of n bytes touches at most n / span + 2 entries of a level; each may need a table below it. */
    uint64_t tables = 1;
    for (unsigned level = RADIX_LEVELS; level > 2; level--)
        tables += bytes / radix_span(level) + 2 * (uint64_t)pieces;
    return (uint32_t)min_u64(tables, UINT32_MAX);
}

uint64_t ept_pointer(const struct ept *ept, bool accessed_dirty)
{
    return ept->root.value | (RADIX_LEVELS - 1) << POINTER_WALK_SHIFT | EPT_WB |
           (accessed_dirty ? POINTER_ACCESSED_DIRTY : 0);
}
