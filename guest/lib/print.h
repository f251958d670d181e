/* Text out of a guest: a small formatter, the hypercall console, and the UART, polled. */
#ifndef FREEHOLD_GUEST_LIB_PRINT_H
#define FREEHOLD_GUEST_LIB_PRINT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * %% %c %s %d %u %x with l, ll or z, width, zero padding and left adjustment. Always terminates text; returns
 * the length the whole would have. Output beyond `bytes` is cut.
 */
size_t format_args(char *text, size_t bytes, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
size_t format(char *text, size_t bytes, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* At most 255 bytes to the console by hypercall, whole against other vCPUs. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Text to the UART, waiting for an empty transmitter before each byte; false when it never empties. */
bool uart_write(const char *text);

#endif
