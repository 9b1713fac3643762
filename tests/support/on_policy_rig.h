/*
 * on_policy_rig.h - on-policy methods made from a line of settings, without a trainer around them.
 */
#ifndef ON_POLICY_RIG_H
#define ON_POLICY_RIG_H

#include <math.h>
#include <stdlib.h>
#include "algo/algo.h"
#include "support/settings.h"

/* "name=value name=value" over the defaults */
static inline void rig_configure(const reini_algo *algo, void *config, const char *settings) {
    memset(config, 0, algo->config_size);
    settings_set(algo->fields, algo->n_fields, config, "%s", settings);
}

/* the algorithm's state; env is opened */
static inline void *rig_make(const reini_algo *algo, const rein_env_type *env, const char *settings,
                             rein_pool *pool) {
    void *config = calloc(1, algo->config_size), *self = NULL;
    reini_context context = {.env = env, .seed = 3, .total_steps = 100000, .pool = pool};
    rig_configure(algo, config, settings);
    assert_ok(algo->check(config, &context));
    assert_ok(algo->create(config, &context, &self));
    free(config);
    return self;
}

/* what check says about settings */
static inline rein_status rig_check(const reini_algo *algo, const rein_env_type *env, const char *settings) {
    void *config = calloc(1, algo->config_size);
    reini_context context = {.env = env, .seed = 3, .total_steps = 100000};
    rig_configure(algo, config, settings);
    rein_status status = algo->check(config, &context);
    free(config);
    return status;
}

static inline reini_report rig_iterate(const reini_algo *algo, void *self, int times) {
    reini_report report = {0};
    for (int i = 0; i < times; i++) {
        report = (reini_report){0};
        for (int m = 0; m < REINI_METRICS_MAX; m++)
            report.metric[m] = NAN;
        algo->iterate(self, &report);
        assert_ok(report.failed);
    }
    return report;
}

#endif
