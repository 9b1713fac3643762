/*
 * faulty.c - a library of environments, each with one fault, and one without.
 */
#include <math.h>
#include <string.h>
#include <rein/env.h>

typedef struct counter {
    int32_t steps; /* since the environment was made: resets do not touch it */
} counter;

static void reset(const void *config, void *state, rein_rng *rng) {
}

static rein_step step(const void *config, void *state, const void *action, rein_rng *rng) {
    counter *s = state;
    s->steps++;
    return (rein_step){.reward = 1};
}

static void observe(const void *config, const void *state, void *obs) {
    *(float *)obs = 1;
}

static rein_step nan_step(const void *config, void *state, const void *action, rein_rng *rng) {
    counter *s = state;
    return (rein_step){.reward = ++s->steps == 1003 ? NAN : 1};
}

static void nan_observe(const void *config, const void *state, void *obs) {
    *(float *)obs = ((const counter *)state)->steps == 1003 ? INFINITY : 1;
}

static void wide_reset(const void *config, void *state, rein_rng *rng) {
    memset(state, 0, sizeof(counter) + 8);
}

static void wide_observe(const void *config, const void *state, void *obs) {
    float *o = obs;
    o[0] = o[1] = 1;
}

static void nan_at_once(const void *config, const void *state, void *obs) {
    *(float *)obs = NAN;
}

static void no_action(const void *config, const void *state, uint8_t *mask) {
    memset(mask, 0, 2);
}

#define TYPE(id_, ...)                                                                                       \
    {                                                                                                        \
        .abi = REIN_ENV_ABI, .id = id_, .doc = "test",                                                       \
        .obs = {.kind = REIN_SPACE_BOX, .size = 1, .shape = {1}},                                            \
        .act = {.kind = REIN_SPACE_DISCRETE, .size = 1, .n = {2}}, .horizon = 20,                            \
        .state_size = sizeof(counter), .reward_threshold = NAN, .reset = reset, .step = step,                \
        .observe = observe, __VA_ARGS__                                                                      \
    }

#pragma GCC diagnostic ignored "-Woverride-init"
static const rein_env_type types[] = {
    TYPE("Fine-v0", .doc = "no fault"),           TYPE("NanReward-v0", .step = nan_step),
    TYPE("NanObs-v0", .observe = nan_observe),    TYPE("NanAtOnce-v0", .observe = nan_at_once),
    TYPE("WideState-v0", .reset = wide_reset),    TYPE("WideObs-v0", .observe = wide_observe),
    TYPE("NoAction-v0", .mask = no_action),       TYPE("NoStep-v0", .step = NULL),
    TYPE("WrongAbi-v0", .abi = REIN_ENV_ABI + 1),
};

REIN_API const rein_env_type *rein_env_plugin(int i);
const rein_env_type *rein_env_plugin(int i) {
    return i < (int)(sizeof types / sizeof *types) ? &types[i] : NULL;
}
