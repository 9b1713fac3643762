/*
 * cpo.c - constrained policy optimization.
 *
 * J. Achiam, D. Held, A. Tamar, P. Abbeel: Constrained Policy Optimization, ICML 2017 (arXiv 1705.10528). TRPO's step,
 * and in the same step limits on what an episode may cost on average:
 *
 *     maximise    E[ pi_theta / pi_old A ]                                                               (eq. 10)
 *     subject to  J_i(pi_old) + T E[ pi_theta / pi_old A_i ] <= d_i   for every cost i
 *                 E[ KL(pi_old(.|s) || pi_theta(.|s)) ] <= delta
 *
 * With g and b_i the gradients of the surrogates in reward and costs, H the damped Fisher matrix, c_i = (J_i - d_i) / T
 * and T the mean length of an episode, this becomes (eq. 11)
 *
 *     maximise g'x  subject to  c_i + b_i'x <= 0,  x'H x / 2 <= delta
 *
 *     x = H^-1 (g - sum_i nu_i b_i) / lambda       with the dual's lambda, nu (eq. 12; rl/trust_dual.c)
 *     x = -sqrt(2 delta / s) H^-1 b                where no step in the region keeps the limits (eq. 14)
 *
 *     theta = theta_old + shrink^j x  for the first j = 0, 1, ... that keeps the KL within delta, raises no cost
 *         surrogate above max(0, -c_i), and improves the reward's surrogate (asked for only while all limits are kept)
 *
 * H^-1 g and H^-1 b_i by conjugate gradients. Then the value functions of the reward and of the costs are fitted.
 *
 * Symbols: d cost_limit, delta target_kl, shrink line_search_shrinking_factor.
 *
 * Where this differs:
 *   - from the paper: several costs, with the dual solved over all sets of binding limits; advantages in reward are
 *     normalised, those in costs only centred; no shaping of costs (eq. 15). The paper's J_i are discounted sums; here a
 *     limit is on the plain sum over an episode, as in the authors' later benchmark (Ray et al. 2019), and the advantages
 *     in costs have a discount of their own.
 *   - J_i and T are means over the episodes that ended in the rollout (in the last one that saw any). Before the first
 *     has ended the step is TRPO's.
 */
#include <math.h>
#include <string.h>
#include "algo/on_policy/constraint.h"
#include "algo/on_policy/trust_region.h"
#include "rl/trust_dual.h"

#define CPO_FIELDS(F, E) REINI_COST_FIELDS(F, E) REINI_TRUST_FIELDS(F, E)

typedef struct cpo_config {
    REIN_FIELDS_STRUCT(CPO_FIELDS)
} cpo_config;

#define REIN_FIELD_OWNER cpo_config
static const rein_field cpo_fields[] = {REIN_FIELDS_TABLE(CPO_FIELDS)};

/* metric, name of its column; after those of the trust region */
#define CPO_METRICS(X)                                                                                       \
    X(CASE, "train/case")                                                                                    \
    X(LAMBDA, "train/lambda")                                                                                \
    X(COST_LOSS, "train/cost_loss")                                                                          \
    REINI_COST_METRICS(X)

enum {
    METRICS_BEFORE = REINI_TRUST_LEARNING_RATE,
#define X(name, column) METRIC_##name,
    CPO_METRICS(X)
#undef X
        METRICS
};
static const char *const cpo_metrics[] = {
#define X(name, column) column,
    REINI_TRUST_METRICS(X) CPO_METRICS(X)
#undef X
};

typedef struct cpo {
    reini_trust trust;
    cpo_config config;
    reini_costs costs;
    reini_critic cost_critic;
    double *gain, *loss;              /* (n), (costs x n): H^-1 g, H^-1 b_i */
    double *b;                        /* (costs x n) */
    int limits, at[REIN_COSTS_MAX];   /* costs that have a finite limit */
    double before[REIN_COSTS_MAX];    /* surrogates of the costs at the old policy */
    double allowance[REIN_COSTS_MAX]; /* how far they may rise */
    double excess[REIN_COSTS_MAX];    /* c */
} cpo;

/* ---- the policy's step --------------------------------------------------------------------------------- */

/* what a fraction of the step leads to, with the worst of the cost surrogates beside what it may be */
static reini_trial attempt(void *user, double fraction) {
    cpo *p = user;
    reini_trial found = reini_trust_attempt(&p->trust, fraction);
    const reini_surrogate *judge = &p->trust.judge;
    found.excess = -INFINITY;
    for (int k = 0; k < p->limits; k++) {
        double now = rein_exec_scalar(judge->part.exec, judge->cost[p->at[k]]);
        found.excess = fmax(found.excess, now - p->before[k] - p->allowance[k]);
    }
    return found;
}

