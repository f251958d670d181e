/*
 * printf for code without a libc: %s %c %d %u %x %llx-style sizes, width, zero padding, left adjustment.
 * Pure.
 */
#ifndef FREEHOLD_HV_FMT_H
#define FREEHOLD_HV_FMT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Formats into out (always terminated when out_bytes > 0); returns the length the whole text has, as snprintf
 * does. Conversions: %% %c %s %d %i %u %x %X %p with -, 0, width (or *), .precision for %s, and the sizes l,
 * ll, z. An unknown conversion is copied as it stands.
 */
size_t fmt_vsnprintf(char *out, size_t out_bytes, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
size_t fmt_snprintf(char *out, size_t out_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A number of bytes for people, exact where it can be: "2G", "1536M", "640K"; below 1 KiB "0K". */
void fmt_size(char *out, size_t out_bytes, uint64_t bytes);

/* Bounded string helpers. */
size_t fmt_length(const char *text, size_t limit);
bool fmt_equal(const char *a, const char *b);
/* Copies with termination; false when it had to cut. */
bool fmt_copy(char *out, size_t out_bytes, const char *text);

#endif
