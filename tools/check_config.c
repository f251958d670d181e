/*
 * `make check-config FILE=...`: says on the host what Freehold would do with a configuration on a described
 * machine. Runs the very parser, planner and image check of the hypervisor, so that its answer is the
 * hypervisor's. Prints the plan and exits with 0, or "FILE:line:column: error: ..." and exits with 2.
 */
#include "boot/toml.h"
#include "guest/abi.h"
#include "hv/budget.h"
#include "hv/fmt.h"
#include "hv/image.h"
#include "hv/plan_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_REFUSED 2

/* Memory that no partition gets, besides hv_budget: what a UEFI firmware keeps for itself. */
#define FIRMWARE_BYTES (32 * MIB)
/* The hypervisor's own image, generously. */
#define HYPERVISOR_IMAGE_BYTES (1 * MIB)
/* A guest image whose size is not known: built in, or without --images. */
#define GUEST_IMAGE_BYTES (1 * MIB)

#define DEFAULT_CPUS       4
#define DEFAULT_MEMORY_MIB 2048
#define MEMORY_MIB_MIN     64
#define MEMORY_MIB_MAX     (1u << 26) /* 64 TiB */
#define MAX_ZONES          16
#define MAX_PATH_BYTES     4096

/* One socket with its memory. */
struct zone {
    uint32_t cores; /* physical */
    uint32_t threads_per_core;
    uint32_t memory_mib;
};

struct options {
    const char *config_path;
    const char *machine_path; /* NULL: one zone of the numbers given */
    const char *images_path;  /* NULL: image files are not looked at */
    uint32_t cpus;
    uint32_t threads_per_core;
    uint32_t memory_mib;
};

struct file {
    char *bytes;
    size_t length;
};

_Noreturn void check_failed(const char *file, int line, const char *expression)
{
    fprintf(stderr, "check_config: %s:%d: CHECK failed: %s: please report this\n", file, line, expression);
    abort();
}

/* ---------------------------------------------------------------------------------------------- refusals */

_Noreturn static void refuse(const char *path, const char *message)
{
    fprintf(stderr, "%s: error: %s\n", path, message);
    exit(STATUS_REFUSED);
}

_Noreturn static void refuse_at(const char *path, const struct diag *diag)
{
    if (diag->pos.line == 0)
        refuse(path, diag->message);
    fprintf(stderr, "%s:%u:%u: error: %s\n", path, diag->pos.line, diag->pos.column, diag->message);
    exit(STATUS_REFUSED);
}

static const char usage_text[] =
    "usage: check_config FILE [options]\n"
    "Says what Freehold would do with the configuration FILE: prints the plan, or what is wrong and where.\n"
    "  --cpus N              logical processors of the machine (default 4)\n"
    "  --threads-per-core N  hyper-threads of each physical core (default 1)\n"
    "  --memory MIB          its memory (default 2048)\n"
    "  --machine FILE        a machine with several sockets, described in a file (docs/configuration.md)\n"
    "  --images DIR          also check the image files; DIR is what \\freehold\\ will hold\n"
    "Exit status: 0 the plan fits, 2 it does not, or wrong usage.\n";

_Noreturn static void refuse_usage(const char *problem, const char *argument)
{
    fprintf(stderr, "check_config: %s%s\n%s", problem, argument, usage_text);
    exit(STATUS_REFUSED);
}

/* ------------------------------------------------------------------------------------------------- files */

static void *allocate(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (memory == NULL) {
        fputs("check_config: error: out of memory\n", stderr);
        exit(STATUS_REFUSED);
    }
    return memory;
}

/* Reads a whole file into *file, which must be empty. Returns NULL, or what is wrong, as the end of a
 * sentence. */
static const char *read_file(const char *path, struct file *file)
{
    static char problem[128];
    size_t room = 32 * KIB;
    FILE *stream = fopen(path, "rb");
    bool failed = stream == NULL;
    while (!failed && file->length <= IMAGE_MAX_BYTES && feof(stream) == 0) {
        room *= 2;
        char *larger = realloc(file->bytes, room);
        failed = larger == NULL;
        if (failed)
            break;
        file->bytes = larger;
        file->length += fread(file->bytes + file->length, 1, room - file->length, stream);
        failed = ferror(stream) != 0;
    }
    if (failed)
        fmt_snprintf(problem, sizeof(problem), "cannot be read: %s", strerror(errno));
    if (stream != NULL)
        fclose(stream);
    if (failed)
        return problem;
    return file->length > IMAGE_MAX_BYTES ? "is too large" : NULL;
}

static struct file read_text(const char *path)
{
    struct file file = {NULL, 0};
    const char *problem = read_file(path, &file);
    if (problem != NULL)
        refuse(path, problem);
    return file;
}

/* ------------------------------------------------------------------------------------------- the machine */

