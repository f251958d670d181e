/*
 * Encoding of the event stream. Constant memory: a line goes to the sink in pieces, so the report of a full
 * machine needs no buffer. Never trusts a count or a string of the data it encodes.
 */
#include "hv/events.h"

#include "hv/capsule.h"
#include "hv/fmt.h"
#include "hv/json.h"

/* ---------------------------------------------------------------- a line's frame */

static uint64_t since_origin(const struct event_stream *stream, uint64_t tsc)
{
    return tsc > stream->origin_tsc ? tsc - stream->origin_tsc : 0;
}

static void begin(struct event_stream *stream, struct json *json, const char *type, uint64_t tsc)
{
    stream->line_open = true;
    json_start(json, stream->sink.write, stream->sink.context);
    json_object(json, NULL);
    json_u64(json, "v", EVENT_VERSION);
    json_literal(json, "type", type);
    json_u64(json, "seq", stream->next_seq++);
    json_u64(json, "t", since_origin(stream, tsc));
}

static void end(struct event_stream *stream, struct json *json)
{
    json_end(json);
    json_finish(json);
    stream->line_open = false;
}

void event_stream_start(struct event_stream *stream, struct event_sink sink, uint64_t origin_tsc)
{
    *stream = (struct event_stream){.sink = sink, .origin_tsc = origin_tsc};
}

/* ---------------------------------------------------------------- boot */

static void put_memory(struct json *json, const struct memmap *map)
{
    static const enum memmap_kind kinds[] = {MEMMAP_FREE,     MEMMAP_HYPERVISOR, MEMMAP_ACPI,
                                             MEMMAP_FIRMWARE, MEMMAP_MMIO,       MEMMAP_BAD};
    json_object(json, "memory_bytes");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        json_u64(json, memmap_kind_name(kinds[i]), memmap_bytes(map, kinds[i]));
    json_end(json);
}

static void put_topology(struct json *json, const struct machine *machine)
{
    json_array(json, "topology");
    for (uint32_t i = 0; i < machine->core_count && i < MACHINE_MAX_CORES; i++) {
        const struct core_desc *core = &machine->cores[i];
        json_object(json, NULL);
        json_u64(json, "apic_id", core->apic_id);
        json_u64(json, "package", core->package);
        json_u64(json, "core", core->core);
        json_u64(json, "thread", core->thread);
        if (core->zone == ZONE_UNKNOWN)
            json_null(json, "zone");
        else
            json_u64(json, "zone", core->zone);
        json_end(json);
    }
    json_end(json);
}

void event_boot(struct event_stream *stream, uint64_t tsc, const struct event_boot *boot)
{
    struct json json;
    begin(stream, &json, "boot", tsc);
    json_literal(&json, "region", boot->region);
    json_literal(&json, "config_source", boot->config_source);
    json_text(&json, "cpu_name", boot->machine->cpu_name, sizeof(boot->machine->cpu_name));
    json_u64(&json, "tsc_hz", boot->machine->tsc_hz);
    json_u64(&json, "cores", boot->machine->core_count);
    json_u64(&json, "packages", boot->machine->package_count);
    put_topology(&json, boot->machine);
    put_memory(&json, &boot->machine->map);
    json_array(&json, "vmx_features");
    for (uint32_t i = 0; i < boot->vmx_feature_count; i++)
        json_literal(&json, NULL, boot->vmx_features[i]);
    json_end(&json);
    json_object(&json, "hypervisor_bytes");
    json_u64(&json, "image", boot->image_bytes);
    json_u64(&json, "pool", boot->pool_bytes);
    json_u64(&json, "used", boot->used_bytes);
    json_u64(&json, "cores", boot->cores_bytes);
    json_end(&json);
    end(stream, &json);
}

/* ---------------------------------------------------------------- what plan and report share */

static uint32_t partition_count(const struct region_view *view)
{
    return (uint32_t)min_u64(view->config->partition_count, CONFIG_MAX_PARTITIONS);
}

static uint32_t vcpu_count(const struct plan_partition *plan)
{
    return (uint32_t)min_u64(plan->vcpu_count, CONFIG_MAX_VCPUS);
}

static uint32_t extent_count(const struct plan_partition *plan)
{
    return (uint32_t)min_u64(plan->extent_count, PLAN_MAX_EXTENTS);
}

