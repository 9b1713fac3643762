/*
 * test_language_dir.c - the directory of a run on a language model: continued from another working directory, replaced,
 * with results that are kept beside the checkpoint; and candidates made on the spot.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lm/reward.h"
#include "support/json_rows.h"
#include "support/run_check.h"
#include "tensor/kernels.h"

#define FOLDER REIN_SOURCE_DIR "/tests/golden/sft_trl"

static void anchored(const char *spec, const char *wanted) {
    char out[256];
    reini_rewards_anchor(spec, out, sizeof out);
    assert_string_equal(out, wanted);
}

static void enter(const char *dir) {
    assert_int_equal(chdir(dir), 0);
}

static void make_script(void) {
    static const char script[] = "while read line; do echo 0.5; done\n";
    temp_write(run_path("judge.sh"), script, sizeof script - 1);
    temp_write(run_path("a (b).sh"), script, sizeof script - 1);
    temp_write(run_path("spec.txt"), "length", 6);
}

static void test_paths(void **state) {
    (void)state;
    char wanted[3 * TEMP_PATH + 200], spec[300];
    make_script();
    enter(temp_dir);
    anchored("number", "number");
    anchored("0.5 regex(judge.sh) - length", "0.5 regex(judge.sh) - length");
    anchored("nothing(", "nothing(");
    anchored("model(no_folder)", "model(no_folder)");
    snprintf(wanted, sizeof wanted, "- 0.5*model(%s) + command(sh  %s -x no.sh 'judge.sh' a>judge.sh)",
             temp_dir, run_path("judge.sh"));
    anchored("- 0.5*model(.) + command(sh  judge.sh -x no.sh 'judge.sh' a>judge.sh)", wanted);
    snprintf(wanted, sizeof wanted, "@%s", run_path("spec.txt"));
    anchored("@spec.txt", wanted);
    anchored(wanted, wanted);
    anchored("command(cat) + exact", "command(cat) + exact");
    /* a directory is no word of a command, and parentheses cannot be written */
    anchored("command(ls .) + model(a (b).sh)", "command(ls .) + model(a (b).sh)");
    /* what would be too long stays */
    memset(spec, 'x', sizeof spec);
    snprintf(spec + 220, sizeof spec - 220, " + command(sh judge.sh)");
    anchored(spec, spec);
    enter("/");
}

static rein_train_opts opts_of(const char *out, const rein_setting *settings, int n) {
    run_stop = 0;
    return (rein_train_opts){
        .algo = "rloo", .settings = settings, .n_settings = n, .out = out, .stop = &run_stop};
}

#define RUN                                                                                                  \
    {"model", FOLDER "/model"}, {"data", FOLDER "/data.jsonl"}, {"max_completion_length", "4"},              \
        {"per_device_train_batch_size", "4"}, {"max_steps", "2"}, {"num_generations", "2"}, {                \
        "threads", "1"                                                                                       \
    }

static void test_elsewhere(void **state) {
    (void)state;
    static const rein_setting settings[] = {RUN, {"reward", "command(sh judge.sh)"}};
    make_script();
    enter(temp_dir);
    rein_train_opts opts = opts_of(run_path("moved"), settings, 8);
    rein_summary s;
    run_stop = 1;
    assert_int_equal(rein_train(&opts, &s), REIN_INTERRUPTED);
    enter("/");
    opts = run_resume(run_path("moved"));
    assert_ok(rein_train(&opts, &s));
    assert_int_equal(s.env_steps, 2);
    assert_true(run_has(run_path("moved"), "rollouts.jsonl"));
}

static void test_replaced(void **state) {
    (void)state;
    static const rein_setting settings[] = {RUN, {"reward", "length"}, {"log_completions", "false"}};
    rein_train_opts opts = opts_of(run_path("a"), settings, 8);
    rein_summary s;
    assert_ok(rein_train(&opts, &s));
    opts = opts_of(run_path("b"), settings, 8);
    assert_ok(rein_train(&opts, &s));
    opts.force = 1;
    assert_ok(rein_train(&opts, &s));
    run_same_file(run_path("a"), run_path("b"), "rollouts.jsonl");
    opts.n_settings = 9;
    assert_ok(rein_train(&opts, &s));
    assert_false(run_has(run_path("b"), "rollouts.jsonl"));
}

/* the name of the only file of a kind in a run's directory */
static const char *only(const char *dir, const char *kind) {
    static char path[3 * TEMP_PATH];
    DIR *entries = opendir(dir);
    int n = 0;
    assert_non_null(entries);
    for (const struct dirent *e; (e = readdir(entries));)
        if (strncmp(e->d_name, kind, strlen(kind)) == 0 && ++n)
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    closedir(entries);
    assert_int_equal(n, 1);
    return path;
}

