/*
 * Why a VM entry failed, in words. The processor says only that some check failed; this redoes the checks in
 * the processor's order over what the hypervisor read back from the VMCS and names the first broken rule.
 * Pure.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, order number 325384-083US,
 * March 2024: chapter "VM Entries" and "VM Instruction Error Numbers". Not redone: checks on memory (the VMCS
 * that the link pointer names, MSR lists, page tables), on SMM, and on features that hv/vmx_caps.c never
 * turns on (VMCS shadowing, VM functions, EPT-violation #VE, CET, processor tracing, bound registers, PKRS,
 * LBRs).
 */
#ifndef FREEHOLD_HV_ENTRY_CHECK_H
#define FREEHOLD_HV_ENTRY_CHECK_H

#include "hv/vmx_caps.h"

/* X(name, its VMCS field, the name people read). The eight segment registers keep the order of their
 * encoding. */
#define ENTRY_FIELDS(X)                                                                           \
    X(PIN, VMCS_PIN_CONTROLS, "pin-based controls")                                               \
    X(PRIMARY, VMCS_PRIMARY_CONTROLS, "primary processor-based controls")                         \
    X(SECONDARY, VMCS_SECONDARY_CONTROLS, "secondary processor-based controls")                   \
    X(CR3_TARGET_COUNT, VMCS_CR3_TARGET_COUNT, "CR3-target count")                                \
    X(IO_BITMAP_A, VMCS_IO_BITMAP_A, "I/O-bitmap A address")                                      \
    X(IO_BITMAP_B, VMCS_IO_BITMAP_B, "I/O-bitmap B address")                                      \
    X(MSR_BITMAP, VMCS_MSR_BITMAP, "MSR-bitmap address")                                          \
    X(VIRTUAL_APIC, VMCS_VIRTUAL_APIC_ADDRESS, "virtual-APIC address")                            \
    X(TPR_THRESHOLD, VMCS_TPR_THRESHOLD, "TPR threshold")                                         \
    X(APIC_ACCESS, VMCS_APIC_ACCESS_ADDRESS, "APIC-access address")                               \
    X(POSTED_VECTOR, VMCS_POSTED_INTERRUPT_VECTOR, "posted-interrupt notification vector")        \
    X(POSTED_DESCRIPTOR, VMCS_POSTED_INTERRUPT_DESCRIPTOR, "posted-interrupt descriptor address") \
    X(VPID, VMCS_VPID, "VPID")                                                                    \
    X(EPTP, VMCS_EPT_POINTER, "EPT pointer")                                                      \
    X(PML, VMCS_PML_ADDRESS, "PML address")                                                       \
    X(EXIT, VMCS_EXIT_CONTROLS, "VM-exit controls")                                               \
    X(EXIT_STORE_COUNT, VMCS_EXIT_MSR_STORE_COUNT, "VM-exit MSR-store count")                     \
    X(EXIT_STORE, VMCS_EXIT_MSR_STORE_ADDRESS, "VM-exit MSR-store address")                       \
    X(EXIT_LOAD_COUNT, VMCS_EXIT_MSR_LOAD_COUNT, "VM-exit MSR-load count")                        \
    X(EXIT_LOAD, VMCS_EXIT_MSR_LOAD_ADDRESS, "VM-exit MSR-load address")                          \
    X(ENTRY, VMCS_ENTRY_CONTROLS, "VM-entry controls")                                            \
    X(ENTRY_LOAD_COUNT, VMCS_ENTRY_MSR_LOAD_COUNT, "VM-entry MSR-load count")                     \
    X(ENTRY_LOAD, VMCS_ENTRY_MSR_LOAD_ADDRESS, "VM-entry MSR-load address")                       \
    X(EVENT, VMCS_ENTRY_INTERRUPTION_INFO, "VM-entry interruption information")                   \
    X(EVENT_ERROR_CODE, VMCS_ENTRY_EXCEPTION_ERROR_CODE, "VM-entry exception error code")         \
    X(EVENT_LENGTH, VMCS_ENTRY_INSTRUCTION_LENGTH, "VM-entry instruction length")                 \
    X(HOST_CR0, VMCS_HOST_CR0, "host CR0")                                                        \
    X(HOST_CR3, VMCS_HOST_CR3, "host CR3")                                                        \
    X(HOST_CR4, VMCS_HOST_CR4, "host CR4")                                                        \
    X(HOST_SYSENTER_ESP, VMCS_HOST_SYSENTER_ESP, "host IA32_SYSENTER_ESP")                        \
    X(HOST_SYSENTER_EIP, VMCS_HOST_SYSENTER_EIP, "host IA32_SYSENTER_EIP")                        \
    X(HOST_PAT, VMCS_HOST_PAT, "host IA32_PAT")                                                   \
    X(HOST_EFER, VMCS_HOST_EFER, "host IA32_EFER")                                                \
    X(HOST_ES, VMCS_HOST_ES_SELECTOR, "host ES selector")                                         \
    X(HOST_CS, VMCS_HOST_CS_SELECTOR, "host CS selector")                                         \
    X(HOST_SS, VMCS_HOST_SS_SELECTOR, "host SS selector")                                         \
    X(HOST_DS, VMCS_HOST_DS_SELECTOR, "host DS selector")                                         \
    X(HOST_FS, VMCS_HOST_FS_SELECTOR, "host FS selector")                                         \
    X(HOST_GS, VMCS_HOST_GS_SELECTOR, "host GS selector")                                         \
    X(HOST_TR, VMCS_HOST_TR_SELECTOR, "host TR selector")                                         \
    X(HOST_FS_BASE, VMCS_HOST_FS_BASE, "host FS base")                                            \
    X(HOST_GS_BASE, VMCS_HOST_GS_BASE, "host GS base")                                            \
    X(HOST_TR_BASE, VMCS_HOST_TR_BASE, "host TR base")                                            \
    X(HOST_GDTR_BASE, VMCS_HOST_GDTR_BASE, "host GDTR base")                                      \
    X(HOST_IDTR_BASE, VMCS_HOST_IDTR_BASE, "host IDTR base")                                      \
    X(HOST_RIP, VMCS_HOST_RIP, "host RIP")                                                        \
    X(CR0, VMCS_GUEST_CR0, "guest CR0")                                                           \
    X(CR3, VMCS_GUEST_CR3, "guest CR3")                                                           \
    X(CR4, VMCS_GUEST_CR4, "guest CR4")                                                           \
    X(DR7, VMCS_GUEST_DR7, "guest DR7")                                                           \
    X(DEBUGCTL, VMCS_GUEST_DEBUGCTL, "guest IA32_DEBUGCTL")                                       \
    X(SYSENTER_ESP, VMCS_GUEST_SYSENTER_ESP, "guest IA32_SYSENTER_ESP")                           \
    X(SYSENTER_EIP, VMCS_GUEST_SYSENTER_EIP, "guest IA32_SYSENTER_EIP")                           \
    X(PAT, VMCS_GUEST_PAT, "guest IA32_PAT")                                                      \
    X(EFER, VMCS_GUEST_EFER, "guest IA32_EFER")                                                   \
    X(ES_SELECTOR, VMCS_GUEST_ES_SELECTOR, "guest ES selector")                                   \
    X(CS_SELECTOR, VMCS_GUEST_CS_SELECTOR, "guest CS selector")                                   \
    X(SS_SELECTOR, VMCS_GUEST_SS_SELECTOR, "guest SS selector")                                   \
    X(DS_SELECTOR, VMCS_GUEST_DS_SELECTOR, "guest DS selector")                                   \
    X(FS_SELECTOR, VMCS_GUEST_FS_SELECTOR, "guest FS selector")                                   \
    X(GS_SELECTOR, VMCS_GUEST_GS_SELECTOR, "guest GS selector")                                   \
    X(LDTR_SELECTOR, VMCS_GUEST_LDTR_SELECTOR, "guest LDTR selector")                             \
    X(TR_SELECTOR, VMCS_GUEST_TR_SELECTOR, "guest TR selector")                                   \
    X(ES_BASE, VMCS_GUEST_ES_BASE, "guest ES base")                                               \
    X(CS_BASE, VMCS_GUEST_CS_BASE, "guest CS base")                                               \
    X(SS_BASE, VMCS_GUEST_SS_BASE, "guest SS base")                                               \
    X(DS_BASE, VMCS_GUEST_DS_BASE, "guest DS base")                                               \
    X(FS_BASE, VMCS_GUEST_FS_BASE, "guest FS base")                                               \
    X(GS_BASE, VMCS_GUEST_GS_BASE, "guest GS base")                                               \
    X(LDTR_BASE, VMCS_GUEST_LDTR_BASE, "guest LDTR base")                                         \
    X(TR_BASE, VMCS_GUEST_TR_BASE, "guest TR base")                                               \
    X(ES_LIMIT, VMCS_GUEST_ES_LIMIT, "guest ES limit")                                            \
    X(CS_LIMIT, VMCS_GUEST_CS_LIMIT, "guest CS limit")                                            \
    X(SS_LIMIT, VMCS_GUEST_SS_LIMIT, "guest SS limit")                                            \
    X(DS_LIMIT, VMCS_GUEST_DS_LIMIT, "guest DS limit")                                            \
    X(FS_LIMIT, VMCS_GUEST_FS_LIMIT, "guest FS limit")                                            \
    X(GS_LIMIT, VMCS_GUEST_GS_LIMIT, "guest GS limit")                                            \
    X(LDTR_LIMIT, VMCS_GUEST_LDTR_LIMIT, "guest LDTR limit")                                      \
    X(TR_LIMIT, VMCS_GUEST_TR_LIMIT, "guest TR limit")                                            \
    X(ES_RIGHTS, VMCS_GUEST_ES_ACCESS_RIGHTS, "guest ES access rights")                           \
    X(CS_RIGHTS, VMCS_GUEST_CS_ACCESS_RIGHTS, "guest CS access rights")                           \
    X(SS_RIGHTS, VMCS_GUEST_SS_ACCESS_RIGHTS, "guest SS access rights")                           \
    X(DS_RIGHTS, VMCS_GUEST_DS_ACCESS_RIGHTS, "guest DS access rights")                           \
    X(FS_RIGHTS, VMCS_GUEST_FS_ACCESS_RIGHTS, "guest FS access rights")                           \
    X(GS_RIGHTS, VMCS_GUEST_GS_ACCESS_RIGHTS, "guest GS access rights")                           \
    X(LDTR_RIGHTS, VMCS_GUEST_LDTR_ACCESS_RIGHTS, "guest LDTR access rights")                     \
    X(TR_RIGHTS, VMCS_GUEST_TR_ACCESS_RIGHTS, "guest TR access rights")                           \
    X(GDTR_BASE, VMCS_GUEST_GDTR_BASE, "guest GDTR base")                                         \
    X(IDTR_BASE, VMCS_GUEST_IDTR_BASE, "guest IDTR base")                                         \
    X(GDTR_LIMIT, VMCS_GUEST_GDTR_LIMIT, "guest GDTR limit")                                      \
    X(IDTR_LIMIT, VMCS_GUEST_IDTR_LIMIT, "guest IDTR limit")                                      \
    X(RIP, VMCS_GUEST_RIP, "guest RIP")                                                           \
    X(RFLAGS, VMCS_GUEST_RFLAGS, "guest RFLAGS")                                                  \
    X(ACTIVITY, VMCS_GUEST_ACTIVITY_STATE, "guest activity state")                                \
    X(INTERRUPTIBILITY, VMCS_GUEST_INTERRUPTIBILITY, "guest interruptibility state")              \
    X(PENDING_DEBUG, VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, "guest pending debug exceptions")       \
    X(LINK_POINTER, VMCS_LINK_POINTER, "VMCS link pointer")                                       \
    X(PDPTE0, VMCS_GUEST_PDPTE0, "guest PDPTE0")                                                  \
    X(PDPTE1, VMCS_GUEST_PDPTE1, "guest PDPTE1")                                                  \
    X(PDPTE2, VMCS_GUEST_PDPTE2, "guest PDPTE2")                                                  \
    X(PDPTE3, VMCS_GUEST_PDPTE3, "guest PDPTE3")

