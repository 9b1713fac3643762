/*
 * test_sac_pendulum.c - SAC learns what cannot be failed to learn, with every switch; and the short version of the learning
 * benchmark: two seeds swing the pendulum up within a third of the preset's steps.
 */
#include "support/learn_rig.h"

#define SMALL                                                                                                \
    LEARN_ALONE                                                                                              \
    "steps=4k buffer_size=4000 batch_size=32 hidden=16,16 learning_rate=5e-3 gamma=0.5 ent_coef=0.1 "        \
    "eval_episodes=20 seed=1 "

static void learns(const char *env, const char *more, double least) {
    learn_well("sac", env, SMALL, more, least);
}

static void test_identity(void **state) {
    learns("IdentityBox-v0", "", 95);
    learns("IdentityBox-v0", "auto_ent_coef=false ent_coef=0.02", 95);
    learns("IdentityBox-v0", "n_envs=4 gradient_steps=-1", 95);
    learns("IdentityBox-v0", "n_step=2 train_freq=2 gradient_steps=2", 95);
    learns("IdentityBox-v0", "max_grad_norm=0.5 activation=tanh tau=0.05", 95);
}

static void test_two_seeds(void **state) {
    static const char *const seeds[] = {"steps=6000 seed=0 eval_episodes=50",
                                        "steps=6000 seed=1 eval_episodes=50"};
    for (int i = 0; i < 2; i++)
        assert_true(learn("sac", "Pendulum-v1", "tuned", LEARN_ALONE, seeds[i]).eval_return_mean >= -300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_two_seeds),
    };
    return cmocka_run_group_tests_name("sac", tests, temp_dir_make, temp_dir_remove);
}
