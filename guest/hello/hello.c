/* The smallest guest: every vCPU says one line. */
#include "guest/lib/call.h"
#include "guest/lib/entry.h"
#include "guest/lib/print.h"
#include "guest/lib/smp.h"
#include "guest/lib/trap.h"

static void say_hello(void *unused)
{
    (void)unused;
    const struct fh_boot_info *info = boot_info();
    print("hello from vCPU %u of %u in %s, %lu MiB\n", vcpu_index(), info->vcpus, info->name,
          info->memory_bytes >> 20);
}

int guest_main(void)
{
    say_hello(NULL);
    for (unsigned i = 1; i < vcpu_count(); i++) {
        if (!vcpu_start(i)) {
            print("vCPU %u did not start\n", i);
            return EXIT_FAIL;
        }
        vcpu_run(i, say_hello, NULL);
        vcpu_wait(i, 0); /* one after the other, so that the lines come in order */
    }
    return EXIT_PASS;
}
