/*
 * lm_shape.h - what a causal transformer is made of: the numbers in a model folder's config.json.
 *
 * One description covers the four families: GPT-2 (learned positions, LayerNorm, GELU) and Llama, Qwen2, Qwen3 (rotary
 * positions, RMSNorm, gated SiLU).
 */
#ifndef REINI_LM_SHAPE_H
#define REINI_LM_SHAPE_H

#include <rein/status.h>
#include "base/base.h"

typedef enum reini_family {
    REINI_GPT2,
    REINI_LLAMA, /* and SmolLM2, which is one */
    REINI_QWEN2,
    REINI_QWEN3,
} reini_family;

typedef enum reini_rope_scaling {
    REINI_ROPE_PLAIN,
    REINI_ROPE_LINEAR, /* every frequency / factor */
    REINI_ROPE_LLAMA3, /* low frequencies / factor, high ones kept, a ramp between (Llama 3.1) */
} reini_rope_scaling;

enum { REINI_LM_EOS = 8 };

typedef struct reini_lm_shape {
    reini_family family;
    int vocabulary, hidden, layers, heads, kv_heads, head_size, inner, context;
    double norm_eps;
    bool tied;                                /* the head is the embedding */
    bool qkv_bias, out_bias, mlp_bias;        /* of the linear layers */
    bool qk_norm;                             /* RMSNorm of every head's query and key (Qwen3) */
    bool learned_positions, layer_norm, gelu; /* GPT-2; gelu: the tanh form, and no gate */
    double rope_theta;
    reini_rope_scaling rope_scaling;
    double rope_factor, rope_low, rope_high; /* low and high frequency factors of REINI_ROPE_LLAMA3 */
    int rope_original_context;
    double initializer_range; /* standard deviation of random weights */
    int labels;               /* 0: a language model; else rows of the score head of a sequence classifier */
    int bos, pad;             /* token ids, -1 = none */
    int eos[REINI_LM_EOS], n_eos;
} reini_lm_shape;

/* Reads config.json text (old keys and new: rope_theta + rope_scaling, or rope_parameters; torch_dtype or dtype).
 * `where` names it in errors. Anything that would change the numbers and is not supported is refused by name. */
rein_status reini_lm_shape_read(const char *json, size_t length, const char *where, reini_lm_shape *out);
rein_status reini_lm_shape_load(const char *file, reini_lm_shape *out);
/* config.json for the shape, as Transformers reads it; the caller frees it (reini_free). dtype: of the weights beside it. */
rein_status reini_lm_shape_write(const reini_lm_shape *shape, const char *dtype, char **json);
const char *reini_family_name(reini_family family); /* "gpt2", "llama", "qwen2", "qwen3": model_type */

/* What generation_config.json says about sampling, Transformers' defaults where it says nothing. */
typedef struct reini_generation_config {
    bool found;                   /* false: there is no such file, all values are defaults */
    int eos[REINI_LM_EOS], n_eos; /* 0: the file names none, and config.json's count */
    bool do_sample;
    double temperature, top_p, min_p, repetition_penalty;
    int top_k; /* 0 = all; Transformers' default is 50 */
} reini_generation_config;
rein_status reini_generation_config_load(const char *folder, reini_generation_config *out);

#endif
