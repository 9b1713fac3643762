/*
 * test_sampling.c - drawing tokens: frequencies, cuts against plain sorting, log-probabilities, places.
 */
#include <math.h>
#include <stdlib.h>
#include <rein/rng.h>
#include "lm/sampling.h"
#include "support/check.h"

enum { LARGE = 5003 };

static void fill(float *x, int n, uint64_t seed, float scale, bool ties) {
    rein_rng rng = rein_rng_make(seed, 0);
    for (int i = 0; i < n; i++) {
        double value = scale * rein_rng_normal(&rng);
        x[i] = (float)(ties ? round(4 * value) / 4 : value);
    }
}

static reini_sampler *sampler_of(int n) {
    reini_sampler *s;
    assert_ok(reini_sampler_new(n, &s));
    return s;
}

/* log softmax(x / t)[token] in double */
static double reference_logp(const float *x, int n, double t, int token) {
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, x[i]);
    for (int i = 0; i < n; i++)
        sum += exp((x[i] - most) / t);
    return (x[token] - most) / t - log(sum);
}

/* ---- cuts by sorting: the specification ----------------------------------------------------------------- */

static const float *sorted_by;

/* upwards; equals in the order of their ids */
static int by_value(const void *a, const void *b) {
    int i = *(const int *)a, j = *(const int *)b;
    if (sorted_by[i] != sorted_by[j])
        return sorted_by[i] < sorted_by[j] ? -1 : 1;
    return i - j;
}

static void reference_cut(const reini_sampling *s, const float *x, int n, double *p) {
    int *order = malloc((size_t)n * sizeof *order);
    double total = 0, most = -INFINITY;
    for (int i = 0; i < n; i++) {
        order[i] = i;
        most = fmax(most, x[i]);
    }
    sorted_by = x;
    qsort(order, (size_t)n, sizeof *order, by_value);
    int k = s->top_k > 0 && s->top_k < n ? s->top_k : n;
    for (int i = 0; i < n; i++) {
        bool kept = x[i] >= x[order[n - k]];
        p[i] = kept ? exp((x[i] - most) / s->temperature) : 0;
        total += p[i];
    }
    double below = 0;
    for (int r = 0; r < n - 1 && s->top_p < 1; r++) {
        below += p[order[r]] / total;
        if (below > 1 - s->top_p)
            break;
        p[order[r]] = 0;
    }
    for (int i = 0; i < n; i++)
        if (p[i] < s->min_p)
            p[i] = 0;
    total = 0;
    for (int i = 0; i < n; i++)
        total += p[i];
    for (int i = 0; i < n; i++)
        p[i] /= total;
    free(order);
}

static void test_cuts_are_those_of_sorting(void **state) {
    (void)state;
    static float x[LARGE], p[LARGE];
    static double expected[LARGE];
    static const int sizes[] = {1, 2, 31, 1024, LARGE};
    for (int round = 0; round < 200; round++) {
        int n = sizes[round % 5];
        reini_sampler *sampler = sampler_of(n);
        reini_sampling s = reini_sampling_plain(round % 3 ? 1 : 0.6);
        fill(x, n, (uint64_t)round, round % 2 ? 3 : 0.5F, round % 7 == 0);
        s.top_k = (int[]){0, 1, 5, 40, 3000}[round / 5 % 5];
        s.top_p = (double[]){1, 0.013, 0.5, 0.9, 0.999}[round / 3 % 5];
        s.min_p = (double[]){0, 0.01, 0.3}[round / 4 % 3];
        assert_ok(reini_sampling_check(&s));
        reini_sampling_probabilities(sampler, &s, x, NULL, 0, p);
        reference_cut(&s, x, n, expected);
        for (int i = 0; i < n; i++) {
            if ((p[i] > 0) != (expected[i] > 0))
                fail_msg("round %d: token %d of %d: %g, expected %g", round, i, n, (double)p[i], expected[i]);
            assert_true(fabs((double)p[i] - expected[i]) <= 1e-6 + 1e-5 * expected[i]);
        }
        reini_sampler_free(sampler);
    }
}

