/* A partition's devices and what becomes of what its guests write to them. */
#include "hv/devices.h"

#include "guest/abi.h"
#include "hv/control.h"
#include "hv/string.h"

/* The vCPU whose access is being serviced; under the partition's device lock. */
static struct vcpu *accessor(const struct partition *partition)
{
    return partition->device_user;
}

void devices_flush_output(struct vcpu *vcpu)
{
    struct record_text record;
    uint32_t bytes = vcpu->output_bytes;
    uint32_t size = (uint32_t)offsetof(struct record_text, text) + bytes;
    if (bytes == 0 || !control_has_room(size))
        return;
    record.partition = vcpu->partition->index;
    record.vcpu = vcpu->index;
    record.value = 0;
    record.bytes = bytes;
    memcpy(record.text, vcpu->output, bytes);
    control_post(RECORD_OUTPUT, &record, size);
    vcpu->output_bytes = 0;
}

/* The UART's way out: bytes gather per vCPU until a line is complete. A full buffer is the guest's to wait
 * for (LSR.THRE). */
static bool output_room(void *context)
{
    struct vcpu *vcpu = accessor(context);
    if (vcpu->output_bytes == sizeof(vcpu->output))
        devices_flush_output(vcpu);
    return vcpu->output_bytes < sizeof(vcpu->output);
}

static void output_put(void *context, uint8_t byte)
{
    struct vcpu *vcpu = accessor(context);
    vcpu->output[vcpu->output_bytes++] = (char)byte;
    if (byte == '\n')
        devices_flush_output(vcpu);
}

static enum bus_result exit_port(void *device, struct bus_access *access)
{
    struct partition *partition = device;
    if (!access->write) {
        access->value = UINT32_MAX;
        return BUS_UNHANDLED; /* nothing to read there */
    }
    partition_exit(accessor(partition), access->value & 0xff);
    return BUS_HANDLED;
}

void devices_init(struct partition *partition)
{
    struct uart_output output = {.room = output_room, .put = output_put, .context = partition};
    struct bus_region uart = {"uart", FH_PORT_UART, UART_PORTS, 1, uart_access, &partition->uart};
    struct bus_region exit = {"exit", FH_PORT_EXIT, 1, 1, exit_port, partition};
    uart_init(&partition->uart, output);
    bus_init(&partition->bus);
    bool added = bus_add(&partition->bus, uart) && bus_add(&partition->bus, exit);
    CHECK(added);
    for (uint32_t i = 0; i < partition->vcpu_count; i++)
        partition->vcpus[i]->output_bytes = 0;
}

static uint32_t access_port(struct vcpu *vcpu, uint16_t port, uint32_t bytes, bool write, uint32_t value)
{
    struct partition *partition = vcpu->partition;
    spin_lock(&partition->device_lock);
    partition->device_user = vcpu;
    if (bus_access(&partition->bus, port, bytes, write, &value) != BUS_HANDLED)
        vcpu->absent_accesses++;
    spin_unlock(&partition->device_lock);
    return value;
}

uint32_t devices_read(struct vcpu *vcpu, uint16_t port, uint32_t bytes)
{
    return access_port(vcpu, port, bytes, false, 0);
}

void devices_write(struct vcpu *vcpu, uint16_t port, uint32_t bytes, uint32_t value)
{
    access_port(vcpu, port, bytes, true, value);
}
