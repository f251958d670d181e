/*
 * Exits for instructions about the processor: CPUID, MSRs, control registers, XSETBV, HLT, caches. The state
 * a write leaves is also held against the checks of VM entry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/fakes/rig.h"
#include "host_tests/support/random.h"
#include "hv/exit_decode.h"
#include "hv/msr_policy.h"

static void expect_fault(const struct vcpu *vcpu)
{
    rig_expect_exception(VECTOR_GP, (fake_get(VMCS_GUEST_CR0) & CR0_PE) != 0, 0);
    rig_expect_resume();
    rig_expect_running(vcpu->partition);
    rig_expect_defined();
}

static void expect_done(const struct vcpu *vcpu)
{
    rig_expect_nothing_injected();
    rig_expect_next();
    rig_expect_running(vcpu->partition);
    rig_expect_defined();
}

static void starts_are_enterable(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    rig_expect_enterable(vcpu);
    for (uint32_t vector = 0; vector < 256; vector += 51) {
        vmx_vcpu_startup(vcpu, (uint8_t)vector);
        rig_expect_enterable(vcpu);
        assert_int_equal(fake_get(VMCS_GUEST_CS_BASE), vector << 12);
        assert_int_equal(vcpu->gpr[RDX], 0x50654);
    }
}

/* ---- CPUID */

static void cpuid(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_running(3, 4 * MIB)->vcpus[2];
    struct random random = {7};
    rig_on(vcpu);
    vcpu->activity = VCPU_RUNS;
    for (uint32_t round = 0; round < 500; round++) {
        static const uint32_t bases[] = {0, 0, 0, 0x40000000, 0x80000000};
        uint32_t leaf = bases[random_below(&random, 5)] + (uint32_t)random_below(&random, 0x20);
        uint32_t subleaf = (uint32_t)random_below(&random, 10);
        struct cpuid_regs want = *cpuid_lookup(&vcpu->cpuid, leaf, subleaf);
        uint64_t upper = random_u64(&random) << 32; /* ignored, and cleared in all four */
        vcpu->gpr[RAX] = upper | leaf;
        vcpu->gpr[RCX] = upper | subleaf;
        vcpu->gpr[RBX] = vcpu->gpr[RDX] = UINT64_MAX;
        vcpu->gpr[RSI] = 0x5151;
        assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
        expect_done(vcpu);
        assert_int_equal(vcpu->gpr[RAX], want.eax);
        assert_int_equal(vcpu->gpr[RBX], want.ebx);
        assert_int_equal(vcpu->gpr[RCX], want.ecx);
        assert_int_equal(vcpu->gpr[RDX], want.edx);
        assert_int_equal(vcpu->gpr[RSI], 0x5151);
    }
    vcpu->gpr[RAX] = 0xb;
    vcpu->gpr[RCX] = 0;
    assert_true(rig_exit(vcpu, EXIT_REASON_CPUID));
    assert_int_equal(vcpu->gpr[RDX], 2); /* its own x2APIC id, not the core's */
}

/* ---- MSRs */

