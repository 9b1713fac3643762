/*
 * pair_metrics.h - what is logged of the tokens of answers: entropy, mean logit, how many the model would have written.
 */
#ifndef REINI_PAIR_METRICS_H
#define REINI_PAIR_METRICS_H

#include "algo/language/pair_batch.h"

/* sums over scored tokens */
typedef struct reini_token_sums {
    double entropy, logits, correct, n;
} reini_token_sums;

/* The mean over the rows of the head, by which hidden rows give their mean logit. row: [hidden], and [hidden] scratch. */
void reini_mean_head_row(const reini_lm_weights *w, float *row);
/* Adds the tokens of document d of a batch that was scored. */
void reini_pair_token_sums(const reini_pair_batch *b, const reini_lm_learner *l, const float *mean_row, int d,
                           reini_token_sums *to);

#endif
