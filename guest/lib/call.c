/* Hypercalls, with the patience that FH_E_AGAIN asks for. */
#include "guest/lib/call.h"

#include "guest/lib/cpu.h"
#include "guest/lib/hypercall.h"
#include "guest/lib/print.h"
#include <stdarg.h>

static unsigned failed;

int64_t hypercall(uint64_t number, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
    return vmcall(number, rdi, rsi, rdx);
}

static uint64_t address_of(const void *object)
{
    return (uint64_t)(uintptr_t)object; /* everything is mapped one to one */
}

void console_write(const char *text, uint64_t bytes)
{
    while (bytes > 0) {
        uint64_t chunk = bytes < FH_BUFFER_MAX ? bytes : FH_BUFFER_MAX;
        int64_t taken = hypercall(FH_CALL_CONSOLE_WRITE, address_of(text), chunk, 0);
        if (taken == FH_E_AGAIN || taken == 0) {
            cpu_pause();
            continue;
        }
        if (taken < 0)
            return;
        text += taken;
        bytes -= (uint64_t)taken;
    }
}

void progress(uint64_t counter)
{
    (void)hypercall(FH_CALL_PROGRESS, counter, 0, 0);
}

bool verdict(bool pass, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    uint64_t bytes = format_args(text, sizeof text, fmt, args);
    va_end(args);
    if (bytes >= sizeof text)
        bytes = sizeof text - 1;
    if (!pass)
        __atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
    while (hypercall(FH_CALL_VERDICT, pass, address_of(text), bytes) == FH_E_AGAIN)
        cpu_pause();
    return pass;
}

unsigned verdicts_failed(void)
{
    return __atomic_load_n(&failed, __ATOMIC_RELAXED);
}

void metric(const char *name, uint64_t value)
{
    uint64_t bytes = 0;
    while (name[bytes] != 0)
        bytes++;
    while (hypercall(FH_CALL_METRIC, address_of(name), bytes, value) == FH_E_AGAIN)
        cpu_pause();
}

void guest_exit(enum exit_code code)
{
    (void)hypercall(FH_CALL_EXIT, code, 0, 0);
    for (;;)
        out8(FH_PORT_EXIT, (uint8_t)code);
}
