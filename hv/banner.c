/* Text for people. Writes nothing but through the callback, and nothing a terminal would obey. */
#include "hv/banner.h"

#include "hv/capsule.h"
#include "hv/events.h"
#include "hv/exit_decode.h"
#include "hv/fmt.h"

/* ---------------------------------------------------------------- lines */

/* Where lines go, and the one being made. */
struct out {
    banner_line_fn line;
    void *context;
    size_t used;
    char text[BANNER_LINE_BYTES];
};

static struct out out_to(banner_line_fn line, void *context)
{
    return (struct out){.line = line, .context = context};
}

__attribute__((format(printf, 2, 3))) static void add(struct out *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof(out->text) - out->used;
    size_t length = fmt_vsnprintf(out->text + out->used, room, format, args);
    va_end(args);
    out->used += length < room ? length : room - 1;
}

/* Hands the line over; names and texts of others may hold anything until here. */
static void end(struct out *out)
{
    for (size_t i = 0; i < out->used; i++)
        if (out->text[i] < ' ' || out->text[i] > '~')
            out->text[i] = '?';
    while (out->used > 0 && out->text[out->used - 1] == ' ')
        out->used--;
    out->text[out->used] = '\0';
    out->line(out->context, out->text);
    out->used = 0;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

void banner_count(uint64_t count, char *text, size_t text_bytes)
{
    static const char units[] = "kMGTPE";
    if (count < 100000) {
        fmt_snprintf(text, text_bytes, "%llu", (unsigned long long)count);
        return;
    }
    uint64_t tenths = count / 100;
    size_t unit = 0;
    for (; tenths >= 10000; unit++)
        tenths /= 1000;
    fmt_snprintf(text, text_bytes, "%llu.%u%c", (unsigned long long)tenths / 10, (unsigned)(tenths % 10),
                 units[unit]);
}

/* ---------------------------------------------------------------- the machine */

#define LABEL "  %-10s "

/* True when core i is the first of its physical core. */
static bool first_thread(const struct machine *machine, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (machine->cores[k].package == machine->cores[i].package &&
            machine->cores[k].core == machine->cores[i].core)
            return false;
    return true;
}

static void tell_cores(struct out *out, const struct machine *machine)
{
    uint32_t physical = 0;
    for (uint32_t i = 0; i < machine->core_count && i < MACHINE_MAX_CORES; i++)
        physical += first_thread(machine, i);
    add(out, LABEL "%u logical processor%s, %u physical core%s, %u package%s", "cores", machine->core_count,
        plural(machine->core_count), physical, plural(physical), machine->package_count,
        plural(machine->package_count));
    end(out);
}

/* Whole MiB that add up: what is taken is rounded up, what is free is the rest. */
static void tell_memory(struct out *out, const struct memmap *map)
{
    static const struct {
        enum memmap_kind kind;
        const char *name;
    } taken[] = {{MEMMAP_HYPERVISOR, "Freehold"}, {MEMMAP_ACPI, "ACPI"}, {MEMMAP_BAD, "bad"}};
    uint64_t all_bytes = memmap_bytes(map, MEMMAP_FREE);
    uint64_t taken_mib[ARRAY_SIZE(taken)];
    uint64_t all_taken_mib = 0;
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
        uint64_t bytes = memmap_bytes(map, taken[i].kind);
        taken_mib[i] = align_up(bytes, MIB) / MIB;
        all_taken_mib += taken_mib[i];
        all_bytes += bytes;
    }
    uint64_t all_mib = all_bytes / MIB;
    add(out, LABEL "%llu MiB: %llu MiB free", "memory", (unsigned long long)all_mib,
        (unsigned long long)(all_mib - min_u64(all_taken_mib, all_mib)));
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
        if (taken_mib[i] != 0)
            add(out, ", %llu MiB %s", (unsigned long long)taken_mib[i], taken[i].name);
    end(out);
}

void banner_machine(const struct machine *machine, const char *region, const char *config_source,
                    banner_line_fn line, void *context)
{
    struct out out = out_to(line, context);
    uint64_t mhz = machine->tsc_hz / 1000000;
    add(&out, "Freehold, region %s", region);
    end(&out);
    add(&out, LABEL "%.*s, TSC at %llu MHz", "processor",
        (int)fmt_length(machine->cpu_name, sizeof(machine->cpu_name)), machine->cpu_name,
        (unsigned long long)mhz);
    end(&out);
    tell_cores(&out, machine);
    tell_memory(&out, &machine->map);
    add(&out, LABEL "%s", "plan from", config_source);
    end(&out);
}

