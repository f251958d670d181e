/* The framebuffer console. Never touches a pixel outside the size it was given, never reads one. */
#include "hv/screen.h"

#include "hv/font.h"

/* A character's cell in dots; the glyph stands below TOP_DOTS of air. */
#define CELL_WIDTH  8
#define CELL_HEIGHT 16
#define TOP_DOTS    2
#define TAB_COLUMNS 8

/* Dots grow with the screen, as long as it keeps this many columns and rows. */
#define GOOD_COLUMNS 100
#define GOOD_ROWS    24
#define MAX_SCALE    4

/* Red, green, blue of text and background. */
#define INK_RED   0xD0u
#define INK_GREEN 0xD4u
#define INK_BLUE  0xD8u
#define PAPER     0u

/* ---------------------------------------------------------------- start */

static bool mode_valid(const struct handoff_screen *mode)
{
    if (mode->format != PIXEL_RGBX && mode->format != PIXEL_BGRX)
        return false;
    if (mode->width == 0 || mode->height == 0 || mode->height > SCREEN_MAX_SIDE ||
        mode->stride > SCREEN_MAX_SIDE)
        return false;
    if (mode->stride < mode->width)
        return false;
    uint64_t pixels = (uint64_t)mode->stride * (mode->height - 1) + mode->width;
    return pixels * sizeof(uint32_t) <= mode->bytes;
}

static uint32_t choose_scale(const struct handoff_screen *mode)
{
    uint64_t scale =
        min_u64(mode->width / (CELL_WIDTH * GOOD_COLUMNS), mode->height / (CELL_HEIGHT * GOOD_ROWS));
    return (uint32_t)max_u64(1, min_u64(scale, MAX_SCALE));
}

static uint32_t ink_of(uint32_t format)
{
    if (format == PIXEL_RGBX)
        return INK_RED | INK_GREEN << 8 | INK_BLUE << 16;
    return INK_BLUE | INK_GREEN << 8 | INK_RED << 16;
}

static void clear(struct screen *screen, const struct handoff_screen *mode)
{
    for (uint32_t y = 0; y < mode->height; y++)
        for (uint32_t x = 0; x < mode->width; x++)
            screen->pixels[(size_t)y * screen->stride + x] = PAPER;
    uint32_t cells = screen->columns * screen->rows;
    __builtin_memset(screen->wanted, ' ', cells);
    __builtin_memset(screen->drawn, ' ', cells);
}

bool screen_start(struct screen *screen, const struct handoff_screen *mode, void *pixels, void *shadow,
                  size_t shadow_bytes)
{
    if (!mode_valid(mode))
        return false;
    uint32_t scale = choose_scale(mode);
    uint32_t columns = (uint32_t)min_u64(mode->width / (CELL_WIDTH * scale), SCREEN_MAX_COLUMNS);
    uint32_t rows = (uint32_t)min_u64(mode->height / (CELL_HEIGHT * scale), SCREEN_MAX_ROWS);
    if (columns < SCREEN_MIN_COLUMNS)
        return false;
    rows = (uint32_t)min_u64(rows, shadow_bytes / 2 / columns);
    if (rows < SCREEN_MIN_ROWS)
        return false;
    *screen = (struct screen){
        .pixels = pixels,
        .stride = mode->stride,
        .scale = scale,
        .columns = columns,
        .rows = rows,
        .wanted = shadow,
        .drawn = (char *)shadow + columns * rows,
        .ink = ink_of(mode->format),
        .paper = PAPER,
    };
    clear(screen, mode);
    return true;
}

/* ---------------------------------------------------------------- text */

static void scroll(struct screen *screen)
{
    uint32_t kept = screen->columns * (screen->rows - 1);
    __builtin_memmove(screen->wanted, screen->wanted + screen->columns, kept);
    __builtin_memset(screen->wanted + kept, ' ', screen->columns);
    for (uint32_t i = 0; i < screen->rows; i++)
        screen->dirty[i] = true;
}

static void new_line(struct screen *screen)
{
    screen->column = 0;
    if (screen->row + 1 < screen->rows)
        screen->row++;
    else
        scroll(screen);
}

