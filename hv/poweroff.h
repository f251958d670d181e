/* Switching the machine off. */
#ifndef FREEHOLD_HV_POWEROFF_H
#define FREEHOLD_HV_POWEROFF_H

#include "hv/handoff.h"

/* Off, the way boot/ found; where there is none, or it does not work, the cores halt and the console says so.
 */
_Noreturn void poweroff(const struct handoff_poweroff *how);

#endif
