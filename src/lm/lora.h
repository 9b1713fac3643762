/*
 * lora.h - low-rank adapters (Hu et al. 2021, arXiv 2106.09685): y = W x + s B A x, with W frozen.
 *
 * A (rank x in) starts Kaiming-uniform, B (out x rank) at zero; s = alpha / rank, or alpha / sqrt(rank) (rsLoRA,
 * Kalajdzievski 2023). Dropout acts on the adapter's x. Files are PEFT's: adapter_config.json, adapter_model.safetensors.
 */
#ifndef REINI_LORA_H
#define REINI_LORA_H

#include "lm/lm_weights.h"

typedef struct reini_lora_opts {
    int rank;              /* >= 1 */
    double alpha, dropout; /* dropout in [0, 1) */
    bool rslora;
    uint32_t targets; /* bit (1 << part) of the linear layers that get one: Q K V O GATE UP DOWN */
    uint64_t seed;
} reini_lora_opts;

typedef struct reini_lora {
    reini_lora_opts opts;
    double scale; /* s */
    rein_layout *layout;
    int *param; /* [layers][REINI_LM_PART_COUNT][2], of A and B; -1 = none */
    rein_store *store;
} reini_lora;

/* "q_proj,v_proj", "all-linear" (every linear layer but the heads) as target bits; GPT-2 takes c_attn, c_proj, c_fc. */
rein_status reini_lora_targets(const reini_lm_shape *shape, const char *names, uint32_t *targets);
rein_status reini_lora_new(const reini_lm_weights *base, const reini_lora_opts *opts, reini_lora **out);
/* base is written to when it is a classifier: PEFT keeps the score head beside the adapter ("modules_to_save"). */
rein_status reini_lora_load(reini_lm_weights *base, const char *folder, reini_lora **out);
rein_status reini_lora_save(const reini_lora *lora, const reini_lm_weights *base, const char *base_name,
                            const char *folder);
/* Adds s B A to the base's matrices (a base frozen in bf16 is rounded; the error says when that loses more than it
 * should). */
rein_status reini_lora_merge(const reini_lora *lora, reini_lm_weights *base);
void reini_lora_free(reini_lora *lora);

/* A (rank x in) and B (out x rank) of a layer, and the same places of a gradient store; NULL when there is none. */
float *reini_lora_a(const reini_lora *lora, rein_store *store, reini_lm_part part, int layer);
float *reini_lora_b(const reini_lora *lora, rein_store *store, reini_lm_part part, int layer);

/* A classifier's score head is trained beside its adapter: it is the last parameter of the adapter's layout, in float,
 * whatever the base is kept in. NULL when the base is no classifier. */
float *reini_lora_head(const reini_lora *lora, rein_store *store);
/* The base's head into the adapter's store, and the other way: after an update or a load, so that products read it. */
void reini_lora_take_head(reini_lora *lora, const reini_lm_weights *base);
void reini_lora_give_head(const reini_lora *lora, reini_lm_weights *base);

#endif
