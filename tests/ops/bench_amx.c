/*
 * bench_amx.c - speed of dense layers by bf16 products on AMX beside the float kernels.
 *
 * Prints GFLOP/s of DENSE (with tanh and without an activation), DENSE_DX and DENSE_DW, conversions included.
 * The tile unit sleeps after about 2000 cycles without work and takes about 900 to wake: the last column is
 * bf16 after a pause of that length, as when a step of the environments lies between two calls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "tensor/kernels.h"

#if defined(__x86_64__)

/* not a multiple of a page, where loads would seem to depend on stores to other buffers */
enum { BUFFER = (1 << 17) + 1040, TRIES = 2000, PAUSE = 2000 };
static _Alignas(64) float buffers[4][BUFFER];

typedef struct shape {
    int rows, in, out;
} shape;

typedef struct job {
    const reini_kernels *table;
    reini_op op;
    int act;
    int pause; /* dependent operations before every call */
} job;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void wait_a_while(int operations) {
    for (int i = 0; i < operations; i++)
        __asm__ volatile("" : : : "memory");
    __asm__ volatile("lfence" : : : "memory");
}

static void call_some(const job *j, const reini_call *call, int n) {
    for (int i = 0; i < n; i++) {
        if (j->pause)
            wait_a_while(j->pause);
        if (j->table)
            j->table->run[j->op](call);
    }
}

/* best time of one call, in seconds */
static double best_time(const job *j, const reini_call *call) {
    double best = 1;
    call_some(j, call, 1);
    for (int i = 0; i < TRIES; i++) {
        int n = i < 10 ? 1 : (int)(20e-6 / best) + 1;
        double start = seconds();
        call_some(j, call, n);
        double t = (seconds() - start) / n;
        best = t < best ? t : best;
    }
    return best;
}

static double gflops(job j, shape s) {
    int32_t k[8] = {s.in, s.out, 1, 0, j.act, 1};
    reini_operand x = {buffers[0], s.in, s.in}, w = {buffers[1], 0, s.in * s.out};
    reini_operand b = {buffers[2], 0, s.out}, y = {buffers[3], s.out, s.out};
    reini_call call = {.rows = s.rows, .k = k};
    if (j.op == REINI_DENSE)
        call.out = y, call.in[0] = x, call.in[1] = w, call.in[2] = b;
    else if (j.op == REINI_DENSE_DX)
        call.out = x, call.in[0] = y, call.in[1] = w;
    else
        call.out = w, call.in[0] = x, call.in[1] = y, call.accumulate = true;
    for (int i = 0; i < 4; i++)
        for (int n = 0; n < BUFFER; n++)
            buffers[i][n] = (float)rand() / (float)RAND_MAX * 2 - 1;
    double t = best_time(&j, &call);
    if (j.pause) {
        j.table = NULL;
        t -= best_time(&j, &call);
    }
    return 2e-9 * s.rows * s.in * s.out / t;
}

int main(void) {
    static const shape shapes[] = {
        {64, 3, 32},  {64, 3, 64}, {64, 8, 32},    {64, 17, 64},   {64, 17, 256},  {64, 32, 32},
        {64, 64, 64}, {64, 64, 8}, {64, 100, 100}, {64, 128, 128}, {64, 256, 256}, {64, 512, 512},
        {36, 64, 64}, {8, 64, 64}, {1, 64, 64},    {1, 256, 256},  {64, 32, 1},
    };
    static const struct {
        reini_op op;
        int act;
        const char *name;
    } rows[] = {{REINI_DENSE, REIN_ACT_TANH, "DENSE tanh"},
                {REINI_DENSE, REIN_ACT_IDENTITY, "DENSE"},
                {REINI_DENSE_DX, REIN_ACT_IDENTITY, "DENSE_DX"},
                {REINI_DENSE_DW, REIN_ACT_IDENTITY, "DENSE_DW"}};
    if (!reini_bf16_available()) {
        printf("no bf16 products on this machine\n");
        return 0;
    }
    for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++) {
        printf("%-10s  rows   in  out        f32       bf16  bf16 slept   GFLOP/s\n", rows[r].name);
        for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
            shape s = shapes[i];
            job f32 = {&reini_kernels_avx512, rows[r].op, rows[r].act, 0},
                bf16 = {&reini_kernels_bf16, rows[r].op, rows[r].act, 0};
            job slept = {&reini_kernels_bf16, rows[r].op, rows[r].act, PAUSE};
            printf("            %4d %4d %4d %10.1f %10.1f %10.1f\n", s.rows, s.in, s.out, gflops(f32, s),
                   gflops(bf16, s), gflops(slept, s));
        }
    }
    return 0;
}

#else

int main(void) {
    return 0;
}

#endif
