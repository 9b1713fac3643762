/*
 * walks_env.h - an environment with masks whose episodes end by themselves or are cut after 8 steps, for tests of
 * recurrent policies.
 */
#ifndef WALKS_ENV_H
#define WALKS_ENV_H

#include <rein/env.h>

typedef struct walk {
    int32_t start, steps, terminate;
} walk;

static void walk_reset(const void *config, void *state, rein_rng *rng) {
    walk *s = state;
    s->start = (int32_t)rein_rng_below(rng, 100);
    s->steps = 0;
    s->terminate = 1 + (int32_t)rein_rng_below(rng, 12);
}

static rein_step walk_step(const void *config, void *state, const void *action, rein_rng *rng) {
    walk *s = state;
    s->steps++;
    return (rein_step){.reward = 0.25f * (float)(s->start % 7) - (float)*(const int32_t *)action,
                       .terminated = s->steps == s->terminate};
}

static void walk_observe(const void *config, const void *state, void *obs) {
    const walk *s = state;
    ((float *)obs)[0] = 0.02f * (float)s->start - 1;
    ((float *)obs)[1] = 0.25f * (float)s->steps - 1;
}

static void walk_mask(const void *config, const void *state, uint8_t *allowed) {
    const walk *s = state;
    for (int i = 0; i < 3; i++)
        allowed[i] = (s->start + s->steps + i) % 3 != 0;
}

static const rein_env_type walks = {
    .abi = REIN_ENV_ABI,
    .id = "test/Walks-v0",
    .doc = "ends by itself or after 8 steps",
    .obs = {.kind = REIN_SPACE_BOX, .size = 2, .shape = {2}},
    .act = {REIN_SPACE_DISCRETE, 1, {3}},
    .horizon = 8,
    .state_size = sizeof(walk),
    .reset = walk_reset,
    .step = walk_step,
    .observe = walk_observe,
    .mask = walk_mask,
};

#endif
