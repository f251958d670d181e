/*
 * Translation tables, whatever their entries mean. Every operation walks down from the root anew: a few reads
 * more, but no state to keep, no recursion, and each step sees the live tree.
 * Must never let a reader meet a table that is not yet valid, and never change a translation when it refuses.
 */
#include "alloc/radix.h"

#define INDEX_BITS 9

static unsigned index_shift(unsigned level)
{
    return FRAME_SHIFT + INDEX_BITS * (level - 1);
}

uint64_t radix_span(unsigned level)
{
    return UINT64_C(1) << index_shift(level);
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

bool radix_is_present(const struct radix *radix, const struct radix_place *place)
{
    return (place->value & radix->present) != 0;
}

bool radix_is_table(const struct radix *radix, const struct radix_place *place)
{
    return radix_is_present(radix, place) && place->level > 1 && (place->value & RADIX_LARGE) == 0;
}

hpa_t radix_leaf_start(const struct radix_place *place)
{
    return hpa(align_down(place->value & RADIX_ADDRESS, radix_span(place->level)));
}

struct radix_place radix_walk(const struct radix *radix, uint64_t address, unsigned level)
{
    struct radix_place place = {.all = UINT64_MAX, .any = 0};
    hpa_t table = radix->root;
    for (place.level = RADIX_LEVELS;; place.level--) {
        uint64_t *entries = radix->source->reach(radix->source->context, table);
        place.entry = &entries[(address >> index_shift(place.level)) % RADIX_ENTRIES];
        place.value = entry_read(place.entry);
        place.all &= place.value;
        place.any |= place.value;
        if (place.level == level || !radix_is_table(radix, &place))
            return place;
        table = hpa(place.value & RADIX_ADDRESS);
    }
}

static bool take_table(struct radix *radix, hpa_t *frame)
{
    if (!radix->source->take(radix->source->context, frame))
        return false;
    radix->table_count++;
    return true;
}

enum radix_status radix_init(struct radix *radix)
{
    return take_table(radix, &radix->root) ? RADIX_OK : RADIX_E_NO_FRAME;
}

static bool range_valid(uint64_t start, uint64_t bytes, uint64_t limit)
{
    return bytes > 0 && is_aligned(start | bytes, FRAME_BYTES) && bytes <= limit && start <= limit - bytes;
}

/* --------------------------------------------------------------------------------------------- mapping */

/* What of a mapping is still to be done. */
struct mapping {
    uint64_t address;
    uint64_t target;
    uint64_t bytes;
    uint64_t leaf_bits;
};

/* May the mapping begin with a leaf of this level? */
static bool leaf_fits(const struct radix *radix, const struct mapping *rest, unsigned level)
{
    if ((level == 3 && !radix->pages_1g) || (level == 2 && !radix->pages_2m))
        return false;
    return is_aligned(rest->address | rest->target, radix_span(level)) && rest->bytes >= radix_span(level);
}

/*
 * The three passes over a mapping. EXAMINE only looks, PREPARE adds the empty tables that are missing, COMMIT
 * writes the leaves and cannot fail.
 */
enum pass { EXAMINE, PREPARE, COMMIT };

/* Does one pass's work for the first leaf of the mapping; *bytes: how much that leaf covers. */
static enum radix_status map_leaf(struct radix *radix, const struct mapping *rest, enum pass pass,
                                  uint64_t *bytes)
{
    unsigned level = RADIX_LEVELS - 1;
    while (!leaf_fits(radix, rest, level))
        level--;
    struct radix_place place = radix_walk(radix, rest->address, level);
    while (radix_is_table(radix, &place))
        place = radix_walk(radix, rest->address, --level);
    *bytes = radix_span(level);
    if (radix_is_present(radix, &place))
        return RADIX_E_MAPPED;
    while (pass == PREPARE && place.level > level) {
        hpa_t frame;
        if (!take_table(radix, &frame))
            return RADIX_E_NO_FRAME;
        entry_write(place.entry, frame.value | radix->link);
        place = radix_walk(radix, rest->address, place.level - 1);
    }
    if (pass == COMMIT) {
        CHECK(place.level == level);
        entry_write(place.entry, rest->target | rest->leaf_bits | (level > 1 ? RADIX_LARGE : 0));
    }
    return RADIX_OK;
}

static enum radix_status map_pass(struct radix *radix, struct mapping rest, enum pass pass)
{
    while (rest.bytes > 0) {
        uint64_t bytes;
        enum radix_status status = map_leaf(radix, &rest, pass, &bytes);
        if (status != RADIX_OK)
            return status;
        rest.address += bytes;
        rest.target += bytes;
        rest.bytes -= bytes;
    }
    return RADIX_OK;
}

enum radix_status radix_map(struct radix *radix, uint64_t address, hpa_t target, uint64_t bytes,
                            uint64_t leaf_bits)
{
    if (!range_valid(address, bytes, RADIX_LIMIT) || !range_valid(target.value, bytes, PHYSICAL_LIMIT))
        return RADIX_E_ARGUMENT;
    struct mapping mapping = {address, target.value, bytes, leaf_bits};
    enum radix_status status = map_pass(radix, mapping, EXAMINE);
    if (status == RADIX_OK)
        status = map_pass(radix, mapping, PREPARE);
    if (status == RADIX_OK)
        status = map_pass(radix, mapping, COMMIT);
    return status;
}

/* ------------------------------------------------------------------------------------------- unmapping */

enum radix_status radix_unmap(struct radix *radix, uint64_t start, uint64_t bytes)
{
    if (!range_valid(start, bytes, RADIX_LIMIT))
        return RADIX_E_ARGUMENT;
    uint64_t end = start + bytes;
    for (uint64_t address = start; address < end;) {
        struct radix_place place = radix_walk(radix, address, 1);
        uint64_t leaf_bytes = radix_span(place.level);
        if (!radix_is_present(radix, &place))
            return RADIX_E_UNMAPPED;
        if (!is_aligned(address, leaf_bytes) || end - address < leaf_bytes)
            return RADIX_E_ARGUMENT;
        address += leaf_bytes;
    }
    for (uint64_t address = start; address < end;) {
        struct radix_place place = radix_walk(radix, address, 1);
        entry_write(place.entry, 0);
        address += radix_span(place.level);
    }
    return RADIX_OK;
}

/* ---------------------------------------------------------------------------------------- all tables */

/* Visits the tables that entries at this level lead to; false when told to stop. */
static bool each_table_below(const struct radix *radix, unsigned level,
                             bool (*visit)(void *context, hpa_t table), void *context)
{
    for (uint64_t address = 0; address < RADIX_LIMIT;) {
        struct radix_place place = radix_walk(radix, address, level);
        if (radix_is_table(radix, &place) && !visit(context, hpa(place.value & RADIX_ADDRESS)))
            return false;
        address += radix_span(place.level);
    }
    return true;
}

void radix_each_table(const struct radix *radix, bool (*visit)(void *context, hpa_t table), void *context)
{
    bool go_on = visit(context, radix->root);
    for (unsigned level = RADIX_LEVELS; go_on && level > 1; level--)
        go_on = each_table_below(radix, level, visit, context);
}

static bool give_table(void *context, hpa_t table)
{
    struct radix *radix = context;
    radix->source->give(radix->source->context, table);
    radix->table_count--;
    return true;
}

void radix_destroy(struct radix *radix)
{
    /* From the leaves up: no walk passes through a table that has been given back. */
    for (unsigned level = 2; level <= RADIX_LEVELS; level++)
        each_table_below(radix, level, give_table, radix);
    give_table(radix, radix->root);
}
