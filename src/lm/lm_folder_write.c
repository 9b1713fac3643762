/*
 * lm_folder_write.c - writing a model's folder, as Transformers reads it.
 *
 * Weights first, config.json last: a folder with a config.json is whole. Numbers that have to be converted or turned
 * over are so one tensor at a time, when their turn to be written comes.
 */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/shards.h"
#include "lm/lm_convert.h"
#include "lm/lm_parts.h"

#define SHARD_BYTES ((int64_t)5000000000) /* Transformers' own limit for long */
#define FILE_MAX    ((size_t)256 << 20)   /* of files that are copied */

typedef struct saving {
    const reini_lm_weights *w;
    rein_dtype dtype;
    reini_lm_entry *entry;
    reini_st_tensor *tensor; /* one for each entry */
    int entries;
    float *joined;     /* a tensor whose parts are joined or turned over */
    float *part;       /* a part that is kept in bf16 alone */
    uint16_t *rounded; /* a tensor in bf16 */
} saving;

/* ---- numbers ------------------------------------------------------------------------------------------- */

/* A part in floats: where it lies, or widened. */
static const float *part_floats(const saving *s, int param) {
    rein_param_info info = rein_layout_at(s->w->layout, param);
    if (s->w->store)
        return (const float *)rein_store_view(s->w->store) + info.offset;
    if (s->w->vector_offset[param] >= 0)
        return s->w->vectors + s->w->vector_offset[param];
    reini_widen(NULL, s->part, s->w->narrow + info.offset, info.count);
    return s->part;
}

static const float *entry_floats(const saving *s, const reini_lm_entry *entry) {
    int64_t first = 0, in = entry->shape[0], width = entry->shape[1];
    if (entry->n_parts == 1 && !entry->transposed)
        return part_floats(s, reini_lm_param(s->w, entry->part[0], entry->layer));
    for (int i = 0; i < entry->n_parts; i++) {
        int param = reini_lm_param(s->w, entry->part[i], entry->layer);
        rein_param_info info = rein_layout_at(s->w->layout, param);
        const float *from = part_floats(s, param);
        if (entry->transposed)
            reini_lm_transpose_into(s->joined + first, width, from, info.dims[0], in, in);
        else
            memcpy(s->joined + first, from, (size_t)info.count * sizeof *from);
        first += info.dims[0];
    }
    return s->joined;
}

static rein_status fetch(void *user, const reini_st_tensor *tensor, const void **data) {
    saving *s = user;
    const float *floats = entry_floats(s, &s->entry[tensor - s->tensor]);
    *data = floats;
    if (s->dtype == REIN_BF16) {
        reini_narrow(NULL, s->rounded, floats, (int64_t)(tensor->bytes / sizeof *s->rounded));
        *data = s->rounded;
    }
    return REIN_OK;
}

/* The tensor's bytes where they lie already as the file wants them, else NULL. */
static const void *direct(const saving *s, const reini_lm_entry *entry) {
    rein_param_info info = rein_layout_at(s->w->layout, reini_lm_param(s->w, entry->part[0], entry->layer));
    if (entry->n_parts > 1 || entry->transposed)
        return NULL;
    if (s->dtype == REIN_BF16)
        return s->w->narrow && info.ndim == 2 ? s->w->narrow + info.offset : NULL;
    return s->w->store ? (const float *)rein_store_view(s->w->store) + info.offset : NULL;
}

static rein_status make_tensors(saving *s) {
    int64_t most = 0, element = s->dtype == REIN_BF16 ? 2 : 4;
    REINI_TRY(reini_lm_entries(&s->w->shape, &s->entry, &s->entries));
    s->tensor = REINI_NEW_ARRAY(reini_st_tensor, (size_t)s->entries);
    if (!s->tensor)
        return reini_fail_memory((size_t)s->entries * sizeof *s->tensor, "a model's list of tensors");
    for (int i = 0; i < s->entries; i++) {
        const reini_lm_entry *e = &s->entry[i];
        int64_t n = e->shape[0] * (e->ndim == 2 ? e->shape[1] : 1);
        s->tensor[i] = (reini_st_tensor){.name = e->name,
                                         .dtype = element == 2 ? "BF16" : "F32",
                                         .ndim = e->ndim,
                                         .shape = {e->shape[0], e->shape[1]},
                                         .data = direct(s, e),
                                         .bytes = (size_t)(n * element)};
        most = !s->tensor[i].data && n > most ? n : most;
    }
    bool turned = s->w->shape.family == REINI_GPT2;
    s->joined = REINI_NEW_ARRAY(float, turned ? (size_t)most : 0);
    s->part = REINI_NEW_ARRAY(float, s->w->store ? 0 : (size_t)most);
    s->rounded = REINI_NEW_ARRAY(uint16_t, s->dtype == REIN_BF16 ? (size_t)most : 0);
    return s->joined && s->part && s->rounded
               ? REIN_OK
               : reini_fail_memory((size_t)most * sizeof(float), "a tensor on its way to a file");
}

