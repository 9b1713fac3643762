/*
 * test_eval_reward.c - answers to held-out prompts and what they are worth: the figures beside those of training, beside
 * the written lines, and the distance from a reference beside the exact one.
 */
#include "support/command.h"
#include <rein/generate.h>
#include "lm/tokenizer.h"
#include "lm/transformer.h"
#include "support/json_rows.h"
#include "support/run_check.h"
#include "support/text_rig.h"

#define FOLDER REIN_SOURCE_DIR "/tests/golden/sft_trl"
#define MODEL  FOLDER "/model"
#define DATA   FOLDER "/data.jsonl"
#define REWARD "regex([aeiou]) - 0.05 length"

static char trained[2 * TEMP_PATH]; /* folder of a model some way from MODEL */

static void near(double a, double b, double most) {
    if (!(fabs(a - b) <= most))
        fail_msg("%.9g, expected %.9g", a, b);
}

static int make(void **state) {
    static const rein_setting settings[] = {{"model", MODEL},        {"data", DATA},
                                            {"reward", REWARD},      {"response_length", "6"},
                                            {"max_steps", "12"},     {"learning_rate", "1e-2"},
                                            {"eval_data", DATA},     {"kl_coef", "0"},
                                            {"num_ppo_epochs", "2"}, {"lr_scheduler_type", "constant"}};
    temp_dir_make(state);
    rein_train_opts opts = {.algo = "ppo", .settings = settings, .n_settings = 10, .out = run_path("run")};
    rein_summary s;
    assert_ok(rein_train(&opts, &s));
    snprintf(trained, sizeof trained, "%s", s.model_dir);
    return 0;
}

static rein_reward_eval_opts opts_of(const char *model) {
    return (rein_reward_eval_opts){
        .model = {.folder = model, .threads = 1}, .data = DATA, .reward = REWARD, .max_new_tokens = 6};
}

/* the last greedy evaluation of the run that trained it */
static void test_beside_training(void **state) {
    (void)state;
    rein_reward_eval_opts opts = opts_of(trained);
    rein_reward_eval_result r;
    assert_ok(rein_reward_eval(&opts, &r));
    char *csv = temp_read(run_path("run/metrics.csv"), NULL), *last = strrchr(csv, '\n');
    while (last > csv && !last[1])
        last = (*last = 0, strrchr(csv, '\n'));
    double found[3]; /* the last columns: reward, length, share of those that ended */
    for (int k = 2; k >= 0; k--) {
        char *comma = strrchr(last, ',');
        found[k] = strtod(comma + 1, NULL);
        *comma = 0;
    }
    free(csv);
    near(r.reward.mean, found[0], 1e-8);
    near(r.length_mean, found[1], 1e-8);
    near(r.ended, found[2], 1e-8);
    assert_true(r.reward.low < r.reward.mean && r.reward.mean < r.reward.high);
    assert_int_equal(r.answers, r.prompts);
    assert_int_equal(r.n_rewards, 2);
    near(r.reward.mean, r.each[0].score.mean - 0.05 * r.each[1].score.mean, 1e-9);
    assert_string_equal(r.each[1].name, "length");
    assert_true(isnan(r.k1.mean) && r.k1.answers == 0);
}

/* the figures are those of the lines */
static void test_lines(void **state) {
    (void)state;
    rein_reward_eval_opts opts = opts_of(trained);
    rein_reward_eval_result r;
    opts.reference = MODEL;
    opts.samples = 3;
    opts.temperature = 0.8;
    opts.seed = 5;
    opts.out = run_path("answers.jsonl");
    assert_ok(rein_reward_eval(&opts, &r));
    json_t *rows = rows_all(opts.out);
    double sum[4] = {0}, best = 0, top = -INFINITY;
    int64_t n = (int64_t)json_array_size(rows);
    for (int64_t i = 0; i < n; i++) {
        const json_t *line = json_array_get(rows, (size_t)i);
        static const char *const keys[] = {"reward", "kl_k1", "kl_k3", "tokens"};
        for (int k = 0; k < 4; k++)
            sum[k] += json_number_value(json_object_get(line, keys[k]));
        assert_int_equal(json_integer_value(json_object_get(line, "sample")), i % 3);
        assert_int_equal(json_integer_value(json_object_get(line, "line")), i / 3 + 1);
        assert_true(json_string_value(json_object_get(line, "prompt")) != NULL);
        top = fmax(i % 3 == 0 ? -INFINITY : top, json_number_value(json_object_get(line, "reward")));
        best += i % 3 == 2 ? top : 0;
    }
    json_decref(rows);
    assert_int_equal(n, r.answers);
    near(sum[0] / (double)n, r.reward.mean, 1e-9);
    near(sum[1] / (double)n, r.k1.mean, 1e-9);
    near(sum[2] / (double)n, r.k3.mean, 1e-9);
    near(sum[3], (double)r.tokens, 0);
    near(best / (double)r.prompts, r.best_mean, 1e-9);
    assert_true(r.best_mean > r.reward.mean && r.k3.mean > 0 && r.reward.std > 0);
}

