/*
 * run_dir.c - where a run lives on disk.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "run/run_dir.h"

/* ---- what is there ----------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static rein_status fail_system(const char *doing, const char *path) {
    return reini_fail(REIN_IO, "%s \"%s\": %s", doing, path, strerror(errno));
}

/* what a run leaves that was killed before it had written its config.json */
static bool is_left_over(const char *name) {
    size_t n = strlen(name);
    bool stored = starts_with(name, "reference-") || starts_with(name, "candidates");
    return strcmp(name, "config.json.tmp") == 0 ||
           (stored &&
            ((n > 5 && strcmp(name + n - 5, ".rein") == 0) || strcmp(name, "candidates.jsonl") == 0 ||
             strcmp(name, "candidates_eval.jsonl") == 0 || (n > 4 && strcmp(name + n - 4, ".tmp") == 0)));
}

static rein_status is_empty(const char *dir, bool *empty) {
    DIR *entries = opendir(dir);
    if (!entries)
        return fail_system("cannot read the directory", dir);
    *empty = true;
    for (const struct dirent *e; (e = readdir(entries));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !is_left_over(e->d_name))
            *empty = false;
    closedir(entries);
    return REIN_OK;
}

/* a damaged config.json is nobody's */
static rein_status has_config(const char *dir, bool *has) {
    char path[REINI_PATH_MAX];
    json_t *config;
    *has = false;
    REINI_TRY(reini_path_join(path, sizeof path, dir, "config.json"));
    if (!reini_file_exists(path))
        return REIN_OK;
    rein_status status = reini_json_read(path, &config);
    if (status != REIN_OK)
        return status == REIN_FORMAT ? REIN_OK : status;
    /* an environment, or the family of the runs that have none */
    *has = json_is_string(json_object_get(config, "algo")) &&
           (json_is_string(json_object_get(config, "env")) ||
            json_is_string(json_object_get(config, "family"))) &&
           json_is_object(json_object_get(config, "settings"));
    json_decref(config);
    return REIN_OK;
}

rein_status reini_dir_look(const char *dir, reini_dir_kind *kind) {
    bool is_run = false, empty = false;
    *kind = reini_dir_exists(dir)    ? REINI_DIR_FOREIGN
            : reini_file_exists(dir) ? REINI_DIR_FILE
                                     : REINI_DIR_ABSENT;
    if (*kind != REINI_DIR_FOREIGN)
        return REIN_OK;
    REINI_TRY(has_config(dir, &is_run));
    REINI_TRY(is_empty(dir, &empty));
    *kind = is_run ? REINI_DIR_RUN : empty ? REINI_DIR_EMPTY : REINI_DIR_FOREIGN;
    return REIN_OK;
}

/* ---- holding ----------------------------------------------------------------------------------------- */

