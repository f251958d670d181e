/* Whether a core that should be moving does. */
#include "hv/watchdog.h"

void watchdog_reset(struct watchdog *dog, uint64_t heartbeat, uint64_t now)
{
    *dog = (struct watchdog){.heartbeat = heartbeat, .moved_tsc = now};
}

enum watchdog_verdict watchdog_look(struct watchdog *dog, uint64_t heartbeat, uint64_t now, uint64_t patience)
{
    if (heartbeat != dog->heartbeat) {
        watchdog_reset(dog, heartbeat, now);
        return WATCHDOG_ALIVE;
    }
    if (now - dog->moved_tsc < patience)
        return WATCHDOG_ALIVE;
    if (!dog->pinged) {
        dog->pinged = true;
        dog->moved_tsc = now; /* from here it has its patience once more */
        return WATCHDOG_PING;
    }
    return WATCHDOG_LOST;
}
