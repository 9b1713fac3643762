/*
 * lm_folder.c - reading a model's folder.
 *
 * The shape says which tensors there have to be (lm_gpt2.c); each is looked up in the mapped files, its shape and type
 * are compared, and its numbers are converted on the way to their place. What is left in the files is refused, unless
 * it is known to be without effect.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/huge_pages.h"
#include "base/shards.h"
#include "lm/lm_convert.h"
#include "lm/lm_parts.h"

typedef struct loading {
    rein_pool *pool; /* NULL: the calling thread reads */
    const char *folder;
    reini_shards *shards;
    reini_lm_weights *w;
    reini_lm_entry *entry;
    int entries;
    bool *used; /* [tensors of the files] */
    bool made_score;
    float *scratch; /* a tensor in floats, before it is turned over or rounded */
} loading;

/* ---- finding ------------------------------------------------------------------------------------------- */

/* a tensor under its name, or without the prefix that files of the bare network leave out; -1 when absent */
static int find_tensor(const loading *l, const char *name) {
    const char *prefix = reini_lm_prefix(&l->w->shape);
    size_t length = strlen(prefix);
    int index = reini_shards_find(l->shards, name);
    if (index < 0 && strncmp(name, prefix, length) == 0)
        index = reini_shards_find(l->shards, name + length);
    return index;
}

/* "[576 x 64]" */
static void shape_text(int ndim, const int64_t *shape, char out[160]) {
    size_t at = (size_t)snprintf(out, 160, "[");
    for (int i = 0; i < ndim && at < 130; i++)
        at += (size_t)snprintf(out + at, 160 - at, "%s%lld", i ? " x " : "", (long long)shape[i]);
    snprintf(out + at, 160 - at, "]");
}

static rein_status check_tensor(const loading *l, const reini_lm_entry *entry, const reini_st_tensor *t) {
    char found[160], expected[160];
    if (!reini_lm_converts(t->dtype))
        return reini_fail(REIN_UNSUPPORTED,
                          "%s: tensor \"%s\" is of type %s; supported are F32, BF16 and F16",
                          reini_shards_path(l->shards), t->name, t->dtype);
    if (t->ndim == entry->ndim && memcmp(t->shape, entry->shape, (size_t)t->ndim * sizeof *t->shape) == 0)
        return REIN_OK;
    shape_text(t->ndim, t->shape, found);
    shape_text(entry->ndim, entry->shape, expected);
    return reini_fail(REIN_MISMATCH,
                      "%s: tensor \"%s\" is %s, and config.json asks for %s: the two belong to "
                      "different models",
                      reini_shards_path(l->shards), t->name, found, expected);
}

static rein_status fail_missing(const loading *l, const reini_lm_entry *entry) {
    const char *hint = "the file is incomplete or of another model";
    if (entry->part[0] == REINI_LM_HEAD)
        hint = "set \"tie_word_embeddings\" to true in config.json if the embedding is the head";
    return reini_fail(REIN_MISMATCH, "%s: tensor \"%s\" is missing: %s", reini_shards_path(l->shards),
                      entry->name, hint);
}

/* ---- what is left over --------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *ending) {
    size_t length = strlen(name), n = strlen(ending);
    return length >= n && strcmp(name + length - n, ending) == 0;
}

/* buffers that older releases saved and that follow from the shape */
static bool is_buffer(const loading *l, const char *name) {
    if (l->w->shape.family == REINI_GPT2)
        return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias");
    return ends_with(name, ".rotary_emb.inv_freq");
}

/* a head beside a tied embedding has to be a copy of it */
static rein_status check_tied(const loading *l, const reini_st_tensor *head) {
    int index = find_tensor(l, l->entry[0].name);
    const reini_st_tensor *embedding = reini_shards_at(l->shards, index);
    if (strcmp(head->dtype, embedding->dtype) == 0 && head->bytes == embedding->bytes &&
        memcmp(head->data, embedding->data, head->bytes) == 0)
        return REIN_OK;
    return reini_fail(REIN_MISMATCH,
                      "%s: \"%s\" differs from \"%s\", and config.json says that they are one: set "
                      "\"tie_word_embeddings\" to false to use both, or remove the head",
                      reini_shards_path(l->shards), head->name, embedding->name);
}

static rein_status check_unused(const loading *l, const reini_st_tensor *t) {
    const reini_lm_shape *s = &l->w->shape;
    if (is_buffer(l, t->name))
        return REIN_OK;
    if (strcmp(t->name, "lm_head.weight") == 0 && (s->labels > 0 || s->tied))
        return s->labels > 0 ? REIN_OK : check_tied(l, t);
    const char *hint = "config.json describes another model, or this kind of tensor is not supported";
    if (strcmp(t->name, "score.weight") == 0)
        hint = "it belongs to a classifier: name a ...ForSequenceClassification in config.json's "
               "\"architectures\"";
    return reini_fail(REIN_MISMATCH, "%s: tensor \"%.200s\" is not part of the model: %s",
                      reini_shards_path(l->shards), t->name, hint);
}

