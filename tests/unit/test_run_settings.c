/*
 * test_run_settings.c - where the values of a run come from, and every wrong name and value.
 */
#include "base/file.h"
#include "run/presets.h"
#include "run/run_dir.h"
#include "support/run_check.h"

/* values of a resolved setup by name */
static const char *value_of(const reini_setup *setup, const char *name) {
    static reini_value value;
    for (int i = 0; reini_setup_at(setup, i, &value); i++)
        if (strcmp(value.name, name) == 0)
            return value.text;
    return "absent";
}

static rein_status resolve(reini_setup *setup, const rein_train_opts *opts) {
    rein_status status = reini_setup_resolve(setup, &mock_algo, opts);
    return status == REIN_OK ? reini_setup_check(setup) : status;
}

static rein_status resolve_one(const char *name, const char *text) {
    rein_setting setting = {name, text};
    rein_train_opts opts = {.algo = "mock", .env = MOCK_ENV, .settings = &setting, .n_settings = 1};
    reini_setup setup;
    rein_status status = resolve(&setup, &opts);
    reini_setup_release(&setup);
    return status;
}

static const char *config_file(const char *text) {
    const char *path = run_path("settings.json");
    temp_write(path, text, strlen(text));
    return path;
}

static rein_status resolve_file(const char *text) {
    rein_train_opts opts = {.algo = "mock", .env = MOCK_ENV, .config = config_file(text)};
    reini_setup setup;
    rein_status status = resolve(&setup, &opts);
    reini_setup_release(&setup);
    return status;
}

static void later_wins(void **state) {
    rein_setting settings[] = {{"n-steps", "7"}, {"lr", "0.25"}, {"n_steps", "8"}, {"env.push", "0.5"}};
    rein_train_opts opts = {
        .algo = "mock",
        .env = MOCK_ENV,
        .settings = settings,
        .n_settings = 4,
        .config = config_file("{\"n_steps\": 5, \"n_envs\": 6, \"sizes\": [7, 8], \"steps\": \"2k\", "
                              "\"learning_rate\": 0.125, \"env.push\": 0.75, \"seeds\": 2}")};
    reini_setup setup;
    assert_ok(resolve(&setup, &opts));
    assert_string_equal(value_of(&setup, "n_steps"), "8");
    assert_string_equal(value_of(&setup, "n_envs"), "6");
    assert_string_equal(value_of(&setup, "sizes"), "7,8");
    assert_string_equal(value_of(&setup, "steps"), "2000");
    assert_string_equal(value_of(&setup, "learning_rate"), "0.25");
    assert_string_equal(value_of(&setup, "env.push"), "0.5");
    assert_string_equal(value_of(&setup, "trouble"), "0");
    assert_string_equal(setup.preset, "none");
    assert_int_equal(setup.seeds, 2);
    reini_setup_release(&setup);
}

static void head_of_file_names_the_run(void **state) {
    rein_train_opts opts = {.config = config_file("{\"algo\": \"mock\", \"env\": \"" MOCK_ENV
                                                  "\", \"preset\": \"none\", "
                                                  "\"settings\": {\"mode\": \"fancy\"}}")};
    reini_setup setup;
    assert_ok(resolve(&setup, &opts));
    assert_ptr_equal(setup.algo, &mock_algo);
    assert_string_equal(setup.env->id, MOCK_ENV);
    assert_string_equal(value_of(&setup, "mode"), "fancy");
    reini_setup_release(&setup);
    opts.algo = "other";
    assert_fails(resolve(&setup, &opts), REIN_USAGE, "holds settings for mock, not for other");
    reini_setup_release(&setup);
}

static void config_json_reads_back(void **state) {
    rein_setting settings[] = {{"learning_rate", "cos_0.3_0.1@0.2"},
                               {"sizes", "none"},
                               {"stop_at", "-12.5"},
                               {"eval_every", "10"},
                               {"env.push", "0.3"}};
    rein_train_opts opts = {
        .algo = "mock", .env = MOCK_ENV, .settings = settings, .n_settings = 5, .seeds = 3};
    reini_setup setup, back;
    reini_value a, b;
    assert_ok(resolve(&setup, &opts));
    assert_ok(reini_dir_write_config(temp_dir, &setup));
    assert_ok(reini_dir_read_config(temp_dir, &mock_algo, &back));
    int n = 0;
    for (; reini_setup_at(&setup, n, &a); n++) {
        assert_true(reini_setup_at(&back, n, &b));
        assert_string_equal(a.name, b.name);
        assert_string_equal(a.text, b.text);
    }
    int n_run;
    rein_run_fields(&n_run);
    assert_int_equal(n, n_run + mock_algo.n_fields + 1);
    assert_int_equal(back.seeds, 3);
    reini_setup_release(&back);
    /* a run's config.json serves as --config */
    opts = (rein_train_opts){.config = run_path("config.json")};
    assert_ok(resolve(&back, &opts));
    assert_string_equal(value_of(&back, "learning_rate"), value_of(&setup, "learning_rate"));
    reini_setup_release(&back);
    reini_setup_release(&setup);
}