#define FEATURES_COLUMNS 100 /* where the list is wrapped */

void banner_features(const char *const *features, uint32_t count, banner_line_fn line, void *context)
{
    struct out out = out_to(line, context);
    add(&out, LABEL, "VT-x");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && out.used + fmt_length(features[i], FEATURES_COLUMNS) + 2 > FEATURES_COLUMNS) {
            end(&out);
            add(&out, LABEL, "");
        }
        add(&out, "%s%s", features[i], i + 1 < count ? ", " : "");
    }
    end(&out);
}

/* ---------------------------------------------------------------- containment */

#define REGISTERS_A_LINE 4

static void tell_registers(struct out *out, const struct crash_capsule *capsule)
{
    struct capsule_register reg;
    for (uint32_t i = 0; capsule_register(capsule, i, &reg); i++) {
        if (i > 0 && i % REGISTERS_A_LINE == 0)
            end(out);
        add(out, "  %6s %0*llx", reg.name, (int)reg.bytes * 2, (unsigned long long)reg.value);
    }
    end(out);
}

static void tell_last_exits(struct out *out, const struct crash_capsule *capsule)
{
    if (capsule_last_exits(capsule) == 0)
        return;
    add(out, "  last exits, oldest first (ticks before the end):");
    end(out);
    for (uint32_t i = 0; i < capsule_last_exits(capsule); i++) {
        const struct last_exit *exit = &capsule->last[i];
        uint64_t ago = capsule->tsc > exit->tsc ? capsule->tsc - exit->tsc : 0;
        add(out, "  %12llu  rip %016llx  %s", (unsigned long long)ago, (unsigned long long)exit->rip,
            exit_reason_name(exit->reason));
        end(out);
    }
}

static void tell_exit(struct out *out, const struct crash_capsule *capsule)
{
    char sentence[200];
    exit_describe(sentence, sizeof(sentence), capsule);
    add(out, "  vCPU %u on core %u; last exit: %s", capsule->vcpu, capsule->core, sentence);
    end(out);
    add(out,
        "  reason 0x%x, qualification 0x%llx, guest physical 0x%llx, linear 0x%llx; interruption 0x%x, "
        "IDT vectoring 0x%x",
        capsule->exit_reason, (unsigned long long)capsule->qualification,
        (unsigned long long)capsule->guest_physical, (unsigned long long)capsule->guest_linear,
        capsule->interruption_info, capsule->idt_vectoring_info);
    end(out);
}

void banner_fault(const char *partition, const struct crash_capsule *capsule, bool restarts,
                  banner_line_fn line, void *context)
{
    struct out out = out_to(line, context);
    add(&out, "partition %s: contained, %s: %s; it %s", partition, fault_name(capsule->reason),
        fault_meaning(capsule->reason), restarts ? "starts again" : "stays stopped");
    end(&out);
    if (capsule->detail[0] != '\0') {
        add(&out, "  %.*s", (int)fmt_length(capsule->detail, sizeof(capsule->detail)), capsule->detail);
        end(&out);
    }
    tell_exit(&out, capsule);
    tell_registers(&out, capsule);
    tell_last_exits(&out, capsule);
}

/* ---------------------------------------------------------------- audit */

void banner_audit(const struct audit_result *result, banner_line_fn line, void *context)
{
    struct out out = out_to(line, context);
    uint64_t violations = audit_violations(result);
    add(&out, "audit: %llu pages of the hypervisor and %llu frames of partitions checked: ",
        (unsigned long long)result->pages_checked, (unsigned long long)result->frames_checked);
    if (violations == 0) {
        add(&out, "all as it must be");
        end(&out);
        return;
    }
    add(&out, "%llu VIOLATION%s", (unsigned long long)violations, violations == 1 ? "" : "S");
    end(&out);
    add(&out,
        "audit: writable and executable %llu, shared %llu, foreign frames %llu, foreign tables %llu; first: "
        "%.*s",
        (unsigned long long)result->writable_executable, (unsigned long long)result->frames_shared,
        (unsigned long long)result->frames_foreign, (unsigned long long)result->tables_foreign,
        (int)fmt_length(result->first, sizeof(result->first)), result->first);
    end(&out);
}

