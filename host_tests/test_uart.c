/* The 16550A: every register, DLAB, loopback, FIFOs, interrupts, back pressure; random sequences against
 * invariants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hv/uart.h"

#define BASE 0x3F8

static struct uart uart;
static struct bus bus;
static uint8_t sent[1 << 16];
static size_t sent_count;
static size_t sent_room;

static bool has_room(void *context)
{
    assert_ptr_equal(context, sent);
    return sent_count < sent_room;
}

static void put(void *context, uint8_t byte)
{
    assert_true(has_room(context)); /* never asked to take what there is no room for */
    sent[sent_count++] = byte;
}

static void start(void)
{
    sent_count = 0;
    sent_room = sizeof(sent);
    uart_init(&uart, (struct uart_output){has_room, put, sent});
    bus_init(&bus);
    assert_true(bus_add(&bus, (struct bus_region){"uart", BASE, UART_PORTS, 1, uart_access, &uart}));
}

static uint8_t in(uint16_t offset)
{
    uint32_t value = 0;
    assert_int_equal(bus_access(&bus, (uint16_t)(BASE + offset), 1, false, &value), BUS_HANDLED);
    assert_true(value <= 0xFF);
    return (uint8_t)value;
}

static void out(uint16_t offset, uint8_t value)
{
    uint32_t wide = value;
    assert_int_equal(bus_access(&bus, (uint16_t)(BASE + offset), 1, true, &wide), BUS_HANDLED);
}

static void test_reset_values(void **state)
{
    (void)state;
    start();
    assert_int_equal(in(UART_RBR_THR), 0);
    assert_int_equal(in(UART_IER), 0);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_NONE);
    assert_int_equal(in(UART_LCR), 0);
    assert_int_equal(in(UART_MCR), 0);
    assert_int_equal(in(UART_LSR), 0x60);
    assert_int_equal(in(UART_MSR), 0xB0);
    assert_int_equal(in(UART_SCR), 0);
    assert_false(uart_interrupt_pending(&uart));
}

static void test_registers_read_back(void **state)
{
    (void)state;
    start();
    for (unsigned value = 0; value <= 0xFF; value++) {
        out(UART_LCR, (uint8_t)value);
        assert_int_equal(in(UART_LCR), value);
        out(UART_SCR, (uint8_t)~value);
        assert_int_equal(in(UART_SCR), (uint8_t)~value);
        out(UART_MCR, (uint8_t)value);
        assert_int_equal(in(UART_MCR), value & 0x1F);
        out(UART_LCR, 0);
        out(UART_IER, (uint8_t)value);
        assert_int_equal(in(UART_IER), value & 0x0F);
    }
}

static void test_divisor_latch(void **state)
{
    (void)state;
    start();
    out(UART_IER, 0x05);
    out(UART_LCR, UART_LCR_DLAB | 3);
    out(UART_DLL, 0x34);
    out(UART_DLM, 0x12);
    assert_int_equal(in(UART_DLL), 0x34);
    assert_int_equal(in(UART_DLM), 0x12);
    assert_int_equal(sent_count, 0); /* the latch was written, nothing sent */
    out(UART_LCR, 3);
    assert_int_equal(in(UART_IER), 0x05);
    assert_int_equal(in(UART_RBR_THR), 0);
    out(UART_LCR, UART_LCR_DLAB);
    assert_int_equal(in(UART_DLL), 0x34);
}

static void test_word_accesses(void **state)
{
    (void)state;
    start();
    uint32_t value = 0x0341; /* 'A' to THR, 3 to IER */
    assert_int_equal(bus_access(&bus, BASE, 2, true, &value), BUS_HANDLED);
    assert_int_equal(sent[0], 'A');
    assert_int_equal(in(UART_IER), 3);
    out(UART_SCR, 0x77);
    assert_int_equal(bus_access(&bus, BASE + 4, 4, false, &value), BUS_HANDLED);
    assert_int_equal(value, 0x77B06000);
    assert_int_equal(bus_access(&bus, BASE + 7, 2, false, &value), BUS_UNHANDLED);
    assert_int_equal(value, 0xFF77);
}

static void test_read_only_registers(void **state)
{
    (void)state;
    start();
    out(UART_LSR, 0xFF);
    out(UART_MSR, 0xFF);
    assert_int_equal(in(UART_LSR), 0x60);
    assert_int_equal(in(UART_MSR), 0xB0);
}

