/*
 * hv/vmx_caps.c: which machines are accepted, and how those that are not are told why.
 *
 * Where the MSR values come from is said at each processor: "read" are values that somebody published from a
 * real processor, "computed" follow from the source of an emulator, "made" are changed here on purpose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "hv/vmx_caps.h"

#define HIGH(value) ((uint64_t)(value) << 32)

struct processor {
    const char *name;
    struct vmx_msrs msrs;
    const char *missing[12]; /* all of them, in order */
};

/* Read: Intel Core i9-7900X class (Skylake-X); Bochs, cpudb comments. Revision 4, posted interrupts. */
#define SKYLAKE_X                                                                                            \
    {                                                                                                        \
        .basic = 0x00DA040000000004, .pin = 0x000000FF00000016, .primary = 0xFFF9FFFE0401E172,               \
        .exit = 0x01FFFFFF00036DFF, .entry = 0x0003FFFF000011FF, .misc = 0x7004C1E7,                         \
        .cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xFFFFFFFF, .cr4_fixed0 = 0x2000, .cr4_fixed1 = 0x3727FF,    \
        .secondary = 0x025D3FFF00000000, .ept_vpid_cap = 0x00000F0106734141, .true_pin = 0x000000FF00000016, \
        .true_primary = 0xFFF9FFFE04006172, .true_exit = 0x01FFFFFF00036DFB,                                 \
        .true_entry = 0x0003FFFF000011FB, .vmfunc = 1,                                                       \
    }