/* What a machine file says so far. */
struct machine_file {
    struct toml toml;
    uint32_t zone_count;
    struct zone zones[MAX_ZONES];
    struct source_pos at[MAX_ZONES]; /* of each [[zone]] */
};

static bool read_zone_header(struct machine_file *file, const struct toml_item *item)
{
    if (item->key_count > 1 || !fmt_equal(item->keys[0].name, "zone"))
        return toml_fail(&file->toml.scan, item->pos, "unknown table: a machine is a list of [[zone]]");
    if (file->zone_count == MAX_ZONES)
        return toml_fail(&file->toml.scan, item->pos, "more than %u zones", MAX_ZONES);
    file->at[file->zone_count] = item->pos;
    file->zones[file->zone_count++] = (struct zone){.threads_per_core = 1};
    return true;
}

static bool read_zone_value(struct machine_file *file, const struct toml_item *item)
{
    struct toml_scan *scan = &file->toml.scan;
    const char *key = item->keys[0].name;
    struct zone *zone = file->zone_count > 0 ? &file->zones[file->zone_count - 1] : NULL;
    if (zone == NULL || item->key_count > 1)
        return toml_fail(scan, item->pos, "a machine is a list of [[zone]], each with its settings below");
    uint32_t *field = fmt_equal(key, "cores")              ? &zone->cores
                      : fmt_equal(key, "threads_per_core") ? &zone->threads_per_core
                      : fmt_equal(key, "memory_mib")       ? &zone->memory_mib
                                                           : NULL;
    if (field == NULL)
        return toml_fail(scan, item->pos, "unknown key: a zone has cores, threads_per_core and memory_mib");
    uint32_t highest = field == &zone->memory_mib ? MEMORY_MIB_MAX : MACHINE_MAX_CORES;
    if (item->value.type != TOML_INTEGER || item->value.integer < 1 || item->value.integer > highest)
        return toml_fail(scan, item->value.pos, "\"%s\" must be an integer from 1 to %u", key, highest);
    *field = (uint32_t)item->value.integer;
    return true;
}

static bool finish_machine_file(struct machine_file *file, struct source_pos end)
{
    if (file->zone_count == 0)
        return toml_fail(&file->toml.scan, end, "the file describes no machine: add a [[zone]]");
    for (uint32_t i = 0; i < file->zone_count; i++)
        if (file->zones[i].cores == 0 || file->zones[i].memory_mib == 0)
            return toml_fail(&file->toml.scan, file->at[i], "this [[zone]] needs both cores and memory_mib");
    return true;
}

static bool parse_machine_file(struct machine_file *file)
{
    for (;;) {
        struct toml_item item;
        bool sound = false;
        enum toml_event event = toml_next(&file->toml, &item);
        if (event == TOML_EVENT_END)
            return finish_machine_file(file, item.pos);
        if (event == TOML_EVENT_VALUE)
            sound = read_zone_value(file, &item);
        else if (event != TOML_EVENT_ERROR)
            sound = read_zone_header(file, &item);
        if (!sound)
            return false;
    }
}

static void read_machine_file(const char *path, struct machine_file *file)
{
    struct diag diag;
    struct file text = read_text(path);
    toml_open(&file->toml, text.bytes, text.length, &diag);
    if (!parse_machine_file(file))
        refuse_at(path, &diag);
    free(text.bytes);
}

/* Numbered as boot/topology.h does it on a machine with dense APIC ids: threads of a core are neighbours. */
static void add_cores(struct machine *machine, const struct zone *zone, uint16_t number, uint16_t zone_name)
{
    for (uint32_t i = 0; i < zone->cores * zone->threads_per_core; i++) {
        if (machine->core_count == MACHINE_MAX_CORES) {
            fprintf(stderr, "check_config: error: the machine has more than %d logical cores\n",
                    MACHINE_MAX_CORES);
            exit(STATUS_REFUSED);
        }
        machine->cores[machine->core_count] = (struct core_desc){
            .apic_id = machine->core_count,
            .package = number,
            .core = (uint16_t)(i / zone->threads_per_core),
            .thread = (uint16_t)(i % zone->threads_per_core),
            .zone = zone_name,
        };
        machine->core_count++;
    }
}

/* Memory as PCs have it: up to 3 GiB, and the rest from 4 GiB on. Zones follow each other. */
struct layout {
    uint64_t next; /* where the next zone's memory starts */
    uint32_t piece_count;
    struct memmap_input pieces[2 * MAX_ZONES];
    uint16_t zones[2 * MAX_ZONES]; /* of each piece */
};

