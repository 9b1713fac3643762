/*
 * loop.c - the loop of a run: gather and learn, evaluate, report, save.
 *
 * Nothing here changes what is learned: evaluations use environments and seeds of their own, and happen at
 * marks of the step counter; checkpoints and rows of metrics are taken between iterations. So a run that was
 * stopped and continued computes the same bits as one that was not.
 */
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "run/checkpoint.h"
#include "base/clock.h"
#include "run/evaluate.h"
#include "run/loop.h"
#include "run/statistics.h"
#include "run/streams.h"

#define CHECKPOINT_SECONDS 30

static bool is_over(const reini_run *run) {
    return run->count.reached || run->count.env_steps >= run->setup->run.steps;
}

/* ---- one iteration ----------------------------------------------------------------------------------- */

static void clear_report(reini_report *report) {
    *report = (reini_report){.return_mean = NAN, .length_mean = NAN};
    for (int i = 0; i < REINI_METRICS_MAX; i++)
        report->metric[i] = NAN;
}

static void iterate(reini_run *run) {
    int64_t actions, replaced, actions_before, replaced_before;
    clear_report(&run->report);
    rein_filter_count(&run->setup->opened, &actions_before, &replaced_before);
    run->setup->algo->iterate(run->state, &run->report);
    rein_filter_count(&run->setup->opened, &actions, &replaced);
    run->interventions = (double)(replaced - replaced_before) / (double)(actions - actions_before);
    REINI_ASSERT(run->report.env_steps > run->count.env_steps || run->report.diverged || run->report.done ||
                 run->report.failed != REIN_OK);
    run->count.iterations++;
    run->count.env_steps = run->report.env_steps;
    run->count.skipped_updates = run->report.skipped_updates;
    run->count.seconds = run->seconds_before + reini_seconds() - run->clock_start;
    run->seconds_env += run->report.seconds_env;
    run->seconds_act += run->report.seconds_act;
    run->seconds_update += run->report.seconds_update;
    run->eval_return = run->eval_std = NAN;
    run->count.reached = run->report.done;
}

/* ---- evaluation -------------------------------------------------------------------------------------- */

static rein_status evaluate(reini_run *run) {
    const reini_setup *setup = run->setup;
    rein_policy *policy = setup->algo->policy(run->state);
    reini_eval_job job = {.env = &setup->opened,
                          .policy = policy,
                          .pool = run->pool,
                          .episodes = (int)setup->run.eval_every_episodes,
                          .seed = reini_seed_for((uint64_t)setup->run.seed, "evaluation during training",
                                                 (uint64_t)run->count.evaluations)};
    reini_score score;
    REINI_TRY(reini_score_policy(&job, &score));
    run->eval_return = score.mean;
    run->eval_std = score.std;
    run->count.evaluations++;
    return REIN_OK;
}

static rein_status keep_best(reini_run *run) {
    char path[REINI_PATH_MAX];
    if (run->count.best_step >= 0 && !(run->eval_return > run->count.best_return))
        return REIN_OK;
    REINI_TRY(reini_path_join(path, sizeof path, run->dir, "best.safetensors"));
    REINI_TRY(rein_policy_save(run->setup->algo->policy(run->state), path));
    run->count.best_return = run->eval_return;
    run->count.best_step = run->count.env_steps;
    return REIN_OK;
}

/* once for each multiple of eval_every that the iteration reached or passed */
static rein_status evaluate_at_mark(reini_run *run, int64_t steps_before) {
    int64_t every = run->setup->run.eval_every;
    if (every == 0 || run->count.env_steps / every == steps_before / every)
        return REIN_OK;
    REINI_TRY(evaluate(run));
    REINI_TRY(keep_best(run));
    run->count.reached |= run->eval_return >= run->setup->run.stop_at;
    return REIN_OK;
}

/* ---- reporting --------------------------------------------------------------------------------------- */

static bool has_filter(const reini_setup *setup) {
    int64_t actions, replaced;
    return rein_filter_count(&setup->opened, &actions, &replaced);
}

/* metrics of the algorithm that this run has */
static int metric_count(const reini_setup *setup) {
    const reini_algo *algo = setup->algo;
    return algo->metrics_of ? algo->metrics_of(setup->algo_config, &setup->opened) : algo->n_metrics;
}

int reini_column_names(const reini_setup *setup, const char *names[REINI_COLUMNS_MAX]) {
    const reini_algo *algo = setup->algo;
    static const char *const common[] = {
#define X(id, name) name,
        REINI_COLUMNS(X)
#undef X
    };
    memcpy(names, common, sizeof common);
    int metrics = metric_count(setup);
    for (int i = 0; i < metrics; i++)
        names[REINI_N_COLUMNS + i] = algo->metrics[i];
    int n = REINI_N_COLUMNS + metrics;
    if (has_filter(setup))
        names[n++] = "rollout/interventions";
    return n;
}

double reini_peak_megabytes(void) {
    int64_t peak = reini_memory_peak();
    return peak > 0 ? (double)peak / (1 << 20) : NAN;
}

