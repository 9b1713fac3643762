/*
 * test_a2c.c - the parts of A2C's iteration that a golden file cannot show: n-step returns and advantages from a
 * rollout, episodes that end and episodes that are cut, schedules, updates that are not finite.
 *
 * The algorithm's own functions run here on its own rollouts.
 */
#include "support/small_policy.h"

#include "algo/on_policy/a2c.c"
#include "env/env_types.h"
#include "support/on_policy_rig.h"

static a2c *make(const rein_env_type *env, const char *settings) {
    return rig_make(&reini_algo_a2c, env, settings, NULL);
}

static reini_rollout *gather(a2c *p) {
    reini_report report = {0};
    assert_true(reini_on_policy_gather(&p->base, &report));
    return reini_on_policy_rollout(&p->base);
}

/* ---- returns ------------------------------------------------------------------------------------------- */

/* V of the last observation of the episode that environment n was cut in at step t */
static double final_value(const a2c *p, const reini_rollout *r, int64_t t, int64_t n) {
    for (int i = 0; i < r->final_count[n]; i++)
        if (r->final_step[n * r->final_capacity + i] == t)
            return small_policy_value(p->base.policy,
                                      r->final_obs + (n * r->final_capacity + i) * r->obs_size);
    fail_msg("no last observation of step %d, environment %d", (int)t, (int)n);
    return NAN;
}

/* r_t + gamma r_{t+1} + ... + gamma^k V, by the sum itself, at most `most` rewards */
static double n_step_return(const a2c *p, const reini_rollout *r, const float *reward, int64_t t, int64_t n,
                            int64_t most) {
    double sum = 0, discount = 1, gamma = p->config.gamma;
    for (int64_t k = 0; k < most && t < r->T; k++, t++) {
        sum += discount * reward[t * r->N + n];
        discount *= gamma;
        if (r->terminated[t * r->N + n])
            return sum;
        if (r->truncated[t * r->N + n])
            return sum + discount * final_value(p, r, t, n);
    }
    return sum + discount * small_policy_value(p->base.policy, r->obs + (t * r->N + n) * r->obs_size);
}

static void check_returns(const rein_env_type *env, const char *settings, int64_t most, int rounds) {
    a2c *p = make(env, settings);
    int64_t ends = 0, cuts = 0;
    for (int round = 0; round < rounds; round++) {
        reini_rollout *r = gather(p);
        float reward[4096];
        memcpy(reward, r->reward, (size_t)(r->T * r->N) * sizeof *reward);
        reini_on_policy_estimate(&p->base, p->config.gae_lambda);
        for (int64_t i = 0; i < r->T * r->N; i++) {
            double ret = n_step_return(p, r, reward, i / r->N, i % r->N, most);
            double value = small_policy_value(p->base.policy, r->obs + i * r->obs_size);
            assert_true(fabs(r->ret[i] - ret) < 1e-4 * fmax(1, fabs(ret)));
            assert_true(fabs(r->adv[i] - (ret - value)) < 1e-4 * fmax(1, fabs(ret)));
            ends += r->terminated[i];
            cuts += r->truncated[i];
        }
        rig_iterate(&reini_algo_a2c, p, 3); /* other values, other states */
    }
    assert_true(env == &reini_env_cartpole ? ends > 5 : cuts > 5);
    a2c_destroy(p);
}

static void test_returns(void **state) {
    check_returns(&reini_env_cartpole, "n_envs=6 n_steps=9", 9, 20);
    check_returns(&reini_env_time_limit, "n_envs=6 n_steps=7 gamma=0.9", 7, 10);
    check_returns(&reini_env_pendulum, "n_envs=3 n_steps=64 gamma=0.9 norm_obs=warmup", 64, 20);
    check_returns(&reini_env_cartpole, "n_envs=6 n_steps=9 gae_lambda=0", 1, 20);
    check_returns(&reini_env_time_limit, "n_envs=6 n_steps=7 gae_lambda=0", 1, 10);
}

