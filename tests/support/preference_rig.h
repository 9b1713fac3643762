/*
 * preference_rig.h - a method on language models without a run around it: its state made from a line of settings, its
 * updates, its state saved and loaded.
 */
#ifndef PREFERENCE_RIG_H
#define PREFERENCE_RIG_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "algo/language/lm_algo.h"
#include "support/golden.h"
#include "support/settings.h"
#include "support/temp_dir.h"

#define LM_MODEL         REIN_SOURCE_DIR "/tests/golden/sft_trl/model"
#define PREFERENCE_FILES REIN_SOURCE_DIR "/tests/golden/preference_trl"

typedef struct rig {
    const reini_language *method;
    void *config, *self;
    rein_pool *pool;
    double metric[REINI_METRICS_MAX]; /* of the last update */
} rig;

/* "name=value name=value" over the defaults; release r after success and failure alike */
static inline rein_status rig_try(rig *r, const char *name, int threads, const char *settings) {
    const reini_algo *algo = reini_algo_find(name);
    assert_non_null(algo);
    *r = (rig){.method = algo->language, .pool = rein_pool_new(threads)};
    assert_non_null(r->pool);
    r->config = calloc(1, r->method->config_size);
    rein_status status = settings_try(r->method->fields, r->method->n_fields, r->config, " ", settings);
    reini_lm_context context = {.pool = r->pool};
    if (status == REIN_OK)
        status = r->method->check(r->config);
    return status == REIN_OK ? reini_language_new(r->method, r->config, &context, &r->self) : status;
}

static inline void rig_free(rig *r) {
    reini_language_free(r->method, r->self);
    rein_pool_free(r->pool);
    free(r->config);
    *r = (rig){0};
}

static inline void rig_refuses(const char *name, const char *settings, rein_status status,
                               const char *words) {
    rig r;
    assert_fails(rig_try(&r, name, 1, settings), status, words);
    rig_free(&r);
}

/* made, and so many updates later */
static inline void rig_steps(rig *r, const char *name, int threads, int steps, const char *settings) {
    assert_ok(rig_try(r, name, threads, settings));
    for (int k = 0; k < steps; k++) {
        assert_ok(r->method->step(r->self));
        r->method->report(r->self, r->metric);
    }
}

static inline void rig_step(rig *r) {
    assert_ok(r->method->step(r->self));
    r->method->report(r->self, r->metric);
}

/* a metric of the last update by the name of its column */
static inline double rig_metric(const rig *r, const char *column) {
    for (int i = 0; i < r->method->n_metrics; i++)
        if (strcmp(r->method->metrics[i], column) == 0)
            return r->metric[i];
    fail_msg("no metric %s", column);
    return NAN;
}

static inline void rig_close(double a, double b, double share, const char *what) {
    if (!(fabs(a - b) <= share * fabs(b) + 1e-12))
        fail_msg("%s: %.9g and %.9g", what, a, b);
}

/* every metric but those named is equal within a share */
static inline void rig_same_metrics(const rig *a, const rig *b, double share) {
    for (int i = 0; i < a->method->n_metrics; i++)
        if (!isnan(b->metric[i]) || !isnan(a->metric[i]))
            rig_close(a->metric[i], b->metric[i], share, a->method->metrics[i]);
}

static inline void rig_same_bits(const rig *a, const rig *b) {
    char x[65], y[65];
    assert_ok(a->method->digest(a->self, x));
    assert_ok(b->method->digest(b->self, y));
    assert_string_equal(x, y);
}

static inline void rig_visit(rig *r, const char *file, bool load) {
    reini_archive *ar;
    json_t *header = json_pack("{s:s}", "kind", "test");
    if (load)
        assert_ok(reini_archive_open(file, &ar, NULL));
    else
        assert_ok(reini_archive_create(file, header, &ar));
    assert_ok(r->method->visit(r->self, ar));
    assert_ok(reini_archive_finish(ar));
    json_decref(header);
}

/* what every method must do: the same in one batch and in several, with any threads, and after an interruption */
static inline void rig_check_method(const char *name, const char *base, double share) {
    char settings[2048];
    rig large, small;
    snprintf(settings, sizeof settings, "%s per_device_train_batch_size=12", base);
    rig_steps(&large, name, 1, 4, settings);
    snprintf(settings, sizeof settings, "%s per_device_train_batch_size=3 gradient_accumulation_steps=4",
             base);
    rig_steps(&small, name, 3, 4, settings);
    rig_same_metrics(&small, &large, share);
    rig_free(&small);
    snprintf(settings, sizeof settings, "%s per_device_train_batch_size=12", base);
    rig_steps(&small, name, 3, 2, settings);
    rig_visit(&small, temp_path("state"), false);
    rig_free(&small);
    rig_steps(&small, name, 2, 1, settings);
    rig_visit(&small, temp_path("state"), true);
    rig_step(&small);
    rig_step(&small);
    rig_same_metrics(&small, &large, 0);
    rig_same_bits(&small, &large);
    rig_free(&small);
    rig_free(&large);
}

/* creating a method fails in good order at every allocation it makes: nothing is left */
static inline void rig_check_memory(const char *name, const char *settings) {
    uint64_t live = 0;
    rein_status status = REIN_NOMEM;
    for (uint64_t n = 1; status == REIN_NOMEM; n += n < 60 ? 1 : 17) {
        const reini_algo *algo = reini_algo_find(name);
        rig r;
        rig_steps(&r, name, 1, 0, settings); /* its config, and a state to see that it can be made */
        reini_language_free(algo->language, r.self);
        r.self = NULL;
        live = reini_memory_now().live_bytes;
        reini_lm_context context = {.pool = r.pool};
        reini_memory_fail(n, false);
        status = reini_language_new(algo->language, r.config, &context, &r.self);
        reini_memory_fail(0, false);
        if (status == REIN_OK)
            reini_language_free(algo->language, r.self);
        r.self = NULL;
        assert_int_equal(reini_memory_now().live_bytes, live);
        assert_true(n > 3 || status == REIN_NOMEM);
        rig_free(&r);
    }
    assert_ok(status);
}

/* a run of tests/golden/preference_trl/trl.json beside the method, column by column: the first update within 1e-5, those
 * after it within `share`, of a number or of 0.1 where it is smaller */
static inline void rig_track(const char *name, const char *golden, int steps, const char *settings,
                             const char *const (*columns)[2], int n_columns, double share) {
    json_t *root = golden_read("preference_trl/trl.json"), *run = golden_at(root, golden);
    rig r;
    double largest[2] = {0, 0};
    rig_steps(&r, name, 2, 0, settings);
    for (int k = 0; k < steps; k++) {
        rig_step(&r);
        for (int c = 0; c < n_columns; c++) {
            double wanted = json_number_value(json_array_get(golden_at(run, columns[c][1]), (size_t)k));
            double found = rig_metric(&r, columns[c][0]),
                   apart = fabs(found - wanted) / fmax(0.1, fabs(wanted));
            largest[k > 0] = fmax(largest[k > 0], apart);
            if (!(apart <= (k == 0 ? 1e-5 : share)))
                fail_msg("%s, update %d, %s: %.9g, TRL %.9g", golden, k + 1, columns[c][0], found, wanted);
        }
    }
    print_message("%s: largest difference %.2g in the first update, %.2g in %d more\n", golden, largest[0],
                  largest[1], steps - 1);
    rig_free(&r);
    json_decref(root);
}

#endif
