/*
 * Names of the processor's registers and their bits: MSRs, control registers, RFLAGS, exceptions, CPUID
 * features. Constants only: no instruction, so that pure code and host tests share it.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, order numbers 325383-083US (volume 2,
 * instruction "CPUID"), 325384-083US (volume 3, chapters "System Architecture Overview", "Protection",
 * "Advanced Programmable Interrupt Controller") and 335592-083US (volume 4, "Architectural MSRs"), March
 * 2024.
 */
#ifndef FREEHOLD_HV_X86_H
#define FREEHOLD_HV_X86_H

#include <stdint.h>

/* ---------------------------------------------------------------------------------------------------- MSRs
 */

#define MSR_TSC               0x10u
#define MSR_PLATFORM_ID       0x17u
#define MSR_APIC_BASE         0x1Bu
#define MSR_FEATURE_CONTROL   0x3Au
#define MSR_TSC_ADJUST        0x3Bu
#define MSR_SPEC_CTRL         0x48u
#define MSR_PRED_CMD          0x49u
#define MSR_BIOS_SIGN_ID      0x8Bu
#define MSR_SMM_MONITOR_CTL   0x9Bu
#define MSR_SMBASE            0x9Eu
#define MSR_PMC0              0xC1u
#define MSR_UMWAIT_CONTROL    0xE1u
#define MSR_MTRR_CAP          0xFEu
#define MSR_ARCH_CAPABILITIES 0x10Au
#define MSR_FLUSH_CMD         0x10Bu
#define MSR_TSX_CTRL          0x122u
#define MSR_MISC_FEATURES     0x140u
#define MSR_SYSENTER_CS       0x174u
#define MSR_SYSENTER_ESP      0x175u
#define MSR_SYSENTER_EIP      0x176u
#define MSR_MCG_CAP           0x179u
#define MSR_MCG_STATUS        0x17Au
#define MSR_MCG_CTL           0x17Bu
#define MSR_PERFEVTSEL0       0x186u
#define MSR_PERF_STATUS       0x198u
#define MSR_PERF_CTL          0x199u
#define MSR_THERM_STATUS      0x19Cu
#define MSR_MISC_ENABLE       0x1A0u
#define MSR_DEBUGCTL          0x1D9u
#define MSR_MTRR_PHYS_BASE0   0x200u /* base and mask alternate */
#define MSR_MTRR_PHYS_MASK0   0x201u
#define MSR_MTRR_FIX64K_00000 0x250u
#define MSR_MTRR_FIX16K_80000 0x258u
#define MSR_MTRR_FIX16K_A0000 0x259u
#define MSR_MTRR_FIX4K_C0000  0x268u
#define MSR_MTRR_FIX4K_F8000  0x26Fu
#define MSR_PAT               0x277u
#define MSR_MTRR_DEF_TYPE     0x2FFu
#define MSR_PERF_GLOBAL_CTRL  0x38Fu
#define MSR_MC0_CTL           0x400u

#define MSR_VMX_BASIC               0x480u
#define MSR_VMX_PINBASED_CTLS       0x481u
#define MSR_VMX_PROCBASED_CTLS      0x482u
#define MSR_VMX_EXIT_CTLS           0x483u
#define MSR_VMX_ENTRY_CTLS          0x484u
#define MSR_VMX_MISC                0x485u
#define MSR_VMX_CR0_FIXED0          0x486u
#define MSR_VMX_CR0_FIXED1          0x487u
#define MSR_VMX_CR4_FIXED0          0x488u
#define MSR_VMX_CR4_FIXED1          0x489u
#define MSR_VMX_VMCS_ENUM           0x48Au
#define MSR_VMX_PROCBASED_CTLS2     0x48Bu
#define MSR_VMX_EPT_VPID_CAP        0x48Cu
#define MSR_VMX_TRUE_PINBASED_CTLS  0x48Du
#define MSR_VMX_TRUE_PROCBASED_CTLS 0x48Eu
#define MSR_VMX_TRUE_EXIT_CTLS      0x48Fu
#define MSR_VMX_TRUE_ENTRY_CTLS     0x490u
#define MSR_VMX_VMFUNC              0x491u
#define MSR_VMX_PROCBASED_CTLS3     0x492u
#define MSR_VMX_EXIT_CTLS2          0x493u

