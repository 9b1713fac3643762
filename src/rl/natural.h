/*
 * natural.h - natural gradients: products with the Fisher matrix of a policy, conjugate gradients to invert it, and
 * the line search that keeps the step honest.
 *
 * For a step x from parameters theta, KL(pi_theta || pi_{theta + x}) = x'F x / 2 + O(x^3), with F the Fisher matrix,
 * averaged over states (Kakade 2002; Schulman et al. 2015, appendix C). F is never formed.
 */
#ifndef REINI_NATURAL_H
#define REINI_NATURAL_H

#include <stdint.h>
#include <rein/nn.h>

/* A static scalar whose gradient with respect to `slot` is F v, v being the parameters of `direction`, a slot of the
 * same layout; F is that of the mean over rows. output: what the distribution was made from (logits before masks;
 * not read for boxes). The layout's other parameters must be 0 in v. */
rein_tensor *reini_fisher_form(const rein_dist *dist, rein_tensor *output, int slot, int direction);

/* out = H x for a symmetric positive definite H of n rows. */
typedef void reini_product(void *user, const double *x, double *out);

typedef struct reini_cg {
    reini_product *product;
    void *user;
    int64_t n;
    int64_t max_steps;
    double tolerance; /* ends when |b - H x|^2 is below it */
    double *work;     /* (3 x n) */
} reini_cg;

typedef struct reini_cg_result {
    int64_t steps;
    double residual; /* |b - H x| / |b|, 0 for b = 0; NAN when something was not finite or H not positive */
} reini_cg_result;

/* Conjugate gradients (Hestenes & Stiefel 1952) for H x = b from x = 0. */
reini_cg_result reini_conjugate_gradient(const reini_cg *cg, const double *b, double *x);

/* The dot product, summed in order. */
double reini_dot(const double *a, const double *b, int64_t n);

/* What a step of some length leads to. */
typedef struct reini_trial {
    double objective; /* to be maximised */
    double kl;        /* from the policy before the step */
    double excess;    /* above 0: it breaks a limit besides */
} reini_trial;

typedef struct reini_line_search {
    double max_kl;
    double shrink;    /* of the step, from one try to the next */
    int64_t max_iter; /* tries */
    reini_trial (*attempt)(void *user,
                           double fraction); /* takes `fraction` of the step from where it began */
    void *user;
} reini_line_search;

/* Fractions 1, shrink, shrink^2, ... until the objective is above `start`, the KL within its bound and no limit
 * broken. Returns the fraction taken with *found its trial, or 0: nothing qualified, and the caller goes back to the start. */
double reini_line_search_run(const reini_line_search *search, double start, reini_trial *found);

#endif
