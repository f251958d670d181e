/* Group `abi`: the hypercalls keep their contract (guest/abi.h), for hostile arguments too. */
#include "guest/selftest/check.h"

#include "guest/lib/cmdline.h"

#define REGISTERS 15
#define FILL      UINT64_C(0x5A5A000000000000)
#define NO_CALL   8
#define TOP       UINT64_MAX

void vmcall_with(uint64_t registers[REGISTERS]);

static char text[FH_BUFFER_MAX + 1];

static uint64_t address(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

/* Everything but RAX comes back as it was. */
static void check_registers(void)
{
    uint64_t registers[REGISTERS] = {FH_CALL_NOP};
    for (unsigned i = 1; i < REGISTERS; i++)
        registers[i] = FILL + i;
    vmcall_with(registers);
    check_equal(registers[0], 0, "result of FH_CALL_NOP");
    for (unsigned i = 1; i < REGISTERS; i++)
        check(registers[i] == FILL + i, "VMCALL changed general register %u to 0x%lx", i, registers[i]);
}

static void check_result(const char *what, int64_t seen, int64_t wanted)
{
    check(seen == wanted, "%s: %ld, should be %ld", what, seen, wanted);
}

/* Buffers that are too long, empty of RAM or wrap, for each call that takes one. */
static void check_bad_buffer(const char *what, uint64_t buffer, uint64_t bytes)
{
    char name[64];
    format(name, sizeof name, "console write, %s", what);
    check_result(name, hypercall(FH_CALL_CONSOLE_WRITE, buffer, bytes, 0), FH_E_ARGUMENT);
    format(name, sizeof name, "verdict, %s", what);
    check_result(name, hypercall(FH_CALL_VERDICT, 1, buffer, bytes), FH_E_ARGUMENT);
    format(name, sizeof name, "metric, %s", what);
    check_result(name, hypercall(FH_CALL_METRIC, buffer, bytes, 1), FH_E_ARGUMENT);
}

static void check_bad_buffers(void)
{
    const struct fh_boot_info *info = boot_info();
    check_bad_buffer("too long", address(text), FH_BUFFER_MAX + 1);
    check_bad_buffer("far too long", address(text), TOP);
    check_bad_buffer("beyond low memory", info->low_bytes, 1);
    check_bad_buffer("across the end of low memory", info->low_bytes - 4, 8);
    check_bad_buffer("in the device hole", FH_HOLE_START + 0x1000, 16);
    check_bad_buffer("behind all memory", FH_HOLE_END + info->high_bytes, 16);
    check_bad_buffer("at 1 TiB", UINT64_C(1) << 40, 16);
    check_bad_buffer("beyond every physical address", UINT64_C(1) << 52, 16);
    check_bad_buffer("wrapping", TOP - 3, 8);
    check_bad_buffer("at the top", TOP, 1);
}

static void check_numbers(void)
{
    check_result("hypercall behind the last", hypercall(NO_CALL, 0, 0, 0), FH_E_CALL);
    check_result("hypercall 2^32", hypercall(UINT64_C(1) << 32, 0, 0, 0), FH_E_CALL);
    check_result("hypercall 2^63", hypercall(UINT64_C(1) << 63, 0, 0, 0), FH_E_CALL);
    check_result("hypercall 2^64 - 1", hypercall(TOP, 0, 0, 0), FH_E_CALL);
    check_result("verdict 2", hypercall(FH_CALL_VERDICT, 2, address(text), 1), FH_E_ARGUMENT);
    check_result("exit code 256", hypercall(FH_CALL_EXIT, 256, 0, 0), FH_E_ARGUMENT);
    check_result("exit code 2^64 - 1", hypercall(FH_CALL_EXIT, TOP, 0, 0), FH_E_ARGUMENT);
}

static void check_good_calls(void)
{
    struct cpuid leaf = cpuid(FH_CPUID_BASE, 0);
    check(leaf.eax >= FH_CPUID_BASE, "no hypervisor leaf");
    check_result("progress", hypercall(FH_CALL_PROGRESS, 1, 0, 0), 0);
    check_result("console write of nothing", hypercall(FH_CALL_CONSOLE_WRITE, address(text), 0, 0), 0);
    check_result("audit", hypercall(FH_CALL_AUDIT, 0, 0, 0), 0);
}

void group_abi(void)
{
    check_registers();
    check_bad_buffers();
    check_numbers();
    check_good_calls();
}
