/*
 * cartpole.c - CartPole-v1: balance a pole on a cart by pushing the cart left or right.
 *
 * Source: Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning control
 * problems", 1983; equations of Florian, "Correct equations for the dynamics of the cart-pole system", 2007,
 * as in Gymnasium's CartPole-v1. M = masscart + masspole, l = half the pole's length, F = +-force_mag:
 *
 *     temp     = (F + masspole l theta_dot^2 sin theta) / M
 *     theta_dd = (gravity sin theta - cos theta temp) / (l (4/3 - masspole cos^2 theta / M))
 *     x_dd     = temp - masspole l theta_dd cos theta / M
 *
 * advanced by one Euler step of tau seconds. The episode terminates when |x| > x_threshold or |theta| >
 * theta_threshold. Reward 1 per step, the last one included; with sutton_barto_reward 0, and -1 at the end.
 *
 * Deviations: 32-bit state where Gymnasium has 64; divisions by M are products with 1/M. The bounds of the
 * observation space are those of the default thresholds.
 */
#include <rein/env.h>
#include "env/env_math.h"
#include "env/env_simd.h"
#include "env/env_types.h"

#define CARTPOLE_FIELDS(F, E)                                                                                \
    F(REAL, gravity, "9.8", 0, 1000, "gravity [m/s^2]")                                                      \
    F(REAL, masscart, "1", 0.001, 1000, "mass of the cart [kg]")                                             \
    F(REAL, masspole, "0.1", 0.001, 1000, "mass of the pole [kg]")                                           \
    F(REAL, length, "0.5", 0.001, 1000, "half the length of the pole [m]")                                   \
    F(REAL, force_mag, "10", 0, 10000, "size of the push [N]")                                               \
    F(REAL, tau, "0.02", 1e-5, 0.5, "time step [s]")                                                         \
    F(REAL, x_threshold, "2.4", 0.01, 1000, "distance from the centre that ends the episode [m]")            \
    F(REAL, theta_threshold, "0.20943951023931953", 0.001, 3.2, "angle that ends the episode [rad]")         \
    F(REAL, start_range, "0.05", 0, 1, "the four state variables start uniform in +- this")                  \
    F(BOOL, sutton_barto_reward, "false", 0, 1, "reward 0 per step and -1 at the end, instead of 1")         \
    E(integrator, "euler", "euler|semi_implicit", "which velocity moves the position: the old or the new")

typedef struct cartpole_config {
    REIN_FIELDS_STRUCT(CARTPOLE_FIELDS)
} cartpole_config;

