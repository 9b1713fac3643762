/*
 * test_constrained.c - limits and what is made of them: the text of limits, estimates of costs against those of rewards,
 * prices folded into advantages, a reference policy from the start and from a file, steps of CPO over many rollouts, and
 * what is refused.
 */
#include "algo/on_policy/ppo.c"
#include "env/env_types.h"
#include "support/on_policy_rig.h"
#include "support/temp_dir.h"
#include "algo/on_policy/trust_region.h"

extern const reini_algo reini_algo_cpo;

/* ---- an environment whose cost is its reward ------------------------------------------------------------- */

/* Episodes end in their own time, or are cut at the horizon; both ways happen. */
typedef struct toll {
    int32_t step, end;
    float last;
} toll;

static void toll_reset(const void *config, void *state, rein_rng *rng) {
    *(toll *)state = (toll){.end = 3 + (int32_t)rein_rng_below(rng, 12)};
}

static rein_step toll_step(const void *config, void *state, const void *action, rein_rng *rng) {
    toll *s = state;
    s->last = (float)*(const int32_t *)action + 0.25f * (float)rein_rng_below(rng, 4);
    return (rein_step){.reward = s->last, .terminated = ++s->step == s->end};
}

static void toll_observe(const void *config, const void *state, void *obs) {
    const toll *s = state;
    ((float *)obs)[0] = (float)s->step / 10;
    ((float *)obs)[1] = s->last;
}

static void toll_costs(const void *config, const void *state, float *cost) {
    cost[0] = ((const toll *)state)->last;
    cost[1] = 1;
}

static const char *const toll_names[] = {"toll", "step"};
static const rein_env_type toll_env = {
    .abi = REIN_ENV_ABI,
    .id = "Toll-v0",
    .doc = "test",
    .obs = {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2}},
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {3}},
    .horizon = 9,
    .state_size = sizeof(toll),
    .reward_threshold = NAN,
    .reset = toll_reset,
    .step = toll_step,
    .observe = toll_observe,
    .n_costs = 2,
    .cost_names = toll_names,
    .costs = toll_costs,
};

#define SMALL "n_envs=6 n_steps=40 batch_size=80 n_epochs=2 hidden=8,8 "

/* gathered and estimated, without updates */
static ppo *estimated(const rein_env_type *env, const char *settings) {
    ppo *p = rig_make(&reini_algo_ppo, env, settings, NULL);
    reini_report report = {0};
    assert_true(reini_on_policy_gather(&p->base, &report));
    return p;
}

/* ---- estimates ----------------------------------------------------------------------------------------- */

/* cost 0 gets the critic's weights */
static void copy_critic(ppo *p) {
    rein_layout *from = p->base.policy->layout, *to = p->constraint.costs.layout;
    int copied = 0;
    for (int i = 0; i < rein_layout_count(from); i++) {
        rein_param_info a = rein_layout_at(from, i);
        char name[64];
        if (strncmp(a.name, "critic.", 7) != 0)
            continue;
        snprintf(name, sizeof name, "cost0.%s", a.name + 7);
        rein_param_info b = rein_layout_at(to, rein_layout_find(to, name));
        assert_int_equal(a.count, b.count);
        memcpy((float *)rein_store_data(p->constraint.costs.store) + b.offset,
               (const float *)rein_store_view(p->base.policy->store) + a.offset,
               (size_t)a.count * sizeof(float));
        copied++;
    }
    assert_int_equal(copied, 6);
}

