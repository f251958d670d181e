#include "host_tests/support/plan_promise.h"

bool same_physical_core(const struct machine *machine, uint32_t a, uint32_t b)
{
    return machine->cores[a].package == machine->cores[b].package &&
           machine->cores[a].core == machine->cores[b].core;
}

uint32_t physical_cores(const struct machine *machine)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < machine->core_count; i++) {
        bool first = true;
        for (uint32_t j = 0; j < i; j++)
            first = first && !same_physical_core(machine, i, j);
        count += first;
    }
    return count;
}

/* A vCPU's core against those of all vCPUs before it. */
static const char *core_broken(const struct machine *machine, const struct plan *plan, uint32_t a, uint32_t i)
{
    uint16_t core = plan->partitions[a].cores[i];
    if (core >= machine->core_count)
        return "a core is not there";
    if (physical_cores(machine) > 1 && same_physical_core(machine, core, 0))
        return "the boot core's physical core serves a partition";
    for (uint32_t b = 0; b <= a; b++)
        for (uint32_t j = 0; j < (b == a ? i : plan->partitions[b].vcpu_count); j++) {
            uint16_t other = plan->partitions[b].cores[j];
            if (core == other)
                return "a core runs two vCPUs";
            if (a != b && same_physical_core(machine, core, other))
                return "a physical core serves two partitions";
        }
    return NULL;
}

static const char *cores_broken(const struct config *config, const struct machine *machine,
                                const struct plan *plan)
{
    bool uses_boot_core = false;
    for (uint32_t a = 0; a < plan->partition_count; a++) {
        const struct partition_config *wanted = &config->partitions[a];
        const struct plan_partition *planned = &plan->partitions[a];
        if (planned->vcpu_count != wanted->vcpus)
            return "a partition has not as many cores as vCPUs";
        for (uint32_t i = 0; i < planned->vcpu_count; i++) {
            const char *broken = core_broken(machine, plan, a, i);
            if (broken != NULL)
                return broken;
            if (wanted->core_count > 0 && wanted->cores[i] != planned->cores[i])
                return "a list of cores is not obeyed";
            uses_boot_core = uses_boot_core || planned->cores[i] == 0;
        }
    }
    return plan->boot_core_shared == uses_boot_core ? NULL : "boot_core_shared is wrong";
}

static bool inside_free_memory(const struct memmap *map, struct extent e)
{
    uint64_t at = e.start; /* ranges are sorted and may touch */
    for (uint32_t i = 0; i < map->count; i++)
        if (map->ranges[i].kind == MEMMAP_FREE && map->ranges[i].start <= at && at < map->ranges[i].end)
            at = map->ranges[i].end;
    return at >= e.end && e.start >= MIB;
}

/* An extent against all before it. */
static const char *extent_broken(const struct machine *machine, const struct frame_table *frames,
                                 const struct plan *plan, uint32_t a, uint32_t i)
{
    struct extent e = plan->partitions[a].extents[i];
    if (e.start >= e.end || !is_aligned(e.start, PAGE_2M) || !is_aligned(e.end, PAGE_2M))
        return "an extent is not of whole 2 MiB pages";
    if (!inside_free_memory(&machine->map, e))
        return "an extent lies outside of free memory";
    if (!frames_owned_by(frames, e, plan->partitions[a].owner))
        return "an extent belongs to somebody else";
    for (uint32_t b = 0; b <= a; b++)
        for (uint32_t j = 0; j < (b == a ? i : plan->partitions[b].extent_count); j++)
            if (extents_overlap(e, plan->partitions[b].extents[j]))
                return "two extents overlap";
    return NULL;
}

static const char *memory_broken(const struct config *config, const struct machine *machine,
                                 const struct frame_table *frames, const struct plan *plan)
{
    for (uint32_t a = 0; a < plan->partition_count; a++) {
        const struct plan_partition *planned = &plan->partitions[a];
        uint64_t bytes = 0;
        if (planned->extent_count < 1 || planned->extent_count > PLAN_MAX_EXTENTS)
            return "a partition has no extent or too many";
        for (uint32_t i = 0; i < planned->extent_count; i++) {
            const char *broken = extent_broken(machine, frames, plan, a, i);
            if (broken != NULL)
                return broken;
            bytes += extent_bytes(planned->extents[i]);
        }
        if (bytes != config->partitions[a].memory_bytes)
            return "a partition has not the memory it asked for";
        if (bytes != frames_bytes(frames, FRAME_OWNED, planned->owner))
            return "a partition owns memory beside its extents";
    }
    return frames_consistent(frames) ? NULL : "the frame table is not consistent";
}

const char *plan_promise_broken(const struct config *config, const struct machine *machine,
                                const struct frame_table *frames, const struct plan *plan)
{
    if (plan->partition_count != config->partition_count)
        return "not every partition is planned";
    for (uint32_t i = 0; i < plan->partition_count; i++)
        if (plan->partitions[i].owner != OWNER_PARTITION_FIRST + i)
            return "an owner is wrong";
    const char *broken = cores_broken(config, machine, plan);
    return broken != NULL ? broken : memory_broken(config, machine, frames, plan);
}
