/*
 * eval_policy.c - rein_eval: scores of a saved policy, on its own environment, a changed one or another.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <rein/run.h>
#include "base/file.h"
#include "base/clock.h"
#include "run/evaluate.h"
#include "run/exact.h"
#include "run/run_dir.h"
#include "run/statistics.h"
#include "run/streams.h"

#define EPISODES_MAX 1000000
/* resampled values in all: an interval over a million episodes should not take longer than playing them */
#define BOOTSTRAP_VALUES 20000000
#define BOOTSTRAP_MIN    200
#define BOOTSTRAP_MAX    10000

typedef struct subject {
    char file[REINI_PATH_MAX]; /* the policy's */
    char dir[REINI_DIR_MAX];   /* of the run it belongs to, "" = none */
    rein_policy *policy;
    const rein_env_type *env;
    void *env_config;
    rein_env_type opened; /* env with env_config */
    rein_pool *pool;
} subject;

/* ---- what is evaluated ------------------------------------------------------------------------------- */

/* of one seed that has not finished, or of several, whose policies lie further down */
static rein_status fail_no_policy(const char *dir) {
    char path[REINI_PATH_MAX];
    json_t *config;
    REINI_TRY(reini_path_join(path, sizeof path, dir, "config.json"));
    REINI_TRY(reini_json_read(path, &config));
    int seeds = (int)json_integer_value(json_object_get(config, "seeds"));
    const char *seed = json_string_value(json_object_get(json_object_get(config, "settings"), "seed"));
    if (seeds > 1)
        reini_fail(REIN_USAGE, "\"%s\" holds runs of %d seeds: evaluate one of them, for example %s/seed-%s",
                   dir, seeds, dir, seed ? seed : "0");
    else
        reini_fail(REIN_USAGE,
                   "\"%s\" has no policy.safetensors: its training has not finished, continue it with "
                   "`rein train --resume %s`",
                   dir, dir);
    json_decref(config);
    return REIN_USAGE;
}