static const struct processor processors[] = {
    {"Skylake-X", SKYLAKE_X, {0}},
    {
        /* Read: Intel Core i7-8750H (Coffee Lake), from a published virtual machine monitor's log. */
        "Coffee Lake",
        {.basic = 0x00DA040000000004,
         .pin = 0x0000007F00000016,
         .primary = 0xFFF9FFFE0401E172,
         .exit = 0x01FFFFFF00036DFF,
         .entry = 0x0003FFFF000011FF,
         .misc = 0x7004C1E7,
         .cr0_fixed0 = 0x80000021,
         .cr0_fixed1 = 0xFFFFFFFF,
         .cr4_fixed0 = 0x2000,
         .cr4_fixed1 = 0x3727FF,
         .secondary = 0x005FBCFF00000000,
         .ept_vpid_cap = 0x00000F0106734141,
         .true_pin = 0x0000007F00000016,
         .true_primary = 0xFFF9FFFE04006172,
         .true_exit = 0x01FFFFFF00036DFB,
         .true_entry = 0x0003FFFF000011FB,
         .vmfunc = 1},
        {0},
    },
    {
        /* Read: Broadwell-U (i7-5600U and its like; Haswell has the same VMCS revision); Bochs, cpudb
           comments. */
        "Broadwell",
        {.basic = 0x00DA040000000012,
         .pin = 0x0000007F00000016,
         .primary = 0xFFF9FFFE0401E172,
         .exit = 0x007FFFFF00036DFF,
         .entry = 0x0000FFFF000011FF,
         .misc = 0x300481E5,
         .cr0_fixed0 = 0x80000021,
         .cr0_fixed1 = 0xFFFFFFFF,
         .cr4_fixed0 = 0x2000,
         .cr4_fixed1 = 0x3767FF,
         .secondary = 0x00057CFF00000000,
         .ept_vpid_cap = 0x00000F0106334141,
         .true_pin = 0x0000007F00000016,
         .true_primary = 0xFFF9FFFE04006172,
         .true_exit = 0x007FFFFF00036DFB,
         .true_entry = 0x0000FFFF000011FB,
         .vmfunc = 1},
        {0},
    },
    {
        /* Read: Intel Core i5-520M (Arrandale, of the Westmere family); Bochs, cpudb comments. The oldest
           that fits. */
        "Westmere",
        {.basic = 0x00DA04000000000F,
         .pin = 0x0000007F00000016,
         .primary = 0xFFF9FFFE0401E172,
         .exit = 0x007FFFFF00036DFF,
         .entry = 0x0000FFFF000011FF,
         .misc = 0x000401E5,
         .cr0_fixed0 = 0x80000021,
         .cr0_fixed1 = 0xFFFFFFFF,
         .cr4_fixed0 = 0x2000,
         .cr4_fixed1 = 0x67FF,
         .secondary = 0x000000FF00000000,
         .ept_vpid_cap = 0x00000F0106114141,
         .true_pin = 0x0000007F00000016,
         .true_primary = 0xFFF9FFFE04006172,
         .true_exit = 0x007FFFFF00036DFB,
         .true_entry = 0x0000FFFF000011FB},
        {0},
    },
    {
        /* Made from Westmere: Nehalem is documented to have EPT and VPID, but no unrestricted guest. */
        "Nehalem",
        {.basic = 0x00DA04000000000E,
         .pin = 0x0000007F00000016,
         .primary = 0xFFF9FFFE0401E172,
         .exit = 0x007FFFFF00036DFF,
         .entry = 0x0000FFFF000011FF,
         .misc = 0x000401C5,
         .cr0_fixed0 = 0x80000021,
         .cr0_fixed1 = 0xFFFFFFFF,
         .cr4_fixed0 = 0x2000,
         .cr4_fixed1 = 0x27FF,
         .secondary = 0x0000007F00000000,
         .ept_vpid_cap = 0x00000F0106114141,
         .true_pin = 0x0000007F00000016,
         .true_primary = 0xFFF9FFFE04006172,
         .true_exit = 0x007FFFFF00036DFB,
         .true_entry = 0x0000FFFF000011FB},
        {"unrestricted guest"},
    },
    {
        /* Read: Intel Core 2 Duo T9600 (Penryn); Bochs, cpudb comments. No EPT, no exact capability MSRs. */
        "Penryn",
        {.basic = 0x005A08000000000D,
         .pin = 0x0000003F00000016,
         .primary = 0xF7F9FFFE0401E172,
         .exit = 0x0003FFFF00036DFF,
         .entry = 0x00003FFF000011FF,
         .misc = 0x000403C0,
         .cr0_fixed0 = 0x80000021,
         .cr0_fixed1 = 0xFFFFFFFF,
         .cr4_fixed0 = 0x2000,
         .cr4_fixed1 = 0x467FF,
         .secondary = 0x0000004100000000},
        {"the VMX-preemption timer", "a choice to leave CR3-load exiting off",
         "a choice to leave CR3-store exiting off", "extended page tables (EPT)", "unrestricted guest",
         "saving IA32_PAT on exit", "loading IA32_PAT on exit", "saving IA32_EFER on exit",
         "loading IA32_EFER on exit", "saving the VMX-preemption timer on exit", "loading IA32_PAT on entry",
         "loading IA32_EFER on entry"},
    },
    {
        /* Made from Skylake-X with what the manual says Ice Lake servers add: five-level EPT, user wait, and
           more. */
        "Ice Lake",
        {.basic = 0x00DA040000000004,
         .pin = 0x000000FF00000016,
         .primary = 0xFFF9FFFE0401E172,
         .exit = 0x03FFFFFF00036DFF,
         .entry = 0x0007FFFF000011FF,
         .misc = 0x7004C1E7,
         .cr0_fixed0 = 0x80000021,
         .cr0_fixed1 = 0xFFFFFFFF,
         .cr4_fixed0 = 0x2000,
         .cr4_fixed1 = 0x773FFF,
         .secondary = 0x17DFFFFF00000000,
         .ept_vpid_cap = 0x00000F01067341C1,
         .true_pin = 0x000000FF00000016,
         .true_primary = 0xFFF9FFFE04006172,
         .true_exit = 0x03FFFFFF00036DFB,
         .true_entry = 0x0007FFFF000011FB,
         .vmfunc = 1},
        {0},
    },
    {
        /* Computed: what Linux's KVM shows to a nested hypervisor (vmx/nested.c, 2022) on a Broadwell or
           later. */
        "nested KVM",
        {.basic = 0x00D8100011E57ED0,
         .pin = 0x0000007F00000016,
         .primary = 0xFFF9FFFE0401E172,
         .exit = 0x007FEFFF00036DFF,
         .entry = 0x0000D3FF000011FF,
         .misc = 0x20000065,
         .cr0_fixed0 = 0x80000021,
         .cr0_fixed1 = 0xFFFFFFFF,
         .cr4_fixed0 = 0x2000,
         .cr4_fixed1 = 0x3727FF,
         .secondary = 0x001378FF00000000,
         .ept_vpid_cap = 0x00000F0106334041,
         .true_pin = 0x0000007F00000016,
         .true_primary = 0xFFF9FFFE04006172,
         .true_exit = 0x007FEFFF00036DFB,
         .true_entry = 0x0000D3FF000011FB,
         .vmfunc = 1},
        {0},
    },
    {
        /* Computed: Bochs 2.7, corei7_skylake_x (cpu/vmcs.cc, cpu/vmx.h). No monitor trap flag, no posting.
         */
        "Bochs",
        {.basic = 0x00D810000000002B,
         .pin = 0x0000007F00000016,
         .primary = 0xF7F9FFFE0401E172,
         .exit = 0x007FFFFF00036DFF,
         .entry = 0x0000FFFF000011FF,
         .misc = 0x600401E0,
         .cr0_fixed0 = 0x80000021,
         .cr0_fixed1 = 0xFFFFFFFF,
         .cr4_fixed0 = 0x2000,
         .cr4_fixed1 = 0x3727FF,
         .secondary = 0x02177FFF00000000,
         .ept_vpid_cap = 0x00000F0106334141,
         .true_pin = 0x0000007F00000016,
         .true_primary = 0xF7F9FFFE04006172,
         .true_exit = 0x007FFFFF00036DFB,
         .true_entry = 0x0000FFFF000011FB,
         .vmfunc = 1},
        {0},
    },
};

