/*
 * planner.c - the accounts of a planner.
 */
#include "algo/planning/planner.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"

/* Q goes into the policy as well up to this many entries. */
#define Q_ENTRIES 1000000
/* outcomes looked at in an iteration of a small MDP: about a millisecond */
#define ITERATION_WORK 200000

const char *const reini_plan_metrics[REINI_PLAN_METRICS] = {"plan/residual", "plan/start_value",
                                                            "plan/changed"};

/* ---- construction -------------------------------------------------------------------------------------- */

/* "A, B, C": environments that have tables as they come */
static void list_tabular(char *out, size_t size) {
    const rein_env_type *type;
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; (type = rein_env_at(i)) != NULL; i++) {
        rein_env_type opened;
        /* a simulator has no tables, and is slow to open */
        if (type->open == NULL || type->create != NULL || rein_env_open(type, NULL, &opened) != REIN_OK)
            continue;
        if (opened.mdp != NULL && at < size) {
            int n = snprintf(out + at, size - at, "%s%s", at > 0 ? ", " : "", type->id);
            at += n > 0 ? (size_t)n : 0;
        }
        rein_env_close(&opened);
    }
}

rein_status reini_plan_check(const char *algo, const reini_context *context) {
    char names[400];
    if (context->env->mdp != NULL)
        return REIN_OK;
    if (context->env->no_mdp != NULL)
        return reini_fail(REIN_USAGE,
                          "%s needs an environment as tables of transitions, and %s is none as set: %s", algo,
                          context->env->id, context->env->no_mdp);
    list_tabular(names, sizeof names);
    return reini_fail(
        REIN_USAGE,
        "%s needs an environment as tables of transitions, and %s is not a table; these are: %s%sor an "
        "MDP from a file (--mdp)",
        algo, context->env->id, names, names[0] != 0 ? ", " : "");
}

rein_status reini_plan_init(reini_plan *p, const char *algo, const reini_context *context, double gamma,
                            double tolerance, int parts, int32_t horizon) {
    const rein_mdp *mdp = context->env->mdp;
    size_t n = (size_t)mdp->n_states;
    if (n * (size_t)mdp->n_actions <= Q_ENTRIES && horizon == 0)
        parts |= REINI_TABLE_Q;
    p->context = *context;
    p->b = (reini_bellman){mdp, gamma, context->pool};
    p->settling = reini_settling_make(gamma, tolerance, true);
    p->changed = -1;
    p->evaluates = (parts & REINI_TABLE_PI) != 0;
    p->timed = horizon > 0;
    p->stale = true;
    REINI_TRY(reini_table_policy_new(algo, context->env, parts, horizon > 0 ? horizon : 1, gamma, &p->table));
    if (p->table->n_states != mdp->n_states || p->table->n_actions != mdp->n_actions)
        return reini_fail(REIN_MISMATCH,
                          "%s observes %d states and takes %d actions, its tables have %d and %d",
                          context->env->id, (int)p->table->n_states, (int)p->table->n_actions,
                          (int)mdp->n_states, (int)mdp->n_actions);
    p->spare = REINI_NEW_ARRAY(double, n);
    p->action = REINI_NEW_ARRAY(int32_t, n);
    if (p->spare == NULL || p->action == NULL)
        return reini_fail_memory(n * (sizeof *p->spare + sizeof *p->action), "a planner's tables");
    reini_values_reset(mdp, p->table->v);
    return REIN_OK;
}

void reini_plan_release(reini_plan *p) {
    rein_policy_free(p->table != NULL ? reini_table_base(p->table) : NULL);
    reini_free(p->spare);
    reini_free(p->action);
}

/* ---- sweeps -------------------------------------------------------------------------------------------- */

/* Small MDPs take more sweeps an iteration as they go on: the first ones are each on a row of their own. */
void reini_plan_begin(reini_plan *p) {
    int64_t most = ITERATION_WORK / (p->b.mdp->n_transitions + p->b.mdp->n_states);
    int64_t sweeps = p->sweeps / 8 < most ? p->sweeps / 8 : most;
    p->pause = p->sweeps + (sweeps > 1 ? sweeps : 1);
    if (p->pause > p->context.total_steps)
        p->pause = p->context.total_steps;
    p->changed = -1;
    p->progress = REINI_GOES_ON;
    p->started = reini_seconds();
}