static bool read_msr(struct vcpu *vcpu, uint32_t msr)
{
    vcpu->gpr[RCX] = UINT64_C(0xffffffff00000000) | msr;
    vcpu->gpr[RAX] = vcpu->gpr[RDX] = UINT64_C(0xa5a5a5a5a5a5a5a5);
    assert_true(rig_exit(vcpu, EXIT_REASON_RDMSR));
    rig_expect_defined();
    if ((fake_get(VMCS_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID) == 0) {
        expect_done(vcpu);
        assert_int_equal((vcpu->gpr[RAX] | vcpu->gpr[RDX]) >> 32, 0);
        return true;
    }
    expect_fault(vcpu);
    assert_int_equal(vcpu->gpr[RAX], UINT64_C(0xa5a5a5a5a5a5a5a5));
    assert_int_equal(vcpu->gpr[RDX], UINT64_C(0xa5a5a5a5a5a5a5a5));
    return false;
}

static bool write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
    vcpu->gpr[RCX] = UINT64_C(0xffffffff00000000) | msr;
    vcpu->gpr[RAX] = UINT64_C(0xffffffff00000000) | (uint32_t)value;
    vcpu->gpr[RDX] = UINT64_C(0xffffffff00000000) | value >> 32;
    assert_true(rig_exit(vcpu, EXIT_REASON_WRMSR));
    rig_expect_defined();
    if ((fake_get(VMCS_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID) == 0) {
        expect_done(vcpu);
        return true;
    }
    expect_fault(vcpu);
    return false;
}

static uint64_t value_read(const struct vcpu *vcpu)
{
    return vcpu->gpr[RDX] << 32 | vcpu->gpr[RAX];
}

/* Everything outside the policy is refused and counted; no MSR of the host is ever read or written. */
static void refused_msrs(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    struct random random = {3};
    uint64_t refused = 0;
    static const uint32_t bases[] = {0, 0x400, 0x480, 0x1b0, 0xc0000000, 0x40000000, 0xc0010000};
    for (uint32_t i = 0; i < FAKE_MSRS; i++)
        fake_cpu.msrs[i].reads = fake_cpu.msrs[i].writes = 0;
    for (uint32_t round = 0; round < 1500; round++) {
        uint32_t msr =
            bases[random_below(&random, ARRAY_SIZE(bases))] + (uint32_t)random_below(&random, 0x400);
        if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
            continue;
        uint64_t value;
        bool readable = msr == MSR_APIC_BASE || msr_policy_read(msr, &value);
        assert_int_equal(read_msr(vcpu, msr), readable);
        refused += !readable;
        uint64_t written = random_u64(&random) >> random_below(&random, 64);
        bool writable = msr_policy_write(msr, written);
        assert_int_equal(write_msr(vcpu, msr, written), writable);
        refused += !writable;
        assert_int_equal(vcpu->refused_msrs, refused);
    }
    assert_true(refused > 1000);
    for (uint32_t i = 0; i < FAKE_MSRS; i++)
        assert_int_equal(fake_cpu.msrs[i].reads + fake_cpu.msrs[i].writes, 0);
}

static void apic_base(void **state)
{
    (void)state;
    struct partition *partition = rig_running(2, 4 * MIB);
    for (uint32_t i = 0; i < 2; i++) {
        struct vcpu *vcpu = partition->vcpus[i];
        rig_on(vcpu);
        vcpu->activity = VCPU_RUNS;
        assert_true(read_msr(vcpu, MSR_APIC_BASE));
        assert_int_equal(value_read(vcpu), 0xfee00c00 | (i == 0 ? APIC_BASE_BSP : 0));
        assert_true(write_msr(vcpu, MSR_APIC_BASE, value_read(vcpu)));
        assert_false(write_msr(vcpu, MSR_APIC_BASE, 0xfee00800)); /* out of x2APIC mode */
        assert_false(write_msr(vcpu, MSR_APIC_BASE, 0xfee00000));
        assert_false(write_msr(vcpu, MSR_APIC_BASE, 0xfec00c00));
    }
}

static void apic_registers(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(read_msr(vcpu, MSR_X2APIC_ID));
    assert_int_equal(value_read(vcpu), 0);
    assert_true(write_msr(vcpu, MSR_X2APIC_TPR, 0x40));
    assert_true(read_msr(vcpu, MSR_X2APIC_TPR));
    assert_int_equal(value_read(vcpu), 0x40);
    assert_false(write_msr(vcpu, MSR_X2APIC_TPR, 0x100));
    assert_false(write_msr(vcpu, MSR_X2APIC_TPR, UINT64_C(1) << 32)); /* EDX counts */
    assert_false(read_msr(vcpu, MSR_X2APIC_EOI));
    assert_false(read_msr(vcpu, MSR_X2APIC_LAST));
    assert_false(write_msr(vcpu, MSR_X2APIC_ID, 0));
    assert_int_equal(vcpu->refused_msrs, 5);
}

/* A write of TPR, EOI or SVR can let through what was held back: before the next instruction. */
static void interrupt_let_through(void **state)
{
    (void)state;
    for (uint32_t by = 0; by < 2; by++) {
        struct vcpu *vcpu = rig_one();
        fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
        assert_true(write_msr(vcpu, MSR_X2APIC_SVR, 0x1ff));
        assert_true(write_msr(vcpu, MSR_X2APIC_TPR, 0x50));
        assert_true(write_msr(vcpu, MSR_X2APIC_SELF_IPI, 0x51));
        if (by == 0) {
            vcpu->gpr[RAX] = vcpu->gpr[RDX] = 0;
            vcpu->gpr[RCX] = MSR_X2APIC_TPR;
            assert_true(rig_exit(vcpu, EXIT_REASON_WRMSR));
        } else {
            vcpu->gpr[R9] = 4;
            assert_true(rig_exit_with(vcpu, EXIT_REASON_CR_ACCESS, 8 | 9 << 8));
        }
        rig_expect_next();
        assert_int_equal(fake_get(VMCS_ENTRY_INTERRUPTION_INFO), INTERRUPTION_VALID | 0x51);
        assert_int_equal(vcpu->vapic.service[1], UINT64_C(1) << 0x11);
    }
}

/* IPIs: forged destinations reach nobody beyond the partition; those reached are kicked. */
static void ipis_stay_inside(void **state)
{
    (void)state;
    rig_begin(2, 2, 4 * MIB);
    rig_finish();
    for (uint32_t p = 0; p < 2; p++) {
        rig_start(partitions[p]);
        for (uint32_t i = 0; i < 2; i++) {
            rig_on(partitions[p]->vcpus[i]);
            vmx_vcpu_start(partitions[p]->vcpus[i]);
            partitions[p]->vcpus[i]->activity = VCPU_RUNS;
            partitions[p]->vcpus[i]->attention = 0;
        }
    }
    struct vcpu *from = partitions[0]->vcpus[0];
    struct random random = {11};
    rig_on(from);
    for (uint32_t round = 0; round < 3000; round++) {
        uint64_t icr = random_u64(&random) & UINT64_C(0xffffffff000c8fff);
        if (random_one_in(&random, 2)) /* physical ids around our own */
            icr = (icr & ~(UINT64_C(0xfffffff0) << 32)) |
                  (random_one_in(&random, 2) ? 0 : UINT64_C(0xf0000000) << 32);
        memset(fakes.kicks, 0, sizeof(fakes.kicks));
        from->gpr[RCX] = MSR_X2APIC_ICR;
        from->gpr[RAX] = (uint32_t)icr;
        from->gpr[RDX] = icr >> 32;
        from->activity = VCPU_RUNS;
        rig_exit(from, EXIT_REASON_WRMSR);
        rig_expect_next();
        for (uint32_t i = 0; i < 2; i++) {
            struct vcpu *foreign = partitions[1]->vcpus[i];
            assert_false(vapic_has_posted(&foreign->vapic));
            assert_int_equal(foreign->attention, 0);
            assert_int_equal(fakes.kicks[foreign->core], 0);
        }
        struct vcpu *other = partitions[0]->vcpus[1];
        assert_int_equal(fakes.kicks[other->core], other->attention);
        assert_true(other->attention || !vapic_has_posted(&other->vapic));
        other->attention = 0;
        vapic_collect(&other->vapic);
    }
}

/* ---- control registers */

static bool move_to_cr(struct vcpu *vcpu, uint32_t cr, enum gpr from, uint64_t value)
{
    if (from == RSP)
        fake_set(VMCS_GUEST_RSP, value);
    else
        vcpu->gpr[from] = value;
    assert_true(rig_exit_with(vcpu, EXIT_REASON_CR_ACCESS, cr | (uint32_t)from << 8));
    if ((fake_get(VMCS_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID) == 0) {
        expect_done(vcpu);
        rig_expect_enterable(vcpu);
        return true;
    }
    expect_fault(vcpu);
    return false;
}

#define LONG_CR0 (CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG)

static uint64_t cr0_seen(void)
{
    uint64_t owned = fake_get(VMCS_CR0_GUEST_HOST_MASK);
    return (fake_get(VMCS_GUEST_CR0) & ~owned) | (fake_get(VMCS_CR0_READ_SHADOW) & owned);
}

static uint64_t cr4_seen(void)
{
    uint64_t owned = fake_get(VMCS_CR4_GUEST_HOST_MASK);
    return (fake_get(VMCS_GUEST_CR4) & ~owned) | (fake_get(VMCS_CR4_READ_SHADOW) & owned);
}

static void cr0_writes(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    uint32_t flushes = fake_vmcs[fake_core].invvpids;
    assert_int_equal(cr0_seen(), LONG_CR0);
    assert_true(move_to_cr(vcpu, 0, RAX, LONG_CR0 | CR0_TS | CR0_MP));
    assert_true(fake_vmcs[fake_core].invvpids > flushes);
    assert_int_equal(cr0_seen(), LONG_CR0 | CR0_TS | CR0_MP);
    assert_true(
        move_to_cr(vcpu, 0, RSP, LONG_CR0 & ~CR0_NE)); /* the guest sees it clear; it runs with it set */
    assert_int_equal(cr0_seen(), LONG_CR0 & ~CR0_NE);
    assert_true((fake_get(VMCS_GUEST_CR0) & CR0_NE) != 0);
    assert_true(move_to_cr(vcpu, 0, R15, LONG_CR0 | CR0_CD | CR0_NW)); /* caches stay on, whatever it reads */
    assert_int_equal(cr0_seen(), LONG_CR0 | CR0_CD | CR0_NW);
    assert_int_equal(fake_get(VMCS_GUEST_CR0) & (CR0_CD | CR0_NW), 0);
    assert_true(
        move_to_cr(vcpu, 0, RAX, (LONG_CR0 & ~CR0_ET) | 0x1ffaffc0)); /* reserved low bits are ignored */
    assert_int_equal(cr0_seen(), LONG_CR0 | (0x1ffaffc0 & CR0_DEFINED));

    assert_false(move_to_cr(vcpu, 0, RAX, LONG_CR0 | UINT64_C(1) << 32));
    assert_false(move_to_cr(vcpu, 0, RAX, LONG_CR0 | CR0_NW));
    assert_false(move_to_cr(vcpu, 0, RAX, LONG_CR0 & ~CR0_PE));
    assert_false(move_to_cr(vcpu, 0, RAX, LONG_CR0 & ~CR0_PG)); /* in 64-bit mode */
    assert_int_equal(cr0_seen(), LONG_CR0 | (0x1ffaffc0 & CR0_DEFINED));
}

static void cr4_writes(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    uint64_t allowed = vmx_guest_cr4_allowed();
    assert_int_equal(cr4_seen(), CR4_PAE);
    assert_true((allowed & CR4_VMXE) == 0);
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint64_t one = UINT64_C(1) << bit;
        if (one == CR4_PAE || one == CR4_PCIDE)
            continue;
        bool fine = move_to_cr(vcpu, 4, RBX, CR4_PAE | one);
        assert_int_equal(fine, (allowed & one) != 0);
        if (!fine)
            continue;
        assert_int_equal(cr4_seen(), CR4_PAE | one);
        assert_true((fake_get(VMCS_GUEST_CR4) & CR4_VMXE) != 0);
        assert_int_equal(vcpu->cpuid.basic[1].ecx & CPUID_1_ECX_OSXSAVE,
                         one == CR4_OSXSAVE ? CPUID_1_ECX_OSXSAVE : 0);
    }
    assert_false(move_to_cr(vcpu, 4, RBX, 0)); /* long mode wants PAE */
    fake_set(VMCS_GUEST_CR3, 0x1005);
    assert_false(move_to_cr(vcpu, 4, RBX, CR4_PAE | CR4_PCIDE)); /* CR3 holds flags where a PCID would be */
    fake_set(VMCS_GUEST_CR3, 0x1000);
    assert_int_equal(move_to_cr(vcpu, 4, RBX, CR4_PAE | CR4_PCIDE), (allowed & CR4_PCIDE) != 0);
}

static void cr8_moves(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(move_to_cr(vcpu, 8, RSI, 0xb));
    assert_int_equal(vcpu->vapic.task_priority, 0xb0);
    assert_false(move_to_cr(vcpu, 8, RSI, 0x10));
    assert_false(move_to_cr(vcpu, 8, RSI, UINT64_C(1) << 63));
    vcpu->gpr[R12] = UINT64_MAX;
    assert_true(rig_exit_with(vcpu, EXIT_REASON_CR_ACCESS, 8 | CR_ACCESS_MOV_FROM << 4 | R12 << 8));
    expect_done(vcpu);
    assert_int_equal(vcpu->gpr[R12], 0xb);
    assert_true(rig_exit_with(vcpu, EXIT_REASON_CR_ACCESS, 8 | CR_ACCESS_MOV_FROM << 4 | RSP << 8));
    assert_int_equal(fake_get(VMCS_GUEST_RSP), 0xb);
}

/* Accesses that do not exit the way we run guests. */
static void impossible_cr_accesses(void **state)
{
    (void)state;
    static const uint32_t qualifications[] = {3,
                                              2,
                                              0 | CR_ACCESS_MOV_FROM << 4,
                                              4 | CR_ACCESS_MOV_FROM << 4,
                                              CR_ACCESS_CLTS << 4,
                                              CR_ACCESS_LMSW << 4};
    for (uint32_t i = 0; i < ARRAY_SIZE(qualifications); i++) {
        struct vcpu *vcpu = rig_one();
        assert_false(rig_exit_with(vcpu, EXIT_REASON_CR_ACCESS, qualifications[i]));
        rig_expect_contained(vcpu->partition, FAULT_UNHANDLED_EXIT, "Control-register access");
    }
}

/* An application processor on its way from real mode to 64-bit mode, and back out of it. */
static void mode_switches(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    vmx_vcpu_startup(vcpu, 0xb);
    assert_true(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_ET));
    assert_int_equal(cr0_seen(), CR0_PE | CR0_ET);
    fake_set(VMCS_GUEST_EFER, EFER_LME);
    assert_false(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_PG)); /* LME without PAE */
    assert_int_equal(fake_get(VMCS_GUEST_EFER), EFER_LME);
    assert_true(move_to_cr(vcpu, 4, RAX, CR4_PAE));
    fake_set(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    assert_false(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_PG)); /* CS.L is set already */
    fake_set(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xc09b);
    assert_int_equal(fake_get(VMCS_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST, 0);
    assert_true(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_PG));
    assert_int_equal(fake_get(VMCS_GUEST_EFER), EFER_LME | EFER_LMA);
    assert_true((fake_get(VMCS_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST) != 0);
    assert_false(move_to_cr(vcpu, 4, RAX, 0));
    assert_true(move_to_cr(vcpu, 0, RAX, CR0_PE)); /* from compatibility mode that is allowed */
    assert_int_equal(fake_get(VMCS_GUEST_EFER), EFER_LME);
    assert_int_equal(fake_get(VMCS_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST, 0);
    assert_true(move_to_cr(vcpu, 0, RAX, 0));
}

/* ---- PAE paging: the four pointers are loaded by the write */

static uint64_t *pae_tables(struct vcpu *vcpu, uint64_t cr3)
{
    vmx_vcpu_startup(vcpu, 0xb);
    assert_true(move_to_cr(vcpu, 0, RAX, CR0_PE));
    fake_set(VMCS_GUEST_CR3, cr3);
    return rig_guest(vcpu->partition, cr3 & 0xffffffe0);
}

static const enum vmcs_field pdptes[] = {VMCS_GUEST_PDPTE0, VMCS_GUEST_PDPTE1, VMCS_GUEST_PDPTE2,
                                         VMCS_GUEST_PDPTE3};

static void pae_pointers_by_cr0(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    uint64_t *tables = pae_tables(vcpu, 0x20020 | CR3_PWT | CR3_PCD); /* not page-aligned, flags below */
    assert_true(move_to_cr(vcpu, 4, RAX, CR4_PAE));
    const uint64_t fine[] = {0x21001, 0x22001 | 1 << 3 | 1 << 4, 0xfffffffffffffffe, 0x7ffffff001};
    memcpy(tables, fine, sizeof(fine));
    assert_true(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_PG));
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(fake_get(pdptes[i]), fine[i]);
    /* Loaded again by CR4.PGE, even where PAE stays as it is. */
    tables[2] = 0x24001;
    assert_true(move_to_cr(vcpu, 4, RAX, CR4_PAE | CR4_PGE));
    assert_int_equal(fake_get(VMCS_GUEST_PDPTE2), 0x24001);
}