/* ---------------------------------------------------------------- tables of partitions */

#define CELL_BYTES 48

struct row {
    const struct partition_config *config;
    const struct plan_partition *plan;
    const struct partition_account *account;
};

/* A column: its heading, and what one row shows there. */
struct column {
    const char *heading;
    bool right;
    void (*fill)(const struct row *row, char *cell);
};

static struct row row_of(const struct region_view *view, uint32_t i)
{
    return (struct row){&view->config->partitions[i], &view->plan->partitions[i], view->accounts[i]};
}

static void fill_name(const struct row *row, char *cell)
{
    fmt_snprintf(cell, CELL_BYTES, "%.*s", (int)fmt_length(row->config->name, CONFIG_NAME_BYTES),
                 row->config->name);
}

static void fill_tenant(const struct row *row, char *cell)
{
    fmt_snprintf(cell, CELL_BYTES, "%.*s", (int)fmt_length(row->config->tenant, CONFIG_NAME_BYTES),
                 row->config->tenant);
}

static void fill_state(const struct row *row, char *cell)
{
    const struct partition_account *account = row->account;
    const char *state = partition_state_name(account->state);
    if (account->state == PARTITION_EXITED)
        fmt_snprintf(cell, CELL_BYTES, "%s %u", state, account->exit_code);
    else if (account->state == PARTITION_FAULTED)
        fmt_snprintf(cell, CELL_BYTES, "%s: %s", state, fault_name(account->fault));
    else
        fmt_copy(cell, CELL_BYTES, state);
}

static void fill_expect(const struct row *row, char *cell)
{
    expectation_format(&row->config->expect, cell, CELL_BYTES);
}

static void fill_met(const struct row *row, char *cell)
{
    fmt_copy(cell, CELL_BYTES, expectation_met(&row->config->expect, row->account) ? "yes" : "NO");
}

static void fill_restarts(const struct row *row, char *cell)
{
    banner_count(row->account->restarts, cell, CELL_BYTES);
}

static void fill_progress(const struct row *row, char *cell)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < row->plan->vcpu_count && i < CONFIG_MAX_VCPUS; i++)
        sum += row->account->progress[i];
    banner_count(sum, cell, CELL_BYTES);
}

static void fill_ticks_run(const struct row *row, char *cell)
{
    banner_count(row->account->ticks_run, cell, CELL_BYTES);
}

static void fill_ticks_serviced(const struct row *row, char *cell)
{
    banner_count(row->account->ticks_serviced, cell, CELL_BYTES);
}

static void fill_exits(const struct row *row, char *cell)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < EXIT_REASON_LIMIT; i++)
        sum += row->account->exits[i].count;
    banner_count(sum, cell, CELL_BYTES);
}

static void fill_verdicts(const struct row *row, char *cell)
{
    fmt_snprintf(cell, CELL_BYTES, "%u/%u", row->account->verdicts_passed,
                 row->account->verdicts_passed + row->account->verdicts_failed);
}

static const struct column status_columns[] = {
    {"partition", false, fill_name},   {"tenant", false, fill_tenant},    {"state", false, fill_state},
    {"restarts", true, fill_restarts}, {"progress", true, fill_progress}, {"ticks run", true, fill_ticks_run},
    {"exits", true, fill_exits},
};

static const struct column report_columns[] = {
    {"partition", false, fill_name},
    {"ended as", false, fill_state},
    {"expected", false, fill_expect},
    {"met", false, fill_met},
    {"restarts", true, fill_restarts},
    {"progress", true, fill_progress},
    {"passed", true, fill_verdicts},
    {"ticks run", true, fill_ticks_run},
    {"ticks served", true, fill_ticks_serviced},
    {"exits", true, fill_exits},
};

static uint32_t rows_of(const struct region_view *view)
{
    return (uint32_t)min_u64(view->config->partition_count, CONFIG_MAX_PARTITIONS);
}

