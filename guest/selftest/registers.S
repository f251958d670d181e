/*
 * void vmcall_with(uint64_t registers[15]): RAX RCX RDX RBX RBP RSI RDI R8 to R15 from the array, VMCALL, and
 * back into the array. Must never use the stack between: RSP is the one register it keeps for itself.
 */
        .text
        .globl vmcall_with
vmcall_with:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rdi
        mov     %rdi, %rax
        mov     8(%rax), %rcx
        mov     16(%rax), %rdx
        mov     24(%rax), %rbx
        mov     32(%rax), %rbp
        mov     40(%rax), %rsi
        mov     48(%rax), %rdi
        mov     56(%rax), %r8
        mov     64(%rax), %r9
        mov     72(%rax), %r10
        mov     80(%rax), %r11
        mov     88(%rax), %r12
        mov     96(%rax), %r13
        mov     104(%rax), %r14
        mov     112(%rax), %r15
        mov     0(%rax), %rax
        vmcall
        xchg    %rax, (%rsp) /* the result onto the stack, the array into RAX */
        mov     %rcx, 8(%rax)
        mov     %rdx, 16(%rax)
        mov     %rbx, 24(%rax)
        mov     %rbp, 32(%rax)
        mov     %rsi, 40(%rax)
        mov     %rdi, 48(%rax)
        mov     %r8, 56(%rax)
        mov     %r9, 64(%rax)
        mov     %r10, 72(%rax)
        mov     %r11, 80(%rax)
        mov     %r12, 88(%rax)
        mov     %r13, 96(%rax)
        mov     %r14, 104(%rax)
        mov     %r15, 112(%rax)
        pop     0(%rax)
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

        .section .note.GNU-stack, "", @progbits
