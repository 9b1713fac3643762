/*
 * expected_sarsa.c - expected SARSA: one-step control whose target is the mean over the next action.
 *
 *     Q(s, a) <- Q(s, a) + alpha (r + gamma sum_a' pi(a' | s') Q(s', a') - Q(s, a))
 *
 * where pi is the policy that explores; r alone where s' is terminal. Van Seijen, van Hasselt, Whiteson and Wiering, A
 * theoretical and empirical analysis of Expected Sarsa (2009); Sutton and Barto, 2nd ed., section 6.6. SARSA without
 * the variance of drawing a'; with epsilon 0 it is Q-learning.
 *
 * Beyond the book: an episode that was cut goes on with the expectation at its last observation.
 */
#include "algo/tabular/learn.h"

static void expected_sarsa_iterate(void *self, reini_report *report) {
    reini_control *c = self;
    reini_tabular *t = &c->t;
    reini_tabular_begin(t);
    while (reini_tabular_more(t)) {
        reini_transition x = reini_tabular_step(t, reini_tabular_choose(t));
        double value =
            x.terminated ? 0 : reini_explore_value(&t->explore, reini_q_row(t, x.next), t->A, t->mask);
        reini_tabular_learn(t, t->policy->q, reini_entry(t, x.s, x.a), x.r + t->gamma * value);
        if (x.ended)
            reini_tabular_reset(t);
    }
    reini_tabular_report(t, report);
}

static rein_status expected_sarsa_check(const void *config, const reini_context *context) {
    return reini_tabular_check("expected-sarsa", context);
}

static rein_status expected_sarsa_create(const void *config, const reini_context *context, void **self) {
    return reini_control_create("expected-sarsa", config, context, self);
}

const reini_algo reini_algo_expected_sarsa = {
    .name = "expected-sarsa",
    .doc = "on-policy control: one-step targets with the mean over the next action",
    .family = REINI_TABULAR,
    .fields = reini_control_fields,
    .n_fields = REINI_CONTROL_FIELDS_COUNT,
    .config_size = sizeof(reini_control_config),
    .metrics = reini_control_metrics,
    .n_metrics = REINI_LEARNING_METRICS_COUNT,
    .key_metric = REINI_METRIC_CHANGE,
    .check = expected_sarsa_check,
    .create = expected_sarsa_create,
    .destroy = reini_control_destroy,
    .iterate = expected_sarsa_iterate,
    .visit = reini_control_visit,
    .extend = reini_tabular_extend,
    .policy = reini_tabular_policy,
};
