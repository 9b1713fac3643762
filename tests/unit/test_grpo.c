/*
 * test_grpo.c - GRPO and RLOO: advantages, distances, the shared core, first ratios, the same run in other pieces, runs
 * that are stopped anywhere, optima in closed form.
 */
#include <rein/rng.h>
#include "algo/language/group_policy.h"
#include "base/file.h"
#include "rl/pg_loss.h"
#include "support/json_rows.h"
#include "support/run_check.h"
#include "support/text_rig.h"

#define GOLDEN REIN_SOURCE_DIR "/tests/golden/sft_trl"
#define BASE                                                                                                 \
    "model=" GOLDEN "/model; data=" GOLDEN "/data.jsonl; reward=2 regex([aeiou]) - 0.05 length;"             \
    "max_completion_length=9; num_generations=4; per_device_train_batch_size=8; learning_rate=1e-3; "        \
    "max_steps=40;"

/* ---- advantages -------------------------------------------------------------------------------------------- */

static void near(double a, double b, double most) {
    if (!(fabs(a - b) <= most))
        fail_msg("%.9g, expected %.9g", a, b);
}

static void test_advantages(void **state) {
    (void)state;
    /* deviations 1, 2 and of both groups together sqrt(7.2 - 0.6) ... computed by hand */
    const double reward[] = {1, 2, 3, 0, 2, 4};
    float adv[6];
    reini_group_stats s = reini_group_advantage(adv, reward, 6, 3, REINI_SCALE_GROUP);
    near((double)adv[0], -1 / 1.0001, 1e-7);
    near((double)adv[5], 2 / 2.0001, 1e-7);
    near(s.reward, 2, 1e-12);
    near(s.std, 1.5, 1e-12);
    assert_true(s.level == 0 && adv[1] == 0);
    s = reini_group_advantage(adv, reward, 6, 3, REINI_SCALE_BATCH);
    near(s.std, sqrt(2), 1e-12);
    near((double)adv[5], 2 / (sqrt(2) + 1e-4), 1e-7);
    reini_group_advantage(adv, reward, 6, 3, REINI_SCALE_NONE);
    assert_true(adv[0] == -1 && adv[5] == 2);
    reini_leave_one_out(adv, reward, 6, 3, 0);
    near((double)adv[0], 1 - 2.5, 1e-7);
    near((double)adv[5], 4 - 1, 1e-7);
    reini_leave_one_out(adv, reward, 6, 3, 1);
    near((double)adv[5], 3 / (sqrt((2 * 1.5 * 1.5 + 2 * 9) / 5) + 1e-4), 1e-6);
}

/* equal rewards, of any value: exactly 0 */
static void test_level_groups(void **state) {
    (void)state;
    rein_rng rng = rein_rng_make(5, 0);
    for (int trial = 0; trial < 200; trial++) {
        int group = 2 + (int)(rein_rng_next(&rng) % 15);
        double reward[32], value = ((double)rein_rng_next(&rng) - 2e9) / 3e8;
        float adv[32];
        for (int i = 0; i < 2 * group; i++)
            reward[i] = i < group ? value : i;
        for (int scale = 0; scale < 3; scale++) {
            reini_group_stats s = reini_group_advantage(adv, reward, 2 * group, group, scale);
            for (int i = 0; i < group; i++)
                assert_true(adv[i] == 0);
            assert_true(adv[group] != 0 && (scale == REINI_SCALE_BATCH || s.level == 0.5));
        }
        reini_leave_one_out(adv, reward, 2 * group, group, 0);
        for (int i = 0; i < group; i++)
            assert_true(adv[i] == 0);
    }
}

/* answers of which nobody has an opinion count for nothing */
static void test_no_opinion(void **state) {
    (void)state;
    const double reward[] = {1, NAN, 3, 5, NAN, NAN};
    float adv[6];
    reini_group_stats s = reini_group_advantage(adv, reward, 6, 3, REINI_SCALE_NONE);
    assert_true(adv[0] == -1 && adv[1] == 0 && adv[2] == 1 && adv[3] == 0 && adv[4] == 0 && s.reward == 3);
    reini_leave_one_out(adv, reward, 6, 3, 0);
    assert_true(adv[0] == -2 && adv[1] == 0 && adv[2] == 2 && adv[3] == 0);
}

