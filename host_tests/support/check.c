/* On the host a failed CHECK ends the program; a test that expects one sets check_hook and does not return
 * from it. */
#include "host_tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

void (*check_hook)(const char *expression);

_Noreturn void check_failed(const char *file, int line, const char *expression)
{
    if (check_hook != NULL)
        check_hook(expression);
    fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, expression);
    abort();
}
