/*
 * plan_rig.h - planners on MDPs made in a test: random tables, an environment around them, a run to the end.
 */
#ifndef PLAN_RIG_H
#define PLAN_RIG_H

#include <math.h>
#include <stdlib.h>
#include <rein/rng.h>
#include "algo/planning/planner.h"
#include "support/settings.h"

/* what a planner looks at of an environment */
static inline rein_env_type rig_env(const rein_mdp *mdp, int32_t horizon) {
    rein_env_type env = {.abi = REIN_ENV_ABI, .id = "Rig-v0", .horizon = horizon, .mdp = mdp};
    env.obs = (rein_space){.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {mdp->n_states}};
    env.act = (rein_space){.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {mdp->n_actions}};
    return env;
}

typedef struct rig_run {
    const reini_algo *algo;
    rein_env_type env;
    void *self;
    reini_report report;
    int64_t iterations;
} rig_run;

/* name: of an algorithm; settings: "gamma=0.9 sweep=in_place". The status of check and create. */
static inline rein_status rig_start(rig_run *run, const rein_mdp *mdp, int32_t horizon, int64_t steps,
                                    rein_pool *pool, const char *name, const char *settings) {
    static _Alignas(16) char config[4096];
    *run = (rig_run){.algo = reini_algo_find(name), .env = rig_env(mdp, horizon)};
    assert_non_null(run->algo);
    assert_true(run->algo->config_size <= sizeof config);
    memset(config, 0, sizeof config);
    settings_set(run->algo->fields, run->algo->n_fields, config, "%s", settings);
    reini_context context = {.env = &run->env, .total_steps = steps, .pool = pool};
    rein_status status = run->algo->check(config, &context);
    return status == REIN_OK ? run->algo->create(config, &context, &run->self) : status;
}

static inline void rig_iterate(rig_run *run) {
    run->report = (reini_report){0};
    run->algo->iterate(run->self, &run->report);
    run->iterations++;
}

/* to the end; what the method reported as a failure */
static inline rein_status rig_finish(rig_run *run) {
    do
        rig_iterate(run);
    while (!run->report.done && run->report.failed == REIN_OK);
    return run->report.failed;
}

static inline reini_table_policy *rig_table(rig_run *run) {
    reini_table_policy *table = reini_table_of(run->algo->policy(run->self));
    assert_non_null(table);
    return table;
}

static inline void rig_end(rig_run *run) {
    run->algo->destroy(run->self);
    run->self = NULL;
}

/* starts, finishes and ends; the status of whichever failed first. V (S), action (S) may be NULL. */
static inline rein_status rig_plan(const rein_mdp *mdp, rein_pool *pool, const char *name,
                                   const char *settings, double *V, int32_t *action) {
    rig_run run;
    rein_status status = rig_start(&run, mdp, 0, 1000000, pool, name, settings);
    if (status != REIN_OK)
        return status;
    status = rig_finish(&run);
    reini_table_policy *table = rig_table(&run);
    for (int32_t s = 0; s < mdp->n_states; s++) {
        if (V != NULL)
            V[s] = table->v[s];
        if (action != NULL)
            action[s] = table->action[s];
    }
    rig_end(&run);
    return status;
}

/* ---- MDPs ---------------------------------------------------------------------------------------------- */

typedef struct rig_random {
    int32_t most_states, most_actions, most_outcomes;
    double ends; /* share of terminal states */
    bool cost;
} rig_random;

/* a row of 1 to `most` outcomes with random probabilities and rewards; rewards are alike in half of the rows
 * */
static inline int rig_row(rein_rng *rng, int32_t states, int most, rein_outcome *out) {
    int n = 1 + (int)rein_rng_below(rng, (uint32_t)most);
    bool alike = rein_rng_below(rng, 2) == 0;
    double sum = 0, reward = rein_rng_uniform64(rng) * 4 - 2;
    for (int k = 0; k < n; k++) {
        out[k].next = (int32_t)rein_rng_below(rng, (uint32_t)states);
        out[k].probability = 0.05 + rein_rng_uniform64(rng);
        out[k].reward = alike ? reward : rein_rng_uniform64(rng) * 4 - 2;
        sum += out[k].probability;
    }
    for (int k = 0; k < n; k++)
        out[k].probability /= sum;
    return n;
}

/* 2 states at least, actions missing here and there, terminal states with values */
static inline rein_mdp *rig_random_mdp(rein_rng *rng, const rig_random *kind) {
    int32_t states = 2 + (int32_t)rein_rng_below(rng, (uint32_t)kind->most_states - 1);
    int32_t actions = 1 + (int32_t)rein_rng_below(rng, (uint32_t)kind->most_actions);
    rein_outcome out[16];
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(states, actions, kind->cost, &mdp));
    for (int32_t s = 0; s < states; s++) {
        if (rein_rng_uniform64(rng) < kind->ends) {
            assert_ok(
                rein_mdp_terminal(mdp, s, rein_rng_below(rng, 2) ? rein_rng_uniform64(rng) * 20 - 10 : 0));
            continue;
        }
        int32_t must = (int32_t)rein_rng_below(rng, (uint32_t)actions); /* an action that is there */
        for (int32_t a = 0; a < actions; a++)
            if (a == must || rein_rng_below(rng, 4) > 0)
                assert_ok(rein_mdp_add(mdp, s, a, rig_row(rng, states, kind->most_outcomes, out), out));
    }
    assert_ok(rein_mdp_finish(mdp));
    return mdp;
}

/* one outcome each: {state, action, next, reward}; n rows in order; terminal: ends with -1 */
typedef struct rig_edge {
    int32_t s, a, next;
    double reward;
} rig_edge;

static inline rein_mdp *rig_graph(int32_t states, int32_t actions, bool cost, const rig_edge *edge, int n,
                                  const int32_t *terminal) {
    rein_mdp *mdp;
    assert_ok(rein_mdp_new(states, actions, cost, &mdp));
    for (int i = 0; i < n; i++)
        assert_ok(
            rein_mdp_add(mdp, edge[i].s, edge[i].a, 1, &(rein_outcome){edge[i].next, 1, edge[i].reward}));
    for (; *terminal >= 0; terminal++)
        assert_ok(rein_mdp_terminal(mdp, *terminal, 0));
    assert_ok(rein_mdp_finish(mdp));
    return mdp;
}
#define RIG_GRAPH(states, actions, cost, edges, terminal)                                                    \
    rig_graph(states, actions, cost, edges, (int)(sizeof(edges) / sizeof *(edges)), terminal)
#define RIG_ENDS(...) ((const int32_t[]){__VA_ARGS__, -1})

/* every way of finding the optimum */
static const char *const rig_planners[][2] = {
    {"value-iteration", "sweep=synchronous"},     {"value-iteration", "sweep=in_place"},
    {"value-iteration", "sweep=prioritized"},     {"policy-iteration", "evaluation=direct"},
    {"policy-iteration", "evaluation=iterative"}, {"modified-policy-iteration", "m=0"},
    {"modified-policy-iteration", "m=7"},
};
enum { RIG_PLANNERS = sizeof rig_planners / sizeof *rig_planners };

#endif
