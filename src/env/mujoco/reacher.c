/*
 * reacher.c - Reacher: bring the finger tip of a two-link arm to a target, which stands elsewhere in every episode.
 *
 *     reward = -distance - |a|^2
 *
 * The distance is that between tip and target before the step in v4, after it in v5. v4 observes its vertical part
 * too, which is always 0. (Settings for v4 are v5's.)
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include "env/mujoco/mujoco_env.h"

#define REACHER_FIELDS(F, E)                                                                                 \
    F(REAL, reward_dist_weight, "1", -1e6, 1e6, "price of a metre between tip and target")                   \
    F(REAL, reward_control_weight, "1", -1e6, 1e6, "price of the squared actions")                           \
    REINI_MUJOCO_PHYSICS(F, "2")

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field reacher_fields[] = {REIN_FIELDS_TABLE(REACHER_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct reacher {
    bool v5;
} reacher;

enum { FINGERTIP = 3, TARGET = 4 }; /* bodies of the model */

static int reacher_obs_size(const reini_mujoco_world *world) {
    const reacher *r = world->robot;
    return r->v5 ? 10 : 11;
}

/* a target within 0.2 m of the base */
static void reacher_start(const reini_mujoco_world *world, mjData *d, rein_rng *rng) {
    reini_mujoco_jitter(d->qpos, 2, 0.1, rng);
    reini_mujoco_jitter(d->qvel, 2, 0.005, rng);
    do {
        d->qpos[2] = d->qpos[3] = 0;
        reini_mujoco_jitter(d->qpos + 2, 2, 0.2, rng);
    } while (hypot(d->qpos[2], d->qpos[3]) >= 0.2);
}

/* the way from the target to the tip */
static void reacher_place(const reini_mujoco_world *world, const mjData *d, double place[3]) {
    for (int k = 0; k < 3; k++)
        place[k] = d->xpos[3 * FINGERTIP + k] - d->xpos[3 * TARGET + k];
}

static void reacher_observe(const reini_mujoco_world *world, const mjData *d, float *obs) {
    const reacher *r = world->robot;
    double way[3];
    reacher_place(world, d, way);
    for (int i = 0; i < 2; i++) {
        obs[i] = (float)cos(d->qpos[i]);
        obs[2 + i] = (float)sin(d->qpos[i]);
    }
    obs = reini_mujoco_put(obs + 4, d->qpos + 2, 2, INFINITY);
    obs = reini_mujoco_put(obs, d->qvel, 2, INFINITY);
    reini_mujoco_put(obs, way, r->v5 ? 2 : 3, INFINITY);
}

static rein_step reacher_score(const reini_mujoco_world *world, reini_mujoco_sim *sim,
                               const double before[3]) {
    const reacher *r = world->robot;
    double distance = sqrt(reini_mujoco_square(r->v5 ? sim->place : before, 3));
    double reward = -world->config.reward_dist_weight * distance;
    reward -= world->config.reward_control_weight * reini_mujoco_square(sim->d->ctrl, 2);
    return (rein_step){.reward = (float)reward};
}

static const reini_mujoco_rules reacher_rules = {
    .obs_size = reacher_obs_size,
    .start = reacher_start,
    .observe = reacher_observe,
    .place = reacher_place,
    .score = reacher_score,
};

static const reacher reacher_v4 = {false}, reacher_v5 = {true};

static rein_status reacher_v4_open(const void *config, rein_env_type *opened) {
    return reini_mujoco_open("reacher", &reacher_rules, &reacher_v4, config, opened);
}

static rein_status reacher_v5_open(const void *config, rein_env_type *opened) {
    return reini_mujoco_open("reacher", &reacher_rules, &reacher_v5, config, opened);
}

static const float low[2] = {-1, -1}, high[2] = {1, 1};

const rein_env_type reini_env_reacher_v4 = {
    .abi = REIN_ENV_ABI,
    .id = "Reacher-v4",
    .doc = "bring the tip of an arm to a target (MuJoCo); reward minus the distance and the effort",
    .obs = REINI_BOX(11, NULL, NULL),
    .act = REINI_BOX(2, low, high),
    .horizon = 50,
    REINI_ENV_FIELDS(reini_mujoco_config, reacher_fields),
    .reward_threshold = -3.75,
    .open = reacher_v4_open,
    REINI_MUJOCO_TYPE,
};

const rein_env_type reini_env_reacher_v5 = {
    .abi = REIN_ENV_ABI,
    .id = "Reacher-v5",
    .doc = "Reacher-v4 where the distance after the step counts",
    .obs = REINI_BOX(10, NULL, NULL),
    .act = REINI_BOX(2, low, high),
    .horizon = 50,
    REINI_ENV_FIELDS(reini_mujoco_config, reacher_fields),
    .reward_threshold = -3.75,
    .open = reacher_v5_open,
    REINI_MUJOCO_TYPE,
};
#endif
