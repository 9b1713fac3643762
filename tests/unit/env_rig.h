/*
 * env_rig.h - a vector of environments with its slab, random actions and a hash of all outputs.
 */
#ifndef REIN_TEST_ENV_RIG_H
#define REIN_TEST_ENV_RIG_H

#include <stdlib.h>
#include <string.h>
#include <rein/env.h>
#include "support/check.h"

typedef struct env_rig {
    rein_vec *vec;
    int n;
    rein_rng rng; /* of the actions */
    void *action;
    rein_slab slab;
} env_rig;

/* Whether a type can be opened with its defaults: all but the one that needs a file. */
static inline bool rig_opens(const rein_env_type *type) {
    return strcmp(type->id, "Mdp-v0") != 0;
}

static inline void *rig_array(size_t n, size_t size) {
    void *array = calloc(n > 0 ? n : 1, size > 0 ? size : 1);
    assert_non_null(array);
    return array;
}

static inline env_rig rig_make(const rein_env_type *type, const rein_vec_opts *opts) {
    env_rig rig = {.n = opts->n, .rng = rein_rng_make(99, 0)};
    size_t n = (size_t)opts->n, obs = rein_space_bytes(&type->obs);
    assert_ok(rein_vec_new(type, opts, &rig.vec));
    rig.action = rig_array(n, rein_space_bytes(&type->act));
    rig.slab = (rein_slab){
        .action = rig.action,
        .obs = rig_array(n, obs),
        .reward = rig_array(n, sizeof(float)),
        .terminated = rig_array(n, 1),
        .truncated = rig_array(n, 1),
        .final_obs = rig_array(n, obs),
        .mask = rig_array(n, (size_t)rein_space_logits(&type->act)),
        .ep_return = rig_array(n, sizeof(float)),
        .ep_length = rig_array(n, sizeof(int32_t)),
        .cost = rig_array(n * (size_t)type->n_costs, sizeof(float)),
        .ep_cost = rig_array(n * (size_t)type->n_costs, sizeof(float)),
    };
    return rig;
}

static inline void rig_free(env_rig *rig) {
    rein_vec_free(rig->vec);
    free(rig->action);
    free(rig->slab.obs);
    free(rig->slab.reward);
    free(rig->slab.terminated);
    free(rig->slab.truncated);
    free(rig->slab.final_obs);
    free(rig->slab.mask);
    free(rig->slab.ep_return);
    free(rig->slab.ep_length);
    free(rig->slab.cost);
    free(rig->slab.ep_cost);
}

/* Uniform actions; those for boxes reach beyond the bounds by half. */
static inline void rig_draw(env_rig *rig) {
    const rein_space *act = &rein_vec_type(rig->vec)->act;
    for (int i = 0; i < rig->n * act->size; i++) {
        int k = i % act->size;
        if (act->kind == REIN_SPACE_BOX)
            ((float *)rig->action)[i] =
                rein_rng_range(&rig->rng, -1.5f, 1.5f) * (act->high ? act->high[k] : 1);
        else
            ((int32_t *)rig->action)[i] = (int32_t)rein_rng_below(&rig->rng, (uint32_t)act->n[k]);
    }
}

static inline void rig_step(env_rig *rig) {
    rig_draw(rig);
    rein_vec_step(rig->vec, 0, rig->n, &rig->slab);
}

/* FNV-1a */
static inline uint64_t rig_hash_bytes(uint64_t hash, const void *data, size_t bytes) {
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * 0x100000001B3u;
    return hash;
}

/* All outputs as they stand. */
static inline uint64_t rig_hash(const env_rig *rig, uint64_t hash) {
    const rein_env_type *type = rein_vec_type(rig->vec);
    size_t n = (size_t)rig->n, obs = rein_space_bytes(&type->obs);
    hash = rig_hash_bytes(hash, rig->slab.obs, n * obs);
    hash = rig_hash_bytes(hash, rig->slab.final_obs, n * obs);
    hash = rig_hash_bytes(hash, rig->slab.reward, n * sizeof(float));
    hash = rig_hash_bytes(hash, rig->slab.terminated, n);
    hash = rig_hash_bytes(hash, rig->slab.truncated, n);
    hash = rig_hash_bytes(hash, rig->slab.mask, n * (size_t)rein_space_logits(&type->act));
    hash = rig_hash_bytes(hash, rig->slab.ep_return, n * sizeof(float));
    size_t costs = n * (size_t)type->n_costs * sizeof(float);
    hash = rig_hash_bytes(hash, rig->slab.cost, costs);
    hash = rig_hash_bytes(hash, rig->slab.ep_cost, costs);
    return rig_hash_bytes(hash, rig->slab.ep_length, n * sizeof(int32_t));
}

/* Steps and hashes the outputs of every step. */
static inline uint64_t rig_run(env_rig *rig, int steps) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (int t = 0; t < steps; t++) {
        rig_step(rig);
        hash = rig_hash(rig, hash);
    }
    return hash;
}

#endif
