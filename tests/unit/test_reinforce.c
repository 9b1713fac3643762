/*
 * test_reinforce.c - whole episodes and nothing else, ends and cuts of episodes, and the statistics: every baseline
 * leaves the gradient's mean where it is, the measured variance is the variance, and it falls as it should. Without discount, that is: total returns discount from the first step, returns to go from their own.
 *
 * The algorithm's own functions run here on its own episodes.
 */
#include "support/small_policy.h"

#include "algo/on_policy/reinforce.c"
#include "env/env_types.h"
#include "support/on_policy_rig.h"

static reinforce *make(const rein_env_type *env, const char *settings) {
    return rig_make(&reini_algo_reinforce, env, settings, NULL);
}

static void gather(reinforce *p) {
    reini_report report = {0};
    assert_true(reini_whole_gather(&p->whole, &report));
}

/* ---- episodes ------------------------------------------------------------------------------------------ */

/* CartPole starts within 0.05 of 0 and pays 1 a step */
static void test_episodes_are_whole(void **state) {
    reinforce *p =
        make(&reini_env_cartpole, "n_envs=5 episodes_per_env=3 variance_every=0 learning_rate=1e-2");
    for (int round = 0; round < 10; round++) {
        gather(p);
        int64_t at = 0;
        assert_int_equal(p->whole.count, 15);
        for (int64_t k = 0; k < 15; k++) {
            const reini_episode *e = &p->whole.episodes[k];
            assert_int_equal(e->first, at);
            assert_true(e->length > 0 && e->total == (float)e->length);
            for (int64_t i = e->first; i < e->first + e->length; i++) {
                const float *obs = p->whole.steps.obs + 4 * i;
                bool start = true;
                for (int d = 0; d < 4; d++)
                    start = start && fabsf(obs[d]) <= 0.05f;
                /* the cart's place follows from its speed: the steps are neighbours */
                if (i > e->first)
                    assert_true(fabsf(obs[0] - (obs[-4] + 0.02f * obs[-3])) < 1e-6f);
                else
                    assert_true(start);
            }
            at += e->length;
        }
        assert_int_equal(at, p->whole.n_steps);
        rig_iterate(&reini_algo_reinforce, p, 1);
    }
    reini_report report = rig_iterate(&reini_algo_reinforce, p, 1);
    assert_int_equal(report.episodes, 11 * 15);
    assert_true(report.metric[METRIC_STEPS_LEARNED] == (double)p->whole.n_steps);
    reinforce_destroy(p);
}

/* Each environment's first episodes, not those that happened to end first: Ends-v0 takes 1 or 30 steps, by a coin. */
typedef struct coin {
    int32_t left;
} coin;

static void coin_reset(const void *config, void *state, rein_rng *rng) {
    ((coin *)state)->left = rein_rng_below(rng, 2) ? 30 : 1;
}

static rein_step coin_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){.reward = 1, .terminated = --((coin *)state)->left == 0};
}

static void coin_observe(const void *config, const void *state, void *obs) {
    *(float *)obs = 1;
}

static const rein_env_type ends = {
    .abi = REIN_ENV_ABI,
    .id = "test/Ends-v0",
    .doc = "1 or 30 steps, by a coin",
    .obs = REINI_BOX(1, NULL, NULL),
    .act = REINI_DISCRETE(2),
    .horizon = 40,
    .state_size = sizeof(coin),
    .reset = coin_reset,
    .step = coin_step,
    .observe = coin_observe,
};

static void test_short_episodes_are_not_favoured(void **state) {
    reinforce *p = make(&ends, "n_envs=8 episodes_per_env=2 learning_rate=0 variance_every=0 baseline=none");
    int long_ones = 0;
    for (int round = 0; round < 200; round++) {
        gather(p);
        for (int64_t k = 0; k < 16; k++)
            long_ones += p->whole.episodes[k].length == 30;
    }
    assert_true(fabs(long_ones / 3200.0 - 0.5) < 0.035); /* four standard deviations */
    reinforce_destroy(p);
}

/* ---- returns ------------------------------------------------------------------------------------------- */

static void check_return(const rein_env_type *env, const char *settings, bool bootstrapped) {
    reinforce *p = make(env, settings);
    static const float obs[1] = {1};
    for (int round = 0; round < 5; round++) {
        gather(p);
        weigh(p);
        double tail = bootstrapped ? small_policy_value(p->base.policy, obs) : 0;
        for (int64_t k = 0; k < p->whole.count; k++) {
            const reini_episode *e = &p->whole.episodes[k];
            double sum = tail;
            for (int64_t i = e->first + e->length - 1; i >= e->first; i--) {
                sum = 1 + 0.9 * sum;
                assert_true(fabs(p->whole.steps.ret[i] - sum) < 1e-4);
            }
            if (env == &reini_env_time_limit)
                assert_int_equal(e->length, 10);
        }
        rig_iterate(&reini_algo_reinforce, p, 1);
    }
    reinforce_destroy(p);
}

