/*
 * A 16550A serial port as a guest sees it, without its timing: a byte written is on its way at once, as long
 * as the other side has room. Pure. The caller serialises.
 *
 * Source: National Semiconductor, "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs", June
 * 1995. Not modelled: baud rate, word length and parity (bytes pass whole), break, and what a line could do
 * wrong.
 */
#ifndef FREEHOLD_HV_UART_H
#define FREEHOLD_HV_UART_H

#include "hv/bus.h"

#define UART_PORTS      8
#define UART_FIFO_BYTES 16

/* Registers by offset. With LCR.DLAB set, 0 and 1 are the divisor latch. */
#define UART_RBR_THR 0 /* read: received byte; write: byte to send */
#define UART_IER     1
#define UART_IIR_FCR 2 /* read: interrupt identification; write: FIFO control */
#define UART_LCR     3
#define UART_MCR     4
#define UART_LSR     5
#define UART_MSR     6
#define UART_SCR     7
#define UART_DLL     0
#define UART_DLM     1

#define UART_IER_RECEIVED 0x01u
#define UART_IER_THRE     0x02u
#define UART_IER_LINE     0x04u
#define UART_IER_MODEM    0x08u
#define UART_IER_MASK     0x0Fu

#define UART_IIR_NONE     0x01u /* no interrupt pending */
#define UART_IIR_MODEM    0x00u
#define UART_IIR_THRE     0x02u
#define UART_IIR_RECEIVED 0x04u
#define UART_IIR_LINE     0x06u
#define UART_IIR_TIMEOUT  0x0Cu /* bytes below the trigger level wait */
#define UART_IIR_FIFO     0xC0u /* the FIFOs are on */

#define UART_FCR_ENABLE         0x01u
#define UART_FCR_CLEAR_RECEIVE  0x02u
#define UART_FCR_CLEAR_TRANSMIT 0x04u
#define UART_FCR_DMA            0x08u
#define UART_FCR_TRIGGER_SHIFT  6

#define UART_LCR_DLAB 0x80u

#define UART_MCR_DTR      0x01u
#define UART_MCR_RTS      0x02u
#define UART_MCR_OUT1     0x04u
#define UART_MCR_OUT2     0x08u /* on a PC: connects the interrupt line */
#define UART_MCR_LOOPBACK 0x10u
#define UART_MCR_MASK     0x1Fu

#define UART_LSR_DATA    0x01u
#define UART_LSR_OVERRUN 0x02u
#define UART_LSR_THRE    0x20u /* room for a byte to send */
#define UART_LSR_TEMT    0x40u /* and nothing on its way */

#define UART_MSR_DELTA_CTS 0x01u
#define UART_MSR_DELTA_DSR 0x02u
#define UART_MSR_TRAIL_RI  0x04u
#define UART_MSR_DELTA_DCD 0x08u
#define UART_MSR_DELTAS    0x0Fu
#define UART_MSR_CTS       0x10u
#define UART_MSR_DSR       0x20u
#define UART_MSR_RI        0x40u
#define UART_MSR_DCD       0x80u

/* Where bytes go. Both are called inside uart_access, with whatever lock its caller holds. */
struct uart_output {
    bool (*room)(void *context);              /* whether put would take a byte now */
    void (*put)(void *context, uint8_t byte); /* only after room said yes */
    void *context;
};

struct uart {
    struct uart_output output;
    uint8_t ier, lcr, mcr, scr, dll, dlm;
    uint8_t fcr;       /* enable, DMA and trigger bits as they hold */
    uint8_t overrun;   /* LSR_OVERRUN, until LSR is read */
    uint8_t msr;       /* lines and deltas */
    bool thre_event;   /* the transmitter ran empty, and nobody was told yet */
    uint32_t received; /* bytes that wait; at most 1 while the FIFOs are off */
    uint32_t first;    /* of them, in fifo */
    uint8_t fifo[UART_FIFO_BYTES];
    uint64_t lost; /* bytes written while there was no room */
};

/* The state after a reset: 16550A values, CTS, DSR and DCD raised as by a connected terminal. */
void uart_init(struct uart *uart, struct uart_output output);

/* For struct bus_region: width 1, UART_PORTS ports, device a struct uart. Always BUS_HANDLED. */
enum bus_result uart_access(void *device, struct bus_access *access);

/*
 * A byte comes in. False when it was lost (no room, or the port is in loopback mode): uart_can_receive tells
 * before. Lost bytes set LSR_OVERRUN.
 */
bool uart_receive(struct uart *uart, uint8_t byte);
bool uart_can_receive(const struct uart *uart);

/* Whether the interrupt line is raised: a source that is enabled, OUT2 set, no loopback. Changes nothing. */
bool uart_interrupt_pending(const struct uart *uart);

#endif
