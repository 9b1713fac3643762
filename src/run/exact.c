/*
 * exact.c - returns of a policy on a tabular environment, computed instead of sampled.
 *
 * Carried for every state s the episode may be in after t steps, with G the undiscounted return so far:
 *
 *     m(s) = P(in s)    f(s) = E[G; in s]    g(s) = E[G^2; in s]
 *
 * An outcome of probability p (policy and environment together) and reward r sends on p m, p (f + r m) and
 * p (g + 2 r f + r^2 m). What enters a terminal state, or is still on its way at the time limit, is added up; mean and
 * deviation of an episode's return follow. Only states with mass are visited.
 */
#include <math.h>
#include <string.h>
#include "run/exact.h"
#include "mdp/mdp.h"
#include "rl/table_policy.h"

/* mass that may be left out of an episode without a time limit */
#define MASS_LEFT 1e-13
#define ROUNDING  1e-12
/* outcomes looked at before playing episodes is the better way */
#define WORK_MAX ((int64_t)2000000000)

typedef struct moments {
    double m, f, g;
} moments;

typedef struct front {
    moments *at;    /* (S) */
    int32_t *state; /* (n) those with mass, in the order they were reached */
    int32_t n;
} front;

typedef struct walk {
    const reini_eval_job *job;
    const rein_mdp *mdp;
    const reini_table_policy *table; /* whose pi decides; NULL = actions */
    front now, next;
    int32_t *obs, *action; /* (S x obs size), (S x action size): of the states of `now`, in its order */
    uint8_t *mask;         /* (S x logits) or NULL */
    unsigned char *env_state;
    moments ended; /* of all episodes that ended */
    double length; /* E[steps; ended] */
    int64_t work;
} walk;

