/*
 * mdp_env.h - environments whose dynamics are the tables of an MDP.
 */
#ifndef REINI_MDP_ENV_H
#define REINI_MDP_ENV_H

#include <rein/env.h>
#include "base/base.h"

/* The model of an opened type; other models begin with it. */
typedef struct reini_mdp_env {
    rein_mdp *mdp;
    float refused; /* reward of an action that does not exist in the state */
} reini_mdp_env;

/* The state, which is also the observation; other states begin with it. */
typedef struct reini_mdp_state {
    int32_t s;
} reini_mdp_state;

void reini_mdp_env_reset(const void *model, void *state, rein_rng *rng);
rein_step reini_mdp_env_step(const void *model, void *state, const void *action, rein_rng *rng);
void reini_mdp_env_observe(const void *model, const void *state, void *obs);

/* The functions in a rein_env_type initialiser. */
#define REINI_MDP_ENV                                                                                        \
    .state_size = sizeof(reini_mdp_state), .reset = reini_mdp_env_reset, .step = reini_mdp_env_step,         \
    .observe = reini_mdp_env_observe

/* The end of `open`: takes the MDP over, also on failure, finishes it unless it is, and makes of it a model of
 * model_size bytes, the tables and the spaces of *opened. `built` is how building went: not REIN_OK = give up. */
rein_status reini_mdp_env_open(rein_status built, rein_mdp *mdp, size_t model_size, rein_env_type *opened);

/* How an action is called and drawn. */
typedef struct reini_action_label {
    const char *name;
    char glyph;
} reini_action_label;
rein_status reini_label_actions(rein_mdp *mdp, const reini_action_label *labels, int n);

/* A panel whose states count row by row from `first`, in steps of `step`. */
rein_status reini_add_grid(rein_mdp *mdp, const char *title, int32_t height, int32_t width, int32_t first,
                           int32_t step, const char *symbol);

#endif
