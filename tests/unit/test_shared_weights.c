/*
 * test_shared_weights.c - a score head on weights that are in memory already: the same bits as with weights of its own; a
 * network that serves a policy and its critic in turn; a reward model that is an adapter of the policy's base.
 */
#include "lm/reward.h"
#include "lm/transformer.h"
#include "support/preference_rig.h"

#define ADAPTER                                                                                              \
    "use_peft=true lora_r=4 lora_alpha=8 lora_target_modules=all-linear lora_dropout=0 max_length=40 "

enum { TOKENS = 12, WIDTH = 32 };
static const int32_t token[TOKENS] = {5, 80, 12, 7, 200, 3, 44, 45, 9, 150, 6, 2}, start[3] = {0, 7, TOKENS},
                     row[3] = {0, 6, 11};

static reini_lm_batch batch_of(void) {
    return (reini_lm_batch){.tokens = TOKENS, .documents = 2, .token = token, .start = start};
}

/* a score head that is no row of zeros */
static void set_head(reini_lm_weights *w) {
    rein_param_info info = rein_layout_at(w->layout, reini_lm_param(w, REINI_LM_SCORE, -1));
    float head[WIDTH];
    assert_int_equal(info.count, WIDTH);
    for (int i = 0; i < WIDTH; i++)
        head[i] = sinf((float)i);
    if (w->store)
        memcpy((float *)rein_store_data(w->store) + info.offset, head, sizeof head);
    if (w->narrow)
        reini_narrow(NULL, w->narrow + info.offset, head, WIDTH);
}

static void values_of(reini_lm *lm, float value[3]) {
    reini_lm_batch batch = batch_of();
    reini_lm_forward(lm, &batch);
    reini_lm_values(lm, 3, row, value);
}

static void test_values(void **state) {
    (void)state;
    for (int half = 0; half < 2; half++) {
        rein_dtype products = half ? REIN_BF16 : REIN_F32;
        reini_lm_weights *base, *own, *shared;
        reini_lm_opts opts = {.tokens = TOKENS, .documents = 2};
        reini_lm *lm;
        float a[3], b[3];
        assert_ok(reini_lm_weights_load(LM_MODEL, products, true, 0, &base, NULL));
        assert_ok(reini_lm_weights_load(LM_MODEL, products, true, 1, &own, NULL));
        assert_ok(reini_lm_weights_share(base, 1, &shared));
        assert_true(reini_lm_weights_bytes(shared) <= 4 * WIDTH + 64);
        assert_int_equal(reini_lm_weights_count(shared), WIDTH);
        set_head(own);
        set_head(shared);
        assert_ok(reini_lm_new(own, NULL, &opts, NULL, &lm));
        values_of(lm, a);
        assert_true(a[0] != a[1] && a[1] != a[2]);
        reini_lm_bind(lm, shared, NULL);
        values_of(lm, b);
        assert_memory_equal(a, b, sizeof a);
        assert_false(reini_lm_fits(lm, base, NULL)); /* no room for logits */
        reini_lm_free(lm);
        reini_lm_weights_free(shared);
        reini_lm_weights_free(own);
        reini_lm_weights_free(base);
    }
}

static reini_lora *lora_of(const reini_lm_weights *w, int rank, double dropout) {
    reini_lora_opts opts = {.rank = rank, .alpha = 8, .dropout = dropout, .seed = 3};
    reini_lora *lora;
    assert_ok(reini_lora_targets(&w->shape, "all-linear", &opts.targets));
    assert_ok(reini_lora_new(w, &opts, &lora));
    /* B starts at zero, where an adapter does nothing */
    float *all = rein_store_data(lora->store);
    for (int64_t i = 0; i < rein_store_size(lora->store); i++)
        all[i] += 0.01f * cosf((float)i);
    return lora;
}

/* forward, and backward from the sum of the values */
static void learn_values(reini_lm *lm, rein_store *gradient, float value[3]) {
    static const float one[3] = {1, 1, 1};
    values_of(lm, value);
    reini_lm_backward_begin(lm, (reini_lm_gradients){.lora = gradient});
    reini_lm_values_backward(lm, 3, row, one);
    reini_lm_backward(lm);
}

