/*
 * test_normalise.c - running moments against two passes over all the data, the scaling of rewards against its
 * definition, and what they do to numbers that are not finite.
 */
#include <math.h>
#include <stdlib.h>
#include <rein/rng.h>
#include "rl/normalise.h"
#include "support/check.h"

enum { SIZE = 3, MOST = 5000 };

static double uneven(rein_rng *rng, int column) {
    static const double middle[SIZE] = {0, -250, 1e4}, width[SIZE] = {1, 0.01, 300};
    return middle[column] + width[column] * rein_rng_normal(rng);
}

/* mean and population variance of a column, in two passes */
static void two_pass(const float *x, int64_t n, int column, double *mean, double *variance) {
    *mean = *variance = 0;
    for (int64_t i = 0; i < n; i++)
        *mean += x[i * SIZE + column] / (double)n;
    for (int64_t i = 0; i < n; i++)
        *variance += (x[i * SIZE + column] - *mean) * (x[i * SIZE + column] - *mean) / (double)n;
}

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance * fmax(1e-3, fabs(wanted))))
        fail_msg("found %.15g, expected %.15g", found, wanted);
}

/* blocks of uneven length add up to what one pass over everything gives */
static void test_moments(void **state) {
    static const int64_t blocks[] = {1, 1, 2, 0, 17, 1, 300, 64, 5, 1024, 1};
    static float x[MOST * SIZE];
    rein_rng rng = rein_rng_make(4, 0);
    reini_moments m;
    int64_t n = 0;
    assert_ok(reini_moments_init(&m, SIZE));
    for (int c = 0; c < SIZE; c++)
        assert_true(reini_moments_variance(&m, c) == 1);
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++) {
        for (int64_t i = 0; i < blocks[k] * SIZE; i++)
            x[n * SIZE + i] = (float)uneven(&rng, (int)(i % SIZE));
        reini_moments_add(&m, x + n * SIZE, blocks[k]);
        n += blocks[k];
        assert_true(m.count == (double)n);
        for (int c = 0; c < SIZE; c++) {
            double mean, variance;
            two_pass(x, n, c, &mean, &variance);
            near(m.mean[c], mean, 1e-12);
            near(reini_moments_variance(&m, c), variance, 1e-9);
        }
    }
    reini_moments_release(&m);
}

/* a far mean and a small deviation: the plain sum of squares would have no correct digit left */
static void test_moments_keep_their_digits(void **state) {
    float x[2000];
    reini_moments m;
    assert_ok(reini_moments_init(&m, 1));
    for (int k = 0; k < 500; k++) {
        for (int i = 0; i < 2000; i++)
            x[i] = 8388608.0f + (float)(i % 2);
        reini_moments_add(&m, x, 2000);
    }
    near(m.mean[0], 8388608.5, 1e-15);
    near(reini_moments_variance(&m, 0), 0.25, 1e-9);
    reini_moments_release(&m);
}

/* ---- rewards ------------------------------------------------------------------------------------------- */

typedef struct rewards {
    int64_t T;
    int N;
    float *reward, *scaled, *returns; /* (T x N); returns: discounted, of the episode up to the step */
    uint8_t *done;
} rewards;

static rewards make_rewards(int64_t T, int N, double size, uint64_t seed) {
    size_t n = (size_t)(T * N);
    rewards r = {T, N, calloc(n, 4), calloc(n, 4), calloc(n, 4), calloc(n, 1)};
    rein_rng rng = rein_rng_make(seed, 0);
    for (size_t i = 0; i < n; i++) {
        r.scaled[i] = r.reward[i] = (float)(size * (0.5 + rein_rng_normal(&rng)));
        r.done[i] = rein_rng_below(&rng, 9) == 0;
    }
    return r;
}

static void free_rewards(rewards *r) {
    free(r->reward);
    free(r->scaled);
    free(r->returns);
    free(r->done);
}

/* sum over the episode so far of discount^(t - s) r_s, by the definition */
static double return_at(const rewards *r, int64_t t, int i, double discount) {
    double sum = 0;
    for (int64_t s = t; s >= 0 && (s == t || !r->done[s * r->N + i]); s--)
        sum += pow(discount, (double)(t - s)) * r->reward[s * r->N + i];
    return sum;
}

static void check_scaling(int64_t T, int N, int64_t part, double discount) {
    rewards r = make_rewards(T, N, 40, (uint64_t)(T + N));
    reini_reward_scale scale;
    double mean = 0, variance = 0;
    assert_ok(reini_reward_scale_init(&scale, N, discount));
    /* in parts: what has been scaled before stays as it is */
    for (int64_t from = 0; from < T; from += part) {
        int64_t steps = from + part < T ? part : T - from, n = (from + steps) * N;
        reini_reward_scale_apply(&scale, r.scaled + from * N, r.done + from * N, steps);
        mean = variance = 0;
        for (int64_t i = 0; i < n; i++)
            mean += return_at(&r, i / N, (int)(i % N), discount) / (double)n;
        for (int64_t i = 0; i < n; i++)
            variance += pow(return_at(&r, i / N, (int)(i % N), discount) - mean, 2) / (double)n;
        for (int64_t i = from * N; i < n; i++)
            near(r.scaled[i], fmin(fmax(r.reward[i] / sqrt(variance + 1e-8), -10), 10), 2e-5);
    }
    near(scale.moments.mean[0], mean, 1e-5);
    near(reini_moments_variance(&scale.moments, 0), variance, 1e-5);
    reini_reward_scale_release(&scale);
    free_rewards(&r);
}

