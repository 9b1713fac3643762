/*
 * test_gradients.c - every op's derivative against central differences, in double.
 *
 * Each case builds a tensor from a parameter matrix P (in a store), a row input x and an index input; the loss is
 * the mean of the tensor times fixed weights, so that every element matters differently. Checked: reverse mode with
 * respect to P, reverse mode with respect to x, and forward mode along a random direction of P.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <rein/nn.h>
#include <rein/rng.h>
#include <rein/tensor.h>
#include "rl/pg_loss.h"
#include "rl/sde.h"

enum { ROWS = 5, WIDTH = 4 };

typedef struct bench {
    rein_graph *g;
    int slot, rows;
    rein_tensor *x;      /* (rows x WIDTH) input */
    rein_tensor *index;  /* (rows x 1) I32 in [0, WIDTH) */
    rein_tensor *mask;   /* (rows x WIDTH) U8 */
    rein_tensor *action; /* (rows x WIDTH) input in (-1, 1), not differentiated */
} bench;

typedef rein_tensor *build_fn(bench *b);

static rein_tensor *param(bench *b, const char *name, int ndim, int a, int c, int d) {
    int dims[3] = {a, c, d};
    return rein_param(b->g, b->slot, name, ndim, dims, (rein_init){REIN_INIT_NORMAL, 0.7});
}

static rein_tensor *vector(bench *b, const char *name, int n) {
    return param(b, name, 1, n, 0, 0);
}

/* a row tensor that depends on both a parameter and x */
static rein_tensor *mixed(bench *b) {
    return rein_add(rein_mul(b->x, vector(b, "v.a", WIDTH)), vector(b, "v.b", WIDTH));
}

static rein_tensor *other(bench *b) {
    return rein_sub(rein_square(b->x), vector(b, "v.c", WIDTH));
}

/* clang-format off */
#define MAP1(name) static rein_tensor *case_##name(bench *b) { return rein_##name(mixed(b)); }
MAP1(neg) MAP1(exp) MAP1(tanh) MAP1(sigmoid) MAP1(softplus) MAP1(relu) MAP1(silu) MAP1(gelu) MAP1(square) MAP1(abs)
MAP1(log_softmax) MAP1(softmax) MAP1(sum) MAP1(sum_rows) MAP1(total) MAP1(mean)

#define MAP2(name) static rein_tensor *case_##name(bench *b) { return rein_##name(mixed(b), other(b)); }
MAP2(add) MAP2(sub) MAP2(mul) MAP2(min) MAP2(max)
    /* clang-format on */

    static rein_tensor *positive(bench *b) {
    return rein_offset(rein_square(mixed(b)), 0.3);
}

static rein_tensor *case_log(bench *b) {
    return rein_log(positive(b));
}

static rein_tensor *case_sqrt(bench *b) {
    return rein_sqrt(positive(b));
}

static rein_tensor *case_div(bench *b) {
    return rein_div(other(b), positive(b));
}

static rein_tensor *case_repeat_column(bench *b) {
    return rein_mul(rein_sum(mixed(b)), other(b));
}

static rein_tensor *case_repeat_scalar(bench *b) {
    return rein_mul(vector(b, "v.s", 1), other(b));
}

static rein_tensor *case_static_chain(bench *b) {
    rein_tensor *s = rein_exp(rein_scale(vector(b, "v.s", WIDTH), 0.5));
    return rein_add(rein_mul(mixed(b), s), rein_mean(rein_square(s)));
}

static rein_tensor *case_mean_feedback(bench *b) {
    /* a statistic over rows used by rows again: two levels */
    rein_tensor *m = mixed(b);
    return rein_square(rein_sub(m, rein_mean(m)));
}

static rein_tensor *case_clamp(bench *b) {
    return rein_clamp(mixed(b), rein_constant(b->g, -0.4), vector(b, "v.high", 1));
}

static rein_tensor *case_where(bench *b) {
    return rein_where(b->mask, mixed(b), other(b));
}

static rein_tensor *case_affine(bench *b) {
    return rein_offset(rein_scale(mixed(b), -1.7), 0.2);
}

static rein_tensor *case_standardize(bench *b) {
    rein_tensor *mean = rein_stop_gradient(rein_constant(b->g, 0.1));
    return rein_standardize(mixed(b), mean, rein_constant(b->g, 1.3), 1.5);
}

static rein_tensor *dense_case(bench *b, rein_activation act) {
    rein_tensor *h = rein_dense(mixed(b), param(b, "w.0", 2, WIDTH, 3, 0), vector(b, "w.1", 3), act);
    return rein_dense(h, param(b, "w.2", 2, 3, 2, 0), NULL, act);
}

