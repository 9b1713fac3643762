/*
 * policy_evaluation.c - the values of a given policy.
 *
 *     V(s) <- sum over a of pi(a|s) ( R(s, a) + gamma sum over s' of P(s'|s, a) V(s') )
 *
 * by sweeps until |V - V_before| <= tolerance (1 - gamma) / (2 gamma), or as the linear system V = R_pi +
 * gamma P_pi V, up to 2,000 states. R. Sutton, A. Barto: Reinforcement Learning, 2nd ed., section 4.1.
 *
 * The policy is uniform over the actions that exist, or the tables of a policy file. At gamma = 1 a policy
 * that never ends while it earns or pays is refused, with the state where it does.
 */
#include "algo/planning/planner.h"
#include "rl/given.h"

#define PE_OWN_FIELDS(F, E)                                                                                  \
    F(TEXT, policy, "uniform", 0, 0, "the policy to evaluate: uniform, a run directory or a policy file")    \
    E(method, "iterative", "iterative|direct", "by sweeps, or by a linear solve (to 2,000 states)")
#define PE_FIELDS(F, E) PE_OWN_FIELDS(F, E) REINI_PLAN_FIELDS(F, E)

typedef struct policy_evaluation_config {
    REIN_FIELDS_STRUCT(PE_FIELDS)
} policy_evaluation_config;

#define REIN_FIELD_OWNER policy_evaluation_config
static const rein_field pe_fields[] = {REIN_FIELDS_TABLE(PE_FIELDS)};

enum { ITERATIVE, DIRECT };

typedef struct policy_evaluation {
    reini_plan p;
    policy_evaluation_config config;
    reini_direct direct;
} policy_evaluation;

static reini_choice choice_of(const policy_evaluation *l) {
    return (reini_choice){.pi = l->p.table->pi};
}

/* one sweep */
static void sweep_once(policy_evaluation *l) {
    reini_plan *p = &l->p;
    reini_choice choice = choice_of(l);
    reini_sweep sweep = reini_sweep_policy(&p->b, &choice, p->table->v, p->spare);
    reini_plan_swap(p);
    reini_plan_note(p, sweep);
}

/* everything at once; the sweep that measures the residual does not change the values */
static void solve_at_once(policy_evaluation *l) {
    reini_plan *p = &l->p;
    reini_choice choice = choice_of(l);
    p->failed = reini_direct_solve(&l->direct, &p->b, &choice, "this policy", p->table->v);
    reini_plan_note(p, reini_sweep_policy(&p->b, &choice, p->table->v, p->spare));
    if (p->progress == REINI_GOES_ON)
        p->progress = REINI_STALLED;
}

static void pe_iterate(void *self, reini_report *report) {
    policy_evaluation *l = self;
    reini_plan_begin(&l->p);
    while (reini_plan_more(&l->p)) {
        if (l->config.method == DIRECT)
            solve_at_once(l);
        else
            sweep_once(l);
    }
    reini_plan_report(&l->p, report);
}

static rein_status pe_check(const void *config, const reini_context *context) {
    return reini_plan_check("policy-evaluation", context);
}

static void pe_destroy(void *self) {
    policy_evaluation *l = self;
    if (l == NULL)
        return;
    reini_direct_release(&l->direct);
    reini_plan_release(&l->p);
    reini_free(l);
}

/* rows of the given policy over the actions that exist */
static void fill_rows(policy_evaluation *l, const reini_given *given, uint8_t *exists) {
    const rein_mdp *mdp = l->p.b.mdp;
    size_t actions = (size_t)mdp->n_actions;
    for (int32_t s = 0; s < mdp->n_states; s++) {
        for (size_t a = 0; a < actions; a++)
            exists[a] = mdp->terminal[s] || mdp->shape[(size_t)s * actions + a] != 0;
        reini_given_row(given, s, exists, l->p.table->pi + (size_t)s * actions);
    }
}

static rein_status take_policy(policy_evaluation *l) {
    size_t actions = (size_t)l->p.b.mdp->n_actions;
    reini_given given;
    REINI_TRY(reini_given_init(&given, "policy", l->config.policy, l->p.context.env));
    uint8_t *exists = REINI_NEW_ARRAY(uint8_t, actions);
    if (exists != NULL)
        fill_rows(l, &given, exists);
    reini_given_release(&given);
    rein_status status = exists != NULL ? REIN_OK : reini_fail_memory(actions, "a policy's row");
    reini_free(exists);
    return status;
}

static rein_status pe_fill(policy_evaluation *l, const reini_context *context) {
    reini_plan *p = &l->p;
    bool direct = l->config.method == DIRECT;
    if (direct)
        REINI_TRY(reini_direct_init(&l->direct, context->env->mdp, "method=direct"));
    REINI_TRY(reini_plan_init(p, "policy-evaluation", context, l->config.gamma, l->config.tolerance,
                              REINI_TABLE_PI | REINI_TABLE_V, 0));
    p->settling = reini_settling_make(l->config.gamma, l->config.tolerance, !direct);
    REINI_TRY(take_policy(l));
    reini_choice choice = choice_of(l);
    return reini_chain_check(&p->b, &choice, "this policy");
}

static rein_status pe_create(const void *config, const reini_context *context, void **self) {
    policy_evaluation *l = REINI_NEW(policy_evaluation);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "policy-evaluation");
    l->config = *(const policy_evaluation_config *)config;
    rein_status status = pe_fill(l, context);
    if (status != REIN_OK) {
        pe_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

static rein_status pe_visit(void *self, reini_archive *archive) {
    return reini_plan_visit(self, archive);
}

const reini_algo reini_algo_policy_evaluation = {
    .name = "policy-evaluation",
    .doc = "the values of a given policy, by sweeps or by a linear solve",
    .family = REINI_PLANNING,
    .unit = "sweeps",
    .fields = pe_fields,
    .n_fields = sizeof pe_fields / sizeof *pe_fields,
    .config_size = sizeof(policy_evaluation_config),
    .metrics = reini_plan_metrics,
    .n_metrics = REINI_PLAN_METRICS,
    .key_metric = REINI_PLAN_RESIDUAL,
    .check = pe_check,
    .create = pe_create,
    .destroy = pe_destroy,
    .iterate = pe_iterate,
    .visit = pe_visit,
    .extend = reini_plan_extend,
    .policy = reini_plan_policy,
};
