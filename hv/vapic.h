/*
 * A vCPU's local APIC, as far as polled guests and IPIs need it: x2APIC registers, requests and service of
 * vectors, priorities, INIT, SIPI and NMI from the partition's other vCPUs. Timers and the memory-mapped form
 * are not here yet. Pure. Source: Intel SDM volume 3A, chapter "Advanced Programmable Interrupt Controller
 * (APIC)", sections "Extended XAPIC (x2APIC)", "Handling Interrupts" and "Issuing Interprocessor Interrupts"
 * (order number 325384).
 */
#ifndef FREEHOLD_HV_VAPIC_H
#define FREEHOLD_HV_VAPIC_H

#include "alloc/base.h"

#define VAPIC_VECTORS     256
#define VAPIC_NO_VECTOR   (-1)
#define VAPIC_FIRST_LEGAL 16 /* vectors below are illegal for fixed interrupts */

/* Events that are not vectors; bits of vapic.posted_events. */
#define VAPIC_EVENT_NMI     (1u << 0)
#define VAPIC_EVENT_INIT    (1u << 1)
#define VAPIC_EVENT_STARTUP (1u << 2) /* bits 15:8 hold the vector */

enum vapic_lvt {
    LVT_CMCI,
    LVT_TIMER,
    LVT_THERMAL,
    LVT_PERFORMANCE,
    LVT_LINT0,
    LVT_LINT1,
    LVT_ERROR,
    LVT_COUNT
};

struct vapic {
    uint32_t id;
    uint32_t task_priority; /* TPR */
    uint32_t spurious;      /* SVR */
    uint32_t error_latched; /* ESR as the guest reads it */
    uint32_t error_pending; /* latched by the next write of ESR */
    uint64_t icr;
    uint32_t lvt[LVT_COUNT];
    uint32_t timer_divide;
    uint64_t request[4]; /* IRR */
    uint64_t service[4]; /* ISR */

    /* Written by any core, taken by the vCPU's own (atomic). */
    uint64_t posted[4];
    uint32_t posted_events;
};

enum vapic_result {
    VAPIC_OK,
    VAPIC_FAULT, /* the access raises #GP(0) */
    VAPIC_IPI,   /* a write of ICR or SELF IPI: send what *ipi says */
};

enum ipi_mode { IPI_FIXED, IPI_NMI, IPI_INIT, IPI_STARTUP, IPI_NOTHING };

struct vapic_ipi {
    enum ipi_mode mode;
    uint8_t vector;
    enum { IPI_TO_DESTINATION, IPI_TO_SELF, IPI_TO_ALL, IPI_TO_OTHERS } shorthand;
    bool logical;
    uint32_t destination; /* as written: any value */
};

/* As after power-up, in x2APIC mode, nothing posted. id is the vCPU's index. While nobody posts. */
void vapic_power_up(struct vapic *apic, uint32_t id);

/* As after INIT. What others have posted meanwhile stays posted. */
void vapic_reset(struct vapic *apic);

/* RDMSR and WRMSR of 0x800 to 0x8ff by the vCPU. */
enum vapic_result vapic_read(const struct vapic *apic, uint32_t msr, uint64_t *value);
enum vapic_result vapic_write(struct vapic *apic, uint32_t msr, uint64_t value, struct vapic_ipi *ipi);

/* CR8 is bits 7:4 of TPR. */
uint64_t vapic_read_cr8(const struct vapic *apic);
enum vapic_result vapic_write_cr8(struct vapic *apic, uint64_t value);

/* Whether an IPI sent by `sender` reaches the vCPU with APIC id `id`. Only ever asked for vCPUs of one
 * partition. */
bool vapic_ipi_reaches(const struct vapic_ipi *ipi, uint32_t sender, uint32_t id);

/* Posts what an IPI carries. From any core; the caller then makes the vCPU look (vcpu_kick). */
void vapic_post(struct vapic *apic, const struct vapic_ipi *ipi);

/* Takes what was posted: vectors become requests; returns the other events. On the vCPU's own core. */
uint32_t vapic_collect(struct vapic *apic);

/* Whether anything is posted. From any core. */
bool vapic_has_posted(const struct vapic *apic);

/* The vector the priorities let through now, or VAPIC_NO_VECTOR. */
int vapic_deliverable(const struct vapic *apic);

/* The processor is about to deliver `vector`: from request to service. */
void vapic_accept(struct vapic *apic, uint32_t vector);

/* Its delivery did not take place: back from service to request. */
void vapic_withdraw(struct vapic *apic, uint32_t vector);

#endif