#define MSR_RTIT_CTL     0x570u
#define MSR_DS_AREA      0x600u
#define MSR_U_CET        0x6A0u
#define MSR_S_CET        0x6A2u
#define MSR_PKRS         0x6E1u
#define MSR_TSC_DEADLINE 0x6E0u
#define MSR_PM_ENABLE    0x770u

#define MSR_X2APIC_FIRST       0x800u
#define MSR_X2APIC_ID          0x802u
#define MSR_X2APIC_VERSION     0x803u
#define MSR_X2APIC_TPR         0x808u
#define MSR_X2APIC_PPR         0x80Au
#define MSR_X2APIC_EOI         0x80Bu
#define MSR_X2APIC_LDR         0x80Du
#define MSR_X2APIC_SVR         0x80Fu
#define MSR_X2APIC_ISR0        0x810u
#define MSR_X2APIC_TMR0        0x818u
#define MSR_X2APIC_IRR0        0x820u
#define MSR_X2APIC_ESR         0x828u
#define MSR_X2APIC_LVT_CMCI    0x82Fu
#define MSR_X2APIC_ICR         0x830u
#define MSR_X2APIC_LVT_TIMER   0x832u
#define MSR_X2APIC_LVT_THERMAL 0x833u
#define MSR_X2APIC_LVT_PMC     0x834u
#define MSR_X2APIC_LVT_LINT0   0x835u
#define MSR_X2APIC_LVT_LINT1   0x836u
#define MSR_X2APIC_LVT_ERROR   0x837u
#define MSR_X2APIC_TIMER_INIT  0x838u
#define MSR_X2APIC_TIMER_COUNT 0x839u
#define MSR_X2APIC_TIMER_DIV   0x83Eu
#define MSR_X2APIC_SELF_IPI    0x83Fu
#define MSR_X2APIC_LAST        0x8FFu

#define MSR_XSS            0xDA0u
#define MSR_EFER           0xC0000080u
#define MSR_STAR           0xC0000081u
#define MSR_LSTAR          0xC0000082u
#define MSR_CSTAR          0xC0000083u
#define MSR_FMASK          0xC0000084u
#define MSR_FS_BASE        0xC0000100u
#define MSR_GS_BASE        0xC0000101u
#define MSR_KERNEL_GS_BASE 0xC0000102u
#define MSR_TSC_AUX        0xC0000103u

#define FEATURE_CONTROL_LOCK        (1u << 0)
#define FEATURE_CONTROL_VMX_IN_SMX  (1u << 1)
#define FEATURE_CONTROL_VMX_OUTSIDE (1u << 2)

#define APIC_BASE_BSP          (1u << 8)
#define APIC_BASE_X2APIC       (1u << 10)
#define APIC_BASE_ENABLE       (1u << 11)
#define APIC_BASE_ADDRESS_MASK UINT64_C(0x000FFFFFFFFFF000)
#define APIC_DEFAULT_ADDRESS   UINT64_C(0xFEE00000)

#define EFER_SCE      (UINT64_C(1) << 0)
#define EFER_LME      (UINT64_C(1) << 8)
#define EFER_LMA      (UINT64_C(1) << 10)
#define EFER_NXE      (UINT64_C(1) << 11)
#define EFER_RESERVED (~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))

#define DEBUGCTL_LBR           (UINT64_C(1) << 0)
#define DEBUGCTL_BTF           (UINT64_C(1) << 1)
#define DEBUGCTL_FREEZE_IN_SMM (UINT64_C(1) << 14)

#define MISC_ENABLE_FAST_STRINGS     (UINT64_C(1) << 0)
#define MISC_ENABLE_BTS_UNAVAILABLE  (UINT64_C(1) << 11)
#define MISC_ENABLE_PEBS_UNAVAILABLE (UINT64_C(1) << 12)

/* Memory types of MTRRs, PAT, EPT and EPTP. */
enum memory_type {
    MEMORY_TYPE_UC = 0,
    MEMORY_TYPE_WC = 1,
    MEMORY_TYPE_WT = 4,
    MEMORY_TYPE_WP = 5,
    MEMORY_TYPE_WB = 6,
    MEMORY_TYPE_UC_MINUS = 7, /* PAT only */
};

#define PAT_RESET UINT64_C(0x0007040600070406)

/* --------------------------------------------------------------------------------------- control registers
 */

