/*
 * importance_sampling.c - off-policy evaluation: values of a target policy pi from episodes of a behaviour policy mu.
 *
 *     rho_t:T   = prod over the steps k >= t of the episode of pi(a_k | s_k) / mu(a_k | s_k)
 *     ordinary    mean of rho G over the (first) visits of a state          unbiased; its variance may be infinite
 *     weighted    sum rho G / sum rho                                       biased, consistent, far steadier
 *
 * Sutton and Barto, 2nd ed., section 5.5; Precup, Sutton and Singh (2000). With `per_decision` a reward is weighted by
 * the actions before it alone:
 *
 *     ordinary    mean of sum_t gamma^t rho_0:t r_t                         the same expectation, less variance
 *     weighted    sum_t gamma^t (sum_i rho^i_0:t r^i_t) / (sum_i rho^i_0:t) Thomas (2015), section 3.4.3
 *
 * The value of pi where episodes start is reported by both estimators, each with its estimated variance:
 *
 *     var ordinary = s^2 / n,  s^2 the sample variance of rho G
 *     var weighted = sum rho^2 (G - V)^2 / (sum rho)^2                      the delta method
 *     ess          = (sum rho)^2 / sum rho^2                                effective number of episodes
 *
 * The policy's table is pi with V(s) of each state's first visits, by the `estimator` chosen, with ratios of whole
 * episodes.
 *
 * Beyond the book: where an episode was cut, G starts with V of its last observation.
 */
#include "algo/tabular/learn.h"

#define IMPORTANCE_OWN_FIELDS(F, E)                                                                          \
    F(TEXT, behaviour, "uniform", 0, 0, "the policy that acts: uniform, a run directory or a policy file")   \
    F(REAL, epsilon, "0", 0, 1, "share of uniform actions mixed into the behaviour")                         \
    E(estimator, "weighted", "weighted|ordinary", "which estimate of each state's value is kept")            \
    F(BOOL, per_decision, "false", 0, 1, "rewards are weighted by the actions before them alone")
#define IMPORTANCE_FIELDS(F, E)                                                                              \
    IMPORTANCE_OWN_FIELDS(F, E) REINI_GIVEN_FIELDS(F, E) REINI_TABULAR_FIELDS(F, E)

typedef struct importance_config {
    REIN_FIELDS_STRUCT(IMPORTANCE_FIELDS)
} importance_config;

#define REIN_FIELD_OWNER importance_config
static const rein_field importance_fields[] = {REIN_FIELDS_TABLE(IMPORTANCE_FIELDS)};

enum { ESTIMATOR_WEIGHTED, ESTIMATOR_ORDINARY };

#define IMPORTANCE_METRICS(X)                                                                                \
    X(ORDINARY, "train/v_ordinary")                                                                          \
    X(WEIGHTED, "train/v_weighted")                                                                          \
    X(VAR_ORDINARY, "train/var_ordinary")                                                                    \
    X(VAR_WEIGHTED, "train/var_weighted")                                                                    \
    X(ESS, "train/ess")

enum {
#define X(name, column) METRIC_##name,
    IMPORTANCE_METRICS(X)
#undef X
        METRICS
};
static const char *const importance_metrics[] = {
#define X(name, column) column,
    IMPORTANCE_METRICS(X)
#undef X
};

/* Sums over episodes, of returns less the first one: differences of large sums of squares lose nothing then. */
typedef struct sums {
    double n, shift;
    double mean, squares; /* of rho G, by Welford's rule */
    double w, ww;         /* rho, rho^2 */
    double wg, wwg, wwgg; /* rho d, rho^2 d, rho^2 d^2 with d = G - shift */
} sums;

typedef struct importance {
    reini_prediction p; /* given: the target pi */
    reini_given behaviour;
    importance_config config;
    reini_record record;
    double *mu;     /* (A) the behaviour now */
    double *weight; /* (S) sum of rho over first visits */
    double *visits; /* (S) number of these */
    sums start;
    /* per decision, for each time step: sums of rho_0:t r_t and rho_0:t over the episodes under way, and of rho over
     * those that ended just before; grows with the longest episode */
    double *decision; /* (decision_steps x 3) */
    int64_t decision_steps;
} importance;

/* ---- an episode ----------------------------------------------------------------------------------------------- */

