/*
 * lora_file.c - reading adapters from PEFT's files.
 *
 * adapter_config.json tells rank, scale and dropout; which layers have an adapter follows from the tensors. GPT-2's
 * c_attn is q, k and v in one layer with one A: it becomes three adapters that share the values of A and cut B in
 * three, which computes the same. A file of our own may also hold three different ones in one (lora_file_write.c).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/shards.h"
#include "lm/lm_convert.h"
#include "lm/lora_file.h"

typedef struct reading {
    const char *folder;
    char config[4096];
    reini_lm_weights *base;
    reini_lora_opts opts;
    int joined_rank; /* of GPT-2's c_attn: opts.rank, or three times it when three adapters are side by side */
    reini_shards *shards;
    bool *used;  /* [tensors] */
    bool *there; /* [layers][parts] */
    float *scratch;
    reini_lora *lora;
} reading;

void reini_lora_tensor_name(const reini_lm_shape *shape, const reini_lora_module *module, int layer,
                            char which, char out[REINI_LORA_NAME]) {
    snprintf(out, REINI_LORA_NAME, "base_model.model.%s.%d.%s.lora_%c.weight",
             shape->family == REINI_GPT2 ? "transformer.h" : "model.layers", layer, module->path, which);
}

/* ---- adapter_config.json ------------------------------------------------------------------------------- */

static bool is_set(const json_t *value) {
    if (json_is_array(value))
        return json_array_size(value) > 0;
    if (json_is_object(value))
        return json_object_size(value) > 0;
    return value && !json_is_null(value) && !json_is_false(value);
}

/* what changes the numbers and is not there in this program */
static rein_status check_features(const reading *r, const json_t *root) {
    static const char *const refused[] = {"use_dora",          "lora_bias",     "layer_replication",
                                          "target_parameters", "use_qalora",    "alora_invocation_tokens",
                                          "megatron_config",   "loftq_config",  "trainable_token_indices",
                                          "arrow_config",      "corda_config",  "lora_ga_config",
                                          "kasa_config",       "velora_config", "monteclora_config",
                                          "use_bdlora"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (is_set(json_object_get(root, refused[i])))
            return reini_fail(REIN_UNSUPPORTED,
                              "%s: \"%s\" is not supported; plain LoRA and rsLoRA adapters are", r->config,
                              refused[i]);
    const char *type = json_string_value(json_object_get(root, "peft_type"));
    if (!type || strcmp(type, "LORA") != 0)
        return reini_fail(REIN_UNSUPPORTED, "%s: \"peft_type\" is \"%.40s\", and only \"LORA\" is supported",
                          r->config, type ? type : "missing");
    const char *bias = json_string_value(json_object_get(root, "bias"));
    if (bias && strcmp(bias, "none") != 0)
        return reini_fail(REIN_UNSUPPORTED, "%s: \"bias\" is \"%.40s\", and only \"none\" is supported",
                          r->config, bias);
    const char *start = json_string_value(json_object_get(root, "init_lora_weights"));
    if (start && strcmp(start, "gaussian") != 0 && strcmp(start, "eva") != 0 &&
        strcmp(start, "orthogonal") != 0)
        return reini_fail(
            REIN_UNSUPPORTED,
            "%s: \"init_lora_weights\" is \"%.40s\", which changes the base model; convert the adapter "
            "to a plain one when it is saved",
            r->config, start);
    return REIN_OK;
}

static rein_status check_saved_modules(const reading *r, const json_t *root) {
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(root, "modules_to_save"), i, name) {
        const char *text = json_string_value(name);
        /* PEFT lists both for every classifier, whichever it has */
        if (!text || (strcmp(text, "score") != 0 && strcmp(text, "classifier") != 0))
            return reini_fail(
                REIN_UNSUPPORTED,
                "%s: \"modules_to_save\" names \"%.40s\", and only the score head of a classifier is "
                "supported",
                r->config, text ? text : "?");
    }
    return REIN_OK;
}

static rein_status read_number(const reading *r, const json_t *root, const char *key, double fallback,
                               double *out) {
    const json_t *value = json_object_get(root, key);
    bool absent = !value || json_is_null(value);
    *out = absent ? fallback : json_number_value(value);
    if (!absent && !json_is_number(value))
        return reini_fail(REIN_FORMAT, "%s: \"%s\" is not a number", r->config, key);
    return REIN_OK;
}

