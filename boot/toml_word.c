/*
 * Which words are integers, fractions, dates and times. Works on a word at a time; reads no more than it.
 */
#include "boot/toml_word.h"

#include "hv/fmt.h"

int toml_digit_value(int byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return 255;
}

bool toml_word_is(struct toml_word word, const char *text)
{
    return fmt_length(text, word.length + 1) == word.length &&
           __builtin_memcmp(word.text, text, word.length) == 0;
}

static struct toml_word word_after(struct toml_word word, uint32_t bytes)
{
    return (struct toml_word){word.text + bytes, word.length - bytes};
}

/* The digits (with single underscores between them) that a word starts with, in bytes; 0 when there are none
 * or an underscore has no digit on both sides. */
static uint32_t digit_run(struct toml_word word, int base)
{
    uint32_t i = 0;
    bool digit_before = false;
    for (; i < word.length; i++) {
        if (toml_digit_value(word.text[i]) < base)
            digit_before = true;
        else if (word.text[i] == '_' && digit_before)
            digit_before = false;
        else
            break;
    }
    return digit_before ? i : 0;
}

static bool has_leading_zero(struct toml_word digits)
{
    return digits.length > 1 && digits.text[0] == '0';
}

static bool has_sign(struct toml_word word)
{
    return word.length > 0 && (word.text[0] == '+' || word.text[0] == '-');
}

bool toml_word_numeric(struct toml_word word)
{
    return has_sign(word) || (word.length > 0 && word.text[0] >= '0' && word.text[0] <= '9');
}

bool toml_word_has_leading_zero(struct toml_word word)
{
    return has_leading_zero(word) && digit_run(word, 10) == word.length;
}

/* Digits and underscores to a number of at most `limit`. False: it is larger. */
static bool digits_value(struct toml_word digits, uint64_t base, uint64_t limit, uint64_t *value)
{
    *value = 0;
    for (uint32_t i = 0; i < digits.length; i++) {
        if (digits.text[i] == '_')
            continue;
        uint64_t digit = (uint64_t)toml_digit_value(digits.text[i]);
        if (*value > (limit - digit) / base)
            return false;
        *value = *value * base + digit;
    }
    return true;
}

static uint32_t number_base(struct toml_word word)
{
    if (word.length < 2 || word.text[0] != '0')
        return 10;
    return word.text[1] == 'x' ? 16 : word.text[1] == 'o' ? 8 : word.text[1] == 'b' ? 2 : 10;
}

bool toml_word_integer(struct toml_word word, int64_t *integer, bool *fits)
{
    bool negative = word.length > 0 && word.text[0] == '-';
    struct toml_word digits = has_sign(word) ? word_after(word, 1) : word;
    uint32_t base = has_sign(word) ? 10 : number_base(word);
    if (base != 10)
        digits = word_after(word, 2);
    if (digits.length == 0 || digit_run(digits, (int)base) != digits.length)
        return false;
    if (base == 10 && has_leading_zero(digits))
        return false;
    uint64_t magnitude = 0;
    *fits = digits_value(digits, base, (uint64_t)INT64_MAX + negative, &magnitude);
    *integer = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

bool toml_word_float(struct toml_word word)
{
    struct toml_word rest = has_sign(word) ? word_after(word, 1) : word;
    if (toml_word_is(rest, "inf") || toml_word_is(rest, "nan"))
        return true;
    uint32_t whole = digit_run(rest, 10);
    if (whole == 0 || whole == rest.length || has_leading_zero((struct toml_word){rest.text, whole}))
        return false;
    rest = word_after(rest, whole);
    if (rest.text[0] == '.') {
        uint32_t fraction = digit_run(word_after(rest, 1), 10);
        if (fraction == 0)
            return false;
        rest = word_after(rest, 1 + fraction);
    }
    if (rest.length == 0)
        return true;
    if (rest.text[0] != 'e' && rest.text[0] != 'E')
        return false;
    rest = word_after(rest, 1);
    if (has_sign(rest))
        rest = word_after(rest, 1);
    return rest.length > 0 && digit_run(rest, 10) == rest.length;
}

bool toml_word_like(struct toml_word word, const char *pattern)
{
    uint32_t i = 0;
    for (; pattern[i] != '\0'; i++) {
        if (i >= word.length)
            return false;
        bool digit = word.text[i] >= '0' && word.text[i] <= '9';
        if (pattern[i] == '9' ? !digit : word.text[i] != pattern[i])
            return false;
    }
    return true;
}

#define TIME_PATTERN "99:99:99"

static int two_digits(const char *text)
{
    return (text[0] - '0') * 10 + text[1] - '0';
}

/* HH:MM:SS with an optional fraction: its length, or 0. */
static uint32_t time_length(struct toml_word word)
{
    uint32_t length = sizeof(TIME_PATTERN) - 1;
    if (!toml_word_like(word, TIME_PATTERN) || two_digits(word.text) > 23 || two_digits(word.text + 3) > 59 ||
        two_digits(word.text + 6) > 60)
        return 0;
    if (length == word.length || word.text[length] != '.')
        return length;
    uint32_t start = ++length;
    while (length < word.length && word.text[length] >= '0' && word.text[length] <= '9')
        length++;
    return length > start ? length : 0;
}

static bool word_time_zone(struct toml_word word)
{
    if (toml_word_is(word, "Z") || toml_word_is(word, "z"))
        return true;
    return word.length == 6 && (toml_word_like(word, "+99:99") || toml_word_like(word, "-99:99")) &&
           two_digits(word.text + 1) < 24 && two_digits(word.text + 4) < 60;
}

/* Days in month are not checked: no setting takes a date. */
bool toml_word_date_time(struct toml_word word)
{
    uint32_t date = sizeof(TOML_DATE_PATTERN) - 1;
    if (!toml_word_like(word, TOML_DATE_PATTERN))
        return word.length > 0 && time_length(word) == word.length;
    int month = two_digits(word.text + 5), day = two_digits(word.text + 8);
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    if (word.length == date)
        return true;
    if (word.text[date] != 'T' && word.text[date] != 't' && word.text[date] != ' ')
        return false;
    struct toml_word rest = word_after(word, date + 1);
    uint32_t time = time_length(rest);
    return time > 0 && (time == rest.length || word_time_zone(word_after(rest, time)));
}
