/*
 * freehold.toml: which settings there are, what they may say, and what they mean when left out. Sees the text
 * through boot/toml.h only. Must never accept half a configuration: the first error ends the reading.
 */
#include "boot/toml.h"
#include "hv/builtins.h"
#include "hv/fmt.h"
#include "hv/machine.h"

#define BUILTIN_PREFIX "builtin:"
#define IMAGE_ROOT     "freehold" /* the directory that image paths start in */

#define MEMORY_MIN        (4 * MIB)
#define RESTARTS_MAX      1000000
#define TIME_LIMIT_MAX    1000000000 /* seconds: times any TSC frequency, it fits 64 bits */
#define EXIT_CODE_MAX     255
#define SHOWN_BYTES       48 /* of a wrong value, in a message */
#define LIST_BYTES        200
#define NEAREST_MAX_BYTES 32

struct parser {
    struct toml toml;
    struct config *config;
    struct partition_config *partition; /* the one being read; NULL before the first */
    uint32_t seen;                      /* bit i: partition_rules[i] was set in it */
};

/* One setting. */
struct rule {
    const char *name;
    enum toml_type type;
    bool required;
    const char *example; /* a whole line, for messages */
    bool (*set)(struct parser *parser, const struct toml_value *value);
};

#define fail(parser, pos, ...) toml_fail(&(parser)->toml.scan, pos, __VA_ARGS__)

/* ------------------------------------------------------------------------------------ did you mean ...? */

/* A list of names, by index. */
struct names {
    unsigned count;
    const char *(*at)(unsigned index);
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* How many letters to insert, delete or replace to make `b` (its first NEAREST_MAX_BYTES letters) of `a`,
 * case aside: Levenshtein's distance. `a` is shorter than 200 letters, so that a byte holds it. */
static size_t edit_distance(const char *a, const char *b)
{
    uint8_t row[NEAREST_MAX_BYTES + 1]; /* row[j]: distance between a's first i and b's first j letters */
    size_t b_bytes = fmt_length(b, NEAREST_MAX_BYTES);
    for (size_t j = 0; j <= b_bytes; j++)
        row[j] = (uint8_t)j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        uint8_t diagonal = row[0];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b_bytes; j++) {
            uint8_t replaced = (uint8_t)(diagonal + (lower(a[i - 1]) != lower(b[j - 1])));
            uint8_t inserted = (uint8_t)(row[j - 1] + 1), deleted = (uint8_t)(row[j] + 1);
            diagonal = row[j];
            row[j] = (uint8_t)min_u64(replaced, min_u64(inserted, deleted));
        }
    }
    return row[b_bytes];
}

/* The known name that `word` is most likely meant to be, or NULL when none is near. */
static const char *nearest(const char *word, struct names names)
{
    size_t bytes = fmt_length(word, NEAREST_MAX_BYTES);
    const char *best = NULL;
    size_t best_distance = bytes / 3 + 2;
    if (bytes == NEAREST_MAX_BYTES)
        return NULL;
    for (unsigned i = 0; i < names.count; i++) {
        const char *name = names.at(i);
        size_t name_bytes = fmt_length(name, NEAREST_MAX_BYTES);
        bool prefix = bytes >= 3 && bytes < name_bytes && __builtin_memcmp(word, name, bytes) == 0;
        size_t distance = prefix ? 1 : edit_distance(word, name);
        if (distance < best_distance && distance < name_bytes) {
            best = name;
            best_distance = distance;
        }
    }
    return best;
}

/* "did you mean X?" or, when nothing is near, "there are: A, B, C". */
static void suggest(char *out, size_t out_bytes, const char *word, struct names names)
{
    const char *near = nearest(word, names);
    if (near != NULL) {
        fmt_snprintf(out, out_bytes, "did you mean \"%s\"?", near);
        return;
    }
    size_t used = fmt_snprintf(out, out_bytes, "there are");
    for (unsigned i = 0; i < names.count && used < out_bytes; i++)
        used += fmt_snprintf(out + used, out_bytes - used, "%s %s", i == 0 ? "" : ",", names.at(i));
}

