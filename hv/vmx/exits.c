/*
 * The way of every VM exit: what happened, who services it, what it cost, how the guest goes on. RIP is
 * advanced and the exit counted here and nowhere else.
 */
#include "hv/vmx/exits.h"

#include "hv/exit_decode.h"
#include "hv/partition.h"
#include "hv/vmx/access.h"
#include "hv/vmx/vmx.h"
#include "hv/x86.h"

/* What hv/vmx/run.S takes for granted. */
_Static_assert(offsetof(struct vcpu, gpr) == 0 && offsetof(struct vcpu, host_rsp) == 128 &&
                   offsetof(struct vcpu, launched) == 136,
               "hv/vmx/run.S knows these offsets");

/* Reasons that stand for themselves override the first row. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const exit_handler handlers[EXIT_REASON_LIMIT] = {
    [0 ... EXIT_REASON_LIMIT - 1] = exit_unhandled,
    [EXIT_REASON_EXCEPTION_OR_NMI] = exit_exception,
    [EXIT_REASON_EXTERNAL_INTERRUPT] = exit_external_interrupt,
    [EXIT_REASON_TRIPLE_FAULT] = exit_triple_fault,
    [EXIT_REASON_INTERRUPT_WINDOW] = exit_interrupt_window,
    [EXIT_REASON_NMI_WINDOW] = exit_nmi_window,
    [EXIT_REASON_CPUID] = exit_cpuid,
    [EXIT_REASON_GETSEC] = exit_invalid_opcode,
    [EXIT_REASON_HLT] = exit_hlt,
    [EXIT_REASON_INVD] = exit_cache_control,
    [EXIT_REASON_RDPMC] = exit_rdpmc,
    [EXIT_REASON_VMCALL] = exit_vmcall,
    [EXIT_REASON_VMCLEAR] = exit_invalid_opcode,
    [EXIT_REASON_VMLAUNCH] = exit_invalid_opcode,
    [EXIT_REASON_VMPTRLD] = exit_invalid_opcode,
    [EXIT_REASON_VMPTRST] = exit_invalid_opcode,
    [EXIT_REASON_VMREAD] = exit_invalid_opcode,
    [EXIT_REASON_VMRESUME] = exit_invalid_opcode,
    [EXIT_REASON_VMWRITE] = exit_invalid_opcode,
    [EXIT_REASON_VMXOFF] = exit_invalid_opcode,
    [EXIT_REASON_VMXON] = exit_invalid_opcode,
    [EXIT_REASON_CR_ACCESS] = exit_cr_access,
    [EXIT_REASON_IO] = exit_io,
    [EXIT_REASON_RDMSR] = exit_rdmsr,
    [EXIT_REASON_WRMSR] = exit_wrmsr,
    [EXIT_REASON_ENTRY_GUEST_STATE] = exit_entry_failure,
    [EXIT_REASON_ENTRY_MSR_LOADING] = exit_entry_failure,
    [EXIT_REASON_ENTRY_MACHINE_CHECK] = exit_entry_failure,
    [EXIT_REASON_MWAIT] = exit_invalid_opcode,
    [EXIT_REASON_MONITOR] = exit_invalid_opcode,
    [EXIT_REASON_EPT_VIOLATION] = exit_ept_violation,
    [EXIT_REASON_EPT_MISCONFIGURATION] = exit_ept_misconfiguration,
    [EXIT_REASON_INVEPT] = exit_invalid_opcode,
    [EXIT_REASON_PREEMPTION_TIMER] = exit_preemption_timer,
    [EXIT_REASON_INVVPID] = exit_invalid_opcode,
    [EXIT_REASON_WBINVD] = exit_cache_control,
    [EXIT_REASON_XSETBV] = exit_xsetbv,
    [EXIT_REASON_RDTSCP] = exit_invalid_opcode,
    [EXIT_REASON_VMFUNC] = exit_invalid_opcode,
    [EXIT_REASON_ENCLS] = exit_invalid_opcode,
    [EXIT_REASON_INVPCID] = exit_invalid_opcode,
    [EXIT_REASON_XSAVES] = exit_invalid_opcode,
    [EXIT_REASON_XRSTORS] = exit_invalid_opcode,
};
#pragma GCC diagnostic pop

enum exit_action exit_unhandled(struct vcpu *vcpu)
{
    partition_contain(vcpu, FAULT_UNHANDLED_EXIT, "%s (reason %u) is not serviced",
                      exit_reason_name(vcpu->exit->reason & EXIT_REASON_BASIC_MASK),
                      (uint32_t)vcpu->exit->reason);
    return EXIT_RESUME;
}

/* A trap that single-stepping owes the guest for the instruction that was just emulated. */
static void owe_single_step(void)
{
    if ((vmread(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF) == 0)
        vmwrite(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS,
                vmread(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS) | PENDING_DEBUG_BS);
}

static inline void advance(const struct vcpu *vcpu)
{
    vmwrite(VMCS_GUEST_RIP, vcpu->exit->rip + vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
    uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    if (__builtin_expect((blocking & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)) != 0, 0))
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
                blocking & ~(uint64_t)(INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS));
    if (__builtin_expect((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0, 0))
        owe_single_step();
}

/* A reason with upper bits, or one the manual of the day does not know. */
static __attribute__((noinline)) enum exit_action rare(struct vcpu *vcpu)
{
    uint64_t reason = vcpu->exit->reason & EXIT_REASON_BASIC_MASK;
    bool known = reason < EXIT_REASON_LIMIT;
    enum exit_action action = known ? handlers[reason](vcpu) : exit_unhandled(vcpu);
    vcpu->exit->reason = known ? reason : EXIT_REASON_LIMIT - 1;
    return action;
}

/* What others want of the vCPU; the time goes to the account of the exit that found it. */
static __attribute__((noinline)) bool attend(struct vcpu *vcpu)
{
    uint64_t start = cpu_rdtsc();
    struct exit_count *account = &vcpu->exits[vcpu->exit->reason];
    bool stay = vcpu_attend(vcpu);
    account->ticks += cpu_rdtsc() - start;
    return stay;
}

static __attribute__((noinline)) bool after_long_service(struct vcpu *vcpu)
{
    vcpu_slice_if_due(vcpu);
    return vcpu->attention == 0 || attend(vcpu);
}

/*
 * The hot path. What must survive the handler is kept in the exit's record rather than in registers, and time
 * is taken in halves: a service takes less than 2^32 ticks. `make bench` counts every instruction of it.
 */
bool vmx_exit(struct vcpu *vcpu)
{
    struct exit_record *exit = vcpu->exit + 1;
    if (__builtin_expect(is_aligned((uintptr_t)exit, EXIT_RING_BYTES), 0))
        exit = vcpu->ring;
    vcpu->exit = exit;
    cpu_rdtsc_halves(&exit->tsc_low, &exit->tsc_high);
    exit->rip = vmread(VMCS_GUEST_RIP);
    uint64_t reason = vmread(VMCS_EXIT_REASON);
    exit->reason = reason;
    exit_handler handler = __builtin_expect(reason < EXIT_REASON_LIMIT, 1) ? handlers[reason] : rare;
    if (handler(vcpu) == EXIT_NEXT)
        advance(vcpu);

    exit = vcpu->exit;
    struct exit_count *account = &vcpu->exits[exit->reason];
    uint32_t low, high;
    cpu_rdtsc_halves(&low, &high);
    uint32_t ticks = low - exit->tsc_low;
    account->ticks += ticks;
    account->count++;
    if (__builtin_expect(ticks > VCPU_LONG_SERVICE_TICKS, 0))
        return after_long_service(vcpu);
    return __builtin_expect(__atomic_load_n(&vcpu->attention, __ATOMIC_RELAXED) == 0, 1) || attend(vcpu);
}

enum exit_action exits_general_protection(void)
{
    vmx_inject_exception(VECTOR_GP, 0);
    return EXIT_RESUME;
}