/* ---- distances: expectations over a tiny vocabulary, exact ----------------------------------------------- */

static void test_distances(void **state) {
    (void)state;
    const double p[] = {0.5, 0.2, 0.2, 0.08, 0.02}, q[] = {0.1, 0.3, 0.2, 0.3, 0.1};
    double kl = 0, k1 = 0, k3 = 0;
    for (int i = 0; i < 5; i++) {
        kl += p[i] * log(p[i] / q[i]);
        k1 += p[i] * reini_kl_estimate(REINI_KL_K1, log(p[i]), log(q[i]));
        k3 += p[i] * reini_kl_estimate(REINI_KL_K3, log(p[i]), log(q[i]));
        assert_true(reini_kl_estimate(REINI_KL_K3, log(p[i]), log(q[i])) >= 0);
    }
    near(k1, kl, 1e-14);
    near(k3, kl, 1e-14);
}

/* ---- the shared core --------------------------------------------------------------------------------------- */

enum { ROWS = 37 };

typedef struct numbers {
    float logp[ROWS], old[ROWS], adv[ROWS], ref[ROWS], weight[ROWS];
} numbers;

static void draw_numbers(numbers *x) {
    rein_rng rng = rein_rng_make(8, 0);
    for (int i = 0; i < ROWS; i++) {
        x->old[i] = -3 * (float)rein_rng_uniform(&rng);
        x->logp[i] = x->old[i] + (float)rein_rng_uniform(&rng) - 0.5f;
        x->ref[i] = x->old[i] + (float)rein_rng_uniform(&rng) - 0.5f;
        x->adv[i] = 2 * (float)rein_rng_uniform(&rng) - 1;
        x->weight[i] = (float)rein_rng_uniform(&rng);
    }
}

static double run_loss(reini_text_loss *l, const numbers *x, bool equal) {
    memcpy(l->logp, x->logp, sizeof x->logp);
    memcpy(l->old, x->old, sizeof x->old);
    memcpy(l->adv, x->adv, sizeof x->adv);
    memcpy(l->ref, x->ref, sizeof x->ref);
    for (int i = 0; i < ROWS; i++)
        l->weight[i] = equal ? 1.0f / ROWS : x->weight[i];
    return reini_text_loss_run(l, ROWS);
}

/* control's policy loss, - mean of the clipped gain (ppo.c), gives the same loss and gradient to the bit or its last */
static void test_core_is_shared(void **state) {
    (void)state;
    numbers x;
    reini_text_loss text;
    draw_numbers(&x);
    assert_ok(reini_text_loss_init(&text, ROWS, REINI_TEXT_CLIP, REINI_TEXT_FREE));
    reini_text_loss_range(&text, 0.8, 1.3, 0);
    double loss = run_loss(&text, &x, true);

    rein_graph *g = rein_graph_new(REIN_F32);
    int steps = rein_extent(g, "steps", ROWS);
    rein_tensor *logp = rein_input(g, "logp", REIN_F32, steps, 1, (int[]){1});
    rein_tensor *old = rein_input(g, "old", REIN_F32, steps, 1, (int[]){1});
    rein_tensor *adv = rein_input(g, "adv", REIN_F32, steps, 1, (int[]){1});
    reini_pg pg = reini_pg_clip(logp, old, adv, rein_constant(g, 0.8), rein_constant(g, 1.3));
    rein_tensor *control = rein_output(rein_neg(rein_mean(pg.gain)), "loss");
    rein_tensor *slope = rein_output(rein_gradient_of(control, logp), "slope");
    rein_program *program;
    rein_exec *exec;
    float found[ROWS];
    assert_ok(rein_compile(g, NULL, &program));
    assert_ok(rein_exec_new(program, NULL, &exec));
    rein_exec_bind(exec, logp, x.logp, 0);
    rein_exec_bind(exec, old, x.old, 0);
    rein_exec_bind(exec, adv, x.adv, 0);
    rein_exec_bind(exec, slope, found, 0);
    rein_exec_rows(exec, steps, ROWS);
    rein_exec_run(exec);
    near(loss, rein_exec_scalar(exec, control), 1e-7);
    int zeros = 0;
    for (int i = 0; i < ROWS; i++) {
        near((double)text.dlogp[i], (double)found[i], 1e-8);
        zeros += found[i] == 0;
    }
    assert_in_range(zeros, 1, ROWS - 1); /* some are clipped, not all */
    rein_exec_free(exec);
    rein_program_free(program);
    rein_graph_free(g);
    reini_text_loss_release(&text);
}

