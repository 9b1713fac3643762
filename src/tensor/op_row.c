/*
 * op_row.c - ops along one row: sums, softmax, entropies, picking, joining and cutting.
 */
#include <rein/tensor.h>
#include "tensor/graph.h"

static rein_tensor *row_op(reini_op op, rein_dtype dtype, int64_t width, int n, rein_tensor *const *in,
                           const int32_t *k) {
    int extent = in[0]->extent;
    for (int i = 1; i < n; i++)
        if (in[i]->extent != REIN_STATIC && extent == REIN_STATIC)
            extent = in[i]->extent;
    return reini_node(in[0]->g, op, dtype, reini_shape_row(extent, width), n, in, k, NULL);
}

/* same shape as x */
static rein_tensor *row_like(reini_op op, const rein_tensor *x, int n, rein_tensor *const *in) {
    return reini_node(x->g, op, x->dtype, reini_shape_of(x), n, in, NULL, NULL);
}

static rein_tensor *need_real(rein_tensor *x, const char *what) {
    return reini_is_real(x) ? NULL : reini_mistake(x->g, "%s: the operand must be real", what);
}

rein_tensor *rein_sum(rein_tensor *x) {
    if (need_real(x, "sum"))
        return x;
    return x->width == 1 ? x : row_op(REINI_SUM, x->dtype, 1, 1, &x, NULL);
}

rein_tensor *rein_log_softmax(rein_tensor *x) {
    if (need_real(x, "log_softmax"))
        return x;
    return row_like(REINI_LOG_SOFTMAX, x, 1, &x);
}

rein_tensor *rein_softmax(rein_tensor *x) {
    if (need_real(x, "softmax"))
        return x;
    return row_like(REINI_SOFTMAX, x, 1, &x);
}

rein_tensor *rein_entropy(rein_tensor *log_probs) {
    if (need_real(log_probs, "entropy"))
        return log_probs;
    return row_op(REINI_ENTROPY, log_probs->dtype, 1, 1, &log_probs, NULL);
}

rein_tensor *rein_relative_entropy(rein_tensor *log_p, rein_tensor *log_q) {
    if (need_real(log_p, "relative_entropy") || need_real(log_q, "relative_entropy"))
        return log_p;
    if (!reini_same_shape(log_p, log_q))
        return reini_mistake(log_p->g, "relative_entropy: shapes %s and %s differ", reini_shape_text(log_p),
                             reini_shape_text(log_q));
    return row_op(REINI_RELENT, log_p->dtype, 1, 2, (rein_tensor *[]){log_p, log_q}, NULL);
}

rein_tensor *rein_pick(rein_tensor *x, rein_tensor *index) {
    if (index->dtype != REIN_I32 || index->width != 1 || index->extent != x->extent)
        return reini_mistake(x->g, "pick: the index must be I32 (rows x 1) over the rows of %s",
                             reini_shape_text(x));
    return row_op(REINI_PICK, x->dtype, 1, 2, (rein_tensor *[]){x, index}, NULL);
}

rein_tensor *rein_argmax(rein_tensor *x) {
    return row_op(REINI_ARGMAX, REIN_I32, 1, 1, &x, NULL);
}

/* what rein_pick sends back for a gradient of 1 */
rein_tensor *rein_one_hot(rein_tensor *index, int width) {
    rein_tensor *one = rein_constant(index->g, 1);
    if (index->dtype != REIN_I32 || index->width != 1 || width < 1)
        return reini_mistake(index->g, "one_hot: the index must be I32 (rows x 1) and the width positive");
    return row_op(REINI_PICK_GRAD, one->dtype, width, 2, (rein_tensor *[]){one, index}, NULL);
}

rein_tensor *rein_concat(rein_tensor *a, rein_tensor *b) {
    if (a->dtype != b->dtype || a->extent != b->extent)
        return reini_mistake(a->g, "concat: %s and %s have different types or rows", reini_shape_text(a),
                             reini_shape_text(b));
    int32_t k[8] = {0, (int32_t)rein_dtype_size(a->dtype)};
    return row_op(REINI_CONCAT, a->dtype, a->width + b->width, 2, (rein_tensor *[]){a, b}, k);
}

rein_tensor *rein_slice(rein_tensor *x, int start, int count) {
    if (start < 0 || count < 1 || start + count > x->width)
        return reini_mistake(x->g, "slice: columns %d to %d of %s do not exist", start, start + count - 1,
                             reini_shape_text(x));
    if (start == 0 && count == x->width)
        return x;
    int32_t k[8] = {start, (int32_t)rein_dtype_size(x->dtype)};
    return row_op(REINI_SLICE, x->dtype, count, 1, &x, k);
}

rein_tensor *rein_sample_index(rein_tensor *log_probs, rein_tensor *u) {
    if (u->width != 1 || u->extent != log_probs->extent || !reini_is_real(u))
        return reini_mistake(u->g, "sample_index: u must be real (rows x 1)");
    return row_op(REINI_SAMPLE_INDEX, REIN_I32, 1, 2, (rein_tensor *[]){log_probs, u}, NULL);
}

