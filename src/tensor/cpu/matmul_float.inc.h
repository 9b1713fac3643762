/*
 * matmul_float.inc.h - large products in float at one instruction-set level; see matmul_kernels.h.
 *
 * Included by matmul_portable.c, matmul_avx2.c and matmul_avx512.c with WIDE_LEVEL 0, 1, 2 and LEVEL.
 *
 * Strips of a and panels of b are packed with all lines of one depth side by side. A block of HIGH lines of a by
 * VECTORS vectors of lines of b stays in registers: per depth it loads VECTORS vectors, broadcasts HIGH numbers and does
 * HIGH VECTORS multiply-adds. Every element of c is one chain of multiply-adds over increasing depth from 0 on, through
 * memory between two blocks of the depth, so that its bits do not depend on blocks.
 */
#include "base/base.h"
#include "tensor/matmul_kernels.h"
#include "wide.h"
#include "wide_half.h"

#define PASTE2(a, b) a##b
#define PASTE(a, b)  PASTE2(a, b)

#if WIDE_LEVEL == 2
enum { HIGH = 14, VECTORS = 2 };
#elif WIDE_LEVEL == 1
enum { HIGH = 6, VECTORS = 2 };
#else
enum { HIGH = 4, VECTORS = 2 };
#endif
/* Packed parts and sums of a block fill half to two thirds of the second-level cache: 2 MB where AVX-512 is. */
#if WIDE_LEVEL == 2
enum { BLOCK_ROWS = 266, BLOCK_COLUMNS = 512, WHOLE_COLUMNS = 768 };
#else
enum { BLOCK_ROWS = 168, BLOCK_COLUMNS = 512, WHOLE_COLUMNS = 512 };
#endif
/* A panel of PART_DEPTH and the strips that pass by it stay in 48 KB. */
enum { WIDE = VECTORS * WF_LANES, BLOCK_DEPTH = 256, PART_DEPTH = 224 };

WIDE_INLINE int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- reading operands ----------------------------------------------------------------------------------- */

typedef enum number_kind { FLOAT, ROUNDED, HALF } number_kind;

WIDE_INLINE number_kind kind_of(const reini_lines *x) {
    return x->half ? HALF : x->rounded ? ROUNDED : FLOAT;
}

/* n numbers from the index-th on, 0 in the other lanes; n >= 1 */
WIDE_INLINE wf take(const void *at, int64_t index, int64_t n, const number_kind kind) {
    if (kind == HALF) {
        const uint16_t *p = (const uint16_t *)at + index;
        return n >= WF_LANES ? wf_load_half(p) : wf_load_half_n(p, n);
    }
    const float *p = (const float *)at + index;
    wf x = n >= WF_LANES ? wf_load(p) : wf_load_n(p, n);
    return kind == ROUNDED ? wf_to_half(x) : x;
}

#include "matmul_pack.inc.h"
#include "matmul_block.inc.h"
#include "matmul_thin.inc.h"

/* ---- the rest ------------------------------------------------------------------------------------------- */

/* Whole cache lines go around the cache. */
WIDE_INLINE bool store_passing(float *to, wf x) {
#if WIDE_LEVEL == 2
    if (((uintptr_t)to & 63) == 0) {
        _mm512_stream_ps(to, x);
        return true;
    }
#endif
    (void)to, (void)x;
    return false;
}

WIDE_INLINE void passing_done(void) {
#if WIDE_LEVEL == 2
    _mm_sfence();
#endif
}

WIDE_INLINE void finish_lanes(const reini_sums *s, const float *c, int64_t at, int64_t j, int64_t n) {
    wf x = wf_mul(wf_load_n(c + j, n), wf_set1(s->scale));
    if (s->bias != NULL)
        x = wf_add(x, wf_load_n(s->bias + j, n));
    if (s->half) {
        wf_store_half_n((uint16_t *)s->to + at + j, wf_to_half(x), n);
        return;
    }
    float *to = (float *)s->to + at + j;
    if (s->passing && !s->add && n == WF_LANES && store_passing(to, x))
        return;
    wf_store_n(to, s->add ? wf_add(x, wf_load_n(to, n)) : x, n);
}

static void float_finish(const reini_sums *s, const float *c, int64_t c_row, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++, c += c_row) {
        int64_t j = 0;
        for (; j + WF_LANES <= columns; j += WF_LANES)
            finish_lanes(s, c, i * s->stride, j, WF_LANES);
        if (j < columns)
            finish_lanes(s, c, i * s->stride, j, columns - j);
    }
    if (s->passing)
        passing_done();
}

/* Chains of so many terms, whose sums are added up in turn. */
enum { SUM_PART = 128 };

WIDE_INLINE void sum_lanes(float *to, const reini_lines *x, int64_t j, int64_t n, float scale,
                           const number_kind kind) {
    wf total = wf_zero();
    for (int64_t d = 0; d < x->depth; d += SUM_PART) {
        wf part = wf_zero();
        for (int64_t e = d; e < least(d + SUM_PART, x->depth); e++)
            part = wf_add(part, take(x->at, e * x->stride + j, n, kind));
        total = wf_add(total, part);
    }
    wf_store_n(to + j, wf_add(wf_load_n(to + j, n), wf_mul(total, wf_set1(scale))), n);
}

static void float_sum_depth(float *to, const reini_lines *x, float scale) {
    for (int64_t j = 0; j < x->lines; j += WF_LANES) {
        int64_t n = least(WF_LANES, x->lines - j);
        if (x->half)
            sum_lanes(to, x, j, n, scale, HALF);
        else
            sum_lanes(to, x, j, n, scale, FLOAT);
    }
}

static void float_narrow(uint16_t *to, const float *from, int64_t n) {
    for (; n >= WF_LANES; n -= WF_LANES, to += WF_LANES, from += WF_LANES)
        wf_store_half(to, wf_to_half(wf_load(from)));
    if (n > 0)
        wf_store_half_n(to, wf_to_half(wf_load_n(from, n)), n);
}

static void float_widen(float *to, const uint16_t *from, int64_t n) {
    for (; n >= WF_LANES; n -= WF_LANES, to += WF_LANES, from += WF_LANES)
        wf_store(to, wf_load_half(from));
    if (n > 0)
        wf_store_n(to, wf_load_half_n(from, n), n);
}

const reini_matmul_kernels PASTE(reini_matmul_, LEVEL) = {
    .high = HIGH,
    .wide = WIDE,
    .deep = 1,
    .rows = BLOCK_ROWS,
    .columns = BLOCK_COLUMNS,
    .depth = BLOCK_DEPTH,
    .part_depth = PART_DEPTH,
    .share = true,
    .whole_columns = WHOLE_COLUMNS,
    .size = sizeof(float),
    .few = THIN_ROWS,
    .pack_a = float_pack_a,
    .pack_b = float_pack_b,
    .multiply = float_multiply,
    .finish = float_finish,
    .thin_room = float_thin_room,
    .thin_pack = float_thin_pack,
    .thin = float_thin,
    .sum_depth = float_sum_depth,
    .narrow = float_narrow,
    .widen = float_widen,
};