static void add_memory(struct layout *layout, uint64_t bytes, uint16_t zone)
{
    while (bytes > 0) {
        uint64_t piece = bytes;
        if (layout->next == FH_HOLE_START)
            layout->next = FH_HOLE_END;
        if (layout->next < FH_HOLE_START)
            piece = min_u64(bytes, FH_HOLE_START - layout->next);
        layout->zones[layout->piece_count] = zone;
        layout->pieces[layout->piece_count++] =
            (struct memmap_input){layout->next, piece / FRAME_BYTES, MEMMAP_FREE};
        layout->next += piece;
        bytes -= piece;
    }
}

static void build_map(struct machine *machine, const struct layout *layout)
{
    uint64_t scratch[2 * ARRAY_SIZE(layout->pieces) + 2];
    enum memmap_status status = memmap_build(&machine->map, layout->pieces, layout->piece_count, scratch);
    for (uint32_t i = 0; i < layout->piece_count && status == MEMMAP_OK; i++) {
        struct extent piece = {layout->pieces[i].start,
                               layout->pieces[i].start + layout->pieces[i].frame_count * FRAME_BYTES};
        if (layout->zones[i] != ZONE_UNKNOWN)
            status = memmap_set_zone(&machine->map, piece, layout->zones[i]);
    }
    CHECK(status == MEMMAP_OK); /* the limits on zones and their memory see to it */
}

static void describe_machine(const struct options *options, struct machine *machine)
{
    struct machine_file *file = allocate(1, sizeof(*file));
    struct layout layout = {.next = 0};
    if (options->machine_path != NULL) {
        read_machine_file(options->machine_path, file);
    } else {
        file->zone_count = 1;
        file->zones[0] = (struct zone){options->cpus / options->threads_per_core, options->threads_per_core,
                                       options->memory_mib};
    }
    for (uint32_t i = 0; i < file->zone_count; i++) {
        uint16_t zone_name = file->zone_count > 1 ? (uint16_t)i : ZONE_UNKNOWN;
        add_cores(machine, &file->zones[i], (uint16_t)i, zone_name);
        add_memory(&layout, file->zones[i].memory_mib * MIB, zone_name);
    }
    machine->package_count = file->zone_count;
    build_map(machine, &layout);
    free(file);
}

/* Takes away what firmware and hypervisor keep: the top of the low memory. */
static void reserve_memory(struct machine *machine, const struct config *config, uint64_t guest_image_bytes)
{
    struct hv_budget budget;
    struct hv_budget_input input = {
        .config = config,
        .core_count = machine->core_count,
        .image_bytes = HYPERVISOR_IMAGE_BYTES,
        .handoff_bytes = align_up(sizeof(struct handoff), FRAME_BYTES),
        .frame_table_bytes = frames_table_bytes(&machine->map, CONFIG_MAX_PARTITIONS),
        .guest_image_bytes = guest_image_bytes,
    };
    hv_budget(&input, &budget);
    const struct memmap_range *low = &machine->map.ranges[0];
    uint64_t bytes = align_up(budget.total_bytes + guest_image_bytes + FIRMWARE_BYTES, PAGE_2M);
    struct extent kept = {low->end - min_u64(bytes, low->end), low->end};
    if (kept.start < MIB || memmap_reserve(&machine->map, kept, MEMMAP_HYPERVISOR) != MEMMAP_OK) {
        fprintf(stderr,
                "check_config: error: the machine's memory is too small for Freehold itself (%lluM)\n",
                (unsigned long long)(bytes / MIB));
        exit(STATUS_REFUSED);
    }
}

/* ------------------------------------------------------------------------------------------------ images */

_Noreturn static void refuse_image(const struct options *options, const struct partition_config *partition,
                                   const char *path, const char *problem)
{
    struct diag diag = {.pos = partition->at_image};
    fmt_snprintf(diag.message, sizeof(diag.message), "partition \"%s\": image %s %s", partition->name, path,
                 problem);
    refuse_at(options->config_path, &diag);
}

/* Returns the file's size. */
static uint64_t check_image(const struct options *options, const struct partition_config *partition)
{
    char path[MAX_PATH_BYTES];
    struct file file = {NULL, 0};
    struct image_layout layout;
    size_t length = fmt_snprintf(path, sizeof(path), "%s/%s", options->images_path, partition->image);
    if (length >= sizeof(path))
        refuse_usage("the path is too long: ", options->images_path);
    for (size_t i = fmt_length(options->images_path, sizeof(path)); path[i] != '\0'; i++)
        if (path[i] == '\\')
            path[i] = '/';
    const char *problem = read_file(path, &file);
    if (problem != NULL)
        refuse_image(options, partition, path, problem);
    enum image_status status = image_check(file.bytes, file.length, partition->image_flat,
                                           min_u64(partition->memory_bytes, FH_HOLE_START), &layout);
    if (status != IMAGE_OK)
        refuse_image(options, partition, path, image_status_text(status));
    free(file.bytes);
    return file.length;
}

