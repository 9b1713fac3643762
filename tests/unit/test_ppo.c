/*
 * test_ppo.c - the parts of PPO's iteration that a golden file cannot show: the first minibatch starts from a
 * ratio of exactly 1, the penalty of continuous actions and its adaptation, early stopping, schedules,
 * minibatches, updates that are not finite.
 *
 * The algorithm's own functions run here on its own rollouts.
 */
#include "algo/on_policy/ppo.c"
#include "env/env_types.h"
#include "rl/shuffle.h"
#include "support/settings.h"
#include "tensor/kernels.h"

static rein_dtype matmul = REIN_F32; /* of the PPOs made below */

static ppo *make(const rein_env_type *env, const char *settings, rein_pool *pool) {
    ppo_config config;
    reini_context context = {.env = env, .seed = 3, .total_steps = 4096, .pool = pool, .matmul = matmul};
    void *self = NULL;
    memset(&config, 0, sizeof config);
    settings_set(ppo_fields, reini_algo_ppo.n_fields, &config,
                 "n_envs=8 n_steps=32 batch_size=100 n_epochs=3 hidden=16,16 %s", settings);
    assert_ok(reini_algo_ppo.check(&config, &context));
    assert_ok(reini_algo_ppo.create(&config, &context, &self));
    return self;
}

static reini_rollout *rollout_of(ppo *p) {
    return reini_collector_rollout(p->base.collector);
}

/* what ppo_iterate does before it learns */
static reini_rollout *gather(ppo *p) {
    reini_report report = {0};
    reini_on_policy_warm_up(&p->base, &report);
    reini_collector_run(p->base.collector, &report.seconds_env, &report.seconds_act);
    reini_on_policy_estimate(&p->base, lambda_of(&p->config));
    for (int64_t i = 0; i < rollout_of(p)->T * rollout_of(p)->N; i++)
        p->order[i] = (int32_t)i;
    return rollout_of(p);
}

static float *log_std_of(ppo *p) {
    int i = rein_layout_find(p->base.policy->layout, "log_std");
    return (float *)rein_store_data(p->base.policy->store) + rein_layout_at(p->base.policy->layout, i).offset;
}

/* ---- the first minibatch ------------------------------------------------------------------------------- */

/* nothing has been learned yet: every ratio is 1, exactly, in every iteration */
static void check_ratio_is_one(const rein_env_type *env, const char *settings) {
    rein_pool *pool = rein_pool_new(2);
    ppo *p = make(env, settings, pool);
    for (int iteration = 0; iteration < 3; iteration++) {
        reini_rollout *r = gather(p);
        double metric[REINI_METRICS_MAX];
        set_schedules(p, metric);
        keep_log_std(p);
        for (int64_t first = 0; first < r->T * r->N; first += 100) {
            reini_shuffle(p->order, p->words, r->T * r->N, 1, SHUFFLE_STREAM, p->shuffles++);
            run_minibatch(p, 0, 100);
            assert_true(rein_exec_scalar(p->part.exec, p->approx_kl) == 0);
            assert_true(rein_exec_scalar(p->part.exec, p->clip_fraction) == 0);
            if (p->kl != NULL)
                assert_true(fabs(rein_exec_scalar(p->part.exec, p->kl)) < 1e-7);
            /* normalised advantages have mean 0 */
            assert_true(fabs(rein_exec_scalar(p->part.exec, p->policy_loss)) < 1e-6);
        }
        learn(p, metric);
        assert_true(rein_exec_scalar(p->part.exec, p->approx_kl) > 0);
        reini_moments_add(&p->base.policy->moments, r->obs, r->T * r->N);
        reini_net_refresh(p->base.policy);
    }
    ppo_destroy(p);
    rein_pool_free(pool);
}

static void test_ratio_is_one_at_first(void **state) {
    check_ratio_is_one(&reini_env_cartpole, "");
    check_ratio_is_one(&reini_env_cartpole, "objective=penalty norm_obs=running");
    check_ratio_is_one(&reini_env_pendulum, "scale_actions=true norm_reward=true log_std_init=0.4");
    check_ratio_is_one(&reini_env_pendulum, "objective=penalty norm_obs=running shared=true");
    check_ratio_is_one(&reini_env_identity_multi_discrete, "objective=penalty");
    check_ratio_is_one(&reini_env_identity_masked, "shared=true objective=penalty");
}

