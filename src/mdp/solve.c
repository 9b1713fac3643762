/*
 * solve.c - exact answers: rein_mdp_solve, rein_mdp_evaluate, rein_mdp_lookahead, and the rules planners share.
 */
#include "mdp/solve.h"

#include <string.h>
#include "mdp/reach.h"

/* ---- stopping ------------------------------------------------------------------------------------------ */

/* A backup's own rounding, relative to the largest value: half a unit in the last place for each of a few
 * operations. */
#define ROUNDING 4e-16
/* Sweeps without a smaller residual, and how small it is by then, that count as having come to an end. */
#define FRUITLESS_SWEEPS   1000
#define FRUITLESS_RESIDUAL 1e-11

reini_settling reini_settling_make(double gamma, double tolerance, bool result) {
    double scale = gamma == 1 ? 1 : 2 * (result ? gamma : 1) / (1 - gamma);
    return (reini_settling){
        .gamma = gamma, .tolerance = tolerance, .scale = scale, .residual = INFINITY, .least = INFINITY};
}

/* infinite at gamma = 0, where one sweep is exact */
double reini_settling_goal(const reini_settling *s) {
    return s->scale == 0 ? INFINITY : s->tolerance / s->scale;
}

double reini_settling_reached(const reini_settling *s) {
    return s->scale * s->residual;
}

reini_progress_kind reini_settling_note(reini_settling *s, reini_sweep sweep) {
    double goal = reini_settling_goal(s), rounding = ROUNDING * sweep.largest;
    s->residual = sweep.residual;
    s->largest = sweep.largest;
    s->fruitless = sweep.residual < s->least ? 0 : s->fruitless + 1;
    s->least = fmin(s->least, sweep.residual);
    if (sweep.residual <= goal && goal >= rounding)
        return REINI_SETTLED;
    if (sweep.residual <= rounding)
        return REINI_STALLED;
    bool small = sweep.residual <= FRUITLESS_RESIDUAL * sweep.largest;
    return small && s->fruitless >= FRUITLESS_SWEEPS ? REINI_STALLED : REINI_GOES_ON;
}

/* Differences below REINI_TIE are tried last, when nothing else is left, and not for ever: they may be
 * rounding. At gamma = 1 they are left alone, since rounding could lead into a cycle that never ends. */
reini_progress_kind reini_settling_improve(reini_settling *s, const reini_bellman *b, const double *V,
                                           double *room, int32_t *action, int64_t *changed) {
    enum { FRUITLESS_ROUNDS = 10 };
    reini_progress_kind kind = reini_settling_note(s, reini_sweep_best(b, V, room));
    *changed = reini_improve(b, V, REINI_TIE, action);
    if (kind != REINI_GOES_ON || *changed > 0)
        return kind;
    if (b->gamma < 1 && s->fruitless < FRUITLESS_ROUNDS)
        *changed = reini_improve(b, V, 0, action);
    return *changed > 0 ? REINI_GOES_ON : REINI_STALLED;
}

rein_status reini_settling_unreachable(const reini_settling *s) {
    double residual = fmax(s->residual, ROUNDING * s->largest);
    return reini_fail(
        REIN_USAGE,
        "tolerance %g is out of reach: with values up to %.4g, double precision ends at a residual of "
        "%.2g, which stands for %.2g at gamma = %.12g; choose a tolerance of %.1g or more",
        s->tolerance, s->largest, residual, s->scale * residual, s->gamma, 2 * s->scale * residual);
}

/* ---- gamma = 1 ----------------------------------------------------------------------------------------- */

static rein_status endless(const rein_mdp *mdp, int32_t state) {
    return reini_fail(
        REIN_DIVERGED,
        "at gamma = 1 there are no finite values: from state %d no policy is sure to end or to come to "
        "rest, so every one %s for ever; choose gamma < 1 or a time limit (backward-induction)",
        (int)state, mdp->cost ? "has costs" : "earns or pays");
}

static rein_status ending_policy(const reini_bellman *b, int32_t *action) {
    int32_t stuck;
    REINI_TRY(reini_ending_policy(b->mdp, NULL, action, &stuck));
    return stuck < 0 ? REIN_OK : endless(b->mdp, stuck);
}

