/*
 * test_gru.c - the recurrent unit against itself written out in elementary ops, step by step, in double and in float at
 * every instruction-set level; and its gradient against central differences.
 *
 * Sequences of LENGTH steps with episodes that begin inside them. The loss weighs every state of every step differently.
 */
#include <math.h>
#include <rein/nn.h>
#include <rein/rng.h>
#include "support/check.h"
#include "support/each_level.h"

enum { SEQUENCES = 70, LENGTH = 7, INPUTS = 3, MOST_STEPS = SEQUENCES * LENGTH, WIDTH_MAX = 33 };

static const rein_init normal = {REIN_INIT_NORMAL, 0.5};

/* both forms on one set of parameters and data */
typedef struct pair {
    rein_graph *g;
    rein_layout *layout;
    int slot, steps, sequences, width;
    rein_tensor *x, *start, *h, *weights; /* inputs */
    rein_tensor *state[2], *loss[2];      /* 0: the op, 1: written out */
    int gradient[2];
    rein_program *program;
    rein_exec *exec;
    rein_store *store, *grads[2];
} pair;

/* ---- the unit in elementary ops ------------------------------------------------------------------------ */

static rein_tensor *gate(rein_tensor *x, rein_tensor *c, int which, int width) {
    return rein_add(rein_slice(x, which * width, width), rein_slice(c, which * width, width));
}

static rein_tensor *cell(rein_tensor *x, rein_tensor *h, rein_tensor *weight, rein_tensor *bias, int width) {
    rein_tensor *c = rein_dense(h, weight, bias, REIN_ACT_IDENTITY);
    rein_tensor *r = rein_sigmoid(gate(x, c, 0, width)), *z = rein_sigmoid(gate(x, c, 1, width));
    rein_tensor *n =
        rein_tanh(rein_add(rein_slice(x, 2 * width, width), rein_mul(r, rein_slice(c, 2 * width, width))));
    return rein_add(rein_mul(rein_offset(rein_neg(z), 1), n), rein_mul(z, h));
}

/* states (sequences x LENGTH width): inputs are cut out of a row that holds a whole sequence */
static rein_tensor *written_out(pair *p, rein_tensor *x, rein_tensor *start) {
    int w = p->width;
    rein_tensor *in = rein_param(p->g, p->slot, "net.gru.input.weight", 2, (int[]){INPUTS, 3 * w}, normal);
    rein_tensor *in_bias = rein_param(p->g, p->slot, "net.gru.input.bias", 1, (int[]){3 * w}, normal);
    rein_tensor *by = rein_param(p->g, p->slot, "net.gru.state.weight", 2, (int[]){w, 3 * w}, normal);
    rein_tensor *by_bias = rein_param(p->g, p->slot, "net.gru.state.bias", 1, (int[]){3 * w}, normal);
    rein_tensor *h = p->h, *all = NULL;
    for (int k = 0; k < LENGTH; k++) {
        rein_tensor *gates = rein_dense(rein_slice(x, k * INPUTS, INPUTS), in, in_bias, REIN_ACT_IDENTITY);
        h = rein_where(rein_slice(start, k, 1), rein_constant(p->g, 0), h);
        h = cell(gates, h, by, by_bias, w);
        all = all != NULL ? rein_concat(all, h) : h;
    }
    return all;
}

/* ---- both ---------------------------------------------------------------------------------------------- */

static double data_x[MOST_STEPS * INPUTS], data_start[MOST_STEPS], data_h[SEQUENCES * WIDTH_MAX];
static double data_weights[MOST_STEPS * WIDTH_MAX];
static float float_x[MOST_STEPS * INPUTS], float_start[MOST_STEPS], float_h[SEQUENCES * WIDTH_MAX];
static float float_weights[MOST_STEPS * WIDTH_MAX];

static void draw(double *to, float *also, int n, uint64_t seed, bool flags) {
    rein_rng rng = rein_rng_make(seed, 0);
    for (int i = 0; i < n; i++) {
        to[i] = flags ? (double)(rein_rng_uniform(&rng) < 0.25) : (double)(float)rein_rng_normal(&rng);
        also[i] = (float)to[i];
    }
}

