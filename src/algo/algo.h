/*
 * algo.h - what an algorithm is: one descriptor. A new algorithm is one file and one line in algo_registry.c.
 */
#ifndef REINI_ALGO_H
#define REINI_ALGO_H

#include <rein/env.h>
#include <rein/policy.h>
#include <rein/tensor.h>
#include "base/archive.h"

typedef enum reini_algo_family {
    REINI_PLANNING,
    REINI_TABULAR,
    REINI_ON_POLICY,
    REINI_OFF_POLICY,
    REINI_OFFLINE,
    REINI_MODEL_BASED,
    REINI_PREFERENCE,
    REINI_LANGUAGE, /* trains a language model on data: its descriptor has `language`, not create and the like */
} reini_algo_family;

/* What the trainer gives an algorithm. Everything outlives the algorithm's state. */
typedef struct reini_context {
    const rein_env_type *env; /* opened: its model holds the settings */
    uint64_t seed;
    int64_t total_steps; /* in the algorithm's unit */
    rein_pool *pool;
    rein_dtype matmul; /* REIN_F32 or REIN_BF16 */
} reini_context;

#define REINI_METRICS_MAX 32

/* What one iteration did. The trainer clears it; NAN means "not this time". */
typedef struct reini_report {
    int64_t env_steps; /* since the start of training, all environments together; or other units */
    double metric[REINI_METRICS_MAX];                /* the descriptor's metrics, in order */
    int64_t episodes;                                /* finished since the start */
    double return_mean, length_mean;                 /* over the last 100 finished episodes */
    double seconds_env, seconds_act, seconds_update; /* of this iteration */
    int64_t skipped_updates;                         /* since the start: updates dropped as not finite */
    bool diverged;                                   /* give up: too many updates in a row were not finite */
    bool done;          /* nothing is left to do: converged, or the episodes asked for are made */
    rein_status failed; /* the method cannot go on, with the sentence recorded; what was learned is saved */
} reini_report;

typedef struct reini_algo {
    const char *name; /* "ppo" */
    const char *doc;  /* one line */
    reini_algo_family family;
    const char *unit; /* what a step is, in the plural: NULL = "steps" of environments; "sweeps", ... */
    const rein_field *fields;
    int n_fields;
    size_t config_size;
    const char *const *metrics; /* names of columns of metrics.csv */
    int n_metrics;
    int key_metric; /* index of the one shown in the progress line, -1 = none */
    /* Optional: how many of the metrics, from the first on, a run with this config has; NULL = all. */
    int (*metrics_of)(const void *config, const rein_env_type *env);

    /* Rules across fields and the fit of the spaces; REIN_USAGE with a sentence. */
    rein_status (*check)(const void *config, const reini_context *context);
    /* State ready for the first iteration. config is copied. */
    rein_status (*create)(const void *config, const reini_context *context, void **self);
    void (*destroy)(void *self);
    /* One round of the method: gather experience, learn from it. No allocation after the first call. */
    void (*iterate)(void *self, reini_report *report);
    /* Everything the future depends on (parameters, optimizer, normaliser, streams, environments, counters). */
    rein_status (*visit)(void *self, reini_archive *archive);
    /* total_steps changed (a resumed run was extended). */
    void (*extend)(void *self, int64_t total_steps);
    /* The policy being trained; owned by the algorithm, current after every iterate. */
    rein_policy *(*policy)(void *self);
    /* What the method does with a language model, NULL = nothing. Of the family REINI_LANGUAGE it is all there is. */
    const struct reini_language *language;
} reini_algo;

const reini_algo *reini_algo_find(const char *name); /* NULL with an error naming the nearest */
const reini_algo *reini_algo_at(int i);              /* NULL past the end */

#endif