static size_t column_width(const struct column *column, const struct region_view *view)
{
    size_t width = fmt_length(column->heading, CELL_BYTES);
    for (uint32_t i = 0; i < rows_of(view); i++) {
        char cell[CELL_BYTES];
        struct row row = row_of(view, i);
        column->fill(&row, cell);
        width = max_u64(width, fmt_length(cell, CELL_BYTES));
    }
    return width;
}

static void add_cell(struct out *out, const struct column *column, size_t width, const char *text)
{
    if (column->right)
        add(out, "  %*s", (int)width, text);
    else
        add(out, "  %-*s", (int)width, text);
}

static void tell_table(struct out *out, const struct column *columns, size_t column_count,
                       const struct region_view *view)
{
    size_t widths[ARRAY_SIZE(report_columns)];
    CHECK(column_count <= ARRAY_SIZE(widths));
    for (size_t c = 0; c < column_count; c++) {
        widths[c] = column_width(&columns[c], view);
        add_cell(out, &columns[c], widths[c], columns[c].heading);
    }
    end(out);
    for (uint32_t i = 0; i < rows_of(view); i++) {
        struct row row = row_of(view, i);
        for (size_t c = 0; c < column_count; c++) {
            char cell[CELL_BYTES];
            columns[c].fill(&row, cell);
            add_cell(out, &columns[c], widths[c], cell);
        }
        end(out);
    }
}

void banner_status(const struct region_view *view, banner_line_fn line, void *context)
{
    struct out out = out_to(line, context);
    tell_table(&out, status_columns, ARRAY_SIZE(status_columns), view);
}

/* ---------------------------------------------------------------- the closing report */

#define REASONS_SHOWN 6

/* The reason with most exits among those not in `shown`; EXIT_REASON_LIMIT when there is none. */
static uint32_t next_reason(const struct partition_account *account, const bool *shown)
{
    uint32_t best = EXIT_REASON_LIMIT;
    for (uint32_t i = 0; i < EXIT_REASON_LIMIT; i++)
        if (!shown[i] && account->exits[i].count > 0 &&
            (best == EXIT_REASON_LIMIT || account->exits[i].count > account->exits[best].count))
            best = i;
    return best;
}

/* "  NAME: cpuid 12 x 95, ...": how often, and the ticks each took on average. */
static void tell_exits(struct out *out, const struct row *row)
{
    bool shown[EXIT_REASON_LIMIT] = {false};
    char count[24];
    char name[CELL_BYTES];
    fill_name(row, name);
    add(out, "  %s:", name);
    uint32_t reason = next_reason(row->account, shown);
    if (reason == EXIT_REASON_LIMIT)
        add(out, " none");
    for (uint32_t i = 0; i < REASONS_SHOWN && reason != EXIT_REASON_LIMIT; i++) {
        const struct exit_count *exits = &row->account->exits[reason];
        banner_count(exits->count, count, sizeof(count));
        add(out, "%s %s %s x %llu", i > 0 ? "," : "", exit_reason_key(reason), count,
            (unsigned long long)(exits->ticks / exits->count));
        shown[reason] = true;
        reason = next_reason(row->account, shown);
    }
    if (reason != EXIT_REASON_LIMIT)
        add(out, ", ...");
    end(out);
}

void banner_report(const struct region_view *view, banner_line_fn line, void *context)
{
    struct out out = out_to(line, context);
    struct region_counts counts = region_count(view);
    add(&out, "report of region %.*s", (int)fmt_length(view->config->region, CONFIG_NAME_BYTES),
        view->config->region);
    end(&out);
    tell_table(&out, report_columns, ARRAY_SIZE(report_columns), view);
    add(&out, "exits by reason, with the ticks that one took on average:");
    end(&out);
    for (uint32_t i = 0; i < counts.partitions; i++) {
        struct row row = row_of(view, i);
        tell_exits(&out, &row);
    }
    if (view->dropped_records > 0) {
        add(&out, "%llu record%s of guests got lost on the way", (unsigned long long)view->dropped_records,
            plural(view->dropped_records));
        end(&out);
    }
    add(&out, "%u of %u partition%s met what was expected%s", counts.met, counts.partitions,
        plural(counts.partitions), counts.met == counts.partitions ? "" : ": NOT ALL");
    end(&out);
}
