/*
 * trust_region.h - what methods share that take one natural-gradient step within a KL ball (TRPO, CPO): settings, the
 * surrogates and their gradients, products with the Fisher matrix, the step along the search direction and its line
 * search, and the fitting of values afterwards.
 *
 * A method embeds a reini_trust as its first member (TRPO is one). An iteration is
 *
 *     if (reini_on_policy_gather(&trust->base, report)) {
 *         reini_on_policy_estimate(&trust->base, ...);
 *         reini_trust_prepare(trust);
 *         reini_trust_ascend(trust, metric), a direction in x, reini_trust_search(trust, ...)
 *         reini_trust_fit(trust, metric);
 *         reini_on_policy_finish(&trust->base, report);
 *     }
 */
#ifndef REINI_TRUST_REGION_H
#define REINI_TRUST_REGION_H

#include "algo/on_policy/critic.h"
#include "rl/cost.h"
#include "rl/natural.h"

/* the learner's fields as the value function wants them */
#define REINI_TRUST_OPTIM_FIELDS(F, E)                                                                       \
    F(REAL, max_grad_norm, "0", 0, 1e9, "global gradient norm clip of the value function, 0 = off")          \
    E(optimizer, "adam", "adam|adamw|sgd|rmsprop", "optimizer of the value function")                        \
    F(REAL, adam_eps, "1e-5", 0, 1, "epsilon beside the root in Adam and RMSprop")                           \
    F(REAL, weight_decay, "0", 0, 10, "AdamW's decoupled decay, SGD's L2 term")                              \
    F(REAL, momentum, "0.9", 0, 1, "SGD's momentum")

#define REINI_TRUST_OWN_FIELDS(F, E)                                                                         \
    F(INT, n_envs, "2", 1, 65536, "N: environments stepped side by side")                                    \
    F(INT, n_steps, "1024", 1, 1048576, "T: steps of every environment in an iteration")                     \
    F(SCHEDULE, target_kl, "0.01", 0, 1e3, "delta: radius of the trust region")                              \
    F(INT, cg_max_steps, "15", 1, 10000, "steps of conjugate gradients")                                     \
    F(REAL, cg_damping, "0.1", 0, 1e6, "added to the Fisher matrix's diagonal")                              \
    F(REAL, line_search_shrinking_factor, "0.8", 1e-6, 0.999999, "the step shrinks by this from try to try") \
    F(INT, line_search_max_iter, "10", 1, 1000, "tries of the line search")                                  \
    F(INT, sub_sampling_factor, "1", 1, 1048576, "the policy learns from every k-th step")                   \
    F(INT, batch_size, "128", 1, 1e9, "steps in a minibatch of the value function")                          \
    F(INT, n_critic_updates, "10", 0, 10000, "passes of the value function over an iteration's steps")       \
    F(SCHEDULE, learning_rate, "1e-3", 0, 100, "step size of the value function's optimizer")                \
    F(REAL, gamma, "0.99", 0, 1, "discount per step")                                                        \
    F(REAL, gae_lambda, "0.95", 0, 1, "bias (0) against variance (1) of the advantage")                      \
    F(BOOL, normalize_advantage, "true", 0, 1, "advantages to mean 0, deviation 1")                          \
    F(BOOL, norm_reward, "false", 0, 1, "rewards divided by the deviation of the discounted return")
#define REINI_TRUST_FIELDS(F, E)                                                                             \
    REINI_TRUST_OWN_FIELDS(F, E) REINI_TRUST_OPTIM_FIELDS(F, E) REINI_NET_FIELDS(F, E)

typedef struct reini_trust_config {
    REIN_FIELDS_STRUCT(REINI_TRUST_FIELDS)
} reini_trust_config;

/* metric, name of its column; the first of the method's */
#define REINI_TRUST_METRICS(X)                                                                               \
    X(SURROGATE, "train/surrogate_gain")                                                                     \
    X(KL, "train/kl")                                                                                        \
    X(STEP, "train/step_fraction")                                                                           \
    X(CG_RESIDUAL, "train/cg_residual")                                                                      \
    X(ENTROPY, "train/entropy")                                                                              \
    X(GRAD_NORM, "train/grad_norm")                                                                          \
    X(VALUE_LOSS, "train/value_loss")                                                                        \
    X(EXPLAINED_VARIANCE, "train/explained_variance")                                                        \
    X(LEARNING_RATE, "train/learning_rate")

