/*
 * test_trust_dual.c - the step of constrained policy optimization: one limit against the published solution; several
 * against the conditions of Karush, Kuhn and Tucker and against random steps; recovery, and problems without an answer.
 */
#include <math.h>
#include <rein/rng.h>
#include "rl/trust_dual.h"
#include "support/check.h"

enum { DIM = 7, MOST = 4 };

/* H = I without loss of generality: then q, r, s are plain products */
typedef struct instance {
    double g[DIM], b[MOST][DIM];
    reini_trust_problem p;
} instance;

static double dot(const double *a, const double *b) {
    double sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += a[i] * b[i];
    return sum;
}

static double draw(rein_rng *rng) {
    return 2 * rein_rng_uniform64(rng) - 1;
}

static void measure(instance *k) {
    k->p.q = dot(k->g, k->g);
    for (int i = 0; i < k->p.n; i++) {
        k->p.r[i] = dot(k->b[i], k->g);
        for (int j = 0; j < k->p.n; j++)
            k->p.s[i][j] = dot(k->b[i], k->b[j]);
    }
}

static instance random_instance(rein_rng *rng, int n, double reach) {
    instance k = {.p = {.n = n, .radius = 0.02}};
    for (int i = 0; i < DIM; i++)
        k.g[i] = draw(rng);
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < DIM; i++)
            k.b[j][i] = draw(rng);
        k.p.c[j] = reach * draw(rng) * sqrt(2 * k.p.radius * dot(k.b[j], k.b[j]));
    }
    measure(&k);
    return k;
}

static void step_of(const instance *k, const reini_trust_step *step, double x[DIM]) {
    for (int i = 0; i < DIM; i++) {
        x[i] = step->gain * k->g[i];
        for (int j = 0; j < k->p.n; j++)
            x[i] -= step->loss[j] * k->b[j][i];
    }
}

/* ---- one limit ------------------------------------------------------------------------------------------ */

/* As the authors' code has it: minimising, its cases and its two candidates for lambda. */
static void published(const instance *k, double x[DIM]) {
    double q = k->p.q, r = -k->p.r[0], s = k->p.s[0][0], c = k->p.c[0], delta = k->p.radius;
    double A = q - r * r / s, B = 2 * delta - c * c / s;
    double lambda = sqrt(q / (2 * delta)), nu = 0;
    if (c > 0 && B < 0) {
        for (int i = 0; i < DIM; i++)
            x[i] = -sqrt(2 * delta / s) * k->b[0][i];
        return;
    }
    if (!(c < 0 && B < 0)) {
        double split = r / c, a = sqrt(A / B), b = lambda;
        double a_low = c < 0 ? 0 : split, a_high = c < 0 ? split : INFINITY;
        double b_low = c < 0 ? split : 0, b_high = c < 0 ? INFINITY : split;
        a = fmin(fmax(a, fmax(a_low, 0)), fmax(a_high, 0));
        b = fmin(fmax(b, fmax(b_low, 0)), fmax(b_high, 0));
        double at_a = a > 0 ? -0.5 * (A / a + B * a) - r * c / s : -INFINITY;
        double at_b = b > 0 ? -0.5 * (q / b + 2 * delta * b) : -INFINITY;
        lambda = at_a >= at_b ? a : b;
        nu = fmax(0, lambda * c - r) / s;
    }
    for (int i = 0; i < DIM; i++)
        x[i] = (k->g[i] - nu * k->b[0][i]) / lambda;
}

static void test_one_limit_is_the_published_step(void **state) {
    rein_rng rng = rein_rng_make(1, 0);
    int seen[4] = {0}, violated = 0;
    double worst = 0;
    for (int trial = 0; trial < 4000; trial++) {
        instance k = random_instance(&rng, 1, 1.5);
        double x[DIM], wanted[DIM], error = 0;
        reini_trust_step step = reini_trust_solve(&k.p);
        step_of(&k, &step, x);
        published(&k, wanted);
        for (int i = 0; i < DIM; i++)
            error = fmax(error, fabs(x[i] - wanted[i]) / sqrt(2 * k.p.radius));
        worst = fmax(worst, error);
        seen[step.kind]++;
        violated += step.kind == REINI_TRUST_BOUND && k.p.c[0] > 0;
        if (!(error < 1e-7))
            fail_msg("trial %d, case %d: the step differs by %.3g", trial, (int)step.kind, error);
    }
    print_message("# %d free, %d bound (%d of them outside), %d recover; worst %.1e\n", seen[0], seen[1],
                  violated, seen[2], worst);
    assert_true(seen[REINI_TRUST_FREE] > 500 && seen[REINI_TRUST_BOUND] > 500 && violated > 200 &&
                seen[REINI_TRUST_RECOVER] > 300 && seen[REINI_TRUST_STAY] == 0);
}

