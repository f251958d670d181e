/* Guest memory by linear address. */
#include "hv/vmx/guest_walk.h"

#include "hv/guest_memory.h"
#include "hv/string.h"
#include "hv/vmx/absent.h"
#include "hv/vmx/access.h"
#include "hv/vmx/vmx.h"
#include "hv/walk.h"
#include "hv/x86.h"

#define ADDRESS_BITS_MASK 0xffu

static bool read_guest(void *context, gpa_t from, void *to, uint64_t bytes)
{
    const struct vcpu *vcpu = context;
    return guest_memory_read(vcpu->partition, from, to, bytes);
}

static struct walk_state walk_state(struct vcpu *vcpu)
{
    const struct cpuid_table *cpuid = &vmx_cpuid_policy.table;
    struct walk_state state = {
        .cr0 = vmread(VMCS_GUEST_CR0),
        .cr3 = vmread(VMCS_GUEST_CR3),
        .cr4 = vmread(VMCS_GUEST_CR4),
        .efer = vmread(VMCS_GUEST_EFER),
        .rflags = vmread(VMCS_GUEST_RFLAGS),
        .physical_bits = cpuid->extended[CPUID_LEAF_ADDRESS_SIZES & 0xf].eax & ADDRESS_BITS_MASK,
        .pages_1g = (cpuid->extended[CPUID_LEAF_FEATURES_EXT & 0xf].edx & CPUID_E1_EDX_1GIB) != 0,
        .read = read_guest,
        .context = vcpu,
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(state.pdpte); i++)
        state.pdpte[i] = vmread((enum vmcs_field)(VMCS_GUEST_PDPTE0 + i * 2));
    return state;
}

/* Raises what the walk found: a fault of the guest, or its containment. */
static void raise(struct vcpu *vcpu, enum walk_status status, uint64_t linear,
                  const struct walk_result *result)
{
    switch (status) {
    case WALK_PAGE_FAULT:
        cpu_write_cr2(linear);
        vmx_inject_exception(VECTOR_PF, result->error_code);
        break;
    case WALK_NOT_CANONICAL:
        vmx_inject_exception(VECTOR_GP, 0);
        break;
    case WALK_UNREACHABLE:
        partition_contain(vcpu, FAULT_EPT_VIOLATION,
                          "a page table of the guest lies at guest-physical %llx, outside its memory",
                          (unsigned long long)result->gpa.value);
        break;
    default:
        partition_contain(vcpu, FAULT_UNHANDLED_EXIT,
                          "string I/O under a paging mode that CPUID does not show");
        break;
    }
}

/* False with the guest's fault pending, or its partition contained. One walk a page. */
static bool translate(struct vcpu *vcpu, struct guest_page *page, uint64_t linear, enum walk_kind kind,
                      gpa_t *at)
{
    uint64_t offset = linear & (FRAME_BYTES - 1);
    if (!page->valid || page->linear != linear - offset) {
        struct walk_state state = walk_state(vcpu);
        struct walk_access access = {.kind = kind, .user = vmx_privilege_level() == 3};
        struct walk_result result;
        enum walk_status status = walk_translate(&state, linear, access, &result);
        if (status != WALK_OK) {
            raise(vcpu, status, linear, &result);
            return false;
        }
        *page = (struct guest_page){true, linear - offset, gpa(result.gpa.value - offset)};
    }
    *at = gpa(page->gpa.value + offset);
    return true;
}

/* The device hole answers like absent hardware; anything else outside RAM is outside the slice. */
static bool outside_ram(struct vcpu *vcpu, gpa_t address)
{
    if (absent_covers(address)) {
        vcpu->absent_accesses++;
        return true;
    }
    partition_contain(vcpu, FAULT_EPT_VIOLATION, "string I/O with guest-physical %llx, outside its memory",
                      (unsigned long long)address.value);
    return false;
}

/* Goes through the one or two pages that the bytes lie in; all are translated before any is touched. */
static bool transfer(struct vcpu *vcpu, struct guest_page *page, uint64_t linear, uint8_t *bytes,
                     uint32_t count, enum walk_kind kind,
                     bool (*move)(struct vcpu *vcpu, gpa_t at, uint8_t *bytes, uint32_t count))
{
    gpa_t first, second = gpa(0);
    uint32_t in_first = (uint32_t)min_u64(count, FRAME_BYTES - (linear & (FRAME_BYTES - 1)));
    if (!translate(vcpu, page, linear, kind, &first))
        return false;
    if (in_first < count && !translate(vcpu, page, linear + in_first, kind, &second))
        return false;
    if (move == NULL)
        return true;
    return move(vcpu, first, bytes, in_first) &&
           (in_first == count || move(vcpu, second, bytes + in_first, count - in_first));
}

static bool move_out(struct vcpu *vcpu, gpa_t at, uint8_t *bytes, uint32_t count)
{
    if (guest_memory_read(vcpu->partition, at, bytes, count))
        return true;
    memset(bytes, 0xff, count);
    return outside_ram(vcpu, at);
}

static bool move_in(struct vcpu *vcpu, gpa_t at, uint8_t *bytes, uint32_t count)
{
    return guest_memory_write(vcpu->partition, at, bytes, count) || outside_ram(vcpu, at);
}

bool guest_walk_read(struct vcpu *vcpu, struct guest_page *page, uint64_t linear, void *to, uint32_t bytes)
{
    return transfer(vcpu, page, linear, to, bytes, WALK_READ, move_out);
}

bool guest_walk_write(struct vcpu *vcpu, struct guest_page *page, uint64_t linear, const void *from,
                      uint32_t bytes)
{
    uint8_t copy[8];
    CHECK(bytes <= sizeof(copy));
    memcpy(copy, from, bytes);
    return transfer(vcpu, page, linear, copy, bytes, WALK_WRITE, move_in);
}

bool guest_walk_can_write(struct vcpu *vcpu, struct guest_page *page, uint64_t linear, uint32_t bytes)
{
    return transfer(vcpu, page, linear, NULL, bytes, WALK_WRITE, NULL);
}
