/*
 * language_run.c - from the options of a call to a finished run on a language model.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "run/language_loop.h"
#include "run/language_run.h"

/* ---- the summary ----------------------------------------------------------------------------------------- */

static void init_summary(rein_summary *s, const reini_language_setup *setup, const char *dir) {
    *s = (rein_summary){.seed = (uint64_t)reini_language_settings(setup)->seed, .seeds = 1, .best_step = -1};
    snprintf(s->algo, sizeof s->algo, "%s", setup->algo->name);
    snprintf(s->run_dir, sizeof s->run_dir, "%s", dir);
    snprintf(s->unit, sizeof s->unit, "updates");
    s->eval_return_mean = s->eval_return_std = s->eval_length_mean = NAN;
    s->seeds_mean = s->seeds_std = s->seeds_iqm = s->seeds_low = s->seeds_high = NAN;
    s->sps = s->loss = s->eval_loss = s->eval_accuracy = s->best_eval_loss = NAN;
}

static json_t *real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static rein_status write_summary(const rein_summary *s) {
    char path[REINI_PATH_MAX];
    REINI_TRY(reini_path_join(path, sizeof path, s->run_dir, "summary.json"));
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:o, s:o, s:o, s:o, s:I, s:I, s:I}",
                          "algo", s->algo, "run_dir", s->run_dir, "model_dir", s->model_dir, "policy_sha256",
                          s->policy_sha256, "seed", (json_int_t)s->seed, "updates", (json_int_t)s->env_steps,
                          "tokens", (json_int_t)s->tokens, "wall_s", s->wall_s, "sps", s->sps, "loss",
                          real(s->loss), "eval_loss", real(s->eval_loss), "eval_mean_token_accuracy",
                          real(s->eval_accuracy), "best_eval_loss", real(s->best_eval_loss), "best_step",
                          (json_int_t)s->best_step, "planned_memory_bytes", (json_int_t)s->planned_memory,
                          "peak_memory_bytes", (json_int_t)s->peak_memory);
    if (!o)
        return reini_fail_memory(1 << 12, path);
    rein_status status = reini_json_write(path, o);
    json_decref(o);
    return status;
}

