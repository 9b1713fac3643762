/*
 * transformer_backward.c - the backward pass: the layers in reverse order, each piece's derivative by hand.
 *
 * dx, the gradient of the residual stream, lies where the head left the gradient of the hidden rows; each half of a layer
 * adds its part to it. What products read again (normalised rows, the gate's result) is made again from what was kept.
 * Gradients of norms are sums over rows: each piece of REINI_NORM_TASK rows has its own, added up in order.
 */
#include <string.h>
#include "lm/lm_parts.h"
#include "lm/transformer_parts.h"
#include "tensor/kernels.h"

/* ---- norms ----------------------------------------------------------------------------------------------- */

typedef struct norm_job {
    reini_lm *lm;
    reini_norm norm;
} norm_job;

static float *partial_at(const reini_lm *lm, int64_t first, int64_t width) {
    return lm->partial + first / REINI_NORM_TASK * 2 * width;
}

/* Adds the pieces' sums: weight then bias, each `width` numbers. */
static void add_partials(const reini_lm *lm, float *weight, float *bias, int64_t width) {
    void (*add)(float *to, const float *from, int64_t n) = reini_vector_ops_best()->add;
    for (int64_t first = 0; first < lm->batch.tokens; first += REINI_NORM_TASK) {
        const float *partial = partial_at(lm, first, width);
        add(weight, partial, width);
        if (bias != NULL)
            add(bias, partial + width, width);
    }
}

static void norm_rows(void *user, int64_t first, int64_t rows, int worker) {
    const norm_job *j = user;
    reini_norm n = j->norm;
    (void)worker;
    n.x = (const float *)n.x + first * n.width;
    n.dy = (const float *)n.dy + first * n.width;
    n.dx = (float *)n.dx + first * n.width;
    n.rounded = n.rounded != NULL ? n.rounded + first * n.width : NULL;
    n.y = n.y != NULL ? (char *)n.y + (size_t)(first * n.width) * (n.half ? 2 : 4) : NULL;
    n.stat += 2 * first;
    if (j->lm->to.weights != NULL) {
        n.dweight = partial_at(j->lm, first, n.width);
        n.dbias = n.dweight + n.width;
        memset(n.dweight, 0, (size_t)(2 * n.width) * sizeof(float));
    }
    j->lm->loops->norm_back(&n, rows);
}

/* dx += what dy means for x, or = with `set`; y: the normalised rows again. */
static void norm_back(reini_lm *lm, reini_lm_part part, reini_lm_part bias, int layer, const float *x,
                      float *stat, void *y, const float *dy, bool set) {
    norm_job j = {.lm = lm,
                  .norm = {.width = lm->shape.hidden,
                           .weight = reini_lm_vector(lm->w, part, layer),
                           .bias = reini_lm_vector(lm->w, bias, layer),
                           .x = x,
                           .y = y,
                           .half = lm->half,
                           .stat = stat,
                           .dy = dy,
                           .dx = lm->dhidden,
                           .rounded = lm->dx_half,
                           .set = set}};
    reini_lm_each_rows(lm, lm->batch.tokens, REINI_NORM_TASK, norm_rows, &j);
    if (lm->to.weights != NULL)
        add_partials(lm, reini_lm_gradient_at(lm->w, lm->to.weights, part, layer),
                     reini_lm_gradient_at(lm->w, lm->to.weights, bias, layer), lm->shape.hidden);
}

/* ---- queries and keys ------------------------------------------------------------------------------------ */

typedef struct layer_job {
    reini_lm *lm;
    const reini_lm_kept *kept;
    int layer;
} layer_job;

static void norm_heads_back(const layer_job *j, int64_t t, char *dqkv, float *dweight) {
    const reini_lm *lm = j->lm;
    const reini_lm_shape *s = &lm->shape;
    int heads = s->heads + s->kv_heads;
    size_t head = (size_t)s->head_size * reini_lm_act(lm), queries = (size_t)s->heads * head;
    const char *raw = (const char *)j->kept->raw + (size_t)(t * heads) * head;
    reini_norm n = {.width = s->head_size,
                    .weight = reini_lm_vector(lm->w, REINI_LM_Q_NORM, j->layer),
                    .x = raw,
                    .x_half = lm->half,
                    .half = lm->half,
                    .stat = j->kept->head_stat + 2 * t * heads,
                    .dy = dqkv,
                    .dx = dqkv,
                    .set = true,
                    .dweight = dweight};
    lm->loops->norm_back(&n, s->heads);
    n.weight = reini_lm_vector(lm->w, REINI_LM_K_NORM, j->layer);
    n.x = raw + queries;
    n.dy = n.dx = dqkv + queries;
    n.stat += 2 * s->heads;
    n.dweight = dweight != NULL ? dweight + s->head_size : NULL;
    lm->loops->norm_back(&n, s->kv_heads);
}

