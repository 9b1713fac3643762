/*
 * test_image_learning.c - policies learn from images what cannot be failed to learn, with every encoder.
 */
#include "support/image_env.h"
#include "support/learn_rig.h"

static void learns(const char *algo, const char *env, const char *settings) {
    learn_well(algo, env, LEARN_ALONE "eval_episodes=20 seed=1", settings, 19);
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
