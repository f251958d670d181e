/*
 * From power-on to the hypervisor. Everything that can go wrong is found out while the firmware still runs;
 * then the machine is handed over in one go. Must never change anything that outlives a refusal.
 */
#include "boot/boot.h"
#include "boot/console.h"
#include "hv/cpu.h"
#include "hv/fmt.h"

/* Everything that may be refused. */
static bool prepare(struct boot *boot)
{
    if (!check_processor(boot)) /* VT-x, with all that Freehold needs, not locked off */
        return false;
    if (!read_memory_map(boot)) /* sane, before anything in it is believed */
        return false;
    find_platform(boot);    /* ACPI, SMBIOS, screen, serial ports, power switch */
    return find_cores(boot) /* all of them, alike */
           && read_configuration(boot) && read_images(boot) && prepare_rehearsal(boot) &&
           rehearse_plan(boot)       /* so that a plan that cannot fit is named before memory is taken */
           && make_region(boot)      /* the hypervisor's memory, image and handoff */
           && place_trampoline(boot) /* the door into it */
           && build_tables(boot);    /* its address space */
}

static bool begin(struct boot *boot, EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    *boot = (struct boot){
        .image = image,
        .system = system,
        .services = system->BootServices,
        .status = EFI_SUCCESS,
    };
    console_open(boot);
    boot->handoff = boot_take(boot, sizeof(*boot->handoff), EfiLoaderData, ANYWHERE);
    if (boot->handoff == NULL)
        return boot_refuse_memory(boot, "the handoff", sizeof(*boot->handoff));
    boot->handoff->magic = HANDOFF_MAGIC;
    boot->handoff->version = HANDOFF_VERSION;
    boot->handoff->bytes = sizeof(*boot->handoff);
    return true;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    static struct boot boot;
    uint64_t entry_tsc = cpu_rdtsc();

    if (begin(&boot, image, system)) {
        boot.handoff->entry_tsc = entry_tsc;
        say("Freehold: a landlord for one server\n");
        if (prepare(&boot))
            (void)leave_firmware(&boot); /* comes back only to refuse */
    }
    boot_release(&boot);
    return boot.status;
}

/* Eight bytes a step: some processors, and every software one, pay for each step. */
static void zero_frames(uint64_t address, uint64_t frames)
{
    uint64_t count = frames * FRAME_BYTES / sizeof(uint64_t);
    __asm__ volatile("rep stosq" : "+D"(address), "+c"(count) : "a"(0) : "memory");
}

void *boot_take(struct boot *boot, uint64_t bytes, EFI_MEMORY_TYPE type, uint64_t highest)
{
    if (bytes == 0 || bytes > PHYSICAL_LIMIT || boot->taken_count == BOOT_MAX_TAKEN)
        return NULL;
    EFI_PHYSICAL_ADDRESS address = highest;
    UINTN pages = align_up(bytes, FRAME_BYTES) / FRAME_BYTES;
    EFI_ALLOCATE_TYPE how = highest == ANYWHERE ? AllocateAnyPages : AllocateMaxAddress;
    if (EFI_ERROR(boot->services->AllocatePages(how, type, pages, &address)))
        return NULL;
    boot->taken[boot->taken_count++] = (struct boot_taken){address, pages};
    zero_frames(address, pages);
    return (void *)address; /* the firmware maps all memory one to one */
}

void boot_release(struct boot *boot)
{
    while (boot->taken_count > 0) {
        struct boot_taken taken = boot->taken[--boot->taken_count];
        /* Nobody could do anything about a failure here; the pages would stay the firmware's loader data. */
        (void)boot->services->FreePages(taken.address, taken.pages);
    }
}

static const char *refusal_name(enum refusal why)
{
    static const char *const names[] = {
#define REFUSAL_NAME(enumerator, name) [enumerator] = (name),
        REFUSALS(REFUSAL_NAME)
#undef REFUSAL_NAME
    };
    return names[why];
}

/* lead: what comes before the message for people. */
static bool refuse(struct boot *boot, enum refusal why, EFI_STATUS status, const char *lead,
                   const char *message)
{
    say("%s%s\n", lead, message);
    console_event_refused(refusal_name(why), message);
    boot->status = status;
    return false;
}

bool boot_refuse(struct boot *boot, enum refusal why, EFI_STATUS status, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    fmt_vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return refuse(boot, why, status, "Freehold cannot run here: ", message);
}

bool boot_refuse_memory(struct boot *boot, const char *what, uint64_t bytes)
{
    return boot_refuse(boot, REFUSED_MEMORY, EFI_OUT_OF_RESOURCES,
                       "the firmware has no %llu KiB of memory left for %s",
                       (unsigned long long)(bytes / KIB), what);
}

bool boot_refuse_at(struct boot *boot, enum refusal why, EFI_STATUS status, struct source_pos pos,
                    const char *format, ...)
{
    char message[MESSAGE_BYTES];
    size_t used;
    if (pos.line == 0)
        used = fmt_snprintf(message, sizeof(message), "%s: error: ", boot->handoff->config_source);
    else
        used = fmt_snprintf(message, sizeof(message), CONFIG_PATH ":%u:%u: error: ", pos.line, pos.column);
    va_list args;
    va_start(args, format);
    fmt_vsnprintf(message + used, sizeof(message) - used, format, args);
    va_end(args);
    return refuse(boot, why, status, "", message); /* the place comes first, as editors like it */
}
