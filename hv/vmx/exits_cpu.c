/* Exits for instructions about the processor itself: CPUID, MSRs, control registers, XSETBV, HLT, caches. */
#include "hv/exit_decode.h"
#include "hv/guest_memory.h"
#include "hv/msr_policy.h"
#include "hv/partition.h"
#include "hv/vmx/access.h"
#include "hv/vmx/exits.h"
#include "hv/vmx/vmx.h"
#include "hv/x86.h"

static inline enum exit_action answer_cpuid(struct vcpu *vcpu, const struct cpuid_regs *regs)
{
    vcpu->gpr[RAX] = regs->eax;
    vcpu->gpr[RBX] = regs->ebx;
    vcpu->gpr[RCX] = regs->ecx;
    vcpu->gpr[RDX] = regs->edx;
    return EXIT_NEXT;
}

static __attribute__((noinline)) enum exit_action cpuid_rare(struct vcpu *vcpu, uint32_t leaf,
                                                             uint32_t subleaf)
{
    return answer_cpuid(vcpu, cpuid_lookup_rare(&vcpu->cpuid, leaf, subleaf));
}

enum exit_action exit_cpuid(struct vcpu *vcpu)
{
    const struct cpuid_regs *plain = cpuid_lookup_plain(&vcpu->cpuid, (uint32_t)vcpu->gpr[RAX]);
    if (__builtin_expect(plain == NULL, 0))
        return cpuid_rare(vcpu, (uint32_t)vcpu->gpr[RAX], (uint32_t)vcpu->gpr[RCX]);
    return answer_cpuid(vcpu, plain);
}

static enum exit_action refuse_msr(struct vcpu *vcpu)
{
    vcpu->refused_msrs++;
    return exits_general_protection();
}

static void put_edx_eax(struct vcpu *vcpu, uint64_t value)
{
    vcpu->gpr[RAX] = (uint32_t)value;
    vcpu->gpr[RDX] = value >> 32;
}

void exits_send_ipi(struct vcpu *vcpu, const struct vapic_ipi *ipi)
{
    struct partition *partition = vcpu->partition;
    if (ipi->mode == IPI_NOTHING)
        return;
    for (uint32_t i = 0; i < partition->vcpu_count; i++) {
        if (!vapic_ipi_reaches(ipi, vcpu->index, i))
            continue;
        vapic_post(&partition->vcpus[i]->vapic, ipi);
        vcpu_kick(partition->vcpus[i]);
    }
}

enum exit_action exit_rdmsr(struct vcpu *vcpu)
{
    uint32_t msr = (uint32_t)vcpu->gpr[RCX];
    uint64_t value = 0;
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST) {
        if (vapic_read(&vcpu->vapic, msr, &value) != VAPIC_OK)
            return refuse_msr(vcpu);
    } else if (msr == MSR_APIC_BASE) {
        value = APIC_DEFAULT_ADDRESS | APIC_BASE_ENABLE | APIC_BASE_X2APIC |
                (vcpu->index == 0 ? APIC_BASE_BSP : 0);
    } else if (!msr_policy_read(msr, &value)) {
        return refuse_msr(vcpu);
    }
    put_edx_eax(vcpu, value);
    return EXIT_NEXT;
}

/* Writes of the APIC can let an interrupt through that was held back. */
static enum exit_action after_apic_write(struct vcpu *vcpu, enum vapic_result result,
                                         const struct vapic_ipi *ipi)
{
    if (result == VAPIC_FAULT)
        return refuse_msr(vcpu);
    if (result == VAPIC_IPI)
        exits_send_ipi(vcpu, ipi);
    else if (vapic_deliverable(&vcpu->vapic) >= 0)
        vcpu->attention = 1;
    return EXIT_NEXT;
}

