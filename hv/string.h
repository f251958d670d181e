/*
 * The four memory functions a compiler may call, and bounded string helpers. Freestanding; the host uses
 * libc's memory functions instead (hv/string.c is not linked there).
 */
#ifndef FREEHOLD_HV_STRING_H
#define FREEHOLD_HV_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