static const struct vmx_msrs skylake = SKYLAKE_X;

static const struct processor *processor_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(processors); i++)
        if (strcmp(processors[i].name, name) == 0)
            return &processors[i];
    fail_msg("no processor %s", name);
    return NULL;
}

static void each_processor_gets_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(processors); i++) {
        const struct processor *p = &processors[i];
        struct vmx_caps caps;
        struct vmx_missing missing;
        bool fit = vmx_caps_check(&p->msrs, &caps, &missing);
        uint32_t expected = 0;
        while (expected < ARRAY_SIZE(p->missing) && p->missing[expected] != NULL)
            expected++;
        print_message("%s: %u missing\n", p->name, missing.count);
        assert_int_equal(fit, expected == 0);
        assert_int_equal(missing.count, expected);
        for (uint32_t j = 0; j < expected; j++)
            assert_string_equal(missing.what[j], p->missing[j]);
    }
}

static void control_words_are_exact(void **state)
{
    struct vmx_caps caps;
    struct vmx_missing missing;

    (void)state;
    assert_true(vmx_caps_check(&skylake, &caps, &missing));
    /* Worked out by hand from the manual's tables: what is wanted, and what must be 1. */
    assert_int_equal(caps.controls.pin, 0x16 | 1 << 0 | 1 << 3 | 1 << 5 | 1 << 6);
    assert_int_equal(caps.controls.primary, 0x04006172u | 1u << 3 | 1u << 7 | 1u << 10 | 1u << 11 | 1u << 19 |
                                                1u << 20 | 1u << 25 | 1u << 28 | 1u << 29 | 1u << 31);
    assert_int_equal(caps.controls.secondary, 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 12);
    assert_int_equal(caps.controls.exit, 0x00036DFB | 1 << 2 | 1 << 9 | 1 << 15 | 0x1F << 18);
    assert_int_equal(caps.controls.entry, 0x000011FB | 1 << 2 | 1 << 9 | 1 << 14 | 1 << 15);
}

