/*
 * A vCPU's local APIC: every register with every reserved bit, priorities, IPIs to forged destinations, INIT
 * and start-up, and random sequences against a model that keeps vectors as plain lists of booleans.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/random.h"
#include "hv/vapic.h"
#include "hv/x86.h"

#define SVR_ENABLED 0x1ffu

static struct vapic powered_up(uint32_t id)
{
    struct vapic apic;
    memset(&apic, 0xa5, sizeof(apic));
    vapic_power_up(&apic, id);
    return apic;
}

static uint64_t read_ok(const struct vapic *apic, uint32_t msr)
{
    uint64_t value = UINT64_C(0xfefefefefefefefe);
    assert_int_equal(vapic_read(apic, msr, &value), VAPIC_OK);
    return value;
}

static void write_ok(struct vapic *apic, uint32_t msr, uint64_t value)
{
    struct vapic_ipi ipi;
    assert_int_equal(vapic_write(apic, msr, value, &ipi), VAPIC_OK);
}

static void post_fixed(struct vapic *apic, uint32_t vector)
{
    vapic_post(apic, &(struct vapic_ipi){.mode = IPI_FIXED, .vector = (uint8_t)vector});
}

/* ---- registers */

/* What the manual's table of x2APIC registers allows: read, write, bits a write may set, value after reset.
 */
static const struct register_rule {
    uint32_t msr;
    bool readable, writable, stored; /* stored: reads give back what was written */
    uint64_t legal;
    uint64_t reset;
} rules[] = {
    {MSR_X2APIC_ID, true, false, false, 0, 5},
    {MSR_X2APIC_VERSION, true, false, false, 0, 0x60015},
    {MSR_X2APIC_TPR, true, true, true, 0xff, 0},
    {MSR_X2APIC_PPR, true, false, false, 0, 0},
    {MSR_X2APIC_EOI, false, true, false, 0, 0},
    {MSR_X2APIC_LDR, true, false, false, 0, 0x20},
    {MSR_X2APIC_SVR, true, true, true, 0x1ff, 0xff},
    {MSR_X2APIC_ESR, true, true, false, 0, 0},
    {MSR_X2APIC_LVT_CMCI, true, true, true, 0x107ff, 0x10000},
    {MSR_X2APIC_ICR, true, true, true, UINT64_C(0xffffffff000ccfff), 0},
    {MSR_X2APIC_LVT_TIMER, true, true, true, 0x300ff, 0x10000},
    {MSR_X2APIC_LVT_THERMAL, true, true, true, 0x107ff, 0x10000},
    {MSR_X2APIC_LVT_PMC, true, true, true, 0x107ff, 0x10000},
    {MSR_X2APIC_LVT_LINT0, true, true, true, 0x1a7ff, 0x10000},
    {MSR_X2APIC_LVT_LINT1, true, true, true, 0x1a7ff, 0x10000},
    {MSR_X2APIC_LVT_ERROR, true, true, true, 0x100ff, 0x10000},
    {MSR_X2APIC_TIMER_INIT, true, true, false, UINT32_MAX, 0},
    {MSR_X2APIC_TIMER_COUNT, true, false, false, 0, 0},
    {MSR_X2APIC_TIMER_DIV, true, true, true, 0xb, 0},
    {MSR_X2APIC_SELF_IPI, false, true, false, 0xff, 0},
};

static const struct register_rule *rule_of(uint32_t msr)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(rules); i++)
        if (rules[i].msr == msr)
            return &rules[i];
    return NULL;
}

static bool is_vector_register(uint32_t msr)
{
    return msr >= MSR_X2APIC_ISR0 && msr < MSR_X2APIC_IRR0 + 8;
}

static void every_register(void **state)
{
    (void)state;
    for (uint32_t msr = MSR_X2APIC_FIRST; msr <= MSR_X2APIC_LAST; msr++) {
        const struct register_rule *rule = rule_of(msr);
        struct vapic apic = powered_up(5);
        struct vapic_ipi ipi;
        uint64_t value = 0;
        bool readable = rule != NULL ? rule->readable : is_vector_register(msr);
        assert_int_equal(vapic_read(&apic, msr, &value), readable ? VAPIC_OK : VAPIC_FAULT);
        if (readable)
            assert_int_equal(value, rule != NULL ? rule->reset : 0);
        bool writable = rule != NULL && rule->writable;
        assert_int_equal(vapic_write(&apic, msr, 0, &ipi) != VAPIC_FAULT, writable);
        for (uint32_t bit = 0; bit < 64; bit++) {
            struct vapic before = apic;
            uint64_t one = UINT64_C(1) << bit;
            bool legal = writable && (rule->legal & one) != 0;
            assert_int_equal(vapic_write(&apic, msr, one, &ipi) != VAPIC_FAULT, legal);
            if (!legal)
                assert_memory_equal(&apic, &before, sizeof(apic)); /* a refused write changes nothing */
            else if (rule->stored)
                assert_int_equal(read_ok(&apic, msr), one);
        }
    }
}

