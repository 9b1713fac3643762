/*
 * test_ppo_text.c - PPO on language models: first ratios, rewards of tokens, the price steered, other pieces of the same
 * run, runs stopped anywhere, the optimum of a bandit in closed form, the critic's loss.
 */
#include <rein/rng.h>
#include "algo/language/ppo_text.h"
#include "support/run_check.h"
#include "support/text_rig.h"

#define GOLDEN REIN_SOURCE_DIR "/tests/golden/sft_trl"
#define BASE                                                                                                 \
    "model=" GOLDEN "/model; data=" GOLDEN "/data.jsonl; reward=2 regex([aeiou]) - 0.05 length;"             \
    "response_length=9; per_device_train_batch_size=4; num_mini_batches=2; num_ppo_epochs=2;"                \
    "learning_rate=1e-3; max_steps=40;"

static void near(double a, double b, double most) {
    if (!(fabs(a - b) <= most))
        fail_msg("%.9g, expected %.9g", a, b);
}

static void steps_of(text_rig *r, int threads, int steps, const char *settings) {
    text_new(r, "ppo", threads, settings);
    for (int k = 0; k < steps; k++)
        text_step(r);
}

/* exactly 1 in the first update after a rollout, and not in the next */
static void test_first_ratio(void **state) {
    (void)state;
    static const char *const variants[] = {BASE, BASE "use_peft=true; lora_r=4; learning_rate=1e-2"};
    for (int v = 0; v < 2; v++) {
        text_rig r;
        text_new(&r, "ppo", 2, variants[v]);
        const reini_ppo_text *p = r.self;
        for (int k = 0; k < 8; k++) {
            text_step(&r);
            double furthest = 0;
            for (int i = 0; i < p->rollout.batch->scored; i++)
                furthest = fmax(furthest, fabs((double)p->loss.ratio[i] - 1));
            assert_true(k % 4 == 0 ? furthest == 0 : k % 4 == 1 || furthest > 1e-6);
            assert_int_equal(p->rollout.state.rollouts, k / 4 + 1);
        }
        text_free(&r);
    }
}

/* one token, gamma 1: the reward is the score less the price, the return the reward */
static void test_rewards(void **state) {
    (void)state;
    text_rig r;
    steps_of(&r, 1, 1,
             BASE "response_length=3; missing_eos_penalty=7; reward_clip=6; kl_coef=0.5; num_ppo_epochs=1;"
                  "reward=length");
    const reini_ppo_text *p = r.self;
    const reini_text_answers *a = &p->rollout.now;
    for (int i = 0; i < a->n; i++) {
        bool cut = a->finish[i] == REINI_FINISH_LENGTH;
        double score = fmax(a->length[i] - (cut ? 7 : 0), -6);
        for (int t = 0; t < a->length[i]; t++) {
            int64_t at = i * 3 + t;
            double price = 0.5 * ((double)a->logp[at] - (double)a->ref[at]);
            near((double)p->all[at], -price + (t + 1 == a->length[i] ? score : 0), 1e-6);
        }
    }
    text_free(&r);
}

static void test_steered_price(void **state) {
    (void)state;
    text_rig r;
    text_new(&r, "ppo", 1,
             BASE "kl_target=1; kl_horizon=80; num_ppo_epochs=1; num_mini_batches=1; kl_coef=0.1");
    const reini_ppo_text *p = r.self;
    /* the distance is 0 at first: the price falls by 0.2 x 4 / 80 */
    text_step(&r);
    near(p->state.kl_coef, 0.1 * (1 - 0.2 * 4 / 80), 1e-12);
    near(text_metric(&r, "objective/kl_coef"), 0.1, 1e-12);
    near(text_metric(&r, "objective/kl"), 0, 1e-5);
    text_free(&r);
}

static void test_critic_loss(void **state) {
    (void)state;
    enum { N = 40 };
    rein_rng rng = rein_rng_make(3, 0);
    reini_text_value_loss l;
    assert_ok(reini_text_value_loss_init(&l, N, 0.2));
    for (int i = 0; i < N; i++) {
        l.old[i] = rein_rng_uniform(&rng) - 0.5f;
        l.value[i] = l.old[i] + rein_rng_uniform(&rng) - 0.5f;
        l.ret[i] = 2 * rein_rng_uniform(&rng) - 1;
        l.weight[i] = rein_rng_uniform(&rng);
    }
    double loss = reini_text_value_loss_run(&l, N), expected = 0;
    int flat = 0;
    for (int i = 0; i < N; i++) {
        double sum[3], h = 1e-6;
        for (int k = 0; k < 3; k++) {
            double v = (double)l.value[i] + (k - 1) * h, o = (double)l.old[i], ret = (double)l.ret[i];
            double c = o + fmin(fmax(v - o, -0.2), 0.2);
            sum[k] = 0.5 * (double)l.weight[i] * fmax((v - ret) * (v - ret), (c - ret) * (c - ret));
        }
        expected += sum[1];
        near((double)l.dvalue[i], (sum[2] - sum[0]) / (2 * h), 1e-6);
        flat += l.dvalue[i] == 0;
    }
    near(loss, expected, 1e-5);
    assert_in_range(flat, 1, N - 1);
    reini_text_value_loss_release(&l);
}