static void facts_are_read(void **state)
{
    struct vmx_caps caps;
    struct vmx_missing missing;

    (void)state;
    assert_true(vmx_caps_check(&skylake, &caps, &missing));
    assert_int_equal(caps.revision_id, 4);
    assert_int_equal(caps.region_bytes, 1024);
    assert_int_equal(caps.vmcs_memory, MEMORY_TYPE_WB);
    assert_int_equal(caps.timer_shift, 7);
    assert_int_equal(caps.msr_list_limit, 512);
    assert_true(caps.vpid && caps.rdtscp && caps.invpcid && caps.virtual_nmis);
    assert_true(caps.ept_1gib && caps.ept_execute_only && caps.ept_accessed_dirty);
    assert_true(caps.activity_hlt && caps.activity_wait_for_sipi);
    assert_true(caps.invvpid_address && caps.invvpid_single_context && caps.invvpid_all_contexts &&
                caps.invvpid_retain_globals);

    assert_true(vmx_caps_check(&processor_named("Westmere")->msrs, &caps, &missing));
    assert_int_equal(caps.revision_id, 15);
    assert_int_equal(caps.timer_shift, 5);
    assert_false(caps.ept_1gib || caps.ept_accessed_dirty || caps.invpcid);

    assert_true(vmx_caps_check(&processor_named("nested KVM")->msrs, &caps, &missing));
    assert_int_equal(caps.region_bytes, 4096);
    assert_int_equal(caps.revision_id, 0x11E57ED0);
    assert_true(caps.activity_hlt);
    assert_false(caps.activity_wait_for_sipi);
}

/* What the whole check has to say when one bit of one capability MSR changes. */
struct change {
    size_t msr;
    uint64_t clear, set;
    const char *missing; /* NULL: still fits */
};

#define AT(member) offsetof(struct vmx_msrs, member)
#define LACKS(member, bit, name)       \
    {                                  \
        AT(member), HIGH(bit), 0, name \
    }
#define FORCES(member, bit, name)              \
    {                                          \
        AT(member), 0, HIGH(bit) | (bit), name \
    }