static void test_ends_and_cuts(void **state) {
    check_return(&reini_env_time_limit, "gamma=0.9 baseline=learned hidden=8", true);
    check_return(&reini_env_time_limit, "gamma=0.9 baseline=none hidden=8", false);
    check_return(&reini_env_time_limit, "gamma=0.9 baseline=mean hidden=8 returns=total", false);
    check_return(&ends, "gamma=0.9 baseline=learned hidden=8", false);
}

/* ---- statistics ---------------------------------------------------------------------------------------- */

enum { VARIANTS = 4, MOST = 4096 };
static const struct {
    const char *name;
    int returns, baseline;
} variants[VARIANTS] = {{"total return", RETURNS_TOTAL, BASELINE_NONE},
                        {"reward to go", RETURNS_TO_GO, BASELINE_NONE},
                        {"reward to go, batch mean", RETURNS_TO_GO, BASELINE_MEAN},
                        {"reward to go, learned", RETURNS_TO_GO, BASELINE_LEARNED}};

typedef struct sums {
    double g[MOST], squares; /* of the gradient's numbers, of its length */
    double measured;
} sums;

/* one batch, judged in every way */
static void add_batch(reinforce *p, sums sum[VARIANTS]) {
    const float *g = rein_store_view(p->grads);
    gather(p);
    for (int v = 0; v < VARIANTS; v++) {
        p->config.returns = variants[v].returns;
        p->config.baseline = variants[v].baseline;
        weigh(p);
        sum[v].measured += gradient_variance(p);
        run_steps(p, 0, p->whole.n_steps, p->whole.count);
        for (int64_t i = 0; i < p->n; i++) {
            sum[v].g[i] += g[i];
            sum[v].squares += (double)g[i] * g[i];
        }
    }
}

/* V catches up with the policy, which stays */
static void fit_baseline(reinforce *p) {
    double metric[REINI_METRICS_MAX];
    for (int i = 0; i < 100; i++) {
        gather(p);
        weigh(p);
        improve_baseline(p, metric);
    }
}

/* from many batches of one policy: the variance of g among them, and how far its means lie apart */
static void check_statistics(const rein_env_type *env, const char *settings, int training, int batches) {
    static sums sum[VARIANTS];
    reinforce *p = make(env, settings);
    double before = INFINITY;
    rig_iterate(&reini_algo_reinforce, p, training);
    fit_baseline(p);
    memset(sum, 0, sizeof sum);
    assert_true(p->n <= MOST);
    for (int i = 0; i < batches; i++)
        add_batch(p, sum);
    for (int v = 0; v < VARIANTS; v++) {
        double mean = 0, apart = 0, n = batches;
        for (int64_t i = 0; i < p->n; i++) {
            mean += pow(sum[v].g[i] / n, 2);
            apart += pow((sum[v].g[i] - sum[VARIANTS - 1].g[i]) / n, 2);
        }
        double variance = (sum[v].squares / n - mean) * n / (n - 1), measured = sum[v].measured / n;
        double error =
            (variance + (sum[VARIANTS - 1].squares / n)) / n; /* of the distance of two means, at most */
        print_message("# %s, %s: variance %.4g, measured %.4g, |mean|^2 %.3g, apart %.3g of %.3g\n", env->id,
                      variants[v].name, variance, measured, mean, apart, error);
        assert_true(fabs(measured / variance - 1) < 0.2);
        if (v > 0 || p->config.gamma == 1)
            assert_true(apart < 2 * error);
        /* undiscounted returns to go beat total ones, both baselines beat none; which of them is better depends */
        if (v != 1 || p->config.gamma == 1)
            assert_true(measured < before);
        before = v < 2 ? measured : before;
    }
    reinforce_destroy(p);
}

static void test_variance(void **state) {
    check_statistics(&reini_env_cartpole,
                     "n_envs=8 episodes_per_env=2 hidden=16 gamma=1 critic_learning_rate=1e-2", 30, 2000);
    check_statistics(&reini_env_cartpole, "n_envs=8 episodes_per_env=2 hidden=16 critic_learning_rate=1e-2",
                     30, 2000);
    check_statistics(&reini_env_pendulum,
                     "n_envs=8 hidden=16 gamma=0.9 critic_learning_rate=1e-2 n_critic_updates=20", 30, 1000);
}

