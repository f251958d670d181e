/*
 * Group `port`: absent ports read as all ones in every width and form, registers change as the manual says.
 * Intel SDM volume 2, "IN", "INS", "OUTS" (order number 325462, June 2024).
 */
#include "guest/selftest/check.h"

#define ABSENT        0x180
#define REGISTER_FILL UINT64_C(0x1122334455667788)

static void check_widths(void)
{
    static const uint16_t ports[] = {0x20,   0x40,  0x60,  0x70,  0x80,   0x92,
                                     ABSENT, 0x2F8, 0xCF8, 0xCFC, 0x1000, 0xFFF0};
    for (unsigned i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        check(in8(ports[i]) == 0xFF, "8 bits from port 0x%x are not all ones", ports[i]);
        check(in16(ports[i]) == 0xFFFF, "16 bits from port 0x%x are not all ones", ports[i]);
        check(in32(ports[i]) == 0xFFFFFFFF, "32 bits from port 0x%x are not all ones", ports[i]);
        out8(ports[i], 0);
        out16(ports[i], 0);
        out32(ports[i], 0);
    }
    check(in16(0xFFFF) == 0xFFFF && in32(0xFFFE) == 0xFFFFFFFF, "an access across the last port");
}

static void check_register_parts(void)
{
    uint64_t rax = REGISTER_FILL;
    __asm__ volatile("inb %%dx, %%al" : "+a"(rax) : "d"(ABSENT));
    check_equal(rax, (REGISTER_FILL & ~UINT64_C(0xFF)) | 0xFF, "RAX after an 8-bit IN");
    rax = REGISTER_FILL;
    __asm__ volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(ABSENT));
    check_equal(rax, REGISTER_FILL | 0xFFFF, "RAX after a 16-bit IN");
    rax = REGISTER_FILL;
    __asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(ABSENT));
    check_equal(rax, 0xFFFFFFFF, "RAX after a 32-bit IN");
    rax = REGISTER_FILL;
    __asm__ volatile("outb %%al, %%dx; outl %%eax, %%dx" : "+a"(rax) : "d"(ABSENT));
    check_equal(rax, REGISTER_FILL, "RAX after OUT");
}

static uint8_t buffer[8192] __attribute__((aligned(4096)));

static bool filled(unsigned start, unsigned end, uint8_t value)
{
    for (unsigned i = start; i < end; i++) {
        if (buffer[i] != value)
            return false;
    }
    return true;
}

/* REP INS of `count` units of `bytes` into the buffer's middle, so that it crosses a page. */
static void check_rep_ins(unsigned bytes, uint64_t count, bool down)
{
    uint64_t total = bytes * count;
    unsigned start = 4096 - 64;
    __builtin_memset(buffer, 0x5A, sizeof buffer);
    uint64_t rdi = (uint64_t)(uintptr_t)buffer + start;
    uint64_t wanted = down ? rdi - total : rdi + total;
    uint64_t rcx = count;
    if (down)
        __asm__ volatile("std" : : : "cc");
    if (bytes == 1)
        __asm__ volatile("rep insb" : "+D"(rdi), "+c"(rcx) : "d"(ABSENT) : "memory");
    else if (bytes == 2)
        __asm__ volatile("rep insw" : "+D"(rdi), "+c"(rcx) : "d"(ABSENT) : "memory");
    else
        __asm__ volatile("rep insl" : "+D"(rdi), "+c"(rcx) : "d"(ABSENT) : "memory");
    __asm__ volatile("cld" : : : "cc");
    unsigned first = down ? (unsigned)(start + bytes - total) : start;
    unsigned last = down ? start + bytes : (unsigned)(start + total);
    check(rcx == 0 && rdi == wanted, "REP INS of %u bytes: RCX %lu, RDI off by %ld", bytes, rcx,
          (long)(rdi - wanted));
    bool right = filled(first, last, 0xFF) && filled(0, first, 0x5A) && filled(last, sizeof buffer, 0x5A);
    check(count == 0 || right, "REP INS of %lu times %u bytes wrote other bytes", count, bytes);
}

static void check_strings(void)
{
    static const unsigned widths[] = {1, 2, 4};
    for (unsigned i = 0; i < 3; i++) {
        check_rep_ins(widths[i], 0, false);
        check_rep_ins(widths[i], 1, false);
        check_rep_ins(widths[i], 100, false);
        check_rep_ins(widths[i], 100, true);
    }
    uint64_t rsi = (uint64_t)(uintptr_t)buffer, rcx = 1000;
    __asm__ volatile("rep outsl" : "+S"(rsi), "+c"(rcx) : "d"(ABSENT) : "memory");
    check(rcx == 0 && rsi == (uint64_t)(uintptr_t)buffer + 4000, "REP OUTS: RCX %lu", rcx);
    uint64_t rdi = (uint64_t)(uintptr_t)buffer;
    __asm__ volatile("insb" : "+D"(rdi) : "d"(ABSENT) : "memory");
    check_equal(rdi, (uint64_t)(uintptr_t)buffer + 1, "RDI after INS");

    rdi = UINT64_C(0xABCD00000000) | (uint64_t)(uintptr_t)buffer;
    rcx = UINT64_C(0xABCD00000004);
    __asm__ volatile("addr32 rep insb" : "+D"(rdi), "+c"(rcx) : "d"(ABSENT) : "memory");
    check(rcx == 0 && rdi == (uint64_t)(uintptr_t)buffer + 4,
          "REP INS with 32-bit addresses: RCX 0x%lx, RDI 0x%lx", rcx, rdi);
}

static void do_ins_not_canonical(void *unused)
{
    (void)unused;
    uint64_t rdi = UINT64_C(0x0000800000000000);
    __asm__ volatile("insb" : "+D"(rdi) : "d"(ABSENT) : "memory");
}

void group_port(void)
{
    check_widths();
    check_register_parts();
    check_strings();
    check_raises(VECTOR_GP, "INS to a non-canonical address", do_ins_not_canonical, NULL);
}
