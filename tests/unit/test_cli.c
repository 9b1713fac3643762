/*
 * test_cli.c - the `rein` command from outside: help texts, exit codes, sentences, JSON, files that cannot be written.
 */
#include "support/command.h"
#include "support/check.h"
#include <jansson.h>
#include <rein/run.h>

/* runs `rein ...`, compares the exit code, shows both outputs when it differs; the caller releases */
#define run_expect(expected, ...)                                                                            \
    ({                                                                                                       \
        command c_ = command_run(__VA_ARGS__, NULL);                                                         \
        if (c_.code != (expected))                                                                           \
            fail_msg("exit code %d, expected %d\nstdout: %s\nstderr: %s", c_.code, expected, c_.out,         \
                     c_.err);                                                                                \
        c_;                                                                                                  \
    })

/* fails with this code, says nothing on stdout, and one sentence on stderr that contains these words */
#define expect_error(expected, words, ...)                                                                   \
    do {                                                                                                     \
        command e_ = run_expect(expected, __VA_ARGS__);                                                      \
        assert_string_equal(e_.out, "");                                                                     \
        if (strncmp(e_.err, "rein: error: ", 13) != 0 || !strstr(e_.err, words))                             \
            fail_msg("the error does not say \"%s\": %s", words, e_.err);                                    \
        assert_ptr_equal(strchr(e_.err, '\n'), e_.err + strlen(e_.err) - 1);                                 \
        command_release(&e_);                                                                                \
    } while (0)

/* ---- help ----------------------------------------------------------------------------------------------- */

/* compares with tests/golden/help/NAME.txt; `make help-golden` rewrites those */
static void compare_help(const char *name, command c) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/help/%s.txt", REIN_SOURCE_DIR, name);
    if (access(path, R_OK) != 0)
        fail_msg("%s is missing; \"make help-golden\" writes it", path);
    char *golden = temp_read(path, NULL);
    if (strcmp(golden, c.out) != 0)
        fail_msg("help differs from %s; if it should, run \"make help-golden\"\n%s", path, c.out);
    assert_string_equal(c.err, "");
    free(golden);
    command_release(&c);
}

static void test_help_of_the_command(void **state) {
    (void)state;
    compare_help("rein", run_expect(0, "help"));
    compare_help("rein", run_expect(0, "--help"));
    compare_help("rein", run_expect(0, "-h"));
}

static void test_help_of_every_verb(void **state) {
    static const char *const verbs[] = {"train", "eval", "generate", "chat",  "label",  "tokenizer",
                                        "show",  "list", "describe", "bench", "version"};
    (void)state;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        compare_help(verbs[i], run_expect(0, verbs[i], "--help"));
        compare_help(verbs[i], run_expect(0, "help", verbs[i]));
    }
}

static void test_help_of_every_algorithm(void **state) {
    rein_algo_info info;
    (void)state;
    for (int i = 0; rein_algo_at(i, &info); i++) {
        char name[96];
        snprintf(name, sizeof name, "train_%s", info.name);
        compare_help(name, run_expect(0, "train", info.name, "--help"));
        compare_help(name, run_expect(0, "help", "train", info.name));
    }
}

static void test_help_lists_every_field(void **state) {
    rein_algo_info info;
    (void)state;
    for (int i = 0; rein_algo_at(i, &info); i++) {
        command c = run_expect(0, "train", info.name, "--help");
        for (int k = 0; k < info.n_fields; k++) {
            char flag[160];
            snprintf(flag, sizeof flag, "--%s=", info.fields[k].name);
            assert_non_null(strstr(c.out, flag));
            assert_non_null(strstr(c.out, info.fields[k].doc));
        }
        command_release(&c);
    }
}

/* ---- lists ---------------------------------------------------------------------------------------------- */

static void test_list_says_what_is_absent(void **state) {
    (void)state;
    command c = run_expect(0, "list", "envs");
    assert_non_null(strstr(c.out, "CartPole-v1"));
#ifdef REIN_HAVE_MUJOCO
    assert_non_null(strstr(c.out, "Hopper-v4"));
    assert_null(strstr(c.out, "libmujoco"));
#else
    const char *end = strstr(c.out, "not in this build");
    assert_non_null(end);
    assert_non_null(strstr(end, "Hopper"));
    assert_non_null(strstr(end, "libmujoco-dev"));
#endif
    command_release(&c);
}

/* ---- wrong usage ---------------------------------------------------------------------------------------- */

