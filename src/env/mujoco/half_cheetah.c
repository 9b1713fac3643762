/*
 * half_cheetah.c - HalfCheetah: run as fast as you can; nothing ends the episode. v4 and v5 are the same.
 */
#ifdef REIN_HAVE_MUJOCO
#include <math.h>
#include "env/mujoco/runner.h"

#define HALF_CHEETAH_FIELDS(F, E)                                                                            \
    F(REAL, forward_reward_weight, "1", -1e6, 1e6, "reward per metre per second")                            \
    F(REAL, ctrl_cost_weight, "0.1", 0, 1e6, "price of the squared actions")                                 \
    F(REAL, reset_noise_scale, "0.1", 0, 10, "noise of the starting state")                                  \
    F(BOOL, exclude_current_positions_from_observation, "true", 0, 1, "x is not observed")                   \
    REINI_MUJOCO_PHYSICS(F, "5")

#define REIN_FIELD_OWNER reini_mujoco_config
static const rein_field half_cheetah_fields[] = {REIN_FIELDS_TABLE(HALF_CHEETAH_FIELDS)};
#undef REIN_FIELD_OWNER

static const reini_runner half_cheetah = {
    .model = "half_cheetah",
    .place = REINI_RUNNER_ROOT,
    .health = REINI_RUNNER_ALWAYS,
    .hidden = 1,
    .normal_start = true,
    .speed_limit = 3.2096,
};
REINI_RUNNER_OPEN(half_cheetah)

static const float low[6] = {-1, -1, -1, -1, -1, -1}, high[6] = {1, 1, 1, 1, 1, 1};

const rein_env_type reini_env_half_cheetah_v4 = {
    REINI_RUNNER_TYPE(half_cheetah, half_cheetah_fields),
    .id = "HalfCheetah-v4",
    .doc = "run on two legs in a plane (MuJoCo); reward speed minus effort",
    .obs = REINI_BOX(17, NULL, NULL),
    .act = REINI_BOX(6, low, high),
    .reward_threshold = 4800,
};

const rein_env_type reini_env_half_cheetah_v5 = {
    REINI_RUNNER_TYPE(half_cheetah, half_cheetah_fields),
    .id = "HalfCheetah-v5",
    .doc = "HalfCheetah-v4 under its newer name",
    .obs = REINI_BOX(17, NULL, NULL),
    .act = REINI_BOX(6, low, high),
    .reward_threshold = 4800,
};

const rein_env_type reini_env_half_cheetah_safe = {
    REINI_RUNNER_TYPE(half_cheetah, half_cheetah_fields),
    REINI_RUNNER_COST,
    .id = "SafetyHalfCheetahVelocity-v1",
    .doc = "HalfCheetah-v4 where a step above 3.2096 m/s costs 1",
    .obs = REINI_BOX(17, NULL, NULL),
    .act = REINI_BOX(6, low, high),
    .reward_threshold = NAN,
};
#endif
