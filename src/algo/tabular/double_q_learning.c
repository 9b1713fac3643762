/*
 * double_q_learning.c - double Q-learning: two tables, each valuing the other's choice.
 *
 *     with probability 1/2   Q1(s, a) <- Q1(s, a) + alpha (r + gamma Q2(s', argmax_a' Q1(s', a')) - Q1(s, a))
 *     otherwise              the same with Q1 and Q2 exchanged
 *
 * The maximum of noisy values is too large on average; an action chosen by one table and valued by the other is not.
 * Van Hasselt, Double Q-learning (2010); Sutton and Barto, 2nd ed., section 6.7. It acts by Q1 + Q2; the policy's
 * table is their mean.
 */
#include "algo/tabular/learn.h"

enum { COIN_STREAM = 0x434F494E };

typedef struct double_q_learning {
    reini_control c;
    double *q[2]; /* (S x A) each; the policy's table is their mean */
    rein_rng coin;
} double_q_learning;

static void double_q_learning_iterate(void *self, reini_report *report) {
    double_q_learning *l = self;
    reini_tabular *t = &l->c.t;
    reini_tabular_begin(t);
    while (reini_tabular_more(t)) {
        reini_transition x = reini_tabular_step(t, reini_tabular_choose(t));
        int one = (int)(rein_rng_next(&l->coin) & 1);
        double *chooses = l->q[one], *values = l->q[!one], value = 0;
        if (!x.terminated) {
            int32_t best = reini_argmax(chooses + reini_entry(t, x.next, 0), t->A, t->mask);
            value = values[reini_entry(t, x.next, best)];
        }
        size_t entry = reini_entry(t, x.s, x.a);
        reini_tabular_learn(t, chooses, entry, x.r + t->gamma * value);
        t->policy->q[entry] = 0.5 * (chooses[entry] + values[entry]);
        if (x.ended)
            reini_tabular_reset(t);
    }
    reini_tabular_report(t, report);
}

static rein_status double_q_learning_init(double_q_learning *l, const void *config,
                                          const reini_context *context) {
    REINI_TRY(reini_control_init(&l->c, "double-q-learning", config, context));
    size_t entries = (size_t)l->c.t.S * (size_t)l->c.t.A;
    REINI_TRY(reini_memory_claim(2 * entries * sizeof(double), "the two tables of double-q-learning"));
    for (int k = 0; k < 2; k++) {
        l->q[k] = REINI_NEW_ARRAY(double, entries);
        if (l->q[k] == NULL)
            return reini_fail_memory(entries * sizeof(double), "double-q-learning");
        memcpy(l->q[k], l->c.t.policy->q, entries * sizeof(double));
    }
    l->coin = rein_rng_make(context->seed, COIN_STREAM);
    return REIN_OK;
}

static void double_q_learning_release(double_q_learning *l) {
    reini_control_release(&l->c);
    reini_free(l->q[0]);
    reini_free(l->q[1]);
}

static rein_status double_q_learning_visit(void *self, reini_archive *archive) {
    double_q_learning *l = self;
    size_t bytes = (size_t)l->c.t.S * (size_t)l->c.t.A * sizeof(double);
    REINI_TRY(reini_tabular_visit(&l->c.t, archive));
    REINI_TRY(reini_archive_bytes(archive, "double_q.1", l->q[0], bytes));
    REINI_TRY(reini_archive_bytes(archive, "double_q.2", l->q[1], bytes));
    return reini_archive_bytes(archive, "double_q.coin", &l->coin, sizeof l->coin);
}

static rein_status double_q_learning_check(const void *config, const reini_context *context) {
    return reini_tabular_check("double-q-learning", context);
}

static void double_q_learning_destroy(void *self) {
    if (self != NULL)
        double_q_learning_release(self);
    reini_free(self);
}

static rein_status double_q_learning_create(const void *config, const reini_context *context, void **self) {
    double_q_learning *l = REINI_NEW(double_q_learning);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "double-q-learning");
    rein_status status = double_q_learning_init(l, config, context);
    if (status != REIN_OK) {
        double_q_learning_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

const reini_algo reini_algo_double_q_learning = {
    .name = "double-q-learning",
    .doc = "off-policy control with two tables: no overestimated maxima",
    .family = REINI_TABULAR,
    .fields = reini_control_fields,
    .n_fields = REINI_CONTROL_FIELDS_COUNT,
    .config_size = sizeof(reini_control_config),
    .metrics = reini_control_metrics,
    .n_metrics = REINI_LEARNING_METRICS_COUNT,
    .key_metric = REINI_METRIC_CHANGE,
    .check = double_q_learning_check,
    .create = double_q_learning_create,
    .destroy = double_q_learning_destroy,
    .iterate = double_q_learning_iterate,
    .visit = double_q_learning_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
