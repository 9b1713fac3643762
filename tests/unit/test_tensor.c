/*
 * test_tensor.c - what the engine promises beside derivatives: results that do not depend on threads, rows
 * that do not depend on each other, bindings, slots, gradients of groups, gathers, random numbers.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <rein/nn.h>
#include <rein/rng.h>
#include "base/base.h"
#include "support/each_level.h"
#include "support/check.h"
#include "tensor/kernels.h"

static const rein_init normal = {REIN_INIT_NORMAL, 0.4};

/* ---- a loss like that of an actor and a critic --------------------------------------------------------- */

enum { STEPS = 333, ROWS = 200, OBS = 5, ACTIONS = 3, MOST_PARAMETERS = 4096 };

typedef struct model {
    rein_layout *layout;
    rein_graph *g;
    int rows, steps, slot;
    rein_tensor *index, *obs, *action, *mask, *adv, *low;
    rein_tensor *loss, *value, *logp;
    rein_program *program;
} model;

static rein_tensor *take(model *m, const char *name, rein_dtype dtype, int width, rein_tensor **all) {
    *all = rein_input(m->g, name, dtype, m->steps, 1, &width);
    return rein_gather(*all, m->index);
}

static model model_new(rein_dtype real, const rein_compile_opts *opts) {
    model m = {.layout = rein_layout_new(), .g = rein_graph_new(real)};
    m.rows = rein_extent(m.g, "rows", ROWS);
    m.steps = rein_extent(m.g, "steps", STEPS);
    m.slot = rein_slot(m.g, m.layout);
    m.index = rein_input(m.g, "index", REIN_I32, m.rows, 1, (int[]){1});
    rein_tensor *x = take(&m, "obs", real, OBS, &m.obs), *adv = take(&m, "adv", real, 1, &m.adv);
    rein_tensor *action = take(&m, "action", REIN_I32, 1, &m.action),
                *mask = take(&m, "mask", REIN_U8, ACTIONS, &m.mask);
    m.low = rein_uniform(m.g, "low", 0.8);
    rein_tensor *logits =
        rein_mlp(x, m.slot, "actor", 2, (int[]){17, 24}, REIN_ACT_TANH, normal, ACTIONS, normal);
    m.value =
        rein_output(rein_mlp(x, m.slot, "critic", 1, (int[]){33}, REIN_ACT_SILU, normal, 1, normal), "value");
    rein_dist dist = rein_dist_categorical(logits, mask, 1, (int32_t[]){ACTIONS});
    m.logp = rein_output(rein_dist_logp(&dist, action), "logp");
    rein_tensor *ratio = rein_exp(rein_offset(m.logp, 1)), *high = rein_constant(m.g, 1.2);
    rein_tensor *gain = rein_min(rein_mul(ratio, adv), rein_mul(rein_clamp(ratio, m.low, high), adv));
    rein_tensor *loss = rein_sub(rein_mean(rein_square(rein_sub(m.value, adv))), rein_mean(gain));
    loss = rein_sub(loss, rein_scale(rein_mean(rein_dist_entropy(&dist)), 0.1));
    m.loss = rein_output(loss, "loss");
    rein_gradient(m.loss, m.slot, NULL);
    assert_ok(rein_compile(m.g, opts, &m.program));
    return m;
}

static void model_free(model *m) {
    rein_program_free(m->program);
    rein_graph_free(m->g);
    rein_layout_free(m->layout);
}

typedef struct data {
    double obs[STEPS * OBS], adv[STEPS];
    float obs_f[STEPS * OBS], adv_f[STEPS];
    int32_t action[STEPS], index[ROWS];
    uint8_t mask[STEPS * ACTIONS];
} data;

/* filled once, before threads use it */
static data d;

static int fill_data(void **state) {
    rein_rng rng = rein_rng_make(2, 0);
    for (int i = 0; i < STEPS * OBS; i++)
        d.obs[i] = d.obs_f[i] = (float)rein_rng_normal(&rng);
    for (int i = 0; i < STEPS; i++) {
        d.adv[i] = d.adv_f[i] = (float)rein_rng_normal(&rng);
        d.action[i] = (int32_t)rein_rng_below(&rng, ACTIONS);
        for (int k = 0; k < ACTIONS; k++)
            d.mask[i * ACTIONS + k] = (uint8_t)(k == d.action[i] || rein_rng_below(&rng, 2));
    }
    for (int i = 0; i < ROWS; i++)
        d.index[i] = (int32_t)rein_rng_below(&rng, STEPS);
    return 0;
}

typedef struct outcome {
    double loss, value[ROWS], logp[ROWS], gradient[MOST_PARAMETERS];
    int64_t parameters;
} outcome;

