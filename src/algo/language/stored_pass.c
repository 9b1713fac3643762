/*
 * stored_pass.c - names, reading and writing of results that are kept.
 */
#include "algo/language/stored_pass.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "lm/lm_parts.h"

#define KIND "rein stored pass"

static void add_store(reini_sha256 *sha, const rein_store *store) {
    if (store)
        reini_sha256_add(sha, rein_store_view(store), (size_t)rein_store_size(store) * sizeof(float));
}

/* frozen in bf16: matrices and, apart from them, norms and biases */
static void add_frozen(reini_sha256 *sha, const reini_lm_weights *w) {
    reini_sha256_add(sha, w->narrow, (size_t)reini_lm_matrix_end(w) * sizeof *w->narrow);
    for (int i = 0; w->vectors && i < rein_layout_count(w->layout); i++)
        if (w->vector_offset[i] >= 0)
            reini_sha256_add(sha, w->vectors + w->vector_offset[i],
                             (size_t)rein_layout_at(w->layout, i).count * sizeof *w->vectors);
}

rein_status reini_stored_path(char out[REINI_STORED_PATH], const char *dir, const char *kind,
                              const reini_lm_learner *l, const void *more, size_t n_more) {
    uint8_t digest[32];
    char hex[65], name[128];
    reini_sha256 *sha = reini_sha256_new();
    if (!sha)
        return reini_fail_memory(256, "a digest");
    add_store(sha, l->weights->store);
    if (!l->weights->store)
        add_frozen(sha, l->weights);
    add_store(sha, l->lora ? l->lora->store : NULL);
    reini_sha256_add(sha, &l->weights->products, sizeof l->weights->products);
    reini_sha256_add(sha, more, n_more);
    reini_sha256_finish(sha, digest);
    reini_hex(hex, digest, 32);
    snprintf(name, sizeof name, "%s-%.16s.rein", kind, hex);
    return reini_path_join(out, REINI_STORED_PATH, dir, name);
}

/* reads or writes the arrays and closes the archive */
static rein_status pass(reini_archive *ar, double *at[], const int64_t n[], int arrays) {
    char name[32];
    for (int i = 0; i < arrays; i++) {
        snprintf(name, sizeof name, "array.%d", i);
        rein_status status = reini_archive_bytes(ar, name, at[i], (size_t)n[i] * sizeof **at);
        if (status != REIN_OK) {
            reini_archive_cancel(ar);
            return status;
        }
    }
    return reini_archive_finish(ar);
}

rein_status reini_stored_load(const char *path, double *at[], const int64_t n[], int arrays, bool *found) {
    reini_archive *ar;
    const json_t *header;
    *found = reini_file_exists(path);
    if (!*found)
        return REIN_OK;
    rein_status status = reini_archive_open(path, &ar, &header);
    if (status == REIN_OK)
        status = pass(ar, at, n, arrays);
    *found = status == REIN_OK;
    if (status == REIN_OK || status == REIN_NOMEM)
        return status;
    reini_log(REIN_LOG_WARNING, "%s; what it held is computed again", rein_error());
    return REIN_OK;
}

rein_status reini_stored_save(const char *path, double *at[], const int64_t n[], int arrays) {
    reini_archive *ar;
    json_t *header = json_pack("{s:s}", "kind", KIND);
    if (!header)
        return reini_fail_memory(256, path);
    rein_status status = reini_archive_create(path, header, &ar);
    if (status == REIN_OK)
        status = pass(ar, at, n, arrays);
    json_decref(header);
    return status;
}
