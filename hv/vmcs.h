/*
 * The virtual-machine control structure as the manual lays it out: field encodings, control bits, exit
 * reasons and the formats of the fields that carry events. Constants only; nothing here touches hardware.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, order number 325384-083US,
 * March 2024: appendix "Field Encoding in VMCS", appendix "VMX Basic Exit Reasons", and the chapters "Virtual
 * Machine Control Structures", "VM Exits" and "VM Instruction Reference". Names are the manual's.
 */
#ifndef FREEHOLD_HV_VMCS_H
#define FREEHOLD_HV_VMCS_H

#include <stdint.h>

/*
 * Every field. An encoding says what it names: bit 0 the high half of a 64-bit field, bits 9:1 an index, bits
 * 11:10 the area (0 control, 1 read-only data, 2 guest state, 3 host state), bits 14:13 the width (0 16-bit,
 * 1 64-bit, 2 32-bit, 3 natural).
 */
enum vmcs_field {
    /* ---- 16-bit control fields */
    VMCS_VPID = 0x0000,
    VMCS_POSTED_INTERRUPT_VECTOR = 0x0002,
    VMCS_EPTP_INDEX = 0x0004,
    VMCS_HLAT_PREFIX_SIZE = 0x0006,
    VMCS_LAST_PID_POINTER_INDEX = 0x0008,

    /* ---- 16-bit guest-state fields */
    VMCS_GUEST_ES_SELECTOR = 0x0800,
    VMCS_GUEST_CS_SELECTOR = 0x0802,
    VMCS_GUEST_SS_SELECTOR = 0x0804,
    VMCS_GUEST_DS_SELECTOR = 0x0806,
    VMCS_GUEST_FS_SELECTOR = 0x0808,
    VMCS_GUEST_GS_SELECTOR = 0x080A,
    VMCS_GUEST_LDTR_SELECTOR = 0x080C,
    VMCS_GUEST_TR_SELECTOR = 0x080E,
    VMCS_GUEST_INTERRUPT_STATUS = 0x0810,
    VMCS_GUEST_PML_INDEX = 0x0812,
    VMCS_GUEST_UINV = 0x0814,

    /* ---- 16-bit host-state fields */
    VMCS_HOST_ES_SELECTOR = 0x0C00,
    VMCS_HOST_CS_SELECTOR = 0x0C02,
    VMCS_HOST_SS_SELECTOR = 0x0C04,
    VMCS_HOST_DS_SELECTOR = 0x0C06,
    VMCS_HOST_FS_SELECTOR = 0x0C08,
    VMCS_HOST_GS_SELECTOR = 0x0C0A,
    VMCS_HOST_TR_SELECTOR = 0x0C0C,

