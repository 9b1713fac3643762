/*
 * twin.h - critics Q(s, a) of continuous actions: an ensemble of networks run as one, with their targets.
 *
 * Parameters "q.0.weight" (E x in x out), "q.0.bias" (E x out), ...: every layer of all E networks is one product.
 * Two critics whose smaller value counts keep the overestimation of one in check (Fujimoto et al. 2018, section 4.2).
 */
#ifndef REINI_TWIN_H
#define REINI_TWIN_H

#include <rein/nn.h>
#include <rein/optim.h>
#include "rl/learner.h"

typedef struct reini_twin {
    int count; /* E: critics */
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
/* Q of every critic: (rows x E), for obs and action (rows x ...) and a slot of the layout. */
rein_tensor *reini_twin_build(const reini_twin *twin, int slot, rein_tensor *obs, rein_tensor *action);
/* The least of a row: (rows x 1). */
rein_tensor *reini_twin_least(rein_tensor *q);
rein_status reini_twin_visit(reini_twin *twin, reini_archive *archive);

#endif