void reini_plan_count(reini_plan *p) {
    p->sweeps++;
    p->stale = true;
}

void reini_plan_swap(reini_plan *p) {
    double *v = p->table->v;
    p->table->v = p->spare;
    p->spare = v;
}

void reini_plan_note(reini_plan *p, reini_sweep sweep) {
    reini_plan_count(p);
    p->progress = reini_settling_note(&p->settling, sweep);
    bool look = (p->sweeps & (p->sweeps - 1)) == 0 || p->progress == REINI_SETTLED;
    if (p->evaluates || !look)
        return;
    p->changed = reini_improve(&p->b, p->table->v, REINI_AFRESH, p->action);
    if (p->progress == REINI_GOES_ON)
        p->failed = reini_check_gain(&p->b, p->action);
}

/* ---- results ------------------------------------------------------------------------------------------- */

static rein_status refresh(reini_plan *p) {
    rein_status status = REIN_OK;
    double slack = fmin(p->settling.residual, 1);
    if (p->table->action != NULL && !p->timed)
        status = reini_last_policy(&p->b, p->table->v, slack, p->table->action);
    if (p->table->q != NULL)
        reini_lookahead(&p->b, p->table->v, p->table->q);
    p->stale = false;
    return status;
}

/* without the memory to look for actions that end, the greedy ones stand */
rein_policy *reini_plan_policy(void *self) {
    reini_plan *p = self;
    if (p->stale)
        (void)refresh(p);
    return reini_table_base(p->table);
}

static double start_value(const reini_plan *p) {
    double sum = 0;
    for (int32_t i = 0; i < p->b.mdp->n_starts; i++)
        sum += p->b.mdp->starts[i].p * p->table->v[p->b.mdp->starts[i].state];
    return reini_mdp_shown(p->b.mdp, sum);
}

static rein_status out_of_steps(const reini_plan *p) {
    return reini_fail(
        REIN_USAGE,
        "not settled after %lld sweeps: the residual is %.3g, tolerance %g asks for %.3g; give more with "
        "--steps, or a larger --tolerance (%.2g is reached)",
        (long long)p->sweeps, p->settling.residual, p->settling.tolerance, reini_settling_goal(&p->settling),
        reini_settling_reached(&p->settling));
}

void reini_plan_report(reini_plan *p, reini_report *report) {
    report->env_steps = p->sweeps;
    report->metric[REINI_PLAN_RESIDUAL] = isfinite(p->settling.residual) ? p->settling.residual : NAN;
    report->metric[REINI_PLAN_START_VALUE] = start_value(p);
    report->metric[REINI_PLAN_CHANGED] = p->changed >= 0 ? (double)p->changed : NAN;
    report->seconds_update = reini_seconds() - p->started;
    report->done = p->failed == REIN_OK && p->progress == REINI_SETTLED;
    report->failed = p->failed;
    if (p->failed == REIN_OK && p->progress == REINI_STALLED)
        report->failed = reini_settling_unreachable(&p->settling);
    else if (p->failed == REIN_OK && !report->done && p->sweeps >= p->context.total_steps)
        report->failed = out_of_steps(p);
}

/* Tables that follow from the values are brought up to date first, so that what is saved does not depend on
 * who has asked for the policy. */
rein_status reini_plan_visit(reini_plan *p, reini_archive *archive) {
    size_t n = (size_t)p->b.mdp->n_states;
    if (!reini_archive_loading(archive) && p->stale)
        REINI_TRY(refresh(p));
    REINI_TRY(reini_table_policy_visit(p->table, archive));
    REINI_TRY(reini_archive_bytes(archive, "plan.action", p->action, n * sizeof *p->action));
    REINI_TRY(reini_archive_bytes(archive, "plan.settling", &p->settling, sizeof p->settling));
    REINI_TRY(reini_archive_bytes(archive, "plan.sweeps", &p->sweeps, sizeof p->sweeps));
    return reini_archive_bytes(archive, "plan.stale", &p->stale, sizeof p->stale);
}

void reini_plan_extend(void *self, int64_t total_steps) {
    ((reini_plan *)self)->context.total_steps = total_steps;
}
