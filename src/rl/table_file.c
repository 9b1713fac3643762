/*
 * table_file.c - what a table policy puts into its file.
 *
 * Tensors, those that it has (table_policy.h says which one acts):
 *
 *     "action"  I32 (horizon x S)   greedy actions, -1 in terminal states
 *     "pi"      F64 (S x A)         probabilities of a stochastic policy
 *     "q"       F64 (S x A)         values of state and action
 *     "v"       F64 (S)             values of states
 *
 * Values are as the user sees them: costs when the environment counts costs. Members of the description:
 *
 *     "gamma": 0.99, "cost": false, "horizon": 1
 */
#include "rl/table_file.h"

#include <math.h>
#include <string.h>

enum { ACTION, PI, Q, V, TABLES };
static const char *const names[TABLES] = {"action", "pi", "q", "v"};

/* name, dtype, shape and size of a table */
static reini_st_tensor shape_of(const reini_table_policy *p, int which) {
    reini_st_tensor t = {.name = names[which], .dtype = which == ACTION ? "I32" : "F64", .ndim = 2};
    t.shape[0] = which == ACTION ? p->horizon : p->n_states;
    t.shape[1] = which == ACTION ? p->n_states : p->n_actions;
    t.bytes = (size_t)t.shape[0] * (size_t)t.shape[1] * (which == ACTION ? sizeof(int32_t) : sizeof(double));
    if (which == V) {
        t.ndim = 1;
        t.bytes = (size_t)p->n_states * sizeof(double);
    }
    return t;
}

static void *table_at(const reini_table_policy *p, int which) {
    void *tables[TABLES] = {p->action, p->pi, p->q, p->v};
    return tables[which];
}

/* ---- writing ------------------------------------------------------------------------------------------- */

bool reini_table_describe(const rein_policy *policy, json_t *description) {
    const reini_table_policy *p = (const reini_table_policy *)policy;
    return json_object_set_new(description, "gamma", json_real(p->gamma)) == 0 &&
           json_object_set_new(description, "cost", json_boolean(p->cost)) == 0 &&
           json_object_set_new(description, "horizon", json_integer(p->horizon)) == 0;
}

int reini_table_tensors_max(const rein_policy *policy) {
    return TABLES;
}

/* q and v as costs, in memory of their own */
static double *negated(const reini_table_policy *p, size_t *q_count) {
    *q_count = p->q != NULL ? (size_t)p->n_states * (size_t)p->n_actions : 0;
    size_t v_count = p->v != NULL ? (size_t)p->n_states : 0;
    double *copy = REINI_NEW_ARRAY(double, *q_count + v_count);
    for (size_t i = 0; copy != NULL && i < *q_count + v_count; i++)
        copy[i] = 0 - (i < *q_count ? p->q[i] : p->v[i - *q_count]);
    return copy;
}

int reini_table_tensors(const rein_policy *policy, reini_st_tensor *out, void **scratch) {
    const reini_table_policy *p = (const reini_table_policy *)policy;
    size_t q_count = 0;
    double *costs = p->cost ? negated(p, &q_count) : NULL;
    int n = 0;
    *scratch = costs;
    if (p->cost && costs == NULL)
        return -1;
    for (int which = 0; which < TABLES; which++) {
        if (table_at(p, which) == NULL)
            continue;
        out[n] = shape_of(p, which);
        out[n].data = table_at(p, which);
        if (p->cost && which >= Q)
            out[n].data = which == Q ? costs : costs + q_count;
        n++;
    }
    return n;
}

