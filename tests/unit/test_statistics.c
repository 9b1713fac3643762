/*
 * test_statistics.c - summaries against NumPy 2.4 and SciPy 1.17 on the scores below.
 */
#include "support/check.h"
#include <math.h>
#include <stdlib.h>
#include "base/base.h"
#include "run/statistics.h"

static const double scores[12] = {3.5, -1.25, 8, 2, 2, 10.75, -6, 0.5, 4.25, 7, 1, 5.5};

#define assert_close(x, y) assert_true(fabs((x) - (y)) < 1e-12)

/* numpy.mean, numpy.std(ddof=1), numpy.std */
static void mean_and_deviation(void **state) {
    assert_close(reini_mean(scores, 12), 3.1041666666666665);
    assert_close(reini_std(scores, 12), 4.475258160828334);
    assert_close(reini_std_population(scores, 12), 4.284733477384821);
    assert_close(reini_mean(scores, 1), 3.5);
    assert_close(reini_std(scores, 1), 0);
    assert_close(reini_std_population(scores, 1), 0);
    assert_close(reini_std(scores, 0), 0);
    assert_true(isnan(reini_mean(scores, 0)));
    const double far[4] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};
    assert_close(reini_std(far, 4), sqrt(30));
}

/* numpy.quantile */
static void quantiles(void **state) {
    assert_close(reini_quantile(scores, 12, 0), -6);
    assert_close(reini_quantile(scores, 12, 0.1), -1.0749999999999997);
    assert_close(reini_quantile(scores, 12, 0.25), 0.875);
    assert_close(reini_quantile(scores, 12, 0.5), 2.75);
    assert_close(reini_quantile(scores, 12, 0.9), 7.9);
    assert_close(reini_quantile(scores, 12, 1), 10.75);
    assert_close(reini_quantile(scores, 12, 2), 10.75);
    assert_close(reini_quantile(scores, 12, -1), -6);
    assert_close(reini_quantile(scores, 1, 0.3), 3.5);
    assert_true(isnan(reini_quantile(scores, 0, 0.5)));
}

/* scipy.stats.trim_mean(x, 0.25) where 4 divides n; the others weigh the borders in part */
static void interquartile_mean(void **state) {
    assert_close(reini_iqm(scores, 12), 3.0416666666666665);
    assert_close(reini_iqm(scores, 8), 2.0);
    assert_close(reini_iqm(scores, 10), 3.1);
    assert_close(reini_iqm(scores, 5), 2.45);
    assert_close(reini_iqm(scores, 3), 3.4583333333333335);
    assert_close(reini_iqm(scores, 1), 3.5);
    assert_true(isnan(reini_iqm(scores, 0)));
    double many[1000];
    for (int i = 0; i < 1000; i++)
        many[i] = (i * 7919) % 1000;
    assert_close(reini_iqm(many, 1000), 499.5);
}

/* scipy.stats.bootstrap(method="percentile") of the mean: 0.6458, 5.479; of the interquartile mean: 0.75,
 * 5.83 */
static void bootstrap_intervals(void **state) {
    reini_interval mean = reini_bootstrap(scores, 12, reini_mean, 0.95, 20000, 1);
    assert_true(fabs(mean.low - 0.6458) < 0.1 && fabs(mean.high - 5.479) < 0.1);
    reini_interval iqm = reini_bootstrap(scores, 12, reini_iqm, 0.95, 20000, 1);
    assert_true(fabs(iqm.low - 0.75) < 0.15 && fabs(iqm.high - 5.83) < 0.15);
    reini_interval again = reini_bootstrap(scores, 12, reini_mean, 0.95, 20000, 1);
    assert_true(again.low == mean.low && again.high == mean.high);
    reini_interval other = reini_bootstrap(scores, 12, reini_mean, 0.95, 20000, 2);
    assert_true(other.low != mean.low || other.high != mean.high);
    reini_interval narrow = reini_bootstrap(scores, 12, reini_mean, 0.5, 20000, 1);
    assert_true(narrow.low > mean.low && narrow.high < mean.high);
    reini_interval single = reini_bootstrap(scores, 1, reini_mean, 0.95, 100, 1);
    assert_true(single.low == 3.5 && single.high == 3.5);
    assert_true(isnan(reini_bootstrap(scores, 0, reini_mean, 0.95, 100, 1).low));
    assert_true(isnan(reini_bootstrap(scores, 12, reini_mean, 0.95, 0, 1).low));
}

static void out_of_memory_gives_nan(void **state) {
    double many[1000] = {0};
    uint64_t before = reini_memory_now().live_bytes;
    reini_memory_fail(1, false);
    assert_true(isnan(reini_iqm(many, 1000)));
    reini_memory_fail(1, false);
    assert_true(isnan(reini_quantile(many, 1000, 0.5)));
    reini_memory_fail(2, false);
    assert_true(isnan(reini_bootstrap(many, 1000, reini_mean, 0.95, 10, 1).low));
    assert_int_equal(reini_memory_now().live_bytes, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_and_deviation),      cmocka_unit_test(quantiles),
        cmocka_unit_test(interquartile_mean),      cmocka_unit_test(bootstrap_intervals),
        cmocka_unit_test(out_of_memory_gives_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
