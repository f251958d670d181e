/*
 * Says things. Must never depend on the machine having a screen or a serial port, and after
 * console_leave_firmware() must not call the firmware.
 */
#include "boot/console.h"

#include "boot/uart.h"
#include "hv/cpu.h"
#include "hv/fmt.h"
#include "hv/json.h"

/* What Freehold needs to know of device path nodes. UEFI Specification 2.10, "Device Path Protocol". */
enum {
    NODE_MESSAGING = 3,
    NODE_MESSAGING_UART = 14,
    NODE_END = 0x7F,
    NODE_HEADER_BYTES = 4,
    PATH_MAX_NODES = 32
};

static struct {
    SIMPLE_TEXT_OUTPUT_INTERFACE *firmware; /* NULL: none, or no longer */
    uint16_t com1;
    uint16_t com2;
    bool com1_direct; /* the firmware's console does not show there already */
} console;

static bool path_has_uart(const EFI_DEVICE_PATH *path)
{
    const uint8_t *node = (const uint8_t *)path;
    for (uint32_t i = 0; i < PATH_MAX_NODES && (node[0] & 0x7F) != NODE_END; i++) {
        uint32_t length = (uint32_t)(node[2] | node[3] << 8);
        if (node[0] == NODE_MESSAGING && node[1] == NODE_MESSAGING_UART)
            return true;
        if (length < NODE_HEADER_BYTES)
            return false;
        node += length;
    }
    return false;
}

/* Whether one of the devices that the firmware's console is made of is a serial port. */
static bool firmware_console_is_serial(EFI_BOOT_SERVICES *services)
{
    /* EDK II's mark on every active console output device. */
    EFI_GUID console_out = {0xd3b36f2c, 0xd551, 0x11d4, {0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
    EFI_GUID device_path = EFI_DEVICE_PATH_PROTOCOL_GUID;
    EFI_HANDLE *handles = NULL;
    UINTN count = 0;
    if (EFI_ERROR(services->LocateHandleBuffer(ByProtocol, &console_out, NULL, &count, &handles)))
        return false;
    bool serial = false;
    for (UINTN i = 0; i < count && !serial; i++) {
        void *path = NULL;
        if (!EFI_ERROR(services->HandleProtocol(handles[i], &device_path, &path)) && path != NULL)
            serial = path_has_uart(path);
    }
    (void)services->FreePool(handles);
    return serial;
}

void console_open(const struct boot *boot)
{
    console.firmware = boot->system->ConOut;
    console.com1 = uart_present(COM1_PORT) ? COM1_PORT : 0;
    console.com2 = uart_present(COM2_PORT) ? COM2_PORT : 0;
    console.com1_direct =
        console.com1 != 0 && (console.firmware == NULL || !firmware_console_is_serial(boot->services));
    if (console.com1_direct)
        uart_init(console.com1);
}

uint16_t console_com1(void)
{
    return console.com1;
}

uint16_t console_com2(void)
{
    return console.com2;
}

void console_leave_firmware(void)
{
    console.firmware = NULL;
    if (console.com1 != 0)
        uart_init(console.com1);
    console.com1_direct = console.com1 != 0;
}

/* As UTF-16 with CR LF; everything said is ASCII. */
static void write_firmware(const char *text)
{
    CHAR16 wide[2 * MESSAGE_BYTES + 1];
    size_t used = 0;
    for (; *text != 0 && used + 2 < ARRAY_SIZE(wide); text++) {
        if (*text == '\n')
            wide[used++] = '\r';
        wide[used++] = (CHAR16)(*text & 0x7F);
    }
    wide[used] = 0;
    (void)console.firmware->OutputString(console.firmware, wide);
}

static void write_serial(const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '\n')
            uart_write(console.com1, "\r", 1);
        uart_write(console.com1, text, 1);
    }
}

void say(const char *format, ...)
{
    char text[MESSAGE_BYTES + 64];
    va_list args;
    va_start(args, format);
    fmt_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (console.firmware != NULL)
        write_firmware(text);
    if (console.com1_direct)
        write_serial(text);
}

static void write_event(void *context, const char *bytes, size_t length)
{
    (void)context;
    uart_write(console.com2, bytes, length);
}

void console_event_refused(const char *reason, const char *message)
{
    if (console.com2 == 0)
        return;
    uart_init(console.com2);
    uart_write(console.com2, "\n", 1); /* firmware may have left half a line of its own there */
    struct json json;
    json_start(&json, write_event, NULL);
    json_object(&json, NULL);
    json_u64(&json, "v", 1);
    json_literal(&json, "type", "refused");
    json_literal(&json, "reason", reason);
    json_literal(&json, "message", message);
    json_end(&json);
    json_finish(&json);
}

/* A bug of ours. The firmware may be half left: say it where it can be said and stop. */
_Noreturn void check_failed(const char *file, int line, const char *expression)
{
    say("Freehold: bug in the EFI application: %s:%d: %s\n", file, line, expression);
    cpu_halt();
}