/* ---- derivatives --------------------------------------------------------------------------------------- */

static rein_tensor *column_like(const rein_tensor *y, rein_tensor *dy) {
    return dy->extent == y->extent ? dy : reini_expand(dy, y);
}

static rein_tensor *back_sum(rein_tensor *y, rein_tensor *dy, int i) {
    return dy;
}

static rein_tensor *forward_sum(rein_tensor *y, rein_tensor *const *t) {
    return rein_sum(reini_expand(t[0], y->in[0]));
}

static rein_tensor *back_log_softmax(rein_tensor *y, rein_tensor *dy, int i) {
    return row_like(REINI_LOG_SOFTMAX_GRAD, y, 2, (rein_tensor *[]){reini_expand(dy, y), y});
}

static rein_tensor *forward_log_softmax(rein_tensor *y, rein_tensor *const *t) {
    rein_tensor *direction = reini_expand(t[0], y);
    return rein_sub(direction, rein_sum(rein_mul(rein_exp(y), direction)));
}

static rein_tensor *back_softmax(rein_tensor *y, rein_tensor *dy, int i) {
    return row_like(REINI_SOFTMAX_GRAD, y, 2, (rein_tensor *[]){reini_expand(dy, y), y});
}

static rein_tensor *forward_softmax(rein_tensor *y, rein_tensor *const *t) {
    return back_softmax(y, t[0], 0);
}

static rein_tensor *back_entropy(rein_tensor *y, rein_tensor *dy, int i) {
    return row_like(REINI_ENTROPY_GRAD, y->in[0], 2, (rein_tensor *[]){column_like(y, dy), y->in[0]});
}

static rein_tensor *forward_entropy(rein_tensor *y, rein_tensor *const *t) {
    return rein_sum(rein_mul(back_entropy(y, rein_constant(y->g, 1), 0), t[0]));
}

static rein_tensor *back_relent(rein_tensor *y, rein_tensor *dy, int i) {
    rein_tensor *in[3] = {column_like(y, dy), y->in[0], y->in[1]};
    return row_like(i == 0 ? REINI_RELENT_GRAD_A : REINI_RELENT_GRAD_B, y->in[i], 3, in);
}

static rein_tensor *forward_relent(rein_tensor *y, rein_tensor *const *t) {
    rein_tensor *sum = NULL;
    for (int i = 0; i < 2; i++) {
        if (t[i] == NULL)
            continue;
        rein_tensor *part = rein_sum(rein_mul(back_relent(y, rein_constant(y->g, 1), i), t[i]));
        sum = sum != NULL ? rein_add(sum, part) : part;
    }
    return sum;
}

static rein_tensor *back_pick(rein_tensor *y, rein_tensor *dy, int i) {
    if (i != 0)
        return NULL;
    return row_like(REINI_PICK_GRAD, y->in[0], 2, (rein_tensor *[]){column_like(y, dy), y->in[1]});
}

static rein_tensor *forward_pick(rein_tensor *y, rein_tensor *const *t) {
    return rein_pick(reini_expand(t[0], y->in[0]), y->in[1]);
}

static rein_tensor *back_concat(rein_tensor *y, rein_tensor *dy, int i) {
    int start = i == 0 ? 0 : (int)y->in[0]->width;
    return rein_slice(reini_expand(dy, y), start, (int)y->in[i]->width);
}

static rein_tensor *forward_concat(rein_tensor *y, rein_tensor *const *t) {
    rein_tensor *part[2];
    for (int i = 0; i < 2; i++)
        part[i] = reini_expand(t[i] != NULL ? t[i] : rein_constant(y->g, 0), y->in[i]);
    return rein_concat(part[0], part[1]);
}

static rein_tensor *back_slice(rein_tensor *y, rein_tensor *dy, int i) {
    rein_tensor *full = reini_expand(dy, y);
    return reini_node(y->g, REINI_UNSLICE, y->dtype, reini_shape_of(y->in[0]), 1, &full, y->k, NULL);
}

static rein_tensor *forward_slice(rein_tensor *y, rein_tensor *const *t) {
    return rein_slice(reini_expand(t[0], y->in[0]), y->k[0], (int)y->width);
}

const reini_rule reini_rules_row[] = {
    {REINI_SUM, back_sum, forward_sum},
    {REINI_LOG_SOFTMAX, back_log_softmax, forward_log_softmax},
    {REINI_SOFTMAX, back_softmax, forward_softmax},
    {REINI_ENTROPY, back_entropy, forward_entropy},
    {REINI_RELENT, back_relent, forward_relent},
    {REINI_PICK, back_pick, forward_pick},
    {REINI_CONCAT, back_concat, forward_concat},
    {REINI_SLICE, back_slice, forward_slice},
    {REINI_OP_COUNT, NULL, NULL},
};