static void same_bits(const text_rig *a, const text_rig *b) {
    char x[65], y[65];
    text_digest(a, x);
    text_digest(b, y);
    assert_string_equal(x, y);
}

static void test_threads(void **state) {
    (void)state;
    static const char *const variants[] = {BASE, BASE "use_peft=true", BASE "dtype=bf16",
                                           BASE "value_head=trunk", BASE "value_head=trunk; use_peft=true"};
    for (int v = 0; v < 5; v++) {
        text_rig one, three;
        steps_of(&one, 1, 5, variants[v]);
        steps_of(&three, 3, 5, variants[v]);
        same_bits(&one, &three);
        text_free(&one);
        text_free(&three);
    }
}

/* the critic learns what the answers are worth: whole, by an adapter with its head, as a head on the policy's network */
static void test_critic_learns(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        int adapter = kind & 1;
        char settings[2048];
        text_rig r;
        double first = 0, last = 0;
        snprintf(
            settings, sizeof settings,
            BASE
            "reward=length; kl_coef=0; max_steps=60; vf_coef=1; cliprange=0; learning_rate=%s; use_peft=%s;"
            "cliprange_value=inf; max_grad_norm=0; lr_scheduler_type=constant;"
            "value_head=%s",
            adapter ? "3e-2" : "1e-2", adapter ? "true" : "false", kind & 2 ? "trunk" : "own");
        text_new(&r, "ppo", 1, settings);
        for (int k = 0; k < 60; k++) {
            text_step(&r);
            first += k < 4 ? text_metric(&r, "loss/value_avg") : 0;
            last += k >= 56 ? text_metric(&r, "loss/value_avg") : 0;
        }
        print_message("critic's loss: %.3f, then %.3f\n", first / 4, last / 4);
        assert_true(last < 0.3 * first);
        text_free(&r);
    }
}

/* d loss / d weights through a head on the policy's network, by differences: of weights, adapter and head */
static void test_trunk_gradient(void **state) {
    (void)state;
    for (int adapter = 0; adapter < 2; adapter++) {
        text_rig r;
        steps_of(&r, 1, 1, adapter ? BASE "value_head=trunk; use_peft=true" : BASE "value_head=trunk");
        reini_ppo_text *p = r.self;
        const reini_packed *b = p->rollout.batch;
        reini_lm_learner *l = &p->learner;
        float *head = reini_ppo_critic_head(&p->critic), *slope = p->value_loss.dvalue;
        for (int j = 0; j < l->weights->shape.hidden; j++)
            head[j] = 0.3f * (float)sin((double)j + 1);
        for (int i = 0; i < b->scored; i++)
            slope[i] = (float)cos(2.0 * i);
        reini_lm_learner_begin(l);
        reini_ppo_critic_begin(&p->critic);
        reini_lm_learner_forward(l, b, 0);
        reini_lm_learner_backward_begin(l);
        reini_ppo_critic_backward(&p->critic, b, slope);
        reini_lm_backward(l->lm);
        rein_store *const store[2] = {reini_lm_learner_trained(l), p->critic.head};
        const rein_store *const gradient[2] = {l->gradient, p->critic.gradient};
        double largest = 0;
        for (int k = 0; k < 2; k++)
            for (int64_t i = 0, n = rein_store_size(store[k]); i < n; i += k == 0 ? n / 97 : 3) {
                float *x = (float *)rein_store_data(store[k]) + i, was = *x, h = 4e-3f;
                double sum[2] = {0};
                for (int side = 0; side < 2; side++) {
                    *x = was + (side ? h : -h);
                    reini_lm_learner_forward(l, b, 0);
                    reini_ppo_critic_values(&p->critic, b, p->value_loss.value);
                    for (int t = 0; t < b->scored; t++)
                        sum[side] += (double)slope[t] * (double)p->value_loss.value[t];
                }
                *x = was;
                double found = (double)((const float *)rein_store_view(gradient[k]))[i];
                near((sum[1] - sum[0]) / (2 * (double)h), found, 1e-2 * fmax(1, fabs(found)));
                largest = fmax(largest, fabs(found));
            }
        assert_true(largest > 0.1);
        text_free(&r);
    }
}

