/*
 * lstd.c - least-squares temporal differences: the values at which TD(lambda) would come to rest on the data so far.
 *
 *     z <- gamma lambda z + x(s),   A += z (x(s) - gamma x(s'))^T,   b += z r,      V = (A + ridge I)^-1 b
 *
 * where x(s) is the indicator of the state and x(s') is 0 after a terminal one. Bradtke and Barto (1996); Boyan
 * (2002) for lambda; Sutton and Barto, 2nd ed., section 9.8. Tabular with lambda = 0 it solves the model of counted
 * transitions exactly. There is no step size; the ridge keeps states that were never seen at 0.
 *
 * A is kept dense over the states, and V is solved for once an iteration, by LU factors with partial pivoting.
 *
 * Beyond the book: where an episode was cut, x(s') is that of its last observation, and the trace starts anew.
 */
#include "algo/tabular/learn.h"

#include <stdio.h>
#include "base/linear.h"

#define LSTD_OWN_FIELDS(F, E)                                                                                \
    F(REAL, lambda, "0", 0, 1, "decay of the trace: 0 = one step, 1 = whole returns")                        \
    F(REAL, ridge, "1e-6", 1e-300, 1e9, "added to the diagonal of A")
#define LSTD_FIELDS(F, E) LSTD_OWN_FIELDS(F, E) REINI_GIVEN_FIELDS(F, E) REINI_TABULAR_FIELDS(F, E)

typedef struct lstd_config {
    REIN_FIELDS_STRUCT(LSTD_FIELDS)
} lstd_config;

#define REIN_FIELD_OWNER lstd_config
static const rein_field lstd_fields[] = {REIN_FIELDS_TABLE(LSTD_FIELDS)};

typedef struct lstd {
    reini_prediction p;
    lstd_config config;
    rein_pool *pool;
    reini_traces traces;
    double *A;       /* (S x S) */
    double *b;       /* (S) */
    double *factors; /* (S x S) of A + ridge I */
    double *v;       /* (S) solution */
    int32_t *pivot;  /* (S) */
} lstd;

static void learn(lstd *l, const reini_transition *x) {
    reini_tabular *t = &l->p.t;
    reini_traces *z = &l->traces;
    size_t S = (size_t)t->S;
    t->updates++;
    if (!(fabs(x->r) < INFINITY)) {
        t->skipped++;
        t->skipped_in_a_row++;
        return;
    }
    t->skipped_in_a_row = 0;
    reini_traces_see(z, (size_t)x->s, 0);
    for (size_t k = 0; k < z->count; k++) {
        size_t i = z->listed[k];
        l->A[i * S + (size_t)x->s] += z->e[i];
        if (!x->terminated)
            l->A[i * S + (size_t)x->next] -= t->gamma * z->e[i];
        l->b[i] += z->e[i] * x->r;
    }
    reini_traces_fade(z, x->ended ? 0 : z->decay);
}

/* V = (A + ridge I)^-1 b; the mean |change| over the states is reported */
static rein_status solve(lstd *l, double *change) {
    double *v = l->p.t.policy->v, sum = 0;
    size_t S = (size_t)l->p.t.S;
    memcpy(l->factors, l->A, S * S * sizeof(double));
    memcpy(l->v, l->b, S * sizeof(double));
    for (size_t s = 0; s < S; s++)
        l->factors[s * S + s] += l->config.ridge;
    if (!reini_lu_factor(l->factors, l->p.t.S, l->pivot, l->pool))
        return reini_fail(REIN_DIVERGED,
                          "lstd: the matrix of %d states is singular; set a larger ridge than %g", (int)S,
                          l->config.ridge);
    reini_lu_solve(l->factors, l->p.t.S, l->pivot, l->v);
    for (size_t s = 0; s < S; s++) {
        sum += fabs(l->v[s] - v[s]);
        v[s] = l->v[s];
    }
    *change = sum / (double)S;
    return REIN_OK;
}

