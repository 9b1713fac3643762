/*
 * test_activations.c - activations, their slopes, log-softmax and categorical sums of every kernel table
 * against PyTorch's values in double (tests/golden/act_torch.json).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include "tensor/kernels.h"

enum { MOST = 128 };

static const reini_kernels *tables[4] = {&reini_kernels_ref_f32, &reini_kernels_portable};
static int table_count = 2;
static json_t *golden;

static int read_array(float *to, const json_t *array) {
    size_t n = json_array_size(array);
    assert_true(n > 0 && n <= MOST);
    for (size_t i = 0; i < n; i++)
        to[i] = (float)json_number_value(json_array_get(array, i));
    return (int)n;
}

/* one row of n numbers */
static void run(const reini_kernels *table, reini_op op, float *out, int out_n, float *a, float *b, int n) {
    static const double p[2] = {1, 0};
    reini_kernel *kernel = table->run[op] ? table->run[op] : reini_kernels_ref_f32.run[op];
    reini_call call = {.out = {out, out_n, out_n}, .in = {{a, n, n}, {b, n, n}}, .rows = 1, .p = p};
    kernel(&call);
}

static void expect(const reini_kernels *table, const char *what, const float *got, const json_t *want,
                   int n) {
    for (int i = 0; i < n; i++) {
        double y = json_is_number(want) ? json_number_value(want)
                                        : json_number_value(json_array_get(want, (size_t)i));
        if (!(fabs((double)got[i] - y) <= 2e-6 * fmax(1, fabs(y))))
            fail_msg("%s %s at %d: %.9g, not %.9g", table->level, what, i, (double)got[i], y);
    }
}

static void test_activations(void **state) {
    static const struct {
        reini_op op;
        const char *name;
    } values[] = {{REINI_TANH, "tanh"},
                  {REINI_SIGMOID, "sigmoid"},
                  {REINI_SOFTPLUS, "softplus"},
                  {REINI_SILU, "silu"},
                  {REINI_GELU, "gelu_tanh"}};
    const json_t *all = json_object_get(golden, "activations");
    float x[MOST], y[MOST];
    int n = read_array(x, json_object_get(all, "x"));
    for (int t = 0; t < table_count; t++) {
        for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
            run(tables[t], values[i].op, y, n, x, NULL, n);
            expect(tables[t], values[i].name, y, json_object_get(all, values[i].name), n);
        }
    }
}

static void test_slopes(void **state) {
    /* slopes of tanh and sigmoid take the result y, those of silu and gelu take x */
    static const struct {
        reini_op forward, slope;
        const char *name;
    } slopes[] = {{REINI_TANH, REINI_TANH_GRAD, "d_tanh"},
                  {REINI_SIGMOID, REINI_SIGMOID_GRAD, "d_sigmoid"},
                  {REINI_EXPAND, REINI_SILU_GRAD, "d_silu"},
                  {REINI_EXPAND, REINI_GELU_GRAD, "d_gelu_tanh"}};
    const json_t *all = json_object_get(golden, "activations");
    float x[MOST], y[MOST], dx[MOST], one[MOST];
    int n = read_array(x, json_object_get(all, "x"));
    for (int i = 0; i < n; i++)
        one[i] = 1;
    for (int t = 0; t < table_count; t++) {
        for (size_t i = 0; i < sizeof(slopes) / sizeof(*slopes); i++) {
            run(tables[t], slopes[i].forward, y, n, x, NULL, n);
            run(tables[t], slopes[i].slope, dx, n, one, y, n);
            expect(tables[t], slopes[i].name, dx, json_object_get(all, slopes[i].name), n);
        }
    }
}

static void test_log_softmax(void **state) {
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(golden, "log_softmax"), i, row) {
        float x[MOST], y[MOST];
        int n = read_array(x, json_object_get(row, "x"));
        for (int t = 0; t < table_count; t++) {
            run(tables[t], REINI_LOG_SOFTMAX, y, n, x, NULL, n);
            expect(tables[t], "log_softmax", y, json_object_get(row, "log_softmax"), n);
        }
    }
}

static void test_categorical(void **state) {
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(golden, "categorical"), i, row) {
        float a[MOST], b[MOST], log_a[MOST], log_b[MOST], sum;
        int n = read_array(a, json_object_get(row, "logits"));
        read_array(b, json_object_get(row, "other_logits"));
        for (int t = 0; t < table_count; t++) {
            run(tables[t], REINI_LOG_SOFTMAX, log_a, n, a, NULL, n);
            run(tables[t], REINI_LOG_SOFTMAX, log_b, n, b, NULL, n);
            expect(tables[t], "log_prob", log_a, json_object_get(row, "log_prob"), n);
            run(tables[t], REINI_ENTROPY, &sum, 1, log_a, NULL, n);
            expect(tables[t], "entropy", &sum, json_object_get(row, "entropy"), 1);
            run(tables[t], REINI_RELENT, &sum, 1, log_a, log_b, n);
            expect(tables[t], "kl_to_other", &sum, json_object_get(row, "kl_to_other"), 1);
        }
    }
}

static int load_golden(void **state) {
    golden = json_load_file(REIN_SOURCE_DIR "/tests/golden/act_torch.json", 0, NULL);
    return golden ? 0 : -1;
}

static int free_golden(void **state) {
    json_decref(golden);
    return 0;
}

int main(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        tables[table_count++] = &reini_kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        tables[table_count++] = &reini_kernels_avx512;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_log_softmax),
        cmocka_unit_test(test_categorical),
    };
    return cmocka_run_group_tests(tests, load_golden, free_golden);
}
