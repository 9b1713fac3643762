/*
 * test_generate_golden.c - what Transformers' logits processors keep, and what its generate writes with tiny models of
 * every family (tests/reference/generate_hf.py).
 */
#include <math.h>
#include <stdlib.h>
#include "lm/generate.h"
#include "support/golden.h"

static int integers(const json_t *object, const char *name, int32_t *out, int most) {
    json_t *list = golden_at(object, name);
    int n = (int)json_array_size(list);
    assert_true(n <= most);
    for (int i = 0; i < n; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return n;
}

/* ---- cuts ------------------------------------------------------------------------------------------------ */

enum { MOST = 200 };

/* tokens of this logit with a probability: of equals at the border of top-p any may stay */
static int kept_of(const float *p, const float *logits, int n, float logit) {
    int kept = 0;
    for (int i = 0; i < n; i++)
        kept += logits[i] == logit && p[i] > 0;
    return kept;
}

static void check_cut(const json_t *c, int which) {
    double wanted[MOST];
    float logits[MOST], p[MOST], expected[MOST] = {0};
    int32_t history[16], kept[MOST];
    reini_sampler *sampler;
    json_t *values = golden_at(c, "logits");
    int n = (int)json_array_size(values), n_history = integers(c, "history", history, 16);
    int n_kept = integers(c, "kept", kept, MOST), differ = 0;
    golden_doubles(c, "p", wanted, n_kept);
    for (int i = 0; i < n; i++)
        logits[i] = (float)json_number_value(json_array_get(values, (size_t)i));
    reini_sampling s = {
        .temperature = golden_number(c, "temperature"),
        .top_k = (int)golden_number(c, "top_k"),
        .top_p = golden_number(c, "top_p"),
        .min_p = golden_number(c, "min_p"),
        .repetition_penalty = golden_number(c, "repetition_penalty"),
    };
    assert_ok(reini_sampling_check(&s));
    assert_ok(reini_sampler_new(n, &sampler));
    reini_sampling_probabilities(sampler, &s, logits, history, n_history, p);
    for (int k = 0; k < n_kept; k++)
        expected[kept[k]] = (float)wanted[k];
    for (int i = 0; i < n; i++) {
        int found_kept = kept_of(p, logits, n, logits[i]),
            kept_there = kept_of(expected, logits, n, logits[i]);
        if (found_kept != kept_there)
            fail_msg("case %d: %d tokens of logit %g are kept, expected %d", which, found_kept,
                     (double)logits[i], kept_there);
        if (p[i] > 0 && expected[i] > 0 && fabs((double)(p[i] - expected[i])) > 1e-6)
            fail_msg("case %d: token %d: %.8f, expected %.8f", which, i, (double)p[i], (double)expected[i]);
        differ += (p[i] > 0) != (expected[i] > 0);
    }
    /* such a border is rare */
    assert_true(differ <= 2);
    reini_sampler_free(sampler);
}

static void test_cuts(void **state) {
    (void)state;
    json_t *root = golden_read("sampling_hf.json"), *cases = golden_at(root, "cases");
    assert_true(json_array_size(cases) >= 80);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_cut(json_array_get(cases, i), (int)i);
    json_decref(root);
}

/* ---- greedy answers ---------------------------------------------------------------------------------------- */

enum { MOST_TOKENS = 64 };

typedef struct expected {
    int32_t prompt[MOST_TOKENS], ids[MOST_TOKENS], eos[4], found[MOST_TOKENS];
    double logp[MOST_TOKENS];
    float found_logp[MOST_TOKENS];
    int n_prompt, n, n_eos;
    reini_answer answer;
} expected;

static void read_expected(const json_t *c, expected *e) {
    e->n_prompt = integers(c, "prompt", e->prompt, MOST_TOKENS);
    e->n = integers(c, "ids", e->ids, MOST_TOKENS);
    e->n_eos = integers(c, "eos", e->eos, 4);
    golden_doubles(c, "logp", e->logp, e->n);
    e->answer = (reini_answer){.ids = e->found, .logp = e->found_logp};
}

static void check_answer(const expected *e, const char *model, int max_new) {
    const reini_answer *a = &e->answer;
    if (a->n != e->n || memcmp(a->ids, e->ids, (size_t)a->n * sizeof *a->ids) != 0)
        fail_msg("%s: %d tokens (%d %d ...), expected %d (%d %d ...)", model, a->n, a->ids[0], a->ids[1],
                 e->n, e->ids[0], e->ids[1]);
    for (int i = 0; i < a->n; i++)
        if (fabs((double)a->logp[i] - e->logp[i]) > 1e-4)
            fail_msg("%s: log-probability %d is %.7f, expected %.7f", model, i, (double)a->logp[i],
                     e->logp[i]);
    bool ended = false;
    for (int i = 0; i < e->n_eos; i++)
        ended |= a->ids[a->n - 1] == e->eos[i];
    assert_int_equal(a->finish, ended ? REINI_FINISH_EOS : REINI_FINISH_LENGTH);
    assert_true(ended || a->n == max_new);
}

/* all of a model's cases with these settings in one call */
static int check_model(const json_t *cases, const char *model, double penalty, bool odd_eos, int max_new) {
    expected *all = calloc(json_array_size(cases), sizeof *all);
    reini_request *requests = calloc(json_array_size(cases), sizeof *requests);
    char folder[512];
    int n = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        if (strcmp(json_string_value(golden_at(c, "model")), model) != 0 ||
            golden_number(c, "repetition_penalty") != penalty ||
            (json_array_size(golden_at(c, "eos")) > 1) != odd_eos)
            continue;
        read_expected(c, &all[n]);
        requests[n] = (reini_request){.prompt = all[n].prompt,
                                      .n_prompt = all[n].n_prompt,
                                      .samples = 1,
                                      .max_new = max_new,
                                      .answers = &all[n].answer};
        n++;
    }
    snprintf(folder, sizeof folder, "%s/tests/golden/generate_hf/%s", REIN_SOURCE_DIR, model);
    reini_lm_weights *w;
    reini_generator *g;
    reini_generator_opts opts = {.slots = 3, .capacity = 48, .prefill = 11};
    assert_ok(reini_lm_weights_load(folder, REIN_F32, true, 0, &w, NULL));
    assert_ok(reini_generator_new(w, NULL, &opts, NULL, &g));
    reini_generate_job job = {.requests = requests,
                              .n = n,
                              .sampling = reini_sampling_plain(0),
                              .eos = all[0].eos,
                              .n_eos = all[0].n_eos};
    job.sampling.repetition_penalty = penalty;
    assert_ok(reini_generate(g, &job));
    for (int i = 0; i < n; i++)
        check_answer(&all[i], model, max_new);
    reini_generator_free(g);
    reini_lm_weights_free(w);
    free(all);
    free(requests);
    return n;
}

static void test_greedy_answers(void **state) {
    (void)state;
    static const char *const models[] = {"gpt2", "llama", "qwen2", "qwen3"};
    json_t *root = golden_read("generate_hf/expected.json"), *cases = golden_at(root, "cases");
    int max_new = (int)golden_number(root, "new");
    for (int m = 0; m < 4; m++) {
        assert_int_equal(check_model(cases, models[m], 1, false, max_new), 4);
        assert_int_equal(check_model(cases, models[m], 1.4, false, max_new), 4);
        assert_int_equal(check_model(cases, models[m], 1, true, max_new), 1);
    }
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_greedy_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
