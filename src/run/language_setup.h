/*
 * language_setup.h - everything a run on a language model is defined by: the method and one value for every field.
 *
 * config.json is that of other runs, with "family": "language" in place of an environment and a preset:
 *
 *     {"version": ..., "build": ..., "cpu": ..., "algo": "sft", "family": "language", "settings": {"model": ..., ...}}
 */
#ifndef REINI_LANGUAGE_SETUP_H
#define REINI_LANGUAGE_SETUP_H

#include "algo/language/lm_algo.h"
#include "run/settings.h"

typedef struct reini_language_setup {
    const reini_algo *algo;
    const reini_language *method;
    void *config; /* method->config_size bytes; begins with a reini_lm_settings */
} reini_language_setup;

/* Defaults. A setup is released after success and failure alike. */
rein_status reini_language_setup_init(reini_language_setup *setup, const reini_algo *algo);
void reini_language_setup_release(reini_language_setup *setup);
const reini_lm_settings *reini_language_settings(const reini_language_setup *setup);
rein_status reini_language_set(reini_language_setup *setup, const char *name, const char *text);
/* The settings of a call over those of its --config, on top of what the setup has. */
rein_status reini_language_apply(reini_language_setup *setup, const rein_train_opts *opts);
/* Names of files and folders become whole, so that the run can be continued from anywhere. */
void reini_language_anchor(reini_language_setup *setup);

json_t *reini_language_to_json(const reini_language_setup *setup);
bool reini_language_is_config(const json_t *config);
rein_status reini_language_from_json(reini_language_setup *setup, const json_t *config, const char *path);
rein_status reini_language_read_config(reini_language_setup *setup, const char *dir);
rein_status reini_language_write_config(const reini_language_setup *setup, const char *dir);

/* REIN_USAGE when a value differs that decides what a run computes. */
rein_status reini_language_compare(const reini_language_setup *run, const reini_language_setup *wanted);

#endif
