/*
 * lm_learner.h - a language model in training: its weights or its adapter, their gradients, AdamW, the update.
 *
 * What every method on text stands on. A method feeds batches through `lm`, states its loss as a gradient with respect
 * to log-probabilities (or values of a score head), and asks for the update:
 *
 *     reini_lm_learner_begin(l);                              gradients are zero
 *     for every batch of the update:
 *         reini_lm_learner_forward(l, packed, key);
 *         reini_lm_score...(l->lm, ...);  reini_lm_backward(l->lm);
 *     reini_lm_learner_update(l, rate);
 *
 * A gradient is a sum over batches, so the loss's denominator must be that of the whole update: then an update of many
 * small batches is that of the large one.
 */
#ifndef REINI_LM_LEARNER_H
#define REINI_LM_LEARNER_H

#include <rein/optim.h>
#include "algo/language/lm_settings.h"
#include "base/archive.h"
#include "lm/packing.h"
#include "lm/transformer.h"

typedef struct reini_lm_learner {
    reini_lm_weights *weights;
    reini_lora *lora; /* NULL: the weights are trained, else they are frozen */
    reini_lm *lm;
    bool lent;            /* lm is another learner's */
    rein_store *gradient; /* of the layout that is trained */
    bool fresh;           /* the update has no gradients yet; the first pass overwrites what is there */
    rein_optim *optim;
    rein_pool *pool;
    const char *name; /* for what is said of its memory, "the critic"; NULL = none */
} reini_lm_learner;

/* Opens the model of the settings: a folder, or random weights of a config.json; and a new adapter with use_peft.
 * labels > 0: with a score head. l is released after success and failure alike. */
rein_status reini_lm_learner_open(reini_lm_learner *l, const reini_lm_settings *s, int labels,
                                  rein_pool *pool);
/* The same for an adapter and a score head beside another learner that has an adapter: on its weights, which are not read
 * again. other outlives l. */
rein_status reini_lm_learner_open_beside(reini_lm_learner *l, const reini_lm_settings *s,
                                         const reini_lm_learner *other, int labels);
/* Memory for training with batches of at most so many tokens and documents; says how much before it takes it. */
rein_status reini_lm_learner_prepare(reini_lm_learner *l, const reini_lm_settings *s, int64_t tokens,
                                     int64_t documents);
/* The same with the other's network where that fits (`lent`), so that one of them at a time can go forward and back:
 * reini_lm_learner_take before. */
rein_status reini_lm_learner_prepare_beside(reini_lm_learner *l, const reini_lm_settings *s,
                                            const reini_lm_learner *other, int64_t tokens, int64_t documents);
/* The network is this learner's from now on, where two share one. */
void reini_lm_learner_take(reini_lm_learner *l);
/* AdamW as the settings say. */
rein_optim_config reini_lm_optim_config(const reini_lm_settings *s);
void reini_lm_learner_release(reini_lm_learner *l);

rein_store *reini_lm_learner_trained(const reini_lm_learner *l);
/* Gradients are zero. */
void reini_lm_learner_begin(reini_lm_learner *l);
/* dropout: key of this pass's LoRA dropout, 0 = none (evaluation). */
void reini_lm_learner_forward(reini_lm_learner *l, const reini_packed *batch, uint64_t dropout);
/* Begins the backward pass into the learner's gradients. */
void reini_lm_learner_backward_begin(reini_lm_learner *l);
/* Clips, steps, renews rounded copies. */
rein_optim_result reini_lm_learner_update(reini_lm_learner *l, double rate);
/* What was trained and AdamW's state. */
rein_status reini_lm_learner_visit(reini_lm_learner *l, reini_archive *ar);
/* SHA-256 of what was trained, as 64 hexadecimal digits. */
rein_status reini_lm_learner_digest(const reini_lm_learner *l, char out[65]);

/* Writes the model's folder, or the adapter's, with the tokenizer's files; then reads it back, runs `probe` through
 * both, and fails when logits differ by more than rounding to the saved format explains. The folder is replaced in
 * one piece. */
rein_status reini_lm_learner_save(reini_lm_learner *l, const reini_lm_settings *s, const char *folder,
                                  const reini_packed *probe);
/* Bytes that the reading back takes. */
int64_t reini_lm_learner_save_bytes(const reini_lm_learner *l);

/* A seed for one purpose ("weights", "order", ...) of a run's seed. Never 0. */
uint64_t reini_lm_seed(uint64_t seed, const char *purpose, uint64_t counter);

#endif
