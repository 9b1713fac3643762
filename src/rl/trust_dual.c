/*
 * trust_dual.c - the dual of constrained policy optimization, solved exactly.
 *
 * x maximises the Lagrangian g'x - nu'(c + B'x) - lambda (x'H x / 2 - radius) at x = H^-1 (g - B nu) / lambda. If
 * the limits of a set K bind and no other has a multiplier, then c_K + B_K'x = 0 gives
 *
 *     nu_K = S_KK^-1 (r_K + lambda c_K)            lambda = sqrt(A / B)
 *     A = q - r_K'S_KK^-1 r_K                      B = 2 radius - c_K'S_KK^-1 c_K
 *
 * which is the published solution with its two cases, {} and {0}, when there is one limit. A set is the answer exactly
 * when the multipliers are not negative and the limits outside it are kept (Karush, Kuhn, Tucker; the problem is convex).
 * With at most 8 limits there are at most 256 sets: all are looked at, and the one that comes nearest is taken, so that
 * rounding never leaves a problem without an answer.
 *
 * Whether the region holds a step that keeps the limits is asked in the same way: the shortest such step,
 *
 *     minimise x'H x / 2 subject to c + B'x <= 0:    x = -H^-1 B mu,   mu_K = S_KK^-1 c_K,
 *
 * has x'H x / 2 = mu'S mu / 2. If that is above the radius, the step goes as far in that direction as the region
 * allows: for one limit -sqrt(2 radius / s) H^-1 b, the published recovery (eq. 14).
 */
#include "rl/trust_dual.h"

#include <math.h>
#include <string.h>

enum { MOST = REIN_COSTS_MAX };

/* b_i'H^-1 b_i below this share of the largest: limit i cannot be moved by x */
#define FLAT 1e-12
/* pivots below this share of the diagonal: limits that say the same, of which a set needs one */
#define SAME 1e-9
/* how near its length may come to the region's before the shortest step is the only one */
#define BORDER 1e-9
/* gain that is left below this share of g'H^-1 g: none */
#define NOTHING 1e-12

/* ---- small systems ------------------------------------------------------------------------------------- */

/* The Cholesky factor of S over the limits of a set. */
typedef struct factor {
    int n, at[MOST]; /* the set's members */
    double l[MOST][MOST];
} factor;

/* false when the members depend on each other */
static bool factorise(factor *f, const reini_trust_problem *p, unsigned set) {
    f->n = 0;
    for (int i = 0; i < p->n; i++)
        if (set >> i & 1)
            f->at[f->n++] = i;
    for (int i = 0; i < f->n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = p->s[f->at[i]][f->at[j]];
            for (int k = 0; k < j; k++)
                sum -= f->l[i][k] * f->l[j][k];
            if (i == j && !(sum > SAME * p->s[f->at[i]][f->at[i]]))
                return false;
            f->l[i][j] = i == j ? sqrt(sum) : sum / f->l[j][j];
        }
    return true;
}

/* out_K = S_KK^-1 x_K, 0 elsewhere */
static void solve(const factor *f, const double *x, double out[MOST]) {
    double y[MOST];
    memset(out, 0, MOST * sizeof *out);
    for (int i = 0; i < f->n; i++) {
        y[i] = x[f->at[i]];
        for (int k = 0; k < i; k++)
            y[i] -= f->l[i][k] * y[k];
        y[i] /= f->l[i][i];
    }
    for (int i = f->n - 1; i >= 0; i--) {
        double sum = y[i];
        for (int k = i + 1; k < f->n; k++)
            sum -= f->l[k][i] * out[f->at[k]];
        out[f->at[i]] = sum / f->l[i][i];
    }
}

