/*
 * Any bytes at all as freehold.toml, on machines of many shapes: the parser and the planner end, a plan keeps
 * every promise, an error lies in the text and says something, and the table can be printed. The last four
 * bytes of the text also choose the machine, so that a seed is a plain configuration.
 */
#include <stdlib.h>
#include <string.h>

#include "host_tests/support/plan_promise.h"
#include "hv/plan_table.h"

#define MAX_ENTRIES   4096
#define MACHINE_BYTES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config config;
static struct machine machine;
static struct plan plan;
static struct frame_extent entries[MAX_ENTRIES];

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void build_machine(const uint8_t *recipe)
{
    memset(&machine, 0, sizeof(machine));
    uint32_t threads = 1 + recipe[0] % 2u, zones = 1 + (recipe[0] >> 1) % 4u;
    machine.core_count = 1 + recipe[1] % 64u;
    machine.package_count = zones;
    for (uint32_t i = 0; i < machine.core_count; i++)
        machine.cores[i] = (struct core_desc){.apic_id = i,
                                              .package = (uint16_t)(i / threads % zones),
                                              .core = (uint16_t)(i / threads / zones),
                                              .thread = (uint16_t)(i % threads),
                                              .zone = (uint16_t)(i / threads % zones)};
    machine.map.count = 1 + recipe[2] % 32u;
    for (uint32_t i = 0; i < machine.map.count; i++)
        machine.map.ranges[i] = (struct memmap_range){.start = (16 + 64 * i) * MIB,
                                                      .end = (18 + 64 * i + recipe[3] % 62u) * MIB,
                                                      .kind = MEMMAP_FREE,
                                                      .zone = (uint16_t)(i % zones)};
}

static void check_line(void *context, const char *text)
{
    (void)context;
    require(strlen(text) < PLAN_TABLE_LINE_BYTES);
}

static void check_diag(const struct diag *diag, const char *text, size_t length)
{
    require(diag->message[0] != '\0' && diag->pos.line > 0 && diag->pos.column > 0);
    require(strlen(diag->message) < sizeof(diag->message));
    for (const char *c = diag->message; *c != '\0'; c++)
        require(*c >= ' ' && *c <= '~');
    uint32_t lines = 1;
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    require(diag->pos.line <= lines && diag->pos.column <= length + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diag diag = {.message = ""};
    struct frame_table frames;
    if (size < MACHINE_BYTES)
        return 0;
    build_machine(data + size - MACHINE_BYTES);
    const char *text = (const char *)data;
    if (!config_parse(text, size, &config, &diag)) {
        check_diag(&diag, text, size);
        return 0;
    }
    require(frames_init(&frames, entries, sizeof(entries), &machine.map) == ALLOC_OK);
    if (!plan_make(&config, &machine, &frames, &plan, &diag)) {
        check_diag(&diag, text, size);
        return 0;
    }
    require(plan_promise_broken(&config, &machine, &frames, &plan) == NULL);
    plan_table(&config, &machine, &plan, check_line, NULL);
    return 0;
}
