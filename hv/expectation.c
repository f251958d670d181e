/* What a partition is expected to come to: as text, and whether it did. */
#include "hv/config.h"
#include "hv/fmt.h"
#include "hv/report.h"

void expectation_format(const struct expectation *expect, char *out, size_t out_bytes)
{
    switch (expect->kind) {
    case EXPECT_EXIT_CODE:
        fmt_snprintf(out, out_bytes, "exit:%u", expect->exit_code);
        return;
    case EXPECT_EXIT_ANY:
        fmt_copy(out, out_bytes, "exit:*");
        return;
    case EXPECT_FAULT_ANY:
        fmt_copy(out, out_bytes, "fault");
        return;
    case EXPECT_FAULT:
        fmt_snprintf(out, out_bytes, "fault:%s", fault_name(expect->reason));
        return;
    case EXPECT_RUNNING:
        fmt_copy(out, out_bytes, "running");
        return;
    }
    fmt_copy(out, out_bytes, "unknown");
}

/* Stopped by a person is no fault of the guest's: it counts only where it is expected by name. */
static bool faulted_as_expected(const struct expectation *expect, const struct partition_account *account)
{
    if (account->state != PARTITION_FAULTED)
        return false;
    if (expect->kind == EXPECT_FAULT_ANY)
        return account->fault != FAULT_STOPPED;
    return account->fault == expect->reason;
}

bool expectation_met(const struct expectation *expect, const struct partition_account *account)
{
    if (account->verdicts_failed > 0)
        return false;
    switch (expect->kind) {
    case EXPECT_EXIT_CODE:
        return account->state == PARTITION_EXITED && account->exit_code == expect->exit_code;
    case EXPECT_EXIT_ANY:
        return account->state == PARTITION_EXITED;
    case EXPECT_FAULT_ANY:
    case EXPECT_FAULT:
        return faulted_as_expected(expect, account);
    case EXPECT_RUNNING:
        return account->state == PARTITION_RUNNING;
    }
    return false;
}
