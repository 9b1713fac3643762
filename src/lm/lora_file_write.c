/*
 * lora_file_write.c - writing adapters as PEFT's files.
 *
 * PEFT knows GPT-2's q, k and v as one layer, c_attn, with one A and one B. When the three A are equal to the bit, they
 * are that A. Otherwise the three adapters of rank r go side by side into one of rank 3r: A one above the other, B on
 * the diagonal, and the scale kept by an alpha of its own. Both compute what we compute.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/safetensors.h"
#include "lm/lora_file.h"

typedef struct writing {
    const reini_lora *lora;
    const reini_lm_weights *base;
    bool side_by_side; /* c_attn has rank 3r */
    reini_st_tensor *tensor;
    char (*name)[REINI_LORA_NAME];
    int n;
    float *joined; /* all of c_attn's A and B that are put together */
    int64_t used;
} writing;

static const float *a_of(const writing *w, reini_lm_part part, int layer) {
    return reini_lora_a(w->lora, w->lora->store, part, layer);
}

static rein_param_info info_of(const writing *w, reini_lm_part part, int layer, int which) {
    return rein_layout_at(w->lora->layout, reini_lora_param(w->lora, part, layer, which));
}

static bool has(const writing *w, const reini_lora_module *module, int layer) {
    return reini_lora_param(w->lora, module->part[0], layer, 0) >= 0;
}

