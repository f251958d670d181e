/*
 * Interrupt handlers for the measurements, without the library's dispatch: what is measured shall be the
 * hypervisor's work, not ours. Must save what they use, and nothing more.
 */
#define MSR_X2APIC_EOI 0x80B
#define MSR_X2APIC_ICR 0x830

/* Notes the time of its first instruction in bench_woken_tsc. */
        .text
        .globl bench_note_time
bench_note_time:
        push    %rax
        push    %rdx
        push    %rcx
        rdtsc
        mov     %eax, bench_woken_tsc(%rip)
        mov     %edx, bench_woken_tsc + 4(%rip)
        xor     %eax, %eax
        xor     %edx, %edx
        mov     $MSR_X2APIC_EOI, %ecx
        wrmsr
        pop     %rcx
        pop     %rdx
        pop     %rax
        iretq

/* Sends bench_echo_command (an interrupt command register's value) back. */
        .globl bench_echo
bench_echo:
        push    %rax
        push    %rdx
        push    %rcx
        mov     bench_echo_command(%rip), %eax
        mov     bench_echo_command + 4(%rip), %edx
        mov     $MSR_X2APIC_ICR, %ecx
        wrmsr
        xor     %eax, %eax
        xor     %edx, %edx
        mov     $MSR_X2APIC_EOI, %ecx
        wrmsr
        pop     %rcx
        pop     %rdx
        pop     %rax
        iretq

        .section .bss
        .balign 8
        .globl bench_woken_tsc, bench_echo_command
bench_woken_tsc:
        .skip   8
bench_echo_command:
        .skip   8

        .section .note.GNU-stack, "", @progbits
