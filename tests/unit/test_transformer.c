/*
 * test_transformer.c - two ways, one result: packed and alone, recomputed and stored, any number of threads, with and
 * without a cache, one batch and two.
 */
#include <stdlib.h>
#include "support/lm_pass.h"

enum { HIDDEN = 24, FAMILIES = SMALL_LM_FAMILIES };

static int32_t token[PASS_TOKENS];

static int make_tokens(void **state) {
    (void)state;
    pass_tokens(token, PASS_TOKENS, SMALL_LM_VOCABULARY);
    return 0;
}

static pass whole(void) {
    return (pass){.tokens = PASS_TOKENS,
                  .documents = PASS_DOCUMENTS,
                  .token = token,
                  .start = pass_start,
                  .threads = 1,
                  .temperature = 0.7f};
}

static void assert_same_store(rein_store *a, rein_store *b) {
    size_t bytes = (size_t)rein_store_size(a) * sizeof(float);
    assert_memory_equal(rein_store_data(a), rein_store_data(b), bytes);
}

/* ---- forwards -------------------------------------------------------------------------------------------- */

static void hidden_of(const reini_lm_weights *w, const int32_t *ids, const int32_t *start, int documents,
                      rein_pool *pool, float *hidden) {
    reini_lm_opts opts = {.tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS};
    reini_lm_batch batch = {.tokens = start[documents], .documents = documents, .token = ids, .start = start};
    reini_lm *lm;
    assert_ok(reini_lm_new(w, NULL, &opts, pool, &lm));
    reini_lm_forward(lm, &batch);
    memcpy(hidden, reini_lm_hidden(lm), (size_t)(start[documents] * HIDDEN) * sizeof *hidden);
    reini_lm_free(lm);
}

static void test_packed_is_alone(void **state) {
    (void)state;
    static float packed[PASS_TOKENS * HIDDEN], alone[PASS_TOKENS * HIDDEN];
    for (int f = 0; f < FAMILIES; f++) {
        reini_lm_weights *w = pass_weights((reini_family)f, REIN_F32);
        hidden_of(w, token, pass_start, PASS_DOCUMENTS, NULL, packed);
        for (int d = 0; d < PASS_DOCUMENTS; d++) {
            int32_t start[2] = {0, pass_start[d + 1] - pass_start[d]};
            hidden_of(w, token + pass_start[d], start, 1, NULL, alone);
            assert_memory_equal(packed + pass_start[d] * HIDDEN, alone,
                                (size_t)(start[1] * HIDDEN) * sizeof *alone);
        }
        reini_lm_weights_free(w);
    }
}

/* ---- a training pass ------------------------------------------------------------------------------------- */

static void check_same_pass(reini_family family, rein_dtype products, pass a, pass b) {
    static pass_scores x, y;
    static float hidden[2][PASS_TOKENS * HIDDEN];
    reini_lm_weights *w = pass_weights(family, products);
    rein_store *ga = pass_store(w->layout), *gb = pass_store(w->layout);
    pass_run(w, NULL, &a, (reini_lm_gradients){.weights = ga}, &x, hidden[0]);
    pass_run(w, NULL, &b, (reini_lm_gradients){.weights = gb}, &y, hidden[1]);
    assert_memory_equal(hidden[0], hidden[1], sizeof hidden[0]);
    assert_memory_equal(x.logp, y.logp, sizeof x.logp);
    assert_same_store(ga, gb);
    rein_store_free(ga);
    rein_store_free(gb);
    reini_lm_weights_free(w);
}

static void test_recomputed_is_stored(void **state) {
    (void)state;
    pass a = whole(), b = whole();
    b.recompute = true;
    for (int f = 0; f < FAMILIES; f++) {
        check_same_pass((reini_family)f, REIN_F32, a, b);
        check_same_pass((reini_family)f, REIN_BF16, a, b);
    }
}