#define CR0_PE (UINT64_C(1) << 0)
#define CR0_MP (UINT64_C(1) << 1)
#define CR0_EM (UINT64_C(1) << 2)
#define CR0_TS (UINT64_C(1) << 3)
#define CR0_ET (UINT64_C(1) << 4)
#define CR0_NE (UINT64_C(1) << 5)
#define CR0_WP (UINT64_C(1) << 16)
#define CR0_AM (UINT64_C(1) << 18)
#define CR0_NW (UINT64_C(1) << 29)
#define CR0_CD (UINT64_C(1) << 30)
#define CR0_PG (UINT64_C(1) << 31)
#define CR0_DEFINED \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

#define CR3_PWT       (UINT64_C(1) << 3)
#define CR3_PCD       (UINT64_C(1) << 4)
#define CR3_PCID_MASK UINT64_C(0xFFF)
#define CR3_NO_FLUSH  (UINT64_C(1) << 63) /* of the operand of MOV to CR3 under CR4.PCIDE */

#define CR4_VME        (UINT64_C(1) << 0)
#define CR4_PVI        (UINT64_C(1) << 1)
#define CR4_TSD        (UINT64_C(1) << 2)
#define CR4_DE         (UINT64_C(1) << 3)
#define CR4_PSE        (UINT64_C(1) << 4)
#define CR4_PAE        (UINT64_C(1) << 5)
#define CR4_MCE        (UINT64_C(1) << 6)
#define CR4_PGE        (UINT64_C(1) << 7)
#define CR4_PCE        (UINT64_C(1) << 8)
#define CR4_OSFXSR     (UINT64_C(1) << 9)
#define CR4_OSXMMEXCPT (UINT64_C(1) << 10)
#define CR4_UMIP       (UINT64_C(1) << 11)
#define CR4_LA57       (UINT64_C(1) << 12)
#define CR4_VMXE       (UINT64_C(1) << 13)
#define CR4_SMXE       (UINT64_C(1) << 14)
#define CR4_FSGSBASE   (UINT64_C(1) << 16)
#define CR4_PCIDE      (UINT64_C(1) << 17)
#define CR4_OSXSAVE    (UINT64_C(1) << 18)
#define CR4_KL         (UINT64_C(1) << 19)
#define CR4_SMEP       (UINT64_C(1) << 20)
#define CR4_SMAP       (UINT64_C(1) << 21)
#define CR4_PKE        (UINT64_C(1) << 22)
#define CR4_CET        (UINT64_C(1) << 23)
#define CR4_PKS        (UINT64_C(1) << 24)
#define CR4_UINTR      (UINT64_C(1) << 25)

#define DR6_RESET UINT64_C(0xFFFF0FF0)
#define DR6_BD    (UINT64_C(1) << 13)
#define DR6_BS    (UINT64_C(1) << 14)
#define DR6_BT    (UINT64_C(1) << 15)
#define DR7_RESET UINT64_C(0x400)
#define DR7_GD    (UINT64_C(1) << 13)

#define XCR0_X87       (UINT64_C(1) << 0)
#define XCR0_SSE       (UINT64_C(1) << 1)
#define XCR0_AVX       (UINT64_C(1) << 2)
#define XCR0_BNDREGS   (UINT64_C(1) << 3)
#define XCR0_BNDCSR    (UINT64_C(1) << 4)
#define XCR0_OPMASK    (UINT64_C(1) << 5)
#define XCR0_ZMM_HI256 (UINT64_C(1) << 6)
#define XCR0_HI16_ZMM  (UINT64_C(1) << 7)
#define XCR0_PKRU      (UINT64_C(1) << 9)
#define XCR0_TILECFG   (UINT64_C(1) << 17)
#define XCR0_TILEDATA  (UINT64_C(1) << 18)
#define XCR0_AVX512    (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM) /* all or none */

/* --------------------------------------------------------------------------------------------------- RFLAGS
 */

#define RFLAGS_CF        (UINT64_C(1) << 0)
#define RFLAGS_FIXED     (UINT64_C(1) << 1) /* always 1 */
#define RFLAGS_PF        (UINT64_C(1) << 2)
#define RFLAGS_AF        (UINT64_C(1) << 4)
#define RFLAGS_ZF        (UINT64_C(1) << 6)
#define RFLAGS_SF        (UINT64_C(1) << 7)
#define RFLAGS_TF        (UINT64_C(1) << 8)
#define RFLAGS_IF        (UINT64_C(1) << 9)
#define RFLAGS_DF        (UINT64_C(1) << 10)
#define RFLAGS_OF        (UINT64_C(1) << 11)
#define RFLAGS_IOPL_MASK (UINT64_C(3) << 12)
#define RFLAGS_NT        (UINT64_C(1) << 14)
#define RFLAGS_RF        (UINT64_C(1) << 16)
#define RFLAGS_VM        (UINT64_C(1) << 17)
#define RFLAGS_AC        (UINT64_C(1) << 18)
#define RFLAGS_VIF       (UINT64_C(1) << 19)
#define RFLAGS_VIP       (UINT64_C(1) << 20)
#define RFLAGS_ID        (UINT64_C(1) << 21)
#define RFLAGS_RESERVED  UINT64_C(0xFFFFFFFFFFC08028) /* always 0 */

