/*
 * q_learning.c - Q-learning: off-policy control by one-step targets.
 *
 *     Q(s, a) <- Q(s, a) + alpha (r + gamma max_a' Q(s', a') - Q(s, a))          r alone where s' is terminal
 *
 * Watkins, Learning from Delayed Rewards (1989); Watkins and Dayan, Q-learning (1992); Sutton and Barto, 2nd ed.,
 * section 6.5. Whatever explores, Q goes to that of the best policy if every pair is met again and again and the
 * step sizes fall slowly enough.
 *
 * Beyond the book: where an episode was cut by a time limit the target goes on with max Q of the last observation;
 * the maximum is over allowed actions only.
 */
#include "algo/tabular/learn.h"

static void q_learning_iterate(void *self, reini_report *report) {
    reini_control *c = self;
    reini_tabular *t = &c->t;
    reini_tabular_begin(t);
    while (reini_tabular_more(t)) {
        reini_transition x = reini_tabular_step(t, reini_tabular_choose(t));
        double best = x.terminated ? 0 : reini_max_allowed(reini_q_row(t, x.next), t->A, t->mask);
        reini_tabular_learn(t, t->policy->q, reini_entry(t, x.s, x.a), x.r + t->gamma * best);
        if (x.ended)
            reini_tabular_reset(t);
    }
    reini_tabular_report(t, report);
}

static rein_status q_learning_check(const void *config, const reini_context *context) {
    return reini_tabular_check("q-learning", context);
}

static rein_status q_learning_create(const void *config, const reini_context *context, void **self) {
    return reini_control_create("q-learning", config, context, self);
}

const reini_algo reini_algo_q_learning = {
    .name = "q-learning",
    .doc = "off-policy control: one-step targets with the best next action",
    .family = REINI_TABULAR,
    .fields = reini_control_fields,
    .n_fields = REINI_CONTROL_FIELDS_COUNT,
    .config_size = sizeof(reini_control_config),
    .metrics = reini_control_metrics,
    .n_metrics = REINI_LEARNING_METRICS_COUNT,
    .key_metric = REINI_METRIC_CHANGE,
    .check = q_learning_check,
    .create = q_learning_create,
    .destroy = reini_control_destroy,
    .iterate = q_learning_iterate,
    .visit = reini_control_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
