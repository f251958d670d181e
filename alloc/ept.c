/*
 * Second-stage page tables. Every operation walks down from the root anew: a few reads more, but no state to
 * keep, no recursion, and each step sees the live table.
 * Must never let a reader meet a table that is not yet valid, and never change a translation when it refuses.
 * Source: Intel SDM volume 3C, section "EPT Translation Mechanism" (order number 325384, 2023).
 */
#include "alloc/ept.h"

#define LEVELS            4
#define ENTRIES           512
#define INDEX_BITS        9
#define GUEST_LIMIT       (UINT64_C(1) << 48) /* what four levels translate */
#define ENTRY_PERMISSIONS UINT64_C(7)
#define ENTRY_TYPE_SHIFT  3
#define ENTRY_TYPE        (UINT64_C(7) << ENTRY_TYPE_SHIFT)
#define ENTRY_LARGE       (UINT64_C(1) << 7) /* a leaf above the last level */
#define ENTRY_ADDRESS     (PHYSICAL_LIMIT - FRAME_BYTES)

#define POINTER_WALK_SHIFT     3 /* holds the number of levels less one */
#define POINTER_ACCESSED_DIRTY (UINT64_C(1) << 6)

/* Tables at level 1 are page tables, at level LEVELS is the root. */
static unsigned index_shift(unsigned level)
{
    return FRAME_SHIFT + INDEX_BITS * (level - 1);
}

/* Bytes that one entry of a table stands for. */
static uint64_t span(unsigned level)
{
    return UINT64_C(1) << index_shift(level);
}

static bool is_present(uint64_t entry)
{
    return (entry & ENTRY_PERMISSIONS) != 0;
}

static bool is_table(uint64_t entry, unsigned level)
{
    return is_present(entry) && level > 1 && (entry & ENTRY_LARGE) == 0;
}

static uint64_t *table_at(const struct ept *ept, uint64_t address)
{
    return ept->source->reach(ept->source->context, hpa(address));
}

