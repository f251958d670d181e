/* A vCPU's local APIC: registers, priorities, IPIs. */
#include "hv/vapic.h"

#include "hv/x86.h"

#define VERSION_VALUE         0x00060015u /* version 15h, seven local vectors */
#define SPURIOUS_ENABLED      (1u << 8)
#define SPURIOUS_RESET        0xffu
#define SPURIOUS_LEGAL        0x1ffu
#define LVT_MASK_BIT          (1u << 16)
#define LVT_VECTOR            0xffu
#define ERROR_SEND_ILLEGAL    (1u << 5)
#define ERROR_RECEIVE_ILLEGAL (1u << 6)

#define ICR_VECTOR     0xffu
#define ICR_MODE_SHIFT 8
#define ICR_MODE_MASK  7u
#define ICR_LOGICAL    (1u << 11)
#define ICR_LEVEL      (1u << 14)
#define ICR_TRIGGER    (1u << 15)
#define ICR_TO_SHIFT   18
#define ICR_TO_MASK    3u
#define ICR_LEGAL_LOW                                                                       \
    (ICR_VECTOR | ICR_MODE_MASK << ICR_MODE_SHIFT | ICR_LOGICAL | ICR_LEVEL | ICR_TRIGGER | \
     ICR_TO_MASK << ICR_TO_SHIFT)
#define BROADCAST UINT32_MAX

void vapic_power_up(struct vapic *apic, uint32_t id)
{
    apic->id = id;
    for (uint32_t i = 0; i < ARRAY_SIZE(apic->posted); i++)
        apic->posted[i] = 0;
    apic->posted_events = 0;
    vapic_reset(apic);
}

void vapic_reset(struct vapic *apic)
{
    apic->task_priority = 0;
    apic->spurious = SPURIOUS_RESET;
    apic->error_latched = apic->error_pending = 0;
    apic->icr = 0;
    apic->timer_divide = 0;
    for (uint32_t i = 0; i < LVT_COUNT; i++)
        apic->lvt[i] = LVT_MASK_BIT;
    for (uint32_t i = 0; i < ARRAY_SIZE(apic->request); i++)
        apic->request[i] = apic->service[i] = 0;
}

static void set_vector(uint64_t set[4], uint32_t vector)
{
    set[vector / 64] |= UINT64_C(1) << vector % 64;
}

static void clear_vector(uint64_t set[4], uint32_t vector)
{
    set[vector / 64] &= ~(UINT64_C(1) << vector % 64);
}

static int highest(const uint64_t set[4])
{
    for (int word = 3; word >= 0; word--)
        if (set[word] != 0)
            return word * 64 + 63 - __builtin_clzll(set[word]);
    return VAPIC_NO_VECTOR;
}

/* "Interrupt, Task, and Processor Priority": the higher class of TPR and the vector in service. */
static uint32_t processor_priority(const struct vapic *apic)
{
    int in_service = highest(apic->service);
    uint32_t service_class = in_service < 0 ? 0 : (uint32_t)in_service & 0xf0;
    return (apic->task_priority & 0xf0) >= service_class ? apic->task_priority : service_class;
}

int vapic_deliverable(const struct vapic *apic)
{
    int vector = highest(apic->request);
    if (vector < 0 || (apic->spurious & SPURIOUS_ENABLED) == 0)
        return VAPIC_NO_VECTOR;
    return ((uint32_t)vector & 0xf0) > (processor_priority(apic) & 0xf0) ? vector : VAPIC_NO_VECTOR;
}

void vapic_accept(struct vapic *apic, uint32_t vector)
{
    clear_vector(apic->request, vector);
    set_vector(apic->service, vector);
}

void vapic_withdraw(struct vapic *apic, uint32_t vector)
{
    clear_vector(apic->service, vector);
    set_vector(apic->request, vector);
}

/* 32 bits of a 256-bit register; msr is one of eight consecutive ones. */
static uint64_t read_bits(const uint64_t set[4], uint32_t word)
{
    return set[word / 2] >> (word % 2 * 32) & UINT32_MAX;
}

static int lvt_index(uint32_t msr)
{
    switch (msr) {
    case MSR_X2APIC_LVT_CMCI:
        return LVT_CMCI;
    case MSR_X2APIC_LVT_TIMER:
        return LVT_TIMER;
    case MSR_X2APIC_LVT_THERMAL:
        return LVT_THERMAL;
    case MSR_X2APIC_LVT_PMC:
        return LVT_PERFORMANCE;
    case MSR_X2APIC_LVT_LINT0:
        return LVT_LINT0;
    case MSR_X2APIC_LVT_LINT1:
        return LVT_LINT1;
    case MSR_X2APIC_LVT_ERROR:
        return LVT_ERROR;
    default:
        return -1;
    }
}

