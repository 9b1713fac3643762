/*
 * ant.c - Ant: run on four legs in space. v4 observes and prices contact forces on demand only; v5 does both, and pays
 * for living only while the robot is healthy.
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include "env/mujoco/runner.h"

#define ANT_FIELDS(F)                                                                                        \
    F(REAL, ctrl_cost_weight, "0.5", 0, 1e6, "price of the squared actions")                                 \
    F(REAL, contact_cost_weight, "5e-4", 0, 1e6, "price of the squared contact forces")                      \
    F(REAL, contact_force_low, "-1", -INFINITY, INFINITY, "contact forces are clipped from below")           \
    F(REAL, contact_force_high, "1", -INFINITY, INFINITY, "and from above")                                  \
    F(REAL, healthy_reward, "1", -1e6, 1e6, "reward per step for not having fallen")                         \
    F(BOOL, terminate_when_unhealthy, "true", 0, 1, "a fall, or a leap, ends the episode")                   \
    F(REAL, healthy_z_low, "0.2", -INFINITY, INFINITY, "healthy from this height of the torso [m]")          \
    F(REAL, healthy_z_high, "1", -INFINITY, INFINITY, "to this [m]")                                         \
    F(REAL, reset_noise_scale, "0.1", 0, 10, "noise of the starting state")                                  \
    F(BOOL, exclude_current_positions_from_observation, "true", 0, 1, "x and y are not observed")            \
    F(REAL, forward_reward_weight, "1", -1e6, 1e6, "reward per metre per second")
#define ANT_V4_FIELDS(F, E)                                                                                  \
    ANT_FIELDS(F)                                                                                            \
    F(BOOL, use_contact_forces, "false", 0, 1, "contact forces are observed and priced")                     \
    REINI_MUJOCO_PHYSICS(F, "5")
#define ANT_V5_FIELDS(F, E)                                                                                  \
    ANT_FIELDS(F)                                                                                            \
    F(BOOL, include_cfrc_ext_in_observation, "true", 0, 1, "contact forces are observed")                    \
    REINI_MUJOCO_PHYSICS(F, "5")

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field ant_v4_fields[] = {REIN_FIELDS_TABLE(ANT_V4_FIELDS)};
static const rein_field ant_v5_fields[] = {REIN_FIELDS_TABLE(ANT_V5_FIELDS)};
#undef REIN_FIELD_OWNER

#define ANT                                                                                                  \
    .model = "ant", .place = REINI_RUNNER_TORSO, .health = REINI_RUNNER_WHOLE, .hidden = 2,                  \
    .normal_start = true, .clips_forces = true, .speed_limit = 2.6222, .speed_is_planar = true
static const reini_runner ant_v4 = {ANT}, ant_v5 = {ANT, .v5 = true};
REINI_RUNNER_OPEN(ant_v4)
REINI_RUNNER_OPEN(ant_v5)

static const float low[8] = {-1, -1, -1, -1, -1, -1, -1, -1}, high[8] = {1, 1, 1, 1, 1, 1, 1, 1};

const rein_env_type reini_env_ant_v4 = {
    REINI_RUNNER_TYPE(ant_v4, ant_v4_fields),
    .id = "Ant-v4",
    .doc = "run on four legs (MuJoCo); reward speed plus 1 minus effort, a fall ends the episode",
    .obs = REINI_BOX(27, NULL, NULL),
    .act = REINI_BOX(8, low, high),
    .reward_threshold = 6000,
};

const rein_env_type reini_env_ant_v5 = {
    REINI_RUNNER_TYPE(ant_v5, ant_v5_fields),
    .id = "Ant-v5",
    .doc = "Ant-v4 that observes contact forces and pays for them",
    .obs = REINI_BOX(105, NULL, NULL),
    .act = REINI_BOX(8, low, high),
    .reward_threshold = 6000,
};

const rein_env_type reini_env_ant_safe = {
    REINI_RUNNER_TYPE(ant_v4, ant_v4_fields),
    REINI_RUNNER_COST,
    .id = "SafetyAntVelocity-v1",
    .doc = "Ant-v4 where a step above 2.6222 m/s, in any direction, costs 1",
    .obs = REINI_BOX(27, NULL, NULL),
    .act = REINI_BOX(8, low, high),
    .reward_threshold = NAN,
};
#endif
