/*
 * The serial port, polled. Must never wait for ever: real machines have UARTs that are there and stuck.
 */
#include "boot/uart.h"

#include "hv/cpu.h"

/* Registers, by offset from the port. */
enum {
    DATA = 0,
    INTERRUPTS = 1,
    FIFO_CONTROL = 2,
    LINE_CONTROL = 3,
    MODEM_CONTROL = 4,
    LINE_STATUS = 5,
    MODEM_STATUS = 6,
    SCRATCH = 7,
    DIVISOR_LOW = 0,
    DIVISOR_HIGH = 1
};

#define LINE_8N1           0x03
#define LINE_DIVISOR       0x80
#define FIFO_ENABLE_CLEAR  0x07
#define MODEM_DTR_RTS      0x03
#define MODEM_LOOP         0x10
#define MODEM_RTS_OUT2     0x0A
#define MODEM_STATUS_LINES 0xF0
#define MODEM_CTS_DCD      0x90 /* where RTS and OUT2 arrive when the lines are looped back */
#define LINE_HOLDING_EMPTY 0x20
#define LINE_ALL_SENT      0x40
#define DIVISOR_115200     1
#define SEND_POLLS         200000 /* about 0.2 s: a port access takes about a microsecond on real machines */

static uint8_t get(uint16_t port, uint16_t offset)
{
    return cpu_in8((uint16_t)(port + offset));
}

static void put(uint16_t port, uint16_t offset, uint8_t value)
{
    cpu_out8((uint16_t)(port + offset), value);
}

static bool keeps(uint16_t port, uint8_t value)
{
    put(port, SCRATCH, value);
    return get(port, SCRATCH) == value;
}

bool uart_present(uint16_t port)
{
    uint8_t scratch = get(port, SCRATCH);
    bool present = keeps(port, 0x55) && keeps(port, 0xAA);
    put(port, SCRATCH, scratch);
    if (!present)
        return false;

    uint8_t modem = get(port, MODEM_CONTROL);
    put(port, MODEM_CONTROL, MODEM_LOOP | MODEM_RTS_OUT2);
    present = (get(port, MODEM_STATUS) & MODEM_STATUS_LINES) == MODEM_CTS_DCD;
    put(port, MODEM_CONTROL, modem);
    return present;
}

void uart_init(uint16_t port)
{
    put(port, INTERRUPTS, 0);
    put(port, LINE_CONTROL, LINE_DIVISOR | LINE_8N1);
    put(port, DIVISOR_LOW, DIVISOR_115200);
    put(port, DIVISOR_HIGH, 0);
    put(port, LINE_CONTROL, LINE_8N1);
    put(port, FIFO_CONTROL, FIFO_ENABLE_CLEAR);
    put(port, MODEM_CONTROL, MODEM_DTR_RTS);
}

static void wait_for(uint16_t port, uint8_t status)
{
    for (uint32_t poll = 0; poll < SEND_POLLS; poll++)
        if ((get(port, LINE_STATUS) & status) != 0)
            return;
}

void uart_write(uint16_t port, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        wait_for(port, LINE_HOLDING_EMPTY);
        put(port, DATA, (uint8_t)bytes[i]);
    }
}

void uart_drain(uint16_t port)
{
    wait_for(port, LINE_ALL_SENT);
}
