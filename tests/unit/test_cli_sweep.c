/*
 * test_cli_sweep.c - `rein eval --sweep` and the safety filter's options from outside: tables, JSON, CSV, several seeds,
 * sentences for what cannot be swept.
 */
#include "support/command.h"
#include "support/check.h"
#include <jansson.h>
#include <math.h>
#include <rein/run.h>

#define run_expect(expected, ...)                                                                            \
    ({                                                                                                       \
        command c_ = command_run(__VA_ARGS__, NULL);                                                         \
        if (c_.code != (expected))                                                                           \
            fail_msg("exit code %d, expected %d\nstdout: %s\nstderr: %s", c_.code, expected, c_.out,         \
                     c_.err);                                                                                \
        c_;                                                                                                  \
    })

static void expect_error(const char *words, const char *option, const char *value) {
    command c = run_expect(2, "eval", "one", "--episodes", "2", option, value);
    assert_string_equal(c.out, "");
    if (strncmp(c.err, "rein: error: ", 13) != 0 || !strstr(c.err, words))
        fail_msg("the error does not say \"%s\": %s", words, c.err);
    command_release(&c);
}

static int train_once(void **state) {
    if (temp_dir_make(state) != 0)
        return -1;
    command c =
        command_run("train", "a2c", "--env", "CartPole-v1", "--preset", "none", "--steps", "20k", "--hidden",
                    "16", "--out", "one", "--threads", "1", "--eval_episodes", "5", "--quiet", NULL);
    command d = command_run("train", "a2c", "--env", "CartPole-v1", "--preset", "none", "--steps", "5k",
                            "--hidden", "16", "--out", "three", "--seeds", "3", "--seed", "7", "--threads",
                            "1", "--eval_episodes", "5", "--quiet", NULL);
    int code = c.code | d.code;
    command_release(&c);
    command_release(&d);
    return code;
}

/* the JSON object on the last line */
static json_t *json_of(const command *c) {
    json_t *o = json_loads(c->out, 0, NULL);
    assert_non_null(o);
    return o;
}

