/* COM1 and the screen for people, COM2 for programs. */
#include "hv/console.h"

#include "hv/core.h"
#include "hv/event_log.h"
#include "hv/fmt.h"
#include "hv/memory.h"
#include "hv/screen.h"
#include "hv/string.h"

/* 16550 registers and bits; the port arithmetic is here, the device model guests see is hv/uart.c. */
enum { UART_DATA = 0, UART_INTERRUPTS = 1, UART_FIFO = 2, UART_LINE = 3, UART_MODEM = 4, UART_STATUS = 5 };
#define FIFO_ON          0x07 /* enabled, both sides cleared */
#define LINE_8N1         0x03
#define LINE_DIVISOR     0x80
#define MODEM_READY      0x03 /* DTR and RTS */
#define STATUS_DATA      0x01
#define STATUS_THR_EMPTY 0x20
#define STATUS_IDLE      0x40 /* the last bit of the last byte is out */
#define FIFO_DEPTH       16
#define DIVISOR_115200   1
/* A UART that is not ready for this many looks in a row is not there any more. */
#define PATIENCE 20000000

#define COM1_QUEUE_BYTES   (64 * KIB)
#define COM2_QUEUE_BYTES   (128 * KIB)
#define EVENT_LOG_BYTES    (64 * KIB)
#define CONSOLE_LINE_BYTES 400

struct serial {
    uint16_t port; /* 0: none */
    char *queue;
    uint32_t capacity; /* a power of two */
    uint32_t head;     /* written */
    uint32_t tail;     /* sent */
};

/* Screen cells drawn in one round of the loop, and characters of a whole screen at the end. */
#define CELLS_PER_ROUND 256

static struct serial com1;
static struct serial com2;
static struct event_log event_log; /* of a machine without COM2 */
static struct screen screen;
static bool have_screen;
static const struct event_stream *live_stream; /* what a panic goes on with */

static void serial_open(struct serial *serial, uint16_t port, uint32_t capacity)
{
    serial->port = port;
    if (port == 0)
        return;
    serial->queue = memory_need(capacity);
    serial->capacity = capacity;
    cpu_out8(port + UART_INTERRUPTS, 0);
    cpu_out8(port + UART_LINE, LINE_DIVISOR);
    cpu_out8(port + UART_DATA, DIVISOR_115200);
    cpu_out8(port + UART_INTERRUPTS, 0);
    cpu_out8(port + UART_LINE, LINE_8N1);
    cpu_out8(port + UART_FIFO, FIFO_ON);
    cpu_out8(port + UART_MODEM, MODEM_READY);
}

static bool serial_ready(const struct serial *serial)
{
    return (cpu_in8(serial->port + UART_STATUS) & STATUS_THR_EMPTY) != 0;
}

/* Fills the transmit FIFO once if it is empty. */
static void serial_push(struct serial *serial)
{
    if (serial->port == 0 || serial->tail == serial->head || !serial_ready(serial))
        return;
    for (uint32_t i = 0; i < FIFO_DEPTH && serial->tail != serial->head; i++)
        cpu_out8(serial->port + UART_DATA, (uint8_t)serial->queue[serial->tail++ % serial->capacity]);
}

static bool serial_has_left(const struct serial *serial)
{
    return serial->port == 0 || serial->tail == serial->head;
}

/* Waits until at most `left` bytes are queued. */
static void serial_wait(struct serial *serial, uint32_t left)
{
    uint32_t patience = PATIENCE;
    while (serial->port != 0 && serial->head - serial->tail > left) {
        uint32_t before = serial->tail;
        serial_push(serial);
        patience = serial->tail != before ? PATIENCE : patience - 1;
        if (patience == 0)
            serial->port = 0;
    }
}

static void serial_write(struct serial *serial, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && serial->port != 0; i++) {
        if (serial->head - serial->tail == serial->capacity)
            serial_wait(serial, serial->capacity / 2);
        serial->queue[serial->head++ % serial->capacity] = bytes[i];
    }
}

/* Past the queue. */
static void serial_shout(struct serial *serial, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && serial->port != 0; i++) {
        for (uint32_t patience = PATIENCE; patience > 0 && !serial_ready(serial); patience--)
            cpu_pause();
        cpu_out8(serial->port + UART_DATA, (uint8_t)bytes[i]);
    }
}

