/*
 * sarsa_lambda.c - SARSA(lambda): on-policy control with eligibility traces.
 *
 *     delta = r + gamma Q(s', a') - Q(s, a)        Q <- Q + alpha delta z for all pairs, where the trace z of a pair
 *                                                  fades by gamma lambda a step (traces.c has the three kinds)
 *
 * Rummery (1995); Sutton and Barto, 2nd ed., sections 12.7 (and 12.5 for the true online form, `traces=dutch`).
 * lambda = 0 is SARSA, lambda = 1 learns from whole returns.
 *
 * Beyond the book: where an episode was cut, a' is drawn at its last observation as if it went on.
 */
#include "algo/tabular/learn.h"

#define SARSA_LAMBDA_OWN_FIELDS(F, E) F(SCHEDULE, learning_rate, "0.1", 0, 1, "step size alpha")
#define SARSA_LAMBDA_FIELDS(F, E)                                                                            \
    REINI_TRACE_FIELDS(F, E) SARSA_LAMBDA_OWN_FIELDS(F, E) REINI_CONTROL_BASE_FIELDS(F, E)

typedef struct sarsa_lambda_config {
    REIN_FIELDS_STRUCT(SARSA_LAMBDA_FIELDS)
} sarsa_lambda_config;

#define REIN_FIELD_OWNER sarsa_lambda_config
static const rein_field sarsa_lambda_fields[] = {REIN_FIELDS_TABLE(SARSA_LAMBDA_FIELDS)};

typedef struct sarsa_lambda {
    reini_control c;
    reini_traces traces;
    int32_t action; /* chosen for the state now */
    bool chosen;
} sarsa_lambda;

static void sarsa_lambda_iterate(void *self, reini_report *report) {
    sarsa_lambda *l = self;
    reini_tabular *t = &l->c.t;
    double *q = t->policy->q;
    reini_tabular_begin(t);
    while (reini_tabular_more(t)) {
        int32_t a = l->chosen ? l->action : reini_tabular_choose(t);
        reini_transition x = reini_tabular_step(t, a);
        l->chosen = !x.terminated;
        if (l->chosen)
            l->action = reini_tabular_choose(t);
        double value = l->chosen ? q[reini_entry(t, x.next, l->action)] : 0;
        reini_traces_learn(&l->traces, t, q, reini_entry(t, x.s, a), &x, value);
        if (x.ended) {
            reini_tabular_reset(t);
            l->chosen = false;
        }
    }
    reini_tabular_report(t, report);
}

static reini_control_config control_of(const sarsa_lambda_config *from) {
    reini_control_config copied = {.average = false};
    REINI_TAKE_FIELDS(SARSA_LAMBDA_OWN_FIELDS)
    REINI_TAKE_FIELDS(REINI_CONTROL_BASE_FIELDS)
    return copied;
}

static rein_status sarsa_lambda_init(sarsa_lambda *l, const sarsa_lambda_config *config,
                                     const reini_context *context) {
    reini_control_config control = control_of(config);
    REINI_TRY(reini_control_init(&l->c, "sarsa-lambda", &control, context));
    return reini_traces_init(&l->traces, config->traces, config->gamma * config->lambda,
                             (size_t)l->c.t.S * (size_t)l->c.t.A);
}

static void sarsa_lambda_release(sarsa_lambda *l) {
    reini_control_release(&l->c);
    reini_traces_release(&l->traces);
}

static rein_status sarsa_lambda_visit(void *self, reini_archive *archive) {
    sarsa_lambda *l = self;
    REINI_TRY(reini_tabular_visit(&l->c.t, archive));
    REINI_TRY(reini_traces_visit(&l->traces, archive));
    REINI_TRY(reini_archive_bytes(archive, "sarsa.action", &l->action, sizeof l->action));
    return reini_archive_bytes(archive, "sarsa.chosen", &l->chosen, sizeof l->chosen);
}

static rein_status sarsa_lambda_check(const void *config, const reini_context *context) {
    return reini_tabular_check("sarsa-lambda", context);
}

static void sarsa_lambda_destroy(void *self) {
    if (self != NULL)
        sarsa_lambda_release(self);
    reini_free(self);
}

static rein_status sarsa_lambda_create(const void *config, const reini_context *context, void **self) {
    sarsa_lambda *l = REINI_NEW(sarsa_lambda);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "sarsa-lambda");
    rein_status status = sarsa_lambda_init(l, config, context);
    if (status != REIN_OK) {
        sarsa_lambda_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

const reini_algo reini_algo_sarsa_lambda = {
    .name = "sarsa-lambda",
    .doc = "on-policy control with eligibility traces",
    .family = REINI_TABULAR,
    .fields = sarsa_lambda_fields,
    .n_fields = sizeof sarsa_lambda_fields / sizeof *sarsa_lambda_fields,
    .config_size = sizeof(sarsa_lambda_config),
    .metrics = reini_control_metrics,
    .n_metrics = REINI_LEARNING_METRICS_COUNT,
    .key_metric = REINI_METRIC_CHANGE,
    .check = sarsa_lambda_check,
    .create = sarsa_lambda_create,
    .destroy = sarsa_lambda_destroy,
    .iterate = sarsa_lambda_iterate,
    .visit = sarsa_lambda_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