/* the formulas in double */
static double formula(const numbers *x, int i, double logp, double frozen, bool cispo, int price) {
    double r = exp(logp - (double)x->old[i]), d = (double)x->ref[i] - logp, A = (double)x->adv[i];
    double clipped = fmin(fmax(r, 0.8), 1.3), stop = fmin(exp(frozen - (double)x->old[i]), 1.3);
    double gain = cispo ? stop * A * logp : fmin(r * A, clipped * A);
    double k3 = (price == REINI_TEXT_RATIO_K3 ? r : 1) * (exp(d) - d - 1);
    return (double)x->weight[i] * (-gain + (price ? 0.7 * k3 : 0));
}

static void test_loss_gradients(void **state) {
    (void)state;
    numbers x;
    draw_numbers(&x);
    for (int kind = 0; kind < 6; kind++) {
        reini_text_loss text;
        bool cispo = kind % 2;
        int price = kind / 2;
        double expected = 0, h = 1e-6;
        assert_ok(reini_text_loss_init(&text, 2 * ROWS, cispo ? REINI_TEXT_CISPO : REINI_TEXT_CLIP,
                                       (reini_text_price)price));
        reini_text_loss_range(&text, 0.8, 1.3, 0.7);
        double loss = run_loss(&text, &x, false);
        for (int i = 0; i < ROWS; i++) {
            double at = (double)x.logp[i];
            expected += formula(&x, i, at, at, cispo, price);
            near((double)text.dlogp[i],
                 (formula(&x, i, at + h, at, cispo, price) - formula(&x, i, at - h, at, cispo, price)) /
                     (2 * h),
                 2e-6);
        }
        near(loss, expected, 1e-5);
        reini_text_loss_release(&text);
    }
}

/* ---- first ratios ------------------------------------------------------------------------------------------ */

static void test_first_ratio(void **state) {
    (void)state;
    static const char *const variants[] = {
        BASE, BASE "temperature=0.7", BASE "use_peft=true; lora_r=4; adapter=" GOLDEN "/adapter",
        BASE "generation_slots=3; per_device_train_batch_size=3; gradient_accumulation_steps=4"};
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++)
        for (int method = 0; method < 2; method++) {
            text_rig r;
            text_new(&r, method ? "rloo" : "grpo", 2, variants[v]);
            reini_group_policy *g = r.self;
            for (int k = 0; k < 3; k++) {
                text_step(&r);
                int64_t rows = method ? g->rollout.batch->documents : g->rollout.batch->scored;
                assert_true(rows > 0);
                for (int64_t i = 0; i < rows; i++)
                    assert_true(g->loss.ratio[i] == 1.0f);
            }
            text_free(&r);
        }
}

/* ---- the same in other pieces ------------------------------------------------------------------------------ */

static void steps_of(text_rig *r, const char *name, int threads, int steps, const char *settings) {
    text_new(r, name, threads, settings);
    for (int k = 0; k < steps; k++)
        text_step(r);
}

static void same_bits(const text_rig *a, const text_rig *b) {
    char x[65], y[65];
    text_digest(a, x);
    text_digest(b, y);
    assert_string_equal(x, y);
}

