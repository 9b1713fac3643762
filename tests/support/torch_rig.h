/*
 * torch_rig.h - what tests against tests/reference/on_policy_torch.py share: environments of its spaces that are never
 * stepped, settings by name, its weights and batch in place of an algorithm's own, and comparing stores.
 */
#ifndef TORCH_RIG_H
#define TORCH_RIG_H

#include <math.h>
#include <stdio.h>
#include "algo/algo.h"
#include "rl/net.h"
#include "rl/rollout.h"
#include "support/golden.h"
#include "support/settings.h"

enum { TORCH_ROWS = 64, TORCH_MOST = 512 };

static void torch_reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step torch_step(const void *config, void *state, const void *action, rein_rng *rng) {
    return (rein_step){0};
}

static void torch_observe(const void *config, const void *state, void *obs) {
    memset(obs, 0, 3 * sizeof(float));
}

static void torch_mask(const void *config, const void *state, uint8_t *allowed) {
    memset(allowed, 1, 3);
}

#define TORCH_ENV(name, obs_size, ...)                                                                       \
    .abi = REIN_ENV_ABI, .id = name, .doc = "spaces only",                                                   \
    .obs = {.kind = REIN_SPACE_BOX, .size = obs_size, .shape = {obs_size}}, .act = __VA_ARGS__,              \
    .horizon = 64, .reset = torch_reset, .step = torch_step, .observe = torch_observe

/* A to D */
static const rein_env_type torch_envs[] = {
    {TORCH_ENV("Torch-v0", 4, {REIN_SPACE_DISCRETE, 1, {3}})},
    {TORCH_ENV("TorchBox-v0", 3, {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2}})},
    {TORCH_ENV("TorchMasked-v0", 4, {REIN_SPACE_DISCRETE, 1, {3}}), .mask = torch_mask},
    {TORCH_ENV("TorchParts-v0", 4, {REIN_SPACE_MULTI_DISCRETE, 2, {3, 2}})},
};

/* the settings "name=value name=value" over the defaults */
static inline void torch_settings(const reini_algo *algo, void *config, const char *settings) {
    settings_set(algo->fields, algo->n_fields, config, "%s", settings);
}

/* config is zeroed memory of the algorithm's config_size */
static inline void *torch_make(const reini_algo *algo, void *config, const char *settings,
                               const rein_env_type *env, rein_pool *pool) {
    reini_context context = {.env = env, .seed = 1, .total_steps = 1000000, .pool = pool};
    void *self = NULL;
    torch_settings(algo, config, settings);
    assert_ok(algo->check(config, &context));
    assert_ok(algo->create(config, &context, &self));
    return self;
}

static inline float *torch_parameter(rein_store *store, int i) {
    return (float *)rein_store_data(store) + rein_layout_at(rein_store_layout(store), i).offset;
}

static inline void torch_floats(const json_t *from, const char *name, float *out, int64_t n) {
    double values[TORCH_MOST];
    assert_true(n <= TORCH_MOST);
    golden_doubles(from, name, values, n);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)values[i];
}

/* the parameters that `from` has */
static inline void torch_write_store(rein_store *store, const json_t *from) {
    size_t found = 0;
    for (int k = 0; k < rein_layout_count(rein_store_layout(store)); k++) {
        rein_param_info info = rein_layout_at(rein_store_layout(store), k);
        if (json_object_get(from, info.name) == NULL)
            continue;
        torch_floats(from, info.name, torch_parameter(store, k), info.count);
        found++;
    }
    assert_int_equal(json_object_size(from), found);
}

/* observations, masks and actions; arrays of the rollout that are there */
static inline void torch_write_batch(reini_rollout *r, const json_t *batch, const rein_env_type *env) {
    double values[TORCH_MOST];
    torch_floats(batch, "obs", r->obs, TORCH_ROWS * r->obs_size);
    golden_doubles(batch, "actions", values, TORCH_ROWS * r->act_size);
    for (int i = 0; i < TORCH_ROWS * r->act_size; i++)
        if (env->act.kind == REIN_SPACE_BOX)
            ((float *)r->action)[i] = (float)values[i];
        else
            ((int32_t *)r->action)[i] = (int32_t)values[i];
    if (r->mask != NULL) {
        golden_doubles(batch, "mask", values, TORCH_ROWS * r->logits);
        for (int i = 0; i < TORCH_ROWS * r->logits; i++)
            r->mask[i] = (uint8_t)values[i];
    }
}

static double torch_worst; /* relative error of scalars so far */

static inline void torch_near(const char *what, int update, double found, double wanted, double tolerance) {
    double error = fabs(found - wanted) / fmax(1, fabs(wanted));
    torch_worst = fmax(torch_worst, error);
    if (!(error <= tolerance))
        fail_msg("%s of update %d: found %.9g, PyTorch %.9g", what, update + 1, found, wanted);
}

/* largest difference over the members of `wanted`, each relative to its largest number when `relative` */
static inline double torch_compare(rein_store *store, const json_t *wanted, bool relative, double tolerance) {
    double worst = 0;
    size_t found = 0;
    for (int k = 0; k < rein_layout_count(rein_store_layout(store)); k++) {
        rein_param_info info = rein_layout_at(rein_store_layout(store), k);
        double values[TORCH_MOST], most = 0, error = 0;
        if (json_object_get(wanted, info.name) == NULL)
            continue;
        golden_doubles(wanted, info.name, values, info.count);
        for (int64_t i = 0; i < info.count; i++) {
            most = fmax(most, fabs(values[i]));
            error = fmax(error, fabs(torch_parameter(store, k)[i] - values[i]));
        }
        error /= relative ? most : 1;
        if (!(error <= tolerance))
            fail_msg("%s: differs by %.3g", info.name, error);
        worst = fmax(worst, error);
        found++;
    }
    assert_int_equal(json_object_size(wanted), found);
    return worst;
}

static inline int torch_register(void) {
    for (size_t i = 0; i < sizeof torch_envs / sizeof *torch_envs; i++)
        if (rein_env_register(&torch_envs[i]) != REIN_OK) {
            fprintf(stderr, "%s\n", rein_error());
            return 1;
        }
    return 0;
}

#endif
