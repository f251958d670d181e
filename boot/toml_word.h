/*
 * TOML values without quotes or brackets: numbers, dates, times. A word is judged by its form alone. Pure.
 */
#ifndef FREEHOLD_BOOT_TOML_WORD_H
#define FREEHOLD_BOOT_TOML_WORD_H

#include "alloc/base.h"

/* Part of the text; need not end in NUL. */
struct toml_word {
    const char *text;
    uint32_t length; /* bytes */
};

/* Of a hexadecimal digit; 255 for any other byte. */
int toml_digit_value(int byte);

bool toml_word_is(struct toml_word word, const char *text);

/* True when the word starts as the pattern says: 9 stands for a digit, any other byte for itself. */
bool toml_word_like(struct toml_word word, const char *pattern);
#define TOML_DATE_PATTERN "9999-99-99"

/* True when it starts with a sign or a digit, so that most likely a number is meant. */
bool toml_word_numeric(struct toml_word word);

/* True for a decimal number with zeros in front of it. */
bool toml_word_has_leading_zero(struct toml_word word);

/* True when the word is an integer by its form; *fits tells whether 64 bits hold it, *integer is it then. */
bool toml_word_integer(struct toml_word word, int64_t *integer, bool *fits);

bool toml_word_float(struct toml_word word);

/* A date, a time or both. */
bool toml_word_date_time(struct toml_word word);

#endif
