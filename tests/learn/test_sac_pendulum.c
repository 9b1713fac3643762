/*
 * test_sac_pendulum.c - SAC learns what cannot be failed to learn, with every switch; and the short version of the learning
 * benchmark: the pendulum swings up within a third of the preset's steps.
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

static void test_pendulum(void **state) {
    learn_by_seeds("sac", "Pendulum-v1", "tuned", LEARN_ALONE, "steps=6000 eval_episodes=50", -300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_pendulum),
    };
    return cmocka_run_group_tests_name("sac", tests, temp_dir_make, temp_dir_remove);
}
