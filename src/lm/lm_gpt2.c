/*
 * lm_gpt2.c - the tensors of a model's files in terms of its parts.
 *
 * The Llama families' files hold one tensor for each part, under its own name. GPT-2's hold the weights of linear
 * layers turned over ([in, out], OpenAI's convolution of width 1), and q, k and v joined in one, c_attn. GPT-2's head
 * is its embedding, in all files known.
 */
#include <stdio.h>
#include <string.h>
#include "lm/lm_parts.h"

const char *reini_lm_prefix(const reini_lm_shape *shape) {
    return shape->family == REINI_GPT2 ? "transformer." : "model.";
}

/* name in a block ("" before the dot of the whole model's), parts joined in it, turned over */
static const struct gpt2_tensor {
    const char *name;
    bool per_layer, transposed;
    int n_parts;
    reini_lm_part part[3];
} gpt2_tensors[] = {
    {"transformer.wte.weight", false, false, 1, {REINI_LM_EMBEDDING}},
    {"transformer.wpe.weight", false, false, 1, {REINI_LM_POSITIONS}},
    {"ln_1.weight", true, false, 1, {REINI_LM_NORM_1}},
    {"ln_1.bias", true, false, 1, {REINI_LM_NORM_1_B}},
    {"attn.c_attn.weight", true, true, 3, {REINI_LM_Q, REINI_LM_K, REINI_LM_V}},
    {"attn.c_attn.bias", true, false, 3, {REINI_LM_Q_B, REINI_LM_K_B, REINI_LM_V_B}},
    {"attn.c_proj.weight", true, true, 1, {REINI_LM_O}},
    {"attn.c_proj.bias", true, false, 1, {REINI_LM_O_B}},
    {"ln_2.weight", true, false, 1, {REINI_LM_NORM_2}},
    {"ln_2.bias", true, false, 1, {REINI_LM_NORM_2_B}},
    {"mlp.c_fc.weight", true, true, 1, {REINI_LM_UP}},
    {"mlp.c_fc.bias", true, false, 1, {REINI_LM_UP_B}},
    {"mlp.c_proj.weight", true, true, 1, {REINI_LM_DOWN}},
    {"mlp.c_proj.bias", true, false, 1, {REINI_LM_DOWN_B}},
    {"transformer.ln_f.weight", false, false, 1, {REINI_LM_NORM_F}},
    {"transformer.ln_f.bias", false, false, 1, {REINI_LM_NORM_F_B}},
    {"lm_head.weight", false, false, 1, {REINI_LM_HEAD}},
    {"score.weight", false, false, 1, {REINI_LM_SCORE}},
};
enum { GPT2_TENSORS = sizeof gpt2_tensors / sizeof *gpt2_tensors };

/* rows of all parts of an entry, one below the other, as the file shapes them */
static void set_shape(const reini_lm_shape *shape, reini_lm_entry *entry) {
    int64_t rows = 0, columns = 0;
    bool matrix = false;
    for (int i = 0; i < entry->n_parts; i++) {
        reini_lm_part_info info = reini_lm_part_of(shape, entry->part[i]);
        matrix = info.matrix;
        rows += matrix ? info.rows : info.columns;
        columns = info.columns;
    }
    entry->ndim = matrix ? 2 : 1;
    entry->shape[0] = entry->transposed ? columns : rows;
    entry->shape[1] = !matrix ? 0 : entry->transposed ? rows : columns;
}

static bool add_gpt2(const reini_lm_shape *shape, const struct gpt2_tensor *t, int layer,
                     reini_lm_entry *entry) {
    if (t->per_layer != (layer >= 0) || !reini_lm_part_of(shape, t->part[0]).there)
        return false;
    *entry = (reini_lm_entry){.n_parts = t->n_parts, .layer = layer, .transposed = t->transposed};
    memcpy(entry->part, t->part, sizeof entry->part);
    if (t->per_layer)
        snprintf(entry->name, sizeof entry->name, "transformer.h.%d.%s", layer, t->name);
    else
        snprintf(entry->name, sizeof entry->name, "%s", t->name);
    set_shape(shape, entry);
    return true;
}

static bool add_part(const reini_lm_shape *shape, int part, int layer, reini_lm_entry *entry) {
    reini_lm_part_info info = reini_lm_part_of(shape, (reini_lm_part)part);
    if (!info.there || info.per_layer != (layer >= 0))
        return false;
    *entry = (reini_lm_entry){.n_parts = 1, .layer = layer, .part = {(reini_lm_part)part}};
    reini_lm_part_name(shape, (reini_lm_part)part, layer, entry->name);
    set_shape(shape, entry);
    return true;
}

rein_status reini_lm_entries(const reini_lm_shape *shape, reini_lm_entry **list, int *n) {
    size_t most = (size_t)(shape->layers + 1) * REINI_LM_PART_COUNT;
    *n = 0;
    *list = REINI_NEW_ARRAY(reini_lm_entry, most);
    if (!*list)
        return reini_fail_memory(most * sizeof **list, "the list of a model's tensors");
    for (int layer = -1; layer < shape->layers; layer++)
        if (shape->family == REINI_GPT2) {
            for (int i = 0; i < GPT2_TENSORS; i++)
                *n += add_gpt2(shape, &gpt2_tensors[i], layer, &(*list)[*n]);
        } else {
            for (int part = 0; part < REINI_LM_PART_COUNT; part++)
                *n += add_part(shape, part, layer, &(*list)[*n]);
        }
    return REIN_OK;
}