/* begun, stopped and continued: what was made before the first update is read, or made again when it is damaged */
static void kept(const char *algo, const char *kind, const rein_setting *settings, int n) {
    for (int damaged = 0; damaged < 2; damaged++) {
        const char *whole = run_path(damaged ? "whole1" : "whole0"),
                   *cut = run_path(damaged ? "cut1" : "cut0");
        rein_train_opts opts = opts_of(whole, settings, n);
        rein_summary a, b;
        struct stat was, is;
        opts.algo = algo;
        opts.force = 1;
        assert_ok(rein_train(&opts, &a));
        opts.out = cut;
        run_stop = 1;
        assert_int_equal(rein_train(&opts, &b), REIN_INTERRUPTED);
        const char *path = only(cut, kind);
        if (damaged)
            temp_write(path, "rubbish", 7);
        assert_int_equal(stat(path, &was), 0);
        opts = run_resume(cut);
        assert_ok(rein_train(&opts, &b));
        assert_string_equal(a.policy_sha256, b.policy_sha256);
        assert_int_equal(stat(only(cut, kind), &is), 0);
        assert_true((was.st_ino == is.st_ino) != damaged);
        run_same_file(whole, cut, strrchr(only(cut, kind), '/') + 1);
        /* replaced: nothing of the old run is left */
        opts = opts_of(cut, settings, n);
        opts.algo = algo;
        opts.force = 1;
        assert_ok(rein_train(&opts, &b));
        assert_string_equal(a.policy_sha256, b.policy_sha256);
        only(cut, kind);
    }
}

static void test_reference_is_kept(void **state) {
    (void)state;
    static const rein_setting dpo[] = {
        {"model", FOLDER "/model"},
        {"data", REIN_SOURCE_DIR "/tests/golden/preference_trl/pairs.jsonl"},
        {"eval_data", REIN_SOURCE_DIR "/tests/golden/preference_trl/pairs.jsonl"},
        {"max_length", "64"},
        {"max_steps", "3"},
        {"learning_rate", "1e-3"},
        {"use_peft", "true"},
        {"dtype", "bf16"}};
    kept("dpo", "reference-", dpo, 6);
    kept("kto", "reference-", dpo, 6);
    if (reini_bf16_available())
        kept("dpo", "reference-", dpo, 8); /* weights frozen in bf16 have their norms apart */
}

static const rein_setting made[] = {{"model", FOLDER "/model"},
                                    {"data", FOLDER "/data.jsonl"},
                                    {"eval_data", FOLDER "/data.jsonl"},
                                    {"reward", "regex([aeiou]) - 0.05 length"},
                                    {"num_generations", "3"},
                                    {"max_completion_length", "6"},
                                    {"max_steps", "5"},
                                    {"learning_rate", "1e-3"},
                                    {"logging_steps", "1"}};

static void test_made_candidates_are_kept(void **state) {
    (void)state;
    kept("rrhf", "candidates-", made, 9);
}

/* what was made and written is data: rows with scores that the rewards of their texts give, in the order of prompts */
static void test_made_candidates(void **state) {
    (void)state;
    rein_train_opts opts = opts_of(run_path("made"), made, 9);
    rein_summary s;
    opts.algo = "rrhf";
    assert_ok(rein_train(&opts, &s));
    json_t *rows = rows_all(run_path("made/candidates.jsonl")), *row;
    int64_t before = 0;
    size_t k;
    json_array_foreach(rows, k, row) {
        const json_t *answers = json_object_get(row, "responses"), *scores = json_object_get(row, "scores");
        size_t n = json_array_size(answers);
        bool differ = false;
        assert_true(n >= 2 && n <= 3 && json_array_size(scores) == n);
        assert_true(json_integer_value(json_object_get(row, "line")) > before);
        before = json_integer_value(json_object_get(row, "line"));
        for (size_t i = 0; i < n; i++) {
            double score = json_number_value(json_array_get(scores, i));
            bool vowel = strpbrk(json_string_value(json_array_get(answers, i)), "aeiou") != NULL;
            assert_true(vowel ? score > 0.6 && score < 1 : score < 0 && score > -0.31);
            differ = differ || score != json_number_value(json_array_get(scores, 0));
        }
        assert_true(differ);
    }
    assert_in_range(json_array_size(rows), 5, 59);
    json_decref(rows);
    /* the rows can be read again */
    static const rein_setting again[] = {
        {"model", FOLDER "/model"}, {"data", "candidates.jsonl"}, {"max_steps", "2"}};
    rein_summary u;
    enter(run_path("made"));
    opts = opts_of(run_path("made2"), again, 3);
    opts.algo = "rrhf";
    assert_ok(rein_train(&opts, &u));
    enter("/");
    opts = opts_of(run_path("made"), made, 9);
    opts.algo = "rrhf";
    /* other threads, other places: the same answers and model */
    rein_setting other[11];
    memcpy(other, made, sizeof made);
    other[9] = (rein_setting){"threads", "3"};
    other[10] = (rein_setting){"generation_slots", "2"};
    opts.settings = other;
    opts.n_settings = 11;
    opts.out = run_path("made3");
    rein_summary t;
    assert_ok(rein_train(&opts, &t));
    assert_string_equal(s.policy_sha256, t.policy_sha256);
    run_same_file(run_path("made"), run_path("made3"), "candidates.jsonl");
    run_same_file(run_path("made"), run_path("made3"), "candidates_eval.jsonl");
    /* worth the same, all of them; no room */
    other[3] = (rein_setting){"reward", "regex(.)"};
    opts.out = run_path("made4");
    assert_fails(rein_train(&opts, &t), REIN_USAGE, "no prompt has answers that are worth different amounts");
    assert_false(run_has(temp_dir, "made4"));
    other[5] = (rein_setting){"max_completion_length", "500"};
    assert_fails(rein_train(&opts, &t), REIN_USAGE, "leave no room for a prompt");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),           cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_replaced),        cmocka_unit_test(test_reference_is_kept),
        cmocka_unit_test(test_made_candidates), cmocka_unit_test(test_made_candidates_are_kept)};
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
