/*
 * summary.c - a summary as JSON and back.
 */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "run/run_dir.h"
#include "run/summary.h"

/* Numbers of a summary; REAL: NAN is written as null. */
#define NUMBERS(INTEGER, REAL)                                                                                   \
    INTEGER(seed) INTEGER(env_steps) REAL(wall_s) REAL(sps) REAL(eval_return_mean) REAL(eval_return_std)         \
    REAL(eval_length_mean) INTEGER(eval_episodes) INTEGER(skipped_updates)
#define SEEDS_NUMBERS(REAL) REAL(seeds_mean) REAL(seeds_std) REAL(seeds_iqm) REAL(seeds_low) REAL(seeds_high)

void reini_summary_init(rein_summary *s, const reini_setup *setup, const char *dir) {
    *s = (rein_summary){.seed = (uint64_t)setup->run.seed, .seeds = setup->seeds};
    snprintf(s->algo, sizeof s->algo, "%s", setup->algo->name);
    snprintf(s->env, sizeof s->env, "%s", setup->env->id);
    snprintf(s->run_dir, sizeof s->run_dir, "%s", dir);
    s->sps = s->eval_return_mean = s->eval_return_std = s->eval_length_mean = NAN;
    s->seeds_mean = s->seeds_std = s->seeds_iqm = s->seeds_low = s->seeds_high = NAN;
}

/* ---- writing -------------------------------------------------------------------------------------------- */

static bool put(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0; /* also false for a NULL value */
}

static json_t *real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static bool put_summary(json_t *o, const rein_summary *s) {
#define PUT_INTEGER(name) ok = ok && put(o, #name, json_integer((json_int_t)s->name));
#define PUT_REAL(name)    ok = ok && put(o, #name, real(s->name));
    bool ok = put(o, "algo", json_string(s->algo)) && put(o, "env", json_string(s->env)) &&
              put(o, "run_dir", json_string(s->run_dir));
    NUMBERS(PUT_INTEGER, PUT_REAL)
    ok = ok && put(o, "policy_sha256", json_string(s->policy_sha256)) && put(o, "seeds", json_integer(s->seeds));
    if (s->seeds > 1) {
        SEEDS_NUMBERS(PUT_REAL)
    }
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

rein_status reini_summary_write(const rein_summary *s, const reini_setup *setup, const rein_summary *runs, int n_runs) {
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

/* ---- reading -------------------------------------------------------------------------------------------- */

static double get_real(const json_t *o, const char *key) {
    const json_t *value = json_object_get(o, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool matches(const json_t *o, const reini_setup *setup) {
    double stop_at = get_real(o, "stop_at");
    return json_integer_value(json_object_get(o, "steps")) == setup->run.steps &&
           json_integer_value(json_object_get(o, "eval_episodes")) == setup->run.eval_episodes &&
           (isfinite(setup->run.stop_at) ? stop_at == setup->run.stop_at : isnan(stop_at));
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
#define GET_INTEGER(name) s->name = (__typeof__(s->name))json_integer_value(json_object_get(o, #name));
#define GET_REAL(name)    s->name = get_real(o, #name);
        NUMBERS(GET_INTEGER, GET_REAL)
        snprintf(s->policy_sha256, sizeof s->policy_sha256, "%s", sha);
    }
    json_decref(o);
    return ok;
}
