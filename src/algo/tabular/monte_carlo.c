/*
 * monte_carlo.c - Monte-Carlo: the mean of whole returns.
 *
 *     for each step of the episode, from the last back:   G <- r + gamma G
 *     at first (or at all) visits of the state:           V(s) <- V(s) + alpha (G - V(s)),      alpha = 1 / visits
 *
 * Prediction values a given policy. With `control` the same is done to Q(s, a) of the pairs visited, and the policy is
 * the one that explores by Q: on-policy control with epsilon-soft policies. Sutton and Barto, 2nd ed., sections 5.1
 * and 5.4; Singh and Sutton (1996) for first and every visits. `average=false` has constant steps in place of means.
 *
 * Beyond the book: where an episode was cut, G starts with the value of its last observation, V or the expectation of
 * Q under the policy that explores.
 */
#include "algo/tabular/learn.h"

#define MONTE_CARLO_OWN_FIELDS(F, E)                                                                         \
    E(visits, "first", "first|every", "which visits of an episode count")                                    \
    F(BOOL, control, "false", 0, 1, "improve a policy of its own rather than judge the given one")           \
    F(BOOL, average, "true", 0, 1, "step size 1 / visits: the mean of the returns; false: learning_rate")
#define MONTE_CARLO_RATE_FIELDS(F, E) F(SCHEDULE, learning_rate, "0.1", 0, 1, "step size when not averaging")
#define MONTE_CARLO_FIELDS(F, E)                                                                             \
    MONTE_CARLO_OWN_FIELDS(F, E)                                                                             \
    REINI_GIVEN_FIELDS(F, E) MONTE_CARLO_RATE_FIELDS(F, E) REINI_CONTROL_BASE_FIELDS(F, E)

typedef struct monte_carlo_config {
    REIN_FIELDS_STRUCT(MONTE_CARLO_FIELDS)
} monte_carlo_config;

#define REIN_FIELD_OWNER monte_carlo_config
static const rein_field monte_carlo_fields[] = {REIN_FIELDS_TABLE(MONTE_CARLO_FIELDS)};

enum { VISITS_FIRST, VISITS_EVERY };

/* the change of entries is in the column of what they are */
enum { METRIC_V_CHANGE = REINI_LEARNING_METRICS_COUNT, METRICS };
static const char *const monte_carlo_metrics[METRICS] = {REINI_LEARNING_METRICS("train/q_change"),
                                                         "train/v_change"};

/* t, the given policy for prediction, the settings of choices for control */
typedef struct monte_carlo {
    reini_prediction p;
    monte_carlo_config config;
    reini_control_config control;
    reini_explore_config explore;
    reini_record record;
} monte_carlo;

/* of what follows the last step of the episode */
static double value_after(monte_carlo *l, const reini_transition *x) {
    reini_tabular *t = &l->p.t;
    if (x->terminated)
        return 0;
    if (!l->config.control)
        return t->policy->v[x->next];
    return reini_explore_value(&t->explore, reini_q_row(t, x->next), t->A, t->mask);
}

static void learn_episode(monte_carlo *l, double G) {
    reini_tabular *t = &l->p.t;
    double *table = l->config.control ? t->policy->q : t->policy->v;
    for (int64_t k = l->record.count - 1; k >= 0; k--) {
        const reini_moment *m = &l->record.at[k];
        G = m->reward + t->gamma * G;
        if (m->first || l->config.visits == VISITS_EVERY)
            reini_tabular_learn(t, table, m->entry, G);
    }
    l->record.count = 0;
}

