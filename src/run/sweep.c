/*
 * sweep.c - rein_sweep: the policies of a run under changed conditions.
 *
 * Every condition plays the same episodes, as far as the changes let them be the same: starts, draws and noise come
 * from the same streams. So differences between conditions are not those between draws.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/number.h"
#include "run/run_dir.h"
#include "run/statistics.h"
#include "run/subject.h"
#include "run/sweep_axis.h"
#include "run/text.h"

#define BOOTSTRAP_DRAWS 10000
#define CSV_DIGITS      9

typedef struct sweep {
    const rein_sweep_opts *opts;
    rein_sweep_result *result;
    reini_axis axis[REIN_SWEEP_AXES];
    int policies;
    int64_t first_seed;       /* of a run of several seeds */
    rein_eval_result *policy; /* (policies)  in one condition */
    rein_setting *settings;   /* those of the call, and room for the axes */
} sweep;

static void sweep_release(sweep *s) {
    for (int i = 0; i < REIN_SWEEP_AXES; i++)
        reini_axis_release(&s->axis[i]);
    reini_free(s->policy);
    reini_free(s->settings);
}

void rein_sweep_release(rein_sweep_result *result) {
    reini_free(result->at);
    *result = (rein_sweep_result){0};
}

/* ---- policies ------------------------------------------------------------------------------------------ */

/* a run of several seeds: their number and the first; else 1 */
static int count_seeds(const char *dir, int64_t *first) {
    char path[REINI_PATH_MAX];
    reini_dir_kind kind;
    json_t *config;
    *first = 0;
    if (!dir || reini_dir_look(dir, &kind) != REIN_OK || kind != REINI_DIR_RUN ||
        reini_path_join(path, sizeof path, dir, "config.json") != REIN_OK ||
        reini_json_read(path, &config) != REIN_OK)
        return 1;
    int n = (int)json_integer_value(json_object_get(config, "seeds"));
    const char *seed = json_string_value(json_object_get(json_object_get(config, "settings"), "seed"));
    if (seed)
        reini_int_parse(seed, strlen(seed), false, first);
    json_decref(config);
    return n > 1 && n <= REINI_SEEDS_MAX ? n : 1;
}

int rein_policies_of(const char *path) {
    int64_t first;
    return count_seeds(path, &first);
}

/* buffer: holds the path where it is another than the call's */
static rein_status path_of(const sweep *s, int policy, char buffer[REINI_DIR_MAX], const char **path) {
    *path = s->policies == 1 ? s->opts->eval.path : buffer;
    return s->policies == 1 ? REIN_OK : reini_dir_of_seed(buffer, s->opts->eval.path, s->first_seed + policy);
}

/* ---- one condition ------------------------------------------------------------------------------------- */

/* mean over the policies of one of their figures */
static double mean_of(const sweep *s, size_t offset) {
    double sum = 0;
    for (int i = 0; i < s->policies; i++) {
        double x;
        memcpy(&x, (const char *)&s->policy[i] + offset, sizeof x);
        sum += x / s->policies;
    }
    return sum;
}
#define MEAN_OF(s, figure) mean_of((s), offsetof(rein_eval_result, figure))

/* of every cost, over policies of the same environment */
static void combine_costs(const sweep *s, rein_eval_result *out, double *mean) {
    for (int k = 0; k < out->n_costs; k++) {
        for (int i = 0; i < s->policies; i++)
            mean[i] = s->policy[i].cost_mean[k];
        reini_interval interval =
            reini_bootstrap(mean, s->policies, reini_mean, 0.95, BOOTSTRAP_DRAWS, s->opts->eval.seed);
        out->cost_mean[k] = reini_mean(mean, s->policies);
        out->cost_low[k] = interval.low;
        out->cost_high[k] = interval.high;
    }
}