static void test_variance_is_measured_when_asked(void **state) {
    reinforce *p = make(&reini_env_cartpole, "variance_every=3");
    for (int i = 0; i < 7; i++) {
        reini_report report = rig_iterate(&reini_algo_reinforce, p, 1);
        assert_true(isnan(report.metric[METRIC_GRAD_VARIANCE]) == (i % 3 != 0));
        if (i % 3 == 0)
            assert_true(report.metric[METRIC_GRAD_VARIANCE] > 0);
    }
    reinforce_destroy(p);
    p = make(&reini_env_cartpole, "variance_every=1 n_envs=1");
    assert_true(isnan(rig_iterate(&reini_algo_reinforce, p, 1).metric[METRIC_GRAD_VARIANCE]));
    reinforce_destroy(p);
}

/* measuring changes nothing that is learned */
static void test_measuring_is_free_of_consequences(void **state) {
    reinforce *a = make(&reini_env_cartpole, "variance_every=0 ent_coef=0.1"),
              *b = make(&reini_env_cartpole, "variance_every=1 ent_coef=0.1");
    rig_iterate(&reini_algo_reinforce, a, 5);
    rig_iterate(&reini_algo_reinforce, b, 5);
    assert_memory_equal(rein_store_view(a->base.policy->store), rein_store_view(b->base.policy->store),
                        (size_t)a->n * sizeof(float));
    reinforce_destroy(a);
    reinforce_destroy(b);
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static void test_normalised_weights(void **state) {
    reinforce *p = make(&reini_env_pendulum, "normalize_advantage=true");
    double sum = 0, squares = 0;
    gather(p);
    weigh(p);
    for (int64_t i = 0; i < p->whole.n_steps; i++) {
        sum += p->whole.steps.adv[i];
        squares += pow(p->whole.steps.adv[i], 2);
    }
    assert_true(fabs(sum / (double)p->whole.n_steps) < 1e-5);
    assert_true(fabs(squares / (double)p->whole.n_steps - 1) < 1e-2);
    reinforce_destroy(p);
}

static void test_what_is_not_finite_moves_nothing(void **state) {
    static float before[MOST];
    reinforce *p = make(&reini_env_pendulum, "hidden=16");
    double metric[REINI_METRICS_MAX];
    gather(p);
    weigh(p);
    memcpy(before, rein_store_view(p->base.policy->store), (size_t)p->n * sizeof *before);
    p->whole.steps.adv[9] = NAN;
    improve_policy(p, metric);
    assert_int_equal(p->base.skipped, 1);
    assert_memory_equal(before, rein_store_view(p->base.policy->store), (size_t)p->n * sizeof *before);
    p->whole.steps.ret[9] = INFINITY;
    improve_baseline(p, metric);
    assert_int_equal(p->base.skipped, 1 + 10); /* one minibatch of every pass */
    weigh(p);
    improve_policy(p, metric);
    assert_int_equal(p->base.skipped_in_a_row, 0);
    for (int64_t i = 0; i < p->n; i++)
        assert_true(isfinite(((const float *)rein_store_view(p->base.policy->store))[i]));
    reinforce_destroy(p);
}

static void test_what_does_not_fit_is_refused(void **state) {
    const reini_algo *algo = &reini_algo_reinforce;
    rein_env_type endless = reini_env_cartpole;
    endless.horizon = 0;
    assert_ok(rig_check(algo, &reini_env_cartpole, "baseline=mean"));
    assert_fails(rig_check(algo, &endless, ""), REIN_USAGE, "CartPole-v1 has no time limit");
    assert_fails(rig_check(algo, &reini_env_cartpole, "shared=true"), REIN_USAGE,
                 "keeps policy and baseline apart");
    assert_fails(rig_check(algo, &reini_env_cartpole, "baseline=mean n_envs=1"), REIN_USAGE, "at least 2");
    assert_fails(rig_check(algo, &reini_env_cartpole, "n_envs=65536 episodes_per_env=66"), REIN_USAGE,
                 "more than 2^31 steps");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_episodes_are_whole),
        cmocka_unit_test(test_short_episodes_are_not_favoured),
        cmocka_unit_test(test_ends_and_cuts),
        cmocka_unit_test(test_variance),
        cmocka_unit_test(test_variance_is_measured_when_asked),
        cmocka_unit_test(test_measuring_is_free_of_consequences),
        cmocka_unit_test(test_normalised_weights),
        cmocka_unit_test(test_what_is_not_finite_moves_nothing),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("reinforce", tests, NULL, NULL);
}
