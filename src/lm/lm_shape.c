/*
 * lm_shape.c - reading config.json and generation_config.json.
 *
 * A key that is absent has the value that Transformers' own classes give it, sizes excepted, which a file has to
 * tell. Keys that change what a network computes are either understood or refused by name; all others (dropout
 * rates of training, caches, names of tools) are left alone.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "lm/lm_shape.h"

enum {
    SIZE_MAX_READ = 1 << 24, /* of any width: products of two fit an int64_t with room to spare */
    CONFIG_BYTES = 4 << 20,
};

#define MATRIX_MAX ((int64_t)1 << 36) /* numbers; whole models then fit an int64_t of bytes */

/* the object that is read, and its name for sentences */
typedef struct reader {
    const json_t *json;
    const char *where;
} reader;

static const struct {
    reini_family family;
    const char *type, *architecture; /* model_type; what class names start with */
} families[] = {
    {REINI_GPT2, "gpt2", "GPT2"},
    {REINI_LLAMA, "llama", "Llama"},
    {REINI_QWEN2, "qwen2", "Qwen2"},
    {REINI_QWEN3, "qwen3", "Qwen3"},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static const char supported[] = "gpt2 (GPT-2), llama (Llama, SmolLM2), qwen2 (Qwen2, Qwen2.5) and qwen3";

const char *reini_family_name(reini_family family) {
    for (int i = 0; i < N_FAMILIES; i++)
        if (families[i].family == family)
            return families[i].type;
    return "?";
}

/* ---- values -------------------------------------------------------------------------------------------- */

/* NULL when absent or null */
static const json_t *value_of(reader r, const char *key) {
    const json_t *value = json_object_get(r.json, key);
    return json_is_null(value) ? NULL : value;
}

static rein_status fail_kind(reader r, const char *key, const char *expected) {
    char *found = reini_json_text(value_of(r, key), false);
    rein_status status = reini_fail(REIN_FORMAT, "%s: \"%s\" has to be %s, found %.80s", r.where, key,
                                    expected, found ? found : "something else");
    reini_free(found);
    return status;
}

static rein_status refuse(reader r, const char *key, const char *supported_value) {
    char *found = reini_json_text(value_of(r, key), false);
    rein_status status = reini_fail(REIN_UNSUPPORTED, "%s: \"%s\" is %.80s, and only %s is supported",
                                    r.where, key, found ? found : "set", supported_value);
    reini_free(found);
    return status;
}

/* a width or a count; other: a second name, or NULL; fallback 0: has to be there */
static rein_status take_size(reader r, const char *key, const char *other, int fallback, int *out) {
    if (!value_of(r, key) && other && value_of(r, other))
        key = other;
    const json_t *value = value_of(r, key);
    if (!value && fallback == 0)
        return reini_fail(REIN_FORMAT, "%s: \"%s\" is missing", r.where, key);
    if (!value) {
        *out = fallback;
        return REIN_OK;
    }
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > SIZE_MAX_READ)
        return fail_kind(r, key, "a whole number from 1 to 16777216");
    *out = (int)n;
    return REIN_OK;
}

static rein_status take_real(reader r, const char *key, double fallback, double low, double high,
                             const char *expected, double *out) {
    const json_t *value = value_of(r, key);
    *out = value ? json_number_value(value) : fallback;
    if (value && (!json_is_number(value) || !(*out >= low && *out <= high)))
        return fail_kind(r, key, expected);
    return REIN_OK;
}

static rein_status take_bool(reader r, const char *key, bool fallback, bool *out) {
    const json_t *value = value_of(r, key);
    if (value && !json_is_boolean(value))
        return fail_kind(r, key, "true or false");
    *out = value ? json_is_true(value) : fallback;
    return REIN_OK;
}

/* NULL when absent */
static rein_status take_text(reader r, const char *key, const char **out) {
    const json_t *value = value_of(r, key);
    if (value && !json_is_string(value))
        return fail_kind(r, key, "a text");
    *out = json_string_value(value);
    return REIN_OK;
}

/* a token id, -1 = none */
static rein_status take_token(reader r, const char *key, int fallback, int *out) {
    const json_t *value = value_of(r, key);
    *out = -1;
    if (!value) {
        /* null says that there is none, a missing key leaves the family's own */
        *out = json_object_get(r.json, key) ? -1 : fallback;
        return REIN_OK;
    }
    json_int_t id = json_integer_value(value);
    if (!json_is_integer(value) || id > INT_MAX)
        return fail_kind(r, key, "a token id");
    *out = id < 0 ? -1 : (int)id; /* old files say -1 for none */
    return REIN_OK;
}