static void pae_pointers_by_cr4(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    uint64_t *tables = pae_tables(vcpu, 0x30000);
    for (uint32_t i = 0; i < 4; i++)
        tables[i] = 0x31001 + i * 0x1000;
    assert_true(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_PG)); /* 32-bit paging: CR3 is not looked through */
    assert_int_equal(fake_get(VMCS_GUEST_PDPTE0), 0);
    assert_true(move_to_cr(vcpu, 4, RAX, CR4_PAE));
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(fake_get(pdptes[i]), 0x31001 + i * 0x1000);
}

static void pae_pointers_refused(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    uint64_t *tables = pae_tables(vcpu, 0x30000);
    assert_true(move_to_cr(vcpu, 4, RAX, CR4_PAE));
    for (uint32_t which = 0; which < 4; which++) {
        for (uint32_t bit = 1; bit < 64; bit++) {
            memset(tables, 0, 32);
            tables[which] = 1 | UINT64_C(1) << bit;
            bool reserved = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= 39;
            assert_int_equal(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_PG), !reserved);
            assert_int_equal(cr0_seen() & CR0_PG, reserved ? 0 : CR0_PG);
            if (!reserved)
                assert_true(move_to_cr(vcpu, 0, RAX, CR0_PE));
        }
    }
    /* CR3 leads outside memory: the processor would read ones there. */
    fake_set(VMCS_GUEST_CR3, 0x30000000);
    assert_false(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_PG));
    fake_set(VMCS_GUEST_CR3, 4 * MIB - 32);
    assert_true(move_to_cr(vcpu, 0, RAX, CR0_PE | CR0_PG));
}