static void test_unknown_names(void **state) {
    (void)state;
    expect_error(2, "did you mean \"train\"?", "trian");
    expect_error(2, "did you mean \"eval\"?", "help", "evla");
    expect_error(2, "ppo", "train", "pppo", "--env", "CartPole-v1");
    expect_error(2, "CartPole-v1", "train", "ppo", "--env", "CartPol-v1");
    expect_error(2, "did you mean \"gamma\"?", "train", "ppo", "--env", "CartPole-v1", "--gama", "0.9");
    expect_error(2, "did you mean \"preset\"?", "train", "ppo", "--env", "CartPole-v1", "--prest=none");
    expect_error(2, "tuned", "train", "ppo", "--env", "CartPole-v1", "--preset", "tunned");
    expect_error(2, "did you mean \"episodes\"?", "eval", "x", "--episode", "3");
    expect_error(2, "did you mean \"envs\"?", "list", "env");
    expect_error(2, "CartPole-v1", "describe", "CartPole-v2");
    expect_error(2, "neither an algorithm nor an environment", "describe", "xyzzy");
    expect_error(2, "startup", "bench", "nothing");
}

static void test_missing_and_superfluous(void **state) {
    (void)state;
    expect_error(2, "no algorithm", "train");
    expect_error(2, "no algorithm", "train", "--env", "CartPole-v1");
    expect_error(2, "no environment", "train", "ppo");
    expect_error(2, "needs a value", "train", "ppo", "--env");
    expect_error(2, "needs a value", "train", "ppo", "--gamma", "--env", "CartPole-v1");
    expect_error(2, "is empty", "train", "ppo", "--env=");
    expect_error(2, "no policy", "eval");
    expect_error(2, "no policy", "show");
    expect_error(2, "nothing to describe", "describe");
    expect_error(2, "one word too many", "train", "ppo", "a2c", "--env", "CartPole-v1");
    expect_error(2, "one word too many", "version", "now");
    expect_error(2, "two dashes", "train", "ppo", "-env", "CartPole-v1");
    expect_error(2, "leave out --out", "train", "--resume", "a", "--out", "b");
    expect_error(2, "leave out --preset", "train", "--resume", "a", "--preset", "none");
}

static void test_no_arguments(void **state) {
    (void)state;
    command c = command_run(NULL);
    assert_int_equal(c.code, 2);
    assert_string_equal(c.out, "");
    assert_non_null(strstr(c.err, "rein help"));
    command_release(&c);
}

static void test_wrong_values(void **state) {
    (void)state;
    expect_error(2, "0 <= gamma <= 1", "train", "ppo", "--env", "CartPole-v1", "--quiet", "--gamma", "1.5");
    expect_error(2, "gamma", "train", "ppo", "--env", "CartPole-v1", "--quiet", "--gamma=much");
    expect_error(2, "steps", "train", "ppo", "--env", "CartPole-v1", "--quiet", "--steps", "-5");
    expect_error(2, "dtype", "train", "ppo", "--env", "CartPole-v1", "--quiet", "--dtype", "f17");
    expect_error(2, "seeds", "train", "ppo", "--env", "CartPole-v1", "--quiet", "--seeds", "0");
    expect_error(2, "episodes", "eval", "x", "--episodes", "none");
    expect_error(2, "env.no_such", "train", "ppo", "--env", "CartPole-v1", "--quiet", "--env.no_such=1");
}

static void test_bad_paths(void **state) {
    (void)state;
    temp_write(temp_path("plain file"), "x", 1);
    expect_error(1, "plain file", "train", "ppo", "--env", "CartPole-v1", "--quiet", "--out",
                 "plain file/run");
    expect_error(2, "no/such", "eval", "no/such");
    expect_error(1, "plain file", "eval", "plain file");
    expect_error(1, "no.json", "train", "ppo", "--env", "CartPole-v1", "--quiet", "--config", "no.json");
    command c = command_run("train", "--resume", "nowhere", NULL);
    assert_in_range(c.code, 1, 2);
    assert_non_null(strstr(c.err, "nowhere"));
    command_release(&c);
}

static void test_full_output(void **state) {
    (void)state;
    char *argv[] = {(char *)"rein", (char *)"list", NULL};
    int id;
    pid_t pid = command_start(argv, "/dev/full", &id);
    command c = command_finish(pid, id);
    assert_int_equal(c.code, 1);
    assert_non_null(strstr(c.err, "No space left"));
    command_release(&c);
}

/* ---- results -------------------------------------------------------------------------------------------- */

/* the JSON object on the last line of stdout */
static json_t *last_json(const char *out) {
    size_t length = strlen(out);
    assert_true(length > 0 && out[length - 1] == '\n');
    const char *line = out + length - 1;
    while (line > out && line[-1] != '\n')
        line--;
    json_error_t error;
    json_t *value = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (!value || !json_is_object(value))
        fail_msg("the last line is not a JSON object: %s", line);
    return value;
}

#define assert_key(object, key, kind) assert_true(json_is_##kind(json_object_get(object, key)))

