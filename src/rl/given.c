/*
 * given.c - rows of probabilities from a policy's tables.
 */
#include "rl/given.h"

#include <stdio.h>
#include <string.h>

static rein_status check_tables(reini_given *g, const char *field, const char *path, rein_policy *policy,
                                const rein_env_type *env) {
    g->file = reini_table_of(policy);
    if (g->file == NULL) {
        rein_policy_free(policy);
        return reini_fail(REIN_USAGE, "%s: %s holds a network; a policy with tables is needed", field, path);
    }
    if (g->file->n_states != rein_space_count(&env->obs) || g->file->n_actions != rein_space_count(&env->act))
        return reini_fail(REIN_MISMATCH, "%s: %s has %d states and %d actions, %s has %d and %d", field, path,
                          (int)g->file->n_states, (int)g->file->n_actions, env->id,
                          (int)rein_space_count(&env->obs), (int)rein_space_count(&env->act));
    if (g->file->horizon > 1)
        return reini_fail(REIN_USAGE,
                          "%s: %s is a plan for %d steps, whose actions depend on the time; a policy of the "
                          "state alone is needed",
                          field, path, (int)g->file->horizon);
    return REIN_OK;
}

rein_status reini_given_init(reini_given *g, const char *field, const char *from, const rein_env_type *env) {
    char path[REIN_TEXT_MAX + 32];
    rein_policy *policy;
    *g = (reini_given){.A = rein_space_count(&env->act)};
    if (strcmp(from, "uniform") == 0)
        return REIN_OK;
    snprintf(path, sizeof path, "%s%s", from, reini_dir_exists(from) ? "/policy.safetensors" : "");
    rein_status status = rein_policy_load(path, &policy);
    if (status != REIN_OK)
        return reini_fail_in(status, "%s: ", field);
    status = check_tables(g, field, path, policy, env);
    if (status != REIN_OK)
        reini_given_release(g);
    return status;
}

void reini_given_release(reini_given *g) {
    rein_policy_free(g->file != NULL ? reini_table_base(g->file) : NULL);
    *g = (reini_given){0};
}

/* all on one action */
static void sure(double *p, int32_t n, int32_t action) {
    for (int32_t a = 0; a < n; a++)
        p[a] = a == action ? 1 : 0;
}

/* p without forbidden actions, summing to one again; uniform over the allowed ones when nothing is left */
static void restrict_to(const uint8_t *mask, int32_t n, double *p) {
    double sum = 0;
    int32_t allowed = 0;
    for (int32_t a = 0; a < n; a++) {
        p[a] = mask == NULL || mask[a] ? p[a] : 0;
        sum += p[a];
        allowed += mask == NULL || mask[a];
    }
    for (int32_t a = 0; a < n; a++)
        p[a] = sum > 0 ? p[a] / sum : mask == NULL || mask[a] ? 1.0 / allowed : 0;
}

void reini_given_row(const reini_given *g, int32_t s, const uint8_t *mask, double *p) {
    const reini_table_policy *file = g->file;
    int32_t n = g->A, allowed = 0;
    size_t at = (size_t)s * (size_t)n;
    if (file == NULL)
        memset(p, 0, (size_t)n * sizeof *p);
    else if (file->action != NULL)
        sure(p, n, file->action[s] < 0 ? 0 : file->action[s]);
    else if (file->pi != NULL)
        memcpy(p, file->pi + at, (size_t)n * sizeof *p);
    else
        sure(p, n, reini_argmax(file->q + at, n, mask));
    restrict_to(mask, n, p);
    if (g->epsilon == 0)
        return;
    for (int32_t a = 0; a < n; a++)
        allowed += mask == NULL || mask[a];
    for (int32_t a = 0; a < n; a++)
        if (mask == NULL || mask[a])
            p[a] = (1 - g->epsilon) * p[a] + g->epsilon / allowed;
}

int32_t reini_draw(const double *p, int32_t n, rein_rng *rng) {
    double left = rein_rng_uniform64(rng);
    int32_t last = 0;
    for (int32_t a = 0; a < n; a++) {
        if (p[a] <= 0)
            continue;
        last = a;
        left -= p[a];
        if (left < 0)
            break;
    }
    return last;
}
