/*
 * stepper.h - N environments stepped one step at a time into a replay memory: what off-policy methods act with.
 */
#ifndef REINI_STEPPER_H
#define REINI_STEPPER_H

#include "rl/episode_window.h"
#include "rl/replay.h"

/* environment steps that one iteration of an off-policy method covers: a row of metrics */
enum { REINI_ITERATE_STEPS = 1000 };

typedef struct reini_stepper reini_stepper;

/* policy_units: box actions are given in (-1, 1) and scaled to the environment's bounds (net.h's scale_actions). */
rein_status reini_stepper_new(const rein_env_type *env, int64_t n_envs, uint64_t seed, bool policy_units,
                              reini_replay *replay, reini_stepper **out);
void reini_stepper_free(reini_stepper *stepper);
/* Present observations (N x obs) and masks (N x logits or NULL). */
const void *reini_stepper_obs(const reini_stepper *stepper);
const uint8_t *reini_stepper_mask(const reini_stepper *stepper);
/* Where the next actions are to be written (N x act size), in the policy's units. */
void *reini_stepper_action(reini_stepper *stepper);
/* Uniform random actions instead of the policy's: allowed ones, or anywhere in the box. */
void reini_stepper_random(reini_stepper *stepper);
/* Steps all environments with those actions and adds the step to the replay. */
void reini_stepper_step(reini_stepper *stepper);
/* Whether environment i's episode ended in the last step. */
bool reini_stepper_ended(const reini_stepper *stepper, int64_t i);
/* rein_vec_fault of the environments. */
rein_status reini_stepper_fault(const reini_stepper *stepper);
const reini_episodes *reini_stepper_episodes(const reini_stepper *stepper);
int64_t reini_stepper_steps(const reini_stepper *stepper); /* of all environments together */
rein_status reini_stepper_visit(reini_stepper *stepper, reini_archive *archive);

#endif