static void test_json_of_descriptions(void **state) {
    (void)state;
    command c = run_expect(0, "version", "--json");
    json_t *o = last_json(c.out);
    assert_string_equal(json_string_value(json_object_get(o, "version")), rein_version());
    json_decref(o);
    command_release(&c);

    c = run_expect(0, "list", "--json");
    o = last_json(c.out);
    assert_true(json_array_size(json_object_get(o, "algos")) > 0);
    assert_true(json_array_size(json_object_get(o, "envs")) > 0);
    assert_true(json_array_size(json_object_get(o, "presets")) > 0);
    json_decref(o);
    command_release(&c);

    c = run_expect(0, "describe", "CartPole-v1", "--json");
    o = last_json(c.out);
    assert_int_equal(json_integer_value(json_object_get(o, "horizon")), 500);
    assert_key(json_object_get(o, "act"), "n", array);
    json_decref(o);
    command_release(&c);
}

static void test_describe_every_name(void **state) {
    rein_algo_info info;
    const rein_env_type *type;
    (void)state;
    for (int i = 0; rein_algo_at(i, &info); i++) {
        command c = run_expect(0, "describe", info.name, "--json");
        json_t *o = last_json(c.out);
        assert_int_equal(json_array_size(json_object_get(o, "fields")), info.n_fields);
        json_decref(o);
        command_release(&c);
    }
    for (int i = 0; (type = rein_env_at(i)); i++) {
        command c = run_expect(0, "describe", type->id);
        assert_non_null(strstr(c.out, type->doc));
        command_release(&c);
    }
}

/* a tiny run; everything after --env */
#define TINY "--env", "CartPole-v1", "--steps", "2000", "--eval_episodes", "5"

