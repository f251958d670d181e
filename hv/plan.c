/*
 * The planner: gives every partition its cores and its memory, or says why it cannot. Cores first, those
 * listed by hand before those it chooses itself; then, in the order of the configuration, memory near them.
 * Pure and deterministic. Must never give a physical core or a frame to two partitions, whatever the
 * configuration or the machine's description says.
 */
#include "hv/plan.h"

#include "hv/fmt.h"

#define DEFAULT_MEMORY     (64 * MIB)
#define DEFAULT_PARTITIONS 3
#define SIZE_TEXT_BYTES    24

/* Who holds a physical core: a partition's index, or one of these. */
#define HOLDER_FREE    UINT16_MAX
#define HOLDER_CONTROL (UINT16_MAX - 1)

#define ZONE_ANY (-1)

/*
 * Physical cores are known by their first logical core ("the lead"), so no second numbering is needed. Arrays
 * are indexed by logical core; `threads` and `holder` count at leads only.
 */
struct planner {
    const struct config *config;
    const struct machine *machine;
    struct frame_table *frames;
    struct plan *plan;
    struct diag *diag;
    uint32_t physical_count;
    uint16_t lead[MACHINE_MAX_CORES];    /* the first logical core of the same physical core */
    uint16_t threads[MACHINE_MAX_CORES]; /* logical cores of the physical core */
    uint16_t holder[MACHINE_MAX_CORES];
};

