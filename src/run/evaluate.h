/*
 * evaluate.h - playing episodes with a policy, many side by side.
 *
 * Episode k of a seed is one fixed episode: its environment draws from a stream of (seed, k), so do its noise
 * and its sampled actions. Exactly the episodes 0..n-1 are played, each once and to its end. Whatever the
 * number played side by side or of threads, the scores are the same, and short episodes are not counted more
 * often.
 */
#ifndef REINI_EVALUATE_H
#define REINI_EVALUATE_H

#include <signal.h>
#include <rein/env.h>
#include <rein/policy.h>
#include <rein/tensor.h>
#include "base/base.h"

#define REINI_EVAL_ROWS 128 /* most episodes side by side */
/* Steps after which an episode of an environment without a time limit is cut. */
#define REINI_EVAL_HORIZON 100000

/* Sums over the observations that were acted on. */
typedef struct reini_obs_sums {
    int64_t n;
    double *sum, *square; /* (obs size) */
} reini_obs_sums;

typedef struct reini_eval_job {
    const rein_env_type *env; /* opened */
    rein_policy *policy;
    rein_pool *pool; /* NULL = the calling thread */
    int episodes;
    uint64_t seed;
    bool
        sample; /* draw actions instead of taking the most likely; policies that are probabilities always do */
    double obs_noise;         /* standard deviation of what is added to box observations */
    const double *noise_unit; /* (obs size)  obs_noise counts in these; NULL = in ones */
    reini_obs_sums *moments;  /* of the elements of all observations before noise; NULL = not wanted */
    int rows;                 /* side by side, 0 = REINI_EVAL_ROWS */
    const volatile sig_atomic_t *stop; /* may be NULL */
} reini_eval_job;

typedef struct reini_scores {
    double *returns;  /* (episodes) */
    double *lengths;  /* (episodes)  steps */
    double *replaced; /* (episodes)  actions that a safety filter replaced; NULL without one */
    double *costs;    /* (n_costs x episodes)  sums of the environment's costs; NULL without */
    double act_seconds;
    int64_t act_rows;
} reini_scores;

/* The caller releases the scores after success and failure alike. REIN_INTERRUPTED on the stop flag. */
rein_status reini_play(const reini_eval_job *job, reini_scores *scores);
void reini_scores_release(reini_scores *scores);

/* What a policy is worth: computed exactly where it can be, else over job->episodes played ones. */
typedef struct reini_score {
    double mean, std; /* of an episode's return */
    double length;
    bool exact; /* no episodes were played */
} reini_score;
rein_status reini_score_policy(const reini_eval_job *job, reini_score *score);

/* rein_policy_sha256, which shows want of memory as a digest of zeros. */
rein_status reini_policy_digest(const rein_policy *policy, char out[65]);
/* Whether a policy made for one environment fits another: same kinds and sizes of spaces. */
rein_status reini_policy_fits(const rein_policy *policy, const rein_env_type *env);

#endif