static double number(const void *at, rein_dtype real, int64_t i) {
    return real == REIN_F64 ? ((const double *)at)[i] : (double)((const float *)at)[i];
}

/* a model's parameters, and where their gradient goes */
typedef struct values {
    rein_store *params, *grads;
} values;

static values values_new(const model *m, rein_dtype real) {
    values v = {NULL, NULL};
    assert_ok(rein_store_new(m->layout, real, &v.params));
    assert_ok(rein_store_new(m->layout, real, &v.grads));
    rein_store_init(v.params, 3);
    return v;
}

static void values_free(values *v) {
    rein_store_free(v->params);
    rein_store_free(v->grads);
}

/* the first `rows` rows of the data */
static void run_with(const model *m, const values *v, rein_dtype real, int threads, int rows, outcome *out) {
    rein_pool *pool = rein_pool_new(threads);
    rein_exec *exec = NULL;
    assert_ok(rein_exec_new(m->program, pool, &exec));
    rein_exec_bind_store(exec, m->slot, v->params);
    rein_exec_bind_gradient(exec, 0, v->grads);
    rein_exec_bind(exec, m->obs, real == REIN_F64 ? (const void *)d.obs : d.obs_f, 0);
    rein_exec_bind(exec, m->adv, real == REIN_F64 ? (const void *)d.adv : d.adv_f, 0);
    rein_exec_bind(exec, m->action, d.action, 0);
    rein_exec_bind(exec, m->mask, d.mask, 0);
    rein_exec_bind(exec, m->index, d.index, 0);
    rein_exec_rows(exec, m->rows, rows);
    for (int again = 0; again < 2; again++) /* sums start anew in every run */
        rein_exec_run(exec);
    *out = (outcome){.loss = rein_exec_scalar(exec, m->loss), .parameters = rein_store_size(v->params)};
    assert_true(out->parameters <= MOST_PARAMETERS);
    for (int i = 0; i < rows; i++) {
        out->value[i] = number(rein_exec_data(exec, m->value), real, i);
        out->logp[i] = number(rein_exec_data(exec, m->logp), real, i);
    }
    for (int64_t i = 0; i < out->parameters; i++)
        out->gradient[i] = number(rein_store_view(v->grads), real, i);
    rein_exec_free(exec);
    rein_pool_free(pool);
}

static void model_run(const model *m, rein_dtype real, int threads, int rows, outcome *out) {
    values v = values_new(m, real);
    run_with(m, &v, real, threads, rows, out);
    values_free(&v);
}

static void outcome_of(rein_dtype real, rein_compile_opts opts, int threads, int rows, outcome *out) {
    model m = model_new(real, &opts);
    model_run(&m, real, threads, rows, out);
    model_free(&m);
}

static void close_outcomes(const outcome *a, const outcome *b, int rows, double tolerance) {
    double most = 0;
    assert_true(fabs(a->loss - b->loss) <= tolerance * fmax(1, fabs(a->loss)));
    for (int i = 0; i < rows; i++) {
        assert_true(fabs(a->value[i] - b->value[i]) <= tolerance * fmax(1, fabs(a->value[i])));
        assert_true(fabs(a->logp[i] - b->logp[i]) <= tolerance * fmax(1, fabs(a->logp[i])));
    }
    for (int64_t i = 0; i < a->parameters; i++)
        most = fmax(most, fabs(a->gradient[i]));
    for (int64_t i = 0; i < a->parameters; i++)
        assert_true(fabs(a->gradient[i] - b->gradient[i]) <= tolerance * most);
}

static const int live[] = {1, 2, 31, 64, 65, 127, 199, 200};
enum { LIVES = sizeof live / sizeof *live };

static void test_threads_give_the_same_bits(void **state) {
    static outcome one, many;
    model m = model_new(REIN_F32, NULL), small = model_new(REIN_F32, &(rein_compile_opts){.tile = 3});
    for (int i = 0; i < LIVES; i++)
        for (int threads = 2; threads <= 8; threads += threads < 4 ? 1 : 2) {
            model_run(&m, REIN_F32, 1, live[i], &one);
            model_run(&m, REIN_F32, threads, live[i], &many);
            assert_memory_equal(&one, &many, sizeof one);
            model_run(&small, REIN_F32, 1, live[i], &one);
            model_run(&small, REIN_F32, threads, live[i], &many);
            assert_memory_equal(&one, &many, sizeof one);
        }
    model_free(&m);
    model_free(&small);
}

