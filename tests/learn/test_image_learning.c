/*
 * test_image_learning.c - policies learn from images what cannot be failed to learn, with every encoder.
 */
#include <rein/run.h>
#include "support/check.h"
#include "support/image_env.h"
#include "support/temp_dir.h"

enum { MOST_SETTINGS = 40 };

static rein_summary train(const char *algo, const char *env, const char *settings) {
    char text[1024], *rest = text;
    rein_setting at[MOST_SETTINGS];
    rein_summary summary;
    int n = 0;
    snprintf(text, sizeof text, "threads=1 checkpoint_every=1000000000 eval_episodes=20 seed=1 %s", settings);
    for (char *name; (name = strtok_r(rest, " ", &rest)) != NULL;) {
        char *value = strchr(name, '=');
        *value++ = 0;
        assert_true(n < MOST_SETTINGS);
        at[n++] = (rein_setting){name, value};
    }
    rein_train_opts opts = {.algo = algo,
                            .env = env,
                            .preset = "none",
                            .settings = at,
                            .n_settings = n,
                            .out = temp_path("run"),
                            .force = 1};
    assert_ok(rein_train(&opts, &summary));
    assert_int_equal(summary.skipped_updates, 0);
    print_message("# %s %s %s: %.1f in %.2f s\n", algo, env, settings, summary.eval_return_mean,
                  summary.wall_s);
    return summary;
}

static void learns(const char *algo, const char *env, const char *settings) {
    rein_summary summary = train(algo, env, settings);
    if (!(summary.eval_return_mean >= 19))
        fail_msg("%s on %s with %s: %.2f, at least 19 expected", algo, env, settings,
                 summary.eval_return_mean);
}

#define DQN                                                                                                  \
    "buffer_size=2000 learning_starts=200 batch_size=32 learning_rate=1e-3 gamma=0 train_freq=4 "            \
    "target_update_interval=100 "

static void test_dqn(void **state) {
    learns("dqn", "TestImage-10", DQN "steps=3k");
    learns("dqn", "TestImage-10", DQN "steps=3k dueling=true double_q=true prioritized=true n_envs=2");
    learns("dqn", "TestImage-20", DQN "steps=1200");
    learns("dqn", "TestImage-40", DQN "steps=1200 learning_rate=3e-4");
}

static void test_on_policy(void **state) {
    learns("ppo", "TestImage-10",
           "steps=6k n_envs=8 n_steps=32 batch_size=64 n_epochs=4 learning_rate=1e-3 shared=true");
    learns("ppo", "TestImage-10", "steps=6k n_envs=8 n_steps=32 batch_size=64 n_epochs=4 learning_rate=1e-3");
    learns("a2c", "TestImage-10", "steps=16k n_envs=16 n_steps=8 learning_rate=1e-3");
    learns("trpo", "TestImage-10", "steps=12k n_envs=8 n_steps=64");
    learns("reinforce", "TestImage-10", "steps=20k n_envs=8 learning_rate=2e-3");
}

int main(void) {
    assert_ok(rein_env_register(&image_env_small));
    assert_ok(rein_env_register(&image_env_middle));
    assert_ok(rein_env_register(&image_env_large));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dqn),
        cmocka_unit_test(test_on_policy),
    };
    return cmocka_run_group_tests_name("images", tests, temp_dir_make, temp_dir_remove);
}
