/*
 * test_wide.c - errors of the elementary functions (wide_math.h) against libm in double, over every
 * 509th float, and of the optimizers' vector loops against double arithmetic, at every level of this machine.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rein/rng.h>
#include "tensor/kernels.h"

extern const reini_vector_ops reini_vector_ops_portable, reini_vector_ops_avx2, reini_vector_ops_avx512;

static const reini_kernels *tables[3];
static const reini_vector_ops *loops[3];
static int level_count;

static void find_levels(void) {
    tables[level_count] = &reini_kernels_portable;
    loops[level_count++] = &reini_vector_ops_portable;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        tables[level_count] = &reini_kernels_avx2;
        loops[level_count++] = &reini_vector_ops_avx2;
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
        tables[level_count] = &reini_kernels_avx512;
        loops[level_count++] = &reini_vector_ops_avx512;
    }
#endif
}

/* ---- elementary functions ------------------------------------------------------------------------------ */

enum { BLOCK = 4096, STRIDE = 509 };

static double exact_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double exact_softplus(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

typedef struct claim {
    reini_op op;
    double (*exact)(double);
    double low, high; /* range */
    double relative;  /* claimed largest relative error */
} claim;

static const claim claims[] = {
    {REINI_EXP, exp, -87, 88.7, 1.02 * 0x1p-23},
    {REINI_LOG, log, 0x1p-149, 3.4e38, 1.02 * 0x1p-23},
    {REINI_TANH, tanh, -3.4e38, 3.4e38, 3.6e-7},
    {REINI_SIGMOID, exact_sigmoid, -87, 3.4e38, 3 * 0x1p-23},
    {REINI_SOFTPLUS, exact_softplus, -87, 3.4e38, 3 * 0x1p-23},
};

static void walk_block(const reini_kernels *table, const claim *c, const float *x, float *y) {
    reini_call call = {.out = {y, BLOCK, BLOCK}, .in = {{(void *)(uintptr_t)x, BLOCK, BLOCK}}, .rows = 1};
    table->run[c->op](&call);
    for (int i = 0; i < BLOCK; i++) {
        double want = c->exact((double)x[i]);
        /* the logarithm's own zero: its error is relative to x - 1 */
        if (!(fabs((double)y[i] - want) <= c->relative * fabs(want) + 0x1p-149))
            fail_msg("%s %s(%.9g) = %.9g, not %.9g", table->level, reini_op_name(c->op), (double)x[i],
                     (double)y[i], want);
        if (c->op == REINI_TANH && fabsf(y[i]) > 1)
            fail_msg("%s TANH(%.9g) = %.9g", table->level, (double)x[i], (double)y[i]);
    }
}

static void walk(const reini_kernels *table, const claim *c) {
    static float x[BLOCK], y[BLOCK];
    int n = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += STRIDE) {
        uint32_t word = (uint32_t)bits;
        memcpy(&x[n], &word, 4);
        if (x[n] >= c->low && x[n] <= c->high && ++n == BLOCK) {
            walk_block(table, c, x, y);
            n = 0;
        }
    }
    for (int i = n; i < BLOCK; i++)
        x[i] = 0.5f;
    walk_block(table, c, x, y);
}

static void test_claims(void **state) {
    for (int level = 0; level < level_count; level++)
        for (size_t i = 0; i < sizeof(claims) / sizeof(*claims); i++)
            walk(tables[level], &claims[i]);
}

typedef struct special {
    reini_op op;
    float x, y;
} special;

static void test_specials(void **state) {
    static const special specials[] = {
        {REINI_EXP, -INFINITY, 0},
        {REINI_EXP, INFINITY, INFINITY},
        {REINI_EXP, NAN, NAN},
        {REINI_EXP, 0, 1},
        {REINI_EXP, 89, INFINITY},
        {REINI_EXP, -105, 0},
        {REINI_LOG, NAN, NAN},
        {REINI_LOG, 1, 0},
        {REINI_LOG, 0, -INFINITY},
        {REINI_LOG, -1, NAN},
        {REINI_LOG, INFINITY, INFINITY},
        {REINI_TANH, NAN, NAN},
        {REINI_TANH, 0, 0},
        {REINI_SIGMOID, INFINITY, 1},
        {REINI_SIGMOID, -INFINITY, 0},
        {REINI_SIGMOID, NAN, NAN},
        {REINI_SOFTPLUS, INFINITY, INFINITY},
        {REINI_SOFTPLUS, -INFINITY, 0},
        {REINI_RELU, NAN, NAN},
        {REINI_RELU, -INFINITY, 0},
        {REINI_SQRT, -1, NAN},
        {REINI_GELU, NAN, NAN},
        {REINI_SILU, NAN, NAN},
    };
    for (int level = 0; level < level_count; level++) {
        for (size_t i = 0; i < sizeof(specials) / sizeof(*specials); i++) {
            float x = specials[i].x, y = 7, want = specials[i].y;
            reini_call call = {.out = {&y, 1, 1}, .in = {{&x, 1, 1}}, .rows = 1};
            tables[level]->run[specials[i].op](&call);
            if (!(isnan(want) ? isnan(y) : y == want))
                fail_msg("%s %s(%g) = %g", tables[level]->level, reini_op_name(specials[i].op), (double)x,
                         (double)y);
        }
    }
}