enum entry_field {
#define ENTRY_ENUMERATOR(name, field, text) EF_##name,
    ENTRY_FIELDS(ENTRY_ENUMERATOR)
#undef ENTRY_ENUMERATOR
        ENTRY_FIELD_COUNT
};

/* The sections of the manual, in the order in which the processor goes through them. */
#define ENTRY_SECTIONS(X)                                                        \
    X(EXECUTION, "Checks on VM-Execution Control Fields")                        \
    X(EXIT, "Checks on VM-Exit Control Fields")                                  \
    X(ENTRY, "Checks on VM-Entry Control Fields")                                \
    X(HOST, "Checks on Host Control Registers, MSRs, and SSP")                   \
    X(HOST_SEGMENTS, "Checks on Host Segment and Descriptor-Table Registers")    \
    X(ADDRESS_SPACE, "Checks Related to Address-Space Size")                     \
    X(REGISTERS, "Checks on Guest Control Registers, Debug Registers, and MSRs") \
    X(SEGMENTS, "Checks on Guest Segment Registers")                             \
    X(TABLES, "Checks on Guest Descriptor-Table Registers")                      \
    X(RIP, "Checks on Guest RIP, RFLAGS, and SSP")                               \
    X(NON_REGISTER, "Checks on Guest Non-Register State")                        \
    X(PDPTES, "Checks on Guest Page-Directory-Pointer-Table Entries")