static void check_summary(json_t *o) {
    static const char *const numbers[] = {
        "seed", "env_steps", "wall_s", "sps", "eval_return_mean", "eval_return_std", "eval_episodes"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_key(o, numbers[i], number);
    assert_string_equal(json_string_value(json_object_get(o, "algo")), "ppo");
    assert_string_equal(json_string_value(json_object_get(o, "env")), "CartPole-v1");
    assert_int_equal(strlen(json_string_value(json_object_get(o, "policy_sha256"))), 64);
    assert_key(o, "run_dir", string);
}

static void test_train_and_eval(void **state) {
    (void)state;
    command c = run_expect(0, "train", "ppo", TINY, "--out", "a run", "--seed=3", "--json");
    json_t *o = last_json(c.out);
    check_summary(o);
    assert_int_equal(json_integer_value(json_object_get(o, "seed")), 3);
    char *sha = strdup(json_string_value(json_object_get(o, "policy_sha256")));
    json_decref(o);
    command_release(&c);

    c = run_expect(0, "eval", "a run", "--episodes", "7", "--json");
    assert_string_equal(c.err, "");
    o = last_json(c.out);
    assert_int_equal(json_integer_value(json_object_get(o, "episodes")), 7);
    assert_string_equal(json_string_value(json_object_get(o, "policy_sha256")), sha);
    assert_key(o, "return_mean", number);
    json_decref(o);
    command_release(&c);

    c = run_expect(0, "eval", "a run/policy.safetensors", "--episodes=3");
    assert_non_null(strstr(c.out, "ppo on CartPole-v1, 3 greedy episodes"));
    command_release(&c);

    /* refused without --force, and nothing is lost by asking */
    expect_error(2, "--force", "train", "ppo", TINY, "--out", "a run", "--quiet");
    c = run_expect(0, "train", "ppo", TINY, "--out", "a run", "--seed=3", "--json", "--quiet", "--force");
    o = last_json(c.out);
    assert_string_equal(json_string_value(json_object_get(o, "policy_sha256")), sha);
    assert_string_equal(c.err, "");
    json_decref(o);
    command_release(&c);
    free(sha);
}

/* files that are damaged or belong elsewhere are refused with a reason, and stay as they are */
static void test_damaged_and_foreign(void **state) {
    (void)state;
    command c = run_expect(0, "train", "ppo", TINY, "--out", "whole", "--quiet");
    command_release(&c);
    expect_error(1, "does not fit Pendulum-v1", "eval", "whole", "--env", "Pendulum-v1");
    expect_error(2, "CartPole-v1", "train", "ppo", "--resume", "whole", "--env", "Pendulum-v1", "--quiet");
    expect_error(2, "gamma", "train", "--resume", "whole", "--gamma", "0.5", "--quiet");
    expect_error(2, "extended", "train", "--resume", "whole", "--steps", "1000", "--quiet");

    size_t size;
    char *policy = temp_read(temp_path("whole/policy.safetensors"), &size);
    temp_write(temp_path("cut.safetensors"), policy, size / 2);
    free(policy);
    expect_error(1, "cut.safetensors", "eval", "cut.safetensors");

    char *checkpoint = temp_read(temp_path("whole/checkpoint.rein"), &size);
    checkpoint[size / 2] ^= 1;
    temp_write(temp_path("whole/checkpoint.rein"), checkpoint, size);
    expect_error(1, "damaged", "train", "--resume", "whole", "--steps", "4000", "--quiet");
    size_t after;
    char *again = temp_read(temp_path("whole/checkpoint.rein"), &after);
    assert_int_equal(after, size);
    assert_memory_equal(again, checkpoint, size);
    free(again);
    free(checkpoint);
}

/* every way to write a setting arrives; config.json repeats it */
static void test_forms_of_settings(void **state) {
    (void)state;
    command c = run_expect(0, "train", "ppo", TINY, "--quiet", "--out=forms", "--lr", "lin_1e-3",
                           "--gae-lambda=.9", "--gamma", "0.97");
    char *text = temp_read(temp_path("forms/config.json"), NULL);
    assert_non_null(strstr(text, "lin_0.001"));
    assert_non_null(strstr(text, "0.97"));
    json_t *config = json_loads(text, 0, NULL);
    assert_non_null(config);
    json_decref(config);
    free(text);
    command_release(&c);
}

static void test_several_seeds(void **state) {
    (void)state;
    command c = run_expect(0, "train", "ppo", TINY, "--quiet", "--out", "seeds", "--seeds", "2", "--json");
    json_t *o = last_json(c.out);
    assert_int_equal(json_integer_value(json_object_get(o, "seeds")), 2);
    assert_key(o, "seeds_iqm", number);
    json_decref(o);
    command_release(&c);
}

/* ---- signals -------------------------------------------------------------------------------------------- */

static void wait_for_file(const char *name) {
    for (int i = 0; i < 2000 && access(temp_path(name), R_OK) != 0; i++)
        usleep(10000);
    assert_int_equal(access(temp_path(name), R_OK), 0);
}

/* until the command has said this on stderr */
static void wait_for_words(int id, const char *words) {
    bool said = false;
    for (int i = 0; i < 6000 && !said; i++) {
        usleep(10000);
        char *text =
            access(command_output(id, "err"), R_OK) == 0 ? temp_read(command_output(id, "err"), NULL) : NULL;
        said = text && strstr(text, words);
        free(text);
    }
    if (!said)
        fail_msg("\"%s\" was not said", words);
}

static void interrupt_and_resume(int signal, const char *dir) {
    char *argv[] = {
        (char *)"rein",  (char *)"train", (char *)"ppo",     (char *)"--env", (char *)"CartPole-v1",
        (char *)"--out", (char *)dir,     (char *)"--steps", (char *)"1e12",  NULL};
    char name[128];
    int id;
    pid_t pid = command_start(argv, NULL, &id);
    snprintf(name, sizeof name, "%s/config.json", dir);
    wait_for_file(name);
    usleep(200000);
    kill(pid, signal);
    command c = command_finish(pid, id);
    if (c.code != 128 + signal)
        fail_msg("exit code %d, expected %d: %s", c.code, 128 + signal, c.err);
    assert_string_equal(c.out, "");
    assert_non_null(strstr(c.err, "--resume"));
    command_release(&c);

    /* the run is there and goes on from where it was */
    c = run_expect(2, "train", "ppo", "--env", "CartPole-v1", "--out", dir);
    command_release(&c);
    pid_t again = command_start(
        (char *[]){(char *)"rein", (char *)"train", (char *)"--resume", (char *)dir, NULL}, NULL, &id);
    wait_for_words(id, "continuing at");
    kill(again, signal);
    c = command_finish(again, id);
    assert_int_equal(c.code, 128 + signal);
    command_release(&c);
}

static void test_interrupt(void **state) {
    (void)state;
    interrupt_and_resume(SIGINT, "interrupted");
}

static void test_terminate(void **state) {
    (void)state;
    interrupt_and_resume(SIGTERM, "terminated");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help_of_the_command),
        cmocka_unit_test(test_help_of_every_verb),
        cmocka_unit_test(test_help_of_every_algorithm),
        cmocka_unit_test(test_help_lists_every_field),
        cmocka_unit_test(test_list_says_what_is_absent),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_missing_and_superfluous),
        cmocka_unit_test(test_no_arguments),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_full_output),
        cmocka_unit_test(test_json_of_descriptions),
        cmocka_unit_test(test_describe_every_name),
        cmocka_unit_test(test_train_and_eval),
        cmocka_unit_test(test_damaged_and_foreign),
        cmocka_unit_test(test_forms_of_settings),
        cmocka_unit_test(test_several_seeds),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_terminate),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