/* sums are added in another order, rows are the same bits */
static void test_tiles_hardly_matter(void **state) {
    static const int tiles[] = {1, 2, 3, 32, 64, 200, 1000};
    static outcome usual, other;
    for (int i = 0; i < LIVES; i++) {
        outcome_of(REIN_F32, (rein_compile_opts){0}, 1, live[i], &usual);
        for (int t = 0; t < 7; t++) {
            outcome_of(REIN_F32, (rein_compile_opts){.tile = tiles[t]}, 3, live[i], &other);
            close_outcomes(&usual, &other, live[i], 5e-6);
            assert_memory_equal(usual.value, other.value, sizeof usual.value);
            assert_memory_equal(usual.logp, other.logp, sizeof usual.logp);
        }
    }
}

static void test_rows_do_not_depend_on_each_other(void **state) {
    static outcome all, some;
    model m = model_new(REIN_F32, NULL);
    model_run(&m, REIN_F32, 2, ROWS, &all);
    for (int rows = 1; rows < ROWS; rows += 1 + rows / 9) {
        model_run(&m, REIN_F32, 1, rows, &some);
        assert_memory_equal(all.value, some.value, (size_t)rows * sizeof *all.value);
        assert_memory_equal(all.logp, some.logp, (size_t)rows * sizeof *all.logp);
    }
    model_free(&m);
}

static void test_fast_kernels_follow_the_reference(void **state) {
    static outcome fast, reference, exact;
    for (int i = 0; i < LIVES; i++) {
        outcome_of(REIN_F32, (rein_compile_opts){0}, 2, live[i], &fast);
        outcome_of(REIN_F32, (rein_compile_opts){.reference = 1}, 2, live[i], &reference);
        outcome_of(REIN_F64, (rein_compile_opts){0}, 2, live[i], &exact);
        close_outcomes(&reference, &fast, live[i], 1e-5);
        close_outcomes(&exact, &fast, live[i], 1e-5);
    }
}

/* products of numbers rounded to 8 bits: coarser, but all the rest holds */
static void test_bf16(void **state) {
    static outcome narrow, many, tiles, exact;
    if (!reini_bf16_available())
        skip();
    rein_compile_opts opts = {.matmul = REIN_BF16}, other = {.matmul = REIN_BF16, .tile = 48};
    for (int i = 0; i < LIVES; i++) {
        outcome_of(REIN_F32, opts, 1, live[i], &narrow);
        outcome_of(REIN_F32, opts, 3, live[i], &many);
        assert_memory_equal(&narrow, &many, sizeof narrow);
        outcome_of(REIN_F32, other, 2, live[i], &tiles);
        assert_memory_equal(narrow.value, tiles.value, sizeof narrow.value);
        assert_memory_equal(narrow.logp, tiles.logp, sizeof narrow.logp);
        outcome_of(REIN_F64, (rein_compile_opts){0}, 1, live[i], &exact);
        close_outcomes(&exact, &narrow, live[i], 0.05);
        assert_true(memcmp(exact.value, narrow.value, sizeof exact.value) != 0);
    }
}

/* without rows sums are 0, gradients too, and a mean is 0 / 0 */
static void test_no_rows(void **state) {
    static outcome none;
    model m = model_new(REIN_F32, NULL);
    for (int threads = 1; threads <= 3; threads++) {
        model_run(&m, REIN_F32, threads, 0, &none);
        assert_true(isnan(none.loss));
        for (int64_t i = 0; i < none.parameters; i++)
            assert_true(none.gradient[i] == 0);
    }
    model_free(&m);
}

static void test_programs_are_printed(void **state) {
    model m = model_new(REIN_F32, NULL);
    size_t length = rein_program_print(m.program, NULL, 0);
    char *text = malloc(length + 1), little[20];
    assert_true(rein_program_print(m.program, text, length + 1) == length);
    assert_int_equal(strlen(text), length);
    const char *const words[] = {"kernels ", rein_cpu_level(), "tile 64 rows", "rows of rows", "DENSE",
                                 "GATHER",   "static",         "loss",         "value"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(text, words[i]) == NULL)
            fail_msg("the plan does not say \"%s\"", words[i]);
    memset(little, 'x', sizeof little);
    assert_true(rein_program_print(m.program, little, 10) == length);
    assert_int_equal(strlen(little), 9);
    assert_memory_equal(little, text, 9);
    assert_true(little[10] == 'x');
    free(text);
    model_free(&m);
}

/* ---- a small graph with one network -------------------------------------------------------------------- */

typedef struct bench {
    rein_graph *g;
    rein_layout *layout;
    rein_program *program;
    rein_exec *exec;
    int rows, slot;
} bench;

static bench begin(rein_dtype real, int64_t rows) {
    bench b = {.g = rein_graph_new(real), .layout = rein_layout_new()};
    b.rows = rein_extent(b.g, "rows", rows);
    b.slot = rein_slot(b.g, b.layout);
    return b;
}