/* X(rule, its section, the rule in words) */
#define ENTRY_RULES(X)                                                                                      \
    X(PIN_ALLOWED, EXECUTION, "reserved bits must be as IA32_VMX_(TRUE_)PINBASED_CTLS says")                \
    X(PRIMARY_ALLOWED, EXECUTION, "reserved bits must be as IA32_VMX_(TRUE_)PROCBASED_CTLS says")           \
    X(SECONDARY_ALLOWED, EXECUTION, "reserved bits must be as IA32_VMX_PROCBASED_CTLS2 says")               \
    X(CR3_TARGETS, EXECUTION, "must not exceed the count in IA32_VMX_MISC")                                 \
    X(IO_BITMAPS, EXECUTION, "must be 4-KiB aligned and inside the physical-address width")                 \
    X(MSR_BITMAP, EXECUTION, "must be 4-KiB aligned and inside the physical-address width")                 \
    X(VIRTUAL_APIC, EXECUTION, "must be 4-KiB aligned and inside the physical-address width")               \
    X(TPR_THRESHOLD, EXECUTION, "bits 31:4 must be 0 without virtual-interrupt delivery")                   \
    X(NMI_EXITING, EXECUTION, "virtual NMIs need NMI exiting")                                              \
    X(VIRTUAL_NMIS, EXECUTION, "NMI-window exiting needs virtual NMIs")                                     \
    X(APIC_ACCESS, EXECUTION, "must be 4-KiB aligned and inside the physical-address width")                \
    X(TPR_SHADOW, EXECUTION, "x2APIC, APIC-register and interrupt virtualization need the TPR shadow")      \
    X(X2APIC_MODE, EXECUTION, "x2APIC virtualization excludes APIC-access virtualization")                  \
    X(INTERRUPT_DELIVERY, EXECUTION, "virtual-interrupt delivery needs external-interrupt exiting")         \
    X(POSTED_NEEDS, EXECUTION, "posted interrupts need virtual-interrupt delivery and acknowledge on exit") \
    X(POSTED_VECTOR, EXECUTION, "bits 15:8 must be 0")                                                      \
    X(POSTED_DESCRIPTOR, EXECUTION, "must be 64-byte aligned and inside the physical-address width")        \
    X(VPID_ZERO, EXECUTION, "must not be 0 while VPIDs are enabled")                                        \
    X(EPTP_MEMORY_TYPE, EXECUTION, "the memory type must be one that IA32_VMX_EPT_VPID_CAP offers")         \
    X(EPTP_WALK, EXECUTION, "the walk length must be one that IA32_VMX_EPT_VPID_CAP offers")                \
    X(EPTP_FLAGS, EXECUTION, "accessed and dirty flags need IA32_VMX_EPT_VPID_CAP bit 21")                  \
    X(EPTP_RESERVED, EXECUTION, "bits 11:7 and those beyond the physical-address width must be 0")          \
    X(PML_NEEDS, EXECUTION, "page-modification logging needs EPT")                                          \
    X(PML_ADDRESS, EXECUTION, "must be 4-KiB aligned and inside the physical-address width")                \
    X(UNRESTRICTED_NEEDS, EXECUTION, "unrestricted guest needs EPT")                                        \
    X(EXIT_ALLOWED, EXIT, "reserved bits must be as IA32_VMX_(TRUE_)EXIT_CTLS says")                        \
    X(TIMER_NEEDS, EXIT, "saving the VMX-preemption timer needs the timer active")                          \
    X(EXIT_STORE, EXIT, "must be 16-byte aligned and the list inside the physical-address width")           \
    X(EXIT_LOAD, EXIT, "must be 16-byte aligned and the list inside the physical-address width")            \
    X(ENTRY_ALLOWED, ENTRY, "reserved bits must be as IA32_VMX_(TRUE_)ENTRY_CTLS says")                     \
    X(EVENT_TYPE, ENTRY, "the type must not be reserved")                                                   \
    X(EVENT_VECTOR, ENTRY, "an NMI has vector 2, an exception one below 32, another event 0")               \
    X(EVENT_NO_ERROR_CODE, ENTRY,                                                                           \
      "an error code goes with a hardware exception in protected mode that has one")                        \
    X(EVENT_NEEDS_ERROR_CODE, ENTRY, "this exception must deliver its error code")                          \
    X(EVENT_RESERVED, ENTRY, "bits 30:12 must be 0")                                                        \
    X(EVENT_ERROR_CODE, ENTRY, "bits 31:16 of a delivered error code must be 0")                            \
    X(EVENT_LENGTH, ENTRY, "a software event has an instruction length from 1 (or 0 if offered) to 15")     \
    X(ENTRY_LOAD, ENTRY, "must be 16-byte aligned and the list inside the physical-address width")          \
    X(ENTRY_SMM, ENTRY, "entry to SMM and the end of dual-monitor treatment must be off outside SMM")       \
    X(HOST_CR0_FIXED, HOST, "must have the bits that VMX operation fixes")                                  \
    X(HOST_CR4_FIXED, HOST, "must have the bits that VMX operation fixes")                                  \
    X(HOST_CR3_WIDTH, HOST, "must be inside the physical-address width")                                    \
    X(HOST_SYSENTER, HOST, "must be canonical")                                                             \
    X(HOST_PAT_TYPES, HOST, "each byte must be 0, 1, 4, 5, 6 or 7")                                         \
    X(HOST_EFER_RESERVED, HOST, "reserved bits must be 0")                                                  \
    X(HOST_EFER_LONG, HOST, "LMA and LME must equal \"host address-space size\"")                           \
    X(HOST_SELECTOR_BITS, HOST_SEGMENTS, "RPL and TI must be 0")                                            \
    X(HOST_SELECTOR_NULL, HOST_SEGMENTS, "must not be null")                                                \
    X(HOST_BASE, HOST_SEGMENTS, "must be canonical")                                                        \
    X(HOST_64_BIT, ADDRESS_SPACE, "\"host address-space size\" must be 1 in IA-32e mode")                   \
    X(HOST_PAE, ADDRESS_SPACE, "a 64-bit host needs CR4.PAE")                                               \
    X(HOST_RIP, ADDRESS_SPACE, "must be canonical")                                                         \
    X(CR0_FIXED, REGISTERS, "must have the bits that VMX operation fixes")                                  \
    X(CR0_PAGING, REGISTERS, "PG needs PE")                                                                 \
    X(CR4_FIXED, REGISTERS, "must have the bits that VMX operation fixes")                                  \
    X(CR4_CET, REGISTERS, "CET needs CR0.WP")                                                               \
    X(DEBUGCTL, REGISTERS, "reserved bits must be 0")                                                       \
    X(LONG_MODE_PAGING, REGISTERS, "an IA-32e mode guest needs CR0.PG")                                     \
    X(LONG_MODE_PAE, REGISTERS, "an IA-32e mode guest needs CR4.PAE")                                       \
    X(PCID, REGISTERS, "PCIDE needs an IA-32e mode guest")                                                  \
    X(CR3_WIDTH, REGISTERS, "must be inside the physical-address width")                                    \
    X(DR7_HIGH, REGISTERS, "bits 63:32 must be 0")                                                          \
    X(SYSENTER, REGISTERS, "must be canonical")                                                             \
    X(PAT_TYPES, REGISTERS, "each byte must be 0, 1, 4, 5, 6 or 7")                                         \
    X(EFER_RESERVED, REGISTERS, "reserved bits must be 0")                                                  \
    X(EFER_LMA, REGISTERS, "LMA must equal \"IA-32e mode guest\"")                                          \
    X(EFER_LME, REGISTERS, "LME must equal LMA while CR0.PG is 1")                                          \
    X(TR_TABLE, SEGMENTS, "TI must be 0")                                                                   \
    X(LDTR_TABLE, SEGMENTS, "TI must be 0")                                                                 \
    X(SS_RPL, SEGMENTS, "RPL must equal that of CS without unrestricted guest")                             \
    X(V86_BASE, SEGMENTS, "must be the selector times 16 in virtual-8086 mode")                             \
    X(BASE_CANONICAL, SEGMENTS, "must be canonical")                                                        \
    X(BASE_HIGH, SEGMENTS, "bits 63:32 must be 0")                                                          \
    X(V86_LIMIT, SEGMENTS, "must be 0xFFFF in virtual-8086 mode")                                           \
    X(V86_RIGHTS, SEGMENTS, "must be 0xF3 in virtual-8086 mode")                                            \
    X(CS_TYPE, SEGMENTS, "type must be 9, 11, 13 or 15; or 3 for an unrestricted guest")                    \
    X(SS_TYPE, SEGMENTS, "type must be 3 or 7")                                                             \
    X(DATA_TYPE, SEGMENTS, "type must be accessed, and readable if it is code")                             \
    X(CODE_OR_DATA, SEGMENTS, "S must be 1")                                                                \
    X(CS_DPL_DATA, SEGMENTS, "DPL must be 0 with type 3")                                                   \
    X(CS_DPL, SEGMENTS, "DPL must equal that of SS")                                                        \
    X(CS_DPL_CONFORMING, SEGMENTS, "DPL must not exceed that of SS")                                        \
    X(SS_DPL, SEGMENTS, "DPL must equal RPL without unrestricted guest")                                    \
    X(SS_DPL_REAL, SEGMENTS, "DPL must be 0 in real mode and with CS of type 3")                            \
    X(DATA_DPL, SEGMENTS, "DPL must not be below RPL without unrestricted guest")                           \
    X(PRESENT, SEGMENTS, "P must be 1")                                                                     \
    X(RIGHTS_RESERVED, SEGMENTS, "bits 11:8 and 31:17 must be 0")                                           \
    X(CS_BIG, SEGMENTS, "D/B must be 0 in a 64-bit code segment")                                           \
    X(GRANULARITY_LOW, SEGMENTS, "G must be 0 when bits 11:0 of the limit are not all 1")                   \
    X(GRANULARITY_HIGH, SEGMENTS, "G must be 1 when the limit is above 0xFFFFF")                            \
    X(TR_TYPE, SEGMENTS, "type must be 11, or 3 outside IA-32e mode")                                       \
    X(LDTR_TYPE, SEGMENTS, "type must be 2")                                                                \
    X(SYSTEM_SEGMENT, SEGMENTS, "S must be 0")                                                              \
    X(TR_USABLE, SEGMENTS, "must not be unusable")                                                          \
    X(TABLE_BASE, TABLES, "must be canonical")                                                              \
    X(TABLE_LIMIT, TABLES, "bits 31:16 must be 0")                                                          \
    X(RIP_HIGH, RIP, "bits 63:32 must be 0 outside 64-bit code")                                            \
    X(RIP_WIDTH, RIP, "bits beyond the linear-address width must be equal")                                 \
    X(RFLAGS_RESERVED, RIP, "reserved bits must be 0, bit 1 must be 1")                                     \
    X(RFLAGS_VM, RIP, "VM must be 0 in IA-32e mode and in real mode")                                       \
    X(RFLAGS_IF, RIP, "IF must be 1 to inject an external interrupt")                                       \
    X(ACTIVITY_KNOWN, NON_REGISTER, "must be a state that IA32_VMX_MISC offers")                            \
    X(ACTIVITY_HLT_DPL, NON_REGISTER, "HLT needs SS.DPL 0")                                                 \
    X(ACTIVITY_BLOCKING, NON_REGISTER, "must be active while STI or MOV SS blocks interrupts")              \
    X(ACTIVITY_EVENT, NON_REGISTER, "the event to inject must be one that ends this state")                 \
    X(BLOCKING_RESERVED, NON_REGISTER, "bits 31:5 must be 0")                                               \
    X(BLOCKING_BOTH, NON_REGISTER, "blocking by STI and by MOV SS exclude each other")                      \
    X(BLOCKING_STI, NON_REGISTER, "blocking by STI needs RFLAGS.IF")                                        \
    X(BLOCKING_EXTERNAL, NON_REGISTER, "STI or MOV SS must not block an injected external interrupt")       \
    X(BLOCKING_NMI, NON_REGISTER, "STI, MOV SS or an NMI must not block an injected NMI")                   \
    X(BLOCKING_SMI, NON_REGISTER, "blocking by SMI must be 0 outside SMM")                                  \
    X(BLOCKING_ENCLAVE, NON_REGISTER, "an enclave interruption excludes blocking by MOV SS")                \
    X(DEBUG_RESERVED, NON_REGISTER, "reserved bits must be 0")                                              \
    X(DEBUG_STEP, NON_REGISTER, "BS must follow RFLAGS.TF and IA32_DEBUGCTL.BTF while blocked or halted")   \
    X(DEBUG_RTM, NON_REGISTER, "an RTM debug exception excludes all but bit 12, and blocking by MOV SS")    \
    X(LINK_POINTER, NON_REGISTER, "must be all ones, or another VMCS inside the physical-address width")    \
    X(PDPTE_RESERVED, PDPTES, "reserved bits of a present entry must be 0")

