/*
 * episode_window.h - episodes finished lately, for reports.
 */
#ifndef REINI_EPISODE_WINDOW_H
#define REINI_EPISODE_WINDOW_H

#include <stdint.h>

enum { REINI_WINDOW = 100 };
typedef struct reini_episodes {
    int64_t count; /* since the start */
    float returns[REINI_WINDOW];
    int32_t lengths[REINI_WINDOW];
} reini_episodes;

void reini_episodes_add(reini_episodes *e, float episode_return, int32_t length);
double reini_episodes_mean_return(const reini_episodes *e); /* over the last 100; NAN before the first */
double reini_episodes_mean_length(const reini_episodes *e);

#endif
