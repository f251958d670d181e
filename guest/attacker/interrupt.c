/*
 * Attacks by interrupts: shorthands, forged destinations, INIT, start-up, NMI, reserved modes. Whatever is
 * sent stays in the partition. Bits: Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)"
 * (order number 325462, June 2024).
 */
#include "guest/attacker/attack.h"

#define VECTOR_ATTACK  0x58
#define PATIENCE_TICKS (UINT64_C(1) << 28)
#define QUIET_TICKS    (UINT64_C(1) << 16) /* long enough for an interrupt to come, were there one */
#define RESTARTS       20u
#define NMIS           1000u
#define ROUNDS         50u

static uint32_t arrived[GUEST_MAX_VCPUS];
static uint32_t nmis;

static void count(uint8_t vector)
{
    (void)vector;
    __atomic_fetch_add(&arrived[vcpu_index()], 1, __ATOMIC_RELAXED);
}

static bool count_nmi(struct trap_frame *frame)
{
    (void)frame;
    __atomic_fetch_add(&nmis, 1, __ATOMIC_RELAXED);
    return true;
}

static uint32_t arrived_at(unsigned vcpu)
{
    return __atomic_load_n(&arrived[vcpu], __ATOMIC_ACQUIRE);
}

static unsigned prepare(void)
{
    __builtin_memset(arrived, 0, sizeof arrived);
    nmis = 0;
    interrupt_set(VECTOR_ATTACK, count);
    unsigned running = vcpu_start_all();
    interrupts_on();
    return running;
}

static void pause_for(uint64_t ticks)
{
    for (uint64_t start = rdtsc(); rdtsc() - start < ticks;)
        cpu_pause();
}

static bool reaches(unsigned vcpu, uint32_t value)
{
    for (uint64_t start = rdtsc(); arrived_at(vcpu) != value;) {
        if (rdtsc() - start > PATIENCE_TICKS)
            return false;
        cpu_pause();
    }
    return true;
}

/* Each shorthand, again and again: exactly our own vCPUs get it. */
static void shorthands(void)
{
    unsigned running = prepare(), right = 0;
    uint32_t due[GUEST_MAX_VCPUS] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t shorthand = round % 3 == 0 ? ICR_TO_SELF : round % 3 == 1 ? ICR_TO_ALL : ICR_TO_OTHERS;
        ipi_send((uint32_t)random_next(),
                 shorthand | ICR_ASSERT | VECTOR_ATTACK); /* the destination is ignored */
        for (unsigned i = 0; i < running; i++) {
            due[i] += shorthand == ICR_TO_ALL || (shorthand == ICR_TO_SELF) == (i == 0);
            right += reaches(i, due[i]);
        }
    }
    saw(right == ROUNDS * running, "%u of %u shorthands arrived where they should", right, ROUNDS * running);
}

static void do_send(void *argument)
{
    const uint64_t *command = argument;
    wrmsr(FH_MSR_X2APIC_ICR, *command);
}

/* Ids nobody of ours has, in every delivery mode: nothing comes to us, and nothing may go to anyone. */
static void forged(void)
{
    static const uint32_t ids[] = {0x3F,  0x40,   0x7F,    0x80,       0xFE,       0xFF,
                                   0x100, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE};
    unsigned running = prepare(), sent = 0;
    struct tally tally = {0};
    for (unsigned i = 0; i < sizeof ids / sizeof ids[0] + 64; i++) {
        uint32_t id = i < 64 ? running + i : ids[i - 64];
        if (id < running)
            continue;
        for (uint64_t mode = 0; mode < 8; mode++) {
            uint64_t command = (uint64_t)id << 32 | ICR_ASSERT | mode << 8 | VECTOR_ATTACK;
            tally_probe(&tally, do_send, &command);
            sent++;
        }
    }
    pause_for(QUIET_TICKS);
    uint32_t strays = 0;
    for (unsigned i = 0; i < running; i++)
        strays += arrived_at(i);
    saw(strays == 0, "%u interrupts to forged ids (%u refused): %u came to us", sent, tally.gp, strays);
}

/* Logical destinations with every bit pattern; what comes to us is ours, the rest goes nowhere. */
static void logical(void)
{
    unsigned running = prepare();
    for (unsigned bit = 0; bit < 32; bit++)
        ipi_send(1u << bit, ICR_LOGICAL | ICR_ASSERT | VECTOR_ATTACK);
    for (unsigned i = 0; i < ROUNDS; i++)
        ipi_send((uint32_t)random_next(), ICR_LOGICAL | ICR_ASSERT | VECTOR_ATTACK);
    ipi_send(APIC_BROADCAST, ICR_LOGICAL | ICR_ASSERT | VECTOR_ATTACK);
    pause_for(QUIET_TICKS);
    uint32_t mine = 0;
    for (unsigned i = 0; i < running; i++)
        mine += arrived_at(i);
    saw(true, "%u logical destinations: %u interrupts came to our %u vCPUs", 33 + ROUNDS, mine, running);
}

