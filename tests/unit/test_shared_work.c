/*
 * test_shared_work.c - what the workers of a pool share: sums over rows, copies of weights, steps of optimizers, blends.
 * The bits are the same for any number of workers, and the sums are right.
 */
#include <math.h>
#include <string.h>
#include "support/check.h"
#include <rein/optim.h>
#include <rein/tensor.h>
#include "tensor/graph.h"
#include "tensor/kernels.h"

enum { ROWS = 300, IN = 40, WIDE = 144, THREADS = 3 };

/* ---- a graph with large gradients ---------------------------------------------------------------------- */

typedef struct network {
    rein_layout *layout;
    rein_program *program;
    rein_tensor *x, *loss; /* ids are the program's too */
    rein_graph *g;
    int rows, slot, gradient;
    rein_store *params, *grads;
    rein_exec *exec;
} network;

static void network_new(network *n, const rein_compile_opts *opts, rein_pool *pool) {
    rein_init init = {REIN_INIT_KAIMING, 1};
    int in = IN;
    memset(n, 0, sizeof *n);
    n->g = rein_graph_new(REIN_F32);
    n->layout = rein_layout_new();
    n->rows = rein_extent(n->g, "rows", ROWS);
    n->slot = rein_slot(n->g, n->layout);
    n->x = rein_input(n->g, "x", REIN_F32, n->rows, 1, &in);
    rein_tensor *h = n->x;
    for (int i = 0; i < 3; i++) {
        static const char *const weights[] = {"a.w", "b.w", "c.w"}, *const biases[] = {"a.b", "b.b", "c.b"};
        int dims[] = {i == 0 ? IN : WIDE, WIDE}, out = WIDE;
        rein_tensor *w = rein_param(n->g, n->slot, weights[i], 2, dims, init);
        h = rein_dense(h, w, rein_param(n->g, n->slot, biases[i], 1, &out, init), REIN_ACT_TANH);
    }
    n->loss = rein_output(rein_mean(rein_sum(rein_square(h))), "loss");
    n->gradient = rein_gradient(n->loss, n->slot, NULL);
    assert_ok(rein_compile(n->g, opts, &n->program));
    assert_ok(rein_store_new(n->layout, REIN_F32, &n->params));
    assert_ok(rein_store_new(n->layout, REIN_F32, &n->grads));
    assert_ok(rein_exec_new(n->program, pool, &n->exec));
    rein_store_init(n->params, 7);
    rein_exec_bind_store(n->exec, n->slot, n->params);
    rein_exec_bind_gradient(n->exec, n->gradient, n->grads);
}

static void network_free(network *n) {
    rein_exec_free(n->exec);
    rein_store_free(n->grads);
    rein_store_free(n->params);
    rein_program_free(n->program);
    rein_layout_free(n->layout);
    rein_graph_free(n->g);
}

static void network_run(network *n, int64_t rows) {
    static float x[ROWS * IN];
    for (int i = 0; i < ROWS * IN; i++)
        x[i] = (float)sin(i * 0.37) * (1 + (float)(i % 7));
    rein_exec_bind(n->exec, n->x, x, 0);
    rein_exec_rows(n->exec, n->rows, rows);
    memset(rein_store_data(n->grads), 0xFF, (size_t)rein_store_size(n->grads) * sizeof(float));
    rein_exec_run(n->exec);
}

static void same_gradients(const network *a, const network *b) {
    for (int i = 0; i < a->layout->count; i++) {
        const reini_param *p = &a->layout->param[i];
        assert_memory_equal((const float *)rein_store_view(a->grads) + p->offset,
                            (const float *)rein_store_view(b->grads) + p->offset,
                            (size_t)p->count * sizeof(float));
    }
}

