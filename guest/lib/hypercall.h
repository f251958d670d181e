/* The instruction itself, for call.c and for loops that measure it. */
#ifndef FREEHOLD_GUEST_LIB_HYPERCALL_H
#define FREEHOLD_GUEST_LIB_HYPERCALL_H

#include <stdint.h>

static inline int64_t vmcall(uint64_t number, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
    int64_t result;
    __asm__ volatile("vmcall" : "=a"(result) : "a"(number), "D"(rdi), "S"(rsi), "d"(rdx) : "memory");
    return result;
}

#endif
