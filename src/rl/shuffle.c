/*
 * shuffle.c - Fisher-Yates over Philox words that are drawn many at a time.
 */
#include "rl/shuffle.h"

#include <rein/rng.h>
#include "base/levels.h"

enum { BLOCKS = 16 }; /* Philox blocks side by side: one vector of each of the four words */

/* words[i .. i + 64) from blocks low .. low + 16 */
REINI_INLINE void draw_body(uint32_t *restrict words, uint64_t seed, uint64_t low, uint64_t high) {
    for (int b = 0; b < BLOCKS; b++) {
        uint32_t block[4];
        rein_philox(seed, low + (uint64_t)b, high, block);
        for (int w = 0; w < 4; w++)
            words[w * BLOCKS + b] = block[w];
    }
}
REINI_FOR_LEVELS(draw, (uint32_t * words, uint64_t seed, uint64_t low, uint64_t high),
                 (words, seed, low, high))

void reini_shuffle(int32_t *order, uint32_t *words, int64_t n, uint64_t seed, uint64_t stream,
                   uint64_t counter) {
    for (int64_t i = 0; i < n; i += 4 * BLOCKS)
        draw(words + i, seed, (counter << 32) + (uint64_t)i / 4, stream);
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(((uint64_t)words[i] * (uint64_t)(i + 1)) >> 32);
        int32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}