static rein_status write_row(reini_run *run) {
    double row[REINI_COLUMNS_MAX];
    double seconds = run->count.seconds - run->row_second;
    row[REINI_COLUMN_SECONDS] = run->count.seconds;
    row[REINI_COLUMN_SPS] = (double)(run->count.env_steps - run->row_step) / fmax(seconds, 1e-9);
    row[REINI_COLUMN_ENV] = run->seconds_env;
    row[REINI_COLUMN_ACT] = run->seconds_act;
    row[REINI_COLUMN_UPDATE] = run->seconds_update;
    row[REINI_COLUMN_EPISODES] = (double)run->report.episodes;
    row[REINI_COLUMN_RETURN] = run->report.return_mean;
    row[REINI_COLUMN_LENGTH] = run->report.length_mean;
    row[REINI_COLUMN_EVAL_RETURN] = run->eval_return;
    row[REINI_COLUMN_EVAL_STD] = run->eval_std;
    row[REINI_COLUMN_SKIPPED] = (double)run->report.skipped_updates;
    row[REINI_COLUMN_PEAK] = reini_peak_megabytes();
    int metrics = metric_count(run->setup);
    memcpy(row + REINI_N_COLUMNS, run->report.metric, (size_t)metrics * sizeof *row);
    row[REINI_N_COLUMNS + metrics] = run->interventions; /* past the columns without a filter */
    run->row_step = run->count.env_steps;
    run->row_second = run->count.seconds;
    run->seconds_env = run->seconds_act = run->seconds_update = 0;
    return reini_metrics_write(run->metrics, run->count.env_steps, row);
}

/* which iterations get a row depends on their number and on evaluations, not on where a run was stopped */
static rein_status report(reini_run *run) {
    const reini_algo *algo = run->setup->algo;
    int key = algo->key_metric;
    reini_progress_update(run->progress, run->count.env_steps, run->report.return_mean,
                          key >= 0 ? algo->metrics[key] : NULL, key >= 0 ? run->report.metric[key] : NAN);
    bool due = run->count.iterations % run->setup->run.log_every == 0 || !isnan(run->eval_return) ||
               run->report.diverged || is_over(run);
    return due ? write_row(run) : REIN_OK;
}

/* ---- saving and stopping ----------------------------------------------------------------------------- */

static rein_status save(reini_run *run) {
    run->count.seconds = run->seconds_before + reini_seconds() - run->clock_start;
    REINI_TRY(reini_checkpoint_save(run));
    run->saved_at = reini_seconds();
    run->saved_step = run->count.env_steps;
    return REIN_OK;
}

static rein_status save_when_due(reini_run *run) {
    int64_t every = run->setup->run.checkpoint_every;
    int64_t saved_step = run->saved_step < 0 ? 0 : run->saved_step;
    bool due = every > 0 ? run->count.env_steps - saved_step >= every
                         : reini_seconds() - run->saved_at >= CHECKPOINT_SECONDS;
    return due || is_over(run) ? save(run) : REIN_OK;
}

/* a policy file as well, so that what has been learned so far can be looked at */
static rein_status stopped(reini_run *run) {
    char path[REINI_PATH_MAX];
    if (run->count.iterations > 0 && run->saved_step != run->count.env_steps)
        REINI_TRY(save(run));
    REINI_TRY(reini_path_join(path, sizeof path, run->dir, "policy.safetensors"));
    REINI_TRY(rein_policy_save(run->setup->algo->policy(run->state), path));
    return reini_fail(REIN_INTERRUPTED,
                      "stopped at %lld of %lld steps and saved: continue with `rein train --resume %s`",
                      (long long)run->count.env_steps, (long long)run->setup->run.steps, run->resume_dir);
}

/* "loss = nan, kl = 0.02": as many metrics as fit */
static void print_metrics(const reini_run *run, char *out, size_t size) {
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < metric_count(run->setup); i++) {
        int n = snprintf(out + at, size - at, "%s%s = %.4g", i ? ", " : "", run->setup->algo->metrics[i],
                         run->report.metric[i]);
        if ((size_t)n >= size - at) {
            out[at] = 0;
            return;
        }
        at += (size_t)n;
    }
}

/* the method found that it cannot go on; its sentence says why. What it has is kept as a policy file, and as a
 * checkpoint when settings are at fault: with more steps, say, it can be continued. */
static rein_status gave_up(reini_run *run) {
    char path[REINI_PATH_MAX], sentence[1024];
    rein_status status = run->report.failed;
    snprintf(sentence, sizeof sentence, "%s", rein_error());
    if (status == REIN_USAGE) {
        run->count.env_steps--; /* not over: a resume as things stand asks the method again */
        REINI_TRY(save(run));
    }
    REINI_TRY(reini_path_join(path, sizeof path, run->dir, "policy.safetensors"));
    REINI_TRY(rein_policy_save(run->setup->algo->policy(run->state), path));
    return reini_fail(status, "%s (what was reached is saved in %s)", sentence, path);
}

/* the state is of no use to anybody: the last checkpoint stays */
static rein_status diverged(const reini_run *run) {
    char metrics[400], kept[64] = "no checkpoint had been written";
    print_metrics(run, metrics, sizeof metrics);
    if (run->saved_step >= 0)
        snprintf(kept, sizeof kept, "the checkpoint of step %lld is kept", (long long)run->saved_step);
    return reini_fail(REIN_DIVERGED,
                      "training diverged at %lld of %lld steps in %s: losses or gradients were not "
                      "finite in too many updates in a row (%s); %s; try a lower learning_rate, a "
                      "lower max_grad_norm or normalised observations and rewards",
                      (long long)run->count.env_steps, (long long)run->setup->run.steps, run->dir, metrics,
                      kept);
}

/* ---- the loop ---------------------------------------------------------------------------------------- */

rein_status reini_loop(reini_run *run) {
    run->clock_start = run->saved_at = reini_seconds();
    run->seconds_before = run->row_second = run->count.seconds;
    run->row_step = run->count.env_steps;
    while (!is_over(run)) {
        if (run->stop && *run->stop)
            return stopped(run);
        int64_t steps_before = run->count.env_steps;
        iterate(run);
        if (run->report.failed != REIN_OK)
            return gave_up(run);
        if (!run->report.diverged)
            REINI_TRY(evaluate_at_mark(run, steps_before));
        REINI_TRY(report(run));
        if (run->report.diverged)
            return diverged(run);
        REINI_TRY(save_when_due(run));
    }
    return REIN_OK;
}
