/*
 * lm_weights.h - the parameters of a causal transformer, and the folders they come from and go to.
 *
 * Parameters live in a layout under one set of names, those of the Llama family's files, whatever the family
 * ("model.layers.3.self_attn.q_proj.weight"); GPT-2's files are translated on the way in and out (joined q, k, v;
 * weights [in, out]). Matrices are [out, in].
 *
 * Three ways to hold them. Trained in float: a float store, which products read. Trained in bf16: the float store is the
 * master, and `narrow` its rounded copy, which products read and reini_lm_weights_refresh renews after each update.
 * Frozen: no gradients are wanted, and with bf16 there is only `narrow` for matrices and floats for vectors.
 */
#ifndef REINI_LM_WEIGHTS_H
#define REINI_LM_WEIGHTS_H

#include "lm/lm_shape.h"
#include "tensor/matmul.h"

/* name in a layer or of the whole model, matrix or vector, rows, columns as expressions of a shape s; when it is there */
/* clang-format off */
#define REINI_LM_PARTS(X)                                                                                     \
    X(EMBEDDING, "model.embed_tokens.weight",       0, s->vocabulary, s->hidden, true)                        \
    X(POSITIONS, "model.embed_positions.weight",    0, s->context, s->hidden, s->learned_positions)           \
    X(NORM_1,    "input_layernorm.weight",          1, 1, s->hidden, true)                                    \
    X(NORM_1_B,  "input_layernorm.bias",            1, 1, s->hidden, s->layer_norm)                           \
    X(Q,         "self_attn.q_proj.weight",         1, s->heads * s->head_size, s->hidden, true)              \
    X(K,         "self_attn.k_proj.weight",         1, s->kv_heads * s->head_size, s->hidden, true)           \
    X(V,         "self_attn.v_proj.weight",         1, s->kv_heads * s->head_size, s->hidden, true)           \
    X(O,         "self_attn.o_proj.weight",         1, s->hidden, s->heads * s->head_size, true)              \
    X(Q_B,       "self_attn.q_proj.bias",           1, 1, s->heads * s->head_size, s->qkv_bias)               \
    X(K_B,       "self_attn.k_proj.bias",           1, 1, s->kv_heads * s->head_size, s->qkv_bias)            \
    X(V_B,       "self_attn.v_proj.bias",           1, 1, s->kv_heads * s->head_size, s->qkv_bias)            \
    X(O_B,       "self_attn.o_proj.bias",           1, 1, s->hidden, s->out_bias)                             \
    X(Q_NORM,    "self_attn.q_norm.weight",         1, 1, s->head_size, s->qk_norm)                           \
    X(K_NORM,    "self_attn.k_norm.weight",         1, 1, s->head_size, s->qk_norm)                           \
    X(NORM_2,    "post_attention_layernorm.weight", 1, 1, s->hidden, true)                                    \
    X(NORM_2_B,  "post_attention_layernorm.bias",   1, 1, s->hidden, s->layer_norm)                           \
    X(GATE,      "mlp.gate_proj.weight",            1, s->inner, s->hidden, !s->gelu)                         \
    X(UP,        "mlp.up_proj.weight",              1, s->inner, s->hidden, true)                             \
    X(DOWN,      "mlp.down_proj.weight",            1, s->hidden, s->inner, true)                             \
    X(GATE_B,    "mlp.gate_proj.bias",              1, 1, s->inner, s->mlp_bias && !s->gelu)                  \
    X(UP_B,      "mlp.up_proj.bias",                1, 1, s->inner, s->mlp_bias)                              \
    X(DOWN_B,    "mlp.down_proj.bias",              1, 1, s->hidden, s->mlp_bias)                             \
    X(NORM_F,    "model.norm.weight",               0, 1, s->hidden, true)                                    \
    X(NORM_F_B,  "model.norm.bias",                 0, 1, s->hidden, s->layer_norm)                           \
    X(HEAD,      "lm_head.weight",                  0, s->vocabulary, s->hidden, !s->tied && s->labels == 0)  \
    X(SCORE,     "score.weight",                    0, s->labels, s->hidden, s->labels > 0)
