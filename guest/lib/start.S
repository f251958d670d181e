/*
 * The first instructions of every vCPU: vCPU 0 at _start, the others at the trampoline that smp.c copies to
 * FH_AP_PAGE. Saves what the hypervisor handed over before anything can change it. Must never touch a register
 * before its value is saved.
 */
#include "guest/lib/layout.h"

#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_EM_TS 0xC
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define CR4_SSE 0x600 /* OSFXSR and OSXMMEXCPT */
#define MSR_EFER 0xC0000080
#define MSR_X2APIC_ID 0x802
#define MSR_APIC_BASE 0x1B
#define APIC_BASE_EXTD 0x400
#define APIC_BASE_EN 0x800
#define EFER_LME 0x100
#define AP_PAGE 0xB000 /* FH_AP_PAGE: abi.h is C; smp.c checks that they agree */

        .section .text.start, "ax"
        .code64
        .globl _start
_start:
        mov     %rax, entry_state + ENTRY_GPR + 0(%rip)
        mov     %rcx, entry_state + ENTRY_GPR + 8(%rip)
        mov     %rdx, entry_state + ENTRY_GPR + 16(%rip)
        mov     %rbx, entry_state + ENTRY_GPR + 24(%rip)
        mov     %rsp, entry_state + ENTRY_GPR + 32(%rip)
        mov     %rbp, entry_state + ENTRY_GPR + 40(%rip)
        mov     %rsi, entry_state + ENTRY_GPR + 48(%rip)
        mov     %rdi, entry_state + ENTRY_GPR + 56(%rip)
        mov     %r8, entry_state + ENTRY_GPR + 64(%rip)
        mov     %r9, entry_state + ENTRY_GPR + 72(%rip)
        mov     %r10, entry_state + ENTRY_GPR + 80(%rip)
        mov     %r11, entry_state + ENTRY_GPR + 88(%rip)
        mov     %r12, entry_state + ENTRY_GPR + 96(%rip)
        mov     %r13, entry_state + ENTRY_GPR + 104(%rip)
        mov     %r14, entry_state + ENTRY_GPR + 112(%rip)
        mov     %r15, entry_state + ENTRY_GPR + 120(%rip)
        lea     stacks + STACK_BYTES(%rip), %rsp
        pushfq
        popq    entry_state + ENTRY_RFLAGS(%rip)
        rdtsc
        mov     %eax, entry_state + ENTRY_TSC(%rip)
        mov     %edx, entry_state + ENTRY_TSC + 4(%rip)

        mov     %cr0, %rax
        mov     %rax, entry_state + ENTRY_CR0(%rip)
        mov     %cr2, %rax
        mov     %rax, entry_state + ENTRY_CR2(%rip)
        mov     %cr3, %rax
        mov     %rax, entry_state + ENTRY_CR3(%rip)
        mov     %cr4, %rax
        mov     %rax, entry_state + ENTRY_CR4(%rip)
        mov     %cr8, %rax
        mov     %rax, entry_state + ENTRY_CR8(%rip)
        mov     $MSR_EFER, %ecx
        rdmsr
        mov     %eax, entry_state + ENTRY_EFER(%rip)
        mov     %edx, entry_state + ENTRY_EFER + 4(%rip)
        mov     %dr0, %rax
        mov     %rax, entry_state + ENTRY_DR(%rip)
        mov     %dr1, %rax
        mov     %rax, entry_state + ENTRY_DR + 8(%rip)
        mov     %dr2, %rax
        mov     %rax, entry_state + ENTRY_DR + 16(%rip)
        mov     %dr3, %rax
        mov     %rax, entry_state + ENTRY_DR + 24(%rip)
        mov     %dr6, %rax
        mov     %rax, entry_state + ENTRY_DR + 32(%rip)
        mov     %dr7, %rax
        mov     %rax, entry_state + ENTRY_DR + 40(%rip)
        sgdt    entry_state + ENTRY_GDTR(%rip)
        sidt    entry_state + ENTRY_IDTR(%rip)
        mov     %cs, entry_state + ENTRY_SELECT + 0(%rip)
        mov     %ss, entry_state + ENTRY_SELECT + 2(%rip)
        mov     %ds, entry_state + ENTRY_SELECT + 4(%rip)
        mov     %es, entry_state + ENTRY_SELECT + 6(%rip)
        mov     %fs, entry_state + ENTRY_SELECT + 8(%rip)
        mov     %gs, entry_state + ENTRY_SELECT + 10(%rip)
        str     entry_state + ENTRY_SELECT + 12(%rip)
        sldt    entry_state + ENTRY_SELECT + 14(%rip)

        /* SSE and x87 for the inline assembly that wants them; the C code uses neither. */
        mov     %cr0, %rax
        and     $~CR0_EM_TS, %rax
        or      $CR0_MP, %rax
        mov     %rax, %cr0
        mov     %cr4, %rax
        or      $CR4_SSE, %rax
        mov     %rax, %cr4
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movups  %xmm\n, entry_state + ENTRY_XMM + 16 * \n(%rip)
        .endr
        fnstcw  entry_state + ENTRY_FCW(%rip)
        stmxcsr entry_state + ENTRY_MXCSR(%rip)

        xor     %edi, %edi
        jmp     vcpu_enter

