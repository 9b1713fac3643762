/*
 * streams.h - seeds for separate purposes, all derived from the seed of a run.
 *
 * Training, each evaluation and the final evaluation must never meet the same episodes, so each takes its own
 * 64-bit seed: one Philox block of (seed, counter, hash of the purpose).
 */
#ifndef REINI_STREAMS_H
#define REINI_STREAMS_H

#include <rein/rng.h>

/* FNV-1a, 64 bit */
static inline uint64_t reini_hash_text(const char *text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

static inline uint64_t reini_seed_for(uint64_t seed, const char *purpose, uint64_t counter) {
    uint32_t word[4];
    rein_philox(seed, counter, reini_hash_text(purpose), word);
    return (uint64_t)word[1] << 32 | word[0];
}

#endif
