/*
 * test_natural.c - Fisher-vector products against finite differences of the KL's gradient, in double; conjugate
 * gradients against systems whose solution is known; the line search against made-up curves.
 */
#include "rl/natural.h"
#include <math.h>
#include <rein/rng.h>
#include "support/check.h"

enum { ROWS = 13, IN = 4, HIDDEN = 6, MOST = 256 };

/* ---- a small policy in double -------------------------------------------------------------------------- */

typedef struct kind {
    int outputs, parts;
    int32_t n[2];
    bool gaussian, masked;
} kind;

static const kind kinds[] = {
    {.outputs = 3, .parts = 1, .n = {3}},
    {.outputs = 3, .parts = 1, .n = {3}, .masked = true},
    {.outputs = 5, .parts = 2, .n = {3, 2}},
    {.outputs = 2, .gaussian = true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Two graphs of one network: the Fisher form, and the KL from a fixed distribution. */
typedef struct fixture {
    rein_dtype real;
    rein_layout *layout;
    rein_store *params, *direction, *result;
    rein_graph *fisher_graph, *kl_graph;
    rein_program *fisher_program, *kl_program;
    rein_exec *fisher, *kl;
    rein_tensor *old_output; /* input of the KL's graph */
    rein_tensor *old_log_std;
    double obs[ROWS * IN], old[ROWS * 5], old_std[2];
    float obs32[ROWS * IN];
    uint8_t mask[ROWS * 3];
} fixture;

static rein_dist distribution(const kind *k, rein_graph *g, int slot, rein_tensor *output,
                              rein_tensor *mask) {
    if (!k->gaussian)
        return rein_dist_categorical(output, mask, k->parts, k->n);
    rein_init init = {REIN_INIT_CONSTANT, -0.4};
    return rein_dist_gaussian(output, rein_param(g, slot, "log_std", 1, &k->outputs, init));
}

static rein_tensor *network(const kind *k, rein_graph *g, int slot, rein_tensor *obs) {
    rein_init init = {REIN_INIT_XAVIER, 1.5};
    return rein_mlp(obs, slot, "actor", 1, (int[]){HIDDEN}, REIN_ACT_TANH, init, k->outputs, init);
}

static void make_fisher(fixture *f, const kind *k) {
    rein_graph *g = f->fisher_graph = rein_graph_new(f->real);
    int rows = rein_extent(g, "rows", ROWS), slot = rein_slot(g, f->layout), v = rein_slot(g, f->layout);
    rein_tensor *obs = rein_input(g, "obs", REIN_F32, rows, 1, (int[]){IN});
    rein_tensor *mask = k->masked ? rein_input(g, "mask", REIN_U8, rows, 1, (int[]){3}) : NULL;
    rein_tensor *output = network(k, g, slot, obs);
    rein_dist dist = distribution(k, g, slot, output, mask);
    int gradient = rein_gradient(rein_output(reini_fisher_form(&dist, output, slot, v), "form"), slot, NULL);
    assert_ok(rein_compile(g, NULL, &f->fisher_program));
    assert_ok(rein_exec_new(f->fisher_program, NULL, &f->fisher));
    assert_ok(rein_store_new(f->layout, f->real, &f->params));
    assert_ok(rein_store_new(f->layout, f->real, &f->direction));
    assert_ok(rein_store_new(f->layout, f->real, &f->result));
    rein_exec_bind_store(f->fisher, slot, f->params);
    rein_exec_bind_store(f->fisher, v, f->direction);
    rein_exec_bind_gradient(f->fisher, gradient, f->result);
    rein_exec_bind(f->fisher, obs, f->real == REIN_F64 ? (const void *)f->obs : f->obs32, 0);
    if (mask != NULL)
        rein_exec_bind(f->fisher, mask, f->mask, 0);
}

/* also computes the output, to be kept as that of the old policy */
static void make_kl(fixture *f, const kind *k, rein_tensor **output) {
    rein_graph *g = f->kl_graph = rein_graph_new(f->real);
    int rows = rein_extent(g, "rows", ROWS), slot = rein_slot(g, f->layout);
    rein_tensor *obs = rein_input(g, "obs", REIN_F32, rows, 1, (int[]){IN});
    rein_tensor *mask = k->masked ? rein_input(g, "mask", REIN_U8, rows, 1, (int[]){3}) : NULL;
    rein_tensor *before = rein_input(g, "old", REIN_F32, rows, 1, &k->outputs);
    *output = rein_output(network(k, g, slot, obs), "output");
    rein_dist now = distribution(k, g, slot, *output, mask), old;
    if (k->gaussian) {
        f->old_log_std = rein_input(g, "old_log_std", REIN_F32, REIN_STATIC, 1, &k->outputs);
        old = rein_dist_gaussian(before, f->old_log_std);
    } else {
        old = rein_dist_categorical(before, mask, k->parts, k->n);
    }
    rein_tensor *kl = rein_output(rein_mean(rein_dist_kl(&old, &now)), "kl");
    int gradient = rein_gradient(kl, slot, NULL);
    assert_ok(rein_compile(g, NULL, &f->kl_program));
    assert_ok(rein_exec_new(f->kl_program, NULL, &f->kl));
    rein_exec_bind_store(f->kl, slot, f->params);
    rein_exec_bind_gradient(f->kl, gradient, f->result);
    rein_exec_bind(f->kl, obs, f->obs, 0);
    rein_exec_bind(f->kl, before, f->old, 0);
    if (mask != NULL)
        rein_exec_bind(f->kl, mask, f->mask, 0);
    if (k->gaussian)
        rein_exec_bind(f->kl, f->old_log_std, f->old_std, 0);
}

static void make_data(fixture *f) {
    rein_rng rng = rein_rng_make(5, 0);
    for (int i = 0; i < ROWS * IN; i++)
        f->obs[i] = f->obs32[i] = (float)rein_rng_normal(&rng);
    for (int r = 0; r < ROWS; r++) {
        f->mask[3 * r] = f->mask[3 * r + 1] = f->mask[3 * r + 2] = 1;
        f->mask[3 * r + r % 3] = r % 4 != 0;
        f->mask[3 * r + (r + 1) % 3] = r % 5 != 0;
    }
}

static double get(const fixture *f, const rein_store *store, int64_t i) {
    return f->real == REIN_F64 ? ((const double *)rein_store_view(store))[i]
                               : (double)((const float *)rein_store_view(store))[i];
}

static void put(const fixture *f, rein_store *store, int64_t i, double value) {
    if (f->real == REIN_F64)
        ((double *)rein_store_data(store))[i] = value;
    else
        ((float *)rein_store_data(store))[i] = (float)value;
}

static void release(fixture *f) {
    rein_exec_free(f->fisher);
    rein_exec_free(f->kl);
    rein_program_free(f->fisher_program);
    rein_program_free(f->kl_program);
    rein_graph_free(f->fisher_graph);
    rein_graph_free(f->kl_graph);
    rein_store_free(f->params);
    rein_store_free(f->direction);
    rein_store_free(f->result);
    rein_layout_free(f->layout);
}

/* a direction in the parameters alone, not in the padding between them */
static void draw_direction(fixture *f, rein_rng *rng) {
    for (int k = 0; k < rein_layout_count(f->layout); k++) {
        rein_param_info info = rein_layout_at(f->layout, k);
        for (int64_t i = 0; i < info.count; i++)
            put(f, f->direction, info.offset + i, rein_rng_normal(rng));
    }
}

/* ---- products ------------------------------------------------------------------------------------------ */

/* (grad KL(theta + h v) - grad KL(theta - h v)) / 2h */
static void by_differences(fixture *f, double *out) {
    const double h = 1e-5;
    int64_t n = rein_store_size(f->params);
    double start[MOST], up[MOST];
    for (int64_t i = 0; i < n; i++)
        start[i] = get(f, f->params, i);
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int64_t i = 0; i < n; i++)
            put(f, f->params, i, start[i] + sign * h * get(f, f->direction, i));
        rein_exec_run(f->kl);
        for (int64_t i = 0; i < n; i++)
            if (sign > 0)
                up[i] = get(f, f->result, i);
            else
                out[i] = (up[i] - get(f, f->result, i)) / (2 * h);
    }
    for (int64_t i = 0; i < n; i++)
        put(f, f->params, i, start[i]);
}