/* V(s) of every state's first visit, from the last step back; returns rho and G of the whole episode */
static void learn_states(importance *l, double value, double *rho, double *G) {
    reini_tabular *t = &l->p.t;
    bool ordinary = l->config.estimator == ESTIMATOR_ORDINARY;
    double *v = t->policy->v;
    *rho = 1;
    *G = value;
    for (int64_t k = l->record.count - 1; k >= 0; k--) {
        const reini_moment *m = &l->record.at[k];
        *G = m->reward + t->gamma * *G;
        *rho *= m->ratio;
        if (!m->first)
            continue;
        double n = ++l->visits[m->entry], w = l->weight[m->entry] += *rho;
        double change = ordinary ? (*rho * *G - v[m->entry]) / n : w > 0 ? *rho / w * (*G - v[m->entry]) : 0;
        reini_tabular_add(t, &v[m->entry], change);
    }
}

static rein_status make_room(importance *l, int64_t steps) {
    size_t old = (size_t)l->decision_steps, step = 3 * sizeof *l->decision;
    if (steps <= l->decision_steps)
        return REIN_OK;
    REINI_TRY(reini_resize(&l->decision, old, (size_t)steps, step, "the sums of each decision"));
    l->decision_steps = steps;
    return REIN_OK;
}

/* sum_t gamma^t rho_0:t r_t, added up for each t as well; what follows a cut is one reward more */
static rein_status learn_decisions(importance *l, double value, double *sum) {
    int64_t n = l->record.count + 1;
    double rho = 1, discount = 1;
    if (n + 1 > l->decision_steps)
        REINI_TRY(make_room(l, 2 * (n + 1)));
    *sum = 0;
    for (int64_t k = 0; k < n; k++) {
        bool last = k == l->record.count;
        double r = last ? value : l->record.at[k].reward;
        rho *= last ? 1 : l->record.at[k].ratio;
        l->decision[3 * k] += rho * r;
        l->decision[3 * k + 1] += rho;
        *sum += discount * rho * r;
        discount *= l->p.t.gamma;
    }
    l->decision[3 * n + 2] += rho;
    return REIN_OK;
}

static void add_return(sums *s, double x, double rho, double G) {
    if (s->n++ == 0)
        s->shift = G;
    double before = x - s->mean, d = G - s->shift;
    s->mean += before / s->n;
    s->squares += before * (x - s->mean);
    s->w += rho;
    s->ww += rho * rho;
    s->wg += rho * d;
    s->wwg += rho * rho * d;
    s->wwgg += rho * rho * d * d;
}

static rein_status learn_episode(importance *l, double value) {
    double rho, G, sum = 0;
    if (l->config.per_decision)
        REINI_TRY(learn_decisions(l, value, &sum));
    learn_states(l, value, &rho, &G);
    l->record.count = 0;
    if (!(fabs(rho * G) < INFINITY))
        return reini_fail(
            REIN_DIVERGED,
            "importance-sampling: the ratio of episode %lld is %g and its return %g; the policies are "
            "too far apart for episodes of %lld steps",
            (long long)l->p.t.episodes.count + 1, rho, G, (long long)l->p.t.length);
    add_return(&l->start, l->config.per_decision ? sum : rho * G, rho, G);
    return REIN_OK;
}

/* ---- the loop ------------------------------------------------------------------------------------------------- */

/* an action of mu, whose ratio is given; what pi does mu must do too */
static rein_status choose(importance *l, int32_t *a, double *ratio) {
    reini_tabular *t = &l->p.t;
    const double *pi = reini_prediction_row(&l->p);
    reini_given_row(&l->behaviour, t->state, t->mask, l->mu);
    for (int32_t k = 0; k < t->A; k++)
        if (pi[k] > 0 && l->mu[k] == 0)
            return reini_fail(
                REIN_USAGE,
                "importance-sampling: in state %d the policy takes action %d with probability %g and "
                "the behaviour never does; set epsilon above 0 or choose another behaviour",
                (int)t->state, (int)k, pi[k]);
    *a = t->explore.script != NULL ? *t->explore.script++ : reini_draw(l->mu, t->A, &t->rng);
    *ratio = pi[*a] / l->mu[*a];
    return REIN_OK;
}

static double weighted_decisions(const importance *l) {
    double value = 0, discount = 1, ended = 0;
    for (int64_t k = 0; k < l->decision_steps; k++) {
        const double *d = l->decision + 3 * k;
        ended += d[2];
        if (d[1] > 0)
            value += discount * d[0] / (d[1] + ended);
        discount *= l->p.t.gamma;
    }
    return value;
}

static void report_estimates(const importance *l, double *metric) {
    const sums *s = &l->start;
    if (s->n == 0)
        return;
    metric[METRIC_ORDINARY] = s->mean;
    metric[METRIC_VAR_ORDINARY] = s->n > 1 ? s->squares / (s->n - 1) / s->n : NAN;
    if (s->w == 0)
        return;
    double d = s->wg / s->w;
    double spread = s->wwgg - 2 * d * s->wwg + d * d * s->ww;
    metric[METRIC_WEIGHTED] = l->config.per_decision ? weighted_decisions(l) : s->shift + d;
    metric[METRIC_VAR_WEIGHTED] = l->config.per_decision ? NAN : fmax(spread, 0) / (s->w * s->w);
    metric[METRIC_ESS] = s->w * s->w / s->ww;
}