static void test_costs_are_estimated_as_rewards_are(void **state) {
    ppo *p = estimated(&toll_env, SMALL "gamma=0.9 gae_lambda=0.8 cost_gamma=0.9 cost_gae_lambda=0.8 "
                                        "cost_limit=5,5");
    reini_rollout *r = reini_on_policy_rollout(&p->base);
    reini_costs *c = &p->constraint.costs;
    int64_t n = r->T * r->N;
    int cut = 0, ended = 0;
    double sum[2] = {0}, length = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_true(r->cost[2 * i] == r->reward[i] && r->cost[2 * i + 1] == 1);
        cut += r->truncated[i] && !r->terminated[i];
        ended += r->done[i];
        if (!r->done[i])
            continue;
        assert_true(r->ep_cost[2 * i] == r->ep_return[i]);
        assert_true(r->ep_cost[2 * i + 1] == (float)r->ep_length[i]);
        sum[0] += (double)r->ep_return[i];
        length += r->ep_length[i];
    }
    assert_true(cut > 5 && ended > cut + 5);
    copy_critic(p);
    reini_on_policy_estimate(&p->base, 0.8);
    reini_costs_estimate(c);
    assert_memory_equal(reini_costs_values(c, 0), r->value, (size_t)(n + r->N) * sizeof(float));
    assert_memory_equal(reini_costs_adv(c, 0), r->adv, (size_t)n * sizeof(float));
    assert_memory_equal(reini_costs_ret(c, 0), r->ret, (size_t)n * sizeof(float));
    assert_true(fabs(c->episode[0] - sum[0] / ended) < 1e-9);
    assert_true(fabs(c->length - length / ended) < 1e-9 && fabs(c->episode[1] - c->length) < 1e-9);
    ppo_destroy(p);
}

static void test_prices_are_folded_in(void **state) {
    ppo *p = estimated(&toll_env, SMALL "cost_limit=5,5");
    reini_rollout *r = reini_on_policy_rollout(&p->base);
    reini_costs *c = &p->constraint.costs;
    static float before[240];
    const double price[2] = {0.5, 2}, none[2] = {0, 0};
    reini_on_policy_estimate(&p->base, 0.95);
    reini_costs_estimate(c);
    memcpy(before, r->adv, sizeof before);
    reini_costs_price(c, none);
    assert_memory_equal(before, r->adv, sizeof before);
    reini_costs_price(c, price);
    for (int i = 0; i < 240; i++) {
        double wanted = ((double)before[i] - 0.5 * (double)reini_costs_adv(c, 0)[i] -
                         2 * (double)reini_costs_adv(c, 1)[i]) /
                        3.5;
        assert_true(fabs((double)r->adv[i] - wanted) < 1e-6);
    }
    ppo_destroy(p);
}

/* an episode of Toll-v0 costs a step for each step: the value of cost 1 at the start is its mean length */
static void test_values_of_costs_are_learned(void **state) {
    ppo *p = rig_make(
        &reini_algo_ppo, &toll_env,
        SMALL "cost_limit=inf,inf cost_gamma=1 cost_gae_lambda=1 learning_rate=1e-2 n_epochs=10", NULL);
    rig_iterate(&reini_algo_ppo, p, 60);
    reini_costs *c = &p->constraint.costs;
    const reini_rollout *r = c->rollout;
    double at_start = 0;
    int starts = 0;
    for (int64_t i = 0; i < (r->T - 1) * r->N; i++)
        if (r->done[i]) {
            at_start += (double)reini_costs_values(c, 1)[i + r->N];
            starts++;
        }
    /* a cut episode goes on: ends are uniform on 3 .. 14 steps */
    print_message("# value of a start: %.2f of 8.5\n", at_start / starts);
    assert_true(fabs(at_start / starts - 8.5) < 0.7);
    assert_true(p->constraint.price[0].price == 0 && p->constraint.price[1].price == 0);
    ppo_destroy(p);
}

/* ---- a reference --------------------------------------------------------------------------------------- */

static double kl_to_reference(ppo *p) {
    run_minibatch(p, 0, p->config.batch_size);
    return rein_exec_scalar(p->part.exec, p->constraint.kl);
}

