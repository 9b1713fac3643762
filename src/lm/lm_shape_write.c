/*
 * lm_shape_write.c - config.json for a shape.
 *
 * Keys are the older ones (rope_theta beside rope_scaling, torch_dtype), which every release of Transformers and the
 * tools around it read. All that the shape fixes is written, so that nothing rests on a reader's defaults.
 */
#include <stdio.h>
#include "base/file.h"
#include "lm/lm_shape.h"

/* an object under construction: the first failure (memory) stays */
typedef struct writer {
    json_t *json;
    bool failed;
} writer;

static void put(writer *w, const char *key, json_t *value) {
    if (!value || json_object_set_new(w->json, key, value) != 0)
        w->failed = true;
}

static json_t *token(int id) {
    return id >= 0 ? json_integer(id) : json_null();
}

static json_t *eos_of(const reini_lm_shape *s) {
    if (s->n_eos <= 1)
        return token(s->n_eos == 1 ? s->eos[0] : -1);
    json_t *list = json_array();
    for (int i = 0; i < s->n_eos; i++)
        if (json_array_append_new(list, json_integer(s->eos[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *class_of(const reini_lm_shape *s) {
    static const char *const of_language[] = {[REINI_GPT2] = "GPT2LMHeadModel",
                                              [REINI_LLAMA] = "LlamaForCausalLM",
                                              [REINI_QWEN2] = "Qwen2ForCausalLM",
                                              [REINI_QWEN3] = "Qwen3ForCausalLM"};
    static const char *const of_classes[] = {[REINI_GPT2] = "GPT2ForSequenceClassification",
                                             [REINI_LLAMA] = "LlamaForSequenceClassification",
                                             [REINI_QWEN2] = "Qwen2ForSequenceClassification",
                                             [REINI_QWEN3] = "Qwen3ForSequenceClassification"};
    return json_pack("[s]", s->labels > 0 ? of_classes[s->family] : of_language[s->family]);
}

static void put_labels(writer *w, const reini_lm_shape *s) {
    json_t *names = json_object(), *ids = json_object();
    for (int i = 0; i < s->labels && !w->failed; i++) {
        char key[32], name[32];
        snprintf(key, sizeof key, "%d", i);
        snprintf(name, sizeof name, "LABEL_%d", i);
        w->failed = json_object_set_new(names, key, json_string(name)) != 0 ||
                    json_object_set_new(ids, name, json_integer(i)) != 0;
    }
    put(w, "id2label", names);
    put(w, "label2id", ids);
}

static void put_gpt2(writer *w, const reini_lm_shape *s) {
    put(w, "n_embd", json_integer(s->hidden));
    put(w, "n_layer", json_integer(s->layers));
    put(w, "n_head", json_integer(s->heads));
    put(w, "n_inner", json_integer(s->inner));
    put(w, "n_positions", json_integer(s->context));
    put(w, "layer_norm_epsilon", json_real(s->norm_eps));
    put(w, "activation_function", json_string("gelu_new"));
}

/* NULL (null in the file) for plain positions */
static json_t *scaling_of(const reini_lm_shape *s) {
    if (s->rope_scaling == REINI_ROPE_PLAIN)
        return json_null();
    /* "type" is what releases before 4.45 read */
    if (s->rope_scaling == REINI_ROPE_LINEAR)
        return json_pack("{s:s, s:s, s:f}", "rope_type", "linear", "type", "linear", "factor",
                         s->rope_factor);
    return json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor", s->rope_factor,
                     "low_freq_factor", s->rope_low, "high_freq_factor", s->rope_high,
                     "original_max_position_embeddings", s->rope_original_context);
}

static void put_rotary(writer *w, const reini_lm_shape *s) {
    put(w, "hidden_size", json_integer(s->hidden));
    put(w, "num_hidden_layers", json_integer(s->layers));
    put(w, "num_attention_heads", json_integer(s->heads));
    put(w, "num_key_value_heads", json_integer(s->kv_heads));
    put(w, "head_dim", json_integer(s->head_size));
    put(w, "intermediate_size", json_integer(s->inner));
    put(w, "max_position_embeddings", json_integer(s->context));
    put(w, "rms_norm_eps", json_real(s->norm_eps));
    put(w, "hidden_act", json_string("silu"));
    put(w, "rope_theta", json_real(s->rope_theta));
    put(w, "rope_scaling", scaling_of(s));
    if (s->family != REINI_QWEN2)
        put(w, "attention_bias", json_boolean(s->out_bias));
    if (s->family == REINI_LLAMA)
        put(w, "mlp_bias", json_boolean(s->mlp_bias));
    else
        put(w, "use_sliding_window", json_false());
}

rein_status reini_lm_shape_write(const reini_lm_shape *s, const char *dtype, char **json) {
    writer w = {.json = json_object()};
    /* a classifier reads the last token before the padding, and cannot do without an id for it */
    int pad = s->labels > 0 && s->pad < 0 && s->n_eos > 0 ? s->eos[0] : s->pad;
    put(&w, "architectures", class_of(s));
    put(&w, "model_type", json_string(reini_family_name(s->family)));
    put(&w, "vocab_size", json_integer(s->vocabulary));
    if (s->family == REINI_GPT2)
        put_gpt2(&w, s);
    else
        put_rotary(&w, s);
    put(&w, "tie_word_embeddings", json_boolean(s->tied));
    put(&w, "initializer_range", json_real(s->initializer_range));
    put(&w, "bos_token_id", token(s->bos));
    put(&w, "eos_token_id", eos_of(s));
    put(&w, "pad_token_id", token(pad));
    if (s->labels > 0)
        put_labels(&w, s);
    put(&w, "torch_dtype", json_string(dtype));
    *json = w.failed ? NULL : reini_json_text(w.json, true);
    json_decref(w.json);
    return *json ? REIN_OK : reini_fail(REIN_NOMEM, "out of memory while writing config.json");
}
