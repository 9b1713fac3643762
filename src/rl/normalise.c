/*
 * normalise.c - running moments, reward scaling.
 */
#include "rl/normalise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define REWARD_LIMIT     10.0f
#define VARIANCE_EPSILON 1e-8

rein_status reini_moments_init(reini_moments *m, int size) {
    m->size = size;
    m->count = 0;
    m->mean = REINI_NEW_ARRAY(double, (size_t)size);
    m->sum_squares = REINI_NEW_ARRAY(double, (size_t)size);
    if (m->mean != NULL && m->sum_squares != NULL)
        return REIN_OK;
    reini_moments_release(m);
    return reini_fail_memory(2 * (size_t)size * sizeof(double), "running moments");
}

void reini_moments_release(reini_moments *m) {
    reini_free(m->mean);
    reini_free(m->sum_squares);
    m->mean = m->sum_squares = NULL;
}

/* mean and sum of squared deviations of column i of x (n x size) */
static void column_moments(const float *x, int64_t n, int size, int i, double *mean, double *squares) {
    double sum = 0, squared = 0;
    for (int64_t r = 0; r < n; r++)
        sum += x[r * size + i];
    *mean = sum / (double)n;
    for (int64_t r = 0; r < n; r++) {
        double d = x[r * size + i] - *mean;
        squared += d * d;
    }
    *squares = squared;
}

static void add_block(reini_moments *m, const float *x, int64_t n) {
    double total = m->count + (double)n;
    for (int i = 0; i < m->size; i++) {
        double mean, squares;
        column_moments(x, n, m->size, i, &mean, &squares);
        double gap = mean - m->mean[i];
        m->mean[i] += gap * (double)n / total;
        m->sum_squares[i] += squares + gap * gap * m->count * (double)n / total;
    }
    m->count = total;
}

/* leading rows without NaN and infinity */
static int64_t finite_rows(const float *x, int64_t n, int size) {
    int64_t i = 0;
    while (i < n * size && isfinite(x[i]))
        i++;
    return i / size;
}

void reini_moments_add(reini_moments *m, const float *x, int64_t n) {
    while (n > 0) {
        int64_t good = finite_rows(x, n, m->size), taken = good < n ? good + 1 : good;
        if (good > 0)
            add_block(m, x, good);
        x += taken * m->size;
        n -= taken;
    }
}

double reini_moments_variance(const reini_moments *m, int i) {
    return m->count > 0 ? m->sum_squares[i] / m->count : 1;
}

rein_status reini_moments_visit(reini_moments *m, const char *name, reini_archive *archive) {
    char entry[96];
    size_t bytes = (size_t)m->size * sizeof(double);
    snprintf(entry, sizeof entry, "%s.count", name);
    REINI_TRY(reini_archive_bytes(archive, entry, &m->count, sizeof m->count));
    snprintf(entry, sizeof entry, "%s.mean", name);
    REINI_TRY(reini_archive_bytes(archive, entry, m->mean, bytes));
    snprintf(entry, sizeof entry, "%s.sum_squares", name);
    return reini_archive_bytes(archive, entry, m->sum_squares, bytes);
}

/* ---- rewards ------------------------------------------------------------------------------------------- */

rein_status reini_reward_scale_init(reini_reward_scale *s, int n, double discount) {
    s->n = n;
    s->discount = (float)discount;
    s->running = REINI_NEW_ARRAY(float, (size_t)n);
    if (s->running == NULL)
        return reini_fail_memory((size_t)n * sizeof(float), "reward scaling");
    return reini_moments_init(&s->moments, 1);
}

void reini_reward_scale_release(reini_reward_scale *s) {
    reini_free(s->running);
    s->running = NULL;
    reini_moments_release(&s->moments);
}

/* a NaN passes through, so that it shows */
static float limited(float x) {
    x = x < -REWARD_LIMIT ? -REWARD_LIMIT : x;
    return x > REWARD_LIMIT ? REWARD_LIMIT : x;
}

void reini_reward_scale_apply(reini_reward_scale *s, float *reward, const uint8_t *done, int64_t T) {
    for (int64_t t = 0; t < T; t++) {
        for (int i = 0; i < s->n; i++)
            s->running[i] = s->discount * s->running[i] + reward[t * s->n + i];
        reini_moments_add(&s->moments, s->running, s->n);
        for (int i = 0; i < s->n; i++)
            if (done[t * s->n + i])
                s->running[i] = 0;
    }
    float scale = (float)(1 / sqrt(reini_moments_variance(&s->moments, 0) + VARIANCE_EPSILON));
    for (int64_t i = 0; i < T * s->n; i++)
        reward[i] = limited(reward[i] * scale);
}

rein_status reini_reward_scale_visit(reini_reward_scale *s, reini_archive *archive) {
    REINI_TRY(reini_moments_visit(&s->moments, "reward_scale", archive));
    return reini_archive_bytes(archive, "reward_scale.running", s->running, (size_t)s->n * sizeof(float));
}
