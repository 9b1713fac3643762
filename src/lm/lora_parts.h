/*
 * lora_parts.h - the linear layers that take adapters, under the names that PEFT gives them.
 */
#ifndef REINI_LORA_PARTS_H
#define REINI_LORA_PARTS_H

#include "lm/lora.h"

/* A linear layer of a model's code: one part, or GPT-2's joined q, k and v. */
typedef struct reini_lora_module {
    const char *path; /* in a layer: "self_attn.q_proj" */
    int n_parts;
    reini_lm_part part[3];
} reini_lora_module;

/* The layers of a family in a fixed order, and their number. */
const reini_lora_module *reini_lora_modules(const reini_lm_shape *shape, int *n);
/* The last part of its path: "q_proj". */
const char *reini_lora_short_name(const reini_lora_module *module);

/* Adapters of zeros at the places where there[layer * REINI_LM_PART_COUNT + part]; NULL: wherever opts' targets are. */
rein_status reini_lora_make(const reini_lm_weights *base, const reini_lora_opts *opts, const bool *there,
                            reini_lora **out);
/* Index into the adapter's layout of A (0) or B (1), -1 = none. */
int reini_lora_param(const reini_lora *lora, reini_lm_part part, int layer, int which);

#endif
