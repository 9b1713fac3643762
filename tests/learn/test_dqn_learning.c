/*
 * test_dqn_learning.c - DQN learns what cannot be failed to learn, with every switch; and the short version of the learning
 * benchmark: three seeds balance the pole within the budget of the preset.
 */
#include "support/learn_rig.h"

#define SMALL                                                                                                \
    LEARN_ALONE                                                                                              \
    "steps=8k buffer_size=4000 learning_starts=200 batch_size=32 hidden=16,16 learning_rate=3e-3 gamma=0.9 " \
    "train_freq=2 target_update_interval=100 eval_episodes=20 seed=1 "

static void learns(const char *env, const char *more, double least) {
    learn_well("dqn", env, SMALL, more, least);
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

static void test_cartpole(void **state) {
    learn_by_seeds("dqn", "CartPole-v1", NULL, LEARN_ALONE, "eval_episodes=50", 450);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_identity_masked),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_cartpole),
    };
    return cmocka_run_group_tests_name("dqn", tests, temp_dir_make, temp_dir_remove);
}