/* The largest uniform number makes a radius of -2 log 1 = -0: seed 1's row 3,087,398 draws it. */
static void test_normal_of_one(void **state) {
    enum { ROWS = 64, BEFORE = 17 };
    reini_key key = {.seed = 1, .row_base = 3087398 - BEFORE};
    uint32_t word[4];
    rein_philox(key.seed, (key.row_base + BEFORE) << 32, 0, word);
    assert_true(word[0] >> 8 == 0xFFFFFF);
    for (int level = 0; level < level_count; level++) {
        float y[ROWS][4];
        reini_call call = {.out = {y, 4, 4}, .in = {{&key, 0, 0}}, .rows = ROWS};
        tables[level]->run[REINI_RANDOM_NORMAL](&call);
        for (int i = 0; i < ROWS * 4; i++)
            if (!(fabsf(y[i / 4][i % 4]) < 6))
                fail_msg("%s normal number %d = %g", tables[level]->level, i, (double)y[i / 4][i % 4]);
        assert_true(y[BEFORE][0] == 0 && y[BEFORE][1] == 0);
    }
}

/* ---- vector loops -------------------------------------------------------------------------------------- */

enum { MOST = 300 };

typedef struct vectors {
    float param[MOST], m[MOST], v[MOST], grad[MOST];
} vectors;

static void fill(vectors *x) {
    srand(3);
    for (int i = 0; i < MOST; i++) {
        x->param[i] = (float)rand() / (float)RAND_MAX - 0.5f;
        x->m[i] = i % 5 ? 0.01f * x->param[i] : 0;
        x->v[i] = i % 5 ? 1e-4f * (float)rand() / (float)RAND_MAX : 0;
        x->grad[i] = i % 7 == 0 ? 0 : i % 7 == 1 ? 1e-20f : i % 7 == 2 ? 1e6f : 0.2f * x->param[i];
    }
}

static void check_near(const char *level, const char *what, int i, double got, double want) {
    if (!(fabs(got - want) <= 2e-6 * fmax(1, fabs(want))))
        fail_msg("%s %s at %d: %.9g, not %.9g", level, what, i, got, want);
}

static void test_adam(void **state) {
    reini_adam_args a = {0.01f, 0.9f, 0.999f, 1e-8f, 0.001f, 5.26f, 500.25f, 0.5f};
    for (int level = 0; level < level_count; level++) {
        for (int n = 1; n < MOST; n = n * 2 + 1) {
            static vectors before, x;
            fill(&before);
            x = before;
            loops[level]->adam(x.param, x.m, x.v, x.grad, n, &a);
            for (int i = 0; i < n; i++) {
                double g = 0.5 * (double)before.grad[i], m = (double)a.beta1 * (double)before.m[i];
                m += (1 - (double)a.beta1) * g;
                double v = (double)a.beta2 * (double)before.v[i] + (1 - (double)a.beta2) * g * g;
                double root = sqrt(v * (double)a.correct2) + (double)a.eps;
                double p = (double)before.param[i] * (1 - (double)a.decay);
                check_near(loops[level]->level, "adam m", i, (double)x.m[i] / fmax(1, fabs(m)),
                           m / fmax(1, fabs(m)));
                check_near(loops[level]->level, "adam v", i, (double)x.v[i], v);
                check_near(loops[level]->level, "adam", i, (double)x.param[i],
                           p - (double)a.rate * m * (double)a.correct1 / root);
            }
            assert_memory_equal(x.param + n, before.param + n, (size_t)(MOST - n) * 4);
            assert_memory_equal(x.v + n, before.v + n, (size_t)(MOST - n) * 4);
        }
    }
}

static void test_sums(void **state) {
    for (int level = 0; level < level_count; level++) {
        for (int n = 0; n < MOST; n++) {
            static vectors x;
            double sum = 0, squares = 0;
            fill(&x);
            for (int i = 0; i < n; i++) {
                sum += (double)x.param[i];
                squares += (double)x.grad[i] * (double)x.grad[i];
            }
            assert_true(fabs(loops[level]->sum(x.param, n) - sum) <= 1e-12);
            assert_true(fabs(loops[level]->sum_squares(x.grad, n) - squares) <= 1e-12 * squares);
        }
    }
}

static void test_add_and_blend(void **state) {
    for (int level = 0; level < level_count; level++) {
        static vectors before, x;
        fill(&before);
        x = before;
        loops[level]->add(x.param, x.v, 77);
        loops[level]->blend(x.m, x.grad, 77, 0.25f);
        for (int i = 0; i < MOST; i++) {
            double p = (double)before.param[i], m = (double)before.m[i];
            check_near(loops[level]->level, "add", i, (double)x.param[i], i < 77 ? p + (double)x.v[i] : p);
            check_near(loops[level]->level, "blend", i, (double)x.m[i],
                       i < 77 ? m + 0.25 * ((double)x.grad[i] - m) : m);
        }
    }
}

int main(void) {
    find_levels();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),        cmocka_unit_test(test_specials),
        cmocka_unit_test(test_adam),          cmocka_unit_test(test_sums),
        cmocka_unit_test(test_add_and_blend), cmocka_unit_test(test_normal_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