static void put(struct screen *screen, char c)
{
    if (screen->column == screen->columns)
        new_line(screen);
    screen->wanted[screen->row * screen->columns + screen->column] = c;
    screen->dirty[screen->row] = true;
    screen->column++;
}

static void write_byte(struct screen *screen, char c)
{
    if (c == '\n')
        new_line(screen);
    else if (c == '\r')
        screen->column = 0;
    else if (c == '\b')
        screen->column -= screen->column > 0;
    else if (c == '\t')
        screen->column = (uint32_t)min_u64(align_up(screen->column + 1, TAB_COLUMNS), screen->columns);
    else
        put(screen, c);
}

void screen_write(struct screen *screen, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        write_byte(screen, text[i]);
}

/* ---------------------------------------------------------------- pixels */

static const uint8_t *glyph_of(char c)
{
    uint8_t byte = (uint8_t)c;
    if (byte < FONT_FIRST || byte > FONT_LAST)
        return font_glyphs[FONT_OTHER];
    return font_glyphs[byte - FONT_FIRST];
}

/* One line of pixels of a cell: eight dots, each `scale` pixels wide. */
static void draw_dots(const struct screen *screen, volatile uint32_t *at, uint8_t dots)
{
    for (uint32_t dot = 0; dot < CELL_WIDTH; dot++) {
        uint32_t pixel = (dots << dot & 0x80) != 0 ? screen->ink : screen->paper;
        for (uint32_t i = 0; i < screen->scale; i++)
            *at++ = pixel;
    }
}

static void draw_cell(const struct screen *screen, uint32_t cell)
{
    const uint8_t *glyph = glyph_of(screen->wanted[cell]);
    uint32_t left = cell % screen->columns * CELL_WIDTH * screen->scale;
    uint32_t top = cell / screen->columns * CELL_HEIGHT * screen->scale;
    for (uint32_t y = 0; y < CELL_HEIGHT * screen->scale; y++) {
        uint32_t row = y / screen->scale;
        bool inside = row >= TOP_DOTS && row < TOP_DOTS + FONT_ROWS;
        draw_dots(screen, screen->pixels + (size_t)(top + y) * screen->stride + left,
                  inside ? glyph[row - TOP_DOTS] : 0);
    }
}

/* Cells from `cell` on, at most `limit`, that need no drawing; eight at a time where that goes. */
static uint32_t skip_drawn(const struct screen *screen, uint32_t cell, uint32_t limit)
{
    uint32_t same = 0;
    while (same < limit) {
        uint64_t wanted, drawn;
        if (limit - same >= sizeof(wanted)) {
            __builtin_memcpy(&wanted, screen->wanted + cell + same, sizeof(wanted));
            __builtin_memcpy(&drawn, screen->drawn + cell + same, sizeof(drawn));
            if (wanted == drawn) {
                same += sizeof(wanted);
                continue;
            }
        }
        if (screen->wanted[cell + same] != screen->drawn[cell + same])
            break;
        same++;
    }
    return same;
}

/* Draws what has changed in a row, counting *max_cells down; false when that ran out first. */
static bool refresh_row(struct screen *screen, uint32_t row, uint32_t *max_cells)
{
    uint32_t cell = row * screen->columns;
    uint32_t end = cell + screen->columns;
    for (;;) {
        cell += skip_drawn(screen, cell, end - cell);
        if (cell == end)
            return true;
        if (*max_cells == 0)
            return false;
        (*max_cells)--;
        draw_cell(screen, cell);
        screen->drawn[cell] = screen->wanted[cell];
    }
}

bool screen_refresh(struct screen *screen, uint32_t max_cells)
{
    for (uint32_t i = 0; i < screen->rows; i++) {
        uint32_t row = screen->next_row;
        if (screen->dirty[row] && !refresh_row(screen, row, &max_cells))
            return true;
        screen->dirty[row] = false;
        screen->next_row = row + 1 < screen->rows ? row + 1 : 0;
    }
    return false;
}
