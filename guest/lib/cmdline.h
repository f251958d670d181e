/* The partition's command line: words with blanks between, some of the form name=number. */
#ifndef FREEHOLD_GUEST_LIB_CMDLINE_H
#define FREEHOLD_GUEST_LIB_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies the index-th word (from 0), terminated and cut to the room there is; false when there is none. */
bool cmdline_word(unsigned index, char *word, size_t bytes);

/* Whether `name` is one of the words. */
bool cmdline_has(const char *name);

/* The value of `name=NUMBER` (decimal, or 0x...; K, M, G behind it multiply by 1024s), else the default. */
uint64_t cmdline_number(const char *name, uint64_t otherwise);

/* Whether two terminated texts are the same. */
bool text_equal(const char *a, const char *b);

#endif
