/*
 * group_advantage.c - means and deviations of groups, NANs left out.
 */
#include "algo/language/group_advantage.h"
#include <math.h>

#define GROUP_EPSILON 1e-4 /* that of TRL */

typedef struct moments {
    int64_t n;
    double mean, std;
} moments;

/* relative to the first, so that equal numbers have exactly their mean and deviation 0 */
static moments moments_of(const double *x, int64_t n) {
    moments m = {0};
    double origin = 0, sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i]))
            continue;
        origin = m.n++ == 0 ? x[i] : origin;
        sum += x[i] - origin;
    }
    m.mean = m.n > 0 ? origin + sum / (double)m.n : NAN;
    for (int64_t i = 0; i < n; i++)
        square += isnan(x[i]) ? 0 : (x[i] - m.mean) * (x[i] - m.mean);
    m.std = m.n > 1 ? sqrt(square / (double)(m.n - 1)) : 0;
    return m;
}

static reini_group_stats stats_of(const double *reward, int64_t n, int group) {
    reini_group_stats s = {.reward = moments_of(reward, n).mean};
    int64_t groups = n / group;
    for (int64_t g = 0; g < groups; g++) {
        double std = moments_of(reward + g * group, group).std;
        s.std += std / (double)groups;
        s.level += (std <= 1e-8) / (double)groups;
    }
    return s;
}

reini_group_stats reini_group_advantage(float *adv, const double *reward, int64_t n, int group, int scale) {
    reini_group_stats s = stats_of(reward, n, group);
    double all = moments_of(reward, n).std;
    for (int64_t i = 0; i < n; i++) {
        moments m = moments_of(reward + i / group * group, group);
        double divisor = scale == REINI_SCALE_GROUP   ? m.std + GROUP_EPSILON
                         : scale == REINI_SCALE_BATCH ? all + GROUP_EPSILON
                                                      : 1;
        adv[i] = isnan(reward[i]) ? 0 : (float)((reward[i] - m.mean) / divisor);
    }
    if (scale == REINI_SCALE_BATCH) {
        s.std = all;
        s.level = all <= 1e-8;
    }
    return s;
}

/* to mean 0 and deviation 1 over the answers that have a reward */
static void normalise_all(float *adv, const double *reward, int64_t n) {
    double sum = 0, square = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += isnan(reward[i]) ? 0 : (double)adv[i];
        count += !isnan(reward[i]);
    }
    double mean = count > 0 ? sum / (double)count : 0;
    for (int64_t i = 0; i < n; i++)
        square += isnan(reward[i]) ? 0 : ((double)adv[i] - mean) * ((double)adv[i] - mean);
    double std = count > 1 ? sqrt(square / (double)(count - 1)) : 0;
    for (int64_t i = 0; i < n; i++)
        adv[i] = isnan(reward[i]) ? 0 : (float)(((double)adv[i] - mean) / (std + GROUP_EPSILON));
}

reini_group_stats reini_leave_one_out(float *adv, const double *reward, int64_t n, int group, int normalise) {
    for (int64_t i = 0; i < n; i++) {
        moments m = moments_of(reward + i / group * group, group);
        /* R - (sum - R) / (k - 1) = (R - mean) k / (k - 1) */
        adv[i] =
            isnan(reward[i]) || m.n < 2 ? 0 : (float)((reward[i] - m.mean) * (double)m.n / (double)(m.n - 1));
    }
    if (normalise)
        normalise_all(adv, reward, n);
    return stats_of(reward, n, group);
}