void reini_table_digest(const rein_policy *policy, reini_sha256 *sha) {
    const reini_table_policy *p = (const reini_table_policy *)policy;
    for (int which = 0; which < TABLES; which++)
        if (table_at(p, which) != NULL)
            reini_sha256_add(sha, table_at(p, which), shape_of(p, which).bytes);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static rein_status check_actions(const reini_table_policy *p) {
    int64_t n = p->action != NULL ? (int64_t)p->horizon * p->n_states : 0;
    for (int64_t i = 0; i < n; i++)
        if (p->action[i] < -1 || p->action[i] >= p->n_actions)
            return reini_fail(REIN_FORMAT, "the policy's action %d in state %lld is out of range, it has %d",
                              (int)p->action[i], (long long)(i % p->n_states), (int)p->n_actions);
    return REIN_OK;
}

static rein_status check_values(const reini_table_policy *p) {
    const double *tables[] = {p->pi, p->q, p->v};
    int64_t pairs = (int64_t)p->n_states * p->n_actions, sizes[] = {pairs, pairs, p->n_states};
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; tables[k] != NULL && i < sizes[k]; i++)
            if (isnan(tables[k][i]) || (k == 0 && !(tables[k][i] >= 0 && tables[k][i] <= 1)))
                return reini_fail(REIN_FORMAT, "the policy's table \"%s\" holds %g at entry %lld",
                                  names[PI + k], tables[k][i], (long long)i);
    return REIN_OK;
}

static rein_status fill_from(reini_table_policy *p, const reini_safetensors *st) {
    for (int which = 0; which < TABLES; which++) {
        reini_st_tensor wanted = shape_of(p, which);
        if (table_at(p, which) != NULL)
            REINI_TRY(reini_policy_copy_tensor(st, &wanted, table_at(p, which)));
    }
    int64_t pairs = (int64_t)p->n_states * p->n_actions;
    for (int64_t i = 0; p->cost && p->q != NULL && i < pairs; i++)
        p->q[i] = 0 - p->q[i];
    for (int64_t i = 0; p->cost && p->v != NULL && i < p->n_states; i++)
        p->v[i] = 0 - p->v[i];
    REINI_TRY(check_actions(p));
    return check_values(p);
}

/* the file's tables have the sizes the spaces say, before memory is asked for */
static rein_status check_shapes(const rein_policy *head, const reini_safetensors *st, int parts,
                                json_int_t horizon) {
    reini_table_policy p = {.n_states = rein_space_count(&head->obs),
                            .n_actions = rein_space_count(&head->act)};
    if (p.n_states == 0 || p.n_actions == 0 || horizon < 1 || horizon > INT32_MAX)
        return reini_fail(REIN_FORMAT, "the policy's spaces or its horizon are damaged");
    if (!(parts & (REINI_TABLE_ACTION | REINI_TABLE_PI | REINI_TABLE_Q)))
        return reini_fail(REIN_FORMAT, "the policy has none of the tables \"action\", \"pi\" and \"q\"");
    p.horizon = (int32_t)horizon;
    for (int which = 0; which < TABLES; which++) {
        const reini_st_tensor *t = reini_safetensors_find(st, names[which]);
        if (t != NULL && t->bytes != shape_of(&p, which).bytes)
            return reini_fail(
                REIN_MISMATCH, "the policy's table \"%s\" has %zu bytes, %d states and %d actions need %zu",
                names[which], t->bytes, (int)p.n_states, (int)p.n_actions, shape_of(&p, which).bytes);
    }
    return REIN_OK;
}

rein_status reini_table_load(const rein_policy *head, const json_t *description, const reini_safetensors *st,
                             rein_policy **out) {
    reini_table_policy *p = NULL;
    const json_t *gamma = json_object_get(description, "gamma");
    json_int_t horizon = json_integer_value(json_object_get(description, "horizon"));
    int parts = 0;
    for (int which = 0; which < TABLES; which++)
        parts |= reini_safetensors_find(st, names[which]) != NULL ? 1 << which : 0;
    if (!json_is_number(gamma))
        return reini_fail(REIN_FORMAT, "the policy's gamma is missing or damaged");
    REINI_TRY(check_shapes(head, st, parts, horizon));
    REINI_TRY(reini_table_new(head, parts, (int32_t)horizon, &p));
    p->gamma = json_number_value(gamma);
    p->cost = json_is_true(json_object_get(description, "cost"));
    rein_status status = fill_from(p, st);
    if (status == REIN_OK)
        *out = &p->base;
    else
        rein_policy_free(&p->base);
    return status;
}
