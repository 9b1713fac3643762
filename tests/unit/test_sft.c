/*
 * test_sft.c - fine-tuning: batches that are equal in what they learn, runs that are stopped anywhere, what is refused.
 */
#include <rein/rng.h>
#include "algo/language/lm_settings.h"
#include "support/run_check.h"
#include "support/sft_rig.h"

#define BASE "model=" SFT_GOLDEN "/model data=" SFT_GOLDEN "/data.jsonl max_length=24 learning_rate=1e-3 "

/* ---- schedules: numbers of Transformers' get_scheduler ----------------------------------------------------- */

static void test_rates(void **state) {
    (void)state;
    reini_lm_settings s = {.learning_rate = 1, .warmup_steps = 2, .lr_scheduler_type = REINI_LR_LINEAR};
    const double linear[] = {0, 0.5, 1, 0.75, 0.5, 0.25}, cosine[] = {0, 0.5, 1, 0.8535533905932737, 0.5};
    for (int k = 0; k < 6; k++)
        assert_true(fabs(reini_lm_rate(&s, k, 6) - linear[k]) < 1e-15);
    s.lr_scheduler_type = REINI_LR_COSINE;
    for (int k = 0; k < 5; k++)
        assert_true(fabs(reini_lm_rate(&s, k, 6) - cosine[k]) < 1e-15);
    s.lr_scheduler_type = REINI_LR_CONSTANT;
    assert_true(reini_lm_rate(&s, 0, 6) == 1 && reini_lm_rate(&s, 5, 6) == 1);
    s.lr_scheduler_type = REINI_LR_CONSTANT_WITH_WARMUP;
    assert_true(reini_lm_rate(&s, 1, 6) == 0.5 && reini_lm_rate(&s, 5, 6) == 1);
    s = (reini_lm_settings){.learning_rate = 2, .warmup_ratio = 0.21}; /* ceil(2.1) = 3 updates */
    assert_true(fabs(reini_lm_rate(&s, 1, 10) - 2.0 / 3) < 1e-15 && reini_lm_rate(&s, 3, 10) == 2);
    s.warmup_ratio = 0;
    assert_true(reini_lm_rate(&s, 0, 10) == 2); /* no warm-up: the first update is a full one */
}

static void test_step_counts(void **state) {
    (void)state;
    reini_lm_settings s = {.max_steps = -1,
                           .num_train_epochs = 2.5,
                           .per_device_train_batch_size = 4,
                           .gradient_accumulation_steps = 3};
    /* 29 rows: 8 batches, 3 updates an epoch; 2.5 epochs of them: 7.5, so 8 */
    assert_int_equal(reini_lm_epoch_steps(&s, 29), 3);
    assert_int_equal(reini_lm_total_steps(&s, 29), 8);
    s.max_steps = 5;
    assert_int_equal(reini_lm_total_steps(&s, 29), 5);
}

/* ---- one update in different ways ------------------------------------------------------------------------ */

static void steps_of(const char *settings, int threads, int steps, sft_rig *r) {
    sft_new(r, threads, settings);
    for (int k = 0; k < steps; k++)
        sft_step(r);
}

static void close_to(double a, double b, double share, const char *what) {
    if (!(fabs(a - b) <= share * fabs(b)))
        fail_msg("%s: %.9g and %.9g", what, a, b);
}

static void same_metrics(const sft_rig *a, const sft_rig *b, double share) {
    static const char *const names[] = {"loss", "grad_norm", "entropy", "mean_token_accuracy", "num_tokens"};
    for (int i = 0; i < 5; i++)
        close_to(sft_metric(a, names[i]), sft_metric(b, names[i]), share, names[i]);
}

static void same_bits(const sft_rig *a, const sft_rig *b) {
    char x[65], y[65];
    sft_digest(a, x);
    sft_digest(b, y);
    assert_string_equal(x, y);
}

/* a mean of means would differ by far more: the rows' lengths do */
static void test_accumulation(void **state) {
    (void)state;
    sft_rig large, small;
    steps_of(BASE "per_device_train_batch_size=12", 1, 3, &large);
    steps_of(BASE "per_device_train_batch_size=5 gradient_accumulation_steps=3", 1, 0, &small);
    sft_free(&small);
    steps_of(BASE "per_device_train_batch_size=2 gradient_accumulation_steps=6", 1, 3, &small);
    same_metrics(&small, &large, 2e-5);
    sft_free(&small);
    sft_free(&large);
}

