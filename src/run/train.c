/*
 * train.c - from the options of a call to a finished run.
 *
 *     settings, checks, directory, algorithm, config.json, checkpoint if any, loop, final evaluation
 *
 * Everything that can be refused is refused before the directory is touched.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "rl/policy.h"
#include "run/checkpoint.h"
#include "run/evaluate.h"
#include "run/language_run.h"
#include "run/loop.h"
#include "run/picture.h"
#include "run/statistics.h"
#include "run/streams.h"
#include "run/summary.h"
#include "run/train.h"
#include "run/wrapping.h"

/* ---- one run ----------------------------------------------------------------------------------------- */

static void close_run(reini_run *run) {
    reini_progress_free(run->progress);
    reini_metrics_close(run->metrics);
    if (run->state)
        run->setup->algo->destroy(run->state);
    rein_pool_free(run->pool);
    *run = (reini_run){0};
}

/* workers and the algorithm's state: all that may fail for want of memory or of a kernel */
static rein_status create_state(reini_run *run, const reini_setup *setup) {
    *run = (reini_run){.setup = setup, .saved_step = -1, .count = {.best_step = -1}};
    run->pool = rein_pool_new(reini_thread_count(setup->run.threads));
    if (!run->pool)
        return reini_fail(REIN_NOMEM, "%d worker threads could not be started: choose fewer with --threads",
                          reini_thread_count(setup->run.threads));
    reini_context context = reini_setup_context(setup, run->pool);
    REINI_TRY(setup->algo->create(setup->algo_config, &context, &run->state));
    char wrappers[REINI_WRAPPERS_MAX];
    reini_wrap_print(&setup->run, wrappers, sizeof wrappers);
    reini_policy_remember(setup->algo->policy(run->state), wrappers);
    return REIN_OK;
}

static rein_status open_outputs(reini_run *run, const reini_task *task, int64_t resume_step) {
    const char *names[REINI_COLUMNS_MAX];
    const reini_setup *setup = task->setup;
    char label[160];
    int n = reini_column_names(setup, names);
    REINI_TRY(reini_metrics_open(run->dir, names, n, resume_step, &run->metrics));
    int at = snprintf(label, sizeof label, "%s %.100s", setup->algo->name, setup->env->id);
    if (task->dir != task->resume_dir)
        snprintf(label + at, sizeof label - (size_t)at, " seed %lld", (long long)setup->run.seed);
    REINI_TRY(
        reini_progress_new(task->progress, label, setup->run.steps, run->count.env_steps, &run->progress));
    if (setup->algo->unit)
        reini_progress_count(run->progress, setup->algo->unit);
    return REIN_OK;
}

static rein_status open_run(reini_run *run, const reini_task *task) {
    bool found = false;
    REINI_TRY(create_state(run, task->setup));
    run->dir = task->dir;
    run->resume_dir = task->resume_dir;
    run->stop = task->stop;
    if (task->fresh)
        REINI_TRY(reini_dir_write_config(task->dir, task->setup));
    else
        REINI_TRY(reini_checkpoint_load(run, &found));
    if (found) {
        run->saved_step = run->count.env_steps;
        reini_log(REIN_LOG_INFO, "%s: continuing at %lld of %lld steps", task->dir,
                  (long long)run->count.env_steps, (long long)task->setup->run.steps);
    }
    return open_outputs(run, task, found ? run->count.env_steps : -1);
}

/* plays fresh episodes: neither best.safetensors nor stop_at was decided on them */
static rein_status final_evaluation(reini_run *run, rein_summary *s) {
    const reini_setup *setup = run->setup;
    reini_eval_job job = {
        .env = &setup->opened,
        .policy = setup->algo->policy(run->state),
        .pool = run->pool,
        .episodes = (int)setup->run.eval_episodes,
        .seed = reini_seed_for((uint64_t)setup->run.seed, "final evaluation", (uint64_t)run->count.env_steps),
        .stop = run->stop};
    reini_score score;
    rein_status status = reini_score_policy(&job, &score);
    if (status == REIN_OK) {
        s->eval_exact = score.exact;
        s->eval_episodes = score.exact ? 0 : job.episodes;
        s->eval_return_mean = score.mean;
        s->eval_return_std = score.std;
        s->eval_length_mean = score.length;
    }
    if (status == REIN_INTERRUPTED)
        return reini_fail(status,
                          "stopped during the final evaluation, training is complete and saved: continue "
                          "with `rein train --resume %s`",
                          run->resume_dir);
    return status;
}

static rein_status finish_run(reini_run *run, rein_summary *s) {
    char path[REINI_PATH_MAX];
    rein_policy *policy = run->setup->algo->policy(run->state);
    REINI_TRY(reini_path_join(path, sizeof path, run->dir, "policy.safetensors"));
    REINI_TRY(rein_policy_save(policy, path));
    REINI_TRY(reini_picture_write(run->dir, &run->setup->opened, policy));
    reini_summary_init(s, run->setup, run->dir);
    s->seeds = 1;
    s->env_steps = run->count.env_steps;
    s->wall_s = run->count.seconds;
    s->sps = (double)s->env_steps / fmax(s->wall_s, 1e-9);
    s->skipped_updates = run->count.skipped_updates;
    REINI_TRY(reini_policy_digest(policy, s->policy_sha256));
    REINI_TRY(final_evaluation(run, s));
    return reini_summary_write(s, run->setup, NULL, 0);
}