/* do the parts of a joined layer differ in A, somewhere? */
static bool a_differ(const writing *w, const reini_lora_module *module) {
    for (int layer = 0; layer < w->base->shape.layers; layer++)
        for (int i = 1; i < module->n_parts && has(w, module, layer); i++) {
            size_t bytes = (size_t)info_of(w, module->part[0], layer, 0).count * sizeof(float);
            if (memcmp(a_of(w, module->part[0], layer), a_of(w, module->part[i], layer), bytes) != 0)
                return true;
        }
    return false;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static void add_tensor(writing *w, const reini_lora_module *module, int layer, char which, const float *data,
                       int64_t rows, int64_t columns) {
    reini_lora_tensor_name(&w->base->shape, module, layer, which, w->name[w->n]);
    w->tensor[w->n] = (reini_st_tensor){.name = w->name[w->n],
                                        .dtype = "F32",
                                        .ndim = 2,
                                        .shape = {rows, columns},
                                        .data = data,
                                        .bytes = (size_t)(rows * columns) * sizeof *data};
    w->n++;
}

static void add_plain(writing *w, const reini_lora_module *module, int layer) {
    for (int which = 0; which < 2; which++) {
        rein_param_info info = info_of(w, module->part[0], layer, which);
        add_tensor(w, module, layer, (char)('A' + which),
                   (const float *)rein_store_view(w->lora->store) + info.offset, info.dims[0], info.dims[1]);
    }
}

/* room in `joined`, which is zero */
static float *take(writing *w, int64_t n) {
    float *at = w->joined + w->used;
    w->used += n;
    return at;
}

static void add_joined(writing *w, const reini_lora_module *module, int layer) {
    int64_t rank = w->lora->opts.rank, blocks = w->side_by_side ? module->n_parts : 1, width = blocks * rank;
    int64_t in = info_of(w, module->part[0], layer, 0).dims[1], out = 0, first = 0;
    for (int i = 0; i < module->n_parts; i++)
        out += info_of(w, module->part[i], layer, 1).dims[0];
    float *a = take(w, width * in), *b = take(w, out * width);
    for (int i = 0; i < blocks; i++)
        memcpy(a + i * rank * in, a_of(w, module->part[i], layer), (size_t)(rank * in) * sizeof *a);
    for (int i = 0; i < module->n_parts; i++) {
        const float *from = reini_lora_b(w->lora, w->lora->store, module->part[i], layer);
        int64_t rows = info_of(w, module->part[i], layer, 1).dims[0];
        for (int64_t row = 0; row < rows; row++)
            memcpy(b + (first + row) * width + (w->side_by_side ? i * rank : 0), from + row * rank,
                   (size_t)rank * sizeof *b);
        first += rows;
    }
    add_tensor(w, module, layer, 'A', a, width, in);
    add_tensor(w, module, layer, 'B', b, out, width);
}

/* the score head goes along with a classifier's adapter */
static void add_score(writing *w) {
    const reini_lm_shape *s = &w->base->shape;
    if (s->labels == 0)
        return;
    rein_param_info info = rein_layout_at(w->base->layout, reini_lm_param(w->base, REINI_LM_SCORE, -1));
    const float *data = w->base->store ? (const float *)rein_store_view(w->base->store) + info.offset
                                       : reini_lora_head(w->lora, w->lora->store);
    snprintf(w->name[w->n], REINI_LORA_NAME, "base_model.model.score.weight");
    w->tensor[w->n] = (reini_st_tensor){w->name[w->n],          "F32", 2,
                                        {s->labels, s->hidden}, data,  (size_t)info.count * sizeof *data};
    w->n++;
}

static rein_status write_tensors(writing *w, const char *folder) {
    static const char *const key[] = {"format"}, *const value[] = {"pt"};
    char path[4096];
    int modules;
    const reini_lora_module *module = reini_lora_modules(&w->base->shape, &modules);
    for (int layer = 0; layer < w->base->shape.layers; layer++)
        for (int i = 0; i < modules; i++) {
            if (!has(w, &module[i], layer))
                continue;
            if (module[i].n_parts > 1)
                add_joined(w, &module[i], layer);
            else
                add_plain(w, &module[i], layer);
        }
    add_score(w);
    REINI_TRY(reini_path_join(path, sizeof path, folder, "adapter_model.safetensors"));
    return reini_safetensors_write(path, w->tensor, w->n, key, value, 1);
}

/* room for all tensors: names, entries, and numbers of those that are put together */
static rein_status make_room(writing *w) {
    int modules;
    int64_t joined = 0;
    const reini_lora_module *module = reini_lora_modules(&w->base->shape, &modules);
    for (int i = 0; i < modules; i++)
        w->side_by_side |= a_differ(w, &module[i]);
    for (int layer = 0; layer < w->base->shape.layers; layer++)
        for (int i = 0; i < modules; i++)
            for (int k = 0; module[i].n_parts > 1 && has(w, &module[i], layer) && k < module[i].n_parts; k++)
                joined += info_of(w, module[i].part[k], layer, 0).count +
                          info_of(w, module[i].part[k], layer, 1).count * module[i].n_parts;
    size_t most = 2 * (size_t)modules * (size_t)w->base->shape.layers + 1;
    w->tensor = REINI_NEW_ARRAY(reini_st_tensor, most);
    w->name = reini_new_array(most, REINI_LORA_NAME);
    w->joined = REINI_NEW_ARRAY(float, (size_t)joined);
    return w->tensor && w->name && w->joined
               ? REIN_OK
               : reini_fail_memory(most * sizeof *w->tensor + (size_t)joined * sizeof(float),
                                   "an adapter's tensors");
}

/* ---- adapter_config.json ------------------------------------------------------------------------------- */

/* whole numbers as such */
static json_t *number(double value) {
    return value == floor(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value) : json_real(value);
}

/* does every target have an adapter in the same layers? */
static bool is_regular(const writing *w, const reini_lora_module *module, int modules) {
    for (int layer = 0; layer < w->base->shape.layers; layer++) {
        bool any = false, all = true;
        for (int i = 0; i < modules; i++)
            if (w->lora->opts.targets >> module[i].part[0] & 1) {
                any |= has(w, &module[i], layer);
                all &= has(w, &module[i], layer);
            }
        if (any != all)
            return false;
    }
    return true;
}

static bool in_layer(const writing *w, int layer) {
    int modules;
    const reini_lora_module *module = reini_lora_modules(&w->base->shape, &modules);
    for (int i = 0; i < modules; i++)
        if (has(w, &module[i], layer))
            return true;
    return false;
}

/* names of the layers with adapters: as PEFT's users write them when every target has one in the same layers, else the
 * full path of each */
static json_t *targets_of(const writing *w, bool regular) {
    int modules;
    const reini_lora_module *module = reini_lora_modules(&w->base->shape, &modules);
    bool gpt2 = w->base->shape.family == REINI_GPT2, failed = false;
    json_t *list = json_array();
    for (int i = 0; i < modules; i++)
        for (int layer = 0; layer < (regular ? 1 : w->base->shape.layers); layer++) {
            char name[REINI_LORA_NAME];
            if (regular ? !(w->lora->opts.targets >> module[i].part[0] & 1) : !has(w, &module[i], layer))
                continue;
            if (regular) /* GPT-2's two c_proj need the longer name to be told apart */
                snprintf(name, sizeof name, "%s", gpt2 ? module[i].path : reini_lora_short_name(&module[i]));
            else
                snprintf(name, sizeof name, "%s.%d.%s", gpt2 ? "transformer.h" : "model.layers", layer,
                         module[i].path);
            failed |= json_array_append_new(list, json_string(name)) != 0;
        }
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

/* null when all layers have adapters */
static json_t *layers_of(const writing *w, bool regular) {
    json_t *list = json_array();
    for (int layer = 0; layer < w->base->shape.layers; layer++)
        if (in_layer(w, layer))
            json_array_append_new(list, json_integer(layer));
    if (regular && json_array_size(list) < (size_t)w->base->shape.layers)
        return list;
    json_decref(list);
    return json_null();
}

static json_t *config_of(const writing *w, const char *base_name) {
    int modules;
    const reini_lora_opts *o = &w->lora->opts;
    const reini_lora_module *module = reini_lora_modules(&w->base->shape, &modules);
    bool regular = is_regular(w, module, modules), score = w->base->shape.labels > 0;
    json_t *ranks = w->side_by_side ? json_pack("{s:i}", "c_attn", 3 * o->rank) : json_object();
    json_t *alphas = w->side_by_side
                         ? json_pack("{s:o}", "c_attn", number(o->alpha * (o->rslora ? sqrt(3) : 3)))
                         : json_object();
    return json_pack("{s:s, s:s?, s:s, s:b, s:b, s:b, s:i, s:o, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:n}",
                     "peft_type", "LORA", "base_model_name_or_path", base_name, "task_type",
                     score ? "SEQ_CLS" : "CAUSAL_LM", "inference_mode", 1, "fan_in_fan_out",
                     w->base->shape.family == REINI_GPT2, "init_lora_weights", 1, "r", o->rank, "lora_alpha",
                     number(o->alpha), "lora_dropout", number(o->dropout), "bias", "none", "use_rslora",
                     o->rslora, "target_modules", targets_of(w, regular), "layers_to_transform",
                     layers_of(w, regular), "rank_pattern", ranks, "alpha_pattern", alphas, "modules_to_save",
                     score ? json_pack("[s]", "score") : json_null(), "layers_pattern");
}

static rein_status write_config(const writing *w, const char *base_name, const char *folder) {
    char path[4096];
    REINI_TRY(reini_path_join(path, sizeof path, folder, "adapter_config.json"));
    json_t *config = config_of(w, base_name);
    rein_status status = config ? reini_json_write(path, config)
                                : reini_fail(REIN_NOMEM, "out of memory while writing \"%s\"", path);
    json_decref(config);
    return status;
}

rein_status reini_lora_save(const reini_lora *lora, const reini_lm_weights *base, const char *base_name,
                            const char *folder) {
    writing w = {.lora = lora, .base = base};
    rein_status status = reini_dir_make(folder);
    if (status == REIN_OK)
        status = make_room(&w);
    if (status == REIN_OK)
        status = write_tensors(&w, folder);
    if (status == REIN_OK)
        status = write_config(&w, base_name, folder);
    reini_free(w.tensor);
    reini_free(w.name);
    reini_free(w.joined);
    return status;
}