/* ----------------------------------------------------------------------------------------------- exceptions
 */

enum exception_vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_BP = 3,
    VECTOR_OF = 4,
    VECTOR_BR = 5,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_AC = 17,
    VECTOR_MC = 18,
    VECTOR_XM = 19,
    VECTOR_VE = 20,
    VECTOR_CP = 21,
    VECTOR_EXCEPTION_LIMIT = 32, /* interrupts start here */
};

/* Exceptions that push an error code. */
#define VECTORS_WITH_ERROR_CODE                                                                          \
    ((1u << VECTOR_DF) | (1u << VECTOR_TS) | (1u << VECTOR_NP) | (1u << VECTOR_SS) | (1u << VECTOR_GP) | \
     (1u << VECTOR_PF) | (1u << VECTOR_AC) | (1u << VECTOR_CP))

/* ---------------------------------------------------------------------------------------------------- CPUID
 */

#define CPUID_LEAF_MAX_BASIC     0x0u
#define CPUID_LEAF_FEATURES      0x1u
#define CPUID_LEAF_CACHE         0x4u
#define CPUID_LEAF_EXTENDED      0x7u
#define CPUID_LEAF_TOPOLOGY      0xBu
#define CPUID_LEAF_XSAVE         0xDu
#define CPUID_LEAF_TSC           0x15u
#define CPUID_LEAF_FREQUENCY     0x16u
#define CPUID_LEAF_TOPOLOGY_V2   0x1Fu
#define CPUID_LEAF_MAX_EXTENDED  0x80000000u
#define CPUID_LEAF_FEATURES_EXT  0x80000001u
#define CPUID_LEAF_INVARIANT_TSC 0x80000007u
#define CPUID_LEAF_ADDRESS_SIZES 0x80000008u

/* CPUID.01H:ECX */
#define CPUID_1_ECX_SSE3         (1u << 0)
#define CPUID_1_ECX_PCLMULQDQ    (1u << 1)
#define CPUID_1_ECX_DTES64       (1u << 2)
#define CPUID_1_ECX_MONITOR      (1u << 3)
#define CPUID_1_ECX_DS_CPL       (1u << 4)
#define CPUID_1_ECX_VMX          (1u << 5)
#define CPUID_1_ECX_SMX          (1u << 6)
#define CPUID_1_ECX_EST          (1u << 7)
#define CPUID_1_ECX_TM2          (1u << 8)
#define CPUID_1_ECX_SSSE3        (1u << 9)
#define CPUID_1_ECX_CNXT_ID      (1u << 10)
#define CPUID_1_ECX_SDBG         (1u << 11)
#define CPUID_1_ECX_FMA          (1u << 12)
#define CPUID_1_ECX_CMPXCHG16B   (1u << 13)
#define CPUID_1_ECX_XTPR         (1u << 14)
#define CPUID_1_ECX_PDCM         (1u << 15)
#define CPUID_1_ECX_PCID         (1u << 17)
#define CPUID_1_ECX_DCA          (1u << 18)
#define CPUID_1_ECX_SSE4_1       (1u << 19)
#define CPUID_1_ECX_SSE4_2       (1u << 20)
#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_MOVBE        (1u << 22)
#define CPUID_1_ECX_POPCNT       (1u << 23)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_AESNI        (1u << 25)
#define CPUID_1_ECX_XSAVE        (1u << 26)
#define CPUID_1_ECX_OSXSAVE      (1u << 27)
#define CPUID_1_ECX_AVX          (1u << 28)
#define CPUID_1_ECX_F16C         (1u << 29)
#define CPUID_1_ECX_RDRAND       (1u << 30)
#define CPUID_1_ECX_HYPERVISOR   (1u << 31)

