/*
 * acrobot.c - Acrobot-v1: swing the tip of a two-link arm, driven at the elbow, above a bar.
 *
 * Source: Sutton, "Generalization in reinforcement learning: successful examples using sparse coarse coding",
 * NIPS 1996; Sutton and Barto, "Reinforcement learning", 2018, section 11.3; as in Gymnasium's Acrobot-v1.
 * theta1 is the angle of the first link from hanging, theta2 that of the second from the first, u the torque
 * in {-1, 0, 1}, lc the distances to the centres of mass, I the moment of inertia of either link:
 *
 *     d1   = m1 lc1^2 + m2 (l1^2 + lc2^2 + 2 l1 lc2 cos theta2) + 2 I
 *     d2   = m2 (lc2^2 + l1 lc2 cos theta2) + I
 *     phi2 = m2 lc2 g sin(theta1 + theta2)
 *     phi1 = -m2 l1 lc2 sin theta2 (dtheta2^2 + 2 dtheta2 dtheta1) + (m1 lc1 + m2 l1) g sin theta1 + phi2
 *     ddtheta2 = (u + phi1 d2/d1 - m2 l1 lc2 dtheta1^2 sin theta2 - phi2) / (m2 lc2^2 + I - d2^2/d1)
 *     ddtheta1 = -(d2 ddtheta2 + phi1) / d1
 *
 * advanced by one step of the classical Runge-Kutta method, dt 0.2 s; then the angles are wrapped and the
 * velocities clipped to 4 pi and 9 pi. dynamics = nips leaves out the dtheta1^2 term, as the paper does.
 * Terminates when -cos theta1 - cos(theta1 + theta2) > 1, reward 0; else reward -1. The observation is
 * (cos theta1, sin theta1, cos theta2, sin theta2, dtheta1, dtheta2).
 *
 * Deviations: 32-bit state where Gymnasium has 64. The noise on the torque comes from a stream of the
 * episode's own, whose key is drawn at reset, so that a step needs nothing but the state. The length of the
 * second link, which the equations do not use, is left out.
 */
#include <rein/env.h>
#include "env/env_math.h"
#include "env/env_simd.h"
#include "env/env_types.h"

#define ACROBOT_FIELDS(F, E)                                                                                 \
    F(REAL, gravity, "9.8", 0, 1000, "gravity [m/s^2]")                                                      \
    F(REAL, link_mass_1, "1", 0.01, 100, "mass of the upper link [kg]")                                      \
    F(REAL, link_mass_2, "1", 0.01, 100, "mass of the lower link [kg]")                                      \
    F(REAL, link_length_1, "1", 0.01, 100, "length of the upper link [m]")                                   \
    F(REAL, link_com_1, "0.5", 0.01, 100, "joint to the centre of mass of the upper link [m]")               \
    F(REAL, link_com_2, "0.5", 0.01, 100, "joint to the centre of mass of the lower link [m]")               \
    F(REAL, link_moi, "1", 0.01, 100, "moment of inertia of either link [kg m^2]")                           \
    F(REAL, torque, "1", 0, 1000, "torque of actions 0 (negative) and 2 (positive) [N m]")                   \
    F(REAL, torque_noise_max, "0", 0, 1000, "uniform noise in +- this on the torque [N m]")                  \
    F(REAL, dt, "0.2", 1e-4, 0.5, "time step [s]")                                                           \
    F(REAL, start_range, "0.1", 0, 3.2, "the four state variables start uniform in +- this")                 \
    E(dynamics, "book", "book|nips", "equations of the book or of the paper of 1996")

typedef struct acrobot_config {
    REIN_FIELDS_STRUCT(ACROBOT_FIELDS)
} acrobot_config;

#define REIN_FIELD_OWNER acrobot_config
static const rein_field acrobot_fields[] = {REIN_FIELDS_TABLE(ACROBOT_FIELDS)};
#undef REIN_FIELD_OWNER

/* Angles [rad] and velocities [rad/s], or their derivatives. */
typedef struct acrobot_motion {
    real theta1, theta2, dtheta1, dtheta2;
} acrobot_motion;

typedef struct acrobot_state {
    acrobot_motion motion; /* angles in [-pi, pi] */
    uint32_t noise_key[2]; /* stream of the torque's noise in this episode */
    uint32_t step;         /* steps of this episode: block of that stream */
    uint32_t unused;       /* eight words, so that vector loads of the motion need no gather */
} acrobot_state;

