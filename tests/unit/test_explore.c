/*
 * test_explore.c - choices of learners: their frequencies against the stated probabilities, masks, ties, extremes.
 */
#include <math.h>
#include "rl/explore.h"
#include "support/check.h"

enum { ACTIONS = 5, DRAWS = 400000 };

static double weight[ACTIONS];

static reini_explore explore_of(int kind, double epsilon, double temperature) {
    reini_explore_config config = {.explore = kind,
                                   .epsilon = {REIN_SCHEDULE_CONSTANT, epsilon, epsilon, 0},
                                   .temperature = {REIN_SCHEDULE_CONSTANT, temperature, temperature, 0}};
    reini_explore e = {.weight = weight};
    reini_explore_set(&e, &config, 0);
    return e;
}

/* frequencies within five standard errors of p; what has probability 0 never comes; the expectation agrees */
static void check(reini_explore e, const double *q, const uint8_t *mask, const double *p) {
    rein_rng rng = rein_rng_make(11, 3);
    double stated[ACTIONS], value = 0;
    int64_t count[ACTIONS] = {0};
    reini_explore_probabilities(&e, q, ACTIONS, mask, stated);
    for (int i = 0; i < DRAWS; i++)
        count[reini_explore_choose(&e, q, ACTIONS, mask, &rng)]++;
    for (int a = 0; a < ACTIONS; a++) {
        double error = sqrt(p[a] * (1 - p[a]) / DRAWS);
        assert_true(fabs(stated[a] - p[a]) < 1e-12);
        if (!(fabs((double)count[a] / DRAWS - p[a]) <= 5 * error))
            fail_msg("action %d: %.5f, expected %.5f", a, (double)count[a] / DRAWS, p[a]);
        value += p[a] > 0 ? p[a] * q[a] : 0;
    }
    assert_true(fabs(reini_explore_value(&e, q, ACTIONS, mask) - value) < 1e-12 * (1 + fabs(value)));
}

static const double values[ACTIONS] = {0.5, 2, -1, 2, 1};
static const uint8_t some[ACTIONS] = {1, 0, 1, 0, 1}, one[ACTIONS] = {0, 0, 1, 0, 0};

static void epsilon_greedy(void **state) {
    reini_explore e = explore_of(REINI_EXPLORE_EPSILON, 0.3, 1);
    check(e, values, NULL, (double[]){0.06, 0.41, 0.06, 0.41, 0.06});
    check(e, values, some, (double[]){0.1, 0, 0.1, 0, 0.8});
    check(e, values, one, (double[]){0, 0, 1, 0, 0});
    check(e, (double[]){1, 2, 3, 4, 5}, NULL, (double[]){0.06, 0.06, 0.06, 0.06, 0.76});
}

static void never_and_always_at_random(void **state) {
    check(explore_of(REINI_EXPLORE_EPSILON, 0, 1), values, NULL, (double[]){0, 0.5, 0, 0.5, 0});
    check(explore_of(REINI_EXPLORE_EPSILON, 0, 1), values, some, (double[]){0, 0, 0, 0, 1});
    check(explore_of(REINI_EXPLORE_EPSILON, 1, 1), values, NULL, (double[]){0.2, 0.2, 0.2, 0.2, 0.2});
    check(explore_of(REINI_EXPLORE_EPSILON, 1, 1), values, some, (double[]){1 / 3.0, 0, 1 / 3.0, 0, 1 / 3.0});
    static const double zeros[ACTIONS] = {0};
    check(explore_of(REINI_EXPLORE_EPSILON, 0, 1), zeros, NULL, (double[]){0.2, 0.2, 0.2, 0.2, 0.2});
}

static void softmax(void **state) {
    double p[ACTIONS], sum = 0;
    for (int a = 0; a < ACTIONS; a++)
        sum += p[a] = exp(values[a] / 0.7);
    for (int a = 0; a < ACTIONS; a++)
        p[a] /= sum;
    check(explore_of(REINI_EXPLORE_SOFTMAX, 0, 0.7), values, NULL, p);
    sum = exp(0.5) + exp(-1) + exp(1);
    check(explore_of(REINI_EXPLORE_SOFTMAX, 0, 1), values, some,
          (double[]){exp(0.5) / sum, 0, exp(-1) / sum, 0, exp(1) / sum});
    /* no temperature overflows */
    check(explore_of(REINI_EXPLORE_SOFTMAX, 0, 1e-9), values, NULL, (double[]){0, 0.5, 0, 0.5, 0});
    check(explore_of(REINI_EXPLORE_SOFTMAX, 0, 1), (double[]){1e300, 0, 0, 0, 0}, NULL,
          (double[]){1, 0, 0, 0, 0});
}

/* the words at the borders choose an action that there is */
static void extreme_words(void **state) {
    static const double epsilons[] = {0, 1e-10, 0.1, 0.5, 1 - 1e-10, 1};
    for (int i = 0; i < 6; i++) {
        reini_explore e = explore_of(REINI_EXPLORE_EPSILON, epsilons[i], 1);
        uint32_t at = (uint32_t)e.threshold;
        uint32_t words[] = {0, 1, at - 2, at - 1, at, at + 1, UINT32_MAX - 1, UINT32_MAX};
        for (int w = 0; w < 8; w++) {
            int32_t a = reini_explore_epsilon(&e, values, ACTIONS, words[w]);
            assert_true(a >= 0 && a < ACTIONS);
            if (words[w] >= e.threshold)
                assert_true(a == 1 || a == 3);
        }
    }
}

static void schedules(void **state) {
    reini_explore_config config = {.epsilon = {REIN_SCHEDULE_LINEAR, 1, 0.2, 0},
                                   .temperature = {REIN_SCHEDULE_LINEAR, 10, 2, 0}};
    reini_explore e = {.weight = weight};
    reini_explore_set(&e, &config, 0.5);
    assert_true(fabs(e.epsilon - 0.6) < 1e-12 && fabs(e.temperature - 6) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epsilon_greedy), cmocka_unit_test(never_and_always_at_random),
        cmocka_unit_test(softmax),        cmocka_unit_test(extreme_words),
        cmocka_unit_test(schedules),
    };
    return cmocka_run_group_tests_name("explore", tests, NULL, NULL);
}
