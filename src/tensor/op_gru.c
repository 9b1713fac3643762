/*
 * op_gru.c - a gated recurrent unit along sequences.
 *
 * K. Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014 (arXiv 1406.1078), in the form of
 * PyTorch and cuDNN, with the product's bias inside the reset:
 *
 *     r = sigmoid(x_r + h W_r + b_r)        z = sigmoid(x_z + h W_z + b_z)
 *     n = tanh(x_n + r (h W_n + b_n))       h' = (1 - z) n + z h
 *
 * The recurrence runs over sequences; what goes in and comes out are the steps, rows of another extent, so that
 * everything before and after the unit is one batch of steps. One node keeps all steps' states and gates (GRU), another
 * cuts the states out as rows of steps (STEPS) and owns the rule of differentiation, one runs backwards (GRU_GRAD).
 * Weight gradients are one product over all steps. As nodes for every step, long sequences would make graphs of
 * thousands of nodes and a weight gradient for each.
 */
#include <rein/tensor.h>
#include "tensor/graph.h"

/* numbers a step keeps, in widths: [h, n, r, z, q, h before]; of a gradient [of x's r, z, n; of the product's r, z, q] */
enum { KEPT = 6, OF_PRODUCT = 3, BEFORE = 5, GATES = 3 };

/* `count` numbers from `start` on of every step: x (sequences x length `block`) as rows of like's extent */
static rein_tensor *steps(rein_tensor *x, int block, int start, int count, const rein_tensor *like, int n_in,
                          rein_tensor *const *in) {
    int32_t k[8] = {block, start, like->extent != x->extent};
    return reini_node(x->g, REINI_STEPS, x->dtype, reini_shape_row(like->extent, count), n_in, in, k, NULL);
}

static rein_tensor *cut(rein_tensor *x, int block, int start, int count, const rein_tensor *like) {
    return steps(x, block, start, count, like, 1, &x);
}

static const char *wrong(const rein_tensor *gates, const rein_tensor *start, const rein_tensor *h, int length,
                         const rein_tensor *weight, const rein_tensor *bias) {
    int64_t width = h->width;
    if (!reini_is_real(gates) || gates->extent == REIN_STATIC || gates->width != GATES * width)
        return "the gates must be real (steps x 3 width)";
    if (!reini_is_real(h) || h->extent == REIN_STATIC || length < 1 ||
        (h->extent == gates->extent && length != 1))
        return "the state must be real (sequences x width), with rows of its own unless sequences have one "
               "step";
    if (!reini_is_real(start) || start->width != 1 ||
        (start->extent != gates->extent && start->extent != REIN_STATIC))
        return "the starts must be real (steps x 1)";
    if (weight->extent != REIN_STATIC || weight->ndim != 2 || weight->dims[0] != width ||
        weight->dims[1] != GATES * width)
        return "the weight must be static (width x 3 width)";
    if (bias->extent != REIN_STATIC || bias->width != GATES * width)
        return "the bias must be static (3 width)";
    return NULL;
}

rein_tensor *rein_gru_steps(rein_tensor *gates, rein_tensor *start, rein_tensor *h, int length,
                            rein_tensor *weight, rein_tensor *bias) {
    const char *mistake = wrong(gates, start, h, length, weight, bias);
    if (mistake != NULL)
        return reini_mistake(gates->g, "gru: %s, found gates %s, starts %s, state %s, weight %s, bias %s",
                             mistake, reini_shape_text(gates), reini_shape_text(start), reini_shape_text(h),
                             reini_shape_text(weight), reini_shape_text(bias));
    int width = (int)h->width;
    int32_t k[8] = {width, length, h->extent != gates->extent};
    rein_tensor *in[5] = {gates, start, h, weight, bias};
    rein_tensor *kept =
        reini_node(gates->g, REINI_GRU, gates->dtype,
                   reini_shape_row(h->extent, (int64_t)KEPT * width * length), 5, in, k, NULL);
    rein_tensor *out[4] = {kept, gates, weight, bias};
    return steps(kept, KEPT * width, 0, width, gates, 4, out);
}

/* ---- derivatives --------------------------------------------------------------------------------------- */

/* y: the states as steps. The gradient goes to gates, weight and bias past `kept`, which has none of its own. */
static rein_tensor *back_steps(rein_tensor *y, rein_tensor *dy, int i) {
    if (y->n_in != 4 || i == 0)
        return NULL;
    rein_tensor *kept = y->in[0], *gates = y->in[1], *weight = y->in[2], *start = kept->in[1];
    int width = (int)y->width, block = KEPT * width;
    int32_t turn[8] = {width, GATES * width, 1};
    reini_shape flipped = {.extent = REIN_STATIC, .ndim = 2, .dims = {GATES * width, width}};
    rein_tensor *wt = reini_node(y->g, REINI_TRANSPOSE, y->dtype, flipped, 1, &weight, turn, NULL);
    rein_tensor *in[4] = {kept, reini_expand(dy, y), start, wt};
    rein_tensor *d = reini_node(y->g, REINI_GRU_GRAD, y->dtype, reini_shape_of(kept), 4, in, kept->k, NULL);
    if (i == 1)
        return cut(d, block, 0, GATES * width, gates);
    rein_tensor *product = cut(d, block, OF_PRODUCT * width, GATES * width, gates);
    if (i == 3)
        return rein_reshape(rein_sum_rows(product), y->in[3]->ndim, y->in[3]->dims);
    rein_tensor *factors[2] = {cut(kept, block, BEFORE * width, width, gates), product};
    return reini_node(y->g, REINI_DENSE_DW, y->dtype, reini_shape_of(weight), 2, factors, turn, NULL);
}

static rein_tensor *forward_steps(rein_tensor *y, rein_tensor *const *t) {
    return reini_mistake(y->g, "tangent: a recurrent unit has no forward rule");
}

const reini_rule reini_rules_gru[] = {
    {REINI_STEPS, back_steps, forward_steps},
    {REINI_OP_COUNT, NULL, NULL},
};