static const char *const builtins[] = {
#define BUILTIN_NAME(name) #name,
    BUILTIN_GUESTS(BUILTIN_NAME)
#undef BUILTIN_NAME
};

static const char *builtin_at(unsigned index)
{
    return builtins[index];
}

/* FAULT_NONE is no reason to expect. */
static const char *fault_at(unsigned index)
{
    return fault_name((enum fault_reason)(index + 1));
}

static const struct names builtin_names = {ARRAY_SIZE(builtins), builtin_at};
static const struct names fault_names = {FAULT_REASON_COUNT - 1, fault_at};

/* ----------------------------------------------------------------------------------- strings and numbers */

/* The decoded string; `setting` names it in messages. */
static bool get_text(struct parser *parser, const struct toml_value *value, const char *setting, char *out,
                     size_t out_bytes)
{
    size_t bytes = toml_string(&parser->toml.scan, value, out, out_bytes);
    if (bytes >= out_bytes)
        return fail(parser, value->pos, "\"%s\" is %u bytes long: at most %u fit", setting, (unsigned)bytes,
                    (unsigned)out_bytes - 1);
    if (bytes == 0)
        return fail(parser, value->pos, "\"%s\" is empty: give it a value or remove the line", setting);
    for (size_t i = 0; i < bytes; i++)
        if ((uint8_t)out[i] < ' ' || out[i] == 0x7F)
            return fail(parser, value->pos,
                        "\"%s\" holds the control character 0x%02x: use printable text only", setting,
                        (unsigned)(uint8_t)out[i]);
    return true;
}

