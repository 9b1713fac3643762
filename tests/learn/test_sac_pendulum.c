/*
 * test_sac_pendulum.c - SAC learns what cannot be failed to learn, with every switch; and the short version of the learning
 * benchmark: two seeds swing the pendulum up within a third of the preset's steps.
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
    rein_train_opts opts = {.algo = "sac",
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
    "steps=4k buffer_size=4000 batch_size=32 hidden=16,16 learning_rate=5e-3 gamma=0.5 ent_coef=0.1 "        \
    "eval_episodes=20 seed=1 "

static void learns(const char *env, const char *more, double least) {
    char settings[512];
    snprintf(settings, sizeof settings, SMALL "%s", more);
    rein_summary summary = train(env, "none", settings);
    if (!(summary.eval_return_mean >= least))
        fail_msg("%s with %s: %.2f, at least %.0f expected", env, more, summary.eval_return_mean, least);
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
        assert_true(train("Pendulum-v1", "tuned", seeds[i]).eval_return_mean >= -300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_two_seeds),
    };
    return cmocka_run_group_tests_name("sac", tests, temp_dir_make, temp_dir_remove);
}
