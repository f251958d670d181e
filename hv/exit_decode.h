/*
 * What the VMCS says about a VM exit, as plain structs: qualifications and event information, decoded once.
 * Pure; any bits whatever decode into values within the ranges stated here.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, order number 325384-083US,
 * March 2024: chapter "VM Exits", tables "Exit Qualification for ...".
 */
#ifndef FREEHOLD_HV_EXIT_DECODE_H
#define FREEHOLD_HV_EXIT_DECODE_H

#include "alloc/base.h"
#include "hv/report.h"
#include "hv/vmcs.h"

/* "Exit Qualification for I/O Instructions". */
struct exit_io {
    uint16_t port;
    uint8_t bytes; /* 1, 2 or 4 */
    bool in;       /* otherwise out */
    bool string;   /* INS, OUTS */
    bool rep;
    bool immediate; /* the port is in the instruction; otherwise in DX */
};

static inline struct exit_io exit_decode_io(uint64_t qualification)
{
    uint32_t size = qualification & 7;
    return (struct exit_io){
        .port = (uint16_t)(qualification >> 16),
        .bytes = size == 0   ? 1
                 : size == 1 ? 2
                             : 4,
        .in = qualification >> 3 & 1,
        .string = qualification >> 4 & 1,
        .rep = qualification >> 5 & 1,
        .immediate = qualification >> 6 & 1,
    };
}

/* "Exit Qualification for Control-Register Accesses". */
enum cr_access_type { CR_ACCESS_MOV_TO, CR_ACCESS_MOV_FROM, CR_ACCESS_CLTS, CR_ACCESS_LMSW };

struct exit_cr_access {
    uint8_t cr;  /* 0 to 15; 0 for CLTS and LMSW */
    uint8_t gpr; /* enum gpr, of MOV */
    enum cr_access_type type;
    bool lmsw_memory;    /* the operand of LMSW is in memory */
    uint16_t lmsw_value; /* that LMSW would load */
};

static inline struct exit_cr_access exit_decode_cr_access(uint64_t qualification)
{
    return (struct exit_cr_access){
        .cr = qualification & 0xF,
        .gpr = qualification >> 8 & 0xF,
        .type = (enum cr_access_type)(qualification >> 4 & 3),
        .lmsw_memory = qualification >> 6 & 1,
        .lmsw_value = (uint16_t)(qualification >> 16),
    };
}

/* "Exit Qualification for MOV DR". */
struct exit_mov_dr {
    uint8_t dr;  /* 0 to 7 */
    uint8_t gpr; /* enum gpr */
    bool from;   /* the debug register is read */
};

static inline struct exit_mov_dr exit_decode_mov_dr(uint64_t qualification)
{
    return (struct exit_mov_dr){
        .dr = qualification & 7,
        .gpr = qualification >> 8 & 0xF,
        .from = qualification >> 4 & 1,
    };
}

/* "Exit Qualification for EPT Violations": what was tried, what the entries allow, how far it came. */
#define EPT_VIOLATION_READ          (UINT64_C(1) << 0)
#define EPT_VIOLATION_WRITE         (UINT64_C(1) << 1)
#define EPT_VIOLATION_FETCH         (UINT64_C(1) << 2)
#define EPT_VIOLATION_READABLE      (UINT64_C(1) << 3)
#define EPT_VIOLATION_WRITABLE      (UINT64_C(1) << 4)
#define EPT_VIOLATION_EXECUTABLE    (UINT64_C(1) << 5)
#define EPT_VIOLATION_LINEAR_VALID  (UINT64_C(1) << 7) /* VMCS_GUEST_LINEAR_ADDRESS means something */
#define EPT_VIOLATION_TRANSLATED    (UINT64_C(1) << 8) /* the page itself, not the way to it */
#define EPT_VIOLATION_NMI_UNBLOCKED (UINT64_C(1) << 12)

enum ept_access { EPT_ACCESS_READ, EPT_ACCESS_WRITE, EPT_ACCESS_FETCH };

struct exit_ept_violation {
    enum ept_access access; /* a read-modify-write counts as a write */
    bool mapped;            /* the address is in the slice, but not for this access */
    bool linear_valid;
    bool page_walk; /* the access was the processor's own, to a page table of the guest */
    bool nmi_unblocked;
};

static inline struct exit_ept_violation exit_decode_ept_violation(uint64_t qualification)
{
    const uint64_t rights = EPT_VIOLATION_READABLE | EPT_VIOLATION_WRITABLE | EPT_VIOLATION_EXECUTABLE;
    bool linear_valid = qualification & EPT_VIOLATION_LINEAR_VALID;
    return (struct exit_ept_violation){
        .access = qualification & EPT_VIOLATION_FETCH   ? EPT_ACCESS_FETCH
                  : qualification & EPT_VIOLATION_WRITE ? EPT_ACCESS_WRITE
                                                        : EPT_ACCESS_READ,
        .mapped = qualification & rights,
        .linear_valid = linear_valid,
        .page_walk = linear_valid && !(qualification & EPT_VIOLATION_TRANSLATED),
        .nmi_unblocked = qualification & EPT_VIOLATION_NMI_UNBLOCKED,
    };
}

/* VM-exit interruption information and IDT-vectoring information. */
struct exit_event {
    bool valid; /* otherwise nothing else means anything */
    uint8_t vector;
    enum interruption_type type;
    bool has_error_code;
    bool nmi_unblocked;
};

static inline struct exit_event exit_decode_event(uint32_t info)
{
    return (struct exit_event){
        .valid = info & INTERRUPTION_VALID,
        .vector = info & INTERRUPTION_VECTOR_MASK,
        .type = (enum interruption_type)((info & INTERRUPTION_TYPE_MASK) >> INTERRUPTION_TYPE_SHIFT),
        .has_error_code = info & INTERRUPTION_DELIVER_ERROR,
        .nmi_unblocked = info & INTERRUPTION_NMI_UNBLOCKED,
    };
}

/* "Exit Qualification for Task Switches". */
enum task_switch_source { TASK_SWITCH_CALL, TASK_SWITCH_IRET, TASK_SWITCH_JMP, TASK_SWITCH_GATE };

struct exit_task_switch {
    uint16_t selector; /* of the TSS switched to */
    enum task_switch_source source;
};

static inline struct exit_task_switch exit_decode_task_switch(uint64_t qualification)
{
    return (struct exit_task_switch){
        .selector = (uint16_t)qualification,
        .source = (enum task_switch_source)(qualification >> 30 & 3),
    };
}

/* "Exit Qualification for Debug Exceptions". */
struct exit_debug {
    uint8_t breakpoints; /* bit n: the condition of breakpoint n was met */
    bool register_access;
    bool single_step;
    bool bus_lock;
    bool transaction;
};

static inline struct exit_debug exit_decode_debug(uint64_t qualification)
{
    return (struct exit_debug){
        .breakpoints = qualification & 0xF,
        .register_access = qualification >> 13 & 1,
        .single_step = qualification >> 14 & 1,
        .bus_lock = qualification >> 11 & 1,
        .transaction = qualification >> 16 & 1,
    };
}

/* "#GP", "#PF", ...; "interrupt" for vectors that are no exceptions. Never NULL. */
const char *exception_name(uint32_t vector);

/*
 * One sentence about the exit a capsule holds, without a full stop: "EPT violation: write to guest-physical
 * 0x...". Always terminated (out_bytes > 0); returns the length of the whole text.
 */
size_t exit_describe(char *out, size_t out_bytes, const struct crash_capsule *capsule);

#endif