static bool get_integer(struct parser *parser, const struct toml_value *value, const char *setting,
                        int64_t low, int64_t high, uint64_t *out)
{
    if (value->integer < low || value->integer > high)
        return fail(parser, value->pos, "\"%s\" is %lld: it may be %lld to %lld", setting,
                    (long long)value->integer, (long long)low, (long long)high);
    *out = (uint64_t)value->integer;
    return true;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/* Names go into tables, events and, one day, resource names: no byte that any of them must quote. */
static bool get_name(struct parser *parser, const struct toml_value *value, const char *setting,
                     char out[CONFIG_NAME_BYTES])
{
    if (!get_text(parser, value, setting, out, CONFIG_NAME_BYTES))
        return false;
    for (size_t i = 0; out[i] != '\0'; i++) {
        if (is_name_byte(out[i]))
            continue;
        char shown[CONFIG_NAME_BYTES];
        toml_excerpt(shown, sizeof(shown), out, fmt_length(out, CONFIG_NAME_BYTES));
        return fail(parser, value->pos, "\"%s\" is \"%s\": a name has only letters, digits, - _ and .",
                    setting, shown);
    }
    return true;
}

/* ------------------------------------------------------------------------------------------- the settings */

static bool set_region(struct parser *parser, const struct toml_value *value)
{
    return get_name(parser, value, "region", parser->config->region);
}

static bool set_name(struct parser *parser, const struct toml_value *value)
{
    struct partition_config *partition = parser->partition;
    if (!get_name(parser, value, "name", partition->name))
        return false;
    for (const struct partition_config *p = parser->config->partitions; p < partition; p++)
        if (fmt_equal(p->name, partition->name))
            return fail(parser, value->pos,
                        "the [[partition]] in line %u is named \"%s\" too: give each a name of its own",
                        p->at.line, partition->name);
    return true;
}

static bool set_tenant(struct parser *parser, const struct toml_value *value)
{
    return get_name(parser, value, "tenant", parser->partition->tenant);
}

static bool set_vcpus(struct parser *parser, const struct toml_value *value)
{
    uint64_t vcpus = 0;
    parser->partition->at_vcpus = value->pos;
    bool sound = get_integer(parser, value, "vcpus", 1, CONFIG_MAX_VCPUS, &vcpus);
    parser->partition->vcpus = (uint32_t)vcpus;
    return sound;
}

/* "256M", "2G" to bytes, saturating at PHYSICAL_LIMIT; false when it is no size at all. */
static bool size_value(const char *text, uint64_t *bytes)
{
    size_t i = 0;
    uint64_t number = 0;
    for (; text[i] >= '0' && text[i] <= '9'; i++)
        number = min_u64(number * 10 + (uint64_t)(text[i] - '0'), PHYSICAL_LIMIT);
    uint64_t unit = text[i] == 'M' ? MIB : GIB;
    if (i == 0 || (text[i] != 'M' && text[i] != 'G') || text[i + 1] != '\0')
        return false;
    *bytes = number > PHYSICAL_LIMIT / unit ? PHYSICAL_LIMIT : number * unit;
    return true;
}

static bool set_memory(struct parser *parser, const struct toml_value *value)
{
    char text[SHOWN_BYTES], shown[SHOWN_BYTES];
    uint64_t bytes = 0;
    parser->partition->at_memory = value->pos;
    if (!get_text(parser, value, "memory", text, sizeof(text)))
        return false;
    toml_excerpt(shown, sizeof(shown), text, fmt_length(text, sizeof(text)));
    if (!size_value(text, &bytes))
        return fail(parser, value->pos,
                    "\"memory\" is \"%s\": write a whole number and M or G, like \"256M\" or \"2G\"", shown);
    if (bytes >= PHYSICAL_LIMIT)
        return fail(parser, value->pos, "\"memory\" is \"%s\": no processor addresses that much", shown);
    if (bytes < MEMORY_MIN)
        return fail(parser, value->pos, "\"memory\" is \"%s\": a partition needs at least 4M", shown);
    if (!is_aligned(bytes, PAGE_2M))
        return fail(parser, value->pos,
                    "\"memory\" is \"%s\": it must be a multiple of 2M, like %lluM or %lluM", shown,
                    (unsigned long long)(bytes / MIB - 1), (unsigned long long)(bytes / MIB + 1));
    parser->partition->memory_bytes = bytes;
    return true;
}

static bool set_cmdline(struct parser *parser, const struct toml_value *value)
{
    char *cmdline = parser->partition->cmdline;
    bool empty = toml_string(&parser->toml.scan, value, cmdline, CONFIG_CMDLINE_BYTES) == 0;
    return empty || get_text(parser, value, "cmdline", cmdline, CONFIG_CMDLINE_BYTES);
}

static bool set_on_fault(struct parser *parser, const struct toml_value *value)
{
    char text[SHOWN_BYTES], shown[SHOWN_BYTES];
    if (!get_text(parser, value, "on_fault", text, sizeof(text)))
        return false;
    bool restart = fmt_equal(text, "restart");
    parser->partition->on_fault = restart ? ON_FAULT_RESTART : ON_FAULT_STOP;
    toml_excerpt(shown, sizeof(shown), text, fmt_length(text, sizeof(text)));
    if (!restart && !fmt_equal(text, "stop"))
        return fail(parser, value->pos, "\"on_fault\" is \"%s\": write \"stop\" or \"restart\"", shown);
    return true;
}

static bool set_restart_limit(struct parser *parser, const struct toml_value *value)
{
    uint64_t limit = 0;
    bool sound = get_integer(parser, value, "restart_limit", 0, RESTARTS_MAX, &limit);
    parser->partition->restart_limit = (uint32_t)limit;
    return sound;
}

static bool add_core(struct parser *parser, const struct toml_value *element)
{
    struct partition_config *partition = parser->partition;
    uint64_t core = 0;
    if (element->type != TOML_INTEGER)
        return fail(parser, element->pos, "\"cores\" lists core numbers, not %s: like cores = [2, 3]",
                    toml_type_name(element->type));
    if (!get_integer(parser, element, "cores", 0, MACHINE_MAX_CORES - 1, &core))
        return false;
    if (partition->core_count == CONFIG_MAX_VCPUS)
        return fail(parser, element->pos,
                    "\"cores\" lists more than %u cores: a partition has at most that many",
                    CONFIG_MAX_VCPUS);
    for (uint32_t i = 0; i < partition->core_count; i++)
        if (partition->cores[i] == core)
            return fail(parser, element->pos, "core %u is listed twice: each vCPU has a core of its own",
                        (unsigned)core);
    partition->cores[partition->core_count++] = (uint16_t)core;
    return true;
}

static bool set_cores(struct parser *parser, const struct toml_value *value)
{
    struct toml_walk walk;
    struct toml_value element;
    parser->partition->at_cores = value->pos;
    toml_walk_open(&walk, &parser->toml.scan, value);
    while (toml_walk_next(&walk, &element))
        if (!add_core(parser, &element))
            return false;
    if (parser->partition->core_count == 0)
        return fail(
            parser, value->pos,
            "\"cores\" is empty: list one core for each vCPU, or remove the line and the planner chooses");
    return true;
}

static bool set_time_limit(struct parser *parser, const struct toml_value *value)
{
    return get_integer(parser, value, "time_limit", 1, TIME_LIMIT_MAX,
                       &parser->partition->time_limit_seconds);
}

/* -------------------------------------------------------------------------------------------- the image */

static bool starts_with(const char *text, const char *prefix)
{
    for (; *prefix != '\0'; text++, prefix++)
        if (*text != *prefix)
            return false;
    return true;
}

static bool set_builtin(struct parser *parser, struct source_pos pos, const char *name)
{
    struct partition_config *partition = parser->partition;
    partition->image_builtin = true;
    fmt_copy(partition->image, sizeof(partition->image), name);
    for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
        if (fmt_equal(builtins[i], name))
            return true;
    char shown[SHOWN_BYTES], suggestion[LIST_BYTES];
    toml_excerpt(shown, sizeof(shown), name, fmt_length(name, CONFIG_IMAGE_BYTES));
    suggest(suggestion, sizeof(suggestion), name, builtin_names);
    return fail(parser, pos, "there is no built-in image \"%s\": %s", shown, suggestion);
}

/* What is wrong with a file name of a path, and what would be right; NULL when nothing is. */
static const char *file_name_problem(const char *name, size_t bytes)
{
    if (bytes == 0)
        return "it has an empty part: write one / between names and none at the end";
    if (bytes == 2 && name[0] == '.' && name[1] == '.')
        return "it leads out of its directory: write it without ..";
    if (name[bytes - 1] == '.' || name[bytes - 1] == ' ')
        return "a file name on a FAT file system does not end in a dot or a space";
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] < ' ' || name[i] > '~')
            return "file names here are plain ASCII: rename the file";
        for (const char *bad = "\"*:<>?|"; *bad != '\0'; bad++)
            if (name[i] == *bad)
                return "a file name on a FAT file system has none of \" * : < > ? |";
    }
    return NULL;
}

