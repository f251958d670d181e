/*
 * What else the machine has: tables, screen, serial ports, a way to switch off. Nothing here is required, so
 * nothing here refuses: what is missing or damaged is left out and said.
 */
#include "boot/boot.h"
#include "boot/console.h"
#include "boot/efi_map.h"
#include "hv/cpu.h"

/* The shorter of the two entry points, that of SMBIOS 3. */
#define SMBIOS_ENTRY_POINT_BYTES 24u

/* PCI configuration mechanism 1 (PCI Local Bus Specification 3.0, "Software Generation of Configuration
 * Transactions"). */
#define PCI_ADDRESS_PORT   0xCF8
#define PCI_DATA_PORT      0xCFC
#define PCI_ADDRESS_ENABLE UINT32_C(0x80000000)
#define PCI_DEVICES        32u
#define PCI_FUNCTIONS      8u

/* PIIX4 power management function (Intel 82371AB, order number 290562, April 1997). */
#define PIIX4_PM_ID        UINT32_C(0x71138086) /* device and vendor */
#define PIIX4_PMBASE       0x40u
#define PIIX4_PMBASE_MASK  UINT32_C(0xFFC0)
#define PIIX4_PMREGMISC    0x80u
#define PIIX4_PMREGMISC_ON 1u
#define PIIX4_PM1_CONTROL  4u
#define PIIX4_SUSPEND_OFF  UINT16_C(0x2000) /* SUS_TYP 0: soft off; SUS_EN */

static bool same_guid(const EFI_GUID *a, const EFI_GUID *b)
{
    return __builtin_memcmp(a, b, sizeof(*a)) == 0;
}

/* The address that the firmware's configuration table gives for a GUID, or 0. */
static uint64_t configuration_table(const EFI_SYSTEM_TABLE *system, EFI_GUID guid)
{
    for (UINTN i = 0; i < system->NumberOfTableEntries; i++)
        if (same_guid(&system->ConfigurationTable[i].VendorGuid, &guid))
            return (uint64_t)system->ConfigurationTable[i].VendorTable;
    return 0;
}

static const void *reach_memory(void *context, uint64_t address, uint64_t bytes)
{
    const struct memory_map *map = context;
    bool readable = efi_map_readable(map->buffer, map->bytes, map->descriptor_bytes, address, bytes);
    return readable ? (const void *)address : NULL;
}

static void find_acpi(struct boot *boot)
{
    EFI_GUID version2 = ACPI_20_TABLE_GUID, version1 = ACPI_TABLE_GUID;
    uint64_t rsdp = configuration_table(boot->system, version2);
    if (rsdp == 0)
        rsdp = configuration_table(boot->system, version1);
    struct acpi_info *info = rsdp == 0 ? NULL : boot_take(boot, sizeof(*info), EfiLoaderData, ANYWHERE);
    if (info == NULL)
        return;

    struct acpi_memory memory = {.reach = reach_memory, .context = &boot->firmware_map};
    if (acpi_parse(&memory, rsdp, info) != ACPI_OK) {
        say("The firmware's ACPI tables are damaged and not used\n");
        return;
    }
    if (info->tables_refused > 0)
        say("%u damaged ACPI tables are not used\n", info->tables_refused);
    boot->acpi = info;
    boot->handoff->rsdp = rsdp;
    boot->handoff->poweroff = info->poweroff;
}

/* Kept only where it can be read: whoever parses it later must not fault on the way. */
static void find_smbios(struct boot *boot)
{
    EFI_GUID version3 = SMBIOS3_TABLE_GUID, version2 = SMBIOS_TABLE_GUID;
    uint64_t entry_point = configuration_table(boot->system, version3);
    if (entry_point == 0)
        entry_point = configuration_table(boot->system, version2);
    if (reach_memory(&boot->firmware_map, entry_point, SMBIOS_ENTRY_POINT_BYTES) != NULL)
        boot->handoff->smbios = entry_point;
}