static void test_receiving_without_fifo(void **state)
{
    (void)state;
    start();
    assert_true(uart_can_receive(&uart));
    assert_true(uart_receive(&uart, 'a'));
    assert_false(uart_can_receive(&uart));
    assert_int_equal(in(UART_LSR), 0x61);
    assert_false(uart_receive(&uart, 'b')); /* replaces the old byte */
    assert_int_equal(in(UART_LSR), 0x63);
    assert_int_equal(in(UART_LSR), 0x61); /* reading cleared the overrun */
    assert_int_equal(in(UART_RBR_THR), 'b');
    assert_int_equal(in(UART_LSR), 0x60);
}

static void test_receiving_with_fifo(void **state)
{
    (void)state;
    start();
    out(UART_IIR_FCR, UART_FCR_ENABLE);
    for (uint8_t i = 0; i < UART_FIFO_BYTES; i++)
        assert_true(uart_receive(&uart, i));
    assert_false(uart_can_receive(&uart));
    assert_false(uart_receive(&uart, 99)); /* lost; the old ones stay */
    assert_int_equal(in(UART_LSR), 0x63);
    for (uint8_t i = 0; i < UART_FIFO_BYTES; i++)
        assert_int_equal(in(UART_RBR_THR), i);
    assert_int_equal(in(UART_LSR), 0x60);
    assert_int_equal(in(UART_RBR_THR), 0);
}

static void test_fifo_control(void **state)
{
    (void)state;
    start();
    assert_true(uart_receive(&uart, 'x'));
    out(UART_IIR_FCR, UART_FCR_CLEAR_RECEIVE); /* without the enable bit the others mean nothing */
    assert_int_equal(in(UART_LSR), 0x61);
    out(UART_IIR_FCR, UART_FCR_ENABLE); /* a change empties */
    assert_int_equal(in(UART_LSR), 0x60);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_NONE | UART_IIR_FIFO);
    assert_true(uart_receive(&uart, 'x'));
    out(UART_IIR_FCR, UART_FCR_ENABLE | 0xC0); /* no change, no clearing */
    assert_int_equal(in(UART_LSR), 0x61);
    out(UART_IIR_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RECEIVE | UART_FCR_CLEAR_TRANSMIT);
    assert_int_equal(in(UART_LSR), 0x60);
    assert_true(uart_receive(&uart, 'x'));
    out(UART_IIR_FCR, 0);
    assert_int_equal(in(UART_LSR), 0x60);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_NONE);
}

static void test_back_pressure(void **state)
{
    (void)state;
    start();
    sent_room = 2;
    out(UART_RBR_THR, 'a');
    assert_int_equal(in(UART_LSR), 0x60);
    out(UART_RBR_THR, 'b');
    assert_int_equal(in(UART_LSR), 0);
    out(UART_RBR_THR, 'c'); /* the guest did not look: its own loss, counted */
    assert_int_equal(uart.lost, 1);
    assert_int_equal(sent_count, 2);
    sent_room = 3;
    assert_int_equal(in(UART_LSR), 0x60);
    out(UART_RBR_THR, 'd');
    assert_memory_equal(sent, "abd", 3);
}

static void test_loopback(void **state)
{
    (void)state;
    start();
    out(UART_MCR, UART_MCR_LOOPBACK);
    sent_room = 0; /* the line does not matter now */
    assert_int_equal(in(UART_LSR), 0x60);
    out(UART_RBR_THR, 0xAE);
    assert_int_equal(sent_count, 0);
    assert_int_equal(in(UART_LSR), 0x61);
    assert_int_equal(in(UART_RBR_THR), 0xAE);
    assert_false(uart_can_receive(&uart));
    assert_false(uart_receive(&uart, 'x')); /* the line is cut off */
    assert_int_equal(in(UART_LSR), 0x60);
}

