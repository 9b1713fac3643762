/*
 * lm_algo.h - what a method that trains a language model is: the `language` of an algorithm's descriptor (algo.h).
 *
 * Methods on environments have create, iterate and a policy; these have a model, data and updates. Their config begins
 * with a reini_lm_settings.
 */
#ifndef REINI_LM_ALGO_H
#define REINI_LM_ALGO_H

#include "algo/algo.h"
#include "algo/language/lm_settings.h"

/* What the run gives. Everything outlives the method's state. */
typedef struct reini_lm_context {
    rein_pool *pool;
    const char *dir; /* of the run, for what a method writes beside the metrics; NULL = none */
} reini_lm_context;

typedef struct reini_lm_progress {
    int64_t step, total;     /* updates made, and of the whole training */
    double epoch;            /* passes over the data made */
    int64_t tokens;          /* that went through the network in training */
    int64_t skipped_updates; /* dropped as not finite */
    bool diverged;           /* give up: too many in a row were not finite */
} reini_lm_progress;

typedef struct reini_language {
    const rein_field *fields;
    int n_fields;
    size_t config_size;
    const char *const *metrics; /* columns of metrics.csv */
    int n_metrics;
    const char *const *eval_metrics; /* columns of an evaluation */
    int n_eval_metrics;
    int key_metric;  /* of `metrics`, shown while it runs */
    int best_metric; /* of `eval_metrics`: the model with the best one is kept */
    bool best_is_high;

    /* Rules across fields; REIN_USAGE with a sentence. */
    rein_status (*check)(const void *config);
    size_t state_size;
    /* Reads model and data and takes the memory of the whole run, into a state of zeros; config outlives it. What it
     * took is given back by `release`, after failure too. */
    rein_status (*set_up)(void *self, const void *config, const reini_lm_context *context);
    void (*release)(void *self);
    void (*progress)(const void *self, reini_lm_progress *out);
    /* One update of the model. No allocation. */
    rein_status (*step)(void *self);
    /* Means since the last call, into metric [n_metrics]. */
    void (*report)(void *self, double *metric);
    bool (*can_evaluate)(const void *self);
    /* Updates of an epoch, for evaluations once an epoch. */
    int64_t (*epoch_steps)(const void *self);
    rein_status (*evaluate)(void *self, double *metric); /* [n_eval_metrics] */
    /* Everything the future depends on. */
    rein_status (*visit)(void *self, reini_archive *archive);
    /* The model as it is, into a folder. */
    rein_status (*save)(void *self, const char *folder);
    int64_t (*save_bytes)(
        const void *self); /* memory that save takes for a while, to read back what it wrote */
    const char *(*folder)(const void *self);               /* its name in the run's directory */
    rein_status (*digest)(const void *self, char out[65]); /* of what was trained */
} reini_language;

/* A method's state, set up; *self stays NULL on failure. */
rein_status reini_language_new(const reini_language *method, const void *config,
                               const reini_lm_context *context, void **self);
void reini_language_free(const reini_language *method, void *self); /* NULL is accepted */

#endif