static void compile(bench *b) {
    assert_ok(rein_compile(b->g, NULL, &b->program));
    assert_ok(rein_exec_new(b->program, NULL, &b->exec));
}

static void end(bench *b) {
    rein_exec_free(b->exec);
    rein_program_free(b->program);
    rein_graph_free(b->g);
    rein_layout_free(b->layout);
}

static rein_store *store_of(const bench *b, uint64_t seed) {
    rein_store *store = NULL;
    assert_ok(rein_store_new(b->layout, REIN_F32, &store));
    rein_store_init(store, seed);
    return store;
}

static float *parameter(rein_store *store, const char *name) {
    rein_layout *layout = rein_store_layout(store);
    return (float *)rein_store_data(store) + rein_layout_at(layout, rein_layout_find(layout, name)).offset;
}

/* ---- bindings ------------------------------------------------------------------------------------------ */

static void test_strides(void **state) {
    enum { N = 70, IN_STRIDE = 7, OUT_STRIDE = 5 };
    float x[N * IN_STRIDE], y[N * OUT_STRIDE];
    int32_t index[N * 3];
    bench b = begin(REIN_F32, N);
    rein_tensor *in = rein_input(b.g, "x", REIN_F32, b.rows, 1, (int[]){3});
    rein_tensor *out = rein_output(rein_offset(rein_scale(in, 2), 1), "y"),
                *most = rein_output(rein_argmax(in), "i");
    rein_tensor *total = rein_output(rein_total(in), "total");
    compile(&b);
    double sum = 0;
    for (int i = 0; i < N * IN_STRIDE; i++) {
        x[i] = (float)(i % 11 - 3);
        sum += i % IN_STRIDE < 3 && i / IN_STRIDE < 67 ? x[i] : 0;
    }
    for (int i = 0; i < N * OUT_STRIDE; i++)
        y[i] = -99;
    memset(index, -1, sizeof index);
    rein_exec_bind(b.exec, in, x, IN_STRIDE);
    rein_exec_bind(b.exec, out, y, OUT_STRIDE);
    rein_exec_bind(b.exec, most, index, 3);
    rein_exec_rows(b.exec, b.rows, 67);
    rein_exec_run(b.exec);
    assert_true(rein_exec_data(b.exec, out) == y);
    assert_true(rein_exec_scalar(b.exec, total) == sum);
    for (int r = 0; r < N; r++)
        for (int k = 0; k < OUT_STRIDE; k++)
            assert_true(y[r * OUT_STRIDE + k] == (r < 67 && k < 3 ? 2 * x[r * IN_STRIDE + k] + 1 : -99));
    for (int r = 0; r < N; r++) {
        const float *row = &x[r * IN_STRIDE];
        int best = row[1] > row[0] ? 1 : 0;
        best = row[2] > row[best] ? 2 : best;
        assert_int_equal(index[r * 3], r < 67 ? best : -1);
        assert_int_equal(index[r * 3 + 1], -1);
    }
    end(&b);
}

/* memory can be bound anew between runs, outputs not bound have the exec's own */
static void test_binding_again(void **state) {
    float a[4] = {1, 2, 3, 4}, c[4] = {5, 6, 7, 8}, mean[2] = {1, 2}, other[2] = {10, 20};
    bench b = begin(REIN_F32, 2);
    rein_tensor *x = rein_input(b.g, "x", REIN_F32, b.rows, 1, (int[]){2});
    rein_tensor *m = rein_input(b.g, "mean", REIN_F32, REIN_STATIC, 1, (int[]){2});
    rein_tensor *u = rein_uniform(b.g, "u", 100),
                *unused = rein_input(b.g, "z", REIN_F32, b.rows, 1, (int[]){2});
    rein_tensor *y = rein_output(rein_add(rein_sub(x, m), u), "y"), *copy = rein_output(x, "copy");
    compile(&b);
    rein_exec_bind(b.exec, x, a, 0);
    rein_exec_bind(b.exec, m, mean, 0);
    rein_exec_bind(b.exec, unused, a, 0); /* nothing needs it: no harm */
    rein_exec_run(b.exec);
    const float *out = rein_exec_data(b.exec, y);
    assert_true(out[0] == 100 && out[3] == 102);
    mean[1] = 3; /* read in place */
    rein_exec_bind(b.exec, x, c, 0);
    rein_exec_set(b.exec, u, -1);
    rein_exec_run(b.exec);
    assert_true(out[0] == 3 && out[1] == 2 && out[3] == 4);
    rein_exec_bind(b.exec, m, other, 0);
    rein_exec_run(b.exec);
    assert_true(out[0] == -6 && out[3] == -13);
    assert_memory_equal(rein_exec_data(b.exec, copy), c, sizeof c);
    end(&b);
}

