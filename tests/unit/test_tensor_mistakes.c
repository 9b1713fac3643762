/*
 * test_tensor_mistakes.c - a graph that cannot be is refused when it is compiled, with a sentence about the
 * first mistake, whatever is built on top of it.
 */
#include <rein/nn.h>
#include "support/check.h"

static const rein_init normal = {REIN_INIT_NORMAL, 0.4};

typedef struct mistake {
    rein_tensor *x, *y, *other, *narrow, *index, *bytes, *fixed, *matrix, *loss, *key;
    int rows, items, slot;
    rein_graph *g;
} mistake;

typedef void make_mistake(mistake *m);

static void mixed_rows(mistake *m) {
    rein_add(m->x, m->other);
}

static void mixed_widths(mistake *m) {
    rein_mul(m->x, m->narrow);
}

static void integer_arithmetic(mistake *m) {
    rein_exp(m->index);
}

static void byte_sum(mistake *m) {
    rein_sum(m->bytes);
}

static void vector_loss(mistake *m) {
    rein_gradient(m->x, m->slot, NULL);
}

static void row_loss(mistake *m) {
    rein_gradient_of(rein_sum(m->x), m->x);
}

static void unknown_group(mistake *m) {
    rein_gradient(m->loss, m->slot, "actress");
}

static void wrong_weight(mistake *m) {
    rein_dense(m->narrow, m->matrix, NULL, REIN_ACT_TANH);
}

static void wrong_bias(mistake *m) {
    rein_dense(m->x, m->matrix, rein_param(m->g, m->slot, "short", 1, (int[]){2}, normal), REIN_ACT_TANH);
}

static void real_index(mistake *m) {
    rein_gather(m->other, m->x);
}

static void gather_of_own_rows(mistake *m) {
    rein_gather(m->x, m->index);
}

static void wrong_slice(mistake *m) {
    rein_slice(m->x, 2, 3);
}

static void wrong_reshape(mistake *m) {
    rein_reshape(m->x, 2, (int[]){3, 2});
}

static void mixed_concat(mistake *m) {
    rein_concat(m->x, m->index);
}

static void wrong_pick(mistake *m) {
    rein_pick(m->x, m->x);
}

static void two_shapes(mistake *m) {
    rein_param(m->g, m->slot, "matrix", 2, (int[]){5, 4}, normal);
}

static void empty_shape(mistake *m) {
    rein_input(m->g, "nothing", REIN_F32, m->rows, 1, (int[]){0});
}

static void unknown_extent(mistake *m) {
    rein_input(m->g, "far", REIN_F32, 5, 1, (int[]){2});
}

static void key_twice(mistake *m) {
    rein_output(
        rein_add(rein_random_normal(m->key, m->x), rein_random_normal(m->key, rein_slice(m->x, 0, 4))), "z");
    rein_random_normal(m->key, m->narrow);
}

static void two_graphs(mistake *m) {
    rein_graph *foreign = rein_graph_new(REIN_F32);
    rein_add(m->x, rein_constant(foreign, 1));
    rein_graph_free(foreign);
}

static const struct {
    make_mistake *make;
    const char *words[3];
} mistakes[] = {
    {mixed_rows, {"rows", "items"}},
    {mixed_widths, {"(rows x 4)", "(rows x 3)"}},
    {integer_arithmetic, {"real"}},
    {byte_sum, {"sum", "real"}},
    {vector_loss, {"static scalar", "(rows x 4)"}},
    {row_loss, {"static scalar", "(rows x 1)"}},
    {unknown_group, {"actress"}},
    {wrong_weight, {"dense", "(rows x 3)", "(4 x 5)"}},
    {wrong_bias, {"dense", "bias", "(2)"}},
    {real_index, {"gather", "I32"}},
    {gather_of_own_rows, {"gather", "same rows"}},
    {wrong_slice, {"slice", "2 to 4", "(rows x 4)"}},
    {wrong_reshape, {"reshape", "4 elements"}},
    {mixed_concat, {"concat", "types"}},
    {wrong_pick, {"pick", "I32"}},
    {two_shapes, {"matrix", "different shapes"}},
    {empty_shape, {"nothing", "at least 1"}},
    {unknown_extent, {"far", "no extent 5"}},
    {key_twice, {"key"}},
    {two_graphs, {"different graphs"}},
};

