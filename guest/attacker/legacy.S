/*
 * Attacks that leave 64-bit mode: what only 32-bit and real mode can do. Everything here runs below 4 GiB, one to
 * one, and never comes back.
 */
#define CR0_PE 0x1
#define CR0_AM 0x40000
#define CR0_PG 0x80000000
#define MSR_EFER 0xC0000080
#define EFER_LME 0x100
#define EFLAGS_AC 0x40000
#define CODE32 0x08
#define DATA32 0x10
#define USER_CODE32 0x1B
#define USER_DATA32 0x23
#define CODE16 0x28
#define TSS_OTHER 0x30
#define TSS_OWN 0x38
#define REAL_PAGE 0xB000 /* FH_AP_PAGE */

/* void legacy_enter(uint32_t entry): to 32-bit protected mode without paging, and on at `entry`. */
        .text
        .code64
        .globl legacy_enter
legacy_enter:
        cli
        lgdt    legacy_gdt_register(%rip)
        push    $CODE32
        lea     1f(%rip), %rax
        push    %rax
        lretq
        .code32
1:      movl    %cr0, %eax
        andl    $~CR0_PG, %eax
        movl    %eax, %cr0
        movl    $MSR_EFER, %ecx
        rdmsr
        andl    $~EFER_LME, %eax
        wrmsr
        movl    $DATA32, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $legacy_stack_end, %esp
        jmp     *%edi

/*
 * #AC whose delivery raises #AC: at CPL 3, with alignment checks on and a handler at CPL 3 too, so that no stack is
 * switched, and ESP odd. Without a hypervisor's help some processors never leave the loop (CVE-2015-5307).
 */
        .globl legacy_alignment_loop
legacy_alignment_loop:
        movl    $1f, %eax
        movw    %ax, legacy_idt + 17 * 8
        movw    $USER_CODE32, legacy_idt + 17 * 8 + 2
        movw    $0xEE00, legacy_idt + 17 * 8 + 4
        shrl    $16, %eax
        movw    %ax, legacy_idt + 17 * 8 + 6
        lidt    legacy_idt_register
        movl    %cr0, %eax
        orl     $CR0_AM, %eax
        movl    %eax, %cr0
        pushl   $USER_DATA32
        pushl   $(legacy_stack_end - 1025) /* odd */
        pushl   $(EFLAGS_AC | 2)
        pushl   $USER_CODE32
        pushl   $2f
        iretl
2:      movl    $USER_DATA32, %eax
        movl    %eax, %ds
        movl    legacy_stack + 1, %eax /* misaligned */
1:      jmp     1b

/* A far jump to another task: hardware task switches always leave the guest. */
        .globl legacy_task_switch
legacy_task_switch:
        movl    $legacy_tss_own, %eax
        movl    $(legacy_gdt + TSS_OWN), %edx
        call    point_descriptor
        movl    $legacy_tss_other, %eax
        movl    $(legacy_gdt + TSS_OTHER), %edx
        call    point_descriptor
        movw    $TSS_OWN, %ax
        ltr     %ax
        ljmpl   $TSS_OTHER, $0
1:      jmp     1b

/* Writes base EAX into the descriptor at EDX. */
point_descriptor:
        movw    %ax, 2(%edx)
        shrl    $16, %eax
        movb    %al, 4(%edx)
        movb    %ah, 7(%edx)
        ret

/* Down to real mode, on the page at REAL_PAGE. */
        .globl legacy_real_mode
legacy_real_mode:
        movl    $real_start, %esi
        movl    $REAL_PAGE, %edi
        movl    $(real_end - real_start), %ecx
        rep movsb
        ljmpl   $CODE16, $REAL_PAGE

        .code16
real_start:
        movl    %cr0, %eax
        andl    $~CR0_PE, %eax
        movl    %eax, %cr0
        ljmp    $(REAL_PAGE >> 4), $(1f - real_start)
1:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $REAL_PAGE, %sp
        /* Exits of many kinds, in a mode where operands and addresses are 16 bits. */
        movl    $0x40000000, %eax
        cpuid
        movl    $0x802, %ecx
        rdmsr
        movw    $0x180, %dx
        inb     %dx, %al
        inw     %dx, %ax
        inl     %dx, %eax
        outb    %al, %dx
        movw    $real_text - real_start, %si
        movw    $(REAL_PAGE >> 4), %ax
        movw    %ax, %ds
        movw    $0x3F8, %dx
        movw    $(real_text_end - real_text), %cx
        cld
        rep outsb
        xorl    %eax, %eax
        vmcall
        movl    %cr0, %eax
        movl    %eax, %cr0
        wbinvd
        pushfl
        popfl
        cli
2:      hlt
        jmp     2b
real_text:
        .ascii  "attacker real-mode: in real mode now, and halting\n"
real_text_end:
real_end:

        .section .data
        .balign 8
legacy_gdt:
        .quad   0
        .quad   0x00CF9B000000FFFF /* CODE32 */
        .quad   0x00CF93000000FFFF /* DATA32 */
        .quad   0x00CFFB000000FFFF /* USER_CODE32 */
        .quad   0x00CFF3000000FFFF /* USER_DATA32 */
        .quad   0x008F9B000000FFFF /* CODE16, 4 GiB long so that its offset may be a 32-bit one */
        .quad   0x0000890000000067 /* TSS_OTHER, base to come */
        .quad   0x0000890000000067 /* TSS_OWN, base to come */
legacy_gdt_register:
        .word   . - legacy_gdt - 1
        .quad   legacy_gdt
legacy_idt_register:
        .word   32 * 8 - 1
        .long   legacy_idt

        .section .bss
        .balign 16
legacy_idt:
        .skip   32 * 8
legacy_tss_own:
        .skip   104
legacy_tss_other:
        .skip   104
        .balign 16
legacy_stack:
        .skip   4096
legacy_stack_end:

        .section .note.GNU-stack, "", @progbits
