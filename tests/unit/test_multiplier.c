/*
 * test_multiplier.c - prices on a plant whose answer is known: where they come to rest, how they swing, what braking
 * does to the swings, and the bounds they keep.
 */
#include <math.h>
#include <rein/field.h>
#include "rl/multiplier.h"
#include "support/check.h"

/* A learner that follows its price slowly: without a price its cost is 10, and in the long run 10 - 2 price. */
typedef struct plant {
    double cost;
} plant;

static double follow(plant *p, double price) {
    p->cost += 0.1 * (10 - 2 * price - p->cost);
    return p->cost;
}

typedef struct course {
    double price, cost; /* at the end */
    double over;        /* mean excess over the limit, where there is one, in the second half */
    double swing;       /* largest minus smallest cost in the second half */
} course;

static course run(const reini_multiplier_rule *rule, double limit, int steps) {
    reini_multiplier m;
    plant p = {10};
    course c = {0};
    double low = INFINITY, high = -INFINITY;
    reini_multiplier_init(&m, rule->multiplier_init);
    for (int i = 0; i < steps; i++) {
        c.cost = follow(&p, reini_multiplier_update(&m, rule, p.cost, limit));
        if (i < steps / 2)
            continue;
        c.over += fmax(0, c.cost - limit) / (steps - steps / 2);
        low = fmin(low, c.cost);
        high = fmax(high, c.cost);
    }
    c.price = m.price;
    c.swing = high - low;
    return c;
}

static reini_multiplier_rule gradient(double rate) {
    return (reini_multiplier_rule){
        .multiplier = REINI_MULTIPLIER_GRADIENT, .multiplier_lr = rate, .multiplier_max = 100};
}

static reini_multiplier_rule pid(double kp, double ki, double kd, double smoothing) {
    return (reini_multiplier_rule){.multiplier = REINI_MULTIPLIER_PID,
                                   .pid_kp = kp,
                                   .pid_ki = ki,
                                   .pid_kd = kd,
                                   .pid_smoothing = smoothing,
                                   .multiplier_max = 100};
}

/* cost 4 needs the price 3 */
static void test_both_come_to_rest_at_the_limit(void **state) {
    const reini_multiplier_rule rules[] = {gradient(0.01), pid(0.1, 0.01, 0, 0), pid(0.2, 0.02, 0.5, 0.8)};
    for (int i = 0; i < 3; i++) {
        course c = run(&rules[i], 4, 4000);
        print_message("# rule %d: price %.6f, cost %.6f\n", i, c.price, c.cost);
        assert_true(fabs(c.price - 3) < 1e-3 && fabs(c.cost - 4) < 1e-3);
    }
}

/* the integral alone swings for long around the limit; the proportional part moves the loop's roots inwards */
static void test_the_proportional_part_brakes(void **state) {
    reini_multiplier_rule spring = pid(0, 0.2, 0, 0), braked = pid(1, 0.2, 0, 0);
    course a = run(&spring, 4, 100), b = run(&braked, 4, 100);
    print_message("# swing after 50 updates: %.4f without, %.4f with\n", a.swing, b.swing);
    assert_true(b.swing < 0.1 * a.swing);
}

static void test_pid_without_gains_is_gradient(void **state) {
    reini_multiplier_rule a = gradient(0.05), b = pid(0, 0.05, 0, 0.7);
    reini_multiplier x, y;
    reini_multiplier_init(&x, 0.3);
    reini_multiplier_init(&y, 0.3);
    for (int i = 0; i < 500; i++) {
        double measured = 3 + 2 * sin(0.3 * i);
        double price = reini_multiplier_update(&x, &a, measured, 3.2);
        assert_true(price == reini_multiplier_update(&y, &b, measured, 3.2));
    }
}

/* by hand: k_p 0.5, k_i 0.1, k_d 2, half of the past; costs 6, 8, 7 under the limit 5 */
static void test_pid_by_hand(void **state) {
    static const double measured[] = {6, 8, 7};
    /* p: 1, 2, 2; I: 0.1, 0.4, 0.6; c: 6, 7, 7; its rise: 0, 1, 0 */
    static const double wanted[] = {0.6, 3.4, 1.6};
    reini_multiplier_rule rule = pid(0.5, 0.1, 2, 0.5);
    reini_multiplier m;
    reini_multiplier_init(&m, 0);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(reini_multiplier_update(&m, &rule, measured[i], 5) - wanted[i]) < 1e-12);
}

static void test_bounds_and_what_is_not_finite(void **state) {
    reini_multiplier_rule rules[] = {gradient(1), pid(1, 1, 1, 0.5)};
    for (int k = 0; k < 2; k++) {
        reini_multiplier m;
        reini_multiplier_init(&m, 2);
        rules[k].multiplier_max = 5;
        for (int i = 0; i < 50; i++)
            assert_true(reini_multiplier_update(&m, &rules[k], 9, 1) <= 5);
        assert_true(m.price == 5);
        assert_true(reini_multiplier_update(&m, &rules[k], NAN, 1) == 5);
        assert_true(reini_multiplier_update(&m, &rules[k], 3, INFINITY) == 5);
        /* a price at its bound has stored nothing beyond it: it is gone as fast as it came */
        int steps = 0;
        while (reini_multiplier_update(&m, &rules[k], 0, 1) > 0)
            steps++;
        assert_true(steps <= 6);
        for (int i = 0; i < 50; i++)
            assert_true(reini_multiplier_update(&m, &rules[k], 0, 1) == 0);
        assert_true(reini_multiplier_update(&m, &rules[k], 2, 1) > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_come_to_rest_at_the_limit),
        cmocka_unit_test(test_the_proportional_part_brakes),
        cmocka_unit_test(test_pid_without_gains_is_gradient),
        cmocka_unit_test(test_pid_by_hand),
        cmocka_unit_test(test_bounds_and_what_is_not_finite),
    };
    return cmocka_run_group_tests_name("multipliers", tests, NULL, NULL);
}
