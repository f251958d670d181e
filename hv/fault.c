/* Names of the reasons for which a partition is contained. */
#include "hv/fault.h"

#include "hv/fmt.h"

static const struct {
    const char *name;
    const char *meaning;
} faults[FAULT_REASON_COUNT] = {
#define FAULT_ROW(enumerator, fault, text) [enumerator] = {fault, text},
    FAULT_REASONS(FAULT_ROW)
#undef FAULT_ROW
};

const char *fault_name(enum fault_reason reason)
{
    return (unsigned)reason < FAULT_REASON_COUNT ? faults[reason].name : "unknown";
}

const char *fault_meaning(enum fault_reason reason)
{
    return (unsigned)reason < FAULT_REASON_COUNT ? faults[reason].meaning : "unknown";
}

bool fault_from_name(const char *name, size_t length, enum fault_reason *reason)
{
    for (unsigned i = FAULT_NONE + 1; i < FAULT_REASON_COUNT; i++) {
        const char *candidate = faults[i].name;
        if (fmt_length(candidate, length + 1) != length || __builtin_memcmp(candidate, name, length) != 0)
            continue;
        *reason = (enum fault_reason)i;
        return true;
    }
    return false;
}