    /* ---- 64-bit control fields */
    VMCS_IO_BITMAP_A = 0x2000,
    VMCS_IO_BITMAP_B = 0x2002,
    VMCS_MSR_BITMAP = 0x2004,
    VMCS_EXIT_MSR_STORE_ADDRESS = 0x2006,
    VMCS_EXIT_MSR_LOAD_ADDRESS = 0x2008,
    VMCS_ENTRY_MSR_LOAD_ADDRESS = 0x200A,
    VMCS_EXECUTIVE_VMCS_POINTER = 0x200C,
    VMCS_PML_ADDRESS = 0x200E,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_VIRTUAL_APIC_ADDRESS = 0x2012,
    VMCS_APIC_ACCESS_ADDRESS = 0x2014,
    VMCS_POSTED_INTERRUPT_DESCRIPTOR = 0x2016,
    VMCS_VM_FUNCTION_CONTROLS = 0x2018,
    VMCS_EPT_POINTER = 0x201A,
    VMCS_EOI_EXIT_BITMAP_0 = 0x201C,
    VMCS_EOI_EXIT_BITMAP_1 = 0x201E,
    VMCS_EOI_EXIT_BITMAP_2 = 0x2020,
    VMCS_EOI_EXIT_BITMAP_3 = 0x2022,
    VMCS_EPTP_LIST_ADDRESS = 0x2024,
    VMCS_VMREAD_BITMAP = 0x2026,
    VMCS_VMWRITE_BITMAP = 0x2028,
    VMCS_VIRTUALIZATION_EXCEPTION_ADDRESS = 0x202A,
    VMCS_XSS_EXITING_BITMAP = 0x202C,
    VMCS_ENCLS_EXITING_BITMAP = 0x202E,
    VMCS_SUB_PAGE_PERMISSION_TABLE_POINTER = 0x2030,
    VMCS_TSC_MULTIPLIER = 0x2032,
    VMCS_TERTIARY_CONTROLS = 0x2034,
    VMCS_ENCLV_EXITING_BITMAP = 0x2036,
    VMCS_LOW_PASID_DIRECTORY = 0x2038,
    VMCS_HIGH_PASID_DIRECTORY = 0x203A,
    VMCS_SHARED_EPT_POINTER = 0x203C,
    VMCS_PCONFIG_EXITING_BITMAP = 0x203E,
    VMCS_HLAT_POINTER = 0x2040,
    VMCS_PID_POINTER_TABLE_ADDRESS = 0x2042,
    VMCS_SECONDARY_EXIT_CONTROLS = 0x2044,
    VMCS_SPEC_CTRL_MASK = 0x204A,
    VMCS_SPEC_CTRL_SHADOW = 0x204C,

    /* ---- 64-bit read-only data field */
    VMCS_GUEST_PHYSICAL_ADDRESS = 0x2400,

    /* ---- 64-bit guest-state fields */
    VMCS_LINK_POINTER = 0x2800,
    VMCS_GUEST_DEBUGCTL = 0x2802,
    VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806,
    VMCS_GUEST_PERF_GLOBAL_CTRL = 0x2808,
    VMCS_GUEST_PDPTE0 = 0x280A,
    VMCS_GUEST_PDPTE1 = 0x280C,
    VMCS_GUEST_PDPTE2 = 0x280E,
    VMCS_GUEST_PDPTE3 = 0x2810,
    VMCS_GUEST_BNDCFGS = 0x2812,
    VMCS_GUEST_RTIT_CTL = 0x2814,
    VMCS_GUEST_LBR_CTL = 0x2816,
    VMCS_GUEST_PKRS = 0x2818,

    /* ---- 64-bit host-state fields */
    VMCS_HOST_PAT = 0x2C00,
    VMCS_HOST_EFER = 0x2C02,
    VMCS_HOST_PERF_GLOBAL_CTRL = 0x2C04,
    VMCS_HOST_PKRS = 0x2C06,

    /* ---- 32-bit control fields */
    VMCS_PIN_CONTROLS = 0x4000,
    VMCS_PRIMARY_CONTROLS = 0x4002,
    VMCS_EXCEPTION_BITMAP = 0x4004,
    VMCS_PAGE_FAULT_ERROR_CODE_MASK = 0x4006,
    VMCS_PAGE_FAULT_ERROR_CODE_MATCH = 0x4008,
    VMCS_CR3_TARGET_COUNT = 0x400A,
    VMCS_EXIT_CONTROLS = 0x400C,
    VMCS_EXIT_MSR_STORE_COUNT = 0x400E,
    VMCS_EXIT_MSR_LOAD_COUNT = 0x4010,
    VMCS_ENTRY_CONTROLS = 0x4012,
    VMCS_ENTRY_MSR_LOAD_COUNT = 0x4014,
    VMCS_ENTRY_INTERRUPTION_INFO = 0x4016,
    VMCS_ENTRY_EXCEPTION_ERROR_CODE = 0x4018,
    VMCS_ENTRY_INSTRUCTION_LENGTH = 0x401A,
    VMCS_TPR_THRESHOLD = 0x401C,
    VMCS_SECONDARY_CONTROLS = 0x401E,
    VMCS_PLE_GAP = 0x4020,
    VMCS_PLE_WINDOW = 0x4022,
    VMCS_INSTRUCTION_TIMEOUT = 0x4024,

