#ifndef FREEHOLD_HOST_CHECK_H
#define FREEHOLD_HOST_CHECK_H

#include "alloc/base.h"

/* Called first by check_failed when set: a test expecting a CHECK leaves through it (longjmp). */
extern void (*check_hook)(const char *expression);

#endif
