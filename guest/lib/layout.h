/*
 * Numbers that assembly and C share: selectors of the guests' own GDT, stack sizes, the offsets of what
 * start.S saves at entry. Only #defines: start.S includes it.
 */
#ifndef FREEHOLD_GUEST_LIB_LAYOUT_H
#define FREEHOLD_GUEST_LIB_LAYOUT_H

#define GUEST_MAX_VCPUS 64

#define STACK_BYTES       8192 /* of each vCPU */
#define FAULT_STACK_BYTES 2048 /* of each vCPU, for #DF, NMI and #MC (interrupt stack table) */

/* The GDT of vCPU 0's start is replaced by this one, which has what CPL 3 and several TSSs need. */
#define SELECTOR_CODE      0x08
#define SELECTOR_DATA      0x10
#define SELECTOR_USER_DATA 0x1B /* with its RPL */
#define SELECTOR_USER_CODE 0x23 /* with its RPL */
#define SELECTOR_CODE32    0x28
#define SELECTOR_TSS_FIRST 0x30 /* of vCPU 0; 16 bytes each */

/* struct entry_state, by offset. */
#define ENTRY_GPR    0
#define ENTRY_RFLAGS 128
#define ENTRY_CR0    136
#define ENTRY_CR2    144
#define ENTRY_CR3    152
#define ENTRY_CR4    160
#define ENTRY_CR8    168
#define ENTRY_EFER   176
#define ENTRY_DR     184
#define ENTRY_GDTR   232
#define ENTRY_IDTR   248
#define ENTRY_SELECT 264
#define ENTRY_XMM    288
#define ENTRY_FCW    544
#define ENTRY_MXCSR  548
#define ENTRY_TSC    552
#define ENTRY_BYTES  560

/* struct probe, by offset. */
#define PROBE_RSP 0

/* What the trampoline leaves at the end of FH_AP_PAGE for C to look at, and what it needs from C. */
#define AP_CR3       0xFE0 /* in: the page tables to use */
#define AP_CR0       0xFE8 /* out: CR0, */
#define AP_FLAGS     0xFEC /* out: EFLAGS, */
#define AP_CS        0xFF0 /* out: CS */
#define AP_EDX       0xFF4 /* and EDX at the first instruction in real mode, */
#define AP_APIC_BASE 0xFF8 /* and the low half of IA32_APIC_BASE before anything changed it */

#endif