static void put_extents(struct json *json, const struct plan_partition *plan)
{
    json_array(json, "extents");
    for (uint32_t i = 0; i < extent_count(plan); i++) {
        json_object(json, NULL);
        json_hex(json, "start", plan->extents[i].start);
        json_hex(json, "end", plan->extents[i].end);
        json_u64(json, "bytes", extent_bytes(plan->extents[i]));
        json_end(json);
    }
    json_end(json);
}

static void put_image(struct json *json, const struct partition_config *config)
{
    char name[sizeof("builtin:") + CONFIG_IMAGE_BYTES] = "builtin:";
    size_t prefix = config->image_builtin ? sizeof("builtin:") - 1 : 0;
    __builtin_memcpy(name + prefix, config->image, CONFIG_IMAGE_BYTES);
    name[prefix + CONFIG_IMAGE_BYTES] = '\0';
    json_literal(json, "image", name);
}

/* Name, tenant, what was asked for and what was given. */
static void put_slice(struct json *json, const struct partition_config *config,
                      const struct plan_partition *plan)
{
    char expect[48];
    expectation_format(&config->expect, expect, sizeof(expect));
    json_text(json, "name", config->name, sizeof(config->name));
    json_text(json, "tenant", config->tenant, sizeof(config->tenant));
    json_u64(json, "vcpus", vcpu_count(plan));
    json_array(json, "cores");
    for (uint32_t i = 0; i < vcpu_count(plan); i++)
        json_u64(json, NULL, plan->cores[i]);
    json_end(json);
    json_u64(json, "memory_bytes", config->memory_bytes);
    put_extents(json, plan);
    put_image(json, config);
    json_literal(json, "expect", expect);
}

static void put_footprint(struct json *json, const struct partition_footprint *footprint)
{
    json_object(json, "hypervisor_bytes");
    json_u64(json, "tables", footprint->table_bytes);
    json_u64(json, "vcpus", footprint->vcpu_bytes);
    json_u64(json, "other", footprint->other_bytes);
    json_end(json);
}

void event_plan(struct event_stream *stream, uint64_t tsc, const struct region_view *view)
{
    struct json json;
    begin(stream, &json, "plan", tsc);
    json_bool(&json, "boot_core_shared", view->plan->boot_core_shared);
    json_array(&json, "partitions");
    for (uint32_t i = 0; i < partition_count(view); i++) {
        const struct partition_config *config = &view->config->partitions[i];
        json_object(&json, NULL);
        put_slice(&json, config, &view->plan->partitions[i]);
        json_text(&json, "cmdline", config->cmdline, sizeof(config->cmdline));
        json_literal(&json, "on_fault", config->on_fault == ON_FAULT_RESTART ? "restart" : "stop");
        json_u64(&json, "restart_limit", config->restart_limit);
        json_u64(&json, "time_limit_seconds", config->time_limit_seconds);
        put_footprint(&json, &view->accounts[i]->footprint);
        json_end(&json);
    }
    json_end(&json);
    end(stream, &json);
}

/* ---------------------------------------------------------------- state, fault */

void event_state(struct event_stream *stream, uint64_t tsc, const struct event_state *change)
{
    struct json json;
    begin(stream, &json, "state", tsc);
    json_literal(&json, "partition", change->partition);
    json_literal(&json, "from", partition_state_name(change->from));
    json_literal(&json, "to", partition_state_name(change->to));
    json_u64(&json, "incarnation", change->incarnation);
    if (change->to == PARTITION_EXITED)
        json_u64(&json, "exit_code", change->exit_code);
    else
        json_null(&json, "exit_code");
    end(stream, &json);
}

static void put_progress(struct json *json, const struct plan_partition *plan,
                         const struct partition_account *account)
{
    json_array(json, "progress");
    for (uint32_t i = 0; i < vcpu_count(plan); i++)
        json_u64(json, NULL, account->progress[i]);
    json_end(json);
}

/* The basic exit reason: the upper half of the field holds flags. */
static uint32_t basic_reason(uint32_t exit_reason)
{
    return exit_reason & 0xFFFF;
}

static void put_last_exits(struct json *json, const struct event_stream *stream,
                           const struct crash_capsule *capsule)
{
    json_array(json, "last_exits");
    for (uint32_t i = 0; i < capsule_last_exits(capsule); i++) {
        const struct last_exit *exit = &capsule->last[i];
        json_object(json, NULL);
        json_literal(json, "reason", exit_reason_key(exit->reason));
        json_u64(json, "number", exit->reason);
        json_hex(json, "rip", exit->rip);
        json_u64(json, "t", since_origin(stream, exit->tsc));
        json_end(json);
    }
    json_end(json);
}