/* ---- the update ---------------------------------------------------------------------------------------- */

static void test_schedules(void **state) {
    a2c *p = make(&reini_env_cartpole, "n_envs=4 n_steps=8 learning_rate=lin_1e-2 ent_coef=lin_0.1");
    for (int k = 0; k < 4; k++) {
        a2c_extend(p, 128); /* four iterations of 32 */
        reini_report report = rig_iterate(&reini_algo_a2c, p, 1);
        assert_true(fabs(report.metric[METRIC_LEARNING_RATE] - 1e-2 * (1 - 0.25 * k)) < 1e-12);
        assert_int_equal(report.env_steps, 32 * (k + 1));
        /* the price on entropy is part of the loss */
        double price = 0.1 * (1 - 0.25 * k), loss = rein_exec_scalar(p->part.exec, p->loss);
        double sum = report.metric[METRIC_POLICY_LOSS] + 0.5 * report.metric[METRIC_VALUE_LOSS] -
                     price * report.metric[METRIC_ENTROPY];
        assert_true(fabs(loss - sum) < 1e-5 * fmax(1, fabs(loss)));
    }
    a2c_destroy(p);
}

static void test_advantages_are_normalised(void **state) {
    for (int normalised = 0; normalised < 2; normalised++) {
        a2c *p = make(&reini_env_pendulum, normalised ? "normalize_advantage=true" : "");
        reini_rollout *r = gather(p);
        double metric[REINI_METRICS_MAX], wanted = 0, mean = 0, std = 0;
        int64_t n = r->T * r->N;
        reini_on_policy_estimate(&p->base, 1);
        for (int64_t i = 0; i < n; i++)
            mean += r->adv[i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            std += pow(r->adv[i] - mean, 2) / (double)(n - 1);
        for (int64_t i = 0; i < n; i++)
            wanted -= r->logp[i] * (normalised ? (r->adv[i] - mean) / sqrt(std) : r->adv[i]) / (double)n;
        learn(p, metric);
        assert_true(fabs(metric[METRIC_POLICY_LOSS] - wanted) < 1e-4 * fmax(1, fabs(wanted)));
        a2c_destroy(p);
    }
}

static void check_skipped(a2c *p, float *spoiled, float with) {
    static float before[1 << 14];
    size_t bytes = (size_t)rein_store_size(p->base.policy->store) * sizeof(float);
    double metric[REINI_METRICS_MAX];
    float kept = *spoiled;
    int64_t skipped = p->base.skipped;
    memcpy(before, rein_store_view(p->base.policy->store), bytes);
    *spoiled = with;
    learn(p, metric);
    assert_int_equal(p->base.skipped, skipped + 1);
    assert_memory_equal(before, rein_store_view(p->base.policy->store), bytes);
    *spoiled = kept;
}

static void test_updates_that_are_not_finite_are_skipped(void **state) {
    a2c *p = make(&reini_env_pendulum, "");
    reini_rollout *r = gather(p);
    double metric[REINI_METRICS_MAX];
    reini_on_policy_estimate(&p->base, 1);
    check_skipped(p, &r->adv[7], NAN);
    check_skipped(p, &r->ret[3], INFINITY);
    check_skipped(p, &r->obs[31], NAN);
    check_skipped(p, &r->ret[3], 1e25f); /* its square is too large for a float, its gradient is not */
    assert_int_equal(p->base.skipped_in_a_row, 4);
    learn(p, metric);
    assert_int_equal(p->base.skipped_in_a_row, 0);
    for (int i = 0; i < 100; i++)
        check_skipped(p, &r->adv[7], NAN);
    reini_report report = {0};
    reini_on_policy_account(&p->base, reini_collector_episodes(p->base.collector), &report);
    assert_true(report.diverged);
    a2c_destroy(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_returns),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_advantages_are_normalised),
        cmocka_unit_test(test_updates_that_are_not_finite_are_skipped),
    };
    return cmocka_run_group_tests_name("a2c", tests, NULL, NULL);
}