static const struct change changes[] = {
    LACKS(true_pin, PIN_EXTERNAL_INTERRUPT_EXITING, "external-interrupt exiting"),
    LACKS(true_pin, PIN_NMI_EXITING, "NMI exiting"),
    LACKS(true_pin, PIN_PREEMPTION_TIMER, "the VMX-preemption timer"),
    LACKS(true_pin, PIN_VIRTUAL_NMIS, NULL),
    LACKS(true_primary, PRIMARY_SECONDARY_CONTROLS, "secondary processor-based controls"),
    LACKS(true_primary, PRIMARY_TSC_OFFSETTING, "TSC offsetting"),
    LACKS(true_primary, PRIMARY_HLT_EXITING, "HLT exiting"),
    LACKS(true_primary, PRIMARY_MWAIT_EXITING, "MWAIT exiting"),
    LACKS(true_primary, PRIMARY_MONITOR_EXITING, "MONITOR exiting"),
    LACKS(true_primary, PRIMARY_RDPMC_EXITING, "RDPMC exiting"),
    LACKS(true_primary, PRIMARY_CR8_LOAD_EXITING, "CR8-load exiting"),
    LACKS(true_primary, PRIMARY_CR8_STORE_EXITING, "CR8-store exiting"),
    LACKS(true_primary, PRIMARY_IO_BITMAPS, "I/O bitmaps"),
    LACKS(true_primary, PRIMARY_MSR_BITMAPS, "MSR bitmaps"),
    LACKS(true_primary, PRIMARY_MONITOR_TRAP_FLAG, NULL),
    FORCES(true_primary, PRIMARY_CR3_LOAD_EXITING, "a choice to leave CR3-load exiting off"),
    FORCES(true_primary, PRIMARY_CR3_STORE_EXITING, "a choice to leave CR3-store exiting off"),
    FORCES(true_primary, PRIMARY_INVLPG_EXITING, "a choice to leave INVLPG exiting off"),
    FORCES(true_primary, PRIMARY_RDTSC_EXITING, "a choice to leave RDTSC exiting off"),
    FORCES(true_primary, PRIMARY_MOV_DR_EXITING, "a choice to leave MOV-DR exiting off"),
    FORCES(true_primary, PRIMARY_UNCONDITIONAL_IO_EXITING, "a choice to leave unconditional I/O exiting off"),
    LACKS(secondary, SECONDARY_UNRESTRICTED_GUEST, "unrestricted guest"),
    LACKS(secondary, SECONDARY_EPT, "extended page tables (EPT)"),
    LACKS(secondary, SECONDARY_WBINVD_EXITING, "WBINVD exiting"),
    LACKS(secondary, SECONDARY_VPID | SECONDARY_RDTSCP | SECONDARY_INVPCID, NULL),
    FORCES(secondary, SECONDARY_XSAVES, "a choice to leave XSAVES off"),
    LACKS(true_exit, EXIT_HOST_64_BIT, "a 64-bit host (host address-space size)"),
    LACKS(true_exit, EXIT_ACKNOWLEDGE_INTERRUPT, "acknowledging interrupts on exit"),
    LACKS(true_exit, EXIT_SAVE_DEBUG_CONTROLS, "saving debug controls on exit"),
    LACKS(true_exit, EXIT_SAVE_PAT, "saving IA32_PAT on exit"),
    LACKS(true_exit, EXIT_LOAD_PAT, "loading IA32_PAT on exit"),
    LACKS(true_exit, EXIT_SAVE_EFER, "saving IA32_EFER on exit"),
    LACKS(true_exit, EXIT_LOAD_EFER, "loading IA32_EFER on exit"),
    LACKS(true_exit, EXIT_SAVE_PREEMPTION_TIMER, "saving the VMX-preemption timer on exit"),
    LACKS(true_entry, ENTRY_LOAD_DEBUG_CONTROLS, "loading debug controls on entry"),
    LACKS(true_entry, ENTRY_IA32E_GUEST, "64-bit guests (IA-32e mode guest)"),
    LACKS(true_entry, ENTRY_LOAD_PAT, "loading IA32_PAT on entry"),
    LACKS(true_entry, ENTRY_LOAD_EFER, "loading IA32_EFER on entry"),
    FORCES(true_entry, ENTRY_LOAD_CET, "a choice not to load CET state on entry"),
    {AT(ept_vpid_cap), 1u << 6, 0, "EPT with four levels"},
    {AT(ept_vpid_cap), 1u << 14, 0, "EPT structures in write-back memory"},
    {AT(ept_vpid_cap), 1u << 16, 0, "EPT with 2 MiB pages"},
    {AT(ept_vpid_cap), 1u << 17, 0, NULL},
    {AT(ept_vpid_cap), 1u << 25, 0, "INVEPT of a single context"},
    {AT(ept_vpid_cap), 1u << 26, 0, "INVEPT of all contexts"},
    {AT(misc), 1u << 5, 0, "saving EFER.LMA in the \"IA-32e mode guest\" control on exit"},
    {AT(basic), UINT64_C(0x1FFF) << 32, 0, "a VMCS size between 1 and 4096 bytes"},
    {AT(basic), 0, UINT64_C(0x1FFF) << 32, "a VMCS size between 1 and 4096 bytes"},
    {AT(basic), 0, UINT64_C(1) << 48, "VMX structures above 4 GiB"},
};

static void each_missing_feature_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        const struct change *c = &changes[i];
        struct vmx_msrs msrs = skylake;
        struct vmx_caps caps;
        struct vmx_missing missing;
        uint64_t *msr = (uint64_t *)(void *)((char *)&msrs + c->msr);

        *msr = (*msr & ~c->clear) | c->set;
        assert_int_equal(vmx_caps_check(&msrs, &caps, &missing), c->missing == NULL);
        assert_int_equal(missing.count, c->missing != NULL);
        if (c->missing != NULL)
            assert_string_equal(missing.what[0], c->missing);
    }
}