    /* ---- 32-bit read-only data fields */
    VMCS_INSTRUCTION_ERROR = 0x4400,
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_INTERRUPTION_INFO = 0x4404,
    VMCS_EXIT_INTERRUPTION_ERROR_CODE = 0x4406,
    VMCS_IDT_VECTORING_INFO = 0x4408,
    VMCS_IDT_VECTORING_ERROR_CODE = 0x440A,
    VMCS_EXIT_INSTRUCTION_LENGTH = 0x440C,
    VMCS_EXIT_INSTRUCTION_INFO = 0x440E,

    /* ---- 32-bit guest-state fields */
    VMCS_GUEST_ES_LIMIT = 0x4800,
    VMCS_GUEST_CS_LIMIT = 0x4802,
    VMCS_GUEST_SS_LIMIT = 0x4804,
    VMCS_GUEST_DS_LIMIT = 0x4806,
    VMCS_GUEST_FS_LIMIT = 0x4808,
    VMCS_GUEST_GS_LIMIT = 0x480A,
    VMCS_GUEST_LDTR_LIMIT = 0x480C,
    VMCS_GUEST_TR_LIMIT = 0x480E,
    VMCS_GUEST_GDTR_LIMIT = 0x4810,
    VMCS_GUEST_IDTR_LIMIT = 0x4812,
    VMCS_GUEST_ES_ACCESS_RIGHTS = 0x4814,
    VMCS_GUEST_CS_ACCESS_RIGHTS = 0x4816,
    VMCS_GUEST_SS_ACCESS_RIGHTS = 0x4818,
    VMCS_GUEST_DS_ACCESS_RIGHTS = 0x481A,
    VMCS_GUEST_FS_ACCESS_RIGHTS = 0x481C,
    VMCS_GUEST_GS_ACCESS_RIGHTS = 0x481E,
    VMCS_GUEST_LDTR_ACCESS_RIGHTS = 0x4820,
    VMCS_GUEST_TR_ACCESS_RIGHTS = 0x4822,
    VMCS_GUEST_INTERRUPTIBILITY = 0x4824,
    VMCS_GUEST_ACTIVITY_STATE = 0x4826,
    VMCS_GUEST_SMBASE = 0x4828,
    VMCS_GUEST_SYSENTER_CS = 0x482A,
    VMCS_PREEMPTION_TIMER_VALUE = 0x482E,

    /* ---- 32-bit host-state field */
    VMCS_HOST_SYSENTER_CS = 0x4C00,

    /* ---- natural-width control fields */
    VMCS_CR0_GUEST_HOST_MASK = 0x6000,
    VMCS_CR4_GUEST_HOST_MASK = 0x6002,
    VMCS_CR0_READ_SHADOW = 0x6004,
    VMCS_CR4_READ_SHADOW = 0x6006,
    VMCS_CR3_TARGET_VALUE_0 = 0x6008,
    VMCS_CR3_TARGET_VALUE_1 = 0x600A,
    VMCS_CR3_TARGET_VALUE_2 = 0x600C,
    VMCS_CR3_TARGET_VALUE_3 = 0x600E,

    /* ---- natural-width read-only data fields */
    VMCS_EXIT_QUALIFICATION = 0x6400,
    VMCS_IO_RCX = 0x6402,
    VMCS_IO_RSI = 0x6404,
    VMCS_IO_RDI = 0x6406,
    VMCS_IO_RIP = 0x6408,
    VMCS_GUEST_LINEAR_ADDRESS = 0x640A,