static bool names_image_root(const char *name, size_t bytes)
{
    const char *root = IMAGE_ROOT;
    for (size_t i = 0; i < bytes; i++)
        if (lower(name[i]) != root[i])
            return false;
    return root[bytes] == '\0';
}

static const char *path_problem(const char *path)
{
    size_t start = 0;
    for (size_t i = 0;; i++) {
        if (path[i] != '\\' && path[i] != '\0')
            continue;
        const char *problem = file_name_problem(path + start, i - start);
        if (problem != NULL || path[i] == '\0')
            return problem;
        if (start == 0 && names_image_root(path, i))
            return "paths start in \\" IMAGE_ROOT "\\ already: write it without that directory";
        start = i + 1;
    }
}

/* File names on a FAT file system have no case. */
static bool ends_in_bin(const char *path, size_t bytes)
{
    return bytes >= 4 && path[bytes - 4] == '.' && lower(path[bytes - 3]) == 'b' &&
           lower(path[bytes - 2]) == 'i' && lower(path[bytes - 1]) == 'n';
}

/* A path under \freehold\: slashes turned, the leading one dropped. */
static bool set_path(struct parser *parser, struct source_pos pos, const char *text)
{
    char *path = parser->partition->image;
    size_t i = 0;
    if (text[0] == '/' || text[0] == '\\')
        text++;
    for (; text[i] != '\0'; i++)
        path[i] = text[i] == '/' ? '\\' : text[i];
    path[i] = '\0';
    parser->partition->image_flat = ends_in_bin(path, i);
    const char *problem = path_problem(path);
    if (problem == NULL)
        return true;
    char shown[SHOWN_BYTES];
    toml_excerpt(shown, sizeof(shown), text, i);
    return fail(parser, pos, "\"image\" is \"%s\": %s", shown, problem);
}

