/*
 * test_trpo.c - what TRPO promises of every step, over many of them: the KL measured by hand in double is within the
 * trust region, the surrogate improves, and otherwise nothing moves; the policy's step and the fitting of values
 * leave each other alone.
 *
 * The algorithm's own functions run here on its own rollouts.
 */
#include "support/small_policy.h"

#include "algo/on_policy/trpo.c"
#include "env/env_types.h"
#include "rl/advantage.h"
#include "support/on_policy_rig.h"

static trpo *make(const rein_env_type *env, const char *settings) {
    return rig_make(&reini_algo_trpo, env, settings, NULL);
}

static reini_rollout *gather(trpo *p) {
    reini_report report = {0};
    assert_true(reini_on_policy_gather(&p->base, &report));
    reini_on_policy_estimate(&p->base, p->config.gae_lambda);
    reini_trust_prepare(p);
    return reini_on_policy_rollout(&p->base);
}

/* ---- the policy by hand -------------------------------------------------------------------------------- */

static void log_softmax(const double *logits, const uint8_t *mask, int n, double *out) {
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        most = mask == NULL || mask[i] ? fmax(most, logits[i]) : most;
    for (int i = 0; i < n; i++)
        sum += mask == NULL || mask[i] ? exp(logits[i] - most) : 0;
    for (int i = 0; i < n; i++)
        out[i] = mask == NULL || mask[i] ? logits[i] - most - log(sum) : -INFINITY;
}

static double log_std_of(const reini_net *policy) {
    int i = rein_layout_find(policy->layout, "log_std");
    return ((const float *)rein_store_view(policy->store))[rein_layout_at(policy->layout, i).offset];
}

/* log pi(a|s) and KL(old || new) at step i; boxes have one number */
static double row_terms(const trpo *p, const reini_rollout *r, int64_t i, double *kl) {
    const reini_net *policy = p->base.policy;
    const rein_space *act = &policy->base.act;
    double now[SMALL_WIDTH], old[SMALL_WIDTH], q[SMALL_WIDTH], o[SMALL_WIDTH], logp = 0;
    small_policy_head(policy, "actor", r->obs + i * r->obs_size, now);
    for (int k = 0; k < r->logits; k++)
        old[k] = r->output[i * r->logits + k];
    *kl = 0;
    if (act->kind == REIN_SPACE_BOX) {
        double s = p->old_log_std[0], t = log_std_of(policy), z = ((const float *)r->action)[i] - now[0];
        *kl = t - s + (exp(2 * s) + pow(old[0] - now[0], 2)) / (2 * exp(2 * t)) - 0.5;
        return -0.5 * z * z / exp(2 * t) - t - 0.5 * log(2 * 3.14159265358979323846);
    }
    for (int part = 0, at = 0; part < act->size; at += act->n[part++]) {
        const uint8_t *mask = r->mask != NULL ? r->mask + i * r->logits + at : NULL;
        log_softmax(now + at, mask, act->n[part], q);
        log_softmax(old + at, mask, act->n[part], o);
        for (int k = 0; k < act->n[part]; k++)
            *kl += exp(o[k]) > 0 ? exp(o[k]) * (o[k] - q[k]) : 0;
        logp += q[((const int32_t *)r->action)[i * act->size + part]];
    }
    return logp;
}

/* surrogate and KL over the chosen steps */
static reini_trial by_hand(const trpo *p, const reini_rollout *r) {
    double mean, std, kl;
    reini_trial sum = {0};
    reini_mean_std_at(r->adv, p->chosen, p->n_chosen, &mean, &std);
    for (int64_t k = 0; k < p->n_chosen; k++) {
        int64_t i = p->chosen[k];
        double ratio = exp(row_terms(p, r, i, &kl) - r->logp[i]);
        sum.objective += ratio * (r->adv[i] - mean) / (std + 1e-8) / (double)p->n_chosen;
        sum.kl += kl / (double)p->n_chosen;
    }
    return sum;
}

/* ---- the promise --------------------------------------------------------------------------------------- */

static int taken, shortened, refused; /* steps */

