/*
 * transformer.h - a causal transformer: forward and backward over packed sequences, with or without a key-value cache.
 *
 * The tensor graph ends at token log-probabilities: losses (SFT, DPO, GRPO, PPO) are stated there, and their gradient with
 * respect to log-probabilities comes back here. Below them the network is a loop over equal layers, differentiated by
 * hand: what is kept, recomputed or rounded is decided per layer, and no buffer is rows x vocabulary or length x length.
 *
 * Packing. Tokens of several documents lie one after another without padding; a token sees its own document only.
 * A row's bits (in REIN_F32) do not depend on what is packed beside it, on threads, or on whether its keys come from
 * this call or from a cache: decoding equals the teacher-forced forward.
 */
#ifndef REINI_TRANSFORMER_H
#define REINI_TRANSFORMER_H

#include "lm/lora.h"

/* ---- keys and values kept between calls ---------------------------------------------------------------- */

/* `slots` sequences of at most `capacity` positions each (REIN_F32 or REIN_BF16 as the products are). A slot may begin
 * with the positions of another one, which several share: a prompt is computed and stored once. */
typedef struct reini_lm_cache reini_lm_cache;
rein_status reini_lm_cache_new(const reini_lm_weights *w, int slots, int capacity, reini_lm_cache **out);
void reini_lm_cache_free(reini_lm_cache *cache);
int64_t reini_lm_cache_bytes(const reini_lm_shape *shape, rein_dtype products, int slots, int capacity);
/* Empties a slot; parent -1, or a slot whose first `length` positions (of its own, not of its parent) are its beginning
 * from now on: the parent must stay as it is as long as that lasts. */
void reini_lm_cache_reset(reini_lm_cache *cache, int slot, int parent, int length);
int reini_lm_cache_length(const reini_lm_cache *cache,
                          int slot); /* positions, those of the parent included */

/* ---- the network --------------------------------------------------------------------------------------- */

typedef struct reini_lm_opts {
    int tokens;    /* rows of a call, at most */
    int documents; /* of a call, at most */
    bool train;    /* keeps what reini_lm_backward needs */
    bool
        recompute; /* keeps only each layer's input and computes the rest again: less memory, a forward more */
} reini_lm_opts;

typedef struct reini_lm_batch {
    int tokens, documents;
    const int32_t *token; /* [tokens] ids */
    const int32_t *start; /* [documents + 1] first row of each document; the last is tokens */
    /* with a cache: document d's rows continue slot[d], are added to it, and see all of it. Not for training. */
    reini_lm_cache *cache;
    const int32_t *slot; /* [documents] */
    uint64_t dropout;    /* key of this pass's LoRA dropout; 0 = none */
} reini_lm_batch;

typedef struct reini_lm reini_lm; /* work memory for one set of weights */

/* Bytes reini_lm_new will take, for a sentence before it does. */
int64_t reini_lm_bytes(const reini_lm_weights *w, const reini_lora *lora, const reini_lm_opts *opts,
                       int workers);
/* w and lora (NULL: none) are read at each call, and must outlive the result. */
rein_status reini_lm_new(const reini_lm_weights *w, const reini_lora *lora, const reini_lm_opts *opts,
                         rein_pool *pool, reini_lm **out);
void reini_lm_free(reini_lm *lm);
/* Has the work memory all that a network with these weights and this adapter (NULL: none) needs? */
bool reini_lm_fits(const reini_lm *lm, const reini_lm_weights *w, const reini_lora *lora);
/* Another set of weights, another adapter or none: a reference model is the policy with its adapter off, a critic has a
 * score head in the place of the vocabulary's. It has to fit. */
void reini_lm_bind(reini_lm *lm, const reini_lm_weights *w, const reini_lora *lora);

/* Runs the layers. The result stays inside: reini_lm_hidden, and the head's calls below. */
void reini_lm_forward(reini_lm *lm, const reini_lm_batch *batch);
/* [tokens x hidden] floats after the last norm. */
const float *reini_lm_hidden(const reini_lm *lm);

/* ---- the head ------------------------------------------------------------------------------------------ */

/* Tokens to score: after row row[i] comes token target[i]. Log-probabilities are of logits / temperature, over the whole
 * vocabulary. Every result is [n] floats, NULL where not wanted. */
typedef struct reini_lm_scores {
    int n;
    const int32_t *row, *target;
    float temperature;
    float *logp;    /* log p(target) */
    float *entropy; /* nats */
    float *square;  /* sum of p^2 over the vocabulary (DPO's WPO weights) */
    int32_t *best;  /* the likeliest token, the first on ties */
} reini_lm_scores;
void reini_lm_score(reini_lm *lm, const reini_lm_scores *s);
/* Logits of n rows, [n x vocabulary] floats: for sampling, few rows at a time. */
void reini_lm_logits(reini_lm *lm, int n, const int32_t *row, float *logits);
/* score.weight times the hidden rows: [n x labels] floats. */
void reini_lm_values(reini_lm *lm, int n, const int32_t *row, float *values);

/* ---- backward ------------------------------------------------------------------------------------------ */

/* Where gradients are added: stores of the layouts of w and lora, either may be NULL (nothing is computed for it). */
typedef struct reini_lm_gradients {
    rein_store *weights, *lora;
    bool
        fresh; /* what the stores hold is not kept: matrices are written in place of added to, the rest is cleared */
} reini_lm_gradients;

/* Begins the backward pass of the last forward: gradients of hidden rows are zero. Then any of the three below, then
 * reini_lm_backward. */
void reini_lm_backward_begin(reini_lm *lm, reini_lm_gradients to);
/* Adds what d loss / d logp (and d entropy, NULL: none) mean for the head and the hidden rows. s as it was scored (its
 * results are not read); logits are computed again in chunks of rows. */
void reini_lm_score_backward(reini_lm *lm, const reini_lm_scores *s, const float *dlogp,
                             const float *dentropy);
/* Score and its backward in one pass over the vocabulary, for losses that are linear in logp: d loss / d logp[i] =
 * weight[i], known beforehand (cross-entropy: -1 / tokens). Fills s's results. */
void reini_lm_score_linear(reini_lm *lm, const reini_lm_scores *s, const float *weight);
/* The same for reini_lm_values: dvalues [n x labels]. */
void reini_lm_values_backward(reini_lm *lm, int n, const int32_t *row, const float *dvalues);
void reini_lm_backward(reini_lm *lm);

#endif