static rein_tensor *case_dense(bench *b) {
    return dense_case(b, REIN_ACT_IDENTITY);
}

static rein_tensor *case_dense_tanh(bench *b) {
    return dense_case(b, REIN_ACT_TANH);
}

static rein_tensor *case_dense_relu(bench *b) {
    return dense_case(b, REIN_ACT_RELU);
}

static rein_tensor *case_dense_sigmoid(bench *b) {
    return dense_case(b, REIN_ACT_SIGMOID);
}

static rein_tensor *case_dense_silu(bench *b) {
    return dense_case(b, REIN_ACT_SILU);
}

static rein_tensor *case_dense_gelu(bench *b) {
    return dense_case(b, REIN_ACT_GELU);
}

static rein_tensor *case_ensemble(bench *b) {
    rein_tensor *h =
        rein_dense(mixed(b), param(b, "e.0", 3, 2, WIDTH, 3), param(b, "e.1", 2, 2, 3, 0), REIN_ACT_TANH);
    return rein_dense(h, param(b, "e.2", 3, 2, 3, 1), param(b, "e.3", 2, 2, 1, 0), REIN_ACT_IDENTITY);
}

/* (4 x 3 x 2) and (6 x 5 x 2) images made of mixed(b) */
static rein_tensor *small_image(bench *b) {
    rein_tensor *x = rein_dense(mixed(b), param(b, "i.0", 2, WIDTH, 24, 0), NULL, REIN_ACT_IDENTITY);
    return rein_reshape(x, 3, (int[]){4, 3, 2});
}

static rein_tensor *conv_case(bench *b, int kernel, int stride, int padding, rein_activation act) {
    rein_tensor *w = param(b, "c.0", 2, kernel * kernel * 2, 3, 0);
    return rein_conv2d(small_image(b), w, vector(b, "c.1", 3), kernel, stride, padding, act);
}

static rein_tensor *case_conv(bench *b) {
    return conv_case(b, 2, 1, 0, REIN_ACT_IDENTITY);
}

static rein_tensor *case_conv_padded(bench *b) {
    return conv_case(b, 3, 1, 1, REIN_ACT_TANH);
}

static rein_tensor *case_conv_strided(bench *b) {
    return conv_case(b, 3, 2, 2, REIN_ACT_SILU);
}

/* two layers without a bias, the second over what the first leaves of a border that does not divide */
static rein_tensor *case_conv_deep(bench *b) {
    rein_tensor *h =
        rein_conv2d(small_image(b), param(b, "c.0", 2, 8, 2, 0), NULL, 2, 1, 0, REIN_ACT_SIGMOID);
    return rein_conv2d(h, param(b, "c.2", 2, 8, 2, 0), vector(b, "c.3", 2), 2, 2, 0, REIN_ACT_RELU);
}

static rein_tensor *case_max_pool(bench *b) {
    return rein_max_pool2d(small_image(b), 3, 2, 1);
}

static rein_tensor *case_max_pool_conv(bench *b) {
    rein_tensor *pool = rein_max_pool2d(small_image(b), 2, 1, 0);
    return rein_conv2d(pool, param(b, "c.0", 2, 8, 2, 0), NULL, 2, 1, 1, REIN_ACT_TANH);
}

/* a gradient of a gradient: through CONV_DX for the window's numbers and the weights, and the pool's */
static rein_tensor *case_conv_twice(bench *b) {
    rein_tensor *x = small_image(b);
    rein_tensor *w = param(b, "c.0", 2, 18, 2, 0);
    rein_tensor *y = rein_max_pool2d(rein_conv2d(x, w, NULL, 3, 1, 1, REIN_ACT_IDENTITY), 3, 2, 1);
    rein_tensor *slope = rein_gradient_of(rein_total(rein_square(y)), x);
    return rein_square(rein_scale(rein_sum(slope), 0.02));
}

static rein_tensor *case_entropy(bench *b) {
    return rein_entropy(rein_log_softmax(mixed(b)));
}

static rein_tensor *case_relative_entropy(bench *b) {
    return rein_relative_entropy(rein_log_softmax(mixed(b)), rein_log_softmax(other(b)));
}

static rein_tensor *case_pick(bench *b) {
    return rein_pick(rein_log_softmax(mixed(b)), b->index);
}

static rein_tensor *case_concat_slice(bench *b) {
    return rein_slice(rein_concat(mixed(b), other(b)), 2, 5);
}

static rein_tensor *case_gather(bench *b) {
    return rein_mul(rein_gather(param(b, "g.table", 2, WIDTH, 3, 0), b->index), rein_slice(b->x, 0, 3));
}