static void test_loopback_modem_lines(void **state)
{
    (void)state;
    static const uint8_t lines[][2] = {
        {UART_MCR_RTS, UART_MSR_CTS},
        {UART_MCR_DTR, UART_MSR_DSR},
        {UART_MCR_OUT1, UART_MSR_RI},
        {UART_MCR_OUT2, UART_MSR_DCD},
    };
    start();
    out(UART_MCR, UART_MCR_LOOPBACK); /* CTS, DSR and DCD fall */
    assert_int_equal(in(UART_MSR), UART_MSR_DELTA_CTS | UART_MSR_DELTA_DSR | UART_MSR_DELTA_DCD);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        uint8_t delta = lines[i][1] == UART_MSR_RI ? 0 : lines[i][1] >> 4;
        out(UART_MCR, UART_MCR_LOOPBACK | lines[i][0]);
        assert_int_equal(in(UART_MSR), lines[i][1] | delta);
        assert_int_equal(in(UART_MSR), lines[i][1]); /* reading cleared the delta */
        out(UART_MCR, UART_MCR_LOOPBACK);
        assert_int_equal(in(UART_MSR), lines[i][1] >> 4); /* RI tells of its fall only */
    }
    out(UART_MCR, 0);
    assert_int_equal(in(UART_MSR), 0xBB);
}

static void test_interrupt_identification(void **state)
{
    (void)state;
    start();
    out(UART_IER, UART_IER_MASK);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_THRE);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_NONE); /* reading it cleared it */
    out(UART_RBR_THR, 'a');
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_THRE);
    out(UART_IER, UART_IER_MASK & (uint8_t)~UART_IER_THRE);
    out(UART_IER, UART_IER_MASK); /* switched on anew: raised again */
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_THRE);
    out(UART_IER, UART_IER_MASK); /* was on: not again */
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_NONE);

    out(UART_RBR_THR, 'b');
    out(UART_MCR, UART_MCR_LOOPBACK); /* a modem event; and all lower sources wait for the higher */
    out(UART_MCR, 0);
    assert_true(uart_receive(&uart, 'r'));
    assert_false(uart_receive(&uart, 's'));
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_LINE);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_LINE); /* until LSR is read */
    in(UART_LSR);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_RECEIVED);
    in(UART_RBR_THR);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_THRE);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_MODEM);
    in(UART_MSR);
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_NONE);
}

static void test_trigger_levels(void **state)
{
    (void)state;
    static const uint32_t levels[] = {1, 4, 8, 14};
    for (uint8_t code = 0; code < 4; code++) {
        start();
        out(UART_IER, UART_IER_RECEIVED);
        out(UART_IIR_FCR, (uint8_t)(UART_FCR_ENABLE | (unsigned)code << UART_FCR_TRIGGER_SHIFT));
        for (uint32_t i = 1; i <= UART_FIFO_BYTES; i++) {
            assert_true(uart_receive(&uart, 0));
            uint8_t expect = i >= levels[code] ? UART_IIR_RECEIVED : UART_IIR_TIMEOUT;
            assert_int_equal(in(UART_IIR_FCR), UART_IIR_FIFO | expect);
        }
    }
}

static void test_interrupt_line(void **state)
{
    (void)state;
    start();
    out(UART_IER, UART_IER_RECEIVED);
    assert_true(uart_receive(&uart, 'x'));
    assert_false(uart_interrupt_pending(&uart)); /* OUT2 is not set */
    out(UART_MCR, UART_MCR_OUT2);
    assert_true(uart_interrupt_pending(&uart));
    out(UART_MCR, UART_MCR_OUT2 | UART_MCR_LOOPBACK); /* outputs are cut off */
    assert_false(uart_interrupt_pending(&uart));
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_RECEIVED);
    out(UART_MCR, UART_MCR_OUT2);
    in(UART_RBR_THR);
    assert_false(uart_interrupt_pending(&uart));
}

static void test_transmit_interrupt_waits_for_room(void **state)
{
    (void)state;
    start();
    out(UART_MCR, UART_MCR_OUT2);
    out(UART_IER, UART_IER_THRE);
    in(UART_IIR_FCR);
    sent_room = 1;
    out(UART_RBR_THR, 'a');
    assert_false(uart_interrupt_pending(&uart));
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_NONE);
    sent_room = 2;
    assert_true(uart_interrupt_pending(&uart));
    assert_int_equal(in(UART_IIR_FCR), UART_IIR_THRE);
}

/* ------------------------------------------------------------ random sequences */

static uint8_t received[1 << 16];
static size_t received_in, received_out;
static uint8_t written[UART_PORTS]; /* the last value of each register */
static uint8_t latch[2];