/* a token id or a list of them */
static rein_status take_eos(reader r, int fallback, int eos[REINI_LM_EOS], int *n) {
    const json_t *value = value_of(r, "eos_token_id");
    *n = 0;
    if (!json_is_array(value)) {
        REINI_TRY(take_token(r, "eos_token_id", fallback, &eos[0]));
        *n = eos[0] >= 0;
        return REIN_OK;
    }
    if (json_array_size(value) > REINI_LM_EOS)
        return fail_kind(r, "eos_token_id", "one token id or a list of at most 8");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *id = json_array_get(value, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT_MAX)
            return fail_kind(r, "eos_token_id", "one token id or a list of at most 8");
        eos[(*n)++] = (int)json_integer_value(id);
    }
    return REIN_OK;
}

/* ---- the family ---------------------------------------------------------------------------------------- */

/* the part of a class name behind the family's, NULL when it is another family's */
static const char *class_rest(const char *class, int family) {
    size_t length = strlen(families[family].architecture);
    const char *rest = class + length;
    if (strncmp(class, families[family].architecture, length) != 0)
        return NULL;
    return strncmp(rest, "For", 3) == 0 || strcmp(rest, "Model") == 0 || strcmp(rest, "LMHeadModel") == 0 ||
                   strcmp(rest, "DoubleHeadsModel") == 0
               ? rest
               : NULL;
}

/* index into families, from model_type or else from the class name; *classifier: what the class says */
static rein_status find_family(reader r, int *family, bool *classifier) {
    const char *type = NULL, *class = json_string_value(json_array_get(value_of(r, "architectures"), 0)),
               *rest = NULL;
    *family = -1;
    *classifier = false;
    REINI_TRY(take_text(r, "model_type", &type));
    for (int i = 0; i < N_FAMILIES; i++)
        if (type ? strcmp(type, families[i].type) == 0 : class && class_rest(class, i))
            *family = i;
    if (*family < 0 && !type && !class)
        return reini_fail(REIN_FORMAT,
                          "%s: neither \"model_type\" nor \"architectures\" says which model it is; "
                          "supported are %s",
                          r.where, supported);
    if (*family >= 0 && class)
        rest = class_rest(class, *family);
    if (*family < 0 || (class && !rest))
        return reini_fail(REIN_UNSUPPORTED, "%s: the architecture %.80s is not supported; supported are %s",
                          r.where, *family < 0 && type ? type : class, supported);
    *classifier = rest && strcmp(rest, "ForSequenceClassification") == 0;
    if (rest && !*classifier && strcmp(rest, "ForCausalLM") != 0 && strcmp(rest, "LMHeadModel") != 0 &&
        strcmp(rest, "Model") != 0)
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: %.80s is not supported; of this family, language models (%s%s) and sequence "
                          "classifiers (%sForSequenceClassification) are",
                          r.where, class, families[*family].architecture,
                          *family == 0 ? "LMHeadModel" : "ForCausalLM", families[*family].architecture);
    return REIN_OK;
}

/* rows of a classifier's head: the length of id2label, or num_labels, or the classes' default of 2 */
static rein_status take_labels(reader r, int *labels) {
    const json_t *names = value_of(r, "id2label");
    if (names &&
        (!json_is_object(names) || json_object_size(names) == 0 || json_object_size(names) > SIZE_MAX_READ))
        return fail_kind(r, "id2label", "an object with a name for each label");
    if (names) {
        *labels = (int)json_object_size(names);
        return REIN_OK;
    }
    return take_size(r, "num_labels", NULL, 2, labels);
}

/* ---- rotary positions ---------------------------------------------------------------------------------- */

static rein_status take_llama3(reader rope, reini_lm_shape *s) {
    const char *positive = "a positive number";
    REINI_TRY(take_real(rope, "low_freq_factor", 1, 1e-6, 1e6, positive, &s->rope_low));
    REINI_TRY(take_real(rope, "high_freq_factor", 4, 1e-6, 1e6, positive, &s->rope_high));
    if (s->rope_high <= s->rope_low)
        return fail_kind(rope, "high_freq_factor", "larger than low_freq_factor");
    return take_size(rope, "original_max_position_embeddings", NULL, s->context, &s->rope_original_context);
}

