/*
 * Texts with a mark: a test writes a backtick where it expects an error to be reported, instead of counting
 * lines and columns by hand.
 */
#ifndef FREEHOLD_HOST_MARKED_H
#define FREEHOLD_HOST_MARKED_H

#include "hv/config.h"

/* The text without its mark, in memory of exactly that size so that ASan sees every byte read beyond it. */
struct marked {
    char *text; /* no terminating NUL */
    size_t length;
    struct source_pos pos; /* where the mark was; line 0 when there was none */
};

struct marked marked_open(const char *with_mark);
/* The same for `length` bytes, which may hold NULs. */
struct marked marked_open_bytes(const char *with_mark, size_t length);
void marked_close(struct marked *marked);

#endif
