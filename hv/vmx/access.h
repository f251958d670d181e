/*
 * The VMX instructions. The one place in the tree that executes them; host tests put a fake in front of it by
 * include path.
 */
#ifndef FREEHOLD_HV_VMX_ACCESS_H
#define FREEHOLD_HV_VMX_ACCESS_H

#include "alloc/addr.h"
#include "hv/vmcs.h"

/* The field must exist on this processor. */
static inline uint64_t vmread(enum vmcs_field field)
{
    uint64_t value;
    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
    return value;
}

/* 0 for a field that this processor does not have. */
static inline uint64_t vmread_if_present(enum vmcs_field field)
{
    uint64_t value;
    bool failed;
    __asm__ volatile("vmread %2, %1" : "=@ccbe"(failed), "=r"(value) : "r"((uint64_t)field));
    return failed ? 0 : value;
}

static inline void vmwrite(enum vmcs_field field, uint64_t value)
{
    bool failed;
    __asm__ volatile("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"((uint64_t)field));
    CHECK(!failed);
}

/* True when it worked. The operand is a host-physical address. */
MUST_USE static inline bool vmx_on(hpa_t region)
{
    bool failed;
    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region.value) : "memory");
    return !failed;
}

MUST_USE static inline bool vmx_clear(hpa_t vmcs)
{
    bool failed;
    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(vmcs.value) : "memory");
    return !failed;
}

MUST_USE static inline bool vmx_load_pointer(hpa_t vmcs)
{
    bool failed;
    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs.value) : "memory");
    return !failed;
}

#define INVEPT_SINGLE_CONTEXT  UINT64_C(1)
#define INVVPID_SINGLE_CONTEXT UINT64_C(1)
#define INVVPID_ALL_CONTEXTS   UINT64_C(2)

/* Forgets every translation made through this EPT on this core. */
static inline void vmx_invept(uint64_t ept_pointer)
{
    struct {
        uint64_t ept_pointer, zero;
    } descriptor = {ept_pointer, 0};
    bool failed;
    __asm__ volatile("invept %1, %2"
                     : "=@ccbe"(failed)
                     : "m"(descriptor), "r"(INVEPT_SINGLE_CONTEXT)
                     : "memory");
    CHECK(!failed);
}

static inline void vmx_invvpid(uint64_t kind, uint16_t vpid)
{
    struct {
        uint64_t vpid, linear;
    } descriptor = {vpid, 0};
    bool failed;
    __asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(kind) : "memory");
    CHECK(!failed);
}

#endif
