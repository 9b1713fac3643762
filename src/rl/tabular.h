/*
 * tabular.h - what tabular learners share: one environment that is stepped, the table that is learned, step sizes,
 * and the accounts of episodes.
 *
 * A learner embeds a reini_tabular as its first member, `t`, and its iterate is the loop of the book:
 *
 *     reini_tabular_begin(t);
 *     while (reini_tabular_more(t)) {
 *         reini_transition x = reini_tabular_step(t, reini_tabular_choose(t));
 *         learn from x
 *         if (x.ended)
 *             reini_tabular_reset(t);
 *     }
 *
 * After a step, t->state and t->mask are those of x.next, also when the episode ended; reini_tabular_reset starts the
 * next episode. What follows is worth 0 when x.terminated, and as much as ever when the episode was only cut.
 *
 * States and actions are numbered by rein_space_index. An entry is an index into a table: s of one with a number for
 * each state, s x A + a of one with a number for each pair.
 */
#ifndef REINI_TABULAR_H
#define REINI_TABULAR_H

#include "rl/explore.h"
#include "rl/rollout.h"
#include "rl/table_policy.h"

/* Settings of every tabular learner. */
#define REINI_TABULAR_FIELDS(F, E)                                                                           \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(COUNT, episodes, "0", 0, 1e15, "episodes to learn for, 0 = as many as fit the steps")                  \
    F(COUNT, n_steps, "0", 0, 1e15,                                                                          \
      "steps of an iteration (a row of metrics.csv), 0 = a 200th of the run, at least 2000")                 \
    F(COUNT, n_episodes, "0", 0, 1e15, "episodes of an iteration, 0 = n_steps decides")

typedef struct reini_tabular_config {
    REIN_FIELDS_STRUCT(REINI_TABULAR_FIELDS)
} reini_tabular_config;

typedef struct reini_tabular_opts {
    const char *algo;
    const rein_env_type *env; /* opened */
    uint64_t seed;
    int64_t total_steps;
    reini_tabular_config config;
    int parts;                           /* REINI_TABLE_* of the policy */
    const rein_schedule *learning_rate;  /* must outlive the learner; NULL = none */
    const reini_explore_config *explore; /* the same */
    bool average; /* step size 1 / (updates of the entry so far) in place of learning_rate */
} reini_tabular_opts;

/* One step of the environment. */
typedef struct reini_transition {
    int32_t s, a, next;
    double r;
    bool terminated; /* the process ended: nothing follows */
    bool ended;      /* terminated, or cut */
} reini_transition;

typedef struct reini_tabular {
    reini_tabular_opts opts;
    reini_table_policy *policy; /* what is learned */
    int32_t S, A;
    double gamma;
    double rate;           /* learning rate now */
    reini_explore explore; /* now */
    int64_t *visits;       /* updates of each entry; NULL unless `average` */

    /* the environment */
    const rein_env_type *env;
    void *world;           /* its state, or the handle of env->create */
    rein_rng env_rng, rng; /* the environment's stream, and that of choices */
    int32_t state;         /* where it is */
    int32_t item[REIN_SPACE_PARTS];
    uint8_t *mask;           /* (A) actions allowed in `state`; NULL = all, always */
    uint8_t *parts;          /* (logits) the environment's own mask of multi-discrete actions */
    int64_t horizon, length; /* time limit, INT64_MAX = none; steps of this episode */
    double ep_return;

    int64_t steps; /* since the start */
    reini_episodes episodes;
    int64_t skipped, skipped_in_a_row; /* updates that were not finite */

    /* this iteration */
    int64_t pause; /* step at which reini_tabular_more looks up */
    int64_t last_step, last_episode;
    double change; /* sum of |change| of entries */
    int64_t updates;
    double started; /* seconds */
} reini_tabular;

rein_status reini_tabular_init(reini_tabular *t, const reini_tabular_opts *opts);
void reini_tabular_release(reini_tabular *t);
/* Everything of it, the table included. */
rein_status reini_tabular_visit(reini_tabular *t, reini_archive *archive);

/* ---- the loop ------------------------------------------------------------------------------------------------- */

void reini_tabular_begin(reini_tabular *t);
/* Moves the schedules; false when the iteration is over. */
bool reini_tabular_turn(reini_tabular *t);
/* Books the episode that ended and starts the next. */
void reini_tabular_reset(reini_tabular *t);
/* Number of the state that the environment shows; writes the mask. */
int32_t reini_tabular_look(reini_tabular *t);
static inline int32_t reini_tabular_observe(reini_tabular *t) {
    int32_t obs[REIN_SPACE_PARTS];
    if (t->mask != NULL || t->env->obs.size > 1)
        return reini_tabular_look(t);
    t->env->observe(t->env->model, t->world, obs);
    REINI_ASSERT(obs[0] >= 0 && obs[0] < t->S);
    return obs[0];
}
/* The episodes asked for are made. */
static inline bool reini_tabular_done(const reini_tabular *t) {
    return t->opts.config.episodes > 0 && t->episodes.count >= t->opts.config.episodes;
}

static inline bool reini_tabular_more(reini_tabular *t) {
    return t->steps < t->pause || reini_tabular_turn(t);
}

static inline size_t reini_entry(const reini_tabular *t, int32_t s, int32_t a) {
    return (size_t)s * (size_t)t->A + (size_t)a;
}

static inline double *reini_q_row(const reini_tabular *t, int32_t s) {
    return t->policy->q + (size_t)s * (size_t)t->A;
}

/* An action for t->state by the table's values. */
static inline int32_t reini_tabular_choose(reini_tabular *t) {
    return reini_explore_choose(&t->explore, reini_q_row(t, t->state), t->A, t->mask, &t->rng);
}

static inline reini_transition reini_tabular_step(reini_tabular *t, int32_t a) {
    reini_transition x = {.s = t->state, .a = a};
    if (t->env->act.size == 1)
        t->item[0] = a;
    else
        rein_space_item(&t->env->act, a, t->item);
    rein_step step = t->env->step(t->env->model, t->world, t->item, &t->env_rng);
    t->steps++;
    t->length++;
    t->ep_return += (double)step.reward;
    x.r = (double)step.reward;
    x.next = t->state = reini_tabular_observe(t);
    x.terminated = step.terminated;
    x.ended = step.terminated || step.truncated || t->length >= t->horizon;
    return x;
}

/* ---- learning ------------------------------------------------------------------------------------------------- */

/* Step size of the next update of an entry. */
static inline double reini_tabular_rate(reini_tabular *t, size_t entry) {
    return t->visits == NULL ? t->rate : 1 / (double)++t->visits[entry];
}

/* Adds a change to a table's entry; what is not finite is left out and counted. */
static inline void reini_tabular_add(reini_tabular *t, double *entry, double change) {
    t->updates++;
    if (!(fabs(change) < INFINITY)) {
        t->skipped++;
        t->skipped_in_a_row++;
        return;
    }
    t->skipped_in_a_row = 0;
    t->change += fabs(change);
    *entry += change;
}

/* table[entry] += rate (target - table[entry]) */
static inline void reini_tabular_learn(reini_tabular *t, double *table, size_t entry, double target) {
    reini_tabular_add(t, &table[entry], reini_tabular_rate(t, entry) * (target - table[entry]));
}

#endif
