/*
 * What leaving the guest costs, seen by the guest: ticks of the TSC from one instruction to the next, the two
 * RDTSCs' own cost taken off. Each figure is the median of SAMPLES and goes out under a stable name
 * (docs/guests.md). Must never average: one sample may contain anything.
 *
 * The measurements between vCPUs need two; with one they are skipped, and it says so.
 */
#include "guest/lib/call.h"
#include "guest/lib/entry.h"
#include "guest/lib/hypercall.h"
#include "guest/lib/print.h"
#include "guest/lib/smp.h"
#include "guest/lib/trap.h"

#define SAMPLES             101
#define VECTOR_NOTE         0x60 /* bench_note_time */
#define VECTOR_ECHO         0x61 /* bench_echo */
#define VECTOR_HALT         0x62 /* ends the partner's halting loop */
#define PORT_ABSENT         0x180
#define UART_LSR            (FH_PORT_UART + 5)
#define PARTNER             1u
#define WAKE_PATIENCE_TICKS (UINT64_C(1) << 26)

extern const uint8_t bench_note_time[], bench_echo[];
extern volatile uint64_t bench_woken_tsc, bench_echo_command;

static void op_nothing(void)
{
    __asm__ volatile("" : : : "memory");
}

static void op_cpuid(void)
{
    (void)cpuid(0, 0);
}

static void op_vmcall(void)
{
    (void)vmcall(FH_CALL_NOP, 0, 0, 0);
}

static void op_rdmsr(void)
{
    (void)rdmsr(FH_MSR_X2APIC_ID);
}

static void op_port_in(void)
{
    (void)in8(PORT_ABSENT);
}

static void op_uart_lsr(void)
{
    (void)in8(UART_LSR);
}

static uint64_t median(uint64_t samples[SAMPLES])
{
    for (unsigned i = 1; i < SAMPLES; i++) {
        uint64_t value = samples[i];
        unsigned at = i;
        for (; at > 0 && samples[at - 1] > value; at--)
            samples[at] = samples[at - 1];
        samples[at] = value;
    }
    return samples[SAMPLES / 2];
}

/* Inlined once per operation, so that only the operation itself stands between the two RDTSCs. */
static inline __attribute__((always_inline)) uint64_t measure(void (*operation)(void))
{
    uint64_t samples[SAMPLES];
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t before = rdtsc();
        operation();
        samples[i] = rdtsc() - before;
    }
    return median(samples);
}

static void report(const char *name, uint64_t ticks)
{
    print("bench: %-16s %8lu ticks\n", name, ticks);
    metric(name, ticks);
}

static uint64_t without(uint64_t ticks, uint64_t overhead)
{
    return ticks > overhead ? ticks - overhead : 0;
}

/* From HLT, an interrupt pending already, to the first instruction of its handler. */
static uint64_t measure_hlt_wake(void)
{
    uint64_t samples[SAMPLES];
    for (unsigned i = 0; i < SAMPLES; i++) {
        interrupts_off();
        ipi_send(vcpu_index(), ICR_FIXED | ICR_ASSERT | VECTOR_NOTE);
        uint64_t before = rdtsc();
        wait_for_interrupt();
        samples[i] = bench_woken_tsc - before;
    }
    interrupts_off();
    return median(samples);
}

static void partner_spins(void *stop)
{
    while (!__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE))
        cpu_pause();
}

static void partner_halts(void *stop)
{
    for (;;) {
        interrupts_off();
        if (__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE))
            break;
        wait_for_interrupt();
    }
    interrupts_on();
}

/* One IPI there and one back; false when none comes. */
static bool round_trip(uint64_t *ticks)
{
    bench_woken_tsc = 0;
    uint64_t before = rdtsc();
    ipi_send(PARTNER, ICR_FIXED | ICR_ASSERT | VECTOR_ECHO);
    while (bench_woken_tsc == 0) {
        if (rdtsc() - before > WAKE_PATIENCE_TICKS)
            return false;
    }
    *ticks = bench_woken_tsc - before;
    return true;
}

/* Round trips to vCPU 1, which spins or halts meanwhile. */
static bool measure_ipi(const char *name, void (*partner)(void *))
{
    static bool stop;
    uint64_t samples[SAMPLES];
    bool answered = true;
    stop = false;
    bench_echo_command = (uint64_t)vcpu_index() << 32 | ICR_FIXED | ICR_ASSERT | VECTOR_NOTE;
    vcpu_run(PARTNER, partner, &stop);
    interrupts_on();
    for (unsigned i = 0; answered && i < SAMPLES; i++)
        answered = round_trip(&samples[i]);
    interrupts_off();
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    ipi_send(PARTNER, ICR_FIXED | ICR_ASSERT | VECTOR_HALT);
    if (!answered)
        return verdict(false, "bench: %s: vCPU %u did not answer an IPI", name, PARTNER);
    vcpu_wait(PARTNER, 0);
    report(name, median(samples));
    return true;
}

static void gate_point(unsigned vector, const uint8_t *handler)
{
    uint64_t address = (uint64_t)(uintptr_t)handler;
    struct gate *gate = trap_gate(vector);
    gate->offset_low = (uint16_t)address;
    gate->offset_middle = (uint16_t)(address >> 16);
    gate->offset_high = (uint32_t)(address >> 32);
}

static void measure_one_vcpu(void)
{
    uint64_t overhead = measure(op_nothing);
    report("first_instruction", entry_state.tsc);
    report("exit.cpuid", without(measure(op_cpuid), overhead));
    report("exit.vmcall", without(measure(op_vmcall), overhead));
    report("exit.rdmsr", without(measure(op_rdmsr), overhead));
    report("exit.port_in", without(measure(op_port_in), overhead));
    report("exit.uart_lsr", without(measure(op_uart_lsr), overhead));
    report("exit.hlt_wake", without(measure_hlt_wake(), overhead));
}

int guest_main(void)
{
    gate_point(VECTOR_NOTE, bench_note_time);
    gate_point(VECTOR_ECHO, bench_echo);
    measure_one_vcpu();
    if (vcpu_count() < 2) {
        print("bench: exit.ipi and exit.ipi_halted skipped: they need a second vCPU\n");
        return EXIT_PASS;
    }
    if (!vcpu_start(PARTNER)) {
        verdict(false, "bench: vCPU %u did not start", PARTNER);
        return EXIT_FAIL;
    }
    bool done = measure_ipi("exit.ipi", partner_spins) && measure_ipi("exit.ipi_halted", partner_halts);
    return done ? EXIT_PASS : EXIT_FAIL;
}
