/*
 * test_run_tabular.c - tabular learners through the trainer: stopped within an episode, extended and continued they
 * compute the same bits; their policy files act; every allocation may fail.
 */
#include "base/base.h"
#include "support/run_check.h"

typedef struct recipe {
    const char *algo, *env;
    rein_setting own[3];
} recipe;

/* n_steps cuts within episodes, of what waits for its targets, has traces, or is recorded */
static const recipe recipes[] = {
    {"q-learning", "FrozenLake-v1", {{"learning_rate", "lin_0.5"}, {"epsilon", "lin_0.9"}}},
    {"q-learning", "Taxi-v4", {{"average", "true"}, {"explore", "softmax"}}},
    {"double-q-learning", "CliffWalking-v1", {{"learning_rate", "0.5"}}},
    {"expected-sarsa", "CliffWalking-v1", {{"learning_rate", "0.5"}}},
    {"sarsa", "CliffWalking-v1", {{"learning_rate", "0.5"}}},
    {"sarsa", "FrozenLake-v1", {{"n_step", "5"}}},
    {"sarsa-lambda", "CliffWalking-v1", {{"traces", "dutch"}}},
    {"monte-carlo", "Blackjack-v1", {{"control", "true"}}},
    {"monte-carlo", "FrozenLake-v1", {{"visits", "every"}}},
    {"td", "FrozenLake-v1", {{"n_step", "3"}}},
    {"td-lambda", "FrozenLake-v1", {{"traces", "replacing"}}},
    {"lstd", "FrozenLake-v1", {{"lambda", "0.5"}}},
    {"importance-sampling", "FrozenLake-v1", {{"epsilon", "0.5"}}},
    {"importance-sampling", "FrozenLake-v1", {{"per_decision", "true"}, {"estimator", "ordinary"}}},
};
enum { RECIPES = sizeof recipes / sizeof *recipes, COMMON = 6 };

static rein_setting settings[COMMON + 4] = {
    {"steps", "1530"},      {"n_steps", "153"},           {"eval_every", "500"},
    {"eval_episodes", "6"}, {"eval_every_episodes", "4"}, {"checkpoint_every", "153"},
};

static rein_train_opts opts_of(int i, const char *suffix) {
    char name[64];
    int n = COMMON;
    snprintf(name, sizeof name, "%s-%d%s", recipes[i].algo, i, suffix);
    for (int k = 0; k < 3 && recipes[i].own[k].name != NULL; k++)
        settings[n++] = recipes[i].own[k];
    rein_train_opts opts = run_opts(run_path(name));
    opts.algo = recipes[i].algo;
    opts.env = recipes[i].env;
    opts.preset = "none";
    opts.settings = settings;
    opts.n_settings = n;
    return opts;
}

/* the algorithm with a stop after an iteration */
static reini_algo stopping;
static void (*iterate)(void *self, reini_report *report);
static int64_t stop_after;
static void iterate_and_stop(void *self, reini_report *report) {
    iterate(self, report);
    if (--stop_after == 0)
        run_stop = 1;
}

static const reini_algo *stopping_algo(int i) {
    stopping = *reini_algo_find(recipes[i].algo);
    iterate = stopping.iterate;
    stopping.iterate = iterate_and_stop;
    return &stopping;
}

static rein_summary reference[RECIPES];

static int make_references(void **state) {
    if (temp_dir_make(state) != 0)
        return -1;
    for (int i = 0; i < RECIPES; i++) {
        rein_train_opts opts = opts_of(i, "");
        if (rein_train(&opts, &reference[i]) != REIN_OK) {
            fprintf(stderr, "%s: %s\n", recipes[i].algo, rein_error());
            return -1;
        }
    }
    return 0;
}

