/*
 * Where the hypervisor's own code begins on every core, and the doors through which exceptions and interrupts come in.
 * Nothing here knows of VMX.
 */
#include "hv/registers.inc"

        .section .text.entry, "ax"
        .globl hv_entry

/*
 * RDI: struct handoff in the direct map. ESI: 0 on the boot core, 1 on an application core. Paging is on with the
 * hypervisor's tables, interrupts are off, there is no stack yet.
 */
hv_entry:
        cld
        xorl    %ebp, %ebp
        testl   %esi, %esi
        jnz     1f
        leaq    boot_stack_end(%rip), %rsp
        call    hv_main
        ud2
1:      movq    starting_stack(%rip), %rsp      /* set by smp.c for the one core that is starting */
        call    core_start
        ud2

        .bss
        .balign 4096
        .globl boot_stack, boot_stack_end
boot_stack:
        .skip   8192
boot_stack_end:

        .text
/* void call_on_stack(void *stack_top, void (*function)(void)): does not return. */
        .globl call_on_stack
call_on_stack:
        movq    %rdi, %rsp
        xorl    %ebp, %ebp
        call    *%rsi
        ud2

/*
 * Vectors. Each stub leaves {vector, error code} on the stack; trap_common completes struct trap_frame (hv/traps.h) and
 * calls trap_dispatch. The hypervisor never changes GS, so no swapgs is needed.
 */
        .macro  STUB vector, has_error
        .balign 16
        .if     \has_error == 0
        pushq   $0
        .endif
        pushq   $\vector
        jmp     trap_common
        .endm

        .balign 16
        .globl trap_stubs
trap_stubs:
        .set    vec, 0
        .rept   256
        .if     vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21 || vec == 29 || vec == 30
        STUB    vec, 1
        .else
        STUB    vec, 0
        .endif
        .set    vec, vec + 1
        .endr

trap_common:
        PUSH_REGISTERS
        cld
        movq    %rsp, %rdi
        movq    %rsp, %rbp
        andq    $-16, %rsp
        call    trap_dispatch
        movq    %rbp, %rsp
        POP_REGISTERS
        addq    $16, %rsp
        iretq

        .section .note.GNU-stack, "", @progbits
