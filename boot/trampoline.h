/*
 * The code in boot/trampoline.S, to be copied into a frame below 1 MiB, and the parameters in it.
 */
#ifndef FREEHOLD_BOOT_TRAMPOLINE_H
#define FREEHOLD_BOOT_TRAMPOLINE_H

#include "alloc/base.h"

/* Bytes to copy; an application processor starts at the first one. */
extern const uint8_t trampoline_start[], trampoline_end[];
/* Where the boot processor enters, in 64-bit mode, with the frame's address in RDI. */
extern const uint8_t trampoline_boot_door[];
/* Where 32-bit and 64-bit code begin, for the far jumps. */
extern const uint8_t trampoline_code32[], trampoline_code64[];
extern const uint8_t trampoline_gdt[];
/* Where struct trampoline_parameters lies. */
extern const uint8_t trampoline_parameters[];

struct __attribute__((packed)) trampoline_parameters {
    uint64_t entry;   /* of the hypervisor, virtual */
    uint64_t handoff; /* its address in the direct map */
    uint32_t root;    /* CR3: below 4 GiB */
    struct __attribute__((packed)) {
        uint32_t offset;
        uint16_t selector;
    } code32, code64; /* far pointers */
    struct __attribute__((packed)) {
        uint16_t limit;
        uint32_t base;
    } gdt;
};

/* Selectors in trampoline_gdt. */
#define TRAMPOLINE_CODE32 0x08
#define TRAMPOLINE_DATA   0x10
#define TRAMPOLINE_CODE64 0x18

#endif