rein_status reini_check_endings(const reini_bellman *b) {
    if (b->gamma < 1)
        return REIN_OK;
    int32_t *action = REINI_NEW_ARRAY(int32_t, (size_t)b->mdp->n_states);
    rein_status status = action != NULL
                             ? ending_policy(b, action)
                             : reini_fail_memory((size_t)b->mdp->n_states * 4, "a policy that ends");
    reini_free(action);
    return status;
}

static rein_status check_gain(const reini_classes *classes, const rein_mdp *mdp, const reini_choice *choice) {
    double low, high;
    int32_t s = reini_classes_earning(classes, mdp, choice);
    if (s < 0)
        return REIN_OK;
    REINI_TRY(reini_classes_gain(classes, mdp, choice, s, &low, &high));
    if (!(low > 0)) /* a cycle that pays is only on the way out */
        return REIN_OK;
    return reini_fail(
        REIN_DIVERGED,
        "at gamma = 1 the values are infinite: from state %d on a policy can go round for ever, at a %s "
        "of %.6g per step; choose gamma < 1 or a time limit (backward-induction)",
        (int)s, mdp->cost ? "cost" : "reward", reini_mdp_shown(mdp, (low + high) / 2));
}

rein_status reini_check_gain(const reini_bellman *b, const int32_t *action) {
    reini_choice choice = {.action = action};
    reini_classes classes;
    if (b->gamma < 1)
        return REIN_OK;
    rein_status status = reini_classes_init(&classes, b->mdp, &choice);
    if (status == REIN_OK)
        status = check_gain(&classes, b->mdp, &choice);
    reini_classes_release(&classes);
    return status;
}

rein_status reini_first_policy(const reini_bellman *b, int32_t *action) {
    if (b->gamma == 1)
        return ending_policy(b, action);
    double *V = REINI_NEW_ARRAY(double, (size_t)b->mdp->n_states);
    if (V == NULL)
        return reini_fail_memory((size_t)b->mdp->n_states * sizeof *V, "the values of a policy");
    reini_values_reset(b->mdp, V);
    reini_improve(b, V, REINI_AFRESH, action);
    reini_free(V);
    return REIN_OK;
}

/* Marks actions as good as the best, and states that are worth no more than resting. */
static void mark_best(const reini_bellman *b, const double *V, double slack, uint8_t *allowed,
                      uint8_t *rest) {
    int32_t actions = b->mdp->n_actions;
    for (int32_t s = 0; s < b->mdp->n_states; s++) {
        double best = reini_best(b, V, s), least = best - slack - REINI_TIE * fabs(best);
        for (int32_t a = 0; a < actions; a++)
            allowed[(size_t)s * (size_t)actions + (size_t)a] =
                !b->mdp->terminal[s] && reini_q(b, V, s, a) >= least;
        rest[s] = V[s] <= slack;
    }
}

/* Replaces greedy actions that never end by ones that do; leaves all as they are where that is not to be had.
 * */
static rein_status end_among_best(const reini_bellman *b, const double *V, double slack, int32_t *action) {
    size_t n = (size_t)b->mdp->n_states, pairs = n * (size_t)b->mdp->n_actions;
    uint8_t *allowed = REINI_NEW_ARRAY(uint8_t, pairs), *rest = REINI_NEW_ARRAY(uint8_t, n);
    int32_t *ending = REINI_NEW_ARRAY(int32_t, n), stuck;
    rein_status status = REIN_OK;
    if (allowed == NULL || rest == NULL || ending == NULL)
        status = reini_fail_memory(pairs + 5 * n, "a policy that ends");
    if (status == REIN_OK) {
        mark_best(b, V, slack, allowed, rest);
        status = reini_ending_policy(b->mdp, &(reini_ending_opts){allowed, rest}, ending, &stuck);
    }
    for (size_t s = 0; status == REIN_OK && s < n; s++)
        action[s] = ending[s] >= 0 ? ending[s] : action[s];
    reini_free(allowed);
    reini_free(rest);
    reini_free(ending);
    return status;
}

