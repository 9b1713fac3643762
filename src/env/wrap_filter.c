/*
 * wrap_filter.c - a safety filter between a policy and an environment: bounds, a limit on the rate of change, and a
 * check of the user's, applied to every action before the environment gets it.
 *
 *     a  <- not a number ? last : a
 *     a  <- clip(a, low, high)
 *     a  <- clip(a, last - rate, last + rate)
 *     a  <- check(obs, a), inside the action space
 *     last <- a
 *
 * An action that comes out other than it went in is counted, for the type as a whole (training) and for the episode
 * of each environment (evaluation). The observation that a check sees is the inner environment's.
 *
 * With a limit on the rate the last action is part of the state, and no observation shows it: the task is a little
 * less than a Markov decision process, as it is for the machine that the limit protects.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include "env/wrap.h"

/* of all environments of a type; beside the model, which its functions get as const */
typedef struct tally {
    atomic_llong actions, replaced;
    atomic_bool fault; /* the check gave an action that the space does not have */
} tally;

typedef struct filter {
    reini_wrap wrap;
    rein_filter_check *check;
    void *user;
    tally *tally;
    size_t act_bytes, obs_bytes;
    float *low, *high, *rate; /* (act size) each; +-INFINITY = none; NULL for discrete actions */
    float *rest;              /* (act size)  the action nearest 0; NULL for discrete actions */
} filter;

/* own bytes of an environment; after it: the last action, the action under way, the observation for the check */
typedef struct memory {
    int32_t replaced; /* in the episode so far */
    int32_t ended;    /* in the episode before */
    int64_t unused;
} memory;

static size_t padded(size_t bytes) {
    return (bytes + 15) & ~(size_t)15;
}

static void *last_of(const filter *f, memory *m) {
    return m + 1;
}

static void *action_of(const filter *f, memory *m) {
    return (unsigned char *)(m + 1) + padded(f->act_bytes);
}

static void *obs_of(const filter *f, memory *m) {
    return (unsigned char *)(m + 1) + 2 * padded(f->act_bytes);
}

/* ---- one action ---------------------------------------------------------------------------------------- */

