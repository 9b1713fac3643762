/*
 * subject.c - a saved policy and the environment it is looked at in.
 */
#include "run/subject.h"

#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "rl/policy.h"
#include "run/evaluate.h"
#include "run/wrapping.h"

/* ---- the policy ---------------------------------------------------------------------------------------- */

/* of one seed that has not finished, or of several, whose policies lie further down */
static rein_status fail_no_policy(const char *dir) {
    char path[REINI_PATH_MAX];
    json_t *config;
    REINI_TRY(reini_path_join(path, sizeof path, dir, "config.json"));
    REINI_TRY(reini_json_read(path, &config));
    int seeds = (int)json_integer_value(json_object_get(config, "seeds"));
    const char *seed = json_string_value(json_object_get(json_object_get(config, "settings"), "seed"));
    if (seeds > 1)
        reini_fail(REIN_USAGE, "\"%s\" holds runs of %d seeds: name one of them, for example %s/seed-%s", dir,
                   seeds, dir, seed ? seed : "0");
    else
        reini_fail(REIN_USAGE,
                   "\"%s\" has no policy.safetensors: its training has not finished, continue it with "
                   "`rein train --resume %s`",
                   dir, dir);
    json_decref(config);
    return REIN_USAGE;
}

/* the directory of a policy file, when it is its run's; else "" */
static rein_status locate_run_of_file(reini_subject *s, const char *path) {
    reini_dir_kind kind;
    const char *slash = strrchr(path, '/');
    snprintf(s->dir, sizeof s->dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    REINI_TRY(reini_dir_look(s->dir, &kind));
    if (kind != REINI_DIR_RUN)
        s->dir[0] = 0;
    return REIN_OK;
}

static rein_status locate(reini_subject *s, const char *path) {
    reini_dir_kind kind;
    if (strlen(path) >= sizeof s->dir)
        return reini_fail(REIN_USAGE, "the path is too long, expected less than %zu bytes", sizeof s->dir);
    REINI_TRY(reini_dir_look(path, &kind));
    switch (kind) {
    case REINI_DIR_ABSENT:
        return reini_fail(REIN_USAGE, "there is no run directory and no policy file \"%s\"", path);
    case REINI_DIR_FILE:
        memcpy(s->file, path, strlen(path) + 1);
        return locate_run_of_file(s, path);
    case REINI_DIR_RUN:
        REINI_TRY(reini_path_join(s->file, sizeof s->file, path, "policy.safetensors"));
        memcpy(s->dir, path, strlen(path) + 1);
        return reini_file_exists(s->file) ? REIN_OK : fail_no_policy(path);
    default:
        return reini_fail(REIN_USAGE, "\"%s\" is neither a run directory nor a policy file", path);
    }
}

/* ---- the environment ----------------------------------------------------------------------------------- */

static rein_status set_dynamics(reini_subject *s, const char *name, const char *text) {
    if (!name || !text || strncmp(name, "env.", 4) != 0)
        return reini_fail(REIN_USAGE,
                          "\"%.60s\" is not a setting of the environment, expected env.NAME to change it",
                          name ? name : "");
    if (!s->env_config)
        return reini_fail(REIN_USAGE, "\"%.60s\": %s has no settings", name, s->env->id);
    const rein_field *fields = s->env->fields;
    rein_status status = rein_fields_set(fields, s->env->n_fields, s->env_config, name + 4, text);
    if (status == REIN_OK)
        return REIN_OK;
    if (rein_fields_find(fields, s->env->n_fields, name + 4) < 0)
        return reini_fail_in(status, "%s: ", s->env->id);
    return reini_fail_in(status, "env.");
}

/* the environment as the run was trained on it */
static rein_status use_run_dynamics(reini_subject *s) {
    char path[REINI_PATH_MAX];
    json_t *config, *value;
    const char *key;
    REINI_TRY(reini_path_join(path, sizeof path, s->dir, "config.json"));
    REINI_TRY(reini_json_read(path, &config));
    const char *env = json_string_value(json_object_get(config, "env"));
    rein_status status = REIN_OK;
    bool same = env && strcmp(env, s->env->id) == 0;
    json_object_foreach(json_object_get(config, "settings"), key, value) {
        if (status == REIN_OK && same && strncmp(key, "env.", 4) == 0)
            status = set_dynamics(s, key, json_string_value(value));
    }
    json_decref(config);
    return status == REIN_OK ? REIN_OK : reini_fail_in(status, "%s: ", path);
}

/* "env.NAME", or one of the wrappers' names */
static rein_status set_one(reini_subject *s, const rein_setting *setting) {
    int n;
    const rein_field *fields = rein_wrap_fields(&n);
    if (setting->name && setting->value && rein_fields_find(fields, n, setting->name) >= 0)
        return rein_fields_set(fields, n, &s->wrap, setting->name, setting->value);
    return set_dynamics(s, setting->name, setting->value);
}

rein_status reini_subject_open(reini_subject *s, const char *env, const rein_setting *settings,
                               int n_settings, const rein_filter *filter) {
    s->env = rein_env_find(env ? env : rein_policy_env(s->policy));
    if (!s->env)
        return REIN_USAGE;
    if (s->env->config_size) {
        s->env_config = reini_new(s->env->config_size);
        if (!s->env_config)
            return reini_fail_memory(s->env->config_size, "the settings of the environment");
        rein_fields_default(s->env->fields, s->env->n_fields, s->env_config);
    }
    REINI_TRY(reini_wrap_read(reini_policy_wrappers(s->policy), &s->wrap));
    if (s->dir[0])
        REINI_TRY(use_run_dynamics(s));
    for (int i = 0; i < n_settings; i++)
        REINI_TRY(set_one(s, &settings[i]));
    REINI_TRY(rein_env_open(s->env, s->env_config, &s->opened));
    REINI_TRY(reini_wrap_env(&s->wrap, filter, &s->opened));
    return reini_policy_fits(s->policy, &s->opened);
}

rein_status reini_subject_load(reini_subject *s, const char *path) {
    if (!path)
        return reini_fail(REIN_USAGE, "no run directory or policy file was named");
    REINI_TRY(locate(s, path));
    return rein_policy_load(s->file, &s->policy);
}

void reini_subject_release(reini_subject *s) {
    rein_env_close(&s->opened);
    reini_free(s->env_config);
    rein_policy_free(s->policy);
    *s = (reini_subject){0};
}
