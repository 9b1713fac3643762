/*
 * pair_batch.h - a batch of groups of answers through the network: documents packed, log-probabilities of answers as
 * sums, and gradients of sums brought back to tokens.
 *
 *     reini_pair_batch_gather(b, data, order, span, REINI_ALL_ANSWERS);
 *     reini_lm_learner_forward(learner, b->packed, key);
 *     reini_pair_batch_score(b, lm);                          b->sum[d], b->plain[d], ...
 *     ...                                                     b->d_sum[d], b->d_plain[d]
 *     reini_pair_batch_backward(b, learner);
 *
 * With `tail` below 1 (LD-DPO, Liu et al. 2024, arXiv 2409.06411) a sum weighs the tokens beyond the length of the
 * group's shortest answer by it; `plain` never does.
 */
#ifndef REINI_PAIR_BATCH_H
#define REINI_PAIR_BATCH_H

#include "algo/language/lm_course.h"
#include "algo/language/lm_learner.h"
#include "data/preference.h"

enum { REINI_ALL_ANSWERS = -1 };

typedef struct reini_pair_batch {
    reini_packed *packed;
    double tail;
    int groups;
    int64_t *group;    /* [groups] numbers in the data */
    int32_t *first;    /* [groups + 1] documents of each, in the batch */
    int64_t *document; /* [packed->documents] numbers in the data */
    uint8_t *mark;     /* [longest document] scratch */
    /* of scored tokens */
    float *logp, *entropy, *square, *weight;
    int32_t *best;
    /* of documents */
    double *sum, *plain;     /* log-probabilities of the answer */
    double *d_sum, *d_plain; /* gradients with respect to them */
} reini_pair_batch;

/* What `count` groups of the data need, at most. which: an answer of each group, or REINI_ALL_ANSWERS. */
typedef struct reini_pair_room {
    int64_t tokens, documents, groups, longest;
} reini_pair_room;
rein_status reini_pair_room_of(const reini_preference *data, int64_t count, int which, reini_pair_room *room);

/* b: released after success and failure alike. */
rein_status reini_pair_batch_new(reini_pair_batch *b, const reini_pair_room *room);
void reini_pair_batch_release(reini_pair_batch *b);
/* order NULL: the rows as they stand. */
void reini_pair_batch_gather(reini_pair_batch *b, const reini_preference *data, const int32_t *order,
                             reini_lm_span span, int which);
/* After a forward pass: everything of tokens and the sums. */
void reini_pair_batch_score(reini_pair_batch *b, reini_lm *lm);
/* Tokens of document d that are scored. */
int reini_pair_batch_scored(const reini_pair_batch *b, int d);
/* d_sum and d_plain to tokens, and backward through the network. */
void reini_pair_batch_backward(reini_pair_batch *b, reini_lm_learner *l);

#endif