/* rank_pattern and alpha_pattern: only as we write them, for three adapters side by side in c_attn */
static rein_status read_patterns(reading *r, const json_t *root) {
    const json_t *ranks = json_object_get(root, "rank_pattern"),
                 *alphas = json_object_get(root, "alpha_pattern");
    double rank = json_number_value(json_object_get(ranks, "c_attn")),
           alpha = json_number_value(json_object_get(alphas, "c_attn"));
    double wanted = r->opts.alpha * (r->opts.rslora ? sqrt(3) : 3);
    r->joined_rank = r->opts.rank;
    if (!is_set(ranks) && !is_set(alphas))
        return REIN_OK;
    if (r->base->shape.family == REINI_GPT2 && json_object_size(ranks) == 1 &&
        json_object_size(alphas) == 1 && rank == 3.0 * r->opts.rank &&
        fabs(alpha - wanted) <= 1e-9 * wanted) {
        r->joined_rank = 3 * r->opts.rank;
        return REIN_OK;
    }
    return reini_fail(REIN_UNSUPPORTED,
                      "%s: \"%s\" gives layers ranks or scales of their own, and only one rank and "
                      "alpha for all is supported",
                      r->config, is_set(ranks) ? "rank_pattern" : "alpha_pattern");
}

static rein_status read_opts(reading *r, const json_t *root) {
    double rank = 0;
    REINI_TRY(check_features(r, root));
    REINI_TRY(check_saved_modules(r, root));
    REINI_TRY(read_number(r, root, "r", 8, &rank));
    REINI_TRY(read_number(r, root, "lora_alpha", 8, &r->opts.alpha));
    REINI_TRY(read_number(r, root, "lora_dropout", 0, &r->opts.dropout));
    if (!(rank >= 1 && rank <= 65536) || rank != floor(rank))
        return reini_fail(REIN_FORMAT, "%s: \"r\" has to be a whole number from 1 to 65536, found %g",
                          r->config, rank);
    r->opts.rank = (int)rank;
    r->opts.rslora = json_is_true(json_object_get(root, "use_rslora"));
    return read_patterns(r, root);
}

static rein_status read_config(reading *r) {
    json_t *root;
    REINI_TRY(reini_path_join(r->config, sizeof r->config, r->folder, "adapter_config.json"));
    if (!reini_file_exists(r->config))
        return reini_fail(REIN_IO,
                          "\"%s\" has no adapter_config.json: expected a folder that PEFT or rein saved",
                          r->folder);
    REINI_TRY(reini_json_read(r->config, &root));
    rein_status status = json_is_object(root)
                             ? read_opts(r, root)
                             : reini_fail(REIN_FORMAT, "%s: expected a JSON object", r->config);
    json_decref(root);
    return status;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

/* in and out of a layer as PEFT sees it */
static void module_size(const reini_lm_shape *shape, const reini_lora_module *module, int64_t *in,
                        int64_t *out) {
    *out = 0;
    for (int i = 0; i < module->n_parts; i++) {
        reini_lm_part_info info = reini_lm_part_of(shape, module->part[i]);
        *in = info.columns;
        *out += info.rows;
    }
}

static rein_status check_tensor(reading *r, const char *name, int64_t rows, int64_t columns, int *index) {
    *index = reini_shards_find(r->shards, name);
    if (*index < 0)
        return reini_fail(REIN_MISMATCH, "%s: tensor \"%s\" is missing, the other one of its pair is there",
                          reini_shards_path(r->shards), name);
    const reini_st_tensor *t = reini_shards_at(r->shards, *index);
    r->used[*index] = true;
    if (!reini_lm_converts(t->dtype))
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: tensor \"%s\" is of type %s; supported are F32, BF16 and F16",
                          reini_shards_path(r->shards), name, t->dtype);
    if (t->ndim == 2 && t->shape[0] == rows && t->shape[1] == columns)
        return REIN_OK;
    return reini_fail(REIN_MISMATCH,
                      "%s: tensor \"%s\" is [%lld x %lld], and rank %d beside this model's layer asks "
                      "for [%lld x %lld]: the adapter is of another model, or its config of another "
                      "adapter",
                      reini_shards_path(r->shards), name, (long long)(t->ndim > 0 ? t->shape[0] : 1),
                      (long long)(t->ndim > 1 ? t->shape[1] : 1), r->opts.rank, (long long)rows,
                      (long long)columns);
}

