/*
 * dist.c - distributions over actions: sampling, log-probability, entropy, Kullback-Leibler divergence.
 *
 * Diagonal Gaussian with mean m and standard deviation s:
 *     log p(a) = -sum (a - m)^2 / (2 s^2) - sum log s - k/2 log 2 pi
 *     H        = sum log s + k/2 log 2 pi e
 *     KL(p||q) = sum log s_q - log s_p + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2
 * Squashed Gaussian a = tanh u (Haarnoja et al. 2018, appendix C):
 *     log p(a) = log N(u) - sum log (1 - a^2),  log (1 - tanh^2 u) = 2 (log 2 - u - softplus(-2 u))
 */
#include <math.h>
#include <rein/nn.h>

#define LOG_2   0.69314718055994530942
#define LOG_2PI 1.83787706640934548356

/* ---- making -------------------------------------------------------------------------------------------- */

rein_dist rein_dist_categorical(rein_tensor *logits, rein_tensor *mask, int parts, const int32_t *n) {
    rein_dist dist = {.kind = REIN_DIST_CATEGORICAL, .parts = parts, .logits = logits};
    rein_tensor *x = logits;
    if (mask != NULL)
        x = rein_where(mask, logits, rein_constant(rein_tensor_graph(logits), -INFINITY));
    for (int k = 0, start = 0; k < parts; start += n[k++])
        dist.log_probs[k] = rein_log_softmax(rein_slice(x, start, n[k]));
    return dist;
}

rein_dist rein_dist_gaussian(rein_tensor *mean, rein_tensor *log_std) {
    return (rein_dist){.kind = REIN_DIST_GAUSSIAN, .parts = 1, .mean = mean, .log_std = log_std};
}

rein_dist rein_dist_squashed(rein_tensor *mean, rein_tensor *log_std) {
    return (rein_dist){.kind = REIN_DIST_SQUASHED, .parts = 1, .mean = mean, .log_std = log_std};
}

/* ---- Gaussian pieces ----------------------------------------------------------------------------------- */

static rein_tensor *gaussian_logp(const rein_dist *dist, rein_tensor *u) {
    double k = (double)rein_tensor_width(dist->mean);
    rein_tensor *z = rein_mul(rein_sub(u, dist->mean), rein_exp(rein_neg(dist->log_std)));
    rein_tensor *constant = rein_offset(rein_sum(dist->log_std), 0.5 * k * LOG_2PI);
    return rein_sub(rein_scale(rein_sum(rein_square(z)), -0.5), constant);
}

/* sum log (1 - tanh^2 u) */
static rein_tensor *log_volume(rein_tensor *u) {
    rein_tensor *soft = rein_softplus(rein_scale(u, -2));
    return rein_sum(rein_scale(rein_offset(rein_neg(rein_add(u, soft)), LOG_2), 2));
}

static rein_tensor *gaussian_noise(const rein_dist *dist, rein_tensor *key) {
    rein_tensor *noise = rein_random_normal(key, dist->mean);
    return rein_add(dist->mean, rein_mul(rein_exp(dist->log_std), noise));
}

/* tanh^-1, for actions that were recorded without the number they came from */
static rein_tensor *unsquash(rein_tensor *action) {
    rein_graph *g = rein_tensor_graph(action);
    double edge = 1 - 1e-6;
    rein_tensor *a = rein_clamp(action, rein_constant(g, -edge), rein_constant(g, edge));
    return rein_scale(rein_sub(rein_log(rein_offset(a, 1)), rein_log(rein_offset(rein_neg(a), 1))), 0.5);
}

/* ---- sampling ------------------------------------------------------------------------------------------ */

