/*
 * advantage.c - generalised advantage estimation and V-trace, vectorised over environments.
 */
#include "rl/advantage.h"

#include <math.h>
#include <stddef.h>
#include "base/levels.h"

/* One step back in time for all environments: adv holds A_{t+1} on entry when next is NULL (the cut). */
REINI_INLINE void gae_step_body(float *restrict adv, float *restrict ret, const float *restrict adv_next,
                                const float *restrict reward, const uint8_t *restrict done,
                                const float *restrict value, const float *restrict value_next, int64_t N,
                                float discount, float decay) {
    for (int64_t n = 0; n < N; n++) {
        float next_value = value_next[n], next_adv = adv_next[n];
        /* selected rather than multiplied by 0: what is not finite in the next episode stays there */
        next_value = done[n] ? 0.0f : next_value;
        next_adv = done[n] ? 0.0f : next_adv;
        float delta = reward[n] + discount * next_value - value[n];
        adv[n] = delta + decay * next_adv;
        ret[n] = adv[n] + value[n];
    }
}
REINI_FOR_LEVELS(gae_step,
                 (float *adv, float *ret, const float *adv_next, const float *reward, const uint8_t *done,
                  const float *value, const float *value_next, int64_t N, float discount, float decay),
                 (adv, ret, adv_next, reward, done, value, value_next, N, discount, decay))

/* without a critic: V = 0, so adv is the (discounted, lambda-weighted) sum of rewards */
static void gae_no_value(float *adv, float *ret, const float *reward, const uint8_t *done, int64_t T,
                         int64_t N, float decay) {
    for (int64_t i = T * N - 1; i >= 0; i--) {
        float next = i + N < T * N && !done[i] ? adv[i + N] : 0.0f;
        adv[i] = ret[i] = reward[i] + decay * next;
    }
}

void reini_gae(float *adv, float *ret, const float *reward, const uint8_t *done, const float *value,
               int64_t T, int64_t N, float discount, float lambda) {
    float decay = discount * lambda;
    if (value == NULL) {
        gae_no_value(adv, ret, reward, done, T, N, decay);
        return;
    }
    for (int64_t t = T - 1; t >= 0; t--) {
        int64_t at = t * N;
        /* at the cut no advantage follows: decay 0 makes the last operand irrelevant */
        const float *next = t + 1 < T ? adv + at + N : value + at + N;
        gae_step(adv + at, ret + at, next, reward + at, done + at, value + at, value + at + N, N, discount,
                 t + 1 < T ? decay : 0.0f);
    }
}

void reini_vtrace(float *adv, float *target, const float *ratio, const float *reward, const uint8_t *done,
                  const float *value, int64_t T, int64_t N, float discount, float rho_max, float c_max) {
    for (int64_t i = T * N - 1; i >= 0; i--) {
        float rho = fminf(rho_max, ratio[i]), c = fminf(c_max, ratio[i]);
        float next_value = done[i] ? 0.0f : value[i + N];
        float next_target = done[i] || i + N >= T * N ? next_value : target[i + N];
        float delta = rho * (reward[i] + discount * next_value - value[i]);
        target[i] = value[i] + delta + discount * c * (next_target - next_value);
        adv[i] = rho * (reward[i] + discount * next_target - value[i]);
    }
}

/* sums over eight lanes, which vectorise and whose order is fixed */
enum { LANES = 8 };

static double fold(const double lane[LANES]) {
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

/* sums of x, x^2, e and e^2 for x = ret and e = ret - value, in double: exact enough for values that were floats */
typedef struct moment_sums {
    double x, xx, e, ee;
} moment_sums;

REINI_INLINE void sum_moments_body(moment_sums *out, const float *restrict value, const float *restrict ret,
                                   int64_t n) {
    double x[LANES] = {0}, xx[LANES] = {0}, e[LANES] = {0}, ee[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int l = 0; l < LANES; l++) {
            double r = ret[i + l], d = r - value[i + l];
            x[l] += r;
            xx[l] += r * r;
            e[l] += d;
            ee[l] += d * d;
        }
    for (int64_t i = whole; i < n; i++) {
        double r = ret[i], d = r - value[i];
        x[0] += r;
        xx[0] += r * r;
        e[0] += d;
        ee[0] += d * d;
    }
    *out = (moment_sums){fold(x), fold(xx), fold(e), fold(ee)};
}
REINI_FOR_LEVELS(sum_moments, (moment_sums * out, const float *value, const float *ret, int64_t n),
                 (out, value, ret, n))

double reini_explained_variance(const float *value, const float *ret, int64_t n) {
    moment_sums s;
    sum_moments(&s, value, ret, n);
    double variance = s.xx - s.x * s.x / (double)n, residual = s.ee - s.e * s.e / (double)n;
    /* below this the difference is rounding: the returns do not vary */
    return variance > 1e-12 * s.xx ? 1 - residual / variance : NAN;
}

void reini_mean_std_at(const float *x, const int32_t *index, int64_t n, double *mean, double *std) {
    double sum[LANES] = {0}, squares[LANES] = {0};
    for (int64_t i = 0; i < n; i += LANES)
        for (int l = 0; l < LANES && i + l < n; l++) {
            double v = x[index[i + l]];
            sum[l] += v;
            squares[l] += v * v;
        }
    double total = fold(sum);
    *mean = total / (double)n;
    double variance = n > 1 ? (fold(squares) - total * *mean) / (double)(n - 1) : 0;
    *std = variance > 0 ? sqrt(variance) : 0;
}