static void cr8_is_the_task_priority(void **state)
{
    (void)state;
    struct vapic apic = powered_up(0);
    write_ok(&apic, MSR_X2APIC_TPR, 0x7c);
    assert_int_equal(vapic_read_cr8(&apic), 7);
    assert_int_equal(vapic_write_cr8(&apic, 0xf), VAPIC_OK);
    assert_int_equal(read_ok(&apic, MSR_X2APIC_TPR), 0xf0);
    for (uint32_t bit = 4; bit < 64; bit++)
        assert_int_equal(vapic_write_cr8(&apic, UINT64_C(1) << bit), VAPIC_FAULT);
    assert_int_equal(vapic_read_cr8(&apic), 0xf);
}

static void logical_id(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < 64; id++) {
        struct vapic apic = powered_up(id);
        assert_int_equal(read_ok(&apic, MSR_X2APIC_ID), id);
        assert_int_equal(read_ok(&apic, MSR_X2APIC_LDR), (id / 16) << 16 | 1u << id % 16);
    }
}

static void init_keeps_id_and_mail(void **state)
{
    (void)state;
    struct vapic apic = powered_up(9);
    struct vapic fresh = powered_up(9);
    write_ok(&apic, MSR_X2APIC_TPR, 0x55);
    write_ok(&apic, MSR_X2APIC_SVR, SVR_ENABLED);
    write_ok(&apic, MSR_X2APIC_LVT_LINT0, 0x700);
    write_ok(&apic, MSR_X2APIC_TIMER_DIV, 3);
    post_fixed(&apic, 0x60);
    assert_int_equal(vapic_collect(&apic), 0);
    vapic_accept(&apic, 0x60);
    post_fixed(&apic, 0x61);
    vapic_reset(&apic);
    assert_true(vapic_has_posted(&apic));
    assert_int_equal(apic.posted[1], UINT64_C(1) << 0x21);
    apic.posted[1] = 0;
    assert_memory_equal(&apic, &fresh, sizeof(apic));
}

/* ---- ICR */

static struct vapic_ipi send(struct vapic *apic, uint64_t icr)
{
    struct vapic_ipi ipi;
    memset(&ipi, 0xa5, sizeof(ipi));
    assert_int_equal(vapic_write(apic, MSR_X2APIC_ICR, icr, &ipi), VAPIC_IPI);
    assert_int_equal(read_ok(apic, MSR_X2APIC_ICR), icr);
    return ipi;
}

static void what_icr_sends(void **state)
{
    (void)state;
    static const struct {
        uint32_t low;
        enum ipi_mode mode;
    } cases[] = {
        {0x00040, IPI_FIXED},   {0x04040, IPI_FIXED},   {0x00140, IPI_FIXED},   {0x00240, IPI_NOTHING},
        {0x00340, IPI_NOTHING}, {0x00400, IPI_NMI},     {0x04500, IPI_INIT},    {0x0c500, IPI_INIT},
        {0x08500, IPI_NOTHING}, {0x00500, IPI_INIT},    {0x0060b, IPI_STARTUP}, {0x04600, IPI_STARTUP},
        {0x00740, IPI_NOTHING}, {0x0000f, IPI_NOTHING}, {0x00010, IPI_FIXED},   {0x00100, IPI_NOTHING},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vapic apic = powered_up(0);
        struct vapic_ipi ipi = send(&apic, UINT64_C(0xdeadbeef00000000) | cases[i].low);
        assert_int_equal(ipi.mode, cases[i].mode);
        assert_int_equal(ipi.vector, cases[i].low & 0xff);
        assert_int_equal(ipi.shorthand, IPI_TO_DESTINATION);
        assert_false(ipi.logical);
        assert_int_equal(ipi.destination, 0xdeadbeef);
    }
    struct vapic apic = powered_up(0);
    assert_int_equal(send(&apic, 0x40040).shorthand, IPI_TO_SELF);
    assert_int_equal(send(&apic, 0x80040).shorthand, IPI_TO_ALL);
    assert_int_equal(send(&apic, 0xc0040).shorthand, IPI_TO_OTHERS);
    assert_true(send(&apic, 0x00840).logical);
}

