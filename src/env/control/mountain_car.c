/*
 * mountain_car.c - MountainCar-v0: rock an underpowered car out of a valley.
 *
 * Source: Moore, "Efficient memory-based learning for robot control", 1990, as in Gymnasium's MountainCar-v0.
 * With the action a in {0, 1, 2}:
 *
 *     velocity <- clip(velocity + (a - 1) force - gravity cos(3 position), +-max_speed)
 *     position <- clip(position + velocity, -1.2, 0.6);  the left wall stops the car: velocity 0
 *
 * The episode terminates at position >= goal_position with velocity >= goal_velocity. Reward -1 per step, the
 * last one included.
 *
 * Deviations: 32-bit state where Gymnasium has 64. The bound of the speed in the observation space is that of
 * the default max_speed.
 */
#include <rein/env.h>
#include "env/env_math.h"
#include "env/env_simd.h"
#include "env/env_types.h"

#define MOUNTAIN_CAR_FIELDS(F, E)                                                                            \
    F(REAL, force, "0.001", 0, 1, "acceleration by the engine [per step^2]")                                 \
    F(REAL, gravity, "0.0025", 0, 1, "acceleration on the steepest slope [per step^2]")                      \
    F(REAL, max_speed, "0.07", 1e-6, 1, "limit of the speed [per step]")                                     \
    F(REAL, goal_position, "0.5", -1.2, 0.6, "position of the flag")                                         \
    F(REAL, goal_velocity, "0", -1, 1, "least velocity at the flag")                                         \
    F(REAL, start_low, "-0.6", -1.2, 0.6, "the car starts uniformly above this position,")                   \
    F(REAL, start_high, "-0.4", -1.2, 0.6, "and below this one, at rest")

typedef struct mountain_car_config {
    REIN_FIELDS_STRUCT(MOUNTAIN_CAR_FIELDS)
} mountain_car_config;

#define REIN_FIELD_OWNER mountain_car_config
static const rein_field mountain_car_fields[] = {REIN_FIELDS_TABLE(MOUNTAIN_CAR_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct mountain_car_state {
    real position, velocity;
} mountain_car_state;

typedef struct mountain_car_model {
    real force, gravity, max_speed, goal_position, goal_velocity;
} mountain_car_model;

REINI_INLINE mountain_car_model mountain_car_model_of(const void *config) {
    const mountain_car_config *c = config;
    mountain_car_model m = {
        .force = R(c->force),
        .gravity = R(c->gravity),
        .max_speed = R(c->max_speed),
        .goal_position = R(c->goal_position),
        .goal_velocity = R(c->goal_velocity),
    };
    return m;
}

/* Moves the state by one step; 1 when the episode terminates. */
REINI_INLINE int mountain_car_move(const mountain_car_model *m, mountain_car_state *s, int32_t action) {
    const real left = R(-1.2), right = R(0.6);
    real sine, cosine;
    real_sincos(R(3) * s->position, &sine, &cosine);
    real velocity = s->velocity + (R(action - 1) * m->force - m->gravity * cosine);
    velocity = real_clip(velocity, -m->max_speed, m->max_speed);
    real position = real_clip(s->position + velocity, left, right);
    real forward = velocity < 0 ? R(0) : velocity;
    velocity = position == left ? forward : velocity;
    s->position = position;
    s->velocity = velocity;
    return (position >= m->goal_position) & (velocity >= m->goal_velocity);
}

REINI_INLINE void mountain_car_write(const mountain_car_state *s, float *obs) {
    obs[0] = (float)s->position;
    obs[1] = (float)s->velocity;
}

static void mountain_car_reset(const void *config, void *state, rein_rng *rng) {
    const mountain_car_config *c = config;
    mountain_car_state *s = state;
    s->position = rein_rng_range(rng, (float)c->start_low, (float)c->start_high);
    s->velocity = 0;
}

static rein_step mountain_car_step(const void *config, void *state, const void *action, rein_rng *rng) {
    mountain_car_model m = mountain_car_model_of(config);
    bool end = mountain_car_move(&m, state, *(const int32_t *)action);
    return (rein_step){.reward = -1, .terminated = end};
}

static void mountain_car_observe(const void *config, const void *state, void *obs) {
    mountain_car_write(state, obs);
}

REINI_INLINE int mountain_car_lane(const mountain_car_model *m, mountain_car_state *s, int32_t action,
                                   float *reward, float *obs) {
    int end = mountain_car_move(m, s, action);
    mountain_car_write(s, obs);
    *reward = -1;
    return end;
}
REINI_STEP_RANGE(mountain_car, int32_t, 2)

static const float mountain_car_low[2] = {-1.2f, -0.07f};
static const float mountain_car_high[2] = {0.6f, 0.07f};

const rein_env_type reini_env_mountain_car = {
    .abi = REIN_ENV_ABI,
    .id = "MountainCar-v0",
    .doc = "rock an underpowered car out of a valley; reward -1 per step",
    .obs = REINI_BOX(2, mountain_car_low, mountain_car_high),
    .act = REINI_DISCRETE(3),
    .horizon = 200,
    .state_size = sizeof(mountain_car_state),
    REINI_ENV_FIELDS(mountain_car_config, mountain_car_fields),
    .reward_threshold = -110,
    .reset = mountain_car_reset,
    .step = mountain_car_step,
    .observe = mountain_car_observe,
    .step_range = mountain_car_range,
};

/* ---- without velocities, for policies that remember ----------------------------------------------------- */

static void mountain_car_observe_positions(const void *config, const void *state, void *obs) {
    *(float *)obs = (float)((const mountain_car_state *)state)->position;
}

static const float mountain_car_low_positions[1] = {-1.2f};
static const float mountain_car_high_positions[1] = {0.6f};

const rein_env_type reini_env_mountain_car_no_velocity = {
    .abi = REIN_ENV_ABI,
    .id = "MountainCarNoVel-v0",
    .doc = "rock an underpowered car out of a valley, velocities hidden; reward -1 per step",
    .obs = REINI_BOX(1, mountain_car_low_positions, mountain_car_high_positions),
    .act = REINI_DISCRETE(3),
    .horizon = 200,
    .state_size = sizeof(mountain_car_state),
    REINI_ENV_FIELDS(mountain_car_config, mountain_car_fields),
    .reward_threshold = -110,
    .reset = mountain_car_reset,
    .step = mountain_car_step,
    .observe = mountain_car_observe_positions,
};
