/*
 * text_loss.h - the losses of policies on text, as tensor graphs over tokens (or whole answers), and their gradients.
 *
 * The clipped surrogate is that of control, rl/pg_loss.h: a token is a step, its log-probability the policy's. What is
 * particular to text is the weight of each row, which is how a method averages over tokens and answers, and the price
 * on the distance from a reference:
 *
 *     loss = sum_t w_t ( -gain_t + beta k3_t )
 *     clip:   gain = min(r A, clip(r, low, high) A)                            Schulman et al. 2017, eq. 7
 *     cispo:  gain = sg(min(r, high)) A log pi                                 MiniMax 2025, arXiv 2506.13585
 *     k3 = exp(ref - logp) - (ref - logp) - 1                                  Schulman 2020: unbiased, never negative
 *
 * k3 alone, as a loss on what the policy drew, has the gradient of KL(reference || policy). Times r, whose derivative
 * counts, it has that of KL(policy || reference) (DeepSeek-V3.2, arXiv 2512.02556).
 *
 *
 * with r = exp(logp - old). Values of a critic, beside those at the rollout (arXiv 2403.17031):
 *
 *     loss = sum_t w_t 1/2 max((V - ret)^2, (V_old + clip(V - V_old, +-eps) - ret)^2)
 */
#ifndef REINI_TEXT_LOSS_H
#define REINI_TEXT_LOSS_H

#include <rein/tensor.h>
#include "base/base.h"

/* Estimates of KL(policy || reference) from log-probabilities of what the policy drew. */
enum { REINI_KL_K1, REINI_KL_K3 };
double reini_kl_estimate(int kind, double logp, double ref);

typedef struct reini_text_loss {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int rows;
    rein_tensor *low, *high, *beta;                /* uniforms */
    rein_tensor *dlogp_out, *ratio_out, *loss_out; /* outputs */
    /* rows of the caller to fill, [capacity] each */
    float *logp, *old, *ref, *adv, *weight;
    float *dlogp, *ratio; /* results */
} reini_text_loss;

typedef enum reini_text_price { REINI_TEXT_FREE, REINI_TEXT_K3, REINI_TEXT_RATIO_K3 } reini_text_price;
typedef enum reini_text_objective { REINI_TEXT_CLIP, REINI_TEXT_CISPO } reini_text_objective;

/* price: on the distance from the reference. Zero it first; released after success and failure alike. */
rein_status reini_text_loss_init(reini_text_loss *l, int64_t capacity, reini_text_objective objective,
                                 reini_text_price price);
void reini_text_loss_release(reini_text_loss *l);
void reini_text_loss_range(reini_text_loss *l, double low, double high, double beta);
/* Runs over the first n rows; returns the loss. */
double reini_text_loss_run(reini_text_loss *l, int64_t n);

typedef struct reini_text_value_loss {
    rein_graph *g;
    rein_program *program;
    rein_exec *exec;
    int rows;
    rein_tensor *dvalue_out, *loss_out;
    float *value, *old, *ret, *weight;
    float *dvalue;
} reini_text_value_loss;

/* clip: how far a value may move from the old one; INFINITY = anywhere. */
rein_status reini_text_value_loss_init(reini_text_value_loss *l, int64_t capacity, double clip);
void reini_text_value_loss_release(reini_text_value_loss *l);
double reini_text_value_loss_run(reini_text_value_loss *l, int64_t n);

#endif
