/*
 * lora_file.h - names of tensors in PEFT's files.
 */
#ifndef REINI_LORA_FILE_H
#define REINI_LORA_FILE_H

#include "lm/lm_parts.h"
#include "lm/lora_parts.h"

enum { REINI_LORA_NAME = 128 };

/* "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"; which: 'A' or 'B' */
void reini_lora_tensor_name(const reini_lm_shape *shape, const reini_lora_module *module, int layer,
                            char which, char out[REINI_LORA_NAME]);

#endif
