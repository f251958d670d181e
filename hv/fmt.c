/*
 * printf for code without a libc. One pass, no recursion, no allocation; never writes beyond what it was
 * given.
 */
#include "hv/fmt.h"

struct sink {
    char *out;
    size_t room; /* bytes of out, the terminator included */
    size_t length;
};

struct spec {
    bool left;
    bool zero;
    size_t width;
    size_t precision; /* SIZE_MAX: none */
    int size;         /* 0 int, 1 long, 2 long long; size_t counts as long */
};

static void put(struct sink *sink, char c)
{
    if (sink->length + 1 < sink->room)
        sink->out[sink->length] = c;
    sink->length++;
}

static void put_field(struct sink *sink, const struct spec *spec, const char *text, size_t length)
{
    size_t pad = spec->width > length ? spec->width - length : 0;
    if (!spec->left)
        for (size_t i = 0; i < pad; i++)
            put(sink, ' ');
    for (size_t i = 0; i < length; i++)
        put(sink, text[i]);
    if (spec->left)
        for (size_t i = 0; i < pad; i++)
            put(sink, ' ');
}

static void put_number(struct sink *sink, const struct spec *spec, uint64_t value, unsigned base, bool upper,
                       bool negative)
{
    char digits[24];
    const char *alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t at = sizeof(digits);
    do {
        digits[--at] = alphabet[value % base];
        value /= base;
    } while (value != 0);
    if (spec->zero && !spec->left) {
        if (negative)
            put(sink, '-');
        for (size_t n = sizeof(digits) - at + (negative ? 1 : 0); n < spec->width; n++)
            put(sink, '0');
        for (; at < sizeof(digits); at++)
            put(sink, digits[at]);
        return;
    }
    if (negative)
        digits[--at] = '-';
    put_field(sink, spec, digits + at, sizeof(digits) - at);
}

/* Reads flags, width, precision and size after a '%'; returns the place of the conversion letter. */
static const char *parse_spec(const char *at, struct spec *spec, va_list *args)
{
    *spec = (struct spec){.precision = SIZE_MAX};
    for (;; at++) {
        if (*at == '-')
            spec->left = true;
        else if (*at == '0')
            spec->zero = true;
        else
            break;
    }
    if (*at == '*') {
        int64_t width = va_arg(*args, int);
        spec->left = spec->left || width < 0;
        spec->width = (size_t)(width < 0 ? -width : width);
        at++;
    }
    for (; *at >= '0' && *at <= '9'; at++)
        spec->width = spec->width * 10 + (size_t)(*at - '0');
    if (*at == '.') {
        at++;
        spec->precision = 0;
        if (*at == '*') {
            int precision = va_arg(*args, int);
            spec->precision = precision >= 0 ? (size_t)precision : SIZE_MAX;
            at++;
        }
        for (; *at >= '0' && *at <= '9'; at++)
            spec->precision = spec->precision * 10 + (size_t)(*at - '0');
    }
    for (; *at == 'l' || *at == 'z'; at++)
        spec->size++;
    return at;
}

static uint64_t next_unsigned(const struct spec *spec, va_list *args)
{
    return spec->size > 0 ? va_arg(*args, uint64_t) : va_arg(*args, unsigned);
}

static int64_t next_signed(const struct spec *spec, va_list *args)
{
    return spec->size > 0 ? va_arg(*args, int64_t) : va_arg(*args, int);
}

/* False for a letter that is no conversion of ours. */
static bool convert(struct sink *sink, char letter, const struct spec *spec, va_list *args)
{
    switch (letter) {
    case 'c': {
        char c = (char)va_arg(*args, int);
        put_field(sink, spec, &c, 1);
        return true;
    }
    case 's': {
        const char *text = va_arg(*args, const char *);
        if (text == NULL)
            text = "(null)";
        put_field(sink, spec, text, fmt_length(text, spec->precision));
        return true;
    }
    case 'd':
    case 'i': {
        int64_t value = next_signed(spec, args);
        put_number(sink, spec, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, false, value < 0);
        return true;
    }
    case 'u':
        put_number(sink, spec, next_unsigned(spec, args), 10, false, false);
        return true;
    case 'x':
    case 'X':
        put_number(sink, spec, next_unsigned(spec, args), 16, letter == 'X', false);
        return true;
    case 'p':
        put(sink, '0');
        put(sink, 'x');
        put_number(sink, spec, (uintptr_t)va_arg(*args, void *), 16, false, false);
        return true;
    case '%':
        put(sink, '%');
        return true;
    default:
        return false;
    }
}

size_t fmt_vsnprintf(char *out, size_t out_bytes, const char *format, va_list args)
{
    struct sink sink = {.out = out, .room = out_bytes};
    va_list rest;
    va_copy(rest, args);
    for (const char *at = format; *at != '\0'; at++) {
        if (*at != '%') {
            put(&sink, *at);
            continue;
        }
        struct spec spec;
        const char *letter = parse_spec(at + 1, &spec, &rest);
        if (*letter != '\0' && convert(&sink, *letter, &spec, &rest))
            at = letter;
        else
            put(&sink, '%');
    }
    va_end(rest);
    if (out_bytes > 0)
        out[sink.length < out_bytes ? sink.length : out_bytes - 1] = '\0';
    return sink.length;
}

size_t fmt_snprintf(char *out, size_t out_bytes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t length = fmt_vsnprintf(out, out_bytes, format, args);
    va_end(args);
    return length;
}

void fmt_size(char *out, size_t out_bytes, uint64_t bytes)
{
    const char *unit = "K";
    uint64_t number = bytes >> 10;
    if (number > 0 && number % 1024 == 0) {
        unit = "M";
        number >>= 10;
    }
    if (*unit == 'M' && number % 1024 == 0) {
        unit = "G";
        number >>= 10;
    }
    fmt_snprintf(out, out_bytes, "%llu%s", (unsigned long long)number, unit);
}

size_t fmt_length(const char *text, size_t limit)
{
    size_t length = 0;
    while (length < limit && text[length] != '\0')
        length++;
    return length;
}

bool fmt_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool fmt_copy(char *out, size_t out_bytes, const char *text)
{
    size_t i = 0;
    for (; i + 1 < out_bytes && text[i] != '\0'; i++)
        out[i] = text[i];
    if (out_bytes > 0)
        out[i] = '\0';
    return text[i] == '\0';
}
