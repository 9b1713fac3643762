/*
 * nn.h - compositions of tensor ops: multilayer perceptrons and action distributions.
 */
#ifndef REIN_NN_H
#define REIN_NN_H

#include <rein/env.h>
#include <rein/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Layers name.0, name.1, ... with parameters name.k.weight [in, out] and name.k.bias [out]. The hidden layers
 * use `act` and `hidden_init`; the last, `out` wide, is linear and uses `out_init`. out = 0: no last layer. */
REIN_API rein_tensor *rein_mlp(rein_tensor *x, int slot, const char *name, int layers, const int *hidden,
                               rein_activation act, rein_init hidden_init, int out, rein_init out_init);

/* ---- distributions over actions ------------------------------------------------------------------------ */

typedef enum rein_dist_kind {
    REIN_DIST_CATEGORICAL, /* one or several independent parts */
    REIN_DIST_GAUSSIAN,    /* diagonal */
    REIN_DIST_SQUASHED,    /* tanh of a diagonal Gaussian; Haarnoja et al. 2018, appendix C */
} rein_dist_kind;

/* A distribution for each row; a small value, copied freely. */
typedef struct rein_dist {
    rein_dist_kind kind;
    int parts;                                /* categorical: number of parts, else 1 */
    rein_tensor *logits;                      /* categorical: (rows x sum n), before masks */
    rein_tensor *log_probs[REIN_SPACE_PARTS]; /* categorical: (rows x n_k), normalised */
    rein_tensor *mean, *log_std;              /* Gaussian: (rows x k); log_std may be static (k) */
} rein_dist;

/* logits (rows x sum n); mask U8 of the same shape (1 = allowed) or NULL. Masked actions have probability 0 and
 * add nothing to the entropy. */
REIN_API rein_dist rein_dist_categorical(rein_tensor *logits, rein_tensor *mask, int parts, const int32_t *n);
REIN_API rein_dist rein_dist_gaussian(rein_tensor *mean, rein_tensor *log_std);
REIN_API rein_dist rein_dist_squashed(rein_tensor *mean, rein_tensor *log_std);

/* A random action: I32 (rows x parts), or real (rows x k); squashed ones in (-1, 1). */
REIN_API rein_tensor *rein_dist_sample(const rein_dist *dist, rein_tensor *key);
/* Boxes: a random action and its log-density at once, both differentiable with respect to mean and log_std
 * (Kingma & Welling 2014), exact for squashed actions near +-1. */
REIN_API rein_tensor *rein_dist_draw(const rein_dist *dist, rein_tensor *key, rein_tensor **logp);
/* The most likely action (squashed: tanh of the mean). */
REIN_API rein_tensor *rein_dist_mode(const rein_dist *dist);
/* log-probability (density) of an action: (rows x 1). */
REIN_API rein_tensor *rein_dist_logp(const rein_dist *dist, rein_tensor *action);
/* Entropy: (rows x 1), or static (1) for a static log_std. The squashed Gaussian has no closed form: NULL. */
REIN_API rein_tensor *rein_dist_entropy(const rein_dist *dist);
/* KL(p || q): (rows x 1). Squashed: that of the underlying Gaussians, which equals it. */
REIN_API rein_tensor *rein_dist_kl(const rein_dist *p, const rein_dist *q);

#ifdef __cplusplus
}
#endif
#endif
