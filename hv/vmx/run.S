/*
 * Into the guest and out of it. struct vcpu begins with its sixteen general registers and host_rsp; HOST_RSP in the VMCS points
 * right behind the registers, so that an exit saves them by pushing. Only NMI, #DF and #MC could interrupt
 * meanwhile, and they have stacks of their own.
 */
#include "hv/registers.inc"

        .set    VCPU_HOST_RSP, 128
        .set    VCPU_LAUNCHED, 136

        .text
/*
 * bool vmx_enter(struct vcpu *vcpu): runs the guest until the exit handler says to leave; true. False: the processor refused
 * VMLAUNCH or VMRESUME itself (VMfail), and VMCS_INSTRUCTION_ERROR says why.
 */
        .globl  vmx_enter
vmx_enter:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rdi                    /* for the way back in; and calls find the stack aligned */
        movq    %rsp, VCPU_HOST_RSP(%rdi)
        movq    %rdi, %rsp
        cmpb    $0, VCPU_LAUNCHED(%rdi)
        jne     vmx_resume
        movb    $1, VCPU_LAUNCHED(%rdi)
        POP_REGISTERS
        vmlaunch
        jmp     vmx_refused

/* HOST_RIP. Every exit comes here. */
        .balign 64
        .globl  vmx_exit_entry
vmx_exit_entry:
        PUSH_REGISTERS
        movq    %rsp, %rdi
        movq    VCPU_HOST_RSP(%rsp), %rsp
        call    vmx_exit
        testb   %al, %al
        jz      vmx_leave
        movq    (%rsp), %rsp
vmx_resume:
        POP_REGISTERS
        vmresume

/* VMfail: the registers still hold the guest's values, and so does the structure. */
vmx_refused:
        movq    (%rsp), %rsp            /* host_rsp lies right behind the registers */
        xorl    %eax, %eax
        jmp     1f
vmx_leave:
        movl    $1, %eax
1:      addq    $8, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

        .section .note.GNU-stack, "", @progbits