enum entry_rule {
    ENTRY_RULE_NONE,
#define ENTRY_ENUMERATOR(rule, section, text) ENTRY_RULE_##rule,
    ENTRY_RULES(ENTRY_ENUMERATOR)
#undef ENTRY_ENUMERATOR
        ENTRY_RULE_COUNT
};

/* What the checks look at. */
struct entry_state {
    const struct vmx_msrs *msrs;       /* this processor's */
    uint32_t physical_bits;            /* MAXPHYADDR */
    uint32_t linear_bits;              /* 48 or 57 */
    uint64_t vmcs;                     /* physical address of this VMCS */
    uint64_t value[ENTRY_FIELD_COUNT]; /* by enum entry_field */
};

struct entry_finding {
    enum entry_rule rule; /* ENTRY_RULE_NONE: no rule that we know is broken */
    const char *section;
    const char *text;
    const char *field;
    uint64_t value;
};

/* Reads one VMCS field by its encoding; returns 0 for a field that this processor does not have. */
typedef uint64_t (*entry_read_fn)(void *context, uint32_t field);

/* Fills state->value from the current VMCS; the other members are the caller's to set. */
void entry_state_read(struct entry_state *state, entry_read_fn read, void *context);

/* True when every rule holds. Otherwise *finding names the first that does not. Takes any values whatever. */
MUST_USE bool entry_check(const struct entry_state *state, struct entry_finding *finding);

/* The meaning of a VM-instruction error number, as a clause; "unknown error" for one the manual does not
 * list. */
const char *vm_instruction_error_name(uint32_t number);

/*
 * A sentence about an entry failure with basic exit reason 33, 34 or 41 and its qualification (reason 0: the
 * entry instruction itself failed, the qualification is its VM-instruction error). finding may be NULL.
 * Always terminated; returns the length of the whole text.
 */
size_t entry_failure_describe(char *out, size_t out_bytes, uint32_t basic_reason, uint64_t qualification,
                              const struct entry_finding *finding);

#endif
