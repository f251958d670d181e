/* Parsing the command line. */
#include "guest/lib/cmdline.h"

#include "guest/lib/entry.h"

bool text_equal(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool cmdline_word(unsigned index, char *word, size_t bytes)
{
    const char *at = boot_info()->cmdline;
    const char *end = at + sizeof boot_info()->cmdline;
    for (;; index--) {
        while (at < end && *at == ' ')
            at++;
        if (at == end || *at == 0)
            return false;
        size_t length = 0;
        for (; at < end && *at != 0 && *at != ' '; at++) {
            if (length + 1 < bytes)
                word[length++] = *at;
        }
        word[length] = 0;
        if (index == 0)
            return true;
    }
}

bool cmdline_has(const char *name)
{
    char word[64];
    for (unsigned i = 0; cmdline_word(i, word, sizeof word); i++) {
        if (text_equal(word, name))
            return true;
    }
    return false;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    return 99;
}

static uint64_t number_value(const char *text)
{
    unsigned base = 10;
    if (text[0] == '0' && text[1] == 'x') {
        base = 16;
        text += 2;
    }
    uint64_t value = 0;
    for (; digit_value(*text) < base; text++)
        value = value * base + digit_value(*text);
    if (*text == 'K')
        return value << 10;
    if (*text == 'M')
        return value << 20;
    if (*text == 'G')
        return value << 30;
    return value;
}

uint64_t cmdline_number(const char *name, uint64_t otherwise)
{
    char word[64];
    size_t length = __builtin_strlen(name);
    for (unsigned i = 0; cmdline_word(i, word, sizeof word); i++) {
        if (__builtin_memcmp(word, name, length) == 0 && word[length] == '=')
            return number_value(word + length + 1);
    }
    return otherwise;
}
