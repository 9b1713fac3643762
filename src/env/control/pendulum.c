/*
 * pendulum.c - Pendulum-v1: swing a pendulum up and hold it with a weak motor.
 *
 * Source: Gymnasium's Pendulum-v1. theta is 0 upright, u the torque in [-2, 2]:
 *
 *     reward    = -(theta^2 + 0.1 theta_dot^2 + 0.001 u^2), theta in [-pi, pi), before the step
 *     theta_dot <- clip(theta_dot + (3 g / (2 l) sin theta + 3 / (m l^2) u) dt, +-max_speed)
 *     theta     <- theta + theta_dot dt
 *
 * The process never terminates. The observation is (cos theta, sin theta, theta_dot).
 *
 * Deviations: 32-bit state where Gymnasium has 64; theta is wrapped before each step, while Gymnasium lets it
 * grow (observation and reward have the period 2 pi, and a small angle keeps its precision).
 */
#include <rein/env.h>
#include "env/env_math.h"
#include "env/env_simd.h"
#include "env/env_types.h"

#define PENDULUM_FIELDS(F, E)                                                                                \
    F(REAL, g, "10", -1000, 1000, "gravity [m/s^2]")                                                         \
    F(REAL, m, "1", 0.001, 1000, "mass [kg]")                                                                \
    F(REAL, l, "1", 0.01, 1000, "length [m]")                                                                \
    F(REAL, dt, "0.05", 1e-5, 0.5, "time step [s]")                                                          \
    F(REAL, max_speed, "8", 0.01, 1000, "limit of the angular velocity [rad/s]")                             \
    F(REAL, max_torque, "2", 0, 2, "limit of the torque, at most that of the action space [N m]")            \
    F(REAL, start_angle, "3.141592653589793", 0, 3.2, "the angle starts uniform in +- this [rad]")           \
    F(REAL, start_speed, "1", 0, 1000, "the angular velocity starts uniform in +- this [rad/s]")

typedef struct pendulum_config {
    REIN_FIELDS_STRUCT(PENDULUM_FIELDS)
} pendulum_config;

#define REIN_FIELD_OWNER pendulum_config
static const rein_field pendulum_fields[] = {REIN_FIELDS_TABLE(PENDULUM_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct pendulum_state {
    real theta, theta_dot; /* from upright [rad], within pi and one step; [rad/s] */
} pendulum_state;

typedef struct pendulum_model {
    real gravity; /* 3 g / (2 l) */
    real inertia; /* 3 / (m l^2) */
    real dt, max_speed, max_torque;
} pendulum_model;

REINI_INLINE pendulum_model pendulum_model_of(const void *config) {
    const pendulum_config *c = config;
    pendulum_model m = {
        .gravity = R(3 * c->g / (2 * c->l)),
        .inertia = R(3 / (c->m * c->l * c->l)),
        .dt = R(c->dt),
        .max_speed = R(c->max_speed),
        .max_torque = R(c->max_torque),
    };
    return m;
}

/* Moves the state by one step and returns the reward. */
REINI_INLINE float pendulum_move(const pendulum_model *m, pendulum_state *s, float action) {
    real theta = real_wrap_angle(s->theta), theta_dot = s->theta_dot;
    real u = real_clip(R(action), -m->max_torque, m->max_torque);
    real cost = theta * theta + R(0.1) * (theta_dot * theta_dot) + R(0.001) * (u * u);
    real sine, cosine;
    real_sincos(theta, &sine, &cosine);
    theta_dot += (m->gravity * sine + m->inertia * u) * m->dt;
    theta_dot = real_clip(theta_dot, -m->max_speed, m->max_speed);
    s->theta = theta + theta_dot * m->dt;
    s->theta_dot = theta_dot;
    return (float)-cost;
}

REINI_INLINE void pendulum_write(const pendulum_state *s, float *obs) {
    real sine, cosine;
    real_sincos(s->theta, &sine, &cosine);
    obs[0] = (float)cosine;
    obs[1] = (float)sine;
    obs[2] = (float)s->theta_dot;
}

static void pendulum_reset(const void *config, void *state, rein_rng *rng) {
    const pendulum_config *c = config;
    pendulum_state *s = state;
    float angle = (float)c->start_angle, speed = (float)c->start_speed;
    s->theta = rein_rng_range(rng, -angle, angle);
    s->theta_dot = rein_rng_range(rng, -speed, speed);
}

static rein_step pendulum_step(const void *config, void *state, const void *action, rein_rng *rng) {
    pendulum_model m = pendulum_model_of(config);
    return (rein_step){.reward = pendulum_move(&m, state, *(const float *)action)};
}

static void pendulum_observe(const void *config, const void *state, void *obs) {
    pendulum_write(state, obs);
}

REINI_INLINE int pendulum_lane(const pendulum_model *m, pendulum_state *s, float action, float *reward,
                               float *obs) {
    *reward = pendulum_move(m, s, action);
    pendulum_write(s, obs);
    return 0;
}
REINI_STEP_RANGE(pendulum, float, 3)

static const float pendulum_low[3] = {-1, -1, -8};
static const float pendulum_high[3] = {1, 1, 8};
static const float pendulum_torque_low[1] = {-2};
static const float pendulum_torque_high[1] = {2};

const rein_env_type reini_env_pendulum = {
    .abi = REIN_ENV_ABI,
    .id = "Pendulum-v1",
    .doc = "swing a pendulum up and hold it with a weak motor; reward minus the squared errors",
    .obs = REINI_BOX(3, pendulum_low, pendulum_high),
    .act = REINI_BOX(1, pendulum_torque_low, pendulum_torque_high),
    .horizon = 200,
    .state_size = sizeof(pendulum_state),
    REINI_ENV_FIELDS(pendulum_config, pendulum_fields),
    .reward_threshold = NAN,
    .reset = pendulum_reset,
    .step = pendulum_step,
    .observe = pendulum_observe,
    .step_range = pendulum_range,
};

/* ---- without velocities, for policies that remember ----------------------------------------------------- */

static void pendulum_observe_positions(const void *config, const void *state, void *obs) {
    float all[3], *positions = obs;
    pendulum_write(state, all);
    positions[0] = all[0];
    positions[1] = all[1];
}

static const float pendulum_low_positions[2] = {-1, -1};
static const float pendulum_high_positions[2] = {1, 1};

const rein_env_type reini_env_pendulum_no_velocity = {
    .abi = REIN_ENV_ABI,
    .id = "PendulumNoVel-v1",
    .doc = "swing a pendulum up and hold it with a weak motor, velocities hidden; reward minus the squared "
           "errors",
    .obs = REINI_BOX(2, pendulum_low_positions, pendulum_high_positions),
    .act = REINI_BOX(1, pendulum_torque_low, pendulum_torque_high),
    .horizon = 200,
    .state_size = sizeof(pendulum_state),
    REINI_ENV_FIELDS(pendulum_config, pendulum_fields),
    .reward_threshold = NAN,
    .reset = pendulum_reset,
    .step = pendulum_step,
    .observe = pendulum_observe_positions,
};
