/*
 * test_run_resume.c - a run that was stopped, killed or extended computes what one that never was does;
 * damaged and foreign checkpoints are refused.
 */
#include <jansson.h>
#include "base/archive.h"
#include "base/file.h"
#include "support/run_check.h"

static rein_summary reference, summary;
static char reference_dir[TEMP_PATH + 32];

static rein_status train(const rein_train_opts *opts) {
    return reini_train_with(&mock_algo, opts, &summary);
}

static int make_reference(void **state) {
    if (temp_dir_make(state) != 0)
        return -1;
    snprintf(reference_dir, sizeof reference_dir, "%s/reference", temp_dir);
    rein_train_opts opts = run_opts(reference_dir);
    return reini_train_with(&mock_algo, &opts, &reference) == REIN_OK ? 0 : -1;
}

/* ---- stopping ---------------------------------------------------------------------------------------- */

static int64_t stop_at_iteration;
static void stop_hook(int64_t iteration) {
    if (iteration == stop_at_iteration)
        run_stop = SIGINT;
}

/* starts or continues and stops after an iteration; 0 = runs to the end */
static rein_status train_until(const rein_train_opts *opts, int64_t iteration) {
    stop_at_iteration = iteration;
    mock_hook = stop_hook;
    rein_status status = train(opts);
    mock_hook = NULL;
    return status;
}

static void stopped_at_every_iteration(void **state) {
    for (int64_t k = 1; k < 20; k++) {
        char name[32], words[64];
        snprintf(name, sizeof name, "stop-%d", (int)k);
        const char *dir = run_path(name);
        snprintf(words, sizeof words, "stopped at %d of 600 steps", (int)k * 30);
        rein_train_opts opts = run_opts(dir);
        assert_fails(train_until(&opts, k), REIN_INTERRUPTED, words);
        assert_non_null(strstr(rein_error(), "--resume"));
        assert_non_null(strstr(rein_error(), name));
        assert_true(run_has(dir, "policy.safetensors"));
        assert_false(run_has(dir, "summary.json"));
        opts = run_resume(dir);
        assert_ok(train(&opts));
        run_same(reference_dir, dir, &reference, &summary);
    }
}

static void stopped_again_and_again(void **state) {
    rein_train_opts opts = run_opts(run_path("again"));
    for (int64_t k = 1; k < 20; k++) {
        assert_fails(train_until(&opts, k), REIN_INTERRUPTED, "stopped at");
        opts = run_resume(run_path("again"));
    }
    assert_ok(train(&opts));
    run_same(reference_dir, run_path("again"), &reference, &summary);
}

static void stopped_before_the_first_iteration(void **state) {
    rein_train_opts opts = run_opts(run_path("zero"));
    run_stop = SIGTERM;
    assert_fails(train(&opts), REIN_INTERRUPTED, "stopped at 0 of 600");
    assert_false(run_has(run_path("zero"), "checkpoint.rein"));
    opts = run_resume(run_path("zero"));
    assert_ok(train(&opts));
    run_same(reference_dir, run_path("zero"), &reference, &summary);
}

static void stopped_in_the_final_evaluation(void **state) {
    rein_train_opts opts = run_opts(run_path("final"));
    assert_fails(train_until(&opts, 20), REIN_INTERRUPTED, "during the final evaluation");
    assert_true(run_has(run_path("final"), "policy.safetensors"));
    opts = run_resume(run_path("final"));
    assert_ok(train(&opts));
    run_same(reference_dir, run_path("final"), &reference, &summary);
}

static void finished_runs_return_their_summary(void **state) {
    mock_hook = stop_hook;
    stop_at_iteration = 1; /* would stop if anything were trained */
    rein_train_opts opts = run_resume(reference_dir);
    assert_ok(train(&opts));
    mock_hook = NULL;
    run_same(reference_dir, reference_dir, &reference, &summary);
    assert_true(summary.wall_s == reference.wall_s && summary.sps == reference.sps);
    assert_string_equal(summary.run_dir, reference_dir);
    assert_true(isnan(summary.seeds_mean));
}

/* ---- killing ----------------------------------------------------------------------------------------- */

static void slow_hook(int64_t iteration) {
    usleep(1500);
}

static void killed_at_random_moments(void **state) {
    rein_rng rng = rein_rng_make(11, 0);
    mock_hook = slow_hook; /* 20 iterations take 30 ms and more */
    for (int round = 0; round < 6; round++) {
        char name[32];
        snprintf(name, sizeof name, "kill-%d", round);
        run_killed_same(&mock_algo, run_opts(run_path(name)), 40000, &rng, &reference);
    }
    mock_hook = NULL;
}