/* clang-format on */

typedef enum reini_lm_part {
#define X(name, text, per_layer, rows, columns, there) REINI_LM_##name,
    REINI_LM_PARTS(X)
#undef X
        REINI_LM_PART_COUNT
} reini_lm_part;

typedef struct reini_lm_weights {
    reini_lm_shape shape;
    rein_layout *layout; /* parameter of (part, layer): reini_lm_param */
    int *param;          /* [layers + 1][REINI_LM_PART_COUNT], -1 = not there; row 0 is of the whole model */
    rein_dtype products; /* REIN_F32 or REIN_BF16 */
    rein_store *store;   /* floats; NULL when frozen in bf16 */
    uint16_t *narrow;    /* bf16 at the layout's offsets; NULL with REIN_F32 */
    float *
        vectors; /* floats of norms and biases when there is no store, at `vector_offset` of each parameter */
    int64_t *vector_offset;              /* -1 for matrices */
    const struct reini_lm_weights *base; /* holds everything but the score head; NULL: all is here */
} reini_lm_weights;

/* Random weights: normal(0, initializer_range) matrices, zero biases, norms of 1, as Transformers makes them. */
rein_status reini_lm_weights_random(const reini_lm_shape *shape, rein_dtype products, uint64_t seed,
                                    reini_lm_weights **out);
/* Reads a folder: config.json, model.safetensors or shards with their index. frozen: see above. products REIN_BF16 or
 * REIN_F32; files in F32, BF16 or F16. labels 0: a language model is wanted; labels > 0: a classifier is, and a score
 * head the folder lacks is made (zeros) and said in *made_score (may be NULL); -1: whatever the folder holds. Checks names, shapes, types, sizes, and names both sides of a difference. */
rein_status reini_lm_weights_load(const char *folder, rein_dtype products, bool frozen, int labels,
                                  reini_lm_weights **out, bool *made_score);
/* The same, read by all workers of a pool. */
rein_status reini_lm_weights_load_by(rein_pool *pool, const char *folder, rein_dtype products, bool frozen,
                                     int labels, reini_lm_weights **out, bool *made_score);
/* A classifier of `labels` on frozen weights that are there already: its score head, zeros, is all that it holds. base
 * outlives it. */
rein_status reini_lm_weights_share(const reini_lm_weights *base, int labels, reini_lm_weights **out);
/* Writes config.json, generation_config.json and model.safetensors (shards of at most shard_bytes, 0 = 5e9, with an index
 * when more than one) in `dtype` (REIN_F32 or REIN_BF16), and copies the tokenizer files and chat template found in
 * `tokenizer_from` (NULL: none) byte for byte. Files are written beside and renamed. */
rein_status reini_lm_weights_save(const reini_lm_weights *w, const char *folder, rein_dtype dtype,
                                  int64_t shard_bytes, const char *tokenizer_from);
/* Tokenizer files and chat template of one folder into another, byte for byte; those that are there. */
rein_status reini_lm_copy_tokenizer(const char *from, const char *folder);
void reini_lm_weights_free(reini_lm_weights *w);

/* Index into the layout, -1 = the family has none, or the base holds it. layer: -1 for parts of the whole model. */
int reini_lm_param(const reini_lm_weights *w, reini_lm_part part, int layer);
/* What products read. */
reini_matrix reini_lm_matrix(const reini_lm_weights *w, reini_lm_part part, int layer);
/* A norm's weight or a bias, floats; NULL when there is none. */
const float *reini_lm_vector(const reini_lm_weights *w, reini_lm_part part, int layer);
/* The same places in a gradient store of the same layout; NULL when there is none. */
float *reini_lm_gradient_at(const reini_lm_weights *w, rein_store *gradient, reini_lm_part part, int layer);
/* narrow = store, after an update. Does nothing with REIN_F32. */
void reini_lm_weights_refresh(reini_lm_weights *w, rein_pool *pool);
/* Trainable parameters, and bytes held. */
int64_t reini_lm_weights_count(const reini_lm_weights *w);
int64_t reini_lm_weights_bytes(const reini_lm_weights *w);

#endif
