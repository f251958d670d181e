/*
 * A 16550 by its ports, polled, for as long as boot/ runs. Source: National Semiconductor PC16550D data
 * sheet, June 1995.
 */
#ifndef FREEHOLD_BOOT_UART_H
#define FREEHOLD_BOOT_UART_H

#include "alloc/base.h"

#define COM1_PORT 0x3F8
#define COM2_PORT 0x2F8

/* Whether a UART answers at `port`. Leaves it as it was. */
bool uart_present(uint16_t port);

/* 115200 baud, 8 data bits, no parity, one stop bit, no interrupts. */
void uart_init(uint16_t port);

/* Sends bytes; gives up on one after a bounded wait. */
void uart_write(uint16_t port, const char *bytes, size_t length);

/* Waits, within the same bounds, until the last byte has left: before the power goes. */
void uart_drain(uint16_t port);

#endif