/* ---- extents and gathers ------------------------------------------------------------------------------- */

static void test_extents_are_apart(void **state) {
    float a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, c[3] = {10, 20, 30};
    bench b = begin(REIN_F32, 8);
    int items = rein_extent(b.g, "items", 3);
    rein_tensor *x = rein_input(b.g, "x", REIN_F32, b.rows, 1, (int[]){1});
    rein_tensor *y = rein_input(b.g, "y", REIN_F32, items, 1, (int[]){1});
    rein_tensor *sum = rein_output(rein_total(x), "sum"), *mean = rein_output(rein_mean(y), "mean");
    /* a statistic of one extent used by the rows of another */
    rein_tensor *centred = rein_output(rein_sub(x, rein_mean(y)), "centred");
    compile(&b);
    rein_exec_bind(b.exec, x, a, 0);
    rein_exec_bind(b.exec, y, c, 0);
    rein_exec_rows(b.exec, b.rows, 5);
    rein_exec_run(b.exec);
    assert_true(rein_exec_scalar(b.exec, sum) == 15 && rein_exec_scalar(b.exec, mean) == 20);
    assert_true(((const float *)rein_exec_data(b.exec, centred))[4] == -15);
    rein_exec_rows(b.exec, items, 2);
    rein_exec_run(b.exec);
    assert_true(rein_exec_scalar(b.exec, sum) == 15 && rein_exec_scalar(b.exec, mean) == 15);
    end(&b);
}

/* a table that is computed first, then read in any order, rows twice and not at all */
static void test_gather(void **state) {
    enum { ITEMS = 150, N = 90 };
    float x[ITEMS * 2];
    int32_t index[N];
    uint8_t bytes[ITEMS * 3];
    bench b = begin(REIN_F32, N);
    int items = rein_extent(b.g, "items", ITEMS);
    rein_tensor *raw = rein_input(b.g, "x", REIN_F32, items, 1, (int[]){2});
    rein_tensor *small = rein_input(b.g, "bytes", REIN_U8, items, 1, (int[]){3});
    rein_tensor *at = rein_input(b.g, "index", REIN_I32, b.rows, 1, (int[]){1});
    rein_tensor *table = rein_square(raw),
                *embedding = rein_param(b.g, b.slot, "table", 2, (int[]){ITEMS, 4}, normal);
    rein_tensor *y = rein_output(rein_gather(table, at), "y"), *z = rein_output(rein_gather(raw, at), "z");
    rein_tensor *w = rein_output(rein_to_real(rein_gather(small, at), 0.5), "w");
    rein_tensor *e = rein_output(rein_gather(embedding, at), "e");
    rein_gradient(rein_total(rein_mul(e, rein_sum(y))), b.slot, NULL);
    compile(&b);
    rein_store *store = store_of(&b, 1), *grads = store_of(&b, 2);
    rein_rng rng = rein_rng_make(5, 0);
    for (int i = 0; i < ITEMS * 2; i++)
        x[i] = (float)rein_rng_normal(&rng);
    for (int i = 0; i < ITEMS * 3; i++)
        bytes[i] = (uint8_t)rein_rng_below(&rng, 256);
    for (int i = 0; i < N; i++)
        index[i] = (int32_t)rein_rng_below(&rng, ITEMS);
    rein_exec_bind(b.exec, raw, x, 0);
    rein_exec_bind(b.exec, small, bytes, 0);
    rein_exec_bind(b.exec, at, index, 0);
    rein_exec_bind_store(b.exec, b.slot, store);
    rein_exec_bind_gradient(b.exec, 0, grads);
    rein_exec_run(b.exec);
    double expected[ITEMS] = {0};
    for (int r = 0; r < N; r++) {
        const float *row = x + index[r] * 2;
        for (int k = 0; k < 2; k++) {
            assert_true(((const float *)rein_exec_data(b.exec, y))[r * 2 + k] == row[k] * row[k]);
            assert_true(((const float *)rein_exec_data(b.exec, z))[r * 2 + k] == row[k]);
        }
        for (int k = 0; k < 3; k++)
            assert_true(((const float *)rein_exec_data(b.exec, w))[r * 3 + k] ==
                        0.5f * bytes[index[r] * 3 + k]);
        for (int k = 0; k < 4; k++)
            assert_true(((const float *)rein_exec_data(b.exec, e))[r * 4 + k] ==
                        parameter(store, "table")[index[r] * 4 + k]);
        expected[index[r]] += row[0] * row[0] + row[1] * row[1];
    }
    for (int i = 0; i < ITEMS * 4; i++)
        assert_true(fabs(parameter(grads, "table")[i] - expected[i / 4]) < 1e-4);
    rein_store_free(store);
    rein_store_free(grads);
    end(&b);
}

