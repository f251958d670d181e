/*
 * What a guest and the hypervisor agree on: how a vCPU starts, the hypercalls, the fixed devices. Shared by
 * guest/ and hv/; documented in docs/guests.md. Nothing but constants and plain data.
 */
#ifndef FREEHOLD_GUEST_ABI_H
#define FREEHOLD_GUEST_ABI_H

#include <stdint.h>

/*
 * Guest-physical layout. RAM is [0, min(size, 3 GiB)) and, what is left, from 4 GiB up. Between lies the
 * device hole: absent hardware, reads as all ones. Outside RAM and hole there is nothing: touching it ends
 * the partition.
 */
#define FH_HOLE_START UINT64_C(0xC0000000)
#define FH_HOLE_END   UINT64_C(0x100000000)

/*
 * vCPU 0 starts at the image's entry in 64-bit mode: CPL 0, interrupts off, RDI = FH_BOOT_INFO, RSP =
 * FH_STACK_TOP, all other general registers 0. RAM below 4 GiB, and above it where 1 GiB pages exist, is
 * mapped one to one, writable and executable. Local APIC enabled in x2APIC mode. The other vCPUs wait for
 * INIT and SIPI.
 */
#define FH_PAGE_TABLES UINT64_C(0x1000) /* to 0x6fff: PML4, PDPT, four page directories */
#define FH_BOOT_INFO   UINT64_C(0x7000)
#define FH_GDT         UINT64_C(0x8000)  /* null, 0x08 64-bit code, 0x10 data, 0x18 TSS (16 bytes) */
#define FH_STACK_TOP   UINT64_C(0xA000)  /* stack from 0x9000 */
#define FH_AP_PAGE     UINT64_C(0xB000)  /* free for the guest: here its trampoline for other vCPUs */
#define FH_LOW_END     UINT64_C(0x10000) /* images load at or above this */

#define FH_SELECTOR_CODE 0x08
#define FH_SELECTOR_DATA 0x10
#define FH_SELECTOR_TSS  0x18

#define FH_BOOT_MAGIC   UINT64_C(0x747365756768660a)
#define FH_BOOT_VERSION 1u

struct fh_boot_info {
    uint64_t magic;
    uint32_t version;
    uint32_t vcpus;
    uint64_t memory_bytes; /* all of it */
    uint64_t low_bytes;    /* RAM from 0 */
    uint64_t high_bytes;   /* RAM from 4 GiB */
    uint64_t tsc_hz;
    uint32_t incarnation; /* 0 at first, counts restarts */
    uint32_t reserved;
    char name[32];     /* the partition's */
    char cmdline[256]; /* NUL-terminated */
};

/*
 * Hypercalls: VMCALL at CPL 0, RAX = number, RDI, RSI, RDX = arguments; RAX = result, all else unchanged.
 * Negative: an error. At CPL 3 VMCALL raises #UD. Addresses are guest-physical, buffers at most FH_BUFFER_MAX
 * bytes, in RAM.
 */
enum fh_call {
    FH_CALL_NOP = 0,           /* 0 */
    FH_CALL_CONSOLE_WRITE = 1, /* RDI buffer, RSI bytes: bytes taken, possibly fewer (then try again) */
    FH_CALL_PROGRESS = 2,      /* RDI counter of the caller's own, shown in events and report: 0 */
    FH_CALL_VERDICT = 3,       /* RDI 1 pass or 0 fail, RSI text buffer, RDX bytes: 0, or FH_E_AGAIN */
    FH_CALL_EXIT = 4,          /* RDI exit code 0 to 255: does not return */
    FH_CALL_AUDIT = 5,  /* the hypervisor checks its own tables and every EPT: number of violations found */
    FH_CALL_METRIC = 6, /* RDI name buffer, RSI name bytes, RDX value: 0, or FH_E_AGAIN */
    FH_CALL_BREAK_ENTRY =
        7, /* makes the caller's own next VM entry fail: does not return (tests containment) */
};
#define FH_BUFFER_MAX 512

#define FH_E_CALL     (-1) /* no such hypercall */
#define FH_E_ARGUMENT (-2) /* bad length, bad value, or not in the partition's RAM */
#define FH_E_AGAIN    (-3) /* no room in the queue to the console right now */

/* CPUID: the hypervisor's leaves. */
#define FH_CPUID_BASE      0x40000000u /* EAX highest leaf, EBX ECX EDX "FreeholdHv  " */
#define FH_CPUID_SIGNATURE "FreeholdHv  "
#define FH_CPUID_TSC_KHZ   0x40000010u /* EAX frequency of the TSC in kHz; other registers 0 */

/* Ports. */
#define FH_PORT_UART 0x3F8 /* 16550, polled */
#define FH_PORT_EXIT 0xF4  /* a byte written is the exit code */

/* x2APIC: vCPU i has APIC id i. */
#define FH_MSR_X2APIC_ID  0x802u
#define FH_MSR_X2APIC_ICR 0x830u

#endif
