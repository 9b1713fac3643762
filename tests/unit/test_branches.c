/*
 * test_branches.c - branches side by side give the bits of the same graph without branches: twin critics, and random
 * graphs whose nodes are put into branches at random.
 */
#include <stdlib.h>
#include <rein/nn.h>
#include <rein/rng.h>
#include "support/check.h"

enum { ROWS = 100, WIDTH = 8, MOST_VALUES = 40 };

/* one graph, its parameters and what it is run on */
typedef struct rig {
    rein_graph *g;
    rein_layout *layout;
    rein_store *params;
    rein_tensor *obs, *loss;
    int rows, slot;
    float x[ROWS * WIDTH];
} rig;

static void begin(rig *r, uint64_t seed) {
    rein_rng rng = rein_rng_make(seed, 1);
    for (int i = 0; i < ROWS * WIDTH; i++)
        r->x[i] = (float)rein_rng_normal(&rng);
    r->g = rein_graph_new(REIN_F32);
    r->layout = rein_layout_new();
    r->slot = rein_slot(r->g, r->layout);
    r->rows = rein_extent(r->g, "rows", ROWS);
    r->obs = rein_input(r->g, "obs", REIN_F32, r->rows, 1, (int[]){WIDTH});
}

static void finish(rig *r, rein_tensor *loss, uint64_t seed) {
    r->loss = rein_output(loss, "loss");
    assert_int_equal(rein_gradient(loss, r->slot, NULL), 0);
    assert_ok(rein_store_new(r->layout, REIN_F32, &r->params));
    assert_ok(rein_store_init(r->params, seed));
}

static void end(rig *r) {
    rein_store_free(r->params);
    rein_layout_free(r->layout);
    rein_graph_free(r->g);
}

static rein_tensor *layer(rig *r, rein_tensor *x, const char *name, int outputs) {
    rein_init init = {REIN_INIT_ORTHOGONAL, 1};
    return rein_mlp(x, r->slot, name, 1, (int[]){16}, REIN_ACT_RELU, init, outputs, init);
}

/* loss and gradients of a run over `rows` rows; returns the loss */
static double run(rig *r, int branches, int threads, int tile, int rows, rein_store **grads) {
    rein_compile_opts opts = {.branches = branches, .tile = tile};
    rein_program *program;
    rein_exec *e;
    rein_pool *pool = rein_pool_new(threads);
    assert_ok(rein_compile(r->g, &opts, &program));
    assert_ok(rein_exec_new(program, pool, &e));
    assert_ok(rein_store_new(r->layout, REIN_F32, grads));
    rein_exec_bind_store(e, r->slot, r->params);
    rein_exec_bind_gradient(e, 0, *grads);
    rein_exec_bind(e, r->obs, r->x, 0);
    rein_exec_rows(e, r->rows, rows);
    for (int i = 0; i < 3; i++)
        rein_exec_run(e);
    double loss = rein_exec_scalar(e, r->loss);
    rein_exec_free(e);
    rein_program_free(program);
    rein_pool_free(pool);
    return loss;
}

/* the same bits with branches as without, whatever the number of workers and rows */
static void compare(rig *r, int tile) {
    static const int rows[] = {ROWS, ROWS - 27, 1, 0};
    for (int i = 0; i < 4; i++) {
        rein_store *want, *got;
        double loss = run(r, 0, 1, tile, rows[i], &want);
        for (int threads = 1; threads <= 3; threads++) {
            double again = run(r, 1, threads, tile, rows[i], &got);
            assert_memory_equal(&loss, &again, sizeof loss);
            assert_memory_equal(rein_store_view(got), rein_store_view(want),
                                (size_t)rein_store_size(want) * sizeof(float));
            rein_store_free(got);
        }
        rein_store_free(want);
    }
}

static int count(const char *text, const char *words) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        n++;
    return n;
}

static char *plan_of(const rig *r, int branches) {
    rein_program *program;
    assert_ok(rein_compile(r->g, &(rein_compile_opts){.branches = branches}, &program));
    size_t size = rein_program_print(program, NULL, 0) + 1;
    char *text = malloc(size);
    assert_non_null(text);
    rein_program_print(program, text, size);
    rein_program_free(program);
    return text;
}

/* an action's network, two critics of it in branches of their own, the least of them: there and back */
static void test_twins(void **state) {
    rig r = {0};
    begin(&r, 1);
    rein_tensor *action = rein_tanh(layer(&r, r.obs, "actor", 2)), *least = NULL;
    for (int k = 0; k < 2; k++) {
        rein_tensor *x = rein_concat(r.obs, action);
        int former = rein_branch(r.g, 1 + k);
        rein_tensor *q = layer(&r, x, k ? "q1" : "q0", 1);
        assert_int_equal(rein_branch(r.g, former), 1 + k);
        least = least != NULL ? rein_min(least, q) : q;
    }
    finish(&r, rein_mean(rein_square(least)), 1);
    char *apart = plan_of(&r, 1), *together = plan_of(&r, 0);
    assert_int_equal(count(apart, "2 branches side by side"), 2);
    assert_int_equal(count(together, "side by side"), 0);
    free(apart);
    free(together);
    for (int tile = 0; tile <= 32; tile += 16)
        compare(&r, tile);
    end(&r);
}

/* a single branch has none beside it: the plan is the one without */
static void test_one_branch(void **state) {
    rig r = {0};
    begin(&r, 2);
    rein_branch(r.g, 3);
    rein_tensor *q = layer(&r, r.obs, "q", 1);
    rein_branch(r.g, 0);
    finish(&r, rein_mean(rein_square(q)), 2);
    char *apart = plan_of(&r, 1), *together = plan_of(&r, 0);
    assert_string_equal(apart, together);
    free(apart);
    free(together);
    end(&r);
}

/* nodes of earlier nodes, each in any branch */
static rein_tensor *random_node(rig *r, rein_rng *rng, rein_tensor *const *value, int n) {
    rein_tensor *a = value[rein_rng_below(rng, (uint32_t)n)], *b = value[rein_rng_below(rng, (uint32_t)n)];
    char name[8] = {'n', (char)('a' + rein_rng_below(rng, 6)), 0};
    rein_branch(r->g, (int)rein_rng_below(rng, 4));
    switch (rein_rng_below(rng, 6)) {
    case 0:
        return rein_add(a, b);
    case 1:
        return rein_tanh(rein_mul(a, b));
    case 2:
        return rein_min(a, rein_tanh(b));
    case 3:
        return rein_sub(a, rein_mean(b)); /* a level later */
    default:
        return layer(r, a, name, WIDTH);
    }
}

static void test_random_graphs(void **state) {
    int graphs = UNDER_THREAD_SANITIZER ? 10 : 60;
    for (int seed = 0; seed < graphs; seed++) {
        rig r = {0};
        rein_tensor *value[MOST_VALUES];
        rein_rng rng = rein_rng_make((uint64_t)seed, 0);
        begin(&r, (uint64_t)seed);
        value[0] = r.obs;
        int n = 1, values = 4 + (int)rein_rng_below(&rng, MOST_VALUES - 4);
        for (; n < values; n++)
            value[n] = random_node(&r, &rng, value, n);
        rein_tensor *sum = layer(&r, value[n - 1], "last", WIDTH);
        for (int i = 0; i < n; i += 3)
            sum = rein_add(sum, value[i]);
        finish(&r, rein_mean(rein_square(sum)), (uint64_t)seed);
        compare(&r, seed % 2 ? 16 : 52);
        end(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_twins), cmocka_unit_test(test_one_branch),
                                       cmocka_unit_test(test_random_graphs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