/* Vectors below 16 reach nobody and leave an error, which a write of ESR brings to light. */
static void illegal_vectors(void **state)
{
    (void)state;
    struct vapic apic = powered_up(0);
    struct vapic_ipi ipi;
    for (uint32_t vector = 0; vector < 256; vector++) {
        assert_int_equal(send(&apic, vector).mode, vector < 16 ? IPI_NOTHING : IPI_FIXED);
        assert_int_equal(read_ok(&apic, MSR_X2APIC_ESR), 0);
        write_ok(&apic, MSR_X2APIC_ESR, 0);
        assert_int_equal(read_ok(&apic, MSR_X2APIC_ESR), vector < 16 ? 1u << 5 : 0);
        write_ok(&apic, MSR_X2APIC_ESR, 0);
        assert_int_equal(vapic_write(&apic, MSR_X2APIC_SELF_IPI, vector, &ipi), VAPIC_IPI);
        assert_int_equal(ipi.mode, vector < 16 ? IPI_NOTHING : IPI_FIXED);
        assert_int_equal(ipi.vector, vector);
        assert_int_equal(ipi.shorthand, IPI_TO_SELF);
        write_ok(&apic, MSR_X2APIC_ESR, 0);
        assert_int_equal(read_ok(&apic, MSR_X2APIC_ESR), vector < 16 ? 1u << 6 : 0);
        write_ok(&apic, MSR_X2APIC_ESR, 0);
    }
}

/* Who is reached, by the manual's words, for every id of a partition and many a forged destination. */
static bool reached(const struct vapic_ipi *ipi, uint32_t sender, uint32_t id)
{
    if (ipi->shorthand == IPI_TO_SELF)
        return sender == id;
    if (ipi->shorthand == IPI_TO_ALL || (ipi->shorthand == IPI_TO_OTHERS && sender != id))
        return true;
    if (ipi->shorthand == IPI_TO_OTHERS)
        return false;
    if (ipi->destination == 0xffffffff)
        return true;
    if (!ipi->logical)
        return ipi->destination == id;
    uint32_t cluster = ipi->destination / 0x10000, member = 0;
    for (uint32_t bit = 0; bit < 16; bit++)
        if ((ipi->destination & 1u << bit) != 0 && cluster * 16 + bit == id)
            member++;
    return member == 1;
}

static void who_is_reached(void **state)
{
    (void)state;
    static const uint32_t forged[] = {0,          1,          63,         64,         255,       256,
                                      0xfffffffe, 0xffffffff, 0x80000000, 0x00010001, 0x1ffff,   0x3ffff,
                                      0x0000ffff, 0x00048000, 0xffff0001, 0xfffeffff, 0x00030000};
    struct random random = {1};
    for (uint32_t round = 0; round < 2000; round++) {
        struct vapic_ipi ipi = {
            .mode = IPI_FIXED,
            .logical = random_one_in(&random, 2),
            .destination = round < 1000 ? forged[random_below(&random, ARRAY_SIZE(forged))]
                                        : (uint32_t)(random_u64(&random) >> random_below(&random, 64)),
        };
        switch (random_below(&random, 4)) {
        case 0:
            ipi.shorthand = IPI_TO_DESTINATION;
            break;
        case 1:
            ipi.shorthand = IPI_TO_SELF;
            break;
        case 2:
            ipi.shorthand = IPI_TO_ALL;
            break;
        default:
            ipi.shorthand = IPI_TO_OTHERS;
            break;
        }
        uint32_t sender = (uint32_t)random_below(&random, 64);
        for (uint32_t id = 0; id < 64; id++)
            assert_int_equal(vapic_ipi_reaches(&ipi, sender, id), reached(&ipi, sender, id));
    }
}

/* ---- mail */

static const struct vapic_ipi nmi = {.mode = IPI_NMI}, init = {.mode = IPI_INIT},
                              nothing = {.mode = IPI_NOTHING, .vector = 0x40},
                              startup_b = {.mode = IPI_STARTUP, .vector = 0x0b},
                              startup_ff = {.mode = IPI_STARTUP, .vector = 0xff};