/* J_i - d_i in units of the cost surrogates; false before the first episode has ended */
static bool measure_excess(cpo *p) {
    const reini_costs *costs = &p->costs;
    const reini_surrogate *ascent = &p->trust.ascent;
    for (int k = 0; k < p->limits; k++) {
        int i = p->at[k];
        p->excess[k] = (costs->episode[i] - costs->limits.at[i]) / costs->length;
        p->allowance[k] = fmax(-p->excess[k], 0);
        p->before[k] = rein_exec_scalar(ascent->part.exec, ascent->cost[i]);
    }
    return isfinite(costs->length);
}

/* x = H^-1 b; conjugate gradients end at an absolute residual, so they see b with length 1 */
static double invert(cpo *p, double *b, double *x) {
    int64_t n = p->trust.n;
    double norm = sqrt(reini_dot(b, b, n));
    for (int64_t i = 0; norm > 0 && i < n; i++)
        b[i] /= norm;
    double residual = reini_trust_invert(&p->trust, b, x);
    for (int64_t i = 0; norm > 0 && i < n; i++) {
        b[i] *= norm;
        x[i] *= norm;
    }
    return residual;
}

/* H^-1 g, H^-1 b_i and their products; the residual of the former. The problem has no limits before they can be known. */
static double pose(cpo *p, double radius, reini_trust_problem *problem) {
    reini_trust *t = &p->trust;
    int64_t n = t->n;
    double residual = invert(p, t->g, p->gain);
    *problem = (reini_trust_problem){
        .n = measure_excess(p) ? p->limits : 0, .q = reini_dot(t->g, p->gain, n), .radius = radius};
    for (int k = 0; k < problem->n; k++) {
        reini_trust_doubles(p->b + k * n, t->cost_gradient[p->at[k]], n);
        invert(p, p->b + k * n, p->loss + k * n);
        problem->c[k] = p->excess[k];
        problem->r[k] = reini_dot(p->b + k * n, p->gain, n);
    }
    for (int k = 0; k < problem->n; k++)
        for (int j = 0; j <= k; j++)
            problem->s[k][j] = problem->s[j][k] = reini_dot(p->b + k * n, p->loss + j * n, n);
    return residual;
}

static void write_step(cpo *p, const reini_trust_step *step, int limits) {
    reini_trust *t = &p->trust;
    for (int64_t i = 0; i < t->n; i++) {
        t->x[i] = step->gain * p->gain[i];
        for (int k = 0; k < limits; k++)
            t->x[i] -= step->loss[k] * p->loss[k * t->n + i];
    }
}

static void report_step(const cpo *p, const reini_trust_step *step, double *metric) {
    metric[METRIC_CASE] = step->kind;
    metric[METRIC_LAMBDA] = step->lambda;
    for (int i = 0; i < p->costs.limits.n; i++)
        metric[METRIC_COST_0 + 2 * i] = p->costs.episode[i];
    for (int k = 0; k < p->limits; k++)
        metric[METRIC_PRICE_0 + 2 * p->at[k]] = step->nu[k];
}

