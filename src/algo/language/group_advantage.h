/*
 * group_advantage.h - how good an answer is beside the others to the same prompt.
 *
 * Answers of a prompt stand one after another, `group` of them. A reward may be NAN (no reward has an opinion of the
 * answer): it counts in no mean and its advantage is 0. In a group whose rewards are all equal every advantage is
 * exactly 0.
 */
#ifndef REINI_GROUP_ADVANTAGE_H
#define REINI_GROUP_ADVANTAGE_H

#include <stdint.h>

/* Divisor of the difference from the group's mean: deviation + 1e-4, of the group or of all answers, or 1. */
enum { REINI_SCALE_GROUP, REINI_SCALE_BATCH, REINI_SCALE_NONE };

typedef struct reini_group_stats {
    double reward; /* mean of all answers */
    double std; /* mean over groups of their deviation (n - 1); with REINI_SCALE_BATCH, that of all answers */
    double level; /* share of answers whose deviation is 0: they teach nothing */
} reini_group_stats;

/* adv [n]; n is a multiple of group. GRPO (Shao et al. 2024, arXiv 2402.03300, 4.1.2). */
reini_group_stats reini_group_advantage(float *adv, const double *reward, int64_t n, int group, int scale);
/* adv_i = reward_i - mean of the others of its group (Ahmadian et al. 2024, arXiv 2402.14740, eq. 8); normalise: then
 * to mean 0 and deviation 1 over all answers. */
reini_group_stats reini_leave_one_out(float *adv, const double *reward, int64_t n, int group, int normalise);

#endif
