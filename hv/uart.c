/*
 * The 16550A model. Every register is one byte; wider accesses come split by the bus. Never loses a guest's
 * byte that was written while LSR.THRE was set.
 */
#include "hv/uart.h"

#define LINES_OF_TERMINAL (UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD)

void uart_init(struct uart *uart, struct uart_output output)
{
    *uart = (struct uart){.output = output, .msr = LINES_OF_TERMINAL, .dll = 1, .thre_event = true};
}

static bool fifo_on(const struct uart *uart)
{
    return (uart->fcr & UART_FCR_ENABLE) != 0;
}

static bool loopback(const struct uart *uart)
{
    return (uart->mcr & UART_MCR_LOOPBACK) != 0;
}

static bool transmitter_empty(const struct uart *uart)
{
    return loopback(uart) || uart->output.room(uart->output.context);
}

/* ---------------------------------------------------------------- receiver */

static uint32_t capacity(const struct uart *uart)
{
    return fifo_on(uart) ? UART_FIFO_BYTES : 1;
}

/* With FIFOs the new byte is lost, without them it replaces the old one. Either way one is. */
static bool take_in(struct uart *uart, uint8_t byte)
{
    bool room = uart->received < capacity(uart);
    if (!room)
        uart->overrun = UART_LSR_OVERRUN;
    if (!room && fifo_on(uart))
        return false;
    if (!room)
        uart->received = 0;
    uart->fifo[(uart->first + uart->received) % UART_FIFO_BYTES] = byte;
    uart->received++;
    return room;
}

bool uart_can_receive(const struct uart *uart)
{
    return !loopback(uart) && uart->received < capacity(uart);
}

bool uart_receive(struct uart *uart, uint8_t byte)
{
    return !loopback(uart) && take_in(uart, byte);
}

static uint8_t read_received(struct uart *uart)
{
    if (uart->received == 0)
        return 0;
    uint8_t byte = uart->fifo[uart->first];
    uart->first = (uart->first + 1) % UART_FIFO_BYTES;
    uart->received--;
    return byte;
}

/* ---------------------------------------------------------------- transmitter */

static void write_transmit(struct uart *uart, uint8_t byte)
{
    uart->thre_event = true; /* it leaves at once, or as soon as there is room: then the event shows */
    if (loopback(uart))
        take_in(uart, byte);
    else if (transmitter_empty(uart))
        uart->output.put(uart->output.context, byte);
    else
        uart->lost++;
}

/* ---------------------------------------------------------------- interrupts */

static uint32_t trigger_level(const struct uart *uart)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    return fifo_on(uart) ? levels[uart->fcr >> UART_FCR_TRIGGER_SHIFT] : 1;
}

/* The source of highest priority that is enabled and present, or UART_IIR_NONE. */
static uint8_t interrupt_source(const struct uart *uart)
{
    if ((uart->ier & UART_IER_LINE) != 0 && uart->overrun != 0)
        return UART_IIR_LINE;
    if ((uart->ier & UART_IER_RECEIVED) != 0 && uart->received > 0)
        return uart->received >= trigger_level(uart) ? UART_IIR_RECEIVED : UART_IIR_TIMEOUT;
    if ((uart->ier & UART_IER_THRE) != 0 && uart->thre_event && transmitter_empty(uart))
        return UART_IIR_THRE;
    if ((uart->ier & UART_IER_MODEM) != 0 && (uart->msr & UART_MSR_DELTAS) != 0)
        return UART_IIR_MODEM;
    return UART_IIR_NONE;
}

bool uart_interrupt_pending(const struct uart *uart)
{
    return (uart->mcr & UART_MCR_OUT2) != 0 && !loopback(uart) && interrupt_source(uart) != UART_IIR_NONE;
}

static uint8_t read_iir(struct uart *uart)
{
    uint8_t source = interrupt_source(uart);
    if (source == UART_IIR_THRE)
        uart->thre_event = false;
    return (uint8_t)(source | (fifo_on(uart) ? UART_IIR_FIFO : 0));
}

/* Switching the source on while the transmitter is empty raises it. */
static void write_ier(struct uart *uart, uint8_t value)
{
    if ((value & ~uart->ier & UART_IER_THRE) != 0)
        uart->thre_event = true;
    uart->ier = value & UART_IER_MASK;
}

/* ---------------------------------------------------------------- FIFO, modem and line registers */