/* a class that a policy stays in for ever although its states promise more than resting there gives */
static bool promises(const reini_classes *classes, const rein_mdp *mdp, const double *V, double slack) {
    for (int32_t s = 0; s < mdp->n_states; s++)
        if (classes->of[s] >= 0 && fabs(V[s]) > slack)
            return true;
    return false;
}

rein_status reini_last_policy(const reini_bellman *b, const double *V, double slack, int32_t *action) {
    reini_classes classes;
    reini_choice choice = {.action = action};
    reini_improve(b, V, REINI_AFRESH, action);
    if (b->gamma < 1)
        return REIN_OK;
    rein_status status = reini_classes_init(&classes, b->mdp, &choice);
    if (status == REIN_OK && promises(&classes, b->mdp, V, slack))
        status = end_among_best(b, V, slack, action);
    reini_classes_release(&classes);
    return status;
}

/* ---- whole solutions ----------------------------------------------------------------------------------- */

static rein_status check_call(const rein_mdp *mdp, double gamma, double tolerance) {
    if (!mdp->finished)
        return reini_fail(REIN_USAGE, "the MDP is not finished: call rein_mdp_finish first");
    if (!(gamma >= 0 && gamma <= 1))
        return reini_fail(REIN_USAGE, "gamma is %g, expected a number from 0 to 1", gamma);
    if (!(tolerance > 0))
        return reini_fail(REIN_USAGE, "the tolerance is %g, expected a number above 0", tolerance);
    return REIN_OK;
}

/* policy iteration with direct solves */
static rein_status solve_directly(const reini_bellman *b, double tolerance, double *V, int32_t *action) {
    reini_direct d = {0};
    reini_choice choice = {.action = action};
    reini_settling s = reini_settling_make(b->gamma, tolerance, false);
    reini_progress_kind kind = REINI_GOES_ON;
    int64_t changed;
    rein_status status = reini_direct_init(&d, b->mdp, "rein_mdp_solve");
    if (status == REIN_OK)
        status = reini_first_policy(b, action);
    while (status == REIN_OK && kind == REINI_GOES_ON) {
        status = reini_direct_solve(&d, b, &choice, "the best policy", V);
        if (status == REIN_OK)
            kind = reini_settling_improve(&s, b, V, d.swept, action, &changed);
    }
    if (status == REIN_OK && kind != REINI_SETTLED)
        status = reini_settling_unreachable(&s);
    if (status == REIN_OK)
        status = reini_last_policy(b, V, s.residual, action);
    reini_direct_release(&d);
    return status;
}

static bool is_power_of_two(int64_t n) {
    return (n & (n - 1)) == 0;
}

/* sweeps until settled: of the best actions (choice NULL; action is room to look for cycles that earn) or of
 * a policy */
static rein_status sweep_until(const reini_bellman *b, const reini_choice *choice, reini_settling *s,
                               double *V, int32_t *action) {
    size_t bytes = (size_t)b->mdp->n_states * sizeof(double);
    double *out = reini_new(bytes);
    reini_progress_kind kind = REINI_GOES_ON;
    rein_status status = out != NULL ? REIN_OK : reini_fail_memory(bytes, "the values of an MDP");
    reini_values_reset(b->mdp, V);
    for (int64_t n = 1; status == REIN_OK && kind == REINI_GOES_ON; n++) {
        kind = reini_settling_note(s, choice != NULL ? reini_sweep_policy(b, choice, V, out)
                                                     : reini_sweep_best(b, V, out));
        memcpy(V, out, bytes);
        if (choice == NULL && b->gamma == 1 && is_power_of_two(n)) {
            reini_improve(b, V, REINI_AFRESH, action);
            status = reini_check_gain(b, action);
        }
    }
    reini_free(out);
    return status == REIN_OK && kind == REINI_STALLED ? reini_settling_unreachable(s) : status;
}

static rein_status solve_by_sweeps(const reini_bellman *b, double tolerance, double *V, int32_t *action) {
    reini_settling s = reini_settling_make(b->gamma, tolerance, true);
    REINI_TRY(reini_check_endings(b));
    REINI_TRY(sweep_until(b, NULL, &s, V, action));
    return reini_last_policy(b, V, s.residual, action);
}

