/* A region on the fake machine. */
#include "host_tests/fakes/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/support/entry_states.h"
#include "hv/entry_check.h"
#include "hv/memory_type.h"
#include "hv/ownership.h"

struct rig rig;
static uint64_t rip_at_exit;

static void add_range(uint64_t start, uint64_t end, enum memmap_kind kind)
{
    struct memmap *map = &rig.handoff.machine.map;
    map->ranges[map->count++] =
        (struct memmap_range){.start = start, .end = end, .kind = (uint16_t)kind, .zone = ZONE_UNKNOWN};
}

static void describe_machine(void)
{
    struct machine *machine = &rig.handoff.machine;
    machine->core_count = FAKE_CORES;
    machine->package_count = 1;
    machine->tsc_hz = FAKE_TSC_HZ;
    for (uint32_t i = 0; i < FAKE_CORES; i++)
        machine->cores[i] = (struct core_desc){.apic_id = i * 2, .core = (uint16_t)i, .zone = ZONE_UNKNOWN};
    add_range(FAKE_POOL_START, FAKE_POOL_END, MEMMAP_HYPERVISOR);
    add_range(FAKE_RAM_START, FAKE_RAM_END, MEMMAP_FREE);
}

void rig_begin(uint32_t count, uint32_t vcpus, uint64_t memory_bytes)
{
    fake_reset();
    memset(&rig, 0, sizeof(rig));
    memset((void *)partitions, 0, sizeof(partitions));
    partition_count = 0;
    describe_machine();
    rig.image = memory_need(RIG_IMAGE_BYTES);
    for (uint32_t i = 0; i < RIG_IMAGE_BYTES; i++)
        rig.image[i] = (uint8_t)(i * 7 + i / 256 + 1);
    rig.handoff.config.partition_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct partition_config *config = &rig.handoff.config.partitions[i];
        snprintf(config->name, sizeof(config->name), "p%u", i);
        snprintf(config->cmdline, sizeof(config->cmdline), "line of p%u", i);
        config->vcpus = vcpus;
        config->memory_bytes = memory_bytes;
        config->image_flat = true;
        rig.handoff.images[i] = (struct handoff_image){
            .base = memory_frame(rig.image).value, .bytes = RIG_IMAGE_BYTES, .flat = true};
    }
}

void rig_finish(void)
{
    memory_type_init();
    vmx_init(FAKE_TSC_HZ);
    for (uint32_t i = 0; i < FAKE_CORES; i++) {
        fake_run_on(i);
        cores[i]->vmxon = memory_need(FRAME_BYTES);
        bool enabled = vmx_core_enable(cores[i]);
        assert_true(enabled);
    }
    fake_run_on(0);
    ownership_init(&rig.handoff, &rig.plan);
    for (uint32_t i = 0; i < rig.handoff.config.partition_count; i++) {
        struct partition *partition = partition_create(&rig.handoff, &rig.plan, i);
        assert_ptr_equal(partitions[i], partition);
        partition_count = i + 1;
        for (uint32_t v = 0; v < partition->vcpu_count; v++)
            cores[partition->vcpus[v]->core]->vcpu = partition->vcpus[v];
    }
}

void rig_start(struct partition *partition)
{
    fake_run_on(0);
    partition_start(partition);
    rig_on(partition->vcpus[0]);
    bool prepared = partition_step(partition->vcpus[0]);
    assert_true(prepared);
    assert_int_equal(partition->state, PARTITION_RUNNING);
}

struct partition *rig_running(uint32_t vcpus, uint64_t memory_bytes)
{
    rig_begin(1, vcpus, memory_bytes);
    rig_finish();
    rig_start(partitions[0]);
    for (uint32_t i = vcpus; i-- > 0;) {
        struct vcpu *vcpu = partitions[0]->vcpus[i];
        rig_on(vcpu);
        vmx_vcpu_start(vcpu);
        vcpu->attention = 0;
        fake_vmcs_recount();
    }
    memset(fakes.kicks, 0, sizeof(fakes.kicks));
    fakes.record_count = 0;
    return partitions[0];
}

