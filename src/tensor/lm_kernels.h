/*
 * lm_kernels.h - the contract between src/lm and the vector loops of one instruction-set level.
 *
 * What a transformer does between its products: norms, rotation, gates, the passes over attention scores and logits.
 * `half` says that activations are bf16, else float; all arithmetic is float. A row's bits depend on the row and the level
 * alone. Kernels do not allocate or fail.
 */
#ifndef REINI_LM_KERNELS_H
#define REINI_LM_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of x normalised: y = (x - mean) r w + b with r = 1 / sqrt(variance + eps) (LayerNorm), or without bias
 * y = x r w with r = 1 / sqrt(mean of x^2 + eps) (RMSNorm). */
typedef struct reini_norm {
    int64_t width;
    float eps;
    const float *weight, *bias; /* bias NULL: RMSNorm */
    const void *x;              /* float, or bf16 with x_half */
    bool x_half;
    void *y; /* y and, backwards, the same again; may be NULL backwards */
    bool half;
    float *copy; /* forwards: x again, or NULL */
    float *stat; /* [rows][2]  mean and r */
    /* backwards: what y's gradient means */
    const void *dy; /* float, or bf16 with x_half */
    void *dx; /* as dy: with `set` it becomes dx and may be dy itself; else floats that dx is added to */
    bool set;
    uint16_t *rounded;      /* dx in bf16 once more, or NULL */
    float *dweight, *dbias; /* [width] added to, or NULL */
} reini_norm;

/* Scores of keys by lanes of queries: s[key s_row + lane]. Lane l may see keys up to last[l]. */
typedef struct reini_lane_scores {
    float *s, *ds;
    int64_t s_row, keys, lanes; /* lanes: a multiple of 16, arrays below as long */
    int32_t key;                /* number of the first key */
    const int32_t *last;
    float scale;
} reini_lane_scores;

/* What a row of logits z says at temperature t, with x = z / t. */
typedef struct reini_row_sums {
    float most;           /* largest x */
    int32_t best;         /* the first z that is the largest */
    double total;         /* sum of e^(x - most) */
    double mean, squares; /* with `more`: sums of (x - most) e^(x - most) and of e^(2 (x - most)) */
} reini_row_sums;

/* d loss / d z = pick (at the target) - p (slope + bend log p), all divided by t already. */
typedef struct reini_row_slope {
    float most, log_total, inverse_t, t;
    float slope, bend;
} reini_row_slope;

typedef struct reini_lm_kernels {
    const char *level;
    void (*norm)(const reini_norm *n, int64_t rows);
    void (*norm_back)(const reini_norm *n, int64_t rows);
    /* Pairs (j, j + size / 2) of every head turned by the angles whose cosines, then sines times `sign`, lie in turn. */
    void (*turn)(void *x, bool half, const float *turn, int64_t heads, int64_t size, float sign);
    /* h = silu(gate) up, n numbers; backwards h is its gradient before and its value after, gate and up become theirs.
     * gate NULL: h = gelu(up). */
    void (*gate)(void *h, const void *gate, const void *up, bool half, int64_t n);
    void (*gate_back)(void *h, void *gate, void *up, bool half, int64_t n);

    /* One block of keys more: most, sum and `fade` (what earlier sums are multiplied by) [lanes]; s becomes e^(scale s -
     * most), 0 where a lane may not see. */
    void (*soften)(const reini_lane_scores *b, float *most, float *sum, float *fade);
    /* s becomes p = e^(scale s - log_sum), ds = scale p (ds - delta). */
    void (*soften_back)(const reini_lane_scores *b, const float *log_sum, const float *delta);
    /* to[d to_row + lane] *= factor[lane] */
    void (*lanes_scale)(float *to, int64_t to_row, int64_t depth, int64_t lanes, const float *factor);
    /* row l of `to` (at rows[l]) = factor[l] times column l of from [depth][lanes] */
    void (*lanes_out)(void *const *rows, bool half, const float *from, int64_t from_row, int64_t depth,
                      int64_t lanes, const float *factor);
    float (*dot)(const void *a, const void *b, bool half, int64_t n);

    void (*row_sums)(const float *z, int64_t n, float t, bool more, reini_row_sums *out);
    /* dz (bf16 with half; may be z) without the target's part */
    void (*row_slopes)(void *dz, bool half, const float *z, int64_t n, const reini_row_slope *how);

    /* to = from with numbers dropped and the others times `kept`: a number goes when its random one is below `chance` /
     * 2^32. add: to += (floats). */
    void (*drop)(void *to, const void *from, bool half, int64_t n, const uint32_t seed[2], uint32_t chance,
                 float kept, bool add);
} reini_lm_kernels;

extern const reini_lm_kernels reini_lm_portable;              /* always built */
extern const reini_lm_kernels reini_lm_avx2, reini_lm_avx512; /* x86-64 builds */

/* The best for this machine under REIN_CPU=. */
const reini_lm_kernels *reini_lm_kernels_best(void);

#endif