/* rope_theta beside rope_scaling (old), or both in rope_parameters (new) */
static rein_status take_rope(reader r, reini_lm_shape *s) {
    const char *key = value_of(r, "rope_scaling") ? "rope_scaling" : "rope_parameters", *type = NULL;
    const char *positive = "a positive number";
    double partial = 1;
    if (value_of(r, key) && !json_is_object(value_of(r, key)))
        return fail_kind(r, key, "an object or null");
    reader rope = {value_of(r, key), r.where};
    REINI_TRY(take_real(r, "rope_theta", 10000, 1e-3, 1e30, positive, &s->rope_theta));
    REINI_TRY(take_real(rope, "rope_theta", s->rope_theta, 1e-3, 1e30, positive, &s->rope_theta));
    REINI_TRY(take_real(r, "partial_rotary_factor", 1, 0, 1, "at most 1", &partial));
    REINI_TRY(take_real(rope, "partial_rotary_factor", partial, 0, 1, "at most 1", &partial));
    if (partial != 1)
        return refuse(value_of(rope, "partial_rotary_factor") ? rope : r, "partial_rotary_factor", "1");
    if (value_of(rope, "mrope_section"))
        return refuse(rope, "mrope_section", "null");
    if (value_of(rope, "full_attention") || value_of(rope, "sliding_attention"))
        return refuse(r, key, "one set of rotary parameters for all layers");
    REINI_TRY(take_text(rope, value_of(rope, "rope_type") ? "rope_type" : "type", &type));
    if (!type || strcmp(type, "default") == 0)
        return REIN_OK;
    if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0)
        return reini_fail(
            REIN_UNSUPPORTED,
            "%s: rotary positions of type \"%.40s\" are not supported; supported are default, linear "
            "and llama3",
            r.where, type);
    if (!value_of(rope, "factor"))
        return reini_fail(REIN_FORMAT, "%s: \"factor\" is missing in \"%s\"", r.where, key);
    REINI_TRY(take_real(rope, "factor", 1, 1e-6, 1e6, positive, &s->rope_factor));
    s->rope_scaling = type[1] == 'i' ? REINI_ROPE_LINEAR : REINI_ROPE_LLAMA3;
    return s->rope_scaling == REINI_ROPE_LLAMA3 ? take_llama3(rope, s) : REIN_OK;
}

/* ---- what is not supported ----------------------------------------------------------------------------- */

/* windows that some layer uses */
static rein_status check_windows(reader r, const reini_lm_shape *s) {
    const json_t *types = value_of(r, "layer_types"), *type;
    size_t i;
    bool use = false;
    int from;
    if (s->family == REINI_LLAMA)
        return REIN_OK;
    json_array_foreach(types, i, type) {
        if (!json_is_string(type) || strcmp(json_string_value(type), "full_attention") != 0)
            return refuse(r, "layer_types", "\"full_attention\" in every layer (sliding windows are not)");
    }
    REINI_TRY(take_bool(r, "use_sliding_window", false, &use));
    if (!use || types || (json_object_get(r.json, "sliding_window") && !value_of(r, "sliding_window")))
        return REIN_OK;
    const json_t *layers = value_of(r, "max_window_layers");
    from = json_is_integer(layers) ? (int)json_integer_value(layers) : 28;
    return from >= s->layers ? REIN_OK : refuse(r, "use_sliding_window", "false");
}

static rein_status check_bool(reader r, const char *key, bool fallback, bool wanted) {
    bool value = fallback;
    REINI_TRY(take_bool(r, key, fallback, &value));
    return value == wanted ? REIN_OK : refuse(r, key, wanted ? "true" : "false");
}

static rein_status check_activation(reader r, const char *key, const char *first, const char *second,
                                    const char *fallback) {
    const char *name = NULL;
    REINI_TRY(take_text(r, key, &name));
    if (!name)
        name = fallback;
    if (strcmp(name, first) == 0 || strcmp(name, second) == 0)
        return REIN_OK;
    return reini_fail(REIN_UNSUPPORTED,
                      "%s: \"%s\" is \"%.40s\", and only \"%s\" and \"%s\" are supported for a %s "
                      "model",
                      r.where, key, name, first, second,
                      strcmp(key, "hidden_act") == 0 ? "Llama or Qwen" : "GPT-2");
}

/* ---- the two kinds of network -------------------------------------------------------------------------- */