/* CPUID.01H:EDX */
#define CPUID_1_EDX_FPU   (1u << 0)
#define CPUID_1_EDX_VME   (1u << 1)
#define CPUID_1_EDX_DE    (1u << 2)
#define CPUID_1_EDX_PSE   (1u << 3)
#define CPUID_1_EDX_TSC   (1u << 4)
#define CPUID_1_EDX_MSR   (1u << 5)
#define CPUID_1_EDX_PAE   (1u << 6)
#define CPUID_1_EDX_MCE   (1u << 7)
#define CPUID_1_EDX_CX8   (1u << 8)
#define CPUID_1_EDX_APIC  (1u << 9)
#define CPUID_1_EDX_SEP   (1u << 11)
#define CPUID_1_EDX_MTRR  (1u << 12)
#define CPUID_1_EDX_PGE   (1u << 13)
#define CPUID_1_EDX_MCA   (1u << 14)
#define CPUID_1_EDX_CMOV  (1u << 15)
#define CPUID_1_EDX_PAT   (1u << 16)
#define CPUID_1_EDX_PSE36 (1u << 17)
#define CPUID_1_EDX_PSN   (1u << 18)
#define CPUID_1_EDX_CLFSH (1u << 19)
#define CPUID_1_EDX_DS    (1u << 21)
#define CPUID_1_EDX_ACPI  (1u << 22)
#define CPUID_1_EDX_MMX   (1u << 23)
#define CPUID_1_EDX_FXSR  (1u << 24)
#define CPUID_1_EDX_SSE   (1u << 25)
#define CPUID_1_EDX_SSE2  (1u << 26)
#define CPUID_1_EDX_SS    (1u << 27)
#define CPUID_1_EDX_HTT   (1u << 28)
#define CPUID_1_EDX_TM    (1u << 29)
#define CPUID_1_EDX_PBE   (1u << 31)

/* CPUID.(07H,0):EBX */
#define CPUID_7_EBX_FSGSBASE        (1u << 0)
#define CPUID_7_EBX_TSC_ADJUST      (1u << 1)
#define CPUID_7_EBX_SGX             (1u << 2)
#define CPUID_7_EBX_BMI1            (1u << 3)
#define CPUID_7_EBX_HLE             (1u << 4)
#define CPUID_7_EBX_AVX2            (1u << 5)
#define CPUID_7_EBX_FDP_EXCPTN_ONLY (1u << 6)
#define CPUID_7_EBX_SMEP            (1u << 7)
#define CPUID_7_EBX_BMI2            (1u << 8)
#define CPUID_7_EBX_ERMS            (1u << 9)
#define CPUID_7_EBX_INVPCID         (1u << 10)
#define CPUID_7_EBX_RTM             (1u << 11)
#define CPUID_7_EBX_RDT_M           (1u << 12)
#define CPUID_7_EBX_FCS_FDS         (1u << 13)
#define CPUID_7_EBX_MPX             (1u << 14)
#define CPUID_7_EBX_RDT_A           (1u << 15)
#define CPUID_7_EBX_AVX512F         (1u << 16)
#define CPUID_7_EBX_AVX512DQ        (1u << 17)
#define CPUID_7_EBX_RDSEED          (1u << 18)
#define CPUID_7_EBX_ADX             (1u << 19)
#define CPUID_7_EBX_SMAP            (1u << 20)
#define CPUID_7_EBX_AVX512_IFMA     (1u << 21)
#define CPUID_7_EBX_CLFLUSHOPT      (1u << 23)
#define CPUID_7_EBX_CLWB            (1u << 24)
#define CPUID_7_EBX_PT              (1u << 25)
#define CPUID_7_EBX_AVX512CD        (1u << 28)
#define CPUID_7_EBX_SHA             (1u << 29)
#define CPUID_7_EBX_AVX512BW        (1u << 30)
#define CPUID_7_EBX_AVX512VL        (1u << 31)

