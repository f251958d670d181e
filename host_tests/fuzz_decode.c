/*
 * Everything that makes sense of bits from the VMCS, from CPUID or from guest registers, fed with any bits.
 * The first byte chooses what is fed; entry states start from a valid one, which the input then damages.
 */
#include <stdlib.h>
#include <string.h>

#include "host_tests/support/entry_states.h"
#include "hv/cpuid.h"
#include "hv/exit_decode.h"
#include "hv/msr_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

/* The next bytes of the input; zeros behind its end. */
static uint64_t take(struct input *input, size_t bytes)
{
    uint64_t value = 0;
    size_t have = bytes < input->size ? bytes : input->size;
    if (have == 0)
        return 0;
    memcpy(&value, input->data, have);
    input->data += have;
    input->size -= have;
    return value;
}

static void expect(bool truth)
{
    if (!truth)
        abort();
}

static void check_sentence(const char *text, size_t bytes, size_t length)
{
    expect(strnlen(text, bytes) < bytes);
    expect(strlen(text) == (length < bytes ? length : bytes - 1));
}

/* What a state that passed must at least be. */
static void expect_enterable(const struct entry_state *s)
{
    uint64_t cr0 = s->value[EF_CR0], entry = s->value[EF_ENTRY];
    expect(!(cr0 & CR0_PG) || (cr0 & CR0_PE));
    expect(!(entry & ENTRY_IA32E_GUEST) || ((cr0 & CR0_PG) && (s->value[EF_CR4] & CR4_PAE)));
    expect(s->value[EF_RFLAGS] & RFLAGS_FIXED);
    expect(s->value[EF_EXIT] & EXIT_HOST_64_BIT);
    expect(!(s->value[EF_TR_RIGHTS] & ACCESS_RIGHTS_UNUSABLE));
}

static void fuzz_entry(struct input *input)
{
    struct entry_state s = entry_valid_state((enum entry_base)(take(input, 1) % 3));
    struct vmx_msrs msrs = entry_skylake;
    struct entry_finding finding, again;
    char text[160];

    s.msrs = &msrs;
    while (input->size > 0) {
        uint8_t which = (uint8_t)take(input, 1);
        uint64_t *words = (uint64_t *)(void *)&msrs;
        if (which == 0xFF)
            s.physical_bits = (uint32_t)take(input, 1);
        else if (which == 0xFE)
            s.linear_bits = (uint32_t)take(input, 1);
        else if (which >= 0xE0)
            words[which % (sizeof(msrs) / sizeof(*words))] ^= UINT64_C(1) << take(input, 1) % 64;
        else if (which & 1)
            s.value[which / 2 % ENTRY_FIELD_COUNT] = take(input, 8);
        else
            s.value[which / 2 % ENTRY_FIELD_COUNT] ^= UINT64_C(1) << take(input, 1) % 64;
    }
    bool good = entry_check(&s, &finding);
    expect(good == (finding.rule == ENTRY_RULE_NONE) && finding.rule < ENTRY_RULE_COUNT);
    expect(entry_check(&s, &again) == good && again.rule == finding.rule && again.field == finding.field);
    if (good)
        expect_enterable(&s);
    check_sentence(
        text, sizeof(text),
        entry_failure_describe(text, sizeof(text), (uint32_t)s.value[0] & 0x3F, s.value[1], &finding));
}

static void fuzz_exit(struct input *input)
{
    struct crash_capsule c;
    char text[120];

    memset(&c, 0, sizeof(c));
    c.exit_reason = (uint32_t)take(input, 1) | (uint32_t)take(input, 1) << 24;
    c.qualification = take(input, 8);
    c.guest_physical = take(input, 8);
    c.guest_linear = take(input, 8);
    c.interruption_info = (uint32_t)take(input, 4);
    c.idt_vectoring_info = (uint32_t)take(input, 4);
    for (uint32_t i = 0; i < GPR_COUNT; i++)
        c.gpr[i] = take(input, 8);
    struct exit_io io = exit_decode_io(c.qualification);
    expect(io.bytes == 1 || io.bytes == 2 || io.bytes == 4);
    struct exit_cr_access access = exit_decode_cr_access(c.qualification);
    expect(access.cr < 16 && access.gpr < GPR_COUNT && access.type <= CR_ACCESS_LMSW);
    struct exit_mov_dr debug_register = exit_decode_mov_dr(c.qualification);
    expect(debug_register.dr < 8 && debug_register.gpr < GPR_COUNT);
    check_sentence(text, sizeof(text), exit_describe(text, sizeof(text), &c));
}

static struct cpuid_regs read_leaf(void *context, uint32_t leaf, uint32_t subleaf)
{
    struct input copy = *(struct input *)context; /* the same answer each time it is asked */
    size_t skip = (leaf * 16 + subleaf * 48) % 512;
    if (skip < copy.size) {
        copy.data += skip;
        copy.size -= skip;
    }
    uint64_t low = take(&copy, 8), high = take(&copy, 8);
    return (struct cpuid_regs){(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};
}

static void fuzz_cpuid(struct input *input)
{
    struct cpuid_features features = {
        .rdtscp = take(input, 1) & 1, .invpcid = true, .tsc_hz = take(input, 8)};
    uint32_t leaf = (uint32_t)take(input, 4), subleaf = (uint32_t)take(input, 4);
    uint64_t xcr0 = take(input, 8);
    struct cpuid_policy policy;
    struct cpuid_table table;

    cpuid_policy_init(&policy, read_leaf, input, &features);
    cpuid_table_init(&table, &policy, subleaf % 256, 1 + leaf % 256);
    if (xcr0_valid(xcr0, policy.xcr0_allowed))
        cpuid_set_xcr0(&table, xcr0);
    struct cpuid_regs first = *cpuid_lookup(&table, leaf, subleaf);
    struct cpuid_regs second = *cpuid_lookup_rare(&table, leaf, subleaf);
    expect(memcmp(&first, &second, sizeof(first)) == 0);
    expect(!(cpuid_lookup(&table, 1, 0)->ecx & (CPUID_1_ECX_VMX | CPUID_1_ECX_MONITOR)));
    expect(cpuid_lookup(&table, 0xD, 0)->ebx <= 4096 && cpuid_lookup(&table, 0xD, 0)->ecx <= 4096);
}

static void fuzz_policy(struct input *input)
{
    uint32_t msr = (uint32_t)take(input, 4);
    uint64_t value = take(input, 8), read = 0;
    const struct msr_rule *rule = msr_policy_find(msr);
    struct cr_context context = {
        .cr0 = take(input, 8), .cr3 = take(input, 8), .cr4 = take(input, 8), .efer = take(input, 8)};
    uint64_t allowed = take(input, 8);

    expect(rule == NULL || (rule->first <= msr && msr <= rule->last));
    expect(!msr_policy_read(msr, &read) || (rule != NULL && read == rule->value));
    expect(!msr_policy_write(msr, value) || rule != NULL);
    if (cr0_write_check(value, &context))
        expect(value >> 32 == 0 && (!(value & CR0_PG) || (value & CR0_PE)));
    if (cr4_write_check(value, allowed, &context))
        expect((value & ~allowed) == 0);
    if (xcr0_valid(value, allowed))
        expect((value & 1) && (value & ~allowed) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(struct input *) = {fuzz_entry, fuzz_exit, fuzz_cpuid, fuzz_policy};
    struct input input = {data, size};

    targets[take(&input, 1) % ARRAY_SIZE(targets)](&input);
    return 0;
}