static void check_mistake(size_t i) {
    mistake m = {.g = rein_graph_new(REIN_F32)};
    rein_layout *layout = rein_layout_new();
    rein_program *program = NULL;
    m.rows = rein_extent(m.g, "rows", 8);
    m.items = rein_extent(m.g, "items", 8);
    m.slot = rein_slot(m.g, layout);
    m.x = rein_input(m.g, "x", REIN_F32, m.rows, 1, (int[]){4});
    m.y = rein_input(m.g, "y", REIN_F32, m.rows, 1, (int[]){4});
    m.narrow = rein_input(m.g, "narrow", REIN_F32, m.rows, 1, (int[]){3});
    m.other = rein_input(m.g, "other", REIN_F32, m.items, 1, (int[]){4});
    m.index = rein_input(m.g, "index", REIN_I32, m.rows, 1, (int[]){1});
    m.bytes = rein_input(m.g, "bytes", REIN_U8, m.rows, 1, (int[]){4});
    m.matrix = rein_param(m.g, m.slot, "matrix", 2, (int[]){4, 5}, normal);
    m.key = rein_key(m.g, "key");
    m.loss = rein_mean(rein_dense(m.x, m.matrix, NULL, REIN_ACT_TANH));
    mistakes[i].make(&m);
    /* whatever is built on top is harmless, and the first mistake is the one that counts */
    rein_tensor *more = rein_mean(rein_square(rein_sub(m.x, m.y)));
    rein_gradient(more, m.slot, NULL);
    rein_output(rein_tangent(more, m.slot, m.slot), "t");
    rein_output(rein_slice(m.x, 7, 9), "far");
    assert_fails(rein_compile(m.g, NULL, &program), REIN_USAGE, "");
    for (int k = 0; k < 3 && mistakes[i].words[k]; k++)
        if (!strstr(rein_error(), mistakes[i].words[k]))
            fail_msg("mistake %d: \"%s\" does not say \"%s\"", (int)i, rein_error(), mistakes[i].words[k]);
    assert_null(program);
    rein_graph_free(m.g);
    rein_layout_free(layout);
}

static void test_mistakes_give_sentences(void **state) {
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        check_mistake(i);
}

static void test_too_many(void **state) {
    static const char *const words[] = {"at most 8 extents", "at most 16 slots", "more than 16 gradients"};
    for (int kind = 0; kind < 3; kind++) {
        rein_graph *g = rein_graph_new(REIN_F32);
        rein_layout *layout = rein_layout_new();
        rein_program *program = NULL;
        int slot = rein_slot(g, layout);
        rein_tensor *w = rein_param(g, slot, "w", 1, (int[]){1}, normal);
        for (int i = 0; i < 40; i++) {
            if (kind == 0)
                rein_extent(g, "rows", 5);
            else if (kind == 1)
                rein_slot(g, layout);
            else
                rein_gradient(rein_square(w), slot, NULL);
        }
        assert_fails(rein_compile(g, NULL, &program), REIN_USAGE, words[kind]);
        rein_graph_free(g);
        rein_layout_free(layout);
    }
}

/* a layout with values cannot grow */
static void test_layouts_are_sealed(void **state) {
    rein_layout *layout = rein_layout_new();
    for (int late = 0; late < 2; late++) {
        rein_graph *g = rein_graph_new(REIN_F32);
        rein_program *program = NULL;
        rein_store *store = NULL;
        int slot = rein_slot(g, layout);
        rein_output(rein_total(rein_param(g, slot, "net.0.weight", 2, (int[]){4, 2}, normal)), "sum");
        if (late) {
            rein_param(g, slot, "net.9.weight", 2, (int[]){4, 2}, normal);
            assert_fails(rein_compile(g, NULL, &program), REIN_USAGE, "net.9.weight");
        } else {
            assert_ok(rein_compile(g, NULL, &program));
            assert_ok(rein_store_new(layout, REIN_F32, &store));
        }
        rein_store_free(store);
        rein_program_free(program);
        rein_graph_free(g);
    }
    rein_layout_free(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistakes_give_sentences),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_layouts_are_sealed),
    };
    return cmocka_run_group_tests_name("mistakes in graphs", tests, NULL, NULL);
}