static void fill(rein_store *store, float x) {
    const rein_layout *layout = rein_store_layout(store);
    for (int p = 0; p < rein_layout_count(layout); p++) {
        rein_param_info info = rein_layout_at(layout, p);
        for (int64_t i = 0; i < info.count; i++)
            ((float *)rein_store_data(store))[info.offset + i] = x;
    }
}

/* Where what the gradients hold is not kept, nothing of it is left: neither by a whole pass nor where nothing is scored. */
static void test_fresh_gradients(void **state) {
    (void)state;
    static pass_scores x, y;
    for (int f = 0; f < FAMILIES; f++)
        for (int none = 0; none < 2; none++) {
            pass p = whole();
            int32_t start[] = {0, 1, 2}; /* documents of one token: no next token to score */
            if (none) {
                p.start = start;
                p.documents = p.tokens = 2;
            }
            reini_lm_weights *w = pass_weights((reini_family)f, f % 2 ? REIN_BF16 : REIN_F32);
            rein_store *zero = pass_store(w->layout), *fresh = pass_store(w->layout);
            fill(fresh, NAN);
            pass_run(w, NULL, &p, (reini_lm_gradients){.weights = zero}, &x, NULL);
            pass_run(w, NULL, &p, (reini_lm_gradients){.weights = fresh, .fresh = true}, &y, NULL);
            for (int64_t i = 0; i < rein_store_size(zero); i++) /* -0 is 0 */
                assert_true(((const float *)rein_store_view(zero))[i] ==
                            ((const float *)rein_store_view(fresh))[i]);
            rein_store_free(zero);
            rein_store_free(fresh);
            reini_lm_weights_free(w);
        }
}

static void test_threads_are_equal(void **state) {
    (void)state;
    for (int f = 0; f < FAMILIES; f++)
        for (int threads = 2; threads <= 3; threads++) {
            pass a = whole(), b = whole();
            b.threads = threads;
            check_same_pass((reini_family)f, REIN_F32, a, b);
            check_same_pass((reini_family)f, REIN_BF16, a, b);
        }
}

/* Adds the gradient of documents [first, end): mean log-probability over all tokens of the whole batch. */
static void add_documents(const reini_lm_weights *w, int first, int end, rein_store *gradient) {
    static pass_scores scores;
    int32_t start[PASS_DOCUMENTS + 1];
    float weight[PASS_TOKENS];
    for (int d = first; d <= end; d++)
        start[d - first] = pass_start[d] - pass_start[first];
    for (int i = 0; i < PASS_TOKENS; i++)
        weight[i] = -1.0f / (PASS_TOKENS - PASS_DOCUMENTS);
    reini_lm_opts opts = {.tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS, .train = true};
    reini_lm_batch batch = {.tokens = start[end - first],
                            .documents = end - first,
                            .token = token + pass_start[first],
                            .start = start};
    reini_lm *lm;
    memset(&scores, 0, sizeof scores);
    pass_score_all(&scores, batch.token, start, batch.documents, 1);
    assert_ok(reini_lm_new(w, NULL, &opts, NULL, &lm));
    reini_lm_forward(lm, &batch);
    reini_lm_backward_begin(lm, (reini_lm_gradients){.weights = gradient});
    reini_lm_score_linear(lm, &scores.s, weight);
    reini_lm_backward(lm);
    reini_lm_free(lm);
}

static void test_two_batches_are_one(void **state) {
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        const char *which = "";
        reini_lm_weights *w = pass_weights((reini_family)f, REIN_F32);
        rein_store *one = pass_store(w->layout), *two = pass_store(w->layout);
        add_documents(w, 0, PASS_DOCUMENTS, one);
        add_documents(w, 0, 2, two);
        add_documents(w, 2, PASS_DOCUMENTS, two);
        double worst = pass_difference(two, one, &which);
        if (!(worst <= 1e-6))
            fail_msg("family %d, %s: %g", f, which, worst);
        rein_store_free(one);
        rein_store_free(two);
        reini_lm_weights_free(w);
    }
}

