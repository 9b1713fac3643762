/*
 * env_draws.c - the next word of many streams at once.
 *
 * A stream makes four words at a time and keeps them. Of many streams about a quarter have used theirs up: those are
 * found without a branch, which nothing could predict, and their blocks are made side by side.
 */
#include <string.h>
#include "env/env_simd.h"

enum { STREAMS = 128, ABREAST = 16 };

/* New words for `count` streams, which are numbers which[...] of rng; places up to a multiple of ABREAST are filler. */
REINI_INLINE void refill_body(rein_rng *rng, const int32_t *which, int count) {
    for (int first = 0; first < count; first += ABREAST) {
        uint64_t key[ABREAST], low[ABREAST], high[ABREAST];
        uint32_t out[4][ABREAST];
        for (int k = 0; k < ABREAST; k++) {
            const rein_rng *one = &rng[which[first + k]];
            key[k] = one->seed;
            low[k] = one->count >> 2;
            high[k] = one->stream;
        }
        for (int k = 0; k < ABREAST; k++) {
            uint32_t four[4];
            rein_philox(key[k], low[k], high[k], four);
            for (int w = 0; w < 4; w++)
                out[w][k] = four[w];
        }
        int end = count - first < ABREAST ? count - first : ABREAST;
        for (int k = 0; k < end; k++)
            for (int w = 0; w < 4; w++)
                rng[which[first + k]].word[w] = out[w][k];
    }
}
REINI_FOR_LEVELS(refill, (rein_rng * rng, const int32_t *which, int count), (rng, which, count))

static void draw_some(rein_rng *rng, int n, uint32_t *word) {
    int32_t which[STREAMS + ABREAST];
    int count = 0;
    for (int i = 0; i < n; i++) {
        which[count] = i;
        count += (rng[i].count & 3) == 0;
    }
    memset(which + count, 0, ABREAST * sizeof *which);
    refill(rng, which, count);
    for (int i = 0; i < n; i++)
        word[i] = rng[i].word[rng[i].count++ & 3];
}

void reini_draw_each(rein_rng *rng, int n, uint32_t *word) {
    for (int first = 0; first < n; first += STREAMS)
        draw_some(rng + first, n - first < STREAMS ? n - first : STREAMS, word + first);
}
