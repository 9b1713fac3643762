/*
 * lm_pass.h - passes through a small transformer with random documents, for tests that compare two ways to one result.
 */
#ifndef LM_PASS_H
#define LM_PASS_H

#include <math.h>
#include "lm/transformer.h"
#include "support/small_lm.h"

enum { PASS_CONTEXT = 200, PASS_DOCUMENTS = 4, PASS_TOKENS = 282 };
/* one document longer than two blocks of keys, one shorter than a vector, one of a block and a token, one token */
static const int32_t pass_start[PASS_DOCUMENTS + 1] = {0, 137, 142, 207, 282};

static inline reini_lm_shape pass_shape(reini_family family) {
    reini_lm_shape s = small_lm_shape(family);
    s.context = PASS_CONTEXT;
    return s;
}

/* cmocka's own takes floats */
static inline void assert_near(double a, double b, double most) {
    if (!(fabs(a - b) <= most))
        fail_msg("%.9g, expected %.9g (by %g)", a, b, most);
}

/* like small_lm, with norms and biases that are not ones and zeros */
static inline reini_lm_weights *pass_weights_of(const reini_lm_shape *shape, rein_dtype products) {
    reini_lm_weights *w;
    assert_ok(reini_lm_weights_random(shape, products, 11, &w));
    for (int p = 0; p < rein_layout_count(w->layout); p++) {
        rein_param_info info = rein_layout_at(w->layout, p);
        float *at = (float *)rein_store_data(w->store) + info.offset;
        for (int64_t i = 0; info.ndim == 1 && i < info.count; i++)
            at[i] += 0.2f * sinf((float)(3 * i + p));
    }
    reini_lm_weights_refresh(w, NULL);
    return w;
}

static inline reini_lm_weights *pass_weights(reini_family family, rein_dtype products) {
    reini_lm_shape shape = pass_shape(family);
    return pass_weights_of(&shape, products);
}

static inline void pass_tokens(int32_t *token, int n, int vocabulary) {
    uint32_t x = 12345;
    for (int i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        token[i] = (int32_t)((x >> 16) % (uint32_t)vocabulary);
    }
}

/* Scores of every token that has one before it. */
typedef struct pass_scores {
    reini_lm_scores s;
    int32_t row[PASS_TOKENS], target[PASS_TOKENS];
    float logp[PASS_TOKENS], entropy[PASS_TOKENS], square[PASS_TOKENS], weight[PASS_TOKENS],
        bend[PASS_TOKENS];
    int32_t best[PASS_TOKENS];
} pass_scores;

static inline void pass_score_all(pass_scores *p, const int32_t *token, const int32_t *start, int documents,
                                  float temperature) {
    p->s = (reini_lm_scores){.row = p->row,
                             .target = p->target,
                             .temperature = temperature,
                             .logp = p->logp,
                             .entropy = p->entropy,
                             .square = p->square,
                             .best = p->best};
    for (int d = 0; d < documents; d++)
        for (int t = start[d]; t + 1 < start[d + 1]; t++) {
            int n = p->s.n++;
            p->row[n] = t;
            p->target[n] = token[t + 1];
            p->weight[n] = cosf((float)(5 * n));
            p->bend[n] = 0.5f * sinf((float)(2 * n));
        }
}

/* A whole training pass: forward, scores, backward. */
typedef struct pass {
    int tokens, documents;
    const int32_t *token, *start;
    bool recompute, linear; /* linear: score_linear, no entropies */
    int threads;
    uint64_t dropout;
    float temperature;
} pass;

static inline void pass_run(const reini_lm_weights *w, const reini_lora *lora, const pass *p,
                            reini_lm_gradients to, pass_scores *scores, float *hidden) {
    reini_lm_opts opts = {
        .tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS, .train = true, .recompute = p->recompute};
    reini_lm_batch batch = {.tokens = p->tokens,
                            .documents = p->documents,
                            .token = p->token,
                            .start = p->start,
                            .dropout = p->dropout};
    rein_pool *pool = p->threads > 1 ? rein_pool_new(p->threads) : NULL;
    reini_lm *lm;
    memset(scores, 0, sizeof *scores);
    pass_score_all(scores, p->token, p->start, p->documents, p->temperature);
    assert_ok(reini_lm_new(w, lora, &opts, pool, &lm));
    reini_lm_forward(lm, &batch);
    if (hidden != NULL)
        memcpy(hidden, reini_lm_hidden(lm), (size_t)(p->tokens * w->shape.hidden) * sizeof *hidden);
    reini_lm_backward_begin(lm, to);
    if (p->linear) {
        reini_lm_score_linear(lm, &scores->s, scores->weight);
    } else {
        reini_lm_score(lm, &scores->s);
        reini_lm_score_backward(lm, &scores->s, scores->weight, scores->bend);
    }
    reini_lm_backward(lm);
    reini_lm_free(lm);
    rein_pool_free(pool);
}

static inline rein_store *pass_store(rein_layout *layout) {
    rein_store *store;
    assert_ok(rein_store_new(layout, REIN_F32, &store));
    return store;
}

/* Largest |a - b| / |b| of a parameter's numbers as vectors; names it. The gradient of GPT-2's key biases, which move all
 * scores of a query alike, is rounding alone: below 1e-2 sizes count as that. */
static inline double pass_difference(rein_store *a, rein_store *b, const char **which) {
    double worst = 0;
    const rein_layout *layout = rein_store_layout(a);
    for (int p = 0; p < rein_layout_count(layout); p++) {
        rein_param_info info = rein_layout_at(layout, p);
        const float *x = (const float *)rein_store_view(a) + info.offset;
        const float *y = (const float *)rein_store_view(b) + info.offset;
        double error = 0, size = 0;
        for (int64_t i = 0; i < info.count; i++) {
            error += pow((double)x[i] - (double)y[i], 2);
            size += pow((double)y[i], 2);
        }
        double relative = sqrt(error) / (sqrt(size) + 1e-2);
        if (relative > worst) {
            worst = relative;
            *which = info.name;
        }
    }
    return worst;
}

#endif
