/*
 * A text console on a linear framebuffer. Pure: writes pixels through a pointer and never reads them back,
 * since reads of video memory are slow and the text is known. Writing text and drawing it are apart: text
 * changes at once, cells are drawn a few at a time, so that a flood of output costs no more pixels than the
 * eye can follow.
 */
#ifndef FREEHOLD_HV_SCREEN_H
#define FREEHOLD_HV_SCREEN_H

#include "hv/handoff.h"

#define SCREEN_MAX_SIDE    16384 /* pixels; no framebuffer beyond that is believed */
#define SCREEN_MAX_COLUMNS 200
#define SCREEN_MAX_ROWS    128
#define SCREEN_MIN_COLUMNS 20
#define SCREEN_MIN_ROWS    4
/* What screen_start can use of shadow memory at most. */
#define SCREEN_SHADOW_BYTES (2 * SCREEN_MAX_COLUMNS * SCREEN_MAX_ROWS)

/* The fields are the console's own. */
struct screen {
    volatile uint32_t *pixels;
    uint32_t stride; /* pixels */
    uint32_t scale;  /* pixels of a dot's side */
    uint32_t columns;
    uint32_t rows;
    uint32_t column; /* of the cursor; columns: the line is full, the next character wraps */
    uint32_t row;
    char *wanted;                /* the text, row by row */
    char *drawn;                 /* what the pixels show */
    uint32_t next_row;           /* to look at first */
    bool dirty[SCREEN_MAX_ROWS]; /* the row's pixels may not show its text */
    uint32_t ink;                /* pixel values */
    uint32_t paper;
};

/*
 * Takes the framebuffer that `mode` describes, reachable at `pixels`, and clears it. False, and nothing
 * touched, when the description makes no sense (stride below width, less memory than it claims, an unknown
 * format), is beyond SCREEN_MAX_SIDE, or has no room for SCREEN_MIN_COLUMNS by SCREEN_MIN_ROWS characters.
 * `shadow` holds the text; with less than two bytes a cell fewer rows are used.
 */
MUST_USE bool screen_start(struct screen *screen, const struct handoff_screen *mode, void *pixels,
                           void *shadow, size_t shadow_bytes);

/*
 * Writes text of any bytes at the cursor. LF begins a new line, CR goes back to its start, BS one back, a tab
 * to the next multiple of eight; long lines wrap, the last row scrolls. Draws nothing.
 */
void screen_write(struct screen *screen, const char *text, size_t length);

/* Draws at most max_cells characters that have changed; true while some are left. UINT32_MAX: all. */
bool screen_refresh(struct screen *screen, uint32_t max_cells);

#endif
