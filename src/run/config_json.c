/*
 * config_json.c - a setup as config.json and back.
 *
 *     {"version": ..., "build": ..., "cpu": ..., "algo": "ppo", "env": "CartPole-v1", "preset": "tuned",
 *      "seeds": 1, "settings": {"steps": "100000", "n_envs": "8", "env.gravity": "9.8", ...}}
 *
 * Values are in the text form of field.h. A file for --config may be such a file, or a plain object of
 * settings whose values are text, numbers, booleans or lists of numbers.
 */
#include <stdio.h>
#include <string.h>
#include "base/number.h"
#include "run/settings.h"

static const char *const head_keys[] = {"version", "build",  "cpu",   "algo",
                                        "env",     "preset", "seeds", "settings"};
#define N_HEAD (int)(sizeof head_keys / sizeof *head_keys)

static bool is_head(const char *key) {
    for (int i = 0; i < N_HEAD; i++)
        if (strcmp(key, head_keys[i]) == 0)
            return true;
    return false;
}

static json_t *settings_to_json(const reini_setup *setup) {
    json_t *settings = json_object();
    reini_value value;
    bool whole = settings != NULL;
    for (int i = 0; whole && reini_setup_at(setup, i, &value); i++)
        whole = json_object_set_new(settings, value.name, json_string(value.text)) == 0;
    if (whole)
        return settings;
    json_decref(settings);
    return NULL;
}

json_t *reini_setup_to_json(const reini_setup *setup) {
    json_t *settings = settings_to_json(setup);
    return settings ? json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:o}", "version", rein_version(),
                                "build", rein_build_info(), "cpu", rein_cpu_level(), "algo",
                                setup->algo->name, "env", setup->env->id, "preset", setup->preset, "seeds",
                                setup->seeds, "settings", settings)
                    : NULL;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

static bool number_text(const json_t *value, char out[REINI_REAL_TEXT]) {
    if (json_is_integer(value))
        snprintf(out, REINI_REAL_TEXT, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        reini_real_print(out, json_real_value(value));
    else
        return false;
    return true;
}

/* [64, 64] as 64,64 */
static bool list_text(const json_t *list, char *out, size_t size) {
    char number[REINI_REAL_TEXT];
    size_t at = (size_t)snprintf(out, size, "%s", json_array_size(list) ? "" : "none");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!number_text(json_array_get(list, i), number))
            return false;
        int n = snprintf(out + at, size - at, "%s%s", i ? "," : "", number);
        if ((size_t)n >= size - at)
            return false;
        at += (size_t)n;
    }
    return true;
}

const char *reini_config_text(const json_t *value, char scratch[REINI_VALUE_MAX]) {
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    if (number_text(value, scratch) || (json_is_array(value) && list_text(value, scratch, REINI_VALUE_MAX)))
        return scratch;
    return NULL;
}

static rein_status apply_value(reini_setup *setup, const char *name, const json_t *value) {
    char scratch[REINI_VALUE_MAX];
    const char *text = reini_config_text(value, scratch);
    return text ? reini_setup_set(setup, name, text)
                : reini_fail(REIN_USAGE, "%.60s: expected text, a number, true, false or a list of numbers",
                             name);
}

rein_status reini_setup_apply_json(reini_setup *setup, const json_t *config, const char *path) {
    json_t *settings = json_object_get(config, "settings");
    if (!json_is_object(config) || (settings && !json_is_object(settings)))
        return reini_fail(REIN_FORMAT, "%s: expected a JSON object of settings", path);
    const char *key;
    json_t *value;
    /* in the style of a run's config.json or flat: a stray key beside "settings" is an error, not ignored */
    json_object_foreach((json_t *)config, key, value) {
        rein_status status = is_head(key) ? REIN_OK : apply_value(setup, key, value);
        if (status != REIN_OK)
            return reini_fail_in(status, "%s: ", path);
    }
    json_object_foreach(settings, key, value) {
        rein_status status = apply_value(setup, key, value);
        if (status != REIN_OK)
            return reini_fail_in(status, "%s: ", path);
    }
    return REIN_OK;
}

/* text under a key, which may be absent */
static rein_status head_text(const json_t *config, const char *key, const char *path, const char **out) {
    const json_t *value = json_object_get(config, key);
    *out = json_string_value(value);
    return !value || *out ? REIN_OK : reini_fail(REIN_FORMAT, "%s: \"%s\" is not text", path, key);
}

rein_status reini_config_read_head(reini_config_head *head, const json_t *config, const char *path) {
    *head = (reini_config_head){0};
    if (!json_is_object(config))
        return reini_fail(REIN_FORMAT, "%s: expected a JSON object of settings", path);
    REINI_TRY(head_text(config, "algo", path, &head->algo));
    REINI_TRY(head_text(config, "env", path, &head->env));
    REINI_TRY(head_text(config, "preset", path, &head->preset));
    const json_t *seeds = json_object_get(config, "seeds");
    json_int_t n = json_integer_value(seeds);
    if (seeds && (!json_is_integer(seeds) || n < 1 || n > REINI_SEEDS_MAX))
        return reini_fail(REIN_FORMAT, "%s: \"seeds\" is not a whole number between 1 and %d", path,
                          REINI_SEEDS_MAX);
    head->seeds = (int)n;
    return REIN_OK;
}

rein_status reini_setup_from_json(reini_setup *setup, const reini_algo *algo, const json_t *config,
                                  const char *path) {
    reini_config_head head;
    *setup = (reini_setup){0};
    REINI_TRY(reini_config_read_head(&head, config, path));
    if (!head.algo || !head.env || !head.preset || !head.seeds || !json_object_get(config, "settings"))
        return reini_fail(REIN_FORMAT,
                          "%s: not the config.json of a run, which names algo, env, preset, seeds and "
                          "settings",
                          path);
    if (algo && strcmp(algo->name, head.algo) != 0)
        return reini_fail(REIN_MISMATCH, "%s: a run of %s, not of %s", path, head.algo, algo->name);
    if (!algo && !(algo = reini_algo_find(head.algo)))
        return reini_fail_in(REIN_MISMATCH, "%s: ", path);
    const rein_env_type *env = rein_env_find(head.env);
    if (!env)
        return reini_fail_in(REIN_MISMATCH, "%s: ", path);
    REINI_TRY(reini_setup_init(setup, algo, env));
    snprintf(setup->preset, sizeof setup->preset, "%s", head.preset);
    setup->seeds = head.seeds;
    return reini_setup_apply_json(setup, config, path);
}
