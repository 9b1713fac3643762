/*
 * test_amx.c - dense layers by bf16 products on AMX against the reference in double on operands rounded to
 * bf16.
 *
 * Products of bf16 numbers are exact in float, so what differs is the rounding of sums: it is measured
 * against the same sums over absolute values. Skipped on machines without AMX.
 */
#include <pthread.h>
#include "trial.h"
#include "support/check.h"
#include <rein/tensor.h>
#include "base/levels.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

/* of the sum of absolute values; and of activations, absolutely (tanh: 3e-6) */
#define SUM_ERROR        2e-6
#define ACTIVATION_ERROR 5e-6

typedef struct shape {
    int in, out, members, split;
} shape;

#define NEEDS_AMX()                                                                                          \
    do {                                                                                                     \
        if (!reini_bf16_available())                                                                         \
            skip();                                                                                          \
    } while (0)

/* the rule of simd_amx.c: such layers stay float */
static bool is_thin(reini_op op, const int32_t *k) {
    bool few_inputs = op != REINI_DENSE_DX && op != REINI_DENSE_DX_ACT && k[0] <= 4;
    return few_inputs || k[1] <= 4 || k[0] * k[1] < 256;
}

/* ---- the reference on rounded operands ----------------------------------------------------------------- */

/* to nearest, halves to even */
static double to_bf16(double x) {
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static double to_bf16_size(double x) {
    return fabs(to_bf16(x));
}

static double as_it_is(double x) {
    return x;
}

static reini_op viewed_op;       /* what viewed() computes */
static double (*view)(double x); /* of the product's operands */
static double (*bias_view)(double x);

static double *viewed_copy(reini_operand *x, int rows, double (*through)(double)) {
    int64_t n = x->stride ? rows * x->stride : x->width;
    double *copy = malloc((size_t)n * sizeof *copy);
    for (int64_t i = 0; i < n; i++)
        copy[i] = through(((const double *)x->at)[i]);
    x->at = copy;
    return copy;
}

static void viewed(const reini_call *call) {
    reini_call c = *call;
    double *copies[3] = {viewed_copy(&c.in[0], call->rows, view), viewed_copy(&c.in[1], call->rows, view),
                         NULL};
    if (viewed_op == REINI_DENSE && call->k[5])
        copies[2] = viewed_copy(&c.in[2], 1, bias_view);
    reini_kernels_ref_f64.run[viewed_op](&c);
    for (int i = 0; i < 3; i++)
        free(copies[i]);
}

static result wanted(const trial *t) {
    viewed_op = t->op;
    view = is_thin(t->op, t->k) ? as_it_is : to_bf16;
    bias_view = as_it_is;
    return trial_run(t, viewed, true);
}

/* sums of absolute values, without the activation; slopes in place */
static result sizes(const trial *t) {
    trial plain = *t;
    viewed_op = t->op;
    view = bias_view = is_thin(t->op, t->k) ? fabs : to_bf16_size;
    plain.k[4] = REIN_ACT_IDENTITY;
    return trial_run(&plain, viewed, true);
}

static void check(const trial *t) {
    result got = trial_run(t, reini_kernels_bf16.run[t->op], false), want = wanted(t), size = sizes(t);
    double extra = t->op == REINI_DENSE && t->k[4] != REIN_ACT_IDENTITY ? ACTIVATION_ERROR : 1e-30;
    for (int64_t i = 0; i < want.rows * want.width; i++)
        if (!(fabs(got.at[i] - want.at[i]) <= SUM_ERROR * fabs(size.at[i]) + extra))
            trial_fail(t, "bf16", "value", i / want.width, i % want.width, got.at[i], want.at[i]);
    free(got.at);
    free(want.at);
    free(size.at);
}

/* Rows computed alone and in groups have the bits they have in the whole tile. */
static void check_rows_alone(const trial *t) {
    static const int groups[] = {1, 2, 15, 33};
    result whole = trial_run(t, reini_kernels_bf16.run[t->op], false);
    for (int g = 0; g < COUNT(groups); g++)
        for (int64_t first = g; first < t->rows; first += groups[g] + 9) {
            int rows = t->rows - first < groups[g] ? (int)(t->rows - first) : groups[g];
            result part = trial_rows(t, reini_kernels_bf16.run[t->op], false, first, rows);
            compare_rows(t, "bf16", part, whole, first);
            free(part.at);
        }
    free(whole.at);
}

/* ---- trials -------------------------------------------------------------------------------------------- */

static trial_operand by_row(int64_t width, bool padded) {
    return (trial_operand){width, width + (padded ? 3 : 0), FILL_USUAL, REIN_F32, 0, 0};
}

static trial_operand fixed(int64_t width) {
    return (trial_operand){width, 0, FILL_USUAL, REIN_F32, 0, 0};
}

static trial dense_trial(reini_op op, shape s, int rows, int act) {
    int x = s.in * (s.split ? s.members : 1), y = s.out * s.members, w = s.in * s.out * s.members;
    trial t = {.op = op,
               .rows = rows,
               .k = {s.in, s.out, s.members, s.split, act, rows % 3 != 0, act},
               .seed = (uint64_t)(s.in * 1000 + s.out + rows)};
    trial_operand inputs = by_row(x, rows % 2), outputs = by_row(y, rows % 3 == 1);
    t.in[0] = op == REINI_DENSE || op == REINI_DENSE_DW ? inputs : outputs;
    t.in[1] = op == REINI_DENSE_DW ? outputs : fixed(w);
    t.out = op == REINI_DENSE ? outputs : op == REINI_DENSE_DW ? fixed(w) : inputs;
    if (op == REINI_DENSE && t.k[5])
        t.in[2] = fixed(y);
    if (op == REINI_DENSE_DX_ACT)
        t.in[2] = by_row(x, rows % 5 == 0);
    if (op == REINI_DENSE_DW) {
        t.out_rows = 1;
        t.accumulate = rows % 2;
    }
    return t;
}

static void check_layer(shape s, int rows, int act) {
    trial forward = dense_trial(REINI_DENSE, s, rows, act);
    trial dx = dense_trial(REINI_DENSE_DX, s, rows, REIN_ACT_IDENTITY);
    trial dw = dense_trial(REINI_DENSE_DW, s, rows, REIN_ACT_IDENTITY);
    check(&forward);
    check(&dx);
    check(&dw);
    if (s.members == 1 && act != REIN_ACT_SILU && act != REIN_ACT_GELU && act != REIN_ACT_IDENTITY) {
        trial slope = dense_trial(REINI_DENSE_DX_ACT, s, rows, act);
        check(&slope);
    }
}

static const int widths[] = {1, 2, 3, 5, 16, 17, 31, 32, 33, 64, 100, 256};
static const int heights[] = {64, 1, 33, 16, 2, 70, 31, 17, 48, 15, 65, 32};

static void test_shapes(void **state) {
    NEEDS_AMX();
    for (int i = 0; i < COUNT(widths); i++)
        for (int o = 0; o < COUNT(widths); o++)
            for (int n = 0; n < 2; n++)
                check_layer((shape){widths[i], widths[o], 1, 0}, heights[(i + 5 * o + n) % COUNT(heights)],
                            (i + o + n) % 6);
}

static void test_every_height(void **state) {
    NEEDS_AMX();
    for (int rows = 1; rows <= 70; rows++) {
        check_layer((shape){32, 32, 1, 0}, rows, rows % 6);
        check_layer((shape){17, 40, 1, 0}, rows, rows % 6);
    }
    check_layer((shape){64, 64, 1, 0}, 200, REIN_ACT_TANH);
}

/* sums longer, and weights wider, than the scratch of one pass */
static void test_wide(void **state) {
    NEEDS_AMX();
    static const shape shapes[] = {
        {512, 48, 1, 0}, {600, 20, 1, 0}, {1100, 33, 1, 0}, {40, 520, 1, 0}, {24, 1040, 1, 0}};
    for (int s = 0; s < COUNT(shapes); s++) {
        check_layer(shapes[s], 70, REIN_ACT_TANH);
        check_layer(shapes[s], 16, REIN_ACT_IDENTITY);
        check_layer(shapes[s], 5, REIN_ACT_RELU);
    }
}

static void test_ensembles(void **state) {
    NEEDS_AMX();
    static const int some[] = {3, 5, 17, 32, 64, 130};
    for (int i = 0; i < COUNT(some); i++)
        for (int o = 0; o < COUNT(some); o++)
            for (int split = 0; split < 2; split++)
                check_layer((shape){some[i], some[o], 2 + (i + o) % 3, split},
                            heights[(i + o) % COUNT(heights)], (i + 2 * o) % 6);
}

static void test_rows_alone(void **state) {
    NEEDS_AMX();
    static const shape shapes[] = {{32, 32, 1, 0}, {3, 32, 1, 0},   {17, 33, 1, 0},  {64, 64, 2, 1},
                                   {64, 20, 3, 0}, {256, 70, 1, 0}, {600, 40, 1, 0}, {40, 600, 1, 0},
                                   {64, 1, 1, 0},  {32, 5, 1, 0}};
    for (int s = 0; s < COUNT(shapes); s++)
        for (int rows = 64; rows <= 70; rows += 3) {
            trial forward = dense_trial(REINI_DENSE, shapes[s], rows, s % 6);
            trial dx = dense_trial(REINI_DENSE_DX, shapes[s], rows, REIN_ACT_IDENTITY);
            trial slope = dense_trial(REINI_DENSE_DX_ACT, shapes[s], rows, REIN_ACT_TANH);
            check_rows_alone(&forward);
            check_rows_alone(&dx);
            if (shapes[s].members == 1)
                check_rows_alone(&slope);
        }
}

/* ---- packed weights ------------------------------------------------------------------------------------ */

/* Weights in packed form, made by the fast kernel and by the reference: the same bits; then a layer from the plain and
 * from the packed weight: the same bits. */
static void check_packed(reini_op op, shape s, int rows, int act) {
    trial t = dense_trial(op, s, rows, act);
    void *in[REINI_OPERANDS];
    int32_t k[8] = {s.in, s.out, 1, 0, 0, 0, op != REINI_DENSE};
    size_t width = (size_t)(k[6] ? reini_packed_width(s.out, s.in) : reini_packed_width(s.in, s.out));
    size_t n = (size_t)(rows * t.out.stride);
    float *packed = aligned_alloc(64, width * 4), *plainly = aligned_alloc(64, width * 4);
    float *turned = malloc((size_t)(s.in * s.out) * 4), *want = calloc(n, 4), *got = calloc(n, 4);
    memset(packed, 0xFF, width * 4);
    memset(plainly, 0x7F, width * 4);
    make_operands(&t, in, false);
    /* the operand of a gradient is the transpose */
    for (int i = 0; i < s.in * s.out; i++)
        turned[i] = ((float *)in[1])[i % s.out * s.in + i / s.out];
    reini_call pack = {.out = {packed, 0, (int64_t)width},
                       .in = {{k[6] ? turned : in[1], 0, s.in * s.out}},
                       .k = k,
                       .rows = 1};
    reini_kernels_bf16.run[REINI_PACK](&pack);
    pack.out.at = plainly;
    reini_kernels_ref_f32.run[REINI_PACK](&pack);
    if (memcmp(packed, plainly, width * 4) != 0)
        fail_msg("a weight of %d x %d packed differently (turned: %d)", s.in, s.out, k[6]);
    reini_call call = trial_call(&t, in, 0, rows, want, false);
    reini_kernels_bf16.run[op](&call);
    int32_t with[8];
    memcpy(with, t.k, sizeof with);
    with[7] = REINI_PACKED;
    call.k = with;
    call.in[1].at = packed;
    call.out.at = got;
    reini_kernels_bf16.run[op](&call);
    if (memcmp(want, got, n * 4) != 0)
        fail_msg("%s, %d x %d, %d rows: other bits from a packed weight", reini_op_name(op), s.in, s.out,
                 rows);
    free_operands(&t, in);
    free(packed);
    free(plainly);
    free(turned);
    free(want);
    free(got);
}

static void test_packed(void **state) {
    NEEDS_AMX();
    static const int some[] = {3, 5, 16, 17, 32, 33, 64, 100, 530};
    int checked = 0;
    for (int i = 0; i < COUNT(some); i++)
        for (int o = 0; o < COUNT(some); o++) {
            shape s = {some[i], some[o], 1, 0};
            int32_t k[8] = {s.in, s.out, 1};
            int rows = heights[(i + 5 * o) % COUNT(heights)];
            if (reini_bf16_packs(k, false))
                check_packed(REINI_DENSE, s, rows, (i + o) % 6);
            if (!reini_bf16_packs(k, true))
                continue;
            check_packed(REINI_DENSE_DX, s, rows, REIN_ACT_IDENTITY);
            check_packed(REINI_DENSE_DX_ACT, s, rows, REIN_ACT_RELU);
            checked++;
        }
    assert_true(checked > COUNT(some) * COUNT(some) / 2);
}

/* ---- activations --------------------------------------------------------------------------------------- */

/* tanh x for 64 numbers: few inputs make a thin layer, which is float, more a layer of bf16 products */
static void tanh_of(float y[64], const float x[64], int in) {
    enum { OUT = 32 };
    static float weight[32 * OUT], inputs[64 * 32], outputs[64 * OUT];
    int32_t k[8] = {in, OUT, 1, 0, REIN_ACT_TANH, 0};
    memset(weight, 0, sizeof weight);
    memset(inputs, 0, sizeof inputs);
    weight[0] = 1;
    for (int r = 0; r < 64; r++)
        inputs[r * in] = x[r];
    reini_kernels_bf16.run[REINI_DENSE](&(reini_call){
        .out = {outputs, OUT, OUT}, .in = {{inputs, in, in}, {weight, 0, in * OUT}}, .k = k, .rows = 64});
    for (int r = 0; r < 64; r++)
        y[r] = outputs[r * OUT];
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void check_tanh(float x, float y) {
    double error = fabs(y - tanh(x));
    bool tiny = fabsf(x) < 2e-38f; /* bf16 products take denormal numbers for 0 */
    bool bounded = error <= 3e-6 && fabsf(y) <= 1;
    bool kept = tiny || (!signbit(y) == !signbit(x) && (fabsf(x) > 1e-3f || error <= 1e-5 * fabsf(x)));
    if (!bounded || !kept)
        fail_msg("tanh(%.9g) is %.9g, not %.9g", (double)x, (double)y, tanh(x));
}

/* every step-th number up to infinity, signs in turn */
static void walk_tanh(int in, uint32_t step) {
    float x[64], y[64];
    for (uint32_t bits = 0; bits <= 0x7F800000; bits += 64 * step) {
        for (uint32_t i = 0; i < 64; i++) {
            uint32_t next = bits + i * step < 0x7F800000 ? bits + i * step : 0x7F800000;
            x[i] = float_of(next | (i % 2 ? 0x80000000u : 0));
        }
        tanh_of(y, x, in);
        for (int i = 0; i < 64; i++)
            check_tanh(x[i], y[i]);
    }
}

static void test_tanh(void **state) {
    NEEDS_AMX();
    walk_tanh(1, 499);
    walk_tanh(32, 1 << 16); /* all bf16 numbers */
}

static void test_not_a_number(void **state) {
    NEEDS_AMX();
    enum { ROWS = 40, IN = 33, OUT = 37 };
    static float x[ROWS * IN], w[IN * OUT], y[ROWS * OUT];
    for (int act = 0; act < 6; act++) {
        int32_t k[8] = {IN, OUT, 1, 0, act, 0};
        for (int i = 0; i < ROWS * IN; i++)
            x[i] = (float)(i % 5) - 2;
        for (int i = 0; i < IN * OUT; i++)
            w[i] = (float)(i % 3) - 1;
        x[17 * IN + 30] = NAN;
        reini_kernels_bf16.run[REINI_DENSE](
            &(reini_call){.out = {y, OUT, OUT}, .in = {{x, IN, IN}, {w, 0, IN * OUT}}, .k = k, .rows = ROWS});
        for (int i = 0; i < ROWS * OUT; i++)
            assert_int_equal(isnan(y[i]) != 0, i / OUT == 17);
    }
}

/* ---- the tile unit ------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
/* another user of tiles in the same thread leaves its configuration, or none */
static void test_foreign_configuration(void **state) {
    NEEDS_AMX();
    static const _Alignas(64) uint8_t foreign[64] = {1, [16] = 4, [18] = 4, [48] = 1, [49] = 1};
    trial t = dense_trial(REINI_DENSE, (shape){32, 32, 1, 0}, 64, REIN_ACT_TANH);
    trial dw = dense_trial(REINI_DENSE_DW, (shape){32, 32, 1, 0}, 64, 0);
    trial thin = dense_trial(REINI_DENSE, (shape){3, 32, 1, 0}, 64, REIN_ACT_TANH);
    trial *all[] = {&t, &dw, &thin};
    for (int i = 0; i < COUNT(all); i++) {
        check(all[i]);
        __asm__ volatile("tilerelease");
        check(all[i]);
        __asm__ volatile("ldtilecfg %0" : : "m"(foreign));
        check(all[i]);
    }
}
#else
static void test_foreign_configuration(void **state) {
}
#endif

/* One thread's work: a layer many times, in memory of its own. */
typedef struct job {
    trial t;
    void *in[REINI_OPERANDS];
    float *want, *got;
    size_t bytes;
    int wrong;
} job;

static void *repeat(void *user) {
    job *j = user;
    reini_call call = trial_call(&j->t, j->in, 0, j->t.rows, j->got, false);
    for (int i = 0; i < 3000; i++) {
        memset(j->got, 0, j->bytes);
        reini_kernels_bf16.run[j->t.op](&call);
        j->wrong += memcmp(j->got, j->want, j->bytes) != 0;
    }
    return NULL;
}

static void test_two_threads(void **state) {
    NEEDS_AMX();
    static const reini_op ops[] = {REINI_DENSE, REINI_DENSE_DX, REINI_DENSE_DW};
    for (int o = 0; o < COUNT(ops); o++) {
        job jobs[2];
        pthread_t threads[2];
        for (int n = 0; n < 2; n++) {
            job *j = &jobs[n];
            *j = (job){.t = dense_trial(ops[o], (shape){32 + n, 48 - n, 1, 0}, 64, REIN_ACT_TANH)};
            make_operands(&j->t, j->in, false);
            j->bytes =
                (size_t)(j->t.out.stride ? j->t.rows * j->t.out.stride : j->t.out.width) * sizeof(float);
            j->want = calloc(1, j->bytes);
            j->got = calloc(1, j->bytes);
            reini_call call = trial_call(&j->t, j->in, 0, j->t.rows, j->want, false);
            reini_kernels_bf16.run[ops[o]](&call);
        }
        for (int n = 0; n < 2; n++)
            assert_int_equal(pthread_create(&threads[n], NULL, repeat, &jobs[n]), 0);
        for (int n = 0; n < 2; n++) {
            pthread_join(threads[n], NULL);
            assert_int_equal(jobs[n].wrong, 0);
            free_operands(&jobs[n].t, jobs[n].in);
            free(jobs[n].want);
            free(jobs[n].got);
        }
    }
}

/* ---- in plans ------------------------------------------------------------------------------------------ */

static rein_status compile_network(rein_dtype matmul, rein_program **program) {
    rein_graph *g = rein_graph_new(REIN_F32);
    rein_layout *layout = rein_layout_new();
    int rows = rein_extent(g, "rows", 64), slot = rein_slot(g, layout), in = 20, weight[] = {20, 24};
    rein_tensor *x = rein_input(g, "x", REIN_F32, rows, 1, &in);
    rein_tensor *w = rein_param(g, slot, "w", 2, weight, (rein_init){REIN_INIT_KAIMING, 1});
    rein_output(rein_dense(x, w, NULL, REIN_ACT_TANH), "y");
    rein_status status = rein_compile(g, &(rein_compile_opts){.matmul = matmul}, program);
    rein_graph_free(g);
    rein_layout_free(layout);
    return status;
}

static void test_level(void **state) {
    rein_program *program = NULL;
    reini_isa_cap(REINI_ISA_AVX2);
    bool capped = reini_bf16_available();
    rein_status status = compile_network(REIN_BF16, &program);
    reini_isa_cap(-1);
    assert_false(capped);
    assert_int_equal(status, REIN_UNSUPPORTED);
    assert_non_null(strstr(rein_error(), "AMX"));
    if (!reini_bf16_available())
        skip();
    char text[2000];
    assert_ok(compile_network(REIN_BF16, &program));
    rein_program_print(program, text, sizeof text);
    assert_non_null(strstr(text, reini_kernels_bf16.level));
    rein_program_free(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_every_height),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_ensembles),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_tanh),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_foreign_configuration),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