/* ---- several ------------------------------------------------------------------------------------------- */

static double excess(const instance *k, const double *x, int j) {
    return k->p.c[j] + dot(k->b[j], x);
}

/* no random step that keeps the limits gains more */
static void check_best(const instance *k, const double *x, rein_rng *rng) {
    double radius = sqrt(2 * k->p.radius), unit = radius * sqrt(k->p.q);
    for (int trial = 0; trial < 300; trial++) {
        double y[DIM], length = 0, near = trial % 3 == 0 ? 1 : 0.1;
        for (int i = 0; i < DIM; i++)
            y[i] = (trial % 3 == 0 ? 0 : x[i]) + near * radius * draw(rng);
        length = sqrt(dot(y, y));
        for (int i = 0; i < DIM && length > radius; i++)
            y[i] *= radius / length;
        bool kept = true;
        for (int j = 0; j < k->p.n; j++)
            kept = kept && excess(k, y, j) <= 0;
        if (kept)
            assert_true(dot(k->g, y) <= dot(k->g, x) + 1e-9 * unit);
    }
}

static void check_multipliers(const instance *k, const reini_trust_step *step, const double *x) {
    double radius = sqrt(2 * k->p.radius);
    assert_true(step->lambda > 0);
    for (int i = 0; i < DIM; i++) { /* g = lambda x + B nu */
        double sum = k->g[i] - step->lambda * x[i];
        for (int j = 0; j < k->p.n; j++)
            sum -= step->nu[j] * k->b[j][i];
        assert_true(fabs(sum) < 1e-8 * sqrt(k->p.q));
    }
    assert_true(fabs(sqrt(dot(x, x)) - radius) < 1e-8 * radius);
    for (int j = 0; j < k->p.n; j++) {
        double over = excess(k, x, j) / (radius * sqrt(k->p.s[j][j]));
        assert_true(over < 1e-8 && step->nu[j] >= 0);
        assert_true(step->nu[j] == 0 || fabs(over) < 1e-8); /* a price only where it binds */
    }
}

static void test_several_limits(void **state) {
    rein_rng rng = rein_rng_make(2, 0);
    int seen[4] = {0}, two = 0;
    for (int trial = 0; trial < 3000; trial++) {
        instance k = random_instance(&rng, 2 + trial % (MOST - 1), 0.8);
        double x[DIM], radius = sqrt(2 * k.p.radius);
        reini_trust_step step = reini_trust_solve(&k.p);
        int binding = 0;
        step_of(&k, &step, x);
        seen[step.kind]++;
        assert_true(sqrt(dot(x, x)) <= radius * (1 + 1e-9));
        for (int j = 0; j < k.p.n; j++)
            binding += step.nu[j] > 0;
        two += binding >= 2;
        if (step.kind == REINI_TRUST_FREE || step.kind == REINI_TRUST_BOUND) {
            check_multipliers(&k, &step, x);
            check_best(&k, x, &rng);
        }
    }
    print_message("# %d free, %d bound (%d by two and more), %d recover, %d stay\n", seen[0], seen[1], two,
                  seen[2], seen[3]);
    assert_true(seen[REINI_TRUST_FREE] > 100 && two > 100 && seen[REINI_TRUST_RECOVER] > 100);
}

