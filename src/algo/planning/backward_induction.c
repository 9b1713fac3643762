/*
 * backward_induction.c - the best plan for a given number of steps.
 *
 *     V_H(s) = 0,  V_t(s) = max over a of  R(s, a) + gamma sum over s' of P(s'|s, a) V_t+1(s'),  t = H-1 .. 0
 *
 * R. Bellman: Dynamic Programming (1957); M. Puterman: Markov Decision Processes, section 4.5. The best
 * action depends on the time: the policy is a table (H x S), and V is that of t = 0. Terminal states keep
 * their value throughout. One sweep is one step of time; after H of them the result is exact.
 */
#include "algo/planning/planner.h"

#define BI_FIELDS(F, E)                                                                                      \
    F(COUNT, horizon, "0", 0, 1e9, "H: steps to plan for, 0 = the environment's time limit")                 \
    F(REAL, gamma, "1", 0, 1, "discount per step")

typedef struct backward_induction_config {
    REIN_FIELDS_STRUCT(BI_FIELDS)
} backward_induction_config;

#define REIN_FIELD_OWNER backward_induction_config
static const rein_field bi_fields[] = {REIN_FIELDS_TABLE(BI_FIELDS)};

typedef struct backward_induction {
    reini_plan p;
    backward_induction_config config;
    int64_t horizon;
} backward_induction;

static int64_t horizon_of(const backward_induction_config *config, const reini_context *context) {
    return config->horizon > 0 ? config->horizon : context->env->horizon;
}

/* one step back in time */
static void step_back(backward_induction *l) {
    reini_plan *p = &l->p;
    int64_t t = l->horizon - 1 - p->sweeps;
    int32_t *action = p->table->action + t * p->table->n_states;
    reini_improve(&p->b, p->table->v, REINI_AFRESH, action);
    p->settling.residual = reini_sweep_best(&p->b, p->table->v, p->spare).residual;
    reini_plan_swap(p);
    p->changed = 0;
    for (int32_t s = 0; s < p->table->n_states; s++) {
        p->changed += action[s] != p->action[s];
        p->action[s] = action[s];
    }
    reini_plan_count(p);
    if (p->sweeps == l->horizon)
        p->progress = REINI_SETTLED;
}

static void bi_iterate(void *self, reini_report *report) {
    backward_induction *l = self;
    reini_plan_begin(&l->p);
    while (reini_plan_more(&l->p))
        step_back(l);
    reini_plan_report(&l->p, report);
}

static rein_status bi_check(const void *config, const reini_context *context) {
    int64_t horizon = horizon_of(config, context);
    REINI_TRY(reini_plan_check("backward-induction", context));
    if (horizon < 1)
        return reini_fail(REIN_USAGE, "horizon: %s has no time limit; give the number of steps to plan for",
                          context->env->id);
    if (horizon > context->total_steps)
        return reini_fail(REIN_USAGE,
                          "horizon: %lld steps of time take as many sweeps, and --steps allows %lld",
                          (long long)horizon, (long long)context->total_steps);
    return horizon <= INT32_MAX
               ? REIN_OK
               : reini_fail(REIN_USAGE, "horizon: %lld is more than 2^31 - 1", (long long)horizon);
}

static void bi_destroy(void *self) {
    backward_induction *l = self;
    if (l == NULL)
        return;
    reini_plan_release(&l->p);
    reini_free(l);
}

static rein_status bi_fill(backward_induction *l, const reini_context *context) {
    l->horizon = horizon_of(&l->config, context);
    return reini_plan_init(&l->p, "backward-induction", context, l->config.gamma, 0,
                           REINI_TABLE_ACTION | REINI_TABLE_V, (int32_t)l->horizon);
}

static rein_status bi_create(const void *config, const reini_context *context, void **self) {
    backward_induction *l = REINI_NEW(backward_induction);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "backward-induction");
    l->config = *(const backward_induction_config *)config;
    rein_status status = bi_fill(l, context);
    if (status != REIN_OK) {
        bi_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

static rein_status bi_visit(void *self, reini_archive *archive) {
    return reini_plan_visit(self, archive);
}

const reini_algo reini_algo_backward_induction = {
    .name = "backward-induction",
    .doc = "the best plan for a number of steps, from the last step back",
    .family = REINI_PLANNING,
    .unit = "sweeps",
    .fields = bi_fields,
    .n_fields = sizeof bi_fields / sizeof *bi_fields,
    .config_size = sizeof(backward_induction_config),
    .metrics = reini_plan_metrics,
    .n_metrics = REINI_PLAN_METRICS,
    .key_metric = REINI_PLAN_RESIDUAL,
    .check = bi_check,
    .create = bi_create,
    .destroy = bi_destroy,
    .iterate = bi_iterate,
    .visit = bi_visit,
    .extend = reini_plan_extend,
    .policy = reini_plan_policy,
};
