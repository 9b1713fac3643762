/*
 * nn.h - compositions of tensor ops: multilayer perceptrons, image encoders and action distributions.
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

/* ---- memory -------------------------------------------------------------------------------------------- */

/* The states (steps x width) of a gated recurrent unit that sees x (steps x in), from the states h (sequences x width) on;
 * steps, start and length as in rein_gru_steps, start NULL = nowhere. Parameters name.gru.input.weight [in, 3 width],
 * name.gru.input.bias [3 width], name.gru.state.weight [width, 3 width] and name.gru.state.bias [3 width]; gates in the
 * order reset, update, candidate, as PyTorch has them. */
REIN_API rein_tensor *rein_gru(rein_tensor *x, int slot, const char *name, rein_tensor *start, rein_tensor *h,
                               int length, rein_init input_init, rein_init state_init);

/* ---- images -------------------------------------------------------------------------------------------- */

typedef enum rein_encoder {
    REIN_ENCODER_AUTO,    /* nature from 36 x 36 on, impala from 16 x 16 on, minatar below */
    REIN_ENCODER_NATURE,  /* Mnih et al. 2015: 512 features */
    REIN_ENCODER_IMPALA,  /* Espeholt et al. 2018: residual, 256 features */
    REIN_ENCODER_MINATAR, /* Young & Tian 2019: 128 features */
} rein_encoder;

/* The encoder to use for images of a space: the wanted one, or for AUTO one by their size. Refuses those too small. */
REIN_API rein_status rein_encoder_choose(const rein_space *image, rein_encoder wanted, rein_encoder *found);
/* Features (rows x k) of images x (rows x height x width x channels); parameters name.conv.0.weight, ...,
 * name.features.weight, ... Not AUTO. */
REIN_API rein_tensor *rein_cnn(rein_tensor *x, int slot, const char *name, rein_encoder encoder,
                               rein_init init);

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