/* killed between the start of a run and its first checkpoint */
static void killed_before_the_first_checkpoint(void **state) {
    rein_setting settings[] = {RUN_SETTINGS, {"checkpoint_every", "1000"}};
    rein_train_opts opts = run_opts(run_path("first"));
    opts.settings = settings;
    opts.n_settings = N_RUN_SETTINGS + 1;
    mock_hook = slow_hook;
    pid_t child = run_start_child(&mock_algo, &opts);
    mock_hook = NULL;
    while (!run_has(run_path("first"), "best.safetensors"))
        usleep(500);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_false(run_has(run_path("first"), "checkpoint.rein"));
    opts = run_resume(run_path("first"));
    assert_ok(train(&opts));
    run_same(reference_dir, run_path("first"), &reference, &summary);
}

/* ---- changing a run ---------------------------------------------------------------------------------- */

static rein_status resume_with(const char *dir, const char *name, const char *value) {
    rein_setting setting = {name, value};
    rein_train_opts opts = run_resume(dir);
    opts.settings = &setting;
    opts.n_settings = 1;
    return train(&opts);
}

static void only_harmless_settings_change(void **state) {
    const char *dir = run_path("change");
    rein_train_opts opts = run_opts(dir);
    assert_fails(train_until(&opts, 7), REIN_INTERRUPTED, "stopped");
    assert_fails(resume_with(dir, "learning_rate", "0.1"), REIN_USAGE,
                 "learning_rate: cannot change from lin_0.5");
    assert_fails(resume_with(dir, "seed", "4"), REIN_USAGE, "seed: cannot change");
    assert_fails(resume_with(dir, "env.push", "0.4"), REIN_USAGE, "env.push: cannot change");
    assert_fails(resume_with(dir, "eval_every", "50"), REIN_USAGE, "eval_every: cannot change");
    assert_fails(resume_with(dir, "steps", "500"), REIN_USAGE, "steps: 500 is less than the run's own 600");
    assert_fails(resume_with(dir, "n_env", "4"), REIN_USAGE, "did you mean");
    opts = run_resume(dir);
    opts.algo = "other";
    assert_fails(train(&opts), REIN_USAGE, "is a run of mock, not of other");
    opts = run_resume(dir);
    opts.env = "CartPole-v1";
    assert_fails(train(&opts), REIN_USAGE, "not on CartPole-v1");
    opts = run_resume(dir);
    opts.preset = "zoo";
    assert_fails(train(&opts), REIN_USAGE, "cannot change to zoo");
    opts = run_resume(dir);
    opts.out = "elsewhere";
    assert_fails(train(&opts), REIN_USAGE, "leave out --out");
    opts = run_resume(dir);
    opts.seeds = 3;
    assert_fails(train(&opts), REIN_USAGE, "seeds: the run has 1");
    const char *file = run_path("settings.json");
    opts = run_resume(dir);
    opts.config = file;
    temp_write(file, "{\"n_envs\": 4}", 13);
    assert_fails(train(&opts), REIN_USAGE, "n_envs: cannot change from 3 to 4");
    temp_write(file, "{\"algo\": \"other\"}", 17);
    assert_fails(train(&opts), REIN_USAGE, "holds settings for other, not for mock");
    opts.config = run_path("change/config.json");
    assert_fails(train_until(&opts, 8), REIN_INTERRUPTED, "stopped at 240");
    /* the same values in another spelling, and harmless ones */
    rein_setting settings[] = {{"lr", "lin_5e-1"}, {"steps", "0.6k"},          {"threads", "2"},
                               {"log_every", "1"}, {"checkpoint_every", "30"}, {"seed", "3"}};
    opts = run_resume(dir);
    opts.algo = "mock";
    opts.env = MOCK_ENV;
    opts.preset = "none";
    opts.seeds = 1;
    opts.settings = settings;
    opts.n_settings = 6;
    assert_ok(train(&opts));
    run_same(reference_dir, dir, &reference, &summary);
}

static void longer_evaluation_of_a_finished_run(void **state) {
    rein_train_opts opts = run_opts(run_path("longer"));
    assert_ok(train(&opts));
    assert_ok(resume_with(run_path("longer"), "eval_episodes", "300"));
    assert_int_equal(summary.eval_episodes, 300);
    assert_string_equal(summary.policy_sha256, reference.policy_sha256);
    assert_true(summary.eval_return_mean != reference.eval_return_mean);
}

