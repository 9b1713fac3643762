/*
 * bench_matmul.c - products of large matrices (tensor/matmul.h) at the shapes of language models: medians of repetitions, and
 * the rate at which the same threads read memory, which products of few rows are held against.
 *
 *     bench_matmul [threads, default 2] [seconds a product, default 0.4] [bf16 or f32, default both]
 *
 * bench/peers/torch_matmul.py prints the same table for PyTorch.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <rein/rng.h>
#include "tensor/matmul.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double seconds_each = 0.4;

/* Median time of a call. */
static double median(void (*call)(void *user), void *user) {
    static double seconds[20000];
    int n = 0;
    call(user);
    for (double end = now() + seconds_each; n < 5 || (now() < end && n < 20000); n++) {
        double start = now();
        call(user);
        seconds[n] = now() - start;
    }
    qsort(seconds, (size_t)n, sizeof *seconds, ascending);
    return seconds[n / 2];
}

typedef struct work {
    reini_matmul *mm;
    reini_matrix x, y, w, dw;
    float *bias;
    int turn, turns; /* copies of w, so that it comes from memory */
} work;

static reini_matrix made(rein_dtype dtype, int64_t rows, int64_t columns) {
    size_t size = dtype == REIN_F32 ? sizeof(float) : sizeof(uint16_t), n = (size_t)(rows * columns);
    void *at = reini_new(n * size);
    rein_rng rng = rein_rng_make(1, 0);
    if (at == NULL)
        abort();
    for (size_t i = 0; i < n; i++) {
        float value = i < 100000 ? rein_rng_uniform(&rng) - 0.5f : 0.25f;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (dtype == REIN_F32)
            ((float *)at)[i] = value;
        else
            ((uint16_t *)at)[i] = (uint16_t)(bits >> 16);
    }
    return (reini_matrix){.at = at, .dtype = dtype, .rows = rows, .columns = columns, .stride = columns};
}

static void forward(void *user) {
    work *o = user;
    reini_matrix w = o->w;
    size_t size = w.dtype == REIN_F32 ? sizeof(float) : sizeof(uint16_t);
    w.at = (const char *)w.at + (size_t)(o->turn * w.rows * w.columns) * size;
    o->turn = (o->turn + 1) % o->turns;
    reini_matmul_forward(o->mm, o->y, o->x, w, NULL, false);
}

static void input(void *user) {
    work *o = user;
    reini_matmul_input(o->mm, o->x, o->y, o->w, 1, false);
}

static void weight(void *user) {
    work *o = user;
    reini_matmul_weight(o->mm, o->dw, NULL, o->y, o->x, 1, true);
}

static void let_go(work *o) {
    reini_free((void *)(uintptr_t)o->x.at);
    reini_free((void *)(uintptr_t)o->y.at);
    reini_free((void *)(uintptr_t)o->w.at);
    reini_free((void *)(uintptr_t)o->dw.at);
}

static const int64_t shapes[][3] = {
    {4096, 576, 1536}, {4096, 1536, 576}, {4096, 576, 576},  {4096, 576, 192},
    {512, 576, 49152}, {2048, 896, 4864}, {2048, 4864, 896},
};

static void large(reini_matmul *mm, rein_dtype dtype) {
    printf("%-6s %6s %6s %6s %12s %12s %12s   GFLOP/s\n", dtype == REIN_F32 ? "f32" : "bf16", "m", "k", "n",
           "forward", "input", "weight");
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int64_t m = shapes[s][0], k = shapes[s][1], n = shapes[s][2];
        work o = {.mm = mm,
                  .x = made(dtype, m, k),
                  .y = made(dtype, m, n),
                  .w = made(dtype, n, k),
                  .dw = made(REIN_F32, n, k),
                  .turns = 1};
        double flops = 2e-9 * (double)m * (double)n * (double)k;
        printf("%-6s %6lld %6lld %6lld", "", (long long)m, (long long)k, (long long)n);
        printf(" %12.0f", flops / median(forward, &o));
        printf(" %12.0f", flops / median(input, &o));
        printf(" %12.0f\n", flops / median(weight, &o));
        fflush(stdout);
        let_go(&o);
    }
}

/* ---- few rows ------------------------------------------------------------------------------------------- */

typedef struct reading {
    rein_pool *pool;
    const char *at;
    size_t bytes;
    int tasks;
    uint64_t sum[64];
} reading;

static void read_part(void *user, int task, int worker) {
    reading *r = user;
    const uint64_t *p = (const uint64_t *)(const void *)(r->at + r->bytes / (size_t)r->tasks * (size_t)task);
    uint64_t sum[8] = {0};
    for (size_t i = 0; i + 8 <= r->bytes / (size_t)r->tasks / 8; i += 8)
        for (int l = 0; l < 8; l++)
            sum[l] += p[i + (size_t)l];
    for (int l = 0; l < 8; l++)
        r->sum[worker] += sum[l];
}

static void read_all(void *user) {
    reading *r = user;
    rein_pool_run(r->pool, r->tasks, read_part, r);
}

static void few(rein_pool *pool, reini_matmul *mm, rein_dtype dtype) {
    static const int64_t rows[] = {1, 2, 4, 8, 16, 32};
    static const int64_t sizes[][3] = {{49152, 576, 8}, {1536, 576, 200}, {576, 1536, 200}};
    size_t size = dtype == REIN_F32 ? sizeof(float) : sizeof(uint16_t);
    printf("%-6s %6s %6s %10s   GB/s of w for m =", dtype == REIN_F32 ? "f32" : "bf16", "k", "n",
           "read GB/s");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        printf(" %6lld", (long long)rows[r]);
    printf("\n");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int64_t n = sizes[s][0], k = sizes[s][1], copies = sizes[s][2];
        double gb = 1e-9 * (double)(n * k) * (double)size;
        work o = {.mm = mm, .w = made(dtype, n * copies, k), .turns = (int)copies};
        reading r = {.pool = pool, .at = o.w.at, .bytes = (size_t)(n * k * copies) * size, .tasks = 512};
        printf("%-6s %6lld %6lld %10.1f %20s", "", (long long)k, (long long)n,
               gb * (double)copies / median(read_all, &r), "");
        o.w.rows = n;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            o.x = made(dtype, rows[i], k);
            o.y = made(REIN_F32, rows[i], n);
            printf(" %6.1f", gb / median(forward, &o));
            fflush(stdout);
            reini_free((void *)(uintptr_t)o.x.at);
            reini_free((void *)(uintptr_t)o.y.at);
        }
        printf("\n");
        reini_free((void *)(uintptr_t)o.w.at);
    }
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    if (argc > 2)
        seconds_each = atof(argv[2]);
    rein_pool *pool = threads > 1 ? rein_pool_new(threads) : NULL;
    for (int i = 0; i < 2; i++) {
        rein_dtype dtype = i == 0 ? REIN_BF16 : REIN_F32;
        reini_matmul *mm;
        if (argc > 3 && (strcmp(argv[3], "f32") == 0) != (dtype == REIN_F32))
            continue;
        if (reini_matmul_new(pool, dtype, &mm) != REIN_OK) {
            fprintf(stderr, "bench_matmul: %s\n", rein_error());
            return 1;
        }
        large(mm, dtype);
        few(pool, mm, dtype);
        reini_matmul_free(mm);
    }
    rein_pool_free(pool);
    return 0;
}