/* Vectors 0 to 15, and delivery modes that no software may send, to ourselves. */
static void illegal(void)
{
    prepare();
    struct tally tally = {0};
    for (uint64_t vector = 0; vector < 16; vector++) {
        uint64_t command = ICR_ASSERT | vector;
        tally_probe(&tally, do_send, &command);
        command = ICR_ASSERT | ICR_TO_SELF | vector;
        tally_probe(&tally, do_send, &command);
    }
    static const uint64_t modes[] = {1, 2, 3, 7}; /* lowest priority, SMI, remote read, external */
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        uint64_t command = ICR_ASSERT | modes[i] << 8 | VECTOR_ATTACK;
        tally_probe(&tally, do_send, &command);
    }
    for (unsigned bit = 20; bit < 32; bit++) {
        uint64_t command = UINT64_C(1) << bit | ICR_ASSERT | VECTOR_ATTACK;
        tally_probe(&tally, do_send, &command);
    }
    pause_for(QUIET_TICKS);
    saw(tally.ud == 0 && tally.other == 0, "illegal vectors and modes: %u taken, %u #GP, %u others",
        tally.quiet, tally.gp, tally.ud + tally.other);
}

static void nmi_storm(void)
{
    unsigned running = prepare();
    trap_hook_set(VECTOR_NMI, count_nmi);
    for (unsigned i = 0; i < NMIS; i++)
        ipi_send(i % running, ICR_NMI | ICR_ASSERT);
    ipi_send(0, ICR_NMI | ICR_TO_OTHERS | ICR_ASSERT);
    pause_for(QUIET_TICKS);
    saw(nmis > 0, "%u NMIs sent, %u taken", NMIS, nmis);
}

static void nothing(void *unused)
{
    (void)unused;
}

/* INIT and start-up, at every other vCPU, while it runs, while it waits, twice, with other vectors. */
static void restarts(void)
{
    unsigned running = prepare(), right = 0;
    if (running == 1) {
        saw(true, "one vCPU: nobody to throw back");
        return;
    }
    for (unsigned round = 0; round < RESTARTS; round++) {
        unsigned vcpu = 1 + round % (running - 1);
        ipi_send(vcpu, ICR_SIPI | ICR_ASSERT | 0x99); /* it runs: dropped */
        ipi_send(vcpu, ICR_INIT | ICR_ASSERT);
        ipi_send(vcpu, ICR_INIT | ICR_LEVEL); /* level de-assert: nothing */
        vcpu_forget(vcpu);
        if (!vcpu_start(vcpu))
            continue;
        ipi_send(vcpu, ICR_SIPI | ICR_ASSERT | FH_AP_PAGE >> 12); /* a second one: dropped */
        vcpu_run(vcpu, nothing, NULL);
        right += vcpu_wait(vcpu, PATIENCE_TICKS);
    }
    saw(right == RESTARTS, "%u of %u vCPUs came back from INIT", right, RESTARTS);
    for (unsigned i = 1; i < running; i++)
        vcpu_forget(i);
    ipi_send(0, ICR_INIT | ICR_TO_OTHERS | ICR_ASSERT);
    saw(vcpu_start_all() == running, "all %u vCPUs came back from INIT by shorthand", running);
}

/* INIT to ourselves: then nobody is left who could start anybody. */
static void init_self(void)
{
    ipi_send(0, ICR_INIT | ICR_ASSERT);
    pause_for(QUIET_TICKS);
}

static const struct attack rows[] = {
    {"ipi-shorthand", "exit:0", "sends interrupts by every destination shorthand", shorthands},
    {"ipi-forged", "exit:0", "sends interrupts, INIT and NMI to APIC ids it does not have", forged},
    {"ipi-logical", "exit:0", "sends interrupts to every logical destination", logical},
    {"ipi-illegal", "exit:0", "sends illegal vectors and reserved delivery modes", illegal},
    {"nmi-storm", "exit:0", "sends its vCPUs a thousand NMIs", nmi_storm},
    {"init-storm", "exit:0", "throws its other vCPUs back into INIT again and again", restarts},
    {"init-self", "fault:halted", "sends itself an INIT", init_self},
};
const struct attack_table interrupt_attacks = ATTACK_TABLE(rows);