enum exit_action exit_wrmsr(struct vcpu *vcpu)
{
    uint32_t msr = (uint32_t)vcpu->gpr[RCX];
    uint64_t value = vcpu->gpr[RDX] << 32 | (uint32_t)vcpu->gpr[RAX];
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST) {
        struct vapic_ipi ipi;
        enum vapic_result result = vapic_write(&vcpu->vapic, msr, value, &ipi);
        return after_apic_write(vcpu, result, &ipi);
    }
    return msr_policy_write(msr, value) ? EXIT_NEXT : refuse_msr(vcpu);
}

/* General register `number` of the guest; RSP lives in the VMCS. */
static uint64_t read_gpr(const struct vcpu *vcpu, uint32_t number)
{
    return number == RSP ? vmread(VMCS_GUEST_RSP) : vcpu->gpr[number];
}

static void write_gpr(struct vcpu *vcpu, uint32_t number, uint64_t value)
{
    if (number == RSP)
        vmwrite(VMCS_GUEST_RSP, value);
    else
        vcpu->gpr[number] = value;
}

/* CR0 and CR4 as the guest reads them: its own bits from the register, the owned ones from the shadow. */
static uint64_t as_read(enum vmcs_field value, enum vmcs_field shadow, enum vmcs_field mask)
{
    uint64_t owned = vmread(mask);
    return (vmread(value) & ~owned) | (vmread(shadow) & owned);
}

static struct cr_context cr_context(void)
{
    return (struct cr_context){
        .cr0 = as_read(VMCS_GUEST_CR0, VMCS_CR0_READ_SHADOW, VMCS_CR0_GUEST_HOST_MASK),
        .cr3 = vmread(VMCS_GUEST_CR3),
        .cr4 = as_read(VMCS_GUEST_CR4, VMCS_CR4_READ_SHADOW, VMCS_CR4_GUEST_HOST_MASK),
        .efer = vmread(VMCS_GUEST_EFER),
        .cs_long = (vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & ACCESS_RIGHTS_LONG) != 0,
    };
}

/*
 * PAE paging keeps its four page-directory pointers in registers, which the processor loads when CR0 or CR4
 * is written; here the write is ours. False: one of them has a reserved bit set, or CR3 leads outside memory
 * (the processor would read all ones there), and the write raises #GP. Source: "PDPTE Registers".
 */
static bool load_pdptes(const struct vcpu *vcpu, const struct cr_context *now)
{
    const uint64_t always_reserved = UINT64_C(0x1e6);
    uint64_t entries[4];
    bool pae = (now->cr0 & CR0_PG) != 0 && (now->cr4 & CR4_PAE) != 0 && (now->efer & EFER_LMA) == 0;
    if (!pae)
        return true;
    uint32_t width = vmx_cpuid_policy.table.extended[CPUID_LEAF_ADDRESS_SIZES & 0xf].eax & 0xff;
    if (!guest_memory_read(vcpu->partition, gpa(now->cr3 & UINT64_C(0xffffffe0)), entries, sizeof(entries)))
        return false;
    for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++)
        if ((entries[i] & 1) != 0 && ((entries[i] & always_reserved) != 0 || entries[i] >> width != 0))
            return false;
    for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++)
        vmwrite((enum vmcs_field)(VMCS_GUEST_PDPTE0 + i * 2), entries[i]);
    return true;
}

/* Also switches to and from IA-32e mode, as the processor does when the write does not exit. */
static enum exit_action write_cr0(struct vcpu *vcpu, uint64_t value)
{
    struct cr_context now = cr_context();
    if (!cr0_write_check(value, &now))
        return exits_general_protection();
    now.cr0 = (value & CR0_DEFINED) | CR0_ET;
    now.efer = efer_after_cr0(now.efer, now.cr0);
    if (!load_pdptes(vcpu, &now))
        return exits_general_protection();
    uint32_t entry = vmx_caps.controls.entry & ~ENTRY_IA32E_GUEST;
    vmwrite(VMCS_ENTRY_CONTROLS, (now.efer & EFER_LMA) != 0 ? entry | ENTRY_IA32E_GUEST : entry);
    vmwrite(VMCS_GUEST_EFER, now.efer);
    vmwrite(VMCS_CR0_READ_SHADOW, now.cr0);
    vmwrite(VMCS_GUEST_CR0, vmx_guest_cr0_fit(&vmx_caps, now.cr0 & ~(CR0_NW | CR0_CD)));
    vmx_flush_linear(vcpu);
    return EXIT_NEXT;
}

