/*
 * bench_ops.c - speed of the kernels that training spends its time in, at every level of this machine.
 *
 * Prints GFLOP/s of dense layers and their gradients (with libxsmm beside them when built with
 * REIN_HAVE_XSMM), ns per 16 elements of elementwise ops, ns per parameter of Adam and ns per random number.
 * Each figure is the best of many short repetitions, so that a busy machine disturbs it little.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tensor/kernels.h"
#if defined(REIN_HAVE_XSMM)
#include <libxsmm.h>
#endif

/* not a multiple of a page, where loads would seem to depend on stores to other buffers */
enum { BUFFER = (1 << 17) + 1040 };
static _Alignas(64) float buffers[4][BUFFER];

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* best time of one run(user), in seconds */
static double best_time(void (*run)(void *user), void *user) {
    double best = 1, start = seconds();
    run(user);
    int loops = (int)(20e-6 / (seconds() - start + 1e-9)) + 1;
    for (int i = 0; i < 3000; i++) {
        start = seconds();
        for (int j = 0; j < loops; j++)
            run(user);
        double t = (seconds() - start) / loops;
        best = t < best ? t : best;
    }
    return best;
}

typedef struct job {
    reini_kernel *kernel;
    reini_call call;
} job;

static void run_job(void *user) {
    job *j = user;
    j->kernel(&j->call);
}

static void fill_buffers(void) {
    for (int b = 0; b < 4; b++)
        for (int i = 0; i < BUFFER; i++)
            buffers[b][i] = (float)rand() / (float)RAND_MAX * 2 - 1;
}

/* ---- dense -------------------------------------------------------------------------------------------- */

typedef struct shape {
    int rows, in, out;
} shape;

static double dense_gflops(const reini_kernels *table, reini_op op, shape s, int act) {
    int32_t k[8] = {s.in, s.out, 1, 0, act, 1};
    reini_operand x = {buffers[0], s.in, s.in}, w = {buffers[1], 0, s.in * s.out};
    reini_operand b = {buffers[2], 0, s.out}, y = {buffers[3], s.out, s.out};
    job j = {table->run[op], {.rows = s.rows, .k = k}};
    if (op == REINI_DENSE)
        j.call.out = y, j.call.in[0] = x, j.call.in[1] = w, j.call.in[2] = b;
    else if (op == REINI_DENSE_DX)
        j.call.out = x, j.call.in[0] = y, j.call.in[1] = w;
    else
        j.call.out = w, j.call.in[0] = x, j.call.in[1] = y, j.call.accumulate = true;
    double t = best_time(run_job, &j);
    fill_buffers();
    return 2e-9 * s.rows * s.in * s.out / t;
}

#if defined(REIN_HAVE_XSMM)
static libxsmm_smmfunction xsmm;
static const float *xsmm_a, *xsmm_b;
static float *xsmm_c;

static void run_xsmm(void *user) {
    xsmm(xsmm_a, xsmm_b, xsmm_c);
}

/* row-major products as column-major ones of the transposes */
static double xsmm_gflops(reini_op op, shape s) {
    float alpha = 1, beta = op == REINI_DENSE_DW;
    int m = op == REINI_DENSE_DX ? s.in : s.out, n = op == REINI_DENSE_DW ? s.in : s.rows;
    int k = op == REINI_DENSE ? s.in : op == REINI_DENSE_DX ? s.out : s.rows;
    int ldb = op == REINI_DENSE_DW ? s.in : k;
    int flags = op == REINI_DENSE_DW ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
    xsmm = libxsmm_smmdispatch(m, n, k, &m, &ldb, &m, &alpha, &beta, &flags, NULL);
    if (!xsmm)
        return 0;
    xsmm_a = op == REINI_DENSE_DW ? buffers[3] : buffers[1];
    xsmm_b = op == REINI_DENSE_DX ? buffers[3] : buffers[0];
    xsmm_c = op == REINI_DENSE ? buffers[3] : op == REINI_DENSE_DX ? buffers[0] : buffers[1];
    double t = best_time(run_xsmm, NULL);
    fill_buffers();
    return 2e-9 * s.rows * s.in * s.out / t;
}
#else
static double xsmm_gflops(reini_op op, shape s) {
    return 0;
}
#endif