static void events(void **state)
{
    (void)state;
    struct vapic apic = powered_up(1);
    assert_false(vapic_has_posted(&apic));
    vapic_post(&apic, &nothing);
    assert_false(vapic_has_posted(&apic));
    vapic_post(&apic, &nmi);
    assert_true(vapic_has_posted(&apic));
    vapic_post(&apic, &startup_b);
    vapic_post(&apic, &startup_ff); /* the first one counts */
    assert_int_equal(vapic_collect(&apic), VAPIC_EVENT_NMI | VAPIC_EVENT_STARTUP | 0x0b << 8);
    assert_false(vapic_has_posted(&apic));
    assert_int_equal(vapic_collect(&apic), 0);

    vapic_post(&apic, &startup_b);
    vapic_post(&apic, &init); /* voids what was posted before */
    vapic_post(&apic, &startup_ff);
    assert_int_equal(vapic_collect(&apic), VAPIC_EVENT_INIT | VAPIC_EVENT_STARTUP | 0xff << 8);
    vapic_post(&apic, &startup_b);
    vapic_post(&apic, &init);
    assert_int_equal(vapic_collect(&apic), VAPIC_EVENT_INIT);
    vapic_power_up(&apic, 1);
    vapic_post(&apic, &nmi);
    post_fixed(&apic, 0x30);
    vapic_power_up(&apic, 1);
    assert_false(vapic_has_posted(&apic));
}

/* ---- priorities, against a naive model */

struct model {
    bool posted[256], request[256], service[256];
    uint32_t task_priority;
    bool enabled;
};

static int top(const bool *set)
{
    for (int vector = 255; vector >= 0; vector--)
        if (set[vector])
            return vector;
    return -1;
}

static int model_deliverable(const struct model *m)
{
    int request = top(m->request), service = top(m->service);
    int bar = (int)(m->task_priority / 16);
    if (service >= 0 && service / 16 > bar)
        bar = service / 16;
    return m->enabled && request >= 0 && request / 16 > bar ? request : -1;
}

static void expect_same(const struct vapic *apic, const struct model *m)
{
    for (uint32_t word = 0; word < 8; word++) {
        uint32_t request = 0, service = 0;
        for (uint32_t bit = 0; bit < 32; bit++) {
            request |= (uint32_t)m->request[word * 32 + bit] << bit;
            service |= (uint32_t)m->service[word * 32 + bit] << bit;
        }
        assert_int_equal(read_ok(apic, MSR_X2APIC_IRR0 + word), request);
        assert_int_equal(read_ok(apic, MSR_X2APIC_ISR0 + word), service);
        assert_int_equal(read_ok(apic, MSR_X2APIC_TMR0 + word), 0);
    }
    int service = top(m->service);
    uint32_t ppr = service >= 0 && (uint32_t)service / 16 > m->task_priority / 16 ? (uint32_t)service & 0xf0
                                                                                  : m->task_priority;
    assert_int_equal(read_ok(apic, MSR_X2APIC_PPR), ppr);
    assert_int_equal(vapic_deliverable(apic), model_deliverable(m));
}

static void random_step(struct random *random, struct vapic *apic, struct model *m)
{
    uint32_t vector = 16 + (uint32_t)random_below(random, 240);
    int now;
    switch (random_below(random, 7)) {
    case 0:
        post_fixed(apic, vector);
        m->posted[vector] = true;
        assert_true(vapic_has_posted(apic));
        break;
    case 1:
        assert_int_equal(vapic_collect(apic), 0);
        for (uint32_t i = 0; i < 256; i++) {
            m->request[i] |= m->posted[i];
            m->posted[i] = false;
        }
        break;
    case 2:
    case 3:
        now = model_deliverable(m);
        if (now < 0)
            break;
        vapic_accept(apic, (uint32_t)now);
        m->request[now] = false;
        m->service[now] = true;
        if (!random_one_in(random, 4))
            break;
        vapic_withdraw(apic, (uint32_t)now);
        m->request[now] = true;
        m->service[now] = false;
        break;
    case 4:
        write_ok(apic, MSR_X2APIC_EOI, 0);
        if (top(m->service) >= 0)
            m->service[top(m->service)] = false;
        break;
    case 5:
        m->task_priority = (uint32_t)random_below(random, random_one_in(random, 2) ? 256 : 0x30);
        write_ok(apic, MSR_X2APIC_TPR, m->task_priority);
        break;
    default:
        m->enabled = !random_one_in(random, 4);
        write_ok(apic, MSR_X2APIC_SVR, m->enabled ? SVR_ENABLED : 0xff);
        break;
    }
}

static void against_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct random random = {seed};
        struct vapic apic = powered_up(3);
        struct model model = {.enabled = false};
        for (uint32_t step = 0; step < 300; step++) {
            random_step(&random, &apic, &model);
            expect_same(&apic, &model);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_register),    cmocka_unit_test(cr8_is_the_task_priority),
        cmocka_unit_test(logical_id),        cmocka_unit_test(init_keeps_id_and_mail),
        cmocka_unit_test(what_icr_sends),    cmocka_unit_test(illegal_vectors),
        cmocka_unit_test(who_is_reached),    cmocka_unit_test(events),
        cmocka_unit_test(against_the_model),
    };
    return cmocka_run_group_tests_name("vapic", tests, NULL, NULL);
}