static rein_status write_tensors(saving *s, const char *folder, int64_t shard_bytes) {
    rein_status status = make_tensors(s);
    if (status == REIN_OK)
        status = reini_shards_write(folder, "model", s->tensor, s->entries,
                                    shard_bytes > 0 ? shard_bytes : SHARD_BYTES, fetch, s);
    reini_free(s->entry);
    reini_free(s->tensor);
    reini_free(s->joined);
    reini_free(s->part);
    reini_free(s->rounded);
    return status;
}

/* ---- the files beside them ----------------------------------------------------------------------------- */

static const char *const tokenizer_files[] = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "vocab.json",
    "merges.txt",     "added_tokens.json",
};

static rein_status copy_file(const char *from_folder, const char *to_folder, const char *name) {
    char from[4096], to[4096], *data;
    size_t size;
    REINI_TRY(reini_path_join(from, sizeof from, from_folder, name));
    REINI_TRY(reini_path_join(to, sizeof to, to_folder, name));
    if (!reini_file_exists(from) || reini_same_file(from, to))
        return REIN_OK;
    REINI_TRY(reini_file_read(from, FILE_MAX, &data, &size));
    rein_status status = reini_file_write(to, data, size);
    reini_free(data);
    return status;
}

rein_status reini_lm_copy_tokenizer(const char *from, const char *folder) {
    for (size_t i = 0; i < sizeof tokenizer_files / sizeof *tokenizer_files; i++)
        REINI_TRY(copy_file(from, folder, tokenizer_files[i]));
    return REIN_OK;
}

static json_t *token_ids(const int *ids, int n) {
    json_t *list = json_array();
    for (int i = 0; list && i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

/* Sampling defaults of the old folder stay; a file that does not stop where config.json does is put right. */
static rein_status write_generation(const reini_lm_shape *shape, const char *folder, const char *from) {
    char path[4096];
    json_t *root = NULL;
    reini_generation_config old = {0};
    if (from)
        REINI_TRY(reini_generation_config_load(from, &old));
    int known = 0;
    for (int i = 0; i < shape->n_eos; i++)
        for (int k = 0; k < old.n_eos; k++)
            known += shape->eos[i] == old.eos[k];
    if (old.found && known == shape->n_eos)
        return copy_file(from, folder, "generation_config.json");
    if (old.found) {
        REINI_TRY(reini_path_join(path, sizeof path, from, "generation_config.json"));
        REINI_TRY(reini_json_read(path, &root));
    } else {
        root = json_pack("{s:b}", "_from_model_config", 1);
    }
    REINI_TRY(reini_path_join(path, sizeof path, folder, "generation_config.json"));
    bool failed = !root;
    if (shape->bos >= 0)
        failed |= json_object_set_new(root, "bos_token_id", json_integer(shape->bos)) != 0;
    if (shape->n_eos > 0)
        failed |= json_object_set_new(root, "eos_token_id",
                                      shape->n_eos == 1 ? json_integer(shape->eos[0])
                                                        : token_ids(shape->eos, shape->n_eos)) != 0;
    if (shape->pad >= 0)
        failed |= json_object_set_new(root, "pad_token_id", json_integer(shape->pad)) != 0;
    rein_status status = failed ? reini_fail(REIN_NOMEM, "out of memory while writing \"%s\"", path)
                                : reini_json_write(path, root);
    json_decref(root);
    return status;
}

static rein_status write_config(const reini_lm_shape *shape, const char *folder, rein_dtype dtype) {
    char path[4096], *text;
    REINI_TRY(reini_path_join(path, sizeof path, folder, "config.json"));
    REINI_TRY(reini_lm_shape_write(shape, dtype == REIN_BF16 ? "bfloat16" : "float32", &text));
    rein_status status = reini_file_write(path, text, strlen(text));
    reini_free(text);
    return status;
}

rein_status reini_lm_weights_save(const reini_lm_weights *w, const char *folder, rein_dtype dtype,
                                  int64_t shard_bytes, const char *tokenizer_from) {
    if (dtype != REIN_F32 && dtype != REIN_BF16)
        return reini_fail(REIN_USAGE, "a model is saved in float32 or in bfloat16");
    saving s = {.w = w, .dtype = dtype};
    REINI_TRY(reini_dir_make(folder));
    REINI_TRY(write_tensors(&s, folder, shard_bytes));
    if (tokenizer_from)
        REINI_TRY(reini_lm_copy_tokenizer(tokenizer_from, folder));
    if (w->shape.labels == 0)
        REINI_TRY(write_generation(&w->shape, folder, tokenizer_from));
    return write_config(&w->shape, folder, dtype);
}
