/* The memory types this machine's MTRRs give to physical memory. */
#include "hv/memory_type.h"

#include "hv/cpu.h"
#include "hv/mtrr.h"
#include "hv/x86.h"

static struct mtrr_state mtrrs;

static uint64_t read_msr(void *context, uint32_t msr)
{
    (void)context;
    return cpu_rdmsr(msr);
}

void memory_type_init(void)
{
    mtrr_read(&mtrrs, read_msr, NULL);
}

uint64_t memory_type_run(uint64_t start, uint64_t end, enum ept_memory_type *type)
{
    return mtrr_uniform(&mtrrs, start, end, type);
}
