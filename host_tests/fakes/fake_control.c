/* The control loop, kicks and the guest itself in host tests: what the code under test asks of them, noted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host_tests/fakes/fake.h"
#include "hv/control.h"

#define SLEEPS_MAX 100000 /* more than any test needs */

void control_post(enum record_type type, const void *record, uint32_t bytes)
{
    assert_true(fakes.record_count < FAKE_RECORDS);
    assert_in_range(bytes, 1, FAKE_RECORD_BYTES);
    struct fake_record *kept = &fakes.records[fakes.record_count++];
    kept->type = type;
    kept->bytes = bytes;
    kept->core = fake_core;
    memset(&kept->payload, 0, sizeof(kept->payload));
    memcpy(kept->payload.bytes, record, bytes);
}

bool control_has_room(uint32_t bytes)
{
    assert_in_range(bytes, 1, FAKE_RECORD_BYTES);
    return !fakes.no_room;
}

uint64_t control_tsc_hz(void)
{
    return FAKE_TSC_HZ;
}

void control_poll(void)
{
    assert_int_equal(fake_core, 0);
    fakes.polls++;
    if (fakes.on_poll != NULL)
        fakes.on_poll();
}

void control_sleep(void)
{
    assert_int_equal(fake_core, 0);
    fakes.sleeps++;
    if (fakes.on_sleep != NULL && fakes.sleeps <= SLEEPS_MAX)
        fakes.on_sleep();
    else
        fail_msg("the control core sleeps and nothing will wake it");
}

const struct fake_record *fake_record(enum record_type type, uint32_t n)
{
    for (uint32_t i = 0; i < fakes.record_count; i++)
        if (fakes.records[i].type == type && n-- == 0)
            return &fakes.records[i];
    return NULL;
}

uint32_t fake_record_count(enum record_type type)
{
    uint32_t count = 0;
    while (fake_record(type, count) != NULL)
        count++;
    return count;
}
