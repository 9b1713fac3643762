/*
 * learner_rig.h - tabular learners made from a line of settings, without a trainer around them.
 */
#ifndef LEARNER_RIG_H
#define LEARNER_RIG_H

#include <stdlib.h>
#include "algo/algo.h"
#include "algo/tabular/learn.h"
#include "support/settings.h"

typedef struct learner {
    const reini_algo *algo;
    void *config, *self;
    reini_context context;
    reini_report report; /* of the last iteration */
} learner;

/* "name=value name=value" over the defaults; env is opened and outlives the learner */
static inline rein_status learner_try(learner *l, const char *algo, const rein_env_type *env,
                                      const char *settings, int64_t total_steps, uint64_t seed) {
    *l = (learner){.algo = reini_algo_find(algo)};
    assert_non_null(l->algo);
    l->context = (reini_context){.env = env, .seed = seed, .total_steps = total_steps};
    l->config = calloc(1, l->algo->config_size);
    settings_set(l->algo->fields, l->algo->n_fields, l->config, "%s", settings);
    rein_status status = l->algo->check(l->config, &l->context);
    return status == REIN_OK ? l->algo->create(l->config, &l->context, &l->self) : status;
}

static inline learner learner_new(const char *algo, const rein_env_type *env, const char *settings,
                                  int64_t total_steps, uint64_t seed) {
    learner l;
    assert_ok(learner_try(&l, algo, env, settings, total_steps, seed));
    return l;
}

static inline void learner_free(learner *l) {
    l->algo->destroy(l->self);
    free(l->config);
    *l = (learner){0};
}

/* what all learners begin with */
static inline reini_tabular *learner_tabular(const learner *l) {
    return l->self;
}

static inline reini_table_policy *learner_table(const learner *l) {
    return reini_table_of(l->algo->policy(l->self));
}

static inline void learner_iterate(learner *l) {
    l->report = (reini_report){.return_mean = NAN, .length_mean = NAN};
    for (int i = 0; i < REINI_METRICS_MAX; i++)
        l->report.metric[i] = NAN;
    l->algo->iterate(l->self, &l->report);
    if (l->report.failed != REIN_OK)
        fail_msg("%s: %s", l->algo->name, rein_error());
}

/* until the steps or the episodes are made */
static inline void learner_run(learner *l) {
    do
        learner_iterate(l);
    while (!l->report.done && !l->report.diverged && l->report.env_steps < l->context.total_steps);
}

/* a metric of the last iteration by the name of its column */
static inline double learner_metric(const learner *l, const char *column) {
    for (int i = 0; i < l->algo->n_metrics; i++)
        if (strcmp(l->algo->metrics[i], column) == 0)
            return l->report.metric[i];
    fail_msg("%s has no metric %s", l->algo->name, column);
    return NAN;
}

#endif