/* all documents in one update: packed rows hold the same ones */
static void test_packing(void **state) {
    (void)state;
    sft_rig plain, packed;
    steps_of(BASE "per_device_train_batch_size=60", 1, 2, &plain);
    steps_of(BASE "per_device_train_batch_size=60 packing=true", 1, 2, &packed);
    same_metrics(&packed, &plain, 2e-5);
    sft_free(&packed);
    steps_of(BASE "per_device_train_batch_size=7 gradient_accumulation_steps=20 packing=true", 1, 2, &packed);
    same_metrics(&packed, &plain, 2e-5);
    sft_free(&packed);
    sft_free(&plain);
}

static void test_threads(void **state) {
    (void)state;
    static const char *const variants[] = {BASE, BASE "use_peft=true lora_r=4 lora_dropout=0.2",
                                           BASE "packing=true loss_type=dft", BASE "dtype=bf16"};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        sft_rig one, three;
        steps_of(variants[i], 1, 3, &one);
        steps_of(variants[i], 3, 3, &three);
        same_bits(&one, &three);
        same_metrics(&one, &three, 0);
        sft_free(&one);
        sft_free(&three);
    }
}

static void test_recompute(void **state) {
    (void)state;
    static const char *const variants[] = {BASE, BASE "use_peft=true lora_r=4 lora_dropout=0.2"};
    for (size_t i = 0; i < 2; i++) {
        char settings[1024];
        sft_rig stored, again;
        snprintf(settings, sizeof settings, "%s gradient_checkpointing=true", variants[i]);
        steps_of(variants[i], 1, 3, &stored);
        steps_of(settings, 1, 3, &again);
        same_bits(&stored, &again);
        sft_free(&stored);
        sft_free(&again);
    }
}

/* half-precision products learn about the same */
static void test_bf16(void **state) {
    (void)state;
    sft_rig full, half;
    steps_of(BASE, 1, 5, &full);
    steps_of(BASE "dtype=bf16", 1, 5, &half);
    close_to(sft_metric(&half, "loss"), sft_metric(&full, "loss"), 0.02, "loss");
    close_to(sft_metric(&half, "grad_norm"), sft_metric(&full, "grad_norm"), 0.1, "grad_norm");
    sft_free(&full);
    sft_free(&half);
}

/* dropout changes the gradient, and is another one in every update */
static void test_dropout(void **state) {
    (void)state;
    sft_rig without, with;
    steps_of(BASE "use_peft=true lora_r=4 lora_dropout=0 seed=3", 1, 2, &without);
    steps_of(BASE "use_peft=true lora_r=4 lora_dropout=0.3 seed=3", 1, 2, &with);
    assert_true(fabs(sft_metric(&without, "grad_norm") - sft_metric(&with, "grad_norm")) >
                1e-4 * sft_metric(&without, "grad_norm"));
    sft_free(&without);
    sft_free(&with);
}

/* an update with step size 0 leaves everything as it was; weight decay is scaled by the step size */
static void test_no_step(void **state) {
    (void)state;
    sft_rig r;
    char before[65], after[65];
    sft_new(&r, 1, BASE "learning_rate=0 weight_decay=0.5");
    sft_digest(&r, before);
    sft_step(&r);
    sft_digest(&r, after);
    assert_string_equal(before, after);
    assert_true(sft_metric(&r, "grad_norm") > 0);
    sft_free(&r);
}

/* ---- whole runs ------------------------------------------------------------------------------------------ */

#define RUN_BASE                                                                                             \
    {"model", SFT_GOLDEN "/model"}, {"data", SFT_GOLDEN "/data.jsonl"}, {"validation_split", "0.2"},         \
        {"max_length", "24"}, {"learning_rate", "1e-3"}, {"max_steps", "14"}, {"logging_steps", "3"},        \
        {"eval_steps", "4"}, {"save_steps", "3"}, {"threads", "1"}, {                                        \
        "per_device_train_batch_size", "4"                                                                   \
    }
static const rein_setting full_run[] = {RUN_BASE};
static const rein_setting adapter_run[] = {
    RUN_BASE, {"use_peft", "true"}, {"lora_r", "4"}, {"packing", "true"}};
enum { N_FULL = 11, N_ADAPTER = 14 };

