/*
 * test_plugin.c - environments from shared libraries: found, trained on, resumed, and their faults told by name.
 */
#include <rein/run.h>
#include "support/check.h"
#include "support/temp_dir.h"

#define FAULTY REIN_PLUGINS "/faulty.so"

static void test_found_by_path_and_id(void **state) {
    const rein_env_type *first = rein_env_find(FAULTY);
    assert_non_null(first);
    assert_string_equal(first->id, FAULTY); /* as asked for, so that a run finds it again */
    assert_ptr_equal(rein_env_find(FAULTY), first);
    assert_non_null(rein_env_find(FAULTY ":Fine-v0"));
    const rein_env_type *reach = rein_env_find(REIN_PLUGINS "/reach.so");
    assert_non_null(reach);
    assert_int_equal(reach->n_fields, 2);
}

static void not_found(const char *name, const char *words) {
    assert_null(rein_env_find(name));
    if (!strstr(rein_error(), words))
        fail_msg("\"%s\" lacks \"%s\"", rein_error(), words);
}

static void test_faults_are_found_before_training(void **state) {
    not_found(FAULTY ":NanAtOnce-v0", "observation after reset holds a number that is not finite");
    not_found(FAULTY ":WideState-v0", "reset writes more than the 4 bytes of the state");
    not_found(FAULTY ":WideObs-v0", "observe writes more than the 4 bytes of the observation");
    not_found(FAULTY ":NoAction-v0", "allows no action");
    not_found(FAULTY ":NoStep-v0", "reset, step and observe are needed");
    not_found(FAULTY ":WrongAbi-v0", "was built for ABI 4");
    not_found(FAULTY ":Fime-v0", "built for ABI"); /* no such name: the search ends at the wrong ABI */
    not_found(REIN_PLUGINS "/nothing.so", "rein_env_plugin");
    not_found("./absent.so", "absent.so");
    temp_write(temp_path("text.so"), "not a library", 13);
    not_found(temp_path("text.so"), "cannot be loaded");
}

static rein_status train(const char *env, const char *out, const char *steps, rein_summary *summary) {
    const rein_setting settings[] = {{"steps", steps},  {"n_envs", "4"},        {"n_steps", "64"},
                                     {"n_epochs", "1"}, {"batch_size", "256"},  {"hidden", "8"},
                                     {"threads", "1"},  {"eval_episodes", "5"}, {"seed", "3"}};
    rein_train_opts opts = {.algo = "ppo",
                            .env = env,
                            .settings = settings,
                            .n_settings = sizeof settings / sizeof *settings,
                            .out = out};
    return rein_train(&opts, summary);
}

static void test_a_run_is_trained_resumed_and_evaluated(void **state) {
    rein_summary summary, again;
    rein_eval_result result;
    assert_ok(train(FAULTY, temp_path("run"), "1000", &summary));
    assert_true(summary.eval_return_mean == 20);
    const rein_setting more[] = {{"steps", "2000"}};
    rein_train_opts opts = {.resume = temp_path("run"), .settings = more, .n_settings = 1};
    assert_ok(rein_train(&opts, &again));
    assert_true(again.env_steps >= 2000);
    rein_eval_opts eval = {.path = temp_path("run"), .episodes = 3, .threads = 1};
    assert_ok(rein_eval(&eval, &result));
    assert_true(result.return_mean == 20);
}

static void stops(const char *env, const char *words) {
    rein_summary summary;
    rein_status status = train(env, temp_path("bad"), "100000", &summary);
    assert_int_equal(status, REIN_DIVERGED);
    if (!strstr(rein_error(), words) || !strstr(rein_error(), "seed 3") || !strstr(rein_error(), "step 2"))
        fail_msg("\"%s\" lacks \"%s\"", rein_error(), words);
    temp_remove(temp_path("bad"));
}

/* the fault comes at the 1003rd step, the 3rd of its episode: two steps were made in it */
static void test_faults_in_training_are_named(void **state) {
    stops(FAULTY ":NanReward-v0", "gave the reward nan");
    stops(FAULTY ":NanObs-v0", "gave an observation that holds a number that is not finite");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_by_path_and_id),
        cmocka_unit_test(test_faults_are_found_before_training),
        cmocka_unit_test(test_a_run_is_trained_resumed_and_evaluated),
        cmocka_unit_test(test_faults_in_training_are_named),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
