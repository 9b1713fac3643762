/*
 * statistics.c - summaries of scores.
 *
 * Papers: Agarwal, Schwarzer, Castro, Courville, Bellemare, "Deep Reinforcement Learning at the Edge of the
 * Statistical Precipice", 2021 (arXiv 2108.13264), for the interquartile mean and bootstrap intervals.
 *
 * Deviation: their code trims floor(n / 4) scores at each end (scipy.stats.trim_mean). Here the scores at the
 * borders count in part, so that exactly half of the weight stays for every n; the two agree when 4 divides
 * n.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <rein/rng.h>
#include "base/base.h"
#include "run/statistics.h"

#define SMALL  256        /* scores sorted without asking for memory */
#define STREAM 0x626f6f74 /* of the random numbers that resample */

double reini_mean(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return n > 0 ? sum / n : NAN;
}

/* sum of squared distances from the mean, in a second pass: one pass would cancel digits */
static double squares(const double *x, int n) {
    double mean = reini_mean(x, n), sum = 0;
    for (int i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

double reini_std(const double *x, int n) {
    return n < 2 ? 0 : sqrt(squares(x, n) / (n - 1));
}

double reini_std_population(const double *x, int n) {
    return n < 1 ? 0 : sqrt(squares(x, n) / n);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* a sorted copy, in small[SMALL] when it fits; NULL when out of memory. Release with unsort. */
static double *sorted(const double *x, int n, double *small) {
    double *copy = n <= SMALL ? small : REINI_NEW_ARRAY(double, (size_t)n);
    if (copy) {
        memcpy(copy, x, (size_t)n * sizeof *x);
        qsort(copy, (size_t)n, sizeof *copy, ascending);
    }
    return copy;
}

static void unsort(double *copy, const double *small) {
    if (copy != small)
        reini_free(copy);
}

/* x: sorted. Linear interpolation between the scores at either side of q (n - 1). */
static double quantile_sorted(const double *x, int n, double q) {
    double place = (q > 0 ? q < 1 ? q : 1 : 0) * (n - 1);
    int below = (int)place;
    if (below >= n - 1)
        return x[n - 1];
    return x[below] + (place - below) * (x[below + 1] - x[below]);
}

double reini_quantile(const double *x, int n, double q) {
    double small[SMALL];
    double *copy = n > 0 ? sorted(x, n, small) : NULL;
    if (!copy)
        return NAN;
    double value = quantile_sorted(copy, n, q);
    unsort(copy, small);
    return value;
}

double reini_iqm(const double *x, int n) {
    double small[SMALL];
    double *copy = n > 0 ? sorted(x, n, small) : NULL;
    if (!copy)
        return NAN;
    /* score i covers [i, i + 1] of [0, n]; what lies in [n / 4, 3 n / 4] counts */
    double low = 0.25 * n, high = 0.75 * n, sum = 0;
    for (int i = 0; i < n; i++) {
        double weight = fmin(i + 1, high) - fmax(i, low);
        if (weight > 0)
            sum += weight * copy[i];
    }
    unsort(copy, small);
    return sum / (high - low);
}

reini_interval reini_bootstrap(const double *x, int n, double (*statistic)(const double *, int), double level,
                               int draws, uint64_t seed) {
    reini_interval interval = {NAN, NAN};
    if (n < 1 || draws < 1)
        return interval;
    double *resample = REINI_NEW_ARRAY(double, (size_t)n), *values = REINI_NEW_ARRAY(double, (size_t)draws);
    if (resample && values) {
        rein_rng rng = rein_rng_make(seed, STREAM);
        for (int d = 0; d < draws; d++) {
            for (int i = 0; i < n; i++)
                resample[i] = x[rein_rng_below(&rng, (uint32_t)n)];
            values[d] = statistic(resample, n);
        }
        qsort(values, (size_t)draws, sizeof *values, ascending);
        interval.low = quantile_sorted(values, draws, (1 - level) / 2);
        interval.high = quantile_sorted(values, draws, (1 + level) / 2);
    }
    reini_free(resample);
    reini_free(values);
    return interval;
}