static double dot(const double *a, const double *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* how far limit i is from being kept, or its multiplier from being one, in deviations of b_i'x over the region */
static double breach(const reini_trust_problem *p, const double *multiplier, const double *excess,
                     unsigned set) {
    double worst = 0;
    for (int i = 0; i < p->n; i++) {
        double unit = sqrt(2 * p->radius * p->s[i][i]);
        bool inside = set >> i & 1;
        worst = fmax(worst, inside ? -multiplier[i] * p->s[i][i] / unit : excess[i] / unit);
    }
    return worst;
}

/* ---- the shortest step that keeps the limits ------------------------------------------------------------ */

/* mu of a set, and how far it is from being the answer; INFINITY when it has none */
static double shortest_of(const reini_trust_problem *p, unsigned set, double mu[MOST]) {
    factor f;
    double excess[MOST];
    if (!factorise(&f, p, set))
        return INFINITY;
    solve(&f, p->c, mu);
    for (int i = 0; i < p->n; i++)
        excess[i] = p->c[i] - dot(p->s[i], mu, p->n);
    return breach(p, mu, excess, set);
}

/* mu'S mu = |x|^2 of the shortest step; INFINITY when no step of any length keeps the limits */
static double shortest(const reini_trust_problem *p, double mu[MOST]) {
    double least = INFINITY, tried[MOST];
    for (unsigned set = 0; set < 1u << p->n && least > 0; set++) {
        double found = shortest_of(p, set, tried);
        if (found < least) {
            least = found;
            memcpy(mu, tried, sizeof tried);
        }
    }
    if (!(least < 1e-6)) {
        /* limits that contradict each other: against all of them by their excess */
        for (int i = 0; i < p->n; i++)
            mu[i] = fmax(p->c[i], 0);
        return INFINITY;
    }
    double sum = 0;
    for (int i = 0; i < p->n; i++)
        sum += mu[i] * dot(p->s[i], mu, p->n);
    return sum;
}

/* ---- the best step that keeps them ---------------------------------------------------------------------- */

/* The step of a set, and how far it is from being the answer; INFINITY when it has none. */
static double step_of(const reini_trust_problem *p, unsigned set, reini_trust_step *step) {
    factor f;
    double to_r[MOST], to_c[MOST], excess[MOST], scaled[MOST];
    double usual = p->q > 0 ? sqrt(p->q / (2 * p->radius)) : 1;
    if (!factorise(&f, p, set))
        return INFINITY;
    solve(&f, p->r, to_r);
    solve(&f, p->c, to_c);
    double a = p->q - dot(p->r, to_r, p->n), b = 2 * p->radius - dot(p->c, to_c, p->n);
    if (!(b > 0))
        return INFINITY;
    /* a = 0: what g could gain is all forbidden, and x only keeps the limits */
    bool some = a > NOTHING * p->q;
    *step = (reini_trust_step){.kind = set == 0 ? REINI_TRUST_FREE : REINI_TRUST_BOUND,
                               .gain = some ? sqrt(b / a) : 0,
                               .lambda = some ? sqrt(a / b) : 0};
    for (int i = 0; i < p->n; i++) {
        step->nu[i] = to_r[i] + step->lambda * to_c[i];
        step->loss[i] = step->gain * to_r[i] + to_c[i];
        scaled[i] = step->nu[i] / usual;
    }
    for (int i = 0; i < p->n; i++)
        excess[i] = p->c[i] + step->gain * p->r[i] - dot(p->s[i], step->loss, p->n);
    return breach(p, scaled, excess, set);
}

static reini_trust_step best(const reini_trust_problem *p) {
    reini_trust_step step = {.kind = REINI_TRUST_STAY}, tried;
    double least = INFINITY;
    for (unsigned set = 0; set < 1u << p->n && least > 0; set++) {
        double found = step_of(p, set, &tried);
        if (found < least) {
            least = found;
            step = tried;
        }
    }
    for (int i = 0; i < p->n; i++)
        step.nu[i] = fmax(step.nu[i], 0);
    return step;
}

/* ---- cases ---------------------------------------------------------------------------------------------- */

static reini_trust_step recover(const reini_trust_problem *p, const double *mu) {
    reini_trust_step step = {.kind = REINI_TRUST_RECOVER};
    double length = 0;
    for (int i = 0; i < p->n; i++)
        length += mu[i] * dot(p->s[i], mu, p->n);
    if (!(length > 0))
        return (reini_trust_step){.kind = REINI_TRUST_STAY};
    for (int i = 0; i < p->n; i++)
        step.loss[i] = sqrt(2 * p->radius / length) * mu[i];
    return step;
}

static bool all_finite(const reini_trust_problem *p) {
    double sum = p->q + p->radius;
    for (int i = 0; i < p->n; i++)
        sum += p->r[i] + p->c[i] + p->s[i][i];
    return isfinite(sum) && p->radius > 0;
}

/* Limits that no step moves leave the problem; false when one of them is passed. at: those that stay. */
static bool drop_flat(const reini_trust_problem *from, reini_trust_problem *to, int at[MOST]) {
    double most = 0;
    *to = *from;
    to->n = 0;
    for (int i = 0; i < from->n; i++)
        most = fmax(most, from->s[i][i]);
    for (int i = 0; i < from->n; i++) {
        if (from->s[i][i] > FLAT * most)
            at[to->n++] = i;
        else if (from->c[i] > 0)
            return false;
    }
    for (int i = 0; i < to->n; i++) {
        to->r[i] = from->r[at[i]];
        to->c[i] = from->c[at[i]];
        for (int j = 0; j < to->n; j++)
            to->s[i][j] = from->s[at[i]][at[j]];
    }
    return true;
}

reini_trust_step reini_trust_solve(const reini_trust_problem *problem) {
    reini_trust_problem p;
    reini_trust_step step = {.kind = REINI_TRUST_STAY}, found;
    int at[MOST];
    double mu[MOST] = {0};
    if (!all_finite(problem) || !drop_flat(problem, &p, at))
        return step;
    /* at the border itself both are the same step, and rounding must not decide */
    found = shortest(&p, mu) < 2 * p.radius * (1 - BORDER) ? best(&p) : recover(&p, mu);
    step.kind = found.kind;
    step.gain = found.gain;
    step.lambda = found.lambda;
    for (int i = 0; i < p.n; i++) {
        step.loss[at[i]] = found.loss[i];
        step.nu[at[i]] = found.nu[i];
    }
    return step;
}
