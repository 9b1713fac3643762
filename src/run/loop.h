/*
 * loop.h - one training run in progress, and the loop that drives it.
 */
#ifndef REINI_LOOP_H
#define REINI_LOOP_H

#include <signal.h>
#include <stdio.h>
#include "run/metrics.h"
#include "run/progress.h"
#include "run/run_dir.h"
#include "run/settings.h"

/* What the trainer itself must remember across a stop; saved in checkpoints as it stands. */
typedef struct reini_counters {
    int64_t iterations;
    int64_t env_steps;
    int64_t skipped_updates;
    int64_t evaluations; /* during training, so far; numbers their seeds */
    int64_t best_step;   /* of best.safetensors, -1 = none */
    double best_return;
    double seconds;  /* of training, all legs of the run */
    int64_t reached; /* 1: an evaluation reached stop_at, or the algorithm was done */
} reini_counters;

/* Common columns of metrics.csv; the algorithm's follow. */
/* clang-format off */
#define REINI_COLUMNS(X)                           \
    X(SECONDS, "time/seconds")                     \
    X(SPS, "time/sps")                             \
    X(ENV, "time/env_s")                           \
    X(ACT, "time/act_s")                           \
    X(UPDATE, "time/update_s")                     \
    X(EPISODES, "episodes")                        \
    X(RETURN, "rollout/return_mean")               \
    X(LENGTH, "rollout/length_mean")               \
    X(EVAL_RETURN, "eval/return_mean")             \
    X(EVAL_STD, "eval/return_std")                 \
    X(SKIPPED, "health/skipped_updates")           \
    X(PEAK, "memory/peak_mb")
/* clang-format on */

typedef enum reini_column {
#define X(id, name) REINI_COLUMN_##id,
    REINI_COLUMNS(X)
#undef X
        REINI_N_COLUMNS
} reini_column;

typedef struct reini_run {
    const reini_setup *setup;
    const char *dir;
    const char *resume_dir; /* what to name in "continue with --resume" */
    const volatile sig_atomic_t *stop;
    rein_pool *pool;
    void *state; /* the algorithm's */
    reini_metrics *metrics;
    reini_progress *progress;
    reini_counters count;
    reini_report report;          /* of the last iteration */
    double eval_return, eval_std; /* of this iteration, NAN = not evaluated */
    double interventions;         /* share of this iteration's actions that a safety filter replaced */
    /* the row of metrics.csv being gathered: time of the iterations since the last one */
    double seconds_env, seconds_act, seconds_update;
    int64_t row_step;
    double row_second;
    /* clock of this leg and the last checkpoint, in seconds */
    double clock_start, seconds_before, saved_at;
    int64_t saved_step; /* -1 = none */
} reini_run;

/* Most columns after "step": common, the algorithm's, that of a safety filter. */
#define REINI_COLUMNS_MAX (REINI_N_COLUMNS + REINI_METRICS_MAX + 1)
/* Their names; returns their number. */
int reini_column_names(const reini_setup *setup, const char *names[REINI_COLUMNS_MAX]);

/* Most memory that this process had at a time. */
double reini_peak_megabytes(void);

/* Trains until the steps are made, an evaluation reaches stop_at, or the stop flag is set. Ends with a
 * checkpoint; REIN_INTERRUPTED when stopped, REIN_DIVERGED (the last checkpoint is kept) when the algorithm
 * gave up. */
rein_status reini_loop(reini_run *run);

#endif