static void longer_runs_extend(void **state) {
    const char *dir = run_path("extended");
    rein_train_opts opts = run_opts(dir);
    assert_ok(train(&opts));
    mock_extended = 0;
    assert_ok(resume_with(dir, "steps", "900"));
    assert_int_equal(summary.env_steps, 900);
    assert_int_equal(mock_extended, 900);
    /* the first 600 steps are those of the shorter run */
    char *longer = run_csv(dir), *shorter = run_csv(reference_dir);
    assert_memory_equal(longer, shorter, strlen(shorter));
    assert_non_null(strstr(longer, "\n900,"));
    free(shorter);
    free(longer);
    rein_summary first = summary;
    opts = run_resume(dir);
    assert_ok(train(&opts));
    assert_int_equal(summary.env_steps, 900);
    assert_string_equal(summary.policy_sha256, first.policy_sha256);
    /* an extension that is stopped and continued ends the same */
    const char *other = run_path("extended-too");
    rein_setting setting = {"steps", "900"};
    opts = run_opts(other);
    assert_ok(train(&opts));
    opts = run_resume(other);
    opts.settings = &setting;
    opts.n_settings = 1;
    assert_fails(train_until(&opts, 24), REIN_INTERRUPTED, "stopped at 720 of 900");
    opts = run_resume(other);
    assert_ok(train(&opts));
    run_same(dir, other, &first, &summary);
}

static void stop_at_ends_a_run_early(void **state) {
    rein_setting settings[] = {RUN_SETTINGS, {"stop_at", "-1000"}};
    const char *dir = run_path("reached");
    rein_train_opts opts = run_opts(dir);
    opts.settings = settings;
    opts.n_settings = N_RUN_SETTINGS + 1;
    assert_ok(train(&opts));
    assert_int_equal(summary.env_steps, 120); /* the first iteration past 100 */
    opts = run_resume(dir);
    assert_ok(train(&opts));
    assert_int_equal(summary.env_steps, 120);
    assert_ok(resume_with(dir, "stop_at", "inf"));
    run_same(reference_dir, dir, &reference, &summary);
}

/* ---- divergence -------------------------------------------------------------------------------------- */

static void divergence_keeps_the_last_checkpoint(void **state) {
    rein_setting settings[] = {RUN_SETTINGS, {"trouble", "11"}};
    const char *dir = run_path("diverged");
    rein_train_opts opts = run_opts(dir);
    opts.settings = settings;
    opts.n_settings = N_RUN_SETTINGS + 1;
    assert_fails(train(&opts), REIN_DIVERGED, "training diverged at 330 of 600 steps");
    assert_non_null(strstr(rein_error(), "mock/reward = "));
    assert_non_null(strstr(rein_error(), "the checkpoint of step 270 is kept"));
    assert_non_null(strstr(rein_error(), "learning_rate"));
    opts = run_resume(dir);
    assert_fails(train(&opts), REIN_DIVERGED, "training diverged at 330 of 600 steps");
    char *csv = run_csv(dir);
    assert_non_null(strstr(csv, "\n330,"));
    assert_null(strstr(strstr(csv, "\n330,") + 1, "\n330,"));
    free(csv);
}

/* ---- checkpoints ------------------------------------------------------------------------------------- */

/* a stopped run to damage */
static void stopped_run(const char *dir) {
    rein_train_opts opts = run_opts(dir);
    opts.force = 1;
    assert_fails(train_until(&opts, 7), REIN_INTERRUPTED, "stopped");
}

static void damaged_checkpoints_are_refused(void **state) {
    const char *dir = run_path("damaged"), *path = run_path("damaged/checkpoint.rein");
    stopped_run(dir);
    size_t size;
    char *bytes = temp_read(path, &size);
    rein_rng rng = rein_rng_make(5, 0);
    for (int i = 0; i < 60; i++) {
        char *copy = malloc(size);
        memcpy(copy, bytes, size);
        size_t length = i < 20 ? rein_rng_below(&rng, (uint32_t)size) : size;
        if (i >= 20)
            copy[rein_rng_below(&rng, (uint32_t)size)] ^= (char)(1 << rein_rng_below(&rng, 8));
        temp_write(path, copy, length);
        free(copy);
        rein_train_opts opts = run_resume(dir);
        assert_fails(train(&opts), REIN_FORMAT, "checkpoint.rein");
        assert_non_null(strstr(rein_error(), "delete the file to start this run again"));
    }
    /* put back, the run goes on as if nothing had happened */
    temp_write(path, bytes, size);
    free(bytes);
    rein_train_opts opts = run_resume(dir);
    assert_ok(train(&opts));
    run_same(reference_dir, dir, &reference, &summary);
}