/* coarser products, but the same ones for acting and learning */
static void test_ratio_is_one_in_bf16(void **state) {
    if (!reini_bf16_available())
        skip();
    matmul = REIN_BF16;
    check_ratio_is_one(&reini_env_cartpole, "objective=penalty norm_obs=running");
    check_ratio_is_one(&reini_env_pendulum, "scale_actions=true hidden=48,33");
    check_ratio_is_one(&reini_env_identity_masked, "shared=true hidden=64,64");
    matmul = REIN_F32;
}

/* ---- the penalty of boxes ------------------------------------------------------------------------------ */

/* KL(N(m, s) || N(m', s')), summed over dimensions */
static double gaussian_kl(const float *m, const float *log_s, const float *m2, const float *log_s2, int n) {
    double sum = 0;
    for (int k = 0; k < n; k++) {
        double s = exp(log_s[k]), s2 = exp(log_s2[k]), d = (double)m[k] - m2[k];
        sum += log(s2 / s) + (s * s + d * d) / (2 * s2 * s2) - 0.5;
    }
    return sum;
}

/* after learning, the penalty is the mean KL from the distribution that acted, deviation included */
static void check_box_kl(const char *settings) {
    ppo *p = make(&reini_env_pendulum, settings, NULL);
    double metric[REINI_METRICS_MAX], expected = 0;
    for (int iteration = 0; iteration < 2; iteration++) {
        reini_rollout *r = gather(p);
        int64_t n = r->T * r->N;
        float old[1] = {log_std_of(p)[0]}, *means = malloc((size_t)n * sizeof *means);
        memcpy(means, r->output, (size_t)n * sizeof *means);
        learn(p, metric);
        log_std_of(p)[0] -= 0.3f;
        /* the means of now: act once more in the same states */
        reini_act_program act;
        rein_exec *exec;
        assert_ok(reini_act_program_init(&act, p->base.policy, (int)n, false, false, false));
        assert_ok(reini_act_exec_new(&act, p->base.policy, &exec));
        rein_exec_bind(exec, act.in.obs, r->obs, 0);
        rein_exec_run(exec);
        const float *now = rein_exec_data(exec, act.action);
        expected = 0;
        for (int64_t i = 0; i < n; i++)
            expected += gaussian_kl(&means[i], old, &now[i], log_std_of(p), 1) / (double)n;
        assert_true(expected > 0.05);
        assert_true(fabs(measure_kl(p) - expected) < 1e-5 * expected);
        rein_exec_free(exec);
        reini_act_program_release(&act);
        free(means);
    }
    ppo_destroy(p);
}

static void test_box_penalty(void **state) {
    check_box_kl("objective=penalty learning_rate=3e-3");
    check_box_kl("objective=penalty learning_rate=3e-3 norm_obs=warmup shared=true log_std_init=-1");
}

static void test_penalty_adapts(void **state) {
    ppo *p = make(&reini_env_cartpole, "objective=penalty kl_coef=4 kl_target=0.01", NULL);
    gather(p);
    double metric[REINI_METRICS_MAX];
    set_schedules(p, metric);
    assert_true(metric[METRIC_KL_COEF] == 4);
    adapt_penalty(p); /* nothing learned: KL 0 is too little */
    assert_true(p->kl_coef == 2);
    float *head =
        (float *)rein_store_data(p->base.policy->store) +
        rein_layout_at(p->base.policy->layout, rein_layout_find(p->base.policy->layout, "actor.2.bias"))
            .offset;
    head[0] += 1;
    double kl = measure_kl(p);
    assert_true(kl > 0.05 && kl < 0.2);
    adapt_penalty(p); /* too much */
    assert_true(p->kl_coef == 4);
    p->config.kl_target = kl * 1.4; /* within a factor of 1.5 both ways */
    adapt_penalty(p);
    p->config.kl_target = kl / 1.4;
    adapt_penalty(p);
    assert_true(p->kl_coef == 4);
    p->config.kl_target = 1e9;
    for (int i = 0; i < 100; i++)
        adapt_penalty(p);
    assert_true(p->kl_coef == 1e-8);
    ppo_destroy(p);
}

