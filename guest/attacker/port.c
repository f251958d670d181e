/* Attacks through I/O ports: nothing answers but the UART and the exit port, however one asks. */
#include "guest/attacker/attack.h"

#define PORTS        0x10000u
#define UART_PORTS   8u
#define UART_SCRATCH (FH_PORT_UART + 7)
#define UART_LSR     (FH_PORT_UART + 5)
#define ABSENT       0x180
#define MANY         (UINT64_C(64) << 10)
#define FLOOD_LINES  400u

static bool is_ours(uint32_t port, uint32_t bytes)
{
    bool uart = port < FH_PORT_UART + UART_PORTS && port + bytes > FH_PORT_UART;
    bool end = port <= FH_PORT_EXIT && port + bytes > FH_PORT_EXIT;
    return uart || end;
}

static void in_all(void)
{
    unsigned present = 0, wider = 0;
    for (uint32_t port = 0; port < PORTS; port++) {
        if (!is_ours(port, 1) && in8((uint16_t)port) != 0xFF)
            present++;
        if (!is_ours(port, 2) && in16((uint16_t)port) != 0xFFFF)
            wider++;
        if (!is_ours(port, 4) && in32((uint16_t)port) != 0xFFFFFFFF)
            wider++;
    }
    saw(present == 0 && wider == 0, "of %u ports %u answer in 8 bits, %u in 16 or 32", PORTS, present, wider);
    saw(in8(FH_PORT_UART + 5) != 0xFF, "the UART's line status is 0x%x", in8(FH_PORT_UART + 5));
    (void)in8(FH_PORT_EXIT);
    (void)in32(FH_PORT_EXIT - 1);
    (void)in32(FH_PORT_UART - 2);
    (void)in32(FH_PORT_UART + UART_PORTS - 2);
}

static void out_all(void)
{
    for (uint32_t port = 0; port < PORTS; port++) {
        if (!is_ours(port, 1))
            out8((uint16_t)port, 0xFF);
        if (!is_ours(port, 2))
            out16((uint16_t)port, 0xFFFF);
        if (!is_ours(port, 4))
            out32((uint16_t)port, 0xFFFFFFFF);
    }
    saw(true, "wrote ones to every port but its own devices'");
}

/* Ports that end, reset or reconfigure a machine or its emulator. */
static void machine_ports(void)
{
    out16(0xB004, 0x2000); /* ACPI power off, PIIX4 */
    out16(0x604, 0x2000);  /* the same on newer chipsets */
    out16(0x1804, 0x2000);
    out8(0xCF9, 0x06); /* reset control */
    out8(0x64, 0xFE);  /* keyboard controller's reset line */
    out8(0x92, 0x01);  /* fast reset */
    out8(0xB2, 0x01);  /* system management interrupt */
    out8(0x501, 0x00); /* an emulator's debug exit */
    static const char shutdown[] = "Shutdown";
    for (unsigned i = 0; shutdown[i] != 0; i++)
        out8(0x8900, (uint8_t)shutdown[i]);
    out8(0x20, 0x11); /* interrupt controller */
    out8(0x21, 0xFF);
    out8(0x43, 0x34); /* timer */
    out8(0x70, 0x80); /* NMI mask */
    for (uint32_t device = 0; device < 32; device++) {
        out32(0xCF8, 0x80000000u | device << 11 | 4);
        out32(0xCFC, 0); /* PCI command register: no decoding, no bus master */
    }
    saw(true, "power off, reset, SMI, PIC, PIT and PCI ports did nothing");
}

/* Free memory for MANY bytes, or less. */
static uint64_t room(uint64_t *bytes)
{
    struct range free = memory_free();
    *bytes = free.end - free.start < MANY ? free.end - free.start : MANY;
    return free.start;
}

static void rep_ins(uint16_t port, const char *name)
{
    uint64_t bytes;
    uint64_t start = room(&bytes);
    uint64_t rdi = start, rcx = bytes;
    __asm__ volatile("rep insb" : "+D"(rdi), "+c"(rcx) : "d"(port) : "memory");
    saw(rcx == 0 && rdi == start + bytes, "REP INSB of %lu bytes from %s ended with RCX %lu", bytes, name,
        rcx);
}

static void rep_outs(uint16_t port, const char *name)
{
    uint64_t bytes;
    uint64_t rsi = room(&bytes), start = rsi, rcx = bytes;
    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(port) : "memory");
    saw(rcx == 0 && rsi == start + bytes, "REP OUTSB of %lu bytes to %s ended with RCX %lu", bytes, name,
        rcx);
}

static void rep_absent(void)
{
    rep_ins(ABSENT, "an absent port");
    rep_outs(ABSENT, "an absent port");
}

