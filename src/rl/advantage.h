/*
 * advantage.h - how good an action was: generalised advantage estimation and its relatives, and V-trace.
 *
 * Arrays are time-major: (T x N), element t N + n is step t of environment n. Ends of episodes have been folded into
 * the rewards beforehand: a truncated step carries reward + discount V(final observation), and `done` is set for
 * terminated and truncated steps alike, so nothing ever leaks across an episode's border.
 */
#ifndef REINI_ADVANTAGE_H
#define REINI_ADVANTAGE_H

#include <stdint.h>

/* Generalised advantage estimation (Schulman et al. 2016, eq. 16):
 *     delta_t = r_t + discount (1 - done_t) V_{t+1} - V_t,   A_t = delta_t + discount lambda (1 - done_t) A_{t+1}.
 * lambda 0 is the one-step TD error, lambda 1 the Monte-Carlo return minus V (bootstrapped with V_T at the cut).
 * value is ((T + 1) x N); adv and ret = adv + V are (T x N). value NULL stands for V = 0 everywhere. */
void reini_gae(float *adv, float *ret, const float *reward, const uint8_t *done, const float *value,
               int64_t T, int64_t N, float discount, float lambda);

/* V-trace (Espeholt et al. 2018, eq. 1) for data of an older policy: ratio = pi / mu of the actions (T x N).
 *     v_t = V_t + delta_t + discount c_t (v_{t+1} - V_{t+1}),  delta_t = rho_t (r_t + discount V_{t+1} - V_t),
 *     rho_t = min(rho_max, ratio_t), c_t = min(c_max, ratio_t);  A_t = rho_t (r_t + discount v_{t+1} - V_t).
 * target receives v_t, adv the policy-gradient advantage. */
void reini_vtrace(float *adv, float *target, const float *ratio, const float *reward, const uint8_t *done,
                  const float *value, int64_t T, int64_t N, float discount, float rho_max, float c_max);

/* 1 - Var(ret - value) / Var(ret); NAN when the returns do not vary. */
double reini_explained_variance(const float *value, const float *ret, int64_t n);

/* Mean and standard deviation (n - 1) of x[index[i]]. */
void reini_mean_std_at(const float *x, const int32_t *index, int64_t n, double *mean, double *std);

#endif
