/*
 * noise.c - action noise: Gaussian (Fujimoto et al. 2018), Ornstein-Uhlenbeck (Lillicrap et al. 2016, section 7).
 */
#include "rl/noise.h"

#include <math.h>
#include <string.h>
#include <rein/rng.h>

enum { NOISE_STREAM = 0x4E4F4953 };
#define THETA 0.15
#define DT    0.01

rein_status reini_noise_init(reini_noise *noise, int kind, double sigma, int64_t rows, int width) {
    *noise = (reini_noise){.kind = kind, .sigma = sigma, .rows = rows, .width = width};
    noise->state = REINI_NEW_ARRAY(double, (size_t)(rows * width));
    return noise->state != NULL ? REIN_OK : reini_fail_memory((size_t)(rows * width) * 8, "action noise");
}

void reini_noise_release(reini_noise *noise) {
    reini_free(noise->state);
    noise->state = NULL;
}

/* what is added to number k of row i */
static double next(reini_noise *noise, int64_t i, double normal) {
    double *x = &noise->state[i];
    if (noise->kind == REINI_NOISE_GAUSSIAN)
        return noise->sigma * normal;
    *x += -THETA * *x * DT + noise->sigma * sqrt(DT) * normal;
    return *x;
}

void reini_noise_add(reini_noise *noise, float *action, uint64_t seed, uint64_t step) {
    uint64_t rows = (uint64_t)noise->rows;
    for (uint64_t r = 0; r < rows; r++) {
        rein_rng rng = rein_rng_make(seed ^ (uint64_t)NOISE_STREAM << 32, step * rows + r);
        for (int64_t k = 0; k < noise->width; k++) {
            int64_t i = (int64_t)r * noise->width + k;
            float a = action[i] + (float)next(noise, i, rein_rng_normal(&rng));
            action[i] = a < -1 ? -1 : a > 1 ? 1 : a;
        }
    }
}

void reini_noise_restart(reini_noise *noise, int64_t row) {
    memset(noise->state + row * noise->width, 0, (size_t)noise->width * sizeof *noise->state);
}

rein_status reini_noise_visit(reini_noise *noise, reini_archive *archive) {
    return reini_archive_bytes(archive, "noise.state", noise->state,
                               (size_t)(noise->rows * noise->width) * sizeof *noise->state);
}
