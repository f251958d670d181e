/* Output. */
#include "guest/lib/print.h"

#include "guest/abi.h"
#include "guest/lib/call.h"
#include "guest/lib/cpu.h"

#define UART_LSR            (FH_PORT_UART + 5)
#define UART_LSR_THR_EMPTY  0x20
#define UART_PATIENCE_POLLS 10000000u

void print(const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    size_t length = format_args(text, sizeof text, fmt, args);
    va_end(args);
    if (length >= sizeof text) {
        length = sizeof text - 1;
        text[length - 1] = '\n';
    }
    static bool busy;
    while (__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE))
        cpu_pause();
    console_write(text, length);
    __atomic_clear(&busy, __ATOMIC_RELEASE);
}

static bool uart_put(uint8_t byte)
{
    for (unsigned polls = 0; polls < UART_PATIENCE_POLLS; polls++) {
        if (in8(UART_LSR) & UART_LSR_THR_EMPTY) {
            out8(FH_PORT_UART, byte);
            return true;
        }
        cpu_pause();
    }
    return false;
}

bool uart_write(const char *text)
{
    for (; *text != 0; text++) {
        if (!uart_put((uint8_t)*text))
            return false;
    }
    return true;
}