/* EDI: index of this vCPU. Takes the library's GDT and its own stack, and goes to C for good. */
vcpu_enter:
        lgdt    gdt_register(%rip)
        mov     $SELECTOR_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        lea     1(%rdi), %eax
        imul    $STACK_BYTES, %rax
        lea     stacks(%rip), %rsp
        add     %rax, %rsp
        xor     %ebp, %ebp
        push    $SELECTOR_CODE
        lea     1f(%rip), %rax
        push    %rax
        lretq
1:      call    vcpu_main
        ud2     /* vcpu_main never returns */

/*
 * The trampoline: position-dependent, runs at AP_PAGE. Real mode, then protected mode without paging, then
 * long mode on the page tables vCPU 0 left at AP_CR3.
 */
#define AT(symbol) (AP_PAGE + (symbol) - ap_trampoline)
        .section .text.trampoline, "ax"
        .code16
        .globl ap_trampoline, ap_trampoline_end
ap_trampoline:
        /* CS is AP_PAGE >> 4, IP 0. EDX, EFLAGS and CR0 are as INIT left them. */
        cli
        movl    %edx, %cs:AP_EDX
        movw    $(AP_PAGE >> 4), %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $AP_CR3, %sp
        pushfl
        popl    AP_FLAGS
        movw    %cs, AP_CS
        movl    %cr0, %eax
        movl    %eax, AP_CR0
        lgdtl   (ap_gdt_register - ap_trampoline)
        /* ET and NE on, caches on: CD and NW are set after INIT. */
        movl    $(CR0_PE | CR0_MP | CR0_NE), %eax
        movl    %eax, %cr0
        ljmpl   $0x08, $AT(ap_protected)

        .code32
ap_protected:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %ss
        movl    $(CR4_PAE | CR4_SSE), %eax
        movl    %eax, %cr4
        movl    AP_PAGE + AP_CR3, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_LME, %eax
        wrmsr
        movl    $(CR0_PG | CR0_WP | CR0_PE | CR0_MP | CR0_NE), %eax
        movl    %eax, %cr0
        ljmpl   $0x18, $AT(ap_long)

        .code64
ap_long:
        /* Freehold's vCPUs are in x2APIC mode; a bare machine, where a native benchmark runs, may not be. */
        mov     $MSR_APIC_BASE, %ecx
        rdmsr
        mov     %eax, AP_PAGE + AP_APIC_BASE
        test    $APIC_BASE_EXTD, %eax
        jnz     1f
        or      $(APIC_BASE_EN | APIC_BASE_EXTD), %eax
        wrmsr
1:      mov     $MSR_X2APIC_ID, %ecx
        rdmsr
        mov     %eax, %edi
        mov     $vcpu_enter, %rax
        jmp     *%rax

        .balign 8
ap_gdt:
        .quad   0
        .quad   0x00CF9B000000FFFF /* 0x08: 32-bit code */
        .quad   0x00CF93000000FFFF /* 0x10: data */
        .quad   0x00AF9B000000FFFF /* 0x18: 64-bit code */
ap_gdt_register:
        .word   . - ap_gdt - 1
        .long   AT(ap_gdt)
ap_trampoline_end:

/* void probe_enter(struct probe *, void (*function)(void *), void *argument); see trap.h. */
        .section .text.probe, "ax"
        .globl probe_enter, probe_resume
probe_enter:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        pushfq
        mov     %rsp, PROBE_RSP(%rdi)
        mov     %rsi, %rax
        mov     %rdx, %rdi
        call    *%rax
/* Where an exception inside `function` comes back to, with RSP as saved. */
probe_resume:
        cld
        popfq
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

/* Does not return: iretq to CPL 3. void user_enter(uint64_t rip, uint64_t rsp, uint64_t rflags) */
        .globl user_enter
user_enter:
        mov     $SELECTOR_USER_DATA, %eax
        push    %rax
        push    %rsi
        push    %rdx
        mov     $SELECTOR_USER_CODE, %eax
        push    %rax
        push    %rdi
        iretq

/*
 * One stub per vector, 8 bytes apart: the vector less 128, which fits one byte, then the common path, which adds
 * an error code of 0 where the processor gives none.
 */
        .section .text.traps, "ax"
        .balign 16
        .globl trap_stubs
trap_stubs:
        .set    vector, 0
        .rept   256
        .balign 8
        push    $(vector - 128)
        .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21)
        jmp     trap_common
        .else
        jmp     trap_without_error
        .endif
        .set    vector, vector + 1
        .endr

trap_without_error:
        pushq   (%rsp)
        movq    $0, 8(%rsp)
trap_common:
        addq    $128, (%rsp)
        push    %rax
        push    %rcx
        push    %rdx
        push    %rbx
        push    %rbp
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        cld
        mov     %rsp, %rdi
        mov     %rsp, %rbx
        and     $~15, %rsp
        call    trap_dispatch
        mov     %rbx, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rbp
        pop     %rbx
        pop     %rdx
        pop     %rcx
        pop     %rax
        add     $16, %rsp /* vector and error code */
        iretq

/* Not .data: the loader makes these pages zero, and selftest looks whether it did. */
        .section .bss
        .balign 16
        .globl entry_state, stacks
entry_state:
        .skip   ENTRY_BYTES
        .balign 16
stacks:
        .skip   GUEST_MAX_VCPUS * STACK_BYTES

        .section .note.GNU-stack, "", @progbits