static rein_tensor *sample_parts(const rein_dist *dist, rein_tensor *key) {
    rein_tensor *u = rein_random_uniform(key, rein_slice(dist->logits, 0, dist->parts));
    rein_tensor *action = rein_sample_index(dist->log_probs[0], rein_slice(u, 0, 1));
    for (int k = 1; k < dist->parts; k++)
        action = rein_concat(action, rein_sample_index(dist->log_probs[k], rein_slice(u, k, 1)));
    return action;
}

rein_tensor *rein_dist_sample(const rein_dist *dist, rein_tensor *key) {
    if (dist->kind == REIN_DIST_CATEGORICAL)
        return sample_parts(dist, key);
    rein_tensor *u = gaussian_noise(dist, key);
    return dist->kind == REIN_DIST_SQUASHED ? rein_tanh(u) : u;
}

rein_tensor *rein_dist_draw(const rein_dist *dist, rein_tensor *key, rein_tensor **logp) {
    rein_tensor *u = gaussian_noise(dist, key);
    *logp = gaussian_logp(dist, u);
    if (dist->kind == REIN_DIST_GAUSSIAN)
        return u;
    *logp = rein_sub(*logp, log_volume(u));
    return rein_tanh(u);
}

rein_tensor *rein_dist_mode(const rein_dist *dist) {
    if (dist->kind == REIN_DIST_GAUSSIAN)
        return dist->mean;
    if (dist->kind == REIN_DIST_SQUASHED)
        return rein_tanh(dist->mean);
    rein_tensor *action = rein_argmax(dist->log_probs[0]);
    for (int k = 1; k < dist->parts; k++)
        action = rein_concat(action, rein_argmax(dist->log_probs[k]));
    return action;
}

/* ---- densities ----------------------------------------------------------------------------------------- */

static rein_tensor *plus(rein_tensor *sum, rein_tensor *term) {
    return sum != NULL ? rein_add(sum, term) : term;
}

rein_tensor *rein_dist_logp(const rein_dist *dist, rein_tensor *action) {
    if (dist->kind == REIN_DIST_GAUSSIAN)
        return gaussian_logp(dist, action);
    if (dist->kind == REIN_DIST_SQUASHED) {
        rein_tensor *u = unsquash(action);
        return rein_sub(gaussian_logp(dist, u), log_volume(u));
    }
    rein_tensor *sum = NULL;
    for (int k = 0; k < dist->parts; k++)
        sum = plus(sum, rein_pick(dist->log_probs[k], rein_slice(action, k, 1)));
    return sum;
}

rein_tensor *rein_dist_entropy(const rein_dist *dist) {
    if (dist->kind == REIN_DIST_SQUASHED)
        return NULL;
    if (dist->kind == REIN_DIST_GAUSSIAN) {
        double k = (double)rein_tensor_width(dist->mean);
        return rein_offset(rein_sum(dist->log_std), 0.5 * k * (LOG_2PI + 1));
    }
    rein_tensor *sum = NULL;
    for (int k = 0; k < dist->parts; k++)
        sum = plus(sum, rein_entropy(dist->log_probs[k]));
    return sum;
}

static rein_tensor *gaussian_kl(const rein_dist *p, const rein_dist *q) {
    rein_tensor *inverse = rein_exp(rein_neg(q->log_std));
    rein_tensor *spread = rein_square(rein_mul(rein_exp(p->log_std), inverse));
    rein_tensor *shift = rein_square(rein_mul(rein_sub(p->mean, q->mean), inverse));
    rein_tensor *half = rein_scale(rein_offset(rein_add(spread, shift), -1), 0.5);
    return rein_sum(rein_add(rein_sub(q->log_std, p->log_std), half));
}

rein_tensor *rein_dist_kl(const rein_dist *p, const rein_dist *q) {
    if (p->kind != REIN_DIST_CATEGORICAL)
        return gaussian_kl(p, q);
    rein_tensor *sum = NULL;
    for (int k = 0; k < p->parts; k++)
        sum = plus(sum, rein_relative_entropy(p->log_probs[k], q->log_probs[k]));
    return sum;
}
