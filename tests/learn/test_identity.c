/*
 * test_identity.c - PPO learns what cannot be failed to learn: environments whose best action is shown and
 * whose values are known, with every variant of the method; and environments that go wrong.
 */
#include <float.h>
#include <math.h>
#include "env/env_types.h"
#include "algo/algo.h"
#include "support/learn_rig.h"
#include "support/small_policy.h"
#include "tensor/kernels.h"

/* ---- runs ---------------------------------------------------------------------------------------------- */

#define BASE                                                                                                 \
    LEARN_ALONE                                                                                              \
    "seed=1 n_envs=8 n_steps=32 batch_size=64 n_epochs=4 hidden=16,16 learning_rate=3e-3 gamma=0.9 "         \
    "eval_episodes=20"

static rein_status train(const char *env, const char *more, rein_summary *summary) {
    return learn_try("ppo", env, "none", BASE, more, summary);
}

static void learns(const char *env, const char *more, double least) {
    learn_well("ppo", env, BASE, more, least);
}

/* ---- identity environments ----------------------------------------------------------------------------- */

static void test_identity(void **state) {
    learns("Identity-v0", "steps=20k", 90);
    learns("Identity-v0", "steps=20k seed=2", 90);
}

static void test_identity_masked(void **state) {
    learns("IdentityMasked-v0", "steps=20k", 90);
}

static void test_identity_multi_discrete(void **state) {
    learns("IdentityMultiDiscrete-v0", "steps=20k", 90);
}

static void test_identity_box(void **state) {
    learns("IdentityBox-v0", "steps=20k log_std_init=-0.5", 90);
    learns("IdentityBox-v0", "steps=20k log_std_init=-0.5 scale_actions=true", 90);
}

static void test_variants(void **state) {
    static const char *const variants[] = {
        "objective=penalty",
        "advantage=td",
        "advantage=mc",
        "critic=false advantage=mc",
        "critic=false objective=penalty advantage=td",
        "shared=true",
        "norm_obs=running",
        "norm_obs=warmup",
        "norm_reward=true",
        "optimizer=adamw weight_decay=0.01",
        "optimizer=rmsprop learning_rate=3e-3",
        "optimizer=sgd learning_rate=0.3",
        "clip_range_vf=0.2",
        "target_kl=0.02",
        "normalize_advantage=false",
        "ent_coef=lin_0.02 learning_rate=lin_2e-2 clip_range=lin_0.3",
        "activation=relu",
        "activation=silu init=kaiming",
        "activation=gelu init=xavier",
        "init=uniform hidden=32",
        "hidden=none",
        "batch_size=77",
        "n_envs=3 n_steps=91 batch_size=273",
        "n_envs=1 n_steps=200 batch_size=50",
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        char more[256];
        snprintf(more, sizeof more, "steps=20k %s", variants[i]);
        learns("Identity-v0", more, 90);
    }
    if (reini_bf16_available())
        learns("Identity-v0", "steps=20k dtype=bf16", 90);
    learns("IdentityBox-v0", "steps=20k log_std_init=-0.5 objective=penalty", 90);
    learns("IdentityBox-v0", "steps=20k log_std_init=-0.5 norm_obs=running norm_reward=true shared=true", 90);
    learns("IdentityMasked-v0", "steps=20k objective=penalty shared=true norm_obs=running", 90);
    learns("IdentityMultiDiscrete-v0", "steps=20k objective=penalty critic=false", 90);
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
    .state_size = sizeof(ten),
    .reset = ten_reset,
    .step = ten_step,
    .observe = ten_observe,
};

static double learned_value(const rein_env_type *env, const char *more) {
    static const float obs[1] = {1};
    const reini_algo *algo = reini_algo_find("ppo");
    void *config = calloc(1, algo->config_size), *self;
    reini_report report;
    settings_set(algo->fields, algo->n_fields, config,
                 "n_envs=8 n_steps=32 batch_size=64 hidden=8 learning_rate=3e-3 gamma=0.9 %s", more);
    reini_context context = {.env = env, .seed = 4, .total_steps = 1000000};
    assert_ok(algo->create(config, &context, &self));
    for (int i = 0; i < 60; i++)
        algo->iterate(self, &report);
    double value = small_policy_value((const reini_net *)algo->policy(self), obs);
    algo->destroy(self);
    free(config);
    print_message("# value on %s with %s: %.3f\n", env->id, more, value);
    return value;
}

