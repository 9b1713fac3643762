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

/* ---- what is there -------------------------------------------------------------------------------------- */

bool reini_dir_is_run(const char *dir) {
    char path[REINI_PATH_MAX];
    json_t *config;
    if (reini_path_join(path, sizeof path, dir, "config.json") != REIN_OK || !reini_file_exists(path) ||
        reini_json_read(path, &config) != REIN_OK)
        return false;
    bool is_run = json_is_string(json_object_get(config, "algo")) && json_is_string(json_object_get(config, "env")) &&
                  json_is_object(json_object_get(config, "settings"));
    json_decref(config);
    return is_run;
}

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* nothing but what a run leaves that was killed while it wrote its first file */
static bool is_empty(const char *dir) {
    DIR *entries = opendir(dir);
    if (!entries)
        return false;
    int n = 0;
    for (const struct dirent *e; (e = readdir(entries));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "config.json.tmp") != 0;
    closedir(entries);
    return n == 0;
}

static rein_status fail_system(const char *doing, const char *path) {
    return reini_fail(REIN_IO, "%s %s: %s", doing, path, strerror(errno));
}

/* ---- holding -------------------------------------------------------------------------------------------- */

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
    return reini_fail(REIN_USAGE, "another process is training in %s: wait for it, or choose another --out", dir);
}

void reini_dir_let_go(int hold) {
    if (hold >= 0)
        close(hold);
}

/* ---- replacing ------------------------------------------------------------------------------------------ */

/* files of a run, interrupted writes of them included; config.json stays until the new one replaces it, so that
 * the directory never stops being a run */
static bool is_output(const char *name) {
    static const char *const outputs[] = {"checkpoint.rein", "metrics.csv", "events.out.tfevents.",
                                          "policy.safetensors", "best.safetensors", "summary.json"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        if (starts_with(name, outputs[i]))
            return true;
    return false;
}

/* removes the outputs of the run in dir, and whole runs of seeds below it; other files stay */
static rein_status empty_run(const char *dir) {
    DIR *entries = opendir(dir);
    if (!entries)
        return fail_system("cannot read the run directory", dir);
    rein_status status = REIN_OK;
    for (const struct dirent *e; status == REIN_OK && (e = readdir(entries));) {
        char path[REINI_PATH_MAX], config[REINI_PATH_MAX];
        bool seed = starts_with(e->d_name, "seed-");
        if (!seed && !is_output(e->d_name))
            continue;
        status = reini_path_join(path, sizeof path, dir, e->d_name);
        if (status == REIN_OK && !seed && unlink(path) != 0)
            status = fail_system("cannot remove", path);
        if (status != REIN_OK || !seed || !reini_dir_is_run(path))
            continue;
        status = empty_run(path);
        if (status == REIN_OK && reini_path_join(config, sizeof config, path, "config.json") == REIN_OK)
            unlink(config);
        rmdir(path); /* stays when files of others are in it */
    }
    closedir(entries);
    return status;
}

/* ---- claiming ------------------------------------------------------------------------------------------- */

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
static rein_status make_unnamed(const reini_setup *setup, char dir[REINI_DIR_MAX]) {
    char stem[512];
    REINI_TRY(reini_dir_make("runs"));
    snprintf(stem, sizeof stem, "%s-%s-%lld", setup->algo->name, setup->env->id, (long long)setup->run.seed);
    for (char *c = stem; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
            *c = '-';
    for (int n = 1; n < 1000000; n++) {
        snprintf(dir, REINI_DIR_MAX, "runs/%s-%d", stem, n);
        if (mkdir(dir, 0777) == 0)
            return REIN_OK;
        if (errno != EEXIST)
            return fail_system("cannot make the run directory", dir);
    }
    return reini_fail(REIN_IO, "runs/%s-1 and a million after it exist: choose a directory with --out", stem);
}

/* an existing directory serves when it is empty, or a run that may be replaced */
static rein_status take_over(const char *dir, bool force, int *hold) {
    if (!reini_dir_exists(dir))
        return reini_fail(REIN_USAGE, "%s is a file: choose a directory with --out", dir);
    bool is_run = reini_dir_is_run(dir);
    if (!is_run && !is_empty(dir))
        return reini_fail(REIN_USAGE, "%s holds files and is not a run: it is left alone, choose another --out", dir);
    if (is_run && !force)
        return reini_fail(REIN_USAGE, "%s already holds a run: continue it with --resume %s, replace it with --force, "
                                      "or choose another --out",
                          dir, dir);
    REINI_TRY(reini_dir_hold(dir, hold));
    return is_run ? empty_run(dir) : REIN_OK;
}

rein_status reini_dir_claim(const reini_setup *setup, const rein_train_opts *opts, char dir[REINI_DIR_MAX],
                            int *hold) {
    *hold = -1;
    if (!opts->out) {
        REINI_TRY(make_unnamed(setup, dir));
        return reini_dir_hold(dir, hold);
    }
    size_t length = strlen(opts->out);
    while (length > 1 && opts->out[length - 1] == '/')
        length--;
    if (length == 0 || length + sizeof "/seed-9000000000000000" > REINI_DIR_MAX)
        return reini_fail(REIN_USAGE, "--out: the name of the run directory is %s", length ? "too long" : "empty");
    snprintf(dir, REINI_DIR_MAX, "%.*s", (int)length, opts->out);
    struct stat info;
    if (stat(dir, &info) == 0)
        return take_over(dir, opts->force, hold);
    REINI_TRY(make_new(dir));
    return reini_dir_hold(dir, hold);
}

rein_status reini_dir_of_seed(char out[REINI_DIR_MAX], const char *dir, int64_t seed) {
    char name[32];
    snprintf(name, sizeof name, "seed-%lld", (long long)seed);
    return reini_path_join(out, REINI_DIR_MAX, dir, name);
}

/* ---- config.json ---------------------------------------------------------------------------------------- */

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
        return reini_fail(REIN_USAGE, "there is no run directory %s", dir);
    REINI_TRY(reini_path_join(path, sizeof path, dir, "config.json"));
    if (!reini_file_exists(path))
        return reini_fail(REIN_USAGE, "%s is not a run: it has no config.json", dir);
    REINI_TRY(reini_json_read(path, &config));
    rein_status status = reini_setup_from_json(setup, algo, config, path);
    json_decref(config);
    return status;
}
