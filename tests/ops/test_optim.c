/* test_optim.c - optimizers against PyTorch's (tests/golden/optim_torch.json); groups, clip, checkpoints. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include <rein/optim.h>
#include "tensor/optim_state.h"

enum { N = 7 };

typedef struct bench {
    rein_graph *graph;
    rein_layout *layout;
    rein_store *params, *grads;
} bench;

/* parameters "actor.w" of 7 and "critic.w" of 7 elements */
static bench bench_new(void) {
    bench b = {rein_graph_new(REIN_F32), rein_layout_new(), NULL, NULL};
    int slot = rein_slot(b.graph, b.layout), dims[] = {N};
    rein_init zero = {REIN_INIT_CONSTANT, 0};
    assert_non_null(rein_param(b.graph, slot, "actor.w", 1, dims, zero));
    assert_non_null(rein_param(b.graph, slot, "critic.w", 1, dims, zero));
    assert_int_equal(rein_store_new(b.layout, REIN_F32, &b.params), REIN_OK);
    assert_int_equal(rein_store_new(b.layout, REIN_F32, &b.grads), REIN_OK);
    return b;
}

static void bench_free(bench *b) {
    rein_store_free(b->params);
    rein_store_free(b->grads);
    rein_layout_free(b->layout);
    rein_graph_free(b->graph);
}

static float *values(const bench *b, rein_store *store, int param) {
    return (float *)rein_store_data(store) + rein_layout_at(b->layout, param).offset;
}

static void read_array(float *to, const json_t *array) {
    for (size_t i = 0; i < N; i++)
        to[i] = (float)json_number_value(json_array_get(array, i));
}

static double setting(const json_t *config, const char *name, double otherwise) {
    const json_t *value = json_object_get(config, name);
    return value ? json_number_value(value) : otherwise;
}

static rein_optim_config config_of(const json_t *test) {
    static const char *const kinds[] = {"Adam", "AdamW", "SGD", "RMSprop"};
    rein_optim_config config = rein_optim_config_default();
    const json_t *given = json_object_get(test, "config"), *betas = json_object_get(given, "betas");
    for (int i = 0; i < 4; i++)
        if (strcmp(json_string_value(json_object_get(test, "kind")), kinds[i]) == 0)
            config.kind = i;
    if (betas) {
        config.beta1 = json_number_value(json_array_get(betas, 0));
        config.beta2 = json_number_value(json_array_get(betas, 1));
    }
    config.eps = setting(given, "eps", config.eps);
    config.weight_decay = setting(given, "weight_decay", 0);
    config.momentum = setting(given, "momentum", 0);
    config.nesterov = json_is_true(json_object_get(given, "nesterov"));
    config.alpha = setting(given, "alpha", config.alpha);
    return config;
}

static void follow(const char *name, const json_t *golden, const json_t *test) {
    bench b = bench_new();
    rein_optim_config config = config_of(test);
    rein_optim *optim;
    double rate = setting(json_object_get(test, "config"), "lr", 0);
    const json_t *gradients = json_object_get(golden, "gradients"),
                 *after = json_object_get(test, "after_step");
    assert_int_equal(rein_optim_new(&config, b.layout, &optim), REIN_OK);
    read_array(values(&b, b.params, 0), json_object_get(golden, "start"));
    for (size_t step = 0; step < json_array_size(gradients); step++) {
        read_array(values(&b, b.grads, 0), json_array_get(gradients, step));
        assert_int_equal(rein_optim_step(optim, b.params, b.grads, rate).skipped, 0);
        for (size_t i = 0; i < N; i++) {
            double want = json_number_value(json_array_get(json_array_get(after, step), i));
            double got = values(&b, b.params, 0)[i];
            if (!(fabs(got - want) <= 1e-6 * fmax(1, fabs(want))))
                fail_msg("%s step %zu element %zu: %.9g, not %.9g", name, step + 1, i, got, want);
            assert_true(values(&b, b.params, 1)[i] == 0);
        }
    }
    rein_optim_free(optim);
    bench_free(&b);
}