static void test_any_batch(void **state) {
    (void)state;
    rein_reward_eval_result r[3];
    for (int k = 0; k < 3; k++) {
        rein_reward_eval_opts opts = opts_of(trained);
        opts.reference = MODEL;
        opts.temperature = 1;
        opts.samples = 2;
        opts.batch = k == 1 ? 1 : 7;
        opts.model.threads = 1 + k;
        assert_ok(rein_reward_eval(&opts, &r[k]));
    }
    for (int k = 1; k < 3; k++) {
        assert_true(r[k].reward.mean == r[0].reward.mean && r[k].reward.low == r[0].reward.low);
        assert_true(r[k].k1.mean == r[0].k1.mean && r[k].k3.high == r[0].k3.high);
        assert_int_equal(r[k].tokens, r[0].tokens);
    }
}

/* log-probabilities of the first token after a prompt */
static void first_token(const char *folder, const int32_t *token, int n, double *to) {
    reini_lm_weights *w;
    reini_lm *lm;
    reini_lm_opts opts = {.tokens = n, .documents = 1};
    int32_t start[2] = {0, n}, row = n - 1;
    assert_ok(reini_lm_weights_load(folder, REIN_F32, true, 0, &w, NULL));
    assert_ok(reini_lm_new(w, NULL, &opts, NULL, &lm));
    float *logits = calloc((size_t)w->shape.vocabulary, sizeof *logits);
    reini_lm_batch pass = {.tokens = n, .documents = 1, .token = token, .start = start};
    double total = 0;
    reini_lm_forward(lm, &pass);
    reini_lm_logits(lm, 1, &row, logits);
    for (int i = 0; i < w->shape.vocabulary; i++)
        total += exp((double)logits[i]);
    for (int i = 0; i < w->shape.vocabulary; i++)
        to[i] = (double)logits[i] - log(total);
    free(logits);
    reini_lm_free(lm);
    reini_lm_weights_free(w);
}

/* both estimates of one-token answers beside sum p log(p / q) */
static void test_distance(void **state) {
    (void)state;
    enum { VOCABULARY = 288, DRAWS = 6000 };
    static const char row[] = "{\"prompt\": \"one + four =\"}\n";
    double p[VOCABULARY], q[VOCABULARY], exact = 0, spread[2] = {0};
    const char *data = run_path("one.jsonl");
    temp_write(data, row, sizeof row - 1);
    reini_tokenizer *tokenizer;
    reini_encoder *encoder;
    reini_ids ids = {0};
    assert_ok(reini_tokenizer_open(MODEL, &tokenizer));
    assert_ok(reini_encoder_new(tokenizer, &encoder));
    assert_ok(reini_encode(encoder, "one + four =", 12, REINI_ENCODE_SPECIAL | REINI_ENCODE_TEMPLATE, &ids));
    first_token(trained, ids.at, (int)ids.n, p);
    first_token(MODEL, ids.at, (int)ids.n, q);
    reini_free(ids.at);
    reini_encoder_free(encoder);
    reini_tokenizer_free(tokenizer);
    for (int i = 0; i < VOCABULARY; i++)
        exact += exp(p[i]) * (p[i] - q[i]);
    for (int i = 0; i < VOCABULARY; i++) {
        double d = q[i] - p[i], k3 = exp(d) - d - 1;
        spread[0] += exp(p[i]) * (d + exact) * (d + exact);
        spread[1] += exp(p[i]) * (k3 - exact) * (k3 - exact);
    }
    rein_reward_eval_opts opts = opts_of(trained);
    rein_reward_eval_result r;
    opts.reference = MODEL;
    opts.data = data;
    opts.samples = DRAWS;
    opts.temperature = 1;
    opts.max_new_tokens = 1;
    assert_ok(rein_reward_eval(&opts, &r));
    print_message("KL %.5f; k1 %.5f, k3 %.5f\n", exact, r.k1.mean, r.k3.mean);
    assert_true(exact > 0.01);
    near(r.k1.mean, exact, 4 * sqrt(spread[0] / DRAWS));
    near(r.k3.mean, exact, 4 * sqrt(spread[1] / DRAWS));
    opts.model.folder = MODEL;
    assert_ok(rein_reward_eval(&opts, &r));
    assert_true(r.k1.mean == 0 && r.k3.mean == 0);
}

