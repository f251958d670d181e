/*
 * What a guest may do with MSRs, control registers and XCR0. One table says it for every MSR; what is not in
 * it raises #GP, so that no value of the host is ever seen. Pure.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, order number 325384-083US,
 * March 2024: "MSR-Bitmap Address"; "Control Registers"; "Extended Control Registers"; volume 2, order number
 * 325383-083US: instructions "MOV - Move to/from Control Registers" and "XSETBV"; volume 4, order number
 * 335592-083US: "Architectural MSRs".
 */
#ifndef FREEHOLD_HV_MSR_POLICY_H
#define FREEHOLD_HV_MSR_POLICY_H

#include "alloc/base.h"
#include "hv/x86.h"

#define MSR_BITMAP_BYTES 4096

enum msr_read {
    MSR_READ_FAULT,   /* #GP(0) */
    MSR_READ_PASS,    /* no exit: the register is the guest's own while it runs */
    MSR_READ_VALUE,   /* a constant */
    MSR_READ_EMULATE, /* the vCPU's APIC answers */
};

enum msr_write {
    MSR_WRITE_FAULT,
    MSR_WRITE_PASS,
    MSR_WRITE_IGNORE,  /* any value is taken, none has an effect */
    MSR_WRITE_SAME,    /* only what a read gives back is taken */
    MSR_WRITE_EMULATE, /* the vCPU's APIC takes it */
};

struct msr_rule {
    uint32_t first, last; /* MSRs, both included */
    enum msr_read read;
    enum msr_write write;
    uint64_t value; /* MSR_READ_VALUE, MSR_WRITE_SAME */
};

/* The rule for one MSR; NULL where both accesses raise #GP. Any number. */
const struct msr_rule *msr_policy_find(uint32_t msr);

/* Fills a partition's MSR bitmap, MSR_BITMAP_BYTES of it: everything exits but what the table passes. */
void msr_policy_fill_bitmap(uint8_t *bitmap);

/*
 * An access that exited, of an MSR that is not the APIC's. False: #GP(0). Values are what EDX:EAX hold, that
 * is, hostile.
 */
MUST_USE bool msr_policy_read(uint32_t msr, uint64_t *value);
MUST_USE bool msr_policy_write(uint32_t msr, uint64_t value);

/* Whether XSETBV may load `value` into XCR0 when the vCPU is allowed the bits `allowed`. */
MUST_USE bool xcr0_valid(uint64_t value, uint64_t allowed);

/* What a write to CR0 or CR4 depends on; CR0 and CR4 as the guest sees them. */
struct cr_context {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    bool cs_long; /* CS.L: the code segment is a 64-bit one */
};

/*
 * Whether MOV to CR0 or CR4 with `value` (all 64 bits of it) succeeds; otherwise #GP(0). Of CR0 the caller
 * keeps only CR0_DEFINED, and sets CR0_ET, as the processor does. Loading PDPTEs is not looked at.
 */
MUST_USE bool cr0_write_check(uint64_t value, const struct cr_context *context);
MUST_USE bool cr4_write_check(uint64_t value, uint64_t allowed, const struct cr_context *context);

/* IA32_EFER after CR0 was written: LMA follows CR0.PG while LME is set. */
uint64_t efer_after_cr0(uint64_t efer, uint64_t cr0);

#endif
