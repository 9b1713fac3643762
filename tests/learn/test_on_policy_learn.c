/*
 * test_on_policy_learn.c - A2C, TRPO and REINFORCE learn what cannot be failed to learn, in their variants; values of
 * episodes that are cut and of episodes that end; and CartPole with the tuned presets.
 */
#include "env/env_types.h"
#include "support/learn_rig.h"
#include "support/on_policy_rig.h"
#include "support/small_policy.h"
#include "tensor/kernels.h"

static void learns(const char *algo, const char *env, const char *more, double least) {
    learn_well(algo, env, LEARN_ALONE "seed=1 hidden=16,16 gamma=0.9 eval_episodes=20", more, least);
}

/* ---- identity environments ----------------------------------------------------------------------------- */

#define A2C       "steps=20k n_envs=8 n_steps=8 learning_rate=5e-3 "
#define TRPO      "steps=20k n_envs=8 n_steps=32 batch_size=128 target_kl=0.05 cg_damping=0.01 "
#define REINFORCE "steps=40k n_envs=8 learning_rate=2e-2 "

static void test_discrete(void **state) {
    learns("a2c", "Identity-v0", A2C, 90);
    learns("trpo", "Identity-v0", TRPO, 90);
    learns("reinforce", "Identity-v0", REINFORCE, 90);
}

static void test_masked(void **state) {
    learns("a2c", "IdentityMasked-v0", A2C, 90);
    learns("trpo", "IdentityMasked-v0", TRPO, 90);
    learns("reinforce", "IdentityMasked-v0", REINFORCE, 90);
}

static void test_multi_discrete(void **state) {
    learns("a2c", "IdentityMultiDiscrete-v0", A2C, 90);
    learns("trpo", "IdentityMultiDiscrete-v0", TRPO, 90);
    learns("reinforce", "IdentityMultiDiscrete-v0", REINFORCE "steps=80k", 90);
}

static void test_box(void **state) {
    learns("a2c", "IdentityBox-v0", A2C "log_std_init=-0.5 learning_rate=lin_5e-3 normalize_advantage=true",
           90);
    learns("trpo", "IdentityBox-v0", TRPO "log_std_init=-0.5", 90);
    learns("trpo", "IdentityBox-v0", TRPO "log_std_init=-0.5 scale_actions=true", 90);
    learns("reinforce", "IdentityBox-v0", REINFORCE "log_std_init=-0.5 normalize_advantage=true", 90);
}

static void test_variants(void **state) {
    static const struct {
        const char *algo, *settings;
    } variants[] = {
        {"a2c", A2C "shared=true"},
        {"a2c", A2C "gae_lambda=0"},
        {"a2c", A2C "norm_obs=running norm_reward=true"},
        {"a2c", A2C "optimizer=adam ent_coef=lin_0.01"},
        {"a2c", A2C "n_envs=3 n_steps=5 activation=relu"},
        {"trpo", TRPO "sub_sampling_factor=2"},
        {"trpo", TRPO "norm_obs=running norm_reward=true"},
        {"trpo", TRPO "gae_lambda=0 normalize_advantage=false"},
        {"trpo", TRPO "target_kl=lin_0.1 n_envs=3 n_steps=91"},
        {"reinforce", REINFORCE "baseline=mean"},
        {"reinforce", REINFORCE "baseline=mean returns=total steps=300k"},
        {"reinforce", REINFORCE "baseline=none steps=200k learning_rate=1e-2"},
        {"reinforce", REINFORCE "norm_obs=running normalize_advantage=true"},
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        learns(variants[i].algo, "Identity-v0", variants[i].settings, 85);
    if (reini_bf16_available()) {
        learns("a2c", "Identity-v0", A2C "dtype=bf16", 85);
        learns("trpo", "Identity-v0", TRPO "dtype=bf16", 85);
    }
}

/* ---- values -------------------------------------------------------------------------------------------- */

/* TimeLimit-v0, but the tenth step is an end: then the value is that of ten steps and fewer */
typedef struct ten {
    int32_t steps;
} ten;

static void ten_reset(const void *config, void *state, rein_rng *rng) {
    ((ten *)state)->steps = 0;
}

static rein_step ten_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){.reward = 1, .terminated = ++((ten *)state)->steps == 10};
}

static void ten_observe(const void *config, const void *state, void *obs) {
    *(float *)obs = 1;
}

static const rein_env_type ten_steps = {
    .abi = REIN_ENV_ABI,
    .id = "test/TenSteps-v0",
    .doc = "reward 1 for ten steps",
    .obs = REINI_BOX(1, NULL, NULL),
    .act = REINI_DISCRETE(2),
    .horizon = 20,
    .state_size = sizeof(ten),
    .reset = ten_reset,
    .step = ten_step,
    .observe = ten_observe,
};

static void check_value(const char *name, const rein_env_type *env, const char *settings, int iterations,
                        double wanted) {
    static const float obs[1] = {1};
    const reini_algo *algo = reini_algo_find(name);
    void *self = rig_make(algo, env, settings, NULL);
    rig_iterate(algo, self, iterations);
    double value = small_policy_value((const reini_net *)algo->policy(self), obs);
    algo->destroy(self);
    print_message("# value of %s on %s: %.3f\n", name, env->id, value);
    assert_true(fabs(value - wanted) < 0.3);
}

/* 1 + g + g^2 + ... = 10 although no episode is longer than 10 steps; and the mean over the ten states that look the
 * same when the tenth is the last, 10 - (g + ... + g^10) = 4.138 */
static void test_cuts_are_bootstrapped_and_ends_are_not(void **state) {
    static const struct {
        const char *algo, *settings;
        int iterations;
    } learners[] = {
        {"a2c", "n_envs=8 n_steps=7 hidden=8 gamma=0.9 learning_rate=lin_3e-3", 1500},
        {"trpo", "n_envs=8 n_steps=40 batch_size=64 hidden=8 gamma=0.9 gae_lambda=1", 200},
        {"reinforce", "n_envs=8 hidden=8 gamma=0.9", 300},
    };
    for (int i = 0; i < 3; i++) {
        check_value(learners[i].algo, &reini_env_time_limit, learners[i].settings, learners[i].iterations,
                    10);
        check_value(learners[i].algo, &ten_steps, learners[i].settings, learners[i].iterations, 4.138);
    }
}

/* ---- the tuned presets --------------------------------------------------------------------------------- */

static void test_cartpole(void **state) {
    static const char *const algos[] = {"a2c", "trpo", "reinforce"};
    for (int i = 0; i < 3; i++) {
        rein_summary summary =
            learn(algos[i], "CartPole-v1", "tuned", "threads=1 seed=1", "eval_episodes=50");
        assert_true(summary.eval_return_mean >= 450);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discrete),       cmocka_unit_test(test_masked),
        cmocka_unit_test(test_multi_discrete), cmocka_unit_test(test_box),
        cmocka_unit_test(test_variants),       cmocka_unit_test(test_cuts_are_bootstrapped_and_ends_are_not),
        cmocka_unit_test(test_cartpole),
    };
    return cmocka_run_group_tests_name("on policy", tests, temp_dir_make, temp_dir_remove);
}
