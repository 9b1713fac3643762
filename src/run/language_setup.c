/*
 * language_setup.c - settings of a run on a language model, as config.json and back.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "lm/reward.h"
#include "run/language_setup.h"
#include "run/run_dir.h"

rein_status reini_language_setup_init(reini_language_setup *setup, const reini_algo *algo) {
    *setup = (reini_language_setup){.algo = algo, .method = algo->language};
    setup->config = reini_new(setup->method->config_size);
    if (!setup->config)
        return reini_fail_memory(setup->method->config_size, "the settings");
    rein_fields_default(setup->method->fields, setup->method->n_fields, setup->config);
    return REIN_OK;
}

void reini_language_setup_release(reini_language_setup *setup) {
    reini_free(setup->config);
    *setup = (reini_language_setup){0};
}

const reini_lm_settings *reini_language_settings(const reini_language_setup *setup) {
    return setup->config;
}

rein_status reini_language_set(reini_language_setup *setup, const char *name, const char *text) {
    if (!name || !text)
        return reini_fail(REIN_USAGE, "a setting needs a name and a value, found %s%s", name ? name : "none",
                          name ? " without a value" : "");
    if (strcmp(name, "lr") == 0)
        name = "learning_rate";
    return rein_fields_set(setup->method->fields, setup->method->n_fields, setup->config, name, text);
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static void anchor_reward(reini_language_setup *setup) {
    char text[REIN_TEXT_MAX], whole[REIN_TEXT_MAX];
    int at = rein_fields_find(setup->method->fields, setup->method->n_fields, "reward");
    if (at < 0)
        return;
    rein_field_print(&setup->method->fields[at], setup->config, text, sizeof text);
    reini_rewards_anchor(text, whole, sizeof whole);
    reini_language_set(setup, "reward", whole);
}

void reini_language_anchor(reini_language_setup *setup) {
    static const char *const names[] = {"model",         "init", "adapter",   "tokenizer",
                                        "chat_template", "data", "eval_data", "value_model"};
    char text[REIN_TEXT_MAX], whole[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int at = rein_fields_find(setup->method->fields, setup->method->n_fields, names[i]);
        if (at < 0)
            continue;
        rein_field_print(&setup->method->fields[at], setup->config, text, sizeof text);
        /* a name that is too long to be kept whole stays as it was given */
        if (reini_lm_given(text) && realpath(text, whole) && strlen(whole) < REIN_TEXT_MAX)
            reini_language_set(setup, names[i], whole);
    }
    anchor_reward(setup);
}

/* ---- config.json ----------------------------------------------------------------------------------------- */

static json_t *settings_to_json(const reini_language_setup *setup) {
    json_t *settings = json_object();
    char text[REINI_VALUE_MAX];
    bool whole = settings != NULL;
    for (int i = 0; whole && i < setup->method->n_fields; i++) {
        const rein_field *field = &setup->method->fields[i];
        rein_field_print(field, setup->config, text, sizeof text);
        whole = json_object_set_new(settings, field->name, json_string(text)) == 0;
    }
    if (whole)
        return settings;
    json_decref(settings);
    return NULL;
}

json_t *reini_language_to_json(const reini_language_setup *setup) {
    json_t *settings = settings_to_json(setup);
    return settings ? json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "version", rein_version(), "build",
                                rein_build_info(), "cpu", rein_cpu_level(), "algo", setup->algo->name,
                                "family", "language", "settings", settings)
                    : NULL;
}

bool reini_language_is_config(const json_t *config) {
    const char *family = json_string_value(json_object_get(config, "family"));
    return family && strcmp(family, "language") == 0;
}

