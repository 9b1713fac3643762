/*
 * exact.h - returns of a policy on a tabular environment, computed instead of sampled.
 */
#ifndef REINI_EXACT_H
#define REINI_EXACT_H

#include "run/evaluate.h"

/* Whether the job can be computed: the environment is a table, nothing is added to observations, and the policy's
 * probabilities are known (greedy, or a table's own) and depend on nothing but the state (no memory). */
bool reini_exact_applies(const reini_eval_job *job);

/* Mean and standard deviation of an episode's return, and its mean length, by carrying the distribution over states
 * forward until every episode has ended or was cut by the time limit. *done is false, and nothing was computed, when
 * that would take longer than playing. */
rein_status reini_exact(const reini_eval_job *job, reini_score *score, bool *done);

#endif