void console_init(const struct handoff *handoff)
{
    serial_open(&com1, handoff->com1_port, COM1_QUEUE_BYTES);
    serial_open(&com2, handoff->com2_port, COM2_QUEUE_BYTES);
    serial_write(&com2, "\n", 1); /* ends what a firmware console may have left on the line */
    if (com2.port == 0)
        event_log_start(&event_log, memory_need(EVENT_LOG_BYTES), EVENT_LOG_BYTES);
    if (handoff->screen.base != 0)
        have_screen = screen_start(&screen, &handoff->screen, memory_reach(hpa(handoff->screen.base)),
                                   memory_need(SCREEN_SHADOW_BYTES), SCREEN_SHADOW_BYTES);
}

static void write_text(const char *text, size_t length)
{
    serial_write(&com1, text, length);
    if (have_screen)
        screen_write(&screen, text, length);
}

void console_line(const char *text)
{
    write_text(text, fmt_length(text, CONSOLE_LINE_BYTES));
    write_text("\r\n", 2);
}

void console_printf(const char *format, ...)
{
    char line[CONSOLE_LINE_BYTES];
    va_list args;
    va_start(args, format);
    fmt_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    console_line(line);
}

void console_printf_raw(const char *format, ...)
{
    char text[CONSOLE_LINE_BYTES];
    va_list args;
    va_start(args, format);
    size_t length = fmt_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    write_text(text, min_u64(length, sizeof(text) - 1));
}

static bool half_empty(const struct serial *serial)
{
    return serial->port == 0 || serial->head - serial->tail <= serial->capacity / 2;
}

bool console_has_room(void)
{
    return half_empty(&com1) && half_empty(&com2);
}

void console_line_to(void *context, const char *text)
{
    (void)context;
    console_line(text);
}

static void write_event(void *context, const char *bytes, size_t count)
{
    (void)context;
    if (event_log.capacity > 0)
        event_log_write(&event_log, bytes, count);
    else
        serial_write(&com2, bytes, count);
}

struct event_sink console_event_sink(void)
{
    return (struct event_sink){.write = write_event};
}

static void show_event(void *context, const char *bytes, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        write_text(bytes[i] == '\n' ? "\r\n" : &bytes[i], bytes[i] == '\n' ? 2 : 1);
}

void console_show_events(void)
{
    if (event_log.capacity == 0)
        console_line("events: they go to COM2");
    else
        event_log_read(&event_log, show_event, NULL);
}

bool console_poll(void)
{
    serial_push(&com1);
    serial_push(&com2);
    if (have_screen)
        screen_refresh(&screen, CELLS_PER_ROUND);
    return !serial_has_left(&com1) || !serial_has_left(&com2);
}

/* Waits until the UART itself has nothing left, so that switching the machine off loses nothing. */
static void serial_drain(struct serial *serial)
{
    serial_wait(serial, 0);
    for (uint32_t patience = PATIENCE; serial->port != 0 && patience > 0; patience--)
        if ((cpu_in8(serial->port + UART_STATUS) & STATUS_IDLE) != 0)
            return;
}

void console_flush(void)
{
    serial_drain(&com1);
    serial_drain(&com2);
    if (have_screen)
        screen_refresh(&screen, UINT32_MAX);
}

void console_use_stream(const struct event_stream *stream)
{
    live_stream = stream;
}

int console_input(void)
{
    if (com1.port == 0 || (cpu_in8(com1.port + UART_STATUS) & STATUS_DATA) == 0)
        return -1;
    return cpu_in8(com1.port + UART_DATA);
}

static void shout_event(void *context, const char *bytes, size_t count)
{
    (void)context;
    serial_shout(&com2, bytes, count);
}

void console_panic(const char *message)
{
    static const char prefix[] = "\r\nfreehold: PANIC: ";
    struct event_stream stream;
    /* What was queued comes first: the other cores stand still by now. */
    serial_drain(&com1);
    serial_drain(&com2);
    serial_shout(&com1, prefix, sizeof(prefix) - 1);
    serial_shout(&com1, message, fmt_length(message, CONSOLE_LINE_BYTES));
    serial_shout(&com1, "\r\n", 2);
    if (have_screen) {
        screen_write(&screen, prefix, sizeof(prefix) - 1);
        screen_write(&screen, message, fmt_length(message, CONSOLE_LINE_BYTES));
        screen_refresh(&screen, UINT32_MAX);
    }
    if (live_stream != NULL)
        stream = *live_stream;
    else
        event_stream_start(&stream, (struct event_sink){.write = shout_event}, 0);
    stream.sink = (struct event_sink){.write = shout_event};
    event_panic(&stream, cpu_rdtsc(), this_core()->index, message);
}
