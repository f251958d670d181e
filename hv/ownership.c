/* The live frame table. */
#include "hv/ownership.h"

#include "hv/memory.h"
#include "hv/spinlock.h"

static struct frame_table frames;
static struct spinlock frames_lock;

void ownership_init(const struct handoff *handoff, struct plan *plan)
{
    static struct diag diag;
    uint64_t bytes = frames_table_bytes(&handoff->machine.map, handoff->config.partition_count);
    enum alloc_status status = frames_init(&frames, memory_need(bytes), bytes, &handoff->machine.map);
    CHECK(status == ALLOC_OK);
    bool planned = plan_make(&handoff->config, &handoff->machine, &frames, plan, &diag);
    CHECK(planned); /* boot/ has made the same plan from the same input */
}

bool ownership_holds(struct extent what, owner_t owner)
{
    spin_lock(&frames_lock);
    bool holds = frames_owned_by(&frames, what, owner);
    spin_unlock(&frames_lock);
    return holds;
}

owner_t ownership_of(hpa_t address)
{
    spin_lock(&frames_lock);
    const struct frame_extent *extent = frames_find(&frames, address);
    owner_t owner = extent != NULL ? extent->owner : OWNER_NONE;
    spin_unlock(&frames_lock);
    return owner;
}