static void show(const rein_mdp *mdp, double *V) {
    for (int32_t s = 0; mdp->cost && s < mdp->n_states; s++)
        V[s] = reini_mdp_shown(mdp, V[s]);
}

rein_status rein_mdp_solve(const rein_mdp *mdp, double gamma, double tolerance, double *V, int32_t *policy) {
    REINI_TRY(check_call(mdp, gamma, tolerance));
    reini_bellman b = {mdp, gamma, NULL};
    size_t n = (size_t)mdp->n_states;
    int32_t *action = policy != NULL ? policy : REINI_NEW_ARRAY(int32_t, n);
    if (action == NULL)
        return reini_fail_memory(n * sizeof *action, "a policy");
    reini_values_reset(mdp, V);
    rein_status status = mdp->n_states <= REINI_DIRECT_STATES ? solve_directly(&b, tolerance, V, action)
                                                              : solve_by_sweeps(&b, tolerance, V, action);
    if (action != policy)
        reini_free(action);
    show(mdp, V);
    return status;
}

/* rows sum to 1 and choose actions that exist */
static rein_status check_probabilities(const rein_mdp *mdp, const double *pi) {
    size_t actions = (size_t)mdp->n_actions;
    for (int32_t s = 0; s < mdp->n_states; s++) {
        const double *row = pi + (size_t)s * actions;
        double sum = 0;
        for (size_t a = 0; !mdp->terminal[s] && a < actions; a++) {
            sum += row[a];
            if (!(row[a] >= 0) || (row[a] > 0 && mdp->shape[(size_t)s * actions + a] == 0))
                return reini_fail(REIN_USAGE, "state %d, action %d: the policy's probability is %g%s", (int)s,
                                  (int)a, row[a],
                                  row[a] > 0 ? " for an action that does not exist" : ", expected 0 or more");
        }
        if (!mdp->terminal[s] && !(fabs(sum - 1) <= 1e-9))
            return reini_fail(REIN_USAGE, "state %d: the policy's probabilities sum to %.12g, expected 1",
                              (int)s, sum);
    }
    return REIN_OK;
}

static rein_status evaluate_directly(const reini_bellman *b, const reini_choice *choice, double *V) {
    reini_direct d;
    REINI_TRY(reini_direct_init(&d, b->mdp, "rein_mdp_evaluate"));
    rein_status status = reini_direct_solve(&d, b, choice, "this policy", V);
    reini_direct_release(&d);
    return status;
}

rein_status rein_mdp_evaluate(const rein_mdp *mdp, double gamma, double tolerance, const double *pi,
                              double *V) {
    REINI_TRY(check_call(mdp, gamma, tolerance));
    REINI_TRY(check_probabilities(mdp, pi));
    reini_bellman b = {mdp, gamma, NULL};
    reini_choice choice = {.pi = pi};
    reini_settling s = reini_settling_make(gamma, tolerance, true);
    rein_status status;
    reini_values_reset(mdp, V);
    if (mdp->n_states <= REINI_DIRECT_STATES) {
        status = evaluate_directly(&b, &choice, V);
    } else {
        status = reini_chain_check(&b, &choice, "this policy");
        if (status == REIN_OK)
            status = sweep_until(&b, &choice, &s, V, NULL);
    }
    show(mdp, V);
    return status;
}

void rein_mdp_lookahead(const rein_mdp *mdp, double gamma, const double *V, double *Q) {
    for (int32_t s = 0; s < mdp->n_states; s++)
        for (int32_t a = 0; a < mdp->n_actions; a++) {
            reini_row row = reini_mdp_row(mdp, s, a);
            double sum = 0, none = mdp->terminal[s] ? V[s] : reini_mdp_shown(mdp, -INFINITY);
            for (int32_t k = 0; k < row.count; k++)
                sum += row.p[k] * V[row.next[k]];
            Q[(size_t)s * (size_t)mdp->n_actions + (size_t)a] =
                row.count > 0 ? reini_mdp_shown(mdp, row.reward) + gamma * sum : none;
        }
}
