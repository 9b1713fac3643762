/*
 * hopper.c - Hopper: hop forward on one leg without falling. v5 pays for living only while the robot is healthy.
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include "env/mujoco/runner.h"

#define HOPPER_FIELDS(F, E)                                                                                  \
    F(REAL, forward_reward_weight, "1", -1e6, 1e6, "reward per metre per second")                            \
    F(REAL, ctrl_cost_weight, "1e-3", 0, 1e6, "price of the squared actions")                                \
    F(REAL, healthy_reward, "1", -1e6, 1e6, "reward per step for not having fallen")                         \
    F(BOOL, terminate_when_unhealthy, "true", 0, 1, "a fall ends the episode")                               \
    F(REAL, healthy_state_low, "-100", -INFINITY, INFINITY, "healthy above this: angles, velocities")        \
    F(REAL, healthy_state_high, "100", -INFINITY, INFINITY, "and below this")                                \
    F(REAL, healthy_z_low, "0.7", -INFINITY, INFINITY, "healthy above this height [m]")                      \
    F(REAL, healthy_z_high, "inf", -INFINITY, INFINITY, "and below this [m]")                                \
    F(REAL, healthy_angle_low, "-0.2", -INFINITY, INFINITY, "healthy above this pitch [rad]")                \
    F(REAL, healthy_angle_high, "0.2", -INFINITY, INFINITY, "and below this [rad]")                          \
    F(REAL, reset_noise_scale, "5e-3", 0, 10, "noise of the starting state")                                 \
    F(BOOL, exclude_current_positions_from_observation, "true", 0, 1, "x is not observed")                   \
    REINI_MUJOCO_PHYSICS(F, "4")

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field hopper_fields[] = {REIN_FIELDS_TABLE(HOPPER_FIELDS)};
#undef REIN_FIELD_OWNER

#define HOPPER                                                                                               \
    .model = "hopper", .place = REINI_RUNNER_ROOT, .health = REINI_RUNNER_HOP, .hidden = 1,                  \
    .clips_velocity = true, .speed_limit = 0.7402
static const reini_runner hopper_v4 = {HOPPER}, hopper_v5 = {HOPPER, .v5 = true};
REINI_RUNNER_OPEN(hopper_v4)
REINI_RUNNER_OPEN(hopper_v5)

static const float low[3] = {-1, -1, -1}, high[3] = {1, 1, 1};

const rein_env_type reini_env_hopper_v4 = {
    REINI_RUNNER_TYPE(hopper_v4, hopper_fields),
    .id = "Hopper-v4",
    .doc = "hop on one leg in a plane (MuJoCo); reward speed plus 1 minus effort, a fall ends the episode",
    .obs = REINI_BOX(11, NULL, NULL),
    .act = REINI_BOX(3, low, high),
    .reward_threshold = 3800,
};

const rein_env_type reini_env_hopper_v5 = {
    REINI_RUNNER_TYPE(hopper_v5, hopper_fields),
    .id = "Hopper-v5",
    .doc = "Hopper-v4, without the reward for living in the step of the fall",
    .obs = REINI_BOX(11, NULL, NULL),
    .act = REINI_BOX(3, low, high),
    .reward_threshold = 3800,
};

const rein_env_type reini_env_hopper_safe = {
    REINI_RUNNER_TYPE(hopper_v4, hopper_fields),
    REINI_RUNNER_COST,
    .id = "SafetyHopperVelocity-v1",
    .doc = "Hopper-v4 where a step above 0.7402 m/s costs 1",
    .obs = REINI_BOX(11, NULL, NULL),
    .act = REINI_BOX(3, low, high),
    .reward_threshold = NAN,
};
#endif