static rein_train_opts sft_opts(const char *out, bool adapter) {
    run_stop = 0;
    return (rein_train_opts){.algo = "sft",
                             .settings = adapter ? adapter_run : full_run,
                             .n_settings = adapter ? N_ADAPTER : N_FULL,
                             .out = out,
                             .stop = &run_stop};
}

static void same_runs(const rein_summary *a, const rein_summary *b, bool adapter) {
    static const char *const files[2][2] = {
        {"model/model.safetensors", "best/model.safetensors"},
        {"adapter/adapter_model.safetensors", "best/adapter_model.safetensors"}};
    run_same_text(a, b, 2, files[adapter]);
}

static void test_run(void **state) {
    (void)state;
    const char *dir = run_path("whole");
    rein_train_opts opts = sft_opts(dir, false);
    rein_summary s, again;
    assert_ok(rein_train(&opts, &s));
    assert_int_equal(s.env_steps, 14);
    assert_true(s.tokens > 0 && isfinite(s.loss) && isfinite(s.eval_loss) && s.best_eval_loss <= s.eval_loss);
    static const char *const files[] = {"config.json",          "metrics.csv",
                                        "summary.json",         "checkpoint.rein",
                                        "model/config.json",    "model/generation_config.json",
                                        "model/tokenizer.json", "model/tokenizer_config.json",
                                        "best/config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!run_has(dir, files[i]))
            fail_msg("%s is missing", files[i]);
    assert_false(run_has(dir, "model.new"));
    /* a finished run is not begun again */
    opts = run_resume(dir);
    assert_ok(rein_train(&opts, &again));
    assert_string_equal(again.policy_sha256, s.policy_sha256);
    assert_true(again.loss == s.loss && again.tokens == s.tokens);
    /* its model is a start for the next */
    rein_setting next[] = {RUN_BASE, {"model", run_path("whole/model")}, {"data", SFT_GOLDEN "/data.jsonl"}};
    opts = sft_opts(run_path("next"), false);
    opts.settings = next;
    opts.n_settings = N_FULL + 2;
    assert_ok(rein_train(&opts, &again));
    assert_true(again.loss < s.loss);
    /* and a directory with models in it is replaced on request only */
    opts = sft_opts(dir, true);
    assert_fails(rein_train(&opts, &again), REIN_USAGE, "already holds a run");
    opts.force = 1;
    assert_ok(rein_train(&opts, &again));
    assert_false(run_has(dir, "model/config.json"));
    assert_true(run_has(dir, "adapter/adapter_config.json"));
    assert_true(run_has(dir, "adapter/tokenizer.json"));
}

static void test_killed_anywhere(void **state) {
    (void)state;
    for (int adapter = 0; adapter < 2; adapter++) {
        rein_rng rng = rein_rng_make(11, (uint64_t)adapter);
        const char *a = run_path(adapter ? "a1" : "a0"), *b = run_path(adapter ? "b1" : "b0");
        rein_train_opts opts = sft_opts(a, adapter);
        rein_summary sa, sb;
        assert_ok(rein_train(&opts, &sa));
        int kills = run_killed(NULL, sft_opts(b, adapter), 120000, &rng, &sb);
        print_message("killed %d times\n", kills);
        same_runs(&sa, &sb, adapter);
    }
}

/* a stop request after every progress of the child: saved, and continued to the same end */
static void test_stopped(void **state) {
    (void)state;
    const char *a = run_path("s0"), *b = run_path("s1");
    rein_train_opts opts = sft_opts(a, false);
    rein_summary sa, sb;
    assert_ok(rein_train(&opts, &sa));
    opts = sft_opts(b, false);
    run_stop = 1;
    assert_fails(rein_train(&opts, &sb), REIN_INTERRUPTED, "stopped at update 0 of 14");
    assert_true(run_has(b, "model/model.safetensors"));
    opts = run_resume(b);
    assert_ok(rein_train(&opts, &sb));
    same_runs(&sa, &sb, false);
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void refuses(rein_status status, const char *words, const char *name, const char *value) {
    rein_setting all[N_FULL + 2] = {RUN_BASE};
    rein_train_opts opts = sft_opts(run_path("bad"), false);
    rein_summary s;
    all[N_FULL] = (rein_setting){"max_steps", "1"};
    all[N_FULL + 1] = (rein_setting){name, value};
    opts.settings = all;
    opts.n_settings = N_FULL + 2;
    assert_fails(rein_train(&opts, &s), status, words);
    assert_false(run_has(run_path("bad"), "config.json"));
}

static void test_bad_settings(void **state) {
    (void)state;
    refuses(REIN_USAGE, "no model: give a folder with --model", "model", "none");
    refuses(REIN_USAGE, "random weights have no tokenizer", "init", SFT_GOLDEN "/model/config.json");
    refuses(REIN_USAGE, "no data", "data", "none");
    refuses(REIN_IO, "nothing.jsonl", "data", "nothing.jsonl");
    refuses(REIN_USAGE, "eval_data and validation_split", "eval_data", SFT_GOLDEN "/data.jsonl");
    refuses(REIN_USAGE, "lora_target_modules", "lora_targets_module", "q_proj");
    refuses(REIN_FORMAT, "assistant_only_loss needs conversations", "assistant_only_loss", "true");
    refuses(REIN_USAGE, "per_device_train_batch_size", "per_device_train_batch_size", "0");
}

static void test_bad_calls(void **state) {
    (void)state;
    rein_summary s;
    rein_train_opts opts = sft_opts(run_path("bad"), false);
    opts.env = "CartPole-v1";
    assert_fails(rein_train(&opts, &s), REIN_USAGE, "sft trains on text");
    opts = sft_opts(run_path("bad"), false);
    opts.seeds = 3;
    assert_fails(rein_train(&opts, &s), REIN_USAGE, "one model a run");
    opts = sft_opts(run_path("good"), false);
    run_stop = 1;
    assert_fails(rein_train(&opts, &s), REIN_INTERRUPTED, "saved");
    opts = run_resume(run_path("good"));
    rein_setting other = {"learning_rate", "1"};
    opts.settings = &other;
    opts.n_settings = 1;
    assert_fails(rein_train(&opts, &s), REIN_USAGE, "learning_rate: cannot change from 0.001 to 1");
}

/* the data of a run are the same file later, or it does not go on */
static void test_changed_data(void **state) {
    (void)state;
    const char *path = run_path("data.jsonl"), *dir = run_path("changed");
    const char *first = "{\"text\": \"one two three\"}\n{\"text\": \"four five\"}\n",
               *second = "{\"text\": \"one two three\"}\n{\"text\": \"four six\"}\n";
    rein_setting settings[] = {{"model", SFT_GOLDEN "/model"}, {"data", path}, {"max_steps", "2"}};
    rein_summary s;
    temp_write(path, first, strlen(first));
    rein_train_opts opts = sft_opts(dir, false);
    opts.settings = settings;
    opts.n_settings = 3;
    run_stop = 1;
    assert_fails(rein_train(&opts, &s), REIN_INTERRUPTED, "saved");
    temp_write(path, second, strlen(second));
    opts = run_resume(dir);
    assert_fails(rein_train(&opts, &s), REIN_MISMATCH, "not the data that the run began with");
    temp_write(path, first, strlen(first));
    opts = run_resume(dir);
    assert_ok(rein_train(&opts, &s));
}

static void test_diverges(void **state) {
    (void)state;
    rein_setting settings[N_FULL + 3] = {RUN_BASE};
    rein_train_opts opts = sft_opts(run_path("wild"), false);
    rein_summary s;
    settings[N_FULL] = (rein_setting){"learning_rate", "1e30"};
    settings[N_FULL + 1] = (rein_setting){"max_steps", "40"};
    settings[N_FULL + 2] = (rein_setting){"learning_rate", "99"};
    opts.settings = settings;
    opts.n_settings = N_FULL + 3;
    assert_fails(rein_train(&opts, &s), REIN_USAGE, "learning_rate"); /* out of range */
    settings[N_FULL] = (rein_setting){"adam_epsilon", "1e-30"};
    settings[N_FULL + 1] = (rein_setting){"max_grad_norm", "0"};
    opts.out = run_path("wild2");
    rein_status status = rein_train(&opts, &s);
    assert_true(status == REIN_OK || status == REIN_DIVERGED); /* huge steps, and no crash */
}

static void test_no_memory(void **state) {
    (void)state;
    sft_rig r;
    reini_memory_assume(200000);
    assert_int_equal(sft_try(&r, 1, BASE), REIN_NOMEM);
    reini_memory_assume(0);
    sft_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_step_counts),
        cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_no_step),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_killed_anywhere),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_changed_data),
        cmocka_unit_test(test_diverges),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
