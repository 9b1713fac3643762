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
        float alive = done[n] ? 0.0f : 1.0f;
        float delta = reward[n] + discount * alive * value_next[n] - value[n];
        adv[n] = delta + decay * alive * adv_next[n];
        ret[n] = adv[n] + value[n];
    }
}
REINI_FOR_LEVELS(gae_step,
                 (float *adv, float *ret, const float *adv_next, const float *reward, const uint8_t *done,
                  const float *value, const float *value_next, int64_t N, float discount, float decay),
                 (adv, ret, adv_next, reward, done, value, value_next, N, discount, decay))

/* without a critic: V = 0, so adv is the (discounted, lambda-weighted) sum of rewards */
static void gae_no_value(float *adv, float *ret, const float *reward, const uint8_t *done, int64_t T, int64_t N,
                         float decay) {
    for (int64_t i = T * N - 1; i >= 0; i--) {
        float next = i + N < T * N && !done[i] ? adv[i + N] : 0.0f;
        adv[i] = ret[i] = reward[i] + decay * next;
    }
}

void reini_gae(float *adv, float *ret, const float *reward, const uint8_t *done, const float *value, int64_t T,
               int64_t N, float discount, float lambda) {
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
        float alive = done[i] ? 0.0f : discount;
        float rho = fminf(rho_max, ratio[i]), c = fminf(c_max, ratio[i]);
        float next_target = i + N < T * N ? target[i + N] : value[i + N];
        float delta = rho * (reward[i] + alive * value[i + N] - value[i]);
        target[i] = value[i] + delta + alive * c * (next_target - value[i + N]);
        adv[i] = rho * (reward[i] + alive * next_target - value[i]);
    }
}

double reini_explained_variance(const float *value, const float *ret, int64_t n) {
    double sum = 0, residual = 0, squares = 0, residual_squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += ret[i];
        residual += (double)ret[i] - value[i];
    }
    double mean = sum / (double)n, residual_mean = residual / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double d = ret[i] - mean, e = (double)ret[i] - value[i] - residual_mean;
        squares += d * d;
        residual_squares += e * e;
    }
    return squares > 0 ? 1 - residual_squares / squares : NAN;
}

void reini_mean_std_at(const float *x, const int32_t *index, int64_t n, double *mean, double *std) {
    /* four chains hide the latency of double additions; their order is fixed */
    double sum[4] = {0}, squares[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        double v = x[index[i]];
        sum[i & 3] += v;
        squares[i & 3] += v * v;
    }
    double total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    double total_squares = (squares[0] + squares[1]) + (squares[2] + squares[3]);
    *mean = total / (double)n;
    double variance = n > 1 ? (total_squares - total * *mean) / (double)(n - 1) : 0;
    *std = variance > 0 ? sqrt(variance) : 0;
}