/* bf16 rounds operands by 2^-9: gradients of the two layers here differ by a few percent from those of float */
static void test_bf16_is_near_float(void **state) {
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        static pass_scores scores;
        pass a = whole();
        reini_lm_weights *full = pass_weights((reini_family)f, REIN_F32);
        reini_lm_weights *narrow = pass_weights((reini_family)f, REIN_BF16);
        rein_store *x = pass_store(full->layout), *y = pass_store(narrow->layout);
        pass_run(full, NULL, &a, (reini_lm_gradients){.weights = x}, &scores, NULL);
        pass_run(narrow, NULL, &a, (reini_lm_gradients){.weights = y}, &scores, NULL);
        const float *p = rein_store_data(x), *q = rein_store_data(y);
        double error = 0, size = 0;
        for (int64_t i = 0; i < rein_store_size(x); i++) {
            error += pow((double)p[i] - (double)q[i], 2);
            size += pow((double)p[i], 2);
        }
        if (!(sqrt(error / size) <= 0.06 && error > 0))
            fail_msg("family %d: %g", f, sqrt(error / size));
        rein_store_free(x);
        rein_store_free(y);
        reini_lm_weights_free(full);
        reini_lm_weights_free(narrow);
    }
}

/* ---- the cache ------------------------------------------------------------------------------------------- */

enum { SLOTS = 5, LENGTH = 150 };

/* How documents go through the cache: pieces of their tokens per call. */
typedef struct decoder {
    reini_lm *lm;
    reini_lm_cache *cache;
    const reini_lm_weights *w;
    float logp[SLOTS][LENGTH];
    float hidden[SLOTS][LENGTH * HIDDEN];
} decoder;

/* the tokens that a slot's sequence has: those of slot 0 up to `shared`, then its own */
static int32_t token_at(int slot, int shared, int t) {
    return token[(t < shared ? t : t + 31 * slot) % PASS_TOKENS];
}

static void decoder_make(decoder *d, reini_family family, rein_dtype products) {
    reini_lm_opts opts = {.tokens = LENGTH, .documents = SLOTS};
    d->w = pass_weights(family, products);
    assert_ok(reini_lm_new(d->w, NULL, &opts, NULL, &d->lm));
    assert_ok(reini_lm_cache_new(d->w, SLOTS, LENGTH, &d->cache));
}

static void decoder_free(decoder *d) {
    reini_lm_free(d->lm);
    reini_lm_cache_free(d->cache);
    reini_lm_weights_free((reini_lm_weights *)(uintptr_t)d->w);
}

/* Feeds n[i] tokens more of slot[i]. */
static void feed(decoder *d, int documents, const int32_t *slot, const int *n, int shared) {
    int32_t ids[LENGTH], start[SLOTS + 1] = {0}, row[LENGTH], target[LENGTH];
    float logp[LENGTH];
    int past[SLOTS];
    for (int i = 0; i < documents; i++) {
        past[i] = reini_lm_cache_length(d->cache, slot[i]);
        start[i + 1] = start[i] + n[i];
        for (int t = 0; t < n[i]; t++) {
            ids[start[i] + t] = token_at(slot[i], shared, past[i] + t);
            row[start[i] + t] = start[i] + t;
            target[start[i] + t] = token_at(slot[i], shared, past[i] + t + 1);
        }
    }
    reini_lm_batch batch = {.tokens = start[documents],
                            .documents = documents,
                            .token = ids,
                            .start = start,
                            .cache = d->cache,
                            .slot = slot};
    reini_lm_scores scores = {
        .n = start[documents], .row = row, .target = target, .temperature = 1, .logp = logp};
    reini_lm_forward(d->lm, &batch);
    reini_lm_score(d->lm, &scores);
    for (int i = 0; i < documents; i++) {
        assert_int_equal(reini_lm_cache_length(d->cache, slot[i]), past[i] + n[i]);
        memcpy(d->logp[slot[i]] + past[i], logp + start[i], (size_t)n[i] * sizeof *logp);
        memcpy(d->hidden[slot[i]] + past[i] * HIDDEN, reini_lm_hidden(d->lm) + start[i] * HIDDEN,
               (size_t)(n[i] * HIDDEN) * sizeof(float));
    }
}