static void stopped_runs_continue(void **state) {
    static const int64_t pauses[] = {1, 2, 3, 1};
    rein_summary summary;
    for (int i = 0; i < RECIPES; i++) {
        rein_train_opts opts = opts_of(i, "-stopped");
        const char *dir = opts.out;
        for (int k = 0; k < 4; k++) {
            stop_after = pauses[k];
            assert_fails(reini_train_with(stopping_algo(i), &opts, &summary), REIN_INTERRUPTED, "stopped at");
            opts = run_resume(dir);
        }
        assert_ok(rein_train(&opts, &summary));
        assert_int_equal(summary.env_steps, 1530);
        run_same(reference[i].run_dir, dir, &reference[i], &summary);
    }
}

static void extended_runs_go_on(void **state) {
    rein_setting longer = {"steps", "2100"};
    for (int i = 0; i < RECIPES; i++) {
        rein_summary at_once, in_parts;
        rein_train_opts opts = opts_of(i, "-extended");
        const char *dir = opts.out;
        assert_ok(rein_train(&opts, &at_once));
        opts = run_resume(dir);
        opts.settings = &longer;
        opts.n_settings = 1;
        assert_ok(rein_train(&opts, &at_once));
        assert_int_equal(at_once.env_steps, 2100);
        opts = opts_of(i, "-in-parts");
        const char *other = opts.out;
        assert_ok(rein_train(&opts, &in_parts));
        opts = run_resume(other);
        opts.settings = &longer;
        opts.n_settings = 1;
        stop_after = 2;
        assert_fails(reini_train_with(stopping_algo(i), &opts, &in_parts), REIN_INTERRUPTED, "of 2100");
        opts = run_resume(other);
        assert_ok(rein_train(&opts, &in_parts));
        run_same(dir, other, &at_once, &in_parts);
    }
}

static void policy_files_act_alone(void **state) {
    for (int i = 0; i < RECIPES; i++) {
        rein_eval_opts opts = {.path = reference[i].run_dir, .episodes = 20, .threads = 1};
        rein_eval_result result;
        assert_ok(rein_eval(&opts, &result));
        assert_string_equal(result.policy_sha256, reference[i].policy_sha256);
        assert_string_equal(result.algo, recipes[i].algo);
    }
}

/* the table of one run is the policy that another evaluates */
static void policies_are_given_by_run(void **state) {
    rein_setting own[] = {{"steps", "20000"}, {"policy", reference[0].run_dir}, {"eval_episodes", "5"}};
    rein_train_opts opts = run_opts(run_path("given"));
    rein_summary summary;
    opts.algo = "td";
    opts.env = "FrozenLake-v1";
    opts.settings = own;
    opts.n_settings = 3;
    assert_ok(rein_train(&opts, &summary));
}

static void every_allocation_may_fail(void **state) {
    rein_summary summary;
    for (int i = 0; i < RECIPES; i++) {
        rein_train_opts opts = opts_of(i, "-lean");
        settings[0].value = "40";
        settings[1].value = "20";
        uint64_t live = reini_memory_now().live_bytes, used = UINT64_MAX;
        for (uint64_t n = 1; n <= used; n++) {
            uint64_t before = reini_memory_now().allocations;
            reini_memory_fail(n, false);
            rein_status status = rein_train(&opts, &summary);
            reini_memory_fail(0, false);
            used = reini_memory_now().allocations - before;
            if (status != REIN_OK && status != REIN_NOMEM)
                fail_msg("%s, allocation %d: status %d, \"%s\"", recipes[i].algo, (int)n, (int)status,
                         rein_error());
            if (reini_memory_now().live_bytes != live)
                fail_msg("%s, allocation %d failed and memory was lost", recipes[i].algo, (int)n);
            temp_remove(opts.out);
        }
        settings[0].value = "1530";
        settings[1].value = "153";
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopped_runs_continue),     cmocka_unit_test(extended_runs_go_on),
        cmocka_unit_test(policy_files_act_alone),    cmocka_unit_test(policies_are_given_by_run),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_references, temp_dir_remove);
}
