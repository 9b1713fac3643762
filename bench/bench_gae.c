/*
 * bench_gae.c - generalised advantage estimation over 64 environments x 512 steps, microseconds a call.
 *
 *     bench_gae [repetitions, default 2000]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <rein/rng.h>
#include "rl/advantage.h"

enum { T = 512, N = 64 };
static float reward[T * N], value[(T + 1) * N], adv[T * N], ret[T * N];
static uint8_t done[T * N];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int repetitions = argc > 1 ? atoi(argv[1]) : 2000;
    double *seconds = malloc((size_t)repetitions * sizeof *seconds);
    rein_rng rng = rein_rng_make(1, 0);
    if (seconds == NULL || repetitions < 1)
        return 1;
    for (int i = 0; i < T * N; i++) {
        reward[i] = rein_rng_uniform(&rng);
        value[i] = rein_rng_uniform(&rng);
        done[i] = rein_rng_below(&rng, 100) == 0;
    }
    for (int r = 0; r < repetitions; r++) {
        double start = now();
        reini_gae(adv, ret, reward, done, value, T, N, 0.99f, 0.95f);
        seconds[r] = now() - start;
    }
    qsort(seconds, (size_t)repetitions, sizeof *seconds, ascending);
    double median = seconds[repetitions / 2];
    printf("GAE, %d environments x %d steps: median %.2f us, %.3f ns a step (checksum %.6f)\n", N, T,
           1e6 * median, 1e9 * median / (T * N), (double)adv[0]);
    free(seconds);
    return 0;
}