static rein_tensor *case_reshape(bench *b) {
    return rein_sum(rein_square(rein_reshape(mixed(b), 2, (int[]){2, 2})));
}

static rein_dist masked(bench *b) {
    return rein_dist_categorical(mixed(b), b->mask, 1, (int32_t[]){WIDTH});
}

static rein_dist multi(bench *b) {
    return rein_dist_categorical(mixed(b), NULL, 2, (int32_t[]){3, 1});
}

static rein_tensor *case_masked_entropy(bench *b) {
    rein_dist dist = masked(b);
    return rein_dist_entropy(&dist);
}

static rein_tensor *case_masked_kl(bench *b) {
    rein_dist p = masked(b), q = rein_dist_categorical(other(b), b->mask, 1, (int32_t[]){WIDTH});
    return rein_dist_kl(&p, &q);
}

static rein_tensor *case_multi(bench *b) {
    rein_dist dist = multi(b);
    rein_tensor *zero = rein_argmax(rein_slice(b->x, 0, 1));
    return rein_add(rein_dist_logp(&dist, rein_concat(zero, zero)), rein_dist_entropy(&dist));
}

static rein_tensor *case_gaussian(bench *b) {
    rein_dist p = rein_dist_gaussian(mixed(b), rein_scale(vector(b, "v.std", WIDTH), 0.3));
    rein_dist q = rein_dist_gaussian(other(b), rein_tanh(other(b)));
    rein_tensor *logp = rein_dist_logp(&p, b->action);
    return rein_add(rein_add(logp, rein_dist_entropy(&p)), rein_dist_kl(&p, &q));
}

static rein_tensor *case_squashed(bench *b) {
    rein_dist p = rein_dist_squashed(mixed(b), rein_scale(vector(b, "v.std", WIDTH), 0.3));
    return rein_dist_logp(&p, b->action);
}

static rein_tensor *case_draw(bench *b) {
    rein_dist p = rein_dist_squashed(mixed(b), rein_scale(rein_tanh(other(b)), 0.3));
    rein_tensor *logp, *action = rein_dist_draw(&p, rein_key(b->g, "key"), &logp);
    return rein_add(logp, rein_sum(rein_square(action)));
}

/* state-dependent deviations; some weights' logarithms are above 0, where expln bends */
static rein_tensor *sde(bench *b, bool expln) {
    rein_tensor *log_std = reini_sde_log_std(mixed(b), param(b, "w.sde", 2, WIDTH, WIDTH, 0), expln);
    rein_dist p = rein_dist_squashed(other(b), log_std);
    rein_tensor *logp, *action = rein_dist_draw(&p, rein_key(b->g, "key"), &logp);
    return rein_add(logp, rein_sum(rein_square(action)));
}

static rein_tensor *case_sde(bench *b) {
    return sde(b, false);
}

static rein_tensor *case_sde_expln(bench *b) {
    return sde(b, true);
}

/* z theta with three actions */
static rein_tensor *case_sde_noise(bench *b) {
    rein_tensor *theta = rein_concat(mixed(b), rein_concat(other(b), rein_square(b->x)));
    return reini_sde_noise(rein_tanh(mixed(b)), theta, 3);
}

/* PPO's loss: clipped surrogate, clipped value loss, entropy price */
static rein_tensor *case_ppo(bench *b) {
    rein_dist dist = rein_dist_categorical(mixed(b), NULL, 1, (int32_t[]){WIDTH});
    rein_tensor *adv = rein_slice(b->action, 0, 1);
    rein_tensor *logp_old = rein_offset(rein_scale(rein_slice(b->action, 1, 1), 0.5), -1.4);
    rein_tensor *low = rein_constant(b->g, 0.8), *high = rein_constant(b->g, 1.2);
    reini_pg pg = reini_pg_clip(rein_dist_logp(&dist, b->index), logp_old, adv, low, high);
    rein_tensor *value =
        rein_dense(mixed(b), param(b, "w.v", 2, WIDTH, 1, 0), vector(b, "w.b", 1), REIN_ACT_IDENTITY);
    rein_tensor *old = rein_slice(b->action, 2, 1), *limit = rein_constant(b->g, 0.5);
    rein_tensor *clipped = rein_add(old, rein_clamp(rein_sub(value, old), rein_neg(limit), limit));
    rein_tensor *value_loss = rein_square(rein_sub(rein_slice(b->action, 3, 1), clipped));
    rein_tensor *loss = rein_add(rein_neg(pg.gain), rein_scale(value_loss, 0.5));
    return rein_sub(loss, rein_scale(rein_dist_entropy(&dist), 0.01));
}