/* the directory of a policy file, when it is its run's; else "" */
static rein_status locate_run_of_file(subject *s, const char *path) {
    reini_dir_kind kind;
    const char *slash = strrchr(path, '/');
    snprintf(s->dir, sizeof s->dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    REINI_TRY(reini_dir_look(s->dir, &kind));
    if (kind != REINI_DIR_RUN)
        s->dir[0] = 0;
    return REIN_OK;
}

static rein_status locate(subject *s, const char *path) {
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

/* ---- dynamics ---------------------------------------------------------------------------------------- */

static rein_status set_dynamics(subject *s, const char *name, const char *text) {
    if (!name || !text || strncmp(name, "env.", 4) != 0)
        return reini_fail(REIN_USAGE,
                          "\"%.60s\" is not a setting of an evaluation, expected env.NAME to change the "
                          "environment",
                          name ? name : "");
    if (!s->env_config)
        return reini_fail(REIN_USAGE, "\"%.60s\": %s has no settings", name, s->env->id);
    rein_status status = rein_fields_set(s->env->fields, s->env->n_fields, s->env_config, name + 4, text);
    return status == REIN_OK ? REIN_OK : reini_fail_in(status, "env.");
}

/* the environment as the run was trained on it */
static rein_status use_run_dynamics(subject *s) {
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

static rein_status choose_env(subject *s, const rein_eval_opts *opts) {
    s->env = rein_env_find(opts->env ? opts->env : rein_policy_env(s->policy));
    if (!s->env)
        return REIN_USAGE;
    if (s->env->config_size) {
        s->env_config = reini_new(s->env->config_size);
        if (!s->env_config)
            return reini_fail_memory(s->env->config_size, "the settings of the environment");
        rein_fields_default(s->env->fields, s->env->n_fields, s->env_config);
    }
    if (s->dir[0])
        REINI_TRY(use_run_dynamics(s));
    for (int i = 0; i < opts->n_settings; i++)
        REINI_TRY(set_dynamics(s, opts->settings[i].name, opts->settings[i].value));
    REINI_TRY(rein_env_open(s->env, s->env_config, &s->opened));
    return reini_policy_fits(s->policy, &s->opened);
}

/* ---- the call ---------------------------------------------------------------------------------------- */

static rein_status check_opts(const rein_eval_opts *opts) {
    if (!opts->path)
        return reini_fail(REIN_USAGE, "no run directory or policy file was named");
    if (opts->episodes < 0 || opts->episodes > EPISODES_MAX)
        return reini_fail(REIN_USAGE, "episodes: %d is out of range, expected 1 <= episodes <= %d",
                          opts->episodes, EPISODES_MAX);
    if (!(opts->obs_noise >= 0) || !isfinite(opts->obs_noise))
        return reini_fail(REIN_USAGE, "obs_noise: %g is out of range, expected a standard deviation >= 0",
                          opts->obs_noise);
    if (opts->threads < 0 || opts->threads > 1024)
        return reini_fail(REIN_USAGE, "threads: %d is out of range, expected 0 <= threads <= 1024",
                          opts->threads);
    return REIN_OK;
}

static void summarise(rein_eval_result *r, const subject *s, const reini_eval_job *job,
                      const reini_scores *scores) {
    int n = job->episodes, successes = 0, draws = BOOTSTRAP_VALUES / n;
    snprintf(r->algo, sizeof r->algo, "%s", rein_policy_algo(s->policy));
    snprintf(r->env, sizeof r->env, "%s", s->env->id);
    r->episodes = n;
    r->return_mean = reini_mean(scores->returns, n);
    r->return_std = reini_std(scores->returns, n);
    r->return_iqm = reini_iqm(scores->returns, n);
    r->length_mean = reini_mean(scores->lengths, n);
    r->return_min = r->return_max = scores->returns[0];
    for (int i = 0; i < n; i++) {
        r->return_min = fmin(r->return_min, scores->returns[i]);
        r->return_max = fmax(r->return_max, scores->returns[i]);
        successes += scores->returns[i] >= s->env->reward_threshold;
    }
    draws = draws < BOOTSTRAP_MIN ? BOOTSTRAP_MIN : draws > BOOTSTRAP_MAX ? BOOTSTRAP_MAX : draws;
    reini_interval interval = reini_bootstrap(scores->returns, n, reini_mean, 0.95, draws, job->seed);
    r->return_low = interval.low;
    r->return_high = interval.high;
    r->success_rate = isnan(s->env->reward_threshold) ? NAN : (double)successes / n;
    r->latency_us = 1e6 * scores->act_seconds / (double)scores->act_rows;
}

/* without episodes: the mean is known, and there is nothing to be uncertain about */
static rein_status compute(rein_eval_result *r, const subject *s, const reini_eval_job *job) {
    reini_score score;
    bool done;
    REINI_TRY(reini_exact(job, &score, &done));
    if (!done)
        return REIN_OK;
    snprintf(r->algo, sizeof r->algo, "%s", rein_policy_algo(s->policy));
    snprintf(r->env, sizeof r->env, "%s", s->env->id);
    r->exact = 1;
    r->return_mean = r->return_low = r->return_high = score.mean;
    r->return_std = score.std;
    r->length_mean = score.length;
    r->return_min = r->return_max = r->return_iqm = r->success_rate = r->latency_us = NAN;
    return REIN_OK;
}

static rein_status play(rein_eval_result *result, const subject *s, const reini_eval_job *job) {
    reini_scores scores;
    rein_status status = reini_play(job, &scores);
    if (status == REIN_OK)
        summarise(result, s, job, &scores);
    reini_scores_release(&scores);
    return status;
}

static rein_status evaluate(subject *s, const rein_eval_opts *opts, rein_eval_result *result) {
    REINI_TRY(locate(s, opts->path));
    REINI_TRY(rein_policy_load(s->file, &s->policy));
    REINI_TRY(choose_env(s, opts));
    s->pool = rein_pool_new(reini_thread_count(opts->threads));
    if (!s->pool)
        return reini_fail(REIN_NOMEM, "%d worker threads could not be started: choose fewer with --threads",
                          reini_thread_count(opts->threads));
    reini_eval_job job = {.env = &s->opened,
                          .policy = s->policy,
                          .pool = s->pool,
                          .episodes = opts->episodes ? opts->episodes : 100,
                          .seed = reini_seed_for(opts->seed, "evaluation", 0),
                          .sample = opts->sample,
                          .obs_noise = opts->obs_noise,
                          .stop = opts->stop};
    REINI_TRY(reini_policy_digest(s->policy, result->policy_sha256));
    double start = reini_seconds();
    if (opts->episodes == 0 && reini_exact_applies(&job))
        REINI_TRY(compute(result, s, &job));
    if (!result->exact)
        REINI_TRY(play(result, s, &job));
    result->wall_s = reini_seconds() - start;
    return REIN_OK;
}

rein_status rein_eval(const rein_eval_opts *opts, rein_eval_result *result) {
    subject s = {0};
    memset(result, 0, sizeof *result);
    REINI_TRY(check_opts(opts));
    rein_status status = evaluate(&s, opts, result);
    rein_pool_free(s.pool);
    rein_env_close(&s.opened);
    reini_free(s.env_config);
    rein_policy_free(s.policy);
    return status;
}
