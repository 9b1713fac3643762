/*
 * op_rows.c - ops across rows (sums, means, gathers) and random numbers.
 */
#include <rein/tensor.h>
#include "tensor/graph.h"

rein_tensor *rein_total(rein_tensor *x) {
    if (!reini_is_real(x))
        return reini_mistake(x->g, "total: the operand must be real");
    if (x->extent == REIN_STATIC && x->width == 1)
        return x;
    return reini_node(x->g, REINI_TOTAL, x->dtype, reini_shape_row(REIN_STATIC, 1), 1, &x, NULL, NULL);
}

/* live rows of an extent as a number */
static rein_tensor *live_rows(rein_graph *g, int extent) {
    int32_t k[8] = {extent};
    return reini_node(g, REINI_COUNT, g->real, reini_shape_row(REIN_STATIC, 1), 0, NULL, k, NULL);
}

rein_tensor *rein_mean(rein_tensor *x) {
    rein_tensor *total = rein_total(x);
    double width = (double)x->width;
    if (x->extent == REIN_STATIC)
        return x->width == 1 ? total : rein_scale(total, 1 / width);
    rein_tensor *rows = live_rows(x->g, x->extent);
    return rein_div(total, x->width == 1 ? rows : rein_scale(rows, width));
}

rein_tensor *rein_sum_rows(rein_tensor *x) {
    if (!reini_is_real(x))
        return reini_mistake(x->g, "sum_rows: the operand must be real");
    if (x->extent == REIN_STATIC)
        return x;
    reini_shape shape = reini_shape_of(x);
    shape.extent = REIN_STATIC;
    return reini_node(x->g, REINI_SUM_ROWS, x->dtype, shape, 1, &x, NULL, NULL);
}

rein_tensor *rein_gather(rein_tensor *table, rein_tensor *index) {
    rein_graph *g = table->g;
    if (index->dtype != REIN_I32 || index->width != 1 || index->extent == REIN_STATIC)
        return reini_mistake(g, "gather: the index must be I32 (rows x 1)");
    if (table->extent == index->extent)
        return reini_mistake(g, "gather: table and index run over the same rows");
    reini_shape shape = reini_shape_of(table);
    int32_t k[8] = {0, (int32_t)rein_dtype_size(table->dtype)};
    if (table->extent == REIN_STATIC) {
        if (table->ndim < 2)
            return reini_mistake(g, "gather: a static table must be (n x w), found %s",
                                 reini_shape_text(table));
        k[0] = table->dims[0];
        for (int i = 1; i < table->ndim; i++)
            shape.dims[i - 1] = table->dims[i];
        shape.ndim--;
    }
    shape.extent = index->extent;
    return reini_node(g, REINI_GATHER, table->dtype, shape, 2, (rein_tensor *[]){table, index}, k, NULL);
}

/* every random node draws its own numbers: equal nodes are not merged, and k[0] tells them apart */
static rein_tensor *random_like(reini_op op, rein_tensor *key, rein_tensor *like) {
    rein_graph *g = key->g;
    if (key->op != REINI_KEY || like->extent == REIN_STATIC)
        return reini_mistake(g, "%s: needs a rein_key and a shape with rows", reini_op_name(op));
    int draws = 0;
    for (int i = 0; i < g->n_nodes; i++)
        draws += g->node[i]->op == op && g->node[i]->in[0] == key;
    if (draws > 0)
        return reini_mistake(g, "%s: a key feeds one random op of each kind; make another key",
                             reini_op_name(op));
    return reini_node(g, op, g->real, reini_shape_of(like), 1, &key, NULL, NULL);
}

rein_tensor *rein_random_normal(rein_tensor *key, rein_tensor *like) {
    return random_like(REINI_RANDOM_NORMAL, key, like);
}

rein_tensor *rein_random_uniform(rein_tensor *key, rein_tensor *like) {
    return random_like(REINI_RANDOM_UNIFORM, key, like);
}

/* ---- derivatives --------------------------------------------------------------------------------------- */

static rein_tensor *back_repeat(rein_tensor *y, rein_tensor *dy, int i) {
    return dy;
}

static rein_tensor *forward_total(rein_tensor *y, rein_tensor *const *t) {
    return rein_total(reini_expand(t[0], y->in[0]));
}

static rein_tensor *forward_sum_rows(rein_tensor *y, rein_tensor *const *t) {
    return rein_sum_rows(reini_expand(t[0], y->in[0]));
}

static rein_tensor *back_gather(rein_tensor *y, rein_tensor *dy, int i) {
    const rein_tensor *table = y->in[0];
    if (i != 0 || table->extent != REIN_STATIC || !reini_is_real(table))
        return NULL;
    int32_t k[8] = {table->dims[0]};
    rein_tensor *in[2] = {reini_expand(dy, y), y->in[1]};
    return reini_node(y->g, REINI_SCATTER, y->dtype, reini_shape_of(table), 2, in, k, NULL);
}

static rein_tensor *forward_gather(rein_tensor *y, rein_tensor *const *t) {
    return rein_gather(reini_expand(t[0], y->in[0]), y->in[1]);
}

const reini_rule reini_rules_rows[] = {
    {REINI_TOTAL, back_repeat, forward_total},
    {REINI_SUM_ROWS, back_repeat, forward_sum_rows},
    {REINI_GATHER, back_gather, forward_gather},
    {REINI_OP_COUNT, NULL, NULL},
};
