/*
 * episodes.c - cutting rollouts into whole episodes.
 */
#include "algo/on_policy/episodes.h"

#include <string.h>

/* memory that stays untouched costs nothing */
rein_status reini_whole_init(reini_whole *w, reini_on_policy *base, int64_t per_env) {
    const reini_rollout *r = reini_on_policy_rollout(base);
    reini_rollout *s = &w->steps;
    w->base = base;
    w->per_env = per_env;
    w->room = per_env * base->context.env->horizon;
    w->capacity = r->N * w->room;
    w->count = r->N * per_env;
    s->obs_size = r->obs_size;
    s->obs_bytes = r->obs_bytes;
    s->act_size = r->act_size;
    s->logits = r->logits;
    size_t steps = (size_t)w->capacity;
    bool ok = (s->obs = reini_new_array(steps, s->obs_bytes)) &&
              (s->action = REINI_NEW_ARRAY(float, steps *(size_t)s->act_size)) &&
              (s->reward = REINI_NEW_ARRAY(float, steps)) && (s->value = REINI_NEW_ARRAY(float, steps)) &&
              (s->adv = REINI_NEW_ARRAY(float, steps)) && (s->ret = REINI_NEW_ARRAY(float, steps)) &&
              (w->taken = REINI_NEW_ARRAY(int64_t, (size_t)r->N)) &&
              (w->finished = REINI_NEW_ARRAY(int32_t, (size_t)r->N)) &&
              (w->episodes = REINI_NEW_ARRAY(reini_episode, (size_t)w->count));
    if (ok && r->mask != NULL)
        ok = (s->mask = REINI_NEW_ARRAY(uint8_t, steps * (size_t)s->logits)) != NULL;
    return ok ? REIN_OK
              : reini_fail_memory(steps * (s->obs_bytes + (size_t)(s->act_size + 4) * 4), "whole episodes");
}

void reini_whole_release(reini_whole *w) {
    reini_rollout *s = &w->steps;
    void *arrays[] = {s->obs, s->action, s->mask,  s->reward,   s->value,
                      s->adv, s->ret,    w->taken, w->finished, w->episodes};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        reini_free(arrays[i]);
}

/* While gathering, environment n's steps begin at n room. */
static void end_episode(reini_whole *w, int64_t n, float total) {
    int64_t k = n * w->per_env + w->finished[n], begin = n * w->room, end = begin + w->taken[n];
    if (w->finished[n]++ > 0)
        begin = w->episodes[k - 1].first + w->episodes[k - 1].length;
    w->episodes[k] = (reini_episode){begin, end - begin, total};
}

static void copy_step(reini_rollout *to, int64_t i, const reini_rollout *from, int64_t j) {
    size_t obs = to->obs_bytes, act = (size_t)to->act_size * 4, logits = (size_t)to->logits;
    memcpy((char *)to->obs + (size_t)i * obs, (const char *)from->obs + (size_t)j * obs, obs);
    memcpy((char *)to->action + (size_t)i * act, (const char *)from->action + (size_t)j * act, act);
    if (to->mask != NULL)
        memcpy(to->mask + (size_t)i * logits, from->mask + (size_t)j * logits, logits);
    to->reward[i] = from->reward[j];
    to->value[i] = from->value[j];
}

/* Keeps environment n's steps of the rollout that belong to episodes still wanted. */
static void keep(reini_whole *w, const reini_rollout *r, int64_t n) {
    for (int64_t t = 0; t < r->T && w->finished[n] < w->per_env; t++) {
        int64_t j = t * r->N + n;
        copy_step(&w->steps, n * w->room + w->taken[n]++, r, j);
        if (r->done[j])
            end_episode(w, n, r->ep_return[j]);
    }
}

/* Moves what was kept together, so that steps 0 .. n_steps - 1 are all there is. */
static void compact(reini_whole *w, int64_t N) {
    int64_t k = 0;
    w->n_steps = 0;
    for (int64_t n = 0; n < N; n++) {
        int64_t shift = n * w->room - w->n_steps;
        for (int64_t i = 0; i < w->taken[n] && shift > 0; i++)
            copy_step(&w->steps, w->n_steps + i, &w->steps, n * w->room + i);
        for (int i = 0; i < w->finished[n]; i++)
            w->episodes[k++].first -= shift;
        w->n_steps += w->taken[n];
    }
}

static bool wanting(const reini_whole *w, int64_t N) {
    for (int64_t n = 0; n < N; n++)
        if (w->finished[n] < w->per_env)
            return true;
    return false;
}

bool reini_whole_gather(reini_whole *w, reini_report *report) {
    reini_on_policy *base = w->base;
    const reini_rollout *r = reini_on_policy_rollout(base);
    reini_on_policy_warm_up(base, report);
    reini_collector_restart(base->collector);
    memset(w->taken, 0, (size_t)r->N * sizeof *w->taken);
    memset(w->finished, 0, (size_t)r->N * sizeof *w->finished);
    while (wanting(w, r->N)) {
        if (!reini_on_policy_gather(base, report))
            return false;
        reini_collector_evaluate(base->collector, base->opts.gamma);
        for (int64_t n = 0; n < r->N; n++)
            keep(w, r, n);
        if (base->policy->net.norm_obs == REINI_NORM_RUNNING)
            reini_moments_add(&base->policy->moments, r->obs, r->T * r->N);
        base->env_steps += r->T * r->N;
    }
    compact(w, r->N);
    return true;
}
