/*
 * test_cartpole.c - the short version of the learning benchmark: three seeds balance the pole within a small
 * budget.
 */
#include "support/learn_rig.h"

/* 100k steps of the preset */
static void test_three_seeds(void **state) {
    static const char *const seeds[] = {"seed=0", "seed=1", "seed=2"};
    for (int i = 0; i < 3; i++)
        assert_true(learn("ppo", "CartPole-v1", NULL, "steps=100k threads=2 eval_episodes=50", seeds[i])
                        .eval_return_mean >= 450);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_seeds),
    };
    return cmocka_run_group_tests_name("cartpole", tests, temp_dir_make, temp_dir_remove);
}