static void check_products(const kind *k) {
    static fixture f;
    rein_tensor *output;
    rein_rng rng = rein_rng_make(9, 0);
    double wanted[MOST], worst = 0;
    f = (fixture){.real = REIN_F64, .layout = rein_layout_new()};
    make_data(&f);
    make_fisher(&f, k);
    make_kl(&f, k, &output);
    int64_t n = rein_store_size(f.params);
    assert_true(n <= MOST);
    rein_store_init(f.params, 4);
    rein_exec_run(f.kl);
    memcpy(f.old, rein_exec_data(f.kl, output), (size_t)(ROWS * k->outputs) * sizeof(double));
    for (int i = 0; k->gaussian && i < k->outputs; i++)
        f.old_std[i] = -0.4;
    for (int round = 0; round < 5; round++) {
        draw_direction(&f, &rng);
        by_differences(&f, wanted);
        rein_exec_run(f.fisher);
        double size = 0, curvature = 0;
        for (int64_t i = 0; i < n; i++)
            size = fmax(size, fabs(wanted[i]));
        for (int64_t i = 0; i < n; i++) {
            worst = fmax(worst, fabs(get(&f, f.result, i) - wanted[i]) / size);
            curvature += get(&f, f.result, i) * get(&f, f.direction, i);
        }
        assert_true(size > 1e-3);
        assert_true(curvature > 0); /* v'F v >= 0 */
    }
    print_message("# Fisher product against differences: %.1e\n", worst);
    assert_true(worst < 1e-7);
    release(&f);
}

