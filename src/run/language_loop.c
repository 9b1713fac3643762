/*
 * language_loop.c - update, evaluate, report, save.
 *
 * What happens after an update follows from its number alone, so a run that was stopped and continued writes the same
 * rows and models as one that was not.
 */
#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "base/file.h"
#include "run/language_loop.h"
#include "run/loop.h"

int reini_language_column_names(const reini_language *method, const char *names[REINI_LANGUAGE_COLUMNS_MAX]) {
    static const char *const common[] = {
#define X(id, name) name,
        REINI_LANGUAGE_COLUMNS(X)
#undef X
    };
    int n = REINI_LANGUAGE_N_COLUMNS;
    memcpy(names, common, sizeof common);
    for (int i = 0; i < method->n_metrics; i++)
        names[n++] = method->metrics[i];
    for (int i = 0; i < method->n_eval_metrics; i++)
        names[n++] = method->eval_metrics[i];
    return n;
}

static reini_lm_progress progress_of(const reini_language_run *run) {
    reini_lm_progress p;
    run->setup->method->progress(run->state, &p);
    return p;
}

/* ---- evaluation ------------------------------------------------------------------------------------------ */

static rein_status keep_best(reini_language_run *run, int64_t step) {
    const reini_language *method = run->setup->method;
    char path[REINI_PATH_MAX];
    double value = run->count.eval[method->best_metric];
    bool better = method->best_is_high ? value > run->count.best : value < run->count.best;
    if (run->count.best_step >= 0 && !better)
        return REIN_OK;
    REINI_TRY(reini_path_join(path, sizeof path, run->dir, "best"));
    REINI_TRY(method->save(run->state, path));
    run->count.best = value;
    run->count.best_step = step;
    return REIN_OK;
}

static bool evaluation_due(const reini_language_run *run, const reini_lm_progress *p) {
    const reini_language *method = run->setup->method;
    int64_t every = reini_language_settings(run->setup)->eval_steps;
    if (!method->can_evaluate(run->state))
        return false;
    if (every == 0)
        every = method->epoch_steps(run->state);
    return p->step % every == 0 || p->step >= p->total;
}

static rein_status evaluate(reini_language_run *run, int64_t step) {
    REINI_TRY(run->setup->method->evaluate(run->state, run->count.eval));
    run->count.evaluated = step;
    return keep_best(run, step);
}

/* ---- reporting ------------------------------------------------------------------------------------------- */

static void take_time(reini_language_run *run) {
    run->count.seconds = run->seconds_before + reini_seconds() - run->clock_start;
}

static rein_status write_row(reini_language_run *run, const reini_lm_progress *p, bool evaluated) {
    const reini_language *method = run->setup->method;
    double row[REINI_LANGUAGE_COLUMNS_MAX], *at = row + REINI_LANGUAGE_N_COLUMNS;
    double seconds = run->count.seconds - run->count.row_seconds;
    row[REINI_LANGUAGE_SECONDS] = run->count.seconds;
    row[REINI_LANGUAGE_TPS] = ((double)p->tokens - run->count.row_tokens) / fmax(seconds, 1e-9);
    row[REINI_LANGUAGE_SKIPPED] = (double)p->skipped_updates;
    row[REINI_LANGUAGE_PEAK] = reini_peak_megabytes();
    method->report(run->state, at);
    run->count.loss = at[method->key_metric];
    at += method->n_metrics;
    for (int i = 0; i < method->n_eval_metrics; i++)
        at[i] = evaluated ? run->count.eval[i] : NAN;
    run->count.row_tokens = (double)p->tokens;
    run->count.row_seconds = run->count.seconds;
    return reini_metrics_write(run->metrics, p->step, row);
}

/* ---- saving and stopping --------------------------------------------------------------------------------- */

static rein_status save_model(reini_language_run *run) {
    const reini_language *method = run->setup->method;
    char path[REINI_PATH_MAX];
    REINI_TRY(reini_path_join(path, sizeof path, run->dir, method->folder(run->state)));
    return method->save(run->state, path);
}

static rein_status save(reini_language_run *run, int64_t step) {
    if (run->saved_step == step)
        return REIN_OK;
    REINI_TRY(reini_language_checkpoint_save(run));
    run->saved_step = step;
    return REIN_OK;
}

/* the model as well, so that what has been learned so far can be used */
static rein_status stopped(reini_language_run *run, const reini_lm_progress *p) {
    take_time(run);
    REINI_TRY(save(run, p->step));
    REINI_TRY(save_model(run));
    return reini_fail(REIN_INTERRUPTED,
                      "stopped at update %lld of %lld and saved: continue with `rein train --resume %s`",
                      (long long)p->step, (long long)p->total, run->dir);
}

static rein_status diverged(const reini_language_run *run, const reini_lm_progress *p) {
    return reini_fail(REIN_DIVERGED,
                      "training diverged at update %lld of %lld in %s: gradients were not finite in too many "
                      "updates in a row (last %s %.4g); %s; try a lower learning_rate or more warmup_steps",
                      (long long)p->step, (long long)p->total, run->dir,
                      run->setup->method->metrics[run->setup->method->key_metric], run->count.loss,
                      run->saved_step >= 0 ? "the last checkpoint is kept"
                                           : "no checkpoint had been written");
}

/* ---- the loop -------------------------------------------------------------------------------------------- */

static rein_status after_update(reini_language_run *run) {
    const reini_lm_settings *s = reini_language_settings(run->setup);
    reini_lm_progress p = progress_of(run);
    bool over = p.step >= p.total, evaluated = evaluation_due(run, &p);
    if (p.diverged) {
        REINI_TRY(write_row(run, &p, false));
        return diverged(run, &p);
    }
    if (evaluated)
        REINI_TRY(evaluate(run, p.step));
    take_time(run);
    if (p.step % s->logging_steps == 0 || evaluated || over)
        REINI_TRY(write_row(run, &p, evaluated));
    reini_progress_update(run->progress, p.step, NAN,
                          run->setup->method->metrics[run->setup->method->key_metric], run->count.loss);
    return over || (s->save_steps > 0 && p.step % s->save_steps == 0) ? save(run, p.step) : REIN_OK;
}

rein_status reini_language_loop(reini_language_run *run) {
    run->clock_start = reini_seconds();
    run->seconds_before = run->count.seconds;
    for (;;) {
        reini_lm_progress p = progress_of(run);
        if (p.step >= p.total)
            return save_model(run);
        if (run->stop && *run->stop)
            return stopped(run, &p);
        REINI_TRY(run->setup->method->step(run->state));
        REINI_TRY(after_update(run));
    }
}
