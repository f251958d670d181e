/*
 * The audit: reads the live tables, the hypervisor's own and every partition's, and holds them against what
 * must be true.
 */
#ifndef FREEHOLD_HV_AUDIT_H
#define FREEHOLD_HV_AUDIT_H

#include "hv/events.h"

/*
 * Walks everything. Violations are counted and the first is told in words:
 * - a page of the hypervisor that is writable and executable, or a writable mapping of a frame that is
 * executable elsewhere;
 * - a frame reachable by a partition that is owned by another, by the hypervisor, or by nobody;
 * - a second-stage table in a frame that is not the hypervisor's.
 * Any core; changes nothing.
 */
void audit_run(struct audit_result *result);

#endif