static void test_threads_and_slots(void **state) {
    (void)state;
    static const char *const variants[] = {BASE "beta=0.1; num_iterations=2", BASE "use_peft=true; beta=0.1",
                                           BASE "dtype=bf16"};
    for (int v = 0; v < 3; v++) {
        text_rig one, three;
        char other[2048];
        snprintf(other, sizeof other, "%s; generation_slots=%d", variants[v], v < 2 ? 3 : 16);
        steps_of(&one, v == 1 ? "rloo" : "grpo", 1, 4, variants[v]);
        steps_of(&three, v == 1 ? "rloo" : "grpo", 3, 4, other);
        same_bits(&one, &three);
        text_free(&one);
        text_free(&three);
    }
}

/* In bf16 answers that are learned from before the weights change are not scored on their own; the update, its old
 * log-probabilities and its metrics are those of the longer way. */
static void test_unscored(void **state) {
    (void)state;
    static const char *const variants[] = {
        BASE "dtype=bf16; generation_batch_size=16; num_iterations=2; beta=0",
        BASE "dtype=bf16; loss_type=cispo; epsilon_high=2",
        BASE "dtype=bf16; gradient_accumulation_steps=2; temperature=0.8; use_peft=true"};
    for (int v = 0; v < 4; v++) {
        text_rig brief, complete;
        text_new(&brief, v < 3 ? "grpo" : "rloo", 2, variants[v % 3]);
        text_new(&complete, v < 3 ? "grpo" : "rloo", 2, variants[v % 3]);
        reini_group_policy *a = brief.self, *b = complete.self;
        assert_int_equal(a->rollout.plan.unscored, v % 3 == 2 ? 16 : 8);
        b->rollout.plan.unscored = 0;
        for (int k = 0; k < 5; k++) {
            text_step(&brief);
            text_step(&complete);
            for (int i = 0; i < REINI_GROUP_N_METRICS; i++)
                assert_true(brief.metric[i] == complete.metric[i] ||
                            (isnan(brief.metric[i]) && isnan(complete.metric[i])));
            assert_memory_equal(a->rollout.now.logp, b->rollout.now.logp,
                                (size_t)(a->rollout.now.n * a->rollout.now.max_new) * sizeof(float));
        }
        same_bits(&brief, &complete);
        text_free(&brief);
        text_free(&complete);
    }
}

static void test_accumulation(void **state) {
    (void)state;
    static const char *const types[] = {"grpo", "dr_grpo", "dapo"};
    for (int k = 0; k < 3; k++) {
        text_rig large, small;
        char settings[2048];
        snprintf(settings, sizeof settings, BASE "loss_type=%s; beta=0.2", types[k]);
        steps_of(&large, "grpo", 1, 2, settings);
        snprintf(settings, sizeof settings,
                 BASE "loss_type=%s; beta=0.2; per_device_train_batch_size=2; gradient_accumulation_steps=4",
                 types[k]);
        steps_of(&small, "grpo", 1, 2, settings);
        near(text_metric(&small, "grad_norm") / text_metric(&large, "grad_norm"), 1, 2e-4);
        near(text_metric(&small, "loss"), text_metric(&large, "loss"), 1e-5);
        text_free(&large);
        text_free(&small);
    }
}

/* later passes over a rollout meet another policy */
static void test_iterations(void **state) {
    (void)state;
    text_rig r;
    steps_of(&r, "grpo", 1, 1,
             BASE "num_iterations=3; learning_rate=1e-2; generation_batch_size=16; warmup_steps=0");
    reini_group_policy *g = r.self;
    double furthest = 0;
    for (int k = 1; k < 6; k++) {
        int64_t rollouts = g->rollout.state.rollouts;
        text_step(&r);
        assert_int_equal(g->rollout.state.rollouts, rollouts);
        for (int i = 0; i < g->rollout.batch->scored; i++)
            furthest = fmax(furthest, fabs((double)g->loss.ratio[i] - 1));
    }
    assert_true(furthest > 1e-3);
    text_step(&r);
    assert_int_equal(g->rollout.state.rollouts, 2);
    for (int i = 0; i < g->rollout.batch->scored; i++)
        assert_true(g->loss.ratio[i] == 1.0f);
    text_free(&r);
}