/* One step of the constrained problem; what is not finite moves nothing. */
static void improve_policy(cpo *p, double radius, double *metric) {
    reini_trust *t = &p->trust;
    reini_trust_problem problem;
    reini_trial now;
    if (!reini_trust_ascend(t, &now, metric))
        return;
    metric[REINI_TRUST_CG_RESIDUAL] = pose(p, radius, &problem);
    reini_trust_step step = reini_trust_solve(&problem);
    report_step(p, &step, metric);
    if (step.kind == REINI_TRUST_STAY || isnan(metric[REINI_TRUST_CG_RESIDUAL]))
        return;
    bool kept = true;
    for (int k = 0; k < problem.n; k++)
        kept = kept && problem.c[k] <= 0;
    write_step(p, &step, problem.n);
    reini_trust_search(t, radius, kept ? now.objective : -INFINITY, attempt, p, metric);
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

/* The algorithm: act, judge, improve within the limits. */
static void cpo_iterate(void *self, reini_report *report) {
    cpo *p = self;
    reini_on_policy *base = &p->trust.base;
    const reini_rollout *r = reini_on_policy_rollout(base);
    double *metric = report->metric;
    if (!reini_on_policy_gather(base, report))
        return;
    reini_on_policy_estimate(base, p->config.gae_lambda);
    reini_costs_estimate(&p->costs);
    reini_trust_prepare(&p->trust);
    improve_policy(p, rein_schedule_at(&p->config.target_kl, reini_on_policy_progress(base)), metric);
    reini_trust_fit(&p->trust, metric);
    metric[METRIC_COST_LOSS] = reini_critic_fit(&p->cost_critic, r->T * r->N, p->config.n_critic_updates,
                                                metric[REINI_TRUST_LEARNING_RATE]);
    reini_on_policy_finish(base, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static reini_trust_config region_of(const cpo_config *from) {
    reini_trust_config copied;
    REINI_COPY_FIELDS(REINI_TRUST_FIELDS)
    return copied;
}

static rein_status cpo_check(const void *config, const reini_context *context) {
    const cpo_config *c = config;
    reini_trust_config region = region_of(c);
    reini_limits limits;
    REINI_TRY(reini_trust_check("cpo", &region, context));
    REINI_TRY(reini_limits_parse(c->cost_limit, context->env, &limits));
    if (limits.n > 0)
        return REIN_OK;
    return context->env->n_costs == 0
               ? reini_fail(REIN_USAGE, "cpo: %s has no costs to limit; trpo and ppo fit", context->env->id)
               : reini_fail(REIN_USAGE,
                            "cost_limit: cpo needs one for each of the %d costs of %s; trpo goes without",
                            context->env->n_costs, context->env->id);
}

static rein_status allocate(cpo *p) {
    size_t n = (size_t)p->trust.n, costs = (size_t)p->costs.limits.n;
    for (int i = 0; i < p->costs.limits.n; i++)
        if (isfinite(p->costs.limits.at[i]))
            p->at[p->limits++] = i;
    p->gain = REINI_NEW_ARRAY(double, n);
    p->loss = REINI_NEW_ARRAY(double, n *costs);
    p->b = REINI_NEW_ARRAY(double, n *costs);
    return p->gain != NULL && p->loss != NULL && p->b != NULL ? REIN_OK
                                                              : reini_fail_memory(n * costs * 16, "CPO");
}

static rein_status cpo_fill(cpo *p, const reini_context *context) {
    reini_trust_config region = region_of(&p->config);
    reini_optim_settings optim = reini_trust_optim(&region);
    reini_costs_opts opts = {.gamma = p->config.cost_gamma,
                             .lambda = p->config.cost_gae_lambda,
                             .seed = context->seed,
                             .pool = context->pool};
    reini_on_policy *base = &p->trust.base;
    REINI_TRY(reini_limits_parse(p->config.cost_limit, context->env, &opts.limits));
    REINI_TRY(reini_trust_init(&p->trust, "cpo", &region, true, context));
    REINI_TRY(reini_costs_init(&p->costs, &opts, base->policy, reini_on_policy_rollout(base)));
    REINI_TRY(allocate(p));
    REINI_TRY(reini_trust_build(&p->trust, &p->costs));
    return reini_critic_init_costs(&p->cost_critic, base, &optim, &p->costs, p->config.batch_size);
}

static void cpo_destroy(void *self) {
    cpo *p = self;
    if (p == NULL)
        return;
    reini_critic_release(&p->cost_critic);
    reini_costs_release(&p->costs);
    reini_trust_release(&p->trust);
    reini_free(p->gain);
    reini_free(p->loss);
    reini_free(p->b);
    reini_free(p);
}

static rein_status cpo_create(const void *config, const reini_context *context, void **self) {
    cpo *p = REINI_NEW(cpo);
    if (p == NULL)
        return reini_fail_memory(sizeof *p, "CPO");
    p->config = *(const cpo_config *)config;
    rein_status status = cpo_fill(p, context);
    if (status != REIN_OK) {
        cpo_destroy(p);
        return status;
    }
    *self = p;
    return REIN_OK;
}

static rein_status cpo_visit(void *self, reini_archive *archive) {
    cpo *p = self;
    REINI_TRY(reini_trust_visit(&p->trust, "cpo.optimizer", archive));
    REINI_TRY(reini_costs_visit(&p->costs, archive));
    return reini_critic_visit(&p->cost_critic, "costs.optimizer", "costs.shuffles", archive);
}

static void cpo_extend(void *self, int64_t total_steps) {
    ((cpo *)self)->trust.base.context.total_steps = total_steps;
}

static rein_policy *cpo_policy(void *self) {
    return &((cpo *)self)->trust.base.policy->base;
}

static int cpo_metrics_of(const void *config, const rein_env_type *env) {
    return METRIC_COST_0 + 2 * env->n_costs;
}

const reini_algo reini_algo_cpo = {
    .name = "cpo",
    .doc = "constrained policy optimization: TRPO's step with limits on what episodes cost",
    .family = REINI_ON_POLICY,
    .fields = cpo_fields,
    .n_fields = sizeof cpo_fields / sizeof *cpo_fields,
    .config_size = sizeof(cpo_config),
    .metrics = cpo_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_COST_0,
    .metrics_of = cpo_metrics_of,
    .check = cpo_check,
    .create = cpo_create,
    .destroy = cpo_destroy,
    .iterate = cpo_iterate,
    .visit = cpo_visit,
    .extend = cpo_extend,
    .policy = cpo_policy,
};