static void draw_all(int width) {
    draw(data_x, float_x, MOST_STEPS * INPUTS, 1, false);
    draw(data_start, float_start, MOST_STEPS, 2, true);
    draw(data_h, float_h, SEQUENCES * width, 3, false);
    draw(data_weights, float_weights, MOST_STEPS * width, 4, false);
}

static void build(pair *p, rein_dtype real, int width, const rein_compile_opts *opts, rein_pool *pool) {
    *p = (pair){.g = rein_graph_new(real), .layout = rein_layout_new(), .width = width};
    p->slot = rein_slot(p->g, p->layout);
    p->steps = rein_extent(p->g, "steps", MOST_STEPS);
    p->sequences = rein_extent(p->g, "sequences", SEQUENCES);
    p->x = rein_input(p->g, "x", REIN_F32, p->steps, 1, (int[]){INPUTS});
    p->start = rein_input(p->g, "start", REIN_F32, p->steps, 1, (int[]){1});
    p->h = rein_input(p->g, "h", REIN_F32, p->sequences, 1, &width);
    p->weights = rein_input(p->g, "weights", REIN_F32, p->steps, 1, &width);
    rein_tensor *row_x = rein_input(p->g, "row_x", REIN_F32, p->sequences, 1, (int[]){LENGTH * INPUTS});
    rein_tensor *row_start = rein_input(p->g, "row_start", REIN_F32, p->sequences, 1, (int[]){LENGTH});
    rein_tensor *row_weights =
        rein_input(p->g, "row_weights", REIN_F32, p->sequences, 1, (int[]){LENGTH * width});
    p->state[1] = rein_output(written_out(p, row_x, row_start), "written");
    p->state[0] =
        rein_output(rein_gru(p->x, p->slot, "net", p->start, p->h, LENGTH, normal, normal), "state");
    p->loss[0] = rein_output(rein_total(rein_mul(p->state[0], p->weights)), "loss");
    p->loss[1] = rein_output(rein_total(rein_mul(p->state[1], row_weights)), "written_loss");
    for (int i = 0; i < 2; i++)
        p->gradient[i] = rein_gradient(p->loss[i], p->slot, NULL);
    assert_ok(rein_compile(p->g, opts, &p->program));
    assert_ok(rein_exec_new(p->program, pool, &p->exec));
    assert_ok(rein_store_new(p->layout, real, &p->store));
    rein_store_init(p->store, 9);
    rein_exec_bind_store(p->exec, p->slot, p->store);
    for (int i = 0; i < 2; i++) {
        assert_ok(rein_store_new(p->layout, real, &p->grads[i]));
        rein_exec_bind_gradient(p->exec, p->gradient[i], p->grads[i]);
    }
    bool wide = real == REIN_F64;
    rein_tensor *const inputs[] = {p->x, row_x, p->start, row_start, p->weights, row_weights};
    const void *const data[] = {wide ? (void *)data_x : float_x, wide ? (void *)data_start : float_start,
                                wide ? (void *)data_weights : float_weights};
    for (int i = 0; i < 6; i++)
        rein_exec_bind(p->exec, inputs[i], data[i / 2], 0);
    rein_exec_bind(p->exec, p->h, wide ? (void *)data_h : float_h, 0);
}

static void run(pair *p, int sequences) {
    rein_exec_rows(p->exec, p->sequences, sequences);
    rein_exec_rows(p->exec, p->steps, (int64_t)sequences * LENGTH);
    rein_exec_run(p->exec);
}

static void release(pair *p) {
    for (int i = 0; i < 2; i++)
        rein_store_free(p->grads[i]);
    rein_store_free(p->store);
    rein_exec_free(p->exec);
    rein_program_free(p->program);
    rein_graph_free(p->g);
    rein_layout_free(p->layout);
}