/* Any sequence of writes ends in #GP or in a state that the processor enters. */
static void random_writes_stay_enterable(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct random random = {seed};
        struct vcpu *vcpu = rig_one();
        if (random_one_in(&random, 2))
            pae_tables(vcpu, 0x30000);
        static const uint64_t cr0_bits[] = {CR0_PE, CR0_PG, CR0_NW, CR0_CD, CR0_NE,
                                            CR0_WP, CR0_TS, CR0_EM, CR0_AM};
        static const uint64_t cr4_bits[] = {CR4_PAE,  CR4_PGE, CR4_PCIDE, CR4_OSXSAVE,
                                            CR4_VMXE, CR4_PSE, CR4_UMIP};
        for (uint32_t i = 0; i < 100; i++) {
            if (random_one_in(&random, 2)) {
                uint64_t flip = cr0_bits[random_below(&random, ARRAY_SIZE(cr0_bits))];
                move_to_cr(vcpu, 0, RAX,
                           cr0_seen() ^ flip ^ (random_one_in(&random, 4) ? CR0_PE | CR0_PG : 0));
            } else {
                move_to_cr(vcpu, 4, RAX, cr4_seen() ^ cr4_bits[random_below(&random, ARRAY_SIZE(cr4_bits))]);
            }
            if ((fake_get(VMCS_GUEST_CR0) & CR0_PG) == 0 && random_one_in(&random, 3))
                fake_set(VMCS_GUEST_EFER, fake_get(VMCS_GUEST_EFER) ^ EFER_LME);
            /* A guest follows its mode with its code segment. */
            if ((fake_get(VMCS_GUEST_EFER) & EFER_LMA) != 0)
                fake_set(VMCS_GUEST_CS_ACCESS_RIGHTS, random_one_in(&random, 2) ? 0xa09b : 0xc09b);
            else
                fake_set(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xc09b);
        }
    }
}

