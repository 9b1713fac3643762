/*
 * noise.h - what deterministic policies explore with: noise on actions in -1..1.
 */
#ifndef REINI_NOISE_H
#define REINI_NOISE_H

#include "base/archive.h"

typedef enum reini_noise_kind {
    REINI_NOISE_GAUSSIAN, /* independent in every step */
    REINI_NOISE_OU, /* Ornstein-Uhlenbeck: x <- x - theta x dt + sigma sqrt(dt) n, theta 0.15, dt 0.01 */
} reini_noise_kind;

typedef struct reini_noise {
    int kind;
    double sigma;
    int64_t rows, width;
    double *state; /* (rows x width) of the OU process */
} reini_noise;

rein_status reini_noise_init(reini_noise *noise, int kind, double sigma, int64_t rows, int width);
void reini_noise_release(reini_noise *noise);
/* Adds noise to actions (rows x width) and keeps them in -1..1; numbers of (seed, step, row). */
void reini_noise_add(reini_noise *noise, float *action, uint64_t seed, uint64_t step);
/* An episode of this row ended: its process begins anew. */
void reini_noise_restart(reini_noise *noise, int64_t row);
rein_status reini_noise_visit(reini_noise *noise, reini_archive *archive);

#endif
