/* Exits in words, for the crash capsule. Must cope with any value: what it describes has gone wrong already.
 */
#include "hv/exit_decode.h"

#include "hv/fmt.h"
#include "hv/x86.h"

typedef unsigned long long ull; /* what the formats call a 64-bit value */

/* A text that grows inside a fixed buffer; `used` counts what it would be long. */
struct text {
    char *out;
    size_t bytes;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    bool room = text->used < text->bytes;
    va_list args;
    va_start(args, format);
    text->used += fmt_vsnprintf(room ? text->out + text->used : NULL, room ? text->bytes - text->used : 0,
                                format, args);
    va_end(args);
}

static const char *const gpr_names[GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                 "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

const char *exception_name(uint32_t vector)
{
    static const char *const names[VECTOR_EXCEPTION_LIMIT] = {
        [VECTOR_DE] = "#DE", [VECTOR_DB] = "#DB", [VECTOR_NMI] = "NMI", [VECTOR_BP] = "#BP",
        [VECTOR_OF] = "#OF", [VECTOR_BR] = "#BR", [VECTOR_UD] = "#UD",  [VECTOR_NM] = "#NM",
        [VECTOR_DF] = "#DF", [VECTOR_TS] = "#TS", [VECTOR_NP] = "#NP",  [VECTOR_SS] = "#SS",
        [VECTOR_GP] = "#GP", [VECTOR_PF] = "#PF", [VECTOR_MF] = "#MF",  [VECTOR_AC] = "#AC",
        [VECTOR_MC] = "#MC", [VECTOR_XM] = "#XM", [VECTOR_VE] = "#VE",  [VECTOR_CP] = "#CP",
    };
    if (vector >= VECTOR_EXCEPTION_LIMIT)
        return "interrupt";
    return names[vector] != NULL ? names[vector] : "exception";
}

static void describe_event(struct text *text, const struct exit_event *event)
{
    static const char *const kinds[] = {
        [INTERRUPTION_EXTERNAL] = "external interrupt",
        [INTERRUPTION_RESERVED] = "event of a reserved type",
        [INTERRUPTION_NMI] = "NMI",
        [INTERRUPTION_HARDWARE_EXCEPTION] = "exception",
        [INTERRUPTION_SOFTWARE_INTERRUPT] = "software interrupt",
        [INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION] = "INT1 exception",
        [INTERRUPTION_SOFTWARE_EXCEPTION] = "software exception",
        [INTERRUPTION_OTHER_EVENT] = "other event",
    };
    bool exception =
        event->type == INTERRUPTION_HARDWARE_EXCEPTION || event->type == INTERRUPTION_SOFTWARE_EXCEPTION;
    add(text, "%s %u", kinds[event->type], event->vector);
    if (exception)
        add(text, " (%s)", exception_name(event->vector));
}

/* --------------------------------------------------------------------------- one function a kind of exit */

static void describe_exception(struct text *text, const struct crash_capsule *c)
{
    struct exit_event event = exit_decode_event(c->interruption_info);

    add(text, ": ");
    if (!event.valid) {
        add(text, "no event recorded");
        return;
    }
    describe_event(text, &event);
    if (event.type == INTERRUPTION_HARDWARE_EXCEPTION && event.vector == VECTOR_PF)
        add(text, " at linear 0x%llx", (ull)c->qualification);
    if (event.type == INTERRUPTION_HARDWARE_EXCEPTION && event.vector == VECTOR_DB) {
        struct exit_debug debug = exit_decode_debug(c->qualification);
        add(text, ", breakpoints %u%s%s%s", debug.breakpoints, debug.single_step ? ", single step" : "",
            debug.register_access ? ", debug-register access" : "", debug.bus_lock ? ", bus lock" : "");
    }
}

static void describe_io(struct text *text, const struct crash_capsule *c)
{
    struct exit_io io = exit_decode_io(c->qualification);
    add(text, ": %s%s of %u byte%s, port 0x%x", io.rep ? "repeated " : "",
        io.string ? (io.in ? "INS" : "OUTS") : (io.in ? "IN" : "OUT"), io.bytes, io.bytes == 1 ? "" : "s",
        io.port);
}

static void describe_cr_access(struct text *text, const struct crash_capsule *c)
{
    struct exit_cr_access access = exit_decode_cr_access(c->qualification);

    switch (access.type) {
    case CR_ACCESS_MOV_TO:
        add(text, ": CR%u = %s, 0x%llx", access.cr, gpr_names[access.gpr], (ull)c->gpr[access.gpr]);
        break;
    case CR_ACCESS_MOV_FROM:
        add(text, ": %s = CR%u", gpr_names[access.gpr], access.cr);
        break;
    case CR_ACCESS_CLTS:
        add(text, ": CLTS");
        break;
    case CR_ACCESS_LMSW:
        add(text, ": LMSW of 0x%x", access.lmsw_value);
        break;
    }
}

static void describe_mov_dr(struct text *text, const struct crash_capsule *c)
{
    struct exit_mov_dr access = exit_decode_mov_dr(c->qualification);
    if (access.from)
        add(text, ": %s = DR%u", gpr_names[access.gpr], access.dr);
    else
        add(text, ": DR%u = %s, 0x%llx", access.dr, gpr_names[access.gpr], (ull)c->gpr[access.gpr]);
}

static void describe_msr(struct text *text, const struct crash_capsule *c)
{
    bool write = (c->exit_reason & EXIT_REASON_BASIC_MASK) == EXIT_REASON_WRMSR;
    add(text, ": MSR 0x%x", (uint32_t)c->gpr[RCX]);
    if (write)
        add(text, " = 0x%llx", (ull)(c->gpr[RDX] << 32 | (uint32_t)c->gpr[RAX]));
}

static void describe_xsetbv(struct text *text, const struct crash_capsule *c)
{
    add(text, ": XCR%u = 0x%llx", (uint32_t)c->gpr[RCX], (ull)(c->gpr[RDX] << 32 | (uint32_t)c->gpr[RAX]));
}

static void describe_leaf(struct text *text, const struct crash_capsule *c)
{
    add(text, ": leaf 0x%x, sub-leaf 0x%x", (uint32_t)c->gpr[RAX], (uint32_t)c->gpr[RCX]);
}

static void describe_vmcall(struct text *text, const struct crash_capsule *c)
{
    add(text, ": call 0x%llx", (ull)c->gpr[RAX]);
}

static void describe_invlpg(struct text *text, const struct crash_capsule *c)
{
    add(text, ": linear 0x%llx", (ull)c->qualification);
}

static void describe_task_switch(struct text *text, const struct crash_capsule *c)
{
    static const char *const sources[] = {"CALL", "IRET", "JMP", "a task gate"};
    struct exit_task_switch task = exit_decode_task_switch(c->qualification);
    add(text, ": by %s to TSS 0x%x", sources[task.source], task.selector);
}

static void describe_ept_violation(struct text *text, const struct crash_capsule *c)
{
    static const char *const accesses[] = {"read of", "write to", "instruction fetch from"};
    struct exit_ept_violation violation = exit_decode_ept_violation(c->qualification);

    add(text, ": %s guest-physical 0x%llx", accesses[violation.access], (ull)c->guest_physical);
    if (violation.page_walk)
        add(text, " as a page table");
    if (violation.linear_valid)
        add(text, ", for linear 0x%llx", (ull)c->guest_linear);
    add(text, violation.mapped ? ", which does not allow it" : ", which is not mapped");
}

static void describe_ept_misconfiguration(struct text *text, const struct crash_capsule *c)
{
    add(text, ": at guest-physical 0x%llx", (ull)c->guest_physical);
}

static void describe_sipi(struct text *text, const struct crash_capsule *c)
{
    add(text, ": vector 0x%x", (uint32_t)c->qualification & 0xFF);
}

typedef void (*describe_fn)(struct text *text, const struct crash_capsule *capsule);

static const describe_fn details[EXIT_REASON_LIMIT] = {
    [EXIT_REASON_EXCEPTION_OR_NMI] = describe_exception,
    [EXIT_REASON_SIPI] = describe_sipi,
    [EXIT_REASON_TASK_SWITCH] = describe_task_switch,
    [EXIT_REASON_CPUID] = describe_leaf,
    [EXIT_REASON_INVLPG] = describe_invlpg,
    [EXIT_REASON_VMCALL] = describe_vmcall,
    [EXIT_REASON_CR_ACCESS] = describe_cr_access,
    [EXIT_REASON_MOV_DR] = describe_mov_dr,
    [EXIT_REASON_IO] = describe_io,
    [EXIT_REASON_RDMSR] = describe_msr,
    [EXIT_REASON_WRMSR] = describe_msr,
    [EXIT_REASON_EPT_VIOLATION] = describe_ept_violation,
    [EXIT_REASON_EPT_MISCONFIGURATION] = describe_ept_misconfiguration,
    [EXIT_REASON_XSETBV] = describe_xsetbv,
};

size_t exit_describe(char *out, size_t out_bytes, const struct crash_capsule *c)
{
    struct text text = {.out = out, .bytes = out_bytes, .used = 0};
    uint32_t reason = c->exit_reason & EXIT_REASON_BASIC_MASK;
    struct exit_event delivering = exit_decode_event(c->idt_vectoring_info);

    add(&text, "%s", exit_reason_name(reason));
    if (reason < EXIT_REASON_LIMIT && details[reason] != NULL)
        details[reason](&text, c);
    if (delivering.valid) {
        add(&text, ", while delivering ");
        describe_event(&text, &delivering);
    }
    return text.used;
}
