/* Group `entry`: vCPU 0 starts as guest/abi.h promises, and the boot information is sound. */
#include "guest/selftest/check.h"

#include "guest/lib/memory.h"

#define DR6_INITIAL   UINT64_C(0xFFFF0FF0)
#define DR7_INITIAL   UINT64_C(0x400)
#define MXCSR_INITIAL 0x1F80
#define FCW_INIT      0x37F /* after FNINIT */
#define FCW_RESET     0x40  /* after reset */

static void check_general_registers(void)
{
    for (unsigned i = 0; i < 16; i++) {
        uint64_t wanted = i == ENTRY_RDI ? FH_BOOT_INFO : i == ENTRY_RSP ? FH_STACK_TOP : 0;
        check(entry_state.gpr[i] == wanted, "general register %u is 0x%lx, should be 0x%lx", i,
              entry_state.gpr[i], wanted);
    }
    check_equal(entry_state.rflags, RFLAGS_FIXED, "RFLAGS");
}

static void check_control_registers(void)
{
    uint64_t on = CR0_PE | CR0_PG | CR0_ET;
    uint64_t off = CR0_TS | CR0_EM | CR0_CD | CR0_NW;
    check((entry_state.cr0 & (on | off)) == on, "CR0 is 0x%lx", entry_state.cr0);
    check_equal(entry_state.cr2, 0, "CR2");
    check_equal(entry_state.cr3, FH_PAGE_TABLES, "CR3");
    check((entry_state.cr4 & CR4_PAE) != 0, "CR4 is 0x%lx, without PAE", entry_state.cr4);
    check((entry_state.cr4 & (CR4_VMXE | CR4_SMXE)) == 0, "CR4 is 0x%lx, shows VMXE or SMXE",
          entry_state.cr4);
    check_equal(entry_state.cr8, 0, "CR8");
    check((entry_state.efer & (EFER_LME | EFER_LMA)) == (EFER_LME | EFER_LMA), "EFER is 0x%lx",
          entry_state.efer);
}

static void check_segments(void)
{
    check_equal(entry_state.cs, FH_SELECTOR_CODE, "CS");
    check_equal(entry_state.ss, FH_SELECTOR_DATA, "SS");
    check_equal(entry_state.ds, FH_SELECTOR_DATA, "DS");
    check_equal(entry_state.es, FH_SELECTOR_DATA, "ES");
    check(entry_state.fs == 0 || entry_state.fs == FH_SELECTOR_DATA, "FS is 0x%x", entry_state.fs);
    check(entry_state.gs == 0 || entry_state.gs == FH_SELECTOR_DATA, "GS is 0x%x", entry_state.gs);
    check_equal(entry_state.tr, FH_SELECTOR_TSS, "TR");
    check_equal(entry_state.ldtr, 0, "LDTR");
    check_equal(entry_state.gdtr.base, FH_GDT, "GDTR base");
    check(entry_state.gdtr.limit >= FH_SELECTOR_TSS + 15, "GDTR limit is 0x%x", entry_state.gdtr.limit);
    const uint64_t *gdt = (const uint64_t *)FH_GDT;
    check((gdt[1] >> 40 & 0x9F) == 0x9B || (gdt[1] >> 40 & 0x9E) == 0x9A, "GDT entry 1 is 0x%lx", gdt[1]);
    check((gdt[1] >> 53 & 1) == 1, "GDT entry 1 is 0x%lx, not 64-bit code", gdt[1]);
}

static void check_floating_point(void)
{
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned byte = 0; byte < 16; byte++)
            check(entry_state.xmm[i][byte] == 0, "XMM%u byte %u is 0x%x", i, byte, entry_state.xmm[i][byte]);
    }
    check_equal(entry_state.mxcsr, MXCSR_INITIAL, "MXCSR");
    check(entry_state.fcw == FCW_INIT || entry_state.fcw == FCW_RESET, "FCW is 0x%x", entry_state.fcw);
}

static void check_debug_registers(void)
{
    for (unsigned i = 0; i < 4; i++)
        check(entry_state.dr[i] == 0, "DR%u is 0x%lx", i, entry_state.dr[i]);
    check_equal(entry_state.dr[4], DR6_INITIAL, "DR6");
    check_equal(entry_state.dr[5], DR7_INITIAL, "DR7");
}

static bool terminated(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == 0)
            return true;
    }
    return false;
}

static void check_boot_info(void)
{
    const struct fh_boot_info *info = boot_info();
    check_equal(info->magic, FH_BOOT_MAGIC, "boot information's magic");
    check_equal(info->version, FH_BOOT_VERSION, "boot information's version");
    check(info->vcpus >= 1 && info->vcpus <= GUEST_MAX_VCPUS, "boot information: %u vCPUs", info->vcpus);
    check_equal(info->low_bytes + info->high_bytes, info->memory_bytes, "low and high memory together");
    check(info->low_bytes <= FH_HOLE_START, "low memory 0x%lx reaches into the hole", info->low_bytes);
    check(info->high_bytes == 0 || info->low_bytes == FH_HOLE_START, "high memory before low memory is full");
    check(info->tsc_hz > 1000000, "TSC frequency %lu", info->tsc_hz);
    check_equal(info->reserved, 0, "boot information's reserved word");
    check(terminated(info->name, sizeof info->name) && info->name[0] != 0, "no name");
    check(terminated(info->cmdline, sizeof info->cmdline), "command line not terminated");
}

void group_entry(void)
{
    check_general_registers();
    check_control_registers();
    check_segments();
    check_floating_point();
    check_debug_registers();
    check_boot_info();
}
