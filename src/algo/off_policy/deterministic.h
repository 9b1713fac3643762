/*
 * deterministic.h - actor-critic methods whose policy is a function: the loop of DDPG and TD3, which differ in settings.
 */
#ifndef REINI_DETERMINISTIC_H
#define REINI_DETERMINISTIC_H

#include "algo/algo.h"

/* Fields of both; defaults are those of TD3's authors where they agree. */
#define REINI_DETERMINISTIC_FIELDS(F, E)                                                                     \
    F(INT, n_envs, "1", 1, 65536, "N: environments stepped side by side")                                    \
    F(COUNT, buffer_size, "1e6", 1, 2e9, "transitions remembered")                                           \
    F(COUNT, learning_starts, "100", 0, 1e15, "environment steps of random actions before learning")         \
    F(INT, batch_size, "256", 1, 1e6, "transitions in an update")                                            \
    F(INT, train_freq, "1", 1, 1e9, "steps of every environment between updates")                            \
    F(INT, gradient_steps, "1", -1, 1e9, "updates each time, -1 = as many as environment steps were made")   \
    F(SCHEDULE, learning_rate, "1e-3", 0, 100, "step size of actor and critics")                             \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(REAL, tau, "0.005", 0, 1, "how far the targets move in an update of the actor")                        \
    F(INT, n_step, "1", 1, 1000, "n: rewards summed before a value follows")                                 \
    E(noise, "gaussian", "gaussian|ou", "exploration: independent, or an Ornstein-Uhlenbeck process")        \
    F(REAL, action_noise, "0.1", 0, 10, "its standard deviation, in actions of -1..1")                       \
    F(REAL, max_grad_norm, "0", 0, 1e9, "global gradient norm clip of actor and of critics, 0 = off")        \
    F(REAL, adam_eps, "1e-8", 0, 1, "epsilon beside the root in Adam")                                       \
    F(INTS, hidden, "256,256", 1, 65536, "widths of the hidden layers of actor and critics")                 \
    E(activation, "relu", "identity|tanh|relu|silu|gelu|sigmoid", "activation of the hidden layers")

typedef struct reini_deterministic_config {
    REIN_FIELDS_STRUCT(REINI_DETERMINISTIC_FIELDS)
} reini_deterministic_config;

/* What makes the difference. */
typedef struct reini_deterministic_kind {
    const char *name;
    int critics;          /* 1, or 2 whose smaller value counts */
    int64_t policy_delay; /* updates of the critics for one of actor and targets */
    double target_noise;  /* standard deviation of what is added to the target's actions */
    double target_clip;   /* and how far it may go */
} reini_deterministic_kind;

enum { REINI_DETERMINISTIC_METRICS = 8, REINI_DETERMINISTIC_KEY = 2 };
extern const char *const reini_deterministic_metrics[REINI_DETERMINISTIC_METRICS];

rein_status reini_deterministic_check(const char *name, const reini_deterministic_config *config,
                                      const reini_context *context);
rein_status reini_deterministic_create(const reini_deterministic_kind *kind,
                                       const reini_deterministic_config *config, const reini_context *context,
                                       void **self);
void reini_deterministic_destroy(void *self);
void reini_deterministic_iterate(void *self, reini_report *report);
rein_status reini_deterministic_visit(void *self, reini_archive *archive);
void reini_deterministic_extend(void *self, int64_t total_steps);
rein_policy *reini_deterministic_policy(void *self);

#endif
