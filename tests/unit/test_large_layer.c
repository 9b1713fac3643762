/*
 * test_large_layer.c - a layer whose weight has steps of its own: the same bits for any number of threads, the numbers of
 * the reference kernels, any number of live rows.
 */
#include <math.h>
#include <rein/nn.h>
#include <rein/rng.h>
#include "support/check.h"

enum { IN = 20, WIDE = 1100, NEXT = 600, OUT = 3, ROWS = 96 };

typedef struct network {
    rein_graph *graph;
    rein_layout *layout;
    rein_program *program;
    rein_tensor *x, *y;
    rein_store *params;
    int rows, slot, gradient;
} network;

static network network_new(int reference) {
    network n = {.graph = rein_graph_new(REIN_F32), .layout = rein_layout_new()};
    rein_init kaiming = {REIN_INIT_KAIMING, 1};
    n.slot = rein_slot(n.graph, n.layout);
    n.rows = rein_extent(n.graph, "rows", ROWS);
    n.x = rein_input(n.graph, "x", REIN_F32, n.rows, 1, (int[]){IN});
    rein_tensor *y =
        rein_mlp(n.x, n.slot, "net", 2, (int[]){WIDE, NEXT}, REIN_ACT_RELU, kaiming, OUT, kaiming);
    n.y = rein_output(y, "y");
    n.gradient = rein_gradient(rein_mean(rein_square(y)), n.slot, NULL);
    rein_compile_opts opts = {.reference = reference};
    assert_ok(rein_compile(n.graph, &opts, &n.program));
    assert_ok(rein_store_new(n.layout, REIN_F32, &n.params));
    assert_ok(rein_store_init(n.params, 7));
    return n;
}

static void network_free(network *n) {
    rein_store_free(n->params);
    rein_program_free(n->program);
    rein_layout_free(n->layout);
    rein_graph_free(n->graph);
}

/* gradients of a run over so many rows, and the outputs */
static rein_store *run(const network *n, int threads, int rows, float *y) {
    rein_pool *pool = rein_pool_new(threads);
    rein_exec *exec;
    rein_store *gradient;
    float x[ROWS * IN];
    rein_rng rng = rein_rng_make(3, 1);
    for (int i = 0; i < ROWS * IN; i++)
        x[i] = (float)(2 * rein_rng_uniform(&rng) - 1);
    assert_ok(rein_exec_new(n->program, pool, &exec));
    assert_ok(rein_store_new(n->layout, REIN_F32, &gradient));
    for (int64_t i = 0; i < rein_store_size(gradient); i++)
        ((float *)rein_store_data(gradient))[i] = 5; /* what was there before does not matter */
    rein_exec_bind(exec, n->x, x, 0);
    rein_exec_bind(exec, n->y, y, 0);
    rein_exec_bind_store(exec, n->slot, n->params);
    rein_exec_bind_gradient(exec, n->gradient, gradient);
    rein_exec_rows(exec, n->rows, rows);
    rein_exec_run(exec);
    rein_exec_run(exec); /* nor what a run left */
    rein_exec_free(exec);
    rein_pool_free(pool);
    return gradient;
}

static const int live[] = {ROWS, 49, 17, 1};

static void test_it_has_steps_of_its_own(void **state) {
    char text[8192];
    network n = network_new(0), plain = network_new(1);
    rein_program_print(n.program, text, sizeof text);
    const char *at = text;
    for (int i = 0; i < 3; i++, at++) { /* forward, weight and input gradient */
        at = strstr(at, "shared by columns");
        assert_non_null(at);
    }
    rein_program_print(plain.program, text, sizeof text);
    assert_null(strstr(text, "shared by columns"));
    network_free(&n);
    network_free(&plain);
}

static void test_threads_give_the_same_bits(void **state) {
    network n = network_new(0);
    float one[ROWS * OUT], many[ROWS * OUT];
    for (size_t i = 0; i < sizeof live / sizeof *live; i++) {
        rein_store *want = run(&n, 1, live[i], one);
        for (int threads = 2; threads <= 5; threads++) {
            rein_store *got = run(&n, threads, live[i], many);
            assert_memory_equal(one, many, (size_t)live[i] * OUT * sizeof(float));
            assert_memory_equal(rein_store_view(want), rein_store_view(got),
                                (size_t)rein_store_size(want) * sizeof(float));
            rein_store_free(got);
        }
        rein_store_free(want);
    }
    network_free(&n);
}

static void test_numbers_are_the_reference(void **state) {
    network n = network_new(0), plain = network_new(1);
    float y[ROWS * OUT], expected[ROWS * OUT];
    for (size_t i = 0; i < sizeof live / sizeof *live; i++) {
        rein_store *got = run(&n, 2, live[i], y), *want = run(&plain, 2, live[i], expected);
        for (int k = 0; k < live[i] * OUT; k++)
            assert_true(fabsf(y[k] - expected[k]) <= 1e-5f);
        for (int k = 0; k < rein_layout_count(n.layout); k++) {
            rein_param_info p = rein_layout_at(n.layout, k);
            const float *a = (const float *)rein_store_view(got) + p.offset,
                        *b = (const float *)rein_store_view(want) + p.offset;
            double apart = 0, size = 0;
            for (int64_t j = 0; j < p.count; j++) {
                apart += pow((double)a[j] - b[j], 2);
                size += pow(b[j], 2);
            }
            assert_true(size > 0 && sqrt(apart / size) < 2e-6);
        }
        rein_store_free(got);
        rein_store_free(want);
    }
    network_free(&n);
    network_free(&plain);
}

/* no rows: a gradient of zeros */
static void test_no_rows(void **state) {
    network n = network_new(0);
    float y[ROWS * OUT];
    rein_store *gradient = run(&n, 2, 0, y);
    rein_param_info p = rein_layout_at(n.layout, rein_layout_find(n.layout, "net.1.weight"));
    for (int64_t i = 0; i < p.count; i++)
        assert_true(((const float *)rein_store_view(gradient))[p.offset + i] == 0);
    rein_store_free(gradient);
    network_free(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_has_steps_of_its_own),
        cmocka_unit_test(test_threads_give_the_same_bits),
        cmocka_unit_test(test_numbers_are_the_reference),
        cmocka_unit_test(test_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
