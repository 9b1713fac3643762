/*
 * test_env_math.c - sine, cosine and angle wrapping of the environments.
 */
#include "support/check.h"
#include <math.h>
#include <rein/rng.h>
#include "env/env_math.h"

enum { N = 1 << 16 };
static float angle[N], sine[N], cosine[N], wrapped[N];

REINI_INLINE void evaluate_body(void) {
    for (int i = 0; i < N; i++) {
        reini_sincosf(angle[i], &sine[i], &cosine[i]);
        wrapped[i] = (float)real_wrap_angle(angle[i]);
    }
}
REINI_FOR_LEVELS(evaluate, (void), ())

static void fill_angles(float range) {
    rein_rng rng = rein_rng_make(3, (uint64_t)range);
    for (int i = 0; i < N; i++)
        angle[i] = rein_rng_range(&rng, -range, range);
    angle[0] = 0;
    angle[1] = -0.0f;
    angle[2] = (float)REINI_PI;
    angle[3] = (float)-REINI_PI;
    angle[4] = (float)(REINI_PI / 4);
    angle[5] = (float)(REINI_PI / 2);
    angle[6] = 1e-30f;
}

static void check_accuracy(float range) {
    double worst_sine = 0, worst_wrap = 0;
    fill_angles(range);
    evaluate();
    for (int i = 0; i < N; i++) {
        double x = angle[i];
        worst_sine = fmax(worst_sine, fabs(sine[i] - sin(x)));
        worst_sine = fmax(worst_sine, fabs(cosine[i] - cos(x)));
        worst_wrap = fmax(worst_wrap, fabs(remainder(wrapped[i] - x, 2 * REINI_PI)));
        assert_true(fabsf(wrapped[i]) <= 3.1415929f + range * 1e-6f);
    }
    print_message("|x| < %g: sine and cosine within %.2g, wrapped within %.2g\n", (double)range, worst_sine,
                  worst_wrap);
    assert_true(worst_sine < 1e-7);
    assert_true(worst_wrap < 1.5e-7);
}

static void test_accuracy(void **state) {
    check_accuracy(1);
    check_accuracy(10);
    check_accuracy(100);
    check_accuracy(10000);
}

static void test_special(void **state) {
    float s, c;
    reini_sincosf(0, &s, &c);
    assert_true(s == 0 && c == 1);
    reini_sincosf(NAN, &s, &c);
    assert_true(isnan(s) && isnan(c));
    reini_sincosf(INFINITY, &s, &c);
    assert_true(isnan(s) && isnan(c));
    assert_true(isnan(real_clip(NAN, -1, 1)));
    assert_true(real_clip(2, -1, 1) == 1 && real_clip(-2, -1, 1) == -1 && real_clip(0.5f, -1, 1) == 0.5f);
}

/* Every level, and one call at a time, give the same bits. */
static void test_levels(void **state) {
    static float sine_0[N], cosine_0[N], wrapped_0[N];
    fill_angles(9999);
    for (int i = 0; i < N; i++) {
        reini_sincosf(angle[i], &sine_0[i], &cosine_0[i]);
        wrapped_0[i] = (float)real_wrap_angle(angle[i]);
    }
    for (int level = REINI_ISA_PORTABLE; level <= REINI_ISA_AVX512; level++) {
        reini_isa_cap(level);
        evaluate();
        assert_memory_equal(sine, sine_0, sizeof sine);
        assert_memory_equal(cosine, cosine_0, sizeof cosine);
        assert_memory_equal(wrapped, wrapped_0, sizeof wrapped);
    }
    reini_isa_cap(-1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_special),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