static enum exit_action write_cr4(struct vcpu *vcpu, uint64_t value)
{
    struct cr_context now = cr_context();
    if (!cr4_write_check(value, vmx_guest_cr4_allowed(), &now))
        return exits_general_protection();
    now.cr4 = value;
    if (!load_pdptes(vcpu, &now))
        return exits_general_protection();
    vmwrite(VMCS_CR4_READ_SHADOW, value);
    vmwrite(VMCS_GUEST_CR4, value | vcpu->cr4_hidden | CR4_MCE);
    cpuid_set_osxsave(&vcpu->cpuid, (value & CR4_OSXSAVE) != 0);
    vmx_flush_linear(vcpu);
    return EXIT_NEXT;
}

enum exit_action exit_cr_access(struct vcpu *vcpu)
{
    struct exit_cr_access access = exit_decode_cr_access(vmread(VMCS_EXIT_QUALIFICATION));
    bool to = access.type == CR_ACCESS_MOV_TO;
    if (access.cr == 8 && !to) {
        write_gpr(vcpu, access.gpr, vapic_read_cr8(&vcpu->vapic));
        return EXIT_NEXT;
    }
    if (access.cr == 8) {
        struct vapic_ipi none;
        if (vapic_write_cr8(&vcpu->vapic, read_gpr(vcpu, access.gpr)) == VAPIC_FAULT)
            return exits_general_protection();
        return after_apic_write(vcpu, VAPIC_OK, &none);
    }
    if (!to)
        return exit_unhandled(vcpu); /* CLTS and LMSW touch no bit that exits; CR3 does not exit */
    if (access.cr == 0)
        return write_cr0(vcpu, read_gpr(vcpu, access.gpr));
    if (access.cr == 4)
        return write_cr4(vcpu, read_gpr(vcpu, access.gpr));
    return exit_unhandled(vcpu);
}

enum exit_action exit_xsetbv(struct vcpu *vcpu)
{
    uint64_t value = vcpu->gpr[RDX] << 32 | (uint32_t)vcpu->gpr[RAX];
    if ((uint32_t)vcpu->gpr[RCX] != 0 || !xcr0_valid(value, vmx_cpuid_policy.xcr0_allowed))
        return exits_general_protection();
    vcpu->xcr0 = value;
    cpu_xsetbv(value);
    cpuid_set_xcr0(&vcpu->cpuid, value);
    return EXIT_NEXT;
}

enum exit_action exit_hlt(struct vcpu *vcpu)
{
    if ((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0)
        return EXIT_NEXT; /* the trap of a single step ends HLT at once */
    if (vmx_interrupts_enabled() && vapic_deliverable(&vcpu->vapic) >= 0) {
        vcpu->attention = 1;
        return EXIT_NEXT;
    }
    vcpu->activity = VCPU_HALTED;
    vcpu->attention = 1; /* vcpu_attend leaves the guest for a vCPU that does not run */
    return EXIT_NEXT;
}

enum exit_action exit_cache_control(struct vcpu *vcpu)
{
    /*
     * Caches are coherent and no device of the guest looks past them, so there is nothing to write back;
     * INVD's loss of modified lines would be other tenants' loss too.
     */
    (void)vcpu;
    return EXIT_NEXT;
}

enum exit_action exit_invalid_opcode(struct vcpu *vcpu)
{
    (void)vcpu;
    vmx_inject_exception(VECTOR_UD, 0);
    return EXIT_RESUME;
}

enum exit_action exit_rdpmc(struct vcpu *vcpu)
{
    (void)vcpu;
    return exits_general_protection();
}