static void foreign_checkpoints_are_refused(void **state) {
    const char *dir = run_path("mixed"), *path = run_path("mixed/checkpoint.rein");
    size_t size;
    stopped_run(dir);
    char *own = temp_read(path, &size);
    /* of another algorithm */
    rein_train_opts opts = run_opts(run_path("of-other"));
    opts.algo = "other";
    rein_summary ignored;
    assert_ok(reini_train_with(&mock_other_algo, &opts, &ignored));
    assert_int_equal(rename(run_path("of-other/checkpoint.rein"), path), 0);
    opts = run_resume(dir);
    assert_fails(train(&opts), REIN_MISMATCH, "the checkpoint's algo is other, expected mock");
    /* of another environment */
    opts = run_opts(run_path("of-pole"));
    opts.env = "CartPole-v1";
    assert_ok(train(&opts));
    assert_int_equal(rename(run_path("of-pole/checkpoint.rein"), path), 0);
    opts = run_resume(dir);
    assert_fails(train(&opts), REIN_MISMATCH, "the checkpoint's env is CartPole-v1, expected " MOCK_ENV);
    /* of the same run with another setting */
    rein_setting settings[] = {RUN_SETTINGS, {"n_envs", "5"}};
    opts = run_opts(run_path("of-five"));
    opts.settings = settings;
    opts.n_settings = N_RUN_SETTINGS + 1;
    assert_ok(train(&opts));
    assert_int_equal(rename(run_path("of-five/checkpoint.rein"), path), 0);
    opts = run_resume(dir);
    assert_fails(train(&opts), REIN_MISMATCH, "n_envs: cannot change from 5 to 3");
    temp_write(path, own, size);
    free(own);
    /* a whole run directory given to another algorithm */
    opts = run_resume(dir);
    assert_fails(reini_train_with(&mock_other_algo, &opts, &ignored), REIN_MISMATCH,
                 "a run of mock, not of other");
}

/* a checkpoint that is whole, of another kind or with another value in its copy of config.json */
static void write_checkpoint(const char *path, const char *kind, const char *key, const char *value) {
    json_t *config, *header = json_object();
    reini_archive *ar;
    assert_ok(reini_json_read(run_path("older/config.json"), &config));
    json_object_set_new(config, key, json_string(value));
    json_object_set_new(header, "kind", json_string(kind));
    json_object_set_new(header, "config", config);
    assert_ok(reini_archive_create(path, header, &ar));
    assert_ok(reini_archive_finish(ar));
    json_decref(header);
}

static char last_warning[1024];
static void keep_warning(void *user, rein_log_level level, const char *line) {
    if (level == REIN_LOG_WARNING)
        snprintf(last_warning, sizeof last_warning, "%s", line);
}

static void other_versions_and_machines(void **state) {
    const char *dir = run_path("older"), *path = run_path("older/checkpoint.rein");
    stopped_run(dir);
    rein_train_opts opts = run_resume(dir);
    write_checkpoint(path, "rein training run", "version", "0.0.7");
    assert_fails(train(&opts), REIN_MISMATCH, "written by Rein 0.0.7");
    write_checkpoint(path, "something else", "cpu", "x");
    assert_fails(train(&opts), REIN_FORMAT, "not the checkpoint of a training run");
    /* another instruction set may only differ in bits; here the entries are missing as well */
    rein_set_log(keep_warning, NULL);
    write_checkpoint(path, "rein training run", "cpu", "sse9");
    assert_fails(train(&opts), REIN_MISMATCH, "run.counters");
    assert_non_null(strstr(last_warning, "instruction-set level sse9"));
    write_checkpoint(path, "rein training run", "build", "tcc");
    assert_fails(train(&opts), REIN_MISMATCH, "run.counters");
    assert_non_null(strstr(last_warning, "another build (tcc)"));
    rein_set_log(NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopped_at_every_iteration),
        cmocka_unit_test(stopped_again_and_again),
        cmocka_unit_test(stopped_before_the_first_iteration),
        cmocka_unit_test(stopped_in_the_final_evaluation),
        cmocka_unit_test(finished_runs_return_their_summary),
        cmocka_unit_test(killed_at_random_moments),
        cmocka_unit_test(killed_before_the_first_checkpoint),
        cmocka_unit_test(only_harmless_settings_change),
        cmocka_unit_test(longer_evaluation_of_a_finished_run),
        cmocka_unit_test(longer_runs_extend),
        cmocka_unit_test(stop_at_ends_a_run_early),
        cmocka_unit_test(divergence_keeps_the_last_checkpoint),
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(foreign_checkpoints_are_refused),
        cmocka_unit_test(other_versions_and_machines),
    };
    mock_env_register();
    return cmocka_run_group_tests(tests, make_reference, temp_dir_remove);
}