/* From the gradient of rotated, normalised queries and keys to that of the product's result. */
static void unplace_rows(void *user, int64_t first, int64_t rows, int worker) {
    const layer_job *j = user;
    const reini_lm *lm = j->lm;
    const reini_lm_shape *s = &lm->shape;
    float *dweight = s->qk_norm && lm->to.weights != NULL ? partial_at(lm, first, s->head_size) : NULL;
    (void)worker;
    if (dweight != NULL)
        memset(dweight, 0, (size_t)(2 * s->head_size) * sizeof(float));
    for (int64_t t = first; t < first + rows; t++) {
        char *dqkv = (char *)lm->dqkv + (size_t)(t * reini_lm_qkv_width(s)) * reini_lm_act(lm);
        if (!s->learned_positions)
            lm->loops->turn(dqkv, lm->half, lm->turn + t * s->head_size, s->heads + s->kv_heads, s->head_size,
                            -1);
        if (s->qk_norm)
            norm_heads_back(j, t, dqkv, dweight);
    }
}

static void unplace(reini_lm *lm, const reini_lm_kept *k, int layer) {
    layer_job j = {lm, k, layer};
    if (lm->shape.learned_positions && !lm->shape.qk_norm)
        return;
    reini_lm_each_rows(lm, lm->batch.tokens, REINI_NORM_TASK, unplace_rows, &j);
    if (lm->shape.qk_norm && lm->to.weights != NULL)
        add_partials(lm, reini_lm_gradient_at(lm->w, lm->to.weights, REINI_LM_Q_NORM, layer),
                     reini_lm_gradient_at(lm->w, lm->to.weights, REINI_LM_K_NORM, layer),
                     lm->shape.head_size);
}

/* ---- a layer --------------------------------------------------------------------------------------------- */

static void gate_rows(void *user, int64_t first, int64_t rows, int worker) {
    const layer_job *j = user;
    const reini_lm *lm = j->lm;
    const reini_lm_shape *s = &lm->shape;
    size_t inner = (size_t)s->inner * reini_lm_act(lm),
           row = (size_t)reini_lm_gate_width(s) * reini_lm_act(lm);
    (void)worker;
    for (int64_t t = first; t < first + rows; t++) {
        char *gate = (char *)j->kept->gate + (size_t)t * row;
        lm->loops->gate_back((char *)lm->h + (size_t)t * inner, s->gelu ? NULL : gate,
                             s->gelu ? gate : gate + inner, lm->half, s->inner);
    }
}

/* dx as products read it */
static reini_matrix dx_rows(const reini_lm *lm) {
    return reini_lm_rows(lm, lm->half ? (const void *)lm->dx_half : lm->dhidden, lm->shape.hidden);
}

static void mlp_back(reini_lm *lm, const reini_lm_kept *k, int layer) {
    const reini_lm_shape *s = &lm->shape;
    layer_job j = {lm, k, layer};
    reini_matrix dx = dx_rows(lm);
    reini_matrix dnorm = reini_lm_floats(lm->dnorm, lm->batch.tokens, s->hidden);
    reini_matrix h = reini_lm_rows(lm, lm->h, s->inner),
                 gate = reini_lm_rows(lm, k->gate, reini_lm_gate_width(s));
    reini_linear_input(lm, &reini_linear_down, layer, h, dx);
    reini_lm_each_rows(lm, lm->batch.tokens, REINI_ROW_TASK, gate_rows, &j);
    reini_linear_weight(lm, &reini_linear_down, layer, dx, h);
    reini_linear_input(lm, reini_lm_gate_linear(s), layer, dnorm, gate);
    norm_back(lm, REINI_LM_NORM_2, REINI_LM_NORM_2_B, layer, k->middle, k->stat_2, lm->norm, lm->dnorm,
              false);
    reini_linear_weight(lm, reini_lm_gate_linear(s), layer, gate, reini_lm_rows(lm, lm->norm, s->hidden));
}

static void attend_back(reini_lm *lm, const reini_lm_kept *k, int layer) {
    const reini_lm_shape *s = &lm->shape;
    reini_matrix dx = dx_rows(lm);
    reini_matrix dnorm = reini_lm_floats(lm->dnorm, lm->batch.tokens, s->hidden);
    reini_matrix dqkv = reini_lm_rows(lm, lm->dqkv, reini_lm_qkv_width(s));
    reini_attention_call call = {.documents = lm->batch.documents,
                                 .start = lm->start,
                                 .task = lm->task,
                                 .qkv = k->qkv,
                                 .out = k->out,
                                 .log_sum = k->log_sum,
                                 .dout = lm->dout,
                                 .dqkv = lm->dqkv};
    reini_linear_input(lm, &reini_linear_out, layer, reini_lm_rows(lm, lm->dout, reini_lm_out_width(s)), dx);
    reini_linear_weight(lm, &reini_linear_out, layer, dx, reini_lm_rows(lm, k->out, reini_lm_out_width(s)));
    reini_attention_backward(&lm->attention, &call);
    unplace(lm, k, layer);
    reini_linear_input(lm, &reini_linear_qkv, layer, dnorm, dqkv);
    norm_back(lm, REINI_LM_NORM_1, REINI_LM_NORM_1_B, layer, k->x, k->stat_1, lm->norm, lm->dnorm, false);
    reini_linear_weight(lm, &reini_linear_qkv, layer, dqkv, reini_lm_rows(lm, lm->norm, s->hidden));
}