/* max E[r] - beta KL(pi || ref): pi = ref exp(r / beta) / Z */
static void test_bandit(void **state) {
    (void)state;
    static const double reward[TINY_TOKENS] = {0, 1, 0.5, -0.5, 0};
    char settings[8192];
    double p[2][TINY_TOKENS], wanted[TINY_TOKENS], total = 0, apart = 0, moved = 0;
    text_rig r;
    tiny_make();
    snprintf(
        settings, sizeof settings,
        "init=%s/tiny/config.json; tokenizer=%s/tiny; data=%s/tiny/prompts.jsonl; response_length=1; "
        "temperature=1;"
        "reward=regex(a) + 0.5 regex(b) - 0.5 regex(c); kl_coef=0.5; max_steps=400; learning_rate=1e-2;"
        "per_device_train_batch_size=512; num_ppo_epochs=2; weight_decay=0; max_grad_norm=0; adam_beta2=0.95;"
        "adam_epsilon=1e-3",
        temp_dir, temp_dir, temp_dir);
    text_new(&r, "ppo", 1, settings);
    reini_ppo_text *s = r.self;
    for (int k = 0; k <= 400; k++) {
        if (k == 0 || k == 400) {
            const reini_prompts *prompts = &s->rollout.train;
            int32_t start[2] = {0, (int32_t)prompts->start[1]}, row = start[1] - 1;
            float logits[TINY_TOKENS];
            double sum = 0, *to = p[k > 0];
            reini_lm_batch pass = {
                .tokens = start[1], .documents = 1, .token = prompts->token, .start = start};
            reini_lm_forward(s->learner.lm, &pass);
            reini_lm_logits(s->learner.lm, 1, &row, logits);
            for (int i = 0; i < TINY_TOKENS; i++)
                sum += to[i] = exp((double)logits[i]);
            for (int i = 0; i < TINY_TOKENS; i++)
                to[i] /= sum;
        }
        if (k < 400)
            text_step(&r);
    }
    for (int i = 0; i < TINY_TOKENS; i++)
        total += wanted[i] = p[0][i] * exp(reward[i] / 0.5);
    for (int i = 0; i < TINY_TOKENS; i++) {
        apart += fabs(p[1][i] - wanted[i] / total) / 2;
        moved += fabs(p[0][i] - wanted[i] / total) / 2;
    }
    print_message("ppo: %.4f from the optimum in total variation; the reference is %.4f from it\n", apart,
                  moved);
    assert_true(apart < 0.03 && moved > 0.2);
    text_free(&r);
}

#define RUN                                                                                                  \
    {"model", GOLDEN "/model"}, {"data", GOLDEN "/data.jsonl"}, {"reward", "regex([aeiou]) - 0.05 length"},  \
        {"response_length", "6"}, {"num_mini_batches", "2"}, {"per_device_train_batch_size", "4"},           \
        {"num_ppo_epochs", "2"}, {"max_steps", "10"}, {"learning_rate", "1e-3"}, {"logging_steps", "1"},     \
        {"save_steps", "1"}, {"threads", "1"}, {"kl_target", "0.1"}, {                                       \
        "eval_data", GOLDEN "/data.jsonl"                                                                    \
    }
/* an adapter and a critic of its own, the whole policy and a head on it */
static const rein_setting text_settings[2][16] = {{RUN, {"value_head", "trunk"}},
                                                  {RUN, {"use_peft", "true"}}};

static rein_train_opts text_run(const char *out, bool adapter) {
    run_stop = 0;
    return (rein_train_opts){
        .algo = "ppo", .settings = text_settings[adapter], .n_settings = 15, .out = out, .stop = &run_stop};
}

static void resumed_anywhere(bool adapter) {
    rein_rng rng = rein_rng_make(31, adapter);
    const char *a = run_path(adapter ? "a1" : "a0"), *b = run_path(adapter ? "b1" : "b0");
    const char *const files[] = {adapter ? "adapter/adapter_model.safetensors" : "model/model.safetensors",
                                 "rollouts.jsonl"};
    rein_train_opts opts = text_run(a, adapter);
    rein_summary sa, sb;
    assert_ok(rein_train(&opts, &sa));
    print_message("killed %d times\n", run_killed(NULL, text_run(b, adapter), 300000, &rng, &sb));
    run_same_text(&sa, &sb, 2, files);
}

static void test_resumed_anywhere(void **state) {
    (void)state;
    resumed_anywhere(false);
    resumed_anywhere(true);
}

static void test_refused(void **state) {
    (void)state;
    text_rig r;
    assert_fails(text_try(&r, "ppo", 1, NULL, BASE "generation_batch_size=6"), REIN_USAGE,
                 "no multiple of an update's 4");
    text_free(&r);
    assert_fails(text_try(&r, "ppo", 1, NULL, BASE "value_model=/nowhere"), REIN_IO, "the critic: ");
    text_free(&r);
    assert_fails(text_try(&r, "ppo", 1, NULL, BASE "value_head=trunk; value_model=/nowhere"), REIN_USAGE,
                 "no network of its own to begin with /nowhere");
    text_free(&r);
    assert_fails(text_try(&r, "ppo", 1, NULL, BASE "reward=none"), REIN_USAGE, "no reward");
    text_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_ratio),      cmocka_unit_test(test_rewards),
        cmocka_unit_test(test_steered_price),    cmocka_unit_test(test_critic_loss),
        cmocka_unit_test(test_threads),          cmocka_unit_test(test_critic_learns),
        cmocka_unit_test(test_trunk_gradient),   cmocka_unit_test(test_bandit),
        cmocka_unit_test(test_resumed_anywhere), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
