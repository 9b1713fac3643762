/*
 * sft_rig.h - fine-tuning without a run around it: a method's state made from a line of settings, and its updates.
 */
#ifndef SFT_RIG_H
#define SFT_RIG_H

#include <math.h>
#include <stdlib.h>
#include "algo/language/lm_algo.h"
#include "support/settings.h"

#define SFT_GOLDEN REIN_SOURCE_DIR "/tests/golden/sft_trl"

typedef struct sft_rig {
    const reini_language *method;
    void *config, *self;
    rein_pool *pool;
    double metric[REINI_METRICS_MAX]; /* of the last update */
} sft_rig;

/* "name=value name=value" over the defaults */
static inline rein_status sft_try(sft_rig *r, int threads, const char *settings) {
    const reini_algo *algo = reini_algo_find("sft");
    assert_non_null(algo);
    *r = (sft_rig){.method = algo->language, .pool = rein_pool_new(threads)};
    assert_non_null(r->pool);
    r->config = calloc(1, r->method->config_size);
    rein_status status = settings_try(r->method->fields, r->method->n_fields, r->config, " ", settings);
    reini_lm_context context = {.pool = r->pool};
    if (status == REIN_OK)
        status = r->method->check(r->config);
    return status == REIN_OK ? reini_language_new(r->method, r->config, &context, &r->self) : status;
}

static inline void sft_free(sft_rig *r) {
    reini_language_free(r->method, r->self);
    rein_pool_free(r->pool);
    free(r->config);
    *r = (sft_rig){0};
}

static inline void sft_new(sft_rig *r, int threads, const char *settings) {
    assert_ok(sft_try(r, threads, settings));
}

/* one update; its metrics are in `metric` */
static inline void sft_step(sft_rig *r) {
    assert_ok(r->method->step(r->self));
    r->method->report(r->self, r->metric);
}

/* a metric of the last update by the name of its column */
static inline double sft_metric(const sft_rig *r, const char *column) {
    for (int i = 0; i < r->method->n_metrics; i++)
        if (strcmp(r->method->metrics[i], column) == 0)
            return r->metric[i];
    fail_msg("no metric %s", column);
    return NAN;
}

static inline void sft_digest(const sft_rig *r, char out[65]) {
    assert_ok(r->method->digest(r->self, out));
}

#endif
