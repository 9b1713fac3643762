/*
 * small_lm.h - transformers of a few thousand random weights, one of each family.
 */
#ifndef SMALL_LM_H
#define SMALL_LM_H

#include <string.h>
#include "lm/lm_weights.h"
#include "support/check.h"

enum { SMALL_LM_VOCABULARY = 53, SMALL_LM_CONTEXT = 64, SMALL_LM_FAMILIES = 4 };

static inline reini_lm_shape small_lm_shape(reini_family family) {
    reini_lm_shape s = {
        .family = family,
        .vocabulary = SMALL_LM_VOCABULARY,
        .hidden = 24,
        .layers = 2,
        .heads = family == REINI_GPT2 ? 3 : 4,
        .kv_heads = family == REINI_GPT2 ? 3 : 2,
        .head_size = family == REINI_QWEN3  ? 10
                     : family == REINI_GPT2 ? 8
                                            : 6,
        .inner = 40,
        .context = SMALL_LM_CONTEXT,
        .norm_eps = 1e-5,
        .tied = family != REINI_QWEN2,
        .rope_theta = 1e4,
        .rope_factor = 1,
        .initializer_range = 0.3,
        .bos = 0,
        .pad = -1,
        .eos = {52},
        .n_eos = 1,
    };
    s.qkv_bias = family == REINI_GPT2 || family == REINI_QWEN2;
    s.qk_norm = family == REINI_QWEN3;
    if (family == REINI_GPT2)
        s.out_bias = s.mlp_bias = s.learned_positions = s.layer_norm = s.gelu = true;
    return s;
}

static inline reini_lm_weights *small_lm(reini_family family, rein_dtype products, uint64_t seed) {
    reini_lm_shape shape = small_lm_shape(family);
    reini_lm_weights *w;
    assert_ok(reini_lm_weights_random(&shape, products, seed, &w));
    return w;
}

#endif