/* The config in the combinations of the equations. */
typedef struct acrobot_model {
    real d1_0, d1_cos; /* d1 = d1_0 + d1_cos cos theta2 */
    real d2_0, d2_cos; /* d2 = d2_0 + d2_cos cos theta2; d2_0 = m2 lc2^2 + I, d2_cos = m2 l1 lc2 */
    real weight1;      /* (m1 lc1 + m2 l1) g */
    real weight2;      /* m2 lc2 g */
    real centrifugal;  /* d2_cos, or 0 for the paper's equations */
    real torque, noise, dt;
} acrobot_model;

REINI_INLINE acrobot_model acrobot_model_of(const void *config) {
    const acrobot_config *c = config;
    double m1 = c->link_mass_1, m2 = c->link_mass_2, l1 = c->link_length_1;
    double lc1 = c->link_com_1, lc2 = c->link_com_2, inertia = c->link_moi;
    acrobot_model m = {
        .d1_0 = R(m1 * lc1 * lc1 + m2 * (l1 * l1 + lc2 * lc2) + inertia + inertia),
        .d1_cos = R(2 * m2 * l1 * lc2),
        .d2_0 = R(m2 * lc2 * lc2 + inertia),
        .d2_cos = R(m2 * l1 * lc2),
        .weight1 = R((m1 * lc1 + m2 * l1) * c->gravity),
        .weight2 = R(m2 * lc2 * c->gravity),
        .centrifugal = c->dynamics == 0 ? R(m2 * l1 * lc2) : R(0),
        .torque = R(c->torque),
        .noise = R(c->torque_noise_max),
        .dt = R(c->dt),
    };
    return m;
}

REINI_INLINE acrobot_motion acrobot_derivative(const acrobot_model *m, acrobot_motion s, real torque) {
    real sin1, cos1, sin2, cos2;
    real_sincos(s.theta1, &sin1, &cos1);
    real_sincos(s.theta2, &sin2, &cos2);
    real d1 = m->d1_0 + m->d1_cos * cos2;
    real d2 = m->d2_0 + m->d2_cos * cos2;
    real ratio = d2 / d1;
    real phi2 = m->weight2 * (sin1 * cos2 + cos1 * sin2);
    real phi1 = m->weight1 * sin1 + phi2 -
                m->d2_cos * sin2 * (s.dtheta2 * s.dtheta2 + R(2) * (s.dtheta2 * s.dtheta1));
    real push = torque + ratio * phi1 - m->centrifugal * sin2 * (s.dtheta1 * s.dtheta1) - phi2;
    real ddtheta2 = push / (m->d2_0 - d2 * ratio);
    real ddtheta1 = -(d2 * ddtheta2 + phi1) / d1;
    return (acrobot_motion){s.dtheta1, s.dtheta2, ddtheta1, ddtheta2};
}

/* s + h k */
REINI_INLINE acrobot_motion acrobot_along(acrobot_motion s, real h, acrobot_motion k) {
    return (acrobot_motion){s.theta1 + h * k.theta1, s.theta2 + h * k.theta2, s.dtheta1 + h * k.dtheta1,
                            s.dtheta2 + h * k.dtheta2};
}

REINI_INLINE real acrobot_rk4_sum(real k1, real k2, real k3, real k4) {
    return k1 + R(2) * k2 + R(2) * k3 + k4;
}

/* The motion one step later, under a torque. */
REINI_INLINE acrobot_motion acrobot_move(const acrobot_model *m, acrobot_motion s, real torque) {
    real half = m->dt * R(0.5);
    acrobot_motion k1 = acrobot_derivative(m, s, torque);
    acrobot_motion k2 = acrobot_derivative(m, acrobot_along(s, half, k1), torque);
    acrobot_motion k3 = acrobot_derivative(m, acrobot_along(s, half, k2), torque);
    acrobot_motion k4 = acrobot_derivative(m, acrobot_along(s, m->dt, k3), torque);
    acrobot_motion sum = {acrobot_rk4_sum(k1.theta1, k2.theta1, k3.theta1, k4.theta1),
                          acrobot_rk4_sum(k1.theta2, k2.theta2, k3.theta2, k4.theta2),
                          acrobot_rk4_sum(k1.dtheta1, k2.dtheta1, k3.dtheta1, k4.dtheta1),
                          acrobot_rk4_sum(k1.dtheta2, k2.dtheta2, k3.dtheta2, k4.dtheta2)};
    acrobot_motion end = acrobot_along(s, m->dt * R(1.0 / 6.0), sum);
    end.theta1 = real_wrap_angle(end.theta1);
    end.theta2 = real_wrap_angle(end.theta2);
    end.dtheta1 = real_clip(end.dtheta1, R(-4 * REINI_PI), R(4 * REINI_PI));
    end.dtheta2 = real_clip(end.dtheta2, R(-9 * REINI_PI), R(9 * REINI_PI));
    return end;
}

