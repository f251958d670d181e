/*
 * The first instructions of the EFI application. The firmware calls _start by Microsoft's convention (RCX: image
 * handle, RDX: system table; RDI and RSI must survive, unlike in the System V convention that C uses here).
 * Source: UEFI Specification 2.10, "x64 Platforms", detailed calling conventions.
 */
        .text
        .globl  _start
_start:
        pushq   %rdi
        pushq   %rsi
        subq    $24, %rsp               /* room for the two arguments; the stack is now a multiple of 16 */
        movq    %rcx, 0(%rsp)
        movq    %rdx, 8(%rsp)
        leaq    ImageBase(%rip), %rdi
        leaq    _DYNAMIC(%rip), %rsi
        call    boot_relocate
        movq    0(%rsp), %rdi
        movq    8(%rsp), %rsi
        call    efi_main
        addq    $24, %rsp
        popq    %rsi
        popq    %rdi
        ret

/* A PE loader refuses an image without base relocations: one block that relocates nothing. boot_relocate does it. */
        .section .reloc, "a", @progbits
        .long   0, 12, 0

        .section .note.GNU-stack, "", @progbits