static void monte_carlo_iterate(void *self, reini_report *report) {
    monte_carlo *l = self;
    reini_tabular *t = &l->p.t;
    bool control = l->config.control;
    reini_tabular_begin(t);
    while (report->failed == REIN_OK && reini_tabular_more(t)) {
        reini_transition x =
            reini_tabular_step(t, control ? reini_tabular_choose(t) : reini_prediction_choose(&l->p));
        size_t entry = control ? reini_entry(t, x.s, x.a) : (size_t)x.s;
        report->failed = reini_record_add(&l->record, t->episodes.count, entry, x.r, 1);
        if (x.ended) {
            learn_episode(l, value_after(l, &x));
            reini_tabular_reset(t);
        }
    }
    reini_tabular_report(t, report);
    if (!control) {
        report->metric[METRIC_V_CHANGE] = report->metric[REINI_METRIC_CHANGE];
        report->metric[REINI_METRIC_CHANGE] = NAN;
    }
}

static rein_status init_control(monte_carlo *l, const reini_context *context) {
    const monte_carlo_config *from = &l->config;
    reini_control control = {0};
    reini_control_config copied;
    copied.average = from->average;
    REINI_TAKE_FIELDS(MONTE_CARLO_RATE_FIELDS)
    REINI_TAKE_FIELDS(REINI_CONTROL_BASE_FIELDS)
    l->control = copied;
    rein_status status = reini_control_init(&control, "monte-carlo", &copied, context);
    l->p.t = control.t;
    l->explore = control.explore;
    l->p.t.opts.learning_rate = &l->control.learning_rate;
    l->p.t.opts.explore = &l->explore;
    return status;
}

static rein_status monte_carlo_init(monte_carlo *l, const monte_carlo_config *from,
                                    const reini_context *context) {
    l->config = *from;
    if (from->control) {
        REINI_TRY(init_control(l, context));
    } else {
        reini_prediction_config copied;
        copied.average = from->average;
        REINI_TAKE_FIELDS(REINI_GIVEN_FIELDS)
        REINI_TAKE_FIELDS(MONTE_CARLO_RATE_FIELDS)
        REINI_TAKE_FIELDS(REINI_TABULAR_FIELDS)
        REINI_TRY(reini_prediction_init(&l->p, "monte-carlo", &copied, context));
    }
    size_t per_state = from->control ? (size_t)l->p.t.A : 1;
    return reini_record_init(&l->record, (size_t)l->p.t.S * per_state, context->env->horizon);
}

static void monte_carlo_release(monte_carlo *l) {
    reini_prediction_release(&l->p);
    reini_record_release(&l->record);
}

static rein_status monte_carlo_visit(void *self, reini_archive *archive) {
    monte_carlo *l = self;
    REINI_TRY(reini_tabular_visit(&l->p.t, archive));
    return reini_record_visit(&l->record, archive);
}

static rein_status monte_carlo_check(const void *config, const reini_context *context) {
    return reini_tabular_check("monte-carlo", context);
}

static void monte_carlo_destroy(void *self) {
    if (self != NULL)
        monte_carlo_release(self);
    reini_free(self);
}

static rein_status monte_carlo_create(const void *config, const reini_context *context, void **self) {
    monte_carlo *l = REINI_NEW(monte_carlo);
    if (l == NULL)
        return reini_fail_memory(sizeof *l, "monte-carlo");
    rein_status status = monte_carlo_init(l, config, context);
    if (status != REIN_OK) {
        monte_carlo_destroy(l);
        return status;
    }
    *self = l;
    return REIN_OK;
}

const reini_algo reini_algo_monte_carlo = {
    .name = "monte-carlo",
    .doc = "prediction or control by the mean of whole returns",
    .family = REINI_TABULAR,
    .fields = monte_carlo_fields,
    .n_fields = sizeof monte_carlo_fields / sizeof *monte_carlo_fields,
    .config_size = sizeof(monte_carlo_config),
    .metrics = monte_carlo_metrics,
    .n_metrics = METRICS,
    .key_metric = -1,
    .check = monte_carlo_check,
    .create = monte_carlo_create,
    .destroy = monte_carlo_destroy,
    .iterate = monte_carlo_iterate,
    .visit = monte_carlo_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