struct vcpu *rig_one(void)
{
    return rig_running(1, 4 * MIB)->vcpus[0];
}

void rig_on(const struct vcpu *vcpu)
{
    fake_run_on(vcpu->core);
}

void rig_exits(uint64_t reason)
{
    fake_vmcs_exit(reason);
    rip_at_exit = fake_get(VMCS_GUEST_RIP);
    fake_vmcs_recount();
}

void rig_exits_with(uint64_t reason, uint64_t qualification)
{
    rig_exits(reason);
    fake_set(VMCS_EXIT_QUALIFICATION, qualification);
}

bool rig_exit(struct vcpu *vcpu, uint64_t reason)
{
    rig_exits(reason);
    fake_set(VMCS_EXIT_INSTRUCTION_LENGTH, RIG_LENGTH);
    return vmx_exit(vcpu);
}

bool rig_exit_with(struct vcpu *vcpu, uint64_t reason, uint64_t qualification)
{
    rig_exits_with(reason, qualification);
    fake_set(VMCS_EXIT_INSTRUCTION_LENGTH, RIG_LENGTH);
    return vmx_exit(vcpu);
}

void rig_expect_exception(uint8_t vector, bool has_error, uint32_t error_code)
{
    uint32_t want = INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION << INTERRUPTION_TYPE_SHIFT | vector;
    if (has_error) {
        want |= INTERRUPTION_DELIVER_ERROR;
        assert_int_equal(fake_get(VMCS_ENTRY_EXCEPTION_ERROR_CODE), error_code);
    }
    assert_int_equal(fake_get(VMCS_ENTRY_INTERRUPTION_INFO), want);
}

void rig_expect_nothing_injected(void)
{
    assert_int_equal(fake_get(VMCS_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID, 0);
}

void rig_expect_next(void)
{
    assert_int_equal(fake_get(VMCS_GUEST_RIP), rip_at_exit + RIG_LENGTH);
}

void rig_expect_resume(void)
{
    assert_int_equal(fake_get(VMCS_GUEST_RIP), rip_at_exit);
}

void rig_expect_running(const struct partition *partition)
{
    if (partition->state != PARTITION_RUNNING)
        fail_msg("contained: %s", partition->capsule.detail);
}

void rig_expect_contained(const struct partition *partition, enum fault_reason reason, const char *part)
{
    assert_int_equal(partition->state, PARTITION_STOPPING);
    assert_string_equal(fault_name(partition->fault), fault_name(reason));
    assert_int_equal(partition->capsule.reason, reason);
    if (strstr(partition->capsule.detail, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", partition->capsule.detail, part);
}

void rig_expect_defined(void)
{
    if (fake_vmcs[fake_core].undefined_reads != 0)
        fail_msg("field %#x was read, which this exit leaves undefined", fake_vmcs[fake_core].last_undefined);
}

void *rig_guest(const struct partition *partition, uint64_t address)
{
    for (uint32_t i = 0; i < partition->range_count; i++) {
        const struct guest_range *range = &partition->ranges[i];
        if (address >= range->gpa && address - range->gpa < range->bytes)
            return fake_ram(range->hpa + (address - range->gpa));
    }
    fail_msg("guest-physical %#llx is not RAM", (unsigned long long)address);
    return NULL;
}

static uint64_t read_field(void *context, uint32_t field)
{
    (void)context;
    return fake_get((enum vmcs_field)field);
}

void rig_expect_enterable(const struct vcpu *vcpu)
{
    struct entry_state entry;
    struct entry_finding finding;
    memset(&entry, 0, sizeof(entry));
    entry_state_read(&entry, read_field, NULL);
    entry.msrs = &entry_skylake;
    entry.physical_bits = 39;
    entry.linear_bits = 48;
    entry.vmcs = memory_frame(vcpu->vmcs).value;
    if (!entry_check(&entry, &finding)) {
        char text[200];
        entry_failure_describe(text, sizeof(text), EXIT_REASON_ENTRY_GUEST_STATE, 0, &finding);
        fail_msg("%s", text);
    }
}
