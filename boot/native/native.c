/*
 * The load of the guest `worker` on the bare machine, as an EFI application of its own: what `make bench`
 * compares a partition with. It runs the very object file that the guest runs, with interrupts off, then
 * speaks on the serial ports as Freehold does and switches the machine off. Must never be part of Freehold.
 */
#include "boot/boot.h"
#include "boot/uart.h"
#include "guest/worker/load.h"
#include "hv/cpu.h"
#include "hv/fmt.h"

#define LINE_BYTES 160

static void put_line(uint16_t port, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put_line(uint16_t port, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    size_t length = fmt_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    uart_write(port, line, min_u64(length, sizeof(line) - 1));
}

/* As the worker works, but for its hypercalls; false when a checksum was wrong. */
static bool work(void *memory, uint64_t *ticks)
{
    struct load load;
    bool right = true;
    __asm__ volatile("cli" : : : "memory");
    uint64_t begin = cpu_rdtsc();
    load_init(&load, memory, LOAD_BYTES, 1);
    while (load.round < LOAD_ROUNDS)
        right = load_advance(&load, LOAD_STEP_WORDS) != LOAD_WRONG && right;
    *ticks = cpu_rdtsc() - begin;
    __asm__ volatile("sti" : : : "memory");
    return right;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    (void)image;
    EFI_PHYSICAL_ADDRESS memory = 0;
    EFI_STATUS status = system->BootServices->AllocatePages(AllocateAnyPages, EfiLoaderData,
                                                            LOAD_BYTES / FRAME_BYTES, &memory);
    if (EFI_ERROR(status))
        return status;
    uint64_t ticks = 0;
    bool right = work((void *)memory, &ticks);
    uart_init(COM1_PORT);
    uart_init(COM2_PORT);
    put_line(COM1_PORT, "native: %llu ticks, checksums %s\n", (unsigned long long)ticks,
             right ? "right" : "WRONG");
    put_line(
        COM2_PORT,
        "{\"v\":1,\"type\":\"metric\",\"partition\":\"native\",\"name\":\"work.ticks\",\"value\":%llu}\n",
        (unsigned long long)ticks);
    put_line(COM2_PORT, "{\"v\":1,\"type\":\"report\",\"met\":%s,\"partitions\":[]}\n",
             right ? "true" : "false");
    uart_drain(COM1_PORT);
    uart_drain(COM2_PORT);
    system->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
    return EFI_SUCCESS;
}

_Noreturn void check_failed(const char *file, int line, const char *expression)
{
    put_line(COM1_PORT, "native: %s:%d: %s\n", file, line, expression);
    cpu_halt();
}