bool reini_exact_applies(const reini_eval_job *job) {
    const reini_table_policy *table = reini_table_of(job->policy);
    bool known = !job->sample || (table && (table->pi || table->action || table->q));
    /* a policy with a memory does not act on the state alone */
    return job->env->mdp && job->obs_noise == 0 && known && rein_policy_state_size(job->policy) == 0;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static void walk_release(walk *w) {
    void *owned[] = {w->now.at, w->now.state, w->next.at, w->next.state,
                     w->obs,    w->action,    w->mask,    w->env_state};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        reini_free(owned[i]);
}

static bool front_init(front *f, size_t n) {
    f->at = REINI_NEW_ARRAY(moments, n);
    f->state = REINI_NEW_ARRAY(int32_t, n);
    return f->at && f->state;
}

static rein_status walk_init(walk *w, const reini_eval_job *job) {
    const rein_env_type *env = job->env;
    size_t n = (size_t)rein_mdp_states(env->mdp);
    *w = (walk){.job = job, .mdp = env->mdp, .table = reini_table_of(job->policy)};
    if (w->table && (!w->table->pi || w->table->action))
        w->table = NULL;
    w->obs = REINI_NEW_ARRAY(int32_t, n * (size_t)env->obs.size);
    w->action = REINI_NEW_ARRAY(int32_t, n * (size_t)env->act.size);
    w->env_state = reini_new(env->state_size);
    if (env->mask)
        w->mask = reini_new_array(n, (size_t)rein_space_logits(&env->act));
    bool ok = front_init(&w->now, n) && front_init(&w->next, n) && w->obs && w->action && w->env_state &&
              (!env->mask || w->mask);
    return ok ? REIN_OK : reini_fail_memory(n * 64, "the exact evaluation");
}

/* ---- one step ------------------------------------------------------------------------------------------ */

/* the policy's actions in the states of `now`, t steps after the start */
static void decide(walk *w, int64_t t) {
    const rein_env_type *env = w->job->env;
    size_t logits = (size_t)rein_space_logits(&env->act);
    for (int32_t i = 0; i < w->now.n; i++) {
        rein_space_item(&env->obs, w->now.state[i], w->obs + (size_t)i * (size_t)env->obs.size);
        if (!w->mask)
            continue;
        memcpy(w->env_state, &w->now.state[i], sizeof(int32_t));
        env->mask(env->model, w->env_state, w->mask + (size_t)i * logits);
    }
    rein_policy_act_at(w->job->policy, t, w->now.n, w->obs, w->mask, NULL, w->action);
}

static moments moved(moments x, double p, double r) {
    return (moments){p * x.m, p * (x.f + r * x.m), p * (x.g + r * (2 * x.f + r * x.m))};
}

static void add(moments *to, moments x) {
    to->m += x.m;
    to->f += x.f;
    to->g += x.g;
}

static void end(walk *w, moments x, int64_t steps) {
    add(&w->ended, x);
    w->length += (double)steps * x.m;
}

/* the outcomes of one action, taken with probability `weight` */
static void spread(walk *w, moments x, int32_t s, int32_t a, double weight, int64_t t) {
    reini_row row = reini_mdp_row(w->mdp, s, a);
    for (int32_t k = 0; k < row.count; k++) {
        int32_t to = row.next[k];
        moments y = moved(x, weight * row.p[k], row.r ? row.r[k] : row.reward);
        if (w->mdp->terminal[to] && reini_mdp_terminal_value(w->mdp, to) == 0) {
            end(w, y, t + 1);
            continue;
        }
        if (w->next.at[to].m == 0)
            w->next.state[w->next.n++] = to;
        add(&w->next.at[to], y);
    }
    w->work += row.count;
}

static void leave(walk *w, int32_t i, int64_t t) {
    int32_t s = w->now.state[i], actions = w->mdp->n_actions;
    moments x = w->now.at[s];
    w->now.at[s] = (moments){0};
    if (w->mdp->terminal[s]) /* its value is what the last step earns */
        end(w, moved(x, 1, reini_mdp_terminal_value(w->mdp, s)), t + 1);
    else if (!w->table)
        spread(w, x, s,
               rein_space_index(&w->job->env->act, w->action + (size_t)i * (size_t)w->job->env->act.size), 1,
               t);
    else
        for (int32_t a = 0; a < actions; a++)
            if (w->table->pi[(size_t)s * (size_t)actions + (size_t)a] > 0)
                spread(w, x, s, a, w->table->pi[(size_t)s * (size_t)actions + (size_t)a], t);
}

static void step(walk *w, int64_t t) {
    if (!w->table)
        decide(w, t);
    for (int32_t i = 0; i < w->now.n; i++)
        leave(w, i, t);
    front swapped = w->now;
    w->now = w->next;
    w->next = swapped;
    w->next.n = 0;
}

/* ---- the whole episode --------------------------------------------------------------------------------- */

static void start(walk *w) {
    for (int32_t i = 0; i < w->mdp->n_starts; i++) {
        int32_t s = w->mdp->starts[i].state;
        double p = w->mdp->starts[i].p;
        if (p == 0)
            continue;
        if (w->now.at[s].m == 0)
            w->now.state[w->now.n++] = s;
        add(&w->now.at[s], (moments){p, 0, 0});
    }
}

static void cut(walk *w, int64_t t) {
    for (int32_t i = 0; i < w->now.n; i++)
        end(w, w->now.at[w->now.state[i]], t);
}

static rein_status run(walk *w, bool *done) {
    int64_t limit = w->job->env->horizon > 0 ? w->job->env->horizon : REINI_EVAL_HORIZON, t = 0;
    start(w);
    for (; t < limit && w->now.n > 0 && 1 - w->ended.m > MASS_LEFT; t++) {
        if (w->job->stop && *w->job->stop)
            return reini_fail(REIN_INTERRUPTED, "stopped during an exact evaluation");
        if (w->work > WORK_MAX)
            return REIN_OK;
        step(w, t);
    }
    cut(w, t);
    *done = true;
    return REIN_OK;
}

rein_status reini_exact(const reini_eval_job *job, reini_score *score, bool *done) {
    walk w;
    *done = false;
    rein_status status = walk_init(&w, job);
    if (status == REIN_OK)
        status = run(&w, done);
    if (*done) {
        double mean = w.ended.f / w.ended.m, square = w.ended.g / w.ended.m;
        double variance = square - mean * mean;
        /* what is left of equal numbers by rounding is no deviation */
        variance = variance > ROUNDING * square ? variance : 0;
        *score =
            (reini_score){.mean = mean, .std = sqrt(variance), .length = w.length / w.ended.m, .exact = true};
    }
    walk_release(&w);
    return status;
}
