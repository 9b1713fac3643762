/*
 * test_matmul.c - products of large matrices against double arithmetic, at every instruction-set level.
 *
 * Operands that bf16 products round are rounded in the reference too, so that what differs is the rounding of sums,
 * measured against the same sums over absolute values. Every operand has stride larger than its columns, with
 * not-a-number between its rows, and every result is watched between its rows.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "support/check.h"
#include "support/each_level.h"
#include <rein/rng.h>
#include "tensor/kernels.h"
#include "tensor/matmul.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

enum { APART = 3, GAP = 0x7FC0ABCD }; /* numbers between rows: their count and the bits of each, a NaN */

/* ---- matrices ------------------------------------------------------------------------------------------- */

static uint16_t to_half(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static float from_half(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float gap(void) {
    uint32_t bits = GAP;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void put(reini_matrix *x, int64_t i, int64_t j, float value) {
    void *at = (void *)(uintptr_t)x->at;
    if (x->dtype == REIN_F32)
        ((float *)at)[i * x->stride + j] = value;
    else
        ((uint16_t *)at)[i * x->stride + j] = j < x->columns ? to_half(value) : (uint16_t)(GAP >> 16);
}

static float get(const reini_matrix *x, int64_t i, int64_t j) {
    int64_t at = i * x->stride + j;
    return x->dtype == REIN_F32 ? ((const float *)x->at)[at] : from_half(((const uint16_t *)x->at)[at]);
}

/* What a product of bf16 numbers sees of it. */
static double seen(const reini_matrix *x, int64_t i, int64_t j, bool bf16) {
    float value = get(x, i, j);
    return (double)(bf16 ? from_half(to_half(value)) : value);
}

static size_t bytes_of(const reini_matrix *x) {
    return (size_t)((x->rows - 1) * x->stride + x->columns) *
           (x->dtype == REIN_F32 ? sizeof(float) : sizeof(uint16_t));
}

static size_t whole_pages(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

/* Uniform numbers; its last row ends where a page does that nobody may touch. */
static reini_matrix matrix(rein_dtype dtype, int64_t rows, int64_t columns, uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 0);
    reini_matrix x = {.dtype = dtype, .rows = rows, .columns = columns, .stride = columns + APART};
    size_t bytes = bytes_of(&x), pages = whole_pages(bytes), page = whole_pages(1);
    char *memory = mmap(NULL, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + pages, page, PROT_NONE), 0);
    x.at = memory + pages - bytes;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < x.stride && (i + 1 < rows || j < columns); j++)
            put(&x, i, j, j < columns ? 2 * rein_rng_uniform(&rng) - 1 : gap());
    return x;
}

static void drop(reini_matrix *x) {
    size_t bytes = bytes_of(x), pages = whole_pages(bytes);
    munmap((void *)((uintptr_t)x->at + bytes - pages), pages + whole_pages(1));
}

static void assert_same(const reini_matrix *a, const reini_matrix *b) {
    assert_memory_equal(a->at, b->at, bytes_of(a));
}

static void assert_gaps(const reini_matrix *x) {
    for (int64_t i = 0; i + 1 < x->rows; i++)
        for (int64_t j = x->columns; j < x->stride; j++)
            if (!isnan(get(x, i, j)))
                fail_msg("something was written between rows %lld and %lld", (long long)i, (long long)i + 1);
}

/* ---- a product and what it should be -------------------------------------------------------------------- */

typedef enum operation { FORWARD, INPUT, WEIGHT } operation;

typedef struct trial {
    operation which;
    int64_t m, n, k;
    rein_dtype products, x, y, w; /* dtypes of x, of y or dy, and of w */
    bool bias, add;
    float scale;
} trial;

typedef struct operands {
    reini_matrix x, y, w; /* y is dy but for FORWARD */
    reini_matrix result;
    float *bias; /* (n): of FORWARD, or db of WEIGHT */
} operands;

static operands make(const trial *t) {
    operands o = {
        .x = matrix(t->x, t->m, t->k, 1), .y = matrix(t->y, t->m, t->n, 2), .w = matrix(t->w, t->n, t->k, 3)};
    o.bias = malloc((size_t)t->n * sizeof *o.bias);
    for (int64_t j = 0; j < t->n; j++)
        o.bias[j] = 0.25f * (float)(j % 7) - 0.5f;
    if (t->which == FORWARD)
        o.result = matrix(t->y, t->m, t->n, 4);
    else if (t->which == INPUT)
        o.result = matrix(t->x, t->m, t->k, 4);
    else
        o.result = matrix(REIN_F32, t->n, t->k, 4);
    return o;
}

static void drop_all(operands *o) {
    drop(&o->x);
    drop(&o->y);
    drop(&o->w);
    drop(&o->result);
    free(o->bias);
}

static void compute(reini_matmul *mm, const trial *t, operands *o) {
    if (t->which == FORWARD)
        reini_matmul_forward(mm, o->result, o->x, o->w, t->bias ? o->bias : NULL, t->add);
    else if (t->which == INPUT)
        reini_matmul_input(mm, o->result, o->y, o->w, t->scale, t->add);
    else
        reini_matmul_weight(mm, o->result, t->bias ? o->bias : NULL, o->y, o->x, t->scale, t->add);
}

/* Sum of products of element (i, j), and of their absolute values. */
static double exact(const trial *t, const operands *o, int64_t i, int64_t j, double *size) {
    bool bf16 = t->products == REIN_BF16;
    int64_t depth = t->which == FORWARD ? t->k : t->which == INPUT ? t->n : t->m;
    double sum = 0;
    *size = 0;
    for (int64_t d = 0; d < depth; d++) {
        double a = t->which == FORWARD ? seen(&o->x, i, d, bf16)
                   : t->which == INPUT ? seen(&o->y, i, d, bf16)
                                       : seen(&o->y, d, i, bf16);
        double b = t->which == FORWARD ? seen(&o->w, j, d, bf16)
                   : t->which == INPUT ? seen(&o->w, d, j, bf16)
                                       : seen(&o->x, d, j, bf16);
        sum += a * b;
        *size += fabs(a * b);
    }
    return sum;
}

/* step: look at every step-th element */
static void check_result(const trial *t, const operands *o, const operands *before, int64_t step) {
    double scale = t->which == FORWARD ? 1 : (double)t->scale, size;
    for (int64_t e = 0; e < o->result.rows * o->result.columns; e += step) {
        int64_t i = e / o->result.columns, j = e % o->result.columns;
        double want = scale * exact(t, o, i, j, &size);
        if (t->which == FORWARD && t->bias)
            want += (double)o->bias[j];
        if (t->add)
            want += (double)get(&before->result, i, j);
        double got = (double)get(&o->result, i, j);
        double allowed =
            4e-6 * (size * fabs(scale) + 1) + (o->result.dtype == REIN_BF16 ? fabs(want) / 256 : 0);
        if (!(fabs(got - want) <= allowed))
            fail_msg(
                "product %d of m %d n %d k %d in dtype %d, x %d y %d w %d, element (%d, %d): %.9g, not %.9g",
                (int)t->which, (int)t->m, (int)t->n, (int)t->k, (int)t->products, (int)t->x, (int)t->y,
                (int)t->w, (int)i, (int)j, got, want);
    }
}

static void check_sums(const trial *t, const operands *o, const operands *before) {
    for (int64_t j = 0; j < t->n; j++) {
        double sum = 0, size = 0;
        for (int64_t i = 0; i < t->m; i++) {
            sum += (double)get(&o->y, i, j);
            size += fabs((double)get(&o->y, i, j));
        }
        double want = (double)before->bias[j] + (t->bias ? (double)t->scale * sum : 0);
        if (!(fabs((double)o->bias[j] - want) <= 1e-6 * (size + 1)))
            fail_msg("db[%d] over %d rows: %.9g, not %.9g", (int)j, (int)t->m, (double)o->bias[j], want);
    }
}

static void check(reini_matmul *mm, const trial *t) {
    operands o = make(t), before = make(t);
    int64_t elements = o.result.rows * o.result.columns;
    compute(mm, t, &o);
    check_result(t, &o, &before, elements > 5000 ? elements / 2503 : 1);
    assert_gaps(&o.result);
    if (t->which == WEIGHT)
        check_sums(t, &o, &before);
    assert_same(&o.x, &before.x);
    assert_same(&o.y, &before.y);
    assert_same(&o.w, &before.w);
    drop_all(&o);
    drop_all(&before);
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

static rein_pool *pools[4]; /* of so many threads; [1] is none */

static reini_matmul *new_matmul(rein_dtype products, int threads) {
    reini_matmul *mm;
    assert_ok(reini_matmul_new(pools[threads], products, &mm));
    return mm;
}

static const int sizes[][3] = {
    {1, 1, 1},    {1, 17, 33},    {2, 33, 31},   {3, 5, 64},    {4, 130, 67},  {5, 64, 32},
    {7, 3, 1},    {13, 48, 96},   {16, 96, 130}, {17, 31, 257}, {33, 65, 129}, {64, 20, 300},
    {65, 2, 530}, {97, 101, 103}, {15, 1, 40},   {1, 300, 601}, {40, 601, 35}, {181, 67, 34},
};

/* All shapes; dtypes (half of the mixes for each), bias, adding and scale change from one to the next. */
static void check_sizes(rein_dtype products, operation which) {
    static const rein_dtype kinds[] = {REIN_F32, REIN_BF16};
    reini_matmul *mm = new_matmul(products, 2);
    for (int s = 0; s < COUNT(sizes); s++)
        for (int mix = s & 1; mix < 8; mix += 2) {
            trial t = {
                .which = which, .products = products, .m = sizes[s][0], .n = sizes[s][1], .k = sizes[s][2]};
            t.x = kinds[mix & 1];
            t.y = kinds[mix >> 1 & 1];
            t.w = kinds[mix >> 2 & 1];
            rein_dtype result = which == FORWARD ? t.y : which == INPUT ? t.x : REIN_F32;
            t.bias = (s + mix / 2) % 3 != 0;
            t.add = result == REIN_F32 && s % 2 == 0;
            t.scale = s % 3 == 0 ? 1.0f : 0.3f;
            check(mm, &t);
        }
    reini_matmul_free(mm);
}

static void test_sizes(void **state) {
    for (operation which = FORWARD; which <= WEIGHT; which++) {
        check_sizes(REIN_F32, which);
        check_sizes(REIN_BF16, which);
    }
}

/* Several blocks along each side; the last is too deep for one pass over its depth. */
static void test_blocks(void **state) {
    static const int large[][3] = {
        {410, 1100, 70}, {70, 530, 1300}, {1300, 200, 120}, {20, 40, 2500}, {300, 9000, 200}};
    for (int products = 0; products < 2; products++) {
        reini_matmul *mm = new_matmul(products ? REIN_BF16 : REIN_F32, 2);
        for (int s = 0; s < COUNT(large); s++)
            for (operation which = FORWARD; which <= WEIGHT; which++) {
                rein_dtype half = products ? REIN_BF16 : REIN_F32;
                trial t = {.which = which,
                           .m = large[s][0],
                           .n = large[s][1],
                           .k = large[s][2],
                           .x = half,
                           .products = half,
                           .w = half,
                           .y = REIN_F32,
                           .scale = 1};
                check(mm, &t);
            }
        reini_matmul_free(mm);
    }
}

/* Results that go around the caches, whole cache lines of them at least. */
static void test_large_results(void **state) {
    for (int s = 0; s < 8; s++) {
        trial t = {.which = s & 1 ? INPUT : FORWARD,
                   .products = s & 2 ? REIN_BF16 : REIN_F32,
                   .m = 523,
                   .n = 1030,
                   .k = 40,
                   .scale = 1};
        t.x = t.y = s & 4 ? REIN_BF16 : REIN_F32;
        t.w = t.products;
        if (t.which == INPUT) {
            t.n = 40;
            t.k = 1030;
        }
        reini_matmul *mm = new_matmul(t.products, 2);
        check(mm, &t);
        reini_matmul_free(mm);
    }
}

/* Rows of x from the i-th on. */
static reini_matrix rows_from(const reini_matrix *x, int64_t i, int64_t rows) {
    reini_matrix part = *x;
    size_t size = x->dtype == REIN_F32 ? sizeof(float) : sizeof(uint16_t);
    part.at = (const char *)x->at + (size_t)(i * x->stride) * size;
    part.rows = rows;
    return part;
}

/* Some rows computed alone have the bits they have among all. */
static void check_rows_alone(rein_dtype products, operation which, int64_t n, int64_t k) {
    static const int counts[] = {1, 2, 3, 4, 5, 14, 16, 17, 40};
    trial t = {.which = which, .m = 61, .n = n, .k = k, .products = products, .x = products, .scale = 0.7f};
    t.y = t.w = products;
    operands all = make(&t), some = make(&t);
    reini_matmul *mm = new_matmul(products, 2);
    compute(mm, &t, &all);
    for (int c = 0; c < COUNT(counts); c++)
        for (int64_t i = c % 2; i + counts[c] <= t.m; i += 19) {
            trial part = t;
            operands o = some;
            part.m = counts[c];
            o.x = rows_from(&some.x, i, part.m);
            o.y = rows_from(&some.y, i, part.m);
            o.result = rows_from(&some.result, i, part.m);
            compute(mm, &part, &o);
            reini_matrix want = rows_from(&all.result, i, part.m);
            for (int64_t r = 0; r < part.m; r++) {
                reini_matrix a = rows_from(&o.result, r, 1), b = rows_from(&want, r, 1);
                assert_same(&a, &b);
            }
        }
    drop_all(&all);
    drop_all(&some);
    reini_matmul_free(mm);
}

static void test_rows_alone(void **state) {
    check_rows_alone(REIN_F32, FORWARD, 67, 301);
    check_rows_alone(REIN_F32, FORWARD, 545, 37);
    check_rows_alone(REIN_F32, INPUT, 301, 67);
    check_rows_alone(REIN_F32, INPUT, 20, 545);
    check_rows_alone(REIN_BF16, FORWARD, 67, 301);
    check_rows_alone(REIN_BF16, FORWARD, 96, 1500);
    check_rows_alone(REIN_BF16, INPUT, 301, 67);
}

/* One, two and three workers. */
static void test_workers(void **state) {
    static const int shapes[][3] = {
        {1, 400, 70}, {3, 300, 40}, {150, 270, 310}, {300, 31, 33}, {290, 9000, 200}};
    for (int s = 0; s < 2 * COUNT(shapes) * 3; s++) {
        const int *shape = shapes[s / 6];
        trial t = {.which = (operation)(s % 3),
                   .products = s / 3 % 2 ? REIN_BF16 : REIN_F32,
                   .m = shape[0],
                   .n = shape[1],
                   .k = shape[2],
                   .x = REIN_F32,
                   .y = REIN_F32,
                   .w = REIN_BF16,
                   .bias = true,
                   .scale = 0.1f};
        operands first = make(&t);
        for (int threads = 1; threads <= 3; threads++) {
            operands o = make(&t);
            reini_matmul *mm = new_matmul(t.products, threads);
            compute(mm, &t, threads == 1 ? &first : &o);
            if (threads > 1) {
                assert_same(&o.result, &first.result);
                assert_memory_equal(o.bias, first.bias, (size_t)t.n * sizeof(float));
            }
            reini_matmul_free(mm);
            drop_all(&o);
        }
        drop_all(&first);
    }
}

/* Calls one after the other with operands at the same place: nothing packed for the last one is used again. */
static void test_changed_operands(void **state) {
    for (int products = 0; products < 2; products++) {
        trial t = {.which = FORWARD,
                   .products = products ? REIN_BF16 : REIN_F32,
                   .m = 40,
                   .n = 70,
                   .k = 50,
                   .scale = 1};
        reini_matmul *mm = new_matmul(t.products, 2);
        operands o = make(&t), before = make(&t);
        for (int64_t m = 40; m > 0; m -= 38) {
            t.m = o.x.rows = o.result.rows = m; /* fewer of the rows there */
            compute(mm, &t, &o);
            for (int64_t j = 0; j < t.n; j++)
                put(&o.w, j, j % t.k, 3);
            for (int64_t i = 0; i < m; i++)
                put(&o.x, i, 2 * i % t.k, -2);
            compute(mm, &t, &o);
            check_result(&t, &o, &before, 1);
        }
        o.x.rows = o.result.rows = 40;
        drop_all(&o);
        drop_all(&before);
        reini_matmul_free(mm);
    }
}

/* Not-a-number and infinity reach what depends on them and nothing else. */
static void check_specials(rein_dtype products, operation which, int64_t m, float special) {
    trial t = {.which = which, .products = products, .m = m, .n = 50, .k = 45, .scale = 1};
    t.x = t.y = t.w = products;
    operands o = make(&t), before = make(&t);
    reini_matmul *mm = new_matmul(products, 2);
    reini_matrix *a = which == FORWARD ? &o.x : &o.y;
    int64_t row = m / 2, column = 7;
    void *at = (void *)(uintptr_t)a->at;
    uint32_t bits;
    memcpy(&bits, &special, sizeof bits);
    if (products == REIN_F32)
        ((float *)at)[row * a->stride + column] = special;
    else
        ((uint16_t *)at)[row * a->stride + column] = (uint16_t)(bits >> 16);
    compute(mm, &t, &o);
    int64_t line = which == WEIGHT ? column : row;
    for (int64_t i = 0; i < o.result.rows; i++)
        for (int64_t j = 0; j < o.result.columns; j++) {
            float got = get(&o.result, i, j);
            if (i == line && isnan(special) ? !isnan(got) : i == line ? !isinf(got) : !isfinite(got))
                fail_msg("product %d of %d rows, %g in line %d: (%d, %d) is %g", (int)which, (int)m,
                         (double)special, (int)line, (int)i, (int)j, (double)got);
        }
    drop_all(&o);
    drop_all(&before);
    reini_matmul_free(mm);
}

static void test_specials(void **state) {
    static const int rows[] = {1, 3, 30};
    for (int products = 0; products < 2; products++)
        for (operation which = FORWARD; which <= WEIGHT; which++)
            for (int r = 0; r < COUNT(rows); r++) {
                check_specials(products ? REIN_BF16 : REIN_F32, which, rows[r], NAN);
                check_specials(products ? REIN_BF16 : REIN_F32, which, rows[r], -INFINITY);
            }
}

/* ---- conversions ---------------------------------------------------------------------------------------- */

static void test_conversions(void **state) {
    enum { MANY = 40001 };
    float *full = malloc(MANY * sizeof *full), *back = malloc(MANY * sizeof *back);
    uint16_t *half = malloc(MANY * sizeof *half);
    rein_rng rng = rein_rng_make(5, 0);
    for (int i = 0; i < MANY; i++) {
        uint32_t bits = (uint32_t)rein_rng_below(&rng, UINT32_MAX);
        if (i % 5 == 0)
            bits = (bits & 0xFFFF0000u) | 0x8000u; /* ties */
        if (i % 11 == 0)
            bits = 0x7F800001u | (bits & 0x80000000u); /* a NaN whose upper half says infinity */
        memcpy(&full[i], &bits, sizeof bits);
    }
    for (int n = MANY; n > 0; n -= n > 40 ? 19961 : 1) {
        memset(half, 0xEE, MANY * sizeof *half);
        memset(back, 0xEE, MANY * sizeof *back);
        reini_narrow(pools[2], half, full, n);
        reini_widen(pools[2], back, half, n);
        for (int i = 0; i < n; i++) {
            if (isnan(full[i]) ? !isnan(from_half(half[i])) : half[i] != to_half(full[i]))
                fail_msg("%a became %04x", (double)full[i], half[i]);
            float want = from_half(half[i]);
            assert_memory_equal(&back[i], &want, sizeof want);
        }
        if (n < MANY)
            assert_int_equal(half[n], 0xEEEE);
    }
    free(full);
    free(back);
    free(half);
}

static void test_refusal(void **state) {
    reini_matmul *mm;
    assert_fails(reini_matmul_new(NULL, REIN_F64, &mm), REIN_USAGE, "REIN_F32 or REIN_BF16");
    assert_null(mm);
    for (uint64_t nth = 1; nth <= 3; nth++) {
        reini_memory_fail(nth, false);
        rein_status status = reini_matmul_new(NULL, REIN_F32, &mm);
        reini_memory_fail(0, false);
        assert_int_equal(status, REIN_NOMEM);
        assert_null(mm);
    }
}

static int group(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_large_results),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_specials),
        cmocka_unit_test(test_changed_operands),
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_refusal),
    };
    print_message("# level %s\n", level);
    for (int threads = 2; threads < COUNT(pools); threads++)
        pools[threads] = rein_pool_new(threads);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int threads = 2; threads < COUNT(pools); threads++)
        rein_pool_free(pools[threads]);
    return failed;
}

int main(void) {
    return each_level(group);
}