/* Positions [from, to) of a slot against a pass over the whole sequence. */
static void check_slot(decoder *d, int slot, int shared, int from, int to, double most) {
    int32_t ids[LENGTH], start[2] = {0, to}, row[LENGTH], target[LENGTH];
    float logp[LENGTH];
    for (int t = 0; t < to; t++) {
        ids[t] = token_at(slot, shared, t);
        row[t] = t;
        target[t] = token_at(slot, shared, t + 1);
    }
    reini_lm_batch batch = {.tokens = to, .documents = 1, .token = ids, .start = start};
    reini_lm_scores scores = {.n = to, .row = row, .target = target, .temperature = 1, .logp = logp};
    reini_lm_forward(d->lm, &batch);
    reini_lm_score(d->lm, &scores);
    for (int t = from; t < to; t++)
        if (!(fabs((double)(logp[t] - d->logp[slot][t])) <= most))
            fail_msg("slot %d, position %d: %.9g, forward %.9g", slot, t, (double)d->logp[slot][t],
                     (double)logp[t]);
    if (most == 0)
        assert_memory_equal(d->hidden[slot] + from * HIDDEN, reini_lm_hidden(d->lm) + from * HIDDEN,
                            (size_t)((to - from) * HIDDEN) * sizeof(float));
}

static void token_by_token(reini_family family, rein_dtype products, double most) {
    static decoder d;
    decoder_make(&d, family, products);
    for (int t = 0; t < LENGTH; t++)
        feed(&d, 1, (int32_t[]){3}, (int[]){1}, 0);
    check_slot(&d, 3, 0, 0, LENGTH, most);
    decoder_free(&d);
}

/* Several slots of different lengths in a call, prompts in pieces beside single tokens. */
static void side_by_side(reini_family family, rein_dtype products, double most) {
    static decoder d;
    static const int pieces[][SLOTS] = {
        {1, 40, 3, 0, 20}, {1, 1, 64, 30, 1}, {1, 26, 1, 35, 1}, {70, 1, 1, 1, 60}};
    decoder_make(&d, family, products);
    for (int call = 0; call < 4; call++) {
        int32_t slot[SLOTS];
        int n[SLOTS], documents = 0;
        for (int s = SLOTS - 1; s >= 0; s--)
            if (pieces[call][s] > 0) {
                slot[documents] = s;
                n[documents++] = pieces[call][s];
            }
        feed(&d, documents, slot, n, 0);
    }
    for (int s = 0; s < SLOTS; s++)
        check_slot(&d, s, 0, 0, reini_lm_cache_length(d.cache, s), most);
    decoder_free(&d);
}

/* A prompt once, and four that go on from a part of it, in turns; then a slot is used again. */
static void shared_beginnings(reini_family family, rein_dtype products, double most) {
    static decoder d;
    static const int lengths[] = {1, 63, 64, 128, 129};
    decoder_make(&d, family, products);
    for (int i = 0; i < 5; i++) {
        int shared = lengths[i];
        reini_lm_cache_reset(d.cache, 0, -1, 0);
        feed(&d, 1, (int32_t[]){0}, (int[]){130}, shared);
        for (int s = 1; s < SLOTS; s++)
            reini_lm_cache_reset(d.cache, s, 0, shared);
        for (int t = 0; t < 9; t++)
            feed(&d, 4, (int32_t[]){1, 2, 3, 4}, (int[]){1, 1, t == 4 ? 7 : 1, 1}, shared);
        for (int s = 1; s < SLOTS; s++)
            check_slot(&d, s, shared, shared, reini_lm_cache_length(d.cache, s), most);
    }
    decoder_free(&d);
}