static double get(const json_t *o, const char *key) {
    const json_t *value = json_object_get(o, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* true: the run is finished */
static bool read_summary(rein_summary *s, const reini_language_setup *setup, const char *dir) {
    char path[REINI_PATH_MAX];
    json_t *o;
    init_summary(s, setup, dir);
    if (reini_path_join(path, sizeof path, dir, "summary.json") != REIN_OK || !reini_file_exists(path) ||
        reini_json_read(path, &o) != REIN_OK)
        return false;
    const char *sha = json_string_value(json_object_get(o, "policy_sha256"));
    const char *model = json_string_value(json_object_get(o, "model_dir"));
    snprintf(s->policy_sha256, sizeof s->policy_sha256, "%s", sha ? sha : "");
    snprintf(s->model_dir, sizeof s->model_dir, "%s", model ? model : "");
    s->env_steps = json_integer_value(json_object_get(o, "updates"));
    s->tokens = json_integer_value(json_object_get(o, "tokens"));
    s->best_step = json_integer_value(json_object_get(o, "best_step"));
    s->planned_memory = json_integer_value(json_object_get(o, "planned_memory_bytes"));
    s->peak_memory = json_integer_value(json_object_get(o, "peak_memory_bytes"));
    s->wall_s = get(o, "wall_s");
    s->sps = get(o, "sps");
    s->loss = get(o, "loss");
    s->eval_loss = get(o, "eval_loss");
    s->eval_accuracy = get(o, "eval_mean_token_accuracy");
    s->best_eval_loss = get(o, "best_eval_loss");
    json_decref(o);
    return sha && model;
}

static rein_status summarize(reini_language_run *run, rein_summary *s) {
    const reini_language *method = run->setup->method;
    reini_lm_progress p;
    method->progress(run->state, &p);
    init_summary(s, run->setup, run->dir);
    REINI_TRY(reini_path_join(s->model_dir, sizeof s->model_dir, run->dir, method->folder(run->state)));
    REINI_TRY(method->digest(run->state, s->policy_sha256));
    s->env_steps = p.step;
    s->tokens = p.tokens;
    s->skipped_updates = p.skipped_updates;
    s->wall_s = run->count.seconds;
    s->sps = (double)p.step / fmax(run->count.seconds, 1e-9);
    s->loss = p.step > 0 ? run->count.loss : NAN;
    s->planned_memory = run->planned_memory;
    s->peak_memory = reini_memory_peak();
    if (run->count.evaluated >= 0) {
        s->eval_loss = run->count.eval[0];
        s->eval_accuracy = run->count.eval[1];
        s->best_eval_loss = run->count.best;
        s->best_step = run->count.best_step;
    }
    return write_summary(s);
}

/* ---- one run --------------------------------------------------------------------------------------------- */

static void close_run(reini_language_run *run) {
    reini_progress_free(run->progress);
    reini_metrics_close(run->metrics);
    reini_language_free(run->setup->method, run->state);
    rein_pool_free(run->pool);
}

/* Methods take all memory before their first update, so what they have then is what they need. */
static void plan_memory(reini_language_run *run, int64_t before, uint64_t live) {
    reini_memory now = reini_memory_now();
    int64_t taken = (int64_t)(now.live_bytes - live), saving = run->setup->method->save_bytes(run->state);
    run->planned_memory = before + taken + saving;
    reini_log(
        REIN_LOG_INFO,
        "memory: %.1f MB in all: %.1f MB for this run, %.1f MB while its model is saved, %.1f MB before it",
        1e-6 * (double)run->planned_memory, 1e-6 * (double)taken, 1e-6 * (double)saving,
        1e-6 * (double)before);
}

static rein_status open_state(reini_language_run *run) {
    int64_t before = reini_memory_peak();
    uint64_t live = reini_memory_now().live_bytes;
    int threads = reini_thread_count(reini_language_settings(run->setup)->threads);
    run->pool = rein_pool_new(threads);
    if (!run->pool)
        return reini_fail(REIN_NOMEM, "%d worker threads could not be started: choose fewer with --threads",
                          threads);
    reini_lm_context context = {.pool = run->pool, .dir = run->dir};
    REINI_TRY(reini_language_new(run->setup->method, run->setup->config, &context, &run->state));
    plan_memory(run, before, live);
    return REIN_OK;
}

static rein_status open_outputs(reini_language_run *run, FILE *progress, bool found) {
    const char *names[REINI_LANGUAGE_COLUMNS_MAX];
    int n = reini_language_column_names(run->setup->method, names);
    reini_lm_progress p;
    run->setup->method->progress(run->state, &p);
    REINI_TRY(reini_metrics_open(run->dir, names, n, found ? p.step : -1, &run->metrics));
    REINI_TRY(reini_progress_new(progress, run->setup->algo->name, p.total, p.step, &run->progress));
    reini_progress_count(run->progress, "updates");
    if (!found)
        return REIN_OK;
    run->saved_step = p.step;
    reini_log(REIN_LOG_INFO, "%s: continuing at update %lld of %lld", run->dir, (long long)p.step,
              (long long)p.total);
    return REIN_OK;
}

static rein_status carry_out(const reini_language_setup *setup, const char *dir, bool fresh,
                             const rein_train_opts *opts, rein_summary *summary) {
    reini_language_run run = {.setup = setup,
                              .dir = dir,
                              .stop = opts->stop,
                              .count = {.best_step = -1, .evaluated = -1, .loss = NAN},
                              .saved_step = -1};
    bool found = false;
    rein_status status = open_state(&run);
    if (status == REIN_OK)
        status =
            fresh ? reini_language_write_config(setup, dir) : reini_language_checkpoint_load(&run, &found);
    if (status == REIN_OK)
        status = open_outputs(&run, opts->progress, found);
    if (status == REIN_OK)
        status = reini_language_loop(&run);
    if (status == REIN_OK)
        status = summarize(&run, summary);
    if (status == REIN_IO && run.metrics != NULL)
        status =
            reini_fail(status, "%s; what was saved before is intact: continue with `rein train --resume %s`",
                       rein_error(), dir);
    close_run(&run);
    return status;
}

/* ---- a call ---------------------------------------------------------------------------------------------- */

static rein_status refuse(const reini_algo *algo, const rein_train_opts *opts) {
    if (opts->env)
        return reini_fail(REIN_USAGE, "%s trains on text: leave out the environment %s", algo->name,
                          opts->env);
    if (opts->preset && strcmp(opts->preset, "none") != 0)
        return reini_fail(REIN_USAGE, "%s has no preset \"%s\"", algo->name, opts->preset);
    if (opts->seeds > 1)
        return reini_fail(REIN_USAGE, "%s trains one model a run: start one run for each --seed", algo->name);
    if (opts->filter)
        return reini_fail(REIN_USAGE, "%s has no actions to filter", algo->name);
    return REIN_OK;
}

/* "sft-SmolLM2-135M-0" */
static void make_stem(const reini_language_setup *setup, char stem[512]) {
    const reini_lm_settings *s = reini_language_settings(setup);
    char path[REIN_TEXT_MAX];
    snprintf(path, sizeof path, "%s", reini_lm_given(s->model) ? s->model : s->init);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = 0;
    char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (strcmp(name, "config.json") == 0 && name > path + 1) {
        name[-1] = 0;
        name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    }
    snprintf(stem, 512, "%s-%s-%lld", setup->algo->name, name, (long long)s->seed);
}

/* a directory made for a run that could not begin */
static void drop_unused(const char *dir) {
    char path[REINI_PATH_MAX];
    if (reini_path_join(path, sizeof path, dir, "config.json") == REIN_OK && !reini_file_exists(path))
        rmdir(dir);
}

static rein_status start(const reini_algo *algo, const rein_train_opts *opts, rein_summary *summary) {
    reini_language_setup setup;
    char dir[REINI_DIR_MAX], stem[512];
    int hold = -1;
    REINI_TRY(refuse(algo, opts));
    rein_status status = reini_language_setup_init(&setup, algo);
    if (status == REIN_OK)
        status = reini_language_apply(&setup, opts);
    if (status == REIN_OK)
        status = setup.method->check(setup.config);
    if (status == REIN_OK) {
        reini_language_anchor(&setup);
        make_stem(&setup, stem);
        status = reini_dir_claim_as(stem, opts, dir, &hold);
    }
    if (status == REIN_OK) {
        status = carry_out(&setup, dir, true, opts, summary);
        if (status != REIN_OK)
            drop_unused(dir);
    }
    reini_dir_let_go(hold);
    reini_language_setup_release(&setup);
    return status;
}

static rein_status continue_in(const char *dir, const rein_train_opts *opts, rein_summary *summary) {
    reini_language_setup stored, wanted = {0};
    rein_status status = reini_language_read_config(&stored, dir);
    if (status == REIN_OK && opts->algo && strcmp(opts->algo, stored.algo->name) != 0)
        status = reini_fail(REIN_USAGE, "%s is a run of %s, not of %s", opts->resume, stored.algo->name,
                            opts->algo);
    if (status == REIN_OK)
        status = refuse(stored.algo, opts);
    if (status == REIN_OK && (opts->out || opts->force))
        status = reini_fail(REIN_USAGE, "a resumed run stays in its directory: leave out %s",
                            opts->out ? "--out" : "--force");
    if (status == REIN_OK)
        status = reini_language_setup_init(&wanted, stored.algo);
    if (status == REIN_OK) {
        memcpy(wanted.config, stored.config, stored.method->config_size);
        status = reini_language_apply(&wanted, opts);
    }
    if (status == REIN_OK) {
        reini_language_anchor(&wanted);
        status = reini_language_compare(&stored, &wanted);
    }
    if (status == REIN_OK && !read_summary(summary, &wanted, dir))
        status = carry_out(&wanted, dir, false, opts, summary);
    reini_language_setup_release(&stored);
    reini_language_setup_release(&wanted);
    return status;
}

rein_status reini_language_train(const reini_algo *algo, const rein_train_opts *opts, rein_summary *summary) {
    char dir[REINI_DIR_MAX];
    int hold = -1;
    memset(summary, 0, sizeof *summary);
    if (!opts->resume)
        return start(algo ? algo : reini_algo_find(opts->algo), opts, summary);
    REINI_TRY(reini_dir_plain_path(dir, opts->resume));
    rein_status status = reini_dir_hold(dir, &hold);
    if (status == REIN_OK)
        status = continue_in(dir, opts, summary);
    reini_dir_let_go(hold);
    return status;
}

/* ---- which kind of run ----------------------------------------------------------------------------------- */

static rein_status resumes_language(const char *dir, bool *language) {
    char path[REINI_PATH_MAX];
    json_t *config;
    if (reini_path_join(path, sizeof path, dir, "config.json") != REIN_OK || !reini_file_exists(path))
        return REIN_OK; /* the sentence is the other kind's */
    REINI_TRY(reini_json_read(path, &config));
    *language = reini_language_is_config(config);
    json_decref(config);
    return REIN_OK;
}

/* Methods of both worlds train a language model when one is named; beside an environment `init` is that of its networks. */
static bool names_model(const rein_train_opts *opts) {
    for (int i = 0; i < opts->n_settings; i++) {
        const char *name = opts->settings[i].name;
        if (name && (strcmp(name, "model") == 0 || (strcmp(name, "init") == 0 && !opts->env)))
            return true;
    }
    return false;
}

rein_status reini_language_means(const reini_algo *algo, const rein_train_opts *opts, bool *language) {
    *language = false;
    if (opts->resume)
        return resumes_language(opts->resume, language);
    if (!algo && opts->algo) {
        for (int i = 0; !algo && reini_algo_at(i); i++)
            algo = strcmp(reini_algo_at(i)->name, opts->algo) == 0 ? reini_algo_at(i) : NULL;
    }
    *language = algo && algo->language && (algo->family == REINI_LANGUAGE || names_model(opts));
    return REIN_OK;
}
