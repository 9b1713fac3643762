/*
 * episode_window.c - a window over the episodes finished lately.
 */
#include "rl/episode_window.h"

#include <math.h>

void reini_episodes_add(reini_episodes *e, float episode_return, int32_t length) {
    e->returns[e->count % REINI_WINDOW] = episode_return;
    e->lengths[e->count % REINI_WINDOW] = length;
    e->count++;
}

static int filled(const reini_episodes *e) {
    return e->count < REINI_WINDOW ? (int)e->count : REINI_WINDOW;
}

double reini_episodes_mean_return(const reini_episodes *e) {
    double sum = 0;
    for (int i = 0; i < filled(e); i++)
        sum += (double)e->returns[i];
    return e->count > 0 ? sum / filled(e) : NAN;
}

double reini_episodes_mean_length(const reini_episodes *e) {
    double sum = 0;
    for (int i = 0; i < filled(e); i++)
        sum += e->lengths[i];
    return e->count > 0 ? sum / filled(e) : NAN;
}