static rein_tensor *case_stop(bench *b) {
    return rein_mul(mixed(b), rein_stop_gradient(b->x));
}

/* ---- the check ------------------------------------------------------------------------------------------ */

typedef struct problem {
    rein_layout *layout;
    rein_graph *g;
    bench b;
    rein_tensor *loss, *tangent, *dx;
    rein_program *program;
    rein_exec *exec;
    rein_store *params, *grads, *direction;
    double x[ROWS * WIDTH], action[ROWS * WIDTH];
    int32_t index[ROWS];
    uint8_t mask[ROWS * WIDTH];
} problem;

static void fill_inputs(problem *p) {
    rein_rng rng = rein_rng_make(11, 3);
    for (int i = 0; i < ROWS * WIDTH; i++) {
        p->x[i] = rein_rng_normal(&rng);
        p->action[i] = 1.8 * rein_rng_uniform64(&rng) - 0.9;
        p->mask[i] = (uint8_t)(i % WIDTH == 1 || rein_rng_below(&rng, 2));
    }
    for (int i = 0; i < ROWS; i++)
        p->index[i] = (int32_t)rein_rng_below(&rng, WIDTH);
}

static rein_tensor *weighted(bench *b, rein_tensor *y) {
    /* fixed uneven weights: sin of the column, and of the row through x */
    rein_tensor *w = rein_constant(b->g, 0);
    int width = (int)rein_tensor_width(y);
    for (int i = 0; i < width; i++) {
        rein_tensor *column = rein_scale(rein_sum(rein_slice(y, i, 1)), sin(i + 1.0));
        w = rein_add(w, rein_mean(rein_add(column, rein_scale(rein_square(column), 0.3))));
    }
    return w;
}

static void setup(problem *p, build_fn *build) {
    memset(p, 0, sizeof *p);
    p->layout = rein_layout_new();
    p->g = rein_graph_new(REIN_F64);
    p->b.g = p->g;
    p->b.slot = rein_slot(p->g, p->layout);
    int direction = rein_slot(p->g, p->layout);
    p->b.rows = rein_extent(p->g, "rows", ROWS);
    p->b.x = rein_input(p->g, "x", REIN_F64, p->b.rows, 1, (int[]){WIDTH});
    p->b.index = rein_input(p->g, "index", REIN_I32, p->b.rows, 1, (int[]){1});
    p->b.mask = rein_input(p->g, "mask", REIN_U8, p->b.rows, 1, (int[]){WIDTH});
    p->b.action = rein_input(p->g, "action", REIN_F64, p->b.rows, 1, (int[]){WIDTH});
    p->loss = rein_output(weighted(&p->b, build(&p->b)), "loss");
    rein_gradient(p->loss, p->b.slot, NULL);
    p->dx = rein_output(rein_gradient_of(p->loss, p->b.x), "dx");
    p->tangent = rein_output(rein_tangent(p->loss, p->b.slot, direction), "tangent");
    rein_status status = rein_compile(p->g, &(rein_compile_opts){.tile = 2}, &p->program);
    if (status != REIN_OK)
        print_message("%s\n", rein_error());
    assert_int_equal(status, REIN_OK);
    assert_int_equal(rein_exec_new(p->program, NULL, &p->exec), REIN_OK);
    rein_store_new(p->layout, REIN_F64, &p->params);
    rein_store_new(p->layout, REIN_F64, &p->grads);
    rein_store_new(p->layout, REIN_F64, &p->direction);
    rein_store_init(p->params, 5);
    rein_store_init(p->direction, 6);
    fill_inputs(p);
    rein_exec_bind_store(p->exec, p->b.slot, p->params);
    rein_exec_bind_store(p->exec, direction, p->direction);
    rein_exec_bind_gradient(p->exec, 0, p->grads);
    rein_exec_bind(p->exec, p->b.x, p->x, 0);
    rein_exec_bind(p->exec, p->b.index, p->index, 0);
    rein_exec_bind(p->exec, p->b.mask, p->mask, 0);
    rein_exec_bind(p->exec, p->b.action, p->action, 0);
}

static void teardown(problem *p) {
    rein_store_free(p->params);
    rein_store_free(p->grads);
    rein_store_free(p->direction);
    rein_exec_free(p->exec);
    rein_program_free(p->program);
    rein_graph_free(p->g);
    rein_layout_free(p->layout);
}

static double loss_now(problem *p) {
    rein_exec_run(p->exec);
    return rein_exec_scalar(p->exec, p->loss);
}