enum {
#define X(name, column) REINI_TRUST_##name,
    REINI_TRUST_METRICS(X)
#undef X
};

/* The surrogates and the KL of the present parameters. */
typedef struct reini_surrogate {
    reini_part part;
    rein_tensor *adv_mean, *adv_std; /* uniforms */
    rein_tensor *log_std;            /* static (act size) input of boxes: the old policy's */
    rein_tensor *surrogate, *kl, *entropy;
    rein_tensor *cost_mean[REIN_COSTS_MAX]; /* uniforms */
    rein_tensor *cost[REIN_COSTS_MAX];      /* E[ratio (A_i - mean of A_i)] */
} reini_surrogate;

typedef struct reini_trust {
    reini_on_policy base;
    reini_trust_config config;
    const reini_costs *costs;      /* NULL without */
    reini_surrogate ascent, judge; /* with gradients and without */
    reini_part fisher;             /* product = F direction */
    rein_store *gradient, *direction, *product;
    rein_store *cost_gradient[REIN_COSTS_MAX];
    reini_critic critic;
    int64_t n;                            /* numbers in a store */
    double *start, *g, *x, *hx, *cg_work; /* (n): old parameters, gradient, step and its product; (3 x n) */
    float *old_log_std;                   /* (act size) */
    int32_t *chosen;                      /* steps the policy learns from */
    int64_t n_chosen;
} reini_trust;

/* ---- construction -------------------------------------------------------------------------------------- */

/* The part of a config that follows these fields; algo names the method in sentences. */
rein_status reini_trust_check(const char *algo, const reini_trust_config *config,
                              const reini_context *context);
/* Policy, rollout (with costs when asked for) and memory; then, once there are costs or NULL, the programs. Release
 * after success and failure alike. */
rein_status reini_trust_init(reini_trust *t, const char *algo, const reini_trust_config *config, bool costs,
                             const reini_context *context);
rein_status reini_trust_build(reini_trust *t, const reini_costs *costs);
void reini_trust_release(reini_trust *t);
rein_status reini_trust_visit(reini_trust *t, const char *optimizer, reini_archive *archive);
/* The optimizer's settings. */
reini_optim_settings reini_trust_optim(const reini_trust_config *config);

/* ---- a step -------------------------------------------------------------------------------------------- */

/* Statistics of the advantages, and the deviation that acted. */
void reini_trust_prepare(reini_trust *t);
/* The surrogate and the KL. */
reini_trial reini_trust_evaluate(const reini_surrogate *o);
/* Surrogates and gradients: g, and cost_gradient in its stores. Fills entropy and gradient norm, sets the step's
 * metrics to none, and notes an update that is not finite: false, and nothing must move then. */
bool reini_trust_ascend(reini_trust *t, reini_trial *now, double *metric);
/* out = (F + damping) x of a reini_trust. */
void reini_trust_product(void *trust, const double *x, double *out);
/* x = (F + damping)^-1 b; returns the residual of conjugate gradients. */
double reini_trust_invert(reini_trust *t, const double *b, double *x);
void reini_trust_doubles(double *out, const rein_store *from, int64_t n);
/* Parameters become start + fraction x. */
void reini_trust_write(reini_trust *t, double fraction);
/* The same, and what it leads to; a line search's attempt. */
reini_trial reini_trust_attempt(void *trust, double fraction);
/* Takes the largest fraction of x that qualifies (reini_line_search_run), or none; fills the step's metrics. attempt
 * gets `user`; objective is the least to be passed. */
void reini_trust_search(reini_trust *t, double radius, double objective,
                        reini_trial (*attempt)(void *user, double fraction), void *user, double *metric);
/* Fits the value function and fills its metrics, with the learning rate's. */
void reini_trust_fit(reini_trust *t, double *metric);

#endif
