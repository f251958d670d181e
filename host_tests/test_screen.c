/*
 * The framebuffer console: hostile descriptions, text against a naive terminal, pixels against the font, and
 * that no pixel outside is touched and none is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/font.h"
#include "hv/screen.h"

#define INK_RGB   0x00D8D4D0u
#define INK_BGR   0x00D0D4D8u
#define UNTOUCHED 0xA5A5A5A5u

static struct screen screen;
static uint32_t *pixels;
static uint32_t guard_pixels; /* before and behind */
static struct handoff_screen mode;
static char shadow[SCREEN_SHADOW_BYTES];

static void make_mode(uint32_t width, uint32_t height, uint32_t stride, uint32_t format)
{
    mode = (struct handoff_screen){.base = 0x80000000,
                                   .bytes = (uint64_t)stride * height * 4,
                                   .width = width,
                                   .height = height,
                                   .stride = stride,
                                   .format = format};
}

static bool start(uint32_t width, uint32_t height, uint32_t stride, size_t shadow_bytes)
{
    make_mode(width, height, stride, PIXEL_BGRX);
    guard_pixels = stride * 2;
    size_t count = (size_t)stride * height + 2 * (size_t)guard_pixels;
    free(pixels);
    pixels = malloc(count * sizeof(*pixels));
    assert_non_null(pixels);
    for (size_t i = 0; i < count; i++)
        pixels[i] = UNTOUCHED;
    memset(shadow, 0x77, sizeof(shadow));
    return screen_start(&screen, &mode, pixels + guard_pixels, shadow, shadow_bytes);
}

static int release(void **state)
{
    (void)state;
    free(pixels);
    pixels = NULL;
    return 0;
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
    return pixels[guard_pixels + (size_t)y * mode.stride + x];
}

/* Whether the eight by sixteen dots of a cell show `c`, and each dot is as large as the scale says. */
static bool shows(uint32_t column, uint32_t row, char c)
{
    uint32_t s = screen.scale;
    uint8_t byte = (uint8_t)c;
    const uint8_t *glyph = font_glyphs[byte >= 0x20 && byte <= 0x7E ? byte - 0x20 : FONT_OTHER];
    for (uint32_t y = 0; y < 16 * s; y++)
        for (uint32_t x = 0; x < 8 * s; x++) {
            uint32_t line = y / s;
            bool dot = line >= 2 && line < 14 && (glyph[line - 2] >> (7 - x / s) & 1) != 0;
            if (pixel(column * 8 * s + x, row * 16 * s + y) != (dot ? screen.ink : 0))
                return false;
        }
    return true;
}

static void assert_nothing_else_touched(void)
{
    size_t count = (size_t)mode.stride * mode.height;
    for (size_t i = 0; i < guard_pixels; i++) {
        assert_int_equal(pixels[i], UNTOUCHED);
        assert_int_equal(pixels[guard_pixels + count + i], UNTOUCHED);
    }
    for (uint32_t y = 0; y < mode.height; y++)
        for (uint32_t x = mode.width; x < mode.stride; x++)
            assert_int_equal(pixel(x, y), UNTOUCHED);
}

static void assert_text(uint32_t row, const char *expect)
{
    char line[SCREEN_MAX_COLUMNS + 1];
    memcpy(line, screen.wanted + row * screen.columns, screen.columns);
    size_t length = screen.columns;
    while (length > 0 && line[length - 1] == ' ')
        length--;
    line[length] = '\0';
    assert_string_equal(line, expect);
}

static void write_text(const char *text)
{
    screen_write(&screen, text, strlen(text));
}