static double number(const void *at, int64_t i, rein_dtype real) {
    return real == REIN_F64 ? ((const double *)at)[i] : (double)((const float *)at)[i];
}

/* largest difference of two arrays, relative to the largest number */
static double apart(const void *a, const void *b, int64_t n, rein_dtype real) {
    double error = 0, most = 0;
    for (int64_t i = 0; i < n; i++) {
        error = fmax(error, fabs(number(a, i, real) - number(b, i, real)));
        most = fmax(most, fabs(number(b, i, real)));
    }
    assert_true(most > 0.1);
    return error / most;
}

static void check_both(rein_dtype real, int width, int sequences, bool reference, double tolerance) {
    rein_compile_opts opts = {.reference = reference};
    pair p;
    draw_all(width);
    build(&p, real, width, &opts, NULL);
    run(&p, sequences);
    int64_t numbers = (int64_t)sequences * LENGTH * width, all = rein_store_size(p.store);
    double states =
        apart(rein_exec_data(p.exec, p.state[0]), rein_exec_data(p.exec, p.state[1]), numbers, real);
    double grads = apart(rein_store_view(p.grads[0]), rein_store_view(p.grads[1]), all, real);
    if (!(states <= tolerance && grads <= 4 * tolerance))
        fail_msg("width %d, %d sequences: states differ by %.2g, gradients by %.2g", width, sequences, states,
                 grads);
    release(&p);
}

static void test_written_out_double(void **state) {
    check_both(REIN_F64, 5, 3, false, 1e-13);
    check_both(REIN_F64, 1, SEQUENCES, false, 1e-13);
}

static void test_written_out_float(void **state) {
    for (int width = 1; width <= WIDTH_MAX; width += width < 4 ? 1 : 13)
        for (int sequences = 1; sequences <= SEQUENCES; sequences += 23)
            check_both(REIN_F32, width, sequences, false, 2e-6);
    check_both(REIN_F32, 18, SEQUENCES, true, 2e-6);
}

/* ---- derivatives --------------------------------------------------------------------------------------- */

static void test_central_differences(void **state) {
    pair p;
    draw_all(4);
    build(&p, REIN_F64, 4, NULL, NULL);
    run(&p, 3);
    const double *grads = rein_store_view(p.grads[0]), step = 1e-5;
    double *at = rein_store_data(p.store);
    for (int k = 0; k < rein_layout_count(p.layout); k++) {
        rein_param_info info = rein_layout_at(p.layout, k);
        for (int64_t i = info.offset; i < info.offset + info.count; i++) {
            double value = at[i], found = grads[i], loss[2];
            for (int side = 0; side < 2; side++) {
                at[i] = value + (side ? step : -step);
                run(&p, 3);
                loss[side] = rein_exec_scalar(p.exec, p.loss[0]);
            }
            at[i] = value;
            run(&p, 3);
            double wanted = (loss[1] - loss[0]) / (2 * step);
            if (!(fabs(found - wanted) <= 1e-7 * fmax(1, fabs(wanted))))
                fail_msg("%s[%d]: %.10g, central difference %.10g", info.name, (int)(i - info.offset), found,
                         wanted);
        }
    }
    release(&p);
}

/* ---- rows are independent ------------------------------------------------------------------------------ */

/* A sequence's bits depend neither on tiles, nor on threads, nor on the sequences beside it; and they are those of a
 * unit that takes one step at a time. */