/* 1 + g + g^2 + ... = 10, although no episode is longer than 10 steps */
static void test_time_limits_are_bootstrapped(void **state) {
    static const char *const variants[] = {
        "", "advantage=td", "advantage=mc", "shared=true", "n_envs=3 n_steps=85", "norm_obs=running"};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        double value = learned_value(&reini_env_time_limit, variants[i]);
        assert_true(fabs(value - 10) < 0.3);
    }
}

/* the mean over the ten states that look the same: 10 - (g + ... + g^10) */
static void test_ends_are_not_bootstrapped(void **state) {
    double value = learned_value(&ten_steps, "advantage=mc learning_rate=1e-3");
    assert_true(fabs(value - 4.138) < 0.3);
}

/* ---- environments that go wrong ------------------------------------------------------------------------ */

static int wrong_every;    /* steps from one wrong reward to the next */
static float wrong_reward; /* NAN, or so large that its square is not finite */

static rein_step wrong_step(const void *config, void *state, const void *action, rein_rng *rng) {
    rein_step step = reini_env_identity.step(config, state, action, rng);
    if (wrong_every > 0 && rein_rng_below(rng, (uint32_t)wrong_every) == 0)
        step.reward = wrong_reward;
    return step;
}

static rein_env_type wrong; /* Identity with rewards that are not always right */

static void check_diverges(const char *more) {
    rein_summary summary;
    wrong_every = 1;
    wrong_reward = FLT_MAX;
    rein_status status = train(wrong.id, more, &summary);
    if (status != REIN_DIVERGED)
        fail_msg("%s: status %d, \"%s\"", more, (int)status, rein_error());
    assert_non_null(strstr(rein_error(), "diverged at"));
    assert_non_null(strstr(rein_error(), "not finite"));
    assert_true(strlen(rein_error()) > 80);
}

static void test_huge_rewards_end_a_run(void **state) {
    check_diverges("steps=50k");
    check_diverges("steps=50k norm_obs=running objective=penalty");
    check_diverges("steps=50k advantage=td shared=true clip_range_vf=0.2");
}

/* what no learner could use is told as what it is: the environment's fault */
static void test_nan_rewards_are_the_environments_fault(void **state) {
    rein_summary summary;
    wrong_every = 2000;
    wrong_reward = NAN;
    assert_int_equal(train(wrong.id, "steps=50k", &summary), REIN_DIVERGED);
    assert_non_null(strstr(rein_error(), "test/Wrong-v0: number "));
    assert_non_null(strstr(rein_error(), "gave the reward nan at step "));
    assert_non_null(strstr(rein_error(), "policy.safetensors"));
}

/* a few are survived: those updates are skipped and counted, the rest is learned */
static void check_survives(const char *more) {
    rein_summary summary;
    wrong_every = 2000;
    wrong_reward = FLT_MAX;
    assert_ok(train(wrong.id, more, &summary));
    print_message("# %s: %d updates skipped, %.1f\n", more, (int)summary.skipped_updates,
                  summary.eval_length_mean);
    assert_true(summary.skipped_updates > 0);
    wrong_every = 0;
    rein_eval_opts opts = {.path = temp_path("run"), .episodes = 20, .threads = 1};
    rein_eval_result result;
    assert_ok(rein_eval(&opts, &result));
    assert_true(result.return_mean >= 90);
}

static void test_a_few_huge_rewards_are_survived(void **state) {
    check_survives("steps=20k");
    check_survives("steps=20k advantage=td n_epochs=2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_identity_masked),
        cmocka_unit_test(test_identity_multi_discrete),
        cmocka_unit_test(test_identity_box),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_time_limits_are_bootstrapped),
        cmocka_unit_test(test_ends_are_not_bootstrapped),
        cmocka_unit_test(test_huge_rewards_end_a_run),
        cmocka_unit_test(test_nan_rewards_are_the_environments_fault),
        cmocka_unit_test(test_a_few_huge_rewards_are_survived),
    };
    wrong = reini_env_identity;
    wrong.id = "test/Wrong-v0";
    wrong.step = wrong_step;
    if (rein_env_register(&wrong) != REIN_OK)
        return 1;
    return cmocka_run_group_tests_name("identity", tests, temp_dir_make, temp_dir_remove);
}
