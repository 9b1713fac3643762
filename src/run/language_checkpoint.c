/*
 * language_checkpoint.c - the whole state of a run on a language model as checkpoint.rein.
 */
#include <string.h>
#include "base/archive.h"
#include "base/file.h"
#include "run/language_loop.h"

#define KIND "rein language run"

static rein_status visit(reini_language_run *run, reini_archive *ar) {
    REINI_TRY(reini_archive_bytes(ar, "run.counters", &run->count, sizeof run->count));
    return run->setup->method->visit(run->state, ar);
}

static rein_status checkpoint_path(const reini_language_run *run, char path[REINI_PATH_MAX]) {
    return reini_path_join(path, REINI_PATH_MAX, run->dir, "checkpoint.rein");
}

rein_status reini_language_checkpoint_save(reini_language_run *run) {
    char path[REINI_PATH_MAX];
    reini_archive *ar;
    REINI_TRY(checkpoint_path(run, path));
    json_t *config = reini_language_to_json(run->setup);
    json_t *header = config ? json_pack("{s:s, s:o}", "kind", KIND, "config", config) : NULL;
    if (!header)
        return reini_fail_memory(1 << 14, path);
    rein_status status = reini_archive_create(path, header, &ar);
    if (status == REIN_OK) {
        status = visit(run, ar);
        if (status == REIN_OK)
            status = reini_archive_finish(ar);
        else
            reini_archive_cancel(ar);
    }
    json_decref(header);
    return status;
}

/* ---- loading --------------------------------------------------------------------------------------------- */

static const char *head(const json_t *config, const char *key) {
    const char *text = json_string_value(json_object_get(config, key));
    return text ? text : "nothing";
}

/* config.json may have been edited: values that decide what a run computes must be those of the state */
static rein_status check_header(const reini_language_run *run, const json_t *header, const char *path) {
    const json_t *config = json_object_get(header, "config");
    if (strcmp(head(header, "kind"), KIND) != 0)
        return reini_fail(REIN_FORMAT, "%s: not the checkpoint of a run on a language model", path);
    if (strcmp(head(config, "version"), rein_version()) != 0)
        return reini_fail(
            REIN_MISMATCH,
            "%s: written by Rein %s, this is %s; continue the run with the version that began it, "
            "or start a new one",
            path, head(config, "version"), rein_version());
    if (strcmp(head(config, "algo"), run->setup->algo->name) != 0)
        return reini_fail(REIN_MISMATCH,
                          "%s: the checkpoint's algo is %s, expected %s; it belongs to another run", path,
                          head(config, "algo"), run->setup->algo->name);
    reini_language_setup saved;
    rein_status status = reini_language_from_json(&saved, config, path);
    if (status == REIN_OK) {
        status = reini_language_compare(&saved, run->setup);
        if (status != REIN_OK)
            status = reini_fail_in(REIN_MISMATCH, "%s: ", path);
    }
    reini_language_setup_release(&saved);
    if (status == REIN_OK && strcmp(head(config, "cpu"), rein_cpu_level()) != 0)
        reini_log(
            REIN_LOG_WARNING,
            "%s: written on instruction-set level %s, this is %s: results may differ in their last bits "
            "from an uninterrupted run",
            path, head(config, "cpu"), rein_cpu_level());
    return status;
}

rein_status reini_language_checkpoint_load(reini_language_run *run, bool *found) {
    char path[REINI_PATH_MAX];
    reini_archive *ar;
    const json_t *header;
    REINI_TRY(checkpoint_path(run, path));
    *found = reini_file_exists(path);
    if (!*found)
        return REIN_OK;
    rein_status status = reini_archive_open(path, &ar, &header);
    if (status == REIN_FORMAT)
        return reini_fail(status,
                          "%s; put back a copy, or delete the file to start this run again from step 0",
                          rein_error());
    REINI_TRY(status);
    status = check_header(run, header, path);
    if (status == REIN_OK)
        status = visit(run, ar);
    if (status == REIN_OK)
        return reini_archive_finish(ar);
    reini_archive_cancel(ar);
    return status;
}