static void test_decoding_is_the_forward_pass(void **state) {
    (void)state;
    for (int f = 0; f < FAMILIES; f++) {
        token_by_token((reini_family)f, REIN_F32, 0);
        side_by_side((reini_family)f, REIN_F32, 0);
        shared_beginnings((reini_family)f, REIN_F32, 0);
        token_by_token((reini_family)f, REIN_BF16, 1e-3);
        side_by_side((reini_family)f, REIN_BF16, 1e-3);
        shared_beginnings((reini_family)f, REIN_BF16, 1e-3);
    }
}

/* ---- the head -------------------------------------------------------------------------------------------- */

/* What scores say of a row, from its logits in double. */
static void check_score(const pass_scores *p, int i, const float *z, int n, double t) {
    double most = -1e30, total = 0, entropy = 0, square = 0;
    int best = 0;
    for (int v = 0; v < n; v++) {
        most = (double)z[v] / t > most ? (double)z[v] / t : most;
        best = z[v] > z[best] ? v : best;
    }
    for (int v = 0; v < n; v++)
        total += exp((double)z[v] / t - most);
    for (int v = 0; v < n; v++) {
        double log_p = (double)z[v] / t - most - log(total), q = exp(log_p);
        entropy -= q * log_p;
        square += q * q;
    }
    assert_near((double)p->logp[i], (double)z[p->target[i]] / t - most - log(total), 2e-6);
    assert_near((double)p->entropy[i], entropy, 2e-6);
    assert_near((double)p->square[i], square, 2e-6);
    assert_int_equal(p->best[i], best);
}

static void check_scores(int vocabulary, int tokens, float temperature) {
    static pass_scores p;
    reini_lm_shape shape = pass_shape(REINI_LLAMA);
    shape.vocabulary = vocabulary;
    shape.initializer_range = 0.1;
    reini_lm_weights *w = pass_weights_of(&shape, REIN_F32);
    reini_lm_opts opts = {.tokens = tokens, .documents = 1};
    int32_t start[2] = {0, tokens};
    reini_lm_batch batch = {.tokens = tokens, .documents = 1, .token = token, .start = start};
    reini_lm *lm;
    float *logits = calloc((size_t)(PASS_TOKENS * vocabulary), sizeof *logits);
    memset(&p, 0, sizeof p);
    pass_score_all(&p, token, start, 1, temperature);
    assert_ok(reini_lm_new(w, NULL, &opts, NULL, &lm));
    reini_lm_forward(lm, &batch);
    reini_lm_score(lm, &p.s);
    reini_lm_logits(lm, p.s.n, p.row, logits);
    for (int i = 0; i < p.s.n; i++)
        check_score(&p, i, logits + i * vocabulary, vocabulary, (double)temperature);
    reini_lm_free(lm);
    reini_lm_weights_free(w);
    free(logits);
}

static void test_scores(void **state) {
    (void)state;
    check_scores(53, 130, 1);
    check_scores(1029, 60, 0.6f);
    /* so large that the rows come in several chunks */
    check_scores(400003, 40, 1.7f);
}

