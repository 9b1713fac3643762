/*
 * test_run_ppo.c - PPO through the trainer: stopped, killed, extended and on any number of threads it
 * computes the same bits, in every way it can be set up.
 */
#include "base/base.h"
#include "run/presets.h"
#include "support/run_check.h"

/* 10 iterations of 128 steps */
#define PPO_SETTINGS                                                                                         \
    {"steps", "1280"}, {"n_envs", "4"}, {"n_steps", "32"}, {"batch_size", "48"}, {"n_epochs", "2"},          \
        {"hidden", "8,8"}, {"eval_every", "300"}, {"eval_every_episodes", "4"}, {"eval_episodes", "6"},      \
        {"checkpoint_every", "256"}, {                                                                       \
        "threads", "2"                                                                                       \
    }
#define N_PPO_SETTINGS 11
#define N_OWN          8

typedef struct recipe {
    const char *name, *env;
    rein_setting own[N_OWN];
} recipe;

static const recipe recipes[] = {
    {"clip", "CartPole-v1", {{"learning_rate", "lin_1e-2"}, {"clip_range", "lin_0.2"}}},
    {"penalty",
     "CartPole-v1",
     {{"objective", "penalty"}, {"norm_obs", "running"}, {"norm_reward", "true"}, {"shared", "true"}}},
    {"box",
     "Pendulum-v1",
     {{"norm_obs", "warmup"}, {"scale_actions", "true"}, {"target_kl", "0.01"}, {"ent_coef", "lin_0.01"}}},
    {"no critic", "Acrobot-v1", {{"critic", "false"}, {"advantage", "mc"}, {"optimizer", "sgd"}}},
    {"value clip",
     "MountainCarContinuous-v0",
     {{"clip_range_vf", "0.2"},
      {"advantage", "td"},
      {"optimizer", "rmsprop"},
      {"normalize_advantage", "false"}}},
    {"masked", "IdentityMasked-v0", {{"norm_obs", "running"}, {"activation", "relu"}}},
    {"parts", "IdentityMultiDiscrete-v0", {{"optimizer", "adamw"}, {"weight_decay", "0.01"}}},
};
#define N_RECIPES (int)(sizeof recipes / sizeof *recipes)

static rein_setting settings[N_PPO_SETTINGS + N_OWN + 1] = {PPO_SETTINGS};

/* in a directory of the recipe; `more` wins over the recipe, NULL = none */
static rein_train_opts ppo_opts(const recipe *r, const char *suffix, const rein_setting *more) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", r->name, suffix);
    rein_train_opts opts = run_opts(run_path(name));
    int n = N_PPO_SETTINGS;
    for (int i = 0; i < N_OWN && r->own[i].name; i++)
        settings[n++] = r->own[i];
    if (more)
        settings[n++] = *more;
    opts.algo = "ppo";
    opts.env = r->env;
    opts.preset = "none";
    opts.settings = settings;
    opts.n_settings = n;
    return opts;
}

/* ppo with a stop after an iteration, or with pauses in which it can be killed */
static reini_algo stopping, slow;
static int64_t stop_after;
static void iterate_and_stop(void *self, reini_report *report) {
    reini_algo_find("ppo")->iterate(self, report);
    if (--stop_after == 0)
        run_stop = 1;
}

static void iterate_slowly(void *self, reini_report *report) {
    reini_algo_find("ppo")->iterate(self, report);
    usleep(2000);
}

static rein_summary reference[N_RECIPES];

static int make_references(void **state) {
    stopping = slow = *reini_algo_find("ppo");
    stopping.iterate = iterate_and_stop;
    slow.iterate = iterate_slowly;
    if (temp_dir_make(state) != 0)
        return -1;
    for (int i = 0; i < N_RECIPES; i++) {
        rein_train_opts opts = ppo_opts(&recipes[i], "", NULL);
        if (rein_train(&opts, &reference[i]) != REIN_OK) {
            fprintf(stderr, "%s: %s\n", recipes[i].name, rein_error());
            return -1;
        }
    }
    return 0;
}

static void stopped_runs_continue(void **state) {
    static const int64_t pauses[] = {1, 2, 3, 2, 1};
    rein_summary summary;
    for (int i = 0; i < N_RECIPES; i++) {
        rein_train_opts opts = ppo_opts(&recipes[i], "-stopped", NULL);
        const char *dir = opts.out;
        for (int k = 0; k < 5; k++) {
            stop_after = pauses[k];
            assert_fails(reini_train_with(&stopping, &opts, &summary), REIN_INTERRUPTED, "stopped at");
            opts = run_resume(dir);
        }
        assert_ok(rein_train(&opts, &summary));
        run_same(reference[i].run_dir, dir, &reference[i], &summary);
    }
}

static void killed_runs_continue(void **state) {
    rein_rng rng = rein_rng_make(3, 0);
    for (int i = 0; i < N_RECIPES; i++)
        run_killed_same(&slow, ppo_opts(&recipes[i], "-killed", NULL), 120000, &rng, &reference[i]);
}

