/* Starting vCPUs and giving them work. An idle vCPU halts with interrupts on until VECTOR_WAKE. */
#include "guest/lib/smp.h"

#include "guest/abi.h"
#include "guest/lib/call.h"
#include "guest/lib/entry.h"
#include "guest/lib/layout.h"
#include "guest/lib/trap.h"

#define START_PATIENCE_TICKS (UINT64_C(1) << 28)

extern const uint8_t ap_trampoline[], ap_trampoline_end[];

_Static_assert(FH_AP_PAGE == 0xB000, "AP_PAGE in start.S");

static struct {
    void (*function)(void *); /* NULL: idle */
    void *argument;
    bool up;
} vcpus[GUEST_MAX_VCPUS];

unsigned vcpu_count(void)
{
    unsigned count = boot_info()->vcpus;
    return count < GUEST_MAX_VCPUS ? count : GUEST_MAX_VCPUS;
}

void ipi_send(uint32_t destination, uint64_t command)
{
    wrmsr(FH_MSR_X2APIC_ICR, (uint64_t)destination << 32 | command);
}

static bool is_up(unsigned index)
{
    return __atomic_load_n(&vcpus[index].up, __ATOMIC_ACQUIRE);
}

static bool is_idle(unsigned index)
{
    return __atomic_load_n(&vcpus[index].function, __ATOMIC_ACQUIRE) == NULL;
}

bool vcpu_start(unsigned index)
{
    uint8_t *page = (uint8_t *)FH_AP_PAGE;
    __builtin_memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    uint64_t tables = read_cr3();
    __builtin_memcpy(page + AP_CR3, &tables, sizeof tables);

    ipi_send(index, ICR_INIT | ICR_ASSERT);
    ipi_send(index, ICR_SIPI | ICR_ASSERT | FH_AP_PAGE >> 12);
    uint64_t start = rdtsc();
    while (!is_up(index)) {
        if (rdtsc() - start > START_PATIENCE_TICKS)
            return false;
        cpu_pause();
    }
    return true;
}

unsigned vcpu_start_all(void)
{
    unsigned running = 1;
    for (unsigned i = 1; i < vcpu_count(); i++)
        running += is_up(i) || vcpu_start(i);
    return running;
}

void vcpu_run(unsigned index, void (*function)(void *), void *argument)
{
    vcpus[index].argument = argument;
    __atomic_store_n(&vcpus[index].function, function, __ATOMIC_RELEASE);
    ipi_send(index, ICR_FIXED | ICR_ASSERT | VECTOR_WAKE);
}

bool vcpu_wait(unsigned index, uint64_t ticks)
{
    uint64_t start = rdtsc();
    while (!is_idle(index)) {
        if (ticks != 0 && rdtsc() - start > ticks)
            return false;
        cpu_pause();
    }
    return true;
}

void vcpu_forget(unsigned index)
{
    __atomic_store_n(&vcpus[index].function, NULL, __ATOMIC_RELEASE);
    __atomic_store_n(&vcpus[index].up, false, __ATOMIC_RELEASE);
}

static void serve(unsigned index) __attribute__((noreturn));
static void serve(unsigned index)
{
    __atomic_store_n(&vcpus[index].up, true, __ATOMIC_RELEASE);
    for (;;) {
        interrupts_off();
        if (is_idle(index)) {
            wait_for_interrupt();
            continue;
        }
        interrupts_on();
        vcpus[index].function(vcpus[index].argument);
        __atomic_store_n(&vcpus[index].function, NULL, __ATOMIC_RELEASE);
    }
}

void vcpu_main(unsigned index)
{
    trap_init(index);
    wrmsr(MSR_X2APIC_SVR, 0x1FF); /* software-enabled, spurious vector 0xFF: needed after INIT */
    if (index == 0)
        guest_exit((enum exit_code)guest_main());
    serve(index);
}
