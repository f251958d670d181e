/* VMCALL: what guests may ask, see guest/abi.h. Every argument is hostile. */
#include "guest/abi.h"
#include "hv/audit.h"
#include "hv/control.h"
#include "hv/guest_memory.h"
#include "hv/vmx/access.h"
#include "hv/vmx/exits.h"
#include "hv/vmx/vmx.h"
#include "hv/x86.h"

#define EXIT_CODE_MAX 255

_Static_assert(FH_BUFFER_MAX <= RECORD_TEXT_BYTES, "a guest's buffer fits a record");

/* Copies a guest's buffer into a record and posts it; what the call returns. */
static int64_t post_text(struct vcpu *vcpu, enum record_type type, uint64_t buffer, uint64_t bytes,
                         uint64_t value)
{
    struct record_text record;
    if (bytes > FH_BUFFER_MAX)
        return FH_E_ARGUMENT;
    uint32_t size = (uint32_t)(offsetof(struct record_text, text) + bytes);
    if (!control_has_room(size))
        return FH_E_AGAIN;
    if (!guest_memory_read(vcpu->partition, gpa(buffer), record.text, bytes))
        return FH_E_ARGUMENT;
    record.partition = vcpu->partition->index;
    record.vcpu = vcpu->index;
    record.value = value;
    record.bytes = (uint32_t)bytes;
    control_post(type, &record, size);
    return 0;
}

static int64_t console_write(struct vcpu *vcpu, uint64_t buffer, uint64_t bytes)
{
    if (bytes == 0)
        return 0;
    int64_t status = post_text(vcpu, RECORD_OUTPUT, buffer, bytes, 0);
    if (status == FH_E_AGAIN)
        return 0; /* nothing taken now */
    return status < 0 ? status : (int64_t)bytes;
}

static int64_t verdict(struct vcpu *vcpu, uint64_t pass, uint64_t buffer, uint64_t bytes)
{
    if (pass > 1)
        return FH_E_ARGUMENT;
    int64_t status = post_text(vcpu, RECORD_VERDICT, buffer, bytes, pass);
    if (status == 0 && pass == 1)
        vcpu->verdicts_passed++;
    else if (status == 0)
        vcpu->verdicts_failed++;
    return status;
}

static enum exit_action answer(struct vcpu *vcpu, int64_t result)
{
    vcpu->gpr[RAX] = (uint64_t)result;
    return EXIT_NEXT;
}

static enum exit_action call_nop(struct vcpu *vcpu)
{
    return answer(vcpu, 0);
}

static enum exit_action call_console_write(struct vcpu *vcpu)
{
    return answer(vcpu, console_write(vcpu, vcpu->gpr[RDI], vcpu->gpr[RSI]));
}

static enum exit_action call_progress(struct vcpu *vcpu)
{
    vcpu->progress = vcpu->gpr[RDI];
    return answer(vcpu, 0);
}

static enum exit_action call_verdict(struct vcpu *vcpu)
{
    return answer(vcpu, verdict(vcpu, vcpu->gpr[RDI], vcpu->gpr[RSI], vcpu->gpr[RDX]));
}

static enum exit_action call_exit(struct vcpu *vcpu)
{
    if (vcpu->gpr[RDI] > EXIT_CODE_MAX)
        return answer(vcpu, FH_E_ARGUMENT);
    partition_exit(vcpu, (uint32_t)vcpu->gpr[RDI]);
    return EXIT_RESUME;
}

static enum exit_action call_audit(struct vcpu *vcpu)
{
    struct audit_result result;
    audit_run(&result);
    if (control_has_room(sizeof(result)))
        control_post(RECORD_AUDIT, &result, sizeof(result));
    return answer(vcpu, (int64_t)audit_violations(&result));
}

static enum exit_action call_metric(struct vcpu *vcpu)
{
    return answer(vcpu, post_text(vcpu, RECORD_METRIC, vcpu->gpr[RDI], vcpu->gpr[RSI], vcpu->gpr[RDX]));
}

/* RFLAGS with its fixed bit clear is a state no processor enters. */
static enum exit_action call_break_entry(struct vcpu *vcpu)
{
    (void)vcpu;
    vmwrite(VMCS_GUEST_RFLAGS, vmread(VMCS_GUEST_RFLAGS) & ~RFLAGS_FIXED);
    return EXIT_RESUME;
}

static const exit_handler calls[] = {
    [FH_CALL_NOP] = call_nop,           [FH_CALL_CONSOLE_WRITE] = call_console_write,
    [FH_CALL_PROGRESS] = call_progress, [FH_CALL_VERDICT] = call_verdict,
    [FH_CALL_EXIT] = call_exit,         [FH_CALL_AUDIT] = call_audit,
    [FH_CALL_METRIC] = call_metric,     [FH_CALL_BREAK_ENTRY] = call_break_entry,
};

enum exit_action exit_vmcall(struct vcpu *vcpu)
{
    uint64_t call = vcpu->gpr[RAX];
    if (vmx_privilege_level() != 0)
        return exit_invalid_opcode(vcpu);
    vcpu->hypercalls++;
    return call < ARRAY_SIZE(calls) ? calls[call](vcpu) : answer(vcpu, FH_E_CALL);
}