/* integers are joined and cut like numbers, in graphs of either type */
static void test_integers(void **state) {
    static const rein_dtype reals[] = {REIN_F32, REIN_F64};
    int32_t a[10], c[10];
    for (int i = 0; i < 10; i++) {
        a[i] = i * 3;
        c[i] = -i;
    }
    for (int k = 0; k < 2; k++) {
        bench b = begin(reals[k], 10);
        rein_tensor *x = rein_input(b.g, "x", REIN_I32, b.rows, 1, (int[]){1});
        rein_tensor *y = rein_input(b.g, "y", REIN_I32, b.rows, 1, (int[]){1});
        rein_tensor *joined = rein_output(rein_concat(rein_concat(x, y), x), "joined");
        rein_tensor *cut = rein_output(rein_slice(joined, 1, 2), "cut");
        compile(&b);
        rein_exec_bind(b.exec, x, a, 0);
        rein_exec_bind(b.exec, y, c, 0);
        rein_exec_run(b.exec);
        const int32_t *three = rein_exec_data(b.exec, joined), *two = rein_exec_data(b.exec, cut);
        for (int i = 0; i < 10; i++) {
            assert_true(three[i * 3] == a[i] && three[i * 3 + 1] == c[i] && three[i * 3 + 2] == a[i]);
            assert_true(two[i * 2] == c[i] && two[i * 2 + 1] == a[i]);
        }
        end(&b);
    }
}

/* ---- parameters ---------------------------------------------------------------------------------------- */

/* one layout, two sets of values: the network that learns and the one that follows */
static void test_two_slots_of_one_layout(void **state) {
    enum { N = 12 };
    float x[N * 2];
    for (int i = 0; i < N * 2; i++)
        x[i] = 0.1f * (float)i - 1;
    bench b = begin(REIN_F32, N);
    int target = rein_slot(b.g, b.layout);
    rein_tensor *in = rein_input(b.g, "x", REIN_F32, b.rows, 1, (int[]){2});
    rein_tensor *y =
        rein_output(rein_mlp(in, b.slot, "q", 1, (int[]){9}, REIN_ACT_RELU, normal, 1, normal), "y");
    rein_tensor *t =
        rein_output(rein_mlp(in, target, "q", 1, (int[]){9}, REIN_ACT_RELU, normal, 1, normal), "t");
    rein_tensor *loss = rein_mean(rein_square(rein_sub(y, t)));
    int of_y = rein_gradient(loss, b.slot, NULL), of_t = rein_gradient(loss, target, NULL);
    compile(&b);
    assert_int_equal(rein_layout_count(b.layout), 4);
    rein_store *online = store_of(&b, 1), *follower = store_of(&b, 2), *gy = store_of(&b, 0),
               *gt = store_of(&b, 0);
    rein_exec_bind(b.exec, in, x, 0);
    rein_exec_bind_store(b.exec, b.slot, online);
    rein_exec_bind_store(b.exec, target, follower);
    rein_exec_bind_gradient(b.exec, of_y, gy);
    rein_exec_bind_gradient(b.exec, of_t, gt);
    rein_exec_run(b.exec);
    const float *ya = rein_exec_data(b.exec, y), *ta = rein_exec_data(b.exec, t);
    assert_memory_not_equal(ya, ta, N * sizeof(float));
    assert_true(fabsf(parameter(gy, "q.1.bias")[0] + parameter(gt, "q.1.bias")[0]) < 1e-6f);
    assert_true(parameter(gy, "q.1.bias")[0] != 0);
    /* half way, then all the way */
    float before = parameter(follower, "q.0.weight")[3], goal = parameter(online, "q.0.weight")[3];
    rein_store_blend(follower, online, 0.5);
    assert_true(fabsf(parameter(follower, "q.0.weight")[3] - (before + goal) / 2) < 1e-6f);
    rein_store_copy(follower, online);
    rein_exec_run(b.exec);
    assert_memory_equal(ya, ta, N * sizeof(float));
    /* slots can be bound anew */
    rein_exec_bind_store(b.exec, target, gy);
    rein_exec_run(b.exec);
    assert_memory_not_equal(ya, ta, N * sizeof(float));
    rein_store_free(online);
    rein_store_free(follower);
    rein_store_free(gy);
    rein_store_free(gt);
    end(&b);
}