static rein_status play(importance *l) {
    reini_tabular *t = &l->p.t;
    while (reini_tabular_more(t)) {
        int32_t a = 0;
        double ratio = 1;
        REINI_TRY(choose(l, &a, &ratio));
        reini_transition x = reini_tabular_step(t, a);
        REINI_TRY(reini_record_add(&l->record, t->episodes.count, (size_t)x.s, x.r, ratio));
        if (x.ended) {
            REINI_TRY(learn_episode(l, x.terminated ? 0 : t->policy->v[x.next]));
            reini_tabular_reset(t);
        }
    }
    return REIN_OK;
}

static void importance_iterate(void *self, reini_report *report) {
    importance *l = self;
    reini_tabular_begin(&l->p.t);
    report->failed = play(l);
    reini_tabular_report(&l->p.t, report);
    for (int i = 0; i < METRICS; i++)
        report->metric[i] = NAN;
    report_estimates(l, report->metric);
}

/* ---- construction --------------------------------------------------------------------------------------------- */

static rein_status importance_init(importance *l, const importance_config *from,
                                   const reini_context *context) {
    reini_prediction_config copied = {.average = false};
    REINI_TAKE_FIELDS(REINI_GIVEN_FIELDS)
    REINI_TAKE_FIELDS(REINI_TABULAR_FIELDS)
    l->config = *from;
    REINI_TRY(reini_prediction_init(&l->p, "importance-sampling", &copied, context));
    REINI_TRY(reini_given_init(&l->behaviour, "behaviour", from->behaviour, context->env));
    l->behaviour.epsilon = from->epsilon;
    size_t S = (size_t)l->p.t.S;
    l->mu = REINI_NEW_ARRAY(double, (size_t)l->p.t.A);
    l->weight = REINI_NEW_ARRAY(double, S);
    l->visits = REINI_NEW_ARRAY(double, S);
    if (l->mu == NULL || l->weight == NULL || l->visits == NULL)
        return reini_fail_memory((2 * S + (size_t)l->p.t.A) * sizeof(double), "importance-sampling");
    return reini_record_init(&l->record, S, context->env->horizon);
}

static void importance_release(importance *l) {
    reini_prediction_release(&l->p);
    reini_given_release(&l->behaviour);
    reini_record_release(&l->record);
    reini_free(l->mu);
    reini_free(l->weight);
    reini_free(l->visits);
    reini_free(l->decision);
}

static rein_status importance_visit(void *self, reini_archive *archive) {
    importance *l = self;
    size_t states = (size_t)l->p.t.S * sizeof(double), bytes = (size_t)l->decision_steps * 3 * sizeof(double);
    REINI_TRY(reini_tabular_visit(&l->p.t, archive));
    REINI_TRY(reini_record_visit(&l->record, archive));
    REINI_TRY(reini_archive_bytes(archive, "importance.weight", l->weight, states));
    REINI_TRY(reini_archive_bytes(archive, "importance.visits", l->visits, states));
    REINI_TRY(reini_archive_bytes(archive, "importance.start", &l->start, sizeof l->start));
    REINI_TRY(reini_archive_size(archive, "importance.decision", &bytes));
    REINI_TRY(make_room(l, (int64_t)(bytes / (3 * sizeof(double)))));
    return reini_archive_bytes(archive, "importance.decision", l->decision, bytes);
}

static rein_status importance_check(const void *config, const reini_context *context) {
    return reini_tabular_check("importance-sampling", context);
}

static void importance_destroy(void *self) {
    if (self != NULL)
        importance_release(self);
    reini_free(self);
}

static rein_status importance_create(const void *config, const reini_context *context, void **self) {
    importance *l = REINI_NEW(importance);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "importance-sampling");
    rein_status status = importance_init(l, config, context);
    if (status != REIN_OK) {
        importance_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

const reini_algo reini_algo_importance_sampling = {
    .name = "importance-sampling",
    .doc = "off-policy evaluation: ordinary and weighted importance sampling",
    .family = REINI_TABULAR,
    .fields = importance_fields,
    .n_fields = sizeof importance_fields / sizeof *importance_fields,
    .config_size = sizeof(importance_config),
    .metrics = importance_metrics,
    .n_metrics = METRICS,
    .key_metric = METRIC_WEIGHTED,
    .check = importance_check,
    .create = importance_create,
    .destroy = importance_destroy,
    .iterate = importance_iterate,
    .visit = importance_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