static void rep_uart(void)
{
    rep_ins(UART_LSR, "the UART");
    rep_outs(UART_SCRATCH, "the UART");
}

/* A page that is missing in the middle: #PF with the count as far as it got, and the rest goes on afterwards.
 */
static struct {
    uint64_t rdi, rsi, rcx;
} string;

static void do_rep_ins(void *unused)
{
    (void)unused;
    __asm__ volatile("rep insb; mov %%rdi, %0; mov %%rcx, %1"
                     : "=m"(string.rdi), "=m"(string.rcx)
                     : "D"(string.rdi), "c"(string.rcx), "d"(ABSENT)
                     : "memory");
}

static uint8_t page[PAGE_BYTES] __attribute__((aligned(4096)));

/* The registers at the fault, from its frame. */
static uint64_t fault_rdi, fault_rcx;
static bool mend(struct trap_frame *frame)
{
    fault_rdi = frame->rdi;
    fault_rcx = frame->rcx;
    paging_map(1, (uint64_t)(uintptr_t)page | PTE_ALL);
    return true;
}

static void rep_missing_page(void)
{
    uint64_t cr3 = paging_open();
    uint64_t start = paging_map(0, (uint64_t)(uintptr_t)page | PTE_ALL) + PAGE_BYTES - 16;
    string.rdi = start;
    string.rcx = 64;
    trap_hook_set(VECTOR_PF, mend);
    int vector = probe(do_rep_ins, NULL).vector;
    trap_hook_set(VECTOR_PF, NULL);
    write_cr3(cr3);
    saw(fault_rdi == start + 16 && fault_rcx == 48, "#PF in mid-string at byte %lu, %lu to go",
        fault_rdi - start, fault_rcx);
    saw(vector == PROBE_NO_EXCEPTION && string.rcx == 0 && page[47] == 0xFF,
        "repeated, it ended with RCX %lu", string.rcx);
}

/* String output that reads from the hole, and from outside. */
static void rep_from_hole(void)
{
    uint64_t rsi = FH_HOLE_START, rcx = 256;
    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(ABSENT) : "memory");
    saw(rcx == 0, "REP OUTSB from absent hardware ended with RCX %lu", rcx);
    uint64_t rdi = FH_HOLE_START;
    rcx = 256;
    __asm__ volatile("rep insb" : "+D"(rdi), "+c"(rcx) : "d"(ABSENT) : "memory");
    saw(rcx == 0, "REP INSB into absent hardware ended with RCX %lu", rcx);
}

static void rep_from_outside(void)
{
    paging_open();
    uint64_t rsi = paging_map(0, first_outside() | PTE_ALL), rcx = 256;
    __asm__ volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(FH_PORT_UART) : "memory");
}

static void rep_into_outside(void)
{
    paging_open();
    uint64_t rdi = paging_map(0, first_outside() | PTE_ALL), rcx = 256;
    __asm__ volatile("rep insb" : "+D"(rdi), "+c"(rcx) : "d"(ABSENT) : "memory");
}

/* More output than any queue holds, by hypercall and by UART. */
static void flood(void)
{
    for (unsigned i = 0; i < FLOOD_LINES; i++) {
        print("attacker flood: line %u of %u, and no other tenant's console may suffer\n", i + 1,
              FLOOD_LINES);
        if (i % 20 == 0)
            (void)uart_write("attacker flood: through the UART\n");
        progress(i);
    }
    saw(true, "%u lines went out", FLOOD_LINES);
}

static const struct attack rows[] = {
    {"port-in", "exit:0", "reads all 65536 ports in 8, 16 and 32 bits", in_all},
    {"port-out", "exit:0", "writes all 65536 ports but its own devices' in 8, 16 and 32 bits", out_all},
    {"port-machine", "exit:0", "uses the ports that power off, reset and reconfigure machines",
     machine_ports},
    {"rep-absent", "exit:0", "REP INS and OUTS of 64 KiB at an absent port", rep_absent},
    {"rep-uart", "exit:0", "REP INS and OUTS of 64 KiB at the UART", rep_uart},
    {"rep-fault", "exit:0", "REP INS across a page that is missing", rep_missing_page},
    {"rep-hole", "exit:0", "REP INS and OUTS with absent hardware for memory", rep_from_hole},
    {"rep-out-outside", "fault:ept-violation", "REP OUTS from above its memory to the UART",
     rep_from_outside},
    {"rep-in-outside", "fault:ept-violation", "REP INS to above its memory", rep_into_outside},
    {"flood", "exit:0", "writes more to console and UART than any queue holds", flood},
};
const struct attack_table port_attacks = ATTACK_TABLE(rows);
