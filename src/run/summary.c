/*
 * summary.c - a summary as JSON and back.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "run/run_dir.h"
#include "run/summary.h"

typedef enum number_kind { INT32, INT64, REAL } number_kind;

/* REAL: what is not finite is written as null and read as NAN */
static const struct number {
    const char *name;
    number_kind kind;
    size_t offset;
} numbers[] = {
    {"seed", INT64, offsetof(rein_summary, seed)},
    {"env_steps", INT64, offsetof(rein_summary, env_steps)},
    {"wall_s", REAL, offsetof(rein_summary, wall_s)},
    {"sps", REAL, offsetof(rein_summary, sps)},
    {"eval_return_mean", REAL, offsetof(rein_summary, eval_return_mean)},
    {"eval_return_std", REAL, offsetof(rein_summary, eval_return_std)},
    {"eval_length_mean", REAL, offsetof(rein_summary, eval_length_mean)},
    {"eval_episodes", INT32, offsetof(rein_summary, eval_episodes)},
    {"eval_exact", INT32, offsetof(rein_summary, eval_exact)},
    {"skipped_updates", INT64, offsetof(rein_summary, skipped_updates)},
    {"seeds", INT32, offsetof(rein_summary, seeds)},
    {"seeds_mean", REAL, offsetof(rein_summary, seeds_mean)},
    {"seeds_std", REAL, offsetof(rein_summary, seeds_std)},
    {"seeds_iqm", REAL, offsetof(rein_summary, seeds_iqm)},
    {"seeds_low", REAL, offsetof(rein_summary, seeds_low)},
    {"seeds_high", REAL, offsetof(rein_summary, seeds_high)},
};
#define N_NUMBERS (int)(sizeof numbers / sizeof *numbers)

void reini_summary_init(rein_summary *s, const reini_setup *setup, const char *dir) {
    *s = (rein_summary){.seed = (uint64_t)setup->run.seed, .seeds = setup->seeds};
    snprintf(s->algo, sizeof s->algo, "%s", setup->algo->name);
    snprintf(s->env, sizeof s->env, "%s", setup->env->id);
    snprintf(s->run_dir, sizeof s->run_dir, "%s", dir);
    snprintf(s->unit, sizeof s->unit, "%s", setup->algo->unit ? setup->algo->unit : "steps");
    s->sps = s->eval_return_mean = s->eval_return_std = s->eval_length_mean = NAN;
    s->seeds_mean = s->seeds_std = s->seeds_iqm = s->seeds_low = s->seeds_high = NAN;
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static bool put(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0; /* also false for a NULL value */
}

static json_t *real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *number(const rein_summary *s, const struct number *n) {
    const char *at = (const char *)s + n->offset;
    switch (n->kind) {
    case INT32:
        return json_integer(*(const int *)at);
    case INT64:
        return json_integer((json_int_t) * (const int64_t *)at);
    default:
        return real(*(const double *)at);
    }
}

static bool put_summary(json_t *o, const rein_summary *s) {
    bool ok = put(o, "algo", json_string(s->algo)) && put(o, "env", json_string(s->env)) &&
              put(o, "run_dir", json_string(s->run_dir)) && put(o, "unit", json_string(s->unit)) &&
              put(o, "policy_sha256", json_string(s->policy_sha256));
    for (int i = 0; ok && i < N_NUMBERS; i++)
        ok = put(o, numbers[i].name, number(s, &numbers[i]));
    return ok;
}

/* what the run was asked for: another wish on resume means that it is not finished */
static bool put_target(json_t *o, const reini_setup *setup) {
    return put(o, "steps", json_integer(setup->run.steps)) && put(o, "stop_at", real(setup->run.stop_at));
}

static bool put_runs(json_t *o, const rein_summary *runs, int n) {
    json_t *list = json_array();
    bool ok = list != NULL;
    for (int i = 0; ok && i < n; i++) {
        json_t *run = json_object();
        ok = run && put_summary(run, &runs[i]);
        ok = json_array_append_new(list, run) == 0 && ok;
    }
    return put(o, "runs", list) && ok;
}

rein_status reini_summary_write(const rein_summary *s, const reini_setup *setup, const rein_summary *runs,
                                int n_runs) {
    char path[REINI_PATH_MAX];
    REINI_TRY(reini_path_join(path, sizeof path, s->run_dir, "summary.json"));
    json_t *o = json_object();
    rein_status status = REIN_OK;
    if (!o || !put_summary(o, s) || !put_target(o, setup) || (runs && !put_runs(o, runs, n_runs)))
        status = reini_fail_memory(1 << 12, path);
    if (status == REIN_OK)
        status = reini_json_write(path, o);
    json_decref(o);
    return status;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

static double get_real(const json_t *o, const char *key) {
    const json_t *value = json_object_get(o, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool matches(const json_t *o, const reini_setup *setup) {
    double stop_at = get_real(o, "stop_at");
    return json_integer_value(json_object_get(o, "steps")) == setup->run.steps &&
           (json_integer_value(json_object_get(o, "eval_exact")) ||
            json_integer_value(json_object_get(o, "eval_episodes")) == setup->run.eval_episodes) &&
           (isfinite(setup->run.stop_at) ? stop_at == setup->run.stop_at : isnan(stop_at));
}

static void read_number(rein_summary *s, const struct number *n, const json_t *o) {
    char *at = (char *)s + n->offset;
    json_int_t whole = json_integer_value(json_object_get(o, n->name));
    if (n->kind == INT32)
        *(int *)at = (int)whole;
    else if (n->kind == INT64)
        *(int64_t *)at = whole;
    else
        *(double *)at = get_real(o, n->name);
}

bool reini_summary_read(rein_summary *s, const reini_setup *setup, const char *dir) {
    char path[REINI_PATH_MAX];
    json_t *o;
    reini_summary_init(s, setup, dir);
    if (reini_path_join(path, sizeof path, dir, "summary.json") != REIN_OK || !reini_file_exists(path) ||
        reini_json_read(path, &o) != REIN_OK)
        return false;
    const char *sha = json_string_value(json_object_get(o, "policy_sha256"));
    bool ok = sha && matches(o, setup);
    if (ok) {
        snprintf(s->policy_sha256, sizeof s->policy_sha256, "%s", sha);
        for (int i = 0; i < N_NUMBERS; i++)
            read_number(s, &numbers[i], o);
    }
    json_decref(o);
    return ok;
}
