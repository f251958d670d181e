/*
 * The control loop. Each round is bounded: some records of every core, some bytes to the UARTs, one character
 * of input, one look at the watchdogs.
 */
#include "hv/control.h"

#include "hv/apic.h"
#include "hv/audit.h"
#include "hv/banner.h"
#include "hv/command.h"
#include "hv/console.h"
#include "hv/events.h"
#include "hv/fmt.h"
#include "hv/line.h"
#include "hv/memory.h"
#include "hv/partition.h"
#include "hv/poweroff.h"
#include "hv/smp.h"
#include "hv/string.h"
#include "hv/vmx/vmx.h"
#include "hv/watchdog.h"

#define RECORDS_PER_ROUND 8
/* Room that guests' records leave in a ring for those that must not be lost. */
#define RING_RESERVE_BYTES 4096
#define ROUNDS_PER_SECOND  500 /* while nothing is going on */
#define PATIENCE_SECONDS   2
#define CLOSING_SECONDS    30 /* for what is queued to leave a slow UART */

static struct {
    const struct handoff *handoff;
    const struct plan *plan;
    struct event_stream events;
    struct region_view view;
    struct partition_account accounts[CONFIG_MAX_PARTITIONS];
    struct line_buffer *lines[CONFIG_MAX_PARTITIONS]; /* one a vCPU */
    struct watchdog dogs[MACHINE_MAX_CORES];
    struct command_line input;
    uint64_t ticks_first_guest; /* from efi_main to the first guest instruction */
    bool closing;               /* the operator asked for it */
    bool closed;                /* guests' records are not taken any more; atomic */
} control;

uint64_t control_tsc_hz(void)
{
    return control.handoff->machine.tsc_hz;
}

bool control_has_room(uint32_t bytes)
{
    return !__atomic_load_n(&control.closed, __ATOMIC_RELAXED) &&
           ring_has_room(&this_core()->ring, bytes + RING_RESERVE_BYTES);
}

void control_post(enum record_type type, const void *record, uint32_t bytes)
{
    struct core *core = this_core();
    /* Guests leave the reserve alone, so only a core that ends its partition again and again can find no
     * room: it waits. */
    while (!ring_has_room(&core->ring, bytes) && core->index != 0) {
        core->heartbeat++; /* it waits for the console, not in its guest */
        cpu_pause();
    }
    ring_push(&core->ring, (uint16_t)type, record, bytes);
    if (core->index != 0 && type != RECORD_OUTPUT)
        smp_kick(0);
}

/* Fresh figures for whoever shows them. */
static const struct region_view *refresh(void)
{
    control.view.dropped_records = 0;
    for (uint32_t i = 0; i < partition_count; i++)
        partition_account(partitions[i], &control.accounts[i]);
    for (uint32_t i = 0; i < control.handoff->machine.core_count; i++)
        if (cores[i] != NULL)
            control.view.dropped_records += ring_dropped(&cores[i]->ring);
    return &control.view;
}

/* ---- records */

static const char *name_of(uint32_t partition)
{
    return partitions[partition]->config->name;
}

static void take_text(enum record_type type, const struct record_text *text)
{
    uint64_t now = cpu_rdtsc();
    if (type == RECORD_OUTPUT)
        line_add(&control.lines[text->partition][text->vcpu], text->text, text->bytes, console_line_to, NULL);
    else if (type == RECORD_VERDICT)
        event_verdict(&control.events, now, name_of(text->partition), text->vcpu, text->value == 1,
                      text->text, text->bytes);
    else
        event_metric(&control.events, now, name_of(text->partition), text->text, text->bytes, text->value);
}

static void flush_lines(uint32_t partition)
{
    for (uint32_t i = 0; i < partitions[partition]->vcpu_count; i++)
        line_flush(&control.lines[partition][i], console_line_to, NULL);
}

/* Figures of a start: what it cost from the decision to the first instruction, and from power-on. */
static void tell_start(const struct record_state *record)
{
    const char *name = name_of(record->partition);
    uint64_t now = cpu_rdtsc();
    uint64_t with_scrub = record->tsc - record->decided_tsc;
    uint64_t scrub = record->scrubbed_tsc - record->decided_tsc;
    static const char with[] = "start.with_scrub", without[] = "start.without_scrub";
    static const char first[] = "start.from_efi_main";
    event_metric(&control.events, now, name, with, sizeof(with) - 1, with_scrub);
    event_metric(&control.events, now, name, without, sizeof(without) - 1, with_scrub - scrub);
    if (control.ticks_first_guest != 0)
        return;
    control.ticks_first_guest = record->tsc - control.handoff->entry_tsc;
    event_metric(&control.events, now, name, first, sizeof(first) - 1, control.ticks_first_guest);
}