/* ---- filling ------------------------------------------------------------------------------------------- */

/* The part's numbers, in floats, to where it is kept. */
static void keep(reini_lm_weights *w, int param, const float *from, int64_t n) {
    rein_param_info info = rein_layout_at(w->layout, param);
    if (w->store)
        memcpy((float *)rein_store_data(w->store) + info.offset, from, (size_t)n * sizeof *from);
    else if (w->vector_offset[param] >= 0)
        memcpy(w->vectors + w->vector_offset[param], from, (size_t)n * sizeof *from);
    else
        reini_narrow(NULL, w->narrow + info.offset, from, n);
}

/* One part in one piece of the file: without a detour where types allow it. */
static void fill_plain(loading *l, const reini_st_tensor *t, int param, const void *data, int64_t n) {
    reini_lm_weights *w = l->w;
    rein_param_info info = rein_layout_at(w->layout, param);
    if (w->store) {
        reini_lm_to_float((float *)rein_store_data(w->store) + info.offset, t->dtype, data, n);
    } else if (info.ndim == 2 && strcmp(t->dtype, "BF16") == 0) {
        memcpy(w->narrow + info.offset, data, (size_t)n * sizeof(uint16_t));
    } else {
        reini_lm_to_float(l->scratch, t->dtype, data, n);
        keep(w, param, l->scratch, n);
    }
}

/* Columns of a tensor that lies turned over: part [rows x in] is columns first .. first + rows of [in x width]. */
static void fill_turned(loading *l, const reini_lm_entry *entry, const reini_st_tensor *t) {
    int64_t in = entry->shape[0], width = entry->shape[1], first = 0;
    float *turned = l->scratch + in * width;
    reini_lm_to_float(l->scratch, t->dtype, t->data, in * width);
    for (int i = 0; i < entry->n_parts; i++) {
        int param = reini_lm_param(l->w, entry->part[i], entry->layer);
        int64_t rows = rein_layout_at(l->w->layout, param).dims[0];
        reini_lm_transpose(turned, l->scratch + first, in, rows, width);
        keep(l->w, param, turned, rows * in);
        first += rows;
    }
}

static void fill_entry(loading *l, const reini_lm_entry *entry, const reini_st_tensor *t) {
    const uint8_t *data = t->data;
    if (entry->transposed) {
        fill_turned(l, entry, t);
        return;
    }
    for (int i = 0; i < entry->n_parts; i++) {
        int param = reini_lm_param(l->w, entry->part[i], entry->layer);
        int64_t n = rein_layout_at(l->w->layout, param).count;
        fill_plain(l, t, param, data, n);
        data += n * (int64_t)reini_lm_element(t->dtype);
    }
}

/* Whether a tensor goes to its place without the scratch memory. */
static bool is_straight(const loading *l, int i) {
    const reini_lm_entry *e = &l->entry[i];
    int index = find_tensor(l, e->name);
    return index < 0 ||
           (!e->transposed &&
            (l->w->store || (e->ndim == 2 && strcmp(reini_shards_at(l->shards, index)->dtype, "BF16") == 0)));
}

static void fill(loading *l, int i) {
    int index = find_tensor(l, l->entry[i].name);
    if (index < 0)
        return;
    const reini_st_tensor *t = reini_shards_at(l->shards, index);
    fill_entry(l, &l->entry[i], t);
    reini_pages_done(t->data, t->bytes); /* two copies of a model are never held at a time */
}

/* First touches of so much memory take most of the time from a program's start to the first token: workers share them. */
static void fill_straight(void *user, int task, int worker) {
    loading *l = user;
    (void)worker;
    if (is_straight(l, task))
        fill(l, task);
}

/* floats of the largest tensor, twice when one is turned over; none when all go straight to their places */
static rein_status make_scratch(loading *l) {
    int64_t most = 0;
    for (int i = 0; i < l->entries; i++) {
        const reini_lm_entry *e = &l->entry[i];
        int64_t n = e->shape[0] * (e->ndim == 2 ? e->shape[1] : 1);
        n = is_straight(l, i) ? 0 : e->transposed ? 2 * n : n;
        most = n > most ? n : most;
    }
    l->scratch = REINI_NEW_ARRAY(float, (size_t)most);
    return l->scratch ? REIN_OK : reini_fail_memory((size_t)most * sizeof(float), l->folder);
}

