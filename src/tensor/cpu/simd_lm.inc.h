/*
 * simd_lm.inc.h - the loops of a transformer at one instruction-set level; see tensor/lm_kernels.h.
 *
 * Included by lm_portable.c, lm_avx2.c and lm_avx512.c with WIDE_LEVEL 0, 1, 2 and LEVEL. Sums along a row are taken in
 * WF_LANES strands joined by wf_sum, so that a row's bits depend on the row alone.
 */
#include "base/base.h"
#include "tensor/kernels.h"
#include "tensor/lm_kernels.h"
#include "wide_math.h"
#include "wide_half.h"

#define PASTE2(a, b) a##b
#define PASTE(a, b)  PASTE2(a, b)
#define TEXT2(a)     #a
#define TEXT(a)      TEXT2(a)

WIDE_INLINE int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* n lanes from number j on, 0 in the others */
WIDE_INLINE wf take(const void *at, int64_t j, int64_t n, const bool half) {
    if (half)
        return n == WF_LANES ? wf_load_half((const uint16_t *)at + j)
                             : wf_load_half_n((const uint16_t *)at + j, n);
    return n == WF_LANES ? wf_load((const float *)at + j) : wf_load_n((const float *)at + j, n);
}

WIDE_INLINE void give(void *at, int64_t j, wf x, int64_t n, const bool half) {
    if (half) {
        x = wf_to_half(x);
        if (n == WF_LANES)
            wf_store_half((uint16_t *)at + j, x);
        else
            wf_store_half_n((uint16_t *)at + j, x, n);
    } else if (n == WF_LANES) {
        wf_store((float *)at + j, x);
    } else {
        wf_store_n((float *)at + j, x, n);
    }
}

/* The body for every vector of `width` numbers: numbers [j, j + lanes). */
#define EACH(width, ...)                                                                                     \
    do {                                                                                                     \
        int64_t j = 0;                                                                                       \
        for (; j + WF_LANES <= (width); j += WF_LANES) {                                                     \
            const int64_t lanes = WF_LANES;                                                                  \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
        if (j < (width)) {                                                                                   \
            const int64_t lanes = (width)-j;                                                                 \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    } while (0)

#include "simd_lm_layer.inc.h"
#include "simd_lm_attention.inc.h"
#include "simd_lm_head.inc.h"

const reini_lm_kernels PASTE(reini_lm_, LEVEL) = {
    .level = TEXT(LEVEL),
    .norm = lm_norm,
    .norm_back = lm_norm_back,
    .turn = lm_turn,
    .gate = lm_gate,
    .gate_back = lm_gate_back,
    .soften = lm_soften,
    .soften_back = lm_soften_back,
    .lanes_scale = lm_lanes_scale,
    .lanes_out = lm_lanes_out,
    .dot = lm_dot,
    .row_sums = lm_row_sums,
    .row_slopes = lm_row_slopes,
    .drop = lm_drop,
};
