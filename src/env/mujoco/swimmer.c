/*
 * swimmer.c - Swimmer: wind through a viscous plane; nothing ends the episode. v4 and v5 are the same.
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include "env/mujoco/runner.h"

#define SWIMMER_FIELDS(F, E)                                                                                 \
    F(REAL, forward_reward_weight, "1", -1e6, 1e6, "reward per metre per second")                            \
    F(REAL, ctrl_cost_weight, "1e-4", 0, 1e6, "price of the squared actions")                                \
    F(REAL, reset_noise_scale, "0.1", 0, 10, "noise of the starting state")                                  \
    F(BOOL, exclude_current_positions_from_observation, "true", 0, 1, "x and y are not observed")            \
    REINI_MUJOCO_PHYSICS(F, "4")

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field swimmer_fields[] = {REIN_FIELDS_TABLE(SWIMMER_FIELDS)};
#undef REIN_FIELD_OWNER

static const reini_runner swimmer = {
    .model = "swimmer",
    .place = REINI_RUNNER_ROOT,
    .health = REINI_RUNNER_ALWAYS,
    .hidden = 2,
    .speed_limit = 0.2282,
};
REINI_RUNNER_OPEN(swimmer)

static const float low[2] = {-1, -1}, high[2] = {1, 1};

const rein_env_type reini_env_swimmer_v4 = {
    REINI_RUNNER_TYPE(swimmer, swimmer_fields),
    .id = "Swimmer-v4",
    .doc = "swim with three links in a plane (MuJoCo); reward speed minus effort",
    .obs = REINI_BOX(8, NULL, NULL),
    .act = REINI_BOX(2, low, high),
    .reward_threshold = 360,
};

const rein_env_type reini_env_swimmer_v5 = {
    REINI_RUNNER_TYPE(swimmer, swimmer_fields),
    .id = "Swimmer-v5",
    .doc = "Swimmer-v4 under its newer name",
    .obs = REINI_BOX(8, NULL, NULL),
    .act = REINI_BOX(2, low, high),
    .reward_threshold = 360,
};

const rein_env_type reini_env_swimmer_safe = {
    REINI_RUNNER_TYPE(swimmer, swimmer_fields),
    REINI_RUNNER_COST,
    .id = "SafetySwimmerVelocity-v1",
    .doc = "Swimmer-v4 where a step above 0.2282 m/s costs 1",
    .obs = REINI_BOX(8, NULL, NULL),
    .act = REINI_BOX(2, low, high),
    .reward_threshold = NAN,
};
#endif
