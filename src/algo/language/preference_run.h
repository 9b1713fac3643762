/*
 * preference_run.h - what the methods on stored preferences share: model, data, the course of the training, the
 * reference's log-probabilities, and the plain functions of a method's descriptor.
 *
 * A method's state begins with a reini_preference_run, and its metrics end in REINI_PREFERENCE_METRICS.
 *
 *     reini_preference_run_open        model, tokenizer, data
 *     ...                              what the method does to the data
 *     reini_preference_run_prepare     order, memory of training
 *     reini_preference_run_reference   log pi_ref of every answer, where the loss needs it
 *
 * The reference is the model as it is before its first update, in the layout that is trained: with a new adapter, which
 * adds nothing yet, that is the model without it. Its log-probabilities are numbers that never change, so they are
 * computed once, and no second model is kept; a run that is continued reads them from its directory (stored_pass.h).
 */
#ifndef REINI_PREFERENCE_RUN_H
#define REINI_PREFERENCE_RUN_H

#include "algo/language/pair_batch.h"

/* the last metrics of each method: what the course of the training says */
#define REINI_PREFERENCE_METRICS(X)                                                                          \
    X(TOKENS, "num_tokens")                                                                                  \
    X(RATE, "learning_rate")                                                                                 \
    X(NORM, "grad_norm")                                                                                     \
    X(EPOCH, "epoch")                                                                                        \
    X(STEP, "global_step")
enum { REINI_COURSE_METRICS = 5, REINI_PREFERENCE_OWN_MAX = 24 };

typedef struct reini_preference_run {
    const reini_lm_settings *settings;
    const char *dir; /* of the run, NULL = none */
    /* what the data is, where it is not read from files as it stands; name: "candidates", "candidates_eval" */
    rein_status (*make)(void *self, reini_lm_reader *reader, const char *path, int max_length,
                        const char *name, reini_preference *out);
    reini_preference train, eval; /* eval.n = 0: none */
    reini_lm_learner learner;
    reini_lm_course course;
    reini_pair_batch batch;
    double *reference[2]; /* of every document of train and eval; NULL where the method needs none */
    reini_packed *probe;
    uint8_t digest[32]; /* of the training data */
    bool dropout;       /* of the adapter, in training */
    struct {
        double sum[REINI_PREFERENCE_OWN_MAX]; /* of the updates since the last row of metrics */
        double count[REINI_PREFERENCE_OWN_MAX];
        double rate, norm; /* of the last update */
    } report;              /* saved with the rest */
} reini_preference_run;

/* labels > 0: with a score head. opts' max_length is lowered to the model's context. */
rein_status reini_preference_run_open(reini_preference_run *run, const reini_lm_settings *settings,
                                      int labels, const reini_lm_context *context,
                                      reini_preference_opts *opts);
/* passes: so many of a group's answers go through the network at once, one after another; 0 = all together. */
rein_status reini_preference_run_prepare(reini_preference_run *run, int passes);
rein_status reini_preference_run_reference(reini_preference_run *run, int passes);
void reini_preference_run_release(reini_preference_run *run);

/* An update. begin says which rows it takes; batch i's key of dropout; finish steps and counts, and adds the update's own
 * metrics to the means (NaN: it has none). */
reini_lm_span reini_preference_run_begin(reini_preference_run *run);
uint64_t reini_preference_run_key(const reini_preference_run *run, int64_t i);
void reini_preference_run_finish(reini_preference_run *run, int64_t tokens, const double *own, int n_own);

/* Functions of the descriptor; self is the method's state. */
void reini_preference_run_progress(const void *self, reini_lm_progress *out);
void reini_preference_run_report(reini_preference_run *run, double *metric, int n_own);
bool reini_preference_run_can_evaluate(const void *self);
int64_t reini_preference_run_epoch_steps(const void *self);
rein_status reini_preference_run_visit(void *self, reini_archive *ar);
rein_status reini_preference_run_save(void *self, const char *folder);
const char *reini_preference_run_folder(const void *self);
int64_t reini_preference_run_save_bytes(const void *self);
rein_status reini_preference_run_digest(const void *self, char out[65]);

/* what every method on preferences puts into its descriptor */
/* clang-format off */
#define REINI_PREFERENCE_FUNCTIONS \
    .progress = reini_preference_run_progress, \
    .can_evaluate = reini_preference_run_can_evaluate, \
    .epoch_steps = reini_preference_run_epoch_steps, \
    .save = reini_preference_run_save, \
    .folder = reini_preference_run_folder, \
    .save_bytes = reini_preference_run_save_bytes, \
    .digest = reini_preference_run_digest
/* clang-format on */

#endif
