/*
 * optim.h - optimizers over stores.
 *
 *     rein_optim_config config = rein_optim_config_default();
 *     rein_optim_new(&config, layout, &optim);
 *     float norm = rein_optim_step(optim, params, grads, learning_rate);
 */
#ifndef REIN_OPTIM_H
#define REIN_OPTIM_H

#include <rein/field.h>
#include <rein/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rein_optim_kind {
    REIN_OPTIM_ADAM,
    REIN_OPTIM_ADAMW,
    REIN_OPTIM_SGD,
    REIN_OPTIM_RMSPROP
} rein_optim_kind;

typedef struct rein_optim_config {
    int kind;             /* rein_optim_kind */
    double beta1, beta2;  /* Adam; Kingma & Ba 2015 */
    double eps;           /* added to the root */
    double weight_decay;  /* ADAMW: decoupled (Loshchilov & Hutter 2019); SGD: added to the gradient */
    int decay_matrices;   /* ADAMW: biases and norms, parameters of one dimension, do not decay */
    double momentum;      /* SGD */
    int nesterov;         /* SGD */
    double alpha;         /* RMSprop's smoothing */
    double max_grad_norm; /* global L2 clip over the layout's trained groups, 0 = off */
    const char *groups;   /* groups to train, "actor,critic"; NULL = all; copied */
} rein_optim_config;

/* Adam 1e-8, betas .9 .999, no decay, no clip, all groups. */
REIN_API rein_optim_config rein_optim_config_default(void);

typedef struct rein_optim rein_optim;
REIN_API rein_status rein_optim_new(const rein_optim_config *config, rein_layout *layout, rein_optim **out);
REIN_API void rein_optim_free(rein_optim *optim);

/* Lets a pool's workers share every step; NULL = the caller alone, as at the start. The same bits either way. */
REIN_API void rein_optim_share(rein_optim *optim, rein_pool *pool);

typedef struct rein_optim_result {
    double grad_norm; /* global L2 norm before clipping */
    int skipped;      /* non-zero: the gradient was not finite, nothing changed */
} rein_optim_result;
/* One step on the trained groups of fp32 stores. */
REIN_API rein_optim_result rein_optim_step(rein_optim *optim, rein_store *params, const rein_store *grads,
                                           double learning_rate);

/* Moments and step count, for checkpoints. */
REIN_API size_t rein_optim_save_size(const rein_optim *optim);
REIN_API void rein_optim_save(const rein_optim *optim, void *buffer);
REIN_API rein_status rein_optim_load(rein_optim *optim, const void *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
