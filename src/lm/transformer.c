/*
 * transformer.c - the forward pass: embedding, equal layers, the last norm.
 *
 *     x += O attend(rotate(QKV norm(x)))
 *     x += Down gate(GateUp norm(x))
 *
 * Products are shared among the pool's workers inside reini_matmul; what lies between them, in pieces of rows, here.
 */
#include "lm/transformer.h"

#include <string.h>
#include "lm/rope.h"
#include "lm/transformer_parts.h"

/* ---- pieces of rows -------------------------------------------------------------------------------------- */

typedef struct rows_job {
    reini_rows_fn *fn;
    void *user;
    int64_t rows, piece;
} rows_job;

static void run_rows(void *user, int task, int worker) {
    const rows_job *j = user;
    int64_t first = (int64_t)task * j->piece;
    j->fn(j->user, first, j->rows - first < j->piece ? j->rows - first : j->piece, worker);
}

void reini_lm_each_rows(const reini_lm *lm, int64_t rows, int64_t piece, reini_rows_fn *fn, void *user) {
    rows_job j = {fn, user, rows, piece};
    rein_pool_run(lm->pool, (int)((rows + piece - 1) / piece), run_rows, &j);
}

/* ---- the batch ------------------------------------------------------------------------------------------- */

static void take_batch(reini_lm *lm, const reini_lm_batch *b) {
    REINI_ASSERT(b->tokens >= 0 && b->tokens <= lm->opts.tokens && b->documents <= lm->opts.documents);
    REINI_ASSERT(b->start[0] == 0 && b->start[b->documents] == b->tokens);
    REINI_ASSERT(b->cache == NULL || (!lm->opts.train && reini_lm_cache_type(b->cache) == lm->w->products));
    lm->batch = *b;
    memcpy(lm->token, b->token, (size_t)b->tokens * sizeof *lm->token);
    memcpy(lm->start, b->start, (size_t)(b->documents + 1) * sizeof *lm->start);
    lm->batch.token = lm->token;
    lm->batch.start = lm->start;
    lm->batch.slot = lm->slot;
    for (int d = 0; d < b->documents; d++) {
        REINI_ASSERT(b->start[d] <= b->start[d + 1]);
        lm->slot[d] = b->cache != NULL ? b->slot[d] : -1;
        lm->past[d] = b->cache != NULL ? reini_lm_cache_length(b->cache, b->slot[d]) : 0;
        for (int t = b->start[d]; t < b->start[d + 1]; t++) {
            REINI_ASSERT(b->token[t] >= 0 && b->token[t] < lm->shape.vocabulary);
            lm->position[t] = lm->past[d] + t - b->start[d];
            REINI_ASSERT(!lm->shape.learned_positions || lm->position[t] < lm->shape.context);
        }
    }
    reini_attention_tasks(&lm->attention, b->documents, lm->start, lm->task);
}

static void take_row(const reini_lm *lm, float *to, reini_matrix from, int64_t row) {
    if (from.dtype == REIN_BF16)
        lm->attention.products->widen(to, (const uint16_t *)from.at + row * from.stride, from.columns);
    else
        memcpy(to, (const float *)from.at + row * from.stride, (size_t)from.columns * sizeof *to);
}

/* Embeddings, and the angles of the rows' positions. */
static void begin_rows(void *user, int64_t first, int64_t rows, int worker) {
    reini_lm *lm = user;
    const reini_lm_shape *s = &lm->shape;
    reini_matrix embedding = reini_lm_matrix(lm->w, REINI_LM_EMBEDDING, -1), positions;
    (void)worker;
    if (s->learned_positions)
        positions = reini_lm_matrix(lm->w, REINI_LM_POSITIONS, -1);
    for (int64_t t = first; t < first + rows; t++) {
        float *x = lm->kept[0].x + t * s->hidden;
        take_row(lm, x, embedding, lm->token[t]);
        if (!s->learned_positions) {
            reini_rope_turn(lm->frequency, s->head_size / 2, lm->position[t], lm->turn + t * s->head_size);
            continue;
        }
        /* the row after the last norm is free: a place for the position's */
        float *place = lm->hidden + t * s->hidden;
        take_row(lm, place, positions, lm->position[t]);
        for (int j = 0; j < s->hidden; j++)
            x[j] += place[j];
    }
}