/* a lock on the directory itself leaves nothing behind and ends with the process, however that ends */
rein_status reini_dir_hold(const char *dir, int *hold) {
    *hold = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*hold < 0)
        return fail_system("cannot open the run directory", dir);
    /* file systems without locks are taken at their word */
    if (flock(*hold, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return REIN_OK;
    close(*hold);
    *hold = -1;
    return reini_fail(REIN_USAGE,
                      "another process is training in \"%s\": wait for it, or choose another --out", dir);
}

void reini_dir_let_go(int hold) {
    if (hold >= 0)
        close(hold);
}

/* ---- replacing --------------------------------------------------------------------------------------- */

/* files of a run, interrupted writes of them included; config.json stays until the new one replaces it, so
 * that the directory never stops being a run */
static bool is_output(const char *name) {
    static const char *const outputs[] = {"checkpoint.rein",    "metrics.csv",      "events.out.tfevents.",
                                          "policy.safetensors", "best.safetensors", "summary.json",
                                          "rollouts.jsonl",     "reference-",       "candidates"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        if (starts_with(name, outputs[i]))
            return true;
    return false;
}

/* folders of models, whole, half written and replaced */
static bool is_model(const char *name) {
    static const char *const folders[] = {"model", "adapter", "best"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        size_t length = strlen(folders[i]);
        if (starts_with(name, folders[i]) &&
            (!name[length] || strcmp(name + length, ".new") == 0 || strcmp(name + length, ".old") == 0))
            return true;
    }
    return false;
}

static rein_status remove_model(const char *dir) {
    char path[REINI_PATH_MAX];
    DIR *entries = opendir(dir);
    if (!entries)
        return errno == ENOTDIR ? REIN_OK : fail_system("cannot read the directory", dir);
    for (const struct dirent *e; (e = readdir(entries));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            reini_path_join(path, sizeof path, dir, e->d_name) == REIN_OK)
            unlink(path);
    closedir(entries);
    rmdir(dir); /* fails, and is meant to, when folders of others are in it */
    return REIN_OK;
}

static rein_status remove_seed(const char *dir);

/* removes the outputs of the run in dir, and whole runs of seeds below it; other files stay */
static rein_status empty_run(const char *dir) {
    DIR *entries = opendir(dir);
    if (!entries)
        return fail_system("cannot read the run directory", dir);
    rein_status status = REIN_OK;
    for (const struct dirent *e; status == REIN_OK && (e = readdir(entries));) {
        char path[REINI_PATH_MAX];
        bool seed = starts_with(e->d_name, "seed-"), model = is_model(e->d_name);
        if (!seed && !model && !is_output(e->d_name))
            continue;
        status = reini_path_join(path, sizeof path, dir, e->d_name);
        if (status == REIN_OK && seed)
            status = remove_seed(path);
        else if (status == REIN_OK && model)
            status = remove_model(path);
        else if (status == REIN_OK && unlink(path) != 0)
            status = fail_system("cannot remove", path);
    }
    closedir(entries);
    return status;
}

static rein_status remove_seed(const char *dir) {
    char config[REINI_PATH_MAX];
    reini_dir_kind kind;
    REINI_TRY(reini_dir_look(dir, &kind));
    if (kind != REINI_DIR_RUN)
        return REIN_OK;
    REINI_TRY(empty_run(dir));
    REINI_TRY(reini_path_join(config, sizeof config, dir, "config.json"));
    if (unlink(config) != 0)
        return fail_system("cannot remove", config);
    rmdir(dir); /* fails, and is meant to, when files of others are in it */
    return REIN_OK;
}

/* ---- claiming ---------------------------------------------------------------------------------------- */

static rein_status make_new(const char *dir) {
    char parent[REINI_DIR_MAX];
    snprintf(parent, sizeof parent, "%s", dir);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = 0;
        REINI_TRY(reini_dir_make(parent));
    }
    return mkdir(dir, 0777) == 0 ? REIN_OK : fail_system("cannot make the run directory", dir);
}

/* runs/ppo-CartPole-v1-0-1: what is not plain in an environment's id becomes '-' */
static rein_status make_unnamed(const char *name, char dir[REINI_DIR_MAX]) {
    char stem[512], path[REINI_DIR_MAX];
    REINI_TRY(reini_dir_make("runs"));
    snprintf(stem, sizeof stem, "%s", name);
    for (char *c = stem; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
            *c = '-';
    for (int n = 1; n < 1000000; n++) {
        snprintf(path, sizeof path, "runs/%s-%d", stem, n);
        memcpy(dir, path, sizeof path);
        if (mkdir(path, 0777) == 0)
            return REIN_OK;
        if (errno != EEXIST)
            return fail_system("cannot make the run directory", path);
    }
    return reini_fail(REIN_IO, "runs/%s-1 and a million after it exist: choose a directory with --out", stem);
}

rein_status reini_dir_plain_path(char out[REINI_DIR_MAX], const char *dir) {
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/')
        length--;
    if (length == 0 || length + sizeof "/seed-9000000000000000" > REINI_DIR_MAX)
        return reini_fail(REIN_USAGE, "the name of the run directory is %s",
                          length ? "too long, expected less than 1000 bytes" : "empty");
    snprintf(out, REINI_DIR_MAX, "%.*s", (int)length, dir);
    return REIN_OK;
}

static rein_status make_or_take_over(const char *dir, bool force, int *hold) {
    reini_dir_kind kind;
    REINI_TRY(reini_dir_look(dir, &kind));
    switch (kind) {
    case REINI_DIR_FILE:
        return reini_fail(REIN_USAGE, "\"%s\" is a file: choose a directory with --out", dir);
    case REINI_DIR_FOREIGN:
        return reini_fail(REIN_USAGE,
                          "\"%s\" holds files and is not a run: it is left alone, choose another --out", dir);
    case REINI_DIR_RUN:
        if (!force)
            return reini_fail(REIN_USAGE,
                              "\"%s\" already holds a run: continue it with --resume %s, replace it with "
                              "--force, or choose another --out",
                              dir, dir);
        REINI_TRY(reini_dir_hold(dir, hold));
        return empty_run(dir);
    case REINI_DIR_ABSENT:
        REINI_TRY(make_new(dir));
        break;
    case REINI_DIR_EMPTY:
        break;
    }
    return reini_dir_hold(dir, hold);
}

rein_status reini_dir_claim(const reini_setup *setup, const rein_train_opts *opts, char dir[REINI_DIR_MAX],
                            int *hold) {
    char stem[512];
    snprintf(stem, sizeof stem, "%s-%s-%lld", setup->algo->name, setup->env->id, (long long)setup->run.seed);
    return reini_dir_claim_as(stem, opts, dir, hold);
}

rein_status reini_dir_claim_as(const char *stem, const rein_train_opts *opts, char dir[REINI_DIR_MAX],
                               int *hold) {
    *hold = -1;
    rein_status status;
    if (opts->out) {
        REINI_TRY(reini_dir_plain_path(dir, opts->out));
        status = make_or_take_over(dir, opts->force, hold);
    } else {
        REINI_TRY(make_unnamed(stem, dir));
        status = reini_dir_hold(dir, hold);
    }
    if (status != REIN_OK) {
        reini_dir_let_go(*hold);
        *hold = -1;
    }
    return status;
}

rein_status reini_dir_of_seed(char out[REINI_DIR_MAX], const char *dir, int64_t seed) {
    char name[32];
    snprintf(name, sizeof name, "seed-%lld", (long long)seed);
    return reini_path_join(out, REINI_DIR_MAX, dir, name);
}

/* ---- config.json ------------------------------------------------------------------------------------- */

rein_status reini_dir_write_config(const char *dir, const reini_setup *setup) {
    char path[REINI_PATH_MAX];
    REINI_TRY(reini_path_join(path, sizeof path, dir, "config.json"));
    json_t *config = reini_setup_to_json(setup);
    if (!config)
        return reini_fail_memory(1 << 14, path);
    rein_status status = reini_json_write(path, config);
    json_decref(config);
    return status;
}

rein_status reini_dir_read_config(const char *dir, const reini_algo *algo, reini_setup *setup) {
    char path[REINI_PATH_MAX];
    json_t *config;
    *setup = (reini_setup){0};
    if (!reini_dir_exists(dir))
        return reini_fail(REIN_USAGE, "there is no run directory \"%s\"", dir);
    REINI_TRY(reini_path_join(path, sizeof path, dir, "config.json"));
    if (!reini_file_exists(path))
        return reini_fail(REIN_USAGE, "\"%s\" is not a run: it has no config.json", dir);
    REINI_TRY(reini_json_read(path, &config));
    rein_status status = reini_setup_from_json(setup, algo, config, path);
    json_decref(config);
    return status;
}
