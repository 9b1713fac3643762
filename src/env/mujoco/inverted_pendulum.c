/*
 * inverted_pendulum.c - InvertedPendulum and InvertedDoublePendulum: a cart keeps one pole, or two on top of each
 * other, upright.
 *
 *     one pole    reward 1; ends when the pole leans by more than 0.2 rad
 *     two poles   reward 10 - 0.01 x^2 - (y - 2)^2 - 1e-3 w1^2 - 5e-3 w2^2 for the tip at (x, y) and the velocities
 *                 w of the hinges; ends when the tip is at 1 m or below
 *
 * v5 pays nothing for living in the step that ends the episode, and drops from the observation of the two poles the
 * constraint forces on the hinges, which have none.
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include "env/mujoco/mujoco_env.h"

#define ONE_FIELDS(F, E)                                                                                     \
    F(REAL, reset_noise_scale, "0.01", 0, 10, "noise of the starting state") REINI_MUJOCO_PHYSICS(F, "2")
#define TWO_FIELDS(F, E)                                                                                     \
    F(REAL, healthy_reward, "10", -1e6, 1e6, "reward per step for not having fallen")                        \
    F(REAL, reset_noise_scale, "0.1", 0, 10, "noise of the starting state") REINI_MUJOCO_PHYSICS(F, "5")

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field one_fields[] = {REIN_FIELDS_TABLE(ONE_FIELDS)};
static const rein_field two_fields[] = {REIN_FIELDS_TABLE(TWO_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct pendulum {
    const char *model;
    bool v5;
    int obs; /* numbers in the observation */
} pendulum;

static int pendulum_obs_size(const reini_mujoco_world *world) {
    const pendulum *p = world->robot;
    return p->obs;
}

static void no_place(const reini_mujoco_world *world, const mjData *d, double place[3]) {
}

/* ---- one pole ------------------------------------------------------------------------------------------ */

static void one_start(const reini_mujoco_world *world, mjData *d, rein_rng *rng) {
    reini_mujoco_jitter(d->qpos, world->m->nq, world->config.reset_noise_scale, rng);
    reini_mujoco_jitter(d->qvel, world->m->nv, world->config.reset_noise_scale, rng);
}

static void one_observe(const reini_mujoco_world *world, const mjData *d, float *obs) {
    obs = reini_mujoco_put(obs, d->qpos, 2, INFINITY);
    reini_mujoco_put(obs, d->qvel, 2, INFINITY);
}

static rein_step one_score(const reini_mujoco_world *world, reini_mujoco_sim *sim, const double before[3]) {
    const pendulum *p = world->robot;
    bool fell = fabs(sim->d->qpos[1]) > 0.2;
    return (rein_step){.reward = p->v5 && fell ? 0 : 1, .terminated = fell};
}

static const reini_mujoco_rules one_rules = {
    .obs_size = pendulum_obs_size,
    .start = one_start,
    .observe = one_observe,
    .place = no_place,
    .score = one_score,
};

/* ---- two poles ----------------------------------------------------------------------------------------- */

static void two_start(const reini_mujoco_world *world, mjData *d, rein_rng *rng) {
    reini_mujoco_jitter(d->qpos, world->m->nq, world->config.reset_noise_scale, rng);
    reini_mujoco_jitter_normal(d->qvel, world->m->nv, world->config.reset_noise_scale, rng);
}

static void two_observe(const reini_mujoco_world *world, const mjData *d, float *obs) {
    const pendulum *p = world->robot;
    const double limit = 10;
    obs[0] = (float)d->qpos[0];
    for (int i = 0; i < 2; i++) {
        obs[1 + i] = (float)sin(d->qpos[1 + i]);
        obs[3 + i] = (float)cos(d->qpos[1 + i]);
    }
    obs = reini_mujoco_put(obs + 5, d->qvel, 3, limit);
    reini_mujoco_put(obs, d->qfrc_constraint, p->v5 ? 1 : 3, limit);
}

