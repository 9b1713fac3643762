/*
 * test_reproducible.c - the same seed gives the same bits: for any number of threads, after any number of
 * kills; and learning takes no memory after its first iteration.
 */
#include "base/base.h"
#include "env/env_types.h"
#include "rl/net.h"
#include "support/run_check.h"
#include "support/settings.h"
#include "tensor/kernels.h"

/* batch sizes that are no multiples of a tile, environments that do not divide among the workers */
typedef struct recipe {
    const rein_env_type *env;
    const char *settings;
} recipe;

static const recipe recipes[] = {
    {&reini_env_cartpole,
     "n_envs=7 n_steps=50 batch_size=111 hidden=32,32 norm_obs=running norm_reward=true"},
    {&reini_env_cartpole, "n_envs=5 n_steps=64 batch_size=97 hidden=16,16 shared=true objective=penalty"},
    {&reini_env_pendulum,
     "n_envs=9 n_steps=40 batch_size=123 hidden=33,17 norm_obs=running norm_reward=true"},
    {&reini_env_pendulum,
     "n_envs=3 n_steps=100 batch_size=65 hidden=24 shared=true norm_obs=warmup norm_reward=true "
     "scale_actions=true objective=penalty"},
    {&reini_env_identity_masked, "n_envs=6 n_steps=31 batch_size=186 hidden=8,8 activation=silu"},
    {&reini_env_identity_multi_discrete, "n_envs=1 n_steps=200 batch_size=64 critic=false"},
    {&reini_env_pendulum,
     "n_envs=9 n_steps=40 batch_size=123 hidden=33,17 use_sde=true sde_sample_freq=7 shared=true"},
    {&reini_env_cartpole, "n_envs=7 n_steps=48 batch_size=112 hidden=17 gru=9 sequence=8 norm_obs=running"},
    {&reini_env_pendulum, "n_envs=3 n_steps=32 batch_size=96 hidden=8 gru=8 shared=true use_sde=true"},
    {&reini_env_time_limit, "n_envs=64 n_steps=33 batch_size=1000 target_kl=0.02 clip_range_vf=0.3"},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

typedef struct trainee {
    const reini_algo *algo;
    void *config, *self;
    rein_pool *pool;
} trainee;

static rein_dtype matmul = REIN_F32; /* of the trainees made below */

static trainee make(const recipe *from, int threads) {
    trainee t = {.algo = reini_algo_find("ppo"), .pool = rein_pool_new(threads)};
    t.config = calloc(1, t.algo->config_size);
    settings_set(t.algo->fields, t.algo->n_fields, t.config,
                 "n_epochs=3 learning_rate=lin_3e-3 ent_coef=0.01 %s", from->settings);
    reini_context context = {
        .env = from->env, .seed = 11, .total_steps = 20000, .pool = t.pool, .matmul = matmul};
    assert_ok(t.algo->check(t.config, &context));
    assert_ok(t.algo->create(t.config, &context, &t.self));
    return t;
}

static reini_report iterate(trainee *t, int times) {
    reini_report report = {0};
    for (int i = 0; i < times; i++) {
        for (int m = 0; m < REINI_METRICS_MAX; m++)
            report.metric[m] = NAN;
        t->algo->iterate(t->self, &report);
    }
    return report;
}

static void release(trainee *t) {
    t->algo->destroy(t->self);
    rein_pool_free(t->pool);
    free(t->config);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

static void same_state(const trainee *a, const trainee *b, const reini_report *x, const reini_report *y,
                       int threads) {
    const rein_policy *p = a->algo->policy(a->self), *q = b->algo->policy(b->self);
    char sha[2][65];
    rein_policy_sha256(p, sha[0]);
    rein_policy_sha256(q, sha[1]);
    if (strcmp(sha[0], sha[1]) != 0)
        fail_msg("%s: %d threads learn other bits than 1", p->env, threads);
    for (int i = 0; i < a->algo->n_metrics; i++)
        if (memcmp(&x->metric[i], &y->metric[i], sizeof x->metric[i]) != 0)
            fail_msg("%s: %s is %.17g with %d threads, %.17g with 1", p->env, a->algo->metrics[i],
                     y->metric[i], threads, x->metric[i]);
    assert_int_equal(x->episodes, y->episodes);
    assert_memory_equal(&x->return_mean, &y->return_mean, sizeof x->return_mean);
    assert_memory_equal(&x->length_mean, &y->length_mean, sizeof x->length_mean);
}

static void test_threads_do_not_change_bits(void **state) {
    static const int threads[] = {2, 3, 8};
    for (int k = 0; k < RECIPES; k++)
        for (int i = 0; i < 3; i++) {
            trainee one = make(&recipes[k], 1), many = make(&recipes[k], threads[i]);
            for (int round = 0; round < 3; round++) {
                reini_report x = iterate(&one, 1), y = iterate(&many, 1);
                same_state(&one, &many, &x, &y, threads[i]);
            }
            release(&one);
            release(&many);
        }
}

static void test_threads_do_not_change_bits_in_bf16(void **state) {
    if (!reini_bf16_available())
        skip();
    matmul = REIN_BF16;
    test_threads_do_not_change_bits(state);
    matmul = REIN_F32;
}

static void test_seeds_change_bits(void **state) {
    trainee a = make(&recipes[0], 1);
    char sha[3][65];
    rein_policy_sha256(a.algo->policy(a.self), sha[0]);
    iterate(&a, 1);
    rein_policy_sha256(a.algo->policy(a.self), sha[1]);
    iterate(&a, 1);
    rein_policy_sha256(a.algo->policy(a.self), sha[2]);
    assert_string_not_equal(sha[0], sha[1]);
    assert_string_not_equal(sha[1], sha[2]);
    release(&a);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void test_iterations_take_no_memory(void **state) {
    for (int k = 0; k < RECIPES; k++)
        for (int threads = 1; threads <= 3; threads += 2) {
            trainee t = make(&recipes[k], threads);
            iterate(&t, 1);
            reini_memory before = reini_memory_now();
            iterate(&t, 5);
            reini_memory after = reini_memory_now();
            assert_true(after.allocations == before.allocations);
            assert_true(after.peak_bytes == before.peak_bytes);
            release(&t);
        }
}

static void test_everything_is_given_back(void **state) {
    uint64_t live = reini_memory_now().live_bytes;
    for (int k = 0; k < RECIPES; k++) {
        trainee t = make(&recipes[k], 2);
        iterate(&t, 1);
        release(&t);
        assert_true(reini_memory_now().live_bytes == live);
    }
}

/* ---- kills --------------------------------------------------------------------------------------------- */

#define RUN(...)                                                                                             \
    {                                                                                                        \
        {"steps", "24000"}, {"n_envs", "5"}, {"n_steps", "48"}, {"batch_size", "101"}, {"n_epochs", "4"},    \
            {"eval_every", "5000"}, {"eval_every_episodes", "3"}, {"eval_episodes", "5"}, {"seed", "8"},     \
            {"checkpoint_every", "480"}, {"norm_obs", "running"}, {"norm_reward", "true"}, __VA_ARGS__       \
    }
enum { RUN_SETTINGS_COUNT = 14 };

static void check_kills(const char *name, const char *env, const rein_setting *settings, uint64_t seed) {
    rein_train_opts opts = {.algo = "ppo",
                            .env = env,
                            .preset = "none",
                            .settings = settings,
                            .n_settings = RUN_SETTINGS_COUNT,
                            .out = run_path(name)};
    /* lives of a few checkpoints' length */
    run_check_kills(reini_algo_find("ppo"), opts, 0.25, 4000, seed);
}

static void test_killed_runs_end_the_same(void **state) {
    static const rein_setting separate[RUN_SETTINGS_COUNT] = RUN({"hidden", "16,16"}, {"threads", "2"});
    static const rein_setting sde[RUN_SETTINGS_COUNT] = RUN({"use_sde", "true"}, {"sde_sample_freq", "5"});
    static const rein_setting gru[RUN_SETTINGS_COUNT] = {{"steps", "24000"},
                                                         {"n_envs", "5"},
                                                         {"n_steps", "48"},
                                                         {"batch_size", "96"},
                                                         {"n_epochs", "4"},
                                                         {"eval_every", "5000"},
                                                         {"eval_every_episodes", "3"},
                                                         {"eval_episodes", "5"},
                                                         {"seed", "8"},
                                                         {"hidden", "16"},
                                                         {"checkpoint_every", "480"},
                                                         {"norm_obs", "running"},
                                                         {"gru", "12"},
                                                         {"sequence", "8"}};
    static const rein_setting shared[RUN_SETTINGS_COUNT] = RUN({"shared", "true"}, {"threads", "1"});
    check_kills("cartpole", "CartPole-v1", separate, 1);
    check_kills("pendulum", "Pendulum-v1", shared, 2);
    check_kills("pendulum-sde", "Pendulum-v1", sde, 3);
    check_kills("cartpole-gru", "CartPole-v1", gru, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_threads_do_not_change_bits_in_bf16),
        cmocka_unit_test(test_seeds_change_bits),
        cmocka_unit_test(test_iterations_take_no_memory),
        cmocka_unit_test(test_everything_is_given_back),
        cmocka_unit_test(test_killed_runs_end_the_same),
    };
    return cmocka_run_group_tests_name("reproducible", tests, temp_dir_make, temp_dir_remove);
}