/* CPUID.(07H,0):ECX */
#define CPUID_7_ECX_PREFETCHWT1      (1u << 0)
#define CPUID_7_ECX_AVX512_VBMI      (1u << 1)
#define CPUID_7_ECX_UMIP             (1u << 2)
#define CPUID_7_ECX_PKU              (1u << 3)
#define CPUID_7_ECX_OSPKE            (1u << 4)
#define CPUID_7_ECX_WAITPKG          (1u << 5)
#define CPUID_7_ECX_AVX512_VBMI2     (1u << 6)
#define CPUID_7_ECX_CET_SS           (1u << 7)
#define CPUID_7_ECX_GFNI             (1u << 8)
#define CPUID_7_ECX_VAES             (1u << 9)
#define CPUID_7_ECX_VPCLMULQDQ       (1u << 10)
#define CPUID_7_ECX_AVX512_VNNI      (1u << 11)
#define CPUID_7_ECX_AVX512_BITALG    (1u << 12)
#define CPUID_7_ECX_TME              (1u << 13)
#define CPUID_7_ECX_AVX512_VPOPCNTDQ (1u << 14)
#define CPUID_7_ECX_LA57             (1u << 16)
#define CPUID_7_ECX_RDPID            (1u << 22)
#define CPUID_7_ECX_KL               (1u << 23)
#define CPUID_7_ECX_BUS_LOCK_DETECT  (1u << 24)
#define CPUID_7_ECX_CLDEMOTE         (1u << 25)
#define CPUID_7_ECX_MOVDIRI          (1u << 27)
#define CPUID_7_ECX_MOVDIR64B        (1u << 28)
#define CPUID_7_ECX_ENQCMD           (1u << 29)
#define CPUID_7_ECX_SGX_LC           (1u << 30)
#define CPUID_7_ECX_PKS              (1u << 31)

/* CPUID.(07H,0):EDX */
#define CPUID_7_EDX_AVX512_4VNNIW       (1u << 2)
#define CPUID_7_EDX_AVX512_4FMAPS       (1u << 3)
#define CPUID_7_EDX_FSRM                (1u << 4)
#define CPUID_7_EDX_UINTR               (1u << 5)
#define CPUID_7_EDX_AVX512_VP2INTERSECT (1u << 8)
#define CPUID_7_EDX_MD_CLEAR            (1u << 10)
#define CPUID_7_EDX_SERIALIZE           (1u << 14)
#define CPUID_7_EDX_HYBRID              (1u << 15)
#define CPUID_7_EDX_PCONFIG             (1u << 18)
#define CPUID_7_EDX_CET_IBT             (1u << 20)
#define CPUID_7_EDX_AMX_BF16            (1u << 22)
#define CPUID_7_EDX_AVX512_FP16         (1u << 23)
#define CPUID_7_EDX_AMX_TILE            (1u << 24)
#define CPUID_7_EDX_AMX_INT8            (1u << 25)
#define CPUID_7_EDX_SPEC_CTRL           (1u << 26)
#define CPUID_7_EDX_STIBP               (1u << 27)
#define CPUID_7_EDX_L1D_FLUSH           (1u << 28)
#define CPUID_7_EDX_ARCH_CAPABILITIES   (1u << 29)
#define CPUID_7_EDX_CORE_CAPABILITIES   (1u << 30)
#define CPUID_7_EDX_SSBD                (1u << 31)

/* CPUID.(07H,1):EAX */
#define CPUID_7_1_EAX_AVX_VNNI    (1u << 4)
#define CPUID_7_1_EAX_AVX512_BF16 (1u << 5)
#define CPUID_7_1_EAX_FZRM        (1u << 10)
#define CPUID_7_1_EAX_FSRS        (1u << 11)
#define CPUID_7_1_EAX_FSRC        (1u << 12)

/* CPUID.(0DH,1):EAX */
#define CPUID_D_1_EAX_XSAVEOPT (1u << 0)
#define CPUID_D_1_EAX_XSAVEC   (1u << 1)
#define CPUID_D_1_EAX_XGETBV1  (1u << 2)
#define CPUID_D_1_EAX_XSAVES   (1u << 3)
#define CPUID_D_1_EAX_XFD      (1u << 4)

/* CPUID.80000001H:ECX */
#define CPUID_E1_ECX_LAHF      (1u << 0)
#define CPUID_E1_ECX_LZCNT     (1u << 5)
#define CPUID_E1_ECX_PREFETCHW (1u << 8)

/* CPUID.80000001H:EDX */
#define CPUID_E1_EDX_SYSCALL (1u << 11)
#define CPUID_E1_EDX_NX      (1u << 20)
#define CPUID_E1_EDX_1GIB    (1u << 26)
#define CPUID_E1_EDX_RDTSCP  (1u << 27)
#define CPUID_E1_EDX_LM      (1u << 29)

/* CPUID.80000007H:EDX */
#define CPUID_E7_EDX_INVARIANT_TSC (1u << 8)

#endif