/* a new coefficient counts in the next iteration's loss */
static void test_penalty_is_part_of_the_loss(void **state) {
    ppo *p = make(&reini_env_cartpole, "objective=penalty kl_coef=4 ent_coef=0.5 vf_coef=0.25", NULL);
    reini_rollout *r = gather(p);
    double metric[REINI_METRICS_MAX];
    learn(p, metric);
    for (double beta = 0; beta < 50; beta += 17) {
        p->kl_coef = beta;
        set_schedules(p, metric);
        run_minibatch(p, 0, 100);
        double kl = rein_exec_scalar(p->part.exec, p->kl);
        double sum = rein_exec_scalar(p->part.exec, p->policy_loss) + beta * kl -
                     0.5 * rein_exec_scalar(p->part.exec, p->entropy) +
                     0.25 * rein_exec_scalar(p->part.exec, p->value_loss);
        assert_true(kl > 0);
        assert_true(fabs(rein_exec_scalar(p->part.exec, p->loss) - sum) < 1e-5 * fmax(1, fabs(sum)));
    }
    assert_true(r->output != NULL);
    ppo_destroy(p);
}

/* ---- epochs and minibatches ---------------------------------------------------------------------------- */

static void test_every_step_is_used_once_an_epoch(void **state) {
    ppo *p = make(&reini_env_cartpole, "", NULL);
    double metric[REINI_METRICS_MAX];
    int32_t before[256];
    char seen[256] = {0};
    gather(p);
    memcpy(before, p->order, sizeof before);
    learn(p, metric);
    assert_true(metric[METRIC_UPDATES] == 3 * 3); /* 256 steps are 100 + 100 + 56 */
    assert_true(memcmp(before, p->order, sizeof before) != 0);
    for (int i = 0; i < 256; i++) {
        assert_in_range(p->order[i], 0, 255);
        seen[p->order[i]]++;
    }
    for (int i = 0; i < 256; i++)
        assert_int_equal(seen[i], 1);
    ppo_destroy(p);
}

/* every place is as likely for every step */
static void test_shuffle_is_fair(void **state) {
    enum { N = 6, ROUNDS = 12000 };
    ppo *p = make(&reini_env_cartpole, "", NULL);
    int count[N][N] = {{0}};
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            p->order[i] = i;
        reini_shuffle(p->order, p->words, N, 1, SHUFFLE_STREAM, p->shuffles++);
        for (int i = 0; i < N; i++)
            count[p->order[i]][i]++;
    }
    double chi = 0, expected = (double)ROUNDS / N;
    for (int i = 0; i < N * N; i++)
        chi += pow(count[i / N][i % N] - expected, 2) / expected;
    assert_true(chi < 52); /* 25 degrees of freedom: 1 in 1000 */
    ppo_destroy(p);
}

static void test_target_kl_ends_the_epochs(void **state) {
    double metric[REINI_METRICS_MAX];
    ppo *free_run = make(&reini_env_cartpole, "learning_rate=1e-2 n_epochs=10", NULL);
    ppo *stopped = make(&reini_env_cartpole, "learning_rate=1e-2 n_epochs=10 target_kl=0.01", NULL);
    gather(free_run);
    learn(free_run, metric);
    assert_true(metric[METRIC_UPDATES] == 30);
    gather(stopped);
    learn(stopped, metric);
    assert_true(metric[METRIC_UPDATES] > 1 && metric[METRIC_UPDATES] < 30);
    assert_true(rein_exec_scalar(stopped->part.exec, stopped->approx_kl) > 0.015);
    /* the minibatch that shows it is not learned from any more */
    double kl = rein_exec_scalar(stopped->part.exec, stopped->approx_kl);
    rein_exec_run(stopped->part.exec);
    assert_true(rein_exec_scalar(stopped->part.exec, stopped->approx_kl) == kl);
    ppo_destroy(free_run);
    ppo_destroy(stopped);
}