/* Bits a guest may set: vector and mask everywhere, delivery mode, polarity and trigger where they exist. */
static uint32_t lvt_legal(int index)
{
    static const uint32_t legal[LVT_COUNT] = {
        [LVT_CMCI] = 0x107ff,  [LVT_TIMER] = 0x300ff, [LVT_THERMAL] = 0x107ff, [LVT_PERFORMANCE] = 0x107ff,
        [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
    };
    return legal[index];
}

enum vapic_result vapic_read(const struct vapic *apic, uint32_t msr, uint64_t *value)
{
    int lvt = lvt_index(msr);
    if (lvt >= 0) {
        *value = apic->lvt[lvt];
        return VAPIC_OK;
    }
    if (msr >= MSR_X2APIC_ISR0 && msr < MSR_X2APIC_ISR0 + 8) {
        *value = read_bits(apic->service, msr - MSR_X2APIC_ISR0);
        return VAPIC_OK;
    }
    if (msr >= MSR_X2APIC_TMR0 && msr < MSR_X2APIC_TMR0 + 8) {
        *value = 0; /* no level-triggered source exists */
        return VAPIC_OK;
    }
    if (msr >= MSR_X2APIC_IRR0 && msr < MSR_X2APIC_IRR0 + 8) {
        *value = read_bits(apic->request, msr - MSR_X2APIC_IRR0);
        return VAPIC_OK;
    }
    switch (msr) {
    case MSR_X2APIC_ID:
        *value = apic->id;
        return VAPIC_OK;
    case MSR_X2APIC_VERSION:
        *value = VERSION_VALUE;
        return VAPIC_OK;
    case MSR_X2APIC_TPR:
        *value = apic->task_priority;
        return VAPIC_OK;
    case MSR_X2APIC_PPR:
        *value = processor_priority(apic);
        return VAPIC_OK;
    case MSR_X2APIC_LDR:
        *value = (apic->id >> 4) << 16 | 1u << (apic->id & 15);
        return VAPIC_OK;
    case MSR_X2APIC_SVR:
        *value = apic->spurious;
        return VAPIC_OK;
    case MSR_X2APIC_ESR:
        *value = apic->error_latched;
        return VAPIC_OK;
    case MSR_X2APIC_ICR:
        *value = apic->icr;
        return VAPIC_OK;
    case MSR_X2APIC_TIMER_INIT:
    case MSR_X2APIC_TIMER_COUNT:
        *value = 0;
        return VAPIC_OK;
    case MSR_X2APIC_TIMER_DIV:
        *value = apic->timer_divide;
        return VAPIC_OK;
    default:
        return VAPIC_FAULT; /* reserved, or write-only like EOI and SELF IPI */
    }
}

/* "ICR Operation in x2APIC Mode". */
static enum vapic_result write_icr(struct vapic *apic, uint64_t value, struct vapic_ipi *ipi)
{
    uint32_t low = (uint32_t)value;
    if ((low & ~ICR_LEGAL_LOW) != 0)
        return VAPIC_FAULT;
    apic->icr = value;
    *ipi = (struct vapic_ipi){
        .mode = IPI_NOTHING,
        .vector = (uint8_t)(low & ICR_VECTOR),
        .shorthand = low >> ICR_TO_SHIFT & ICR_TO_MASK,
        .logical = (low & ICR_LOGICAL) != 0,
        .destination = (uint32_t)(value >> 32),
    };
    switch (low >> ICR_MODE_SHIFT & ICR_MODE_MASK) {
    case 0: /* fixed */
    case 1: /* lowest priority: delivered like fixed to each destination */
        ipi->mode = IPI_FIXED;
        if (ipi->vector < VAPIC_FIRST_LEGAL) {
            apic->error_pending |= ERROR_SEND_ILLEGAL;
            ipi->mode = IPI_NOTHING;
        }
        break;
    case 4:
        ipi->mode = IPI_NMI;
        break;
    case 5: /* INIT; the de-assert form does nothing on processors with x2APIC */
        ipi->mode = (low & ICR_LEVEL) != 0 || (low & ICR_TRIGGER) == 0 ? IPI_INIT : IPI_NOTHING;
        break;
    case 6:
        ipi->mode = IPI_STARTUP;
        break;
    default: /* SMI and reserved modes reach nobody */
        break;
    }
    return VAPIC_IPI;
}

static enum vapic_result write_self_ipi(struct vapic *apic, uint64_t value, struct vapic_ipi *ipi)
{
    if (value > ICR_VECTOR)
        return VAPIC_FAULT;
    *ipi = (struct vapic_ipi){.mode = IPI_FIXED, .vector = (uint8_t)value, .shorthand = IPI_TO_SELF};
    if (value < VAPIC_FIRST_LEGAL) {
        apic->error_pending |= ERROR_RECEIVE_ILLEGAL;
        ipi->mode = IPI_NOTHING;
    }
    return VAPIC_IPI;
}

/* Stores `value` where it has no illegal bit. */
static enum vapic_result store(uint32_t *where, uint64_t value, uint64_t legal)
{
    if ((value & ~legal) != 0)
        return VAPIC_FAULT;
    *where = (uint32_t)value;
    return VAPIC_OK;
}

static enum vapic_result write_eoi(struct vapic *apic, uint64_t value)
{
    if (value != 0)
        return VAPIC_FAULT;
    int vector = highest(apic->service);
    if (vector >= 0)
        clear_vector(apic->service, (uint32_t)vector);
    return VAPIC_OK;
}

static enum vapic_result write_esr(struct vapic *apic, uint64_t value)
{
    if (value != 0)
        return VAPIC_FAULT;
    apic->error_latched = apic->error_pending;
    apic->error_pending = 0;
    return VAPIC_OK;
}

enum vapic_result vapic_write(struct vapic *apic, uint32_t msr, uint64_t value, struct vapic_ipi *ipi)
{
    int lvt = lvt_index(msr);
    if (lvt >= 0)
        return store(&apic->lvt[lvt], value, lvt_legal(lvt));
    switch (msr) {
    case MSR_X2APIC_TPR:
        return store(&apic->task_priority, value, 0xff);
    case MSR_X2APIC_EOI:
        return write_eoi(apic, value);
    case MSR_X2APIC_SVR:
        return store(&apic->spurious, value, SPURIOUS_LEGAL);
    case MSR_X2APIC_ESR:
        return write_esr(apic, value);
    case MSR_X2APIC_ICR:
        return write_icr(apic, value, ipi);
    case MSR_X2APIC_SELF_IPI:
        return write_self_ipi(apic, value, ipi);
    case MSR_X2APIC_TIMER_INIT:
        return value > UINT32_MAX ? VAPIC_FAULT : VAPIC_OK;
    case MSR_X2APIC_TIMER_DIV:
        return store(&apic->timer_divide, value, 0xb);
    default:
        return VAPIC_FAULT; /* reserved or read-only */
    }
}

uint64_t vapic_read_cr8(const struct vapic *apic)
{
    return apic->task_priority >> 4;
}

enum vapic_result vapic_write_cr8(struct vapic *apic, uint64_t value)
{
    if (value > 0xf)
        return VAPIC_FAULT;
    apic->task_priority = (uint32_t)value << 4;
    return VAPIC_OK;
}

bool vapic_ipi_reaches(const struct vapic_ipi *ipi, uint32_t sender, uint32_t id)
{
    switch (ipi->shorthand) {
    case IPI_TO_SELF:
        return id == sender;
    case IPI_TO_ALL:
        return true;
    case IPI_TO_OTHERS:
        return id != sender;
    default:
        break;
    }
    if (ipi->destination == BROADCAST)
        return true;
    if (ipi->logical) /* "Logical Destination Mode in x2APIC Mode": cluster, and a bit a member */
        return ipi->destination >> 16 == id >> 4 && (ipi->destination >> (id & 15) & 1) != 0;
    return ipi->destination == id;
}

void vapic_post(struct vapic *apic, const struct vapic_ipi *ipi)
{
    switch (ipi->mode) {
    case IPI_FIXED:
        __atomic_fetch_or(&apic->posted[ipi->vector / 64], UINT64_C(1) << ipi->vector % 64, __ATOMIC_RELEASE);
        break;
    case IPI_NMI:
        __atomic_fetch_or(&apic->posted_events, VAPIC_EVENT_NMI, __ATOMIC_RELEASE);
        break;
    case IPI_INIT: /* a start-up that was posted before is void */
        __atomic_store_n(&apic->posted_events, VAPIC_EVENT_INIT, __ATOMIC_RELEASE);
        break;
    case IPI_STARTUP: {
        uint32_t old = __atomic_load_n(&apic->posted_events, __ATOMIC_RELAXED);
        uint32_t new;
        do {
            if ((old & VAPIC_EVENT_STARTUP) != 0)
                return; /* the first one counts */
            new = old | VAPIC_EVENT_STARTUP | (uint32_t)ipi->vector << 8;
        } while (!__atomic_compare_exchange_n(&apic->posted_events, &old, new, false, __ATOMIC_RELEASE,
                                              __ATOMIC_RELAXED));
        break;
    }
    default:
        break;
    }
}

bool vapic_has_posted(const struct vapic *apic)
{
    uint64_t any = __atomic_load_n(&apic->posted_events, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < ARRAY_SIZE(apic->posted); i++)
        any |= __atomic_load_n(&apic->posted[i], __ATOMIC_ACQUIRE);
    return any != 0;
}

uint32_t vapic_collect(struct vapic *apic)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(apic->posted); i++)
        if (__atomic_load_n(&apic->posted[i], __ATOMIC_RELAXED) != 0)
            apic->request[i] |= __atomic_exchange_n(&apic->posted[i], 0, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&apic->posted_events, __ATOMIC_RELAXED) == 0)
        return 0;
    return __atomic_exchange_n(&apic->posted_events, 0, __ATOMIC_ACQUIRE);
}
