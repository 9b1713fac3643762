/*
 * pg_loss.h - the policy-gradient core, shared by every method that compares a policy with the one that acted.
 *
 * It sees flat items (environment steps or tokens, one a row): log-probability under the policy that learns, under
 * the policy that acted, and an advantage. Who fills the rows is the algorithm's business.
 */
#ifndef REINI_PG_LOSS_H
#define REINI_PG_LOSS_H

#include <rein/tensor.h>

/* All (rows x 1). */
typedef struct reini_pg {
    rein_tensor *log_ratio; /* log pi(a|s) - log pi_old(a|s) */
    rein_tensor *ratio;     /* r = pi / pi_old */
    rein_tensor *gain;      /* what to maximise: its mean is the surrogate objective */
} reini_pg;

/* The conservative policy iteration surrogate r A (Schulman et al. 2017, eq. 6). */
reini_pg reini_pg_plain(rein_tensor *logp, rein_tensor *logp_old, rein_tensor *adv);
/* The clipped surrogate min(r A, clip(r, low, high) A) (eq. 7); low = 1 - eps, high = 1 + eps. */
reini_pg reini_pg_clip(rein_tensor *logp, rein_tensor *logp_old, rein_tensor *adv, rein_tensor *low,
                       rein_tensor *high);

/* Mean of (r - 1) - log r, an unbiased and never negative estimate of KL(old || new) (Schulman 2020, "k3"). */
rein_tensor *reini_pg_approx_kl(const reini_pg *pg);
/* Share of rows whose ratio lies outside [low, high]. */
rein_tensor *reini_pg_clip_fraction(const reini_pg *pg, rein_tensor *low, rein_tensor *high);

#endif
