/*
 * value_iteration.c - the optimality equation as an assignment.
 *
 *     V(s) <- max over a of  R(s, a) + gamma sum over s' of P(s'|s, a) V(s')
 *
 * until |V - V_before| <= tolerance (1 - gamma) / (2 gamma), when V is within tolerance of V* and so is the
 * value of the greedy policy. R. Bellman: Dynamic Programming (1957); M. Puterman: Markov Decision Processes,
 * sections 6.3 and 6.3.3.
 *
 *     synchronous   all states from the values before the sweep; on all threads, with the same bits for any number
 *     in_place      state after state with the newest values (Gauss-Seidel), upwards and downwards in turn; one thread
 *     prioritized   the state with the largest Bellman error first (prioritized.c); a sweep is S backups; one thread
 *
 * At gamma = 1 values start from 0 and the residual itself has to come below the tolerance. An MDP where some
 * state cannot be made to end is refused, and cycles that earn are looked for after 1, 2, 4, 8, ... sweeps.
 */
#include "algo/planning/planner.h"
#include "algo/planning/prioritized.h"

#define VI_OWN_FIELDS(F, E)                                                                                  \
    E(sweep, "synchronous", "synchronous|in_place|prioritized",                                              \
      "order of backups: all at once, one after the other, largest Bellman error first")
#define VI_FIELDS(F, E) VI_OWN_FIELDS(F, E) REINI_PLAN_FIELDS(F, E)

typedef struct value_iteration_config {
    REIN_FIELDS_STRUCT(VI_FIELDS)
} value_iteration_config;

#define REIN_FIELD_OWNER value_iteration_config
static const rein_field vi_fields[] = {REIN_FIELDS_TABLE(VI_FIELDS)};

enum { SYNCHRONOUS, IN_PLACE, PRIORITIZED };

typedef struct value_iteration {
    reini_plan p;
    value_iteration_config config;
    reini_priorities priorities;
} value_iteration;

static reini_sweep sweep_once(value_iteration *l) {
    reini_plan *p = &l->p;
    if (l->config.sweep == IN_PLACE)
        return reini_sweep_in_place(&p->b, p->table->v, p->sweeps & 1);
    if (l->config.sweep == PRIORITIZED)
        return reini_priorities_sweep(&l->priorities, &p->b, reini_settling_goal(&p->settling), p->table->v);
    reini_sweep sweep = reini_sweep_best(&p->b, p->table->v, p->spare);
    reini_plan_swap(p);
    return sweep;
}

static void vi_iterate(void *self, reini_report *report) {
    value_iteration *l = self;
    reini_plan_begin(&l->p);
    while (reini_plan_more(&l->p))
        reini_plan_note(&l->p, sweep_once(l));
    reini_plan_report(&l->p, report);
}

static rein_status vi_check(const void *config, const reini_context *context) {
    return reini_plan_check("value-iteration", context);
}

static void vi_destroy(void *self) {
    value_iteration *l = self;
    if (l == NULL)
        return;
    reini_priorities_release(&l->priorities);
    reini_plan_release(&l->p);
    reini_free(l);
}

/* the residual is that of the values as they stand */
static rein_status prioritize(value_iteration *l) {
    l->p.settling = reini_settling_make(l->config.gamma, l->config.tolerance, false);
    return reini_priorities_init(&l->priorities, &l->p.b, l->p.table->v);
}

static rein_status vi_fill(value_iteration *l, const reini_context *context) {
    REINI_TRY(reini_plan_init(&l->p, "value-iteration", context, l->config.gamma, l->config.tolerance,
                              REINI_TABLE_ACTION | REINI_TABLE_V, 0));
    if (l->config.sweep == PRIORITIZED)
        REINI_TRY(prioritize(l));
    return reini_check_endings(&l->p.b);
}

static rein_status vi_create(const void *config, const reini_context *context, void **self) {
    value_iteration *l = REINI_NEW(value_iteration);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "value-iteration");
    l->config = *(const value_iteration_config *)config;
    rein_status status = vi_fill(l, context);
    if (status != REIN_OK) {
        vi_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

static rein_status vi_visit(void *self, reini_archive *archive) {
    value_iteration *l = self;
    REINI_TRY(reini_plan_visit(&l->p, archive));
    return l->config.sweep == PRIORITIZED ? reini_priorities_visit(&l->priorities, l->p.b.mdp, archive)
                                          : REIN_OK;
}

const reini_algo reini_algo_value_iteration = {
    .name = "value-iteration",
    .doc = "V <- max_a E[r + gamma V'] until settled: synchronous, in place or by priority",
    .family = REINI_PLANNING,
    .unit = "sweeps",
    .fields = vi_fields,
    .n_fields = sizeof vi_fields / sizeof *vi_fields,
    .config_size = sizeof(value_iteration_config),
    .metrics = reini_plan_metrics,
    .n_metrics = REINI_PLAN_METRICS,
    .key_metric = REINI_PLAN_RESIDUAL,
    .check = vi_check,
    .create = vi_create,
    .destroy = vi_destroy,
    .iterate = vi_iterate,
    .visit = vi_visit,
    .extend = reini_plan_extend,
    .policy = reini_plan_policy,
};
