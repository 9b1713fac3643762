/*
 * shuffle.h - random orders of a batch's rows.
 */
#ifndef REINI_SHUFFLE_H
#define REINI_SHUFFLE_H

#include <stdint.h>

/* Writes a permutation of 0 .. n - 1 (n < 2^31), a pure function of (seed, stream, counter). words: scratch of n
 * rounded up to a multiple of 64. Indices are picked by multiplying 32 random bits by the range (no rejection), which
 * favours an index by at most n / 2^32. */
void reini_shuffle(int32_t *order, uint32_t *words, int64_t n, uint64_t seed, uint64_t stream,
                   uint64_t counter);

#endif
