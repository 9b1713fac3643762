/*
 * test_transformer_golden.c - logits, loss and every gradient of tiny models against Transformers
 * (tests/reference/transformer_hf.py), at every instruction-set level.
 */
#include <math.h>
#include <stdio.h>
#include "base/safetensors.h"
#include "lm/transformer.h"
#include "support/check.h"
#include "support/each_level.h"

#define GOLDEN REIN_SOURCE_DIR "/tests/golden/lm_transformer/"

enum { DOCUMENTS = 3, TOKENS = 88, VOCABULARY = 67, SCORED = TOKENS - DOCUMENTS };
static const int32_t start[DOCUMENTS + 1] = {0, 13, 83, 88};

/* n-th random word that goes with a name */
static uint32_t word_of(const char *name, uint64_t n) {
    uint32_t key = 2166136261u, x;
    for (const char *c = name; *c != 0; c++)
        key = (key ^ (unsigned char)*c) * 16777619u;
    x = (uint32_t)n * 0x9E3779B9u + key;
    x = (x ^ x >> 15) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static reini_lm_weights *weights(const char *model) {
    char file[512];
    reini_lm_shape shape;
    reini_lm_weights *w;
    snprintf(file, sizeof file, GOLDEN "%s.json", model);
    assert_ok(reini_lm_shape_load(file, &shape));
    assert_ok(reini_lm_weights_random(&shape, REIN_F32, 1, &w));
    for (int p = 0; p < rein_layout_count(w->layout); p++) {
        rein_param_info info = rein_layout_at(w->layout, p);
        float *at = (float *)rein_store_data(w->store) + info.offset;
        bool norm = ends_with(info.name, "norm.weight") || ends_with(info.name, "layernorm.weight");
        for (int64_t i = 0; i < info.count; i++) {
            double u = word_of(info.name, (uint64_t)i) / 2147483648.0 - 1;
            at[i] = (float)(norm ? 1 + 0.3 * u : info.ndim == 1 ? 0.2 * u : 0.5 * u);
        }
    }
    return w;
}

static const float *golden(const reini_safetensors *st, const char *name, size_t count) {
    const reini_st_tensor *t = reini_safetensors_find(st, name);
    if (t == NULL)
        fail_msg("the golden file has no %s", name);
    assert_int_equal(t->bytes, count * sizeof(float));
    return t->data;
}

static void check_logits(reini_lm *lm, const reini_safetensors *st) {
    static float logits[TOKENS * VOCABULARY];
    int32_t row[TOKENS];
    const float *want = golden(st, "logits", TOKENS * VOCABULARY);
    for (int t = 0; t < TOKENS; t++)
        row[t] = t;
    reini_lm_logits(lm, TOKENS, row, logits);
    for (int i = 0; i < TOKENS * VOCABULARY; i++)
        if (!(fabsf(logits[i] - want[i]) <= 1e-4f))
            fail_msg("logit %d of row %d is %.8g, expected %.8g", i % VOCABULARY, i / VOCABULARY,
                     (double)logits[i], (double)want[i]);
}

/* |got - want| / |want| of a parameter's whole gradient */
static void check_gradient(const reini_lm_weights *w, int p, rein_store *gradient,
                           const reini_safetensors *st) {
    rein_param_info info = rein_layout_at(w->layout, p);
    char name[160];
    double error = 0, size = 0;
    snprintf(name, sizeof name, "gradient.%s", info.name);
    const float *want = golden(st, name, (size_t)info.count);
    const float *got = (const float *)rein_store_data(gradient) + info.offset;
    for (int64_t i = 0; i < info.count; i++) {
        error += pow((double)got[i] - (double)want[i], 2);
        size += pow((double)want[i], 2);
    }
    /* a key's bias moves all scores of a query alike: its gradient is rounding on both sides */
    double floor = ends_with(info.name, "k_proj.bias") ? 1e-6 : 0;
    if (!(sqrt(error) <= 1e-4 * sqrt(size) + floor))
        fail_msg("%s: off by %.3g of %.3g", name, sqrt(error), sqrt(size));
}

static void check_backward(reini_lm *lm, const reini_lm_weights *w, const int32_t *token,
                           const reini_safetensors *st) {
    int32_t row[SCORED], target[SCORED];
    float logp[SCORED], weight[SCORED];
    double loss = 0;
    rein_store *gradient;
    int n = 0;
    for (int d = 0; d < DOCUMENTS; d++)
        for (int t = start[d]; t + 1 < start[d + 1]; t++, n++) {
            row[n] = t;
            target[n] = token[t + 1];
            weight[n] = -1.0f / SCORED;
        }
    reini_lm_scores scores = {.n = SCORED, .row = row, .target = target, .temperature = 1, .logp = logp};
    assert_ok(rein_store_new(w->layout, REIN_F32, &gradient));
    reini_lm_backward_begin(lm, (reini_lm_gradients){.weights = gradient});
    reini_lm_score_linear(lm, &scores, weight);
    reini_lm_backward(lm);
    for (int i = 0; i < SCORED; i++)
        loss -= (double)logp[i] / SCORED;
    assert_float_equal(loss, golden(st, "loss", 1)[0], 1e-5);
    for (int p = 0; p < rein_layout_count(w->layout); p++)
        check_gradient(w, p, gradient, st);
    rein_store_free(gradient);
}

static void check_model(const char *model) {
    char file[512];
    reini_safetensors *st;
    reini_lm *lm;
    int32_t token[TOKENS];
    snprintf(file, sizeof file, GOLDEN "%s.safetensors", model);
    assert_ok(reini_safetensors_open(file, &st));
    for (int t = 0; t < TOKENS; t++)
        token[t] = (int32_t)(word_of("tokens", (uint64_t)t) % VOCABULARY);
    reini_lm_weights *w = weights(model);
    reini_lm_opts opts = {.tokens = TOKENS, .documents = DOCUMENTS, .train = true};
    reini_lm_batch batch = {.tokens = TOKENS, .documents = DOCUMENTS, .token = token, .start = start};
    rein_pool *pool = rein_pool_new(2);
    assert_ok(reini_lm_new(w, NULL, &opts, pool, &lm));
    reini_lm_forward(lm, &batch);
    check_logits(lm, st);
    check_backward(lm, w, token, st);
    reini_lm_free(lm);
    rein_pool_free(pool);
    reini_lm_weights_free(w);
    reini_safetensors_close(st);
}

#define MODEL(name)                                                                                          \
    static void test_##name(void **state) {                                                                  \
        (void)state;                                                                                         \
        for (int level = REINI_ISA_PORTABLE; level <= REINI_ISA_AVX512; level++) {                           \
            reini_isa_cap(level);                                                                            \
            check_model(#name);                                                                              \
        }                                                                                                    \
        reini_isa_cap(-1);                                                                                   \
    }

MODEL(gpt2)
MODEL(llama)
MODEL(llama_linear)
MODEL(qwen2)
MODEL(qwen3)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),  cmocka_unit_test(test_llama), cmocka_unit_test(test_llama_linear),
        cmocka_unit_test(test_qwen2), cmocka_unit_test(test_qwen3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