/* the loss of an actor goes through a critic whose own gradient is that of another loss */
static void test_gradients_of_groups(void **state) {
    enum { N = 20 };
    float x[N * 3], r[N];
    for (int i = 0; i < N * 3; i++)
        x[i] = sinf((float)i);
    for (int i = 0; i < N; i++)
        r[i] = cosf((float)i);
    bench b = begin(REIN_F32, N);
    rein_tensor *obs = rein_input(b.g, "obs", REIN_F32, b.rows, 1, (int[]){3});
    rein_tensor *ret = rein_input(b.g, "ret", REIN_F32, b.rows, 1, (int[]){1});
    rein_tensor *action = rein_mlp(obs, b.slot, "actor", 1, (int[]){8}, REIN_ACT_TANH, normal, 1, normal);
    rein_tensor *q =
        rein_mlp(rein_concat(obs, action), b.slot, "critic", 1, (int[]){8}, REIN_ACT_TANH, normal, 1, normal);
    rein_tensor *stopped = rein_mlp(rein_concat(obs, rein_stop_gradient(action)), b.slot, "critic", 1,
                                    (int[]){8}, REIN_ACT_TANH, normal, 1, normal);
    int actor = rein_gradient(rein_neg(rein_mean(q)), b.slot, "actor");
    int critic = rein_gradient(rein_mean(rein_square(rein_sub(stopped, ret))), b.slot, "critic");
    int both = rein_gradient(rein_neg(rein_mean(q)), b.slot, "critic,actor");
    compile(&b);
    rein_store *params = store_of(&b, 1), *shared = store_of(&b, 9), *ga = store_of(&b, 9),
               *gb = store_of(&b, 9);
    float *untouched = parameter(ga, "critic.0.weight"), was = untouched[0];
    rein_exec_bind(b.exec, obs, x, 0);
    rein_exec_bind(b.exec, ret, r, 0);
    rein_exec_bind_store(b.exec, b.slot, params);
    rein_exec_bind_gradient(b.exec, actor, ga);
    rein_exec_bind_gradient(b.exec, critic, shared);
    rein_exec_bind_gradient(b.exec, both, gb);
    rein_exec_run(b.exec);
    assert_true(untouched[0] == was && was != 0);
    for (int i = 0; i < 24; i++)
        assert_true(parameter(ga, "actor.0.weight")[i] == parameter(gb, "actor.0.weight")[i]);
    assert_true(parameter(gb, "critic.0.weight")[0] != parameter(shared, "critic.0.weight")[0]);
    /* two gradients may fill one store, each its own groups */
    float of_critic = parameter(shared, "critic.1.bias")[0];
    rein_exec_bind_gradient(b.exec, actor, shared);
    rein_exec_run(b.exec);
    assert_true(parameter(shared, "critic.1.bias")[0] == of_critic);
    assert_memory_equal(parameter(shared, "actor.0.weight"), parameter(ga, "actor.0.weight"),
                        24 * sizeof(float));
    rein_store_free(params);
    rein_store_free(shared);
    rein_store_free(ga);
    rein_store_free(gb);
    end(&b);
}

static void test_layouts_and_initial_values(void **state) {
    bench b = begin(REIN_F32, 1);
    rein_tensor *x = rein_input(b.g, "x", REIN_F32, b.rows, 1, (int[]){40});
    rein_init orthogonal = {REIN_INIT_ORTHOGONAL, 2}, constant = {REIN_INIT_CONSTANT, -0.5};
    rein_output(rein_mlp(x, b.slot, "net", 2, (int[]){16, 50}, REIN_ACT_RELU, orthogonal, 3, constant), "y");
    rein_param(b.g, b.slot, "wide", 2, (int[]){50, 60}, (rein_init){REIN_INIT_XAVIER, 1});
    rein_param(b.g, b.slot, "kaiming", 2, (int[]){50, 60}, (rein_init){REIN_INIT_KAIMING, 1});
    compile(&b);
    rein_store *a = store_of(&b, 1), *same = store_of(&b, 1), *other = store_of(&b, 2);
    size_t bytes = (size_t)rein_store_size(a) * sizeof(float);
    assert_memory_equal(rein_store_view(a), rein_store_view(same), bytes);
    assert_memory_not_equal(rein_store_view(a), rein_store_view(other), bytes);
    static const int in[2] = {40, 16}, out[2] = {16, 50};
    for (int k = 0; k < 2; k++) {
        char name[32];
        snprintf(name, sizeof name, "net.%d.weight", k);
        const float *w = parameter(a, name);
        bool tall = in[k] >= out[k]; /* the fewer of rows and columns are orthogonal, of length 2 */
        for (int i = 0; i < (tall ? out[k] : in[k]); i++)
            for (int j = 0; j <= i; j++) {
                double dot = 0;
                for (int n = 0; n < (tall ? in[k] : out[k]); n++)
                    dot +=
                        tall ? w[n * out[k] + i] * w[n * out[k] + j] : w[i * out[k] + n] * w[j * out[k] + n];
                assert_true(fabs(dot - (i == j ? 4 : 0)) < 1e-5);
            }
    }
    double most[2] = {0}, bound[2] = {sqrt(6.0 / 110), sqrt(3.0 / 50)};
    for (int i = 0; i < 3000; i++) {
        most[0] = fmax(most[0], fabsf(parameter(a, "wide")[i]));
        most[1] = fmax(most[1], fabsf(parameter(a, "kaiming")[i]));
    }
    for (int k = 0; k < 2; k++)
        assert_true(most[k] <= bound[k] && most[k] > 0.99 * bound[k]);
    assert_true(parameter(a, "net.2.weight")[7] == -0.5f && parameter(a, "net.0.bias")[3] == 0);
    rein_store_free(a);
    rein_store_free(same);
    rein_store_free(other);
    end(&b);
}