/* all tensors there, of the right shapes, and none beside them */
static rein_status check_all(loading *l) {
    for (int i = 0; i < l->entries; i++) {
        int index = find_tensor(l, l->entry[i].name);
        if (index < 0 && l->made_score && l->entry[i].part[0] == REINI_LM_SCORE)
            continue;
        if (index < 0)
            return fail_missing(l, &l->entry[i]);
        REINI_TRY(check_tensor(l, &l->entry[i], reini_shards_at(l->shards, index)));
        l->used[index] = true;
    }
    for (int i = 0; i < reini_shards_count(l->shards); i++)
        if (!l->used[i])
            REINI_TRY(check_unused(l, reini_shards_at(l->shards, i)));
    return REIN_OK;
}

static rein_status fill_all(loading *l) {
    size_t tensors = (size_t)reini_shards_count(l->shards);
    REINI_TRY(reini_lm_entries(&l->w->shape, &l->entry, &l->entries));
    l->used = REINI_NEW_ARRAY(bool, tensors);
    if (!l->used)
        return reini_fail_memory(tensors, l->folder);
    l->made_score = l->w->shape.labels > 0 && find_tensor(l, "score.weight") < 0;
    REINI_TRY(check_all(l));
    REINI_TRY(make_scratch(l));
    rein_pool_run(l->pool, l->entries, fill_straight, l);
    for (int i = 0; i < l->entries; i++)
        if (!is_straight(l, i))
            fill(l, i);
    reini_lm_weights_refresh(l->w, l->pool);
    return REIN_OK;
}

/* ---- the folder ---------------------------------------------------------------------------------------- */

/* labels as the caller wants them; see lm_weights.h */
static rein_status settle_labels(reini_lm_shape *shape, const char *folder, int labels) {
    if (labels < 0 || labels == shape->labels)
        return REIN_OK;
    if (labels == 0)
        return reini_fail(REIN_MISMATCH,
                          "\"%s\" holds a sequence classifier (%d labels), and a language model is "
                          "wanted",
                          folder, shape->labels);
    if (shape->labels > 0)
        return reini_fail(REIN_MISMATCH,
                          "\"%s\" holds a classifier whose \"score.weight\" is [%d x %d], and [%d x "
                          "%d] is wanted",
                          folder, shape->labels, shape->hidden, labels, shape->hidden);
    shape->labels = labels;
    return REIN_OK;
}

static rein_status explain_missing(const char *folder, rein_status status) {
    static const char *const pickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
    char path[4096];
    for (int i = 0; i < 2; i++)
        if (status == REIN_IO && reini_path_join(path, sizeof path, folder, pickles[i]) == REIN_OK &&
            reini_file_exists(path))
            return reini_fail(REIN_UNSUPPORTED,
                              "\"%s\" holds its weights in %s, a Python program of its own, which "
                              "is not read: save the model again with safetensors",
                              folder, pickles[i]);
    return status;
}

static rein_status load(loading *l, rein_dtype products, bool frozen, int labels) {
    char path[4096];
    reini_lm_shape shape;
    if (!reini_dir_exists(l->folder))
        return reini_fail(REIN_IO,
                          "\"%s\" is not a folder: expected one with config.json and model.safetensors",
                          l->folder);
    REINI_TRY(reini_path_join(path, sizeof path, l->folder, "config.json"));
    REINI_TRY(reini_lm_shape_load(path, &shape));
    REINI_TRY(settle_labels(&shape, l->folder, labels));
    rein_status status = reini_shards_open(l->folder, "model", &l->shards);
    if (status != REIN_OK)
        return explain_missing(l->folder, status);
    REINI_TRY(reini_lm_weights_new(&shape, products, frozen, &l->w));
    return fill_all(l);
}

rein_status reini_lm_weights_load(const char *folder, rein_dtype products, bool frozen, int labels,
                                  reini_lm_weights **out, bool *made_score) {
    return reini_lm_weights_load_by(NULL, folder, products, frozen, labels, out, made_score);
}

rein_status reini_lm_weights_load_by(rein_pool *pool, const char *folder, rein_dtype products, bool frozen,
                                     int labels, reini_lm_weights **out, bool *made_score) {
    loading l = {.folder = folder, .pool = pool};
    rein_status status = load(&l, products, frozen, labels);
    reini_shards_close(l.shards);
    reini_free(l.entry);
    reini_free(l.used);
    reini_free(l.scratch);
    if (status != REIN_OK) {
        reini_lm_weights_free(l.w);
        l.w = NULL;
    }
    if (made_score)
        *made_score = l.made_score && status == REIN_OK;
    *out = l.w;
    return status;
}