static rein_status combine(const sweep *s, rein_eval_result *out) {
    int n = s->policies;
    *out = s->policy[0];
    if (n == 1)
        return REIN_OK;
    double *mean = REINI_NEW_ARRAY(double, (size_t)n);
    if (!mean)
        return reini_fail_memory((size_t)n * sizeof *mean, "the scores of the policies");
    out->return_min = INFINITY;
    out->return_max = -INFINITY;
    out->wall_s = 0;
    for (int i = 0; i < n; i++) {
        mean[i] = s->policy[i].return_mean;
        out->return_min = fmin(out->return_min, mean[i]);
        out->return_max = fmax(out->return_max, mean[i]);
        out->wall_s += s->policy[i].wall_s;
    }
    reini_interval interval = reini_bootstrap(mean, n, reini_mean, 0.95, BOOTSTRAP_DRAWS, s->opts->eval.seed);
    out->return_mean = reini_mean(mean, n);
    out->return_std = reini_std(mean, n);
    out->return_iqm = reini_iqm(mean, n);
    out->return_low = interval.low;
    out->return_high = interval.high;
    out->length_mean = MEAN_OF(s, length_mean);
    out->success_rate = MEAN_OF(s, success_rate);
    out->intervention_share = MEAN_OF(s, intervention_share);
    out->interventions_mean = MEAN_OF(s, interventions_mean);
    out->latency_us = MEAN_OF(s, latency_us);
    out->policy_sha256[0] = 0;
    combine_costs(s, out, mean);
    reini_free(mean);
    return REIN_OK;
}

/* the call's settings and those of the condition; names: room for the text */
static rein_status change(const sweep *s, const rein_condition *c, rein_eval_opts *eval,
                          char names[REIN_SWEEP_AXES][REIN_SWEEP_TEXT + 4]) {
    eval->settings = s->settings;
    for (int i = 0; i < s->result->n_axes; i++) {
        const char *value = c->value[i];
        if (reini_axis_is_noise(&s->axis[i])) {
            if (reini_real_parse(value, strlen(value), &eval->obs_noise) != REINI_NUMBER_OK)
                return reini_fail(REIN_INTERNAL, "the noise %s is not a number", value);
            continue;
        }
        snprintf(names[i], sizeof names[i], "env.%s", s->axis[i].name);
        s->settings[eval->n_settings++] = (rein_setting){names[i], value};
    }
    return REIN_OK;
}

static rein_status evaluate(const sweep *s, rein_condition *c) {
    char dir[REINI_DIR_MAX], names[REIN_SWEEP_AXES][REIN_SWEEP_TEXT + 4];
    rein_eval_opts eval = s->opts->eval;
    REINI_TRY(change(s, c, &eval, names));
    for (int i = 0; i < s->policies; i++) {
        REINI_TRY(path_of(s, i, dir, &eval.path));
        REINI_TRY(rein_eval(&eval, &s->policy[i]));
    }
    return combine(s, &c->result);
}

/* ---- the table as CSV ---------------------------------------------------------------------------------- */

static void put_number(reini_text *text, double x) {
    char number[REINI_REAL_TEXT];
    if (isfinite(x))
        reini_real_format(number, x, CSV_DIGITS);
    reini_text_put(text, ",%s", isfinite(x) ? number : "");
}

static rein_status write_csv(const rein_sweep_result *r, const char *path) {
    reini_text text = {0};
    char *whole;
    for (int i = 0; i < r->n_axes; i++)
        reini_text_put(&text, "%s,", r->name[i]);
    reini_text_put(&text, "policies,episodes,return_mean,return_std,return_low,return_high,return_iqm,"
                          "length_mean,success_rate,intervention_share\n");
    for (int i = 0; i < r->n; i++) {
        const rein_eval_result *e = &r->at[i].result;
        const double figures[] = {e->return_mean, e->return_std,  e->return_low,   e->return_high,
                                  e->return_iqm,  e->length_mean, e->success_rate, e->intervention_share};
        for (int k = 0; k < r->n_axes; k++)
            reini_text_put(&text, "%s,", r->at[i].value[k]);
        reini_text_put(&text, "%d,%d", r->policies, e->episodes);
        for (size_t k = 0; k < sizeof figures / sizeof *figures; k++)
            put_number(&text, figures[k]);
        reini_text_put(&text, "\n");
    }
    REINI_TRY(reini_text_take(&text, "the table of a sweep", &whole));
    rein_status status = reini_file_write(path, whole, strlen(whole));
    reini_free(whole);
    return status;
}

