/*
 * What the files of the EFI application share: its state, its way of refusing a machine, its memory. Only
 * boot/ includes this; <efi.h> is seen nowhere else.
 *
 * The rule of the whole application: until leave_firmware() nothing is irreversible. Whatever a step takes it
 * records here, and a refusal gives it all back.
 */
#ifndef FREEHOLD_BOOT_BOOT_H
#define FREEHOLD_BOOT_BOOT_H

#include <efi.h>

#include "boot/acpi_parse.h"
#include "boot/hv_elf.h"
#include "boot/memory_map.h"
#include "hv/plan.h"
#include "hv/vmx_caps.h"

#define CONFIG_PATH "\\freehold\\freehold.toml"

/* Why a machine is refused: X(enumerator, name in the event on COM2). */
#define REFUSALS(X)                       \
    X(REFUSED_NO_VMX, "no-vmx")           \
    X(REFUSED_VMX_LOCKED, "vmx-locked")   \
    X(REFUSED_VMX_FEATURE, "vmx-feature") \
    X(REFUSED_CORES, "cores")             \
    X(REFUSED_MEMORY_MAP, "memory-map")   \
    X(REFUSED_CONFIG, "config")           \
    X(REFUSED_IMAGE, "image")             \
    X(REFUSED_PLAN, "plan")               \
    X(REFUSED_MEMORY, "memory")           \
    X(REFUSED_FIRMWARE, "firmware")

enum refusal {
#define REFUSAL_ENUMERATOR(enumerator, name) enumerator,
    REFUSALS(REFUSAL_ENUMERATOR)
#undef REFUSAL_ENUMERATOR
};

/* Pages taken from the firmware. */
#define BOOT_MAX_TAKEN (CONFIG_MAX_PARTITIONS + 32)

struct boot_taken {
    EFI_PHYSICAL_ADDRESS address;
    UINTN pages;
};

struct boot {
    EFI_HANDLE image;
    EFI_SYSTEM_TABLE *system;
    EFI_BOOT_SERVICES *services;
    EFI_STATUS status; /* of the refusal */
    uint32_t taken_count;
    struct boot_taken taken[BOOT_MAX_TAKEN];

    struct vmx_msrs vmx_msrs; /* of the boot core; the others must have the same */
    struct memory_map firmware_map;
    struct acpi_info *acpi; /* NULL: the machine has no ACPI tables, or damaged ones */

    struct handoff *handoff; /* a draft until make_region() moves it to its final place */
    struct hv_elf hv;
    uint64_t pool_next; /* first free frame of the region; its page tables come from there */

    /* For the rehearsal of the plan. */
    void *frame_table;
    uint64_t frame_table_bytes;
    struct plan *plan;
};

/*
 * Pages from the firmware, zeroed, not above `highest`, given back on a refusal; NULL when there are none.
 * bytes is rounded up to pages.
 */
MUST_USE void *boot_take(struct boot *boot, uint64_t bytes, EFI_MEMORY_TYPE type, uint64_t highest);
#define ANYWHERE UINT64_MAX

/* Gives back everything boot_take gave. */
void boot_release(struct boot *boot);

/*
 * Says why the machine cannot run Freehold, to people (screen and COM1) and to programs (COM2), and keeps
 * `status` for the firmware. Always false, so that a step can `return boot_refuse(...)`. The message is one
 * sentence without a full stop: the place, the cause, the remedy.
 */
bool boot_refuse(struct boot *boot, enum refusal why, EFI_STATUS status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for the frequent "the firmware has no memory left for WHAT". */
bool boot_refuse_memory(struct boot *boot, const char *what, uint64_t bytes);

/* The same for a configuration that does not parse or does not fit: "FILE:LINE:COLUMN: error: ...". */
bool boot_refuse_at(struct boot *boot, enum refusal why, EFI_STATUS status, struct source_pos pos,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * The steps, in the order in which main.c takes them. Each returns false after boot_refuse.
 */

/* cpu.c: a processor with VT-x and all that Freehold needs of it, not locked off. Also its name and TSC rate.
 */
bool check_processor(struct boot *boot);

/* memory.c: the firmware's memory map can be read and makes sense. */
bool read_memory_map(struct boot *boot);

/* platform.c: ACPI, SMBIOS, screen, serial ports, power switch: whatever of it there is. Never refuses. */
void find_platform(struct boot *boot);

/* cores.c: every core, whether they are alike, and where they sit. */
bool find_cores(struct boot *boot);

/* files.c: the configuration, or the default one; then the guests' images, checked. */
bool read_configuration(struct boot *boot);
bool read_images(struct boot *boot);
/* Whether partition `index` is the first with its image: partitions with one image share its frames. */
bool image_is_first_use(const struct handoff *handoff, uint32_t index);

/* memory.c: the plan fits the memory as it is now. The rehearsal itself takes no firmware service. */
bool prepare_rehearsal(struct boot *boot);
bool rehearse_plan(struct boot *boot);

/* load_hv.c: the hypervisor's region with its image and the handoff in place. */
bool make_region(struct boot *boot);

/* trampoline.c: the frame below 1 MiB through which every core enters the hypervisor. */
bool place_trampoline(struct boot *boot);

/* tables.c: the hypervisor's page tables; afterwards the pool is settled. */
bool build_tables(struct boot *boot);

/*
 * exit.c: leaves the firmware for the hypervisor. Returns (false) only while that is still harmless; later
 * failures reset the machine.
 */
bool leave_firmware(struct boot *boot);

/* trampoline.c: enters the hypervisor on this core. Interrupts off, firmware left. */
_Noreturn void enter_hypervisor(const struct boot *boot);

/* entry.S calls these. */
void boot_relocate(uint64_t image_base, const void *dynamic);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

#endif
