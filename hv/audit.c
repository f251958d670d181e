/* The audit of the live tables. */
#include "hv/audit.h"

#include "hv/fmt.h"
#include "hv/memory.h"
#include "hv/ownership.h"
#include "hv/paging.h"
#include "hv/partition.h"
#include "hv/string.h"

#define MAX_EXECUTABLE 16 /* the image's text and, while cores start, the trampoline */

struct audit {
    struct audit_result *result;
    const struct partition *partition; /* whose tables are walked */
    uint32_t executable_count;
    struct extent executable[MAX_EXECUTABLE];
};

static void __attribute__((format(printf, 3, 4)))
violation(struct audit *audit, uint64_t *counter, const char *format, ...)
{
    va_list args;
    if ((*counter)++ != 0 || audit->result->first[0] != '\0')
        return;
    va_start(args, format);
    fmt_vsnprintf(audit->result->first, sizeof(audit->result->first), format, args);
    va_end(args);
}

static struct extent leaf_frames(const struct paging_leaf *leaf)
{
    return (struct extent){leaf->hpa.value, leaf->hpa.value + leaf->bytes};
}

/* First round: pages that are both, and where the executable frames are. Runs of pages join. */
static bool note_executable(void *context, const struct paging_leaf *leaf)
{
    struct audit *audit = context;
    audit->result->pages_checked += leaf->bytes / FRAME_BYTES;
    if (!leaf->executable)
        return true;
    if (leaf->writable)
        violation(audit, &audit->result->writable_executable, "page %llx is writable and executable",
                  (unsigned long long)leaf->va);
    struct extent frames = leaf_frames(leaf);
    for (uint32_t i = 0; i < audit->executable_count; i++) {
        if (audit->executable[i].end != frames.start)
            continue;
        audit->executable[i].end = frames.end;
        return true;
    }
    if (audit->executable_count < MAX_EXECUTABLE)
        audit->executable[audit->executable_count++] = frames;
    else
        violation(audit, &audit->result->writable_executable, "more executable extents than there can be");
    return true;
}

/* Second round: no writable mapping of an executable frame anywhere else. */
static bool check_alias(void *context, const struct paging_leaf *leaf)
{
    struct audit *audit = context;
    for (uint32_t i = 0; leaf->writable && i < audit->executable_count; i++)
        if (extents_overlap(leaf_frames(leaf), audit->executable[i]))
            violation(audit, &audit->result->writable_executable,
                      "page %llx makes executable frame %llx writable", (unsigned long long)leaf->va,
                      (unsigned long long)leaf->hpa.value);
    return true;
}

static bool check_frame(void *context, const struct ept_leaf *leaf)
{
    struct audit *audit = context;
    const struct partition *partition = audit->partition;
    struct extent frames = {leaf->hpa.value, leaf->hpa.value + leaf->bytes};
    if (leaf->hpa.value == partition->hole.scratch_frame.value)
        return true; /* its own page of ones, open while it steps over an absent device */
    audit->result->frames_checked += leaf->bytes / FRAME_BYTES;
    if (ownership_holds(frames, partition->owner))
        return true;
    owner_t owner = ownership_of(leaf->hpa);
    bool shared = owner >= OWNER_PARTITION_FIRST && owner != partition->owner;
    violation(audit, shared ? &audit->result->frames_shared : &audit->result->frames_foreign,
              "%s reaches frame %llx, owned by %u, at guest-physical %llx", partition->config->name,
              (unsigned long long)leaf->hpa.value, owner, (unsigned long long)leaf->gpa.value);
    return true;
}

/* Each table is shown here before it is read: one that is not ours is mapped nowhere, so the walk ends. */
static bool check_table(void *context, hpa_t table)
{
    struct audit *audit = context;
    if (ownership_of(table) == OWNER_HYPERVISOR)
        return true;
    violation(audit, &audit->result->tables_foreign, "a table of %s lies in frame %llx, not the hypervisor's",
              audit->partition->config->name, (unsigned long long)table.value);
    return false;
}

void audit_run(struct audit_result *result)
{
    struct audit audit = {.result = result};
    memset(result, 0, sizeof(*result));
    paging_each(memory_root(), &memory_frames, note_executable, &audit);
    paging_each(memory_root(), &memory_frames, check_alias, &audit);
    for (uint32_t i = 0; i < partition_count; i++) {
        if (partitions[i] == NULL)
            continue;
        audit.partition = partitions[i];
        uint64_t foreign = result->tables_foreign;
        ept_each_table(&partitions[i]->ept, check_table, &audit);
        if (result->tables_foreign == foreign)
            ept_each(&partitions[i]->ept, check_frame, &audit);
    }
}
