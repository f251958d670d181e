/*
 * What freehold.toml says, parsed and checked for itself. Whether it fits the machine is the planner's to
 * say.
 */
#ifndef FREEHOLD_HV_CONFIG_H
#define FREEHOLD_HV_CONFIG_H

#include "hv/fault.h"

#define CONFIG_MAX_PARTITIONS  32
#define CONFIG_MAX_VCPUS       64
#define CONFIG_NAME_BYTES      32 /* with the terminating NUL */
#define CONFIG_IMAGE_BYTES     128
#define CONFIG_CMDLINE_BYTES   256
#define CONFIG_DEFAULT_RESTART 3
#define CONFIG_DEFAULT_REGION  "local"
#define CONFIG_DEFAULT_TENANT  "default"

/* A place in the configuration file; both count from 1, columns in bytes. 0: no place (a default). */
struct source_pos {
    uint32_t line;
    uint32_t column;
};

/* An error for a person: where, what is wrong, and what would be right. */
struct diag {
    struct source_pos pos;
    char message[240];
};

enum on_fault { ON_FAULT_STOP, ON_FAULT_RESTART };

enum expect_kind {
    EXPECT_EXIT_CODE, /* "exit:N" */
    EXPECT_EXIT_ANY,  /* "exit:*" */
    EXPECT_FAULT_ANY, /* "fault" */
    EXPECT_FAULT,     /* "fault:REASON" */
    EXPECT_RUNNING,   /* "running" when everyone else has ended */
};

struct expectation {
    enum expect_kind kind;
    uint32_t exit_code;       /* EXPECT_EXIT_CODE: 0 to 255 */
    enum fault_reason reason; /* EXPECT_FAULT */
};

struct partition_config {
    char name[CONFIG_NAME_BYTES];
    char tenant[CONFIG_NAME_BYTES];
    uint32_t vcpus;                 /* 1 to CONFIG_MAX_VCPUS */
    uint64_t memory_bytes;          /* a multiple of 2 MiB, at least 4 MiB */
    char image[CONFIG_IMAGE_BYTES]; /* a path under \freehold\, with backslashes; or the bare NAME of
                                       builtin:NAME */
    bool image_builtin;
    bool image_flat; /* a flat binary: a path that ends in ".bin", in whatever case */
    char cmdline[CONFIG_CMDLINE_BYTES];
    enum on_fault on_fault;
    uint32_t restart_limit; /* restarts allowed; then it stops */
    uint32_t core_count;    /* length of cores, 0 when the planner chooses */
    uint16_t cores[CONFIG_MAX_VCPUS];
    struct expectation expect;
    uint64_t time_limit_seconds; /* of guest run time; 0: none */

    struct source_pos at;       /* of [[partition]] */
    struct source_pos at_vcpus; /* of the value; of [[partition]] where there is none, as all below */
    struct source_pos at_memory;
    struct source_pos at_image;
    struct source_pos at_cores;
};

struct config {
    char region[CONFIG_NAME_BYTES];
    uint32_t partition_count;
    struct partition_config partitions[CONFIG_MAX_PARTITIONS];
};

/*
 * Parses `length` bytes of TOML text (any bytes; need not end in NUL). False with *diag filled on the first
 * error, *config then undefined. Bounded time and stack; no allocation. boot/config.c
 */
MUST_USE bool config_parse(const char *text, size_t length, struct config *config, struct diag *diag);

/* "exit:0", "fault:halted", ... into out; always terminated. */
void expectation_format(const struct expectation *expect, char *out, size_t out_bytes);

#endif