/* An image that several partitions name is read once. */
static bool is_first_of_image(const struct config *config, uint32_t index)
{
    const struct partition_config *partition = &config->partitions[index];
    for (const struct partition_config *p = config->partitions; p < partition; p++)
        if (p->image_builtin == partition->image_builtin && fmt_equal(p->image, partition->image))
            return false;
    return true;
}

/* Checks every image there is to check; returns how much memory all of them take. */
static uint64_t check_images(const struct options *options, const struct config *config)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < config->partition_count; i++) {
        const struct partition_config *partition = &config->partitions[i];
        bool look = options->images_path != NULL && !partition->image_builtin;
        uint64_t image_bytes = look ? check_image(options, partition) : GUEST_IMAGE_BYTES;
        if (is_first_of_image(config, i))
            bytes += align_up(image_bytes, FRAME_BYTES);
    }
    return bytes;
}

/* ------------------------------------------------------------------------------------------------- usage */

static uint32_t number_argument(const char *option, const char *text, uint32_t low, uint32_t high)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && number >= low && number <= high)
        return (uint32_t)number;
    fprintf(stderr, "check_config: %s takes a number from %u to %u, not \"%s\"\n", option, low, high, text);
    exit(STATUS_REFUSED);
}

static void take_option(struct options *options, const char *option, const char *value)
{
    if (fmt_equal(option, "--cpus"))
        options->cpus = number_argument(option, value, 1, MACHINE_MAX_CORES);
    else if (fmt_equal(option, "--threads-per-core"))
        options->threads_per_core = number_argument(option, value, 1, MACHINE_MAX_CORES);
    else if (fmt_equal(option, "--memory"))
        options->memory_mib = number_argument(option, value, MEMORY_MIB_MIN, MEMORY_MIB_MAX);
    else if (fmt_equal(option, "--machine"))
        options->machine_path = value;
    else if (fmt_equal(option, "--images"))
        options->images_path = value;
    else
        refuse_usage("there is no option ", option);
}

static struct options parse_arguments(int count, char **arguments)
{
    struct options options = {.cpus = DEFAULT_CPUS, .threads_per_core = 1, .memory_mib = DEFAULT_MEMORY_MIB};
    for (int i = 1; i < count; i++) {
        if (fmt_equal(arguments[i], "--help")) {
            fputs(usage_text, stdout);
            exit(EXIT_SUCCESS);
        } else if (arguments[i][0] == '-') {
            if (i + 1 == count)
                refuse_usage("a value is missing after ", arguments[i]);
            take_option(&options, arguments[i], arguments[i + 1]);
            i++;
        } else if (options.config_path != NULL) {
            refuse_usage("one FILE at a time, not also ", arguments[i]);
        } else {
            options.config_path = arguments[i];
        }
    }
    if (options.config_path == NULL)
        refuse_usage("FILE is missing", "");
    if (options.cpus % options.threads_per_core != 0)
        refuse_usage("--cpus must be a multiple of ", "--threads-per-core");
    return options;
}

/* ------------------------------------------------------------------------------------------------- main */

static void read_config(const char *path, struct config *config)
{
    struct diag diag;
    struct file text = read_text(path);
    if (!config_parse(text.bytes, text.length, config, &diag))
        refuse_at(path, &diag);
    free(text.bytes);
}

static void make_plan(const struct options *options, const struct config *config,
                      const struct machine *machine, struct plan *plan)
{
    struct diag diag;
    struct frame_table frames;
    uint64_t bytes = frames_table_bytes(&machine->map, CONFIG_MAX_PARTITIONS);
    void *memory = allocate(1, bytes);
    enum alloc_status status = frames_init(&frames, memory, bytes, &machine->map);
    CHECK(status == ALLOC_OK);
    if (!plan_make(config, machine, &frames, plan, &diag))
        refuse_at(options->config_path, &diag);
    free(memory);
}

static void print_line(void *context, const char *text)
{
    (void)context;
    puts(text);
}

int main(int count, char **arguments)
{
    struct options options = parse_arguments(count, arguments);
    struct config *config = allocate(1, sizeof(*config));
    struct machine *machine = allocate(1, sizeof(*machine));
    struct plan *plan = allocate(1, sizeof(*plan));
    char size[24];

    read_config(options.config_path, config);
    uint64_t image_bytes = check_images(&options, config);
    describe_machine(&options, machine);
    reserve_memory(machine, config, image_bytes);
    make_plan(&options, config, machine, plan);

    fmt_size(size, sizeof(size), memmap_bytes(&machine->map, MEMMAP_FREE));
    printf("region \"%s\" on %u cores, %s of memory for partitions\n", config->region, machine->core_count,
           size);
    plan_table(config, machine, plan, print_line, NULL);
    free(config);
    free(machine);
    free(plan);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : STATUS_REFUSED;
}