/* the distance is 0 before the first update and not after it; a new adapter's reference is the model without it */
static void test_reference(void **state) {
    (void)state;
    static const char *const variants[] = {BASE "beta=0.5",
                                           BASE "beta=0.5; use_peft=true; learning_rate=1e-2",
                                           BASE "beta=0.5; adapter=" GOLDEN "/adapter"};
    for (int v = 0; v < 3; v++) {
        text_rig r;
        steps_of(&r, "grpo", 1, 1, variants[v]);
        assert_true(text_metric(&r, "kl") == 0);
        text_step(&r);
        text_step(&r);
        assert_true(text_metric(&r, "kl") > 1e-9);
        reini_group_policy *g = r.self;
        assert_true((g->rollout.ref_weights != NULL) == (v == 0));
        text_free(&r);
    }
    text_rig r;
    steps_of(&r, "grpo", 1, 1, BASE);
    assert_true(isnan(text_metric(&r, "kl")) && !((reini_group_policy *)r.self)->rollout.ref_weights);
    text_free(&r);
}

static void test_masked(void **state) {
    (void)state;
    text_rig r;
    char before[65], after[65];
    /* all answers are cut at two tokens: nothing is learned */
    text_new(&r, "grpo", 1,
             BASE "max_completion_length=2; mask_truncated_completions=true; reward=length + regex(a)");
    text_digest(&r, before);
    reini_group_policy *g = r.self;
    g->rollout.n_eos = 0;
    text_step(&r);
    text_digest(&r, after);
    assert_string_equal(before, after);
    assert_true(text_metric(&r, "grad_norm") == 0 && text_metric(&r, "completions/clipped_ratio") == 1);
    text_free(&r);
}

static void test_memory_stays(void **state) {
    (void)state;
    text_rig r;
    steps_of(&r, "grpo", 2, 6, BASE "beta=0.1");
    uint64_t live = reini_memory_now().live_bytes;
    for (int k = 0; k < 20; k++)
        text_step(&r);
    assert_true(reini_memory_now().live_bytes <= live + 4096);
    text_free(&r);
}

/* ---- optima in closed form --------------------------------------------------------------------------------- */

#define BANDIT                                                                                               \
    "init=%s/tiny/config.json; tokenizer=%s/tiny; data=%s/tiny/prompts.jsonl; max_completion_length=1; "     \
    "reward=regex(a) + 0.5 regex(b) - 0.5 regex(c); beta=0.5; max_steps=%d; learning_rate=%g; "              \
    "num_generations=256; per_device_train_batch_size=512; weight_decay=0; max_grad_norm=0; "                \
    "adam_beta2=0.95;"

static const double bandit_reward[TINY_TOKENS] = {0, 1, 0.5, -0.5, 0};

/* the policy's probabilities of the one token after the prompt */
static void probabilities(reini_group_policy *g, double p[TINY_TOKENS]) {
    const reini_prompts *prompts = &g->rollout.train;
    int32_t start[2] = {0, (int32_t)prompts->start[1]}, row = start[1] - 1;
    float logits[TINY_TOKENS];
    double total = 0;
    reini_lm_forward(
        g->learner.lm,
        &(reini_lm_batch){.tokens = start[1], .documents = 1, .token = prompts->token, .start = start});
    reini_lm_logits(g->learner.lm, 1, &row, logits);
    for (int i = 0; i < TINY_TOKENS; i++)
        total += p[i] = exp((double)logits[i]);
    for (int i = 0; i < TINY_TOKENS; i++)
        p[i] /= total;
}

static void play_bandit(const char *name, const char *more, int steps, double rate, double ref[TINY_TOKENS],
                        double p[TINY_TOKENS]) {
    char settings[8192];
    text_rig r;
    tiny_make();
    snprintf(settings, sizeof settings, BANDIT "%s", temp_dir, temp_dir, temp_dir, steps, rate, more);
    text_new(&r, name, 1, settings);
    probabilities(r.self, ref);
    for (int k = 0; k < steps; k++)
        text_step(&r);
    probabilities(r.self, p);
    text_free(&r);
}

