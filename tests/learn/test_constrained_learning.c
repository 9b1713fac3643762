/*
 * test_constrained_learning.c - constraint methods keep their limits on a grid whose best returns under limits are known
 * exactly from a linear program (tests/reference/cost_grid_lp.py): PPO with gradient and PID prices, and CPO; one limit
 * and two; several seeds. What is measured is the policy that was trained, which draws its actions.
 */
#include <math.h>
#include <rein/rein.h>
#include "support/learn_rig.h"

enum { ENVS = 200, EPISODES = 4000, SEEDS = 3 };

typedef struct outcome {
    double mean, cost[2];
} outcome;

/* mean return and costs of episodes with drawn actions */
static outcome play(const char *path) {
    static int32_t obs[ENVS], action[ENVS], length[ENVS];
    static float reward[ENVS], cost[2 * ENVS], whole[2 * ENVS], total[ENVS];
    static uint8_t terminated[ENVS], truncated[ENVS];
    rein_slab slab = {.action = action,
                      .obs = obs,
                      .reward = reward,
                      .terminated = terminated,
                      .truncated = truncated,
                      .ep_return = total,
                      .ep_length = length,
                      .cost = cost,
                      .ep_cost = whole};
    rein_policy *policy;
    rein_vec *vec;
    outcome sum = {0};
    int episodes = 0;
    assert_ok(rein_policy_load(path, &policy));
    assert_ok(rein_vec_new(rein_env_find("CostGrid-v1"), &(rein_vec_opts){.n = ENVS, .seed = 12345}, &vec));
    rein_vec_reset(vec, 0, ENVS, &slab);
    /* as many episodes of every environment, or the short ones would count more often */
    int done[ENVS] = {0};
    for (uint64_t t = 0; episodes < EPISODES; t++) {
        rein_policy_act(policy, ENVS, obs, NULL, &(rein_sampling){.seed = 7, .step = t}, action);
        rein_vec_step(vec, 0, ENVS, &slab);
        for (int i = 0; i < ENVS; i++) {
            if (!(terminated[i] || truncated[i]) || done[i]++ >= EPISODES / ENVS)
                continue;
            sum.mean += (double)total[i] / EPISODES;
            for (int k = 0; k < 2; k++)
                sum.cost[k] += (double)whole[2 * i + k] / EPISODES;
            episodes++;
        }
    }
    rein_vec_free(vec);
    rein_policy_free(policy);
    return sum;
}

/* trains with "name=value name=value" on top of what all have */
static outcome trained(const char *algo, const char *settings, int seed) {
    char base[256], path[1100];
    snprintf(base, sizeof base,
             LEARN_ALONE "seed=%d hidden=64 gamma=1 cost_gamma=1 n_envs=32 batch_size=1024 eval_episodes=1",
             seed);
    rein_summary summary = learn(algo, "CostGrid-v1", "none", base, settings);
    snprintf(path, sizeof path, "%s/policy.safetensors", summary.run_dir);
    return play(path);
}

/* Over seeds the limits are kept in the mean but for SLACK, by each seed but for SWING (costs in an episode; prices and
 * recoveries swing around a limit, and a run ends somewhere in a swing), and the mean return is at least `share` of the
 * best possible under them. Staying away from every cost earns 0.53 of the best under one limit and 0.75 under two;
 * ignoring the limits costs 4 in an episode. */
#define SLACK 0.2
#define SWING 0.3

static void keeps(const char *algo, const char *settings, const double limit[2], double best, double share) {
    double mean = 0, cost[2] = {0, 0};
    for (int seed = 1; seed <= SEEDS; seed++) {
        outcome o = trained(algo, settings, seed);
        print_message("# %s %s, seed %d: return %.4f of %.4f, costs %.3f %.3f\n", algo, settings, seed,
                      o.mean, best, o.cost[0], o.cost[1]);
        mean += o.mean / SEEDS;
        for (int k = 0; k < 2; k++) {
            cost[k] += o.cost[k] / SEEDS;
            if (!(o.cost[k] <= limit[k] + SWING))
                fail_msg("%s, seed %d: cost %d is %.3f under a limit of %.3f", algo, seed, k, o.cost[k],
                         limit[k]);
        }
    }
    for (int k = 0; k < 2; k++)
        if (!(cost[k] <= limit[k] + SLACK))
            fail_msg("%s: cost %d is %.3f in the mean, the limit %.3f", algo, k, cost[k], limit[k]);
    if (!(mean >= share * best))
        fail_msg("%s: mean return %.4f, at least %.4f expected", algo, mean, share * best);
}

/* limits and the best return under them, from the linear program */
static const double one[2] = {1, INFINITY}, two[2] = {0.5, 0.25};
#define BEST_ONE  0.4983600158
#define BEST_TWO  0.3336059524
#define BEST_FREE 0.5719539729

#define PPO "steps=400k n_steps=32 n_epochs=5 learning_rate=lin_3e-3 ent_coef=0.01 "
#define PID "multiplier=pid pid_kp=0.02 pid_ki=1e-3 pid_kd=0 pid_smoothing=0 "
#define CPO                                                                                                  \
    "steps=150k n_steps=128 learning_rate=3e-3 n_critic_updates=5 target_kl=0.02 cg_damping=0.01 "           \
    "sub_sampling_factor=2 "

static void test_without_limits_they_are_passed(void **state) {
    outcome o = trained("ppo", PPO "cost_limit=inf,inf", 1);
    print_message("# ppo without limits: return %.4f of %.4f, costs %.3f %.3f\n", o.mean, BEST_FREE,
                  o.cost[0], o.cost[1]);
    assert_true(o.mean > 0.95 * BEST_FREE && o.cost[0] > 3);
}

static void test_ppo_with_a_pid_price(void **state) {
    keeps("ppo", PPO PID "cost_limit=1,inf", one, BEST_ONE, 0.94);
}

static void test_ppo_with_a_gradient_price(void **state) {
    keeps("ppo", PPO "multiplier=gradient multiplier_lr=3e-4 cost_limit=1,inf", one, BEST_ONE, 0.93);
}

static void test_ppo_with_two_limits(void **state) {
    keeps("ppo", PPO PID "cost_limit=0.5,0.25", two, BEST_TWO, 0.9);
}

static void test_cpo(void **state) {
    keeps("cpo", CPO "cost_limit=1,inf", one, BEST_ONE, 0.94);
}

static void test_cpo_with_two_limits(void **state) {
    keeps("cpo", CPO "cost_limit=0.5,0.25", two, BEST_TWO, 0.9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_limits_they_are_passed),
        cmocka_unit_test(test_ppo_with_a_pid_price),
        cmocka_unit_test(test_ppo_with_a_gradient_price),
        cmocka_unit_test(test_ppo_with_two_limits),
        cmocka_unit_test(test_cpo),
        cmocka_unit_test(test_cpo_with_two_limits),
    };
    return cmocka_run_group_tests_name("learning under limits", tests, temp_dir_make, temp_dir_remove);
}