static void test_the_initial_policy_as_reference(void **state) {
    static const char *const limits[] = {"reference_coef=0.001", "reference_kl=0.01 reference_lr=1"};
    double kl[2];
    for (int k = 0; k < 2; k++) {
        char settings[512];
        snprintf(settings, sizeof settings, SMALL "learning_rate=1e-2 norm_obs=running reference=initial %s",
                 limits[k]);
        ppo *p = estimated(&reini_env_cartpole, settings);
        for (int i = 0; i < p->config.batch_size; i++)
            p->order[i] = i;
        reini_reference_take(&p->constraint.reference, p->base.policy);
        assert_true(fabs(kl_to_reference(p)) < 1e-6);
        double sum = 0;
        for (int i = 0; i < 60; i++)
            sum += i < 40 ? 0 * rig_iterate(&reini_algo_ppo, p, 1).metric[METRIC_REFERENCE_KL]
                          : rig_iterate(&reini_algo_ppo, p, 1).metric[METRIC_REFERENCE_KL];
        kl[k] = sum / 20;
        ppo_destroy(p);
    }
    print_message("# KL to the start: %.4f nearly free, %.4f under a limit of 0.01\n", kl[0], kl[1]);
    assert_true(kl[0] > 0.03 && kl[1] < 0.015 && kl[1] > 0.002);
}

static void test_a_policy_file_as_reference(void **state) {
    const char *path = temp_path("reference.safetensors");
    char settings[1024];
    ppo *first =
        rig_make(&reini_algo_ppo, &reini_env_pendulum, SMALL "norm_obs=running log_std_init=-1", NULL);
    rig_iterate(&reini_algo_ppo, first, 5);
    assert_ok(rein_policy_save(ppo_policy(first), path));
    snprintf(settings, sizeof settings, SMALL "reference=%s reference_coef=100 learning_rate=3e-3", path);
    ppo *p = rig_make(&reini_algo_ppo, &reini_env_pendulum, settings, NULL);
    double before = rig_iterate(&reini_algo_ppo, p, 1).metric[METRIC_REFERENCE_KL];
    double after = rig_iterate(&reini_algo_ppo, p, 60).metric[METRIC_REFERENCE_KL];
    print_message("# KL to the file: %.3f, and %.4f after 60 iterations at a high price\n", before, after);
    assert_true(before > 0.5 && after < 0.05);
    ppo_destroy(p);

    snprintf(settings, sizeof settings, SMALL "reference=%s reference_coef=1", path);
    reini_context context = {.env = &reini_env_cartpole, .seed = 3, .total_steps = 1000};
    ppo_config config;
    void *self = NULL;
    rig_configure(&reini_algo_ppo, &config, settings);
    assert_fails(reini_algo_ppo.create(&config, &context, &self), REIN_MISMATCH, "observation space Box(3");
    context.env = &reini_env_pendulum;
    config.scale_actions = 1;
    assert_fails(reini_algo_ppo.create(&config, &context, &self), REIN_MISMATCH, "actions in other units");
    snprintf(config.reference, sizeof config.reference, "%s", temp_path("absent.safetensors"));
    assert_fails(reini_algo_ppo.create(&config, &context, &self), REIN_IO, "absent.safetensors");
    ppo_destroy(first);
}

/* ---- CPO over many rollouts ----------------------------------------------------------------------------- */

static void check_cpo(const rein_env_type *env, const char *settings, int rounds) {
    reini_trust *t = rig_make(&reini_algo_cpo, env, settings, NULL);
    double radius = rein_schedule_at(&t->config.target_kl, 0);
    int taken = 0, cases[4] = {0};
    for (int i = 0; i < rounds; i++) {
        reini_report report = rig_iterate(&reini_algo_cpo, t, 1);
        assert_true(report.metric[REINI_TRUST_KL] <= radius);
        taken += report.metric[REINI_TRUST_STEP] > 0;
        /* the first metric of CPO's own */
        cases[(int)report.metric[REINI_TRUST_LEARNING_RATE + 1]]++;
    }
    assert_int_equal(t->base.skipped, 0);
    print_message("# %s %s: %d steps of %d; %d free, %d bound, %d recover, %d stay\n", env->id, settings,
                  taken, rounds, cases[0], cases[1], cases[2], cases[3]);
    assert_true(taken > rounds / 2);
    reini_algo_cpo.destroy(t);
}

