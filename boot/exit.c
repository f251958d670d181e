/*
 * Leaves the firmware. After the first ExitBootServices, successful or not, no service but GetMemoryMap and
 * ExitBootServices is called, and nothing is said through the firmware.
 * Source: UEFI Specification 2.10, "EFI_BOOT_SERVICES.ExitBootServices()".
 */
#include "boot/boot.h"
#include "boot/console.h"
#include "hv/cpu.h"

#define EXIT_ATTEMPTS 8

/* The plan is rehearsed on exactly the map that the firmware is left with. */
static bool try_exit(struct boot *boot, EFI_STATUS *status)
{
    if (!rehearse_plan(boot))
        return false;
    *status = boot->services->ExitBootServices(boot->image, boot->firmware_map.key);
    return true;
}

/* Half-left firmware cannot be returned to; it comes back with a reset. */
static _Noreturn void reset_machine(struct boot *boot)
{
    say("The firmware can no longer be returned to: the machine is reset\n");
    boot->system->RuntimeServices->ResetSystem(EfiResetCold, EFI_ABORTED, 0, NULL);
    cpu_halt();
}

bool leave_firmware(struct boot *boot)
{
    EFI_STATUS status = EFI_SUCCESS;
    say("Leaving the firmware\n");
    if (!try_exit(boot, &status))
        return false;
    console_leave_firmware();

    for (uint32_t attempt = 1; EFI_ERROR(status) && attempt < EXIT_ATTEMPTS; attempt++)
        if (!try_exit(boot, &status))
            reset_machine(boot);
    if (EFI_ERROR(status)) {
        (void)boot_refuse(boot, REFUSED_FIRMWARE, status, "the firmware's memory map changes all the time");
        reset_machine(boot);
    }
    enter_hypervisor(boot);
}
