/*
 * TOML's statements, and which names they define: every key once, every table once. Names are found by
 * looking through a bounded list of all names so far; for a few hundred of them no more is needed.
 */
#include "boot/toml.h"

#include "hv/fmt.h"

enum node_kind {
    NODE_VALUE,    /* key = value */
    NODE_IMPLICIT, /* a table that only lies on the way to another: [it.other] */
    NODE_TABLE,    /* [it], the root, or one element of [[it]] */
    NODE_DOTTED,   /* a table made by a dotted key: it.key = value */
    NODE_ARRAY,    /* [[it]] */
};

#define ROOT 0

void toml_open(struct toml *toml, const char *text, size_t length, struct diag *diag)
{
    toml->failed = !toml_scan_open(&toml->scan, text, length, diag);
    toml->current = ROOT;
    toml->node_count = 1;
    toml->nodes[ROOT] = (struct toml_node){.kind = NODE_TABLE, .line = 1};
}

/* ------------------------------------------------------------------------------------------------- names */

static bool node_named(const struct toml *toml, const struct toml_node *node, const char *name)
{
    struct toml_scan again = toml->scan;
    struct toml_key key;
    struct diag unused;
    again.at = node->key_start;
    again.diag = &unused;
    bool sound = toml_scan_key(&again, &key);
    CHECK(sound); /* it was when it was first read */
    return fmt_equal(key.name, name);
}

/* The name inside a table, or NULL. Elements of arrays have no name: they are children of an array. */
static struct toml_node *find(struct toml *toml, uint16_t parent, const struct toml_key *key)
{
    for (uint16_t i = ROOT + 1; i < toml->node_count; i++)
        if (toml->nodes[i].parent == parent && node_named(toml, &toml->nodes[i], key->name))
            return &toml->nodes[i];
    return NULL;
}

static uint16_t index_of(const struct toml *toml, const struct toml_node *node)
{
    return (uint16_t)(node - toml->nodes);
}

/* A new name; NULL, with the diag filled, when there is no room. */
static struct toml_node *add(struct toml *toml, uint16_t parent, enum node_kind kind,
                             const struct toml_key *key)
{
    if (toml->node_count == TOML_MAX_NODES) {
        toml_fail(&toml->scan, key->pos,
                  "more than %u keys and tables: this file is too large to be a configuration",
                  TOML_MAX_NODES - 1u);
        return NULL;
    }
    struct toml_node *node = &toml->nodes[toml->node_count++];
    *node = (struct toml_node){
        .parent = parent, .kind = (uint8_t)kind, .line = key->pos.line, .key_start = key->start};
    return node;
}

static bool fail_duplicate(struct toml *toml, const struct toml_key *key, const struct toml_node *first)
{
    char shown[TOML_KEY_BYTES];
    toml_excerpt(shown, sizeof(shown), key->name, fmt_length(key->name, sizeof(key->name)));
    static const char *const remedies[] = {
        [NODE_VALUE] = "\"%s\" has a value already (line %u): keep one of the two",
        [NODE_IMPLICIT] = "\"%s\" is a table already (line %u): give this another name",
        [NODE_TABLE] = "the table [%s] is there already (line %u): put all its keys in one place",
        [NODE_DOTTED] = "\"%s\" is a table already, made by the dotted key in line %u: add to it there",
        [NODE_ARRAY] = "\"%s\" is a list of tables already (line %u): write [[...]] to add one",
    };
    return toml_fail(&toml->scan, key->pos, remedies[first->kind], shown, first->line);
}

/* Where a header goes on from `parent`: the table of that name, made when there is none. */
static bool enter_for_header(struct toml *toml, const struct toml_key *key, uint16_t *parent)
{
    struct toml_node *node = find(toml, *parent, key);
    if (node == NULL)
        node = add(toml, *parent, NODE_IMPLICIT, key);
    if (node == NULL)
        return false;
    if (node->kind == NODE_VALUE)
        return fail_duplicate(toml, key, node);
    *parent = node->kind == NODE_ARRAY ? node->last : index_of(toml, node);
    return true;
}

/* Where a dotted key goes on: as above, but a table of its own header is closed. */
static bool enter_for_key(struct toml *toml, const struct toml_key *key, uint16_t *parent)
{
    struct toml_node *node = find(toml, *parent, key);
    if (node == NULL)
        node = add(toml, *parent, NODE_DOTTED, key);
    if (node == NULL)
        return false;
    if (node->kind != NODE_DOTTED && node->kind != NODE_IMPLICIT)
        return fail_duplicate(toml, key, node);
    node->kind = NODE_DOTTED;
    *parent = index_of(toml, node);
    return true;
}