static void check_step(trpo *p, double radius) {
    static float before[1 << 14];
    double metric[REINI_METRICS_MAX];
    reini_rollout *r = gather(p);
    float *params = rein_store_data(p->base.policy->store);
    memcpy(before, params, (size_t)p->n * sizeof *params);
    reini_trial old = by_hand(p, r);
    assert_true(old.kl < 1e-9 && fabs(old.objective) < 1e-4);
    improve_policy(p, radius, metric);
    reini_trial now = by_hand(p, r);
    if (metric[REINI_TRUST_STEP] == 0) {
        assert_memory_equal(before, params, (size_t)p->n * sizeof *params);
        refused++;
        return;
    }
    taken++;
    shortened += metric[REINI_TRUST_STEP] < 1;
    assert_true(now.kl <= radius * (1 + 1e-4));
    assert_true(now.kl > 0);
    assert_true(fabs(now.kl - metric[REINI_TRUST_KL]) < 1e-3 * now.kl + 1e-7);
    assert_true(now.objective > old.objective);
    assert_true(fabs(now.objective - old.objective - metric[REINI_TRUST_SURROGATE]) <
                1e-3 * fabs(now.objective) + 1e-4);
    for (int k = 0; k < rein_layout_count(p->base.policy->layout); k++) { /* values are not touched */
        rein_param_info info = rein_layout_at(p->base.policy->layout, k);
        bool same =
            memcmp(before + info.offset, params + info.offset, (size_t)info.count * sizeof *params) == 0;
        assert_true(same == (strncmp(info.name, "critic", 6) == 0));
    }
}

static void check_steps(const rein_env_type *env, const char *settings, int rounds) {
    trpo *p = make(env, settings);
    taken = shortened = refused = 0;
    double radius = rein_schedule_at(&p->config.target_kl, 0);
    for (int i = 0; i < rounds; i++) {
        check_step(p, radius);
        const reini_rollout *r = reini_on_policy_rollout(&p->base);
        reini_critic_fit(&p->critic, r->T * r->N, 5, 1e-3);
    }
    print_message("# %s %s: %d steps, %d shortened, %d refused\n", env->id, settings, taken, shortened,
                  refused);
    trpo_destroy(p);
}

#define SMALL "n_envs=8 n_steps=32 batch_size=128 hidden=16,16 "

static void test_steps_stay_in_the_region(void **state) {
    check_steps(&reini_env_cartpole, SMALL, 60);
    assert_true(taken >= 55);
    check_steps(&reini_env_cartpole, SMALL "cg_damping=1e-3 target_kl=0.1", 60);
    assert_true(taken >= 30 && shortened > 0);
    check_steps(&reini_env_pendulum, SMALL "target_kl=0.05 cg_damping=1e-3", 60);
    assert_true(taken >= 50);
    check_steps(&reini_env_identity_masked, SMALL "cg_damping=0.01", 40);
    assert_true(taken >= 30);
    check_steps(&reini_env_identity_multi_discrete, SMALL "target_kl=0.1 cg_damping=1e-3", 40);
    assert_true(taken >= 30);
    check_steps(&reini_env_acrobot, SMALL "sub_sampling_factor=3 norm_reward=true", 40);
    assert_true(taken >= 30);
}

/* the step ends where x'(F + damping)x / 2 is the radius, and for a small one the KL is x'F x / 2 */
static void test_steps_end_on_the_border(void **state) {
    static const rein_env_type *const envs[] = {&reini_env_cartpole, &reini_env_pendulum,
                                                &reini_env_identity_masked};
    for (int k = 0; k < 3; k++) {
        trpo *p = make(envs[k], SMALL "cg_damping=0.05");
        double metric[REINI_METRICS_MAX], radius = 1e-4;
        rig_iterate(&reini_algo_trpo, p, 5);
        gather(p);
        reini_trust_evaluate(&p->ascent);
        reini_trust_doubles(p->g, p->gradient, p->n);
        reini_trust_doubles(p->start, p->base.policy->store, p->n);
        assert_true(find_step(p, radius, metric));
        reini_trust_product(p, p->x, p->hx);
        double length = reini_dot(p->x, p->hx, p->n) / 2;
        double kl = length - 0.05 * reini_dot(p->x, p->x, p->n) / 2, found = reini_trust_attempt(p, 1).kl;
        print_message("# %s: KL %.3g, quadratic %.3g, radius %.3g\n", envs[k]->id, found, kl, length);
        assert_true(fabs(length - radius) < 1e-5 * radius);
        assert_true(kl > 0.1 * radius);
        assert_true(fabs(found - kl) < 0.05 * kl);
        trpo_destroy(p);
    }
}

/* a region far larger than the quadratic model is good for, and a single try */
static void test_steps_that_fail_are_taken_back(void **state) {
    check_steps(&reini_env_pendulum, SMALL "target_kl=20 cg_damping=0 line_search_max_iter=1", 20);
    assert_true(refused > 5);
}

