/*
 * The plan table's layout. Columns are as wide as their widest cell; lists of cores and of extents continue
 * in the lines below. Writes nothing but through the callback.
 */
#include "hv/plan_table.h"

#include "hv/fmt.h"

#define CELL_BYTES       (CONFIG_IMAGE_BYTES + 16)
#define CORES_CELL_BYTES 24 /* a longer list of cores takes several lines */

enum column {
    COLUMN_PARTITION,
    COLUMN_TENANT,
    COLUMN_VCPUS,
    COLUMN_CORES,
    COLUMN_MEMORY,
    COLUMN_EXTENT,
    COLUMN_IMAGE,
    COLUMN_COUNT
};

static const char *const headings[COLUMN_COUNT] = {
    [COLUMN_PARTITION] = "partition", [COLUMN_TENANT] = "tenant", [COLUMN_VCPUS] = "vcpus",
    [COLUMN_CORES] = "cores",         [COLUMN_MEMORY] = "memory", [COLUMN_EXTENT] = "extents [start, end)",
    [COLUMN_IMAGE] = "image",
};

/* Numbers stand to the right. */
static const bool right_aligned[COLUMN_COUNT] = {[COLUMN_VCPUS] = true, [COLUMN_MEMORY] = true};

struct printer {
    const struct config *config;
    const struct plan *plan;
    void (*line)(void *context, const char *text);
    void *context;
    size_t widths[COLUMN_COUNT];
};

/* One partition's row, line by line: cells that are done stay empty. */
struct row {
    const struct partition_config *config;
    const struct plan_partition *plan;
    uint32_t core;   /* the first vCPU whose core was not yet shown */
    uint32_t extent; /* the first not yet shown */
    bool started;
    char cells[COLUMN_COUNT][CELL_BYTES];
};

/* The run of neighbouring cores from vCPU `first` on: "4" or "4-7". Returns the first vCPU behind it. */
static uint32_t format_run(const struct plan_partition *plan, uint32_t first, char *out, size_t out_bytes)
{
    uint32_t next = first + 1;
    while (next < plan->vcpu_count && plan->cores[next] == plan->cores[next - 1] + 1)
        next++;
    if (next == first + 1)
        fmt_snprintf(out, out_bytes, "%u", plan->cores[first]);
    else
        fmt_snprintf(out, out_bytes, "%u-%u", plan->cores[first], plan->cores[next - 1]);
    return next;
}

/* As many runs as one line takes; at least one. A comma at the end tells that more follow. */
static void fill_cores(struct row *row)
{
    char *cell = row->cells[COLUMN_CORES];
    size_t used = 0;
    while (row->core < row->plan->vcpu_count) {
        char run[16];
        uint32_t next = format_run(row->plan, row->core, run, sizeof(run));
        bool last = next == row->plan->vcpu_count;
        size_t bytes = fmt_length(run, sizeof(run)) + !last;
        if (used > 0 && used + bytes > CORES_CELL_BYTES)
            return;
        used += fmt_snprintf(cell + used, CELL_BYTES - used, "%s%s", run, last ? "" : ",");
        row->core = next;
    }
}

static void fill_extent(struct row *row)
{
    if (row->extent == row->plan->extent_count)
        return;
    struct extent extent = row->plan->extents[row->extent++];
    fmt_snprintf(row->cells[COLUMN_EXTENT], CELL_BYTES, "0x%09llx-0x%09llx", (unsigned long long)extent.start,
                 (unsigned long long)extent.end);
}

/* The next line's cells; false when the row is done. */
static bool next_cells(struct row *row)
{
    bool more = !row->started || row->core < row->plan->vcpu_count || row->extent < row->plan->extent_count;
    for (int i = 0; i < COLUMN_COUNT; i++)
        row->cells[i][0] = '\0';
    if (!row->started) {
        const struct partition_config *config = row->config;
        fmt_copy(row->cells[COLUMN_PARTITION], CELL_BYTES, config->name);
        fmt_copy(row->cells[COLUMN_TENANT], CELL_BYTES, config->tenant);
        fmt_snprintf(row->cells[COLUMN_VCPUS], CELL_BYTES, "%u", row->plan->vcpu_count);
        fmt_size(row->cells[COLUMN_MEMORY], CELL_BYTES, config->memory_bytes);
        fmt_snprintf(row->cells[COLUMN_IMAGE], CELL_BYTES, "%s%s", config->image_builtin ? "builtin:" : "",
                     config->image);
        row->started = true;
    }
    fill_cores(row);
    fill_extent(row);
    return more;
}

static struct row start_row(const struct printer *printer, uint32_t index)
{
    return (struct row){
        .config = &printer->config->partitions[index],
        .plan = &printer->plan->partitions[index],
    };
}

static void measure(struct printer *printer, uint32_t index)
{
    struct row row = start_row(printer, index);
    while (next_cells(&row))
        for (int i = 0; i < COLUMN_COUNT; i++)
            printer->widths[i] = max_u64(printer->widths[i], fmt_length(row.cells[i], CELL_BYTES));
}

static void print_cells(const struct printer *printer, const char *const cells[COLUMN_COUNT])
{
    char text[PLAN_TABLE_LINE_BYTES];
    size_t used = 0;
    for (int i = 0; i < COLUMN_COUNT && used < sizeof(text); i++) {
        const char *format = right_aligned[i] ? "%s%*s" : "%s%-*s";
        used += fmt_snprintf(text + used, sizeof(text) - used, format, i == 0 ? "" : "  ",
                             (int)printer->widths[i], cells[i]);
    }
    used = min_u64(used, sizeof(text) - 1);
    while (used > 0 && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
    printer->line(printer->context, text);
}

static void print_partition(const struct printer *printer, uint32_t index)
{
    struct row row = start_row(printer, index);
    const char *cells[COLUMN_COUNT];
    for (int i = 0; i < COLUMN_COUNT; i++)
        cells[i] = row.cells[i];
    while (next_cells(&row))
        print_cells(printer, cells);
}

/* Where the control loop runs, and what nobody uses. */
static void print_rest(const struct printer *printer, const struct machine *machine)
{
    char text[PLAN_TABLE_LINE_BYTES];
    const struct plan *plan = printer->plan;
    uint32_t serving = 0;
    for (uint32_t i = 0; i < plan->partition_count; i++)
        serving += plan->partitions[i].vcpu_count;
    if (plan->boot_core_shared)
        fmt_snprintf(text, sizeof(text), "core 0 runs the control loop too, in time slices; idle cores: %u",
                     machine->core_count - serving);
    else
        fmt_snprintf(text, sizeof(text), "core 0 runs the control loop; idle cores: %u",
                     machine->core_count - serving - 1);
    printer->line(printer->context, text);
}

void plan_table(const struct config *config, const struct machine *machine, const struct plan *plan,
                void (*line)(void *context, const char *text), void *context)
{
    struct printer printer = {.config = config, .plan = plan, .line = line, .context = context};
    for (int i = 0; i < COLUMN_COUNT; i++)
        printer.widths[i] = fmt_length(headings[i], CELL_BYTES);
    for (uint32_t i = 0; i < plan->partition_count; i++)
        measure(&printer, i);
    print_cells(&printer, headings);
    for (uint32_t i = 0; i < plan->partition_count; i++)
        print_partition(&printer, i);
    print_rest(&printer, machine);
}