/* ---- passes between products ----------------------------------------------------------------------------- */

typedef struct norm_job {
    const reini_lm *lm;
    reini_norm norm;
} norm_job;

static void norm_rows(void *user, int64_t first, int64_t rows, int worker) {
    const norm_job *j = user;
    reini_norm n = j->norm;
    (void)worker;
    n.x = (const float *)n.x + first * n.width;
    n.y = (char *)n.y + (size_t)(first * n.width) * (n.half ? 2 : 4);
    n.copy = n.copy != NULL ? n.copy + first * n.width : NULL;
    n.stat += 2 * first;
    j->lm->loops->norm(&n, rows);
}

/* y = norm(x); copy (unless it is x) = x */
static void norm(const reini_lm *lm, reini_lm_part part, reini_lm_part bias, int layer, const float *x,
                 float *copy, float *stat, void *y, bool half) {
    norm_job j = {.lm = lm,
                  .norm = {.width = lm->shape.hidden,
                           .eps = (float)lm->shape.norm_eps,
                           .weight = reini_lm_vector(lm->w, part, layer),
                           .bias = reini_lm_vector(lm->w, bias, layer),
                           .x = x,
                           .y = y,
                           .half = half,
                           .copy = copy == x ? NULL : copy,
                           .stat = stat}};
    reini_lm_each_rows(lm, lm->batch.tokens, REINI_ROW_TASK, norm_rows, &j);
}

typedef struct layer_job {
    const reini_lm *lm;
    const reini_lm_kept *kept;
    int layer;
} layer_job;

/* Norms of the heads of queries and keys; in training their origins are kept. */
static void norm_heads(const layer_job *j, int64_t t, char *qkv) {
    const reini_lm *lm = j->lm;
    const reini_lm_shape *s = &lm->shape;
    int heads = s->heads + s->kv_heads;
    char *raw = qkv;
    if (j->kept->raw != NULL) {
        size_t bytes = (size_t)(heads * s->head_size) * reini_lm_act(lm);
        raw = (char *)j->kept->raw + (size_t)t * bytes;
        memcpy(raw, qkv, bytes);
    }
    reini_norm n = {.width = s->head_size,
                    .eps = (float)s->norm_eps,
                    .weight = reini_lm_vector(lm->w, REINI_LM_Q_NORM, j->layer),
                    .x = raw,
                    .x_half = lm->half,
                    .y = qkv,
                    .half = lm->half,
                    .stat = j->kept->head_stat + 2 * t * heads};
    size_t queries = (size_t)(s->heads * s->head_size) * reini_lm_act(lm);
    lm->loops->norm(&n, s->heads);
    n.weight = reini_lm_vector(lm->w, REINI_LM_K_NORM, j->layer);
    n.x = raw + queries;
    n.y = qkv + queries;
    n.stat += 2 * s->heads;
    lm->loops->norm(&n, s->kv_heads);
}

/* Rotates queries and keys, and puts keys and values into the cache. */
static void place_rows(void *user, int64_t first, int64_t rows, int worker) {
    const layer_job *j = user;
    const reini_lm *lm = j->lm;
    const reini_lm_shape *s = &lm->shape;
    size_t act = reini_lm_act(lm), head = (size_t)s->head_size * act;
    (void)worker;
    for (int64_t t = first; t < first + rows; t++) {
        char *qkv = (char *)j->kept->qkv + (size_t)(t * reini_lm_qkv_width(s)) * act;
        if (s->qk_norm)
            norm_heads(j, t, qkv);
        if (!s->learned_positions)
            lm->loops->turn(qkv, lm->half, lm->turn + t * s->head_size, s->heads + s->kv_heads, s->head_size,
                            1);
        if (lm->batch.cache == NULL)
            continue;
        int d = reini_task_document(lm->start, lm->batch.documents, (int)t);
        char *keys = qkv + (size_t)s->heads * head;
        reini_lm_cache_put(lm->batch.cache, j->layer, lm->slot[d], false, lm->position[t], keys);
        reini_lm_cache_put(lm->batch.cache, j->layer, lm->slot[d], true, lm->position[t],
                           keys + (size_t)s->kv_heads * head);
    }
}

