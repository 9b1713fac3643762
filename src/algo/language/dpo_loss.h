/*
 * dpo_loss.h - the losses of direct preference optimization and its kin, as graphs over pairs.
 *
 * For a pair with chosen answer y+ and rejected answer y-, let P = log pi(y|x) and R = log pi_ref(y|x) be sums over the
 * answer's tokens, n its number of tokens, and
 *
 *     a = P+ - R+,    b = P- - R-                          log-ratios
 *     A = f'(e^a),    B = f'(e^b)                          scores; for reverse KL, f'(t) = log t, they are a and b
 *     D = A - B
 *
 * With s the sigmoid, ls its logarithm, beta and the smoothing eps, a pair's loss is one of (papers in dpo_loss.c)
 *
 *     sigmoid        -ls(beta D)
 *     hinge          max(0, 1 - beta D)
 *     ipo            (A/n+ - B/n- - 1/(2 beta))^2
 *     exo_pair       q (ls(beta D) - log(1 - eps)) + (1 - q)(ls(-beta D) - log eps),      q = s(beta D)
 *     nca_pair       -ls(beta a) - ls(-beta a)/2 - ls(-beta b)/2
 *     robust         (-(1 - eps) ls(beta D) + eps ls(-beta D)) / (1 - 2 eps)
 *     bco_pair       -ls(beta a) - ls(-beta b)
 *     sppo_hard      (a - 1/(2 beta))^2 + (b + 1/(2 beta))^2
 *     aot            smooth(sort(P+ - P-) - sort(R+ - R-)),        smooth(d) = -(1 - eps) ls(beta d) - eps ls(-beta d)
 *     aot_unpaired   smooth(sort(a) - sort(b))                                             sorted across the batch
 *     apo_zero       1 - s(beta a) + s(beta b)
 *     apo_down       s(beta a) + 1 - s(beta (a - b))
 *     discopop       (1 - g)(-ls(beta D)) + g exp(-beta D),                                g = s(beta D / tau)
 *     sft            -log pi(y+|x), the mean over the chosen tokens of the update rather than over pairs
 *     sigmoid_norm   -ls(beta (A/n+ - B/n-))
 *
 * or a weighted sum of them, averaged over the pairs of the update.
 */
#ifndef REINI_DPO_LOSS_H
#define REINI_DPO_LOSS_H

#include <rein/tensor.h>
#include "base/base.h"

/* clang-format off */
#define REINI_DPO_LOSSES(X)                                                                                  \
    X(SIGMOID, sigmoid) X(HINGE, hinge) X(IPO, ipo) X(EXO_PAIR, exo_pair) X(NCA_PAIR, nca_pair)              \
    X(ROBUST, robust) X(BCO_PAIR, bco_pair) X(SPPO_HARD, sppo_hard) X(AOT, aot)                              \
    X(AOT_UNPAIRED, aot_unpaired) X(APO_ZERO, apo_zero) X(APO_DOWN, apo_down) X(DISCOPOP, discopop)          \
    X(SFT, sft) X(SIGMOID_NORM, sigmoid_norm)
/* clang-format on */

typedef enum reini_dpo_type {
#define X(id, name) REINI_DPO_##id,
    REINI_DPO_LOSSES(X)
#undef X
        REINI_DPO_TYPES
} reini_dpo_type;

enum { REINI_F_REVERSE_KL, REINI_F_FORWARD_KL, REINI_F_JS, REINI_F_ALPHA };

typedef struct reini_dpo_opts {
    int n_types;
    reini_dpo_type type[REINI_DPO_TYPES];
    double weight[REINI_DPO_TYPES];
    double beta, label_smoothing, discopop_tau;
    int f_divergence; /* REINI_F_... */
    double f_alpha;   /* of REINI_F_ALPHA */
} reini_dpo_opts;

/* "sigmoid,bco_pair,sft" and "0.8,0.2,1" ("none": all 1) into types and weights; sentences name the unknown. */
rein_status reini_dpo_types(const char *types, const char *weights, reini_dpo_opts *opts);
bool reini_dpo_has(const reini_dpo_opts *opts, reini_dpo_type type);

enum { REINI_CHOSEN, REINI_REJECTED };

typedef struct reini_dpo_graph reini_dpo_graph;

/* What a run reads and writes: the caller fills the first part. Arrays are of `pairs` numbers. */
typedef struct reini_dpo_loss {
    double *policy[2];    /* P */
    double *reference[2]; /* R */
    double *tokens[2];    /* n */
    double *chosen;       /* log pi(y+|x) for the sft term, which P is too unless tokens are weighed */
    double *weight;       /* of the pair, 1 = as it is; no gradient goes there */

    double loss;         /* the batch's part of the update's */
    double *d_policy[2]; /* d loss / d P */
    double *d_chosen;    /* d loss / d chosen */
    reini_dpo_opts opts;
    reini_dpo_graph *graph;
} reini_dpo_loss;

rein_status reini_dpo_loss_new(const reini_dpo_opts *opts, int64_t pairs, reini_dpo_loss **out);
void reini_dpo_loss_free(reini_dpo_loss *loss);
/* A batch of n pairs of an update of all_pairs, whose chosen answers have all_tokens scored tokens. */
void reini_dpo_loss_run(reini_dpo_loss *loss, int64_t n, double all_pairs, double all_tokens);

#endif