    /* ---- natural-width guest-state fields */
    VMCS_GUEST_CR0 = 0x6800,
    VMCS_GUEST_CR3 = 0x6802,
    VMCS_GUEST_CR4 = 0x6804,
    VMCS_GUEST_ES_BASE = 0x6806,
    VMCS_GUEST_CS_BASE = 0x6808,
    VMCS_GUEST_SS_BASE = 0x680A,
    VMCS_GUEST_DS_BASE = 0x680C,
    VMCS_GUEST_FS_BASE = 0x680E,
    VMCS_GUEST_GS_BASE = 0x6810,
    VMCS_GUEST_LDTR_BASE = 0x6812,
    VMCS_GUEST_TR_BASE = 0x6814,
    VMCS_GUEST_GDTR_BASE = 0x6816,
    VMCS_GUEST_IDTR_BASE = 0x6818,
    VMCS_GUEST_DR7 = 0x681A,
    VMCS_GUEST_RSP = 0x681C,
    VMCS_GUEST_RIP = 0x681E,
    VMCS_GUEST_RFLAGS = 0x6820,
    VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824,
    VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_GUEST_S_CET = 0x6828,
    VMCS_GUEST_SSP = 0x682A,
    VMCS_GUEST_INTERRUPT_SSP_TABLE = 0x682C,

    /* ---- natural-width host-state fields */
    VMCS_HOST_CR0 = 0x6C00,
    VMCS_HOST_CR3 = 0x6C02,
    VMCS_HOST_CR4 = 0x6C04,
    VMCS_HOST_FS_BASE = 0x6C06,
    VMCS_HOST_GS_BASE = 0x6C08,
    VMCS_HOST_TR_BASE = 0x6C0A,
    VMCS_HOST_GDTR_BASE = 0x6C0C,
    VMCS_HOST_IDTR_BASE = 0x6C0E,
    VMCS_HOST_SYSENTER_ESP = 0x6C10,
    VMCS_HOST_SYSENTER_EIP = 0x6C12,
    VMCS_HOST_RSP = 0x6C14,
    VMCS_HOST_RIP = 0x6C16,
    VMCS_HOST_S_CET = 0x6C18,
    VMCS_HOST_SSP = 0x6C1A,
    VMCS_HOST_INTERRUPT_SSP_TABLE = 0x6C1C,
};

/* ------------------------------------------------------------------------------------------- control bits */

/* "Pin-Based VM-Execution Controls". */
#define PIN_EXTERNAL_INTERRUPT_EXITING (1u << 0)
#define PIN_NMI_EXITING                (1u << 3)
#define PIN_VIRTUAL_NMIS               (1u << 5)
#define PIN_PREEMPTION_TIMER           (1u << 6)
#define PIN_POSTED_INTERRUPTS          (1u << 7)

/* "Processor-Based VM-Execution Controls", primary. */
#define PRIMARY_INTERRUPT_WINDOW_EXITING (1u << 2)
#define PRIMARY_TSC_OFFSETTING           (1u << 3)
#define PRIMARY_HLT_EXITING              (1u << 7)
#define PRIMARY_INVLPG_EXITING           (1u << 9)
#define PRIMARY_MWAIT_EXITING            (1u << 10)
#define PRIMARY_RDPMC_EXITING            (1u << 11)
#define PRIMARY_RDTSC_EXITING            (1u << 12)
#define PRIMARY_CR3_LOAD_EXITING         (1u << 15)
#define PRIMARY_CR3_STORE_EXITING        (1u << 16)
#define PRIMARY_TERTIARY_CONTROLS        (1u << 17)
#define PRIMARY_CR8_LOAD_EXITING         (1u << 19)
#define PRIMARY_CR8_STORE_EXITING        (1u << 20)
#define PRIMARY_TPR_SHADOW               (1u << 21)
#define PRIMARY_NMI_WINDOW_EXITING       (1u << 22)
#define PRIMARY_MOV_DR_EXITING           (1u << 23)
#define PRIMARY_UNCONDITIONAL_IO_EXITING (1u << 24)
#define PRIMARY_IO_BITMAPS               (1u << 25)
#define PRIMARY_MONITOR_TRAP_FLAG        (1u << 27)
#define PRIMARY_MSR_BITMAPS              (1u << 28)
#define PRIMARY_MONITOR_EXITING          (1u << 29)
#define PRIMARY_PAUSE_EXITING            (1u << 30)
#define PRIMARY_SECONDARY_CONTROLS       (1u << 31)