static void test_nothing_has_moved_before_the_step(void **state) {
    static const rein_env_type *const envs[] = {&reini_env_cartpole, &reini_env_pendulum,
                                                &reini_env_identity_masked,
                                                &reini_env_identity_multi_discrete};
    for (int k = 0; k < 4; k++) {
        trpo *p = make(envs[k], SMALL);
        for (int i = 0; i < 3; i++) {
            gather(p);
            reini_trial a = reini_trust_evaluate(&p->ascent), b = reini_trust_evaluate(&p->judge);
            assert_true(a.kl == b.kl && a.objective == b.objective);
            assert_true(fabs(a.kl) < 1e-7 && fabs(a.objective) < 1e-6);
            rig_iterate(&reini_algo_trpo, p, 1);
        }
        trpo_destroy(p);
    }
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static void test_fitting_values_leaves_the_policy_alone(void **state) {
    static float before[1 << 14];
    trpo *p = make(&reini_env_pendulum, SMALL);
    const reini_rollout *r = gather(p);
    float *params = rein_store_data(p->base.policy->store);
    memcpy(before, params, (size_t)p->n * sizeof *params);
    double first = reini_critic_fit(&p->critic, r->T * r->N, 1, 3e-3), last = 0;
    for (int i = 0; i < 30; i++)
        last = reini_critic_fit(&p->critic, r->T * r->N, 1, 3e-3);
    assert_true(last < 0.9 * first);
    for (int k = 0; k < rein_layout_count(p->base.policy->layout); k++) {
        rein_param_info info = rein_layout_at(p->base.policy->layout, k);
        bool same =
            memcmp(before + info.offset, params + info.offset, (size_t)info.count * sizeof *params) == 0;
        assert_true(same == (strncmp(info.name, "critic", 6) != 0));
    }
    assert_true(isnan(reini_critic_fit(&p->critic, r->T * r->N, 0, 1e-3)));
    trpo_destroy(p);
}

static void test_what_is_not_finite_moves_nothing(void **state) {
    static float before[1 << 14];
    trpo *p = make(&reini_env_pendulum, SMALL);
    reini_rollout *r = gather(p);
    float *params = rein_store_data(p->base.policy->store);
    float *const spoiled[] = {&r->adv[7], &r->logp[3], &r->obs[31], &((float *)r->action)[50], &r->output[9]};
    double metric[REINI_METRICS_MAX];
    memcpy(before, params, (size_t)p->n * sizeof *params);
    for (int i = 0; i < 5; i++) {
        float kept = *spoiled[i];
        *spoiled[i] = NAN;
        reini_trust_prepare(p);
        improve_policy(p, 0.01, metric);
        assert_memory_equal(before, params, (size_t)p->n * sizeof *params);
        assert_true(metric[REINI_TRUST_STEP] == 0);
        *spoiled[i] = kept;
    }
    assert_int_equal(p->base.skipped, 4); /* a spoiled old output fails the KL alone: a refused step */
    r->ret[5] = NAN;
    reini_critic_fit(&p->critic, r->T * r->N, 1, 1e-3);
    assert_int_equal(p->base.skipped, 5); /* one minibatch of two */
    for (int64_t i = 0; i < p->n; i++)
        assert_true(isfinite(params[i]));
    reini_trust_prepare(p);
    improve_policy(p, 0.01, metric);
    assert_true(metric[REINI_TRUST_STEP] > 0);
    trpo_destroy(p);
}

static void test_a_region_of_nothing(void **state) {
    static float before[1 << 14];
    trpo *p = make(&reini_env_cartpole, SMALL "target_kl=0");
    double metric[REINI_METRICS_MAX];
    gather(p);
    memcpy(before, rein_store_view(p->base.policy->store), (size_t)p->n * sizeof *before);
    improve_policy(p, 0, metric);
    assert_memory_equal(before, rein_store_view(p->base.policy->store), (size_t)p->n * sizeof *before);
    assert_true(metric[REINI_TRUST_STEP] == 0);
    trpo_destroy(p);
}

static void test_what_does_not_fit_is_refused(void **state) {
    const reini_algo *algo = &reini_algo_trpo;
    assert_ok(rig_check(algo, &reini_env_cartpole, SMALL));
    assert_fails(rig_check(algo, &reini_env_cartpole, "shared=true"), REIN_USAGE,
                 "keeps actor and critic apart");
    assert_fails(rig_check(algo, &reini_env_cartpole, "n_envs=2 n_steps=4 batch_size=9"), REIN_USAGE,
                 "batch_size: 9 is larger than");
    assert_fails(
        rig_check(algo, &reini_env_cartpole, "n_envs=2 n_steps=4 batch_size=8 sub_sampling_factor=9"),
        REIN_USAGE, "leaves no step");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_stay_in_the_region),
        cmocka_unit_test(test_steps_end_on_the_border),
        cmocka_unit_test(test_steps_that_fail_are_taken_back),
        cmocka_unit_test(test_nothing_has_moved_before_the_step),
        cmocka_unit_test(test_fitting_values_leaves_the_policy_alone),
        cmocka_unit_test(test_what_is_not_finite_moves_nothing),
        cmocka_unit_test(test_a_region_of_nothing),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("trpo", tests, NULL, NULL);
}
