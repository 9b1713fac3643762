/*
 * runner.h - the six robots that move: HalfCheetah, Hopper, Walker2d, Swimmer, Ant, Humanoid. They differ by what
 * their tables say; the rules are one (runner.c).
 */
#ifndef REINI_RUNNER_H
#define REINI_RUNNER_H

#include "env/mujoco/mujoco_env.h"

typedef enum reini_runner_place {
    REINI_RUNNER_ROOT,  /* the first two numbers of qpos */
    REINI_RUNNER_TORSO, /* the frame of the first body */
    REINI_RUNNER_MASS,  /* the centre of mass */
} reini_runner_place;

typedef enum reini_runner_health {
    REINI_RUNNER_ALWAYS, /* nothing ends the episode, nothing is paid for living */
    REINI_RUNNER_PLANE,  /* height qpos[1] and pitch qpos[2] in open ranges */
    REINI_RUNNER_HOP,    /* and all of the state from qpos[2] on */
    REINI_RUNNER_HEIGHT, /* height qpos[2] in an open range */
    REINI_RUNNER_WHOLE,  /* height qpos[2] in a closed range */
} reini_runner_health;

typedef struct reini_runner {
    const char *model;
    bool v5; /* Gymnasium's v5: healthy_reward goes to the healthy only, contacts are charged for,
                                 and rows of numbers that are always 0 are not observed */
    reini_runner_place place; /* whose way is the progress */
    reini_runner_health health;
    int hidden;           /* leading numbers of qpos that the observation may leave out */
    bool clips_velocity;  /* the observed velocities stay within +-10 */
    bool normal_start;    /* velocities start normal, not uniform */
    bool clips_forces;    /* contact forces are clipped one by one, else their cost is capped as a whole */
    double speed_limit;   /* Safety-Gymnasium's threshold; a faster step costs 1 */
    bool speed_is_planar; /* its speed is sqrt(vx^2 + vy^2), else vx */
} reini_runner;

extern const reini_mujoco_rules reini_runner_rules;
extern const char *const reini_runner_cost_names[1];
void reini_runner_costs(const void *config, const void *state, float *cost);

/* The open function of a runner's table. */
#define REINI_RUNNER_OPEN(table)                                                                             \
    static rein_status table##_open(const void *config, rein_env_type *opened) {                             \
        return reini_mujoco_open((table).model, &reini_runner_rules, &(table), config, opened);              \
    }

/* The members of a rein_env_type that runners share. */
#define REINI_RUNNER_TYPE(table, settings)                                                                   \
    .abi = REIN_ENV_ABI, .horizon = 1000, .config_size = sizeof(reini_mujoco_config), .fields = (settings),  \
    .n_fields = sizeof(settings) / sizeof *(settings), .open = table##_open, REINI_MUJOCO_TYPE
#define REINI_RUNNER_COST .n_costs = 1, .cost_names = reini_runner_cost_names, .costs = reini_runner_costs

#endif