/* "Processor-Based VM-Execution Controls", secondary. */
#define SECONDARY_VIRTUALIZE_APIC_ACCESSES   (1u << 0)
#define SECONDARY_EPT                        (1u << 1)
#define SECONDARY_DESCRIPTOR_TABLE_EXITING   (1u << 2)
#define SECONDARY_RDTSCP                     (1u << 3)
#define SECONDARY_VIRTUALIZE_X2APIC          (1u << 4)
#define SECONDARY_VPID                       (1u << 5)
#define SECONDARY_WBINVD_EXITING             (1u << 6)
#define SECONDARY_UNRESTRICTED_GUEST         (1u << 7)
#define SECONDARY_APIC_REGISTER_VIRTUALIZE   (1u << 8)
#define SECONDARY_VIRTUAL_INTERRUPT_DELIVERY (1u << 9)
#define SECONDARY_PAUSE_LOOP_EXITING         (1u << 10)
#define SECONDARY_RDRAND_EXITING             (1u << 11)
#define SECONDARY_INVPCID                    (1u << 12)
#define SECONDARY_VM_FUNCTIONS               (1u << 13)
#define SECONDARY_VMCS_SHADOWING             (1u << 14)
#define SECONDARY_ENCLS_EXITING              (1u << 15)
#define SECONDARY_RDSEED_EXITING             (1u << 16)
#define SECONDARY_PML                        (1u << 17)
#define SECONDARY_EPT_VIOLATION_VE           (1u << 18)
#define SECONDARY_CONCEAL_VMX_FROM_PT        (1u << 19)
#define SECONDARY_XSAVES                     (1u << 20)
#define SECONDARY_PASID_TRANSLATION          (1u << 21)
#define SECONDARY_MODE_BASED_EXECUTE         (1u << 22)
#define SECONDARY_SUB_PAGE_WRITE             (1u << 23)
#define SECONDARY_PT_GUEST_PHYSICAL          (1u << 24)
#define SECONDARY_TSC_SCALING                (1u << 25)
#define SECONDARY_USER_WAIT_PAUSE            (1u << 26)
#define SECONDARY_PCONFIG                    (1u << 27)
#define SECONDARY_ENCLV_EXITING              (1u << 28)
#define SECONDARY_BUS_LOCK_DETECTION         (1u << 30)
#define SECONDARY_INSTRUCTION_TIMEOUT        (1u << 31)

/* "VM-Exit Controls", primary. */
#define EXIT_SAVE_DEBUG_CONTROLS   (1u << 2)
#define EXIT_HOST_64_BIT           (1u << 9)
#define EXIT_LOAD_PERF_GLOBAL_CTRL (1u << 12)
#define EXIT_ACKNOWLEDGE_INTERRUPT (1u << 15)
#define EXIT_SAVE_PAT              (1u << 18)
#define EXIT_LOAD_PAT              (1u << 19)
#define EXIT_SAVE_EFER             (1u << 20)
#define EXIT_LOAD_EFER             (1u << 21)
#define EXIT_SAVE_PREEMPTION_TIMER (1u << 22)
#define EXIT_CLEAR_BNDCFGS         (1u << 23)
#define EXIT_CONCEAL_VMX_FROM_PT   (1u << 24)
#define EXIT_CLEAR_RTIT_CTL        (1u << 25)
#define EXIT_CLEAR_LBR_CTL         (1u << 26)
#define EXIT_CLEAR_UINV            (1u << 27)
#define EXIT_LOAD_CET              (1u << 28)
#define EXIT_LOAD_PKRS             (1u << 29)
#define EXIT_SAVE_PERF_GLOBAL_CTRL (1u << 30)
#define EXIT_ACTIVATE_SECONDARY    (1u << 31)

