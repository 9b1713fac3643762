/*
 * test_run_seeds.c - several seeds in one call: directories, statistics, stopping and resuming.
 */
#include <jansson.h>
#include <math.h>
#include "base/file.h"
#include "run/statistics.h"
#include "support/run_check.h"

#define SEEDS 4

static rein_summary summary, alone[SEEDS + 1];

static rein_status train(const rein_train_opts *opts) {
    return reini_train_with(&mock_algo, opts, &summary);
}

static const char *seed_dir(const char *dir, int seed) {
    char name[128];
    snprintf(name, sizeof name, "%s/seed-%d", dir, seed);
    return run_path(name);
}

/* each seed as a run of its own */
static int make_references(void **state) {
    if (temp_dir_make(state) != 0)
        return -1;
    for (int i = 0; i <= SEEDS; i++) {
        char seed[16];
        snprintf(seed, sizeof seed, "%d", 3 + i);
        rein_setting settings[] = {RUN_SETTINGS, {"seed", seed}};
        rein_train_opts opts = run_opts(seed_dir("alone", 3 + i));
        opts.settings = settings;
        opts.n_settings = N_RUN_SETTINGS + 1;
        if (reini_train_with(&mock_algo, &opts, &alone[i]) != REIN_OK)
            return -1;
    }
    return 0;
}

/* the directory of several seeds holds what the seeds compute alone, and its summary says so */
static void check_seeds(const char *name, int n) {
    double means[SEEDS + 1], iqm = 0;
    int64_t steps = 0;
    for (int i = 0; i < n; i++) {
        rein_summary one;
        rein_train_opts opts = run_resume(seed_dir(name, 3 + i));
        assert_ok(reini_train_with(&mock_algo, &opts, &one));
        run_same(seed_dir("alone", 3 + i), seed_dir(name, 3 + i), &alone[i], &one);
        means[i] = alone[i].eval_return_mean;
        steps += alone[i].env_steps;
    }
    iqm = reini_iqm(means, n);
    assert_int_equal(summary.seeds, n);
    assert_int_equal(summary.seed, 3);
    assert_int_equal(summary.env_steps, steps);
    assert_int_equal(summary.eval_episodes, 10 * n);
    assert_true(fabs(summary.seeds_mean - reini_mean(means, n)) < 1e-12);
    assert_true(fabs(summary.seeds_std - reini_std(means, n)) < 1e-12);
    assert_true(fabs(summary.seeds_iqm - iqm) < 1e-12);
    assert_true(summary.seeds_low <= summary.seeds_mean && summary.seeds_mean <= summary.seeds_high);
    assert_true(summary.seeds_low < summary.seeds_high);
    assert_true(summary.eval_return_mean == summary.seeds_mean && isfinite(summary.eval_return_std));
}

static rein_train_opts seeds_opts(const char *name) {
    rein_train_opts opts = run_opts(run_path(name));
    opts.seeds = SEEDS;
    return opts;
}

static void seeds_are_runs_of_their_own(void **state) {
    rein_train_opts opts = seeds_opts("seeds");
    assert_ok(train(&opts));
    check_seeds("seeds", SEEDS);
    json_t *o;
    assert_ok(reini_json_read(run_path("seeds/summary.json"), &o));
    assert_int_equal(json_array_size(json_object_get(o, "runs")), SEEDS);
    assert_true(json_is_number(json_object_get(o, "seeds_iqm")));
    json_decref(o);
    assert_int_equal(temp_count(run_path("seeds")), SEEDS + 2);
    /* finished seeds are not trained again, the summary comes out the same */
    rein_summary first = summary;
    opts = run_resume(run_path("seeds/"));
    assert_ok(train(&opts));
    check_seeds("seeds", SEEDS);
    assert_true(summary.wall_s == first.wall_s);
    assert_string_equal(summary.policy_sha256, first.policy_sha256);
    assert_string_equal(summary.run_dir, first.run_dir);
}

static int64_t stop_after; /* iterations over all seeds */
static void stop_hook(int64_t iteration) {
    if (--stop_after == 0)
        run_stop = SIGTERM;
}

static void stopped_seeds_continue(void **state) {
    rein_train_opts opts = seeds_opts("stopped");
    mock_hook = stop_hook;
    static const int64_t pauses[] = {3, 20, 14, 23, 6};
    for (int i = 0; i < 5; i++) {
        stop_after = pauses[i];
        assert_fails(train(&opts), REIN_INTERRUPTED, "--resume");
        assert_non_null(strstr(rein_error(), "stopped`"));
        opts = run_resume(run_path("stopped"));
    }
    mock_hook = NULL;
    assert_ok(train(&opts));
    check_seeds("stopped", SEEDS);
}

static void seeds_can_be_added_and_extended(void **state) {
    rein_train_opts opts = seeds_opts("more");
    opts.seeds = 2;
    assert_ok(train(&opts));
    check_seeds("more", 2);
    opts = run_resume(run_path("more"));
    opts.seeds = 1;
    assert_fails(train(&opts), REIN_USAGE, "seeds: the run has 2 and 1 were asked for");
    opts.seeds = SEEDS + 1;
    assert_ok(train(&opts));
    check_seeds("more", SEEDS + 1);
    rein_setting setting = {"steps", "660"};
    opts = run_resume(run_path("more"));
    opts.settings = &setting;
    opts.n_settings = 1;
    assert_ok(train(&opts));
    assert_int_equal(summary.seeds, SEEDS + 1);
    assert_int_equal(summary.env_steps, 660 * (SEEDS + 1));
}

static void seeds_are_replaced_whole(void **state) {
    rein_train_opts opts = seeds_opts("replaced");
    assert_ok(train(&opts));
    assert_fails(train(&opts), REIN_USAGE, "already holds a run");
    temp_write(run_path("replaced/seed-4/notes.txt"), "mine", 4);
    opts = run_opts(run_path("replaced"));
    opts.force = 1;
    assert_ok(train(&opts));
    assert_false(run_has(run_path("replaced"), "seed-3"));
    assert_int_equal(temp_count(run_path("replaced/seed-4")), 1);
    assert_true(run_has(run_path("replaced"), "policy.safetensors"));
}

static int64_t call;
static void count_hook(int64_t iteration) {
    call++;
}

/* every seed diverges here; each is tried, and the sentence says how many */
static void diverging_seeds_do_not_stop_the_others(void **state) {
    rein_setting settings[] = {RUN_SETTINGS, {"trouble", "5"}};
    rein_train_opts opts = seeds_opts("bad");
    opts.settings = settings;
    opts.n_settings = N_RUN_SETTINGS + 1;
    call = 0;
    mock_hook = count_hook;
    assert_fails(train(&opts), REIN_DIVERGED, "4 of 4 seeds diverged");
    mock_hook = NULL;
    assert_int_equal(call, 4 * 5);
    assert_false(run_has(run_path("bad"), "summary.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_are_runs_of_their_own),
        cmocka_unit_test(stopped_seeds_continue),
        cmocka_unit_test(seeds_can_be_added_and_extended),
        cmocka_unit_test(seeds_are_replaced_whole),
        cmocka_unit_test(diverging_seeds_do_not_stop_the_others),
    };
    mock_env_register();
    return cmocka_run_group_tests(tests, make_references, temp_dir_remove);
}