static float clip(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

static void limit(const filter *f, const float *last, float *a) {
    for (int32_t k = 0; k < f->wrap.inner.act.size; k++) {
        float x = isnan(a[k]) ? last[k] : a[k];
        x = clip(x, f->low[k], f->high[k]);
        a[k] = clip(x, last[k] - f->rate[k], last[k] + f->rate[k]);
    }
}

/* brings an action into its space; false when there is no way */
static bool fit(const rein_space *space, void *action) {
    if (space->kind != REIN_SPACE_BOX) {
        const int32_t *part = action;
        for (int32_t k = 0; k < space->size; k++)
            if (part[k] < 0 || part[k] >= space->n[k])
                return false;
        return true;
    }
    float *x = action;
    for (int32_t k = 0; k < space->size; k++) {
        x[k] = clip(x[k], space->low ? space->low[k] : -INFINITY, space->high ? space->high[k] : INFINITY);
        if (!isfinite(x[k]))
            return false;
    }
    return true;
}

/* the user's word on an action; one that the space does not have is dropped and remembered */
static void ask(const filter *f, const void *state, memory *m, void *action, const void *limited) {
    void *obs = obs_of(f, m);
    f->wrap.inner.observe(f->wrap.inner.model, reini_wrap_inner(&f->wrap, state), obs);
    f->check(f->user, obs, action);
    if (fit(&f->wrap.inner.act, action))
        return;
    memcpy(action, limited, f->act_bytes);
    atomic_store_explicit(&f->tally->fault, true, memory_order_relaxed);
}

static rein_step filter_step(const void *model, void *state, const void *given, rein_rng *rng) {
    const filter *f = model;
    memory *m = reini_wrap_own(&f->wrap, state);
    void *action = action_of(f, m), *last = last_of(f, m);
    memcpy(action, given, f->act_bytes);
    if (f->rate)
        limit(f, last, action);
    memcpy(last, action, f->act_bytes);
    if (f->check) {
        ask(f, state, m, action, last);
        memcpy(last, action, f->act_bytes);
    }
    bool replaced = memcmp(action, given, f->act_bytes) != 0;
    m->replaced += replaced;
    atomic_fetch_add_explicit(&f->tally->actions, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&f->tally->replaced, replaced, memory_order_relaxed);
    return f->wrap.inner.step(f->wrap.inner.model, reini_wrap_inner(&f->wrap, state), action, rng);
}

static void filter_reset(const void *model, void *state, rein_rng *rng) {
    const filter *f = model;
    memory *m = reini_wrap_own(&f->wrap, state);
    m->ended = m->replaced;
    m->replaced = 0;
    if (f->rest)
        memcpy(last_of(f, m), f->rest, f->act_bytes);
    f->wrap.inner.reset(f->wrap.inner.model, reini_wrap_inner(&f->wrap, state), rng);
}

/* ---- what it did --------------------------------------------------------------------------------------- */

/* the outermost filter of a chain of wrappers, and its state; NULL without one */
static const filter *find(const rein_env_type *type, const void **state) {
    for (const reini_wrap *w; (w = reini_wrap_of(type)) != NULL; type = &w->inner) {
        if (type->step == filter_step)
            return (const filter *)w;
        if (*state)
            *state = reini_wrap_inner(w, *state);
    }
    return NULL;
}

bool rein_filter_count(const rein_env_type *env, int64_t *actions, int64_t *replaced) {
    const void *none = NULL;
    const filter *f = find(env, &none);
    *actions = f ? atomic_load_explicit(&f->tally->actions, memory_order_relaxed) : 0;
    *replaced = f ? atomic_load_explicit(&f->tally->replaced, memory_order_relaxed) : 0;
    return f != NULL;
}

int32_t rein_filter_episode(const rein_env_type *env, const void *state) {
    const filter *f = find(env, &state);
    return f ? ((const memory *)reini_wrap_own(&f->wrap, state))->ended : -1;
}

rein_status reini_filter_fault(const rein_env_type *type) {
    const void *none = NULL;
    const filter *f = find(type, &none);
    char space[128];
    if (!f || !atomic_load_explicit(&f->tally->fault, memory_order_relaxed))
        return REIN_OK;
    rein_space_print(&type->act, space, sizeof space);
    return reini_fail(REIN_DIVERGED,
                      "the safety filter replaced an action on %s by one that is not in %s: the fault is the "
                      "filter's",
                      type->id, space);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static void release(void *model) {
    filter *f = model;
    reini_free(f->tally);
    reini_free(f->low);
    reini_free(f->high);
    reini_free(f->rate);
    reini_free(f->rest);
}

static rein_status check_filter(const rein_env_type *env, const rein_filter *from) {
    bool limits = from->low || from->high || from->rate;
    char space[128];
    rein_space_print(&env->act, space, sizeof space);
    if (limits && env->act.kind != REIN_SPACE_BOX)
        return reini_fail(
            REIN_USAGE,
            "safety filter: bounds and a rate are for box actions, and those of %s are %s; a check "
            "(safety_filter) can replace them",
            env->id, space);
    for (int32_t k = 0; limits && k < env->act.size; k++) {
        double low = from->low ? (double)from->low[k] : -INFINITY;
        double high = from->high ? (double)from->high[k] : INFINITY;
        double least = env->act.low ? (double)env->act.low[k] : -INFINITY;
        double most = env->act.high ? (double)env->act.high[k] : INFINITY;
        if (!(low <= high) || low > most || high < least)
            return reini_fail(REIN_USAGE,
                              "safety filter: no action of %s (%s) has part %d between action_low %g and "
                              "action_high %g",
                              env->id, space, (int)k, low, high);
        if (from->rate && !(from->rate[k] > 0))
            return reini_fail(REIN_USAGE,
                              "safety filter: action_rate is %g for part %d, expected more than 0",
                              (double)from->rate[k], (int)k);
    }
    return REIN_OK;
}

/* a copy of `from`, or `fill` for each part */
static float *copied(const float *from, float fill, int32_t n) {
    float *to = REINI_NEW_ARRAY(float, (size_t)n);
    for (int32_t k = 0; to && k < n; k++)
        to[k] = from ? from[k] : fill;
    return to;
}

/* Bounds and rate in full, so that one loop does all. They are set even where only a check is wanted, for the numbers
 * that are not numbers. */
static bool make_limits(filter *f, const rein_filter *from, const rein_space *act) {
    if (act->kind != REIN_SPACE_BOX)
        return true;
    f->low = copied(from->low, -INFINITY, act->size);
    f->high = copied(from->high, INFINITY, act->size);
    f->rate = copied(from->rate, INFINITY, act->size);
    f->rest = copied(NULL, 0, act->size);
    if (!f->low || !f->high || !f->rate || !f->rest)
        return false;
    for (int32_t k = 0; k < act->size; k++) {
        if (act->low)
            f->low[k] = fmaxf(f->low[k], act->low[k]);
        if (act->high)
            f->high[k] = fminf(f->high[k], act->high[k]);
        f->rest[k] = clip(0, f->low[k], f->high[k]);
    }
    return true;
}

rein_status rein_env_filter(rein_env_type *env, const rein_filter *from) {
    REINI_TRY(check_filter(env, from));
    filter *f = REINI_NEW(filter);
    if (!f)
        return reini_fail_memory(sizeof *f, "a safety filter");
    f->check = from->check;
    f->user = from->user;
    f->act_bytes = rein_space_bytes(&env->act);
    f->obs_bytes = from->check ? rein_space_bytes(&env->obs) : 0;
    f->tally = REINI_NEW(tally);
    if (!f->tally || !make_limits(f, from, &env->act)) {
        release(f);
        reini_free(f);
        return reini_fail_memory(sizeof *f, "a safety filter");
    }
    size_t own = sizeof(memory) + 2 * padded(f->act_bytes) + padded(f->obs_bytes);
    reini_wrap_begin(env, &f->wrap, own);
    f->wrap.release = release;
    env->reset = filter_reset;
    env->step = filter_step;
    return REIN_OK;
}
