/*
 * mujoco_sim.h - libmujoco as Rein uses it: one compiled model shared by all environments of an opened type, one
 * mjData per environment, and calls that fail with a sentence where MuJoCo would end the process.
 */
#ifndef REINI_MUJOCO_SIM_H
#define REINI_MUJOCO_SIM_H

#include <mujoco/mujoco.h>
#include "base/base.h"

/* Compiles the MJCF text of a model of models/, or a file. MuJoCo's message, with the line, is passed on. */
rein_status reini_mujoco_compile(const char *name, mjModel **out);
rein_status reini_mujoco_compile_file(const char *path, mjModel **out);

/* Changed physics, to train on or to test with; 1 and NAN leave everything as it is. */
typedef struct reini_mujoco_physics {
    double gravity;        /* downwards [m/s^2]; NAN = the model's */
    double mass_scale;     /* of every body, with its inertia */
    double friction_scale; /* of every contact */
    double motor_scale;    /* of every motor's gear */
} reini_mujoco_physics;

rein_status reini_mujoco_change(mjModel *m, const reini_mujoco_physics *physics);

/* NULL with an error when there is no memory. */
mjData *reini_mujoco_data(const mjModel *m);

/* The starting state as the model has it, with no forces and no history. */
void reini_mujoco_clear(const mjModel *m, mjData *d);
/* Positions and all that follows from them, after qpos and qvel were written. */
bool reini_mujoco_settle(const mjModel *m, mjData *d);
/* `frames` steps under the controls in d->ctrl, then, where wanted, the forces on each body (cfrc_ext). False, with
 * the sentence in reini_mujoco_fault, when the simulation came apart. */
bool reini_mujoco_advance(const mjModel *m, mjData *d, int frames, bool forces);
/* What MuJoCo said last on this thread. */
const char *reini_mujoco_fault(void);

/* The state that the next step depends on, as doubles: time, qpos, qvel, act, qacc_warmstart. */
int reini_mujoco_state_count(const mjModel *m);
void reini_mujoco_get(const mjModel *m, const mjData *d, void *state);
void reini_mujoco_set(const mjModel *m, mjData *d, const void *state);

#endif