/* "VM-Entry Controls". */
#define ENTRY_LOAD_DEBUG_CONTROLS     (1u << 2)
#define ENTRY_IA32E_GUEST             (1u << 9)
#define ENTRY_TO_SMM                  (1u << 10)
#define ENTRY_DEACTIVATE_DUAL_MONITOR (1u << 11)
#define ENTRY_LOAD_PERF_GLOBAL_CTRL   (1u << 13)
#define ENTRY_LOAD_PAT                (1u << 14)
#define ENTRY_LOAD_EFER               (1u << 15)
#define ENTRY_LOAD_BNDCFGS            (1u << 16)
#define ENTRY_CONCEAL_VMX_FROM_PT     (1u << 17)
#define ENTRY_LOAD_RTIT_CTL           (1u << 18)
#define ENTRY_LOAD_UINV               (1u << 19)
#define ENTRY_LOAD_CET                (1u << 20)
#define ENTRY_LOAD_LBR_CTL            (1u << 21)
#define ENTRY_LOAD_PKRS               (1u << 22)

/* -------------------------------------------------------------------------------------------- exit reasons
 */

/* Basic exit reasons: bits 15:0 of VMCS_EXIT_REASON. Values 35, 38 and 42 are not used by the manual. */
enum exit_reason {
    EXIT_REASON_EXCEPTION_OR_NMI = 0,
    EXIT_REASON_EXTERNAL_INTERRUPT = 1,
    EXIT_REASON_TRIPLE_FAULT = 2,
    EXIT_REASON_INIT = 3,
    EXIT_REASON_SIPI = 4,
    EXIT_REASON_IO_SMI = 5,
    EXIT_REASON_OTHER_SMI = 6,
    EXIT_REASON_INTERRUPT_WINDOW = 7,
    EXIT_REASON_NMI_WINDOW = 8,
    EXIT_REASON_TASK_SWITCH = 9,
    EXIT_REASON_CPUID = 10,
    EXIT_REASON_GETSEC = 11,
    EXIT_REASON_HLT = 12,
    EXIT_REASON_INVD = 13,
    EXIT_REASON_INVLPG = 14,
    EXIT_REASON_RDPMC = 15,
    EXIT_REASON_RDTSC = 16,
    EXIT_REASON_RSM = 17,
    EXIT_REASON_VMCALL = 18,
    EXIT_REASON_VMCLEAR = 19,
    EXIT_REASON_VMLAUNCH = 20,
    EXIT_REASON_VMPTRLD = 21,
    EXIT_REASON_VMPTRST = 22,
    EXIT_REASON_VMREAD = 23,
    EXIT_REASON_VMRESUME = 24,
    EXIT_REASON_VMWRITE = 25,
    EXIT_REASON_VMXOFF = 26,
    EXIT_REASON_VMXON = 27,
    EXIT_REASON_CR_ACCESS = 28,
    EXIT_REASON_MOV_DR = 29,
    EXIT_REASON_IO = 30,
    EXIT_REASON_RDMSR = 31,
    EXIT_REASON_WRMSR = 32,
    EXIT_REASON_ENTRY_GUEST_STATE = 33,
    EXIT_REASON_ENTRY_MSR_LOADING = 34,
    EXIT_REASON_MWAIT = 36,
    EXIT_REASON_MONITOR_TRAP_FLAG = 37,
    EXIT_REASON_MONITOR = 39,
    EXIT_REASON_PAUSE = 40,
    EXIT_REASON_ENTRY_MACHINE_CHECK = 41,
    EXIT_REASON_TPR_BELOW_THRESHOLD = 43,
    EXIT_REASON_APIC_ACCESS = 44,
    EXIT_REASON_VIRTUALIZED_EOI = 45,
    EXIT_REASON_GDTR_OR_IDTR = 46,
    EXIT_REASON_LDTR_OR_TR = 47,
    EXIT_REASON_EPT_VIOLATION = 48,
    EXIT_REASON_EPT_MISCONFIGURATION = 49,
    EXIT_REASON_INVEPT = 50,
    EXIT_REASON_RDTSCP = 51,
    EXIT_REASON_PREEMPTION_TIMER = 52,
    EXIT_REASON_INVVPID = 53,
    EXIT_REASON_WBINVD = 54,
    EXIT_REASON_XSETBV = 55,
    EXIT_REASON_APIC_WRITE = 56,
    EXIT_REASON_RDRAND = 57,
    EXIT_REASON_INVPCID = 58,
    EXIT_REASON_VMFUNC = 59,
    EXIT_REASON_ENCLS = 60,
    EXIT_REASON_RDSEED = 61,
    EXIT_REASON_PML_FULL = 62,
    EXIT_REASON_XSAVES = 63,
    EXIT_REASON_XRSTORS = 64,
    EXIT_REASON_PCONFIG = 65,
    EXIT_REASON_SPP_EVENT = 66,
    EXIT_REASON_UMWAIT = 67,
    EXIT_REASON_TPAUSE = 68,
    EXIT_REASON_LOADIWKEY = 69,
    EXIT_REASON_ENCLV = 70,
    EXIT_REASON_ENQCMD_PASID = 72,
    EXIT_REASON_ENQCMDS_PASID = 73,
    EXIT_REASON_BUS_LOCK = 74,
    EXIT_REASON_INSTRUCTION_TIMEOUT = 75,
    EXIT_REASON_SEAMCALL = 76,
    EXIT_REASON_TDCALL = 77,
    EXIT_REASON_RDMSRLIST = 78,
    EXIT_REASON_WRMSRLIST = 79,
};