/* ---- embeddings ------------------------------------------------------------------------------------------ */

enum { EMBEDDING_TASKS = 32 };

/* Rows of ids equal to `task` modulo the number of tasks, in the order of the batch. */
static void add_embeddings(void *user, int task, int worker) {
    const reini_lm *lm = user;
    int64_t hidden = lm->shape.hidden;
    void (*add)(float *to, const float *from, int64_t n) = reini_vector_ops_best()->add;
    float *tokens = reini_lm_gradient_at(lm->w, lm->to.weights, REINI_LM_EMBEDDING, -1);
    float *positions = reini_lm_gradient_at(lm->w, lm->to.weights, REINI_LM_POSITIONS, -1);
    (void)worker;
    for (int64_t t = 0; t < lm->batch.tokens; t++) {
        const float *dx = lm->dhidden + t * hidden;
        if (lm->token[t] % EMBEDDING_TASKS == task)
            add(tokens + lm->token[t] * hidden, dx, hidden);
        if (positions != NULL && lm->position[t] % EMBEDDING_TASKS == task)
            add(positions + lm->position[t] * hidden, dx, hidden);
    }
}

/* ---- the pass -------------------------------------------------------------------------------------------- */

typedef struct clearing {
    float *at;
    int64_t n;
} clearing;

enum { CLEAR_SHARE = 1 << 18 };

static void clear_share(void *user, int task, int worker) {
    const clearing *c = user;
    int64_t first = (int64_t)task * CLEAR_SHARE, left = c->n - first;
    (void)worker;
    memset(c->at + first, 0, (size_t)(left < CLEAR_SHARE ? left : CLEAR_SHARE) * sizeof(float));
}

static void clear(const reini_lm *lm, float *at, int64_t n) {
    clearing c = {at, n};
    rein_pool_run(lm->pool, (int)((n + CLEAR_SHARE - 1) / CLEAR_SHARE), clear_share, &c);
}

static void clear_part(const reini_lm *lm, reini_lm_part part) {
    int param = reini_lm_param(lm->w, part, -1);
    if (param >= 0)
        clear(lm, reini_lm_gradient_at(lm->w, lm->to.weights, part, -1),
              rein_layout_at(lm->w->layout, param).count);
}

static reini_lm_part head_part(const reini_lm *lm) {
    return lm->shape.tied ? REINI_LM_EMBEDDING : REINI_LM_HEAD;
}

/* All that a pass adds to in place of writing it: matrices outside the layers, norms and biases, adapters. */
static void clear_gradients(const reini_lm *lm) {
    if (lm->to.lora != NULL)
        clear(lm, rein_store_data(lm->to.lora), rein_store_size(lm->to.lora));
    if (lm->to.weights == NULL)
        return;
    float *all = rein_store_data(lm->to.weights);
    int64_t end = reini_lm_matrix_end(lm->w);
    clear(lm, all + end, rein_store_size(lm->to.weights) - end);
    clear_part(lm, REINI_LM_POSITIONS);
    clear_part(lm, REINI_LM_SCORE);
    if (!lm->shape.tied)
        clear_part(lm, REINI_LM_EMBEDDING);
}

void reini_lm_backward_begin(reini_lm *lm, reini_lm_gradients to) {
    REINI_ASSERT(lm->opts.train && lm->forward_done && lm->batch.cache == NULL);
    REINI_ASSERT(to.lora == NULL || lm->lora != NULL);
    lm->to = to;
    lm->backward_begun = true;
    lm->head_fresh = to.fresh && to.weights != NULL;
    if (to.fresh)
        clear_gradients(lm);
    memset(lm->dhidden, 0, (size_t)lm->batch.tokens * (size_t)lm->shape.hidden * sizeof(float));
}

void reini_lm_backward(reini_lm *lm) {
    REINI_ASSERT(lm->backward_begun);
    if (lm->head_fresh) /* nothing was scored */
        clear_part(lm, head_part(lm));
    lm->head_fresh = false;
    norm_back(lm, REINI_LM_NORM_F, REINI_LM_NORM_F_B, -1, lm->last, lm->stat_f, NULL, lm->dhidden, true);
    for (int layer = lm->shape.layers - 1; layer >= 0; layer--) {
        if (lm->opts.recompute)
            reini_lm_layer(lm, layer, NULL);
        mlp_back(lm, &lm->kept[layer], layer);
        attend_back(lm, &lm->kept[layer], layer);
    }
    if (lm->to.weights != NULL)
        rein_pool_run(lm->pool, EMBEDDING_TASKS, add_embeddings, lm);
    /* gates hold their gradients: another backward pass needs another forward pass */
    lm->forward_done = lm->backward_begun = false;
}