static bool set_image(struct parser *parser, const struct toml_value *value)
{
    char text[CONFIG_IMAGE_BYTES];
    parser->partition->at_image = value->pos;
    if (!get_text(parser, value, "image", text, sizeof(text)))
        return false;
    if (starts_with(text, BUILTIN_PREFIX))
        return set_builtin(parser, value->pos, text + sizeof(BUILTIN_PREFIX) - 1);
    return set_path(parser, value->pos, text);
}

/* ------------------------------------------------------------------------------------------ expectations */

/* "0" to "255", without leading zeros. */
static bool exit_code_value(const char *text, uint32_t *code)
{
    *code = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9' && i < 3; i++)
        *code = *code * 10 + (uint32_t)(text[i] - '0');
    return i > 0 && text[i] == '\0' && (i == 1 || text[0] != '0') && *code <= EXIT_CODE_MAX;
}

static bool set_expected_exit(struct parser *parser, struct source_pos pos, const char *code)
{
    struct expectation *expect = &parser->partition->expect;
    expect->kind = EXPECT_EXIT_ANY;
    if (fmt_equal(code, "*"))
        return true;
    expect->kind = EXPECT_EXIT_CODE;
    if (exit_code_value(code, &expect->exit_code))
        return true;
    return fail(parser, pos, "\"expect\" is \"exit:%s\": an exit code is 0 to 255, or * for any", code);
}

static bool set_expected_fault(struct parser *parser, struct source_pos pos, const char *reason)
{
    struct expectation *expect = &parser->partition->expect;
    expect->kind = EXPECT_FAULT;
    if (fault_from_name(reason, fmt_length(reason, SHOWN_BYTES), &expect->reason))
        return true;
    char suggestion[LIST_BYTES];
    suggest(suggestion, sizeof(suggestion), reason, fault_names);
    return fail(parser, pos, "there is no fault \"%s\": %s", reason, suggestion);
}

static bool set_expect(struct parser *parser, const struct toml_value *value)
{
    char text[SHOWN_BYTES], shown[SHOWN_BYTES];
    struct expectation *expect = &parser->partition->expect;
    if (!get_text(parser, value, "expect", text, sizeof(text)))
        return false;
    toml_excerpt(shown, sizeof(shown), text, fmt_length(text, sizeof(text)));
    if (starts_with(shown, "exit:"))
        return set_expected_exit(parser, value->pos, shown + sizeof("exit:") - 1);
    if (starts_with(shown, "fault:"))
        return set_expected_fault(parser, value->pos, shown + sizeof("fault:") - 1);
    expect->kind = EXPECT_FAULT_ANY;
    if (fmt_equal(text, "fault"))
        return true;
    expect->kind = EXPECT_RUNNING;
    if (fmt_equal(text, "running"))
        return true;
    return fail(
        parser, value->pos,
        "\"expect\" is \"%s\": write \"exit:0\", \"exit:*\", \"fault\", \"fault:REASON\" or \"running\"",
        shown);
}

/* ----------------------------------------------------------------------------------------- the whole file */

static const struct rule root_rules[] = {
    {"region", TOML_STRING, false, "region = \"home\"", set_region},
};

