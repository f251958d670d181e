/*
 * Memory functions for code without a libc. String instructions leave the speed to the processor's microcode
 * and use no vector register, which in VMX root would be the guest's. Eight bytes a step: some processors,
 * and every software one, pay for each step.
 */
#include "hv/string.h"

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    void *d = to;
    const void *s = from;
    size_t words = bytes / sizeof(uint64_t);
    size_t rest = bytes % sizeof(uint64_t);
    __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(rest) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((uintptr_t)d - (uintptr_t)s >= bytes)
        return memcpy(to, from, bytes);
    while (bytes-- > 0)
        d[bytes] = s[bytes];
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    void *d = to;
    size_t words = bytes / sizeof(uint64_t);
    size_t rest = bytes % sizeof(uint64_t);
    uint64_t pattern = (uint8_t)value * UINT64_C(0x0101010101010101);
    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(pattern) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}
