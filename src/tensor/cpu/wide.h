/*
 * wide.h - one wide-float type, so that every kernel is written once for all instruction-set levels.
 *
 *     wf a = wf_load(x), b = wf_fma(a, a, wf_set1(1.0f));
 *     wf_store_n(y, b, n);                                  first n lanes
 *
 * The file that includes it defines WIDE_LEVEL: 0 portable, 1 AVX2 and FMA, 2 AVX-512. It gives
 *     wf, wi, wm        WF_LANES floats, as many 32-bit integers, a mask of lanes
 *     wf_min, wf_max    a < b ? a : b and a > b ? a : b: the second operand when they are unordered
 *     wf_fma, wf_fnma   a b + c and c - a b; one rounding at levels 1 and 2
 *     wf_first          the first n lanes, 0 in the others
 *     wf_scale2         x 2^n for whole n in [-150, 130]
 *     wf_sum            the lanes added in halves: (l, l + L/2), (l, l + L/4), ... (l, l + 1)
 *     wf_sum_each       lane r = wf_sum(v[r]), the same order of additions
 *     wf_column         lane l = p[l stride] for l < n, 0 after; wf_column_store its inverse
 *     wf_store_blocks   to[4 l + i] = lane l of the i-th vector
 *     wi_mul_even       64-bit products of the unsigned even lanes, on a little-endian machine low word first
 *     wi_odd_to_even    odd lanes moved to the even ones
 *     wi_join(a, b)     even lanes of a, and those of b moved to the odd ones
 * Masked loads give 0 in the other lanes and touch no memory there.
 */
#ifndef REINI_WIDE_H
#define REINI_WIDE_H

#include <stdint.h>
#include <string.h>

#define WIDE_INLINE static inline __attribute__((always_inline, unused))

#if WIDE_LEVEL == 2
#include "wide_avx512.h"
#elif WIDE_LEVEL == 1
#include "wide_avx2.h"
#else
#include "wide_portable.h"
#endif

WIDE_INLINE wf wf_zero(void) {
    return wf_set1(0.0f);
}

WIDE_INLINE wf wf_neg(wf x) {
    return wf_from_bits(wi_xor(wf_bits(x), wi_set1(INT32_MIN)));
}

WIDE_INLINE wf wf_abs(wf x) {
    return wf_from_bits(wi_and(wf_bits(x), wi_set1(INT32_MAX)));
}

/* x limited to [low, high]; not-a-number stays. */
WIDE_INLINE wf wf_clamp(wf x, wf low, wf high) {
    return wf_min(high, wf_max(low, x));
}

WIDE_INLINE wf wf_relu(wf x) {
    return wf_max(wf_zero(), x);
}

#endif