static void close_to(const char *what, const double *p, const double *wanted, const double *ref) {
    double apart = 0, moved = 0;
    for (int i = 0; i < TINY_TOKENS; i++) {
        apart += fabs(p[i] - wanted[i]) / 2;
        moved += fabs(ref[i] - wanted[i]) / 2;
    }
    print_message("%s: %.4f from the optimum in total variation; the reference is %.4f from it\n", what,
                  apart, moved);
    assert_true(apart < 0.02 && moved > 0.2);
}

/* max E[r] - beta KL(pi || ref): pi = ref exp(r / beta) / Z */
static void reverse_optimum(const double ref[TINY_TOKENS], double wanted[TINY_TOKENS]) {
    double total = 0;
    for (int i = 0; i < TINY_TOKENS; i++)
        total += wanted[i] = ref[i] * exp(bandit_reward[i] / 0.5);
    for (int i = 0; i < TINY_TOKENS; i++)
        wanted[i] /= total;
}

static void test_bandit(void **state) {
    (void)state;
    double ref[TINY_TOKENS], p[TINY_TOKENS], wanted[TINY_TOKENS];
    play_bandit("rloo", "", 200, 2e-2, ref, p);
    reverse_optimum(ref, wanted);
    close_to("rloo", p, wanted, ref);
    play_bandit("grpo", "scale_rewards=none", 200, 2e-2, ref, p);
    close_to("grpo", p, wanted, ref);
}

/* k3 as a loss on what the policy drew has the gradient of beta KL(ref || pi), the other direction: the optimum of
 * E[r] - beta KL(ref || pi) is pi = beta ref / (lambda - r), with lambda such that it sums to 1 */
static void test_other_bandit(void **state) {
    (void)state;
    double ref[TINY_TOKENS], p[TINY_TOKENS], wanted[TINY_TOKENS], low = 1, high = 10;
    play_bandit("grpo", "scale_rewards=none; use_bias_correction_kl=false", 200, 2e-2, ref, p);
    for (int k = 0; k < 100; k++) {
        double lambda = (low + high) / 2, total = 0;
        for (int i = 0; i < TINY_TOKENS; i++)
            total += wanted[i] = 0.5 * ref[i] / (lambda - bandit_reward[i]);
        if (total > 1)
            low = lambda;
        else
            high = lambda;
    }
    close_to("grpo, k3 alone", p, wanted, ref);
}

/* ---- whole runs -------------------------------------------------------------------------------------------- */

#define RUN                                                                                                  \
    {"model", GOLDEN "/model"}, {"data", GOLDEN "/data.jsonl"}, {"reward", "regex([aeiou]) - 0.05 length"},  \
        {"max_completion_length", "6"}, {"num_generations", "4"}, {"per_device_train_batch_size", "4"},      \
        {"generation_batch_size", "8"}, {"num_iterations", "2"}, {"beta", "0.1"}, {"max_steps", "10"},       \
        {"learning_rate", "1e-3"}, {"logging_steps", "1"}, {"save_steps", "1"}, {"threads", "1"}, {          \
        "eval_data", GOLDEN "/data.jsonl"                                                                    \
    }
static const rein_setting group_settings[] = {RUN};
enum { N_RUN = 15 };

static rein_train_opts group_run(const char *name, const char *out) {
    run_stop = 0;
    return (rein_train_opts){
        .algo = name, .settings = group_settings, .n_settings = N_RUN, .out = out, .stop = &run_stop};
}

static void test_resumed_anywhere(void **state) {
    (void)state;
    static const char *const names[] = {"grpo", "rloo"};
    static const char *const files[] = {"model/model.safetensors", "best/model.safetensors",
                                        "rollouts.jsonl"};
    for (int m = 0; m < 2; m++) {
        char whole[16], killed[16];
        snprintf(whole, sizeof whole, "%s-a", names[m]);
        snprintf(killed, sizeof killed, "%s-b", names[m]);
        rein_rng rng = rein_rng_make(21, (uint64_t)m);
        const char *a = run_path(whole), *b = run_path(killed);
        rein_train_opts opts = group_run(names[m], a);
        rein_summary sa, sb;
        assert_ok(rein_train(&opts, &sa));
        int kills = run_killed(NULL, group_run(names[m], b), 300000, &rng, &sb);
        print_message("%s: killed %d times\n", names[m], kills);
        run_same_text(&sa, &sb, 3, files);
    }
}

