/*
 * table_policy.h - policies over numbered states: what planners and tabular learners produce.
 *
 * How an action is chosen in state s, by the first of these that is there:
 *     action   action[t][s] (t = steps since the episode began) of a finite-horizon plan, or action[0][s];
 *              -1 (terminal) acts as 0
 *     pi       sampled from pi[s], or its most likely action when greedy
 *     q        the first largest q[s][a] among the allowed actions
 *
 * Values are in the orientation of maximising (mdp/mdp.h); files and pictures show costs when `cost` is set.
 */
#ifndef REINI_TABLE_POLICY_H
#define REINI_TABLE_POLICY_H

#include "base/archive.h"
#include "rl/policy.h"

enum { REINI_TABLE_ACTION = 1, REINI_TABLE_PI = 2, REINI_TABLE_Q = 4, REINI_TABLE_V = 8 };

typedef struct reini_table_policy {
    rein_policy base;
    int32_t n_states, n_actions;
    int32_t horizon; /* rows of `action`, >= 1; action[t] serves t >= horizon - 1 from the last row on */
    bool cost;
    double gamma;    /* that the values are for */
    int32_t *action; /* (horizon x S) or NULL */
    double *pi;      /* (S x A)       or NULL */
    double *q;       /* (S x A)       or NULL */
    double *v;       /* (S)           or NULL */
} reini_table_policy;

/* For an environment with discrete observations and actions; parts: REINI_TABLE_* that it has, zeroed. Refuses other
 * spaces, and tables that do not fit the memory, with `algo` as the subject of the sentence. */
rein_status reini_table_policy_new(const char *algo, const rein_env_type *env, int parts, int32_t horizon,
                                   double gamma, reini_table_policy **out);
/* Everything under "policy.". */
rein_status reini_table_policy_visit(reini_table_policy *policy, reini_archive *archive);
/* The tables as a rein_policy, and back: NULL when it is of another kind. */
static inline rein_policy *reini_table_base(reini_table_policy *policy) {
    return &policy->base;
}
reini_table_policy *reini_table_of(rein_policy *policy);

/* First largest among allowed actions (mask NULL = all); 0 when none is allowed. */
int32_t reini_argmax(const double *q, int32_t n, const uint8_t *mask);

#endif
