/*
 * env_types.h - the built-in environment types, one per file, and literals of their spaces.
 */
#ifndef REINI_ENV_TYPES_H
#define REINI_ENV_TYPES_H

#include <rein/env.h>

#define REINI_DISCRETE(count)                                                                                \
    {                                                                                                        \
        .kind = REIN_SPACE_DISCRETE, .size = 1, .n = { count }                                               \
    }
#define REINI_BOX(count, low_, high_)                                                                        \
    { .kind = REIN_SPACE_BOX, .size = (count), .shape = {count}, .low = (low_), .high = (high_) }

/* The fields of a type's field table, in a rein_env_type initialiser. */
#define REINI_ENV_FIELDS(config_type, table)                                                                 \
    .config_size = sizeof(config_type), .fields = (table), .n_fields = sizeof(table) / sizeof *(table)

/* Rein's own, whatever the settings it was opened with. */
bool reini_env_is_builtin(const rein_env_type *type);
/* NULL when well formed, else what is wrong with the space. */
const char *reini_space_flaw(const rein_space *space);

extern const rein_env_type reini_env_cartpole;
extern const rein_env_type reini_env_mountain_car;
extern const rein_env_type reini_env_mountain_car_continuous;
extern const rein_env_type reini_env_pendulum;
extern const rein_env_type reini_env_acrobot;
extern const rein_env_type reini_env_cartpole_no_velocity;
extern const rein_env_type reini_env_pendulum_no_velocity;
extern const rein_env_type reini_env_mountain_car_no_velocity;
extern const rein_env_type reini_env_mountain_car_continuous_no_velocity;
extern const rein_env_type reini_env_identity;
extern const rein_env_type reini_env_identity_multi_discrete;
extern const rein_env_type reini_env_identity_box;
extern const rein_env_type reini_env_identity_masked;
extern const rein_env_type reini_env_time_limit;
extern const rein_env_type reini_env_frozen_lake;
extern const rein_env_type reini_env_frozen_lake_8x8;
extern const rein_env_type reini_env_cliff_walking;
extern const rein_env_type reini_env_cliff_walking_slippery;
extern const rein_env_type reini_env_taxi_v3;
extern const rein_env_type reini_env_taxi_v4;
extern const rein_env_type reini_env_blackjack;
extern const rein_env_type reini_env_line_cost;
extern const rein_env_type reini_env_line_goal;
extern const rein_env_type reini_env_line_slip;
extern const rein_env_type reini_env_random_walk;
extern const rein_env_type reini_env_maze;
extern const rein_env_type reini_env_cost_grid;
extern const rein_env_type reini_env_mdp;

/* src/env/minatar */
extern const rein_env_type reini_env_asterix_v0, reini_env_asterix_v1;
extern const rein_env_type reini_env_breakout_v0, reini_env_breakout_v1;
extern const rein_env_type reini_env_freeway_v0, reini_env_freeway_v1;
extern const rein_env_type reini_env_seaquest_v0, reini_env_seaquest_v1;
extern const rein_env_type reini_env_space_invaders_v0, reini_env_space_invaders_v1;

/* src/env/mujoco, defined where REIN_HAVE_MUJOCO is */
extern const rein_env_type reini_env_half_cheetah_v4, reini_env_half_cheetah_v5, reini_env_half_cheetah_safe;
extern const rein_env_type reini_env_hopper_v4, reini_env_hopper_v5, reini_env_hopper_safe;
extern const rein_env_type reini_env_walker2d_v4, reini_env_walker2d_v5, reini_env_walker2d_safe;
extern const rein_env_type reini_env_swimmer_v4, reini_env_swimmer_v5, reini_env_swimmer_safe;
extern const rein_env_type reini_env_ant_v4, reini_env_ant_v5, reini_env_ant_safe;
extern const rein_env_type reini_env_humanoid_v4, reini_env_humanoid_v5, reini_env_humanoid_safe;
extern const rein_env_type reini_env_inverted_pendulum_v4, reini_env_inverted_pendulum_v5;
extern const rein_env_type reini_env_inverted_double_pendulum_v4, reini_env_inverted_double_pendulum_v5;
extern const rein_env_type reini_env_reacher_v4, reini_env_reacher_v5;

#endif
