/*
 * lm_save.c - a trained model as a folder, checked by reading it back.
 *
 * The folder is written under another name, loaded from there, and its logits are compared with those of the model in
 * memory; only then it takes the place of an older one. What was saved can be used, or the run says that it cannot.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "algo/language/lm_learner.h"
#include "algo/language/lm_source.h"
#include "base/file.h"

enum { PATH = 1200, PROBE_ROWS = 4 };

/* ---- replacing a folder ---------------------------------------------------------------------------------- */

static rein_status remove_folder(const char *folder) {
    char path[PATH + 300];
    DIR *entries = opendir(folder);
    if (!entries)
        return REIN_OK;
    for (const struct dirent *e; (e = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlink(path);
    }
    closedir(entries);
    if (rmdir(folder) != 0)
        return reini_fail(REIN_IO, "cannot remove \"%s\": %s", folder, strerror(errno));
    return REIN_OK;
}

/* old models stay under another name until the new one is there */
static rein_status take_place(const char *made, const char *folder) {
    char old[PATH];
    snprintf(old, sizeof old, "%s.old", folder);
    REINI_TRY(remove_folder(old));
    if (reini_dir_exists(folder) && rename(folder, old) != 0)
        return reini_fail(REIN_IO, "cannot rename \"%s\": %s", folder, strerror(errno));
    if (rename(made, folder) != 0)
        return reini_fail(REIN_IO, "cannot rename \"%s\": %s", made, strerror(errno));
    return remove_folder(old);
}

/* ---- reading it back ------------------------------------------------------------------------------------- */

/* how far logits may be apart, as a share of the largest: rounding of the saved numbers, carried through the layers */
static double tolerance(const reini_lm_settings *s, rein_dtype saved) {
    return saved == REIN_F32 && s->dtype == 0 ? 1e-6 : 0.1;
}

static void logits_of(reini_lm_learner *l, const reini_packed *probe, const int32_t *row, int n, float *out) {
    reini_lm_learner_forward(l, probe, 0);
    if (l->weights->shape.labels > 0)
        reini_lm_values(l->lm, n, row, out);
    else
        reini_lm_logits(l->lm, n, row, out);
}

static rein_status compare(const float *was, const float *is, int64_t n, double share, const char *folder) {
    double largest = 0, apart = 0;
    for (int64_t i = 0; i < n; i++) {
        double difference = fabs((double)was[i] - (double)is[i]);
        largest = fmax(largest, fabs((double)was[i]));
        apart = difference <= apart ? apart : difference; /* a NaN is taken over */
    }
    if (apart <= share * largest || (apart == 0 && largest == 0))
        return REIN_OK;
    return reini_fail(
        REIN_INTERNAL,
        "the model saved in \"%s\" gives logits up to %.3g from those of the model that was saved "
        "(the largest is %.3g): do not use it; the checkpoint of the run is intact",
        folder, apart, largest);
}

static rein_status check_saved(reini_lm_learner *l, const reini_lm_settings *s, const char *folder,
                               const reini_packed *probe, rein_dtype saved) {
    const reini_lm_shape *shape = &l->weights->shape;
    int n = probe->tokens < PROBE_ROWS ? probe->tokens : PROBE_ROWS;
    int width = shape->labels > 0 ? shape->labels : shape->vocabulary;
    int32_t row[PROBE_ROWS];
    float *logits = REINI_NEW_ARRAY(float, (size_t)(2 * n * width));
    reini_lm_weights *weights = NULL;
    reini_lora *lora = NULL;
    if (!logits)
        return reini_fail_memory((size_t)(2 * n * width) * sizeof(float), "comparing a saved model");
    for (int i = 0; i < n; i++)
        row[i] = (int32_t)((int64_t)(i + 1) * probe->tokens / n) - 1;
    logits_of(l, probe, row, n, logits);
    rein_status status =
        l->lora ? reini_lora_load(l->weights, folder, &lora)
                : reini_lm_weights_load(folder, l->weights->products, true, shape->labels, &weights, NULL);
    if (status == REIN_OK) {
        reini_lm_bind(l->lm, weights ? weights : l->weights, lora);
        logits_of(l, probe, row, n, logits + (int64_t)n * width);
        reini_lm_bind(l->lm, l->weights, l->lora);
        status =
            compare(logits, logits + (int64_t)n * width, (int64_t)n * width, tolerance(s, saved), folder);
    }
    reini_lora_free(lora);
    reini_lm_weights_free(weights);
    reini_free(logits);
    return status;
}

/* ---- saving ---------------------------------------------------------------------------------------------- */

static rein_status write_folder(const reini_lm_learner *l, const reini_lm_settings *s, const char *folder,
                                rein_dtype saved) {
    const char *tokenizer = reini_lm_source_tokenizer(s);
    if (!l->lora)
        return reini_lm_weights_save(l->weights, folder, saved, 0, tokenizer);
    REINI_TRY(reini_lora_save(l->lora, l->weights, reini_lm_given(s->model) ? s->model : s->init, folder));
    return tokenizer ? reini_lm_copy_tokenizer(tokenizer, folder) : REIN_OK;
}

/* an adapter is small; whole weights are there twice while they are compared, as products read them */
int64_t reini_lm_learner_save_bytes(const reini_lm_learner *l) {
    int64_t each = l->weights->products == REIN_BF16 ? 2 : 4;
    return l->lora ? 4 * rein_store_size(l->lora->store) : each * rein_store_size(l->weights->store);
}

rein_status reini_lm_learner_save(reini_lm_learner *l, const reini_lm_settings *s, const char *folder,
                                  const reini_packed *probe) {
    static const rein_dtype dtypes[] = {REIN_F32, REIN_BF16};
    rein_dtype saved = dtypes[s->save_dtype > 0 ? s->save_dtype - 1 : s->dtype];
    char made[PATH];
    if (snprintf(made, sizeof made, "%s.new", folder) >= PATH - 8)
        return reini_fail(REIN_USAGE, "the name of the folder \"%.200s...\" is too long", folder);
    REINI_TRY(remove_folder(made));
    REINI_TRY(reini_dir_make(made));
    REINI_TRY(write_folder(l, s, made, saved));
    REINI_TRY(check_saved(l, s, made, probe, saved));
    return take_place(made, folder);
}