static void test_advantages_are_normalised_in_each_minibatch(void **state) {
    for (int normalised = 0; normalised < 2; normalised++) {
        ppo *p = make(&reini_env_pendulum, normalised ? "" : "normalize_advantage=false", NULL);
        reini_rollout *r = gather(p);
        double metric[REINI_METRICS_MAX], mean, std;
        set_schedules(p, metric);
        reini_shuffle(p->order, p->words, 256, 1, SHUFFLE_STREAM, p->shuffles++);
        run_minibatch(p, 100, 57);
        reini_mean_std_at(r->adv, p->order + 100, 57, &mean, &std);
        double loss = rein_exec_scalar(p->part.exec, p->policy_loss);
        assert_true(fabs(loss - (normalised ? 0 : -mean)) < 1e-5 * fmax(1, fabs(mean)));
        assert_true(fabs(mean) > 0.1);
        ppo_destroy(p);
    }
}

/* ---- settings ------------------------------------------------------------------------------------------ */

static void test_schedules(void **state) {
    ppo *p = make(&reini_env_cartpole, "learning_rate=lin_1e-2 clip_range=lin_0.4_0.2 ent_coef=cos_1", NULL);
    reini_report report;
    double rate[4], clip[4];
    for (int k = 0; k < 4; k++) {
        ppo_extend(p, 1024); /* four iterations of 256 */
        ppo_iterate(p, &report);
        rate[k] = report.metric[METRIC_LEARNING_RATE];
        clip[k] = report.metric[METRIC_CLIP_RANGE];
        assert_int_equal(report.env_steps, 256 * (k + 1));
    }
    for (int k = 0; k < 4; k++) { /* the last iteration still learns */
        assert_true(fabs(rate[k] - 1e-2 * (1 - 0.25 * k)) < 1e-12);
        assert_true(fabs(clip[k] - (0.4 - 0.05 * k)) < 1e-12);
    }
    ppo_extend(p, 2048);
    ppo_iterate(p, &report);
    assert_true(fabs(report.metric[METRIC_LEARNING_RATE] - 0.5e-2) < 1e-12);
    ppo_destroy(p);
}

static void test_without_a_critic(void **state) {
    ppo *p = make(&reini_env_cartpole, "critic=false advantage=mc gamma=0.9", NULL);
    reini_rollout *r = gather(p);
    double metric[REINI_METRICS_MAX];
    assert_int_equal(rein_layout_find(p->base.policy->layout, "critic.0.weight"), -1);
    for (int64_t i = r->T * r->N - 1; i >= 0; i--) {
        float next = i + r->N < r->T * r->N && !r->done[i] ? r->adv[i + r->N] : 0;
        assert_true(fabsf(r->adv[i] - (r->reward[i] + 0.9f * next)) < 1e-5f);
    }
    for (int i = 0; i < METRICS; i++)
        metric[i] = NAN;
    learn(p, metric);
    assert_true(isnan(metric[METRIC_VALUE_LOSS]) && isnan(metric[METRIC_EXPLAINED_VARIANCE]));
    assert_true(isfinite(metric[METRIC_POLICY_LOSS]) && isfinite(metric[METRIC_ENTROPY]));
    assert_true(metric[METRIC_GRAD_NORM] > 0);
    ppo_destroy(p);
}

/* td is lambda 0, mc is lambda 1, whatever gae_lambda says */
static void test_advantage_estimators(void **state) {
    static const char *const settings[][2] = {{"advantage=td gae_lambda=0.7", "gae_lambda=0"},
                                              {"advantage=mc gae_lambda=0.7", "gae_lambda=1"}};
    for (int k = 0; k < 2; k++) {
        ppo *a = make(&reini_env_pendulum, settings[k][0], NULL),
            *b = make(&reini_env_pendulum, settings[k][1], NULL);
        assert_memory_equal(gather(a)->adv, gather(b)->adv, 256 * sizeof(float));
        ppo_destroy(a);
        ppo_destroy(b);
    }
}

static const rein_env_type pictures = {
    .id = "test/Pictures-v0",
    .obs = {.kind = REIN_SPACE_IMAGE, .size = 48, .shape = {3, 4, 4}},
    .act = {REIN_SPACE_DISCRETE, 1, {2}},
};