static void test_hostile_modes(void **state)
{
    (void)state;
    static const struct {
        uint32_t width, height, stride, format;
        uint64_t bytes;
    } bad[] = {
        {640, 480, 639, PIXEL_BGRX, 1 << 30},
        {640, 480, 0, PIXEL_BGRX, 1 << 30},
        {0, 480, 640, PIXEL_BGRX, 1 << 30},
        {640, 0, 640, PIXEL_BGRX, 1 << 30},
        {159, 480, 640, PIXEL_BGRX, 1 << 30},
        {640, 63, 640, PIXEL_BGRX, 1 << 30},
        {640, 480, 640, PIXEL_NONE, 1 << 30},
        {640, 480, 640, 3, 1 << 30},
        {640, 480, 640, UINT32_MAX, 1 << 30},
        {640, 480, 640, PIXEL_BGRX, 640 * 480 * 4 - 1},
        {640, 480, 640, PIXEL_BGRX, 0},
        {640, 480, 16385, PIXEL_BGRX, UINT64_MAX},
        {640, 16385, 640, PIXEL_BGRX, UINT64_MAX},
        {16385, 480, 16385, PIXEL_BGRX, UINT64_MAX},
        {UINT32_MAX, UINT32_MAX, UINT32_MAX, PIXEL_BGRX, UINT64_MAX},
        {0x40000000, 480, 0x40000000, PIXEL_BGRX, 1 << 20},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct handoff_screen description = {
            1, bad[i].bytes, bad[i].width, bad[i].height, bad[i].stride, bad[i].format};
        /* NULL pixels: a write would be seen. */
        if (screen_start(&screen, &description, NULL, shadow, sizeof(shadow)))
            fail_msg("row %zu was taken", i);
    }
    assert_false(start(640, 480, 640, 2 * 80 * 4 - 1)); /* shadow for less than four rows */
    assert_true(start(640, 480, 640, 2 * 80 * 4));
    assert_int_equal(screen.rows, 4);
    assert_true(start(160, 64, 160, sizeof(shadow))); /* the smallest */
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        uint32_t width, height, columns, rows, scale;
    } sizes[] = {
        {640, 480, 80, 30, 1},    {800, 600, 100, 37, 1},   {1024, 768, 128, 48, 1},
        {1280, 1024, 160, 64, 1}, {1599, 900, 199, 56, 1},  {1600, 900, 100, 28, 2},
        {1920, 1080, 120, 33, 2}, {3840, 2160, 120, 33, 4}, {1000, 4000, 125, 128, 1},
        {2560, 1080, 160, 33, 2}, {4800, 2400, 150, 37, 4},
    };
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        assert_true(start(sizes[i].width, sizes[i].height, sizes[i].width + 8, sizeof(shadow)));
        assert_int_equal(screen.columns, sizes[i].columns);
        assert_int_equal(screen.rows, sizes[i].rows);
        assert_int_equal(screen.scale, sizes[i].scale);
        for (uint32_t k = 0; k < screen.columns * screen.rows; k++)
            screen_write(&screen, "#", 1);
        assert_false(screen_refresh(&screen, UINT32_MAX));
        assert_true(shows(screen.columns - 1, screen.rows - 1, '#'));
        assert_nothing_else_touched();
    }
    assert_true(start(16384, 64, 16384, sizeof(shadow)));
    assert_int_equal(screen.columns, SCREEN_MAX_COLUMNS);
}

/* The last line of a framebuffer may end with its last visible pixel. */
static void test_the_last_line_need_not_be_whole(void **state)
{
    (void)state;
    assert_true(start(640, 480, 700, sizeof(shadow)));
    mode.bytes -= 60 * 4;
    assert_true(screen_start(&screen, &mode, pixels + guard_pixels, shadow, sizeof(shadow)));
    mode.bytes -= 1;
    assert_false(screen_start(&screen, &mode, pixels + guard_pixels, shadow, sizeof(shadow)));
}

static void test_start_clears(void **state)
{
    (void)state;
    assert_true(start(331, 101, 333, sizeof(shadow)));
    for (uint32_t y = 0; y < mode.height; y++)
        for (uint32_t x = 0; x < mode.width; x++)
            assert_int_equal(pixel(x, y), 0);
    assert_nothing_else_touched();
}