/* The rest of VMCS_EXIT_REASON. */
#define EXIT_REASON_BASIC_MASK       0xFFFFu
#define EXIT_REASON_SHADOW_STACK     (1u << 25) /* busy shadow stack */
#define EXIT_REASON_BUS_LOCK_PENDING (1u << 26)
#define EXIT_REASON_IN_ENCLAVE       (1u << 27)
#define EXIT_REASON_PENDING_MTF      (1u << 28)
#define EXIT_REASON_FROM_ROOT        (1u << 29)
#define EXIT_REASON_ENTRY_FAILURE    (1u << 31)

/* ------------------------------------------------------------------------------------------ event formats */

/*
 * "Format of the VM-Entry Interruption-Information Field", "... VM-Exit Interruption-Information Field" and
 * "... IDT-Vectoring Information Field": one layout.
 */
#define INTERRUPTION_VECTOR_MASK    0xFFu
#define INTERRUPTION_TYPE_SHIFT     8
#define INTERRUPTION_TYPE_MASK      (7u << INTERRUPTION_TYPE_SHIFT)
#define INTERRUPTION_DELIVER_ERROR  (1u << 11) /* an error code is (to be) delivered */
#define INTERRUPTION_NMI_UNBLOCKED  (1u << 12) /* exits only: NMI unblocking due to IRET */
#define INTERRUPTION_ENTRY_RESERVED 0x7FFFF000u
#define INTERRUPTION_VALID          (1u << 31)

enum interruption_type {
    INTERRUPTION_EXTERNAL = 0,
    INTERRUPTION_RESERVED = 1,
    INTERRUPTION_NMI = 2,
    INTERRUPTION_HARDWARE_EXCEPTION = 3,
    INTERRUPTION_SOFTWARE_INTERRUPT = 4,
    INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION = 5, /* INT1 */
    INTERRUPTION_SOFTWARE_EXCEPTION = 6,            /* INT3, INTO */
    INTERRUPTION_OTHER_EVENT = 7,                   /* entry only: pending MTF exit */
};

/* "Format of Interruptibility State". */
#define INTERRUPTIBILITY_STI      (1u << 0)
#define INTERRUPTIBILITY_MOV_SS   (1u << 1)
#define INTERRUPTIBILITY_SMI      (1u << 2)
#define INTERRUPTIBILITY_NMI      (1u << 3)
#define INTERRUPTIBILITY_ENCLAVE  (1u << 4)
#define INTERRUPTIBILITY_RESERVED 0xFFFFFFE0u

