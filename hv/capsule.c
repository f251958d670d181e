/* The list of a crash capsule's registers. Never reads beyond the capsule, whatever counts it holds. */
#include "hv/capsule.h"

#define PLACE(member) offsetof(struct crash_capsule, member), sizeof(((struct crash_capsule *)0)->member)

static const struct {
    const char *name;
    size_t offset;
    uint32_t bytes;
} registers[] = {
    {"rax", PLACE(gpr[RAX])}, {"rbx", PLACE(gpr[RBX])},  {"rcx", PLACE(gpr[RCX])}, {"rdx", PLACE(gpr[RDX])},
    {"rsi", PLACE(gpr[RSI])}, {"rdi", PLACE(gpr[RDI])},  {"rbp", PLACE(gpr[RBP])}, {"rsp", PLACE(gpr[RSP])},
    {"r8", PLACE(gpr[R8])},   {"r9", PLACE(gpr[R9])},    {"r10", PLACE(gpr[R10])}, {"r11", PLACE(gpr[R11])},
    {"r12", PLACE(gpr[R12])}, {"r13", PLACE(gpr[R13])},  {"r14", PLACE(gpr[R14])}, {"r15", PLACE(gpr[R15])},
    {"rip", PLACE(rip)},      {"rflags", PLACE(rflags)}, {"cr0", PLACE(cr0)},      {"cr2", PLACE(cr2)},
    {"cr3", PLACE(cr3)},      {"cr4", PLACE(cr4)},       {"efer", PLACE(efer)},    {"cs", PLACE(cs)},
    {"ss", PLACE(ss)},        {"ds", PLACE(ds)},         {"es", PLACE(es)},        {"tr", PLACE(tr)},
};

bool capsule_register(const struct crash_capsule *capsule, uint32_t index, struct capsule_register *out)
{
    if (index >= ARRAY_SIZE(registers))
        return false;
    out->name = registers[index].name;
    out->bytes = registers[index].bytes;
    out->value = 0;
    __builtin_memcpy(&out->value, (const char *)capsule + registers[index].offset, out->bytes);
    return true;
}

uint32_t capsule_last_exits(const struct crash_capsule *capsule)
{
    return capsule->last_count < CAPSULE_LAST_EXITS ? capsule->last_count : CAPSULE_LAST_EXITS;
}