static void test_products_are_exact(void **state) {
    for (int i = 0; i < KINDS; i++)
        check_products(&kinds[i]);
}

/* the kernels that train, against the double ones */
static void check_float(const kind *k) {
    static fixture wide, narrow;
    rein_rng rng = rein_rng_make(2, 0), same = rng;
    wide = (fixture){.real = REIN_F64, .layout = rein_layout_new()};
    narrow = (fixture){.real = REIN_F32, .layout = rein_layout_new()};
    make_data(&wide);
    make_data(&narrow);
    make_fisher(&wide, k);
    make_fisher(&narrow, k);
    rein_store_init(narrow.params, 4);
    for (int64_t i = 0; i < rein_store_size(narrow.params); i++)
        put(&wide, wide.params, i, get(&narrow, narrow.params, i));
    draw_direction(&narrow, &rng);
    draw_direction(&wide, &same);
    rein_exec_run(wide.fisher);
    rein_exec_run(narrow.fisher);
    double size = 0, worst = 0;
    for (int64_t i = 0; i < rein_store_size(narrow.params); i++) {
        size = fmax(size, fabs(get(&wide, wide.result, i)));
        worst = fmax(worst, fabs(get(&wide, wide.result, i) - get(&narrow, narrow.result, i)));
    }
    assert_true(worst < 2e-6 * size);
    release(&wide);
    release(&narrow);
}

static void test_products_in_float(void **state) {
    for (int i = 0; i < KINDS; i++)
        check_float(&kinds[i]);
}

/* ---- conjugate gradients ------------------------------------------------------------------------------- */

enum { N = 20 };
static double matrix[N][N];

static void multiply(void *user, const double *x, double *out) {
    for (int i = 0; i < N; i++)
        out[i] = reini_dot(matrix[i], x, N);
    ++*(int *)user;
}

/* A'A + identity / 10 */
static void make_matrix(uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 0);
    double a[N][N];
    for (int i = 0; i < N * N; i++)
        a[i / N][i % N] = rein_rng_normal(&rng);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            matrix[i][j] = i == j ? 0.1 : 0;
            for (int k = 0; k < N; k++)
                matrix[i][j] += a[k][i] * a[k][j];
        }
}

static void test_conjugate_gradients_solve(void **state) {
    double wanted[N], b[N], x[N], work[3 * N];
    int products = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        rein_rng rng = rein_rng_make(seed, 1);
        make_matrix(seed);
        for (int i = 0; i < N; i++)
            wanted[i] = rein_rng_normal(&rng);
        multiply(&products, wanted, b);
        products = 0;
        reini_cg cg = {multiply, &products, N, 100, 1e-24, work};
        reini_cg_result result = reini_conjugate_gradient(&cg, b, x);
        for (int i = 0; i < N; i++)
            assert_true(fabs(x[i] - wanted[i]) < 1e-9);
        assert_int_equal(products, result.steps);
        assert_true(result.residual < 1e-10);
        cg.max_steps = 5; /* and the residual it tells is the true one */
        result = reini_conjugate_gradient(&cg, b, x);
        assert_int_equal(result.steps, 5);
        double r[N], left = 0;
        multiply(&products, x, r);
        for (int i = 0; i < N; i++)
            left += pow(b[i] - r[i], 2);
        assert_true(fabs(sqrt(left / reini_dot(b, b, N)) - result.residual) < 1e-9);
    }
}