/* the critic's pass in the policy's network, after the policy's: values and gradients of a network of its own */
static void test_in_turn(void **state) {
    (void)state;
    for (int half = 0; half < 2; half++) {
        reini_lm_weights *base, *critic;
        reini_lm_opts opts = {.tokens = TOKENS, .documents = 2, .train = true};
        reini_lm *policy, *own;
        reini_lm_batch batch = batch_of();
        rein_store *gradient[2];
        float value[2][3], logits[2][600];
        assert_ok(reini_lm_weights_load(LM_MODEL, half ? REIN_BF16 : REIN_F32, true, 0, &base, NULL));
        assert_ok(reini_lm_weights_share(base, 1, &critic));
        set_head(critic);
        assert_true(base->shape.vocabulary <= 600);
        reini_lora *mine = lora_of(base, 4, 0), *its = lora_of(critic, 3, 0), *wide = lora_of(critic, 5, 0),
                   *drops = lora_of(critic, 4, 0.1);
        assert_ok(reini_lm_new(base, mine, &opts, NULL, &policy));
        assert_ok(reini_lm_new(critic, its, &opts, NULL, &own));
        assert_true(reini_lm_fits(policy, critic, its) && reini_lm_fits(policy, critic, NULL));
        assert_false(reini_lm_fits(policy, critic, wide) || reini_lm_fits(policy, critic, drops));
        for (int i = 0; i < 2; i++)
            assert_ok(rein_store_new(its->layout, REIN_F32, &gradient[i]));
        reini_lm_forward(policy, &batch);
        reini_lm_logits(policy, 1, row + 1, logits[0]);
        reini_lm_bind(policy, critic, its);
        learn_values(policy, gradient[0], value[0]);
        learn_values(own, gradient[1], value[1]);
        assert_memory_equal(value[0], value[1], sizeof value[0]);
        assert_memory_equal(rein_store_data(gradient[0]), rein_store_data(gradient[1]),
                            (size_t)rein_store_size(its->store) * sizeof(float));
        assert_true(((const float *)rein_store_view(gradient[0]))[0] != 0);
        reini_lm_bind(policy, base, mine);
        reini_lm_forward(policy, &batch);
        reini_lm_logits(policy, 1, row + 1, logits[1]);
        assert_memory_equal(logits[0], logits[1], (size_t)base->shape.vocabulary * sizeof(float));
        for (int i = 0; i < 2; i++)
            rein_store_free(gradient[i]);
        reini_lora *const adapters[] = {mine, its, wide, drops};
        for (int i = 0; i < 4; i++)
            reini_lora_free(adapters[i]);
        reini_lm_free(own);
        reini_lm_free(policy);
        reini_lm_weights_free(critic);
        reini_lm_weights_free(base);
    }
}

/* score of one answer; live: bytes that the reward holds */
static double score(const reini_reward_opts *opts, const char *spec, uint64_t *live) {
    uint64_t before = reini_memory_now().live_bytes;
    int32_t prompt[] = {4, 7, 9}, answer[] = {11, 12, 52};
    double each, total;
    reini_rewards *r;
    reini_reward_item item = {
        .line = 1, .text = "", .prompt_ids = prompt, .n_prompt = 3, .ids = answer, .n = 3};
    assert_ok(reini_rewards_new(spec, opts, &r));
    *live = reini_memory_now().live_bytes - before;
    assert_ok(reini_rewards_score(r, &item, 1, &each, &total));
    reini_rewards_free(r);
    return total;
}

static void test_reward_model(void **state) {
    (void)state;
    char folder[TEMP_PATH + 64], spec[TEMP_PATH + 96];
    for (int half = 0; half < 2; half++) {
        rig r;
        uint64_t own, shared, other;
        rig_steps(&r, "reward", 1, 3,
                  half ? ADAPTER "dtype=bf16 learning_rate=1e-2 model=" LM_MODEL " data=" PREFERENCE_FILES
                                 "/pairs.jsonl"
                       : ADAPTER "learning_rate=1e-2 model=" LM_MODEL " data=" PREFERENCE_FILES
                                 "/pairs.jsonl");
        snprintf(folder, sizeof folder, "%s/judge%d", temp_dir, half);
        snprintf(spec, sizeof spec, "model(%s)", folder);
        assert_ok(r.method->save(r.self, folder));
        rig_free(&r);
        reini_reward_opts opts = {.data = "rows.jsonl", .products = half ? REIN_BF16 : REIN_F32};
        double alone = score(&opts, spec, &own);
        assert_true(alone != 0);
        assert_ok(reini_lm_weights_load(LM_MODEL, opts.products, true, 0,
                                        (reini_lm_weights **)(uintptr_t)&opts.weights, NULL));
        opts.folder = LM_MODEL "/../model";
        assert_true(score(&opts, spec, &shared) == alone);
        assert_true(shared + (uint64_t)reini_lm_weights_bytes(opts.weights) / 2 < own);
        opts.folder = PREFERENCE_FILES "/classifier"; /* another model's weights are not the base's */
        assert_true(score(&opts, spec, &other) == alone && other == own);
        reini_lm_weights_free((reini_lm_weights *)(uintptr_t)opts.weights);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_in_turn),
        cmocka_unit_test(test_reward_model),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
