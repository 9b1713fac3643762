/*
 * natural.c - Fisher-vector products in one forward, one tangent and one backward pass; conjugate gradients; line
 * search.
 *
 * With J the Jacobian of the distribution's natural quantities z (logits; mean and log deviation) with respect to the
 * parameters, F = E[J'M J] exactly, where M is the Fisher matrix of the distribution in z:
 *
 *     categorical  M = diag(p) - p p'        M dz = p d(log p)
 *     Gaussian     M = 1 / s^2 for the mean, 2 for log s
 *
 * J v is a forward-mode derivative. The product M J v is held constant and contracted with z, so that the reverse-mode
 * gradient of the result is J'(M J v): no finite differences, no second derivatives of the network.
 */
#include "rl/natural.h"

#include <math.h>
#include <string.h>

/* ---- Fisher-vector products ---------------------------------------------------------------------------- */

static rein_tensor *contract(rein_tensor *product, rein_tensor *z) {
    return rein_sum(rein_mul(rein_stop_gradient(product), z));
}

static rein_tensor *fisher_categorical(const rein_dist *dist, rein_tensor *logits, int slot, int direction) {
    rein_tensor *sum = NULL;
    int at = 0;
    for (int k = 0; k < dist->parts; k++) {
        int n = (int)rein_tensor_width(dist->log_probs[k]);
        rein_tensor *tangent = rein_tangent(dist->log_probs[k], slot, direction);
        rein_tensor *part =
            contract(rein_mul(rein_exp(dist->log_probs[k]), tangent), rein_slice(logits, at, n));
        sum = sum != NULL ? rein_add(sum, part) : part;
        at += n;
    }
    return rein_mean(sum);
}

static rein_tensor *fisher_gaussian(const rein_dist *dist, int slot, int direction) {
    rein_tensor *precision = rein_exp(rein_scale(dist->log_std, -2));
    rein_tensor *mean = rein_mul(rein_tangent(dist->mean, slot, direction), precision);
    rein_tensor *log_std = rein_scale(rein_tangent(dist->log_std, slot, direction), 2);
    return rein_add(rein_mean(contract(mean, dist->mean)), rein_mean(contract(log_std, dist->log_std)));
}

rein_tensor *reini_fisher_form(const rein_dist *dist, rein_tensor *output, int slot, int direction) {
    if (dist->kind == REIN_DIST_CATEGORICAL)
        return fisher_categorical(dist, output, slot, direction);
    return fisher_gaussian(dist, slot, direction);
}

/* ---- conjugate gradients ------------------------------------------------------------------------------- */

double reini_dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

reini_cg_result reini_conjugate_gradient(const reini_cg *cg, const double *b, double *x) {
    int64_t n = cg->n;
    double *r = cg->work, *p = r + n, *q = p + n; /* residual, search direction, its product */
    size_t bytes = (size_t)n * sizeof(double);
    memset(x, 0, bytes);
    memcpy(r, b, bytes);
    memcpy(p, b, bytes);
    double rr = reini_dot(r, r, n), bb = rr;
    reini_cg_result result = {0};
    while (result.steps < cg->max_steps && rr > cg->tolerance) {
        cg->product(cg->user, p, q);
        double curvature = reini_dot(p, q, n);
        if (!(curvature > 0))
            return (reini_cg_result){result.steps, NAN};
        double alpha = rr / curvature, before = rr;
        for (int64_t i = 0; i < n; i++) {
            x[i] += alpha * p[i];
            r[i] -= alpha * q[i];
        }
        rr = reini_dot(r, r, n);
        for (int64_t i = 0; i < n; i++)
            p[i] = r[i] + rr / before * p[i];
        result.steps++;
    }
    result.residual = bb > 0 ? sqrt(rr / bb) : bb;
    return result;
}

/* ---- line search --------------------------------------------------------------------------------------- */

double reini_line_search_run(const reini_line_search *search, double start, reini_trial *found) {
    double fraction = 1;
    for (int64_t i = 0; i < search->max_iter; i++, fraction *= search->shrink) {
        *found = search->attempt(search->user, fraction);
        /* false for what is not a number */
        if (found->kl <= search->max_kl && found->objective > start && found->excess <= 0)
            return fraction;
    }
    return 0;
}