static void test_cpo_steps_stay_in_the_region(void **state) {
    check_cpo(&toll_env, "n_envs=8 n_steps=32 batch_size=128 hidden=16,16 cost_limit=4,inf", 40);
    check_cpo(&toll_env, "n_envs=8 n_steps=32 batch_size=128 hidden=16,16 cost_limit=4,6 cg_damping=0.01",
              40);
    check_cpo(&toll_env, "n_envs=8 n_steps=32 batch_size=128 hidden=16,16 cost_limit=100,100", 40);
    check_cpo(&reini_env_cost_grid, "n_envs=8 n_steps=64 batch_size=128 hidden=16 cost_limit=1,0.5", 40);
}

/* ---- what is refused ----------------------------------------------------------------------------------- */

static void refused(const reini_algo *algo, const rein_env_type *env, const char *settings,
                    const char *words) {
    assert_fails(rig_check(algo, env, settings), REIN_USAGE, words);
}

static void test_what_does_not_fit_is_refused(void **state) {
    const reini_algo *ppo_algo = &reini_algo_ppo, *cpo_algo = &reini_algo_cpo;
    assert_ok(rig_check(ppo_algo, &toll_env, SMALL "cost_limit=1.5,inf"));
    assert_ok(rig_check(ppo_algo, &toll_env, SMALL "cost_limit=none"));
    refused(ppo_algo, &toll_env, SMALL "cost_limit=1", "1 limits for the 2 costs of Toll-v0 (toll, step)");
    refused(ppo_algo, &toll_env, SMALL "cost_limit=1,2,3", "3 limits for the 2 costs");
    refused(ppo_algo, &toll_env, SMALL "cost_limit=1,,2", "\"\" is not a number");
    refused(ppo_algo, &toll_env, SMALL "cost_limit=1,x", "\"x\" is not a number");
    refused(ppo_algo, &toll_env, SMALL "cost_limit=1,-inf", "\"-inf\" is not a number");
    refused(ppo_algo, &toll_env, SMALL "cost_limit=1,1,1,1,1,1,1,1,1,1,1,1", "12 limits for the 2 costs");
    refused(ppo_algo, &reini_env_cartpole, SMALL "cost_limit=1", "CartPole-v1 has no costs to limit");
    refused(ppo_algo, &toll_env, SMALL "reference=initial", "neither a price (reference_coef) nor a limit");
    refused(ppo_algo, &toll_env, SMALL "reference_kl=0.1", "reference_kl: there is no reference");
    refused(ppo_algo, &toll_env, SMALL "reference_coef=0.1", "reference_coef: there is no reference");
    refused(cpo_algo, &reini_env_cartpole, "cost_limit=none", "cpo: CartPole-v1 has no costs to limit");
    refused(cpo_algo, &toll_env, "cost_limit=none", "cpo needs one for each of the 2 costs");
    refused(cpo_algo, &toll_env, "cost_limit=1,2 shared=true", "shared: cpo keeps actor and critic apart");
    reini_context context = {.env = &reini_env_cartpole, .seed = 3, .total_steps = 1000};
    ppo_config config;
    void *self = NULL;
    rig_configure(ppo_algo, &config, SMALL "gru=8 sequence=8 reference=initial reference_coef=1");
    assert_fails(ppo_algo->create(&config, &context, &self), REIN_UNSUPPORTED, "memory (gru)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs_are_estimated_as_rewards_are),
        cmocka_unit_test(test_prices_are_folded_in),
        cmocka_unit_test(test_values_of_costs_are_learned),
        cmocka_unit_test(test_the_initial_policy_as_reference),
        cmocka_unit_test(test_a_policy_file_as_reference),
        cmocka_unit_test(test_cpo_steps_stay_in_the_region),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("constrained policies", tests, temp_dir_make, temp_dir_remove);
}
