/*
 * transformer_head.c - from hidden rows to log-probabilities and back, a chunk of rows at a time.
 *
 * With x = z / temperature, p = softmax(x), H the entropy, and g, e the derivatives of the loss by log p(target) and H:
 *
 *     log p(target) = x_target - most - log sum_v e^(x_v - most)
 *     H             = log sum - sum_v p_v (x_v - most)
 *     d loss / d z  = (g onehot(target) - p (g + e (log p + H))) / temperature
 *
 * The gradient takes the logits' place (rounded to bf16 where products are), and goes to the hidden rows and to the
 * head's weight.
 */
#include <math.h>
#include "lm/transformer_parts.h"
#include "tensor/kernels.h"

enum { ROWS_A_TASK = 4, COLUMN_TASKS = 8 };

/* A chunk of scores, [first, first + n). */
typedef struct chunk {
    reini_lm *lm;
    const reini_lm_scores *s;
    int first, n;
    const float *dlogp, *dentropy; /* of the whole call, or NULL: forwards only */
} chunk;

static reini_matrix head_matrix(const reini_lm *lm) {
    return reini_lm_matrix(lm->w, lm->shape.tied ? REINI_LM_EMBEDDING : REINI_LM_HEAD, -1);
}

/* ---- hidden rows ----------------------------------------------------------------------------------------- */

typedef struct row_list {
    reini_lm *lm;
    const int32_t *row;
    int n;
} row_list;

static void gather_rows(void *user, int64_t first, int64_t rows, int worker) {
    const row_list *l = user;
    int64_t hidden = l->lm->shape.hidden;
    (void)worker;
    for (int64_t i = first; i < first + rows; i++) {
        const float *from = l->lm->hidden + l->row[i] * hidden;
        REINI_ASSERT(l->row[i] >= 0 && l->row[i] < l->lm->batch.tokens);
        for (int64_t j = 0; j < hidden; j++)
            l->lm->rows[i * hidden + j] = from[j];
    }
}

static reini_matrix gather(reini_lm *lm, const int32_t *row, int n) {
    row_list l = {lm, row, n};
    reini_lm_each_rows(lm, n, REINI_ROW_TASK, gather_rows, &l);
    return reini_lm_floats(lm->rows, n, lm->shape.hidden);
}

/* A part of the columns of all rows: several rows of the list may be one, and are added in order. */
static void scatter_columns(void *user, int task, int worker) {
    const row_list *l = user;
    int64_t hidden = l->lm->shape.hidden, first = hidden * task / COLUMN_TASKS;
    int64_t n = hidden * (task + 1) / COLUMN_TASKS - first;
    void (*add)(float *to, const float *from, int64_t n) = reini_vector_ops_best()->add;
    (void)worker;
    for (int i = 0; i < l->n; i++)
        add(l->lm->dhidden + l->row[i] * hidden + first, l->lm->drows + i * hidden + first, n);
}

static void scatter(reini_lm *lm, const int32_t *row, int n) {
    row_list l = {lm, row, n};
    rein_pool_run(lm->pool, COLUMN_TASKS, scatter_columns, &l);
}

/* ---- scores ---------------------------------------------------------------------------------------------- */

static float at_temperature(float z, float t) {
    return t == 1 ? z : z / t;
}

static void score_rows(void *user, int64_t first, int64_t rows, int worker) {
    const chunk *c = user;
    reini_lm *lm = c->lm;
    const reini_lm_scores *s = c->s;
    bool more = s->entropy != NULL || s->square != NULL || c->dentropy != NULL;
    (void)worker;
    for (int64_t i = first; i < first + rows; i++) {
        reini_row_sums *sums = &lm->sums[i];
        const float *z = lm->logits + i * lm->logits_row;
        int64_t at = c->first + i;
        lm->loops->row_sums(z, lm->shape.vocabulary, s->temperature, more, sums);
        double log_total = log(sums->total);
        if (s->logp != NULL) {
            REINI_ASSERT(s->target[at] >= 0 && s->target[at] < lm->shape.vocabulary);
            s->logp[at] =
                (float)((double)(at_temperature(z[s->target[at]], s->temperature) - sums->most) - log_total);
        }
        if (s->entropy != NULL)
            s->entropy[at] = (float)(log_total - sums->mean / sums->total);
        if (s->square != NULL)
            s->square[at] = (float)(sums->squares / (sums->total * sums->total));
        if (s->best != NULL)
            s->best[at] = sums->best;
    }
}

/* ---- their gradient -------------------------------------------------------------------------------------- */

static void slope_rows(void *user, int64_t first, int64_t rows, int worker) {
    const chunk *c = user;
    reini_lm *lm = c->lm;
    float t = c->s->temperature;
    (void)worker;
    for (int64_t i = first; i < first + rows; i++) {
        const reini_row_sums *sums = &lm->sums[i];
        float *z = lm->logits + i * lm->logits_row;
        int32_t target = c->s->target[c->first + i];
        double log_total = log(sums->total), entropy = log_total - sums->mean / sums->total;
        float g = c->dlogp != NULL ? c->dlogp[c->first + i] : 0;
        float e = c->dentropy != NULL ? c->dentropy[c->first + i] : 0;
        reini_row_slope how = {.most = sums->most,
                               .log_total = (float)log_total,
                               .inverse_t = 1 / t,
                               .t = t,
                               .slope = g + (c->dentropy != NULL ? e * (float)entropy : 0),
                               .bend = e};
        float log_p = (float)((double)(at_temperature(z[target], t) - sums->most) - log_total);
        float at_target = (g - expf(log_p) * (how.slope + e * log_p)) * how.inverse_t;
        lm->loops->row_slopes(z, lm->half, z, lm->shape.vocabulary, &how);
        if (lm->half)
            lm->attention.products->narrow((uint16_t *)(void *)z + target, &at_target, 1);
        else
            z[target] = at_target;
    }
}