/* ---- draws ----------------------------------------------------------------------------------------------- */

/* Pearson's statistic against the 1 - 1e-6 quantile of chi-square (Wilson and Hilferty 1931) */
static void check_frequencies(const reini_sampling *s, int n, uint64_t seed, bool by_sample) {
    enum { DRAWS = 40000 };
    float x[64], p[64];
    int count[64] = {0}, cells = 0;
    reini_sampler *sampler = sampler_of(n);
    fill(x, n, seed, 1, false);
    reini_sampling_probabilities(sampler, s, x, NULL, 0, p);
    for (uint32_t i = 0; i < DRAWS; i++) {
        reini_place place = {9, 3, by_sample ? i : 0, by_sample ? 0 : i};
        count[reini_sample(sampler, s, x, NULL, 0, place).token]++;
    }
    double statistic = 0;
    for (int i = 0; i < n; i++) {
        if (p[i] <= 0) {
            assert_int_equal(count[i], 0);
            continue;
        }
        double expected = DRAWS * (double)p[i];
        statistic += (count[i] - expected) * (count[i] - expected) / expected;
        cells++;
    }
    double k = cells - 1, root = 1 - 2 / (9 * k) + 4.7534 * sqrt(2 / (9 * k));
    if (cells > 1 && statistic > k * root * root * root)
        fail_msg("chi-square %.1f with %d cells", statistic, cells);
    reini_sampler_free(sampler);
}

static void test_frequencies(void **state) {
    (void)state;
    reini_sampling plain = reini_sampling_plain(1), hot = reini_sampling_plain(2), cut = hot;
    check_frequencies(&plain, 30, 1, false);
    check_frequencies(&plain, 64, 2, true);
    check_frequencies(&hot, 50, 3, false);
    cut.top_k = 12;
    check_frequencies(&cut, 50, 3, false);
    cut.top_p = 0.7;
    check_frequencies(&cut, 50, 4, true);
    cut.top_k = 0;
    cut.min_p = 0.2;
    check_frequencies(&cut, 50, 5, false);
}

static void test_log_probability_is_of_the_full_softmax(void **state) {
    (void)state;
    static float x[LARGE];
    int32_t history[] = {3, 4, 3};
    reini_sampler *sampler = sampler_of(LARGE);
    for (int round = 0; round < 60; round++) {
        reini_sampling s = reini_sampling_plain((double[]){0, 1, 0.7, 1.5}[round % 4]), plain = s;
        fill(x, LARGE, 100 + (uint64_t)round, 2, false);
        s.top_k = round % 5;
        s.top_p = round % 2 ? 0.6 : 1;
        s.repetition_penalty = round % 3 ? 1 : 1.2;
        reini_place place = {1, 2, 3, (uint32_t)round};
        reini_drawn drawn = reini_sample(sampler, &s, x, history, 3, place);
        double expected = reference_logp(x, LARGE, s.temperature > 0 ? s.temperature : 1, drawn.token);
        assert_true(fabs((double)drawn.logp - expected) < 2e-5);
        /* cuts do not change the number that goes with a token */
        plain.top_k = 1;
        reini_drawn best = reini_sample(sampler, &plain, x, NULL, 0, place);
        if (best.token == drawn.token)
            assert_memory_equal(&best.logp, &drawn.logp, sizeof best.logp);
    }
    reini_sampler_free(sampler);
}

static void test_places(void **state) {
    (void)state;
    enum { N = 50 };
    float x[N] = {0};
    reini_sampler *sampler = sampler_of(N);
    reini_sampling s = reini_sampling_plain(1);
    reini_place here = {1, 2, 3, 4}, others[] = {{2, 2, 3, 4}, {1, 3, 3, 4}, {1, 2, 4, 4}, {1, 2, 3, 5}};
    int same[4] = {0};
    for (uint32_t i = 0; i < 400; i++) {
        /* the same place gives the same token, another one is independent: equal one time in 50 */
        here.position = 4 + 10 * i;
        int token = reini_sample(sampler, &s, x, NULL, 0, here).token;
        assert_int_equal(token, reini_sample(sampler, &s, x, NULL, 0, here).token);
        for (int k = 0; k < 4; k++) {
            others[k].position = here.position + (k == 3);
            same[k] += token == reini_sample(sampler, &s, x, NULL, 0, others[k]).token;
        }
    }
    for (int k = 0; k < 4; k++)
        assert_in_range(same[k], 1, 24);
    reini_sampler_free(sampler);
}