/* ---- random numbers ------------------------------------------------------------------------------------ */

/* row r of a call is the row of number row_base + r, whatever the rows beside it, tiles and threads */
static void test_random_rows(void **state) {
    enum { N = 150, W = 6 };
    static float whole[N * W], part[N * W];
    bench b = begin(REIN_F32, N);
    rein_tensor *like = rein_input(b.g, "like", REIN_F32, b.rows, 1, (int[]){W}), *key = rein_key(b.g, "key");
    rein_tensor *y = rein_output(rein_random_normal(key, like), "y"),
                *u = rein_output(rein_random_uniform(key, like), "u");
    compile(&b);
    rein_exec_bind(b.exec, y, whole, 0);
    rein_exec_key(b.exec, key, 7, 2, 100, 1000);
    rein_exec_run(b.exec);
    for (int i = 0; i < N * W; i++) {
        float v = ((const float *)rein_exec_data(b.exec, u))[i];
        assert_true(v >= 0 && v < 1);
    }
    for (int first = 0; first < N; first += 37) {
        int n = N - first < 37 ? N - first : 37;
        rein_exec_bind(b.exec, y, part, 0);
        rein_exec_key(b.exec, key, 7, 2, 100, 1000 + (uint64_t)first);
        rein_exec_rows(b.exec, b.rows, n);
        rein_exec_run(b.exec);
        assert_memory_equal(part, whole + first * W, (size_t)(n * W) * sizeof(float));
    }
    rein_exec_rows(b.exec, b.rows, N);
    static const uint64_t others[][3] = {{8, 2, 100}, {7, 3, 100}, {7, 2, 101}};
    for (int k = 0; k < 3; k++) {
        int same = 0;
        rein_exec_key(b.exec, key, others[k][0], (uint32_t)others[k][1], others[k][2], 1000);
        rein_exec_run(b.exec);
        for (int i = 0; i < N * W; i++)
            same += part[i] == whole[i];
        assert_true(same < 3);
    }
    end(&b);
}

/* ---- one program, several execs ------------------------------------------------------------------------ */

typedef struct user {
    const model *m;
    values v;
    outcome out;
} user;

static void *run_alone(void *argument) {
    user *u = argument;
    run_with(u->m, &u->v, REIN_F32, 1, 199, &u->out);
    return NULL;
}

static void test_programs_are_shared(void **state) {
    static user users[3];
    static outcome expected;
    pthread_t threads[3];
    model m = model_new(REIN_F32, NULL);
    model_run(&m, REIN_F32, 1, 199, &expected);
    for (int i = 0; i < 3; i++) {
        users[i].m = &m;
        users[i].v = values_new(&m, REIN_F32);
        assert_int_equal(pthread_create(&threads[i], NULL, run_alone, &users[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_memory_equal(&users[i].out, &expected, sizeof expected);
        values_free(&users[i].v);
    }
    model_free(&m);
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_give_the_same_bits),
        cmocka_unit_test(test_tiles_hardly_matter),
        cmocka_unit_test(test_rows_do_not_depend_on_each_other),
        cmocka_unit_test(test_fast_kernels_follow_the_reference),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_programs_are_printed),
        cmocka_unit_test(test_strides),
        cmocka_unit_test(test_binding_again),
        cmocka_unit_test(test_extents_are_apart),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_two_slots_of_one_layout),
        cmocka_unit_test(test_gradients_of_groups),
        cmocka_unit_test(test_layouts_and_initial_values),
        cmocka_unit_test(test_random_rows),
        cmocka_unit_test(test_programs_are_shared),
    };
    return cmocka_run_group_tests_name(level, tests, fill_data, NULL);
}

int main(void) {
    return each_level(all);
}