static void inexact_capabilities_refuse_cr3_exits(void **state)
{
    struct vmx_msrs msrs = skylake;
    struct vmx_caps caps;
    struct vmx_missing missing;

    (void)state;
    msrs.basic &= ~(UINT64_C(1) << 55);
    msrs.true_pin = msrs.true_primary = msrs.true_exit = msrs.true_entry = 0;
    assert_false(vmx_caps_check(&msrs, &caps, &missing));
    assert_int_equal(missing.count, 2);
    assert_string_equal(missing.what[0], "a choice to leave CR3-load exiting off");
    assert_string_equal(missing.what[1], "a choice to leave CR3-store exiting off");
}

static void vpid_needs_a_way_to_flush(void **state)
{
    struct vmx_msrs msrs = skylake;
    struct vmx_caps caps;
    struct vmx_missing missing;

    (void)state;
    msrs.ept_vpid_cap &= ~(UINT64_C(3) << 41);
    assert_true(vmx_caps_check(&msrs, &caps, &missing));
    assert_false(caps.vpid);
    assert_false(caps.controls.secondary & SECONDARY_VPID);

    for (int bit = 41; bit <= 42; bit++) { /* either way to flush is enough */
        msrs = skylake;
        msrs.ept_vpid_cap &= ~(UINT64_C(1) << bit);
        assert_true(vmx_caps_check(&msrs, &caps, &missing));
        assert_true(caps.vpid && caps.controls.secondary & SECONDARY_VPID);
    }

    msrs = skylake;
    msrs.ept_vpid_cap &= ~(UINT64_C(1) << 32);
    assert_true(vmx_caps_check(&msrs, &caps, &missing));
    assert_false(caps.vpid || caps.invvpid_address || caps.invvpid_all_contexts ||
                 caps.invvpid_retain_globals || caps.invvpid_single_context);
    assert_false(caps.controls.secondary & SECONDARY_VPID);
}

static uint64_t random_u64(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void assert_allowed(uint32_t word, uint64_t capability)
{
    assert_int_equal(word & ~(uint32_t)(capability >> 32), 0);
    /* A processor that forces a bit it does not allow is broken; such a word cannot satisfy it. */
    assert_int_equal(~word & (uint32_t)capability & (uint32_t)(capability >> 32), 0);
}

static void random_machines_never_break_it(void **state)
{
    uint64_t seed = 0x9E3779B97F4A7C15;
    uint32_t worst = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct vmx_msrs msrs = skylake;
        uint64_t *words = (uint64_t *)(void *)&msrs;
        struct vmx_caps caps;
        struct vmx_missing missing;
        /* Few flips keep near a real machine, many leave it. */
        for (uint64_t flips = random_u64(&seed) % (i & 1 ? 4 : 200); flips > 0; flips--)
            words[random_u64(&seed) % (sizeof(msrs) / 8)] ^= UINT64_C(1) << random_u64(&seed) % 64;

        bool fit = vmx_caps_check(&msrs, &caps, &missing);
        worst = missing.count > worst ? missing.count : worst;
        assert_int_equal(fit, missing.count == 0);
        for (uint32_t j = 0; j < missing.count; j++)
            assert_true(strlen(missing.what[j]) > 5);
        bool exact = msrs.basic >> 55 & 1;
        assert_allowed(caps.controls.pin, exact ? msrs.true_pin : msrs.pin);
        assert_allowed(caps.controls.primary, exact ? msrs.true_primary : msrs.primary);
        assert_allowed(caps.controls.exit, exact ? msrs.true_exit : msrs.exit);
        assert_allowed(caps.controls.entry, exact ? msrs.true_entry : msrs.entry);
        assert_int_equal(caps.controls.secondary & ~(uint32_t)(msrs.secondary >> 32), 0);
        if (fit) {
            assert_true(caps.controls.secondary & SECONDARY_EPT);
            assert_true(caps.controls.pin & PIN_PREEMPTION_TIMER);
            assert_false(caps.controls.primary & PRIMARY_UNCONDITIONAL_IO_EXITING);
        }
    }
    assert_true(worst > 5);
}

