/*
 * sde.h - generalised state-dependent exploration: noise that is a linear function of the policy's last hidden layer,
 * drawn anew now and then instead of in every step.
 *
 * A. Raffin, J. Kober, F. Stulp: Smooth Exploration for Robotic Reinforcement Learning, CoRL 2021 (arXiv 2005.05719).
 * With z(s) the last hidden layer of the actor,
 *
 *     a = mu(s) + z(s) theta,   theta_ij ~ N(0, sigma_ij^2),   sigma = exp(log_std)  (latent x act)
 *
 * Within the life of a theta the same state gives the same action. Over thetas an action is Gaussian with mean mu(s)
 * and variance sum_i z_i^2 sigma_ij^2, and that marginal is what losses and densities are made of.
 */
#ifndef REINI_SDE_H
#define REINI_SDE_H

#include <rein/nn.h>
#include "base/archive.h"

/* The same text fields in every method that explores in this way. */
#define REINI_SDE_FIELDS(F, E)                                                                               \
    F(BOOL, use_sde, "false", 0, 1, "boxes: noise that depends on the state and lasts some steps (gSDE)")    \
    F(INT, sde_sample_freq, "-1", -1, 1e9,                                                                   \
      "gSDE: steps that a noise lasts, -1 = until the next update; on-policy methods renew it there too")    \
    F(BOOL, sde_expln, "false", 0, 1, "gSDE: a deviation that grows slowly above 1 (log, not exp)")

/* what is added to a variance, as in Stable-Baselines3 */
#define REINI_SDE_EPSILON 1e-6
/* means of squashed actions are kept in +-this, where tanh still has a slope (Stable-Baselines3's clip_mean) */
#define REINI_SDE_MEAN 2.0

/* ---- parts of graphs ----------------------------------------------------------------------------------- */

/* Log deviation (rows x act) of the marginal: latent (rows x k), log_std static (k x act). */
rein_tensor *reini_sde_log_std(rein_tensor *latent, rein_tensor *log_std, bool expln);
/* z theta: theta (rows x act k), an action's k weights side by side. */
rein_tensor *reini_sde_noise(rein_tensor *latent, rein_tensor *theta, int act);

/* ---- the noise of environments ------------------------------------------------------------------------- */

struct reini_net;

typedef struct reini_sde {
    int64_t rows;
    int latent, act;
    float *theta; /* (rows x act x latent); NULL: the policy explores otherwise */
} reini_sde;

/* Nothing is made for a policy without gSDE. */
rein_status reini_sde_init(reini_sde *sde, const struct reini_net *policy, int64_t rows);
void reini_sde_release(reini_sde *sde);
/* Where row r begins. */
static inline const float *reini_sde_at(const reini_sde *sde, int64_t r) {
    return sde->theta + r * sde->act * sde->latent;
}
/* New theta for rows begin .. end - 1 with the deviations that the policy has now: numbers of (seed, step, row). */
void reini_sde_draw(reini_sde *sde, const struct reini_net *policy, uint64_t seed, uint64_t step,
                    int64_t begin, int64_t end);
/* Saved, because the deviations it was drawn with may have changed since. */
rein_status reini_sde_visit(reini_sde *sde, reini_archive *archive);

/* Refuses what gSDE is not for. */
rein_status reini_sde_check(bool use_sde, const char *algo, const char *env, const rein_space *act);

#endif