static void test_what_does_not_fit_is_refused(void **state) {
    ppo_config config;
    reini_context context = {.env = &pictures};
    memset(&config, 0, sizeof config);
    rein_fields_default(ppo_fields, reini_algo_ppo.n_fields, &config);
    assert_ok(ppo_check(&config, &context));
    config.encoder = REIN_ENCODER_IMPALA;
    assert_fails(ppo_check(&config, &context), REIN_USAGE, "needs 8 x 8; encoder minatar fits");
    context.env = &reini_env_cartpole;
    assert_ok(ppo_check(&config, &context));
    config.batch_size = config.n_envs * config.n_steps + 1;
    assert_fails(ppo_check(&config, &context), REIN_USAGE,
                 "batch_size: 1025 is larger than n_envs x n_steps");
    config.n_envs = 65536;
    config.n_steps = 1048576;
    assert_fails(ppo_check(&config, &context), REIN_USAGE, "more than 2^31");
}

/* ---- updates that are not finite ----------------------------------------------------------------------- */

static void check_skipped(ppo *p, float *spoiled, float with) {
    static float before[1 << 14];
    size_t bytes = (size_t)rein_store_size(p->base.policy->store) * sizeof(float);
    double sum[REINI_METRICS_MAX] = {0}, metric[REINI_METRICS_MAX];
    float kept = *spoiled;
    int64_t skipped = p->base.skipped;
    memcpy(before, rein_store_view(p->base.policy->store), bytes);
    set_schedules(p, metric);
    *spoiled = with;
    run_minibatch(p, 0, 100);
    step_optimizer(p, sum, 1e-3);
    assert_int_equal(p->base.skipped, skipped + 1);
    assert_int_equal(p->base.skipped_in_a_row, skipped + 1);
    assert_memory_equal(before, rein_store_view(p->base.policy->store), bytes);
    *spoiled = kept;
}

static void check_all_skipped(const char *settings) {
    ppo *p = make(&reini_env_pendulum, settings, NULL);
    reini_rollout *r = gather(p);
    double sum[REINI_METRICS_MAX] = {0};
    check_skipped(p, &r->adv[7], NAN);
    check_skipped(p, &r->ret[99], NAN);
    check_skipped(p, &r->logp[0], NAN);
    check_skipped(p, &r->obs[31], NAN);
    check_skipped(p, &((float *)r->action)[50], NAN);
    check_skipped(p, &r->adv[7], INFINITY);
    check_skipped(p, &r->ret[99], 1e25f); /* its square is too large for a float, its gradient is not */
    /* and then the run goes on */
    run_minibatch(p, 0, 100);
    step_optimizer(p, sum, 1e-3);
    assert_int_equal(p->base.skipped, 7);
    assert_int_equal(p->base.skipped_in_a_row, 0);
    for (int64_t i = 0; i < rein_store_size(p->base.policy->store); i++)
        assert_true(isfinite(((const float *)rein_store_view(p->base.policy->store))[i]));
    ppo_destroy(p);
}

static void test_updates_that_are_not_finite_are_skipped(void **state) {
    check_all_skipped("");
    check_all_skipped("norm_obs=running shared=true");
    check_all_skipped("optimizer=sgd max_grad_norm=0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratio_is_one_at_first),
        cmocka_unit_test(test_ratio_is_one_in_bf16),
        cmocka_unit_test(test_box_penalty),
        cmocka_unit_test(test_penalty_adapts),
        cmocka_unit_test(test_penalty_is_part_of_the_loss),
        cmocka_unit_test(test_every_step_is_used_once_an_epoch),
        cmocka_unit_test(test_shuffle_is_fair),
        cmocka_unit_test(test_target_kl_ends_the_epochs),
        cmocka_unit_test(test_advantages_are_normalised_in_each_minibatch),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_without_a_critic),
        cmocka_unit_test(test_advantage_estimators),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_updates_that_are_not_finite_are_skipped),
    };
    return cmocka_run_group_tests_name("ppo", tests, NULL, NULL);
}
