/*
 * The VMX instructions in host tests: takes the place of hv/vmx/access.h by include path. A VMCS is an array,
 * one a core. It knows which of its fields mean anything: what the manual leaves undefined after an exit, and
 * what was never written, reads as a pattern and is counted.
 */
#ifndef FREEHOLD_HV_VMX_ACCESS_H
#define FREEHOLD_HV_VMX_ACCESS_H

#include "alloc/addr.h"
#include "hv/cpu.h"
#include "hv/vmcs.h"

#define FAKE_VMCS_FIELDS (VMCS_HOST_INTERRUPT_SSP_TABLE / 2 + 1)
#define FAKE_UNDEFINED   UINT64_C(0xbadbadbadbadbad0)

struct fake_field {
    uint64_t value;
    uint32_t reads, writes;
    bool defined;
};

struct fake_vmcs {
    uint64_t loaded; /* host-physical; 0: none is current */
    uint32_t reads, writes, undefined_reads;
    uint32_t last_undefined; /* the field */
    uint32_t invepts, invvpids;
    uint64_t invept_pointer; /* of the last */
    bool vmx_on;
    struct fake_field fields[FAKE_VMCS_FIELDS];
};
extern struct fake_vmcs fake_vmcs[FAKE_CORES];
extern uint32_t fake_core; /* the core that executes: whose VMCS is current */

/* Called before each VMREAD and VMWRITE: for what other cores do meanwhile. */
extern void (*fake_on_access)(enum vmcs_field field);

uint64_t vmread(enum vmcs_field field);
uint64_t vmread_if_present(enum vmcs_field field);
void vmwrite(enum vmcs_field field, uint64_t value);
MUST_USE bool vmx_on(hpa_t region);
MUST_USE bool vmx_clear(hpa_t vmcs);
MUST_USE bool vmx_load_pointer(hpa_t vmcs);

#define INVVPID_SINGLE_CONTEXT UINT64_C(1)
#define INVVPID_ALL_CONTEXTS   UINT64_C(2)
void vmx_invept(uint64_t ept_pointer);
void vmx_invvpid(uint64_t kind, uint16_t vpid);

/* For tests: the current VMCS without counting; set also writes read-only fields, as an exit does. */
uint64_t fake_get(enum vmcs_field field);
void fake_set(enum vmcs_field field, uint64_t value);
uint32_t fake_writes(enum vmcs_field field);

/* The processor leaves the guest: every exit-information field is undefined but the reason. */
void fake_vmcs_exit(uint64_t reason);

/* Starts counting reads and writes anew. */
void fake_vmcs_recount(void);

#endif