static void test_greedy(void **state) {
    (void)state;
    float x[40];
    reini_sampler *sampler = sampler_of(40);
    reini_sampling s = reini_sampling_plain(0);
    reini_place place = {0};
    for (int i = 0; i < 40; i++)
        x[i] = (float)(i % 7);
    assert_int_equal(reini_sample(sampler, &s, x, NULL, 0, place).token, 6);
    /* the penalty moves the winner: 6 / 1.5 = 4 leaves 13 in front; each distinct token counts once */
    int32_t history[] = {6, 6, 5, 5};
    s.repetition_penalty = 1.5;
    assert_int_equal(reini_sample(sampler, &s, x, history, 4, place).token, 13);
    for (int i = 0; i < 40; i++)
        x[i] = -1;
    x[11] = -0.9F;
    int32_t eleven = 11;
    assert_int_equal(reini_sample(sampler, &s, x, NULL, 0, place).token, 11);
    assert_int_equal(reini_sample(sampler, &s, x, &eleven, 1, place).token, 0);
    reini_sampler_free(sampler);
}

static void test_rows_that_are_not_sound(void **state) {
    (void)state;
    float x[300];
    reini_sampler *sampler = sampler_of(300);
    reini_place place = {0};
    for (int kind = 0; kind < 4; kind++) {
        for (int i = 0; i < 300; i++)
            x[i] = kind == 3 ? -INFINITY : 1;
        if (kind < 3)
            x[257] = (float[]){NAN, INFINITY, -INFINITY}[kind];
        for (int t = 0; t < 2; t++) {
            reini_sampling s = reini_sampling_plain(t);
            reini_drawn drawn = reini_sample(sampler, &s, x, NULL, 0, place);
            /* a token that cannot come is fine */
            assert_true((drawn.token == -1) == (kind != 2));
        }
    }
    reini_sampler_free(sampler);
}

static void test_settings_are_checked(void **state) {
    (void)state;
    reini_sampling s = reini_sampling_plain(1);
    assert_ok(reini_sampling_check(&s));
    s.temperature = -1;
    assert_fails(reini_sampling_check(&s), REIN_USAGE, "temperature");
    s = reini_sampling_plain(NAN);
    assert_fails(reini_sampling_check(&s), REIN_USAGE, "temperature");
    s = reini_sampling_plain(1);
    s.top_p = 0;
    assert_fails(reini_sampling_check(&s), REIN_USAGE, "top_p");
    s = reini_sampling_plain(1);
    s.top_k = -1;
    assert_fails(reini_sampling_check(&s), REIN_USAGE, "top_k");
    s = reini_sampling_plain(1);
    s.min_p = 1.5;
    assert_fails(reini_sampling_check(&s), REIN_USAGE, "min_p");
    s = reini_sampling_plain(1);
    s.repetition_penalty = 0;
    assert_fails(reini_sampling_check(&s), REIN_USAGE, "repetition_penalty");
}

static void test_out_of_memory(void **state) {
    (void)state;
    uint64_t before = reini_memory_now().live_bytes;
    for (uint64_t nth = 1; nth <= 5; nth++) {
        reini_sampler *s;
        reini_memory_fail(nth, false);
        assert_fails(reini_sampler_new(100, &s), REIN_NOMEM, "sampling");
        assert_null(s);
    }
    reini_memory_fail(0, false);
    assert_true(reini_memory_now().live_bytes == before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_are_those_of_sorting),
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_log_probability_is_of_the_full_softmax),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_rows_that_are_not_sound),
        cmocka_unit_test(test_settings_are_checked),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