static void the_worst_machine_has_room_for_every_name(void **state)
{
    struct vmx_msrs msrs;
    struct vmx_caps caps;
    struct vmx_missing missing;

    (void)state;
    memset(&msrs, 0, sizeof(msrs));
    assert_false(vmx_caps_check(&msrs, &caps, &missing));
    assert_true(missing.count > 25);
    /* Everything forced, nothing allowed, but EPT, so that its details count too. */
    msrs.pin = msrs.primary = msrs.exit = msrs.entry = 0xFFFFFFFF;
    msrs.secondary = HIGH(SECONDARY_EPT | SECONDARY_UNRESTRICTED_GUEST) | 0xFFFFFFFF;
    msrs.basic = UINT64_C(1) << 48;
    assert_false(vmx_caps_check(&msrs, &caps, &missing));
    assert_true(missing.count > 70 && missing.count <= VMX_MISSING_LIMIT);
}

/* ----------------------------------------------------------------------------------------- reading MSRs */

struct fake_msrs {
    const struct vmx_msrs *msrs;
    bool exact, secondary, ept, vmfunc; /* which MSRs exist */
    uint32_t reads;
};

static uint64_t fake_read(void *context, uint32_t msr)
{
    struct fake_msrs *fake = context;
    const struct vmx_msrs *m = fake->msrs;

    fake->reads++;
    switch (msr) {
    case MSR_VMX_BASIC:
        return m->basic;
    case MSR_VMX_PINBASED_CTLS:
        return m->pin;
    case MSR_VMX_PROCBASED_CTLS:
        return m->primary;
    case MSR_VMX_EXIT_CTLS:
        return m->exit;
    case MSR_VMX_ENTRY_CTLS:
        return m->entry;
    case MSR_VMX_MISC:
        return m->misc;
    case MSR_VMX_CR0_FIXED0:
        return m->cr0_fixed0;
    case MSR_VMX_CR0_FIXED1:
        return m->cr0_fixed1;
    case MSR_VMX_CR4_FIXED0:
        return m->cr4_fixed0;
    case MSR_VMX_CR4_FIXED1:
        return m->cr4_fixed1;
    case MSR_VMX_PROCBASED_CTLS2:
        assert_true(fake->secondary);
        return m->secondary;
    case MSR_VMX_EPT_VPID_CAP:
        assert_true(fake->ept);
        return m->ept_vpid_cap;
    case MSR_VMX_VMFUNC:
        assert_true(fake->vmfunc);
        return m->vmfunc;
    case MSR_VMX_TRUE_PINBASED_CTLS:
        assert_true(fake->exact);
        return m->true_pin;
    case MSR_VMX_TRUE_PROCBASED_CTLS:
        assert_true(fake->exact);
        return m->true_primary;
    case MSR_VMX_TRUE_EXIT_CTLS:
        assert_true(fake->exact);
        return m->true_exit;
    case MSR_VMX_TRUE_ENTRY_CTLS:
        assert_true(fake->exact);
        return m->true_entry;
    default:
        fail_msg("MSR %x read", msr);
        return 0;
    }
}

static void absent_msrs_are_never_read(void **state)
{
    struct vmx_msrs read, expected = skylake;
    struct fake_msrs fake = {&skylake, true, true, true, true, 0};

    (void)state;
    vmx_msrs_read(&read, fake_read, &fake);
    assert_memory_equal(&read, &expected, sizeof(read));
    assert_int_equal(fake.reads, sizeof(read) / 8);

    expected = processor_named("Penryn")->msrs;
    fake = (struct fake_msrs){&expected, false, true, false, false, 0};
    vmx_msrs_read(&read, fake_read, &fake);
    assert_memory_equal(&read, &expected, sizeof(read));

    expected.primary &= ~HIGH(PRIMARY_SECONDARY_CONTROLS);
    expected.secondary = 0;
    fake = (struct fake_msrs){&expected, false, false, false, false, 0};
    vmx_msrs_read(&read, fake_read, &fake);
    assert_memory_equal(&read, &expected, sizeof(read));
}

