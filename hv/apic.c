/* This machine's local APIC. */
#include "hv/apic.h"

#include "hv/cpu.h"
#include "hv/memory.h"
#include "hv/traps.h"
#include "hv/x86.h"

/* Registers by their x2APIC number: the MSR is 0x800 + n, the memory offset n * 16. */
enum apic_register {
    APIC_ID = 0x02,
    APIC_TPR = 0x08,
    APIC_EOI = 0x0b,
    APIC_SPURIOUS = 0x0f,
    APIC_ICR = 0x30,
    APIC_ICR_HIGH = 0x31, /* in memory only */
    APIC_LVT_CMCI = 0x2f,
    APIC_LVT_TIMER = 0x32,
    APIC_LVT_THERMAL = 0x33,
    APIC_LVT_PERFORMANCE = 0x34,
    APIC_LVT_LINT0 = 0x35,
    APIC_LVT_LINT1 = 0x36,
    APIC_LVT_ERROR = 0x37,
    APIC_TIMER_INITIAL = 0x38,
    APIC_TIMER_CURRENT = 0x39,
    APIC_TIMER_DIVIDE = 0x3e,
};

#define X2APIC_MSR_BASE    0x800u
#define SPURIOUS_ENABLE    (1u << 8)
#define LVT_MASKED         (1u << 16)
#define LVT_TSC_DEADLINE   (2u << 17)
#define LVT_NMI            (4u << 8)
#define ICR_NMI            (4u << 8)
#define ICR_INIT           (5u << 8)
#define ICR_STARTUP        (6u << 8)
#define ICR_PENDING        (1u << 12)
#define ICR_ASSERT         (1u << 14)
#define TIMER_DIVIDE_BY_1  0xbu
#define CALIBRATION_PARTS  1000 /* one-shot calibration takes a second's thousandth */
#define ICR_PENDING_ROUNDS 1000000

static struct {
    bool x2;
    bool deadline;
    uint32_t volatile *registers;
    uint64_t tsc_per_count_16; /* TSC ticks per 16 counts of the one-shot timer */
} apic;

static uint32_t read_register(enum apic_register which)
{
    return apic.x2 ? (uint32_t)cpu_rdmsr(X2APIC_MSR_BASE + which) : apic.registers[(unsigned)which * 4];
}

static void write_register(enum apic_register which, uint32_t value)
{
    if (apic.x2)
        cpu_wrmsr(X2APIC_MSR_BASE + which, value);
    else
        apic.registers[(unsigned)which * 4] = value;
}

/* How many TSC ticks one count of the APIC timer takes, measured against the TSC. */
static void calibrate(uint64_t tsc_hz)
{
    write_register(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    write_register(APIC_LVT_TIMER, LVT_MASKED);
    write_register(APIC_TIMER_INITIAL, UINT32_MAX);
    uint64_t start = cpu_rdtsc();
    while (cpu_rdtsc() - start < tsc_hz / CALIBRATION_PARTS)
        cpu_pause();
    uint64_t ticks = cpu_rdtsc() - start;
    uint64_t counts = UINT32_MAX - read_register(APIC_TIMER_CURRENT);
    write_register(APIC_TIMER_INITIAL, 0);
    apic.tsc_per_count_16 = max_u64(ticks * 16 / max_u64(counts, 1), 1);
}

void apic_init(uint64_t tsc_hz)
{
    uint32_t features = cpu_cpuid(CPUID_LEAF_FEATURES, 0).ecx;
    apic.x2 = (features & CPUID_1_ECX_X2APIC) != 0;
    apic.deadline = (features & CPUID_1_ECX_TSC_DEADLINE) != 0;
    if (!apic.x2)
        apic.registers = memory_map_device(hpa(cpu_rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS_MASK));
    apic_enable();
    if (!apic.deadline)
        calibrate(tsc_hz);
}

void apic_enable(void)
{
    static const enum apic_register vectors[] = {APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_LVT_ERROR};
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    if (apic.x2)
        base |= APIC_BASE_X2APIC;
    cpu_wrmsr(MSR_APIC_BASE, base);
    write_register(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    write_register(APIC_TPR, 0);
    for (uint32_t i = 0; i < ARRAY_SIZE(vectors); i++)
        write_register(vectors[i], LVT_MASKED);
    write_register(APIC_LVT_LINT1, LVT_NMI); /* where platforms wire their NMI */
}

uint32_t apic_id(void)
{
    uint32_t id = read_register(APIC_ID);
    return apic.x2 ? id : id >> 24;
}

bool apic_is_x2(void)
{
    return apic.x2;
}

void apic_eoi(void)
{
    write_register(APIC_EOI, 0);
}

static void send(uint32_t to_apic_id, uint32_t command)
{
    if (apic.x2) {
        /* The write of ICR is not serialising: what was stored before must be seen by the core it wakes. */
        __asm__ volatile("mfence\n\tlfence" : : : "memory");
        cpu_wrmsr(X2APIC_MSR_BASE + APIC_ICR, (uint64_t)to_apic_id << 32 | command);
        return;
    }
    for (uint32_t i = 0; i < ICR_PENDING_ROUNDS && (read_register(APIC_ICR) & ICR_PENDING) != 0; i++)
        cpu_pause();
    write_register(APIC_ICR_HIGH, to_apic_id << 24);
    write_register(APIC_ICR, command);
}

void apic_send(uint32_t to_apic_id, uint8_t vector)
{
    send(to_apic_id, vector | ICR_ASSERT);
}

void apic_send_nmi(uint32_t to_apic_id)
{
    send(to_apic_id, ICR_NMI | ICR_ASSERT);
}

void apic_send_init(uint32_t to_apic_id)
{
    send(to_apic_id, ICR_INIT | ICR_ASSERT);
}

void apic_send_startup(uint32_t to_apic_id, uint8_t page)
{
    send(to_apic_id, ICR_STARTUP | ICR_ASSERT | page);
}

void apic_timer_after(uint64_t ticks)
{
    if (apic.deadline) {
        write_register(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
        /* In xAPIC mode the LVT write is to memory; the deadline must not overtake it. */
        __asm__ volatile("mfence" : : : "memory");
        cpu_wrmsr(MSR_TSC_DEADLINE, cpu_rdtsc() + ticks);
        return;
    }
    uint64_t counts = min_u64(max_u64(ticks * 16 / apic.tsc_per_count_16, 1), UINT32_MAX);
    write_register(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    write_register(APIC_LVT_TIMER, VECTOR_TIMER);
    write_register(APIC_TIMER_INITIAL, (uint32_t)counts);
}