static void test_reward_scaling(void **state) {
    check_scaling(40, 3, 40, 0.99);
    check_scaling(41, 5, 10, 0.9);
    check_scaling(30, 1, 7, 0);
    check_scaling(1, 4, 1, 0.5);
}

/* scaled rewards have returns of deviation 1, whatever their unit */
static void test_scaled_returns_have_unit_deviation(void **state) {
    static const double units[] = {1e-3, 1, 1e4};
    for (int k = 0; k < 3; k++) {
        rewards r = make_rewards(600, 8, units[k], 3);
        reini_reward_scale scale;
        double mean = 0, squares = 0, n = 600 * 8;
        assert_ok(reini_reward_scale_init(&scale, 8, 0.9));
        reini_reward_scale_apply(&scale, r.scaled, r.done, 600);
        memcpy(r.reward, r.scaled, (size_t)n * sizeof(float));
        for (int64_t i = 0; i < 600 * 8; i++) {
            double x = return_at(&r, i / 8, (int)(i % 8), 0.9);
            mean += x / n;
            squares += x * x / n;
        }
        near(sqrt(squares - mean * mean), 1, 0.01);
        reini_reward_scale_release(&scale);
        free_rewards(&r);
    }
}

static void test_large_rewards_are_clipped(void **state) {
    float reward[200] = {0};
    uint8_t done[200];
    reini_reward_scale scale;
    memset(done, 1, sizeof done);
    reward[60] = 1000;
    reward[170] = -1000;
    assert_ok(reini_reward_scale_init(&scale, 1, 0.99));
    reini_reward_scale_apply(&scale, reward, done, 200);
    assert_true(reward[60] == 10 && reward[170] == -10 && reward[5] == 0);
    reini_reward_scale_release(&scale);
}

/* an environment that goes wrong shows in the rewards, is not clipped into a plausible one, and leaves the
 * statistics of the others and of later episodes alone */
static void test_nan_shows(void **state) {
    float reward[10] = {1, 2, NAN, 1, 2, 1, 2, 1, 1, -1}, clean[10] = {1, 2, 5, 1, 2, 1, 2, 1, 1, -1};
    uint8_t done[10] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
    reini_reward_scale scale;
    assert_ok(reini_reward_scale_init(&scale, 2, 0.99));
    reini_reward_scale_apply(&scale, reward, done, 5);
    for (int i = 0; i < 10; i++)
        assert_true(i == 2 ? isnan(reward[i]) : isfinite(reward[i]) && reward[i] * clean[i] > 0);
    /* two of ten discounted returns had a NaN in them */
    assert_true(scale.moments.count == 8 && isfinite(scale.moments.mean[0]));
    reini_reward_scale_release(&scale);
}

static void test_rows_that_are_not_finite_are_left_out(void **state) {
    enum { ROWS = 9 };
    float x[ROWS * SIZE], kept[ROWS * SIZE];
    static const int bad[] = {0, 3, 4, 8};
    static const float badness[] = {NAN, INFINITY, -INFINITY, NAN};
    rein_rng rng = rein_rng_make(6, 0);
    reini_moments dirty, clean;
    assert_ok(reini_moments_init(&dirty, SIZE));
    assert_ok(reini_moments_init(&clean, SIZE));
    for (int i = 0; i < ROWS * SIZE; i++)
        x[i] = (float)uneven(&rng, i % SIZE);
    for (int k = 0; k < 4; k++)
        x[bad[k] * SIZE + k % SIZE] = badness[k];
    for (int i = 0, n = 0; i < ROWS; i++)
        if (i != 0 && i != 3 && i != 4 && i != 8)
            memcpy(kept + n++ * SIZE, x + i * SIZE, SIZE * sizeof(float));
    reini_moments_add(&dirty, x, ROWS);
    reini_moments_add(&clean, kept, ROWS - 4);
    assert_true(dirty.count == ROWS - 4);
    for (int c = 0; c < SIZE; c++) {
        near(dirty.mean[c], clean.mean[c], 1e-13);
        near(dirty.sum_squares[c], clean.sum_squares[c], 1e-9);
    }
    reini_moments_release(&dirty);
    reini_moments_release(&clean);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_moments_keep_their_digits),
        cmocka_unit_test(test_reward_scaling),
        cmocka_unit_test(test_scaled_returns_have_unit_deviation),
        cmocka_unit_test(test_large_rewards_are_clipped),
        cmocka_unit_test(test_nan_shows),
        cmocka_unit_test(test_rows_that_are_not_finite_are_left_out),
    };
    return cmocka_run_group_tests_name("normalise", tests, NULL, NULL);
}
