/* A bitmap font of printable ASCII for hv/screen.c. Pure data. */
#ifndef FREEHOLD_HV_FONT_H
#define FREEHOLD_HV_FONT_H

#include <stdint.h>

#define FONT_FIRST  0x20                         /* space */
#define FONT_LAST   0x7E                         /* ~ */
#define FONT_OTHER  (FONT_LAST + 1 - FONT_FIRST) /* the glyph for any other byte: a box */
#define FONT_GLYPHS (FONT_OTHER + 1)
#define FONT_ROWS   12

/* [c - FONT_FIRST][row]; bit 7 is the leftmost pixel. */
extern const uint8_t font_glyphs[FONT_GLYPHS][FONT_ROWS];

#endif