static void wrong_names_suggest_the_nearest(void **state) {
    assert_fails(resolve_one("n_env", "3"), REIN_USAGE, "did you mean \"n_envs\"");
    assert_fails(resolve_one("env.pusch", "3"), REIN_USAGE, "did you mean \"env.push\"");
    assert_fails(resolve_one("chekpoint_every", "3"), REIN_USAGE, "did you mean \"checkpoint_every\"");
    assert_fails(resolve_one("zzzzzzzzzz", "3"), REIN_USAGE, "rein describe mock");
    assert_fails(resolve_one("", "3"), REIN_USAGE, "there is no setting");
    assert_fails(resolve_one(NULL, "3"), REIN_USAGE, "needs a name");
    assert_fails(resolve_one("n_envs", NULL), REIN_USAGE, "without a value");
    rein_train_opts opts = {.algo = "mock", .env = "MockWalk-v1"};
    reini_setup setup;
    assert_fails(resolve(&setup, &opts), REIN_USAGE, MOCK_ENV);
    reini_setup_release(&setup);
    opts = (rein_train_opts){.algo = "mock", .env = MOCK_ENV, .preset = "fast"};
    assert_fails(resolve(&setup, &opts), REIN_USAGE, "there is no preset \"fast\" for mock on " MOCK_ENV);
    reini_setup_release(&setup);
    opts = (rein_train_opts){.algo = "mock"};
    assert_fails(resolve(&setup, &opts), REIN_USAGE, "no environment was named");
    reini_setup_release(&setup);
    opts = (rein_train_opts){.env = MOCK_ENV};
    assert_fails(reini_setup_resolve(&setup, NULL, &opts), REIN_USAGE, "no algorithm was named");
    reini_setup_release(&setup);
    opts = (rein_train_opts){.algo = "no-such", .env = MOCK_ENV};
    assert_fails(reini_setup_resolve(&setup, NULL, &opts), REIN_USAGE, "no-such");
    reini_setup_release(&setup);
    assert_fails(reini_preset_fail("ppo", "CartPole-v1", "zo"), REIN_USAGE, "did you mean \"zoo\"");
}

static void wrong_values_show_the_range(void **state) {
    assert_fails(resolve_one("n_envs", "0"), REIN_USAGE, "1 <= n_envs <= 64");
    assert_fails(resolve_one("n_envs", "many"), REIN_USAGE, "whole number");
    assert_fails(resolve_one("env.push", "11"), REIN_USAGE, "env.push: 11 is out of range");
    assert_fails(resolve_one("mode", "plane"), REIN_USAGE, "did you mean \"plain\"");
    assert_fails(resolve_one("steps", "0"), REIN_USAGE, "steps");
    assert_fails(resolve_one("threads", "-1"), REIN_USAGE, "0 <= threads <= 1024");
    assert_fails(resolve_one("n_steps", "1000.5"), REIN_USAGE, "n_steps");
    assert_fails(resolve_one("stop_at", "10"), REIN_USAGE, "eval_every > 0");
    rein_setting settings[] = {{"n_steps", "1000"}, {"n_envs", "6"}};
    rein_train_opts opts = {.algo = "mock", .env = MOCK_ENV, .settings = settings, .n_settings = 2};
    reini_setup setup;
    assert_fails(resolve(&setup, &opts), REIN_USAGE, "at most 5000");
    reini_setup_release(&setup);
    opts = (rein_train_opts){.algo = "mock", .env = MOCK_ENV, .seeds = -1};
    assert_fails(resolve(&setup, &opts), REIN_USAGE, "1 <= seeds");
    reini_setup_release(&setup);
    opts = (rein_train_opts){.algo = "mock", .env = "Pendulum-v1"};
    assert_fails(resolve(&setup, &opts), REIN_USAGE, "discrete actions");
    reini_setup_release(&setup);
}

