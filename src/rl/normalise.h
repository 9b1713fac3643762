/*
 * normalise.h - running mean and variance of vectors (Chan, Golub & LeVeque 1979), and what they do to observations
 * and rewards.
 *
 * Statistics change between iterations only, never while experience is gathered or learned from, so that the policy
 * that acted is the policy that learns.
 */
#ifndef REINI_NORMALISE_H
#define REINI_NORMALISE_H

#include "base/archive.h"

typedef struct reini_moments {
    int size;
    double count;
    double *mean, *sum_squares; /* (size): mean, and sum of squared deviations from it */
} reini_moments;

rein_status reini_moments_init(reini_moments *m, int size);
void reini_moments_release(reini_moments *m);
/* Adds n rows of `size` numbers; rows with a NaN or an infinity are left out, as they would spoil all that follow. */
void reini_moments_add(reini_moments *m, const float *x, int64_t n);
double reini_moments_variance(const reini_moments *m, int i); /* population; 1 before any data */
rein_status reini_moments_visit(reini_moments *m, const char *name, reini_archive *archive);

/* Scales rewards by the standard deviation of the discounted return so far (Engstrom et al. 2020, code-level
 * optimisation 2), clipped to +-10. */
typedef struct reini_reward_scale {
    reini_moments moments; /* of the discounted return */
    int n;
    float *running; /* (N) discounted return of the running episode */
    float discount;
} reini_reward_scale;

rein_status reini_reward_scale_init(reini_reward_scale *s, int n, double discount);
void reini_reward_scale_release(reini_reward_scale *s);
/* Takes the rewards (T x N) into the statistics, then scales them in place. done ends the running return. */
void reini_reward_scale_apply(reini_reward_scale *s, float *reward, const uint8_t *done, int64_t T);
rein_status reini_reward_scale_visit(reini_reward_scale *s, reini_archive *archive);

#endif