static void random_write(unsigned *seed)
{
    uint16_t offset = (uint16_t)(rand_r(seed) % UART_PORTS);
    uint8_t value = (uint8_t)rand_r(seed);
    if (offset == UART_MCR && rand_r(seed) % 4 != 0)
        value &= (uint8_t)~UART_MCR_LOOPBACK;
    bool divisor = (written[UART_LCR] & UART_LCR_DLAB) != 0;
    bool loop = (written[UART_MCR] & UART_MCR_LOOPBACK) != 0;
    size_t before = sent_count;
    bool room = sent_count < sent_room;
    out(offset, value);
    if (divisor && offset < 2)
        latch[offset] = value;
    else
        written[offset] = value;
    bool sends = offset == UART_RBR_THR && !divisor && !loop && room;
    assert_int_equal(sent_count - before, sends);
    if (sends)
        assert_int_equal(sent[before], value);
}

static void check_registers(void)
{
    bool divisor = (written[UART_LCR] & UART_LCR_DLAB) != 0;
    assert_int_equal(in(UART_LCR), written[UART_LCR]);
    assert_int_equal(in(UART_SCR), written[UART_SCR]);
    assert_int_equal(in(UART_MCR), written[UART_MCR] & UART_MCR_MASK);
    assert_int_equal(in(UART_IER), divisor ? latch[1] : written[UART_IER] & UART_IER_MASK);
    if (divisor)
        assert_int_equal(in(UART_DLL), latch[0]);
    struct uart before = uart;
    bool pending = uart_interrupt_pending(&uart);
    assert_memory_equal(&before, &uart, sizeof(uart));
    if (pending)
        assert_true((in(UART_IIR_FCR)&UART_IIR_NONE) == 0);
    uint8_t lsr = in(UART_LSR);
    bool loop = (written[UART_MCR] & UART_MCR_LOOPBACK) != 0;
    assert_int_equal((lsr & UART_LSR_THRE) != 0, loop || sent_count < sent_room);
    assert_int_equal((lsr & UART_LSR_THRE) != 0, (lsr & UART_LSR_TEMT) != 0);
    assert_int_equal(lsr & 0x9C, 0);
    assert_true(uart.received <= UART_FIFO_BYTES && uart.first < UART_FIFO_BYTES);
}

static void test_random_sequences(void **state)
{
    (void)state;
    unsigned seed = 31337;
    for (int round = 0; round < 50; round++) {
        start();
        memset(written, 0, sizeof(written));
        latch[0] = 1;
        latch[1] = 0;
        sent_room = 0;
        for (int step = 0; step < 500; step++) {
            if (rand_r(&seed) % 3 == 0)
                sent_room = sent_count + (size_t)rand_r(&seed) % 3;
            if (rand_r(&seed) % 3 == 0)
                assert_true(!uart_can_receive(&uart) || uart_receive(&uart, (uint8_t)step));
            if (rand_r(&seed) % 3 == 0)
                in((uint16_t)(rand_r(&seed) % UART_PORTS));
            random_write(&seed);
            check_registers();
        }
    }
}

/* With the FIFO on, bytes come out as they went in, whatever the pace. */
static void test_bytes_keep_their_order(void **state)
{
    (void)state;
    unsigned seed = 7;
    start();
    out(UART_IIR_FCR, UART_FCR_ENABLE);
    received_in = received_out = 0;
    for (int step = 0; step < 60000; step++) {
        uint8_t byte = (uint8_t)rand_r(&seed);
        if (rand_r(&seed) % 2 == 0 && received_in < sizeof(received) && uart_can_receive(&uart)) {
            assert_true(uart_receive(&uart, byte));
            received[received_in++] = byte;
        }
        if (rand_r(&seed) % 2 == 0 && (in(UART_LSR)&UART_LSR_DATA) != 0)
            assert_int_equal(in(UART_RBR_THR), received[received_out++]);
        assert_int_equal((in(UART_LSR)&UART_LSR_DATA) != 0, received_out < received_in);
    }
    assert_true(received_in > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_values),
        cmocka_unit_test(test_registers_read_back),
        cmocka_unit_test(test_divisor_latch),
        cmocka_unit_test(test_word_accesses),
        cmocka_unit_test(test_read_only_registers),
        cmocka_unit_test(test_receiving_without_fifo),
        cmocka_unit_test(test_receiving_with_fifo),
        cmocka_unit_test(test_fifo_control),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_loopback_modem_lines),
        cmocka_unit_test(test_interrupt_identification),
        cmocka_unit_test(test_trigger_levels),
        cmocka_unit_test(test_interrupt_line),
        cmocka_unit_test(test_transmit_interrupt_waits_for_room),
        cmocka_unit_test(test_random_sequences),
        cmocka_unit_test(test_bytes_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
