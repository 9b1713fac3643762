/*
 * cost.c - limits on costs, and estimates of costs: the counterpart of a critic and its advantages for every cost.
 */
#include "rl/cost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/number.h"
#include "rl/advantage.h"

/* streams of initial weights must not be the policy's */
#define COST_SEED 0xC057000000000000u

/* ---- limits -------------------------------------------------------------------------------------------- */

/* "goal, speed" */
static void list_names(const rein_env_type *env, char *out, size_t size) {
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < env->n_costs && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i > 0 ? ", " : "", env->cost_names[i]);
}

static rein_status check_count(int n, const rein_env_type *env) {
    char names[REIN_COSTS_MAX * 40];
    if (env->n_costs == 0)
        return reini_fail(
            REIN_USAGE, "cost_limit: %s has no costs to limit; `rein list envs` shows environments", env->id);
    if (n == env->n_costs)
        return REIN_OK;
    list_names(env, names, sizeof names);
    return reini_fail(REIN_USAGE,
                      "cost_limit: %d limits for the %d costs of %s (%s): give one for each, "
                      "inf where there is none",
                      n, env->n_costs, env->id, names);
}

rein_status reini_limits_parse(const char *text, const rein_env_type *env, reini_limits *limits) {
    *limits = (reini_limits){0};
    if (strcmp(text, "none") == 0)
        return REIN_OK;
    int n = 0;
    for (const char *at = text; at != NULL; n++) {
        size_t length = strcspn(at, ",");
        double value = 0;
        if (reini_real_parse(at, length, &value) != REINI_NUMBER_OK || isnan(value) || value == -INFINITY)
            return reini_fail(REIN_USAGE,
                              "cost_limit: \"%.*s\" is not a number; limits are written \"25,0.5\"",
                              length < 40 ? (int)length : 40, at);
        if (n < REIN_COSTS_MAX)
            limits->at[n] = value;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    REINI_TRY(check_count(n, env));
    limits->n = n;
    return REIN_OK;
}

/* ---- construction -------------------------------------------------------------------------------------- */

static float *floats(int64_t n) {
    return REINI_NEW_ARRAY(float, (size_t)n);
}

static rein_status allocate(reini_costs *c) {
    const reini_rollout *r = c->rollout;
    int64_t TN = r->T * r->N;
    bool ok = (c->value = floats(c->limits.n * (TN + r->N))) && (c->adv = floats(c->limits.n * TN)) &&
              (c->ret = floats(c->limits.n * TN)) && (c->cost = floats(TN)) &&
              (c->last = floats(c->limits.n * r->N * r->final_capacity)) && (c->layout = rein_layout_new());
    return ok ? REIN_OK
              : reini_fail_memory((size_t)(c->limits.n * TN) * 3 * sizeof(float), "values of costs");
}

rein_tensor *reini_costs_value(const reini_costs *c, int slot, int i, const reini_net_inputs *in) {
    char name[16];
    snprintf(name, sizeof name, "cost%d", i);
    return reini_net_value_beside(c->policy, slot, name, in);
}

static rein_status make_program(reini_costs *c, const reini_costs_opts *opts) {
    const reini_rollout *r = c->rollout;
    rein_graph *g = c->g = rein_graph_new(REIN_F32);
    if (g == NULL)
        return reini_fail_memory(1 << 14, "a value program");
    int rows = rein_extent(g, "rows", (r->T + 1) * r->N), slot = rein_slot(g, c->layout);
    c->in.obs = rein_input(g, "obs", reini_net_obs_dtype(&c->policy->base.obs), rows, 1, &r->obs_size);
    reini_net_norm_inputs(c->policy, g, &c->in);
    if (r->state_size > 0)
        c->in.state = rein_input(g, "state", REIN_F32, rows, 1, &r->state_size);
    for (int i = 0; i < c->limits.n; i++)
        c->out[i] = rein_output(reini_costs_value(c, slot, i, &c->in), "cost value");
    REINI_TRY(rein_compile(g, &(rein_compile_opts){.matmul = c->policy->matmul}, &c->program));
    REINI_TRY(rein_store_new(c->layout, REIN_F32, &c->store));
    REINI_TRY(rein_store_init(c->store, opts->seed ^ COST_SEED));
    REINI_TRY(rein_exec_new(c->program, opts->pool, &c->exec));
    rein_exec_bind_store(c->exec, slot, c->store);
    reini_net_bind_norm(c->policy, c->exec, &c->in);
    return REIN_OK;
}

rein_status reini_costs_init(reini_costs *c, const reini_costs_opts *opts, const reini_net *policy,
                             reini_rollout *rollout) {
    *c = (reini_costs){.policy = policy,
                       .rollout = rollout,
                       .limits = opts->limits,
                       .gamma = opts->gamma,
                       .lambda = opts->lambda,
                       .length = NAN};
    for (int i = 0; i < c->limits.n; i++)
        c->episode[i] = NAN;
    REINI_TRY(allocate(c));
    return make_program(c, opts);
}

void reini_costs_release(reini_costs *c) {
    rein_exec_free(c->exec);
    rein_program_free(c->program);
    rein_graph_free(c->g);
    rein_store_free(c->store);
    rein_layout_free(c->layout);
    float *arrays[] = {c->value, c->adv, c->ret, c->cost, c->last};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        reini_free(arrays[i]);
}

/* ---- estimates ----------------------------------------------------------------------------------------- */

/* Values of `rows` observations, those of cost i from value + i stride on. */
static void values_of(reini_costs *c, const void *obs, const float *state, float *value, int64_t stride,
                      int64_t rows) {
    if (rows == 0)
        return;
    rein_exec_rows(c->exec, 0, rows);
    rein_exec_bind(c->exec, c->in.obs, obs, 0);
    if (c->in.state != NULL)
        rein_exec_bind(c->exec, c->in.state, state, 0);
    for (int i = 0; i < c->limits.n; i++)
        rein_exec_bind(c->exec, c->out[i], value + i * stride, 0);
    rein_exec_run(c->exec);
}

/* Values of the last observations of episodes that were cut. */
static void value_finals(reini_costs *c) {
    const reini_rollout *r = c->rollout;
    for (int64_t n = 0; n < r->N; n++) {
        int64_t at = n * r->final_capacity;
        const char *obs = (const char *)r->final_obs + at * (int64_t)r->obs_bytes;
        const float *state = r->state_size > 0 ? r->final_state + at * r->state_size : NULL;
        values_of(c, obs, state, c->last + at, r->N * r->final_capacity, r->final_count[n]);
    }
}

/* Cost i of every step, with the discounted value of the last observation where an episode was cut. */
static void take_cost(reini_costs *c, int i) {
    const reini_rollout *r = c->rollout;
    const float *last = c->last + i * r->N * r->final_capacity;
    for (int64_t k = 0; k < r->T * r->N; k++)
        c->cost[k] = r->cost[k * r->n_costs + i];
    for (int64_t n = 0; n < r->N; n++)
        for (int64_t k = n * r->final_capacity; k < n * r->final_capacity + r->final_count[n]; k++)
            c->cost[r->final_step[k] * r->N + n] += (float)c->gamma * last[k];
}

static void estimate_one(reini_costs *c, int i) {
    const reini_rollout *r = c->rollout;
    take_cost(c, i);
    reini_gae(reini_costs_adv(c, i), reini_costs_ret(c, i), c->cost, r->done, reini_costs_values(c, i), r->T,
              r->N, (float)c->gamma, (float)c->lambda);
}

static void note_episodes(reini_costs *c) {
    const reini_rollout *r = c->rollout;
    double sum[REIN_COSTS_MAX] = {0}, length = 0;
    int64_t ended = 0;
    for (int64_t k = 0; k < r->T * r->N; k++) {
        if (!r->done[k])
            continue;
        ended++;
        length += r->ep_length[k];
        for (int i = 0; i < c->limits.n; i++)
            sum[i] += (double)r->ep_cost[k * r->n_costs + i];
    }
    if (ended == 0)
        return;
    c->length = length / (double)ended;
    for (int i = 0; i < c->limits.n; i++)
        c->episode[i] = sum[i] / (double)ended;
}

void reini_costs_estimate(reini_costs *c) {
    const reini_rollout *r = c->rollout;
    values_of(c, r->obs, r->state, c->value, (r->T + 1) * r->N, (r->T + 1) * r->N);
    value_finals(c);
    for (int i = 0; i < c->limits.n; i++)
        estimate_one(c, i);
    note_episodes(c);
}

void reini_costs_price(const reini_costs *c, const double *price) {
    reini_rollout *r = c->rollout;
    double whole = 1;
    for (int i = 0; i < c->limits.n; i++)
        whole += price[i];
    for (int64_t k = 0; k < r->T * r->N; k++) {
        double adv = r->adv[k];
        for (int i = 0; i < c->limits.n; i++)
            adv -= price[i] * (double)reini_costs_adv(c, i)[k];
        r->adv[k] = (float)(adv / whole);
    }
}

rein_status reini_costs_visit(reini_costs *c, reini_archive *archive) {
    size_t bytes = (size_t)rein_store_size(c->store) * sizeof(float);
    REINI_TRY(reini_archive_bytes(archive, "costs.parameters", rein_store_data(c->store), bytes));
    REINI_TRY(reini_archive_bytes(archive, "costs.episode", c->episode, sizeof c->episode));
    return reini_archive_bytes(archive, "costs.length", &c->length, sizeof c->length);
}