static void test_golden(void **state) {
    json_t *golden = json_load_file(REIN_SOURCE_DIR "/tests/golden/optim_torch.json", 0, NULL), *test;
    const char *name;
    assert_non_null(golden);
    json_object_foreach(json_object_get(golden, "cases"), name, test) follow(name, golden, test);
    json_decref(golden);
}

static void set_all(const bench *b, rein_store *store, int param, float x) {
    for (int i = 0; i < N; i++)
        values(b, store, param)[i] = x;
}

/* Under a gradient that stays the same both means are unbiased: every step of Adam is the rate, to rounding. A beta that is
 * rounded in one place and not in the other shows here as 6e-6. Small squares take roots of their own. */
static void steps_are_the_rate(float gradient) {
    bench b = bench_new();
    rein_optim_config config = rein_optim_config_default();
    rein_optim *optim;
    config.eps = 1e-30;
    assert_int_equal(rein_optim_new(&config, b.layout, &optim), REIN_OK);
    set_all(&b, b.grads, 0, gradient);
    for (int step = 1; step <= 40; step++) {
        set_all(&b, b.params, 0, 0);
        rein_optim_step(optim, b.params, b.grads, 0.25);
        double got = values(&b, b.params, 0)[0];
        if (!(fabs(got + 0.25) <= 0.25 * 1e-6))
            fail_msg("step %d under %g is %.9g, not -0.25", step, gradient, got);
    }
    rein_optim_free(optim);
    bench_free(&b);
}

static void test_steps_are_the_rate(void **state) {
    static const float gradients[] = {3e4f, 3e-3f, 1e-12f, 2e-14f, 1e-14f, 1e-16f, 2e-17f};
    for (size_t i = 0; i < sizeof gradients / sizeof *gradients; i++)
        steps_are_the_rate(gradients[i]);
}

static void test_groups(void **state) {
    bench b = bench_new();
    rein_optim_config config = rein_optim_config_default();
    rein_optim *optim;
    config.kind = REIN_OPTIM_SGD;
    config.groups = "critic";
    assert_int_equal(rein_optim_new(&config, b.layout, &optim), REIN_OK);
    set_all(&b, b.grads, 0, NAN);
    set_all(&b, b.grads, 1, 2);
    rein_optim_result result = rein_optim_step(optim, b.params, b.grads, 0.5);
    assert_false(result.skipped);
    assert_true(fabs(result.grad_norm - 2 * sqrt(N)) < 1e-6);
    assert_true(values(&b, b.params, 0)[3] == 0 && values(&b, b.params, 1)[3] == -1);
    rein_optim_free(optim);
    config.groups = "actor,value";
    assert_int_equal(rein_optim_new(&config, b.layout, &optim), REIN_USAGE);
    bench_free(&b);
}

static void test_clip_and_skip(void **state) {
    bench b = bench_new();
    rein_optim_config config = rein_optim_config_default();
    rein_optim *optim;
    config.kind = REIN_OPTIM_SGD;
    config.max_grad_norm = 0.5;
    assert_int_equal(rein_optim_new(&config, b.layout, &optim), REIN_OK);
    values(&b, b.grads, 0)[0] = 3;
    values(&b, b.grads, 1)[6] = -4;
    rein_optim_result result = rein_optim_step(optim, b.params, b.grads, 1);
    assert_true(fabs(result.grad_norm - 5) < 1e-6);
    assert_true(fabs(values(&b, b.params, 0)[0] + 0.3) < 1e-6 &&
                fabs(values(&b, b.params, 1)[6] - 0.4) < 1e-6);
    values(&b, b.grads, 0)[1] = INFINITY;
    float before = values(&b, b.params, 0)[0];
    assert_int_equal(rein_optim_step(optim, b.params, b.grads, 1).skipped, 1);
    assert_true(values(&b, b.params, 0)[0] == before);
    rein_optim_free(optim);
    bench_free(&b);
}

