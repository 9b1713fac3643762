/*
 * merge_adapter.c - rein_merge: a model folder and an adapter become one model folder.
 *
 * W + s B A in float, whatever the base is kept in, and one rounding when it is written. The result is read back by
 * rein_text_model or Transformers like any other folder. A reward model's adapter brings its score head with it.
 */
#include <string.h>
#include <unistd.h>
#include <rein/generate.h>
#include "base/file.h"
#include "lm/lora.h"

/* The text at a key of a JSON file; "" when there is none. */
static rein_status text_at(const char *folder, const char *file, const char *key, const char *other,
                           char out[32]) {
    char path[1024];
    json_t *json;
    REINI_TRY(reini_path_join(path, sizeof path, folder, file));
    REINI_TRY(reini_json_read(path, &json));
    const char *text = json_string_value(json_object_get(json, key));
    if (!text && other)
        text = json_string_value(json_object_get(json, other));
    snprintf(out, 32, "%s", text ? text : "");
    json_decref(json);
    return REIN_OK;
}

/* as asked, else as the base is kept */
static rein_status choose_dtype(const rein_merge_opts *opts, rein_dtype *dtype) {
    char kept[32];
    const char *text = opts->dtype;
    if (text && strcmp(text, "f32") != 0 && strcmp(text, "bf16") != 0)
        return reini_fail(REIN_USAGE, "dtype is \"%s\", expected f32 or bf16", text);
    if (!text) {
        REINI_TRY(text_at(opts->model, "config.json", "dtype", "torch_dtype", kept));
        text = strcmp(kept, "bfloat16") == 0 ? "bf16" : "f32";
    }
    *dtype = strcmp(text, "bf16") == 0 ? REIN_BF16 : REIN_F32;
    return REIN_OK;
}

/* An adapter for sequence classification stands on a base that may have no score head yet. */
static rein_status choose_labels(const rein_merge_opts *opts, int *labels) {
    char path[1024], task[32];
    reini_lm_shape shape;
    REINI_TRY(reini_path_join(path, sizeof path, opts->model, "config.json"));
    REINI_TRY(reini_lm_shape_load(path, &shape));
    REINI_TRY(text_at(opts->adapter, "adapter_config.json", "task_type", NULL, task));
    *labels = shape.labels > 0 ? -1 : strcmp(task, "SEQ_CLS") == 0 ? 1 : 0;
    return REIN_OK;
}

static rein_status check_out(const char *out) {
    char path[1024];
    REINI_TRY(reini_path_join(path, sizeof path, out, "config.json"));
    if (access(path, F_OK) == 0)
        return reini_fail(REIN_USAGE, "there is a model in \"%s\": choose another --out", out);
    return reini_dir_make(out);
}

rein_status rein_merge(const rein_merge_opts *opts, int64_t *parameters) {
    reini_lm_weights *weights = NULL;
    reini_lora *lora = NULL;
    rein_dtype dtype = REIN_F32;
    int labels = 0;
    if (!opts->model || !opts->adapter || !opts->out)
        return reini_fail(REIN_USAGE, "merging takes a model's folder, an adapter's, and one for the result");
    REINI_TRY(choose_dtype(opts, &dtype));
    REINI_TRY(choose_labels(opts, &labels));
    rein_status status = reini_lm_weights_load(opts->model, REIN_F32, true, labels, &weights, NULL);
    if (status == REIN_OK)
        status = reini_lora_load(weights, opts->adapter, &lora);
    if (status == REIN_OK)
        status = reini_lora_merge(lora, weights);
    if (status == REIN_OK)
        status = check_out(opts->out);
    if (status == REIN_OK)
        status = reini_lm_weights_save(weights, opts->out, dtype, 0, opts->model);
    if (status == REIN_OK && parameters)
        *parameters = reini_lm_weights_count(weights);
    reini_lora_free(lora);
    reini_lm_weights_free(weights);
    return status;
}
