/*
 * td.c - temporal-difference prediction: the values of a given policy by n-step targets.
 *
 *     G    = r_1 + gamma r_2 + ... + gamma^(n-1) r_n + gamma^n V(s_n)
 *     V(s) <- V(s) + alpha (G - V(s))
 *
 * where the rewards stop at a terminal state and nothing follows. With n = 1 it is TD(0). Sutton, Learning to predict
 * by the methods of temporal differences (1988); Sutton and Barto, 2nd ed., sections 6.1 and 7.1.
 *
 * Beyond the book: where an episode was cut the target goes on with V of its last observation.
 */
#include "algo/tabular/learn.h"

#define TD_OWN_FIELDS(F, E) F(COUNT, n_step, "1", 1, 1e6, "rewards in a target before it goes on with V")
#define TD_FIELDS(F, E)     TD_OWN_FIELDS(F, E) REINI_PREDICTION_FIELDS(F, E)

typedef struct td_config {
    REIN_FIELDS_STRUCT(TD_FIELDS)
} td_config;

#define REIN_FIELD_OWNER td_config
static const rein_field td_fields[] = {REIN_FIELDS_TABLE(TD_FIELDS)};

typedef struct td {
    reini_prediction p;
    reini_trail trail;
} td;

static void td_iterate(void *self, reini_report *report) {
    td *l = self;
    reini_tabular *t = &l->p.t;
    double *v = t->policy->v;
    reini_tabular_begin(t);
    while (reini_tabular_more(t)) {
        reini_transition x = reini_tabular_step(t, reini_prediction_choose(&l->p));
        reini_trail_learn(&l->trail, t, v, (size_t)x.s, &x, x.terminated ? 0 : v[x.next]);
        if (x.ended)
            reini_tabular_reset(t);
    }
    reini_tabular_report(t, report);
}

static rein_status td_init(td *l, const td_config *from, const reini_context *context) {
    reini_prediction_config copied = {.average = false};
    REINI_TAKE_FIELDS(REINI_PREDICTION_FIELDS)
    REINI_TRY(reini_prediction_init(&l->p, "td", &copied, context));
    return reini_trail_init(&l->trail, from->n_step);
}

static void td_release(td *l) {
    reini_prediction_release(&l->p);
    reini_trail_release(&l->trail);
}

static rein_status td_visit(void *self, reini_archive *archive) {
    td *l = self;
    REINI_TRY(reini_tabular_visit(&l->p.t, archive));
    return reini_trail_visit(&l->trail, archive);
}

static rein_status td_check(const void *config, const reini_context *context) {
    return reini_tabular_check("td", context);
}

static void td_destroy(void *self) {
    if (self != NULL)
        td_release(self);
    reini_free(self);
}

static rein_status td_create(const void *config, const reini_context *context, void **self) {
    td *l = REINI_NEW(td);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "td");
    rein_status status = td_init(l, config, context);
    if (status != REIN_OK) {
        td_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

const reini_algo reini_algo_td = {
    .name = "td",
    .doc = "prediction: values of a given policy by one-step or n-step targets",
    .family = REINI_TABULAR,
    .fields = td_fields,
    .n_fields = sizeof td_fields / sizeof *td_fields,
    .config_size = sizeof(td_config),
    .metrics = reini_prediction_metrics,
    .n_metrics = REINI_LEARNING_METRICS_COUNT,
    .key_metric = REINI_METRIC_CHANGE,
    .check = td_check,
    .create = td_create,
    .destroy = td_destroy,
    .iterate = td_iterate,
    .visit = td_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