#define REIN_FIELD_OWNER cartpole_config
static const rein_field cartpole_fields[] = {REIN_FIELDS_TABLE(CARTPOLE_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct cartpole_state {
    real x, x_dot;         /* [m], [m/s] */
    real theta, theta_dot; /* from upright, clockwise [rad], [rad/s] */
} cartpole_state;

/* The config in the precision and the combinations of the equations. */
typedef struct cartpole_model {
    real gravity, force, tau, x_threshold, theta_threshold;
    real masspole_length; /* masspole l */
    real inverse_mass;    /* 1 / M */
    real length_4_3;      /* 4 l / 3 */
    real length_ratio;    /* l masspole / M */
    float reward, reward_end;
    bool semi_implicit;
} cartpole_model;

REINI_INLINE cartpole_model cartpole_model_of(const void *config) {
    const cartpole_config *c = config;
    double inverse_mass = 1.0 / (c->masscart + c->masspole);
    cartpole_model m = {
        .gravity = R(c->gravity),
        .force = R(c->force_mag),
        .tau = R(c->tau),
        .x_threshold = R(c->x_threshold),
        .theta_threshold = R(c->theta_threshold),
        .masspole_length = R(c->masspole * c->length),
        .inverse_mass = R(inverse_mass),
        .length_4_3 = R(c->length * (4.0 / 3.0)),
        .length_ratio = R(c->length * c->masspole * inverse_mass),
        .reward = c->sutton_barto_reward ? 0 : 1,
        .reward_end = c->sutton_barto_reward ? -1 : 1,
        .semi_implicit = c->integrator == 1,
    };
    return m;
}

/* Moves the state by one step; 1 when the episode terminates. */
REINI_INLINE int cartpole_move(const cartpole_model *m, cartpole_state *s, int32_t action) {
    real sine, cosine;
    real_sincos(s->theta, &sine, &cosine);
    real force = action == 1 ? m->force : -m->force;
    real temp = (force + m->masspole_length * (s->theta_dot * s->theta_dot) * sine) * m->inverse_mass;
    real theta_dd =
        (m->gravity * sine - cosine * temp) / (m->length_4_3 - m->length_ratio * (cosine * cosine));
    real x_dd = temp - m->masspole_length * theta_dd * cosine * m->inverse_mass;

    real x_dot = s->x_dot + m->tau * x_dd;
    real theta_dot = s->theta_dot + m->tau * theta_dd;
    s->x += m->tau * (m->semi_implicit ? x_dot : s->x_dot);
    s->theta += m->tau * (m->semi_implicit ? theta_dot : s->theta_dot);
    s->x_dot = x_dot;
    s->theta_dot = theta_dot;
    return (s->x < -m->x_threshold) | (s->x > m->x_threshold) | (s->theta < -m->theta_threshold) |
           (s->theta > m->theta_threshold);
}

REINI_INLINE void cartpole_write(const cartpole_state *s, float *obs) {
    obs[0] = (float)s->x;
    obs[1] = (float)s->x_dot;
    obs[2] = (float)s->theta;
    obs[3] = (float)s->theta_dot;
}

static void cartpole_reset(const void *config, void *state, rein_rng *rng) {
    const cartpole_config *c = config;
    cartpole_state *s = state;
    float range = (float)c->start_range;
    s->x = rein_rng_range(rng, -range, range);
    s->x_dot = rein_rng_range(rng, -range, range);
    s->theta = rein_rng_range(rng, -range, range);
    s->theta_dot = rein_rng_range(rng, -range, range);
}

static rein_step cartpole_step(const void *config, void *state, const void *action, rein_rng *rng) {
    cartpole_model m = cartpole_model_of(config);
    bool end = cartpole_move(&m, state, *(const int32_t *)action);
    return (rein_step){.reward = end ? m.reward_end : m.reward, .terminated = end};
}

static void cartpole_observe(const void *config, const void *state, void *obs) {
    cartpole_write(state, obs);
}

REINI_INLINE int cartpole_lane(const cartpole_model *m, cartpole_state *s, int32_t action, float *reward,
                               float *obs) {
    int end = cartpole_move(m, s, action);
    cartpole_write(s, obs);
    *reward = end ? m->reward_end : m->reward;
    return end;
}
REINI_STEP_RANGE(cartpole, int32_t, 4)

static const float cartpole_low[4] = {-4.8f, -INFINITY, -0.41887903f, -INFINITY};
static const float cartpole_high[4] = {4.8f, INFINITY, 0.41887903f, INFINITY};

const rein_env_type reini_env_cartpole = {
    .abi = REIN_ENV_ABI,
    .id = "CartPole-v1",
    .doc = "balance a pole on a cart by pushing left or right; reward 1 per step",
    .obs = REINI_BOX(4, cartpole_low, cartpole_high),
    .act = REINI_DISCRETE(2),
    .horizon = 500,
    .state_size = sizeof(cartpole_state),
    REINI_ENV_FIELDS(cartpole_config, cartpole_fields),
    .reward_threshold = 475,
    .reset = cartpole_reset,
    .step = cartpole_step,
    .observe = cartpole_observe,
    .step_range = cartpole_range,
};

/* ---- without velocities, for policies that remember ----------------------------------------------------- */

static void cartpole_observe_positions(const void *config, const void *state, void *obs) {
    const cartpole_state *s = state;
    float *positions = obs;
    positions[0] = (float)s->x;
    positions[1] = (float)s->theta;
}

static const float cartpole_low_positions[2] = {-4.8f, -0.41887903f};
static const float cartpole_high_positions[2] = {4.8f, 0.41887903f};

const rein_env_type reini_env_cartpole_no_velocity = {
    .abi = REIN_ENV_ABI,
    .id = "CartPoleNoVel-v1",
    .doc = "balance a pole on a cart by pushing left or right, velocities hidden; reward 1 per step",
    .obs = REINI_BOX(2, cartpole_low_positions, cartpole_high_positions),
    .act = REINI_DISCRETE(2),
    .horizon = 500,
    .state_size = sizeof(cartpole_state),
    REINI_ENV_FIELDS(cartpole_config, cartpole_fields),
    .reward_threshold = 475,
    .reset = cartpole_reset,
    .step = cartpole_step,
    .observe = cartpole_observe_positions,
};