/* ---- XSETBV, HLT, caches */

static void xsetbv(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    uint64_t allowed = vmx_cpuid_policy.xcr0_allowed;
    assert_true((allowed & (XCR0_X87 | XCR0_SSE | XCR0_AVX)) == (XCR0_X87 | XCR0_SSE | XCR0_AVX));
    for (uint64_t value = 0; value < 0x400; value++) {
        uint64_t before = fake_cpu.xcr0;
        vcpu->gpr[RCX] = UINT64_C(0xffffffff00000000);
        vcpu->gpr[RAX] = UINT64_C(0xffffffff00000000) | value;
        vcpu->gpr[RDX] = UINT64_C(0xffffffff00000000);
        assert_true(rig_exit(vcpu, EXIT_REASON_XSETBV));
        if (xcr0_valid(value, allowed)) {
            expect_done(vcpu);
            assert_int_equal(fake_cpu.xcr0, value);
            assert_int_equal(vcpu->xcr0, value);
        } else {
            expect_fault(vcpu);
            assert_int_equal(fake_cpu.xcr0, before);
            assert_int_equal(vcpu->xcr0, before);
        }
    }
    vcpu->gpr[RAX] = 3;
    vcpu->gpr[RDX] = 0;
    vcpu->gpr[RCX] = 1; /* no other XCR */
    assert_true(rig_exit(vcpu, EXIT_REASON_XSETBV));
    expect_fault(vcpu);
    vcpu->gpr[RCX] = 0;
    vcpu->gpr[RDX] = 1; /* the upper half counts */
    assert_true(rig_exit(vcpu, EXIT_REASON_XSETBV));
    expect_fault(vcpu);
}

