/*
 * test_run_dir.c - the directory of a run: what is written, what is refused, what is never lost.
 */
#include <jansson.h>
#include "base/file.h"
#include "run/run_dir.h"
#include "support/run_check.h"

static rein_summary summary;

static rein_status train(const rein_train_opts *opts) {
    return reini_train_with(&mock_algo, opts, &summary);
}

static void a_run_leaves_its_files(void **state) {
    const char *dir = run_path("plain");
    rein_train_opts opts = run_opts(dir);
    json_t *o;
    assert_ok(train(&opts));
    assert_string_equal(summary.algo, "mock");
    assert_string_equal(summary.env, MOCK_ENV);
    assert_string_equal(summary.run_dir, dir);
    assert_int_equal(strlen(summary.policy_sha256), 64);
    assert_int_equal(summary.seed, 3);
    assert_int_equal(summary.env_steps, 600);
    assert_int_equal(summary.eval_episodes, 10);
    assert_int_equal(summary.seeds, 1);
    assert_true(isnan(summary.seeds_mean) && isfinite(summary.eval_return_mean) && summary.sps > 0);
    static const char *const files[] = {"config.json",        "metrics.csv",      "checkpoint.rein",
                                        "policy.safetensors", "best.safetensors", "summary.json"};
    for (int i = 0; i < 6; i++)
        assert_true(run_has(dir, files[i]));
    assert_int_equal(temp_count(dir), 7); /* and one event file */
    assert_ok(reini_json_read(run_path("plain/config.json"), &o));
    assert_string_equal(json_string_value(json_object_get(o, "version")), rein_version());
    assert_string_equal(json_string_value(json_object_get(o, "cpu")), rein_cpu_level());
    assert_string_equal(json_string_value(json_object_get(o, "build")), rein_build_info());
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "settings"), "seed")), "3");
    json_decref(o);
    assert_ok(reini_json_read(run_path("plain/summary.json"), &o));
    static const char *const keys[] = {"algo",
                                       "env",
                                       "seed",
                                       "env_steps",
                                       "wall_s",
                                       "sps",
                                       "eval_return_mean",
                                       "eval_return_std",
                                       "eval_episodes",
                                       "policy_sha256",
                                       "run_dir"};
    for (int i = 0; i < 11; i++)
        assert_non_null(json_object_get(o, keys[i]));
    json_decref(o);
    char *csv = temp_read(run_path("plain/metrics.csv"), NULL);
    assert_ptr_equal(strstr(csv,
                            "step,time/seconds,time/sps,time/env_s,time/act_s,time/update_s,episodes,"
                            "rollout/return_mean,rollout/length_mean,eval/return_mean,eval/return_std,"
                            "health/skipped_updates,memory/peak_mb,mock/reward,mock/weight,mock/rate\n30,"),
                     csv);
    free(csv);
}

static int64_t seen_iterations;
static void look_for_config(int64_t iteration) {
    seen_iterations = iteration;
    assert_true(run_has(run_path("early"), "config.json"));
}

static void config_is_there_before_step_0(void **state) {
    rein_train_opts opts = run_opts(run_path("early"));
    mock_hook = look_for_config;
    rein_status status = train(&opts);
    mock_hook = NULL;
    assert_ok(status);
    assert_int_equal(seen_iterations, 20);
}

static void rows_follow_log_every(void **state) {
    rein_setting settings[] = {RUN_SETTINGS, {"log_every", "7"}, {"eval_every", "0"}};
    rein_train_opts opts = run_opts(run_path("rows"));
    opts.settings = settings;
    opts.n_settings = N_RUN_SETTINGS + 2;
    assert_ok(train(&opts));
    char *csv = run_csv(run_path("rows"));
    int lines = 0;
    for (char *c = csv; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 4); /* header, 210, 420 and the last, 600 */
    assert_non_null(strstr(csv, "\n210,"));
    assert_non_null(strstr(csv, "\n600,"));
    free(csv);
    assert_false(run_has(run_path("rows"), "best.safetensors"));
}

static void existing_run_is_kept_or_replaced(void **state) {
    const char *dir = run_path("twice");
    rein_train_opts opts = run_opts(dir);
    assert_ok(train(&opts));
    char first[65];
    memcpy(first, summary.policy_sha256, sizeof first);
    assert_fails(train(&opts), REIN_USAGE, "already holds a run");
    assert_true(run_has(dir, "summary.json"));
    temp_write(run_path("twice/notes.txt"), "mine", 4);
    opts.force = 1;
    /* what cannot start does not remove anything */
    rein_setting wrong[] = {{"n_steps", "1000"}, {"n_envs", "60"}};
    opts.settings = wrong;
    opts.n_settings = 2;
    assert_fails(train(&opts), REIN_USAGE, "at most 5000");
    assert_true(run_has(dir, "summary.json"));
    rein_setting other[] = {RUN_SETTINGS, {"seed", "4"}, {"eval_every", "0"}};
    opts.settings = other;
    opts.n_settings = N_RUN_SETTINGS + 2;
    assert_ok(train(&opts));
    assert_string_not_equal(summary.policy_sha256, first);
    assert_true(run_has(dir, "notes.txt"));
    assert_false(run_has(dir, "best.safetensors"));
    assert_int_equal(temp_count(dir), 7);
}