/* Known and unknown weights of log-probabilities give the same gradient. */
static void test_linear_is_backward(void **state) {
    (void)state;
    static pass_scores scores;
    reini_lm_weights *w = pass_weights(REINI_QWEN2, REIN_F32);
    rein_store *a = pass_store(w->layout), *b = pass_store(w->layout);
    reini_lm_opts opts = {.tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS, .train = true};
    reini_lm_batch batch = {
        .tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS, .token = token, .start = pass_start};
    reini_lm *lm;
    assert_ok(reini_lm_new(w, NULL, &opts, NULL, &lm));
    memset(&scores, 0, sizeof scores);
    pass_score_all(&scores, token, pass_start, PASS_DOCUMENTS, 0.9f);
    for (int linear = 0; linear < 2; linear++) {
        reini_lm_forward(lm, &batch);
        reini_lm_backward_begin(lm, (reini_lm_gradients){.weights = linear ? a : b});
        if (linear)
            reini_lm_score_linear(lm, &scores.s, scores.weight);
        else
            reini_lm_score_backward(lm, &scores.s, scores.weight, NULL);
        reini_lm_backward(lm);
    }
    assert_same_store(a, b);
    reini_lm_free(lm);
    rein_store_free(a);
    rein_store_free(b);
    reini_lm_weights_free(w);
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static void test_memory(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        static pass_scores scores;
        rein_dtype products = kind & 1 ? REIN_BF16 : REIN_F32;
        reini_lm_weights *w = pass_weights(REINI_QWEN3, products);
        rein_store *gradient = pass_store(w->layout);
        reini_lm_opts opts = {
            .tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS, .train = true, .recompute = kind >= 2};
        reini_lm_batch batch = {
            .tokens = PASS_TOKENS, .documents = PASS_DOCUMENTS, .token = token, .start = pass_start};
        reini_lm *lm;
        uint64_t before = reini_memory_now().live_bytes;
        assert_ok(reini_lm_new(w, NULL, &opts, NULL, &lm));
        assert_int_equal(reini_memory_now().live_bytes - before, reini_lm_bytes(w, NULL, &opts, 1));
        memset(&scores, 0, sizeof scores);
        pass_score_all(&scores, token, pass_start, PASS_DOCUMENTS, 1);
        uint64_t allocations = reini_memory_now().allocations;
        reini_lm_forward(lm, &batch);
        reini_lm_backward_begin(lm, (reini_lm_gradients){.weights = gradient});
        reini_lm_score_linear(lm, &scores.s, scores.weight);
        reini_lm_backward(lm);
        assert_int_equal(reini_memory_now().allocations, allocations);
        reini_lm_free(lm);
        rein_store_free(gradient);
        reini_lm_weights_free(w);
    }
}

static void test_out_of_memory(void **state) {
    (void)state;
    reini_lm_weights *w = pass_weights(REINI_LLAMA, REIN_F32);
    reini_lm_opts opts = {.tokens = 8, .documents = 1, .train = true};
    uint64_t live = reini_memory_now().live_bytes;
    rein_status status = REIN_NOMEM;
    for (uint64_t n = 1; status != REIN_OK; n++) {
        reini_lm *lm;
        reini_memory_fail(n, false);
        status = reini_lm_new(w, NULL, &opts, NULL, &lm);
        reini_memory_fail(0, false);
        assert_true(status == REIN_OK || (status == REIN_NOMEM && n < 20));
        reini_lm_free(lm);
        assert_int_equal(reini_memory_now().live_bytes, live);
    }
    status = REIN_NOMEM;
    for (uint64_t n = 1; status != REIN_OK; n++) {
        reini_lm_cache *cache;
        reini_memory_fail(n, false);
        status = reini_lm_cache_new(w, 2, 10, &cache);
        reini_memory_fail(0, false);
        assert_true(status == REIN_OK || (status == REIN_NOMEM && n < 20));
        reini_lm_cache_free(cache);
        assert_int_equal(reini_memory_now().live_bytes, live);
    }
    reini_lm_weights_free(w);
}

static void test_bad_sizes(void **state) {
    (void)state;
    reini_lm_weights *w = pass_weights(REINI_LLAMA, REIN_F32);
    reini_lm *lm;
    assert_fails(reini_lm_new(w, NULL, &(reini_lm_opts){.tokens = 0, .documents = 1}, NULL, &lm), REIN_USAGE,
                 "at least one token");
    assert_null(lm);
    reini_lm_weights_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_is_alone),
        cmocka_unit_test(test_recomputed_is_stored),
        cmocka_unit_test(test_threads_are_equal),
        cmocka_unit_test(test_two_batches_are_one),
        cmocka_unit_test(test_fresh_gradients),
        cmocka_unit_test(test_bf16_is_near_float),
        cmocka_unit_test(test_decoding_is_the_forward_pass),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_linear_is_backward),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_bad_sizes),
    };
    return cmocka_run_group_tests(tests, make_tokens, NULL);
}
