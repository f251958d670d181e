/*
 * The hypervisor's memory, item by item, always rounded up. Must never be smaller than what boot/ and hv/
 * take; host_tests/test_budget.c holds it against real tables.
 */
#include "hv/budget.h"

#include "alloc/ept.h"
#include "hv/mtrr.h"

static uint64_t frames_up(uint64_t bytes)
{
    return align_up(bytes, FRAME_BYTES);
}

/* Tables that mapping one run of memory can take in 4 KiB pages, wherever it lies; its PML4 slot is counted
 * too. */
static uint64_t tables_for_run(uint64_t bytes)
{
    uint64_t page_tables = bytes / PAGE_2M + 2;
    uint64_t directories = bytes / PAGE_1G + 2;
    uint64_t pointer_tables = 2;
    return page_tables + directories + pointer_tables;
}

/* Guest memory is one piece below the device hole and, where it is that large, one above 4 GiB. */
static uint32_t pieces_of(uint64_t memory_bytes)
{
    return memory_bytes > 3 * GIB ? 2 : 1;
}

/*
 * Where an MTRR range ends inside a page, the page is split once or twice on its way down. Ranges of
 * partitions are disjoint, so every end splits one page of one partition.
 */
#define TABLES_SPLIT_BY_MTRRS (2 * MTRR_MAX_VARIABLE * 2)

static uint64_t ept_bytes(const struct config *config)
{
    uint64_t tables = TABLES_SPLIT_BY_MTRRS;
    for (uint32_t i = 0; i < config->partition_count; i++) {
        uint64_t bytes = config->partitions[i].memory_bytes;
        tables += ept_tables_bound(bytes, pieces_of(bytes));
    }
    return tables * FRAME_BYTES;
}

static uint64_t partitions_bytes(const struct config *config)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < config->partition_count; i++)
        bytes += BUDGET_PARTITION_BYTES + config->partitions[i].vcpus * BUDGET_VCPU_BYTES;
    return bytes;
}

/* Of the areas that hv/memory.c adds: stacks with guards, windows of two large pages a core, device
 * registers. */
static uint64_t tables_for_areas(uint32_t core_count)
{
    return tables_for_run(core_count * BUDGET_CORE_BYTES) + tables_for_run(core_count * 2 * FRAME_BYTES) +
           tables_for_run(FRAME_BYTES);
}

/* The root, then one run each for: the region, the image, the screen, the trampoline, every guest image. */
static uint64_t page_table_bytes(const struct hv_budget_input *input, uint64_t region_bytes)
{
    uint64_t images = input->config->partition_count;
    uint64_t tables = 1 + tables_for_run(region_bytes) + tables_for_run(input->image_bytes) +
                      tables_for_run(input->screen_bytes) + tables_for_run(FRAME_BYTES) +
                      tables_for_run(input->guest_image_bytes) + images * tables_for_run(0) +
                      tables_for_areas(input->core_count);
    return tables * FRAME_BYTES;
}

void hv_budget(const struct hv_budget_input *input, struct hv_budget *budget)
{
    *budget = (struct hv_budget){
        .image_bytes = frames_up(input->image_bytes),
        .handoff_bytes = frames_up(input->handoff_bytes),
        .frame_table_bytes = frames_up(input->frame_table_bytes),
        .cores_bytes = input->core_count * BUDGET_CORE_BYTES,
        .partitions_bytes = partitions_bytes(input->config),
        .ept_bytes = ept_bytes(input->config),
        .console_bytes = BUDGET_CONSOLE_BYTES,
        .slack_bytes = BUDGET_SLACK_BYTES,
    };
    uint64_t sum = budget->image_bytes + budget->handoff_bytes + budget->frame_table_bytes +
                   budget->cores_bytes + budget->partitions_bytes + budget->ept_bytes +
                   budget->console_bytes + budget->slack_bytes;
    /* Tables map the region that holds them: two extra large pages cover their own share. */
    budget->page_table_bytes = page_table_bytes(input, sum + 2 * PAGE_2M);
    budget->total_bytes = align_up(sum + budget->page_table_bytes, PAGE_2M);
}
