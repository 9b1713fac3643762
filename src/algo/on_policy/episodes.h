/*
 * episodes.h - whole episodes of one policy, for methods that learn from returns.
 *
 * Every environment starts anew and plays until each has finished `per_env` episodes. The first that many of each are
 * kept: taking the first to finish anywhere would favour short ones. Steps made beyond are dropped.
 */
#ifndef REINI_EPISODES_H
#define REINI_EPISODES_H

#include "algo/on_policy/on_policy.h"

typedef struct reini_episode {
    int64_t first, length; /* its steps */
    float total;           /* reward, undiscounted */
} reini_episode;

typedef struct reini_whole {
    reini_on_policy *base;
    int64_t per_env;
    int64_t room;     /* steps of an environment's episodes, at most */
    int64_t capacity; /* N room */
    int64_t count;    /* N per_env episodes, those of an environment side by side */
    reini_episode *episodes;
    int64_t n_steps; /* of all episodes */
    /* one after the other: obs, action, mask, reward (with values of cut episodes), value; and adv and ret, which are
     * the method's */
    reini_rollout steps;
    int64_t *taken;    /* (N) steps kept of each environment */
    int32_t *finished; /* (N) episodes kept of each environment */
} reini_whole;

/* The environment has a time limit. The collector's n_steps is how often it is seen who is through. */
rein_status reini_whole_init(reini_whole *w, reini_on_policy *base, int64_t per_env);
void reini_whole_release(reini_whole *w);
/* False when an environment failed, which report->failed tells. */
bool reini_whole_gather(reini_whole *w, reini_report *report);

#endif