static void put_registers(struct json *json, const struct crash_capsule *capsule)
{
    struct capsule_register reg;
    json_object(json, "registers");
    for (uint32_t i = 0; capsule_register(capsule, i, &reg); i++)
        json_hex(json, reg.name, reg.value);
    json_end(json);
}

static void put_capsule(struct json *json, const struct event_stream *stream,
                        const struct crash_capsule *capsule)
{
    json_object(json, "capsule");
    json_u64(json, "vcpu", capsule->vcpu);
    json_u64(json, "core", capsule->core);
    json_u64(json, "t", since_origin(stream, capsule->tsc));
    json_text(json, "detail", capsule->detail, sizeof(capsule->detail));
    json_literal(json, "exit_reason", exit_reason_key(basic_reason(capsule->exit_reason)));
    json_hex(json, "exit_reason_raw", capsule->exit_reason);
    json_hex(json, "qualification", capsule->qualification);
    json_hex(json, "guest_physical", capsule->guest_physical);
    json_hex(json, "guest_linear", capsule->guest_linear);
    json_hex(json, "interruption_info", capsule->interruption_info);
    json_hex(json, "idt_vectoring_info", capsule->idt_vectoring_info);
    put_registers(json, capsule);
    put_last_exits(json, stream, capsule);
    json_end(json);
}

void event_fault(struct event_stream *stream, uint64_t tsc, const struct region_view *view,
                 uint32_t partition, const struct crash_capsule *capsule, bool restarts)
{
    CHECK(partition < partition_count(view));
    struct json json;
    begin(stream, &json, "fault", tsc);
    json_text(&json, "partition", view->config->partitions[partition].name, CONFIG_NAME_BYTES);
    json_literal(&json, "reason", fault_name(capsule->reason));
    json_literal(&json, "meaning", fault_meaning(capsule->reason));
    json_literal(&json, "action", restarts ? "restart" : "stop");
    put_capsule(&json, stream, capsule);
    json_array(&json, "progress");
    for (uint32_t i = 0; i < partition_count(view); i++) {
        json_object(&json, NULL);
        json_text(&json, "partition", view->config->partitions[i].name, CONFIG_NAME_BYTES);
        put_progress(&json, &view->plan->partitions[i], view->accounts[i]);
        json_end(&json);
    }
    json_end(&json);
    end(stream, &json);
}

/* ---------------------------------------------------------------- what guests say, audit, panic */

void event_verdict(struct event_stream *stream, uint64_t tsc, const char *partition, uint32_t vcpu, bool pass,
                   const char *text, size_t bytes)
{
    struct json json;
    begin(stream, &json, "verdict", tsc);
    json_literal(&json, "partition", partition);
    json_u64(&json, "vcpu", vcpu);
    json_bool(&json, "pass", pass);
    json_string(&json, "text", text, bytes);
    end(stream, &json);
}

void event_metric(struct event_stream *stream, uint64_t tsc, const char *partition, const char *name,
                  size_t bytes, uint64_t value)
{
    struct json json;
    begin(stream, &json, "metric", tsc);
    json_literal(&json, "partition", partition);
    json_string(&json, "name", name, bytes);
    json_u64(&json, "value", value);
    end(stream, &json);
}

uint64_t audit_violations(const struct audit_result *result)
{
    return result->writable_executable + result->frames_shared + result->frames_foreign +
           result->tables_foreign;
}

void event_audit(struct event_stream *stream, uint64_t tsc, const struct audit_result *result)
{
    struct json json;
    begin(stream, &json, "audit", tsc);
    json_u64(&json, "violations", audit_violations(result));
    json_u64(&json, "pages_checked", result->pages_checked);
    json_u64(&json, "writable_executable", result->writable_executable);
    json_u64(&json, "frames_checked", result->frames_checked);
    json_u64(&json, "frames_shared", result->frames_shared);
    json_u64(&json, "frames_foreign", result->frames_foreign);
    json_u64(&json, "tables_foreign", result->tables_foreign);
    json_text(&json, "first", result->first, sizeof(result->first));
    end(stream, &json);
}

void event_panic(struct event_stream *stream, uint64_t tsc, uint32_t core, const char *message)
{
    if (stream->line_open)
        stream->sink.write(stream->sink.context, "\n", 1);
    struct json json;
    begin(stream, &json, "panic", tsc);
    json_u64(&json, "core", core);
    json_literal(&json, "message", message);
    end(stream, &json);
}