/* checks a layer's pair when it has one, and notes its parts */
static rein_status find_pair(reading *r, const reini_lora_module *module, int layer) {
    char a[REINI_LORA_NAME], b[REINI_LORA_NAME];
    int64_t in = 0, out = 0, rank = module->n_parts > 1 ? r->joined_rank : r->opts.rank;
    int index;
    reini_lora_tensor_name(&r->base->shape, module, layer, 'A', a);
    reini_lora_tensor_name(&r->base->shape, module, layer, 'B', b);
    if (reini_shards_find(r->shards, a) < 0 && reini_shards_find(r->shards, b) < 0)
        return REIN_OK;
    module_size(&r->base->shape, module, &in, &out);
    REINI_TRY(check_tensor(r, a, rank, in, &index));
    REINI_TRY(check_tensor(r, b, out, rank, &index));
    for (int i = 0; i < module->n_parts; i++) {
        r->there[layer * REINI_LM_PART_COUNT + (int)module->part[i]] = true;
        r->opts.targets |= UINT32_C(1) << module->part[i];
    }
    return REIN_OK;
}

static const char score_name[] = "base_model.model.score.weight";

static rein_status check_rest(reading *r) {
    int score = reini_shards_find(r->shards, score_name);
    if (score >= 0 && r->base->shape.labels > 0) {
        REINI_TRY(check_tensor(r, score_name, r->base->shape.labels, r->base->shape.hidden, &score));
    } else if (score >= 0) {
        return reini_fail(REIN_MISMATCH,
                          "%s: the adapter is a classifier's (it has \"%s\"), and the model has no "
                          "score head",
                          reini_shards_path(r->shards), score_name);
    }
    for (int i = 0; i < reini_shards_count(r->shards); i++)
        if (!r->used[i])
            return reini_fail(
                REIN_MISMATCH,
                "%s: tensor \"%.200s\" does not belong to a linear layer of this %s model with %d "
                "layers: the adapter is of another model",
                reini_shards_path(r->shards), reini_shards_at(r->shards, i)->name,
                reini_family_name(r->base->shape.family), r->base->shape.layers);
    return r->opts.targets ? REIN_OK
                           : reini_fail(REIN_FORMAT, "%s holds no adapter", reini_shards_path(r->shards));
}