static void take_state(const struct record_state *record)
{
    struct event_state change = {
        .partition = name_of(record->partition),
        .from = (enum partition_state)record->from,
        .to = (enum partition_state)record->to,
        .incarnation = record->incarnation,
        .exit_code = record->exit_code,
    };
    event_state(&control.events, record->tsc, &change);
    if (change.to == PARTITION_RUNNING) {
        console_printf("partition %s: running", change.partition);
        tell_start(record);
    }
    if (change.to != PARTITION_EXITED && change.to != PARTITION_FAULTED && change.to != PARTITION_RESTARTING)
        return;
    flush_lines(record->partition);
    if (change.to == PARTITION_EXITED)
        console_printf("partition %s: exited with code %u", change.partition, change.exit_code);
}

static void take_fault(const struct record_fault *record)
{
    event_fault(&control.events, record->capsule.tsc, refresh(), record->partition, &record->capsule,
                record->restarts);
    flush_lines(record->partition);
    banner_fault(name_of(record->partition), &record->capsule, record->restarts, console_line_to, NULL);
}

static void take_audit(const struct audit_result *result)
{
    event_audit(&control.events, cpu_rdtsc(), result);
    banner_audit(result, console_line_to, NULL);
}

static void take(enum record_type type, const void *payload)
{
    switch (type) {
    case RECORD_OUTPUT:
    case RECORD_VERDICT:
    case RECORD_METRIC:
        take_text(type, payload);
        break;
    case RECORD_STATE:
        take_state(payload);
        break;
    case RECORD_FAULT:
        take_fault(payload);
        break;
    case RECORD_AUDIT:
        take_audit(payload);
        break;
    }
}

/* Some records of one core; true when more wait. A guest that floods its console waits for the UART, not the
 * others. */
static bool drain(struct core *core)
{
    static union {
        uint64_t align;
        uint8_t bytes[RING_MAX_PAYLOAD];
    } payload;
    struct ring_record record;
    for (uint32_t i = 0; i < RECORDS_PER_ROUND; i++) {
        if (!ring_peek(&core->ring, &record))
            return false;
        if (record.type != RECORD_STATE && record.type != RECORD_FAULT && !console_has_room())
            return true;
        if (ring_pop(&core->ring, &record, payload.bytes, sizeof(payload.bytes)))
            take((enum record_type)record.type, payload.bytes);
    }
    return true;
}

static bool drain_all(void)
{
    bool more = false;
    for (uint32_t i = 0; i < control.handoff->machine.core_count; i++)
        if (cores[i] != NULL)
            more |= drain(cores[i]);
    return more;
}

/* ---- commands */

static struct partition *find(const char *name)
{
    for (uint32_t i = 0; i < partition_count; i++)
        if (fmt_equal(name, name_of(i)))
            return partitions[i];
    return NULL;
}

static void run_audit(void)
{
    struct audit_result result;
    audit_run(&result);
    take_audit(&result);
}

static void stop_partition(const char *name)
{
    struct partition *partition = find(name);
    if (partition == NULL)
        console_printf("stop: there is no partition '%s'; `status` lists them", name);
    else if (partition_ended(partition))
        console_printf("stop: %s has ended already", name);
    else
        partition_stop(partition, FAULT_STOPPED);
}

static void status(void)
{
    banner_status(refresh(), console_line_to, NULL);
    for (uint32_t i = 0; i < control.handoff->machine.core_count; i++)
        if (cores[i] != NULL && (cores[i]->nmi_count != 0 || cores[i]->stray_interrupts != 0))
            console_printf("core %u: %u NMIs, %u stray interrupts", i, cores[i]->nmi_count,
                           cores[i]->stray_interrupts);
}

static void execute(const char *text)
{
    struct command command;
    if (!command_parse(text, &command)) {
        console_line(command.error);
        return;
    }
    switch (command.kind) {
    case COMMAND_HELP:
        command_help(console_line_to, NULL);
        break;
    case COMMAND_STATUS:
        status();
        break;
    case COMMAND_AUDIT:
        run_audit();
        break;
    case COMMAND_REPORT:
        banner_report(refresh(), console_line_to, NULL);
        break;
    case COMMAND_EVENTS:
        console_show_events();
        break;
    case COMMAND_STOP:
        stop_partition(command.argument);
        break;
    case COMMAND_SHUTDOWN:
        control.closing = true;
        break;
    case COMMAND_NONE:
        break;
    }
}

static void take_input(void)
{
    int c = console_input();
    if (c < 0)
        return;
    const char *line = command_line_add(&control.input, (char)c);
    console_printf_raw("%s", control.input.echo);
    if (line != NULL)
        execute(line);
}

/* ---- watching, and the end */

