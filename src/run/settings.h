/*
 * settings.h - everything a run is defined by: algorithm, environment and one value for every field.
 *
 * Values come from, in this order, later ones winning: the fields' defaults, the preset, the --config file,
 * the settings of the call. Names are those of the run's and the algorithm's fields; "env.NAME" is a field of
 * the environment; "lr" stands for "learning_rate".
 */
#ifndef REINI_SETTINGS_H
#define REINI_SETTINGS_H

#include <jansson.h>
#include <rein/run.h>
#include "algo/algo.h"

typedef struct reini_setup {
    const reini_algo *algo;
    const rein_env_type *env;
    char preset[64]; /* the one used, or "none" */
    int seeds;       /* >= 1 */
    rein_run_config run;
    void *algo_config;         /* algo->config_size bytes */
    void *env_config;          /* env->config_size bytes; NULL when 0 */
    const rein_filter *filter; /* the call's, NULL = none */
    bool is_open;
    rein_env_type opened; /* the environment with its settings and wrappers; once checked */
} reini_setup;

#define REINI_SEEDS_MAX 10000
#define REINI_NAME_MAX  128 /* of a field, with "env." */
#define REINI_VALUE_MAX 320 /* of a value in text form */

typedef struct reini_value {
    char name[REINI_NAME_MAX], text[REINI_VALUE_MAX];
} reini_value;

/* Defaults of the fields. A setup is released after success and failure alike. */
rein_status reini_setup_init(reini_setup *setup, const reini_algo *algo, const rein_env_type *env);
void reini_setup_release(reini_setup *setup);
/* to: uninitialised. */
rein_status reini_setup_copy(reini_setup *to, const reini_setup *from);

/* Sets one field; an unknown name gets the nearest of all names. */
rein_status reini_setup_set(reini_setup *setup, const char *name, const char *text);
/* The i-th field with its value, false past the end. */
bool reini_setup_at(const reini_setup *setup, int i, reini_value *out);

/* A new run. algo NULL = by name. On success the preset used has been logged. */
rein_status reini_setup_resolve(reini_setup *setup, const reini_algo *algo, const rein_train_opts *opts);
/* Opens the environment and checks rules across fields, those of the algorithm included. */
rein_status reini_setup_check(reini_setup *setup);
/* What an algorithm is given; of a checked setup. */
reini_context reini_setup_context(const reini_setup *setup, rein_pool *pool);
/* Worker threads meant by the field: 0 = the cores this process may use. */
int reini_thread_count(int64_t threads);

/* ---- config.json ------------------------------------------------------------------------------------- */

/* The whole setup with version, build and instruction-set level; NULL when out of memory. */
json_t *reini_setup_to_json(const reini_setup *setup);
/* What stands beside the settings; NULL and 0 = absent. Wrong types are refused. */
typedef struct reini_config_head {
    const char *algo, *env, *preset; /* the object's */
    int seeds;
} reini_config_head;
rein_status reini_config_read_head(reini_config_head *head, const json_t *config, const char *path);
/* A run's config.json, already read from `path`. algo NULL = by name, else the name must agree. */
rein_status reini_setup_from_json(reini_setup *setup, const reini_algo *algo, const json_t *config,
                                  const char *path);
/* Settings of an object: those under "settings", or every key that is not part of a config.json's head. */
rein_status reini_setup_apply_json(reini_setup *setup, const json_t *config, const char *path);

/* A value of config.json in text form, which may use the scratch; NULL when it is of no such kind. */
const char *reini_config_text(const json_t *value, char scratch[REINI_VALUE_MAX]);

/* ---- resuming ---------------------------------------------------------------------------------------- */

/* What the call asks for on top of the run's own setup: settings, --config, seeds. setup: a copy of the
 * run's. */
rein_status reini_setup_apply_resume(reini_setup *setup, const rein_train_opts *opts);
/* REIN_USAGE when a value differs that decides what the run computes; *changed: whether any value differs. */
rein_status reini_setup_compare(const reini_setup *run, const reini_setup *wanted, bool *changed);

#endif