/* VMCS_GUEST_ACTIVITY_STATE. */
enum activity_state {
    ACTIVITY_ACTIVE = 0,
    ACTIVITY_HLT = 1,
    ACTIVITY_SHUTDOWN = 2,
    ACTIVITY_WAIT_FOR_SIPI = 3,
};

/* "Format of Pending-Debug-Exceptions". */
#define PENDING_DEBUG_BREAKPOINTS 0xFu /* B0 to B3 */
#define PENDING_DEBUG_BUS_LOCK    (1u << 11)
#define PENDING_DEBUG_ENABLED     (1u << 12)
#define PENDING_DEBUG_BS          (1u << 14)
#define PENDING_DEBUG_RTM         (1u << 16)

/* "Format of Access Rights": the segment descriptor's bytes 5 and 6, and a bit of its own for "no segment".
 */
#define ACCESS_RIGHTS_TYPE_MASK  0xFu
#define ACCESS_RIGHTS_ACCESSED   (1u << 0) /* of a code or data segment */
#define ACCESS_RIGHTS_WRITABLE   (1u << 1) /* data; code: readable */
#define ACCESS_RIGHTS_CONFORMING (1u << 2) /* code; data: expands down */
#define ACCESS_RIGHTS_CODE       (1u << 3)
#define ACCESS_RIGHTS_NON_SYSTEM (1u << 4) /* S: code or data */
#define ACCESS_RIGHTS_DPL_SHIFT  5
#define ACCESS_RIGHTS_DPL_MASK   (3u << ACCESS_RIGHTS_DPL_SHIFT)
#define ACCESS_RIGHTS_PRESENT    (1u << 7)
#define ACCESS_RIGHTS_AVAILABLE  (1u << 12)
#define ACCESS_RIGHTS_LONG       (1u << 13) /* L: 64-bit code */
#define ACCESS_RIGHTS_BIG        (1u << 14) /* D/B */
#define ACCESS_RIGHTS_GRANULAR   (1u << 15) /* the limit counts 4 KiB units */
#define ACCESS_RIGHTS_UNUSABLE   (1u << 16)
#define ACCESS_RIGHTS_RESERVED   0xFFFE0F00u

/* Types of system segments and of the usual code and data segments, accessed as VM entry wants them. */
#define SEGMENT_TYPE_LDT        2u
#define SEGMENT_TYPE_TSS16_BUSY 3u
#define SEGMENT_TYPE_TSS_BUSY   11u /* 32-bit and 64-bit */
#define SEGMENT_TYPE_DATA       3u  /* read, write, accessed */
#define SEGMENT_TYPE_CODE       11u /* execute, read, accessed */

/* "Format of Extended-Page-Table Pointer". */
#define EPTP_MEMORY_TYPE_MASK  7u
#define EPTP_WALK_LENGTH_SHIFT 3 /* value: levels minus one */
#define EPTP_WALK_LENGTH_MASK  (7u << EPTP_WALK_LENGTH_SHIFT)
#define EPTP_ACCESSED_DIRTY    (1u << 6)
#define EPTP_SUPERVISOR_SHADOW (1u << 7)
#define EPTP_RESERVED_LOW      0xF00u

/* INVEPT and INVVPID types ("VM Instruction Reference"). */
enum invept_type {
    INVEPT_SINGLE_CONTEXT = 1,
    INVEPT_ALL_CONTEXTS = 2,
};
enum invvpid_type {
    INVVPID_ADDRESS = 0,
    INVVPID_SINGLE_CONTEXT = 1,
    INVVPID_ALL_CONTEXTS = 2,
    INVVPID_SINGLE_CONTEXT_RETAIN_GLOBALS = 3,
};

/* "no VMCS link pointer". */
#define VMCS_LINK_POINTER_NONE UINT64_C(0xFFFFFFFFFFFFFFFF)

#endif