/* ---- the call ------------------------------------------------------------------------------------------ */

/* names and values are checked against the environment of the first policy */
static rein_status read_axes(sweep *s) {
    const rein_sweep_opts *opts = s->opts;
    reini_subject subject = {0};
    char dir[REINI_DIR_MAX];
    const char *path;
    if (opts->n_axes > REIN_SWEEP_AXES)
        return reini_fail(REIN_USAGE, "%d sweeps were asked for, expected %d at most", opts->n_axes,
                          REIN_SWEEP_AXES);
    REINI_TRY(path_of(s, 0, dir, &path));
    rein_status status = reini_subject_load(&subject, path);
    const char *id = status != REIN_OK ? NULL
                     : opts->eval.env  ? opts->eval.env
                                       : rein_policy_env(subject.policy);
    const rein_env_type *env = id ? rein_env_find(id) : NULL;
    if (status == REIN_OK && !env)
        status = REIN_USAGE;
    for (int i = 0; status == REIN_OK && i < opts->n_axes; i++) {
        status = reini_axis_read(&s->axis[i], opts->axes[i], env);
        if (status == REIN_OK && i > 0 && strcmp(s->axis[0].name, s->axis[1].name) == 0)
            status = reini_fail(REIN_USAGE, "sweep: %s is named twice", s->axis[0].name);
    }
    reini_subject_release(&subject);
    return status;
}

static rein_status make_conditions(sweep *s) {
    rein_sweep_result *r = s->result;
    int n[REIN_SWEEP_AXES] = {1, 1};
    r->n_axes = s->opts->n_axes;
    r->policies = s->policies;
    for (int i = 0; i < r->n_axes; i++) {
        n[i] = s->axis[i].n;
        snprintf(r->name[i], sizeof r->name[i], "%s", s->axis[i].name);
    }
    r->n = n[0] * n[1];
    r->at = REINI_NEW_ARRAY(rein_condition, (size_t)r->n);
    s->policy = REINI_NEW_ARRAY(rein_eval_result, (size_t)s->policies);
    s->settings = REINI_NEW_ARRAY(rein_setting, (size_t)s->opts->eval.n_settings + REIN_SWEEP_AXES);
    if (!r->at || !s->policy || !s->settings)
        return reini_fail_memory((size_t)r->n * sizeof *r->at, "the conditions of a sweep");
    if (s->opts->eval.n_settings > 0)
        memcpy(s->settings, s->opts->eval.settings, (size_t)s->opts->eval.n_settings * sizeof *s->settings);
    for (int i = 0; i < r->n; i++)
        for (int k = 0; k < r->n_axes; k++)
            memcpy(r->at[i].value[k], s->axis[k].value[k == 0 ? i / n[1] : i % n[1]], REIN_SWEEP_TEXT);
    return REIN_OK;
}

static rein_status run(sweep *s) {
    if (!s->opts->eval.path)
        return reini_fail(REIN_USAGE, "no run directory or policy file was named");
    s->policies = count_seeds(s->opts->eval.path, &s->first_seed);
    REINI_TRY(read_axes(s));
    REINI_TRY(make_conditions(s));
    for (int i = 0; i < s->result->n; i++)
        REINI_TRY(evaluate(s, &s->result->at[i]));
    return s->opts->out ? write_csv(s->result, s->opts->out) : REIN_OK;
}

rein_status rein_sweep(const rein_sweep_opts *opts, rein_sweep_result *result) {
    sweep s = {.opts = opts, .result = result};
    *result = (rein_sweep_result){0};
    rein_status status = run(&s);
    sweep_release(&s);
    return status;
}