/* ---------------------------------------------------------------- report */

/* True when an earlier exit reason has the same key: they are told as one. */
static bool key_told(uint32_t reason)
{
    for (uint32_t i = 0; i < reason; i++)
        if (fmt_equal(exit_reason_key(i), exit_reason_key(reason)))
            return true;
    return false;
}

static struct exit_count exits_of_key(const struct partition_account *account, const char *key)
{
    struct exit_count sum = {0, 0};
    for (uint32_t i = 0; i < EXIT_REASON_LIMIT; i++)
        if (account->exits[i].count > 0 && fmt_equal(exit_reason_key(i), key)) {
            sum.count += account->exits[i].count;
            sum.ticks += account->exits[i].ticks;
        }
    return sum;
}

static void put_exits(struct json *json, const struct partition_account *account)
{
    json_object(json, "exits");
    for (uint32_t i = 0; i < EXIT_REASON_LIMIT; i++) {
        const char *key = exit_reason_key(i);
        struct exit_count sum = exits_of_key(account, key);
        if (sum.count == 0 || key_told(i))
            continue;
        json_object(json, key);
        json_u64(json, "count", sum.count);
        json_u64(json, "ticks", sum.ticks);
        json_end(json);
    }
    json_end(json);
}

/* How it ended: state, and the exit code or the fault that belongs to it. */
static void put_end(struct json *json, const struct partition_account *account)
{
    json_literal(json, "state", partition_state_name(account->state));
    if (account->state == PARTITION_EXITED)
        json_u64(json, "exit_code", account->exit_code);
    else
        json_null(json, "exit_code");
    if (account->fault != FAULT_NONE)
        json_literal(json, "fault", fault_name(account->fault));
    else
        json_null(json, "fault");
}

static void put_account(struct json *json, const struct partition_account *account)
{
    put_end(json, account);
    json_u64(json, "restarts", account->restarts);
    json_u64(json, "ticks_run", account->ticks_run);
    json_u64(json, "ticks_serviced", account->ticks_serviced);
    json_u64(json, "absent_accesses", account->absent_accesses);
    json_u64(json, "refused_msrs", account->refused_msrs);
    json_u64(json, "hypercalls", account->hypercalls);
    json_object(json, "verdicts");
    json_u64(json, "passed", account->verdicts_passed);
    json_u64(json, "failed", account->verdicts_failed);
    json_end(json);
    put_exits(json, account);
}

struct region_counts region_count(const struct region_view *view)
{
    struct region_counts counts = {.partitions = partition_count(view)};
    for (uint32_t i = 0; i < counts.partitions; i++) {
        const struct partition_account *account = view->accounts[i];
        counts.exited += account->state == PARTITION_EXITED;
        counts.faulted += account->state == PARTITION_FAULTED;
        counts.met += expectation_met(&view->config->partitions[i].expect, account);
    }
    counts.running = counts.partitions - counts.exited - counts.faulted;
    return counts;
}

static void put_counts(struct json *json, const struct region_counts *counts)
{
    json_bool(json, "met", counts->met == counts->partitions);
    json_object(json, "counts");
    json_u64(json, "partitions", counts->partitions);
    json_u64(json, "exited", counts->exited);
    json_u64(json, "faulted", counts->faulted);
    json_u64(json, "running", counts->running);
    json_u64(json, "met", counts->met);
    json_end(json);
}

void event_report(struct event_stream *stream, uint64_t tsc, const struct region_view *view)
{
    struct json json;
    struct region_counts counts = region_count(view);
    begin(stream, &json, "report", tsc);
    json_text(&json, "region", view->config->region, sizeof(view->config->region));
    put_counts(&json, &counts);
    json_u64(&json, "dropped", view->dropped_records);
    json_array(&json, "partitions");
    for (uint32_t i = 0; i < counts.partitions; i++) {
        const struct partition_account *account = view->accounts[i];
        json_object(&json, NULL);
        put_slice(&json, &view->config->partitions[i], &view->plan->partitions[i]);
        json_bool(&json, "met", expectation_met(&view->config->partitions[i].expect, account));
        put_account(&json, account);
        put_progress(&json, &view->plan->partitions[i], account);
        json_end(&json);
    }
    json_end(&json);
    end(stream, &json);
}
