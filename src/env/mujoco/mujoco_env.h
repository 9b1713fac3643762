/*
 * mujoco_env.h - environments on MuJoCo: what all robots share, and what a robot's file says about itself.
 *
 * A robot is a model (models/), a table of its settings with their defaults, and rules: where it starts, what it sees,
 * what a step earns and when the process ends. mujoco_env.c makes an environment type of that.
 *
 * With Gymnasium, quantities that MuJoCo derives from the state (places of bodies, contact forces) are read as mj_step
 * leaves them, which is as of the start of its last internal step, not recomputed. What the observation and the next
 * reward need of them is therefore kept in the environment and saved with it: then load(save) goes on bit for bit.
 */
#ifndef REINI_MUJOCO_ENV_H
#define REINI_MUJOCO_ENV_H

#include "env/env_types.h"
#include "env/mujoco/mujoco_sim.h"

/* Every setting that some robot has; a robot's table lists its own. What a robot does not list is 0: absent. Names and
 * defaults are those of Gymnasium's constructors, with ranges (a, b) as a_low and a_high. */
typedef struct reini_mujoco_config {
    double forward_reward_weight, ctrl_cost_weight;
    double contact_cost_weight, contact_cost_max, contact_force_low, contact_force_high;
    double healthy_reward, healthy_z_low, healthy_z_high, healthy_angle_low, healthy_angle_high;
    double healthy_state_low, healthy_state_high;
    double reward_dist_weight, reward_control_weight;
    double reset_noise_scale;
    int terminate_when_unhealthy, use_contact_forces, exclude_current_positions_from_observation;
    int include_cinert_in_observation, include_cvel_in_observation, include_qfrc_actuator_in_observation,
        include_cfrc_ext_in_observation;
    int64_t frame_skip;
    double gravity, gravity_scale, mass_scale, friction_scale, motor_scale;
} reini_mujoco_config;

/* The last rows of every robot's table. */
#define REINI_MUJOCO_SCALES(F)                                                                               \
    F(REAL, mass_scale, "1", 0.001, 1000, "factor on every mass")                                            \
    F(REAL, friction_scale, "1", 0, 1000, "factor on the friction of every contact")                         \
    F(REAL, motor_scale, "1", -1000, 1000, "factor on the strength of every motor")
#define REINI_MUJOCO_PHYSICS(F, FRAMES)                                                                      \
    F(INT, frame_skip, FRAMES, 1, 1000, "steps of the simulation per step of the environment")               \
    F(REAL, gravity, "9.81", -1000, 1000, "gravity, downwards [m/s^2]")                                      \
    REINI_MUJOCO_SCALES(F)

typedef struct reini_mujoco_world reini_mujoco_world;
typedef struct reini_mujoco_sim reini_mujoco_sim;

/* A robot's rules. */
typedef struct reini_mujoco_rules {
    /* Numbers in the observation. */
    int (*obs_size)(const reini_mujoco_world *world);
    /* Writes qpos and qvel of a start; they hold the model's first state. */
    void (*start)(const reini_mujoco_world *world, mjData *d, rein_rng *rng);
    /* Writes the observation. */
    void (*observe)(const reini_mujoco_world *world, const mjData *d, float *obs);
    /* The place that the next reward is measured from. */
    void (*place)(const reini_mujoco_world *world, const mjData *d, double place[3]);
    /* Reward and end of a step; `before` is the place before it, sim->place that after it. */
    rein_step (*score)(const reini_mujoco_world *world, reini_mujoco_sim *sim, const double before[3]);
    /* Whether the rules read the forces on each body (cfrc_ext); NULL = no. */
    bool (*reads_forces)(const reini_mujoco_world *world);
    /* Whether everything is to be derived anew from the state after a step, sensors included. */
    bool settles;
} reini_mujoco_rules;

/* What the environments of an opened type share: their type's model. */
struct reini_mujoco_world {
    mjModel *m;
    const reini_mujoco_rules *rules;
    const void *robot; /* the robot's own table */
    reini_mujoco_config config;
    double dt; /* of a step of the environment [s] */
    bool forces;
    int frames, n_obs, n_state;
    float *low, *high; /* (nu) of the action space */
};

/* One environment. */
struct reini_mujoco_sim {
    const reini_mujoco_world *world;
    mjData *d;
    double place[3];
    double speed; /* of the last step, what costs are told by */
    float *obs;   /* (n_obs) */
};

/* Opens a robot's type: compiles the model, changes its physics, sets the spaces. */
rein_status reini_mujoco_open(const char *model, const reini_mujoco_rules *rules, const void *robot,
                              const void *config, rein_env_type *opened);
/* The same for a model compiled already, which becomes the world's, whatever is returned. */
rein_status reini_mujoco_open_model(mjModel *m, const reini_mujoco_rules *rules, const void *robot,
                                    const void *config, rein_env_type *opened);

void reini_mujoco_close(rein_env_type *opened);

void reini_mujoco_reset(const void *config, void *state, rein_rng *rng);
rein_step reini_mujoco_step(const void *config, void *state, const void *action, rein_rng *rng);
void reini_mujoco_observe(const void *config, const void *state, void *obs);
void *reini_mujoco_create(const void *config);
void reini_mujoco_destroy(void *handle);
/* Saved: time, qpos, qvel, act, qacc_warmstart, place, speed as doubles, then the observation as floats. */
void reini_mujoco_save(const void *handle, void *buffer);
void reini_mujoco_load(void *handle, const void *buffer);

/* The members of a rein_env_type that all robots share. */
#define REINI_MUJOCO_TYPE                                                                                    \
    .reset = reini_mujoco_reset, .step = reini_mujoco_step, .observe = reini_mujoco_observe,                 \
    .create = reini_mujoco_create, .destroy = reini_mujoco_destroy, .save = reini_mujoco_save,               \
    .load = reini_mujoco_load

/* q += uniform in [-scale, scale), and the same with normal draws. */
void reini_mujoco_jitter(mjtNum *q, int n, double scale, rein_rng *rng);
void reini_mujoco_jitter_normal(mjtNum *q, int n, double scale, rein_rng *rng);
/* Copies doubles to floats, inside +-limit; returns the end. */
float *reini_mujoco_put(float *to, const mjtNum *from, int n, double limit);
double reini_mujoco_square(const mjtNum *x, int n);

#endif
