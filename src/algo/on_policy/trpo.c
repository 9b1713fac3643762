/*
 * trpo.c - trust region policy optimization.
 *
 * J. Schulman, S. Levine, P. Moritz, M. Jordan, P. Abbeel: Trust Region Policy Optimization, ICML 2015 (arXiv
 * 1502.05477). Of all policies within a KL ball around the one that acted, take the one with the best surrogate:
 *
 *     maximise    L(theta) = E[ pi_theta(a|s) / pi_old(a|s) A ]                                          (eq. 14)
 *     subject to  E[ KL(pi_old(.|s) || pi_theta(.|s)) ] <= delta
 *
 * With g the gradient of L and F the Fisher matrix, both at theta_old (appendix C):
 *
 *     x = (F + damping)^-1 g             by conjugate gradients
 *     step = sqrt(2 delta / x'(F + damping)x) x      on the ball's border, were the KL quadratic
 *     theta = theta_old + shrink^j step  for the first j = 0, 1, ... that improves L and keeps the KL within delta;
 *                                        theta_old if there is none
 *
 * Then the value function is fitted to R_t = A_t + V_old(s_t) by minibatches of Adam. Advantages by generalised
 * advantage estimation (arXiv 1506.02438). Products with F are exact (rl/natural.c), over all states of the rollout or
 * every k-th (sub_sampling_factor).
 *
 * Symbols: delta target_kl, shrink line_search_shrinking_factor. Names are those of sb3-contrib.
 *
 * Where this differs:
 *   - from the paper: damping; advantages are normalised; the value function is fitted by Adam (the paper's code uses
 *     L-BFGS or none); the "single path" scheme only.
 *   - from sb3-contrib: the KL is KL(old || new), as in the paper, not KL(new || old), which has the same Fisher
 *     matrix; the observed KL may equal delta; an episode cut by the time limit is bootstrapped with V of its last
 *     observation in both.
 *   - actor and critic may not share layers: fitting V would move the policy outside the region.
 *   - statistics of observation and reward normalisation change between iterations only.
 */
#include <math.h>
#include "algo/on_policy/trust_region.h"

typedef reini_trust_config trpo_config;
typedef reini_trust trpo;

#define REIN_FIELD_OWNER trpo_config
static const rein_field trpo_fields[] = {REIN_FIELDS_TABLE(REINI_TRUST_FIELDS)};

static const char *const trpo_metrics[] = {
#define X(name, column) column,
    REINI_TRUST_METRICS(X)
#undef X
};

/* ---- the policy's step --------------------------------------------------------------------------------- */

/* x becomes the step to the border of the trust region; false when there is none */
static bool find_step(trpo *p, double radius, double *metric) {
    metric[REINI_TRUST_CG_RESIDUAL] = reini_trust_invert(p, p->g, p->x);
    reini_trust_product(p, p->x, p->hx);
    double curvature = reini_dot(p->x, p->hx, p->n), scale = sqrt(2 * radius / curvature);
    if (isnan(metric[REINI_TRUST_CG_RESIDUAL]) || !(curvature > 0) || !isfinite(scale))
        return false;
    for (int64_t i = 0; i < p->n; i++)
        p->x[i] *= scale;
    return true;
}

/* One natural-gradient step within the trust region; what is not finite moves nothing. */
static void improve_policy(trpo *p, double radius, double *metric) {
    reini_trial now;
    if (reini_trust_ascend(p, &now, metric) && metric[REINI_TRUST_GRAD_NORM] > 0 &&
        find_step(p, radius, metric))
        reini_trust_search(p, radius, now.objective, reini_trust_attempt, p, metric);
}

/* ---- one iteration ------------------------------------------------------------------------------------- */

/* The algorithm: act, judge, improve. */
static void trpo_iterate(void *self, reini_report *report) {
    trpo *p = self;
    if (!reini_on_policy_gather(&p->base, report))
        return;
    reini_on_policy_estimate(&p->base, p->config.gae_lambda);
    reini_trust_prepare(p);
    improve_policy(p, rein_schedule_at(&p->config.target_kl, reini_on_policy_progress(&p->base)),
                   report->metric);
    reini_trust_fit(p, report->metric);
    reini_on_policy_finish(&p->base, report);
}

/* ---- construction -------------------------------------------------------------------------------------- */

static rein_status trpo_check(const void *config, const reini_context *context) {
    return reini_trust_check("trpo", config, context);
}

static void trpo_destroy(void *self) {
    if (self != NULL)
        reini_trust_release(self);
    reini_free(self);
}

static rein_status trpo_create(const void *config, const reini_context *context, void **self) {
    trpo *p = REINI_NEW(trpo);
    if (p == NULL)
        return reini_fail_memory(sizeof *p, "TRPO");
    rein_status status = reini_trust_init(p, "trpo", config, false, context);
    if (status == REIN_OK)
        status = reini_trust_build(p, NULL);
    if (status != REIN_OK) {
        trpo_destroy(p);
        return status;
    }
    *self = p;
    return REIN_OK;
}

static rein_status trpo_visit(void *self, reini_archive *archive) {
    return reini_trust_visit(self, "trpo.optimizer", archive);
}

static void trpo_extend(void *self, int64_t total_steps) {
    ((trpo *)self)->base.context.total_steps = total_steps;
}

static rein_policy *trpo_policy(void *self) {
    return &((trpo *)self)->base.policy->base;
}

const reini_algo reini_algo_trpo = {
    .name = "trpo",
    .doc =
        "trust region policy optimization: a natural-gradient step with a bound on the KL and a line search",
    .family = REINI_ON_POLICY,
    .fields = trpo_fields,
    .n_fields = sizeof trpo_fields / sizeof *trpo_fields,
    .config_size = sizeof(trpo_config),
    .metrics = trpo_metrics,
    .n_metrics = sizeof trpo_metrics / sizeof *trpo_metrics,
    .key_metric = REINI_TRUST_KL,
    .check = trpo_check,
    .create = trpo_create,
    .destroy = trpo_destroy,
    .iterate = trpo_iterate,
    .visit = trpo_visit,
    .extend = trpo_extend,
    .policy = trpo_policy,
};