static enum pixel_format pixel_format(EFI_GRAPHICS_PIXEL_FORMAT format)
{
    switch (format) {
    case PixelRedGreenBlueReserved8BitPerColor:
        return PIXEL_RGBX;
    case PixelBlueGreenRedReserved8BitPerColor:
        return PIXEL_BGRX;
    default:
        return PIXEL_NONE; /* no framebuffer, or pixels of another shape: do without a screen */
    }
}

/* Whether what the mode says fits together and is no RAM, which a tenant may come to own. */
static bool screen_is_sane(const struct boot *boot, const struct handoff_screen *screen)
{
    uint64_t needed = (uint64_t)screen->stride * screen->height * sizeof(uint32_t);
    const struct memory_map *map = &boot->firmware_map;
    return screen->format != PIXEL_NONE && screen->width > 0 && screen->height > 0 &&
           screen->stride >= screen->width && screen->base != 0 && is_aligned(screen->base, FRAME_BYTES) &&
           screen->bytes >= needed && screen->base < PHYSICAL_LIMIT &&
           screen->bytes <= PHYSICAL_LIMIT - screen->base &&
           !efi_map_readable(map->buffer, map->bytes, map->descriptor_bytes, screen->base, 1);
}

static void find_screen(struct boot *boot)
{
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics = NULL;
    if (EFI_ERROR(boot->services->LocateProtocol(&guid, NULL, (void **)&graphics)) || graphics == NULL ||
        graphics->Mode == NULL || graphics->Mode->Info == NULL)
        return;
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info = graphics->Mode->Info;
    struct handoff_screen screen = {
        .base = graphics->Mode->FrameBufferBase,
        .bytes = graphics->Mode->FrameBufferSize,
        .width = info->HorizontalResolution,
        .height = info->VerticalResolution,
        .stride = info->PixelsPerScanLine,
        .format = pixel_format(info->PixelFormat),
    };
    if (screen_is_sane(boot, &screen))
        boot->handoff->screen = screen;
}

static uint32_t pci_read(uint32_t device, uint32_t function, uint32_t offset)
{
    cpu_out32(PCI_ADDRESS_PORT, PCI_ADDRESS_ENABLE | device << 11 | function << 8 | offset);
    return cpu_in32(PCI_DATA_PORT);
}

/* Machines without ACPI tables are virtual ones; they have the power management of a PIIX4 on bus 0. */
static void look_for_piix4(struct boot *boot)
{
    for (uint32_t device = 0; device < PCI_DEVICES; device++)
        for (uint32_t function = 0; function < PCI_FUNCTIONS; function++) {
            if (pci_read(device, function, 0) != PIIX4_PM_ID ||
                (pci_read(device, function, PIIX4_PMREGMISC) & PIIX4_PMREGMISC_ON) == 0)
                continue;
            uint32_t base = pci_read(device, function, PIIX4_PMBASE) & PIIX4_PMBASE_MASK;
            if (base == 0)
                continue;
            boot->handoff->poweroff = (struct handoff_poweroff){
                .pm1a_control_port = (uint16_t)(base + PIIX4_PM1_CONTROL),
                .pm1a_value = PIIX4_SUSPEND_OFF,
            };
            return;
        }
}

/* At the highest priority level: the address port belongs to the firmware's drivers too. */
static void find_piix4_poweroff(struct boot *boot)
{
    EFI_TPL before = boot->services->RaiseTPL(TPL_HIGH_LEVEL);
    look_for_piix4(boot);
    boot->services->RestoreTPL(before);
}

void find_platform(struct boot *boot)
{
    find_acpi(boot);
    if (boot->acpi == NULL)
        find_piix4_poweroff(boot);
    find_smbios(boot);
    find_screen(boot);
    boot->handoff->com1_port = console_com1();
    boot->handoff->com2_port = console_com2();
}
