/*
 * humanoid.c - Humanoid: walk upright. The observation holds, besides the state, the inertia and velocity of every
 * body, the motors' forces and the contact forces; the progress is that of the centre of mass. v5 leaves out rows that
 * are always 0, prices contacts, and pays for living only while the robot is healthy. The include_... settings are
 * v5's; here v4 has them too.
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include "env/mujoco/runner.h"

#define HUMANOID_FIELDS(F)                                                                                   \
    F(REAL, forward_reward_weight, "1.25", -1e6, 1e6, "reward per metre per second")                         \
    F(REAL, ctrl_cost_weight, "0.1", 0, 1e6, "price of the squared actions")                                 \
    F(REAL, healthy_reward, "5", -1e6, 1e6, "reward per step for not having fallen")                         \
    F(BOOL, terminate_when_unhealthy, "true", 0, 1, "a fall ends the episode")                               \
    F(REAL, healthy_z_low, "1", -INFINITY, INFINITY, "healthy above this height of the torso [m]")           \
    F(REAL, healthy_z_high, "2", -INFINITY, INFINITY, "and below this [m]")                                  \
    F(REAL, reset_noise_scale, "1e-2", 0, 10, "noise of the starting state")                                 \
    F(BOOL, exclude_current_positions_from_observation, "true", 0, 1, "x and y are not observed")            \
    F(BOOL, include_cinert_in_observation, "true", 0, 1, "inertias of the bodies are observed")              \
    F(BOOL, include_cvel_in_observation, "true", 0, 1, "velocities of the bodies are observed")              \
    F(BOOL, include_qfrc_actuator_in_observation, "true", 0, 1, "forces of the motors are observed")         \
    F(BOOL, include_cfrc_ext_in_observation, "true", 0, 1, "contact forces are observed")
#define HUMANOID_V4_FIELDS(F, E) HUMANOID_FIELDS(F) REINI_MUJOCO_PHYSICS(F, "5")
#define HUMANOID_V5_FIELDS(F, E)                                                                             \
    HUMANOID_FIELDS(F)                                                                                       \
    F(REAL, contact_cost_weight, "5e-7", 0, 1e6, "price of the squared contact forces")                      \
    F(REAL, contact_cost_max, "10", -INFINITY, INFINITY, "at most this is paid per step for contacts")       \
    REINI_MUJOCO_PHYSICS(F, "5")

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field humanoid_v4_fields[] = {REIN_FIELDS_TABLE(HUMANOID_V4_FIELDS)};
static const rein_field humanoid_v5_fields[] = {REIN_FIELDS_TABLE(HUMANOID_V5_FIELDS)};
#undef REIN_FIELD_OWNER

#define HUMANOID                                                                                             \
    .model = "humanoid", .place = REINI_RUNNER_MASS, .health = REINI_RUNNER_HEIGHT, .hidden = 2,             \
    .speed_limit = 1.4149, .speed_is_planar = true
static const reini_runner humanoid_v4 = {HUMANOID}, humanoid_v5 = {HUMANOID, .v5 = true};
REINI_RUNNER_OPEN(humanoid_v4)
REINI_RUNNER_OPEN(humanoid_v5)

#define SEVENTEEN(x)                                                                                         \
    { x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x }
static const float low[17] = SEVENTEEN(-0.4f), high[17] = SEVENTEEN(0.4f);

const rein_env_type reini_env_humanoid_v4 = {
    REINI_RUNNER_TYPE(humanoid_v4, humanoid_v4_fields),
    .id = "Humanoid-v4",
    .doc = "walk upright with 17 motors (MuJoCo); reward speed plus 5 minus effort, a fall ends the episode",
    .obs = REINI_BOX(376, NULL, NULL),
    .act = REINI_BOX(17, low, high),
    .reward_threshold = NAN,
};

const rein_env_type reini_env_humanoid_v5 = {
    REINI_RUNNER_TYPE(humanoid_v5, humanoid_v5_fields),
    .id = "Humanoid-v5",
    .doc = "Humanoid-v4 with a shorter observation, contacts paid for",
    .obs = REINI_BOX(348, NULL, NULL),
    .act = REINI_BOX(17, low, high),
    .reward_threshold = NAN,
};

const rein_env_type reini_env_humanoid_safe = {
    REINI_RUNNER_TYPE(humanoid_v4, humanoid_v4_fields),
    REINI_RUNNER_COST,
    .id = "SafetyHumanoidVelocity-v1",
    .doc = "Humanoid-v4 where a step above 1.4149 m/s, in any direction, costs 1",
    .obs = REINI_BOX(376, NULL, NULL),
    .act = REINI_BOX(17, low, high),
    .reward_threshold = NAN,
};
#endif
