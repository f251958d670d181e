/*
 * Group `uart`: the registers of a polled 16550 at FH_PORT_UART. Bits: National Semiconductor PC16550D data
 * sheet, "Registers" (June 1995).
 */
#include "guest/selftest/check.h"

#define UART_DATA    (FH_PORT_UART + 0)
#define UART_IER     (FH_PORT_UART + 1)
#define UART_IIR_FCR (FH_PORT_UART + 2)
#define UART_LCR     (FH_PORT_UART + 3)
#define UART_MCR     (FH_PORT_UART + 4)
#define UART_LSR     (FH_PORT_UART + 5)
#define UART_MSR     (FH_PORT_UART + 6)
#define UART_SCRATCH (FH_PORT_UART + 7)

#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY  0x20
#define LSR_ALL_EMPTY  0x40
#define LCR_8_BITS     0x03
#define LCR_DLAB       0x80
#define IIR_NOTHING    0x01
#define IER_BITS       0x0F
#define MCR_BITS       0x1F
#define DIVISOR_115200 1

static void check_register(uint16_t port, uint8_t value, uint8_t bits, const char *name)
{
    uint8_t old = in8(port);
    out8(port, value);
    uint8_t seen = in8(port);
    check(seen == (value & bits), "%s is 0x%x after writing 0x%x", name, seen, value);
    out8(port, old);
}

static void check_divisor(void)
{
    uint8_t ier = in8(UART_IER);
    out8(UART_LCR, LCR_DLAB | LCR_8_BITS);
    out8(UART_DATA, DIVISOR_115200);
    out8(UART_IER, 0);
    check_equal(in8(UART_DATA), DIVISOR_115200, "divisor latch, low");
    check_equal(in8(UART_IER), 0, "divisor latch, high");
    out8(UART_LCR, LCR_8_BITS);
    check_equal(in8(UART_IER), ier, "IER behind the divisor latch");
}

void group_uart(void)
{
    check_equal(in8(UART_LSR) & (LSR_THR_EMPTY | LSR_ALL_EMPTY | LSR_DATA_READY),
                LSR_THR_EMPTY | LSR_ALL_EMPTY, "line status at rest");
    check((in8(UART_IIR_FCR) & 0x0F) == IIR_NOTHING, "interrupt identification 0x%x", in8(UART_IIR_FCR));
    check_register(UART_SCRATCH, 0xA5, 0xFF, "scratch register");
    check_register(UART_SCRATCH, 0x5A, 0xFF, "scratch register");
    check_register(UART_LCR, LCR_8_BITS, 0xFF, "line control");
    check_register(UART_MCR, 0x03, MCR_BITS, "modem control");
    uint8_t ier = in8(UART_IER);
    check((ier & ~IER_BITS) == 0, "IER is 0x%x", ier);
    check_divisor();
    out8(UART_MSR, 0xFF); /* read only: nothing comes of it */
    out8(UART_LSR, 0x00);
    check((in8(UART_LSR) & LSR_THR_EMPTY) != 0, "line status after a write to it");
    check(uart_write("selftest: this line came through the UART\n"), "the transmitter never empties");
    static const char line[] = "selftest: and this one by REP OUTSB\n";
    uint64_t rsi = (uint64_t)(uintptr_t)line, rcx = sizeof line - 1;
    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(FH_PORT_UART) : "memory");
    check(rcx == 0 && rsi == (uint64_t)(uintptr_t)line + sizeof line - 1, "REP OUTSB to the UART: RCX %lu",
          rcx);
}
