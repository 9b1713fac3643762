/*
 * env_counter.h - a user's environment that counts its steps: the number so far is observation and reward.
 *
 * Terminates after `length` steps, truncates itself after `cut`, 0 = never. The start is a random multiple of
 * 10000, so that episodes and streams can be told apart. counter_type has plain states, counter_handle_type
 * keeps the same in memory of its own.
 */
#ifndef REIN_TEST_ENV_COUNTER_H
#define REIN_TEST_ENV_COUNTER_H

#include <stdlib.h>
#include <rein/env.h>

#define COUNTER_FIELDS(F, E)                                                                                 \
    F(INT, length, "5", 0, 1000000, "steps to termination, 0 = never")                                       \
    F(INT, cut, "0", 0, 1000000, "steps to the environment's own cut, 0 = never")

typedef struct counter_config {
    REIN_FIELDS_STRUCT(COUNTER_FIELDS)
} counter_config;

#define REIN_FIELD_OWNER counter_config
static const rein_field counter_fields[] = {REIN_FIELDS_TABLE(COUNTER_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct counter_state {
    int32_t start; /* a multiple of 10000 */
    int32_t steps;
} counter_state;

static int counter_handles;               /* created and not destroyed */
static int counter_handles_max = 1 << 30; /* creating more fails */

static inline void counter_reset(const void *config, void *state, rein_rng *rng) {
    counter_state *s = state;
    s->start = 10000 * (int32_t)rein_rng_below(rng, 10);
    s->steps = 0;
}

static inline rein_step counter_step(const void *config, void *state, const void *action, rein_rng *rng) {
    const counter_config *c = config;
    counter_state *s = state;
    s->steps++;
    return (rein_step){
        .reward = (float)s->steps,
        .terminated = s->steps == c->length,
        .truncated = s->steps == c->cut,
    };
}

static inline void counter_observe(const void *config, const void *state, void *obs) {
    const counter_state *s = state;
    *(float *)obs = (float)(s->start + s->steps);
}

static inline void *counter_create(const void *config) {
    if (counter_handles >= counter_handles_max)
        return NULL;
    counter_handles++;
    return calloc(1, sizeof(counter_state));
}

static inline void counter_destroy(void *handle) {
    counter_handles--;
    free(handle);
}

static inline void counter_save(const void *handle, void *buffer) {
    memcpy(buffer, handle, sizeof(counter_state));
}

static inline void counter_load(void *handle, const void *buffer) {
    memcpy(handle, buffer, sizeof(counter_state));
}

#define COUNTER_TYPE(name)                                                                                   \
    .abi = REIN_ENV_ABI, .id = name, .doc = "counts its steps",                                              \
    .obs = {.kind = REIN_SPACE_BOX, .size = 1, .shape = {1}},                                                \
    .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {2}}, .horizon = 8,                                 \
    .state_size = sizeof(counter_state), .config_size = sizeof(counter_config), .fields = counter_fields,    \
    .n_fields = 2, .reset = counter_reset, .step = counter_step, .observe = counter_observe

static const rein_env_type counter_type = {COUNTER_TYPE("test/Counter-v0")};
static const rein_env_type counter_handle_type = {
    COUNTER_TYPE("test/CounterHandle-v0"),
    .create = counter_create,
    .destroy = counter_destroy,
    .save = counter_save,
    .load = counter_load,
};

#endif