static rein_status read_gpt2(reader r, reini_lm_shape *s) {
    s->learned_positions = s->layer_norm = s->gelu = true;
    s->qkv_bias = s->out_bias = s->mlp_bias = true;
    REINI_TRY(take_size(r, "n_embd", "hidden_size", 0, &s->hidden));
    REINI_TRY(take_size(r, "n_layer", "num_hidden_layers", 0, &s->layers));
    REINI_TRY(take_size(r, "n_head", "num_attention_heads", 0, &s->heads));
    REINI_TRY(take_size(r, "n_positions", "max_position_embeddings", 1024, &s->context));
    REINI_TRY(take_size(r, "n_inner", NULL, s->hidden <= SIZE_MAX_READ / 4 ? 4 * s->hidden : 1, &s->inner));
    REINI_TRY(take_real(r, "layer_norm_epsilon", 1e-5, 0, 1, "a number from 0 to 1", &s->norm_eps));
    REINI_TRY(check_activation(r, "activation_function", "gelu_new", "gelu_pytorch_tanh", "gelu_new"));
    REINI_TRY(check_bool(r, "scale_attn_weights", true, true));
    REINI_TRY(check_bool(r, "scale_attn_by_inverse_layer_idx", false, false));
    REINI_TRY(check_bool(r, "add_cross_attention", false, false));
    s->kv_heads = s->heads;
    if (s->hidden % s->heads != 0)
        return reini_fail(REIN_FORMAT, "%s: \"n_embd\" %d is not a multiple of \"n_head\" %d", r.where,
                          s->hidden, s->heads);
    s->head_size = s->hidden / s->heads;
    return REIN_OK;
}

static rein_status read_head_size(reader r, reini_lm_shape *s) {
    int whole = s->hidden % s->heads == 0 ? s->hidden / s->heads : 0;
    if (!value_of(r, "head_dim") && s->family != REINI_QWEN3 && whole == 0)
        return reini_fail(
            REIN_FORMAT,
            "%s: \"hidden_size\" %d is not a multiple of \"num_attention_heads\" %d, and there is no "
            "\"head_dim\"",
            r.where, s->hidden, s->heads);
    REINI_TRY(take_size(r, "head_dim", NULL, s->family == REINI_QWEN3 ? 128 : whole, &s->head_size));
    if (s->head_size % 2 != 0)
        return reini_fail(REIN_FORMAT,
                          "%s: heads of %d numbers cannot be rotated by pairs: expected an even size",
                          r.where, s->head_size);
    if (s->heads % s->kv_heads != 0)
        return reini_fail(REIN_FORMAT,
                          "%s: \"num_attention_heads\" %d is not a multiple of \"num_key_value_heads\" %d",
                          r.where, s->heads, s->kv_heads);
    return REIN_OK;
}

static rein_status read_rotary(reader r, reini_lm_shape *s) {
    bool attention_bias = false;
    REINI_TRY(take_size(r, "hidden_size", NULL, 0, &s->hidden));
    REINI_TRY(take_size(r, "num_hidden_layers", NULL, 0, &s->layers));
    REINI_TRY(take_size(r, "num_attention_heads", NULL, 0, &s->heads));
    REINI_TRY(take_size(r, "num_key_value_heads", NULL, s->heads, &s->kv_heads));
    REINI_TRY(take_size(r, "intermediate_size", NULL, 0, &s->inner));
    REINI_TRY(
        take_size(r, "max_position_embeddings", NULL, s->family == REINI_LLAMA ? 2048 : 32768, &s->context));
    REINI_TRY(take_real(r, "rms_norm_eps", 1e-6, 0, 1, "a number from 0 to 1", &s->norm_eps));
    REINI_TRY(check_activation(r, "hidden_act", "silu", "swish", "silu"));
    REINI_TRY(take_bool(r, "attention_bias", false, &attention_bias));
    REINI_TRY(take_bool(r, "mlp_bias", false, &s->mlp_bias));
    /* Qwen2 has biases for q, k, v and nowhere else, whatever its file says; Qwen3 none in its gated layer */
    s->qkv_bias = s->family == REINI_QWEN2 || attention_bias;
    s->out_bias = s->family != REINI_QWEN2 && attention_bias;
    s->mlp_bias = s->family == REINI_LLAMA && s->mlp_bias;
    s->qk_norm = s->family == REINI_QWEN3;
    REINI_TRY(read_head_size(r, s));
    REINI_TRY(take_rope(r, s));
    return check_windows(r, s);
}

