/*
 * td_lambda.c - TD(lambda): prediction with eligibility traces.
 *
 *     delta = r + gamma V(s') - V(s)        V <- V + alpha delta z for all states, where the trace z of a state fades
 *                                           by gamma lambda a step (traces.c has the three kinds)
 *
 * Sutton (1988); Sutton and Barto, 2nd ed., sections 12.2 and 12.5. lambda = 0 is TD(0); `traces=dutch` is true online
 * TD(lambda), whose result after an episode is, with lambda = 1, that of Monte-Carlo updates in the order of the
 * visits.
 *
 * Beyond the book: where an episode was cut V(s') is that of its last observation.
 */
#include "algo/tabular/learn.h"

#define TD_LAMBDA_OWN_FIELDS(F, E)                                                                           \
    REINI_GIVEN_FIELDS(F, E)                                                                                 \
    F(SCHEDULE, learning_rate, "0.1", 0, 1, "step size alpha")                                               \
    REINI_TABULAR_FIELDS(F, E)
#define TD_LAMBDA_FIELDS(F, E) REINI_TRACE_FIELDS(F, E) TD_LAMBDA_OWN_FIELDS(F, E)

typedef struct td_lambda_config {
    REIN_FIELDS_STRUCT(TD_LAMBDA_FIELDS)
} td_lambda_config;

#define REIN_FIELD_OWNER td_lambda_config
static const rein_field td_lambda_fields[] = {REIN_FIELDS_TABLE(TD_LAMBDA_FIELDS)};

typedef struct td_lambda {
    reini_prediction p;
    reini_traces traces;
} td_lambda;

static void td_lambda_iterate(void *self, reini_report *report) {
    td_lambda *l = self;
    reini_tabular *t = &l->p.t;
    double *v = t->policy->v;
    reini_tabular_begin(t);
    while (reini_tabular_more(t)) {
        reini_transition x = reini_tabular_step(t, reini_prediction_choose(&l->p));
        reini_traces_learn(&l->traces, t, v, (size_t)x.s, &x, x.terminated ? 0 : v[x.next]);
        if (x.ended)
            reini_tabular_reset(t);
    }
    reini_tabular_report(t, report);
}

static rein_status td_lambda_init(td_lambda *l, const td_lambda_config *from, const reini_context *context) {
    reini_prediction_config copied = {.average = false};
    REINI_TAKE_FIELDS(TD_LAMBDA_OWN_FIELDS)
    REINI_TRY(reini_prediction_init(&l->p, "td-lambda", &copied, context));
    return reini_traces_init(&l->traces, from->traces, from->gamma * from->lambda, (size_t)l->p.t.S);
}

static void td_lambda_release(td_lambda *l) {
    reini_prediction_release(&l->p);
    reini_traces_release(&l->traces);
}

static rein_status td_lambda_visit(void *self, reini_archive *archive) {
    td_lambda *l = self;
    REINI_TRY(reini_tabular_visit(&l->p.t, archive));
    return reini_traces_visit(&l->traces, archive);
}

static rein_status td_lambda_check(const void *config, const reini_context *context) {
    return reini_tabular_check("td-lambda", context);
}

static void td_lambda_destroy(void *self) {
    if (self != NULL)
        td_lambda_release(self);
    reini_free(self);
}

static rein_status td_lambda_create(const void *config, const reini_context *context, void **self) {
    td_lambda *l = REINI_NEW(td_lambda);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "td-lambda");
    rein_status status = td_lambda_init(l, config, context);
    if (status != REIN_OK) {
        td_lambda_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

const reini_algo reini_algo_td_lambda = {
    .name = "td-lambda",
    .doc = "prediction with eligibility traces",
    .family = REINI_TABULAR,
    .fields = td_lambda_fields,
    .n_fields = sizeof td_lambda_fields / sizeof *td_lambda_fields,
    .config_size = sizeof(td_lambda_config),
    .metrics = reini_prediction_metrics,
    .n_metrics = REINI_LEARNING_METRICS_COUNT,
    .key_metric = REINI_METRIC_CHANGE,
    .check = td_lambda_check,
    .create = td_lambda_create,
    .destroy = td_lambda_destroy,
    .iterate = td_lambda_iterate,
    .visit = td_lambda_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