static void clear_receiver(struct uart *uart)
{
    uart->received = 0;
    uart->first = 0;
}

/* The other bits are programmed only with the enable bit set; changing that one empties the FIFOs. */
static void write_fcr(struct uart *uart, uint8_t value)
{
    bool change = ((value ^ uart->fcr) & UART_FCR_ENABLE) != 0;
    bool on = (value & UART_FCR_ENABLE) != 0;
    if (change || (on && (value & UART_FCR_CLEAR_RECEIVE) != 0))
        clear_receiver(uart);
    uart->fcr = on ? value & (uint8_t) ~(UART_FCR_CLEAR_RECEIVE | UART_FCR_CLEAR_TRANSMIT) : 0;
}

/* The four status lines: a terminal's, or in loopback mode the port's own outputs. */
static uint8_t modem_lines(const struct uart *uart)
{
    if (!loopback(uart))
        return LINES_OF_TERMINAL;
    return (uint8_t)(((uart->mcr & UART_MCR_RTS) != 0 ? UART_MSR_CTS : 0) |
                     ((uart->mcr & UART_MCR_DTR) != 0 ? UART_MSR_DSR : 0) |
                     ((uart->mcr & UART_MCR_OUT1) != 0 ? UART_MSR_RI : 0) |
                     ((uart->mcr & UART_MCR_OUT2) != 0 ? UART_MSR_DCD : 0));
}

static void write_mcr(struct uart *uart, uint8_t value)
{
    uart->mcr = value & UART_MCR_MASK;
    uint8_t now = modem_lines(uart);
    uint8_t changed = (uart->msr ^ now) & (uint8_t)~UART_MSR_DELTAS;
    uint8_t deltas = (uint8_t)((changed & (UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD)) >> 4);
    if ((changed & ~now & UART_MSR_RI) != 0) /* RI tells only of its trailing edge */
        deltas |= UART_MSR_TRAIL_RI;
    uart->msr = (uint8_t)(now | (uart->msr & UART_MSR_DELTAS) | deltas);
}

static uint8_t read_msr(struct uart *uart)
{
    uint8_t value = uart->msr;
    uart->msr &= (uint8_t)~UART_MSR_DELTAS;
    return value;
}

static uint8_t read_lsr(struct uart *uart)
{
    uint8_t value = uart->overrun;
    uart->overrun = 0;
    if (uart->received > 0)
        value |= UART_LSR_DATA;
    if (transmitter_empty(uart))
        value |= UART_LSR_THRE | UART_LSR_TEMT;
    return value;
}

/* ---------------------------------------------------------------- access */

static uint8_t read_register(struct uart *uart, uint16_t offset)
{
    bool divisor = (uart->lcr & UART_LCR_DLAB) != 0;
    switch (offset) {
    case UART_RBR_THR:
        return divisor ? uart->dll : read_received(uart);
    case UART_IER:
        return divisor ? uart->dlm : uart->ier;
    case UART_IIR_FCR:
        return read_iir(uart);
    case UART_LCR:
        return uart->lcr;
    case UART_MCR:
        return uart->mcr;
    case UART_LSR:
        return read_lsr(uart);
    case UART_MSR:
        return read_msr(uart);
    default:
        return uart->scr;
    }
}

/* LSR is for reading only; what is written to MSR is ignored: both are for factory tests. */
static void write_register(struct uart *uart, uint16_t offset, uint8_t value)
{
    bool divisor = (uart->lcr & UART_LCR_DLAB) != 0;
    switch (offset) {
    case UART_RBR_THR:
        if (divisor)
            uart->dll = value;
        else
            write_transmit(uart, value);
        return;
    case UART_IER:
        if (divisor)
            uart->dlm = value;
        else
            write_ier(uart, value);
        return;
    case UART_IIR_FCR:
        write_fcr(uart, value);
        return;
    case UART_LCR:
        uart->lcr = value;
        return;
    case UART_MCR:
        write_mcr(uart, value);
        return;
    case UART_SCR:
        uart->scr = value;
        return;
    default:
        return;
    }
}

enum bus_result uart_access(void *device, struct bus_access *access)
{
    struct uart *uart = device;
    CHECK(access->bytes == 1 && access->offset < UART_PORTS);
    if (access->write)
        write_register(uart, access->offset, (uint8_t)access->value);
    else
        access->value = read_register(uart, access->offset);
    return BUS_HANDLED;
}