/* a failure to write leaves the run continuable; say so */
static rein_status explain(rein_status status, const reini_task *task) {
    if (status != REIN_IO)
        return status;
    return reini_fail(status,
                      "%s; what was saved before is intact: make room, then continue with `rein train "
                      "--resume %s`",
                      rein_error(), task->resume_dir);
}

rein_status reini_settle_config(const reini_task *task) {
    reini_setup stored;
    bool changed;
    rein_status status = reini_dir_read_config(task->dir, task->setup->algo, &stored);
    if (status == REIN_OK)
        status = reini_setup_compare(&stored, task->setup, &changed);
    if (status == REIN_OK && (changed || stored.seeds != task->setup->seeds))
        status = reini_dir_write_config(task->dir, task->setup);
    reini_setup_release(&stored);
    return status;
}

rein_status reini_train_one(const reini_task *task, rein_summary *summary) {
    reini_run run = {0};
    if (!task->fresh) {
        REINI_TRY(reini_settle_config(task));
        if (reini_summary_read(summary, task->setup, task->dir))
            return REIN_OK;
    }
    rein_status status = open_run(&run, task);
    if (status == REIN_OK)
        status = explain(reini_loop(&run), task);
    if (status == REIN_OK)
        status = explain(finish_run(&run, summary), task);
    close_run(&run);
    return status;
}

/* ---- a call ------------------------------------------------------------------------------------------ */

static rein_status carry_out(const reini_setup *setup, const char *dir, bool fresh,
                             const rein_train_opts *opts, rein_summary *summary) {
    reini_task task = {.setup = setup,
                       .dir = dir,
                       .resume_dir = dir,
                       .fresh = fresh,
                       .progress = opts->progress,
                       .stop = opts->stop};
    return setup->seeds > 1 ? reini_train_seeds(&task, summary) : reini_train_one(&task, summary);
}

/* before the outputs of an earlier run are removed: can the new one start at all? */
static rein_status rehearse(const reini_setup *setup, const rein_train_opts *opts) {
    reini_run run;
    reini_dir_kind kind;
    if (!opts->force || !opts->out)
        return REIN_OK;
    REINI_TRY(reini_dir_look(opts->out, &kind));
    if (kind != REINI_DIR_RUN)
        return REIN_OK;
    rein_status status = create_state(&run, setup);
    close_run(&run);
    return status;
}

/* a directory made for a run that could not begin */
static void drop_unused(const char *dir) {
    char path[REINI_PATH_MAX];
    if (reini_path_join(path, sizeof path, dir, "config.json") == REIN_OK && !reini_file_exists(path))
        rmdir(dir);
}

static rein_status start_run(reini_setup *setup, const rein_train_opts *opts, rein_summary *summary) {
    char dir[REINI_DIR_MAX];
    int hold;
    REINI_TRY(reini_setup_check(setup));
    REINI_TRY(rehearse(setup, opts));
    REINI_TRY(reini_dir_claim(setup, opts, dir, &hold));
    rein_status status = carry_out(setup, dir, true, opts, summary);
    if (status != REIN_OK)
        drop_unused(dir);
    reini_dir_let_go(hold);
    return status;
}

static rein_status resume_run(const reini_setup *stored, const rein_train_opts *opts, const char *dir,
                              rein_summary *summary) {
    reini_setup wanted;
    rein_status status = reini_setup_copy(&wanted, stored);
    if (status == REIN_OK)
        status = reini_setup_apply_resume(&wanted, opts);
    if (status == REIN_OK)
        status = reini_setup_check(&wanted);
    if (status == REIN_OK)
        status = carry_out(&wanted, dir, false, opts, summary);
    reini_setup_release(&wanted);
    return status;
}

rein_status reini_train_with(const reini_algo *algo, const rein_train_opts *opts, rein_summary *summary) {
    reini_setup setup = {0};
    char dir[REINI_DIR_MAX];
    int hold = -1;
    bool language;
    memset(summary, 0, sizeof *summary);
    REINI_TRY(reini_language_means(algo, opts, &language));
    if (language)
        return reini_language_train(algo, opts, summary);
    if (!opts->resume) {
        rein_status status = reini_setup_resolve(&setup, algo, opts);
        if (status == REIN_OK)
            status = start_run(&setup, opts, summary);
        reini_setup_release(&setup);
        return status;
    }
    REINI_TRY(reini_dir_plain_path(dir, opts->resume));
    rein_status status = reini_dir_read_config(dir, algo, &setup);
    if (status == REIN_OK)
        status = reini_dir_hold(dir, &hold);
    if (status == REIN_OK)
        status = resume_run(&setup, opts, dir, summary);
    reini_dir_let_go(hold);
    reini_setup_release(&setup);
    return status;
}

rein_status rein_train(const rein_train_opts *opts, rein_summary *summary) {
    return reini_train_with(NULL, opts, summary);
}