static void test_colours(void **state)
{
    (void)state;
    assert_true(start(640, 480, 640, sizeof(shadow)));
    assert_int_equal(screen.ink, INK_BGR);
    mode.format = PIXEL_RGBX;
    assert_true(screen_start(&screen, &mode, pixels + guard_pixels, shadow, sizeof(shadow)));
    assert_int_equal(screen.ink, INK_RGB);
}

static void test_text(void **state)
{
    (void)state;
    assert_true(start(160, 80, 160, sizeof(shadow))); /* 20 by 5 */
    write_text("ab\ncd\re\n\tT\tU\n");
    assert_text(0, "ab");
    assert_text(1, "ed");
    assert_text(2, "        T       U");
    write_text("\b\b\bxy\b \b\r"); /* as a line being edited */
    assert_text(3, "x");
    write_text("01234567890123456789"); /* exactly full: no empty line after it */
    write_text("\nx");
    assert_text(3, "01234567890123456789");
    assert_text(4, "x");
    write_text("1234567890123456789yz\t\t\tw");
    assert_text(2, "x1234567890123456789");
    assert_text(3, "yz");
    assert_text(4, "w");
}

static void test_every_glyph_is_drawn(void **state)
{
    (void)state;
    assert_true(start(640, 480, 650, sizeof(shadow)));
    for (unsigned byte = 0; byte <= 0xFF; byte++) {
        char c = (char)byte;
        if (c == '\n' || c == '\r' || c == '\t' || c == '\b')
            continue;
        screen_write(&screen, "\r", 1);
        screen_write(&screen, &c, 1);
        screen_refresh(&screen, UINT32_MAX);
        assert_true(shows(0, 0, c));
    }
}

/* Glyphs differ, have ink, and leave the gap to the next. */
static void test_font(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < FONT_GLYPHS; i++) {
        uint32_t ink = 0;
        for (uint32_t row = 0; row < FONT_ROWS; row++) {
            assert_int_equal(font_glyphs[i][row] & 1, 0);
            ink |= font_glyphs[i][row];
        }
        assert_int_equal(ink == 0, i == 0);
        for (uint32_t k = 0; k < i; k++)
            assert_memory_not_equal(font_glyphs[i], font_glyphs[k], FONT_ROWS);
    }
}

static void test_drawing_is_bounded_and_completes(void **state)
{
    (void)state;
    assert_true(start(640, 480, 640, sizeof(shadow)));
    assert_false(screen_refresh(&screen, 0));
    write_text("ten cells.\n\nand ten mo");
    assert_true(screen_refresh(&screen, 0));
    uint32_t rounds = 1;
    while (screen_refresh(&screen, 3))
        rounds++;
    assert_int_equal(rounds, 6); /* 17 of the 20 are no spaces, three a round */
    assert_true(shows(0, 0, 't') && shows(9, 0, '.') && shows(9, 2, 'o'));
}

/* What did not change is not drawn again: its pixels, painted over, stay so. */
static void test_unchanged_cells_are_left_alone(void **state)
{
    (void)state;
    assert_true(start(640, 480, 640, sizeof(shadow)));
    write_text("same\nsame");
    screen_refresh(&screen, UINT32_MAX);
    pixels[guard_pixels] = 0x123456;
    write_text("\rsame\rsome");
    screen_refresh(&screen, UINT32_MAX);
    assert_int_equal(pixel(0, 0), 0x123456);
    assert_true(shows(1, 1, 'o'));
}

/* ------------------------------------------------------------ a naive terminal */

static char model[SCREEN_MAX_ROWS][SCREEN_MAX_COLUMNS];
static uint32_t model_row, model_column;

static void model_new_line(void)
{
    model_column = 0;
    if (++model_row < screen.rows)
        return;
    model_row--;
    for (uint32_t r = 0; r + 1 < screen.rows; r++)
        memcpy(model[r], model[r + 1], sizeof(model[r]));
    memset(model[model_row], ' ', sizeof(model[0]));
}

