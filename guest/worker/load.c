/*
 * Every round replaces each word w by SCALE * w + SHIFT (modulo 2^64), so the weighted sum S of all words
 * becomes SCALE * S + SHIFT * (sum of weights): the answer is known without looking at the memory. The weight
 * of a word depends on its place, so words that swapped places are noticed. Must never call anything.
 */
#include "guest/worker/load.h"

#define SCALE  UINT64_C(0x9E3779B97F4A7C15) /* odd: the map loses nothing */
#define SHIFT  UINT64_C(0xD1B54A32D192ED03)
#define STRIDE UINT64_C(1000003) /* prime: visits every index unless it divides the count */

static uint64_t weight(uint64_t index)
{
    return index * 2 + 1;
}

static uint64_t first_value(uint64_t seed, uint64_t index)
{
    uint64_t x = (seed + index) * SCALE;
    return x ^ x >> 29;
}

void load_init(struct load *load, void *memory, uint64_t bytes, uint64_t seed)
{
    uint64_t count = bytes / sizeof(uint64_t);
    if (count % STRIDE == 0)
        count--;
    *load = (struct load){.words = memory, .count = count, .seed = seed};
    for (uint64_t i = 0; i < count; i++) {
        uint64_t value = first_value(seed, i);
        load->words[i] = value;
        load->expected += weight(i) * value;
        load->weights += weight(i);
    }
}

static enum load_state end_round(struct load *load)
{
    load->expected = load->expected * SCALE + load->weights * SHIFT;
    enum load_state state = load->sum == load->expected ? LOAD_RIGHT : LOAD_WRONG;
    load->round++;
    load->position = 0;
    load->index = 0;
    load->sum = 0;
    return state;
}

enum load_state load_advance(struct load *load, uint64_t words)
{
    uint64_t left = load->count - load->position;
    uint64_t steps = words < left ? words : left;
    uint64_t stride = STRIDE % load->count;
    uint64_t index = load->index, sum = load->sum;
    for (uint64_t i = 0; i < steps; i++) {
        uint64_t value = load->words[index] * SCALE + SHIFT;
        load->words[index] = value;
        sum += weight(index) * value;
        index += stride;
        if (index >= load->count)
            index -= load->count;
    }
    load->index = index;
    load->sum = sum;
    load->position += steps;
    return load->position == load->count ? end_round(load) : LOAD_BUSY;
}