static bool is_head(const char *key) {
    static const char *const keys[] = {"version", "build", "cpu", "algo", "family", "settings"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static rein_status apply_object(reini_language_setup *setup, const json_t *object, const char *path,
                                bool skip_head) {
    const char *key;
    json_t *value;
    char scratch[REINI_VALUE_MAX];
    json_object_foreach((json_t *)object, key, value) {
        if (skip_head && is_head(key))
            continue;
        const char *text = reini_config_text(value, scratch);
        rein_status status =
            text ? reini_language_set(setup, key, text)
                 : reini_fail(REIN_USAGE, "%.60s: expected text, a number, true or false", key);
        if (status != REIN_OK)
            return reini_fail_in(status, "%s: ", path);
    }
    return REIN_OK;
}

/* in the style of a run's config.json, or a plain object of settings */
static rein_status apply_json(reini_language_setup *setup, const json_t *config, const char *path) {
    const json_t *settings = json_object_get(config, "settings");
    if (!json_is_object(config) || (settings && !json_is_object(settings)))
        return reini_fail(REIN_FORMAT, "%s: expected a JSON object of settings", path);
    REINI_TRY(apply_object(setup, config, path, true));
    return settings ? apply_object(setup, settings, path, false) : REIN_OK;
}

rein_status reini_language_apply(reini_language_setup *setup, const rein_train_opts *opts) {
    if (opts->config) {
        json_t *file;
        REINI_TRY(reini_json_read(opts->config, &file));
        const char *algo = json_string_value(json_object_get(file, "algo"));
        rein_status status = algo && strcmp(algo, setup->algo->name) != 0
                                 ? reini_fail(REIN_USAGE, "%s holds settings for %s, not for %s",
                                              opts->config, algo, setup->algo->name)
                                 : apply_json(setup, file, opts->config);
        json_decref(file);
        REINI_TRY(status);
    }
    for (int i = 0; i < opts->n_settings; i++)
        REINI_TRY(reini_language_set(setup, opts->settings[i].name, opts->settings[i].value));
    return REIN_OK;
}

rein_status reini_language_from_json(reini_language_setup *setup, const json_t *config, const char *path) {
    const char *name = json_string_value(json_object_get(config, "algo"));
    *setup = (reini_language_setup){0};
    if (!reini_language_is_config(config) || !name || !json_object_get(config, "settings"))
        return reini_fail(REIN_FORMAT, "%s: not the config.json of a run on a language model", path);
    const reini_algo *algo = reini_algo_find(name);
    if (!algo || !algo->language)
        return algo ? reini_fail(REIN_MISMATCH, "%s: %s does not train language models", path, name)
                    : reini_fail_in(REIN_MISMATCH, "%s: ", path);
    REINI_TRY(reini_language_setup_init(setup, algo));
    return apply_json(setup, config, path);
}

rein_status reini_language_read_config(reini_language_setup *setup, const char *dir) {
    char path[REINI_PATH_MAX];
    json_t *config;
    *setup = (reini_language_setup){0};
    REINI_TRY(reini_path_join(path, sizeof path, dir, "config.json"));
    REINI_TRY(reini_json_read(path, &config));
    rein_status status = reini_language_from_json(setup, config, path);
    json_decref(config);
    return status;
}

rein_status reini_language_write_config(const reini_language_setup *setup, const char *dir) {
    char path[REINI_PATH_MAX];
    REINI_TRY(reini_path_join(path, sizeof path, dir, "config.json"));
    json_t *config = reini_language_to_json(setup);
    if (!config)
        return reini_fail_memory(1 << 14, path);
    rein_status status = reini_json_write(path, config);
    json_decref(config);
    return status;
}

/* ---- resuming -------------------------------------------------------------------------------------------- */

rein_status reini_language_compare(const reini_language_setup *run, const reini_language_setup *wanted) {
    char was[REINI_VALUE_MAX], asked[REINI_VALUE_MAX];
    for (int i = 0; i < run->method->n_fields; i++) {
        const rein_field *field = &run->method->fields[i];
        rein_field_print(field, run->config, was, sizeof was);
        rein_field_print(field, wanted->config, asked, sizeof asked);
        if (strcmp(was, asked) == 0 || strcmp(field->name, "threads") == 0 ||
            strcmp(field->name, "save_steps") == 0)
            continue;
        return reini_fail(
            REIN_USAGE,
            "%s: cannot change from %s to %s in a run that has started; a resumed run takes other "
            "threads and save_steps; for anything else start a new run, with --model from what "
            "this one has learned",
            field->name, was, asked);
    }
    return REIN_OK;
}
