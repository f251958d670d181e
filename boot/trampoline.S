/*
 * The door into the hypervisor: one frame below 1 MiB, mapped one to one and read-only in its page tables, through which
 * every core comes. An application processor arrives in real mode after SIPI; the boot processor arrives from the
 * firmware in 64-bit mode and turns paging off first, because page tables of another depth (CR4.LA57), PCIDs or shadow
 * stacks of the firmware's cannot be left otherwise. From there on both take the same way.
 *
 * No stack, no write: the frame is all that can be relied on. EBX holds its address, ESI is 1 on an application
 * processor. Source: Intel SDM volume 3, order number 325384, "Initializing IA-32e Mode" and "Multiple-Processor (MP)
 * Initialization".
 */
#define CODE32 0x08
#define DATA   0x10
#define CODE64 0x18

#define MSR_EFER    0xC0000080
#define EFER_LME    0x100
#define EFER_NXE    0x800
#define CR4_PAE     0x20
#define CR4_PCIDE   (1 << 17)
#define CR4_CET     (1 << 23)
#define CR0_PG_BIT  31
#define CR0_PE      0x1
/* PG, WP, NE, ET, MP, PE: caches on, writes to read-only pages fault in the hypervisor too. */
#define CR0_PAGED   0x80010033

#define AT(label) (label - trampoline_start)

        .section .rodata.trampoline, "a", @progbits
        .balign 16
        .globl trampoline_start, trampoline_end, trampoline_boot_door, trampoline_code32, trampoline_code64
        .globl trampoline_gdt, trampoline_parameters

        .code16
trampoline_start:
        cli
        cld
        movw    %cs, %bx
        movw    %bx, %ds
        movzwl  %bx, %ebx
        shll    $4, %ebx
        movl    $1, %esi
        lgdtl   AT(gdt_pointer)
        movl    %cr0, %eax
        orl     $CR0_PE, %eax
        movl    %eax, %cr0
        ljmpl   *AT(code32_pointer)

        .code64
trampoline_boot_door:
        cli
        cld
        movl    %edi, %ebx
        xorl    %esi, %esi
        movq    %cr4, %rax
        andq    $~(CR4_PCIDE | CR4_CET), %rax   /* neither survives what follows */
        movq    %rax, %cr4
        lgdt    gdt_pointer(%rip)
        ljmpl   *code32_pointer(%rip)

        .code32
trampoline_code32:
        movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    %cr0, %eax                      /* on the boot processor this leaves 64-bit mode */
        btrl    $CR0_PG_BIT, %eax
        movl    %eax, %cr0
        movl    $CR4_PAE, %eax
        movl    %eax, %cr4
        movl    AT(parameter_root)(%ebx), %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $(EFER_LME | EFER_NXE), %eax
        wrmsr
        movl    $CR0_PAGED, %eax
        movl    %eax, %cr0
        ljmpl   *AT(code64_pointer)(%ebx)

        .code64
trampoline_code64:
        movl    %esi, %esi                      /* upper halves are undefined after 32-bit code */
        movq    parameter_handoff(%rip), %rdi
        movq    parameter_entry(%rip), %rax
        jmp     *%rax

        .balign 8
trampoline_gdt:
        /* Accessed bits are set: the processor need not write here. */
        .quad   0
        .quad   0x00CF9B000000FFFF              /* CODE32 */
        .quad   0x00CF93000000FFFF              /* DATA */
        .quad   0x00AF9B000000FFFF              /* CODE64 */
gdt_end:

/* struct trampoline_parameters */
        .balign 8
trampoline_parameters:
parameter_entry:
        .quad   0
parameter_handoff:
        .quad   0
parameter_root:
        .long   0
code32_pointer:
        .long   0
        .word   0
code64_pointer:
        .long   0
        .word   0
gdt_pointer:
        .word   0
        .long   0
        .long   0                               /* LGDT in 64-bit mode reads a base of 64 bits */
trampoline_end:

        .section .note.GNU-stack, "", @progbits