static void wrong_files_are_named(void **state) {
    assert_fails(resolve_file("{\"n_envs\": 0}"), REIN_USAGE, "settings.json: n_envs");
    assert_fails(resolve_file("{\"n_envs\": null}"), REIN_USAGE, "settings.json: n_envs: expected text");
    assert_fails(resolve_file("{\"n_envs\": {\"a\": 1}}"), REIN_USAGE, "expected text");
    assert_fails(resolve_file("{\"sizes\": [1, \"x\"]}"), REIN_USAGE, "sizes");
    assert_fails(resolve_file("{\"settings\": [1]}"), REIN_FORMAT, "expected a JSON object");
    assert_fails(resolve_file("{\"settings\": {\"n_envs\": 5}, \"n_stops\": 3}"), REIN_USAGE, "\"n_steps\"");
    assert_fails(resolve_file("[1, 2]"), REIN_FORMAT, "expected a JSON object");
    assert_fails(resolve_file("{\"n_envs\": 3"), REIN_FORMAT, "settings.json");
    assert_fails(resolve_file("{\"n_envs\": 3, \"n_envs\": 4}"), REIN_FORMAT, "duplicate");
    assert_fails(resolve_file("{\"preset\": 1}"), REIN_FORMAT, "\"preset\" is not text");
    assert_fails(resolve_file("{\"seeds\": 0}"), REIN_FORMAT, "seeds");
    assert_fails(resolve_file("{\"seeds\": \"3\"}"), REIN_FORMAT, "seeds");
    rein_train_opts opts = {.algo = "mock", .env = MOCK_ENV, .config = run_path("absent.json")};
    reini_setup setup;
    assert_fails(resolve(&setup, &opts), REIN_IO, "absent.json");
}

/* the first environment of this build that a preset is for: there may be none without an optional library */
static const char *environment_of(const rein_preset *preset) {
    const rein_env_type *type;
    for (int i = 0; (type = rein_env_at(i)); i++)
        if (rein_preset_fits(preset, preset->algo, type->id))
            return type->id;
    return NULL;
}

/* every preset of a known algorithm can be applied to its environment */
static void presets_apply(void **state) {
    const rein_preset *preset;
    for (int i = 0; (preset = rein_preset_at(i)); i++) {
        rein_algo_info info;
        const char *env = environment_of(preset);
        rein_train_opts opts = {.algo = preset->algo, .env = env, .preset = preset->name};
        reini_setup setup;
        assert_true(preset->settings && preset->doc);
        bool all_versions = strchr(preset->env, '*') != NULL;
        if (rein_algo_find(preset->algo, &info) != REIN_OK || (env == NULL && all_versions))
            continue;
        assert_ptr_equal(reini_preset_find(preset->algo, env, preset->name), preset);
        assert_ok(reini_setup_resolve(&setup, NULL, &opts));
        assert_ok(reini_setup_check(&setup));
        assert_string_equal(setup.preset, preset->name);
        reini_setup_release(&setup);
    }
    assert_null(rein_preset_at(-1));
    assert_true(rein_preset_fits(&(rein_preset){"sac", "Hopper-*", "", "", ""}, "sac", "Hopper-v5"));
    assert_false(rein_preset_fits(&(rein_preset){"sac", "Hopper-*", "", "", ""}, "sac", "HopperVelocity-v4"));
    assert_false(rein_preset_fits(&(rein_preset){"sac", "Hopper-v4", "", "", ""}, "sac", "Hopper-v5"));
}

static void described_algorithms_are_found(void **state) {
    rein_algo_info info, found;
    for (int i = 0; rein_algo_at(i, &info); i++) {
        assert_ok(rein_algo_find(info.name, &found));
        assert_ptr_equal(info.fields, found.fields);
        assert_true(info.family && info.doc && info.n_fields > 0);
        for (int k = 0; k < info.n_fields; k++) {
            int n;
            const rein_field *fields = rein_run_fields(&n);
            /* a name means one thing; methods on text have settings of a run of their own */
            if (strcmp(info.family, "language") != 0)
                assert_int_equal(rein_fields_find(fields, n, info.fields[k].name), -1);
        }
    }
    assert_false(rein_algo_at(-1, &info));
    assert_true(rein_algo_find("ppp", &found) != REIN_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_wins),
        cmocka_unit_test(head_of_file_names_the_run),
        cmocka_unit_test(config_json_reads_back),
        cmocka_unit_test(wrong_names_suggest_the_nearest),
        cmocka_unit_test(wrong_values_show_the_range),
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(presets_apply),
        cmocka_unit_test(described_algorithms_are_found),
    };
    mock_env_register();
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