static void foreign_directories_are_left_alone(void **state) {
    assert_int_equal(mkdir(run_path("foreign"), 0777), 0);
    temp_write(run_path("foreign/checkpoint.rein"), "precious", 8);
    rein_train_opts opts = run_opts(run_path("foreign"));
    assert_fails(train(&opts), REIN_USAGE, "is not a run");
    opts.force = 1;
    assert_fails(train(&opts), REIN_USAGE, "is not a run");
    temp_write(run_path("foreign/config.json"), "{\"name\": \"x\"}", 13);
    assert_fails(train(&opts), REIN_USAGE, "is not a run");
    run_same_file(run_path("foreign"), run_path("foreign"), "checkpoint.rein");
    assert_int_equal(temp_count(run_path("foreign")), 2);
    opts.out = run_path("foreign/config.json");
    assert_fails(train(&opts), REIN_USAGE, "is a file");
    opts = run_resume(run_path("foreign"));
    assert_fails(train(&opts), REIN_FORMAT, "not the config.json of a run");
    opts = run_resume(run_path("nowhere"));
    assert_fails(train(&opts), REIN_USAGE, "there is no run directory");
    assert_int_equal(mkdir(run_path("empty"), 0777), 0);
    opts = run_resume(run_path("empty"));
    assert_fails(train(&opts), REIN_USAGE, "it has no config.json");
    /* an empty directory serves */
    opts = run_opts(run_path("empty"));
    assert_ok(train(&opts));
}

static void unusable_places_are_named(void **state) {
    char longer[1100];
    rein_train_opts opts = run_opts("/proc/rein-run");
    assert_fails(train(&opts), REIN_IO, "/proc/rein-run");
    temp_write(run_path("file"), "x", 1);
    opts.out = run_path("file/run");
    assert_fails(train(&opts), REIN_IO, "file");
    opts.out = "";
    assert_fails(train(&opts), REIN_USAGE, "empty");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    opts.out = longer;
    assert_fails(train(&opts), REIN_USAGE, "too long");
    opts = run_resume(longer);
    assert_fails(train(&opts), REIN_USAGE, "too long");
}

static void names_of_new_runs_are_free(void **state) {
    char back[TEMP_PATH];
    assert_non_null(getcwd(back, sizeof back));
    assert_int_equal(mkdir(run_path("cwd"), 0777), 0);
    assert_int_equal(chdir(run_path("cwd")), 0);
    rein_train_opts opts = run_opts(NULL);
    assert_ok(train(&opts));
    assert_string_equal(summary.run_dir, "runs/mock-" MOCK_ENV "-3-1");
    assert_ok(train(&opts));
    assert_string_equal(summary.run_dir, "runs/mock-" MOCK_ENV "-3-2");
    /* a run that cannot begin leaves nothing */
    opts.seeds = -2;
    assert_fails(train(&opts), REIN_USAGE, "seeds");
    assert_int_equal(temp_count("runs"), 2);
    assert_int_equal(chdir(back), 0);
}

static void one_process_at_a_time(void **state) {
    const char *dir = run_path("held");
    int hold;
    rein_train_opts opts = run_opts(dir);
    assert_ok(train(&opts));
    assert_ok(reini_dir_hold(dir, &hold));
    opts = run_resume(dir);
    assert_fails(train(&opts), REIN_USAGE, "another process is training");
    opts = run_opts(dir);
    opts.force = 1;
    assert_fails(train(&opts), REIN_USAGE, "another process is training");
    assert_true(run_has(dir, "summary.json"));
    reini_dir_let_go(hold);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_leaves_its_files),
        cmocka_unit_test(config_is_there_before_step_0),
        cmocka_unit_test(rows_follow_log_every),
        cmocka_unit_test(existing_run_is_kept_or_replaced),
        cmocka_unit_test(foreign_directories_are_left_alone),
        cmocka_unit_test(unusable_places_are_named),
        cmocka_unit_test(names_of_new_runs_are_free),
        cmocka_unit_test(one_process_at_a_time),
    };
    mock_env_register();
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