static void gate_rows(void *user, int64_t first, int64_t rows, int worker) {
    const layer_job *j = user;
    const reini_lm *lm = j->lm;
    const reini_lm_shape *s = &lm->shape;
    size_t inner = (size_t)s->inner * reini_lm_act(lm),
           row = (size_t)reini_lm_gate_width(s) * reini_lm_act(lm);
    (void)worker;
    for (int64_t t = first; t < first + rows; t++) {
        char *gate = (char *)j->kept->gate + (size_t)t * row;
        lm->loops->gate((char *)lm->h + (size_t)t * inner, s->gelu ? NULL : gate,
                        s->gelu ? gate : gate + inner, lm->half, s->inner);
    }
}

/* ---- a layer --------------------------------------------------------------------------------------------- */

static void attend(reini_lm *lm, const reini_lm_kept *k, int layer) {
    reini_attention_call call = {.documents = lm->batch.documents,
                                 .start = lm->start,
                                 .past = lm->batch.cache != NULL ? lm->past : NULL,
                                 .task = lm->task,
                                 .qkv = k->qkv,
                                 .out = k->out,
                                 .log_sum = k->log_sum,
                                 .cache = lm->batch.cache,
                                 .slot = lm->slot,
                                 .layer = layer};
    reini_attention_forward(&lm->attention, &call);
}

void reini_lm_layer(reini_lm *lm, int layer, float *next) {
    const reini_lm_shape *s = &lm->shape;
    const reini_lm_kept *k = &lm->kept[layer];
    layer_job j = {lm, k, layer};
    reini_matrix normed = reini_lm_rows(lm, lm->norm, s->hidden);
    norm(lm, REINI_LM_NORM_1, REINI_LM_NORM_1_B, layer, k->x, k->middle, k->stat_1, lm->norm, lm->half);
    reini_linear_forward(lm, &reini_linear_qkv, layer, reini_lm_rows(lm, k->qkv, reini_lm_qkv_width(s)),
                         normed, false);
    reini_lm_each_rows(lm, lm->batch.tokens, REINI_ROW_TASK, place_rows, &j);
    attend(lm, k, layer);
    reini_linear_forward(lm, &reini_linear_out, layer,
                         reini_lm_floats(k->middle, lm->batch.tokens, s->hidden),
                         reini_lm_rows(lm, k->out, reini_lm_out_width(s)), true);
    norm(lm, REINI_LM_NORM_2, REINI_LM_NORM_2_B, layer, k->middle, next != NULL ? next : k->middle, k->stat_2,
         lm->norm, lm->half);
    reini_linear_forward(lm, reini_lm_gate_linear(s), layer,
                         reini_lm_rows(lm, k->gate, reini_lm_gate_width(s)), normed, false);
    if (next == NULL)
        return;
    reini_lm_each_rows(lm, lm->batch.tokens, REINI_ROW_TASK, gate_rows, &j);
    reini_linear_forward(lm, &reini_linear_down, layer, reini_lm_floats(next, lm->batch.tokens, s->hidden),
                         reini_lm_rows(lm, lm->h, s->inner), true);
}

void reini_lm_forward(reini_lm *lm, const reini_lm_batch *batch) {
    int layers = lm->shape.layers;
    take_batch(lm, batch);
    reini_lm_each_rows(lm, lm->batch.tokens, REINI_ROW_TASK, begin_rows, lm);
    for (int layer = 0; layer < layers; layer++)
        reini_lm_layer(lm, layer, layer + 1 < layers ? lm->kept[layer + 1].x : lm->last);
    norm(lm, REINI_LM_NORM_F, REINI_LM_NORM_F_B, -1, lm->last, lm->last, lm->stat_f, lm->hidden, false);
    for (int d = 0; lm->batch.cache != NULL && d < lm->batch.documents; d++)
        reini_lm_cache_add(lm->batch.cache, lm->slot[d], lm->start[d + 1] - lm->start[d]);
    lm->forward_done = true;
    lm->backward_begun = false;
}

const float *reini_lm_hidden(const reini_lm *lm) {
    return lm->hidden;
}