/* ---------------------------------------------------------------------------------------------- helpers */

static void feature_control_has_three_states(void **state)
{
    (void)state;
    assert_int_equal(vmx_lock_state(0), VMX_LOCK_UNLOCKED);
    assert_int_equal(vmx_lock_state(4), VMX_LOCK_UNLOCKED);
    assert_int_equal(vmx_lock_state(1), VMX_LOCK_FORBIDDEN);
    assert_int_equal(vmx_lock_state(3), VMX_LOCK_FORBIDDEN); /* inside SMX only */
    assert_int_equal(vmx_lock_state(5), VMX_LOCK_ENABLED);
    assert_int_equal(vmx_lock_state(0x20005), VMX_LOCK_ENABLED);
}

static void fixed_bits_are_applied(void **state)
{
    struct vmx_caps caps;
    struct vmx_missing missing;

    (void)state;
    assert_true(vmx_caps_check(&skylake, &caps, &missing));
    assert_int_equal(vmx_cr0_fit(&caps, CR0_ET), CR0_ET | CR0_PE | CR0_NE | CR0_PG);
    assert_int_equal(vmx_guest_cr0_fit(&caps, CR0_ET), CR0_ET | CR0_NE);
    assert_int_equal(vmx_cr0_fit(&caps, UINT64_MAX), 0xFFFFFFFF);
    assert_int_equal(vmx_cr4_fit(&caps, CR4_PAE | CR4_PKE), CR4_PAE | CR4_VMXE);
    assert_int_equal(vmx_guest_cr0_owned(&caps), CR0_NE | UINT64_C(0xFFFFFFFF00000000));
    assert_int_equal(vmx_cr4_owned(&caps), CR4_VMXE | ~UINT64_C(0x3727FF));
}

static void timer_lasts_at_least_what_was_asked(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct vmx_caps caps = {.timer_shift = (uint32_t)(random_u64(&seed) % 32)};
        uint64_t ticks = random_u64(&seed) >> random_u64(&seed) % 64;
        uint32_t value = vmx_timer_value(&caps, ticks);
        uint64_t period = UINT64_C(1) << caps.timer_shift;
        /* The first count may come after a single tick. */
        uint64_t shortest = value == 0 ? 0 : (uint64_t)(value - 1) * period + 1;
        assert_true(value == UINT32_MAX || shortest >= ticks || (caps.timer_shift == 0 && value == ticks));
        assert_true(value <= 1 || (uint64_t)value * period < ticks + 2 * period);
        assert_int_equal(vmx_timer_ticks(&caps, value), (uint64_t)value * period);
    }
    assert_int_equal(vmx_timer_value(&(struct vmx_caps){.timer_shift = 0}, 1000), 1000);
    assert_int_equal(vmx_timer_value(&(struct vmx_caps){.timer_shift = 0}, UINT64_MAX), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_processor_gets_its_verdict),
        cmocka_unit_test(control_words_are_exact),
        cmocka_unit_test(facts_are_read),
        cmocka_unit_test(each_missing_feature_is_named),
        cmocka_unit_test(inexact_capabilities_refuse_cr3_exits),
        cmocka_unit_test(vpid_needs_a_way_to_flush),
        cmocka_unit_test(random_machines_never_break_it),
        cmocka_unit_test(the_worst_machine_has_room_for_every_name),
        cmocka_unit_test(absent_msrs_are_never_read),
        cmocka_unit_test(feature_control_has_three_states),
        cmocka_unit_test(fixed_bits_are_applied),
        cmocka_unit_test(timer_lasts_at_least_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