static void close_gradients(const network *a, const network *b) {
    const float *got = rein_store_view(a->grads), *want = rein_store_view(b->grads);
    for (int i = 0; i < a->layout->count; i++) {
        const reini_param *p = &a->layout->param[i];
        double largest = 0, error = 0;
        for (int64_t j = p->offset; j < p->offset + p->count; j++) {
            largest = fmax(largest, fabs((double)want[j]));
            error = fmax(error, fabs((double)got[j] - (double)want[j]));
        }
        assert_true(largest > 1e-4);
        assert_true(error <= 1e-5 * largest);
    }
}

/* live rows of no lane, one, two, and all of them */
static void test_gradients(void **state) {
    static const int64_t live[] = {ROWS, 299, 129, 128, 64, 5, 0};
    rein_pool *pool = rein_pool_new(THREADS);
    network alone, shared, plain;
    network_new(&alone, NULL, NULL);
    network_new(&shared, NULL, pool);
    network_new(&plain, &(rein_compile_opts){.reference = true}, NULL);
    for (size_t i = 0; i < sizeof live / sizeof *live; i++) {
        network_run(&alone, live[i]);
        network_run(&shared, live[i]);
        network_run(&plain, live[i]);
        same_gradients(&alone, &shared);
        if (live[i] > 0)
            close_gradients(&alone, &plain);
        else
            assert_true(*(const float *)rein_store_view(alone.grads) == 0);
    }
    network_free(&alone);
    network_free(&shared);
    network_free(&plain);
    rein_pool_free(pool);
}

/* ---- packed weights ------------------------------------------------------------------------------------ */

/* Tiles that read packed weights, and one tile for all rows, which packs its own: the same outputs. */
static void test_packed(void **state) {
    if (!reini_bf16_available())
        skip();
    char text[8000];
    rein_pool *pool = rein_pool_new(THREADS);
    network tiles, shared, whole;
    network_new(&tiles, &(rein_compile_opts){.matmul = REIN_BF16, .tile = 64}, NULL);
    network_new(&shared, &(rein_compile_opts){.matmul = REIN_BF16, .tile = 64}, pool);
    network_new(&whole, &(rein_compile_opts){.matmul = REIN_BF16, .tile = ROWS}, NULL);
    rein_program_print(tiles.program, text, sizeof text);
    assert_non_null(strstr(text, " PACK "));
    assert_null(strstr(text, "TRANSPOSE"));
    for (int step = 0; step < 3; step++) {
        network_run(&tiles, ROWS);
        network_run(&shared, ROWS);
        network_run(&whole, ROWS);
        same_gradients(&tiles, &shared);
        close_gradients(&tiles, &whole);
        float *params[] = {rein_store_data(tiles.params), rein_store_data(shared.params),
                           rein_store_data(whole.params)};
        /* another run must see other weights */
        for (int i = 0; i < 3; i++)
            for (int64_t j = 0; j < rein_store_size(tiles.params); j++)
                params[i][j] *= 1.25f;
    }
    network_free(&tiles);
    network_free(&shared);
    network_free(&whole);
    rein_pool_free(pool);
}

/* ---- optimizers and blends ----------------------------------------------------------------------------- */

static void fill(rein_store *store, double scale, int salt) {
    float *x = rein_store_data(store);
    for (int i = 0; i < store->layout->count; i++) {
        const reini_param *p = &store->layout->param[i];
        for (int64_t j = p->offset; j < p->offset + p->count; j++)
            x[j] = (float)(scale * sin((double)j * 0.11 + salt));
    }
}

static rein_layout *large_layout(void) {
    rein_graph *g = rein_graph_new(REIN_F32);
    rein_layout *layout = rein_layout_new();
    int slot = rein_slot(g, layout);
    rein_init zero = {REIN_INIT_CONSTANT, 0};
    assert_non_null(rein_param(g, slot, "actor.w", 2, (int[]){250, 150}, zero));
    assert_non_null(rein_param(g, slot, "actor.b", 1, (int[]){5}, zero));
    assert_non_null(rein_param(g, slot, "critic.w", 2, (int[]){130, 131}, zero));
    rein_graph_free(g);
    return layout;
}

