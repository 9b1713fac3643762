/*
 * checkpoint.c - saving and loading a run through one list of what its future depends on.
 */
#include <string.h>
#include "base/archive.h"
#include "base/file.h"
#include "run/checkpoint.h"

#define KIND "rein training run"

static rein_status checkpoint_path(const reini_run *run, char path[REINI_PATH_MAX]) {
    return reini_path_join(path, REINI_PATH_MAX, run->dir, "checkpoint.rein");
}

static rein_status visit(reini_run *run, reini_archive *ar) {
    REINI_TRY(reini_archive_bytes(ar, "run.counters", &run->count, sizeof run->count));
    return run->setup->algo->visit(run->state, ar);
}

/* ---- saving ------------------------------------------------------------------------------------------ */

/* {"kind": ..., "config": the run's config.json} */
static json_t *make_header(const reini_setup *setup) {
    json_t *config = reini_setup_to_json(setup);
    return config ? json_pack("{s:s, s:o}", "kind", KIND, "config", config) : NULL;
}

rein_status reini_checkpoint_save(reini_run *run) {
    char path[REINI_PATH_MAX];
    reini_archive *ar;
    REINI_TRY(checkpoint_path(run, path));
    json_t *header = make_header(run->setup);
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

/* ---- loading ----------------------------------------------------------------------------------------- */

static const char *head(const json_t *config, const char *key) {
    const char *text = json_string_value(json_object_get(config, key));
    return text ? text : "nothing";
}

static rein_status check_same(const json_t *config, const char *key, const char *expected, const char *path) {
    const char *found = head(config, key);
    if (strcmp(found, expected) == 0)
        return REIN_OK;
    return reini_fail(REIN_MISMATCH,
                      "%s: the checkpoint's %s is %s, expected %s; it belongs to another run, put "
                      "back its own or delete it to start this run again from step 0",
                      path, key, found, expected);
}

static rein_status check_version(const json_t *config, const char *path) {
    const char *found = head(config, "version");
    if (strcmp(found, rein_version()) == 0)
        return REIN_OK;
    return reini_fail(REIN_MISMATCH,
                      "%s: written by Rein %s, this is %s; continue the run with the version that "
                      "began it, or start a new one",
                      path, found, rein_version());
}

/* config.json may have been edited: values that decide what a run computes must be those of the state */
static rein_status check_settings(const reini_setup *setup, const json_t *config, const char *path,
                                  rein_run_config *then) {
    reini_setup saved;
    bool changed;
    rein_status status = reini_setup_from_json(&saved, setup->algo, config, path);
    if (status == REIN_OK) {
        status = reini_setup_compare(&saved, setup, &changed);
        if (status != REIN_OK)
            status = reini_fail_in(REIN_MISMATCH, "%s: ", path);
    }
    *then = saved.run;
    reini_setup_release(&saved);
    return status;
}

static void warn_of_other_bits(const json_t *config, const char *path) {
    const char *cpu = head(config, "cpu"), *build = head(config, "build");
    if (strcmp(cpu, rein_cpu_level()) != 0)
        reini_log(REIN_LOG_WARNING,
                  "%s: written on instruction-set level %s, this is %s: results may differ in "
                  "their last bits from an uninterrupted run (REIN_CPU=%s would keep the level)",
                  path, cpu, rein_cpu_level(), cpu);
    else if (strcmp(build, rein_build_info()) != 0)
        reini_log(REIN_LOG_WARNING,
                  "%s: written by another build (%s): results may differ in their last bits from "
                  "an uninterrupted run",
                  path, build);
}

/* *then: the run's settings when the checkpoint was written */
static rein_status check_header(const reini_run *run, const json_t *header, const char *path,
                                rein_run_config *then) {
    const json_t *config = json_object_get(header, "config");
    if (strcmp(head(header, "kind"), KIND) != 0)
        return reini_fail(REIN_FORMAT, "%s: not the checkpoint of a training run", path);
    REINI_TRY(check_version(config, path));
    REINI_TRY(check_same(config, "algo", run->setup->algo->name, path));
    REINI_TRY(check_same(config, "env", run->setup->env->id, path));
    REINI_TRY(check_settings(run->setup, config, path, then));
    warn_of_other_bits(config, path);
    return REIN_OK;
}

/* a longer run or another stop_at than when the checkpoint was written */
static void extend(reini_run *run, const rein_run_config *then) {
    const rein_run_config *wanted = &run->setup->run;
    if (wanted->steps == then->steps && wanted->stop_at == then->stop_at)
        return;
    run->count.reached = 0;
    if (wanted->steps != then->steps && run->setup->algo->extend)
        run->setup->algo->extend(run->state, wanted->steps);
}

static rein_status load(reini_run *run, const char *path) {
    reini_archive *ar;
    const json_t *header;
    rein_run_config then = run->setup->run;
    rein_status status = reini_archive_open(path, &ar, &header);
    if (status == REIN_FORMAT)
        return reini_fail(status,
                          "%s; put back a copy, or delete the file to start this run again from step 0",
                          rein_error());
    REINI_TRY(status);
    status = check_header(run, header, path, &then);
    if (status == REIN_OK)
        status = visit(run, ar);
    if (status == REIN_OK)
        status = reini_archive_finish(ar);
    else
        reini_archive_cancel(ar);
    if (status == REIN_OK)
        extend(run, &then);
    return status;
}

rein_status reini_checkpoint_load(reini_run *run, bool *found) {
    char path[REINI_PATH_MAX];
    REINI_TRY(checkpoint_path(run, path));
    *found = reini_file_exists(path);
    return *found ? load(run, path) : REIN_OK;
}