static void watch(uint32_t index, uint64_t now)
{
    struct core *core = cores[index];
    struct vcpu *vcpu = core != NULL ? core->vcpu : NULL;
    if (vcpu == NULL)
        return;
    struct watchdog *dog = &control.dogs[index];
    uint32_t state = __atomic_load_n(&vcpu->partition->state, __ATOMIC_ACQUIRE);
    uint64_t heartbeat = __atomic_load_n(&core->heartbeat, __ATOMIC_RELAXED);
    if (state != PARTITION_RUNNING && state != PARTITION_STOPPING) {
        watchdog_reset(dog, heartbeat, now);
        return;
    }
    switch (watchdog_look(dog, heartbeat, now, PATIENCE_SECONDS * control_tsc_hz())) {
    case WATCHDOG_PING:
        vcpu_kick(vcpu);
        break;
    case WATCHDOG_LOST:
        partition_abandon(vcpu->partition, index);
        break;
    case WATCHDOG_ALIVE:
        break;
    }
}

/* The region closes when everyone has ended who is expected to, or when the operator says so. */
static bool finished(void)
{
    if (control.closing)
        return true;
    uint32_t awaited = 0;
    for (uint32_t i = 0; i < partition_count; i++) {
        if (partitions[i]->config->expect.kind == EXPECT_RUNNING)
            continue;
        awaited++;
        if (!partition_ended(partitions[i]))
            return false;
    }
    return awaited != 0 || partition_count == 0;
}

/* Partitions expected to run are left running: the report says so. */
static _Noreturn void close_region(void)
{
    /* Whoever still runs is not heard any more, so the rings run empty; a partition that restarts meanwhile
     * ends it too. */
    uint64_t start = cpu_rdtsc();
    __atomic_store_n(&control.closed, true, __ATOMIC_RELAXED);
    while (drain_all() && cpu_rdtsc() - start < CLOSING_SECONDS * control_tsc_hz())
        console_poll();
    for (uint32_t i = 0; i < partition_count; i++)
        flush_lines(i);
    run_audit();
    const struct region_view *view = refresh();
    banner_report(view, console_line_to, NULL);
    event_report(&control.events, cpu_rdtsc(), view);
    poweroff(&control.handoff->poweroff);
}

void control_poll(void)
{
    uint64_t now = cpu_rdtsc();
    drain_all();
    take_input();
    console_poll();
    for (uint32_t i = 1; i < control.handoff->machine.core_count; i++)
        watch(i, now);
    if (finished())
        close_region();
}

static bool anything_waits(void)
{
    struct ring_record record;
    for (uint32_t i = 0; i < control.handoff->machine.core_count; i++)
        if (cores[i] != NULL && ring_peek(&cores[i]->ring, &record))
            return true;
    return false;
}

void control_sleep(void)
{
    if (anything_waits())
        return;
    apic_timer_after(control_tsc_hz() / ROUNDS_PER_SECOND);
    cpu_sleep();
}

_Noreturn void control_main(void)
{
    struct core *core = this_core();
    for (;;) {
        control_poll();
        struct vcpu *vcpu = core->vcpu;
        if (vcpu == NULL || !partition_step(vcpu))
            control_sleep();
    }
}

static uint64_t cores_bytes(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < control.handoff->machine.core_count; i++)
        if (cores[i] != NULL)
            bytes += cores[i]->footprint_bytes;
    return bytes;
}

void control_init(const struct handoff *handoff, const struct plan *plan)
{
    memset(&control, 0, sizeof(control));
    control.handoff = handoff;
    control.plan = plan;
    control.view.config = &handoff->config;
    control.view.plan = plan;
    for (uint32_t i = 0; i < partition_count; i++) {
        struct partition *partition = partitions[i];
        control.view.accounts[i] = &control.accounts[i];
        uint64_t used_before = memory_pool_used();
        control.lines[i] = memory_need(partition->vcpu_count * sizeof(struct line_buffer));
        partition->footprint.other_bytes += memory_pool_used() - used_before;
        for (uint32_t v = 0; v < partition->vcpu_count; v++)
            line_init(&control.lines[i][v], partition->config->name);
    }
    const char *features[VMX_FEATURE_NAMES_MAX];
    struct event_boot boot = {
        .region = handoff->config.region,
        .config_source = handoff->config_source,
        .machine = &handoff->machine,
        .vmx_features = features,
        .vmx_feature_count = vmx_feature_names(features),
        .image_bytes = handoff->image_bytes,
        .pool_bytes = memory_pool_bytes(),
        .used_bytes = memory_pool_used(),
        .cores_bytes = cores_bytes(),
    };
    event_stream_start(&control.events, console_event_sink(), handoff->entry_tsc);
    console_use_stream(&control.events);
    event_boot(&control.events, cpu_rdtsc(), &boot);
    event_plan(&control.events, cpu_rdtsc(), refresh());
}
