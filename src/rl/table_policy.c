/*
 * table_policy.c - policies over numbered states: construction, acting, checkpoints.
 */
#include "rl/table_policy.h"

#include <stdio.h>
#include <string.h>
#include "rl/table_file.h"

/* Philox stream of actions drawn from pi */
enum { ACTION_STREAM = 0x5441424C };

int32_t reini_argmax(const double *q, int32_t n, const uint8_t *mask) {
    int32_t best = -1;
    for (int32_t a = 0; a < n; a++)
        if ((mask == NULL || mask[a]) && (best < 0 || q[a] > q[best]))
            best = a;
    return best < 0 ? 0 : best;
}

/* ---- construction -------------------------------------------------------------------------------------- */

static bool times(size_t *x, size_t y) {
    return !__builtin_mul_overflow(*x, y, x);
}

/* bytes of the tables; false when they do not fit a size */
static bool table_bytes(const reini_table_policy *p, int parts, size_t bytes[4]) {
    size_t states = (size_t)p->n_states, actions = (size_t)p->n_actions;
    size_t all[4] = {sizeof(int32_t), sizeof(double), sizeof(double), sizeof(double)};
    size_t rows[4] = {(size_t)p->horizon, actions, actions, 1};
    size_t sum = 0;
    for (int k = 0; k < 4; k++) {
        bytes[k] = 0;
        if (!(parts & 1 << k))
            continue;
        if (!times(&all[k], states) || !times(&all[k], rows[k]) || __builtin_add_overflow(sum, all[k], &sum))
            return false;
        bytes[k] = all[k];
    }
    return true;
}

static rein_status make_tables(reini_table_policy *p, int parts) {
    size_t bytes[4] = {0};
    char what[160];
    snprintf(what, sizeof what, "the tables of %s (%d states, %d actions, %d steps)", p->base.algo,
             (int)p->n_states, (int)p->n_actions, (int)p->horizon);
    if (!table_bytes(p, parts, bytes))
        return reini_fail(REIN_NOMEM, "%s do not fit any memory", what);
    size_t sum = bytes[0] + bytes[1] + bytes[2] + bytes[3];
    REINI_TRY(reini_memory_claim(sum, what));
    p->action = bytes[0] > 0 ? reini_new(bytes[0]) : NULL;
    p->pi = bytes[1] > 0 ? reini_new(bytes[1]) : NULL;
    p->q = bytes[2] > 0 ? reini_new(bytes[2]) : NULL;
    p->v = bytes[3] > 0 ? reini_new(bytes[3]) : NULL;
    if ((bytes[0] > 0 && !p->action) || (bytes[1] > 0 && !p->pi) || (bytes[2] > 0 && !p->q) ||
        (bytes[3] > 0 && !p->v))
        return reini_fail_memory(sum, what);
    return REIN_OK;
}

static rein_status check_spaces(const char *algo, const rein_env_type *env) {
    char obs[128], act[128];
    if (rein_space_count(&env->obs) > 0 && rein_space_count(&env->act) > 0)
        return REIN_OK;
    rein_space_print(&env->obs, obs, sizeof obs);
    rein_space_print(&env->act, act, sizeof act);
    return reini_fail(REIN_USAGE,
                      "%s needs numbered states and actions; %s observes %s and takes %s: choose a tabular "
                      "environment (`rein list envs`), or a method for networks such as ppo",
                      algo, env->id, obs, act);
}

rein_status reini_table_new(const rein_policy *head, int parts, int32_t horizon, reini_table_policy **out) {
    reini_table_policy *p = REINI_NEW(reini_table_policy);
    if (p == NULL)
        return reini_fail_memory(sizeof *p, "a policy");
    p->base = *head;
    p->base.kind = &reini_kind_table;
    p->n_states = rein_space_count(&head->obs);
    p->n_actions = rein_space_count(&head->act);
    p->horizon = horizon;
    rein_status status = make_tables(p, parts);
    if (status != REIN_OK) {
        rein_policy_free(&p->base);
        return status;
    }
    *out = p;
    return REIN_OK;
}

rein_status reini_table_policy_new(const char *algo, const rein_env_type *env, int parts, int32_t horizon,
                                   double gamma, reini_table_policy **out) {
    rein_policy head = {.obs = env->obs, .act = env->act};
    snprintf(head.algo, sizeof head.algo, "%s", algo);
    snprintf(head.env, sizeof head.env, "%s", env->id);
    REINI_TRY(check_spaces(algo, env));
    REINI_TRY(reini_table_new(&head, parts, horizon, out));
    (*out)->gamma = gamma;
    (*out)->cost = env->mdp != NULL && rein_mdp_is_cost(env->mdp);
    return REIN_OK;
}