/* Three steps and a blend; the parameters of each end. */
static rein_optim_result walk(rein_layout *layout, const rein_optim_config *config, rein_pool *pool,
                              rein_store *params, rein_store *slow) {
    rein_optim *optim = NULL;
    rein_store *grads = NULL;
    rein_optim_result result = {0};
    assert_ok(rein_optim_new(config, layout, &optim));
    assert_ok(rein_store_new(layout, REIN_F32, &grads));
    rein_optim_share(optim, pool);
    fill(params, 1, 1);
    fill(slow, 1, 2);
    for (int step = 0; step < 3; step++) {
        fill(grads, 0.5, 10 + step);
        result = rein_optim_step(optim, params, grads, 0.01);
        reini_store_blend(slow, params, 0.125, pool);
    }
    rein_store_free(grads);
    rein_optim_free(optim);
    return result;
}

static void test_optimizers(void **state) {
    rein_pool *pool = rein_pool_new(THREADS);
    rein_layout *layout = large_layout();
    rein_store *store[4];
    for (int i = 0; i < 4; i++)
        assert_ok(rein_store_new(layout, REIN_F32, &store[i]));
    size_t bytes = (size_t)rein_store_size(store[0]) * sizeof(float);
    for (int trial = 0; trial < 8; trial++) {
        rein_optim_config config = rein_optim_config_default();
        config.kind = trial % 4;
        config.max_grad_norm = 0.5;
        config.weight_decay = 0.01;
        config.groups = trial < 4 ? NULL : "critic";
        rein_optim_result alone = walk(layout, &config, NULL, store[0], store[1]);
        rein_optim_result shared = walk(layout, &config, pool, store[2], store[3]);
        /* the norm of 0.5 sin over n numbers is about 0.5 sqrt(n / 2) */
        double n = trial < 4 ? 250 * 150 + 5 + 130 * 131 : 130 * 131;
        assert_true(fabs(alone.grad_norm / (0.5 * sqrt(n / 2)) - 1) < 0.01);
        assert_true(alone.grad_norm == shared.grad_norm);
        assert_memory_equal(rein_store_view(store[0]), rein_store_view(store[2]), bytes);
        assert_memory_equal(rein_store_view(store[1]), rein_store_view(store[3]), bytes);
    }
    for (int i = 0; i < 4; i++)
        rein_store_free(store[i]);
    rein_layout_free(layout);
    rein_pool_free(pool);
}

/* a piece that is not finite holds back all of them */
static void test_skip(void **state) {
    rein_pool *pool = rein_pool_new(THREADS);
    rein_layout *layout = large_layout();
    rein_store *params = NULL, *before = NULL, *grads = NULL;
    rein_optim *optim = NULL;
    rein_optim_config config = rein_optim_config_default();
    assert_ok(rein_store_new(layout, REIN_F32, &params));
    assert_ok(rein_store_new(layout, REIN_F32, &before));
    assert_ok(rein_store_new(layout, REIN_F32, &grads));
    assert_ok(rein_optim_new(&config, layout, &optim));
    rein_optim_share(optim, pool);
    fill(params, 1, 1);
    fill(before, 1, 1);
    fill(grads, 1, 2);
    ((float *)rein_store_data(grads))[layout->param[2].offset + 17000] = INFINITY;
    assert_int_equal(rein_optim_step(optim, params, grads, 0.1).skipped, 1);
    assert_memory_equal(rein_store_view(params), rein_store_view(before),
                        (size_t)rein_store_size(params) * sizeof(float));
    rein_optim_free(optim);
    rein_store_free(grads);
    rein_store_free(before);
    rein_store_free(params);
    rein_layout_free(layout);
    rein_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_optimizers),
        cmocka_unit_test(test_skip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