/* sizes whose products are computed without further checks */
static rein_status check_sizes(reader r, const reini_lm_shape *s) {
    if ((int64_t)s->heads * s->head_size > SIZE_MAX_READ)
        return reini_fail(REIN_FORMAT, "%s: %d heads of %d numbers are more than supported", r.where,
                          s->heads, s->head_size);
    if ((int64_t)s->hidden * s->inner > MATRIX_MAX || (int64_t)s->hidden * s->vocabulary > MATRIX_MAX ||
        (int64_t)s->hidden * s->context > MATRIX_MAX)
        return reini_fail(REIN_FORMAT, "%s: matrices of more than 2^36 numbers are not supported", r.where);
    if (s->layers > 4096)
        return reini_fail(REIN_FORMAT, "%s: %d layers are more than the 4096 supported", r.where, s->layers);
    return REIN_OK;
}

static rein_status read_shape(reader r, reini_lm_shape *s) {
    int family;
    bool classifier, gpt2, llama;
    REINI_TRY(find_family(r, &family, &classifier));
    s->family = families[family].family;
    gpt2 = s->family == REINI_GPT2;
    llama = s->family == REINI_LLAMA;
    if (value_of(r, "quantization_config"))
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: quantized weights (\"quantization_config\") are not supported; use "
                          "a folder with float32, float16 or bfloat16 weights",
                          r.where);
    REINI_TRY(take_size(r, "vocab_size", NULL, 0, &s->vocabulary));
    REINI_TRY(take_bool(r, "tie_word_embeddings", gpt2, &s->tied));
    REINI_TRY(take_real(r, "initializer_range", 0.02, 0, 1, "a number from 0 to 1", &s->initializer_range));
    REINI_TRY(take_token(r, "bos_token_id", gpt2 ? 50256 : llama ? 1 : -1, &s->bos));
    REINI_TRY(take_token(r, "pad_token_id", -1, &s->pad));
    REINI_TRY(take_eos(r, gpt2 ? 50256 : llama ? 2 : -1, s->eos, &s->n_eos));
    if (classifier)
        REINI_TRY(take_labels(r, &s->labels));
    REINI_TRY(gpt2 ? read_gpt2(r, s) : read_rotary(r, s));
    return check_sizes(r, s);
}

rein_status reini_lm_shape_read(const char *json, size_t length, const char *where, reini_lm_shape *out) {
    json_t *root;
    memset(out, 0, sizeof *out);
    REINI_TRY(reini_json_parse(json, length, where, &root));
    rein_status status = json_is_object(root) ? read_shape((reader){root, where}, out)
                                              : reini_fail(REIN_FORMAT, "%s: expected a JSON object", where);
    json_decref(root);
    return status;
}

rein_status reini_lm_shape_load(const char *file, reini_lm_shape *out) {
    char *text;
    size_t size;
    REINI_TRY(reini_file_read(file, CONFIG_BYTES, &text, &size));
    rein_status status = reini_lm_shape_read(text, size, file, out);
    reini_free(text);
    return status;
}

/* ---- generation_config.json ---------------------------------------------------------------------------- */

static rein_status read_generation(reader r, reini_generation_config *c) {
    int k = c->top_k;
    const json_t *top_k = value_of(r, "top_k");
    c->found = true;
    if (top_k &&
        (!json_is_integer(top_k) || json_integer_value(top_k) < 0 || json_integer_value(top_k) > INT_MAX))
        return fail_kind(r, "top_k", "a whole number, 0 for all tokens");
    c->top_k = top_k ? (int)json_integer_value(top_k) : k;
    REINI_TRY(take_eos(r, -1, c->eos, &c->n_eos));
    REINI_TRY(take_bool(r, "do_sample", c->do_sample, &c->do_sample));
    REINI_TRY(take_real(r, "temperature", 1, 0, 1e6, "a number from 0 on", &c->temperature));
    REINI_TRY(take_real(r, "top_p", 1, 0, 1, "a number from 0 to 1", &c->top_p));
    REINI_TRY(take_real(r, "min_p", 0, 0, 1, "a number from 0 to 1", &c->min_p));
    return take_real(r, "repetition_penalty", 1, 1e-6, 1e6, "a positive number", &c->repetition_penalty);
}

rein_status reini_generation_config_load(const char *folder, reini_generation_config *out) {
    char path[4096];
    json_t *root;
    *out = (reini_generation_config){.temperature = 1, .top_k = 50, .top_p = 1, .repetition_penalty = 1};
    REINI_TRY(reini_path_join(path, sizeof path, folder, "generation_config.json"));
    if (!reini_file_exists(path))
        return REIN_OK;
    REINI_TRY(reini_json_read(path, &root));
    rein_status status = json_is_object(root) ? read_generation((reader){root, path}, out)
                                              : reini_fail(REIN_FORMAT, "%s: expected a JSON object", path);
    json_decref(root);
    return status;
}
