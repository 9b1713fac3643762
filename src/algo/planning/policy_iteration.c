/*
 * policy_iteration.c - evaluate the policy, make it greedy for its values, until nothing changes.
 *
 *     V_mu = R_mu + gamma P_mu V_mu                                                            (evaluation)
 *     mu(s) <- argmax over a of  R(s, a) + gamma sum over s' of P(s'|s, a) V_mu(s')            (improvement)
 *
 * R. Howard: Dynamic Programming and Markov Processes (1960); M. Puterman: Markov Decision Processes, section
 * 6.4.
 *
 *     direct      evaluation solves the linear equations, up to 2,000 states
 *     iterative   evaluation sweeps the policy's own equation until it is a factor of two within what the tolerance
 *                 asks for; the way for large MDPs
 *
 * An action gives way only to one that is better by more than rounding, so ties cannot make it go round. At
 * gamma = 1 the first policy is one that is sure to end; an improvement that is not has found a cycle that
 * earns for ever.
 */
#include "algo/planning/planner.h"

#define PI_OWN_FIELDS(F, E)                                                                                  \
    E(evaluation, "direct", "direct|iterative",                                                              \
      "values of a policy by a linear solve (to 2,000 states) or by sweeps")
#define PI_FIELDS(F, E) PI_OWN_FIELDS(F, E) REINI_PLAN_FIELDS(F, E)

typedef struct policy_iteration_config {
    REIN_FIELDS_STRUCT(PI_FIELDS)
} policy_iteration_config;

#define REIN_FIELD_OWNER policy_iteration_config
static const rein_field pi_fields[] = {REIN_FIELDS_TABLE(PI_FIELDS)};

enum { DIRECT, ITERATIVE };

typedef struct policy_iteration {
    reini_plan p;
    policy_iteration_config config;
    reini_direct direct;
} policy_iteration;

/* Sweeps of the policy's equation, whose values are known to be finite. What rounding leaves is good enough:
 * whether the tolerance is reached is for the optimality equation to say. */
static rein_status evaluate_by_sweeps(policy_iteration *l, const reini_choice *choice) {
    reini_plan *p = &l->p;
    reini_settling s = reini_settling_make(p->b.gamma, l->config.tolerance / 2, true);
    reini_progress_kind progress = REINI_GOES_ON;
    REINI_TRY(reini_chain_check(&p->b, choice, "the best policy"));
    while (progress == REINI_GOES_ON) {
        progress = reini_settling_note(&s, reini_sweep_policy(&p->b, choice, p->table->v, p->spare));
        reini_plan_swap(p);
    }
    return REIN_OK;
}

static rein_status evaluate(policy_iteration *l) {
    reini_plan *p = &l->p;
    reini_choice choice = {.action = p->action};
    if (l->config.evaluation == DIRECT)
        return reini_direct_solve(&l->direct, &p->b, &choice, "the best policy", p->table->v);
    return evaluate_by_sweeps(l, &choice);
}

/* One round. */
static void pi_iterate(void *self, reini_report *report) {
    policy_iteration *l = self;
    reini_plan *p = &l->p;
    reini_plan_begin(p);
    p->failed = evaluate(l);
    if (p->failed == REIN_OK)
        p->progress =
            reini_settling_improve(&p->settling, &p->b, p->table->v, p->spare, p->action, &p->changed);
    reini_plan_count(p);
    reini_plan_report(p, report);
}

static rein_status pi_check(const void *config, const reini_context *context) {
    return reini_plan_check("policy-iteration", context);
}

static void pi_destroy(void *self) {
    policy_iteration *l = self;
    if (l == NULL)
        return;
    reini_direct_release(&l->direct);
    reini_plan_release(&l->p);
    reini_free(l);
}

static rein_status pi_fill(policy_iteration *l, const reini_context *context) {
    reini_plan *p = &l->p;
    if (l->config.evaluation == DIRECT)
        REINI_TRY(reini_direct_init(&l->direct, context->env->mdp, "evaluation=direct"));
    REINI_TRY(reini_plan_init(p, "policy-iteration", context, l->config.gamma, l->config.tolerance,
                              REINI_TABLE_ACTION | REINI_TABLE_V, 0));
    p->settling = reini_settling_make(l->config.gamma, l->config.tolerance, false);
    return reini_first_policy(&p->b, p->action);
}

static rein_status pi_create(const void *config, const reini_context *context, void **self) {
    policy_iteration *l = REINI_NEW(policy_iteration);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "policy-iteration");
    l->config = *(const policy_iteration_config *)config;
    rein_status status = pi_fill(l, context);
    if (status != REIN_OK) {
        pi_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

static rein_status pi_visit(void *self, reini_archive *archive) {
    return reini_plan_visit(self, archive);
}

const reini_algo reini_algo_policy_iteration = {
    .name = "policy-iteration",
    .doc = "evaluate a policy and make it greedy, in turn, until it is its own greedy policy",
    .family = REINI_PLANNING,
    .unit = "rounds",
    .fields = pi_fields,
    .n_fields = sizeof pi_fields / sizeof *pi_fields,
    .config_size = sizeof(policy_iteration_config),
    .metrics = reini_plan_metrics,
    .n_metrics = REINI_PLAN_METRICS,
    .key_metric = REINI_PLAN_RESIDUAL,
    .check = pi_check,
    .create = pi_create,
    .destroy = pi_destroy,
    .iterate = pi_iterate,
    .visit = pi_visit,
    .extend = reini_plan_extend,
    .policy = reini_plan_policy,
};
