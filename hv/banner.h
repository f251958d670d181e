/*
 * What people read on the console besides guests' output: the machine, containments, state, the closing
 * report. Pure: every function calls `line` once for each line, top to bottom; the text has no line end, is
 * printable ASCII, shorter than BANNER_LINE_BYTES, and valid during the call only.
 */
#ifndef FREEHOLD_HV_BANNER_H
#define FREEHOLD_HV_BANNER_H

#include "hv/machine.h"
#include "hv/report.h"

#define BANNER_LINE_BYTES 256 /* with the terminating NUL; what is longer is cut */

typedef void (*banner_line_fn)(void *context, const char *text);

/* The machine: processor, cores, memory, where the configuration came from. */
void banner_machine(const struct machine *machine, const char *region, const char *config_source,
                    banner_line_fn line, void *context);

/* What is used of VT-x, wrapped. */
void banner_features(const char *const *features, uint32_t count, banner_line_fn line, void *context);

/* A containment with its crash capsule: the reason, where it happened, registers, last exits. */
void banner_fault(const char *partition, const struct crash_capsule *capsule, bool restarts,
                  banner_line_fn line, void *context);

/* The result of an audit: one line, or two when something is wrong. */
void banner_audit(const struct audit_result *result, banner_line_fn line, void *context);

/* A table of the partitions as they are now. */
void banner_status(const struct region_view *view, banner_line_fn line, void *context);

/* The closing report: how each partition ended and whether that was expected, its exits by reason, the sum.
 */
void banner_report(const struct region_view *view, banner_line_fn line, void *context);

/* A count for people: exact below 100000, then like "123.4k", "5.6M", "7.8G", "9.0T", "1.2P" or "3.4E";
 * rounded down. */
void banner_count(uint64_t count, char *out, size_t out_bytes);

#endif