/* recovering goes to the border, towards the nearest point that keeps the limits, and a longer region gets there */
static void test_recovery(void **state) {
    rein_rng rng = rein_rng_make(3, 0);
    int found = 0;
    for (int trial = 0; trial < 2000; trial++) {
        instance k = random_instance(&rng, 2, 2);
        double x[DIM], y[DIM], worst = 0;
        reini_trust_step step = reini_trust_solve(&k.p), longer;
        if (step.kind != REINI_TRUST_RECOVER)
            continue;
        step_of(&k, &step, x);
        assert_true(step.gain == 0 && fabs(dot(x, x) - 2 * k.p.radius) < 1e-9);
        /* grown until the limits can be kept, the region holds one step that keeps them: the same direction */
        double low = k.p.radius, high = 1e4;
        k.p.radius = high;
        if (reini_trust_solve(&k.p).kind == REINI_TRUST_RECOVER)
            continue; /* limits that all but contradict each other */
        for (int i = 0; i < 200; i++) {
            k.p.radius = sqrt(low * high);
            longer = reini_trust_solve(&k.p);
            *(longer.kind == REINI_TRUST_RECOVER ? &low : &high) = k.p.radius;
        }
        k.p.radius = high;
        longer = reini_trust_solve(&k.p);
        step_of(&k, &longer, y);
        for (int j = 0; j < 2; j++)
            worst = fmax(worst, excess(&k, y, j) / sqrt(2 * k.p.radius * k.p.s[j][j]));
        if (!(worst < 1e-5))
            fail_msg("trial %d: case %d, excess %.3g in a region of %.3g", trial, (int)longer.kind, worst,
                     high);
        double cosine = dot(x, y) / sqrt(dot(x, x) * dot(y, y));
        if (!(cosine > 1 - 1e-5))
            fail_msg("trial %d: cosine %.9f", trial, cosine);
        found++;
    }
    assert_true(found > 200);
}

/* ---- corners ------------------------------------------------------------------------------------------- */

static void test_limits_that_contradict_each_other(void **state) {
    instance k = {.g = {1}, .b = {{0, 1}, {0, -1}}, .p = {.n = 2, .radius = 0.02, .c = {0.3, 0.2}}};
    measure(&k);
    double x[DIM];
    reini_trust_step step = reini_trust_solve(&k.p);
    step_of(&k, &step, x);
    assert_int_equal(step.kind, REINI_TRUST_RECOVER);
    assert_true(x[1] < 0 && x[0] == 0); /* against the one that is passed by more */
}

static void test_the_same_limit_twice(void **state) {
    instance k = {.g = {1, 1}, .b = {{1, 0}, {1, 0}}, .p = {.n = 2, .radius = 0.5, .c = {-0.1, -0.1}}};
    measure(&k);
    double x[DIM];
    reini_trust_step step = reini_trust_solve(&k.p);
    step_of(&k, &step, x);
    assert_int_equal(step.kind, REINI_TRUST_BOUND);
    assert_true(fabs(x[0] - 0.1) < 1e-12 && fabs(x[1] - sqrt(0.99)) < 1e-12);
}

/* what would be gained is all forbidden */
static void test_a_gain_along_the_limit(void **state) {
    instance k = {.g = {2, 0}, .b = {{1, 0}}, .p = {.n = 1, .radius = 0.5, .c = {0.25}}};
    measure(&k);
    double x[DIM];
    reini_trust_step step = reini_trust_solve(&k.p);
    step_of(&k, &step, x);
    assert_int_equal(step.kind, REINI_TRUST_BOUND);
    assert_true(fabs(x[0] + 0.25) < 1e-12 && x[1] == 0);
}

static void test_limits_that_nothing_moves(void **state) {
    instance k = {.g = {1, 0}, .b = {{0}, {0, 1}}, .p = {.n = 2, .radius = 0.5, .c = {-1, -5}}};
    measure(&k);
    assert_int_equal(reini_trust_solve(&k.p).kind, REINI_TRUST_FREE);
    k.p.c[0] = 0.1;
    assert_int_equal(reini_trust_solve(&k.p).kind, REINI_TRUST_STAY);
    k.p.c[0] = NAN;
    assert_int_equal(reini_trust_solve(&k.p).kind, REINI_TRUST_STAY);
    k.p.c[0] = -1;
    k.p.radius = 0;
    assert_int_equal(reini_trust_solve(&k.p).kind, REINI_TRUST_STAY);
    k.p.radius = 0.5;
    k.p.q = INFINITY;
    assert_int_equal(reini_trust_solve(&k.p).kind, REINI_TRUST_STAY);
}

static void test_no_limits(void **state) {
    instance k = {.g = {3, 4}, .p = {.radius = 0.5}};
    measure(&k);
    reini_trust_step step = reini_trust_solve(&k.p);
    assert_int_equal(step.kind, REINI_TRUST_FREE);
    assert_true(fabs(step.gain - 0.2) < 1e-15); /* sqrt(2 radius / q) */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_limit_is_the_published_step),
        cmocka_unit_test(test_several_limits),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_limits_that_contradict_each_other),
        cmocka_unit_test(test_the_same_limit_twice),
        cmocka_unit_test(test_a_gain_along_the_limit),
        cmocka_unit_test(test_limits_that_nothing_moves),
        cmocka_unit_test(test_no_limits),
    };
    return cmocka_run_group_tests_name("the dual of a trust region", tests, NULL, NULL);
}
