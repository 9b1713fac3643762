/*
 * transformer_parts.h - the inside of reini_lm, shared by the transformer's files.
 *
 * Kept for the backward pass, per token and layer (activations of products, "act", are bf16 with REIN_BF16, else float):
 * the residual stream before the layer and between its halves (2 hidden floats), queries, keys, values (act), their
 * normalised origin with q and k norms (act), attention's output (act) and log-sums (heads floats), gate and up (act,
 * backwards overwritten by their gradients), and the norms' means and deviations. With `recompute` only the residual
 * stream before the layer is; the rest is one layer's, computed again.
 */
#ifndef REINI_TRANSFORMER_PARTS_H
#define REINI_TRANSFORMER_PARTS_H

#include "lm/attention_parts.h"
#include "lm/transformer.h"
#include "lm/transformer_cache.h"

enum {
    REINI_ROW_TASK = 32,   /* rows of a task of passes between products */
    REINI_NORM_TASK = 64,  /* rows whose norm gradients are one partial sum */
    REINI_ADAPT_ROWS = 512 /* rows at a time where adapters add to bf16 results */
};

typedef struct reini_lm_kept {
    float *x, *middle;      /* tokens x hidden */
    float *stat_1, *stat_2; /* tokens x 2 */
    void *qkv;              /* tokens x (heads + 2 kv_heads) head_size */
    void *raw;              /* tokens x (heads + kv_heads) head_size before q and k norms, or NULL */
    float *head_stat;       /* tokens x (heads + kv_heads) x 2 */
    void *out;              /* tokens x heads head_size */
    float *log_sum;         /* tokens x heads */
    void *gate;             /* tokens x (2, or 1 with gelu) inner */
} reini_lm_kept;

/* Linear layers whose products are done together: parts lie one after another in the result. */
typedef struct reini_linear {
    int n;
    reini_lm_part part[3], bias[3];
} reini_linear;
extern const reini_linear reini_linear_qkv, reini_linear_out, reini_linear_gate, reini_linear_up,
    reini_linear_down;

struct reini_lm {
    const reini_lm_weights *w;
    const reini_lora *lora;
    reini_lm_opts opts;
    reini_lm_shape shape;
    rein_pool *pool;
    int workers;
    bool half;
    reini_matmul *mm;
    const reini_lm_kernels *loops;
    reini_attention attention;
    void *memory;
    int64_t bytes;

    /* the batch */
    reini_lm_batch batch;
    int32_t *token, *start, *slot, *past, *task; /* copies, [tokens], [documents + 1] ... */
    int32_t *position;                           /* [tokens] */
    float *frequency, *turn;                     /* [head_size / 2], tokens x head_size */
    bool forward_done;

    /* activations */
    reini_lm_kept *kept; /* [layers] */
    float *last;         /* tokens x hidden after the last layer */
    float *hidden;       /* and after the last norm */
    float *stat_f;
    void *norm;    /* act tokens x hidden */
    void *h;       /* act tokens x inner */
    float *wide;   /* REINI_ADAPT_ROWS x the widest result, for adapters on bf16 results */
    void *dropped; /* act tokens x the widest input, for adapters with dropout */
    int rank;      /* of an adapter, at most */
    float *low;    /* tokens x rank */
    float *dlow;   /* tokens x 3 rank */

    /* the head */
    int chunk;                    /* rows of logits at a time */
    int64_t logits_row;           /* floats between them */
    float *logits, *rows, *drows; /* chunk x vocabulary, chunk x hidden, chunk x hidden */
    reini_row_sums *sums;         /* [chunk] */

    /* backwards */
    reini_lm_gradients to;
    bool backward_begun;
    bool head_fresh;     /* the head's gradient is not written yet, and what its memory holds is not kept */
    float *dhidden, *dx; /* tokens x hidden; dx may be dhidden's place */
    uint16_t *dx_half;   /* dx as products read it with REIN_BF16, else NULL */
    float *dnorm;        /* tokens x hidden */
    void *dout;          /* act tokens x heads head_size */
    void *dqkv;          /* act, as qkv */
    float *partial;      /* [tasks][2][wider of hidden and head_size] */
};

static inline size_t reini_lm_act(const reini_lm *lm) {
    return lm->half ? 2 : 4;
}
static inline int64_t reini_lm_qkv_width(const reini_lm_shape *s) {
    return (int64_t)(s->heads + 2 * s->kv_heads) * s->head_size;
}
static inline int64_t reini_lm_out_width(const reini_lm_shape *s) {
    return (int64_t)s->heads * s->head_size;
}
static inline int64_t reini_lm_gate_width(const reini_lm_shape *s) {
    return (int64_t)s->inner * (s->gelu ? 1 : 2);
}
static inline const reini_linear *reini_lm_gate_linear(const reini_lm_shape *s) {
    return s->gelu ? &reini_linear_up : &reini_linear_gate;
}
/* The batch's rows of an activation, or of floats. */
static inline reini_matrix reini_lm_rows(const reini_lm *lm, const void *at, int64_t columns) {
    return (reini_matrix){at, lm->half ? REIN_BF16 : REIN_F32, lm->batch.tokens, columns, columns};
}
static inline reini_matrix reini_lm_floats(const float *at, int64_t rows, int64_t columns) {
    return (reini_matrix){at, REIN_F32, rows, columns, columns};
}
/* fn(user, first row, rows, worker) for pieces of `piece` rows. */
typedef void reini_rows_fn(void *user, int64_t first, int64_t rows, int worker);
void reini_lm_each_rows(const reini_lm *lm, int64_t rows, int64_t piece, reini_rows_fn *fn, void *user);

/* ---- linear layers (transformer_linear.c) ---------------------------------------------------------------- */

/* y (rows x all parts) = x W^T + bias + adapters; add: to what y (floats) holds. */
void reini_linear_forward(reini_lm *lm, const reini_linear *l, int layer, reini_matrix y, reini_matrix x,
                          bool add);
/* dx = dy W + adapters' part; keeps for reini_linear_weight what the adapters need. */
void reini_linear_input(reini_lm *lm, const reini_linear *l, int layer, reini_matrix dx, reini_matrix dy);
/* Adds to the gradients of weights, biases and adapters. */
void reini_linear_weight(reini_lm *lm, const reini_linear *l, int layer, reini_matrix dy, reini_matrix x);

/* ---- layers ---------------------------------------------------------------------------------------------- */

/* A layer of the last forward; next NULL: without its last product (recomputation). */
void reini_lm_layer(reini_lm *lm, int layer, float *next);

#endif
