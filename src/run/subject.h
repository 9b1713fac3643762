/*
 * subject.h - a saved policy and the environment it is looked at in: what `eval` plays and `show` draws.
 */
#ifndef REINI_SUBJECT_H
#define REINI_SUBJECT_H

#include "run/run_dir.h"

typedef struct reini_subject {
    char file[REINI_PATH_MAX]; /* the policy's */
    char dir[REINI_DIR_MAX];   /* of the run it belongs to, "" = none */
    rein_policy *policy;
    const rein_env_type *env;
    void *env_config;
    rein_run_config wrap; /* its wrappers only: the policy's */
    rein_env_type opened; /* env with env_config, wrapped */
} reini_subject;

/* path: a run directory or a policy file. subject: zeroed; released after success and failure alike. */
rein_status reini_subject_load(reini_subject *subject, const char *path);
/* Opens the environment (NULL = the policy's) with the settings of the policy's run, when that was trained on it, in
 * the policy's wrappers, and then these settings ("env.NAME" or a wrapper's); filter as in rein_eval_opts. Checks that
 * the policy fits it. */
rein_status reini_subject_open(reini_subject *subject, const char *env, const rein_setting *settings,
                               int n_settings, const rein_filter *filter);
void reini_subject_release(reini_subject *subject);

#endif
