/*
 * trial.h - one call of one kernel on made-up operands, for the kernel tests.
 *
 * A trial names an op, its shapes and where numbers come from; trial_run computes it with one kernel in float
 * or double, with guard bytes around and between the result's rows, and returns the result as doubles.
 */
#ifndef TRIAL_H
#define TRIAL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rein/rng.h>
#include "tensor/kernels.h"

enum { GUARD = 64, GUARD_BYTE = 0xA5, TRIAL_MAX = 1 << 18 };

typedef enum fill {
    FILL_USUAL,
    FILL_POSITIVE,
    FILL_EXTREME,
    FILL_LOGITS,
    FILL_MASKED,
    FILL_UNIT,
    FILL_BITS,
    FILL_INDEX
} fill;

typedef struct trial_operand {
    int64_t width, stride; /* stride 0 = static */
    fill from;
    rein_dtype dtype; /* F32 = the trial's real type */
    int64_t limit;    /* FILL_INDEX: below it */
    int64_t table;    /* rows of a table, 0 = one row per row */
} trial_operand;

typedef struct trial {
    reini_op op;
    int rows;
    trial_operand in[REINI_OPERANDS], out;
    int64_t out_rows; /* 0: rows; ROWS and STAT kinds: rows of the result */
    int32_t k[8];
    double p[2];
    bool accumulate;
    int parts; /* 2 and more: that many calls, each with its share of the result */
    int64_t row0;
    const reini_key *key;
    uint64_t seed;
} trial;

/* values of a result, (rows x width) */
typedef struct result {
    int64_t rows, width;
    double *at;
} result;

static const float extremes[] = {0.0f,   -0.0f,   1.0f,     -1.0f,  INFINITY, -INFINITY, NAN,      1e30f,
                                 -1e30f, 1e-30f,  -1e-30f,  1e-40f, -1e-42f,  3.4e38f,   -3.4e38f, 88.5f,
                                 -87.0f, -103.5f, 1.2e-38f, 9.0f,   -9.0f,    0.5f,      104.0f,   -1e10f};

static inline double trial_number(const trial_operand *x, rein_rng *rng) {
    double u = rein_rng_uniform(rng);
    switch (x->from) {
    case FILL_USUAL:
        return (float)(6 * u - 3);
    case FILL_POSITIVE:
        return (float)(0.01 + 3 * u);
    case FILL_EXTREME:
        return extremes[rein_rng_below(rng, sizeof(extremes) / sizeof(*extremes))];
    case FILL_LOGITS:
        return (float)(-8 * u);
    case FILL_MASKED:
        return u < 0.3 ? -INFINITY : (float)(-8 * u);
    case FILL_UNIT:
        return (float)u;
    case FILL_BITS:
        return u < 0.5;
    case FILL_INDEX:
        return rein_rng_below(rng, (uint32_t)x->limit);
    }
    return 0;
}

static inline size_t dtype_size(rein_dtype dtype, bool wide) {
    return dtype == REIN_U8 ? 1 : dtype == REIN_I32 ? 4 : wide ? 8 : 4;
}

static inline double read_number(const void *at, int64_t i, rein_dtype dtype, bool wide) {
    if (dtype == REIN_U8)
        return ((const uint8_t *)at)[i];
    if (dtype == REIN_I32)
        return ((const int32_t *)at)[i];
    return wide ? ((const double *)at)[i] : (double)((const float *)at)[i];
}

static inline void write_number(void *at, int64_t i, rein_dtype dtype, bool wide, double x) {
    if (dtype == REIN_U8)
        ((uint8_t *)at)[i] = (uint8_t)x;
    else if (dtype == REIN_I32)
        ((int32_t *)at)[i] = (int32_t)x;
    else if (wide)
        ((double *)at)[i] = x;
    else
        ((float *)at)[i] = (float)x;
}

/* Rows of memory an operand needs. */
static inline int64_t operand_rows(const trial *t, const trial_operand *x) {
    return x->table ? x->table : x->stride ? t->rows : 1;
}

/* An operand's memory; the first numbers of every row of a masked operand stay finite. */
static inline void *make_operand(const trial *t, int i, bool wide) {
    const trial_operand *x = &t->in[i];
    int64_t stride = x->stride ? x->stride : x->width, rows = operand_rows(t, x);
    rein_rng rng = rein_rng_make(t->seed, (uint64_t)i);
    void *at = malloc((size_t)(rows * stride) * dtype_size(x->dtype, wide));
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < stride; j++) {
            double value = j < x->width ? trial_number(x, &rng) : 7;
            if (x->from == FILL_MASKED && j == r % x->width)
                value = -0.5;
            write_number(at, r * stride + j, x->dtype, wide, value);
        }
    }
    return at;
}

static inline bool is_guarded(const unsigned char *at, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (at[i] != GUARD_BYTE)
            return false;
    return true;
}