static void table_free(rein_policy *policy) {
    reini_table_policy *p = (reini_table_policy *)policy;
    reini_free(p->action);
    reini_free(p->pi);
    reini_free(p->q);
    reini_free(p->v);
    reini_free(p);
}

reini_table_policy *reini_table_of(rein_policy *policy) {
    return policy != NULL && policy->kind == &reini_kind_table ? (reini_table_policy *)policy : NULL;
}

rein_status reini_table_policy_visit(reini_table_policy *p, reini_archive *archive) {
    size_t states = (size_t)p->n_states, pairs = states * (size_t)p->n_actions;
    if (p->action != NULL)
        REINI_TRY(reini_archive_bytes(archive, "policy.action", p->action,
                                      states * (size_t)p->horizon * sizeof *p->action));
    if (p->pi != NULL)
        REINI_TRY(reini_archive_bytes(archive, "policy.pi", p->pi, pairs * sizeof *p->pi));
    if (p->q != NULL)
        REINI_TRY(reini_archive_bytes(archive, "policy.q", p->q, pairs * sizeof *p->q));
    if (p->v != NULL)
        REINI_TRY(reini_archive_bytes(archive, "policy.v", p->v, states * sizeof *p->v));
    return REIN_OK;
}

/* ---- acting -------------------------------------------------------------------------------------------- */

/* row of the call draws from (seed, row_base + row, step), as the sampling networks do */
static double uniform_of(const rein_sampling *sampling, int row) {
    uint32_t word[4];
    uint64_t high = sampling->step | (uint64_t)ACTION_STREAM << 32;
    rein_philox(sampling->seed, sampling->row_base + (uint64_t)row, high, word);
    return (double)((uint64_t)word[0] << 21 ^ word[1] >> 11) * (1.0 / 9007199254740992.0);
}

/* from the allowed actions, in proportion to their probabilities; all equal when those are 0 */
static int32_t draw(const double *pi, int32_t n, const uint8_t *mask, double u) {
    double sum = 0;
    int32_t allowed = 0, last = 0;
    for (int32_t a = 0; a < n; a++) {
        bool may = mask == NULL || mask[a];
        sum += may ? pi[a] : 0;
        allowed += may;
    }
    double left = u * (sum > 0 ? sum : allowed);
    for (int32_t a = 0; a < n; a++) {
        double p = mask != NULL && !mask[a] ? 0 : sum > 0 ? pi[a] : 1;
        if (p == 0)
            continue;
        last = a;
        left -= p;
        if (left < 0)
            break;
    }
    return last;
}

static int32_t choose(const reini_table_policy *p, int64_t t, int32_t s, const uint8_t *mask,
                      const rein_sampling *sampling, int row) {
    size_t actions = (size_t)p->n_actions;
    if (p->action != NULL) {
        int64_t step = t < p->horizon ? t : p->horizon - 1;
        int32_t a = p->action[step * p->n_states + s];
        return a < 0 ? 0 : a;
    }
    if (p->pi != NULL) {
        const double *pi = p->pi + (size_t)s * actions;
        return sampling != NULL ? draw(pi, p->n_actions, mask, uniform_of(sampling, row))
                                : reini_argmax(pi, p->n_actions, mask);
    }
    return reini_argmax(p->q + (size_t)s * actions, p->n_actions, mask);
}

static void table_act(rein_policy *policy, int64_t t, int n, const void *obs, const uint8_t *mask,
                      const rein_sampling *sampling, void *actions) {
    const reini_table_policy *p = (const reini_table_policy *)policy;
    size_t logits = (size_t)rein_space_logits(&policy->act);
    /* masks are per number of the action; they fit the table's actions when that is a single number */
    bool masked = mask != NULL && policy->act.size == 1;
    for (int i = 0; i < n; i++) {
        int32_t s = rein_space_index(&policy->obs, (const int32_t *)obs + i * policy->obs.size);
        int32_t a = choose(p, t, s, masked ? mask + (size_t)i * logits : NULL, sampling, i);
        rein_space_item(&policy->act, a, (int32_t *)actions + i * policy->act.size);
    }
}

const reini_policy_kind reini_kind_table = {
    .name = "table",
    .free = table_free,
    .act = table_act,
    .describe = reini_table_describe,
    .tensors_max = reini_table_tensors_max,
    .tensors = reini_table_tensors,
    .load = reini_table_load,
    .digest = reini_table_digest,
};
