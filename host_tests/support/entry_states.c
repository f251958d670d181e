/* Guests that VM entry accepts, to break one rule at a time. */
#include "host_tests/support/entry_states.h"

/* A Skylake-X: see test_vmx_caps.c. */
const struct vmx_msrs entry_skylake = {
    .basic = 0x00DA040000000004,
    .pin = 0x000000FF00000016,
    .primary = 0xFFF9FFFE0401E172,
    .exit = 0x01FFFFFF00036DFF,
    .entry = 0x0003FFFF000011FF,
    .misc = 0x7004C1E7,
    .cr0_fixed0 = 0x80000021,
    .cr0_fixed1 = 0xFFFFFFFF,
    .cr4_fixed0 = 0x2000,
    .cr4_fixed1 = 0x3727FF,
    .secondary = 0x025D3FFF00000000,
    .ept_vpid_cap = 0x00000F0106734141,
    .true_pin = 0x000000FF00000016,
    .true_primary = 0xFFF9FFFE04006172,
    .true_exit = 0x01FFFFFF00036DFB,
    .true_entry = 0x0003FFFF000011FB,
    .vmfunc = 1,
};

static struct vmx_controls controls(void)
{
    struct vmx_caps caps;
    struct vmx_missing missing;
    bool fit = vmx_caps_check(&entry_skylake, &caps, &missing);
    CHECK(fit);
    return caps.controls;
}

#define V(name) s->value[EF_##name]

static void set_segment(struct entry_state *s, uint32_t index, uint64_t selector, uint64_t base,
                        uint64_t limit, uint64_t rights)
{
    s->value[EF_ES_SELECTOR + index] = selector;
    s->value[EF_ES_BASE + index] = base;
    s->value[EF_ES_LIMIT + index] = limit;
    s->value[EF_ES_RIGHTS + index] = rights;
}

static void set_host(struct entry_state *s)
{
    struct vmx_controls c = controls();

    V(PIN) = c.pin;
    V(PRIMARY) = c.primary;
    V(SECONDARY) = c.secondary;
    V(EXIT) = c.exit;
    V(ENTRY) = c.entry;
    V(IO_BITMAP_A) = 0x100000;
    V(IO_BITMAP_B) = 0x101000;
    V(MSR_BITMAP) = 0x102000;
    V(VPID) = 1;
    V(EPTP) = 0x10300000 | 3 << 3 | MEMORY_TYPE_WB;
    V(HOST_CR0) = CR0_PE | CR0_NE | CR0_PG | CR0_WP;
    V(HOST_CR3) = 0x200000;
    V(HOST_CR4) = CR4_PAE | CR4_VMXE;
    V(HOST_PAT) = PAT_RESET;
    V(HOST_EFER) = EFER_LME | EFER_LMA | EFER_NXE;
    V(HOST_CS) = 0x08;
    V(HOST_TR) = 0x18;
    V(HOST_TR_BASE) = V(HOST_GDTR_BASE) = V(HOST_IDTR_BASE) = V(HOST_RIP) = 0xFFFFFFFF80000000;
}

static void set_long_mode(struct entry_state *s)
{
    V(CR0) = CR0_PE | CR0_NE | CR0_PG | CR0_ET;
    V(CR3) = 0x1000;
    V(CR4) = CR4_PAE | CR4_VMXE;
    V(DR7) = DR7_RESET;
    V(PAT) = PAT_RESET;
    V(EFER) = EFER_LME | EFER_LMA;
    set_segment(s, 1, 0x08, 0, 0xFFFFFFFF, 0xA09B);
    for (uint32_t i = 0; i < 6; i++)
        if (i != 1)
            set_segment(s, i, 0x10, 0, 0xFFFFFFFF, 0xC093);
    set_segment(s, 6, 0, 0, 0, ACCESS_RIGHTS_UNUSABLE);
    set_segment(s, 7, 0x18, 0x9000, 0x67, 0x8B);
    V(GDTR_BASE) = 0x8000;
    V(GDTR_LIMIT) = 0x27;
    V(IDTR_LIMIT) = 0xFFF;
    V(RIP) = 0x100000;
    V(RFLAGS) = RFLAGS_FIXED;
    V(LINK_POINTER) = VMCS_LINK_POINTER_NONE;
}

/* After a start-up IPI. */
static void set_real_mode(struct entry_state *s)
{
    V(ENTRY) &= ~(uint64_t)ENTRY_IA32E_GUEST;
    V(CR0) = CR0_NE | CR0_ET;
    V(CR3) = 0;
    V(CR4) = CR4_VMXE;
    V(EFER) = 0;
    set_segment(s, 1, 0x0B00, 0xB000, 0xFFFF, 0x9B);
    for (uint32_t i = 0; i < 6; i++)
        if (i != 1)
            set_segment(s, i, 0, 0, 0xFFFF, 0x93);
    set_segment(s, 6, 0, 0, 0xFFFF, 0x82);
    set_segment(s, 7, 0, 0, 0xFFFF, 0x8B);
    V(RIP) = 0;
}

static void set_v86(struct entry_state *s)
{
    set_real_mode(s);
    V(CR0) |= CR0_PE | CR0_PG;
    V(RFLAGS) |= RFLAGS_VM;
    for (uint32_t i = 0; i < 6; i++)
        set_segment(s, i, 0x1000 + i, (0x1000 + i) << 4, 0xFFFF, 0xF3);
}

struct entry_state entry_valid_state(enum entry_base base)
{
    struct entry_state state = {
        .msrs = &entry_skylake, .physical_bits = 39, .linear_bits = 48, .vmcs = 0x300000};

    set_host(&state);
    set_long_mode(&state);
    if (base == ENTRY_REAL)
        set_real_mode(&state);
    if (base == ENTRY_V86)
        set_v86(&state);
    return state;
}