/* Fills a call from operands `in` moved to row `first`. */
static inline reini_call trial_call(const trial *t, void *const in[], int64_t first, int rows, void *out,
                                    bool wide) {
    reini_call call = {.out = {out, t->out.stride, t->out.width},
                       .k = t->k,
                       .p = t->p,
                       .rows = rows,
                       .accumulate = t->accumulate,
                       .row0 = t->row0 + first};
    for (int i = 0; i < REINI_OPERANDS && in[i]; i++) {
        const trial_operand *x = &t->in[i];
        size_t skip = x->table ? 0 : (size_t)(first * x->stride) * dtype_size(x->dtype, wide);
        call.in[i] = (reini_operand){t->key ? in[i] : (char *)in[i] + skip, x->stride, x->width};
    }
    return call;
}

static inline void make_operands(const trial *t, void *in[REINI_OPERANDS], bool wide) {
    memset(in, 0, REINI_OPERANDS * sizeof(*in));
    for (int i = 0; i < reini_op_operands(t->op); i++)
        in[i] = t->key ? (void *)(uintptr_t)t->key : t->in[i].width ? make_operand(t, i, wide) : NULL;
}

static inline void free_operands(const trial *t, void *in[REINI_OPERANDS]) {
    for (int i = 0; i < REINI_OPERANDS && !t->key; i++)
        free(in[i]);
}

/* Runs rows [first, first + rows) and reads the result; checks that nothing else was written. */
static inline result trial_rows(const trial *t, reini_kernel *kernel, bool wide, int64_t first, int rows) {
    void *in[REINI_OPERANDS];
    size_t size = dtype_size(t->out.dtype, wide);
    int64_t out_rows = t->out_rows ? t->out_rows : rows, width = t->out.width;
    int64_t stride = t->out.stride ? t->out.stride : width;
    size_t bytes = (size_t)(out_rows * stride) * size;
    unsigned char *block = malloc(bytes + 2 * GUARD), *at = block + GUARD;
    memset(block, GUARD_BYTE, bytes + 2 * GUARD);
    for (int64_t i = 0; t->accumulate && i < out_rows * stride; i++)
        write_number(at, i, t->out.dtype, wide, 0.25 * (double)(i % 7));
    make_operands(t, in, wide);
    reini_call call = trial_call(t, in, first, rows, at, wide);
    call.parts = t->parts;
    do
        kernel(&call);
    while (++call.part < call.parts);
    assert_true(is_guarded(block, GUARD) && is_guarded(at + bytes, GUARD));
    result y = {out_rows, width, malloc((size_t)(out_rows * width) * sizeof(double) + 1)};
    for (int64_t r = 0; r < out_rows; r++) {
        for (int64_t j = 0; j < width; j++)
            y.at[r * width + j] = read_number(at, r * stride + j, t->out.dtype, wide);
        if (!t->accumulate)
            assert_true(
                is_guarded(at + (size_t)(r * stride + width) * size, (size_t)(stride - width) * size));
    }
    free_operands(t, in);
    free(block);
    return y;
}

static inline result trial_run(const trial *t, reini_kernel *kernel, bool wide) {
    return trial_rows(t, kernel, wide, 0, t->rows);
}

static inline bool same_number(double a, double b) {
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

/* Within share of the larger, or of 1; infinities and not-a-number must agree. */
static inline bool near_number(double a, double b, double share) {
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b))
        return a == b || (fmax(fabs(a), fabs(b)) > 3.4e38 && fmin(fabs(a), fabs(b)) > 3.4e38);
    return fabs(a - b) <= share * fmax(1, fmax(fabs(a), fabs(b)));
}

static inline void trial_fail(const trial *t, const char *level, const char *what, int64_t r, int64_t j,
                              double got, double want) {
    fail_msg("%s %s %s: rows %d widths %d %d %d -> %d k %d %d %d %d %d %d at (%d, %d): %.9g, not %.9g",
             reini_op_name(t->op), level, what, t->rows, (int)t->in[0].width, (int)t->in[1].width,
             (int)t->in[2].width, (int)t->out.width, t->k[0], t->k[1], t->k[2], t->k[3], t->k[4], t->k[5],
             (int)r, (int)j, got, want);
}

static inline void compare(const trial *t, const char *level, result got, result want, double share) {
    for (int64_t i = 0; i < want.rows * want.width; i++)
        if (!near_number(got.at[i], want.at[i], share))
            trial_fail(t, level, "value", i / want.width, i % want.width, got.at[i], want.at[i]);
}

static inline void compare_rows(const trial *t, const char *level, result got, result want, int64_t first) {
    for (int64_t i = 0; i < got.rows * got.width; i++)
        if (!same_number(got.at[i], want.at[first * want.width + i]))
            trial_fail(t, level, "row alone", first + i / want.width, i % want.width, got.at[i],
                       want.at[first * want.width + i]);
}

#endif