/* Writes the observation; 1 when the tip is above the bar. */
REINI_INLINE int acrobot_write(const acrobot_motion *s, float *obs) {
    real sin1, cos1, sin2, cos2;
    real_sincos(s->theta1, &sin1, &cos1);
    real_sincos(s->theta2, &sin2, &cos2);
    obs[0] = (float)cos1;
    obs[1] = (float)sin1;
    obs[2] = (float)cos2;
    obs[3] = (float)sin2;
    obs[4] = (float)s->dtheta1;
    obs[5] = (float)s->dtheta2;
    return -cos1 - (cos1 * cos2 - sin1 * sin2) > R(1);
}

/* Torque of an action, with its noise. Advances the noise's stream. */
REINI_INLINE real acrobot_torque(const acrobot_model *m, acrobot_state *s, int32_t action) {
    real torque = R(action - 1) * m->torque;
    if (m->noise > 0) {
        uint32_t word[4];
        rein_philox((uint64_t)s->noise_key[1] << 32 | s->noise_key[0], s->step++, 0, word);
        torque += m->noise * R((float)(word[0] >> 8) * (2.0f / 16777216.0f) - 1.0f);
    }
    return torque;
}

static void acrobot_reset(const void *config, void *state, rein_rng *rng) {
    const acrobot_config *c = config;
    acrobot_state *s = state;
    float range = (float)c->start_range;
    s->motion.theta1 = rein_rng_range(rng, -range, range);
    s->motion.theta2 = rein_rng_range(rng, -range, range);
    s->motion.dtheta1 = rein_rng_range(rng, -range, range);
    s->motion.dtheta2 = rein_rng_range(rng, -range, range);
    s->noise_key[0] = rein_rng_next(rng);
    s->noise_key[1] = rein_rng_next(rng);
    s->step = 0;
}

static rein_step acrobot_step(const void *config, void *state, const void *action, rein_rng *rng) {
    acrobot_model m = acrobot_model_of(config);
    acrobot_state *s = state;
    float obs[6];
    s->motion = acrobot_move(&m, s->motion, acrobot_torque(&m, s, *(const int32_t *)action));
    bool end = acrobot_write(&s->motion, obs);
    return (rein_step){.reward = end ? 0 : -1, .terminated = end};
}

static void acrobot_observe(const void *config, const void *state, void *obs) {
    const acrobot_state *s = state;
    acrobot_write(&s->motion, obs);
}

/* As REINI_STEP_RANGE, with the motions taken out of the states: the vector loop wants them without gaps. */
REINI_INLINE void acrobot_range_body(REINI_RANGE_PARAMS) {
    const acrobot_model m = acrobot_model_of(config);
    const int32_t *action = actions;
    for (int base = 0; base < n; base += REINI_LANES) {
        int count = n - base < REINI_LANES ? n - base : REINI_LANES;
        acrobot_state *s = (acrobot_state *)states + base;
        float *o = (float *)obs + 6 * base;
        acrobot_motion motion[REINI_LANES];
        real torque[REINI_LANES];
        int32_t ended[REINI_LANES];
        for (int i = 0; i < count; i++) {
            motion[i] = s[i].motion;
            torque[i] = acrobot_torque(&m, &s[i], action[base + i]);
        }
        for (int i = 0; i < count; i++) {
            acrobot_motion next = acrobot_move(&m, motion[i], torque[i]);
            ended[i] = acrobot_write(&next, o + 6 * i);
            motion[i] = next;
        }
        for (int i = 0; i < count; i++) {
            s[i].motion = motion[i];
            reward[base + i] = ended[i] ? 0 : -1;
            terminated[base + i] = (uint8_t)ended[i];
        }
    }
    memset(truncated, 0, (size_t)n);
}
REINI_FOR_LEVELS(acrobot_range, (REINI_RANGE_PARAMS), REINI_RANGE_ARGS)

static const float acrobot_low[6] = {-1, -1, -1, -1, -12.566371f, -28.274334f};
static const float acrobot_high[6] = {1, 1, 1, 1, 12.566371f, 28.274334f};

const rein_env_type reini_env_acrobot = {
    .abi = REIN_ENV_ABI,
    .id = "Acrobot-v1",
    .doc = "swing the tip of a two-link arm, driven at the elbow, above a bar; reward -1 per step",
    .obs = REINI_BOX(6, acrobot_low, acrobot_high),
    .act = REINI_DISCRETE(3),
    .horizon = 500,
    .state_size = sizeof(acrobot_state),
    REINI_ENV_FIELDS(acrobot_config, acrobot_fields),
    .reward_threshold = -100,
    .reset = acrobot_reset,
    .step = acrobot_step,
    .observe = acrobot_observe,
    .step_range = acrobot_range,
};
