/*
 * A tenant that does honest work: scattered reads and writes over its memory on every vCPU, with a checksum
 * it verifies itself. Its progress counters are how tests see that a partition keeps running beside an
 * attacker, and the metric work.ticks of vCPU 0 is what `make bench` compares with the bare machine.
 *
 * Command line: rounds=N over the memory (default 8); memory=N bytes for each vCPU (default 2M, less when the
 * partition is smaller; 0: all there is below 4 GiB); `high` works above 4 GiB instead; `forever` never ends.
 */
#include "guest/worker/load.h"

#include "guest/lib/call.h"
#include "guest/lib/cmdline.h"
#include "guest/lib/entry.h"
#include "guest/lib/memory.h"
#include "guest/lib/print.h"
#include "guest/lib/smp.h"
#include "guest/lib/trap.h"

static struct {
    struct range memory; /* of all vCPUs */
    uint64_t bytes;      /* of each */
    uint64_t rounds;     /* UINT64_MAX: for ever */
    unsigned wrong;      /* vCPUs whose checksum failed */
} job;

static void work(void *unused)
{
    (void)unused;
    struct load load;
    unsigned vcpu = vcpu_index();
    load_init(&load, (void *)(job.memory.start + vcpu * job.bytes), job.bytes, vcpu + 1);
    for (uint64_t step = 1; load.round < job.rounds; step++) {
        enum load_state state = load_advance(&load, LOAD_STEP_WORDS);
        progress(step);
        if (state != LOAD_WRONG)
            continue;
        verdict(false, "worker: vCPU %u, round %lu: wrong checksum", vcpu, load.round);
        __atomic_fetch_add(&job.wrong, 1, __ATOMIC_RELAXED);
        return;
    }
}

/* Fills `job` from the command line; false when there is no such memory. */
static bool plan_job(void)
{
    bool high = cmdline_has("high");
    job.memory = high ? memory_high() : memory_free();
    uint64_t share = (job.memory.end - job.memory.start) / vcpu_count() & ~UINT64_C(4095);
    uint64_t wanted = cmdline_number("memory", LOAD_BYTES) & ~UINT64_C(4095);
    job.bytes = wanted == 0 || wanted > share ? share : wanted;
    job.rounds = cmdline_has("forever") ? UINT64_MAX : cmdline_number("rounds", LOAD_ROUNDS);
    return job.bytes > 0;
}

int guest_main(void)
{
    if (!plan_job()) {
        print("worker: no memory to work on; give the partition more, or leave out `high`\n");
        return EXIT_USAGE;
    }
    unsigned running = vcpu_start_all();
    if (running != vcpu_count()) {
        verdict(false, "worker: only %u of %u vCPUs started", running, vcpu_count());
        return EXIT_FAIL;
    }
    print("worker: %u vCPUs, %lu KiB each from 0x%lx\n", running, job.bytes >> 10, job.memory.start);
    for (unsigned i = 1; i < running; i++)
        vcpu_run(i, work, NULL);
    uint64_t begin = rdtsc();
    work(NULL);
    metric("work.ticks", rdtsc() - begin);
    for (unsigned i = 1; i < running; i++)
        vcpu_wait(i, 0);
    if (job.wrong != 0)
        return EXIT_FAIL;
    verdict(true, "worker: %lu rounds over %lu KiB on %u vCPUs, every checksum right", job.rounds,
            job.bytes * running >> 10, running);
    return EXIT_PASS;
}
