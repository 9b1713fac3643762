/*
 * test_cartpole.c - the short version of the learning benchmark: three seeds balance the pole within a small
 * budget.
 */
#include <rein/run.h>
#include "support/check.h"
#include "support/temp_dir.h"

static double train(const char *seed, const char *steps) {
    const rein_setting settings[] = {
        {"seed", seed}, {"steps", steps}, {"threads", "2"}, {"eval_episodes", "50"}};
    rein_train_opts opts = {
        .algo = "ppo", .env = "CartPole-v1", .settings = settings, .n_settings = 4, .out = temp_path(seed)};
    rein_summary summary;
    assert_ok(rein_train(&opts, &summary));
    assert_int_equal(summary.skipped_updates, 0);
    print_message("# seed %s: %.1f after %s steps in %.2f s\n", seed, summary.eval_return_mean, steps,
                  summary.wall_s);
    return summary.eval_return_mean;
}

/* 100k steps of the preset */
static void test_three_seeds(void **state) {
    static const char *const seeds[] = {"0", "1", "2"};
    for (int i = 0; i < 3; i++)
        assert_true(train(seeds[i], "100k") >= 450);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_seeds),
    };
    return cmocka_run_group_tests_name("cartpole", tests, temp_dir_make, temp_dir_remove);
}