static bool fail(struct planner *planner, struct source_pos pos, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(struct planner *planner, struct source_pos pos, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    planner->diag->pos = pos;
    fmt_vsnprintf(planner->diag->message, sizeof(planner->diag->message), format, args);
    va_end(args);
    return false;
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

/* ------------------------------------------------------------------------------------------- the machine */

static uint16_t find_lead(const struct machine *machine, uint16_t core)
{
    const struct core_desc *wanted = &machine->cores[core];
    for (uint16_t i = 0; i < core; i++)
        if (machine->cores[i].package == wanted->package && machine->cores[i].core == wanted->core)
            return i;
    return core;
}

static uint32_t count_physical(const struct machine *machine)
{
    uint32_t count = 0;
    for (uint16_t i = 0; i < machine->core_count; i++)
        count += find_lead(machine, i) == i;
    return count;
}

static bool machine_usable(const struct machine *machine)
{
    return machine->core_count >= 1 && machine->core_count <= MACHINE_MAX_CORES;
}

/* The boot core's physical core is kept for the control loop, unless there is no other. */
static bool survey_cores(struct planner *planner)
{
    const struct machine *machine = planner->machine;
    if (!machine_usable(machine))
        return fail(planner, (struct source_pos){0, 0}, "the machine has %u cores: Freehold needs 1 to %u",
                    machine->core_count, MACHINE_MAX_CORES);
    for (uint16_t i = 0; i < machine->core_count; i++) {
        uint16_t lead = find_lead(machine, i);
        planner->lead[i] = lead;
        planner->holder[i] = HOLDER_FREE;
        planner->threads[i] = 0;
        planner->threads[lead]++;
        planner->physical_count += lead == i;
    }
    if (planner->physical_count > 1)
        planner->holder[0] = HOLDER_CONTROL;
    return true;
}

static bool is_lead(const struct planner *planner, uint32_t core)
{
    return planner->lead[core] == core;
}

/* ------------------------------------------------------------------------------------------ cores by hand */

/* The core of a partition that keeps `core` from others: itself or a hyper-thread of it. */
static uint16_t core_in_the_way(const struct planner *planner, const struct plan_partition *other,
                                uint16_t core)
{
    uint16_t found = core;
    for (uint32_t i = 0; i < other->vcpu_count; i++) {
        if (other->cores[i] == core)
            return core;
        if (planner->lead[other->cores[i]] == planner->lead[core])
            found = other->cores[i];
    }
    return found;
}

static bool refuse_held_core(struct planner *planner, uint32_t index, uint16_t core)
{
    const struct partition_config *wanted = &planner->config->partitions[index];
    uint16_t holder = planner->holder[planner->lead[core]];
    if (holder == HOLDER_CONTROL && core == 0)
        return fail(planner, wanted->at_cores,
                    "partition \"%s\" lists core 0, the boot core, which is kept for control: list others",
                    wanted->name);
    if (holder == HOLDER_CONTROL)
        return fail(
            planner, wanted->at_cores,
            "partition \"%s\" lists core %u, a hyper-thread of the boot core, which is kept for control: "
            "list others",
            wanted->name, core);
    const char *name = planner->config->partitions[holder].name;
    uint16_t serving = core_in_the_way(planner, &planner->plan->partitions[holder], core);
    if (serving == core)
        return fail(planner, wanted->at_cores,
                    "partition \"%s\" lists core %u, which serves partition \"%s\": list a core only once",
                    wanted->name, core, name);
    return fail(
        planner, wanted->at_cores,
        "partition \"%s\" lists core %u, a hyper-thread of core %u, which serves partition \"%s\": list "
        "whole physical cores",
        wanted->name, core, serving, name);
}

static bool take_listed_core(struct planner *planner, uint32_t index, uint16_t core)
{
    const struct partition_config *wanted = &planner->config->partitions[index];
    struct plan_partition *planned = &planner->plan->partitions[index];
    if (core >= planner->machine->core_count)
        return fail(planner, wanted->at_cores,
                    "partition \"%s\" lists core %u: this machine has cores 0 to %u", wanted->name, core,
                    planner->machine->core_count - 1);
    uint16_t lead = planner->lead[core];
    if (planner->holder[lead] != HOLDER_FREE && planner->holder[lead] != index)
        return refuse_held_core(planner, index, core);
    for (uint32_t i = 0; i < planned->vcpu_count; i++)
        if (planned->cores[i] == core)
            return fail(planner, wanted->at_cores,
                        "partition \"%s\" lists core %u twice: list each core once", wanted->name, core);
    planner->holder[lead] = (uint16_t)index;
    planned->cores[planned->vcpu_count++] = core;
    return true;
}

static bool take_listed_cores(struct planner *planner, uint32_t index)
{
    const struct partition_config *wanted = &planner->config->partitions[index];
    if (wanted->core_count != wanted->vcpus)
        return fail(planner, wanted->at_cores,
                    "partition \"%s\" lists %u core%s for %u vCPU%s: list one for each, or remove \"cores\"",
                    wanted->name, wanted->core_count, plural(wanted->core_count), wanted->vcpus,
                    plural(wanted->vcpus));
    for (uint32_t i = 0; i < wanted->core_count; i++)
        if (!take_listed_core(planner, index, wanted->cores[i]))
            return false;
    return true;
}

/* --------------------------------------------------------------------------------------- cores by choice */

static bool in_zone(const struct planner *planner, uint32_t core, int zone)
{
    return zone == ZONE_ANY || planner->machine->cores[core].zone == zone;
}

static bool free_lead(const struct planner *planner, uint32_t core, int zone)
{
    return is_lead(planner, core) && planner->holder[core] == HOLDER_FREE && in_zone(planner, core, zone);
}

static uint32_t free_threads(const struct planner *planner, int zone)
{
    uint32_t threads = 0;
    for (uint32_t i = 0; i < planner->machine->core_count; i++)
        if (free_lead(planner, i, zone))
            threads += planner->threads[i];
    return threads;
}

/* Whether a physical core of `a` threads suits `missing` vCPUs better than one of `b`: the largest that is
 * used wholly is best, else the smallest. */
static bool suits_better(uint16_t a, uint16_t b, uint32_t missing)
{
    if (a <= missing && b <= missing)
        return a > b;
    return a < b;
}

/* The physical core to take when `missing` vCPUs still need one; the first of those alike. UINT16_MAX: none
 * is free. */
static uint16_t choose_lead(const struct planner *planner, int zone, uint32_t missing)
{
    uint16_t best = UINT16_MAX;
    for (uint16_t i = 0; i < planner->machine->core_count; i++) {
        if (!free_lead(planner, i, zone))
            continue;
        if (best == UINT16_MAX || suits_better(planner->threads[i], planner->threads[best], missing))
            best = i;
    }
    return best;
}

/* Gives the partition `count` threads of a physical core. Sharing with the control loop comes last: core 0
 * only serves when its siblings do not suffice. */
static void take_threads(struct planner *planner, uint32_t index, uint16_t lead, uint32_t count)
{
    struct plan_partition *planned = &planner->plan->partitions[index];
    bool spare_boot_core = lead == 0 && count < planner->threads[0];
    planner->holder[lead] = (uint16_t)index;
    for (uint16_t i = spare_boot_core ? 1 : lead; i < planner->machine->core_count && count > 0; i++) {
        if (planner->lead[i] != lead)
            continue;
        planned->cores[planned->vcpu_count++] = i;
        count--;
    }
}

/* Free memory in whole 2 MiB pages. */
static uint64_t free_bytes(const struct frame_table *frames, int zone, uint64_t *largest)
{
    uint64_t bytes = 0;
    *largest = 0;
    for (uint32_t i = 0; i < frames->count; i++) {
        const struct frame_extent *e = &frames->extents[i];
        uint64_t start = align_up(e->start, PAGE_2M), end = align_down(e->end, PAGE_2M);
        if (e->state != FRAME_FREE || start >= end || (zone != ZONE_ANY && e->zone != zone))
            continue;
        bytes += end - start;
        *largest = max_u64(*largest, end - start);
    }
    return bytes;
}

/*
 * Where a partition finds all its cores and, if possible, all its memory: the first such zone in the order of
 * cores; ZONE_ANY when no zone has enough cores.
 */
static int choose_zone(const struct planner *planner, const struct partition_config *wanted)
{
    int with_cores = ZONE_ANY;
    for (uint32_t i = 0; i < planner->machine->core_count; i++) {
        int zone = planner->machine->cores[i].zone;
        uint64_t largest;
        if (!free_lead(planner, i, ZONE_ANY) || free_threads(planner, zone) < wanted->vcpus)
            continue;
        if (free_bytes(planner->frames, zone, &largest) >= wanted->memory_bytes)
            return zone;
        if (with_cores == ZONE_ANY)
            with_cores = zone;
    }
    return with_cores;
}

static bool refuse_cores(struct planner *planner, const struct partition_config *wanted)
{
    uint32_t threads = free_threads(planner, ZONE_ANY), free_cores = 0;
    for (uint32_t i = 0; i < planner->machine->core_count; i++)
        free_cores += free_lead(planner, i, ZONE_ANY);
    if (planner->physical_count == 1)
        return fail(
            planner, wanted->at_vcpus,
            "partition \"%s\" wants %u vCPU%s: the machine has one physical core with %u thread%s, and it "
            "serves one partition; remove the others and lower vcpus, or use a machine with more cores",
            wanted->name, wanted->vcpus, plural(wanted->vcpus), planner->machine->core_count,
            plural(planner->machine->core_count));
    return fail(
        planner, wanted->at_vcpus,
        "partition \"%s\" wants %u vCPU%s: of %u physical cores one is kept for control and %u %s free, "
        "with %u thread%s; lower vcpus here or elsewhere, or use a machine with more cores",
        wanted->name, wanted->vcpus, plural(wanted->vcpus), planner->physical_count, free_cores,
        free_cores == 1 ? "is" : "are", threads, plural(threads));
}

static bool choose_cores(struct planner *planner, uint32_t index)
{
    const struct partition_config *wanted = &planner->config->partitions[index];
    if (free_threads(planner, ZONE_ANY) < wanted->vcpus)
        return refuse_cores(planner, wanted);
    int zone = choose_zone(planner, wanted);
    for (uint32_t missing = wanted->vcpus; missing > 0;) {
        uint16_t lead = choose_lead(planner, zone, missing);
        CHECK(lead != UINT16_MAX); /* free_threads of the zone are enough */
        uint32_t count = (uint32_t)min_u64(missing, planner->threads[lead]);
        take_threads(planner, index, lead, count);
        missing -= count;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------ memory */

static bool refuse_memory(struct planner *planner, const struct partition_config *wanted,
                          enum alloc_status status)
{
    char size[SIZE_TEXT_BYTES], free[SIZE_TEXT_BYTES], piece[SIZE_TEXT_BYTES];
    uint64_t largest;
    fmt_size(size, sizeof(size), wanted->memory_bytes);
    fmt_size(free, sizeof(free), free_bytes(planner->frames, ZONE_ANY, &largest));
    fmt_size(piece, sizeof(piece), largest);
    switch (status) {
    case ALLOC_E_NO_MEMORY:
        return fail(
            planner, wanted->at_memory,
            "partition \"%s\" wants %s of memory: %s is left for it; lower memory here or elsewhere, or "
            "use a machine with more",
            wanted->name, size, free);
    case ALLOC_E_FRAGMENTED:
        return fail(
            planner, wanted->at_memory,
            "partition \"%s\" wants %s of memory in at most %u pieces: %s is left, but scattered, the "
            "largest piece has %s; lower memory here or elsewhere",
            wanted->name, size, PLAN_MAX_EXTENTS, free, piece);
    case ALLOC_E_TABLE_FULL:
        return fail(planner, wanted->at_memory,
                    "partition \"%s\": the table of memory extents is full (%u); use fewer partitions",
                    wanted->name, planner->frames->capacity);
    default:
        return fail(planner, wanted->at_memory,
                    "partition \"%s\": memory must be a positive multiple of 2M, not %llu bytes",
                    wanted->name, (unsigned long long)wanted->memory_bytes);
    }
}

static bool take_memory(struct planner *planner, uint32_t index)
{
    const struct partition_config *wanted = &planner->config->partitions[index];
    struct plan_partition *planned = &planner->plan->partitions[index];
    struct carve_request request = {
        .owner = planned->owner,
        .bytes = wanted->memory_bytes,
        .grain = PAGE_2M,
        .zone = planner->machine->cores[planned->cores[0]].zone,
        .below = UINT64_MAX,
    };
    enum alloc_status status =
        frames_carve(planner->frames, &request, planned->extents, PLAN_MAX_EXTENTS, &planned->extent_count);
    return status == ALLOC_OK || refuse_memory(planner, wanted, status);
}

/* -------------------------------------------------------------------------------------------- the whole */

static bool start_plan(struct planner *planner)
{
    const struct config *config = planner->config;
    if (config->partition_count < 1 || config->partition_count > CONFIG_MAX_PARTITIONS)
        return fail(planner, (struct source_pos){0, 0},
                    "the configuration has %u partitions: it may have 1 to %u", config->partition_count,
                    CONFIG_MAX_PARTITIONS);
    __builtin_memset(planner->plan, 0, sizeof(*planner->plan));
    planner->plan->partition_count = config->partition_count;
    for (uint32_t i = 0; i < config->partition_count; i++) {
        const struct partition_config *wanted = &config->partitions[i];
        planner->plan->partitions[i].owner = OWNER_PARTITION_FIRST + i;
        if (wanted->vcpus < 1 || wanted->vcpus > CONFIG_MAX_VCPUS || wanted->core_count > CONFIG_MAX_VCPUS)
            return fail(planner, wanted->at_vcpus, "partition \"%s\" wants %u vCPU%s: it may have 1 to %u",
                        wanted->name, wanted->vcpus, plural(wanted->vcpus), CONFIG_MAX_VCPUS);
    }
    return true;
}

static bool core_zero_serves(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->partition_count; i++)
        for (uint32_t j = 0; j < plan->partitions[i].vcpu_count; j++)
            if (plan->partitions[i].cores[j] == 0)
                return true;
    return false;
}

bool plan_make(const struct config *config, const struct machine *machine, struct frame_table *frames,
               struct plan *plan, struct diag *diag)
{
    struct planner planner = {
        .config = config, .machine = machine, .frames = frames, .plan = plan, .diag = diag};
    if (!start_plan(&planner) || !survey_cores(&planner))
        return false;
    for (uint32_t i = 0; i < config->partition_count; i++)
        if (config->partitions[i].core_count > 0 && !take_listed_cores(&planner, i))
            return false;
    for (uint32_t i = 0; i < config->partition_count; i++) {
        if (config->partitions[i].core_count == 0 && !choose_cores(&planner, i))
            return false;
        if (!take_memory(&planner, i))
            return false;
    }
    plan->boot_core_shared = core_zero_serves(plan);
    return true;
}

/* As many as have a core of their own, or the shared boot core, and fit the memory; at least one. */
static uint32_t default_count(const struct machine *machine)
{
    uint64_t spare_cores = machine_usable(machine) ? max_u64(count_physical(machine), 2) - 1 : 1;
    uint64_t memory_slices = memmap_bytes(&machine->map, MEMMAP_FREE) / DEFAULT_MEMORY;
    return (uint32_t)max_u64(1, min_u64(DEFAULT_PARTITIONS, min_u64(spare_cores, memory_slices)));
}

void config_default(const struct machine *machine, struct config *config)
{
    __builtin_memset(config, 0, sizeof(*config));
    fmt_copy(config->region, sizeof(config->region), CONFIG_DEFAULT_REGION);
    config->partition_count = default_count(machine);
    for (uint32_t i = 0; i < config->partition_count; i++) {
        struct partition_config *partition = &config->partitions[i];
        *partition = (struct partition_config){
            .tenant = CONFIG_DEFAULT_TENANT,
            .vcpus = 1,
            .memory_bytes = DEFAULT_MEMORY,
            .image = "hello",
            .image_builtin = true,
            .restart_limit = CONFIG_DEFAULT_RESTART,
            .expect = {.kind = EXPECT_EXIT_CODE},
        };
        fmt_snprintf(partition->name, sizeof(partition->name), "hello-%u", i + 1);
    }
}
