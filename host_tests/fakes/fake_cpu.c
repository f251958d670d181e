/* The processor in host tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv/vmx/access.h"
#include "hv/x86.h"

#define SLEEPS_MAX 100000 /* more than any test needs: code that never wakes up */

struct fake_cpu fake_cpu;
struct fake_vmcs fake_vmcs[FAKE_CORES];
uint32_t fake_core;
void (*fake_on_access)(enum vmcs_field field);

struct fake_msr *fake_msr(uint32_t msr)
{
    for (uint32_t i = 0; i < FAKE_MSRS; i++) {
        struct fake_msr *entry = &fake_cpu.msrs[i];
        if (entry->msr == msr)
            return entry;
        if (entry->msr == 0) {
            entry->msr = msr;
            return entry;
        }
    }
    fail_msg("too many MSRs");
    return NULL;
}

uint64_t cpu_rdmsr(uint32_t msr)
{
    for (uint32_t i = 0; i < FAKE_MSRS; i++) {
        if (fake_cpu.msrs[i].msr != msr)
            continue;
        fake_cpu.msrs[i].reads++;
        return fake_cpu.msrs[i].value;
    }
    fail_msg("RDMSR of %#x, which this processor does not have: #GP in the hypervisor", msr);
    return 0;
}

void cpu_wrmsr(uint32_t msr, uint64_t value)
{
    struct fake_msr *entry = fake_msr(msr);
    entry->writes++;
    entry->value = value;
}

void cpu_sleep(void)
{
    if (++fake_cpu.sleeps <= SLEEPS_MAX && fake_cpu.on_sleep != NULL)
        fake_cpu.on_sleep();
    else
        fail_msg("a core sleeps and nothing will wake it");
}

void cpu_pause(void)
{
    if (++fake_cpu.pauses > SLEEPS_MAX)
        fail_msg("a core waits for a lock or a ring for ever");
    if (fake_cpu.on_pause != NULL)
        fake_cpu.on_pause();
}

_Noreturn void cpu_halt(void)
{
    fail_msg("cpu_halt");
    __builtin_unreachable();
}

#define FXSAVE_BYTES    512
#define XSTATE_BV_WORDS 8

void cpu_xrstor(const void *image, uint64_t components)
{
    uint64_t header[XSTATE_BV_WORDS];
    assert_int_equal((uintptr_t)image % 64, 0);
    assert_int_equal(components & ~fake_cpu.xcr0, 0); /* would leave the rest alone */
    memcpy(header, (const char *)image + FXSAVE_BYTES, sizeof(header));
    for (uint32_t i = 0; i < XSTATE_BV_WORDS; i++)
        assert_int_equal(header[i], 0); /* all components take their initial state */
    fake_cpu.vectors_dirty = false;
}

void cpu_fxrstor(const void *image)
{
    assert_int_equal((uintptr_t)image % 16, 0);
    fake_cpu.vectors_dirty = false;
}

/* ---- VMCS */

#define WIDTH_SHIFT    13
#define AREA_SHIFT     10
#define AREA_READ_ONLY 1u

static struct fake_vmcs *current(void)
{
    struct fake_vmcs *vmcs = &fake_vmcs[fake_core];
    if (vmcs->loaded == 0)
        fail_msg("no VMCS is current on core %u", fake_core);
    return vmcs;
}

static struct fake_field *at(enum vmcs_field field)
{
    assert_in_range(field / 2, 0, FAKE_VMCS_FIELDS - 1);
    assert_int_equal(field % 2, 0);
    return &current()->fields[field / 2];
}

static uint64_t fit(enum vmcs_field field, uint64_t value)
{
    static const uint64_t masks[] = {UINT16_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX};
    return value & masks[field >> WIDTH_SHIFT & 3];
}

uint64_t vmread(enum vmcs_field field)
{
    if (fake_on_access != NULL)
        fake_on_access(field);
    struct fake_vmcs *vmcs = current();
    struct fake_field *f = at(field);
    vmcs->reads++;
    f->reads++;
    if (f->defined)
        return f->value;
    vmcs->undefined_reads++;
    vmcs->last_undefined = field;
    return fit(field, FAKE_UNDEFINED);
}

uint64_t vmread_if_present(enum vmcs_field field)
{
    return fake_get(field);
}

void vmwrite(enum vmcs_field field, uint64_t value)
{
    if (fake_on_access != NULL)
        fake_on_access(field);
    struct fake_vmcs *vmcs = current();
    struct fake_field *f = at(field);
    if ((field >> AREA_SHIFT & 3) == AREA_READ_ONLY)
        fail_msg("VMWRITE to the read-only field %#x", field);
    vmcs->writes++;
    f->writes++;
    f->value = fit(field, value);
    f->defined = true;
}

bool vmx_on(hpa_t region)
{
    assert_true(is_aligned(region.value, FRAME_BYTES));
    fake_vmcs[fake_core].vmx_on = true;
    return true;
}

bool vmx_clear(hpa_t vmcs)
{
    assert_true(is_aligned(vmcs.value, FRAME_BYTES));
    if (fake_vmcs[fake_core].loaded == vmcs.value)
        fake_vmcs[fake_core].loaded = 0;
    return true;
}

bool vmx_load_pointer(hpa_t vmcs)
{
    assert_true(is_aligned(vmcs.value, FRAME_BYTES));
    assert_int_not_equal(vmcs.value, 0);
    fake_vmcs[fake_core].loaded = vmcs.value;
    memset(fake_vmcs[fake_core].fields, 0, sizeof(fake_vmcs[fake_core].fields));
    return true;
}

void vmx_invept(uint64_t ept_pointer)
{
    fake_vmcs[fake_core].invepts++;
    fake_vmcs[fake_core].invept_pointer = ept_pointer;
}

void vmx_invvpid(uint64_t kind, uint16_t vpid)
{
    assert_true(kind == INVVPID_ALL_CONTEXTS || vpid != 0);
    fake_vmcs[fake_core].invvpids++;
}

uint64_t fake_get(enum vmcs_field field)
{
    return at(field)->value;
}

void fake_set(enum vmcs_field field, uint64_t value)
{
    at(field)->value = fit(field, value);
    at(field)->defined = true;
}

uint32_t fake_writes(enum vmcs_field field)
{
    return at(field)->writes;
}

void fake_vmcs_exit(uint64_t reason)
{
    struct fake_vmcs *vmcs = current();
    for (uint32_t i = 0; i < FAKE_VMCS_FIELDS; i++)
        if ((i * 2 >> AREA_SHIFT & 3) == AREA_READ_ONLY)
            vmcs->fields[i].defined = false;
    fake_set(VMCS_EXIT_REASON, reason);
    /* "Information for VM Exits That Occur During Event Delivery": its valid bit is always right. */
    fake_set(VMCS_IDT_VECTORING_INFO, 0);
    /* The processor took the event of the last entry; its valid bit is cleared by the exit. */
    fake_set(VMCS_ENTRY_INTERRUPTION_INFO, fake_get(VMCS_ENTRY_INTERRUPTION_INFO) & ~INTERRUPTION_VALID);
}

void fake_vmcs_recount(void)
{
    struct fake_vmcs *vmcs = current();
    vmcs->reads = vmcs->writes = vmcs->undefined_reads = vmcs->invepts = vmcs->invvpids = 0;
    for (uint32_t i = 0; i < FAKE_VMCS_FIELDS; i++)
        vmcs->fields[i].reads = vmcs->fields[i].writes = 0;
}
