/*
 * EFI_MP_SERVICES_PROTOCOL, which <efi.h> does not know. Source: UEFI Platform Initialization Specification
 * 1.8, volume 2, "MP Services Protocol".
 */
#ifndef FREEHOLD_BOOT_MP_SERVICES_H
#define FREEHOLD_BOOT_MP_SERVICES_H

#include <efi.h>

#define MP_SERVICES_GUID                                   \
    {                                                      \
        0x3fdda605, 0xa76e, 0x4f46,                        \
        {                                                  \
            0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 \
        }                                                  \
    }

#define MP_STATUS_BOOT_PROCESSOR 1u
#define MP_STATUS_ENABLED        2u

struct mp_processor {
    UINT64 id; /* the APIC id */
    UINT32 status;
    UINT32 package;
    UINT32 core;
    UINT32 thread;
    UINT32 extended[6]; /* written by newer firmware only */
    UINT32 spare[8];
};

typedef void(EFIAPI *mp_procedure)(void *argument);

struct mp_services {
    EFI_STATUS(EFIAPI *get_number_of_processors)
    (struct mp_services *this, UINTN *number, UINTN *enabled);
    EFI_STATUS(EFIAPI *get_processor_info)
    (struct mp_services *this, UINTN number, struct mp_processor *processor);
    EFI_STATUS(EFIAPI *startup_all)
    (struct mp_services *this, mp_procedure procedure, BOOLEAN one_by_one, EFI_EVENT event,
     UINTN timeout_microseconds, void *argument, UINTN **failed);
    EFI_STATUS(EFIAPI *startup_one)
    (struct mp_services *this, mp_procedure procedure, UINTN number, EFI_EVENT event,
     UINTN timeout_microseconds, void *argument, BOOLEAN *finished);
};

#endif
