/*
 * careful.c - a safety filter for tests: pulls back when the last element of the observation is large.
 */
#include <rein/wrap.h>

static void check(void *user, const void *obs, void *action) {
    const float *o = obs;
    float *a = action;
    if (o[2] > 4)
        a[0] = -2;
    if (o[2] < -4)
        a[0] = 2;
}

REIN_FILTER_PLUGIN(3, 1, check)
