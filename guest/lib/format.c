/* The formatter. Pure: tested on the host against libc's. */
#include "guest/lib/print.h"

struct sink {
    char *text;
    size_t room; /* bytes of text, with the NUL */
    size_t length;
};

static void put(struct sink *sink, char c)
{
    if (sink->length + 1 < sink->room)
        sink->text[sink->length] = c;
    sink->length++;
}

struct spec {
    bool left, zero;
    unsigned width;
    unsigned longs;
};

static void put_padded(struct sink *sink, const struct spec *spec, const char *text, size_t length)
{
    size_t padding = spec->width > length ? spec->width - length : 0;
    for (size_t i = 0; !spec->left && i < padding; i++)
        put(sink, spec->zero ? '0' : ' ');
    for (size_t i = 0; i < length; i++)
        put(sink, text[i]);
    for (size_t i = 0; spec->left && i < padding; i++)
        put(sink, ' ');
}

static void put_number(struct sink *sink, const struct spec *spec, uint64_t value, unsigned base,
                       bool negative)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative)
        digits[--at] = '-';
    put_padded(sink, spec, digits + at, sizeof digits - at);
}

static const char *parse_spec(const char *fmt, struct spec *spec)
{
    *spec = (struct spec){0};
    for (; *fmt == '-' || *fmt == '0'; fmt++) {
        spec->left |= *fmt == '-';
        spec->zero |= *fmt == '0';
    }
    for (; *fmt >= '0' && *fmt <= '9'; fmt++)
        spec->width = spec->width * 10 + (unsigned)(*fmt - '0');
    for (; *fmt == 'l' || *fmt == 'z'; fmt++)
        spec->longs++;
    return fmt;
}

size_t format_args(char *text, size_t bytes, const char *fmt, va_list args)
{
    struct sink sink = {text, bytes, 0};
    for (; *fmt != 0; fmt++) {
        if (*fmt != '%') {
            put(&sink, *fmt);
            continue;
        }
        struct spec spec;
        fmt = parse_spec(fmt + 1, &spec);
        if (*fmt == 's') {
            const char *string = va_arg(args, const char *);
            put_padded(&sink, &spec, string, __builtin_strlen(string));
        } else if (*fmt == 'c') {
            char c = (char)va_arg(args, int);
            put_padded(&sink, &spec, &c, 1);
        } else if (*fmt == 'd') {
            int64_t value = spec.longs ? va_arg(args, int64_t) : va_arg(args, int);
            put_number(&sink, &spec, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, value < 0);
        } else if (*fmt == 'u' || *fmt == 'x') {
            uint64_t value = spec.longs ? va_arg(args, uint64_t) : va_arg(args, unsigned);
            put_number(&sink, &spec, value, *fmt == 'x' ? 16 : 10, false);
        } else if (*fmt != 0) {
            put(&sink, *fmt);
        } else {
            break;
        }
    }
    if (bytes > 0)
        text[sink.length < bytes ? sink.length : bytes - 1] = 0;
    return sink.length;
}

size_t format(char *text, size_t bytes, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t length = format_args(text, bytes, fmt, args);
    va_end(args);
    return length;
}