/* row by row, while the row's logits are in the cache */
static void score_and_slope_rows(void *user, int64_t first, int64_t rows, int worker) {
    for (int64_t i = first; i < first + rows; i++) {
        score_rows(user, i, 1, worker);
        slope_rows(user, i, 1, worker);
    }
}

/* Logits of a chunk's rows, and what they say; backwards their gradient takes their place. */
static reini_matrix score_chunk(chunk *c, bool back) {
    reini_lm *lm = c->lm;
    reini_matrix rows = gather(lm, c->s->row + c->first, c->n);
    reini_matrix z = {lm->logits, REIN_F32, c->n, lm->shape.vocabulary, lm->logits_row};
    reini_matmul_forward(lm->mm, z, rows, head_matrix(lm), NULL, false);
    reini_lm_each_rows(lm, c->n, ROWS_A_TASK, back ? score_and_slope_rows : score_rows, c);
    return rows;
}

static void back_chunk(chunk *c, reini_matrix rows) {
    reini_lm *lm = c->lm;
    reini_matrix w = head_matrix(lm), dw = w;
    /* a bf16 row lies at the start of the float row it came from */
    reini_matrix dz = {lm->logits, lm->half ? REIN_BF16 : REIN_F32, c->n, lm->shape.vocabulary,
                       lm->half ? 2 * lm->logits_row : lm->logits_row};
    reini_matmul_input(lm->mm, reini_lm_floats(lm->drows, c->n, lm->shape.hidden), dz, w, 1, false);
    scatter(lm, c->s->row + c->first, c->n);
    if (lm->to.weights == NULL)
        return;
    dw.at =
        reini_lm_gradient_at(lm->w, lm->to.weights, lm->shape.tied ? REINI_LM_EMBEDDING : REINI_LM_HEAD, -1);
    dw.dtype = REIN_F32;
    reini_matmul_weight(lm->mm, dw, NULL, dz, rows, 1, !lm->head_fresh);
    lm->head_fresh = false;
}

static void each_chunk(chunk c, bool back) {
    REINI_ASSERT(c.lm->shape.labels == 0 && c.s->temperature > 0 && (!back || c.lm->backward_begun));
    for (c.first = 0; c.first < c.s->n; c.first += c.lm->chunk) {
        c.n = c.s->n - c.first < c.lm->chunk ? c.s->n - c.first : c.lm->chunk;
        reini_matrix rows = score_chunk(&c, back);
        if (back)
            back_chunk(&c, rows);
    }
}

void reini_lm_score(reini_lm *lm, const reini_lm_scores *s) {
    each_chunk((chunk){.lm = lm, .s = s}, false);
}

void reini_lm_score_backward(reini_lm *lm, const reini_lm_scores *s, const float *dlogp,
                             const float *dentropy) {
    reini_lm_scores bare = *s;
    bare.logp = bare.entropy = bare.square = NULL;
    bare.best = NULL;
    each_chunk((chunk){.lm = lm, .s = &bare, .dlogp = dlogp, .dentropy = dentropy}, true);
}

void reini_lm_score_linear(reini_lm *lm, const reini_lm_scores *s, const float *weight) {
    each_chunk((chunk){.lm = lm, .s = s, .dlogp = weight}, true);
}

/* ---- logits and values ----------------------------------------------------------------------------------- */

/* to [n x columns] = hidden rows times w */
static void project(reini_lm *lm, int n, const int32_t *row, reini_matrix w, float *to) {
    for (int first = 0; first < n; first += lm->chunk) {
        int rows = n - first < lm->chunk ? n - first : lm->chunk;
        reini_matmul_forward(lm->mm, reini_lm_floats(to + first * w.rows, rows, w.rows),
                             gather(lm, row + first, rows), w, NULL, false);
    }
}

void reini_lm_logits(reini_lm *lm, int n, const int32_t *row, float *logits) {
    REINI_ASSERT(lm->shape.labels == 0);
    project(lm, n, row, head_matrix(lm), logits);
}

void reini_lm_values(reini_lm *lm, int n, const int32_t *row, float *values) {
    REINI_ASSERT(lm->shape.labels > 0);
    project(lm, n, row, reini_lm_matrix(lm->w, REINI_LM_SCORE, -1), values);
}

void reini_lm_values_backward(reini_lm *lm, int n, const int32_t *row, const float *dvalues) {
    reini_matrix w = reini_lm_matrix(lm->w, REINI_LM_SCORE, -1), dw = w;
    float *gradient = reini_lm_gradient_at(lm->w, lm->to.weights, REINI_LM_SCORE, -1);
    REINI_ASSERT(lm->backward_begun && lm->shape.labels > 0);
    for (int first = 0; first < n; first += lm->chunk) {
        int rows = n - first < lm->chunk ? n - first : lm->chunk;
        reini_matrix dv = reini_lm_floats(dvalues + first * w.rows, rows, w.rows);
        reini_matmul_input(lm->mm, reini_lm_floats(lm->drows, rows, lm->shape.hidden), dv, w, 1, false);
        scatter(lm, row + first, rows);
        if (gradient == NULL)
            continue;
        dw.at = gradient;
        dw.dtype = REIN_F32;
        reini_matmul_weight(lm->mm, dw, NULL, dv, gather(lm, row + first, rows), 1, true);
    }
}
