/*
 * statistics.h - summaries of scores: mean, standard deviation, interquartile mean, bootstrap intervals
 * (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice").
 */
#ifndef REINI_STATISTICS_H
#define REINI_STATISTICS_H

#include <stdint.h>

typedef struct reini_interval {
    double low, high;
} reini_interval;

/* NAN without scores, or when a large set cannot be sorted for want of memory. */
double reini_mean(const double *x, int n);
double reini_std(const double *x, int n); /* n - 1 in the denominator; 0 for n < 2 */
double reini_std_population(const double *x, int n);
double reini_quantile(const double *x, int n, double q); /* linear interpolation, q in [0, 1] */
double reini_iqm(const double *x, int n); /* mean of the middle half, fractional weights at the borders */
/* Percentile bootstrap of a statistic at a confidence level (0.95): `draws` resamples, decided by seed alone. */
reini_interval reini_bootstrap(const double *x, int n, double (*statistic)(const double *, int), double level,
                               int draws, uint64_t seed);
#endif
