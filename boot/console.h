/*
 * Lines for people while the firmware runs: on its console and on COM1; and the one event for programs that
 * a refusal is, on COM2.
 */
#ifndef FREEHOLD_BOOT_CONSOLE_H
#define FREEHOLD_BOOT_CONSOLE_H

#include "boot/boot.h"

#define MESSAGE_BYTES 512

/* First of all; finds out which serial ports answer and whether the firmware's console shows on COM1. */
void console_open(const struct boot *boot);

/* Port of COM1 or COM2, 0 when no UART answers there. */
uint16_t console_com1(void);
uint16_t console_com2(void);

/* From now on the firmware's console is not touched any more; only COM1 is written. */
void console_leave_firmware(void);

/* Text for people, cut at MESSAGE_BYTES. Lines end in "\n". */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* {"v":1,"type":"refused","reason":...,"message":...} on COM2. */
void console_event_refused(const char *reason, const char *message);

#endif