static rein_status find_all(reading *r) {
    int modules;
    const reini_lora_module *module = reini_lora_modules(&r->base->shape, &modules);
    for (int layer = 0; layer < r->base->shape.layers; layer++)
        for (int i = 0; i < modules; i++)
            REINI_TRY(find_pair(r, &module[i], layer));
    return check_rest(r);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static rein_status fail_blocks(const reading *r, const char *name) {
    return reini_fail(REIN_FORMAT, "%s: tensor \"%s\" mixes the three adapters of q, k and v",
                      reini_shards_path(r->shards), name);
}

/* B of part i in rows first .. first + out of the joined one. Side by side, its rank columns are those of block i, and
 * the others are zero. */
static rein_status cut_b(const reading *r, const char *name, int i, int64_t first, int64_t out, float *to) {
    int64_t width = r->joined_rank, rank = r->opts.rank, column = width > rank ? i * rank : 0;
    for (int64_t row = 0; row < out; row++) {
        const float *from = r->scratch + (first + row) * width;
        for (int64_t k = 0; k < width; k++)
            if ((k < column || k >= column + rank) && from[k] != 0)
                return fail_blocks(r, name);
        memcpy(to + row * rank, from + column, (size_t)rank * sizeof *to);
    }
    return REIN_OK;
}

static rein_status fill_joined(reading *r, const reini_lora_module *module, int layer,
                               const reini_st_tensor *a, const reini_st_tensor *b) {
    int64_t in = a->shape[1], rank = r->opts.rank, first = 0;
    reini_lm_to_float(r->scratch, a->dtype, a->data, a->shape[0] * in);
    for (int i = 0; i < module->n_parts; i++)
        memcpy(reini_lora_a(r->lora, r->lora->store, module->part[i], layer),
               r->scratch + (r->joined_rank > rank ? i * rank * in : 0), (size_t)(rank * in) * sizeof(float));
    reini_lm_to_float(r->scratch, b->dtype, b->data, b->shape[0] * b->shape[1]);
    for (int i = 0; i < module->n_parts; i++) {
        int64_t out = reini_lm_part_of(&r->base->shape, module->part[i]).rows;
        REINI_TRY(
            cut_b(r, b->name, i, first, out, reini_lora_b(r->lora, r->lora->store, module->part[i], layer)));
        first += out;
    }
    return REIN_OK;
}

static rein_status fill_pair(reading *r, const reini_lora_module *module, int layer) {
    char name[REINI_LORA_NAME];
    rein_store *store = r->lora->store;
    reini_lora_tensor_name(&r->base->shape, module, layer, 'A', name);
    const reini_st_tensor *a = reini_shards_at(r->shards, reini_shards_find(r->shards, name));
    reini_lora_tensor_name(&r->base->shape, module, layer, 'B', name);
    const reini_st_tensor *b = reini_shards_at(r->shards, reini_shards_find(r->shards, name));
    if (module->n_parts > 1)
        return fill_joined(r, module, layer, a, b);
    reini_lm_to_float(reini_lora_a(r->lora, store, module->part[0], layer), a->dtype, a->data,
                      a->shape[0] * a->shape[1]);
    reini_lm_to_float(reini_lora_b(r->lora, store, module->part[0], layer), b->dtype, b->data,
                      b->shape[0] * b->shape[1]);
    return REIN_OK;
}

static rein_status fill_all(reading *r) {
    int modules;
    const reini_lora_module *module = reini_lora_modules(&r->base->shape, &modules);
    for (int layer = 0; layer < r->base->shape.layers; layer++)
        for (int i = 0; i < modules; i++)
            if (reini_lora_param(r->lora, module[i].part[0], layer, 0) >= 0)
                REINI_TRY(fill_pair(r, &module[i], layer));
    int score = reini_shards_find(r->shards, score_name);
    if (score < 0) {
        reini_lora_take_head(r->lora, r->base);
        return REIN_OK;
    }
    const reini_st_tensor *t = reini_shards_at(r->shards, score);
    int64_t n = t->shape[0] * t->shape[1];
    int64_t offset = rein_layout_at(r->base->layout, reini_lm_param(r->base, REINI_LM_SCORE, -1)).offset;
    reini_lm_to_float(r->scratch, t->dtype, t->data, n);
    if (r->base->store)
        memcpy((float *)rein_store_data(r->base->store) + offset, r->scratch, (size_t)n * sizeof(float));
    if (r->base->narrow)
        reini_narrow(NULL, r->base->narrow + offset, r->scratch, n);
    float *head = reini_lora_head(r->lora, r->lora->store);
    if (head)
        memcpy(head, r->scratch, (size_t)n * sizeof *head);
    return REIN_OK;
}

/* floats of the largest tensor */
static rein_status make_scratch(reading *r) {
    size_t most = 1;
    for (int i = 0; i < reini_shards_count(r->shards); i++) {
        const reini_st_tensor *t = reini_shards_at(r->shards, i);
        size_t n = t->bytes / reini_lm_element(t->dtype);
        most = n > most ? n : most;
    }
    r->scratch = REINI_NEW_ARRAY(float, most);
    return r->scratch ? REIN_OK : reini_fail_memory(most * sizeof(float), r->folder);
}

static rein_status load(reading *r) {
    size_t places = (size_t)r->base->shape.layers * REINI_LM_PART_COUNT;
    REINI_TRY(read_config(r));
    REINI_TRY(reini_shards_open(r->folder, "adapter_model", &r->shards));
    r->used = REINI_NEW_ARRAY(bool, (size_t)reini_shards_count(r->shards));
    r->there = REINI_NEW_ARRAY(bool, places);
    if (!r->used || !r->there)
        return reini_fail_memory(places, r->folder);
    REINI_TRY(find_all(r));
    REINI_TRY(make_scratch(r));
    rein_status status = reini_lora_make(r->base, &r->opts, r->there, &r->lora);
    if (status != REIN_OK)
        return reini_fail_in(status, "%s: ", r->config);
    return fill_all(r);
}

rein_status reini_lora_load(reini_lm_weights *base, const char *folder, reini_lora **out) {
    reading r = {.folder = folder, .base = base};
    rein_status status = load(&r);
    reini_shards_close(r.shards);
    reini_free(r.used);
    reini_free(r.there);
    reini_free(r.scratch);
    if (status != REIN_OK) {
        reini_lora_free(r.lora);
        r.lora = NULL;
    }
    *out = r.lora;
    return status;
}