/* two steps, saved, restored into another optimizer, two steps more: the bits of four steps */
static void test_checkpoint(void **state) {
    bench b = bench_new();
    rein_optim_config config = rein_optim_config_default();
    rein_optim *first, *second;
    float after[2];
    assert_int_equal(rein_optim_new(&config, b.layout, &first), REIN_OK);
    assert_int_equal(rein_optim_new(&config, b.layout, &second), REIN_OK);
    void *saved = malloc(rein_optim_save_size(first));
    for (int round = 0; round < 2; round++) {
        set_all(&b, b.params, 0, 1);
        for (int step = 0; step < 4; step++) {
            set_all(&b, b.grads, 0, 0.3f * (float)step - 0.4f);
            if (step == 2 && round == 1) {
                rein_optim_save(first, saved);
                assert_int_equal(rein_optim_load(second, saved, rein_optim_save_size(first)), REIN_OK);
            }
            rein_optim_step(step >= 2 && round == 1 ? second : first, b.params, b.grads, 0.01);
        }
        after[round] = values(&b, b.params, 0)[2];
        if (round == 0) {
            rein_optim_free(first);
            assert_int_equal(rein_optim_new(&config, b.layout, &first), REIN_OK);
        }
    }
    assert_true(after[0] == after[1]);
    assert_int_equal(rein_optim_load(second, saved, 10), REIN_MISMATCH);
    config.kind = REIN_OPTIM_ADAMW;
    rein_optim_free(second);
    assert_int_equal(rein_optim_new(&config, b.layout, &second), REIN_OK);
    assert_int_equal(rein_optim_load(second, saved, rein_optim_save_size(second)), REIN_MISMATCH);
    free(saved);
    rein_optim_free(first);
    rein_optim_free(second);
    bench_free(&b);
}

/* Two networks of one shape, stepped by a cut optimizer with a pool and by an uncut one alone: the same parameters, and the
 * same norm but for the order of its sum. Large enough for several pieces in each block. */
static void test_cut(void **state) {
    enum { SIZE = 16384 + 48 };
    rein_pool *pool = rein_pool_new(2);
    rein_store *params[2], *grads;
    rein_optim *optim[2];
    rein_graph *graph = rein_graph_new(REIN_F32);
    rein_layout *layout = rein_layout_new();
    int slot = rein_slot(graph, layout), dims[] = {SIZE};
    rein_init random = {REIN_INIT_NORMAL, 1};
    rein_param(graph, slot, "q0.w", 1, dims, random);
    rein_param(graph, slot, "q1.w", 1, dims, random);
    assert_int_equal(rein_store_new(layout, REIN_F32, &grads), REIN_OK);
    assert_int_equal(rein_store_init(grads, 5), REIN_OK);
    rein_optim_config config = rein_optim_config_default();
    double norm[2];
    for (int cut = 0; cut < 2; cut++) {
        assert_int_equal(rein_store_new(layout, REIN_F32, &params[cut]), REIN_OK);
        assert_int_equal(rein_optim_new(&config, layout, &optim[cut]), REIN_OK);
        if (cut) {
            reini_optim_cut(optim[cut], 2);
            rein_optim_share(optim[cut], pool);
        }
        for (int i = 0; i < 3; i++)
            norm[cut] = rein_optim_step(optim[cut], params[cut], grads, 0.1).grad_norm;
    }
    size_t bytes = (size_t)rein_store_size(params[0]) * sizeof(float);
    assert_memory_equal(rein_store_data(params[0]), rein_store_data(params[1]), bytes);
    assert_true(norm[0] > 100 && fabs(norm[1] / norm[0] - 1) < 1e-12);
    for (int cut = 0; cut < 2; cut++) {
        rein_optim_free(optim[cut]);
        rein_store_free(params[cut]);
    }
    rein_store_free(grads);
    rein_layout_free(layout);
    rein_graph_free(graph);
    rein_pool_free(pool);
}

static void test_bad_config(void **state) {
    bench b = bench_new();
    rein_optim *optim;
    rein_optim_config config = rein_optim_config_default();
    config.beta1 = 1;
    assert_int_equal(rein_optim_new(&config, b.layout, &optim), REIN_USAGE);
    config = rein_optim_config_default();
    config.eps = NAN;
    assert_int_equal(rein_optim_new(&config, b.layout, &optim), REIN_USAGE);
    config = rein_optim_config_default();
    config.kind = 9;
    assert_int_equal(rein_optim_new(&config, b.layout, &optim), REIN_USAGE);
    bench_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_steps_are_the_rate),
        cmocka_unit_test(test_groups),     cmocka_unit_test(test_clip_and_skip),
        cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_bad_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