static void test_bits(void **state) {
    enum { WIDTH = 20 };
    static float one_by_one[MOST_STEPS * WIDTH];
    pair p, other;
    rein_pool *pool = rein_pool_new(3);
    draw_all(WIDTH);
    build(&p, REIN_F32, WIDTH, NULL, NULL);
    build(&other, REIN_F32, WIDTH, &(rein_compile_opts){.tile = 8}, pool);
    run(&p, SEQUENCES);
    run(&other, 5);
    const float *many = rein_exec_data(p.exec, p.state[0]);
    assert_memory_equal(many, rein_exec_data(other.exec, other.state[0]), sizeof(float) * 5 * LENGTH * WIDTH);

    rein_graph *g = rein_graph_new(REIN_F32);
    rein_program *program;
    rein_exec *exec;
    int slot = rein_slot(g, p.layout), rows = rein_extent(g, "rows", 128);
    rein_tensor *x = rein_input(g, "x", REIN_F32, rows, 1, (int[]){INPUTS});
    rein_tensor *h = rein_input(g, "h", REIN_F32, rows, 1, (int[]){WIDTH});
    rein_tensor *next = rein_output(rein_gru(x, slot, "net", NULL, h, 1, normal, normal), "next");
    assert_ok(rein_compile(g, NULL, &program));
    assert_ok(rein_exec_new(program, NULL, &exec));
    rein_exec_bind_store(exec, slot, p.store);
    rein_exec_rows(exec, rows, 1);
    for (int s = 0; s < SEQUENCES; s++) {
        float now[WIDTH];
        memcpy(now, float_h + s * WIDTH, sizeof now);
        for (int k = s * LENGTH; k < (s + 1) * LENGTH; k++) {
            for (int j = 0; j < WIDTH && float_start[k] != 0; j++)
                now[j] = 0;
            rein_exec_bind(exec, x, float_x + k * INPUTS, 0);
            rein_exec_bind(exec, h, now, 0);
            rein_exec_bind(exec, next, one_by_one + k * WIDTH, 0);
            rein_exec_run(exec);
            memcpy(now, one_by_one + k * WIDTH, sizeof now);
        }
    }
    assert_memory_equal(many, one_by_one, sizeof one_by_one);
    rein_exec_free(exec);
    rein_program_free(program);
    rein_graph_free(g);
    release(&p);
    release(&other);
    rein_pool_free(pool);
}

static void test_threads(void **state) {
    pair p, other;
    rein_pool *pool = rein_pool_new(3);
    draw_all(20);
    build(&p, REIN_F32, 20, &(rein_compile_opts){.tile = 8}, NULL);
    build(&other, REIN_F32, 20, &(rein_compile_opts){.tile = 8}, pool);
    run(&p, SEQUENCES);
    run(&other, SEQUENCES);
    assert_memory_equal(rein_store_view(p.grads[0]), rein_store_view(other.grads[0]),
                        (size_t)rein_store_size(p.store) * sizeof(float));
    release(&p);
    release(&other);
    rein_pool_free(pool);
}

/* ---- mistakes ------------------------------------------------------------------------------------------ */

static void test_mistakes(void **state) {
    for (int which = 0; which < 4; which++) {
        rein_graph *g = rein_graph_new(REIN_F32);
        rein_layout *layout = rein_layout_new();
        rein_program *program = NULL;
        int slot = rein_slot(g, layout), steps = rein_extent(g, "steps", 8), rows = rein_extent(g, "rows", 8);
        rein_tensor *gates = rein_input(g, "gates", REIN_F32, steps, 1, (int[]){which == 0 ? 5 : 6});
        rein_tensor *h = rein_input(g, "h", REIN_F32, which == 1 ? steps : rows, 1, (int[]){2});
        rein_tensor *start = rein_input(g, "start", which == 2 ? REIN_U8 : REIN_F32, steps, 1, (int[]){1});
        rein_tensor *weight = rein_param(g, slot, "w", 2, (int[]){2, 6}, normal);
        rein_tensor *bias = rein_param(g, slot, "b", 1, (int[]){which == 3 ? 2 : 6}, normal);
        rein_output(rein_gru_steps(gates, start, h, 4, weight, bias), "y");
        assert_int_equal(rein_compile(g, NULL, &program), REIN_USAGE);
        assert_non_null(strstr(rein_error(), "gru"));
        rein_graph_free(g);
        rein_layout_free(layout);
    }
}

static int all(const char *level) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_out_double),
        cmocka_unit_test(test_written_out_float),
        cmocka_unit_test(test_central_differences),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests_name(level, tests, NULL, NULL);
}

int main(void) {
    return each_level(all);
}