/* A processor may be walking: it must see a table's contents before the entry that leads to it. */
static void entry_write(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static uint64_t entry_read(const uint64_t *entry)
{
    return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

/* Where a walk ended. */
struct place {
    uint64_t *entry;
    uint64_t value;       /* of the entry */
    unsigned level;       /* of the table the entry is in */
    uint32_t permissions; /* of the whole path, the entry included */
};

/* Walks towards the entry for `address` at `level`, which it reaches unless a leaf or nothing comes before.
 */
static struct place walk_to(const struct ept *ept, uint64_t address, unsigned level)
{
    struct place place = {.permissions = EPT_RWX};
    uint64_t table = ept->root.value;
    for (place.level = LEVELS;; place.level--) {
        place.entry = table_at(ept, table) + (address >> index_shift(place.level)) % ENTRIES;
        place.value = entry_read(place.entry);
        place.permissions &= place.value & ENTRY_PERMISSIONS;
        if (place.level == level || !is_table(place.value, place.level))
            return place;
        table = place.value & ENTRY_ADDRESS;
    }
}

static bool take_table(struct ept *ept, hpa_t *frame)
{
    if (!ept->source->take(ept->source->context, frame))
        return false;
    ept->table_count++;
    return true;
}

enum ept_status ept_init(struct ept *ept, const struct frame_source *source, bool pages_2m, bool pages_1g)
{
    *ept = (struct ept){.source = source, .pages_2m = pages_2m, .pages_1g = pages_1g};
    return take_table(ept, &ept->root) ? EPT_OK : EPT_E_NO_FRAME;
}

/* --------------------------------------------------------------------------------------------- mapping */

static bool mapping_valid(const struct ept_mapping *mapping)
{
    uint64_t all = mapping->gpa.value | mapping->hpa.value | mapping->bytes;
    if (mapping->bytes == 0 || !is_aligned(all, FRAME_BYTES) || mapping->bytes > GUEST_LIMIT ||
        mapping->gpa.value > GUEST_LIMIT - mapping->bytes ||
        mapping->hpa.value > PHYSICAL_LIMIT - mapping->bytes)
        return false;
    /* A leaf that may be written but not read is a misconfiguration. */
    if ((mapping->permissions & ~EPT_RWX) != 0 || (mapping->permissions & (EPT_READ | EPT_EXECUTE)) == 0 ||
        (mapping->permissions & EPT_RWX) == (EPT_WRITE | EPT_EXECUTE))
        return false;
    switch (mapping->type) {
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

/* May the mapping begin with a leaf of this level? */
static bool leaf_fits(const struct ept *ept, const struct ept_mapping *rest, unsigned level)
{
    if ((level == 3 && !ept->pages_1g) || (level == 2 && !ept->pages_2m))
        return false;
    return is_aligned(rest->gpa.value | rest->hpa.value, span(level)) && rest->bytes >= span(level);
}

/*
 * The three passes over a mapping. EXAMINE only looks, PREPARE adds the empty tables that are missing, COMMIT
 * writes the leaves and cannot fail.
 */
enum pass { EXAMINE, PREPARE, COMMIT };

static uint64_t leaf_make(const struct ept_mapping *rest, unsigned level)
{
    return rest->hpa.value | rest->permissions | (uint64_t)rest->type << ENTRY_TYPE_SHIFT |
           (level > 1 ? ENTRY_LARGE : 0);
}

/* Does one pass's work for the first leaf of the mapping; *bytes: how much that leaf covers. */
static enum ept_status map_leaf(struct ept *ept, const struct ept_mapping *rest, enum pass pass,
                                uint64_t *bytes)
{
    /* The largest leaf that fits; a table that stands in its place already means smaller ones. */
    unsigned level = LEVELS - 1;
    while (!leaf_fits(ept, rest, level))
        level--;
    struct place place = walk_to(ept, rest->gpa.value, level);
    while (is_table(place.value, place.level))
        place = walk_to(ept, rest->gpa.value, --level);
    *bytes = span(level);
    if (is_present(place.value))
        return EPT_E_MAPPED;
    while (pass == PREPARE && place.level > level) {
        hpa_t frame;
        if (!take_table(ept, &frame))
            return EPT_E_NO_FRAME;
        entry_write(place.entry, frame.value | EPT_RWX);
        place = walk_to(ept, rest->gpa.value, place.level - 1);
    }
    if (pass == COMMIT) {
        CHECK(place.level == level);
        entry_write(place.entry, leaf_make(rest, level));
    }
    return EPT_OK;
}

static enum ept_status map_pass(struct ept *ept, struct ept_mapping rest, enum pass pass)
{
    while (rest.bytes > 0) {
        uint64_t bytes;
        enum ept_status status = map_leaf(ept, &rest, pass, &bytes);
        if (status != EPT_OK)
            return status;
        rest.gpa.value += bytes;
        rest.hpa.value += bytes;
        rest.bytes -= bytes;
    }
    return EPT_OK;
}

enum ept_status ept_map(struct ept *ept, struct ept_mapping mapping)
{
    if (!mapping_valid(&mapping))
        return EPT_E_ARGUMENT;
    enum ept_status status = map_pass(ept, mapping, EXAMINE);
    if (status == EPT_OK)
        status = map_pass(ept, mapping, PREPARE);
    if (status == EPT_OK)
        status = map_pass(ept, mapping, COMMIT);
    return status;
}

/* ------------------------------------------------------------------------------------------- unmapping */

enum ept_status ept_unmap(struct ept *ept, gpa_t start, uint64_t bytes)
{
    if (bytes == 0 || !is_aligned(start.value | bytes, FRAME_BYTES) || bytes > GUEST_LIMIT ||
        start.value > GUEST_LIMIT - bytes)
        return EPT_E_ARGUMENT;
    uint64_t end = start.value + bytes;
    for (uint64_t address = start.value; address < end;) {
        struct place place = walk_to(ept, address, 1);
        if (!is_present(place.value))
            return EPT_E_UNMAPPED;
        if (!is_aligned(address, span(place.level)) || end - address < span(place.level))
            return EPT_E_ARGUMENT;
        address += span(place.level);
    }
    for (uint64_t address = start.value; address < end;) {
        struct place place = walk_to(ept, address, 1);
        entry_write(place.entry, 0);
        address += span(place.level);
    }
    return EPT_OK;
}

/* ------------------------------------------------------------------------------------------- questions */

/* The leaf a walk for `address` ended at; false when it ended at nothing. */
static bool leaf_of(const struct place *place, uint64_t address, struct ept_leaf *leaf)
{
    if (!is_present(place->value))
        return false;
    uint64_t bytes = span(place->level);
    *leaf = (struct ept_leaf){
        .gpa = gpa(align_down(address, bytes)),
        .hpa = hpa(align_down(place->value & ENTRY_ADDRESS, bytes)),
        .bytes = bytes,
        .permissions = place->permissions,
        .type = (enum ept_memory_type)((place->value & ENTRY_TYPE) >> ENTRY_TYPE_SHIFT),
    };
    return true;
}

bool ept_walk(const struct ept *ept, gpa_t address, struct ept_leaf *leaf)
{
    if (address.value >= GUEST_LIMIT)
        return false;
    struct place place = walk_to(ept, address.value, 1);
    return leaf_of(&place, address.value, leaf);
}

void ept_each(const struct ept *ept, bool (*visit)(void *context, const struct ept_leaf *leaf), void *context)
{
    for (uint64_t address = 0; address < GUEST_LIMIT;) {
        struct place place = walk_to(ept, address, 1);
        struct ept_leaf leaf;
        if (leaf_of(&place, address, &leaf) && !visit(context, &leaf))
            return;
        address += span(place.level);
    }
}

/* Visits the tables that entries at this level lead to; false when told to stop. */
static bool each_table_below(const struct ept *ept, unsigned level, bool (*visit)(void *context, hpa_t table),
                             void *context)
{
    for (uint64_t address = 0; address < GUEST_LIMIT;) {
        struct place place = walk_to(ept, address, level);
        if (is_table(place.value, place.level) && !visit(context, hpa(place.value & ENTRY_ADDRESS)))
            return false;
        address += span(place.level);
    }
    return true;
}

void ept_each_table(const struct ept *ept, bool (*visit)(void *context, hpa_t table), void *context)
{
    bool go_on = visit(context, ept->root);
    for (unsigned level = LEVELS; go_on && level > 1; level--)
        go_on = each_table_below(ept, level, visit, context);
}

static bool give_table(void *context, hpa_t table)
{
    struct ept *ept = context;
    ept->source->give(ept->source->context, table);
    ept->table_count--;
    return true;
}

void ept_destroy(struct ept *ept)
{
    if (ept->source->give == NULL)
        return;
    /* From the leaves up: no walk passes through a table that has been given back. */
    for (unsigned level = 2; level <= LEVELS; level++)
        each_table_below(ept, level, give_table, ept);
    give_table(ept, ept->root);
    CHECK(ept->table_count == 0);
}

uint32_t ept_tables_bound(uint64_t bytes, uint32_t pieces)
{
    /* A piece of n bytes touches at most n / span + 2 entries of a level; each may need a table below it. */
    uint64_t tables = 1;
    for (unsigned level = LEVELS; level > 2; level--)
        tables += bytes / span(level) + 2 * (uint64_t)pieces;
    return (uint32_t)min_u64(tables, UINT32_MAX);
}

uint64_t ept_pointer(const struct ept *ept, bool accessed_dirty)
{
    return ept->root.value | (LEVELS - 1) << POINTER_WALK_SHIFT | EPT_WB |
           (accessed_dirty ? POINTER_ACCESSED_DIRTY : 0);
}
