/*
 * twin.h - critics Q(s, a) of continuous actions, one or two, with their targets.
 *
 * Parameters "q0.0.weight", "q0.0.bias", ..., "q1.0.weight", ...; targets have the same layout. Two critics whose smaller value counts keep the overestimation of one in check (Fujimoto et al. 2018, section 4.2).
 */
#ifndef REINI_TWIN_H
#define REINI_TWIN_H

#include <rein/nn.h>
#include <rein/optim.h>
#include "rl/learner.h"

typedef struct reini_twin {
    int count; /* critics, 1 or 2 */
    rein_ints hidden;
    rein_activation activation;
    rein_layout *layout;
    rein_store *online, *target, *grads;
    rein_optim *optim;
} reini_twin;

/* obs_size + act_size numbers in; weights uniform in +-1 / sqrt(fan-in), targets equal to them. Release after success
 * and failure alike. */
rein_status reini_twin_init(reini_twin *twin, int count, int obs_size, int act_size, const rein_ints *hidden,
                            rein_activation activation, const reini_optim_settings *optim, uint64_t seed);
void reini_twin_release(reini_twin *twin);
/* Q of critic k: (rows x 1), for obs and action (rows x ...) and a slot of the layout. */
rein_tensor *reini_twin_one(const reini_twin *twin, int slot, int k, rein_tensor *obs, rein_tensor *action);
/* The least of all critics' Q: (rows x 1). */
rein_tensor *reini_twin_least(const reini_twin *twin, int slot, rein_tensor *obs, rein_tensor *action);
/* sum over critics of (Q - y)^2: (rows x 1); *mean: E[Q] over critics and rows. */
rein_tensor *reini_twin_errors(const reini_twin *twin, int slot, rein_tensor *obs, rein_tensor *action,
                               rein_tensor *y, rein_tensor **mean);
rein_status reini_twin_visit(reini_twin *twin, reini_archive *archive);

#endif