enum partition_rule {
    RULE_NAME,
    RULE_TENANT,
    RULE_VCPUS,
    RULE_MEMORY,
    RULE_IMAGE,
    RULE_CMDLINE,
    RULE_ON_FAULT,
    RULE_RESTART_LIMIT,
    RULE_CORES,
    RULE_EXPECT,
    RULE_TIME_LIMIT,
    RULE_COUNT
};

static const struct rule partition_rules[RULE_COUNT] = {
    [RULE_NAME] = {"name", TOML_STRING, true, "name = \"web\"", set_name},
    [RULE_TENANT] = {"tenant", TOML_STRING, false, "tenant = \"acme\"", set_tenant},
    [RULE_VCPUS] = {"vcpus", TOML_INTEGER, false, "vcpus = 2", set_vcpus},
    [RULE_MEMORY] = {"memory", TOML_STRING, true, "memory = \"256M\"", set_memory},
    [RULE_IMAGE] = {"image", TOML_STRING, true, "image = \"builtin:hello\"", set_image},
    [RULE_CMDLINE] = {"cmdline", TOML_STRING, false, "cmdline = \"verbose\"", set_cmdline},
    [RULE_ON_FAULT] = {"on_fault", TOML_STRING, false, "on_fault = \"restart\"", set_on_fault},
    [RULE_RESTART_LIMIT] = {"restart_limit", TOML_INTEGER, false, "restart_limit = 3", set_restart_limit},
    [RULE_CORES] = {"cores", TOML_ARRAY, false, "cores = [2, 3]", set_cores},
    [RULE_EXPECT] = {"expect", TOML_STRING, false, "expect = \"exit:0\"", set_expect},
    [RULE_TIME_LIMIT] = {"time_limit", TOML_INTEGER, false, "time_limit = 60", set_time_limit},
};

static const char *root_rule_at(unsigned index)
{
    return root_rules[index].name;
}

static const char *partition_rule_at(unsigned index)
{
    return partition_rules[index].name;
}

static const char *partition_table_at(unsigned index)
{
    (void)index;
    return "partition";
}

static const struct names root_names = {ARRAY_SIZE(root_rules), root_rule_at};
static const struct names partition_names = {RULE_COUNT, partition_rule_at};
static const struct names table_names = {1, partition_table_at};

static const struct rule *find_rule(const struct rule *rules, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (fmt_equal(rules[i].name, name))
            return &rules[i];
    return NULL;
}

/* A key nobody knows: most likely misspelt, or in the wrong place. */
static bool fail_unknown_key(struct parser *parser, const struct toml_key *key)
{
    bool inside = parser->partition != NULL;
    if (inside && find_rule(root_rules, ARRAY_SIZE(root_rules), key->name) != NULL)
        return fail(parser, key->pos, "\"%s\" belongs at the top of the file, above the first [[partition]]",
                    key->name);
    if (!inside && find_rule(partition_rules, RULE_COUNT, key->name) != NULL)
        return fail(parser, key->pos, "\"%s\" belongs below a [[partition]] line", key->name);
    if (!inside && fmt_equal(key->name, "partition"))
        return fail(parser, key->pos,
                    "write each partition as [[partition]], with its settings in the lines below");
    char shown[SHOWN_BYTES], suggestion[LIST_BYTES];
    toml_excerpt(shown, sizeof(shown), key->name, fmt_length(key->name, sizeof(key->name)));
    suggest(suggestion, sizeof(suggestion), key->name, inside ? partition_names : root_names);
    return fail(parser, key->pos, "unknown key \"%s\": %s", shown, suggestion);
}

static bool read_setting(struct parser *parser, const struct toml_item *item)
{
    const struct toml_key *key = &item->keys[0];
    const struct rule *rule = parser->partition != NULL
                                  ? find_rule(partition_rules, RULE_COUNT, key->name)
                                  : find_rule(root_rules, ARRAY_SIZE(root_rules), key->name);
    if (rule == NULL)
        return fail_unknown_key(parser, key);
    if (item->key_count > 1)
        return fail(parser, item->keys[1].pos, "\"%s\" has no settings of its own: write %s", rule->name,
                    rule->example);
    if (item->value.type != rule->type)
        return fail(parser, item->value.pos, "\"%s\" must be %s, not %s: like %s", rule->name,
                    toml_type_name(rule->type), toml_type_name(item->value.type), rule->example);
    if (parser->partition != NULL)
        parser->seen |= 1u << (rule - partition_rules);
    return rule->set(parser, &item->value);
}