static void threads_do_not_change_results(void **state) {
    static const char *const threads[] = {"1", "3", "8"};
    rein_summary summary;
    for (int i = 0; i < N_RECIPES; i++)
        for (int t = 0; t < 3; t++) {
            char suffix[32];
            rein_setting more = {"threads", threads[t]};
            snprintf(suffix, sizeof suffix, "-threads-%s", threads[t]);
            rein_train_opts opts = ppo_opts(&recipes[i], suffix, &more);
            assert_ok(rein_train(&opts, &summary));
            run_same(reference[i].run_dir, summary.run_dir, &reference[i], &summary);
        }
}

static void extended_runs_go_on(void **state) {
    rein_setting longer = {"steps", "1920"};
    for (int i = 0; i < N_RECIPES; i++) {
        rein_summary at_once, in_parts;
        rein_train_opts opts = ppo_opts(&recipes[i], "-extended", NULL);
        const char *dir = opts.out;
        assert_ok(rein_train(&opts, &at_once));
        opts = run_resume(dir);
        opts.settings = &longer;
        opts.n_settings = 1;
        assert_ok(rein_train(&opts, &at_once));
        assert_int_equal(at_once.env_steps, 1920);
        opts = ppo_opts(&recipes[i], "-in-parts", NULL);
        const char *other = opts.out;
        assert_ok(rein_train(&opts, &in_parts));
        opts = run_resume(other);
        opts.settings = &longer;
        opts.n_settings = 1;
        stop_after = 2;
        assert_fails(reini_train_with(&stopping, &opts, &in_parts), REIN_INTERRUPTED,
                     "stopped at 1536 of 1920");
        opts = run_resume(other);
        assert_ok(rein_train(&opts, &in_parts));
        run_same(dir, other, &at_once, &in_parts);
    }
}

/* the policy file acts as the run's own evaluation did */
static void policy_files_act_alone(void **state) {
    for (int i = 0; i < N_RECIPES; i++) {
        rein_eval_opts opts = {.path = reference[i].run_dir, .episodes = 200, .threads = 1};
        rein_eval_result of_run, of_best;
        assert_ok(rein_eval(&opts, &of_run));
        assert_string_equal(of_run.policy_sha256, reference[i].policy_sha256);
        assert_string_equal(of_run.algo, "ppo");
        assert_string_equal(of_run.env, recipes[i].env);
        opts.threads = 4;
        opts.path = run_path(recipes[i].name);
        assert_ok(rein_eval(&opts, &of_best));
        assert_true(of_best.return_mean == of_run.return_mean && of_best.return_std == of_run.return_std);
    }
}

static void wrong_settings_are_refused(void **state) {
    rein_summary summary;
    rein_setting large = {"batch_size", "129"}, typo = {"n_env", "4"}, negative = {"gamma", "-1"};
    rein_train_opts opts = ppo_opts(&recipes[0], "-wrong", &large);
    assert_fails(rein_train(&opts, &summary), REIN_USAGE, "batch_size: 129 is larger than");
    opts = ppo_opts(&recipes[0], "-wrong", &typo);
    assert_fails(rein_train(&opts, &summary), REIN_USAGE, "did you mean \"n_envs\"");
    opts = ppo_opts(&recipes[0], "-wrong", &negative);
    assert_fails(rein_train(&opts, &summary), REIN_USAGE, "0 <= gamma <= 1");
    opts = ppo_opts(&recipes[0], "-wrong", NULL);
    opts.algo = "pop";
    assert_fails(rein_train(&opts, &summary), REIN_USAGE, "ppo");
    opts = ppo_opts(&recipes[0], "-wrong", NULL);
    opts.preset = "zo";
    assert_fails(rein_train(&opts, &summary), REIN_USAGE, "did you mean \"zoo\"");
    assert_false(run_has(run_path("clip-wrong"), ""));
}

/* each allocation of a short run in turn */
static void every_allocation_may_fail(void **state) {
    static const rein_setting tiny[] = {
        {"steps", "16"},        {"n_envs", "2"},        {"n_steps", "8"},
        {"batch_size", "8"},    {"n_epochs", "1"},      {"hidden", "4"},
        {"threads", "1"},       {"eval_every", "16"},   {"eval_every_episodes", "1"},
        {"eval_episodes", "1"}, {"norm_obs", "running"}};
    rein_train_opts opts = {.algo = "ppo",
                            .env = "CartPole-v1",
                            .preset = "none",
                            .settings = tiny,
                            .n_settings = 11,
                            .out = run_path("lean")};
    rein_summary summary;
    uint64_t live = reini_memory_now().live_bytes;
    for (uint64_t n = 1;; n++) {
        uint64_t before = reini_memory_now().allocations;
        reini_memory_fail(n, false);
        rein_status status = rein_train(&opts, &summary);
        reini_memory_fail(0, false);
        uint64_t used = reini_memory_now().allocations - before;
        if (status != REIN_OK && status != REIN_NOMEM)
            fail_msg("allocation %d: status %d, \"%s\"", (int)n, (int)status, rein_error());
        if (reini_memory_now().live_bytes != live)
            fail_msg("allocation %d failed and memory was lost: \"%s\"", (int)n, rein_error());
        temp_remove(opts.out);
        if (used < n)
            return;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopped_runs_continue),         cmocka_unit_test(killed_runs_continue),
        cmocka_unit_test(threads_do_not_change_results), cmocka_unit_test(extended_runs_go_on),
        cmocka_unit_test(policy_files_act_alone),        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_references, temp_dir_remove);
}