static double number(const json_t *o, const char *key) {
    const json_t *value = json_object_get(o, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* what `rein eval` says about the same condition by itself */
static double alone(const char *policy, const char *first, const char *second) {
    command c = run_expect(0, "eval", policy, "--episodes", "20", "--json", first, second);
    json_t *o = json_of(&c);
    double mean = number(o, "return_mean");
    json_decref(o);
    command_release(&c);
    return mean;
}

static void test_a_grid_is_its_conditions(void **state) {
    command c = run_expect(0, "eval", "one", "--episodes", "20", "--json", "--sweep", "length=0.3:0.9:3",
                           "--sweep", "env.gravity=5,40", "--out", "grid.csv");
    json_t *o = json_of(&c), *rows = json_object_get(o, "conditions");
    static const char *const lengths[] = {"0.3", "0.6", "0.9"}, *const gravities[] = {"5", "40"};
    char *csv = temp_read(temp_path("grid.csv"), NULL), *rest = csv;
    assert_int_equal(json_array_size(rows), 6);
    assert_int_equal(
        strncmp(strtok_r(rest, "\n", &rest), "length,gravity,policies,episodes,return_mean,", 45), 0);
    for (size_t i = 0; i < 6; i++) {
        const json_t *row = json_array_get(rows, i), *at = json_object_get(row, "at");
        char first[64], second[64], line[128];
        assert_string_equal(json_string_value(json_object_get(at, "length")), lengths[i / 2]);
        assert_string_equal(json_string_value(json_object_get(at, "gravity")), gravities[i % 2]);
        snprintf(first, sizeof first, "--env.length=%s", lengths[i / 2]);
        snprintf(second, sizeof second, "--env.gravity=%s", gravities[i % 2]);
        assert_true(number(row, "return_mean") == alone("one", first, second));
        assert_true(number(row, "return_low") <= number(row, "return_mean"));
        snprintf(line, sizeof line, "%s,%s,1,20,%.9g,", lengths[i / 2], gravities[i % 2],
                 number(row, "return_mean"));
        assert_int_equal(strncmp(strtok_r(rest, "\n", &rest), line, strlen(line)), 0);
    }
    /* the conditions do differ */
    assert_true(number(json_array_get(rows, 0), "return_mean") !=
                number(json_array_get(rows, 1), "return_mean"));
    free(csv);
    json_decref(o);
    command_release(&c);
}

static void test_noise(void **state) {
    command c = run_expect(0, "eval", "one", "--episodes", "20", "--json", "--sweep", "obs_noise=0,0.3");
    json_t *o = json_of(&c), *rows = json_object_get(o, "conditions");
    double clean = number(json_array_get(rows, 0), "return_mean"),
           noisy = number(json_array_get(rows, 1), "return_mean");
    assert_true(clean == alone("one", "--obs_noise=0", "--threads=1"));
    assert_true(noisy == alone("one", "--obs_noise=0.3", "--threads=2"));
    assert_true(noisy < clean);
    /* in units of each element: another noise, and none is none */
    double relative = alone("one", "--obs_noise=0.3", "--obs_noise_relative");
    assert_true(relative != noisy && relative != clean);
    assert_true(alone("one", "--obs_noise=0", "--obs_noise_relative") == clean);
    json_decref(o);
    command_release(&c);
}

static void test_several_seeds(void **state) {
    command c = run_expect(0, "eval", "three", "--episodes", "20", "--json", "--sweep", "length=0.5,1.5");
    json_t *o = json_of(&c), *rows = json_object_get(o, "conditions");
    assert_int_equal(number(o, "policies"), 3);
    for (size_t i = 0; i < 2; i++) {
        const json_t *row = json_array_get(rows, i);
        double mean = 0, least = INFINITY, most = -INFINITY;
        for (int seed = 7; seed < 10; seed++) {
            char name[32];
            snprintf(name, sizeof name, "three/seed-%d", seed);
            double x = alone(name, i ? "--env.length=1.5" : "--env.length=0.5", "--threads=1");
            mean += x / 3;
            least = fmin(least, x);
            most = fmax(most, x);
        }
        assert_true(fabs(number(row, "return_mean") - mean) < 1e-9 * mean);
        assert_true(number(row, "return_min") == least && number(row, "return_max") == most);
        assert_true(number(row, "return_low") >= least && number(row, "return_high") <= most);
    }
    json_decref(o);
    command_release(&c);
    /* without a sweep: the one condition there is */
    c = run_expect(0, "eval", "three", "--episodes", "5");
    assert_non_null(strstr(c.out, "3 policies, 5 greedy episodes of each"));
    command_release(&c);
}

static void test_the_table(void **state) {
    command c = run_expect(0, "eval", "one", "--episodes", "3", "--sweep", "integrator=euler,semi_implicit");
    assert_non_null(strstr(c.out, "a2c on CartPole-v1, 3 greedy episodes in each condition"));
    assert_non_null(strstr(c.out, "integrator"));
    assert_non_null(strstr(c.out, "semi_implicit"));
    assert_non_null(strstr(c.out, "success"));
    assert_null(strstr(c.out, "interventions"));
    command_release(&c);
}

static void test_what_cannot_be_swept(void **state) {
    static const char *const wrong[][2] = {
        {"lenght=1,2", "did you mean \"length\"?"},
        {"speed=1,2", "expected one of gravity, masscart"},
        {"length=0.9:0.3:7", "the range is empty"},
        {"length=0.3:0.3:7", "the range is empty"},
        {"length=0.3:0.9:1", "the range is empty"},
        {"length=0.3:0.9", "LOW:HIGH:N"},
        {"length=a:b:3", "LOW:HIGH:N"},
        {"length=0.3:0.9:2.5", "LOW:HIGH:N"},
        {"length=0.3:0.9:100000", "expected 1 to 1000"},
        {"length=1,,2", "value 2 is missing"},
        {"length=1,x", "\"x\" cannot be read"},
        {"length=1,0", "0 is out of range"},
        {"integrator=0:1:2", "integrator is not a number"},
        {"integrator=euler,other", "\"other\" is not one of"},
        {"obs_noise=-1,0", "obs_noise: -1 is out of range"},
        {"length", "expected NAME="},
        {"=1,2", "expected NAME="},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_error(wrong[i][1], "--sweep", wrong[i][0]);
    expect_error("--out is for the table of a sweep", "--out", "x.csv");
    command c = run_expect(2, "eval", "one", "--sweep", "length=1,2", "--sweep", "env.length=1,2");
    assert_non_null(strstr(c.err, "length is named twice"));
    command_release(&c);
    c = run_expect(2, "eval", "one", "--sweep", "length=1,2", "--sweep", "gravity=1,2", "--sweep",
                   "tau=0.01,0.02");
    assert_non_null(strstr(c.err, "3 sweeps were asked for, expected 2 at most"));
    command_release(&c);
    c = run_expect(2, "eval", "absent", "--sweep", "length=1,2");
    assert_non_null(strstr(c.err, "absent"));
    command_release(&c);
}

static void test_the_filter(void **state) {
    command c =
        run_expect(0, "train", "a2c", "--env", "Pendulum-v1", "--preset", "none", "--steps", "2k", "--hidden",
                   "8", "--out", "filtered", "--action-rate", "0.3", "--action_low=-1", "--quiet");
    command_release(&c);
    c = run_expect(0, "eval", "filtered", "--episodes", "5");
    assert_non_null(strstr(c.out, "of the actions"));
    command_release(&c);
    c = run_expect(0, "eval", "filtered", "--episodes", "5", "--json", "--sweep", "m=1,2");
    json_t *o = json_of(&c), *rows = json_object_get(o, "conditions");
    double share = number(json_array_get(rows, 0), "intervention_share");
    assert_true(share >= 0 && share <= 1);
    json_decref(o);
    command_release(&c);
    c = run_expect(0, "eval", "filtered", "--episodes", "5", "--action_rate", "none", "--action_low", "none");
    assert_null(strstr(c.out, "of the actions"));
    command_release(&c);
    c = run_expect(2, "eval", "filtered", "--action_rat", "none");
    assert_non_null(strstr(c.err, "action_rate"));
    command_release(&c);
}

static void test_frames_are_remembered(void **state) {
    command c =
        run_expect(0, "train", "a2c", "--env", "Pendulum-v1", "--preset", "none", "--steps", "2k", "--hidden",
                   "8", "--out", "stacked", "--frame-stack", "3", "--action_rate=0.3", "--quiet");
    command_release(&c);
    /* the policy file alone knows its wrappers; the filter is found inside the stack */
    c = run_expect(0, "eval", "stacked/policy.safetensors", "--episodes", "5");
    assert_non_null(strstr(c.out, "of the actions"));
    command_release(&c);
    c = command_run("eval", "stacked", "--frame_stack=2", NULL);
    assert_true(c.code != 0 && strstr(c.err, "observation space is Box(9)"));
    command_release(&c);
    c = run_expect(2, "train", "a2c", "--env", "Pendulum-v1", "--frame_stack", "100");
    assert_non_null(strstr(c.err, "frame_stack: 100 is out of range"));
    command_release(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grid_is_its_conditions),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_several_seeds),
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_what_cannot_be_swept),
        cmocka_unit_test(test_the_filter),
        cmocka_unit_test(test_frames_are_remembered),
    };
    return cmocka_run_group_tests_name("rein eval --sweep", tests, train_once, temp_dir_remove);
}