static double difference(problem *p, double *at) {
    double step = 1e-5, keep = *at;
    *at = keep + step;
    double up = loss_now(p);
    *at = keep - step;
    double down = loss_now(p);
    *at = keep;
    return (up - down) / (2 * step);
}

static void check_close(const char *what, int i, double found, double wanted) {
    double scale = fabs(wanted) > 1 ? fabs(wanted) : 1;
    if (!(fabs(found - wanted) <= 2e-8 * scale)) {
        print_message("%s[%d]: found %.12g, central difference %.12g\n", what, i, found, wanted);
        fail();
    }
}

static void check(build_fn *build) {
    problem p;
    setup(&p, build);
    loss_now(&p);
    int64_t n = rein_store_size(p.params);
    double *grads = (double *)rein_store_data(p.grads), *params = (double *)rein_store_data(p.params);
    double kept[512], dx[ROWS * WIDTH];
    assert_true(n <= 512);
    memcpy(kept, grads, (size_t)n * sizeof(double));
    memcpy(dx, rein_exec_data(p.exec, p.dx), sizeof dx);
    double tangent = rein_exec_scalar(p.exec, p.tangent), along = 0;
    for (int k = 0; k < rein_layout_count(p.layout); k++) {
        rein_param_info info = rein_layout_at(p.layout, k);
        for (int64_t i = info.offset; i < info.offset + info.count; i++) {
            double slope = difference(&p, &params[i]);
            check_close(info.name, (int)(i - info.offset), kept[i], slope);
            along += slope * ((double *)rein_store_data(p.direction))[i];
        }
    }
    check_close("tangent", 0, tangent, along);
    for (int i = 0; i < ROWS * WIDTH; i++)
        check_close("x", i, dx[i], difference(&p, &p.x[i]));
    teardown(&p);
}

static void run_case(void **state) {
    union {
        void *data;
        build_fn *fn;
    } pun = {.data = *state};
    check(pun.fn);
}

/* stop_gradient: the analytic derivative is not the difference; checked by hand */
static void test_stop_gradient(void **state) {
    problem p;
    setup(&p, case_stop);
    loss_now(&p);
    const double *dx = rein_exec_data(p.exec, p.dx);
    double whole = 0;
    for (int i = 0; i < ROWS * WIDTH; i++)
        whole += fabs(dx[i]);
    assert_true(whole > 0);
    /* y = (a x + b) sg(x): dy/dx = a x, not 2 a x + b */
    const double *params = rein_store_view(p.params);
    double a = params[rein_layout_at(p.layout, rein_layout_find(p.layout, "v.a")).offset];
    double c = params[rein_layout_at(p.layout, rein_layout_find(p.layout, "v.b")).offset];
    double x = p.x[0], y = (a * x + c) * x;
    double expected = (1 + 0.6 * sin(1.0) * y) * sin(1.0) * a * x / ROWS;
    assert_true(fabs(dx[0] - expected) < 1e-12);
    teardown(&p);
}

#define CASE(name)                                                                                           \
    { #name, run_case, NULL, NULL, (void *)(uintptr_t)case_##name }

int main(void) {
    /* clang-format off */
    const struct CMUnitTest tests[] = {
        CASE(neg), CASE(exp), CASE(log), CASE(tanh), CASE(sigmoid), CASE(softplus), CASE(relu), CASE(silu), CASE(gelu),
        CASE(square), CASE(sqrt), CASE(abs), CASE(add), CASE(sub), CASE(mul), CASE(div), CASE(min), CASE(max),
        CASE(clamp), CASE(where), CASE(affine), CASE(standardize), CASE(sum), CASE(total), CASE(mean), CASE(sum_rows),
        CASE(repeat_column), CASE(repeat_scalar), CASE(static_chain), CASE(mean_feedback), CASE(dense),
        CASE(dense_tanh), CASE(dense_relu), CASE(dense_sigmoid), CASE(dense_silu), CASE(dense_gelu), CASE(ensemble),
        CASE(log_softmax), CASE(softmax), CASE(entropy), CASE(relative_entropy), CASE(pick), CASE(concat_slice),
        CASE(gather), CASE(reshape), CASE(masked_entropy), CASE(masked_kl), CASE(multi), CASE(gaussian),
        CASE(squashed), CASE(draw), CASE(sde), CASE(sde_expln), CASE(sde_noise), CASE(ppo), CASE(conv), CASE(conv_padded), CASE(conv_strided), CASE(conv_deep),
        CASE(max_pool), CASE(max_pool_conv), CASE(conv_twice), cmocka_unit_test(test_stop_gradient),
    };
    /* clang-format on */
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