static void test_rollouts_file(void **state) {
    (void)state;
    json_t *rows = rows_all(run_path("grpo-a/rollouts.jsonl")), *o;
    size_t i;
    json_array_foreach(rows, i, o) {
        assert_true(json_is_string(json_object_get(o, "prompt")) &&
                    json_is_string(json_object_get(o, "text")) && json_is_number(json_object_get(o, "kl")));
        double reward = json_number_value(json_object_get(o, "reward"));
        const json_t *each = json_object_get(o, "rewards");
        near(reward,
             json_number_value(json_object_get(each, "regex")) -
                 0.05 * json_number_value(json_object_get(each, "length")),
             1e-12);
        assert_int_equal(json_integer_value(json_object_get(o, "step")), i / 8 * 4);
    }
    assert_int_equal(json_array_size(rows), 24); /* rollouts before updates 0, 4 and 8 */
    json_decref(rows);
}

/* ---- what is refused --------------------------------------------------------------------------------------- */

static void refuses(const char *settings, rein_status status, const char *words) {
    text_rig r;
    assert_fails(text_try(&r, "grpo", 1, NULL, settings), status, words);
    text_free(&r);
}

static void test_bad_input(void **state) {
    (void)state;
    char path[TEMP_PATH + 32], settings[2048];
    snprintf(path, sizeof path, "%s/bad.jsonl", temp_dir);
    const char *rows =
        "{\"prompt\": \"one\", \"solution\": 1}\n{\"prompt\": \"one two three four five six seven\"}\n"
        "{\"prompt\": \"\"}\n{\"text\": \"x\"}\n";
    temp_write(path, rows, strlen(rows));
    refuses(BASE "reward=none", REIN_USAGE, "no reward");
    refuses(BASE "data=none", REIN_USAGE, "no data");
    refuses(BASE "num_generations=3", REIN_USAGE, "groups of 3");
    refuses(BASE "generation_batch_size=12", REIN_USAGE, "no multiple of an update's 8");
    refuses(BASE "loss_type=cispo", REIN_USAGE, "epsilon_high");
    refuses(BASE "max_completion_length=64", REIN_USAGE, "leave no room for a prompt");
    refuses(BASE "reward=exact", REIN_FORMAT, "data.jsonl:1: reward exact reads the column \"solution\"");
    snprintf(settings, sizeof settings, BASE "data=%s; max_length=9", path);
    refuses(settings, REIN_FORMAT, "bad.jsonl:2: the prompt has");
    snprintf(settings, sizeof settings, BASE "data=%s; reward=exact", path);
    refuses(settings, REIN_FORMAT, "bad.jsonl:2: reward exact reads");
    snprintf(settings, sizeof settings, BASE "data=%s; reward=exact; skip_bad_rows=true", path);
    text_rig r;
    steps_of(&r, "grpo", 1, 1, settings);
    assert_int_equal(((reini_group_policy *)r.self)->rollout.train.skipped, 3);
    text_free(&r);
    snprintf(settings, sizeof settings, BASE "reward=command(exit 1); reward_restarts=0");
    text_new(&r, "grpo", 1, settings);
    assert_fails(r.method->step(r.self), REIN_IO, "reward command");
    text_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advantages),       cmocka_unit_test(test_level_groups),
        cmocka_unit_test(test_no_opinion),       cmocka_unit_test(test_distances),
        cmocka_unit_test(test_core_is_shared),   cmocka_unit_test(test_loss_gradients),
        cmocka_unit_test(test_first_ratio),      cmocka_unit_test(test_threads_and_slots),
        cmocka_unit_test(test_unscored),         cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_iterations),       cmocka_unit_test(test_reference),
        cmocka_unit_test(test_masked),           cmocka_unit_test(test_memory_stays),
        cmocka_unit_test(test_bandit),           cmocka_unit_test(test_other_bandit),
        cmocka_unit_test(test_resumed_anywhere), cmocka_unit_test(test_rollouts_file),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
