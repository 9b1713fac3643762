/*
 * test_dqn_learning.c - DQN learns what cannot be failed to learn, with every switch; and the short version of the learning
 * benchmark: three seeds balance the pole within the budget of the preset.
 */
#include <stdlib.h>
#include <rein/run.h>
#include "support/check.h"
#include "support/temp_dir.h"

enum { MOST_SETTINGS = 40 };

/* "name=value name=value" */
static rein_summary train(const char *env, const char *preset, const char *settings) {
    char text[1024], *rest = text;
    rein_setting at[MOST_SETTINGS];
    rein_summary summary;
    int n = 0;
    snprintf(text, sizeof text, "threads=1 checkpoint_every=1000000000 %s", settings);
    for (char *name; (name = strtok_r(rest, " ", &rest)) != NULL;) {
        char *value = strchr(name, '=');
        *value++ = 0;
        assert_true(n < MOST_SETTINGS);
        at[n++] = (rein_setting){name, value};
    }
    rein_train_opts opts = {.algo = "dqn",
                            .env = env,
                            .preset = preset,
                            .settings = at,
                            .n_settings = n,
                            .out = temp_path("run"),
                            .force = 1};
    assert_ok(rein_train(&opts, &summary));
    assert_int_equal(summary.skipped_updates, 0);
    print_message("# %s %s: %.1f in %.2f s\n", env, settings, summary.eval_return_mean, summary.wall_s);
    return summary;
}

#define SMALL                                                                                                \
    "steps=8k buffer_size=4000 learning_starts=200 batch_size=32 hidden=16,16 learning_rate=3e-3 gamma=0.9 " \
    "train_freq=2 target_update_interval=100 eval_episodes=20 seed=1 "

static void learns(const char *env, const char *more, double least) {
    char settings[512];
    snprintf(settings, sizeof settings, SMALL "%s", more);
    rein_summary summary = train(env, "none", settings);
    if (!(summary.eval_return_mean >= least))
        fail_msg("%s with %s: %.2f, at least %.0f expected", env, more, summary.eval_return_mean, least);
}

static void test_identity(void **state) {
    learns("Identity-v0", "", 95);
    learns("Identity-v0", "double_q=true n_envs=4 gradient_steps=-1", 95);
    learns("Identity-v0", "dueling=true loss=mse tau=0.05 target_update_interval=1", 95);
    learns("Identity-v0", "prioritized=true", 95);
    learns("Identity-v0", "norm_obs=running init=orthogonal activation=tanh", 95);
}

static void test_identity_masked(void **state) {
    learns("IdentityMasked-v0", "", 95);
    learns("IdentityMasked-v0", "double_q=true dueling=true prioritized=true n_envs=2", 95);
}

/* numbers as observations are one-hot inside the network; the optimum is 0.74 with slips, 1 without */
static void test_numbers(void **state) {
    learns("FrozenLake-v1",
           "env.is_slippery=false steps=15k gamma=0.95 exploration_fraction=0.5 exploration_final_eps=0.2 "
           "n_step=3",
           0.99);
}

static void test_three_seeds(void **state) {
    static const char *const seeds[] = {"seed=0 eval_episodes=50", "seed=1 eval_episodes=50",
                                        "seed=2 eval_episodes=50"};
    for (int i = 0; i < 3; i++)
        assert_true(train("CartPole-v1", NULL, seeds[i]).eval_return_mean >= 450);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_identity_masked),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_three_seeds),
    };
    return cmocka_run_group_tests_name("dqn", tests, temp_dir_make, temp_dir_remove);
}