static void lstd_iterate(void *self, reini_report *report) {
    lstd *l = self;
    reini_tabular *t = &l->p.t;
    reini_tabular_begin(t);
    while (reini_tabular_more(t)) {
        reini_transition x = reini_tabular_step(t, reini_prediction_choose(&l->p));
        learn(l, &x);
        if (x.ended)
            reini_tabular_reset(t);
    }
    double change = NAN;
    report->failed = solve(l, &change);
    reini_tabular_report(t, report);
    report->metric[REINI_METRIC_CHANGE] = change;
}

static rein_status lstd_init(lstd *l, const lstd_config *from, const reini_context *context) {
    reini_prediction_config copied = {.average = true};
    REINI_TAKE_FIELDS(REINI_GIVEN_FIELDS)
    REINI_TAKE_FIELDS(REINI_TABULAR_FIELDS)
    l->config = *from;
    l->pool = context->pool;
    REINI_TRY(reini_prediction_init(&l->p, "lstd", &copied, context));
    size_t S = (size_t)l->p.t.S, bytes = 2 * S * S * sizeof(double);
    char what[96];
    snprintf(what, sizeof what, "lstd's two matrices of %zu x %zu states", S, S);
    REINI_TRY(reini_memory_claim(bytes, what));
    l->A = REINI_NEW_ARRAY(double, S *S);
    l->factors = REINI_NEW_ARRAY(double, S *S);
    l->b = REINI_NEW_ARRAY(double, S);
    l->v = REINI_NEW_ARRAY(double, S);
    l->pivot = REINI_NEW_ARRAY(int32_t, S);
    if (l->A == NULL || l->factors == NULL || l->b == NULL || l->v == NULL || l->pivot == NULL)
        return reini_fail_memory(bytes, what);
    return reini_traces_init(&l->traces, REINI_TRACES_ACCUMULATING, from->gamma * from->lambda, S);
}

static void lstd_release(lstd *l) {
    reini_prediction_release(&l->p);
    reini_traces_release(&l->traces);
    reini_free(l->A);
    reini_free(l->factors);
    reini_free(l->b);
    reini_free(l->v);
    reini_free(l->pivot);
}

static rein_status lstd_visit(void *self, reini_archive *archive) {
    lstd *l = self;
    size_t S = (size_t)l->p.t.S;
    REINI_TRY(reini_tabular_visit(&l->p.t, archive));
    REINI_TRY(reini_traces_visit(&l->traces, archive));
    REINI_TRY(reini_archive_bytes(archive, "lstd.A", l->A, S * S * sizeof(double)));
    return reini_archive_bytes(archive, "lstd.b", l->b, S * sizeof(double));
}

static rein_status lstd_check(const void *config, const reini_context *context) {
    return reini_tabular_check("lstd", context);
}

static void lstd_destroy(void *self) {
    if (self != NULL)
        lstd_release(self);
    reini_free(self);
}

static rein_status lstd_create(const void *config, const reini_context *context, void **self) {
    lstd *l = REINI_NEW(lstd);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "lstd");
    rein_status status = lstd_init(l, config, context);
    if (status != REIN_OK) {
        lstd_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

const reini_algo reini_algo_lstd = {
    .name = "lstd",
    .doc = "prediction without step sizes: the fixed point of TD(lambda) on all data so far",
    .family = REINI_TABULAR,
    .fields = lstd_fields,
    .n_fields = sizeof lstd_fields / sizeof *lstd_fields,
    .config_size = sizeof(lstd_config),
    .metrics = reini_prediction_metrics,
    .n_metrics = REINI_LEARNING_METRICS_COUNT,
    .key_metric = REINI_METRIC_CHANGE,
    .check = lstd_check,
    .create = lstd_create,
    .destroy = lstd_destroy,
    .iterate = lstd_iterate,
    .visit = lstd_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