static void model_put(char c)
{
    if (c == '\n') {
        model_new_line();
    } else if (c == '\r') {
        model_column = 0;
    } else if (c == '\b') {
        model_column -= model_column > 0;
    } else if (c == '\t') {
        do
            model_column++;
        while (model_column % 8 != 0 && model_column < screen.columns);
        if (model_column > screen.columns)
            model_column = screen.columns;
    } else {
        if (model_column == screen.columns)
            model_new_line();
        model[model_row][model_column++] = c;
    }
}

static void test_random_text_against_model(void **state)
{
    (void)state;
    unsigned seed = 77;
    for (int round = 0; round < 40; round++) {
        uint32_t width = 160 + (uint32_t)rand_r(&seed) % 200;
        uint32_t height = 64 + (uint32_t)rand_r(&seed) % 60;
        assert_true(start(width, height, width + (uint32_t)rand_r(&seed) % 9, sizeof(shadow)));
        memset(model, ' ', sizeof(model));
        model_row = model_column = 0;
        for (int step = 0; step < 60; step++) {
            char text[64];
            size_t length = (size_t)rand_r(&seed) % sizeof(text);
            for (size_t i = 0; i < length; i++) {
                text[i] =
                    (char)(rand_r(&seed) % 12 == 0 ? "\n\r\t\b"[rand_r(&seed) % 4] : rand_r(&seed) % 256);
                model_put(text[i]);
            }
            screen_write(&screen, text, length);
            screen_refresh(&screen, (uint32_t)rand_r(&seed) % 40);
        }
        for (uint32_t r = 0; r < screen.rows; r++)
            assert_memory_equal(screen.wanted + r * screen.columns, model[r], screen.columns);
        assert_false(screen_refresh(&screen, UINT32_MAX));
        for (uint32_t r = 0; r < screen.rows; r++)
            for (uint32_t c = 0; c < screen.columns; c++)
                assert_true(shows(c, r, model[r][c]));
        assert_nothing_else_touched();
    }
}

/* With FREEHOLD_SCREEN_PPM=FILE: a picture of all glyphs and some text, to look at. */
static void test_picture(void **state)
{
    (void)state;
    const char *path = getenv("FREEHOLD_SCREEN_PPM");
    if (path == NULL)
        return;
    assert_true(start(1024, 320, 1024, sizeof(shadow)));
    for (int i = ' '; i <= '~'; i++) {
        char c = (char)i;
        screen_write(&screen, &c, 1);
    }
    write_text(
        "\x01\n\n  Freehold, region eu-north-1\n  cores      4 logical processors, 1 package\n"
        "  memory     6144 MiB: 6100 MiB free, 32 MiB Freehold\n\n"
        "  partition   ended as               expected             met  restarts  progress  ticks run\n"
        "  web         exited 0               exit:0               yes         0       712     123.4M\n"
        "  attacker-1  faulted: triple-fault  fault:triple-fault   yes         3         0       8911\n\n"
        "[web] The quick brown fox jumps over the lazy dog. SPHINX OF BLACK QUARTZ, JUDGE MY VOW\n"
        "[web] 0123456789 0O 1lI| {}[]() <=> #$%&@ ~^`'\" a/b\\c -- __ rip 0x00000000001002ff\n");
    screen_refresh(&screen, UINT32_MAX);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fprintf(file, "P6 %u %u 255\n", mode.width, mode.height);
    for (uint32_t y = 0; y < mode.height; y++)
        for (uint32_t x = 0; x < mode.width; x++) {
            uint32_t p = pixel(x, y);
            fputc((int)(p >> 16 & 0xFF), file);
            fputc((int)(p >> 8 & 0xFF), file);
            fputc((int)(p & 0xFF), file);
        }
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_modes),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_the_last_line_need_not_be_whole),
        cmocka_unit_test(test_start_clears),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_every_glyph_is_drawn),
        cmocka_unit_test(test_font),
        cmocka_unit_test(test_drawing_is_bounded_and_completes),
        cmocka_unit_test(test_unchanged_cells_are_left_alone),
        cmocka_unit_test(test_random_text_against_model),
        cmocka_unit_test(test_picture),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