static void bench_dense(const reini_kernels *const *tables, int n) {
    static const shape shapes[] = {
        {32, 3, 64},  {64, 3, 64},  {64, 4, 32},    {64, 4, 256},   {64, 32, 32}, {32, 64, 64},
        {64, 64, 64}, {64, 17, 64}, {32, 256, 256}, {64, 256, 256}, {64, 64, 1},  {64, 64, 2},
        {64, 64, 3},  {64, 256, 1}, {64, 256, 2},   {1, 64, 64},    {8, 64, 64},
    };
    static const reini_op ops[] = {REINI_DENSE, REINI_DENSE_DX, REINI_DENSE_DW};
    for (size_t o = 0; o < 3; o++) {
        printf("%-9s  rows   in  out", reini_op_name(ops[o]));
        for (int i = 0; i < n; i++)
            printf(" %10s", tables[i]->level);
        printf(" %10s   GFLOP/s%s\n", "libxsmm", ops[o] == REINI_DENSE ? ", last level with tanh" : "");
        for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
            shape s = shapes[i];
            printf("          %5d %5d %4d", s.rows, s.in, s.out);
            for (int l = 0; l < n; l++)
                printf(" %10.1f", dense_gflops(tables[l], ops[o], s, 0));
            printf(" %10.1f", xsmm_gflops(ops[o], s));
            if (ops[o] == REINI_DENSE)
                printf(" %10.1f", dense_gflops(tables[n - 1], ops[o], s, 1));
            printf("\n");
        }
    }
}

/* ---- the rest ----------------------------------------------------------------------------------------- */

static double map_time(const reini_kernels *table, reini_op op, int rows, int width) {
    static const double p[] = {2, 1};
    static const int32_t k[8] = {0};
    reini_operand x = {buffers[0], width, width}, y = {buffers[1], width, width};
    job j = {table->run[op], {.out = y, .in = {x, y, x, y}, .rows = rows, .k = k, .p = p}};
    double t = best_time(run_job, &j);
    fill_buffers();
    return t / (rows * width) * 16e9;
}

static void bench_map(const reini_kernels *const *tables, int n) {
    static const reini_op ops[] = {REINI_RELU,    REINI_TANH,     REINI_TANH_GRAD, REINI_EXP,  REINI_LOG,
                                   REINI_SIGMOID, REINI_SOFTPLUS, REINI_SILU,      REINI_GELU, REINI_MUL};
    printf("ns per 16 elements, 64 x 64\n");
    for (size_t o = 0; o < sizeof(ops) / sizeof(*ops); o++) {
        printf("    %-12s", reini_op_name(ops[o]));
        for (int i = 0; i < n; i++)
            printf(" %9.2f", map_time(tables[i], ops[o], 64, 64));
        printf("\n");
    }
}

static void bench_rows(const reini_kernels *const *tables, int n) {
    static const reini_op ops[] = {REINI_LOG_SOFTMAX, REINI_LOG_SOFTMAX_GRAD, REINI_ENTROPY, REINI_SUM};
    static const int widths[] = {2, 6, 16, 64, 256};
    printf("ns per row, 64 rows\n");
    for (size_t o = 0; o < 4; o++) {
        for (size_t w = 0; w < 5; w++) {
            printf("    %-18s %4d", reini_op_name(ops[o]), widths[w]);
            for (int i = 0; i < n; i++) {
                reini_operand x = {buffers[0], widths[w], widths[w]}, y = {buffers[1], widths[w], widths[w]};
                job j = {tables[i]->run[ops[o]], {.out = y, .in = {x, x}, .rows = 64}};
                if (o > 1)
                    j.call.out.width = j.call.out.stride = 1;
                printf(" %9.2f", best_time(run_job, &j) / 64 * 1e9);
            }
            printf("\n");
        }
    }
    fill_buffers();
}

