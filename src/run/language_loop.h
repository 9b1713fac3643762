/*
 * language_loop.h - one run on a language model in progress.
 */
#ifndef REINI_LANGUAGE_LOOP_H
#define REINI_LANGUAGE_LOOP_H

#include <signal.h>
#include "run/language_setup.h"
#include "run/metrics.h"
#include "run/progress.h"
#include "run/run_dir.h"

/* What the run itself must remember across a stop; saved in checkpoints as it stands. */
typedef struct reini_language_counters {
    double seconds;    /* of training, all legs of the run */
    double row_tokens; /* tokens and seconds at the last row of metrics */
    double row_seconds;
    double best;                    /* value of the best evaluation */
    int64_t best_step;              /* -1 = none */
    int64_t evaluated;              /* update of the last evaluation, -1 = none */
    double loss;                    /* key metric of the last row */
    double eval[REINI_METRICS_MAX]; /* the last evaluation */
} reini_language_counters;

/* Columns before those of the method. */
/* clang-format off */
#define REINI_LANGUAGE_COLUMNS(X)                  \
    X(SECONDS, "time/seconds")                     \
    X(TPS, "time/tokens_per_second")               \
    X(SKIPPED, "health/skipped_updates")           \
    X(PEAK, "memory/peak_mb")
/* clang-format on */

typedef enum reini_language_column {
#define X(id, name) REINI_LANGUAGE_##id,
    REINI_LANGUAGE_COLUMNS(X)
#undef X
        REINI_LANGUAGE_N_COLUMNS
} reini_language_column;
#define REINI_LANGUAGE_COLUMNS_MAX (REINI_LANGUAGE_N_COLUMNS + 2 * REINI_METRICS_MAX)

typedef struct reini_language_run {
    const reini_language_setup *setup;
    const char *dir;
    const volatile sig_atomic_t *stop;
    rein_pool *pool;
    void *state; /* the method's */
    reini_metrics *metrics;
    reini_progress *progress;
    reini_language_counters count;
    double clock_start, seconds_before; /* of this leg */
    int64_t saved_step;                 /* of the checkpoint, -1 = none */
    int64_t planned_memory;             /* bytes of the process with all that the run has taken */
} reini_language_run;

/* Their names; returns their number. */
int reini_language_column_names(const reini_language *method, const char *names[REINI_LANGUAGE_COLUMNS_MAX]);

rein_status reini_language_checkpoint_save(reini_language_run *run);
/* *found = false, and nothing changes, when there is none. */
rein_status reini_language_checkpoint_load(reini_language_run *run, bool *found);

/* Trains until the updates are made or the stop flag is set. Ends with a checkpoint and the model's folder;
 * REIN_INTERRUPTED when stopped, REIN_DIVERGED when the method gave up. */
rein_status reini_language_loop(reini_language_run *run);

#endif