static rein_step two_score(const reini_mujoco_world *world, reini_mujoco_sim *sim, const double before[3]) {
    const pendulum *p = world->robot;
    const mjData *d = sim->d;
    double x = d->site_xpos[0], y = d->site_xpos[2], w1 = d->qvel[1], w2 = d->qvel[2];
    bool fell = y <= 1;
    double reward = p->v5 && fell ? 0 : world->config.healthy_reward;
    reward -= 0.01 * x * x + (y - 2) * (y - 2);
    reward -= 1e-3 * w1 * w1 + 5e-3 * w2 * w2;
    return (rein_step){.reward = (float)reward, .terminated = fell};
}

static const reini_mujoco_rules two_rules = {
    .obs_size = pendulum_obs_size,
    .start = two_start,
    .observe = two_observe,
    .place = no_place,
    .score = two_score,
};

/* ---- types --------------------------------------------------------------------------------------------- */

static const pendulum one_v4 = {"inverted_pendulum", false, 4}, one_v5 = {"inverted_pendulum", true, 4};
static const pendulum two_v4 = {"inverted_double_pendulum", false, 11};
static const pendulum two_v5 = {"inverted_double_pendulum", true, 9};

#define PENDULUM_OPEN(robot, rules)                                                                          \
    static rein_status robot##_open(const void *config, rein_env_type *opened) {                             \
        return reini_mujoco_open((robot).model, &(rules), &(robot), config, opened);                         \
    }
PENDULUM_OPEN(one_v4, one_rules)
PENDULUM_OPEN(one_v5, one_rules)
PENDULUM_OPEN(two_v4, two_rules)
PENDULUM_OPEN(two_v5, two_rules)

static const float one_low[1] = {-3}, one_high[1] = {3}, two_low[1] = {-1}, two_high[1] = {1};

#define PENDULUM_TYPE(robot, settings)                                                                       \
    .abi = REIN_ENV_ABI, .horizon = 1000, REINI_ENV_FIELDS(reini_mujoco_config, settings),                   \
    .open = robot##_open, REINI_MUJOCO_TYPE

const rein_env_type reini_env_inverted_pendulum_v4 = {
    PENDULUM_TYPE(one_v4, one_fields),
    .id = "InvertedPendulum-v4",
    .doc = "keep a pole upright on a cart (MuJoCo); reward 1 a step",
    .obs = REINI_BOX(4, NULL, NULL),
    .act = REINI_BOX(1, one_low, one_high),
    .reward_threshold = 950,
};

const rein_env_type reini_env_inverted_pendulum_v5 = {
    PENDULUM_TYPE(one_v5, one_fields),
    .id = "InvertedPendulum-v5",
    .doc = "InvertedPendulum-v4, without the reward in the step of the fall",
    .obs = REINI_BOX(4, NULL, NULL),
    .act = REINI_BOX(1, one_low, one_high),
    .reward_threshold = 950,
};

const rein_env_type reini_env_inverted_double_pendulum_v4 = {
    PENDULUM_TYPE(two_v4, two_fields),
    .id = "InvertedDoublePendulum-v4",
    .doc = "keep two poles on top of each other upright on a cart (MuJoCo); reward 10 a step at best",
    .obs = REINI_BOX(11, NULL, NULL),
    .act = REINI_BOX(1, two_low, two_high),
    .reward_threshold = 9100,
};

const rein_env_type reini_env_inverted_double_pendulum_v5 = {
    PENDULUM_TYPE(two_v5, two_fields),
    .id = "InvertedDoublePendulum-v5",
    .doc = "InvertedDoublePendulum-v4 with a shorter observation, without the reward in the step of the fall",
    .obs = REINI_BOX(9, NULL, NULL),
    .act = REINI_BOX(1, two_low, two_high),
    .reward_threshold = 9100,
};
#endif