static void test_conjugate_gradients_refuse(void **state) {
    double b[N] = {1, 2, 3}, x[N], work[3 * N], zero[N] = {0};
    int products = 0;
    reini_cg cg = {multiply, &products, N, 10, 1e-12, work};
    memset(matrix, 0, sizeof matrix); /* not positive definite */
    assert_true(isnan(reini_conjugate_gradient(&cg, b, x).residual));
    make_matrix(3);
    matrix[4][4] = NAN;
    assert_true(isnan(reini_conjugate_gradient(&cg, b, x).residual));
    make_matrix(3);
    assert_true(reini_conjugate_gradient(&cg, zero, x).residual == 0);
    for (int i = 0; i < N; i++)
        assert_true(x[i] == 0);
    b[0] = NAN;
    assert_true(isnan(reini_conjugate_gradient(&cg, b, x).residual));
}

/* ---- the line search ----------------------------------------------------------------------------------- */

typedef struct curve {
    double best; /* the objective 1 - (fraction - best)^2 rises until there */
    double kl;   /* at fraction 1; grows with the square */
    int tries;
    bool spoiled; /* not a number on the first try */
    double limit; /* fractions above it break a limit, 0 = none */
} curve;

static reini_trial try_curve(void *user, double fraction) {
    curve *c = user;
    if (c->tries++ == 0 && c->spoiled)
        return (reini_trial){.objective = NAN, .kl = NAN};
    return (reini_trial){.objective = 1 - pow(fraction - c->best, 2),
                         .kl = c->kl * fraction * fraction,
                         .excess = c->limit > 0 ? fraction - c->limit : 0};
}

static double run_search(curve c, int64_t max_iter, reini_trial *found, int *tries) {
    reini_line_search search = {
        .max_kl = 1, .shrink = 0.5, .max_iter = max_iter, .attempt = try_curve, .user = &c};
    double fraction = reini_line_search_run(&search, 1 - c.best * c.best, found);
    *tries = c.tries;
    return fraction;
}

static void test_line_search(void **state) {
    reini_trial found;
    int tries;
    assert_true(run_search((curve){.best = 1, .kl = 1}, 10, &found, &tries) == 1);
    assert_true(found.kl == 1 && found.objective == 1 && tries == 1);
    assert_true(run_search((curve){.best = 1, .kl = 3.9}, 10, &found, &tries) == 0.5);    /* too far */
    assert_true(run_search((curve){.best = 0.2, .kl = 0.1}, 10, &found, &tries) == 0.25); /* no better */
    assert_int_equal(tries, 3);
    assert_true(run_search((curve){.best = 1, .kl = 0.5, .spoiled = true}, 10, &found, &tries) == 0.5);
    assert_true(run_search((curve){.best = 1, .kl = 1e9}, 10, &found, &tries) == 0);
    assert_int_equal(tries, 10);
    assert_true(run_search((curve){.best = 1, .kl = 1, .limit = 0.25}, 10, &found, &tries) == 0.25);
    assert_true(run_search((curve){.best = 1, .kl = 1, .limit = 0.001}, 5, &found, &tries) == 0);
    assert_true(run_search((curve){.best = -1, .kl = 0}, 4, &found, &tries) == 0);
    assert_int_equal(tries, 4);
    assert_true(run_search((curve){.best = 0, .kl = 0}, 4, &found, &tries) == 0); /* equal is not better */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_are_exact),
        cmocka_unit_test(test_products_in_float),
        cmocka_unit_test(test_conjugate_gradients_solve),
        cmocka_unit_test(test_conjugate_gradients_refuse),
        cmocka_unit_test(test_line_search),
    };
    return cmocka_run_group_tests_name("natural gradients", tests, NULL, NULL);
}