static bool define_value(struct toml *toml, const struct toml_item *item)
{
    uint16_t parent = toml->current;
    for (uint32_t i = 0; i + 1 < item->key_count; i++)
        if (!enter_for_key(toml, &item->keys[i], &parent))
            return false;
    const struct toml_key *key = &item->keys[item->key_count - 1];
    const struct toml_node *first = find(toml, parent, key);
    if (first != NULL)
        return fail_duplicate(toml, key, first);
    return add(toml, parent, NODE_VALUE, key) != NULL;
}

static bool define_table(struct toml *toml, uint16_t parent, const struct toml_key *key)
{
    struct toml_node *node = find(toml, parent, key);
    if (node == NULL)
        node = add(toml, parent, NODE_IMPLICIT, key);
    if (node == NULL)
        return false;
    if (node->kind != NODE_IMPLICIT)
        return fail_duplicate(toml, key, node);
    node->kind = NODE_TABLE;
    toml->current = index_of(toml, node);
    return true;
}

static bool define_element(struct toml *toml, uint16_t parent, const struct toml_key *key)
{
    struct toml_node *array = find(toml, parent, key);
    if (array == NULL)
        array = add(toml, parent, NODE_ARRAY, key);
    if (array == NULL)
        return false;
    if (array->kind != NODE_ARRAY)
        return fail_duplicate(toml, key, array);
    struct toml_node *element = add(toml, index_of(toml, array), NODE_TABLE, key);
    if (element == NULL)
        return false;
    toml->current = array->last = index_of(toml, element);
    return true;
}

static bool define_header(struct toml *toml, const struct toml_item *item, bool array)
{
    uint16_t parent = ROOT;
    for (uint32_t i = 0; i + 1 < item->key_count; i++)
        if (!enter_for_header(toml, &item->keys[i], &parent))
            return false;
    const struct toml_key *key = &item->keys[item->key_count - 1];
    return array ? define_element(toml, parent, key) : define_table(toml, parent, key);
}

/* -------------------------------------------------------------------------------------------- statements */

/* a.b."c", with blanks around the dots and behind. */
static bool scan_keys(struct toml *toml, struct toml_item *item)
{
    struct toml_scan *scan = &toml->scan;
    for (;;) {
        toml_skip_blanks(scan);
        if (item->key_count == TOML_MAX_KEYS)
            return toml_fail(scan, toml_pos(scan), "more than %u parts in one key: no setting lies that deep",
                             TOML_MAX_KEYS);
        if (!toml_scan_key(scan, &item->keys[item->key_count++]))
            return false;
        toml_skip_blanks(scan);
        if (!toml_take(scan, '.'))
            return true;
    }
}

static bool read_header(struct toml *toml, struct toml_item *item, bool *array)
{
    struct toml_scan *scan = &toml->scan;
    toml_take(scan, '[');
    *array = toml_take(scan, '[');
    if (!scan_keys(toml, item))
        return false;
    bool closed = toml_take(scan, ']') && (!*array || toml_take(scan, ']'));
    if (!closed)
        return toml_fail_found(scan, *array ? "expected ]] after the name of the table"
                                            : "expected ] after the name of the table");
    return define_header(toml, item, *array) && toml_finish_line(scan);
}

static bool read_value(struct toml *toml, struct toml_item *item)
{
    struct toml_scan *scan = &toml->scan;
    if (!scan_keys(toml, item))
        return false;
    if (!toml_take(scan, '='))
        return toml_fail_found(scan, "expected = after the key");
    if (!define_value(toml, item))
        return false;
    toml_skip_blanks(scan);
    return toml_scan_value(scan, &item->value) && toml_finish_line(scan);
}

/* The next statement; *event says which. False on an error. */
static bool read_statement(struct toml *toml, struct toml_item *item, enum toml_event *event)
{
    if (!toml_skip_lines(&toml->scan))
        return false;
    item->pos = toml_pos(&toml->scan);
    item->key_count = 0;
    if (toml_peek(&toml->scan) == TOML_END_OF_TEXT) {
        *event = TOML_EVENT_END;
        return true;
    }
    if (toml_peek(&toml->scan) != '[') {
        *event = TOML_EVENT_VALUE;
        return read_value(toml, item);
    }
    bool array = false;
    bool sound = read_header(toml, item, &array);
    *event = array ? TOML_EVENT_ARRAY_TABLE : TOML_EVENT_TABLE;
    return sound;
}

enum toml_event toml_next(struct toml *toml, struct toml_item *item)
{
    enum toml_event event = TOML_EVENT_ERROR;
    if (!toml->failed)
        toml->failed = !read_statement(toml, item, &event);
    return toml->failed ? TOML_EVENT_ERROR : event;
}