static void test_refused(void **state) {
    (void)state;
    rein_reward_eval_opts opts = opts_of(MODEL);
    rein_reward_eval_result r;
    opts.samples = 2;
    assert_fails(rein_reward_eval(&opts, &r), REIN_USAGE, "all be the likeliest one");
    opts = opts_of(MODEL);
    opts.reward = NULL;
    assert_fails(rein_reward_eval(&opts, &r), REIN_USAGE, "no reward");
    opts.reward = "number";
    assert_fails(rein_reward_eval(&opts, &r), REIN_FORMAT, "data.jsonl:1: reward number reads the column");
    opts = opts_of(MODEL);
    opts.max_new_tokens = 64;
    assert_fails(rein_reward_eval(&opts, &r), REIN_USAGE, "no room for a prompt");
    opts = opts_of(MODEL);
    opts.reference = run_path("nothing");
    assert_fails(rein_reward_eval(&opts, &r), REIN_IO, "nothing");
    opts = opts_of(MODEL);
    opts.out = run_path("no/such/folder.jsonl");
    assert_fails(rein_reward_eval(&opts, &r), REIN_IO, "cannot write");
    opts = opts_of(MODEL);
    run_stop = 1;
    opts.stop = &run_stop;
    assert_int_equal(rein_reward_eval(&opts, &r), REIN_INTERRUPTED);
    run_stop = 0;
}

/* as a user calls it */
static void test_command(void **state) {
    (void)state;
    command c =
        command_run("eval", "--model", trained, "--data", DATA, "--reward", REWARD, "--max_new_tokens", "6",
                    "--n", "2", "--temperature", "1", "--seed", "5", "--reference", MODEL, "--json", NULL);
    rein_reward_eval_opts opts = opts_of(trained);
    rein_reward_eval_result r;
    opts.reference = MODEL;
    opts.samples = 2;
    opts.temperature = 1;
    opts.seed = 5;
    assert_ok(rein_reward_eval(&opts, &r));
    assert_int_equal(c.code, 0);
    json_t *o = json_loads(c.out, 0, NULL), *each = json_object_get(o, "rewards");
    assert_non_null(o);
    near(json_number_value(json_object_get(json_object_get(o, "reward"), "mean")), r.reward.mean, 1e-9);
    near(json_number_value(json_object_get(json_object_get(each, "length"), "low")), r.each[1].score.low,
         1e-9);
    near(json_number_value(json_object_get(json_object_get(o, "kl_k3"), "high")), r.k3.high, 1e-9);
    assert_int_equal(json_integer_value(json_object_get(o, "answers")), 120);
    json_decref(o);
    command_release(&c);
    c = command_run("eval", "--model", trained, "--data", DATA, "--reward", REWARD, "--max_new_tokens", "6",
                    NULL);
    assert_int_equal(c.code, 0);
    assert_non_null(strstr(c.out, "95% interval"));
    assert_non_null(strstr(c.out, "weight -0.05"));
    assert_null(strstr(c.out, "KL"));
    command_release(&c);
    c = command_run("eval", "--model", trained, "--data", DATA, "--reference", MODEL, NULL);
    assert_int_equal(c.code, 2);
    assert_non_null(strstr(c.err, "--reference measures"));
    command_release(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_training), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_any_batch),       cmocka_unit_test(test_distance),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_command),
    };
    return cmocka_run_group_tests(tests, make, temp_dir_remove);
}
