/*
 * walker2d.c - Walker2d: walk on two legs without falling. v5 gives both feet the same friction, and pays for living
 * only while the robot is healthy.
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include "env/mujoco/runner.h"

#define WALKER2D_FIELDS(F, E)                                                                                \
    F(REAL, forward_reward_weight, "1", -1e6, 1e6, "reward per metre per second")                            \
    F(REAL, ctrl_cost_weight, "1e-3", 0, 1e6, "price of the squared actions")                                \
    F(REAL, healthy_reward, "1", -1e6, 1e6, "reward per step for not having fallen")                         \
    F(BOOL, terminate_when_unhealthy, "true", 0, 1, "a fall ends the episode")                               \
    F(REAL, healthy_z_low, "0.8", -INFINITY, INFINITY, "healthy above this height [m]")                      \
    F(REAL, healthy_z_high, "2", -INFINITY, INFINITY, "and below this [m]")                                  \
    F(REAL, healthy_angle_low, "-1", -INFINITY, INFINITY, "healthy above this pitch [rad]")                  \
    F(REAL, healthy_angle_high, "1", -INFINITY, INFINITY, "and below this [rad]")                            \
    F(REAL, reset_noise_scale, "5e-3", 0, 10, "noise of the starting state")                                 \
    F(BOOL, exclude_current_positions_from_observation, "true", 0, 1, "x is not observed")                   \
    REINI_MUJOCO_PHYSICS(F, "4")

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field walker2d_fields[] = {REIN_FIELDS_TABLE(WALKER2D_FIELDS)};
#undef REIN_FIELD_OWNER

#define WALKER2D                                                                                             \
    .place = REINI_RUNNER_ROOT, .health = REINI_RUNNER_PLANE, .hidden = 1, .clips_velocity = true,           \
    .speed_limit = 2.3415
static const reini_runner walker2d_v4 = {WALKER2D, .model = "walker2d"};
static const reini_runner walker2d_v5 = {WALKER2D, .model = "walker2d_v5", .v5 = true};
REINI_RUNNER_OPEN(walker2d_v4)
REINI_RUNNER_OPEN(walker2d_v5)

static const float low[6] = {-1, -1, -1, -1, -1, -1}, high[6] = {1, 1, 1, 1, 1, 1};

const rein_env_type reini_env_walker2d_v4 = {
    REINI_RUNNER_TYPE(walker2d_v4, walker2d_fields),
    .id = "Walker2d-v4",
    .doc = "walk on two legs in a plane (MuJoCo); reward speed plus 1 minus effort, a fall ends the episode",
    .obs = REINI_BOX(17, NULL, NULL),
    .act = REINI_BOX(6, low, high),
    .reward_threshold = NAN,
};

const rein_env_type reini_env_walker2d_v5 = {
    REINI_RUNNER_TYPE(walker2d_v5, walker2d_fields),
    .id = "Walker2d-v5",
    .doc = "Walker2d-v4 with equal feet, without the reward for living in the step of the fall",
    .obs = REINI_BOX(17, NULL, NULL),
    .act = REINI_BOX(6, low, high),
    .reward_threshold = NAN,
};

const rein_env_type reini_env_walker2d_safe = {
    REINI_RUNNER_TYPE(walker2d_v4, walker2d_fields),
    REINI_RUNNER_COST,
    .id = "SafetyWalker2dVelocity-v1",
    .doc = "Walker2d-v4 where a step above 2.3415 m/s costs 1",
    .obs = REINI_BOX(17, NULL, NULL),
    .act = REINI_BOX(6, low, high),
    .reward_threshold = NAN,
};
#endif