static void bench_sums(const reini_kernels *const *tables, int n) {
    printf("us per tile of 64 x 64\n");
    static const reini_op ops[] = {REINI_SUM_ROWS, REINI_TOTAL, REINI_TRANSPOSE};
    for (size_t o = 0; o < 3; o++) {
        printf("    %-12s", reini_op_name(ops[o]));
        for (int i = 0; i < n; i++) {
            int32_t k[8] = {64, 64, 1};
            reini_operand x = {buffers[0], 64, 64}, y = {buffers[1], 0, 64};
            job j = {tables[i]->run[ops[o]], {.out = y, .in = {x}, .rows = 64, .k = k}};
            printf(" %9.3f", best_time(run_job, &j) * 1e6);
        }
        printf("\n");
    }
    fill_buffers();
}

static void bench_random(const reini_kernels *const *tables, int n) {
    static const reini_op ops[] = {REINI_RANDOM_UNIFORM, REINI_RANDOM_NORMAL};
    static const int widths[] = {1, 4, 64};
    static reini_key key = {1, 2, 3, 4};
    printf("ns per number, 64 rows\n");
    for (size_t o = 0; o < 2; o++) {
        for (size_t w = 0; w < 3; w++) {
            printf("    %-15s %3d", reini_op_name(ops[o]), widths[w]);
            for (int i = 0; i < n; i++) {
                reini_operand y = {buffers[1], widths[w], widths[w]};
                job j = {tables[i]->run[ops[o]], {.out = y, .in = {{&key, 0, 1}}, .rows = 64}};
                printf(" %9.3f", best_time(run_job, &j) / (64 * widths[w]) * 1e9);
            }
            printf("\n");
        }
    }
    fill_buffers();
}

enum { PARAMETERS = 10000 };

static void run_adam(void *user) {
    const reini_vector_ops *v = user;
    reini_adam_args args = {1e-9f, 0.9f, 0.999f, 1e-8f, 0, 1, 1, 1};
    v->adam(buffers[0], buffers[1], buffers[2], buffers[3], PARAMETERS, &args);
}

static void run_sum_squares(void *user) {
    const reini_vector_ops *v = user;
    buffers[0][0] = (float)v->sum_squares(buffers[3], PARAMETERS);
}

static void bench_vector_ops(void) {
    const reini_vector_ops *v = reini_vector_ops_best();
    for (int i = 0; i < BUFFER; i++)
        buffers[2][i] = 1;
    printf("ns per parameter, %s\n", v->level);
    printf("    adam        %.3f\n", best_time(run_adam, (void *)(uintptr_t)v) / PARAMETERS * 1e9);
    printf("    sum_squares %.3f\n", best_time(run_sum_squares, (void *)(uintptr_t)v) / PARAMETERS * 1e9);
}

int main(int argc, char **argv) {
    const reini_kernels *tables[4] = {&reini_kernels_portable};
    int n = 1;
    const char *level = rein_cpu_level(), *only = argc > 1 ? argv[1] : "";
#if defined(__x86_64__)
    if (strcmp(level, "portable") != 0)
        tables[n++] = &reini_kernels_avx2;
    if (strcmp(level, "avx512") == 0)
        tables[n++] = &reini_kernels_avx512;
#endif
    fill_buffers();
    if (!*only || strcmp(only, "dense") == 0)
        bench_dense(tables, n);
    if (!*only || strcmp(only, "map") == 0)
        bench_map(tables, n);
    if (!*only || strcmp(only, "rest") == 0) {
        bench_rows(tables, n);
        bench_sums(tables, n);
        bench_random(tables, n);
        bench_vector_ops();
    }
    return 0;
}
