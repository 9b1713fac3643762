/*
 * per.h - prioritised experience replay, proportional variant (T. Schaul, J. Quan, I. Antonoglou, D. Silver:
 * Prioritized Experience Replay, arXiv 1511.05952).
 *
 *     p_i = |delta_i| + 1e-6,   P(i) = p_i^alpha / sum_k p_k^alpha                                       (eq. 1)
 *     w_i = (1/N 1/P(i))^beta, divided by the largest of the batch                                      (sec. 3.4)
 *
 * A batch takes one draw from each of its n equal parts of the total. New transitions come in with the largest
 * p^alpha so far, so that each is seen soon. The paper leaves open over what the largest weight is taken; here it is
 * the batch, which cancels N and the total: w_i = (min_k p_k^alpha / p_i^alpha)^beta.
 */
#ifndef REINI_PER_H
#define REINI_PER_H

#include "rl/replay.h"
#include "rl/sum_tree.h"

typedef struct reini_per {
    reini_sum_tree tree; /* p^alpha of the replay's transitions, 0 for those that cannot be drawn */
    double alpha;
    double largest;           /* p^alpha of new transitions */
    int64_t added, forgotten; /* of the replay, as far as followed */
} reini_per;

rein_status reini_per_init(reini_per *p, const reini_replay *replay, double alpha);
void reini_per_release(reini_per *p);
/* Takes over what was added and forgotten since; before anything is drawn. At most one capacity may have been added. */
void reini_per_follow(reini_per *p, const reini_replay *replay);
/* n transitions into index, their importance weights in (0, 1] into weight; by the words of Philox (seed, draw). */
void reini_per_sample(const reini_per *p, int64_t n, double beta, uint64_t seed, uint64_t draw,
                      int32_t *index, float *weight);
/* The errors of n transitions just learned from; of one drawn twice the last counts. */
void reini_per_update(reini_per *p, int64_t n, const int32_t *index, const float *error);
rein_status reini_per_visit(reini_per *p, reini_archive *archive);

#endif