static void hlt(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_false(rig_exit(vcpu, EXIT_REASON_HLT));
    rig_expect_next();
    assert_int_equal(vcpu->activity, VCPU_HALTED);
    rig_expect_running(vcpu->partition);

    /* With an interrupt at hand that it can take, it does not sleep at all; STI's shadow ends with HLT. */
    vcpu = rig_one();
    fake_set(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI);
    fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
    vcpu->vapic.spurious = 0x1ff;
    vcpu->vapic.request[1] = 1;
    assert_true(rig_exit(vcpu, EXIT_REASON_HLT));
    rig_expect_next();
    assert_int_equal(vcpu->activity, VCPU_RUNS);
    assert_int_equal(fake_get(VMCS_ENTRY_INTERRUPTION_INFO), INTERRUPTION_VALID | 0x40);

    /* A single step is over at once: its trap is owed, and the vCPU does not sleep. */
    vcpu = rig_one();
    fake_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_TF);
    assert_true(rig_exit(vcpu, EXIT_REASON_HLT));
    rig_expect_next();
    assert_int_equal(vcpu->activity, VCPU_RUNS);
    assert_int_equal(fake_get(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS) & PENDING_DEBUG_BS, PENDING_DEBUG_BS);

    /* With interrupts off it does, whatever waits. */
    vcpu = rig_one();
    vcpu->vapic.spurious = 0x1ff;
    vcpu->vapic.request[1] = 1;
    assert_false(rig_exit(vcpu, EXIT_REASON_HLT));
    assert_int_equal(vcpu->activity, VCPU_HALTED);
}

