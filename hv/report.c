/* Names of partition states and exit reasons, for people and for programs. Never yields NULL. */
#include "hv/report.h"

#include "hv/vmcs.h"

/*
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, order number 325384-083US,
 * March 2024: appendix "VMX Basic Exit Reasons".
 */
static const struct {
    const char *name;
    const char *key;
} exit_reasons[EXIT_REASON_LIMIT] = {
    [EXIT_REASON_EXCEPTION_OR_NMI] = {"Exception or NMI", "exception-or-nmi"},
    [EXIT_REASON_EXTERNAL_INTERRUPT] = {"External interrupt", "external-interrupt"},
    [EXIT_REASON_TRIPLE_FAULT] = {"Triple fault", "triple-fault"},
    [EXIT_REASON_INIT] = {"INIT signal", "init"},
    [EXIT_REASON_SIPI] = {"Start-up IPI", "sipi"},
    [EXIT_REASON_IO_SMI] = {"I/O SMI", "io-smi"},
    [EXIT_REASON_OTHER_SMI] = {"Other SMI", "other-smi"},
    [EXIT_REASON_INTERRUPT_WINDOW] = {"Interrupt window", "interrupt-window"},
    [EXIT_REASON_NMI_WINDOW] = {"NMI window", "nmi-window"},
    [EXIT_REASON_TASK_SWITCH] = {"Task switch", "task-switch"},
    [EXIT_REASON_CPUID] = {"CPUID", "cpuid"},
    [EXIT_REASON_GETSEC] = {"GETSEC", "getsec"},
    [EXIT_REASON_HLT] = {"HLT", "hlt"},
    [EXIT_REASON_INVD] = {"INVD", "invd"},
    [EXIT_REASON_INVLPG] = {"INVLPG", "invlpg"},
    [EXIT_REASON_RDPMC] = {"RDPMC", "rdpmc"},
    [EXIT_REASON_RDTSC] = {"RDTSC", "rdtsc"},
    [EXIT_REASON_RSM] = {"RSM", "rsm"},
    [EXIT_REASON_VMCALL] = {"VMCALL", "vmcall"},
    [EXIT_REASON_VMCLEAR] = {"VMCLEAR", "vmclear"},
    [EXIT_REASON_VMLAUNCH] = {"VMLAUNCH", "vmlaunch"},
    [EXIT_REASON_VMPTRLD] = {"VMPTRLD", "vmptrld"},
    [EXIT_REASON_VMPTRST] = {"VMPTRST", "vmptrst"},
    [EXIT_REASON_VMREAD] = {"VMREAD", "vmread"},
    [EXIT_REASON_VMRESUME] = {"VMRESUME", "vmresume"},
    [EXIT_REASON_VMWRITE] = {"VMWRITE", "vmwrite"},
    [EXIT_REASON_VMXOFF] = {"VMXOFF", "vmxoff"},
    [EXIT_REASON_VMXON] = {"VMXON", "vmxon"},
    [EXIT_REASON_CR_ACCESS] = {"Control-register access", "cr-access"},
    [EXIT_REASON_MOV_DR] = {"MOV DR", "mov-dr"},
    [EXIT_REASON_IO] = {"I/O instruction", "io"},
    [EXIT_REASON_RDMSR] = {"RDMSR", "rdmsr"},
    [EXIT_REASON_WRMSR] = {"WRMSR", "wrmsr"},
    [EXIT_REASON_ENTRY_GUEST_STATE] = {"VM-entry failure due to invalid guest state", "entry-guest-state"},
    [EXIT_REASON_ENTRY_MSR_LOADING] = {"VM-entry failure due to MSR loading", "entry-msr-loading"},
    [EXIT_REASON_MWAIT] = {"MWAIT", "mwait"},
    [EXIT_REASON_MONITOR_TRAP_FLAG] = {"Monitor trap flag", "monitor-trap-flag"},
    [EXIT_REASON_MONITOR] = {"MONITOR", "monitor"},
    [EXIT_REASON_PAUSE] = {"PAUSE", "pause"},
    [EXIT_REASON_ENTRY_MACHINE_CHECK] = {"VM-entry failure due to machine-check event",
                                         "entry-machine-check"},
    [EXIT_REASON_TPR_BELOW_THRESHOLD] = {"TPR below threshold", "tpr-below-threshold"},
    [EXIT_REASON_APIC_ACCESS] = {"APIC access", "apic-access"},
    [EXIT_REASON_VIRTUALIZED_EOI] = {"Virtualized EOI", "virtualized-eoi"},
    [EXIT_REASON_GDTR_OR_IDTR] = {"Access to GDTR or IDTR", "gdtr-or-idtr"},
    [EXIT_REASON_LDTR_OR_TR] = {"Access to LDTR or TR", "ldtr-or-tr"},
    [EXIT_REASON_EPT_VIOLATION] = {"EPT violation", "ept-violation"},
    [EXIT_REASON_EPT_MISCONFIGURATION] = {"EPT misconfiguration", "ept-misconfiguration"},
    [EXIT_REASON_INVEPT] = {"INVEPT", "invept"},
    [EXIT_REASON_RDTSCP] = {"RDTSCP", "rdtscp"},
    [EXIT_REASON_PREEMPTION_TIMER] = {"VMX-preemption timer expired", "preemption-timer"},
    [EXIT_REASON_INVVPID] = {"INVVPID", "invvpid"},
    [EXIT_REASON_WBINVD] = {"WBINVD or WBNOINVD", "wbinvd"},
    [EXIT_REASON_XSETBV] = {"XSETBV", "xsetbv"},
    [EXIT_REASON_APIC_WRITE] = {"APIC write", "apic-write"},
    [EXIT_REASON_RDRAND] = {"RDRAND", "rdrand"},
    [EXIT_REASON_INVPCID] = {"INVPCID", "invpcid"},
    [EXIT_REASON_VMFUNC] = {"VMFUNC", "vmfunc"},
    [EXIT_REASON_ENCLS] = {"ENCLS", "encls"},
    [EXIT_REASON_RDSEED] = {"RDSEED", "rdseed"},
    [EXIT_REASON_PML_FULL] = {"Page-modification log full", "pml-full"},
    [EXIT_REASON_XSAVES] = {"XSAVES", "xsaves"},
    [EXIT_REASON_XRSTORS] = {"XRSTORS", "xrstors"},
    [EXIT_REASON_PCONFIG] = {"PCONFIG", "pconfig"},
    [EXIT_REASON_SPP_EVENT] = {"SPP-related event", "spp-event"},
    [EXIT_REASON_UMWAIT] = {"UMWAIT", "umwait"},
    [EXIT_REASON_TPAUSE] = {"TPAUSE", "tpause"},
    [EXIT_REASON_LOADIWKEY] = {"LOADIWKEY", "loadiwkey"},
    [EXIT_REASON_ENCLV] = {"ENCLV", "enclv"},
    [EXIT_REASON_ENQCMD_PASID] = {"ENQCMD PASID translation failure", "enqcmd-pasid"},
    [EXIT_REASON_ENQCMDS_PASID] = {"ENQCMDS PASID translation failure", "enqcmds-pasid"},
    [EXIT_REASON_BUS_LOCK] = {"Bus lock", "bus-lock"},
    [EXIT_REASON_INSTRUCTION_TIMEOUT] = {"Instruction timeout", "instruction-timeout"},
    [EXIT_REASON_SEAMCALL] = {"SEAMCALL", "seamcall"},
    [EXIT_REASON_TDCALL] = {"TDCALL", "tdcall"},
    [EXIT_REASON_RDMSRLIST] = {"RDMSRLIST", "rdmsrlist"},
};

const char *exit_reason_name(uint32_t basic_reason)
{
    if (basic_reason >= EXIT_REASON_LIMIT || exit_reasons[basic_reason].name == NULL)
        return "unknown exit reason";
    return exit_reasons[basic_reason].name;
}

const char *exit_reason_key(uint32_t basic_reason)
{
    if (basic_reason >= EXIT_REASON_LIMIT || exit_reasons[basic_reason].key == NULL)
        return "other";
    return exit_reasons[basic_reason].key;
}

const char *partition_state_name(enum partition_state state)
{
    static const char *const names[PARTITION_STATE_COUNT] = {
        [PARTITION_READY] = "ready",       [PARTITION_RUNNING] = "running",
        [PARTITION_STOPPING] = "stopping", [PARTITION_RESTARTING] = "restarting",
        [PARTITION_EXITED] = "exited",     [PARTITION_FAULTED] = "faulted",
    };
    return (unsigned)state < PARTITION_STATE_COUNT ? names[state] : "unknown";
}