/* What can be judged only when all of a partition's settings are read. */
static bool finish_partition(struct parser *parser)
{
    struct partition_config *partition = parser->partition;
    if (partition == NULL)
        return true;
    for (unsigned i = 0; i < RULE_COUNT; i++)
        if (partition_rules[i].required && (parser->seen & 1u << i) == 0)
            return fail(parser, partition->at, "this [[partition]] has no \"%s\": add a line like %s",
                        partition_rules[i].name, partition_rules[i].example);
    if ((parser->seen & 1u << RULE_VCPUS) == 0)
        partition->vcpus = partition->core_count > 0 ? partition->core_count : 1;
    return true;
}

static bool start_partition(struct parser *parser, struct source_pos pos)
{
    struct config *config = parser->config;
    if (!finish_partition(parser))
        return false;
    if (config->partition_count == CONFIG_MAX_PARTITIONS)
        return fail(parser, pos, "more than %u partitions: remove some", CONFIG_MAX_PARTITIONS);
    parser->partition = &config->partitions[config->partition_count++];
    parser->seen = 0;
    *parser->partition = (struct partition_config){
        .tenant = CONFIG_DEFAULT_TENANT,
        .restart_limit = CONFIG_DEFAULT_RESTART,
        .expect = {.kind = EXPECT_EXIT_CODE},
        .at = pos,
        .at_vcpus = pos,
        .at_memory = pos,
        .at_image = pos,
        .at_cores = pos,
    };
    return true;
}

static bool read_header(struct parser *parser, const struct toml_item *item, bool array)
{
    const struct toml_key *key = &item->keys[0];
    bool partition = fmt_equal(key->name, "partition");
    if (partition && item->key_count > 1)
        return fail(parser, item->pos,
                    "a partition has no tables inside: write key = value below [[partition]]");
    if (partition && !array)
        return fail(parser, item->pos,
                    "[partition] makes a single table: write [[partition]], with two brackets");
    if (partition)
        return start_partition(parser, item->pos);
    char shown[SHOWN_BYTES];
    toml_excerpt(shown, sizeof(shown), key->name, fmt_length(key->name, sizeof(key->name)));
    bool near = nearest(key->name, table_names) != NULL;
    return fail(parser, item->pos, "unknown table \"%s\": %s[[partition]]%s", shown,
                near ? "did you mean " : "the only one is ", near ? "?" : "");
}

static bool finish_file(struct parser *parser, struct source_pos end)
{
    if (!finish_partition(parser))
        return false;
    if (parser->config->partition_count == 0)
        return fail(parser, end,
                    "the file has no [[partition]]: add one, or remove the file to get the default plan");
    return true;
}

bool config_parse(const char *text, size_t length, struct config *config, struct diag *diag)
{
    struct parser parser = {.config = config};
    struct toml_item item;
    config->partition_count = 0;
    fmt_copy(config->region, sizeof(config->region), CONFIG_DEFAULT_REGION);
    toml_open(&parser.toml, text, length, diag);
    for (;;) {
        bool sound = false;
        switch (toml_next(&parser.toml, &item)) {
        case TOML_EVENT_VALUE:
            sound = read_setting(&parser, &item);
            break;
        case TOML_EVENT_ARRAY_TABLE:
            sound = read_header(&parser, &item, true);
            break;
        case TOML_EVENT_TABLE:
            sound = read_header(&parser, &item, false);
            break;
        case TOML_EVENT_END:
            return finish_file(&parser, item.pos);
        case TOML_EVENT_ERROR:
            break;
        }
        if (!sound)
            return false;
    }
}