static void cache_control_does_nothing(void **state)
{
    (void)state;
    struct vcpu *vcpu = rig_one();
    assert_true(rig_exit(vcpu, EXIT_REASON_INVD));
    expect_done(vcpu);
    assert_true(rig_exit(vcpu, EXIT_REASON_WBINVD));
    expect_done(vcpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_are_enterable),
        cmocka_unit_test(cpuid),
        cmocka_unit_test(refused_msrs),
        cmocka_unit_test(apic_base),
        cmocka_unit_test(apic_registers),
        cmocka_unit_test(interrupt_let_through),
        cmocka_unit_test(ipis_stay_inside),
        cmocka_unit_test(cr0_writes),
        cmocka_unit_test(cr4_writes),
        cmocka_unit_test(cr8_moves),
        cmocka_unit_test(impossible_cr_accesses),
        cmocka_unit_test(mode_switches),
        cmocka_unit_test(pae_pointers_by_cr0),
        cmocka_unit_test(pae_pointers_by_cr4),
        cmocka_unit_test(pae_pointers_refused),
        cmocka_unit_test(random_writes_stay_enterable),
        cmocka_unit_test(xsetbv),
        cmocka_unit_test(hlt),
        cmocka_unit_test(cache_control_does_nothing),
    };
    return cmocka_run_group_tests_name("exits: processor", tests, NULL, NULL);
}
