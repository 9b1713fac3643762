/*
 * rng.h - counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
 *
 * A stream is named by (seed, stream); its k-th block of four words is a pure function of
 * (seed, stream, k). Streams are independent of each other and of threads, and a stream's state is two
 * numbers, so it can be copied, saved and compared.
 *
 *     rein_rng rng = rein_rng_make(seed, env_index);
 *     float x = rein_rng_uniform(&rng);
 */
#ifndef REIN_RNG_H
#define REIN_RNG_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rein_rng {
    uint64_t seed;
    uint64_t stream;
    uint64_t count; /* words drawn so far */
    uint32_t word[4];
} rein_rng;

/* One Philox block: four words from a 64-bit key and a 128-bit counter (low, high). */
static inline void rein_philox(uint64_t key, uint64_t low, uint64_t high, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)low, c1 = (uint32_t)(low >> 32);
    uint32_t c2 = (uint32_t)high, c3 = (uint32_t)(high >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static inline rein_rng rein_rng_make(uint64_t seed, uint64_t stream) {
    rein_rng rng = {seed, stream, 0, {0, 0, 0, 0}};
    return rng;
}

/* The next 32 random bits. */
static inline uint32_t rein_rng_next(rein_rng *rng) {
    uint32_t lane = (uint32_t)(rng->count & 3);
    if (lane == 0)
        rein_philox(rng->seed, rng->count >> 2, rng->stream, rng->word);
    rng->count++;
    return rng->word[lane];
}

/* Uniform in [0, 1), 24 bits. */
static inline float rein_rng_uniform(rein_rng *rng) {
    return (float)(rein_rng_next(rng) >> 8) * (1.0f / 16777216.0f);
}

/* Uniform in [low, high). */
static inline float rein_rng_range(rein_rng *rng, float low, float high) {
    return low + (high - low) * rein_rng_uniform(rng);
}

/* Uniform in [0, 1), 53 bits. */
static inline double rein_rng_uniform64(rein_rng *rng) {
    uint64_t high = rein_rng_next(rng);
    uint64_t low = rein_rng_next(rng);
    return (double)((high << 21) ^ (low >> 11)) * (1.0 / 9007199254740992.0);
}

/* Uniform integer in [0, n), n >= 1, without bias (Lemire, 2019). */
static inline uint32_t rein_rng_below(rein_rng *rng, uint32_t n) {
    uint64_t product = (uint64_t)rein_rng_next(rng) * n;
    if ((uint32_t)product < n) {
        uint32_t reject = (0u - n) % n;
        while ((uint32_t)product < reject)
            product = (uint64_t)rein_rng_next(rng) * n;
    }
    return (uint32_t)(product >> 32);
}

/* Standard normal (Box-Muller; two words a draw). */
static inline double rein_rng_normal(rein_rng *rng) {
    double u = ((double)rein_rng_next(rng) + 1.0) * (1.0 / 4294967296.0);
    double v = (double)rein_rng_next(rng) * (6.283185307179586 / 4294967296.0);
    return sqrt(-2.0 * log(u)) * cos(v);
}

#ifdef __cplusplus
}
#endif
#endif
